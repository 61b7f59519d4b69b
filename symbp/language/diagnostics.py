"""Diagnostics: what is wrong with a declaration, where, and how to mend it.

A diagnostic has a code (``symbp explain S001``), one sentence, a place, and mostly a label under the caret and a
help line.  All errors of a file are collected in a ``Report`` and raised together as one ``DeclarationError``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MOST_DIAGNOSTICS = 100
"""More diagnostics than this are counted, not kept."""
MOST_DROPPED = 10_000
"""Reading ends when so many more were counted."""


@dataclass(frozen=True)
class Span:
    """A place: line and column count from 1; ``length`` is the number of characters under the caret."""

    line: int
    column: int
    length: int = 1


@dataclass(frozen=True)
class Diagnostic:
    """One error of a declaration.

    code:    the diagnostic code, a key of ``symbp.language.codes.CODES``.
    message: one sentence without a full stop.
    file:    the name of the file, as it is to be shown.
    line:    the line, counted from 1.
    column:  the column at which the caret starts, counted from 1.
    length:  the number of characters under the caret.
    source:  the text of the line.
    label:   what stands behind the caret, e.g. the shapes of the operands.
    help:    how to mend it.
    """

    code: str
    message: str
    file: str
    line: int
    column: int
    length: int = 1
    source: str = ""
    label: str = ""
    help: str = ""

    def render(self) -> str:
        """Return the diagnostic as it is printed: message, place, line, caret, help."""
        width = len(str(self.line))
        margin = " " * (width + 1)
        lines = [f"error[{self.code}]: {self.message}", f"{margin}--> {self.file}:{self.line}:{self.column}"]
        if self.source.strip():
            # A line of a hostile file may be a megabyte long: a window around the caret is shown.
            start = 0 if self.column <= 100 else self.column - 40
            shown = self.source[start : start + 120]
            caret = "^" * max(1, min(self.length, len(shown) - (self.column - 1 - start)))
            lines.append(f" {self.line} | {shown.expandtabs(1)}")
            lines.append(f"{margin} | {' ' * (self.column - 1 - start)}{caret} {self.label}".rstrip())
        if self.help:
            lines.append(f"{margin} = help: {self.help}")
        return "\n".join(lines)

    def json(self) -> dict[str, str | int]:
        """Return the diagnostic as a plain dictionary."""
        return {
            "code": self.code,
            "message": self.message,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "length": self.length,
            "source": self.source,
            "label": self.label,
            "help": self.help,
        }

    def __str__(self) -> str:
        return self.render()


class DeclarationError(Exception):
    """A declaration that cannot be read; ``diagnostics`` has every error, in the order of the lines."""

    def __init__(self, diagnostics: Sequence[Diagnostic], dropped: int = 0) -> None:
        self.diagnostics = tuple(diagnostics)
        self.dropped = dropped
        super().__init__(self.render())

    def render(self) -> str:
        """Return all diagnostics as they are printed."""
        more = [f"and {self.dropped} more errors"] if self.dropped else []
        return "\n\n".join([*(d.render() for d in self.diagnostics), *more])

    def json(self) -> list[dict[str, str | int]]:
        """Return all diagnostics as plain dictionaries."""
        return [d.json() for d in self.diagnostics]

    def __reduce__(self) -> tuple[type[DeclarationError], tuple[Sequence[Diagnostic], int]]:
        return type(self), (self.diagnostics, self.dropped)


class Mistake(Exception):
    """An error whose place is known to the caller; it becomes a ``Diagnostic`` where it is caught."""

    def __init__(self, code: str, message: str, help: str = "", label: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.help, self.label = code, message, help, label


class Stop(Exception):
    """Thrown where an expression cannot be read further; its error has been reported."""


@dataclass
class Report:
    """The diagnostics of one text, in the making."""

    file: str
    lines: Sequence[str]
    found: list[Diagnostic] = field(default_factory=list)
    dropped: int = 0
    _places: set[tuple[str, str, Span]] = field(default_factory=set)

    def add(self, code: str, message: str, span: Span, help: str = "", label: str = "") -> None:
        """Note one error at ``span``."""
        if len(self.found) >= MOST_DIAGNOSTICS:
            self.dropped += 1
            if self.dropped >= MOST_DROPPED:
                self.raise_if_any()  # whoever has so many errors has another problem
            return
        if (code, message, span) in self._places:
            return
        self._places.add((code, message, span))
        source = self.lines[span.line - 1] if 1 <= span.line <= len(self.lines) else ""
        self.found.append(
            Diagnostic(code, message, self.file, span.line, span.column, span.length, source, label, help)
        )

    def add_mistake(self, mistake: Mistake, span: Span) -> None:
        """Note a mistake at ``span``."""
        self.add(mistake.code, mistake.message, span, mistake.help, mistake.label)

    def raise_if_any(self) -> None:
        """Raise ``DeclarationError`` with everything found, in the order of the lines."""
        if self.found:
            raise DeclarationError(sorted(self.found, key=lambda d: (d.line, d.column)), self.dropped)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that ``word`` was probably meant to be, or None."""
    candidates = list(known)
    folded = {c.lower(): c for c in candidates}
    if word.lower() in folded:
        return folded[word.lower()]
    letters = sorted(word.lower())
    swapped = [c for c in candidates if sorted(c.lower()) == letters]
    close = swapped or difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean `x`?``, or an empty string."""
    found = nearest(word, known)
    return f"did you mean `{found}`?" if found else ""
