"""Windows of one sample at a time: implicit ``im2col`` and ``col2im``, in place of explicit buffers.

The windows ``P = im2col(A)`` of all samples, and their gradient ``Pbar = K^T Zbar``, are many times as large as the
maps that they are taken from and added up to.  Where the map keeps samples apart, each sample's windows are made,
multiplied, and made again for the backward pass; each sample's gradient is made, and added up, before the next one.
That moves fewer entries to and from memory as soon as the buffer is larger than a cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import sympy as sp

from symbp.expr import Size, StaticMap, same_size
from symbp.plan.dependence import writers
from symbp.plan.ir import (
    ZERO, Call, Gemm, Kernel, Loop, Nest, Plan, Put, View, map_kernels, reads, walk, writes,
)

CACHE = 65_536
"""From so many entries on a buffer of windows is taken apart: about what stays in a cache next to a core."""


def windows_by_sample(plan: Plan) -> Plan:
    """Make and add up windows sample by sample, where those of all samples together are larger than a cache."""
    count = writers(plan)
    for call, products, sample in list(_taken(plan, count)):
        plan = _made_again(plan, call, products, sample)
    for gemm, call, sample in list(_pairs(plan, count)):
        name, rule = gemm.out.buffer, call.map
        assert rule is not None
        axis = 1 if sample == len(rule.rows) else 0
        one = _of_one_sample(rule, sample)
        index = sp.Symbol(f"{name}_sample", integer=True)
        loop = Loop(index, sp.S.Zero, sp.expand(rule.sizes[sample] - 1), _body(plan, gemm, call, one, axis, index))

        def change(kernel: Kernel, gemm: Gemm = gemm, call: Call = call, loop: Loop = loop) -> Sequence[Kernel]:
            return (loop,) if kernel is gemm else () if kernel is call else (kernel,)

        rows, cols = one.shape
        plan = plan.with_body(map_kernels(plan.body, change))
        plan = plan.with_buffers(replace(plan.buffers[name], rows=rows, cols=cols))
    return plan


def _pairs(plan: Plan, count: dict[str, int]) -> Iterator[tuple[Gemm, Call, int]]:
    """Yield the products that only a scatter reads, with it and with the digit of the map that counts samples."""
    # Inside loops nothing is moved: members of families have loops of their own.
    gemms = {k.out.buffer: k for k in plan.body if isinstance(k, Gemm)}
    readers: dict[str, int] = {}
    for kernel in walk(plan.body):
        for view in reads(kernel):
            readers[view.buffer] = readers.get(view.buffer, 0) + 1
    for call in plan.body:
        if not (isinstance(call, Call) and call.routine == "scatter" and call.map is not None):
            continue
        name, target = call.reads[0].buffer, call.writes[0].buffer
        gemm, buffer = gemms.get(name), plan.buffers[name]
        if gemm is None or gemm.accumulate or gemm.stacked or gemm.epilogue is not None:
            continue
        if buffer.indices or plan.buffers[target].indices or buffer.role != "scratch" or name in plan.outputs:
            continue
        # The scatter moves up to the product: nothing in between may touch what it writes.
        between = plan.body[plan.body.index(gemm) + 1 : plan.body.index(call)]
        whole = all(v.same_place(buffer.whole()) for v in (gemm.out, call.reads[0]))
        alone = count[name] == 1 and readers[name] == 1 and not any(
            v.buffer == target for k in between for v in (*reads(k), *writes(k))
        )
        if not whole or not alone or call.writes[0].turned or not call.writes[0].same_place(
            plan.buffers[target].whole()
        ):
            continue
        sample = _sample(call.map)
        if sample is not None and buffer.entries.is_Integer and buffer.entries > CACHE:
            yield gemm, call, sample


def _taken(plan: Plan, count: dict[str, int]) -> Iterator[tuple[Call, list[Gemm], int]]:
    """Yield the windows that only products read, with them and with the digit of the map that counts samples."""
    for call in plan.body:
        if not (isinstance(call, Call) and call.routine == "gather" and call.map is not None):
            continue
        name, origin = call.writes[0].buffer, call.reads[0].buffer
        buffer = plan.buffers[name]
        if buffer.indices or plan.buffers[origin].indices or buffer.role != "scratch" or name in plan.outputs:
            continue
        sample = _sample(call.map)
        if sample is None or count[name] != 1 or not (buffer.entries.is_Integer and buffer.entries > CACHE):
            continue
        places = [k for k, kernel in enumerate(plan.body) if any(v.buffer == name for v in reads(kernel))]
        readers = [plan.body[k] for k in places]
        products = [k for k in readers if isinstance(k, Gemm) and _side(k, name, buffer.whole(), sample) is not None]
        if not places or len(products) != len(readers):
            continue
        # What the windows are taken from must be the same when they are taken again.
        between = plan.body[plan.body.index(call) + 1 : places[-1]]
        whole = call.writes[0].same_place(buffer.whole()) and call.reads[0].same_place(plan.buffers[origin].whole())
        if whole and not any(v.buffer == origin for k in between for v in writes(k)):
            yield call, products, sample


def _side(gemm: Gemm, name: str, whole: View, sample: int) -> tuple[Literal["left", "right"], bool] | None:
    """Return which factor of a product windows are, and whether the product sums over the samples; None if it cannot
    be taken apart."""
    if gemm.stacked or gemm.epilogue is not None or gemm.left.buffer == gemm.right.buffer or gemm.out.buffer == name:
        return None
    side: Literal["left", "right"] = "left" if gemm.left.buffer == name else "right"
    view: View = getattr(gemm, side)
    if not view.same_place(whole) and not view.T.same_place(whole):
        return None
    # The axis of the factor along which samples stand: that of its columns (1) or rows (0).
    axis = (1 if sample else 0) ^ view.turned
    return side, axis == (1 if side == "left" else 0)


def _made_again(plan: Plan, call: Call, products: Sequence[Gemm], sample: int) -> Plan:
    """Return the plan with windows taken sample by sample in front of each product that reads them."""
    rule = call.map
    assert rule is not None
    name = call.writes[0].buffer
    axis = 1 if sample else 0
    one = _of_one_sample(rule, sample)
    rows, cols = one.shape
    along, places = one.source_shape[axis], one.shape[axis]
    last = sp.expand(rule.sizes[sample] - 1)
    index = sp.Symbol(f"{name}_sample", integer=True)
    small = replace(plan.buffers[name], rows=rows, cols=cols)
    taken = replace(call, reads=(_part(call.reads[0], axis, index, along),), writes=(small.whole(),), map=one)

    def apart(gemm: Kernel) -> tuple[Kernel, ...]:
        assert isinstance(gemm, Gemm)
        found = _side(gemm, name, plan.buffers[name].whole(), sample)
        assert found is not None
        side, summed = found
        turned = getattr(gemm, side).turned
        factor = small.whole().T if turned else small.whole()
        if summed:
            # The other factor's samples stand along the side that is summed over.
            other: View = gemm.right if side == "left" else gemm.left
            block = _part(other, 0 if side == "left" else 1, index, places)
            first = (Nest((Put(gemm.out, ZERO, source=gemm.source),)),) if not gemm.accumulate else ()
            kept = replace(gemm, accumulate=True)
        else:
            block = gemm.right if side == "left" else gemm.left
            first = ()
            kept = replace(gemm, out=_part(gemm.out, 0 if side == "left" else 1, index, places))
        pair = (factor, block) if side == "left" else (block, factor)
        product = replace(kept, left=pair[0], right=pair[1])
        return (*first, Loop(index, sp.S.Zero, last, (taken, product)))

    body: list[Kernel] = []
    for kernel in plan.body:
        if kernel is call:
            continue
        body += apart(kernel) if any(kernel is p for p in products) else (kernel,)
    return plan.with_body(body).with_buffers(small)


def _part(view: View, axis: int, index: sp.Symbol, length: Size) -> View:
    """Return the block of a sample along an axis of a view."""
    start = index * length
    if axis == 1:
        return view.block(sp.S.Zero, start, view.rows, length)
    return view.block(start, sp.S.Zero, length, view.cols)


def _sample(rule: StaticMap) -> int | None:
    """Return the digit that counts samples: in the result and in the source the slowest of the side of the windows."""
    for k, side in ((len(rule.rows), rule.source_cols), (0, rule.source_rows)):
        sizes = rule.cols if k else rule.rows
        if not sizes or not any(len(d.moving) > 1 for d in side[1:]):
            continue
        digit, others = side[0], [d for d in rule.digits if d is not side[0]]
        alone = digit.moving == (k,) and digit.coefficients[k] == 1 and digit.offset == 0
        if alone and same_size(digit.size, sizes[0]) and all(k not in d.moving for d in others):
            return k
    return None


def _of_one_sample(rule: StaticMap, sample: int) -> StaticMap:
    """Return the map for a single sample."""
    name, back, detail, rows, cols, source_rows, source_cols = rule.args
    first = sp.Tuple(sp.S.One)
    if sample:
        digit = source_cols.args[0].func(sp.S.One, *source_cols.args[0].args[1:])
        return rule.func(
            name, back, detail, rows, first + cols[1:], source_rows, sp.Tuple(digit, *source_cols.args[1:])
        )
    digit = source_rows.args[0].func(sp.S.One, *source_rows.args[0].args[1:])
    return rule.func(name, back, detail, first + rows[1:], cols, sp.Tuple(digit, *source_rows.args[1:]), source_cols)


def _body(plan: Plan, gemm: Gemm, call: Call, one: StaticMap, axis: int, index: sp.Symbol) -> tuple[Kernel, Kernel]:
    """Return product and scatter of the sample that an index counts."""
    rows, cols = one.shape
    out = replace(gemm.out, rows=rows, cols=cols)
    left, right = gemm.left, gemm.right
    if axis == 1:
        right = _part(right, 1, index, cols)
    else:
        left = _part(left, 0, index, rows)
    product = replace(gemm, out=out, left=left, right=right)
    target = _part(call.writes[0], axis, index, one.source_shape[axis])
    return product, replace(call, reads=(out,), writes=(target,), map=one)
