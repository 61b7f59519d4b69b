"""The witnesses on a backward pass written by hand: right holds, wrong fails with a reason, blind is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

import symbp
from symbp.calculus import derive
from symbp.expr import Function, Map, Node, Ones, Softmax, T, add, apply, had, scaled, size, total
from symbp.language import read_text
from symbp.program import Equation, Program, Var
from symbp.verify import witnesses as w
from symbp.verify.draws import NoDraw, choose_sizes
from symbp.verify.programs import gradient_check

m, n0, n1 = size("m"), size("n0"), size("n1")
X, Y = Var("X", n0, m, kind="input"), Var("Y", n1, m, kind="target")
W = Var("W", n1, n0, kind="param")
Z, A, loss = Var("Z", n1, m), Var("A", n1, m), Var("loss", sp.S.One, sp.S.One)
W_bar, Z_bar = Var("W_bar", n1, n0, kind="adjoint"), Var("Z_bar", n1, m, kind="adjoint")
SIZES = {"m": 7, "n0": 5, "n1": 11}
RNG = np.random.default_rng(0)


def forward(activation: str = "tanh") -> tuple[Equation, ...]:
    return (
        Equation(Z(), W() @ X()), Equation(A(), Map(Z(), Function(activation))),
        Equation(loss(), scaled(sp.Rational(1, 2) / m, total((A() - Y()) ** 2))),
    )


def by_hand(z_bar: Node | None = None, w_bar: Node | None = None) -> tuple[Program, Program]:
    right_z = had(scaled(1 / m, A() - Y()), 1 - A() ** 2)
    backward = (
        Equation(Z_bar(), right_z if z_bar is None else z_bar),
        Equation(W_bar(), Z_bar() @ T(X()) if w_bar is None else w_bar),
    )
    variables = {v.name: v for v in (X, Y, W, Z, A, loss)}
    source = Program(variables, forward())
    return source, Program({**variables, "Z_bar": Z_bar, "W_bar": W_bar}, (*forward(), *backward))


ADJOINTS = {"W": "W_bar", "Z": "Z_bar"}


def findings(source: Program, derived: Program) -> dict[tuple[str, str], w.Finding]:
    numeric = w.adjoints_by_complex_step(source, derived, ADJOINTS, sizes=SIZES, rng=np.random.default_rng(1))
    exact = w.adjoints_exactly(source, derived, ADJOINTS, sizes={"m": 2, "n0": 3, "n1": 5})
    return {(f.witness, f.subject): f for f in (*numeric, *exact)}


def test_a_right_backward_pass_holds() -> None:
    found = findings(*by_hand())
    assert all(f.outcome == "holds" for f in found.values())
    assert max(f.error for f in found.values()) < 1e-14


@pytest.mark.parametrize(
    "wrong",
    [
        {"w_bar": scaled(-1, Z_bar() @ T(X()))},
        {"w_bar": scaled(m, Z_bar() @ T(X()))},
        {"z_bar": had(scaled(1 / m, A() - Y()), 1 - A())},
        {"z_bar": scaled(1 / m, A() - Y())},
        {"z_bar": had(scaled(1 / m, A()), 1 - A() ** 2)},
        {"w_bar": add(Z_bar() @ T(X()), scaled(sp.Rational(1, 10**9), W()))},
    ],
)
def test_a_wrong_backward_pass_fails_for_both_witnesses(wrong: dict[str, Node]) -> None:
    found = findings(*by_hand(**wrong))
    assert {witness for (witness, _), f in found.items() if f.outcome == "fails"} == {"complex step", "exact"}
    if "z_bar" in wrong:
        assert found["exact", "Z_bar"].outcome == found["complex step", "Z_bar"].outcome == "fails"


def test_a_wrong_factor_is_told_in_sizes() -> None:
    found = findings(*by_hand(w_bar=scaled(m, Z_bar() @ T(X()))))
    assert "2 times the derivative" in found["exact", "W_bar"].detail  # m = 2 in the exact draw
    assert "(7 times)" in found["complex step", "W_bar"].detail


@pytest.mark.parametrize(("factor", "said"), [
    (sp.Integer(-1), "-1 times"), (sp.Rational(1, 3), "1/3 times"), (sp.Rational(-7, 2), "-7/2 times"),
    (sp.Integer(400), "400 times"), (sp.Integer(401), ""),
])
def test_a_wrong_factor_is_told_as_a_simple_fraction(factor: sp.Expr, said: str) -> None:
    detail = findings(*by_hand(w_bar=scaled(factor, Z_bar() @ T(X()))))["exact", "W_bar"].detail
    assert (f": {said} the derivative" in detail) if said else ("times the derivative" not in detail)


def test_the_inner_product_catches_a_lost_term() -> None:
    d = derive(read_text("X: input[n, m]\nW: param[k, n]\nG: input[k, m]\nloss = sum(G * tanh(W @ X) * (W @ X))\n"))
    sizes = choose_sizes(d.source)[0]
    from symbp.calculus import differential

    tangent, _ = differential(d.forward)
    pairs = {"W": ("d_W", "W_bar")}
    good = w.inner_product(d.forward, tangent, d.program, pairs, "loss", "d_loss", sizes=sizes, rng=RNG)
    assert good.outcome == "holds"
    assert good.error < 1e-15
    last = d.program.body[-1]
    assert isinstance(last, Equation)
    spoiled = d.program.replace(body=(*d.program.body[:-1], replace(last, value=scaled(2, last.value))))
    bad = w.inner_product(d.forward, tangent, spoiled, pairs, "loss", "d_loss", sizes=sizes, rng=RNG)
    assert bad.outcome == "fails"


# ---------------------------------------------------------------------------------------------------------
# Checks that cannot fail are refused, with the reason


def refused(text: str, **options: object) -> set[str]:
    found = gradient_check(derive(read_text(text)), draws=1, **options)  # type: ignore[arg-type]
    outcomes = {f.outcome for fs in found.values() for f in fs if f.witness == "complex step"}
    assert "holds" not in outcomes
    assert outcomes == {"refused"}
    return {f.detail for fs in found.values() for f in fs if f.outcome == "refused"}


def test_a_cotangent_of_ones_after_a_normalisation_is_refused() -> None:
    """Right or twice too large: the softmax annihilates ones, so no witness can tell, and each says so."""
    v, p = Var("V", n1, m, kind="param"), Var("P", n1, m)
    bar = Var("V_bar", n1, m, kind="adjoint")
    body = (Equation(p(), Softmax(v(), 0)), Equation(loss(), total(p())))
    variables = {x.name: x for x in (v, p, loss)}
    for factor in (1, 2):
        value = scaled(factor, add(p(), scaled(-1, had(p(), Ones(n1, 1) @ Ones(1, n1) @ p()))))
        derived = Program({**variables, "V_bar": bar}, (*body, Equation(bar(), value)))
        source, sizes = Program(variables, body), {"n1": 5, "m": 7}
        (numeric,) = w.adjoints_by_complex_step(source, derived, {"V": "V_bar"}, sizes=sizes, rng=RNG)
        (exact,) = w.adjoints_exactly(source, derived, {"V": "V_bar"}, sizes=sizes)
        assert (numeric.outcome, exact.outcome) == ("refused", "refused")
        assert "vanishes" in numeric.detail or "normalisation" in numeric.detail
        assert "zero along a random direction" in exact.detail


def test_a_gradient_that_is_zero_by_construction_is_a_claim() -> None:
    text = "X: input[n, m]\nW: param[k, n]\nloss = sum(softmax(W @ X, axis=0))\n"
    derivation = derive(read_text(text))
    found = gradient_check(derivation, draws=1)
    assert {f.outcome for f in found["W_bar"] if f.witness != "inner product"} == {"holds"}
    other = derive(read_text(text.replace("softmax(W @ X, axis=0)", "tanh(W @ X)")))
    wrong = replace(derivation, source=other.source, named=other.named)
    assert "fails" in {f.outcome for f in gradient_check(wrong, draws=1)["W_bar"]}


def test_zero_data_is_refused() -> None:
    text = "X: input[n, m]\nY: target[k, m]\nW: param[k, n]\nloss = sum((W @ X - Y)**2)\n"
    values = {"X": np.zeros((5, 7)), "Y": np.ones((3, 7)), "W": np.ones((3, 5))}
    (reason,) = refused(text, values=values, sizes=[{"n": 5, "m": 7, "k": 3}])
    assert "zero data" in reason


def test_square_sizes_only_are_refused() -> None:
    text = "X: input[n, m]\nY: target[k, m]\nW: param[k, n]\nloss = sum((W @ X - Y)**2)\n"
    reasons = refused(text, sizes=[{"n": 5, "m": 5, "k": 5}])
    assert any("square sizes" in r for r in reasons)


def test_a_saturated_point_is_refused() -> None:
    text = "X: input[n, m]\nY: target[k, m]\nW: param[k, n]\nloss = sum((tanh(W @ X) - Y)**2)\n"
    values = {"X": np.full((5, 7), 40.0), "Y": np.full((3, 7), 0.5), "W": np.full((3, 5), 40.0)}
    (reason,) = refused(text, values=values, sizes=[{"n": 5, "m": 7, "k": 3}])
    assert "vanishes" in reason


def test_an_ordinary_point_is_not_refused() -> None:
    text = "X: input[n, m]\nY: target[k, m]\nW: param[k, n]\nloss = sum((tanh(W @ X) - Y)**2)\n"
    found = gradient_check(derive(read_text(text)), draws=2)
    assert all(f.outcome == "holds" for fs in found.values() for f in fs)


def test_a_parameter_without_influence_has_a_zero_gradient_that_holds() -> None:
    found = gradient_check(derive(read_text("X: param[n, m]\nU: param[n, m]\nloss = sum(X**2)\n")), draws=1)
    assert {f.outcome for f in found["U_bar"]} == {"holds"}


# ---------------------------------------------------------------------------------------------------------
# The exact witness on every bundled network


def bundled() -> list[str]:
    from importlib.resources import files

    return sorted(p.name for p in files("symbp.networks").iterdir() if p.name.endswith(".net"))


@pytest.mark.parametrize("name", bundled())
def test_exact_witness_says_equal(name: str) -> None:
    from importlib.resources import files

    program = symbp.read(files("symbp.networks").joinpath(name).read_text())
    derivation = derive(program)
    for sizes in w.exact_sizes(program):
        for seed in range(2):
            found = w.adjoints_exactly(program, derivation.program, derivation.gradients, sizes=sizes, seed=seed)
            assert found
            assert w.all_hold(found), found


def _many_roots(factor: int, square: bool = False) -> tuple[Program, Program]:
    """Return ``loss = sum(C o sqrt(A))`` and a program with its adjoint times a factor, through the value or not."""
    a, c, r = Var("A", n1, m, kind="param"), Var("C", n1, m, kind="input"), Var("R", n1, m)
    bar = Var("A_bar", n1, m, kind="adjoint")
    body = (Equation(r(), apply(Function("sqrt"), a())), Equation(loss(), total(had(c(), r()))))
    variables = {v.name: v for v in (a, c, r, loss)}
    right = scaled(sp.Rational(factor, 2), had(c(), apply(Function("recip"), r())))
    if square:
        right = scaled(sp.Rational(factor, 2), had(c(), r(), apply(Function("recip"), a())))
    derived = Program({**variables, "A_bar": bar}, (*body, Equation(bar(), right)))
    return Program(variables, body), derived


def test_many_roots_are_loose() -> None:
    sizes = {"n1": 7, "m": 11}  # no point has 77 roots
    truth, derived = _many_roots(1)
    assert [f.outcome for f in w.adjoints_exactly(truth, derived, {"A": "A_bar"}, sizes=sizes)] == ["holds"]
    for wrong in (_many_roots(2), _many_roots(-1), _many_roots(1, square=True)):
        # Wrong, or right only because the square of a root is what it is the root of: nothing is said.
        with pytest.raises(NoDraw):
            w.adjoints_exactly(*wrong, {"A": "A_bar"}, sizes=sizes)
    truth, derived = _many_roots(1, square=True)
    few = {"n1": 2, "m": 1}
    assert [f.outcome for f in w.adjoints_exactly(truth, derived, {"A": "A_bar"}, sizes=few)] == ["holds"]


def test_softmax_needs_ones_of_the_cotangent() -> None:
    """The same softmax with generic weights is no blind check."""
    z, c, p = Var("V", n1, m, kind="param"), Var("C", n1, m, kind="input"), Var("P", n1, m)
    bar = Var("V_bar", n1, m, kind="adjoint")
    body = (Equation(p(), Softmax(z(), 0)), Equation(loss(), total(had(c(), p()))))
    variables = {v.name: v for v in (z, c, p, loss)}
    u = had(p(), c())
    right = add(u, scaled(-1, had(p(), Ones(n1, 1) @ Ones(1, n1) @ u)))
    sizes = {"n1": 5, "m": 7}
    for value, outcome in ((right, "holds"), (u, "fails")):
        derived = Program({**variables, "V_bar": bar}, (*body, Equation(bar(), value)))
        (found,) = w.adjoints_by_complex_step(Program(variables, body), derived, {"V": "V_bar"}, sizes=sizes, rng=RNG)
        assert found.outcome == outcome
