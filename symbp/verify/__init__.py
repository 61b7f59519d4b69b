"""Verification: the judge is not the accused.

The reference evaluator, the exact witness and the index normal form share no code with the engine or the printers;
what they judge is handed to them as Programs and Derivations.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from symbp.verify.draws import NoDraw, choose_sizes, draw
from symbp.verify.module import check_module, load_module
from symbp.verify.programs import check_derivation, gradient_check
from symbp.verify.report import Verdict, all_ok, as_json, as_junit, rows, summary, text_table
from symbp.verify.scalars import EvaluationError, UnknownOperation
from symbp.verify.steps import check_steps
from symbp.verify.witnesses import Finding

__all__ = [
    "EvaluationError", "Finding", "NoDraw", "UnknownOperation", "Verdict", "all_ok", "as_json", "as_junit",
    "check_derivation", "check_module", "check_steps", "choose_sizes", "draw", "gradient_check",
    "load_module", "rows", "summary", "text_table",
]


class _Callable(ModuleType):
    """The package is also the verb ``symbp.verify(network)``: importing the one must not hide the other."""

    def __call__(self, source: Any, **options: Any) -> list[Verdict]:
        """Check a network's derivation and its generated module; see ``symbp.pipeline.verify``."""
        verdicts: list[Verdict] = import_module("symbp.pipeline").verify(source, **options)
        return verdicts


sys.modules[__name__].__class__ = _Callable
