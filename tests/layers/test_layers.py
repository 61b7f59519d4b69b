"""Layers and losses: the equations that they write, and their values."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symbp.losses
from symbp.expr.nodes import plain
from symbp.expr import size
from symbp.language import DeclarationError, read_text
from symbp.language.reader import LAYER_TABLE
from symbp.layers import LAYERS
from symbp.program import Program
from symbp.verify.evaluate import evaluate, value_of

n0, n1, n2, m = (size(x) for x in ("n0", "n1", "n2", "m"))


def equations(program: Program) -> dict[str, str]:
    return {site.target.label: plain(site.equation.value) for site in program.sites}


def test_dense_names_its_parts_after_the_left_side() -> None:
    program = read_text("X: input[n0, m]\nA1 = dense(X, n1, tanh)\nZ2 = dense(A1, 3)\nloss = sum(Z2)\n")
    assert equations(program) == {
        "Z_A1": "Add(MatMul(W_A1, X), MatMul(b_A1, Ones(1, m)))",
        "A1": "Map(Z_A1, tanh)",
        "Z2": "Add(MatMul(W_Z2, A1), MatMul(b_Z2, Ones(1, m)))",
        "loss": "MatMul(Ones(1, 3), Z2, Ones(m, 1))",
    }
    assert {v.name: v.shape for v in program.parameters} == {
        "W_A1": (n1, n0),
        "b_A1": (n1, 1),
        "W_Z2": (3, n1),
        "b_Z2": (3, 1),
    }
    assert list(program.variables)[:5] == ["X", "W_A1", "b_A1", "W_Z2", "b_Z2"]  # declared ones first


def test_the_sample_axis_comes_from_samples() -> None:
    rows = read_text("X: input[m, n0]\nsamples: m\nA = dense(X, n1, softmax)\nloss = sum(A)\n")
    assert equations(rows)["Z_A"] == "Add(MatMul(X, W_A), MatMul(Ones(m, 1), b_A))"
    assert equations(rows)["A"] == "Softmax(Z_A, 1)"
    assert {v.name: v.shape for v in rows.parameters} == {"W_A": (n0, n1), "b_A": (1, n1)}
    found = read_text("X: input[m, n0]\nY: target[m, n1]\nA = dense(X, n1)\nloss = sum(A - Y)\n")  # m is shared
    assert found.variables["A"].shape == (m, n1)
    columns = read_text("X: input[n0, m]\nA = dense(X, n1, softmax)\nloss = sum(A)\n")
    assert equations(columns)["A"] == "Softmax(Z_A, 0)"


def test_a_bias_is_separate_folded_or_none() -> None:
    head = "X: input[n0, m]\nA = dense(X, n1, bias="
    assert [v.name for v in read_text(head + "'none')\nloss = sum(A)\n").parameters] == ["W_A"]
    folded = read_text(head + "'folded')\nloss = sum(A)\n")
    assert {v.name: v.shape for v in folded.parameters} == {"W_A": (n1, n0 + 1)}
    rng = np.random.default_rng(0)
    W, X = rng.normal(size=(3, 5)), rng.normal(size=(4, 2))
    found = evaluate(folded, {"X": X, "W_A": W}, {"n0": 4, "n1": 3, "m": 2})["A"]
    np.testing.assert_allclose(found, W[:, :4] @ X + W[:, 4:], rtol=1e-14)
    rows = read_text("X: input[m, n0]\nsamples: m\nA = dense(X, n1, bias='folded')\nloss = sum(A)\n")
    found = evaluate(rows, {"X": X.T, "W_A": W.T}, {"n0": 4, "n1": 3, "m": 2})["A"]
    np.testing.assert_allclose(found, (W[:, :4] @ X + W[:, 4:]).T, rtol=1e-14)


def test_any_activation() -> None:
    text = "sigma: elementwise\ndef f(x): return x**2\nX: input[n0, m]\n"
    for activation in ("sigma", "f", "gelu", "np.tanh", "elu", "linear", "None", "softmax", "square"):
        assert read_text(f"{text}A = dense(X, n1, {activation})\nloss = sum(A)\n").variables["A"].shape == (n1, m)


def test_a_layer_stands_inside_an_expression() -> None:
    program = read_text("X: input[n0, m]\nA = X + dense(X, n0, tanh) + dense(X, n0)\nloss = sum(A)\n")
    assert [v.name for v in program.parameters] == ["W_A", "b_A", "W_A_2", "b_A_2"]
    assert equations(program)["A"].startswith("Add(X, Map(Z_A, tanh), MatMul(W_A_2, X)")


def test_a_layer_in_a_loop_has_parameters_for_each_iteration() -> None:
    program = read_text(
        "A[0]: input[n[0], m]\nfor l in range(1, L+1):\n    A[l] = dense(A[l-1], n[l], tanh)\nloss = sum(A[L])\n"
    )
    assert equations(program)["Z_A[l]"] == "Add(MatMul(W_A[l], A[l - 1]), MatMul(b_A[l], Ones(1, m)))"
    W = program.variables["W_A"]
    assert str(W.shape) == "(n[l], n[l - 1])"
    assert [(s.lows, s.highs) for s in W.boxes[0].sides] == [((1,), (size("L"),))]


def test_dropout_has_its_mask_as_an_input() -> None:
    program = read_text("X: input[n0, m]\nM: input[n0, m] & mask\nD = dropout(X, M, 1/4)\nloss = sum(D)\n")
    assert equations(program)["D"] == "Scale(Hadamard(X, M), 4/3)"


def test_flatten_is_a_column() -> None:
    assert equations(read_text("X: input[n, m]\nx = flatten(X)\nloss = sum(x)\n"))["x"] == "Reshape(X, m*n, 1, F)"


def _data() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    e = np.exp(rng.normal(size=(3, 4)))
    f = np.exp(rng.normal(size=(3, 4)))
    return {
        "A": rng.normal(size=(3, 4)),
        "Y": rng.uniform(size=(3, 4)),
        "P": e / e.sum(axis=0),
        "Q": f / f.sum(axis=0),
        "S": np.sign(rng.normal(size=(3, 4))),
        "W": rng.normal(size=(2, 3)),
        "V": rng.normal(size=(2, 2)),
        "lam": np.array([[0.3]]),
    }


def _huber(E: Any, delta: float) -> Any:
    return np.where(np.abs(E) <= delta, E**2 / 2, delta * np.abs(E) - delta**2 / 2).sum() / 4


LOSSES: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("mean_squared_error(A, Y)", lambda d: np.mean((d["A"] - d["Y"]) ** 2)),
    ("sum_of_squares(A, Y)", lambda d: np.sum((d["A"] - d["Y"]) ** 2)),
    ("sum_of_squares(A, Y, 1/2)", lambda d: np.sum((d["A"] - d["Y"]) ** 2) / 2),
    ("sum_of_squares(A, Y, factor=1/(2*m))", lambda d: np.sum((d["A"] - d["Y"]) ** 2) / 8),
    ("cross_entropy(P, Y)", lambda d: -np.sum(d["Y"] * np.log(d["P"])) / 4),
    (
        "cross_entropy(P, Y, kind='binary')",
        lambda d: -np.sum(d["Y"] * np.log(d["P"]) + (1 - d["Y"]) * np.log(1 - d["P"])) / 4,
    ),
    ("softmax_cross_entropy(A, Y)", lambda d: -np.sum(d["Y"] * (d["A"] - np.log(np.exp(d["A"]).sum(axis=0)))) / 4),
    ("sigmoid_cross_entropy(A, Y)", lambda d: np.sum(np.log1p(np.exp(d["A"])) - d["Y"] * d["A"]) / 4),
    ("huber(A, Y)", lambda d: _huber(d["A"] - d["Y"], 1.0)),
    ("huber(A, Y, delta=0.3)", lambda d: _huber(d["A"] - d["Y"], 0.3)),
    ("log_cosh(A, Y)", lambda d: np.sum(np.log(np.cosh(d["A"] - d["Y"]))) / 4),
    ("hinge(A, S)", lambda d: np.maximum(0, 1 - d["S"] * d["A"]).sum() / 4),
    ("hinge(A, S, margin=2)", lambda d: np.maximum(0, 2 - d["S"] * d["A"]).sum() / 4),
    ("kl_divergence(P, Q)", lambda d: np.sum(d["P"] * np.log(d["P"] / d["Q"])) / 4),
    ("l2(lam, W, V)", lambda d: 0.3 * (np.sum(d["W"] ** 2) + np.sum(d["V"] ** 2))),
    ("l2(1/(2*m), W)", lambda d: np.sum(d["W"] ** 2) / 8),
]
HEAD = """
A: input[k, m]; P: input[k, m] & positive; Q: input[k, m] & positive; lam: input
Y: target[k, m]; S: target[k, m] & signs
W: param[2, k]; V: param[2, 2]
samples: m
"""


@pytest.mark.parametrize(("text", "value"), LOSSES, ids=[x[0] for x in LOSSES])
def test_a_loss_has_the_value_of_its_formula(text: str, value: Callable[[dict[str, Any]], Any]) -> None:
    found = evaluate(read_text(f"{HEAD}loss = {text}\n"), _data(), {"k": 3, "m": 4})
    np.testing.assert_allclose(value_of(found, "loss"), value(_data()), rtol=1e-13)
    if "W" in text:
        return
    turned = HEAD.replace("[k, m]", "[m, k]").replace("param[2, k]", "param[k, 2]")
    given = {name: a.T for name, a in _data().items()}
    found = evaluate(read_text(f"{turned}loss = {text}\n"), given, {"k": 3, "m": 4})
    np.testing.assert_allclose(value_of(found, "loss"), value(_data()), rtol=1e-13)


def test_a_loss_may_be_part_of_an_expression() -> None:
    program = read_text(f"{HEAD}loss = 0.5*huber(A, Y) + l2(lam, W)\n")
    assert [site.target.name for site in program.sites] == ["E_loss", "loss"]


def test_no_overflow_in_the_losses_of_logits() -> None:
    given = _data() | {"A": 1e3 * np.sign(_data()["A"])}
    for name in ("softmax_cross_entropy", "sigmoid_cross_entropy"):
        with np.errstate(over="raise", invalid="raise"):
            assert np.isfinite(
                value_of(evaluate(read_text(f"{HEAD}loss = {name}(A, Y)\n"), given, {"k": 3, "m": 4}), "loss")
            )


def test_every_layer_is_registered_with_a_signature_that_is_read() -> None:
    assert set(LAYERS) == set(LAYER_TABLE)
    for name, entry in LAYERS.items():
        assert re.match(rf"{name}\(", entry.signature)
        assert entry.meaning
    assert set(symbp.losses.__all__) == {n for n, e in LAYERS.items() if e.write.__module__ == "symbp.layers.losses"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("A = dense(X)", "O003"),
        ("A = dense(X, 0)", "S021"),
        ("A = dense(X, n1, foo)", "O005"),
        ("A = dense(2, n1)", "O004"),
        ("A = dense(X, n1, bias='what')", "O005"),
        ("A = dropout(X, X, 1)", "O005"),
        ("loss = huber(X, X.T)", "S002"),
        ("loss = l2(2)", "O003"),
        ("A = np.dense(X, 3)", "O001"),
        ("W_A = X; A = dense(X, 3)", "N002"),
        ("A = dense(X, n1, units=3)", "O003"),
        ("A = dense", "O008"),
        ("loss = sum_of_squares(X, X, X)", "O005"),
    ],
)
def test_errors_of_layers_have_a_place(text: str, code: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        read_text("X: input[n0, m]\n" + text + "\n")
    assert [d.code for d in caught.value.diagnostics] == [code]
