"""Training that is measured: a start without symmetry learns, a symmetric and a saturated one are seen to be stuck."""

from __future__ import annotations

import numpy as np
import pytest

from symbp import networks, pipeline
from symbp.verify.check import training
from symbp.verify.check.samples import MOST_MEMBERS, XOR, NoTraining, columns_or_rows, sizes_of, values_of
from symbp.verify.check.training import measured
from symbp.verify.check.truth import Model

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
        sizes_of(MODEL, values_of(MODEL, given))


# ---------------------------------------------------------------------------------------------------------
# Families


def model(name: str) -> Model:
    return pipeline.model(pipeline.program_of(networks.network(name).text))


def sequences(steps: int, samples: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    begun = np.zeros((1, 6, samples))
    return {"X": rng.normal(size=(steps, 3, samples)), "Y": rng.normal(size=(steps, 2, samples)), "H": begun}


def test_sequences_tell_how_long_they_are() -> None:
    rnn = model("rnn")
    stacked = sequences(5, 4)
    apart = {f"{n}[{t + (n != 'H')}]": a for n, part in stacked.items() for t, a in enumerate(part)}
    for arrays in (stacked, apart, {k.replace("[", "_").replace("]", ""): a for k, a in apart.items()}):
        sizes = sizes_of(rnn, values_of(rnn, arrays))
        assert (sizes["T"], sizes["m"]) == (5, 4)
    with pytest.raises(NoTraining, match=r"no values for Y\[5\]"):
        sizes_of(rnn, values_of(rnn, {**stacked, "Y": stacked["Y"][:4]}))


def test_members_are_taken_up_to_a_limit() -> None:
    deep = model("deep")
    assert values_of(deep, {f"W{MOST_MEMBERS}": np.zeros((1, 1))})
    with pytest.raises(NoTraining, match="beyond"):
        values_of(deep, {f"W{MOST_MEMBERS + 1}": np.zeros((1, 1))})


def test_a_recurrent_network_is_trained() -> None:
    rnn = model("rnn")
    found = measured(rnn, values_of(rnn, sequences(3, 4)), {}, 0.1, 40)
    assert not found.stuck
    first, last = found.told[0].split()[1], found.told[0].split()[3]
    assert float(last) < float(first)


def test_layers_of_any_number_begin_where_they_are_told() -> None:
    deep = model("deep")
    zero = {f"W{k}": np.zeros((r, c)) for k, (r, c) in enumerate(((4, 2), (5, 4), (1, 5)), 1)}
    given, start = columns_or_rows(deep, XOR), values_of(deep, zero)
    sizes = sizes_of(deep, {**given, **start})
    assert (sizes["L"], [sizes["n"][k] for k in range(4)]) == (3, [2, 4, 5, 1])
