"""Attention and the transformer block: values by formulas of their own, masks, names, who shares which weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from symbp.calculus import convert, derive
from symbp.expr import size
from symbp.language import DeclarationError, Model, read_text
from symbp.language.builder import sizes
from symbp.networks import network
from symbp.program import Program
from symbp.render.text import text as printed
from symbp.verify.draws import draw
from symbp.verify.evaluate import evaluate
from tests.language.test_python_api import same

Array = np.ndarray[Any, np.dtype[Any]]

SIZES = {"d": 6, "T": 5, "U": 4, "k": 3, "heads": 2, "h": 7, "m": 2, "v": 4, "L": 2}
HEAD = "samples: T\nX: input[d, T]\nY: target[d, T]\nM: input[T, T] & mask\nN: input[U, T] & mask\nC: input[d, U]\n"


def softmax(S: Array) -> Array:
    E = np.exp(S - S.max(axis=0))
    return np.asarray(E / E.sum(axis=0))


def seen(Q: Array, K: Array, V: Array, allowed: Array) -> Array:
    """Attention query by query, over the keys that each may see."""
    columns = []
    for i in range(Q.shape[1]):
        keys = [j for j in range(K.shape[1]) if allowed[j, i]]
        weights = np.exp([K[:, j] @ Q[:, i] / np.sqrt(Q.shape[0]) for j in keys])
        columns.append(V[:, keys] @ (weights / weights.sum()))
    return np.array(columns).T


def several(v: dict[str, Any], X: Array, C: Array, allowed: Array) -> Array:
    """Several heads as the paper has them: their results below each other, times one matrix."""
    heads = range(1, SIZES["heads"] + 1)
    stacked = np.vstack([seen(v["W_Q"][j,] @ X, v["W_K"][j,] @ C, v["W_V"][j,] @ C, allowed) for j in heads])
    return np.asarray(np.hstack([v["W_O"][j,] for j in heads]) @ stacked)


def values(program: Program, **given: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return values of the declared variables, and of all others."""
    drawn = {**draw(program, SIZES, np.random.default_rng(4)), **given}
    return drawn, evaluate(program, drawn, SIZES)


T = SIZES["T"]
EVERY, BEFORE = np.ones((T, T)), np.triu(np.ones((T, T)))


@pytest.mark.parametrize(
    ("mask", "allowed"),
    [
        ("none", lambda v: EVERY),
        ("causal", lambda v: BEFORE),
        ("'causal'", lambda v: BEFORE),
        ("M", lambda v: v["M"]),
        ("M * triu(ones(T, T))", lambda v: v["M"] * BEFORE),
        ("Y > 0", None),
    ],
)
def test_attention_is_a_weighted_mean_of_what_is_seen(mask: str, allowed: Callable[[dict[str, Any]], Array]) -> None:
    text = f"{HEAD}A = attention(2*X, X, Y, mask={mask})\nloss = sum(A*Y)\n"
    if allowed is None:
        with pytest.raises(DeclarationError):  # d x T is no mask of scores T x T
            read_text(text)
        return
    M = np.random.default_rng(1).integers(0, 2, (T, T)) * 1.0
    np.fill_diagonal(M, 1)
    v, found = values(read_text(text), M=M)
    np.testing.assert_allclose(found["A"], seen(2 * v["X"], v["X"], v["Y"], allowed(v)), rtol=1e-13, atol=1e-13)


def test_attention_with_positions_as_rows() -> None:
    program = read_text(f"{HEAD}A = attention(2*X, X, Y, causal)\nloss = sum(A*Y)\n")
    rows = read_text(
        "samples: T\nX: input[T, d]\nY: target[T, d]\nA = attention(2*X, X, Y, causal)\nloss = sum(A*Y)\n"
    )
    v, found = values(program)
    turned = evaluate(rows, {"X": v["X"].T, "Y": v["Y"].T}, SIZES)
    np.testing.assert_allclose(turned["A"], found["A"].T, rtol=1e-14)
    assert convert(program, "rows").variables["A"].shape == rows.variables["A"].shape == (size("T"), size("d"))


@pytest.mark.parametrize(
    ("arguments", "memory", "allowed"),
    [
        ("X, heads, key=k", "X", EVERY),
        ("X, heads, causal, key=k", "X", BEFORE),
        ("X, heads, memory=C, key=k", "C", np.ones((SIZES["U"], T))),
        ("X, heads, N, C, k", "C", "N"),
    ],
)
def test_several_heads(arguments: str, memory: str, allowed: Any) -> None:
    N = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1], [1, 1, 0, 1, 1], [0, 0, 1, 0, 0]]) * 1.0
    v, found = values(read_text(f"{HEAD}A = multi_head_attention({arguments})\nloss = sum(A*Y)\n"), N=N)
    expected = several(v, v["X"], v[memory], N if isinstance(allowed, str) else allowed)
    np.testing.assert_allclose(found["A"], expected, rtol=1e-12)


def test_the_size_of_a_head_is_a_share_of_the_features() -> None:
    shape = "[{}, T]"
    for features, heads, key in (("12", "3", 4), ("d", "1", size("d")), ("2*d", "2", size("d"))):
        text = f"X: input{shape.format(features)}\nA = multi_head_attention(X, {heads})\nloss = sum(A)\n"
        assert read_text(text).variables["W_Q"].rows == key
    text = "assert d == k*heads\nX: input[d, T]\nA = multi_head_attention(X, heads)\nloss = sum(A)\n"
    assert read_text(text).variables["W_Q"].rows == size("k")


def normalised(X: Array, g: Array, c: Array) -> Array:
    return np.asarray(g * (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + 1e-5) + c)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_transformer_block(norm: str) -> None:
    text = f"{HEAD}B = transformer_block(X, heads, h, tanh, '{norm}', causal, k)\nloss = sum(B*Y)\n"
    v, found = values(read_text(text))
    X = v["X"]

    def first(A: Array) -> Array:
        return normalised(A, v["g1"], v["c1"])

    def second(A: Array) -> Array:
        return normalised(A, v["g2"], v["c2"])

    def dense(A: Array) -> Array:
        return np.asarray(v["W2"] @ np.tanh(v["W1"] @ A + v["b1"]) + v["b2"])

    if norm == "pre":
        A = X + several(v, first(X), first(X), BEFORE)
        expected = A + dense(second(A))
    else:
        A = first(X + several(v, X, X, BEFORE))
        expected = second(A + dense(A))
    np.testing.assert_allclose(found["B"], expected, rtol=1e-11)


def test_nobody_hears_from_later_positions() -> None:
    program = read_text(network("decoder").text)
    v, found = values(program)
    others = {**v, "ids": {s: a.copy() for s, a in v["ids"].items()}}
    for a in others["ids"].values():
        a[0, 3:] = (a[0, 3:] + 1) % SIZES["v"]
    changed = evaluate(program, others, SIZES)
    for member, Y in found["Y"].items():
        np.testing.assert_array_equal(changed["Y"][member][:, :3], Y[:, :3])
        assert np.abs(changed["Y"][member][:, 3:] - Y[:, 3:]).max() > 1e-3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_query_that_sees_nothing_gets_equal_weights(dtype: str) -> None:
    S = np.where(np.zeros((4, 2)), 1.0, -(10**9)).astype(dtype)
    assert np.array_equal(softmax(S), np.full((4, 2), 0.25, dtype))
    one = np.where([[1], [0]], np.array([[-1e5], [1e5]]), -(10**9)).astype(dtype)
    assert np.array_equal(softmax(one), [[1], [0]])  # beside a score that counts, the others vanish exactly
    program = read_text(f"{HEAD}A = attention(X, X, Y, M)\nloss = sum(A*Y)\n")
    v, found = values(program, M=np.zeros((T, T)))
    np.testing.assert_allclose(found["A"], np.tile(v["Y"].mean(axis=1, keepdims=True), T), rtol=1e-14)
    gradients = derive(program.replace(variables={**program.variables}), ["X"])
    bar = evaluate(gradients.program, v, SIZES)[gradients.gradients["X"]]
    assert np.array_equal(bar, np.zeros_like(bar))


def test_samples_share_the_weights_and_layers_do_not() -> None:
    program = read_text(network("decoder").text)
    for name in ("W_Q", "W_O"):
        assert [str(i) for i in program.variables[name].indices] == ["l", "j"]
    assert [str(i) for i in program.variables["g1"].indices] == ["l"]
    assert [str(i) for i in program.variables["Q"].indices] == ["s", "l", "j"]
    unsaid = read_text(network("transformer").text.replace("samples: m\n", ""))
    assert [str(i) for i in unsaid.variables["W_Q"].indices] == ["s", "j"]


def test_names_are_those_of_the_literature_where_they_are_free() -> None:
    first = "A = multi_head_attention(X, heads, key=k)\n"
    program = read_text(f"{HEAD}{first}B = multi_head_attention(A, heads, key=k)\nloss = sum(B*Y)\n")
    assert {"Q", "K", "V", "S", "P", "O", "W_Q", "Q_B", "P_B", "W_Q_B"} <= program.variables.keys()
    program = read_text(f"{HEAD}Q = 2*X\n{first}V = A\nloss = sum(V*Y) + sum(Q)\n")  # Q and V are the file's
    assert {"Q", "V", "K", "Q_A", "V_A"} <= program.variables.keys()
    program = read_text(f"{HEAD}{first.replace('heads', 'j')}loss = sum(A*Y)\n")
    assert [str(i) for i in program.variables["W_Q"].indices] == ["h"]  # j is a size here


def test_a_model_writes_what_the_text_writes() -> None:
    net = Model(samples="m")
    d, T, heads, k, m = sizes("d T heads k m")
    with net.loop("s", 1, m) as s:
        X = net.input("X", d, T, at=(s,))
        net.target("Y", d, T, at=(s,))
        net["B", s] = net.write("A", "transformer_block", X, heads, "h", mask="causal", key=k)
    net["loss"] = _total(net, s, m)
    same(
        net.program(),
        read_text(
            "samples: m\nfor s in range(1, m+1):\n    X[s]: input[d, T]\n    Y[s]: target[d, T]\n"
            "    A = transformer_block(X[s], heads, h, mask=causal, key=k)\n    B[s] = A\n"
            "loss = sum(sum(B[s]*Y[s]) for s in range(1, m+1))\n"
        ),
    )


def _total(net: Model, s: Any, m: Any) -> Any:
    from symbp.language.functions import sum

    return net.sum(sum(net["B", s] * net["Y", s]), s, 1, m)


def test_an_embedding_adds_up_what_its_columns_hear() -> None:
    program = read_text(
        "samples: T\nE: param[d, v]\nids: input[1, T] & index[v]\nY: target[d, T]\nloss = sum((E[:, ids] - Y)**2)\n"
    )
    found = derive(program)
    ids = np.array([[2.0, 0.0, 2.0, 2.0, 1.0]])
    v, _ = values(program, ids=ids)
    bar = evaluate(found.program, v, SIZES)[found.gradients["E"]]
    hot = np.eye(SIZES["v"])[:, ids[0].astype(int)]
    np.testing.assert_allclose(bar, 2 * (v["E"] @ hot - v["Y"]) @ hot.T, rtol=1e-13)
    assert np.all(bar[:, 3] == 0)  # a word that does not occur


def test_labels_as_numbers_are_one_hot_targets() -> None:
    numbers = "samples: T\nZ: param[v, T]\nids: target[1, T] & index[v]\n"
    found = derive(read_text(f"{numbers}loss = softmax_cross_entropy(Z, eye(v)[:, ids])\n"))
    (result,) = [r for r in found.results if r.target.name == found.gradients["Z"]]
    hot = derive(read_text("samples: T\nZ: param[v, T]\nY: target[v, T] & one_hot_columns\n"
                           "loss = softmax_cross_entropy(Z, Y)\n"))
    (plain,) = [r for r in hot.results if r.target.name == hot.gradients["Z"]]
    assert printed(plain.value) == "(softmax(Z) - Y)/T"
    assert printed(result.value) == "(softmax(Z) - Z_loss)/T"
    (named,) = [s.equation.value for s in found.forward.sites if s.target.name == "Z_loss"]
    assert printed(named) == "I[:, ids]"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("A = attention(X, X)", "O003"),
        ("A = attention(X, X, 2)", "O005"),
        ("A = attention(X, C, X)", "S001"),
        ("A = attention(X, N, C)", "S001"),
        ("A = attention(X, X, X, mask=C)", "O006"),
        ("A = attention(X, X, X, mask=2)", "O004"),
        ("A = attention(X, X, X, mask='padding')", "O005"),
        ("A = attention(X, X, X, mask=later)", "N001"),
        ("A = attention(X, X, X, mask=N)", "S002"),
        ("A = multi_head_attention(X, heads)", "O005"),
        ("A = multi_head_attention(X, 0)", "S021"),
        ("A = multi_head_attention(X, 2, memory=3, key=k)", "O004"),
        ("A = multi_head_attention(X, 2, key=k, key=k)", "O003"),
        ("A = transformer_block(X, heads, h, norm='middle', key=k)", "O005"),
        ("A = transformer_block(X, heads, h, gelu, pre, key=k)", "O005"),
        ("A = transformer_block(X, heads, h, foo, key=k)", "O005"),
        ("A = transformer_block(X, heads)", "O003"),
        ("A = multi_head_attention(X, X, key=k)", "N011"),
    ],
)
def test_errors_have_a_place(text: str, code: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        read_text(f"{HEAD}{text}\nloss = sum(A)\n")
    assert caught.value.diagnostics[0].code == code
    assert all(d.line >= 7 for d in caught.value.diagnostics)
