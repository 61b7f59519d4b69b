"""Sums of products of entries: atoms, terms, closed polynomials, open products.

A *product* is a rational coefficient, bound indices (each runs from 0 to a last value) and atoms with exponents.
While work goes on it is *open*: every bound index has a symbol that occurs nowhere else, so products may be
multiplied freely.  A *closed* polynomial has canonical bound names: equal up to renaming means the same object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from symbp.verify.normal_form.indices import Index, Symbol, variables

Exponent = int | Fraction


class Unsupported(ValueError):
    """Something for which the normal form has no representation: the answer is "unproved"."""


class BudgetExceeded(RuntimeError):
    """The work is larger than the budget: the answer is "unproved"."""


@dataclass(frozen=True)
class Budget:
    """How much work one proof may take: elementary steps, seconds, orders tried of interchangeable bound indices."""

    steps: int = 200_000
    seconds: float = 3.0
    orders: int = 720


class Atom:
    """A factor without inner structure for the algebra, interned: ``is`` decides equality.

    head:   what it is (``ref``, ``size``, ``delta``, ``exp``, ...), see ``functions`` and ``reduction``.
    name:   of a variable, a function, a size.
    args:   index expressions.
    inner:  closed polynomials: the arguments of a non-linear function at this index.
    binder: for softmax and its kin: the index (name, last value) that ``inner`` is a function of.
    """

    __slots__ = ("_key", "_skeleton", "args", "binder", "head", "inner", "level", "name", "variables")
    variables: frozenset[Symbol]

    def __init__(
        self, head: str, name: str, args: tuple[Index, ...], inner: tuple[Poly, ...],
        binder: tuple[Symbol, Index] | None,
    ) -> None:
        self.head, self.name, self.args, self.inner, self.binder = head, name, args, inner, binder
        found: set[Symbol] = set()
        for argument in args:
            found |= variables(argument)
        for poly in inner:
            found |= poly.variables
        level = max((poly.level for poly in inner), default=0)
        if binder is not None:
            found.discard(binder[0])
            found |= variables(binder[1])
            level += 1
        self.variables, self.level = frozenset(found), level
        self._key: Any = None
        self._skeleton: Any = None

    @property
    def key(self) -> Any:
        """A total order that depends on structure alone."""
        if self._key is None:
            self._key = (self.head, self.name, self.args, tuple(p.key for p in self.inner), self.binder or ())
        return self._key

    @property
    def skeleton(self) -> Any:
        """The structure without index names: the same before and after any renaming."""
        if self._skeleton is None:
            self._skeleton = (self.head, self.name, len(self.args), tuple(p.skeleton for p in self.inner))
        return self._skeleton


Bound = tuple[tuple[Symbol, Index], ...]
Factors = frozenset[tuple["Atom", Exponent]]


class Term:
    """A product without its coefficient, with canonical bound names; interned."""

    __slots__ = ("_key", "_skeleton", "bound", "factors", "level", "variables")

    def __init__(self, bound: Bound, factors: Factors, level: int) -> None:
        self.bound, self.factors, self.level = bound, factors, level
        found: set[Symbol] = set()
        for atom, _ in factors:
            found |= atom.variables
        for _, last in bound:
            found |= variables(last)
        self.variables = frozenset(found.difference(s for s, _ in bound))
        self._key: Any = None
        self._skeleton: Any = None

    @property
    def key(self) -> Any:
        """A total order that depends on structure alone."""
        if self._key is None:
            self._key = (len(self.bound), sorted((a.key, e) for a, e in self.factors), self.bound)
        return self._key

    @property
    def skeleton(self) -> Any:
        """Degree first, then the structure without index names."""
        if self._skeleton is None:
            degree = sum(max(e, -e) for a, e in self.factors if a.head not in ("size", "prime"))
            weight = sum(max(e, -e) for _, e in self.factors)
            self._skeleton = (degree, weight, len(self.bound), sorted((a.skeleton, e) for a, e in self.factors))
        return self._skeleton


class Poly:
    """A closed sum of terms with rational coefficients; interned."""

    __slots__ = ("_key", "_skeleton", "level", "terms", "variables")

    def __init__(self, terms: Mapping[Term, Fraction]) -> None:
        self.terms = terms
        self.level = max((t.level for t in terms), default=0)
        self.variables = frozenset().union(*(t.variables for t in terms))
        self._key: Any = None
        self._skeleton: Any = None

    @property
    def key(self) -> Any:
        """A total order that depends on structure alone."""
        if self._key is None:
            self._key = sorted((t.key, c) for t, c in self.terms.items())
        return self._key

    @property
    def skeleton(self) -> Any:
        """The structure without index names."""
        if self._skeleton is None:
            self._skeleton = sorted((t.skeleton, c) for t, c in self.terms.items())
        return self._skeleton

    def constant(self) -> Fraction | None:
        """Return the value of a polynomial without atoms, or None."""
        if not self.terms:
            return Fraction(0)
        if len(self.terms) == 1:
            (term, coefficient), = self.terms.items()
            if not term.factors and not term.bound:
                return coefficient
        return None

    def leading(self) -> tuple[Term, Fraction] | None:
        """Return the largest term, if it is larger than all others whatever its indices are called."""
        ranked = sorted(self.terms, key=lambda t: t.skeleton)
        if not ranked or (len(ranked) > 1 and ranked[-1].skeleton == ranked[-2].skeleton):
            return None
        return ranked[-1], self.terms[ranked[-1]]


@dataclass(slots=True)
class Product:
    """An open product: coefficient, last value by bound symbol, exponent by atom."""

    coefficient: Fraction
    bound: dict[Symbol, Index]
    factors: dict[Atom, Exponent]


Products = list[Product]


def whole(value: Exponent) -> Exponent:
    """Return an exponent as an int where it is one."""
    return int(value) if Fraction(value).denominator == 1 else value
