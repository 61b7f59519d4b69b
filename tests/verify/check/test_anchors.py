"""What a name means by its spelling, and how fractions and dictionaries become names without moving a column."""

from __future__ import annotations

import pytest

from symbp.verify.check.anchors import Names, target_of
from symbp.verify.check.spelling import respelled, stated

NAMES = Names(["X", "W1", "b1", "Z1", "Z2", "A1", "W_Q", "gamma_N1", "g1", "H"])


@pytest.mark.parametrize(
    ("word", "of"),
    [
        ("dW1", "W1"), ("dL_dW1", "W1"), ("dJ_dW1", "W1"), ("grad_W1", "W1"), ("W1_grad", "W1"), ("gW1", "W1"),
        ("nabla_W1", "W1"), ("W1bar", "W1"), ("W1_bar", "W1"), ("delta2", "Z2"), ("delta_2", "Z2"), ("delta_Z1", "Z1"),
        ("dW_Q", "W_Q"), ("dWQ", "W_Q"), ("dgamma", "gamma_N1"), ("grads['W1']", "W1"), ("self.dW1", "W1"),
        ("cache['dZ1']", "Z1"), ("dL/dW1", "W1"), ("dH[3]", "H"), ("dW_1", "W1"),
    ],
)
def test_gradients(word: str, of: str) -> None:
    assert NAMES.meaning(target_of(word)) == ("gradient", of)


@pytest.mark.parametrize("word", ["W1", "A1", "params['W1']", "cache['A1']", "g1", "H[2]"])
def test_values(word: str) -> None:
    kind, of = NAMES.meaning(target_of(word)) or ("", "")
    assert (kind, of) == ("value", target_of(word).word)


@pytest.mark.parametrize("word", ["s", "tmp", "dropout", "d", "delta9", "grad", "dQ7", "loss"])
def test_names_that_mean_nothing(word: str) -> None:
    assert NAMES.meaning(target_of(word)) is None


def test_targets_are_taken_apart() -> None:
    assert target_of("dH[3]").at == (3,)
    assert target_of("M[2, -1]").at == (2, -1)
    assert target_of("dZ[Z <= 0]").part
    assert target_of("grads['dW' + str(l)]").word == "grads"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("dL/dW1 = dZ1 @ X.T", "dL_dW1 = dZ1 @ X.T"), ("∂L/∂W1 = X", "dL_dW1 = X"), ("dL / dW1 = X", "dL___dW1 = X"),
        ("grads['W1'] = X", "grads_W1    = X"), ('grads["W1"].T', "grads_W1   .T"), ("a/b", "a/b"),
        ("x = 1  # dL/dW1", "x = 1  # dL/dW1"),
    ],
)
def test_a_respelled_line_keeps_its_columns(line: str, wanted: str) -> None:
    assert respelled(line) == wanted
    assert len(respelled(line)) == len(line)


def test_comments_that_state() -> None:
    assert stated("u = X  # of: Z1") == "of: Z1"
    assert stated("u = X  # is: W2.T @ dZ2  ") == "is: W2.T @ dZ2"
    assert stated("u = X  # the error") == ""
