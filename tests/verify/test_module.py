"""Generated modules against the evaluator, in both precisions; a module with one wrong line is caught."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from symbp.calculus import derive
from symbp.language import read_text
from symbp.pipeline import generate
from symbp.verify.module import ModuleError, check_module, load_module
from symbp.verify.spoil import NETWORKS, derivation_of
from symbp.verify.witnesses import Finding


def findings(text: str, folder: Path, network: str) -> list[Finding]:
    path = folder / "net.py"
    path.write_text(text, encoding="utf-8")
    return check_module(derivation_of(network), load_module(path, "net"), np.random.default_rng(0))


def module_text(network: str, dtype: str = "float64") -> str:
    return generate(derivation_of(network), name="net", dtype=dtype)["net.py"]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("network", NETWORKS)
def test_modules_agree_with_the_evaluator(network: str, dtype: str, tmp_path: Path) -> None:
    found = findings(module_text(network, dtype), tmp_path, network)
    assert {f.witness for f in found} >= {
        "module forward values",
        "module gradients",
        "module loss",
        "module backward",
        "module jvp",
        "module train step",
        "module predict",
    }
    assert [f for f in found if f.outcome != "holds"] == []
    if dtype == "float64":
        assert max(f.error for f in found) < 1e-13


def twice(value: object) -> object:
    return type(value)(*(2 * part for part in value)) if isinstance(value, tuple) else 2 * value  # type: ignore[operator]


def first_forgotten(cache: object) -> object:
    """Spoil the first value of the forward pass that is no number."""
    fields = {f: a for f, a in cache._asdict().items() if isinstance(a, np.ndarray)}  # type: ignore[attr-defined]
    name = next(iter(fields))
    return cache._replace(**{name: fields[name] + 1e-9})  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("function", "spoil", "witness"),
    [
        ("forward", first_forgotten, "module forward values"),
        ("forward", lambda cache: cache._replace(loss=cache.loss * (1 + 1e-10)), "module loss"),
        ("backward", twice, "module gradients"),
        ("loss_and_gradients", lambda pair: (pair[0], twice(pair[1])), "module backward"),
        ("jvp", lambda pair: (pair[0], -pair[1]), "module jvp"),
        ("train_step", lambda pair: (pair[0], twice(pair[1])), "module train step"),
        ("backward_parts", lambda parts: (parts[0], parts[1], 2 * parts[2]), "module parts"),
        ("backward_parts", lambda parts: (twice(parts[0]), parts[1], parts[2] / 2), ""),
        ("predict", twice, "module predict"),
    ],
)
def test_one_wrong_function_is_caught(function: str, spoil: Callable, witness: str, tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(module_text("mlp"), encoding="utf-8")
    module = load_module(path, "net")
    right = getattr(module, function)
    setattr(module, function, lambda *args: spoil(right(*args)))
    found = check_module(derivation_of("mlp"), module, np.random.default_rng(0))
    failed = {f.witness for f in found if f.outcome == "fails"}
    # Another split of the loss into c S + R is as right as ours: that case must not be caught.
    assert witness in failed if witness else not failed


def test_a_gradient_is_measured_by_its_own_scale(tmp_path: Path) -> None:
    derivation = derive(read_text("X: input[n, m]\nW: param[k, n]\nloss = sum(tanh(W @ X)**2) / 10**9\n"))
    path = tmp_path / "net.py"
    path.write_text(generate(derivation, name="net")["net.py"], encoding="utf-8")
    module = load_module(path, "net")
    right = module.loss_and_gradients

    def slightly_wrong(params: object, inputs: object) -> object:
        loss, gradients = right(params, inputs)
        return loss, type(gradients)(*(a * (1 + 1e-6) for a in gradients))

    module.loss_and_gradients = slightly_wrong
    failed = {f.witness for f in check_module(derivation, module, np.random.default_rng(0)) if f.outcome == "fails"}
    assert "module gradients" in failed


def test_gradients_of_a_sum_that_do_not_add_up_over_shards_are_caught(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(module_text("mlp"), encoding="utf-8")
    module = load_module(path, "net")
    right = module.backward_parts

    def mean_for_sum(params: object, inputs: object, cache: object) -> object:
        of_sum, of_rest, factor = right(params, inputs, cache)
        m = inputs.X.shape[1]  # type: ignore[attr-defined]
        return type(of_sum)(*(a / m for a in of_sum)), of_rest, factor * m

    module.backward_parts = mean_for_sum
    found = check_module(derivation_of("mlp"), module, np.random.default_rng(0))
    assert {f.witness for f in found if f.outcome == "fails"} == {"module shards"}


def test_families_in_tuples_stacks_and_single_members(tmp_path: Path) -> None:
    text = """
A[0]: input[n[0], m]
Y: target[n[L], m]
S: param[k, 1]
K: const[k, m]
for l in range(1, L+1):
    W[l]: param[n[l], n[l-1]]
    A[l] = sin(W[l] @ A[l-1])
for t in range(1, T+1):
    B[t]: param[k, 1]
loss = sum((A[L] - Y)**2) + sum(K * sum(B[t]**2 * S for t in range(1, T+1)))
"""
    derivation = derive(read_text(text))
    path = tmp_path / "families.py"
    path.write_text(generate(derivation, name="families")["families.py"], encoding="utf-8")
    found = check_module(derivation, load_module(path, "families"), np.random.default_rng(0))
    assert [f for f in found if f.outcome != "holds"] == []


def test_a_module_of_another_program_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "other.py"
    path.write_text(module_text("mlp"), encoding="utf-8")
    with pytest.raises(ModuleError, match="fields"):
        check_module(derivation_of("classifier"), load_module(path, "other"), np.random.default_rng(0))
    with pytest.raises((ModuleError, OSError)):
        load_module(tmp_path / "missing.py")


def test_a_module_that_lacks_a_gradient_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(module_text("mlp"), encoding="utf-8")
    module = load_module(path, "net")
    right = module.loss_and_gradients

    def one_less(params: object, inputs: object) -> object:
        loss, gradients = right(params, inputs)
        return loss, namedtuple("Fewer", gradients._fields[1:])(*gradients[1:])  # type: ignore[misc]

    module.loss_and_gradients = one_less
    with pytest.raises(ModuleError, match=r"gradients of \['W2'.*, not of \['W1'"):
        check_module(derivation_of("mlp"), module, np.random.default_rng(0))
