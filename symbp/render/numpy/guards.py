"""Selections reach beyond the expression they stand in: which entries of a named value are used, and which are zero.

``where(Z > 0, log(Z), 0)`` must not look at log(0), and no more must a line of its own ``L = log(Z)`` that only such a
selection reads; nor may a zero entry of an adjoint be multiplied by 1/0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symbp.expr import (
    Add, Compare, Constant, Hadamard, Map, MatMul, Node, Ones, Ref, Scale, SMul, Where, Zero, refs, walk,
)
from symbp.program import Loop, Program, Statement

Pick = tuple[Node, bool]
"""The entries at which a mask is 1 (True) or 0 (False)."""

Picks = frozenset[Pick]
"""The entries that every one of these picks; none: all entries."""

EVERYWHERE: Picks = frozenset()


def used(program: Program, outputs: Sequence[str]) -> dict[Ref, frozenset[Picks]]:
    """Return, for each named value of which only selected entries reach ``outputs``, those selections.

    An entry of the value is used if it lies in one of them.
    """
    demands: dict[Ref, set[Picks]] = {}

    def visit(node: Node, picks: Picks) -> None:
        if isinstance(node, Ref):
            demands.setdefault(node, set()).add(picks)
        elif isinstance(node, Where):
            mask, left, right = node.operands
            visit(mask, EVERYWHERE)
            visit(left, picks | {(mask, True)})
            visit(right, picks | {(mask, False)})
        else:
            inside = picks if _entrywise(node) else EVERYWHERE
            for operand in node.operands:
                visit(operand, EVERYWHERE if operand.shape != node.shape else inside)

    def run(body: Sequence[Statement]) -> None:
        for statement in reversed(body):
            if isinstance(statement, Loop):
                run(statement.body)
                continue
            wanted = {EVERYWHERE} if statement.target.name in outputs else demands.get(statement.target, {EVERYWHERE})
            for picks in wanted:
                visit(statement.value, picks)

    run(program.body)
    # A family whose members are read by other indices is used everywhere.
    names: dict[str, set[Ref]] = {}
    for ref in demands:
        names.setdefault(ref.name, set()).add(ref)
    return {
        ref: frozenset(picks)
        for ref, picks in demands.items()
        if EVERYWHERE not in picks and len(names[ref.name]) == 1
    }


def _entrywise(node: Node) -> bool:
    return isinstance(node, (Add, Scale, Hadamard, Map, Compare))


def entrywise(node: Node) -> bool:
    """Tell whether each entry of an expression is computed from the same entries of what it reads (or broadcasts)."""
    for part in walk(node):
        if isinstance(part, (Ref, Constant, Where, SMul)) or _entrywise(part):
            continue
        if isinstance(part, MatMul) and sum(not isinstance(f, Ones) for f in part.operands) == 1:
            continue
        return False
    return True


def zero_outside(node: Node, known: Mapping[Ref, Pick]) -> Pick | None:
    """Return entries outside of which an expression is zero, if a selection says so.

    known: names of which that is known.
    """
    if isinstance(node, Ref):
        return known.get(node)
    if isinstance(node, Where):
        mask, left, right = node.operands
        return (mask, True) if isinstance(right, Zero) else (mask, False) if isinstance(left, Zero) else None
    if isinstance(node, Scale):
        return zero_outside(node.body, known)
    if isinstance(node, Hadamard):
        return next((p for p in (zero_outside(f, known) for f in node.operands) if p is not None), None)
    return None


def readable(picks: frozenset[Picks], names: set[str]) -> bool:
    """Tell whether the masks of selections read nothing but the given names."""
    return all(ref.name in names for every in picks for mask, _ in every for ref in refs(mask))
