"""Forward mode in matrix form: it gives the gradients that the adjoint gives, rule by rule and network by network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import symbp.ops
from symbp.calculus import derive, sensitivities
from symbp.expr import Embed, MatMul, Ones, Ref, size
from symbp.expr.nodes import plain
from symbp.calculus.sensitivity import jacobian_of
from symbp.language import read_text
from symbp.networks import network
from symbp.ops import ELEMENTWISE, RULES
from symbp.program import Program
from symbp.verify.draws import draw
from symbp.verify.evaluate import evaluate
from symbp.verify.rules import elementwise_cases, primitive_cases

SIZES = {"r": 3, "c": 4, "m": 2, "n": 3, "p": 2, "q": 5}
PERMUTING = {"transpose", "reshape (by rows)"}
"""Cases in which entries are permuted: they are refused, as is every operation that states no Jacobian."""
CASES = [*primitive_cases(RULES), *elementwise_cases(ELEMENTWISE)]


def both(program: Program, sizes: dict[str, int], *wrt: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the gradients by sensitivities and by the adjoint, at one draw."""
    values = draw(program, sizes, np.random.default_rng(5))
    derivation = derive(program, wrt)
    backward = evaluate(derivation.program, values, sizes)
    forward = evaluate(sensitivities(program, wrt), values, sizes)
    return {n: forward[f"{n}_bar"] for n in wrt}, {n: backward[derivation.gradients[n]] for n in wrt}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_every_rule_carries_a_jacobian_or_is_refused(case: Any) -> None:
    op = RULES.get(case.name.partition(" (")[0])
    if case.name in PERMUTING or (op is not None and op.linear and op.jacobian is None):
        with pytest.raises(ArithmeticError):
            sensitivities(case.program, case.wrt)
        return
    forward, backward = both(case.program, SIZES, *case.wrt)
    for name, wanted in backward.items():
        np.testing.assert_allclose(forward[name], wanted, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["rnn", "delayed", "gru", "lstm", "mlp", "truncated"])
def test_a_network_has_one_gradient(name: str) -> None:
    program = read_text(network(name).text)
    sizes = {"h": 3, "m": 2, "n": 2, "p": 3, "k": 2, "T": 4, "c": 2, "n0": 3, "n1": 4, "n2": 2}
    wrt = [v.name for v in program.parameters]
    forward, backward = both(program, sizes, *wrt)
    for parameter, wanted in backward.items():
        np.testing.assert_allclose(forward[parameter], wanted, rtol=1e-10, atol=1e-13)


def test_a_wrong_jacobian_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    case, honest = next(c for c in CASES if c.name == "matmul"), RULES["matmul"]
    assert honest.jacobian is not None
    doubled = replace(honest, jacobian=lambda J, node, k: 2 * honest.jacobian(J, node, k))  # type: ignore[misc]
    monkeypatch.setitem(symbp.ops._BY_NODE, honest.node, doubled)
    forward, backward = both(case.program, SIZES, *case.wrt)
    assert not any(np.allclose(forward[name], wanted) for name, wanted in backward.items())


def test_blocks_and_rows_of_ones_leave_no_trace() -> None:
    m, n = size("m"), size("n")
    A, d = Ref("A", n, 2 * m), Ref("d", m, 1)
    J = Ref("J", m, n)
    product = MatMul(A, Embed(d, m, 0, 2 * m, 1))
    assert plain(jacobian_of(product, lambda ref: J if ref is d else None)) == "MatMul(Slice(A, 0, n, m, 2*m), J)"
    weighted = MatMul(Ones(1, m), Ref("C", m, 1) * d)
    assert plain(jacobian_of(weighted, lambda ref: J if ref is d else None)) == "MatMul(Transpose(C), J)"


def test_a_family_of_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="family"):
        sensitivities(read_text(network("deep").text.replace("sigma(", "tanh(").replace("sigma: elementwise\n", "")))
