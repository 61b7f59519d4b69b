"""Copies read where they come from, equal values computed once, values that nobody reads gone; and what stays."""

from __future__ import annotations

from typing import Any

import sympy as sp
from plan_cases import before, bundled, family, gemms, loop, matrix, plan_of, put, same_outcome, t

from symbp.expr import Function
from symbp.plan.ir import Apply, Buffer, Gemm, Kernel, Nest, Plan, Put, Read, View, puts, reads, total, walk
from symbp.plan.passes import run
from symbp.plan.simplify import common_subexpressions, copy_propagation, dead_equations

A = matrix("A", 5, 7, "input")
out = matrix("out", 5, 7, "value")
zero, one, two = sp.S.Zero, sp.S.One, sp.Integer(2)


def tanh(view: View) -> Apply:
    return Apply(Function("tanh"), (Read(view),))


def statements(plan: Plan) -> list[Put]:
    return [p for kernel in walk(plan.body) for p in puts(kernel)]


def shorter(before_: Plan, after: Plan, by: int = 1) -> bool:
    """Tell whether a pass removed so many kernels and changed no outcome."""
    return len(list(walk(before_.body))) - len(list(walk(after.body))) == by and same_outcome(before_, after)


# -- copies ---------------------------------------------------------------------------------------------------


def copied(copy: Buffer, source: View, *after: Kernel, more: tuple[Buffer, ...] = (), **rest: Any) -> Plan:
    return plan_of([A, copy, *more, out], put(copy.whole(), source), *after, **rest)


def test_a_copy_is_read_where_it_comes_from() -> None:
    B = matrix("B", 5, 7)
    plan = copied(B, A.whole(), put(out.whole(), tanh(B.whole())))
    new = copy_propagation(plan)
    assert shorter(plan, new)
    assert set(new.buffers) == {"A", "out"}


def test_copies_of_blocks_and_transposes() -> None:
    B = matrix("B", 4, 3)
    block = A.whole().T.block(two, one, sp.Integer(4), sp.Integer(3))
    small = matrix("out", 2, 3, "value")
    part = B.whole().block(one, zero, two, sp.Integer(3))
    plan = plan_of([A, B, small], put(B.whole(), block), put(small.whole(), part))
    assert shorter(plan, copy_propagation(plan))
    back = matrix("out", 3, 2, "value")
    read = B.whole().T.block(zero, one, sp.Integer(3), two)
    plan = plan_of([A, B, back], put(B.whole(), block), put(back.whole(), read))
    assert shorter(plan, copy_propagation(plan))


def test_copies_of_members() -> None:
    H, G, F = family("H", 5, 7, 0, 5, "input"), family("G", 5, 7, 1, 4), family("out", 5, 7, 2, 4, "value")
    steps = loop(1, 4, put(G.whole(t), H.whole(t + 1)))
    plan = plan_of([H, G, F], steps, loop(2, 4, put(F.whole(t), G.whole(t - 1), G.whole(t))))
    new = copy_propagation(plan)
    assert shorter(plan, new)
    assert {v.where for k in walk(new.body) for v in reads(k)} == {(t,), (t + 1,)}


def test_a_copy_whose_source_is_rewritten_stays() -> None:
    """The old value is needed: a parameter that is updated in between, a sum that goes on."""
    B, W = matrix("B", 5, 7), matrix("W", 5, 7, "param")
    plan = plan_of([A, W, B, out], put(B.whole(), W.whole()), put(W.whole(), W.whole(), A.whole()),
                   put(out.whole(), B.whole(), W.whole()))
    assert copy_propagation(plan) == plan
    S = matrix("S", 5, 7)
    plan = plan_of([A, S, B, out], put(S.whole(), A.whole()), put(B.whole(), S.whole()),
                   put(S.whole(), A.whole(), add=True), put(out.whole(), B.whole(), S.whole()))
    assert "B" in copy_propagation(plan).buffers
    assert same_outcome(plan, copy_propagation(plan))


def test_what_is_no_plain_copy_stays() -> None:
    B, column = matrix("B", 5, 7), matrix("c", 5, 1, "input")
    spread = plan_of([column, B, out], put(B.whole(), column.whole()), put(out.whole(), B.whole()))
    assert copy_propagation(spread) == spread or same_outcome(spread, copy_propagation(spread))
    wanted = copied(B, A.whole(), put(out.whole(), B.whole()), outputs=("B", "out"))
    assert "B" in copy_propagation(wanted).buffers
    half = B.whole().block(zero, zero, sp.Integer(5), two)
    partial = plan_of([A, B, out], put(B.whole(), 1), put(half, A.whole().block(zero, zero, sp.Integer(5), two)),
                      put(out.whole(), B.whole()))
    assert copy_propagation(partial) == partial


# -- equal values ---------------------------------------------------------------------------------------------


def test_equal_values_are_computed_once() -> None:
    B, C = matrix("B", 5, 7), matrix("C", 5, 7)
    plan = plan_of([A, B, C, out], put(B.whole(), tanh(A.whole())), put(C.whole(), tanh(A.whole())),
                   put(out.whole(), B.whole(), C.whole()))
    assert shorter(plan, common_subexpressions(plan))


def test_equal_products_and_reductions() -> None:
    G, F, r, s = matrix("G", 5, 5), matrix("F", 5, 5), matrix("r", 5, 1), matrix("s", 5, 1)
    square = matrix("out", 5, 5, "value")
    plan = plan_of(
        [A, G, F, r, s, square], Gemm(G.whole(), A.whole(), A.whole().T), Gemm(F.whole(), A.whole(), A.whole().T),
        put(r.whole(), A.whole(), over=(1,)), put(s.whole(), A.whole(), over=(1,)),
        put(square.whole(), G.whole(), F.whole().T, r.whole(), s.whole()),
    )
    assert shorter(plan, common_subexpressions(plan), 2)


def test_values_that_differ_stay_apart() -> None:
    G, F, square = matrix("G", 5, 5), matrix("F", 5, 5), matrix("out", 5, 5, "value")
    for other in (
        Gemm(F.whole(), A.whole(), A.whole().T, alpha=two), Gemm(F.whole(), A.whole(), A.whole().T, accumulate=True),
        put(F.whole(), A.whole(), over=(1,), op="max"), put(F.whole(), A.whole(), over=(1,)),
    ):
        plan = plan_of([A, G, F, square], put(F.whole(), 1), Gemm(G.whole(), A.whole(), A.whole().T), other,
                       put(square.whole(), G.whole(), F.whole()))
        assert common_subexpressions(plan) == plan


def test_a_value_after_its_operand_changed_is_another() -> None:
    B, C, S = matrix("B", 5, 7), matrix("C", 5, 7), matrix("S", 5, 7)
    plan = plan_of([A, B, C, S, out], put(S.whole(), A.whole()), put(B.whole(), tanh(S.whole())),
                   put(S.whole(), A.whole(), add=True), put(C.whole(), tanh(S.whole())),
                   put(out.whole(), B.whole(), C.whole()))
    assert same_outcome(plan, common_subexpressions(plan))
    assert len(statements(common_subexpressions(plan))) == 5
    loop_between = plan_of([A, B, C, S, out], put(S.whole(), A.whole()), put(B.whole(), tanh(S.whole())),
                           loop(1, 3, put(S.whole(), A.whole(), add=True)), put(C.whole(), tanh(S.whole())),
                           put(out.whole(), B.whole(), C.whole()))
    assert same_outcome(loop_between, common_subexpressions(loop_between))


def test_what_is_known_inside_a_loop_is_not_known_outside() -> None:
    B, C = matrix("B", 5, 7), matrix("C", 5, 7)
    H = family("H", 5, 7, 1, 3, "value")
    body = loop(1, 3, put(B.whole(), tanh(A.whole())), put(H.whole(t), B.whole()))
    plan = plan_of([A, B, C, H, out], body, put(C.whole(), tanh(A.whole())), put(out.whole(), C.whole()))
    assert common_subexpressions(plan) == plan


def test_what_the_caller_gets_is_computed() -> None:
    B = matrix("B", 5, 7, "value")
    both = put(B.whole(), tanh(A.whole())), put(out.whole(), tanh(A.whole()))
    plan = plan_of([A, B, out], *both, outputs=("B", "out"))
    assert common_subexpressions(plan) == plan


def test_the_error_signal_of_two_uses_is_computed_once() -> None:
    """T(W) enters two gradients of one network: no product stands twice after the pass."""
    for name in ("residual", "dag", "lstm"):
        plan = common_subexpressions(bundled(name).found.plans["train_step"])
        keys = [(g.left, g.right, g.alpha, g.stacked) for g in gemms(plan) if not g.accumulate and not g.left.where]
        assert len(keys) == len(set(keys))


# -- dead ----------------------------------------------------------------------------------------------------


def test_what_nobody_reads_goes_and_what_only_it_reads() -> None:
    B, C = matrix("B", 5, 7), matrix("C", 5, 7)
    plan = plan_of([A, B, C, out], put(B.whole(), tanh(A.whole())), put(C.whole(), tanh(B.whole())),
                   put(out.whole(), A.whole()))
    new = dead_equations(plan)
    assert shorter(plan, new, 2)
    assert set(new.buffers) == {"A", "out"}


def test_a_value_that_only_it_itself_reads_is_dead() -> None:
    S = matrix("S", 5, 7)
    plan = plan_of([A, S, out], put(S.whole(), 0), loop(1, 3, put(S.whole(), S.whole(), A.whole())),
                   put(out.whole(), A.whole()))
    assert len(list(walk(dead_equations(plan).body))) == 1


def test_dead_loops_go() -> None:
    H = family("H", 5, 7, 1, 3)
    plan = plan_of([A, H, out], loop(1, 3, put(H.whole(t), A.whole())), put(out.whole(), A.whole()))
    assert dead_equations(plan).body == plan.body[1:]
    alive = plan_of([A, H, out], loop(1, 3, put(H.whole(t), A.whole())), put(out.whole(), H.whole(two)))
    assert dead_equations(alive) == alive


def test_parameters_are_alive() -> None:
    W = matrix("W", 5, 7, "param")
    plan = plan_of([A, W], put(W.whole(), W.whole(), A.whole()), outputs=("W",))
    assert dead_equations(plan) == plan


def test_the_loss_of_a_prediction_is_dead() -> None:
    """``predict`` computes what it gives, no more."""
    plan = bundled("rnn").found.plans["predict"]
    assert "loss" not in run(plan, before("recompute")).buffers


def test_a_sum_of_a_group_that_only_it_itself_reads_is_dead() -> None:
    S = matrix("S", 5, 7)
    group = Nest((Put(S.whole(), total(Read(S.whole()), Read(A.whole()))), Put(out.whole(), Read(A.whole()))))
    plan = plan_of([A, S, out], put(S.whole(), 0), group)
    new = dead_equations(plan)
    assert same_outcome(plan, new)
    assert [p.target.buffer for p in statements(new)] == ["out"]


def test_a_value_made_of_its_own_old_value_is_not_known() -> None:
    """After ``W = W + A`` the same words mean something else."""
    B, W = matrix("B", 5, 7), matrix("W", 5, 7, "param")
    plan = plan_of([A, B, W, out], put(W.whole(), W.whole(), A.whole()), put(B.whole(), W.whole(), A.whole()),
                   put(out.whole(), B.whole()), outputs=("W", "out"))
    assert same_outcome(plan, common_subexpressions(plan))
