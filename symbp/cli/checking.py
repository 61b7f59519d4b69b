"""What ``symbp check`` reads, judges and prints."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from symbp import pipeline
from symbp.cli.outcome import BadInput, shown
from symbp.language.files import file_text, input_text
from symbp.program import Program
from symbp.verify.check.text import text_of
from symbp.verify.check.verdict import Judgement


MOST_BYTES = 200_000_000
"""Bytes of data that are read."""


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
        return read(mine)
    if mine is not None or line == "-":
        return Given(input_text(), "<stdin>")
    if line is None:
        raise BadInput("what is to be checked? symbp check NET --mine FILE, or symbp check NET 'dW1 = dZ1 @ X.T'")
    return Given(line, "<line>")


def read(path: Path) -> Given:
    """Return the work that a file holds."""
    return Given(file_text(path, shown(path)), shown(path))


@dataclass(frozen=True)
class Training:
    """How training is to be looked at: the data, the start, the rate and the number of steps."""

    data: str = "xor"
    start: Path | None = None
    rate: float = 0.5
    steps: int = 500


def with_training(found: Judgement, program: Program, training: Training, seed: int) -> Judgement:
    """Return the judgement with what was measured of a training; it says stuck where that was seen.

    Raises ``BadInput`` where data or start do not fit the network.
    """
    from symbp.verify.check.samples import XOR, NoTraining, columns_or_rows, values_of
    from symbp.verify.check.training import measured

    model = pipeline.model(program)
    try:
        given = columns_or_rows(model, XOR) if training.data == "xor" else values_of(model, arrays(Path(training.data)))
        start = {} if training.start is None else values_of(model, arrays(training.start))
        seen = measured(model, given, start, training.rate, training.steps, seed)
    except NoTraining as error:
        raise BadInput(str(error)) from None
    verdict = "gradient right, training stuck" if seen.stuck and found.good else found.verdict
    return replace(found, verdict=verdict, remarks=(*found.remarks, *seen.told))


def arrays(path: Path) -> Mapping[str, np.ndarray[Any, Any]]:
    """Return the arrays of an .npz file, of numbers only; nothing in it is executed."""
    try:
        with zipfile.ZipFile(path) as parts:
            if sum(part.file_size for part in parts.infolist()) > MOST_BYTES:
                raise BadInput(f"{path} holds more than {MOST_BYTES} bytes")
        with np.load(path, allow_pickle=False) as file:
            found = {name: np.asarray(file[name]) for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, MemoryError):
        raise BadInput(f"{path} is no .npz file of plain arrays that can be read") from None
    for name, array in found.items():
        if array.dtype.kind not in "biuf":
            raise BadInput(f"{path}: {name} does not hold numbers")
    return {name: array.astype(float) for name, array in found.items()}


def judged(program: Program, work: Given, seed: int, loss: str = "") -> Judgement:
    """Return the judgement on a work.

    loss: ``sum``: the loss of the work is the sum over the samples, where that of the network is the mean.
    """
    if loss not in ("", "sum"):
        raise BadInput(f"--loss {loss}: beside a network it is `sum`, for a loss without 1/m")
    return pipeline.check(program, work.text, filename=work.name, seed=seed, loss="sum" if loss else "declared")


__all__ = ["Given", "given", "judged", "read", "text_of"]
