"""A folder of submissions: one table of verdicts, one child process for each file, identical wrong lines counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbp.cli.checking import Given, judged, read
from symbp.cli.outcome import BadInput
from symbp.language import DeclarationError
from symbp.program import Program
from symbp.verify import child
from symbp.verify.check.text import table
from symbp.verify.check.verdict import GOOD

LIMITS = child.Limits(seconds=10.0)
"""What the check of one file may use. Equations end by themselves; this is for what nobody has thought of."""

HEADER = ("file", "verdict", "line", "code")


@dataclass(frozen=True)
class Table:
    """What is said of a folder: a row for each file, and the wrong lines that several files share."""

    rows: Sequence[Mapping[str, Any]]
    same: Mapping[str, int]

    @property
    def good(self) -> bool:
        """Tell whether every submission is right."""
        return all(row["verdict"] in GOOD for row in self.rows)

    def text(self) -> str:
        """Return the table as it is printed."""
        lines = [HEADER, *((r["file"], r["verdict"], r["line"] or "", r["code"]) for r in self.rows)]
        again = [f"{count:4} times  {line}" for line, count in self.same.items() if count > 1]
        return table(lines) + "\n" + ("\nthe same wrong line\n" + "\n".join(again) + "\n" if again else "")

    def json(self) -> dict[str, Any]:
        """Return the table as plain data."""
        return {"submissions": list(self.rows), "same": dict(self.same)}


def checked(program: Program, folder: Path, seed: int) -> Table:
    """Judge every file of a folder; one that cannot be read or does not end is a row like any other."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    if not files:
        raise BadInput(f"{folder} holds no file")
    _prepare(program, seed)
    rows = [{"file": p.relative_to(folder).as_posix(), **_row(program, p, seed)} for p in files]
    return Table(rows, dict(Counter(r["source"] for r in rows if r["source"]).most_common()))


def _prepare(program: Program, seed: int) -> None:
    """Judge a wrong work here, so that all is imported: a child may open no file."""
    name = next((v.name for v in program.parameters if not v.indices), "W")
    try:
        judged(program, Given(f"d{name} = {name}\n", ""), seed)
    except DeclarationError:
        return


def _row(program: Program, path: Path, seed: int) -> dict[str, Any]:
    try:
        work = read(path)
        found: dict[str, Any] = child.run(lambda: dict(_judged(program, work.text, path.name, seed)), LIMITS)
    except child.Exceeded as error:
        found = {"verdict": "not checked", "line": None, "code": "", "source": "", "reason": str(error)}
    except BadInput as error:
        found = {"verdict": "unreadable", "line": None, "code": "", "source": "", "reason": str(error)}
    return found


def _plain(source: str) -> str:
    """Return a line without its comment, with single blanks, so that equal lines are equal texts."""
    return " ".join(source.partition("#")[0].split())


def _judged(program: Program, text: str, name: str, seed: int) -> Iterator[tuple[str, Any]]:
    """Yield what the row of one work holds."""
    try:
        found = judged(program, Given(text, name), seed)
    except DeclarationError as error:
        first = error.diagnostics[0]
        yield from {
            "verdict": "unreadable", "line": first.line, "code": first.code, "source": "", "reason": first.message,
        }.items()
        return
    fault = found.faults[0] if found.faults else None
    line = found.lines[fault.line] if fault is not None else None
    yield from {
        "verdict": found.verdict, "line": line.line if line is not None else None,
        "code": fault.code if fault is not None else "", "source": _plain(line.source) if line is not None else "",
        "reason": found.reason or (fault.title if fault is not None else ""),
    }.items()
