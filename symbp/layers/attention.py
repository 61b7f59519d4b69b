"""Attention and the transformer block.

Columns are positions: Q, K and V are features x positions; everything is transposed where the positions are rows.
A matrix of scores S holds one column for each query, with one entry for each key:

    S = K^T Q / sqrt(k),   P = softmax(S) down each column,   O = V P

Source: Vaswani et al. 2017, eq. 1 (whose matrices are the transposes of these).
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from symbp.expr import (
    Function,
    Mask,
    MatMul,
    Node,
    Softmax,
    SumOver,
    T,
    apply,
    broadcast,
    expanded,
    plus,
    power,
    scaled,
    sum_axis,
    times,
    where,
)
from symbp.layers.registry import Writer, layer

NEVER = sp.Integer(-(10**9))
"""The score of a key that a query may not see.

It is a finite number: its exponential is exactly 0 beside any score that counts, in float32 and float64, and a query
that may see no key at all gets equal weights instead of 0/0.  As it is selected, never added, no score loses digits.
"""

EPSILON = sp.Rational(1, 100000)
"""What keeps the root of a variance from zero in a layer norm."""


@layer(
    "attention(Q, K, V, mask=none)",
    "V @ softmax(K.T @ Q / sqrt(k), axis=0), transposed where the positions are rows; mask none, causal, or a 0/1 "
    "matrix in the shape of the scores",
    plain=True,
)
def attention(writer: Writer, Q: Node, K: Node, V: Node, mask: Node | str) -> Node:
    """Return scaled dot-product attention.

    Q:    k x queries.
    K:    k x keys.
    V:    v x keys; the value is v x queries.
    mask: ``none``; ``causal`` (a query sees the keys up to its own position); or a 0/1 matrix, keys x queries (or
          keys x 1, for all queries), with 1 where a query sees a key.
    """
    if not isinstance(V, Node):
        raise ValueError(f"V is a matrix, not the number {V}")
    return _attend(writer, Q, K, V, mask, writer.sample_axis(Q))


def _attend(writer: Writer, Q: Node, K: Node, V: Node, mask: Node | str, axis: int) -> Node:
    """Write scores and weights; return the weighted values.  ``axis`` is that of the positions, 1 for columns."""
    left, right = (T(K), Q) if axis == 1 else (Q, T(K))
    S = writer.equation("S", scaled(1 / sp.sqrt(Q.shape[1 - axis]), MatMul(left, right)))
    if isinstance(mask, Node):
        S = writer.equation("S_M", where(mask, S, NEVER))
    elif mask == "causal":
        S = writer.equation("S_M", where(Mask("triu" if axis == 1 else "tril", *S.shape), S, NEVER))
    P = writer.equation("P", Softmax(S, sp.Integer(1 - axis)))
    return MatMul(V, P) if axis == 1 else MatMul(P, V)


@layer(
    "multi_head_attention(X, heads, mask=none, memory=None, key=None)",
    "the sum over heads j of W_O[j] @ attention(W_Q[j] @ X, W_K[j] @ X, W_V[j] @ X); keys and values come from memory "
    "if it is given; key is the size of a head, by default the features of X divided by heads",
    plain=True,
)
def multi_head_attention(
    writer: Writer, X: Node, heads: sp.Expr, mask: Node | str, memory: Node | None, key: sp.Expr | None
) -> Node:
    """Return attention with several heads, a family over the heads: ``W_O [O_1; ..; O_h]`` is a sum over them.

    X:      features x positions.
    heads:  the number of heads.
    mask:   as for ``attention``, one for all heads.
    memory: from where keys and values come, for cross attention; by default X.
    key:    the number of rows of each Q, K and V.
    """
    axis = writer.sample_axis(X)
    source = X if memory is None else memory
    features = X.shape[1 - axis]
    size = expanded(key) if key is not None else _share(features, heads)

    def projected(name: str, A: Node, rows: sp.Expr) -> Node:
        inputs = A.shape[1 - axis]
        if axis == 1:
            return MatMul(writer.parameter(name, rows, inputs), A)
        return MatMul(A, writer.parameter(name, inputs, rows))

    with writer.each("jhiq", heads) as j:
        Q = writer.equation("Q", projected("W_Q", X, size))
        K = writer.equation("K", projected("W_K", source, size))
        V = writer.equation("V", projected("W_V", source, size))
        O = writer.equation("O", _attend(writer, Q, K, V, mask, axis))
        out = projected("W_O", O, features)
    return SumOver(out, j, 1, heads)


def _share(features: sp.Expr, heads: sp.Expr) -> sp.Expr:
    """Return the size of one head, if it can be shown to be whole."""
    size = expanded(sp.cancel(features / heads))
    if not size.is_polynomial(*size.free_symbols) or not all(c.is_Integer for c in _coefficients(size)):
        raise ValueError(
            f"{features} features cannot be shown to be a multiple of {heads} heads: "
            f"write `assert {features} == k*{heads}`, or `key=k`"
        )
    return size


def _coefficients(size: sp.Expr) -> list[sp.Expr]:
    return [term.as_coeff_Mul()[0] for term in sp.Add.make_args(size)]


@layer(
    "transformer_block(X, heads, hidden, activation=gelu, norm='pre', mask=none, key=None)",
    "A = X + multi_head_attention(N(X)), then A + W2 @ activation(W1 @ N(A) + b1) + b2, with layer norms N; norm "
    "'post': N(X + ...) instead",
    plain=True,
)
def transformer_block(
    writer: Writer,
    X: Node,
    heads: sp.Expr,
    hidden: sp.Expr,
    activation: Callable[[Node, int], Node],
    norm: str,
    mask: Node | str,
    key: sp.Expr | None,
) -> Node:
    """Return a transformer block: attention and two dense layers, each with a residual connection and a layer norm.

    norm: ``pre`` (x + f(N(x)): Xiong et al. 2020) or ``post`` (N(x + f(x)): Vaswani et al. 2017).
    """
    if norm not in ("pre", "post"):
        raise ValueError(f"norm is 'pre' or 'post', not {norm!r}")
    axis = writer.sample_axis(X)
    if norm == "pre":
        seen = _normalised(writer, X, "1", axis)
        A = writer.equation("A", plus(X, multi_head_attention(writer, seen, heads, mask, None, key)))
        seen = _normalised(writer, A, "2", axis)
        return plus(A, _feed_forward(writer, seen, hidden, activation, axis))
    R = writer.equation("R", plus(X, multi_head_attention(writer, X, heads, mask, None, key)))
    A = _normalised(writer, R, "1", axis)
    B = writer.equation("B", plus(A, _feed_forward(writer, A, hidden, activation, axis)))
    return _normalised(writer, B, "2", axis)


def _feed_forward(
    writer: Writer, X: Node, hidden: sp.Expr, activation: Callable[[Node, int], Node], axis: int
) -> Node:
    """Write two dense layers that work on each position by itself."""

    def dense(number: str, A: Node, units: sp.Expr) -> Node:
        inputs = A.shape[1 - axis]
        if axis == 1:
            W, b = writer.parameter(f"W{number}", units, inputs), writer.parameter(f"b{number}", units, sp.S.One)
            return plus(MatMul(W, A), b)
        W, b = writer.parameter(f"W{number}", inputs, units), writer.parameter(f"b{number}", sp.S.One, units)
        return plus(MatMul(A, W), b)

    Z = writer.equation("Z", dense("1", X, hidden))
    F = writer.equation("F", activation(Z, 1 - axis))
    return dense("2", F, X.shape[1 - axis])


def _normalised(writer: Writer, X: Node, number: str, axis: int) -> Node:
    """Write a layer norm: each position gets mean 0 and variance 1 over the features, then a gain and a shift."""
    features = X.shape[1 - axis]
    shape = (features, sp.S.One) if axis == 1 else (sp.S.One, features)

    mean = scaled(1 / features, broadcast(sum_axis(X, 1 - axis), *X.shape))
    D = writer.equation(f"D{number}", plus(X, scaled(-1, mean)))
    v = writer.equation(f"v{number}", plus(scaled(1 / features, sum_axis(power(D, 2), 1 - axis)), EPSILON))
    r = writer.equation(f"r{number}", power(apply(Function("sqrt"), v), -1))
    g, c = writer.parameter(f"g{number}", *shape, start=sp.S.One), writer.parameter(f"c{number}", *shape)
    return writer.equation(f"N{number}", plus(times(times(g, D), r), c))
