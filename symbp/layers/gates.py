"""Gated units: the product of two layers on one input, one of them passed through a function.

``H = f(W @ X + b) * (V @ X + c)``.  Source: Dauphin et al. 2017; Shazeer 2020.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from symbp.expr import Function, Hadamard, Node, apply, plus, scaled
from symbp.layers.dense import affine
from symbp.layers.registry import Writer, layer

Activation = Callable[[Node, int], Node]


def _gated(writer: Writer, X: Node, units: sp.Expr, function: str, bias: str) -> Node:
    Z = writer.equation("Z", affine(writer, X, units, bias, "W", "b"))
    gate = writer.equation("G", apply(Function(function), Z))
    return Hadamard(gate, writer.equation("U", affine(writer, X, units, bias, "V", "c")))


@layer("glu(X, units, bias='separate')", "sigmoid(W @ X + b) * (V @ X + c); bias as in dense")
def glu(writer: Writer, X: Node, units: sp.Expr, bias: str) -> Node:
    """Return a gated linear unit; the arguments are those of ``dense``."""
    return _gated(writer, X, units, "sigmoid", bias)


@layer("swiglu(X, units, bias='none')", "silu(W @ X) * (V @ X); bias as in dense")
def swiglu(writer: Writer, X: Node, units: sp.Expr, bias: str) -> Node:
    """Return a unit gated by silu, without biases unless asked for."""
    return _gated(writer, X, units, "silu", bias)


@layer("geglu(X, units, bias='none')", "gelu(W @ X) * (V @ X); bias as in dense")
def geglu(writer: Writer, X: Node, units: sp.Expr, bias: str) -> Node:
    """Return a unit gated by gelu, without biases unless asked for."""
    return _gated(writer, X, units, "gelu", bias)


@layer("highway(X, activation=tanh)", "T * activation(W @ X + b) + (1 - T) * X with the gate T = sigmoid(V @ X + c)")
def highway(writer: Writer, X: Node, activation: Activation) -> Node:
    """Return a layer that carries its input past itself where its gate is shut.  Source: Srivastava et al. 2015."""
    axis = 1 - writer.sample_axis(X)
    units = X.shape[axis]
    Z = writer.equation("Z", affine(writer, X, units, "separate", "W", "b"))
    H = writer.equation("H", activation(Z, axis))
    S = writer.equation("S", affine(writer, X, units, "separate", "V", "c"))
    T = writer.equation("T", apply(Function("sigmoid"), S))
    return plus(Hadamard(T, H), Hadamard(plus(1, scaled(-1, T)), X))
