"""What a plan costs: floating-point operations and bytes moved, per equation and in total; memory at its peak."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from symbp.expr import Size
from symbp.plan.ir import (
    Apply, Buffer, Call, Expr, Gemm, Kernel, Loop, Number, Plan, Put, Source, View, puts, reads, sources, writes,
)

MINUS = Number(sp.S.NegativeOne)


@dataclass(frozen=True)
class Cost:
    """The cost of a kernel in all its iterations.

    sources: the equations that it belongs to.
    flop:    additions, multiplications, divisions, comparisons and calls of functions, each counted once.
    moved:   entries read and written.
    """

    sources: tuple[Source, ...]
    flop: Size
    moved: Size


def costs(plan: Plan) -> list[Cost]:
    """Return the cost of each kernel, in order."""
    return list(_costs(plan.body, ()))


def total(plan: Plan) -> tuple[Size, Size]:
    """Return floating-point operations and entries moved in one call."""
    known = costs(plan)
    return sp.expand(sum(c.flop for c in known)), sp.expand(sum(c.moved for c in known))


Range = tuple[sp.Symbol, Size, Size]
"""An index with its first and its last value."""


def summed(value: Size, ranges: Sequence[Range]) -> Size:
    """Return the sum of a size over indices: a multiple, or a sum where the size depends on the index."""
    for index, low, high in reversed(ranges):
        value = sp.Sum(value, (index, low, high)) if value.has(index) else value * (high - low + 1)
    return sp.expand(value)


def entries(buffer: Buffer) -> Size:
    """Return how many entries a buffer has, all members of a family together."""
    rows, cols = buffer.held
    return summed(rows * cols, list(zip(buffer.indices, buffer.lows, buffer.highs, strict=True)))


def _costs(body: Sequence[Kernel], around: tuple[Range, ...]) -> Iterator[Cost]:
    for kernel in body:
        if isinstance(kernel, Loop):
            yield from _costs(kernel.body, (*around, (kernel.index, kernel.low, kernel.high)))
            continue
        flop = sum((put_flop(p) for p in puts(kernel)), sp.S.Zero)
        if isinstance(kernel, Call) and kernel.routine == "add_at":
            flop += _entries(kernel.reads[0])
        if isinstance(kernel, Gemm):
            product = 2 * kernel.out.rows * kernel.out.cols * kernel.left.cols
            factors = _entries(kernel.left) + _entries(kernel.right)
            flop += summed(product, kernel.stacked)
            others = [v for v in (*reads(kernel), *writes(kernel)) if v not in (kernel.left, kernel.right)]
            moved = summed(factors, kernel.stacked) + sum((_entries(v) for v in others), sp.S.Zero)
        else:
            if isinstance(kernel, Call) and kernel.routine == "scatter":
                flop += sum((_entries(v) for v in kernel.reads), sp.S.Zero)
            moved = sum((_entries(v) for v in (*reads(kernel), *writes(kernel))), sp.S.Zero)
        yield Cost(tuple(sources(kernel)), summed(flop, around), summed(moved, around))


NEAR, FAR = 2, 6
"""Operations that a machine does while an entry comes from a cache next to a core, or from farther away."""


def effort(plan: Plan, *, near: bool) -> Size:
    """Return the time of one call, in operations: of each kernel the longer of working and of moving its entries.

    near: whether what it reads and writes stays in a cache next to a core.
    """
    slow = NEAR if near else FAR
    return sp.Add(*(sp.Max(c.flop, slow * c.moved) for c in costs(plan)))


def _entries(view: View) -> Size:
    return view.rows * view.cols


def put_flop(put: Put) -> Size:
    """Return the operations of an entrywise statement."""
    rows, cols = put.domain
    each = operations(put.value) + (1 if put.over or put.accumulate else 0)
    return rows * cols * each


def operations(e: Expr) -> int:
    """Return the operations of an entrywise expression at one entry."""
    if not isinstance(e, Apply):
        return 0
    own = len(e.args) - 1 if e.op in ("+", "*") else 1
    if e.op == "*" and e.args[0] == MINUS:
        own -= 1  # a sign: the sum that it stands in subtracts
    return own + sum(operations(a) for a in e.args)


def by_equation(plan: Plan) -> Mapping[tuple[Source, ...], Cost]:
    """Return the cost of the kernels that belong to the same equations, added up."""
    found: dict[tuple[Source, ...], Cost] = {}
    for cost in costs(plan):
        known = found.get(cost.sources)
        found[cost.sources] = cost if known is None else Cost(
            cost.sources, known.flop + cost.flop, known.moved + cost.moved
        )
    return found


__all__ = ["Cost", "by_equation", "costs", "effort", "entries", "operations", "put_flop", "summed", "total"]
