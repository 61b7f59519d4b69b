"""How a layer in an equation writes its parameters and its equations."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbp.expr import Box, Node, Ref
from symbp.language.arguments import activation_function
from symbp.language.cells import cell_part, handed_on
from symbp.language.diagnostics import Mistake
from symbp.language.operations import Parameter
from symbp.language.forms import Assign
from symbp.language.scope import Head, Private, Scope, find_samples
from symbp.program import Equation, Var, fresh_name


@dataclass(frozen=True)
class LayerEntry:
    """A layer with its parsed signature and the names under which its results are known."""

    name: str
    parameters: tuple[Parameter, ...]
    build: Callable[..., Any]
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
        self.equations: list[Equation] = []
        self.results: tuple[Node, ...] = ()
        self.mine: set[str] = set()
        self.members = loops
        self.spelled: Callable[[str], str] = lambda prefix: f"{prefix}_{left[0].p.name}"

    def write(self, entry: LayerEntry, node: ast.Call, arguments: dict[str, Any]) -> Node:
        """Write one layer and return its value, the first one of several."""
        if max(1, len(entry.results)) != (len(self.left) if node is self.whole else 1):
            raise unpacking(entry, [q.p.name for q in self.left])
        for parameter in entry.parameters:
            value = arguments.get(parameter.name)
            if parameter.kind == "scalar" and isinstance(value, (str, int)):
                arguments[parameter.name] = sp.Integer(value)
            elif isinstance(value, str) and parameter.kind == "activation":
                arguments[parameter.name] = activation_function(value)
        try:
            value = entry.build(self, **arguments)
        except ValueError as error:
            if hasattr(error, "code"):
                raise
            raise Mistake("O005", str(error)) from None
        if not entry.results:
            assert isinstance(value, Node)
            return value
        self.results = tuple(value)
        return self.results[0]

    def name(self, prefix: str) -> str:
        """Return ``<prefix>_<left side>``; a second layer in the same equation gets a number."""
        wanted, known = self.spelled(prefix), self.known()
        if wanted in known and wanted not in self.mine:
            raise Mistake(
                "N002", f"the layer writes {wanted}, but that name is taken", "choose another name for one of the two"
            )
        self.mine.add(wanted)
        return fresh_name(wanted, known)

    def known(self) -> set[str]:
        """Return the names that are taken."""
        return {*self.scope.variables, *self.scope.later, *self.scope.sizes}

    def parameter(self, prefix: str, rows: sp.Expr, cols: sp.Expr) -> Ref:
        """Declare a parameter; in a loop a family, one member for each iteration that does not share it."""
        name = self.name(prefix)
        symbols = tuple(h.symbol for h in self.members)
        boxes = (Box.of(*((h.lo, h.hi) for h in self.members)),) if self.members else ()
        self.scope.define(Var(name, rows, cols, symbols, "param", boxes=boxes))
        return self.scope.member(name, symbols)

    def equation(self, prefix: str, value: Node) -> Ref:
        """Write an equation before the one in which the layer stands."""
        name = self.name(prefix)
        symbols = tuple(h.symbol for h in self.loops)
        self.scope.define(Var(name, value.rows, value.cols, symbols))
        if self.loops:
            self.scope.private.setdefault(name, []).append(Private(name, self.loops))
        target = self.scope.member(name, symbols)
        self.equations.append(Equation(target, value, self.left[0].p.statement.line))
        return target

    def result(self, k: int, value: Node) -> Ref:
        """Write the equation of the k-th left side and return its name."""
        equation = self.assign(k, value)
        self.equations.append(equation)
        return equation.target

    def sample_axis(self, A: Node) -> int:
        """Return 1 where the samples are columns, 0 where they are rows; columns if nobody knows."""
        samples = self.scope.samples
        if samples is None:
            samples = find_samples(v for v in self.scope.variables.values() if v.declared)
        return 0 if samples is not None and A.rows == samples and A.cols != samples else 1

    def cell(self, *states: Node, shared: object = None) -> EquationWriter:
        """Return the writer of a recurrent cell: its parameters are shared where the states are handed on."""
        inside = copy.copy(self)  # the equations are the same list
        mine = self.left[0].subscripts or tuple(h.symbol for h in self.loops)
        along = handed_on(states, mine, [h.symbol for h in self.loops], shared)
        inside.members = tuple(h for h in self.loops if h.symbol not in along)
        inside.spelled = lambda prefix: cell_part(prefix, self.left[0].p.name, self.known() - self.mine)
        return inside
