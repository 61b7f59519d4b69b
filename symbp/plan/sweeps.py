"""Nests as loops over numbers: the outer loop over steps, and the sweeps of an inner loop in each of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from symbp.expr import Function, Size, is_one, same_size
from symbp.plan.dependence import can_follow
from symbp.plan.fusion import slow_axis
from symbp.plan.ir import Apply, Expr, Gemm, Nest, Plan, Put, View, reads, views, walk, writes


@dataclass(frozen=True)
class Sweep:
    """Statements that run together for each entry along the inner axis.

    puts:   the statements.
    extent: how many entries; 1 if the statements run once.
    single: values that only this sweep needs, one entry at a time.
    """

    puts: tuple[Put, ...]
    extent: Size
    single: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Steps:
    """A nest as loops.

    axis:    the axis of the outer loop; the inner one is the other.
    extent:  how many steps.
    sweeps:  what is done in each step.
    cleared: the targets that are summed up over the steps, with the statement that does it: they begin empty.
    held:    values of one step, one number each.
    """

    axis: int
    extent: Size
    sweeps: tuple[Sweep, ...]
    cleared: tuple[Put, ...]
    held: frozenset[str] = frozenset()


def steps_of(plan: Plan, nest: Nest, uses: dict[str, int]) -> Steps:
    """Return a nest as loops.

    uses: in how many kernels each buffer is used.
    """
    axis, extent = nest.axis, nest.extent
    if axis is None:
        (put,) = nest.puts
        leader = _leader(put)
        axis = slow_axis(leader, plan.buffers[leader.buffer].order)
        if put.op == "argmax" and axis in put.over:
            axis = 1 - axis  # a place is found along the inner axis
        extent = put.domain[axis]
    inner = 1 - axis
    groups: list[list[Put]] = []
    for put in nest.puts:
        if groups and _joins(groups[-1], put, axis, inner):
            groups[-1].append(put)
        else:
            groups.append([put])
    own = {n for n in _names(nest.puts) if _temporary(plan, n, uses)}
    held = {n for n in own if _is_number(plan, n)}
    sweeps = []
    for group in groups:
        elsewhere = {n for g in groups if g is not group for n in _names(g)}
        single = frozenset(
            n for n in own - held if n in _names(group) and n not in elsewhere and _one_at_a_time(plan, group, n, axis)
        )
        sweeps.append(Sweep(tuple(group), _inner_extent(group[0], inner), single))
    cleared = tuple(p for p in nest.puts if axis in p.over and not p.accumulate)
    return Steps(axis, extent, tuple(sweeps), cleared, frozenset(held))


def used_in(plan: Plan) -> dict[str, int]:
    """Return in how many kernels each buffer is used."""
    found: dict[str, int] = {}
    for kernel in walk(plan.body):
        for name in {v.buffer for v in (*reads(kernel), *writes(kernel))}:
            found[name] = found.get(name, 0) + 1
    return found


def registers(plan: Plan) -> frozenset[str]:
    """Return the temporaries that need no memory: numbers of one step or of one entry."""
    uses = used_in(plan)
    found: set[str] = set()
    for kernel in walk(plan.body):
        nest = kernel if isinstance(kernel, Nest) else kernel.epilogue if isinstance(kernel, Gemm) else None
        if nest is None or (nest.axis is None and len(nest.puts) != 1):
            continue
        steps = steps_of(plan, nest, uses)
        found |= steps.held | {n for s in steps.sweeps for n in s.single}
        if isinstance(kernel, Gemm):
            found.discard(kernel.out.buffer)
    return frozenset(found)


def _leader(put: Put) -> View:
    full = [v for v in (put.target, *views(put.value)) if all(map(same_size, v.shape, put.domain))]
    return full[0] if full else put.target


def _inner_extent(put: Put, inner: int) -> Size:
    return put.domain[inner]


def _joins(group: Sequence[Put], put: Put, axis: int, inner: int) -> bool:
    first = group[0]
    if not same_size(first.domain[inner], put.domain[inner]):
        return False
    if is_one(put.domain[inner]):
        return True
    # A sum along the entries is one chain of additions: beside it nothing else would run several at a time.
    reduces = [inner in p.over for p in (*group, put)]
    if any(reduces) and (any(_calls(p.value) for p in (*group, put)) or len(set(reduces)) > 1):
        return False
    return can_follow(group, put, inner, put.domain[inner])


def _calls(e: Expr) -> bool:
    return (isinstance(e, Apply) and isinstance(e.op, Function)) or any(_calls(a) for a in e.args)


def _names(puts: Iterable[Put]) -> set[str]:
    return {v.buffer for p in puts for v in (p.target, *views(p.value))}


def _temporary(plan: Plan, name: str, uses: dict[str, int]) -> bool:
    buffer = plan.buffers[name]
    return buffer.role == "scratch" and name not in plan.outputs and uses.get(name, 0) == 1 and not buffer.indices


def _is_number(plan: Plan, name: str) -> bool:
    return is_one(plan.buffers[name].rows) and is_one(plan.buffers[name].cols)


def _one_at_a_time(plan: Plan, group: Sequence[Put], name: str, axis: int) -> bool:
    """Tell whether a value is written and read at the present entry only, within one step."""
    buffer = plan.buffers[name]
    if buffer.window or not is_one((buffer.rows, buffer.cols)[_axis_in_memory(group, name, axis)]):
        return False
    written = False
    for put in group:
        if any(v.buffer == name for v in views(put.value)) and not written:
            return False
        if put.target.buffer == name:
            if put.over or put.accumulate:
                return False
            written = True
    return True


def _axis_in_memory(group: Sequence[Put], name: str, axis: int) -> int:
    view = next(v for p in group for v in (p.target, *views(p.value)) if v.buffer == name)
    return axis ^ view.turned
