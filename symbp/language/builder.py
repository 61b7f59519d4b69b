"""The Python way to a ``Program``: layers in a row (``Sequential``), or mathematics with operators (``Model``).

Both make what the reader makes of the same declaration in text::

    net = Model()
    X, Y = net.input("X", "n0", "m"), net.target("Y", "n1", "m")
    W, b = net.param("W", "n1", "n0"), net.param("b", "n1", 1)
    net["Z"] = W @ X + b
    net["loss"] = sum((net["Z"] - Y)**2) / (2*size("m"))
    program = net.program()
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import sympy as sp
from sympy.core.symbol import Str

from symbp.expr import Box, Function, Node, Ref, SizeMember, SumOver, apply, as_node, expanded, index, size
from symbp.language.diagnostics import Mistake
from symbp.language.arguments import activation_function
from symbp.language.cells import cell_part, handed_on
from symbp.language.families import PieceShape, pattern
from symbp.language.functions import bind_values, exact
from symbp.language.reader import LAYER_TABLE, outputs_of, read_text
from symbp.language.scope import Axes, derived_size
from symbp.language.writing import unpacking
from symbp.layers.registry import Maps, maps_of
from symbp.program import (
    Equation, Kind, LayerUse, Loop, Place, Program, Running, Statement, Var, check, fresh_name, index_box,
)

SizeLike: TypeAlias = sp.Expr | int | str
Activation: TypeAlias = str | Callable[..., Any] | None


def sizes(names: str) -> tuple[sp.Symbol, ...]:
    """Return the sizes called ``names``, with spaces or commas between them."""
    return tuple(size(name) for name in names.replace(",", " ").split())


def size_family(name: str) -> Callable[..., SizeMember]:
    """Return a family of sizes, a function of the indices: ``n = size_family("n"); n(l)`` is ``n[l]``."""
    return lambda *at: SizeMember(name, *at)


# ---------------------------------------------------------------------------------------------------------
# Layers in a row


@dataclass(frozen=True)
class Dense:
    """A fully connected layer: ``activation(W @ X + b)`` with ``units`` units."""

    units: int | str
    activation: Activation = None
    bias: Literal["separate", "folded", "none"] = "separate"


@dataclass(frozen=True)
class Dropout:
    """Entries kept with probability 1 - p, by a mask that is an input, and divided by 1 - p."""

    p: str | float | int


def _called(what: Activation) -> str:
    """Return the name of a function that was given by name or as a Python function."""
    if what is None:
        return "linear"
    return what if isinstance(what, str) else str(getattr(what, "__name__", what))


def sequential_text(
    layers: Sequence[Dense | Dropout],
    loss: Activation,
    inputs: int | str = "n0",
    samples: str = "m",
    facts: Iterable[str] = (),
    rows: bool = False,
) -> str:
    """Return the declaration in text that ``Sequential`` reads."""

    def shape(features: int | str) -> str:
        return f"[{samples}, {features}]" if rows else f"[{features}, {samples}]"

    dense = [layer for layer in layers if isinstance(layer, Dense)]
    if not dense:
        raise ValueError("a network has at least one Dense layer")
    last = dense[-1].units
    lines = [
        f"X: input{shape(inputs)}",
        f"Y: target{shape(last)}" + "".join(f" & {f}" for f in facts),
        f"samples: {samples}",
    ]
    equations, name, width = [], "X", inputs
    for k, layer in enumerate(layers, 1):
        if isinstance(layer, Dropout):
            lines.append(f"M{k}: input{shape(width)} & mask")
            equations.append(f"D{k} = dropout({name}, M{k}, {layer.p})")
            name = f"D{k}"
            continue
        activation = _called(layer.activation)
        left = f"Z{k}" if activation == "linear" else f"A{k}"
        bias = "" if layer.bias == "separate" else f", bias='{layer.bias}'"
        equations.append(
            f"{left} = dense({name}, {layer.units}{'' if activation == 'linear' else ', ' + activation}{bias})"
        )
        name, width = left, layer.units
    equations.append(f"loss = {_called(loss)}({name}, Y)")
    return "\n".join([*lines, *equations]) + "\n"


def Sequential(
    layers: Sequence[Dense | Dropout],
    loss: Activation,
    inputs: int | str = "n0",
    samples: str = "m",
    facts: Iterable[str] = (),
    rows: bool = False,
) -> Program:
    """Return a network of layers in a row with a loss.

    layers:  ``Dense(units, activation)`` and ``Dropout(p)``; units are numbers or names of sizes.
    loss:    the name of a loss, or its function: ``softmax_cross_entropy``.
    inputs:  the number of inputs, or the name of that size.
    samples: the name of the size that counts samples.
    facts:   facts of the targets, such as ``one_hot_columns``.
    rows:    samples are rows instead of columns.

    Layer k is called ``A<k>`` (``Z<k>`` if it is linear), its parameters ``W_A<k>`` and ``b_A<k>``.
    """
    return read_text(sequential_text(layers, loss, inputs, samples, facts, rows), "<Sequential>")


# ---------------------------------------------------------------------------------------------------------
# Mathematics with operators


def _start(value: sp.Expr | int | None) -> sp.Expr | None:
    """Return the exact start value of a parameter."""
    found = None if value is None else sp.sympify(value, strict=True)
    if found is not None and not found.is_Rational:
        raise ValueError(f"a parameter starts at an exact number, for example sp.Rational(1, 2), not {value}")
    return found


class Model:
    """A program in the making: declare variables, assign equations, open loops, then take ``program()``."""

    def __init__(self, name: str = "network", samples: str | None = None) -> None:
        self.name = name
        self.samples = size(samples) if samples else None
        self.variables: dict[str, Var] = {}
        self.functions: dict[str, Function] = {}
        self.bounds: dict[sp.Expr, int] = {}
        self._pieces: dict[str, list[tuple[PieceShape, list[sp.Symbol]]]] = {}
        self._loops: list[tuple[sp.Symbol, sp.Expr, sp.Expr]] = []
        self._body: list[list[Statement]] = [[]]
        self._running: list[Running] = []
        self._layers: list[LayerUse] = []
        self._definitions: list[tuple[sp.Expr, sp.Expr]] = []
        self._maps: dict[Node, Maps] = {}
        self._named_maps: dict[str, Maps] = {}

    # -- declarations ------------------------------------------------------------------------------------
    def declare(
        self,
        kind: Kind,
        name: str,
        rows: SizeLike | None = None,
        cols: SizeLike | None = None,
        *facts: str,
        at: tuple[Any, ...] = (),
        start: sp.Expr | int | None = None,
    ) -> Ref:
        """Declare a variable (a scalar without sizes), or with ``at`` the member of a family, and return it."""
        scalar = rows is None and cols is None
        shape = (sp.S.One, sp.S.One) if scalar else (exact(rows), exact(cols))
        where = tuple(sp.sympify(exact(a), strict=True) for a in at)
        if not where:
            if name in self.variables:
                raise ValueError(f"{name} is declared twice")
            self.variables[name] = Var(
                name, *shape, kind=kind, facts=frozenset(facts), scalar=scalar, start=_start(start)
            )
            return self.variables[name]()
        box = index_box(where, {s: (lo, hi) for s, lo, hi in self._loops})
        if box is None:
            raise ValueError("an index is a loop index plus or minus a constant, or free of loop indices")
        known = self.variables.get(name)
        boxes = (*(known.boxes if known is not None else ()), box)
        self._piece(name, where, shape)
        self.variables[name] = Var(
            name, *self._family(name), self._formals(name), kind, frozenset(facts), boxes, scalar=scalar,
            start=_start(start),
        )
        return self.variables[name](*where)

    def input(
        self,
        name: str,
        rows: SizeLike | None = None,
        cols: SizeLike | None = None,
        *facts: str,
        at: tuple[Any, ...] = (),
    ) -> Ref:
        """Declare data that come from outside."""
        return self.declare("input", name, rows, cols, *facts, at=at)

    def target(
        self,
        name: str,
        rows: SizeLike | None = None,
        cols: SizeLike | None = None,
        *facts: str,
        at: tuple[Any, ...] = (),
    ) -> Ref:
        """Declare what the loss compares with."""
        return self.declare("target", name, rows, cols, *facts, at=at)

    def param(
        self,
        name: str,
        rows: SizeLike | None = None,
        cols: SizeLike | None = None,
        *facts: str,
        at: tuple[Any, ...] = (),
        start: sp.Expr | int | None = None,
    ) -> Ref:
        """Declare something trainable; all its entries start at the number ``start`` if there is one."""
        return self.declare("param", name, rows, cols, *facts, at=at, start=start)

    def const(
        self,
        name: str,
        rows: SizeLike | None = None,
        cols: SizeLike | None = None,
        *facts: str,
        at: tuple[Any, ...] = (),
    ) -> Ref:
        """Declare a constant."""
        return self.declare("const", name, rows, cols, *facts, at=at)

    def function(self, name: str, law: Callable[..., sp.Expr] | None = None, arguments: int = 1) -> Callable[..., Node]:
        """Declare an elementwise function by its scalar law, or without a law a free one."""
        if law is None:
            found = Function(name, (), (0,), Str("free"))
        else:
            symbols = sp.symbols(f"x:{arguments}" if arguments > 1 else "x", real=True, seq=True)
            found = Function(name, (), (0,) * arguments, sp.Lambda(tuple(symbols), law(*symbols)))
        self.functions[name] = found
        return lambda *operands: apply(found, *operands)

    def assume(self, symbol: SizeLike, least: int) -> None:
        """State that a size is at least an integer, as ``assert T >= 3`` does."""
        self.bounds[exact(symbol)] = least

    # -- loops and equations -------------------------------------------------------------------------------
    @contextmanager
    def loop(self, name: str, first: SizeLike, last: SizeLike, down: bool = False) -> Iterator[sp.Symbol]:
        """Open a loop over ``first..last``, both included; ``down`` runs from last to first."""
        symbol, lo, hi = index(name), sp.sympify(exact(first), strict=True), sp.sympify(exact(last), strict=True)
        self._loops.append((symbol, lo, hi))
        self._body.append([])
        try:
            yield symbol
        finally:
            self._loops.pop()
            body = self._body.pop()
        if body:
            self._body[-1].append(Loop(symbol, lo, hi, tuple(body), down))

    def sum(self, term: Node, symbol: sp.Symbol, first: SizeLike, last: SizeLike) -> Node:
        """Return the sum of ``term`` for ``symbol`` from first to last."""
        return SumOver(term, symbol, exact(first), exact(last))

    def __getitem__(self, key: str | tuple[Any, ...]) -> Ref:
        name, at = (key, ()) if isinstance(key, str) else (key[0], key[1:])
        if name not in self.variables:
            raise KeyError(f"{name} is not defined yet")
        return self.variables[name](*(exact(a) for a in at))

    def __setitem__(self, key: str | tuple[Any, ...], value: Any) -> None:
        name, at = (key, ()) if isinstance(key, str) else (key[0], key[1:])
        node = as_node(exact(value))
        where = tuple(sp.sympify(exact(a), strict=True) for a in at)
        if not where and self._loops:
            where = tuple(s for s, _, _ in self._loops)  # private to the iteration
        if where:
            self._piece(name, where, node.shape)
        if name not in self.variables:
            shape = self._family(name) if where else node.shape
            self.variables[name] = Var(name, *shape, self._formals(name) if where else ())
        self._body[-1].append(Equation(self.variables[name](*where), node))
        maps = self.maps(node)
        if maps is not None and not any(symbol in s.free_symbols for symbol, _, _ in self._loops for s in maps.sizes):
            self._named_maps[name] = maps

    def _piece(self, name: str, where: tuple[sp.Expr, ...], shape: tuple[sp.Expr, sp.Expr]) -> None:
        self._pieces.setdefault(name, []).append((PieceShape(where, shape), [s for s, _, _ in self._loops]))

    def _formals(self, name: str) -> tuple[sp.Symbol, ...]:
        count = len(self._pieces[name][0][0].subscripts)
        found: list[sp.Symbol | None] = [None] * count
        for piece, loops in self._pieces[name]:
            for k in range(count):
                inside = [s for s in loops if piece.subscripts[k].has(s)]
                if found[k] is None and inside and inside[0] not in found:
                    found[k] = inside[0]
        spare = iter(x for x in map(index, "ijklpqrsuvw") if x not in found)
        return tuple(s if s is not None else next(spare) for s in found)

    def _family(self, name: str) -> tuple[sp.Expr, sp.Expr]:
        try:
            return pattern(name, self._pieces[name], self._formals(name))
        except Mistake as mistake:
            raise ValueError(f"{mistake.code}: {mistake}") from None

    # -- layers --------------------------------------------------------------------------------------------
    def write(self, left: str | Sequence[str], layer: str | Callable[..., Any], *given: Any, **named: Any) -> Any:
        """Write a layer: ``net.write("A1", "dense", X, "n1", "tanh")`` is ``A1 = dense(X, n1, tanh)``.

        A layer with several results has as many names: ``net.write(("H", "C"), "lstm", X, H, C)``; what is returned
        is a tuple of the names then.
        """
        entry = LAYER_TABLE[_called(layer)]
        names = (left,) if isinstance(left, str) else tuple(left)
        if isinstance(left, str) == bool(entry.results) or len(names) != max(1, len(entry.results)):
            mistake = unpacking(entry, names)
            raise ValueError(f"{mistake.code}: {mistake}")
        arguments = bind_values(entry.name, entry.parameters, given, named)
        for parameter in entry.parameters:
            value = arguments[parameter.name]
            if parameter.kind == "activation":
                found = activation_function(_called(value))
                if found is None and _called(value) in self.functions:
                    function = self.functions[_called(value)]
                    found = lambda A, axis, f=function: apply(f, A)  # noqa: E731
                if found is None:
                    raise ValueError(f"{value} is no activation")
                arguments[parameter.name] = found
            elif parameter.kind in ("scalar", "value") and isinstance(value, str):
                arguments[parameter.name] = sp.Rational(value)
            elif parameter.kind in ("scalar", "size") and isinstance(value, int):
                arguments[parameter.name] = sp.Integer(value)
        writer = _Parts(self, names, entry.plain)
        try:
            value = entry.build(writer, **arguments)
        except Mistake as mistake:
            raise ValueError(f"{mistake.code}: {mistake}") from None
        for k, (name, result) in enumerate(zip(names, value if entry.results else (value,), strict=True)):
            if k not in writer.written:
                self[name] = result
        results = tuple(self.here(name) for name in names)
        X = arguments.get("X")
        place = (X.name, X.indices) if isinstance(X, Ref) else None
        made = (names[0], results[0].indices)
        self._layers.append(LayerUse(entry.name, made, place, tuple(writer.parts.items())))
        return results if entry.results else results[0]

    @property
    def around(self) -> tuple[sp.Symbol, ...]:
        """The indices of the loops that are open, outermost first."""
        return tuple(s for s, _, _ in self._loops)

    @property
    def varying(self) -> tuple[sp.Symbol, ...]:
        """Those of them that do not count the samples, which share their parameters."""
        return tuple(s for s, lo, hi in self._loops if self.samples is None or expanded(hi - lo + 1) != self.samples)

    def here(self, name: str) -> Ref:
        """Return a name that this iteration assigned."""
        return self[(name, *self.around)]

    def taken(self) -> set[str]:
        """Return the names of variables and sizes."""
        sizes = {str(s) for v in self.variables.values() for end in v.shape for s in end.free_symbols}
        return sizes | self.variables.keys()

    def maps(self, A: Node) -> Maps | None:
        """Return the feature maps that a matrix holds."""
        return maps_of(A, self._maps, self._named_maps)

    def sample_axis(self, A: Node) -> int:
        """Return 1 where the samples are columns, 0 where they are rows."""
        maps = self.maps(A)
        if maps is not None:
            return maps.axis
        samples = self.samples
        if samples is None:
            samples = Axes(self.variables.values()).samples()
        elif samples not in A.shape:
            samples = Axes(self.variables.values()).positions()
        return 0 if samples is not None and A.rows == samples and A.cols != samples else 1

    # -- the whole -----------------------------------------------------------------------------------------
    def program(self) -> Program:
        """Return the program, checked; raise ``ProgramError`` if something is read that is not defined."""
        # Only now all pieces of a family are known, and with them the names of its indices.
        whole = {
            n: replace(v, rows=shape[0], cols=shape[1], indices=self._formals(n))
            for n, v in self.variables.items()
            if v.indices
            for shape in [self._family(n)]
        }
        variables = {**self.variables, **whole}
        declared = {n: v for n, v in variables.items() if v.declared}
        computed = {n: v for n, v in variables.items() if not v.declared}
        body = tuple(self._body[0])
        samples = self.samples if self.samples is not None else Axes(declared.values()).samples()
        return check(
            Program(
                {**declared, **computed},
                body,
                outputs_of({**declared, **computed}, body),
                samples,
                tuple(self.bounds.items()),
                tuple(self._definitions),
                dict(self.functions),
                self.name,
                tuple(self._running),
                tuple(self._layers),
            )
        )


class _Parts:
    """Writes the parts of one layer into a model: see ``symbp.layers.registry.Writer``."""

    def __init__(self, net: Model, left: tuple[str, ...], plain: bool) -> None:
        self.net, self.left, self.plain = net, left, plain
        self.along: frozenset[sp.Symbol] = frozenset()
        self.spelled: Callable[[str], str] = lambda prefix: f"{prefix}_{left[0]}"
        self.written: dict[int, Ref] = {}
        self.parts: dict[str, Place] = {}
        self.mine: set[str] = set()

    def name(self, prefix: str) -> str:
        """Return the name of a part that is not written yet."""
        if self.plain and prefix not in {*self.net.taken(), *self.net.functions, self.left[0]}:
            return prefix
        wanted = self.spelled(prefix)
        self.mine.add(wanted)
        return fresh_name(wanted, self.net.variables)

    def parameter(self, prefix: str, rows: sp.Expr, cols: sp.Expr, start: sp.Expr | None = None) -> Ref:
        """Declare a parameter of the layer."""
        return self._declared("param", prefix, rows, cols, start=start)

    def running(self, prefix: str, statistic: Node, momentum: sp.Expr, *facts: str, start: sp.Expr) -> None:
        """Declare the running value of a statistic of the layer."""
        assert isinstance(statistic, Ref)
        state = self._declared("state", prefix, *statistic.shape, *facts, start=start)
        self.net._running.append(Running(state.name, statistic.name, momentum))

    def _declared(
        self, kind: Kind, prefix: str, rows: sp.Expr, cols: sp.Expr, *facts: str, start: sp.Expr | None
    ) -> Ref:
        name, at = self.name(prefix), tuple(s for s in self.net.varying if s not in self.along)
        self.parts[prefix] = name, at
        return self.net.declare(kind, name, rows, cols, *facts, at=at, start=start)

    def equation(self, prefix: str, value: Node) -> Ref:
        """Write an equation of the layer."""
        name = self.name(prefix)
        self.net[name] = value
        self.parts[prefix] = name, self.net.around
        return self.net.here(name)

    def result(self, k: int, value: Node) -> Ref:
        """Write the equation of the k-th result."""
        self.net[self.left[k]] = value
        self.written[k] = self.net.here(self.left[k])
        return self.written[k]

    def each(self, letters: str, count: sp.Expr) -> AbstractContextManager[sp.Symbol]:
        """Open a loop of the layer's own over 1..count; its index is the first of the letters that is free."""
        taken = {*map(str, self.net.around), *self.net.taken()}
        names = (*letters, *(f"{letters[0]}{k}" for k in range(1, 99)))
        return self.net.loop(next(x for x in names if x not in taken), 1, count)

    def size(self, word: str, value: sp.Expr) -> sp.Expr:
        """Return a size that the layer makes; one that is no polynomial gets a name and a definition."""
        net = self.net
        taken = {*net.taken(), *(s.name for s, _ in net._definitions)}
        return derived_size(f"{word}_{self.left[0]}", value, net.bounds, net._definitions, taken)

    def maps(self, A: Node) -> Maps | None:
        """Return the feature maps that a matrix holds."""
        return self.net.maps(A)

    def keep(self, A: Node, maps: Maps) -> Node:
        """Say that a matrix holds feature maps."""
        self.net._maps[A] = maps
        return A

    def sample_axis(self, A: Node) -> int:
        """Return 1 where the samples are columns, 0 where they are rows."""
        return self.net.sample_axis(A)

    def cell(self, *states: Node, shared: object = None) -> _Parts:
        """Return the writer of a recurrent cell: its parameters are shared where the states are handed on."""
        inside = copy.copy(self)
        inside.along = handed_on(states, self.net.around, self.net.around, shared)
        inside.spelled = lambda prefix: cell_part(prefix, self.left[0], self.net.variables.keys() - self.mine)
        return inside


__all__ = ["Box", "Dense", "Dropout", "Model", "Sequential", "sequential_text", "size", "size_family", "sizes"]
