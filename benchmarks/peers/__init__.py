"""The peers: each module of this package that does not begin with an underscore is one implementation.

A peer is a module with

- ``LABEL``: the head of its column,
- ``setup(workload, parameters, data, threads)``: an object with ``run(steps)``, which takes that many training steps
  (forward, backward, SGD update of all parameters) and returns the last loss or None, and ``parameters()``, which
  returns the present parameters as arrays in declared order; optionally ``gradients()`` at the present parameters,
  ``note``, a text on how it was compiled or which kernels it runs, and ``compile_seconds``,
- optionally ``ENVIRONMENT``: variables that its process starts with, ``FRAMEWORK = True`` where it counts among the
  frameworks, ``SERIAL = True`` where it has one thread whatever it may use, and ``PARALLEL = True`` where it makes
  sense with several threads only.

Modules are imported by the coordinator too, which never imports a framework: import those inside ``setup``.
``Unavailable(reason)`` says that a peer cannot be had here or does not know a workload.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

ORDER = (
    "torch_eager",
    "torch_compile",
    "jax_jit",
    "jax_loop",
    "hand_numpy",
    "hand_c",
    "symbp_numpy",
    "symbp_numpy_workspace",
    "symbp_c",
    "symbp_c_vector",
    "symbp_c_cblas",
    "symbp_c_threads",
)
"""The order in tables; others follow by name."""


class Unavailable(Exception):
    """A peer that cannot be had here, with the reason."""


def names() -> list[str]:
    """Return the names of the peers."""
    found = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    return sorted(found, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def peer(name: str) -> ModuleType:
    """Return the module of the peer with this name."""
    return importlib.import_module(f"{__name__}.{name}")
