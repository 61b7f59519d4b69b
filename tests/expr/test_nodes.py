"""Expressions keep their form, know their shape, and rebuild from their parts."""

import pickle

import pytest
import sympy as sp

from symbp.expr import (
    Add,
    Diag,
    DiagOf,
    Embed,
    Eye,
    Function,
    Hadamard,
    Kron,
    LogSumExp,
    MatMul,
    Node,
    Ones,
    Ref,
    Reshape,
    Scale,
    ShapeError,
    Slice,
    SMul,
    Softmax,
    SumOver,
    T,
    Where,
    Zero,
    apply,
    compare,
    index,
    plus,
    scaled,
    shift,
    size,
    sum_axis,
    total,
)
from symbp.expr import Mask, SizeMember, power, where

m, n, k = size("m"), size("n"), size("k")
A, B, W = Ref("A", n, m), Ref("B", n, m), Ref("W", k, n)
v, row, s = Ref("v", n, 1), Ref("r", 1, m), Ref("s", 1, 1)
t = index("t")

EXAMPLES: list[Node] = [
    A,
    A + B,
    2 * A,
    A - B,
    A * B,
    W @ A,
    A.T,
    A + v,
    A + row,
    A + 1,
    3 - A,
    A / m,
    A / B,
    A**2,
    A**-1,
    1 / A,
    s * A,
    A * s,
    SMul(s, A),
    Diag(v),
    DiagOf(Eye(n)),
    Slice(A, 0, n, 0, m),
    Embed(v, 0, 0, n, m),
    Reshape(A, m, n),
    Kron(A, B),
    SumOver(Ref("H", n, m, t), t, 1, k),
    apply(Function("tanh"), A),
    where(compare(">", A, 0), A, B),
    Softmax(A, 0),
    LogSumExp(A, 1),
    Ones(n, m),
    Zero(n, m),
    Mask("tril", n, n),
    total(A),
    sum_axis(A, 0),
    power(A, v),
    A > B,
]


@pytest.mark.parametrize("node", EXAMPLES, ids=str)
def test_rebuilds_from_its_arguments(node: Node) -> None:
    assert node.func(*node.args) is node
    assert pickle.loads(pickle.dumps(node)) is node
    assert node.rebuild(*node.operands) is node if node.operands else True
    assert node.xreplace({A: Ref("A2", n, m)}).shape == node.shape


@pytest.mark.parametrize(
    ("build", "code"),
    [
        (lambda: A @ B, "S001"),
        (lambda: Add(A, A.T), "S002"),
        (lambda: Hadamard(A, W), "S002"),
        (lambda: SMul(A, B), "S003"),
        (lambda: Diag(A), "S004"),
        (lambda: DiagOf(A), "S005"),
        (lambda: Reshape(A, n, n), "S006"),
        (lambda: plus(A, W), "S002"),
        (lambda: SumOver(Ref("H", SizeMember("n", t), m, t), t, 1, k), "S007"),
        (lambda: Softmax(A, 2), "E902"),
        (lambda: apply(Function("pow", (), (0, 0)), A), "E901"),
    ],
)
def test_shapes_are_strict(build: object, code: str) -> None:
    with pytest.raises(ShapeError) as seen:
        build()  # type: ignore[operator]
    assert seen.value.code == code


def test_the_written_form_is_kept() -> None:
    assert (B + A).operands == (B, A)
    assert (A + A).operands == (A, A)
    assert isinstance(W @ A - W @ A, Add)
    assert (A + B + A).operands == (A, B, A)
    assert MatMul(T(W), MatMul(W, A)).operands == (T(W), W, A)


def test_broadcasting_is_an_explicit_product() -> None:
    assert A + v is Add(A, MatMul(v, Ones(1, m)))
    assert A + row is Add(A, MatMul(Ones(n, 1), row))
    assert A + s is Add(A, SMul(s, Ones(n, m)))
    assert A + 2 is Add(A, Scale(Ones(n, m), 2))
    assert A * s is SMul(s, A)


def test_sizes_are_compared_as_polynomials() -> None:
    left, right = Ref("P", n * (n + 1), m), Ref("Q", n**2 + n, m)
    assert Add(left, right).rows == left.rows
    with pytest.raises(ShapeError):
        Add(left, Ref("R", n**2 - n, m))


def test_bound_indices_are_not_captured() -> None:
    term = SumOver(MatMul(Ref("Z", n, m, t), Ref("X", m, n, t)), t, 1, k)
    assert shift(term, {t: sp.Integer(3)}) is term
    outer = index("u")
    mixed = SumOver(MatMul(Ref("Z", n, m, t), Ref("X", m, n, outer)), t, 1, k)
    moved = shift(mixed, {outer: t + 1})
    assert isinstance(moved, SumOver) and moved.bound != t
    inner = moved.args[0]
    assert inner.args[0].indices == (moved.bound,) and inner.args[1].indices == (t + 1,)


def test_shapes_follow_shifted_indices() -> None:
    member = Ref("A", SizeMember("n", t - 1), m, t - 1)
    assert shift(member, {t: t + 1}) is Ref("A", SizeMember("n", t), m, t)


def test_nothing_is_evaluated() -> None:
    assert (A - A).doit() is A - A
    assert isinstance(A - A, Add)
    assert isinstance(scaled(0, A), Scale)
    assert isinstance(Where(Zero(n, m), A, B), Where)
