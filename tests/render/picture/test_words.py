"""What an equation is said to do."""

from __future__ import annotations

import pytest

from symbp.language import read_text
from symbp.render.names import Names
from symbp.render.picture.words import words
from symbp.render.text import Unicode

DECLARED = """
f: elementwise
X: input[n, m]; Y: target[n, m]; v: input[n, 1]
W: param[n, n]; V: param[n, n]; b: param[n, 1]; c: param[1, 1]; g: param[n, 1]; R: param[n, m]
for j in range(1, k+1):
    U[j]: param[n, n]
"""


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("W @ X + b", "product + bias"),
        ("W @ X + V @ Y + b", "product + bias"),
        ("W @ X", "product"),
        ("b.T @ X + c", "product + bias"),
        ("X + relu(W @ X + b)", "product + bias, relu, sum"),
        ("X + W @ Y + b", "product + bias, sum"),
        ("tanh(X)", "tanh"),
        ("f(X)", "f"),
        ("X**2", "square"),
        ("X - mean(X, axis=0, keepdims=True)", "mean, difference"),
        ("X - v", "difference"),
        ("X / sqrt(v)", "sqrt, quotient"),
        ("1 / sqrt(v)", "sqrt, reciprocal"),
        ("W @ X + R", "product, sum"),
        ("g * X + b", "Hadamard product + bias"),
        ("softmax(X, axis=0)", "softmax"),
        ("X.T", "transpose"),
        ("2 * X", "coefficient"),
        ("1 - X", "difference"),
        ("1 + X", "sum"),
        ("X", "copy"),
        ("v @ ones(1, m)", "repeated"),
        ("eye(n)", "constant"),
        ("X[0:1, :]", "block"),
        ("sum((X - Y)**2) / m", "difference, square, sum"),
        ("mean((X - Y)**2)", "difference, square, mean"),
        ("sum(X, axis=0, keepdims=True)", "sum"),
        ("sum(U[j] @ X for j in range(1, k+1))", "product, sum over j"),
        ("sum(-Y * log(X))", "log, Hadamard product, sum"),
    ],
)
def test_words(expression: str, said: str) -> None:
    loss = " + ".join(f"sum({name})" for name in "WVbgcR")
    program = read_text(f"{DECLARED}A = {expression}\nloss = {loss}\n", "x.net")
    (value,) = [s.equation.value for s in program.sites if s.target.name == "A"]
    assert ", ".join(words(value, program, Unicode(Names(program)))) == said
