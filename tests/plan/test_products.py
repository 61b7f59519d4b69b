"""Lowering of products: coefficients and sums apart, forms, packing, blocks of rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sympy as sp
from plan_cases import (
    TOLERANCE, bundled, family, finished, gemms, loop, matrix, plan_of, put, same_outcome, t, workload, workloads,
)

from symbp.expr import Function, size
from symbp.networks import names
from symbp.plan.fusion import fuse
from symbp.plan.ir import Apply, Buffer, Call, Form, Gemm, Loop, Plan, Read, puts, walk, writes
from symbp.plan.passes import run
from symbp.plan.products import (
    BLOCK, LARGE_BLOCK, PANEL, choose_forms, keep_blocks, oriented, split_coefficients, split_sums,
)
from symbp.plan.storage import neighbours

A, B = matrix("A", 50, 40, "input"), matrix("B", 40, 30, "input")
out = matrix("out", 50, 30, "value")
third = sp.Rational(1, 3)
product = Gemm(out.whole(), A.whole(), B.whole())


def calls(plan: Plan) -> list[Call]:
    return [k for k in walk(plan.body) if isinstance(k, Call)]


def lowered(*body: Any, change: Any = choose_forms, buffers: tuple[Buffer, ...] = (A, B, out), **rest: Any) -> Plan:
    plan = plan_of(buffers, *body, **rest)
    new: Plan = change(plan)
    assert same_outcome(plan, new)
    return new


# -- coefficients and sums ------------------------------------------------------------------------------------


def test_a_coefficient_goes_behind_the_product() -> None:
    new = lowered(replace(product, alpha=third), change=split_coefficients)
    assert [type(k).__name__ for k in new.body] == ["Gemm", "Nest"]
    assert gemms(new)[0].alpha == 1
    assert lowered(product, change=split_coefficients).body == (product,)


def test_a_coefficient_of_what_is_added_needs_a_place() -> None:
    """The coefficient must not touch what was there before."""
    new = lowered(put(out.whole(), 5), replace(product, alpha=third, accumulate=True), change=split_coefficients)
    assert "out_part" in new.buffers
    assert [g.accumulate for g in gemms(new)] == [False]


@pytest.mark.parametrize("turned", [False, True])
def test_sums_apart(turned: bool) -> None:
    target = matrix("out", 30, 50, "value", order="F") if turned else out
    view = target.whole().T if turned else target.whole()
    gemm = replace(product, out=view, accumulate=True, alpha=third)
    new = lowered(put(target.whole(), 5), gemm, change=split_sums, buffers=(A, B, target))
    assert not any(g.accumulate for g in gemms(new))
    part = new.buffers["out_part"]
    # The part lies as what it is added to.
    assert neighbours(part.whole(), part.order) == neighbours(view, target.order)


# -- forms ----------------------------------------------------------------------------------------------------


def form(rows: int, depth: int, cols: int, order_left: Any = "C", order_right: Any = "C", order_out: Any = "C") -> Form:
    left = matrix("A", rows, depth, "input", order=order_left)
    right = matrix("B", depth, cols, "input", order=order_right)
    target = matrix("out", rows, cols, "value", order=order_out)
    new = lowered(Gemm(target.whole(), left.whole(), right.whole()), buffers=(left, right, target))
    (found,) = gemms(new)
    assert found.form is not None
    assert (found.form.panel != "") == (found.form.kind == "packed") == bool(calls(new))
    return found.form


def test_forms() -> None:
    assert form(50, 40, 30).kind == "direct"
    assert form(50, 40, 30, order_right="F").kind == "packed"
    assert form(50, 40, 30, order_left="F").kind == "direct"
    assert form(50, 40, 30, "F", "F", "F").kind == "direct"
    assert form(50, 40, 30, order_left="C", order_right="F", order_out="F").kind == "packed"
    assert form(3, 200, 100, order_right="F").kind == "dot"
    assert form(3, 200, 100, "F", "F").kind == "packed"
    assert form(100, 16, 16, order_right="F").kind == "small"
    assert form(8, 8, 8, order_right="F").kind == "small"


def test_a_panel_is_wide_enough() -> None:
    new = lowered(product, buffers=(A, matrix("B", 40, 30, "input", order="F"), out))
    panel = new.buffers[gemms(new)[0].form.panel]  # type: ignore[union-attr]
    assert panel.rows == 40
    assert panel.cols == 32
    assert panel.cols % PANEL == 0


F = matrix("B", 40, 30, "input", order="F")
other = matrix("other", 50, 30, "value")


def test_a_factor_is_packed_once() -> None:
    again = Gemm(other.whole(), A.whole(), F.whole())
    new = lowered(product, again, buffers=(A, F, out, other), outputs=("out", "other"))
    assert len(calls(new)) == 1
    forms = [g.form for g in gemms(new)]
    assert forms[0] == forms[1]


def test_a_factor_that_changes_is_packed_again() -> None:
    W = matrix("B", 40, 30, "param", order="F")
    again = Gemm(other.whole(), A.whole(), W.whole())
    new = lowered(product, put(W.whole(), W.whole(), 1), again, buffers=(A, W, out, other), outputs=("out", "other"))
    assert len(calls(new)) == 2


def test_packing_comes_before_the_loop() -> None:
    H = family("H", 50, 40, 1, 4, "input")
    body = loop(1, 4, Gemm(out.whole(), H.whole(t), F.whole(), accumulate=True))
    new = lowered(put(out.whole(), 0), body, buffers=(H, F, out))
    assert [type(k).__name__ for k in new.body] == ["Nest", "Call", "Loop"]


def test_packing_of_what_changes_in_the_loop_stays_in_it() -> None:
    H, W = family("H", 50, 40, 1, 4, "input"), matrix("B", 40, 30, "param", order="F")
    body = loop(1, 4, Gemm(out.whole(), H.whole(t), W.whole(), accumulate=True), put(W.whole(), W.whole(), t))
    new = lowered(put(out.whole(), 0), body, buffers=(H, W, out), outputs=("out", "B"))
    inner = next(k for k in new.body if isinstance(k, Loop))
    assert isinstance(inner.body[0], Call)
    early = loop(1, 4, put(W.whole(), W.whole(), t), Gemm(out.whole(), H.whole(t), W.whole(), accumulate=True))
    assert lowered(put(out.whole(), 0), early, buffers=(H, W, out), outputs=("out", "B")).body


def test_members_are_packed_where_they_are_used() -> None:
    H = family("H", 40, 30, 1, 4, "input", order="F")
    body = loop(1, 4, Gemm(out.whole(), A.whole(), H.whole(t), accumulate=True))
    new = lowered(put(out.whole(), 0), body, buffers=(A, H, out))
    inner = next(k for k in new.body if isinstance(k, Loop))
    assert isinstance(inner.body[0], Call)


def test_a_block_that_moves_with_the_loop_is_packed_in_it() -> None:
    B = matrix("B", 40, 120, "input", order="F")
    block = B.whole().block(sp.S.Zero, 30 * (t - 1), sp.Integer(40), sp.Integer(30))
    new = lowered(
        put(out.whole(), 0), loop(1, 4, Gemm(out.whole(), A.whole(), block, accumulate=True)), buffers=(A, B, out)
    )
    (inner,) = [k for k in new.body if isinstance(k, Loop)]
    assert [type(k).__name__ for k in inner.body] == ["Call", "Gemm"]


def test_packing_comes_before_nested_loops() -> None:
    s = sp.Symbol("s", integer=True)
    body = loop(1, 2, loop(1, 3, Gemm(out.whole(), A.whole(), F.whole(), accumulate=True)), index=s)
    new = lowered(put(out.whole(), 0), body, buffers=(A, F, out))
    assert [type(k).__name__ for k in new.body] == ["Nest", "Call", "Loop"]


@pytest.mark.parametrize("name", names())
def test_what_is_packed_is_what_is_read(name: str) -> None:
    """Between a packing and each product that uses it nothing writes the factor; a panel holds one factor."""
    for plan in finished(name).plans.values():
        packed: dict[str, Any] = {}
        for kernel in walk(plan.body):
            if isinstance(kernel, Call):
                packed[kernel.writes[0].buffer] = kernel.reads[0]
            elif isinstance(kernel, Gemm) and kernel.form is not None and kernel.form.panel:
                factor = packed[kernel.form.panel]
                assert factor == oriented(kernel, plan.buffers[kernel.out.buffer].order).right
            if not isinstance(kernel, Call):
                changed = {v.buffer for v in writes(kernel)}
                packed = {p: v for p, v in packed.items() if v.buffer not in changed}


@pytest.mark.parametrize("name", workloads())
def test_rows_come_in_blocks_for_threads(name: str) -> None:
    for plan in workload(name).plans.values():
        for gemm in gemms(plan):
            assert gemm.form is not None
            assert 0 < gemm.form.block <= LARGE_BLOCK
            assert gemm.form.block <= BLOCK or name in ("mlp_1", "mlp_32", "mlp_256", "wide", "deep")


def test_a_product_is_oriented_along_memory() -> None:
    plain = oriented(product, "C")
    assert (plain.out, plain.left, plain.right) == (out.whole(), A.whole(), B.whole())
    assert (plain.rows, plain.depth, plain.cols) == (50, 40, 30)
    turned = oriented(product, "F")
    assert (turned.out, turned.left, turned.right) == (out.whole().T, B.whole().T, A.whole().T)


# -- blocks of rows -------------------------------------------------------------------------------------------

TALL = 500
tall, Z = matrix("A", TALL, 4, "input"), matrix("Z", TALL, 30)
flat, long = matrix("B", 4, 30, "input"), matrix("out", TALL, 30, "value")
into = Gemm(Z.whole(), tall.whole(), flat.whole())
behind = put(long.whole(), Apply(Function("tanh"), (Read(Z.whole()),)))


def kept(*body: Any, more: tuple[Buffer, ...] = (), **rest: Any) -> Plan:
    known = {b.name: b for b in (tall, Z, flat, long, *more)}
    plan = choose_forms(fuse(plan_of(list(known.values()), *body, **rest)))
    new = keep_blocks(plan)
    assert same_outcome(plan, new)
    return new


def test_a_product_that_only_its_epilogue_reads_is_never_whole() -> None:
    new = kept(into, behind)
    (gemm,) = gemms(new)
    assert gemm.form is not None
    assert new.buffers["Z"].window == gemm.form.block < TALL
    assert puts(gemm)


def test_what_others_read_is_whole() -> None:
    G = matrix("G", 30, 30, "value")
    later = Gemm(G.whole(), Z.whole().T, Z.whole())
    assert kept(into, behind, later, more=(G,), outputs=("out", "G")).buffers["Z"].window == 0
    wanted = matrix("Z", TALL, 30, "value")
    assert kept(into, behind, more=(wanted,), outputs=("out", "Z")).buffers["Z"].window == 0


def test_sums_and_short_products_are_whole() -> None:
    assert kept(into, replace(into, accumulate=True), behind).buffers["Z"].window == 0
    assert kept(into).buffers["Z"].window == 0
    short, small, few = matrix("A", 20, 4, "input"), matrix("Z", 20, 30), matrix("out", 20, 30, "value")
    gemm = Gemm(small.whole(), short.whole(), flat.whole())
    assert kept(gemm, put(few.whole(), small.whole(), 1), more=(short, small, few)).buffers["Z"].window == 0


def test_a_batch_known_at_run_time_has_blocks() -> None:
    m = size("m")
    X, Zm = Buffer("A", m, sp.Integer(4), "input"), Buffer("Z", m, sp.Integer(30))
    target = Buffer("out", m, sp.Integer(30), "value")
    gemm = Gemm(Zm.whole(), X.whole(), flat.whole())
    plan = replace(plan_of([X, flat, Zm, target], gemm, put(target.whole(), Zm.whole(), 1)), capacity={m: 700})
    assert keep_blocks(choose_forms(fuse(plan))).buffers["Z"].window > 0


@pytest.mark.parametrize("name", ["rnn", "deep", "lstm"])
def test_windows_of_networks(name: str) -> None:
    given, found = bundled(name), finished(name)
    plan = found.plans["train_step"]
    assert given.error(plan, found) < TOLERANCE
    assert given.error(run(given.found.plans["train_step"])) < TOLERANCE
