"""Normalisation layers: their equations, their values, their running statistics, and what follows from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp

from symbp.calculus import convert, derive
from symbp.expr import Zero, size, total
from symbp.expr.nodes import plain
from symbp.language import DeclarationError, Model, read_text
from symbp.pipeline import verify
from symbp.program import Running
from symbp.verify import all_ok, gradient_check
from symbp.verify.evaluate import evaluate

n, m = size("n"), size("m")
EPS = 1e-5
NAMES = ("batch_norm(X)", "layer_norm(X)", "rms_norm(X)", "group_norm(X, 2)")


def columns(layer: str) -> str:
    return f"samples: m\nassert n == 2*k\nX: param[n, m]\nC: input[n, m]\nY = {layer}\nloss = sum(C * Y)\n"


def rows(layer: str) -> str:
    return columns(layer).replace("[n, m]", "[m, n]")


def normalised(layer: str, X: Any) -> Any:
    """Return what the layer should make of features x samples, before scale and shift."""
    if layer.startswith("group"):
        k = X.shape[0] // 2
        return np.vstack([normalised("layer", X[:k]), normalised("layer", X[k:])])
    axis = 1 if layer.startswith("batch") else 0
    centred = X if layer.startswith("rms") else X - X.mean(axis=axis, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=axis, keepdims=True) + EPS)


@pytest.mark.parametrize("layer", NAMES)
def test_values_in_both_conventions(layer: str) -> None:
    rng = np.random.default_rng(2)
    X, C, gamma, beta = (rng.normal(size=(6, cols)) for cols in (5, 5, 1, 1))
    sizes = {"n": 6, "m": 5, "k": 3}
    wanted = gamma * normalised(layer, X) + (0 if layer.startswith("rms") else beta)
    given = {"X": X, "C": C, "gamma_Y": gamma, "beta_Y": beta}
    found = evaluate(read_text(columns(layer)), given, sizes)["Y"]
    np.testing.assert_allclose(found, wanted, rtol=1e-13)
    turned = evaluate(read_text(rows(layer)), {name: a.T for name, a in given.items()}, sizes)["Y"]
    np.testing.assert_allclose(turned, wanted.T, rtol=1e-13)


def test_equations_are_those_of_the_book() -> None:
    program = read_text(columns("batch_norm(X)"))
    assert {s.target.label: plain(s.equation.value) for s in program.sites if s.target.label != "loss"} == {
        "mu_Y": "Scale(MatMul(X, Ones(m, 1)), 1/m)",
        "Xc_Y": "Add(X, Scale(MatMul(mu_Y, Ones(1, m)), -1))",
        "v_Y": "Scale(MatMul(Map(Xc_Y, power(2)), Ones(m, 1)), 1/m)",
        "V_Y": "Map(Map(Add(v_Y, Scale(Ones(2*k, 1), 1/100000)), sqrt), recip)",
        "Xhat_Y": "Hadamard(Xc_Y, MatMul(V_Y, Ones(1, m)))",
        "Y": "Add(Hadamard(MatMul(gamma_Y, Ones(1, m)), Xhat_Y), MatMul(beta_Y, Ones(1, m)))",
    }
    assert {v.name: v.start for v in program.parameters} == {"X": None, "gamma_Y": 1, "beta_Y": 0}


def test_running_statistics_are_states() -> None:
    program = read_text(columns("batch_norm(X, momentum=1/4)"))
    quarter = sp.Rational(1, 4)
    assert program.running == (Running("mu_run_Y", "mu_Y", quarter), Running("v_run_Y", "v_Y", quarter))
    mean, variance = program.variables["mu_run_Y"], program.variables["v_run_Y"]
    assert (mean.kind, mean.start, variance.start, variance.facts) == ("state", 0, 1, {"positive"})
    assert mean.shape == program.variables["mu_Y"].shape
    assert not read_text(columns("layer_norm(X)")).running


def test_in_a_loop_each_iteration_has_statistics_of_its_own() -> None:
    program = read_text(
        "samples: m\nA[0]: input[n[0], m]\nfor l in range(1, L+1):\n"
        "    A[l] = tanh(batch_norm(dense(A[l-1], n[l], bias='none')))\nloss = sum(A[L]**2)\n"
    )
    state = program.variables["v_run_A"]
    assert str(state.shape) == "(n[l], 1)"
    assert [(s.lows, s.highs) for s in state.boxes[0].sides] == [((1,), (size("L"),))]


def test_the_python_api_writes_the_same() -> None:
    net = Model(samples="m")
    X, C = net.param("X", "n", "m"), net.input("C", "n", "m")
    net.write("Y", "batch_norm", X)
    net["loss"] = total(C * net["Y"])
    program = net.program()
    wanted = read_text("samples: m\nX: param[n, m]\nC: input[n, m]\nY = batch_norm(X)\nloss = sum(C * Y)\n")
    assert program.running == wanted.running
    assert [s.equation.value for s in program.sites] == [s.equation.value for s in wanted.sites]
    assert {k: (v.kind, v.start) for k, v in program.variables.items()} == {
        k: (v.kind, v.start) for k, v in wanted.variables.items()
    }


@pytest.mark.parametrize(("call", "code"), [
    ("batch_norm(X, eps=-1)", "O005"), ("batch_norm(X, eps=m)", "O005"), ("batch_norm(X, eps=X)", "O005"),
    ("batch_norm(X, momentum=0)", "O005"), ("batch_norm(X, momentum=2)", "O005"), ("batch_norm(X, momentum=m)", "O005"),
    ("batch_norm(X, momentum=X)", "O005"), ("batch_norm()", "O003"), ("batch_norm(3)", "O004"),
    ("group_norm(X, 2)", "O005"), ("group_norm(X, g)", "O005"), ("group_norm(X, 0)", "S021"),
    ("group_norm(X)", "O003"), ("layer_norm(X, momentum=1)", "O003"), ("layer_norm(X, eps='small')", None),
])
def test_what_is_no_normalisation_is_refused_by_name(call: str, code: str | None) -> None:
    with pytest.raises(DeclarationError) as caught:
        read_text(f"samples: m\nX: input[n, m]\nQ: input[g, m]\nY = {call}\nloss = sum(Y)\n")
    assert code is None or code in [d.code for d in caught.value.diagnostics]


def test_eps_may_be_zero_or_declared() -> None:
    none = read_text(columns("batch_norm(X, eps=0)"))
    assert "1/100000" not in "".join(plain(s.equation.value) for s in none.sites)
    declared = read_text("eps: input & positive\n" + columns("batch_norm(X, eps)"))
    assert "eps" in "".join(plain(s.equation.value) for s in declared.sites)


# ---------------------------------------------------------------------------------------------------------
# Consequences (formula sheet 2)


def adjoints(eps: str, seed: int = 0) -> tuple[Any, Any]:
    """Return Xhat and the adjoint of X for a generic cotangent."""
    rng = np.random.default_rng(seed)
    derivation = derive(read_text(columns(f"batch_norm(X, {eps})")))
    given = derivation.source.declared("param", "input")
    values = {v.name: rng.normal(size=(6, 5 if v.cols == m else 1)) for v in given}
    found = evaluate(derivation.program, values, {"n": 6, "m": 5, "k": 3})
    return found["Xhat_Y"], found[derivation.gradients["X"]]


def test_the_adjoint_is_orthogonal_to_ones_always_and_to_what_is_normalised_without_eps() -> None:
    for eps in ("0", "1/100", "1"):
        Xhat, bar = adjoints(eps)
        scale = np.abs(bar).max()
        assert scale > 1e-2
        assert np.abs(bar.sum(axis=1)).max() < 1e-14 * scale * 5
        along = np.abs((Xhat * bar).sum(axis=1)).max()
        assert along < 1e-13 * scale if eps == "0" else along > 1e-4 * scale


def test_a_bias_in_front_has_no_influence() -> None:
    program = read_text(
        "X: input[n, m]\nY: target[k, m]\nN = batch_norm(dense(X, k))\nloss = mean_squared_error(tanh(N), Y)\n"
    )
    derivation = derive(program, ["W_N", "b_N"])
    (found,) = [s.equation.value for s in derivation.program.sites if s.target.name == "b_N_bar"]
    assert found == Zero(size("k"), 1)
    assert {f.outcome for f in gradient_check(derivation)["b_N_bar"]} == {"holds"}


def test_a_plain_sum_of_what_is_normalised_is_no_check() -> None:
    """Its gradient is zero whatever stands in the backward pass, so the witnesses refuse it."""
    derivation = derive(read_text("samples: m\nX: param[n, m]\nY = batch_norm(X)\nloss = sum(Y)\n"), ["X"])
    outcomes = {f.witness: f.outcome for f in gradient_check(derivation)["X_bar"]}
    assert outcomes["complex step"] == outcomes["exact"] == "refused"
    text = "samples: m\nX: param[n, m]\nC: input[n, m]\nY = batch_norm(X)\nloss = sum(C * Y)\n"
    generic = derive(read_text(text), ["X"])
    assert {f.outcome for f in gradient_check(generic)["X_bar"]} == {"holds"}


# ---------------------------------------------------------------------------------------------------------
# Whole networks: what is bundled is verified elsewhere


@pytest.mark.slow
@pytest.mark.parametrize("samples", ["columns", "rows"])
@pytest.mark.parametrize("layer", ["batch_norm(Z)", "rms_norm(Z)", "group_norm(Z, 2)", "group_norm(Z, g)"])
def test_networks_are_verified_with_their_modules(layer: str, samples: str) -> None:
    count = "g" if layer.endswith("g)") else "2"
    text = (
        f"X: input[p, m]\nY: target[q, m]\nassert n == {count}*k\nZ = dense(X, n, bias='none')\n"
        f"loss = mean_squared_error(dense(tanh({layer}), q), Y)\n"
    )
    verdicts = verify(convert(read_text(text), samples))  # type: ignore[arg-type]
    assert all_ok(verdicts), [v for v in verdicts if not v.ok]
    assert all(v.proved for v in verdicts if v.checked == "adjoint equation")


@pytest.mark.slow
def test_batch_normalisation_in_loops_is_verified_with_its_modules() -> None:
    for text in (
        "samples: m\nA[0]: input[n[0], m]\nY: target[n[L], m]\nfor l in range(1, L+1):\n"
        "    A[l] = tanh(batch_norm(dense(A[l-1], n[l], bias='none'), momentum=1/4))\n"
        "loss = mean_squared_error(A[L], Y)\n",
        "samples: m\nH[0]: input[h, m]\nU: param[h, n]; V: param[h, h]\nfor t in range(1, T+1):\n"
        "    X[t]: input[n, m]\n    Y[t]: target[h, m]\n    H[t] = tanh(batch_norm(U @ X[t]) + V @ H[t-1])\n"
        "loss = sum(sum((H[t] - Y[t])**2) for t in range(1, T+1)) / m\n",
    ):
        verdicts = verify(read_text(text))
        assert all_ok(verdicts), [v for v in verdicts if not v.ok]
