"""Second thoughts on a difference that does not vanish yet: none changes whether it vanishes, the shortest is kept."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from symbp.verify.normal_form.algebra import Algebra
from symbp.verify.normal_form.indices import ZERO, Index, minus, number, of, plus, scaled, variables
from symbp.verify.normal_form.terms import Atom, Poly, Product, Products

LARGEST_PEELED = 12
"""Sums are taken apart only where at most this many terms are left."""


def settle(algebra: Algebra, rest: Poly) -> Poly:
    """Try to make a difference vanish by complements of inequalities, by common denominators, by ends of sums."""
    for _ in range(8):
        if not rest.terms:
            break
        tried = (shorter for thought in SECOND_THOUGHTS for shorter in thought(algebra, rest))
        shorter = next((r for r in tried if len(r.terms) < len(rest.terms)), None)
        if shorter is None:
            break
        rest = shorter
    return rest


def complemented(algebra: Algebra, rest: Poly) -> Iterable[Poly]:
    """Write ``[e >= 0]`` as 1 minus its complement: a point, or ``[-e-1 >= 0]`` where e is the negative of the two."""
    yield _complemented(algebra, rest, points=False)


def between_edges(algebra: Algebra, rest: Poly) -> Iterable[Poly]:
    """The same, and ``[e = 0]`` as ``[e >= 0] - [e-1 >= 0]``."""
    yield _complemented(algebra, rest, points=True)


def _complemented(algebra: Algebra, rest: Poly, points: bool) -> Poly:
    found: Products = []
    for p in algebra.open(rest):
        result = [Product(p.coefficient, p.bound, {})]
        for atom, e in p.factors.items():
            other = _complement(algebra, atom.args[0]) if atom.head == "ge" else None
            if points and atom.head == "delta":
                (index,) = atom.args
                edges = algebra.single(algebra.indicator(index)) + algebra.scaled(
                    algebra.single(algebra.indicator(minus(index, number(1)))), -1
                )
                result = algebra.multiply(result, edges)
            elif other is None:
                result = algebra.multiply(result, algebra.single(atom, e))
            else:
                result = algebra.multiply(result, algebra.complement(algebra.single(other)))
        found += result
    return algebra.close(found)


def _complement(algebra: Algebra, index: Index) -> Atom | None:
    above = plus(index, number(1))
    if algebra.not_negative(above):
        return algebra.delta(above)
    return algebra.indicator(scaled(above, -1)) if index and index[-1][1] < 0 else None


def cleared(algebra: Algebra, rest: Poly) -> Iterable[Poly]:
    """Multiply by denominators whose indices are all free: they are not zero where the expression is defined.

    A selection may guard a point where a denominator is zero, so with masks only positive ones are taken.
    """
    guarded = any(_has_mask(algebra, a) for t in rest.terms for a, _ in t.factors)
    deepest: dict[Atom, Fraction] = {}
    for term in rest.terms:
        held = {s for s, _ in term.bound}
        for atom, e in term.factors:
            if guarded and not algebra.positive(atom):
                continue
            if atom.head == "pow" and e < 0 and held.isdisjoint(atom.variables):
                deepest[atom] = max(deepest.get(atom, Fraction(0)), -Fraction(e))
    current = rest
    for atom, e in sorted(deepest.items(), key=lambda item: item[0].key):
        power = int(e) if e.denominator == 1 else e
        products = [p for q in algebra.open(current) for p in algebra.multiply([q], algebra.single(atom, power))]
        if not algebra.nonzero(atom):
            algebra.assume(atom, "!= 0")
        current = algebra.close(products)
        yield current


def _has_mask(algebra: Algebra, atom: Atom) -> bool:
    inside = (a for p in atom.inner for t in p.terms for a, _ in t.factors)
    return algebra.is_mask(atom) or any(_has_mask(algebra, a) for a in inside)


def peeled(algebra: Algebra, rest: Poly) -> Iterable[Poly]:
    """Take the first or the last summand out of a sum."""
    if len(rest.terms) > LARGEST_PEELED:
        return
    for term, coefficient in rest.terms.items():
        others = algebra.poly({t: c for t, c in rest.terms.items() if t is not term})
        for place in range(len(term.bound)):
            for first in (True, False):
                (p,) = algebra.open(algebra.poly({term: -coefficient}))
                yield algebra.difference(others, algebra.close(_split(algebra, p, place, first)))


def _split(algebra: Algebra, p: Product, place: int, first: bool) -> Products:
    symbol, last = list(p.bound.items())[place]
    if not algebra.not_negative(last) or any(symbol in variables(x) for x in p.bound.values()):
        return [p]
    (alone,) = algebra.freshened([p])
    lonely = list(alone.bound)[place]
    single = algebra.substitute(alone, {lonely: ZERO if first else last})
    shorter = minus(last, number(1))
    new = algebra.fresh(shorter)
    moved = Product(p.coefficient, {**p.bound, new: shorter}, p.factors)
    return single + algebra.substitute(moved, {symbol: plus(of(new), number(1 if first else 0))})


SECOND_THOUGHTS = (complemented, between_edges, cleared, peeled)
"""What is tried on a difference that does not vanish, in this order."""
