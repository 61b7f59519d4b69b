"""What: the changes of a wrong line, in its author's words, that make it right; the nearest to its text counts."""

from __future__ import annotations

import ast
import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from symbp.verify.check.edits import Edit, Known, edits, plant
from symbp.verify.check.examine import Examination, Trial
from symbp.verify.check.walk import Blame, Walk
from symbp.verify.check.work import Array, Where

KnownOf = Callable[[int], Known]
"""What is known of the names in scope of a line."""

MOST_TRIED = 250_000
"""How many assignments are evaluated at most in the search for mends."""


@dataclass(frozen=True)
class Repair:
    """A change of a line that makes it right.

    line:  the index of the line.
    edit:  the change.
    right: how many gradients are right after it, later mistakes left as they are.
    equal: other changes of the same distance that do the same.
    """

    line: int
    edit: Edit
    right: int
    equal: tuple[Edit, ...] = ()


class Repairer:
    """Looks for the change of one line that mends a mistake."""

    def __init__(self, examination: Examination, known: KnownOf) -> None:
        self.examination, self.known = examination, known
        self._edits: dict[int, tuple[list[Edit], Iterator[Edit]]] = {}
        self.left = MOST_TRIED
        self.cost = max(1, len(examination.work.run(0).values))

    def edits(self, line: int) -> Iterator[Edit]:
        """Yield the changes of a line, the nearest to its text first; they are made as far as they are asked for."""
        if line not in self._edits:
            one = self.examination.lines[line]
            self._edits[line] = [], edits(one.statement, self.known(line), source_of(self.examination, line))
        made, more = self._edits[line]
        yield from made
        for edit in more:
            made.append(edit)
            yield edit

    def slice(self, line: int) -> tuple[int, ...]:
        """Return the lines among which the mistake is that shows in a line: itself, and those that it is made of
        whose names do not say what they are."""
        ex = self.examination
        found, todo = {line}, list(ex.reads.sources[line])
        while todo:
            k = todo.pop()
            if k not in found and not self.anchored(k):
                found.add(k)
                todo += ex.reads.sources[k]
        return tuple(sorted(found))

    def anchored(self, line: int) -> bool:
        """Tell whether the name or the comment of a line says what it is."""
        ex = self.examination
        mine = [m for (k, _), m in ex.meanings.items() if k == line]
        return line not in ex.dropped and any(m is not None for m in mine)

    def repairs(self, walk: Walk, blame: Blame, lines: Sequence[int], others: Sequence[Blame]) -> Repair | None:
        """Return the best change of one of the lines after which a blamed line is right.

        others: the blames whose mends are in place.

        Most gradients right comes first, then the nearest to the text, then the blamed line itself.
        """
        goal = self._right(walk, [*others, blame])
        found: dict[int, Repair] = {}
        for line, edit, right in self._mending(walk, blame, lines, others, goal):
            before = found.get(line)
            if before is None or right > before.right:
                found[line] = Repair(line, edit, right)
            elif edit.nature != before.edit.nature or edit.text != before.edit.text:
                found[line] = replace(before, equal=(*before.equal, edit))
        best: tuple[tuple[int, ...], Repair] | None = None
        for line in _nearest(lines, blame.line):
            repair = found.get(line)
            if repair is not None and line != blame.line and repair.right == goal and self._speaks(line):
                continue  # its value is that of something: it is blamed only where that mends more
            if repair is not None:
                own = line == blame.line
                score = -repair.right, int(own and blame.diverging), repair.edit.distance, int(not own)
                if best is None or score < best[0]:
                    best = score, repair
        return None if best is None else best[1]

    def _mending(
        self, walk: Walk, blame: Blame, lines: Sequence[int], others: Sequence[Blame], goal: int
    ) -> Iterator[tuple[int, Edit, int]]:
        """Yield the changes of lines that make the blamed one right, and as many gradients as its mend, with how many
        they make right; the nearest to the text first.

        Changes that are farther by more than one word than the first of their line, or than one after which all is
        right, are left out.
        """
        enough: dict[int | None, int] = {}
        mends = {line: self._given(others, None, line)[0] for line in lines}
        ranked = (self._ranked(line, rank) for rank, line in enumerate(_nearest(lines, blame.line)))
        for distance, _, line, edit in heapq.merge(*ranked, key=lambda c: c[:2]):
            if self.left <= 0 or distance > enough.get(None, distance):
                return
            if distance > enough.get(line, distance):
                continue
            self.left -= self.cost
            if not self._promising(blame, mends[line][0], others, (line, edit)):
                continue
            whole = self._trial(others, (line, edit))
            if whole.failed or not self._fine(whole, blame):
                continue
            right = walk.score(whole)[0]
            if right >= goal:
                enough.setdefault(line, distance + 1)
                if right == len(walk.outputs):
                    enough.setdefault(None, distance + 1)
                yield line, edit, right

    def _ranked(self, line: int, rank: int) -> Iterator[tuple[int, int, int, Edit]]:
        return ((edit.distance, rank, line, edit) for edit in self.edits(line))

    def _speaks(self, line: int) -> bool:
        """Tell whether a line is told by its value."""
        return any(key[0] == line for key in self.examination.guessed)

    def _right(self, walk: Walk, blames: Sequence[Blame]) -> int:
        return walk.score(self._trial(blames))[0]

    def _trial(self, blames: Sequence[Blame], edit: tuple[int, Edit] | None = None) -> Trial:
        return self.examination.trial(*self._given(blames, edit))

    def _given(
        self, blames: Sequence[Blame], edit: tuple[int, Edit] | None = None, line: int | None = None
    ) -> tuple[list[dict[Where, Array]], dict[int, ast.stmt]]:
        """Return the mends of blamed lines for every draw, and the statements in place of lines."""
        mends: list[dict[Where, Array]] = [{} for _ in self.examination.truth.draws]
        statements = {b.line: b.edit for b in blames if b.edit is not None}
        for b in blames:
            if b.edit is None and b.line != line and (edit is None or b.line != edit[0]):
                for mine, new in zip(mends, b.mends, strict=False):
                    mine.update(new)
        if edit is not None:
            statements[edit[0]] = edit[1].statement
        return mends, statements

    def from_reference(self, walk: Walk, blame: Blame, others: Sequence[Blame]) -> tuple[ast.stmt | None, str]:
        """Return the line of the reference that makes a blamed one right, and the nature of the mistake that makes it
        what was written; for a line that is far from the reference these are not known."""
        goal = self._right(walk, [*others, blame])
        for text in self.known(blame.line).written:
            statement = ast.parse(text).body[0]
            whole = self.examination.trial(*self._in_place(others, blame.line, statement))
            if not whole.failed and self._fine(whole, blame) and walk.score(whole)[0] >= goal:
                return statement, self._nature(blame, others, statement)
        return None, ""

    def _in_place(
        self, others: Sequence[Blame], line: int, statement: ast.stmt
    ) -> tuple[list[dict[Where, Array]], dict[int, ast.stmt]]:
        mends, statements = self._given(others, None, line)
        return mends, {**statements, line: statement}

    def _nature(self, blame: Blame, others: Sequence[Blame], reference: ast.stmt) -> str:
        """Return the nature of the one change of the reference that has the values of a blamed line; else nothing."""
        if blame.first is None:
            return ""
        where, wrong = blame.first.where, blame.first.value
        for edit in plant(reference, self.known(blame.line)):
            if self.left <= 0:
                break
            self.left -= self.cost
            mends, statements = self._in_place(others, blame.line, edit.statement)
            run = self.examination.work.run(0, mends[0], statements, where)
            value = run.values.get(where)
            if value is not None and value.shape == wrong.shape and np.allclose(value, wrong, rtol=1e-9, atol=0):
                return edit.nature
        return ""

    def _promising(
        self, blame: Blame, mends: Mapping[Where, Array], others: Sequence[Blame], edit: tuple[int, Edit]
    ) -> bool:
        """Tell whether a change makes right what was wrong first, at the first draw."""
        ex = self.examination
        first = blame.first.where if blame.first is not None else next(iter(blame.mends[0]), None)
        statements = self._given(others, edit)[1]
        run = ex.work.run(0, mends, statements, first)
        if run.failure is not None:
            return False
        if first is None or first not in run.values:
            return True
        quantity = ex.quantity(first, ex.truth.draws[0])
        return quantity is None or ex.stand(run.values[first], quantity, 0) is not None

    def _fine(self, trial: Trial, blame: Blame) -> bool:
        """Tell whether a blamed line is a multiple of the truth, or has the constant that it should have."""
        seen = [s for one in trial.seen for s in one if s.where[0] == blame.line]
        if not seen or any(s.wrong for s in seen):
            return False
        if blame.kind in ("constant", "layout"):
            return True
        return any(s.quantity is not None for s in seen) or blame.kind == "shape"


def _nearest(lines: Sequence[int], line: int) -> list[int]:
    """Return lines so that one comes first, then the others from the last to the first."""
    return sorted(lines, key=lambda k: (k != line, -k))


def source_of(examination: Examination, line: int) -> str:
    """Return the text of a line's statement as its author wrote it, where it is one row of the file."""
    one = examination.lines[line]
    statement = one.statement
    if statement.lineno != statement.end_lineno or statement.lineno != one.line:
        return ""
    return (one.parsed or one.source)[statement.col_offset : statement.end_col_offset]


def others_of(blames: Sequence[Blame], blame: Blame) -> Iterator[Blame]:
    """Yield the blames beside one."""
    yield from (b for b in blames if b is not blame)
