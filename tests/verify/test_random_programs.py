"""Random programs, valid by construction: every pair of operations adjacent, forks, shared parameters, loops with
delays, both batch conventions; each derived and checked by witnesses 2, 3 and 4."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symbp.calculus import derive
from symbp.language import read_text
from symbp.pipeline import program_of
from symbp.program import Program, Var
from symbp.verify.draws import choose_sizes
from symbp.verify.programs import gradient_check

_spec = importlib.util.spec_from_file_location("random_programs", Path(__file__).with_name("random_programs.py"))
assert _spec is not None
assert _spec.loader is not None
random_programs = importlib.util.module_from_spec(_spec)
sys.modules["random_programs"] = random_programs  # dataclasses look their module up
_spec.loader.exec_module(random_programs)

OPERATIONS, c, fan, r = (getattr(random_programs, n) for n in ("OPERATIONS", "c", "fan", "r"))
declarations, graphs, loop_programs, program_of_terms = (
    getattr(random_programs, n) for n in ("declarations", "graphs", "loop_programs", "program_of_terms")
)


def assert_verified(program: Program, *, draws: int = 1, seed: int = 0) -> None:
    derivation = derive(program)
    exact_only = ("exact",)
    found = gradient_check(derivation, draws=draws, seed=seed, sizes=choose_sizes(program, limit=draws, turn=seed))
    for bar, findings in found.items():
        bad = [x for x in findings if x.outcome == "fails"]
        assert not bad, (bar, bad[0])
        assert any(
            x.outcome in ("holds", "refused")
            for x in findings
            if x.witness in exact_only or x.witness == "complex step"
        )


# ---------------------------------------------------------------------------------------------------------
# All pairs


@pytest.mark.parametrize("first", OPERATIONS)
def test_every_operation_after_itself_and_its_neighbours(first: str) -> None:
    names = list(OPERATIONS)
    at = names.index(first)
    assert_verified(fan(first, [first, *(names[(at + step) % len(names)] for step in (1, 7))]))


@pytest.mark.slow
@pytest.mark.parametrize("first", OPERATIONS)
def test_all_pairs_named(first: str) -> None:
    for part in itertools.batched(OPERATIONS, 8) if hasattr(itertools, "batched") else _batches(8):
        assert_verified(fan(first, list(part)))


@pytest.mark.slow
@pytest.mark.parametrize("first", OPERATIONS)
def test_all_pairs_nested_in_one_expression(first: str) -> None:
    X = Var("X", r, c, kind="param")
    for part in _batches(8):
        assert_verified(program_of_terms([OPERATIONS[o](OPERATIONS[first](X())) for o in part], [], []))


def _batches(count: int) -> list[list[str]]:
    names = list(OPERATIONS)
    return [names[i : i + count] for i in range(0, len(names), count)]


# ---------------------------------------------------------------------------------------------------------
# Random graphs of operations: forks, joins, shared parameters


SETTINGS = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@settings(SETTINGS, max_examples=12)
@given(graphs(), st.integers(0, 3))
def test_random_graphs(program: Program, seed: int) -> None:
    assert_verified(program, seed=seed)


@pytest.mark.slow
@settings(SETTINGS, max_examples=400)
@given(graphs(), st.integers(0, 3))
def test_many_random_graphs(program: Program, seed: int) -> None:
    assert_verified(program, seed=seed)


# ---------------------------------------------------------------------------------------------------------
# Random loops: delays, both directions, several families, one member, sums, shared parameters


@settings(SETTINGS, max_examples=8)
@given(loop_programs(), st.integers(0, 3))
def test_random_loops(program: Program, seed: int) -> None:
    assert_verified(program, draws=2, seed=seed)


@pytest.mark.slow
@settings(SETTINGS, max_examples=250)
@given(loop_programs(), st.integers(0, 3))
def test_many_random_loops(program: Program, seed: int) -> None:
    assert_verified(program, draws=3, seed=seed)


# ---------------------------------------------------------------------------------------------------------
# Random networks, as text, in both batch conventions


@settings(SETTINGS, max_examples=6)
@given(declarations())
def test_random_networks_in_both_conventions(text: str) -> None:
    for samples in ("columns", "rows"):
        assert_verified(program_of(read_text(text), samples=samples))


@pytest.mark.slow
@settings(SETTINGS, max_examples=150)
@given(declarations())
def test_many_random_networks_in_both_conventions(text: str) -> None:
    for samples in ("columns", "rows"):
        assert_verified(program_of(read_text(text), samples=samples))
