"""The files of homework that the tests run over, each in two conventions of scale."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "homework"
FILES = sorted(FOLDER.glob("*.py"))
CONVENTIONS = ("first", "second")


def text_of(file: Path, convention: str) -> str:
    """Return a file in one of its conventions: behind ``#|`` stands what the second one has instead."""
    out = []
    for line in file.read_text(encoding="utf-8").split("\n"):
        code, bar, other = line.partition("#|")
        indent = re.match(r"\s*", code)
        out.append(f"{indent[0] if indent else ''}{other.strip()}" if bar and convention == "second" else code.rstrip())
    return "\n".join(out)


HEAVY = ("char_rnn", "conv_loops", "helper_functions", "lists", "lstm", "rnn_lists")
"""Files whose loops take their time: in the fast suite they run in one convention only, or not at all."""


def slowly(values: Iterable[Any], is_slow: Callable[[Any], bool]) -> list[Any]:
    """Return parameters of a test of which some belong to the slow suite."""
    return [pytest.param(v, marks=pytest.mark.slow) if is_slow(v) else v for v in values]


PAIRS = [(f, c) for f in FILES for c in CONVENTIONS]
every_pair = pytest.mark.parametrize(
    ("file", "convention"),
    [
        pytest.param(
            f, c, id=f"{f.stem}-{c}", marks=[pytest.mark.slow] if f.stem == "conv_loops" or (
                c == "second" and f.stem in HEAVY) else []
        )
        for f, c in PAIRS
    ],
)
