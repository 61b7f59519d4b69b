"""Windows made and added up sample by sample: the same numbers, a smaller buffer, and only where that pays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp
from plan_cases import TOLERANCE, case, declared, loops_of

from symbp.calculus import derive
from symbp.calculus.batch import Samples, convert
from symbp.language import read_text
from symbp.plan import strips
from symbp.plan.ir import ZERO, Call, Gemm, Nest, Plan, Put, View, walk
from symbp.plan.passes import PASSES, run
from symbp.plan.strips import windows_by_sample

TEXT = """samples: m
X: input[2*36, m]
Y: target[3, m]
A = conv2d(image(X, 2, 6, 6), 4, 3, padding=1, activation=tanh)
B = conv2d(A, 3, 3, stride=2, activation=tanh)
Z = dense(flatten_maps(B), 3)
loss = sum_of_squares(Z, Y)
"""
BEFORE = list(PASSES)[: list(PASSES).index("windows by sample")]


def taken_apart(samples: Samples, monkeypatch: pytest.MonkeyPatch) -> tuple[float, Plan, Plan]:
    """Return the error of a training step with windows taken apart, and its plans before and after the pass."""
    monkeypatch.setattr(strips, "CACHE", 1)
    given = case(derive(convert(read_text(TEXT), samples)), {"m": 5})
    first = run(given.found.plans["train_step"], BEFORE)
    after = windows_by_sample(first)
    return given.error(run(after, list(PASSES)[len(BEFORE) + 1 :])), first, after


@pytest.mark.parametrize("samples", ["columns", "rows"])
def test_the_numbers_stay_and_the_buffers_shrink(samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    error, first, after = taken_apart(samples, monkeypatch)
    assert error < TOLERANCE
    new = [k for k in loops_of(after) if k not in loops_of(first)]
    kinds = [tuple(k.routine if isinstance(k, Call) else type(k).__name__ for k in loop.body) for loop in new]
    # Both convolutions take their windows for the forward pass and again for the gradient of the kernel; only the
    # second has a gradient of its maps.
    assert sorted(kinds) == [("Gemm", "scatter"), *[("gather", "Gemm")] * 4]
    for name in ("P_A", "P_B", "P_B_bar"):
        assert first.buffers[name].entries == 5 * after.buffers[name].entries


def test_windows_of_the_wrong_sample_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where windows are taken from the first sample for every one, parameters are others."""
    honest = strips._part

    def spoiled(view: View, axis: int, index: sp.Symbol, length: sp.Expr) -> View:
        return honest(view, axis, sp.S.Zero if view.buffer == "A" else index, length)

    monkeypatch.setattr(strips, "_part", spoiled)
    error, _, _ = taken_apart("columns", monkeypatch)
    assert not error < TOLERANCE


def test_windows_are_not_taken_again_from_maps_that_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "CACHE", 1)
    plan = run(case(declared(TEXT), {"m": 5}).found.plans["train_step"], BEFORE)
    clear = Nest((Put(plan.buffers["A"].whole(), ZERO),))
    last = next(k for k, kernel in enumerate(plan.body) if isinstance(kernel, Gemm) and kernel.out.buffer == "K_B_bar")

    def times(place: int) -> int:
        """Return how often windows of A are taken, where A changes in front of a kernel."""
        changed = plan.with_body((*plan.body[:place], clear, *plan.body[place:]))
        gathers = [k for k in walk(windows_by_sample(changed).body) if isinstance(k, Call) and k.routine == "gather"]
        return sum(k.writes[0].buffer == "P_B" for k in gathers)

    assert times(last) == 1
    assert times(last + 1) == 2


def test_a_wrong_strip_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every strip is written to the place of the first one, parameters are others."""
    honest = strips._body

    def spoiled(*given: Any) -> Any:
        product, scatter = honest(*given)
        (target,) = scatter.writes
        return product, replace(scatter, writes=(replace(target, row=sp.S.Zero, col=sp.S.Zero),))

    monkeypatch.setattr(strips, "_body", spoiled)
    error, _, _ = taken_apart("columns", monkeypatch)
    assert not error < TOLERANCE


def test_small_windows_stay_together() -> None:
    given = case(declared(TEXT), {"m": 5})
    first = run(given.found.plans["train_step"], BEFORE)
    assert windows_by_sample(first) == first
    assert sum(isinstance(k, Call) for k in walk(first.body)) >= 4
    assert np.isfinite(given.error(first))
