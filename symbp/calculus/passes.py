"""What a module that trains is made of: the backward pass, the tangents, and the parts of the loss apart.

The last step of the calculus: a target only writes what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sympy as sp

from symbp.calculus.derive import derive, facts_of
from symbp.calculus.differential import differential
from symbp.calculus.identities import Context
from symbp.calculus.inference import inference
from symbp.calculus.naming import definitions
from symbp.calculus.rewriting import tidy
from symbp.calculus.split import part_program, split_loss
from symbp.derivation import Derivation
from symbp.expr import Function, Map, Node, scaled, transform
from symbp.ops import ELEMENTWISE
from symbp.program import Equation, Program, elementwise_functions, map_equations

FACTOR = sp.Symbol("c", positive=True)
"""What stands for the factor in the backward pass of ``c S``."""


@dataclass(frozen=True)
class Parts:
    """The backward passes of the parts of a loss.

    factor:  the factor c, made of sizes.
    sample:  the derivation of ``c S`` with a symbol for c; None if the loss has no such part.
    penalty: the derivation of ``R``; None if there is no such part.
    values:  S and R as they stand in the loss; None for one that is missing.
    mixed:   why the loss is no such sum; empty if it is.
    """

    factor: sp.Expr
    sample: Derivation | None
    penalty: Derivation | None
    values: tuple[Node | None, Node | None] = (None, None)
    mixed: str = ""


@dataclass(frozen=True)
class Passes:
    """Everything that a target writes into a module.

    derivation: the forward and the backward pass.
    tangent:    the forward pass with the tangent of each value beside it.
    parts:      the two parts of the loss, each with its own backward pass.
    inference:  the network that predicts after training, if it has running statistics; else None.
    """

    derivation: Derivation
    tangent: Program
    parts: Parts
    inference: Derivation | None = None


def passes(derivation: Derivation) -> Passes:
    """Return what a module that trains is made of."""
    source, answers = derivation.source, None
    if source.running:
        answers = derive(inference(source), list(derivation.gradients), derivation.output)
    return Passes(derivation, tangents(derivation), parts_of(derivation), answers)


def tangents(derivation: Derivation) -> Program:
    """Return the forward pass with the tangent of each value beside it, slopes through values."""
    forward = derivation.forward
    program, _ = differential(forward, list(derivation.gradients))
    context = Context(facts_of(forward), definitions(forward), {s.target: s.equation.value for s in forward.sites})
    before = {site.target for site in forward.sites}

    def readable(equation: Equation) -> list[Equation]:
        if equation.target in before:
            return [equation]
        return [replace(equation, value=tidy(equation.value, context, equation.target))]

    return program.replace(body=map_equations(program.body, readable))


def parts_of(derivation: Derivation) -> Parts:
    """Derive the parts of a loss ``c S + R`` apart; a loss that mixes samples keeps its one backward pass."""
    source, output = derivation.source, derivation.output
    found = split_loss(source, output)
    if found.mixed:
        return Parts(sp.S.One, None, None, mixed=found.mixed)

    def derived(value: Node | None, by: sp.Expr) -> Derivation | None:
        if value is None:
            return None
        return derive(part_program(source, scaled(by, value), output), list(derivation.gradients), output)

    sample, penalty = derived(found.sample_sum, FACTOR), derived(found.rest, sp.S.One)
    return Parts(found.factor, sample, penalty, (found.sample_sum, found.rest))


class UnspecifiedFunction(ValueError):
    """A function that the declaration leaves open and that was given a wrong name or a wrong replacement."""


def with_functions(program: Program, functions: Mapping[str, str]) -> Program:
    """Return the program with functions that were left unspecified said to be functions of the table.

    Raises ``UnspecifiedFunction`` for a name that is not unspecified, or a function that the table does not have.
    """
    free = {f.name for f in elementwise_functions(program) if f.is_free}
    known = {n: e for n, e in ELEMENTWISE.items() if e.arity == 1 and len(e.defaults) == len(e.parameters)}
    for name, value in functions.items():
        if name not in free:
            left = ", ".join(sorted(free)) or "none"
            said = f"{name} is no function that the declaration leaves unspecified (those are: {left})"
            raise UnspecifiedFunction(said)
        if value not in known:
            names = ", ".join(sorted(known))
            raise UnspecifiedFunction(f"{value} is no elementwise function of one argument; known are {names}")

    def change(node: Node) -> Node:
        if isinstance(node, Map) and node.function.is_free and node.function.name in functions:
            entry = ELEMENTWISE[functions[node.function.name]]
            return Map(*node.operands, Function(entry.name, entry.defaults, node.function.orders))
        return node

    def changed(equation: Equation) -> list[Equation]:
        return [replace(equation, value=transform(equation.value, change))]

    others = {name: f for name, f in program.functions.items() if name not in functions}
    return program.replace(body=map_equations(program.body, changed), functions=others)
