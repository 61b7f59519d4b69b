"""Changes of one line after which every gradient is right: the nearest to the text, of the earliest wrong line."""

from __future__ import annotations

import ast
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from symbp.verify.check.edits import Edit, edits, words
from symbp.verify.student.binding.session import Outcome
from symbp.verify.student.judging.anchors import Seen
from symbp.verify.student.judging.gradients import Gradients
from symbp.verify.student.judging.lines import changes_nothing, is_plain_read, other_axes, reads_another
from symbp.verify.student.judging.scope import Scopes
from symbp.verify.student.judging.standing import Standings
from symbp.verify.student.judging.work import statement_at
from symbp.verify.student.language.budgets import RUN
from symbp.verify.student.language.errors import Located

MOST_TRIED = 560_000
"""Changes of lines are tried until their runs, and what it takes to make them, have cost so many nodes together."""
LINE, CHANGE, REPLAY = 8_000, 60, 200
"""Nodes that it costs to find the changes of a line, to make one, and to prepare a few lines to be run again."""
MOST_FOR_A_GRADIENT = 150_000
"""Nodes that it may cost to find a gradient entry by entry."""
DIFFERENCES = 12
"""Runs that an entry takes at least where no complex step is possible."""
TIMES, AT_LEAST = 3, 5_000
"""A run with a change may cost so many times the nodes of a run without, and so many more."""
SMALL, ANY = 3, 1_000
"""Changes of so many words are tried in all lines before larger ones are; and any."""
PLAIN = 3
"""A line that only gives a name to what is there has a mistake less often: it counts as so many words farther."""
MOST_MISTAKES = 4
"""So many mistakes are told apart in one task."""


@dataclass(frozen=True)
class Repair:
    """A change of one line after which every gradient is right, or, if it is not the only mistake, that line.

    equal: other changes of the line, about as near, after which every gradient is right too.
    own:   whether only the line itself is right after it.
    """

    line: int
    edit: Edit
    equal: tuple[Edit, ...] = ()
    own: bool = False


@dataclass(frozen=True)
class _Trial:
    """A change of a line that may be tried, and how likely it is: the nearest first, of the earliest line."""

    size: int
    place: int
    line: int
    edit: Edit


class Repairs:
    """Tries changes of lines of one task."""

    def __init__(self, gradients: Gradients, scopes: Scopes) -> None:
        self.gradients, self.scopes, self.work = gradients, scopes, scopes.work
        self.left = MOST_TRIED
        self._edits: dict[int, tuple[list[Edit], Iterator[Edit]]] = {}

    # -- one mistake

    def one(self, now: Standings) -> Repair | None:
        """Return the change of one line that makes every gradient right, or None."""
        near, far = self._candidates(now)
        # A line may be right by chance: what makes up for a constant too many stands behind it.
        right = [k for k in now.order() if now.state(k) == "right" and k not in near]
        late: list[_Trial] = []
        first = now.first_wrong
        before = [k for k in far if first is None or not now.runs_behind(k, first)]
        behind = [k for k in far if k not in before]
        sums = [k for k in near if now.rounds(k)]  # what changes of them give is soon told
        rounds = [(near, 0, SMALL), (sums, SMALL, ANY), (before, 0, SMALL), (right, 0, SMALL), (near, SMALL, ANY)]
        rounds += [(before, SMALL, ANY), (behind, 0, ANY)]
        if first is not None and self.is_cause(first):
            rounds = [(near, 0, ANY), (right, 0, SMALL)]
        for lines, above, most in rounds:
            found = self._best(now, self._trials(lines, above, most), late)
            if found is not None:
                return found
        # A name may be misleading: then the line is no multiple of what it says, and right.
        late.sort(key=lambda t: t.size)
        return self._best(now, iter(late), None)

    def is_cause(self, seen: Seen) -> bool:
        """Tell whether every gradient is right once an assignment is what its name says."""
        point = self.gradients.points[0]
        runs = 1 if point.analytic else DIFFERENCES
        if seen.at is None or np.size(seen.value) * point.ran.nodes * runs > MOST_FOR_A_GRADIENT:
            return False
        try:
            mends = {seen.entry: point.gradient(seen.at)}
        except (Located, ValueError):
            return False
        return self.gradients.are_right(0, point.session.run(point.case, mends=mends, keeps=False))

    def _candidates(self, now: Standings) -> tuple[list[int], list[int]]:
        """Return the lines that may hold the mistake, the likeliest first: up to the first wrong one, and behind it."""
        through = [k for k in now.order() if self.work.statements[k] in self.work.through]
        lines = [k for k in now.order() if now.state(k) != "right" or now.changes_constant(k) or k in through]
        lines.sort(key=lambda k: self._farther(k) > 0)
        failure = now.ran.failure
        if failure is not None:
            # The line that breaks off first, then those that ran before it, the last first.
            times = {s: time for time, s in enumerate(now.ran.trace.visits)}
            return sorted(lines, key=lambda k: -times.get(self.work.statements[k], -1)), []
        wrong = [k for k in lines if now.state(k) == "wrong" and k not in now.cleared]
        if now.only_constants or not wrong:
            return lines, []
        last = lines.index(wrong[0])
        # In a loop a mistake may show only where its value comes round again.
        first = now.first_wrong
        around = self._same_loop(wrong[0]) if first is None or first.entry.count else []
        around += [k for k in lines if now.calls(k, wrong[0])]
        near = [*lines[: last + 1], *(k for k in lines[last + 1:] if k in around)]
        near = [k for k in near if k not in now.cleared]
        return near, [k for k in lines if k not in near]

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

    def _trials(self, lines: Sequence[int], above: int, most: int) -> Iterator[_Trial]:
        """Yield the changes of some lines that are larger than a size, up to another one, the smallest first."""
        def of(place: int, line: int) -> Iterator[_Trial]:
            for edit in self.edits(line):
                size = edit.distance + self._farther(line)
                if size > most:
                    break
                if size > above or above == 0:
                    yield _Trial(size, place, line, edit)

        return heapq.merge(*(of(place, line) for place, line in enumerate(lines)), key=lambda t: (t.size, t.place))

    def _farther(self, line: int) -> int:
        """Return how many words farther a change of a line counts; a line that does nothing was there for something."""
        statement = self.work.statements[line]
        is_handed_through = statement in self.work.through
        if is_handed_through or changes_nothing(statement) or reads_another(statement, self.scopes.held(line)):
            return -1
        return PLAIN if is_plain_read(statement) else 0

    def _best(self, now: Standings, trials: Iterator[_Trial], skipped: list[_Trial] | None) -> Repair | None:
        """Return the best of some changes that make all gradients right; of those left out a list is made."""
        found: list[_Trial] = []
        for trial in trials:
            if self.left <= 0 or (found and trial.size > found[0].size + 1):
                break
            if found and trial.size > found[0].size and trial.line not in {t.line for t in found}:
                continue
            if skipped is not None and not self._may_be_right(now, trial):
                skipped.append(trial)
            elif self._is_right(now, trial):
                found.append(trial)
        if not found:
            return None

        def likelihood(trial: _Trial) -> tuple[int, int, int, bool, int]:
            # A line at which a constant comes in is the first to be blamed, one that gives what it should from what it
            # is given the last; and of changes of one size the one that takes something away is the likelier: it was
            # put there.
            line, most = trial.line, len(words(ast.unparse(self.work.statements[trial.line])))
            comes_in = now.state(line) == "multiple" and now.changes_constant(line)
            more = len(words(trial.edit.text)) - most
            is_open = now.only_constants and now.state(line) == "unknown"
            return trial.size, now.keeps_constant(line) - comes_in, (more > 0) - (more < 0), is_open, trial.place

        best = min(found, key=likelihood)
        return Repair(best.line, best.edit, tuple(t.edit for t in found if t.line == best.line and t is not best))

    def _may_be_right(self, now: Standings, trial: _Trial) -> bool:
        """Tell whether what first went wrong may be right after a change, as far as the lines between them tell."""
        first, last = self.work.statements[trial.line], now.first_wrong
        if now.ran.failure is not None:
            broken = statement_at(self.work.reading.module, getattr(now.ran.failure.node, "lineno", 0))
            survives, nodes = now.replay.survives(first, trial.edit.statement, broken)
            self.left -= nodes + REPLAY
            return survives
        if (rounds := now.rounds(trial.line)) and isinstance(first, ast.AugAssign):
            value, nodes = now.replay.added_up(rounds, trial.edit.statement, first.target)
            self.left -= nodes + REPLAY
            entry = now.entries(trial.line)[-1]
            if value is None or now.anchors.see(entry, value).state not in ("right", "multiple"):
                return False
        start = None if last is None else now.replay.start(first, last.entry)
        if last is None or start is None:
            return True
        right = {e: v for e, v in now.right.items() if e.statement is not first}
        value, nodes = now.replay.value(start, {**now.made, first: trial.edit.statement}, last.entry, right)
        self.left -= nodes + REPLAY
        return value is not None and now.anchors.see(last.entry, value).state in ("right", "multiple")

    def _is_right(self, now: Standings, trial: _Trial) -> bool:
        """Tell whether every gradient is right after a change, at every draw."""
        outcome = self._run(now, 0, trial.line, trial.edit)
        if not self.gradients.paths:
            self.gradients.find(outcome)
        return self.gradients.are_right(0, outcome) and all(
            self.gradients.are_confirmed(draw, self._run(now, draw, trial.line, trial.edit))
            for draw in range(1, len(self.gradients.points))
        )

    def _run(self, now: Standings, draw: int, line: int, edit: Edit, *, keeps: bool = False) -> Outcome:
        point = self.gradients.points[draw]
        made = {**now.made, self.work.statements[line]: edit.statement}
        most = TIMES * point.ran.nodes + AT_LEAST
        outcome = point.session.run(point.case, edits=made, keeps=keeps, most=most)
        self.left -= outcome.nodes + RUN
        return outcome

    # -- several mistakes

    def several(self, now: Standings) -> list[Repair]:
        """Return changes of several lines, each of which makes its own line right, and the last one all; or none."""
        found: list[Repair] = []
        while len(found) < MOST_MISTAKES and (not found or found[-1].own):
            repair = (self.one(now) if found else None) or self._own(now)
            if repair is None:
                break
            found.append(repair)
            now = self.after(now, repair)
        return found if found and not found[-1].own else []

    def after(self, now: Standings, repair: Repair) -> Standings:
        """Return how the lines stand once a line is mended."""
        point = self.gradients.points[0]
        made = {**now.made, self.work.statements[repair.line]: repair.edit.statement}
        ran = point.session.run(point.case, edits=made, looks=True)
        return Standings(self.work, now.anchors, self.gradients, ran, made)

    def _own(self, now: Standings) -> Repair | None:
        """Return the change of the first wrong line that makes this line right, whatever else is wrong."""
        line = next((k for k in now.order() if now.state(k) == "wrong"), None)
        if line is None or self.work.statements[line] in now.made:
            return None
        for edit in self.edits(line):
            if self.left <= 0:
                return None
            if not self._may_be_right(now, _Trial(edit.distance, 0, line, edit)):
                continue
            outcome = self._run(now, 0, line, edit, keeps=True)
            # A constant that it carries belongs to the work: in the end all gradients must be right with it.
            if outcome.failure is None and now.state_in(outcome, line) in ("right", "multiple"):
                return Repair(line, edit, own=True)
        return None

    # -- changes

    def edits(self, line: int) -> Iterator[Edit]:
        """Yield the changes of a line that the table has, the nearest to its text first."""
        if line not in self._edits:
            one = self.work.lines[line]
            statement = one.statement
            text = ""
            if statement.lineno == statement.end_lineno:
                text = one.source.encode()[statement.col_offset: statement.end_col_offset].decode(errors="ignore")
            self.left -= LINE
            is_count = statement in self.gradients.points[0].ran.trace.integers
            self._edits[line] = [], (
                other_axes(statement, text) if is_count
                else edits(statement, self.scopes.known(line), text, simple=1))
        made, rest = self._edits[line]
        yield from made
        for edit in rest:
            self.left -= CHANGE
            made.append(edit)
            yield edit
