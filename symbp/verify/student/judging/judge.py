"""The judge of student code: the gradients that were asked for decide; only where one is wrong lines are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from symbp.verify.check.constants import Standing, equal, text_of
from symbp.verify.check.verdict import Fault, Judgement
from symbp.verify.draws import sizes_text
from symbp.verify.student.binding.draws import DRAWS
from symbp.verify.student.binding.search import Bound
from symbp.verify.student.judging.anchors import Anchors
from symbp.verify.student.judging.dropped import dropped
from symbp.verify.student.judging.gradients import Gradients
from symbp.verify.student.judging.repair import Repairs
from symbp.verify.student.judging.scope import Scopes
from symbp.verify.student.judging.standing import Standings
from symbp.verify.student.judging.telling import Telling
from symbp.verify.student.judging.truth import CONFIRMED, Point
from symbp.verify.student.judging.work import CodeWork, line_of, statement_at
from symbp.verify.student.language import names as nm
from symbp.verify.student.language.errors import is_limit, is_unread

FORWARD = ("setup", "forward", "loss")
"""How far a run came that cannot be judged."""


def judge(bound: Bound, kind: type[Judge] | None = None) -> Judgement:
    """Judge the backward pass of a task by the gradient of its own forward pass.

    kind: the judge; without it the one of lines.

    Raises ``Located`` where the forward pass cannot be run, or a run costs too much.
    """
    points = [Point(bound, turn) for turn in range(DRAWS)]
    for point in points:
        failure = point.ran.failure
        if failure is not None and (point.ran.phase in FORWARD or is_limit(failure) or is_unread(failure)):
            raise failure
    return (kind or Judge)(bound, points).judgement()


class Judge:
    """One task beside the gradient of its own loss."""

    def __init__(self, bound: Bound, points: Sequence[Point]) -> None:
        self.bound, self.points = bound, list(points)
        self.work = CodeWork(bound, self.points)
        self.anchors = Anchors(self.work, self.points[0])
        self.scopes = Scopes(self.work, self.anchors)
        self.gradients = Gradients(bound, self.points)
        self.now = Standings(self.work, self.anchors, self.gradients, self.points[0].ran)

    def judgement(self) -> Judgement:
        """Return the judgement."""
        found: list[list[Standing | None]] = []
        for draw, point in enumerate(self.points):
            found.append(self.gradients.standings(draw, point.ran))
            if not _is_common(found[-1]):
                break  # what is wrong at one draw is wrong
        names = self._names()
        first = "complex step" if self.points[0].analytic else "differences at another step"
        plain = Judgement(
            "right", self.work.lines, outputs=names, witnesses=(first, "differences of order 6"),
            sizes=tuple(sizes_text(s) for s in self._named_sizes()[: len(found)]),
            worst=self.gradients.worst(self.points[: len(found)]), remarks=tuple(self.bound.remarks),
        )
        worst = max((p.worst for p in self.points), default=0.0)
        if worst > CONFIRMED:
            return replace(plain, verdict="not checked", reason=(
                f"complex step and differences of the loss differ by {worst:.1g}: is there a jump in it?"))
        if self.points[0].ran.failure is not None:
            return self._broken(plain)
        if not self.gradients.paths:
            return replace(plain, verdict="not checked", reason=(
                "no gradient of an argument is returned or stored: name it as one (dW1, grads['W1'])"))
        if all(s is not None and s.same for one in found for s in one):
            lost = dropped(self.bound)
            if lost is not None:
                return self._told(replace(plain, verdict="wrong"), self._telling(()).failed(lost))
            return replace(plain, remarks=(*plain.remarks, *self._remarks()))
        if all(s is not None and s.transposed and equal(s.constant, 1.0) for one in found for s in one):
            return replace(plain, verdict="right (other layout)")
        return self._wrong(plain, found)

    def _names(self) -> tuple[str, ...]:
        """Return what the gradients are of, by their last word where that tells them apart."""
        paths = [of for _, of in self.gradients.paths]
        words = [nm.tail(of) for of in paths]
        return tuple(w if words.count(w) == 1 else of.partition(".")[2] or of
                     for w, of in zip(words, paths, strict=True))

    def _named_sizes(self) -> list[dict[str, Any]]:
        """Return the sizes at every draw by the names that the code has for them."""
        texts: dict[str, str] = {}
        labels = {number: label for label, number in self.points[0].case.sizes.items()}
        for statement in self.work.statements:
            for name, value in self.points[0].ran.trace.visits.get(statement, {}).items():
                if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) in labels:
                    texts.setdefault(labels[int(value)], name)
        return [{texts.get(n, n): v for n, v in p.case.sizes.items()} for p in self.points]

    def _remarks(self) -> Iterator[str]:
        """Say which biases were read as one number, and which lines carry a constant though the gradients are right."""
        drawn = self.bound.draws.arrays
        if self.bound.draws.align == "alone":
            yield "read as one sample at a time; for a batch the gradient of a bias is a sum over samples"
        for _, of in self.gradients.paths:
            if of in drawn and drawn[of].role == "bias" and np.shape(self.points[0].case.sources[of]) in ((), (1,)):
                yield (f"{nm.tail(of)} is read as one number, as its gradient is; has it an entry for each unit, "
                       "then this sum must run along one axis only")
        told = set()
        for line in range(len(self.work.lines)):
            if not any(self.anchors.named(e) for e in self.now.entries(line)):
                continue
            for seen in self.now.seen(line):
                if seen.state == "multiple" and seen.named and seen.entry.target not in told:
                    told.add(seen.entry.target)
                    constant = self._telling(()).constant(seen)
                    if constant is not None:
                        yield f"your {seen.entry.target} is {constant} times the gradient; later lines make up for it"

    # -- something is wrong

    def _telling(self, affected: tuple[str, ...]) -> Telling:
        return Telling(Repairs(self.gradients, self.scopes), self.now, self._named_sizes(), affected)

    def _wrong(self, plain: Judgement, found: list[list[Standing | None]]) -> Judgement:
        off = [not all((s := one[k]) is not None and s.same for one in found) for k in range(len(found[0]))]
        affected = tuple(n for n, bad in zip(plain.outputs, off, strict=True) if bad)
        plain = replace(plain, faults=tuple(self._telling(affected).faults()), affected=affected)
        common = self._common(found)
        if common is not None:
            return replace(plain, verdict="right up to a constant", constant=common)
        return replace(plain, verdict="wrong")

    def _common(self, found: list[list[Standing | None]]) -> str | None:
        """Return the constant that every gradient carries at every draw, or None."""
        constants = []
        for one in found:
            if not _is_common(one) or one[0] is None or one[0].transposed:
                return None
            constants.append(one[0].constant)
        return text_of(constants, self._named_sizes()) if all(c > 0 for c in constants) else None

    def _broken(self, plain: Judgement) -> Judgement:
        """Judge a backward pass that breaks off: a change of a line after which it runs and is right, or the error."""
        failure = self.points[0].ran.failure
        assert failure is not None
        telling = self._telling(())
        repair = telling.repairs.one(self.now)
        if repair is not None:
            names = self._names()
            telling.affected = names
            faults = tuple(telling.repaired([repair]))
            return replace(plain, verdict="wrong", outputs=names, affected=names, faults=faults)
        fault = telling.failed(failure)
        return self._told(replace(plain, verdict="wrong", affected=plain.outputs), fault)

    def _told(self, plain: Judgement, fault: Fault) -> Judgement:
        """Return a judgement with one mistake, whose line may be none of those that give a value: a return, a class."""
        if any(s.lineno <= fault.row <= (s.end_lineno or s.lineno) for s in self.work.statements):
            return replace(plain, faults=(fault,))
        line = line_of(statement_at(self.work.reading.module, fault.row), self.work.reading)
        k = len(plain.lines)
        return replace(plain, lines=(*plain.lines, line), faults=(replace(fault, line=k, slice=(k,)),))


def _is_common(standings: Sequence[Standing | None]) -> bool:
    """Tell whether all gradients stand alike to the truth: one constant, one layout."""
    known = [s for s in standings if s is not None]
    return len(known) == len(standings) and all(
        s.transposed == known[0].transposed and equal(s.constant, known[0].constant) for s in known)
