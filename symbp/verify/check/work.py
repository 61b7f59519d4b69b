"""The work that is judged: lines that assign, and what they assigned - in whatever language it was written."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

Where = tuple[int, tuple[int, ...], str]
"""One assignment that ran: the index of its line, the counts of the loops around it, the target as it is then.

``(4, (), "dW1")``, ``(6, (3,), "dH[3]")``, ``(6, (2,), "grads['W2']")``.
"""


CASCADE = "C006"
"""The code of the failure of a line that cannot be evaluated because of another one that cannot."""


@dataclass(frozen=True)
class Line:
    """A statement that assigns, as it was written.

    file:      the name to show; for a notebook ``cell 4``.
    line:      the line of its first character, counted from 1.
    column:    the column of its first character, counted from 1.
    source:    its first physical line, for the caret.
    statement: its syntax tree; positions in it count lines of the file from 1 and columns from 0.
    targets:   what it assigns, as written: ``dW1``, ``dH[t]``, ``grads['W' + str(l)]``.
    about:     what a comment says that it is: ``of: Z1`` or ``is: W2.T @ dZ2``; else nothing.
    """

    file: str
    line: int
    column: int
    source: str
    statement: ast.stmt
    targets: tuple[str, ...]
    about: str = ""


@dataclass(frozen=True)
class Failure:
    """A line that could not be evaluated, e.g. because shapes do not fit.

    where: the assignment that broke off, if it is known which.
    column, length: the place in the line's text, counted from 1, where it is known.
    source: the failure of another line, if that is the reason.
    """

    line: int
    code: str
    message: str
    label: str = ""
    where: Where | None = None
    column: int = 0
    length: int = 1
    help: str = ""
    source: Failure | None = None


@dataclass(frozen=True)
class Run:
    """What one evaluation of the work assigned, in order, and where it broke off."""

    values: Mapping[Where, Array]
    failure: Failure | None = None


class Work(Protocol):
    """Somebody's lines, which can be evaluated at a draw, with values mended and with lines put in their place."""

    @property
    def lines(self) -> tuple[Line, ...]:
        """Return the lines in the order in which they were written."""

    def run(
        self, draw: int, mends: Mapping[Where, Array] | None = None, edits: Mapping[int, ast.stmt] | None = None,
        until: Where | None = None,
    ) -> Run:
        """Evaluate the lines in order at a draw.

        draw:  the number of the draw; every draw has sizes and values of its own.
        mends: values that take the place of what was assigned there; evaluation goes on with them.
        edits: statements that stand in place of lines, by index.
        until: an assignment behind which evaluation may end, if it is all that is asked for.
        """

    def stated_value(self, line: int, where: Where, draw: int) -> Array | None:
        """Return the value that a comment ``# is: ...`` of a line defines; None if there is none that can be read."""
