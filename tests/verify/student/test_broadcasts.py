"""Shapes (m,) and (m, 1) that make (m, m): blamed where that is the mistake, a remark where it is not."""

from __future__ import annotations

import pytest

from symbp.language import read_text
from symbp.verify.student.check import check_reading, check_text
from symbp.verify.student.language.reading import read_text as read_code

IN_THE_BACKWARD_PASS = '''\
import numpy as np
def forward(X, w, b):
    n, d = X.shape
    assert w.shape == (d,)
    a = 1 / (1 + np.exp(-(X @ w + b)))
    return a
def loss(a, y):
    return -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))
def backward(X, a, y):
    a = a.reshape(-1, 1)
    dz = (a - y) / X.shape[0]
    dw = X.T @ dz
    db = np.sum(dz)
    return dw, db
'''

IN_THE_LOSS = '''\
import numpy as np
def init(d):
    return {"W": np.zeros((d, 1)), "b": 0.0}
def forward(X, p):
    a = np.tanh(X @ p["W"] + p["b"])
    return a
def loss(a, y):
    y = y.ravel()
    return np.mean((a - y)**2)
def backward(X, a, y):
    y = y.reshape(-1, 1)
    dz = 2 * (a - y) / X.shape[0] * (1 - a**2)
    dW = X.T @ dz
    db = np.sum(dz, axis=0)
    return dW, db
'''

ON_PURPOSE = '''\
import numpy as np
def forward(X, W):
    z = X @ W
    s = np.sum(z**2, axis=1)
    D = s[:, None] + s - 2 * z @ z.T
    return D, z
def loss(D):
    return np.sum(D)
def backward(X, z):
    dz = 4 * len(z) * z - 4 * np.sum(z, axis=0, keepdims=True)
    dW = X.T @ dz
    return dW
'''


@pytest.mark.parametrize(
    ("text", "line", "mend"),
    [
        (IN_THE_BACKWARD_PASS, "dz = (a - y) / X.shape[0]", "dz = (a.ravel() - y) / X.shape[0]"),
        pytest.param(
            IN_THE_BACKWARD_PASS.replace("a - y)", "np.subtract(a, y))"), "dz = (np.subtract(a, y)) / X.shape[0]",
            "dz = np.subtract(a.ravel(), y) / X.shape[0]", marks=pytest.mark.slow),
        (IN_THE_LOSS, "return np.mean((a - y)**2)", "return np.mean((a - y.reshape(-1, 1)) ** 2)"),
    ],
    ids=["backward", "function", "loss"],
)
def test_the_line_that_widens_is_the_mistake(text: str, line: str, mend: str) -> None:
    judgement = check_text(text)[0].judgement
    (fault,) = judgement.faults
    assert (judgement.verdict, fault.nature, fault.mend) == ("wrong", "silent broadcast", mend)
    assert judgement.lines[0].source.strip() == line
    assert "make (" in fault.label
    mended = check_text(text.replace(line, mend))[0].judgement
    assert mended.verdict == "right"
    assert not any("is that meant?" in r for r in mended.remarks)


def test_right_work_gets_a_remark() -> None:
    judgement = check_text(ON_PURPOSE)[0].judgement
    assert judgement.verdict == "right"
    (remark,) = (r for r in judgement.remarks if "is that meant?" in r)
    assert remark.startswith("line 5: shapes (")


def test_another_mistake_stays_the_mistake() -> None:
    """Where no mend of the shapes makes all right, they are mentioned and not blamed."""
    judgement = check_text(ON_PURPOSE.replace("X.T @ dz", "2 * X.T @ dz"))[0].judgement
    assert judgement.verdict == "right up to a constant"
    assert judgement.faults[0].nature != "silent broadcast"
    assert any("line 5: shapes (" in r for r in judgement.remarks)


def test_shapes_that_fail_later_point_back() -> None:
    text = IN_THE_LOSS.replace("    y = y.ravel()\n", "").replace("y.reshape(-1, 1)", "y.ravel()")
    text = text.replace("dW = X.T @ dz", "dW = X.T @ dz + p['W'] * np.ones((3, 4))")
    text = text.replace("(X, a, y)", "(X, a, y, p)")
    judgement = check_text(text)[0].judgement
    (fault,) = judgement.faults
    assert (fault.code, fault.row) == ("C117", 12)
    assert fault.help.startswith("in line 11 shapes (")


NET = """X: input[m, d]
Y: target[m, 1]
W: param[d, 1]
A = tanh(X @ W)
loss = sum((A - Y)**2) / m
"""
BESIDE = """import numpy as np
def forward(X, W):
    assert W.shape == (X.shape[1], 1)
    A = np.tanh(X @ W)
    return A
def loss(A, Y):
    Y = Y.ravel()
    E = A - Y
    return np.sum(E**2) / len(Y)
def backward(X, A, Y):
    dZ = 2 * (A - Y.reshape(-1, 1)) / len(Y) * (1 - A**2)
    dW = X.T @ dZ
    return dW
"""


def test_beside_a_network_it_is_named_too() -> None:
    network = read_text(NET)
    (found,) = check_reading(read_code(BESIDE, "hw.py"), network=network)
    (fault,) = found.judgement.faults
    assert (found.judgement.verdict, fault.nature, fault.row) == ("wrong", "silent broadcast", 8)
    (found,) = check_reading(read_code(BESIDE.replace("Y.ravel()", "Y"), "hw.py"), network=network)
    assert found.judgement.verdict == "right"
