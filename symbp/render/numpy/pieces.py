"""The parts of a module as the template takes them, and the words that describe shapes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import sympy as sp

from symbp.program import Var, substitute
from symbp.render.facts import facts_text
from symbp.render.numpy.layout import Field, Store

WIDE = 110
"""Calls longer than this are broken, one argument a line; so are lines of docstrings, between words."""


@dataclass
class FunctionText:
    """A function of the module: its signature, its docstring and the lines of its body."""

    signature: str
    summary: str
    lines: list[str]
    document: list[str] = field(default_factory=list)


@dataclass
class TupleText:
    """A NamedTuple of the module: its fields, and what they are."""

    name: str
    summary: str
    fields: list[str]
    document: list[str]


def indented(lines: Iterable[str], depth: int = 1) -> list[str]:
    """Return lines indented."""
    return [" " * 4 * depth + line for line in lines]


def folded(text: str) -> list[str]:
    """Return a line of a docstring, broken if it is long."""
    return textwrap.wrap(text, WIDE, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def call(name: str, values: Sequence[str]) -> list[str]:
    """Return ``return name(values)``, broken if it is long."""
    whole = f"    return {name}({', '.join(values)})"
    if len(whole) <= WIDE:
        return [whole]
    return [f"    return {name}(", *(f"        {v}," for v in values), "    )"]


def listed(before: str, values: Sequence[str], depth: int = 1) -> str:
    """Return ``before [values]`` in an indented block, broken if it is long; the first line is not indented."""
    whole = f"{before} [{', '.join(values)}]"
    margin = " " * 4 * depth
    if len(margin) + len(whole) <= WIDE:
        return whole
    return "\n".join([f"{before} [", *(f"{margin}    {v}," for v in values), f"{margin}]"])


def tupled(text: str, depth: int) -> str:
    """Return the text that makes tuples of lists, ``depth`` levels deep."""
    if depth == 0:
        return text
    if depth == 1:
        return f"tuple({text})"
    return f"tuple({tupled('a', depth - 1)} for a in {text})"


def table(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Return ``name: words`` lines with the words in one column."""
    known = list(rows)
    wide = max((len(name) for name, _ in known), default=0) + 1
    return [f"{name + ':':<{wide}} {words}" for name, words in known]


def shape_text(shape: Sequence[sp.Expr]) -> str:
    """Return ``n1 x m``."""
    return " x ".join(str(s) for s in shape)


def shape_with_axes(known: Field) -> str:
    """Return the shape of a field's arrays, the axes of indices first: ``T x n x m``."""
    return shape_text((*known.lengths[known.depth :], *known.shape))


def described(known: Field) -> tuple[str, str]:
    """Return a field's name and what it is: shape, members, facts."""
    if known.annotation == "float":
        return known.name, "a number"
    words = shape_text(known.shape)
    if known.free:
        lows = tuple(lo if k in known.free else None for k, (lo, _) in enumerate(known.ends))
        highs = tuple(hi if k in known.free else None for k, (_, hi) in enumerate(known.ends))
        depth = known.free[known.depth - 1] + 1 if known.depth else 0
        words = family_text(known.name, known.var, Store(known.name, lows, highs, depth), known.ends)
    elif known.ends:
        words += f", the member {known.var.name}[{', '.join(str(lo) for lo, _ in known.ends)}]"
    facts = facts_text(known.var)
    return known.name, f"{words}; {facts}" if facts else words


def family_text(name: str, var: Var, store: Store, ends: Sequence[tuple[sp.Expr, sp.Expr]] = ()) -> str:
    """Return how the members of a family are found: ``h x m for t = 1..T; H[t - 1] is the member H[t]``."""
    fixed = {i: ends[k][0] for k, i in enumerate(var.indices) if ends and store.lows[k] is None}
    shape = shape_text([substitute(s, fixed) for s in var.shape])
    running = [(k, i) for k, i in enumerate(var.indices) if store.lows[k] is not None]
    ranges = ", ".join(f"{i} = {store.lows[k]}..{store.highs[k]}" for k, i in running)
    outer = "".join(f"[{i - store.lows[k]}]" for k, i in running if k < store.depth)
    inner = ", ".join(str(i - store.lows[k]) for k, i in running if k >= store.depth)
    position = f"{name}{outer}" + (f"[{inner}]" if inner else "")
    member = f"{var.name}[{', '.join(str(fixed.get(i, i)) for i in var.indices)}]"
    kind = "a tuple of" if store.depth else "stacked"
    return f"{kind} {shape} for {ranges}; {position} is {member}"
