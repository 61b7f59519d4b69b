"""What is not read in a backward pass: nothing is known of the gradients, so nobody is called wrong."""

from __future__ import annotations

import pytest

from symbp.verify.student.check import check_text

CODE = """import numpy as np

def forward(X, W):
    return np.maximum(X @ W, 0)

def loss(A, Y):
    return np.sum((A - Y)**2) / 2

def backward(X, A, Y):
    G = (A - Y) * {slope}
    dW = X.T @ G
    return dW
"""


@pytest.mark.parametrize(
    ("slope", "verdict", "code"),
    [
        ("np.interp(A, [0, 1e-9], [0, 1])", "not checked", "C111"),
        ("(1).__class__", "not checked", "C113"),
        ("open('x')", "not checked", "C105"),
        ("np.heaviside(A, 0.0)", "right", ""),
        ("(A < 0)", "wrong", ""),
        ("(A[0] > 0)[:, :]", "wrong", ""),
    ],
)
def test_only_what_was_run_is_judged(slope: str, verdict: str, code: str) -> None:
    (found,) = check_text(CODE.format(slope=slope), "hw.py")
    assert found.judgement.verdict == verdict
    assert code in found.judgement.reason
