"""Index arithmetic and boxes: which members of a family exist, and proofs that reads are covered.

An affine form is ``c0 + c1*s1 + ...`` with integer coefficients over sizes and indices.  A *box* is one
interval per index with affine ends.  All questions reduce to "is this interval empty for all sizes?",
which is answered by a lower bound of an affine form under the known lower bounds of the sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from symbp.expr.sizes import SizeMember

Bounds = Mapping[sp.Expr, int]
"""Known lower bounds of sizes; a size that is missing is at least 1."""


@lru_cache(maxsize=65536)
def affine(value: sp.Expr) -> tuple[tuple[tuple[sp.Expr, int], ...], int] | None:
    """Return ``(((symbol, coefficient), ...), constant)`` of an affine form, or None if it is not affine."""
    terms: dict[sp.Expr, int] = {}
    constant = 0
    for term, coefficient in value.as_coefficients_dict().items():
        if not coefficient.is_Integer:
            return None
        if term is sp.S.One or term == 1:
            constant += int(coefficient)
        elif term.is_Symbol or isinstance(term, SizeMember):
            terms[term] = terms.get(term, 0) + int(coefficient)
        else:
            return None
    return tuple(sorted(terms.items(), key=lambda item: str(item[0]))), constant


def least(value: sp.Expr, bounds: Bounds) -> int | None:
    """Return the least value of an affine form of sizes under their lower bounds; None if it has none."""
    form = affine(value)
    if form is None:
        return None
    terms, total = form
    for symbol, coefficient in terms:
        if coefficient < 0 or not symbol.is_positive:
            return None
        total += coefficient * bounds.get(symbol, 1)
    return total


def at_most(a: sp.Expr, b: sp.Expr, bounds: Bounds) -> bool:
    """Tell whether ``a <= b`` is proved for all sizes."""
    gap = least(b - a, bounds)
    return gap is not None and gap >= 0


@dataclass(frozen=True)
class Interval:
    """The integers that are at least every one of ``lows`` and at most every one of ``highs``."""

    lows: tuple[sp.Expr, ...]
    highs: tuple[sp.Expr, ...]

    def meet(self, other: Interval) -> Interval:
        """Return the intersection."""
        return Interval(
            self.lows + tuple(x for x in other.lows if x not in self.lows),
            self.highs + tuple(x for x in other.highs if x not in self.highs),
        )

    def empty(self, bounds: Bounds) -> bool:
        """Tell whether the interval is proved empty for all sizes."""
        return any(at_most(high + 1, low, bounds) for low in self.lows for high in self.highs)


@dataclass(frozen=True)
class Box:
    """A product of intervals, one per index; no interval means a plain variable (one point)."""

    sides: tuple[Interval, ...]

    @classmethod
    def of(cls, *ends: tuple[sp.Expr | int, sp.Expr | int]) -> Box:
        """Build a box from ``(low, high)`` pairs, ends included."""
        return cls(
            tuple(Interval((sp.sympify(low, strict=True),), (sp.sympify(high, strict=True),)) for low, high in ends)
        )

    def meet(self, other: Box) -> Box:
        """Return the intersection."""
        return Box(tuple(a.meet(b) for a, b in zip(self.sides, other.sides, strict=True)))

    def empty(self, bounds: Bounds) -> bool:
        """Tell whether the box is proved empty for all sizes."""
        return any(side.empty(bounds) for side in self.sides)

    def minus(self, other: Box) -> list[Box]:
        """Return boxes whose union is this box without ``other``, by slabs along each index."""
        parts: list[Box] = []
        sides = list(self.sides)
        for k, (mine, theirs) in enumerate(zip(self.sides, other.sides, strict=True)):
            for low in theirs.lows:
                parts.append(Box((*sides[:k], mine.meet(Interval((), (low - 1,))), *sides[k + 1 :])))
            for high in theirs.highs:
                parts.append(Box((*sides[:k], mine.meet(Interval((high + 1,), ())), *sides[k + 1 :])))
            sides[k] = mine.meet(theirs)
        return parts


def uncovered(box: Box, pieces: Sequence[Box], bounds: Bounds) -> list[Box]:
    """Return the parts of ``box`` that are not proved to lie in the union of ``pieces``.

    An empty list is a proof of coverage for all sizes.
    """
    left = [] if box.empty(bounds) else [box]
    for piece in pieces:
        left = [rest for part in left for rest in part.minus(piece) if not rest.empty(bounds)]
    return left
