"""Repairs of student code: which change of which line is told, what is tried, and what it may cost."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from homework_files import FOLDER, text_of

from symbp.verify.check.edits import Known, Meaning, edits
from symbp.verify.student.binding.functions import tasks
from symbp.verify.student.binding.search import bind
from symbp.verify.student.check import check_text
from symbp.verify.student.judging.judge import Judge
from symbp.verify.student.judging.replay import Replay
from symbp.verify.student.judging.truth import Point
from symbp.verify.student.language import budgets
from symbp.verify.student.language.reading import read_text
from symbp.verify.student.language.trace import Entry

TOLD = [
    ("layer_norm", "second", "    dx *= rstd", '    dx *= rstd + cache["rstd"]', "path extra"),
    ("dropout", "second", "dW1 = dZ1 @ X.T", "dW1 = dZ1 @ Y.T", "own output"),
    ("deep_loop", "second", "dA = W.T @ dZ", "dA = -(W.T @ dZ)", "sign"),
    ("class_layers", "first", "grad = layer.backward(grad)", "grad = layer.backward(layer.x)", "another quantity"),
    ("embedding", "first", "np.add.at(dE, ids, dvectors)", "np.add.at(dE, ids, dvectors) / n", "1/m extra"),
    ("lists", "second", "delta = delta / m", "delta = delta", "1/m missing"),
    ("batch_norm", "first", "dmu = -np.sum(dxhat / std, axis=0) + dvar", "dmu = dvar", ""),
    # a constant that comes in, though a later line could take it out
    ("deep_loop", "second", "dZ = dA * (Z > 0)", "dZ = (dA * (Z > 0)) / m", "1/m extra"),
    ("deep_loop", "second", "dZ = dA * (Z > 0)", "dZ = dA", "slope missing"),
    ("batch_norm", "second", "dvar = np.sum(dxhat * (x - mu), axis=0) * -0.5 * std ** -3",
     "dvar = -(np.sum(dxhat * (x - mu), axis=0) * -0.5 * std ** -3)", "sign"),
    ("train_step", "first", "b1 -= lr * db1", "b1 -= -(lr * db1)", "sign"),
    # what breaks off: in a function that does both, in a loop, behind another line
    ("char_rnn", "first", "dhnext = np.dot(Whh.T, dhraw)", "dhnext = Whh.T * dhraw", "elementwise for product"),
    ("deep_loop", "first", "dZ = dA * (Z > 0)", "dZ = dA * (Y > 0)", "another quantity"),
    ("svm", "second", "count = mask.sum(axis=1)", "count = mask", "not summed"),
    ("conv_loops", "second", "g = dout[n, f, i, j]", "g = dout[n, f, i, j] * xp", "factor extra"),
    ("class_layers", "first", "layer.backward(grad)", "layer.backward(grad * layer.b)", "factor extra"),
    ("dict_params", "second", 'W2 = parameters["W2"]', "W2 = cache['A1']", "another quantity"),
    # a sum over the rounds of a loop, the call of another function, a mask, what is returned
    ("char_rnn", "second", "dWhh += np.dot(dhraw, hs[t - 1].T)", "dWhh += np.dot(hs[t - 1].T, dhraw)", "order swapped"),
    ("char_rnn", "second", "dWhh += np.dot(dhraw", "dWhh = np.dot(dhraw", "only the last step"),
    ("helper_functions", "second", "dZ = sigmoid_backward(dA, Z)", "dZ = sigmoid_backward(dA, Z**3)", "wrong exponent"),
    ("fused", "second", "dhidden[hidden <= 0] = 0", "dhidden[hidden <= 0] = 1", "wrong constant"),
    ("char_rnn", "first", "dWhh, dWhy, dbh", "dWhh, dWhy**2, dbh", "wrong exponent"),
    ("char_rnn", "second", "dWhh, dWhy, dbh", "dWhh, hprev, dbh", ""),
    # which shapes were meant
    ("logistic", "second", "dz = a - y", "dz = (a - y).T", "transpose extra"),
    ("logistic", "first", "dw = X.T @ dz", "dw = X.T * dz", "elementwise for product"),
]
"""A fault of which another line, or a later one, could be blamed with the same numbers; the nature that is told."""


def slow(k: int) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if k % 4 else []


@pytest.mark.parametrize(
    ("name", "convention", "old", "new", "nature"),
    [pytest.param(*f, id=f"{f[0]} {f[4] or k}", marks=slow(k)) for k, f in enumerate(TOLD)],
)
def test_the_line_of_the_fault_is_told(name: str, convention: str, old: str, new: str, nature: str) -> None:
    text = text_of(FOLDER / f"{name}.py", convention)
    before, found_it, behind = text.rpartition(old)
    assert found_it
    line = before.count("\n") + 1
    (found,) = check_text(before + new + behind, f"{name}.py")
    fault = found.judgement.faults[0]
    assert [found.judgement.lines[k].line for k in fault.slice] == [line]
    assert fault.nature == nature


PAIR = """import numpy as np
def forward(X, W, b):
    Z = W @ X + b
    A = np.tanh(Z)
    return A, (X, Z, A)
def loss(A, Y):
    return np.sum((A - Y)**2) / (2 * Y.shape[1])
def backward(Y, W, b, cache):
    X, Z, A = cache
    m = Y.shape[1]
    dA = A - Y
    dZ = dA * (1 - A**2)
    dW = {dW}
    db = {db}
    return dW, db
"""


def judge_of(dW: str, db: str) -> Judge:
    reading = read_text(PAIR.format(dW=dW, db=db), "hw.py")
    (task,) = tasks(reading.module)
    bound = bind(reading, task)
    return Judge(bound, [Point(bound, turn) for turn in range(3)])


def test_a_constant_that_is_made_up_for_is_no_mistake() -> None:
    """dA and dZ are m times the gradients, and right so: the one wrong line is not theirs."""
    judge = judge_of("dZ @ X.T / m", "np.sum(dZ, axis=0, keepdims=True) / m")
    judgement = judge.judgement()
    assert [judgement.lines[k].source.strip()[:4] for k in judgement.faults[0].slice] == ["db ="]
    assert {judge.work.lines[k].source.split()[0] for k in judge.now.cleared} >= {"dA", "dZ"}
    assert judge.now.first_wrong is not None and judge.now.first_wrong.entry.target == "db"


def test_lines_are_run_again_from_what_they_saw() -> None:
    judge = judge_of("dZ @ X.T / m", "np.sum(dZ, axis=1, keepdims=True) / m")
    ran, module = judge.points[0].ran, judge.work.reading.module
    replay = Replay(module, ran.trace.visits)
    statements = {ast.unparse(s).split(" =")[0]: s for s in judge.work.statements if isinstance(s, ast.Assign)}
    last = Entry(statements["dW"], 0, "dW")
    start = replay.start(statements["dA"], last)
    assert start is statements["dA"]
    assert replay.start(statements["db"], last) is None  # it runs behind
    changed = ast.parse("dA = 3 * (A - Y)").body[0]
    value, nodes = replay.value(start, {start: changed}, last, {})
    assert value == pytest.approx(3 * ran.trace.values[last])
    assert 0 < nodes < ran.nodes
    right = {Entry(statements["dZ"], 0, "dZ"): ran.trace.values[Entry(statements["dZ"], 0, "dZ")]}
    assert replay.value(start, {start: changed}, last, right)[0] is None  # dZ would be right no longer
    assert replay.value(start, {}, last, right)[0] == pytest.approx(ran.trace.values[last])


def test_a_change_is_past_the_failing_line_or_not() -> None:
    judge = judge_of("dZ @ X / m", "np.sum(dZ, axis=1, keepdims=True) / m")
    assert judge.points[0].ran.failure is not None
    replay = Replay(judge.work.reading.module, judge.points[0].ran.trace.visits)
    (broken,) = (s for s in judge.work.statements if ast.unparse(s).startswith("dW"))
    (before,) = (s for s in judge.work.statements if ast.unparse(s).startswith("dZ"))
    assert replay.survives(broken, ast.parse("dW = dZ @ X.T / m").body[0], broken)[0]
    assert not replay.survives(before, ast.parse("dZ = dA").body[0], broken)[0]


def test_a_change_that_only_takes_away_or_turns_a_sign_may_count_as_one() -> None:
    known = Known({n: Meaning("gradient", n) for n in ("A", "B", "C")}, numpy=True)
    line = ast.parse("Z = (A - B) * (C * C * C)").body[0]
    plain = {e.text: e.distance for e in edits(line, known)}
    simple = {e.text: e.distance for e in edits(line, known, simple=1)}
    assert plain.keys() == simple.keys()
    exchanged = next(t for t in plain if t.startswith("Z = (B - A)"))
    assert plain[exchanged] == 3 and simple[exchanged] == 1
    assert [e.distance for e in edits(line, known, simple=1)] == sorted(simple.values())


LOOP = """import numpy as np
def forward(X, W):
    for i in range({}):
        X = X + 1
    return W @ X
def loss(A, Y):
    return np.sum((A - Y)**2)
def backward(A, Y, X):
    for i in range({}):
        X = X + 1
    return 2 * (A - Y) @ X.T
"""


def test_all_runs_of_a_file_together_have_a_budget() -> None:
    reading = read_text(LOOP.format(2, 2), "hw.py")
    (task,) = tasks(reading.module)
    bound = bind(reading, task)
    reading.spent = budgets.MOST_TOGETHER
    assert bound.session.run(bound.case(0)).failure is None
    reading.spent = budgets.MOST_TOGETHER + 1
    failure = bound.session.run(bound.case(0)).failure
    assert failure is not None and failure.mistake.code == "C120" and "together" in str(failure)


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [(3_000, 3_000), (300, 9_000)])
def test_a_file_whose_runs_cost_too_much_is_not_checked(rounds: tuple[int, int]) -> None:
    (found,) = check_text(LOOP.format(*rounds))
    assert found.judgement.verdict == "not checked" and "C120" in found.judgement.reason


def test_a_gradient_of_a_wrong_shape_is_told_where_it_is_made() -> None:
    text = text_of(FOLDER / "train_step.py", "first")
    (found,) = check_text(text.replace("dW2 = dZ2 @ A1.T", "dW2 = (dZ2 @ A1.T).T"))
    line = next(k for k, row in enumerate(text.split("\n"), 1) if "dW2 = dZ2 @ A1.T" in row)
    assert found.judgement.verdict == "wrong"
    assert found.judgement.faults[0].row == line
    assert "`dW2` is (13,11), and `W2` is (11,13)" in found.judgement.faults[0].title
