"""Programs from Python are the programs of the same text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sympy as sp

from symbp.language import DeclarationError, Dense, Dropout, Model, Sequential, read_expression, read_text
from symbp.language.builder import sequential_text, size, size_family, sizes
from symbp.language.functions import relu, sigmoid, sum, tanh, where
from symbp.losses import sigmoid_cross_entropy, softmax_cross_entropy
from symbp.program import Loop, Program, ProgramError, Statement


def without_lines(program: Program) -> Program:
    """Return the program without the lines of a text, which Python does not have."""

    def strip(statement: Statement) -> Statement:
        if isinstance(statement, Loop):
            return replace(statement, line=None, body=tuple(strip(s) for s in statement.body))
        return replace(statement, line=None)

    return program.replace(body=tuple(strip(s) for s in program.body))


def same(a: Program, b: Program) -> None:
    a, b = without_lines(a), without_lines(b)
    assert dict(a.variables) == dict(b.variables)
    assert a.body == b.body
    assert a == b


def test_sequential_is_the_text() -> None:
    program = Sequential(
        [Dense(16, tanh), Dropout("1/2"), Dense(3)], loss=softmax_cross_entropy, inputs=4, facts=["one_hot_columns"]
    )
    same(
        program,
        read_text("""
X: input[4, m]
Y: target[3, m] & one_hot_columns
M2: input[16, m] & mask
samples: m
A1 = dense(X, 16, tanh)
D2 = dropout(A1, M2, 1/2)
Z3 = dense(D2, 3)
loss = softmax_cross_entropy(Z3, Y)
"""),
    )
    assert program.samples == size("m")


def test_sequential_with_samples_as_rows_and_names_of_sizes() -> None:
    program = Sequential(
        [Dense("n1", "relu", bias="folded"), Dense("n2", bias="none")], "mean_squared_error", samples="k", rows=True
    )
    n0, n1, n2, k = sizes("n0, n1 n2 k")
    shapes = {v.name: v.shape for v in program.variables.values()}
    assert shapes["X"] == (k, n0)
    assert shapes["W_A1"] == (n0 + 1, n1)
    assert shapes["W_Z2"] == (n1, n2)
    assert shapes["Z2"] == (k, n2)
    assert [v.name for v in program.parameters] == ["W_A1", "W_Z2"]


def test_sequential_wants_a_dense_layer() -> None:
    with pytest.raises(ValueError, match="Dense"):
        sequential_text([Dropout(0.5)], "mean_squared_error")
    with pytest.raises(DeclarationError):
        Sequential([Dense(3, "tahn")], "mean_squared_error")


def test_operators_make_the_program_of_the_text() -> None:
    net = Model()
    n0, n1, m = sizes("n0 n1 m")
    X, Y = net.input("X", n0, "m"), net.target("Y", "n1", m, "binary")
    W, b = net.param("W", n1, n0), net.param("b", "n1", 1)
    lam = net.input("lam")
    net["Z"] = W @ X + b
    net["A"] = where(net["Z"] > 0, net["Z"], 0.1)
    net["loss"] = sum((net["A"] - Y) ** 2) / (2 * m) + lam * sum(W**2)
    same(
        net.program(),
        read_text("""
X: input[n0, m]
Y: target[n1, m] & binary
W: param[n1, n0]; b: param[n1, 1]
lam: input
Z = W @ X + b
A = where(Z > 0, Z, 0.1)
loss = sum((A - Y)**2) / (2*m) + lam*sum(W**2)
"""),
    )


def test_loops_and_families() -> None:
    net = Model()
    T, h = sizes("T h")
    net.input("H", h, "m", at=(0,))
    W = net.param("W", h, h)
    with net.loop("t", 1, T) as t:
        X = net.input("X", h, "m", at=(t,))
        net["z"] = W @ net["H", t - 1] + X
        net["H", t] = tanh(net["z", t])
    with net.loop("t", 1, T, down=True) as t:
        net["G", t] = 2 * net["H", t]
    net["loss"] = net.sum(sum(net["G", t]), t, 1, T)
    same(
        net.program(),
        read_text("""
H[0]: input[h, m]
W: param[h, h]
for t in range(1, T+1):
    X[t]: input[h, m]
    z = W @ H[t-1] + X[t]
    H[t] = tanh(z)
for t in range(T, 0, -1):
    G[t] = 2*H[t]
loss = sum(sum(G[t]) for t in range(1, T+1))
"""),
    )


def test_any_depth() -> None:
    net = Model()
    L, m = sizes("L m")
    n = size_family("n")
    sigma = net.function("sigma")
    net.input("A", n(0), m, at=(0,))
    Y = net.target("Y", n(L), m)
    with net.loop("l", 1, L) as l:
        W, b = net.param("W", n(l), n(l - 1), at=(l,)), net.param("b", n(l), 1, at=(l,))
        net["Z", l] = W @ net["A", l - 1] + b
        net["A", l] = sigma(net["Z", l])
    net["loss"] = sum((net["A", L] - Y) ** 2) / (2 * m)
    same(
        net.program(),
        read_text("""
sigma: elementwise
A[0]: input[n[0], m]
Y: target[n[L], m]
for l in range(1, L+1):
    W[l]: param[n[l], n[l-1]]
    b[l]: param[n[l], 1]
    Z[l] = W[l] @ A[l-1] + b[l]
    A[l] = sigma(Z[l])
loss = sum((A[L] - Y)**2) / (2*m)
"""),
    )


def test_layers_from_python() -> None:
    net = Model(samples="m")
    X, Y = net.input("X", 4, "m"), net.target("Y", "n2", "m")
    A1 = net.write("A1", "dense", X, "n1", "tanh", bias="folded")
    Z2 = net.write("Z2", "dense", A1, "n2")
    net.write("loss", sigmoid_cross_entropy, Z2, Y)
    same(
        net.program(),
        read_text("""
X: input[4, m]
Y: target[n2, m]
samples: m
A1 = dense(X, n1, tanh, bias='folded')
Z2 = dense(A1, n2)
loss = sigmoid_cross_entropy(Z2, Y)
"""),
    )


def test_a_function_with_a_law() -> None:
    net = Model()
    X = net.input("X", "n", "m")
    f = net.function("f", lambda x: x / (1 + sp.exp(-x)))
    net["Z"] = f(X)
    same(net.program(), read_text("X: input[n, m]\ndef f(x): return x/(1 + exp(-x))\nZ = f(X)\n"))


def test_python_errors_have_names() -> None:
    net = Model()
    X = net.input("X", "n", "m")
    with pytest.raises(ValueError, match="twice"):
        net.input("X", "n", "m")
    with pytest.raises(KeyError):
        net["Q"]
    net["Z"] = relu(X) + sigmoid(X)
    net["Z"] = X
    with pytest.raises(ProgramError):
        net.program()


# -- one expression


def test_an_expression_without_a_file() -> None:
    program = read_expression("sum((A@x-b)**2)", "A[n,d] x[d,1] b[n,1]", wrt="x")
    same(
        program.replace(name="network"),
        read_text("A: input[n,d]\nx: param[d,1]\nb: input[n,1]\nloss = sum((A@x-b)**2)\n"),
    )


@pytest.mark.parametrize(
    "shapes",
    ["A[n,d], x[d,1], s", "A[n, d] x[d, 1] s", "A [n,d]; x[d,1]; s", {"A": ("n", "d"), "x": ("d", 1), "s": ()}],
)
def test_shapes_may_be_written_in_several_ways(shapes: str) -> None:
    program = read_expression("s*A @ x", shapes, wrt=["A", "x"])
    assert [(v.name, v.kind, v.scalar) for v in program.declared()] == [
        ("A", "param", False),
        ("x", "param", False),
        ("s", "input", True),
    ]
    assert program.outputs == ("value",)


def test_facts_in_shapes() -> None:
    program = read_expression("S @ value", "S[n,n] & symmetric & positive, value[n,1]")
    assert program.variables["S"].facts == {"symmetric", "positive"}
    assert program.variables["value"].kind == "input"  # the name of the result gives way
    assert program.outputs == ("result",)


@pytest.mark.parametrize(
    ("expression", "shapes", "wrt", "code", "column"),
    [
        ("A @ q", "A[n,m]", "", "N001", 5),
        ("A @ A", "A[n,m]", "", "S001", 1),
        ("A", "A[n,m", "", "P011", 2),
        ("A", "A[n,m] A[n,m]", "", "P011", 8),
        ("A", "A[n,m]", "b", "N001", 1),
        ("A; B", "A[n,m]", "", "P010", 4),
        ("x", "x[n]", "", "S020", 10),
        ("", "x[n,1]", "", "P009", 1),
    ],
)
def test_errors_of_an_expression_have_their_place_in_it(
    expression: str, shapes: str, wrt: str, code: str, column: int
) -> None:
    with pytest.raises(DeclarationError) as caught:
        read_expression(expression, shapes, wrt)
    (found,) = caught.value.diagnostics
    assert (found.code, found.line, found.column) == (code, 1, column)


@pytest.mark.parametrize("ends", [([1], 3), (1, [3])])
def test_a_loop_ends_at_sizes(ends: tuple[Any, Any]) -> None:
    with pytest.raises(sp.SympifyError), Model().loop("t", *ends):
        pass


@pytest.mark.parametrize("start", ["1/2", "__import__('os')", [1]])
def test_a_start_value_is_a_number_and_no_text_is_parsed(start: Any) -> None:
    with pytest.raises(sp.SympifyError):
        Model().param("W", "n", "m", start=start)


def test_a_member_is_a_size() -> None:
    with pytest.raises(sp.SympifyError):
        Model().input("X", "n", "m", at=([1],))


@pytest.mark.parametrize(("samples", "axis"), [(None, 0), ("m", 0), ("n", 1)])
def test_the_axis_of_samples_is_stated_or_found(samples: str | None, axis: int) -> None:
    net = Model(samples=samples)
    X, _, _ = net.input("X", "m", "n"), net.target("Y", "m", "k"), net.param("W", "n", "k")
    assert net.sample_axis(X) == axis
