"""The field witness: oracles are consistent, operations agree with plain arithmetic, duals differentiate."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from symbp.expr import Function, Map, Ref, Softmax, size, total
from symbp.program import Equation, Program, Var
from symbp.verify import prime_field as pf
from symbp.verify.prime_field import Dual, Field, FieldRun, Oracles, P, Redraw, invert
from symbp.verify.scalars import LAWS, UnknownOperation


def oracles(seed: int = 0) -> Oracles:
    return Oracles(random.Random(seed))


def column(*entries: int) -> np.ndarray:
    return np.array([[e % P] for e in entries], dtype=object)


def test_exp_and_log_are_consistent() -> None:
    o, z = oracles(), 123456789
    assert o.exp(z) == o.exp(z)
    assert o.exp(z) * o.exp(-z % P) % P == 1
    assert o.exp(2 * z) == o.exp(z) ** 2 % P
    assert o.exp(z * invert(2) % P) ** 2 % P == o.exp(z)
    assert o.log(o.exp(z)) == z
    assert o.exp(o.log(987)) == 987
    assert (o.exp(0), o.log(1)) == (1, 0)


def test_functions_are_rational_in_exp() -> None:
    o, z = oracles(), column(77, -77, 5)
    field = Field(o)
    sigmoid = field.function(Function("sigmoid"), [z])
    assert all((s * (1 + invert(o.exp(x)))) % P == 1 for s, x in zip(sigmoid.ravel(), z.ravel(), strict=True))
    assert (sigmoid[0] + sigmoid[1]) % P == 1
    tanh = field.function(Function("tanh"), [z])
    assert (tanh[0] + tanh[1]) % P == 0
    assert (2 * field.function(Function("sigmoid"), [2 * z % P]) - 1 - tanh).ravel()[0] % P == 0
    sin, cos = field.function(Function("sin"), [z]), field.function(Function("cos"), [z])
    assert not ((sin**2 + cos**2 - 1) % P).any()


@pytest.mark.parametrize("name", [n for n in LAWS if n not in ("pow", "power")])
def test_first_and_second_slopes_are_those_of_the_law(name: str) -> None:
    """tanh' = 1 - tanh^2 and so on hold between the oracles; here: the dual number of f is that of its law's slope."""
    parameters = {"leaky_relu": (sp.Rational(1, 100),), "elu": (sp.S.One,)}.get(name, ())
    function = Function(name, parameters)
    z = Dual(column(11, 4, 900), np.array([column(1, 2, 3)], dtype=object))
    if name == "sqrt":
        z = Dual(column(121, 16, 900), z.slope)
    o = oracles()
    run = FieldRun(Program({}, ()), {}, {}, oracles=o)
    out = run.function(function, [z])
    slope = Field(o).function(function.derivative(), [z.value])
    assert out.slope is not None
    assert not ((out.slope[0] - slope * z.slope[0]) % P).any()  # type: ignore[index]


def test_known_slopes() -> None:
    o = oracles()
    field, z = Field(o), column(31, 9)
    def f(name: str, order: int = 0) -> np.ndarray:
        return field.function(Function(name, (), (order,)), [z])

    assert not ((f("tanh", 1) - 1 + f("tanh") ** 2) % P).any()
    assert not ((f("sigmoid", 1) - f("sigmoid") * (1 - f("sigmoid"))) % P).any()
    assert not ((f("softplus", 1) - f("sigmoid")) % P).any()
    assert not ((f("log", 1) * z - 1) % P).any()
    assert not ((f("relu", 1) * z - f("relu")) % P).any()
    assert not ((f("softsign", 1) - (1 - field.function(Function("abs"), [f("softsign")])) ** 2) % P).any()
    gauss = field.function(Function("exp"), [-(z**2) % P])
    assert not ((f("erf", 1) ** 2 * o.root_of_pi**2 - 4 * gauss**2) % P).any()


@pytest.mark.parametrize("name", ["erf", "atan"])
def test_odd_functions_are_odd_and_zero_at_zero_alone(name: str) -> None:
    o = oracles()
    assert o.odd(name, 0) == 0
    for z in (1, 2, 12345, P - 7):
        assert o.odd(name, z) != 0 and (o.odd(name, z) + o.odd(name, P - z)) % P == 0


def test_points_lie_on_the_circle_and_only_zero_has_the_sine_zero() -> None:
    o = oracles()
    assert o.circle(0) == (0, 1)
    for z in (1, 2, 12345, P - 7):
        (sin, cos), (mirrored, same) = o.circle(z), o.circle(P - z)
        assert sin != 0 and (sin * sin + cos * cos - 1) % P == 0
        assert (sin + mirrored) % P == 0 and cos == same


def test_a_root_that_does_not_exist_asks_for_another_draw() -> None:
    o = oracles()
    bad = next(x for x in range(2, 50) if pow(x, (P - 1) // 2, P) != 1)
    with pytest.raises(Redraw):
        o.root(bad)
    assert o.root(49) in (7, P - 7)


def test_numbers() -> None:
    field = Field(oracles())
    assert field.number(sp.Rational(2, 3)) * 3 % P == 2
    assert field.number(sp.sqrt(2)) ** 2 % P == 2
    assert field.number(1 / sp.sqrt(sp.pi)) ** 2 * field.number(sp.pi) % P == 1
    with pytest.raises(UnknownOperation):
        field.number(sp.EulerGamma)


def test_undefined_values_may_be_selected_away_but_not_used() -> None:
    field = Field(oracles())
    assert field.function(Function("recip0"), [column(0, 2)]).ravel().tolist() == [0, invert(2)]
    undefined = field.function(Function("recip"), [column(0)])
    assert undefined[0, 0] != undefined[0, 0]
    with pytest.raises(Redraw):
        pf.field_inner(undefined, column(1))


def test_dual_numbers_against_fractions() -> None:
    """A rational program at a small point: the derivative by exact fractions, reduced mod p, is the same."""
    r, c = size("r"), size("c")
    a, b = Ref("A", r, c), Ref("B", c, r)
    out = Var("loss", sp.S.One, sp.S.One)
    value = total(Map(a @ b + 1, Function("recip")))
    program = Program(
        {"A": Var("A", r, c, kind="param"), "B": Var("B", c, r, kind="input"), "loss": out}, (Equation(out(), value),)
    )
    A = np.array([[1, 2, 3], [4, 5, 7]], dtype=object)
    B = np.array([[2, 1], [1, 3], [5, 1]], dtype=object)
    D = np.array([[1, 0, 2], [0, 3, 1]], dtype=object)
    run = FieldRun(program, {"A": A, "B": B}, {"r": 2, "c": 3}, nudges={"A": pf.moved(D)}, oracles=oracles())
    found = run.run()["loss"]
    z, dz = A @ B + 1, D @ B
    exact = sum(-Fraction(int(dz[i, j]), int(z[i, j]) ** 2) for i in range(2) for j in range(2))
    assert int(found.slope[0, 0, 0]) == exact.numerator * invert(exact.denominator) % P


def test_softmax_sums_to_one_and_its_slope_to_zero() -> None:
    z = Ref("Z", size("r"), size("c"))
    out = Var("P", z.rows, z.cols)
    program = Program(
        {"Z": Var("Z", z.rows, z.cols, kind="param"), "P": out}, (Equation(out(), Softmax(z, 0)),), ("P",)
    )
    rng = random.Random(1)
    values = {"Z": pf.field_matrix((), 3, 4, rng)}
    nudge = {"Z": pf.moved(pf.field_tangent((), 3, 4, rng))}
    p = FieldRun(program, values, {"r": 3, "c": 4}, nudges=nudge, oracles=oracles()).run()["P"]
    assert (p.value.sum(axis=0) % P).tolist() == [1] * 4
    assert (p.slope[0].sum(axis=0) % P).tolist() == [0] * 4


@pytest.mark.parametrize("fact", ["columns_sum_to_one", "rows_sum_to_one", "symmetric"])
def test_draws_and_increments_keep_the_facts(fact: str) -> None:
    rng = random.Random(2)
    x, d = pf.field_matrix({fact}, 3, 3, rng), pf.field_tangent({fact}, 3, 3, rng)
    if fact == "symmetric":
        assert (x == x.T).all()
        assert (d == d.T).all()
        return
    axis = 0 if fact.startswith("columns") else 1
    assert (x.sum(axis=axis) % P).tolist() == [1] * 3
    assert (d.sum(axis=axis) % P).tolist() == [0] * 3
