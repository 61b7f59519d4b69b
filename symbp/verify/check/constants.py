"""Constants: how a value stands to the truth - its factor and its layout - and what the factor is called: ``m``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from symbp.verify.check.work import Array

TOLERANCE = 1e-8
"""The largest relative difference of two values that are called equal."""
ZERO = 1e-12
"""A gradient that is smaller than this beside the largest one of all is zero, but for rounding."""
ROUNDING = 1e-14
"""By so much, beside the largest gradient of all, a gradient may be off where large terms of it cancel."""

MOST_FACTORS, MOST_LITERAL = 3, 12


@dataclass(frozen=True)
class Standing:
    """How a value stands to the truth: it is ``constant`` times the truth, or times its transpose.

    same: whether it is the truth itself, to rounding.
    """

    constant: float
    transposed: bool = False

    @property
    def same(self) -> bool:
        """Tell whether it is the truth, in its own layout."""
        return not self.transposed and equal(self.constant, 1.0)


def equal(a: float, b: float) -> bool:
    """Tell whether two constants are equal to rounding."""
    return abs(a - b) <= TOLERANCE * max(abs(a), abs(b))


def standings(value: Array, truth: Array, scale: float = 0.0) -> list[Standing]:
    """Return how a value may stand to the truth: as it is, and transposed; nothing if it is no multiple of it.

    value: what was computed; a vector of one dimension counts as a row and as a column.
    scale: the largest gradient; what is small enough beside this is zero.
    """
    found = []
    for transposed in (False, True):
        other = truth.T if transposed else truth
        constant = _ratio(_laid(value, other.shape), other, scale)
        if constant is not None:
            found.append(Standing(constant, transposed))
    if len(found) == 2 and truth.ndim == 2 and 1 in truth.shape and value.ndim != 2:
        return found[:1]
    if len(found) == 2 and truth.size == 1:
        return found[:1]
    return found


def _laid(value: Array, shape: tuple[int, ...]) -> Array | None:
    """Return the value in a shape, where only axes of length 1 are added or taken away."""
    if value.shape == shape:
        return value
    if value.ndim == 2 or value.size != math.prod(shape):
        return None
    kept = [n for n in value.shape if n != 1]
    return value.reshape(shape) if kept == [n for n in shape if n != 1] else None


def _ratio(value: Array | None, truth: Array, scale: float) -> float | None:
    if value is None or not np.isfinite(value).all():
        return None
    size, largest = float(np.max(np.abs(truth), initial=0.0)), float(np.max(np.abs(value), initial=0.0))
    if size <= ZERO * scale or size == 0:
        # A gradient that is zero: what is zero, too, is right; nothing else is a multiple of it.
        return 1.0 if largest <= ZERO * scale else None
    if largest <= TOLERANCE * size:
        return None
    constant = float(np.vdot(truth, value) / np.vdot(truth, truth))
    gap = float(np.max(np.abs(value - constant * truth), initial=0.0))
    if gap > TOLERANCE * max(largest, abs(constant) * size) + ROUNDING * scale:
        return None
    return 1.0 if abs(constant - 1.0) * size <= ROUNDING * scale else constant


def difference(value: Array, truth: Array) -> float:
    """Return how far a value is from the truth, relative to the larger of them."""
    laid = _laid(value, truth.shape)
    if laid is None and value.ndim == 2:
        laid = _laid(value.T, truth.shape)
    if laid is None or not np.isfinite(laid).all():
        return math.inf
    size = max(float(np.max(np.abs(truth), initial=0.0)), float(np.max(np.abs(laid), initial=0.0)))
    return float(np.max(np.abs(laid - truth), initial=0.0)) / size if size else 0.0


# ---------------------------------------------------------------------------------------------------------
# Names


def name_of(constants: Sequence[float], sizes: Sequence[Mapping[str, Any]]) -> str | None:
    """Return what a constant is called: ``m``, ``1/m``, ``-2*n1/m``; None if it is made of nothing that is known.

    constants: the constant at every draw.
    sizes:     the sizes at every draw; since they are other primes at each, one name fits all draws or none.
    """
    names = sorted({n for known in sizes for n, v in known.items() if isinstance(v, int)})
    first = abs(constants[0])
    for powers in _products(names):
        rest = first / _value(powers, sizes[0])
        literal = _literal(rest)
        if literal is None:
            continue
        sign = -1 if constants[0] < 0 else 1
        if all(
            equal(c, sign * float(literal) * _value(powers, known)) for c, known in zip(constants, sizes, strict=True)
        ):
            return _text(sign * literal, powers)
    return None


def text_of(constants: Sequence[float], sizes: Sequence[Mapping[str, Any]]) -> str:
    """Return what a constant is called, or ``a constant 0.3711``."""
    return name_of(constants, sizes) or f"a constant {constants[0]:.4g}"


def _products(names: Sequence[str]) -> Iterator[tuple[tuple[str, int], ...]]:
    """Yield products of at most three sizes, above or below the line, short ones first."""
    yield ()
    for count in range(1, MOST_FACTORS + 1):
        for chosen in itertools.combinations_with_replacement(names, count):
            for signs in itertools.product((1, -1), repeat=count):
                powers: dict[str, int] = {}
                for name, sign in zip(chosen, signs, strict=True):
                    powers[name] = powers.get(name, 0) + sign
                if sum(abs(p) for p in powers.values()) == count:
                    yield tuple(sorted(powers.items()))


def _value(powers: Sequence[tuple[str, int]], sizes: Mapping[str, Any]) -> float:
    return math.prod(float(sizes.get(name, math.nan)) ** power for name, power in powers)


@lru_cache(maxsize=4096)
def _literal(number: float) -> Fraction | None:
    """Return a number as a small fraction, or None."""
    if not math.isfinite(number) or not 1e-4 < number < 1e4:
        return None
    near = Fraction(number).limit_denominator(MOST_LITERAL)
    small = near.numerator <= MOST_LITERAL and near.denominator <= MOST_LITERAL
    return near if small and near > 0 and equal(float(near), number) else None


def _text(literal: Fraction, powers: Sequence[tuple[str, int]]) -> str:
    above = [n if p == 1 else f"{n}**{p}" for n, p in powers if p > 0]
    below = [n if p == -1 else f"{n}**{-p}" for n, p in powers if p < 0]
    if abs(literal.numerator) != 1 or not above:
        above.insert(0, str(abs(literal.numerator)))
    if literal.denominator != 1:
        below.insert(0, str(literal.denominator))
    sign = "-" if literal < 0 else ""
    under = "*".join(below) if len(below) < 2 else f"({'*'.join(below)})"
    return sign + "*".join(above) + (f"/{under}" if below else "")
