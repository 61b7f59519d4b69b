"""The differential of an expression and of a program: linear in the tangents of the variables.

Each operation contributes by its rule: where it is linear in a slot, the tangent takes the operand's place; elsewhere
the rule states the differential.  A family's tangent is zero at members that nothing moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from symbp.derivation import Step
from symbp.expr import Constant, Node, Ref, SumOver, add, refs, walk
from symbp.ops import rule
from symbp.program import Equation, Loop, Origin, Program, Statement, Var, fresh_name

Tangent = Callable[[Ref], Node | None]
"""Gives the tangent of a variable or member, or None if it does not move."""


def differential_of(node: Node, value: Node, tangent: Tangent) -> Node | None:
    """Return the differential of an expression, or None if it is zero.

    node:    the expression.
    value:   the name of its value, which slopes may refer to.
    tangent: the tangents of the variables read.
    """
    moved: dict[Node, Node | None] = {}
    for part in walk(node):
        if isinstance(part, Ref):
            moved[part] = tangent(part)
        elif isinstance(part, Constant):
            moved[part] = None
        elif isinstance(part, SumOver):
            body = moved[part.operands[0]]
            moved[part] = None if body is None else part.rebuild(body)
        else:
            tangents = [moved[o] for o in part.operands]
            if all(t is None for t in tangents):
                moved[part] = None
                continue
            op = rule(part)
            if op.flat:
                moved[part] = None
            elif op.differential is not None:
                moved[part] = op.differential(part, value if part is node else part, tangents)
            else:
                moved[part] = _product_rule(part, tangents)
    return moved[node]


def _product_rule(node: Node, tangents: list[Node | None]) -> Node:
    """Return the differential of an operation that is linear in each slot: one term per slot that moves."""
    operands = node.operands
    terms = [
        node.rebuild(*(t if j == k else o for j, o in enumerate(operands)))
        for k, t in enumerate(tangents)
        if t is not None
    ]
    return add(*terms)


def moving(program: Program, wrt: Iterable[str]) -> set[str]:
    """Return the names of variables that depend on ``wrt`` (a fixed point over the cyclic graph of reads)."""
    readers: dict[str, list[str]] = {}
    for site in program.sites:
        for ref in refs(site.equation.value):
            readers.setdefault(ref.name, []).append(site.target.name)
    found, stack = set(wrt), list(wrt)
    while stack:
        for name in readers.get(stack.pop(), ()):
            if name not in found:
                found.add(name)
                stack.append(name)
    return found


def influencing(program: Program, outputs: Iterable[str]) -> set[str]:
    """Return the names of variables on which ``outputs`` depend."""
    reads: dict[str, list[str]] = {}
    for site in program.sites:
        reads.setdefault(site.target.name, []).extend(r.name for r in refs(site.equation.value))
    found, stack = set(outputs), list(outputs)
    while stack:
        for name in reads.get(stack.pop(), ()):
            if name not in found:
                found.add(name)
                stack.append(name)
    return found


def tangent_variable(var: Var, taken: Iterable[str], given: bool) -> Var:
    """Return the variable that holds the tangent of ``var``: an input if it is ``given``, else zero by default."""
    return Var(
        fresh_name(f"d_{var.name}", taken),
        var.rows,
        var.cols,
        var.indices,
        "input" if given else "tangent",
        boxes=var.boxes if given else (),
        origin=Origin("tangent", var.name),
        zero_outside=not given and bool(var.indices),
    )


def differential(program: Program, wrt: Iterable[str] | None = None) -> tuple[Program, list[Step]]:
    """Return the program with the tangent of each moving variable beside it (the JVP), and the steps.

    wrt: the names whose tangents are inputs of the result; by default the parameters.
    The tangent of ``X`` is called ``d_X``.  A loop gives a loop.
    """
    names = [v.name for v in program.parameters] if wrt is None else list(wrt)
    active = moving(program, names)
    variables = dict(program.variables)
    tangents: dict[str, Var] = {}
    for name in program.variables:
        if name in active:
            tangents[name] = tangent_variable(program.variables[name], variables, name in names)
            variables[tangents[name].name] = tangents[name]
    steps: list[Step] = []

    def tangent(ref: Ref) -> Node | None:
        return tangents[ref.name](*ref.indices) if ref.name in tangents else None

    def block(body: tuple[Statement, ...], around: tuple[Loop, ...]) -> tuple[Statement, ...]:
        out: list[Statement] = []
        for statement in body:
            if isinstance(statement, Loop):
                out.append(statement.with_body(block(statement.body, (*around, statement))))
                continue
            out.append(statement)
            if statement.target.name in tangents:
                value = differential_of(statement.value, statement.target, tangent)
                moved = tangents[statement.target.name](*statement.target.indices)
                if value is not None:
                    out.append(Equation(moved, value, statement.line, "differential"))
                    steps.append(
                        Step(
                            "differential",
                            rule_name(statement.value),
                            statement.target,
                            statement.value,
                            value,
                            loops=around,
                        )
                    )
                elif not statement.target.indices:
                    tangents.pop(statement.target.name)
                    variables.pop(moved.name)
        return tuple(out)

    body = block(program.body, ())
    outputs = tuple(tangents[o].name for o in program.outputs if o in tangents)
    return program.replace(variables=variables, body=body, outputs=(*program.outputs, *outputs)), steps


def rule_name(node: Node) -> str:
    """Return the name of the rule at the top of an expression (an elementwise function's own name)."""
    if isinstance(node, (Ref, Constant, SumOver)):
        return node.op
    function = getattr(node, "function", None)
    return function.name if function is not None else rule(node).name
