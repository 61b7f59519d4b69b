"""Constants are named by the sizes that they are made of; values stand to the truth in either layout or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from symbp.verify.check.constants import difference, name_of, standings

SIZES = ({"m": 7, "n1": 11, "T": 3}, {"m": 13, "n1": 5, "T": 4}, {"m": 5, "n1": 7, "T": 2})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("m", lambda s: s["m"]), ("1/m", lambda s: 1 / s["m"]), ("-m", lambda s: -s["m"]),
        ("2/m", lambda s: 2 / s["m"]),
        ("1/(2*m)", lambda s: 0.5 / s["m"]), ("m*n1", lambda s: s["m"] * s["n1"]), ("n1/m", lambda s: s["n1"] / s["m"]),
        ("m**2", lambda s: s["m"] ** 2), ("T", lambda s: s["T"]), ("1/2", lambda s: 0.5), ("-1", lambda s: -1.0),
        ("3/4", lambda s: 0.75), ("12", lambda s: 12.0),
        (None, lambda s: 0.3711), (None, lambda s: s["m"] + 1), (None, lambda s: 13.0), (None, lambda s: s["m"] ** 4),
    ],
)
def test_a_constant_has_the_name_that_fits_every_draw(name: str | None, value) -> None:  # type: ignore[no-untyped-def]
    assert name_of([value(s) for s in SIZES], SIZES) == name


def test_one_draw_alone_could_be_read_in_two_ways() -> None:
    assert name_of([5.0], [{"m": 5}]) == "5"
    assert name_of([5.0, 7.0], [{"m": 5}, {"m": 7}]) == "m"


def test_standings() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(5, 7))
    (same,) = standings(truth.copy(), truth)
    assert same.same
    (turned,) = standings(3 * truth.T, truth)
    assert turned.transposed and turned.constant == pytest.approx(3)
    assert standings(truth + 1e-4 * rng.normal(size=(5, 7)), truth) == []
    assert standings(truth[:, :1], truth) == []
    assert standings(np.full((5, 7), np.nan), truth) == []
    assert standings(np.zeros((5, 7)), truth) == []


def test_a_gradient_that_is_zero_is_met_by_zero_alone() -> None:
    zero = np.zeros((5, 1))
    assert standings(zero + 1e-17, zero, scale=1.0)[0].same
    assert standings(zero + 1e-3, zero, scale=1.0) == []


def test_a_vector_of_one_dimension_counts_as_row_and_as_column() -> None:
    truth = np.arange(1.0, 6.0)[:, None]
    assert standings(truth.ravel(), truth)[0].same
    assert standings(truth.ravel(), truth.T)[0].same


def test_difference_is_relative() -> None:
    truth = np.array([[1.0, -4.0]])
    assert difference(truth + np.array([[0.0, 1.0]]), truth) == pytest.approx(0.25)
    assert difference(np.ones((3, 3)), truth) == np.inf
