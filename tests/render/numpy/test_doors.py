"""The checks at the door of a module: shapes, facts, assumptions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from symbp.render.numpy.doors import FACTS


@pytest.fixture
def mlp(bundled: Any) -> tuple[Any, Any, Any]:
    module = bundled("mlp").module
    params = module.init_params(np.random.default_rng(0), n0=3, n1=4, n2=2)
    return module, params, module.Inputs(np.ones((3, 5)), np.ones((2, 5)))


@pytest.mark.parametrize(
    ("where", "field", "shape", "words"),
    [
        ("params", "W1", (3, 4), "params.W1 must have the shape n1 x n0 = 3 x 3, but its shape is (3, 4)"),
        ("params", "b1", (4,), "params.b1 must have the shape n1 x 1 = 4 x 1, but its shape is (4,)"),
        ("params", "W2", (2, 5), "params.W2 must have the shape n2 x n1 = 2 x 4, but its shape is (2, 5)"),
        ("inputs", "X", (3,), "inputs.X must have the shape n0 x m, but its shape is (3,)"),
        ("inputs", "Y", (2, 4), "inputs.Y must have the shape n2 x m = 2 x 5, but its shape is (2, 4)"),
        ("inputs", "Y", (0, 0), "inputs.Y must have the shape n2 x m = 2 x 5, but its shape is (0, 0)"),
    ],
)
def test_a_wrong_shape_is_named(mlp: Any, where: str, field: str, shape: tuple[int, ...], words: str) -> None:
    module, params, inputs = mlp
    if where == "params":
        params = params._replace(**{field: np.ones(shape)})
    else:
        inputs = inputs._replace(**{field: np.ones(shape)})
    for function in (module.forward, module.loss_and_gradients, lambda p, i: module.train_step(p, i, 0.1)):
        with pytest.raises(ValueError) as caught:
            function(params, inputs)
        assert str(caught.value) == words


def test_predict_needs_no_target_but_looks_at_the_rest(mlp: Any) -> None:
    module, params, inputs = mlp
    assert module.predict(params, module.Inputs(inputs.X)).shape == (2, 5)
    with pytest.raises(ValueError, match=r"params\.b2 must have the shape n2 x 1 = 2 x 1"):
        module.predict(params._replace(b2=np.ones((3, 1))), module.Inputs(inputs.X))


def test_members_of_families_are_named(bundled: Any) -> None:
    module = bundled("deep").module
    params = module.init_params(np.random.default_rng(0), (3, 4, 2))
    inputs = module.Inputs(np.ones((3, 5)), np.ones((2, 5)))
    wrong = params._replace(W=(params.W[0], np.ones((2, 3))))
    with pytest.raises(ValueError) as caught:
        module.forward(wrong, inputs)
    assert str(caught.value) == "params.W[1] must have the shape n[l] x n[l - 1] = 2 x 4, but its shape is (2, 3)"
    with pytest.raises(ValueError) as caught:
        module.forward(params._replace(b=params.b[:1]), inputs)
    assert str(caught.value) == "params.b must have L = 2 members, but has 1"


def test_stacked_families_are_named(bundled: Any) -> None:
    module = bundled("rnn").module
    params = module.init_params(np.random.default_rng(0), h=3, n=2, p=1)
    inputs = module.Inputs(H_0=np.zeros((3, 4)), X=np.zeros((5, 2, 4)), Y=np.zeros((6, 1, 4)))
    with pytest.raises(ValueError) as caught:
        module.forward(params, inputs)
    assert str(caught.value) == "inputs.Y must have the shape T x p x m = 5 x 1 x 4, but its shape is (6, 1, 4)"


def test_sizes_are_read_off_compound_axes(generated: Any) -> None:
    made = generated("S: input[4*h, m]\nU: param[h + 1, h]\nloss = sum(U.T @ U) * sum(S[0:h, :])")
    module = made.module
    assert "h = S.shape[0] // 4" in made.text or "h = inputs.S.shape[0] // 4" in made.text or "U.shape[1]" in made.text
    good = module.Inputs(np.ones((8, 3)))
    assert module.forward(module.Params(np.ones((3, 2))), good).loss > 0
    with pytest.raises(ValueError, match=r"params\.U must have the shape h \+ 1 x h = 3 x 2"):
        module.forward(module.Params(np.ones((2, 2))), good)
    with pytest.raises(ValueError, match=r"inputs\.S must have the shape 4\*h x m"):
        module.forward(module.Params(np.ones((3, 2))), module.Inputs(np.ones((9, 3))))


def test_assumed_bounds_are_tested(generated: Any) -> None:
    made = generated(
        "assert T >= 3\nH[0]: input[h, 1]\nW: param[h, h]\n"
        "for t in range(1, T+1):\n    X[t]: input[h, 1]\n    H[t] = tanh(W @ H[t-1] + X[t])\nloss = sum(H[T-2]**2)"
    )
    assert "Assumed: T >= 3." in made.text
    params = made.module.Params(np.eye(2))
    with pytest.raises(ValueError, match="the declaration assumes T >= 3, but it is 2"):
        made.module.forward(params, made.module.Inputs(H_0=np.ones((2, 1)), X=np.ones((2, 2, 1))))
    made.module.forward(params, made.module.Inputs(H_0=np.ones((2, 1)), X=np.ones((3, 2, 1))))


GOOD_AND_BAD: dict[str, tuple[Any, Any, str]] = {
    "columns_sum_to_one": ([[0.25, 1.0], [0.75, 0.0]], [[0.5, 1.0], [0.6, 0.0]], "each column must sum to one"),
    "rows_sum_to_one": ([[0.25, 0.75], [1.0, 0.0]], [[0.25, 0.5], [1.0, 0.0]], "each row must sum to one"),
    "one_hot_columns": ([[0, 1], [1, 0]], [[0.5, 1], [0.5, 0]], "each column must hold one 1, else 0"),
    "one_hot_rows": ([[0, 1], [0, 1]], [[1, 1], [0, 0]], "each row must hold one 1, else 0"),
    "binary": ([[0, 1], [1, 1]], [[0, 1], [1, 2]], "each entry must be 0 or 1"),
    "mask": ([[0, 1], [1, 1]], [[0, 1], [1, 0.5]], "each entry must be 0 or 1"),
    "signs": ([[-1, 1], [1, 1]], [[-1, 1], [1, 0]], "each entry must be 1 or -1"),
    "positive": ([[1, 2], [0.1, 1]], [[1, 2], [0, 1]], "each entry must be above 0"),
    "symmetric": ([[1, 2], [2, 1]], [[1, 2], [3, 1]], "it must equal its transpose"),
}


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([[0, 4, 1]], "each entry must be below v"), ([[0, -1, 1]], "each entry must be an integer, at least 0"),
        ([[0, 0.5, 1]], "each entry must be an integer, at least 0"),
    ],
)
def test_numbers_of_columns_are_tested(ids: Any, words: str, generated: Any) -> None:
    made = generated("E: param[2, v]\nids: input[1, T] & index[v]\nloss = sum(E[:, ids]**2)")
    params = made.module.Params(np.ones((2, 4)))
    assert made.module.forward(params, made.module.Inputs(np.array([[3, 0, 3]]))).loss == 6  # integers will do
    inputs = made.module.Inputs(np.array(ids, float))
    with pytest.raises(ValueError) as caught:
        made.module.forward(params, inputs) if "below" in words else made.module.check_inputs(inputs)
    assert str(caught.value) == f"inputs.ids: {words}"


def test_every_fact_has_a_case() -> None:
    assert set(GOOD_AND_BAD) == set(FACTS) - {"index"}


@pytest.mark.parametrize("fact", sorted(GOOD_AND_BAD))
def test_facts_are_tested(fact: str, generated: Any) -> None:
    good, bad, words = GOOD_AND_BAD[fact]
    shape = "[n, n]" if fact == "symmetric" else "[n, m]"
    made = generated(f"A: input{shape} & {fact}\nW: param[1, n]\nloss = sum((W @ A)**2)")
    assert f"A ({fact.replace('_', ' ')})" in made.text
    made.module.check_inputs(made.module.Inputs(np.array(good, float)))
    with pytest.raises(ValueError) as caught:
        made.module.check_inputs(made.module.Inputs(np.array(bad, float)))
    assert str(caught.value) == f"inputs.A: {words}"


def test_fit_checks_facts_once(bundled: Any) -> None:
    module = bundled("xor").module
    params = module.init_params(np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"inputs\.Y: each entry must be 0 or 1"):
        module.fit(params, module.Inputs(np.ones((2, 4)), np.full((1, 4), 0.5)), epochs=1)
