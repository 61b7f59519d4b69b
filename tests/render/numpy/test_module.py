"""Generated modules against the reference evaluator, and against backpropagation written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from symbp.expr import evaluate_size
from symbp.networks import names
from symbp.verify.draws import choose_sizes, draw, tangents
from symbp.verify.evaluate import evaluate

from .conftest import Generated, flat, make, packed

SMALL_DEPTHS = {"steps": (1, 4), "layers": (1, 3)}


def cases(generated: Generated) -> Any:
    """Yield sizes, values and results of the evaluator."""
    for turn, sizes in enumerate(choose_sizes(generated.derivation.source, limit=2, **SMALL_DEPTHS)):
        rng = np.random.default_rng(turn)
        values = draw(generated.derivation.source, sizes, rng)
        yield sizes, values, evaluate(generated.derivation.program, values, sizes), rng


def assert_close(mine: Any, wanted: Any, tolerance: float, what: str) -> None:
    """Compare arrays, relative to their largest entry."""
    left, right = flat(mine), flat(wanted)
    assert len(left) == len(right), what
    for a, b in zip(left, right, strict=True):
        assert a.shape == b.shape, what
        assert np.abs(a - b).max(initial=0.0) <= tolerance * (1e-6 + np.abs(b).max(initial=0.0)), what


@pytest.mark.parametrize("name", names())
def test_agrees_with_the_evaluator(name: str, bundled: Any) -> None:
    generated = bundled(name)
    module, layout = generated.module, generated.layout
    for sizes, values, results, rng in cases(generated):
        params, inputs = generated.arguments(values, sizes)
        module.check_inputs(inputs)
        cache = module.forward(params, inputs)
        assert_close(cache.loss, results["loss"][0, 0], 1e-13, "loss")
        for field in cache._fields[1:]:
            var = generated.derivation.forward.variables[field]
            if not var.indices:
                assert_close(getattr(cache, field), results[field], 1e-13, field)
                continue
            store = layout.whole(var)
            lows = [evaluate_size(low, sizes) for low in store.lows]
            for at, wanted in results[field].items():
                member = getattr(cache, field)
                for index, low in zip(at, lows, strict=True):
                    member = member[index - low]
                assert_close(member, wanted, 1e-13, f"{field}{at}")
        loss, gradients = module.loss_and_gradients(params, inputs)
        assert loss == cache.loss
        for field in layout.params:
            wanted = packed(field, results[generated.derivation.gradients[field.var.name]], sizes, float)
            assert_close(getattr(gradients, field.name), wanted, 1e-12, field.name)
        # <gradient, tangent> is the differential of the loss along the tangent
        moved = tangents(generated.derivation.source, sizes, rng, {f.var.name for f in layout.params})
        along = module.Gradients(**{f.name: packed(f, moved[f.var.name], sizes, float) for f in layout.params})
        _, slope = module.jvp(params, inputs, along)
        parts = [np.vdot(a, b) for a, b in zip(flat(along), flat(gradients), strict=True)]
        assert abs(slope - sum(parts)) <= 1e-12 * (1e-6 + sum(map(abs, parts)))


@pytest.mark.parametrize("name", names())
def test_parts_of_the_loss_add_up(name: str, bundled: Any) -> None:
    generated = bundled(name)
    module = generated.module
    for sizes, values, _, _ in cases(generated):
        params, inputs = generated.arguments(values, sizes)
        cache = module.forward(params, inputs)
        sample, rest, c = module.backward_parts(params, inputs, cache)
        together = [c * s + r for s, r in zip(flat(sample), flat(rest), strict=True)]
        assert_close(tuple(together), module.backward(params, inputs, cache), 1e-12, name)


@pytest.mark.parametrize("name", ["mlp", "dropout", "rnn", "deep", "logistic"])
def test_shards_of_unequal_size_add_up(name: str, bundled: Any) -> None:
    generated = bundled(name)
    module = generated.module
    assert "Not shardable" not in generated.text
    sizes, values, _, _ = next(iter(cases(generated)))
    params, inputs = generated.arguments(values, sizes)
    whole = module.backward(params, inputs, module.forward(params, inputs))
    m = sizes["m"]
    total: list[Any] = []
    for ids in (np.arange(2), np.arange(2, m)):
        shard = module._batch(inputs, ids)
        sample, rest, _ = module.backward_parts(params, shard, module.forward(params, shard))
        total = [a + b for a, b in zip(total, flat(sample), strict=True)] if total else flat(sample)
    c = module.backward_parts(params, inputs, module.forward(params, inputs))[2]
    assert_close(tuple(c * s + r for s, r in zip(total, flat(rest), strict=True)), whole, 1e-12, name)


def test_a_network_that_mixes_samples_says_so(generated: Any) -> None:
    made = generated(
        "samples: m\nX: input[n, m]\nY: target[1, m]\nw: param[n, 1]\n"
        "Z = w.T @ X\nC = Z - sum(Z)/m\nloss = sum((C - Y)**2)/m"
    )
    assert "Not shardable: " in made.text
    params, inputs = made.module.Params(np.ones((2, 1))), made.module.Inputs(np.eye(2), np.ones((1, 2)))
    cache = made.module.forward(params, inputs)
    whole, rest, c = made.module.backward_parts(params, inputs, cache)
    assert c == 1.0
    assert_close(whole, made.module.backward(params, inputs, cache), 0.0, "whole")
    assert not rest.w.any()


@pytest.mark.parametrize("name", ["mlp", "digits", "xor", "rnn", "deep", "residual", "lstm"])
def test_float32_stays_float32(name: str, bundled: Any) -> None:
    generated = bundled(name, dtype="float32")
    assert generated.module.DTYPE is np.float32
    sizes, values, results, _ = next(iter(cases(generated)))
    params, inputs = generated.arguments(values, sizes, np.float32)
    cache = generated.module.forward(params, inputs)
    gradients = generated.module.backward(params, inputs, cache)
    _, moved = generated.module.train_step(params, inputs, 0.1)
    predicted = generated.module.predict(params, inputs)
    for array in (*flat(tuple(cache)[1:]), *flat(gradients), *flat(moved), *flat(predicted)):
        assert array.dtype == np.float32
    assert_close(cache.loss, results["loss"][0, 0], 1e-4, "loss")
    for field in generated.layout.params:
        wanted = packed(field, results[generated.derivation.gradients[field.var.name]], sizes, float)
        assert_close(getattr(gradients, field.name), wanted, 1e-3, field.name)


# -- by hand ----------------------------------------------------------------------------------------------------


def test_mlp_by_hand(bundled: Any) -> None:
    module = bundled("mlp").module
    rng = np.random.default_rng(3)
    W1, b1, W2, b2 = (rng.standard_normal(s) for s in ((4, 3), (4, 1), (2, 4), (2, 1)))
    X, Y = rng.standard_normal((3, 5)), rng.standard_normal((2, 5))
    A1 = np.tanh(np.dot(W1, X) + b1)
    Z2 = np.dot(W2, A1) + b2
    D2 = (Z2 - Y) / 5
    D1 = np.dot(W2.T, D2) * (1 - A1 * A1)
    loss, gradients = module.loss_and_gradients(module.Params(W1, b1, W2, b2), module.Inputs(X, Y))
    assert loss == pytest.approx(((Z2 - Y) ** 2).sum() / 10, rel=1e-14)
    wanted = (np.dot(D1, X.T), D1.sum(1)[:, None], np.dot(D2, A1.T), D2.sum(1)[:, None])
    assert_close(tuple(gradients), wanted, 1e-13, "mlp")


def test_rnn_by_hand(bundled: Any) -> None:
    module = bundled("rnn").module
    rng = np.random.default_rng(4)
    h, n, p, m, T = 3, 2, 4, 5, 6
    W, U, b, V, c = (rng.standard_normal(s) for s in ((h, h), (h, n), (h, 1), (p, h), (p, 1)))
    H0, X, Y = rng.standard_normal((h, m)), rng.standard_normal((T, n, m)), rng.standard_normal((T, p, m))
    H, O = [H0], []
    for t in range(T):
        H.append(np.tanh(np.dot(W, H[-1]) + np.dot(U, X[t]) + b))
        O.append(np.dot(V, H[-1]) + c)
    bars = [np.zeros_like(x) for x in (W, U, b, V, c)]
    carried = np.zeros_like(H0)
    for t in reversed(range(T)):
        D = (O[t] - Y[t]) / m
        E = (np.dot(V.T, D) + carried) * (1 - H[t + 1] ** 2)
        gains = np.dot(E, H[t].T), np.dot(E, X[t].T), E.sum(1)[:, None], np.dot(D, H[t + 1].T), D.sum(1)[:, None]
        for bar, gain in zip(bars, gains, strict=True):
            bar += gain
        carried = np.dot(W.T, E)
    params = module.Params(W=W, U=U, b=b, V=V, c=c)
    loss, gradients = module.loss_and_gradients(params, module.Inputs(X=X, Y=Y, H_0=H0))
    assert loss == pytest.approx(sum(((o - y) ** 2).sum() for o, y in zip(O, Y, strict=True)) / (2 * m), rel=1e-13)
    assert_close(tuple(gradients), tuple(bars), 1e-13, "rnn")
    assert_close(module.predict(params, module.Inputs(X=X, H_0=H0)), np.array(O), 1e-13, "predict needs no targets")


def test_a_family_of_tuples_by_hand(bundled: Any) -> None:
    module = bundled("deep").module
    rng = np.random.default_rng(5)
    params = module.init_params(rng, (3, 5, 4, 2))
    assert [w.shape for w in params.W] == [(5, 3), (4, 5), (2, 4)]
    assert not any(b.any() for b in params.b)
    X, Y = rng.standard_normal((3, 6)), rng.standard_normal((2, 6))
    A = [X]
    for w, b in zip(params.W, params.b, strict=True):
        A.append(np.tanh(w @ A[-1] + b))
    D = (A[-1] - Y) / 6 * (1 - A[-1] ** 2)
    wanted = []
    for k in (2, 1, 0):
        wanted.insert(0, D @ A[k].T)
        D = (params.W[k].T @ D) * (1 - A[k] ** 2)
    _, gradients = module.loss_and_gradients(params, module.Inputs(A_0=X, Y=Y))
    assert_close(gradients.W, tuple(wanted), 1e-13, "W")
    assert module.forward(params, module.Inputs(A_0=X, Y=Y)).A[0] is X


def test_gradients_of_inputs_on_request() -> None:
    text = "X: input[n, m]\nY: target[p, m]\nW: param[p, n]\nloss = sum((W @ X - Y)**2)/2"
    made = make(text, wrt=("W", "X"))
    rng = np.random.default_rng(6)
    W, X, Y = (rng.standard_normal(s) for s in ((2, 3), (3, 4), (2, 4)))
    params, inputs = made.module.Params(W), made.module.Inputs(X, Y)
    _, gradients = made.module.loss_and_gradients(params, inputs)
    assert gradients._fields == ("W", "X")
    assert_close(gradients.X, W.T @ (W @ X - Y), 1e-13, "X")
    _, moved = made.module.train_step(params, inputs, 0.5)
    assert_close(moved.W, W - 0.5 * (W @ X - Y) @ X.T, 1e-13, "only parameters move")


def test_a_parameter_without_influence_has_a_zero_gradient(generated: Any) -> None:
    made = generated("X: input[n, m]\nW: param[n, 1]\nQ: param[n, n]\nloss = sum((W.T @ X)**2)")
    params, inputs = made.module.Params(W=np.ones((2, 1)), Q=np.eye(2)), made.module.Inputs(np.ones((2, 3)))
    _, gradients = made.module.loss_and_gradients(params, inputs)
    assert gradients.Q.shape == (2, 2)
    assert not gradients.Q.any()
    _, slope = made.module.jvp(params, inputs, made.module.Gradients(W=np.zeros((2, 1)), Q=np.eye(2)))
    assert slope == 0.0


def test_a_network_without_named_prediction_predicts_what_it_compares(bundled: Any) -> None:
    module = bundled("regression").module
    rng = np.random.default_rng(7)
    W, b, X = (rng.standard_normal(s) for s in ((2, 3), (2, 1), (3, 4)))
    assert_close(module.predict(module.Params(W, b), module.Inputs(X)), W @ X + b, 1e-14, "predict")


def test_constants_of_the_file_are_constants_of_the_module(generated: Any) -> None:
    made = generated("X: input[2, m]\nK: const[2, 2] = [[1, 1/3], [0, -2]]\nW: param[2, 2]\nloss = sum((W@K@X)**2)")
    assert made.module.Inputs._fields == ("X",)
    assert_close(made.module.K, np.array([[1, 1 / 3], [0, -2]]), 1e-16, "K")
    W, X = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [2.0]])
    _, gradients = made.module.loss_and_gradients(made.module.Params(W), made.module.Inputs(X))
    KX = made.module.K @ X
    assert_close(gradients.W, 2 * W @ KX @ KX.T, 1e-14, "W")
