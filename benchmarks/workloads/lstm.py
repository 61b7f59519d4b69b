"""A long short-term memory of 128 cells on 50 steps of 32 inputs, judged at the last step; batch 32."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ._network import Array, Network, cross_entropy, one_hot

N, H, T, M, P = 32, 128, 50, 32, 10


def _sigmoid(x: Array) -> Array:
    """Return the logistic function."""
    return 0.5 * (1 + np.tanh(0.5 * x))


class Lstm(Network):
    """Gates stacked in the order i, f, g, o, which is PyTorch's; samples are columns."""

    name = "lstm"
    title = f"LSTM {N}-{H}, T={T}, batch {M}"
    rate = 0.1
    sizes: ClassVar = {"m": M, "T": T}
    shapes: ClassVar = {"W": (4 * H, N), "U": (4 * H, H), "b": (4 * H, 1), "V": (P, H), "c": (P, 1)}
    declaration = f"""samples: m
H[0]: input[{H}, m]; C[0]: input[{H}, m]
Y: target[{P}, m] & one_hot_columns
W: param[{4 * H}, {N}]; U: param[{4 * H}, {H}]; b: param[{4 * H}, 1]
V: param[{P}, {H}]; c: param[{P}, 1]
for t in range(1, T+1):
    X[t]: input[{N}, m]
    S[t] = W @ X[t] + U @ H[t-1] + b
    I[t] = sigmoid(S[t][0:{H}, :])
    F[t] = sigmoid(S[t][{H}:{2 * H}, :])
    G[t] = tanh(S[t][{2 * H}:{3 * H}, :])
    O[t] = sigmoid(S[t][{3 * H}:{4 * H}, :])
    C[t] = F[t]*C[t-1] + I[t]*G[t]
    H[t] = O[t]*tanh(C[t])
loss = softmax_cross_entropy(V @ H[T] + c, Y)
"""

    def data(self) -> list[Array]:
        """Return H[0], C[0], X and Y: what predicts before what is to be predicted."""
        rng = np.random.default_rng(0)
        zero = np.zeros((H, M), np.float32)
        return [zero, zero.copy(), rng.standard_normal((T, N, M)).astype(np.float32), one_hot(rng, P, M)]

    def loss_and_gradients(self, parameters: list[Array], data: list[Array]) -> tuple[float, list[Array]]:
        """Return the loss and its gradients, by backpropagation through time."""
        (W, U, b, V, c), (h0, c0, X, Y) = parameters, data
        gates, cells, outputs = [], [c0], [h0]
        for t in range(T):
            S = W @ X[t] + U @ outputs[-1] + b
            i, f, o = (_sigmoid(S[k * H : (k + 1) * H]) for k in (0, 1, 3))
            g = np.tanh(S[2 * H : 3 * H])
            gates.append((i, f, g, o))
            cells.append(f * cells[-1] + i * g)
            outputs.append(o * np.tanh(cells[-1]))
        loss, D = cross_entropy(V @ outputs[-1] + c, Y)
        dV, dc = D @ outputs[-1].T, D.sum(axis=1, keepdims=True)
        dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
        dh, carried = V.T @ D, np.zeros_like(c0)
        for t in reversed(range(T)):
            (i, f, g, o), s = gates[t], np.tanh(cells[t + 1])
            carried = carried + dh * o * (1 - s * s)
            dS = np.vstack([
                carried * g * i * (1 - i),
                carried * cells[t] * f * (1 - f),
                carried * i * (1 - g * g),
                dh * s * o * (1 - o),
            ])
            carried = carried * f
            dW += dS @ X[t].T
            dU += dS @ outputs[t].T
            db += dS.sum(axis=1, keepdims=True)
            dh = U.T @ dS
        return float(loss), [dW, dU, db, dV, dc]

    def torch_loss(self, torch: Any, data: list[Any]) -> Any:
        """Return the loss by PyTorch's own LSTM."""
        h0, c0, X, Y = data
        steps, classes = X.transpose(1, 2).contiguous(), Y.argmax(dim=0)
        start = (h0.T.contiguous()[None], c0.T.contiguous()[None])
        none = torch.zeros(4 * H)

        def loss_of(values: Any) -> Any:
            W, U, b, V, c = values
            _, last, _ = torch.lstm(steps, start, [W, U, b[:, 0], none], True, 1, 0.0, True, False, False)
            return torch.nn.functional.cross_entropy(torch.addmm(c[:, 0], last[0], V.T), classes)

        return loss_of

    def jax_loss(self, jax: Any, data: list[Any]) -> Any:
        """Return the loss with the projections of all inputs as one product, and a scan over time."""
        jnp, nn = jax.numpy, jax.nn
        h0, c0, X, Y = data
        steps, targets = X.transpose(0, 2, 1), Y.T

        def loss_of(values: Any) -> Any:
            W, U, b, V, c = values
            projected = steps @ W.T + b[:, 0]

            def cell(state: Any, S: Any) -> Any:
                h, cell = state
                i, f, g, o = jnp.split(S + h @ U.T, 4, axis=1)
                cell = nn.sigmoid(f) * cell + nn.sigmoid(i) * jnp.tanh(g)
                return (nn.sigmoid(o) * jnp.tanh(cell), cell), None

            (h, _), _ = jax.lax.scan(cell, (h0.T, c0.T), projected)
            return -(targets * nn.log_softmax(h @ V.T + c[:, 0], axis=1)).sum() / M

        return loss_of

    def products(self) -> list[tuple[int, int]]:
        """Return the products with W (no gradient of X), U and V."""
        return [(4 * H * N * M * T, 2), (4 * H * H * M * T, 3), (P * H * M, 3)]

    def hidden(self) -> int:
        """Return the four gates, the cell and the output of every step."""
        return 6 * H * M * T


WORKLOAD = Lstm()
