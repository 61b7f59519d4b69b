"""Random programs, valid by construction: operations side by side and nested, forks, joins, shared parameters, loops
with delays in both directions, feed-forward networks as text; as strategies of Hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp
from hypothesis import strategies as st

from symbp.expr import (
    ArgmaxMask,
    Compare,
    Contraction,
    Diag,
    DiagOf,
    Einsum,
    Embed,
    Function,
    Gather,
    Kron,
    LogSumExp,
    Map,
    Mask,
    MatMul,
    MaxAxis,
    Node,
    Ones,
    Reshape,
    Scatter,
    Slice,
    SMul,
    Softmax,
    SumOver,
    T,
    Where,
    had,
    index,
    kron_blocks,
    plus,
    scaled,
    size,
    sum_axis,
    total,
)
from symbp.program import Equation, Loop, Program, Var, check

r, c = size("r"), size("c")
ONE = sp.S.One
PARAMETERS = {
    "B": Var("B", r, c, kind="param"), "W": Var("W", r, r, kind="param"), "V": Var("V", c, c, kind="param"),
    "v": Var("v", c, ONE, kind="param"), "K": Var("K", c, r, kind="param"), "s": Var("s", ONE, ONE, kind="param"),
    "k": Var("k", ONE, sp.Integer(2), kind="param"), "Q": Var("Q", 2 * c, c, kind="param"),
}
B, W, V, v, K, s, k, Q = (PARAMETERS[n]() for n in ("B", "W", "V", "v", "K", "s", "k", "Q"))
BLOCKS = kron_blocks(r, c, 1, 1)


def f(name: str, *parameters: sp.Expr) -> Callable[[Node], Node]:
    return lambda A: Map(A, Function(name, parameters))


OPERATIONS: dict[str, Callable[[Node], Node]] = {
    "add": lambda A: A + B + A,
    "scale": lambda A: scaled(sp.Rational(-2, 3) / c, A),
    "smul": lambda A: SMul(s, A),
    "smul by mean": lambda A: SMul(scaled(1 / (r * c), total(A)), A),
    "left product": lambda A: W @ A,
    "right product": lambda A: MatMul(A, V, V),
    "product with its transpose": lambda A: scaled(sp.Rational(1, 4), MatMul(A, T(A), A)),
    "hadamard": lambda A: had(A, B, A),
    "transpose": lambda A: T(T(A) @ W),
    "diag": lambda A: Diag(A @ v) @ B,
    "diagof": lambda A: had(DiagOf(A @ K) @ Ones(1, c), B),
    "slice and embed": lambda A: Embed(Slice(A, 1, r, 0, c - 1), 0, 1, r, c) + A,
    "concatenate": lambda A: Embed(Slice(A, 0, 1, 0, c), 0, 0, r, c) + Embed(Slice(B, 1, r, 0, c), 1, 0, r, c),
    "reshape": lambda A: Reshape(Reshape(A, c, r, "C"), r, c, "F"),
    "kron": lambda A: Kron(A, k) @ Q,
    "einsum": lambda A: scaled(1 / c, Einsum(A, B, A, Contraction("a|b,a|c,a|c->a|b", r, c, c))),
    "products by letters": lambda A: scaled(
        1 / (r * c), Einsum(Einsum(A, B, Contraction("a|b,c|b->ca|", r, c, r)), A, Contraction("ca|,c|d->a|d", r, r, c))
    ),
    "gather": lambda A: Reshape(Gather(A, BLOCKS), r, c, "C"),
    "scatter": lambda A: Scatter(Reshape(A, r * c, 1, "C"), BLOCKS),
    "masked": lambda A: had(Mask("tril", r, c), A) + B,
    "where": lambda A: Where(Compare(A, B, ">"), A, scaled(sp.S.Half, B)),
    "comparison": lambda A: had(Compare(A, scaled(sp.Rational(1, 10), Ones(r, c)), ">="), A + B),
    "softmax 0": lambda A: Softmax(A, 0),
    "softmax 1": lambda A: Softmax(A, 1),
    "logsumexp": lambda A: had(Ones(r, 1) @ LogSumExp(A, 0), B),
    "max": lambda A: had(MaxAxis(A, 1) @ Ones(1, c), B),
    "argmax": lambda A: had(ArgmaxMask(A, 0), A) + B,
    "centred": lambda A: A - scaled(1 / c, sum_axis(A, 1)) + B,
    "normalised": lambda A: had(
        A, Map(scaled(1 / c, MatMul(A * A, Ones(c, 1), Ones(1, c))) + 1, Function("power", (sp.Rational(-1, 2),)))
    ),
    "square": f("power", sp.Integer(2)),
    "reciprocal": lambda A: B / (A**2 + 1),
    "square root": lambda A: f("sqrt")(A**2 + 1),
    "logarithm": lambda A: f("log")(A**2 + 1),
    "exponential": lambda A: f("exp")(scaled(sp.Rational(1, 3), A)),
    "power": lambda A: Map(A**2 + 1, B, Function("pow", (), (0, 0))),
    **{
        name: f(name)
        for name in (
            "tanh",
            "sigmoid",
            "softplus",
            "sin",
            "cos",
            "erf",
            "abs",
            "relu",
            "silu",
            "gelu",
            "arctan",
            "softsign",
        )
    },
    "leaky relu": f("leaky_relu", sp.Rational(1, 10)),
    "elu": f("elu", sp.S.One),
    "free": lambda A: Map(A, Function("phi", (), (0,), sp.core.symbol.Str("free"))),
    "user": lambda A: Map(
        A, Function("mine", (), (0,), sp.Lambda(sp.Symbol("x"), sp.Symbol("x") / (1 + sp.exp(-sp.Symbol("x")))))
    ),
}


def program_of_terms(terms: list[Node], first: list[Equation], outputs: list[Var]) -> Program:
    """Return the program whose loss adds up the entries of the terms with generic weights."""
    weights = Var("C", r, c, kind="input")
    loss = Var("loss", sp.S.One, sp.S.One)
    body = (*first, Equation(loss(), plus(*(total(had(weights(), t)) for t in terms))))
    used = {**PARAMETERS, "X": Var("X", r, c, kind="param"), "C": weights, **{o.name: o for o in outputs}, "loss": loss}
    return check(Program(used, body))


def fan(first: str, seconds: list[str]) -> Program:
    """Return the program in which the result of one operation forks into many others."""
    X = Var("X", r, c, kind="param")
    Y = Var("Y", r, c)
    return program_of_terms([OPERATIONS[o](Y()) for o in seconds], [Equation(Y(), OPERATIONS[first](X()))], [Y])


# ---------------------------------------------------------------------------------------------------------
# Random graphs of operations: forks, joins, shared parameters


@st.composite
def graphs(draw: st.DrawFn) -> Program:
    X = Var("X", r, c, kind="param")
    values: list[Node] = [X()]
    equations, names = [], []
    for step in range(draw(st.integers(1, 6))):
        operation = OPERATIONS[draw(st.sampled_from(sorted(OPERATIONS)))]
        operand = values[draw(st.integers(0, len(values) - 1))]
        value = operation(operand)
        if draw(st.booleans()):
            # Joined with something that came before, and kept small.
            value = Map(value + values[draw(st.integers(0, len(values) - 1))], Function("tanh"))
        if draw(st.booleans()):
            name = Var(f"Y{step}", r, c)
            equations.append(Equation(name(), value))
            names.append(name)
            value = name()
        values.append(value)
    return program_of_terms([values[-1], values[draw(st.integers(0, len(values) - 1))]], equations, names)


# ---------------------------------------------------------------------------------------------------------
# Random loops: delays, both directions, several families, one member, sums, shared parameters

h, m, steps = size("h"), size("m"), size("T")
t = index("t")


@dataclass
class Family:
    """A family under construction: where it starts and in which direction its loop runs."""

    var: Var
    delays: tuple[int, ...]
    down: bool


@st.composite
def loop_programs(draw: st.DrawFn) -> Program:
    """Return a program with one or two recurrences over one index name, up or down, with delays and forks."""
    variables = {
        "W": Var("W", h, h, kind="param"), "U": Var("U", h, h, kind="param"), "b": Var("b", h, ONE, kind="param"),
        "X": Var("X", h, m, (t,), "input", boxes=(_box(1, steps),)), "C": Var("C", h, m, kind="input"),
    }
    body: list[Equation | Loop] = []
    terms: list[Node] = []
    W_, U_, b_, C_ = (variables[n]() for n in ("W", "U", "b", "C"))
    earlier: list[Family] = []
    for name in ("H", "G")[: draw(st.integers(1, 2))]:
        delays = draw(st.sampled_from([(1,), (1, 2), (1, 3), (2,)]))
        down, deepest = draw(st.booleans()), max(delays)
        box = _box(steps + 1, steps + deepest) if down else _box(1 - deepest, 0)
        family = Var(name, h, m, (t,), draw(st.sampled_from(["input", "param"])), boxes=(box,))
        variables[name] = family
        inside: list[Node] = [MatMul(W_, family(t + delays[0] if down else t - delays[0]))]
        for delay in delays[1:]:
            inside.append(U_ @ family(t + delay if down else t - delay))
        inside.append(variables["X"](draw(st.sampled_from([t, steps + 1 - t]))))
        if earlier:
            inside.append(had(earlier[0].var(draw(st.sampled_from([t, steps + 1 - t]))), C_))
        inside.append(b_ @ Ones(1, m))
        operation = OPERATIONS_IN_LOOPS[draw(st.sampled_from(sorted(OPERATIONS_IN_LOOPS)))]
        value = Map(plus(*inside), Function(draw(st.sampled_from(["tanh", "sigmoid", "softplus", "sin"]))))
        equations = [Equation(family(t), value)]
        if draw(st.booleans()):
            out = Var(f"{name}_out", h, m, (t,))
            variables[out.name] = out
            equations.append(Equation(out(t), operation(family(t))))
            terms.append(SumOver(total(had(C_, out(t))), t, sp.S.One, steps))
        body.append(Loop(t, sp.S.One, steps, tuple(equations), down))
        choice = draw(st.sampled_from(["last", "first", "sum", "shifted sum"]))
        if choice == "last":
            terms.append(total(had(C_, family(steps))))
        elif choice == "first":
            terms.append(total(had(C_, family(sp.S.One))))
        elif choice == "sum":
            terms.append(SumOver(total(had(C_, family(t) ** 2)), t, sp.S.One, steps))
        else:
            at = t + 1 if down else t - 1
            terms.append(SumOver(total(had(C_, MatMul(W_, family(at)))), t, sp.S.One, steps))
        earlier.append(Family(family, delays, down))
    loss = Var("loss", sp.S.One, sp.S.One)
    variables["loss"] = loss
    body.append(Equation(loss(), plus(*terms)))
    return check(Program(variables, tuple(body)))


OPERATIONS_IN_LOOPS: dict[str, Callable[[Node], Node]] = {
    "square": lambda A: A**2, "softmax": lambda A: Softmax(A, 0), "scaled": lambda A: scaled(1 / m, A),
    "gelu": lambda A: Map(A, Function("gelu")), "max": lambda A: Ones(h, 1) @ MaxAxis(A, 0),
    "centred": lambda A: A - scaled(1 / m, sum_axis(A, 1)),
}


def _box(lo: object, hi: object) -> object:
    from symbp.expr import Box

    return Box.of((sp.sympify(lo), sp.sympify(hi)))


# ---------------------------------------------------------------------------------------------------------
# Random networks, as text

ACTIVATIONS = ("tanh", "sigmoid", "relu", "softplus", "gelu", "silu", "sin")


@st.composite
def declarations(draw: st.DrawFn) -> str:
    """Return the text of a feed-forward network: layers, residuals, shared weights, a loss."""
    lines = ["X: input[n0, m]"]
    kind, output = draw(st.sampled_from(["squares", "softmax", "sigmoid"])), "k"
    facts = {"squares": "", "softmax": " & one_hot_columns", "sigmoid": " & binary"}[kind]
    lines.append(f"Y: target[{output}, m]{facts}")
    lines += ["W1: param[h, n0]", "b1: param[h, 1]", "V: param[h, h]", "W2: param[k, h]", "b2: param[k, 1]"]
    lines.append(f"A0 = {draw(st.sampled_from(ACTIVATIONS))}(W1 @ X + b1)")
    depth = draw(st.integers(0, 3))
    for layer in range(depth):
        before = f"A{layer}"
        inside = draw(
            st.sampled_from(
                [
                    f"V @ {before}",
                    f"V.T @ {before} + b1",
                    f"{before} * (V @ {before})",
                    f"{before} - mean({before}, axis=1, keepdims=True)",
                ]
            )
        )
        new = f"{draw(st.sampled_from(ACTIVATIONS))}({inside})"
        other = f"A{draw(st.integers(0, layer))}"
        lines.append(f"A{layer + 1} = {draw(st.sampled_from([new, f'{new} + {other}', f'{new} * {other}']))}")
    lines.append(f"Z = W2 @ A{depth} + b2")
    lines.append({
        "squares": "loss = sum((Z - Y)**2) / (2*m)", "softmax": "loss = softmax_cross_entropy(Z, Y)",
        "sigmoid": "loss = sigmoid_cross_entropy(Z, Y)",
    }[kind])
    if draw(st.booleans()):
        lines[-1] += " + 0.1 * sum(V**2)"
    return "\n".join(lines) + "\n"
