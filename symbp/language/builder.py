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

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import sympy as sp
from sympy.core.symbol import Str

from symbp.expr import Box, Function, Node, Ref, SizeMember, SumOver, apply, as_node, index, size
from symbp.language.diagnostics import Mistake
from symbp.language.arguments import activation_function
from symbp.language.families import PieceShape, pattern
from symbp.language.functions import bind_values, exact
from symbp.language.reader import LAYER_TABLE, outputs_of, read_text
from symbp.language.scope import derived_size, find_samples
from symbp.layers.registry import Maps, maps_of
from symbp.program import Equation, Kind, Loop, Program, Statement, Var, check, fresh_name, index_box

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
        self._left = ""
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
    ) -> Ref:
        """Declare a variable (a scalar without sizes), or with ``at`` the member of a family, and return it."""
        scalar = rows is None and cols is None
        shape = (sp.S.One, sp.S.One) if scalar else (exact(rows), exact(cols))
        where = tuple(sp.sympify(exact(a), strict=True) for a in at)
        if not where:
            if name in self.variables:
                raise ValueError(f"{name} is declared twice")
            self.variables[name] = Var(name, *shape, kind=kind, facts=frozenset(facts), scalar=scalar)
            return self.variables[name]()
        box = index_box(where, {s: (lo, hi) for s, lo, hi in self._loops})
        if box is None:
            raise ValueError("an index is a loop index plus or minus a constant, or free of loop indices")
        known = self.variables.get(name)
        boxes = (*(known.boxes if known is not None else ()), box)
        self._piece(name, where, shape)
        self.variables[name] = Var(
            name, *self._family(name), self._formals(name), kind, frozenset(facts), boxes, scalar=scalar
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
    ) -> Ref:
        """Declare something trainable."""
        return self.declare("param", name, rows, cols, *facts, at=at)

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
    def write(self, left: str, layer: str | Callable[..., Any], *given: Any, **named: Any) -> Ref:
        """Write a layer: ``net.write("A1", "dense", X, "n1", "tanh")`` is ``A1 = dense(X, n1, tanh)``."""
        entry = LAYER_TABLE[_called(layer)]
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
            elif parameter.kind == "scalar" and isinstance(value, str):
                arguments[parameter.name] = sp.Rational(value)
            elif parameter.kind in ("scalar", "size") and isinstance(value, int):
                arguments[parameter.name] = sp.Integer(value)
        self._left = left
        self[left] = entry.build(self, **arguments)
        return self[left] if not self._loops else self[(left, *(s for s, _, _ in self._loops))]

    def parameter(self, prefix: str, rows: sp.Expr, cols: sp.Expr) -> Ref:
        """Declare a parameter of the layer that is being written."""
        name = fresh_name(f"{prefix}_{self._left}", self.variables)
        return self.declare("param", name, rows, cols, at=tuple(s for s, _, _ in self._loops))

    def equation(self, prefix: str, value: Node) -> Ref:
        """Write an equation of the layer that is being written."""
        name = fresh_name(f"{prefix}_{self._left}", self.variables)
        self[name] = value
        return self.variables[name](*(s for s, _, _ in self._loops))

    def size(self, word: str, value: sp.Expr) -> sp.Expr:
        """Return a size that a layer makes; one that is no polynomial gets a name and a definition."""
        sizes = {s.name for v in self.variables.values() for x in v.shape for s in x.free_symbols}
        taken = sizes | self.variables.keys() | {s.name for s, _ in self._definitions}
        return derived_size(f"{word}_{self._left}", value, self.bounds, self._definitions, taken)

    def maps(self, A: Node) -> Maps | None:
        """Return the feature maps that a matrix holds."""
        return maps_of(A, self._maps, self._named_maps)

    def keep(self, A: Node, maps: Maps) -> Node:
        """Say that a matrix holds feature maps."""
        self._maps[A] = maps
        return A

    def sample_axis(self, A: Node) -> int:
        """Return 1 where the samples are columns, 0 where they are rows."""
        maps = self.maps(A)
        if maps is not None:
            return maps.axis
        samples = self.samples if self.samples is not None else find_samples(self.variables.values())
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
        samples = self.samples if self.samples is not None else find_samples(declared.values())
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
            )
        )


__all__ = ["Box", "Dense", "Dropout", "Model", "Sequential", "sequential_text", "size", "size_family", "sizes"]
