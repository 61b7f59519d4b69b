"""Entrywise statements run together and behind products; what reads across steps does not; temporaries shrink."""

from __future__ import annotations

from typing import Any

import pytest
import sympy as sp
from plan_cases import family, gemms, loop, matrix, plan_of, put, same_outcome, t

from symbp.expr import Function, size
from symbp.plan.fusion import SHARED, contract, fuse, multiplications, slow_axis
from symbp.plan.ir import Apply, Buffer, Gemm, Nest, Pick, Plan, Put, Read, View, product, puts

A, B = matrix("A", 5, 7, "input"), matrix("B", 7, 4, "input")
Z, out = matrix("Z", 5, 4), matrix("out", 5, 4, "value")
column, row = matrix("c", 5, 1), matrix("r", 1, 4)
zero, one, two = sp.S.Zero, sp.S.One, sp.Integer(2)
gemm = Gemm(Z.whole(), A.whole(), B.whole())


def fused(*body: Any, more: tuple[Buffer, ...] = (), outputs: tuple[str, ...] = ("out",)) -> Plan:
    known = {b.name: b for b in (A, B, Z, out, column, row, *more)}
    plan = plan_of(list(known.values()), *body, outputs=outputs)
    new = fuse(plan)
    assert same_outcome(plan, new)
    small = contract(new)
    assert same_outcome(plan, small)
    return new


def kinds(plan: Plan) -> list[str]:
    return [type(k).__name__ for k in plan.body]


def tanh(view: View) -> Apply:
    return Apply(Function("tanh"), (Read(view),))


# -- behind products ------------------------------------------------------------------------------------------


def test_statements_become_the_epilogue_of_a_product() -> None:
    new = fused(gemm, put(out.whole(), tanh(Z.whole())), put(out.whole(), out.whole(), 1))
    assert kinds(new) == ["Gemm"]
    assert len(puts(new.body[0])) == 2
    assert gemms(new)[0].epilogue.axis == 0  # type: ignore[union-attr]


def test_the_axis_is_the_slow_one() -> None:
    Zf, outf = matrix("Z", 5, 4, order="F"), matrix("out", 5, 4, "value", order="F")
    new = fused(Gemm(Zf.whole(), A.whole(), B.whole()), put(outf.whole(), tanh(Zf.whole())), more=(Zf, outf))
    assert gemms(new)[0].epilogue.axis == 1  # type: ignore[union-attr]


def test_reductions_along_a_row_join_and_what_they_give_may_be_read_in_the_step() -> None:
    scaled = put(out.whole(), product(Read(Z.whole()), Read(column.whole())))
    new = fused(gemm, put(column.whole(), Z.whole(), over=(1,)), scaled)
    assert kinds(new) == ["Gemm"]


def test_a_reduction_over_the_steps_is_not_read_in_them() -> None:
    """The sum over all rows is there after the last of them."""
    scaled = put(out.whole(), product(Read(Z.whole()), Read(row.whole())))
    new = fused(gemm, put(row.whole(), Z.whole(), over=(0,)), scaled)
    assert kinds(new) == ["Gemm", "Nest"]
    alone = fused(put(Z.whole(), 2), put(row.whole(), Z.whole(), over=(0,)), put(out.whole(), Z.whole(), row.whole()))
    assert len(alone.body) == 2


def test_transposed_reads_wait() -> None:
    S, T_ = matrix("Z", 5, 5), matrix("out", 5, 5, "value")
    square = Gemm(S.whole(), A.whole(), A.whole().T)
    new = fused(square, put(T_.whole(), S.whole(), S.whole().T), more=(S, T_))
    assert kinds(new) == ["Gemm", "Nest"]


def test_blocks_that_are_not_aligned_wait() -> None:
    four = sp.Integer(4)
    upper, lower = Z.whole().block(zero, zero, four, four), Z.whole().block(one, zero, four, four)
    small = matrix("out", 4, 4, "value")
    fill = put(Z.whole(), 2)
    new = fused(fill, put(small.whole(), lower), more=(small,))
    assert kinds(new) == ["Nest", "Nest"]
    new = fused(fill, put(upper, 5), put(small.whole(), lower), put(lower, small.whole()), more=(small,))
    assert len(new.body) >= 3


def test_reads_through_a_map_of_places_wait() -> None:
    turned = Pick(Z.whole(), "reshape", (sp.core.symbol.Str("F"), *Z.shape), Z.shape)
    assert kinds(fused(gemm, put(out.whole(), turned))) == ["Gemm", "Nest"]


def test_operands_of_a_product_do_not_change_behind_it() -> None:
    W = matrix("W", 7, 4, "param")
    multiply = Gemm(Z.whole(), A.whole(), W.whole())
    more = matrix("D", 7, 5)
    update = put(W.whole(), W.whole(), 1)
    big = fused(multiply, update, put(out.whole(), Z.whole()), more=(W, more), outputs=("out", "W"))
    assert all(p.target.buffer != "W" for g in gemms(big) for p in puts(g))


def test_a_square_operand_does_not_change_behind_its_product() -> None:
    """Later rows of the product need the old weight; the interpreter makes all rows first and cannot see it."""
    W, G = matrix("W", 5, 5, "param"), matrix("G", 5, 5)
    left, right = matrix("L", 5, 5, "input"), W.whole()
    for multiply in (Gemm(G.whole(), left.whole(), right), Gemm(G.whole(), right, left.whole())):
        new = fused(multiply, put(W.whole(), W.whole(), G.whole()), more=(W, G, left), outputs=("W",))
        assert kinds(new) == ["Gemm", "Nest"]
        assert gemms(new)[0].epilogue is None


def test_the_last_of_several_products_into_one_place_gets_the_epilogue() -> None:
    again = Gemm(Z.whole(), A.whole(), B.whole(), accumulate=True)
    new = fused(gemm, again, put(out.whole(), tanh(Z.whole())))
    assert [g.epilogue is None for g in gemms(new)] == [True, False]


def test_statements_pass_what_they_may_pass() -> None:
    other = Gemm(matrix("F", 5, 4).whole(), A.whole(), B.whole())
    F = matrix("F", 5, 4)
    new = fused(gemm, other, put(out.whole(), tanh(Z.whole())), put(out.whole(), F.whole(), add=True), more=(F,))
    assert gemms(new)[0].epilogue is not None


def test_statements_do_not_pass_what_changes_their_operands() -> None:
    S = matrix("S", 5, 4)
    new = fused(put(S.whole(), 1), gemm, put(S.whole(), 2), put(out.whole(), Z.whole(), S.whole()), more=(S,))
    assert new.body


def test_sums_over_shared_rows_stay_apart() -> None:
    """The rows of a large product are made by several threads: they must not add to one place."""
    n = 128
    P, Q, R, s = matrix("P", n, n, "input"), matrix("Q", n, n, "input"), matrix("R", n, n), matrix("out", 1, n, "value")
    large = Gemm(R.whole(), P.whole(), Q.whole())
    plan = plan_of([P, Q, R, s], large, put(s.whole(), R.whole(), over=(0,)))
    assert multiplications(large, plan) >= SHARED
    assert kinds(fuse(plan)) == ["Gemm", "Nest"]
    small = matrix("out", n, 1, "value")
    plan = plan_of([P, Q, R, small], large, put(small.whole(), R.whole(), over=(1,)))
    assert kinds(fuse(plan)) == ["Gemm"]


def test_the_places_of_largest_entries_are_a_loop_of_their_own() -> None:
    place = matrix("r", 1, 4, "value")
    new = fused(gemm, put(place.whole(), Z.whole(), over=(0,), op="argmax"), more=(place,), outputs=("r",))
    assert kinds(new) == ["Gemm", "Nest"]


def test_loops_are_fused_inside() -> None:
    F = family("F", 5, 4, 1, 3, "value")
    new = fused(loop(1, 3, gemm, put(F.whole(t), tanh(Z.whole()))), more=(F,), outputs=("F",))
    assert kinds(new) == ["Loop"]
    assert gemms(new)[0].epilogue is not None


# -- without products -----------------------------------------------------------------------------------------


def test_statements_of_one_shape_run_together() -> None:
    S = matrix("S", 5, 7)
    wide = matrix("out", 5, 7, "value")
    new = fused(put(S.whole(), tanh(A.whole())), put(wide.whole(), S.whole(), A.whole()), more=(S, wide))
    assert kinds(new) == ["Nest"]
    assert new.body[0].axis == 0  # type: ignore[union-attr]


def test_statements_that_walk_memory_otherwise_stay_apart() -> None:
    S = matrix("S", 5, 7)
    wide = matrix("out", 5, 7, "value", order="F")
    new = fused(put(S.whole(), tanh(A.whole())), put(wide.whole(), S.whole()), more=(S, wide))
    assert kinds(new) == ["Nest", "Nest"]


def test_what_is_read_is_not_overwritten_too_early() -> None:
    """The second reads row i + 1 where the third has written row i: three nests."""
    S, tall = matrix("S", 6, 4), matrix("out", 5, 4, "value")
    lower = S.whole().block(one, zero, sp.Integer(5), sp.Integer(4))
    upper = S.whole().block(zero, zero, sp.Integer(5), sp.Integer(4))
    fused(put(S.whole(), 1), put(upper, 2), put(tall.whole(), lower), put(lower, 7), put(tall.whole(), upper, add=True),
          more=(S, tall))


# -- slow axes, contraction ----------------------------------------------------------------------------------


def test_slow_axes() -> None:
    assert (slow_axis(A.whole(), "C"), slow_axis(A.whole(), "F")) == (0, 1)
    assert (slow_axis(A.whole().T, "C"), slow_axis(A.whole().T, "F")) == (1, 0)
    assert slow_axis(matrix("v", 1, 9).whole(), "C") == 0
    assert slow_axis(matrix("v", 9, 1).whole(), "C") == 1
    m = size("m")
    assert slow_axis(Buffer("v", m, one).whole(), "C") == 0
    assert slow_axis(Buffer("v", one, m).whole(), "C") == 1


def contracted(*body: Any, more: tuple[Buffer, ...] = (), outputs: tuple[str, ...] = ("out",)) -> Plan:
    known = {b.name: b for b in (A, B, Z, out, *more)}
    plan = fuse(plan_of(list(known.values()), *body, outputs=outputs))
    new = contract(plan)
    assert same_outcome(plan, new)
    return new


S = matrix("S", 5, 4)


def test_a_temporary_of_one_step_shrinks() -> None:
    square = put(out.whole(), product(Read(S.whole()), Read(S.whole())))
    new = contracted(gemm, put(S.whole(), tanh(Z.whole())), square, more=(S,))
    assert new.buffers["S"].shape == (1, 4)
    assert new.buffers["Z"].shape == (5, 4)


def test_what_others_read_does_not_shrink() -> None:
    G = matrix("G", 5, 5, "value")
    body = (gemm, put(S.whole(), tanh(Z.whole())), put(out.whole(), S.whole()))
    later = Gemm(G.whole(), S.whole(), S.whole().T)
    assert contracted(*body, later, more=(S, G), outputs=("out", "G")).buffers["S"].shape == (5, 4)
    kept = matrix("S", 5, 4, "value")
    assert contracted(*body, more=(kept,), outputs=("out", "S")).buffers["S"].shape == (5, 4)


def test_what_is_read_before_it_is_written_does_not_shrink() -> None:
    nest = Nest((Put(out.whole(), Read(S.whole())), Put(S.whole(), Read(out.whole()))), 0, sp.Integer(5))
    plan = plan_of([S, out], nest)
    assert contract(plan) == plan


def test_sums_over_the_steps_do_not_shrink() -> None:
    r = matrix("r", 1, 4, "value")
    nest = Nest((Put(S.whole(), Read(Z.whole())), Put(r.whole(), Read(S.whole()), (0,))), 0, sp.Integer(5))
    plan = plan_of([A, B, Z, S, r], gemm, nest, outputs=("r",))
    new = contract(plan)
    assert same_outcome(plan, new)
    assert new.buffers["r"].shape == (1, 4)
    assert new.buffers["S"].shape == (1, 4)


@pytest.mark.parametrize("order", ["C", "F"])
def test_columns_shrink_to_one(order: Any) -> None:
    T_ = matrix("S", 5, 4, order="F")
    outf, Zf = matrix("out", 5, 4, "value", order="F"), matrix("Z", 5, 4, order="F")
    new = contracted(Gemm(Zf.whole(), A.whole(), B.whole()), put(T_.whole(), tanh(Zf.whole())),
                     put(outf.whole(), T_.whole(), T_.whole()), more=(T_, outf, Zf))
    assert new.buffers["S"].shape == (5, 1)
    turned = matrix("S", 4, 5, order="C")
    new = contracted(Gemm(Zf.whole(), A.whole(), B.whole()), put(turned.whole().T, tanh(Zf.whole())),
                     put(outf.whole(), turned.whole().T, 1), more=(turned, outf, Zf))
    assert new.buffers["S"].shape == (1, 5)
