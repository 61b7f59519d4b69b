"""Every entry of the rule book, found by walking the registries."""

import numpy as np
import pytest
import sympy as sp

from symbp.calculus import differential_of, transpose
from symbp.expr import (
    Add,
    AddAt,
    AxisNode,
    Compare,
    Contraction,
    Einsum,
    Embed,
    Function,
    Gather,
    Map,
    Node,
    Ones,
    Ref,
    Reshape,
    Scale,
    Scatter,
    Slice,
    T,
    Take, kron_blocks,
    size,
    total,
)
from symbp.ops import ELEMENTWISE, RULES, NoRule, Op, called, rule, slope
from symbp.ops.rule import linear
from symbp.program import Equation, Program, Var
from symbp.verify.evaluate import evaluate
from symbp.verify.scalars import HELD

m, n, p, q = (size(s) for s in "mnpq")
SIZES = {"m": 5, "n": 3, "p": 2, "q": 7}
A, B, C, v = Ref("A", m, n), Ref("B", m, n), Ref("C", n, p), Ref("v", m, 1)
S, s = Ref("S", m, m), Ref("s", 1, 1)
BLOCKS = kron_blocks(m, n, p, q)

EXAMPLES: dict[str, list[Node]] = {
    "add": [Add(A, B, A)],
    "scale": [Scale(A, sp.Rational(2, 3) / m)],
    "smul": [s * A],
    "matmul": [A @ C, T(C) @ T(A) @ B],
    "hadamard": [A * B * A],
    "transpose": [A.T],
    "diag": [RULES["diag"].node(v)],
    "diagof": [RULES["diagof"].node(S)],
    "slice": [Slice(A, 1, m, 0, 2), Slice(S, 0, n, m - 2, m)],
    "embed": [Embed(A, 2, 1, m + n, n + 2)],
    "reshape": [Reshape(A, n, m, "C"), Reshape(A, m * n, 1, "F")],
    "kron": [RULES["kron"].node(A, C)],
    "einsum": [
        Einsum(Ref("K", m * p, n), Ref("L", m, n * q), Contraction(t, m, p, n, q))
        for t in ("mp|n,m|nq->mp|q", "mp|n,m|nq->q|pn")
    ],
    "take": [Take(Ref("K", m, n), Ref("ids", 1, p), 1), Take(Ref("K", m, n), Ref("jds", p, 1), 0)],
    "add_at": [AddAt(Ref("K", m, p), Ref("ids", 1, p), n, 1), AddAt(Ref("K", p, m), Ref("jds", p, 1), n, 0)],
    "gather": [Gather(Ref("K", m * p, n * q), BLOCKS)],
    "scatter_add": [Scatter(Ref("K", m * n, p * q), BLOCKS)],
    "where": [RULES["where"].node(Compare(A, B, ">"), A, B)],
    "map": [Map(A, Function("tanh")), Map(A * A + 1, B, Function("pow", (), (0, 0)))],
    "compare": [Compare(A, B, "<=")],
    "softmax": [RULES["softmax"].node(A, k) for k in (0, 1)],
    "logsumexp": [RULES["logsumexp"].node(A, k) for k in (0, 1)],
    "max": [RULES["max"].node(A, k) for k in (0, 1)],
    "argmax_mask": [RULES["argmax_mask"].node(A, k) for k in (0, 1)],
}
NUMBERED = ("ids", "jds")
"""Operands that hold whole numbers: nothing is differentiated in them."""
CASES = [pytest.param(name, node, id=f"{name}-{k}") for name, nodes in EXAMPLES.items() for k, node in enumerate(nodes)]


def test_every_rule_has_an_example() -> None:
    assert set(EXAMPLES) == set(RULES)


def run(node: Node, values: dict[str, np.ndarray], extra: tuple[Ref, ...] = ()) -> np.ndarray:
    leaves = {r.name: r for r in (*node.atoms(Ref), *extra)}
    variables = {k: Var(k, r.rows, r.cols, kind="input") for k, r in leaves.items()}
    variables["out"] = out = Var("out", node.rows, node.cols)
    return evaluate(Program(variables, (Equation(out(), node),), ("out",)), values, SIZES)["out"]


def draw(refs: set[Ref], rng: np.random.Generator, prefix: str = "") -> dict[str, np.ndarray]:
    def number(x: sp.Expr) -> int:
        return int(x.subs({size(k): v for k, v in SIZES.items()}))

    found = {prefix + r.name: rng.standard_normal((number(r.rows), number(r.cols))) for r in sorted(refs, key=str)}
    numbered = {prefix + name for name in NUMBERED}
    return {k: (rng.integers(0, 2, a.shape).astype(float) if k in numbered else a) for k, a in found.items()}


@pytest.mark.parametrize(("name", "node"), CASES)
def test_differential_against_complex_step_and_pull_against_inner_product(name: str, node: Node) -> None:
    rng = np.random.default_rng(7)
    values = draw(node.atoms(Ref), rng)
    leaves = {r for r in node.atoms(Ref) if r.name not in NUMBERED}
    tangents = draw(leaves, rng)
    moved = {r: Ref(f"d_{r.name}", r.rows, r.cols) for r in leaves}
    stepped = run(node, {k: x + 1e-30j * tangents[k] if k in tangents else x for k, x in values.items()}).imag / 1e-30
    change = differential_of(node, node, moved.get)
    if change is None:
        assert rule(node).flat and np.all(stepped == 0)
        return
    along = {**values, **{f"d_{k}": x for k, x in tangents.items()}}
    seen = run(change, along)
    assert np.allclose(seen, stepped, rtol=1e-12, atol=1e-13)
    # <Ybar, dY> = sum of <message, dX>
    G = Ref("G", *node.shape)
    pulled = transpose(change, G, lambda r: r in moved.values())
    assert {x.tangent for x in pulled} == set(moved.values())
    along |= draw({G}, rng)
    left = np.sum(along["G"] * seen)
    right = sum(np.sum(run(x.message, along) * along[x.tangent.name]) for x in pulled)
    assert abs(left - right) < 1e-12 * max(1.0, abs(left))
    assert all(x.message.shape == x.tangent.shape for x in pulled)


@pytest.mark.parametrize(("name", "node"), CASES)
def test_the_transposed_node_is_the_transpose(name: str, node: Node) -> None:
    values = draw(node.atoms(Ref), np.random.default_rng(3))
    turned = rule(node).transposed(node)
    assert turned.shape == (node.cols, node.rows)
    assert np.array_equal(run(turned, values), run(node, values).T) or np.allclose(
        run(turned, values), run(node, values).T, rtol=1e-14
    )


@pytest.mark.parametrize("entry", ELEMENTWISE.values(), ids=list(ELEMENTWISE))
def test_slopes_agree_with_the_scalar_law(entry: object) -> None:
    assert isinstance(entry, type(ELEMENTWISE["exp"]))
    parameters = entry.defaults or ((sp.Rational(5, 2),) if entry.parameters else ())
    function = entry.function(*parameters)
    xs = [Ref(k, 1, 1) for k in ("a", "b")[: entry.arity]]
    symbols = sp.symbols("a b", positive=True)[: entry.arity]
    law = entry.law(*symbols, *parameters)
    for slot in range(entry.arity):
        for point in ((0.7, 1.3), (1.9, 0.4)):
            at = dict(zip(symbols, point, strict=False))
            expected = complex(sp.N(sp.diff(law, symbols[slot]).subs(at), 30)).real
            if entry.name in HELD:
                assert expected  # the law has a slope; what is held has none by definition
                expected = 0.0
            node = Map(*xs, function)
            Y = Ref("y", 1, 1)
            said = slope(node, Y, slot)
            values = {k: np.full((1, 1), x) for k, x in zip(("a", "b"), point, strict=True)}
            values["y"] = run(node, values)
            seen = 0.0 if said is None else float(run(said, values, (Y,))[0, 0])
            assert seen == pytest.approx(expected, rel=1e-13, abs=1e-14), (entry.name, slot)


def test_slopes_at_negative_arguments_and_kinks() -> None:
    x, Y = Ref("a", 1, 1), Ref("y", 1, 1)
    for name in ("relu", "leaky_relu", "elu", "abs", "softsign", "silu", "mish", "gelu", "softplus"):
        entry = ELEMENTWISE[name]
        node = Map(x, entry.function())
        said = slope(node, Y, 0)
        assert said is not None
        for point in (-1.7, -0.2):
            values = {"a": np.full((1, 1), point)}
            values["y"] = run(node, values)
            stepped = run(node, {"a": np.full((1, 1), point + 1e-30j)}).imag[0, 0] / 1e-30
            assert run(said, values, (Y,))[0, 0] == pytest.approx(stepped, rel=1e-12, abs=1e-15), name


@pytest.mark.parametrize("name", ["silu", "mish", "gelu", "softplus", "tanh", "sigmoid"])
def test_slopes_keep_their_digits_far_out(name: str) -> None:
    """A slope that subtracts two large numbers loses digits, as the book's ``y + sigmoid(x) (1 - y)`` of silu does."""
    x, Y = Ref("a", 1, 1), Ref("y", 1, 1)
    node = Map(x, ELEMENTWISE[name].function())
    said = slope(node, Y, 0)
    assert said is not None
    for point in (-60.3, -9.1, -0.3, 0.2, 4.7, 17.3, 60.7, 900.1):
        exact = run(Map(x, ELEMENTWISE[name].function().derivative()), {"a": np.full((1, 1), point)})[0, 0]
        values = {"a": np.full((1, 1), point)}
        values["y"] = run(node, values)
        assert abs(run(said, values, (Y,))[0, 0] - exact) < 4e-15, point


def test_a_wrong_pull_is_seen() -> None:
    """The inner-product test above is able to fail: a pull that forgets the transpose does."""
    wrong = linear("wrong", RULES["matmul"].node, "", "", pull=lambda G, node, k: G)
    node = Ref("L", m, m) @ Ref("R", m, m)
    rng = np.random.default_rng(0)
    values = draw(node.atoms(Ref), rng)
    G = draw({Ref("G", m, m)}, rng)["G"]
    change = rng.standard_normal((5, 5))
    assert wrong.pull is not None and wrong.pull(Ref("G", m, m), node, 0) is Ref("G", m, m)
    assert abs(np.sum(G * (change @ values["R"])) - np.sum(G * change)) > 1e-3
    right = rule(node).pull(Ref("G", m, m), node, 0)  # type: ignore[misc]
    assert abs(np.sum(G * (change @ values["R"])) - np.sum(run(right, {**values, "G": G}) * change)) < 1e-12


def test_an_unknown_operation_is_an_error_with_a_name() -> None:
    class Mystery(AxisNode):
        op = "mystery"
        keeps_shape = True

    with pytest.raises(NoRule, match="Mystery"):
        rule(Mystery(A, 0))
    with pytest.raises(NoRule, match="Mystery"):
        differential_of(total(Mystery(A, 0)), A, lambda r: r)


def test_entries_are_complete() -> None:
    for op in RULES.values():
        assert isinstance(op, Op) and op.reason and op.latex and "->" in op.signature
        assert (op.pull is not None) == (op.linear != ())
        assert op.flat or op.linear or op.differential
    assert Ones(1, 1).op == "ones"


@pytest.mark.parametrize(("name", "parameters", "said"), [
    ("tanh", (), "tanh"), ("power", (2,), "square"), ("power", (3,), "cube"), ("power", (5,), "power 5"),
    ("leaky_relu", (sp.Rational(1, 10),), "leaky_relu 1/10"),
])
def test_what_a_reader_calls_a_function(name: str, parameters: tuple[object, ...], said: str) -> None:
    assert called(Function(name, tuple(map(sp.sympify, parameters)))) == said
