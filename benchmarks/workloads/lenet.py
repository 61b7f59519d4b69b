"""LeNet-5 on images of 28 x 28: two convolutions of 5 x 5 with relu and max-pooling, three dense layers; batch 32."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ._network import Array, Network, cross_entropy, one_hot

M, C1, C2, K = 32, 6, 16, 5

def _patches(maps: Array) -> Array:
    """Return the 5 x 5 windows of maps (samples, channels, height, width): samples, channels * 25, places."""
    windows = np.lib.stride_tricks.sliding_window_view(maps, (K, K), axis=(2, 3))
    m, c, h, w = windows.shape[:4]
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(m, c * K * K, h * w)


def _spread(patches: Array, channels: int, side: int) -> Array:
    """Return the transpose of ``_patches``: each entry added where it was taken from."""
    m, places = patches.shape[0], side - K + 1
    tiles = patches.reshape(m, channels, K, K, places, places)
    maps = np.zeros((m, channels, side, side), patches.dtype)
    for i in range(K):
        for j in range(K):
            maps[:, :, i : i + places, j : j + places] += tiles[:, :, i, j]
    return maps


def _pooled(maps: Array) -> tuple[Array, Array]:
    """Return the largest of each 2 x 2 block, and where it stands in it: the first of equal ones."""
    m, c, h, w = maps.shape
    blocks = maps.reshape(m, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(m, c, h // 2, w // 2, 4)
    place = blocks.argmax(axis=4)
    return np.take_along_axis(blocks, place[..., None], axis=4)[..., 0], place


def _unpooled(D: Array, place: Array) -> Array:
    """Return the transpose of pooling, given where the largest entries stood."""
    m, c, h, w = D.shape
    blocks = np.where(np.arange(4) == place[..., None], D[..., None], D.dtype.type(0))
    return blocks.reshape(m, c, h, w, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(m, c, 2 * h, 2 * w)


class LeNet(Network):
    """The kernels are matrices, channels x (channels below * 25); samples are columns."""

    name = "lenet"
    title = f"LeNet 28x28, batch {M}"
    rate = 0.05
    sizes: ClassVar = {"m": M}
    shapes: ClassVar = {
        "K1": (C1, 25), "b1": (C1, 1), "K2": (C2, C1 * 25), "b2": (C2, 1), "W3": (120, 400), "b3": (120, 1),
        "W4": (84, 120), "b4": (84, 1), "W5": (10, 84), "b5": (10, 1),
    }
    declaration = f"""X: input[784, m]
Y: target[10, m] & one_hot_columns
A0 = image(X, 1, 28, 28)
A1 = conv2d(A0, {C1}, {K}, padding=2, activation=relu)
S1 = max_pool(A1, 2)
A2 = conv2d(S1, {C2}, {K}, activation=relu)
S2 = max_pool(A2, 2)
v = flatten_maps(S2)
A3 = dense(v, 120, relu)
A4 = dense(A3, 84, relu)
Z5 = dense(A4, 10)
loss = softmax_cross_entropy(Z5, Y)
"""

    def data(self) -> list[Array]:
        """Return X and Y."""
        rng = np.random.default_rng(0)
        return [rng.standard_normal((784, M)).astype(np.float32), one_hot(rng, 10, M)]

    def loss_and_gradients(self, parameters: list[Array], data: list[Array]) -> tuple[float, list[Array]]:
        """Return the loss and its gradients: windows as matrices."""
        (K1, b1, K2, b2, W3, b3, W4, b4, W5, b5), (X, Y) = parameters, data
        m = X.shape[1]
        P1 = _patches(np.pad(X.T.reshape(m, 1, 28, 28), ((0, 0), (0, 0), (2, 2), (2, 2))))
        A1 = np.maximum(K1 @ P1 + b1, 0).reshape(m, C1, 28, 28)
        S1, place1 = _pooled(A1)
        P2 = _patches(S1)
        A2 = np.maximum(K2 @ P2 + b2, 0).reshape(m, C2, 10, 10)
        S2, place2 = _pooled(A2)
        v = S2.reshape(m, 400).T
        A3 = np.maximum(W3 @ v + b3, 0)
        A4 = np.maximum(W4 @ A3 + b4, 0)
        loss, D5 = cross_entropy(W5 @ A4 + b5, Y)
        D4 = (W5.T @ D5) * (A4 > 0)
        D3 = (W4.T @ D4) * (A3 > 0)
        D2 = (_unpooled((W3.T @ D3).T.reshape(S2.shape), place2) * (A2 > 0)).reshape(m, C2, 100)
        D1 = (_unpooled(_spread(K2.T @ D2, C1, 14), place1) * (A1 > 0)).reshape(m, C1, 784)
        gradients = [np.tensordot(D, P, axes=((0, 2), (0, 2))) for D, P in ((D1, P1), (D2, P2))]
        sums = [D.sum(axis=(0, 2))[:, None] for D in (D1, D2)]
        dense = [part for D, A in ((D3, v), (D4, A3), (D5, A4)) for part in (D @ A.T, D.sum(axis=1, keepdims=True))]
        return float(loss), [gradients[0], sums[0], gradients[1], sums[1], *dense]

    def torch_loss(self, torch: Any, data: list[Any]) -> Any:
        """Return the loss by PyTorch's own convolution and pooling."""
        F = torch.nn.functional
        X, classes = data[0].T.reshape(M, 1, 28, 28).contiguous(), data[1].argmax(dim=0)

        def loss_of(values: Any) -> Any:
            K1, b1, K2, b2, W3, b3, W4, b4, W5, b5 = values
            S1 = F.max_pool2d(torch.relu(F.conv2d(X, K1.reshape(C1, 1, K, K), b1[:, 0], padding=2)), 2)
            S2 = F.max_pool2d(torch.relu(F.conv2d(S1, K2.reshape(C2, C1, K, K), b2[:, 0])), 2)
            A = S2.reshape(M, 400)
            for W, b in ((W3, b3), (W4, b4)):
                A = torch.relu(F.linear(A, W, b[:, 0]))
            return F.cross_entropy(F.linear(A, W5, b5[:, 0]), classes)

        return loss_of

    def jax_loss(self, jax: Any, data: list[Any]) -> Any:
        """Return the loss by XLA's convolution and its largest value of windows."""
        jnp, nn, lax = jax.numpy, jax.nn, jax.lax
        X, targets = data[0].T.reshape(M, 1, 28, 28), data[1].T

        def pooled(A: Any) -> Any:
            return lax.reduce_window(A, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

        def loss_of(values: Any) -> Any:
            K1, b1, K2, b2, W3, b3, W4, b4, W5, b5 = values
            A = X
            for kernel, b, pad in ((K1.reshape(C1, 1, K, K), b1, 2), (K2.reshape(C2, C1, K, K), b2, 0)):
                Z = lax.conv_general_dilated(A, kernel, (1, 1), [(pad, pad), (pad, pad)])
                A = pooled(nn.relu(Z + b[:, :, None]))
            A = A.reshape(M, 400)
            for W, b in ((W3, b3), (W4, b4)):
                A = nn.relu(A @ W.T + b[:, 0])
            return -(targets * nn.log_softmax(A @ W5.T + b5[:, 0], axis=1)).sum() / M

        return loss_of

    def products(self) -> list[tuple[int, int]]:
        """Return the products of both convolutions (no gradient of X) and of the dense layers."""
        dense = [(120 * 400 * M, 3), (84 * 120 * M, 3), (10 * 84 * M, 3)]
        return [(C1 * 25 * 784 * M, 2), (C2 * C1 * 25 * 100 * M, 3), *dense]

    def hidden(self) -> int:
        """Return the maps before and after pooling, and the hidden units."""
        return M * (C1 * (784 + 196) + C2 * (100 + 25) + 204)


WORKLOAD = LeNet()
