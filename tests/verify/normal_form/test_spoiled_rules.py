"""The adjoint of no rule is proved once it is spoiled: what is proved of a wrong one is true in numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

import symbp.ops as ops
from symbp.calculus import derive
from symbp.expr import Add, Hadamard, Map, MatMul, Node, Scale, T, Where, scaled, transform, walk
from symbp.program import Equation, Program, map_equations
from symbp.verify.draws import NoDraw, choose_sizes, draw
from symbp.verify.evaluate import evaluate
from symbp.verify.normal_form import Budget, prove_adjoint
from symbp.verify.rules import Case, elementwise_cases, primitive_cases

CASES = [*primitive_cases(ops.RULES), *elementwise_cases(ops.ELEMENTWISE)]
MOST = 8
"""How many spoiled versions of one adjoint are tried."""


def spoiled(node: Node) -> Iterator[Node]:
    """Yield wrong versions of an adjoint: a sign, a term, a factor, a transpose, a branch, a slope."""
    for part in walk(node):
        wrong: list[Node] = []
        if isinstance(part, Scale):
            wrong += [part.body, scaled(-1, part)]
        if isinstance(part, Add):
            wrong += [*part.operands, Add(part.operands[0], *(scaled(-1, x) for x in part.operands[1:]))]
        if isinstance(part, Hadamard):
            wrong += [part.operands[0], part.operands[-1]]
        if isinstance(part, MatMul) and len(part.operands) == 2:
            wrong += [MatMul(T(part.operands[1]), T(part.operands[0]))]
        if isinstance(part, Map):
            wrong += [part.operands[0], Map(*part.operands, part.function.derivative(0))]
        if isinstance(part, Where):
            wrong += [Where(part.operands[0], part.operands[2], part.operands[1]), part.operands[1]]
        for other in wrong:
            if other.shape == part.shape and other is not part:
                changed = transform(node, lambda x, part=part, other=other: other if x is part else x)  # type: ignore[misc]
                if changed is not node:
                    yield changed
    yield scaled(2, node)


def values_of(program: Program, bars: list[str], seed: int) -> list[np.ndarray]:
    sizes = choose_sizes(program, limit=1)[0]
    declared = {v.name: v for v in program.variables.values() if v.declared}
    given = draw(program, sizes, np.random.default_rng(seed))
    with np.errstate(all="ignore"):
        found = evaluate(program, {n: given[n] for n in declared}, sizes)
    return [np.asarray(found[b]) for b in bars]


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in CASES])
def test_a_spoiled_rule_stays_unproved(case: Case) -> None:
    derivation = derive(case.program, case.wrt)
    bars = list(derivation.gradients.values())
    tried = 0
    for site in derivation.program.sites:
        if site.target.name not in bars:
            continue
        for wrong in list(spoiled(site.equation.value))[:MOST]:

            def change(equation: Equation, mine: Equation = site.equation, wrong: Node = wrong) -> list[Equation]:
                return [replace(equation, value=wrong) if equation is mine else equation]

            program = derivation.program.replace(body=map_equations(derivation.program.body, change))
            found = prove_adjoint(
                derivation.forward, program, derivation.output, Budget(seconds=0.5), only=site.target.name
            )
            tried += 1
            if all(p.proof for p in found) and not any(p.proof.conditions for p in found):
                try:
                    right, other = values_of(derivation.program, bars, tried), values_of(program, bars, tried)
                except NoDraw:
                    continue
                for a, b in zip(right, other, strict=True):
                    np.testing.assert_allclose(a, b, rtol=1e-9, err_msg=f"{site.target.label} = {wrong} was proved")
    assert tried
