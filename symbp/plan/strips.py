"""Windows of one sample at a time: a product whose result is only added up by a map is made, and added up, in strips.

The gradient of the windows of all samples, ``Pbar = K^T Zbar``, is many times as large as the maps that it is added up
to (``col2im``).  Where it is larger than a cache, and the map keeps samples apart, each sample's part is made and added
up before the next one: implicit ``col2im``, in place of an explicit buffer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import sympy as sp

from symbp.expr import Size, StaticMap, same_size
from symbp.plan.dependence import writers
from symbp.plan.ir import Call, Gemm, Kernel, Loop, Plan, View, map_kernels, reads, walk, writes

CACHE = 65_536
"""From so many entries on a buffer of windows is taken apart: about what stays in a cache next to a core."""


def windows_by_sample(plan: Plan) -> Plan:
    """Make and add up windows sample by sample, where those of all samples together are larger than a cache."""
    count = writers(plan)
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
    def part(view: View, length: Size) -> View:
        start = index * length
        if axis == 1:
            return view.block(sp.S.Zero, start, view.rows, length)
        return view.block(start, sp.S.Zero, length, view.cols)

    rows, cols = one.shape
    out = replace(gemm.out, rows=rows, cols=cols)
    left, right = gemm.left, gemm.right
    if axis == 1:
        right = part(right, cols)
    else:
        left = part(left, rows)
    product = replace(gemm, out=out, left=left, right=right)
    return product, replace(call, reads=(out,), writes=(part(call.writes[0], one.source_shape[axis]),), map=one)
