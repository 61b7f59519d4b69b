"""The numbers of self-checks: what the generator makes, steps of optimizers, difference quotients."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from symbp.calculus import derive
from symbp.language import read_text
from symbp.networks import network
from symbp.pipeline import program_of
from symbp.render.c.selfcheck import Recipe, mixed
from symbp.verify.draws import NoDraw
from symbp.verify.evaluate import evaluate
from symbp.verify.reference import STENCIL, reference_numbers

SIZES: dict[str, Any] = {"n0": 3, "n1": 70, "n2": 2, "m": 5}


def values(reference: Any, shapes: dict[str, tuple[int, int]]) -> dict[str, Any]:
    return {name: reference.recipes[name, ()].matrix(*shape) for name, shape in shapes.items()}


def test_words_are_those_of_the_generator() -> None:
    def one(x: int) -> int:
        x ^= x >> 16
        x = x * 0x7FEB352D % 2**32
        x ^= x >> 15
        x = x * 0x846CA68B % 2**32
        return x ^ (x >> 16)

    assert mixed(7, 5).tolist() == [one(7 + i) for i in range(5)]
    # The seed runs over the end of the words.
    assert mixed(2**32 - 2, 4).tolist() == [one((2**32 - 2 + i) % 2**32) for i in range(4)]


@pytest.mark.parametrize(("kind", "holds"), [
    ("one_hot_columns", lambda x: set(x.ravel()) == {0, 1} and (x.sum(axis=0) == 1).all()),
    ("one_hot_rows", lambda x: set(x.ravel()) == {0, 1} and (x.sum(axis=1) == 1).all()),
    ("columns_sum_to_one", lambda x: (x.sum(axis=0) == 1).all() and (x > 0).all()),
    ("rows_sum_to_one", lambda x: (x.sum(axis=1) == 1).all() and (x > 0).all()),
    ("bits", lambda x: set(x.ravel()) == {0, 1}), ("signs", lambda x: set(x.ravel()) == {-1, 1}),
    ("symmetric", lambda x: np.array_equal(x, x.T) and len(set(x.ravel())) > 20),
    ("whole_numbers", lambda x: set(x.ravel()) == set(range(4))),
    ("numbers", lambda x: (x < 0).any() and (x > 0).any() and np.abs(x).min() > 0.15 / 4 and np.abs(x).max() < 1.1 / 4),
])
def test_matrices_have_their_facts_and_are_exact(kind: Any, holds: Any) -> None:
    spread = 4 if kind == "whole_numbers" else 961
    matrix = Recipe(kind, 12345, 160, spread, 2, True).matrix(9, 9)
    assert holds(matrix)
    assert np.array_equal(matrix, matrix.astype(np.float32))


def test_a_mask_has_both_values_where_there_is_room() -> None:
    masks = "".join(f"M{j}: input[n, m] & mask\n" for j in range(12))
    kept = " + ".join(f"M{j}" for j in range(12))
    derivation = derive(read_text(f"{masks}W: param[n, m]\nloss = sum((W * ({kept}))**2)\n"))
    pairs = reference_numbers(derivation, {"n": 1, "m": 2}).recipes
    assert all(set(pairs[f"M{j}", ()].matrix(1, 2).ravel()) == {0, 1} for j in range(12))
    alone = reference_numbers(derivation, {"n": 1, "m": 1}).recipes
    assert {alone[f"M{j}", ()].matrix(1, 1).item() for j in range(12)} == {0, 1}


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_two_steps_of_each_optimizer(optimizer: Any) -> None:
    derivation = derive(program_of(network("mlp").text))
    found = reference_numbers(derivation, SIZES, "float32", optimizer)
    shapes = {"X": (3, 5), "Y": (2, 5), "W1": (70, 3), "b1": (70, 1), "W2": (2, 70), "b2": (2, 1)}
    start = values(found, shapes)
    truth = evaluate(derivation.program, start, SIZES)
    assert found.losses[0] == truth["loss"][0, 0]
    assert found.losses[1] < found.losses[0]
    name, rate = "W1", found.rate
    first = truth[derivation.gradients[name]]
    # The first step is the same for plain descent and with momentum; Adam's has the length of the rate.
    move = rate * (np.sign(first) if optimizer == "adam" else first)
    moved = {n: start[n] - rate * truth[b] for n, b in derivation.gradients.items()}
    if optimizer == "adam":
        moved = {n: start[n] - rate * np.sign(truth[b]) for n, b in derivation.gradients.items()}
    second = evaluate(derivation.program, {**start, **moved}, SIZES)[derivation.gradients[name]]
    if optimizer == "adam":
        mean, square = 0.09 * first + 0.1 * second, 0.999e-3 * first**2 + 0.001 * second**2
        step = mean / 0.19 / (np.sqrt(square / (1 - 0.999**2)) + 1e-8)
        assert np.allclose(found.after[name], start[name] - move - rate * step, atol=1e-4 * rate)
    else:
        step = second + (0.9 * first if optimizer == "momentum" else 0)
        assert np.allclose(found.after[name], start[name] - move - rate * step, rtol=0, atol=1e-14)


@pytest.mark.parametrize("scale", ["1000", "1/1000"])
def test_the_rate_fits_the_slope_and_that_of_adam_the_step(scale: str) -> None:
    derivation = derive(read_text(f"X: input[n, m]\nW: param[k, n]\nloss = {scale} * sum(tanh(W @ X)**2)\n"))
    found = {o: reference_numbers(derivation, {"n": 2, "k": 3, "m": 4}, "float64", o) for o in ("sgd", "adam")}
    assert 0.03 < found["sgd"].rate * np.abs(found["sgd"].gradients["W"]).max() <= 0.06
    assert found["adam"].rate == 2**-5


def test_differences_are_precise_at_kinks_too() -> None:
    derivation = derive(program_of(network("digits").text))
    sizes = {"m": 24}
    found = reference_numbers(derivation, sizes)
    assert Counter(d.name for d in found.differences) == dict.fromkeys(derivation.gradients, 3)
    for name in derivation.gradients:
        first, gradient = next(d for d in found.differences if d.name == name), np.abs(found.gradients[name])
        assert gradient[first.row, first.col] == gradient.max()
    start = values(found, {"X": (64, 24), "Y": (10, 24), "W_A1": (64, 64), "b_A1": (64, 1), "W_Z2": (10, 64),
                           "b_Z2": (10, 1)})
    for d in found.differences[:3]:
        def loss(move: float, d: Any = d) -> float:
            matrix = start[d.name].copy()
            matrix[d.row, d.col] += move
            return float(evaluate(derivation.source, {**start, d.name: matrix}, sizes)["loss"][0, 0])

        quotient = sum(w * (loss(k * d.step) - loss(-k * d.step)) for k, w in STENCIL) / d.step
        gradient = found.gradients[d.name]
        assert abs(quotient - gradient[d.row, d.col]) < 1e-7 * np.abs(gradient).max()


@pytest.mark.parametrize("most", [1, 3, 4, 9])
def test_differences_are_limited_in_all(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symbp.verify.reference.MOST_DIFFERENCES", most)
    found = reference_numbers(derive(program_of(network("mlp").text)), SIZES).differences
    assert len(found) == {1: 1, 3: 3, 4: 4, 9: 8}[most]  # four gradients, of each as many


def test_a_loss_that_is_never_finite() -> None:
    derivation = derive(program_of("w: param[n, 1]\nloss = sum(log(-(w*w)))\n"))
    with pytest.raises(NoDraw, match="finite"):
        reference_numbers(derivation, {"n": 3})
