"""The C that symbp writes, as it comes."""

from __future__ import annotations

from typing import Any

from . import _symbp

LABEL = "symbp C"
SERIAL = True


def setup(workload: Any, parameters: Any, data: Any, threads: int) -> Any:
    """Return the peer."""
    return _symbp.generated_net(workload, parameters, data, [], [])
