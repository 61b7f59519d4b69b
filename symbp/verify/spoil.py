"""Witness 8: spoiled rules, steps and equations, every one of which must be caught.

A judge who never finds anything wrong has not been tested.  Each entry takes something that is right and makes it
wrong in one way (a sign, a transpose, a term, a factor, a range, a boundary); ``caught`` says how it was found, and
the suite goes red if one is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import sympy as sp

from symbp.derivation import Derivation, Step, Term
from symbp.expr import (
    Add, Embed, Hadamard, Map, Node, Ones, Ref, Reshape, Scale, ShapeError, Slice, Softmax, SumOver,
    Transpose, add, contract, had, matmul, scaled, sum_axis, transform,
)
from symbp.program import Equation, Loop, ProgramError, Statement
from symbp.verify.evaluate import EvaluationError
from symbp.verify.programs import gradient_check
from symbp.verify.rules import Case, check_case, elementwise_cases, primitive_cases
from symbp.verify.steps import check_steps

Change = Callable[[Node], Node | None]


# ---------------------------------------------------------------------------------------------------------
# Spoiled rules


@dataclass(frozen=True)
class SpoiledRule:
    """An entry of the rule book with one facet made wrong.

    name:  what is wrong, in words.
    entry: the name of the primitive or of the elementwise function.
    spoil: gives the wrong entry from the right one.
    """

    name: str
    entry: str
    spoil: Callable[[Any], Any]


def _pull(change: Callable[[Node, Node, int, Node], Node]) -> Callable[[Any], Any]:
    """Replace a pull: ``change(G, node, slot, right)`` gives the wrong cotangent."""

    def spoil(op: Any) -> Any:
        return replace(op, pull=lambda G, node, k: change(G, node, k, op.pull(G, node, k)))

    return spoil


def _differential(change: Callable[[Node, Any, Any, Node | None], Node | None]) -> Callable[[Any], Any]:
    """Replace a differential: ``change(node, Y, dA, right)`` gives the wrong one."""

    def spoil(op: Any) -> Any:
        return replace(op, differential=lambda node, Y, dA: change(node, Y, dA, op.differential(node, Y, dA)))

    return spoil


def _slope(wrong: Callable[..., Node]) -> Callable[[Any], Any]:
    """Replace the slope of an elementwise function."""
    return lambda entry: replace(entry, slopes=(wrong, *entry.slopes[1:]))


def _f(name: str, x: Any) -> Node:
    entry = import_module("symbp.ops").ELEMENTWISE[name]
    node: Node = entry(x)
    return node


SPOILED_RULES: tuple[SpoiledRule, ...] = (
    SpoiledRule("sum: factor 2", "add", _pull(lambda G, node, k, right: scaled(2, G))),
    SpoiledRule("sum: the second term is lost", "add", _pull(lambda G, node, k, right: scaled(0, G) if k else G)),
    SpoiledRule("coefficient lost", "scale", _pull(lambda G, node, k, right: G)),
    SpoiledRule("coefficient: sign flipped", "scale", _pull(lambda G, node, k, right: scaled(-1, right))),
    SpoiledRule(
        "scalar factor: half the sum",
        "smul",
        _pull(lambda G, node, k, right: scaled(sp.S.Half, right) if k == 0 else right),
    ),
    SpoiledRule("scalar factor lost", "smul", _pull(lambda G, node, k, right: G if k == 1 else right)),
    SpoiledRule(
        "product: sign of the right factor",
        "matmul",
        _pull(lambda G, node, k, right: scaled(-1, right) if k else right),
    ),
    SpoiledRule(
        "product: transpose lost",
        "matmul",
        _pull(lambda G, node, k, right: matmul(G, node.operands[1]) if k == 0 else matmul(node.operands[0], G)),
    ),
    SpoiledRule(
        "product: order swapped",
        "matmul",
        _pull(lambda G, node, k, right: matmul(node.operands[1].T, G) if k == 0 else matmul(G, node.operands[0].T)),
    ),
    SpoiledRule("Hadamard product: factor lost", "hadamard", _pull(lambda G, node, k, right: G if k == 0 else right)),
    SpoiledRule(
        "Hadamard product: factor twice", "hadamard", _pull(lambda G, node, k, right: had(right, node.operands[1 - k]))
    ),
    SpoiledRule("transpose lost", "transpose", _pull(lambda G, node, k, right: G)),
    SpoiledRule("diagonal matrix: row sums for the diagonal", "diag", _pull(lambda G, node, k, right: sum_axis(G, 1))),
    SpoiledRule(
        "diagonal: off-diagonal entries as well", "diagof", _pull(lambda G, node, k, right: matmul(G, Ones(1, G.rows)))
    ),
    SpoiledRule(
        "block: shifted by one row", "slice", _pull(lambda G, node, k, right: Embed(G, 0, 0, *node.operands[0].shape))
    ),
    SpoiledRule(
        "block in zeros: shifted by one column",
        "embed",
        _pull(lambda G, node, k, right: Slice(G, 1, 1 + node.operands[0].rows, 1, 1 + node.operands[0].cols)),
    ),
    SpoiledRule(
        "reshape: the other order",
        "reshape",
        _pull(lambda G, node, k, right: Reshape(G, *node.operands[0].shape, "F" if node.order == "C" else "C")),
    ),
    SpoiledRule(
        "Kronecker product: result by rows",
        "kron",
        _pull(lambda G, node, k, right: Reshape(right.args[0], right.rows, right.cols, "C")),
    ),
    SpoiledRule(
        "einsum: factor lost",
        "einsum",
        _pull(lambda G, node, k, right: right if k else contract(node.spec.adjoint(0), (G, node.operands[1] ** 2))),
    ),
    SpoiledRule(
        "einsum: sign of the second factor", "einsum", _pull(lambda G, node, k, right: scaled(1 - 2 * k, right))
    ),
    SpoiledRule("gather: factor 2", "gather", _pull(lambda G, node, k, right: scaled(2, right))),
    SpoiledRule("scatter: sign flipped", "scatter_add", _pull(lambda G, node, k, right: scaled(-1, right))),
    SpoiledRule("lookup: factor 2", "take", _pull(lambda G, node, k, right: scaled(2, right))),
    SpoiledRule(
        "lookup: every column moved",
        "take",
        _pull(lambda G, node, k, right: matmul(sum_axis(G, 1), Ones(1, right.cols)) if node.axis == 1 else right),
    ),
    SpoiledRule("sum by number: sign flipped", "add_at", _pull(lambda G, node, k, right: scaled(-1, right))),
    SpoiledRule(
        "selection: branches swapped",
        "where",
        _pull(lambda G, node, k, right: right.rebuild(right.operands[0], right.operands[2], right.operands[1])),
    ),
    SpoiledRule("selection lost", "where", _pull(lambda G, node, k, right: G)),
    SpoiledRule("softmax: second term lost", "softmax", _differential(lambda node, Y, dA, right: had(Y, dA[0]))),
    SpoiledRule(
        "softmax: sign of the second term",
        "softmax",
        _differential(
            lambda node, Y, dA, right: add(right.operands[0], scaled(-1, right.operands[1])) if right else None
        ),
    ),
    SpoiledRule(
        "softmax: sums over the other axis",
        "softmax",
        _differential(
            lambda node, Y, dA, right: add(had(Y, dA[0]), scaled(-1, had(Y, _other_sum(had(Y, dA[0]), node))))
        ),
    ),
    SpoiledRule(
        "log-sum-exp: weights lost", "logsumexp", _differential(lambda node, Y, dA, right: sum_axis(dA[0], node.axis))
    ),
    SpoiledRule(
        "log-sum-exp: weights of the other axis",
        "logsumexp",
        _differential(
            lambda node, Y, dA, right: sum_axis(had(Softmax(node.operands[0], 1 - node.axis), dA[0]), node.axis)
        ),
    ),
    SpoiledRule(
        "maximum: every entry moves it", "max", _differential(lambda node, Y, dA, right: sum_axis(dA[0], node.axis))
    ),
    SpoiledRule("elementwise: slope lost", "map", _differential(lambda node, Y, dA, right: dA[0])),
    SpoiledRule(
        "elementwise: sign flipped",
        "map",
        _differential(lambda node, Y, dA, right: scaled(-1, right) if right else None),
    ),
    SpoiledRule("tanh: 1 + y^2", "tanh", _slope(lambda x, y: 1 + y**2)),
    SpoiledRule("tanh: square lost", "tanh", _slope(lambda x, y: 1 - y)),
    SpoiledRule("sigmoid: through the argument", "sigmoid", _slope(lambda x, y: x * (1 - x))),
    SpoiledRule("exp: value lost", "exp", _slope(lambda x, y: x)),
    SpoiledRule("log: argument not inverted", "log", _slope(lambda x, y: x)),
    SpoiledRule("sqrt: factor 1/2 lost", "sqrt", _slope(lambda x, y: _f("recip", y))),
    SpoiledRule("power: exponent not lowered", "power", _slope(lambda x, y, p: scaled(p, y))),
    SpoiledRule("recip: sign flipped", "recip", _slope(lambda x, y: y**2)),
    SpoiledRule("sin: sign flipped", "sin", _slope(lambda x, y: scaled(-1, _f("cos", x)))),
    SpoiledRule("cos: sign lost", "cos", _slope(lambda x, y: _f("sin", x))),
    SpoiledRule("erf: constant lost", "erf", _slope(lambda x, y: _f("exp", -(x**2)))),
    SpoiledRule("abs: slope 1", "abs", _slope(lambda x, y: Ones(*x.shape))),
    SpoiledRule("relu: the other side", "relu", _slope(lambda x, y: _f("step", -x))),
    SpoiledRule("leaky relu: slope below lost", "leaky_relu", _slope(lambda x, y, p: _f("step", x))),
    SpoiledRule("silu: first term lost", "silu", _slope(lambda x, y: _f("sigmoid", x) * (1 - y))),
    SpoiledRule("mish: second term lost", "mish", _slope(lambda x, y: _f("tanh", _f("softplus", x)))),
    SpoiledRule("gelu: density lost", "gelu", _slope(lambda x, y: scaled(sp.S.Half, _f("erf", x / sp.sqrt(2)) + 1))),
    SpoiledRule("softplus: mirrored", "softplus", _slope(lambda x, y: _f("sigmoid", -x))),
    SpoiledRule("arctan: square lost", "arctan", _slope(lambda x, y: _f("recip", 2 + x))),
    SpoiledRule("softsign: square lost", "softsign", _slope(lambda x, y: scaled(-1, _f("abs", y)) + 1)),
)


def _other_sum(U: Node, node: Any) -> Node:
    if node.axis == 1:
        return matmul(Ones(U.rows, 1), Ones(1, U.rows), U)
    return matmul(U, Ones(U.cols, 1), Ones(1, U.cols))


@contextmanager
def installed(entry: str, wrong: Any) -> Iterator[None]:
    """Put a wrong entry into the rule book for a while."""
    ops = import_module("symbp.ops")
    table = ops.RULES if entry in ops.RULES else ops.ELEMENTWISE
    by_node = ops._BY_NODE if entry in ops.RULES else None
    right = table[entry]
    table[entry] = wrong
    if by_node is not None:
        by_node[right.node] = wrong
    try:
        yield
    finally:
        table[entry] = right
        if by_node is not None:
            by_node[right.node] = right


def caught_rule(spoiled: SpoiledRule) -> str:
    """Return how a spoiled rule was found out; empty if it was not."""
    ops = import_module("symbp.ops")
    primitive = spoiled.entry in ops.RULES
    right = (ops.RULES if primitive else ops.ELEMENTWISE)[spoiled.entry]
    cases = primitive_cases({spoiled.entry: right}) if primitive else elementwise_cases({spoiled.entry: right})
    with installed(spoiled.entry, spoiled.spoil(right)):
        for case in cases:
            reason = _reason(case)
            if reason:
                return reason
    return ""


def _reason(case: Case) -> str:
    try:
        verdict = check_case(case, second_order=False)
    except (ShapeError, ProgramError, EvaluationError) as error:
        return f"{type(error).__name__}: {error}".split("\n")[0]
    return verdict.detail if verdict.verdict == "fails" else ""


# ---------------------------------------------------------------------------------------------------------
# Spoiled steps

NETWORKS = {
    "mlp": """
        X: input[n0, m]
        Y: target[n2, m]
        W1: param[n1, n0]; b1: param[n1, 1]
        W2: param[n2, n1]; b2: param[n2, 1]
        Z1 = W1 @ X + b1
        A1 = tanh(Z1)
        Z2 = W2 @ A1 + b2
        loss = sum((Z2 - Y)**2) / (2*m)
        """,
    "classifier": """
        X: input[n0, m]
        Y: target[k, m] & one_hot_columns
        W: param[k, n0]; b: param[k, 1]
        Z = W @ X + b
        P = softmax(Z, axis=0)
        loss = -sum(Y * log(P)) / m
        """,
    "norm": """
        X: input[n, m]
        G: input[n, m]
        g: param[n, 1]; W: param[n, n]
        Z = W @ X
        M = Z - mean(Z, axis=1, keepdims=True)
        S = sqrt(mean(M**2, axis=1, keepdims=True) + 1)
        loss = sum(G * (g * (M / S)))
        """,
    "rnn": """
        H[0]: input[h, m]
        W: param[h, h]; U: param[h, n]; b: param[h, 1]; V: param[p, h]
        for t in range(1, T+1):
            X[t]: input[n, m]
            Y[t]: target[p, m]
            H[t] = tanh(W @ H[t-1] + U @ X[t] + b)
            O[t] = V @ H[t]
        loss = sum(sum((O[t] - Y[t])**2) for t in range(1, T+1)) / (2*m)
        """,
    "deep": """
        A[0]: input[n[0], m]
        Y: target[n[L], m]
        for l in range(1, L+1):
            W[l]: param[n[l], n[l-1]]
            b[l]: param[n[l], 1]
            A[l] = sigmoid(W[l] @ A[l-1] + b[l])
        loss = sum((A[L] - Y)**2) / 2
        """,
}
"""Declarations whose derivations are spoiled."""


@cache
def derivation_of(network: str) -> Derivation:
    """Return the derivation of one of ``NETWORKS``."""
    lines = NETWORKS[network].strip("\n").split("\n")
    indent = len(lines[0]) - len(lines[0].lstrip())
    text = "\n".join(line[indent:] for line in lines)
    program = import_module("symbp.language").read_text(text)
    derivation: Derivation = import_module("symbp.calculus").derive(program)
    return derivation


@dataclass(frozen=True)
class SpoiledStep:
    """A step of a derivation with one thing made wrong: the first step that ``spoil`` can change."""

    name: str
    network: str
    kind: str
    spoil: Callable[[Step], Step | None]


def _after(change: Change) -> Callable[[Step], Step | None]:
    def spoil(step: Step) -> Step | None:
        after = change(step.after)
        return None if after is None or after is step.after else replace(step, after=after)

    return spoil


def _terms(change: Callable[[tuple[Term, ...]], tuple[Term, ...] | None]) -> Callable[[Step], Step | None]:
    def spoil(step: Step) -> Step | None:
        terms = change(step.terms)
        return None if terms is None else replace(step, terms=terms)

    return spoil


def _message(change: Change) -> Callable[[Step], Step | None]:
    """Change the first message that can be changed."""

    def spoil(step: Step) -> Step | None:
        for k, term in enumerate(step.terms):
            message = change(term.message)
            if message is not None and message is not term.message:
                return replace(step, terms=(*step.terms[:k], Term(term.ref, message), *step.terms[k + 1 :]))
        return None

    return spoil


def _first(kind: type[Node], change: Change) -> Change:
    """Change the first node of a kind inside an expression."""

    def whole(node: Node) -> Node | None:
        done = False

        def visit(part: Node) -> Node:
            nonlocal done
            if not done and isinstance(part, kind):
                new = change(part)
                if new is not None and new is not part:
                    done = True
                    return new
            return part

        try:
            result = transform(node, visit)
        except ShapeError:
            return None
        return result if done else None

    return whole


def _drop_term(node: Node) -> Node | None:
    return add(*node.operands[:-1]) if isinstance(node, Add) else None


def _drop_factor(node: Node) -> Node | None:
    return had(*node.operands[:-1]) if isinstance(node, Hadamard) else None


def _double(node: Node) -> Node:
    return scaled(2, node)


def _negate(node: Node) -> Node:
    return scaled(-1, node)


def _unscale(node: Node) -> Node | None:
    return node.body if isinstance(node, Scale) else None


def _flip_inner_sign(node: Node) -> Node | None:
    return Scale(node.body, -node.coefficient) if isinstance(node, Scale) else None


def _lower(node: Node) -> Node | None:
    """Take the function instead of its derivative."""
    return Map(*node.operands, node.function.base) if isinstance(node, Map) and any(node.function.orders) else None


def _raise(node: Node) -> Node | None:
    return Map(*node.operands, node.function.derivative()) if isinstance(node, Map) else None


def _shift_sum(node: Node) -> Node | None:
    return SumOver(node.args[0], node.bound, node.ends[0] + 1, node.ends[1]) if isinstance(node, SumOver) else None


def _shift_read(by: int) -> Change:
    def change(node: Node) -> Node | None:
        if not isinstance(node, Ref) or not node.indices or not node.indices[0].free_symbols:
            return None
        return Ref(node.name, node.rows, node.cols, node.indices[0] + by, *node.indices[1:])

    return change


SPOILED_STEPS: tuple[SpoiledStep, ...] = (
    SpoiledStep("differential: sign flipped", "mlp", "differential", _after(_negate)),
    SpoiledStep("differential: factor 2", "rnn", "differential", _after(_double)),
    SpoiledStep("differential: term lost", "mlp", "differential", _after(_drop_term)),
    SpoiledStep("differential: slope lost", "mlp", "differential", _after(_first(Hadamard, _drop_factor))),
    SpoiledStep("differential: value for slope", "deep", "differential", _after(_first(Map, _lower))),
    SpoiledStep("differential: second derivative", "deep", "differential", _after(_first(Map, _raise))),
    SpoiledStep("differential: coefficient lost", "mlp", "differential", _after(_first(Scale, _unscale))),
    SpoiledStep("differential: range of a sum shifted", "rnn", "differential", _after(_first(SumOver, _shift_sum))),
    SpoiledStep(
        "transposition: a term lost", "mlp", "transpose", _terms(lambda terms: terms[:-1] if len(terms) > 1 else None)
    ),
    SpoiledStep("transposition: message transposed", "rnn", "transpose", _message(lambda n: n.T)),
    SpoiledStep("transposition: sign flipped", "rnn", "transpose", _message(_negate)),
    SpoiledStep("transposition: factor 2", "deep", "transpose", _message(_double)),
    SpoiledStep("transposition: factor lost", "mlp", "transpose", _message(_first(Hadamard, _drop_factor))),
    SpoiledStep("transposition: coefficient lost", "mlp", "transpose", _message(_first(Scale, _unscale))),
    SpoiledStep("transposition: earlier member", "rnn", "transpose", _message(_first(Ref, _shift_read(-1)))),
    SpoiledStep("rewriting: sign flipped", "mlp", "rewrite", _after(_negate)),
    SpoiledStep("rewriting: term lost", "mlp", "rewrite", _after(_first(Add, _drop_term))),
    SpoiledStep("rewriting: inner sign", "mlp", "rewrite", _after(_first(Scale, _flip_inner_sign))),
    SpoiledStep("rewriting: coefficient lost", "classifier", "rewrite", _after(_first(Scale, _unscale))),
    SpoiledStep("rewriting: factor lost", "norm", "rewrite", _after(_first(Hadamard, _drop_factor))),
    SpoiledStep("rewriting: square lost", "norm", "rewrite", _after(_first(Map, lambda n: n.operands[0]))),
    SpoiledStep(
        "recognition: sign of the second term", "classifier", "recognise", _after(_first(Scale, _flip_inner_sign))
    ),
    SpoiledStep("recognition: second term lost", "classifier", "recognise", _after(_first(Add, _drop_term))),
    SpoiledStep(
        "name for half of what it names", "mlp", "name", lambda s: replace(s, before=scaled(sp.S.Half, s.before))
    ),
)


def caught_step(spoiled: SpoiledStep) -> str:
    """Return how a spoiled step was found out; empty if it was not.

    Raises ``LookupError`` when the derivation has no step that could be spoiled in this way.
    """
    derivation = derivation_of(spoiled.network)
    for step in derivation.steps:
        if step.kind != spoiled.kind:
            continue
        wrong = spoiled.spoil(step)
        if wrong is not None:
            (finding,) = check_steps(derivation, np.random.default_rng(0), steps=[wrong])
            return finding.detail or finding.outcome if finding.outcome == "fails" else ""
    raise LookupError(f"no {spoiled.kind} step of {spoiled.network} can be spoiled: {spoiled.name}")


# ---------------------------------------------------------------------------------------------------------
# Spoiled equations of the backward pass


@dataclass(frozen=True)
class SpoiledEquation:
    """A backward pass in which the first equation of ``target`` that ``spoil`` can change is made wrong."""

    name: str
    network: str
    target: str
    spoil: Callable[[Statement], Statement | None]


def _value(change: Change) -> Callable[[Statement], Statement | None]:
    def spoil(statement: Statement) -> Statement | None:
        if not isinstance(statement, Equation):
            return None
        value = change(statement.value)
        return None if value is None or value is statement.value else replace(statement, value=value)

    return spoil


def _range(lo: int = 0, hi: int = 0) -> Callable[[Statement], Statement | None]:
    def spoil(statement: Statement) -> Statement | None:
        return replace(statement, lo=statement.lo + lo, hi=statement.hi + hi) if isinstance(statement, Loop) else None

    return spoil


def _untranspose(node: Node) -> Node | None:
    """Lose a transpose where the shape allows it: the transpose of a square matrix."""
    return node.operands[0] if isinstance(node, Transpose) and node.shape == node.operands[0].shape else None


SPOILED_EQUATIONS: tuple[SpoiledEquation, ...] = (
    SpoiledEquation("weight gradient: sign flipped", "mlp", "W1_bar", _value(_negate)),
    SpoiledEquation(
        "bias gradient: mean for sum",
        "mlp",
        "b1_bar",
        _value(lambda n: Scale(n, 1 / sp.Symbol("m", integer=True, positive=True))),
    ),
    SpoiledEquation("output error: 1/m lost", "mlp", "Z2_bar", _value(_first(Scale, _unscale))),
    SpoiledEquation("output error: target lost", "mlp", "Z2_bar", _value(_first(Add, _drop_term))),
    SpoiledEquation("hidden error: slope lost", "mlp", "Z1_bar", _value(_first(Hadamard, _drop_factor))),
    SpoiledEquation("hidden error: 1 - A1 for 1 - A1^2", "mlp", "Z1_bar", _value(_first(Map, lambda n: n.operands[0]))),
    SpoiledEquation(
        "P - Y: probabilities lost", "classifier", "Z_bar", _value(_first(Add, lambda n: add(*n.operands[1:])))
    ),
    SpoiledEquation(
        "P - Y: target twice", "classifier", "Z_bar", _value(_first(Add, lambda n: add(*n.operands, n.operands[-1])))
    ),
    SpoiledEquation("normalisation: a term lost", "norm", "W_bar", _value(_first(Add, _drop_term))),
    SpoiledEquation("recurrence: transpose lost", "rnn", "M_H", _value(_first(Transpose, _untranspose))),
    SpoiledEquation("recurrence: message lost", "rnn", "Z_H_bar", _value(_first(Add, _drop_term))),
    SpoiledEquation("recurrence: sum starts late", "rnn", "W_bar", _value(_first(SumOver, _shift_sum))),
    SpoiledEquation(
        "recurrence: state of the same step",
        "rnn",
        "W_bar",
        _value(_first(Ref, lambda n: _shift_read(1)(n) if isinstance(n, Ref) and n.name == "H" else None)),
    ),
    SpoiledEquation(
        "recurrence: input of the step before",
        "rnn",
        "U_bar",
        _value(_first(Ref, lambda n: _shift_read(-1)(n) if isinstance(n, Ref) and n.name == "X" else None)),
    ),
    SpoiledEquation("recurrence: first step missing", "rnn", "Z_H_bar", _range(lo=1)),
    SpoiledEquation("recurrence: last step missing", "rnn", "Z_H_bar", _range(hi=-1)),
    SpoiledEquation(
        "depth: layer of its own output",
        "deep",
        "W_bar",
        _value(_first(Ref, lambda n: _negate(n) if isinstance(n, Ref) and n.name == "A" else None)),
    ),
    SpoiledEquation("depth: last layer missing", "deep", "W_bar", _range(hi=-1)),
    SpoiledEquation(
        "depth: slope of tanh",
        "deep",
        "Z_A_bar",
        _value(_first(Add, lambda n: add(n.operands[0], *(_negate(o) for o in n.operands[1:])))),
    ),
)


def _spoil_body(
    body: tuple[Statement, ...], target: str, spoil: Callable[[Statement], Statement | None], done: list[bool]
) -> tuple[Statement, ...]:
    out: list[Statement] = []
    for statement in body:
        new: Statement | None = None
        if not done and _writes(statement, target):
            new = spoil(statement)
            if new is not None:
                done.append(True)
        if new is None and isinstance(statement, Loop):
            new = statement.with_body(_spoil_body(statement.body, target, spoil, done))
        out.append(statement if new is None else new)
    return tuple(out)


def _writes(statement: Statement, target: str) -> bool:
    if isinstance(statement, Loop):
        return any(_writes(s, target) for s in statement.body)
    return statement.target.name == target


def caught_equation(spoiled: SpoiledEquation) -> str:
    """Return how a spoiled backward pass was found out: by the premises or by the witnesses; empty if it was not.

    Raises ``LookupError`` when the backward pass has no equation that could be spoiled in this way.
    """
    derivation, done = derivation_of(spoiled.network), list[bool]()
    body = _spoil_body(derivation.program.body, spoiled.target, spoiled.spoil, done)
    if not done:
        raise LookupError(f"no equation of {spoiled.target} can be spoiled: {spoiled.name}")
    wrong = replace(derivation, program=derivation.program.replace(body=body))
    try:
        found = gradient_check(wrong, draws=1)
    except EvaluationError as error:
        return f"{type(error).__name__}: {error}"
    failed = [f for fs in found.values() for f in fs if f.outcome == "fails"]
    return f"{failed[0].witness}: {failed[0].detail}" if failed else ""
