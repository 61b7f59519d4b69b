"""Draws have the declared facts, stay in domains and away from kinks; sizes fit and are prime."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from symbp.expr import Box, Function, Map, SizeMember, index, size, total
from symbp.language import read_text
from symbp.program import Equation, Loop, Program, Var
from symbp.verify.draws import NoDraw, choose_sizes, draw, draw_matrix, members, tangent_matrix
from symbp.verify.evaluate import EvaluationError, evaluate

RNG = np.random.default_rng(5)


@pytest.mark.parametrize(
    "fact, holds",
    [
        ("columns_sum_to_one", lambda x: np.allclose(x.sum(axis=0), 1) and (x > 0).all()),
        ("rows_sum_to_one", lambda x: np.allclose(x.sum(axis=1), 1) and (x > 0).all()),
        ("one_hot_columns", lambda x: set(x.ravel()) == {0, 1} and (x.sum(axis=0) == 1).all()),
        ("one_hot_rows", lambda x: set(x.ravel()) == {0, 1} and (x.sum(axis=1) == 1).all()),
        ("binary", lambda x: set(x.ravel()) == {0, 1}),
        ("mask", lambda x: set(x.ravel()) == {0, 1}),
        ("signs", lambda x: set(np.abs(x).ravel()) == {1}),
        ("index", lambda x: set(x.ravel()) <= {0, 1, 2} and len(set(x.ravel())) < x.size),
        ("positive", lambda x: (x > 0).all()),
        ("symmetric", lambda x: np.array_equal(x, x.T)),
    ],
)
def test_declared_facts_hold(fact: str, holds: object) -> None:
    for _ in range(5):
        assert holds(draw_matrix({fact}, 5, 5, RNG, below=3))  # type: ignore[operator]


def test_an_unknown_fact_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="orthogonal"):
        draw_matrix({"orthogonal"}, 2, 2, RNG)


def test_increments_keep_the_facts() -> None:
    d = tangent_matrix({"columns_sum_to_one"}, 5, 7, RNG)
    assert np.allclose(d.sum(axis=0), 0) and np.abs(d).max() > 0.1
    d = tangent_matrix({"rows_sum_to_one"}, 5, 7, RNG)
    assert np.allclose(d.sum(axis=1), 0) and np.abs(d).max() > 0.1
    d = tangent_matrix({"symmetric"}, 5, 5, RNG)
    assert np.array_equal(d, d.T)
    assert not tangent_matrix({"one_hot_rows"}, 3, 3, RNG).any()


def test_many_sizes_are_distinct_primes() -> None:
    matrices = "".join(f"X{k}: input[a{k}, b{k}]\n" for k in range(20))
    program = read_text(f"{matrices}loss = {' + '.join(f'sum(X{k})' for k in range(20))}\n")
    for sizes in choose_sizes(program):
        assert len(set(sizes.values())) == len(sizes) == 40
        assert all(sp.isprime(x) for x in sizes.values())


def one_line(function: str, *facts: str) -> Program:
    r, c = size("r"), size("c")
    x, out = Var("x", r, c, kind="input", facts=frozenset(facts)), Var("loss", sp.S.One, sp.S.One)
    return Program({"x": x, "loss": out}, (Equation(out(), total(Map(x(), Function(function)))),))


@pytest.mark.parametrize("function", ["log", "sqrt", "recip"])
def test_draws_stay_in_the_domain(function: str) -> None:
    program = one_line(function)
    values = draw(program, {"r": 5, "c": 7}, RNG)
    assert np.isfinite(evaluate(program, values, {"r": 5, "c": 7})["loss"]).all()


def test_probabilities_are_found_for_log_of_x_and_of_one_minus_x() -> None:
    r, c = size("r"), size("c")
    x, out = Var("x", r, c, kind="input"), Var("loss", sp.S.One, sp.S.One)
    log = Function("log")
    program = Program({"x": x, "loss": out}, (Equation(out(), total(Map(x(), log) + Map(1 - x(), log))),))
    assert 0 < draw(program, {"r": 5, "c": 7}, RNG)["x"].max() < 1


def test_draws_keep_away_from_kinks() -> None:
    assert np.abs(draw(one_line("relu"), {"r": 11, "c": 13}, RNG)["x"]).min() > 0.1


def test_a_program_that_is_never_finite_is_refused() -> None:
    r, c = size("r"), size("c")
    x, out = Var("x", r, c, kind="input"), Var("loss", sp.S.One, sp.S.One)
    nowhere = Program({"x": x, "loss": out}, (Equation(out(), total(Map(-x() ** 2, Function("log")))),))
    with pytest.raises(NoDraw):
        draw(nowhere, {"r": 2, "c": 3}, RNG, tries=20)


def deep() -> Program:
    L, l, m = size("L"), index("l"), size("m")
    def n(i: object) -> SizeMember:
        return SizeMember("n", i)

    W = Var("W", n(l), n(l - 1), (l,), kind="param", boxes=(Box.of((sp.S.One, L)),))
    A = Var("A", n(l), m, (l,), kind="value")
    X, out = Var("X", n(0), m, kind="input"), Var("loss", sp.S.One, sp.S.One)
    body = (
        Equation(A(0), X()),
        Loop(l, sp.S.One, L, (Equation(A(l), Map(W(l) @ A(l - 1), Function("tanh"))),)),
        Equation(out(), total(A(L))),
    )
    return Program({v.name: v for v in (W, X, A, out)}, body)


def test_sizes_are_distinct_primes_and_bounds_follow_the_plan() -> None:
    program = deep()
    found = choose_sizes(program)
    assert [s["L"] for s in found] == [1, 2, 4]
    for sizes in found:
        used = [sizes["m"], *(sizes["n"][k] for k in range(sizes["L"] + 1))]
        assert len(set(used)) == len(used) and all(sp.isprime(x) and x >= 5 for x in used)
        values = draw(program, sizes, RNG)
        assert (
            set(values["W"]) == {(k,) for k in range(1, sizes["L"] + 1)} == set(members(program.variables["W"], sizes))
        )
        assert np.isfinite(evaluate(program, values, sizes)["loss"]).all()


def test_assertions_and_defined_sizes_are_kept() -> None:
    program = deep()
    L, d, k, heads = size("L"), size("d"), size("k"), size("heads")
    at_least = program.replace(assumptions=((L, 3),))
    assert [s["L"] for s in choose_sizes(at_least)] == [3, 4]
    X, Y = Var("X", d, k, kind="input"), Var("Y", heads, k, kind="input")
    split = Program({"X": X, "Y": Y}, (), definitions=((heads, d / k),))
    for sizes in choose_sizes(split):
        assert sizes["heads"] * sizes["k"] == sizes["d"]
