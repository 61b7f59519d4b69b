"""Views, entrywise expressions and walks over kernels."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from plan_cases import family, loop, matrix, outcome, plan_of, put, t

from symbp.expr import Function
from symbp.plan.ir import (
    ONE, ZERO, Apply, Gemm, Nest, Number, Pick, Plan, Position, Put, Read, View, map_kernels, map_reads, map_views,
    product, puts, reads, sources, total, turned, views, walk, writes,
)

A, B = matrix("A", 5, 7, "input"), matrix("B", 5, 7, "input")


@pytest.mark.parametrize("turns", range(4))
def test_blocks_of_blocks_of_transposes(turns: int) -> None:
    """A block is taken of what is seen, whatever was turned before."""
    view = A.whole()
    expected = sp.Matrix(5, 7, lambda i, j: 10 * i + j)
    for k in range(3):
        if turns >> k & 1:
            view, expected = view.T, expected.T
        rows, cols = view.rows - 1, view.cols - 1
        view = view.block(sp.S.One, sp.Integer(k % 2), rows, cols)
        expected = expected[1 : 1 + rows, k % 2 : k % 2 + cols]
    copy = matrix("out", int(view.rows), int(view.cols), "value")
    plan = plan_of([A, copy], put(copy.whole(), view))
    found = outcome(plan)["out"]
    given = np.random.default_rng([0, *b"A"]).normal(size=(5, 7))
    assert np.array_equal(found, [[given[int(e) // 10, int(e) % 10] for e in row] for row in expected.tolist()])


def test_a_view_and_its_transpose_are_two_places() -> None:
    square = matrix("S", 3, 3).whole()
    assert square == square.T.T
    assert not square.same_place(square.T)
    assert square.same_place(square.block(sp.S.Zero, sp.S.Zero, sp.Integer(3), sp.Integer(3)))
    assert not square.same_place(matrix("R", 3, 3).whole())


def test_members_are_the_same_place_if_their_indices_are_equal() -> None:
    H = family("H", 3, 2, 0, 4)
    assert H.whole(t + 1).same_place(H.whole(1 + t))
    assert not H.whole(t).same_place(H.whole(t - 1))
    assert H.whole(t).at({t: sp.Integer(3)}) == H.whole(sp.Integer(3))
    assert A.whole().at({t: sp.Integer(3)}) == A.whole()


def test_extents_and_what_is_held() -> None:
    H = family("H", 3, 2, -1, 4)
    assert (H.extents, H.entries) == ((6,), 36)
    assert matrix("A", 50, 7, window=8).held == (8, 7)
    assert matrix("A", 50, 7, window=8, order="F").held == (50, 8)


def test_sums_and_products_are_flat() -> None:
    a, b = Read(A.whole()), Read(B.whole())
    assert total(total(a, ZERO), b) == Apply("+", (a, b))
    assert (total(), total(a)) == (ZERO, a)
    two, three, six = (Number(sp.Integer(n)) for n in (2, 3, 6))
    assert product(product(two, a), b, three) == Apply("*", (six, a, b))
    assert (product(), product(a, ONE), product(a, ZERO)) == (ONE, a, ZERO)


def test_transposes_of_expressions() -> None:
    e = total(product(Read(A.whole()), Position(0, sp.Integer(5))), Pick(B.whole(), "reshape", (), B.shape))
    assert turned(e).shape == (7, 5)
    assert turned(turned(e)) == e


def test_shapes_are_spread() -> None:
    column, row = matrix("c", 5, 1).whole(), matrix("r", 1, 7).whole()
    assert total(Read(column), Read(row)).shape == (5, 7)
    assert Put(A.whole(), Read(column)).domain == (5, 7)
    assert Put(column, Read(A.whole()), (1,)).domain == (5, 7)
    assert Put(matrix("s", 1, 1).whole(), Read(A.whole()), (0, 1)).domain == (5, 7)


def test_what_kernels_read_and_write() -> None:
    G, out, L = matrix("G", 5, 5), matrix("out", 5, 5, "value"), matrix("loss", 1, 1)
    behind = Nest((Put(L.whole(), Read(G.whole()), (0, 1), accumulate=True),), 0, sp.Integer(5))
    gemm = Gemm(G.whole(), A.whole(), B.whole().T, accumulate=True, epilogue=behind)
    assert [v.buffer for v in reads(gemm)] == ["A", "B", "G", "G", "loss"]
    assert [v.buffer for v in writes(gemm)] == ["G", "loss"]
    assert puts(gemm) == behind.puts
    whole = loop(1, 2, gemm, put(out.whole(), G.whole()))
    assert len(list(walk([whole]))) == 2
    assert {v.buffer for v in writes(whole)} == {"G", "loss", "out"}
    assert sources(whole) == [] == sources(gemm)
    renamed = map_views(whole, lambda v: View("other", v.rows, v.cols, v.where, v.row, v.col, v.turned))
    assert {v.buffer for v in (*reads(renamed), *writes(renamed))} == {"other"}
    assert map_kernels([whole], lambda k: ()) == ()


def test_unchanged_expressions_stay_themselves() -> None:
    e = Apply(Function("tanh"), (total(Read(A.whole()), Read(B.whole())),))
    assert map_reads(e, lambda v: v) is e
    assert [v.buffer for v in views(map_reads(e, lambda v: B.whole()))] == ["B", "B"]


def test_unused_buffers_go() -> None:
    plan = plan_of([A, B, matrix("out", 5, 7, "value")], put(matrix("out", 5, 7).whole(), A.whole()))
    assert set(plan.used().buffers) == {"A", "out"}
    assert isinstance(plan, Plan)


def test_blocks_and_members_move_with_an_index() -> None:
    s, t = sp.symbols("s t", integer=True)
    block = matrix("A", 50, 70).whole().block(sp.S.Zero, 7 * s, sp.Integer(50), sp.Integer(7))
    assert block.moving and block.at({s: t}).col == 7 * t and block.T.at({s: t}) == block.at({s: t}).T
    assert not matrix("A", 50, 70).whole().moving
