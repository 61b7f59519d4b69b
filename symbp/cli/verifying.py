"""What ``symbp verify`` runs, prints and writes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
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


def rule_book(settings: VerifySettings) -> Report:
    """Verify every primitive and every elementwise function."""
    from symbp.verify.rules import check_rules

    start = time.perf_counter()
    verdicts = check_rules(seed=settings.seed)
    return Report("rule book", verdicts, time.perf_counter() - start)


def all_hold(found: Iterable[Report]) -> bool:
    """Tell whether every verdict on every network holds."""
    return all(report.all_ok(r.verdicts) for r in found)


def show(found: Iterable[Report], console: Console | None = None) -> None:
    """Print for each network what was checked and how well, the sizes of its draws, and a line that sums it up."""
    out = console or Console(highlight=False)
    for r in found:
        # Lines may be longer than the terminal is wide: it folds them, and a file keeps them whole.
        out.print(Text(f"{r.title}   {r.seconds:.1f} s", "bold"), soft_wrap=True)
        for line, style in _lines(r.verdicts):
            out.print(Text(line, style), soft_wrap=True)
        sizes = dict.fromkeys(size for v in r.verdicts for size in v.sizes)
        out.print(Text(f"  sizes: {'; '.join(sizes)}"), soft_wrap=True)
        out.print(Text(f"{report.summary(r.verdicts)}\n"), soft_wrap=True)


HEADER = ("subject", "verdict", "worst error", "at most", "draws", "what was checked: by which witnesses")


def _lines(verdicts: Iterable[report.Verdict]) -> Iterator[tuple[str, str]]:
    """Yield the table as aligned lines, each with its style."""
    rows: list[tuple[tuple[str, ...], str]] = [(HEADER, "")]
    for v in verdicts:
        what = f"{v.checked}: {', '.join(w.removeprefix('module ') for w in v.witnesses)}"
        error, limit = (f"{v.error:.0e}", f"{v.tolerance:.0e}") if v.tolerance else ("equal", "")
        said = v.verdict + (f", {v.evidence}" if v.ok and v.evidence else "")
        if v.verdict == "skipped":
            rows.append(((v.subject, said, "", "", "", f"{v.checked}: {v.detail}"), "yellow"))
            continue
        rows.append(((v.subject, said, error, limit, str(v.draws), what), "red" if v.bad else ""))
        if v.detail:
            rows.append((("", "", "", "", "", v.detail), "red"))
        if v.proof_text:
            rows.append((("", "", "", "", "", v.proof_text), "red" if v.proved is False else ""))
    widths = [max(len(row[k]) for row, _ in rows) for k in range(len(HEADER) - 1)]
    for row, style in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  " + "  ".join([*cells, row[-1]]).rstrip(), style


def as_json(found: Iterable[Report]) -> str:
    """Return all verdicts as JSON."""
    return report.as_json({r.title: r.verdicts for r in found})


def write_junit(found: Iterable[Report], path: Path) -> None:
    """Write all verdicts as a JUnit report."""
    known = list(found)
    text = report.as_junit({r.title: r.verdicts for r in known}, {r.title: r.seconds for r in known})
    write_files(path.parent, {path.name: text})
