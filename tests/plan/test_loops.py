"""Sums of products as one product, loops that run together, families of which one member is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sympy as sp
from plan_cases import (
    before, bundled, case, declared, family, gemms, loop, loops_of, matrix, plan_of, planned, put, same_outcome, t,
    wrong,
)

from symbp.expr import size
from symbp.plan.ir import Buffer, Gemm, Kernel, Loop, Plan, View
from symbp.plan.loops import carry, free_of_order, fuse_loops, stack_products, stackable
from symbp.plan.passes import run

zero, one, two = sp.S.Zero, sp.S.One, sp.Integer(2)
A, out = matrix("A", 5, 7, "input"), matrix("out", 5, 7, "value")


# -- stacked products -----------------------------------------------------------------------------------------


def stacked(order: str = "F", left: Any = None, right: Any = None, **rest: Any) -> tuple[Plan, Gemm]:
    """Return the plan of ``out = sum_t Z[t] H[t-1]^T``."""
    Z = family("Z", 3, 2, 1, 4, "input", order=order)
    H = family("H", 5, 2, 0, 4, "input", order=order)
    W = matrix("out", 3, 5, "value")
    gemm = Gemm(W.whole(), left(Z) if left else Z.whole(t), right(H) if right else H.whole(t - 1).T,
                stacked=((t, one, sp.Integer(4)),), **rest)
    return plan_of([Z, H, W], gemm), gemm


def test_members_behind_each_other_make_one_product() -> None:
    plan, gemm = stacked("F")
    assert stackable(plan, gemm)
    assert stack_products(plan) == plan


def test_members_beside_each_other_are_added_up() -> None:
    plan, gemm = stacked("C")
    assert not stackable(plan, gemm)
    new = stack_products(plan)
    assert same_outcome(plan, new)
    assert [type(k).__name__ for k in new.body] == ["Nest", "Loop"]
    (only,) = gemms(new)
    assert only.accumulate
    assert not only.stacked


def test_what_is_added_to_is_not_cleared() -> None:
    plan, _ = stacked("C", accumulate=True, alpha=sp.Rational(2))
    clear = put(plan.buffers["out"].whole(), 1)
    plan = plan.with_body((clear, *plan.body))
    new = stack_products(plan)
    assert len(new.body) == 2
    assert same_outcome(plan, new)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (lambda Z: Z.whole(5 - t), None),
        (lambda Z: Z.whole(two), None),
        (lambda Z: Z.whole(t).block(zero, zero, sp.Integer(3), two).block(one, zero, two, two), None),
        (None, lambda H: H.whole(t - 1).block(zero, zero, sp.Integer(4), two).T),
    ],
)
def test_reversed_fixed_and_partial_members_are_added_up(left: Any, right: Any) -> None:
    plan, gemm = stacked("F", left, right)
    shape = (gemm.left.rows, gemm.right.cols)
    target = matrix("out", *shape, "value")
    plan = plan.with_buffers(target).with_body([replace(gemm, out=target.whole())])
    assert not stackable(plan, replace(gemm, out=target.whole()))
    assert same_outcome(plan, stack_products(plan))


def test_a_batch_known_at_run_time_leaves_gaps() -> None:
    m = size("m")
    Z = Buffer("Z", sp.Integer(3), m, "input", (t,), (one,), (sp.Integer(4),), "F")
    H = Buffer("H", sp.Integer(5), m, "input", (t,), (zero,), (sp.Integer(4),), "F")
    W = matrix("out", 3, 5, "value")
    gemm = Gemm(W.whole(), Z.whole(t), H.whole(t - 1).T, stacked=((t, one, sp.Integer(4)),))
    plan = plan_of([Z, H, W], gemm)
    assert stackable(plan, gemm)
    assert not stackable(replace(plan, capacity={m: 9}), gemm)


def test_the_gradients_of_a_recurrence_are_single_products() -> None:
    plan = planned(RNN, SIZES, before("fuse loops"))
    assert [g.out.buffer for g in gemms(plan) if g.stacked] == ["W_bar", "U_bar"]


RNN = (
    "samples: m\nH[0]: input[h, m]\nW: param[h, h]; U: param[h, n]\nfor t in range(1, T+1):\n    X[t]: input[n, m]\n"
    "    H[t] = tanh(W @ H[t-1] + U @ X[t])\nloss = sum(H[T]**2)\n"
)
SIZES = {"h": 5, "n": 3, "m": 17, "T": 6}


# -- loops that run together ----------------------------------------------------------------------------------

H, G = family("H", 5, 7, -3, 9), family("G", 5, 7, -3, 9, "value")


def two_loops(first: Kernel, second: Kernel, *front: Kernel) -> Plan:
    clear = [loop(-3, 9, put(H.whole(t), A.whole(), t)), loop(-3, 9, put(G.whole(t), A.whole(), t))]
    return plan_of([A, H, G, out], *clear, *front, first, second, outputs=("G", "H") if front else ("G",))


def fused(plan: Plan) -> list[Any]:
    """Return the loops after the two that fill the families, which are the same or one."""
    new = fuse_loops(plan)
    assert same_outcome(plan, new)
    return [x for x in loops_of(new) if (x.low, x.high) == (1, 5)]


@pytest.mark.parametrize(("offset", "down", "together"), [
    (0, False, True), (-1, False, True), (-3, False, True), (1, False, False), (3, False, False),
    (0, True, True), (1, True, True), (3, True, True), (-1, True, False), (-3, True, False),
])
def test_each_read_comes_after_its_definition(offset: int, down: bool, together: bool) -> None:
    """The second loop reads ``H[t + offset]`` and has an order of its own, so the directions are settled."""
    step = 1 if down else -1
    first = loop(1, 5, put(H.whole(t), H.whole(t + step), 1), down=down)
    second = loop(1, 5, put(G.whole(t), G.whole(t + step), H.whole(t + offset)), down=down)
    assert (len(fused(two_loops(first, second))) == 1) is together


def test_a_loop_without_order_takes_the_other_direction() -> None:
    first = loop(1, 5, put(H.whole(t), A.whole(), t))
    second = loop(1, 5, put(G.whole(t), G.whole(t + 1), H.whole(t)), down=True)
    (one_,) = fused(two_loops(first, second))
    assert one_.down
    first = loop(1, 5, put(H.whole(t), H.whole(t + 1), 1), down=True)
    second = loop(1, 5, put(G.whole(t), H.whole(t), 1))
    (one_,) = fused(two_loops(first, second))
    assert one_.down


def test_opposite_orders_stay_apart() -> None:
    first = loop(1, 5, put(H.whole(t), H.whole(t - 1), 1))
    second = loop(1, 5, put(G.whole(t), G.whole(t + 1), H.whole(t)), down=True)
    assert len(fused(two_loops(first, second))) == 2


def test_reversed_reads_stay_apart() -> None:
    first = loop(1, 5, put(H.whole(t), H.whole(t - 1), 1))
    second = loop(1, 5, put(G.whole(t), H.whole(6 - t)))
    assert len(fused(two_loops(first, second))) == 2


def test_other_ranges_stay_apart() -> None:
    first = loop(1, 5, put(H.whole(t), A.whole(), t))
    second = loop(1, 4, put(G.whole(t), H.whole(t)))
    assert len(loops_of(fuse_loops(two_loops(first, second)))) == len(loops_of(two_loops(first, second))) - 1


def test_a_later_write_of_what_is_read_counts() -> None:
    """The first reads H[t+1], the second writes H[t]: up, each member is read before it changes."""
    first = loop(1, 5, put(G.whole(t), G.whole(t - 1), H.whole(t + 1)))
    second = loop(1, 5, put(H.whole(t), H.whole(t - 1), 1))
    assert len(fused(two_loops(first, second))) == 1
    early = loop(1, 5, put(G.whole(t), G.whole(t - 1), H.whole(t - 1)))
    assert len(fused(two_loops(early, second))) == 2


def test_accumulators_run_together() -> None:
    S, R = matrix("out", 5, 7, "value"), matrix("R", 5, 7, "value")
    plan = plan_of([A, S, R], put(S.whole(), 0), loop(1, 5, put(S.whole(), A.whole(), t, add=True)),
                   put(R.whole(), 0), loop(1, 5, put(R.whole(), A.whole(), add=True)), outputs=("out", "R"))
    new = fuse_loops(plan)
    assert same_outcome(plan, new)
    assert len(loops_of(new)) == 1


def test_a_sum_that_is_read_before_it_is_complete_stays_apart() -> None:
    S = matrix("S", 5, 7)
    plan = plan_of([A, S, G], put(S.whole(), 0), loop(1, 5, put(S.whole(), A.whole(), t, add=True)),
                   loop(-3, 9, put(G.whole(t), 0)), loop(1, 5, put(G.whole(t), S.whole())), outputs=("G",))
    new = fuse_loops(plan)
    assert same_outcome(plan, new)
    assert len([x for x in loops_of(new) if x.high == 5]) == 2


def test_a_statement_between_keeps_loops_apart() -> None:
    first = loop(1, 5, put(H.whole(t), A.whole(), t))
    between = put(out.whole(), H.whole(two))
    second = loop(1, 5, put(G.whole(t), out.whole(), H.whole(t)))
    plan = plan_of([A, H, G, out], first, loop(-3, 9, put(G.whole(t), 0)), between, second, outputs=("G",))
    new = fuse_loops(plan)
    assert same_outcome(plan, new)
    assert len([x for x in loops_of(new) if x.high == 5]) == 2


def test_indices_are_renamed() -> None:
    k = sp.Symbol("k", integer=True)
    first = loop(1, 5, put(H.whole(t), A.whole(), t))
    second = loop(1, 5, put(G.whole(k), H.whole(k)), index=k)
    (only,) = fused(two_loops(first, second))
    assert only.index == t


def test_the_index_of_a_number_is_renamed_too() -> None:
    """An index may stand in a number of a statement, not only in members."""
    k = sp.Symbol("k", integer=True)
    first = loop(1, 5, put(H.whole(t), A.whole(), t))
    second = loop(1, 5, put(G.whole(k), H.whole(k), k), index=k)
    fused(two_loops(first, second))


def test_inner_loops_run_together() -> None:
    s = sp.Symbol("s", integer=True)
    F = Buffer("F", sp.Integer(2), sp.Integer(2), "scratch", (s, t), (one, one), (two, sp.Integer(3)))
    E = replace(F, name="E", role="value")
    B = matrix("B", 2, 2, "input")
    first = loop(1, 2, loop(1, 3, put(F.whole(s, t), B.whole(), s)), index=s)
    second = loop(1, 2, loop(1, 3, put(E.whole(s, t), F.whole(s, t), t)), index=s)
    plan = plan_of([B, F, E], first, second, outputs=("E",))
    new = fuse_loops(plan)
    assert same_outcome(plan, new)
    assert len(loops_of(new)) == 2


def test_an_index_is_not_captured_by_an_inner_loop() -> None:
    """Two loops of one length over different indices, one around the other's: renaming would mix them up."""
    s = sp.Symbol("s", integer=True)
    F = Buffer("F", sp.Integer(2), sp.Integer(2), "value", (s, t), (one, one), (two, two))
    E = replace(F, name="E", indices=(s,), lows=(one,), highs=(two,))
    B = matrix("B", 2, 2, "input")
    first = loop(1, 2, put(E.whole(s), B.whole(), s), index=s)
    second = loop(1, 2, loop(1, 2, put(F.whole(s, t), B.whole(), s + 3 * t), index=s), index=t)
    plan = plan_of([B, F, E], first, second, outputs=("E", "F"))
    assert same_outcome(plan, fuse_loops(plan))


def test_free_of_order() -> None:
    assert free_of_order(loop(1, 5, put(G.whole(t), H.whole(t + 1))))
    assert not free_of_order(loop(1, 5, put(H.whole(t), H.whole(t - 1))))
    S = out.whole()
    assert free_of_order(loop(1, 5, put(S, A.whole(), add=True)))
    assert free_of_order(loop(1, 5, put(S, H.whole(t)), put(G.whole(t), S)))
    assert not free_of_order(loop(1, 5, put(G.whole(t), S), put(S, H.whole(t))))
    assert not free_of_order(loop(1, 5, put(S, A.whole(), add=True), put(G.whole(t), S)))


def test_both_directions_of_a_network_stay_and_others_join_them() -> None:
    plan = planned(RNN, SIZES, before("carry"))
    assert [x.down for x in loops_of(plan) if x.low == 1] == [False, True]
    sides = bundled("bidirectional").found.plans["train_step"]
    found = [x for x in loops_of(run(sides, before("carry"))) if x.low == 1]
    assert {x.down for x in found} == {False, True}
    assert len(found) < len(loops_of(sides))


def test_an_index_may_be_a_number() -> None:
    """A weight that grows with the step: the loops over t and k run together, and k is t."""
    text = RNN.replace("U @ X[t])", "t * (U @ X[t]))").replace(
        "loss = sum(H[T]**2)", "for k in range(1, T+1):\n    G[k] = k * H[k]\nloss = sum(G[T]**2) + sum(G[1]**2)"
    )
    derivation = declared(text)
    assert not wrong(case(derivation, SIZES))


# -- carried values -------------------------------------------------------------------------------------------


def carried(plan: Plan, name: str = "H") -> bool:
    """Tell whether one member of a family is kept; the outcome must be the same."""
    new = carry(plan)
    assert same_outcome(plan, new)
    return not new.buffers[name].indices


K = family("H", 5, 7, 0, 5)


def test_a_value_within_its_iteration() -> None:
    plan = plan_of([A, K, out], put(out.whole(), 0),
                   loop(0, 5, put(K.whole(t), A.whole(), t), put(out.whole(), K.whole(t), add=True)))
    assert carried(plan)


def recurrence(delay: int, down: bool = False, *, clear: bool = True, late: bool = False) -> Plan:
    """Return a loop that adds up what it wrote some iterations before; members before the first are zero."""
    M = family("H", 5, 7, -4, 9)
    step = delay if down else -delay
    read = put(out.whole(), M.whole(t + step), add=True)
    write = put(M.whole(t), A.whole(), t)
    body = (write, read) if late else (read, write)
    front = [loop(-4, 9, put(M.whole(t), 0))] if clear else []
    return plan_of([A, M, out], put(out.whole(), 0), *front, loop(1, 5, *body, down=down))


@pytest.mark.parametrize("down", [False, True])
def test_a_value_from_one_iteration_to_the_next(down: bool) -> None:
    assert carried(recurrence(1, down))


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("delay", [2, 3])
def test_longer_delays_stay(delay: int, down: bool) -> None:
    assert not carried(recurrence(delay, down))


@pytest.mark.parametrize("down", [False, True])
def test_two_delays_of_one_value_stay(down: bool) -> None:
    plan = recurrence(1, down)
    *front, last = plan.body
    assert isinstance(last, Loop)
    again = put(out.whole(), View("H", sp.Integer(5), sp.Integer(7), (t + (3 if down else -3),)), add=True)
    assert not carried(plan.with_body((*front, replace(last, body=(again, *last.body)))))


def test_a_value_that_is_overwritten_before_it_is_read_stays() -> None:
    assert not carried(recurrence(1, late=True))
    assert not carried(recurrence(1, down=True, late=True))


def test_members_that_others_read_stay() -> None:
    plan = recurrence(1)
    last = View("H", sp.Integer(5), sp.Integer(7), (sp.Integer(5),))
    assert not carried(plan.with_body((*plan.body, put(out.whole(), last, add=True))))
    wanted = replace(plan, outputs=("out", "H"))
    assert not carried(wanted)


def pairs(*body: Kernel) -> Plan:
    """Return a plan over the family H[s, t] inside a loop over s."""
    F = Buffer("H", sp.Integer(5), sp.Integer(7), "scratch", (s, t), (one, one), (two, sp.Integer(3)))
    return plan_of([A, F, out], put(out.whole(), 0), loop(1, 2, *body, index=s))


s = sp.Symbol("s", integer=True)


def pair(*at: Any) -> View:
    return View("H", sp.Integer(5), sp.Integer(7), tuple(map(sp.sympify, at)))


def test_only_the_index_whose_iterations_share_nothing_is_dropped() -> None:
    """Each iteration over s writes all H[s, t], then reads them in another loop: t stays, s goes."""
    plan = pairs(loop(1, 3, put(pair(s, t), A.whole(), s + 3 * t)), loop(1, 3, put(out.whole(), pair(s, t), add=True)))
    new = carry(plan)
    assert same_outcome(plan, new)
    assert new.buffers["H"].indices == (t,)


def test_an_index_that_another_iteration_reads_stays() -> None:
    write = loop(1, 3, put(pair(s, t), A.whole(), s + 3 * t))
    late = loop(1, 3, put(out.whole(), pair(1, t), add=True))
    plan = pairs(write, late)
    new = carry(plan)
    assert same_outcome(plan, new)
    assert new.buffers["H"].indices == (s, t)


def test_an_index_over_which_a_value_is_handed_on_stays() -> None:
    """H[s, t] is the sum of A and of H[s-1, t]: a loop over t inside of one over s."""
    F = Buffer("H", sp.Integer(5), sp.Integer(7), "scratch", (s, t), (zero, one), (two, sp.Integer(3)))
    first = loop(1, 3, put(pair(0, t), A.whole(), t))
    steps = put(pair(s, t), A.whole(), pair(s - 1, t)), put(out.whole(), pair(s, t), add=True)
    on = loop(1, 2, loop(1, 3, *steps), index=s)
    plan = plan_of([A, F, out], put(out.whole(), 0), loop(1, 1, first, on, index=sp.Symbol("r", integer=True)))
    new = carry(plan)
    assert same_outcome(plan, new)
    assert s in new.buffers["H"].indices


def test_an_index_of_which_an_iteration_has_two_members_stays() -> None:
    F = Buffer("H", sp.Integer(5), sp.Integer(7), "scratch", (s, t), (one, one), (sp.Integer(4), sp.Integer(3)))
    body = (
        put(pair(s, 1), A.whole()), put(pair(s + 2, 1), A.whole(), s), put(out.whole(), pair(s, 1), add=True),
        put(out.whole(), pair(s + 2, 1), add=True),
    )
    plan = plan_of([A, F, out], put(out.whole(), 0), loop(1, 2, *body, index=s))
    assert same_outcome(plan, carry(plan))


def test_each_place_that_writes_and_reads_gets_a_member_of_its_own() -> None:
    """The last step stands apart, as in the backward pass of a recurrence."""
    def step(at: Any, factor: int) -> tuple[Kernel, ...]:
        return put(K.whole(at), A.whole(), factor), put(out.whole(), K.whole(at), add=True)

    plan = plan_of([A, K, out], put(out.whole(), 0), *step(sp.Integer(5), 3), loop(0, 4, *step(t, 2), down=True))
    new = carry(plan)
    assert same_outcome(plan, new)
    assert [b.indices for n, b in new.buffers.items() if n.startswith("H")] == [(), ()]


@pytest.mark.parametrize("between", [
    put(K.whole(sp.Integer(4)), A.whole(), 7),  # another member is written before the first is read
    loop(0, 4, put(K.whole(t), A.whole(), 7)),  # so it is in a loop
], ids=["statement", "loop"])
def test_a_member_that_waits_while_another_is_written_stays(between: Kernel) -> None:
    read = put(out.whole(), K.whole(sp.Integer(5)), add=True)
    plan = plan_of([A, K, out], put(out.whole(), 0), put(K.whole(sp.Integer(5)), A.whole()), between, read)
    assert not carried(plan)


def test_a_member_that_is_made_of_the_one_before_stays() -> None:
    """The backward pass of a single step: the first state's adjoint is made of that of the state behind it."""
    one_, zero_ = sp.Integer(1), sp.Integer(0)
    plan = plan_of(
        [A, K, out], put(out.whole(), 0), put(K.whole(one_), A.whole()),
        put(K.whole(zero_), A.whole(), K.whole(one_)), put(out.whole(), K.whole(zero_), add=True),
    )
    assert not carried(plan)


def test_a_member_of_which_a_part_is_written_elsewhere_stays() -> None:
    """Its upper rows are written in the first loop, the lower ones in the second, which reads all of it."""
    def rows(first: int, count: int) -> View:
        return K.whole(t).block(sp.Integer(first), zero, sp.Integer(count), sp.Integer(7))

    some = [A.whole().block(sp.Integer(k), zero, sp.Integer(n), sp.Integer(7)) for k, n in ((0, 2), (2, 3))]
    plan = plan_of([A, K, out], put(out.whole(), 0), loop(0, 5, put(rows(0, 2), some[0], t)),
                   loop(0, 5, put(rows(2, 3), some[1], t), put(out.whole(), K.whole(t), add=True)))
    assert not carried(plan)


def test_messages_of_delay_1_are_carried_and_of_delay_3_are_not() -> None:
    found = bundled("delayed").found.plans["train_step"]
    plan = run(found, before("split coefficients"))
    assert plan.buffers["M_H"].indices == ()
    assert len(plan.buffers["M_H_2"].indices) == 1
