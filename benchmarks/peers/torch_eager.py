"""PyTorch, eager: autograd, and one fused update of all parameters; nothing that a careful user would leave out."""

from __future__ import annotations

from typing import Any

from . import _torch

LABEL = "PyTorch eager"
FRAMEWORK = True


def setup(workload: Any, parameters: Any, data: Any, threads: int) -> Any:
    """Return the peer."""
    return Eager(workload, parameters, data, threads)


class Eager(_torch.Torch):
    """Loss, gradients and update, each a few calls."""

    def run(self, steps: int) -> float:
        """Take the steps."""
        torch, values, loss_of, rate = self.torch, self.values, self.loss_of, self.workload.rate
        with torch.no_grad():
            for _ in range(steps):
                with torch.enable_grad():
                    loss = loss_of(values)
                    gradients = torch.autograd.grad(loss, values)
                torch._foreach_add_(values, gradients, alpha=-rate)
        return float(loss.item())
