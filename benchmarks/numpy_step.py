"""A training step of the generated NumPy module against careful NumPy by hand.

The hand-written step has a buffer for every temporary (``out=``), parameters and gradients in one flat array each, and
one update of all parameters at once.  Both steps are compared with each other before anything is timed, every parameter
after a step; then they run in turns.

    python benchmarks/numpy_step.py [--seconds 2] [--check]

``--check`` exits with 1 when a ratio is above its bound.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from symbp.calculus import derive
from symbp.language import read_text
from symbp.networks import network
from symbp.pipeline import generate

Array = np.ndarray[Any, np.dtype[Any]]

LARGER = """
X: input[784, m]
Y: target[10, m] & one_hot_columns
A1 = dense(X, 128, relu)
Z2 = dense(A1, 10)
P = softmax(Z2, axis=0)
loss = cross_entropy(P, Y)
"""


@dataclass(frozen=True)
class Case:
    """A network with one hidden layer, its batch, and how much slower than by hand its generated step may be."""

    name: str
    text: str
    sizes: tuple[int, int, int]
    batch: int
    hidden: str
    output: str
    bound: float | None
    dtype: str = "float64"

    def module(self) -> Any:
        """Return the generated module."""
        source = generate(derive(read_text(self.text)), dtype=self.dtype)["network.py"]
        module = types.ModuleType(f"generated_{self.name}")
        sys.modules[module.__name__] = module
        exec(compile(source, f"{self.name}.py", "exec"), module.__dict__)  # noqa: S102 - our own text
        return module


CASES = (
    Case("xor", network("xor").text, (2, 4, 1), 4, "tanh", "sigmoid", 1.5),
    Case("iris", network("iris").text, (4, 16, 3), 32, "tanh", "softmax", None),
    Case("digits", network("digits").text, (64, 64, 10), 32, "relu", "softmax", 1.2),
    Case("larger", LARGER, (784, 128, 10), 256, "relu", "softmax", 1.1),
    Case("larger32", LARGER, (784, 128, 10), 256, "relu", "softmax", 1.1, "float32"),
)


class ByHand:
    """A network with one hidden layer, as a careful programmer writes it."""

    def __init__(self, case: Case, params: Any, X: Array, Y: Array) -> None:
        n0, n1, n2 = case.sizes
        m = case.batch
        dtype = X.dtype
        count = n1 * n0 + n1 + n2 * n1 + n2
        self.theta, self.grad, self.move = (np.empty(count, dtype) for _ in range(3))
        ends = np.cumsum([n1 * n0, n1, n2 * n1, n2])
        shapes = [(n1, n0), (n1, 1), (n2, n1), (n2, 1)]
        self.W1, self.b1, self.W2, self.b2 = (
            part.reshape(s) for part, s in zip(np.split(self.theta, ends[:-1]), shapes, strict=True)
        )
        self.W1_bar, self.b1_bar, self.W2_bar, self.b2_bar = (
            part.reshape(s) for part, s in zip(np.split(self.grad, ends[:-1]), shapes, strict=True)
        )
        for mine, given in zip((self.W1, self.b1, self.W2, self.b2), params, strict=True):
            mine[:] = given
        self.X, self.Y, self.XT = X, Y, X.T
        self.A1, self.D1, self.S1 = (np.empty((n1, m), dtype) for _ in range(3))
        self.mask = np.empty((n1, m), bool)
        self.Z2, self.D2, self.S2 = (np.empty((n2, m), dtype) for _ in range(3))
        self.row, self.sum = np.empty((1, m), dtype), np.empty((1, m), dtype)
        self.A1T, self.W2T = self.A1.T, self.W2.T
        self.m = m
        self.tanh, self.sigmoid = case.hidden == "tanh", case.output == "sigmoid"

    def step(self, rate: float) -> float:
        """Take one step of gradient descent and return the loss before it."""
        A1, D1, Z2, D2, S2, row, m = self.A1, self.D1, self.Z2, self.D2, self.S2, self.row, self.m
        np.matmul(self.W1, self.X, out=A1)
        np.add(A1, self.b1, out=A1)
        if self.tanh:
            np.tanh(A1, out=A1)
        else:
            np.maximum(A1, 0.0, out=A1)
        np.matmul(self.W2, A1, out=Z2)
        np.add(Z2, self.b2, out=Z2)
        if self.sigmoid:
            # softplus(z) = max(z, 0) + log1p(exp(-|z|)), sigmoid from the same exponential
            np.abs(Z2, out=S2)
            np.negative(S2, out=S2)
            np.exp(S2, out=S2)
            np.log1p(S2, out=D2)
            np.maximum(Z2, 0.0, out=row)
            np.add(D2, row, out=D2)
            np.multiply(self.Y, Z2, out=row)
            np.subtract(D2, row, out=D2)
            loss = float(np.add.reduce(D2, axis=None)) / m
            np.multiply(Z2, 0.5, out=D2)
            np.tanh(D2, out=D2)
            np.multiply(D2, 0.5, out=D2)
            np.add(D2, 0.5, out=D2)
        else:
            np.maximum.reduce(Z2, axis=0, keepdims=True, out=row)
            np.subtract(Z2, row, out=Z2)
            np.exp(Z2, out=D2)
            np.add.reduce(D2, axis=0, keepdims=True, out=self.sum)
            np.divide(D2, self.sum, out=D2)
            np.log(self.sum, out=row)
            np.subtract(Z2, row, out=Z2)
            loss = -float(np.vdot(self.Y, Z2)) / m
        np.subtract(D2, self.Y, out=D2)
        np.divide(D2, m, out=D2)
        np.matmul(D2, self.A1T, out=self.W2_bar)
        np.add.reduce(D2, axis=1, keepdims=True, out=self.b2_bar)
        np.matmul(self.W2T, D2, out=D1)
        if self.tanh:
            np.multiply(A1, A1, out=self.S1)
            np.subtract(1.0, self.S1, out=self.S1)
            np.multiply(D1, self.S1, out=D1)
        else:
            np.greater(A1, 0.0, out=self.mask)
            np.multiply(D1, self.mask, out=D1)
        np.matmul(D1, self.XT, out=self.W1_bar)
        np.add.reduce(D1, axis=1, keepdims=True, out=self.b1_bar)
        np.multiply(self.grad, rate, out=self.move)
        np.subtract(self.theta, self.move, out=self.theta)
        return loss


def data(case: Case) -> tuple[Array, Array]:
    """Return inputs and targets."""
    rng = np.random.default_rng(0)
    n0, _, n2 = case.sizes
    X = rng.standard_normal((n0, case.batch)).astype(case.dtype)
    if case.output == "sigmoid":
        return X, (X[:1] * X[1:2] > 0).astype(case.dtype)
    return X, np.eye(n2, dtype=case.dtype)[rng.integers(n2, size=case.batch)].T.copy()


def prepare(case: Case) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return the generated and the hand-written step; raise ``AssertionError`` where they do not agree."""
    module = case.module()
    X, Y = data(case)
    start = module.init_params(np.random.default_rng(1))
    inputs = module.Inputs(X, Y)
    hand = ByHand(case, start, X, Y)
    params = start
    tolerance = 1e-10 if case.dtype == "float64" else 1e-4
    for _ in range(5):
        loss, params = module.train_step(params, inputs, 0.1)
        assert abs(hand.step(0.1) - loss) <= tolerance * abs(loss), f"{case.name}: the losses differ"
        for mine, given in zip((hand.W1, hand.b1, hand.W2, hand.b2), params, strict=True):
            assert np.abs(mine - given).max() <= tolerance, f"{case.name}: a parameter differs"
    state = [params]

    def generated() -> float:
        loss, state[0] = module.train_step(state[0], inputs, 1e-3)
        return float(loss)

    return generated, lambda: hand.step(1e-3)


def timed(step: Callable[[], float], count: int) -> float:
    """Return the seconds that a step takes."""
    start = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - start) / count


def compare(case: Case, seconds: float) -> tuple[float, float, float]:
    """Return the medians of both steps over interleaved turns, and the ratio of their lower quartiles.

    Other work on the machine disturbs lower quartiles least; on a quiet one they tell the same as medians.
    """
    generated, hand = prepare(case)
    # Turns are short, so that most of them pass undisturbed on a busy machine.
    count = max(1, int(5e-4 / min(timed(generated, 20), timed(hand, 20))))
    times: list[tuple[float, float]] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 11:
        # Neither is always first.
        if len(times) % 2:
            b = timed(hand, count)
            times.append((timed(generated, count), b))
        else:
            times.append((timed(generated, count), timed(hand, count)))
    both = np.array(times)
    low = np.quantile(both, 0.25, axis=0)
    return float(np.median(both[:, 0])), float(np.median(both[:, 1])), float(low[0] / low[1])


def main() -> int:
    """Print the table; return 1 if asked to check and a bound is broken."""
    parser = argparse.ArgumentParser(description="A generated NumPy training step against NumPy by hand.")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each network is measured")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a ratio is above its bound")
    options = parser.parse_args()
    print(f"{'network':<8} {'sizes':<12} {'batch':>5}  {'generated':>10}  {'by hand':>10}  {'ratio':>5}  bound")
    broken = False
    for case in CASES:
        generated, hand, ratio = compare(case, options.seconds)
        broken |= case.bound is not None and ratio > case.bound
        sizes = "-".join(map(str, case.sizes))
        print(
            f"{case.name:<8} {sizes:<12} {case.batch:>5}  {generated * 1e6:>7.1f} us  {hand * 1e6:>7.1f} us"
            f"  {ratio:>5.2f}  {case.bound or ''}"
        )
    return 1 if broken and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
