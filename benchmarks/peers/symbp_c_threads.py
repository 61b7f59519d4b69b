"""The C that symbp writes, with the batch split among threads."""

from __future__ import annotations

from typing import Any

from . import _symbp

LABEL = "symbp C, threads"
PARALLEL = True
ENVIRONMENT = {"OMP_PROC_BIND": "true"}


def setup(workload: Any, parameters: Any, data: Any, threads: int) -> Any:
    """Return the peer."""
    return _symbp.generated_net(workload, parameters, data, ["-DNET_USE_VECTOR", "-DNET_USE_OPENMP", "-fopenmp"], [])
