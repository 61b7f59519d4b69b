"""Witness 5: true identities are proved for all sizes, false ones never are, adjoints follow from their definition."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from importlib.resources import files

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from symbp.calculus import derive
from symbp.expr import (
    Add, AddAt, ArgmaxMask, Compare, Contraction, Diag, DiagOf, Einsum, Embed, Eye, Function, Gather, Hadamard,
    Kron, LogSumExp, Map, Mask, MatMul, MaxAxis, Node, Ones, Ref, Reshape, SMul, Scale, Scatter, ShapeError,
    SizeMember, Slice, Softmax, SumOver, T, Take, Where, Zero, apply, index, kron_blocks, plus, power,
    scaled, shift, size, static_map, sum_axis, total, transform, walk, where,
)
from symbp.language import read
from symbp.program import Equation, Program, map_equations
from symbp.verify.evaluate import Evaluator
from symbp.verify.normal_form import Budget, Proof, prove, prove_adjoint, prove_statement
from symbp.verify.normal_form.algebra import Algebra
from symbp.verify.normal_form.indices import of
from symbp.verify.normal_form.terms import Poly, Product

m, n, k, q = size("m"), size("n"), size("k"), size("q")
T_ = size("T")
t, s = index("t"), index("s")
ONE = sp.S.One
HALF = sp.Rational(1, 2)

A, B, C = Ref("A", m, n), Ref("B", n, k), Ref("C", m, n)
W, V = Ref("W", n, n), Ref("V", n, n)
u, w = Ref("u", m, 1), Ref("w", 1, n)
a = Ref("a", 1, 1)
ids, N = Ref("ids", 1, q), Ref("N", m, q)
P = Softmax(A, 0)


def H(i: sp.Expr | int) -> Ref:
    return Ref("H", n, k, i)


def Z(i: sp.Expr | int) -> Ref:
    return Ref("Z", m, k, i)


def f(name: str, *args: Node, order: int = 0, parameters: tuple[object, ...] = ()) -> Node:
    orders = (order,) + (0,) * (len(args) - 1)
    return apply(Function(name, parameters, orders), *args)


def free(x: Node, order: int = 0) -> Node:
    return Map(x, Function("g", (), (order,), sp.core.symbol.Str("free")))


def one_hot(name: str = "Y") -> dict[str, frozenset[str]]:
    return {name: frozenset({"one_hot_columns"})}


Y = Ref("Y", m, n)
X1 = Ref("X1", n, q)
SIGMOID, TANH, RELU = f("sigmoid", A), f("tanh", A), f("relu", A)
LSE = Ones(m, 1) @ LogSumExp(A, 0)

TRUE: dict[str, tuple[Node, Node] | tuple[Node, Node, dict[str, frozenset[str]]]] = {
    "transpose of a product": ((A @ B).T, B.T @ A.T),
    "distribution": ((A + C) @ B, A @ B + C @ B),
    "order of a sum": (A + C - A, C),
    "order of a Hadamard product": (Hadamard(A, C, A), Hadamard(C, power(A, 2))),
    "trace is cyclic": (total(DiagOf(W @ V @ V)), total(DiagOf(V @ V @ W))),
    "trace of a transpose": (total(DiagOf(W @ V)), total(DiagOf(V.T @ W.T))),
    "inner product": (total(Hadamard(A, C)), total(DiagOf(A.T @ C))),
    "sum of ones": (Ones(1, m) @ Ones(m, n), scaled(m, Ones(1, n))),
    "identity": (Eye(m) @ A @ Eye(n), A),
    "rows scaled": (Diag(u) @ A, Hadamard(u @ Ones(1, n), A)),
    "columns scaled": (A @ Diag(w.T), Hadamard(A, Ones(m, 1) @ w)),
    "diagonal of a product": (DiagOf(A @ C.T), sum_axis(Hadamard(A, C), 1)),
    "scalar factor": (SMul(a, A) @ B, A @ SMul(a, B)),
    "blocks of a product": (
        Slice(A, 0, m, 0, 1) @ Slice(B, 0, 1, 0, k) + Slice(A, 0, m, 1, n) @ Slice(B, 1, n, 0, k), A @ B,
    ),
    "rows put together": (
        Embed(Slice(A, 0, 1, 0, n), 0, 0, m, n) + Embed(Slice(A, 1, m, 0, n), 1, 0, m, n), A,
    ),
    "triangles": (Mask("tril", n, n) + Mask("strict_triu", n, n), Ones(n, n)),
    "half diagonal": (Mask("half_lower", n, n) + Mask("half_lower", n, n).T, Ones(n, n)),
    "transposed triangle": (Hadamard(Mask("tril", n, n), W).T, Hadamard(Mask("triu", n, n), W.T)),
    "vec of a product": (
        Reshape(A @ X1 @ Ref("D", q, k), m * k, 1, "F"),
        Kron(Ref("D", q, k).T, A) @ Reshape(X1, n * q, 1, "F"),
    ),
    "product of Kronecker products": (Kron(A, X1) @ Kron(B, Ref("D", q, k)), Kron(A @ B, X1 @ Ref("D", q, k))),
    "Kronecker product by letters": (
        Einsum(A, X1, Contraction("a|b,c|d->ac|bd", m, n, n, q)), Kron(A, X1),
    ),
    "product by letters": (Einsum(A, X1, Contraction("a|b,b|c->a|c", m, n, q)), A @ X1),
    "trace of a product by letters": (
        Einsum(A, C, Contraction("a|b,a|b->|", m, n)), total(DiagOf(A @ C.T)),
    ),
    "batched products joined": (
        Einsum(
            Einsum(Ref("G5", m * k, n), Ref("G6", m, n * q), Contraction("bi|j,b|jl->bi|l", m, k, n, q)),
            Ref("G7", m, q), Contraction("bi|l,b|l->b|i", m, k, q),
        ),
        Einsum(
            Ref("G5", m * k, n), Ref("G6", m, n * q), Ref("G7", m, q), Contraction("bi|j,b|jl,b|l->b|i", m, k, n, q),
        ),
    ),
    "letters regrouped and back": (
        Einsum(
            Einsum(Ref("G5", m * k, n), Contraction("bi|j->i|bj", m, k, n)), Contraction("i|bj->bi|j", k, m, n),
        ),
        Ref("G5", m * k, n),
    ),
    "reshape and back": (Reshape(Reshape(A, m * n, 1, "F"), m, n, "F"), A),
    "permuted blocks and back": (
        Gather(Scatter(Ref("G4", m * n, k * q), kron_blocks(m, n, k, q)), kron_blocks(m, n, k, q)),
        Ref("G4", m * n, k * q),
    ),
    "shifted sum": (SumOver(Z(t) @ H(t - 1).T, t, 1, T_), SumOver(Z(t + 1) @ H(t).T, t, 0, T_ - 1)),
    "sum read backwards": (SumOver(Z(t) @ H(t - 1).T, t, 1, T_), SumOver(Z(T_ - t) @ H(T_ - t - 1).T, t, 0, T_ - 1)),
    "first term taken out": (SumOver(Z(t), t, 0, T_), Z(0) + SumOver(Z(t), t, 1, T_)),
    "last term taken out": (SumOver(Z(t), t, 1, T_), SumOver(Z(s), s, 1, T_ - 1) + Z(T_)),
    "sums exchanged": (
        SumOver(SumOver(Z(s) @ H(t).T, s, 1, T_), t, 1, T_), SumOver(Z(t), t, 1, T_) @ SumOver(H(s).T, s, 1, T_),
    ),
    "constant summed": (SumOver(A, t, 1, T_), scaled(T_, A)),
    "exponential of a sum": (f("exp", A + C), Hadamard(f("exp", A), f("exp", C))),
    "logarithm of an exponential": (f("log", f("exp", A)), A),
    "tanh by sigmoid": (TANH, 2 * f("sigmoid", 2 * A) - 1),
    "tanh is odd": (f("tanh", -A), -TANH),
    "sigmoid of the negative": (f("sigmoid", -A), 1 - SIGMOID),
    "log of sigmoid": (f("log", SIGMOID), -f("softplus", -A)),
    "log of 1 - sigmoid": (f("log", 1 - SIGMOID), -f("softplus", A)),
    "softplus difference": (f("softplus", A) - f("softplus", -A), A),
    "slope of tanh": (f("tanh", A, order=1), 1 - TANH**2),
    "second slope of sigmoid": (
        f("sigmoid", A, order=2), Hadamard(SIGMOID, 1 - SIGMOID, 1 - 2 * SIGMOID),
    ),
    "slope of relu through its value": (f("relu", A, order=1), f("step", RELU)),
    "slope of softsign through its value": (f("softsign", A, order=1), (1 - f("abs", f("softsign", A))) ** 2),
    "slope of a free function": (free(A + C, 1), free(C + A, 1)),
    "sin and cos": (f("sin", A) ** 2 + f("cos", A) ** 2, Ones(m, n)),
    "absolute value": (f("sqrt", A**2), f("abs", A)),
    "value times sign": (Hadamard(A, f("sign", A)), f("abs", A)),
    "relu by absolute value": (RELU, scaled(HALF, A + f("abs", A))),
    "maximum is symmetric": (where(A >= C, A, C), where(C >= A, C, A)),
    "maximum and minimum": (where(A >= C, A, C) + where(A <= C, A, C), A + C),
    "log of softmax": (f("log", P), A - LSE),
    "softmax by its definition": (P, f("exp", A - LSE)),
    "softmax does not see a shift": (Softmax(A + Ones(m, 1) @ w, 0), P),
    "softmax sums to one": (Ones(1, m) @ P, Ones(1, n)),
    "softmax of rows": (Softmax(A.T, 1).T, P),
    "compact softmax adjoint": (
        Hadamard(P, C) - Hadamard(P, Ones(m, m) @ Hadamard(P, C)), Hadamard(P, C - Ones(m, m) @ Hadamard(C, P)),
    ),
    "maximum picked by its mask": (MaxAxis(A, 0), Ones(1, m) @ Hadamard(ArgmaxMask(A, 0), A)),
    "columns sum to one": (Ones(1, m) @ Y, Ones(1, n), {"Y": frozenset({"columns_sum_to_one"})}),
    "taken columns": (Take(A @ W, ids, 1), A @ Take(W, ids, 1)),
    "taken rows": (T(Take(A, ids, 1)), Take(A.T, ids.T, 0)),
    "taken by one-hot columns": (Take(A, ids, 1), A @ Take(Eye(n), ids, 1)),
    "columns added up": (AddAt(N, ids, n, 1), N @ Take(Eye(n), ids, 1).T),
    "one-hot by number": (Ones(1, n) @ Take(Eye(n), ids, 1), Ones(1, q)),
    "one-hot by number is idempotent": (Hadamard(Take(Eye(n), ids, 1), Take(Eye(n), ids, 1)), Take(Eye(n), ids, 1)),
    "pair": (total(Hadamard(N, Take(A, ids, 1))), total(Hadamard(AddAt(N, ids, n, 1), A))),
    "counts": (AddAt(Ones(1, q), ids, n, 1) @ Ones(n, 1), scaled(q, Ones(1, 1))),
    "one-hot sums": (Ones(m, m) @ Y, Ones(m, n), one_hot()),
    "one-hot is idempotent": (Hadamard(Y, Y), Y, one_hot()),
    "one-hot columns exclude": (Diag((Ones(1, m) @ Y).T), DiagOf(Y.T @ Y) @ Ones(1, n) * Eye(n), one_hot()),
    "signs squared": (Hadamard(Y, Y), Ones(m, n), {"Y": frozenset({"signs"})}),
    "mask squared": (Hadamard(Y, Y, A), Hadamard(A, Y), {"Y": frozenset({"mask"})}),
    "symmetric": (total(DiagOf(W @ V)), total(DiagOf(W @ V.T)), {"W": frozenset({"symmetric"})}),
    "root of a positive square": (f("sqrt", A**2), A, {"A": frozenset({"positive"})}),
    "P - Y": (Hadamard(P, Ones(m, m) @ Y) - Y, P - Y, one_hot()),
}

P_BAR = SumOver(Z(t) @ H(t - 1).T, t, 1, T_)
FALSE: dict[str, tuple[Node, Node] | tuple[Node, Node, dict[str, frozenset[str]]]] = {
    "root of a square": (f("sqrt", A**2), A),
    "shifted range": (P_BAR, SumOver(Z(t + 1) @ H(t).T, t, 0, T_)),
    "range shifted the wrong way": (P_BAR, SumOver(Z(t) @ H(t - 1).T, t, 2, T_ + 1)),
    "missing boundary": (SumOver(Z(t), t, 0, T_), SumOver(Z(t), t, 1, T_)),
    "wrong boundary": (SumOver(Z(t), t, 0, T_), Z(1) + SumOver(Z(t), t, 1, T_)),
    "sum over an empty range": (SumOver(A, t, 3, T_), scaled(T_ - 2, A)),
    "order of a product": (W @ V, V @ W),
    "lost transpose on a square": (W.T @ V, W @ V),
    "transposed weight": (total(DiagOf(W @ W)), total(DiagOf(W @ W.T))),
    "lost factor": (scaled(1 / m, A @ B), A @ B),
    "factor of the wrong axis": (Ones(1, m) @ Ones(m, n), scaled(n, Ones(1, n))),
    "Hadamard for a product": (W @ V, Hadamard(W, V)),
    "triple product regrouped": (W @ W @ V, W @ V @ W),
    "diagonal on the wrong side": (Diag(DiagOf(W)) @ V, V @ Diag(DiagOf(W))),
    "power inside the sum": (power(total(A), 2), total(power(A, 2))),
    "tanh not squared": (f("tanh", A, order=1), 1 - TANH),
    "sigmoid slope at the wrong place": (f("sigmoid", A, order=1), Hadamard(SIGMOID, 1 + SIGMOID)),
    "exponential of a product": (f("exp", Hadamard(A, C)), Hadamard(f("exp", A), f("exp", C))),
    "logarithm of a sum": (f("log", f("exp", A) + f("exp", C)), A + C),
    "guarded reciprocal": (Hadamard(A, f("recip0", A)), Ones(m, n)),
    "sign squared": (f("sign", A) ** 2, Ones(m, n)),
    "step of the negative": (f("step", -A), 1 - f("step", A)),
    "strict and weak": (A >= C, A > C),
    "maximum for minimum": (where(A >= C, A, C), where(A <= C, A, C)),
    "softmax along the other axis": (P, Softmax(A, 1)),
    "softmax shifted along its axis": (Softmax(A + u @ Ones(1, n), 0), P),
    "softmax rows do not sum to one": (P @ Ones(n, 1), Ones(m, 1)),
    "argmax of the negative": (ArgmaxMask(-A, 0), ArgmaxMask(A, 0)),
    "P - Y without the fact": (Hadamard(P, Ones(m, m) @ Y) - Y, P - Y),
    "P - Y with the fact on the other axis": (
        Hadamard(P, Ones(m, m) @ Y) - Y, P - Y, {"Y": frozenset({"rows_sum_to_one"})},
    ),
    "taken and added again": (AddAt(Take(A, ids, 1), ids, n, 1), A),
    "taken by other numbers": (Take(A, ids, 1), Take(A, Ref("jds", 1, q), 1)),
    "taken by another member": (Take(A, Ref("K", 1, q, 1), 1), Take(A, Ref("K", 1, q, 2), 1)),
    "rows of one-hot by number": (Take(Eye(n), ids, 1) @ Ones(q, 1), Ones(n, 1)),
    "rows of one-hot columns": (Y @ Ones(n, 1), Ones(m, 1), one_hot()),
    "sum of a part of a column": (Ones(1, m - 1) @ Slice(Y, 1, m, 0, n), Ones(1, n), one_hot()),
    "sum of the first rows of a column": (Ones(1, m - 1) @ Slice(Y, 0, m - 1, 0, n), Ones(1, n), one_hot()),
    "sum of a range that may be shorter": (Ones(1, m) @ Mask("diagonal", m, n) @ B, Ones(1, n) @ B),
    "scaled sum of a range that may be shorter": (
        Ones(1, m) @ scaled(2, Mask("diagonal", m, n) @ B), scaled(2, Ones(1, n) @ B),
    ),
    "weighted sum of a column": (Ones(1, m) @ Hadamard(Y, A), Ones(1, n), one_hot()),
    "sum of one is not idempotent": (Hadamard(Y, Y), Y, {"Y": frozenset({"columns_sum_to_one"})}),
    "binary is no sign": (Hadamard(Y, Y), Ones(m, n), {"Y": frozenset({"binary"})}),
    "symmetric does not commute": (W @ V, V @ W, {"W": frozenset({"symmetric"}), "V": frozenset({"symmetric"})}),
    "triangle and its transpose": (Mask("tril", n, n), Mask("triu", n, n)),
    "both triangles": (Mask("tril", n, n) + Mask("triu", n, n), Ones(n, n)),
    "reshape in the other order": (Reshape(A, m * n, 1, "C"), Reshape(A, m * n, 1, "F")),
    "letters of a Kronecker product exchanged": (
        Einsum(W, V, Contraction("a|b,c|d->ca|bd", n, n, n, n)), Kron(W, V),
    ),
    "letters regrouped without moving": (Einsum(W, Contraction("a|b->b|a", n, n)), W),
    "another letter summed": (
        Einsum(W, V, Contraction("a|b,b|c->a|c", n, n, n)), Einsum(W, V, Contraction("a|b,c|b->a|c", n, n, n)),
    ),
    "Kronecker factors exchanged": (Kron(W, V), Kron(V, W)),
    "vec with the factors exchanged": (
        Reshape(W @ V @ W.T, n * n, 1, "F"), Kron(W, W.T) @ Reshape(V, n * n, 1, "F"),
    ),
    "block in the wrong place": (Embed(Slice(A, 1, m, 0, n), 0, 0, m, n), Embed(Slice(A, 1, m, 0, n), 1, 0, m, n)),
}


def proof_of(case: tuple[object, ...]) -> Proof:
    before, after, *facts = case
    return prove(before, after, facts=facts[0] if facts else {})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TRUE)
def test_true_identities_are_proved(name: str) -> None:
    proof = proof_of(TRUE[name])
    assert proof.status == "proved", proof.residual
    assert proof.residual == "" and proof.seconds > 0


@pytest.mark.parametrize("name", FALSE)
def test_false_identities_stay_unproved(name: str) -> None:
    proof = proof_of(FALSE[name])
    assert proof.status == "unproved" and proof.residual
    assert not proof


def test_there_are_enough_identities() -> None:
    assert len(TRUE) >= 30 and len(FALSE) >= 20


# ---------------------------------------------------------------------------------------------------------
# Numbers: the identities above, and random ones

SHAPES = {
    "A": (m, n), "C": (m, n), "Y": (m, n), "B": (n, k), "W": (n, n), "V": (n, n), "u": (m, ONE), "w": (ONE, n),
    "a": (ONE, ONE), "X1": (n, q), "D": (q, k), "G4": (m * n, k * q),
    "G5": (m * k, n), "G6": (m, n * q), "G7": (m, q),
}
SIZES = (
    {"m": 3, "n": 2, "k": 2, "q": 2, "T": 3}, {"m": 4, "n": 4, "k": 1, "q": 3, "T": 5},
    {"m": 2, "n": 3, "k": 3, "q": 1, "T": 1},
)


def drawn(
    seed: int, sizes: dict[str, int], facts: dict[str, frozenset[str]], small_integers: bool
) -> dict[str, object]:
    """Return values that obey the facts; small integers meet every kink and every tie."""
    rng = np.random.default_rng(seed)

    def block(r: int, c: int) -> np.ndarray:
        return rng.integers(-2, 3, (r, c)).astype(float) if small_integers else rng.normal(size=(r, c))

    values: dict[str, object] = {}
    for name, shape in SHAPES.items():
        r, c = (int(x.subs({size(z): v for z, v in sizes.items()})) for x in shape)
        x = block(r, c)
        declared = facts.get(name, frozenset())
        if "one_hot_columns" in declared:
            x = np.eye(r)[:, rng.integers(0, r, c)]
        if declared & {"binary", "mask"}:
            x = (x > 0).astype(float)
        if "signs" in declared:
            x = np.where(x > 0, 1.0, -1.0)
        if "symmetric" in declared:
            x = x + x.T
        if "positive" in declared:
            x = np.abs(x) + 0.5
        if declared & {"columns_sum_to_one", "rows_sum_to_one"}:
            # Multiples of 1/4, so that the sums are exactly one and ties are ties.
            x = np.round(4 * x) / 4
            if "columns_sum_to_one" in declared:
                x[0] += 1 - x.sum(0)
            else:
                x[:, 0] += 1 - x.sum(1)
        values[name] = x
    for name, shape in (("Z", (m, k)), ("H", (n, k)), ("F", (m, n)), ("G", (m, n))):
        r, c = sizes[str(shape[0])], sizes[str(shape[1])]
        values[name] = {(i,): block(r, c) for i in range(-8, 16)}
    values["N"] = block(sizes["m"], sizes["q"])
    values["ids"], values["jds"], *members = (rng.integers(0, sizes["n"], (1, sizes["q"])) * 1.0 for _ in range(4))
    values["K"] = {(i,): member for i, member in enumerate(members, 1)}
    return values


class Undefined(ArithmeticError):
    """Something below is not a number: the point lies outside the domain."""


class Careful(Evaluator):
    """The reference evaluator, refusing points at which any part of an expression is undefined."""

    def on_Map(self, node, args, at):  # type: ignore[no-untyped-def]
        return finite(super().on_Map(node, args, at))

    def on_MatMul(self, node, args, at):  # type: ignore[no-untyped-def]
        return finite(super().on_MatMul(node, args, at))


def finite(array: np.ndarray) -> np.ndarray:
    if not np.all(np.isfinite(array)) or np.max(np.abs(array), initial=0) > 1e6:
        raise Undefined
    return array


def evaluated(node: Node, values: dict[str, object], sizes: dict[str, int]) -> np.ndarray:
    runner = Careful(Program({}, ()), {}, sizes)
    runner.results = values
    with np.errstate(all="ignore"):
        return finite(np.asarray(runner.expression(node, {}), dtype=float))


def differ(
    before: Node, after: Node, facts: dict[str, frozenset[str]], seed: int = 0, kinks: bool = True
) -> bool | None:
    """Tell whether two expressions differ at some drawn point; None if they are defined at none."""
    seen = None
    for sizes in SIZES:
        for small_integers in (False, True) if kinks else (False,):
            values = drawn(seed, sizes, facts, small_integers)
            try:
                x, y = evaluated(before, values, sizes), evaluated(after, values, sizes)
            except Undefined:
                continue
            seen = False
            if np.max(np.abs(x - y) / (1 + np.abs(x))) > 1e-6:
                return True
    return seen


@pytest.mark.parametrize("name", TRUE)
def test_true_identities_are_numerically_true(name: str) -> None:
    before, after, *facts = TRUE[name]
    assert differ(before, after, facts[0] if facts else {}) is False


@pytest.mark.parametrize("name", FALSE)
def test_false_identities_are_numerically_false(name: str) -> None:
    before, after, *facts = FALSE[name]
    assert differ(before, after, facts[0] if facts else {}) is True


FACTS = {
    "Y": frozenset({"one_hot_columns"}), "V": frozenset({"symmetric"}), "C": frozenset({"columns_sum_to_one"}),
}
FUNCTIONS = (
    "recip", "recip0", "exp", "log", "sqrt", "tanh", "sigmoid", "softplus", "sin", "cos", "abs", "sign", "step", "relu",
    "silu", "softsign", "arctan", "erf",
)
RELATIONS = (">", ">=", "<", "<=", "==", "!=")


class Random:
    """Random expressions and random rewritings, most of which are true."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def leaf(self, shape: tuple[sp.Expr, sp.Expr], loops: tuple[sp.Symbol, ...]) -> Node:
        r = self.random
        found: list[Node] = [Ref(x, *d) for x, d in SHAPES.items() if d == shape]
        found += [Ref(x, *d).T for x, d in SHAPES.items() if d == shape[::-1] and d != shape]
        if shape[0] == shape[1]:
            found.append(Eye(shape[0]))
        if shape == (m, n) and loops:
            at = r.choice([loop + r.randint(-1, 1) for loop in loops] + [T_ - loops[-1]])
            found = [Ref(r.choice("FG"), m, n, at)] * 3 + found[:3]
        return r.choice([*found, Ones(*shape)])

    def expression(self, shape: tuple[sp.Expr, sp.Expr], depth: int, loops: tuple[sp.Symbol, ...] = ()) -> Node:
        r = self.random
        if depth <= 0 or r.random() < 0.12:
            return self.leaf(shape, loops)

        def part(other: tuple[sp.Expr, sp.Expr] = shape) -> Node:
            return self.expression(other, depth - 1, loops)

        def product() -> Node:
            inner = r.choice([m, n, ONE])
            return MatMul(part((shape[0], inner)), part((inner, shape[1])))

        def summed() -> Node:
            loop = s if loops else t
            lo, hi = r.choice([(0, T_), (1, T_), (1, T_ - 1), (2, T_), (2, T_ + 1), (3, T_)])
            return SumOver(self.expression(shape, depth - 1, (*loops, loop)), loop, sp.sympify(lo), hi)

        def reduced() -> Node:
            operation = r.choice([LogSumExp, MaxAxis])
            if r.random() < 0.5:
                return Ones(shape[0], 1) @ operation(part(), 0)
            return operation(part(), 1) @ Ones(1, shape[1])

        choices: list[tuple[int, Callable[[], Node]]] = [
            (8, lambda: Add(part(), part())), (8, lambda: Add(part(), -part())), (12, lambda: Hadamard(part(), part())),
            (14, product), (5, lambda: scaled(r.choice([2, -1, HALF, m, 1 / m, 1 / n]), part())),
            (5, lambda: T(part(shape[::-1]))), (10, lambda: Map(part(), Function(r.choice(FUNCTIONS)))),
            (3, lambda: Map(part(), Function(r.choice(("tanh", "sigmoid", "relu", "abs", "log")), (), (1,)))),
            (3, lambda: power(part(), r.choice([2, 3, -1, -2, HALF, -HALF]))),
            (3, lambda: Compare(part(), part(), r.choice(RELATIONS))),
            (3, lambda: Where(Compare(part(), part(), r.choice(RELATIONS)), part(), part())),
            (3, lambda: r.choice([Softmax, ArgmaxMask])(part(), r.randint(0, 1))), (2, reduced),
            (2, lambda: SMul(part((ONE, ONE)), part())),
            (2, lambda: Mask(r.choice(("tril", "strict_triu", "diagonal", "off_diagonal")), *shape)),
            (2, lambda: Embed(Slice(part(), 1, shape[0], 0, shape[1]), r.choice([0, 1]), 0, *shape)
             if shape[0] != 1 else part()),
            (2, lambda: Reshape(T(Reshape(part(), shape[0] * shape[1], 1, r.choice("CF"))), *shape, r.choice("CF"))),
            (2, lambda: Diag(part((n, ONE))) if shape == (n, n) else part()),
            (4, summed if len(loops) < 2 else part),
        ]
        return r.choices([c for _, c in choices], [weight for weight, _ in choices])[0]()

    def rewritten(self, node: Node) -> Node:
        """Change one place: distribute, transpose, reorder, use an identity; sometimes lose or shift something."""
        r = self.random
        if node.operands and r.random() > 0.3 and not isinstance(node, SumOver):
            operands = list(node.operands)
            place = r.randrange(len(operands))
            operands[place] = self.rewritten(operands[place])
            try:
                return node.rebuild(*operands)
            except ShapeError:
                return node
        return r.choice(list(self.moves(node)))

    def moves(self, node: Node) -> Iterator[Node]:
        r = self.random
        yield Add(scaled(2, node), -node)
        yield Hadamard(node, Ones(*node.shape))
        yield MatMul(node, Eye(node.cols))
        if node.rows == node.cols and not isinstance(node, SumOver):
            yield T(node)
        if isinstance(node, Ref) and not node.indices and r.random() < 0.3:
            yield self.leaf(node.shape, ())
        if isinstance(node, Add | Hadamard):
            yield type(node)(*r.sample(node.operands, len(node.operands)))
            if len(node.operands) > 2 and r.random() < 0.3:
                yield type(node)(*node.operands[:-1])
        if isinstance(node, Hadamard) and isinstance(node.operands[-1], Add):
            yield Add(*(Hadamard(*node.operands[:-1], x) for x in node.operands[-1].operands))
        if isinstance(node, MatMul):
            yield T(MatMul(*(T(x) for x in reversed(node.operands))))
            if isinstance(node.operands[0], Add):
                yield Add(*(MatMul(x, *node.operands[1:]) for x in node.operands[0].operands))
        if isinstance(node, Map) and node.function.orders == (0,):
            x = node.operands[0]
            if node.function.name in ("tanh", "sin", "erf", "arctan"):
                yield -Map(-x, node.function)
            if node.function.name == "relu":
                yield Hadamard(x, f("step", x))
            if node.function.name == "sigmoid":
                yield 1 - f("sigmoid", -x)
            if node.function.name == "abs":
                yield f("sqrt", x**2)
        if isinstance(node, SumOver):
            body, loop, lo, hi = node.args
            by = r.choice([-1, 1])
            yield SumOver(shift(body, {loop: loop - by}), loop, lo + by, hi + by)
            yield SumOver(shift(body, {loop: lo + hi - loop}), loop, lo, hi)
            yield SumOver(body, loop, lo, hi + by)
            yield SumOver(shift(body, {loop: loop - by}), loop, lo, hi)


def compare_with_numbers(seed: int) -> str:
    """Prove a random pair; fail when it is proved and false; return what happened."""
    source = Random(seed)
    shape = source.random.choice([(m, n), (n, n), (m, ONE), (ONE, ONE), (m, m)])
    before = source.expression(shape, source.random.randint(1, 3))
    if source.random.random() < 0.2:
        after = source.expression(shape, source.random.randint(0, 2))
    else:
        after = before
        for _ in range(source.random.randint(1, 4)):
            after = source.rewritten(after)
    proof = prove(before, after, facts=FACTS, budget=Budget(seconds=1))
    # A condition may exclude the special points at which small integers put the variables.
    different = differ(before, after, FACTS, seed, kinks=not proof.conditions)
    assert not (proof and different), f"{before} is not {after}"
    return "proved" if proof else "different" if different else "unproved"


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**9))
def test_what_is_proved_is_numerically_true(seed: int) -> None:
    compare_with_numbers(seed)


def test_most_true_rewritings_are_proved() -> None:
    outcomes = [compare_with_numbers(seed) for seed in range(150)]
    proved, unproved, different = (outcomes.count(x) for x in ("proved", "unproved", "different"))
    assert proved > 60 and different > 12
    assert unproved < 0.05 * proved


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1_000, 3_000, 500))
def test_what_is_proved_is_numerically_true_at_length(start: int) -> None:
    for seed in range(start, start + 500):
        compare_with_numbers(seed)


# ---------------------------------------------------------------------------------------------------------
# Conditions, budget, shapes


def test_a_cancellation_states_its_condition() -> None:
    proof = prove(Hadamard(A, f("recip", A)), Ones(m, n))
    assert proof and proof.conditions == ("A != 0",)
    assert prove(Hadamard(A, f("recip", A)), Ones(m, n), facts={"A": frozenset({"positive"})}).conditions == ()
    assert prove(power(f("sqrt", A), 2), A).conditions == ("A[k,l] >= 0",)
    assert prove(A @ B, A @ B + Zero(m, k)).conditions == ()


def test_a_guarded_denominator_is_not_cancelled_by_its_guard() -> None:
    facts = {"Y": frozenset({"mask"})}
    guarded = where(Y, f("recip", Y), 0)
    assert not prove(guarded, Ones(m, n), facts=facts)
    assert prove(guarded, Y, facts=facts)
    whole = where(Compare(A, -C, "!="), Hadamard(A + C, f("recip", A + C)), 0)
    assert not prove(whole, Ones(m, n))
    assert prove(whole, Compare(A, -C, "!="))
    # Where Y and C are both 0 the denominator is 0, but every fraction is guarded: 0 on the left, 1 on the right.
    below = Hadamard(Y, A) + C
    left = where(Y, Hadamard(A, f("recip", below)), 0) + where(Y, Hadamard(C, f("recip", below)), 0)
    right = 1 - where(Y, 0, where(Compare(C, Zero(m, n), "!="), Hadamard(C, f("recip", below)), 0))
    assert not prove(left, right, facts=facts)


def test_the_budget_ends_a_proof() -> None:
    proof = prove(power(A + C, 8) @ B, power(C + A, 8) @ B, budget=Budget(steps=200))
    assert proof.status == "unproved" and "steps" in proof.residual
    many = MatMul(*[W] * 12)
    assert prove(total(many), total(many.T), budget=Budget(seconds=0.0)).status == "unproved"


def test_interchangeable_indices_do_not_explode() -> None:
    column = Ones(1, m) @ A @ Ones(n, 1)
    assert prove(power(column, 6), Hadamard(*[column] * 6))
    assert prove(total(DiagOf(MatMul(*[W] * 6))), total(DiagOf(MatMul(*[W.T] * 6))))


def test_many_indices_are_told_apart_by_their_places() -> None:
    factors = [Ref(f"M{i}", n, n) for i in range(12)]
    assert prove(total(MatMul(*factors)), total(MatMul(*(x.T for x in reversed(factors)))))


PRISM = ((0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5))
BIPARTITE = tuple((x, y) for x in range(3) for y in range(3, 6))
TWISTED = ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 0), (0, 2), (1, 5), (3, 6), (4, 7))


def contracted(algebra: Algebra, edges: tuple[tuple[int, int], ...], order: list[int]) -> Poly:
    """Return the sum over one index per vertex of the product over edges of a symmetric matrix's entries."""
    last = ((("n",),), 1), ((), -1)
    symbols = [algebra.fresh(tuple(sorted(last, key=lambda item: item[0]))) for _ in order]
    factors = {}
    for x, y in edges:
        factors[algebra.atom("ref", "S", (of(symbols[order[x]]), of(symbols[order[y]])))] = 1
    bound = {symbol: algebra.ranges[symbol][1] for symbol in symbols}
    return algebra.close([Product(Fraction(1), bound, factors)])


@pytest.mark.parametrize("edges", [PRISM, BIPARTITE, TWISTED])
def test_interchangeable_indices_have_one_canonical_order(edges: tuple[tuple[int, int], ...]) -> None:
    algebra = Algebra({"S": frozenset({"symmetric"})}, Budget())
    vertices = list(range(1 + max(max(e) for e in edges)))
    first = contracted(algebra, edges, vertices)
    for seed in range(8):
        shuffled = random.Random(seed).sample(vertices, len(vertices))
        assert contracted(algebra, edges, shuffled) is first


def test_regular_patterns_that_differ_are_told_apart() -> None:
    algebra = Algebra({"S": frozenset({"symmetric"})}, Budget())
    assert contracted(algebra, PRISM, list(range(6))) is not contracted(algebra, BIPARTITE, list(range(6)))


def test_shapes_that_differ_are_said_so() -> None:
    assert prove(A, A.T).residual == "shapes differ: m x n and n x m"


def test_unknown_operations_stay_unproved() -> None:
    length = SizeMember("n", t)
    every_second = static_map("thin", "spread", {t: m}, {}, [(length, 2 * t)], [])
    strange = Gather(Ref("X", length, 1), every_second)
    proof = prove(strange, strange + Zero(m, 1))
    assert proof.status == "unproved" and "static map" in proof.residual


def test_the_residual_names_the_term() -> None:
    wrong = prove(scaled(1 / m, A @ B), scaled(2 / m, A @ B))
    assert wrong.residual == "-1/m * sum_k A[i,k] B[k,j]"
    missing = prove(SumOver(Z(t) @ H(t - 1).T, t, 1, T_), SumOver(Z(t) @ H(t - 1).T, t, 1, T_ - 1))
    assert missing.residual == "sum_k H[T-1,j,k] Z[T,i,k]"


# ---------------------------------------------------------------------------------------------------------
# Normalisation layers: the compact adjoint is the derived one


def normalised(axis: int) -> tuple[Node, Callable[[object], Node], dict[Ref, Node]]:
    """Return the adjoint of a normalisation by the chain rule, its compact form times a factor, the definitions.

    ``axis`` 0 is batch normalisation of samples in rows (F2), 1 is layer normalisation.
    """
    N, D = size("N"), size("D")
    X, Y_bar = Ref("X", N, D), Ref("Y_bar", N, D)
    row = (ONE, D) if axis == 0 else (N, ONE)
    count = N if axis == 0 else D

    def sums(x: Node) -> Node:
        return sum_axis(x, axis)

    def spread(x: Node) -> Node:
        return Ones(N, 1) @ x if axis == 0 else x @ Ones(1, D)

    gamma = Ref("gamma", ONE, D)
    mean, variance, r = Ref("mu", *row), Ref("v", *row), Ref("r", *row)
    centred, hat = Ref("Xc", N, D), Ref("Xhat", N, D)
    definitions: dict[Ref, Node] = {
        mean: scaled(1 / count, sums(X)), centred: X - spread(mean),
        variance: plus(scaled(1 / count, sums(Hadamard(centred, centred))), sp.Rational(1, 1000)),
        r: power(variance, -HALF), hat: Hadamard(centred, spread(r)),
    }
    hat_bar = Hadamard(Y_bar, Ones(N, 1) @ gamma)
    r_bar = sums(Hadamard(hat_bar, centred))
    v_bar = Hadamard(r_bar, scaled(-HALF, power(variance, sp.Rational(-3, 2))))
    c_bar = Hadamard(hat_bar, spread(r)) + scaled(2 / count, Hadamard(spread(v_bar), centred))
    derived = c_bar - scaled(1 / count, spread(sums(c_bar)))

    def compact(factor: object) -> Node:
        inside = scaled(count, hat_bar) - spread(sums(hat_bar))
        inside = inside - scaled(factor, Hadamard(hat, spread(sums(Hadamard(hat_bar, hat)))))
        return Hadamard(scaled(1 / count, inside), spread(r))

    return derived, compact, definitions


@pytest.mark.parametrize("axis", [0, 1])
def test_the_compact_adjoint_of_a_normalisation_is_proved_for_all_sizes(axis: int) -> None:
    derived, compact, definitions = normalised(axis)
    proof = prove(derived, compact(1), definitions=definitions)
    assert proof, proof.residual
    assert proof.seconds < 1


@pytest.mark.parametrize("axis", [0, 1])
def test_a_wrong_compact_adjoint_is_named(axis: int) -> None:
    derived, compact, definitions = normalised(axis)
    proof = prove(derived, compact(2), definitions=definitions)
    assert not proof
    sums = "sum_k v[0,j]^(-3/2) Xc[i,j] Xc[k,j] Y_bar[k,j] gamma[0,j]"
    if axis == 1:
        sums = "sum_k v[i,0]^(-3/2) Xc[i,j] Xc[i,k] Y_bar[i,k] gamma[0,k]"
    assert sums in proof.residual


def test_a_statement_of_a_program_is_proved_with_its_definitions() -> None:
    program = read("X: input[n, m]\nW: param[n, n]\nZ = W @ X\nA = tanh(Z)\nG = A * 2\nloss = sum(G)\n")
    z, value = Ref("Z", n, m), Ref("A", n, m)
    target = Ref("G", n, m)
    assert prove_statement(program, target, f("tanh", z, order=1), 1 - value**2)
    assert not prove_statement(program, target, f("tanh", z, order=1), 1 - value)


def test_a_definition_is_used_only_where_it_holds() -> None:
    program = read(network("rnn"))
    site = next(s for s in program.sites if s.target.name == "H")
    hidden, loop = site.target, site.loops[0].index
    assert prove_statement(program, Ref("other", *hidden.shape), hidden, hidden)
    before = shift(hidden, {loop: loop - 1})
    target = next(s.target for s in program.sites if s.loops and s.target.name != "H")
    # At the first step the member read is an input, which no equation defines.
    assert not prove_statement(program, target, before, shift(site.equation.value, {loop: loop - 1}))
    assert prove_statement(program, target, hidden, site.equation.value)


# ---------------------------------------------------------------------------------------------------------
# Adjoints from their definition

NETWORKS = (
    "mlp", "xor", "iris", "digits", "deep", "rnn", "delayed", "stacked", "bidirectional", "last_step", "lstm", "dag",
    "residual", "dropout", "nielsen", "regression", "logistic",
)
WRITTEN = {
    "softmax without a fact": """
X: input[n0, m]; Y: target[n2, m]
W: param[n2, n0]; b: param[n2, 1]
loss = softmax_cross_entropy(W @ X + b, Y)
""",
    "batch normalisation": """
X: input[n0, m]; Y: target[n1, m]
W: param[n1, n0]; g: param[n1, 1]; b: param[n1, 1]
Z = W @ X
Xc = Z - mean(Z, axis=1, keepdims=True)
v = mean(Xc**2, axis=1, keepdims=True)
loss = sum((Xc / sqrt(v + 1e-5) * g + b - Y)**2) / (2*m)
""",
    "attention": """
X: input[d, s]; Y: target[d, s]
WQ: param[d, d]; WK: param[d, d]; WV: param[d, d]
P = softmax((WK @ X).T @ (WQ @ X) / sqrt(d), axis=0)
loss = sum((WV @ X @ P - Y)**2) / 2
""",
    "gated unit with a free function": """
H[0]: input[h, m]
W: param[h, h]; V: param[h, h]; U: param[h, n]
f: elementwise
for t in range(1, T+1):
    X[t]: input[n, m]; Y[t]: target[h, m]
    Z[t] = sigmoid(W @ H[t-1] + U @ X[t])
    H[t] = (1 - Z[t])*H[t-1] + Z[t]*f(V @ (Z[t]*H[t-1]))
loss = sum(sum((H[t] - Y[t])**2) for t in range(1, T+1))
""",
    "kinks": """
X: input[n0, m]; Y: target[n1, m]
W: param[n1, n0]
Z = W @ X
loss = sum(abs(Z) + relu(Z)*elu(Z) + softsign(Z) + leaky_relu(Z) + maximum(Z, Y)) + sum(max(Z, axis=0, keepdims=True))
""",
    "blocks": """
X: input[n, m]; Y: target[n+k, m]
W: param[n, n]; U: param[k, n]
A = vstack([tanh(W @ X), U @ X])
loss = sum((A - Y)**2) + sum(A[0:n, :]*X) + sum(tril(W)) + trace(W @ W) + sum(kron(U, W)**2)
""",
    "symmetric parameter": """
Q: param[n, n] & symmetric
X: input[n, m]
loss = sum(X * (Q @ Q @ X)) / m + sum(tanh(Q))
""",
}


def network(name: str) -> str:
    return (files("symbp") / "networks" / f"{name}.net").read_text()


@pytest.mark.parametrize("name", [*NETWORKS, *WRITTEN])
def test_every_adjoint_equation_is_proved_for_all_sizes(name: str) -> None:
    derivation = derive(read(WRITTEN[name] if name in WRITTEN else network(name)))
    proofs = prove_adjoint(derivation.forward, derivation.program, derivation.output)
    unproved = {p.target.label: p.proof.residual for p in proofs if not p.proof}
    assert proofs and not unproved


def spoiled(node: Node) -> Iterator[Node]:
    """Yield wrong versions of the right side of an adjoint equation."""
    yield scaled(2, node)
    yield scaled(-1, node)
    for part in walk(node):
        wrong: list[Node] = []
        if isinstance(part, Add | Hadamard) and len(part.operands) > 1:
            wrong.append(part.operands[0])
        if isinstance(part, Scale):
            wrong.append(part.body)
        if isinstance(part, SumOver):
            body, loop, lo, hi = part.args
            wrong += [SumOver(body, loop, lo, hi - 1), SumOver(body, loop, lo + 1, hi)]
        if isinstance(part, Ref) and part.indices:
            wrong.append(shift(part, {i: i + 1 for i in part.indices[-1].free_symbols}))  # type: ignore[dict-item]
        if isinstance(part, Ref) and part.rows == part.cols and not part.is_scalar_shape:
            wrong.append(part.T)
        for other in wrong:
            if other is not part and other.shape == part.shape:
                changed = transform(node, lambda x, part=part, other=other: other if x is part else x)  # type: ignore[misc]
                if changed is not node:
                    yield changed


@pytest.mark.parametrize("name", ["mlp", "rnn", "stacked", "residual", "logistic"])
def test_spoiled_adjoint_equations_stay_unproved(name: str) -> None:
    derivation = derive(read(network(name)))
    adjoints = {v.name for v in derivation.program.variables.values() if v.kind == "adjoint"}
    count = 0
    for site in derivation.program.sites:
        if site.target.name not in adjoints:
            continue
        for wrong in spoiled(site.equation.value):
            def change(equation: Equation, mine: Equation = site.equation, wrong: Node = wrong) -> list[Equation]:
                return [replace(equation, value=wrong) if equation is mine else equation]

            program = derivation.program.replace(body=map_equations(derivation.program.body, change))
            proofs = prove_adjoint(derivation.forward, program, derivation.output, only=site.target.name)
            assert any(not p.proof for p in proofs), f"{site.target.label} = {wrong} was proved"
            count += 1
    assert count >= 5


def test_a_lost_message_is_found() -> None:
    derivation = derive(read(network("rnn")))
    messages = {v.name for v in derivation.program.variables.values() if v.kind == "message"}
    assert messages

    def drop(equation: Equation) -> list[Equation]:
        return [] if equation.target.name in messages else [equation]

    program = derivation.program.replace(body=map_equations(derivation.program.body, drop))
    assert any(not p.proof for p in prove_adjoint(derivation.forward, program, derivation.output))


def test_an_adjoint_that_lacks_a_member_is_found() -> None:
    derivation = derive(read(network("deep")))
    last = next(s for s in derivation.program.sites if s.target.name == "Z_bar" and not s.loops)
    body = map_equations(derivation.program.body, lambda e: [] if e is last.equation else [e])
    proofs = prove_adjoint(derivation.forward, derivation.program.replace(body=body), derivation.output)
    assert any(p.proof.residual.startswith("no equation for Z_bar[") for p in proofs)
