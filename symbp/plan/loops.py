"""Loops over families: which run together and in which direction, which sums become one product, what is carried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sympy as sp

from symbp.expr import Size, same_size
from symbp.plan.dependence import conflict
from symbp.plan.ir import (
    ZERO, Buffer, Expr, Gemm, Kernel, Loop, Nest, Number, Plan, Put, View, map_kernels, map_leaves, map_views, puts,
    reads, views, walk, writes,
)
from symbp.plan.storage import neighbours

# ---------------------------------------------------------------------------------------------------------
# Sums of products as one product


def stack_products(plan: Plan) -> Plan:
    """Turn a sum of products that memory does not allow as one large product into a loop that adds them up.

    One large product is possible where the members of both families follow each other in memory along the inner side:
    ``sum_t Z[t] H[t-1]^T`` is ``Z H^T`` with the steps behind each other.
    """
    def change(kernel: Kernel) -> Sequence[Kernel]:
        if not isinstance(kernel, Gemm) or not kernel.stacked or stackable(plan, kernel):
            return (kernel,)
        inner: Kernel = replace(kernel, stacked=(), accumulate=True)
        for index, low, high in reversed(kernel.stacked):
            inner = Loop(index, low, high, (inner,))
        clear = () if kernel.accumulate else (Nest((Put(kernel.out, ZERO, source=kernel.source),)),)
        return (*clear, inner)

    return plan.with_body(map_kernels(plan.body, change))


def stackable(plan: Plan, kernel: Gemm) -> bool:
    """Tell whether the members of both operands follow each other in memory along the inner side."""
    if len(kernel.stacked) != 1:
        return False
    index = kernel.stacked[0][0]
    return _runs_on(plan, kernel.left, 1, index) and _runs_on(plan, kernel.right, 0, index)


def _runs_on(plan: Plan, view: View, inner: int, index: sp.Symbol) -> bool:
    buffer = plan.buffers[view.buffer]
    if not view.where or buffer.levels or sp.expand(view.where[-1] - index).has(index):
        return False
    if any(w.has(index) for w in view.where[:-1]):
        return False
    rows, cols = (view.cols, view.rows) if view.turned else view.shape
    if not (view.row == 0 and view.col == 0 and same_size(rows, buffer.rows) and same_size(cols, buffer.cols)):
        return False
    if buffer.rows.free_symbols & plan.capacity.keys() or buffer.cols.free_symbols & plan.capacity.keys():
        return False  # a shorter batch leaves gaps
    # The inner side is the slow one: the next member begins where this one's last slice ends.
    along = neighbours(view, buffer.order)
    return along is None or along != inner


# ---------------------------------------------------------------------------------------------------------
# Loops that run together


def fuse_loops(plan: Plan) -> Plan:
    """Let loops over one range run together where every read still comes after its definition.

    A loop without order of its own takes the direction of the one that it joins.
    """
    return plan.with_body(_together(_cleared_early(plan.body)))


def _cleared_early(body: Sequence[Kernel]) -> tuple[Kernel, ...]:
    """Move what sets a sum to zero to the front, where it keeps no loops apart."""
    done: list[Kernel] = []
    for kernel in body:
        place = len(done)
        if isinstance(kernel, Nest) and all(p.value == ZERO for p in kernel.puts):
            while place and not conflict(done[place - 1], kernel, same_iteration=False):
                place -= 1
        done.insert(place, kernel)
    return tuple(done)


def _together(body: Sequence[Kernel]) -> tuple[Kernel, ...]:
    done: list[Kernel] = []
    for kernel in body:
        if not isinstance(kernel, Loop):
            done.append(kernel)
            continue
        kernel = replace(kernel, body=_together(kernel.body))
        for k in range(len(done) - 1, -1, -1):
            other = done[k]
            if isinstance(other, Loop):
                joined = _join(other, kernel)
                if joined is not None:
                    done[k] = replace(joined, body=_together(joined.body))
                    break
            if conflict(other, kernel, same_iteration=False):
                done.append(kernel)
                break
        else:
            done.append(kernel)
    return tuple(done)


def _join(first: Loop, second: Loop) -> Loop | None:
    if not (same_size(first.low, second.low) and same_size(first.high, second.high)):
        return None
    renamed = second
    if second.index != first.index:
        mapping: dict[sp.Expr, sp.Expr] = {second.index: first.index}
        renamed = replace(
            second, index=first.index, body=tuple(_renamed(k, mapping) for k in second.body)
        )
    for turn_first, turn_second in ((False, False), (False, True), (True, False)):
        if (turn_first and not free_of_order(first)) or (turn_second and not free_of_order(second)):
            continue
        down = first.down ^ turn_first
        if down != (renamed.down ^ turn_second):
            continue
        if _may_follow(first, renamed, down):
            return replace(first, body=(*first.body, *renamed.body), down=down)
    return None


def _renamed(kernel: Kernel, mapping: dict[sp.Expr, sp.Expr]) -> Kernel:
    """Return a kernel with an index renamed: in members and in numbers."""
    def leaf(e: Expr) -> Expr:
        return Number(e.value.xreplace(mapping)) if isinstance(e, Number) else e

    def nest(n: Nest) -> Nest:
        return replace(n, puts=tuple(replace(p, value=map_leaves(p.value, leaf)) for p in n.puts))

    if isinstance(kernel, Loop):
        return replace(kernel, body=tuple(_renamed(k, mapping) for k in kernel.body))
    kernel = map_views(kernel, lambda v: v.at(mapping))
    if isinstance(kernel, Gemm):
        epilogue = kernel.epilogue and nest(kernel.epilogue)
        return replace(kernel, alpha=kernel.alpha.xreplace(mapping), epilogue=epilogue)
    return nest(kernel) if isinstance(kernel, Nest) else kernel


def free_of_order(loop: Loop) -> bool:
    """Tell whether the iterations of a loop may run in any order: none reads what another one wrote, sums apart."""
    written = [v for k in loop.body for v in writes(k)]
    read = [v for k in loop.body for v in reads(k)]
    for view in written:
        if _step(view, loop.index) is None:
            # One place for all iterations: a sum may be added up in any order, a temporary is written first.
            if not (_only_sums(loop, view.buffer) or _temporary(loop, view.buffer)):
                return False
            continue
        for other in read:
            if other.buffer == view.buffer and _distance(view, other, loop.index) != 0:
                return False
    return True


def _only_sums(loop: Loop, buffer: str) -> bool:
    for kernel in walk(loop.body):
        if isinstance(kernel, Gemm):
            if buffer in (kernel.left.buffer, kernel.right.buffer):
                return False
            if kernel.out.buffer == buffer and not kernel.accumulate:
                return False
        for put in puts(kernel):
            if any(v.buffer == buffer for v in views(put.value)):
                return False
            if put.target.buffer == buffer and not put.accumulate:
                return False
    return True


def _temporary(loop: Loop, buffer: str) -> bool:
    """Tell whether a buffer without the loop's index is written in each iteration before it is read."""
    for kernel in walk(loop.body):
        if any(v.buffer == buffer for v in reads(kernel)):
            return False
        if any(v.buffer == buffer for v in writes(kernel)):
            return True
    return False


def _step(view: View, index: sp.Symbol) -> int | None:
    """Return the position of the index of a member that runs with a loop; None if none does."""
    return next((k for k, w in enumerate(view.where) if w.has(index)), None)


def _distance(written: View, read: View, index: sp.Symbol) -> Size | None:
    """Return by how many iterations a read lies behind the definition of what it reads (upwards); None: unknown."""
    k = _step(written, index)
    if k is None or _step(read, index) != k:
        return None
    gap = sp.expand(written.where[k] - read.where[k])
    if gap.has(index) or sp.expand(written.where[k] - index).has(index):
        return None
    return gap


def _may_follow(first: Loop, second: Loop, down: bool) -> bool:
    """Tell whether each iteration of the second may follow that of the first, instead of all of them."""
    pairs = [
        *((w, r) for k in first.body for w in writes(k) for j in second.body for r in (*reads(j), *writes(j))),
        *((r, w) for k in first.body for r in reads(k) for j in second.body for w in writes(j)),
    ]
    for mine, theirs in pairs:
        if mine.buffer != theirs.buffer:
            continue
        gap = _distance(mine, theirs, first.index)
        if gap is None or not gap.is_Integer:
            return False
        # The second touches in iteration t what the first touched in iteration t - gap: that must not come later.
        if (gap < 0) if not down else (gap > 0):
            return False
    return True


# ---------------------------------------------------------------------------------------------------------
# Carried values


def carry(plan: Plan) -> Plan:
    """Keep one member of a family that only one loop uses, each within its iteration or from one to the next."""
    for name, buffer in list(plan.buffers.items()):
        if buffer.role != "scratch" or name in plan.outputs or len(buffer.indices) != 1 or buffer.levels:
            continue
        plan = _carried(plan, buffer) or plan
    return plan


def _carried(plan: Plan, buffer: Buffer) -> Plan | None:
    homes = [k for k in plan.body if any(v.buffer == buffer.name for v in (*reads(k), *writes(k)))]
    clears = [k for k in homes if _clears(k, buffer.name)]
    loops = [k for k in homes if isinstance(k, Loop) and k not in clears]
    if len(loops) != 1 or len(homes) != len(clears) + 1 or any(isinstance(k, Loop) for k in loops[0].body):
        return None
    loop = loops[0]
    written = {v.where[0] for k in loop.body for v in writes(k) if v.buffer == buffer.name}
    read = [v.where[0] for k in loop.body for v in reads(k) if v.buffer == buffer.name]
    if len(written) != 1:
        return None
    place = written.pop()
    gaps = {sp.expand(place - r) for r in read}
    forward = sp.S.NegativeOne if loop.down else sp.S.One
    if sp.expand(place - loop.index).has(loop.index) or not gaps <= {sp.S.Zero, forward}:
        return None
    if forward in gaps:
        # What the last iteration left is read before this one writes, and not after.
        order = [
            (any(v.buffer == buffer.name and sp.expand(place - v.where[0]) == forward for v in reads(k)),
             any(v.buffer == buffer.name for v in writes(k)))
            for k in loop.body
        ]
        first_write = next(n for n, (_, w) in enumerate(order) if w)
        if any(r for r, _ in order[first_write:]) or not clears:
            return None
        if sp.S.Zero in gaps and not _after(loop, buffer.name, place, first_write):
            return None
    elif clears:
        return None
    single = replace(buffer, indices=(), lows=(), highs=())

    def change(view: View) -> View:
        return replace(view, where=()) if view.buffer == buffer.name else view

    body: list[Kernel] = []
    for kernel in plan.body:
        if kernel in clears:
            inner = kernel.body[0] if isinstance(kernel, Loop) else kernel
            body.append(map_views(inner, change))
        else:
            body.append(map_views(kernel, change))
    return plan.with_buffers(single).with_body(body)


def _after(loop: Loop, name: str, place: Size, first_write: int) -> bool:
    return all(
        n >= first_write
        for n, k in enumerate(loop.body) for v in reads(k) if v.buffer == name and same_size(v.where[0], place)
    )


def _clears(kernel: Kernel, name: str) -> bool:
    """Tell whether a kernel does nothing but set a buffer to zero."""
    inner = kernel.body[0] if isinstance(kernel, Loop) and len(kernel.body) == 1 else kernel
    return (
        isinstance(inner, Nest) and len(inner.puts) == 1 and inner.puts[0].value == ZERO
        and inner.puts[0].target.buffer == name and not inner.puts[0].over
    )
