"""Layers with and without parameters."""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from symbp.expr import (
    Embed,
    MatMul,
    Node,
    Ones,
    Reshape,
    ShapeError,
    add,
    expanded,
    is_one,
    plus,
    same_size,
    scaled,
    shape_text,
)
from symbp.layers.registry import Writer, layer


@layer(
    "dense(X, units, activation=linear, bias='separate')",
    "activation(W @ X + b), or activation(X @ W + b) where samples are rows; bias 'separate', 'folded' or 'none'",
)
def dense(writer: Writer, X: Node, units: sp.Expr, activation: Callable[[Node, int], Node], bias: str) -> Node:
    """Return a fully connected layer.

    X:          inputs x samples (or samples x inputs).
    units:      the number of units.
    activation: an elementwise function, softmax over the units, or linear.
    bias:       ``separate`` (``b``, one for each unit), ``folded`` (a last column of ``W`` that meets a row of ones:
                formula F0.2) or ``none``.
    """
    axis = writer.sample_axis(X)
    Z = affine(writer, X, units, bias)
    if activation(Z, 1 - axis) is Z:
        return Z
    assert same_size(Z.shape[axis], X.shape[axis])
    return activation(writer.equation("Z", Z), 1 - axis)


def affine(writer: Writer, X: Node, units: sp.Expr, bias: str, weight: str = "W", offset: str = "b") -> Node:
    """Return ``W @ X + b``, or ``X @ W + b`` where samples are rows; the arguments are those of ``dense``."""
    axis = writer.sample_axis(X)
    if bias not in ("separate", "folded", "none"):
        raise ValueError(f"bias is 'separate', 'folded' or 'none', not {bias!r}")
    inputs = X.shape[1 - axis]
    if bias == "folded":
        X = with_ones(X, axis)
        inputs = expanded(inputs + 1)
    if axis == 1:
        Z: Node = MatMul(writer.parameter(weight, units, inputs), X)
    else:
        Z = MatMul(X, writer.parameter(weight, inputs, units))
    if bias == "separate":
        one = sp.S.One
        b = writer.parameter(offset, units, one) if axis == 1 else writer.parameter(offset, one, units)
        Z = plus(Z, b)
    return Z


def with_ones(X: Node, axis: int) -> Node:
    """Return the inputs with one more feature that is always 1: ``[X; 1^T]`` or ``[X, 1]``."""
    one = sp.S.One
    if axis == 1:
        rows = expanded(X.rows + 1)
        return add(Embed(X, 0, 0, rows, X.cols), Embed(Ones(one, X.cols), X.rows, 0, rows, X.cols))
    cols = expanded(X.cols + 1)
    return add(Embed(X, 0, 0, X.rows, cols), Embed(Ones(X.rows, one), 0, X.cols, X.rows, cols))


@layer("dropout(X, M, p)", "X * M / (1 - p) with a 0/1 mask M, an input that keeps an entry with probability 1 - p")
def dropout(writer: Writer, X: Node, M: Node, p: sp.Expr) -> Node:
    """Return inverted dropout; the mask is drawn outside and is an input: ``M: input[n, m] & mask``."""
    if p == 1 or (p.is_number and not (0 <= p < 1)):
        raise ValueError(f"the probability of dropping an entry is at least 0 and below 1, not {p}")
    if not (same_size(X.rows, M.rows) and same_size(X.cols, M.cols)):
        raise ShapeError("S002", f"shapes differ: {shape_text(X.shape)} and {shape_text(M.shape)}", X, M)
    return scaled(1 / (1 - p), X * M)


@layer("flatten(X)", "the entries of X as a column, the columns below each other")
def flatten(writer: Writer, X: Node) -> Node:
    """Return all entries of one sample as a column, ``vec(X)``."""
    return X if is_one(X.cols) else Reshape(X, expanded(X.rows * X.cols), 1, "F")
