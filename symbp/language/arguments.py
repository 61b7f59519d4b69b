"""Arguments of operations and layers, each read as its parameter wants."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import sympy as sp

from symbp.expr import Node, Softmax, apply, expanded
from symbp.language.arithmetic import is_mask
from symbp.language.catalogue import OPERATIONS
from symbp.language.diagnostics import Mistake, Stop, did_you_mean
from symbp.language.forms import place, source
from symbp.language.operations import Parameter, bind
from symbp.language.scalars import Value
from symbp.language.terms import Terms, numpy_name

MASK_WORDS = ("none", "causal")
"""Masks that need no data."""

Activation = Callable[[Node, int], Node]
"""A function of a matrix and of the axis of its features."""


class Arguments(Terms):
    """Reads the arguments of calls."""

    def arguments(
        self, node: ast.Call, name: str, parameters: tuple[Parameter, ...], first: tuple[Node, ...] = ()
    ) -> dict[str, Any]:
        """Return the arguments of a call by parameter, each read as its parameter wants."""
        try:
            bound = bind(name, parameters, node, first)
        except Mistake as mistake:
            self.scope.report.add_mistake(mistake, place(self.statement, node))
            raise Stop from None
        result: dict[str, Any] = {}
        failed = False
        for parameter in parameters:
            given = bound.get(parameter.name, parameter.default)
            if parameter.name not in bound:
                result[parameter.name] = given
                continue
            try:
                result[parameter.name] = self.argument(name, parameter, given, node)
            except Stop:
                failed = True
        if failed:
            raise Stop
        return result

    def argument(self, name: str, parameter: Parameter, given: Any, call: ast.Call) -> Any:
        """Return one argument, read as its parameter wants."""
        what = f"{name}: {parameter.name}"
        if isinstance(given, Node):
            return given
        kind = parameter.kind
        if kind == "shape":
            nodes = (
                given
                if isinstance(given, list)
                else list(given.elts)
                if isinstance(given, (ast.Tuple, ast.List))
                else [given]
            )
            return self.shape_argument(name, nodes, call)
        if kind == "matrices":
            listed = given
            if isinstance(given, (ast.List, ast.Tuple)):
                listed = given.elts
            elif not isinstance(given, list):
                raise self.fail(given, "O003", f"{name} wants a list of matrices", f"write `{name}([A, B])`")
            if not listed:
                raise self.fail(call, "O003", f"{name} wants at least one matrix")
            return [self.as_matrix(v, n, what) for v, n in zip(self.values(listed), listed, strict=True)]
        if kind == "sizes":
            return {key: self.shapes.size(node) for key, node in given.items()}
        if kind == "matrix":
            return self.matrix(given, what)
        if kind == "value":
            return self.value(given)
        if kind == "scalar":
            value = self.value(given)
            if isinstance(value, Node):
                raise self.fail(
                    given, "O005", f"{what} is an exact number, not a matrix", "write the number, for example 0.01"
                )
            return value
        if kind == "size":
            return self.shapes.size(given)
        if kind == "axis":
            return self.axis(name, given)
        if kind == "flag":
            if isinstance(given, ast.Constant) and isinstance(given.value, bool):
                return given.value
            raise self.fail(given, "O005", f"{what} is True or False")
        if kind == "integer":
            value = self.shapes.index(given)
            if value.is_Integer:
                return int(value)
            raise self.fail(given, "O005", f"{what} is a whole number")
        if kind == "activation":
            return self.activation(given)
        if kind == "mask":
            return self.mask(what, given)
        if (isinstance(given, ast.Constant) and isinstance(given.value, (str, int))) or (
            isinstance(given, ast.Constant) and given.value is None
        ):
            return given.value
        raise self.fail(given, "O005", f"{what} is a word in quotes")

    def as_matrix(self, value: Value, node: ast.expr, what: str) -> Node:
        """Return a matrix; refuse a number."""
        if isinstance(value, Node):
            return value
        raise self.fail(
            node, "O004", f"{what} wants matrices, not the number {value}", "write `ones(1, 1)` or a shape of its own"
        )

    def shape_argument(self, name: str, nodes: list[ast.expr], call: ast.Call) -> tuple[sp.Expr | None, sp.Expr | None]:
        """Read two sizes; -1 stands for the size that fits, in a reshape."""
        if len(nodes) != 2:
            inside = source(self.statement, nodes[0]) if nodes else "n"
            raise self.fail(
                call, "S020", f"{name}: a shape has rows and columns", f"write `({inside}, 1)` for a column"
            )
        found: list[sp.Expr | None] = []
        for node in nodes:
            minus_one = (
                isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and source(self.statement, node) == "-1"
            )
            found.append(None if minus_one and name == "reshape" else self.shape_size(node))
        return found[0], found[1]

    def shape_size(self, node: ast.expr) -> sp.Expr:
        """Read a size in a shape; ``X.shape[0]`` is one."""
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute):
            value = self.value(node)
            if not isinstance(value, Node):
                return value
        return expanded(self.shapes.size(node))

    def axis(self, name: str, node: ast.expr) -> int | None:
        if isinstance(node, ast.Constant) and node.value is None:
            return None
        text = source(self.statement, node)
        if text in ("0", "1", "-1", "-2"):
            return int(text) % 2
        raise self.fail(
            node, "O005", f"{name}: axis is 0 (down the rows) or 1 (along the columns)", "a matrix has two axes"
        )

    def mask(self, what: str, node: ast.expr) -> Node | str:
        """Return a matrix of 0 and 1, or one of the words for a mask that needs no data."""
        quoted = node.value if isinstance(node, ast.Constant) else ""
        word = node.id if isinstance(node, ast.Name) and node.id not in self.scope.variables else quoted
        if word is None or word in MASK_WORDS:
            return str(word or "none")
        value = None if quoted and isinstance(quoted, str) else self.matrix(node, what)
        if value is not None and is_mask(value, self.scope.is_mask):
            return value
        raise self.fail(
            node,
            "O005" if value is None else "O006",
            f"{what} is a matrix of 0 and 1",
            f"write {' or '.join(MASK_WORDS)}, or declare it: `M: input[T, T] & mask`",
        )

    def activation(self, node: ast.expr) -> Activation:
        """Return the function of a matrix and of its feature axis that an activation's name means."""
        if isinstance(node, ast.Constant) and node.value is None:
            return lambda A, axis: A
        name = node.id if isinstance(node, ast.Name) else numpy_name(node) if isinstance(node, ast.Attribute) else None
        if name in self.scope.functions:
            function = self.scope.functions[name]
            if len(function.orders) == 1:
                return lambda A, axis: apply(function, A)
        found = activation_function(name)
        if found is not None:
            return found
        text = source(self.statement, node)
        help = did_you_mean(text, [*OPERATIONS, *self.scope.functions])
        raise self.fail(
            node,
            "O005",
            f"`{text}` is no activation",
            help or "write the name of an elementwise function, softmax or linear",
        )


def activation_function(name: str | None) -> Activation | None:
    """Return the activation called ``name`` as a function of a matrix and its feature axis; None if there is none."""
    if name in ("linear", "identity", "None"):
        return lambda A, axis: A
    if name == "softmax":
        return lambda A, axis: Softmax(A, sp.Integer(axis))
    entry = OPERATIONS.get(name or "")
    if entry is None or entry.parameters[0].name != "U" or any(p.kind != "scalar" for p in entry.parameters[1:]):
        return None
    defaults = {p.name: p.default for p in entry.parameters[1:]}
    return lambda A, axis: entry.build(None, U=A, **defaults)
