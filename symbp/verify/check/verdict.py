"""Verdicts on a work: what is wrong, where, what it is, and what to write instead - as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from symbp.verify.check.constants import TOLERANCE
from symbp.verify.check.work import Line

Word = Literal[
    "right", "right (other layout)", "right up to a constant", "wrong", "gradient right, training stuck", "not checked"
]

GOOD: tuple[Word, ...] = ("right", "right (other layout)", "gradient right, training stuck")
"""The verdicts with exit code 0."""


@dataclass(frozen=True)
class Fault:
    """One mistake.

    line:         the index of the blamed line; of a slice that cannot be narrowed its last line.
    slice:        the indices of the lines among which the mistake is; the line alone if it is known.
    of:           what the line computes, ``dZ1``; empty if that is not known.
    nature:       the key of its nature; empty if no single change of the line makes it right.
    code, title:  of the nature, or of what is known instead.
    label:        what stands behind the caret.
    row:          the line of the file that has the caret, counted from 1.
    column:       where the caret starts, counted from 1.
    length:       how many characters it has.
    mend:         the line as it should be; empty if that is not known.
    equivalently: other changes that give the same numbers, each with its nature.
    then:         what is right after the mend.
    why:          the differential from which the line follows.
    help:         anything else.
    question:     what ``--hint`` asks.
    affected:     the gradients that are wrong because of it.
    caused:       the indices of the lines that are wrong only because of it.
    error:        how far the line is from what it should be, relative.
    """

    line: int
    slice: tuple[int, ...]
    of: str
    nature: str
    code: str
    title: str
    label: str = ""
    row: int = 1
    column: int = 1
    length: int = 1
    mend: str = ""
    equivalently: tuple[str, ...] = ()
    then: str = ""
    why: str = ""
    help: str = ""
    question: str = ""
    affected: tuple[str, ...] = ()
    caused: tuple[int, ...] = ()
    error: float = 0.0


@dataclass(frozen=True)
class Judgement:
    """What is said of a work.

    verdict:   in a few words.
    lines:     the lines of the work.
    faults:    the mistakes, in the order in which they are met.
    outputs:   the gradients that were asked for, by variable.
    affected:  those of them that are wrong.
    constant:  the constant that every gradient carries, if they are right up to one.
    remarks:   what is worth knowing and no fault.
    reason:    why it was not checked.
    witnesses: how the truth is known.
    sizes:     the sizes of every draw, as text.
    worst:     the largest relative error of a gradient that is called right.
    tolerance: the largest one that is accepted.
    """

    verdict: Word
    lines: tuple[Line, ...] = ()
    faults: tuple[Fault, ...] = ()
    outputs: tuple[str, ...] = ()
    affected: tuple[str, ...] = ()
    constant: str = ""
    remarks: tuple[str, ...] = ()
    reason: str = ""
    witnesses: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    worst: float = 0.0
    tolerance: float = TOLERANCE

    @property
    def good(self) -> bool:
        """Tell whether the gradients are right."""
        return self.verdict in GOOD

    def json(self) -> dict[str, Any]:
        """Return the judgement as plain data."""
        faults = []
        for fault in self.faults:
            line = self.lines[fault.line]
            numbers = [self.lines[k].line for k in fault.slice]
            caused = [self.lines[k].line for k in fault.caused]
            facts = {"file": line.file, "line": line.line, "lines": numbers, "source": line.source.strip()}
            told: Mapping[str, Any] = asdict(fault) | facts | {"caused": caused}
            faults.append({k: v for k, v in told.items() if k != "slice"})
        return {
            "verdict": self.verdict, "faults": faults, "gradients": list(self.outputs),
            "affected": list(self.affected), "constant": self.constant, "remarks": list(self.remarks),
            "reason": self.reason, "witnesses": list(self.witnesses), "draws": len(self.sizes),
            "sizes": list(self.sizes), "worst": self.worst, "tolerance": self.tolerance,
        }
