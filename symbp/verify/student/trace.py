"""What a run assigned: each assignment is an entry that can be looked at, and mended while the code runs."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symbp.verify.student.values import Array, Scope


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
    scopes: the scope in which each assignment was made.
    nudge:  an entry and what is added to it.
    keeps:  whether values are recorded; without, only mends are put in.
    """

    mends: Mapping[Entry, Any] = field(default_factory=dict)
    keeps: bool = True
    nudge: tuple[Entry, Array] | None = None
    values: dict[Entry, Any] = field(default_factory=dict)
    order: list[Entry] = field(default_factory=list)
    counts: dict[tuple[ast.stmt, str], int] = field(default_factory=dict)
    observer: Any = None

    def assigned(self, statement: ast.stmt, target: str, value: Any, scope: Scope) -> Any:
        """Note one assignment, and return the value that holds from here on."""
        count = self.counts.get((statement, target), 0)
        self.counts[statement, target] = count + 1
        entry = Entry(statement, count, target)
        if entry in self.mends:
            value = mended(value, self.mends[entry])
        if self.nudge is not None and entry == self.nudge[0]:
            value = mended(value, value + self.nudge[1])
        if self.keeps and isinstance(value, (np.ndarray, np.generic, float, complex)):
            self.values[entry] = np.array(value)
            self.order.append(entry)
            if self.observer is not None:
                self.observer(entry, value, scope)
        return value


def mended(value: Any, mend: Any) -> Any:
    """Return the mend in place of a value; an array of the same shape is overwritten, so that aliases see it."""
    if not isinstance(value, np.ndarray):
        return mend.item() if isinstance(mend, np.ndarray) and mend.ndim == 0 else mend
    if value.shape == np.shape(mend) and value.flags.writeable and np.can_cast(np.result_type(mend), value.dtype):
        value[...] = mend
        return value
    return np.array(mend)


def arrays(values: Mapping[Entry, Any]) -> dict[Entry, Array]:
    """Return the entries that are arrays or numbers."""
    return {e: np.asarray(v) for e, v in values.items()}
