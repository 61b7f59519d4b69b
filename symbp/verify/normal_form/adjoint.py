"""The backward pass against an independent derivation, statement by statement, for all sizes.

For each variable v the adjoint is by definition

    v_bar[s; k,l] = sum over equations w[t] = e that read v, over t and i, j:  w_bar[t; i,j] * d e[i,j] / d v[s; k,l]

The derivative is taken in index form (``differentials``); a read of another member ``v[t-1]`` is a delta between
``t-1`` and ``s``, whose contraction gives the shifted index and its range.  The right side of the program's equation
for ``v_bar``, with messages replaced by what they stand for, must have the same normal form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from symbp.expr import Node, Ref, refs, uncovered
from symbp.program import Program, Site, box_text
from symbp.verify.normal_form.algebra import Algebra
from symbp.verify.normal_form.differentials import MARK, Differential
from symbp.verify.normal_form.entries import Entries
from symbp.verify.normal_form.indices import Index, Symbol, minus, number, of, plus, substitute
from symbp.verify.normal_form.proof import Context, Proof, context_of, facts_of, prove_zero
from symbp.verify.normal_form.signs import Facts, with_signs
from symbp.verify.normal_form.terms import Budget, Poly, Product, Products, Unsupported


@dataclass(frozen=True)
class AdjointProof:
    """The proof of one equation of the backward pass."""

    target: Ref
    proof: Proof


def prove_adjoint(
    forward: Program, program: Program, output: str = "loss", budget: Budget | None = None, only: str | None = None
) -> tuple[AdjointProof, ...]:
    """Try to prove each adjoint equation of a program from the definition of the adjoint.

    Arguments
    ---------
    forward: the equations that are differentiated.
    program: the same equations followed by the backward pass; the adjoint of ``v`` is the variable whose origin is
             ``("adjoint", "v")``, messages are variables of kind ``message``.
    output:  the name whose adjoint is one.
    only:    the name of one adjoint, when the others are not wanted.

    Returns one entry per adjoint equation, and one for each adjoint that lacks an equation for some members.
    An adjoint without any equation is taken to have been put in place: its formula is used where it is needed.
    """
    names = {
        v.origin.of: v.name for v in program.variables.values()
        if v.origin is not None and v.origin.role == "adjoint" and v.origin.of in forward.variables
        and program.pieces.get(v.name)
    }
    derivation = Derived(forward, names, output)
    facts = with_signs(facts_of(program), forward, budget)
    found: list[AdjointProof] = []
    adjoints = {bar: of_name for of_name, bar in names.items()}
    for site in program.sites:
        name = adjoints.get(site.target.name)
        if name is not None and only in (None, site.target.name):
            found.append(AdjointProof(site.target, _prove_equation(derivation, program, site, name, facts, budget)))
    for name, bar in names.items():
        missing = _missing(forward, program, name, bar)
        if missing:
            variable = program.variables[bar]
            found.append(AdjointProof(variable(*variable.indices), Proof("unproved", missing)))
    return tuple(found)


def _prove_equation(
    derivation: Derived, program: Program, site: Site, name: str, facts: Facts, budget: Budget | None
) -> Proof:
    context = context_of(program, site, budget, facts)
    bars = set(derivation.adjoints.values())
    context = replace(context, definitions={n: d for n, d in context.definitions.items() if n not in bars})
    return _prove(derivation, context, site.target, site.equation.value, name)


def _prove(derivation: Derived, context: Context, target: Ref, value: Node, name: str) -> Proof:
    symmetric = "symmetric" in context.facts.get(name, frozenset())

    def difference(entries: Entries, i: Index, j: Index) -> Products:
        at = [entries.algebra.index(x) for x in target.indices]
        work = Contraction(derivation, entries)
        expected = work.adjoint(name, at, i, j)
        if symmetric:
            # The entries of a symmetric variable are tied: the adjoint is projected on the symmetric matrices.
            expected = entries.algebra.scaled(expected + work.adjoint(name, at, j, i), Fraction(1, 2))
        return entries.entry(value, i, j) + entries.algebra.scaled(expected, -1)

    return prove_zero(context, difference, target.shape)


def _missing(forward: Program, program: Program, name: str, bar: str) -> str:
    """Say which members of an adjoint have no equation; nothing if all have one."""
    if not forward.variables[name].indices:
        return ""
    pieces = [p.box for p in program.pieces[bar]]
    wanted = [p for p in forward.pieces[name] if p.site is not None or forward.variables[name].kind == "param"]
    for piece in wanted:
        left = uncovered(piece.box, pieces, program.bounds)
        if left:
            return f"no equation for {bar}[{box_text(left[0])}]"
    return ""


@dataclass
class Derived:
    """What the definition of the adjoint needs to know of a program.

    adjoints: name of the adjoint variable by variable name, for those that have equations.
    """

    forward: Program
    adjoints: Mapping[str, str]
    output: str
    readers: dict[str, list[Site]] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        reads: dict[str, set[str]] = {}
        for site in self.forward.sites:
            names = {r.name for r in refs(site.equation.value)}
            reads.setdefault(site.target.name, set()).update(names)
            for name in names:
                self.readers.setdefault(name, []).append(site)
        waiting = [self.output]
        while waiting:
            name = waiting.pop()
            if name not in self.active:
                self.active.add(name)
                waiting += reads.get(name, ())


@dataclass
class Contraction:
    """The definition of the adjoint, worked out in one algebra."""

    derivation: Derived
    entries: Entries
    _differentials: dict[tuple[int, str], tuple[Symbol, Symbol, Poly]] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    @property
    def algebra(self) -> Algebra:
        """The algebra."""
        return self.entries.algebra

    def adjoint(self, name: str, at: Sequence[Index], row: Index, col: Index) -> Products:
        """Return the adjoint of an entry by its definition.

        Raises ``Unsupported`` where an adjoint without an equation would need itself.
        """
        if name in self._open:
            raise Unsupported(f"the adjoint of {name} has no equation")
        self._open.append(name)
        result = self.algebra.constant(1 if name == self.derivation.output else 0)
        for site in self.derivation.readers.get(name, ()):
            if site.target.name in self.derivation.active:
                result += self._message(site, name, [*at, row, col])
        self._open.pop()
        return result

    def _message(self, site: Site, name: str, wanted: Sequence[Index]) -> Products:
        """Return what one equation contributes."""
        algebra = self.algebra
        mapping: dict[Symbol, Index] = {}
        bound = []
        for loop in site.loops:
            first = substitute(algebra.index(loop.lo), mapping)
            last = minus(substitute(algebra.index(loop.hi), mapping), first)
            symbol = algebra.fresh(last)
            mapping[algebra.free_index(loop.index)] = plus(of(symbol), first)
            bound.append((symbol, last))
        places: list[Index] = []
        for size in site.target.shape:
            last = minus(substitute(algebra.index(size), mapping), number(1))
            symbol = algebra.fresh(last)
            places.append(of(symbol))
            bound.append((symbol, last))
        i, j = places
        member = [substitute(algebra.index(x), mapping) for x in site.target.indices]
        row, col, poly = self._differential(site, name)
        slope = algebra.open(poly, {**mapping, row: i, col: j})
        slope = [self._read_off(p, wanted) for p in slope]
        if not slope:
            return []  # nothing is moved, whatever the cotangent is: it may have no equation
        return algebra.sum(algebra.multiply(self._cotangent(site.target.name, member, i, j), slope), bound)

    def _cotangent(self, name: str, member: Sequence[Index], i: Index, j: Index) -> Products:
        bar = self.derivation.adjoints.get(name)
        if bar is not None:
            return self.algebra.single(self.algebra.atom("ref", bar, (*member, i, j)))
        return self.algebra.freshened(self.adjoint(name, member, i, j))

    def _read_off(self, p: Product, wanted: Sequence[Index]) -> Product:
        """Replace the differential of an entry by deltas: it is the wanted entry."""
        factors = {}
        for atom, e in p.factors.items():
            if atom.head != MARK:
                factors[atom] = e
                continue
            for mine, there in zip(atom.args, wanted, strict=True):
                if mine != there:
                    factors[self.algebra.delta(minus(mine, there))] = 1
        return Product(p.coefficient, p.bound, factors)

    def _differential(self, site: Site, name: str) -> tuple[Symbol, Symbol, Poly]:
        key = id(site), name
        found = self._differentials.get(key)
        if found is None:
            found = self._differentials[key] = Differential(self.entries, name).template(site.equation.value)
        return found
