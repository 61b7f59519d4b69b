"""What the lines of a work may say: the names of the network, and words as they are meant on paper."""

from __future__ import annotations

import ast

from symbp.expr import Function, SizeMember, size_atoms
from symbp.language.diagnostics import Report
from symbp.language.operations import OPERATIONS
from symbp.language.scope import Scope
from symbp.program import Program
from symbp.verify.check.truth import Truth

PRIMES = ("d{f}", "d_{f}", "{f}_prime", "{f}p", "{f}_d")
"""How the derivative of a function that was left unspecified may be called."""


def with_dimensions(value: ast.expr) -> ast.expr:
    """Return an expression in which reductions along an axis keep their dimension, as on paper every sum does.

    ``sum(dZ, axis=1)`` becomes ``sum(dZ, axis=1, keepdims=True)``; the tree is changed in place.
    """
    for node in ast.walk(value):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        entry = OPERATIONS.get(name)
        if entry is None or "keepdims" not in (p.name for p in entry.parameters):
            continue
        words = [k.arg for k in node.keywords]
        along = "axis" in words or len(node.args) == (2 if isinstance(node.func, ast.Name) else 1)
        if along and "keepdims" not in words:
            flag = ast.copy_location(ast.Constant(True), node)
            node.keywords.append(ast.copy_location(ast.keyword("keepdims", flag), node))
    return value


def scope_of(program: Program, truth: Truth, report: Report) -> Scope:
    """Return the scope in which the lines of a work are read: all that the network knows."""
    scope = Scope(report)
    shapes = [s for v in truth.variables.values() for s in v.shape]
    inside = size_atoms(shapes)
    defined = dict(program.definitions)
    for symbol in program.sizes:
        value = defined.get(symbol)
        scope.sizes[symbol.name] = symbol if value is None or symbol in inside else value
    for shape in (*shapes, *defined.values()):
        for member in shape.atoms(SizeMember):
            scope.size_families[member.name] = len(member.indices)
    for symbol in {a for s in (*shapes, *defined.values()) for a in s.free_symbols}:
        bound = {i for v in truth.variables.values() for i in v.indices}
        if symbol not in bound and symbol.name not in scope.size_families:
            scope.sizes.setdefault(symbol.name, symbol)
    scope.bounds = dict(program.assumptions)
    scope.samples = program.samples
    scope.definitions = list(program.definitions)
    scope.variables = dict(truth.variables)
    scope.functions = dict(program.functions)
    for name, function in program.functions.items():
        if function.is_free and len(function.orders) == 1:
            slope = Function(name, function.parameters, (1,), function.args[3])
            for spelling in PRIMES:
                word = spelling.format(f=name)
                if word not in scope.variables and word not in scope.functions:
                    scope.functions[word] = slope
    return scope
