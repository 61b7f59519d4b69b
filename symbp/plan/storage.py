"""Storage order: which entries of each buffer are neighbours, so that products and nests walk through memory in order.

Samples stand one after the other (the sample axis is the slow one), so that a batch may be shorter than its maximum
and a sample is one stretch of memory.  The other buffers take the order under which the least must be packed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import sympy as sp

from symbp.expr import Size, SizeMember, has_size, is_one
from symbp.plan.ir import Buffer, Gemm, Kernel, Order, Plan, View, puts, views, walk

STRIDED = 2
"""What an entry costs that is read across memory, where one in order costs 1."""


def storage(
    plans: Sequence[Plan], samples: Sequence[Mapping[str, int]] = (), *, alike: Mapping[str, str] | None = None,
) -> dict[str, Order]:
    """Return the order of each buffer of some plans, which share buffers of the same name.

    samples: for each plan's buffers, the axis (0 or 1) that counts samples, by buffer name.
    alike:   buffers that lie as another one does: a gradient as its parameter.
    """
    buffers = {n: b for p in plans for n, b in p.buffers.items()}
    kernels = [k for p in plans for k in walk(p.body)]
    orders: dict[str, Order] = {n: b.order for n, b in buffers.items()}
    settled: dict[str, Order] = {}
    follows = {a: b for a, b in (alike or {}).items() if a in buffers and b in buffers}
    for axes in samples:
        for name, axis in axes.items():
            if name in buffers:
                settled.setdefault(name, "C" if axis == 0 else "F")
    orders.update({n: o for n, o in settled.items() if n in orders})
    touching: dict[str, list[Kernel]] = {n: [] for n in buffers}
    for kernel in kernels:
        for name in {follows.get(v.buffer, v.buffer) for v in _views(kernel)}:
            touching[name].append(kernel)
    orders.update({a: orders[b] for a, b in follows.items()})
    free = [
        n for n, b in buffers.items()
        if n not in settled and n not in follows and not (is_one(b.rows) or is_one(b.cols))
    ]
    for _ in range(4):
        moved = False
        for name in free:
            before = sum(cost(k, orders) for k in touching[name])
            other: Order = "F" if orders[name] == "C" else "C"
            turned = {name: other, **{a: other for a, b in follows.items() if b == name}}
            after = sum(cost(k, {**orders, **turned}) for k in touching[name])
            if after < before:
                orders.update(turned)
                moved = True
        if not moved:
            break
    return orders


def _views(kernel: Kernel) -> list[View]:
    found = [kernel.out, kernel.left, kernel.right] if isinstance(kernel, Gemm) else []
    return found + [v for p in puts(kernel) for v in (p.target, *views(p.value))]


def neighbours(view: View, order: Order) -> int | None:
    """Return the axis of a view along which entries are neighbours in memory; None for a single row or column."""
    if is_one(view.rows) or is_one(view.cols):
        return None
    along = 1 if order == "C" else 0
    return 1 - along if view.turned else along


def number(size: Size) -> int:
    """Return a size as a number; a symbol counts as 100."""
    if size.is_Integer:
        return int(size)
    return int(size.xreplace({s: sp.Integer(100) for s in size.atoms(SizeMember) | size.free_symbols}))


def cost(kernel: Kernel, orders: Mapping[str, Order]) -> int:
    """Return how many entries a kernel must pack, or read across memory."""
    total = 0
    if isinstance(kernel, Gemm):
        rows, depth, cols = number(kernel.out.rows), number(kernel.left.cols), number(kernel.out.cols)
        along = neighbours(kernel.out, orders[kernel.out.buffer])
        if along is None:
            along = 1 if is_one(kernel.out.rows) else 0
        side, across = (cols, rows) if along == 1 else (rows, cols)
        total += across * depth * _idle(side) // LANES
        if along == 1:
            if neighbours(kernel.right, orders[kernel.right.buffer]) == 0 and rows > FEW:
                total += depth * cols
        elif neighbours(kernel.left, orders[kernel.left.buffer]) == 1 and cols > FEW:
            total += depth * rows
    for put in puts(kernel):
        along = neighbours(put.target, orders[put.target.buffer])
        entries = number(put.domain[0]) * number(put.domain[1])
        if along is not None:
            total += entries // number(put.domain[along]) * _idle(number(put.domain[along]))
        for view in views(put.value):
            mine = neighbours(view, orders[view.buffer])
            if along is None and put.over:
                continue
            if mine is not None and along is not None and mine != along:
                total += STRIDED * entries
    return total


LANES = 16
"""How many numbers a machine may work on at once, if they are neighbours."""


def _idle(side: int) -> int:
    """Return how many lanes have nothing to do at the end of a stretch of neighbours."""
    return -side % LANES


FEW = 4
"""Up to so many rows a product is taken as inner products along memory, and nothing is packed."""


def ordered(plan: Plan, orders: Mapping[str, Order]) -> Plan:
    """Return the plan with its buffers in the given orders."""
    changed = {n: replace(b, order=orders.get(n, b.order)) for n, b in plan.buffers.items()}
    return replace(plan, buffers=changed)


def sample_axes(
    buffers: Iterable[Buffer], shapes: Mapping[str, tuple[Size, Size]], samples: Size | None
) -> dict[str, int]:
    """Return the axis that counts samples of each buffer that has one.

    shapes:  the shapes of variables as declared, by name.
    samples: the size that counts samples.
    """
    found = {}
    for buffer in buffers:
        shape = shapes.get(buffer.of)
        if shape is None or samples is None:
            continue
        rows, cols = (has_size(s, samples) for s in shape)
        if rows != cols:
            found[buffer.name] = 0 if rows else 1
    return found


__all__ = ["cost", "neighbours", "number", "ordered", "sample_axes", "storage"]
