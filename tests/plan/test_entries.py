"""The functions of a module: what each takes and gives."""

from __future__ import annotations

import numpy as np
import pytest
from plan_cases import bundled, declared, derivation_of

from symbp.networks import names
from symbp.plan.entries import entries, predictions
from symbp.plan.ir import Plan, reads, walk, writes
from symbp.plan.module import module_plans
from symbp.verify.draws import draw
from symbp.verify.evaluate import evaluate
from symbp.verify.plans import run


def outside(plan: Plan, *roles: str) -> set[str]:
    return {n for n, b in plan.buffers.items() if b.role in roles}


@pytest.mark.parametrize("name", names())
def test_what_functions_take_and_give(name: str) -> None:
    found = bundled(name).found
    derivation, plans = found.derivation, found.plans
    output, gradients = derivation.output, set(found.gradients.values())
    assert plans["forward"].outputs[0] == output
    assert {plans["forward"].buffers[n].of for n in plans["forward"].outputs} == {output, *found.cached}
    assert set(plans["backward"].outputs) == gradients
    assert {plans["backward"].buffers[n].of for n in outside(plans["backward"], "value")} <= set(found.cached)
    assert set(plans["loss_and_gradients"].outputs) == {output, *gradients}
    stepped = {n for n in plans["train_step"].outputs if n != output}
    assert stepped == outside(plans["train_step"], "param", "state")
    states = {r.state for r in derivation.source.running}
    assert {plans["train_step"].buffers[n].of for n in outside(plans["train_step"], "state")} == states
    assert ("update_state" in plans) == bool(states)
    # A gradient that nobody gets is a temporary.
    assert all(plans["train_step"].buffers[n].role == "scratch" for n in gradients)
    if found.predicted:
        assert {plans["predict"].buffers[n].of for n in plans["predict"].outputs} == set(found.predicted)
        targets = {v.name for v in derivation.source.declared("target")}
        assert not targets & {b.of for b in plans["predict"].buffers.values()}


@pytest.mark.parametrize("name", names())
def test_only_a_step_changes_what_the_caller_brings(name: str) -> None:
    for key, plan in bundled(name).found.plans.items():
        changed = {v.buffer for k in walk(plan.body) for v in writes(k)}
        brought = outside(plan, "input", "const") | (set() if key == "train_step" else outside(plan, "param"))
        brought |= set() if key in ("train_step", "update_state") else outside(plan, "state")
        assert not changed & brought
        if key == "train_step":
            assert outside(plan, "param") <= changed


@pytest.mark.parametrize("name", names())
def test_every_buffer_is_used_and_every_use_has_a_buffer(name: str) -> None:
    for plan in bundled(name).found.plans.values():
        used = {v.buffer for k in walk(plan.body) for v in (*reads(k), *writes(k))}
        assert used <= set(plan.buffers)
        assert set(plan.buffers) <= used | set(plan.outputs)


def test_gradients_of_families_are_paired_with_their_parameters() -> None:
    found = bundled("deep").found
    assert {p.rpartition("_")[2]: g.rpartition("_")[2] for p, g in found.gradients.items()}
    for parameter, gradient in found.gradients.items():
        plan = found.plans["loss_and_gradients"]
        assert plan.buffers[parameter].shape == plan.buffers[gradient].shape


def test_predictions_need_no_target() -> None:
    assert predictions(derivation_of("digits")) == ("P",) or predictions(derivation_of("digits"))
    only = declared("X: input[n, m]\nW: param[n, n]\nloss = sum((W @ X)**2)\n")
    assert isinstance(predictions(only), tuple)


def test_an_optimizer_remembers() -> None:
    derivation = derivation_of("mlp")
    sizes = {"n0": 3, "n1": 4, "n2": 2, "m": 5}
    for optimizer, words in (("sgd", ()), ("momentum", ("mean",)), ("adam", ("mean", "square"))):
        plan = entries(derivation, sizes, optimizer=optimizer).plans["train_step"]  # type: ignore[arg-type]
        assert outside(plan, "moment") == {f"{p}_{w}" for p in outside(plan, "param") for w in words}
        assert outside(plan, "moment") <= set(plan.outputs)


@pytest.mark.parametrize("passes", [False, True], ids=["first", "last"])
def test_gradients_are_scaled_down_to_a_norm(passes: bool) -> None:
    """Every parameter after a step, where the norm of all gradients together is above the largest one, and below it."""
    derivation, sizes = derivation_of("mlp"), {"n0": 3, "n1": 5, "n2": 2, "m": 7}
    found = (module_plans if passes else entries)(derivation, sizes, clip=True)
    plan = found.plans["train_step"]
    values = draw(derivation.source, sizes, np.random.default_rng(0))
    truth = evaluate(derivation.program, values, sizes)
    norm = np.sqrt(sum(np.sum(truth[bar] ** 2) for bar in derivation.gradients.values()))
    for share in (0.3, 1.5):
        after = run(found, plan, values, rate=0.25, max_norm=share * norm)
        for name, bar in derivation.gradients.items():
            assert np.allclose(after[name], values[name] - 0.25 * min(share, 1.0) * truth[bar], rtol=1e-12)
    # All gradients are known before the first parameter moves: none of them is made behind its update.
    kernels = list(walk(plan.body))
    moved = [k for k, kernel in enumerate(kernels) if {v.buffer for v in writes(kernel)} & outside(plan, "param")]
    (known,) = (k for k, kernel in enumerate(kernels) if "shrink" in {v.buffer for v in writes(kernel)})
    assert known < min(moved)


def test_an_input_whose_gradient_is_wanted_is_not_stepped() -> None:
    from symbp.calculus import derive
    from symbp.networks import network
    from symbp.pipeline import program_of

    derivation = derive(program_of(network("mlp").text), ["X", "W1"])
    plan = entries(derivation, {"n0": 3, "n1": 4, "n2": 2, "m": 5}).plans["train_step"]
    assert "W1" in plan.outputs
    assert "X" not in plan.outputs
