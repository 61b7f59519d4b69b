"""Whole networks: every bundled one is verified, by several witnesses, and proved for all sizes."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from importlib.resources import files

import pytest
import sympy as sp

import symbp
from symbp.calculus import derive
from symbp.language import read_text
from symbp.networks import network
from symbp.pipeline import verify
from symbp.expr import Function, Map, scaled, size, total
from symbp.program import Equation, Program, Var
from symbp.verify import all_ok, check_derivation
from symbp.verify.compiled import compiler
from symbp.verify.rules import check_closure

NETWORKS = sorted(p.name for p in files("symbp.networks").iterdir() if p.name.endswith(".net"))
LONG = ("branches.net", "cells.net", "cross_attention.net", "decoder.net", "group_norm.net", "highway.net", "lenet.net")
"""Networks whose verification takes long; their layers have tests of their own, embeddings are looked at below."""


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in NETWORKS])
def test_every_bundled_network_is_verified(name: str) -> None:
    verdicts = verify(symbp.read(files("symbp.networks").joinpath(name).read_text()))
    assert all_ok(verdicts), [v for v in verdicts if not v.ok]
    equations = [v for v in verdicts if v.checked == "adjoint equation"]
    assert equations
    assert all({"complex step", "exact"} <= set(v.witnesses) for v in equations)
    assert all(v.proved for v in equations)
    checked = {v.checked for v in verdicts}
    assert checked >= {"NumPy module, float64", "NumPy module, float32"}
    assert compiler() is None or checked >= {"C module, float64", "C module, float32"}
    assert max(v.error for v in verdicts if 0 < v.tolerance < 1e-6) < 1e-13


def test_columns_by_number_are_verified() -> None:
    """An embedding, tied, for several samples, with numbers as targets: what the decoder has beside its blocks."""
    verdicts = verify(read_text(
        "samples: m\nE: param[d, v]\nfor s in range(1, m+1):\n    ids[s]: input[1, T] & index[v]\n"
        "    Y[s]: target[1, T] & index[v]\n    X[s] = tanh(E[:, ids[s]])\n    Z[s] = E.T @ X[s]\n"
        "loss = sum(sum(logsumexp(Z[s], axis=0, keepdims=True)) - sum(eye(v)[:, Y[s]]*Z[s]) "
        "for s in range(1, m+1)) / m\n"
    ))
    assert all_ok(verdicts), [v for v in verdicts if not v.ok]
    assert all(v.proved for v in verdicts if v.checked == "adjoint equation")


def test_the_verb_is_callable_before_and_after_the_package_is_imported() -> None:
    text = "X: input[n, m]\nW: param[k, n]\nG: input[k, m]\nloss = sum(G * (W @ X))\n"
    assert all_ok(symbp.verify(text))
    import_module("symbp.verify")
    assert all_ok(symbp.verify(text, draws=1, seed=3))


def test_a_spoiled_derivation_fails_with_the_equation_and_the_reason() -> None:
    derivation = derive(read_text("X: input[n, m]\nY: target[k, m]\nW: param[k, n]\nloss = sum((W @ X - Y)**2)\n"))
    last = derivation.program.body[-1]
    assert isinstance(last, Equation)
    wrong = derivation.program.replace(body=(*derivation.program.body[:-1], replace(last, value=scaled(3, last.value))))
    verdicts = {v.subject: v for v in check_derivation(replace(derivation, program=wrong))}
    bad = verdicts["W_bar"]
    assert bad.verdict == "fails"
    assert "3" in bad.detail
    assert bad.proved is False and bad.residual
    assert bad.proof_text == f"unproved for all sizes: {bad.residual}"


def test_a_verdict_says_which_facts_its_proof_used() -> None:
    verdicts = {v.subject: v for v in check_derivation(derive(read_text(network("batch_norm").text)), draws=1)}
    assert verdicts["v_N1_bar"].where == ("v_N1 >= 0",)
    assert verdicts["Z2_bar"].where == ("columns of Y sum to one",)
    assert verdicts["W_Z1_bar"].where == ()


def test_unspecified_functions_are_stood_in_for_and_what_cannot_be_generated_is_not_checked() -> None:
    text = "f: elementwise\nX: input[n, m]\nW: param[k, n]\nG: input[k, m]\nloss = sum(G * f(W @ X))\n"
    assert all_ok(verify(read_text(text)))
    free = Function("g", (), (0, 0), sp.core.symbol.Str("free"))
    n, m = size("n"), size("m")
    A, B, loss = Var("A", n, m, kind="param"), Var("B", n, m, kind="param"), Var("loss", sp.S.One, sp.S.One)
    both = Program(
        {"A": A, "B": B, "loss": loss}, (Equation(loss(), total(Map(A(), B(), free))),), functions={"g": free}
    )
    verdicts = {v.checked: v for v in verify(both)}
    module = verdicts["NumPy module, float64"]
    assert module.verdict == "not checked"
    assert "generated" in module.detail
    assert verdicts["adjoint equation"].ok


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_backward_passes_can_be_differentiated_again(name: str) -> None:
    """Adjoint of adjoint and differential of adjoint, for every form of loop in the bundled networks."""
    derivation = derive(symbp.read(files("symbp.networks").joinpath(name).read_text()))
    found = check_closure(derivation)
    assert [f for f in found if f.outcome == "fails"] == []
    assert sum(f.outcome == "holds" for f in found) > 0.7 * len(found)


def test_a_bias_before_a_normalisation_has_a_zero_gradient_and_the_verdict_says_so() -> None:
    text = """
X: input[n, m]
G: input[k, m]
W: param[k, n]
b: param[k, 1]
Z = W @ X + b
C = Z - mean(Z, axis=1, keepdims=True)
loss = sum(G * (C / sqrt(mean(C**2, axis=1, keepdims=True) + 1)))
"""
    verdicts = {v.subject: v for v in verify(read_text(text), modules=False)}
    assert verdicts["b_bar"].ok
    assert "zero at every draw" in verdicts["b_bar"].detail or verdicts["b_bar"].proved
    assert verdicts["W_bar"].ok
    assert verdicts["W_bar"].detail == ""


def test_the_same_seed_gives_the_same_verdicts() -> None:
    program = read_text("X: input[n, m]\nW: param[k, n]\nG: input[k, m]\nloss = sum(G * tanh(W @ X))\n")
    assert verify(program, seed=5, modules=False) == verify(program, seed=5, modules=False)


def test_facts_of_what_is_differentiated_are_respected() -> None:
    text = """
S: param[n, n] & symmetric
P: param[k, m] & columns_sum_to_one
G: input[k, m]
H: input[n, n]
loss = sum(H * (S @ S)) + sum(G * P**2)
"""
    assert all_ok(check_derivation(derive(read_text(text))))
