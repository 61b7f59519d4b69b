"""Which entries are neighbours: samples stand one after the other, the rest so that the least is packed."""

from __future__ import annotations

import pytest
from plan_cases import bundled, declared, finished, matrix, plan_of, planned, put, workload

from symbp.expr import size
from symbp.networks import names
from symbp.plan import module
from symbp.plan.ir import Gemm, Order
from symbp.plan.storage import STRIDED, cost, neighbours, number, ordered, sample_axes, storage

A, B, out = matrix("A", 48, 32, "input"), matrix("B", 32, 64, "param"), matrix("out", 48, 64, "value")


def test_neighbours() -> None:
    assert (neighbours(A.whole(), "C"), neighbours(A.whole(), "F")) == (1, 0)
    assert (neighbours(A.whole().T, "C"), neighbours(A.whole().T, "F")) == (0, 1)
    assert neighbours(matrix("v", 9, 1).whole(), "C") is None


def test_what_must_be_packed_costs() -> None:
    gemm = Gemm(out.whole(), A.whole(), B.whole())
    assert cost(gemm, {"A": "C", "B": "C", "out": "C"}) == 0
    assert cost(gemm, {"A": "C", "B": "F", "out": "C"}) == 32 * 64
    assert cost(gemm, {"A": "C", "B": "C", "out": "F"}) == 48 * 32


def test_reading_across_memory_costs() -> None:
    read = put(out.whole(), matrix("Z", 48, 64).whole())
    same: dict[str, Order] = {"out": "C", "Z": "C"}
    other: dict[str, Order] = {"out": "C", "Z": "F"}
    assert cost(read, other) - cost(read, same) == STRIDED * 48 * 64


def test_the_order_of_a_weight_is_chosen() -> None:
    plan = plan_of([A, B, out], Gemm(out.whole(), A.whole(), B.whole().T.T))
    assert storage([plan], [{"A": 0, "out": 0}])["B"] == "C"
    turned = matrix("B", 64, 32, "param")
    plan = plan_of([A, turned, out], Gemm(out.whole(), A.whole(), turned.whole().T))
    found = storage([plan], [{"A": 0, "out": 0}])
    assert found["B"] == "F"
    assert ordered(plan, found).buffers["B"].order == "F"


def test_a_gradient_lies_as_its_parameter() -> None:
    for name in names():
        found = finished(name)
        for parameter, gradient in found.gradients.items():
            plan = found.plans["loss_and_gradients"]
            assert found.plans["train_step"].buffers[parameter].order == plan.buffers[gradient].order


def test_buffers_that_lie_alike_are_chosen_together() -> None:
    """Alone the weight would lie by rows and its gradient by columns; together they lie by columns."""
    D, G = matrix("D", 48, 64, "input"), matrix("G", 32, 64, "value")
    plan = plan_of([A, B, D, G, out], Gemm(out.whole(), A.whole(), B.whole()), Gemm(G.whole(), A.whole().T, D.whole()))
    samples = [{"A": 0, "out": 0, "D": 1}]
    apart = storage([plan], samples)
    assert (apart["B"], apart["G"]) == ("C", "F")
    together = storage([plan], samples, alike={"G": "B"})
    assert (together["B"], together["G"]) == ("F", "F")


def test_one_order_in_all_functions() -> None:
    for name in ("digits", "rnn", "bidirectional"):
        orders: dict[str, set[str]] = {}
        for plan in finished(name).plans.values():
            for buffer in plan.buffers.values():
                if buffer.role != "scratch":
                    orders.setdefault(buffer.name, set()).add(buffer.order)
        assert all(len(o) == 1 for o in orders.values())


@pytest.mark.parametrize(("samples", "expected"), [("m", "C"), ("", "C")])
def test_samples_in_rows(samples: str, expected: str) -> None:
    text = "X: input[m, 9]\nY: target[m, 8]\nW: param[9, 8]\nZ = X @ W\nloss = sum((Z - Y)**2)\n"
    plan = planned((f"samples: {samples}\n" if samples else "") + text, {"m": 32})
    assert plan.buffers["X"].order == plan.buffers["Z"].order == expected


def test_samples_in_columns() -> None:
    plan = bundled("digits").found.plans["train_step"]
    assert plan.buffers["X"].order == "F"
    assert {b.order for b in plan.buffers.values() if b.of in ("X", "Y", "P")} == {"F"}


def test_short_samples_lie_together() -> None:
    """A value of three numbers for each of many samples: its loops run over samples."""
    plan = workload("iris").plans["train_step"]
    assert plan.buffers["X"].order == "C"
    assert {plan.buffers[n].order for n in ("Z2",)} == {"F"}


def test_axes_of_samples() -> None:
    m, n = size("m"), size("n")
    shapes = {"X": (n, m), "R": (m, n), "W": (n, n), "G": (m, m)}
    buffers = [matrix(name, 2, 2, of=name) for name in shapes]
    assert sample_axes(buffers, shapes, m) == {"X": 1, "R": 0}
    assert sample_axes(buffers, shapes, None) == {}


def test_symbols_count_as_a_hundred() -> None:
    assert (number(size("m")), number(2 * size("m")), number(matrix("A", 7, 1).rows)) == (100, 200, 7)


def test_states_lie_as_parameters() -> None:
    derivation = declared("samples: m\nX: input[n, m]\nY: target[k, m]\nW: param[k, n]\nloss = sum((W @ X - Y)**2)\n")
    found = module.module_plans(derivation, {"n": 30, "m": 20, "k": 40}, optimizer="adam").plans["train_step"]
    assert {found.buffers[f"W_{w}"].order for w in ("mean", "square")} == {found.buffers["W"].order}
