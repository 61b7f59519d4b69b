"""Which views share entries, which kernels may change places."""

from __future__ import annotations

import itertools

import numpy as np
import sympy as sp
from plan_cases import family, matrix, put, t

from symbp.expr import size
from symbp.plan.dependence import aligned, apart, conflict
from symbp.plan.ir import Gemm, View

A, B = matrix("A", 6, 6), matrix("B", 6, 6)
n = size("n")


def blocks() -> list[View]:
    """Return some blocks of a matrix and of its transpose."""
    found = []
    for whole in (A.whole(), A.whole().T):
        for r, c, rows, cols in ((0, 0, 3, 6), (3, 0, 3, 6), (2, 1, 2, 2), (0, 4, 6, 2), (1, 0, 1, 1), (0, 0, 6, 6)):
            found.append(whole.block(sp.Integer(r), sp.Integer(c), sp.Integer(rows), sp.Integer(cols)))
    return found


def entries(view: View) -> set[tuple[int, int]]:
    rows, cols = (view.cols, view.rows) if view.turned else (view.rows, view.cols)
    return {(int(view.row) + i, int(view.col) + j) for i, j in np.ndindex(int(rows), int(cols))}


def test_apart_is_what_it_says() -> None:
    for a, b in itertools.product(blocks(), repeat=2):
        assert apart(a, b) == (not entries(a) & entries(b))


def test_aligned_steps_touch_the_same_slice() -> None:
    """Brute force: slices of both views at each step, as sets of rows or columns of the buffer."""
    def slices(view: View, axis: int) -> list[tuple[bool, int]]:
        across = bool(axis ^ view.turned)
        start = view.col if across else view.row
        return [(across, int(start) + k) for k in range(int(view.shape[axis]))]

    for a, b in itertools.product(blocks(), repeat=2):
        for axis in (0, 1):
            extent = a.shape[axis]
            if aligned(a, b, axis, extent):
                assert slices(a, axis) == slices(b, axis)
            elif len(slices(a, axis)) > 1 and b.shape[axis] == extent:
                assert slices(a, axis) != slices(b, axis)


def test_members() -> None:
    H = family("H", 2, 2, 0, 9)
    assert apart(H.whole(t), H.whole(t - 1))
    assert not apart(H.whole(t), H.whole(t))
    assert not apart(H.whole(t), H.whole(5 - t))
    assert not apart(H.whole(t), H.whole(sp.Integer(3)))


def test_sizes_that_are_symbols() -> None:
    whole = View("A", 2 * n, n)
    top, bottom = whole.block(0, 0, n, n), whole.block(n, 0, n, n)
    assert apart(top, bottom)
    assert not apart(top, whole.block(n - 1, 0, n, n))


def test_conflicts() -> None:
    write, read, other = put(A.whole(), 1), put(B.whole(), A.whole()), put(B.whole(), 2)
    assert conflict(write, read)
    assert conflict(read, write)
    assert conflict(read, other)
    assert conflict(write, put(A.whole(), 2))
    assert not conflict(write, other)
    assert not conflict(put(B.whole(), A.whole()), put(matrix("C", 6, 6).whole(), A.whole()))
    assert conflict(Gemm(B.whole(), A.whole(), A.whole()), write)
    H = family("H", 2, 2, 0, 9)
    now, then = put(H.whole(t), 1), put(matrix("S", 2, 2).whole(), H.whole(t - 1))
    assert not conflict(now, then)
    assert conflict(now, then, same_iteration=False)
