"""Functions that do both: their forward half, what is dropped, and attributes that are not there."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from homework_files import FOLDER, text_of

from symbp.verify.student.binding.functions import tasks
from symbp.verify.student.binding.halves import forward_half
from symbp.verify.student.binding.search import bind
from symbp.verify.student.check import check_text
from symbp.verify.student.language.reading import read_text

BOTH = ["char_rnn", "fused", "svm"]


@pytest.mark.parametrize("name", BOTH)
def test_the_half_gives_the_loss_of_the_whole(name: str) -> None:
    reading = read_text(text_of(FOLDER / f"{name}.py", "first"))
    (task,) = tasks(reading.module)
    bound = bind(reading, task)
    assert bound.session.plan.half is not None
    half, whole = (bound.session.run(bound.case(0), upto=upto) for upto in ("loss", "outputs"))
    assert half.failure is None and np.array_equal(half.loss, whole.loss)
    assert half.nodes < 0.8 * whole.nodes


@pytest.mark.parametrize("text", [
    "def f(X, W):\n    loss = (W @ X).sum()\n    return loss\n",  # nothing is behind it
    "def f(X, W):\n    loss = (W @ X).sum()\n    dW = X.T\n    return dW\n",  # the loss is not returned
    "def f(X, W):\n    for k in range(2):\n        loss = (W @ X).sum()\n        dW = X.T\n        return loss, dW\n",
    "def f(X, W):\n    J = (W @ X).sum()\n    if J > 1:\n        return J, X\n    dW = X.T\n    if J < 0:\n"
    "        return J, dW\n    return J, -dW\n",  # two returns
])
def test_other_functions_have_no_half(text: str) -> None:
    assert forward_half(ast.parse(text).body[0]) is None  # type: ignore[arg-type]


def test_a_gradient_that_is_dropped_is_told() -> None:
    text = (
        "def forward(X, W, b):\n    return W @ X + b, X\n"
        "def backward(dY, X):\n    dW = dY @ X.T\n    db = dY.sum(axis=1, keepdims=True)\n    return dW, {}\n"
    )
    (dropped,), (given,), (used,) = (check_text(text.format(last)) for last in ("X", "db", "2 * db"))
    assert (dropped.judgement.verdict, dropped.judgement.faults[0].code) == ("wrong", "C119")
    assert dropped.judgement.lines[dropped.judgement.faults[0].line].line == 6
    assert given.judgement.verdict == "right"
    assert used.judgement.verdict == "wrong" and used.judgement.affected == ("b",)


LAYER = """import numpy as np
class Layer:
    def __init__(self, n):
        self.W = np.random.randn(n, n)
    def forward(self, X):
        self.X = X
        return self.W @ X
    def backward(self, dY):
        self.dW = dY @ self.old.T
        return self.W.T @ dY
{more}
"""


@pytest.mark.parametrize(("more", "verdict"), [
    ("", "wrong"),
    ("    def prepare(self, x):\n        self.old = x", "not checked"),  # nobody knows when it is called
    ("def prepare(layer, x):\n    setattr(layer, 'old', x)", "not checked"),
])
def test_an_attribute_that_nothing_gives_is_a_mistake(more: str, verdict: str) -> None:
    (found,) = check_text(LAYER.replace("{more}", more))
    assert found.judgement.verdict == verdict
    if verdict == "wrong":
        assert found.judgement.lines[found.judgement.faults[0].line].line == 9
