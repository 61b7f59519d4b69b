"""Liveness: from which kernel to which each temporary is needed, and temporaries that share memory."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import sympy as sp

from symbp.plan.dependence import aligned, apart
from symbp.plan.ir import Gemm, Kernel, Loop, Nest, Plan, Put, View, reads, views, writes

ALIGNED = 1024
"""Temporaries of at least so many entries begin at a multiple of ``LINE`` entries."""

LINE = 16


@dataclass(frozen=True)
class Life:
    """From the first to the last position at which a temporary is in use, in order of execution; both included."""

    first: int
    last: int


def lives(plan: Plan) -> dict[str, Life]:
    """Return the life of each temporary; what lives across iterations of a loop lives as long as the loop."""
    found: dict[str, Life] = {}
    position = 0

    def extend(name: str, first: int, last: int) -> None:
        known = found.get(name)
        found[name] = Life(min(first, known.first), max(last, known.last)) if known else Life(first, last)

    def visit(body: Sequence[Kernel]) -> None:
        nonlocal position
        for kernel in body:
            if isinstance(kernel, Loop):
                start = position
                visit(kernel.body)
                private = _private(plan, kernel)
                for name in sorted(touched(kernel) - private):
                    extend(name, start + 1, position)
                continue
            position += 1
            for name in sorted(touched(kernel)):
                extend(name, position, position)

    visit(plan.body)
    return {n: life for n, life in found.items() if plan.buffers[n].role == "scratch"}


def touched(kernel: Kernel) -> set[str]:
    """Return the buffers that a kernel reads or writes, packed factors included."""
    if isinstance(kernel, Loop):
        return {name for k in kernel.body for name in touched(k)}
    found = {v.buffer for v in (*reads(kernel), *writes(kernel))}
    if isinstance(kernel, Gemm) and kernel.form is not None and kernel.form.panel:
        found.add(kernel.form.panel)
    return found


def _private(plan: Plan, loop: Loop) -> set[str]:
    """Return the buffers without members that each iteration writes wholly before it reads them."""
    seen: set[str] = set()
    private: set[str] = set()
    written: dict[str, list[View]] = {}

    def visit(body: Sequence[Kernel]) -> None:
        for kernel in body:
            if isinstance(kernel, Loop):
                visit(kernel.body)
                continue
            seen.update(v.buffer for v in (_first_reads(kernel) if isinstance(kernel, (Nest, Gemm)) else reads(kernel)))
            for view in writes(kernel):
                name = view.buffer
                if name not in seen and name not in private and not view.where:
                    written.setdefault(name, []).append(view)
                    if _whole(plan, written[name]):
                        private.add(name)
                        seen.add(name)

    visit(loop.body)
    return private


def _whole(plan: Plan, blocks: Sequence[View]) -> bool:
    """Tell whether blocks of one buffer make up all of it: they are apart, and as many entries."""
    buffer = plan.buffers[blocks[0].buffer]
    if any(not apart(a, b) for a, b in itertools.combinations(blocks, 2)):
        return _whole(plan, blocks[-1:]) if len(blocks) > 1 else False
    return sp.expand(sum(v.rows * v.cols for v in blocks) - buffer.rows * buffer.cols) == 0


def _first_reads(kernel: Kernel) -> Iterator[View]:
    """Yield what a kernel reads before it has written it itself."""
    written: set[str] = set()
    if isinstance(kernel, Gemm):
        yield kernel.left
        yield kernel.right
        if kernel.accumulate:
            yield kernel.out
        written.add(kernel.out.buffer)
    nest = kernel if isinstance(kernel, Nest) else kernel.epilogue if isinstance(kernel, Gemm) else None
    for put in nest.puts if nest is not None else ():
        yield from (v for v in views(put.value) if v.buffer not in written)
        if put.accumulate and put.target.buffer not in written:
            yield put.target
        written.add(put.target.buffer)


def entries_of(plan: Plan, name: str) -> int:
    """Return how many entries a temporary holds."""
    return int(plan.buffers[name].entries.xreplace(dict(plan.capacity)))


def bound(plan: Plan, ignored: frozenset[str] = frozenset()) -> int:
    """Return the largest sum of entries of temporaries that are alive together: no storage can be smaller."""
    known = {n: life for n, life in lives(plan).items() if n not in ignored}
    inplace = in_place(plan, known)
    last = max((life.last for life in known.values()), default=0)
    changes = [0] * (last + 2)
    for name, life in known.items():
        changes[life.first] += entries_of(plan, name)
        changes[life.last + 1] -= entries_of(plan, name)
    sums = list(itertools.accumulate(changes))
    for heir, giver in inplace.items():
        sums[known[heir].first] -= min(entries_of(plan, heir), entries_of(plan, giver))
    return max(sums)


def in_place(plan: Plan, known: Mapping[str, Life]) -> dict[str, str]:
    """Return the temporaries that may take the place of another one: step by step, after its last read.

    The earlier one ends in the kernel in which the later one begins; in each step it is read before the later is
    written, and both have one shape and one order.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    kernels = list(_linear(plan.body))
    ending: dict[int, list[str]] = {}
    for name, life in known.items():
        ending.setdefault(life.last, []).append(name)
    for heir, life in known.items():
        kernel = kernels[life.first - 1]
        nest = kernel if isinstance(kernel, Nest) else None
        if nest is None or nest.axis is None:
            continue
        for giver in ending.get(life.first, ()):
            other = known[giver]
            if giver == heir or giver in taken or other.first == other.last:
                continue
            if other.first == life.first or not _alike(plan, heir, giver):
                continue
            if _step_by_step(nest, heir, giver):
                found[heir] = giver
                taken.add(giver)
                break
    return found


def _linear(body: Sequence[Kernel]) -> Iterator[Kernel]:
    for kernel in body:
        if isinstance(kernel, Loop):
            yield from _linear(kernel.body)
        else:
            yield kernel


def _alike(plan: Plan, a: str, b: str) -> bool:
    x, y = plan.buffers[a], plan.buffers[b]
    return (x.shape, x.order, x.window) == (y.shape, y.order, y.window) and not x.indices and not y.indices


def _step_by_step(nest: Nest, heir: str, giver: str) -> bool:
    assert nest.axis is not None
    written: Put | None = None
    for put in nest.puts:
        given = [v for v in views(put.value) if v.buffer == giver]
        if given and written is not None:
            return False  # the place is another's already
        if put.target.buffer == heir and written is None:
            written = put
            if put.over or put.accumulate:
                return False
        if put.target.buffer == giver:
            return False
        if given and put.target.buffer != heir and nest.axis in put.over:
            continue
        for view in given:
            if put.target.buffer == heir and not _same_slice(put, view):
                return False
    if written is None:
        return False
    return all(
        aligned(replace(v, buffer=heir), written.target, nest.axis, nest.extent)
        for put in nest.puts for v in views(put.value) if v.buffer == giver
    )


def _same_slice(put: Put, view: View) -> bool:
    return view.shape == put.target.shape and view.turned == put.target.turned


def share(plan: Plan, ignored: frozenset[str] = frozenset()) -> Plan:
    """Give each temporary its place in one block, so that two share memory only if they are never alive together.

    ignored: temporaries that need no memory (values in registers).
    """
    known = {n: life for n, life in lives(plan).items() if n not in ignored}
    heirs = in_place(plan, known)
    sizes = {n: entries_of(plan, n) for n in known}
    by_size = sorted(known, key=lambda n: (-sizes[n], known[n].first, n))
    least, best, block = bound(plan, ignored), {}, -1
    for order in _orders(known, sizes, by_size):
        places = _placed(order, known, heirs, sizes)
        end = max((places[n] + sizes[n] for n in places), default=0)
        if block < 0 or end < block:
            best, block = places, end
        if block <= least * CLOSE:
            break
    return replace(plan, storage=best, block=max(block, 0))


CLOSE = 1.02
"""A block that exceeds the bound by no more is good enough."""

TRIES = 200
"""How many orders are tried for few temporaries; for many only the plain ones."""


def _orders(known: Mapping[str, Life], sizes: Mapping[str, int], by_size: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield orders in which temporaries get their places: the largest first, and variations of that."""
    yield by_size
    yield sorted(known, key=lambda n: (known[n].first - known[n].last, -sizes[n], n))
    yield sorted(known, key=lambda n: (-sizes[n] * (known[n].last - known[n].first + 1), n))
    yield sorted(known, key=lambda n: (known[n].first, -sizes[n], n))
    if len(known) > 60:
        return
    draw = random.Random(0)
    for _ in range(TRIES):
        order = list(by_size)
        for _ in range(3):
            a, b = draw.randrange(len(order)), draw.randrange(len(order))
            order.insert(b, order.pop(a))
        yield order


def _placed(
    order: Sequence[str], known: Mapping[str, Life], heirs: Mapping[str, str], sizes: Mapping[str, int]
) -> dict[str, int]:
    """Return a place for each temporary, one after the other at the lowest place that is free during its life."""
    places: dict[str, int] = {}
    for name in order:
        size = sizes[name]
        taken = [(places[o], places[o] + sizes[o]) for o in places if _together(known, heirs, name, o)]
        # Heir and giver lie at one place or apart: with a shift, a step would write what the next one reads.
        kin = [(places[o], places[o] + sizes[o]) for o in places if heirs.get(name) == o or heirs.get(o) == name]
        inherited = [
            p for p, _ in kin
            if all(p + size <= a or b <= p for a, b in taken) and all(p + size <= a or b <= p or a == p for a, b in kin)
        ]
        step = LINE if size >= ALIGNED else 1
        place = 0
        for start, end in sorted([*taken, *kin]):
            if place + size <= start:
                break
            place = max(place, -(-end // step) * step)
        places[name] = min(inherited, default=place)
    return places


def _together(known: Mapping[str, Life], heirs: Mapping[str, str], a: str, b: str) -> bool:
    x, y = known[a], known[b]
    if heirs.get(a) == b:
        return x.first < y.last
    if heirs.get(b) == a:
        return y.first < x.last
    return x.first <= y.last and y.first <= x.last
