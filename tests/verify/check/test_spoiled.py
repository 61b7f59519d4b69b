"""Witness 8 for the judge: mistakes planted in right works are called wrong, at their line, by their name."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from symbp.networks import names
from symbp.render.declaration import laid_out
from symbp.verify.check.natures import NATURES
from symbp.verify.check.spoiled import Finding, Spoiled, changes_a_gradient, examined, spoiled

Benches = Callable[[str], Any]

SAMPLE = {"mlp": 16, "digits": 10, "deep": 5, "rnn": 4}
"""How many mistakes of each network the fast test plants."""


def planted(case: Any, count: int) -> list[Spoiled]:
    """Return works with one mistake that changes a gradient."""
    found = spoiled(case.lines, case.model, case.truth, random.Random(0))
    real = (f for f in found if changes_a_gradient(f.text, case.model, case.truth, case.outputs))
    return list(islice(real, count))


def findings(case: Any, count: int) -> list[Finding]:
    return [examined(fault, case.judged_as_declared) for fault in planted(case, count)]


def shown(found: list[Finding], key: str) -> str:
    lines = [f"{f.spoiled.nature}: {f.spoiled.wrong}" for f in found if not getattr(f, key)]
    return "\n".join([f"{len(lines)} of {len(found)}", *lines])


@pytest.mark.parametrize("name", SAMPLE)
def test_mistakes_are_found_and_named(name: str, bench: Benches) -> None:
    found = findings(bench(name), SAMPLE[name])
    assert len(found) == SAMPLE[name]
    assert all(f.wrong for f in found), shown(found, "wrong")
    assert all(f.line for f in found), shown(found, "line")
    assert sum(f.nature for f in found) >= 0.85 * len(found), shown(found, "nature")


@pytest.mark.slow
def test_mistakes_of_many_networks_are_found_and_named(bench: Benches) -> None:
    heavy = {"decoder", "transformer", "conv", "cells"}
    found = [f for name in names() if name not in heavy for f in findings(bench(name), 6)]
    assert len(found) > 180
    assert all(f.wrong for f in found), shown(found, "wrong")
    assert sum(f.line for f in found) >= 0.98 * len(found), shown(found, "line")
    assert sum(f.nature for f in found) >= 0.85 * len(found), shown(found, "nature")


def test_every_network_has_its_mistakes_in_turn(bench: Benches) -> None:
    case = bench("mlp")
    first = [f.nature for f in islice(spoiled(case.lines, case.model, case.truth), 12)]
    assert len(set(first)) == 12
    assert set(first) <= set(NATURES)


def test_a_change_without_effect_is_no_mistake(bench: Benches) -> None:
    # The mean of what is centred already is zero: this path of batch normalisation may be dropped.
    case = bench("batch_norm")
    k = next(k for k, line in enumerate(case.lines) if line.target == "dW_Z1")
    line = case.lines[k]
    assert "sum(dXc_N1, axis=1, keepdims=True)" in line.value
    changed = line.value.replace("sum(dXc_N1,", "sum(dXhat_N1 * V_N1,")
    text = laid_out([*case.lines[:k], replace(line, value=changed), *case.lines[k + 1 :]])
    assert changes_a_gradient(text, case.model, case.truth, case.outputs) is False
    assert case.judged(text).verdict == "right"


def test_a_work_that_cannot_be_evaluated_is_told_apart(bench: Benches) -> None:
    case = bench("mlp")
    text = laid_out(case.lines)
    assert changes_a_gradient(text, case.model, case.truth, case.outputs) is False
    assert changes_a_gradient(text.replace("X.T", "X"), case.model, case.truth, case.outputs) is None
    assert changes_a_gradient(text.replace("1 - A1**2", "1 - A1"), case.model, case.truth, case.outputs) is True
