"""Batch conversion: the same network with samples as rows instead of columns, or weights stored the other way.

A conversion is a set F of variables that are stored transposed: each X in F becomes X'^T, and transposes are pushed
to the names.  It is right for any F, it is its own inverse, and it commutes with the adjoint.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import sympy as sp

from symbp.calculus.identities import Context
from symbp.calculus.rewriting import rewrite
from symbp.expr import MatMul, Node, Ref, T, Transpose, has_size, is_one, transform, walk
from symbp.ops import rule
from symbp.program import Equation, Program, Var, check, map_equations

Samples = Literal["rows", "columns"]
Weights = Literal["in_out", "out_in"]

TURNED_FACTS = {
    "columns_sum_to_one": "rows_sum_to_one",
    "rows_sum_to_one": "columns_sum_to_one",
    "one_hot_columns": "one_hot_rows",
    "one_hot_rows": "one_hot_columns",
}


class ConversionError(ValueError):
    """A conversion that needs to be told which size counts samples."""


def sample_size(program: Program) -> sp.Symbol:
    """Return the size that counts samples: as declared, else the only one that inputs and targets share."""
    if program.samples is not None:
        return program.samples
    shared = _shared_sizes(program)
    if len(shared) == 1:
        return shared.pop()
    seen = ", ".join(sorted(map(str, shared))) or "none"
    raise ConversionError(f"which size counts samples? inputs and targets share: {seen}; write `samples: m`")


def _shared_sizes(program: Program, units: bool = False) -> set[sp.Symbol]:
    """Return the sizes that inputs and targets share; those that parameters have count units, and are left out."""
    inputs = [v for v in program.declared("input") if not v.scalar]
    held = set() if units else {s for v in program.parameters for s in v.shape}
    wanted = {s for t in program.declared("target") for s in t.shape if s.is_Symbol and s not in held}
    return {s for v in inputs for s in v.shape if s in wanted}


def samples_axis(program: Program) -> Samples:
    """Return where the samples are, as columns or as rows; columns if nothing tells."""
    return known_axis(program) or "columns"


def known_axis(program: Program) -> Samples | None:
    """Return where the samples are by the first declared variable that has them, or None.

    Where the samples are members of a family, their positions or times take their place.
    """
    positions = _shared_sizes(program) or _shared_sizes(program, units=True)
    for m in (sample_size(program), *(positions if len(positions) == 1 else ())):
        for var in program.declared("input", "target"):
            if has_size(var.cols, m) and not has_size(var.rows, m):
                return "columns"
            if has_size(var.rows, m) and not has_size(var.cols, m):
                return "rows"
    return None


def turn(program: Program, names: Iterable[str]) -> Program:
    """Return the program with the named variables stored transposed; a state lies as the statistic that it follows."""
    wanted = set(names)
    states = {r.state: r.statistic for r in program.running}
    wanted = {n for n in program.variables if states.get(n, n) in wanted}
    turned = {n for n in wanted if not (is_one(program.variables[n].rows) and is_one(program.variables[n].cols))}
    context = Context({n: v.facts for n, v in program.variables.items()})

    def flip(node: Node) -> Node:
        if isinstance(node, Ref) and node.name in turned:
            return T(Ref(node.name, node.cols, node.rows, *node.indices))
        return node

    def change(equation: Equation) -> list[Equation]:
        target, value = equation.target, transform(equation.value, flip)
        if target.name in turned:
            target, value = Ref(target.name, target.cols, target.rows, *target.indices), T(value)
        value = transform(rewrite(value, "contract", context), upright)
        return [replace(equation, target=target, value=rewrite(value, "contract", context))]

    variables = {n: _turned(v) if n in turned else v for n, v in program.variables.items()}
    return check(program.replace(variables=variables, body=map_equations(program.body, change)))


def upright(node: Node) -> Node:
    """Return a 1 x 1 product turned round when more of its names are transposed than not: it is its own transpose."""
    if not (isinstance(node, MatMul) and node.is_scalar_shape):
        return node
    leaning, standing = 0, 0
    for part in walk(node):
        leaning += isinstance(part, Transpose)
        standing += isinstance(part, Ref)
    return rule(node).transposed(node) if 2 * leaning > standing else node


def _turned(var: Var) -> Var:
    value = None if var.value is None else tuple(zip(*var.value, strict=True))
    facts = frozenset(TURNED_FACTS.get(f, f) for f in var.facts)
    return replace(var, rows=var.cols, cols=var.rows, facts=facts, value=value)


def conversion(program: Program, samples: Samples | None = None, weights: Weights | None = None) -> set[str]:
    """Return the variables that a conversion stores transposed (see ``convert``)."""
    if samples is None and weights is None:
        return set()
    now = samples_axis(program)
    data = samples is not None and samples != now
    layout: Weights = "out_in" if now == "columns" else "in_out"
    heavy = data if weights is None else weights != layout
    chosen = set()
    for name, var in program.variables.items():
        matrix = var.kind in ("param", "const") and not is_one(var.rows) and not is_one(var.cols)
        if heavy if matrix else data:
            chosen.add(name)
    return chosen


def convert(program: Program, samples: Samples | None = None, weights: Weights | None = None) -> Program:
    """Return the program in another outside convention.

    samples: where the samples are to be, ``rows`` or ``columns``; None: as they are.
    weights: ``out_in`` (units x inputs, W X) or ``in_out`` (inputs x units, X W); None: turned with the data.

    Raises ``ConversionError`` when it is not clear which size counts samples.
    """
    chosen = conversion(program, samples, weights)
    return turn(program, chosen) if chosen else program
