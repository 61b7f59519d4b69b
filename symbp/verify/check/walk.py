"""Where: the lines that are wrong, each found with everything before it mended, so that one mistake is told once."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from symbp.verify.check.constants import equal
from symbp.verify.check.examine import Examination, Seen, Trial
from symbp.verify.check.outputs import Output, states
from symbp.verify.check.truth import Quantity
from symbp.verify.check.work import CASCADE, Array, Failure, Where


@dataclass(eq=False)
class Blame:
    """A line that is wrong.

    line:    its index.
    kind:    ``value`` (it is no multiple of the truth), ``constant`` (a factor is wrong), ``layout`` (a transpose among
             gradients that are not transposed), ``shape`` (it cannot be evaluated), ``caused`` (nor can it, because of
             another line that cannot be read), ``missing`` (a member of a gradient is not given).
    slice:   the lines among which the mistake is.
    mends:   for every draw the values that it should have.
    edit:    the statement in its place, if the line was found by mending it so.
    factor:  for a constant: by what its values are to be multiplied, at every draw.
    failure: why it could not be evaluated.
    diverging: whether the gradients that it reads carry different constants.
    missing: a member that no line gives.
    first:   the first assignment that was wrong.
    """

    line: int
    kind: str
    slice: tuple[int, ...]
    mends: list[dict[Where, Array]] = field(default_factory=list)
    edit: ast.stmt | None = None
    factor: tuple[float, ...] = ()
    failure: Failure | None = None
    missing: str = ""
    diverging: bool = False
    first: Seen | None = None


class Walk:
    """Goes through a work from the first line to the last and mends what is wrong by the truth."""

    def __init__(self, examination: Examination, outputs: Sequence[str]) -> None:
        self.examination, self.outputs = examination, tuple(outputs)
        self.blames: list[Blame] = []
        self.harmless: list[int] = []

    # -- trials --------------------------------------------------------------------------------------------
    def trial(self, *more: Blame, without: Blame | None = None) -> Trial:
        """Evaluate the work with every blamed line mended, but for one of them."""
        blames = [b for b in (*self.blames, *more) if b is not without]
        mends: list[dict[Where, Array]] = [{} for _ in self.examination.truth.draws]
        for blame in blames:
            if blame.edit is None:
                for mine, new in zip(mends, blame.mends, strict=False):
                    mine.update(new)
        edits = {b.line: b.edit for b in blames if b.edit is not None}
        return self.examination.trial(mends, edits)

    def states(self, trial: Trial) -> dict[str, Output]:
        """Return how the gradients stand to the truth."""
        return states(self.examination, trial, self.outputs)

    def score(self, trial: Trial) -> tuple[int, int, int]:
        """Return how good a trial is: gradients that are right, those that are right up to a constant, and how many
        assignments come before the first wrong one."""
        found = self.states(trial).values()
        first = self._first_wrong(trial)
        before = first[1] if first is not None else len(trial.seen[0]) + 1
        return sum(o.right for o in found), sum(o.state == "multiple" for o in found), before

    # -- the walk ------------------------------------------------------------------------------------------
    def run(self) -> None:
        """Find the wrong lines."""
        for _ in range(4 * len(self.examination.lines) + 8):
            trial = self.trial()
            found = self._first_wrong(trial)
            if found is None:
                break
            if not self._blame(trial, *found):
                break
        self._constants()
        self._lacking()

    def _lacking(self) -> None:
        """Blame the lines that leave out members of a gradient, as a loop with the wrong range does."""
        ex, trial = self.examination, self.trial()
        for o in self.states(trial).values():
            if o.state == "missing" and o.missing and not trial.failed:
                lines = {
                    s.where[0] for seen in trial.seen for s in seen
                    if s.quantity is not None and s.quantity[:2] == ("gradient", o.name)
                }
                line = max(lines)
                if all(b.line != line for b in self.blames):
                    none: list[dict[Where, Array]] = [{} for _ in ex.truth.draws]
                    self.blames.append(Blame(line, "missing", (line,), none, missing=o.missing))

    def _first_wrong(self, trial: Trial) -> tuple[int, int, Seen | Failure] | None:
        """Return draw and place of the first assignment that is wrong, in the order in which they run."""
        for d, seen in enumerate(trial.seen):
            for k, one in enumerate(seen):
                if one.wrong and one.where[0] not in self.harmless:
                    return d, k, one
            failure = trial.failures[d]
            if failure is not None:
                return d, len(seen), failure
        return None

    def _blame(self, trial: Trial, d: int, k: int, found: Seen | Failure) -> bool:
        """Blame a line and mend it by the truth; return False if it is not known what the truth of it is."""
        ex = self.examination
        if isinstance(found, Failure):
            return self._blame_failure(trial, d, found)
        line = found.where[0]
        known = next((b for b in self.blames if b.line == line), None)
        if known is not None:
            return self._mend_rest(known, trial)
        jumping = self._jumping(trial, line)
        if jumping is not None:
            self.blames.append(jumping)
            return True
        carried = [ex.carried(seen, p) for seen, p in _places(trial, line)]
        quantity = found.quantity
        assert quantity is not None
        if len(carried[0]) > 1:
            blame = self._diverging(trial, line, carried[0])
            if blame is not None:
                self.blames.append(blame)
                return True
        before = self.score(trial)
        layout = self._layout(found, d)
        best: tuple[tuple[int, int, int], Quantity, Blame] | None = None
        is_output = quantity.of in self.outputs and not ex.reads.is_read(line)
        for meant in self._may_mean(quantity):
            # Who writes dG may mean the gradient of what goes into the function with the value G.
            ex.reanchor(line, found.where[2], (meant.kind, meant.of))
            again = trial if meant == quantity else self.trial()
            if meant != quantity and not any(seen[p].wrong for seen, p in _first(again, line)):
                if best is None or self.score(again) >= best[0]:
                    return True
                continue
            for constants in self._constants_to_try(carried, is_output):
                mended = Blame(line, "value", (line,), self._truths(again, line, constants, layout), first=found)
                score = self.score(self.trial(mended))
                if best is None or score > best[0]:
                    best = score, meant, mended
        assert best is not None
        ex.reanchor(line, found.where[2], (best[1].kind, best[1].of))
        if best[0][0] < before[0]:
            # With the truth in its place less is right: its name means something else to whoever wrote it.
            ex.dropped.add(line)
            return True
        best[2].diverging = len(carried[0]) > 1
        self.blames.append(best[2])
        return True

    def _may_mean(self, quantity: Quantity) -> Iterator[Quantity]:
        """Yield what a name may mean: what it says, or the gradient of what goes into the function."""
        yield quantity
        inside = self.examination.truth.inside.get(quantity.of)
        if quantity.kind == "gradient" and inside is not None:
            yield Quantity("gradient", inside, quantity.at)

    def _blame_failure(self, trial: Trial, d: int, failure: Failure) -> bool:
        """Blame a line that cannot be evaluated, and give it the value that it should have."""
        ex, where = self.examination, failure.where
        source = failure.source
        if source is not None and all(b.line != source.line for b in self.blames):
            none: list[dict[Where, Array]] = [{} for _ in ex.truth.draws]
            self.blames.append(Blame(source.line, "shape", (source.line,), none, failure=source))
        draw = ex.truth.draws[d]
        quantity = ex.quantity(where, draw) if where is not None else None
        known = next((b for b in self.blames if b.line == failure.line), None)
        if known is None:
            kind = "caused" if failure.code == CASCADE else "shape"
            known = Blame(failure.line, kind, (failure.line,), [{} for _ in ex.truth.draws], failure=failure)
            self.blames.append(known)
        if known.edit is not None or quantity is None or where is None or where in known.mends[d]:
            return False
        carried = self._carried_at_end(trial, d, failure.line)
        constant = 1.0 if quantity.of in self.outputs and not ex.reads.is_read(failure.line) else carried
        best: tuple[tuple[int, int, int], Quantity] | None = None
        meanings = list(self._may_mean(quantity)) if not known.mends[d] else [quantity]
        for meant in meanings:
            known.mends[d][where] = constant * ex.truth_at(meant, d)
            score = self.score(self.trial())
            if best is None or score > best[0]:
                best = score, meant
        assert best is not None
        known.mends[d][where] = constant * ex.truth_at(best[1], d)
        ex.reanchor(failure.line, where[2], (best[1].kind, best[1].of))
        return True

    def _carried_at_end(self, trial: Trial, d: int, line: int) -> float:
        seen = trial.seen[d]
        for name in self.examination.reads.read[line]:
            for one in reversed(seen):
                mine = name in self.examination.reads.assigned[one.where[0]]
                if mine and one.standing is not None and one.quantity is not None and one.quantity.kind == "gradient":
                    return one.standing.constant
        return 1.0

    def _constants_to_try(self, carried: Sequence[Sequence[float]], output: bool) -> Iterator[tuple[float, ...]]:
        ones = tuple(1.0 for _ in carried)
        found = [tuple(c[k] if k < len(c) else 1.0 for c in carried) for k in range(max(map(len, carried), default=0))]
        ordered = [ones, *found] if output else [*found, ones]
        yield from dict.fromkeys(ordered or [ones])

    def _layout(self, seen: Seen, d: int) -> bool:
        """Tell whether a wrong value lies transposed, as far as its shape tells."""
        assert seen.quantity is not None
        shape = self.examination.truth_at(seen.quantity, d).shape
        return seen.value.shape != shape and seen.value.shape == shape[::-1]

    def _truths(
        self, trial: Trial, line: int, constants: Sequence[float], transposed: bool
    ) -> list[dict[Where, Array]]:
        """Return for every draw what the assignments of a line should be."""
        found: list[dict[Where, Array]] = []
        for d, seen in enumerate(trial.seen):
            constant = constants[min(d, len(constants) - 1)]
            found.append({
                s.where: self._like(s, constant, d, transposed)
                for s in seen if s.where[0] == line and s.quantity is not None
            })
        return found

    def _like(self, seen: Seen, constant: float, draw: int, transposed: bool) -> Array:
        """Return a constant times the truth of an assignment, laid out as it is."""
        assert seen.quantity is not None
        truth = constant * self.examination.truth_at(seen.quantity, draw)
        laid = truth.T if transposed else truth
        if laid.shape != seen.value.shape and laid.size == seen.value.size and seen.value.ndim != 2:
            laid = laid.reshape(seen.value.shape)
        return np.array(laid)

    def _mend_rest(self, blame: Blame, trial: Trial) -> bool:
        """Mend assignments of a blamed line that were not reached before; tell whether there were any."""
        blame.edit, more = None, False
        blame.mends += [{} for _ in trial.seen[len(blame.mends) :]]
        for d, seen in enumerate(trial.seen):
            for s in seen:
                if s.where[0] == blame.line and s.wrong and s.quantity is not None:
                    carried = self.examination.carried(seen, seen.index(s))
                    more = more or s.where not in blame.mends[d]
                    blame.mends[d][s.where] = self._like(s, carried[0] if carried else 1.0, d, False)
        return more

    # -- constants -------------------------------------------------------------------------------------------
    def _jumping(self, trial: Trial, line: int) -> Blame | None:
        """Blame the line whose constant differs from what it reads, if a wrong line is right without that.

        In a recurrence a wrong factor is one in the first round only, and mixes with what is right in the next.
        """
        ex = self.examination
        best: tuple[tuple[int, int, int], Blame] | None = None
        for k in sorted({line, *ex.reads.before(line)}):
            carried, mine = [], []
            for seen, p in _first(trial, k):
                one, inputs = seen[p], ex.carried(seen, p) or [1.0]
                gradient = one.quantity is not None and one.quantity.kind == "gradient"
                if one.standing is None or not gradient or len(inputs) > 1 or equal(one.standing.constant, inputs[0]):
                    break
                carried.append(inputs[0])
                mine.append(one.standing)
            if len(mine) < len(trial.seen):
                continue
            factor = tuple(c / s.constant for c, s in zip(carried, mine, strict=True))
            blame = Blame(k, "constant", (k,), self._truths(trial, k, carried, mine[0].transposed), factor=factor)
            after = self.trial(blame)
            if not any(s.wrong for seen in after.seen for s in seen if s.where[0] == line):
                score = self.score(after)
                if best is None or score > best[0]:
                    best = score, blame
        return None if best is None else best[1]

    def _diverging(self, trial: Trial, line: int, carried: Sequence[float]) -> Blame | None:
        """Blame the line before a sum of gradients that carry different constants, if that makes the sum right."""
        ex = self.examination
        for k in sorted(ex.reads.before(line)):
            for a in range(len(carried)):
                for b in range(len(carried)):
                    if a == b:
                        continue
                    factors = self._factors_between(trial, line, a, b)
                    if factors is None:
                        continue
                    blame = self._rescaled(trial, k, factors)
                    after = self.trial(blame)
                    still = any(s.wrong for seen in after.seen for s in seen if s.where[0] == line)
                    if blame.mends and not still and self._jumps(trial, k):
                        return blame
        return None

    def _factors_between(self, trial: Trial, line: int, a: int, b: int) -> tuple[float, ...] | None:
        found = []
        for seen, p in _places(trial, line):
            carried = self.examination.carried(seen, p)
            if max(a, b) >= len(carried):
                return None
            found.append(carried[a] / carried[b])
        return tuple(found)

    def _rescaled(self, trial: Trial, line: int, factors: Sequence[float]) -> Blame:
        """Return the blame of a line whose values are to be multiplied by a factor."""
        mends: list[dict[Where, Array]] = []
        for d, (seen, factor) in enumerate(zip(trial.seen, factors, strict=True)):
            mine = [s for s in seen if s.where[0] == line]
            known = [s.standing for s in mine if s.standing is not None]
            fixed: dict[Where, Array] = {}
            for s in mine:
                if s.wrong and known and s.quantity is not None:
                    # Spoiled by what the line itself did in an earlier round.
                    constant = known[0].constant * factor
                    fixed[s.where] = self._like(s, constant, d, known[0].transposed)
                else:
                    fixed[s.where] = factor * s.value
            mends.append(fixed)
        return Blame(line, "constant", (line,), mends, factor=tuple(factors))

    def _constants(self) -> None:
        """Blame the lines whose constants make gradients that are multiples of the truth wrong."""
        for _ in range(len(self.examination.lines)):
            trial = self.trial()
            found = self.states(trial)
            if trial.failed or all(o.state not in ("multiple",) for o in found.values()):
                return
            blame = self._culprit(trial, found)
            if blame is None:
                return
            self.blames.append(blame)

    def _culprit(self, trial: Trial, found: Mapping[str, Output]) -> Blame | None:
        """Return the line whose mend by one constant makes all gradients right; else as many as one can."""
        ex = self.examination
        pool: dict[tuple[float, ...], None] = {}
        for o in found.values():
            if o.state == "multiple" and o.constants and not all(equal(c, 1.0) for c in o.constants):
                pool[tuple(1 / c for c in o.constants)] = None
        now = sum(o.right for o in found.values())
        blamed = {b.line for b in self.blames}
        best: tuple[tuple[int, int, int], Blame] | None = None
        for k in range(len(ex.lines)):
            if k in blamed:
                continue
            candidates = [self._rescaled(trial, k, factors) for factors in pool]
            if self._jumps(trial, k):
                candidates.append(self._levelled(trial, k))
            for blame in candidates:
                if not any(blame.mends):
                    continue
                right = sum(o.right for o in self.states(self.trial(blame)).values())
                score = right, int(self._jumps(trial, k)), -k
                if right > now and (best is None or score > best[0]):
                    best = score, blame
        if best is not None:
            return best[1]
        transposed = [o for o in found.values() if o.transposed]
        for o in transposed:
            lines = [
                s.where[0] for s in trial.seen[0] if s.quantity is not None and s.quantity[:2] == ("gradient", o.name)
            ]
            if lines and lines[-1] not in blamed:
                mends = self._truths(trial, lines[-1], [1.0] * len(trial.seen), False)
                return Blame(lines[-1], "layout", (lines[-1],), mends)
        return None

    def _levelled(self, trial: Trial, line: int) -> Blame:
        """Return the blame of a line whose every assignment is to carry the constant of what it reads."""
        ex = self.examination
        mends: list[dict[Where, Array]] = []
        for seen in trial.seen:
            mine: dict[Where, Array] = {}
            for p, s in enumerate(seen):
                if s.where[0] == line and s.standing is not None:
                    before = [x for x in seen[: p + 1] if x is s or x.where[0] != line]
                    others = ex.carried(before, _count(seen, p, line))
                    mine[s.where] = s.value * ((others[0] if others else 1.0) / s.standing.constant)
            mends.append(mine)
        return Blame(line, "constant", (line,), mends)

    def _jumps(self, trial: Trial, line: int) -> bool:
        """Tell whether the constant of a line differs from that of the gradients which it reads."""
        for seen, p in _places(trial, line):
            one = seen[p]
            if one.standing is None or one.quantity is None or one.quantity.kind != "gradient":
                return False
            carried = self.examination.carried(seen, p) or [1.0]
            if len(carried) == 1 and not equal(one.standing.constant, carried[0]):
                return True
        return False


def _count(seen: Sequence[Seen], p: int, line: int) -> int:
    return sum(s.where[0] != line for s in seen[:p])


def _first(trial: Trial, line: int) -> list[tuple[Sequence[Seen], int]]:
    """Return for every draw the first assignment of a line."""
    found = [(seen, next((p for p, s in enumerate(seen) if s.where[0] == line), None)) for seen in trial.seen]
    return [(seen, p) for seen, p in found if p is not None]


def _places(trial: Trial, line: int) -> list[tuple[Sequence[Seen], int]]:
    """Return for every draw the first assignment of a line that is wrong, or its first one."""
    found: list[tuple[Sequence[Seen], int]] = []
    for seen in trial.seen:
        mine = [p for p, s in enumerate(seen) if s.where[0] == line]
        wrong = [p for p in mine if seen[p].wrong]
        if mine:
            found.append((seen, (wrong or mine)[0]))
    return found
