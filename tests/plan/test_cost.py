"""What plans cost: by hand, per equation and in total."""

from __future__ import annotations

import pytest
import sympy as sp
from plan_cases import bundled, declared, finished, loop, matrix, plan_of, planned, put, t, workload, workloads

from symbp.expr import Function, size
from symbp.networks import names
from symbp.plan.cost import by_equation, costs, operations, put_flop, total
from symbp.plan.entries import entries
from symbp.plan.ir import Apply, Gemm, Nest, Number, Put, Read, product
from symbp.plan.ir import total as added

MLP = (
    "samples: m\nX: input[m, 3]\nY: target[m, 2]\nW: param[3, 4]; b: param[1, 4]\nV: param[4, 2]; c: param[1, 2]\n"
    "Z = X @ W + b\nA = tanh(Z)\nU = A @ V + c\nloss = sum((U - Y)**2) / (2*m)\n"
)
BY_HAND = {
    "Z": 2 * 5 * 3 * 4 + 20,
    "A": 20,
    "U": 2 * 5 * 4 * 2 + 10,
    "loss": 3 * 10 + 1,  # a difference, a square, a sum; one factor
    "U_bar": 2 * 10,
    "V_bar": 2 * 4 * 5 * 2,
    "c_bar": 10,
    "Z_bar": 2 * 5 * 2 * 4 + 3 * 20,  # a square, a difference, a product
    "W_bar": 2 * 3 * 5 * 4,
    "b_bar": 20,
}


def test_a_network_by_hand() -> None:
    plan = planned(MLP, {"m": 5}, plan="loss_and_gradients")
    found = {sources[0].equation.target.name: cost.flop for sources, cost in by_equation(plan).items()}
    assert found == BY_HAND
    assert total(plan)[0] == sum(BY_HAND.values()) == 671


def test_a_step_costs_an_update_more() -> None:
    """A product and a difference for each entry of each parameter."""
    plan = planned(MLP, {"m": 5})
    assert total(plan)[0] == 671 + 2 * (12 + 4 + 8 + 2)


def test_passes_lower_no_product() -> None:
    """Fusion moves less, and computes the same."""
    given = bundled("digits")
    first, last = given.found.plans["train_step"], finished("digits").plans["train_step"]

    def products(plan: object) -> sp.Expr:
        return sum(
            2 * k.out.rows * k.out.cols * k.left.cols for k in plan.body if isinstance(k, Gemm)  # type: ignore[attr-defined]
        )

    assert products(first) == products(last)


@pytest.mark.parametrize("name", names())
def test_equations_add_up_to_the_total(name: str) -> None:
    for plans in (bundled(name).found.plans, finished(name).plans):
        for plan in plans.values():
            parts = by_equation(plan).values()
            assert (sum(c.flop for c in parts), sum(c.moved for c in parts)) == total(plan)
            assert len(costs(plan)) >= len(parts)
            assert all(c.flop >= 0 and c.moved > 0 for c in parts)


@pytest.mark.parametrize("name", workloads())
def test_no_workload_costs_less_than_its_products(name: str) -> None:
    """The floor of the benchmarks counts the products only: forward, dW, and dX of all layers but the first."""
    from plan_cases import _workloads

    floor = _workloads().workload(name).flop()
    flop, _ = total(workload(name).plans["train_step"])
    assert floor <= flop <= 1.6 * floor + 40_000


def test_loops_and_stacks_count_their_iterations() -> None:
    A, B = matrix("A", 5, 7, "input"), matrix("B", 7, 4, "input")
    out = matrix("out", 5, 4, "value")
    gemm = Gemm(out.whole(), A.whole(), B.whole())
    assert total(plan_of([A, B, out], gemm)) == (280, 35 + 28 + 20)
    assert total(plan_of([A, B, out], loop(2, 4, gemm))) == (840, 3 * 83)
    stacked = Gemm(out.whole(), A.whole(), B.whole(), stacked=((t, sp.S.One, sp.Integer(6)),))
    assert total(plan_of([A, B, out], stacked))[0] == 6 * 280
    behind = Nest((Put(out.whole(), added(Read(out.whole()), Number(sp.S.One))),), 0, sp.Integer(5))
    assert total(plan_of([A, B, out], Gemm(out.whole(), A.whole(), B.whole(), epilogue=behind)))[0] == 300


def test_operations() -> None:
    a = Read(matrix("A", 5, 7).whole())
    minus = product(Number(sp.S.NegativeOne), a)
    assert operations(a) == 0
    assert operations(added(a, minus)) == 1
    assert operations(added(a, a, a)) == 2
    assert operations(product(Number(sp.Integer(2)), a, a)) == 2
    assert operations(Apply(Function("tanh"), (added(a, a),))) == 2
    assert operations(Apply("where", (Apply(">", (a, a)), a, minus))) == 2
    row = matrix("r", 1, 7)
    assert put_flop(Put(row.whole(), a, (0,))) == 35
    (summed,) = put(row.whole(), row.whole(), add=True).puts
    assert put_flop(summed) == 7


def test_sizes_may_be_symbols() -> None:
    text = "samples: m\nX: input[m, n]\nW: param[n, k]\nZ = X @ W\nloss = sum(Z**2)\n"
    derivation = declared(text)
    flop, _ = total(entries(derivation).plans["forward"])
    m, n, k = (size(s) for s in "mnk")
    assert sp.expand(flop - (2 * m * n * k + 2 * m * k)) == 0
