"""The evaluator against independent computations: NumPy written out, mpmath's scalar laws, known values."""

from __future__ import annotations

import gc
import weakref

import mpmath
import numpy as np
import pytest
import sympy as sp

from symbp.expr import (
    Add, AddAt, ArgmaxMask, Compare, Diag, DiagOf, Embed, Eye, Function, Gather, Hadamard, Kron, LogSumExp, Map,
    Mask, MatMul, MaxAxis, Node, Ones, Ref, Reshape, SMul, Scale, Scatter, Slice, Softmax, SumOver, T,
    Take, Where, Zero, index, kron_blocks, size,
)
from symbp.language import read_text
from symbp.program import Equation, Loop, Program, Var
from symbp.verify import evaluate as ev
from symbp.verify import scalars

r, c, k = size("r"), size("c"), size("k")
SIZES = {"r": 3, "c": 4, "k": 2}
A, B = Ref("A", r, c), Ref("B", r, c)
I = Ref("I", 1, r)
S, V, Q = Ref("S", 1, 1), Ref("V", r, 1), Ref("Q", r, r)
RNG = np.random.default_rng(1)
VALUES = {
    "A": RNG.normal(size=(3, 4)), "B": RNG.normal(size=(3, 4)), "S": RNG.normal(size=(1, 1)),
    "I": np.array([[3.0, 0.0, 3.0]]), "V": RNG.normal(size=(3, 1)), "Q": RNG.normal(size=(3, 3)),
}
a, b, s, v, q = (VALUES[name] for name in "ABSVQ")
half_lower = np.tril(np.ones((3, 3)), -1) + np.eye(3) / 2


def compute(node: Node, values: dict = VALUES, sizes: dict = SIZES) -> np.ndarray:
    inputs = {x.name: Var(x.name, x.rows, x.cols, kind="input") for x in (A, B, S, V, Q, I)}
    out = Var("out", node.rows, node.cols)
    program = Program({**inputs, "out": out}, (Equation(out(), node),), outputs=("out",))
    return ev.evaluate(program, values, sizes)["out"]


def kron_by_loops(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.block([[x[i, j] * y for j in range(x.shape[1])] for i in range(x.shape[0])])


CASES = [
    (Ones(r, c), np.ones((3, 4))),
    (Zero(r, c), np.zeros((3, 4))),
    (Eye(r), np.eye(3)),
    (Mask("tril", r, c), np.tril(np.ones((3, 4)))),
    (Mask("strict_triu", r, c), np.triu(np.ones((3, 4)), 1)),
    (Mask("half_lower", r, r), half_lower),
    (Mask("off_diagonal", r, r), 1 - np.eye(3)),
    (Add(A, B, A), a + b + a),
    (Scale(A, sp.Rational(2, 3) / r), a * 2 / 9),
    (Scale(A, 1 / sp.sqrt(r * sp.pi)), a / np.sqrt(3 * np.pi)),
    (SMul(S, A), s[0, 0] * a),
    (MatMul(T(A), Q, B), a.T @ q @ b),
    (Hadamard(A, B, A), a * b * a),
    (T(A), a.T),
    (Diag(V), np.diag(v[:, 0])),
    (DiagOf(Q), np.diag(q)[:, None]),
    (Slice(A, 1, r, 0, k), a[1:, :2]),
    (Embed(Slice(A, 1, r, 0, k), 1, 2, r, c), np.block([[np.zeros((1, 4))], [np.zeros((2, 2)), a[1:, :2]]])),
    (Reshape(A, c, r, "C"), a.reshape(4, 3)),
    (Reshape(A, c, r, "F"), a.T.reshape(3, 4).T),
    (Kron(A, Q), kron_by_loops(a, q)),
    (Take(A, I, 1), a[:, [3, 0, 3]]),
    (Take(T(A), T(I), 0), a[:, [3, 0, 3]].T),
    (AddAt(Q, I, c, 1), q @ np.eye(4)[[3, 0, 3]]),
    (AddAt(Q, T(I), c, 0), np.eye(4)[[3, 0, 3]].T @ q),
    (Where(Compare(A, B, ">"), A, B), np.maximum(a, b)),
    (Compare(A, A, ">="), np.ones((3, 4))),
    (Softmax(A, 0), np.exp(a) / np.exp(a).sum(axis=0)),
    (Softmax(A, 1), np.exp(a) / np.exp(a).sum(axis=1)[:, None]),
    (LogSumExp(A, 1), np.log(np.exp(a).sum(axis=1))[:, None]),
    (MaxAxis(A, 0), a.max(axis=0)[None]),
    (ArgmaxMask(A, 1), (a == a.max(axis=1)[:, None]) * 1.0),
    (Map(A, Function("tanh")), np.tanh(a)),
    (Map(A, B, Function("pow", (), (0, 0))), None),
]


@pytest.mark.parametrize("node, expected", CASES[:-1], ids=[str(n)[:40] for n, _ in CASES[:-1]])
def test_every_operation_against_numpy(node: Node, expected: np.ndarray) -> None:
    assert np.allclose(compute(node), expected, rtol=1e-14, atol=1e-15)


def test_the_static_map_of_kron_turns_it_into_an_outer_product() -> None:
    blocks = Gather(Kron(A, Q), kron_blocks(r, c, r, r))
    assert np.allclose(compute(blocks), np.outer(a.T.ravel(), q.T.ravel()), atol=1e-15)


def test_scatter_is_the_transpose_of_gather() -> None:
    rule = kron_blocks(r, c, r, r)
    product, image = Kron(A, Q), Kron(Reshape(A, r * c, 1), Reshape(T(Q), 1, r * r))
    gathered = compute(Gather(product, rule))
    scattered = compute(Scatter(image, rule))
    assert np.isclose((gathered * compute(image)).sum(), (compute(product) * scattered).sum(), rtol=1e-13)


@pytest.mark.parametrize("wrong", [4.0, -1.0, 0.5, np.nan])
def test_numbers_that_are_no_columns_are_refused(wrong: float) -> None:
    for node in (Take(A, I, 1), AddAt(Q, I, c, 1)):
        with pytest.raises(ev.EvaluationError, match="no whole number"):
            compute(node, {**VALUES, "I": np.array([[1.0, wrong, 0.0]])})


def test_the_first_largest_entry_wins() -> None:
    tied = {**VALUES, "A": np.array([[1.0, 3, 3, 2]] * 3)}
    assert compute(ArgmaxMask(A, 1), tied).tolist() == [[0, 1, 0, 0]] * 3
    assert compute(ArgmaxMask(A, 0), tied)[:, 0].tolist() == [1, 0, 0]


def test_kinks_follow_the_conventions() -> None:
    nothing = {**VALUES, "A": np.zeros((3, 4))}
    for name in ("step", "sign", "abs", "relu", "recip0"):
        assert not compute(Map(A, Function(name)), nothing).any()
    for name in ("step", "relu", "abs"):
        assert not compute(Map(A, Function(name, (), (1,))), nothing).any()


# ---------------------------------------------------------------------------------------------------------
# Elementwise functions

POINTS = np.array([[-1000.0, -30, -3.3, -0.7, -0.011, 0.013, 0.4, 2.9, 25, 1000]])
PARAMETERS = {
    "power": (sp.Rational(-5, 2),), "leaky_relu": (sp.Rational(1, 100),), "elu": (sp.Rational(3, 2),),
}


@pytest.mark.parametrize("order", range(4))
@pytest.mark.parametrize("name", [n for n in scalars.LAWS if n != "pow"])
def test_closed_forms_equal_the_scalar_law_at_50_digits(name: str, order: int) -> None:
    function = Function(name, PARAMETERS.get(name, ()), (order,))
    points = abs(POINTS) if name in ("power", "log", "sqrt") else POINTS / 10 if name == "exp" else POINTS
    law, (z,) = scalars.scalar_law(function), scalars.arguments(1)
    with mpmath.workdps(60):
        exact = [scalars.interpret(law, {z: mpmath.mpf(x)}, ev.Objects()) for x in points[0]]
        for dtype, tolerance in ((float, 1e-13), (complex, 1e-13), (np.longdouble, 1e-15)):
            with np.errstate(all="ignore"):
                ours = ev.Numbers(np.dtype(dtype)).function(function, [points.astype(dtype)])[0]
            for x, y in zip(ours, exact, strict=True):
                assert abs(mpmath.mpf(str(x.real)) - y) <= tolerance * abs(y) + mpmath.mpf(10) ** -30


@pytest.mark.parametrize("name", [n for n in scalars.LAWS if n not in ("pow", "sign", "step")])
def test_complex_step_gives_the_derivative(name: str) -> None:
    function = Function(name, PARAMETERS.get(name, ()), (0,))
    points = np.array([[0.2, 0.9, 3.0]]) if name in ("power", "log", "sqrt") else np.array([[-2.0, -0.3, 0.6, 1.7]])
    numbers = ev.Numbers(np.dtype(complex))
    slope = numbers.function(function, [points + 1e-30j]).imag / 1e-30
    assert np.allclose(
        slope, ev.Numbers(np.dtype(float)).function(function.derivative(), [points]), rtol=1e-14, atol=1e-16
    )


def test_a_power_of_two_numbers_at_many_digits() -> None:
    base, exponent = (np.array([[mpmath.mpf(x) / 7 for x in row]], dtype=object) for row in ((2, 9), (3, -5)))
    with mpmath.workdps(50):
        found = ev.Objects().function(Function("pow", (), (0, 0)), [base, exponent])
        exact = [mpmath.exp(y * mpmath.log(x)) for x, y in zip(base[0], exponent[0], strict=True)]
    assert all(abs(x / y - 1) < 1e-48 for x, y in zip(found[0], exact, strict=True))


def test_a_matrix_that_is_too_large_is_refused_before_it_is_made() -> None:
    square = Kron(Q, Q)
    ev.affordable(square, {"r": 50}, {})
    with pytest.raises(ev.TooLarge, match="3600 x 3600"):
        ev.affordable(DiagOf(square), {"r": 60}, {})


def test_erf_of_complex_numbers() -> None:
    rng = np.random.default_rng(0)
    z = rng.uniform(-4, 4, 150) + 1j * rng.uniform(-4, 4, 150)
    exact = np.array([complex(mpmath.erf(mpmath.mpc(x))) for x in z])
    assert np.abs(ev.erf(z) / exact - 1).max() < 4e-15
    for far in (1e-9 + 10j, 0.3 + 8j, 2 + 15j, -1 - 12j):
        assert abs(ev.erf(np.array([far]))[0] / complex(mpmath.erf(mpmath.mpc(far))) - 1) < 4e-15


def test_no_overflow_far_out() -> None:
    far = {**VALUES, "A": np.array([[-1e3, -1, 1, 1e3]] * 3)}
    for name in ("sigmoid", "softplus", "tanh", "silu", "mish", "gelu", "elu"):
        function = Function(name, PARAMETERS.get(name, ()))
        for f in (function, function.derivative(), function.derivative().derivative()):
            assert np.isfinite(compute(Map(A, f), far)).all()
    assert compute(LogSumExp(A, 1), far)[0, 0] == 1e3


def test_the_side_of_elu_that_is_not_selected_does_not_overflow() -> None:
    function = Function("elu", PARAMETERS["elu"])
    with np.errstate(all="raise"):
        for f in (function, function.derivative()):
            found = ev.closed_form(ev.Numbers(np.dtype(float)), f, np.array([-2.0, 1.0, 1e3]))
            assert np.isfinite(found).all()


def test_two_arguments_users_and_free_functions() -> None:
    x, y = np.abs(a), b
    values = {**VALUES, "A": x}
    power = Function("pow", (), (0, 0))
    assert np.allclose(compute(Map(A, B, power), values), x**y)
    assert np.allclose(compute(Map(A, B, power.derivative(1)), values), x**y * np.log(x))
    u = sp.Symbol("u")
    mine = Function("swish", (), (1,), sp.Lambda(u, u / (1 + sp.exp(-u))))
    sig = 1 / (1 + np.exp(-b))
    assert np.allclose(compute(Map(B, mine)), sig + b * sig * (1 - sig))
    kinked = Function("mine", (), (1,), sp.Lambda(u, sp.Abs(u) + sp.Max(u, 0)))
    assert np.allclose(compute(Map(B, kinked)), np.sign(b) + (b > 0))
    free = Function("phi", (), (0,), sp.core.symbol.Str("free"))
    moved = compute(Map(A, free), {**VALUES, "A": a + 1e-30j}).imag / 1e-30
    assert np.allclose(moved, compute(Map(A, free.derivative())), rtol=1e-14)


def test_many_digits() -> None:
    with mpmath.workdps(50):
        exact = np.frompyfunc(lambda x: mpmath.mpf(float(x)), 1, 1)(a)
        got = compute(LogSumExp(Map(A, Function("gelu")), 0), {**VALUES, "A": exact})
        rough = compute(LogSumExp(Map(A, Function("gelu")), 0))
        assert np.allclose(got.astype(float), rough, rtol=1e-15)
        assert abs(got[0, 0] - mpmath.mpf(float(rough[0, 0]))) > mpmath.mpf(10) ** -40


# ---------------------------------------------------------------------------------------------------------
# Loops, families, messages

h, m, T_ = size("h"), size("m"), size("T")
t = index("t")


def recurrent(down: bool = False) -> Program:
    H = Var("H", h, m, (t,), kind="value")
    W = Var("W", h, h, kind="param")
    X = Var("X", h, m, (t,), kind="input", boxes=())
    body = (
        Equation(H(0), Ones(h, m)),
        Loop(t, sp.Integer(1), T_, (Equation(H(t), Add(MatMul(W(), H(t - 1)), X(t))),), down=down),
    )
    out = Var("loss", sp.S.One, sp.S.One)
    body += (Equation(out(), MatMul(Ones(1, h), SumOver(H(t), t, sp.Integer(0), T_), Ones(m, 1))),)
    return Program({v.name: v for v in (W, X, H, out)}, body)


def loop_values() -> tuple[dict, dict]:
    rng = np.random.default_rng(3)
    values = {"W": rng.normal(size=(2, 2)), "X": {k: rng.normal(size=(2, 3)) for k in range(1, 5)}}
    return values, {"h": 2, "m": 3, "T": 4}


def test_a_loop_and_a_sum_over_its_members() -> None:
    values, sizes = loop_values()
    state, total = np.ones((2, 3)), 6.0
    for step in range(1, 5):
        state = values["W"] @ state + values["X"][step]
        total += state.sum()
    assert np.isclose(ev.value_of(ev.evaluate(recurrent(), values, sizes), "loss"), total)


def test_a_read_of_what_is_not_there_is_an_error_but_a_message_is_zero() -> None:
    values, sizes = loop_values()
    with pytest.raises(ev.UndefinedRead, match=r"H\[3\]"):
        ev.evaluate(recurrent(down=True), values, sizes)
    program = recurrent(down=True)
    lenient = Var("H", h, m, (t,), zero_outside=True)
    found = ev.evaluate(program.with_variables(lenient), values, sizes)
    assert np.array_equal(found["H"][(4,)], values["X"][4])


def test_errors_have_names() -> None:
    class Mystery(Node):
        @classmethod
        def _infer(cls, *args: object) -> object:
            return args[0].shape  # type: ignore[attr-defined]

    with pytest.raises(ev.UnknownOperation, match="Mystery"):
        compute(Mystery(A))
    with pytest.raises(ev.UnknownOperation, match="zeta"):
        compute(Map(A, Function("zeta")))
    with pytest.raises(ev.ShapeMismatch, match="A has shape"):
        compute(A, {**VALUES, "A": a.T})
    with pytest.raises(ev.EvaluationError, match="size r"):
        compute(A, VALUES, {"c": 4})
    with pytest.raises(ev.UndefinedRead, match="B"):
        compute(A, {n: x for n, x in VALUES.items() if n != "B"})


def test_values_go_when_nobody_has_them_any_more() -> None:
    """An evaluation leaves no cycles behind: many of a large network need the memory of one."""
    program = read_text("X: input[n, m]\nZ = tanh(X) * X\nloss = sum(Z)\n")
    gc.collect()
    gc.disable()
    try:
        array = ev.evaluate(program, {"X": np.ones((5, 7))}, {"n": 5, "m": 7})["Z"]
        left = weakref.ref(array)
        del array
        assert left() is None
    finally:
        gc.enable()
