"""Index arithmetic of the normal form: integer polynomials in index variables and sizes, and bounds on them.

An *index* is a sorted tuple of ``(monomial, coefficient)``; a monomial is a sorted tuple of *symbols*.  A symbol is a
variable ``("", kind, number)`` or a size ``(name, *arguments)`` whose arguments are indices again (``n[l]``).  Plain
tuples keep equality, order and hashing in C.

Kinds of variables: 0 fresh (bound in an open product), 1 free (row, column, loop index), 2 and more: canonical bound
names, one kind per nesting level, so that substitution cannot capture.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

Symbol = tuple[Any, ...]
Monomial = tuple[Symbol, ...]
Index = tuple[tuple[Monomial, Any], ...]
Range = tuple[Index, Index]

ZERO: Index = ()


def is_variable(symbol: Symbol) -> bool:
    """Tell whether a symbol is an index variable; the others are sizes, integers of at least 1."""
    return bool(symbol[0] == "")


def number(value: Any) -> Index:
    """Return a constant index."""
    return (((), value),) if value else ZERO


def of(symbol: Symbol) -> Index:
    """Return a symbol as an index."""
    return (((symbol,), 1),)


def _pack(terms: Mapping[Monomial, Any]) -> Index:
    return tuple(sorted((m, c) for m, c in terms.items() if c))


def plus(*indices: Index) -> Index:
    """Return the sum."""
    terms: dict[Monomial, Any] = {}
    for index in indices:
        for m, c in index:
            terms[m] = terms.get(m, 0) + c
    return _pack(terms)


def scaled(index: Index, factor: Any) -> Index:
    """Return a numeric multiple."""
    return tuple((m, c * factor) for m, c in index) if factor else ZERO


def minus(a: Index, b: Index) -> Index:
    """Return the difference."""
    return plus(a, scaled(b, -1)) if b else a


def product(a: Index, b: Index) -> Index:
    """Return the product."""
    terms: dict[Monomial, Any] = {}
    for m1, c1 in a:
        for m2, c2 in b:
            m = tuple(sorted((*m1, *m2)))
            terms[m] = terms.get(m, 0) + c1 * c2
    return _pack(terms)


@lru_cache(maxsize=65536)
def variables(index: Index) -> frozenset[Symbol]:
    """Return the variables of an index, those inside the arguments of sizes included."""
    found: set[Symbol] = set()
    for monomial, _ in index:
        for symbol in monomial:
            if is_variable(symbol):
                found.add(symbol)
            else:
                for argument in symbol[1:]:
                    found |= variables(argument)
    return frozenset(found)


def substitute(index: Index, mapping: Mapping[Symbol, Index]) -> Index:
    """Return the index with symbols replaced simultaneously, also inside the arguments of sizes."""
    if variables(index).isdisjoint(mapping):
        return index
    terms: dict[Monomial, Any] = {}
    for monomial, coefficient in index:
        value: Index = (((), coefficient),)
        for symbol in monomial:
            value = product(value, _image(symbol, mapping))
        for m, c in value:
            terms[m] = terms.get(m, 0) + c
    return _pack(terms)


def _image(symbol: Symbol, mapping: Mapping[Symbol, Index]) -> Index:
    if is_variable(symbol):
        return mapping[symbol] if symbol in mapping else of(symbol)
    if len(symbol) == 1:
        return of(symbol)
    return of((symbol[0], *(substitute(argument, mapping) for argument in symbol[1:])))


def single_variable(index: Index) -> Symbol | None:
    """Return the variable of which the index consists, or None."""
    if len(index) == 1:
        (monomial, coefficient), = index
        if coefficient == 1 and len(monomial) == 1 and is_variable(monomial[0]):
            return monomial[0]
    return None


def solved_for(index: Index, symbol: Symbol) -> Index | None:
    """Return e such that ``index == 0`` means ``symbol == e``, for a symbol with coefficient 1 or -1; else None."""
    coefficient = None
    rest = []
    for monomial, c in index:
        if monomial == (symbol,):
            coefficient = c
        else:
            rest.append((monomial, c))
    if coefficient not in (1, -1) or symbol in variables(tuple(rest)):
        return None
    return scaled(tuple(rest), -coefficient)


def linear_in(index: Index, symbol: Symbol) -> tuple[Index, Index] | None:
    """Return (a, b) with ``index == a*symbol + b``, both without the symbol outside sizes; None if not linear."""
    a: list[tuple[Monomial, Any]] = []
    b: list[tuple[Monomial, Any]] = []
    for monomial, c in index:
        count = monomial.count(symbol)
        if count > 1:
            return None
        if count:
            a.append((tuple(s for s in monomial if s != symbol), c))
        else:
            b.append((monomial, c))
    return tuple(sorted(a)), tuple(sorted(b))


def divided(index: Index, symbol: Symbol) -> tuple[Index, Index]:
    """Return (a, b) with ``index == a*symbol + b`` where no monomial of b contains the symbol."""
    a: dict[Monomial, Any] = {}
    b: dict[Monomial, Any] = {}
    for monomial, c in index:
        if symbol in monomial:
            k = monomial.index(symbol)
            a[monomial[:k] + monomial[k + 1 :]] = c
        else:
            b[monomial] = c
    return _pack(a), _pack(b)


def at_least_zero(index: Index, ranges: Mapping[Symbol, Range], least: Mapping[Symbol, int]) -> bool:
    """Tell whether ``index >= 0`` is proved wherever each variable lies in its range and each size above its bound.

    Variables are eliminated one by one, by the end of their range that makes the index smallest; what is left is a
    polynomial of sizes, which is non-negative if all its coefficients are after each size is shifted by its bound.
    """
    for _ in range(24):
        outer = {s for monomial, _ in index for s in monomial if is_variable(s)}
        if not outer:
            return _sizes_at_least_zero(index, least)
        inner = {s for v in outer if v in ranges for end in ranges[v] for s in variables(end)}
        symbol = max(outer - inner, default=None)
        if symbol is None or symbol not in ranges:
            return False
        split = linear_in(index, symbol)
        if split is None:
            return False
        a, b = split
        lo, hi = ranges[symbol]
        if at_least_zero(a, ranges, least):
            index = plus(product(a, lo), b)
        elif at_least_zero(scaled(a, -1), ranges, least):
            index = plus(product(a, hi), b)
        else:
            return False
    return False


def _sizes_at_least_zero(index: Index, least: Mapping[Symbol, int]) -> bool:
    if all(c >= 0 for _, c in index):
        return True
    terms: dict[Monomial, Any] = {}
    for monomial, coefficient in index:
        shifted: Index = (((), coefficient),)
        for symbol in monomial:
            shifted = product(shifted, plus(of(symbol), number(least.get(symbol, 1))))
        for m, c in shifted:
            terms[m] = terms.get(m, 0) + c
    return all(c >= 0 for c in terms.values())
