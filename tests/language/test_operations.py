"""Every operation of the language: it is read, its shape is right, and its value is NumPy's."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp

from symbp.expr import shape_text
from symbp.language import DeclarationError, functions, read_text
from symbp.language.catalogue import INTERNAL
from symbp.language.operations import LATER, NEVER, OPERATIONS
from symbp.language.single import read_expression
from symbp.ops.elementwise import ELEMENTWISE
from symbp.verify.evaluate import evaluate

SHAPES = "A[n,m] B[n,m] P[n,m]&positive S[n,n] C[m,p] x[n,1] y[n,1] r[1,m] K[k,p] s M[n,m]&mask"
SIZES = {"n": 4, "m": 3, "p": 2, "k": 2}


def data() -> dict[str, Any]:
    """Return one array for each name of SHAPES."""
    rng = np.random.default_rng(1)
    shapes = {
        "A": (4, 3),
        "B": (4, 3),
        "S": (4, 4),
        "C": (3, 2),
        "x": (4, 1),
        "y": (4, 1),
        "r": (1, 3),
        "K": (2, 2),
        "s": (1, 1),
    }
    found = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return found | {"P": rng.uniform(0.5, 2, size=(4, 3)), "M": (rng.random((4, 3)) > 0.5).astype(float)}


def _erf(a: Any) -> Any:
    return np.vectorize(math.erf)(a)


def _softmax(a: Any, axis: int) -> Any:
    e = np.exp(a)
    return e / e.sum(axis=axis, keepdims=True)


def _sigmoid(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


# expression, shape, value
EXPRESSIONS: list[tuple[str, str, Callable[..., Any]]] = [
    ("A + B", "n x m", lambda d: d["A"] + d["B"]),
    ("A - B", "n x m", lambda d: d["A"] - d["B"]),
    ("-A", "n x m", lambda d: -d["A"]),
    ("+A", "n x m", lambda d: d["A"]),
    ("A * B", "n x m", lambda d: d["A"] * d["B"]),
    ("(2*A) * (3*B)", "n x m", lambda d: 6 * d["A"] * d["B"]),
    ("(2*A) * x * (3*B) * -P", "n x m", lambda d: -6 * d["A"] * d["x"] * d["B"] * d["P"]),
    ("A * s * (2*B) / 3", "n x m", lambda d: 2 / 3 * d["A"] * d["s"] * d["B"]),
    ("A / P", "n x m", lambda d: d["A"] / d["P"]),
    ("A / (2*P)", "n x m", lambda d: d["A"] / (2 * d["P"])),
    ("1 / P", "n x m", lambda d: 1 / d["P"]),
    ("2*A/3 - 1", "n x m", lambda d: 2 * d["A"] / 3 - 1),
    ("A / (2*m)", "n x m", lambda d: d["A"] / 6),
    ("m*A*n", "n x m", lambda d: 12 * d["A"]),
    ("sqrt(m)*A", "n x m", lambda d: np.sqrt(3) * d["A"]),
    ("exp(1/m)*log(n)*A", "n x m", lambda d: np.exp(1 / 3) * np.log(4) * d["A"]),
    ("0.1*A + 1e-3", "n x m", lambda d: 0.1 * d["A"] + 1e-3),
    ("A**2", "n x m", lambda d: d["A"] ** 2),
    ("P**0.5", "n x m", lambda d: np.sqrt(d["P"])),
    ("P**(-1)", "n x m", lambda d: 1 / d["P"]),
    ("P**-1.5", "n x m", lambda d: d["P"] ** -1.5),
    ("A**0", "n x m", lambda d: np.ones((4, 3))),
    ("P**A", "n x m", lambda d: d["P"] ** d["A"]),
    ("P**m", "n x m", lambda d: d["P"] ** 3),
    ("2**A", "n x m", lambda d: 2 ** d["A"]),
    ("s*A", "n x m", lambda d: d["s"] * d["A"]),
    ("A/s", "n x m", lambda d: d["A"] / d["s"]),
    ("A + s", "n x m", lambda d: d["A"] + d["s"]),
    ("A + x", "n x m", lambda d: d["A"] + d["x"]),
    ("x + A", "n x m", lambda d: d["A"] + d["x"]),
    ("A * r", "n x m", lambda d: d["A"] * d["r"]),
    ("x + r", "n x m", lambda d: d["x"] + d["r"]),
    ("A @ C", "n x p", lambda d: d["A"] @ d["C"]),
    ("2*A @ C/3", "n x p", lambda d: 2 * d["A"] @ d["C"] / 3),
    ("S @ A @ C", "n x p", lambda d: d["S"] @ d["A"] @ d["C"]),
    ("A.T @ x", "m x 1", lambda d: d["A"].T @ d["x"]),
    ("(A @ C).T", "p x n", lambda d: (d["A"] @ d["C"]).T),
    ("A.T.T", "n x m", lambda d: d["A"]),
    ("pi*A", "n x m", lambda d: np.pi * d["A"]),
    ("np.pi*A + np.e", "n x m", lambda d: np.pi * d["A"] + np.e),
    ("A.shape[1]*A", "n x m", lambda d: 3 * d["A"]),
    # comparisons and masks
    ("(A > 0) * B", "n x m", lambda d: (d["A"] > 0) * d["B"]),
    ("(A >= 0) * (B < 1)", "n x m", lambda d: (d["A"] >= 0) * (d["B"] < 1) * 1.0),
    ("((A > 0) & (B > 0)) * B", "n x m", lambda d: ((d["A"] > 0) & (d["B"] > 0)) * d["B"]),
    ("((A > 0) | (B > 0)) * B", "n x m", lambda d: ((d["A"] > 0) | (d["B"] > 0)) * d["B"]),
    ("~(A > 0) * B", "n x m", lambda d: ~(d["A"] > 0) * d["B"]),
    ("1 - (A > 0)", "n x m", lambda d: 1 - (d["A"] > 0)),
    ("sum(A <= B)", "1 x 1", lambda d: np.sum(d["A"] <= d["B"])),
    ("where(A > 0, A, B)", "n x m", lambda d: np.where(d["A"] > 0, d["A"], d["B"])),
    ("where(A != B, A, 0)", "n x m", lambda d: d["A"]),
    ("where(M, A, 2)", "n x m", lambda d: np.where(d["M"] > 0, d["A"], 2)),
    ("where(x > 0, A, B)", "n x m", lambda d: np.where(d["x"] > 0, d["A"], d["B"])),
    ("maximum(A, B)", "n x m", lambda d: np.maximum(d["A"], d["B"])),
    ("np.maximum(A, 0)", "n x m", lambda d: np.maximum(d["A"], 0)),
    ("minimum(A, x)", "n x m", lambda d: np.minimum(d["A"], d["x"])),
    ("clip(A, -1/2, 1/2)", "n x m", lambda d: np.clip(d["A"], -0.5, 0.5)),
    ("A.clip(0, 1)", "n x m", lambda d: np.clip(d["A"], 0, 1)),
    ("logaddexp(A, B)", "n x m", lambda d: np.logaddexp(d["A"], d["B"])),
    # elementwise
    ("exp(A)", "n x m", lambda d: np.exp(d["A"])),
    ("log(P)", "n x m", lambda d: np.log(d["P"])),
    ("sqrt(P)", "n x m", lambda d: np.sqrt(d["P"])),
    ("tanh(A)", "n x m", lambda d: np.tanh(d["A"])),
    ("sin(A) + cos(A)", "n x m", lambda d: np.sin(d["A"]) + np.cos(d["A"])),
    ("tan(A)", "n x m", lambda d: np.tan(d["A"])),
    ("sinh(A) + cosh(A)", "n x m", lambda d: np.exp(d["A"])),
    ("erf(A)", "n x m", lambda d: _erf(d["A"])),
    ("abs(A)", "n x m", lambda d: np.abs(d["A"])),
    ("absolute(A) + fabs(A)", "n x m", lambda d: 2 * np.abs(d["A"])),
    ("sign(A)", "n x m", lambda d: np.sign(d["A"])),
    ("step(A)", "n x m", lambda d: (d["A"] > 0) * 1.0),
    ("sigmoid(A)", "n x m", lambda d: _sigmoid(d["A"])),
    ("logistic(A) + expit(A)", "n x m", lambda d: 2 * _sigmoid(d["A"])),
    ("relu(A)", "n x m", lambda d: np.maximum(d["A"], 0)),
    ("leaky_relu(A)", "n x m", lambda d: np.where(d["A"] > 0, d["A"], 0.01 * d["A"])),
    ("leaky_relu(A, alpha=0.2)", "n x m", lambda d: np.where(d["A"] > 0, d["A"], 0.2 * d["A"])),
    ("elu(A)", "n x m", lambda d: np.where(d["A"] > 0, d["A"], np.exp(d["A"]) - 1)),
    ("elu(A, 2)", "n x m", lambda d: np.where(d["A"] > 0, d["A"], 2 * (np.exp(d["A"]) - 1))),
    ("softplus(A)", "n x m", lambda d: np.log1p(np.exp(d["A"]))),
    ("gelu(A)", "n x m", lambda d: d["A"] * (1 + _erf(d["A"] / np.sqrt(2))) / 2),
    ("silu(A) + swish(A)", "n x m", lambda d: 2 * d["A"] * _sigmoid(d["A"])),
    ("arctan(A)", "n x m", lambda d: np.arctan(d["A"])),
    ("softsign(A)", "n x m", lambda d: d["A"] / (1 + np.abs(d["A"]))),
    ("hard_tanh(3 * A)", "n x m", lambda d: np.clip(3 * d["A"], -1, 1)),
    ("relu6(9 * A)", "n x m", lambda d: np.clip(9 * d["A"], 0, 6)),
    ("hard_sigmoid(5 * A)", "n x m", lambda d: np.clip(5 * d["A"] + 3, 0, 6) / 6),
    ("hard_swish(5 * A)", "n x m", lambda d: 5 * d["A"] * np.clip(5 * d["A"] + 3, 0, 6) / 6),
    ("selu(A)", "n x m", lambda d: np.where(d["A"] > 0, 1, 1.6732632423543772) * 1.0507009873554805
        * np.where(d["A"] > 0, d["A"], np.exp(d["A"]) - 1)),
    ("log_sigmoid(A)", "n x m", lambda d: np.log(_sigmoid(d["A"]))),
    ("log1p(P)", "n x m", lambda d: np.log1p(d["P"])),
    ("expm1(A)", "n x m", lambda d: np.expm1(d["A"])),
    ("log2(P) + log10(P)", "n x m", lambda d: np.log2(d["P"]) + np.log10(d["P"])),
    ("square(A)", "n x m", lambda d: d["A"] ** 2),
    ("reciprocal(P)", "n x m", lambda d: 1 / d["P"]),
    ("power(P, 3)", "n x m", lambda d: d["P"] ** 3),
    # arithmetic by name
    ("add(A, B)", "n x m", lambda d: d["A"] + d["B"]),
    ("subtract(A, B)", "n x m", lambda d: d["A"] - d["B"]),
    ("multiply(A, B)", "n x m", lambda d: d["A"] * d["B"]),
    ("divide(A, P)", "n x m", lambda d: d["A"] / d["P"]),
    ("negative(A)", "n x m", lambda d: -d["A"]),
    ("matmul(A, C)", "n x p", lambda d: d["A"] @ d["C"]),
    ("dot(A, C)", "n x p", lambda d: d["A"] @ d["C"]),
    ("A.dot(C)", "n x p", lambda d: d["A"] @ d["C"]),
    ("dot(x, y)", "1 x 1", lambda d: d["x"].T @ d["y"]),
    ("vdot(A, B)", "1 x 1", lambda d: np.sum(d["A"] * d["B"])),
    ("outer(x, r)", "n x m", lambda d: np.outer(d["x"], d["r"])),
    ("kron(A, C)", "m*n x m*p", lambda d: np.kron(d["A"], d["C"])),
    ("einsum('ij,jk->ik', A, C)", "n x p", lambda d: d["A"] @ d["C"]),
    ("np.einsum('ij,jk -> ki', A, C)", "p x n", lambda d: (d["A"] @ d["C"]).T),
    ("einsum('ii->i', S)", "n x 1", lambda d: np.diag(d["S"])),
    ("einsum('ii->', S)", "1 x 1", lambda d: np.trace(d["S"])),
    ("einsum('i,j->ij', x, r)", "n x m", lambda d: np.outer(d["x"], d["r"])),
    ("einsum('ij,j->i', A, r)", "n x 1", lambda d: d["A"] @ d["r"][0]),
    ("einsum(',ij->ij', s, A)", "n x m", lambda d: d["s"] * d["A"]),
    ("einsum('i j, k l -> (i k) (j l)', A, C)", "m*n x m*p", lambda d: np.kron(d["A"], d["C"])),
    ("einsum('row col -> col row', A)", "m x n", lambda d: d["A"].T),
    (
        "einsum('(b k) i, k (i j) -> (b k) j', vstack([A, B]), vstack([reshape(C, (1, m*p)), reshape(-C, (1, m*p))]))",
        "2*n x p",
        lambda d: np.einsum(
            "bki,kij->bkj", np.vstack([d["A"], d["B"]]).reshape(4, 2, 3), np.stack([d["C"], -d["C"]])
        ).reshape(8, 2),
    ),
    ("transpose(A)", "m x n", lambda d: d["A"].T),
    ("A.transpose()", "m x n", lambda d: d["A"].T),
    # reductions
    ("sum(A)", "1 x 1", lambda d: d["A"].sum()),
    ("np.sum(A, axis=0, keepdims=True)", "1 x m", lambda d: d["A"].sum(axis=0, keepdims=True)),
    ("A.sum(axis=1, keepdims=True)", "n x 1", lambda d: d["A"].sum(axis=1, keepdims=True)),
    ("sum(A, -1, True)", "n x 1", lambda d: d["A"].sum(axis=-1, keepdims=True)),
    ("sum(2*A)", "1 x 1", lambda d: 2 * d["A"].sum()),
    ("mean(A)", "1 x 1", lambda d: d["A"].mean()),
    ("mean(A, axis=0, keepdims=True)", "1 x m", lambda d: d["A"].mean(axis=0, keepdims=True)),
    ("max(A)", "1 x 1", lambda d: d["A"].max()),
    ("max(A, axis=1, keepdims=True)", "n x 1", lambda d: d["A"].max(axis=1, keepdims=True)),
    ("max(r)", "1 x 1", lambda d: d["r"].max()),
    ("min(A)", "1 x 1", lambda d: d["A"].min()),
    ("min(A, axis=0, keepdims=True)", "1 x m", lambda d: d["A"].min(axis=0, keepdims=True)),
    ("var(A)", "1 x 1", lambda d: d["A"].var()),
    ("var(A, axis=0, keepdims=True)", "1 x m", lambda d: d["A"].var(axis=0, keepdims=True)),
    ("var(A, axis=1, keepdims=True, ddof=1)", "n x 1", lambda d: d["A"].var(axis=1, keepdims=True, ddof=1)),
    ("std(A)", "1 x 1", lambda d: d["A"].std()),
    ("std(A, axis=1, keepdims=True)", "n x 1", lambda d: d["A"].std(axis=1, keepdims=True)),
    ("norm(A)", "1 x 1", lambda d: np.linalg.norm(d["A"])),
    ("np.linalg.norm(x)", "1 x 1", lambda d: np.linalg.norm(d["x"])),
    ("norm(x, 1)", "1 x 1", lambda d: np.abs(d["x"]).sum()),
    ("norm(A, axis=0, keepdims=True)", "1 x m", lambda d: np.linalg.norm(d["A"], axis=0, keepdims=True)),
    ("norm(A, ord='fro')", "1 x 1", lambda d: np.linalg.norm(d["A"])),
    ("trace(S)", "1 x 1", lambda d: np.trace(d["S"])),
    ("cumsum(A, axis=0)", "n x m", lambda d: np.cumsum(d["A"], axis=0)),
    ("cumsum(A, axis=1)", "n x m", lambda d: np.cumsum(d["A"], axis=1)),
    ("softmax(A, axis=0)", "n x m", lambda d: _softmax(d["A"], 0)),
    ("softmax(A, axis=1)", "n x m", lambda d: _softmax(d["A"], 1)),
    ("log_softmax(A, axis=0)", "n x m", lambda d: np.log(_softmax(d["A"], 0))),
    ("logsumexp(A)", "1 x 1", lambda d: np.log(np.exp(d["A"]).sum())),
    ("logsumexp(A, axis=0, keepdims=True)", "1 x m", lambda d: np.log(np.exp(d["A"]).sum(axis=0, keepdims=True))),
    ("argmax_mask(A, axis=0)", "n x m", lambda d: (d["A"] == d["A"].max(axis=0)) * 1.0),
    # constants and shapes
    ("ones(n, m)", "n x m", lambda d: np.ones((4, 3))),
    ("ones((n, 1)) * A", "n x m", lambda d: d["A"]),
    ("zeros((n, m)) + A", "n x m", lambda d: d["A"]),
    ("full((n, m), 1/2)", "n x m", lambda d: np.full((4, 3), 0.5)),
    ("ones_like(A) + zeros_like(B)", "n x m", lambda d: np.ones((4, 3))),
    ("eye(n) + identity(n)", "n x n", lambda d: 2 * np.eye(4)),
    ("diag(x)", "n x n", lambda d: np.diagflat(d["x"])),
    ("diag(S)", "n x 1", lambda d: np.diag(d["S"])[:, None]),
    ("diagflat(r)", "m x m", lambda d: np.diagflat(d["r"])),
    ("diagonal(S)", "n x 1", lambda d: np.diagonal(d["S"])[:, None]),
    ("0*r + sinusoidal((2, m))", "2 x m", lambda d: np.vstack([np.sin(np.arange(3)), np.cos(np.arange(3))])),
    ("tril(S) + triu(S)", "n x n", lambda d: np.tril(d["S"]) + np.triu(d["S"])),
    ("tril(S, -1) + triu(S, k=1)", "n x n", lambda d: np.tril(d["S"], -1) + np.triu(d["S"], 1)),
    ("symmetric(S)", "n x n", lambda d: np.tril(d["S"]) + np.tril(d["S"], -1).T),
    ("skew(S)", "n x n", lambda d: np.tril(d["S"], -1) - np.tril(d["S"], -1).T),
    (
        "toeplitz(vstack([x, y]), (n, n+1))", "n x n + 1",
        lambda d: np.array([[np.vstack([d["x"], d["y"]])[i - j + 4, 0] for j in range(5)] for i in range(4)]),
    ),
    ("spd(A)", "n x n", lambda d: d["A"] @ d["A"].T),
    ("vstack([A, r])", "n + 1 x m", lambda d: np.vstack([d["A"], d["r"]])),
    ("hstack((x, A))", "n x m + 1", lambda d: np.hstack([d["x"], d["A"]])),
    ("concatenate([A, B])", "2*n x m", lambda d: np.concatenate([d["A"], d["B"]])),
    ("concatenate([A, B], axis=1)", "n x 2*m", lambda d: np.concatenate([d["A"], d["B"]], axis=1)),
    ("row_stack([A, B]) + column_stack([A.T, B.T]).T", "2*n x m", lambda d: 2 * np.concatenate([d["A"], d["B"]])),
    ("reshape(A, (m, n))", "m x n", lambda d: d["A"].reshape(3, 4)),
    ("A.reshape(m, n)", "m x n", lambda d: d["A"].reshape(3, 4)),
    ("A.reshape((-1, 1))", "m*n x 1", lambda d: d["A"].reshape(-1, 1)),
    ("reshape(A, (1, -1), order='F')", "1 x m*n", lambda d: d["A"].reshape((1, -1), order="F")),
    ("vec(A)", "m*n x 1", lambda d: d["A"].reshape((-1, 1), order="F")),
    ("A[:, :]", "n x m", lambda d: d["A"]),
    ("A[0:1, :]", "1 x m", lambda d: d["A"][0:1, :]),
    ("A[:, 0:1]", "n x 1", lambda d: d["A"][:, 0:1]),
    ("A[-1:, :]", "1 x m", lambda d: d["A"][-1:, :]),
    ("A[0:1]", "1 x m", lambda d: d["A"][0:1]),
    ("A[0, 0]", "1 x 1", lambda d: d["A"][0, 0]),
    ("A[-1, -1]", "1 x 1", lambda d: d["A"][-1, -1]),
    ("vstack([A, B])[n:2*n, :]", "n x m", lambda d: d["B"]),
]


@pytest.mark.parametrize(("text", "shape", "value"), EXPRESSIONS, ids=[e[0] for e in EXPRESSIONS])
def test_an_operation_has_numpys_shape_and_value(text: str, shape: str, value: Callable[..., Any]) -> None:
    program = read_expression(text, SHAPES)
    name = program.outputs[0]
    assert name == ("loss" if shape == "1 x 1" else "value")
    assert shape_text(program.variables[name].shape) == shape
    given = {v.name: data()[v.name] for v in program.declared()}
    found = evaluate(program, given, SIZES)[name]
    np.testing.assert_allclose(found, np.reshape(value(data()), np.shape(found)), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", [n for n, e in ELEMENTWISE.items() if n not in INTERNAL])
def test_an_elementwise_function_of_the_rule_book_is_in_the_language(name: str) -> None:
    entry = ELEMENTWISE[name]
    for called in (name, *entry.aliases, f"np.{name}"):
        program = read_expression(f"{called}(P)", SHAPES)
        given = {v.name: data()[v.name] for v in program.declared()}
        found = evaluate(program, given, SIZES)["value"]
        law = np.vectorize(lambda x: float(sp.N(entry.law(sp.Float(x, 30), *entry.defaults), 20)))
        np.testing.assert_allclose(found, law(data()["P"]), rtol=1e-13)


def test_every_other_operation_is_tried_above() -> None:
    tried = {word for text, _, _ in EXPRESSIONS for word in re.findall(r"[A-Za-z_0-9]+", text)}
    untried = {entry.name for entry in OPERATIONS.values()} - tried - set(ELEMENTWISE)
    assert not untried


def test_python_functions_do_what_the_text_does() -> None:
    A = read_expression("A", "A[n,m]").variables["A"]()
    assert functions.tanh(A) == read_expression("tanh(A)", "A[n,m]").body[-1].value
    assert (
        functions.sum(A, axis=0, keepdims=True)
        == read_expression("sum(A, axis=0, keepdims=True)", "A[n,m]").body[-1].value
    )
    assert functions.where(A > 0, A, 0.1) == read_expression("where(A > 0, A, 0.1)", "A[n,m]").body[-1].value
    assert functions.vstack([A, A]) == read_expression("vstack([A, A])", "A[n,m]").body[-1].value
    assert functions.leaky_relu(A, 0.2) == read_expression("leaky_relu(A, 0.2)", "A[n,m]").body[-1].value
    with pytest.raises(ValueError, match="S025"):
        functions.sum(A, axis=0)
    with pytest.raises(TypeError, match="axis"):
        functions.softmax(A)
    with pytest.raises(AttributeError):
        functions.conv3d


def test_later_and_never_are_no_operations() -> None:
    assert not set(LATER) & set(OPERATIONS)
    assert not set(NEVER) & set(OPERATIONS)


def test_sinusoidal_positions() -> None:
    """Pairs of a sine and a cosine for each speed, by the formula of the paper; transposed where positions are rows."""
    text = "assert d == 2*k\nX: input[d, T]\nR = sinusoidal((d, T))\nQ = sinusoidal((T, d), axis=0)\n"
    text += "loss = sum(X * R)\n"
    found = evaluate(read_text(text), {"X": np.ones((6, 5))}, {"k": 3, "T": 5, "d": 6})
    i, t = np.arange(3)[:, None], np.arange(5)[None, :]
    wanted = np.vstack([np.sin(t / 10000 ** (i / 3)), np.cos(t / 10000 ** (i / 3))])
    np.testing.assert_allclose(found["R"], wanted, atol=1e-13)
    np.testing.assert_allclose(found["Q"], wanted.T, atol=1e-13)
    with pytest.raises(DeclarationError, match="no pairs"):
        read_text("X: input[d, T]\nloss = sum(X * sinusoidal((d, T)))\n")


@pytest.mark.parametrize(("entry", "size"), [("0", "n"), ("1", "m"), ("-1", "m"), ("-2", "n")])
def test_entries_of_a_shape_are_counted_from_both_ends(entry: str, size: str) -> None:
    declared = "X: input[n, m]\nloss = "
    assert read_text(f"{declared}sum(X) / X.shape[{entry}]\n") == read_text(f"{declared}sum(X) / {size}\n")


@pytest.mark.parametrize("entry", ["2", "-3", "n", "0, 1"])
def test_a_shape_has_two_entries(entry: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        read_text(f"X: input[n, m]\nloss = sum(X) / X.shape[{entry}]\n")
    assert [d.code for d in caught.value.diagnostics] == ["O008"]
