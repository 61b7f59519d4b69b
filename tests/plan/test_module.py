"""A module's plans, ready for a target; and the plan of a function after each pass."""

from __future__ import annotations

import pytest
from plan_cases import TOLERANCE, bundled, case, derivation_of, finished

from symbp.expr import size
from symbp.networks import names
from symbp.plan.entries import entries, predictions
from symbp.plan.module import C, Abilities, history, module_plans, symbols
from symbp.plan.passes import NEED_NUMBERS, PASSES


def test_every_function_has_all_passes() -> None:
    for plan in finished("digits").plans.values():
        assert plan.history == ("selection", *PASSES)
    assert C.passes == tuple(PASSES)


def test_a_target_chooses_its_passes() -> None:
    few = Abilities(("copy propagation", "fuse loops"), orders=False)
    found = module_plans(derivation_of("rnn"), {"T": 3, "m": 4, "h": 5, "n": 2, "p": 3}, few)
    for plan in found.plans.values():
        assert plan.history == ("selection", *few.passes)
        assert {b.order for b in plan.buffers.values()} == {"C"}


def test_a_batch_is_a_symbol_of_some_capacity() -> None:
    found = module_plans(derivation_of("digits"), {}, capacity={"m": 32})
    plan = found.plans["train_step"]
    assert symbols(plan) == {size("m")}
    assert plan.buffers["X"].cols == size("m")
    assert plan.block > 0


@pytest.mark.parametrize("name", names())
def test_the_history_ends_in_the_plan_of_the_module(name: str) -> None:
    given = bundled(name)
    plans = history(given.found.derivation, given.sizes)
    assert [p.history[-1] for p in plans] == ["selection", *PASSES]
    other = module_plans(given.found.derivation, given.sizes).plans["train_step"]
    assert (plans[-1].body, plans[-1].storage) == (other.body, other.storage)
    assert given.error(plans[-1], entries(given.found.derivation, given.sizes)) < TOLERANCE


@pytest.mark.parametrize("name", names())
def test_without_numbers_the_passes_that_need_none(name: str) -> None:
    plans = history(derivation_of(name))
    ran = [p.history[-1] for p in plans]
    # A network whose sizes are all written down needs none.
    assert ran[1:] in ([n for n in PASSES if n not in NEED_NUMBERS], list(PASSES))


@pytest.mark.parametrize("entry", ["forward", "backward", "loss_and_gradients", "train_step"])
def test_the_history_of_each_function(entry: str) -> None:
    derivation = derivation_of("rnn")
    sizes = {"T": 3, "m": 4, "h": 5, "n": 2, "p": 3}
    given = case(derivation, sizes)
    for plan in history(derivation, sizes, entry):
        assert plan.name == entry
        assert given.error(plan) < TOLERANCE


def test_one_module_at_several_sizes() -> None:
    derivation = derivation_of("mlp")
    for m in (1, 2, 33):
        sizes = {"n0": 3, "n1": 17, "n2": 2, "m": m}
        found = module_plans(derivation, sizes, predicted=predictions(derivation))
        given = case(derivation, sizes)
        for plan in found.plans.values():
            assert given.error(plan, found) < TOLERANCE
