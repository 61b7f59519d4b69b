"""Signs that follow from equations: a mean of squares is not negative, and with a positive number added it is positive.

Such a fact saves a condition: batch normalisation divides by ``v + eps``, and ``v`` is a mean of squares.
"""

from __future__ import annotations

from collections.abc import Mapping

from symbp.expr import Node
from symbp.program import Program
from symbp.verify.normal_form.algebra import Algebra
from symbp.verify.normal_form.entries import Entries
from symbp.verify.normal_form.indices import minus, number, of
from symbp.verify.normal_form.terms import Budget, BudgetExceeded, Unsupported

Facts = Mapping[str, frozenset[str]]


def with_signs(facts: Facts, program: Program, budget: Budget | None = None) -> Facts:
    """Return declared facts with ``positive`` and ``not_negative`` for each name whose equations show it.

    Statements are read in order, so a sign may rest on the signs of names above; a name that a statement reads before
    its own sign is known has none.  A family gets a sign if each of its pieces shows it.
    """
    known = dict(facts)
    sites: dict[str, list[Node]] = {}
    for site in program.sites:
        sites.setdefault(site.target.name, []).append(site.equation.value)
    for name, values in sites.items():
        var = program.variables[name]
        # Members that no equation defines are given, or zero.
        if var.boxes or var.kind != "value":
            continue
        signs = {_sign(value, known, budget or Budget()) for value in values}
        if "" not in signs:
            sign = "positive" if signs == {"positive"} else "not_negative"
            known[name] = known.get(name, frozenset()) | {sign}
    return known


def _sign(value: Node, facts: Facts, budget: Budget) -> str:
    algebra = Algebra(facts, budget)
    try:
        row, col = (algebra.fresh(minus(algebra.index(size), number(1))) for size in value.shape)
        entry = algebra.close(Entries(algebra).entry(value, of(row), of(col)))
    except (BudgetExceeded, Unsupported):
        return ""
    if algebra.poly_positive(entry):
        return "positive"
    return "not_negative" if algebra.poly_not_negative(entry) else ""
