"""Recurrent cells: one step from the states before it to the state after it, to be written in a loop over time.

``H[t] = gru(X[t], H[t-1])`` has one set of parameters for all t, since the state is handed on along t, and one for
each l in ``H[l, t] = gru(H[l-1, t], H[l, t-1])``.  Parts are called as in the literature: gates by a letter, ``W``
from the input, ``U`` from the state, ``b`` the bias, ``S`` the sum before the gate's function.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from symbp.expr import Function, Hadamard, MatMul, Node, ShapeError, Slice, apply, expanded, plus, same_size, scaled
from symbp.expr import shape_text
from symbp.layers.registry import Writer, layer

Activation = Callable[[Node, int], Node]


def _sigmoid(A: Node) -> Node:
    return apply(Function("sigmoid"), A)


def _tanh(A: Node) -> Node:
    return apply(Function("tanh"), A)


class Cell:
    """What the cells share: a writer, the input ``X``, the state ``H``, and where the samples lie."""

    def __init__(self, writer: Writer, X: Node, *states: Node, shared: object) -> None:
        self.axis = writer.sample_axis(states[0])
        self.write = writer.cell(*states, shared=shared)
        self.X, self.H = X, states[0]
        self.units = self.H.shape[1 - self.axis]
        for other in states[1:]:
            if not (same_size(other.rows, self.H.rows) and same_size(other.cols, self.H.cols)):
                said = f"shapes differ: {shape_text(self.H.shape)} and {shape_text(other.shape)}"
                raise ShapeError("S002", said, self.H, other)
        if not same_size(X.shape[self.axis], self.H.shape[self.axis]):
            said = f"the samples differ: {shape_text(X.shape)} and {shape_text(self.H.shape)}"
            raise ShapeError("S002", said, X, self.H)

    def weighted(self, prefix: str, A: Node, units: sp.Expr) -> Node:
        """Return ``W @ A``, or ``A @ W`` where samples are rows, with a new parameter."""
        inputs = A.shape[1 - self.axis]
        if self.axis == 1:
            return MatMul(self.write.parameter(prefix, units, inputs), A)
        return MatMul(A, self.write.parameter(prefix, inputs, units))

    def vector(self, prefix: str, units: sp.Expr) -> Node:
        """Return a new parameter with one entry for each unit."""
        return self.write.parameter(prefix, *((units, sp.S.One) if self.axis == 1 else (sp.S.One, units)))

    def sum(self, letter: str, units: sp.Expr) -> Node:
        """Return ``W @ X + U @ H + b`` with the parameters of one gate."""
        return plus(
            self.weighted(f"W{letter}", self.X, units),
            self.weighted(f"U{letter}", self.H, units),
            self.vector(f"b{letter}", units),
        )

    def peephole(self, letter: str, C: Node) -> Node:
        """Return ``p * C``: each unit of a gate sees its own cell state."""
        return self.vector(f"p{letter}", self.units) * C

    def block(self, S: Node, k: int) -> Node:
        """Return the k-th block of units of a stacked sum."""
        first, last = expanded(k * self.units), expanded((k + 1) * self.units)
        return Slice(S, first, last, 0, S.cols) if self.axis == 1 else Slice(S, 0, S.rows, first, last)


@layer(
    "rnn(X, H, activation=tanh, shared=None)",
    "activation(W_h @ X + U_h @ H + b_h), the simple recurrent cell (Elman 1990)",
)
def rnn(writer: Writer, X: Node, H: Node, activation: Activation, shared: object) -> Node:
    """Return the next state of a simple recurrent cell.

    X:      inputs x samples (or samples x inputs).  H: the state before, units x samples.
    shared: more loops whose iterations share the parameters, by the names of their indices.
    """
    cell = Cell(writer, X, H, shared=shared)
    Z = cell.sum("_h", cell.units)
    if activation(Z, 1 - cell.axis) is Z:
        return Z
    return activation(cell.write.equation("Z_h", Z), 1 - cell.axis)


@layer(
    "lstm(X, H, C, peepholes=False, gates='separate', shared=None)",
    "O * tanh(C_new) and C_new = F*C + I*G, with the gates I, F, O = sigmoid(W @ X + U @ H + b) and the candidate G = "
    "tanh(W @ X + U @ H + b) (Hochreiter and Schmidhuber 1997); gates 'separate' or 'stacked' in the order i, f, o, g; "
    "with peepholes I and F also see p*C, and O sees p*C_new",
    results=("H", "C"),
)
def lstm(
    writer: Writer, X: Node, H: Node, C: Node, peepholes: bool, gates: str, shared: object
) -> tuple[Node, Node]:
    """Return the next output and the next state of a long short-term memory: formula 4.3.

    X: inputs x samples (or samples x inputs).  H, C: output and state before, units x samples.
    """
    if gates not in ("separate", "stacked"):
        raise ValueError(f"gates is 'separate' or 'stacked', not {gates!r}")
    cell = Cell(writer, X, H, C, shared=shared)
    write = cell.write
    stacked = write.equation("S", cell.sum("", expanded(4 * cell.units))) if gates == "stacked" else None

    def argument(letter: str, seen: Node | None = None) -> Node:
        S = cell.sum(f"_{letter}", cell.units) if stacked is None else cell.block(stacked, "ifog".index(letter))
        if seen is not None and peepholes:
            S = plus(S, cell.peephole(f"_{letter}", seen))
        return write.equation(f"S_{letter}", S)

    def output_gate(seen: Node | None) -> Node:
        return write.equation("O", _sigmoid(argument("o", seen)))

    I = write.equation("I", _sigmoid(argument("i", C)))
    F = write.equation("F", _sigmoid(argument("f", C)))
    early = None if peepholes else output_gate(None)
    G = write.equation("G", _tanh(argument("g")))
    new = write.result(1, plus(Hadamard(F, C), Hadamard(I, G)))
    O = output_gate(new) if early is None else early
    return Hadamard(O, _tanh(new)), new


@layer(
    "gru(X, H, reset='before', shared=None)",
    "(1 - Z)*N + Z*H with the gates R, Z = sigmoid(W @ X + U @ H + b) and the candidate N = tanh(W_n @ X + "
    "U_n @ (R*H) + b_n) (Cho et al. 2014); reset 'after' the product: tanh(W_n @ X + b_n + R*(U_n @ H + c_n))",
)
def gru(writer: Writer, X: Node, H: Node, reset: str, shared: object) -> Node:
    """Return the next state of a gated recurrent unit.

    X:     inputs x samples (or samples x inputs).  H: the state before, units x samples.
    reset: whether the gate R acts before the product with ``U_n``, as published, or after it, as in cuDNN.
    """
    if reset not in ("before", "after"):
        raise ValueError(f"reset is 'before' or 'after', not {reset!r}")
    cell = Cell(writer, X, H, shared=shared)
    write, units = cell.write, cell.units
    R = write.equation("R", _sigmoid(write.equation("S_r", cell.sum("_r", units))))
    Z = write.equation("Z", _sigmoid(write.equation("S_z", cell.sum("_z", units))))
    seen = cell.weighted("W_n", X, units)
    if reset == "before":
        kept = write.equation("K", Hadamard(R, H))
        S = plus(seen, cell.weighted("U_n", kept, units), cell.vector("b_n", units))
    else:
        bias = cell.vector("b_n", units)
        told = write.equation("Q", plus(cell.weighted("U_n", H, units), cell.vector("c_n", units)))
        S = plus(seen, bias, Hadamard(R, told))
    N = write.equation("N", _tanh(write.equation("S_n", S)))
    return plus(Hadamard(plus(1, scaled(-1, Z)), N), Hadamard(Z, H))
