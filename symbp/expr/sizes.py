"""Symbolic sizes and loop indices: exact, positive, compared as expanded polynomials.

A *size* is a SymPy symbol that stands for an integer of at least 1 (``n1``, ``m``), a member of a
family of sizes (``n[l]``), or a polynomial of those.  An *index* is the integer symbol of a loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any, TypeAlias

import sympy as sp
from sympy.core.symbol import Str

Size: TypeAlias = sp.Expr
"""The type of a size: a SymPy expression over size symbols and integers."""


@cache
def size(name: str) -> sp.Symbol:
    """Return the size symbol called ``name``, an integer of at least 1."""
    return sp.Symbol(name, integer=True, positive=True)


@cache
def index(name: str) -> sp.Symbol:
    """Return the loop index called ``name``, any integer."""
    return sp.Symbol(name, integer=True)


class SizeMember(sp.Expr):
    """A member ``n[l]`` of a family of sizes; ``args`` are the name and the indices."""

    is_integer = True
    is_positive = True
    is_commutative = True
    is_real = True
    is_finite = True

    def __new__(cls, name: str | Str, *indices: Any) -> SizeMember:
        label = name if isinstance(name, Str) else Str(name)
        return sp.Basic.__new__(cls, label, *(sp.sympify(i, strict=True) for i in indices))

    @property
    def name(self) -> str:
        """The family's name."""
        return str(self.args[0])

    @property
    def indices(self) -> tuple[sp.Expr, ...]:
        """The indices, affine in loop indices and sizes."""
        return self.args[1:]

    def _sympystr(self, printer: Any) -> str:
        return f"{self.name}[{', '.join(printer._print(i) for i in self.indices)}]"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        text = f"{self.name}_{{{', '.join(printer._print(i) for i in self.indices)}}}"
        return text if exp is None else f"{text}^{{{exp}}}"


@lru_cache(maxsize=65536)
def expanded(value: Size) -> Size:
    """Return the expanded polynomial of a size: the form in which sizes are compared."""
    if value.is_Atom or isinstance(value, SizeMember):
        return value
    return sp.expand(value)


def whole_fraction(value: Size) -> tuple[Size, Size]:
    """Return a polynomial with rational coefficients as one with integers, and what it is divided by."""
    bottom = sp.Integer(sp.ilcm(1, *(c.q for c in expanded(value).as_coefficients_dict().values())))
    return expanded(value * bottom), bottom


def same_size(a: Size, b: Size) -> bool:
    """Tell whether two sizes are the same polynomial."""
    return a is b or a == b or _same(a, b)


@lru_cache(maxsize=65536)
def _same(a: Size, b: Size) -> bool:
    if (a.is_Atom and b.is_Atom) or (isinstance(a, SizeMember) and isinstance(b, SizeMember)):
        # Index arguments are kept in SymPy's canonical sums, so unequal members are unequal.
        return bool(a == b)
    return bool(sp.expand(a - b) == 0)


def is_one(value: Size) -> bool:
    """Tell whether a size is literally 1."""
    return value is sp.S.One or value == 1


def size_atoms(values: Iterable[Size]) -> set[sp.Expr]:
    """Return the symbols and size members that occur in ``values`` (indices included)."""
    found: set[sp.Expr] = set()
    for value in values:
        found |= value.atoms(sp.Symbol, SizeMember)
    return found


def evaluate_size(value: Size, sizes: Mapping[str, Any], indices: Mapping[str, int] | None = None) -> int:
    """Return a size or an index expression as an integer.

    Arguments
    ---------
    value:   a size, or an affine index expression.
    sizes:   integers by size name; a family ``n[l]`` is a mapping from index tuple or index to integer,
             or a callable of the indices.
    indices: integers by loop index name.

    Raises ``KeyError`` when a symbol has no value.
    """
    number = evaluate_scalar(value, sizes, indices)
    if number.is_Integer:
        return int(number)
    raise ValueError(f"{value} is {number}, not an integer, for {dict(sizes)}")


def evaluate_scalar(value: sp.Expr, sizes: Mapping[str, Any], indices: Mapping[str, int] | None = None) -> sp.Expr:
    """Return an expression of numbers, sizes and indices as an exact SymPy number."""
    if value.is_Integer:
        return value
    if value.is_Symbol:
        name = value.name
        if indices is not None and name in indices:
            return sp.Integer(indices[name])
        return sp.sympify(sizes[name], strict=True)
    if isinstance(value, SizeMember):
        where = tuple(evaluate_size(i, sizes, indices) for i in value.indices)
        family = sizes[value.name]
        if callable(family):
            return sp.Integer(family(*where))
        return sp.Integer(family[where] if where in family else family[where[0]])
    if not value.args:
        return value
    return value.func(*(evaluate_scalar(a, sizes, indices) for a in value.args))


def has_size(value: Size, symbol: sp.Expr) -> bool:
    """Tell whether a size mentions a symbol."""
    return value is symbol or bool(value.has(symbol))
