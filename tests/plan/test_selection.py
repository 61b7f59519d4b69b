"""The first plan: every expression that a printer must survive becomes kernels that compute it."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from expressions import TABLE
from plan_cases import declared, gemms, loops_of, planned
from random_programs import OPERATIONS, fan

from symbp.calculus import derive
from symbp.expr import (
    Box, Diag, Embed, Eye, MatMul, Node, Ones, Ref, Slice, SumOver, T, Transpose, Zero, refs, size,
)
from symbp.expr import walk as walk_nodes
from symbp.plan.entries import entries
from symbp.plan.fields import Fields, PlanError, Sizes
from symbp.plan.interpret import Interpreter
from symbp.plan.ir import Gemm, Nest, Plan, Put, puts, walk
from symbp.plan.passes import run
from symbp.plan.selection import select
from symbp.plan.text import expression_text
from symbp.program import Equation, Program, Var, check
from symbp.verify.draws import choose_sizes, draw
from symbp.verify.evaluate import evaluate
from symbp.verify.plans import entrywise
from symbp.verify.programs import specified

n, k, m = size("n"), size("k"), size("m")


def program_of(node: Node) -> Program:
    """Return the program with one equation; whatever it reads is an input."""
    variables = {}
    for ref in refs(node):
        boxes = (Box.of((0, size("T"))),) if ref.indices else ()
        variables[ref.name] = Var(ref.name, ref.rows, ref.cols, tuple(t_ for _ in ref.indices), "input", boxes=boxes)
    out = Var("out", *node.shape)
    return specified(check(Program({**variables, "out": out}, (Equation(out(), node),))))


t_ = next(r.indices[0] for node, *_ in TABLE for r in refs(node) if r.indices and r.indices[0].is_Symbol)


def selected(node: Node, turn: int = 0) -> tuple[Plan, float]:
    """Return the plan of an expression, and by how much it is off before and after all passes."""
    program = program_of(node)
    sizes = {str(s): 19 for s in _sizes(node)} | choose_sizes(program, turn=turn)[-1]
    values = draw(program, sizes, np.random.default_rng(turn))
    truth = np.asarray(evaluate(program, values, sizes)["out"])
    plan = select("out", program, program.body, ["out"], Fields(program, Sizes(sizes), {"out": "value"}))
    worst = 0.0
    for form in (plan, run(plan)):
        given = {n: _array(values[b.of]) for n, b in form.buffers.items() if b.role == "input"}
        found = Interpreter(form, given, entrywise).run()["out"]
        assert found.shape == truth.shape
        worst = max(worst, float(np.abs(found - truth).max() / (1 + np.abs(truth).max())))
    return plan, worst


def _sizes(node: Node) -> set[sp.Symbol]:
    """Return the sizes of a node, also those that stand in coefficients only."""
    return {s for part in walk_nodes(node) for s in part.free_symbols if isinstance(s, sp.Symbol) and s.is_positive}


def _array(value: object) -> np.ndarray:
    if isinstance(value, dict):
        return np.stack([np.asarray(value[key]) for key in sorted(value)])
    return np.array(value, dtype=float)


@pytest.mark.parametrize("node", [pytest.param(node, id=text) for node, text, *_ in TABLE])
def test_every_expression_of_the_printers(node: Node) -> None:
    for turn in (0, 1):
        assert selected(node, turn)[1] < 1e-13


A, B, C = Ref("A", n, k), Ref("B", k, m), Ref("C", m, n)
v, w, S = Ref("v", n, 1), Ref("w", 1, m), Ref("S", n, n)


@pytest.mark.parametrize(
    "node",
    [
        MatMul(A, B, C), MatMul(A, B, C, A), T(MatMul(A, B)), MatMul(T(B), T(A)), MatMul(Transpose(A), v),
        MatMul(Ones(1, n), A, Ones(k, 1)), MatMul(A, Ones(k, m)), MatMul(Ones(m, n), A), MatMul(Ones(1, n), A, B),
        MatMul(A, Ones(k, 1)) @ w, MatMul(A, Ones(k, n), A), v @ w, MatMul(T(v), v), MatMul(v, T(v), A),
        MatMul(T(v), A, B),
        MatMul(Diag(v), A), MatMul(C, Diag(v)), MatMul(C, Diag(v), A), MatMul(Diag(v), Diag(v)), MatMul(A, Eye(k)),
        MatMul(Eye(n), A, Eye(k)), A @ B + A @ B, A @ B - v @ w, A + A @ B @ C @ A, Zero(n, k) + A, T(T(A)) + A,
        Slice(A @ B, 1, 3, 2, 4), T(Slice(A, 1, n, 0, 2)), Embed(A, 0, 1, n, k + 1), Embed(A, 2, 1, n + 3, k + 4) + 1,
        Embed(A @ B, 1, 1, n + 1, m + 1), S @ S - T(S), MatMul(S, S, S),
        SumOver(A @ B, t_, 1, size("T")), SumOver(A, t_, 1, size("T")),
    ],
    ids=str,
)
def test_products_blocks_and_sums(node: Node) -> None:
    for turn in (0, 2):
        assert selected(node, turn)[1] < 1e-13


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_of_the_random_programs(name: str) -> None:
    """The forward pass of each; their adjoints are among the random programs."""
    program = specified(fan("sin", [name]))
    sizes = choose_sizes(program)[0]
    values = draw(program, sizes, np.random.default_rng(0))
    plan = select("f", program, program.body, ["loss"], Fields(program, Sizes(sizes), {"loss": "value"}))
    given = {n: np.array(values[n], dtype=float) for n, b in plan.buffers.items() if b.role in ("param", "input")}
    for form in (plan, run(plan)):
        found = Interpreter(form, given, entrywise).run()["loss"]
        truth = evaluate(program, values, sizes)["loss"]
        assert abs(found - truth) < 1e-12 * (1 + abs(truth))


# ---------------------------------------------------------------------------------------------------------
# What becomes what


def test_a_chain_is_cut_where_it_costs_least() -> None:
    """10 x 2, 2 x 10, 10 x 1: from the right."""
    program = program_of(MatMul(Ref("A", 10, 2), Ref("B", 2, 10), Ref("C", 10, 1)))
    plan = select("out", program, program.body, ["out"], Fields(program, Sizes({"x": 1}), {"out": "value"}))
    assert [g.out.shape for g in gemms(plan)] == [(2, 1), (10, 1)]


def test_products_over_one_entry_are_entrywise() -> None:
    plan, error = selected(v @ w)
    assert error < 1e-14
    assert not gemms(plan)


def test_sums_of_products_are_added_up_in_one_place() -> None:
    plan, _ = selected(A @ B + A @ B)
    assert [g.accumulate for g in gemms(plan)] == [False, True]


def test_transposes_and_slices_are_views() -> None:
    plan, _ = selected(MatMul(Transpose(Slice(S, 1, n, 0, n)), Slice(A, 1, n, 0, k)))
    assert [type(kernel) for kernel in walk(plan.body)] == [Gemm]


def test_the_exponentials_of_a_softmax_are_computed_once() -> None:
    plan = planned("X: input[4, m]\nY: target[4, m] & one_hot_columns\nW: param[4, 4]\nZ = W @ X\n"
                   "loss = softmax_cross_entropy(Z, Y)\n", {"m": 5}, plan="loss_and_gradients")
    found = [p.target.buffer for kernel in walk(plan.body) for p in puts(kernel) if "exp(" in expression_text(p.value)]
    assert found == ["Z_exp"]


def test_temporaries_are_named_after_what_they_are() -> None:
    plan = planned("X: input[4, m]\nY: target[4, m] & one_hot_columns\nW: param[4, 4]\nZ = W @ X\n"
                   "loss = softmax_cross_entropy(Z, Y)\n", {"m": 5})
    assert {"Z_max", "Z_exp", "Z_sum"} <= set(plan.buffers)


def test_families_of_different_shapes_are_unrolled() -> None:
    text = "A[0]: input[n[0], m]\nY: target[n[L], m]\nfor l in range(1, L+1):\n    W[l]: param[n[l], n[l-1]]\n"\
        "    A[l] = tanh(W[l] @ A[l-1])\nloss = sum((A[L] - Y)**2)\n"
    plan = planned(text, {"n": {0: 3, 1: 5, 2: 7}, "m": 4, "L": 2})
    assert not loops_of(plan)
    assert {"W_1", "W_2"} <= set(plan.buffers)


def test_an_open_function_is_refused() -> None:
    derivation = derive(read("X: input[n, m]\nW: param[n, n]\nsigma: elementwise\nA = sigma(W @ X)\nloss = sum(A)\n"))
    with pytest.raises(PlanError, match="--function sigma=tanh"):
        entries(derivation, {"n": 3, "m": 4})


def read(text: str) -> Program:
    from symbp.language import read_text

    return read_text(text)


def test_every_statement_says_where_it_comes_from() -> None:
    derivation = declared("X: input[n, m]\nW: param[n, n]\nA = tanh(W @ X)\nloss = sum(A)\n")
    found = entries(derivation, {"n": 3, "m": 4})
    for kernel in walk(found.plans["loss_and_gradients"].body):
        statements = kernel.puts if isinstance(kernel, Nest) else (kernel,)
        assert all(isinstance(s, (Put, Gemm)) and s.source is not None for s in statements)
