"""Sizes, indices and ranges as they are written: ``n+1``, ``n[l-1]``, ``T+1-t``, ``reversed(range(1, T+1))``."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import sympy as sp

from symbp.expr import SizeMember, affine, expanded, index, size
from symbp.language.diagnostics import Mistake, Stop
from symbp.language.lines import Statement
from symbp.language.forms import place, source
from symbp.language.scalars import add_scalars, checked, multiply_scalars, number, raise_scalar
from symbp.language.scope import Head, Scope

MOST_SIZE_NODES = 60
MOST_ITERATIONS = 10_000
"""Loops with numbers as ends are run when a counterexample is looked for."""


class Shapes:
    """Reads sizes, indices and ranges of one statement."""

    def __init__(self, scope: Scope, statement: Statement) -> None:
        self.scope, self.statement = scope, statement

    def fail(self, node: ast.AST | None, code: str, message: str, help: str = "", label: str = "") -> Stop:
        """Report an error at a node; the result is to be raised."""
        self.scope.report.add(code, message, place(self.statement, node), help, label)
        return Stop()

    # -- sizes -------------------------------------------------------------------------------------------
    def size(self, node: ast.expr) -> sp.Expr:
        """Return a size of a shape, at least 1 for all values of its symbols."""
        value = self.scalar(node, indices=False)
        if not value.is_number and self.scope.proves_at_least(value, 1):
            return value
        if value.is_Integer and value >= 1:
            return value
        if value.is_number:
            raise self.fail(node, "S021", f"a size is an integer of at least 1, not {value}")
        if not value.is_integer:
            raise self.fail(
                node,
                "S022",
                f"{source(self.statement, node)} is no polynomial of sizes",
                "give it a name and state its equation: `assert d == k*heads`, then write k",
            )
        names = sorted(s.name for s in value.free_symbols)
        raise self.fail(
            node,
            "S021",
            f"{source(self.statement, node)} cannot be shown to be at least 1",
            f"state a bound such as `assert {names[0] if names else 'n'} >= 2`",
        )

    def shape(
        self, nodes: tuple[ast.expr, ...], at: ast.AST | None, example: str = "name: input"
    ) -> tuple[sp.Expr, sp.Expr]:
        """Return rows and columns; one size alone, or three, is refused with the line that is meant."""
        if len(nodes) != 2:
            inside = [source(self.statement, n) for n in nodes]
            if len(nodes) == 1:
                raise self.fail(
                    at,
                    "S020",
                    "1-D arrays are not part of the language: a shape has rows and columns",
                    f"write `{example}[{inside[0]}, 1]` for a column, `{example}[1, {inside[0]}]` for a row",
                )
            raise self.fail(
                at,
                "S020",
                f"a shape has rows and columns, not {len(nodes)} sizes",
                "a third size becomes the index of a family: `for t in range(1, T+1): X[t]: input[n, m]`",
            )
        found, failed = [], False
        for node in nodes:
            try:
                found.append(expanded(self.size(node)))
            except Stop:
                failed = True
        if failed:
            raise Stop
        return found[0], found[1]

    def scalar(self, node: ast.expr, indices: bool) -> sp.Expr:
        """Return a polynomial of sizes and integers; with ``indices`` also of loop indices."""
        if sum(1 for _ in ast.walk(node)) > MOST_SIZE_NODES:
            raise self.fail(node, "L005", "a size or an index with too many parts")
        try:
            return checked(self._scalar(node, indices))
        except Mistake as mistake:
            self.scope.report.add_mistake(mistake, place(self.statement, node))
            raise Stop from None

    def _scalar(self, node: ast.expr, indices: bool) -> sp.Expr:
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            value = number(source(self.statement, node, longest=500))
            if not value.is_Integer:
                raise Mistake("S021", f"{source(self.statement, node)} is not an integer")
            return value
        if isinstance(node, ast.Name):
            return self._name(node, indices)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            return self._member(node, node.value.id)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            inner = self._scalar(node.operand, indices)
            return -inner if isinstance(node.op, ast.USub) else inner
        if isinstance(node, ast.BinOp):
            left, right = self._scalar(node.left, indices), self._scalar(node.right, indices)
            if isinstance(node.op, ast.Add):
                return add_scalars(left, right)
            if isinstance(node.op, ast.Sub):
                return add_scalars(left, -right)
            if isinstance(node.op, ast.Mult):
                return expanded(multiply_scalars(left, right))
            if isinstance(node.op, ast.Pow) and right.is_Integer and right >= 0:
                return expanded(raise_scalar(left, right))
            if isinstance(node.op, (ast.Div, ast.FloorDiv)):
                text = source(self.statement, node)
                raise Mistake(
                    "S022",
                    f"{text} is no polynomial of sizes",
                    f"give it a name and state its equation: `assert {source(self.statement, node.left)} == "
                    f"k*{source(self.statement, node.right)}`, then write k",
                )
        raise Mistake(
            "S023",
            f"`{source(self.statement, node)}` is no size" + (" and no index" if indices else ""),
            "sizes and indices are made of names, integers, + - * and **",
        )

    def _name(self, node: ast.Name, indices: bool) -> sp.Expr:
        scope, name = self.scope, node.id
        head = scope.head(name)
        if head is not None:
            if not indices:
                raise Mistake(
                    "S024",
                    f"a size cannot be the loop index {name}",
                    f"sizes that change with {name} are written n[{name}]",
                )
            return head.symbol
        if name in scope.sizes:
            return scope.sizes[name]
        if name in scope.size_families:
            raise Mistake("N010", f"the size {name} has an index", f"write {name}[l]")
        if name in scope.variables or name in scope.later or name in scope.declared:
            raise Mistake("N011", f"{name} is a variable, not a size")
        if name in scope.poisoned:
            raise Stop
        raise scope.unknown(name)

    def _member(self, node: ast.Subscript, name: str) -> sp.Expr:
        if name not in self.scope.size_families:
            if name in self.scope.sizes:
                raise Mistake("N010", f"the size {name} has no index elsewhere", f"write {name} or {name}[l], not both")
            raise Mistake("N011", f"{name} is no family of sizes", "an entry of a matrix is no size and no index")
        inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if len(inside) != self.scope.size_families[name]:
            raise Mistake("B005", f"the size {name} has {self.scope.size_families[name]} indices, not {len(inside)}")
        return SizeMember(name, *(expanded(self._scalar(i, True)) for i in inside))

    # -- indices and ranges ---------------------------------------------------------------------------------
    def index(self, node: ast.expr) -> sp.Expr:
        """Return an index expression: integers, sizes and loop indices, of degree 1."""
        return expanded(self.scalar(node, indices=True))

    def range(self, node: ast.expr, name: str, line: int, serial: int) -> Head:
        """Return the loop that ``for name in node`` makes; both ends included."""
        if name in self.scope.sizes or name in self.scope.size_families:
            raise self.fail(node, "N011", f"{name} is a size: a loop index needs a name of its own")
        if name in self.scope.declared or name in self.scope.later:
            raise self.fail(node, "N011", f"{name} is a variable: a loop index needs a name of its own")
        if self.scope.head(name) is not None:
            raise self.fail(node, "B006", f"{name} is already the index of a loop around", "take another name")
        turned = False
        inner = node
        while isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "reversed":
            if len(inner.args) != 1 or inner.keywords:
                raise self.fail(inner, "P015", "reversed takes one range", "write `reversed(range(1, T+1))`")
            turned, inner = not turned, inner.args[0]
        is_range = isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "range"
        if not is_range:
            raise self.fail(
                node,
                "P015",
                f"a loop runs over a range, not over `{source(self.statement, node)}`",
                f"write `for {name} in range(1, T+1):`",
            )
        assert isinstance(inner, ast.Call)
        if inner.keywords or not 1 <= len(inner.args) <= 3:
            raise self.fail(
                inner,
                "P015",
                "range takes one, two or three numbers",
                "range(first, last + 1), range(last, first - 1, -1)",
            )
        values = [self.bound(a) for a in inner.args]
        down = False
        if len(values) == 3:
            step = values[2]
            if step not in (1, -1):
                raise self.fail(
                    inner.args[2], "B008", f"a loop has step 1 or -1, not {step}", "write the index as `t + c`"
                )
            down = step == -1
        first = sp.S.Zero if len(values) == 1 else values[0]
        stop = values[0] if len(values) == 1 else values[1]
        lo, hi = (expanded(stop + 1), first) if down else (first, expanded(stop - 1))
        head = Head(name, index(name), lo, hi, down != turned, serial, line)
        if self.scope.iterations(head) > MOST_ITERATIONS:
            raise self.fail(
                node,
                "L007",
                f"loops of more than {MOST_ITERATIONS} iterations",
                "write the end as a size: `for t in range(1, T+1):`",
            )
        return head

    def bound(self, node: ast.expr) -> sp.Expr:
        """Return an end of a range: affine in sizes, free of loop indices."""
        value = self.index(node)
        inside = [h.name for h in self.scope.heads if value.has(h.symbol)]
        if inside:
            raise self.fail(
                node,
                "B008",
                f"the ends of a range depend on the loop index {inside[0]}",
                "ranges are boxes: their ends are made of sizes and integers only",
            )
        if affine(value) is None:
            raise self.fail(
                node, "B008", "the ends of a range are sizes and integers of degree 1", "give the product a name"
            )
        return value


def size_names(node: ast.AST, bound: frozenset[str]) -> Iterator[tuple[str, int, ast.AST]]:
    """Yield the names in a written size or range as ``(name, number of indices, node)``, without the bound ones."""
    stack = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, ast.Subscript) and isinstance(current.value, ast.Name):
            inside = current.slice.elts if isinstance(current.slice, ast.Tuple) else [current.slice]
            yield current.value.id, len(inside), current
            stack.extend(inside)
        elif isinstance(current, ast.Call):
            stack.extend(current.args)
        elif isinstance(current, ast.Name):
            if current.id not in bound:
                yield current.id, 0, current
        else:
            stack.extend(ast.iter_child_nodes(current))


def size_symbol(name: str) -> sp.Symbol:
    """Return the symbol of a size."""
    return size(name)
