"""symbp's gradients against JAX: each bundled network stated with JAX's own functions, in double precision.

A matrix of symbp has its samples as columns, here they are rows; time comes first in a sequence.
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
jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
jnp, lax, nn = jax.numpy, jax.lax, jax.nn

Loss = Callable[[SimpleNamespace, SimpleNamespace], Any]
"""A network: (arrays by name, sizes) -> the loss."""

LOSSES: dict[str, Loss] = {}
"""Every bundled network, stated for JAX."""


def stated(loss: Loss) -> Loss:
    """Enter a statement under the network's name."""
    LOSSES[loss.__name__] = loss
    return loss


def gradient(loss: Loss, by: Mapping[str, Any], rest: Mapping[str, Any], sizes: SimpleNamespace) -> Any:
    """Return the loss and its gradients as JAX finds them."""
    given = jax.tree.map(jnp.asarray, dict(rest))
    value, slopes = jax.value_and_grad(lambda leaves: loss(SimpleNamespace(**leaves, **given), sizes))(dict(by))
    return float(value), jax.tree.map(np.asarray, slopes)


@pytest.mark.parametrize("name", names())
def test_gradients(name: str, worst_difference: Any, record_property: Any) -> None:
    assert name in LOSSES, f"{name}.net is not stated in JAX"
    worst = worst_difference(name, partial(gradient, LOSSES[name]))
    record_property("JAX", (name, worst))
    assert worst < 1e-10


def test_a_wrong_statement_is_seen(worst_difference: Any) -> None:
    def wrong(v: SimpleNamespace, n: SimpleNamespace) -> Any:
        # The loss is right, its gradient is off in the eighth digit.
        return LOSSES["logistic"](v, n) + 1e-8 * (v.w - lax.stop_gradient(v.w)).sum()

    assert worst_difference("logistic", partial(gradient, wrong)) > 1e-10


# ---------------------------------------------------------------------------------------------------------
# Forward through layers


def linear(x: Any, weight: Any, bias: Any = 0.0) -> Any:
    """Return a layer whose weight is outputs x inputs and whose bias is a column."""
    return jnp.einsum("...i,oi->...o", x, weight) + jnp.transpose(bias)


def half_squares(outputs: Any, targets: Any, samples: int) -> Any:
    """Return the squared error, halved, for each sample."""
    return jnp.vdot(outputs - targets, outputs - targets) / (2 * samples)


def softmax_loss(scores: Any, targets: Any) -> Any:
    """Return the cross-entropy of a softmax along the last axis, for each sample."""
    return -(targets * nn.log_softmax(scores)).sum(-1).mean()


def binary_loss(scores: Any, targets: Any) -> Any:
    """Return the cross-entropy of a logistic output."""
    return -(targets * nn.log_sigmoid(scores) + (1 - targets) * nn.log_sigmoid(-scores)).mean()


def sequence(family: Mapping[int, Any], steps: int) -> Any:
    """Return the members 1..T as (time, samples, features)."""
    return jnp.stack([family[t].T for t in range(1, steps + 1)])


def scan(cell: Callable[[Any, Any], Any], state: Any, inputs: Any, reverse: bool = False) -> Any:
    """Return the states of a cell ``(state, input) -> state`` at all steps."""

    def step(before: Any, x: Any) -> Any:
        after = cell(before, x)
        return after, after

    return lax.scan(step, state, inputs, reverse=reverse)[1]


def simple(W: Any, U: Any, b: Any) -> Callable[[Any, Any], Any]:
    """Return the cell of a simple recurrent network."""
    return lambda h, x: jnp.tanh(linear(h, W) + linear(x, U, b))


@stated
def regression(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    return half_squares(linear(v.X.T, v.W, v.b), v.Y.T, n.m)


@stated
def logistic(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    return binary_loss(linear(v.X.T, v.w.T, v.b), v.Y.T) + v.lam[0, 0] / 2 * jnp.vdot(v.w, v.w)


@stated
def mlp(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    return half_squares(linear(jnp.tanh(linear(v.X.T, v.W1, v.b1)), v.W2, v.b2), v.Y.T, n.m)


@stated
def xor(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    return binary_loss(linear(jnp.tanh(linear(v.X.T, v.W1, v.b1)), v.W2, v.b2), v.Y.T)


def classifier(v: SimpleNamespace, activation: Callable[[Any], Any]) -> Any:
    """Return the cross-entropy of two layers."""
    return softmax_loss(linear(activation(linear(v.X.T, v.W_A1, v.b_A1)), v.W_Z2, v.b_Z2), v.Y.T)


@stated
def iris(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    return classifier(v, jnp.tanh)


@stated
def digits(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    return classifier(v, nn.relu)


@stated
def dropout(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    # A mask keeps an entry with probability 1/2; what is kept is doubled.
    decay = v.lam[0, 0] * (jnp.vdot(v.W_A1, v.W_A1) + jnp.vdot(v.W_Z2, v.W_Z2))
    return classifier(v, lambda z: jnp.where(v.M.T > 0, nn.relu(z) / 0.5, 0.0)) + decay


@stated
def deep(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    # sigma is left open; symbp's checks take tanh.
    a = v.A[0].T
    for l in range(1, n.L + 1):
        a = jnp.tanh(linear(a, v.W[l], v.b[l]))
    return half_squares(a, v.Y.T, n.m)


@stated
def nielsen(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    a = v.a[0].T
    for l in range(1, n.L + 1):
        a = jnp.tanh(linear(a, v.w[l], v.b[l]))
    return half_squares(a, v.y.T, 1)


@stated
def residual(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    a = v.A[0].T
    for l in range(1, n.L + 1):
        a = a + nn.relu(linear(a, v.W[l], v.b[l]))
    return jnp.square(a - v.Y.T).mean()


@stated
def dag(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = lax.fori_loop(0, n.n, lambda _, x: jnp.tanh(linear(x, v.A * v.M, v.u)), v.x[0].T)
    return half_squares(x, v.Y.T, 1)


# ---------------------------------------------------------------------------------------------------------
# Through time


@stated
def rnn(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    states = scan(simple(v.W, v.U, v.b), v.H[0].T, sequence(v.X, n.T))
    return half_squares(linear(states, v.V, v.c), sequence(v.Y, n.T), n.m)


@stated
def last_step(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    states = scan(simple(v.W, v.U, v.b), v.H[0].T, sequence(v.X, n.T))
    return half_squares(linear(states[-1], v.V, v.c), v.Y.T, n.m)


@stated
def bidirectional(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = sequence(v.X, n.T)
    forth = scan(simple(v.Wf, v.Uf, v.bf), v.F[0].T, x)
    back = scan(simple(v.Wg, v.Ug, v.bg), v.G[n.T + 1].T, x, reverse=True)
    return half_squares(linear(forth, v.Vf) + linear(back, v.Vg, v.c), sequence(v.Y, n.T), n.m)


@stated
def stacked(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    states = jnp.stack([v.H[0, t].T for t in range(1, n.T + 1)])
    for l in range(1, n.L + 1):
        states = scan(simple(v.W[l], v.U[l], v.b[l]), v.H[l, 0].T, states)
    return half_squares(states, sequence(v.Y, n.T), n.m)


@stated
def delayed(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    def step(line: Any, x: Any) -> Any:
        h = jnp.tanh(linear(line[2], v.W1) + linear(line[0], v.W3) + linear(x, v.U, v.b))
        return jnp.stack([line[1], line[2], h]), h

    before = jnp.stack([v.H[k].T for k in (-2, -1, 0)])
    states = lax.scan(step, before, sequence(v.X, n.T))[1]
    return half_squares(linear(states, v.V), sequence(v.Y, n.T), n.m)


@stated
def lstm(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    def cell(before: Any, x: Any) -> Any:
        h, c = before
        i, f, o, g = jnp.split(linear(x, v.W, v.b) + linear(h, v.U), 4, axis=-1)
        c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
        return nn.sigmoid(o) * jnp.tanh(c), c

    states, _ = scan(cell, (v.H[0].T, v.C[0].T), sequence(v.X, n.T))
    return half_squares(linear(states, v.V), sequence(v.Y, n.T), n.m)


@stated
def gru(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    def cell(h: Any, x: Any) -> Any:
        r = nn.sigmoid(linear(x, v.W_r, v.b_r) + linear(h, v.U_r))
        z = nn.sigmoid(linear(x, v.W_z, v.b_z) + linear(h, v.U_z))
        return (1 - z) * jnp.tanh(linear(x, v.W_n, v.b_n) + linear(r * h, v.U_n)) + z * h

    states = scan(cell, jnp.tile(v.h0.T, (n.m, 1)), sequence(v.X, n.T))
    return softmax_loss(linear(states[-1], v.V, v.c), v.Y.T)


@stated
def truncated(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    h, total = v.H[0, n.k].T, 0.0
    for i in range(1, n.c + 1):
        x, y = (jnp.stack([family[i, j].T for j in range(1, n.k + 1)]) for family in (v.X, v.Y))
        states = scan(simple(v.W, v.U, v.b), lax.stop_gradient(h), x)
        total += half_squares(linear(states, v.V), y, n.m)
        h = states[-1]
    return total


@stated
def cells(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    def cell(before: Any, x: Any) -> Any:
        h, c = before
        i = nn.sigmoid(linear(x, v.W_i, v.b_i) + linear(h, v.U_i) + v.p_i.T * c)
        f = nn.sigmoid(linear(x, v.W_f, v.b_f) + linear(h, v.U_f) + v.p_f.T * c)
        c = f * c + i * jnp.tanh(linear(x, v.W_g, v.b_g) + linear(h, v.U_g))
        o = nn.sigmoid(linear(x, v.W_o, v.b_o) + linear(h, v.U_o) + v.p_o.T * c)
        return o * jnp.tanh(c), c

    below = scan(simple(v.U_h, v.W_h, v.b_h), v.B[0].T, sequence(v.X, n.T))
    states, _ = scan(cell, (v.H[0].T, v.C[0].T), below)
    return half_squares(linear(states, v.V, v.d), sequence(v.Y, n.T), n.m)


# ---------------------------------------------------------------------------------------------------------
# Normalised, gated, tied


@stated
def batch_norm(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    hidden = nn.standardize(linear(v.X.T, v.W_Z1), axis=0, epsilon=1e-5) * v.gamma_N1.T + v.beta_N1.T
    return softmax_loss(linear(nn.relu(hidden), v.W_Z2, v.b_Z2), v.Y.T)


@stated
def layer_norm(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    hidden = nn.standardize(linear(v.X.T, v.W_Z1), epsilon=1e-5) * v.gamma_N1.T + v.beta_N1.T
    return jnp.square(linear(nn.gelu(hidden, approximate=False), v.W_Z2, v.b_Z2) - v.Y.T).mean()


@stated
def rms_norm(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = linear(v.X.T, v.W_E)
    normed = v.gamma_N.T * x * lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-5)
    hidden = nn.gelu(linear(normed, v.W_H), approximate=False) * linear(normed, v.V_H)
    return jnp.square(x + linear(hidden, v.W_A) - v.Y.T).mean()


@stated
def group_norm(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    groups = nn.standardize(linear(v.X.T, v.W_Z1).reshape(n.m, n.g, n.k), epsilon=1e-5)
    hidden = groups.reshape(n.m, -1) * v.gamma_N1.T + v.beta_N1.T
    return softmax_loss(linear(nn.relu(hidden), v.W_Z2, v.b_Z2), v.Y.T)


@stated
def gated(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    e = nn.mish(linear(v.X.T, v.W_E, v.b_E))
    h = nn.silu(linear(e, v.W_H)) * linear(e, v.V_H)
    return jnp.square(linear(e + linear(h, v.W_Q), v.W_P, v.b_P) - v.Y.T).mean()


@stated
def highway(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = v.A[0].T
    for l in range(1, n.L + 1):
        gate = nn.sigmoid(linear(x, v.V_A[l], v.c_A[l]))
        x = gate * jnp.tanh(linear(x, v.W_A[l], v.b_A[l])) + (1 - gate) * x
    x = nn.sigmoid(linear(x, v.W_H, v.b_H)) * linear(x, v.V_H, v.c_H)
    scores = linear(x, v.W_P, v.b_P)
    return softmax_loss(scores, v.Y.T) + (v.Y * jnp.log(v.Y)).sum() / n.m


@stated
def tied(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    return half_squares(linear(jnp.tanh(linear(v.X.T, v.W, v.b)), v.W.T, v.c), v.X.T, n.m)


@stated
def heads(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x, w = v.X.reshape(n.k, n.p, n.m), v.W.reshape(n.k, n.p, n.q)
    outputs = jnp.tanh(jnp.einsum("kpm,kpq->kqm", x, w).reshape(n.k * n.q, n.m) + v.b)
    return half_squares(outputs, v.Y, n.m)


@stated
def triplet(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    anchor, like, other = (linear(jnp.tanh(linear(x.T, v.W, v.b)), v.V) for x in (v.X_A, v.X_P, v.X_N))
    near, far = (jnp.square(anchor - e).sum(-1) for e in (like, other))
    return nn.relu(near - far + 1).mean()


@stated
def losses(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    hidden = jnp.tanh(linear(v.X.T, v.W_H, v.b_H))
    values, directions, sides, logits = (
        linear(hidden, w, b) for w, b in ((v.W_V, v.b_V), (v.W_D, v.b_D), (v.W_S, v.b_S), (v.W_Z, v.b_Z))
    )
    norms = jnp.linalg.norm(directions, axis=1) * jnp.linalg.norm(v.Y_d.T, axis=1)
    angle = 1 - ((directions * v.Y_d.T).sum(axis=1) / norms).mean()
    margin = nn.relu(1 - v.Y_s.T * sides).sum() / n.m
    right = jnp.where(v.Y_b.T == 1, nn.sigmoid(logits), nn.sigmoid(-logits))
    focal = -((1 - right) ** 2 * jnp.log(right)).sum() / n.m
    return jnp.log(jnp.cosh(values - v.Y_v.T)).sum() / n.m + angle + margin + focal


@stated
def bilinear(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    features = jnp.tanh(v.U @ v.X @ v.V.T)
    return half_squares(v.W_z @ features.T.reshape(-1, 1) + v.b_z, v.y, 1)


# ---------------------------------------------------------------------------------------------------------
# Windows


def maps(x: Any, channels: int, side: int = 8) -> Any:
    """Return samples that are columns of square images, one channel after the other, as (samples, channels, ., .)."""
    return x.T.reshape(-1, channels, side, side)


def convolution(x: Any, kernels: Any, bias: Any, side: int, padding: int = 0, stride: int = 1) -> Any:
    """Return a convolution whose kernels are rows."""
    weight = kernels.reshape(len(kernels), -1, side, side)
    return lax.conv_general_dilated(x, weight, [stride] * 2, [(padding, padding)] * 2) + bias[..., None]


def pooled(x: Any, start: float, combine: Any) -> Any:
    """Return windows of 2 x 2, combined."""
    return lax.reduce_window(x, start, combine, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


@stated
def conv(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = pooled(nn.relu(convolution(maps(v.X, n.c), v.K_A1, v.b_A1, 3)), 0.0, lax.add) / 4
    x = nn.relu(convolution(x, v.K_A2, v.b_A2, 2))
    return half_squares(linear(x.reshape(n.m, -1), v.W), v.Y.T, 1)


@stated
def lenet(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = pooled(nn.relu(convolution(maps(v.X, 1), v.K_A1, v.b_A1, 3, padding=1)), -jnp.inf, lax.max)
    x = nn.relu(convolution(x, v.K_A2, v.b_A2, 3))
    x = nn.relu(linear(x.reshape(n.m, -1), v.W_A3, v.b_A3))
    return softmax_loss(linear(x, v.W_Z4, v.b_Z4), v.Y.T)


@stated
def signals(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = v.X.T.reshape(n.m, n.c, 16)
    x = nn.relu(lax.conv_general_dilated(x, v.K_A1.reshape(4, n.c, 3), [2], [(1, 1)]) + v.b_A1)
    kernels = v.K_A2.reshape(2 * n.f, 2, 3)
    x = nn.relu(
        lax.conv_general_dilated(x, kernels, [1], "VALID", rhs_dilation=[2], feature_group_count=2) + v.b_A2
    )
    log_p = nn.log_softmax(linear(x.max(-1), v.W_Z3, v.b_Z3))
    return -(v.Y.T * jnp.square(1 - jnp.exp(log_p)) * log_p).sum(-1).mean()


@stated
def upsampling(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = nn.relu(convolution(maps(v.X, 1), v.K_A1, v.b_A1, 3, padding=1, stride=2))
    # A transposed convolution is one over maps with zeros in between, its kernel rotated by half a turn.
    kernels = jnp.flip(v.K_A2.reshape(1, 4, 4, n.f), (1, 2)).transpose(0, 3, 1, 2)
    x = lax.conv_general_dilated(x, kernels, (1, 1), [(2, 2)] * 2, lhs_dilation=(2, 2)) + v.b_A2
    error = x - maps(v.X, 1)
    return jnp.where(jnp.abs(error) <= 1, jnp.square(error) / 2, jnp.abs(error) - 0.5).sum() / n.m


@stated
def branches(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = maps(v.X, n.c, 6)
    small, large = convolution(x, v.K_A1, v.b_A1, 1), convolution(x, v.K_A2, v.b_A2, 3, padding=1)
    means = nn.relu(jnp.concatenate([small, large], 1)).mean((-2, -1))
    return softmax_loss(linear(means, v.W_Z4, v.b_Z4), 0.9 * v.Y.T + 0.1 / n.k)


# ---------------------------------------------------------------------------------------------------------
# Attention: (sequences, heads, positions, features)


def attend(q: Any, k: Any, v: Any, may: Any) -> Any:
    """Return attention under a mask; a query that may see nothing sees the mean of all values.

    ``jax.nn.dot_product_attention`` would say the same, but its softmax is of single precision.
    """
    some = may.any(-1, keepdims=True)
    scores = jnp.einsum("...qf,...kf->...qk", q, k) / np.sqrt(q.shape[-1])
    seen = nn.softmax(jnp.where(may | ~some, scores, -jnp.inf)) @ v
    return jnp.where(some, seen, v.mean(-2, keepdims=True))


def causal(positions: int) -> Any:
    """Return the mask in which a query (a row) sees what stands before it."""
    return jnp.tril(jnp.ones((positions, positions), bool))


@stated
def attention(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x = sequence(v.X, n.m)
    seen = attend(*(linear(x, W) for W in (v.W_Q, v.W_K, v.W_V)), causal(n.T))
    return half_squares(x + linear(seen, v.W_O), sequence(v.Y, n.m), n.m * n.T)


@stated
def cross_attention(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    x, memory = sequence(v.X, n.m), sequence(v.M, n.m)
    outputs = x
    for j in range(1, n.heads + 1):
        q, k, w = linear(x, v.W_Q[j]), linear(memory, v.W_K[j]), linear(memory, v.W_V[j])
        outputs += linear(attend(q, k, w, jnp.ones((n.T, n.n), bool)), v.W_O[j])
    return half_squares(outputs, sequence(v.Y, n.m), n.m * n.T)


def block(x: Any, v: SimpleNamespace, heads: int, may: Any, at: tuple[int, ...] = ()) -> Any:
    """Return a pre-norm transformer block; ``at`` are the indices of its layer."""

    def member(family: Any, *more: int) -> Any:
        where = (*at, *more)
        return family if not where else family[where[0] if len(where) == 1 else where]

    def normed(a: Any, gain: Any, shift: Any) -> Any:
        return nn.standardize(a, epsilon=1e-5) * member(gain).T + member(shift).T

    seen = normed(x, v.g1, v.c1)
    q, k, w = (
        jnp.stack([linear(seen, member(W, j)) for j in range(1, heads + 1)], 1) for W in (v.W_Q, v.W_K, v.W_V)
    )
    found = attend(q, k, w, may)
    a = x + sum(linear(found[:, j - 1], member(v.W_O, j)) for j in range(1, heads + 1))
    hidden = nn.gelu(linear(normed(a, v.g2, v.c2), member(v.W1), member(v.b1)), approximate=False)
    return a + linear(hidden, member(v.W2), member(v.b2))


@stated
def transformer(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    # A mask has a column for each query, here it has a row.
    may = sequence(v.M, n.m)[:, None] > 0
    return half_squares(block(sequence(v.X, n.m), v, n.heads, may), sequence(v.Y, n.m), n.m * n.T)


@stated
def decoder(v: SimpleNamespace, n: SimpleNamespace) -> Any:
    words, following = (sequence(family, n.m)[..., 0].astype(int) for family in (v.ids, v.following))
    x = jnp.take(v.E.T, words, axis=0) + v.R.T
    for l in range(1, n.L + 1):
        x = block(x, v, n.heads, causal(n.T), (l,))
    return softmax_loss((x @ v.E).reshape(-1, n.v), nn.one_hot(following.reshape(-1), n.v))
