"""What a layer is, and the table of all layers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import sympy as sp

from symbp.expr import Node
from symbp.ops.claims import Claim


class Writer(Protocol):
    """What a layer may do to the program in which it stands."""

    def parameter(self, prefix: str, rows: sp.Expr, cols: sp.Expr, start: sp.Expr | None = None) -> Node:
        """Declare a parameter ``<prefix>_<left side>`` and return it: in a loop a family, shared by all samples.

        ``start`` is what all its entries start as.
        """

    def equation(self, prefix: str, value: Node) -> Node:
        """Write the equation ``<prefix>_<left side> = value`` and return the name."""

    def running(self, prefix: str, statistic: Node, momentum: sp.Expr, *facts: str, start: sp.Expr) -> None:
        """Declare the state ``<prefix>_<left side>``, the running value of a statistic that has an equation.

        In inference it takes the statistic's place; a training step moves it: ``(1 - momentum) * state + momentum *
        statistic``.
        """

    def each(self, letters: str, count: sp.Expr) -> AbstractContextManager[sp.Symbol]:
        """Open a loop of the layer's own over 1..count; its index is the first of the letters that is free."""

    def result(self, k: int, value: Node) -> Node:
        """Write the equation of the k-th left side of a layer with several results and return its name."""

    def sample_axis(self, A: Node) -> int:
        """Return the axis along which the samples of ``A`` lie: 1 if they are columns, 0 if they are rows."""

    def cell(self, *states: Node, shared: object = None) -> Writer:
        """Return the writer of a recurrent cell that continues the given states.

        Its parameters are shared by the iterations of the loops along which the states are handed on, and of those
        that ``shared`` names; its parts have the names of the literature, ``W_i`` and ``I``, with the number of the
        left side only.
        """


@dataclass(frozen=True)
class Layer:
    """One layer or loss.

    name:      the name under which it is written.
    signature: its parameters with defaults, as text; the kind of an argument follows from its parameter's name.
    meaning:   what it is, as a formula.
    write:     a function of the writer and the arguments that returns the value, or a tuple of several results.
    claims:    closed forms of its adjoints that books know, for samples as columns; see ``symbp.ops.claims``.
    plain:     whether its parts have the names of the literature, Q instead of ``Q_<left side>``, where those are free.
    results:   the names under which the results are known, if they are several.
    """

    name: str
    signature: str
    meaning: str
    write: Callable[..., Any]
    claims: tuple[Claim, ...] = ()
    plain: bool = False
    results: tuple[str, ...] = ()


LAYERS: dict[str, Layer] = {}
"""Every layer and loss by name."""


def layer(
    signature: str, meaning: str, claims: tuple[Claim, ...] = (), *, plain: bool = False, results: tuple[str, ...] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as the layer of that signature; ``results`` names several results."""

    def register(write: Callable[..., Any]) -> Callable[..., Any]:
        name = signature.partition("(")[0]
        assert name not in LAYERS, name
        LAYERS[name] = Layer(name, signature, meaning, write, claims, plain, results)
        return write

    return register
