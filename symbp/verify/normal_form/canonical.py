"""Canonical names of bound indices: two products that differ by renaming and order become the same term.

Bound indices are coloured by the places where they stand, colours are refined until they are stable, and where
equal colours remain every order is tried and the smallest outcome taken (within a budget).  Parts of a product that
share no bound index are named separately, so that ``(sum a)^4`` does not cost 24 orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symbp.verify.normal_form.algebra import Algebra
from symbp.verify.normal_form.indices import Index, Symbol, of, scaled, substitute, variables
from symbp.verify.normal_form.terms import Atom, BudgetExceeded, Exponent, Poly, Term

Factors = dict[Atom, Exponent]


def canonical_term(algebra: Algebra, bound: dict[Symbol, Index], factors: Factors) -> Term:
    """Return the term with canonical bound names.

    Raises ``BudgetExceeded`` when too many orders of interchangeable indices would have to be tried.
    """
    level = max((a.level for a in factors), default=0)
    if not bound:
        return algebra.term((), frozenset(factors.items()), level)
    level += 1
    parts = components(bound, factors)
    orders = []
    for symbols, atoms in parts:
        mine = {s: bound[s] for s in symbols}
        held = {a: factors[a] for a in atoms}
        if len(symbols) == 1 and len(parts) == 1:
            orders.append(((), list(symbols)))
            continue
        best = _best(algebra, mine, held, level)
        orders.append((_named(algebra, mine, held, best, level).key, best))
    orders.sort(key=lambda pair: pair[0])
    return _named(algebra, bound, factors, [s for _, order in orders for s in order], level)


def components(
    bound: Mapping[Symbol, Index], factors: Mapping[Atom, Exponent]
) -> list[tuple[list[Symbol], list[Atom]]]:
    """Return the parts of a product that share no bound index, as (symbols, atoms); free atoms are left out."""
    groups: list[tuple[set[Symbol], list[Atom]]] = [
        ({s, *(v for v in variables(last) if v in bound)}, []) for s, last in bound.items()
    ]
    for atom in factors:
        mine = {v for v in atom.variables if v in bound}
        if mine:
            groups.append((mine, [atom]))
    merged: list[tuple[set[Symbol], list[Atom]]] = []
    for symbols, atoms in groups:
        apart = []
        for other in merged:
            if other[0].isdisjoint(symbols):
                apart.append(other)
            else:
                symbols, atoms = symbols | other[0], atoms + other[1]
        merged = [*apart, (symbols, atoms)]
    return [(sorted(symbols), atoms) for symbols, atoms in merged]


def _named(algebra: Algebra, bound: Mapping[Symbol, Index], factors: Factors, order: list[Symbol], level: int) -> Term:
    """Return the term whose bound indices are named in the given order."""
    names: dict[Symbol, Symbol] = {s: ("", 2 + level, k) for k, s in enumerate(order)}
    images = {s: of(n) for s, n in names.items()}
    ranges = tuple((names[s], substitute(bound[s], images)) for s in order)
    renamed = frozenset((algebra.rename_atom(atom, names), exponent) for atom, exponent in factors.items())
    return algebra.term(ranges, renamed, level)


def _best(algebra: Algebra, bound: dict[Symbol, Index], factors: Factors, level: int) -> list[Symbol]:
    """Return the order of bound indices whose named term is smallest among those that the colours allow."""
    leaves: list[list[Symbol]] = []

    def search(colours: dict[Symbol, int]) -> None:
        colours = _refined(algebra, colours, bound, factors)
        classes: dict[int, list[Symbol]] = {}
        for s, c in colours.items():
            classes.setdefault(c, []).append(s)
        tied = next((classes[c] for c in sorted(classes) if len(classes[c]) > 1), None)
        if tied is None:
            leaves.append(sorted(colours, key=colours.__getitem__))
            if len(leaves) > algebra.budget.orders:
                raise BudgetExceeded(f"more than {algebra.budget.orders} orders of bound indices")
            return
        for s in tied:
            algebra.tick()
            # Twice the colour leaves room below the class for the one that is singled out.
            search({v: 2 * c - (v == s) for v, c in colours.items()})

    search(dict.fromkeys(bound, 0))
    if len(leaves) == 1:
        return leaves[0]
    return min(leaves, key=lambda order: _named(algebra, bound, factors, order, level).key)


def _refined(
    algebra: Algebra, colours: dict[Symbol, int], bound: Mapping[Symbol, Index], factors: Factors
) -> dict[Symbol, int]:
    """Split colours by the places of the indices until they are stable."""
    size = 0
    while True:
        marks: dict[Symbol, Any] = {}
        for s in colours:
            view = {v: of(("", -1, c)) for v, c in colours.items()}
            view[s] = of(("", -2, 0))
            places = sorted((_signature(algebra, a, view), e) for a, e in factors.items() if s in a.variables)
            ends = sorted(substitute(last, view) for last in bound.values() if s in variables(last))
            marks[s] = (colours[s], substitute(bound[s], view), places, ends)
        ordered = _distinct(list(marks.values()))
        colours = {s: ordered.index(mark) for s, mark in marks.items()}
        if len(ordered) == size or len(ordered) == len(colours):
            return colours
        size = len(ordered)


def _distinct(marks: list[Any]) -> list[Any]:
    found: list[Any] = []
    for mark in sorted(marks):
        if not found or found[-1] != mark:
            found.append(mark)
    return found


def _signature(algebra: Algebra, atom: Atom, view: Mapping[Symbol, Index]) -> Any:
    """Return the atom's structure with bound indices replaced by their colours."""
    if atom.variables.isdisjoint(view):
        return (0, atom.key)
    args: tuple[Any, ...] = tuple(substitute(a, view) for a in atom.args)
    if atom.head == "ref" and algebra.symmetric(atom.name):
        args = (*args[:-2], *sorted(args[-2:]))
    if atom.head == "delta":
        args = (min(args[0], substitute(scaled(atom.args[0], -1), view)),)
    end = substitute(atom.binder[1], view) if atom.binder else ()
    return (1, (atom.head, atom.name, args, [_poly_signature(algebra, p, view) for p in atom.inner], end))


def _poly_signature(algebra: Algebra, poly: Poly, view: Mapping[Symbol, Index]) -> Any:
    found = []
    for term, coefficient in poly.terms.items():
        inside = {**view, **{s: of(("", -3, 0)) for s, _ in term.bound}}
        found.append((
            sorted((_signature(algebra, a, inside), e) for a, e in term.factors),
            sorted(substitute(last, inside) for _, last in term.bound), coefficient,
        ))
    return sorted(found)


Algebra.canonical_term = canonical_term
