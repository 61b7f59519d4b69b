"""Every registered primitive and elementwise function: adjoint by three witnesses, and closed to second order."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp

import symbp.ops as ops
from symbp.expr import Node
from symbp.verify import rules
from symbp.verify.scalars import LAWS

PRIMITIVES = rules.primitive_cases(ops.RULES)
FUNCTIONS = rules.elementwise_cases(ops.ELEMENTWISE)


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in (*PRIMITIVES, *FUNCTIONS)])
def test_rule(case: rules.Case) -> None:
    verdict = rules.check_case(case)
    assert verdict.ok, verdict
    assert {"complex step", "exact", "inner product", "differential of adjoint"} <= set(verdict.witnesses)
    assert verdict.error < 1e-13
    assert verdict.proved, verdict.residual


def test_every_entry_of_the_rule_book_is_tested() -> None:
    names = {c.name.split(" (")[0].split("(")[0] for c in (*PRIMITIVES, *FUNCTIONS)}
    assert set(ops.RULES) | set(ops.ELEMENTWISE) <= names


def test_every_function_of_the_table_has_an_independent_law() -> None:
    assert set(ops.ELEMENTWISE) <= set(LAWS)


POINTS = tuple(sp.Rational(k, 2) for k in (-13, -12, -6, -2, -1, 0, 1, 2, 6, 12, 13))
"""Points on both sides of every kink of the table, and on it."""


@pytest.mark.parametrize("name", ops.ELEMENTWISE)
def test_the_law_of_the_rule_book_is_that_of_the_judge_at_kinks_too(name: str) -> None:
    entry = ops.ELEMENTWISE[name]
    parameters = entry.defaults or tuple(sp.Integer(2) for _ in entry.parameters)
    compared = 0
    for x in POINTS:
        given = (x, sp.Rational(3, 2))[: entry.arity]
        mine, theirs = (sp.sympify(law(*given, *parameters)) for law in (entry.law, LAWS[name]))
        if mine.is_finite and mine.is_real and theirs.is_finite:
            assert abs((mine - theirs).evalf(30)) < 1e-20, f"{name} at {x}"
            compared += 1
    assert compared >= 5


def test_a_new_primitive_is_tested_by_existing_and_an_unbuildable_one_is_an_error() -> None:
    copy = replace(ops.RULES["hadamard"], name="entrywise")
    assert [c.name for c in rules.primitive_cases({"entrywise": copy})] == ["entrywise"]

    class Odd(Node):
        arity = 1

        @classmethod
        def _infer(cls, *args: object) -> object:
            _, parameter = args
            return parameter

    with pytest.raises(LookupError, match="odd"):
        rules.primitive_cases({"odd": replace(copy, name="odd", node=Odd, signature="(r,c)->(r,c)")})
