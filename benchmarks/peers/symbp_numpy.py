"""The NumPy module that symbp writes, its readable train_step."""

from __future__ import annotations

from typing import Any

from . import _symbp

LABEL = "symbp NumPy"


def setup(workload: Any, parameters: Any, data: Any, threads: int) -> Any:
    """Return the peer."""
    return _symbp.NumPyModule(workload, parameters, data)
