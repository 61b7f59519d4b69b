"""PyTorch with torch.compile: one graph of loss, gradients and update, in Inductor's default mode.

The update is written as ``p.copy_(p - rate * g)`` on purpose.  In PyTorch 2.13.0 the compiled form of
``p.add_(g, alpha=-rate)`` ignores alpha, adds g and says nothing; the check before the timing finds that.
"""

from __future__ import annotations

from typing import Any

from . import _torch

LABEL = "torch.compile"
FRAMEWORK = True


def setup(workload: Any, parameters: Any, data: Any, threads: int) -> Any:
    """Return the peer."""
    return Compiled(workload, parameters, data, threads)


class Compiled(_torch.Torch):
    """The step as one compiled function."""

    def __init__(self, workload: Any, parameters: Any, data: Any, threads: int) -> None:
        super().__init__(workload, parameters, data, threads)
        torch, loss_of, rate = self.torch, self.loss_of, workload.rate
        torch._dynamo.reset()  # what was compiled for the networks before would count against a limit
        for value in self.values:
            value.requires_grad_(False)

        def step(values: Any) -> Any:
            gradients, loss = torch.func.grad_and_value(loss_of)(values)
            for p, g in zip(values, gradients, strict=True):
                p.copy_(p - rate * g)
            return loss

        self.step = torch.compile(step, fullgraph=True, dynamic=False)
        self.gradients_of = torch.compile(torch.func.grad(loss_of), fullgraph=True, dynamic=False)
        self.note += "; Inductor, default mode, C++ by the compiler it finds"

    def run(self, steps: int) -> float:
        """Take the steps."""
        step, values = self.step, self.values
        with self.torch.no_grad():
            for _ in range(steps):
                loss = step(values)
        return float(loss.item())

    def gradients(self) -> list[Any]:
        """Return the gradients of the loss."""
        return [g.numpy().copy() for g in self.gradients_of(self.values)]
