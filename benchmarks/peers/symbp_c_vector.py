"""The C that symbp writes, with its vector kernels."""

from __future__ import annotations

from typing import Any

from . import _symbp

LABEL = "symbp C, vector"
SERIAL = True


def setup(workload: Any, parameters: Any, data: Any, threads: int) -> Any:
    """Return the peer."""
    return _symbp.generated_net(workload, parameters, data, ["-DNET_USE_VECTOR"], [])
