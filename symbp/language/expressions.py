"""From syntax to matrix expressions: NumPy's meaning, strict shapes, every error in its place.

A chain of ``+``, ``*`` or ``@`` becomes one operation.  Both sides of an operator are read even if one of them is
wrong, so that all errors of a line are found.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import sympy as sp

from symbp.expr import (
    Compare, Node, Ref, ShapeError, Slice, SumOver, T, apply, common_shape, compare, expanded, is_one, plus,
    scaled, shape_text,
)
from symbp.language.catalogue import (
    SCALAR_FUNCTIONS, _divide, _plus, _times, is_mask, product, split_coefficient, to_power,
)
from symbp.language.diagnostics import Mistake, Stop, did_you_mean
from symbp.language.lines import Statement
from symbp.language.operations import Call, LATER, NEVER, OPERATIONS, Operation, Parameter, bind, unknown_operation
from symbp.language.parsing import place, source
from symbp.language.scalars import Value, add_scalars, checked, number
from symbp.language.scope import Head, Scope
from symbp.language.shapes import Shapes

DEEPEST = 130
"""Nested operands; brackets are limited before (each pair may nest two operations)."""

_COMPARISONS = {ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!="}
_REFUSED: dict[type[ast.expr], tuple[str, str]] = {
    ast.IfExp: ("`... if ... else ...`", "a choice by entries is `where(M, A, B)`"),
    ast.Lambda: ("a function without a name", "write `def f(x): return ...` above"),
    ast.ListComp: ("a list", "a sum of matrices is `sum(E for t in range(1, T+1))`"),
    ast.GeneratorExp: ("a generator", "a sum of matrices is `sum(E for t in range(1, T+1))`"),
    ast.SetComp: ("a set", ""), ast.DictComp: ("a dictionary", ""), ast.Dict: ("a dictionary", ""), ast.Set: ("a set", ""),
    ast.List: ("a list", "a matrix of numbers is declared: `M: const[2, 2] = [[1, 2], [3, 4]]`"),
    ast.Tuple: ("a tuple", "one expression for each equation"),
    ast.JoinedStr: ("a text", ""), ast.Await: ("`await`", ""), ast.Yield: ("`yield`", ""), ast.YieldFrom: ("`yield`", ""),
    ast.NamedExpr: ("`:=`", "write an equation of its own"), ast.Starred: ("`*name`", ""),
    ast.BoolOp: ("`and` and `or`", "conditions are multiplied: `(A > 0) * (B > 0)`"), ast.Slice: ("a slice", ""),
}


class Layer(Protocol):
    """A layer or a loss, as the reader sees it."""

    name: str
    parameters: tuple[Parameter, ...]


WriteLayer = Callable[[Any, ast.Call, dict[str, Any]], Value]


class Expressions:
    """Reads the expressions of one statement."""

    def __init__(
        self, scope: Scope, statement: Statement, layers: dict[str, Any] | None = None, write_layer: WriteLayer | None = None
    ) -> None:
        self.scope, self.statement = scope, statement
        self.shapes = Shapes(scope, statement)
        self.layers, self.write_layer = layers or {}, write_layer
        self.depth = 0
        self._line = statement.line

    # -- errors ------------------------------------------------------------------------------------------
    def fail(self, node: ast.AST, code: str, message: str, help: str = "", label: str = "") -> Stop:
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

    # -- values ------------------------------------------------------------------------------------------
    def value(self, node: ast.expr) -> Value:
        """Return a matrix or an exact scalar; raise ``Stop`` after reporting what is wrong."""
        self.depth += 1
        try:
            if self.depth > DEEPEST:
                raise self.fail(node, "L002", "the expression is nested too deep", "give a part of it a name")
            read = self._readers.get(type(node))
            if read is not None:
                return read(self, node)
            what, help = _REFUSED.get(type(node), (type(node).__name__.lower(), ""))
            raise self.fail(node, "O007", f"{what} is not part of the language", help)
        finally:
            self.depth -= 1

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

    def matrix(self, node: ast.expr, what: str = "this") -> Node:
        """Return a matrix; refuse a number."""
        value = self.value(node)
        if isinstance(value, Node):
            return value
        raise self.fail(node, "O004", f"{what} wants a matrix, not the number {value}")

    def constant(self, node: ast.Constant) -> Value:
        if type(node.value) in (int, float):
            text = source(self.statement, node, longest=2000)
            return self.guarded(node, lambda: number(text))
        if node.value is Ellipsis:
            raise self.fail(node, "O007", "`...` is not part of the language")
        what = "a text" if isinstance(node.value, (str, bytes)) else f"`{node.value}`"
        raise self.fail(node, "O007", f"{what} is no matrix and no number")

    def name(self, node: ast.Name) -> Value:
        scope, name = self.scope, node.id
        if name in scope.poisoned:
            raise Stop
        var = scope.variables.get(name)
        private = scope.private_here(name) if name in scope.private else None
        if private is not None:
            return self.reference(node, private.variable, tuple(h.symbol for h in private.loops))
        if var is not None and name not in scope.private:
            if var.indices:
                inside = ", ".join(str(i) for i in var.indices)
                raise self.fail(node, "B005", f"{name} is a family: which member?", f"write {name}[{inside}]")
            return self.reference(node, name, ())
        head = scope.head(name)
        if head is not None:
            return head.symbol
        if name in scope.sizes:
            return scope.sizes[name]
        if name in scope.size_families:
            raise self.fail(node, "N010", f"the size {name} has an index", f"write {name}[l]")
        if name == "pi":
            return sp.pi
        if name in OPERATIONS or name in scope.functions or name in self.layers:
            raise self.fail(node, "O008", f"{name} is a function: of what?", f"write `{name}(...)`")
        return self.guarded(node, lambda: self._raise(scope.unknown(name, OPERATIONS)))

    @staticmethod
    def _raise(mistake: Mistake) -> Value:
        raise mistake

    def reference(self, node: ast.AST, name: str, indices: tuple[sp.Expr, ...]) -> Ref:
        """Return a read of a variable or a member, remembering its place."""
        var = self.scope.variables[name]
        if "index" in var.facts:
            raise self.fail(node, "O002", f"{name} holds integers: gathering from it comes with a later version")
        ref = self.scope.member(name, indices)
        self.scope.note(self._line, ref, place(self.statement, node))
        return ref

    # -- operators ---------------------------------------------------------------------------------------
    def binary(self, node: ast.BinOp) -> Value:
        """Read a chain of operators of one rank, from the left, without recursion along the chain."""
        ranks = ((ast.Add, ast.Sub), (ast.Mult, ast.Div, ast.MatMult))
        rank = next((r for r in ranks if isinstance(node.op, r)), None)
        if rank is None:
            return self.other_binary(node)
        chain: list[ast.BinOp] = []
        current: ast.expr = node
        while isinstance(current, ast.BinOp) and isinstance(current.op, rank):
            chain.append(current)
            current = current.left
        chain.reverse()
        values = self.values([current, *(link.right for link in chain)])
        return self.sums(chain, values) if rank is ranks[0] else self.products(chain, values)

    def sums(self, chain: list[ast.BinOp], values: list[Value]) -> Value:
        """Return ``a + b - c ...`` as one sum."""
        terms: list[Value] = [values[0]]
        for link, value in zip(chain, values[1:], strict=True):
            if isinstance(value, Compare) and isinstance(terms[-1], Compare):
                raise self.fail(
                    link, "O006", "comparisons are not added", "a comparison stands in `where` or as a 0/1 factor: `1*(A > 0)`"
                )
            term = scaled(-1, value) if isinstance(link.op, ast.Sub) and isinstance(value, Node) else (
                -value if isinstance(link.op, ast.Sub) else value
            )
            if len(terms) == 1 and not isinstance(terms[0], Node) and not isinstance(term, Node):
                first = terms[0]
                terms = [self.guarded(link, lambda a=first, b=term: add_scalars(a, b))]  # type: ignore[misc]
            else:
                terms.append(term)
        if len(terms) == 1:
            return terms[0]
        try:
            return plus(*terms)
        except ShapeError:
            pass
        for k, link in enumerate(chain, 2):  # which term is the first that does not fit?
            try:
                common_shape(*values[:k])
            except ShapeError:
                left, right = common_shape(*values[: k - 1]), values[k - 1]
                assert isinstance(right, Node)
                sign = "-" if isinstance(link.op, ast.Sub) else "+"
                raise self.fail(
                    link, "S002", f"shapes differ: {shape_text(left)} and {shape_text(right.shape)}",
                    self.suggest_transpose(link, right, left), f"({shape_text(left)}) {sign} ({shape_text(right.shape)})",
                ) from None
        raise AssertionError(chain)

    def suggest_transpose(self, link: ast.BinOp, right: Node, wanted: tuple[sp.Expr, sp.Expr]) -> str:
        """Say that a transpose would fit, if it would."""
        try:
            if common_shape(T(right)) and right.shape[::-1] == wanted:
                return f"{source(self.statement, link.right)}.T has shape {shape_text(wanted)}"
        except ShapeError:
            pass
        return "a size of 1 is broadcast, any other size is not"

    def products(self, chain: list[ast.BinOp], values: list[Value]) -> Value:
        """Return ``a * b / c @ d ...``, from the left; runs of one operator become one operation."""
        result = values[0]
        k = 0
        while k < len(chain):
            link = chain[k]
            if isinstance(link.op, ast.MatMult):
                end = k
                while end < len(chain) and isinstance(chain[end].op, ast.MatMult):
                    end += 1
                result = self.matrix_product(chain[k:end], [result, *values[k + 1 : end + 1]])
                k = end
                continue
            left, right = result, values[k + 1]
            operation = _divide if isinstance(link.op, ast.Div) else _times
            try:
                result = checked_value(operation(left, right))
            except (ShapeError, Mistake) as error:
                if isinstance(error, Mistake):
                    self.scope.report.add_mistake(error, place(self.statement, link))
                    raise Stop from None
                assert isinstance(left, Node) and isinstance(right, Node)
                sign = "/" if isinstance(link.op, ast.Div) else "*"
                help = self.suggest_transpose(link, right, left.shape)
                if left.cols == right.rows and sign == "*":
                    help = f"the matrix product is written `@` and has shape {left.rows} x {right.cols}"
                raise self.fail(
                    link, "S002", f"shapes differ: {shape_text(left.shape)} and {shape_text(right.shape)}", help,
                    f"({shape_text(left.shape)}) {sign} ({shape_text(right.shape)})",
                ) from None
            k += 1
        return result

    def matrix_product(self, chain: list[ast.BinOp], values: list[Value]) -> Node:
        """Return ``A @ B @ C`` as one product."""
        operands = [chain[0].left, *(link.right for link in chain)]
        factors: list[Node] = []
        for k, (operand, value) in enumerate(zip(operands, values, strict=True)):
            if not isinstance(value, Node) or self.is_scalar(value):
                at = operand if k else _last(operand)
                raise self.fail(
                    at, "S008", f"{source(self.statement, at)} is a scalar, no operand of `@`", "a scalar factor is written with `*`"
                )
            if factors:
                left = factors[-1]
                if not (left.cols == value.rows or expanded(left.cols - value.rows) == 0):
                    first = factors[0] if len(factors) == 1 else None
                    raise self.fail(
                        chain[k - 1], "S001", f"inner sizes differ: {left.cols} and {value.rows}",
                        self.suggest_product(chain[k - 1], first, left, value),
                        f"({shape_text((factors[0].rows, left.cols))}) @ ({shape_text(value.shape)})",
                    )
            factors.append(value)
        return product(None, factors)

    def suggest_product(self, link: ast.BinOp, first: Node | None, left: Node, right: Node) -> str:
        """Say which transpose would make a product fit."""
        a, b = source(self.statement, link.left), source(self.statement, link.right)
        candidates = []
        if left.cols == right.cols:
            candidates.append((f"{a} @ {_wrapped(link.right, b)}.T", (left.rows, right.rows)))
        if first is not None and left.rows == right.rows:
            candidates.append((f"{_wrapped(link.left, a)}.T @ {b}", (left.cols, right.cols)))
        if first is not None and right.cols == left.rows:
            candidates.append((f"{b} @ {_wrapped(link.left, a)}", (right.rows, left.cols)))
        if first is not None and left.rows == right.cols:
            candidates.append((f"{_wrapped(link.left, a)}.T @ {_wrapped(link.right, b)}.T", (left.cols, right.rows)))
        if not candidates:
            return ""
        text, shape = candidates[0]
        params = [v.name for v in self.scope.variables.values() if v.kind == "param" and v.shape == shape]
        return f"{text} has shape {shape_text(shape)}" + (f", the shape of {params[0]}" if params else "")

    def is_scalar(self, node: Node) -> bool:
        """Tell whether an expression is 1 x 1 and made of names that were declared without brackets."""
        if not node.is_scalar_shape:
            return False
        if isinstance(node, Ref):
            return self.scope.variables[node.name].scalar
        return bool(node.operands) and all(self.is_scalar(o) for o in node.operands)

    def other_binary(self, node: ast.BinOp) -> Value:
        """Read powers and the operators on 0/1 matrices; refuse the rest of Python's operators."""
        if isinstance(node.op, ast.Pow):
            base, exponent = self.values([node.left, node.right])
            if isinstance(exponent, Node) and isinstance(node.right, ast.Name) and node.right.id == "T":
                raise self.fail(node, "O009", "`**T` is no transpose", f"write {source(self.statement, node.left)}.T")
            return self.guarded(node, lambda: checked_value(to_power(base, exponent)))
        if isinstance(node.op, ast.BitXor):
            left, right = source(self.statement, node.left), source(self.statement, node.right)
            help = f"write {left}.T" if right in ("T", "t") else f"a power is written {left}**{right}, a transpose {left}.T"
            raise self.fail(node, "O009", "`^` is not part of the language", help)
        if isinstance(node.op, (ast.BitAnd, ast.BitOr)):
            left_value, right_value = (self.matrix(n, "a logical operator") for n in (node.left, node.right))
            call = self._call_of(node)
            if not (is_mask(call, left_value) and is_mask(call, right_value)):
                raise self.fail(node, "O006", "`&` and `|` join comparisons", "write `(A > 0) & (B > 0)`, with brackets")
            both = self.guarded(node, lambda: _times(left_value, right_value))
            if isinstance(node.op, ast.BitAnd):
                return both
            return self.guarded(node, lambda: plus(left_value, right_value, scaled(-1, both)))  # type: ignore[arg-type]
        signs = {ast.FloorDiv: "//", ast.Mod: "%", ast.LShift: "<<", ast.RShift: ">>"}
        sign = signs.get(type(node.op), type(node.op).__name__)
        raise self.fail(node, "O009", f"`{sign}` is not part of the language")

    def _call_of(self, node: ast.AST) -> Call:
        return Call(self.scope, self.statement, node)  # type: ignore[arg-type]

    def unary(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Invert):
            inner = self.matrix(node.operand, "`~`")
            if not is_mask(self._call_of(node), inner):
                raise self.fail(node, "O006", "`~` turns a comparison around", "write `~(A > 0)`, or `1 - M`")
            return plus(1, scaled(-1, inner))
        if isinstance(node.op, ast.Not):
            raise self.fail(node, "O007", "`not` is not part of the language", "turn the comparison around, or write `1 - M`")
        value = self.value(node.operand)
        if isinstance(node.op, ast.UAdd):
            return value
        return scaled(-1, value) if isinstance(value, Node) else -value

    def comparison(self, node: ast.Compare) -> Value:
        if len(node.ops) != 1:
            raise self.fail(
                node, "O006", "a chain of comparisons", "multiply them: `(0 < A) * (A < 1)`"
            )
        relation = _COMPARISONS.get(type(node.ops[0]))
        if relation is None:
            raise self.fail(node, "O007", "`in` and `is` are not part of the language")
        left, right = self.values([node.left, node.comparators[0]])
        if not isinstance(left, Node) and not isinstance(right, Node):
            raise self.fail(node, "O006", "a comparison of sizes has no entries", "conditions on sizes are stated: `assert T >= 3`")
        return self.guarded(node, lambda: compare(relation, left, right))

    # -- attributes and subscripts ---------------------------------------------------------------------------
    def attribute(self, node: ast.Attribute) -> Value:
        if node.attr == "T":
            links = 0
            current: ast.expr = node
            while isinstance(current, ast.Attribute) and current.attr == "T":
                links, current = links + 1, current.value
            value = self.value(current)
            if not isinstance(value, Node):
                raise self.fail(node, "O004", "a number has no transpose")
            if self.is_scalar(value) or links % 2 == 0:
                return value
            c, body = split_coefficient(value)
            return scaled(c, T(body))  # type: ignore[arg-type]
        prefix = _numpy_name(node)
        if prefix == "pi":
            return sp.pi
        if prefix == "e":
            return sp.E
        if prefix in ("inf", "nan", "newaxis"):
            raise self.fail(node, "O007", f"`{prefix}` is not part of the language", "numbers are finite and exact")
        if node.attr in ("t", "H", "transpose", "mT"):
            raise self.fail(node, "O008", f"`.{node.attr}` is not part of the language", f"write {source(self.statement, node.value)}.T")
        if node.attr == "shape":
            raise self.fail(node, "O008", "a shape has two sizes: which one?", f"write {source(self.statement, node)}[0]")
        help = did_you_mean(node.attr, [name for name, op in OPERATIONS.items() if op.method])
        raise self.fail(node, "O008", f"`.{node.attr}` is not part of the language", help or "matrices have `.T` and methods such as `.sum()`")

    def subscript(self, node: ast.Subscript) -> Value:
        inside = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        base = node.value
        if isinstance(base, ast.Attribute) and base.attr == "shape":
            return self.shape_entry(node, base, inside)
        if isinstance(base, ast.Name):
            name = base.id
            if name in self.scope.poisoned:
                raise Stop
            var = self.scope.variables.get(name)
            if var is not None and var.indices and name not in self.scope.private:
                return self.member(node, name, inside)
            if name in self.scope.size_families and var is None:
                return self.shapes.scalar(node, indices=True)
        return self.block(node, self.matrix(base, "a subscript"), inside)

    def member(self, node: ast.Subscript, name: str, inside: list[ast.expr]) -> Value:
        """Read a member of a family."""
        var = self.scope.variables[name]
        if any(isinstance(i, ast.Slice) for i in inside):
            of = ", ".join(str(i) for i in var.indices)
            raise self.fail(
                node, "S031", f"{name} is a family: a slice is taken of a member", f"write {name}[{of}][..., ...] with a `:`".replace("..., ...", "0:k, :")
            )
        if len(inside) != len(var.indices):
            raise self.fail(
                node, "B005", f"{name} has {len(var.indices)} {'index' if len(var.indices) == 1 else 'indices'}, not {len(inside)}",
                f"write {name}[{', '.join(str(i) for i in var.indices)}]",
            )
        found = []
        for i in inside:
            found.append(self.shapes.index(i))
        return self.reference(node, name, tuple(found))

    def shape_entry(self, node: ast.Subscript, base: ast.Attribute, inside: list[ast.expr]) -> Value:
        matrix = self.matrix(base.value, "`.shape`")
        which = self.shapes.index(inside[0]) if len(inside) == 1 else None
        if which not in (0, 1, -1, -2):
            raise self.fail(node, "O008", "a shape has the entries 0 (rows) and 1 (columns)")
        return matrix.shape[int(which)]

    def block(self, node: ast.Subscript, value: Node, inside: list[ast.expr]) -> Value:
        """Read NumPy's slices of a matrix: ``A[0:k, :]``, an entry ``A[i, j]`` as a 1 x 1 matrix."""
        text = source(self.statement, node.value)
        if len(inside) > 2:
            raise self.fail(node, "S031", f"a matrix takes two subscripts, not {len(inside)}")
        slices = [isinstance(i, ast.Slice) for i in inside]
        written = [source(self.statement, i) if not isinstance(i, ast.Slice) else ":" for i in inside]
        if len(inside) == 1 and not slices[0]:
            raise self.fail(
                node, "S031", f"{text} is a matrix of shape {shape_text(value.shape)}, not a family: it takes two subscripts",
                f"a row is {text}[{_one_wide(written[0])}, :], a column {text}[:, {_one_wide(written[0])}]",
            )
        if any(slices) and not all(slices):
            fixed = [w if s else _one_wide(w) for w, s in zip(written, slices, strict=True)]
            raise self.fail(
                node, "S020", "a subscript without `:` gives a 1-D array, which is not part of the language",
                f"write {text}[{', '.join(fixed)}]",
            )
        ends: list[sp.Expr] = []
        for k, extent in enumerate(value.shape):
            ends += self.interval(node, inside[k] if k < len(inside) else ast.Slice(None, None, None), extent)
        if ends == [0, value.rows, 0, value.cols]:
            return value
        return self.guarded(node, lambda: Slice(value, *ends))

    def interval(self, node: ast.AST, written: ast.expr, extent: sp.Expr) -> list[sp.Expr]:
        """Return first and last + 1 of a slice, shown to lie within 0..extent."""
        if isinstance(written, ast.Slice):
            if written.step is not None:
                raise self.fail(node, "S031", "a slice has step 1", "leave the step out")
            first = self.shapes.index(written.lower) if written.lower is not None else sp.S.Zero
            stop = self.shapes.index(written.upper) if written.upper is not None else extent
        else:
            first = self.shapes.index(written)
            stop = first + 1
            if first.is_Integer and first < 0:
                stop = first + 1 if first < -1 else extent
        first, stop = (expanded(extent + e) if e.is_Integer and e < 0 else e for e in (first, stop))
        scope = self.scope
        low, _ = scope.extremes(first)
        _, high = scope.extremes(stop)
        span = expanded(stop - first)
        if not (scope.proves_at_least(low, 0) and scope.proves_at_least(extent - high, 0)):
            raise self.fail(
                node, "S030", f"the slice {first}:{stop} cannot be shown to lie within 0..{extent}",
                "state a bound such as `assert n >= 3`, or write the last end as the size",
            )
        if not scope.proves_at_least(span, 1):
            raise self.fail(node, "S030", f"the slice {first}:{stop} cannot be shown to have an entry")
        if any(span.has(h.symbol) for h in scope.heads):
            raise self.fail(node, "S024", f"the slice {first}:{stop} has a size that depends on a loop index")
        return [first, stop]

    # -- calls -------------------------------------------------------------------------------------------
    def call(self, node: ast.Call) -> Value:
        func = node.func
        if isinstance(func, ast.Name):
            return self.called(node, func.id)
        if isinstance(func, ast.Attribute):
            name = _numpy_name(func)
            if name is not None:
                return self.called(node, name, numpy=True)
            return self.method(node, func)
        raise self.fail(node, "O001", "this is no operation of the language", "write the name of an operation before `(`")

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
                func, "O008", f"`.{func.attr}(...)` is no method of the language", fallback or did_you_mean(func.attr, known)
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
            raise self.fail(node, "O003", f"{name} takes {count} argument{'s' if count > 1 else ''}, not {len(node.args)}")
        values = self.values(node.args)
        if not any(isinstance(v, Node) for v in values):
            raise self.fail(node, "O004", f"{name} wants a matrix, not a number", "declare the number as a scalar: `s: input`")
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
                        node, "P015", "a sum runs over one index, without a condition", "write `sum(E[t] for t in range(1, T+1))`"
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
            return scaled(c, result)  # type: ignore[arg-type]

        return self.guarded(node, build)

    # -- arguments ---------------------------------------------------------------------------------------
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
            nodes = given if isinstance(given, list) else list(given.elts) if isinstance(given, (ast.Tuple, ast.List)) else [given]
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
        if kind == "matrix":
            return self.matrix(given, what)
        if kind == "value":
            return self.value(given)
        if kind == "scalar":
            value = self.value(given)
            if isinstance(value, Node):
                raise self.fail(given, "O005", f"{what} is an exact number, not a matrix", "write the number, for example 0.01")
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
        if isinstance(given, ast.Constant) and isinstance(given.value, (str, int)) or (
            isinstance(given, ast.Constant) and given.value is None
        ):
            return given.value
        raise self.fail(given, "O005", f"{what} is a word in quotes")

    def as_matrix(self, value: Value, node: ast.expr, what: str) -> Node:
        """Return a matrix; refuse a number."""
        if isinstance(value, Node):
            return value
        raise self.fail(node, "O004", f"{what} wants matrices, not the number {value}", "write `ones(1, 1)` or a shape of its own")

    def shape_argument(self, name: str, nodes: list[ast.expr], call: ast.Call) -> tuple[sp.Expr | None, sp.Expr | None]:
        """Read two sizes; -1 stands for the size that fits, in a reshape."""
        if len(nodes) != 2:
            inside = source(self.statement, nodes[0]) if nodes else "n"
            raise self.fail(call, "S020", f"{name}: a shape has rows and columns", f"write `({inside}, 1)` for a column")
        found: list[sp.Expr | None] = []
        for node in nodes:
            minus_one = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and source(self.statement, node) == "-1"
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
        raise self.fail(node, "O005", f"{name}: axis is 0 (down the rows) or 1 (along the columns)", "a matrix has two axes")

    def activation(self, node: ast.expr) -> Callable[[Node, int], Node]:
        """Return the function of a matrix and of its feature axis that an activation's name means."""
        if isinstance(node, ast.Constant) and node.value is None:
            return lambda A, axis: A
        name = node.id if isinstance(node, ast.Name) else _numpy_name(node) if isinstance(node, ast.Attribute) else None
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
            node, "O005", f"`{text}` is no activation", help or "write the name of an elementwise function, softmax or linear"
        )

    _readers: dict[type[ast.expr], Callable[[Any, Any], Value]] = {
        ast.Constant: constant, ast.Name: name, ast.BinOp: binary, ast.UnaryOp: unary, ast.Compare: comparison,
        ast.Attribute: attribute, ast.Subscript: subscript, ast.Call: call,
    }


def activation_function(name: str | None) -> Callable[[Node, int], Node] | None:
    """Return the activation called ``name`` as a function of a matrix and its feature axis; None if there is none."""
    from symbp.expr import Softmax

    if name in ("linear", "identity", "None"):
        return lambda A, axis: A
    if name == "softmax":
        return lambda A, axis: Softmax(A, sp.Integer(axis))
    entry = OPERATIONS.get(name or "")
    if entry is None or entry.parameters[0].name != "U" or any(p.kind != "scalar" for p in entry.parameters[1:]):
        return None
    defaults = {p.name: p.default for p in entry.parameters[1:]}
    return lambda A, axis: entry.build(None, U=A, **defaults)  # type: ignore[no-any-return]


def checked_value(value: Value) -> Value:
    """Return the value; a scalar must be finite, real and small enough, a coefficient too."""
    if not isinstance(value, Node):
        return checked(sp.sympify(value, strict=True))
    c, _ = split_coefficient(value)
    checked(c)
    return value


def _numpy_name(node: ast.expr) -> str | None:
    """Return ``exp`` for ``np.exp`` and ``norm`` for ``np.linalg.norm``; None for anything else."""
    if not isinstance(node, ast.Attribute):
        return None
    base = node.value
    if isinstance(base, ast.Attribute) and base.attr == "linalg":
        base = base.value
    return node.attr if isinstance(base, ast.Name) and base.id in ("np", "numpy") else None


def _one_wide(written: str) -> str:
    """Return the slice that holds one index: ``0:1``, ``k:k+1``, ``-1:``."""
    if written == "-1":
        return "-1:"
    return f"{written}:{int(written) + 1}" if written.lstrip("-").isdigit() and len(written) < 9 else f"{written}:{written}+1"


def _wrapped(node: ast.expr, text: str) -> str:
    return text if isinstance(node, (ast.Name, ast.Subscript, ast.Call, ast.Attribute)) else f"({text})"


def _last(node: ast.expr) -> ast.expr:
    """Return the operand that stands just before the operator behind ``node``."""
    while isinstance(node, ast.BinOp):
        node = node.right
    return node
