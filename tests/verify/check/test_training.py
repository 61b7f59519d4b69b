"""Training that is measured: a start without symmetry learns, a symmetric and a saturated one are seen to be stuck."""

from __future__ import annotations

import numpy as np
import pytest

from symbp import networks, pipeline
from symbp.verify.check import training
from symbp.verify.check.training import XOR, NoTraining, columns_or_rows, measured, sizes_of

MODEL = pipeline.model(pipeline.program_of(networks.network("xor").text))
ZERO = {"W1": np.zeros((4, 2)), "b1": np.zeros((4, 1)), "W2": np.zeros((1, 4)), "b2": np.zeros((1, 1))}
LARGE = {"W1": np.full((4, 2), 50.0), "b1": np.full((4, 1), 20.0), "W2": np.ones((1, 4)), "b2": np.zeros((1, 1))}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SEEDS", 2)


def test_a_usual_start_learns() -> None:
    found = measured(MODEL, XOR, {}, 1.0, 60)
    assert not found.stuck
    assert len(found.told) >= 4


def test_a_start_of_zeros_is_stuck_and_symmetric() -> None:
    found = measured(MODEL, XOR, ZERO, 1.0, 60)
    assert found.stuck
    assert "all 4 rows of W1 are zero at the end" in found.told
    assert any("stays where it is" in line for line in found.told)
    assert any("W1 0 -> 0" in line for line in found.told)


def test_a_large_start_is_saturated() -> None:
    found = measured(MODEL, XOR, LARGE, 0.5, 150)
    assert found.stuck
    assert "4 of 4 units of A1 (tanh) are saturated at every sample" in found.told


def test_data_lie_as_the_network_wants_them() -> None:
    turned = pipeline.model(pipeline.program_of(networks.network("xor").text, "rows"))
    assert columns_or_rows(turned, XOR)["X"].shape == (4, 2)
    assert columns_or_rows(MODEL, XOR)["X"].shape == (2, 4)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"X": np.zeros((3, 4)), "Y": XOR["Y"]}, "shape"), ({"X": XOR["X"]}, "no values for Y"),
        ({**XOR, "Q": np.zeros((1, 1))}, "not declared"), ({"X": np.zeros(4), "Y": XOR["Y"]}, "dimensions"),
        ({"X": XOR["X"], "Y": np.zeros((1, 5))}, "but m is 4"),
    ],
)
def test_what_does_not_fit_is_told(given: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(NoTraining, match=said):
        sizes_of(MODEL, given)
