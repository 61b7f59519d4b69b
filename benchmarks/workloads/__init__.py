"""The workloads: each module of this package that does not begin with an underscore holds one, named WORKLOAD.

A workload is an object with

- ``name``, ``title``, ``declaration`` (in the language of symbp), ``sizes``, ``rate``,
- ``parameters()`` and ``data()``: float32 arrays in declared order,
- ``gradients(parameters, data)`` and ``trained(parameters, data, steps)``: the float64 reference,
- ``flop()``, ``bytes_moved()``, ``bytes_held()``: what the floor is made of.

Dense networks are ``_dense.Dense``; others state their loss for each library themselves (``_network.Network``).  Peers
that do not know a workload say so.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

ORDER = ("xor", "iris", "mlp_1", "mlp_32", "mlp_256", "wide", "deep", "lstm", "batch_norm", "transformer")
"""The order in tables; others follow by name."""


def names() -> list[str]:
    """Return the names of the workloads."""
    found = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    return sorted(found, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def workload(name: str) -> Any:
    """Return the workload with this name."""
    return importlib.import_module(f"{__name__}.{name}").WORKLOAD
