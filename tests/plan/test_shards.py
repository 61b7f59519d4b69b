"""A training step in shards of its samples: the same parameters, smaller temporaries, chosen by cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp
from plan_cases import Case, declared, derivation_of, loops_of, wrong

from symbp.calculus.batch import Samples, convert
from symbp.calculus.derive import derive
from symbp.calculus.passes import parts_of
from symbp.derivation import Derivation
from symbp.language import read_text
from symbp.networks import names, network
from symbp.plan import entries as entries_module
from symbp.plan import module, shards
from symbp.plan.entries import entries
from symbp.plan.ir import Plan
from symbp.plan.shards import Choice, cheapest, divisible
from symbp.plan.storage import ordered
from symbp.render.parts import sample_sum
from symbp.verify.draws import choose_sizes, draw
from symbp.verify.programs import specified

M = 6


def sizes_of(derivation: Derivation) -> dict[str, Any]:
    """Return sizes for a network, with a number of samples that has divisors."""
    sizes = dict(choose_sizes(derivation.source)[-1])
    assert derivation.program.samples is not None
    return {**sizes, derivation.program.samples.name: M}


def in_shards(derivation: Derivation, size: int, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Return the plans of a network whose training step takes so many samples at a time."""
    def forced(whole: Plan, plan: Any, samples: int) -> tuple[Plan, Choice | None]:
        return plan(size), Choice(samples, size, (0, 0), (sp.S.Zero, sp.S.Zero))

    monkeypatch.setattr(entries_module, "cheapest", forced)
    sizes = sizes_of(derivation)
    found = entries(derivation, sizes, apart=sample_sum(parts_of(derivation)))
    orders = module._orders(derivation, found, list(found.plans.values()))
    found = replace(found, plans={k: ordered(p, orders) for k, p in found.plans.items()})
    return Case(found, draw(derivation.source, sizes, np.random.default_rng(0)), sizes)


def taken_apart(name: str) -> bool:
    """Tell whether a bundled network's step can go through its samples in shards."""
    derivation = derivation_of(name)
    return sample_sum(parts_of(derivation)) is not None and divisible(derivation.program)


APART = [name for name in names() if taken_apart(name)]


def test_networks_that_can_be_taken_apart() -> None:
    assert {"mlp", "lenet", "digits", "rnn", "lstm", "deep"} <= set(APART)
    # The statistics of a batch mix samples; a family over samples is a loop already.
    assert not {"batch_norm", "transformer"} & set(APART)


@pytest.mark.parametrize("name", APART)
def test_every_parameter_after_a_step_is_the_evaluators(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = in_shards(derivation_of(name), 2, monkeypatch)
    assert given.found.choice is not None
    assert any(loop.index.name.startswith("shard") for loop in loops_of(given.found.plans["train_step"]))
    assert not wrong(given, ("train_step",))


@pytest.mark.parametrize("samples", ["columns", "rows"])
@pytest.mark.parametrize("size", [1, 3])
def test_both_layouts(samples: Samples, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    derivation = derive(convert(specified(read_text(network("lenet").text)), samples))
    assert not wrong(in_shards(derivation, size, monkeypatch), ("train_step",))


@pytest.mark.parametrize("spoiled", ["_added_up", "with_number"])
def test_a_lost_sum_and_a_wrong_factor_are_seen(spoiled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients that each shard sets anew, or a mean over the shard alone, give other parameters."""
    if spoiled == "_added_up":
        monkeypatch.setattr(shards, "_added_up", lambda body, name: list(body))
    else:
        honest = shards.SampleSum.with_number
        monkeypatch.setattr(
            shards.SampleSum, "with_number", lambda known, sizes: honest(replace(known, factor=2 * known.factor), sizes)
        )
    assert wrong(in_shards(derivation_of("mlp"), 2, monkeypatch), ("train_step",))


def test_the_choice_is_one_of_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small work stays together; work that is larger than a cache is taken apart where moving is what it costs."""
    lenet = derivation_of("lenet")

    def chosen(derivation: Derivation, sizes: dict[str, Any]) -> Choice | None:
        return entries(derivation, sizes, apart=sample_sum(parts_of(derivation))).choice

    assert chosen(lenet, {"m": 4}) is None
    found = chosen(lenet, {"m": 256})
    assert found is not None and found.size < 256 and 256 % found.size == 0
    assert found.sets[1] <= shards.CACHE < found.sets[0]
    # Products of a wide layer are work, not moves: the whole batch at once.
    wide = chosen(derivation_of("mlp"), {"m": 256, "n0": 784, "n1": 512, "n2": 10})
    assert wide is None or wide.size == 256
    # A penalty of the parameters is no sum over samples, and has no shards.
    penalty = declared("X: input[3, m]\nY: target[2, m]\nW: param[2, 3]\nloss = sum((W @ X - Y)**2)/m + sum(W**2)\n")
    assert sample_sum(parts_of(penalty)) is None


def test_the_largest_shard_that_fits_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def plan(size: int) -> Plan:
        asked.append(size)
        return Plan(str(size), {}, (), ())

    sets = {"whole": 100, "6": 90, "4": 60, "3": 45, "2": 30, "1": 15}
    monkeypatch.setattr(shards, "working_set", lambda p: sets[p.name])
    monkeypatch.setattr(shards, "effort", lambda p, near: 10 if p.name == "whole" else 5)
    monkeypatch.setattr(shards, "CACHE", 50)
    taken, choice = cheapest(Plan("whole", {}, (), ()), plan, 12)
    assert sorted(asked) == [3, 4, 6] and taken.name == "3" and choice is not None and choice.size == 3
    monkeypatch.setattr(shards, "effort", lambda p, near: 10 if p.name == "whole" else 9.5)
    kept, choice = cheapest(Plan("whole", {}, (), ()), plan, 12)
    assert kept.name == "whole" and choice is not None and choice.size == 12
