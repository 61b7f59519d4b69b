"""Examining a work: what every assignment that ran means, and how it stands to the truth.

An assignment is a multiple of the truth (*standing*), or wrong, or has no meaning that could be judged.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from symbp.verify.check.anchors import Meaning, Names, Target, target_of
from symbp.verify.check.constants import Standing, equal, name_of, standings
from symbp.verify.check.reading import Reads
from symbp.verify.check.truth import Draw, Quantity, Truth
from symbp.verify.check.work import Array, Failure, Line, Run, Where, Work

Mends = Sequence[Mapping[Where, Array]]
"""For every draw the values that take the place of what was assigned."""

Edits = Mapping[int, ast.stmt]

MOST_GUESSED = 60
"""More assignments of one line are not compared with everything that is known."""


@dataclass(frozen=True)
class Seen:
    """One assignment at one draw: what it is of, and how it stands to it; no standing means that it is wrong."""

    where: Where
    value: Array
    quantity: Quantity | None
    standing: Standing | None

    @property
    def wrong(self) -> bool:
        """Tell whether it means something and is no multiple of it."""
        return self.quantity is not None and self.standing is None


@dataclass(frozen=True)
class Trial:
    """One evaluation at every draw: what was seen, and where it broke off."""

    seen: tuple[tuple[Seen, ...], ...]
    failures: tuple[Failure | None, ...]

    @property
    def failed(self) -> bool:
        """Tell whether a draw broke off."""
        return any(f is not None for f in self.failures)


@dataclass
class Examination:
    """A work beside the truth.

    meanings: what a line's target means, by line, where comment, spelling or value tell; filled as lines are anchored.
    guessed:  the lines that were anchored by value or shape alone.
    stated:   what comments define by an expression, by draw.
    dropped:  the lines whose spelling misleads: with the truth in their place, less is right.
    """

    work: Work
    truth: Truth
    names: Names
    meanings: dict[tuple[int, str], Meaning | None] = field(default_factory=dict)
    guessed: dict[tuple[int, str], Meaning] = field(default_factory=dict)
    dropped: set[int] = field(default_factory=set)
    stated: dict[int, dict[Quantity, Array]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lines: tuple[Line, ...] = self.work.lines
        self.reads = Reads(self.lines)
        self.scales = [
            max((_largest(a) for q, a in d.table.items() if q.kind == "gradient"), default=0.0)
            for d in self.truth.draws
        ]
        self._targets: dict[str, Target] = {}
        self._stood: dict[tuple[int, Where], Seen] = {}

    # -- meaning -------------------------------------------------------------------------------------------
    def target(self, text: str) -> Target:
        """Return a target taken apart."""
        if text not in self._targets:
            self._targets[text] = target_of(text)
        return self._targets[text]

    def meaning(self, line: int, text: str) -> Meaning | None:
        """Return what a target of a line means: by its comment, its spelling, or what its value told before."""
        if line in self.dropped:
            return None
        target = self.target(text)
        key = line, target.holder + "." + target.word
        if key in self.guessed:
            return self.guessed[key]
        if key not in self.meanings:
            comment = self.lines[line].about
            stated = self.names.stated(comment) if comment else None
            self.meanings[key] = stated or self.names.meaning(target) or self._numbered(target)
        return self.meanings[key]

    def reanchor(self, line: int, text: str, meaning: Meaning) -> None:
        """Say that a target means something else than its name says."""
        if meaning[1] in self.truth.variables:
            target = self.target(text)
            self.meanings[line, target.holder + "." + target.word] = meaning

    def is_guess(self, line: int, text: str) -> bool:
        """Tell whether a target has its meaning from its value or its shape alone."""
        target = self.target(text)
        return (line, target.holder + "." + target.word) in self.guessed

    def forget(self, line: int) -> None:
        """Forget what the values of a line told, because they were wrong."""
        self.guessed = {k: m for k, m in self.guessed.items() if k[0] != line}

    def _numbered(self, target: Target) -> Meaning | None:
        """Return the meaning of an entry of a list: ``dW[1]`` where the network has W1."""
        if len(target.at) != 1:
            return None
        return self.names.meaning(Target(target.holder, f"{target.word}{target.at[0]}"))

    def quantity(self, where: Where, draw: Draw) -> Quantity | None:
        """Return the quantity that an assignment is of, if the network has it at this draw."""
        line, counts, text = where
        meaning = self.meaning(line, text)
        if self.lines[line].about.startswith("is") and (meaning is None or self.is_guess(line, text)):
            return self._stated(where, draw)
        if meaning is None:
            return None
        kind, of = meaning
        known = draw.gradients if kind == "gradient" else draw.results
        target = self.target(text)
        if target.part:
            return None
        at: tuple[int, ...] = ()
        if isinstance(known.get(of), Mapping):
            wanted = len(self.truth.variables[of].indices)
            at = target.at if len(target.at) == wanted else counts[-wanted:]
        quantity = Quantity(kind, of, at)
        return quantity if quantity in draw.table else None

    def _stated(self, where: Where, draw: Draw) -> Quantity | None:
        """Return the quantity that a comment defines by an expression, and make its value known."""
        number = next(k for k, d in enumerate(self.truth.draws) if d is draw)
        value = self.work.stated_value(where[0], where, number)
        if value is None:
            return None
        quantity = Quantity("value", f"line {self.lines[where[0]].line}", where[1])
        self.stated.setdefault(number, {})[quantity] = value
        return quantity

    def truth_at(self, quantity: Quantity, draw: int) -> Array:
        """Return the true value of a quantity."""
        mine = self.stated.get(draw, {})
        return mine[quantity] if quantity in mine else self.truth.draws[draw].table[quantity]

    # -- standing ------------------------------------------------------------------------------------------
    def trial(self, mends: Mends | None = None, edits: Edits | None = None, draws: int | None = None) -> Trial:
        """Evaluate the work and see how every assignment stands to the truth."""
        count = len(self.truth.draws) if draws is None else draws
        runs = [self.work.run(d, None if mends is None else mends[d], edits) for d in range(count)]
        if draws is None:
            self._guess(runs)
        return Trial(tuple(self._seen(d, run) for d, run in enumerate(runs)), tuple(r.failure for r in runs))

    def _seen(self, draw: int, run: Run) -> tuple[Seen, ...]:
        known = self.truth.draws[draw]
        last: dict[tuple[str, tuple[int, ...]], Where] = {}
        for where in run.values:
            last[where[2], self._members(where)] = where
        found = []
        for where, value in run.values.items():
            # A name that is assigned again is judged by what it is in the end.
            final = last[where[2], self._members(where)] == where
            quantity = self.quantity(where, known) if final else None
            before = self._stood.get((draw, where))
            if before is None or before.value is not value or before.quantity != quantity:
                standing = self.stand(value, quantity, draw) if quantity is not None else None
                before = self._stood[draw, where] = Seen(where, value, quantity, standing)
            found.append(before)
        return tuple(found)

    def _members(self, where: Where) -> tuple[int, ...]:
        """Return the counts of the loops, if every round has a meaning of its own: a private name in a loop."""
        meaning = self.meaning(where[0], where[2])
        if meaning is None:
            return where[1]
        family = bool(self.truth.variables[meaning[1]].indices)
        return where[1] if family and not self.target(where[2]).at else ()

    def stand(self, value: Array, quantity: Quantity, draw: int) -> Standing | None:
        """Return how a value stands to a quantity: the truth itself first, then a multiple of it."""
        found = standings(value, self.truth_at(quantity, draw), self.scales[draw])
        return min(found, key=lambda s: (not s.same, s.transposed), default=None)

    # -- anchors by value ------------------------------------------------------------------------------------
    def _guess(self, runs: Sequence[Run]) -> None:
        """Anchor lines whose names tell nothing by what their values are multiples of, or by their shape."""
        if any(r.failure is not None and not r.values for r in runs):
            return
        for key, mine in sorted(self._nameless(runs).items()):
            meaning = self._by_value(mine) or self._by_shape(key[0], mine)
            if meaning is not None:
                self.guessed[key] = meaning

    def _nameless(self, runs: Sequence[Run]) -> dict[tuple[int, str], list[list[tuple[Where, Array]]]]:
        """Return, by line and name, what was assigned at every draw to names that tell nothing."""
        found: dict[tuple[int, str], list[list[tuple[Where, Array]]]] = {}
        for d, run in enumerate(runs):
            for where, value in run.values.items():
                if self.meaning(where[0], where[2]) is None and not self.target(where[2]).part:
                    target = self.target(where[2])
                    key = where[0], target.holder + "." + target.word
                    found.setdefault(key, [[] for _ in runs])[d].append((where, value))
        return {k: v for k, v in found.items() if all(v) and sum(map(len, v)) <= MOST_GUESSED}

    def looks_like(self, trial: Trial, line: int) -> tuple[Meaning, float] | None:
        """Return of what the values of a line are multiples, whatever they should be, and the multiple at the first
        draw."""
        mine = [[(s.where, s.value) for s in seen if s.where[0] == line] for seen in trial.seen]
        if not all(mine):
            return None
        meaning = self._by_value(mine)
        if meaning is None:
            return None
        where, value = mine[0][0]
        quantity = self._member(meaning, where, self.truth.draws[0])
        assert quantity is not None
        standing = self.stand(value, quantity, 0)
        return (meaning, standing.constant) if standing is not None else None

    def _by_value(self, mine: list[list[tuple[Where, Array]]]) -> Meaning | None:
        best: tuple[int, Meaning] | None = None
        for meaning in self._candidates(mine[0][0][1]):
            rank = self._rank(meaning, mine)
            if rank is not None and (best is None or rank < best[0]):
                best = rank, meaning
        return None if best is None else best[1]

    def _candidates(self, value: Array) -> Iterator[Meaning]:
        """Yield the variables of which a value of the first draw may be a multiple."""
        seen = set()
        for quantity, truth in self.truth.draws[0].table.items():
            meaning = quantity.kind, quantity.of
            if meaning not in seen and value.size == truth.size and standings(value, truth, self.scales[0]):
                seen.add(meaning)
                yield meaning

    def _rank(self, meaning: Meaning, mine: list[list[tuple[Where, Array]]]) -> int | None:
        """Return how well a meaning fits all assignments of a name, 0 is best; None if it does not fit."""
        constants: list[float] = []
        transposed = False
        for d, assignments in enumerate(mine):
            known = self.truth.draws[d]
            mine_here: list[Standing] = []
            for where, value in assignments:
                quantity = self._member(meaning, where, known)
                truth = known.table.get(quantity) if quantity is not None else None
                if truth is None or not truth.any():
                    return None
                found = standings(value, truth, self.scales[d])
                if not found:
                    return None
                mine_here.append(min(found, key=lambda s: (not s.same, s.transposed)))
            if not all(equal(s.constant, mine_here[0].constant) for s in mine_here):
                return None
            constants.append(mine_here[0].constant)
            transposed = transposed or any(s.transposed for s in mine_here)
        if all(equal(c, 1.0) for c in constants):
            return int(transposed)
        if name_of(constants, [d.sizes for d in self.truth.draws]) is None:
            return None
        return 2 + transposed

    def _member(self, meaning: Meaning, where: Where, draw: Draw) -> Quantity | None:
        kind, of = meaning
        known = (draw.gradients if kind == "gradient" else draw.results).get(of)
        if not isinstance(known, Mapping):
            return Quantity(kind, of) if known is not None and not where[1] else None
        count = len(self.truth.variables[of].indices)
        target = self.target(where[2])
        at = target.at if len(target.at) == count else where[1][-count:]
        return Quantity(kind, of, at) if at in known else None

    def _by_shape(self, line: int, mine: list[list[tuple[Where, Array]]]) -> Meaning | None:
        """Return the only parameter of the shape of a result that nobody reads and that is given once."""
        if self.reads.is_read(line) or any(len(m) != 1 or m[0][0][1] for m in mine):
            return None
        taken = {m for m in (*self.meanings.values(), *self.guessed.values()) if m is not None}
        fitting = []
        for name in self.truth.outputs:
            table = [d.gradients.get(name) for d in self.truth.draws]
            if ("gradient", name) not in taken and all(
                not isinstance(t, Mapping) and t is not None and m[0][1].shape == t.shape
                for t, m in zip(table, mine, strict=True)
            ):
                fitting.append(name)
        return ("gradient", fitting[0]) if len(fitting) == 1 else None

    # -- constants -------------------------------------------------------------------------------------------
    def carried(self, seen: Sequence[Seen], k: int) -> list[float]:
        """Return the constants that the gradients carry which the k-th assignment of a draw reads; each once."""
        found: list[float] = []
        visited: set[int] = set()
        todo = [k]
        while todo:
            here = todo.pop()
            for name in self.reads.read[seen[here].where[0]]:
                source = self._latest(seen, here, name)
                if source is None or source in visited:
                    continue
                visited.add(source)
                one = seen[source]
                if one.quantity is None:
                    todo.append(source)
                elif one.quantity.kind == "gradient" and one.standing is not None and one.value.any():
                    constant = one.standing.constant
                    found += [] if any(equal(constant, c) for c in found) else [constant]
        return found

    def _latest(self, seen: Sequence[Seen], k: int, name: str) -> int | None:
        for j in range(k - 1, -1, -1):
            if name in self.reads.assigned[seen[j].where[0]]:
                return j
        return None


def _largest(array: Array) -> float:
    return float(np.max(np.abs(array), initial=0.0))
