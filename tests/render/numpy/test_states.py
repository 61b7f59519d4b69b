"""Modules with running statistics: what the state is, how training moves it, what predicts with it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symbp.language import read_text
from symbp.networks import network
from symbp.pipeline import NotTrained, derive, generate

from .conftest import load

TEXT = network("batch_norm").text
WORKSPACES = pytest.mark.parametrize("workspace", [False, True], ids=["module", "workspace"])


@cache
def written(workspace: bool = False, text: str = TEXT) -> Any:
    return load(generate(read_text(text), workspace=workspace)["network.py"], "stateful")


def data(module: Any, samples: int = 40) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(3)
    X = 3 + 2 * rng.standard_normal((4, samples))
    Y = np.eye(3)[:, (X[0] > 3).astype(int) + (X[1] > 3)]
    return module.init_params(rng, n0=4, n1=8, n2=3), module.init_state(8), module.Inputs(X, Y)


def test_a_state_begins_as_declared() -> None:
    module = written()
    state = module.init_state(n1=5)
    assert state._fields == ("mu_run_N1", "v_run_N1")
    assert state.mu_run_N1.shape == state.v_run_N1.shape == (5, 1)
    assert not state.mu_run_N1.any() and (state.v_run_N1 == 1).all()
    params = module.init_params(np.random.default_rng(0), 4, 5, 3)
    assert (params.gamma_N1 == 1).all() and not params.beta_N1.any()


@WORKSPACES
def test_a_step_moves_the_state_and_leaves_the_old_one(workspace: bool) -> None:
    module = written(workspace)
    params, state, inputs = data(module)
    Z = params.W_Z1 @ inputs.X
    loss, after, moved = module.train_step(params, state, inputs, 0.1)
    assert loss == pytest.approx(module.forward(params, inputs).loss, rel=1e-14)
    np.testing.assert_allclose(moved.mu_run_N1, 0.1 * Z.mean(axis=1, keepdims=True), rtol=1e-13)
    np.testing.assert_allclose(moved.v_run_N1, 0.9 + 0.1 * Z.var(axis=1, keepdims=True), rtol=1e-13)
    assert not state.mu_run_N1.any() and (state.v_run_N1 == 1).all()
    assert after.W_Z1.shape == params.W_Z1.shape


def test_many_steps_in_a_workspace_are_single_steps() -> None:
    readable, fast = written(), written(True)
    params, state, inputs = data(readable)
    for _ in range(5):
        loss, params, state = readable.train_step(params, state, inputs, 0.1)
    again = fast.train(*data(fast), 0.1, 5)
    assert again[0] == pytest.approx(loss, rel=1e-12)
    for mine, theirs in zip((*params, *state), (*again[1], *again[2]), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-11, atol=1e-13)


@WORKSPACES
def test_training_reaches_the_statistics_of_the_data(workspace: bool) -> None:
    """After many steps with small batches, prediction with the state is about as good as with the batch."""
    module = written(workspace)
    params, state, inputs = data(module)
    start = [a.copy() for a in (*params, *state)]
    trained, moved, losses = module.fit(
        params, state, inputs, epochs=60, batch_size=10, learning_rate=0.5, rng=np.random.default_rng(0)
    )
    assert losses[-1] < 0.3 < losses[0]
    found = module.predict(trained, moved, inputs)
    assert (found.argmax(axis=0) == inputs.Y.argmax(axis=0)).mean() > 0.9
    batch = module.forward(trained, inputs).P
    assert 1e-6 < np.abs(found - batch).max() < 0.5
    for before, now in zip(start, (*params, *state), strict=True):
        assert np.array_equal(before, now)
    # The answer for one sample does not depend on the others.
    alone = module.predict(trained, moved, module.Inputs(inputs.X[:, :1]))
    np.testing.assert_allclose(alone, found[:, :1], rtol=1e-12)


def test_files_hold_the_state(tmp_path: Path) -> None:
    module = written()
    params, state, inputs = data(module)
    _, params, state = module.train_step(params, state, inputs, 0.1)
    module.save(str(tmp_path / "net.npz"), params, state)
    again = module.load(str(tmp_path / "net.npz"))
    for mine, theirs in zip((*params, *state), (*again[0], *again[1]), strict=True):
        assert np.array_equal(mine, theirs)


@pytest.mark.parametrize("field", ["mu_run_N1", "v_run_N1"])
@pytest.mark.parametrize("function", ["predict", "train_step", "fit"])
@WORKSPACES
def test_a_misshapen_state_is_refused_by_name(field: str, function: str, workspace: bool) -> None:
    module = written(workspace)
    params, state, inputs = data(module)
    wrong = state._replace(**{field: np.ones((1, 8))})
    rest = {"train_step": (0.1,)}.get(function, ())
    with pytest.raises(ValueError, match=f"state.{field} must have the shape n1 x 1"):
        getattr(module, function)(params, wrong, inputs, *rest)


def test_families_of_statistics() -> None:
    text = (
        "samples: m\nA[0]: input[n[0], m]\nY: target[n[L], m]\nfor l in range(1, L+1):\n"
        "    A[l] = tanh(batch_norm(dense(A[l-1], n[l], bias='none'), momentum=1/4))\n"
        "loss = mean_squared_error(A[L], Y)\n"
    )
    module = written(text=text)
    rng = np.random.default_rng(0)
    params, state = module.init_params(rng, (4, 7, 3)), module.init_state((4, 7, 3))
    assert [a.shape for a in state.v_run_A] == [(7, 1), (3, 1)]
    inputs = module.Inputs(rng.normal(size=(4, 9)), rng.normal(size=(3, 9)))
    _, _, moved = module.train_step(params, state, inputs, 0.1)
    Z = params.W_A[0] @ inputs.A_0
    np.testing.assert_allclose(moved.mu_run_A[0], Z.mean(axis=1, keepdims=True) / 4, rtol=1e-13)
    assert np.isfinite(module.predict(params, moved, inputs)[-1]).all()


def test_names_of_the_module_are_only_taken_where_there_is_a_state() -> None:
    plain = "state: input\nX: input[n, m]\nW: param[p, n]\nloss = state * sum((W @ X)**2)\n"
    assert "state_" not in generate(read_text(plain))["network.py"]
    normal = plain.replace("(W @ X)", "batch_norm(W @ X)").replace("X: input", "samples: m; X: input")
    text = generate(read_text(normal))["network.py"]
    assert "state_" in text and "inputs.state_" not in text


def test_the_header_says_that_shards_do_not_add_up() -> None:
    for target, options in (("numpy", {}), ("c", {"sizes": {"n0": 4, "n1": 5, "n2": 3, "m": 6}})):
        files = generate(read_text(TEXT), target, **options)  # type: ignore[arg-type]
        head = next(t for name, t in files.items() if name.endswith((".py", ".h")))
        assert "Not shardable: the samples are mixed in loss." in head


def test_a_network_of_inference_has_no_module_of_its_own() -> None:
    for target in ("numpy", "c"):
        with pytest.raises(NotTrained, match="the one that is trained"):
            generate(derive(TEXT, mode="inference"), target)
