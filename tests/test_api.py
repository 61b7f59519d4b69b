"""The Python API: what a user imports, and what a notebook shows."""

import subprocess
import sys

import pytest

import symbp
from symbp.networks import network


def test_the_front_door_does_not_load_sympy() -> None:
    code = "import sys, symbp; assert 'sympy' not in sys.modules and symbp.__version__"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_read_derive_generate_verify() -> None:
    program = symbp.read(network("mlp").text)
    derivation = symbp.derive(program)
    assert derivation.results[0].target.name == "Z2_bar"
    files = symbp.generate(derivation, name="two_layers")
    assert list(files) == ["two_layers.py", "two_layers_cost.txt"]
    assert symbp.derive(network("mlp").text) == derivation
    assert {v.verdict for v in symbp.verify(program, draws=1)} == {"holds"}
    with pytest.raises(KeyError):
        symbp.generate(derivation, target="cobol")
    with pytest.raises(AttributeError):
        symbp.nonsense


def test_a_notebook_shows_mathematics() -> None:
    derivation = symbp.derive(network("mlp").text)
    for value in (
        derivation,
        derivation.source,
        derivation.steps[0],
        derivation.results[0],
        derivation.results[0].value,
    ):
        shown = value._repr_mimebundle_()
        assert {"text/plain", "text/latex", "text/html"} <= set(shown)
        assert "<math" in shown["text/html"]


def test_samples_and_weights_are_options() -> None:
    rows = symbp.derive(network("mlp").text, samples="rows")
    assert str(rows.program.variables["X"].rows) == "m"
    assert str(rows.program.variables["W1"].rows) == "n0"
    kept = symbp.derive(network("mlp").text, samples="rows", weights="out_in")
    assert str(kept.program.variables["W1"].rows) == "n1"


def test_an_output_that_is_a_matrix_is_refused_where_a_number_is_needed() -> None:
    program = symbp.read("X: input[n, m]\nW: param[k, n]\nA = tanh(W @ X)\n")
    assert symbp.derive(program).results
    for verb in (symbp.generate, symbp.verify):
        with pytest.raises(ValueError, match="write a loss"):
            verb(program)


def test_a_network_without_inputs_is_verified() -> None:
    text = "W: param[n, n]\nH[0]: param[n, 1]\nfor t in range(1, T+1):\n    H[t] = tanh(W @ H[t-1])\n"
    program = symbp.read(text + "loss = sum(H[T]**2)\n")
    assert {v.verdict for v in symbp.verify(program, draws=1)} == {"holds"}


def test_a_notebook_shows_every_equation() -> None:
    derivation = symbp.derive(network("mlp").text)
    assert derivation._repr_mimebundle_()["text/html"].count("<mtr>") >= len(derivation.results)
