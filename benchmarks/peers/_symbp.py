"""What the peers that symbp writes share: generation, the NumPy module, and the net in C."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np

from . import Unavailable, _machine, _native


def generated(workload: Any, **options: Any) -> dict[str, str]:
    """Return what symbp writes for a workload; raise ``Unavailable`` where it cannot."""
    try:
        from symbp.pipeline import derive, generate
    except ImportError as error:
        raise Unavailable("symbp is not installed") from error
    try:
        files: dict[str, str] = generate(
            derive(workload.declaration),
            dtype="float32",
            declaration=workload.declaration,
            **options,
        )
    except KeyError as error:
        raise Unavailable(f"symbp does not know {error}") from error
    except (TypeError, ValueError, NotImplementedError) as error:
        raise Unavailable(f"symbp does not generate it: {error}") from error
    return files


class NumPyModule:
    """A generated NumPy module."""

    def __init__(self, workload: Any, parameters: Any, data: Any, workspace: bool = False) -> None:
        options = {"workspace": True} if workspace else {}
        files = generated(workload, target="numpy", name="network", **options)
        self.module = module = types.ModuleType("generated_network")
        sys.modules[module.__name__] = module
        exec(compile(files["network.py"], "network.py", "exec"), module.__dict__)  # noqa: S102 - our own text
        self.values = module.Params(*(np.array(p) for p in parameters))
        self.inputs = module.Inputs(*data)
        self.rate, self.workspace = workload.rate, workspace
        self.space = module.Workspace(self.values, self.inputs) if workspace else None
        self.note = _machine.blas_note()

    def run(self, steps: int) -> float:
        """Take the steps."""
        if self.workspace:
            loss = float(self.space.train(self.rate, steps))
            self.values = self.space.params
            return loss
        step, values, inputs, rate = self.module.train_step, self.values, self.inputs, self.rate
        for _ in range(steps):
            loss, values = step(values, inputs, rate)
        self.values = values
        return float(loss)

    def parameters(self) -> list[Any]:
        """Return the present parameters."""
        return [np.array(value) for value in self.values]

    def gradients(self) -> list[Any]:
        """Return the gradients of the loss."""
        _, gradients = self.module.loss_and_gradients(self.values, self.inputs)
        return [np.array(gradient) for gradient in gradients]


def generated_net(workload: Any, parameters: Any, data: Any, flags: list[str], libraries: list[str]) -> _native.Net:
    """Return the net that symbp writes in C."""
    files = generated(workload, target="c", name="net", sizes=workload.sizes)
    kept = {name: text for name, text in files.items() if name in ("net.h", "net.c")}
    return _native.Net(kept, flags, libraries, workload, parameters, data)
