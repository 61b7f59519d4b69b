"""From a matrix expression to the sum of products that is its entry at row i and column j.

Each node has a *template*, a closed polynomial in a row and a column symbol; an entry is the template with index
expressions in their place.  So a shared node is worked out once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import sympy as sp

from symbp.expr import (
    Add, AddAt, ArgmaxMask, AxisNode, Compare, Diag, DiagOf, Einsum, Embed, Eye, Gather, Hadamard, Kron, LogSumExp,
    Map, Mask, MatMul, MaxAxis, Node, Ones, Ref, Reshape, SMul, Scale, Scatter, SizeMember, Slice, Softmax,
    StaticMap, SumOver, Take,
    Transpose, Where, Zero,
)
from symbp.verify.normal_form.algebra import Algebra
from symbp.verify.normal_form.functions import along_axis, applied, comparison, scalar
from symbp.verify.normal_form.indices import ZERO, Index, Symbol, minus, number, of, plus, product
from symbp.verify.normal_form.reduction import SUM_FACTS
from symbp.verify.normal_form.terms import Atom, Poly, Products, Unsupported


@dataclass
class Entries:
    """Entries of matrix expressions in one algebra; variables are opaque."""

    algebra: Algebra
    _templates: dict[Node, tuple[Symbol, Symbol, Poly]] = field(default_factory=dict)

    def entry(self, node: Node, i: Index, j: Index) -> Products:
        """Return the entry of a matrix expression at (i, j), counted from 0."""
        row, col, poly = self.template(node)
        return self.algebra.open(poly, {row: i, col: j})

    def template(self, node: Node) -> tuple[Symbol, Symbol, Poly]:
        """Return (row symbol, column symbol, entry)."""
        found = self._templates.get(node)
        if found is None:
            algebra = self.algebra
            rows, cols = algebra.index(node.rows), algebra.index(node.cols)
            row, col = algebra.fresh(minus(rows, number(1))), algebra.fresh(minus(cols, number(1)))
            one = number(1)
            products = self._of(node, ZERO if rows == one else of(row), ZERO if cols == one else of(col))
            found = self._templates[node] = row, col, algebra.close(products)
        return found

    def last(self, size: sp.Expr) -> Index:
        """Return the last value of an index that runs over a size."""
        return minus(self.algebra.index(size), number(1))

    def running(self, size: sp.Expr) -> tuple[Symbol, Index]:
        """Return a new index that runs over a size, with its last value."""
        last = self.last(size)
        return self.algebra.fresh(last), last

    def column(self, node: Node, *at: Index) -> Poly:
        """Return the closed entry at the given indices."""
        return self.algebra.close(self.entry(node, *at))

    def _of(self, node: Node, i: Index, j: Index) -> Products:
        rule = RULES.get(type(node))
        if rule is None:
            raise Unsupported(f"the operation {node.op}")
        return rule(self, node, i, j)

    # -- variables -----------------------------------------------------------------------------------------
    def ref(self, node: Node, i: Index, j: Index) -> Products:
        """Return the atom of an entry; where sums of entries are known the shape is part of it."""
        assert isinstance(node, Ref)
        algebra = self.algebra
        shape: tuple[Index, ...] = ()
        if has_sums(algebra, node.name):
            shape = algebra.index(node.rows), algebra.index(node.cols)
        return algebra.single(algebra.atom("ref", node.name, (*shape, *map(algebra.index, node.indices), i, j)))

    # -- sums and products -----------------------------------------------------------------------------------
    def matmul(self, node: Node, i: Index, j: Index) -> Products:
        """Return the sum over the inner indices, factor by factor."""
        algebra = self.algebra
        at, bound = i, []
        result = algebra.constant(1)
        for k, factor in enumerate(node.operands):
            if k == len(node.operands) - 1:
                step = self.entry(factor, at, j)
            else:
                symbol, last = self.running(factor.cols)
                bound.append((symbol, last))
                step = self.entry(factor, at, of(symbol))
                at = of(symbol)
            result = algebra.multiply(result, step)
        return algebra.sum(result, bound)

    def smul(self, node: Node, i: Index, j: Index) -> Products:
        """Return the 1 x 1 factor times the entry."""
        s, a = node.operands
        return self.algebra.multiply(self.entry(s, ZERO, ZERO), self.entry(a, i, j))

    def hadamard(self, node: Node, i: Index, j: Index) -> Products:
        """Return the product of the entries."""
        return self.algebra.times(*(self.entry(a, i, j) for a in node.operands))

    def scale(self, node: Node, i: Index, j: Index) -> Products:
        """Return the coefficient times the entry."""
        assert isinstance(node, Scale)
        return self.algebra.multiply(scalar(self.algebra, node.coefficient, {}), self.entry(node.body, i, j))

    def sum_over(self, node: Node, i: Index, j: Index) -> Products:
        """Return the sum over a loop index, counted from 0."""
        assert isinstance(node, SumOver)
        algebra = self.algebra
        lo, hi = map(algebra.index, node.ends)
        last = minus(hi, lo)
        symbol = algebra.fresh(last)
        row, col, poly = self.template(node.operands[0])
        body = algebra.open(poly, {row: i, col: j, algebra.free_index(node.bound): plus(of(symbol), lo)})
        return algebra.sum(body, [(symbol, last)])

    # -- places --------------------------------------------------------------------------------------------
    def diag(self, node: Node, i: Index, j: Index) -> Products:
        """Return the entry of the column on the diagonal."""
        delta = self.algebra.single(self.algebra.delta(minus(i, j)))
        return self.algebra.multiply(delta, self.entry(node.operands[0], i, ZERO))

    def embed(self, node: Node, i: Index, j: Index) -> Products:
        """Return the entry of the block inside it, zero outside."""
        algebra = self.algebra
        (a,) = node.operands
        r0, c0 = (algebra.index(x) for x in node.parameters[:2])
        r, c = minus(i, r0), minus(j, c0)
        guards = [r, minus(self.last(a.rows), r), c, minus(self.last(a.cols), c)]
        inside = [algebra.indicator(g) for g in guards if not algebra.not_negative(g)]
        result = self.entry(a, r, c)
        for atom in inside:
            result = algebra.multiply(result, algebra.single(atom))
        return result

    def sliced(self, node: Node, i: Index, j: Index) -> Products:
        """Return the entry at the shifted place."""
        algebra = self.algebra
        r0, _, c0, _ = (algebra.index(x) for x in node.parameters)
        return self.entry(node.operands[0], plus(i, r0), plus(j, c0))

    def relocated(
        self, sizes: Sequence[sp.Expr], links: Callable[[Sequence[Index]], Sequence[Index]],
        body: Callable[[Sequence[Index]], Products],
    ) -> Products:
        """Return the sum over new indices of ``body``, where every form in ``links`` is 0."""
        algebra = self.algebra
        new = [self.running(s) for s in sizes]
        at = [of(s) for s, _ in new]
        result = body(at)
        for link in links(at):
            result = algebra.multiply(result, algebra.single(algebra.delta(link)))
        return algebra.sum(result, new)

    def reshape(self, node: Node, i: Index, j: Index) -> Products:
        """Return the entry that has the same position when the entries are counted in the stated order."""
        assert isinstance(node, Reshape)
        (a,) = node.operands

        def position(r: Index, c: Index, of_node: Node) -> Index:
            if node.order == "C":
                return plus(product(r, self.algebra.index(of_node.cols)), c)
            return plus(r, product(c, self.algebra.index(of_node.rows)))

        here = position(i, j, node)
        return self.relocated(
            (a.rows, a.cols), lambda at: [minus(here, position(at[0], at[1], a))], lambda at: self.entry(a, *at)
        )

    def kron(self, node: Node, i: Index, j: Index) -> Products:
        """Return A[i1,j1] B[i2,j2] where i = p*i1 + i2 and j = q*j1 + j2."""
        a, b = node.operands
        p, q = self.algebra.index(b.rows), self.algebra.index(b.cols)

        def links(at: Sequence[Index]) -> Sequence[Index]:
            i1, j1, i2, j2 = at
            return minus(i, plus(product(p, i1), i2)), minus(j, plus(product(q, j1), j2))

        def body(at: Sequence[Index]) -> Products:
            i1, j1, i2, j2 = at
            return self.algebra.multiply(self.entry(a, i1, j1), self.entry(b, i2, j2))

        return self.relocated((a.rows, a.cols, b.rows, b.cols), links, body)

    def einsum(self, node: Node, i: Index, j: Index) -> Products:
        """Return the sum over the letters, where those of the result's sides make up i and j."""
        assert isinstance(node, Einsum)
        spec, algebra = node.spec, self.algebra

        def place(side: str, at: Sequence[Index]) -> Index:
            found = ZERO
            for letter in side:
                found = plus(product(found, algebra.index(spec.sizes[letter])), at[letters.index(letter)])
            return found

        def links(at: Sequence[Index]) -> Sequence[Index]:
            return [minus(x, place(side, at)) for x, side in zip((i, j), spec.out, strict=True) if side]

        def body(at: Sequence[Index]) -> Products:
            sides = zip(node.operands, spec.operands, strict=True)
            return algebra.times(*(self.entry(a, place(rows, at), place(cols, at)) for a, (rows, cols) in sides))

        letters = list(spec.sizes)
        return self.relocated(list(spec.sizes.values()), links, body)

    def gather(self, node: Node, i: Index, j: Index) -> Products:
        """Return the entry that the static map names, or the sum of those that it sends here (scatter).

        A map that only puts two digits in another order is worked out.  Any other one is the contraction with a tensor
        of zeros and ones, M[i, j; r, c], of which nothing is known but its map.
        """
        assert isinstance(node, Gather | Scatter)
        (a,), rule = node.operands, node.map
        forward = isinstance(node, Gather)
        order = rule.permutation
        if order is not None and max(map(len, (rule.rows, rule.cols, rule.source_rows, rule.source_cols))) <= 2:
            def links(at: Sequence[Index]) -> Sequence[Index]:
                row, col = self._sides(rule, at, forward)
                return minus(i, row), minus(j, col)

            return self.relocated(rule.sizes, links, lambda at: self.entry(a, *self._sides(rule, at, not forward)))
        if any(not s.is_positive for s in rule.free_symbols) or rule.atoms(SizeMember):
            raise Unsupported("a static map whose sizes depend on an index")
        new = [self.running(s) for s in a.shape]
        r, c = (of(s) for s, _ in new)
        here, there = ((i, j), (r, c)) if forward else ((r, c), (i, j))
        # A map and the one between the transposed matrices are one tensor.
        key, turned = (str(r.args[3:]) for r in (rule, rule.T))
        places = (*here, *there) if key <= turned else (*here[::-1], *there[::-1])
        tensor = self.algebra.single(self.algebra.atom("map", min(key, turned), places))
        return self.algebra.sum(self.algebra.multiply(tensor, self.entry(a, r, c)), new)

    def _sides(self, rule: StaticMap, at: Sequence[Index], result: bool) -> tuple[Index, Index]:
        """Return row and column, of the result or of the source, where the digits of the result are ``at``."""
        index = self.algebra.index

        def number_of(values: Sequence[Index], sizes: Sequence[sp.Expr]) -> Index:
            found = ZERO
            for value, size in zip(values, sizes, strict=True):
                found = plus(product(found, index(size)), value)
            return found

        first = len(rule.rows)
        if result:
            return number_of(at[:first], rule.rows), number_of(at[first:], rule.cols)
        row, col = (
            number_of([at[d.moving[0]] for d in side], [d.size for d in side])
            for side in (rule.source_rows, rule.source_cols)
        )
        return row, col

    def hot(self, ids: Node, position: Index, place: Index, size: sp.Expr) -> Products:
        """Return 1 where the number at a position of an integer input is ``place``, 0 elsewhere: an opaque atom."""
        ref = ids.operands[0] if isinstance(ids, Transpose) else ids
        if not isinstance(ref, Ref):
            raise Unsupported(f"the numbers {ids}")
        index = self.algebra.index
        return self.algebra.single(
            self.algebra.atom("hot", ref.name, (*map(index, ref.indices), position, place, index(size)))
        )

    def taken(self, node: Node, i: Index, j: Index) -> Products:
        """Return ``sum_c A[i,c] [ids[j] = c]``, or that of the rows."""
        assert isinstance(node, Take)
        a, ids = node.operands
        size = a.shape[node.axis]
        symbol, last = self.running(size)
        entry, position = (self.entry(a, i, of(symbol)), j) if node.axis == 1 else (self.entry(a, of(symbol), j), i)
        return self.algebra.sum(
            self.algebra.multiply(entry, self.hot(ids, position, of(symbol), size)), [(symbol, last)]
        )

    def added_at(self, node: Node, i: Index, j: Index) -> Products:
        """Return ``sum_k G[i,k] [ids[k] = j]``, or that of the rows."""
        assert isinstance(node, AddAt)
        g, ids = node.operands
        symbol, last = self.running(g.shape[node.axis])
        entry, place = (self.entry(g, i, of(symbol)), j) if node.axis == 1 else (self.entry(g, of(symbol), j), i)
        hot = self.hot(ids, of(symbol), place, node.shape[node.axis])
        return self.algebra.sum(self.algebra.multiply(entry, hot), [(symbol, last)])

    def mask(self, node: Node, i: Index, j: Index) -> Products:
        """Return the pattern as indicators: a triangle is its strict part and the diagonal, so that they add up."""
        assert isinstance(node, Mask)
        algebra, one = self.algebra, number(1)
        diagonal = algebra.single(algebra.delta(minus(i, j)))
        if node.kind == "diagonal":
            return diagonal
        if node.kind == "off_diagonal":
            return algebra.complement(diagonal)
        above = minus(j, i) if node.kind in ("triu", "strict_triu") else minus(i, j)
        strict = algebra.single(algebra.indicator(minus(above, one)))
        on = {"tril": 1, "triu": 1, "half_lower": Fraction(1, 2), "strict_tril": 0, "strict_triu": 0}.get(node.kind)
        if on is None:
            raise Unsupported(f"the pattern {node.kind}")
        return strict + algebra.scaled(diagonal, on) if on else strict

    # -- non-linear -----------------------------------------------------------------------------------------
    def mapped(self, node: Node, i: Index, j: Index) -> Products:
        """Return the function of the entries."""
        assert isinstance(node, Map)
        return applied(self.algebra, node.function, tuple(self.column(a, i, j) for a in node.operands))

    def compared(self, node: Node, i: Index, j: Index) -> Products:
        """Return the mask of the comparison."""
        assert isinstance(node, Compare)
        a, b = node.operands
        algebra = self.algebra
        difference = algebra.close(self.entry(a, i, j) + algebra.scaled(self.entry(b, i, j), -1))
        return comparison(algebra, difference, node.relation)

    def chosen(self, node: Node, i: Index, j: Index) -> Products:
        """Return ``M*A + (1 - M)*B``, which is the selection for a 0/1 mask."""
        algebra = self.algebra
        m, a, b = node.operands
        other = algebra.complement(self.entry(m, i, j))
        return algebra.multiply(self.entry(m, i, j), self.entry(a, i, j)) + algebra.multiply(other, self.entry(b, i, j))

    def axis(self, node: Node, i: Index, j: Index) -> Products:
        """Return softmax, log-sum-exp, maximum or argmax mask: functions of the entries along the axis."""
        assert isinstance(node, AxisNode)
        algebra = self.algebra
        (a,) = node.operands
        symbol, last = self.running(a.rows if node.axis == 0 else a.cols)
        run = of(symbol)
        argument = self.column(a, run, j) if node.axis == 0 else self.column(a, i, run)
        at = i if node.axis == 0 else j
        if isinstance(node, MaxAxis):
            picked = along_axis(algebra, "argmax", argument, (symbol, last), (run,))
            return algebra.sum(algebra.multiply(picked, algebra.open(argument)), [(symbol, last)])
        head = AXIS_HEADS[type(node)]
        return along_axis(algebra, head, argument, (symbol, last), () if head == "lse" else (at,))


def has_sums(algebra: Algebra, name: str) -> bool:
    """Tell whether sums of a variable's entries are declared, so that its shape is part of the atom."""
    return not algebra.facts.get(name, frozenset()).isdisjoint(SUM_FACTS[0] + SUM_FACTS[1])


def place(algebra: Algebra, atom: Atom) -> tuple[Index, ...]:
    """Return the indices of a variable's entry: the member's, then row and column."""
    return atom.args[2:] if has_sums(algebra, atom.name) else atom.args


AXIS_HEADS: dict[type[Node], str] = {Softmax: "softmax", LogSumExp: "lse", ArgmaxMask: "argmax"}

RULES: dict[type[Node], Callable[[Entries, Node, Index, Index], Products]] = {
    Ref: Entries.ref,
    Ones: lambda self, node, i, j: self.algebra.constant(1),
    Zero: lambda self, node, i, j: [],
    Eye: lambda self, node, i, j: self.algebra.single(self.algebra.delta(minus(i, j))),
    Mask: Entries.mask,
    Add: lambda self, node, i, j: [p for a in node.operands for p in self.entry(a, i, j)],
    Scale: Entries.scale,
    SMul: Entries.smul,
    MatMul: Entries.matmul,
    Hadamard: Entries.hadamard,
    Transpose: lambda self, node, i, j: self.entry(node.operands[0], j, i),
    Diag: Entries.diag,
    DiagOf: lambda self, node, i, j: self.entry(node.operands[0], i, i),
    Slice: Entries.sliced,
    Embed: Entries.embed,
    Reshape: Entries.reshape,
    Kron: Entries.kron,
    Einsum: Entries.einsum,
    Gather: Entries.gather,
    Scatter: Entries.gather,
    Take: Entries.taken,
    AddAt: Entries.added_at,
    SumOver: Entries.sum_over,
    Map: Entries.mapped,
    Compare: Entries.compared,
    Where: Entries.chosen,
    Softmax: Entries.axis,
    LogSumExp: Entries.axis,
    MaxAxis: Entries.axis,
    ArgmaxMask: Entries.axis,
}
"""The entry of each operation."""

