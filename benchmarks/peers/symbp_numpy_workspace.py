"""The NumPy module that symbp writes with a workspace: buffers for all temporaries, many steps in a call."""

from __future__ import annotations

from typing import Any

from . import _symbp

LABEL = "symbp NumPy, workspace"


def setup(workload: Any, parameters: Any, data: Any, threads: int) -> Any:
    """Return the peer."""
    return _symbp.NumPyModule(workload, parameters, data, workspace=True)
