"""Inference: the network that answers after training, where the state that follows a statistic takes its place."""

from __future__ import annotations

from dataclasses import replace

from symbp.expr import Node, Ref, refs, transform
from symbp.program import Equation, Program, check, map_equations


def inference(program: Program) -> Program:
    """Return the program with each statistic that a state follows replaced by that state.

    The equations of statistics are dropped, and with them what nothing but they read; a state is then data like an
    input: ``Xhat = (X - mu_run) * V``, and the adjoint of X is ``Ybar * gamma * V``.  A program without states is
    returned as it is.
    """
    if not program.running:
        return program
    state_of = {r.statistic: program.variables[r.state] for r in program.running}

    def stored(node: Node) -> Node:
        return state_of[node.name](*node.indices) if isinstance(node, Ref) and node.name in state_of else node

    def change(equation: Equation) -> list[Equation]:
        known = equation.target.name in state_of
        return [] if known else [replace(equation, value=transform(equation.value, stored))]

    changed = program.replace(body=map_equations(program.body, change), running=())
    needed = set(program.outputs)
    while more := {r.name for s in changed.sites if s.target.name in needed for r in refs(s.equation.value)} - needed:
        needed |= more
    body = map_equations(changed.body, lambda e: [e] if e.target.name in needed else [])
    computed = {site.target.name for site in changed.sites} - needed | set(state_of)
    variables = {n: v for n, v in program.variables.items() if n not in computed or v.declared}
    return check(changed.replace(body=body, variables=variables))
