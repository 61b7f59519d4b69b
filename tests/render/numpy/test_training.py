"""Training with a generated module: first parameters, steps, mini-batches, optimizers, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symbp.pipeline import generate

from .conftest import flat, load

XOR_X = np.array([[0.0, 0, 1, 1], [0, 1, 0, 1]])
XOR_Y = np.array([[0.0, 1, 1, 0]])


def test_first_weights_are_glorot_uniform_and_biases_zero(bundled: Any) -> None:
    module = bundled("mlp").module
    params = module.init_params(np.random.default_rng(0), n0=60, n1=50, n2=40)
    for weights, fans in ((params.W1, 110), (params.W2, 90)):
        limit = (6 / fans) ** 0.5
        assert 0.95 * limit < np.abs(weights).max() <= limit
        assert abs(weights.std() - limit / 3**0.5) < 0.05 * limit
    assert not params.b1.any()
    assert not params.b2.any()


def test_rows_of_samples_have_rows_of_biases(generated: Any) -> None:
    made = generated(
        "X: input[m, n]\nY: target[m, p]\nW: param[n, p]\nb: param[1, p]\ns: param[1, p]\n"
        "loss = sum(((X @ W + b)*s - Y)**2)/m"
    )
    params = made.module.init_params(np.random.default_rng(0), n=3, p=2)
    assert not params.b.any()
    assert params.s.any()


def test_sizes_have_defaults(generated: Any) -> None:
    from symbp.calculus import derive
    from symbp.language import read_text
    from symbp.pipeline import generate

    from .conftest import load

    text = "X: input[n, m]\nW: param[p, n]\nb: param[p, 1]\nloss = sum((W @ X + b)**2)/m"
    source = generate(derive(read_text(text)), sizes={"n": 7, "m": 32})["network.py"]
    module = load(source)
    assert module.init_params(np.random.default_rng(0), p=2).W.shape == (2, 7)
    assert module.init_params(np.random.default_rng(0), p=2, n=3).W.shape == (2, 3)
    # The sizes of a run come from the arrays.
    assert module.forward(module.Params(np.ones((2, 3)), np.zeros((2, 1))), module.Inputs(np.ones((3, 4)))).loss == 18.0


def test_facts_of_parameters_hold_at_first(generated: Any) -> None:
    made = generated(
        "X: input[n, m]\nS: param[n, n] & symmetric\nq: param[n, 1] & positive\nloss = sum((S @ X)*X) + sum(q.T @ X)"
    )
    params = made.module.init_params(np.random.default_rng(0), n=4)
    assert np.array_equal(params.S, params.S.T)
    assert (params.q > 0).all()


def test_a_step_goes_downhill(bundled: Any) -> None:
    module = bundled("mlp").module
    rng = np.random.default_rng(1)
    params = module.init_params(rng, 3, 4, 2)
    inputs = module.Inputs(rng.standard_normal((3, 8)), rng.standard_normal((2, 8)))
    before = [a.copy() for a in flat(params)]
    loss, moved = module.train_step(params, inputs, 0.1)
    cache = module.forward(params, inputs)
    assert loss == cache.loss > module.forward(moved, inputs).loss
    gradients = module.backward(params, inputs, cache)
    for old, new, gradient, kept in zip(flat(params), flat(moved), flat(gradients), before, strict=True):
        assert np.array_equal(old, kept)
        assert np.allclose(new, old - 0.1 * gradient, rtol=1e-15)


@pytest.mark.parametrize(
    ("optimizer", "rate"), [("sgd", 1.0), ("momentum", 0.3), ("adam", 0.05)]
)
def test_fit_learns_xor(bundled: Any, optimizer: str, rate: float) -> None:
    module = bundled("xor").module
    rng = np.random.default_rng(2)
    params = module.Params(*(rng.standard_normal(s) for s in ((4, 2), (4, 1), (1, 4), (1, 1))))
    inputs = module.Inputs(XOR_X, XOR_Y)
    trained, losses = module.fit(params, inputs, epochs=2000, learning_rate=rate, optimizer=optimizer)
    assert len(losses) == 2000
    assert losses[-1] < 0.05 < losses[0]
    assert ((module.predict(trained, inputs) > 0.5) == (XOR_Y > 0.5)).all()


def test_fit_leaves_its_arguments_alone_and_repeats(bundled: Any) -> None:
    module = bundled("mlp").module
    rng = np.random.default_rng(3)
    params = module.init_params(rng, 3, 4, 2)
    kept = [a.copy() for a in flat(params)]
    inputs = module.Inputs(rng.standard_normal((3, 10)), rng.standard_normal((2, 10)))
    first, losses = module.fit(params, inputs, epochs=3, batch_size=4, rng=np.random.default_rng(9))
    again, same = module.fit(params, inputs, epochs=3, batch_size=4, rng=np.random.default_rng(9))
    assert losses == same
    assert all(np.array_equal(a, b) for a, b in zip(flat(first), flat(again), strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(flat(params), kept, strict=True))


def test_mini_batches_hold_every_sample_once(bundled: Any) -> None:
    module = bundled("rnn").module
    seen: list[Any] = []
    rng = np.random.default_rng(4)
    params = module.init_params(rng, h=2, n=1, p=1)
    X = np.arange(7.0) * np.ones((3, 1, 1))
    inputs = module.Inputs(H_0=np.zeros((2, 7)), X=X, Y=np.zeros((3, 1, 7)))
    original = module.loss_and_gradients

    def spy(params: Any, batch: Any) -> Any:
        assert batch.H_0.shape[1] == batch.X.shape[2] == batch.Y.shape[2] <= 3
        seen.extend(batch.X[0, 0].tolist())
        return original(params, batch)

    module.loss_and_gradients = spy
    try:
        module.fit(params, inputs, epochs=2, batch_size=3, learning_rate=0.0)
    finally:
        module.loss_and_gradients = original
    assert sorted(seen[:7]) == sorted(seen[7:]) == list(range(7))
    assert seen[:7] != seen[7:]


def test_one_batch_of_everything_is_plain_descent(bundled: Any) -> None:
    module = bundled("deep").module
    rng = np.random.default_rng(5)
    params = module.init_params(rng, (3, 4, 2))
    inputs = module.Inputs(rng.standard_normal((3, 6)), rng.standard_normal((2, 6)))
    trained, losses = module.fit(params, inputs, epochs=3, learning_rate=0.2)
    by_steps = params
    for loss in losses:
        mine, by_steps = module.train_step(by_steps, inputs, 0.2)
        assert mine == pytest.approx(loss, rel=1e-14)
    assert all(np.allclose(a, b, rtol=1e-13) for a, b in zip(flat(trained), flat(by_steps), strict=True))


@pytest.mark.parametrize("workspace", [False, True], ids=["readable", "workspace"])
@pytest.mark.parametrize("name", ["mlp", "deep"])
def test_gradients_are_clipped_together(name: str, workspace: bool, bundled: Any) -> None:
    plain = bundled(name)
    source = generate(plain.derivation, name=name, workspace=workspace, clip=True)[f"{name}.py"]
    module = load(source, f"clipped_{name}")
    rng = np.random.default_rng(8)
    sizes = ((3, 4, 2),) if name == "deep" else (3, 4, 2)
    params = module.init_params(rng, *sizes)
    inputs = module.Inputs(rng.standard_normal((3, 6)), rng.standard_normal((2, 6)))
    kept = [a.copy() for a in flat(params)]
    _, gradients = module.loss_and_gradients(params, inputs)
    slopes = [a.copy() for a in flat(gradients)]
    norm = np.sqrt(sum(np.sum(g**2) for g in slopes))
    for share in (0.4, 1.0, 2.0, np.inf):
        _, after = module.train_step(params, inputs, 0.1, share * norm)
        for new, old, g in zip(flat(after), kept, slopes, strict=True):
            assert np.allclose(new, old - 0.1 * min(share, 1.0) * g, rtol=1e-13)
    # With momentum the gradients themselves are shorter: after one step as with a shorter rate.
    for optimizer in ("sgd", "momentum"):
        trained, _ = module.fit(params, inputs, epochs=1, learning_rate=0.1, optimizer=optimizer, max_norm=0.4 * norm)
        for new, old, g in zip(flat(trained), kept, slopes, strict=True):
            assert np.allclose(new, old - 0.04 * g, rtol=1e-13)
    # Where no limit is given, the steps are those of the module without one.
    mine, _ = module.fit(params, inputs, epochs=3, optimizer="adam")
    other, _ = plain.module.fit(plain.module.Params(*params), inputs, epochs=3, optimizer="adam")
    assert all(np.allclose(a, b, rtol=1e-12) for a, b in zip(flat(mine), flat(other), strict=True))
    _, still = module.train_step(params, inputs, 0.0)
    assert all(np.array_equal(a, b) for a, b in zip(flat(still), kept, strict=True))
    with pytest.raises(ValueError, match="max_norm must not be negative"):
        module.train_step(params, inputs, 0.1, -1.0)
    assert all(np.array_equal(a, b) for a, b in zip(flat(params), kept, strict=True))


def test_wrong_settings_are_refused(bundled: Any) -> None:
    module = bundled("xor").module
    params, inputs = module.init_params(np.random.default_rng(0)), module.Inputs(XOR_X, XOR_Y)
    with pytest.raises(ValueError, match="batch_size must be at least 1, not 0"):
        module.fit(params, inputs, batch_size=0)
    with pytest.raises(ValueError, match="optimizer must be sgd, momentum or adam, not lbfgs"):
        module.fit(params, inputs, optimizer="lbfgs")


@pytest.mark.parametrize(("name", "sizes"), [("mlp", (3, 4, 2)), ("deep", ((3, 4, 2),)), ("stacked", ((2, 3, 4),))])
def test_files(name: str, sizes: Any, bundled: Any, tmp_path: Path) -> None:
    module = bundled(name).module
    params = module.init_params(np.random.default_rng(6), *sizes)
    path = str(tmp_path / "weights.npz")
    module.save(path, params)
    loaded = module.load(path)
    assert type(loaded) is module.Params
    assert all(np.array_equal(a, b) for a, b in zip(flat(params), flat(loaded), strict=True))
    with np.load(path, allow_pickle=False) as data:
        assert all(data[key].dtype == np.float64 for key in data.files)


def test_a_network_without_samples_is_fitted_whole(generated: Any) -> None:
    made = generated("A: input[k, n]\nx: param[n, 1]\nb: target[k, 1]\nloss = sum((A @ x - b)**2)")
    module = made.module
    rng = np.random.default_rng(7)
    A = rng.standard_normal((5, 2))
    inputs = module.Inputs(A, A @ np.ones((2, 1)))
    trained, losses = module.fit(module.Params(np.zeros((2, 1))), inputs, epochs=2000, learning_rate=0.02)
    assert np.allclose(trained.x, 1, atol=1e-6)
    assert losses[-1] < losses[0]
