"""Differentials in index form: the product rule on terms, the scalar law of each non-linear function.

Functions and selections are differentiated as they are written, before anything is reduced: ``|x|`` and
``x (2 [x > 0] - 1)`` have the same entries, but the slope at 0 is stated by the law of ``|x|``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import sympy as sp

from symbp.expr import Map, Node, Ref, Where, refs
from symbp.verify.normal_form.algebra import Algebra
from symbp.verify.normal_form.definitions import Definition, Piece, Unfolding
from symbp.verify.normal_form.entries import Entries, place
from symbp.verify.normal_form.functions import NAMES, applied, free, power, scalar
from symbp.verify.normal_form.indices import Index, Symbol, of
from symbp.verify.normal_form.terms import Atom, Poly, Product, Products, Unsupported, whole

MARK = "d"
"""The head of the atom that stands for the differential of an entry; each differentiated product has exactly one."""

_X = sp.Symbol("x", real=True)
SLOPES: dict[str, sp.Expr] = {name: sp.diff(f(_X), _X) for f, name in NAMES.items()}
"""The slopes of the functions that stay opaque, by SymPy's scalar calculus."""
FLAT = frozenset({"delta", "ge", "gt", "eq", "argmax", "hot", "size", "ix", "prime", "const", "map"})
"""Heads of atoms whose differential is zero."""


def differential(algebra: Algebra, products: Products, name: str) -> Products:
    """Return the differential of open products when the entries of one variable move, all others fixed.

    Raises ``Unsupported`` for a function without a scalar law.
    """
    found: Products = []
    for p in products:
        for atom, e in p.factors.items():
            inner = _of_atom(algebra, atom, name)
            if not inner:
                continue
            factors = {a: x for a, x in p.factors.items() if a is not atom}
            left = whole(e - 1)
            if left:
                factors[atom] = left
            found += algebra.multiply([Product(p.coefficient * e, p.bound, factors)], inner)
    return found


def _of_atom(algebra: Algebra, atom: Atom, name: str) -> Products:
    if atom.head == "ref":
        return algebra.single(algebra.atom(MARK, name, place(algebra, atom))) if atom.name == name else []
    if atom.head in FLAT or not any(reads(p, name) for p in atom.inner):
        return []
    if atom.head in ("softmax", "lse"):
        return _along_axis(algebra, atom, name)
    if atom.head == "free":
        function, _, text = atom.name.partition(":")
        orders = [int(k) for k in text.split(",")]
        result: Products = []
        for slot, argument in enumerate(atom.inner):
            raised = tuple(k + (n == slot) for n, k in enumerate(orders))
            moved = differential(algebra, algebra.open(argument), name)
            result += algebra.multiply(free(algebra, function, raised, atom.inner), moved)
        return result
    (argument,) = atom.inner
    moved = differential(algebra, algebra.open(argument), name)
    if atom.head == "pow":
        return moved
    if atom.head == "exp":
        return algebra.multiply(algebra.single(atom), moved)
    if atom.head == "log":
        return algebra.multiply(power(algebra, argument, -1), moved)
    if atom.name not in SLOPES:
        raise Unsupported(f"the slope of {atom.name}")
    return algebra.multiply(scalar(algebra, SLOPES[atom.name], {_X: argument}), moved)


def _along_axis(algebra: Algebra, atom: Atom, name: str) -> Products:
    """Return ``P_i (du_i - sum_k P_k du_k)`` for softmax, ``sum_k P_k du_k`` for log-sum-exp."""
    assert atom.binder is not None
    symbol, last = atom.binder

    def share(at: Index) -> Products:
        return algebra.single(algebra.atom("softmax", "", (at,), atom.inner, atom.binder))

    run = algebra.fresh(last)
    moved = differential(algebra, algebra.open(atom.inner[0], {symbol: of(run)}), name)
    mean = algebra.sum(algebra.multiply(share(of(run)), moved), [(run, last)])
    if atom.head == "lse":
        return mean
    (at,) = atom.args
    here = differential(algebra, algebra.open(atom.inner[0], {symbol: at}), name)
    return algebra.multiply(share(at), here + algebra.scaled(mean, -1))


@dataclass
class Differential:
    """The differential of expressions when one variable moves; functions and selections get a name of their own."""

    entries: Entries
    name: str
    _named: dict[Node, Ref] = field(default_factory=dict)
    _parts: dict[str, Node] = field(default_factory=dict)

    def template(self, node: Node) -> tuple[Symbol, Symbol, Poly]:
        """Return (row symbol, column symbol, differential of the entry)."""
        algebra = self.entries.algebra
        row, col, poly = self.entries.template(self._outside(node))
        moved = [q for p in self._moved(poly) for q in self._chained(p)]
        pieces = {n: Definition((Piece(self._named[part], part),)) for n, part in self._parts.items()}
        return row, col, algebra.close(Unfolding(self.entries, pieces).applied(moved) if pieces else moved)

    def _outside(self, node: Node) -> Node:
        """Return the expression with the outermost functions and selections that read the variable named."""
        if isinstance(node, Map | Where) and any(r.name == self.name for r in refs(node)):
            return self._part(node)
        if not node.operands:
            return node
        return node.rebuild(*map(self._outside, node.operands))

    def _part(self, node: Node) -> Ref:
        found = self._named.get(node)
        if found is None:
            free_indices = sorted((s for s in node.free_symbols if not s.is_positive and s.is_integer), key=str)
            found = Ref(f"{self.name} part {len(self._parts)}", node.rows, node.cols, *free_indices)
            self._named[node] = found
            self._parts[found.name] = node
        return found

    def _moved(self, poly: Poly) -> Products:
        """Return the differential with respect to the variable and to every named part."""
        algebra = self.entries.algebra
        found: Products = []
        for name in (self.name, *self._parts):
            if reads(poly, name):
                found += differential(algebra, algebra.open(poly), name)
        return found

    def _chained(self, p: Product) -> Products:
        """Replace the differential of a part by its own, by the law of the function."""
        algebra = self.entries.algebra
        mark = next(a for a in p.factors if a.head == MARK)
        if mark.name not in self._parts:
            return [p]
        node = self._parts[mark.name]
        rest = Product(p.coefficient, p.bound, {a: e for a, e in p.factors.items() if a is not mark})
        *member, i, j = mark.args
        at = {algebra.free_index(s): x for s, x in zip(self._named[node].indices, member, strict=True)}
        found: Products = []
        for slot, operand in enumerate(node.operands):
            if isinstance(node, Where) and slot == 0:
                continue
            row, col, moved = Differential(self.entries, self.name).template(operand)
            if not moved.terms:
                continue
            found += algebra.multiply(self._slope(node, slot, at, i, j), algebra.open(moved, {**at, row: i, col: j}))
        return algebra.multiply([rest], found)

    def _slope(self, node: Node, slot: int, at: dict[Symbol, Index], i: Index, j: Index) -> Products:
        algebra = self.entries.algebra

        def entry(operand: Node) -> Products:
            row, col, poly = self.entries.template(operand)
            return algebra.open(poly, {**at, row: i, col: j})

        if isinstance(node, Map):
            arguments = tuple(algebra.close(entry(o)) for o in node.operands)
            return applied(algebra, node.function.derivative(slot), arguments)
        mask = entry(node.operands[0])
        return mask if slot == 1 else algebra.complement(mask)


def reads(poly: Poly, name: str) -> bool:
    """Tell whether a variable occurs in a polynomial."""
    atoms = (a for t in poly.terms for a, _ in t.factors)
    return any((a.head == "ref" and a.name == name) or any(reads(p, name) for p in a.inner) for a in atoms)
