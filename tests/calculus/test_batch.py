"""Batch conversion: right for any set, its own inverse, commutes with the adjoint."""

import numpy as np
import pytest

from symbp.calculus import ConversionError, conversion, convert, derive, sample_size, samples_axis, turn
from symbp.expr import Mask, walk
from symbp.language import read_text
from symbp.networks import names, network
from symbp.program import Program
from symbp.verify.draws import choose_sizes, draw
from symbp.verify.evaluate import evaluate

BATCHED = [n for n in names() if read_text(network(n).text).samples is not None]


def program(name: str) -> Program:
    return read_text(network(name).text.replace("sigma: elementwise", "def sigma(x): return x*tanh(x)"))


def transposed(values: dict, chosen: set[str]) -> dict:
    turn_one = lambda x: x.T  # noqa: E731
    return {
        n: ({k: turn_one(y) for k, y in x.items()} if isinstance(x, dict) else turn_one(x)) if n in chosen else x
        for n, x in values.items()
    }


def close(a: object, b: object) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return set(a) == set(b) and all(np.allclose(a[k], b[k], rtol=1e-12, atol=1e-13) for k in a)
    return np.allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", BATCHED)
def test_right_for_any_set(name: str) -> None:
    p = program(name)
    rng = np.random.default_rng(5)
    sizes = choose_sizes(p)[0]
    values = draw(p, sizes, rng)
    expected = evaluate(p, values, sizes)
    for _ in range(3):
        chosen = {n for n in p.variables if rng.random() < 0.5}
        # A state lies as the statistic that it follows, whether it was named or not.
        chosen = {n for n in p.variables if {r.state: r.statistic for r in p.running}.get(n, n) in chosen}
        seen = evaluate(turn(p, chosen), transposed(values, chosen), sizes)
        for n in p.variables:
            want = transposed({n: expected[n]}, chosen)[n] if n in expected else None
            if want is not None:
                assert close(seen[n], want), n


@pytest.mark.parametrize("name", BATCHED)
def test_its_own_inverse(name: str) -> None:
    p = program(name)
    rows = convert(p, "rows")
    assert rows != p and samples_axis(rows) == "rows"
    assert convert(rows, "columns") == p


def test_a_turned_triangle_is_the_other_triangle() -> None:
    rows = convert(program("attention"), "rows")
    masks = [n for s in rows.sites for n in walk(s.equation.value) if isinstance(n, Mask)]
    assert {n.kind for n in masks} == {"tril"}


def test_positions_take_the_place_of_samples() -> None:
    one = "samples: m\nfor s in range(1, m+1):\n    X[s]: input[{}]\n    Y[s]: target[{}]\nW: param[d, d]\n"
    one += "loss = sum(sum({} * Y[s]) for s in range(1, m+1))\n"
    assert samples_axis(read_text(one.format("d, T", "d, T", "(W @ X[s])"))) == "columns"
    assert samples_axis(read_text(one.format("T, d", "T, d", "(X[s] @ W)"))) == "rows"
    assert samples_axis(read_text(network("decoder").text)) == "columns"  # R has the positions too


@pytest.mark.parametrize("name", BATCHED)
def test_commutes_with_the_adjoint(name: str) -> None:
    p = program(name)
    rows = convert(p, "rows")
    first, second = derive(p), derive(rows)
    sizes = choose_sizes(p)[0]
    values = draw(p, sizes, np.random.default_rng(2))
    turned = conversion(p, "rows")
    a = evaluate(first.program, values, sizes)
    b = evaluate(second.program, transposed(values, turned), sizes)
    for n, bar in first.gradients.items():
        assert close(transposed({n: a[bar]}, turned)[n], b[second.gradients[n]]), n


def test_no_stray_transposes() -> None:
    rows = convert(program("iris"), "rows")
    assert "Transpose" not in " ".join(str(s.equation.value.__class__) for s in rows.sites)
    assert [str(v.rows) for v in rows.variables.values() if v.name in ("X", "Y")] == ["m", "m"]
    assert "one_hot_rows" in rows.variables["Y"].facts
    assert derive(rows).results[0].value.shape == rows.variables["Z2"].shape


def test_weights_have_an_option_of_their_own() -> None:
    p = program("mlp")
    kept = convert(p, "rows", weights="out_in")
    assert kept.variables["W1"].shape == p.variables["W1"].shape
    assert kept.variables["X"].shape == p.variables["X"].shape[::-1]
    flipped = convert(p, weights="in_out")
    assert flipped.variables["W1"].shape == p.variables["W1"].shape[::-1]
    assert flipped.variables["X"].shape == p.variables["X"].shape
    for q in (kept, flipped):
        assert [r.target.name for r in derive(q).results] == [r.target.name for r in derive(p).results]


def test_asks_when_it_is_unclear() -> None:
    p = read_text("X: input[n, m]\nY: target[n, m]\nloss = sum((X - Y)**2)\n")
    if p.samples is not None:
        pytest.fail("n and m are both shared: nothing says which counts samples")
    with pytest.raises(ConversionError, match="samples: m"):
        sample_size(p)
