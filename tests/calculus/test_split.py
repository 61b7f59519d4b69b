"""The split of a loss into c * S + R: gradients of shards of unequal size add up."""

import numpy as np
import pytest

from symbp.calculus import derive, part_program, split_loss
from symbp.expr import size
from symbp.language import read_text
from symbp.networks import names, network
from symbp.verify.draws import choose_sizes, draw
from symbp.verify.evaluate import evaluate

m = size("m")
HEAD = "samples: m\nX: input[n, m]\nY: target[k, m]\nW: param[k, n]\nlam: input\nZ = W @ X\n"


def split(loss: str):  # type: ignore[no-untyped-def]
    return split_loss(read_text(HEAD + loss))


def test_factors_and_penalties() -> None:
    found = split("loss = sum((Z - Y)**2) / (2*m) + lam/2 * sum(W**2)\n")
    assert found.factor == 1 / m and found.rest is not None and not found.mixed
    found = split("loss = sum((Z - Y)**2)\n")
    assert found.factor == 1 and found.rest is None
    found = split("loss = lam * sum(W**2)\n")
    assert found.sample_sum is None and found.rest is not None


@pytest.mark.parametrize(
    "loss",
    [
        "loss = sum(Z)**2\n",
        "loss = sum(Z) * sum(Y)\n",
        "loss = sum(softmax(Z, axis=1))\n",
        "loss = sum((Z - mean(Z, axis=1, keepdims=True))**2)\n",
        "loss = sum(Z)/m + sum(Y)\n",
        "loss = sum((Z @ Z.T)**2)\n",
        "loss = lam / m * sum(W**2) + sum(Z)/m\n",
        "loss = sum(exp(m*Z))\n",
        "loss = sum(max(Z, axis=1, keepdims=True))\n",
        "loss = norm(Z)\n",
        "loss = sum(cumsum(Z, axis=1))\n",
        "loss = sum(Z * cumsum(ones(1, m), axis=1))\n",
        "loss = sum(Z @ eye(m))\n",
    ],
)
def test_mixed_samples_are_said(loss: str) -> None:
    assert split(loss).mixed


MEMBERS = "samples: m\nW: param[n, n]\nlam: input\n"
MEMBERS += "for s in range(1, m+1):\n    X[s]: input[n, T]\n    A[s] = tanh(W @ X[s])\n"


@pytest.mark.parametrize(
    ("loss", "whole"),
    [
        ("sum(sum(A[s]) for s in range(1, m+1)) / m", True),
        ("sum(sum(A[s]*X[s]) for s in range(1, m+1)) / (m*T) + lam*sum(W**2)", True),
        ("sum(sum(W @ A[t]) for t in range(1, m+1))", True),
        ("sum(sum(A[s]*X[m+1-s]) for s in range(1, m+1))", False),
        ("sum(sum(A[s]*X[1]) for s in range(1, m+1))", False),
        ("sum(A[1])", False),
        ("sum(sum(A[s]) for s in range(1, m+1))**2", False),
        ("sum(sum(A[s]) for s in range(1, m+1)) + sum(sum(W) for s in range(1, m+1))", False),
        ("sum(sum(A[s])/m for s in range(1, m+1))", True),
    ],
)
def test_samples_as_members_of_a_family(loss: str, whole: bool) -> None:
    found = split_loss(read_text(f"{MEMBERS}loss = {loss}\n"))
    assert (not found.mixed) == whole
    assert not whole or (found.sample_sum is not None and found.factor in (1, 1 / m, 1 / (m * size("T"))))


def test_a_loop_that_mixes_samples() -> None:
    text = f"{MEMBERS}B[0] = zeros(n, T)\nfor s in range(1, m+1):\n    B[s] = B[s-1] + A[s]\nloss = sum(B[m])\n"
    assert split_loss(read_text(text)).mixed


def sums(name: str) -> bool:
    """Tell whether the loss of a network is a sum over samples."""
    program = read_text(network(name).text)
    return program.samples is not None and not program.running


def test_batch_normalisation_mixes_samples() -> None:
    assert split_loss(read_text(network("batch_norm").text)).mixed == "the samples are mixed in loss"
    assert not split_loss(read_text(network("layer_norm").text)).mixed


@pytest.mark.parametrize("name", [name for name in names() if sums(name)])
def test_parts_add_up(name: str) -> None:
    program = read_text(network(name).text.replace("sigma: elementwise", "def sigma(x): return x*tanh(x)"))
    forward = derive(program).forward
    parts = split_loss(forward)
    assert not parts.mixed and parts.sample_sum is not None
    sizes = choose_sizes(program)[0]
    values = draw(program, sizes, np.random.default_rng(3))
    whole = evaluate(forward, values, sizes)["loss"]
    c = float(parts.factor.subs({s: sizes[s.name] for s in parts.factor.free_symbols}))
    total = c * evaluate(part_program(forward, parts.sample_sum), values, sizes)["loss"]
    if parts.rest is not None:
        total = total + evaluate(part_program(forward, parts.rest), values, sizes)["loss"]
    assert np.allclose(whole, total, rtol=1e-13)
