"""Plans that the tests share: of bundled networks, of workloads, of declarations; and how far a plan is off.

Whatever a plan gives its caller is compared with the reference evaluator; a pass that changes nothing is not run again.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import sympy as sp
from hypothesis import assume

from symbp.calculus import derive
from symbp.derivation import Derivation
from symbp.networks import network
from symbp.pipeline import program_of
from symbp.plan import module
from symbp.plan.entries import Entries, Optimizer, entries, predictions
from symbp.plan.interpret import Interpreter
from symbp.plan.ir import Buffer, Gemm, Kernel, Loop, Nest, Number, Plan, Put, Read, View, total, walk
from symbp.plan.passes import PASSES, step
from symbp.plan.storage import ordered
from symbp.program import Program
from symbp.verify import plans
from symbp.verify.draws import choose_sizes, draw
from symbp.verify.evaluate import evaluate
from symbp.verify.plans import entrywise, plan_error
from symbp.verify.programs import specified

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-12


# ---------------------------------------------------------------------------------------------------------
# Derivations, first plans, values


@cache
def derivation_of(name: str) -> Derivation:
    """Return the derivation of a bundled network; an open function is settled."""
    return derive(specified(program_of(network(name).text)))


def declared(text: str) -> Derivation:
    """Return the derivation of a declaration."""
    return derive(specified(program_of(text)))


@dataclass(frozen=True)
class Case:
    """The first plans of a module at some sizes, and values to run them on.

    found:  the plans by name, buffers in their final order.
    values: of the declared variables.
    sizes:  all of them as numbers.
    """

    found: Entries
    values: Mapping[str, Any]
    sizes: Mapping[str, Any]

    def error(self, plan: Plan, found: Entries | None = None) -> float:
        """Return by how much a plan is off."""
        return plan_error(found or self.found, plan, self.values, self.sizes)[0]


def case(derivation: Derivation, sizes: Mapping[str, Any], seed: int = 0, optimizer: Optimizer = "sgd") -> Case:
    """Return the first plans at some sizes, with values."""
    values = draw(derivation.source, sizes, np.random.default_rng(seed))
    found = entries(derivation, sizes, predictions(derivation), optimizer)
    orders = module._orders(derivation, found, list(found.plans.values()))
    return Case(replace(found, plans={k: ordered(p, orders) for k, p in found.plans.items()}), values, sizes)


@cache
def bundled(name: str, turn: int = -1) -> Case:
    """Return a bundled network's first plans at one of several sizes (by default: the most steps)."""
    derivation = derivation_of(name)
    return case(derivation, choose_sizes(derivation.source)[turn])


def planned(text: str, sizes: Mapping[str, Any], names: Sequence[str] = (), plan: str = "train_step") -> Plan:
    """Return a plan of a declaration after some passes."""
    found = case(declared(text), sizes).found.plans[plan]
    for name in names:
        found = step(found, name)
    return found


def until(last: str) -> list[str]:
    """Return the passes up to one of them, in order."""
    names = list(PASSES)
    return names[: names.index(last) + 1]


def before(name: str) -> list[str]:
    """Return the passes that come before one of them."""
    return until(name)[:-1]


def after_each(plan: Plan) -> Iterator[tuple[str, Plan]]:
    """Yield a plan after each pass that changes it, in order."""
    for name in PASSES:
        new = step(plan, name)
        if (new.body, new.buffers, new.storage) != (plan.body, plan.buffers, plan.storage):
            yield name, new
        plan = new


def wrong(given: Case, names: Sequence[str] = ()) -> list[str]:
    """Return what is off: for each function the first pass after which a value is not the evaluator's."""
    found = []
    truth = evaluate(given.found.derivation.program, given.values, given.sizes)
    # The values that are compared with are the same after every pass: they are computed once.
    with patch.object(plans, "evaluate", lambda *_: truth):
        for name, plan in given.found.plans.items():
            if names and name not in names:
                continue
            for after, new in (("selection", plan), *after_each(plan)):
                error, culprit = plan_error(given.found, new, given.values, given.sizes)
                if not error < TOLERANCE:
                    found.append(f"{name} after {after}: {culprit} is off by {error:.1e} at {dict(given.sizes)}")
                    break
    return found


def wrong_program(program: Program, *, seed: int = 0, limit: int = 1) -> list[str]:
    """Return what is off with the plans of a program at some sizes."""
    derivation = derive(specified(program))
    found = []
    for sizes in choose_sizes(derivation.source, limit=limit, turn=seed):
        given = case(derivation, sizes, seed)
        # Where values grow without bound, rounding and overflow say nothing about plans.
        assume(_largest(evaluate(derivation.program, given.values, sizes)) < 1e3)
        found += wrong(given)
    return found


def _largest(values: Mapping[str, Any]) -> float:
    members = [m for v in values.values() for m in (v.values() if isinstance(v, dict) else [v])]
    return max(float(np.abs(np.asarray(m)).max(initial=0)) for m in members)


# ---------------------------------------------------------------------------------------------------------
# Workloads


def workloads() -> list[str]:
    """Return the names of the benchmark workloads."""
    return list(_workloads().names())


@cache
def workload(name: str) -> Entries:
    """Return the plans of a benchmark workload, for C."""
    known = _workloads().workload(name)
    derivation = declared(known.declaration)
    return module.module_plans(derivation, known.sizes, predicted=predictions(derivation))


def sizes_of(name: str) -> dict[str, int]:
    """Return the sizes of a benchmark workload."""
    return dict(_workloads().workload(name).sizes)


@cache
def finished(name: str) -> Entries:
    """Return the plans of a bundled network after all passes, at the sizes with the most steps."""
    derivation = derivation_of(name)
    return module.module_plans(derivation, choose_sizes(derivation.source)[-1], predicted=predictions(derivation))


def _workloads() -> Any:
    if "benchmark_workloads" not in sys.modules:
        place = ROOT / "benchmarks" / "workloads"
        spec = importlib.util.spec_from_file_location(
            "benchmark_workloads", place / "__init__.py", submodule_search_locations=[str(place)]
        )
        assert spec is not None
        assert spec.loader is not None
        sys.modules["benchmark_workloads"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["benchmark_workloads"])
    return sys.modules["benchmark_workloads"]


# ---------------------------------------------------------------------------------------------------------
# Small plans written by hand

t = sp.Symbol("t", integer=True)


def matrix(name: str, rows: int, cols: int, role: Any = "scratch", **rest: Any) -> Buffer:
    """Return the buffer of a matrix."""
    return Buffer(name, sp.Integer(rows), sp.Integer(cols), role, **rest)


def family(name: str, rows: int, cols: int, low: int, high: int, role: Any = "scratch", **rest: Any) -> Buffer:
    """Return the buffer of a family over t."""
    return matrix(name, rows, cols, role, indices=(t,), lows=(sp.Integer(low),), highs=(sp.Integer(high),), **rest)


def put(target: View, *terms: Any, over: tuple[int, ...] = (), op: Any = "sum", add: bool = False) -> Nest:
    """Return a statement: the sum of some views, expressions and numbers."""
    return Nest((Put(target, total(*map(_expression, terms)), over, op, add),))


def _expression(value: Any) -> Any:
    if isinstance(value, View):
        return Read(value)
    return Number(sp.sympify(value)) if isinstance(value, (int, float, sp.Expr)) else value


def plan_of(buffers: Sequence[Buffer], *body: Kernel, outputs: Sequence[str] = ("out",), **rest: Any) -> Plan:
    """Return a plan."""
    return Plan("hand", {b.name: b for b in buffers}, body, tuple(outputs), **rest)


def loop(low: int, high: int, *body: Kernel, down: bool = False, index: sp.Symbol = t) -> Loop:
    """Return a loop over t."""
    return Loop(index, sp.Integer(low), sp.Integer(high), body, down)


def loops_of(plan: Plan) -> list[Loop]:
    """Return the loops of a plan, outer ones first."""
    def visit(body: Sequence[Kernel]) -> Iterator[Loop]:
        for kernel in body:
            if isinstance(kernel, Loop):
                yield kernel
                yield from visit(kernel.body)

    return list(visit(plan.body))


def gemms(plan: Plan) -> list[Gemm]:
    """Return the products of a plan."""
    return [k for k in walk(plan.body) if isinstance(k, Gemm)]


def outcome(plan: Plan, seed: int = 0) -> dict[str, Any]:
    """Run a plan written by hand on random inputs, and return what its caller gets."""
    given = {}
    for name, b in plan.buffers.items():
        if b.role in ("param", "input", "const", "value", "state"):
            # Each buffer has values of its own, whatever others there are.
            rng = np.random.default_rng([seed, *name.encode()])
            given[name] = rng.normal(size=tuple(int(x) for x in (*b.extents, b.rows, b.cols)))
    found = Interpreter(plan, given, entrywise).run()
    return {n: found[n] for n in plan.outputs}


def same_outcome(one: Plan, other: Plan) -> bool:
    """Tell whether two plans written by hand give their caller the same."""
    mine, theirs = outcome(one), outcome(other)
    return all(np.allclose(mine[n], theirs[n], rtol=0, atol=1e-12) for n in one.outputs)
