"""What ``symbp check`` reads, judges and prints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from symbp import pipeline
from symbp.cli.outcome import BadInput, shown
from symbp.language.files import file_text, input_text
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
        return Given(file_text(mine, shown(mine)), shown(mine))
    if mine is not None or line == "-":
        return Given(input_text(), "<stdin>")
    if line is None:
        raise BadInput("what is to be checked? symbp check NET --mine FILE, or symbp check NET 'dW1 = dZ1 @ X.T'")
    return Given(line, "<line>")


def judged(program: Program, work: Given, seed: int) -> Judgement:
    """Return the judgement on a work."""
    return pipeline.check(program, work.text, filename=work.name, seed=seed)


__all__ = ["Given", "given", "judged", "text_of"]
