"""``--run``: code that CPython runs in a confined child is judged by its gradients, and reaches nothing from there."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))
from homework_files import FILES, HEAVY, slowly, text_of

from symbp.cli.app import app
from symbp.verify import child
from symbp.verify.student.binding.execution import Unconfined
from symbp.verify.student.binding.search import Wishes
from symbp.verify.student.check import Answer, check_file, check_text

RUN = Wishes(runs=True)

CLOSED_TO_THE_INTERPRETER = '''\
import numpy as np
from functools import wraps
import matplotlib.pyplot as plt


def told(function):
    @wraps(function)
    def inner(*arguments, **keywords):
        try:
            return function(*arguments, **keywords)
        finally:
            pass
    return inner


class Cache:
    def __init__(self, **kept):
        self.__dict__.update(kept)


@told
def forward(X, W1, b1, W2, b2):
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    return Z2, Cache(X=X, A1=A1, W2=W2)


def loss(Z2, Y):
    return np.sum((Z2 - Y)**2) / Y.shape[1]


@told
def backward(Z2, cache, Y):
    def sums():
        for d in (dZ1, dZ2):
            yield d.sum(axis=1, keepdims=True)
    dZ2 = 2 * (Z2 - Y) / Y.shape[1]
    dZ1 = (cache.W2.T @ dZ2) * (1 - cache.A1**2)
    db1, db2 = sums()
    return {'dW1': dZ1 @ cache.X.T, 'db1': db1, 'dW2': dZ2 @ cache.A1.T, 'db2': db2}
'''


def run(text: str, folder: Path, seconds: float = 20.0) -> Answer:
    file = folder / "hw.py"
    file.write_text(text)
    return check_file(file, wishes=RUN, seconds=seconds)


def test_code_that_the_interpreter_does_not_read_is_judged(tmp_path: Path) -> None:
    right = CLOSED_TO_THE_INTERPRETER
    (tmp_path / "hw.py").write_text(right)
    assert check_file(tmp_path / "hw.py").verdict == "unreadable"
    answer = run(right, tmp_path)
    assert (answer.verdict, answer.code) == ("right", 0)
    assert "no sandbox" in answer.text
    assert answer.data[0]["witnesses"] == ["complex step", "differences of order 6"]

    wrong = run(right.replace("1 - cache.A1**2", "1 - cache.A1"), tmp_path)
    assert (wrong.verdict, wrong.code) == ("wrong", 1)
    assert wrong.data[0]["affected"] == ["W1", "b1"]
    assert "the interpreter only; it does not read hw.py:8: the decorator `@wraps(function)`" in wrong.text

    scaled = run(right.replace("2 * (Z2 - Y)", "(Z2 - Y)"), tmp_path)
    assert (scaled.verdict, scaled.data[0]["constant"]) == ("right up to a constant", "1/2")


@pytest.mark.slow
def test_what_is_not_analytic_is_found_by_differences_at_two_steps(tmp_path: Path) -> None:
    """``abs`` of a complex number loses the step without a word."""
    text = CLOSED_TO_THE_INTERPRETER.replace("np.sum((Z2 - Y)**2)", "np.sum(np.abs(Z2 - Y)**2)")
    answer = run(text, tmp_path)
    assert answer.verdict == "right"
    assert answer.data[0]["witnesses"] == ["differences at another step", "differences of order 6"]
    assert run(text.replace("dZ1 @ cache.X.T", "1.0001 * dZ1 @ cache.X.T"), tmp_path).verdict == "wrong"


def test_an_error_has_its_line(tmp_path: Path) -> None:
    answer = run(CLOSED_TO_THE_INTERPRETER.replace("dZ1 @ cache.X.T", "dZ1 @ cache.X"), tmp_path)
    assert answer.verdict == "wrong"
    row = next(k for k, line in enumerate(CLOSED_TO_THE_INTERPRETER.split("\n"), 1) if "'dW1': dZ1" in line)
    assert f"hw.py:{row}:" in answer.text
    answer = run(CLOSED_TO_THE_INTERPRETER.replace("A1 = np.tanh(Z1)", "A1 = plt.tanh(Z1)"), tmp_path)
    assert answer.verdict == "not checked"
    assert "line 3, which gives it its value, fails" in answer.text


@pytest.mark.parametrize(
    "file", slowly(FILES, lambda f: f.stem in HEAVY or FILES.index(f) % 11 != 1), ids=lambda f: f.stem
)
def test_cpython_and_the_interpreter_agree(file: Path, tmp_path: Path) -> None:
    answer = run(text_of(file, "first"), tmp_path)
    assert answer.verdict == "right", answer.text


def test_no_code_is_run_outside_a_confined_process() -> None:
    with pytest.raises(Unconfined):
        check_text(CLOSED_TO_THE_INTERPRETER, wishes=RUN)


HOSTILE = {
    "write": "open({there!r}, 'w').write('x')",
    "write past the hooks": "__import__('_io').FileIO({there!r}, 'w').write(b'x')",
    "remove": "__import__('os').remove({here!r})",
    "rename": "__import__('os').rename({here!r}, {there!r})",
    "folder": "__import__('os').mkdir({there!r})",
    "process": "__import__('subprocess').run(['touch', {there!r}])",
    "shell": "__import__('os').system('touch ' + {there!r})",
    "socket": "__import__('socket').create_connection(('127.0.0.1', {port}), 1).sendall(b'x')",
    "signal": "__import__('os').kill(__import__('os').getppid(), 15)",
    "foreign": "__import__('ctypes').CDLL(None).unlink({here!r}.encode())",
}


@pytest.mark.parametrize("what", slowly(HOSTILE, lambda w: w not in ("write", "remove", "socket", "foreign")))
def test_it_can_reach_nothing(what: str, tmp_path: Path) -> None:
    """Each is tried, and what it raises is swallowed: nothing was written, removed or sent."""
    import socket

    here, there = tmp_path / "here", tmp_path / "there"
    here.write_text("kept")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.01)
        line = HOSTILE[what].format(here=str(here), there=str(there), port=server.getsockname()[1])
        body = f"    try:\n        {line}\n    except BaseException as error:\n        told = error\n"
        text = CLOSED_TO_THE_INTERPRETER.replace("    Z1 = W1 @ X + b1\n", body + "    Z1 = W1 @ X + b1\n")
        assert body in text
        answer = run(text, tmp_path)
        assert answer.verdict == "right"
        with pytest.raises(TimeoutError):
            server.accept()
    assert here.read_text() == "kept"
    assert sorted(os.listdir(tmp_path)) == ["here", "hw.py"]


LIMITS = ["import sys; sys.exit(0)", "while True: pass", "x = [0]\n    while True: x = x + x"]


@pytest.mark.parametrize("line", slowly(LIMITS, lambda line: LIMITS.index(line) > 1))
def test_it_ends_at_its_limits(line: str, tmp_path: Path) -> None:
    text = CLOSED_TO_THE_INTERPRETER.replace("    Z1 = W1 @ X + b1\n", f"    {line}\n    Z1 = W1 @ X + b1\n")
    start = time.monotonic()
    answer = run(text, tmp_path, seconds=1.0)
    assert answer.verdict == "not checked"
    assert time.monotonic() - start < 10


def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "hw.py"
    file.write_text(CLOSED_TO_THE_INTERPRETER)
    told = CliRunner().invoke(app, ["check", "--code", str(file), "--run"])
    assert told.exit_code == 0, told.output
    assert "no sandbox" in told.output
    assert CliRunner().invoke(app, ["check", "--code", str(file)]).exit_code == 2


@pytest.mark.slow
def test_in_a_folder_a_hang_costs_two_seconds_of_the_processor(tmp_path: Path) -> None:
    import resource

    for name, line in (("anna", "pass"), ("ben", "while True: pass")):
        text = CLOSED_TO_THE_INTERPRETER.replace("    Z1 = W1 @ X + b1\n", f"    {line}\n    Z1 = W1 @ X + b1\n")
        (tmp_path / f"{name}.py").write_text(text)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    told = CliRunner().invoke(app, ["check", "--code", str(tmp_path), "--run", "--json"])
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 4
    rows = json.loads(told.output)["submissions"]
    assert [(r["verdict"], r["code"]) for r in rows] == [("right", ""), ("not checked", "C125")]


def test_a_child_leaves_no_folder_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert child.run(lambda: 1) == 1
    assert not list(tmp_path.iterdir())
