"""Static maps: from which entry of a matrix each entry of another one comes, by affine digits.

The rows and the columns of a matrix are numbered by *digits* of given sizes, the first digit slowest: the column
``(n*h + i)*w + j`` of feature maps has the digits n, i, j.  In a static map every digit of the source is affine in the
digits of the result, and a digit that is out of its range means a zero (padding).  Windows with stride, padding and
dilation, permutations of axes, flattening in either scan, tied parameters and shifts are maps of this one kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import sympy as sp
from sympy.core.symbol import Str

from symbp.expr.sizes import Size, expanded, same_size

Shape: TypeAlias = tuple[Size, Size]


def radix(values: Sequence[Any], sizes: Sequence[Any]) -> Any:
    """Return the number with the given digits, the first slowest."""
    number: Any = 0
    for value, size in zip(values, sizes, strict=True):
        number = number * size + value
    return number


def _count(sizes: Sequence[Size]) -> Size:
    return expanded(sp.Mul(*sizes))


class Digit(sp.Basic):
    """A digit of the source, ``offset + sum(c_k * d_k)`` for digits d_k of the result: ``Digit(size, offset, *c)``."""

    @property
    def size(self) -> Size:
        """The number of values that the digit has."""
        return self.args[0]

    @property
    def offset(self) -> Size:
        """Its value where all digits of the result are 0."""
        return self.args[1]

    @property
    def coefficients(self) -> tuple[Size, ...]:
        """One for each digit of the result: those of the row, then those of the column."""
        return self.args[2:]

    def at(self, digits: Sequence[Any]) -> Any:
        """Return the value of the digit."""
        return self.offset + sum(
            (c * d for c, d in zip(self.coefficients, digits, strict=True) if c != 0), sp.S.Zero
        )

    @property
    def moving(self) -> tuple[int, ...]:
        """The digits of the result on which it depends."""
        return tuple(k for k, c in enumerate(self.coefficients) if c != 0)


class StaticMap(sp.Basic):
    """A rule that says from where each entry of a gathered matrix comes.

    ``StaticMap(name, back, detail, rows, cols, source_rows, source_cols)``: what the map and its transpose are called
    (``im2col`` and ``col2im``) and what else a reader wants to know (``3 x 3, stride 2``), the sizes of the digits of
    the result's rows and columns, and the digits (``Digit``) of the source's.  Build it with ``static_map``.
    """

    @property
    def name(self) -> str:
        """What gathering by the map is called."""
        return self.args[0].name

    @property
    def back(self) -> str:
        """What its transpose is called."""
        return self.args[1].name

    @property
    def detail(self) -> str:
        """What a reader wants to know beside the name; may be empty."""
        return self.args[2].name

    @property
    def rows(self) -> tuple[Size, ...]:
        """The sizes of the digits of the result's row."""
        return self.args[3].args

    @property
    def cols(self) -> tuple[Size, ...]:
        """The sizes of the digits of the result's column."""
        return self.args[4].args

    @property
    def sizes(self) -> tuple[Size, ...]:
        """The sizes of all digits of the result."""
        return (*self.rows, *self.cols)

    @property
    def source_rows(self) -> tuple[Digit, ...]:
        """The digits of the source's row."""
        return self.args[5].args

    @property
    def source_cols(self) -> tuple[Digit, ...]:
        """The digits of the source's column."""
        return self.args[6].args

    @property
    def digits(self) -> tuple[Digit, ...]:
        """All digits of the source."""
        return (*self.source_rows, *self.source_cols)

    @property
    def shape(self) -> Shape:
        """Rows and columns of what is gathered."""
        return _count(self.rows), _count(self.cols)

    @property
    def source_shape(self) -> Shape:
        """Rows and columns of the matrix that it is gathered from."""
        return _count([d.size for d in self.source_rows]), _count([d.size for d in self.source_cols])

    @property
    def T(self) -> StaticMap:
        """The map between the transposed matrices: rows and columns change places on both sides."""
        first = len(self.rows)

        def turned(digits: Sequence[Digit]) -> sp.Tuple:
            parts = ((d, d.coefficients) for d in digits)
            return sp.Tuple(*(Digit(d.size, d.offset, *c[first:], *c[:first]) for d, c in parts))

        rows, cols = self.args[3:5]
        return StaticMap(*self.args[:3], cols, rows, turned(self.source_cols), turned(self.source_rows))

    def with_sizes(self, change: Callable[[Size], Size]) -> StaticMap:
        """Return the map with ``change`` applied to every size, coefficient and offset."""
        words, sides = self.args[:3], self.args[3:]
        rows, cols, *sources = (
            sp.Tuple(*(Digit(*map(change, d.args)) if isinstance(d, Digit) else change(d) for d in side.args))
            for side in sides
        )
        return StaticMap(*words, rows, cols, *sources)

    @property
    def proper(self) -> StaticMap:
        """The map without digits of a single value."""
        kept = [k for k, s in enumerate(self.sizes) if s != 1]
        first = len(self.rows)

        def side(digits: Sequence[Digit]) -> sp.Tuple:
            thinned = (Digit(d.size, d.offset, *(d.coefficients[k] for k in kept)) for d in digits)
            return sp.Tuple(*(d for d in thinned if d.size != 1 or d.offset != 0 or d.moving))

        rows, cols = (
            sp.Tuple(*(self.sizes[k] for k in kept if (k < first) == upper)) for upper in (True, False)
        )
        return StaticMap(*self.args[:3], rows, cols, side(self.source_rows), side(self.source_cols))

    @property
    def permutation(self) -> tuple[int, ...] | None:
        """For a map that only puts digits in another order: which source digit each digit of the result is."""
        found: dict[int, int] = {}
        for k, digit in enumerate(self.digits):
            moving = digit.moving
            if (
                digit.offset != 0 or len(moving) != 1 or digit.coefficients[moving[0]] != 1 or moving[0] in found
                or not same_size(digit.size, self.sizes[moving[0]])
            ):
                return None
            found[moving[0]] = k
        return tuple(found[k] for k in range(len(self.sizes))) if len(found) == len(self.sizes) else None


def static_map(
    name: str, back: str, rows: Mapping[sp.Symbol, Any], cols: Mapping[sp.Symbol, Any],
    source_rows: Sequence[tuple[Any, Any]], source_cols: Sequence[tuple[Any, Any]], detail: str = "",
) -> StaticMap:
    """Return a static map.

    name, back:   what the map and its transpose are called.
    detail:       what else a reader wants to know of it.
    rows, cols:   the digits of the result, symbols with their sizes.
    source_rows, source_cols: the digits of the source: size and value, affine in the symbols.
    """
    digits = (*rows, *cols)
    zero = dict.fromkeys(digits, sp.S.Zero)

    def digit(size: Any, value: Any) -> Digit:
        value = sp.expand(value)
        return Digit(sp.sympify(size, strict=True), value.xreplace(zero), *(value.coeff(d) for d in digits))

    def side(sizes: Mapping[sp.Symbol, Any]) -> sp.Tuple:
        return sp.Tuple(*(sp.sympify(s, strict=True) for s in sizes.values()))

    sources = (sp.Tuple(*(digit(*d) for d in part)) for part in (source_rows, source_cols))
    return StaticMap(Str(name), Str(back), Str(detail), side(rows), side(cols), *sources)


def digits(names: str) -> tuple[sp.Symbol, ...]:
    """Return symbols for the digits of a map, with spaces between their names."""
    return tuple(sp.Symbol(name, integer=True, nonnegative=True) for name in names.split())


def permutation(
    name: str, back: str, rows: Sequence[int], cols: Sequence[int], sizes: Sequence[Any], source_rows: int,
    detail: str = "",
) -> StaticMap:
    """Return the map that puts the digits of a matrix in another order.

    rows, cols:  which source digits number the rows and the columns of the result.
    sizes:       the sizes of the source's digits, the first ``source_rows`` of them those of its row.
    """
    symbols = digits(" ".join(f"d{k}" for k in range(len(sizes))))
    source = [(size, symbol) for size, symbol in zip(sizes, symbols, strict=True)]
    return static_map(
        name, back, {symbols[k]: sizes[k] for k in rows}, {symbols[k]: sizes[k] for k in cols}, source[:source_rows],
        source[source_rows:], detail,
    )


def kron_blocks(m: Any, n: Any, p: Any, q: Any) -> StaticMap:
    """Return the map from an (m p) x (n q) matrix to its p x q blocks, each a row, column by column.

    Entry (i + m*j, k + p*l) of the result is entry (i*p + k, j*q + l) of the source (Van Loan & Pitsianis).
    """
    return permutation("blocks", "unblock", (2, 0), (3, 1), (m, p, n, q), 2)


def windows(
    channels: Any, samples: Any, image: Sequence[Any], kernel: Sequence[Any], out: Sequence[Any], stride: Sequence[Any],
    padding: Sequence[Any], dilation: Sequence[Any], each_channel: bool = False,
) -> StaticMap:
    """Return the map from feature maps, channels x (samples, row, column), to the windows of a kernel over them.

    The column (n, i, j) of the result is the window at (i, j) of sample n: the entries
    ``X[c, (n, stride*i + dilation*u - padding, stride*j + dilation*v - padding)]``, those outside of the image 0.

    image, kernel, out, stride, padding, dilation: along the rows and along the columns of an image.
    each_channel: a row of the result for each place (u, v) of the kernel and a column for each channel, the channels
                  fastest; otherwise a row for each channel and place (c, u, v).
    """
    c, u, v, n, i, j = digits("c u v n i j")
    y, x = (
        s * o + d * k - p for s, o, d, k, p in zip(stride, (i, j), dilation, (u, v), padding, strict=True)
    )
    rows, cols = {c: channels, u: kernel[0], v: kernel[1]}, {n: samples, i: out[0], j: out[1]}
    if each_channel:
        cols[c] = rows.pop(c)
    source = [(samples, n), (image[0], y), (image[1], x)]
    words = [f"{kernel[0]} x {kernel[1]}"]
    for word, (first, second), usual in (("stride", stride, 1), ("padding", padding, 0), ("dilation", dilation, 1)):
        if (first, second) != (usual, usual):
            words.append(f"{word} {first}" if first == second else f"{word} {first} x {second}")
    return static_map("im2col", "col2im", rows, cols, [(channels, c)], source, ", ".join(words))
