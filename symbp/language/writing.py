"""How a layer in an equation writes its parameters and its equations."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from symbp.expr import Box, Node, Ref, expanded, index
from symbp.language.arguments import activation_function
from symbp.language.cells import cell_part, handed_on
from symbp.language.diagnostics import Mistake
from symbp.language.operations import Parameter
from symbp.language.forms import Assign
from symbp.language.scope import Head, Private, Scope, derived_size
from symbp.layers.registry import Maps, maps_of
from symbp.program import Equation, Kind, LayerUse, Loop, Place, Running, Statement, Var, fresh_name

Range = tuple[sp.Symbol, sp.Expr, sp.Expr]
"""A loop around: its index, the first and the last value."""


@dataclass(frozen=True)
class LayerEntry:
    """A layer with its parsed signature, and the names under which its results are known if they are several."""

    name: str
    parameters: tuple[Parameter, ...]
    build: Callable[..., Any]
    plain: bool = False
    results: tuple[str, ...] = ()


def unpacking(entry: LayerEntry, left: Sequence[str]) -> Mistake:
    """Return the mistake of a layer whose results are not as many as the names that shall hold them."""
    wanted, given = max(1, len(entry.results)), len(left)
    if wanted == given:
        message = f"{entry.name} has {wanted} results: nothing stands around it"
    else:
        message = f"{entry.name} has {wanted} result{'s' if wanted > 1 else ''}, not {given}"
    return Mistake("O014", message, f"write `{', '.join(entry.results or left[:1])} = {entry.name}(...)`")


@dataclass(frozen=True)
class LeftSide:
    """A left side of an equation as it was read: its subscripts, and its shape if that is stated."""

    p: Assign
    subscripts: tuple[sp.Expr, ...]
    stated: tuple[sp.Expr, sp.Expr] | None = None


class EquationWriter:
    """Writes the parts of the layers that stand in one equation; ``equations`` come before it.

    left:   the left sides, several if a layer with several results is the right side.
    whole:  the right side.
    assign: gives a left side its value: ``assign(k, value)`` returns the name and the equation.
    """

    def __init__(
        self,
        scope: Scope,
        left: Sequence[LeftSide],
        whole: ast.expr,
        loops: tuple[Head, ...],
        assign: Callable[[int, Node], Equation],
    ) -> None:
        self.scope, self.left, self.whole, self.loops, self.assign = scope, left, whole, loops, assign
        self.equations: list[Statement] = []
        self.inner: list[Range] = []
        self.results: tuple[Node, ...] = ()
        self.mine: set[str] = set()
        self.along: frozenset[sp.Symbol] = frozenset()
        self.spelled: Callable[[str], str] = lambda prefix: f"{prefix}_{left[0].p.name}"
        self.plain = False
        self.parts: dict[str, Place] = {}
        self.written: list[tuple[Node, LayerUse]] = []

    def write(self, entry: LayerEntry, node: ast.Call, arguments: dict[str, Any]) -> Node:
        """Write one layer and return its value, the first one of several."""
        if max(1, len(entry.results)) != (len(self.left) if node is self.whole else 1):
            raise unpacking(entry, [q.p.name for q in self.left])
        for parameter in entry.parameters:
            value = arguments.get(parameter.name)
            if parameter.kind in ("scalar", "value", "size") and isinstance(value, (str, int)):
                arguments[parameter.name] = sp.Rational(value)
            elif parameter.kind == "activation" and isinstance(value, str):
                arguments[parameter.name] = activation_function(value)
        self.plain = entry.plain
        outer, self.parts = self.parts, {}
        try:
            value = entry.build(self, **arguments)
            results: tuple[Node, ...] = tuple(value) if entry.results else (value,)
            X = arguments.get("X")
            place = (X.name, X.indices) if isinstance(X, Ref) else None
            self.written.append((results[0], LayerUse(entry.name, None, place, tuple(self.parts.items()))))
        except ValueError as error:
            if hasattr(error, "code"):
                raise
            raise Mistake("O005", str(error)) from None
        finally:
            self.parts = outer
        if entry.results:
            self.results = results
        return results[0]

    def uses(self, target: Ref, value: Node) -> list[LayerUse]:
        """Return the layers of the equation ``target = value``."""
        left = (target.name, target.indices)
        return [replace(use, value=left) if made is value else use for made, use in self.written]

    def name(self, prefix: str) -> str:
        """Return ``<prefix>_<left side>``; a second layer in the same equation gets a number.

        A layer with plain names has the bare prefix while nobody else has.
        """
        wanted, known = self.spelled(prefix), self.known()
        if self.plain and prefix not in known | self.scope.functions.keys() | self.scope.size_families.keys():
            wanted = prefix
        elif wanted in known and wanted not in self.mine:
            raise Mistake(
                "N002", f"the layer writes {wanted}, but that name is taken", "choose another name for one of the two"
            )
        self.mine.add(wanted)
        return fresh_name(wanted, known)

    def known(self) -> set[str]:
        """Return the names that are taken."""
        return {*self.scope.variables, *self.scope.later, *self.scope.sizes}

    def parameter(self, prefix: str, rows: sp.Expr, cols: sp.Expr, start: sp.Expr | None = None) -> Ref:
        """Declare a parameter; in a loop a family, one member for each iteration that does not share it."""
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
        ranges = [r for r in self.ranges if r[0] not in self.along and not self.counts_samples(r)]
        symbols = tuple(symbol for symbol, _, _ in ranges)
        boxes = (Box.of(*((lo, hi) for _, lo, hi in ranges)),) if ranges else ()
        self.scope.define(Var(name, rows, cols, symbols, kind, frozenset(facts), boxes, start=start))
        self.parts[prefix] = name, symbols
        return self.scope.member(name, symbols)

    def equation(self, prefix: str, value: Node) -> Ref:
        """Write an equation before the one in which the layer stands."""
        name = self.name(prefix)
        symbols = tuple(symbol for symbol, _, _ in self.ranges)
        self.scope.define(Var(name, value.rows, value.cols, symbols))
        self.scope.note_maps(name, value)
        self.parts[prefix] = name, symbols
        if self.loops and not self.inner:
            self.scope.private.setdefault(name, []).append(Private(name, self.loops))
        target = self.scope.member(name, symbols)
        self.equations.append(Equation(target, value, self.line))
        return target

    def result(self, k: int, value: Node) -> Ref:
        """Write the equation of the k-th left side and return its name."""
        equation = self.assign(k, value)
        self.equations.append(equation)
        return equation.target

    @property
    def line(self) -> int:
        """The line of the equation in the declaration."""
        return self.left[0].p.statement.line

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
        taken = {str(symbol) for symbol, _, _ in self.ranges} | self.known() | self.scope.size_families.keys()
        symbol = index(next(x for x in (*letters, *(f"{letters[0]}{k}" for k in range(1, 99))) if x not in taken))
        outside, self.equations = self.equations, []
        self.inner.append((symbol, sp.S.One, count))
        try:
            yield symbol
        finally:
            self.inner.pop()
            inside, self.equations = self.equations, outside
        self.equations.append(Loop(symbol, sp.S.One, count, tuple(inside), line=self.line))

    def size(self, word: str, value: sp.Expr) -> sp.Expr:
        """Return a size that the layer makes; one that is no polynomial gets a name and a definition."""
        scope = self.scope
        taken = self.known() | scope.size_families.keys()
        found = derived_size(f"{word}_{self.left[0].p.name}", value, scope.bounds, scope.definitions, taken)
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
            samples = self.scope.axes.samples()
        elif samples not in A.shape:
            samples = self.scope.axes.positions()
        return 0 if samples is not None and A.rows == samples and A.cols != samples else 1

    def cell(self, *states: Node, shared: object = None) -> EquationWriter:
        """Return the writer of a recurrent cell: its parameters are shared where the states are handed on."""
        inside = copy.copy(self)  # the equations are the same list
        mine = self.left[0].subscripts or tuple(h.symbol for h in self.loops)
        inside.along = handed_on(states, mine, [h.symbol for h in self.loops], shared)
        inside.spelled = lambda prefix: cell_part(prefix, self.left[0].p.name, self.known() - self.mine)
        return inside
