"""The size that counts samples, and the one that counts positions, read from what is declared."""

from __future__ import annotations

import pytest
import sympy as sp

from symbp.expr import size
from symbp.language.scope import Axes
from symbp.program import Var

d, k, m, T = (size(s) for s in "dkmT")
X, Y = Var("X", d, m, kind="input"), Var("Y", k, m, kind="target")
W = Var("W", k, d, kind="param")
POSITIONS = Var("R", d, T, kind="param")
WORDS, NEXT = Var("X", d, T, kind="input"), Var("Y", k, T, kind="target")


def test_samples_are_what_targets_share_with_inputs() -> None:
    assert Axes([X, Y, W]).samples() == m
    assert Axes([X, Y, W, Var("Y2", d, m, kind="target")]).samples() == m
    assert Axes([X, Y, Var("Y2", k, d, kind="target")]).samples() is None


@pytest.mark.parametrize("declared", [[X, W], [Y, W], [X, Var("Y", k, d, kind="target"), W], []])
def test_without_a_shared_size_there_are_none(declared: list[Var]) -> None:
    assert Axes(declared).samples() is None


def test_two_shared_sizes_are_not_told_apart() -> None:
    assert Axes([X, Var("Y", d, m, kind="target")]).samples() is None
    assert Axes([X, Var("Y", d, m, kind="target"), Var("b", d, sp.S.One, kind="param")]).samples() == m


def test_a_parameter_may_have_the_size_of_positions_but_not_that_of_samples() -> None:
    assert Axes([WORDS, NEXT, W, POSITIONS]).samples() is None
    assert Axes([WORDS, NEXT, W, POSITIONS]).positions() == T
    assert Axes([WORDS, NEXT, W]).positions() == T


def test_a_scalar_counts_nothing() -> None:
    assert Axes([X, Y, W, Var("s", sp.S.One, sp.S.One, kind="target", scalar=True)]).samples() == m
