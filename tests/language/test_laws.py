"""Functions of the user: the law that is read has the values that NumPy would give."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import sympy as sp

from symbp.language import read_text

POINTS = (-1.75, -0.5, 0.0, 0.25, 1.5)

LAWS: dict[str, Callable[[float], float]] = {
    "x/(1 + exp(-x))": lambda x: x / (1 + math.exp(-x)),
    "square(x) - 2*x**3": lambda x: x * x - 2 * x**3,
    "log1p(square(x))": lambda x: math.log1p(x * x),
    "expm1(x)": math.expm1,
    "power(x, 3)": lambda x: x**3,
    "x**2/2 + x - 1": lambda x: x * x / 2 + x - 1,
    "where(x > 1/4, x, x**2)": lambda x: x if x > 0.25 else x * x,
    "where(x >= 1/4, 1, 0)": lambda x: float(x >= 0.25),
    "where(x < 1/4, 1, 0)": lambda x: float(x < 0.25),
    "where(x <= 1/4, 1, 0)": lambda x: float(x <= 0.25),
    "maximum(x, 1/2)": lambda x: max(x, 0.5),
    "minimum(x, 1/2)": lambda x: min(x, 0.5),
    "abs(x)": abs,
    "-tanh(x)*sin(x) + cos(x)": lambda x: -math.tanh(x) * math.sin(x) + math.cos(x),
    "sqrt(1 + x*x)": lambda x: math.sqrt(1 + x * x),
    "relu(x) + sigmoid(x)": lambda x: max(x, 0.0) + 1 / (1 + math.exp(-x)),
}


def law_of(text: str) -> sp.Lambda:
    program = read_text(f"X: input[n, m]\ndef f(x): return {text}\nloss = sum(f(X))\n")
    law = program.functions["f"].law
    assert law is not None
    return law


@pytest.mark.parametrize("text", LAWS)
def test_a_law_has_the_values_of_its_text(text: str) -> None:
    law = law_of(text)
    for x in POINTS:
        found = law(sp.Rational(x)).evalf(20)
        assert float(found) == pytest.approx(LAWS[text](x), rel=1e-12, abs=1e-14)


def test_a_law_of_two_arguments_keeps_their_order() -> None:
    program = read_text("X: input[n, m]\nY: target[n, m]\ndef g(a, b): return a - 3*b\nloss = sum(g(X, Y))\n")
    law = program.functions["g"].law
    assert law is not None
    assert law(sp.Integer(5), sp.Integer(1)) == 2


def test_names_of_contractions_do_not_take_each_others_letters() -> None:
    """``batch`` would be called b, but b is a name already."""
    declared = "X: input[m, b]; W: param[b, k]\n"
    named = read_text(declared + "loss = sum(einsum('batch b, b k -> batch k', X, W)**2)\n")
    plain = read_text(declared + "loss = sum((X @ W)**2)\n")
    assert [str(s.equation.value) for s in named.sites] == [str(s.equation.value) for s in plain.sites]
