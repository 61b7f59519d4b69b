"""The passes, in order, by name: each takes a plan and gives a plan, and every plan between can be printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from symbp.plan.fusion import contract, fuse
from symbp.plan.hoist import hoist
from symbp.plan.ir import Plan
from symbp.plan.loops import carry, fuse_loops, stack_products
from symbp.plan.liveness import share
from symbp.plan.products import choose_forms, keep_blocks, split_coefficients
from symbp.plan.recompute import recompute
from symbp.plan.simplify import common_subexpressions, copy_propagation, dead_equations
from symbp.plan.strips import windows_by_sample
from symbp.plan.sweeps import registers
from symbp.plan.update import delay_gradients

Pass = Callable[[Plan], Plan]


def share_memory(plan: Plan) -> Plan:
    """Give each temporary its place in one block: two share memory only if they are never alive together."""
    return share(plan, registers(plan))


PASSES: dict[str, Pass] = {
    "copy propagation": copy_propagation,
    "common subexpressions": common_subexpressions,
    "dead equations": dead_equations,
    "recompute": recompute,
    "hoist": hoist,
    "stack products": stack_products,
    "fuse loops": fuse_loops,
    "carry": carry,
    "delay gradients": delay_gradients,
    "windows by sample": windows_by_sample,
    "split coefficients": split_coefficients,
    "fuse": fuse,
    "contract": contract,
    "choose forms": choose_forms,
    "keep blocks": keep_blocks,
    "share memory": share_memory,
}
"""The passes that every target shares, in order."""


NEED_NUMBERS = ("choose forms", "keep blocks", "share memory")
"""The passes that need all sizes as numbers."""


def run(plan: Plan, names: Sequence[str] | None = None) -> Plan:
    """Return the plan after the given passes (all by default)."""
    for name in PASSES if names is None else names:
        plan = step(plan, name)
    return plan


def step(plan: Plan, name: str) -> Plan:
    """Return the plan after one pass, with the pass in its history."""
    after = PASSES[name](plan)
    return replace(after, history=(*plan.history, name))
