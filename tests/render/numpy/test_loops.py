"""Loops of every form, in both conventions of samples: values, gradients and tangents."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from symbp.calculus import convert, derive
from symbp.language import read_text
from symbp.networks import network
from symbp.program import Program, elementwise_functions
from symbp.pipeline import generate
from symbp.calculus.passes import with_functions
from symbp.verify.draws import choose_sizes, draw, tangents
from symbp.verify.evaluate import evaluate

from .conftest import Generated, flat, load, packed

HEAD = "W: param[h, h]\nU: param[h, h]\nX[0]: input[h, m]\n"

LOOPS = {
    "two loops define one family": HEAD + (
        "for t in range(1, T+1):\n    X[t] = tanh(W @ X[t-1])\n"
        "for t in range(T+1, 2*T+1):\n    X[t] = tanh(U @ X[t-1] + X[T])\nloss = sum(X[2*T]**2) + sum(X[T])"
    ),
    "one loop feeds another, up and down": HEAD + (
        "for t in range(1, T+1):\n    X[t] = tanh(W @ X[t-1])\nY[T] = X[T] @ X[T].T @ X[0]\n"
        "for t in range(T-1, -1, -1):\n    Y[t] = U @ Y[t+1] + X[t] * Y[t+1]\n"
        "loss = sum(Y[0]**2) + sum(sum(Y[t]) for t in range(0, T+1))"
    ),
    "a turned index": HEAD + (
        "for t in range(1, T+1):\n    X[t] = tanh(W @ X[t-1])\n"
        "for t in range(1, T+1):\n    Y[t] = U @ X[T+1-t] + X[t]\nloss = sum(sum(Y[t]**2) for t in range(1, T+1))"
    ),
    "delays one, two and four": "X[-2]: input[h, m]\nX[-1]: input[h, m]\n" + HEAD.replace("X[0]", "X[-3]") + (
        "X[0] = U @ X[-1]\nfor t in range(1, T+1):\n    X[t] = tanh(W @ X[t-1] + U @ X[t-2] - X[t-4])\n"
        "loss = sum(sum(X[t]**2) for t in range(1, T+1))"
    ),
    "a delay that is a size": "W: param[h, h]\nfor t in range(1-D, 1):\n    X[t]: input[h, m]\n"
    "for t in range(1, T+1):\n    X[t] = tanh(W @ X[t-D])\nloss = sum(X[T]**2)",
    "one member read in every iteration": HEAD + (
        "for t in range(1, T+1):\n    X[t] = tanh(W @ X[t-1] + U @ X[0])\n"
        "for t in range(1, T+1):\n    Y[t] = X[T] * X[t]\nloss = sum(sum(Y[t]) for t in range(1, T+1))"
    ),
    "nested loops of two indices": HEAD + (
        "for s in range(1, S+1):\n    V[s]: param[h, h]\n    Z[s, 0] = V[s] @ X[0]\n"
        "for s in range(1, S+1):\n    for t in range(1, T+1):\n        Z[s, t] = tanh(V[s] @ Z[s, t-1] + W @ X[0])\n"
        "loss = sum(sum(sum(Z[s, t]**2) for t in range(1, T+1)) for s in range(1, S+1)) + sum(U)"
    ),
    "a name of the iteration": HEAD + (
        "for t in range(1, T+1):\n    A = W @ X[t-1]\n    B = tanh(A + U @ X[t-1])\n    X[t] = A * B\n"
        "loss = sum(X[T]**2)"
    ),
    "a softmax in the loop": HEAD + (
        "for t in range(1, T+1):\n    P[t] = softmax(W @ X[t-1], axis=0)\n    X[t] = P[t] * X[t-1] + U @ X[0]\n"
        "loss = -sum(sum(log(P[t])) for t in range(1, T+1))/T + sum(X[T])"
    ),
    "sums of matrices": HEAD + (
        "for t in range(1, T+1):\n    X[t] = tanh(W @ X[t-1])\n"
        "M = sum(X[t] @ X[t].T for t in range(1, T+1))/T\nloss = sum((M @ U)**2)"
    ),
    "a family of parameters from two declarations": (
        "W[1]: param[h, h]\nfor l in range(2, L+1):\n    W[l]: param[h, h]\nX[0]: input[h, m]\n"
        "for l in range(1, L+1):\n    X[l] = tanh(W[l] @ X[l-1])\nloss = sum(X[L]**2)"
    ),
}


def agree(program: Program, wrt: list[str] | None = None) -> Generated:
    """Compare a program's module with the evaluator at several sizes, and return it."""
    free = {f.name: "tanh" for f in elementwise_functions(program) if f.is_free}
    derivation = derive(with_functions(program, free), wrt)
    text = generate(derivation)["network.py"]
    made = Generated(derivation, load(text, "looped"), text)
    for turn, sizes in enumerate(choose_sizes(derivation.source, limit=3)):
        rng = np.random.default_rng(turn)
        values = draw(derivation.source, sizes, rng)
        results = evaluate(derivation.program, values, sizes)
        params, inputs = made.arguments(values, sizes)
        loss, gradients = made.module.loss_and_gradients(params, inputs)
        assert loss == pytest.approx(results["loss"][0, 0], rel=1e-12)
        fields = [f for f in (*made.layout.params, *made.layout.inputs) if f.var.name in derivation.gradients]
        moved = tangents(derivation.source, sizes, rng, {f.var.name for f in fields})
        slope = []
        for field in fields:
            wanted = flat(packed(field, results[derivation.gradients[field.var.name]], sizes, float))
            for a, b in zip(flat(getattr(gradients, field.name)), wanted, strict=True):
                assert a.shape == b.shape
                assert np.allclose(a, b, rtol=1e-11, atol=1e-12 * (1 + np.abs(b).max(initial=0))), field.name
            along = flat(packed(field, moved[field.var.name], sizes, float))
            slope += [np.vdot(a, b) for a, b in zip(along, flat(getattr(gradients, field.name)), strict=True)]
        along = made.module.Gradients(**{f.name: packed(f, moved[f.var.name], sizes, float) for f in fields})
        assert abs(made.module.jvp(params, inputs, along)[1] - sum(slope)) <= 1e-11 * (1e-6 + sum(map(abs, slope)))
        sample, rest, c = made.module.backward_parts(params, inputs, made.module.forward(params, inputs))
        for s, r, whole in zip(flat(sample), flat(rest), flat(gradients), strict=True):
            assert np.allclose(c * s + r, whole, rtol=1e-11, atol=1e-12 * (1 + np.abs(whole).max(initial=0)))
    return made


@pytest.mark.parametrize("name", sorted(LOOPS))
def test_loops(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agree(read_text(LOOPS[name]))


@pytest.mark.parametrize(
    ("name", "wrt"), [("rnn", ["W", "H", "X"]), ("delayed", ["H"]), ("deep", ["A", "W"]), ("stacked", ["H", "U"])]
)
def test_gradients_of_inputs_in_families(name: str, wrt: list[str]) -> None:
    agree(read_text(network(name).text), wrt)


@pytest.mark.parametrize("weights", ["in_out", "out_in"])
@pytest.mark.parametrize("name", ["mlp", "digits", "deep", "rnn", "lstm", "stacked", "dropout"])
def test_samples_in_rows(name: str, weights: Any) -> None:
    program = read_text(network(name).text, name=name)
    if program.samples is None:
        from symbp.calculus import sample_size

        program = program.replace(samples=sample_size(program))
    made = agree(convert(program, "rows", weights))
    assert "Conventions: samples are rows;" in made.text


def test_a_plan_of_one_loop_per_pass() -> None:
    """Sums over time are gathered in the loop that runs backward, so that no error signal is kept."""
    text = agree(read_text(network("rnn").text)).text
    body = text[text.index("def _sample_gradients") : text.index("def backward(")]
    assert body.count("for t in") == 1
    assert "np.empty" not in body
