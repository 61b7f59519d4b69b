"""An MLP with batch normalisation: 784-256-256-10 with relu, cross-entropy of a softmax, batch 128."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ._network import Array, Network, cross_entropy, one_hot

WIDTHS, M, EPS = (784, 256, 256, 10), 128, 1e-5


class BatchNorm(Network):
    """``A = relu(g * (Z - mean) / sqrt(variance + eps) + c)`` with ``Z = W @ A``; samples are columns."""

    name = "batch_norm"
    title = f"batch-norm MLP 784-256-256-10, batch {M}"
    rate = 0.05
    sizes: ClassVar = {"m": M}
    shapes: ClassVar = {
        "W1": (256, 784), "g1": (256, 1), "c1": (256, 1), "W2": (256, 256), "g2": (256, 1), "c2": (256, 1),
        "W3": (10, 256), "b3": (10, 1),
    }
    ones = ("g1", "g2")
    declaration = """samples: m
X: input[784, m]
Y: target[10, m] & one_hot_columns
W1: param[256, 784]; g1: param[256, 1]; c1: param[256, 1]
W2: param[256, 256]; g2: param[256, 1]; c2: param[256, 1]
W3: param[10, 256]; b3: param[10, 1]
Z1 = W1 @ X
C1 = Z1 - mean(Z1, axis=1, keepdims=True)
N1 = C1 / sqrt(mean(C1**2, axis=1, keepdims=True) + 1/100000)
A1 = relu(g1*N1 + c1)
Z2 = W2 @ A1
C2 = Z2 - mean(Z2, axis=1, keepdims=True)
N2 = C2 / sqrt(mean(C2**2, axis=1, keepdims=True) + 1/100000)
A2 = relu(g2*N2 + c2)
loss = softmax_cross_entropy(W3 @ A2 + b3, Y)
"""

    def data(self) -> list[Array]:
        """Return X and Y."""
        rng = np.random.default_rng(0)
        return [rng.standard_normal((784, M)).astype(np.float32), one_hot(rng, 10, M)]

    def loss_and_gradients(self, parameters: list[Array], data: list[Array]) -> tuple[float, list[Array]]:
        """Return the loss and its gradients, by the compact form of the backward pass."""
        W1, g1, c1, W2, g2, c2, W3, b3 = parameters
        X, Y = data
        A, kept = X, []
        for W, g, c in ((W1, g1, c1), (W2, g2, c2)):
            Z = W @ A
            centred = Z - Z.mean(axis=1, keepdims=True)
            scale = 1 / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + EPS)
            kept.append((W, A, centred * scale, scale, g))
            A = np.maximum(g * kept[-1][2] + c, 0)
            kept[-1] = (*kept[-1], A)
        loss, D = cross_entropy(W3 @ A + b3, Y)
        gradients = [D @ A.T, D.sum(axis=1, keepdims=True)]
        below, m = W3.T @ D, X.shape[1]
        for k, (W, A, normed, scale, g, out) in enumerate(reversed(kept)):
            D = below * (out > 0)
            dg, dc = (D * normed).sum(axis=1, keepdims=True), D.sum(axis=1, keepdims=True)
            D = g * scale * (D - dc / m - normed * dg / m)
            gradients = [D @ A.T, dg, dc, *gradients]
            if k == 0:
                below = W.T @ D
        return float(loss), gradients

    def torch_loss(self, torch: Any, data: list[Any]) -> Any:
        """Return the loss by PyTorch's own batch normalisation."""
        F = torch.nn.functional
        X, classes = data[0].T.contiguous(), data[1].argmax(dim=0)

        def loss_of(values: Any) -> Any:
            W1, g1, c1, W2, g2, c2, W3, b3 = values
            A = X
            for W, g, c in ((W1, g1, c1), (W2, g2, c2)):
                A = torch.relu(F.batch_norm(A @ W.T, None, None, g[:, 0], c[:, 0], True, 0.0, EPS))
            return F.cross_entropy(torch.addmm(b3[:, 0], A, W3.T), classes)

        return loss_of

    def jax_loss(self, jax: Any, data: list[Any]) -> Any:
        """Return the loss."""
        nn = jax.nn
        X, targets = data[0].T, data[1].T

        def loss_of(values: Any) -> Any:
            W1, g1, c1, W2, g2, c2, W3, b3 = values
            A = X
            for W, g, c in ((W1, g1, c1), (W2, g2, c2)):
                Z = A @ W.T
                centred = Z - Z.mean(axis=0)
                scale = jax.lax.rsqrt((centred * centred).mean(axis=0) + EPS)
                A = nn.relu(centred * (scale * g[:, 0]) + c[:, 0])
            return -(targets * nn.log_softmax(A @ W3.T + b3[:, 0], axis=1)).sum() / M

        return loss_of

    def products(self) -> list[tuple[int, int]]:
        """Return the products with W1 (no gradient of X), W2 and W3."""
        return [(784 * 256 * M, 2), (256 * 256 * M, 3), (256 * 10 * M, 3)]

    def hidden(self) -> int:
        """Return the normalised and the final values of both layers."""
        return 4 * 256 * M


WORKLOAD = BatchNorm()
