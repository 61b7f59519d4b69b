"""The formula sheet, declared, derived and evaluated, at relative tolerance 1e-9."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

from symbp.calculus import derive, inference, sensitivities
from symbp.expr import Function, Node, Ref, refs, shift, transform
from symbp.calculus.transition import Bound, transition
from symbp.expr.nodes import plain
from symbp.calculus.batch import convert
from symbp.language import read_text
from symbp.layers import LAYERS
from symbp.pipeline import program_of
from symbp.program import Equation, Program, Var
from symbp.pipeline import generate
from symbp.verify import load_module
from symbp.verify.evaluate import Numbers, evaluate

CLOSE = {"rtol": 1e-9, "atol": 1e-14}


def T(m: int, n: int, s: float) -> np.ndarray:
    """Return the sheet's test matrix."""
    i, j = np.arange(1, m + 1)[:, None], np.arange(1, n + 1)[None, :]
    return np.sin(1.3 * i + 0.7 * j**2 + 0.9 * i * j + s)


def run(text: str, values: Mapping[str, Any], sizes: Mapping[str, Any], wrt: list[str] | None = None) -> dict[str, Any]:
    """Read, derive, evaluate; return every value and, as ``bar(X)``, every gradient."""
    derivation = derive(read_text(text), wrt)
    results = evaluate(derivation.program, values, sizes)
    return {**results, **{f"bar({n})": results[b] for n, b in derivation.gradients.items()}}


def norms(results: Mapping[str, Any], *names: str) -> list[float]:
    return [float(np.linalg.norm(results[f"bar({n})"])) for n in names]


def loss_of(results: Mapping[str, Any]) -> float:
    return float(results["loss"][0, 0])


def column(*numbers: float) -> np.ndarray:
    return np.array(numbers)[:, None]


# ---------------------------------------------------------------------------------------------------------
# 0.4 Rules of the differential calculus

R = np.random.default_rng(4)
A_, B_, C_, G_ = R.normal(size=(5, 7)), R.normal(size=(7, 3)), R.normal(size=(3, 4)), R.normal(size=(5, 7))


@pytest.mark.parametrize(
    "shapes, value, adjoints",
    [
        ("A: input[5, 7]; B: input[7, 3]; G: input[5, 3]", "A @ B", lambda A, B, G: {"A": G @ B.T, "B": A.T @ G}),
        ("A: input[5, 7]; B: input[5, 7]; G: input[5, 7]", "A * B", lambda A, B, G: {"A": G * B, "B": G * A}),
        ("A: input[5, 7]; G: input[5, 7]", "sin(A)", lambda A, G: {"A": G * np.cos(A)}),
        ("A: input[5, 7]; G: input[7, 5]", "A.T", lambda A, G: {"A": G.T}),
        ("A: input[5, 1]; G: input[5, 7]", "A + zeros(5, 7)", lambda A, G: {"A": G.sum(axis=1, keepdims=True)}),
        (
            "B: input[5, 7]; A: input[7, 3]; C: input[3, 4]; G: input[5, 4]", "B @ A @ C",
            lambda B, A, C, G: {"A": B.T @ G @ C.T},
        ),
        (
            "X: input[7, 3]; A: input[7, 7]; G: input[3, 3]", "X.T @ A @ X",
            lambda X, A, G: {"X": A @ X @ G.T + A.T @ X @ G, "A": X @ G @ X.T},
        ),
        (
            "A: input[2, 3]; X: input[3, 5]; B: input[5, 4]; G: input[8, 1]", "reshape(A @ X @ B, (8, 1), order='F')",
            lambda A, X, B, G: {"X": (np.kron(B.T, A).T @ G).reshape(5, 3).T},
        ),
    ],
    ids=["product", "Hadamard", "elementwise", "transpose", "broadcast", "two-sided", "quadratic", "vec"],
)
def test_0_4_differential_rules(shapes: str, value: str, adjoints: Any) -> None:
    text = "\n".join(shapes.split("; ")) + f"\nloss = sum(G * ({value}))\n"
    declared = [s.split(":")[0] for s in shapes.split("; ")]
    program = read_text(text)
    values = {n: R.normal(size=tuple(int(x) for x in program.variables[n].shape)) for n in declared}
    expected = adjoints(**values)
    found = run(text, values, {}, list(expected))
    for name, gradient in expected.items():
        assert np.allclose(found[f"bar({name})"], gradient, **CLOSE)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("theta: param[4, 1]\nG: input[4, 4]\nloss = sum(G * diagflat(theta))\n", lambda t, G: np.diag(G)[:, None]),
        ("theta: param[4, 4]\nG: input[4, 4]\nloss = sum(G * (theta @ theta.T))\n", lambda t, G: (G + G.T) @ t),
        ("theta: param[4, 4]\nG: input[4, 4]\nloss = sum(G * (tril(ones(4, 4)) * theta))\n", lambda t, G: np.tril(G)),
        # Entries on and above the diagonal are the parameters: one for each unordered pair.
        (
            "theta: param[4, 4]\nG: input[4, 4]\nU = triu(theta)\nloss = sum(G * (U + (U - eye(4)*U).T))\n",
            lambda t, G: np.triu(G + G.T - np.diag(np.diag(G))),
        ),
        (
            "theta: param[4, 4]\nG: input[4, 4]\nloss = sum(G * symmetric(theta))\n",
            lambda t, G: np.tril(G + G.T - np.diag(np.diag(G))),
        ),
        ("theta: param[4, 4]\nG: input[4, 4]\nloss = sum(G * skew(theta))\n", lambda t, G: np.tril(G - G.T, -1)),
        ("theta: param[4, 4]\nG: input[4, 4]\nloss = sum(G * spd(theta))\n", lambda t, G: (G + G.T) @ t),
        ("theta: param[4, 4]\nG: input[4, 4]\nloss = sum(G * tril(theta))\n", lambda t, G: np.tril(G)),
        (
            "theta: param[7, 1]\nG: input[4, 4]\nloss = sum(G * toeplitz(theta, (4, 4)))\n",
            lambda t, G: np.array([[np.trace(G, -k)] for k in range(-3, 4)]),
        ),
    ],
    ids=["diagonal", "C C^T", "pattern", "upper triangle", "symmetric", "skew", "positive definite", "triangular",
         "Toeplitz"],
)
def test_0_5_structured_parameters(text: str, expected: Any) -> None:
    shape = (4, 1) if "[4, 1]" in text else (7, 1) if "[7, 1]" in text else (4, 4)
    values = {"theta": R.normal(size=shape), "G": R.normal(size=(4, 4))}
    found = run(text, values, {})["bar(theta)"]
    assert np.allclose(found, expected(values["theta"], values["G"]), **CLOSE)
    # The loss is at most quadratic: a symmetric difference is exact, over each free entry.
    program = read_text(text)
    for i, j in np.ndindex(*shape):
        unit = np.zeros(shape)
        unit[i, j] = 1.0
        up, down = (evaluate(program, {**values, "theta": values["theta"] + h * unit}, {})["loss"] for h in (1, -1))
        assert np.isclose(found[i, j], (up - down)[0, 0] / 2, rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------------------------------------------------
# 1.7 Reference net A, and the same net in other conventions

NET_A = """
X: input[n0, m]
Y: target[n2, m]
W1: param[n1, n0]
b1: param[n1, 1]
W2: param[n2, n1]
b2: param[n2, 1]
Z1 = W1 @ X + b1
A1 = sigmoid(Z1)
Z2 = W2 @ A1 + b2
"""
QUADRATIC = NET_A + "A2 = sigmoid(Z2)\nloss = sum((A2 - Y)**2) / (2*m)\n"
CROSS_ENTROPY = NET_A + "A2 = sigmoid(Z2)\nloss = -sum(Y*log(A2) + (1 - Y)*log(1 - A2)) / m\n"
VALUES_A = {
    "W1": T(4, 3, 0.1) / 2, "b1": T(4, 1, 0.2) / 10, "W2": T(2, 4, 0.3) / 2, "b2": T(2, 1, 0.4) / 10,
    "X": T(3, 5, 0.5), "Y": 0.5 + 0.4 * T(2, 5, 0.6),
}
SIZES_A = {"n0": 3, "n1": 4, "n2": 2, "m": 5}
NAMES = ("W1", "b1", "W2", "b2")


def test_1_7_quadratic_loss() -> None:
    found = run(QUADRATIC, VALUES_A, SIZES_A)
    assert np.isclose(loss_of(found), 0.0595540651935777, **CLOSE)
    wanted = [0.00849673652481906, 0.002520728760540077, 0.03818217545731954, 0.0376267408678169]
    assert np.allclose(norms(found, *NAMES), wanted, **CLOSE)
    assert np.allclose(found["A2"][:, 0], [0.4006513372237512, 0.5372454308630876], **CLOSE)
    row = [0.0008202341045221476, 0.0038855221556331945, 0.0006736929650011137]
    assert np.allclose(found["bar(W1)"][0], row, **CLOSE)


def test_1_7_binary_cross_entropy() -> None:
    found = run(CROSS_ENTROPY, VALUES_A, SIZES_A)
    assert np.isclose(loss_of(found), 1.3208665692966142, **CLOSE)
    assert np.allclose(norms(found, "W1", "W2"), [0.03452754830366249, 0.1571537075610432], **CLOSE)


def test_1_7_softmax_cross_entropy() -> None:
    text = (
        NET_A.replace("Y: target[n2, m]", "Y: target[n2, m] & one_hot_columns")
        + "loss = softmax_cross_entropy(Z2, Y)\n"
    )
    found = run(text, {**VALUES_A, "Y": np.eye(2)[:, [0, 1, 0, 1, 0]]}, SIZES_A)
    assert np.isclose(loss_of(found), 0.7831195678967504, **CLOSE)
    assert np.allclose(norms(found, "W1", "W2"), [0.07848204400114293, 0.3365621647586758], **CLOSE)


def test_1_7_weight_decay() -> None:
    text = CROSS_ENTROPY.replace(") / m\n", ") / m + lam/(2*m) * (sum(W1**2) + sum(W2**2))\n")
    text = "lam: input\n" + text
    found = run(text, {**VALUES_A, "lam": np.array([[0.3]])}, SIZES_A)
    assert np.allclose(norms(found, "W1"), [0.07252597746448751], **CLOSE)
    # Biases are not decayed, and the accumulator form of 1.3 is the same: sum over samples / N + lambda/N W.
    plain = run(CROSS_ENTROPY, VALUES_A, SIZES_A)
    assert np.allclose(found["bar(W1)"], plain["bar(W1)"] + 0.3 / 5 * VALUES_A["W1"], **CLOSE)
    assert np.allclose(found["bar(b1)"], plain["bar(b1)"], **CLOSE)


def test_1_2_and_1_3_the_four_equations() -> None:
    found = run(QUADRATIC, VALUES_A, SIZES_A)
    v = VALUES_A
    a1 = 1 / (1 + np.exp(-(v["W1"] @ v["X"] + v["b1"])))
    a2 = 1 / (1 + np.exp(-(v["W2"] @ a1 + v["b2"])))
    d2 = (a2 - v["Y"]) / 5 * a2 * (1 - a2)
    d1 = (v["W2"].T @ d2) * a1 * (1 - a1)
    expected = {"W2": d2 @ a1.T, "b2": d2.sum(1, keepdims=True), "W1": d1 @ v["X"].T, "b1": d1.sum(1, keepdims=True)}
    for name, gradient in expected.items():
        assert np.allclose(found[f"bar({name})"], gradient, **CLOSE)
    # One sample at a time, added up and divided by N (the accumulator form).
    per_sample = [
        run(QUADRATIC, {**v, "X": v["X"][:, [k]], "Y": v["Y"][:, [k]]}, {**SIZES_A, "m": 1}) for k in range(5)
    ]
    for name in NAMES:
        assert np.allclose(sum(p[f"bar({name})"] for p in per_sample) / 5, expected[name], **CLOSE)
    assert np.allclose(run(QUADRATIC, v, SIZES_A, ["X"])["bar(X)"], v["W1"].T @ d1, **CLOSE)


def test_0_2_row_samples_are_the_transpose() -> None:
    columns = run(QUADRATIC, VALUES_A, SIZES_A)
    program = program_of(read_text(QUADRATIC), samples="rows")
    derivation = derive(program)
    turned = {
        n: a if program.variables[n].shape == read_text(QUADRATIC).variables[n].shape else a.T
        for n, a in VALUES_A.items()
    }
    results = evaluate(derivation.program, turned, SIZES_A)
    assert np.isclose(loss_of(results), loss_of(columns), **CLOSE)
    for name, bar in derivation.gradients.items():
        same = columns[f"bar({name})"]
        assert np.allclose(results[bar], same if results[bar].shape == same.shape else same.T, **CLOSE)
    assert results[derivation.gradients["W1"]].shape == (3, 4)


def test_0_2_folded_bias() -> None:
    folded = """
X: input[n0, m]
Y: target[n2, m]
V1: param[n1, n0 + 1]
V2: param[n2, n1 + 1]
A1 = sigmoid(V1 @ vstack((X, ones(1, m))))
A2 = sigmoid(V2 @ vstack((A1, ones(1, m))))
loss = sum((A2 - Y)**2) / (2*m)
"""
    v = VALUES_A
    values = {"X": v["X"], "Y": v["Y"], "V1": np.hstack([v["W1"], v["b1"]]), "V2": np.hstack([v["W2"], v["b2"]])}
    found, plain = run(folded, values, SIZES_A), run(QUADRATIC, v, SIZES_A)
    assert np.allclose(found["bar(V1)"], np.hstack([plain["bar(W1)"], plain["bar(b1)"]]), **CLOSE)
    assert np.allclose(found["bar(V2)"], np.hstack([plain["bar(W2)"], plain["bar(b2)"]]), **CLOSE)


def test_1_7_deep_net() -> None:
    shapes = [4, 5, 3, 4, 2]
    lines = ["X: input[4, m]", "Y: target[2, m]"]
    values: dict[str, Any] = {"X": T(4, 6, 0.3), "Y": T(2, 6, 0.9)}
    for k in range(1, 5):
        lines += [f"W{k}: param[{shapes[k]}, {shapes[k - 1]}]", f"b{k}: param[{shapes[k]}, 1]"]
        values[f"W{k}"], values[f"b{k}"] = 0.7 * T(shapes[k], shapes[k - 1], k - 0.9), 0.1 * T(shapes[k], 1, k - 0.8)
    for k, f in enumerate(("tanh", "sigmoid", "softplus", ""), 1):
        lines.append(f"A{k} = {f}(W{k} @ {'X' if k == 1 else f'A{k - 1}'} + b{k})")
    lines.append("loss = sum((A4 - Y)**2) / 2")
    found = run("\n".join(lines) + "\n", values, {"m": 6})
    assert np.isclose(loss_of(found), 7.127324728781343, **CLOSE)
    wanted = [0.25898551930961405, 0.3079558327662563, 3.633395818265611, 9.835807206275348]
    assert np.allclose(norms(found, "W1", "W2", "W3", "W4"), wanted, **CLOSE)


def test_1_6_and_1_7_linear_layer_without_jacobians() -> None:
    text = "X: input[3, 4]\nW: param[4, 2]\nG: input[3, 2]\nloss = sum(G * (X @ W))\n"
    values = {"X": T(3, 4, 0.2), "W": T(4, 2, 0.4), "G": T(3, 2, 0.6)}
    found = run(text, values, {}, ["X", "W"])
    assert np.allclose(norms(found, "X", "W"), [1.5470390176400817, 1.7234499187250525], **CLOSE)


# ---------------------------------------------------------------------------------------------------------
# 1.4 Losses, 1.5 activations through the value

LOSSES = {
    "sum((A - Y)**2) / (2*m)": lambda A, Y, N: (A - Y) / N,
    "sum((Y - A)**2)": lambda A, Y, N: 2 * (A - Y),
    "-sum(Y*log(sigmoid(A)) + (1 - Y)*log(1 - sigmoid(A))) / m": lambda A, Y, N: (1 / (1 + np.exp(-A)) - Y) / N,
    "-sum(Y * log(softmax(A, axis=0))) / m": lambda A, Y, N: (np.exp(A) / np.exp(A).sum(0) - Y) / N,
}


@pytest.mark.parametrize("loss", LOSSES)
def test_1_4_losses(loss: str) -> None:
    values = {"A": T(3, 4, 0.2), "Y": np.abs(T(3, 4, 0.7)) / np.abs(T(3, 4, 0.7)).sum(axis=0)}
    text = f"A: param[k, m]\nY: target[k, m] & columns_sum_to_one\nloss = {loss}\n"
    found = run(text, values, {"k": 3, "m": 4})
    assert np.allclose(found["bar(A)"], LOSSES[loss](values["A"], values["Y"], 4), **CLOSE)


def test_1_4_softmax_jacobian() -> None:
    values = {"A": T(3, 4, 0.2), "G": T(3, 4, 0.9)}
    found = run("A: param[3, 4]\nG: input[3, 4]\nloss = sum(G * softmax(A, axis=0))\n", values, {})
    for k in range(4):
        p = np.exp(values["A"][:, k]) / np.exp(values["A"][:, k]).sum()
        assert np.allclose(found["bar(A)"][:, k], (np.diag(p) - np.outer(p, p)) @ values["G"][:, k], **CLOSE)


ACTIVATIONS = {
    "sigmoid(Z)": lambda z, a: a * (1 - a),
    "tanh(Z)": lambda z, a: 1 - a**2,
    "2*sigmoid(Z) - 1": lambda z, a: (1 - a**2) / 2,
    "softplus(Z)": lambda z, a: 1 - np.exp(-a),
    "exp(Z)": lambda z, a: a,
    "arctan(Z)": lambda z, a: np.cos(a) ** 2,
    "softsign(Z)": lambda z, a: (1 - np.abs(a)) ** 2,
    "relu(Z)": lambda z, a: (a > 0) * 1.0,
    "elu(Z)": lambda z, a: np.where(z > 0, 1, a + 1),
    "silu(Z)": lambda z, a: a + (1 - a) / (1 + np.exp(-z)),
    "exp(-Z**2)": lambda z, a: -2 * z * a,
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_1_5_slopes_through_the_value(activation: str) -> None:
    values = {"Z": 1.3 * T(3, 4, 0.2), "G": T(3, 4, 0.9)}
    found = run(f"Z: param[3, 4]\nG: input[3, 4]\nA = {activation}\nloss = sum(G * A)\n", values, {})
    slope = ACTIVATIONS[activation](values["Z"], found["A"])
    assert np.allclose(found["bar(Z)"], values["G"] * slope, **CLOSE)


@pytest.mark.parametrize(
    "name, second", [("sigmoid", lambda a: a * (1 - a) * (1 - 2 * a)), ("tanh", lambda a: -2 * a * (1 - a**2))]
)
def test_1_5_second_derivatives(name: str, second: Any) -> None:
    numbers, z = Numbers(np.dtype(float)), T(3, 4, 0.2)
    value = numbers.function(Function(name), [z])
    assert np.allclose(numbers.function(Function(name, (), (2,)), [z]), second(value), **CLOSE)


# ---------------------------------------------------------------------------------------------------------
# 1.8 to 1.13


def test_1_8_matrix_back_propagation() -> None:
    text = """
X: input[P, n0]
Y: target[P, n2]
W1: param[n0, n1]
b1: param[1, n1]
W2: param[n1, n2]
b2: param[1, n2]
S1 = tanh(X @ W1 + b1)
S2 = tanh(S1 @ W2 + b2)
loss = sum((Y - S2)**2) / (P*n2)
"""
    values = {n: VALUES_A[n].T for n in ("X", *NAMES)} | {"Y": 0.8 * T(5, 2, 0.6)}
    found = run(text, values, {"P": 5, "n0": 3, "n1": 4, "n2": 2})
    assert np.isclose(loss_of(found), 0.1533030686855715, **CLOSE)
    assert np.allclose(norms(found, "W1", "W2"), [0.16021062062118271, 0.1101022523025066], **CLOSE)


def test_1_9_modified_criterion() -> None:
    text = NET_A + "lam: input\nF = log(Y / (1 - Y))\nloss = sum((Y - sigmoid(Z2))**2)/2 + lam/2 * sum((F - Z2)**2)\n"
    values = {**VALUES_A, "Y": 0.5 + 0.35 * T(2, 5, 0.6), "lam": np.array([[0.4]])}
    found = run(text, values, SIZES_A)
    assert np.isclose(loss_of(found), 2.2338344087656017, **CLOSE)
    assert np.allclose(norms(found, "W1", "W2"), [0.3162645107026935, 1.4981676678760218], **CLOSE)


def test_1_10_dag_connection_matrix() -> None:
    text = """
u: input[n, 1]
x[0]: input[n, 1]
M: const[n, n] & mask
C: input[n, 1]
A: param[n, n]
for k in range(1, n+1):
    x[k] = tanh((A*M) @ x[k-1] + u)
loss = sum(C * x[n])
"""
    mask = np.tril(np.ones((6, 6)), -1)
    mask[3, 1] = mask[5, 0] = 0
    values = {
        "A": 0.7 * T(6, 6, 0.2), "M": mask, "u": T(6, 1, 0.3), "C": T(6, 1, 0.8), "x": {(0,): np.zeros((6, 1))},
    }
    found = run(text, values, {"n": 6}, ["A", "u"])
    x = [
        -0.058307929588340864,
        -0.6284165971995338,
        0.7800225538028582,
        -0.5520965070659111,
        0.5008904576725831,
        0.5768433886926357,
    ]
    assert np.allclose(found["x"][(6,)][:, 0], x, **CLOSE)
    assert np.allclose(norms(found, "A"), [0.9098856357924996], **CLOSE)
    slope = np.diag(1 - np.array(x) ** 2)
    costate = np.linalg.solve((np.eye(6) - slope @ (values["A"] * mask)).T, values["C"])
    assert np.allclose(found["bar(u)"], slope @ costate, **CLOSE)
    assert np.allclose(found["bar(A)"], mask * (slope @ costate @ np.array([x])), **CLOSE)


def test_1_12_native_tensor_form() -> None:
    """Y_bkj = X_bki W_kij: the adjoint of a factor is the same contraction with the factor replaced by that of Y."""
    text = """
X: input[b*k, p]
W: param[k, p*q]
C: input[b*k, q]
Y = einsum("(b k) i, k (i j) -> (b k) j", X, W)
loss = sum(C * Y)
"""
    X, W, C = R.normal(size=(5, 3, 2)), R.normal(size=(3, 2, 4)), R.normal(size=(5, 3, 4))
    values = {"X": X.reshape(15, 2), "W": W.reshape(3, 8), "C": C.reshape(15, 4)}
    found = run(text, values, {"b": 5, "k": 3, "p": 2, "q": 4}, ["X", "W"])
    assert np.allclose(found["Y"].reshape(5, 3, 4), np.einsum("bki,kij->bkj", X, W), **CLOSE)
    assert np.allclose(found["bar(X)"].reshape(5, 3, 2), np.einsum("bkj,kij->bki", C, W), **CLOSE)
    assert np.allclose(found["bar(W)"].reshape(3, 2, 4), np.einsum("bki,bkj->kij", X, C), **CLOSE)


def test_1_13_error_splitting() -> None:
    weights, error, hidden = np.array([[2.0, 3], [1, 4]]), column(0.8, 0.5), column(0.3, 0.6)
    text = "W: input[2, 2]\nh: input[2, 1]\ny: target[2, 1]\nloss = sum((W @ h - y)**2) / 2\n"
    found = run(text, {"W": weights, "h": hidden, "y": weights @ hidden - error}, {}, ["h"])
    assert np.allclose(found["bar(h)"], column(2.1, 4.4), **CLOSE)
    split = """
W: input[2, 2]
e: input[2, 1]
S = (W / sum(W, axis=1, keepdims=True)).T @ e
loss = sum(S)
"""
    shares = evaluate(read_text(split), {"W": weights, "e": error}, {})["S"]
    assert np.allclose(shares, column(0.42, 0.88), **CLOSE)
    assert np.isclose(shares.sum(), error.sum(), **CLOSE)


# ---------------------------------------------------------------------------------------------------------
# 2 Batch normalisation

BATCH_NORM = {
    "X": T(6, 4, 0.1), "gamma_Y": 1 + 0.3 * T(1, 4, 0.2), "beta_Y": T(1, 4, 0.3), "C": T(6, 4, 0.4),
}
LAYER = "samples: m\nX: param[m, n]\nC: input[m, n]\nY = batch_norm(X, 1/1000)\nloss = sum(C * Y)\n"


@pytest.mark.parametrize("way", ["layer", "plain mathematics", "projector form", "compact form", "columns"])
def test_batch_normalisation(way: str) -> None:
    """The layer, its equations written out, the two closed forms, and the other sample convention."""
    names = {"X": "bar(X)", "gamma_Y": "bar(gamma_Y)", "beta_Y": "bar(beta_Y)"}
    values, sizes = dict(BATCH_NORM), {"m": 6, "n": 4}
    turn = way not in ("layer", "plain mathematics")
    if turn:
        values = {name: value.T for name, value in values.items()}
    text = LAYER.replace("[m, n]", "[n, m]") if turn else LAYER
    if way == "plain mathematics":
        text = """samples: m
            X: param[m, n]; C: input[m, n]; gamma_Y: param[1, n]; beta_Y: param[1, n]
            mu = sum(X, axis=0, keepdims=True) / m; Xc = X - mu
            v = sum(Xc**2, axis=0, keepdims=True) / m; s = sqrt(v + 1/1000)
            Xhat = Xc / s
            loss = sum(C * (Xhat * gamma_Y + beta_Y))
        """.replace("            ", "")
    if way.endswith("form"):
        (form,) = [c.form for c in LAYERS["batch_norm"].claims if c.name == f"batch_norm: {way}"]
        text, names = f"{text}claimed = {form}\n", {**names, "X": "claimed"}
    found = run(text, values, sizes, ["X", "gamma_Y", "beta_Y"])
    X, gamma, beta = (found[name].T if turn else found[name] for name in names.values())
    assert np.isclose(loss_of(found), 11.850950373982583, **CLOSE)
    assert np.isclose(np.linalg.norm(X), 1.1103916199639656, **CLOSE)
    assert np.allclose(gamma, [[3.9671773676562117, 0.5786351314510211, 4.407892502519854, 3.788236885717269]], **CLOSE)
    assert np.allclose(
        beta, [[0.20447082012805085, 0.12400873086719155, -0.5671725299284663, -0.6072669958428463]], **CLOSE
    )
    assert np.allclose(
        X[0], [-0.3932880395709284, 0.1759695777503605, -0.15795513957684607, -0.24412735384876952], **CLOSE
    )


def test_batch_normalisation_in_inference() -> None:
    """With stored statistics the adjoint is ``Ybar diag(gamma / s)``."""
    derivation = derive(inference(read_text(LAYER)), ["X"])
    mean, variance = T(1, 4, 0.5), 1 + 0.5 * T(1, 4, 0.6)
    values = {**BATCH_NORM, "mu_run_Y": mean, "v_run_Y": variance}
    found = evaluate(derivation.program, values, {"m": 6, "n": 4})
    s = np.sqrt(variance + 1e-3)
    assert np.allclose(found["Y"], (values["X"] - mean) / s * values["gamma_Y"] + values["beta_Y"], rtol=1e-13)
    assert np.allclose(found[derivation.gradients["X"]], values["C"] @ np.diag((values["gamma_Y"] / s)[0]), rtol=1e-13)
# 3 Convolutional networks


def flattened(images: np.ndarray) -> np.ndarray:
    """Return images (sample, channel, row, column) as columns of features."""
    return images.reshape(len(images), -1).T


KERNELS = np.array([[0.4 * T(3, 3, 1 + 0.3 * (3 * f + c)) for c in range(3)] for f in range(2)]).reshape(2, 27)

CONVOLUTION = """X: input[3*6*5, 2]
G: input[2, 2*4*3]
Y = conv2d(image(X, 3, 6, 5), 2, 3)
total = sum(Y)
loss = sum(G * Y)
"""


def test_convolution_in_its_im2col_form() -> None:
    images = np.array([[T(6, 5, 0.1 * (3 * b + c)) for c in range(3)] for b in range(2)])
    G = np.sin(np.arange(48)).reshape(2, 2, 4, 3).transpose(1, 0, 2, 3).reshape(2, 24)
    values = {"X": flattened(images), "G": G, "K_Y": KERNELS, "b_Y": column(0.1, -0.2)}
    results = run(CONVOLUTION, values, {}, ["K_Y", "X"])
    np.testing.assert_allclose(results["total"], -3.7201972309491493, **CLOSE)
    np.testing.assert_allclose(norms(results, "K_Y", "X"), [19.850951894567356, 11.30492724416666], **CLOSE)


CHAIN = """X: input[3*8*8, 2]
Y: target[3, 2]
A1 = conv2d(image(X, 3, 8, 8), 2, 3, activation=relu)
A2 = conv2d(avg_pool(A1, 2), 2, 2, activation=relu)
v = flatten_maps(A2, scan='columns')
W: param[3, 8]
loss = sum((W @ v - Y)**2) / 2
"""


@pytest.mark.parametrize("samples", ["columns", "rows"])
def test_chain_of_convolutions(samples: str) -> None:
    images = np.array([[T(8, 8, 0.2 * (c + 3 * b)) for c in range(3)] for b in range(2)])
    second = np.array([[0.5 * T(2, 2, 2 + 0.2 * (2 * f + c)) for c in range(2)] for f in range(2)]).reshape(2, 8)
    values = {
        "X": flattened(images), "Y": T(3, 2, 0.2), "K_A1": KERNELS, "b_A1": column(0.1, -0.2), "K_A2": second,
        "b_A2": column(0.05, 0.02), "W": 0.3 * T(3, 8, 0.7),
    }
    program = convert(read_text(f"samples: m\n{CHAIN.replace(', 2]', ', m]')}"), samples)
    derivation = derive(program)
    turned = samples == "rows"
    given = {n: v.T if turned else v for n, v in values.items()}
    results = evaluate(derivation.program, given, {"m": 2})
    np.testing.assert_allclose(results["loss"], 1.5157699650501404, **CLOSE)
    found = [np.linalg.norm(results[derivation.gradients[n]]) for n in ("K_A1", "K_A2", "W")]
    np.testing.assert_allclose(found, [1.493606343340138, 2.2411883231986685, 4.346273701069236], **CLOSE)


# ---------------------------------------------------------------------------------------------------------
# 4.1 Simple RNN, 4.2 vanishing gradient

RNN = """
H[0]: input[n, B]
U: param[n, k]
W: param[n, n]
V: param[p, n]
b: param[n, 1]
for t in range(1, T+1):
    X[t]: input[k, B]
    Y[t]: target[p, B]
    H[t] = tanh(U @ X[t] + W @ H[t-1] + b)
    O[t] = V @ H[t]
loss = sum(sum((O[t] - Y[t])**2) for t in range(1, T+1)) / 2
"""
# The sheet's x_t, t = 0..5, is the declaration's X[t + 1].
VALUES_RNN = {
    "H": {(0,): np.zeros((4, 2))}, "U": 0.6 * T(4, 3, 0.1), "W": 0.6 * T(4, 4, 0.2), "V": 0.7 * T(2, 4, 0.3),
    "b": 0.1 * T(4, 1, 0.4), "X": {(t,): T(3, 2, t - 0.5) for t in range(1, 7)},
    "Y": {(t,): T(2, 2, t - 0.3) for t in range(1, 7)},
}
SIZES_RNN = {"n": 4, "k": 3, "p": 2, "T": 6, "B": 2}


def test_4_1_back_propagation_through_time() -> None:
    found = run(RNN, VALUES_RNN, SIZES_RNN)
    assert np.isclose(loss_of(found), 7.4377767726214135, **CLOSE)
    wanted = [11.570436179611669, 5.075141456453649, 7.2949382890441665, 0.28340759374479013]
    assert np.allclose(norms(found, "U", "W", "V", "b"), wanted, **CLOSE)


def test_4_1_gradient_of_the_first_state() -> None:
    found = run(RNN, VALUES_RNN, SIZES_RNN, ["H"])
    v, message = VALUES_RNN, np.zeros((4, 2))
    for t in range(6, 0, -1):
        h = found["H"][(t,)]
        message = v["W"].T @ ((v["V"].T @ (v["V"] @ h - v["Y"][(t,)]) + message) * (1 - h**2))
    assert np.allclose(found["bar(H)"][(0,)], message, **CLOSE)


def _value(node: Node, symbol: sp.Symbol, r: int, values: Mapping[str, Any]) -> np.ndarray:
    """Evaluate an expression in the names of RNN at one iteration and for one sample."""
    here = shift(node, {symbol: sp.Integer(r)})
    reads = {ref: values[ref.name][tuple(map(int, ref.indices))] if ref.indices else values[ref.name]
             for ref in refs(here)}
    plain_refs = {ref: Ref(f"v{k}", *ref.shape) for k, ref in enumerate(reads)}
    variables = {new.name: Var(new.name, *new.shape, kind="input") for new in plain_refs.values()}
    body = (Equation(Ref("value", *here.shape), transform(here, lambda n: plain_refs.get(n, n))),)
    program = Program({**variables, "value": Var("value", *here.shape)}, body, ("value",))
    return evaluate(program, {plain_refs[ref].name: a for ref, a in reads.items()}, {"n": 4, "k": 3})["value"]


def _bounded(bound: Bound, symbol: sp.Symbol, r: int, values: Mapping[str, Any]) -> float:
    """Evaluate the bound of a spectral norm."""
    parts = [_bounded(b, symbol, r, values) for b in bound.parts]
    if bound.node is not None:
        found = _value(bound.node, symbol, r, values)
        return float(np.max(np.abs(found)) if bound.kind == "largest" else np.linalg.norm(found, 2))
    if bound.kind == "number":
        return float(bound.number)
    return float(sum(parts) if bound.kind == "sum" else np.prod(parts))


def test_4_2_vanishing_gradient() -> None:
    states = run(RNN, VALUES_RNN, SIZES_RNN)["H"]
    text = """
H[1]: input[n, 1]
C: input[n, 1]
U: const[n, k]
W: const[n, n]
b: const[n, 1]
assert T >= 2
for t in range(2, T+1):
    X[t]: input[k, 1]
    H[t] = tanh(U @ X[t] + W @ H[t-1] + b)
loss = sum(C * H[T])
"""
    fixed = {n: VALUES_RNN[n] for n in "UWb"}
    given = {"H": {(1,): states[(1,)][:, [0]]}, "X": {(t,): VALUES_RNN["X"][(t,)][:, [0]] for t in range(2, 7)}}
    rows = [
        run(text, {**fixed, **given, "C": np.eye(4)[:, [i]]}, {"n": 4, "k": 3, "T": 6}, ["H"])["bar(H)"][(1,)].T
        for i in range(4)
    ]
    assert np.isclose(np.linalg.norm(np.vstack(rows), 2), 0.08642275258382527, **CLOSE)
    # The same from the printed product of Jacobians and from the bound that stands below it.
    found = transition(read_text(RNN), "H")
    at = {**fixed, "V": VALUES_RNN["V"], "H": {k: h[:, [0]] for k, h in states.items()}}
    factors = [_value(found.jacobian, found.index, r, at) for r in range(6, 1, -1)]
    assert np.allclose(np.linalg.multi_dot(factors), np.vstack(rows), **CLOSE)
    bounds = [_bounded(found.bound, found.index, r, at) for r in range(6, 1, -1)]
    assert np.isclose(np.prod(bounds), 1.1749439449928183, **CLOSE)
    assert all(np.linalg.norm(J, 2) <= b for J, b in zip(factors, bounds, strict=True))
    slopes = [np.max(1 - states[(r,)][:, 0] ** 2) for r in range(2, 7)]
    assert np.isclose(np.prod(np.linalg.norm(fixed["W"], 2) * np.array(slopes)), 1.1749439449928183, **CLOSE)


# ---------------------------------------------------------------------------------------------------------
# 10.4 Vector-valued neurons


COMPLEX = np.array([[[1, 0], [0, -1]], [[0, 1], [1, 0]]])
CROSS = np.zeros((3, 3, 3))
for _a, _b, _c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
    CROSS[_c, _a, _b], CROSS[_c, _b, _a] = 1, -1


@pytest.mark.parametrize(
    "product, loss, norm",
    [(COMPLEX, 1.5807666016035515, 1.3587178524579866), (CROSS, 0.9414900640724273, 1.5393272389492896)],
    ids=["complex", "cross product"],
)
def test_10_4_bilinear_products(product: np.ndarray, loss: float, norm: float) -> None:
    """(a o b)_k = a^T B^(k) b: neuron j sums w_ji o x_i over its inputs i."""
    text = """
W: param[n*m, d]
x: input[m, d]
B: const[d, d*d]
b: param[n, d]
Y: target[n, d]
A = tanh(einsum("(j i) p, k (p q), i q -> j k", W, B, x, p=d) + b)
loss = sum((A - Y)**2) / 2
"""
    d = len(product)
    values = {
        "W": np.vstack([T(3, d, 0.1), T(3, d, 1.1)]), "x": T(3, d, 0.5), "b": T(2, d, 0.6), "Y": T(2, d, 0.7),
        "B": product.reshape(d, d * d),
    }
    found = run(text, values, {"n": 2, "m": 3, "d": d}, ["W", "b", "x"])
    assert np.isclose(loss_of(found), loss, **CLOSE)
    assert np.isclose(norms(found, "W")[0], norm, **CLOSE)
    # The sheet: wbar_ji = sum_k delta_jk B^(k) x_i, xbar_i = sum_jk delta_jk B^(k)^T w_ji.
    delta = (found["A"] - values["Y"]) * (1 - found["A"] ** 2)
    w = values["W"].reshape(2, 3, d)
    w_bar = np.einsum("jk,kpq,iq->jip", delta, product, values["x"])
    assert np.allclose(found["bar(W)"].reshape(2, 3, d), w_bar, **CLOSE)
    assert np.allclose(found["bar(x)"], np.einsum("jk,kpq,jip->iq", delta, product, w), **CLOSE)
# 4.3 Long short-term memory

LSTM = """
H[0] = zeros(n, B); C[0] = zeros(n, B)
V: param[p, n]
for t in range(1, T+1):
    X[t]: input[k, B]
    Y[t]: target[p, B]
    H[t], C[t] = lstm(X[t], H[t-1], C[t-1]{gates})
loss = sum(sum((V @ H[t] - Y[t])**2) for t in range(1, T+1)) / 2
"""
STACKED = {"W": 0.5 * T(12, 2, 0.1), "U": 0.5 * T(12, 3, 0.2), "b": 0.2 * T(12, 1, 0.3)}
DATA_LSTM = {
    "V": T(2, 3, 0.4), "X": {(t,): T(2, 2, t - 0.5) for t in range(1, 5)},
    "Y": {(t,): T(2, 2, t - 0.3) for t in range(1, 5)},
}
SIZES_LSTM = {"n": 3, "k": 2, "p": 2, "T": 4, "B": 2}
NORMS_LSTM = [2.8662809330658736, 0.23481446018821253, 1.5674753903859622, 0.8720035879834023]


def test_4_3_lstm_with_stacked_gates() -> None:
    found = run(LSTM.format(gates=", gates='stacked'"), {**STACKED, **DATA_LSTM}, SIZES_LSTM)
    assert np.isclose(loss_of(found), 4.156125395747484, **CLOSE)
    assert np.allclose(norms(found, "W", "U", "b", "V"), NORMS_LSTM, **CLOSE)


def test_4_3_lstm_with_separate_gates() -> None:
    parts = {f"{k}_{g}": STACKED[k][3 * j : 3 * j + 3] for k in "WUb" for j, g in enumerate("ifog")}
    found = run(LSTM.format(gates=""), {**parts, **DATA_LSTM}, SIZES_LSTM)
    assert np.isclose(loss_of(found), 4.156125395747484, **CLOSE)
    squares = [np.linalg.norm(norms(found, *(f"{k}_{g}" for g in "ifog"))) for k in "WUb"]
    assert np.allclose([*squares, *norms(found, "V")], NORMS_LSTM, **CLOSE)


def test_4_3_peepholes_backward() -> None:
    """The sheet's equations with peepholes, by hand: the output gate before the cell."""
    peep = {f"p_{g}": 0.4 * T(3, 1, s) for g, s in zip("ifo", (0.6, 0.7, 0.8), strict=True)}
    v = {**STACKED, **DATA_LSTM, **peep}
    found = run(LSTM.format(gates=", True, 'stacked'"), v, SIZES_LSTM)
    grown = {name: np.zeros_like(v[name]) for name in ("W", "U", "b", *peep)}
    H_bar, C_bar = np.zeros((3, 2)), np.zeros((3, 2))
    for t in range(4, 0, -1):
        i, f, o, g, c, h = (found[name][(t,)] for name in "IFOGCH")
        before, h_before = found["C"][(t - 1,)], found["H"][(t - 1,)]
        H_bar = H_bar + v["V"].T @ (v["V"] @ h - v["Y"][(t,)])
        S_o = H_bar * np.tanh(c) * o * (1 - o)
        C_bar = C_bar + H_bar * o * (1 - np.tanh(c) ** 2) + v["p_o"] * S_o
        S_i, S_f, S_g = C_bar * g * i * (1 - i), C_bar * before * f * (1 - f), C_bar * i * (1 - g**2)
        S = np.vstack([S_i, S_f, S_o, S_g])
        for name, grows in (("W", S @ v["X"][(t,)].T), ("U", S @ h_before.T), ("b", S), ("p_i", S_i * before),
                            ("p_f", S_f * before), ("p_o", S_o * c)):
            grown[name] += grows if name in "WU" else grows.sum(axis=1, keepdims=True)
        C_bar, H_bar = C_bar * f + v["p_i"] * S_i + v["p_f"] * S_f, v["U"].T @ S
    for name, wanted in grown.items():
        assert np.allclose(found[f"bar({name})"], wanted, **CLOSE), name


# ---------------------------------------------------------------------------------------------------------
# 4.4 Real-time recurrent learning, 4.5 a two-layer globally recursive network


def forward_mode(text: str, values: Mapping[str, Any], sizes: Mapping[str, Any], *wrt: str) -> dict[str, Any]:
    """Read, carry sensitivities along, evaluate; gradients are called ``bar(X)`` as those of ``run``."""
    program = sensitivities(read_text(text), wrt)
    results = evaluate(program, values, sizes)
    return {**results, **{f"bar({n})": results[f"{n}_bar"] for n in wrt}}


RTRL = """
W: param[n, m+n+1]
M: input[n, 1] & mask
y[0] = zeros(n, 1)
for t in range(1, T+1):
    x[t]: input[m, 1]
    d[t]: target[n, 1]
    z[t] = vstack([x[t], {feedback}, ones(1, 1)])
    y[t] = sigmoid(W @ z[t])
loss = sum(sum(M * (y[t] - d[t])**2) for t in range(1, T+1)) / 2
"""
VALUES_RTRL = {
    "W": 0.7 * T(3, 6, 0.1), "M": column(1, 1, 0), "x": {(t,): T(2, 1, t - 0.7) for t in range(1, 6)},
    "d": {(t,): 0.5 + 0.3 * T(3, 1, t - 0.3) for t in range(1, 6)},
}
SIZES_RTRL = {"n": 3, "m": 2, "T": 5}


def test_4_4_real_time_recurrent_learning_is_back_propagation_through_time() -> None:
    text = RTRL.format(feedback="y[t-1]")
    forward, backward = forward_mode(text, VALUES_RTRL, SIZES_RTRL, "W"), run(text, VALUES_RTRL, SIZES_RTRL)
    assert np.isclose(loss_of(forward), 0.2252135834139905, **CLOSE)
    assert np.allclose(norms(forward, "W"), 0.26837073031459924, **CLOSE)
    assert np.isclose(np.linalg.norm(forward["P_y"][(5,)]), 0.6290130148560144, **CLOSE)
    assert np.allclose(forward["bar(W)"], backward["bar(W)"], rtol=1e-12)


def test_4_4_reads_like_the_sheet() -> None:
    program = sensitivities(read_text(RTRL.format(feedback="y[t-1]")))
    said = {site.target.label: plain(site.equation.value) for site in program.sites}
    assert said["P_loss"] == "SumOver(MatMul(Transpose(Hadamard(M, Z_loss[t])), P_y[t]), t, 1, T)"
    slope = "Hadamard(y[t], Add(Ones(n, 1), Scale(y[t], -1)))"
    change = "Add(Kron(Transpose(z[t]), Eye(n)), MatMul(Slice(W, 0, n, m, m + n), P_y[t - 1]))"
    count = program.variables["P_y"].cols
    assert said["P_y[t]"] == f"Hadamard(MatMul({slope}, Ones(1, {count})), {change})"


def test_4_4_teacher_forcing() -> None:
    """Targets in place of outputs on units 1 and 2: their rows of the fed-back sensitivity are zero."""
    text = RTRL.format(feedback="y[t-1] + M*(f[t] - y[t-1])").replace("y[0] =", "for t in range(1, T+1):\n"
                                                                        "    f[t]: input[n, 1]\ny[0] =")
    before = {(t,): VALUES_RTRL["d"].get((t - 1,), np.zeros((3, 1))) for t in range(1, 6)}
    values = {**VALUES_RTRL, "f": before}
    forward, backward = forward_mode(text, values, SIZES_RTRL, "W"), run(text, values, SIZES_RTRL)
    assert np.allclose(forward["bar(W)"], backward["bar(W)"], rtol=1e-12)
    W, P = VALUES_RTRL["W"], np.zeros((3, 18))
    for t in range(1, 6):
        y, z = forward["y"][(t,)], forward["z"][(t,)]
        P = y * (1 - y) * (W[:, 2:5] @ (column(0, 0, 1) * P) + np.kron(z.T, np.eye(3)))
        assert np.allclose(forward["P_y"][(t,)], P, **CLOSE)


GLOBAL = """
A1: param[n, m+3*p+1]
A2: param[p, n+1]
for k in range(-2, 1):
    y[k] = zeros(p, 1)
for t in range(1, T+1):
    u[t]: input[m, 1]
    d[t]: target[p, 1]
    z[t] = vstack([u[t], y[t-1], y[t-2], y[t-3], ones(1, 1)])
    h[t] = sigmoid(A1 @ z[t])
    y[t] = tanh(A2 @ vstack([h[t], ones(1, 1)]))
loss = sum(sum((y[t] - d[t])**2) for t in range(1, T+1)) / 2
"""


def test_4_5_several_feedback_delays() -> None:
    values = {
        "A1": 0.5 * T(4, 9, 0.1), "A2": 0.6 * T(2, 5, 0.2), "u": {(t,): T(2, 1, t - 0.7) for t in range(1, 8)},
        "d": {(t,): 0.5 * T(2, 1, t - 0.5) for t in range(1, 8)},
    }
    sizes = {"m": 2, "n": 4, "p": 2, "T": 7}
    forward, backward = forward_mode(GLOBAL, values, sizes, "A1", "A2"), run(GLOBAL, values, sizes)
    for found in (forward, backward):
        assert np.isclose(loss_of(found), 3.113566780251934, **CLOSE)
        assert np.allclose(norms(found, "A1", "A2"), [0.5292851602431328, 3.9662044780218126], **CLOSE)
    # The sheet's recursion, with a sum over the delays.
    A1, A2, P = values["A1"], values["A2"], {k: np.zeros((2, 36)) for k in range(-2, 1)}
    for t in range(1, 8):
        h, y, z = (forward[name][(t,)] for name in "hyz")
        R_ = (1 - y**2) * (A2[:, :4] @ (h * (1 - h) * np.eye(4)))
        P[t] = R_ @ (np.kron(z.T, np.eye(4)) + sum(A1[:, 2 * k : 2 * k + 2] @ P[t - k] for k in (1, 2, 3)))
        assert np.allclose(forward["P_y_A1"][(t,)], P[t], **CLOSE)


# ---------------------------------------------------------------------------------------------------------
# 4.6 Tapped delay lines, 4.9 a delay loop


def test_4_6_tapped_delay_line() -> None:
    text = """
X: input[m, T]
Y: target[n, T]
W: param[n, 3*m]
S: const[T, T]
Z = vstack([X, X @ S, X @ S @ S])
A = tanh(W @ Z)
loss = sum((A - Y)**2) / 2
"""
    u = np.hstack([T(2, 1, t - 0.7) for t in range(1, 8)])
    values = {"X": u, "Y": T(3, 7, 0.2), "W": 0.4 * T(3, 6, 0.3), "S": np.eye(7, k=1)}
    found = run(text, values, {"m": 2, "n": 3, "T": 7}, ["W", "X"])
    loop = run(
        """
W: param[n, 3*m]
for k in range(-1, 1):
    X[k] = zeros(m, 1)
for t in range(1, T+1):
    U[t]: input[m, 1]
    Y[t]: target[n, 1]
    X[t] = 1*U[t]
    A[t] = tanh(W @ vstack([X[t], X[t-1], X[t-2]]))
loss = sum(sum((A[t] - Y[t])**2) for t in range(1, T+1)) / 2
""",
        {"W": values["W"], "U": {(t,): u[:, [t - 1]] for t in range(1, 8)},
         "Y": {(t,): values["Y"][:, [t - 1]] for t in range(1, 8)}},
        {"m": 2, "n": 3, "T": 7}, ["W", "U"],
    )
    for results in (found, loop):
        assert np.isclose(loss_of(results), 6.698303594782468, **CLOSE)
        assert np.allclose(norms(results, "W"), 4.7107758624161935, **CLOSE)
    advances = np.hstack([loop["bar(U)"][(t,)] for t in range(1, 8)])
    assert np.allclose(found["bar(X)"], advances, **CLOSE)


def test_4_9_delay_coupled_network() -> None:
    text = """
W: param[n, n]; w: input[n, 1]
for k in range(-1, 1):
    a[k]: input[n, 1]
for t in range(1, T+1):
    u[t]: input
    y[t]: target[n, 1]
    a[t] = sin(W @ a[t-2] + w*u[t])**2
loss = sum(sum((a[t] - y[t])**2) for t in range(1, T+1)) / 2
"""
    values = {
        "W": 0.6 * T(3, 3, 0.1), "w": T(3, 1, 0.2), "a": {(k,): np.zeros((3, 1)) for k in (-1, 0)},
        "u": {(t,): np.array([[np.sin(t - 1)]]) for t in range(1, 7)},
        "y": {(t,): T(3, 1, 0.5) for t in range(1, 7)},
    }
    found = run(text, values, {"n": 3, "T": 6})
    assert np.isclose(loss_of(found), 4.788102475732588, **CLOSE)
    assert np.allclose(norms(found, "W"), 1.253133248127347, **CLOSE)


# ---------------------------------------------------------------------------------------------------------
# 12 Worked numeric examples


def step(values: Mapping[str, Any], found: Mapping[str, Any], rate: float, *names: str) -> dict[str, Any]:
    return {**values, **{n: values[n] - rate * found[f"bar({n})"] for n in names}}


def test_12_1_one_iteration() -> None:
    text = NET_A + "loss = sum((Z2 - Y)**2) / 2\n"
    values = {
        "X": column(1, 0.5, -1.5), "Y": column(3.5, -0.82), "W1": np.array([[0.2, -0.4, 0.1], [0.5, 0.3, -0.2]]),
        "b1": column(0.1, -0.1), "W2": np.array([[0.3, -0.6], [0.8, 0.2]]), "b2": column(0.05, 0.02),
    }
    sizes = {"n0": 3, "n1": 2, "n2": 2, "m": 1}
    found = run(text, values, sizes)
    assert np.isclose(loss_of(found), 7.873029575664131, **CLOSE)
    wanted = [0.9844988093862866, 0.5262367489157642, 3.3867780783400536, 3.968130435271535]
    assert np.allclose(norms(found, *NAMES), wanted, **CLOSE)
    after = run(text, step(values, found, 0.0085, *NAMES), sizes)
    assert np.isclose(loss_of(after), 7.633303244386773, **CLOSE)


def test_12_2_shared_bias() -> None:
    text = """
x: input[2, 1]
y: target[2, 1]
W: param[2, 2]
V: param[2, 2]
h = sigmoid(W @ x + 0.35)
o = sigmoid(V @ h + 0.6)
loss = sum((o - y)**2) / 2
"""
    values = {
        "x": column(0.05, 0.1), "y": column(0.01, 0.99), "W": np.array([[0.15, 0.2], [0.25, 0.3]]),
        "V": np.array([[0.4, 0.45], [0.5, 0.55]]),
    }
    found = run(text, values, {})
    assert np.isclose(loss_of(found), 0.2983711087600027, **CLOSE)
    after = step(values, found, 0.5, "W", "V")
    assert np.allclose(after["W"], [[0.1497807161, 0.1995614323], [0.2497511436, 0.2995022873]], rtol=1e-9)
    assert np.allclose(after["V"], [[0.3589164797, 0.4086661861], [0.5113012702, 0.5613701211]], rtol=1e-9)
    assert np.isclose(loss_of(run(text, after, {})), 0.2910277736935993, **CLOSE)
    # The widely quoted value uses the updated V in the hidden delta: it is not a gradient step.
    late = run(text, {**values, "V": after["V"]}, {})["bar(W)"]
    o = found["o"]
    delta = (o - values["y"]) * o * (1 - o)
    wrong = values["W"] - 0.5 * ((after["V"].T @ delta) * found["h"] * (1 - found["h"])) @ values["x"].T
    assert np.isclose(loss_of(run(text, {**after, "W": wrong}, {})), 0.291027924, rtol=1e-8)
    assert not np.allclose(late, found["bar(W)"], rtol=1e-6)


def test_12_3_relu_logistic_softmax_rows() -> None:
    text = """
x: input[1, 3]
Y: target[1, 3] & one_hot_rows
W1: param[3, 3]
W2: param[3, 3]
W3: param[3, 3]
A1 = relu(x @ W1 + 1)
A2 = sigmoid(A1 @ W2 + 1)
P = softmax(A2 @ W3 + 1, axis=1)
loss = -sum(Y * log(P))
"""
    values = {
        "x": np.array([[0.1, 0.2, 0.7]]),
        "W1": np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.7], [0.4, 0.3, 0.9]]),
        "W2": np.array([[0.2, 0.3, 0.5], [0.3, 0.5, 0.7], [0.6, 0.4, 0.8]]),
        "W3": np.array([[0.1, 0.4, 0.8], [0.3, 0.7, 0.2], [0.5, 0.2, 0.9]]),
        "Y": np.array([[1.0, 0, 0]]),
    }
    found = run(text, values, {})
    p = evaluate(read_text(text), values, {})["P"]
    assert np.allclose(p, [[0.198446894232731, 0.2853555304250049, 0.5161975753422642]], **CLOSE)
    assert np.isclose(loss_of(found), 1.6172337500003393, **CLOSE)
    wanted = [0.016667840158963085, 0.06715358891931501, 1.6444173643910531]
    assert np.allclose(norms(found, "W1", "W2", "W3"), wanted, **CLOSE)
    after = run(text, step(values, found, 0.01, "W1", "W2", "W3"), {})
    assert np.isclose(loss_of(after), 1.5902410468825234, **CLOSE)


XOR = """
X: input[2, m]
Y: target[1, m] & binary
W1: param[2, 2]
b1: param[2, 1]
W2: param[1, 2]
b2: param[1, 1]
A1 = sigmoid(W1 @ X + b1)
P = sigmoid(W2 @ A1 + b2)
loss = -sum(Y*log(P) + (1 - Y)*log(1 - P)) / m
"""
XOR_DATA = {"X": np.array([[0.0, 0, 1, 1], [0, 1, 0, 1]]), "Y": np.array([[0.0, 1, 1, 0]])}


def test_12_4_xor_by_hand_and_its_symmetric_set() -> None:
    hand = {
        "W1": np.array([[20.0, 20], [-20, -20]]),
        "b1": column(-10, 30),
        "W2": np.array([[20.0, 20]]),
        "b2": column(-30),
    }
    p = evaluate(read_text(XOR), {**XOR_DATA, **hand}, {"m": 4})["P"]
    assert np.abs(p - XOR_DATA["Y"]).max() < 1e-4
    twins = {"W1": np.array([[0.3, -0.2]] * 2), "b1": column(0.1, 0.1), "W2": np.array([[0.4, 0.4]]), "b2": column(0.2)}
    found = run(XOR, {**XOR_DATA, **twins}, {"m": 4})
    assert np.array_equal(found["bar(W1)"][0], found["bar(W1)"][1])
    assert found["bar(b1)"][0] == found["bar(b1)"][1]


def test_12_4_xor_trains_with_the_generated_module(tmp_path: Path) -> None:
    path = tmp_path / "xor_module.py"
    path.write_text(generate(derive(read_text(XOR)), name="xor_module")["xor_module.py"], encoding="utf-8")
    module = load_module(path, "xor_module")
    params = module.Params(W1=2 * T(2, 2, 0.1), b1=T(2, 1, 0.2), W2=2 * T(1, 2, 0.3), b2=T(1, 1, 0.4))
    inputs = module.Inputs(**XOR_DATA)
    for _ in range(20_000):
        loss, params = module.train_step(params, inputs, 1.0)
    assert loss < 1e-3


def test_the_sheet_counts_from_one() -> None:
    assert np.isclose(
        T(2, 2, 0.1)[0, 1],
        float(sp.sin(sp.Rational(13, 10) + sp.Rational(28, 10) + sp.Rational(18, 10) + sp.Rational(1, 10))),
        rtol=1e-15,
    )
