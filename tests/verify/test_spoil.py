"""Every spoiled rule, step and equation is caught; unspoiled ones are not."""

from __future__ import annotations

import numpy as np
import pytest

import symbp.ops as ops
from symbp.verify import spoil
from symbp.verify.programs import gradient_check
from symbp.verify.steps import check_steps


def named(entries: tuple) -> list:
    return [pytest.param(e, id=e.name.replace(" ", "-")) for e in entries]


@pytest.mark.parametrize("entry", named(spoil.SPOILED_RULES))
def test_spoiled_rules_are_caught(entry: spoil.SpoiledRule) -> None:
    before = dict(ops.RULES), dict(ops.ELEMENTWISE)
    assert spoil.caught_rule(entry)
    assert (dict(ops.RULES), dict(ops.ELEMENTWISE)) == before


@pytest.mark.parametrize("entry", named(spoil.SPOILED_STEPS))
def test_spoiled_steps_are_caught(entry: spoil.SpoiledStep) -> None:
    assert spoil.caught_step(entry)


@pytest.mark.parametrize("entry", named(spoil.SPOILED_EQUATIONS))
def test_spoiled_equations_are_caught(entry: spoil.SpoiledEquation) -> None:
    assert spoil.caught_equation(entry)


def test_there_are_enough_of_them_with_names_of_their_own() -> None:
    assert len({e.name for e in spoil.SPOILED_RULES}) >= 20
    assert len({e.name for e in (*spoil.SPOILED_STEPS, *spoil.SPOILED_EQUATIONS)}) >= 20
    covered = {e.entry for e in spoil.SPOILED_RULES}
    differentiable = {name for name, op in ops.RULES.items() if not op.flat}
    assert differentiable <= covered


@pytest.mark.parametrize("network", spoil.NETWORKS)
def test_what_is_not_spoiled_holds(network: str) -> None:
    derivation = spoil.derivation_of(network)
    assert all(f.outcome == "holds" for f in check_steps(derivation, np.random.default_rng(0)))
    found = gradient_check(derivation, draws=1)
    assert all(f.outcome == "holds" for fs in found.values() for f in fs)


def test_a_rule_put_back_is_not_caught() -> None:
    for name in ("matmul", "softmax", "tanh"):
        entry = spoil.SpoiledRule("nothing is wrong", name, lambda op: op)
        assert not spoil.caught_rule(entry)
