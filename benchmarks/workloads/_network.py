"""What workloads beyond dense layers share: first parameters, data, the float64 reference, what a step costs at least.

A workload states its loss four times, each as a careful user of that library would: ``loss_and_gradients`` in NumPy,
the reference in float64 and a peer in float32; ``torch_loss`` and ``jax_loss``, which are handed the library; and the
declaration in the language of symbp.  The frameworks differentiate by themselves, so they check the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Network:
    """A network with a fixed batch.

    shapes: the shape of each parameter, in declared order; a last side of 1 is a bias or a scale.
    ones:   the parameters that start near 1 instead of near 0.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    declaration: ClassVar[str]
    sizes: ClassVar[Mapping[str, int]]
    rate: ClassVar[float]
    shapes: ClassVar[Mapping[str, tuple[int, ...]]]
    ones: ClassVar[tuple[str, ...]] = ()

    def names(self) -> list[str]:
        """Return the names of the parameters."""
        return list(self.shapes)

    def parameters(self) -> list[Array]:
        """Return first parameters in float32: uniform weights after Glorot and Bengio, small biases, scales near 1."""
        rng = np.random.default_rng(1)
        values = []
        for name, shape in self.shapes.items():
            limit = 0.1 if shape[-1] == 1 else (6 / (shape[-1] + shape[-2])) ** 0.5
            values.append((rng.uniform(-limit, limit, shape) + (name in self.ones)).astype(np.float32))
        return values

    def data(self) -> list[Array]:
        """Return the inputs in float32, in declared order, and after them the targets."""
        raise NotImplementedError

    def loss_and_gradients(self, parameters: list[Array], data: list[Array]) -> tuple[float, list[Array]]:
        """Return the loss and its gradients, in the type of the parameters."""
        raise NotImplementedError

    def torch_loss(self, torch: Any, data: list[Any]) -> Any:
        """Return the loss as a function of PyTorch tensors in declared order."""
        raise NotImplementedError

    def jax_loss(self, jax: Any, data: list[Any]) -> Any:
        """Return the loss as a function of JAX arrays in declared order."""
        raise NotImplementedError

    def products(self) -> list[tuple[int, int]]:
        """Return, for each matrix product, its multiply-adds in the forward pass and how often the step takes it."""
        raise NotImplementedError

    def hidden(self) -> int:
        """Return how many numbers the forward pass must keep for the backward pass."""
        raise NotImplementedError

    # -----------------------------------------------------------------------------------------------------

    def gradients(self, parameters: list[Array], data: list[Array]) -> tuple[float, list[Array]]:
        """Return the loss and its gradients in float64."""
        return self.loss_and_gradients(*([a.astype(np.float64) for a in part] for part in (parameters, data)))

    def trained(self, parameters: list[Array], data: list[Array], steps: int) -> list[Array]:
        """Return the parameters after some steps of gradient descent, in float64."""
        values = [p.astype(np.float64) for p in parameters]
        for _ in range(steps):
            _, gradients = self.gradients(values, data)
            values = [p - self.rate * g for p, g in zip(values, gradients, strict=True)]
        return values

    def flop(self) -> int:
        """Return the operations in the matrix products of a step."""
        return sum(2 * count * times for count, times in self.products())

    def numbers(self) -> dict[str, int]:
        """Return how many numbers there are: parameters, inputs, hidden activations."""
        return {
            "parameters": sum(int(np.prod(shape)) for shape in self.shapes.values()),
            "inputs": int(self.data()[0].size),
            "hidden": self.hidden(),
        }

    def bytes_moved(self) -> int:
        """Return the bytes that must move: parameters are read, read again and written; the rest twice."""
        count = self.numbers()
        return 4 * (3 * count["parameters"] + 2 * count["inputs"] + 2 * count["hidden"])

    def bytes_held(self) -> int:
        """Return the working set: parameters, inputs, hidden activations, each once."""
        return 4 * sum(self.numbers().values())


def one_hot(rng: np.random.Generator, classes: int, samples: int) -> Array:
    """Return random classes as one-hot columns."""
    return np.eye(classes, dtype=np.float32)[:, rng.integers(classes, size=samples)]


def cross_entropy(Z: Array, Y: Array) -> tuple[Any, Array]:
    """Return the cross-entropy of a softmax over columns, and the gradient with respect to its argument."""
    m = Z.shape[1]
    log_p = Z - Z.max(axis=0, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(axis=0, keepdims=True))
    return -(Y * log_p).sum() / m, (np.exp(log_p) - Y) / m
