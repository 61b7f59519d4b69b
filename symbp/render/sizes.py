"""Sizes as numbers, as a user gives them: which ones a program has, and whether the given numbers fit it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import sympy as sp

from symbp.expr import Box, SizeMember, evaluate_size
from symbp.program import Program

Given: TypeAlias = "Mapping[str, int | Sequence[int] | Mapping[int, int]]"
"""Numbers by name: of a family of sizes one number after the other, from index 0, or by index."""

MANY = 1000
"""The largest number of members of a family of sizes: each has matrices, and code, of its own."""


class SizeError(ValueError):
    """Sizes that do not fit a program, or not its target; the message says which, and the way out."""


def size_families(program: Program) -> tuple[str, ...]:
    """Return the names of families of sizes, such as ``n`` for ``n[l]``."""
    shapes = [x for var in program.variables.values() for x in var.shape]
    found = {m.name for x in (*shapes, *(d for _, d in program.definitions)) for m in x.atoms(SizeMember)}
    return tuple(sorted(found))


def size_names(program: Program) -> tuple[str, ...]:
    """Return the names of all sizes for which numbers can be given: those that no assertion defines."""
    defined = {s for s, _ in program.definitions}
    return (*(s.name for s in program.sizes if s not in defined and s.is_Symbol), *size_families(program))


def plain_sizes(program: Program, given: Given) -> dict[str, int]:
    """Return sizes that are single numbers; raise ``SizeError`` where a family of sizes is given."""
    for name in size_families(program):
        if name in given:
            raise SizeError(
                f"the sizes {name}[0], {name}[1], ... are read off the arrays that a NumPy module is given: "
                f"leave --size {name}=... out"
            )
    return {name: _single(name, value) for name, value in given.items()}


def fixed_sizes(program: Program, given: Given, largest: Mapping[str, int]) -> dict[str, Any]:
    """Return all sizes as numbers, families by index, but those in ``largest``, which are known at run time only.

    Raises ``SizeError`` for a size that is missing, unknown, too small for an assertion, given twice, or a family of
    the wrong length.
    """
    names, families = size_names(program), size_families(program)
    _only_known(names, given, largest)
    numbers: dict[str, Any] = {}
    for name, value in given.items():
        numbers[name] = _family(name, value) if name in families else _single(name, value)
    for name, most in largest.items():
        if name in families:
            raise SizeError(f"--largest {name}: {name} is a family of sizes, and each of them has a fixed number in C")
        _single(name, most)
    missing = [n for n in names if n not in numbers and n not in largest]
    if missing:
        ways = " ".join(f"--size {n}={'4,8,3' if n in families else 4}" for n in missing)
        raise SizeError(f"C has fixed sizes, and no number is given for {', '.join(missing)}: for example {ways}")
    known = {**numbers, **largest}
    for symbol, value in program.definitions:
        try:
            known[str(symbol)] = evaluate_size(value, known)
        except ValueError:
            raise SizeError(f"{symbol} = {value} is no whole number at these sizes: {_shown(numbers)}") from None
        if known[str(symbol)] < 1:
            raise SizeError(f"{symbol} = {value} is {known[str(symbol)]} at these sizes: {_shown(numbers)}")
        if not {s.name for s in value.free_symbols} & set(largest):
            numbers[str(symbol)] = known[str(symbol)]
    for symbol, least in program.bounds.items():
        if known.get(str(symbol), least) < least:
            raise SizeError(f"{symbol} is {known[str(symbol)]}, and the declaration says {symbol} >= {least}")
    for name in families:
        _check_length(program, name, known, given[name])
    return numbers


def _only_known(names: Sequence[str], given: Given, largest: Mapping[str, int]) -> None:
    for name in (*given, *largest):
        if name not in names:
            raise SizeError(f"there is no size {name}; there are: {', '.join(names)}")
        if name in given and name in largest:
            raise SizeError(f"{name} is given as a number and as the largest one: leave one of the two out")


def _single(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise SizeError(f"--size {name}: {name} is one size, so give one number: --size {name}=4")
    if value < 1:
        raise SizeError(f"--size {name}: {value} is no size, which is a whole number of at least 1")
    return value


def _family(name: str, value: int | Sequence[int] | Mapping[int, int]) -> dict[int, int]:
    if isinstance(value, int):
        value = (value,)
    found = dict(value) if isinstance(value, Mapping) else dict(enumerate(value))
    if len(found) > MANY:
        raise SizeError(f"--size {name}: {len(found)} members are given; in C there can be {MANY} at most")
    return {index: _single(f"{name}[{index}]", number) for index, number in found.items()}


def _check_length(program: Program, name: str, sizes: Mapping[str, Any], value: Any) -> None:
    """Compare the members of a family that are given with those that shapes have at these sizes."""
    needed = sorted(set(_members(program, name, sizes)))
    given = sizes[name]
    missing = [index for index in needed if index not in given]
    spare = [index for index in given if index not in needed]
    if needed and (missing or (spare and not isinstance(value, Mapping))):
        bounds = ", ".join(f"{s} = {sizes[str(s)]}" for s in program.sizes if s.is_Symbol and _bounds(program, s, name))
        raise SizeError(
            f"--size {name}: {len(given)} {'number is' if len(given) == 1 else 'numbers are'} given, but "
            f"{f'with {bounds} ' if bounds else ''}there are {name}[{needed[0]}] to {name}[{needed[-1]}]: "
            f"give {len(needed)}, for example --size {name}={','.join(['4'] * len(needed))}"
        )


def _bounds(program: Program, symbol: sp.Symbol, name: str) -> bool:
    """Tell whether a size says how many members a family of sizes has."""
    boxes = [p.box for n, pieces in program.pieces.items() for p in pieces if _of(program, n, name)]
    ends = [e for box in boxes for side in box.sides for e in (*side.lows, *side.highs)]
    shapes = [i for var in program.variables.values() for m in _of(program, var.name, name) for i in m.indices]
    return any(symbol in e.free_symbols for e in (*ends, *shapes))


def _of(program: Program, variable: str, family: str) -> set[SizeMember]:
    return {m for x in program.variables[variable].shape for m in x.atoms(SizeMember) if m.name == family}


def _members(program: Program, family: str, sizes: Mapping[str, Any]) -> Iterator[int]:
    """Yield the index of each member of a family that is in a shape; members with several indices are left out."""
    for var in program.variables.values():
        used = [m for m in _of(program, var.name, family) if len(m.indices) == 1]
        for piece in program.pieces[var.name] if used else ():
            for where in _places(piece.box, sizes):
                at = {i.name: k for i, k in zip(var.indices, where, strict=True)}
                for member in used:
                    yield evaluate_size(member.indices[0], sizes, at)


def _places(box: Box, sizes: Mapping[str, Any]) -> Iterator[tuple[int, ...]]:
    sides = [
        range(max(evaluate_size(x, sizes) for x in s.lows), min(evaluate_size(x, sizes) for x in s.highs) + 1)
        for s in box.sides
    ]
    return itertools.product(*sides)


def _shown(sizes: Mapping[str, Any]) -> str:
    return ", ".join(f"{n} = {v}" for n, v in sizes.items())


__all__ = ["Given", "SizeError", "fixed_sizes", "plain_sizes", "size_families", "size_names"]
