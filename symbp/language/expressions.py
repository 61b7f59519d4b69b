"""From syntax to matrix expressions: NumPy's meaning, strict shapes, every error in its place.

A chain of ``+``, ``*`` or ``@`` becomes one operation.  Both sides of an operator are read even if one of them is
wrong, so that all errors of a line are found.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import sympy as sp

from symbp.expr import Compare, Node, ShapeError, T, common_shape, compare, plus, same_size, scaled, shape_text
from symbp.language.arithmetic import divide_values, is_mask, multiply_all, multiply_values, product, to_power
from symbp.language.calls import Calls
from symbp.language.diagnostics import Mistake, Stop
from symbp.language.forms import place, source
from symbp.language.operations import OPERATIONS
from symbp.language.scalars import Value, add_scalars, number
from symbp.language.subscripts import Subscripts
from symbp.language.terms import checked_value

DEEPEST = 130
"""Nested operands; brackets are limited before (each pair may nest two operations)."""

_COMPARISONS = {ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!="}
_REFUSED: dict[type[ast.expr], tuple[str, str]] = {
    ast.IfExp: ("`... if ... else ...`", "a choice by entries is `where(M, A, B)`"),
    ast.Lambda: ("a function without a name", "write `def f(x): return ...` above"),
    ast.ListComp: ("a list", "a sum of matrices is `sum(E for t in range(1, T+1))`"),
    ast.GeneratorExp: ("a generator", "a sum of matrices is `sum(E for t in range(1, T+1))`"),
    ast.SetComp: ("a set", ""),
    ast.DictComp: ("a dictionary", ""),
    ast.Dict: ("a dictionary", ""),
    ast.Set: ("a set", ""),
    ast.List: ("a list", "a matrix of numbers is declared: `M: const[2, 2] = [[1, 2], [3, 4]]`"),
    ast.Tuple: ("a tuple", "one expression for each equation"),
    ast.JoinedStr: ("a text", ""),
    ast.Await: ("`await`", ""),
    ast.Yield: ("`yield`", ""),
    ast.YieldFrom: ("`yield`", ""),
    ast.NamedExpr: ("`:=`", "write an equation of its own"),
    ast.Starred: ("`*name`", ""),
    ast.BoolOp: ("`and` and `or`", "conditions are multiplied: `(A > 0) * (B > 0)`"),
    ast.Slice: ("a slice", ""),
}


class Expressions(Subscripts, Calls):
    """Reads the expressions of one statement."""

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
                    link,
                    "O006",
                    "comparisons are not added",
                    "a comparison stands in `where` or as a 0/1 factor: `1*(A > 0)`",
                )
            term = (
                scaled(-1, value)
                if isinstance(link.op, ast.Sub) and isinstance(value, Node)
                else (-value if isinstance(link.op, ast.Sub) else value)
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
                    link,
                    "S002",
                    f"shapes differ: {shape_text(left)} and {shape_text(right.shape)}",
                    self.suggest_transpose(link, right, left),
                    f"({shape_text(left)}) {sign} ({shape_text(right.shape)})",
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
            if isinstance(link.op, ast.Mult):
                end = k
                while end < len(chain) and isinstance(chain[end].op, ast.Mult):
                    end += 1
                try:
                    result = checked_value(multiply_all([result, *values[k + 1 : end + 1]]))
                    k = end
                    continue
                except (ShapeError, Mistake):
                    pass  # one by one, to find the place
            left, right = result, values[k + 1]
            operation = divide_values if isinstance(link.op, ast.Div) else multiply_values
            try:
                result = checked_value(operation(left, right))
            except (ShapeError, Mistake) as error:
                if isinstance(error, Mistake):
                    self.scope.report.add_mistake(error, place(self.statement, link))
                    raise Stop from None
                assert isinstance(left, Node)
                assert isinstance(right, Node)
                sign = "/" if isinstance(link.op, ast.Div) else "*"
                help = self.suggest_transpose(link, right, left.shape)
                if left.cols == right.rows and sign == "*":
                    help = f"the matrix product is written `@` and has shape {left.rows} x {right.cols}"
                raise self.fail(
                    link,
                    "S002",
                    f"shapes differ: {shape_text(left.shape)} and {shape_text(right.shape)}",
                    help,
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
                    at,
                    "S008",
                    f"{source(self.statement, at)} is a scalar, no operand of `@`",
                    "a scalar factor is written with `*`",
                )
            if factors:
                left = factors[-1]
                if not same_size(left.cols, value.rows):
                    raise self.fail(
                        chain[k - 1],
                        "S001",
                        f"inner sizes differ: {left.cols} and {value.rows}",
                        self.suggest_product(chain[k - 1], factors, value),
                        f"({shape_text((factors[0].rows, left.cols))}) @ ({shape_text(value.shape)})",
                    )
            factors.append(value)
        return product(factors)

    def suggest_product(self, link: ast.BinOp, factors: Sequence[Node], right: Node) -> str:
        """Say which transpose would make a product fit, or that the other order does."""
        a, b = source(self.statement, link.left), source(self.statement, link.right)
        left, alone = factors[-1], len(factors) == 1
        before, behind = _wrapped(link.left, a), _wrapped(link.right, b)
        if left.cols == right.cols:
            text, shape = f"{before if alone else a} @ {behind}.T", (factors[0].rows, right.rows)
        elif alone and left.rows == right.rows:
            text, shape = f"{before}.T @ {behind}", (left.cols, right.cols)
        elif alone and left.rows == right.cols:
            text, shape = f"{behind} @ {before}", (right.rows, left.cols)
        else:
            return ""
        params = [v.name for v in self.scope.variables.values() if v.kind == "param" and v.shape == shape]
        return f"{text} has shape {shape_text(shape)}" + (f", the shape of {params[0]}" if params else "")

    def other_binary(self, node: ast.BinOp) -> Value:
        """Read powers and the operators on 0/1 matrices; refuse the rest of Python's operators."""
        if isinstance(node.op, ast.Pow):
            base, exponent = self.values([node.left, node.right])
            if isinstance(exponent, Node) and isinstance(node.right, ast.Name) and node.right.id == "T":
                raise self.fail(node, "O009", "`**T` is no transpose", f"write {source(self.statement, node.left)}.T")
            return self.guarded(node, lambda: checked_value(to_power(base, exponent)))
        if isinstance(node.op, ast.BitXor):
            left, right = source(self.statement, node.left), source(self.statement, node.right)
            help = (
                f"write {left}.T"
                if right in ("T", "t")
                else f"a power is written {left}**{right}, a transpose {left}.T"
            )
            raise self.fail(node, "O009", "`^` is not part of the language", help)
        if isinstance(node.op, (ast.BitAnd, ast.BitOr)):
            left_value, right_value = (self.matrix(n, "a logical operator") for n in (node.left, node.right))
            known = self.scope.is_mask
            if not (is_mask(left_value, known) and is_mask(right_value, known)):
                raise self.fail(
                    node, "O006", "`&` and `|` join comparisons", "write `(A > 0) & (B > 0)`, with brackets"
                )
            both = self.guarded(node, lambda: multiply_values(left_value, right_value))
            if isinstance(node.op, ast.BitAnd):
                return both
            return self.guarded(node, lambda: plus(left_value, right_value, scaled(-1, both)))
        signs = {ast.FloorDiv: "//", ast.Mod: "%", ast.LShift: "<<", ast.RShift: ">>"}
        sign = signs.get(type(node.op), type(node.op).__name__)
        raise self.fail(node, "O009", f"`{sign}` is not part of the language")

    def unary(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Invert):
            inner = self.matrix(node.operand, "`~`")
            if not is_mask(inner, self.scope.is_mask):
                raise self.fail(node, "O006", "`~` turns a comparison around", "write `~(A > 0)`, or `1 - M`")
            return plus(1, scaled(-1, inner))
        if isinstance(node.op, ast.Not):
            raise self.fail(
                node, "O007", "`not` is not part of the language", "turn the comparison around, or write `1 - M`"
            )
        value = self.value(node.operand)
        if isinstance(node.op, ast.UAdd):
            return value
        return scaled(-1, value) if isinstance(value, Node) else -value

    def comparison(self, node: ast.Compare) -> Value:
        if len(node.ops) != 1:
            raise self.fail(node, "O006", "a chain of comparisons", "multiply them: `(0 < A) * (A < 1)`")
        relation = _COMPARISONS.get(type(node.ops[0]))
        if relation is None:
            raise self.fail(node, "O007", "`in` and `is` are not part of the language")
        left, right = self.values([node.left, node.comparators[0]])
        if not isinstance(left, Node) and not isinstance(right, Node):
            raise self.fail(
                node, "O006", "a comparison of sizes has no entries", "conditions on sizes are stated: `assert T >= 3`"
            )
        return self.guarded(node, lambda: compare(relation, left, right))

    _readers: ClassVar[dict[type[ast.expr], Callable[[Any, Any], Value]]] = {
        ast.Constant: constant,
        ast.Name: name,
        ast.BinOp: binary,
        ast.UnaryOp: unary,
        ast.Compare: comparison,
        ast.Attribute: Subscripts.attribute,
        ast.Subscript: Subscripts.subscript,
        ast.Call: Calls.call,
    }


def _wrapped(node: ast.expr, text: str) -> str:
    return text if isinstance(node, (ast.Name, ast.Subscript, ast.Call, ast.Attribute)) else f"({text})"


def _last(node: ast.expr) -> ast.expr:
    """Return the operand that stands just before the operator behind ``node``."""
    while isinstance(node, ast.BinOp):
        node = node.right
    return node
