"""Identities: one line each, before -> after; every use is numerically true; every phase ends."""

import numpy as np
import pytest
import sympy as sp

from symbp.calculus import IDENTITIES, Context, derive, rewrite
from symbp.calculus.naming import definitions
from symbp.calculus.identities import Identity, identities
from symbp.calculus.rewriting import DoesNotEnd, _by_node
from symbp.expr import (
    Add,
    Contraction,
    Diag,
    DiagOf,
    Einsum,
    Embed,
    Eye,
    Function,
    Hadamard,
    LogSumExp,
    Map,
    Mask,
    MatMul,
    Node,
    Ones,
    Ref,
    Reshape,
    Scale,
    Slice,
    SMul,
    Softmax,
    SumOver,
    T,
    Transpose,
    Where,
    Zero,
    apply,
    compare,
    had,
    index,
    size,
    total,
)
from symbp.language import read_text
from symbp.networks import names, network
from symbp.program import Equation, Program, Var
from symbp.verify.draws import draw
from symbp.verify.evaluate import evaluate

m, n, k = (size(s) for s in "mnk")
A, B, C, Y, W = Ref("A", n, m), Ref("B", n, m), Ref("C", n, m), Ref("Y", n, m), Ref("W", k, n)
P, Q, v, w, s = Ref("P", n, n), Ref("Q", n, n), Ref("v", n, 1), Ref("w", n, 1), Ref("s", 1, 1)
S = Ref("S", n, n)
M, G = Ref("M", n, m), Ref("G", n, m)
FACTS = {
    "Y": frozenset({"columns_sum_to_one"}),
    "S": frozenset({"symmetric"}),
    "M": frozenset({"mask"}),
    "G": frozenset({"signs"}),
}
H = Map(A, Function("tanh"))
NAMES = {H: Ref("H", n, m), Softmax(A, 0): Ref("U", n, m)}
one = lambda r, c: Ones(r, c)  # noqa: E731
half = sp.Rational(1, 2)

CASES: list[tuple[str, str, Node, Node]] = [
    # name of the identity, phase, before, after
    (
        "log of softmax",
        "forward",
        apply(Function("log"), Softmax(A, 0)),
        Add(A, Scale(one(n, 1) @ LogSumExp(A, 0), -1)),
    ),
    (
        "log of softmax",
        "forward",
        apply(Function("log"), Softmax(A, 1)),
        Add(A, Scale(LogSumExp(A, 1) @ one(1, m), -1)),
    ),
    (
        "log of sigmoid",
        "forward",
        apply(Function("log"), Map(A, Function("sigmoid"))),
        Add(A, Scale(Map(A, Function("softplus")), -1)),
    ),
    (
        "log of sigmoid",
        "forward",
        apply(Function("log"), 1 - Map(A, Function("sigmoid"))),
        Scale(Map(A, Function("softplus")), -1),
    ),
    ("coefficient", "contract", Scale(Scale(A, 2), half), A),
    ("coefficient in front", "contract", MatMul(Scale(W, 2), Scale(A, 1 / m)), Scale(W @ A, 2 / m)),
    ("scalar in front", "contract", MatMul(SMul(s, W), A), SMul(s, W @ A)),
    ("scalar in front", "contract", MatMul(v, s, T(w)), SMul(s, v @ T(w))),
    ("zero", "contract", Add(A, Zero(n, m)), A),
    ("zero", "contract", MatMul(W, Zero(n, m)), Zero(k, m)),
    ("one factor", "contract", Hadamard(A), A),
    ("transpose of a product", "contract", Transpose(W @ A), T(A) @ T(W)),
    ("transpose of a product", "contract", Transpose(A + B * C), Add(T(A), had(T(B), T(C)))),
    ("transpose of a product", "contract", Transpose(S), S),
    ("identity matrix", "contract", MatMul(Eye(n), A), A),
    ("ones", "contract", one(1, n) @ one(n, 1), Scale(one(1, 1), n)),
    ("ones", "contract", one(n, 1) @ one(1, m), one(n, m)),
    ("ones", "contract", MatMul(one(n, 1), one(1, n), A), MatMul(one(n, 1), one(1, n), A)),
    ("unit factor", "contract", Hadamard(A, one(n, m), B), A * B),
    (
        "guard",
        "contract",
        Hadamard(Where(compare(">", A, 0), B, Zero(n, m)), C),
        Where(compare(">", A, 0), B * C, Zero(n, m)),
    ),
    (
        "one selection",
        "contract",
        Add(Where(compare(">", A, 0), B, Zero(n, m)), C, Where(compare(">", A, 0), Zero(n, m), A)),
        Add(Where(compare(">", A, 0), B, A), C),
    ),
    ("powers", "contract", Hadamard(A, B, 1 / A), B),
    ("powers", "contract", Hadamard(1 / A, 1 / A), A**-2),
    ("cancel under a sum", "contract", Hadamard(A, Add(B, C * (1 / A))), Add(A * B, C)),
    ("diagonal matrix", "contract", MatMul(Diag(v), A), had(v @ one(1, m), A)),
    ("diagonal matrix", "contract", MatMul(T(A), Diag(v)), had(T(A), one(m, 1) @ T(v))),
    ("diagonal matrix", "contract", DiagOf(Diag(v)), v),
    ("block of a block", "contract", Slice(Embed(A, k, 0, n + k, m), k, k + n, 0, m), A),
    ("block of a block", "contract", Slice(Embed(A, k, 0, n + k, m), 0, k, 0, m), Zero(k, m)),
    ("block of a block", "contract", Reshape(A, n, m), A),
    (
        "einsum in matrix form", "contract", Einsum(W, A, Contraction("a|b,b|c->a|c", k, n, m)), MatMul(W, A),
    ),
    (
        "einsum in matrix form", "contract",
        Einsum(Scale(T(W), 2), A, Contraction("b|a,b|c->ab|c", n, k, m)),
        Scale(Einsum(W, A, Contraction("a|b,b|c->ab|c", k, n, m)), 2),
    ),
    ("like terms", "contract", Add(A, Scale(A, 2)), Scale(A, 3)),
    ("like terms", "contract", Add(A * B, Scale(B * A, -1)), Zero(n, m)),
    ("like terms", "contract", Add(A, Scale(Add(A, B), half)), Add(Scale(A, 3 * half), Scale(B, half))),
    ("like terms", "contract", Add(C, Scale(Add(A, B), half)), Add(C, Scale(Add(A, B), half))),
    ("column sums", "facts", one(1, n) @ Y, one(1, m)),
    ("column sums", "facts", MatMul(one(n, 1), one(1, n), Y), one(n, 1) @ one(1, m)),
    ("column sums", "facts", T(Y) @ one(n, 1), one(m, 1)),
    (
        "column sums", "facts", one(1, n) @ Add(Scale(Y, sp.Rational(3, 4)), Scale(one(n, m), 1 / (4 * n))), one(1, m),
    ),
    ("transpose of a product", "contract", T(Mask("strict_tril", n, m)), Mask("strict_triu", m, n)),
    ("entries 1 or -1", "facts", Hadamard(A, G, B, G), A * B),
    ("entries 0 or 1", "facts", Hadamard(A, M, M), A * M),
    ("named value", "fold", W @ H, W @ Ref("H", n, m)),
    ("slope through the value", "fold", Map(A, Function("tanh").derivative()), 1 - Ref("H", n, m) ** 2),
    ("slope through the value", "fold", Map(A, Function("step").derivative()), Zero(n, m)),
    ("broadcast through a sum", "collect", one(1, n) @ (A * (one(n, 1) @ (T(w) @ B))), had(one(1, n) @ A, T(w) @ B)),
    ("common coefficient", "collect", Add(Scale(A, -1 / m), Scale(B, 1 / m)), Scale(Add(B, Scale(A, -1)), 1 / m)),
    ("common coefficient", "collect", Add(Scale(A, -1), Scale(B, -1)), Scale(Add(A, B), -1)),
    ("common coefficient", "collect", Add(Scale(A, 2 / m), Scale(B, -4 / m)), Scale(Add(A, Scale(B, -2)), 2 / m)),
    ("common factor", "collect", Add(A * B, Scale(C * A, -1)), A * (B - C)),
    ("common factor", "collect", Add(W @ A, W @ B), W @ (A + B)),
    ("common factor", "collect", Add(P @ v, T(P) @ v, P @ v), Add(Scale(P, 2), T(P)) @ v),
    ("transpose of a sum", "collect", Add(T(A), Scale(T(B), -1)), T(A - B)),
    ("powers", "contract", Hadamard(A, A**2), A**3),
]


@pytest.mark.parametrize(("name", "phase", "before", "after"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_identity(name: str, phase: str, before: Node, after: Node) -> None:
    used: list[str] = []
    context = Context(FACTS, NAMES)
    result = rewrite(before, phase, context, lambda entry, b, a: used.append(entry.name))  # type: ignore[arg-type]
    assert result is after, (result, after)
    assert name in used or before is after
    assert rewrite(result, phase, context) is result  # type: ignore[arg-type]
    assert result.shape == before.shape


def test_every_identity_has_a_line() -> None:
    assert {c[0] for c in CASES} == {i.name for i in IDENTITIES}


@pytest.mark.parametrize(("name", "phase", "before", "after"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_identity_is_true(name: str, phase: str, before: Node, after: Node) -> None:
    """Both sides, by number, at distinct prime sizes, under the declared facts."""
    known = {
        r.name: Var(
            r.name,
            r.rows,
            r.cols,
            kind="input",
            facts=FACTS.get(r.name, frozenset()) | ({"positive"} if r is A else set()),
        )
        for e in (before, after, H)
        for r in e.atoms(Ref)
        if r.name not in ("H", "U")
    }
    known["H"] = Var("H", n, m)
    variables = {**known, "x": Var("x", *before.shape), "y": Var("y", *after.shape)}
    body = (Equation(known["H"](), H), Equation(variables["x"](), before), Equation(variables["y"](), after))
    program = Program(variables, body, ("y",))
    sizes = {"m": 5, "n": 7, "k": 3}
    values = draw(program, sizes, np.random.default_rng(1))
    seen = evaluate(program, values, sizes)
    assert np.allclose(seen["x"], seen["y"], rtol=1e-13, atol=1e-13)


def test_facts_are_needed() -> None:
    before = one(1, n) @ Y
    assert rewrite(before, "facts", Context()) is before
    assert rewrite(one(1, m) @ T(Y), "facts", Context(FACTS)) is one(1, m) @ T(Y)
    assert rewrite(Y @ one(m, 1), "facts", Context(FACTS)) is Y @ one(m, 1)


def test_a_greedy_identity_is_caught() -> None:
    swap = Identity("swap", "collect", (Add,), lambda node, c: Add(*reversed(node.operands)), "A + B -> B + A")
    IDENTITIES.append(swap)
    _by_node.cache_clear()
    try:
        with pytest.raises((DoesNotEnd, RecursionError)):
            rewrite(A + B, "collect", Context())
    finally:
        IDENTITIES.remove(swap)
        _by_node.cache_clear()
    assert rewrite(A + B, "collect", Context()) is A + B


def test_entries_say_what_they_do() -> None:
    for entry in IDENTITIES:
        assert entry.name and entry.says and entry.nodes and entry in identities(entry.phase)


@pytest.mark.parametrize("name", names())
def test_derived_equations_are_in_normal_form(name: str) -> None:
    """What is printed holds nothing that the facts or the names would still change."""
    program = read_text(network(name).text)
    derivation = derive(program)
    context = Context({n: v.facts for n, v in program.variables.items()}, definitions(derivation.forward))
    for result in derivation.results:
        for phase in ("facts", "fold", "collect"):
            assert rewrite(result.value, phase, context) is result.value, (result.target, phase)


PY = """
X: input[n0, m]
Y: target[n2, m]{fact}
W: param[n2, n0]
Z = W @ X
loss = softmax_cross_entropy(Z, Y)
"""


def test_p_minus_y_only_with_the_fact() -> None:
    with_fact = derive(read_text(PY.format(fact=" & columns_sum_to_one") + "samples: m\n")).results[0]
    one_hot = derive(read_text(PY.format(fact=" & one_hot_columns") + "samples: m\n")).results[0]
    without = derive(read_text(PY.format(fact="") + "samples: m\n")).results[0]
    wrong = derive(read_text(PY.format(fact=" & rows_sum_to_one") + "samples: m\n")).results[0]
    Z, target = Ref("Z", size("n2"), m), Ref("Y", size("n2"), m)
    short = Scale(Add(Softmax(Z, 0), Scale(target, -1)), 1 / m)
    assert with_fact.value is short and one_hot.value is short
    long = MatMul(Ones(size("n2"), 1), Ones(1, size("n2")), target)
    assert long in without.value.atoms(MatMul) and long in wrong.value.atoms(MatMul)


def test_sums_over_an_index_move_coefficients_only_when_free_of_it() -> None:
    t = index("t")
    term = Ref("X", n, m, t)
    assert rewrite(SumOver(Scale(term, 1 / m), t, 1, k), "contract", Context()) is Scale(SumOver(term, t, 1, k), 1 / m)
    assert total(SumOver(term, t, 1, k)).shape == (1, 1)
