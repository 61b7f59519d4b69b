"""Every pass on every plan of every bundled network, and on random programs: what a caller gets stays what it was.

Compared with the reference evaluator: losses, gradients, cached values, predictions, every parameter after a step.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_cases import (
    TOLERANCE, after_each, bundled, case, declared, derivation_of, finished, sizes_of, until, workload, workloads,
    wrong, wrong_program,
)
from random_programs import declarations, graphs, loop_programs

from symbp.expr import size
from symbp.language import read_text
from symbp.networks import names
from symbp.pipeline import program_of
from symbp.plan.entries import MOMENTUM, DECAY, EPSILON, FIRST, RATE, SECOND, Optimizer, entries, predictions
from symbp.plan.interpret import Interpreter
from symbp.plan.ir import Plan
from symbp.plan.passes import PASSES, run, step
from symbp.program import Program
from symbp.verify.draws import choose_sizes, draw
from symbp.verify.evaluate import evaluate
from symbp.verify.plans import entrywise, packed

# ---------------------------------------------------------------------------------------------------------
# Bundled networks


@pytest.mark.parametrize("name", names())
def test_every_pass_keeps_what_every_function_gives(name: str) -> None:
    given = bundled(name)
    assert set(given.found.plans) >= {"forward", "backward", "loss_and_gradients", "train_step"}
    assert not wrong(given)


# The networks take turns with those in the sweep of test_arrays.py; at one set of sizes all are looked at above.
@pytest.mark.slow
@pytest.mark.parametrize("name", names()[::2])
def test_every_pass_at_more_sizes(name: str) -> None:
    derivation = derivation_of(name)
    for turn in range(3):
        for sizes in choose_sizes(derivation.source, turn=turn):
            assert not wrong(case(derivation, sizes, turn))


@pytest.mark.parametrize("name", ["rnn", "delayed", "bidirectional", "lstm", "deep", "stacked", "last_step"])
def test_loops_of_one_step(name: str) -> None:
    """Delays are longer than the loop, families have one member."""
    given = bundled(name, 0)
    for key in ("backward", "train_step"):
        plan = run(given.found.plans[key])
        assert given.error(plan) < TOLERANCE


def test_a_step_changes_every_parameter() -> None:
    """The comparison sees each of them: none is left out, none is near zero."""
    for name in names():
        given = bundled(name)
        plan = given.found.plans["train_step"]
        truth = evaluate(given.found.derivation.program, given.values, given.sizes)
        declared_parameters = {v.name for v in given.found.derivation.source.declared("param")}
        moved = {plan.buffers[n].of for n in plan.outputs if plan.buffers[n].role == "param"}
        assert moved == declared_parameters, name
        for bar in given.found.derivation.gradients.values():
            value = truth[bar]
            for member in value.values() if isinstance(value, dict) else [value]:
                assert np.isfinite(member).all(), (name, bar)


def test_passes_are_written_into_the_history() -> None:
    plan = run(bundled("xor").found.plans["train_step"])
    assert plan.history == ("selection", *PASSES)
    assert step(plan, "fuse").history[-1] == "fuse"


def test_a_run_of_some_passes_is_the_steps_of_them() -> None:
    first = bundled("rnn").found.plans["train_step"]
    stepped = first
    for name in until("carry"):
        stepped = step(stepped, name)
    assert run(first, until("carry")) == stepped


@pytest.mark.parametrize("name", ["digits", "rnn", "deep"])
def test_passes_are_deterministic(name: str) -> None:
    first = bundled(name).found.plans["train_step"]
    assert run(first) == run(first)


@pytest.mark.parametrize("name", ["xor", "digits", "rnn", "lstm"])
def test_values_take_their_own_place_in_a_module(name: str) -> None:
    """Plans of a module as a target gets them (with orders, shared memory) on the same values."""
    found = finished(name)
    given = bundled(name)
    for plan in found.plans.values():
        assert plan.history[-1] == "share memory"
        assert given.error(plan, found) < TOLERANCE


# ---------------------------------------------------------------------------------------------------------
# Optimizers


def optimized(optimizer: Optimizer, plan: Plan, found: Any, values: Any, sizes: Any, steps: int) -> float:
    """Return by how much parameters and moments are off after some steps of a plan."""
    rng = np.random.default_rng(5)
    numbers = {MOMENTUM: 0.9, DECAY: 0.99, EPSILON: 1e-3, RATE: 0.1}
    arrays = {n: packed(found, b, values) for n, b in plan.buffers.items() if b.role in ("param", "input", "const")}
    arrays |= {n: np.abs(rng.normal(size=arrays[b.of].shape)) for n, b in plan.buffers.items() if b.role == "moment"}
    mine, truth = ({n: np.array(a) for n, a in arrays.items()} for _ in range(2))
    worst = 0.0
    for k in range(1, steps + 1):
        known = numbers | {FIRST: 1 - 0.9**k, SECOND: 1 - 0.99**k}
        Interpreter(plan, mine, entrywise, {str(s): v for s, v in known.items()}).run()
        gradients = evaluate(found.derivation.program, {**values, **_values(found, plan, truth)}, sizes)
        for name, buffer in plan.buffers.items():
            if buffer.role != "param":
                continue
            g = packed(found, buffer, {buffer.of: gradients[found.derivation.gradients[buffer.of]]})
            mean, square = truth[f"{name}_mean"], truth.get(f"{name}_square")
            if square is None:
                mean = 0.9 * mean + g
                moved = 0.1 * mean
            else:
                mean = mean + (1 - 0.9) * (g - mean)
                square = square + (1 - 0.99) * (g * g - square)
                truth[f"{name}_square"] = square
                moved = 0.1 * mean / known[FIRST] / (np.sqrt(square / known[SECOND]) + 1e-3)
            truth[f"{name}_mean"], truth[name] = mean, truth[name] - moved
        worst = max(worst, *(float(np.abs(mine[n] - truth[n]).max()) for n in truth))
    return worst


def _values(found: Any, plan: Plan, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters as variables: a family by its members."""
    values: dict[str, Any] = {}
    for name, buffer in plan.buffers.items():
        if buffer.role == "param":
            for place, member in found.fields.members(buffer):
                at = tuple(p - int(low) for p, low in zip(place, buffer.lows, strict=True))
                if member:
                    values.setdefault(buffer.of, {})[member] = arrays[name][at]
                else:
                    values[buffer.of] = arrays[name]
    return values


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
@pytest.mark.parametrize("name", ["digits", "residual", "deep"])
def test_optimizers(name: str, optimizer: Optimizer) -> None:
    derivation = derivation_of(name)
    sizes = choose_sizes(derivation.source)[0]
    given = case(derivation, sizes, optimizer=optimizer)
    plan = given.found.plans["train_step"]
    words = {"momentum": {"mean"}, "adam": {"mean", "square"}}[optimizer]
    buffers = plan.buffers.values()
    parameters = [b.name for b in buffers if b.role == "param"]
    assert {b.name for b in buffers if b.role == "moment"} == {f"{p}_{w}" for p in parameters for w in words}
    for _, new in (("selection", plan), *after_each(plan)):
        assert optimized(optimizer, new, given.found, given.values, sizes, 2) < 1e-11


# ---------------------------------------------------------------------------------------------------------
# A batch that is known at run time only


LONG = [pytest.param(name, marks=pytest.mark.slow) for name in ("lstm", "bidirectional", "stacked")]


@pytest.mark.parametrize("name", ["digits", "mlp", "rnn", *LONG])
def test_a_batch_known_at_run_time(name: str) -> None:
    """The plan is made once for at most 11 samples and runs on 1, on 5, on 7 and on 11 of them."""
    derivation = derivation_of(name)
    chosen = dict(choose_sizes(derivation.source)[-1])
    m = size("m")
    assert m in derivation.program.sizes
    numbers = {k: v for k, v in chosen.items() if k != "m"}
    first = entries(derivation, numbers, predictions(derivation))
    for key in ("train_step", "predict"):
        plan = replace(first.plans[key], capacity={m: 11})
        for after, new in (("selection", plan), *after_each(plan)):
            if after not in ("selection", "stack products", "fuse", "choose forms", "share memory"):
                continue
            for samples in (1, 7, 11) if after == "share memory" else (5,):
                sizes = {**numbers, "m": samples}
                assert run_time_error(derivation, new, sizes) < TOLERANCE, (key, after, samples)


def run_time_error(derivation: Any, plan: Plan, sizes: dict[str, Any]) -> float:
    """Return by how much a plan is off whose batch is a symbol, on a batch."""
    values = draw(derivation.source, sizes, np.random.default_rng(2))
    found = entries(derivation, sizes, predictions(derivation))
    truth: dict[str, Any] = dict(evaluate(derivation.program, values, sizes))
    for name, bar in derivation.gradients.items():
        truth[name] = stepped(values[name], truth[bar]) if plan.name == "train_step" else values[name]
    own = {n: found.plans[plan.name].buffers[n] for n in plan.buffers if n in found.plans[plan.name].buffers}
    outside = {n: b for n, b in own.items() if plan.buffers[n].role in ("param", "input", "const")}
    arrays = {n: packed(found, b, values) for n, b in outside.items()}
    result = Interpreter(plan, arrays, entrywise, {"m": sizes["m"], str(RATE): 0.25}).run()
    worst = 0.0
    for name in plan.outputs:
        wanted = packed(found, own[name], truth)
        worst = max(worst, float(np.nanmax(np.abs(result[name] - wanted), initial=0.0)))
        assert not np.isnan(result[name][~np.isnan(wanted)]).any()
    return worst


def stepped(value: Any, gradient: Any) -> Any:
    """Return a parameter, or the members of a family, after a step."""
    if isinstance(value, dict):
        return {k: v - 0.25 * gradient[k] for k, v in value.items()}
    return value - 0.25 * gradient


# ---------------------------------------------------------------------------------------------------------
# Random programs

SETTINGS = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@settings(SETTINGS, max_examples=12)
@given(graphs(), st.integers(0, 3))
def test_random_graphs(program: Program, seed: int) -> None:
    assert not wrong_program(program, seed=seed)


@settings(SETTINGS, max_examples=10)
@given(loop_programs(), st.integers(0, 3))
def test_random_loops(program: Program, seed: int) -> None:
    assert not wrong_program(program, seed=seed)


@settings(SETTINGS, max_examples=8)
@given(declarations(), st.sampled_from(["columns", "rows"]))
def test_random_networks(text: str, samples: Any) -> None:
    assert not wrong_program(program_of(read_text(text), samples=samples))


@pytest.mark.slow
@settings(SETTINGS, max_examples=120)
@given(graphs(), st.integers(0, 3))
def test_many_random_graphs(program: Program, seed: int) -> None:
    assert not wrong_program(program, seed=seed)


@pytest.mark.slow
@settings(SETTINGS, max_examples=120)
@given(loop_programs(), st.integers(0, 3))
def test_many_random_loops(program: Program, seed: int) -> None:
    assert not wrong_program(program, seed=seed, limit=3)


@pytest.mark.slow
@settings(SETTINGS, max_examples=60)
@given(declarations(), st.sampled_from(["columns", "rows"]))
def test_many_random_networks(text: str, samples: Any) -> None:
    assert not wrong_program(program_of(read_text(text), samples=samples))


# ---------------------------------------------------------------------------------------------------------
# Workloads of the benchmarks


@pytest.mark.parametrize("name", ["xor", "iris", "mlp_1"])
def test_small_workloads(name: str) -> None:
    found = workload(name)
    values = draw(found.derivation.source, sizes_of(name), np.random.default_rng(0))
    given = case(found.derivation, sizes_of(name))
    for plan in found.plans.values():
        assert replace(given, values=values).error(plan, found) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", workloads())
def test_workloads(name: str) -> None:
    found = workload(name)
    given = case(found.derivation, sizes_of(name))
    params = {v.name for v in found.derivation.source.parameters}
    # With large weights fifty steps in time would make much of every rounding.
    small = {n: _smaller(v) if n in params else v for n, v in given.values.items()}
    assert replace(given, values=small).error(found.plans["train_step"], found) < 1e-10


def _smaller(value: Any) -> Any:
    return {k: v / 8 for k, v in value.items()} if isinstance(value, dict) else value / 8


def test_declared_in_rows() -> None:
    """Layers as rows, biases as rows: the mirror image of everything."""
    derivation = declared(
        "samples: m\nX: input[m, 6]\nY: target[m, 3] & one_hot_rows\nW: param[6, 3]; b: param[1, 3]\n"
        "Z = X @ W + b\nloss = softmax_cross_entropy(Z, Y)\n"
    )
    assert not wrong(case(derivation, {"m": 5}))
