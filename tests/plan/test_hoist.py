"""A function of a row or a column is computed once for it."""

from __future__ import annotations

import sympy as sp
from plan_cases import loop, matrix, plan_of, put, same_outcome

from symbp.expr import Function
from symbp.plan.hoist import hoist
from symbp.plan.ir import ZERO, Apply, Expr, Plan, Put, Read, product, puts, total, walk

A, out = matrix("A", 5, 7, "input"), matrix("out", 5, 7, "value")
row, column, number = matrix("r", 1, 7, "input"), matrix("c", 5, 1, "input"), matrix("s", 1, 1, "input")
a, r, c, s = (Read(x.whole()) for x in (A, row, column, number))


def f(name: str, e: Expr) -> Expr:
    return Apply(Function(name), (e,))


def hoisted(value: Expr) -> list[Put]:
    """Return the statements that are hoisted out of ``out = value``."""
    plan = plan_of([A, row, column, number, out], put(out.whole(), value))
    new = hoist(plan)
    assert same_outcome(plan, new)
    return [p for k in walk(new.body) for p in puts(k)][:-1]


def test_functions_of_rows_columns_and_numbers() -> None:
    (one,) = hoisted(product(a, f("exp", r)))
    assert one.target.shape == (1, 7)
    (other,) = hoisted(total(a, f("exp", total(c, s))))
    assert other.target.shape == (5, 1)
    (number_,) = hoisted(total(a, f("exp", s)))
    assert number_.target.shape == (1, 1)
    assert len(hoisted(product(a, f("exp", r), f("exp", c)))) == 2


def test_the_whole_function_of_a_row_is_one_value() -> None:
    (one,) = hoisted(total(a, product(f("exp", f("tanh", r)), r)))
    assert one.target.buffer == "r_part"


def test_what_is_not_spread_or_costs_little_stays() -> None:
    assert not hoisted(f("tanh", a))
    assert not hoisted(f("tanh", total(a, r)))
    assert not hoisted(total(a, product(r, c)))
    assert not hoisted(product(a, f("recip", r)))


def test_what_is_not_selected_is_not_computed() -> None:
    """log of a negative number behind ``where`` must not run."""
    assert not hoisted(Apply("where", (Apply(">", (a, ZERO)), f("exp", r), a)))


def test_in_loops_it_is_hoisted_inside() -> None:
    plan = plan_of([A, row, out], put(out.whole(), 0), loop(1, 2, put(out.whole(), product(a, f("exp", r)), add=True)))
    new = hoist(plan)
    assert same_outcome(plan, new)
    assert len(new.body) == 2
    assert len(list(walk(new.body))) == 3
    assert isinstance(new, Plan)


def test_names_are_new() -> None:
    taken = matrix("r_part", 2, 2, "input")
    plan = plan_of([A, row, taken, out], put(out.whole(), product(a, f("exp", r))))
    names = set(hoist(plan).buffers) - set(plan.buffers)
    assert len(names) == 1
    assert "r_part" not in names
    assert sp.Integer(7) == hoist(plan).buffers[names.pop()].cols
