"""What a run assigned: each assignment is an entry that can be looked at, and mended while the code runs."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symbp.verify.student.language.names import gradient_of, tail
from symbp.verify.student.language.values import Array, Instance, Scope

MOST_WATCHED = 24
"""Of a statement that runs more often not every round is kept."""


@dataclass(frozen=True)
class Entry:
    """One assignment that ran.

    statement: the statement, as it stands in the file.
    count:     how often it had assigned this target before.
    target:    what was assigned, as it is then: ``dW1``, ``grads['W2']``, ``self.db``.
    """

    statement: ast.stmt
    count: int
    target: str


@dataclass
class Trace:
    """Records assignments, and puts given values in their place.

    mends:  values that take the place of what was assigned there.
    values: what was assigned, mended where a mend is given; a copy, since arrays may change later.
    beside: for each assignment, if names are kept, what it may be the gradient of: of ``dZ`` the value of ``Z``.
    integers: the statements that assigned a whole number.
    visits: every statement that ran, with the names that it saw, if they are kept.
    nudge:  an entry and what is added to it.
    keeps:  whether values are recorded; without, only mends are put in.
    looks:  whether the names in scope are kept as they are when a statement is run first.
    watched: a statement of which they are kept each time that it is run.
    rounds: what it saw then.
    """

    mends: Mapping[Entry, Any] = field(default_factory=dict)
    keeps: bool = True
    nudge: tuple[Entry, Array] | None = None
    values: dict[Entry, Any] = field(default_factory=dict)
    order: list[Entry] = field(default_factory=list)
    counts: dict[tuple[ast.stmt, str], int] = field(default_factory=dict)
    beside: dict[Entry, dict[str, Any]] = field(default_factory=dict)
    integers: set[ast.stmt] = field(default_factory=set)
    visits: dict[ast.stmt, dict[str, Any]] = field(default_factory=dict)
    looks: bool = False
    watched: ast.stmt | None = None
    rounds: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._moved = {entry.statement for entry in self.mends}
        if self.nudge is not None:
            self._moved.add(self.nudge[0].statement)

    def looks_at(self, statement: ast.stmt) -> bool:
        """Tell whether assignments of a statement are recorded or changed."""
        return self.keeps or statement in self._moved

    def visit(self, statement: ast.stmt, scope: Scope) -> None:
        """Note that a statement is run."""
        if statement not in self.visits:
            self.visits[statement] = {n: kept(v) for n, v in scope.names.items()} if self.looks else {}
        if statement is self.watched and len(self.rounds) <= MOST_WATCHED:
            self.rounds.append({n: kept(v) for n, v in scope.names.items()})

    def assigned(self, statement: ast.stmt, target: str, value: Any, scope: Scope) -> Any:
        """Note one assignment, and return the value that holds from here on."""
        count = self.counts.get((statement, target), 0)
        self.counts[statement, target] = count + 1
        entry = Entry(statement, count, target)
        if entry in self.mends:
            value = mended(value, self.mends[entry])
        if self.nudge is not None and entry == self.nudge[0]:
            value = mended(value, value + self.nudge[1])
        if self.keeps and isinstance(value, (int, np.integer)):
            self.integers.add(statement)
        if self.keeps and isinstance(value, (np.ndarray, np.generic, float, complex)):
            self.values[entry] = np.array(value)
            if self.looks:
                self.beside[entry] = {n: kept(v) for n, v in beside(target, scope).items()}
            self.order.append(entry)
        return value


@dataclass(frozen=True)
class Square:
    """An array of shape (m, m) that shapes (m,) or (1, m), and (m, 1) made.

    size:  m.
    row:   which of the two operands lies along a row.
    shape: the shape of that one.
    """

    size: int
    row: int
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"shapes {self.shape} and ({self.size}, 1) make ({self.size}, {self.size})"


def beside(target: str, scope: Scope) -> dict[str, Any]:
    """Return the values in scope of which a target may be the gradient by its name."""
    owner, dot, _ = target.rpartition(".")
    holder = scope.names.get(owner if dot else "self")
    attributes = holder.attributes if isinstance(holder, Instance) else {}
    names = attributes if dot else {**attributes, **scope.names}
    return {n: names[n] for n in gradient_of(tail(target)) if n in names}


def kept(value: Any, depth: int = 0) -> Any:
    """Return a value as it is now, whatever becomes of its arrays."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if depth < 4 and isinstance(value, dict):
        return {k: kept(v, depth + 1) for k, v in value.items()}
    if depth < 4 and isinstance(value, (list, tuple)):
        return type(value)(kept(v, depth + 1) for v in value)
    if depth < 4 and isinstance(value, Instance):
        return Instance(value.of, {k: kept(v, depth + 1) for k, v in value.attributes.items()})
    return value


def mended(value: Any, mend: Any) -> Any:
    """Return the mend in place of a value; an array of the same shape is overwritten, so that aliases see it."""
    if not isinstance(value, np.ndarray):
        return mend.item() if isinstance(mend, np.ndarray) and mend.ndim == 0 else mend
    if value.shape == np.shape(mend) and value.flags.writeable and np.can_cast(np.result_type(mend), value.dtype):
        value[...] = mend
        return value
    return np.array(mend)

