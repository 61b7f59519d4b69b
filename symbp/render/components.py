"""Equations in components, for those who think in sums: ``W1bar[i,j] = sum_s Z1bar[i,s] X[j,s]``.

An entry of a matrix expression is an expression of numbers in the same language: entries are 1 x 1 members with one
more index for each side, counted from 1, and sums run over letters.  So every printer prints components as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import sympy as sp

from symbp.derivation import Derivation, Range, Result
from symbp.expr import (
    Add, AddAt, ArgmaxMask, Compare, Diag, DiagOf, Einsum, Embed, Eye, Function, Gather, Hadamard, Kron, LogSumExp, Map,
    Mask, MatMul, MaxAxis, Node, Ones, Ref, Reshape, Scale, Scatter, SizeMember, Slice, SMul, Softmax, SumOver, Take,
    Transpose, Where, Zero, add, had, index, is_one, refs, same_size, scaled, walk,
)
from symbp.program import Equation, Loop, Program, Statement, Var, fresh_name, loops

LETTERS = "ijklpqruvwabcdeghxyz"
SAMPLE = "s"
"""Letters of entries, but for those that are in use for something else; samples have a letter of their own."""

ONE, NOTHING = Ones(1, 1), Zero(1, 1)


@dataclass(frozen=True)
class Letter:
    """An index of entries with the size that it counts; a side of size 1 is counted by no letter, but by 1."""

    symbol: sp.Expr
    size: sp.Expr

    @property
    def range(self) -> Range:
        """The values of the letter."""
        return Range(self.symbol, sp.S.One, self.size)


@dataclass
class Components:
    """Turns equations of one program into components.

    taken:   names that are no letters: sizes, variables, loop indices.
    samples: the size that counts samples.
    parts:   operations without a form in sums (a maximum, a window), each with the name that it is given.
    """

    taken: set[str]
    samples: sp.Expr | None = None
    parts: dict[Node, Ref] = field(default_factory=dict)
    _new: list[Node] = field(default_factory=list)

    def equation(self, target: Ref, value: Node) -> tuple[Ref, Node, tuple[Letter, ...], list[tuple[Ref, Node]]]:
        """Return the entry of an equation: its two sides, its letters, and the parts that got a name just now.

        An equation that is nothing but an operation without a form in sums stays as it is.
        """
        self._new = []
        if not in_sums(value):
            return target, value, (), []
        row = self.letter(target.rows, frozenset())
        col = self.letter(target.cols, frozenset({row.symbol}))
        scope = frozenset({row.symbol, col.symbol})
        left = entry(target, row.symbol, col.symbol)
        right = self.of(value, row.symbol, col.symbol, scope)
        letters = tuple(x for x in (row, col) if not is_one(x.size))
        return left, right, letters, [(self.parts[node], node) for node in self._new]

    def letter(self, size: sp.Expr, scope: frozenset[sp.Expr]) -> Letter:
        """Return a letter for a size that is not in use; 1 for a side of size 1."""
        if is_one(size):
            return Letter(sp.S.One, size)
        used = self.taken | {str(s) for s in scope}
        wanted = [SAMPLE] if self.samples is not None and same_size(size, self.samples) else []
        free = next((x for x in [*wanted, *LETTERS] if x not in used), None)
        return Letter(index(free or fresh_name("i_2", used)), size)

    def summed(
        self, sizes: Sequence[sp.Expr], scope: frozenset[sp.Expr],
        body: Callable[[list[sp.Expr], frozenset[sp.Expr]], Node],
    ) -> Node:
        """Return the sum of a body over letters for some sizes; over a letter that it does not read a multiple."""
        letters: list[Letter] = []
        for size in sizes:
            letters.append(self.letter(size, scope))
            scope |= {letters[-1].symbol}
        result = body([x.symbol for x in letters], scope)
        for x in reversed(letters):
            if is_one(x.size):
                continue
            if x.symbol in result.free_symbols:
                result = SumOver(result, x.symbol, sp.S.One, x.size)
            else:
                result = scaled(x.size, result)
        return result

    def of(self, node: Node, i: sp.Expr, j: sp.Expr, scope: frozenset[sp.Expr]) -> Node:
        """Return the entry of an expression at row i and column j."""
        rule = FORMS[type(node)]
        return rule(self, node, i, j, scope) if rule is not None and in_sums(node) else self.part(node, i, j)

    def part(self, node: Node, i: sp.Expr, j: sp.Expr) -> Node:
        """Return the entry of an operation that gets a name of its own."""
        if node not in self.parts:
            name = fresh_name("K", self.taken)
            self.taken.add(name)
            inner = {s for s in node.free_symbols if isinstance(s, sp.Symbol) and not s.is_positive}
            self.parts[node] = Ref(name, node.rows, node.cols, *sorted(inner, key=str))
            self._new.append(node)
        return entry(self.parts[node], i, j)

    # -- sums and products ------------------------------------------------------------------------------------
    def matmul(self, node: MatMul, i: sp.Expr, j: sp.Expr, scope: frozenset[sp.Expr]) -> Node:
        """Return the sum over the inner sides; a diagonal factor has the same index on both of its sides."""
        factors = node.operands
        # Sides that an index is shared by: a diagonal factor joins the sides around it.
        joined = [0]
        for factor in factors:
            joined.append(joined[-1] if isinstance(factor, Diag | Eye) else len(joined))
        first, last = joined[0], joined[-1]
        inner = [k for k in dict.fromkeys(joined) if k not in (first, last)]

        def body(symbols: list[sp.Expr], inside: frozenset[sp.Expr]) -> Node:
            at = {**dict(zip(inner, symbols, strict=True)), last: j, first: i}
            found = []
            for k, factor in enumerate(factors):
                left, right = at[joined[k]], at[joined[k + 1]]
                if isinstance(factor, Diag):
                    found.append(self.of(factor.operands[0], left, sp.S.One, inside))
                elif not isinstance(factor, Eye):
                    found.append(self.of(factor, left, right, inside))
            return product([equal(i, j), *found] if first == last else found)

        return self.summed([factors[joined.index(k) - 1].cols for k in inner], scope, body)

    def einsum(self, node: Einsum, i: sp.Expr, j: sp.Expr, scope: frozenset[sp.Expr]) -> Node:
        """Return the sum over the letters that the result does not have."""
        spec = node.spec
        at: dict[str, sp.Expr] = {side: place for side, place in zip(spec.out, (i, j), strict=True) if side}

        def place(side: str, where: dict[str, sp.Expr]) -> sp.Expr:
            found: sp.Expr = sp.S.Zero
            for letter in side:
                found = found * spec.sizes[letter] + where[letter] - 1
            return sp.expand(found + 1)

        summed = [x for x in spec.sizes if x not in at]

        def body(symbols: list[sp.Expr], inside: frozenset[sp.Expr]) -> Node:
            where = {**at, **dict(zip(summed, symbols, strict=True))}
            sides = zip(node.operands, spec.operands, strict=True)
            return product([self.of(a, place(r, where), place(c, where), inside) for a, (r, c) in sides])

        return self.summed([spec.sizes[x] for x in summed], scope, body)

    def sum_over(self, node: SumOver, i: sp.Expr, j: sp.Expr, scope: frozenset[sp.Expr]) -> Node:
        """Return the sum of the entries over a loop index."""
        return SumOver(self.of(node.operands[0], i, j, scope | {node.bound}), node.bound, *node.ends)

    # -- places -----------------------------------------------------------------------------------------------
    def embed(self, node: Embed, i: sp.Expr, j: sp.Expr, scope: frozenset[sp.Expr]) -> Node:
        """Return the entry of the block inside it, zero outside."""
        (a,), (r0, c0, rows, cols) = node.operands, node.parameters
        guards: list[Node] = []
        for at, first, count, whole in ((i, r0, a.rows, rows), (j, c0, a.cols, cols)):
            if not same_size(first, sp.S.Zero):
                guards.append(relation(at, ">", first))
            if not same_size(first + count, whole):
                guards.append(relation(at, "<=", sp.expand(first + count)))
        inside = self.of(a, sp.expand(i - r0), sp.expand(j - c0), scope)
        return Where(product(guards), inside, NOTHING) if guards else inside

    def taken_from(self, node: Take, i: sp.Expr, j: sp.Expr, scope: frozenset[sp.Expr]) -> Node:
        """Return ``sum_c A[i,c] [ids[j] = c - 1]``, or that of the rows."""
        a, ids = node.operands

        def body(symbols: list[sp.Expr], inside: frozenset[sp.Expr]) -> Node:
            (c,) = symbols
            value = self.of(a, i, c, inside) if node.axis == 1 else self.of(a, c, j, inside)
            number = self.of(ids, sp.S.One, j, inside) if node.axis == 1 else self.of(ids, i, sp.S.One, inside)
            return product([Compare(number, scaled(c - 1, ONE), "=="), value])

        return self.summed([a.shape[node.axis]], scope, body)

    def added_at(self, node: AddAt, i: sp.Expr, j: sp.Expr, scope: frozenset[sp.Expr]) -> Node:
        """Return ``sum_k G[i,k] [ids[k] = j - 1]``, or that of the rows."""
        g, ids = node.operands

        def body(symbols: list[sp.Expr], inside: frozenset[sp.Expr]) -> Node:
            (k,) = symbols
            if node.axis == 1:
                number, value, place = self.of(ids, sp.S.One, k, inside), self.of(g, i, k, inside), j
            else:
                number, value, place = self.of(ids, k, sp.S.One, inside), self.of(g, k, j, inside), i
            return product([Compare(number, scaled(place - 1, ONE), "=="), value])

        return self.summed([g.shape[node.axis]], scope, body)

    # -- along an axis ------------------------------------------------------------------------------------------
    def shares(self, node: Softmax | LogSumExp, i: sp.Expr, j: sp.Expr, scope: frozenset[sp.Expr]) -> Node:
        """Return ``exp(a[i,j]) / sum_k exp(a[k,j])``, or the logarithm of the sum."""
        (a,) = node.operands

        def body(symbols: list[sp.Expr], inside: frozenset[sp.Expr]) -> Node:
            (k,) = symbols
            return Map(self.of(a, k, j, inside) if node.axis == 0 else self.of(a, i, k, inside), Function("exp"))

        below = self.summed([a.shape[node.axis]], scope, body)
        if isinstance(node, LogSumExp):
            return Map(below, Function("log"))
        return had(Map(self.of(a, i, j, scope), Function("exp")), Map(below, Function("recip")))


def in_sums(node: Node) -> bool:
    """Tell whether an operation has a form in sums; a contraction has none where several letters make up a side."""
    if isinstance(node, Einsum):
        return all(len(side) <= 1 for side in node.spec.out)
    return FORMS[type(node)] is not None


def entry(ref: Ref, i: sp.Expr, j: sp.Expr) -> Ref:
    """Return an entry of a variable; sides of size 1 are not counted."""
    places = [at for at, size in ((i, ref.rows), (j, ref.cols)) if not is_one(size)]
    return Ref(ref.name, 1, 1, *ref.indices, *places)


def product(factors: Iterable[Node]) -> Node:
    """Return the product of numbers; a one is left out, a coefficient stands in front."""
    coefficient: sp.Expr = sp.S.One
    kept: list[Node] = []
    for f in factors:
        while isinstance(f, Scale):
            coefficient, f = coefficient * f.coefficient, f.body
        if isinstance(f, Zero):
            return NOTHING
        if not isinstance(f, Ones):
            kept.append(f)
    return scaled(coefficient, had(*kept) if kept else ONE)


def relation(a: sp.Expr, sign: str, b: sp.Expr) -> Node:
    """Return 1 where two index expressions are in a relation, 0 elsewhere."""
    return Compare(scaled(a, ONE), scaled(b, ONE), sign)


def equal(i: sp.Expr, j: sp.Expr) -> Node:
    """Return the Kronecker delta."""
    return ONE if i == j else relation(i, "==", j)


PATTERNS: dict[str, Callable[[sp.Expr, sp.Expr], Node]] = {
    "tril": lambda i, j: relation(i, ">=", j), "triu": lambda i, j: relation(i, "<=", j),
    "strict_tril": lambda i, j: relation(i, ">", j), "strict_triu": lambda i, j: relation(i, "<", j),
    "diagonal": equal, "off_diagonal": lambda i, j: relation(i, "!=", j),
    "half_lower": lambda i, j: add(relation(i, ">", j), scaled(sp.Rational(1, 2), equal(i, j))),
}

Form = Callable[..., Node]

FORMS: dict[type[Node], Form | None] = {
    Ref: lambda c, n, i, j, s: entry(n, i, j),
    Ones: lambda c, n, i, j, s: ONE,
    Zero: lambda c, n, i, j, s: NOTHING,
    Eye: lambda c, n, i, j, s: equal(i, j),
    Mask: lambda c, n, i, j, s: PATTERNS[n.kind](i, j),
    Add: lambda c, n, i, j, s: add(*(c.of(a, i, j, s) for a in n.operands)),
    Scale: lambda c, n, i, j, s: scaled(n.coefficient, c.of(n.body, i, j, s)),
    SMul: lambda c, n, i, j, s: product([c.of(n.operands[0], sp.S.One, sp.S.One, s), c.of(n.operands[1], i, j, s)]),
    MatMul: Components.matmul,
    Hadamard: lambda c, n, i, j, s: product(c.of(a, i, j, s) for a in n.operands),
    Transpose: lambda c, n, i, j, s: c.of(n.operands[0], j, i, s),
    Diag: lambda c, n, i, j, s: product([equal(i, j), c.of(n.operands[0], i, sp.S.One, s)]),
    DiagOf: lambda c, n, i, j, s: c.of(n.operands[0], i, i, s),
    Slice: lambda c, n, i, j, s: c.of(
        n.operands[0], sp.expand(i + n.parameters[0]), sp.expand(j + n.parameters[2]), s
    ),
    Embed: Components.embed,
    Einsum: Components.einsum,
    SumOver: Components.sum_over,
    Take: Components.taken_from,
    AddAt: Components.added_at,
    Map: lambda c, n, i, j, s: Map(*(c.of(a, i, j, s) for a in n.operands), n.function),
    Compare: lambda c, n, i, j, s: Compare(c.of(n.operands[0], i, j, s), c.of(n.operands[1], i, j, s), n.relation),
    Where: lambda c, n, i, j, s: Where(*(c.of(a, i, j, s) for a in n.operands)),
    Softmax: Components.shares,
    LogSumExp: Components.shares,
    MaxAxis: None,
    ArgmaxMask: None,
    Reshape: None,
    Kron: None,
    Gather: None,
    Scatter: None,
}
"""The entry of each operation; None: it gets a name, and stays what it is."""


# ---------------------------------------------------------------------------------------------------------
# Programs and derivations


def in_components(derivation: Derivation) -> Derivation:
    """Return a derivation whose forward pass and results are written in components; its steps stay in matrix form."""
    components = Components(names_of(derivation.program), derivation.source.samples)
    results: list[Result] = []
    for r in derivation.results:
        left, right, letters, parts = components.equation(r.target, r.value)
        for name, value in parts:
            results.append(replace(r, target=name, value=value, reason="has no form in sums", notes=()))
        results.append(replace(r, target=left, value=right, entries=tuple(x.range for x in letters)))
    forward = program_in_components(derivation.forward, components)
    program = derivation.program.replace(variables={**derivation.program.variables, **forward.variables})
    return replace(derivation, forward=forward, program=program, results=tuple(results), readings=())


def program_in_components(program: Program, components: Components | None = None) -> Program:
    """Return a program whose equations are about entries, each in loops over its letters."""
    c = components or Components(names_of(program), program.samples)

    def block(body: Sequence[Statement]) -> tuple[Statement, ...]:
        found: list[Statement] = []
        for statement in body:
            if isinstance(statement, Loop):
                found.append(statement.with_body(block(statement.body)))
                continue
            left, right, letters, parts = c.equation(statement.target, statement.value)
            found += [Equation(name, value, statement.line, statement.note) for name, value in parts]
            inner: Statement = replace(statement, target=left, value=right)
            for x in reversed(letters):
                inner = Loop(x.symbol, sp.S.One, x.size, (inner,))
            found.append(inner)
        return tuple(found)

    body = block(program.body)
    parts = {r.name: Var(r.name, r.rows, r.cols, r.indices) for r in c.parts.values()}
    return program.replace(body=body, variables={**program.variables, **parts})


def names_of(program: Program) -> set[str]:
    """Return what letters must not be called: variables, sizes, loop indices, the indices of sums."""
    found = {*program.variables, *program.functions}
    for s in program.sizes:
        found.add(s.name if isinstance(s, SizeMember) else str(s))
    found |= {loop.index.name for loop in loops(program.body)}
    found |= {i.name for v in program.variables.values() for i in v.indices}
    for site in program.sites:
        found |= {n.bound.name for n in walk(site.equation.value) if isinstance(n, SumOver)}
        found |= {str(s) for r in refs(site.equation.value) for s in r.free_symbols}
    return found
