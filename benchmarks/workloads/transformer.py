"""A pre-norm transformer block: 64 features, 4 heads, 256 hidden units, 16 sequences of 32 positions."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ._network import Array, Network

D, HEADS, T, M, F, EPS = 64, 4, 32, 16, 256, 1e-5
K = D // HEADS


def _erf(x: Array) -> Array:
    """Return the error function: that of SciPy, where it is installed, for NumPy has none."""
    try:
        from scipy.special import erf
    except ImportError:
        from math import erf

        return np.vectorize(erf, otypes=[x.dtype])(x)
    return erf(x)


class Transformer(Network):
    """Attention and a two-layer network with gelu, each with layer normalisation before and a residual sum behind.

    Columns are positions: a sequence is 64 x 32.
    """

    name = "transformer"
    title = f"transformer block d={D}, {HEADS} heads, T={T}, batch {M}"
    rate = 0.05
    sizes: ClassVar = {"m": M, "heads": HEADS}
    shapes: ClassVar = {
        "Wq": (HEADS, K, D), "Wk": (HEADS, K, D), "Wv": (HEADS, K, D), "Wo": (HEADS, D, K), "g1": (D, 1), "c1": (D, 1),
        "g2": (D, 1), "c2": (D, 1), "W1": (F, D), "b1": (F, 1), "W2": (D, F), "b2": (D, 1),
    }
    ones = ("g1", "g2")
    declaration = f"""samples: m
for s in range(1, m+1):
    X[s]: input[{D}, {T}]
    Y[s]: target[{D}, {T}]
for j in range(1, heads+1):
    Wq[j]: param[{K}, {D}]
    Wk[j]: param[{K}, {D}]
    Wv[j]: param[{K}, {D}]
    Wo[j]: param[{D}, {K}]
g1: param[{D}, 1]; c1: param[{D}, 1]
g2: param[{D}, 1]; c2: param[{D}, 1]
W1: param[{F}, {D}]; b1: param[{F}, 1]
W2: param[{D}, {F}]; b2: param[{D}, 1]
for s in range(1, m+1):
    C1[s] = X[s] - mean(X[s], axis=0, keepdims=True)
    N1[s] = g1 * C1[s] / sqrt(mean(C1[s]**2, axis=0, keepdims=True) + 1/100000) + c1
    for j in range(1, heads+1):
        Q[s, j] = Wq[j] @ N1[s]
        K[s, j] = Wk[j] @ N1[s]
        V[s, j] = Wv[j] @ N1[s]
        S[s, j] = K[s, j].T @ Q[s, j] / 4
        P[s, j] = softmax(S[s, j], axis=0)
        O[s, j] = V[s, j] @ P[s, j]
    A[s] = X[s] + sum(Wo[j] @ O[s, j] for j in range(1, heads+1))
    C2[s] = A[s] - mean(A[s], axis=0, keepdims=True)
    N2[s] = g2 * C2[s] / sqrt(mean(C2[s]**2, axis=0, keepdims=True) + 1/100000) + c2
    G[s] = gelu(W1 @ N2[s] + b1)
    B[s] = A[s] + W2 @ G[s] + b2
loss = sum(sum((B[s] - Y[s])**2) for s in range(1, m+1)) / (2*m*{T})
"""

    def data(self) -> list[Array]:
        """Return X and Y."""
        rng = np.random.default_rng(0)
        return [rng.standard_normal((M, D, T)).astype(np.float32) for _ in range(2)]

    def loss_and_gradients(self, parameters: list[Array], data: list[Array]) -> tuple[float, list[Array]]:
        """Return the loss and its gradients, all sequences and heads at once."""
        Wq, Wk, Wv, Wo, g1, c1, g2, c2, W1, b1, W2, b2 = parameters
        X, Y = data

        def normalised(A: Array) -> tuple[Array, Array]:
            centred = A - A.mean(axis=1, keepdims=True)
            scale = 1 / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + EPS)
            return centred * scale, scale

        def before(D_: Array, hat: Array, scale: Array) -> Array:
            return scale * (D_ - D_.mean(axis=1, keepdims=True) - hat * (D_ * hat).mean(axis=1, keepdims=True))

        hat1, _ = normalised(X)
        N1 = (g1 * hat1 + c1)[:, None]
        Q, K_, V = Wq @ N1, Wk @ N1, Wv @ N1
        S = K_.swapaxes(2, 3) @ Q / 4
        P = np.exp(S - S.max(axis=2, keepdims=True))
        P /= P.sum(axis=2, keepdims=True)
        O = V @ P
        A = X + (Wo @ O).sum(axis=1)
        hat2, scale2 = normalised(A)
        N2 = g2 * hat2 + c2
        Z = W1 @ N2 + b1
        half = 0.5 * (1 + _erf(Z / np.sqrt(2)))
        G = Z * half
        E = A + W2 @ G + b2 - Y
        loss = (E * E).sum() / (2 * M * T)
        dB = E / (M * T)
        dW2, db2 = np.einsum("sdt,sft->df", dB, G), dB.sum(axis=(0, 2))[:, None]
        dZ = (W2.T @ dB) * (half + Z * np.exp(-0.5 * Z * Z) / np.sqrt(2 * np.pi))
        dW1, db1 = np.einsum("sft,sdt->fd", dZ, N2), dZ.sum(axis=(0, 2))[:, None]
        dN2 = W1.T @ dZ
        dg2, dc2 = (dN2 * hat2).sum(axis=(0, 2))[:, None], dN2.sum(axis=(0, 2))[:, None]
        dA = dB + before(dN2 * g2, hat2, scale2)
        dWo = np.einsum("sdt,sjkt->jdk", dA, O)
        dO = Wo.swapaxes(1, 2) @ dA[:, None]
        dP = V.swapaxes(2, 3) @ dO
        dV = dO @ P.swapaxes(2, 3)
        dS = P * (dP - (P * dP).sum(axis=2, keepdims=True)) / 4
        dQ, dK = K_ @ dS, Q @ dS.swapaxes(2, 3)
        dWq, dWk, dWv = (np.einsum("sjkt,sdt->jkd", X_, N1[:, 0]) for X_ in (dQ, dK, dV))
        dN1 = (Wq.swapaxes(1, 2) @ dQ + Wk.swapaxes(1, 2) @ dK + Wv.swapaxes(1, 2) @ dV).sum(axis=1)
        dg1, dc1 = (dN1 * hat1).sum(axis=(0, 2))[:, None], dN1.sum(axis=(0, 2))[:, None]
        return float(loss), [dWq, dWk, dWv, dWo, dg1, dc1, dg2, dc2, dW1, db1, dW2, db2]

    def torch_loss(self, torch: Any, data: list[Any]) -> Any:
        """Return the loss by PyTorch's own layer normalisation and attention."""
        nn = torch.nn.functional
        X, Y = (array.transpose(1, 2).contiguous() for array in data)

        def loss_of(values: Any) -> Any:
            Wq, Wk, Wv, Wo, g1, c1, g2, c2, W1, b1, W2, b2 = values
            N1 = nn.layer_norm(X, (D,), g1[:, 0], c1[:, 0], EPS)
            heads = [
                (N1 @ W.reshape(D, D).T).reshape(M, T, HEADS, K).transpose(1, 2) for W in (Wq, Wk, Wv)
            ]
            O = nn.scaled_dot_product_attention(*heads).transpose(1, 2).reshape(M, T, D)
            A = X + O @ Wo.permute(0, 2, 1).reshape(D, D)
            N2 = nn.layer_norm(A, (D,), g2[:, 0], c2[:, 0], EPS)
            B = A + nn.linear(nn.gelu(nn.linear(N2, W1, b1[:, 0])), W2, b2[:, 0])
            return nn.mse_loss(B, Y, reduction="sum") / (2 * M * T)

        return loss_of

    def jax_loss(self, jax: Any, data: list[Any]) -> Any:
        """Return the loss."""
        jnp, nn = jax.numpy, jax.nn
        X, Y = (array.transpose(0, 2, 1) for array in data)

        def normalised(A: Any, g: Any, c: Any) -> Any:
            centred = A - A.mean(axis=2, keepdims=True)
            scale = jax.lax.rsqrt((centred * centred).mean(axis=2, keepdims=True) + EPS)
            return centred * scale * g[:, 0] + c[:, 0]

        def loss_of(values: Any) -> Any:
            Wq, Wk, Wv, Wo, g1, c1, g2, c2, W1, b1, W2, b2 = values
            N1 = normalised(X, g1, c1)
            Q, K_, V = ((N1 @ W.reshape(D, D).T).reshape(M, T, HEADS, K) for W in (Wq, Wk, Wv))
            P = nn.softmax(jnp.einsum("mthk,mshk->mhts", Q, K_) / 4, axis=3)
            O = jnp.einsum("mhts,mshk->mthk", P, V).reshape(M, T, D)
            A = X + O @ Wo.transpose(0, 2, 1).reshape(D, D)
            G = nn.gelu(normalised(A, g2, c2) @ W1.T + b1[:, 0], approximate=False)
            return ((A + G @ W2.T + b2[:, 0] - Y) ** 2).sum() / (2 * M * T)

        return loss_of

    def products(self) -> list[tuple[int, int]]:
        """Return the products with the weights, and those of the attention itself."""
        return [(M * T * D * D, 3)] * 4 + [(M * HEADS * T * T * K, 3)] * 2 + [(M * T * D * F, 3)] * 2

    def hidden(self) -> int:
        """Return both normalised values, queries, keys, values, weights of attention, heads' outputs, sum, hidden."""
        return M * T * (7 * D + HEADS * T + 2 * F)


WORKLOAD = Transformer()
