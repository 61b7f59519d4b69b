"""Layers and losses: the equations that they write, and their values."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symbp.losses
from symbp.calculus import derive
from symbp.expr.nodes import plain
from symbp.expr import Ref, Softmax, add, constant, scaled, size
from symbp.language import DeclarationError, read_text
from symbp.language.reader import LAYER_TABLE
from symbp.layers import LAYERS
from symbp.program import Program
from symbp.verify import all_ok, check_derivation, text_table
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


@pytest.mark.parametrize(("name", "function"), [("glu", "sigmoid"), ("swiglu", "silu"), ("geglu", "gelu")])
def test_a_gated_unit_is_a_product_of_two_layers(name: str, function: str) -> None:
    program = read_text(f"X: input[n0, m]\nH = {name}(X, n1, bias='separate')\nloss = sum(H)\n")
    assert equations(program) == {
        "Z_H": "Add(MatMul(W_H, X), MatMul(b_H, Ones(1, m)))",
        "G_H": f"Map(Z_H, {function})",
        "U_H": "Add(MatMul(V_H, X), MatMul(c_H, Ones(1, m)))",
        "H": "Hadamard(G_H, U_H)",
        "loss": "MatMul(Ones(1, n1), H, Ones(m, 1))",
    }
    rows = read_text(f"X: input[m, n0]\nsamples: m\nH = {name}(X, n1, bias='none')\nloss = sum(H)\n")
    assert equations(rows)["U_H"] == "MatMul(X, V_H)"
    assert {v.name: v.shape for v in rows.parameters} == {"W_H": (n0, n1), "V_H": (n0, n1)}


def test_a_highway_carries_its_input() -> None:
    """With the gate shut, V = 0 and c far below zero, the output is the input; wide open it is the other layer."""
    program = read_text("X: input[n0, m]\nA = highway(X, sin)\nloss = sum(A)\n")
    rng = np.random.default_rng(0)
    X, W, b = rng.normal(size=(4, 2)), rng.normal(size=(4, 4)), rng.normal(size=(4, 1))
    for c, wanted in ((-800.0, X), (800.0, np.sin(W @ X + b))):
        values = {"X": X, "W_A": W, "b_A": b, "V_A": np.zeros((4, 4)), "c_A": np.full((4, 1), c)}
        found = evaluate(program, values, {"n0": 4, "m": 2})["A"]
        np.testing.assert_allclose(found, wanted, rtol=1e-14)
    rows = read_text("samples: m\nX: input[m, n0]\nA = highway(X)\nloss = sum(A)\n")
    assert equations(rows)["S_A"] == "Add(MatMul(X, V_A), MatMul(Ones(m, 1), c_A))"


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


def _softmax(Z: Any) -> Any:
    return np.exp(Z) / np.exp(Z).sum(axis=0)


def _focal(d: dict[str, Any], gamma: float, of_one: float, of_zero: float) -> Any:
    A = 1 / (1 + np.exp(-d["A"]))
    ones, zeros = (1 - A) ** gamma * np.log(A), A**gamma * np.log(1 - A)
    return -np.sum(of_one * d["Y"] * ones + of_zero * (1 - d["Y"]) * zeros) / 4


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
    (
        "softmax_cross_entropy(A, Y, smoothing=1/5)",
        lambda d: -np.sum((0.8 * d["Y"] + 0.2 / 3) * np.log(_softmax(d["A"]))) / 4,
    ),
    ("softmax_focal(A, Y)", lambda d: -np.sum(d["Y"] * (1 - _softmax(d["A"])) ** 2 * np.log(_softmax(d["A"]))) / 4),
    ("softmax_focal(A, Y, gamma=0)", lambda d: -np.sum(d["Y"] * np.log(_softmax(d["A"]))) / 4),
    ("sigmoid_focal(A, Y)", lambda d: _focal(d, 2.0, 1.0, 1.0)),
    ("sigmoid_focal(A, Y, gamma=3/2, alpha=1/4)", lambda d: _focal(d, 1.5, 0.25, 0.75)),
    ("sigmoid_focal(A, Y, gamma=0)", lambda d: _focal(d, 0.0, 1.0, 1.0)),
    (
        "cosine_similarity_loss(A, Y)",
        lambda d: np.mean([1 - a @ y / np.sqrt(a @ a * (y @ y)) for a, y in zip(d["A"].T, d["Y"].T, strict=True)]),
    ),
    (
        "triplet(A, P, Q, margin=1/2)",
        lambda d: np.maximum(0, np.sum((d["A"] - d["P"]) ** 2 - (d["A"] - d["Q"]) ** 2, axis=0) + 0.5).sum() / 4,
    ),
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
    for name in ("softmax_cross_entropy", "sigmoid_cross_entropy", "softmax_focal", "sigmoid_focal"):
        with np.errstate(over="raise", invalid="raise"):
            assert np.isfinite(
                value_of(evaluate(read_text(f"{HEAD}loss = {name}(A, Y)\n"), given, {"k": 3, "m": 4}), "loss")
            )


def test_smoothed_labels_are_seen_to_sum_to_one() -> None:
    for Y, axis in (("Y: target[k, m] & one_hot_columns", 0), ("Y: target[m, k] & one_hot_rows", 1)):
        shape = "k, m" if axis == 0 else "m, k"
        text = f"Z: param[{shape}]\n{Y}\nsamples: m\nloss = softmax_cross_entropy(Z, Y, smoothing=1/5)\n"
        derivation = derive(read_text(text))
        (site,) = (s for s in derivation.program.sites if s.target.name == derivation.gradients["Z"])
        k, m = size("k"), size("m")
        Z, Y_ = (Ref(name, *((k, m) if axis == 0 else (m, k))) for name in ("Z", "Y"))
        P = Softmax(Z, sp.Integer(axis))
        even = constant(-sp.Rational(1, 5) / (k * m), *Z.shape)
        wanted = add(scaled(1 / m, P), scaled(-sp.Rational(4, 5) / m, Y_), even)
        assert plain(site.equation.value) == plain(wanted)


@pytest.mark.parametrize("text", [text for text, _ in LOSSES if "focal" in text or text[:3] in ("cos", "tri")])
def test_the_gradient_of_a_loss_holds(text: str) -> None:
    """The witnesses that need no compiler, in both conventions; the bundled networks go the whole way."""
    for shape in ("k, m", "m, k"):
        program = read_text(
            f"A: param[{shape}]; P: input[{shape}]; Q: input[{shape}]; Y: target[{shape}]\nsamples: m\nloss = {text}\n"
        )
        verdicts = check_derivation(derive(program), draws=1)
        assert all_ok(verdicts), text_table(verdicts)


def test_every_layer_is_registered_with_a_signature_that_is_read() -> None:
    assert set(LAYERS) == set(LAYER_TABLE)
    for name, entry in LAYERS.items():
        assert re.match(rf"{name}\(", entry.signature)
        assert entry.meaning
    losses = {name for name, entry in LAYERS.items() if entry.write.__module__ == "symbp.layers.losses"}
    assert set(symbp.losses.__all__) == losses


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("A = dense(X)", "O003"),
        ("A = dense(X, 0)", "S021"),
        ("A = dense(X, n1, foo)", "O005"),
        ("A = dense(2, n1)", "O004"),
        ("A = swiglu(X)", "O003"),
        ("A = glu(X, n1, bias='what')", "O005"),
        ("loss = softmax_cross_entropy(X, X, smoothing=1)", "O005"),
        ("loss = softmax_cross_entropy(X, X, -1/2)", "O005"),
        ("loss = softmax_focal(X, X, gamma=1/2)", "O005"),
        ("loss = sigmoid_focal(X, X, gamma=-1)", "O005"),
        ("loss = sigmoid_focal(X, X, alpha=X)", "O005"),
        ("loss = triplet(X, X, X.T)", "S002"),
        ("loss = cosine_similarity_loss(X, 2)", "O004"),
        ("A = geglu(X, X)", "N011"),
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
