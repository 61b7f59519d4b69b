"""What both JAX peers share: the loss, the step, and parameters in and out."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import Unavailable


class Jax:
    """A network in JAX; subclasses say how steps are run."""

    def __init__(self, workload: Any, parameters: Any, data: Any) -> None:
        try:
            import jax
        except ImportError as error:
            raise Unavailable("JAX is not installed") from error
        self.jax = jax
        self.values = [jax.numpy.array(p) for p in parameters]
        arrays, rate = [jax.numpy.array(array) for array in data], workload.rate
        own = getattr(workload, "jax_loss", None)
        loss_of = own(jax, arrays) if own else dense_loss(jax, workload, *arrays)

        def step(values: Any) -> Any:
            loss, gradients = jax.value_and_grad(loss_of)(values)
            return loss, [p - rate * g for p, g in zip(values, gradients, strict=True)]

        self.step, self.gradients_of = step, jax.jit(jax.grad(loss_of))
        self.note = f"jax {jax.__version__}, XLA for {jax.devices()[0].platform}"

    def parameters(self) -> list[Any]:
        """Return the present parameters."""
        return [np.array(value) for value in self.values]

    def gradients(self) -> list[Any]:
        """Return the gradients of the loss."""
        return [np.array(g) for g in self.gradients_of(self.values)]


def dense_loss(jax: Any, workload: Any, X: Any, Y: Any) -> Any:
    """Return the loss of a dense network as a function of the parameters."""
    nn, jnp = jax.nn, jax.numpy
    activation = {"tanh": jnp.tanh, "relu": nn.relu}[workload.hidden]
    last, m = workload.layers - 1, X.shape[0]

    def loss_of(values: Any) -> Any:
        A = X
        for k in range(last + 1):
            A = A @ values[2 * k] + values[2 * k + 1]
            if k < last:
                A = activation(A)
        if workload.head == "softmax":
            return -(Y * nn.log_softmax(A, axis=1)).sum() / m
        if workload.head == "sigmoid":
            return (nn.softplus(A) - Y * A).sum() / m
        return ((A - Y) ** 2).sum() / (2 * m)

    return loss_of
