"""The truth of student code without a network: the gradient of its own loss, by complex step and by differences.

Each gradient is found from the forward pass alone: one value - an argument or an assignment - is moved, and the loss
is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symbp.verify.student import arithmetic as ar
from symbp.verify.student.binding import Bound
from symbp.verify.student.expressions import Located
from symbp.verify.student.session import Outcome
from symbp.verify.student.trace import Entry
from symbp.verify.student.values import Array

MOST_ENTRIES = 4_000
"""The largest array whose gradient is found entry by entry."""


@dataclass
class Point:
    """One draw of a bound task: the run of the student's own code, and gradients of its loss, found when asked for."""

    bound: Bound
    turn: int
    analytic: bool = True
    found: dict[str | Entry, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.case = self.bound.case(self.turn)
        self.session = self.bound.session
        self.ran: Outcome = self.session.run(self.case)

    def value(self, at: str | Entry) -> Array:
        """Return the value that was drawn or assigned."""
        found: Any = self.case.sources[at] if isinstance(at, str) else self.ran.trace.values[at]
        return np.asarray(found, dtype=float)

    def slope(self, at: str | Entry, direction: Array) -> float:
        """Return the derivative of the loss along a direction."""
        if self.analytic:
            try:
                return self.session.slope(self.case, at, direction)
            except (ar.NotAnalytic, Located):
                self.analytic = False
        return self.session.slope(self.case, at, direction, complex_step=False)

    def difference(self, at: str | Entry, direction: Array) -> float:
        """Return the derivative along a direction by differences of order 6: the second witness."""
        return self.session.slope(self.case, at, direction, complex_step=False)

    def gradient(self, at: str | Entry) -> Array:
        """Return the gradient of the loss with respect to a value, entry by entry."""
        if at not in self.found:
            value = self.value(at)
            if value.size > MOST_ENTRIES:
                raise ValueError("the array is too large")
            found = np.zeros(value.shape)
            for k in range(value.size):
                unit = np.zeros(value.shape)
                unit.flat[k] = 1.0
                found.flat[k] = self.slope(at, unit)
            self.found[at] = found
        return self.found[at]
