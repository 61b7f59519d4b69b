"""Equations in components are the matrix equations: their data, evaluated by plain loops, has the same entries."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import sympy as sp

from symbp.calculus import derive
from symbp.calculus.passes import with_functions
from symbp.derivation import Derivation, Result
from symbp.expr import (
    Add, AddAt, Compare, Contraction, Diag, DiagOf, Einsum, Embed, Eye, Function, Hadamard, LogSumExp, Map, Mask,
    MatMul, MaxAxis, Node, Ones, Ref, Scale, Slice, Softmax, SumOver, T, Take, Where, Zero, apply, evaluate_size,
    scaled, size, walk,
)
from symbp.language import read_text
from symbp.networks import names, network
from symbp.ops import RULES
from symbp.program import Program, loops
from symbp.render.components import FORMS, Components, in_components
from symbp.render.markdown import markdown
from symbp.render.terminal import derive_summary
from symbp.verify.draws import choose_sizes, draw
from symbp.verify.evaluate import Evaluator, evaluate
from symbp.verify.scalars import arguments, scalar_law

RELATIONS = {
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
}


@dataclass
class PlainLoops:
    """Evaluates numbers by plain loops over entries that are known."""

    values: Mapping[str, Any]
    sizes: Mapping[str, Any]

    def of(self, node: Node, at: Mapping[str, int]) -> float:
        assert node.shape == (1, 1), f"{node} is no number"
        if isinstance(node, Ref):
            return self.entry(node, at)
        if isinstance(node, Ones):
            return 1.0
        if isinstance(node, Zero):
            return 0.0
        if isinstance(node, SumOver):
            first, last = (evaluate_size(end, self.sizes, at) for end in node.ends)
            return math.fsum(self.of(node.operands[0], {**at, node.bound.name: k}) for k in range(first, last + 1))
        if isinstance(node, Scale):
            plain = node.coefficient.xreplace(
                {s: evaluate_size(s, self.sizes, at) for s in node.coefficient.free_symbols}
            )
            return float(plain) * self.of(node.body, at)
        if isinstance(node, Where):
            mask, a, b = node.operands
            return self.of(a if self.of(mask, at) else b, at)
        parts = [self.of(a, at) for a in node.operands]
        if isinstance(node, Add):
            return math.fsum(parts)
        if isinstance(node, Hadamard):
            return math.prod(parts)
        if isinstance(node, Compare):
            return float(RELATIONS[node.relation](*parts))
        assert isinstance(node, Map), f"{type(node).__name__} is left in components"
        return self.function(node.function, parts)

    def function(self, function: Function, parts: list[float]) -> float:
        plain = {"exp": math.exp, "log": math.log, "tanh": math.tanh, "sqrt": math.sqrt, "recip": lambda x: 1 / x}
        if function.name in plain and not any(function.orders):
            return float(plain[function.name](*parts))
        if function.is_free:
            function = Function("sin", (), function.orders)
        law = scalar_law(function)
        return float(law.subs(dict(zip(arguments(len(parts)), parts, strict=True))).evalf(17))

    def entry(self, ref: Ref, at: Mapping[str, int]) -> float:
        array = self.values[ref.name]
        where = [evaluate_size(i, self.sizes, at) for i in ref.indices]
        if isinstance(array, Mapping):
            count = len(next(iter(array))) if array else 0
            member, where = tuple(where[:count]), where[count:]
            if member not in array:
                return 0.0  # outside of its range a message is zero
            array = array[member]
        rest = iter(where)
        place = tuple(0 if n == 1 and len(where) < 2 else next(rest) - 1 for n in array.shape)
        assert next(rest, None) is None and all(0 <= k < n for k, n in zip(place, array.shape, strict=True))
        return float(array[place])


def of_sines(program: Program) -> Program:
    """Return the program with sines for functions that are left open."""
    return with_functions(program, {n: "sin" for n, f in program.functions.items() if f.is_free})


def drawn(name: str) -> tuple[Derivation, dict[str, Any], dict[str, Any]]:
    derivation = derive(of_sines(read_text(network(name).text)))
    sizes = choose_sizes(derivation.source, steps=(3,), layers=(3,), limit=1)[0]
    values = draw(derivation.source, sizes, np.random.default_rng(5))
    for var in derivation.source.parameters:
        # Small weights: exponentials are written as they are, and must not overflow.
        array = values[var.name]
        values[var.name] = {k: a / 9 for k, a in array.items()} if isinstance(array, Mapping) else array / 9
    return derivation, evaluate(derivation.program, values, sizes), dict(sizes)


SAMPLES = 4
"""How many entries of each equation are compared."""


@pytest.mark.parametrize("name", names())
def test_components_have_the_entries_of_the_matrix_equations(name: str) -> None:
    derivation, values, sizes = drawn(name)
    chance = random.Random(name)
    shown = in_components(derivation)
    values = dict(values)
    compared = 0
    for result in shown.results:
        if result.target.name not in values:
            # A part without a form in sums: its value is that of the matrix expression.
            part = result.target
            program = derivation.program
            values[part.name] = part_of(program, result, values, sizes)
            continue
        if not result.target.is_scalar_shape:
            continue  # nothing but an operation without a form in sums
        for _ in range(SAMPLES):
            at: dict[str, int] = {}
            for r in (*result.ranges, *result.entries):
                ends = sorted((evaluate_size(r.first, sizes, at), evaluate_size(r.last, sizes, at)))
                at[r.index.name] = chance.randint(*ends)
            loop = PlainLoops(values, sizes)
            wanted, found = loop.entry(result.target, at), loop.of(result.value, at)
            assert found == pytest.approx(wanted, rel=1e-9, abs=1e-11), f"{result.target} at {at}"
            compared += 1
    assert compared >= 8


def part_of(program: Program, result: Result, values: Mapping[str, Any], sizes: Mapping[str, Any]) -> Any:
    """Return the value of a named part, of a family for each of its members."""
    runner = Evaluator(program, {}, sizes)
    runner.results = dict(values)
    if not result.target.indices:
        return runner.expression(result.value, {})
    ((index, a, b),) = ((r.index.name, *(evaluate_size(x, sizes) for x in (r.first, r.last))) for r in result.ranges)
    return {(x,): runner.expression(result.value, {index: x}) for x in range(min(a, b), max(a, b) + 1)}


# ---------------------------------------------------------------------------------------------------------
# Every operation

m, n, k = size("m"), size("n"), size("k")
A, B, C, W = Ref("A", m, n), Ref("B", n, k), Ref("C", m, n), Ref("W", n, n)
u, ids, G = Ref("u", m, 1), Ref("ids", 1, k), Ref("G", m, k)
T_ = size("T")
t = sp.Symbol("t", integer=True)

OPERATIONS: dict[str, tuple[Node, str]] = {
    "product": (A @ B, "sum(k=1..n) A[i,k] B[k,j]"),
    "transposed factors": (T(B) @ T(A), "sum(k=1..n) B[k,i] A[j,k]"),
    "ones": (A @ Ones(n, 1), "sum(j=1..n) A[i,j]"),
    "ones on both sides": (Ones(1, m) @ A @ Ones(n, 1), "sum(i=1..m) sum(j=1..n) A[i,j]"),
    "sum of nothing that moves": (Ones(1, m) @ Ones(m, n), "m"),
    "diagonal factor": (Diag(u) @ A, "u[i] A[i,j]"),
    "diagonal between": (T(A) @ Diag(u) @ C, "sum(k=1..m) A[k,i] u[k] C[k,j]"),
    "identity factor": (Eye(m) @ A, "A[i,j]"),
    "identity": (Eye(n), "[i == j]"),
    "diagonal": (DiagOf(W), "W[i,i]"),
    "diagonal matrix": (Diag(u), "[i == j] u[i]"),
    "outer product": (u @ T(u), "u[i] u[j]"),
    "slice": (Slice(A, 1, m, 0, n), "A[i+1,j]"),
    "embedded": (Embed(A, 2, 0, m + 3, n), "where([i > 2] [i <= (m + 2)], A[i-2,j], 0)"),
    "triangle": (Hadamard(Mask("tril", n, n), W), "[i >= j] W[i,j]"),
    "selection": (Where(Compare(A, C, ">"), A, C), "where(A[i,j] > C[i,j], A[i,j], C[i,j])"),
    "softmax": (Softmax(A, 0), "exp(A[i,j])/(sum(k=1..m) exp(A[k,j]))"),
    "log-sum-exp": (LogSumExp(A, 1), "log(sum(j=1..n) exp(A[i,j]))"),
    "loop": (SumOver(Ref("H", m, n, t), t, 1, T_), "sum(t=1..T) H[t,i,j]"),
    "columns by number": (Take(A, ids, 1), "sum(k=1..n) [ids[j] == (k - 1)] A[i,k]"),
    "columns added up": (AddAt(G, ids, n, 1), "sum(k=1..k) [ids[k] == (j - 1)] G[i,k]"),
    "letters": (Einsum(A, B, Contraction("a|b,b|c->c|a", m, n, k)), "sum(k=1..n) A[j,k] B[k,i]"),
    "scaled": (scaled(1 / m, A + C), "(A[i,j] + C[i,j])/m"),
    "function": (apply(Function("tanh"), A), "tanh(A[i,j])"),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_components_of_an_operation(name: str) -> None:
    node, wanted = OPERATIONS[name]
    _, value, letters, parts = Components({"t", "T", "m", "n"}).equation(Ref("Y", *node.shape), node)
    assert str(value) == wanted
    assert not parts and len(letters) == sum(s != 1 for s in node.shape)


def test_every_operation_has_a_line_in_the_table() -> None:
    assert {op.node for op in RULES.values()} <= set(FORMS)


def test_letters_are_not_called_as_anything_else() -> None:
    derivation = in_components(derive(read_text("""
i: input[j, k]; s: input[p, k]; W: param[p, j]
loss = sum((W @ i - s)**2) / k
""")))
    used = {r.index.name for result in derivation.results for r in result.entries}
    bound = {x.bound.name for result in derivation.results for x in _sums(result.value)}
    assert used and not (used | bound) & {"i", "j", "k", "s", "p", "W"}


def _sums(node: Node) -> list[SumOver]:
    return [x for x in walk(node) if isinstance(x, SumOver)]


def test_what_has_no_form_in_sums_gets_a_name() -> None:
    node = MatMul(T(Ref("Q", m, 1)), A) @ T(MaxAxis(A, 0))
    _, value, _, parts = Components({"m", "n"}).equation(Ref("Y", 1, 1), node)
    ((name, part),) = parts
    assert part == MaxAxis(A, 0) and "K[j]" in str(value) and name.name == "K"


def test_terminal_latex_and_markdown() -> None:
    derivation = in_components(derive(read_text(network("mlp").text)))
    text = derive_summary(derivation)
    assert "W̄₁[i,j] = ∑(s=1..m) Z̄₁[i,s] X[j,s]" in text
    assert "i = 1..n₁, j = 1..n₀" in text
    shown = markdown(derivation, steps=False)
    assert "\\bar{W}_{1,i,j} = \\sum_{s=1}^{m} \\bar{Z}_{1,i,s}\\, X_{j,s}" in shown


def test_the_forward_pass_stands_in_loops_over_its_letters() -> None:
    derivation = in_components(derive(read_text(network("rnn").text)))
    around = {loop.index.name for loop in loops(derivation.forward.body)}
    assert {"t", "i", "s"} <= around
