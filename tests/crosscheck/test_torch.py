"""symbp's gradients against PyTorch: each bundled network stated with PyTorch's own layers, in double precision.

A matrix of symbp has its samples as columns, PyTorch has them as rows; time comes first in a sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from symbp.networks import names

pytestmark = pytest.mark.crosscheck
torch = pytest.importorskip("torch")
F = torch.nn.functional

Loss = Callable[[SimpleNamespace, SimpleNamespace], Any]
"""A network: (tensors by name, sizes) -> the loss."""

LOSSES: dict[str, Loss] = {}
"""Every bundled network, stated for PyTorch."""


def stated(loss: Loss) -> Loss:
    """Enter a statement under the network's name."""
    LOSSES[loss.__name__] = loss
    return loss


def gradient(loss: Loss, by: Mapping[str, Any], rest: Mapping[str, Any], sizes: SimpleNamespace) -> Any:
    """Return the loss and its gradients as PyTorch finds them."""

    def tensors(values: Mapping[str, Any], wanted: bool) -> dict[str, Any]:
        def tensor(array: Any) -> Any:
            return torch.tensor(array, dtype=torch.float64, requires_grad=wanted)

        return {
            name: {k: tensor(a) for k, a in value.items()} if isinstance(value, Mapping) else tensor(value)
            for name, value in values.items()
        }

    def slope(leaf: Any) -> Any:
        return np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.numpy()

    leaves = tensors(by, True)
    value = loss(SimpleNamespace(**leaves, **tensors(rest, False)), sizes)
    value.backward()
    return value.item(), {
        name: {k: slope(a) for k, a in leaf.items()} if isinstance(leaf, Mapping) else slope(leaf)
        for name, leaf in leaves.items()
    }


@pytest.mark.parametrize("name", names())
def test_gradients(name: str, worst_difference: Any, record_property: Any) -> None:
    assert name in LOSSES, f"{name}.net is not stated in PyTorch"
    worst = worst_difference(name, partial(gradient, LOSSES[name]))
    record_property("PyTorch", (name, worst))
    assert worst < 1e-10


def test_a_wrong_statement_is_seen(worst_difference: Any) -> None:
    def wrong(v: SimpleNamespace, n: SimpleNamespace) -> Any:
        # The loss is right, its gradient is off in the eighth digit.
        return LOSSES["logistic"](v, n) + 1e-8 * (v.w - v.w.detach()).sum()

    assert worst_difference("logistic", partial(gradient, wrong)) > 1e-10


# ---------------------------------------------------------------------------------------------------------
# Forward through layers


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """Return a layer whose bias is a column."""
    return F.linear(x, weight, None if bias is None else bias[:, 0])


def half_squares(outputs: Any, targets: Any, samples: int) -> Any:
    """Return the squared error, halved, for each sample."""
    return F.mse_loss(outputs, targets, reduction="sum") / (2 * samples)


def sequence(family: Mapping[int, Any], steps: int) -> Any:
    """Return the members 1..T as (time, samples, features)."""
    return torch.stack([family[t].T for t in range(1, steps + 1)])


def run(module: Any, weights: Mapping[str, Any], *inputs: Any) -> Any:
    """Call one of PyTorch's modules with given weights."""
    return torch.func.functional_call(module.double(), dict(weights), inputs)


def recurrent(x: Any, state: Any, *cells: tuple[Any, Any, Any]) -> Any:
    """Return the states of tanh cells (recurrent weight, input weight, bias); of a second one from right to left."""
    weights = {}
    for suffix, (W, U, b) in zip(("", "_reverse"), cells, strict=False):
        weights |= {f"weight_hh_l0{suffix}": W, f"weight_ih_l0{suffix}": U, f"bias_ih_l0{suffix}": b[:, 0]}
        weights[f"bias_hh_l0{suffix}"] = torch.zeros(len(b), dtype=torch.float64)
    W, U, _ = cells[0]
    module = torch.nn.RNN(U.shape[1], W.shape[0], bidirectional=len(cells) == 2)
    return run(module, weights, x, state)[0]


@stated
def regression(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    return half_squares(linear(v.X.T, v.W, v.b), v.Y.T, n.m)


@stated
def logistic(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    scores = linear(v.X.T, v.w.T, v.b)
    return F.binary_cross_entropy_with_logits(scores, v.Y.T) + v.lam[0, 0] / 2 * v.w.square().sum()


@stated
def mlp(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    return half_squares(linear(torch.tanh(linear(v.X.T, v.W1, v.b1)), v.W2, v.b2), v.Y.T, n.m)


@stated
def xor(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    hidden = torch.tanh(linear(v.X.T, v.W1, v.b1))
    return F.binary_cross_entropy(torch.sigmoid(linear(hidden, v.W2, v.b2)), v.Y.T)


def classifier(v: SimpleNamespace, activation: Callable[[Any], Any]) -> Any:
    """Return the cross-entropy of two layers; the targets are probabilities."""
    return F.cross_entropy(linear(activation(linear(v.X.T, v.W_A1, v.b_A1)), v.W_Z2, v.b_Z2), v.Y.T)


@stated
def iris(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    return classifier(v, torch.tanh)


@stated
def digits(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    return classifier(v, F.relu)


@stated
def dropout(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    # A mask keeps an entry with probability 1/2; what is kept is doubled.
    decay = v.lam[0, 0] * (v.W_A1.square().sum() + v.W_Z2.square().sum())
    return classifier(v, lambda z: F.relu(z) * v.M.T / 0.5) + decay


@stated
def deep(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    # sigma is left open; symbp's checks take tanh.
    a = v.A[0].T
    for l in range(1, n.L + 1):
        a = torch.tanh(linear(a, v.W[l], v.b[l]))
    return half_squares(a, v.Y.T, n.m)


@stated
def nielsen(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    a = v.a[0].T
    for l in range(1, n.L + 1):
        a = torch.tanh(linear(a, v.w[l], v.b[l]))
    return half_squares(a, v.y.T, 1)


@stated
def residual(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    a = v.A[0].T
    for l in range(1, n.L + 1):
        a = a + F.relu(linear(a, v.W[l], v.b[l]))
    return F.mse_loss(a, v.Y.T)


@stated
def dag(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = v.x[0].T
    for _ in range(n.n):
        x = torch.tanh(linear(x, v.A * v.M, v.u))
    return half_squares(x, v.Y.T, 1)


# ---------------------------------------------------------------------------------------------------------
# Through time


@stated
def rnn(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    states = recurrent(sequence(v.X, n.T), v.H[0].T[None], (v.W, v.U, v.b))
    return half_squares(linear(states, v.V, v.c), sequence(v.Y, n.T), n.m)


@stated
def last_step(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    states = recurrent(sequence(v.X, n.T), v.H[0].T[None], (v.W, v.U, v.b))
    return half_squares(linear(states[-1], v.V, v.c), v.Y.T, n.m)


@stated
def bidirectional(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    ends = torch.stack([v.F[0].T, v.G[n.T + 1].T])
    states = recurrent(sequence(v.X, n.T), ends, (v.Wf, v.Uf, v.bf), (v.Wg, v.Ug, v.bg))
    return half_squares(linear(states, torch.cat([v.Vf, v.Vg], 1), v.c), sequence(v.Y, n.T), n.m)


@stated
def stacked(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    states = torch.stack([v.H[0, t].T for t in range(1, n.T + 1)])
    for l in range(1, n.L + 1):
        states = recurrent(states, v.H[l, 0].T[None], (v.W[l], v.U[l], v.b[l]))
    return half_squares(states, sequence(v.Y, n.T), n.m)


@stated
def delayed(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    states = [v.H[k].T for k in (-2, -1, 0)]
    for t in range(1, n.T + 1):
        states.append(torch.tanh(linear(states[-1], v.W1) + linear(states[-3], v.W3) + linear(v.X[t].T, v.U, v.b)))
    return half_squares(linear(torch.stack(states[3:]), v.V), sequence(v.Y, n.T), n.m)


@stated
def lstm(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    def turned(stack: Any) -> Any:
        i, f, o, g = stack.chunk(4)
        return torch.cat([i, f, g, o])  # PyTorch's order

    bias = turned(v.b)[:, 0]
    weights = {"weight_ih_l0": turned(v.W), "weight_hh_l0": turned(v.U), "bias_ih_l0": bias}
    weights["bias_hh_l0"] = torch.zeros_like(bias)
    states, _ = run(torch.nn.LSTM(n.n, n.h), weights, sequence(v.X, n.T), (v.H[0].T[None], v.C[0].T[None]))
    return half_squares(linear(states, v.V), sequence(v.Y, n.T), n.m)
