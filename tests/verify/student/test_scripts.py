"""Code outside of functions: one round of what is done with the arrays that it makes is judged, at its own lines."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from homework_files import slowly

from symbp.language.diagnostics import DeclarationError
from symbp.verify.student.binding.search import Wishes
from symbp.verify.student.check import check_file, check_text

FILES = sorted((Path(__file__).parent / "scripts").glob("*.py"))
LOSS = {"loss_by_name": "np.sum((A - Y)**2)"}


def text_of(name: str) -> str:
    return next(f for f in FILES if f.stem == name).read_text(encoding="utf-8")


def wishes(name: str) -> Wishes:
    return Wishes(loss=LOSS.get(name, ""))


GRADIENTS = {
    "lists_main": {"W[0]", "W[1]", "W[2]", "b[0]", "b[1]", "b[2]"}, "logistic_flat": {"w", "b"}, "loss_by_name": {"W"},
    "rnn_time": {"Wx", "Wh", "Wy", "bh"}, "sgd_samples": {"w", "b"}, "softmax_batches": {"W", "b"},
    "two_layers": {"w1", "w2"}, "xor_updates": {"W1", "W2"},
}


@pytest.mark.parametrize("file", slowly(FILES, lambda f: f.stem in ("rnn_time", "two_layers")), ids=lambda f: f.stem)
def test_right_scripts_are_right(file: Path) -> None:
    (found,) = check_text(file.read_text(encoding="utf-8"), file.name, wishes=wishes(file.stem))
    judgement = found.judgement
    assert judgement.verdict == "right", judgement
    assert set(judgement.outputs) == GRADIENTS[file.stem]
    assert any(r.startswith("one round of the code outside of functions") for r in judgement.remarks)


FAULTS = [
    ("two_layers", "x.T.dot(grad_h)", "x.T.dot(grad_h_relu)"), ("two_layers", "h_relu.T.dot", "h.T.dot"),
    ("xor_updates", "l2_delta.dot(W2.T)", "l2_delta.dot(W2.T) * 2"), ("xor_updates", "l1 * (1 - l1)", "1 - l1"),
    ("logistic_flat", "db = np.sum(dz)", "db = np.mean(dz)"), ("logistic_flat", "(a - y) / m", "(y - a) / m"),
    ("softmax_batches", "Xb.T @ dZ + reg", "Xb.T @ dZ - reg"),
    ("rnn_time", "Wh.T @ draw", "Wh @ draw"), ("rnn_time", "hs[t - 1].T", "hs[t].T"),
    ("lists_main", "dA * (1 - A[l + 1]**2)", "dA * (1 - A[l + 1])"),
    ("lists_main", "dA = W[l].T @ dZ", "dA = W[l].T @ dA"),
    ("sgd_samples", "dw = 2 * (p - y[i]) * X[i]", "dw = (p - y[i]) * X[i]"),
    ("loss_by_name", "(delta * (1 - A**2)) @ X.T", "delta @ X.T"),
]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [pytest.param(*f, id=f"{f[0]}-{k}", marks=[pytest.mark.slow] if k % 5 else []) for k, f in enumerate(FAULTS)],
)
def test_a_fault_is_found_at_its_line(name: str, old: str, new: str) -> None:
    text = text_of(name)
    assert text.count(old) == 1
    line = next(k for k, row in enumerate(text.split("\n"), 1) if old in row)
    (found,) = check_text(text.replace(old, new), wishes=wishes(name))
    judgement = found.judgement
    assert judgement.verdict in ("wrong", "right up to a constant")
    assert line in [judgement.lines[k].line for k in judgement.faults[0].slice]


@pytest.mark.slow
def test_a_notebook_and_a_function_without_parameters(tmp_path: Path) -> None:
    head, tail = text_of("two_layers").split("losses = []")
    cells = [{"cell_type": "code", "source": s} for s in (head, "losses = []" + tail.replace("x.T.dot(grad_h)",
                                                                                              "x.T.dot(h)"))]
    file = tmp_path / "hw.ipynb"
    file.write_text(json.dumps({"cells": cells}))
    answer = check_file(file)
    assert answer.verdict == "wrong"
    assert "hw.ipynb, cell 2:14:" in answer.text
    wrapped = "import numpy as np\ndef train():\n" + re.sub("^", "    ", text_of("logistic_flat").split("np\n", 1)[1],
                                                           flags=re.M)
    assert check_text(wrapped)[0].judgement.verdict == "right"


@pytest.mark.slow
def test_cpython_runs_scripts_too(tmp_path: Path) -> None:
    file = tmp_path / "hw.py"
    file.write_text(text_of("lists_main"))
    assert check_file(file, wishes=Wishes(runs=True)).verdict == "right"
    file.write_text(text_of("lists_main").replace("1 - A[l + 1]**2", "1 - A[l + 1]"))
    assert check_file(file, wishes=Wishes(runs=True)).verdict == "wrong"
    file.write_text(STEP)  # what leaves a loop stays in one
    assert check_file(file, wishes=Wishes(runs=True)).verdict == "right"


def test_start_values_hide_nothing() -> None:
    """With weights of zero nothing would reach them: they are drawn, and the target's zeros and ones are kept."""
    text = text_of("logistic_flat").replace("X.T @ dz", "X.T @ dz + w")
    assert check_text(text)[0].judgement.verdict == "wrong"
    classes = "np.array([[1., 0., 0.], [0., 0., 1.]] * 25)"
    one_hot = text_of("softmax_batches").replace("np.eye(classes)[labels]", classes)
    assert check_text(one_hot)[0].judgement.verdict == "right"


STEP = '''\
import numpy as np
X = np.random.rand(30, 3)
y = np.random.rand(30, 1)
theta = np.zeros((3, 1))
alpha = 0.01
for it in range(1000):
    err = X.dot(theta) - y
    theta = theta - (alpha / len(y)) * X.T.dot(err)
    cost = np.sum((X.dot(theta) - y)**2) / (2 * len(y))
    if cost < 1e-5:
        break
'''
ADDED_UP = '''\
import numpy as np
X = np.random.rand(20, 3)
y = np.random.rand(20, 1)
w = np.zeros((3, 1))
for it in range(1000):
    dw = np.zeros((3, 1))
    loss = 0
    for i in range(20):
        p = X[i:i+1] @ w
        loss += np.sum((p - y[i])**2)
        dw += 2 * X[i:i+1].T @ (p - y[i:i+1])
    w -= 0.1 * dw
    loss = np.sum((X @ w - y)**2)
'''
BATCHES = '''\
import numpy as np
X = np.random.rand(30, 3)
y = np.random.rand(30, 1)
W = np.random.randn(3, 1)
def batches(n):
    return [np.arange(10), np.arange(10, 20)]
for e in range(50):
    for idx in batches(30):
        xb, yb = X[idx], y[idx]
        a = np.tanh(xb @ W)
        dz = 2 * (a - yb) * (1 - a**2)
        dW = xb.T @ dz
        W -= 0.1 * dW
        again = np.tanh(xb @ W)
        loss = np.sum((again - yb)**2)
        if loss < 1e-9:
            continue
'''


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [(STEP, "err)\n", "err) - 0.1 * theta\n"), (ADDED_UP, "dw += 2 *", "dw += -2 * w +"), (BATCHES, "a**2", "a")],
    ids=["a step without a rate", "gradients added up", "batches"],
)
def test_loops_of_every_kind(text: str, old: str, new: str) -> None:
    """A loss behind the step is that of the round; loops that add up stay; any rate will do."""
    assert text.count(old) >= 1
    assert check_text(text)[0].judgement.verdict == "right"
    assert check_text(text.replace(old, new))[0].judgement.verdict == "wrong"


def test_what_is_lacking_is_said() -> None:
    text = text_of("two_layers")
    no_loss = "\n".join(row for row in text.split("\n") if "loss" not in row)
    assert "C131" in check_text(no_loss)[0].judgement.reason
    read = text.replace("x = np.random.randn(N, D_in)", "x = pd.read_csv('x.csv').values").replace(
        "import matplotlib.pyplot as plt", "import pandas as pd")
    assert check_text(read)[0].judgement.verdict == "not checked"
    with pytest.raises(DeclarationError, match="C107"):
        check_text("import numpy as np\nx = np.ones(3)\nprint(x)\n")
