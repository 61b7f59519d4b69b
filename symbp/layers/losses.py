"""Losses: each is one expression in primitives, 1 x 1.  ``m`` is the number of samples.

The sample axis comes from the writer; features lie along the other axis.  Sources: formula sheet F1.4.
"""

from __future__ import annotations

import sympy as sp

from symbp.expr import (
    Function,
    Hadamard,
    LogSumExp,
    Node,
    Ref,
    ShapeError,
    apply,
    broadcast,
    compare,
    plus,
    power,
    same_size,
    scaled,
    shape_text,
    times,
    total,
    where,
)
from symbp.layers.registry import Writer, layer


def _alike(A: Node, Y: Node) -> None:
    if not (same_size(A.rows, Y.rows) and same_size(A.cols, Y.cols)):
        raise ShapeError("S002", f"shapes differ: {shape_text(A.shape)} and {shape_text(Y.shape)}", A, Y)


def _named(writer: Writer, Z: Node) -> Node:
    """Return the argument of a loss by name, for it is read more than once."""
    return Z if isinstance(Z, Ref) else writer.equation("Z", Z)


def _minus(a: Node, b: Node) -> Node:
    return plus(a, scaled(-1, b))


@layer("mean_squared_error(A, Y)", "mean((A - Y)**2), over all entries")
def mean_squared_error(writer: Writer, A: Node, Y: Node) -> Node:
    """Return the mean over all entries of the squared error."""
    _alike(A, Y)
    return scaled(1 / (A.rows * A.cols), total(power(_minus(A, Y), 2)))


@layer("sum_of_squares(A, Y, factor=1)", "factor * sum((A - Y)**2), factor for example 1/2, 1/m or 1/(2*m)")
def sum_of_squares(writer: Writer, A: Node, Y: Node, factor: sp.Expr) -> Node:
    """Return the sum of squared errors times an exact factor."""
    _alike(A, Y)
    return scaled(factor, total(power(_minus(A, Y), 2)))


@layer(
    "cross_entropy(P, Y, kind='categorical')",
    "-(1/m) * sum(Y*log(P)); kind 'binary': -(1/m) * sum(Y*log(P) + (1 - Y)*log(1 - P))",
)
def cross_entropy(writer: Writer, P: Node, Y: Node, kind: str) -> Node:
    """Return the cross-entropy of probabilities, categorical (a distribution for each sample) or binary (by entry)."""
    _alike(P, Y)
    m = P.shape[writer.sample_axis(P)]
    log = Function("log")
    if kind == "categorical":
        return scaled(-1 / m, total(Hadamard(Y, apply(log, P))))
    if kind != "binary":
        raise ValueError(f"kind is 'categorical' or 'binary', not {kind!r}")
    both = plus(Hadamard(Y, apply(log, P)), Hadamard(plus(1, scaled(-1, Y)), apply(log, plus(1, scaled(-1, P)))))
    return scaled(-1 / m, total(both))


@layer("softmax_cross_entropy(Z, Y)", "-(1/m) * sum(Y*(Z - logsumexp(Z))), the logarithm of a softmax over the units")
def softmax_cross_entropy(writer: Writer, Z: Node, Y: Node) -> Node:
    """Return the categorical cross-entropy of softmax(Z), written without overflow."""
    _alike(Z, Y)
    axis = writer.sample_axis(Z)
    m, Z = Z.shape[axis], _named(writer, Z)
    lse = broadcast(LogSumExp(Z, sp.Integer(1 - axis)), *Z.shape)
    return scaled(-1 / m, total(Hadamard(Y, _minus(Z, lse))))


@layer("sigmoid_cross_entropy(Z, Y)", "(1/m) * sum(softplus(Z) - Y*Z), the binary cross-entropy of sigmoid(Z)")
def sigmoid_cross_entropy(writer: Writer, Z: Node, Y: Node) -> Node:
    """Return the binary cross-entropy of sigmoid(Z), written without overflow."""
    _alike(Z, Y)
    m, Z = Z.shape[writer.sample_axis(Z)], _named(writer, Z)
    return scaled(1 / m, total(_minus(apply(Function("softplus"), Z), Hadamard(Y, Z))))


@layer("huber(A, Y, delta=1)", "(1/m) * sum of E**2/2 where |E| <= delta, else delta*|E| - delta**2/2; E = A - Y")
def huber(writer: Writer, A: Node, Y: Node, delta: sp.Expr) -> Node:
    """Return the Huber loss, quadratic near zero and linear far from it."""
    _alike(A, Y)
    m = A.shape[writer.sample_axis(A)]
    error = writer.equation("E", _minus(A, Y))
    size = apply(Function("abs"), error)
    near = scaled(sp.Rational(1, 2), power(error, 2))
    far = plus(scaled(delta, size), -(delta**2) / 2)
    return scaled(1 / m, total(where(compare("<=", size, delta), near, far)))


@layer("log_cosh(A, Y)", "(1/m) * sum of log(cosh(A - Y)), written as E + softplus(-2*E) - log(2) without overflow")
def log_cosh(writer: Writer, A: Node, Y: Node) -> Node:
    """Return the logarithm of the hyperbolic cosine of the error: quadratic near zero, linear far from it, smooth."""
    _alike(A, Y)
    m = A.shape[writer.sample_axis(A)]
    error = writer.equation("E", _minus(A, Y))
    return scaled(1 / m, total(plus(error, apply(Function("softplus"), scaled(-2, error)), -sp.log(2))))


@layer("hinge(A, Y, margin=1)", "(1/m) * sum(relu(margin - Y*A)), with Y of 1 and -1")
def hinge(writer: Writer, A: Node, Y: Node, margin: sp.Expr) -> Node:
    """Return the hinge loss; the targets carry the fact ``signs``."""
    _alike(A, Y)
    m = A.shape[writer.sample_axis(A)]
    return scaled(1 / m, total(apply(Function("relu"), plus(margin, scaled(-1, Hadamard(Y, A))))))


@layer("kl_divergence(P, Q)", "(1/m) * sum(P*(log(P) - log(Q))), from Q to P")
def kl_divergence(writer: Writer, P: Node, Q: Node) -> Node:
    """Return the Kullback-Leibler divergence of distributions, one for each sample; all entries are positive."""
    _alike(P, Q)
    m = P.shape[writer.sample_axis(P)]
    log = Function("log")
    return scaled(1 / m, total(Hadamard(P, _minus(apply(log, P), apply(log, Q)))))


@layer("l2(scale, *weights)", "scale * (sum(W1**2) + sum(W2**2) + ...), for example l2(lam/(2*m), W1, W2)")
def l2(writer: Writer, scale: Node | sp.Expr, weights: list[Node]) -> Node:
    """Return a penalty on the squares of chosen parameters."""
    if not weights:
        raise ValueError("l2 wants at least one parameter")
    squares = plus(*(total(power(W, 2)) for W in weights))
    return times(scale, squares) if isinstance(scale, Node) else scaled(scale, squares)
