"""What the parts of the expression reader share: values, references, and errors in their places."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import sympy as sp

from symbp.expr import Node, Ref, ShapeError, shape_text
from symbp.language.arithmetic import split_coefficient
from symbp.language.diagnostics import Mistake, Stop
from symbp.language.forms import place
from symbp.language.lines import Statement
from symbp.language.operations import Parameter
from symbp.language.scalars import Value, checked
from symbp.language.scope import Scope
from symbp.language.shapes import Shapes


class Layer(Protocol):
    """A layer or a loss, as the reader sees it."""

    @property
    def name(self) -> str:
        """The name under which it is written."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What its signature states."""


WriteLayer = Callable[[Any, ast.Call, dict[str, Any]], Value]


class Terms:
    """The common part of the readers of expressions: one statement in its scope."""

    def __init__(
        self,
        scope: Scope,
        statement: Statement,
        layers: Mapping[str, Layer] | None = None,
        write_layer: WriteLayer | None = None,
    ) -> None:
        self.scope, self.statement = scope, statement
        self.shapes = Shapes(scope, statement)
        self.layers, self.write_layer = layers or {}, write_layer
        self.depth = 0
        self.inside_subscript = False
        self._line = statement.line

    def value(self, node: ast.expr) -> Value:
        """Return a matrix or an exact scalar; raise ``Stop`` after reporting what is wrong."""
        raise NotImplementedError

    def fail(self, node: ast.AST | None, code: str, message: str, help: str = "", label: str = "") -> Stop:
        """Report an error at a node; the result is to be raised."""
        return self.shapes.fail(node, code, message, help, label)

    def guarded(self, node: ast.AST, build: Callable[[], Value]) -> Value:
        """Build an expression; turn what does not fit into a diagnostic at ``node``."""
        try:
            return build()
        except Mistake as mistake:
            self.scope.report.add_mistake(mistake, place(self.statement, node))
        except ShapeError as error:
            shapes = " and ".join(shape_text(o.shape) for o in error.operands if isinstance(o, Node))
            self.fail(node, error.code, str(error), label=shapes if len(error.operands) > 1 else "")
        raise Stop

    def values(self, nodes: Sequence[ast.expr]) -> list[Value]:
        """Return several values; all are read even if one is wrong."""
        found, failed = [], False
        for node in nodes:
            try:
                found.append(self.value(node))
            except Stop:
                failed = True
        if failed:
            raise Stop
        return found

    def reference(self, node: ast.AST, name: str, indices: tuple[sp.Expr, ...]) -> Ref:
        """Return a read of a variable or a member, remembering its place."""
        var = self.scope.variables[name]
        if "index" in var.facts and not self.inside_subscript:
            raise self.fail(
                node,
                "S032",
                f"{name} holds whole numbers: it stands in a subscript and nowhere else",
                f"write `E[:, {name}]` for the columns of a matrix E that it names",
            )
        ref = self.scope.member(name, indices)
        self.scope.note(self._line, ref, place(self.statement, node))
        return ref

    def is_scalar(self, node: Node) -> bool:
        """Tell whether an expression is 1 x 1 and made of names that were declared without brackets."""
        if not node.is_scalar_shape:
            return False
        if isinstance(node, Ref):
            return self.scope.variables[node.name].scalar
        return bool(node.operands) and all(self.is_scalar(o) for o in node.operands)

    def matrix(self, node: ast.expr, what: str = "this") -> Node:
        """Return a matrix; refuse a number."""
        value = self.value(node)
        if isinstance(value, Node):
            return value
        raise self.fail(node, "O004", f"{what} wants a matrix, not the number {value}")


def checked_value(value: Value) -> Value:
    """Return the value; a scalar must be finite, real and small enough, a coefficient too."""
    if not isinstance(value, Node):
        return checked(sp.sympify(value, strict=True))
    c, _ = split_coefficient(value)
    checked(c)
    return value


def numpy_name(node: ast.expr) -> str | None:
    """Return ``exp`` for ``np.exp`` and ``norm`` for ``np.linalg.norm``; None for anything else."""
    if not isinstance(node, ast.Attribute):
        return None
    base = node.value
    if isinstance(base, ast.Attribute) and base.attr == "linalg":
        base = base.value
    return node.attr if isinstance(base, ast.Name) and base.id in ("np", "numpy") else None
