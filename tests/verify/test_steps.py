"""Every step of every bundled derivation is numerically true; a step inside a sum or a loop is tried at every index."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

import symbp
from symbp.calculus import derive
from symbp.derivation import Step
from symbp.expr import Ref, SumOver, scaled, size, walk
from symbp.language import read_text
from symbp.program import Program
from symbp.verify.normal_form import Budget
from symbp.verify.steps import Bench, check_steps, prove_steps

NETWORKS = sorted(p.name for p in files("symbp.networks").iterdir() if p.name.endswith(".net"))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_step_of_every_network_holds(name: str) -> None:
    derivation = derive(symbp.read(files("symbp.networks").joinpath(name).read_text()))
    found = check_steps(derivation, np.random.default_rng(0))
    assert len(found) == len(derivation.steps) > 10
    assert [f for f in found if f.outcome != "holds"] == []
    proofs = prove_steps(derivation)
    assert len(proofs) == sum(step.kind in ("rewrite", "recognise") for step in derivation.steps)
    assert [(step.rule, proof.residual) for step, proof in proofs if not proof] == []


def test_a_wrong_step_stays_unproved() -> None:
    derivation = derive(symbp.read(files("symbp.networks").joinpath("mlp.net").read_text()))
    wrong = [replace(step, after=scaled(2, step.after)) for step in derivation.steps]
    proofs = prove_steps(replace(derivation, steps=tuple(wrong)), Budget(seconds=0.5))
    assert len(proofs) > 10
    assert not any(proof for _, proof in proofs)


def test_a_message_from_inside_a_sum_is_counted_for_each_index() -> None:
    """``sum(W @ X[t])`` reads W once for each t: one message per t, and the step adds them up."""
    text = """
W: param[k, n]
G: input[k, m]
for t in range(1, T+1):
    X[t]: input[n, m]
loss = sum(G * sum(W @ X[t] for t in range(1, T+1)))
"""
    derivation = derive(read_text(text))
    loops = [s for s in derivation.steps if s.kind == "transpose"]
    steps = [s for s in loops if any(isinstance(n, SumOver) for n in walk(s.before))]
    assert steps
    assert all(f.outcome == "holds" for f in check_steps(derivation, np.random.default_rng(0), steps=steps))


def test_a_projection_of_a_symmetric_argument_holds_along_symmetric_increments() -> None:
    derivation = derive(read_text("S: param[n, n] & symmetric\nG: input[n, n]\nloss = sum(G * (S @ S))\n"))
    assert any("symmetric" in s.rule for s in derivation.steps)
    found = check_steps(derivation, np.random.default_rng(0))
    assert all(f.outcome == "holds" for f in found)
    wrong = [replace(s, after=scaled(2, s.after)) for s in derivation.steps if "symmetric" in s.rule]
    assert all(f.outcome == "fails" for f in check_steps(derivation, np.random.default_rng(0), steps=wrong))


def test_a_step_whose_loop_never_runs_is_not_checked() -> None:
    text = "H[0]: input[h, m]\nW: param[h, h]\nfor t in range(1, T+1):\n    H[t] = tanh(W @ H[t-1])\nloss = sum(H[T])\n"
    derivation = derive(read_text(text))
    step: Step = next(s for s in derivation.steps if s.loops)
    empty = replace(step, loops=tuple(replace(loop, hi=loop.lo - 1) for loop in step.loops))
    (finding,) = check_steps(derivation, np.random.default_rng(0), steps=[empty])
    assert finding.outcome == "not checked"


def test_a_family_is_zero_outside_where_its_program_says_so_and_else_anything() -> None:
    n, m = size("n"), size("m")
    known = {name: {(1,): np.ones((2, 3))} for name in ("G", "H")}
    bench = Bench(Program({}, ()), {}, {"n": 2, "m": 3}, known=known, zero_outside=frozenset({"G"}))
    assert all((bench.read(Ref(name, n, m, 1), {}) == 1).all() for name in known)
    assert not bench.read(Ref("G", n, m, 2), {}).any()
    assert bench.read(Ref("H", n, m, 2), {}).all() and bench.read(Ref("K", n, m), {}).all()
