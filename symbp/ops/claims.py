"""Claims: closed forms known from books, beside the rules from which they follow.

A claim is text of the language: a small network, the adjoint that it speaks of, and the closed form.  It is used only
after it has been proved equal to the derived form for all sizes (``symbp.verify.claims``); a claim that differs is
refused with the term in which it differs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """A closed form of an adjoint.

    name:    what it is called.
    network: a declaration; its loss gives the cotangents.
    of:      the declared variable whose adjoint the claim is about.
    form:    the closed form, an expression over the names of the network.
    holds:   under which conditions, in words.
    source:  where it can be found.
    """

    name: str
    network: str
    of: str
    form: str
    holds: str = ""
    source: str = ""


# The cotangent of a value V is a free input C: the loss is <C, V>.
CLAIMS: list[Claim] = [
    Claim(
        "compact softmax",
        "Z: param[n, m]\nC: input[n, m]\nP = softmax(Z, axis=0)\nloss = sum(C * P)\n",
        "Z",
        "P * (C - sum(C * P, axis=0, keepdims=True))",
        source="F1.4",
    ),
    Claim(
        "compact softmax, samples as rows",
        "Z: param[m, n]\nC: input[m, n]\nP = softmax(Z, axis=1)\nloss = sum(C * P)\n",
        "Z",
        "P * (C - sum(C * P, axis=1, keepdims=True))",
        source="F1.4",
    ),
    Claim(
        "softmax with cross-entropy: P - Y",
        "Z: param[n, m]\nY: target[n, m] & columns_sum_to_one\nP = softmax(Z, axis=0)\nloss = -sum(Y * log(P)) / m\n",
        "Z",
        "(P - Y) / m",
        holds="the columns of Y sum to one",
        source="F1.4",
    ),
    Claim(
        "softmax with cross-entropy, smoothed labels",
        "Z: param[n, m]\nY: target[n, m] & columns_sum_to_one\nloss = softmax_cross_entropy(Z, Y, smoothing=1/10)\n",
        "Z",
        "(softmax(Z, axis=0) - (9*Y/10 + ones(n, m)/(10*n))) / m",
        holds="the columns of Y sum to one",
        source="Szegedy et al. 2016",
    ),
    Claim(
        "cosine similarity",
        "A: param[n, m]\nY: target[n, m]\na = sqrt(sum(A**2, axis=0, keepdims=True))\n"
        "y = sqrt(sum(Y**2, axis=0, keepdims=True))\nc = sum(A*Y, axis=0, keepdims=True) / (a * y)\n"
        "loss = mean(1 - c)\n",
        "A",
        "(c * A / a**2 - Y / (a * y)) / m",
        holds="no column is zero",
    ),
    Claim(
        "softmax with cross-entropy, any Y",
        "Z: param[n, m]\nY: target[n, m]\nP = softmax(Z, axis=0)\nloss = -sum(Y * log(P)) / m\n",
        "Z",
        "(P * sum(Y, axis=0, keepdims=True) - Y) / m",
        source="F1.4",
    ),
    Claim(
        "sigmoid with cross-entropy: A - Y",
        "Z: param[n, m]\nY: target[n, m]\nA = sigmoid(Z)\nloss = -sum(Y * log(A) + (1 - Y) * log(1 - A)) / m\n",
        "Z",
        "(A - Y) / m",
        source="F1.4",
    ),
    Claim(
        "log-sum-exp",
        "Z: param[n, m]\nc: input[1, m]\nP = softmax(Z, axis=0)\nloss = sum(c * logsumexp(Z, axis=0, keepdims=True))\n",
        "Z",
        "P * c",
    ),
    Claim(
        "symmetric parameter",
        "A: param[n, n]\nC: input[n, n]\nX = symmetric(A)\nloss = sum(C * X)\n",
        "A",
        "tril(C + C.T) - eye(n) * C",
        source="F0.5",
    ),
    Claim(
        "positive definite parameter",
        "A: param[n, k]\nC: input[n, n]\nX = spd(A)\nloss = sum(C * X)\n",
        "A",
        "(C + C.T) @ A",
        source="F0.5",
    ),
    Claim(
        "Kronecker product, left factor by letters",
        "A: param[m, n]\nB: input[p, q]\nC: input[m*p, n*q]\nloss = sum(C * kron(A, B))\n",
        "A",
        "einsum('(i k) (j l), k l -> i j', C, B)",
        source="Laue et al. 2018",
    ),
    Claim(
        "batched product, left factor by letters",
        "A: param[b*m, n]\nB: input[b, n*p]\nC: input[b*m, p]\n"
        "Y = einsum('(b i) j, b (j k) -> (b i) k', A, B)\nloss = sum(C * Y)\n",
        "A",
        "einsum('(b i) k, b (j k) -> (b i) j', C, B)",
        source="Laue et al. 2018",
    ),
    Claim(
        "quadratic form",
        "x: param[n, 1]\nA: input[n, n]\nloss = sum(x.T @ A @ x)\n",
        "x",
        "(A + A.T) @ x",
        source="Petersen & Pedersen, The Matrix Cookbook, eq. 81",
    ),
    Claim(
        "least squares",
        "x: param[n, 1]\nA: input[m, n]\nb: input[m, 1]\nloss = sum((A @ x - b)**2)\n",
        "x",
        "2 * A.T @ (A @ x - b)",
        source="Petersen & Pedersen, The Matrix Cookbook, eq. 84",
    ),
]
"""Every claim."""
