"""The Jacobian of a state with respect to the state before it: the factor whose products make gradients vanish.

``H[t] = f(W H[t-1] + ..)`` gives ``dH[t]/dH[s] = prod (r = s+1..t) diag(f'(Z[r])) W``, the latest factor leftmost, and
the norm of each factor is at most ``max|f'(Z[r])| |W|``: formula F4.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import sympy as sp

from symbp.calculus.derive import facts_of, prepare
from symbp.calculus.differential import differential_of, moving
from symbp.calculus.identities import Context
from symbp.calculus.naming import definitions
from symbp.calculus.rewriting import tidy
from symbp.calculus.sensitivity import MOVED, jacobian_of
from symbp.expr import Add, Diag, Eye, Kron, MatMul, Node, Ref, Scale, Transpose, expanded, matmul, refs, transform
from symbp.program import Equation, Program, Site, index_step, map_equations

BoundKind = Literal["norm", "largest", "number", "product", "sum"]


@dataclass(frozen=True)
class Bound:
    """An upper bound of a spectral norm, as a tree: norms and largest absolute entries, multiplied and added."""

    kind: BoundKind
    node: Node | None = None
    number: sp.Expr = sp.S.One
    parts: tuple[Bound, ...] = ()


@dataclass(frozen=True)
class Transition:
    """One step of a state, for one sample.

    program:  the program for one sample, with its non-linear parts named.
    target:   the state after the step, ``H[t]``; ``before`` is the state that it continues.
    index:    the index of the innermost loop around, along which the state is handed on.
    offset:   -1; in a loop that runs down 1.
    jacobian: the Jacobian of the one with respect to the other.
    bound:    what its spectral norm is at most.
    held:     other states that are read and that depend on this one: they are held fixed.
    """

    program: Program
    target: Ref
    before: Ref
    index: sp.Symbol
    offset: int
    jacobian: Node
    bound: Bound
    held: tuple[Ref, ...] = ()


def transition(program: Program, name: str) -> Transition:
    """Return the Jacobian of one step of the family ``name``, for one sample.

    Raises ``ValueError`` for a name that is no state: nothing that a loop hands on from one iteration to the next.
    """
    if name not in program.variables:
        raise ValueError(f"there is no variable {name}")
    named, _ = prepare(one_sample(program))
    site, offset = _step(named, name)
    loop, target = site.loops[-1], site.target
    body = [s for s in named.sites if s.loops == site.loops and s.path[:-1] == site.path[:-1] and s.path <= site.path]
    active = moving(named, [name])
    before = named.variables[name](*(i.xreplace({loop.index: loop.index + offset}) for i in target.indices))
    known = Context(facts_of(named), definitions(named), {s.target: s.equation.value for s in named.sites})
    found: dict[Ref, Node] = {before: Eye(before.rows * before.cols)}
    held: dict[Ref, None] = {}

    def tangent(ref: Ref) -> Node | None:
        if ref in found:
            return Ref(MOVED + ref.name, *ref.shape, *ref.indices)
        if ref.name in active and _from_elsewhere(ref, loop.index, {s.target for s in body}):
            held.setdefault(ref)
        return None

    def jacobian(ref: Ref) -> Node | None:
        of = Ref(ref.name.removeprefix(MOVED), *ref.shape, *ref.indices)
        return found.get(of) if ref.name.startswith(MOVED) else None

    for step in body:
        change = differential_of(step.equation.value, step.target, tangent)
        value = None if change is None else jacobian_of(change, jacobian)
        if value is not None:
            found[step.target] = value
    if target not in found:
        raise ValueError(f"{target.label} does not depend on {before.label} in one step")

    def settled(node: Node) -> Node:
        return Diag(tidy(node.operands[0], known, target)) if isinstance(node, Diag) else node

    value = transform(_without_identities(found[target]), settled)
    return Transition(named, target, before, loop.index, offset, value, bound_of(value), tuple(held))


def one_sample(program: Program) -> Program:
    """Return the program for a single sample."""
    if program.samples is None:
        return program
    one: dict[sp.Basic, sp.Basic] = {program.samples: sp.S.One}

    def change(equation: Equation) -> list[Equation]:
        target, value = equation.target.xreplace(one), equation.value.xreplace(one)
        return [replace(equation, target=target, value=value)]

    variables = {
        n: replace(v, rows=v.rows.xreplace(one), cols=v.cols.xreplace(one)) for n, v in program.variables.items()
    }
    return program.replace(variables=variables, body=map_equations(program.body, change), samples=None)


def _step(program: Program, name: str) -> tuple[Site, int]:
    """Return the equation that hands a family on, and how far back it reads: -1, or 1 in a loop that runs down."""
    offsets: dict[int, Site] = {}
    for site in program.sites:
        if site.target.name != name or not site.loops:
            continue
        body = [s for s in program.sites if s.path[:-1] == site.path[:-1] and s.path <= site.path]
        for offset in {o for s in body for ref in refs(s.equation.value) for o in _offsets(ref, site)}:
            offsets[offset] = site
    if not offsets:
        raise ValueError(f"{name} is no state: no loop hands it on from one iteration to the next")
    if set(offsets) - {-1, 1} or len(offsets) > 1:
        delays = ", ".join(f"{name}[t{-abs(o)}]" for o in sorted(offsets, key=abs))
        raise ValueError(f"{name} is handed on with delays ({delays}): stack these states into one")
    ((offset, site),) = offsets.items()
    return site, offset


def _offsets(ref: Ref, site: Site) -> Iterator[int]:
    """Yield by how many iterations of the innermost loop a read of the family lies before the equation's own member."""
    if ref.name != site.target.name:
        return
    index = site.loops[-1].index
    gaps = [expanded(mine - theirs) for theirs, mine in zip(site.target.indices, ref.indices, strict=True)]
    moved = [g for g, own in zip(gaps, site.target.indices, strict=True) if own.has(index)]
    if len(moved) == 1 and moved[0].is_Integer and moved[0] != 0 and sum(g != 0 for g in gaps) == 1:
        yield int(moved[0])


def _from_elsewhere(ref: Ref, index: sp.Symbol, here: set[Ref]) -> bool:
    """Tell whether a read is of another iteration."""
    steps = [index_step(i, [index]) for i in ref.indices]
    return ref not in here and any(s is not None and s[0] == index and s[2] != 0 for s in steps)


def _without_identities(node: Node) -> Node:
    def change(part: Node) -> Node:
        if not isinstance(part, MatMul):
            return part
        factors = [f for f in part.operands if not isinstance(f, Eye)]
        return matmul(*factors) if factors else part.operands[0]

    return transform(node, change)


def bound_of(node: Node) -> Bound:
    """Return an upper bound of the spectral norm: that of a product is at most the product, of a sum the sum."""
    if isinstance(node, Eye):
        return Bound("number")
    if isinstance(node, Diag):
        return Bound("largest", node.operands[0])
    if isinstance(node, Transpose):
        return bound_of(node.operands[0])
    if isinstance(node, Scale) and node.coefficient.is_number:
        return _product([Bound("number", number=sp.Abs(node.coefficient)), bound_of(node.operands[0])])
    if isinstance(node, (MatMul, Kron)):
        return _product([bound_of(f) for f in node.operands])
    if isinstance(node, Add):
        return Bound("sum", parts=tuple(map(bound_of, node.operands)))
    return Bound("norm", node)


def _product(factors: list[Bound]) -> Bound:
    flat = [part for f in factors for part in (f.parts if f.kind == "product" else (f,))]
    kept = [f for f in flat if f.kind != "number" or f.number != 1]
    return kept[0] if len(kept) == 1 else Bound("product", parts=tuple(kept)) if kept else Bound("number")


__all__ = ["Bound", "Transition", "bound_of", "one_sample", "transition"]
