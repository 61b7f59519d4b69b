"""The parts of a loss as a printer needs them: the factor filled in, the names that two passes share, the sum alone."""

from __future__ import annotations

from collections.abc import Iterable

import sympy as sp

from symbp.calculus.passes import FACTOR, Parts
from symbp.expr import Node, Ref, refs
from symbp.plan.shards import SampleSum
from symbp.program import Program


def with_factor(node: Node, factor: sp.Expr) -> Node:
    """Return an expression with the symbol of the factor replaced by the factor."""
    result = node.xreplace({FACTOR: factor})
    assert isinstance(result, Node)
    return result


def sample_sum(parts: Parts) -> SampleSum | None:
    """Return the loss as a sum over samples, if it is nothing else."""
    return SampleSum(parts.sample, FACTOR, parts.factor) if parts.sample and not parts.penalty else None


def same_definitions(program: Program, other: Program) -> frozenset[str]:
    """Return the names that two programs define alike, on the way from declared variables on."""
    mine = _definitions(program)
    theirs = _definitions(other)
    declared = {v.name for v in program.declared()}
    alike = {name for name in mine if mine[name] == theirs.get(name)}
    while True:
        # A name is alike only if what it is computed from is.
        wrong = {n for n in alike if any(r not in alike and r not in declared for r in _reads(mine[n]))}
        if not wrong:
            return frozenset(alike)
        alike -= wrong


Definition = tuple[tuple[Ref, Node], ...]


def _definitions(program: Program) -> dict[str, Definition]:
    found: dict[str, Definition] = {}
    for site in program.sites:
        found[site.target.name] = (*found.get(site.target.name, ()), (site.target, site.equation.value))
    return found


def _reads(definition: Definition) -> Iterable[str]:
    return {ref.name for _, value in definition for ref in refs(value)} - {target.name for target, _ in definition}
