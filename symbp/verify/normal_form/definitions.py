"""What names stand for, and their replacement in polynomials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sympy as sp

from symbp.expr import AxisNode, Hadamard, Map, MatMul, Node, Ones, Ref, Scale, SMul, Transpose, is_one, refs
from symbp.verify.normal_form.entries import Entries, place
from symbp.verify.normal_form.indices import Index, Symbol, minus, of, plus, scaled, substitute, variables
from symbp.verify.normal_form.terms import Atom, Poly, Product, Products

LoopRange = tuple[sp.Symbol, sp.Expr, sp.Expr]
"""A loop index with its first and last value."""


@dataclass(frozen=True)
class Piece:
    """One defining equation of a variable or a family: ``target = value`` for each index of ``loops`` in its range.

    Without ``loops`` the indices of the target are formal: the equation holds for every member.
    """

    target: Ref
    value: Node
    loops: tuple[LoopRange, ...] = ()


@dataclass(frozen=True)
class Definition:
    """What a name stands for.

    pieces:       its equations.
    zero_outside: members that no piece defines are zero (messages), so the value is the sum over all pieces.
    """

    pieces: tuple[Piece, ...]
    zero_outside: bool = False

    @property
    def is_short(self) -> bool:
        """Tell whether it is one product of entries: functions of variables, no sums."""
        return all(_is_product(p.value) for p in self.pieces)


def _is_product(value: Node) -> bool:
    if isinstance(value, Ref | Ones):
        return True
    if isinstance(value, AxisNode):
        return isinstance(value.operands[0], Ref)
    if isinstance(value, MatMul) and not all(is_one(a.cols) for a in value.operands[:-1]):
        return False
    products = Map | MatMul | Hadamard | SMul | Scale | Transpose
    return isinstance(value, products) and all(map(_is_product, value.operands))


Definitions = Mapping[str, Definition]


def short(definitions: Definitions) -> frozenset[str]:
    """Return the names whose replacement costs little: messages, and products of functions of other names."""
    return _acyclic(definitions, [n for n, d in definitions.items() if d.zero_outside or d.is_short])


def replaceable(definitions: Definitions) -> frozenset[str]:
    """Return as many names as can be replaced without running in a circle, the cheap ones first."""
    return _acyclic(definitions, [*sorted(short(definitions)), *definitions])


def within(definitions: Definitions, names: frozenset[str]) -> frozenset[str]:
    """Return those of some names that stand for others of them, so that nothing new comes in."""
    return _acyclic(definitions, [n for n, d in definitions.items() if n in names and _reads(d) <= names])


def names_in(poly: Poly) -> frozenset[str]:
    """Return the names of the variables in a polynomial."""
    atoms = [a for t in poly.terms for a, _ in t.factors]
    inside = [names_in(p) for a in atoms for p in a.inner]
    return frozenset(a.name for a in atoms if a.head == "ref").union(*inside)


def _reads(definition: Definition) -> set[str]:
    return {r.name for p in definition.pieces for r in refs(p.value)}


def _acyclic(definitions: Definitions, names: Sequence[str]) -> frozenset[str]:
    reads = {n: _reads(d) for n, d in definitions.items()}
    kept: set[str] = set()
    for name in names:
        reached: set[str] = set()
        waiting = [name]
        while waiting:
            for other in reads[waiting.pop()] & (kept | {name}) - reached:
                reached.add(other)
                waiting.append(other)
        if name not in reached:
            kept.add(name)
    return frozenset(kept)


@dataclass
class Unfolding:
    """The replacement of names by what they stand for, in one algebra; ``definitions`` run in no circle."""

    entries: Entries
    definitions: Definitions
    _named: dict[Atom, bool] = field(default_factory=dict)
    _given: tuple[Atom, ...] = ()

    def applied(self, products: Products) -> Products:
        """Return open products with every defined name replaced, also inside non-linear functions."""
        algebra = self.entries.algebra
        found: Products = []
        for p in products:
            kept = {a: e for a, e in p.factors.items() if not self._reads(a)}
            result = [Product(p.coefficient, p.bound, kept)]
            # Where the indicators of a product are 0 the value of its other factors does not matter.
            outer = self._given
            self._given = (*outer, *(a for a in kept if a.head in ("delta", "ge")))
            for atom, e in p.factors.items():
                if atom not in kept:
                    result = algebra.multiply(result, algebra.raised(self._atom(atom), e))
            self._given = outer
            found += result
        return found

    def _reads(self, atom: Atom) -> bool:
        found = self._named.get(atom)
        if found is None:
            found = (atom.head == "ref" and atom.name in self.definitions) or any(
                self._reads(a) for poly in atom.inner for t in poly.terms for a, _ in t.factors
            )
            self._named[atom] = found
        return found

    def _atom(self, atom: Atom) -> Products:
        algebra = self.entries.algebra
        if atom.head == "ref":
            value = self._value(atom.name, place(algebra, atom))
            return algebra.single(atom) if value is None else self.applied(value)
        mapping: dict[Symbol, Index] = {}
        binder = None
        if atom.binder is not None:
            binder = (algebra.fresh(atom.binder[1]), atom.binder[1])
            mapping[atom.binder[0]] = of(binder[0])
        inner = tuple(self.closed(p, mapping) for p in atom.inner)
        return algebra.constructors[atom.head](algebra, atom, inner, atom.args, binder)

    def closed(self, poly: Poly, mapping: Mapping[Symbol, Index] | None = None) -> Poly:
        """Return a closed polynomial with every defined name replaced."""
        algebra = self.entries.algebra
        return algebra.close(self.applied(algebra.open(poly, mapping)))

    def _value(self, name: str, at: Sequence[Index]) -> Products | None:
        """Return an entry by the definition; None if the member is not proved to be defined by it."""
        algebra = self.entries.algebra
        *wanted, i, j = at
        definition = self.definitions[name]
        if not definition.zero_outside:
            for piece in definition.pieces:
                mapping = self._matched(piece, wanted)
                if mapping is not None:
                    return self._piece(piece, mapping, i, j)
            return None
        result: Products = []
        for piece in definition.pieces:
            mapping, bound = {}, []
            for symbol, lo, hi in piece.loops:
                first = substitute(algebra.index(lo), mapping)
                last = minus(substitute(algebra.index(hi), mapping), first)
                new = algebra.fresh(last)
                mapping[algebra.free_index(symbol)] = plus(of(new), first)
                bound.append((new, last))
            body = self._piece(piece, mapping, i, j)
            for mine, there in zip(piece.target.indices, wanted, strict=True):
                delta = algebra.delta(minus(substitute(algebra.index(mine), mapping), there))
                body = algebra.multiply(body, algebra.single(delta))
            result += algebra.sum(body, bound)
        return result

    def _matched(self, piece: Piece, wanted: Sequence[Index]) -> dict[Symbol, Index] | None:
        """Return the loop indices at which a piece defines a member, if it is proved to define it."""
        algebra = self.entries.algebra
        ends = {algebra.free_index(s): (algebra.index(lo), algebra.index(hi)) for s, lo, hi in piece.loops}
        mapping: dict[Symbol, Index] = {}
        for mine, at in zip(piece.target.indices, wanted, strict=True):
            pattern = algebra.index(mine)
            formal = [s for s in variables(pattern) if s in ends or not piece.loops]
            if not formal:
                if pattern != at:
                    return None
                continue
            if len(formal) > 1:
                return None
            (symbol,) = formal
            rest, sign = minus(pattern, of(symbol)), 1
            if symbol in variables(rest):
                rest, sign = plus(pattern, of(symbol)), -1
            if symbol in variables(rest) or symbol in mapping:
                return None
            mapping[symbol] = scaled(minus(at, rest), sign)
        if set(ends) - set(mapping):
            return None
        for symbol, (lo, hi) in ends.items():
            ends_met = minus(mapping[symbol], substitute(lo, mapping)), minus(substitute(hi, mapping), mapping[symbol])
            if not all(algebra.follows(gap, self._given) for gap in ends_met):
                return None
        return mapping

    def _piece(self, piece: Piece, mapping: Mapping[Symbol, Index], i: Index, j: Index) -> Products:
        row, col, poly = self.entries.template(piece.value)
        return self.entries.algebra.open(poly, {**mapping, row: i, col: j})
