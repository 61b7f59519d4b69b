"""NumPy by a careful hand: a buffer for every temporary, everything in place, one update of one flat array."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _machine

LABEL = "careful NumPy"


def setup(workload: Any, parameters: Any, data: Any, threads: int) -> Any:
    """Return the peer."""
    if not hasattr(workload, "widths"):
        return Plain(workload, parameters, data)
    return ByHand(workload, parameters, data)


class Plain:
    """A workload's own loss and gradients in NumPy, in float32: plain, with a new array for each value."""

    def __init__(self, workload: Any, parameters: Any, data: Any) -> None:
        self.of, self.rate, self.data = workload.loss_and_gradients, np.float32(workload.rate), data
        self.values = [p.copy() for p in parameters]
        self.note = _machine.blas_note()

    def parameters(self) -> list[Any]:
        """Return the present parameters."""
        return self.values

    def gradients(self) -> list[Any]:
        """Return the gradients of the loss."""
        return self.of(self.values, self.data)[1]

    def run(self, steps: int) -> float:
        """Take the steps."""
        for _ in range(steps):
            loss, gradients = self.of(self.values, self.data)
            self.values = [p - self.rate * g for p, g in zip(self.values, gradients, strict=True)]
        return loss


def split(flat: Any, shapes: list[tuple[int, int]]) -> list[Any]:
    """Return views of a flat array, one for each shape."""
    ends = np.cumsum([rows * columns for rows, columns in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]


class ByHand:
    """Dense layers of any number.

    Products go by ``dot``: ``matmul`` takes eight times as long for the dW of a single sample.
    """

    def __init__(self, workload: Any, parameters: Any, data: Any) -> None:
        self.head, self.tanh, self.rate = workload.head, workload.hidden == "tanh", np.float32(workload.rate)
        self.X, self.Y = data
        self.m = m = self.X.shape[0]
        self.theta = np.concatenate([p.ravel() for p in parameters])
        self.slope, self.move = np.empty_like(self.theta), np.empty_like(self.theta)
        self.values, self.slopes = (split(flat, [p.shape for p in parameters]) for flat in (self.theta, self.slope))
        W, widths, dtype = self.values[0::2], workload.widths, self.theta.dtype
        self.A = [self.X, *(np.empty((m, n), dtype) for n in widths[1:])]
        self.D = [np.empty((m, n), dtype) for n in widths]
        self.masks = [np.empty((m, n), bool) for n in widths]
        self.S = [np.empty((m, n), dtype) for n in widths]
        self.row, self.sum = np.empty((m, 1), dtype), np.empty((m, 1), dtype)
        above = list(zip(W, self.values[1::2], self.A, self.A[1:], strict=False))
        self.forward, self.top = above[:-1], above[-1]
        self.backward = [
            (self.A[k], self.A[k].T, W[k].T, self.slopes[2 * k], self.slopes[2 * k + 1], *below)
            for k in reversed(range(len(W)))
            for below in [(self.D[k + 1], self.D[k], self.S[k], self.masks[k], k > 0)]
        ]
        self.note = _machine.blas_note()

    def parameters(self) -> list[Any]:
        """Return the present parameters."""
        return [value.copy() for value in self.values]

    def gradients(self) -> list[Any]:
        """Return the gradients of the loss."""
        self.pass_through()
        return [slope.copy() for slope in self.slopes]

    def run(self, steps: int) -> float:
        """Take the steps."""
        slope, move, theta, rate = self.slope, self.move, self.theta, self.rate
        for _ in range(steps):
            loss = self.pass_through()
            np.multiply(slope, rate, out=move)
            np.subtract(theta, move, out=theta)
        return loss

    def pass_through(self) -> float:
        """Go forward and backward, and return the loss."""
        tanh = self.tanh
        for W, b, A, Z in self.forward:
            np.dot(A, W, out=Z)
            np.add(Z, b, out=Z)
            if tanh:
                np.tanh(Z, out=Z)
            else:
                np.maximum(Z, 0.0, out=Z)
        W, b, A, Z = self.top
        np.dot(A, W, out=Z)
        np.add(Z, b, out=Z)
        loss = getattr(self, self.head)(Z, self.D[-1], self.S[-1])
        for A, AT, WT, W_slope, b_slope, D, below, S, mask, inner in self.backward:
            np.dot(AT, D, out=W_slope)
            np.add.reduce(D, axis=0, keepdims=True, out=b_slope)
            if inner:
                np.dot(D, WT, out=below)
                if tanh:
                    np.multiply(A, A, out=S)
                    np.subtract(1.0, S, out=S)
                    np.multiply(below, S, out=below)
                else:
                    np.greater(A, 0.0, out=mask)
                    np.multiply(below, mask, out=below)
        return loss

    def softmax(self, Z: Any, D: Any, S: Any) -> float:
        """Write the error signal into D, and return the loss."""
        row, total = self.row, self.sum
        np.maximum.reduce(Z, axis=1, keepdims=True, out=row)
        np.subtract(Z, row, out=Z)
        np.exp(Z, out=D)
        np.add.reduce(D, axis=1, keepdims=True, out=total)
        np.divide(D, total, out=D)
        np.log(total, out=row)
        np.subtract(Z, row, out=Z)
        loss = -float(np.vdot(self.Y, Z)) / self.m
        np.subtract(D, self.Y, out=D)
        np.divide(D, self.m, out=D)
        return loss

    def sigmoid(self, Z: Any, D: Any, S: Any) -> float:
        """Write the error signal into D, and return the loss: the softplus of z is max(z, 0) + log1p(exp(-|z|))."""
        np.abs(Z, out=S)
        np.negative(S, out=S)
        np.exp(S, out=S)
        np.log1p(S, out=D)
        np.maximum(Z, 0.0, out=S)
        np.add(D, S, out=D)
        loss = float(np.add.reduce(D, axis=None)) - float(np.vdot(self.Y, Z))
        np.multiply(Z, 0.5, out=D)
        np.tanh(D, out=D)
        np.multiply(D, 0.5, out=D)
        np.add(D, 0.5, out=D)
        np.subtract(D, self.Y, out=D)
        np.divide(D, self.m, out=D)
        return loss / self.m

    def square(self, Z: Any, D: Any, S: Any) -> float:
        """Write the error signal into D, and return the loss."""
        np.subtract(Z, self.Y, out=D)
        loss = float(np.vdot(D, D)) / (2 * self.m)
        np.divide(D, self.m, out=D)
        return loss
