"""How the state of a loop depends on an earlier one: the product of Jacobians and what its norm is at most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from symbp.calculus.transition import Bound, Transition
from symbp.expr import Node, index, shift
from symbp.render.lines import broken
from symbp.render.names import Names
from symbp.render.notation import Notation
from symbp.render.printer import SUM_MARK, Printer, clean
from symbp.render.text import terminal


WIDTH = 108


class _Words:
    """The signs of a product and of a norm, in the characters that the output knows."""

    def __init__(self, plain: bool) -> None:
        signs = ("d", "prod", "||", "", "<=") if plain else ("∂", "∏", "‖", "₂", "≤")
        self.d, self.prod, self.norm, self.two, self.most = signs


def transition_lines(found: Transition, notation: Notation | None = None) -> list[str]:
    """Return the product of Jacobians, the bound of its norm, and what is held fixed, as lines of text."""
    chosen = notation or Notation()
    p, words = terminal(Names(found.program, chosen)), _Words(chosen.charset == "ascii")
    t, taken = found.index, {str(size) for size in found.program.sizes} | {str(found.index)}
    r, s = (index(next(x for x in letters if x not in taken)) for letters in ("ruvw", "skij"))

    def at(node: Node, symbol: sp.Symbol) -> str:
        return p.value(shift(node, {t: symbol} if symbol != t else {}))

    first = f"{s}+1" if found.offset < 0 else f"{s}-1"
    product = f"{words.prod}({r}={first}..{t})"
    jacobian, bound = at(found.jacobian, r), _bound(found.bound, at, r, words, p)
    if found.bound.kind == "sum":
        jacobian = f"({jacobian})"
    ratio = f"{words.d}{at(found.target, t)}/{words.d}{at(found.target, s)}"
    steps = f"{t}-{s}" if found.offset < 0 else f"{s}-{t}"
    size_of = f"{words.norm}{ratio}{words.norm}{words.two}"
    lines = [
        *_folded(f"{ratio} = {product} {jacobian}"),
        *_folded(f"{size_of} {words.most} {product} {bound} {words.most} q^({steps})"),
        "for one sample, the latest factor leftmost; q is the largest factor of the bound",
    ]
    if found.held:
        lines.append(f"along {found.target.name} alone: {', '.join(at(ref, t) for ref in found.held)} held fixed")
    return list(map(clean, lines))


def _folded(text: str) -> list[str]:
    """Return a formula in lines, the later ones indented."""
    first, *more = broken(text, WIDTH)
    return [first.rstrip(), *(f"    {line.strip()}" for line in more)]


def _bound(bound: Bound, at: Callable[[Node, sp.Symbol], str], r: sp.Symbol, words: _Words, p: Printer) -> str:
    if bound.kind == "number":
        return p.size(bound.number)
    if bound.node is not None:
        text = clean(at(bound.node, r))
        return f"max|{text}|" if bound.kind == "largest" else f"{words.norm}{text}{words.norm}{words.two}"
    parts = [_bound(b, at, r, words, p) for b in bound.parts]
    return " ".join(parts) if bound.kind == "product" else f"({f' {SUM_MARK}+ '.join(parts)})"


def transition_data(found: Transition, notation: Notation | None = None) -> dict[str, Any]:
    """Return the same as plain data."""
    return {"state": found.target.name, "lines": transition_lines(found, notation)}
