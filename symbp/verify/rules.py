"""Checks of the rule book: each primitive and elementwise function, by witnesses 2 to 5, to second order.

A rule is tested by existing: a small program is built from its signature.  The rules are handed over as data; the
checks share no code with them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np
import sympy as sp

from symbp.derivation import Derivation
from symbp.expr import (
    AddAt, AxisNode, Compare, Contraction, Einsum, Embed, Function, Gather, Hadamard, Map, Node, Reshape, Scale,
    Scatter, Slice, StaticMap, T, Take, add, digits, kron_blocks, size, static_map, total, windows,
)
from symbp.program import Equation, Program, Var, check
from symbp.verify.draws import NoDraw, choose_sizes, draw
from symbp.verify.evaluate import evaluate
from symbp.verify.normal_form import Proof, prove_adjoint
from symbp.verify.programs import gradient_check
from symbp.verify.report import PROVED, Verdict, judge, together
from symbp.verify.witnesses import SLOPE, Finding, complex_step, measured

Build = Callable[[Sequence[Node]], Node]

r, c, m, n, p, q = (size(s) for s in "rcmnpq")

_i, _j, _t = digits("i j t")

MAPS: dict[str, StaticMap] = {
    "blocks": kron_blocks(m, n, p, q),
    "windows": windows(c, n, (7, 5), (3, 2), (4, 3), (2, 1), (1, 0), (1, 2)),
    "windows of each channel": windows(c, n, (5, 4), (2, 2), (2, 2), (2, 2), (0, 0), (1, 1), each_channel=True),
    "tied entries": static_map("toeplitz", "tied", {_i: 5}, {_j: 7}, [(1, 0)], [(3, _j - _i)]),
    "a delay": static_map("delay", "advance", {_i: n}, {_t: p}, [(n, _i)], [(p, _t - 2)]),
    "thinned out": static_map("every_second", "spread", {_i: 3}, {_t: n}, [(7, 2 * _i + 1)], [(n, _t)]),
}
"""Static maps of every kind, at which gather and scatter are tried."""

BUILDERS: dict[type[Node], Sequence[tuple[str, Build]]] = {
    Scale: [("", lambda a: Scale(a[0], sp.Rational(-2, 3) / a[0].rows))],
    Slice: [("", lambda a: Slice(a[0], 1, a[0].rows, 0, a[0].cols - 1))],
    Embed: [("", lambda a: Embed(a[0], 1, 2, a[0].rows + 1, a[0].cols + 3))],
    Reshape: [
        ("by rows", lambda a: Reshape(a[0], a[0].cols, a[0].rows, "C")),
        ("by columns", lambda a: Reshape(a[0], a[0].cols, a[0].rows, "F")),
    ],
    Einsum: [
        ("batched product", lambda a: Einsum(*a, Contraction("mr|n,m|np->mr|p", m, r, n, p))),
        ("letters summed alone", lambda a: Einsum(*a, Contraction("mr|n,m|np->r|n", m, r, n, p))),
    ],
    Gather: [(name, lambda a, rule=rule: Gather(a[0], rule)) for name, rule in MAPS.items()],  # type: ignore[misc]
    Scatter: [(name, lambda a, rule=rule: Scatter(a[0], rule)) for name, rule in MAPS.items()],  # type: ignore[misc]
    Take: [
        ("columns", lambda a: Take(a[0], a[1], 1)),
        ("rows", lambda a: Take(T(a[0]), T(a[1]), 0)),
    ],
    AddAt: [
        ("columns", lambda a: AddAt(a[0], a[1], n, 1)),
        ("rows", lambda a: AddAt(T(a[0]), T(a[1]), n, 0)),
    ],
    Compare: [(o, lambda a, o=o: Compare(a[0], a[1], o)) for o in (">", ">=", "<", "<=")],  # type: ignore[misc]
    Map: [("free function", lambda a: Map(a[0], Function("phi", (), (0,), sp.core.symbol.Str("free"))))],
}
"""How a primitive with parameters is built from its operands; one without parameters is built from its class."""

SHAPES: dict[type[Node], Sequence[tuple[sp.Expr, sp.Expr]]] = {
    Einsum: [(m * r, n), (m, n * p)],
    Slice: [(r, c)],
    Embed: [(r, c)],
    Reshape: [(r, c)],
    Map: [(r, c)],
}
"""Shapes of operands where the signature alone does not say them."""

NUMBERED = (Take, AddAt)
"""Primitives whose second operand holds whole numbers below n."""

TRIED = {
    "power": [(sp.Integer(2),), (sp.Integer(3),), (sp.Integer(-2),), (sp.Rational(3, 2),), (sp.Rational(-1, 3),)],
}
"""Parameters at which an elementwise function is tried; else its defaults."""


@dataclass(frozen=True)
class Case:
    """One small program for one entry of the rule book."""

    name: str
    program: Program
    wrt: tuple[str, ...]


def _shapes(op: Any, note: str) -> Sequence[tuple[sp.Expr, sp.Expr]]:
    if op.node is Gather:
        return [MAPS[note].source_shape]
    if op.node is Scatter:
        return [MAPS[note].shape]
    return SHAPES.get(op.node, operand_shapes(op.signature))


def operand_shapes(signature: str) -> list[tuple[sp.Expr, sp.Expr]]:
    """Return the shapes of the operands from a signature such as ``(m,n),(n,p)->(m,p)``."""
    left = signature.split("->")[0]
    shapes = re.findall(r"\(([^()]*)\)", left)
    return [tuple(sp.Integer(int(x)) if x.isdigit() else size(x) for x in s.split(",")) for s in shapes]


def weighted(value: Node, operands: Mapping[str, Var], name: str) -> Program:
    """Return the program ``Y = value; loss = sum(C * Y)`` with generic weights C, so that no cotangent is special."""
    weights = Var("C", value.rows, value.cols, kind="input")
    result, loss = Var("Y", value.rows, value.cols), Var("loss", sp.S.One, sp.S.One)
    body = (Equation(result(), value), Equation(loss(), total(Hadamard(weights(), result()))))
    return check(Program({**operands, "C": weights, "Y": result, "loss": loss}, body, name=name))


def primitive_cases(rules: Mapping[str, Any]) -> list[Case]:
    """Return the small programs of the primitives of a rule book.

    Raises ``LookupError`` for a primitive that cannot be built from its signature: it needs an entry in ``BUILDERS``.
    """
    cases = []
    for name, op in rules.items():
        kind: type[Node] = op.node
        for note, build in _builds(kind):
            shapes = _shapes(op, note)
            operands = [Var("ABDEF"[k], *shape, kind="param") for k, shape in enumerate(shapes)]
            if len(operands) == 3 and op.linear == (1, 2):
                operands[0] = replace(operands[0], kind="input", facts=frozenset({"mask"}))
            if kind in NUMBERED:
                operands[1] = replace(operands[1], kind="input", facts=frozenset({"index"}), size=n)
            try:
                value = build([v() for v in operands])
            except (TypeError, ValueError, IndexError) as error:
                raise LookupError(f"no small program is known for the primitive {name}: {error}") from None
            if op.flat:
                # A flat operation alone has no gradient: it stands beside its own operand.
                value = Hadamard(value, operands[0]())
            label = f"{name} ({note})" if note else name
            variables = {v.name: v for v in operands}
            cases.append(
                Case(label, weighted(value, variables, label), tuple(v.name for v in operands if v.kind == "param"))
            )
    return cases


def _builds(kind: type[Node]) -> Sequence[tuple[str, Build]]:
    """Return the ways in which a primitive is built, each with a note."""
    if issubclass(kind, AxisNode):
        return [("axis 0", lambda a: kind(a[0], 0)), ("axis 1", lambda a: kind(a[0], 1))]
    return BUILDERS.get(kind, [("", lambda a: kind(*a))])


def elementwise_cases(table: Mapping[str, Any]) -> list[Case]:
    """Return the small programs of the elementwise functions, and of products of them with their argument."""
    cases = []
    for name, entry in table.items():
        for parameters in TRIED.get(name, [tuple(entry.defaults)]):
            function = Function(name, parameters, (0,) * entry.arity)
            operands = [Var("AB"[k], r, c, kind="param") for k in range(entry.arity)]
            value: Node = Map(*(v() for v in operands), function)
            if all(slope is None for slope in entry.slopes):
                value = Hadamard(value, operands[0]())
            label = f"{name}({', '.join(map(str, parameters))})" if parameters else name
            cases.append(
                Case(label, weighted(value, {v.name: v for v in operands}, label), tuple(v.name for v in operands))
            )
    return cases


# ---------------------------------------------------------------------------------------------------------
# Closure: the derivative of a derivative


def as_forward(program: Program) -> Program:
    """Return a program with a backward pass as a program like any other, to be differentiated again."""
    variables = {
        name: replace(var, kind="value", origin=None) if var.kind in ("adjoint", "message", "tangent") else var
        for name, var in program.variables.items()
    }
    return program.replace(variables=variables)


def gradient_program(derivation: Derivation, names: Iterable[str] | None = None) -> Program:
    """Return the program whose loss is ``sum_x <U_x, x_bar>``, with inputs U_x: gradients as a forward pass."""
    program = as_forward(derivation.program)
    variables, terms = dict(program.variables), []
    body = list(program.body)
    for k, name in enumerate(names or derivation.gradients):
        bar = program.variables[derivation.gradients[name]]
        given = derivation.source.variables[name]
        weights = Var(f"U_{k}", given.rows, given.cols, given.indices, "input", boxes=given.boxes)
        variables[weights.name] = weights
        if not bar.indices:
            terms.append(total(Hadamard(weights(), bar())))
            continue
        for box in given.boxes:
            ends = [(side.lows[0], side.highs[0]) for side in box.sides]
            at = [lo if lo == hi else i for i, (lo, hi) in zip(given.indices, ends, strict=True)]
            term = total(Hadamard(weights(*at), bar(*at)))
            for index, (lo, hi) in zip(given.indices, ends, strict=True):
                if lo != hi:
                    term = import_module("symbp.expr").SumOver(term, index, lo, hi)
            terms.append(term)
    second = Var("loss_2", sp.S.One, sp.S.One)
    variables["loss_2"] = second
    body.append(Equation(second(), add(*terms)))
    return check(program.replace(variables=variables, body=tuple(body), outputs=("loss_2",)))


def check_closure(
    derivation: Derivation, *, seed: int = 0, sizes: Sequence[Mapping[str, Any]] | None = None,
) -> list[Finding]:
    """Differentiate the backward pass again, both ways, and compare with complex step through it.

    The adjoint of the adjoint program gives H U; the differential of the adjoint program gives <U, H V>.
    """
    calculus = import_module("symbp.calculus")
    program = gradient_program(derivation)
    second = calculus.derive(program, list(derivation.gradients), "loss_2")
    chosen = list(sizes) if sizes is not None else choose_sizes(program)
    findings = [f for fs in gradient_check(second, draws=len(chosen), seed=seed, sizes=chosen).values() for f in fs]
    rng = np.random.default_rng(seed)
    tangent, _ = calculus.differential(program, list(derivation.gradients))
    moves = {v.origin.of: v for v in tangent.variables.values() if v.origin is not None and v.origin.role == "tangent"}
    for assignment in chosen:
        values = draw(program, assignment, rng)
        given = {n: draw_like(values[n], rng) for n in derivation.gradients}
        slope = float(complex_step(program, values, assignment, given, "loss_2").sum())
        if "loss_2" not in moves:
            stated = 0.0
        else:
            pushed = evaluate(tangent, {**values, **{moves[n].name: d for n, d in given.items()}}, assignment)
            stated = float(pushed[moves["loss_2"].name][0, 0])
        scale = abs(slope) + abs(stated)
        value = abs(float(evaluate(program, values, assignment)["loss_2"][0, 0]))
        error = abs(slope - stated) / max(scale, 1e-3 * value) if scale else 0.0
        findings.append(
            measured(
                "differential of adjoint", "loss_2", error, 1e2 * SLOPE, assignment, f"{stated:.12g}, not {slope:.12g}"
            )
        )
    return findings


def draw_like(value: Any, rng: np.random.Generator) -> Any:
    """Return random increments of the shape of a variable or of the members of a family."""
    if isinstance(value, Mapping):
        return {k: rng.normal(size=a.shape) for k, a in value.items()}
    return rng.normal(size=value.shape)


# ---------------------------------------------------------------------------------------------------------
# The check


def check_case(case: Case, *, seed: int = 0, second_order: bool = True) -> Verdict:
    """Check one entry of the rule book: its adjoint by three witnesses, and that its derivative can be derived."""
    derivation = import_module("symbp.calculus").derive(case.program, case.wrt)
    sizes = choose_sizes(case.program, primes=(5, 7, 3, 2, 11, 13), limit=2) if len(case.program.sizes) > 3 else None
    found = gradient_check(derivation, draws=2, seed=seed, sizes=sizes)
    findings = [f for bar in derivation.gradients.values() for f in found[bar]]
    proofs = prove_case(case, derivation, second_order=second_order)
    if second_order:
        try:
            again = check_closure(derivation, seed=seed, sizes=sizes)
        except NoDraw as reason:
            again = [Finding("second order", case.name, "not checked", detail=str(reason))]
        # Of something linear the second derivative vanishes: refused there is no fault.
        findings += [f for f in again if f.outcome in ("fails", "holds")]
    return judge(case.name, "rule, first and second order", findings, *together(proofs))


def prove_case(case: Case, derivation: Derivation | None = None, *, second_order: bool = True) -> list[Proof]:
    """Try to prove for all sizes the adjoint of one entry of the rule book, and the adjoint of that adjoint."""
    derive = import_module("symbp.calculus").derive
    first = derivation or derive(case.program, case.wrt)
    found = list(prove_adjoint(first.forward, first.program, first.output))
    if second_order:
        second = derive(gradient_program(first), list(first.gradients), "loss_2")
        found += prove_adjoint(second.forward, second.program, second.output)
    return [p.proof for p in found]


def proof_words(name: str) -> str:
    """Return what is proved of a primitive or an elementwise function; nothing for another entry of the rule book."""
    ops = import_module("symbp.ops")
    if name in ops.ELEMENTWISE:
        cases = elementwise_cases({name: ops.ELEMENTWISE[name]})
    elif name in ops.RULES:
        cases = primitive_cases({name: ops.RULES[name]})
    else:
        return ""
    proved, where, residual = together([proof for case in cases for proof in prove_case(case)])
    if not proved:
        return f"unproved for all sizes: {residual}"
    return f"{PROVED}, first and second order" + (f", where {'; '.join(where)}" if where else "")


def check_rules(
    rules: Mapping[str, Any] | None = None, table: Mapping[str, Any] | None = None, *, seed: int = 0,
    second_order: bool = True,
) -> list[Verdict]:
    """Check every primitive and every elementwise function of the rule book (or of the given ones)."""
    ops = import_module("symbp.ops")
    cases = [
        *primitive_cases(ops.RULES if rules is None else rules),
        *elementwise_cases(ops.ELEMENTWISE if table is None else table),
    ]
    return [check_case(case, seed=seed, second_order=second_order) for case in cases]
