"""symbp: backpropagation in matrix form, derived step by step, generated as code, checked by independent witnesses.

import symbp

network = symbp.read("mlp.net")
derivation = symbp.derive(network)
files = symbp.generate(derivation, target="numpy")
verdicts = symbp.verify(network)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from symbp.version import VERSION

__version__ = VERSION

if TYPE_CHECKING:
    from symbp.derivation import Derivation, Result, Step
    from symbp.language import Dense, Dropout, Model, Sequential, read, read_expression
    from symbp.pipeline import derive, generate, picture, verify
    from symbp.program import Program

# SymPy takes half a second to import: names are loaded when they are first used, so that --help answers at once.
_HOME = {
    "derive": "symbp.pipeline",
    "generate": "symbp.pipeline",
    "picture": "symbp.pipeline",
    "verify": "symbp.pipeline",
    "read": "symbp.language",
    "read_expression": "symbp.language",
    "Sequential": "symbp.language",
    "Dense": "symbp.language",
    "Dropout": "symbp.language",
    "Model": "symbp.language",
    "Program": "symbp.program",
    "Derivation": "symbp.derivation",
    "Result": "symbp.derivation",
    "Step": "symbp.derivation",
}

__all__ = [
    "Dense",
    "Derivation",
    "Dropout",
    "Model",
    "Program",
    "Result",
    "Sequential",
    "Step",
    "__version__",
    "derive",
    "generate",
    "picture",
    "read",
    "read_expression",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'symbp' has no attribute {name!r}")
    import_module("symbp.render")  # so that what comes back shows itself as mathematics
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
