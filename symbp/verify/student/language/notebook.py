"""The code cells of a notebook as one file; magics and lines for the shell are left out."""

from __future__ import annotations

import json
from typing import Any

from symbp.language.diagnostics import DeclarationError, Diagnostic

MOST_BYTES = 20_000_000
MOST_CHARACTERS = 1_000_000

Places = tuple[tuple[str, int], ...]


def cells(data: bytes, name: str) -> tuple[str, Places, tuple[str, ...]]:
    """Return the text of all code cells, the cell and line of each line, and remarks on what was left out.

    Raises ``DeclarationError`` for a file that is no notebook.
    """
    try:
        content: Any = json.loads(data) if len(data) <= MOST_BYTES else None
        found = [c for c in content["cells"] if c["cell_type"] == "code"]
        texts = ["".join(c["source"]) if isinstance(c["source"], list) else str(c["source"]) for c in found]
    except (ValueError, KeyError, TypeError, RecursionError):
        message = "the file is not a notebook: a JSON file with `cells`"
        raise DeclarationError([Diagnostic("C101", message, name, 1, 1)]) from None
    lines: list[str] = []
    places: list[tuple[str, int]] = []
    left_out = 0
    for number, text in enumerate(texts, 1):
        is_magic_cell = text.lstrip().startswith("%%")
        for at, line in enumerate(text.split("\n"), 1):
            is_magic = is_magic_cell or line.lstrip().startswith(("%", "!", "?")) or line.rstrip().endswith("?")
            left_out += is_magic and bool(line.strip())
            # The line keeps its place and its indentation, so that a block that held nothing else stays a block.
            lines.append(line[: len(line) - len(line.lstrip())] + "pass" if is_magic and line.strip() else line)
            places.append((f"cell {number}", at))
    remarks = (f"{left_out} lines of magics or for the shell are left out",) if left_out else ()
    return "\n".join(lines)[: MOST_CHARACTERS + 1], tuple(places), remarks
