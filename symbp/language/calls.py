"""Calls: operations, methods, functions of the file, layers, sums over an index."""

from __future__ import annotations

import ast

import sympy as sp

from symbp.expr import Node, SumOver, apply, scaled
from symbp.language.arguments import Arguments
from symbp.language.arithmetic import split_coefficient
from symbp.language.diagnostics import Stop, did_you_mean
from symbp.language.forms import place, source
from symbp.language.operations import LATER, NEVER, OPERATIONS, Call, Operation, unknown_operation
from symbp.language.scalars import Value
from symbp.language.scope import Head
from symbp.language.terms import checked_value, numpy_name


class Calls(Arguments):
    """Reads ``name(...)`` and ``A.name(...)``."""

    def call(self, node: ast.Call) -> Value:
        func = node.func
        if isinstance(func, ast.Name):
            return self.called(node, func.id)
        if isinstance(func, ast.Attribute):
            name = numpy_name(func)
            if name is not None:
                return self.called(node, name, numpy=True)
            return self.method(node, func)
        raise self.fail(
            node, "O001", "this is no operation of the language", "write the name of an operation before `(`"
        )

    def called(self, node: ast.Call, name: str, numpy: bool = False) -> Value:
        """Read ``name(...)``: a function of the user, an operation, a layer."""
        if name in self.scope.poisoned:
            raise Stop
        if name in self.scope.functions and not numpy:
            return self.function(node, name)
        if name == "sum" and node.args and isinstance(node.args[0], (ast.GeneratorExp, ast.ListComp)):
            return self.sum_over(node, node.args[0])
        if name in self.layers and not numpy:
            if self.write_layer is None:
                raise self.fail(node, "O008", f"{name} writes equations: it cannot stand here")
            layer = self.layers[name]
            arguments = self.arguments(node, name, layer.parameters)
            return self.guarded(node, lambda: self.write_layer(layer, node, arguments))  # type: ignore[misc]
        entry = OPERATIONS.get(name)
        if entry is None:
            if name in self.scope.variables or name in self.scope.sizes or name in self.scope.private:
                help = f"a product is written `{name} * (...)` or `{name} @ (...)`, a member or a slice with `[ ]`"
                self.fail(node.func, "O008", f"{name} is not a function", help)
            else:
                names = [*self.scope.functions, *self.layers]
                self.scope.report.add_mistake(unknown_operation(name, names), place(self.statement, node.func))
            self.read_on(node)
            raise Stop
        return self.operation(node, entry, ())

    def read_on(self, node: ast.Call) -> None:
        """Read the arguments of a call that is wrong, for the errors in them."""
        for argument in node.args:
            if isinstance(argument, (ast.BinOp, ast.Call, ast.Name, ast.Subscript, ast.Attribute)):
                try:
                    if not (isinstance(argument, ast.Name) and argument.id in (*OPERATIONS, *self.scope.functions)):
                        self.value(argument)
                except Stop:
                    continue

    def method(self, node: ast.Call, func: ast.Attribute) -> Value:
        """Read ``A.name(...)``."""
        entry = OPERATIONS.get(func.attr)
        if entry is None or not entry.method:
            if func.attr in LATER or func.attr in NEVER or func.attr.startswith("__"):
                self.scope.report.add_mistake(unknown_operation(func.attr, ()), place(self.statement, func))
                raise Stop
            known = [name for name, op in OPERATIONS.items() if op.method]
            fallback = f"write `{func.attr}({source(self.statement, func.value)})`" if entry is not None else ""
            raise self.fail(
                func,
                "O008",
                f"`.{func.attr}(...)` is no method of the language",
                fallback or did_you_mean(func.attr, known),
            )
        base = self.matrix(func.value, f"`.{func.attr}`")
        return self.operation(node, entry, (base,))

    def operation(self, node: ast.Call, entry: Operation, first: tuple[Node, ...]) -> Value:
        arguments = self.arguments(node, entry.name, entry.parameters, first)
        call = Call(self.scope, self.statement, node)
        return self.guarded(node, lambda: checked_value(entry.build(call, **arguments)))

    def function(self, node: ast.Call, name: str) -> Value:
        """Apply a function that the file defines."""
        function = self.scope.functions[name]
        if node.keywords or len(node.args) != len(function.orders):
            count = len(function.orders)
            raise self.fail(
                node, "O003", f"{name} takes {count} argument{'s' if count > 1 else ''}, not {len(node.args)}"
            )
        values = self.values(node.args)
        if not any(isinstance(v, Node) for v in values):
            raise self.fail(
                node, "O004", f"{name} wants a matrix, not a number", "declare the number as a scalar: `s: input`"
            )
        return self.guarded(node, lambda: apply(function, *values))

    def sum_over(self, node: ast.Call, inner: ast.GeneratorExp | ast.ListComp) -> Value:
        """Read ``sum(E for t in range(1, T+1))``: a sum of matrices."""
        if len(node.args) != 1 or node.keywords:
            raise self.fail(node, "O003", "a sum over an index has no further argument")
        heads: list[Head] = []
        before = self.scope.sums
        try:
            for generator in inner.generators:
                if generator.ifs or generator.is_async or not isinstance(generator.target, ast.Name):
                    raise self.fail(
                        node,
                        "P015",
                        "a sum runs over one index, without a condition",
                        "write `sum(E[t] for t in range(1, T+1))`",
                    )
                head = self.shapes.range(generator.iter, generator.target.id, self._line, -1)
                heads.append(head)
                self.scope.sums = (*self.scope.sums, head)
            body = self.matrix(inner.elt, "a sum over an index")
        finally:
            self.scope.sums = before

        def build() -> Value:
            c, result = split_coefficient(body)
            if any(c.has(h.symbol) for h in heads):
                c, result = sp.S.One, body
            for head in reversed(heads):
                result = SumOver(result, head.symbol, head.lo, head.hi)
            return scaled(c, result)

        return self.guarded(node, build)
