"""Errors of student code: a mistake with the node at which it happened, and what Python and NumPy say, as a mistake."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from symbp.language.diagnostics import Mistake

PYTHON_ERRORS = (
    ArithmeticError, LookupError, ValueError, TypeError, AttributeError, MemoryError, RecursionError, RuntimeError,
    BufferError,
)
"""What NumPy and Python raise when values do not fit; each becomes a diagnostic."""


class Located(Exception):
    """A mistake with the node at which it happened.

    scope:   what the statement saw.
    through: the statements that it came through, the innermost first.
    """

    def __init__(self, mistake: Mistake, node: ast.AST) -> None:
        super().__init__(str(mistake))
        self.mistake, self.node = mistake, node
        self.scope: Mapping[str, Any] = {}
        self.through: list[ast.stmt] = []

    def __reduce__(self) -> tuple[type[Exception], tuple[str]]:
        return RuntimeError, (str(self),)  # the node stays in its process


def is_limit(error: Exception | None) -> bool:
    """Tell whether a run ended at a budget: other shapes would not help."""
    return isinstance(error, Located) and "C120" <= error.mistake.code <= "C124"


UNREAD = ("C102", "C103", "C105", "C111", "C112", "C113", "C115")
"""What Python may well do and is not read here."""


def is_unread(error: Exception | None) -> bool:
    """Tell whether a run ended at what is not read: nothing is known of the lines behind it, nor of the gradients."""
    return isinstance(error, Located) and error.mistake.code in UNREAD


def from_python(error: Exception) -> Mistake:
    """Return the diagnostic for an error that NumPy or Python raised."""
    text = str(error).splitlines()[0][:160] if str(error) else ""
    if isinstance(error, RecursionError):
        return Mistake("C123", "the code is nested too deeply")
    if isinstance(error, MemoryError):
        return Mistake("C121", "the code needs too much memory")
    if isinstance(error, ZeroDivisionError):
        return Mistake("C114", "division by zero")
    if isinstance(error, KeyError):
        return Mistake("C114", f"there is no key {text}")
    if isinstance(error, IndexError):
        return Mistake("C114", f"an index is out of range: {text}")
    if "not aligned" in text or "broadcast" in text or "mismatch in its core dimension" in text:
        return Mistake("C117", f"shapes do not fit: {text}")
    return Mistake("C110", f"NumPy says: {text}" if text else type(error).__name__)
