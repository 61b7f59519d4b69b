"""JAX, one call of a compiled step after the other; the parameters are donated, so that they are updated in place."""

from __future__ import annotations

from typing import Any

from . import _jax

LABEL = "JAX jit"
FRAMEWORK = True


def setup(workload: Any, parameters: Any, data: Any, threads: int) -> Any:
    """Return the peer."""
    return Jit(workload, parameters, data)


class Jit(_jax.Jax):
    """A call per step."""

    def __init__(self, workload: Any, parameters: Any, data: Any) -> None:
        super().__init__(workload, parameters, data)
        self.compiled = self.jax.jit(self.step, donate_argnums=0)

    def run(self, steps: int) -> float:
        """Take the steps."""
        step, values = self.compiled, self.values
        for _ in range(steps):
            loss, values = step(values)
        self.values = self.jax.block_until_ready(values)
        return float(loss)
