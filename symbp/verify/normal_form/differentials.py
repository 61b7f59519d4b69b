"""Differentials in index form: the product rule on terms, the scalar law of each non-linear atom."""

from __future__ import annotations

import sympy as sp

from symbp.verify.normal_form.entries import place
from symbp.verify.normal_form.functions import NAMES, free, power, scalar
from symbp.verify.normal_form.indices import Index, of
from symbp.verify.normal_form.terms import Algebra, Atom, Poly, Product, Products, Unsupported, whole

MARK = "d"
"""The head of the atom that stands for the differential of an entry; each differentiated product has exactly one."""

_X = sp.Symbol("x", real=True)
SLOPES: dict[str, sp.Expr] = {name: sp.diff(f(_X), _X) for f, name in NAMES.items()}
"""The slopes of the functions that stay opaque, by SymPy's scalar calculus."""
FLAT = frozenset({"delta", "ge", "gt", "eq", "argmax", "size", "ix", "prime", "const"})
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


def reads(poly: Poly, name: str) -> bool:
    """Tell whether a variable occurs in a polynomial."""
    atoms = (a for t in poly.terms for a, _ in t.factors)
    return any((a.head == "ref" and a.name == name) or any(reads(p, name) for p in a.inner) for a in atoms)
