"""The files of homework that the tests run over, each in two conventions of scale."""

from __future__ import annotations

import re
from pathlib import Path

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


every_file = pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
