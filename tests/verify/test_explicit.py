"""Against SymPy itself: explicit matrices at tiny sizes, scalar derivatives at 50 digits, and the generated module."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symbp
import symbp.ops as ops
from symbp.calculus import derive
from symbp.language import read_text
from symbp.pipeline import generate
from symbp.verify import load_module
from symbp.verify.draws import choose_sizes, draw
from symbp.verify.evaluate import evaluate
from symbp.verify.explicit import exact, gradients_by_sympy, symbols_for, to_sympy
from symbp.verify.rules import Case, elementwise_cases, primitive_cases
from symbp.verify.module import declarations, input_order, record


FEED_FORWARD = ("mlp", "xor", "logistic", "regression", "dropout", "iris", "digits", "deep", "residual", "nielsen")
TINY = (2, 3, 1, 2, 2, 2)


def tiny(program: symbp.Program) -> tuple[dict, dict]:
    sizes = choose_sizes(program, primes=TINY, limit=1)[0]
    return sizes, draw(program, sizes, np.random.default_rng(2))


@pytest.mark.parametrize("name", FEED_FORWARD)
def test_gradients_equal_scalar_derivatives_and_the_module(name: str, tmp_path: Path) -> None:
    from importlib.resources import files

    text = files("symbp.networks").joinpath(f"{name}.net").read_text()
    # Numbers of units become tiny, and a function that is left open gets a law.
    for units in ("64", "16", "10", "4"):
        text = re.sub(rf"\b{units}\b(?=[,)\]])", "2", text)
    text = text.replace("sigma: elementwise", "def sigma(x): return x / (1 + exp(-x))")
    program = read_text(text)
    derivation = derive(program)
    sizes, values = tiny(program)
    found = gradients_by_sympy(program, derivation.program, derivation.gradients, values, sizes, most=2)
    assert [f for f in found if f.outcome != "holds"] == []
    path = tmp_path / "net.py"
    path.write_text(generate(derivation, name="net")["net.py"], encoding="utf-8")
    module = load_module(path, "net")
    fractions = {n: each(a, exact) for n, a in values.items()}
    rounded = {n: each(a, lambda x: np.array(x.tolist(), dtype=float)) for n, a in fractions.items()}
    params = record(module.Params, declarations(program, "param"), rounded, sizes, float)
    inputs = record(module.Inputs, input_order(program), rounded, sizes, float)
    _, gradients = module.loss_and_gradients(params, inputs)
    stated = to_sympy(derivation.program, fractions, sizes)
    numbers = {
        n: each(stated[bar], lambda x: np.array(sp.N(x, 50).tolist(), dtype=float))
        for n, bar in derivation.gradients.items()
    }
    wanted = record(module.Params, declarations(program, "param"), numbers, sizes, float)
    for seen, number in zip(flat(gradients), flat(wanted), strict=True):
        assert np.allclose(seen, number, rtol=1e-12, atol=1e-15)


def each(value: Any, change: Callable[[Any], Any]) -> Any:
    """Change a matrix, or every member of a family."""
    return {k: change(v) for k, v in value.items()} if isinstance(value, dict) else change(value)


def flat(values: Any) -> list[Any]:
    """The arrays of a tuple of arrays and of tuples of arrays."""
    return [a for v in values for a in (flat(v) if isinstance(v, tuple) else [v])]


def test_a_recurrence_as_well() -> None:
    text = (
        "H[0]: input[h, 1]\nW: param[h, h]\nfor t in range(1, T+1):\n    H[t] = tanh(W @ H[t-1])\nloss = sum(H[T]**2)\n"
    )
    program = read_text(text)
    derivation = derive(program)
    sizes = {"h": 2, "T": 2}
    values = draw(program, sizes, np.random.default_rng(2))
    (found,) = gradients_by_sympy(program, derivation.program, derivation.gradients, values, sizes)
    assert found.outcome == "holds"


def test_a_wrong_gradient_is_seen() -> None:
    right = derive(read_text("X: input[n, m]\nW: param[k, n]\nloss = sum(tanh(W @ X)**2)\n"))
    wrong = derive(read_text("X: input[n, m]\nW: param[k, n]\nloss = sum(tanh(W @ X)**2) + 1e-30 * sum(W**2)\n"))
    sizes, values = tiny(right.source)
    (found,) = gradients_by_sympy(right.source, wrong.program, right.gradients, values, sizes, most=2)
    assert found.outcome == "fails"
    assert found.error < 1e-20


CASES = [*primitive_cases(ops.RULES), *elementwise_cases(ops.ELEMENTWISE)]


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in CASES if "free" not in c.name])
def test_every_operation_against_the_evaluator(case: Case) -> None:
    sizes = choose_sizes(case.program, primes=(3, 4, 2, 5), limit=1)[0]
    values = draw(case.program, sizes, np.random.default_rng(2))
    found = to_sympy(case.program, {n: exact(a, 3) for n, a in values.items()}, sizes)["Y"]
    rounded = {n: np.round(a, 3) for n, a in values.items()}
    numbers = np.array(sp.N(found, 20).tolist(), dtype=float)
    assert np.allclose(numbers, evaluate(case.program, rounded, sizes)["Y"], rtol=1e-13, atol=1e-15)


def test_zeros() -> None:
    program = read_text("X: input[n, m]\nY = zeros(n, m)\n")
    assert to_sympy(program, {"X": exact(np.ones((2, 3)))}, {"n": 2, "m": 3})["Y"] == sp.zeros(2, 3)


def test_symbols() -> None:
    assert symbols_for("W", 1, 2).tolist() == [[sp.Symbol("W_0_0", real=True), sp.Symbol("W_0_1", real=True)]]
