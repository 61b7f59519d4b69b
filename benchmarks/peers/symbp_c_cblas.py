"""The C that symbp writes, with large products by CBLAS."""

from __future__ import annotations

from typing import Any

from . import _symbp

LABEL = "symbp C, CBLAS"


def setup(workload: Any, parameters: Any, data: Any, threads: int) -> Any:
    """Return the peer."""
    return _symbp.generated_net(workload, parameters, data, ["-DNET_USE_CBLAS"], ["-lopenblas"])
