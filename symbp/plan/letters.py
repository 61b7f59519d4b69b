"""Where an entry of a matrix stands in another one whose rows and columns are counted by the same letters."""

from __future__ import annotations

from dataclasses import dataclass

from symbp.expr import Contraction, Size


@dataclass(frozen=True)
class Digit:
    """One letter of a place: ``row // below % extent`` of the result's row (axis 0) or column (1), times ``stride``.

    extent: None for the first letter of its side, of which there is no remainder to take.
    """

    axis: int
    below: Size
    extent: Size | None
    stride: Size


def digits(spec: Contraction) -> tuple[tuple[Digit, ...], tuple[Digit, ...]]:
    """Return what the row and the column of an operand are made of, at an entry of the result.

    spec: a contraction of one operand in which nothing is summed: letters change places, some are spread.
    """
    (source,) = spec.operands
    rows, cols = ([_digit(spec, letter, side) for letter in side] for side in source)
    return tuple(rows), tuple(cols)


def _digit(spec: Contraction, letter: str, side: str) -> Digit:
    axis = 0 if letter in spec.out[0] else 1
    before, _, after = spec.out[axis].partition(letter)
    return Digit(axis, spec.size(after), spec.sizes[letter] if before else None, spec.size(side.partition(letter)[2]))


def axes(spec: Contraction) -> tuple[list[int], str]:
    """Return the order of the operand's letters in the result, and the letters of the result with those that it has."""
    own, kept = "".join(spec.operands[0]), "".join(spec.out)
    return [own.index(letter) for letter in kept if letter in own], kept
