"""What ``symbp check`` reads, judges and prints."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from symbp import pipeline
from symbp.cli.outcome import BadInput, shown
from symbp.language.lines import MOST_CHARACTERS
from symbp.program import Program
from symbp.verify.check.text import text_of
from symbp.verify.check.verdict import Judgement


@dataclass(frozen=True)
class Given:
    """Somebody's work as it was given: its text, and what it is called."""

    text: str
    name: str


def given(mine: Path | None, line: str | None) -> Given:
    """Return the work: a file, standard input (``-``), or one line on the command line."""
    if mine is not None and line is not None:
        raise BadInput("the work is given twice: as --mine FILE and as a line")
    if mine is not None and str(mine) != "-":
        return Given(_read(mine), shown(mine))
    if mine is not None or line == "-":
        return Given(sys.stdin.read(MOST_CHARACTERS + 1), "<stdin>")
    if line is None:
        raise BadInput("what is to be checked? symbp check NET --mine FILE, or symbp check NET 'dW1 = dZ1 @ X.T'")
    return Given(line, "<line>")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(4 * MOST_CHARACTERS + 1)
        return data.decode("utf-8")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is no text in UTF-8") from None


def judged(program: Program, work: Given, seed: int) -> Judgement:
    """Return the judgement on a work."""
    return pipeline.check(program, work.text, filename=work.name, seed=seed)


__all__ = ["Given", "given", "judged", "text_of"]
