"""What each assignment of a backward pass is the gradient of: told by its name in its scope, or by its value.

``dA_prev`` is the gradient of what ``A_prev`` holds where the assignment is made - an argument, or what the forward
pass assigned; ``grads['W1']`` that of ``params['W1']``, ``self.dW`` that of ``self.W``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from symbp.verify.check.constants import TOLERANCE, Standing, equal
from symbp.verify.student.binding.outputs import is_laid, leaves
from symbp.verify.student.judging.truth import At, Point
from symbp.verify.student.judging.work import CodeWork
from symbp.verify.student.language import names as nm
from symbp.verify.student.language.errors import Located
from symbp.verify.student.language.trace import Entry
from symbp.verify.student.language.values import Array

MOST_COMPARED = 60
"""More quantities of the forward pass are not compared with a value."""
MOST_FOR_VALUES = 120_000
"""Nodes that it may cost to tell what values are that have no name."""
MOST_CARRIED = 2
"""More constants that assignments carry are not looked for in others."""
MOST_ROUNDS = 8
"""Of a line that runs more often only the last rounds are looked at."""


@dataclass(frozen=True)
class Seen:
    """One assignment beside the truth.

    value:    what was assigned.
    at:       what it is the gradient of; nothing if that is not known.
    standing: how it stands to that gradient; nothing if it is no multiple of it.
    named:    whether its name says what it is, and not its value alone.
    """

    entry: Entry
    value: Array
    at: At | None
    standing: Standing | None
    named: bool

    @property
    def state(self) -> str:
        """Return right, multiple, wrong or unknown."""
        if self.at is None:
            return "unknown"
        if self.standing is None:
            return "wrong"
        return "right" if self.standing.same else "multiple"


@dataclass
class Anchors:
    """Tells what the assignments of one draw are."""

    work: CodeWork
    point: Point
    _holders: dict[bytes, list[At]] = field(default_factory=dict)
    _named: dict[tuple[ast.stmt, int, str], tuple[At, ...]] = field(default_factory=dict)
    _slopes: dict[At, tuple[Array, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.known: list[At] = []
        for path, value in self.point.case.sources.items():
            self._hold(path, np.asarray(value))
        for entry in self.point.ran.trace.order:
            if entry.statement not in self.work.index:
                self._hold(entry, self.point.ran.trace.values[entry])
        self._last: dict[tuple[str, ast.AST | None, bytes], Entry] = {}
        for entry in self.point.ran.trace.order:
            if entry.statement in self.work.index:
                self._last[self._place(entry)] = entry
        self.gradients = {e.target: e for e in self.point.ran.trace.order if e.statement in self.work.index}

    def _hold(self, at: At, value: Array) -> None:
        if value.dtype.kind == "f" and value.size:
            self._holders.setdefault(_key(value), []).append(at)
            drawn = self.work.bound.draws.arrays.get(at) if isinstance(at, str) else None
            if drawn is None or drawn.role != "target":
                self.known.append(at)  # nobody asks for the gradient of a target

    # -- by name

    def named(self, entry: Entry) -> tuple[At, ...]:
        """Return what an assignment is the gradient of, by its name."""
        key = entry.statement, entry.count, entry.target
        if key not in self._named:
            found: dict[At, None] = {}
            for at in self._of_target(entry):
                found[at] = None
            self._named[key] = tuple(found)
        return self._named[key]

    def _of_target(self, entry: Entry) -> Iterator[At]:
        """Yield what a target may be the gradient of: what its scope holds; else what is called so elsewhere."""
        target = entry.target
        if target.startswith("return") or not self._is_last(entry):
            return
        plan = self.point.session.plan  # a step gives parameters, no gradients
        given = next((of for path, of in plan.outputs if path == target and not plan.rate), None)
        if given is not None:
            yield given
            return
        near = [at for value in self.point.ran.trace.beside.get(entry, {}).values() for at in self.holding(value)]
        if near:
            yield from near
            return
        word = nm.tail(target)
        is_held = target.endswith(("']", '"]'))
        if "." in target and not is_held:
            return
        for of in [*nm.gradient_of(word), *([word] if is_held else [])]:
            yield from (p for p in self.point.case.sources if nm.tail(p) == of)
            same = [e for e in self.point.ran.trace.order if e.target == of and e.statement not in self.work.index]
            yield from same[-MOST_ROUNDS:]

    def _is_last(self, entry: Entry) -> bool:
        """Tell whether a target is not made anew, out of the same, right behind: ``dW = ...; dW = dW + reg * W``."""
        key = self._last.get(self._place(entry))
        return key is None or key == entry or not _reads_itself(key)

    def _place(self, entry: Entry) -> tuple[str, ast.AST | None, bytes]:
        """Return what tells apart targets that are called alike: the function, and what stands beside them."""
        return entry.target, self.work.functions.get(entry.statement), self._beside_key(entry)

    def _was_right(self, entry: Entry, named: tuple[At, ...]) -> bool:
        """Tell whether what a target is by its name was assigned to it before: ``dA``, then ``dA[Z <= 0] = 0``."""
        if any(isinstance(at, str) for at in named) or not _reads_itself(entry):
            return False
        key = self._beside_key(entry)
        for other in self.point.ran.trace.order:
            if other == entry:
                return False
            if other.target == entry.target and other.statement in self.work.index and self._beside_key(other) == key:
                value = np.asarray(self.point.ran.trace.values[other], dtype=float)
                if any((s := self._stand(value, at)) is not None and not s.transposed for at in named):
                    return True
        return False

    def _beside_key(self, entry: Entry) -> bytes:
        near = self.point.ran.trace.beside.get(entry, {})
        return b"|".join(_key(np.asarray(v)) for v in near.values() if is_array(v))

    def holding(self, value: Any) -> list[At]:
        """Return what holds a value: arguments, and assignments of the forward pass."""
        if not is_array(value):
            return []  # a list of arrays, say
        array = np.asarray(value)
        return self._holders.get(_key(array), []) if array.dtype.kind == "f" else []

    # -- beside the truth

    def seen(self, values: dict[Entry, Array], entries: Iterable[Entry]) -> list[Seen]:
        """Return assignments beside the truth."""
        return [self.see(e, np.asarray(values[e], dtype=float)) for e in entries if is_array(values[e])]

    def see(self, entry: Entry, value: Array) -> Seen:
        """Return one assignment beside the truth: what its name says comes before what its value says."""
        named = tuple(at for at in self.named(entry) if self._is_known(at))
        if named and self._was_right(entry, named):
            named = ()
        # A name that is given to one value after the other is not the gradient of one of them.
        named = tuple(at for at in named if isinstance(at, str) or self._is_shaped(value, at))
        best: tuple[At, Standing] | None = None
        for at in named:
            standing = self._stand(value, at)
            if standing is not None and standing.same:
                return Seen(entry, value, at, standing, True)
            if standing is not None and best is None:
                best = at, standing
        # What stands beside it in scope, or is an argument, is certain; its value may be something else's by chance.
        near = self.point.ran.trace.beside.get(entry, {})
        is_argument = any(isinstance(at, str) for at in named) or any(is_array(v) for v in near.values())
        for at in [] if named and is_argument else self.known[:MOST_COMPARED]:
            if at not in named and np.size(self.point.value(at)) == value.size and self._may_be(value, at):
                standing = self._stand(value, at)
                if standing is not None and self._is_carried(standing) and np.any(value):
                    return Seen(entry, value, at, standing, False)
        if best is not None:
            return Seen(entry, value, best[0], best[1], True)
        # Zeros are what a sum starts with.
        is_certain = (len(named) == 1 or (bool(named) and is_argument)) and bool(np.any(value))
        return Seen(entry, value, named[0] if is_certain else None, None, bool(named))

    @cached_property
    def carried(self) -> tuple[float, ...]:
        """The constants that assignments carry whose names say what they are."""
        found: dict[float, None] = {}
        for entry in self.point.ran.trace.order if self.point.ran.failure is None else ():
            value = self.point.ran.trace.values[entry]
            for at in self.named(entry) if entry.statement in self.work.index and is_array(value) else ():
                standing = self._stand(np.asarray(value, dtype=float), at) if self._is_known(at) else None
                if standing is not None and not standing.same and not standing.transposed:
                    found[float(f"{standing.constant:.9g}")] = None
        return tuple(found)[:MOST_CARRIED]

    def _is_carried(self, standing: Standing) -> bool:
        """Tell whether a value that has no name may be taken for a gradient: as it is, or with a constant of others."""
        return not standing.transposed and any(equal(standing.constant, c) for c in (1.0, *self.carried))

    def _is_known(self, at: At) -> bool:
        """Tell whether the gradient of something can be found: at a limit nothing is said of it."""
        try:
            self.point.slopes(at)
        except Located:
            return False
        return True

    def _is_shaped(self, value: Array, at: At) -> bool:
        wanted = self.point.value(at)
        return is_laid(value.shape, wanted.shape) or is_laid(value.T.shape, wanted.shape)

    def _may_be(self, value: Array, at: At) -> bool:
        """Tell whether a value has the slope of a gradient along one direction: most values are told apart by it."""
        if value.size < 2:
            return False
        if at not in self._slopes:
            if len(self._slopes) * self.point.ran.nodes > MOST_FOR_VALUES:
                return False
            direction = np.random.default_rng(3).normal(size=np.shape(self.point.value(at)))
            try:
                self._slopes[at] = direction, self.point.slope(at, direction)
            except Located:
                return False
        direction, slope = self._slopes[at]
        terms = direction.ravel() * value.ravel()
        size = max(np.abs(terms).sum(), abs(slope))
        return any(abs(terms.sum() - c * slope) <= 10 * TOLERANCE * abs(c) * size for c in (1.0, *self.carried))

    def _stand(self, value: Array, at: At) -> Standing | None:
        try:
            return self.point.stand(value, at)
        except Located:
            return None


def _reads_itself(entry: Entry) -> bool:
    """Tell whether an assignment makes a target out of what it was: ``dZ[Z <= 0] = 0``, ``dW = dW + reg * W``."""
    statement = entry.statement
    if is_accumulation(statement):
        return True
    value = getattr(statement, "value", None)
    root = entry.target.partition("[")[0]
    return value is not None and any(
        isinstance(n, (ast.Name, ast.Attribute)) and ast.unparse(n) == root for n in ast.walk(value)
    )


def _key(value: Array) -> bytes:
    return str(value.shape).encode() + np.asarray(value, dtype=float).tobytes()


def is_array(value: Any) -> bool:
    """Tell whether a value is made of real or complex numbers."""
    if not isinstance(value, (np.ndarray, np.generic, float)):
        return False
    return np.asarray(value).dtype.kind in "fc" and np.size(value) > 0


def states(seen: Iterable[Seen], last: bool) -> str:
    """Return the state of a line: the worst of its assignments; of an accumulation its last one."""
    found = list(seen)
    if not found:
        return "unknown"
    if last:
        found = found[-1:]
    every = {s.state for s in found}
    return next(s for s in ("wrong", "unknown", "multiple", "right") if s in every)


def is_accumulation(statement: ast.stmt) -> bool:
    """Tell whether a statement adds to, or fills a part of, what it assigns: only its last round is a whole."""
    if isinstance(statement, ast.AugAssign):
        return True
    if isinstance(statement, ast.Assign):
        return any(isinstance(t, ast.Subscript) for t in statement.targets)
    return isinstance(statement, ast.Expr)


def paths_of(value: Any, name: str) -> dict[str, Array]:
    """Return the arrays that a value holds, by path."""
    return dict(leaves(name, value))
