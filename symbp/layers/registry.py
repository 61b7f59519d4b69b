"""What a layer is, and the table of all layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import sympy as sp

from symbp.expr import Add, AxisNode, Hadamard, Map, Node, Ref, Scale, SMul, Where, same_size
from symbp.ops.claims import Claim


@dataclass(frozen=True)
class Maps:
    """Feature maps in a matrix, channels x (samples, height, width); transposed if the samples are rows (axis 0)."""

    channels: sp.Expr
    samples: sp.Expr
    height: sp.Expr
    width: sp.Expr
    axis: int

    @property
    def image(self) -> tuple[sp.Expr, sp.Expr]:
        """Rows and columns of each image."""
        return self.height, self.width

    @property
    def sizes(self) -> tuple[sp.Expr, ...]:
        """All its sizes."""
        return self.channels, self.samples, self.height, self.width

    def of(self, channels: sp.Expr, height: sp.Expr | None = None, width: sp.Expr | None = None) -> Maps:
        """Return maps of the same samples with other channels, and images of another size."""
        return Maps(
            channels, self.samples, self.height if height is None else height, self.width if width is None else width,
            self.axis,
        )

    def same_images(self, other: Maps) -> bool:
        """Tell whether the images have one size, and are those of the same samples."""
        sizes = ((self.samples, other.samples), (self.height, other.height), (self.width, other.width))
        return self.axis == other.axis and all(same_size(a, b) for a, b in sizes)


def maps_of(A: Node, known: Mapping[Node, Maps], names: Mapping[str, Maps]) -> Maps | None:
    """Return the feature maps that a matrix holds, by what is known of expressions and of names.

    An elementwise operation holds the maps of its operands, if they agree.
    """
    if A in known:
        return known[A]
    if isinstance(A, Ref):
        return names.get(A.name)
    if not (isinstance(A, ELEMENTWISE) or (isinstance(A, AxisNode) and A.keeps_shape)):
        return None
    alike = (o for o in A.operands if same_size(o.rows, A.rows) and same_size(o.cols, A.cols))
    found = [maps for maps in (maps_of(o, known, names) for o in alike) if maps is not None]
    return found[0] if found and all(maps.same_images(found[0]) for maps in found) else None


ELEMENTWISE = (Add, Hadamard, Map, Scale, SMul, Where)
"""Operations whose entries belong to the places of their operands' entries."""


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

    def size(self, word: str, value: sp.Expr) -> sp.Expr:
        """Return a size that a layer makes: ``value`` if it is a polynomial shown to be at least 1, else a new symbol.

        The symbol is called after ``word`` and the left side; that it equals ``value`` becomes a definition.
        """

    def maps(self, A: Node) -> Maps | None:
        """Return which feature maps a matrix holds: elementwise operations keep them; None if nobody said so."""

    def keep(self, A: Node, maps: Maps) -> Node:
        """Say that a matrix holds feature maps, and return it."""

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
