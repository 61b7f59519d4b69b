"""What ``symbp verify`` runs, prints and writes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from symbp import pipeline
from symbp.program import Program
from symbp.render.files import write_files
from symbp.settings import VerifySettings
from symbp.verify import report


@dataclass(frozen=True)
class Report:
    """The verdicts on one network, and how long they took."""

    title: str
    verdicts: list[report.Verdict]
    seconds: float


def reports(networks: Iterable[tuple[str, str, Program]], settings: VerifySettings) -> list[Report]:
    """Verify networks, given as title, text and program."""
    found = []
    for title, _, program in networks:
        start = time.perf_counter()
        verdicts = pipeline.verify(program, draws=settings.draws, seed=settings.seed)
        found.append(Report(title, list(verdicts), time.perf_counter() - start))
    return found


def all_hold(found: Iterable[Report]) -> bool:
    """Tell whether every verdict on every network holds."""
    return all(report.all_ok(r.verdicts) for r in found)


def show(found: Iterable[Report], console: Console | None = None) -> None:
    """Print a table per network, and a line that sums it up."""
    out = console or Console()
    for r in found:
        table = Table(title=f"{r.title}   {r.seconds:.1f} s", title_justify="left", box=None, pad_edge=False)
        for head in report.HEADER:
            table.add_column(head, overflow="fold")
        for verdict, row in zip(r.verdicts, report.rows(r.verdicts), strict=True):
            style = "green" if verdict.ok else "red"
            table.add_row(*(Text(cell) for cell in row[:-1]), Text(row[-1], style=style))
        out.print(table)
        out.print(Text(report.summary(r.verdicts)), Text(""), sep="\n")


def as_json(found: Iterable[Report]) -> str:
    """Return all verdicts as JSON."""
    return report.as_json({r.title: r.verdicts for r in found})


def write_junit(found: Iterable[Report], path: Path) -> None:
    """Write all verdicts as a JUnit report."""
    known = list(found)
    text = report.as_junit({r.title: r.verdicts for r in known}, {r.title: r.seconds for r in known})
    write_files(path.parent, {path.name: text})
