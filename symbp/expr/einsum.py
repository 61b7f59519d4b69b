"""Contractions in index notation, with the sides of matrices as groups of letters; two-index ones as matrix products.

``Y[bk,j] = sum over i of X[bk,i] W[k,ij]``: a tensor of a higher order is a matrix whose rows and columns are each
counted by several letters, the last one the quickest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import sympy as sp
from sympy.core.symbol import Str

from symbp.expr.nodes import (
    Hadamard, MatMul, Node, Ones, Scale, Shape, ShapeError, T, Transpose, Zero, broadcast, scaled, shape_text,
    sum_axis, times,
)
from symbp.expr.sizes import Size, expanded, same_size

Sides: TypeAlias = tuple[str, str]
"""The letters of the rows and of the columns; none for a side of 1."""


class Contraction(sp.Basic):
    """Which letters run along which sides: ``Contraction("bk|i,k|ij->bk|j", b, k, i, j)``.

    A letter that the result lacks is summed over; one that only the result has is spread.  The sizes are those of the
    letters in the order in which they first stand in the text.
    """

    def __new__(cls, text: str | Str, *sizes: Any) -> Contraction:
        label = text if isinstance(text, Str) else Str(text)
        return sp.Basic.__new__(cls, label, *(sp.sympify(s, strict=True) for s in sizes))

    @classmethod
    def of(cls, operands: Sequence[Sides], out: Sides, sizes: dict[str, Size]) -> Contraction:
        """Return the contraction of operands with the given sides."""
        text = f"{','.join('|'.join(o) for o in operands)}->{'|'.join(out)}"
        return cls(text, *(sizes[letter] for letter in _letters(text)))

    @property
    def text(self) -> str:
        """The sides of the operands and of the result."""
        return str(self.args[0])

    @cached_property
    def operands(self) -> tuple[Sides, ...]:
        """The sides of each operand."""
        return tuple(_sides(part) for part in self.text.partition("->")[0].split(","))

    @cached_property
    def out(self) -> Sides:
        """The sides of the result."""
        return _sides(self.text.partition("->")[2])

    @cached_property
    def sizes(self) -> dict[str, Size]:
        """The size of each letter."""
        return dict(zip(_letters(self.text), self.args[1:], strict=True))

    @property
    def summed(self) -> str:
        """The letters over which is summed, in order."""
        return "".join(letter for letter in self.sizes if letter not in "".join(self.out))

    def size(self, group: str) -> Size:
        """Return the size of a side with these letters."""
        return expanded(sp.Mul(*(self.sizes[letter] for letter in group)))

    def shape(self, sides: Sides) -> Shape:
        """Return the shape of a matrix with these sides."""
        return self.size(sides[0]), self.size(sides[1])

    def adjoint(self, slot: int) -> Contraction:
        """Return the contraction in which an operand and the result have changed places."""
        operands = [self.out if k == slot else sides for k, sides in enumerate(self.operands)]
        return Contraction.of(operands, self.operands[slot], self.sizes)

    @property
    def turned(self) -> Contraction:
        """The contraction whose result is the transpose."""
        return Contraction.of(self.operands, self.out[::-1], self.sizes)


def _sides(text: str) -> Sides:
    rows, _, cols = text.partition("|")
    return rows, cols


def _letters(text: str) -> str:
    return "".join(dict.fromkeys(letter for letter in text if letter.isalpha()))


class Einsum(Node):
    """A contraction of matrices: ``Einsum(A, B, .., Contraction)``, linear in each of them."""

    op = "einsum"

    @property
    def operands(self) -> tuple[Node, ...]:
        """The matrices, in order."""
        return self.args[:-1]

    @property
    def parameters(self) -> tuple[sp.Basic, ...]:
        """The contraction."""
        return self.args[-1:]

    @property
    def spec(self) -> Contraction:
        """The contraction."""
        return self.args[-1]

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        *operands, spec = args
        for sides, A in zip(spec.operands, operands, strict=True):
            wanted = spec.shape(sides)
            if not all(same_size(a, b) for a, b in zip(wanted, A.shape, strict=True)):
                raise ShapeError("S002", f"shapes differ: {shape_text(A.shape)} and {shape_text(wanted)}", A)
        for sides in (*spec.operands, spec.out):
            letters = "".join(sides)
            if len(set(letters)) < len(letters):
                raise ShapeError("S002", f"a letter stands twice in {'|'.join(sides)}")
        return spec.shape(spec.out)


def contract(spec: Contraction, operands: Sequence[Node]) -> Node:
    """Return a contraction as products of matrices where it is one, with its coefficient in front; else as it is.

    ``ij,jk->ik`` is a product, ``ij,ij->ij`` a Hadamard product, ``i,j->ij`` an outer product, ``ij->ji`` a transpose.
    """
    coefficient: sp.Expr = sp.S.One
    left: list[tuple[Sides, Node]] = []
    for sides, A in zip(spec.operands, operands, strict=True):
        while isinstance(A, (Scale, Transpose)):
            if isinstance(A, Scale):
                coefficient, A = coefficient * A.coefficient, A.body
            else:
                sides, A = sides[::-1], A.operands[0]
        if isinstance(A, Zero):
            return Zero(*spec.shape(spec.out))
        if not isinstance(A, Ones):
            left.append((sides, A))
    held = {letter for sides, _ in left for letter in "".join(sides)}
    for letter in spec.summed:
        if letter not in held:
            coefficient *= spec.sizes[letter]
    found = _MatrixForm(spec, left).value()
    if found is None:
        kept = Contraction.of([sides for sides, _ in left], spec.out, spec.sizes)
        found = Einsum(*(A for _, A in left), kept)
    return scaled(coefficient, found)


@dataclass(frozen=True)
class _Factor:
    """A matrix, and the letter along each side."""

    row: str
    col: str
    node: Node

    @property
    def letters(self) -> frozenset[str]:
        return frozenset({self.row, self.col} - {""})

    def turned(self) -> _Factor:
        return _Factor(self.col, self.row, _transposed(self.node))

    def along(self, row: str, col: str) -> _Factor:
        """Return the factor with these letters along its rows and columns."""
        return self if (self.row, self.col) == (row, col) else self.turned()


def _transposed(A: Node) -> Node:
    if isinstance(A, MatMul):
        return MatMul(*(_transposed(f) for f in reversed(A.operands)))
    if isinstance(A, Hadamard):
        return Hadamard(*(_transposed(f) for f in A.operands))
    return Ones(A.cols, A.rows) if isinstance(A, Ones) else T(A)


class _MatrixForm:
    """Eliminates letters one by one, as long as what is left are matrices.

    A group of letters that always stands together counts as one letter.
    """

    def __init__(self, spec: Contraction, operands: Sequence[tuple[Sides, Node]]) -> None:
        self.spec, self.out = spec, spec.out
        groups = [g for sides in (*(s for s, _ in operands), spec.out) for g in sides if g]
        self.plain = all(g == h or not set(g) & set(h) for g in groups for h in groups)
        self.factors = [_Factor(*sides, A) for sides, A in operands]

    def value(self) -> Node | None:
        """Return the contraction as a matrix expression; None if it has more than two indices on the way."""
        if not self.plain:
            return None
        while self.inner() or self.lonely() or self.alike() or self.product() or self.spread():
            pass
        scalars = [f.node for f in self.factors if not f.letters]
        rest = [f for f in self.factors if f.letters]
        found = scalars.pop() if scalars and not rest and self.out == ("", "") else self.whole(rest)
        for s in reversed(scalars):
            found = None if found is None else times(s, found)
        return found

    def whole(self, rest: Sequence[_Factor]) -> Node | None:
        """Return what is left as the result: a matrix, an outer product, a spread vector, ones."""
        rows, cols = shape = self.spec.shape(self.out)
        if not rest:
            return Ones(*shape)
        if len(rest) == 2 and all(len(f.letters) == 1 for f in rest):
            first = next((f for f in rest if self.out[0] in f.letters), None)
            last = next((f for f in rest if self.out[1] in f.letters), None)
            if first is None or last is None or first is last:
                return None
            return MatMul(first.along(self.out[0], "").node, last.along("", self.out[1]).node)
        if len(rest) > 1:
            return None
        (f,) = rest
        if len(f.letters) == 2:
            return f.along(*self.out).node
        (letter,) = f.letters
        vector = f.along(*(letter, "") if letter == self.out[0] else ("", letter)).node
        return broadcast(vector, rows, cols)

    # -- one letter less ------------------------------------------------------------------------------------------
    def _holders(self, letter: str) -> list[int]:
        return [k for k, f in enumerate(self.factors) if letter in f.letters]

    def _summed(self) -> list[str]:
        every = dict.fromkeys(letter for f in self.factors for letter in (f.row, f.col) if letter)
        return [letter for letter in every if letter not in self.out]

    def _join(self, made: _Factor, a: int, b: int) -> bool:
        """Put what was made of two factors in the place of the first."""
        self.factors = [made if k == a else f for k, f in enumerate(self.factors) if k != b]
        return True

    def inner(self) -> bool:
        """Two vectors along a letter that is summed: ``v^T w``."""
        for letter in self._summed():
            held = self._holders(letter)
            if len(held) == 2 and all(len(self.factors[k].letters) == 1 for k in held):
                v, w = (self.factors[k] for k in held)
                node = MatMul(v.along("", letter).node, w.along(letter, "").node)
                return self._join(_Factor("", "", node), *held)
        return False

    def lonely(self) -> bool:
        """A letter of one factor alone that is summed: ``1^T A``, ``A 1``."""
        for letter in self._summed():
            held = self._holders(letter)
            if len(held) == 1:
                f = self.factors[held[0]]
                row, col = ("", f.col) if f.row == letter else (f.row, "")
                self.factors[held[0]] = _Factor(row, col, sum_axis(f.node, 0 if f.row == letter else 1))
                return True
        return False

    def alike(self) -> bool:
        """Two factors with the same letters: a Hadamard product."""
        for a, f in enumerate(self.factors):
            for b in range(a + 1, len(self.factors)):
                g = self.factors[b]
                if f.letters and f.letters == g.letters:
                    node = Hadamard(f.node, g.along(f.row, f.col).node)
                    return self._join(_Factor(f.row, f.col, node), a, b)
        return False

    def product(self) -> bool:
        """A letter of two factors that is summed: ``A B``."""
        for letter in self._summed():
            held = self._holders(letter)
            if len(held) == 2:
                f, g = (self.factors[k] for k in held)
                f = f if f.col == letter else f.turned()
                g = g if g.row == letter else g.turned()
                return self._join(_Factor(f.row, g.col, MatMul(f.node, g.node)), *held)
        return False

    def spread(self) -> bool:
        """A vector along a letter of a matrix: ``(v 1^T) o A``."""
        for a, v in enumerate(self.factors):
            for b, A in enumerate(self.factors):
                if a != b and len(v.letters) == 1 and v.letters < A.letters:
                    (letter,) = v.letters
                    vector = v.along(*(letter, "") if letter == A.row else ("", letter)).node
                    node = Hadamard(broadcast(vector, *A.node.shape), A.node)
                    return self._join(_Factor(A.row, A.col, node), b, a)
        return False


__all__ = ["Contraction", "Einsum", "Sides", "contract"]
