"""Attributes and subscripts: transposes, members of families, NumPy's slices of matrices."""

from __future__ import annotations

import ast

import sympy as sp

from symbp.expr import Node, Ref, Slice, T, Take, Transpose, expanded, is_one, same_size, scaled, shape_text
from symbp.language.arithmetic import split_coefficient
from symbp.language.diagnostics import Stop, did_you_mean
from symbp.language.forms import source
from symbp.language.operations import OPERATIONS
from symbp.language.scalars import Value
from symbp.language.terms import Terms, numpy_name


class Subscripts(Terms):
    """Reads ``A.T``, ``H[t-1]``, ``A[0:k, :]`` and ``X.shape[0]``."""

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
            return scaled(c, T(body))
        prefix = numpy_name(node)
        if prefix == "pi":
            return sp.pi
        if prefix == "e":
            return sp.E
        if prefix in ("inf", "nan", "newaxis"):
            raise self.fail(node, "O007", f"`{prefix}` is not part of the language", "numbers are finite and exact")
        if node.attr in ("t", "H", "transpose", "mT"):
            raise self.fail(
                node,
                "O008",
                f"`.{node.attr}` is not part of the language",
                f"write {source(self.statement, node.value)}.T",
            )
        if node.attr == "shape":
            raise self.fail(
                node, "O008", "a shape has two sizes: which one?", f"write {source(self.statement, node)}[0]"
            )
        help = did_you_mean(node.attr, [name for name, op in OPERATIONS.items() if op.method])
        raise self.fail(
            node,
            "O008",
            f"`.{node.attr}` is not part of the language",
            help or "matrices have `.T` and methods such as `.sum()`",
        )

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
                node,
                "S031",
                f"{name} is a family: a slice is taken of a member",
                f"write {name}[{of}][..., ...] with a `:`".replace("..., ...", "0:k, :"),
            )
        if len(inside) != len(var.indices):
            raise self.fail(
                node,
                "B005",
                f"{name} has {len(var.indices)} {'index' if len(var.indices) == 1 else 'indices'}, not {len(inside)}",
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
        if any(self.holds_numbers(i) for i in inside):
            return self.lookup(node, value, inside)
        slices = [isinstance(i, ast.Slice) for i in inside]
        written = [source(self.statement, i) if not isinstance(i, ast.Slice) else ":" for i in inside]
        if len(inside) == 1 and not slices[0]:
            raise self.fail(
                node,
                "S031",
                f"{text} is a matrix of shape {shape_text(value.shape)}, not a family: it takes two subscripts",
                f"a row is {text}[{one_wide(written[0])}, :], a column {text}[:, {one_wide(written[0])}]",
            )
        if any(slices) and not all(slices):
            fixed = [w if s else one_wide(w) for w, s in zip(written, slices, strict=True)]
            raise self.fail(
                node,
                "S020",
                "a subscript without `:` gives a 1-D array, which is not part of the language",
                f"write {text}[{', '.join(fixed)}]",
            )
        ends: list[sp.Expr] = []
        for k, extent in enumerate(value.shape):
            ends += self.interval(node, inside[k] if k < len(inside) else ast.Slice(None, None, None), extent)
        if ends == [0, value.rows, 0, value.cols]:
            return value
        return self.guarded(node, lambda: Slice(value, *ends))

    def holds_numbers(self, written: ast.expr) -> bool:
        """Tell whether a subscript is a variable that holds whole numbers, or a member or the transpose of one."""
        while isinstance(written, (ast.Attribute, ast.Subscript)):
            written = written.value
        var = self.scope.variables.get(written.id) if isinstance(written, ast.Name) else None
        return var is not None and "index" in var.facts

    def lookup(self, node: ast.Subscript, value: Node, inside: list[ast.expr]) -> Node:
        """Read columns or rows taken by number: ``E[:, ids]``, ``E[ids, :]``."""
        axis = 1 if len(inside) == 2 and self.holds_numbers(inside[1]) else 0
        other = inside[1 - axis] if len(inside) == 2 else None
        whole = isinstance(other, ast.Slice) and other.lower is None and other.upper is None and other.step is None
        if not whole:
            text = source(self.statement, node.value)
            name = source(self.statement, inside[axis])
            raise self.fail(
                node,
                "S031",
                "whole numbers take columns or rows, the other subscript is `:`",
                f"write {text}[:, {name}] for columns, {text}[{name}, :] for rows",
            )
        ids = self.numbers(inside[axis])
        named = ids.operands[0] if isinstance(ids, Transpose) else ids
        below = self.scope.variables[named.name].size if isinstance(named, Ref) else None
        if below is None:
            raise self.fail(
                inside[axis], "S032", "columns and rows are taken by all numbers of a variable", "write its name alone"
            )
        if not same_size(below, value.shape[axis]):
            raise self.fail(
                node,
                "S032",
                f"the numbers count from 0 below {below}, but there are {value.shape[axis]} "
                f"{('rows', 'columns')[axis]} to take",
            )
        if not is_one(ids.shape[1 - axis]) and is_one(ids.shape[axis]):
            ids = T(ids)
        return self.guarded(node, lambda: Take(value, ids, axis))

    def numbers(self, written: ast.expr) -> Node:
        """Return a variable that holds whole numbers, which stands nowhere but in a subscript."""
        self.inside_subscript = True
        try:
            return self.matrix(written, "a subscript")
        finally:
            self.inside_subscript = False

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
        span: sp.Expr = expanded(stop - first)
        if not (scope.proves_at_least(low, 0) and scope.proves_at_least(extent - high, 0)):
            raise self.fail(
                node,
                "S030",
                f"the slice {first}:{stop} cannot be shown to lie within 0..{extent}",
                "state a bound such as `assert n >= 3`, or write the last end as the size",
            )
        if not scope.proves_at_least(span, 1):
            raise self.fail(node, "S030", f"the slice {first}:{stop} cannot be shown to have an entry")
        if span.free_symbols & {h.symbol for h in scope.heads}:
            raise self.fail(node, "S024", f"the slice {first}:{stop} has a size that depends on a loop index")
        return [first, stop]


def one_wide(written: str) -> str:
    """Return the slice that holds one index: ``0:1``, ``k:k+1``, ``-1:``."""
    if written == "-1":
        return "-1:"
    return (
        f"{written}:{int(written) + 1}"
        if written.lstrip("-").isdigit() and len(written) < 9
        else f"{written}:{written}+1"
    )
