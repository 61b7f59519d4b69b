"""A derivation as lines of the declaration's language: read again, the judge calls them right."""

from __future__ import annotations

import pytest

from symbp import pipeline
from symbp.networks import names, network
from symbp.render.declaration import backward_lines, gradient_terms, laid_out

HEAVY = ("conv", "decoder", "transformer")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in HEAVY else []) for n in names()])
def test_the_lines_of_every_network_are_right(name: str) -> None:
    program = pipeline.program_of(network(name).text)
    text = laid_out(backward_lines(pipeline.derive(program)))
    found = pipeline.check(program, text)
    assert found.verdict == "right", found.faults
    lacking = {"lenet", "conv"}  # gathers have no words; what they give is taken as given
    assert set(found.outputs) == {v.name for v in program.parameters} or name in lacking


def test_the_lines_are_those_of_the_book() -> None:
    lines = backward_lines(pipeline.derive(network("mlp").text))
    assert [line.text for line in lines] == [
        "dZ2 = (Z2 - Y) / m", "dW2 = dZ2 @ A1.T", "db2 = sum(dZ2, axis=1, keepdims=True)",
        "dZ1 = (W2.T @ dZ2) * (1 - A1**2)", "dW1 = dZ1 @ X.T", "db1 = sum(dZ1, axis=1, keepdims=True)",
    ]


def test_loops_stand_around_their_lines() -> None:
    text = laid_out(backward_lines(pipeline.derive(network("rnn").text)))
    assert text.startswith("for t in range(T, 0, -1):\n    dO[t] = (O[t] - Y[t]) / m\n    dZ[t] = (")
    assert "dW = sum(dZ[t] @ H[t-1].T for t in range(1, T+1))\n" in text


def test_the_terms_of_a_gradient_are_told_with_their_indices() -> None:
    letters, terms = gradient_terms(pipeline.derive(network("rnn").text))["Z"]
    assert letters == ("t",)
    assert {"V.T @ dO[t]", "W.T @ dZ[t+1]"} <= set(terms)
