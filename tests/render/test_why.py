"""``--why``: the walkthrough word for word, each kind of move, names that have no adjoint."""

from __future__ import annotations

from functools import lru_cache

import pytest
from symbp.calculus import derive
from symbp.derivation import Derivation
from symbp.language import read_text
from symbp.networks import network
from symbp.render import Notation
from symbp.render.printer import clean
from symbp.render.terminal import printer_of
from symbp.render.why import UnknownName, reasons, why
from syrupy.assertion import SnapshotAssertion

ASCII = Notation(charset="ascii")


@lru_cache
def derived(name: str) -> Derivation:
    """Return the derivation of a bundled network."""
    return derive(read_text(network(name).text))


@pytest.mark.parametrize("asked", ["W1", "W1_bar", "W1bar"])
def test_walkthrough(asked: str) -> None:
    shown = why(derived("mlp"), asked, ASCII)
    assert shown.startswith("W1bar = Z1bar X^T\n")
    assert "dL = <Z1bar, dZ1> and dZ1 = dW1 X" in shown
    assert "<Z1bar, dW1 X> = tr(Z1bar^T dW1 X) = tr(X Z1bar^T dW1) = <Z1bar X^T, dW1>" in shown
    assert "moving X from the right of dW1 to the other side of the inner product" in shown
    assert "n1 x m times m x n0" in shown


def test_a_factor_on_the_left() -> None:
    shown = " ".join(why(derived("mlp"), "A1", ASCII).split())
    assert "tr(Z2bar^T W2 dA1) = tr((W2^T Z2bar)^T dA1) = <W2^T Z2bar, dA1>" in shown
    assert "moving W2 from the left of dA1" in shown


def test_a_broadcast_and_an_entrywise_factor() -> None:
    assert "db1 is spread out by 1^T; on the other side of the inner product that is a sum" in why(
        derived("mlp"), "b1", ASCII
    )
    assert "none for tanh'(Z1): an entrywise factor moves over as it is" in why(derived("mlp"), "Z1", ASCII)


@pytest.mark.parametrize(
    ("name", "asked"),
    [("mlp", "W1"), ("mlp", "Z2"), ("rnn", "W"), ("rnn", "H"), ("deep", "A"), ("iris", "Z2"), ("lstm", "S")],
)
def test_why(name: str, asked: str, snapshot: SnapshotAssertion) -> None:
    assert why(derived(name), asked, ASCII) == snapshot


@pytest.mark.parametrize("name", ["mlp", "iris", "deep", "rnn", "bidirectional", "lstm", "dropout", "residual"])
def test_every_adjoint_has_an_explanation_that_ends_in_its_message(name: str) -> None:
    found = derived(name)
    p = printer_of(found, ASCII)
    told = {term.ref.name for step in found.steps for term in step.terms}
    assert set(found.gradients) <= told
    for name in told:
        assert "because" in why(found, name)
        for reason in reasons(found, name):
            # The chain of inner products arrives at the message that the engine sent.
            assert clean(p.value(reason.chain[-1][0])) == clean(p.value(reason.term.message))


def test_unknown_name() -> None:
    with pytest.raises(UnknownName, match="X has no adjoint here; ask for one of W1, b1, W2, b2, Z1, A1, Z2"):
        why(derived("mlp"), "X")
