"""Inference: each statistic is replaced by the state that follows it."""

from __future__ import annotations

import numpy as np
import pytest

from symbp.calculus import convert, derive, inference, turn
from symbp.expr import size
from symbp.expr.nodes import plain
from symbp.language import read_text
from symbp.networks import names, network
from symbp.pipeline import derive as derive_source
from symbp.verify.draws import choose_sizes, draw
from symbp.verify.running import same_values

BN = read_text(network("batch_norm").text)


def test_a_program_without_states_stays_what_it_is() -> None:
    for name in names():
        program = read_text(network(name).text)
        assert (inference(program) is program) == (not program.running)


def test_statistics_disappear_and_states_are_read() -> None:
    program = inference(BN)
    assert not program.running
    equations = {s.target.label: plain(s.equation.value) for s in program.sites}
    assert not {"mu_N1", "v_N1"} & (equations.keys() | program.variables.keys())
    assert equations["Xc_N1"] == "Add(Z1, Scale(MatMul(mu_run_N1, Ones(1, m)), -1))"
    assert equations["V_N1"].startswith("Map(Map(Add(v_run_N1, ")
    assert inference(program) is program


def test_what_only_a_statistic_read_is_dropped() -> None:
    text = "samples: m\nX: input[n, m]\nC: input[n, m]\nY = batch_norm(X)\nQ = Y + v_Y * mu_Y\nloss = sum(C * Y)\n"
    names_of = {s.target.name for s in inference(read_text(text)).sites}
    assert "Q" in names_of  # an output
    hidden = text.replace("Q = Y + v_Y * mu_Y\n", "").replace("X: input", "W: param[n, n]; X: input")
    program = read_text(hidden.replace("batch_norm(X)", "batch_norm(W @ X)"))
    assert {s.target.name for s in inference(program).sites} == {"Xc_Y", "V_Y", "Xhat_Y", "Y", "loss"}


def test_the_adjoint_is_that_of_a_linear_layer() -> None:
    results = {r.target.name: plain(r.value) for r in derive_source(BN, ["X", "beta_N1"], mode="inference").results}
    assert results["Z1_bar"] == "Hadamard(N1_bar, MatMul(gamma_N1, Ones(1, m)), MatMul(V_N1, Ones(1, m)))"
    assert "mu_run_N1" not in results


@pytest.mark.parametrize("samples", ["columns", "rows"])
def test_values(samples: str) -> None:
    program = convert(BN, samples)  # type: ignore[arg-type]
    found = same_values(program, inference(program), np.random.default_rng(0), choose_sizes(program)[:1])
    assert {(f.witness, f.outcome) for f in found} == {
        ("stored statistics", "holds"), ("statistics of the batch", "holds"),
    }


def test_wrong_networks_of_inference_are_seen() -> None:
    """Both witnesses go red for a network that keeps the statistics of the batch, or takes the other state."""
    rng, sizes = np.random.default_rng(0), choose_sizes(BN)[:1]
    kept = {f.witness: f.outcome for f in same_values(BN, BN.replace(running=()), rng, sizes)}
    assert kept["stored statistics"] == "fails"
    first, second = BN.running
    swapped = inference(BN.replace(running=(
        type(first)(second.state, first.statistic, first.momentum),
        type(first)(first.state, second.statistic, first.momentum),
    )))
    assert {f.outcome for f in same_values(BN, swapped, rng, sizes)} == {"fails"}


def test_conversion_and_inference_commute() -> None:
    one, other = inference(convert(BN, "rows")), convert(inference(BN), "rows")
    assert [s.equation.value for s in one.sites] == [s.equation.value for s in other.sites]
    assert one.variables == other.variables


def test_a_state_is_turned_with_its_statistic() -> None:
    for chosen in ({"mu_N1"}, {"mu_N1", "v_run_N1"}):
        turned = turn(BN, chosen)
        assert turned.variables["mu_run_N1"].shape == turned.variables["mu_N1"].shape == (1, size("n1"))
        assert turned.variables["v_run_N1"].shape == turned.variables["v_N1"].shape == (size("n1"), 1)


def test_training_does_not_read_states() -> None:
    """A draw of the states changes no gradient."""
    derivation, sizes = derive(BN), choose_sizes(BN)[0]
    values = draw(BN, sizes, np.random.default_rng(1))
    assert not {"mu_run_N1", "v_run_N1"} & {
        r.name for s in derivation.program.sites for r in s.equation.value.atoms(type(BN.variables["X"]()))
    }
    assert values["v_run_N1"].min() > 0
