"""A training step in shards: a few samples go through the whole network before the next, and stay in a cache.

A loss ``c S``, S a sum over samples, has the gradients of its shards added up.  What a shard needs in between, windows
of a convolution above all (implicit im2col), is kept once and not for all samples.  Whether that pays is a matter of
cost: of work against entries moved to and from where they are kept.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from symbp.derivation import Derivation
from symbp.expr import Size, SumOver, walk as parts
from symbp.plan.cost import effort, entries
from symbp.plan.fields import Sizes
from symbp.plan.ir import (
    ZERO, Buffer, Call, Gemm, Kernel, Loop, Nest, Plan, Put, Read, Source, View, map_kernels, map_views, puts, reads,
    walk, writes,
)
from symbp.plan.liveness import bound
from symbp.program import Equation, Program, fresh_name, loops, map_equations

CACHE = 200_000
"""So many entries stay in a cache next to a core: those of a megabyte in float32, but for a fifth."""

GAIN = 0.9
"""Shards must cost less than this part of the whole: what the model does not see is on the side of long loops."""


@dataclass(frozen=True)
class SampleSum:
    """A loss that is a sum over samples, ``c S``.

    derivation: its forward and backward pass, with a symbol for c.
    symbol:     the symbol.
    factor:     what c is, made of sizes.
    """

    derivation: Derivation
    symbol: sp.Symbol
    factor: sp.Expr

    def with_number(self, sizes: Sizes) -> Derivation:
        """Return the derivation with the number that c is for all samples."""
        number = {self.symbol: sizes.value(self.factor)}

        def change(equation: Equation) -> list[Equation]:
            return [replace(equation, value=equation.value.xreplace(number))]

        def changed(program: Program) -> Program:
            return program.replace(body=map_equations(program.body, change))

        known = self.derivation
        return replace(known, forward=changed(known.forward), program=changed(known.program))


def divisible(program: Program) -> bool:
    """Tell whether samples are columns or rows of matrices, not members of families: then a shard is a block."""
    m = program.samples
    if not isinstance(m, sp.Symbol) or program.running:
        return False
    ranges = [end for loop in loops(program.body) for end in (loop.lo, loop.hi)]
    ranges += [e for v in program.variables.values() for b in v.boxes for s in b.sides for e in (*s.lows, *s.highs)]
    ranges += [
        e for s in program.sites for part in parts(s.equation.value) if isinstance(part, SumOver) for e in part.ends
    ]
    return not any(e.has(m) for e in ranges)


def sharded(
    whole: Plan, select: Callable[[int], Plan], declared: Mapping[str, Buffer], *, samples: int, size: int,
    equations: Mapping[Any, Equation],
) -> Plan:
    """Return forward and backward pass of all samples as a loop over shards.

    whole:     the same for all samples at once.
    select:    forward and backward pass of so many samples, with the factor of all.
    declared:  the buffers of the caller, of all samples.
    samples:   how many there are.
    size:      how many of them a shard has, a divisor.
    equations: the equation to be shown for each target.
    """
    one = select(size)
    index = sp.Symbol(fresh_name("shard", {*one.buffers, *declared}), integer=True)
    moved = {
        n: axis for n, b in one.buffers.items() if n in declared
        for axis in (0, 1) if b.shape[axis] != declared[n].shape[axis]
    }

    def block(view: View) -> View:
        axis = moved.get(view.buffer)
        if axis is None:
            return view
        # A declared matrix has its samples along one side, several places of each next to one another.
        length = one.buffers[view.buffer].shape[axis]
        start = index * length
        return replace(view, row=view.row + start) if axis == 0 else replace(view, col=view.col + start)

    body: Sequence[Kernel] = [_shown(map_views(k, block), equations) for k in one.body]
    buffers = {n: declared.get(n, b) for n, b in one.buffers.items()}
    before: list[Kernel] = []
    for name in whole.outputs:
        buffer = buffers[name]
        before.append(_each_member(buffer, lambda v: Put(v, ZERO)))
        added = _added_up(body, name)
        if added is None:
            part = replace(buffer, name=fresh_name(f"{name}_shard", {*buffers, *declared}), role="scratch")
            buffers[part.name] = part

            def renamed(view: View, old: str = name, new: str = part.name) -> View:
                return replace(view, buffer=new) if view.buffer == old else view

            def take(view: View, part: Buffer = part) -> Put:
                return Put(view, Read(replace(view, buffer=part.name)), accumulate=True)

            added = [*(map_views(k, renamed) for k in body), _each_member(buffer, take)]
        body = added
    count = sp.Integer(samples // size)
    loop = Loop(index, sp.S.Zero, count - 1, tuple(body))
    return replace(whole, buffers={**whole.buffers, **buffers}, body=(*before, loop)).used()


def _each_member(buffer: Buffer, put: Callable[[View], Put]) -> Kernel:
    kernel: Kernel = Nest((put(buffer.whole(*buffer.indices)),))
    for index, low, high in reversed(list(zip(buffer.indices, buffer.lows, buffer.highs, strict=True))):
        kernel = Loop(index, low, high, (kernel,))
    return kernel


def _shown(kernel: Kernel, equations: Mapping[Any, Equation]) -> Kernel:
    """Return a kernel that says which equation of the whole network it belongs to."""
    def known(source: Source | None) -> Source | None:
        equation = source and equations.get(source.equation.target)
        return replace(source, equation=equation) if source and equation else source

    if isinstance(kernel, Loop):
        return replace(kernel, body=tuple(_shown(k, equations) for k in kernel.body))
    if isinstance(kernel, Nest):
        return replace(kernel, puts=tuple(replace(p, source=known(p.source)) for p in kernel.puts))
    return replace(kernel, source=known(kernel.source))


def _added_up(body: Sequence[Kernel], name: str) -> list[Kernel] | None:
    """Return kernels that add to a buffer what they would set it to; None where it is read or set in several places."""
    sets = 0
    for kernel in walk(body):
        if any(v.buffer == name for v in reads(kernel)):
            return None
        if isinstance(kernel, Call) and any(v.buffer == name for v in writes(kernel)):
            return None
        for put in puts(kernel):
            if put.target.buffer == name and put.op != "sum":
                return None
            sets += put.target.buffer == name and not put.accumulate and put.value != ZERO
        sets += isinstance(kernel, Gemm) and kernel.out.buffer == name and not kernel.accumulate
    if sets > 1:
        return None

    def change(kernel: Kernel) -> tuple[Kernel, ...]:
        if isinstance(kernel, Gemm) and kernel.out.buffer == name:
            return (replace(kernel, accumulate=True),)
        if isinstance(kernel, Nest) and any(p.target.buffer == name for p in kernel.puts):
            # It is set to zero once, before all shards.
            kept = [p for p in kernel.puts if p.target.buffer != name or p.value != ZERO]
            changed = [replace(p, accumulate=True) if p.target.buffer == name else p for p in kept]
            return (replace(kernel, puts=tuple(changed)),) if changed else ()
        return (kernel,)

    return [k for k in map_kernels(body, change) if not (isinstance(k, Loop) and not k.body)]


def working_set(plan: Plan) -> int:
    """Return how many entries a plan goes through again and again: temporaries alive together, parameters and their
    gradients."""
    kept = [b for b in plan.buffers.values() if b.role in ("param", "gradient")]
    return bound(plan) + int(sp.Add(*map(entries, kept)))


@dataclass(frozen=True)
class Choice:
    """How many samples go through the network at a time, and what that was compared with.

    samples: how many there are.
    size:    how many go at a time: all of them, or those of a shard.
    sets:    the working set of all at once and of the largest shard that fits a cache, in entries.
    efforts: what a step costs either way, in operations.
    """

    samples: int
    size: int
    sets: tuple[int, int]
    efforts: tuple[Size, Size]


def cheapest(whole: Plan, in_shards: Callable[[int], Plan], samples: int) -> tuple[Plan, Choice | None]:
    """Return the plan of all samples at once, or that in the largest shards whose entries stay in a cache if it costs
    clearly less; and what was compared, if anything.

    in_shards: the plan in shards of so many samples.
    """
    everything = working_set(whole)
    if everything <= CACHE:
        return whole, None
    # The working set grows with the size, so that one halving after the other finds the largest that fits.
    sizes = sp.divisors(samples)[:-1]
    plans: dict[int, Plan] = {}

    def fits(size: int) -> bool:
        plans[size] = in_shards(size)
        return working_set(plans[size]) <= CACHE

    count = bisect_left(sizes, True, key=lambda size: not fits(size))
    if not count:
        return whole, None
    size = int(sizes[count - 1])
    plan = plans[size]
    known = effort(whole, near=False), effort(plan, near=True)
    better = known[1] < GAIN * known[0]
    sets = everything, working_set(plan)
    return plan if better else whole, Choice(samples, size if better else samples, sets, known)


__all__ = ["CACHE", "Choice", "SampleSum", "cheapest", "divisible", "sharded", "working_set"]
