"""What both PyTorch peers share: the loss, and parameters in and out."""

from __future__ import annotations

from typing import Any

from . import Unavailable


class Torch:
    """A network in PyTorch; subclasses say what a step is."""

    def __init__(self, workload: Any, parameters: Any, data: Any, threads: int) -> None:
        try:
            import torch
        except ImportError as error:
            raise Unavailable("PyTorch is not installed") from error
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1) if torch.get_num_interop_threads() != 1 else None
        self.torch, self.workload = torch, workload
        self.values = [torch.tensor(p, requires_grad=True) for p in parameters]
        tensors = [torch.tensor(array) for array in data]
        own = getattr(workload, "torch_loss", None)
        self.loss_of = own(torch, tensors) if own else dense_loss(torch, workload, *tensors)
        self.note = f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, MKL and oneDNN"

    def parameters(self) -> list[Any]:
        """Return the present parameters."""
        return [value.detach().numpy().copy() for value in self.values]

    def gradients(self) -> list[Any]:
        """Return the gradients of the loss."""
        return [g.numpy().copy() for g in self.torch.autograd.grad(self.loss_of(self.values), self.values)]


def dense_loss(torch: Any, workload: Any, X: Any, Y: Any) -> Any:
    """Return the loss of a dense network as a function of the parameters."""
    F = torch.nn.functional
    activation = {"tanh": torch.tanh, "relu": torch.relu}[workload.hidden]
    last, m = workload.layers - 1, X.shape[0]
    classes = Y.argmax(dim=1)

    def loss_of(values: Any) -> Any:
        A = X
        for k in range(last + 1):
            A = torch.addmm(values[2 * k + 1], A, values[2 * k])
            if k < last:
                A = activation(A)
        if workload.head == "softmax":
            return F.cross_entropy(A, classes)
        if workload.head == "sigmoid":
            return F.binary_cross_entropy_with_logits(A, Y)
        return F.mse_loss(A, Y, reduction="sum") / (2 * m)

    return loss_of
