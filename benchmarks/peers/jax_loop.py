"""JAX, all steps of a call inside ``fori_loop``: what remains when there is no call per step."""

from __future__ import annotations

from typing import Any

from . import _jax

LABEL = "JAX, loop inside jit"
FRAMEWORK = True


def setup(workload: Any, parameters: Any, data: Any, threads: int) -> Any:
    """Return the peer."""
    return Loop(workload, parameters, data)


class Loop(_jax.Jax):
    """A call for many steps."""

    def __init__(self, workload: Any, parameters: Any, data: Any) -> None:
        super().__init__(workload, parameters, data)
        jax, step = self.jax, self.step

        def many(values: Any, steps: Any) -> Any:
            def body(_: Any, carried: Any) -> Any:
                return step(carried[1])

            return jax.lax.fori_loop(0, steps, body, (jax.numpy.float32(0), values))

        self.compiled = jax.jit(many, donate_argnums=0)

    def run(self, steps: int) -> float:
        """Take the steps."""
        loss, self.values = self.jax.block_until_ready(self.compiled(self.values, steps))
        return float(loss)
