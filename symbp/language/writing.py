"""How a layer in an equation writes its parameters and its equations."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbp.expr import Box, Node, Ref
from symbp.language.diagnostics import Mistake
from symbp.language.operations import Parameter
from symbp.language.forms import Assign
from symbp.language.scope import Head, Private, Scope, derived_size, find_samples
from symbp.layers.registry import Maps, maps_of
from symbp.program import Equation, Var, fresh_name


@dataclass(frozen=True)
class LayerEntry:
    """A layer with its parsed signature."""

    name: str
    parameters: tuple[Parameter, ...]
    build: Callable[..., Node]


class EquationWriter:
    """Writes the parts of the layers that stand in one equation; ``equations`` come before it."""

    def __init__(self, scope: Scope, p: Assign, loops: tuple[Head, ...]) -> None:
        self.scope, self.p, self.loops = scope, p, loops
        self.equations: list[Equation] = []
        self.mine: set[str] = set()

    def write(self, entry: LayerEntry, node: ast.Call, arguments: dict[str, Any]) -> Node:
        """Write one layer and return its value."""
        for parameter in entry.parameters:
            value = arguments.get(parameter.name)
            if parameter.kind in ("scalar", "size") and isinstance(value, (str, int)):
                arguments[parameter.name] = sp.Integer(value)
            elif value == "linear" and parameter.kind == "activation":
                arguments[parameter.name] = lambda A, axis: A
        try:
            return entry.build(self, **arguments)
        except ValueError as error:
            if hasattr(error, "code"):
                raise
            raise Mistake("O005", str(error)) from None

    def name(self, prefix: str) -> str:
        """Return ``<prefix>_<left side>``; a second layer in the same equation gets a number."""
        wanted = f"{prefix}_{self.p.name}"
        known = self.scope.variables.keys() | self.scope.later.keys() | self.scope.sizes.keys()
        if wanted in known and wanted not in self.mine:
            raise Mistake(
                "N002", f"the layer writes {wanted}, but that name is taken", "choose another name for one of the two"
            )
        return fresh_name(wanted, known)

    def parameter(self, prefix: str, rows: sp.Expr, cols: sp.Expr) -> Ref:
        """Declare a parameter; in a loop a family, one member for each iteration."""
        name = self.name(prefix)
        self.mine.add(name)
        symbols = tuple(h.symbol for h in self.loops)
        boxes = (Box.of(*((h.lo, h.hi) for h in self.loops)),) if self.loops else ()
        self.scope.define(Var(name, rows, cols, symbols, "param", boxes=boxes))
        return self.scope.member(name, symbols)

    def equation(self, prefix: str, value: Node) -> Ref:
        """Write an equation before the one in which the layer stands."""
        name = self.name(prefix)
        self.mine.add(name)
        symbols = tuple(h.symbol for h in self.loops)
        self.scope.define(Var(name, value.rows, value.cols, symbols))
        self.scope.note_maps(name, value)
        if self.loops:
            self.scope.private.setdefault(name, []).append(Private(name, self.loops))
        target = self.scope.member(name, symbols)
        self.equations.append(Equation(target, value, self.p.statement.line))
        return target

    def size(self, word: str, value: sp.Expr) -> sp.Expr:
        """Return a size that the layer makes; one that is no polynomial gets a name and a definition."""
        scope = self.scope
        taken = scope.sizes.keys() | scope.size_families.keys() | scope.variables.keys() | scope.later.keys()
        found = derived_size(f"{word}_{self.p.name}", value, scope.bounds, scope.definitions, taken)
        if found.is_Symbol:
            scope.sizes.setdefault(found.name, found)
        return found

    def maps(self, A: Node) -> Maps | None:
        """Return the feature maps that a matrix holds."""
        return maps_of(A, self.scope.maps, self.scope.named_maps)

    def keep(self, A: Node, maps: Maps) -> Node:
        """Say that a matrix holds feature maps."""
        self.scope.maps[A] = maps
        return A

    def sample_axis(self, A: Node) -> int:
        """Return 1 where the samples are columns, 0 where they are rows; columns if nobody knows."""
        maps = self.maps(A)
        if maps is not None:
            return maps.axis
        samples = self.scope.samples
        if samples is None:
            samples = find_samples(v for v in self.scope.variables.values() if v.declared)
        return 0 if samples is not None and A.rows == samples and A.cols != samples else 1
