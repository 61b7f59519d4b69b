"""A module's plans, ready for a target: the passes run, orders of storage chosen, memory shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from symbp.derivation import Derivation
from symbp.plan.entries import Entries, Optimizer, entries
from symbp.plan.ir import Order, Plan
from symbp.plan.shards import SampleSum
from symbp.plan.passes import NEED_NUMBERS, PASSES, step
from symbp.expr import Size
from symbp.plan.storage import FEW, number, ordered, sample_axes, storage

@dataclass(frozen=True)
class Abilities:
    """What a target can do.

    passes: the passes that lower a plan to what the target has, in order.
    orders: whether the plan may choose in which order matrices lie in memory.
    """

    passes: tuple[str, ...]
    orders: bool = True


C = Abilities(tuple(PASSES))
"""Loops over numbers, products that add to what is there but have no coefficient, memory in one block."""


def module_plans(
    derivation: Derivation, numbers: Mapping[str, Any], abilities: Abilities = C, *, predicted: Sequence[str] = (),
    capacity: Mapping[str, int] | None = None, optimizer: Optimizer = "sgd", inference: Derivation | None = None,
    clip: bool = False, apart: SampleSum | None = None,
) -> Entries:
    """Return the plans of a module's functions, lowered to a target's abilities.

    derivation: the forward and the backward pass.
    numbers:    sizes as numbers.
    abilities:  what the target can do.
    predicted:  the values that ``predict`` returns.
    capacity:   the largest value of each size that is known at run time only.
    optimizer:  how a training step moves the parameters.
    inference:  the network that predicts, if it is not the one that is trained.
    clip:       whether it scales the gradients down to a largest norm.
    apart:      the loss as a sum over samples, if it is one: a training step may then go through them in shards.

    Raises ``PlanError`` where a program cannot be planned.
    """
    found = entries(derivation, numbers, predicted, optimizer, inference, clip, apart)
    most = capacity or {}
    limits = {s: most[s.name] for s in derivation.program.sizes if s.is_Symbol and s.name in most}
    plans = {name: replace(plan, capacity=limits) for name, plan in found.plans.items()}
    if abilities.orders:
        orders = _orders(derivation, found, list(plans.values()))
        plans = {name: ordered(plan, orders) for name, plan in plans.items()}
    for name in abilities.passes:
        plans = {key: step(plan, name) for key, plan in plans.items()}
    return replace(found, plans=plans)


def history(
    derivation: Derivation, numbers: Mapping[str, Any] | None = None, entry: str = "train_step",
    abilities: Abilities = C, apart: SampleSum | None = None,
) -> list[Plan]:
    """Return the plan of a function after each pass, the first one before any; without numbers, only those passes that
    need none.

    Raises ``PlanError`` where a program cannot be planned.
    """
    found = entries(derivation, numbers or {}, apart=apart)
    plan = found.plans[entry]
    if abilities.orders:
        plan = ordered(plan, _orders(derivation, found, list(found.plans.values())))
    plans = [plan]
    sized = all(s.is_Integer for b in plan.buffers.values() for s in (b.rows, b.cols, *b.extents))
    for name in abilities.passes:
        if sized or name not in NEED_NUMBERS:
            plans.append(step(plans[-1], name))
    return plans


def _orders(derivation: Derivation, found: Entries, plans: Sequence[Plan]) -> dict[str, Order]:
    program = derivation.program
    shapes = {v.name: v.shape for v in program.variables.values()}
    samples = [sample_axes(p.buffers.values(), shapes, program.samples) for p in plans]
    samples = [_single(p, axes, shapes, program.samples) for p, axes in zip(plans, samples, strict=True)]
    samples = [_short_sides(p, axes) for p, axes in zip(plans, samples, strict=True)]
    alike = {bar: name for name, bar in found.gradients.items()}
    for plan in plans:
        # What an optimizer remembers of a parameter lies as the parameter does.
        alike |= {b.name: b.of for b in plan.buffers.values() if b.role == "moment"}
    return storage(plans, samples, alike=alike)


def _single(
    plan: Plan, axes: Mapping[str, int], shapes: Mapping[str, tuple[Size, Size]], samples: Size | None
) -> dict[str, int]:
    """Return the axes without those on which a sample has many places, as in feature maps: there the cost decides."""
    def free(name: str, axis: int) -> bool:
        buffer = plan.buffers[name]
        fixed = buffer.role in ("scratch", "value") and not buffer.shape[axis].free_symbols
        return fixed and shapes[buffer.of][axis] != samples

    return {name: axis for name, axis in axes.items() if not free(name, axis)}


def _short_sides(plan: Plan, axes: Mapping[str, int]) -> dict[str, int]:
    """Return the slow axis of each buffer that has samples: where a sample is a few numbers only, those of all samples
    lie together, so that loops run over many."""
    known = {s: sp.Integer(n) for s, n in plan.capacity.items()}
    found = {}
    for name, axis in axes.items():
        buffer = plan.buffers[name]
        side, count = (number(s.xreplace(known)) for s in (buffer.shape[1 - axis], buffer.shape[axis]))
        few = buffer.role in ("scratch", "value") and not buffer.shape[axis].free_symbols and 1 < side <= FEW < count
        found[name] = 1 - axis if few else axis
    return found


def symbols(plan: Plan) -> set[sp.Symbol]:
    """Return the sizes of a plan that are known at run time only."""
    return set(plan.capacity)
