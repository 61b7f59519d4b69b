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
from symbp.program import fresh_name

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
        if first.index in _bound(second.body):
            return None  # an inner loop over the same name would capture the index
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


def _bound(body: Sequence[Kernel]) -> set[sp.Symbol]:
    """Return the indices that loops and sums of members inside bind."""
    found: set[sp.Symbol] = set()
    for kernel in body:
        if isinstance(kernel, Loop):
            found |= {kernel.index} | _bound(kernel.body)
        elif isinstance(kernel, Gemm):
            found |= {index for index, _, _ in kernel.stacked}
    return found


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
    """Keep as few members of a family as are alive at once.

    The index of a loop is dropped where each iteration touches members of its own only; all indices are dropped where
    every value is read in the iteration that writes it, or in the next one.
    """
    for name in list(plan.buffers):
        if not _kept(plan, plan.buffers[name]):
            plan = _own_members(plan, plan.buffers[name])
        if not _kept(plan, plan.buffers[name]):
            buffer = plan.buffers[name]
            plan = _apart(plan, buffer) if _read_where_written(plan.body, buffer) else _carried(plan, buffer) or plan
    return plan


def _kept(plan: Plan, buffer: Buffer) -> bool:
    """Tell whether a buffer must stay as it is: no family, or one that others see."""
    shapes = buffer.rows.free_symbols | buffer.cols.free_symbols
    seen = buffer.role != "scratch" or buffer.name in plan.outputs
    return seen or not buffer.indices or bool(buffer.levels) or bool(shapes & set(buffer.indices))


def _own_members(plan: Plan, buffer: Buffer) -> Plan:
    """Drop the indices of those loops in which each iteration touches members of its own only."""
    drop: set[int] = set()
    body: Sequence[Kernel] = plan.body
    while True:
        homes = [k for k in body if _accesses(k, buffer.name)]
        if len(homes) != 1 or not isinstance(homes[0], Loop):
            break
        loop, body = homes[0], homes[0].body
        every = [v.where for v in _accesses(loop, buffer.name)]
        drop |= {
            k for k, place in enumerate(every[0])
            if place.has(loop.index) and all(same_size(place, where[k]) for where in every)
        }
    if not drop:
        return plan
    keep = [k for k in range(len(buffer.indices)) if k not in drop]

    def change(view: View) -> View:
        return replace(view, where=tuple(view.where[k] for k in keep)) if view.buffer == buffer.name else view

    smaller = replace(
        buffer, indices=tuple(buffer.indices[k] for k in keep), lows=tuple(buffer.lows[k] for k in keep),
        highs=tuple(buffer.highs[k] for k in keep),
    )
    return plan.with_buffers(smaller).with_body(tuple(map_views(k, change) for k in plan.body))


def _accesses(kernel: Kernel, name: str) -> list[View]:
    return [v for v in (*reads(kernel), *writes(kernel)) if v.buffer == name]


def _read_where_written(body: Sequence[Kernel], buffer: Buffer) -> bool:
    """Tell whether every member is read only in the iteration that writes it, before that writes another one."""
    now: tuple[Size, ...] | None = None
    for kernel in body:
        if isinstance(kernel, Loop):
            if _accesses(kernel, buffer.name):
                if not _read_where_written(kernel.body, buffer):
                    return False
                now = None
            continue
        read = {v.where for v in reads(kernel) if v.buffer == buffer.name}
        if not read <= {now}:
            return False
        for view in writes(kernel):
            if view.buffer == buffer.name and view.where != now:
                if read or not _sets_all(kernel, buffer):
                    return False  # one value is made of another: both are alive
                now = view.where
    return True


def _sets_all(kernel: Kernel, buffer: Buffer) -> bool:
    """Tell whether a kernel gives every entry of a member a new value."""
    targets = [kernel.out] if isinstance(kernel, Gemm) and not kernel.accumulate else []
    targets += [p.target for p in puts(kernel) if not p.accumulate]
    return any(
        v.buffer == buffer.name and v.row == v.col == 0
        and all(map(same_size, (v.cols, v.rows) if v.turned else v.shape, buffer.shape))
        for v in targets
    )


def _apart(plan: Plan, buffer: Buffer) -> Plan:
    """Give each place that writes members, and reads what it wrote, one member in a buffer of its own."""
    made: list[Buffer] = []

    def visit(body: Sequence[Kernel]) -> tuple[Kernel, ...]:
        out: list[Kernel] = []
        now: tuple[Size, ...] | None = None
        for kernel in body:
            if isinstance(kernel, Loop):
                out.append(replace(kernel, body=visit(kernel.body)))
                continue
            written = next((v.where for v in writes(kernel) if v.buffer == buffer.name), now)
            if written != now:
                name = fresh_name(buffer.name, [*plan.buffers, *(b.name for b in made)]) if made else buffer.name
                made.append(replace(buffer, name=name, indices=(), lows=(), highs=()))
                now = written
            out.append(_moved(kernel, buffer.name, made[-1].name) if made else kernel)
        return tuple(out)

    body = visit(plan.body)
    return plan.with_buffers(*made).with_body(body)


def _moved(kernel: Kernel, old: str, new: str) -> Kernel:
    """Return a kernel with the members of a family replaced by one buffer."""
    return map_views(kernel, lambda v: replace(v, buffer=new, where=()) if v.buffer == old else v)


def _single(plan: Plan, buffer: Buffer) -> Plan:
    """Return the plan with one member of a family for all."""
    single = replace(buffer, indices=(), lows=(), highs=())
    return plan.with_buffers(single).with_body(tuple(_moved(k, buffer.name, buffer.name) for k in plan.body))


def _carried(plan: Plan, buffer: Buffer) -> Plan | None:
    """Keep one member of a family that one loop uses, where each value is read in the next iteration too."""
    homes = [k for k in plan.body if _accesses(k, buffer.name)]
    clears = [k for k in homes if _clears(k, buffer.name)]
    loops = [k for k in homes if isinstance(k, Loop) and k not in clears]
    if not clears or len(buffer.indices) != 1 or len(loops) != 1 or len(homes) != len(clears) + 1:
        return None
    loop = loops[0]
    if any(isinstance(k, Loop) for k in loop.body):
        return None
    written = {v.where[0] for k in loop.body for v in writes(k) if v.buffer == buffer.name}
    read = [v.where[0] for k in loop.body for v in reads(k) if v.buffer == buffer.name]
    if len(written) != 1:
        return None
    place = written.pop()
    gaps = {sp.expand(place - r) for r in read}
    forward = sp.S.NegativeOne if loop.down else sp.S.One
    if sp.expand(place - loop.index).has(loop.index) or not {forward} <= gaps <= {sp.S.Zero, forward}:
        return None
    # What the last iteration left is read before this one writes, and not after.
    order = [
        (any(v.buffer == buffer.name and sp.expand(place - v.where[0]) == forward for v in reads(k)),
         any(v.buffer == buffer.name for v in writes(k)))
        for k in loop.body
    ]
    first_write = next(n for n, (_, w) in enumerate(order) if w)
    if any(r for r, _ in order[first_write:]):
        return None
    if sp.S.Zero in gaps and not _after(loop, buffer.name, place, first_write):
        return None
    # The loop that clears every member clears the one that is left.
    body = [k.body[0] if k in clears and isinstance(k, Loop) else k for k in plan.body]
    return _single(plan.with_body(body), buffer)


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
