"""From what is known of the lines to the mistakes that are told: of a repair, or of the lines that may be wrong."""

from __future__ import annotations

import ast
from collections.abc import Sequence

import numpy as np

from symbp.language.diagnostics import Mistake
from symbp.verify.check.constants import name_of
from symbp.verify.check.natures import NATURES
from symbp.verify.check.verdict import Fault
from symbp.verify.student.judging.anchors import Seen, is_accumulation
from symbp.verify.student.judging.gradients import Gradients
from symbp.verify.student.judging.lines import changes_nothing
from symbp.verify.student.judging.misshapen import origin
from symbp.verify.student.judging.repair import MOST_FOR_A_GRADIENT, Repair, Repairs
from symbp.verify.student.judging.standing import MOST_ENTRIES, Standings
from symbp.verify.student.language import names as nm
from symbp.verify.student.language.errors import Located
from symbp.verify.student.language.reading import span


class Telling:
    """Tells the mistakes of one task.

    repairs:  what tries changes of lines.
    now:      how the lines of the code itself stand.
    sizes:    the sizes at every draw, by the names that the code has for them.
    affected: the gradients that are wrong.
    """

    def __init__(
        self, repairs: Repairs, now: Standings, sizes: Sequence[dict[str, int]], affected: tuple[str, ...]
    ) -> None:
        self.repairs, self.now, self.sizes, self.affected = repairs, now, sizes, affected
        self.gradients: Gradients = repairs.gradients
        self.point, self.work = self.gradients.points[0], now.work

    def faults(self) -> list[Fault]:
        """Return the mistakes of a backward pass that gives wrong gradients."""
        repair = self.repairs.one(self.now)
        if repair is not None:
            return self.repaired([repair])
        one = self._scaled() or self._replaced()
        if one is not None:
            return [one]
        return self.repaired(self.repairs.several(self.now)) or [self._blamed()]

    # -- with a repair

    def repaired(self, repairs: Sequence[Repair]) -> list[Fault]:
        """Return the mistakes, each with the lines that are right once it and those before it are mended."""
        faults: list[Fault] = []
        told = {r.line for r in repairs}
        now = self.now
        for repair in repairs:
            before = {k: now.state(k) for k in range(len(self.work.lines))}
            now = self.repairs.after(now, repair)
            caused = tuple(
                k for k, state in before.items() if k not in told and (
                    (state in ("wrong", "multiple") and now.state(k) == "right")
                    or (state == "wrong" and now.state(k) == "multiple"))
            )
            faults.append(self._repaired(repair, caused))
        return faults

    def _repaired(self, repair: Repair, caused: tuple[int, ...]) -> Fault:
        line, edit = self.work.lines[repair.line], repair.edit
        nature = NATURES[edit.nature]
        one_row = line.statement.lineno == line.statement.end_lineno
        column = edit.column + (line.column - 1 if edit.line == 0 and one_row else 0)
        count = len(self.gradients.paths)
        then = f"then all {count} gradients are right" if count > 1 else "then the gradient is right"
        return Fault(
            repair.line, (repair.line,), of="", nature=edit.nature, code=nature.code, title=nature.title,
            row=line.line + edit.line, column=column, length=edit.length, mend=" ".join(edit.text.split()),
            equivalently=_equal(repair), then="then this line is right" if repair.own else then,
            question=nature.question, affected=self.affected, caused=caused,
        )

    # -- without

    def _scaled(self) -> Fault | None:
        """Return the first line after whose division by one constant every gradient is right, or None."""
        for line in self.now.order():
            seen = [s for s in self.now.seen(line) if s.state == "multiple" and s.standing is not None]
            if not seen or self.now.state(line) != "multiple" or any(s.standing.transposed for s in seen if s.standing):
                continue
            mends = {s.entry: s.value / s.standing.constant for s in seen if s.standing is not None}
            if not self.gradients.are_right(0, self.point.session.run(self.point.case, mends=mends)):
                continue
            said = self.constant(seen[0]) or f"{seen[0].standing.constant:.4g}"  # type: ignore[union-attr]
            nature = NATURES["wrong constant"]
            row, column, length = self._place(line)
            return Fault(
                line, (line,), of="", nature="wrong constant", code=nature.code, title=nature.title,
                label=f"this is {said} times what it should be", row=row, column=column, length=length,
                question=nature.question, affected=self.affected,
            )
        return None

    def constant(self, seen: Seen) -> str | None:
        """Return what the constant is called that an assignment carries at every draw."""
        constants = []
        for point in self.gradients.points:
            value = point.ran.trace.values.get(seen.entry)
            standing = None
            if value is not None and seen.at is not None:
                try:
                    standing = point.stand(np.asarray(value, dtype=float), seen.at)
                except Located:
                    return None
            if standing is None:
                return None
            constants.append(standing.constant)
        return name_of(constants, self.sizes)

    def _replaced(self) -> Fault | None:
        """Return the first line that, with a gradient of the forward pass in its place, makes all right; or None."""
        spent = self.work.reading.spent
        for line in self.now.order():
            if self.work.reading.spent > spent + MOST_FOR_A_GRADIENT:
                return None
            entries = self.now.entries(line)
            if self.now.state(line) == "right" or len(entries) != 1 or is_accumulation(entries[0].statement):
                continue
            size = np.size(self.point.ran.trace.values[entries[0]])
            alike = [at for at in self.now.anchors.known if np.size(self.point.value(at)) == size > 1]
            for at in alike[:MOST_ENTRIES]:
                try:
                    mends = {entries[0]: self.point.gradient(at)}
                except (Located, ValueError):
                    continue
                if self.gradients.are_right(0, self.point.session.run(self.point.case, mends=mends)):
                    return self._untrue(line)
        return None

    def _untrue(self, line: int) -> Fault:
        """Return that a line is not what it should be, where no single change of it puts it right."""
        of = self._gradient_of(line)
        row, column, length = self._place(line)
        return Fault(
            line, (line,), of=of, nature="", code="C001", title="not the truth",
            label=f"this is not the gradient of {of}" if of else "with the gradient in its place all would be right",
            row=row, column=column, length=length, affected=self.affected,
            caused=tuple(k for k in range(line + 1, len(self.work.lines)) if self.now.state(k) == "wrong"),
        )

    def _blamed(self) -> Fault:
        """Return the first line that is no multiple of the gradient that its name says, or the lines it may be in."""
        now, order = self.now, self.now.order()
        idle = [k for k in order if changes_nothing(self.work.statements[k])]
        if idle:
            return self._idle(idle[0])
        wrong = [k for k in order if now.state(k) == "wrong"] or [k for k in order if now.state(k) == "multiple"]
        if wrong:
            line = next((k for k in wrong if k not in now.cleared), wrong[0])
            of = self._gradient_of(line)
            row, column, length = self._place(line)
            return Fault(
                line, tuple(sorted({line, *now.suspects(line)})), of=of, nature="", code="C001", title="not the truth",
                label=f"this is not the gradient of {of}" if of else "", row=row, column=column, length=length,
                affected=self.affected, caused=tuple(sorted(k for k in wrong if k != line)),
            )
        line = order[-1] if order else 0
        unknown = [k for k in order if now.state(k) in ("unknown", "multiple")] or [line]
        if not self.work.lines:
            return Fault(0, (0,), "", "", "C002", "the mistake is not found")
        blamed = self.work.lines[unknown[0]]
        return Fault(
            unknown[0], tuple(sorted(unknown)), of="", nature="", code="C002", title="the mistake is in these lines",
            row=blamed.line, column=blamed.column, affected=self.affected,
        )

    def _idle(self, line: int) -> Fault:
        """Return that a line does nothing."""
        row, column, length = self._place(line)
        return Fault(
            line, (line,), of=self._gradient_of(line), nature="", code="C001", title="not the truth",
            label="this changes nothing: something is missing here", row=row, column=column, length=length,
            affected=self.affected,
        )

    def failed(self, failure: Located) -> Fault:
        """Return the error with which the backward pass broke off."""
        failure = origin(self.work.reading.module, failure)
        mistake: Mistake = failure.mistake
        line, column, length = span(failure.node, self.work.reading.lines)
        found = [k for k, s in enumerate(self.work.statements) if s.lineno <= line <= (s.end_lineno or s.lineno)]
        index = found[-1] if found else 0
        return Fault(
            index, (index,), of="", nature="", code=mistake.code, title=str(mistake.args[0]), label=mistake.label,
            row=line, column=column, length=length, help=mistake.help,
        )

    def _place(self, line: int) -> tuple[int, int, int]:
        statement: ast.stmt = self.work.lines[line].statement
        return span(getattr(statement, "value", statement), self.work.reading.lines)

    def _gradient_of(self, line: int) -> str:
        targets = self.work.lines[line].targets
        return next((nm.gradient_of(nm.tail(t))[0] for t in targets if nm.gradient_of(nm.tail(t))), "")


def _equal(repair: Repair) -> tuple[str, ...]:
    told: dict[str, str] = {}
    for edit in repair.equal:
        if edit.nature != repair.edit.nature:
            told.setdefault(edit.nature, f"{NATURES[edit.nature].title}: {' '.join(edit.text.split())}")
    return tuple(told.values())[:3]
