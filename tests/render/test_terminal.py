"""A derivation in the terminal: the walkthrough word for word, snapshots of the examples, steps, notations."""

from __future__ import annotations

from functools import lru_cache

import pytest
from symbp.calculus import derive
from symbp.derivation import Derivation
from symbp.language import read_text
from symbp.networks import network
from symbp.render import Notation
from symbp.render.lines import text_width
from symbp.render.terminal import derive_summary, program_text, steps_text
from syrupy.assertion import SnapshotAssertion

ASCII = Notation(charset="ascii")
MAIN = ("mlp", "iris", "deep", "nielsen", "rnn", "delayed", "bidirectional", "last_step", "lstm", "dropout")


@lru_cache
def derived(name: str) -> Derivation:
    """Return the derivation of a bundled network."""
    return derive(read_text(network(name).text))


def test_walkthrough() -> None:
    shown = derive_summary(derived("mlp"), ASCII, title="mlp.net", footer=[("verified", "6 of 6")])
    lines = shown.splitlines()
    assert lines[0].startswith("mlp.net   samples are columns   loss 1x1")
    assert lines[0].endswith("4 sizes")
    equations = [
        "Z2bar = (Z2 - Y)/m", "W2bar = Z2bar A1^T", "b2bar = Z2bar 1", "Z1bar = (W2^T Z2bar) o (1 - A1",
        "W1bar = Z1bar X^T", "b1bar = Z1bar 1",
    ]
    shapes = ["n2 x m", "n2 x n1", "n2 x 1", "n1 x m", "n1 x n0", "n1 x 1"]
    for k, (line, equation, shape) in enumerate(zip(lines[1:7], equations, shapes, strict=True), 1):
        assert line.startswith(f"  ({k})  {equation}")
        assert f"  {shape}  " in line
    # Columns are aligned.
    assert len({line.index(f"  {shape}  ") for line, shape in zip(lines[1:7], shapes, strict=True)}) == 1
    assert lines[7] == "verified   6 of 6"
    assert shown.isascii()


@pytest.mark.parametrize("name", MAIN)
def test_summary(name: str, snapshot: SnapshotAssertion) -> None:
    assert derive_summary(derived(name), ASCII, title=f"{name}.net") == snapshot


@pytest.mark.parametrize("adjoints", ["bar", "partial", "delta", "dvar"])
def test_notations(adjoints: str, snapshot: SnapshotAssertion) -> None:
    shown = derive_summary(derived("nielsen"), Notation(adjoints, "diag"))  # type: ignore[arg-type]
    assert shown == snapshot
    assert ("BP" in shown) == (adjoints == "delta")


def test_nielsen_has_the_four_equations() -> None:
    shown = derive_summary(derived("nielsen"), Notation("delta", charset="ascii"))
    tags = [line.split()[0] for line in shown.splitlines() if line.startswith("  (")]
    assert sorted(tags) == ["(BP1)", "(BP2)", "(BP3)", "(BP4)"]
    assert "delta[l] = (w[l+1]^T delta[l+1]) o sigma'(z[l])" in shown


def test_loops_show_range_and_boundary() -> None:
    shown = derive_summary(derived("rnn"), ASCII)
    assert "t = T..1" in shown
    assert "where Zbar[t] := 0 for t > T" in shown


@pytest.mark.parametrize("name", ["mlp", "rnn"])
def test_steps(name: str, snapshot: SnapshotAssertion) -> None:
    assert steps_text(derived(name), ASCII, title=f"{name}.net") == snapshot


def test_steps_without_detail_are_fewer() -> None:
    found = derived("iris")
    assert any(s.detail for s in found.steps)
    assert len(steps_text(found, detail=False).splitlines()) < len(steps_text(found).splitlines())


@pytest.mark.parametrize("name", MAIN)
@pytest.mark.parametrize("charset", ["ascii", "unicode"])
def test_no_line_is_too_long_and_none_ends_in_blanks(name: str, charset: str) -> None:
    notation = Notation(charset=charset)  # type: ignore[arg-type]
    for line in (derive_summary(derived(name), notation) + steps_text(derived(name), notation)).splitlines():
        assert text_width(line) <= 150
        assert line == line.rstrip()
        assert charset == "unicode" or line.isascii()


def test_every_equation_has_its_number_and_steps_have_numbers() -> None:
    found = derived("lstm")
    shown = derive_summary(found, ASCII)
    for r in found.results:
        assert f"({r.number})" in shown


def test_program_is_listed_with_loops() -> None:
    shown = program_text(read_text(network("rnn").text), ASCII)
    assert "for t = 1..T:" in shown
    assert "  H[t] = tanh(Z[t])" in shown
    assert shown.isascii()
