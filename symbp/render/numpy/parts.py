"""The two parts of a loss ``c S + R``: S a sum over samples, R free of samples, each with its own backward pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sympy as sp

from symbp.calculus import derive
from symbp.calculus.split import part_program, split_loss
from symbp.derivation import Derivation
from symbp.expr import Node, Ref, refs, scaled
from symbp.program import Program

FACTOR = sp.Symbol("c", positive=True)
"""What stands for the factor in the backward pass of ``c S``."""


@dataclass(frozen=True)
class Parts:
    """The backward passes of the parts of a loss.

    factor:  the factor c, made of sizes.
    values:  S and R as they stand in the loss; None for one that is missing.
    sample:  the derivation of ``c S`` with a symbol for c; None if the loss has no such part.
    penalty: the derivation of ``R``; None if there is no such part.
    mixed:   why the loss is no such sum; empty if it is.
    """

    factor: sp.Expr
    sample: Derivation | None
    penalty: Derivation | None
    values: tuple[Node | None, Node | None] = (None, None)
    mixed: str = ""


def split(derivation: Derivation) -> Parts:
    """Derive the parts of a loss apart; a loss that mixes samples keeps its one backward pass."""
    source, output = derivation.source, derivation.output
    found = split_loss(source, output)
    if found.mixed:
        return Parts(sp.S.One, None, None, mixed=found.mixed)

    def derived(value: Node | None, by: sp.Expr) -> Derivation | None:
        if value is None:
            return None
        return derive(part_program(source, scaled(by, value), output), list(derivation.gradients), output)

    sample, penalty = derived(found.sample_sum, FACTOR), derived(found.rest, sp.S.One)
    return Parts(found.factor, sample, penalty, (found.sample_sum, found.rest))


def with_factor(node: Node, factor: sp.Expr) -> Node:
    """Return an expression with the symbol of the factor replaced by the factor."""
    result = node.xreplace({FACTOR: factor})
    assert isinstance(result, Node)
    return result


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
