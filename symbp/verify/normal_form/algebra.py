"""The algebra of one proof: interned atoms, open products, substitution, closing, and what is known of atoms."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, ClassVar

import sympy as sp

from symbp.expr import SizeMember
from symbp.verify.normal_form.indices import (
    ZERO, Index, Range, Symbol, at_least_zero, is_variable, minus, number, of, plus, product, scaled, single_variable,
    solved_for, substitute, variables,
)
from symbp.verify.normal_form.terms import (
    Atom, Bound, Budget, BudgetExceeded, Exponent, Factors, Poly, Product, Products, Term, Unsupported, whole,
)

Construct = Callable[["Algebra", Atom, tuple[Poly, ...], tuple[Index, ...], "tuple[Symbol, Index] | None"], Products]

MASKS = frozenset({"delta", "ge", "gt", "eq", "argmax", "hot", "map"})
"""Heads whose atoms are 0 or 1."""
MASK_FACTS = ("binary", "mask", "one_hot_columns", "one_hot_rows")
"""Facts that say that the entries of a variable are 0 or 1."""


class Algebra:
    """The tables behind one proof: interned atoms, ranges of indices, declared facts, the budget.

    facts:    declared facts by variable name.
    least:    known lower bounds of sizes.
    explicit: write softmax, log-sum-exp and tanh in exponentials.
    """

    constructors: ClassVar[dict[str, Construct]] = {}
    """How a non-linear atom is built anew when its argument has changed, by head."""
    canonical_term: ClassVar[Callable[[Algebra, dict[Symbol, Index], dict[Atom, Exponent]], Term]]
    """Canonical bound names (module ``canonical``)."""
    reduce: ClassVar[Callable[[Algebra, Product], Products | None]]
    """One step of reduction; None when nothing applies (module ``reduction``)."""
    power: ClassVar[Callable[[Algebra, Poly, Exponent], Products]]
    """A power of a closed polynomial (module ``functions``)."""

    def __init__(
        self, facts: Mapping[str, frozenset[str]], budget: Budget, least: Mapping[Symbol, int] | None = None,
        explicit: bool = False,
    ) -> None:
        self.facts, self.budget, self.explicit = facts, budget, explicit
        self.least: Mapping[Symbol, int] = least or {}
        self.ranges: dict[Symbol, Range] = {}
        self.assumed: dict[Atom, str] = {}
        self.used: set[tuple[str, str]] = set()
        self._atoms: dict[Any, Atom] = {}
        self._terms: dict[Any, Term] = {}
        self._polys: dict[frozenset[tuple[Term, Fraction]], Poly] = {}
        self._renamed_atoms: dict[tuple[Atom, frozenset[tuple[Symbol, Symbol]]], Atom] = {}
        self._indices: dict[sp.Basic, Index] = {}
        self.loop_indices: dict[sp.Symbol, Symbol] = {}
        self._count = 0
        self._steps = 0
        self._deadline = time.thread_time() + budget.seconds

    # -- tables ------------------------------------------------------------------------------------------
    def tick(self, steps: int = 1) -> None:
        """Count work; raise ``BudgetExceeded`` when there is too much."""
        self._steps += steps
        if self._steps > self.budget.steps:
            raise BudgetExceeded(f"more than {self.budget.steps} steps")
        if self._steps % 64 < steps and time.thread_time() > self._deadline:
            raise BudgetExceeded(f"more than {self.budget.seconds} seconds")

    def fresh(self, last: Index, first: Index = ZERO) -> Symbol:
        """Return a new index symbol that runs from ``first`` to ``last``."""
        self._count += 1
        symbol = ("", 0, self._count)
        self.ranges[symbol] = (first, last)
        return symbol

    def atom(
        self, head: str, name: str = "", args: tuple[Index, ...] = (), inner: tuple[Poly, ...] = (),
        binder: tuple[Symbol, Index] | None = None,
    ) -> Atom:
        """Return the one atom with this structure."""
        if head == "ref" and args[-2] > args[-1] and self.fact(name, "symmetric"):
            args = (*args[:-2], args[-1], args[-2])
        elif head == "delta" and args[0] and args[0][-1][1] < 0:
            args = (scaled(args[0], -1),)
        key = (head, name, args, inner, binder)
        found = self._atoms.get(key)
        if found is None:
            found = self._atoms[key] = Atom(head, name, args, inner, binder)
        return found

    def term(self, bound: Bound, factors: Factors, level: int) -> Term:
        """Return the one term with this structure."""
        key = (bound, factors)
        found = self._terms.get(key)
        if found is None:
            found = self._terms[key] = Term(bound, factors, level)
        return found

    def poly(self, terms: Mapping[Term, Fraction]) -> Poly:
        """Return the one polynomial with these terms."""
        key = frozenset(terms.items())
        found = self._polys.get(key)
        if found is None:
            found = self._polys[key] = Poly(dict(terms))
        return found

    @property
    def has_transcendental(self) -> bool:
        """Tell whether an atom has been met that ``explicit`` writes in another way."""
        return any(a.head in ("softmax", "lse") or (a.head == "fn" and a.name == "tanh") for a in self._atoms.values())

    def fact(self, name: str, *facts: str) -> bool:
        """Tell whether one of some facts is known of a variable; it then counts as used."""
        known = self.facts.get(name)
        found = known and next((f for f in facts if f in known), None)
        if found:
            self.used.add((name, found))
        return bool(found)

    def symmetric(self, name: str) -> bool:
        """Tell whether a variable equals its transpose."""
        return "symmetric" in self.facts.get(name, ())

    def not_negative(self, index: Index) -> bool:
        """Tell whether an index is proved to be at least 0."""
        return at_least_zero(index, self.ranges, self.least)

    def follows(self, index: Index, given: Iterable[Atom]) -> bool:
        """Tell whether an index is proved to be at least 0 where the given deltas and indicators are 1."""
        if self.not_negative(index):
            return True
        together: dict[Symbol, Index] = {}
        equal: list[dict[Symbol, Index]] = []
        for atom in given:
            if atom.head == "ge" and self.not_negative(minus(index, atom.args[0])):
                return True
            if atom.head == "delta":
                for symbol in sorted(variables(atom.args[0]), reverse=True):
                    image = solved_for(atom.args[0], symbol)
                    if image is not None:
                        equal.append({symbol: image})
                        if variables(image).isdisjoint({*together, symbol}):
                            together.setdefault(symbol, image)
        if len(together) > 1:
            equal.append(together)
        return any(self._follows(index, mapping) for mapping in equal)

    def _follows(self, index: Index, mapping: Mapping[Symbol, Index]) -> bool:
        index = substitute(index, mapping)
        ranges: dict[Symbol, Range] = {}
        for s in self._reached(index):
            lo, hi = self.ranges[s]
            ranges[s] = substitute(lo, mapping), substitute(hi, mapping)
        return at_least_zero(index, ranges, self.least)

    def _reached(self, index: Index) -> set[Symbol]:
        """Return the variables of an index that have a range, and those of their ranges."""
        found: set[Symbol] = set()
        waiting = list(variables(index))
        while waiting:
            s = waiting.pop()
            if s in self.ranges and s not in found:
                found.add(s)
                waiting += [v for end in self.ranges[s] for v in variables(end)]
        return found

    def assume(self, atom: Atom, what: str) -> None:
        """Record a condition that a rewriting used."""
        self.assumed[atom] = what

    def index(self, expr: sp.Expr) -> Index:
        """Return a size or an index expression of SymPy as an index.

        Raises ``Unsupported`` for a loop index inside something that is no polynomial.
        """
        found = self._indices.get(expr)
        if found is None:
            found = self._indices[expr] = self._index(expr)
        return found

    def _index(self, expr: sp.Expr) -> Index:
        if isinstance(expr, sp.Rational):
            return number(int(expr.p) if expr.q == 1 else Fraction(int(expr.p), int(expr.q)))
        if isinstance(expr, SizeMember):
            return of((expr.name, *(self.index(i) for i in expr.indices)))
        if isinstance(expr, sp.Symbol):
            if expr.is_positive and not isinstance(expr, sp.Dummy):
                return of((expr.name,))
            return of(self.free_index(expr))
        if isinstance(expr, sp.Add):
            return plus(*(self.index(a) for a in expr.args))
        if isinstance(expr, sp.Mul):
            result = number(1)
            for a in expr.args:
                result = product(result, self.index(a))
            return result
        if isinstance(expr, sp.Pow) and expr.exp.is_Integer and 0 < int(expr.exp) < 16:
            base = result = self.index(expr.base)
            for _ in range(int(expr.exp) - 1):
                result = product(result, base)
            return result
        if all(s.is_positive for s in expr.free_symbols) and expr.is_positive and expr.is_integer is not False:
            return of((str(expr),))
        raise Unsupported(f"the index or size {expr}")

    def free_index(self, symbol: sp.Symbol) -> Symbol:
        """Return the variable that stands for a loop index."""
        found = self.loop_indices.get(symbol)
        if found is None:
            found = self.loop_indices[symbol] = ("", 1, len(self.loop_indices))
        return found

    # -- open products -------------------------------------------------------------------------------------
    def single(self, atom: Atom, exponent: Exponent = 1) -> Products:
        """Return an atom as a sum of one product."""
        return [Product(Fraction(1), {}, {atom: exponent})]

    def constant(self, value: Any) -> Products:
        """Return a rational number as a sum of products."""
        return [Product(Fraction(value), {}, {})] if value else []

    def value(self, index: Index) -> Products:
        """Return the value of an index expression as a sum of products."""
        found: Products = []
        for monomial, coefficient in index:
            factors: dict[Atom, Exponent] = {}
            for symbol in monomial:
                if is_variable(symbol):
                    atom = self.atom("ix", "", (of(symbol),))
                else:
                    atom = self.atom("size", symbol[0], symbol[1:])
                factors[atom] = factors.get(atom, 0) + 1
            found.append(Product(Fraction(coefficient), {}, factors))
        return found

    def delta(self, index: Index) -> Atom:
        """Return the Kronecker delta: 1 where the index is 0, 0 elsewhere."""
        return self.atom("delta", "", (index,))

    def indicator(self, index: Index) -> Atom:
        """Return the indicator: 1 where the index is at least 0, 0 elsewhere."""
        return self.atom("ge", "", (index,))

    def nonzero(self, atom: Atom) -> bool:
        """Tell whether an atom is known not to vanish."""
        return self.positive(atom) or (atom.head == "ref" and self.fact(atom.name, "signs"))

    def positive(self, atom: Atom) -> bool:
        """Tell whether an atom is known to be positive wherever it is defined."""
        if atom.head in ("exp", "size", "prime", "const", "softmax"):
            return True
        if atom.head == "ref":
            return self.fact(atom.name, "positive")
        return atom.head == "pow" and self.poly_positive(atom.inner[0])

    def is_mask(self, atom: Atom) -> bool:
        """Tell whether an atom is known to be 0 or 1."""
        if atom.head == "ref":
            return self.fact(atom.name, *MASK_FACTS)
        return atom.head in MASKS

    def poly_not_negative(self, poly: Poly) -> bool:
        """Tell whether every term of a polynomial is visibly not negative."""
        return all(c > 0 and all(self._not_negative_power(a, e) for a, e in t.factors) for t, c in poly.terms.items())

    def poly_positive(self, poly: Poly) -> bool:
        """Tell whether a polynomial is visibly positive: non-negative terms, one of them positive."""
        strict = False
        rest: dict[Term, Fraction] = {}
        for term, coefficient in poly.terms.items():
            if coefficient > 0 and all(self._not_negative_power(a, e) for a, e in term.factors):
                strict = strict or (not term.bound and all(self.positive(a) for a, _ in term.factors))
            else:
                rest[term] = coefficient
        return strict and (not rest or self._is_magnitude(self.poly(rest)))

    def _is_magnitude(self, poly: Poly) -> bool:
        """Tell whether a polynomial is ``|x| = 2 x [x > 0] - x``."""
        masks = {a for t in poly.terms for a, _ in t.factors if a.head == "gt"}
        if len(masks) != 1:
            return False
        (mask,) = masks
        plain = self.poly({t: c for t, c in poly.terms.items() if all(a is not mask for a, _ in t.factors)})
        value = self.negated(plain)
        doubled = self.close(self.scaled(self.multiply(self.open(value), self.single(mask)), 2))
        return self.difference(poly, plain) is doubled and value is mask.inner[0]

    def _not_negative_power(self, atom: Atom, e: Exponent) -> bool:
        even, root = e % 2 == 0, atom.head == "pow" and Fraction(e).denominator > 1
        known = atom.head == "ref" and self.fact(atom.name, "not_negative")
        return even or root or known or self.is_mask(atom) or self.positive(atom)

    def multiply(self, first: Products, second: Products) -> Products:
        """Return the product of two sums; no bound symbol may occur in both."""
        found = []
        for p in first:
            for q in second:
                self.tick()
                factors = dict(p.factors)
                self.merge(factors, q.factors)
                found.append(Product(p.coefficient * q.coefficient, {**p.bound, **q.bound}, factors))
        return found

    def merge(self, factors: dict[Atom, Exponent], more: Mapping[Atom, Exponent]) -> None:
        """Multiply atoms into ``factors``; a cancellation of an atom that may be zero is recorded as a condition."""
        for atom, exponent in more.items():
            old = factors.get(atom)
            if old is None:
                factors[atom] = exponent
                continue
            total = old + exponent
            if (old < 0) != (exponent < 0) and self.is_mask(atom):
                # M/M is 1 where it is defined, and 0 where M guards it (``where(M, 1/M, 0)``): M in both cases.
                factors[atom] = 1
                continue
            if (old < 0) != (exponent < 0) and not self.nonzero(atom):
                self.assume(atom, "!= 0")
            if total == 0:
                del factors[atom]
            else:
                factors[atom] = total

    def times(self, *sums: Products) -> Products:
        """Return the product of sums whose bound symbols are all different."""
        found = self.constant(1)
        for products in sums:
            found = self.multiply(found, products)
        return found

    def scaled(self, products: Products, factor: Any) -> Products:
        """Return a rational multiple."""
        return [Product(p.coefficient * factor, p.bound, p.factors) for p in products]

    def complement(self, mask: Products) -> Products:
        """Return 1 minus a mask."""
        return self.constant(1) + self.scaled(mask, -1)

    # -- substitution -----------------------------------------------------------------------------------------
    def rename_atom(self, atom: Atom, names: Mapping[Symbol, Symbol]) -> Atom:
        """Return the atom with variables renamed one to one; no new name may occur in it."""
        if atom.variables.isdisjoint(names):
            return atom
        mine = {old: new for old, new in names.items() if old in atom.variables}
        key = atom, frozenset(mine.items())
        found = self._renamed_atoms.get(key)
        if found is None:
            self.tick()
            mapping = {old: of(new) for old, new in mine.items()}
            args = tuple(substitute(a, mapping) for a in atom.args)
            binder = atom.binder and (atom.binder[0], substitute(atom.binder[1], mapping))
            inner = tuple(self.rename(p, mine) for p in atom.inner)
            found = self._renamed_atoms[key] = self.atom(atom.head, atom.name, args, inner, binder)
        return found

    def rename(self, poly: Poly, names: Mapping[Symbol, Symbol]) -> Poly:
        """Return a closed polynomial with free variables renamed one to one."""
        if poly.variables.isdisjoint(names):
            return poly
        mapping = {old: of(new) for old, new in names.items()}
        terms = {}
        for term, coefficient in poly.terms.items():
            bound = {s: substitute(last, mapping) for s, last in term.bound}
            factors = {self.rename_atom(a, names): e for a, e in term.factors}
            terms[self.canonical(bound, factors)] = coefficient
        return self.poly(terms)

    def canonical(self, bound: dict[Symbol, Index], factors: dict[Atom, Exponent]) -> Term:
        """Return the term with canonical bound names."""
        return type(self).canonical_term(self, bound, factors)

    def open(self, poly: Poly, mapping: Mapping[Symbol, Index] | None = None) -> Products:
        """Return a closed polynomial as open products, with free variables replaced by index expressions."""
        found: Products = []
        for term, coefficient in poly.terms.items():
            self.tick()
            opened = Product(coefficient, {}, dict(term.factors))
            if term.bound:
                names: dict[Symbol, Symbol] = {}
                for symbol, last in term.bound:
                    names[symbol] = self.fresh(last)
                images = {old: of(new) for old, new in names.items()}
                for symbol, last in term.bound:
                    last = substitute(last, images)
                    opened.bound[names[symbol]] = last
                    self.ranges[names[symbol]] = (ZERO, last)
                opened.factors = {self.rename_atom(a, names): e for a, e in term.factors}
            found += self.substitute(opened, mapping) if mapping else [opened]
        return found

    def freshened(self, products: Products) -> Products:
        """Return a copy whose bound symbols are new."""
        found = []
        for p in products:
            names = {s: self.fresh(last) for s, last in p.bound.items()}
            images = {old: of(new) for old, new in names.items()}
            bound = {}
            for s, last in p.bound.items():
                bound[names[s]] = substitute(last, images)
                self.ranges[names[s]] = (ZERO, bound[names[s]])
            found.append(Product(p.coefficient, bound, {self.rename_atom(a, names): e for a, e in p.factors.items()}))
        return found

    def substitute(self, p: Product, mapping: Mapping[Symbol, Index]) -> Products:
        """Return the product with variables replaced by index expressions; a replaced index is no longer bound."""
        mapping = dict(mapping)
        pending = {s: last for s, last in p.bound.items() if s not in mapping}
        bound: dict[Symbol, Index] = {}
        while pending:
            # An index whose range changes gets a new symbol, which the ranges of others may read: those come later.
            ready = [s for s, last in pending.items() if variables(last).isdisjoint(pending)] or list(pending)[:1]
            for s in ready:
                last = pending.pop(s)
                changed = substitute(last, mapping)
                if changed == last:
                    bound[s] = last
                else:
                    new = self.fresh(changed)
                    mapping[s] = of(new)
                    bound[new] = changed
        simple: dict[Atom, Exponent] = {}
        sums: list[Products] = []
        for atom, exponent in p.factors.items():
            if atom.variables.isdisjoint(mapping):
                self.merge(simple, {atom: exponent})
            elif atom.head == "ix":
                sums.append(self.raised(self.value(substitute(atom.args[0], mapping)), exponent))
            elif not atom.inner:
                self.merge(simple, {self._moved(atom, mapping): exponent})
            elif (renamed := self._renamed(atom, mapping)) is not None:
                self.merge(simple, {renamed: exponent})
            else:
                sums.append(self.raised(self._rebuilt(atom, mapping), exponent))
        result = [Product(p.coefficient, bound, simple)]
        for products in sums:
            result = self.multiply(result, products)
        return result

    def _moved(self, atom: Atom, mapping: Mapping[Symbol, Index]) -> Atom:
        args = tuple(substitute(a, mapping) for a in atom.args)
        return self.atom(atom.head, atom.name, args)

    def _renamed(self, atom: Atom, mapping: Mapping[Symbol, Index]) -> Atom | None:
        """Return a non-linear atom after a substitution that is a mere renaming; None if it is more."""
        names: dict[Symbol, Symbol] = {}
        for s in atom.variables:
            if s in mapping:
                new = single_variable(mapping[s])
                if new is None:
                    return None
                names[s] = new
        targets = set(names.values())
        if len(targets) < len(names) or not atom.variables.isdisjoint(targets):
            return None
        return self.rename_atom(atom, names)

    def _rebuilt(self, atom: Atom, mapping: Mapping[Symbol, Index]) -> Products:
        """Return a non-linear atom with variables replaced in its argument, built anew."""
        mine = {s: mapping[s] for s in atom.variables if s in mapping}
        args = tuple(substitute(a, mine) for a in atom.args)
        binder = None
        if atom.binder is not None:
            last = substitute(atom.binder[1], mine)
            binder = (self.fresh(last), last)
            mine[atom.binder[0]] = of(binder[0])
        inner = tuple(self.close(self.open(p, mine)) for p in atom.inner)
        return self.constructors[atom.head](self, atom, inner, args, binder)

    def raised(self, products: Products, exponent: Exponent) -> Products:
        """Return a power of an open sum."""
        if exponent == 1:
            return products
        if len(products) == 1 and not products[0].bound and products[0].coefficient == 1:
            (only,) = products
            if len(only.factors) == 1 and Fraction(exponent).denominator == 1:
                ((atom, e),) = only.factors.items()
                return self.single(atom, whole(e * exponent))
        return type(self).power(self, self.close(products), exponent)

    # -- closing --------------------------------------------------------------------------------------------
    def close(self, products: Iterable[Product]) -> Poly:
        """Reduce open products, name their bound indices canonically and collect equal terms."""
        terms: dict[Term, Fraction] = {}
        waiting = list(products)
        while waiting:
            p = waiting.pop()
            if not p.coefficient:
                continue
            self.tick()
            reduced = type(self).reduce(self, p)
            if reduced is not None:
                waiting += reduced
                continue
            term = self.canonical(p.bound, p.factors)
            terms[term] = terms.get(term, Fraction(0)) + p.coefficient
        return self.poly({t: c for t, c in terms.items() if c})

    def sum(self, products: Products, over: Sequence[tuple[Symbol, Index]]) -> Products:
        """Bind index symbols: the sum over each from 0 to its last value."""
        return [Product(p.coefficient, {**p.bound, **dict(over)}, p.factors) for p in products]

    def negated(self, poly: Poly) -> Poly:
        """Return minus the polynomial."""
        return self.poly({t: -c for t, c in poly.terms.items()})

    def difference(self, a: Poly, b: Poly) -> Poly:
        """Return the difference of two closed polynomials."""
        terms = dict(a.terms)
        for t, c in b.terms.items():
            terms[t] = terms.get(t, Fraction(0)) - c
        return self.poly({t: c for t, c in terms.items() if c})


def span(last: Index) -> Index:
    """Return the number of values of an index that runs from 0 to ``last``."""
    return plus(last, number(1))


def same_or_less(algebra: Algebra, a: Index, b: Index) -> bool:
    """Tell whether ``a <= b`` is proved."""
    return algebra.not_negative(minus(b, a))
