"""The truth of student code without a network: the gradient of its own loss, by complex step and by differences.

Each gradient is found from the forward pass alone: one value - an argument or an assignment - is moved, and the loss
is looked at.  Whether an array is a multiple of a gradient is told from a few random directions; the whole gradient is
found only where it has to be written down.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symbp.verify.check.constants import TOLERANCE, Standing
from symbp.verify.student.binding.outputs import is_laid
from symbp.verify.student.binding.search import Bound
from symbp.verify.student.binding.session import STEPS, Outcome
from symbp.verify.student.language import arithmetic as ar
from symbp.verify.student.language.errors import Located
from symbp.verify.student.language.trace import Entry
from symbp.verify.student.language.values import Array

MOST_ENTRIES = 4_000
"""The largest array whose gradient is found entry by entry."""
DIRECTIONS = 4
"""The number of random directions along which an array is compared with a gradient."""
CONFIRMED = 1e-6
"""The largest relative difference between complex step and differences at which a slope is taken to be known."""

SMALL = 1e-9
"""A slope below this part of the loss is rounding where it is found by differences."""

ZERO = 1e-13
"""A gradient below this part of the largest one is zero: that of a bias before a normalisation is a rounding error."""
ROUNDING = 1e-14
"""To this part of the loss its differences are rounded."""

At = str | Entry
"""What a gradient is of: something drawn, by its path, or an assignment."""


@dataclass
class Point:
    """One draw of a bound task: the run of the student's own code, and gradients of its loss, found when asked for.

    analytic: whether complex steps are possible.
    worst:    the largest relative difference between complex steps and differences.
    """

    bound: Bound
    turn: int
    analytic: bool = True
    worst: float = 0.0
    _whole: dict[At, Array] = field(default_factory=dict)
    _slopes: dict[At, tuple[Array, Array]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.case = self.bound.case(self.turn)
        self.session = self.bound.session
        self.ran: Outcome = self.session.run(self.case, looks=True)

    def value(self, at: At) -> Array:
        """Return the value that was drawn or assigned."""
        found: Any = self.case.sources[at] if isinstance(at, str) else self.ran.trace.values[at]
        return np.asarray(found, dtype=float)

    def is_real(self, at: At) -> bool:
        """Tell whether a value is made of real numbers, so that it may be moved."""
        found: Any = self.case.sources[at] if isinstance(at, str) else self.ran.trace.values[at]
        return np.asarray(found).dtype.kind == "f"

    def slope(self, at: At, direction: Array | float) -> float:
        """Return the derivative of the loss along a direction."""
        direction = np.asarray(direction)
        if self.analytic:
            try:
                return self.session.slope(self.case, at, direction)
            except (ar.NotAnalytic, Located):
                self.analytic = False
        return self._steady(at, direction)

    def _steady(self, at: At, direction: Array) -> float:
        """Return a derivative by differences at a step at which half of it gives the same; those are two witnesses."""
        least, found = np.inf, 0.0
        loss = float(np.abs(self.ran.loss).max()) if self.ran.loss is not None else 0.0
        for h in STEPS:
            whole, half = (
                self.session.slope(self.case, at, direction, complex_step=False, step=s) for s in (h, h / 2)
            )
            size = max(abs(whole), abs(half))
            off = abs(whole - half) / size if size > SMALL * loss else 0.0
            if off < least:
                least, found = off, whole
            if off <= CONFIRMED:
                break
        self.worst = max(self.worst, least)
        return found

    def slopes(self, at: At) -> tuple[Array, Array]:
        """Return a few random directions, and the derivative along each.

        The first is found by differences as well, if the others are complex steps: two witnesses.
        """
        if at not in self._slopes:
            shape = self.value(at).shape
            rng = np.random.default_rng((7, len(self._slopes)))
            directions = rng.normal(size=(DIRECTIONS, *shape))
            found = np.array([self.slope(at, d) for d in directions])
            if isinstance(at, str) and self.analytic:
                size = max(float(np.abs(found).max()), 1e-12)
                loss = float(np.abs(self.ran.loss).max()) if self.ran.loss is not None else 0.0
                for h in STEPS:
                    again = self.session.slope(self.case, at, directions[0], complex_step=False, step=h)
                    gap = abs(again - found[0])
                    off = gap / size if gap > ROUNDING * loss / h else 0.0  # a slope may be zero
                    if off <= CONFIRMED:
                        break
                self.worst = max(self.worst, off)
            self._slopes[at] = directions, found
        return self._slopes[at]

    def moves(self, at: At) -> bool:
        """Tell whether the loss depends on a value."""
        return bool(np.any(self.slopes(at)[1] != 0))

    def stand(self, value: Array, at: At) -> Standing | None:
        """Return how an array stands to the gradient of something; None if it is no multiple of it."""
        directions, wanted = self.slopes(at)
        shape = directions.shape[1:]
        for transposed in (False, True):
            laid = _laid(value.T if transposed else value, shape)
            if laid is None or not np.isfinite(laid).all() or (transposed and len(shape) < 2):
                continue
            mine = (directions * laid).reshape(DIRECTIONS, -1).sum(axis=1)
            constant = _ratio(mine, wanted, float(np.abs(laid).max(initial=0.0)), self._scale())
            if constant is not None:
                return Standing(constant, transposed)
        return None

    def _scale(self) -> float:
        return max((float(np.abs(s).max()) for _, s in self._slopes.values()), default=1.0)

    def gradient(self, at: At) -> Array:
        """Return the gradient of the loss with respect to a value, entry by entry.

        Raises ``ValueError`` if it has too many entries.
        """
        if at not in self._whole:
            value = self.value(at)
            if value.size > MOST_ENTRIES:
                raise ValueError("the array is too large")
            found = np.zeros(value.shape)
            for k in range(value.size):
                unit = np.zeros(value.shape)
                unit.flat[k] = 1.0
                found.flat[k] = self.slope(at, unit)
            self._whole[at] = found
        return self._whole[at]


def _laid(value: Array, shape: tuple[int, ...]) -> Array | None:
    """Return a value in a shape, where only leading axes of length 1 are added or taken away.

    So ``(n,)`` counts as ``(1, n)``, as broadcasting has it; taken for ``(n, 1)`` it would become ``(n, n)``.
    """
    if value.shape == shape:
        return value
    return value.reshape(shape) if is_laid(value.shape, shape) else None


def _ratio(mine: Array, wanted: Array, largest: float, scale: float) -> float | None:
    size = float(np.abs(wanted).max(initial=0.0))
    if size <= ZERO * scale:
        return 1.0 if float(np.abs(mine).max(initial=0.0)) <= TOLERANCE * max(scale, 1e-300) else None
    constant = float(mine @ wanted / (wanted @ wanted))
    gap = float(np.abs(mine - constant * wanted).max())
    if not gap <= TOLERANCE * max(float(np.abs(mine).max()), abs(constant) * size) or abs(constant) < 1e-9:
        return None
    # To rounding a constant of 1 is 1.
    return 1.0 if abs(constant - 1) <= TOLERANCE else constant
