"""Contractions: matrix forms where there are any, plain loops for the rest, adjoints that are contractions again."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import sympy as sp

from symbp.expr import (
    Contraction, DiagOf, Einsum, Kron, MatMul, Node, Ones, Ref, Scale, ShapeError, T, Transpose, Zero, contract, size,
    total, walk,
)
from symbp.expr.nodes import plain
from symbp.ops import rule
from symbp.program import Equation, Program, Var
from symbp.verify.evaluate import evaluate

SIZES = {"i": 3, "j": 5, "k": 2, "l": 7, "b": 4}
i, j, k, l, b = (size(x) for x in "ijklb")


def compute(node: Node, values: Mapping[str, Any]) -> Any:
    variables = {r.name: Var(r.name, r.rows, r.cols, kind="input") for r in node.atoms(Ref)}
    variables["out"] = out = Var("out", node.rows, node.cols)
    return evaluate(Program(variables, (Equation(out(), node),), ("out",)), values, SIZES)["out"]


def by_loops(spec: Contraction, arrays: list[Any]) -> Any:
    """Return a contraction by plain loops over all letters."""
    letters = list(spec.sizes)
    n = {x: SIZES[str(s)] for x, s in spec.sizes.items()}

    def place(side: str, at: Mapping[str, int]) -> int:
        found = 0
        for x in side:
            found = found * n[x] + at[x]
        return found

    out = np.zeros([math.prod(n[x] for x in side) for side in spec.out])
    for values in itertools.product(*(range(n[x]) for x in letters)):
        at = dict(zip(letters, values, strict=True))
        term = 1.0
        for (rows, cols), a in zip(spec.operands, arrays, strict=True):
            term *= a[place(rows, at), place(cols, at)]
        out[place(spec.out[0], at), place(spec.out[1], at)] += term
    return out


def spec_of(text: str) -> Contraction:
    return Contraction(text, *(size(x) for x in dict.fromkeys(c for c in text if c.isalpha())))


def operands_of(spec: Contraction) -> list[Node]:
    return [Ref(name, *spec.shape(sides)) for name, sides in zip("ABCDE", spec.operands, strict=False)]


def drawn(operands: list[Node], seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {A.name: rng.normal(size=[int(s.subs({size(x): n for x, n in SIZES.items()})) for s in A.shape])
            for A in operands if isinstance(A, Ref)}


MATRIX_FORMS = [
    ("i|j,j|k->i|k", "MatMul(A, B)"),
    ("i|j,k|j->i|k", "MatMul(A, Transpose(B))"),
    ("j|i,j|k->i|k", "MatMul(Transpose(A), B)"),
    ("i|j,j|k->k|i", "MatMul(Transpose(B), Transpose(A))"),
    ("i|j,j|k,k|l->i|l", "MatMul(A, B, C)"),
    ("i|j->j|i", "Transpose(A)"),
    ("i|j,i|j->i|j", "Hadamard(A, B)"),
    ("i|j,j|i->i|j", "Hadamard(A, Transpose(B))"),
    ("i|j,i|j->|", "MatMul(Ones(1, i), Hadamard(A, B), Ones(j, 1))"),
    ("i|,j|->i|j", "MatMul(A, Transpose(B))"),
    ("i|,i|->|", "MatMul(Transpose(A), B)"),
    ("i|j->i|", "MatMul(A, Ones(j, 1))"),
    ("i|j->|j", "MatMul(Ones(1, i), A)"),
    ("i|j->j|", "MatMul(Transpose(A), Ones(i, 1))"),
    ("i|j,i|->i|j", "Hadamard(MatMul(B, Ones(1, j)), A)"),
    ("i|j,i|->j|", "MatMul(Transpose(A), B)"),
    ("i|->i|j", "MatMul(A, Ones(1, j))"),
    ("|,i|j->i|j", "SMul(A, B)"),
    ("|,|->|", "Hadamard(A, B)"),
    ("bk|i,i|j->bk|j", "MatMul(A, B)"),
    ("bk|i,bk|i->i|", None),
]


@pytest.mark.parametrize(("text", "form"), MATRIX_FORMS, ids=[t for t, _ in MATRIX_FORMS])
def test_two_indices_are_matrices(text: str, form: str | None) -> None:
    spec = spec_of(text)
    operands = operands_of(spec)
    found = contract(spec, operands)
    assert not any(isinstance(n, Einsum) for n in walk(found))
    if form is not None:
        assert plain(found) == form
    values = drawn(operands)
    assert np.allclose(compute(found, values), by_loops(spec, [values[A.name] for A in operands]), rtol=1e-13)


NATIVE = [
    "bk|i,k|ij->bk|j", "bk|i,k|ij->kj|b", "i|j,k|l->ik|jl", "bi|j->b|ij", "b|ij->ji|b", "ib|jb,b|->i|j",
    "i|j,i|k,i|l->j|kl", "ij|k,b|jk->b|i", "i|j,j|k,k|i->|", "bk|i->k|", "k|j->bk|j", "|,ik|j->i|jk",
]


@pytest.mark.parametrize("text", NATIVE)
def test_more_indices_are_sums_over_letters(text: str) -> None:
    if text == "ib|jb,b|->i|j":
        with pytest.raises(ShapeError):
            Einsum(*operands_of(spec_of(text)), spec_of(text))
        return
    spec = spec_of(text)
    operands = operands_of(spec)
    values = drawn(operands)
    wanted = by_loops(spec, [values[A.name] for A in operands])
    assert np.allclose(compute(Einsum(*operands, spec), values), wanted, rtol=1e-12)
    assert np.allclose(compute(contract(spec, operands), values), wanted, rtol=1e-12)


@pytest.mark.parametrize("text", [t for t in NATIVE if not t.startswith("ib")])
def test_the_adjoint_is_a_contraction_and_the_adjoint_of_it_the_first(text: str) -> None:
    spec = spec_of(text)
    operands = operands_of(spec)
    node = Einsum(*operands, spec)
    G = Ref("G", *node.shape)
    values = drawn([*operands, G], seed=1)
    whole = np.sum(compute(node, values) * values["G"])
    for slot, A in enumerate(operands):
        pulled = rule(node).pull(G, node, slot)  # type: ignore[misc]
        assert pulled.shape == A.shape
        # Linear in A: <G, op(A)> = <pulled, A>.
        assert np.isclose(np.sum(compute(pulled, values) * values[A.name]), whole, rtol=1e-12)
        again = spec.adjoint(slot).adjoint(slot)
        assert (again.operands, again.out, again.sizes) == (spec.operands, spec.out, spec.sizes)


def test_the_transpose_of_a_contraction() -> None:
    spec = spec_of("bk|i,k|ij->bk|j")
    node = Einsum(*operands_of(spec), spec)
    turned = rule(node).transposed(node)
    assert isinstance(turned, Einsum) and turned.shape == node.shape[::-1]
    values = drawn(operands_of(spec))
    assert np.array_equal(compute(turned, values), compute(node, values).T)


def test_coefficients_transposes_ones_and_zeros_come_out() -> None:
    spec = spec_of("bk|i,k|ij->bk|j")
    A, B = operands_of(spec)
    found = contract(spec, [Scale(T(Ref("X", i, b * k)), sp.Rational(2, 3)), B])
    assert plain(found).startswith("Scale(Einsum(X, B, Contraction(i|bk,k|ij->bk|j")
    assert isinstance(contract(spec, [A, Zero(*B.shape)]), Zero)
    # 1 in place of a factor: the letters that only it had are counted.
    ones = contract(spec, [Ones(*A.shape), B])
    values = drawn([A, B])
    wanted = by_loops(spec, [np.ones((8, 3)), values["B"]])
    assert np.allclose(compute(ones, values), wanted)
    summed = contract(spec_of("i|j,b|->i|"), [Ref("A", i, j), Ones(b, 1)])
    assert plain(summed) == "Scale(MatMul(A, Ones(j, 1)), b)"
    assert not any(isinstance(n, Transpose) for n in walk(found))


def test_trace_kron_and_products_by_letters() -> None:
    rng = np.random.default_rng(3)
    n, m = size("i"), size("j")
    Q, A, B = Ref("Q", n, n), Ref("A", i, j), Ref("B", k, l)
    values = {"Q": rng.normal(size=(3, 3)), "A": rng.normal(size=(3, 5)), "B": rng.normal(size=(2, 7))}
    assert np.isclose(compute(total(DiagOf(Q)), values), np.einsum("ii->", values["Q"]))
    both = Einsum(A, B, Contraction("i|j,k|l->ik|jl", i, j, k, l))
    assert both.shape == Kron(A, B).shape
    assert np.allclose(compute(both, values), np.kron(values["A"], values["B"]), rtol=1e-14)
    native = Einsum(Q, A, Contraction("i|a,a|j->i|j", i, n, m))
    assert np.allclose(compute(native, values), compute(MatMul(Q, A), values), rtol=1e-14)


def test_wrong_shapes_are_refused() -> None:
    spec = spec_of("bk|i,k|ij->bk|j")
    with pytest.raises(ShapeError):
        Einsum(Ref("A", b, i), Ref("B", k, i * j), spec)
    with pytest.raises(ShapeError):
        Einsum(Ref("A", i, i), Contraction("i|i->i|", i))
