"""The judge of student code: outputs decide; then the line whose repair makes all right, or the first wrong one."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from symbp.language.diagnostics import Mistake
from symbp.verify.check.constants import TOLERANCE, Standing, equal, name_of, text_of
from symbp.verify.check.edits import Edit, edits
from symbp.verify.check.natures import NATURES
from symbp.verify.check.verdict import Fault, Judgement
from symbp.verify.draws import sizes_text
from symbp.verify.student import names as nm
from symbp.verify.student.anchors import Anchors, Seen, is_accumulation, states
from symbp.verify.student.binding import Bound
from symbp.verify.student.lines import assigns, is_plain_read, other_axes, reads
from symbp.verify.student.outputs import find_outputs, leaves
from symbp.verify.student.draws import DRAWS
from symbp.verify.student.expressions import Located
from symbp.verify.student.reading import span
from symbp.verify.student.scope import Scopes
from symbp.verify.student.session import Outcome, Session
from symbp.verify.student.trace import Entry
from symbp.verify.student.truth import CONFIRMED, Point
from symbp.verify.student.values import Array
from symbp.verify.student.work import CodeWork, line_of, statement_at

MOST_NODES = 3_000_000
"""Changes of lines are evaluated until their runs have cost so many nodes together."""
PLAIN = 3
"""A line that only gives a name to what is there has a mistake less often: it counts as so many words farther."""
MOST_MISTAKES = 4
"""So many mistakes are told apart in one task."""
MOST_ENTRIES = 8
"""Of a line that ran more often only the last assignments are looked at."""


@dataclass(frozen=True)
class Repair:
    """A change of one line after which every gradient is right, or, if it is not the only mistake, that line."""

    line: int
    edit: Edit
    equal: tuple[Edit, ...] = ()
    own: bool = False


def judge(bound: Bound, kind: type[Judge] | None = None) -> Judgement:
    """Judge the backward pass of a task by the gradient of its own forward pass.

    kind: the judge; without it the one of lines.

    Raises ``Located`` where the forward pass cannot be run.
    """
    points = [Point(bound, turn) for turn in range(DRAWS)]
    for point in points:
        if point.ran.failure is not None and point.ran.phase in ("setup", "forward", "loss"):
            raise point.ran.failure
    return (kind or Judge)(bound, points).judgement()


class Judge:
    """One task beside the gradient of its own loss."""

    def __init__(self, bound: Bound, points: Sequence[Point]) -> None:
        self.bound, self.points = bound, list(points)
        self.work = CodeWork(bound, self.points)
        self.anchors = Anchors(self.work, self.points[0])
        self.scopes = Scopes(self.work, self.anchors)
        self.outputs = bound.session.plan.outputs
        self.left = MOST_NODES
        self.ran = self.points[0].ran
        self.made: dict[ast.stmt, ast.stmt] = {}
        self._edits: dict[int, list[Edit]] = {}
        self._states: dict[int, str] = {}

    # -- outputs

    def standings(self, draw: int, outcome: Outcome) -> list[Standing | None]:
        """Return how each output of a run stands to the truth."""
        point = self.points[draw]
        return [
            point.stand(np.asarray(outcome.outputs[path], dtype=float), of) if path in outcome.outputs else None
            for path, of in self.outputs
        ]

    def _all_right(self, draw: int, outcome: Outcome) -> bool:
        if outcome.failure is not None or not self.outputs:
            return False
        point = self.points[draw]
        for path, of in self.outputs:
            value = outcome.outputs.get(path)
            if value is None or not np.isfinite(value).all():
                return False
            standing = point.stand(np.asarray(value, dtype=float), of)
            if standing is None or not standing.same:
                return False
        return True

    # -- the judgement

    def judgement(self) -> Judgement:
        """Return the judgement."""
        found = [self.standings(d, p.ran) for d, p in enumerate(self.points)]
        names = tuple(nm.tail(of) for _, of in self.outputs)
        first = "complex step" if self.points[0].analytic else "differences at another step"
        plain = Judgement(
            "right", self.work.lines, outputs=names, witnesses=(first, "differences of order 6"),
            sizes=tuple(sizes_text(s) for s in self._named_sizes()),
            worst=self._worst(), remarks=tuple(self.bound.remarks),
        )
        worst = max((p.worst for p in self.points), default=0.0)
        if worst > CONFIRMED:
            return replace(plain, verdict="not checked", reason=(
                f"complex step and differences of the loss differ by {worst:.1g}: is there a jump in it?"))
        if self.points[0].ran.failure is not None:
            return self._broken(plain)
        if not self.outputs:
            return replace(plain, verdict="not checked", reason=(
                "no gradient of an argument is returned or stored: name it as one (dW1, grads['W1'])"))
        if all(s is not None and s.same for one in found for s in one):
            return replace(plain, remarks=(*plain.remarks, *self._remarks()))
        if all(s is not None and s.transposed and equal(s.constant, 1.0) for one in found for s in one):
            return replace(plain, verdict="right (other layout)")
        return self._wrong(plain, found)

    def _worst(self) -> float:
        """Return the largest relative difference of an output from the truth, along the directions looked at."""
        worst = 0.0
        for point in self.points:
            for path, of in self.outputs:
                value = point.ran.outputs.get(path)
                directions, wanted = point.slopes(of)
                if value is not None and value.shape == directions.shape[1:]:
                    mine = (directions * value).reshape(len(wanted), -1).sum(axis=1)
                    worst = max(worst, float(np.abs(mine - wanted).max() / max(np.abs(wanted).max(), 1e-300)))
        return worst

    def _remarks(self) -> Iterator[str]:
        """Say which intermediate lines carry a constant though the gradients are right."""
        told = set()
        for line in range(len(self.work.lines)):
            statement = self.work.statements[line]
            if not any(self.anchors.named(e) for e in self.points[0].ran.trace.order if e.statement is statement):
                continue
            for seen in self._seen(line, self.points[0].ran):
                is_new = seen.entry.target not in told
                if seen.state == "multiple" and seen.named and is_new:
                    told.add(seen.entry.target)
                    constant = self._constant(seen)
                    if constant is not None:
                        yield f"your {seen.entry.target} is {constant} times the gradient; later lines make up for it"

    def _constant(self, seen: Seen) -> str | None:
        constants = []
        for point in self.points:
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
        return name_of(constants, self._named_sizes())

    def _named_sizes(self) -> list[dict[str, Any]]:
        """Return the sizes at every draw by the names that the code has for them."""
        texts: dict[str, str] = {}
        labels = {number: label for label, number in self.points[0].case.sizes.items()}
        for statement in self.work.statements:
            for name, value in self.points[0].ran.trace.visits.get(statement, {}).items():
                if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) in labels:
                    texts.setdefault(labels[int(value)], name)
        return [{texts.get(n, n): v for n, v in p.case.sizes.items()} for p in self.points]

    # -- something is wrong

    def _wrong(self, plain: Judgement, found: list[list[Standing | None]]) -> Judgement:
        repair = self._repair()
        off = [not all((s := one[k]) is not None and s.same for one in found) for k in range(len(self.outputs))]
        affected = tuple(n for n, bad in zip(plain.outputs, off, strict=True) if bad)
        if repair is not None:
            faults = self._faults([repair], affected)
        else:
            one = self._scaled(affected) or self._replaced(affected)
            faults = [one] if one else self._faults(self._several(), affected) or [self._blamed(affected)]
        common = self._common(found)
        if common is not None:
            plain = replace(plain, verdict="right up to a constant", constant=common)
            return replace(plain, faults=tuple(faults), affected=affected)
        return replace(plain, verdict="wrong", faults=tuple(faults), affected=affected)

    def _common(self, found: list[list[Standing | None]]) -> str | None:
        """Return the constant that every gradient carries at every draw, or None."""
        constants = []
        for one in found:
            known = [s for s in one if s is not None and not s.transposed]
            if len(known) < len(one) or not all(equal(s.constant, known[0].constant) for s in known):
                return None
            constants.append(known[0].constant)
        return text_of(constants, self._named_sizes()) if all(c > 0 for c in constants) else None

    def _broken(self, plain: Judgement) -> Judgement:
        """Judge a backward pass that breaks off: a change of a line after which it runs and is right, or the error."""
        failure = self.points[0].ran.failure
        assert failure is not None
        repair = self._repair()
        if repair is not None:
            names = tuple(nm.tail(of) for _, of in self.outputs)
            faults = tuple(self._faults([repair], names))
            return replace(plain, verdict="wrong", outputs=names, affected=names, faults=faults)
        fault = self._failed(failure)
        # The line that fails may be none of those that give a value: an assertion, a class.
        lines = plain.lines or (line_of(statement_at(self.work.reading.module, fault.row), self.work.reading),)
        return replace(plain, verdict="wrong", lines=lines, affected=plain.outputs, faults=(fault,))

    # -- repair

    def edits(self, line: int) -> list[Edit]:
        """Return the changes of a line that the table has, the nearest to its text first."""
        if line not in self._edits:
            one = self.work.lines[line]
            statement = one.statement
            text = ""
            if statement.lineno == statement.end_lineno:
                text = one.source.encode()[statement.col_offset: statement.end_col_offset].decode(errors="ignore")
            found = list(edits(statement, self.scopes.known(line), text))
            if statement in self.points[0].ran.trace.integers:
                found = list(other_axes(statement, text))
            self._edits[line] = found
        return self._edits[line]

    def state(self, line: int) -> str:
        """Return how a line stands: right, multiple, wrong or unknown."""
        if line not in self._states:
            seen = self._seen(line, self.ran)
            self._states[line] = states(seen, is_accumulation(self.work.statements[line]))
        return self._states[line]

    def _seen(self, line: int, outcome: Outcome) -> list[Seen]:
        statement = self.work.statements[line]
        entries = [e for e in outcome.trace.order if e.statement is statement]
        if is_accumulation(statement):
            last: dict[str, Entry] = {e.target: e for e in entries}
            entries = list(last.values())
        return self.anchors.seen(outcome.trace.values, entries[-MOST_ENTRIES:])

    def _order(self) -> list[int]:
        """Return the lines in the order in which they first went wrong, or first ran."""
        trace = self.ran.trace
        times: dict[int, int] = {}
        for time, entry in enumerate(trace.order):
            line = self.work.index.get(entry.statement)
            if line is not None:
                times.setdefault(line, time)
        for line in range(len(self.work.lines)):
            wrong = [s.entry for s in self._seen(line, self.ran) if s.state in ("wrong", "multiple")]
            if wrong:
                times[line] = trace.order.index(wrong[0])
        later = 0
        for line in sorted(range(len(self.work.lines)), key=lambda k: self.work.statements[k].lineno):
            later = times.setdefault(line, later)
        return sorted(range(len(self.work.lines)), key=lambda k: (times[k], self.work.statements[k].lineno))

    def _several(self) -> list[Repair]:
        """Return changes of several lines, each of which makes its own line right, and the last one all; or none."""
        found: list[Repair] = []
        while len(found) < MOST_MISTAKES and (not found or found[-1].own):
            repair = (self._repair() if found else None) or self._own_repair()
            if repair is None:
                break
            found.append(repair)
            self._look({**self.made, self.work.statements[repair.line]: repair.edit.statement})
        self._look({})
        return found if found and not found[-1].own else []

    def _look(self, made: dict[ast.stmt, ast.stmt]) -> None:
        """Look at the run with some changes made: at which lines are right in it."""
        point = self.points[0]
        self.made, self._states = made, {}
        self.ran = point.session.run(point.case, edits=made) if made else point.ran

    def _own_repair(self) -> Repair | None:
        """Return the change of the first wrong line that makes this line right, whatever else is wrong."""
        line = next((k for k in self._order() if self.state(k) == "wrong"), None)
        if line is None or self.work.statements[line] in self.made:
            return None
        statement, point = self.work.statements[line], self.points[0]
        for edit in self.edits(line):
            if self.left <= 0:
                return None
            outcome = point.session.run(point.case, edits={**self.made, statement: edit.statement})
            self.left -= outcome.nodes
            if outcome.failure is not None:
                continue
            # A constant that it carries belongs to the work: in the end all gradients must be right with it.
            if states(self._seen(line, outcome), is_accumulation(statement)) in ("right", "multiple"):
                return Repair(line, edit, own=True)
        return None

    def _repair(self) -> Repair | None:
        """Return the change of one line that makes every gradient right: the nearest, of the earliest wrong line."""
        best: tuple[tuple[int, int, int], Repair] | None = None
        candidates = [k for k in self._order() if self.state(k) != "right"]
        candidates.sort(key=lambda k: is_plain_read(self.work.statements[k]))
        failure = self.points[0].ran.failure
        if failure is not None:
            # The line that breaks off first, then those before it, the nearest first.
            at = getattr(failure.node, "lineno", 0)
            near = {k: at - s.lineno for k, s in enumerate(self.work.statements)}
            candidates = sorted((k for k in candidates if near[k] >= 0), key=lambda k: near[k])
        wrong = [k for k in candidates if self.state(k) in ("wrong", "multiple")]
        stop: list[int] = []
        for place, line in enumerate(candidates):
            if best is not None and stop and line not in stop:
                break
            repair = self._of_line(line, None if best is None else best[0][0])
            if repair is not None:
                # Of changes of one size the one that takes something away is the likelier: it was put there.
                grows = len(repair.edit.text) > len(ast.unparse(self.work.statements[line]))
                size = repair.edit.distance + (PLAIN if is_plain_read(self.work.statements[line]) else 0)
                score = size, int(grows), place
                if best is None or score < best[0]:
                    best = score, repair
            if best is not None and failure is None and wrong and line == wrong[0]:
                # In a loop a mistake may be made up for where its value comes round again.
                stop = self._same_loop(line)
                if not stop:
                    break
        return None if best is None else best[1]

    def _same_loop(self, line: int) -> list[int]:
        """Return the lines of the innermost loop around a line."""
        at = self.work.statements[line]
        loops = [
            n for n in ast.walk(self.work.reading.module)
            if isinstance(n, ast.For) and n.lineno < at.lineno <= (n.end_lineno or 0)
        ]
        if not loops:
            return []
        inside = set(ast.walk(max(loops, key=lambda n: n.lineno)))
        return [k for k, s in enumerate(self.work.statements) if s in inside]

    def _of_line(self, line: int, below: int | None) -> Repair | None:
        found: Edit | None = None
        equal_ones: list[Edit] = []
        for edit in self.edits(line):
            limit = found.distance + 1 if found is not None else below
            if (limit is not None and edit.distance > limit) or self.left <= 0:
                break
            outcome = self._edited(0, line, edit)
            self.left -= outcome.nodes
            if not self.outputs:
                self._find(outcome)
            if not self._all_right(0, outcome):
                continue
            if not all(self._all_right(d, self._edited(d, line, edit)) for d in range(1, len(self.points))):
                continue
            if found is None:
                found = edit
            else:
                equal_ones.append(edit)
        return None if found is None else Repair(line, found, tuple(equal_ones))

    def _edited(self, draw: int, line: int, edit: Edit) -> Outcome:
        point = self.points[draw]
        made = {**self.made, self.work.statements[line]: edit.statement}
        return point.session.run(point.case, edits=made, keeps=False)

    def _find(self, outcome: Outcome) -> None:
        """Find the outputs in a run that did not break off as the first did."""
        if outcome.failure is not None:
            return
        plan = self.bound.session.plan
        names = [n.id for text in plan.backward or plan.forward for n in ast.walk(ast.parse(text))
                 if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        receiver = "net" if self.bound.task.owner is not None else ""
        self.outputs = tuple(find_outputs(outcome, self.points[0].case, names, receiver))
        session = Session(self.bound.session.reading, replace(plan, outputs=self.outputs))
        for point in self.points:
            point.session = session
        for path, _ in self.outputs:
            outcome.outputs[path] = _leaf(outcome, path)

    # -- faults

    def _faults(self, repairs: Sequence[Repair], affected: tuple[str, ...]) -> list[Fault]:
        """Return the mistakes, each with the lines that are right once it and those before it are mended."""
        faults: list[Fault] = []
        told = {r.line for r in repairs}
        for repair in repairs:
            before = {k for k in range(len(self.work.lines)) if self.state(k) in ("wrong", "multiple")}
            wrong = {k for k in before if self.state(k) == "wrong"}
            self._look({**self.made, self.work.statements[repair.line]: repair.edit.statement})
            caused = tuple(k for k in sorted(before - told) if self.state(k) == "right" or (
                k in wrong and self.state(k) == "multiple"))
            faults.append(self._repaired(repair, affected, caused))
        self._look({})
        return faults

    def _repaired(self, repair: Repair, affected: tuple[str, ...], caused: tuple[int, ...]) -> Fault:
        line, edit = self.work.lines[repair.line], repair.edit
        nature = NATURES[edit.nature]
        one_row = line.statement.lineno == line.statement.end_lineno
        column = edit.column + (line.column - 1 if edit.line == 0 and one_row else 0)
        count = len(self.outputs)
        then = f"then all {count} gradients are right" if count > 1 else "then the gradient is right"
        return Fault(
            repair.line, (repair.line,), of="", nature=edit.nature, code=nature.code, title=nature.title,
            row=line.line + edit.line, column=column, length=edit.length, mend=" ".join(edit.text.split()),
            equivalently=_equal(repair), then="then this line is right" if repair.own else then,
            question=nature.question, affected=affected, caused=caused,
        )

    def _scaled(self, affected: tuple[str, ...]) -> Fault | None:
        """Return the first line after whose division by one constant every gradient is right, or None."""
        point = self.points[0]
        for line in self._order():
            seen = [s for s in self._seen(line, point.ran) if s.state == "multiple" and s.standing is not None]
            if not seen or self.state(line) != "multiple" or any(s.standing.transposed for s in seen if s.standing):
                continue
            mends = {s.entry: s.value / s.standing.constant for s in seen if s.standing is not None}
            if not self._all_right(0, point.session.run(point.case, mends=mends)):
                continue
            said = self._constant(seen[0]) or f"{seen[0].standing.constant:.4g}"  # type: ignore[union-attr]
            one = self.work.lines[line]
            row, column, length = span(getattr(one.statement, "value", one.statement), self.work.reading.lines)
            nature = NATURES["wrong constant"]
            return Fault(
                line, (line,), of="", nature="wrong constant", code=nature.code, title=nature.title,
                label=f"this is {said} times what it should be", row=row, column=column, length=length,
                question=nature.question, affected=affected,
            )
        return None

    def _replaced(self, affected: tuple[str, ...]) -> Fault | None:
        """Return the first line that, with a gradient of the forward pass in its place, makes all right; or None."""
        point = self.points[0]
        for line in self._order():
            entries = [e for e in point.ran.trace.order if e.statement is self.work.statements[line]]
            if self.state(line) == "right" or len(entries) != 1 or is_accumulation(entries[0].statement):
                continue
            size = np.size(point.ran.trace.values[entries[0]])
            alike = [at for at in self.anchors.known if np.size(point.value(at)) == size > 1]
            for at in alike[:MOST_ENTRIES]:
                try:
                    mends = {entries[0]: point.gradient(at)}
                except (Located, ValueError):
                    continue
                if self._all_right(0, point.session.run(point.case, mends=mends)):
                    return self._untrue(line, affected)
        return None

    def _untrue(self, line: int, affected: tuple[str, ...]) -> Fault:
        """Return that a line is not what it should be, where no single change of it puts it right."""
        one = self.work.lines[line]
        row, column, length = span(getattr(one.statement, "value", one.statement), self.work.reading.lines)
        of = next((nm.gradient_of(nm.tail(t))[0] for t in one.targets if nm.gradient_of(nm.tail(t))), "")
        label = f"this is not the gradient of {of}" if of else "with the gradient in its place all would be right"
        return Fault(
            line, (line,), of=of, nature="", code="C001", title="not the truth", label=label, row=row, column=column,
            length=length, affected=affected, caused=tuple(k for k in range(line + 1, len(self.work.lines))
                                                           if self.state(k) == "wrong"),
        )

    def _blamed(self, affected: tuple[str, ...]) -> Fault:
        """Return the first line that is no multiple of the gradient that its name says, or the lines it may be in."""
        order = self._order()
        wrong = [k for k in order if self.state(k) == "wrong"] or [k for k in order if self.state(k) == "multiple"]
        if wrong:
            line = wrong[0]
            before = order[: order.index(line)]
            feeding = self._feeding(line, before)
            unknown = [
                k for k in before if k in feeding and self.state(k) == "unknown"
                and not self._is_cleared(k, order, line) and not is_plain_read(self.work.statements[k])
                and self.work.statements[k] not in self.points[0].ran.trace.integers
            ]
            blamed = self.work.lines[line]
            row, column, length = span(getattr(blamed.statement, "value", blamed.statement), self.work.reading.lines)
            of = next((nm.gradient_of(nm.tail(t))[0] for t in blamed.targets if nm.gradient_of(nm.tail(t))), "")
            return Fault(
                line, tuple(sorted({line, *unknown})), of=of, nature="", code="C001",
                title="not the truth", label=f"this is not the gradient of {of}" if of else "", row=row, column=column,
                length=length, affected=affected,
                caused=tuple(sorted(k for k in wrong[1:])),
            )
        line = order[-1] if order else 0
        unknown = [k for k in order if self.state(k) in ("unknown", "multiple")] or [line]
        if not self.work.lines:
            return Fault(0, (), "", "", "C002", "the mistake is not found")
        blamed = self.work.lines[unknown[0]]
        return Fault(
            unknown[0], tuple(sorted(unknown)), of="", nature="", code="C002", title="the mistake is in these lines",
            row=blamed.line, column=blamed.column, affected=affected,
        )

    def _is_cleared(self, line: int, order: Sequence[int], wrong: int) -> bool:
        """Tell whether something right is made of a line, or out of what it assigned."""
        given = assigns(self.work.statements[line])
        later = order[order.index(line) + 1:]
        return any(
            k != wrong and self.state(k) == "right" and (
                given & reads(self.work.statements[k]) or given & assigns(self.work.statements[k])
            ) for k in later
        )

    def _feeding(self, line: int, before: Sequence[int]) -> set[int]:
        """Return the lines before a line of which its value is made, as far back as those that are right."""
        wanted = reads(self.work.statements[line])
        found: set[int] = set()
        for k in reversed(before):
            statement = self.work.statements[k]
            given = assigns(statement)
            if given & wanted:
                found.add(k)
                if not is_accumulation(statement):
                    wanted = wanted - given
                if self.state(k) != "right":
                    wanted = wanted | reads(statement)
        return found

    def _failed(self, failure: Located) -> Fault:
        """Return the error with which the backward pass broke off."""
        mistake: Mistake = failure.mistake
        line, column, length = span(failure.node, self.work.reading.lines)
        found = [k for k, s in enumerate(self.work.statements) if s.lineno <= line <= (s.end_lineno or s.lineno)]
        index = found[-1] if found else 0
        return Fault(
            index, (index,), of="", nature="", code=mistake.code, title=str(mistake.args[0]), label=mistake.label,
            row=line, column=column, length=length, help=mistake.help,
        )


def _equal(repair: Repair) -> tuple[str, ...]:
    told: dict[str, str] = {}
    for edit in repair.equal:
        if edit.nature != repair.edit.nature:
            told.setdefault(edit.nature, f"{NATURES[edit.nature].title}: {' '.join(edit.text.split())}")
    return tuple(told.values())[:3]


def _leaf(outcome: Outcome, path: str) -> Array:
    for name, value in outcome.scope.items():
        for here, array in leaves(name, value):
            if here == path:
                return array
    raise KeyError(path)


__all__ = ["Judge", "TOLERANCE", "judge"]
