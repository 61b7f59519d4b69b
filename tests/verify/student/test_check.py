"""From a file to what is said of it: faults at their lines, bindings, notebooks, folders, networks, codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))
from homework_files import FOLDER, text_of

from symbp.cli.app import app
from symbp.language.diagnostics import DeclarationError
from symbp.verify.student.binding.functions import tasks
from symbp.verify.student.binding.search import Wishes, bind
from symbp.verify.student.check import check_file, check_text
from symbp.verify.student.codes import CODES
from symbp.verify.student.language.reading import read_text

FAULTS = [
    ("tuple_cache", "dA1 * (1 - A1 ** 2)", "dA1 * (1 - A1)", "slope of another function"),
    ("tuple_cache", "db1 = np.sum(dZ1, axis=1, keepdims=True)", "db1 = dZ1", "not summed"),
    ("tuple_cache", "dW1 = np.dot(dZ1, X.T)", "dW1 = np.dot(X, dZ1.T)", None),
    ("dict_params", "np.dot(W2.T, dZ2)", "np.dot(W2, dZ2)", "transpose missing"),
    ("dict_params", "dW1 = np.dot(dZ1, X.T) / m", "dW1 = np.dot(dZ1, X.T)", "1/m missing"),
    ("deep_loop", "dZ = dA * (Z > 0)", "dZ = dA * (Z < 0)", "wrong condition"),
    ("class_model", "dz1 = da1 * self.a1 * (1 - self.a1)", "dz1 = da1 * (1 - self.a1)", None),
    ("fused", "np.dot(X.T, dhidden) + reg * W1", "np.dot(X.T, dhidden)", None),
    ("attention", "dS = P * (dP - np.sum(dP * P, axis=-1, keepdims=True))", "dS = P * (1 - P) * dP",
     "softmax as diagonal"),
    ("batch_norm", "dgamma = np.sum(dout * xhat, axis=0)", "dgamma = np.mean(dout * xhat, axis=0)", "mean for sum"),
    ("logistic", "dz = (a - y) / m", "dz = (y - a) / m", "sign"),
    ("svm", "dW = dW + 2 * reg * W", "dW = dW - 2 * reg * W", "sign"),
    ("embedding", "np.add.at(dE, ids, dvectors)", "dE[ids] += dvectors", "repeated indices overwritten"),
    ("train_step", "(W2.T @ dZ2) * (1 - A1 ** 2)", "(W2.T @ dZ2) * A1", None),
]


@pytest.mark.parametrize(
    ("name", "old", "new", "nature"),
    [pytest.param(*f, id=f"{f[0]}-{k}", marks=[pytest.mark.slow] if k % 2 else []) for k, f in enumerate(FAULTS)],
)
def test_a_fault_is_found_at_its_line(name: str, old: str, new: str, nature: str | None) -> None:
    text = text_of(FOLDER / f"{name}.py", "first")
    assert text.count(old) == 1
    line = next(k for k, row in enumerate(text.split("\n"), 1) if old in row)
    (found,) = check_text(text.replace(old, new), f"{name}.py")
    judgement = found.judgement
    assert judgement.verdict in ("wrong", "right up to a constant")
    assert [judgement.lines[k].line for k in judgement.faults[0].slice] == [line]
    if nature is not None:
        assert judgement.faults[0].nature == nature


def test_two_mistakes_are_both_named() -> None:
    """No change of one line makes all right: each line is mended by itself, and what follows from it is told."""
    text = text_of(FOLDER / "tuple_cache.py", "first")
    for old, new in (FAULTS[0][1:3], FAULTS[1][1:3]):
        text = text.replace(old, new)
    rows = text.split("\n")
    lines = [next(k for k, row in enumerate(rows, 1) if part in row) for part in ("dA1 * (1 - A1)", "db1 = dZ1")]
    judgement = check_text(text, "hw.py")[0].judgement
    assert [judgement.lines[f.line].line for f in judgement.faults] == lines
    assert [f.nature for f in judgement.faults] == ["slope of another function", "not summed"]
    assert [f.then for f in judgement.faults] == ["then this line is right", "then all 4 gradients are right"]
    told = [judgement.lines[k].line for f in judgement.faults for k in f.caused]
    assert told
    assert not set(told) & set(lines)


def test_a_mend_is_a_mend() -> None:
    """What is written in place of the blamed line makes the work right."""
    text = text_of(FOLDER / "tuple_cache.py", "first").replace("dA1 * (1 - A1 ** 2)", "dA1 * (1 - A1)")
    fault = check_text(text)[0].judgement.faults[0]
    rows = text.split("\n")
    indent = rows[fault.row - 1][: len(rows[fault.row - 1]) - len(rows[fault.row - 1].lstrip())]
    rows[fault.row - 1] = indent + fault.mend
    assert check_text("\n".join(rows))[0].judgement.good


def test_later_lines_are_wrong_only_because_of_the_first() -> None:
    text = text_of(FOLDER / "tuple_cache.py", "first").replace("dA1 * (1 - A1 ** 2)", "dA1 * (1 - A1)")
    judgement = check_text(text)[0].judgement
    assert judgement.affected == ("W1", "b1")
    assert [judgement.lines[k].targets[0] for k in judgement.faults[0].caused] == ["dW1", "db1"]


def test_a_vector_that_would_be_broadcast_is_wrong() -> None:
    text = text_of(FOLDER / "tuple_cache.py", "first")
    text = text.replace("db2 = np.sum(dZ2, axis=1, keepdims=True)", "db2 = np.sum(dZ2, axis=1)")
    judgement = check_text(text)[0].judgement
    assert judgement.affected == ("b2",)
    assert judgement.faults[0].nature == "silent broadcast"


def test_a_constant_in_every_gradient_is_named() -> None:
    text = text_of(FOLDER / "tuple_cache.py", "first").replace("dZ2 = (Z2 - Y) / m", "dZ2 = Z2 - Y")
    judgement = check_text(text)[0].judgement
    assert (judgement.verdict, judgement.constant) == ("right up to a constant", "m")


LAYER = "import numpy as np\ndef forward(X, W):\n    Z = X @ W\n    return Z, (X, W)\n"


def test_a_layer_is_judged_by_a_random_gradient_from_above() -> None:
    good = LAYER + "def backward(dout, cache):\n    X, W = cache\n    return dout @ W.T, X.T @ dout\n"
    assert not check_text(good)[0].judgement.outputs  # nothing says what is returned
    body = "    X, W = cache\n    dX = dout @ W.T\n    dW = X.T @ dout\n    return dX, dW\n"
    named = LAYER + "def backward(dout, cache):\n" + body
    assert check_text(named)[0].judgement.outputs == ("X", "W")
    assert check_text(named)[0].judgement.verdict == "right"
    assert check_text(named.replace("X.T @ dout", "X.T @ dout * 2"))[0].judgement.affected == ("W",)


def test_what_is_not_bound_is_asked_for() -> None:
    text = LAYER + "def backward(dout, thing):\n    X, W = thing[0]\n    dW = X.T @ dout\n    return dW\n"
    judgement = check_text(text)[0].judgement
    assert judgement.verdict == "not checked"
    assert "what is `thing`?" in judgement.reason
    assert "code.py:5" in judgement.reason
    bound = check_text(text, wishes=Wishes({"thing": "[(X, W)]"}))[0].judgement
    assert bound.verdict == "right"


def test_a_loss_may_be_given() -> None:
    text = LAYER.replace("return Z, (X, W)", "return Z")
    text += "def backward(X, Z, Y):\n    dW = X.T @ (Z - Y)\n    return dW\n"
    assert check_text(text)[0].judgement.verdict == "not checked"
    assert check_text(text, wishes=Wishes(loss="((Z - Y)**2).sum() / 2"))[0].judgement.verdict == "right"
    assert check_text(text, wishes=Wishes(loss="((Z - Y)**2).sum()"))[0].judgement.constant == "1/2"


def test_a_notebook_is_one_file(tmp_path: Path) -> None:
    text = text_of(FOLDER / "tuple_cache.py", "first").replace("dA1 * (1 - A1 ** 2)", "dA1 * (1 - A1)")
    head, tail = text.split("def backward")
    cells = [
        {"cell_type": "markdown", "source": ["# Homework"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "!pip list\n", "import matplotlib.pyplot as plt"]},
        {"cell_type": "code", "source": head}, {"cell_type": "code", "source": "def backward" + tail},
    ]
    file = tmp_path / "hw.ipynb"
    file.write_text(json.dumps({"cells": cells}))
    answer = check_file(file)
    assert answer.code == 1
    assert "hw.ipynb, cell 3:8:" in answer.text
    file.write_text("{}")
    assert check_file(file).code == 2


def test_the_command_and_a_folder(tmp_path: Path) -> None:
    right = text_of(FOLDER / "tuple_cache.py", "first")
    wrong = right.replace("dA1 * (1 - A1 ** 2)", "dA1 * (1 - A1)")
    hangs = right + "while True:\n  pass\n"
    for name, text in (("anna", right), ("ben", wrong), ("cora", wrong), ("dan", "def f(:\n"), ("eve", hangs)):
        (tmp_path / f"{name}.py").write_text(text)
    runner = CliRunner()
    one = runner.invoke(app, ["check", "--code", str(tmp_path / "ben.py")])
    assert one.exit_code == 1
    assert one.output.rstrip().split("\n")[-1].startswith("Wrong, first in line 25")
    assert "mend" not in runner.invoke(app, ["check", "--code", str(tmp_path / "ben.py"), "--hint"]).output
    assert runner.invoke(app, ["check", "--code", str(tmp_path / "anna.py")]).exit_code == 0
    every = runner.invoke(app, ["check", "--code", str(tmp_path)])
    assert every.exit_code == 1
    assert "2 times  dZ1 = dA1 * (1 - A1)" in every.output
    rows = json.loads(runner.invoke(app, ["check", "--code", str(tmp_path), "--json"]).output)["submissions"]
    assert [r["verdict"] for r in rows] == ["right", "wrong", "wrong", "unreadable", "right"]


def test_with_a_network_the_forward_pass_comes_first(tmp_path: Path) -> None:
    net = Path(__file__).parents[3] / "symbp" / "networks" / "mlp.net"
    right = text_of(FOLDER / "tuple_cache.py", "first")
    file = tmp_path / "hw.py"
    runner = CliRunner()
    file.write_text(right)
    assert runner.invoke(app, ["check", str(net), "--code", str(file)]).exit_code == 0
    file.write_text(right.replace("A1 = np.tanh(Z1)", "A1 = np.tanh(2 * Z1)").replace("1 - A1 ** 2", "2 - 2 * A1 ** 2"))
    told = runner.invoke(app, ["check", str(net), "--code", str(file)])
    assert told.exit_code == 1
    assert "differs from the network" in told.output
    assert "hw.py:7:" in told.output


@pytest.mark.parametrize("code", [c for c, entry in CODES.items() if entry.wrong])
def test_every_example_of_a_code_has_it(code: str) -> None:
    entry = CODES[code]
    backward = "def backward(dout):\n    return dout\n"

    def codes(text: str) -> str:
        try:
            found = [c.judgement for c in check_text(text + ("" if "def backward" in text else backward))]
            return " ".join([*(j.reason for j in found), *(f.code for j in found for f in j.faults)])
        except DeclarationError as error:
            return " ".join(d.code for d in error.diagnostics)

    if code == "C107":
        with pytest.raises(DeclarationError, match="C107"):
            check_text(entry.wrong)
    else:
        assert code in codes(entry.wrong)
    assert code not in codes(entry.right)


def test_the_seed_gives_other_draws(tmp_path: Path) -> None:
    text = text_of(FOLDER / "tuple_cache.py", "first")
    cases = [
        bind(reading, tasks(reading.module)[0], Wishes(seed=seed)).case(0)
        for reading in [read_text(text)] for seed in (0, 0, 1)
    ]
    same, again, other = (case.sources["W1"] for case in cases)
    assert (same == again).all()
    assert (same != other).any()
    file = tmp_path / "hw.py"
    file.write_text(text)
    worst = [
        json.loads(CliRunner().invoke(app, ["check", "--code", str(file), "--json", "--seed", seed]).output)[0]["worst"]
        for seed in ("0", "5")
    ]
    assert worst[0] != worst[1]


def test_the_seed_is_that_of_parameters_that_a_class_makes_too() -> None:
    reading = read_text(text_of(FOLDER / "class_model.py", "first"))
    (task,) = tasks(reading.module)
    first, other = (bind(reading, task, Wishes(seed=seed)).case(0).sources for seed in (0, 1))
    assert all((first[path] != other[path]).any() for path in first)


def test_a_bias_that_is_one_number_is_said_to_be_read_so() -> None:
    code = """import numpy as np

def forward(X, W, b):
    return X @ W + b

def loss(Z, Y):
    return np.sum((Z - Y)**2) / 2

def backward(X, Z, Y):
    G = Z - Y
    dW = X.T @ G
    db = %s
    return dW, db
"""
    for total, said in (("np.sum(G)", True), ("np.sum(G, axis=0)", False)):
        (found,) = check_text(code % total, "hw.py")
        assert found.judgement.verdict == "right"
        assert any("b is read as one number" in r for r in found.judgement.remarks) == said


def test_one_number_added_to_all_scores_of_a_softmax_is_no_reading() -> None:
    code = """import numpy as np

def forward(X, W, b):
    e = np.exp(X @ W + b)
    return e / e.sum(axis=1, keepdims=True)

def cross_entropy(P, Y):
    return -np.mean(np.sum(Y * np.log(P), axis=1))

def backward(X, Y, P):
    G = (P - Y) / len(X)
    dW = X.T @ G
    db = G.sum()
    return dW, db
"""
    (found,) = check_text(code, "hw.py")
    assert (found.judgement.verdict, found.judgement.affected) == ("wrong", ("b",))
    assert found.judgement.faults[0].nature == "summed over everything"
