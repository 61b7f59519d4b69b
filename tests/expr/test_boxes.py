"""Boxes: coverage is proved for all sizes or not at all."""

import itertools

import pytest

from symbp.expr import Box, affine, at_most, index, least, size, uncovered

T, D = size("T"), size("D")
t = index("t")


def test_affine_forms() -> None:
    form = affine(2 * T - t + 3)
    assert form is not None and dict(form[0]) == {T: 2, t: -1} and form[1] == 3
    assert affine(T * D) is None and affine(T / 2) is None


def test_least_values_use_the_known_bounds() -> None:
    assert least(T - 1, {}) == 0
    assert least(T - 3, {T: 3}) == 0
    assert least(T - D, {}) is None
    assert least(t - 1, {}) is None
    assert at_most(D, D + T, {}) and not at_most(T, D, {})


@pytest.mark.parametrize(
    ("read", "pieces", "covered"),
    [
        ((0, T - 1), [(0, 0), (1, T)], True),
        ((0, T), [(0, 0), (1, T)], True),
        ((0, T + 1), [(0, 0), (1, T)], False),
        ((-2, T - 3), [(-2, -2), (-1, -1), (0, 0), (1, T)], True),
        ((-3, T - 3), [(-2, -2), (-1, -1), (0, 0), (1, T)], False),
        ((1, T), [(1, T - 1), (T, T)], True),
        ((2, T + 1), [(1, T), (T + 1, T + D)], True),
        ((1, T), [(1, D)], False),
        ((T + 1, T), [], True),
    ],
)
def test_coverage(read: tuple, pieces: list, covered: bool) -> None:
    left = uncovered(Box.of(read), [Box.of(p) for p in pieces], {})
    assert (left == []) is covered


def test_coverage_in_two_indices() -> None:
    pieces = [Box.of((0, 0), (1, T)), Box.of((1, D), (0, 0)), Box.of((1, D), (1, T))]
    assert uncovered(Box.of((0, D - 1), (1, T)), pieces, {}) == []
    assert uncovered(Box.of((1, D), (0, T - 1)), pieces, {}) == []
    assert uncovered(Box.of((0, D), (0, T)), pieces, {}) != []  # the corner (0, 0)


def test_a_proof_of_coverage_holds_at_every_size() -> None:
    """Compare with counting, for all boxes with small affine ends."""
    ends = [0, 1, 2, T - 1, T, T + 1]
    at = lambda e, value: int(e.subs(T, value)) if hasattr(e, "subs") else e  # noqa: E731
    proved = 0
    for a, b, c, d in itertools.product(ends, repeat=4):
        read, pieces = (a, b), [(0, 0), (c, d)]
        if uncovered(Box.of(read), [Box.of(p) for p in pieces], {}) == []:
            proved += 1
            for value in range(1, 6):
                have = {x for p in pieces for x in range(at(p[0], value), at(p[1], value) + 1)}
                assert set(range(at(a, value), at(b, value) + 1)) <= have, (read, pieces, value)
    assert proved > 100
