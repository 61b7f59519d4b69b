"""Closed forms in the names of a derivation: equal to what was derived, and said only where that is proved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from symbp.calculus import convert, derive, inference
from symbp.derivation import Derivation
from symbp.expr import total
from symbp.language import Model, read_text
from symbp.layers import LAYERS
from symbp.networks import network
from symbp.readings import with_readings
from symbp.render.document import latex_document
from symbp.render.markdown import markdown
from symbp.render.terminal import derive_summary
from symbp.verify.draws import choose_sizes, draw
from symbp.verify.evaluate import Evaluator

LOOP = """samples: m
A[0]: input[n[0], m]
Y: target[n[L], m]
for l in range(1, L+1):
    Z[l] = dense(A[l-1], n[l], bias='none')
    N[l] = batch_norm(Z[l])
    A[l] = tanh(N[l])
loss = mean_squared_error(A[L], Y)
"""


def read_of(name: str, samples: str) -> Derivation:
    return with_readings(derive(convert(read_text(network(name).text), samples)))  # type: ignore[arg-type]


def error(derivation: Derivation, weight: str, data: str, at: dict[str, int], samples: str = "columns") -> float:
    """Return how far the closed forms of ``Zbar`` are from the gradient of the weight, ``Zbar @ X.T``."""
    sizes = choose_sizes(derivation.source)[-1]
    runner = Evaluator(derivation.program, draw(derivation.source, sizes, np.random.default_rng(1)), sizes)
    found = runner.run()
    where = tuple(at.values())

    def member(name: str, back: int = 0) -> Any:
        return found[name][(where[0] - back,)] if where else found[name]

    worst = 0.0
    for reading in derivation.readings:
        bar = runner.expression(reading.value, at)
        X, wanted = member(data, 1), member(derivation.gradients[weight])
        mine = bar @ X.T if samples == "columns" else X.T @ bar
        worst = max(worst, float(np.abs(mine - wanted).max() / np.abs(wanted).max()))
    return worst


@pytest.mark.parametrize("samples", ["columns", "rows"])
@pytest.mark.parametrize("name", ["batch_norm", "layer_norm"])
def test_closed_forms_are_the_adjoint(name: str, samples: str) -> None:
    derivation = read_of(name, samples)
    assert [(r.name, r.target.label) for r in derivation.readings] == [
        ("projector form", "Z1_bar"), ("compact form", "Z1_bar"),
    ]
    assert all(r.alone and r.source for r in derivation.readings)
    assert error(derivation, "W_Z1", "X", {}, samples) < 1e-12


def test_in_a_loop_they_hold_for_each_layer() -> None:
    derivation = with_readings(derive(read_text(LOOP)))
    assert [r.target.label for r in derivation.readings] == ["Z_bar[l]"] * 2
    for layer in (1, 2):
        assert error(derivation, "W_Z", "A", {"l": layer}) < 1e-12


def test_gradients_that_have_names_are_called_by_them() -> None:
    (_, compact) = read_of("batch_norm", "columns").readings
    assert {"gamma_N1_bar", "beta_N1_bar", "N1_bar"} <= {r.name for r in compact.value.atoms(type(compact.target))}


def test_the_printers_show_them() -> None:
    derivation = read_of("batch_norm", "columns")
    for text in (derive_summary(derivation), markdown(derivation), latex_document(derivation)):
        assert "compact form" in text and "proved" in text
    plain = replace(derivation, readings=())
    for text in (derive_summary(plain), markdown(plain), latex_document(plain)):
        assert "compact form" not in text


def test_there_are_none_where_nothing_is_claimed_or_named() -> None:
    for text in (
        network("mlp").text,
        "samples: m\nX: input[n, m]\nG: input[n, m]\nV: param[n, n]\nloss = sum(G * batch_norm(V @ X))\n",
        "samples: m\nX: input[n, m]\nG: input[n, m]\nV: param[n, n]\nZ = V @ X\nloss = sum(G * tanh(batch_norm(Z)))\n",
    ):
        assert with_readings(derive(read_text(text))).readings == ()
    # In inference the layer is another one.
    assert with_readings(derive(inference(read_text(network("batch_norm").text)))).readings == ()


def test_a_claim_that_is_not_proved_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = LAYERS["batch_norm"]
    wrong = tuple(replace(c, form=f"2 * ({c.form})") if c.of == "X" else c for c in entry.claims)
    monkeypatch.setitem(LAYERS, "batch_norm", replace(entry, claims=wrong))
    assert read_of("batch_norm", "columns").readings == ()


def test_a_second_reader_is_said() -> None:
    text = network("layer_norm").text.replace("A1 = gelu(N1)", "A1 = gelu(N1) + Z1")
    assert not any(r.alone for r in with_readings(derive(read_text(text))).readings)
    assert "of what comes through the layer" in derive_summary(with_readings(derive(read_text(text))))


def test_the_python_api_knows_its_layers() -> None:
    net = Model(samples="m")
    X, G = net.input("X", "n", "m"), net.input("G", "n", "m")
    W = net.param("W", "n", "n")
    net["Z"] = W @ X
    N = net.write("N", "rms_norm", net["Z"])
    net["A"] = N * N * G
    net["loss"] = total(net["A"])
    found = with_readings(derive(net.program())).readings
    assert [r.name for r in found] == ["compact form"]
