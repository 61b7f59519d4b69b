"""Which kernels may change places, and which may run together: who reads and writes the same memory."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from symbp.expr import Size, is_one, same_size
from symbp.plan.ir import Kernel, Loop, Plan, Put, View, reads, views, writes


def apart(a: View, b: View) -> bool:
    """Tell whether two views, in the same iteration of the loops around, share no entry, whatever the sizes."""
    if a.buffer != b.buffer:
        return True
    for i, j in zip(a.where, b.where, strict=True):
        gap = sp.expand(i - j)
        if gap.is_Integer and gap != 0:
            return True
    for first, second in ((_box(a), _box(b)), (_box(b), _box(a))):
        for axis in (0, 1):
            (start, length), (other, _) = first[axis], second[axis]
            if sp.expand(other - start - length).is_nonnegative:
                return True
    return False


def _box(view: View) -> tuple[tuple[Size, Size], tuple[Size, Size]]:
    rows, cols = (view.cols, view.rows) if view.turned else (view.rows, view.cols)
    return (view.row, rows), (view.col, cols)


def conflict(a: Kernel, b: Kernel, same_iteration: bool = True) -> bool:
    """Tell whether two kernels must keep their order: one writes what the other reads or writes."""
    for mine, theirs in ((writes(a), [*reads(b), *writes(b)]), (writes(b), reads(a))):
        names = {v.buffer for v in mine}
        for other in theirs:
            if other.buffer not in names:
                continue
            if not same_iteration or isinstance(a, Loop) or isinstance(b, Loop):
                return True
            if any(not apart(v, other) for v in mine):
                return True
    return False


def aligned(a: View, b: View, axis: int, extent: Size) -> bool:
    """Tell whether step k along an axis touches the same slice of the buffer through both views."""
    if a.buffer != b.buffer or not all(same_size(i, j) for i, j in zip(a.where, b.where, strict=True)):
        return False
    if not (same_size(a.shape[axis], extent) and same_size(b.shape[axis], extent)):
        return False
    mine, theirs = axis ^ a.turned, axis ^ b.turned
    start = (a.row, a.col)[mine], (b.row, b.col)[theirs]
    return mine == theirs and same_size(*start)


def steps_with(put: Put, axis: int, extent: Size) -> bool:
    """Tell whether a statement runs over an axis of the given length."""
    return same_size(put.domain[axis], extent)


def can_follow(first: Sequence[Put], put: Put, axis: int, extent: Size, out: View | None = None) -> bool:
    """Tell whether a statement may run step by step behind others, instead of after all their steps.

    out: the result of the product whose epilogue the statements are.
    """
    mine = list(views(put.value)) + ([put.target] if put.accumulate else [])
    targets = [(p.target, axis in p.over) for p in first]
    if out is not None:
        targets.append((out, False))
    for target, reduced in targets:
        for view in mine:
            if view.buffer != target.buffer or apart(view, target):
                continue
            if reduced or not aligned(target, view, axis, extent) or _crosses(put, view):
                return False
        if put.target.buffer != target.buffer or apart(put.target, target):
            continue
        if reduced or axis in put.over or not aligned(target, put.target, axis, extent):
            return False
    for other in first:
        for view in views(other.value):
            if view.buffer != put.target.buffer or apart(view, put.target):
                continue
            if axis in put.over or not aligned(view, put.target, axis, extent):
                return False
    return True


def _crosses(put: Put, view: View) -> bool:
    """Tell whether a statement reads a view through a map of places, not step by step."""
    from symbp.plan.ir import Apply, Pick

    def visit(e: object) -> bool:
        if isinstance(e, Pick):
            return e.view == view
        return isinstance(e, Apply) and any(visit(a) for a in e.args)

    return visit(put.value)


def writers(plan: Plan) -> dict[str, int]:
    """Return how many statements write each buffer."""
    found: dict[str, int] = {}

    def count(body: Sequence[Kernel]) -> None:
        for kernel in body:
            if isinstance(kernel, Loop):
                count(kernel.body)
                continue
            for view in writes(kernel):
                found[view.buffer] = found.get(view.buffer, 0) + 1

    count(plan.body)
    return found




def is_vector(view: View) -> bool:
    """Tell whether a view is one row or one column."""
    return is_one(view.rows) or is_one(view.cols)


