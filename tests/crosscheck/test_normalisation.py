"""Normalisation against PyTorch: values, gradients, running statistics, inference, by the generated module."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from symbp.language import read_text
from symbp.pipeline import derive, generate
from symbp.verify.module import load_module

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.crosscheck

n, m, EPS = 6, 7, 1e-5
rng = np.random.default_rng(4)
X, C = rng.normal(1.0, 2.0, size=(n, m)), rng.normal(size=(n, m))
GAMMA, BETA = rng.normal(size=(n, 1)), rng.normal(size=(n, 1))
CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def torch_of(layer: str) -> Any:
    """Return PyTorch's module of samples x features, in float64."""
    nn = torch.nn
    made = {
        "batch_norm(X)": lambda: nn.BatchNorm1d(n, eps=EPS, momentum=0.1),
        "layer_norm(X)": lambda: nn.LayerNorm(n, eps=EPS),
        "rms_norm(X)": lambda: nn.RMSNorm(n, eps=EPS),
        "group_norm(X, 2)": lambda: nn.GroupNorm(2, n, eps=EPS),
    }[layer]().double()
    with torch.no_grad():
        made.weight.copy_(_tensor(GAMMA[:, 0]))
        if getattr(made, "bias", None) is not None:
            made.bias.copy_(_tensor(BETA[:, 0]))
    return made


def _tensor(a: Any) -> Any:
    return torch.tensor(np.asarray(a))


def ours(layer: str, folder: Any) -> Any:
    text = f"samples: m\nassert n == 2*k\nX: input[n, m]\nC: input[n, m]\nY = {layer}\nloss = sum(C * Y)\n"
    path = folder / "ours.py"
    wrt = ["X", "gamma_Y"] + ([] if layer.startswith("rms") else ["beta_Y"])
    path.write_text(generate(derive(read_text(text), wrt))["network.py"])
    return load_module(path)


@pytest.mark.parametrize("layer", ["batch_norm(X)", "layer_norm(X)", "rms_norm(X)", "group_norm(X, 2)"])
def test_values_and_gradients(layer: str, tmp_path: Any) -> None:
    theirs, module = torch_of(layer), ours(layer, tmp_path)
    data = _tensor(X.T).requires_grad_()
    value = theirs(data)
    (value * _tensor(C.T)).sum().backward()
    params, inputs = module.Params(*(GAMMA, BETA)[: len(module.Params._fields)]), module.Inputs(X, C)
    cache = module.forward(params, inputs)
    found = module.backward(params, inputs, cache)
    np.testing.assert_allclose(cache.Y, value.detach().numpy().T, **CLOSE)
    np.testing.assert_allclose(found.X, data.grad.numpy().T, **CLOSE)
    np.testing.assert_allclose(found.gamma_Y[:, 0], theirs.weight.grad.numpy(), **CLOSE)
    if not layer.startswith("rms"):
        np.testing.assert_allclose(found.beta_Y[:, 0], theirs.bias.grad.numpy(), **CLOSE)


def test_running_statistics_and_inference(tmp_path: Any) -> None:
    theirs, module = torch_of("batch_norm(X)"), ours("batch_norm(X)", tmp_path)
    params, state = module.Params(GAMMA, BETA), module.init_state(3)
    count = m / (m - 1)  # PyTorch stores the variance without bias, symbp the one that normalises
    for k in range(3):
        batch = X + k
        theirs(_tensor(batch.T))
        state = module.update_state(state, module.forward(params, module.Inputs(batch, C)))
    np.testing.assert_allclose(state.mu_run_Y[:, 0], theirs.running_mean.numpy(), **CLOSE)
    kept = 0.9**3
    np.testing.assert_allclose(
        (state.v_run_Y[:, 0] - kept) * count + kept, theirs.running_var.numpy(), **CLOSE
    )
    theirs.eval()
    carried = module.State(theirs.running_mean.numpy()[:, None], theirs.running_var.numpy()[:, None])
    answer = theirs(_tensor(X.T)).detach().numpy().T
    np.testing.assert_allclose(module.predict(params, carried, module.Inputs(X, C)), answer, **CLOSE)
