"""Cheap values are written where they are read; what is dear, changes, or is read by a product stays."""

from __future__ import annotations

import pytest
import sympy as sp
from plan_cases import family, gemms, loop, matrix, plan_of, planned, put, same_outcome, t

from symbp.expr import Function
from symbp.plan.ir import Apply, Gemm, Kernel, Number, Plan, Position, Read, View, product, total
from symbp.plan.recompute import LIMIT, operations, recompute

A, B = matrix("A", 5, 7, "input"), matrix("B", 5, 7, "input")
V, out = matrix("V", 5, 7), matrix("out", 5, 7, "value")
one, two = sp.S.One, sp.Integer(2)
a, b = Read(A.whole()), Read(B.whole())


def gone(plan: Plan, name: str = "V") -> bool:
    """Tell whether a value is no longer kept; the outcome must be the same."""
    new = recompute(plan)
    assert same_outcome(plan, new)
    return name not in new.buffers


def reading(value: object, *readers: Kernel) -> Plan:
    plain = put(out.whole(), product(Read(V.whole()), b))
    return plan_of([A, B, V, out], put(V.whole(), value), *(readers or (plain,)))


def test_a_cheap_value_is_written_into_its_reader() -> None:
    assert gone(reading(total(a, b)))
    assert gone(reading(product(Number(two), a, b)))


def test_a_dear_value_stays() -> None:
    assert not gone(reading(Apply(Function("tanh"), (a,))))
    assert operations(Apply(Function("tanh"), (a,))) > LIMIT
    assert gone(reading(total(*[a] * (LIMIT + 1))))
    assert not gone(reading(total(*[a] * (LIMIT + 2))))


def test_a_value_that_two_read_must_cost_next_to_nothing() -> None:
    readers = (put(out.whole(), V.whole(), A.whole()), put(out.whole(), V.whole(), add=True))
    assert gone(reading(total(a, b), *readers))
    assert not gone(reading(total(a, b, a), *readers))


def test_what_a_product_reads_stays() -> None:
    G = matrix("G", 5, 5, "value")
    gemm = Gemm(G.whole(), V.whole(), A.whole().T)
    plan = plan_of([A, B, V, G], put(V.whole(), A.whole(), B.whole()), gemm, outputs=("G",))
    assert not gone(plan)


def test_what_the_caller_gets_stays() -> None:
    kept = matrix("V", 5, 7, "value")
    plan = plan_of([A, B, kept, out], put(kept.whole(), A.whole(), B.whole()), put(out.whole(), kept.whole()),
                   outputs=("V", "out"))
    assert not gone(plan)


def test_operands_that_change_are_kept_as_they_were() -> None:
    W, S = matrix("W", 5, 7, "param"), matrix("S", 5, 7)
    updated = plan_of([A, W, V, out], put(V.whole(), W.whole(), 1), put(W.whole(), W.whole(), A.whole()),
                      put(out.whole(), V.whole()), outputs=("W", "out"))
    assert not gone(updated)
    summed = plan_of([A, S, V, out], put(S.whole(), A.whole()), put(V.whole(), S.whole(), 1),
                     put(S.whole(), A.whole(), add=True), put(out.whole(), V.whole(), S.whole()))
    assert not gone(summed)


def test_reductions_sums_and_places_stay() -> None:
    r = matrix("V", 5, 1)
    assert not gone(plan_of([A, r, out], put(r.whole(), A.whole(), over=(1,)), put(out.whole(), r.whole(), A.whole())))
    assert not gone(reading(Position(0, sp.Integer(5))))
    twice = put(V.whole(), A.whole()), put(V.whole(), A.whole(), add=True)
    added = plan_of([A, V, out], *twice, put(out.whole(), V.whole()))
    assert not gone(added)


def test_members_stay() -> None:
    H, G = family("H", 5, 7, 1, 3), family("G", 5, 7, 1, 3, "value")
    plan = plan_of([A, H, G], loop(1, 3, put(H.whole(t), A.whole(), 1)), loop(1, 3, put(G.whole(t), H.whole(t))),
                   outputs=("G",))
    assert not gone(plan, "H")


@pytest.mark.parametrize("turns", range(4))
def test_blocks_and_transposes_of_what_is_recomputed(turns: int) -> None:
    """A reader of a part gets that part of every operand; columns that are spread stay whole."""
    column = matrix("c", 5, 1, "input")
    stored = V.whole() if turns & 1 == 0 else matrix("V", 7, 5).whole().T
    buffer = V if turns & 1 == 0 else matrix("V", 7, 5)
    part: View = stored.block(one, two, sp.Integer(3), sp.Integer(4))
    shape = (3, 4) if turns & 2 == 0 else (4, 3)
    target = matrix("out", *shape, "value")
    plan = plan_of([A, column, buffer, target], put(stored, A.whole(), column.whole()),
                   put(target.whole(), part if turns & 2 == 0 else part.T))
    recomputed = recompute(plan)
    assert same_outcome(plan, recomputed)


def test_values_in_loops() -> None:
    H = family("H", 5, 7, 1, 3, "input")
    S = matrix("out", 5, 7, "value")
    plan = plan_of([H, V, S], put(S.whole(), 0),
                   loop(1, 3, put(V.whole(), H.whole(t), Number(t)), put(S.whole(), V.whole(), add=True)))
    assert gone(plan)


def test_slopes_are_written_into_error_signals() -> None:
    plan = planned("X: input[3, m]\nW: param[2, 3]; V: param[1, 2]\nA = tanh(W @ X)\nZ = V @ A\nloss = sum(Z**2)\n",
                   {"m": 5}, ["copy propagation", "common subexpressions", "dead equations", "recompute"])
    assert gemms(plan)
    kept = {n for n, buffer in plan.buffers.items() if buffer.role == "scratch"}
    assert "A" in kept
    assert len(kept) <= 7
