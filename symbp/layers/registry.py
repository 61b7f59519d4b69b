"""What a layer is, and the table of all layers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import sympy as sp

from symbp.expr import Node


class Writer(Protocol):
    """What a layer may do to the program in which it stands."""

    def parameter(self, prefix: str, rows: sp.Expr, cols: sp.Expr) -> Node:
        """Declare a parameter ``<prefix>_<left side>`` and return it: in a loop a family, shared by all samples."""

    def equation(self, prefix: str, value: Node) -> Node:
        """Write the equation ``<prefix>_<left side> = value`` and return the name."""

    def each(self, letters: str, count: sp.Expr) -> AbstractContextManager[sp.Symbol]:
        """Open a loop of the layer's own over 1..count; its index is the first of the letters that is free."""

    def sample_axis(self, A: Node) -> int:
        """Return the axis along which the samples of ``A`` lie: 1 if they are columns, 0 if they are rows."""


@dataclass(frozen=True)
class Layer:
    """One layer or loss.

    name:      the name under which it is written.
    signature: its parameters with defaults, as text; the kind of an argument follows from its parameter's name.
    meaning:   what it is, as a formula.
    write:     a function of the writer and the arguments that returns the value.
    plain:     whether its parts have the names of the literature, Q instead of ``Q_<left side>``, where those are free.
    """

    name: str
    signature: str
    meaning: str
    write: Callable[..., Node]
    plain: bool = False


LAYERS: dict[str, Layer] = {}
"""Every layer and loss by name."""


def layer(signature: str, meaning: str, *, plain: bool = False) -> Callable[[Callable[..., Node]], Callable[..., Node]]:
    """Register the decorated function as the layer of that signature."""

    def register(write: Callable[..., Any]) -> Callable[..., Any]:
        name = signature.partition("(")[0]
        assert name not in LAYERS, name
        LAYERS[name] = Layer(name, signature, meaning, write, plain)
        return write

    return register
