"""True and false identities of matrix expressions, and what they are in numbers."""

from __future__ import annotations

import numpy as np
import sympy as sp

from symbp.expr import (
    AddAt, ArgmaxMask, Compare, Contraction, Diag, DiagOf, Einsum, Embed, Eye, Function, Gather, Hadamard, Kron,
    LogSumExp, Map, Mask, MaxAxis, Node, Ones, Ref, Reshape, SMul, Scatter, Slice, Softmax, SumOver, T, Take, Zero,
    apply, index, kron_blocks, power, scaled, size, sum_axis, total, where,
)
from symbp.program import Program
from symbp.verify.evaluate import Evaluator

m, n, k, q = size("m"), size("n"), size("k"), size("q")
T_ = size("T")
t, s = index("t"), index("s")
ONE = sp.S.One
PLUS_ONE, MINUS_ONE = Ones(m, n), -Ones(m, n)
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
ARGMAX = ArgmaxMask(A, 0)

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
    "exponential of what vanishes on the diagonal": (DiagOf(f("exp", W - W.T)), Ones(n, 1)),
    "tanh of what vanishes on the diagonal": (Hadamard(Eye(n), f("tanh", W - W.T)), Zero(n, n)),
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
    "log-sum-exp of a shift": (LogSumExp(A + Ones(m, 1) @ w, 0), LogSumExp(A, 0) + w),
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
    "signs cubed": (Hadamard(Y, Y, Y), Y, {"Y": frozenset({"signs"})}),
    "powers of zero": (power(A - A, 3), Zero(m, n)),
    "root of zero": (f("sqrt", A - A), Zero(m, n)),
    "mask squared": (Hadamard(Y, Y, A), Hadamard(A, Y), {"Y": frozenset({"mask"})}),
    "a choice is zero where what is chosen is": (
        Compare(Hadamard(Y, A) + Hadamard(1 - Y, C), Zero(m, n), "=="),
        Hadamard(Y, Compare(A, Zero(m, n), "==")) + Hadamard(1 - Y, Compare(C, Zero(m, n), "==")),
        {"Y": frozenset({"mask"})},
    ),
    "symmetric": (total(DiagOf(W @ V)), total(DiagOf(W @ V.T)), {"W": frozenset({"symmetric"})}),
    "root of a positive square": (f("sqrt", A**2), A, {"A": frozenset({"positive"})}),
    "P - Y": (Hadamard(P, Ones(m, m) @ Y) - Y, P - Y, one_hot()),
    "sum of exponentials and its inverse": (
        Hadamard(f("recip", total(f("exp", A))), total(f("exp", A))), Ones(1, 1),
    ),
    "a sum over itself and another": (
        Hadamard(f("recip", total(f("exp", A)) + total(f("exp", C))), total(f("exp", A))),
        1 - Hadamard(f("recip", total(f("exp", A)) + total(f("exp", C))), total(f("exp", C))),
    ),
    "softmax by steps": (
        Hadamard(f("exp", A), Ones(m, 1) @ f("recip", Ones(1, m) @ f("exp", A))), P,
    ),
    "shares by steps": (
        Hadamard(
            f("exp", A), Ones(m, 1) @ f("recip", Ones(1, m) @ f("exp", A)), Ones(m, 1) @ (Ones(1, m) @ f("exp", A)),
        ),
        f("exp", A),
    ),
    "cross-entropy by log-sum-exp": (
        total(Hadamard(Y, LSE - A)), total(LogSumExp(A, 0)) - total(Hadamard(Y, A)), one_hot(),
    ),
    "less or equal": (A <= C, (A < C) + Compare(A, C, "==")),
    "a step and that of the negative": (Hadamard(f("step", A), f("step", -A)), Zero(m, n)),
    "a step and that of the negative, of a skew matrix": (Hadamard(f("step", W - W.T), f("step", W.T - W)), Zero(n, n)),
    "a step where its argument is zero": (Hadamard(f("step", A - C), Compare(A, C, "==")), Zero(m, n)),
    "a step where the negative is zero": (Hadamard(f("step", A - C), Compare(C, A, "==")), Zero(m, n)),
    "unequal": (Compare(A, C, "!="), 1 - Compare(A, C, "==")),
    "where both are equal": (Hadamard(Compare(A, C, "=="), A), Hadamard(Compare(A, C, "=="), C)),
    "equal multiples": (Compare(2 * A, 2 * C, "=="), Compare(C, A, "==")),
    "one-hot columns are orthogonal": (Y @ Y.T, Diag(Y @ Ones(n, 1)), one_hot()),
    "one-hot rows are orthogonal": (Y.T @ Y, Diag(Y.T @ Ones(m, 1)), {"Y": frozenset({"one_hot_rows"})}),
    "argmax masks have one entry": (DiagOf(ARGMAX.T @ ARGMAX), Ones(n, 1)),
    "counts by one-hot columns": (
        Take(Eye(n), ids, 1) @ Take(Eye(n), ids, 1).T, Diag(AddAt(Ones(1, q), ids, n, 1).T),
    ),
    "fourth root of a fourth power": (f("sqrt", power(A, 4)), A**2),
    "powers of roots": (power(f("sqrt", A**2 + 1), 3), Hadamard(f("sqrt", 1 + A**2), 1 + A**2)),
    "common denominator": (f("recip", A) + f("recip", C), Hadamard(A + C, f("recip", A), f("recip", C))),
    "hard tanh by two steps": (
        f("hard_tanh", A), where(PLUS_ONE < A, 1, where(MINUS_ONE > A, -1, A)),
    ),
    "maximum at ties": (where(A > C, A, C), where(A >= C, A, C)),
}

P_BAR = SumOver(Z(t) @ H(t - 1).T, t, 1, T_)
FALSE: dict[str, tuple[Node, Node] | tuple[Node, Node, dict[str, frozenset[str]]]] = {
    "root of a square": (f("sqrt", A**2), A),
    "root of a square below a fraction": (f("sqrt", f("recip", A + C) ** 2), f("recip", A + C)),
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
    "a choice that is zero where the other is": (
        Compare(Hadamard(Y, A) + Hadamard(1 - Y, C), Zero(m, n), "=="),
        Hadamard(1 - Y, Compare(A, Zero(m, n), "==")) + Hadamard(Y, Compare(C, Zero(m, n), "==")),
        {"Y": frozenset({"mask"})},
    ),
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
    "factors of a weight gradient exchanged": (V @ W.T, W @ V.T),
    "mean for a sum": (scaled(1 / n, A @ Ones(n, 1)), A @ Ones(n, 1)),
    "bias summed along the other axis": (W @ Ones(n, 1), W.T @ Ones(n, 1)),
    "slope missing": (Hadamard(C, 1 - TANH**2), C),
    "slope twice": (Hadamard(C, 1 - TANH**2), Hadamard(C, (1 - TANH**2) ** 2)),
    "slope at the activation": (f("tanh", A, order=1), f("tanh", TANH, order=1)),
    "activation in place of its slope": (Hadamard(C, f("sigmoid", A, order=1)), Hadamard(C, SIGMOID)),
    "relu slope at its kink": (f("relu", A, order=1), Zero(m, n) <= A),
    "softmax as diagonal": (Hadamard(P, C - Ones(m, m) @ Hadamard(P, C)), Hadamard(P, 1 - P, C)),
    "softmax adjoint along the other axis": (
        Hadamard(P, C - Ones(m, m) @ Hadamard(P, C)), Hadamard(P, C - Hadamard(P, C) @ Ones(n, n)),
    ),
    "softmax adjoint without its mean": (Hadamard(P, C - Ones(m, m) @ Hadamard(P, C)), Hadamard(P, C)),
    "scale of attention lost": (Softmax(scaled(1 / sp.sqrt(n), W @ V), 0), Softmax(W @ V, 0)),
    "scale of attention squared": (Softmax(scaled(1 / sp.sqrt(n), W @ V), 0), Softmax(scaled(1 / n, W @ V), 0)),
    "time index off by one": (P_BAR, SumOver(Z(t) @ H(t).T, t, 1, T_)),
    "only the last step kept": (P_BAR, Z(T_) @ H(T_ - 1).T),
    "recurrent matrix not transposed": (SumOver(W.T @ H(t), t, 1, T_), SumOver(W @ H(t), t, 1, T_)),
    "boundary counted twice": (SumOver(Z(t), t, 0, T_), Z(0) + SumOver(Z(t), t, 0, T_)),
    "delays exchanged": (SumOver(Z(t) @ H(t - 1).T, t, 3, T_), SumOver(Z(t) @ H(t - 3).T, t, 3, T_)),
    "square of the mean": (power(scaled(1 / (m * n), total(A)), 2), scaled(1 / (m * n), total(A**2))),
    "inverse of a sum": (f("recip", A + C), f("recip", A) + f("recip", C)),
    "root of a sum": (f("sqrt", A**2 + C**2), f("abs", A) + f("abs", C)),
    "softmax by steps along the other axis": (
        Hadamard(f("exp", A), f("recip", f("exp", A) @ Ones(n, 1)) @ Ones(1, n)), P,
    ),
    "minimum for the selected side": (where(A > C, A, C), where(A > C, C, A)),
    "hard tanh with one step": (f("hard_tanh", A), where(PLUS_ONE < A, 1, A)),
    "layer norm for batch norm": (
        A - scaled(1 / m, Ones(m, m) @ A), A - scaled(1 / n, A @ Ones(n, n)),
    ),
    "repeated numbers overwritten": (AddAt(Ones(1, q), ids, n, 1), AddAt(Ones(1, q), ids, n, 1) ** 2),
    "roots of two powers": (power(f("sqrt", A**2 + 1), 3), Hadamard(f("sqrt", 1 + A**2), A**2)),
    "argmax masks are no identity": (ARGMAX.T @ ARGMAX, Eye(n)),
    "block in the wrong place": (Embed(Slice(A, 1, m, 0, n), 0, 0, m, n), Embed(Slice(A, 1, m, 0, n), 1, 0, m, n)),
}


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
        if "one_hot_rows" in declared:
            x = np.eye(c)[rng.integers(0, c, r)]
        if declared & {"binary", "mask"}:
            x = (x > 0).astype(float)
        if "signs" in declared:
            x = np.where(x > 0, 1.0, -1.0)
        if "symmetric" in declared:
            x = x + x.T
        if declared & {"positive", "not_negative"}:
            x = np.abs(x) + 0.5 * ("positive" in declared)
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


BOTH = {name: frozenset({"positive"}) for name in "AC"}
UNDER_FACTS: dict[str, tuple[Node, Node, dict[str, frozenset[str]]]] = {
    "root of a square": (f("sqrt", A**2), A, BOTH),
    "cube root of a cube": (power(power(A, 3), sp.Rational(1, 3)), A, BOTH),
    "root of a product": (f("sqrt", Hadamard(A, C)), Hadamard(f("sqrt", A), f("sqrt", C)), BOTH),
    "logarithm of a product": (f("log", Hadamard(A, C)), f("log", A) + f("log", C), BOTH),
    "logarithm of a quotient": (f("log", Hadamard(A, f("recip", C))), f("log", A) - f("log", C), BOTH),
    "logarithm of a square": (f("log", A**2), 2 * f("log", A), BOTH),
    "absolute value of a positive": (f("abs", A), A, BOTH),
    "sign of a positive": (f("sign", A), Ones(m, n), BOTH),
    "relu of a positive": (RELU, A, BOTH),
    "absolute value of what is not negative": (f("abs", A), A, {"A": frozenset({"not_negative"})}),
    "sign of sums": (f("sign", A + C), Ones(m, n), BOTH),
    "a symmetric product of itself": ((V @ W).T, W @ V, {"V": frozenset({"symmetric"}), "W": frozenset({"symmetric"})}),
    "mask and its complement": (Hadamard(Y, 1 - Y), Zero(m, n), {"Y": frozenset({"mask"})}),
    "smoothed labels": (Ones(1, m) @ (HALF * Y + scaled(HALF / m, Ones(m, n))), Ones(1, n), one_hot()),
}
"""What holds under facts, and stays unproved without them."""
