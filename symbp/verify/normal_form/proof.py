"""Proofs that two matrix expressions are equal for all sizes: the answer is "proved" or "unproved", never "wrong"."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import sympy as sp

from symbp.expr import Node, Ref, refs, same_size, shape_text
from symbp.program import Program, Site
from symbp.verify.normal_form.algebra import Algebra
from symbp.verify.normal_form.definitions import (
    Definition, LoopRange, Piece, Unfolding, names_in, replaceable, short, within,
)
from symbp.verify.normal_form.entries import Entries
from symbp.verify.normal_form.indices import (
    ZERO, Index, Symbol, minus, number, of,
)
from symbp.verify.normal_form.settling import settle
from symbp.verify.normal_form.signs import Facts
from symbp.verify.normal_form.text import Speller
from symbp.verify.normal_form.terms import Budget, BudgetExceeded, Poly, Products, Unsupported


@dataclass(frozen=True)
class Proof:
    """The outcome of one proof.

    status:     ``proved`` for all sizes, or ``unproved``: not shown, which does not mean wrong.
    residual:   for ``unproved``: a term that is left of ``before - after``, or what could not be treated.
    conditions: what rewritings assumed (entries that are not zero, arguments of roots that are not negative); the
                equality holds wherever both sides are defined and these hold.
    facts:      the declared facts, and the signs that follow from equations, that rewritings used.
    seconds:    the processor time taken.
    """

    status: Literal["proved", "unproved"]
    residual: str = ""
    conditions: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    seconds: float = 0.0

    def __bool__(self) -> bool:
        """Tell whether the equality is proved."""
        return self.status == "proved"


@dataclass(frozen=True)
class Context:
    """What a proof may use.

    facts:       declared facts by variable name, ``positive`` and ``not_negative`` among them.
    definitions: what names stand for; a relation such as ``s**2 == v + eps`` is given as ``v = s**2 - eps``.
    loops:       ranges of free loop indices, outermost first.
    least:       known lower bounds of sizes.
    budget:      the work allowed.
    """

    facts: Facts
    definitions: Mapping[str, Definition]
    loops: tuple[LoopRange, ...] = ()
    least: Mapping[sp.Expr, int] | None = None
    budget: Budget = field(default_factory=Budget)

    def algebra(self, explicit: bool, seconds: float) -> Algebra:
        """Return an algebra in which the loop indices have their ranges."""
        algebra = Algebra(self.facts, replace(self.budget, seconds=seconds), explicit=explicit)
        least: dict[Symbol, int] = {}
        for size, bound in (self.least or {}).items():
            index = algebra.index(size)
            if len(index) == 1 and len(index[0][0]) == 1:
                least[index[0][0][0]] = bound
        algebra.least = least
        for symbol, lo, hi in self.loops:
            algebra.ranges[algebra.free_index(symbol)] = (algebra.index(lo), algebra.index(hi))
        return algebra


def prove(
    before: Node, after: Node, *, facts: Facts | None = None,
    definitions: Mapping[Ref, Node] | None = None, loops: Sequence[LoopRange] = (),
    least: Mapping[sp.Expr, int] | None = None, budget: Budget | None = None,
) -> Proof:
    """Try to prove that two matrix expressions are equal, entry by entry, for all sizes.

    Arguments
    ---------
    before, after: expressions of one shape.
    facts:         declared facts by variable name (``columns_sum_to_one``, ``symmetric``, ...).
    definitions:   what variables stand for; the definition of a member (``A[t]``) holds for every index.
    loops:         (index, first, last) of loop indices that occur free.
    least:         lower bounds of sizes; a size that is missing is at least 1.
    budget:        the work allowed.

    Reference: the index normal form, design 2.5 and 6.
    """
    pieces = {r.name: Definition((Piece(r, v),)) for r, v in (definitions or {}).items()}
    context = Context(facts or {}, pieces, tuple(loops), least, budget or Budget())
    return prove_in(context, before, after)


def prove_in(context: Context, before: Node, after: Node) -> Proof:
    """Try to prove that two matrix expressions are equal in a context."""
    if not (same_size(before.rows, after.rows) and same_size(before.cols, after.cols)):
        return Proof("unproved", f"shapes differ: {shape_text(before.shape)} and {shape_text(after.shape)}")

    def difference(entries: Entries, i: Index, j: Index) -> Products:
        return entries.entry(before, i, j) + entries.algebra.scaled(entries.entry(after, i, j), -1)

    return prove_zero(context, difference, before.shape)


def prove_zero(
    context: Context, difference: Callable[[Entries, Index, Index], Products], shape: tuple[sp.Expr, sp.Expr]
) -> Proof:
    """Try to prove that an entry (i, j) vanishes for all sizes.

    Tried in turn: names as they are; messages and the names of mere products replaced by what they stand for; names
    replaced that stand for others in the difference; all names replaced.  Then the same with softmax, log-sum-exp and
    tanh written in exponentials.
    """
    start = time.thread_time()
    residuals: list[tuple[int, str]] = []
    problem = ""
    for explicit in (False, True):
        left = context.budget.seconds - (time.thread_time() - start)
        algebra = context.algebra(explicit, max(left, 0.0))
        entries = Entries(algebra)
        sizes = [algebra.index(s) for s in shape]
        symbols = [algebra.fresh(minus(s, number(1))) for s in sizes]
        speller = Speller(algebra, dict(zip(symbols, "ij", strict=True)))
        try:
            i, j = (ZERO if size == number(1) else of(symbol) for symbol, size in zip(symbols, sizes, strict=True))
            opaque = algebra.close(difference(entries, i, j))
            known = context.definitions
            levels = frozenset[str](), short(known), within(known, names_in(opaque)), replaceable(known)
            for names in dict.fromkeys(levels):
                chosen = {n: d for n, d in known.items() if n in names}
                rest = settle(algebra, Unfolding(entries, chosen).closed(opaque) if chosen else opaque)
                if not rest.terms:
                    return Proof("proved", "", speller.conditions(), speller.facts(), time.thread_time() - start)
                if not explicit:
                    residuals.append((len(rest.terms), _first_terms(speller, rest)))
            if not algebra.has_transcendental:
                break
        except (BudgetExceeded, Unsupported) as reason:
            problem = problem or str(reason)
        except RecursionError:
            problem = problem or "the expression is nested too deeply"
    # The level at which most terms cancel names the difference best.
    residual = min(residuals, key=lambda pair: pair[0])[1] if residuals else problem
    return Proof("unproved", residual, seconds=time.thread_time() - start)


def _first_terms(speller: Speller, rest: Poly, count: int = 2) -> str:
    """Return the shortest terms of what is left."""
    ranked = sorted(rest.terms.items(), key=lambda item: (len(item[0].factors), item[0].key))[:count]
    text = speller.poly(speller.algebra.poly(dict(ranked)))
    return text + (" + ..." if len(rest.terms) > count else "")


# ---------------------------------------------------------------------------------------------------------
# In a program


def facts_of(program: Program) -> Facts:
    """Return the declared facts by variable name."""
    return {v.name: v.facts for v in program.variables.values() if v.facts}


def definitions_of(program: Program) -> dict[str, Definition]:
    """Return the equations of a program by the variable that they define.

    A piece of a family that reads the family, such as the state that a chunk of steps takes over from the chunk before,
    runs in a circle and is left out where other pieces do not.
    """
    found: dict[str, list[Piece]] = {}
    for site in program.sites:
        loops = tuple((loop.index, loop.lo, loop.hi) for loop in site.loops)
        found.setdefault(site.target.name, []).append(Piece(site.target, site.equation.value, loops))
    definitions: dict[str, Definition] = {}
    for name, pieces in found.items():
        outside = program.variables[name].zero_outside
        straight = [p for p in pieces if name not in {r.name for r in refs(p.value)}]
        definitions[name] = Definition(tuple(pieces if outside or not straight else straight), outside)
    return definitions


def context_of(
    program: Program, site: Site | None = None, budget: Budget | None = None, facts: Facts | None = None
) -> Context:
    """Return what a proof about a statement of a program may use; ``facts`` in place of those that are declared."""
    loops = tuple((loop.index, loop.lo, loop.hi) for loop in site.loops) if site is not None else ()
    known = facts_of(program) if facts is None else facts
    return Context(known, definitions_of(program), loops, dict(program.assumptions), budget or Budget())


def prove_statement(
    program: Program, target: Ref, before: Node, after: Node, budget: Budget | None = None
) -> Proof:
    """Try to prove that two right sides of an equation of a program are equal, its variables being what they are."""
    site = next((s for s in program.sites if s.target == target), None)
    context = context_of(program, site, budget)
    others = {n: d for n, d in context.definitions.items() if n != target.name}
    return prove_in(replace(context, definitions=others), before, after)
