"""Plans as text: one line per statement."""

from __future__ import annotations

import pytest
import sympy as sp
from plan_cases import after_each, bundled, finished, gemms, matrix
from syrupy.assertion import SnapshotAssertion

from symbp.expr import Function
from symbp.networks import names
from symbp.plan.ir import Apply, Number, Pick, Position, Read, product, total
from symbp.plan.text import expression_text, plan_text

a, b = Read(matrix("A", 5, 7).whole()), Read(matrix("B", 5, 7).whole())


@pytest.mark.parametrize("name", ["xor", "digits", "rnn"])
def test_a_training_step_after_all_passes(name: str, snapshot: SnapshotAssertion) -> None:
    assert plan_text(finished(name).plans["train_step"]) == snapshot


def test_the_first_plan(snapshot: SnapshotAssertion) -> None:
    assert plan_text(bundled("xor").found.plans["train_step"]) == snapshot


@pytest.mark.parametrize("name", names())
def test_every_plan_between_can_be_printed(name: str) -> None:
    plan = bundled(name).found.plans["train_step"]
    for new in (plan, *(found for _, found in after_each(plan))):
        text = plan_text(new)
        assert text.startswith("plan train_step   after ")
        assert "<" not in text.replace("<=", "").replace(" < ", ""), "an object without a text"


def test_every_statement_and_every_buffer_has_a_line() -> None:
    plan = finished("rnn").plans["train_step"]
    lines = plan_text(plan).splitlines()
    assert sum(line.strip().startswith("gemm ") for line in lines) == len(gemms(plan))
    assert all(any(line.strip().startswith(f"{n} ") for line in lines) for n in plan.buffers)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (total(a, b), "A + B"),
        (product(total(a, b), b), "(A + B) * B"),
        (product(Number(sp.Rational(1, 3)), a), "(1/3) * A"),
        (total(Number(sp.S.One), a), "1 + A"),
        (Apply(Function("tanh"), (total(a, b),)), "tanh(A + B)"),
        (Apply("where", (Apply(">=", (a, b)), a, b)), "where([A >= B], A, B)"),
        (Position(0, sp.Integer(5)), "row"),
        (Position(1, sp.Integer(5)), "column"),
        (Pick(a.view, "diagonal", (), (sp.Integer(5), sp.S.One)), "diagonal(A)"),
        (Read(a.view.T), "A^T"),
        (Read(a.view.block(sp.S.One, sp.Integer(2), sp.S.One, sp.S.One)), "A(from 1, 2)"),
    ],
)
def test_expressions(expression: object, text: str) -> None:
    assert expression_text(expression) == text  # type: ignore[arg-type]


def test_differences() -> None:
    minus = Number(sp.S.NegativeOne)
    assert expression_text(total(a, product(minus, b))) == "A - B"
    assert expression_text(total(a, product(Number(sp.Rational(-1, 3)), b))) in ("A - (1/3) * B", "A - 1/3 * B")
    # What is subtracted is subtracted as a whole.
    assert expression_text(total(a, product(minus, total(a, b)))) == "A - (A + B)"
    assert expression_text(total(a, product(minus, total(a, product(minus, b))))) == "A - (A - B)"
