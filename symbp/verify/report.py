"""Verdicts: what was checked, by which witnesses, at which sizes, how well; and their tables, JSON and JUnit XML."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from xml.etree import ElementTree

from symbp.verify.normal_form import Proof
from symbp.verify.witnesses import Finding, Outcome

NEEDED = 2
"""How many different witnesses must hold before anything is called verified."""


PROVED, EXACT, MEASURED = "proved for all sizes", "exact at sampled sizes", "measured"
"""The words of every report for how much is known."""


@dataclass(frozen=True)
class Verdict:
    """What the witnesses together say of one subject.

    subject:   the equation, the set of steps, the rule or the module.
    checked:   what was looked at, in words.
    witnesses: the witnesses that gave an answer, each once.
    draws:     how many draws of values were made in all.
    sizes:     the sizes of the draws, as text.
    error:     the worst measured relative error.
    tolerance: the tolerance that belongs to it; 0 when only exact witnesses answered.
    verdict:   holds, fails, refused, not checked (fewer than two witnesses), or skipped (an optional tool is missing,
               or there is nothing to check).
    detail:    the first reason why it does not hold.
    proved:    whether the equation is proved for all sizes; None if no proof was tried.
    where:     for what is proved: the conditions and the facts that the proof used.
    residual:  for what is unproved: a term that is left, or why nothing could be said.
    """

    subject: str
    checked: str
    witnesses: tuple[str, ...]
    draws: int
    sizes: tuple[str, ...]
    error: float
    tolerance: float
    verdict: Outcome
    detail: str = ""
    proved: bool | None = None
    where: tuple[str, ...] = ()
    residual: str = ""

    @property
    def evidence(self) -> str:
        """The strongest of what the witnesses say: proved for all sizes, exact at sampled sizes, measured."""
        if self.proved:
            return PROVED
        return EXACT if "exact" in self.witnesses else MEASURED if self.tolerance else ""

    @property
    def proof_text(self) -> str:
        """Where the proof holds, or that there is none and what is left; nothing if there is nothing to say."""
        if self.proved is False:
            return f"unproved for all sizes: {self.residual}" if self.residual else "unproved for all sizes"
        return f"where {'; '.join(self.where)}" if self.where else ""

    @property
    def ok(self) -> bool:
        """Tell whether it holds."""
        return self.verdict == "holds"

    @property
    def bad(self) -> bool:
        """Tell whether it should hold and was not shown to."""
        return self.verdict not in ("holds", "skipped")


def skipped(subject: str, checked: str, reason: str) -> Verdict:
    """Return the verdict on what was not looked at, and why: it neither holds nor counts against the rest."""
    return Verdict(subject, checked, (), 0, (), 0.0, 0.0, "skipped", reason)


def together(proofs: Sequence[Proof]) -> tuple[bool | None, tuple[str, ...], str]:
    """Join proofs: whether all are proved (None without any), where they hold, what the first unproved one leaves."""
    unproved = next((p for p in proofs if not p), None)
    if unproved is not None:
        return False, (), unproved.residual
    where = dict.fromkeys(sentence for p in proofs for sentence in (*p.conditions, *p.facts))
    return (True if proofs else None), tuple(where), ""


def judge(
    subject: str, checked: str, findings: Sequence[Finding], proved: bool | None = None,
    where: tuple[str, ...] = (), residual: str = "",
) -> Verdict:
    """Join the findings about one subject: one that fails decides; two different witnesses are needed to hold.

    A witness that refused at one draw but held at another has held; a proof for all sizes counts as a witness.
    """
    failed = [f for f in findings if f.outcome == "fails"]
    held = [f for f in findings if f.outcome == "holds"]
    names = tuple(dict.fromkeys(f.witness for f in (failed + held)))
    if proved:
        names = (*names, "all sizes")
    worst = max(
        failed + held,
        key=lambda f: f.error / f.tolerance if f.tolerance else (math.inf if f.error else 0.0),
        default=None,
    )
    measured = [f for f in failed + held if f.tolerance]
    refused = [f for f in findings if f.outcome in ("refused", "not checked")]
    outcome: Outcome
    if failed:
        outcome, detail = "fails", failed[0].detail
    elif len(names) >= NEEDED:
        outcome, detail = "holds", next((f.detail for f in held if f.detail), "")
    elif refused and not held:
        outcome = "refused" if any(f.outcome == "refused" for f in refused) else "not checked"
        detail = refused[0].detail
    else:
        outcome, detail = "not checked", f"only {len(names)} of the {NEEDED} witnesses that are needed" + (
            f"; {refused[0].witness}: {refused[0].detail}" if refused else ""
        )
    return Verdict(
        subject, checked, names, len(failed) + len(held), tuple(dict.fromkeys(f.sizes for f in findings if f.sizes)),
        max((f.error for f in measured), default=worst.error if worst else 0.0),
        worst.tolerance if worst and worst.tolerance else max((f.tolerance for f in measured), default=0.0),
        outcome, detail, proved, where, residual,
    )


def all_ok(verdicts: Iterable[Verdict]) -> bool:
    """Tell whether there are verdicts that hold, and none that should and do not."""
    seen = list(verdicts)
    return any(v.ok for v in seen) and not any(v.bad for v in seen)


# ---------------------------------------------------------------------------------------------------------
# Tables

HEADER = ("subject", "checked", "witnesses", "draws", "worst error", "verdict")


def rows(verdicts: Iterable[Verdict]) -> list[tuple[str, ...]]:
    """Return the table, one row of plain texts per verdict, under ``HEADER``."""
    table: list[tuple[str, ...]] = []
    for v in verdicts:
        error = f"{v.error:.0e}" if v.tolerance or v.error else "" if v.verdict == "skipped" else "equal"
        said = f", {v.evidence}" if v.ok and v.evidence else ""
        word = v.verdict + said + "".join(f"; {part}" for part in (v.proof_text, v.detail) if part)
        table.append((v.subject, v.checked, _joined(v.witnesses), str(v.draws), error, word))
    return table


def _joined(witnesses: Sequence[str]) -> str:
    """Return the witnesses in one cell; the comparisons of a module share their first word."""
    words = [w.removeprefix("module ") for w in witnesses]
    return ("against the evaluator: " if words != list(witnesses) else "") + ", ".join(words)


def text_table(verdicts: Sequence[Verdict]) -> str:
    """Return the table as plain text with aligned columns."""
    table = [HEADER, *rows(verdicts)]
    widths = [max(len(row[k]) for row in table) for k in range(len(HEADER) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]) for row in table
    )


def summary(verdicts: Sequence[Verdict]) -> str:
    """Return one line: how many hold, how many are proved for all sizes, the worst measured error."""
    good = sum(v.ok for v in verdicts)
    wanted = [v for v in verdicts if v.verdict != "skipped"]
    tried = [v for v in verdicts if v.proved is not None]
    proved = sum(bool(v.proved) for v in tried)
    # Single precision is held against a tolerance of its own and would hide the rest.
    worst = max((v.error for v in verdicts if 0 < v.tolerance < 1e-6 and math.isfinite(v.error)), default=0.0)
    parts = [f"{good} of {len(wanted)} hold"]
    if tried:
        parts.append(f"{proved} of {len(tried)} equations {PROVED}")
    if any("exact" in w for v in verdicts for w in v.witnesses):
        parts.append(EXACT)
    left = dict.fromkeys(f"not checked: {v.checked} ({v.detail})" for v in verdicts if v.verdict == "skipped")
    return "; ".join([*parts, f"{MEASURED} {worst:.0e}", *left])


def as_json(reports: Mapping[str, Sequence[Verdict]]) -> str:
    """Return verdicts by network as JSON; an infinite error is null."""

    def plain(v: Verdict) -> dict[str, Any]:
        out = asdict(v)
        out["error"] = v.error if math.isfinite(v.error) else None
        out["evidence"] = v.evidence
        return out

    return json.dumps({name: [plain(v) for v in verdicts] for name, verdicts in reports.items()}, indent=2) + "\n"


def as_junit(reports: Mapping[str, Sequence[Verdict]], seconds: Mapping[str, float] | None = None) -> str:
    """Return verdicts by network as JUnit XML: one suite per network, one case per verdict.

    What fails is a failure; what was refused or not checked is a failure as well, of another type: it was not shown.
    What was skipped says so.
    """
    root = ElementTree.Element("testsuites")
    for name, verdicts in reports.items():
        bad, left = sum(v.bad for v in verdicts), sum(v.verdict == "skipped" for v in verdicts)
        took = {"time": f"{seconds[name]:.3f}"} if seconds and name in seconds else {}
        suite = ElementTree.SubElement(
            root, "testsuite",
            {
                "name": name, "tests": str(len(verdicts)), "failures": str(bad), "errors": "0", "skipped": str(left),
                **took,
            },
        )
        for v in verdicts:
            case = ElementTree.SubElement(suite, "testcase", {"classname": name, "name": f"{v.subject}: {v.checked}"})
            if v.verdict == "skipped":
                ElementTree.SubElement(case, "skipped", {"message": v.detail})
            elif v.bad:
                failure = ElementTree.SubElement(case, "failure", {"type": v.verdict, "message": v.detail or v.verdict})
                failure.text = (
                    f"witnesses: {', '.join(v.witnesses) or 'none'}\nsizes: {'; '.join(v.sizes)}\nerror: {v.error}"
                )
            elif v.evidence:
                ElementTree.SubElement(case, "system-out").text = " ".join(
                    part for part in (v.evidence, v.proof_text) if part
                )
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
