"""Gradients wait until nobody reads the old parameter."""

from __future__ import annotations

import pytest
import sympy as sp
from plan_cases import TOLERANCE, before, bundled, gemms, matrix, plan_of, planned, put, same_outcome

from symbp.plan.ir import Gemm, Kernel, Number, Plan, Read, product, puts
from symbp.plan.passes import run
from symbp.plan.update import delay_gradients

X, D, W = matrix("X", 4, 5, "input"), matrix("D", 3, 5, "input"), matrix("W", 3, 4, "param")
W_bar, back = matrix("W_bar", 3, 4), matrix("back", 4, 5, "value")
gradient = Gemm(W_bar.whole(), D.whole(), X.whole().T)
through = Gemm(back.whole(), W.whole().T, D.whole())
update = put(W.whole(), W.whole(), product(Number(sp.Integer(-1)), Read(W_bar.whole())))


def after(*body: Kernel, outputs: tuple[str, ...] = ("W", "back")) -> Plan:
    plan = plan_of([X, D, W, W_bar, back], *body, outputs=outputs)
    new = delay_gradients(plan)
    assert same_outcome(plan, new)
    return new


def test_the_gradient_waits_for_the_last_reader() -> None:
    assert after(gradient, through, update).body == (through, gradient, update)


def test_it_is_there_already() -> None:
    assert after(through, gradient, update).body == (through, gradient, update)


def test_a_gradient_that_somebody_reads_before_stays() -> None:
    read = put(back.whole().block(*map(sp.Integer, (0, 0, 3, 4))), W_bar.whole(), add=True)
    body = (put(back.whole(), 0), gradient, read, Gemm(back.whole(), W.whole().T, D.whole(), accumulate=True), update)
    assert after(*body).body == body


def test_operands_that_change_stop_it() -> None:
    """The error signal is overwritten before the last reader of the parameter: the product cannot wait so long."""
    S = matrix("S", 3, 5)
    fill, again = put(S.whole(), D.whole()), put(S.whole(), D.whole(), 1)
    first = Gemm(W_bar.whole(), S.whole(), X.whole().T)
    body = (fill, first, again, Gemm(back.whole(), W.whole().T, S.whole()), update)
    plan = plan_of([X, D, S, W, W_bar, back], *body, outputs=("W", "back"))
    new = delay_gradients(plan)
    assert same_outcome(plan, new)
    assert new.body.index(first) < new.body.index(again)


def test_two_products_into_one_gradient_keep_their_order() -> None:
    more = Gemm(W_bar.whole(), D.whole(), X.whole().T, alpha=sp.Integer(2), accumulate=True)
    new = after(gradient, more, through, update)
    assert new.body.index(gradient) < new.body.index(more) < new.body.index(update)


def test_a_gradient_that_the_caller_gets_is_stored_anyway() -> None:
    assert after(gradient, through, update, outputs=("W", "W_bar", "back")).body[0] == gradient


@pytest.mark.parametrize("name", ["mlp", "digits", "iris", "residual", "deep", "rnn"])
def test_no_weight_is_read_after_its_update_and_updates_are_fused(name: str) -> None:
    given = bundled(name)
    plan = run(given.found.plans["train_step"], before("contract"))
    assert given.error(plan) < TOLERANCE
    fused = {p.target.buffer for g in gemms(plan) for p in puts(g) if plan.buffers[p.target.buffer].role == "param"}
    weights = {n for n, b in plan.buffers.items() if b.role == "param" and b.rows != 1 and b.cols != 1}
    # What a penalty also reads, and the members of a family in a loop, are updated by themselves.
    assert fused >= {w for w in weights if not plan.buffers[w].indices}


def test_the_gradient_of_the_last_layer_waits() -> None:
    text = (
        "X: input[6, m]\nY: target[3, m] & one_hot_columns\nW: param[5, 6]; V: param[3, 5]\n"
        "A = tanh(W @ X)\nZ = V @ A\n"
        "loss = softmax_cross_entropy(Z, Y)\n"
    )
    plan = planned(text, {"m": 7}, before("choose forms"))
    readers = [k for k, g in enumerate(gemms(plan)) if "V" in (g.left.buffer, g.right.buffer)]
    assert [g.out.buffer for g in gemms(plan)].index("V_bar") > max(readers)
