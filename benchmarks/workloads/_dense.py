"""The family of dense networks: declaration, first parameters, float64 reference, and what a step costs at least."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

HEADS = {
    "sigmoid": "sigmoid_cross_entropy(Z{last}, Y)",
    "softmax": "softmax_cross_entropy(Z{last}, Y)",
    "square": "sum((Z{last} - Y)**2) / (2*m)",
}
"""The losses: binary cross-entropy of a sigmoid, cross-entropy of a softmax, half the mean square error of a sample."""

FACTS = {"sigmoid": " & binary", "softmax": " & one_hot_rows", "square": ""}


MARGIN = 1e-5
"""How far from its kink a relu must be at the start."""


@dataclass(frozen=True)
class Dense:
    """Layers ``Z = A @ W + b`` with one activation, a loss, a fixed batch; samples are rows.

    The parameters are W1, b1, W2, b2, ... in this order; the data are X and Y.
    """

    name: str
    title: str
    widths: tuple[int, ...]
    hidden: str
    head: str
    batch: int
    rate: float
    samples: tuple[Array, Array] | None = None

    @property
    def layers(self) -> int:
        """The number of weight matrices."""
        return len(self.widths) - 1

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes that the declaration leaves open."""
        return {"m": self.batch}

    @property
    def declaration(self) -> str:
        """The network in the language of symbp."""
        last = self.layers
        lines = ["samples: m", f"X: input[m, {self.widths[0]}]", f"Y: target[m, {self.widths[-1]}]{FACTS[self.head]}"]
        for k, (fan_in, fan_out) in enumerate(pairwise(self.widths), 1):
            lines.append(f"W{k}: param[{fan_in}, {fan_out}]; b{k}: param[1, {fan_out}]")
        for k in range(1, last + 1):
            above = "X" if k == 1 else f"A{k - 1}"
            lines.append(f"Z{k} = {above} @ W{k} + b{k}")
            if k < last:
                lines.append(f"A{k} = {self.hidden}(Z{k})")
        return "\n".join([*lines, f"loss = {HEADS[self.head].format(last=last)}"]) + "\n"

    def names(self) -> list[str]:
        """Return the names of the parameters."""
        return [f"{kind}{k}" for k in range(1, self.layers + 1) for kind in "Wb"]

    def parameters(self) -> list[Array]:
        """Return first parameters in float32: uniform weights after Glorot and Bengio, small biases."""
        rng = np.random.default_rng(1)
        values = []
        for fan_in, fan_out in pairwise(self.widths):
            limit = (6 / (fan_in + fan_out)) ** 0.5
            values.append(rng.uniform(-limit, limit, (fan_in, fan_out)).astype(np.float32))
            values.append(rng.uniform(-0.1, 0.1, (1, fan_out)).astype(np.float32))
        return values

    def data(self) -> list[Array]:
        """Return a batch of inputs and targets in float32."""
        if self.samples is not None:
            return [array.astype(np.float32) for array in self.samples]
        rng = np.random.default_rng(0)
        X = self._apart(rng.standard_normal((self.batch + self.batch // 4 + 8, self.widths[0])).astype(np.float32))
        shape = (self.batch, self.widths[-1])
        if self.head == "softmax":
            return [X, np.eye(shape[1], dtype=np.float32)[rng.integers(shape[1], size=shape[0])]]
        if self.head == "sigmoid":
            return [X, rng.integers(2, size=shape).astype(np.float32)]
        return [X, np.tanh(rng.standard_normal(shape)).astype(np.float32)]

    def _apart(self, X: Array) -> Array:
        """Return a batch of the samples at which every relu is further from its kink than float32 rounds.

        Else a unit may fall on either side of it, and a right gradient would differ from the reference.
        """
        A, far = X.astype(np.float64), np.ones(len(X), bool)
        weights = [p.astype(np.float64) for p in self.parameters()]
        for W, b in list(zip(weights[0::2], weights[1::2], strict=True))[:-1] if self.hidden == "relu" else []:
            Z = A @ W + b
            far &= np.abs(Z).min(axis=1) > MARGIN
            A = np.maximum(Z, 0)
        return X[far][: self.batch]

    # -----------------------------------------------------------------------------------------------------
    # The reference: plain NumPy in float64, which shares nothing with any peer

    def gradients(self, parameters: list[Array], data: list[Array]) -> tuple[float, list[Array]]:
        """Return the loss and its gradients in float64."""
        W = [w.astype(np.float64) for w in parameters[0::2]]
        b = [v.astype(np.float64) for v in parameters[1::2]]
        X, Y = (array.astype(np.float64) for array in data)
        m = X.shape[0]
        A = [X]
        for k in range(self.layers):
            Z = A[-1] @ W[k] + b[k]
            if k < self.layers - 1:
                A.append(np.tanh(Z) if self.hidden == "tanh" else np.maximum(Z, 0))
        if self.head == "softmax":
            log_p = Z - Z.max(axis=1, keepdims=True)
            log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
            loss, D = -(Y * log_p).sum() / m, (np.exp(log_p) - Y) / m
        elif self.head == "sigmoid":
            loss, D = (np.logaddexp(0, Z) - Y * Z).sum() / m, (1 / (1 + np.exp(-Z)) - Y) / m
        else:
            loss, D = ((Z - Y) ** 2).sum() / (2 * m), (Z - Y) / m
        gradients: list[Array] = []
        for k in reversed(range(self.layers)):
            gradients = [A[k].T @ D, D.sum(axis=0, keepdims=True), *gradients]
            if k:
                D = (D @ W[k].T) * (1 - A[k] ** 2 if self.hidden == "tanh" else A[k] > 0)
        return float(loss), gradients

    def trained(self, parameters: list[Array], data: list[Array], steps: int) -> list[Array]:
        """Return the parameters after some steps of gradient descent, in float64."""
        values = [p.astype(np.float64) for p in parameters]
        for _ in range(steps):
            _, gradients = self.gradients(values, data)
            values = [p - self.rate * g for p, g in zip(values, gradients, strict=True)]
        return values

    # -----------------------------------------------------------------------------------------------------
    # What a step costs at least

    def flop(self) -> int:
        """Return the operations in the matrix products: forward, dW, and dX of all layers but the first."""
        products = [2 * self.batch * fan_in * fan_out for fan_in, fan_out in pairwise(self.widths)]
        return 3 * sum(products) - products[0]

    def numbers(self) -> dict[str, int]:
        """Return how many numbers there are: parameters, inputs, hidden activations."""
        return {
            "parameters": sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(self.widths)),
            "inputs": self.batch * self.widths[0],
            "hidden": self.batch * sum(self.widths[1:-1]),
        }

    def bytes_moved(self) -> int:
        """Return the bytes that must move: parameters are read, read again and written; inputs and activations twice.

        The forward pass ends before the update begins, so parameters are read by both; the update writes them.
        Inputs are read by the forward pass and by dW, hidden activations are written and read.
        """
        count = self.numbers()
        return 4 * (3 * count["parameters"] + 2 * count["inputs"] + 2 * count["hidden"])

    def bytes_held(self) -> int:
        """Return the working set: parameters, inputs, hidden activations, each once."""
        return 4 * sum(self.numbers().values())
