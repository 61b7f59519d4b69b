"""Drawings that the tests of pictures share; makes random programs importable for them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from symbp.language import read_text
from symbp.networks import names, network
from symbp.pipeline import program_of
from symbp.render.picture import Drawing

RANDOM = Path(__file__).parents[2] / "verify" / "random_programs.py"

if "random_programs" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("random_programs", RANDOM)
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules["random_programs"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["random_programs"])

Draw = Callable[[str], Drawing]

DECLARATIONS = {
    "tapped": """
for t in range(-1, T+1):
    X[t]: input[n, m]
for t in range(1, T+1):
    Y[t]: target[p, m]
W0: param[p, n]; W2: param[p, n]
for t in range(1, T+1):
    O[t] = tanh(W0 @ X[t] + W2 @ X[t-2])
loss = sum(sum((O[t] - Y[t])**2) for t in range(1, T+1)) / m
""",
    "one member or another": """
C: input[h, m]
W: param[h, h]
for t in range(-1, 1):
    H[t]: input[h, m]
for t in range(1, T+1):
    H[t] = tanh(W @ H[t-1] + H[t-2])
loss = sum(sum(C * H[t-1]) for t in range(1, T+1))
""",
    "heads": """
X: input[d, T]
Y: target[d, T]
for j in range(1, heads+1):
    Wq[j]: param[k, d]; Wk[j]: param[k, d]; Wo[j]: param[d, k]
for j in range(1, heads+1):
    Q[j] = Wq[j] @ X
    S[j] = (Wk[j] @ X).T @ Q[j] / sqrt(k)
    P[j] = softmax(S[j], axis=0)
    O[j] = Q[j] @ P[j]
A = X + sum(Wo[j] @ O[j] for j in range(1, heads+1))
loss = sum((A - Y)**2) / (2*T)
""",
    "long names": """
Inputs_of_the_first_laye: input[features_of_the_inputs, m]
Never_read_by_anything_x: input[n, m]
Weights_of_first_layer_1: param[hidden_units_of_the_net, features_of_the_inputs]
Hidden_of_the_first_lay1 = tanh(Weights_of_first_layer_1 @ Inputs_of_the_first_laye)
loss = sum(Hidden_of_the_first_lay1**2) / m
""",
    "first state": """
H[0]: param[h, m]
W: param[h, h]
for t in range(1, T+1):
    X[t]: input[h, m]
    H[t] = tanh(W @ H[t-1] + X[t])
loss = sum(sum(H[t]**2) for t in range(0, T+1))
""",
    "spread state": """
h0: param[h, 1]
W: param[h, h]
H[0] = h0 @ ones(1, m)
for t in range(1, T+1):
    X[t]: input[h, m]
    H[t] = tanh(W @ H[t-1] + X[t])
loss = sum(sum(H[t]**2) for t in range(0, T+1))
""",
    "crowded": """
v: param[1, 1]
X1: input[n, m]
X2: input[n, m]
X3: input[n, m]
X4: input[n, m]
X5: input[n, m]
X6: input[n, m]
X7: input[n, m]
X8: input[n, m]
X9: input[n, m]
X10: input[n, m]
X11: input[n, m]
X12: input[n, m]
X13: input[n, m]
X14: input[n, m]
Z = X1 + X2 + X3 + X4 + X5 + X6 + X7 + X8 + X9 + X10 + X11 + X12 + X13 + X14
loss = sum(v * Z)
""",
    "many reads": """
X: input[n, m]
W: param[n, n]
A = W @ X
B = W @ A + X
C = W @ B + A + X
D = W @ C + B + A + X
E = tanh(D) * C * B * A * X
loss = sum(E * D * C * B * A * X)
""",
}
"""Networks with what the bundled ones lack."""


def drawing(name: str) -> Drawing:
    """Return the drawing of a bundled network, ``mlp`` or ``mlp as rows``, or of one of the declarations above."""
    if name in DECLARATIONS:
        return Drawing(read_text(DECLARATIONS[name], f"{name}.net"))
    bundled, _, rows = name.partition(" as ")
    program = program_of(network(bundled).text, "rows" if rows else None)
    return Drawing(program.replace(name=bundled))


@pytest.fixture(scope="session")
def draw() -> Draw:
    """Return what makes a drawing by name, once."""
    made: dict[str, Drawing] = {}

    def named(name: str) -> Drawing:
        if name not in made:
            made[name] = drawing(name)
        return made[name]

    return named


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests of ``any_name`` over every bundled network and every declaration above."""
    if "any_name" in metafunc.fixturenames:
        metafunc.parametrize("any_name", [*names(), "iris as rows", "rnn as rows", *DECLARATIONS])
