"""How a layer in an equation writes its parameters and its equations."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from contextlib import contextmanager
from typing import Any

import sympy as sp

from symbp.expr import Box, Node, Ref, expanded, index
from symbp.language.arguments import activation_function
from symbp.language.diagnostics import Mistake
from symbp.language.operations import Parameter
from symbp.language.forms import Assign
from symbp.language.scope import Head, Private, Scope, find_positions, find_samples
from symbp.program import Equation, Kind, LayerUse, Loop, Place, Running, Statement, Var, fresh_name

Range = tuple[sp.Symbol, sp.Expr, sp.Expr]
"""A loop around: its index, the first and the last value."""


@dataclass(frozen=True)
class LayerEntry:
    """A layer with its parsed signature."""

    name: str
    parameters: tuple[Parameter, ...]
    build: Callable[..., Node]
    plain: bool = False


class EquationWriter:
    """Writes the parts of the layers that stand in one equation; ``equations`` come before it."""

    def __init__(self, scope: Scope, p: Assign, loops: tuple[Head, ...]) -> None:
        self.scope, self.p, self.loops = scope, p, loops
        self.equations: list[Statement] = []
        self.inner: list[Range] = []
        self.mine: set[str] = set()
        self.plain = False
        self.parts: dict[str, Place] = {}
        self.written: list[tuple[Node, LayerUse]] = []

    def write(self, entry: LayerEntry, node: ast.Call, arguments: dict[str, Any]) -> Node:
        """Write one layer and return its value."""
        for parameter in entry.parameters:
            value = arguments.get(parameter.name)
            if parameter.kind in ("scalar", "value") and isinstance(value, (str, int)):
                arguments[parameter.name] = sp.Rational(value)
            elif parameter.kind == "activation" and isinstance(value, str):
                arguments[parameter.name] = activation_function(value)
        self.plain = entry.plain
        outer, self.parts = self.parts, {}
        try:
            value = entry.build(self, **arguments)
            X = arguments.get("X")
            place = (X.name, X.indices) if isinstance(X, Ref) else None
            self.written.append((value, LayerUse(entry.name, None, place, tuple(self.parts.items()))))
            return value
        except ValueError as error:
            if hasattr(error, "code"):
                raise
            raise Mistake("O005", str(error)) from None
        finally:
            self.parts = outer

    def uses(self, target: Ref, value: Node) -> list[LayerUse]:
        """Return the layers of the equation ``target = value``."""
        left = (target.name, target.indices)
        return [replace(use, value=left) if made is value else use for made, use in self.written]

    def name(self, prefix: str) -> str:
        """Return ``<prefix>_<left side>``; a second layer in the same equation gets a number.

        A layer with plain names has the bare prefix while nobody else has.
        """
        known = self.scope.variables.keys() | self.scope.later.keys() | self.scope.sizes.keys()
        if self.plain and prefix not in known | self.scope.functions.keys() | self.scope.size_families.keys():
            return prefix
        wanted = f"{prefix}_{self.p.name}"
        if wanted in known and wanted not in self.mine:
            raise Mistake(
                "N002", f"the layer writes {wanted}, but that name is taken", "choose another name for one of the two"
            )
        return fresh_name(wanted, known)

    def parameter(self, prefix: str, rows: sp.Expr, cols: sp.Expr, start: sp.Expr | None = None) -> Ref:
        """Declare a parameter; in a loop a family, one member for each iteration, but one for all samples."""
        return self._declared("param", prefix, rows, cols, start=start)

    def running(self, prefix: str, statistic: Node, momentum: sp.Expr, *facts: str, start: sp.Expr) -> None:
        """Declare the running value of a statistic that this layer computes; in a loop a family of them."""
        assert isinstance(statistic, Ref)
        state = self._declared("state", prefix, *statistic.shape, *facts, start=start)
        self.scope.running.append(Running(state.name, statistic.name, momentum))

    def _declared(
        self, kind: Kind, prefix: str, rows: sp.Expr, cols: sp.Expr, *facts: str, start: sp.Expr | None
    ) -> Ref:
        name = self.name(prefix)
        self.mine.add(name)
        ranges = [r for r in self.ranges if not self.counts_samples(r)]
        symbols = tuple(symbol for symbol, _, _ in ranges)
        boxes = (Box.of(*((lo, hi) for _, lo, hi in ranges)),) if ranges else ()
        self.scope.define(Var(name, rows, cols, symbols, kind, frozenset(facts), boxes, start=start))
        self.parts[prefix] = name, symbols
        return self.scope.member(name, symbols)

    def equation(self, prefix: str, value: Node) -> Ref:
        """Write an equation before the one in which the layer stands."""
        name = self.name(prefix)
        self.mine.add(name)
        symbols = tuple(symbol for symbol, _, _ in self.ranges)
        self.scope.define(Var(name, value.rows, value.cols, symbols))
        self.parts[prefix] = name, symbols
        if self.loops and not self.inner:
            self.scope.private.setdefault(name, []).append(Private(name, self.loops))
        target = self.scope.member(name, symbols)
        self.equations.append(Equation(target, value, self.p.statement.line))
        return target

    @property
    def ranges(self) -> list[Range]:
        """The loops around, outermost first: those of the file, then those of the layer."""
        return [*((h.symbol, h.lo, h.hi) for h in self.loops), *self.inner]

    def counts_samples(self, around: Range) -> bool:
        """Tell whether a loop runs over the samples, which share their parameters."""
        _, lo, hi = around
        return self.scope.samples is not None and expanded(hi - lo + 1) == self.scope.samples

    @contextmanager
    def each(self, letters: str, count: sp.Expr) -> Iterator[sp.Symbol]:
        """Open a loop of the layer's own over 1..count; its index is the first of the letters that is free."""
        scope = self.scope
        taken = {str(symbol) for symbol, _, _ in self.ranges} | scope.variables.keys() | scope.later.keys()
        taken |= scope.sizes.keys() | scope.size_families.keys()
        symbol = index(next(x for x in (*letters, *(f"{letters[0]}{k}" for k in range(1, 99))) if x not in taken))
        outside, self.equations = self.equations, []
        self.inner.append((symbol, sp.S.One, count))
        try:
            yield symbol
        finally:
            self.inner.pop()
            inside, self.equations = self.equations, outside
        self.equations.append(Loop(symbol, sp.S.One, count, tuple(inside), line=self.p.statement.line))

    def sample_axis(self, A: Node) -> int:
        """Return 1 where the samples are columns, 0 where they are rows; columns if nobody knows."""
        samples, declared = self.scope.samples, [v for v in self.scope.variables.values() if v.declared]
        if samples is None:
            samples = find_samples(declared)
        elif samples not in A.shape:
            samples = find_positions(declared)
        return 0 if samples is not None and A.rows == samples and A.cols != samples else 1
