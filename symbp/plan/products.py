"""Lowering of products by a target's abilities: coefficients and sums apart, forms, packing, blocks of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sympy as sp

from symbp.expr import Size, same_size
from symbp.plan.fusion import SHARED, multiplications, slow_axis
from symbp.plan.ir import (
    Buffer, Call, Form, Gemm, Kernel, Loop, Nest, Number, Order, Plan, Put, Read, View, map_kernels, product, puts,
    reads, views, walk, writes,
)
from symbp.plan.storage import FEW, neighbours
from symbp.program import fresh_name

PANEL = 32
"""The widest panel of a packed factor; a packed factor is as wide as whole panels."""

SMALL = 256
"""A right factor of at most so many entries is read as it lies, in any order."""

FEW_IN_ALL = 4096
"""A product of at most so many multiplications is done as it stands: tiles and panels cost more than they save."""

BLOCK, LARGE_BLOCK = 96, 256
"""How many rows of a product are made before its epilogue runs over them; so many of a large one."""

WIDE = (128, 512, 512)
"""Rows, columns and depth from which on panels of the right factor pay whatever its order."""

LARGE = 50_000_000
"""From so many multiplications on a library's product pays, which wants many rows at once."""


@dataclass(frozen=True)
class Oriented:
    """A product in terms of memory: ``out`` is rows x cols, and entries of a row of it are neighbours."""

    out: View
    left: View
    right: View

    @property
    def rows(self) -> Size:
        """The slow side of the result."""
        return self.out.rows

    @property
    def cols(self) -> Size:
        """The side along memory."""
        return self.out.cols

    @property
    def depth(self) -> Size:
        """The inner side."""
        return self.left.cols


def oriented(kernel: Gemm, order: Order) -> Oriented:
    """Return a product, or its transpose, so that the rows of the result lie along memory."""
    if slow_axis(kernel.out, order) == 0:
        return Oriented(kernel.out, kernel.left, kernel.right)
    return Oriented(kernel.out.T, kernel.right.T, kernel.left.T)


def split_coefficients(plan: Plan) -> Plan:
    """Take the coefficient of a product apart, for a target whose products have none."""
    def change(kernel: Kernel) -> Sequence[Kernel]:
        nonlocal plan
        if not isinstance(kernel, Gemm) or kernel.alpha == 1:
            return (kernel,)
        if not kernel.accumulate:
            scaled = Put(kernel.out, product(Number(kernel.alpha), Read(kernel.out)), source=kernel.source)
            return (replace(kernel, alpha=sp.S.One), Nest((scaled,)))
        apart, plan = _apart(plan, kernel)
        return apart

    body = map_kernels(plan.body, change)
    return plan.with_body(body)


def split_sums(plan: Plan) -> Plan:
    """Take products that are added to what is there apart, for a target whose products overwrite."""
    def change(kernel: Kernel) -> Sequence[Kernel]:
        nonlocal plan
        if not isinstance(kernel, Gemm) or not kernel.accumulate:
            return (kernel,)
        apart, plan = _apart(plan, kernel)
        return apart

    body = map_kernels(plan.body, change)
    return plan.with_body(body)


def _apart(plan: Plan, kernel: Gemm) -> tuple[Sequence[Kernel], Plan]:
    """Return a product into a temporary, and the sum that adds it with its coefficient; and the plan with both."""
    name = fresh_name(f"{kernel.out.buffer}_part", plan.buffers)
    order: Order = plan.buffers[kernel.out.buffer].order
    if kernel.out.turned:
        order = "F" if order == "C" else "C"
    buffer = Buffer(name, kernel.out.rows, kernel.out.cols, order=order)
    add = Put(kernel.out, product(Number(kernel.alpha), Read(buffer.whole())), accumulate=True, source=kernel.source)
    plan = plan.with_buffers(buffer)
    return (replace(kernel, out=buffer.whole(), alpha=sp.S.One, accumulate=False), Nest((add,))), plan


def choose_forms(plan: Plan) -> Plan:
    """Say how each product is done, and pack right factors that are not read along memory.

    A factor is packed once, before the loops that do not change it.
    """
    packing = _Packing(plan)
    body, early = packing.body(plan.body)
    assert not early
    return plan.with_buffers(*packing.buffers).with_body(body)


class _Packing:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.buffers: list[Buffer] = []

    def body(
        self, body: Sequence[Kernel], inside: bool = False
    ) -> tuple[tuple[Kernel, ...], list[tuple[View, Buffer]]]:
        """Return a body with forms, and the packings that may come before it (inside a loop)."""
        changed = {v.buffer for k in body for v in writes(k)}
        known: dict[View, Buffer] = {}
        early: list[tuple[View, Buffer]] = []
        out: list[Kernel] = []
        for kernel in body:
            wanted: list[tuple[View, Buffer]] = []
            if isinstance(kernel, Loop):
                inner, wanted = self.body(kernel.body, inside=True)
                new: Kernel = replace(kernel, body=inner)
            elif isinstance(kernel, Gemm):
                new, pack = self.form(kernel, known)
                wanted = [pack] if pack is not None else []
            else:
                new = kernel
            for view, buffer in wanted:
                known[view] = buffer
                if inside and view.buffer not in changed and not view.moving:
                    early.append((view, buffer))
                else:
                    out.append(Call("pack", (view,), (buffer.whole(),)))
            out.append(new)
            written = {v.buffer for v in writes(kernel)}
            known = {v: b for v, b in known.items() if v.buffer not in written}
        return tuple(out), early

    def block(self, kernel: Gemm, o: Oriented) -> int:
        """Return how many rows of a product are made at once."""
        count = multiplications(kernel, self.plan)
        block = LARGE_BLOCK if count >= LARGE else BLOCK
        if count >= SHARED and o.rows.is_Integer:
            half = -(-int(o.rows) // 2)
            block = min(block, -(-half // 8) * 8)
        return block

    def wide(self, kernel: Gemm, o: Oriented) -> bool:
        """Tell whether a right factor is so large that panels pay although its rows lie along memory."""
        if kernel.stacked or not all(n.is_Integer for n in (o.rows, o.cols, o.depth)):
            return False
        return int(o.rows) >= WIDE[0] and int(o.cols) >= WIDE[1] and int(o.depth) >= WIDE[2]

    def form(self, kernel: Gemm, known: dict[View, Buffer]) -> tuple[Gemm, tuple[View, Buffer] | None]:
        order = self.plan.buffers[kernel.out.buffer].order
        o = oriented(kernel, order)
        rows = int(o.rows) if o.rows.is_Integer else FEW + 1
        block = self.block(kernel, o)
        if rows > 1 and 0 < multiplications(kernel, self.plan) <= FEW_IN_ALL:
            return replace(kernel, form=Form("small", block)), None
        along = neighbours(o.right, self.plan.buffers[o.right.buffer].order)
        if along != 0 and not self.wide(kernel, o):
            return replace(kernel, form=Form("direct", block)), None
        left = neighbours(o.left, self.plan.buffers[o.left.buffer].order)
        if rows > 1 and o.cols.is_Integer and o.depth.is_Integer and int(o.cols) * int(o.depth) <= SMALL:
            return replace(kernel, form=Form("small", block)), None
        if along == 0 and rows < FEW and left != 0:
            return replace(kernel, form=Form("dot", block)), None
        if kernel.stacked:
            return replace(kernel, form=Form("direct", block)), None
        found = known.get(o.right)
        if found is not None:
            return replace(kernel, form=Form("packed", block, found.name)), None
        name = fresh_name(f"{o.right.buffer}_packed", [*self.plan.buffers, *(b.name for b in self.buffers)])
        wide = sp.Integer(-(-int(o.cols) // PANEL) * PANEL)
        buffer = Buffer(name, o.depth, wide)
        self.buffers.append(buffer)
        return replace(kernel, form=Form("packed", block, name)), (o.right, buffer)


def keep_blocks(plan: Plan) -> Plan:
    """Keep only a block of rows of a product that nothing but its own epilogue reads."""
    homes: dict[str, int] = {}
    for kernel in walk(plan.body):
        for name in {v.buffer for v in (*reads(kernel), *writes(kernel))}:
            homes[name] = homes.get(name, 0) + 1

    def change(kernel: Kernel) -> Sequence[Kernel]:
        nonlocal plan
        if not isinstance(kernel, Gemm) or kernel.epilogue is None or kernel.form is None or kernel.accumulate:
            return (kernel,)
        name, nest = kernel.out.buffer, kernel.epilogue
        buffer = plan.buffers[name]
        if buffer.role != "scratch" or name in plan.outputs or homes[name] != 1 or buffer.indices:
            return (kernel,)
        axis, block = nest.axis, kernel.form.block
        assert axis is not None
        if not nest.extent.is_Integer and not same_size(nest.extent, kernel.out.shape[axis]):
            return (kernel,)
        if nest.extent.is_Integer and int(nest.extent) <= block:
            return (kernel,)
        every = [v for p in puts(kernel) for v in (p.target, *views(p.value)) if v.buffer == name]
        if not all(v.same_place(kernel.out) for v in every):
            return (kernel,)
        plan = plan.with_buffers(replace(buffer, window=block))
        return (kernel,)

    body = map_kernels(plan.body, change)
    return plan.with_body(body)
