"""Reading one line of a work: its expression, and which variable of which shape it assigns."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

import sympy as sp

from symbp.expr import Node, as_node, index, shape_text
from symbp.language.diagnostics import Diagnostic, Mistake
from symbp.language.expressions import Expressions
from symbp.language.families import PieceShape, pattern
from symbp.language.forms import Assign
from symbp.language.reader import LAYER_TABLE
from symbp.language.scope import Head, Private, Scope
from symbp.program import Var, fresh_name
from symbp.verify.check.anchors import Names
from symbp.verify.check.spelling import stated
from symbp.verify.check.truth import Truth


@dataclass
class Entry:
    """A line as it was read: its parts, the loops around it, its value as an expression or what is wrong with it."""

    parsed: Assign
    heads: tuple[Head, ...]
    subscripts: tuple[sp.Expr, ...] = ()
    variable: str = ""
    value: Node | None = None
    wrong: Diagnostic | None = None

    def names(self) -> set[str]:
        """Return the names that stand on its right side."""
        assert self.parsed.value is not None
        return {n.id for n in ast.walk(self.parsed.value) if isinstance(n, ast.Name)}


class Turned(Exception):
    """Thrown where a family lies transposed, beside how its name says that it lies."""

    def __init__(self, variable: Var) -> None:
        super().__init__(variable.name)
        self.variable = variable


@dataclass
class LineReading:
    """Reads lines in a scope, which grows by what they assign.

    original: the lines as they were written.
    scope:    what is known so far.
    names:    what the names of gradients mean.
    upright:  lines of which the transpose of a gradient is not taken.
    turned:   families that are known to lie transposed.
    """

    original: Sequence[str]
    scope: Scope
    names: Names
    truth: Truth
    upright: frozenset[int] = frozenset()
    turned: set[str] = field(default_factory=set)

    def read(self, entry: Entry) -> None:
        """Read subscripts, value and target of a line."""
        p = entry.parsed
        assert p.value is not None
        reader = Expressions(self.scope, p.statement, LAYER_TABLE)
        entry.subscripts = tuple(reader.shapes.index(s) for s in p.subscripts)
        entry.value = as_node(reader.value(p.value))
        entry.variable = self._target(entry, entry.value)

    def _target(self, entry: Entry, value: Node) -> str:
        """Return the variable that a line assigns, making it if it is new or of another shape than the network's."""
        scope, p, shape = self.scope, entry.parsed, value.shape
        name, known = p.name, scope.variables.get(p.name)
        self._fits_its_name(entry, shape)
        if p.subscripts:
            formals = known.indices if known is not None else self._formals(entry)
            if len(formals) != len(p.subscripts):
                raise Mistake("B005", f"{name} has {len(formals)} indices, not {len(p.subscripts)}")
            rows, cols = self._pattern(entry, shape, formals)
            if known is not None and name not in self.names.variables:
                at = dict(zip(formals, entry.subscripts, strict=True))
                wanted = (known.rows.xreplace(at), known.cols.xreplace(at))
                if wanted == shape[::-1] != shape and name not in self.turned:
                    # Its name said how it lies; who read it by that is read again.
                    raise Turned(Var(name, known.cols, known.rows, formals))
                if wanted != shape:
                    raise Mistake(
                        "S010", f"{name} is {shape_text(wanted)} elsewhere but its right side is {shape_text(shape)}"
                    )
            if known is None or (name in self.names.variables and (rows, cols) != known.shape):
                scope.define(Var(name, rows, cols, formals))
            return name
        if entry.heads:
            symbols = tuple(h.symbol for h in entry.heads)
            chosen = name if known is None else fresh_name(name, scope.variables)
            scope.define(Var(chosen, *shape, indices=symbols))
            scope.private.setdefault(name, []).append(Private(chosen, entry.heads))
            return chosen
        scope.define(Var(name, *shape))
        scope._members.pop((name, ()), None)
        return name

    def _fits_its_name(self, entry: Entry, shape: tuple[sp.Expr, sp.Expr]) -> None:
        """Refuse a gradient that has neither the shape of its variable nor that of its transpose."""
        meaning = self.names.gradient(entry.parsed.name)
        var = self.truth.variables[meaning[1]] if meaning is not None else None
        if meaning is None or var is None or stated(self.original[entry.parsed.statement.line - 1]):
            return
        wanted = self.shape_at(var, entry)
        if wanted is None:
            return
        forced = id(entry.parsed) in self.upright
        if shape != wanted and (forced or shape != wanted[::-1]):
            label = f"({shape_text(shape)}), not ({shape_text(wanted)})"
            raise Mistake("S010", f"the gradient of {meaning[1]} has the shape of {meaning[1]}", label=label)

    def lies_transposed(self, entry: Entry) -> bool:
        """Tell whether a line gives the transpose of the gradient that its name says."""
        meaning = self.names.gradient(entry.parsed.name)
        wanted = self.shape_at(self.truth.variables[meaning[1]], entry) if meaning is not None else None
        return entry.value is not None and wanted is not None and entry.value.shape == wanted[::-1] != wanted

    def shape_at(self, var: Var, entry: Entry) -> tuple[sp.Expr, sp.Expr] | None:
        """Return the shape of the member of a variable that a line of the same indices is about."""
        if not var.indices:
            return var.shape if not entry.subscripts else None
        inside: tuple[sp.Expr, ...] = entry.subscripts or tuple(h.symbol for h in entry.heads)
        if len(inside) != len(var.indices):
            constant = not any(s.free_symbols & set(var.indices) for s in var.shape)
            return var.shape if constant and not entry.subscripts else None
        at = dict(zip(var.indices, inside, strict=True))
        return var.rows.xreplace(at), var.cols.xreplace(at)

    def _formals(self, entry: Entry) -> tuple[sp.Symbol, ...]:
        spare = iter(x for x in "tlsijkpqruvw" if x not in {h.name for h in entry.heads})
        heads = {h.symbol for h in entry.heads}
        return tuple(
            next((s for s in sorted(i.free_symbols, key=str) if s in heads), None) or index(next(spare))
            for i in entry.subscripts
        )

    def _pattern(
        self, entry: Entry, shape: tuple[sp.Expr, sp.Expr], formals: tuple[sp.Symbol, ...]
    ) -> tuple[sp.Expr, sp.Expr]:
        """Return the shape of a family of which one member's shape is known."""
        meaning = self.names.gradient(entry.parsed.name) or self.names.variable(entry.parsed.name)
        of = meaning if isinstance(meaning, str) else meaning[1] if meaning is not None else None
        var = self.truth.variables.get(of or "")
        if var is not None and len(var.indices) == len(formals):
            at = dict(zip(var.indices, entry.subscripts, strict=True))
            named = tuple(s.xreplace(dict(zip(var.indices, formals, strict=True))) for s in var.shape)
            member = tuple(s.xreplace(at) for s in var.shape)
            if member == shape:
                return named[0], named[1]
            if member[::-1] == shape:
                return named[1], named[0]
        piece = PieceShape(entry.subscripts, shape)
        return pattern(entry.parsed.name, [(piece, [h.symbol for h in entry.heads])], formals)
