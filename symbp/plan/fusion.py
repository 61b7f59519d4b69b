"""Fusion: entrywise statements run together, behind the product whose result they read, and temporaries shrink.

A group runs over one axis, the slow one in memory: at each step (a sample, a row of a weight) all its statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sympy as sp

from symbp.expr import Size, is_one, same_size
from symbp.plan.dependence import apart, can_follow, conflict
from symbp.plan.ir import Gemm, Kernel, Loop, Nest, Order, Plan, Put, View, map_views, reads, views, walk, writes


SHARED = 1_600_000
"""A product of at least so many multiplications is worth a second thread: its rows are made in two blocks or more."""


def multiplications(kernel: Gemm, plan: Plan) -> int:
    """Return how many multiplications a product takes; a size that is known at run time only counts as its largest."""
    size = kernel.out.rows * kernel.out.cols * kernel.left.cols
    for _, low, high in kernel.stacked:
        size *= high - low + 1
    value = sp.expand(size).xreplace(dict(plan.capacity))
    return int(value) if value.is_Integer else 0


def slow_axis(view: View, order: Order) -> int:
    """Return the axis of a view over which memory is walked slowly."""
    if is_one(view.rows) != is_one(view.cols):
        long = 1 if is_one(view.rows) else 0
        # One row of many entries; but a size that is known at run time only counts rows.
        return 1 - long if view.shape[long].is_Integer else long
    axis = 0 if order == "C" else 1
    return 1 - axis if view.turned else axis


def fuse(plan: Plan) -> Plan:
    """Run entrywise statements together, and behind the product that they follow."""
    return plan.with_body(_fused(plan, plan.body))


def _fused(plan: Plan, body: Sequence[Kernel]) -> tuple[Kernel, ...]:
    groups = _Groups(plan)
    for kernel in body:
        if isinstance(kernel, Loop):
            groups.append(replace(kernel, body=_fused(plan, kernel.body)))
        elif isinstance(kernel, Nest):
            for put in kernel.puts:
                groups.place(put)
        else:
            groups.append(kernel)
    return tuple(groups.done)


class _Groups:
    """Kernels in order, to which statements are added; only kernels that touch the same buffers are looked at."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.done: list[Kernel] = []
        self._touching: dict[str, dict[int, None]] = {}

    def append(self, kernel: Kernel) -> None:
        """Add a kernel behind the others."""
        self.done.append(kernel)
        self._note(len(self.done) - 1, {v.buffer for v in (*reads(kernel), *writes(kernel))})

    def _note(self, place: int, names: set[str]) -> None:
        for name in names:
            self._touching.setdefault(name, {})[place] = None

    def place(self, put: Put) -> None:
        """Put a statement into the group whose results it reads, else into one that reads or writes what it does.

        It may pass kernels with which it may change places.
        """
        alone, found, best = Nest((put,)), None, 0
        names = {v.buffer for v in (*views(put.value), put.target)}
        for k in sorted({k for n in names for k in self._touching.get(n, ())}, reverse=True):
            value = _affinity(self.done[k], put)
            if value > best:
                joined = _join(self.plan, self.done[k], put)
                if joined is not None:
                    found, best = (k, joined), value
            if best == 2 or conflict(self.done[k], alone):
                break
        if found is None:
            self.append(_alone(self.plan, put))
        else:
            self.done[found[0]] = found[1]
            self._note(found[0], names)


def _affinity(kernel: Kernel, put: Put) -> int:
    """Return 2 if a statement reads what a kernel writes, 1 if both touch one buffer, else 0."""
    if isinstance(kernel, Loop):
        return 0
    written, touched = {v.buffer for v in writes(kernel)}, {v.buffer for v in reads(kernel)}
    mine = {v.buffer for v in views(put.value)}
    return 2 if mine & written else 1 if (mine | {put.target.buffer}) & (touched | written) else 0


def _alone(plan: Plan, put: Put) -> Nest:
    rows, cols = put.domain
    if is_one(rows) and is_one(cols):
        return Nest((put,))
    if is_one(rows) or is_one(cols):
        # One row or one column: a group of its own that others of the same length may join.
        axis = 0 if is_one(cols) else 1
        return Nest((put,)) if axis in put.over else Nest((put,), axis, put.domain[axis])
    leader = _leader(put)
    axis = slow_axis(leader, plan.buffers[leader.buffer].order)
    return Nest((put,)) if put.op == "argmax" and axis in put.over else Nest((put,), axis, put.domain[axis])


def _leader(put: Put) -> View:
    """Return the view that says in which order a statement walks: its target, else the largest that it reads."""
    full = [v for v in (put.target, *views(put.value)) if all(map(same_size, v.shape, put.domain))]
    return full[0] if full else put.target


def _join(plan: Plan, kernel: Kernel, put: Put) -> Kernel | None:
    """Return a kernel with a statement behind it; None if the statement cannot run step by step with it."""
    if isinstance(kernel, Nest):
        if kernel.axis is None or not _fits(plan, put, kernel.axis, kernel.extent):
            return None
        if not can_follow(kernel.puts, put, kernel.axis, kernel.extent):
            return None
        return replace(kernel, puts=(*kernel.puts, put))
    if isinstance(kernel, Gemm):
        axis = slow_axis(kernel.out, plan.buffers[kernel.out.buffer].order)
        extent = kernel.out.shape[axis]
        before = kernel.epilogue.puts if kernel.epilogue is not None else ()
        if not _fits(plan, put, axis, extent) or not can_follow(before, put, axis, extent, kernel.out):
            return None
        if not before and not _reads(put, kernel.out.buffer):
            return None
        if axis in put.over and multiplications(kernel, plan) >= SHARED:
            return None  # threads that share the rows would add to one place
        # What the product reads must not change before it is done.
        if not (apart(put.target, kernel.left) and apart(put.target, kernel.right)):
            return None
        return replace(kernel, epilogue=Nest((*before, put), axis, extent))
    return None


def _reads(put: Put, buffer: str) -> bool:
    return any(v.buffer == buffer for v in views(put.value))


def _fits(plan: Plan, put: Put, axis: int, extent: Size) -> bool:
    """Tell whether a statement runs over the axis, and walks memory along the other one."""
    if not same_size(put.domain[axis], extent) or is_one(extent):
        return False
    if axis in put.over and (put.op == "argmax" or is_one(put.domain[1 - axis])):
        return False  # one chain of additions or comparisons: a loop of its own
    if is_one(put.domain[1 - axis]):
        return True
    leader = _leader(put)
    return slow_axis(leader, plan.buffers[leader.buffer].order) == axis


# ---------------------------------------------------------------------------------------------------------
# Shrinking


def contract(plan: Plan) -> Plan:
    """Shrink temporaries that live within one step of one group to the entries of a step."""
    homes: dict[str, list[Kernel]] = {}
    for kernel in walk(plan.body):
        for name in {v.buffer for v in (*reads(kernel), *writes(kernel))}:
            homes.setdefault(name, []).append(kernel)
    axes: dict[str, int] = {}
    for name, kernels in homes.items():
        buffer = plan.buffers[name]
        if len(kernels) != 1 or buffer.role != "scratch" or name in plan.outputs or buffer.indices:
            continue
        kernel = kernels[0]
        nest = kernel if isinstance(kernel, Nest) else kernel.epilogue if isinstance(kernel, Gemm) else None
        if nest is None or nest.axis is None or (isinstance(kernel, Gemm) and _operand(kernel, name)):
            continue
        if isinstance(kernel, Gemm) and kernel.out.buffer == name:
            continue  # the product's own block: the target says how many rows it makes at once
        if _per_step(nest, name, buffer.shape):
            axes[name] = nest.axis ^ _turned(nest, name)

    def change(view: View) -> View:
        if view.buffer not in axes:
            return view
        seen = axes[view.buffer] ^ view.turned
        return replace(view, rows=sp.S.One) if seen == 0 else replace(view, cols=sp.S.One)

    small = [
        replace(b, rows=sp.S.One) if axes[n] == 0 else replace(b, cols=sp.S.One)
        for n, b in plan.buffers.items() if n in axes
    ]
    return plan.with_buffers(*small).with_body(tuple(map_views(k, change) for k in plan.body))


def _operand(kernel: Gemm, name: str) -> bool:
    return name in (kernel.left.buffer, kernel.right.buffer) or (kernel.accumulate and kernel.out.buffer == name)


def _turned(nest: Nest, name: str) -> bool:
    every = [v for p in nest.puts for v in (p.target, *views(p.value))]
    return next(v.turned for v in every if v.buffer == name)


def _per_step(nest: Nest, name: str, shape: tuple[Size, Size]) -> bool:
    """Tell whether every access is to the slice of the present step, which is written before it is read."""
    axis = nest.axis
    assert axis is not None
    written = False
    for put in nest.puts:
        for view in views(put.value):
            whole = _whole(view, shape) and same_size(view.shape[axis], nest.extent)
            if view.buffer == name and not (written and whole):
                return False
        if put.target.buffer == name:
            if put.accumulate or axis in put.over or not _whole(put.target, shape):
                return False
            if not same_size(put.target.shape[axis], nest.extent):
                return False
            written = True
    turns = {v.turned for p in nest.puts for v in (p.target, *views(p.value)) if v.buffer == name}
    return len(turns) == 1


def _whole(view: View, shape: tuple[Size, Size]) -> bool:
    rows, cols = (view.cols, view.rows) if view.turned else view.shape
    return view.row == 0 and view.col == 0 and same_size(rows, shape[0]) and same_size(cols, shape[1])
