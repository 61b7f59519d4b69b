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


@stated
def gru(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    # PyTorch's own cell multiplies by the reset gate after the recurrent product; Cho et al. do it before.
    h = v.h0.T.expand(n.m, -1)
    for t in range(1, n.T + 1):
        x = v.X[t].T
        r = torch.sigmoid(linear(x, v.W_r, v.b_r) + linear(h, v.U_r))
        z = torch.sigmoid(linear(x, v.W_z, v.b_z) + linear(h, v.U_z))
        h = torch.lerp(torch.tanh(linear(x, v.W_n, v.b_n) + linear(r * h, v.U_n)), h, z)
    return F.cross_entropy(linear(h, v.V, v.c), v.Y.T)


@stated
def truncated(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    h, total = v.H[0, n.k].T, 0.0
    for i in range(1, n.c + 1):
        x = torch.stack([v.X[i, j].T for j in range(1, n.k + 1)])
        states = recurrent(x, h.detach()[None], (v.W, v.U, v.b))
        total += half_squares(linear(states, v.V), torch.stack([v.Y[i, j].T for j in range(1, n.k + 1)]), n.m)
        h = states[-1]
    return total


@stated
def cells(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    # PyTorch's LSTM has no peepholes.
    below = recurrent(sequence(v.X, n.T), v.B[0].T[None], (v.U_h, v.W_h, v.b_h))
    h, c, states = v.H[0].T, v.C[0].T, []
    for x in below:
        i = torch.sigmoid(linear(x, v.W_i, v.b_i) + linear(h, v.U_i) + v.p_i.T * c)
        f = torch.sigmoid(linear(x, v.W_f, v.b_f) + linear(h, v.U_f) + v.p_f.T * c)
        c = f * c + i * torch.tanh(linear(x, v.W_g, v.b_g) + linear(h, v.U_g))
        o = torch.sigmoid(linear(x, v.W_o, v.b_o) + linear(h, v.U_o) + v.p_o.T * c)
        h = o * torch.tanh(c)
        states.append(h)
    return half_squares(linear(torch.stack(states), v.V, v.d), sequence(v.Y, n.T), n.m)


# ---------------------------------------------------------------------------------------------------------
# Normalised, gated, tied


@stated
def batch_norm(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    hidden = F.batch_norm(linear(v.X.T, v.W_Z1), None, None, v.gamma_N1[:, 0], v.beta_N1[:, 0], training=True)
    return F.cross_entropy(linear(F.relu(hidden), v.W_Z2, v.b_Z2), v.Y.T)


@stated
def layer_norm(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    hidden = F.layer_norm(linear(v.X.T, v.W_Z1), (n.n1,), v.gamma_N1[:, 0], v.beta_N1[:, 0])
    return F.mse_loss(linear(F.gelu(hidden), v.W_Z2, v.b_Z2), v.Y.T)


@stated
def rms_norm(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = linear(v.X.T, v.W_E)
    normed = F.rms_norm(x, (n.n,), v.gamma_N[:, 0], eps=1e-5)
    return F.mse_loss(x + linear(F.gelu(linear(normed, v.W_H)) * linear(normed, v.V_H), v.W_A), v.Y.T)


@stated
def group_norm(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    hidden = F.group_norm(linear(v.X.T, v.W_Z1), n.g, v.gamma_N1[:, 0], v.beta_N1[:, 0])
    return F.cross_entropy(linear(F.relu(hidden), v.W_Z2, v.b_Z2), v.Y.T)


@stated
def gated(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    e = F.mish(linear(v.X.T, v.W_E, v.b_E))
    h = F.silu(linear(e, v.W_H)) * linear(e, v.V_H)
    return F.mse_loss(linear(e + linear(h, v.W_Q), v.W_P, v.b_P), v.Y.T)


@stated
def highway(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = v.A[0].T
    for l in range(1, n.L + 1):
        gate = torch.sigmoid(linear(x, v.V_A[l], v.c_A[l]))
        x = torch.lerp(x, torch.tanh(linear(x, v.W_A[l], v.b_A[l])), gate)
    # PyTorch's gated unit wants what is gated first, then what goes through the sigmoid.
    x = F.glu(linear(x, torch.cat([v.V_H, v.W_H]), torch.cat([v.c_H, v.b_H])))
    return F.kl_div(F.log_softmax(linear(x, v.W_P, v.b_P), -1), v.Y.T, reduction="batchmean")


@stated
def tied(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    return half_squares(linear(torch.tanh(linear(v.X.T, v.W, v.b)), v.W.T, v.c), v.X.T, n.m)


@stated
def heads(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x, w = v.X.reshape(n.k, n.p, n.m), v.W.reshape(n.k, n.p, n.q)
    outputs = torch.tanh(torch.einsum("kpm,kpq->kqm", x, w).reshape(n.k * n.q, n.m) + v.b)
    return half_squares(outputs, v.Y, n.m)


@stated
def triplet(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    anchor, like, other = (linear(torch.tanh(linear(x.T, v.W, v.b)), v.V) for x in (v.X_A, v.X_P, v.X_N))

    def distance(a: Any, b: Any) -> Any:
        return (a - b).square().sum(-1)

    return F.triplet_margin_with_distance_loss(anchor, like, other, distance_function=distance)


@stated
def losses(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    hidden = torch.tanh(linear(v.X.T, v.W_H, v.b_H))
    values, directions, sides, logits = (
        linear(hidden, w, b) for w, b in ((v.W_V, v.b_V), (v.W_D, v.b_D), (v.W_S, v.b_S), (v.W_Z, v.b_Z))
    )
    angle = F.cosine_embedding_loss(directions, v.Y_d.T, torch.ones(int(n.m)))
    margin = torch.clamp(1 - v.Y_s.T * sides, min=0).sum() / n.m
    # The focal loss as it is defined: p_t is the probability of the label that is the right one.
    right = torch.where(v.Y_b.T == 1, torch.sigmoid(logits), torch.sigmoid(-logits))
    focal = -((1 - right) ** 2 * torch.log(right)).sum() / n.m
    return torch.log(torch.cosh(values - v.Y_v.T)).sum() / n.m + angle + margin + focal


@stated
def bilinear(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    features = torch.tanh(v.U @ v.X @ v.V.T)
    return half_squares(F.linear(features.T.flatten(), v.W_z, v.b_z[:, 0]), v.y[:, 0], 1)


# ---------------------------------------------------------------------------------------------------------
# Windows


def maps(x: Any, channels: int, side: int = 8) -> Any:
    """Return samples that are columns of square images, one channel after the other, as (samples, channels, ., .)."""
    return x.T.reshape(-1, channels, side, side)


def convolution(x: Any, kernels: Any, bias: Any, side: int, padding: int = 0, stride: int = 1) -> Any:
    """Return a convolution whose kernels are rows."""
    weight = kernels.reshape(len(kernels), -1, side, side)
    return F.conv2d(x, weight, bias[:, 0], stride, padding)


@stated
def conv(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = F.avg_pool2d(F.relu(convolution(maps(v.X, n.c), v.K_A1, v.b_A1, 3)), 2)
    x = F.relu(convolution(x, v.K_A2, v.b_A2, 2))
    return half_squares(linear(x.flatten(1), v.W), v.Y.T, 1)


@stated
def lenet(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = F.max_pool2d(F.relu(convolution(maps(v.X, 1), v.K_A1, v.b_A1, 3, padding=1)), 2)
    x = F.relu(convolution(x, v.K_A2, v.b_A2, 3))
    x = F.relu(linear(x.flatten(1), v.W_A3, v.b_A3))
    return F.cross_entropy(linear(x, v.W_Z4, v.b_Z4), v.Y.T)


@stated
def signals(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = v.X.T.reshape(n.m, n.c, 16)
    x = F.relu(F.conv1d(x, v.K_A1.reshape(4, n.c, 3), v.b_A1[:, 0], stride=2, padding=1))
    x = F.relu(F.conv1d(x, v.K_A2.reshape(2 * n.f, 2, 3), v.b_A2[:, 0], dilation=2, groups=2))
    log_p = F.log_softmax(linear(F.adaptive_max_pool1d(x, 1)[..., 0], v.W_Z3, v.b_Z3), -1)
    return -(v.Y.T * (1 - log_p.exp()) ** 2 * log_p).sum() / n.m


@stated
def upsampling(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = F.relu(convolution(maps(v.X, 1), v.K_A1, v.b_A1, 3, padding=1, stride=2))
    kernels = v.K_A2.T.reshape(n.f, 1, 4, 4)  # inputs x outputs x rows x columns
    x = F.conv_transpose2d(x, kernels, v.b_A2[:, 0], stride=2, padding=1)
    return F.huber_loss(x, maps(v.X, 1), reduction="sum") / n.m


@stated
def branches(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = maps(v.X, n.c, 6)
    x = torch.cat([convolution(x, v.K_A1, v.b_A1, 1), convolution(x, v.K_A2, v.b_A2, 3, padding=1)], 1)
    scores = linear(F.adaptive_avg_pool2d(F.relu(x), 1).flatten(1), v.W_Z4, v.b_Z4)
    return F.cross_entropy(scores, v.Y.T, label_smoothing=0.1)


# ---------------------------------------------------------------------------------------------------------
# Attention: (sequences, heads, positions, features)


@stated
def attention(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = sequence(v.X, n.m)
    seen = F.scaled_dot_product_attention(*(linear(x, W) for W in (v.W_Q, v.W_K, v.W_V)), is_causal=True)
    return half_squares(x + linear(seen, v.W_O), sequence(v.Y, n.m), n.m * n.T)


def attend(q: Any, k: Any, v: Any, may: Any) -> Any:
    """Return attention under a mask; a query that may see nothing sees the mean of all values."""
    some = may.any(-1, keepdim=True)
    seen = F.scaled_dot_product_attention(q, k, v, attn_mask=may | ~some)
    return torch.where(some, seen, v.mean(-2, keepdim=True))


@stated
def cross_attention(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = sequence(v.X, n.m)
    memory = sequence(v.M, n.m)

    def each_head(a: Any, weights: Any) -> Any:
        return torch.stack([linear(a, weights[j]) for j in range(1, n.heads + 1)], 1)

    found = F.scaled_dot_product_attention(each_head(x, v.W_Q), each_head(memory, v.W_K), each_head(memory, v.W_V))
    outputs = x + sum(linear(found[:, j - 1], v.W_O[j]) for j in range(1, n.heads + 1))
    return half_squares(outputs, sequence(v.Y, n.m), n.m * n.T)


def block(x: Any, v: SimpleNamespace, heads: int, may: Any, at: tuple[int, ...] = ()) -> Any:
    """Return a pre-norm transformer block; ``at`` are the indices of its layer."""

    def member(family: Any, *more: int) -> Any:
        where = (*at, *more)
        return family if not where else family[where[0] if len(where) == 1 else where]

    def normed(a: Any, gain: Any, shift: Any) -> Any:
        return F.layer_norm(a, a.shape[-1:], member(gain)[:, 0], member(shift)[:, 0])

    seen = normed(x, v.g1, v.c1)
    q, k, w = (
        torch.stack([linear(seen, member(W, j)) for j in range(1, heads + 1)], 1) for W in (v.W_Q, v.W_K, v.W_V)
    )
    found = attend(q, k, w, may)
    a = x + sum(linear(found[:, j - 1], member(v.W_O, j)) for j in range(1, heads + 1))
    hidden = F.gelu(linear(normed(a, v.g2, v.c2), member(v.W1), member(v.b1)))
    return a + linear(hidden, member(v.W2), member(v.b2))


@stated
def transformer(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    # A mask has a column for each query, PyTorch's has a row.
    may = sequence(v.M, n.m)[:, None] > 0
    return half_squares(block(sequence(v.X, n.m), v, n.heads, may), sequence(v.Y, n.m), n.m * n.T)


@stated
def decoder(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    words, following = (sequence(family, n.m)[..., 0].long() for family in (v.ids, v.following))
    x = F.embedding(words, v.E.T) + v.R.T
    causal = torch.ones(n.T, n.T, dtype=torch.bool).tril()
    for l in range(1, n.L + 1):
        x = block(x, v, n.heads, causal, (l,))
    return F.cross_entropy(F.linear(x, v.E.T).flatten(0, 1), following.flatten())
