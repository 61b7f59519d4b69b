"""How each line of one run stands beside the truth, and in which order the lines went wrong."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from symbp.verify.check.constants import Standing
from symbp.verify.student.binding.session import Outcome
from symbp.verify.student.judging.anchors import Anchors, Seen, is_accumulation, states
from symbp.verify.student.judging.gradients import Gradients
from symbp.verify.student.judging.lines import assigns, is_copied, is_empty_start, is_plain_read, reads
from symbp.verify.student.judging.replay import Replay, name_of
from symbp.verify.student.judging.work import CodeWork
from symbp.verify.student.language.trace import MOST_WATCHED, Entry
from symbp.verify.student.language.values import Array

VANISHES = 1e-12
"""What is below this part of the largest gradient is a rounding error."""
MOST_ENTRIES = 8
"""Of a line that ran more often only the last assignments are looked at."""


class Standings:
    """The lines of the backward pass in one run at the first draw.

    ran:  the run: of the code itself, or of the code with some lines mended.
    made: the statements that stand in place of others in it.
    only_constants: whether every gradient is a multiple of what it should be.
    """

    def __init__(
        self, work: CodeWork, anchors: Anchors, gradients: Gradients, ran: Outcome,
        made: dict[ast.stmt, ast.stmt] | None = None,
    ) -> None:
        self.work, self.anchors, self.ran, self.made = work, anchors, ran, made or {}
        self.replay = Replay(work.reading.module, ran.trace.visits)
        self.only_constants = gradients.are_multiples(ran)
        self.gradients = gradients
        self._rounds: dict[int, list[dict[str, Any]]] = {}
        self._states: dict[int, str] = {}
        self._order: list[int] | None = None
        self._entries: dict[ast.stmt, list[Entry]] = {}
        self._places = {entry: time for time, entry in enumerate(ran.trace.order)}
        for entry in ran.trace.order:
            self._entries.setdefault(entry.statement, []).append(entry)

    def entries(self, line: int) -> list[Entry]:
        """Return the assignments of a line, in the order in which they were made."""
        return self._entries.get(self.work.statements[line], [])

    def seen(self, line: int) -> list[Seen]:
        """Return the last assignments of a line beside the truth; of an accumulation its last value."""
        return self.seen_in(self.ran, line, self.entries(line))

    def seen_in(self, outcome: Outcome, line: int, entries: Sequence[Entry]) -> list[Seen]:
        """Return assignments of a line in another run beside the truth."""
        if is_accumulation(self.work.statements[line]):
            entries = list({e.target: e for e in entries}.values())
        return self.anchors.seen(outcome.trace.values, entries[-MOST_ENTRIES:])

    def state(self, line: int) -> str:
        """Return how a line stands: right, multiple, wrong or unknown."""
        if line not in self._states:
            is_sum = is_accumulation(self.work.statements[line])
            seen = self.seen(line)
            state = self._state_of_update(line) or states(seen, is_sum)
            # A second name for something is right by its value, and says nothing.
            is_copy = is_copied(self.work.statements[line]) and not any(s.named for s in seen)
            self._states[line] = "unknown" if is_copy and state == "right" else state
        return self._states[line]

    def _state_of_update(self, line: int) -> str:
        """Return how a line stands that makes a parameter anew, by the gradient that its step says; else nothing."""
        target = next((t for t in self.work.lines[line].targets if t in self._updates), None)
        standing = None if target is None else self._updates[target]
        if standing is None or standing.transposed:
            return "" if target is None else "wrong"
        return "right" if standing.same else "multiple"

    @cached_property
    def _updates(self) -> dict[str, Standing | None]:
        """How the gradients stand that steps say, by the parameter that is made anew."""
        plan = self.gradients.bound.session.plan
        if not plan.rate or self.ran.failure is not None:
            return {}
        found = zip(plan.outputs, self.gradients.standings(0, self.ran), strict=True)
        receiver = re.compile(r"\Anet\.")
        return {t: standing for (path, _), standing in found for t in (path, receiver.sub("self.", path))}

    def state_in(self, outcome: Outcome, line: int) -> str:
        """Return how a line stands in another run."""
        statement = self.work.statements[line]
        entries = [e for e in outcome.trace.order if e.statement is statement]
        return states(self.seen_in(outcome, line, entries), is_accumulation(statement))

    def order(self) -> list[int]:
        """Return the lines in the order in which they first went wrong, or first ran."""
        if self._order is None:
            self._order = self._ordered()
        return self._order

    def _ordered(self) -> list[int]:
        times: dict[int, int] = {}
        for line in range(len(self.work.lines)):
            if self.entries(line):
                times[line] = self._places[self.entries(line)[0]]
            wrong = [s.entry for s in self.seen(line) if s.state in ("wrong", "multiple")]
            if wrong:
                times[line] = self._places[wrong[0]]
        later = 0
        for line in sorted(range(len(self.work.lines)), key=lambda k: self.work.statements[k].lineno):
            later = times.setdefault(line, later)
        return sorted(range(len(self.work.lines)), key=lambda k: (times[k], self.work.statements[k].lineno))

    @cached_property
    def first_wrong(self) -> Seen | None:
        """The first assignment that is no multiple of what its name says, if it is whole by itself."""
        if self.ran.failure is not None or self.only_constants:
            return None
        lines = [
            k for k, s in enumerate(self.work.statements)
            if self.state(k) == "wrong" and k not in self.cleared
            and (not is_accumulation(s) or len(self.entries(k)) == 1)
        ]
        every = sorted((e for k in lines for e in self.entries(k)[:MOST_ENTRIES]), key=self._places.__getitem__)
        # What is made anew as the gradient of the same, round after round, is that in its last round.
        entries = {(e.statement, e.target, self.anchors.named(e) or e): e for e in every}.values()
        seen = self.anchors.seen(self.ran.trace.values, entries)
        return next((s for s in seen if s.named and s.state == "wrong"), None)

    def runs_behind(self, line: int, seen: Seen) -> bool:
        """Tell whether a line runs only after an assignment was made."""
        entries = self.entries(line)
        return bool(entries) and self._places[entries[0]] > self._places[seen.entry]

    def calls(self, line: int, other: int) -> bool:
        """Tell whether a line began before another one first ran, and ended after it: what it calls ran it."""
        times = self._begun
        first, second = (self.work.statements[k] for k in (line, other))
        if not self.entries(line) or not self.entries(other) or not (first in times and second in times):
            return False
        ended = self._places[self.entries(line)[0]] > self._places[self.entries(other)[0]]
        return times[first] < times[second] and ended

    @cached_property
    def _begun(self) -> dict[ast.stmt, int]:
        return {s: time for time, s in enumerate(self.ran.trace.visits)}

    @cached_property
    def right(self) -> dict[Entry, Array]:
        """The assignments that are right, with their values."""
        seen = (s for line in range(len(self.work.lines)) for s in self.seen(line))
        return {s.entry: s.value for s in seen if s.state == "right"}

    # -- sums over rounds of a loop

    def rounds(self, line: int) -> list[dict[str, Any]]:
        """Return what a line saw in each round in which it added to a sum that is wrong; nothing if there are many."""
        if line not in self._rounds:
            self._rounds[line] = self._watched(line) if self._is_sum(line) else []
        return self._rounds[line]

    def _is_sum(self, line: int) -> bool:
        """Tell whether a line adds to what no other line of the loop reads or changes, and its sum is wrong."""
        statement = self.work.statements[line]
        if not isinstance(statement, ast.AugAssign) or self.state(line) != "wrong" or self.ran.failure is not None:
            return False
        root = name_of(statement.target)
        around = self.replay.outermost(statement)
        inside = [s for s in self.work.statements if around.lineno <= s.lineno <= (around.end_lineno or 0)]
        return not any(root in reads(s) | assigns(s) for s in inside if s is not statement)

    def _watched(self, line: int) -> list[dict[str, Any]]:
        point = self.gradients.points[0]
        ran = point.session.run(point.case, edits=self.made, watched=self.work.statements[line])
        return ran.trace.rounds if len(ran.trace.rounds) <= MOST_WATCHED else []

    # -- constants

    def changes_constant(self, line: int) -> bool:
        """Tell whether a line has another constant than all that it is made of: there it came in, or was taken out."""
        return any(mine not in given for mine, given in self._constants(line))

    def keeps_constant(self, line: int) -> bool:
        """Tell whether a line has the constant of something that it is made of."""
        if is_copied(self.work.statements[line]):
            return False
        found = self._constants(line)
        return bool(found) and all(mine in given for mine, given in found)

    def _constants(self, line: int) -> list[tuple[float, list[float]]]:
        """Return the constants of assignments of a line beside those of what they are made of, where both are known."""
        wanted = reads(self.work.statements[line])
        found = []
        steps = [self._updates[t] for t in self.work.lines[line].targets if t in self._updates]
        for seen in self.seen(line) if steps or not is_accumulation(self.work.statements[line]) else ():
            mine = _constant(steps[0] if steps else seen.standing)
            before = {e.target.partition("[")[0]: e for e in self.ran.trace.order[: self._places[seen.entry]]}
            sources = [before[n] for n in wanted if n in before and before[n].statement in self.work.index]
            given = [_constant(self.anchors.see(e, self.ran.trace.values[e]).standing) for e in sources]
            known = [c for c in given if c is not None]
            if mine is not None and known:
                found.append((mine, known))
        return found

    # -- which lines feed others

    @cached_property
    def cleared(self) -> set[int]:
        """The lines of which something right is made.

        Of one that carries a constant that must have made up for it: else it is right by chance, through a zero.
        """
        order = self.order()
        used: dict[int, set[str]] = {}
        for at, line in enumerate(order):
            if self.state(line) == "right" and self._says_something(line):
                for k, names in self._feeding(line, order[:at], through=True).items():
                    if self.state(k) != "multiple" or self.changes_constant(line):
                        used[k] = used.get(k, set()) | names
        # Of a line that gives several names their values each must be used.
        return {k for k, names in used.items() if len(self.work.lines[k].targets) < 2 or (
            names >= assigns(self.work.statements[k]))}

    def _says_something(self, line: int) -> bool:
        """Tell whether a line gives more than rounding errors: a zero gradient is right whatever it is made of."""
        largest = max((float(np.abs(v).max(initial=0.0)) for v in self.ran.outputs.values()), default=1.0)
        found = [float(np.abs(s.value).max(initial=0.0)) for s in self.seen(line)]
        return not found or max(found) > VANISHES * largest

    def suspects(self, line: int) -> list[int]:
        """Return the lines before a wrong one that may have made it wrong: of which it is made, and nothing right."""
        before = self.order()[: self.order().index(line)]
        feeding = self._feeding(line, before)
        return [
            k for k in before if k in feeding and self.state(k) == "unknown" and k not in self.cleared
            and not is_plain_read(self.work.statements[k]) and not is_empty_start(self.work.statements[k])
            and self.work.statements[k] not in self.ran.trace.integers
        ]

    def _feeding(self, line: int, before: Sequence[int], *, through: bool = False) -> dict[int, set[str]]:
        """Return the lines before a line of which its value is made, with the names that it has from them.

        Lines that are right are the last.

        through: go back through lines that are right, too.
        """
        wanted = reads(self.work.statements[line])
        found: dict[int, set[str]] = {}
        for k in reversed(before):
            statement = self.work.statements[k]
            given = assigns(statement)
            if given & wanted:
                found[k] = given & wanted
                if not is_accumulation(statement):
                    wanted = wanted - given
                if through or self.state(k) != "right":
                    wanted = wanted | reads(statement)
        return found


def _constant(standing: Standing | None) -> float | None:
    """Return a constant, rounded so that equal ones are equal; None if there is none."""
    return None if standing is None or standing.transposed else float(f"{standing.constant:.7g}")
