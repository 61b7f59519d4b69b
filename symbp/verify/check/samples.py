"""Arrays of a file as values of what a network declares, and the sizes that follow from them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from symbp.expr import SizeMember
from symbp.program import Program, Var
from symbp.verify.check.truth import Model
from symbp.verify.check.work import Array
from symbp.verify.draws import bound_sizes, members, size_families

XOR = {"X": np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), "Y": np.array([[0.0, 1.0, 1.0, 0.0]])}
"""The four samples of exclusive or, as columns."""
UNKNOWN, ROUNDS = 4, 3
"""A size that no array tells, and how often a loop runs whose length none tells."""

MOST_MEMBERS = 1_000
"""A member with a higher number is refused: loops run as far as the last one that is given."""

_MEMBER = re.compile(r"(?P<family>\w*?)(?:_?(?P<plain>\d{1,9})|\[(?P<inside>-?\d{1,9})\])\Z")

Values = dict[str, Any]
"""An array for each variable; for a family a mapping from index tuple to array."""


class NoTraining(ValueError):
    """Data or a start that does not fit the network; the message says why."""


def values_of(model: Model, arrays: Mapping[str, Array]) -> Values:
    """Return arrays as values of declared variables.

    The members of a family of one index are given one by one (``W1``, ``W_1``, ``W[1]``) or stacked along a first axis.

    Raises ``NoTraining`` for a name that the network does not declare.
    """
    found: Values = {}
    for key, array in arrays.items():
        array = np.asarray(array, dtype=float)
        var, at = _declared(model.program, key)
        if not var.indices:
            found[var.name] = array
        elif at is not None:
            found.setdefault(var.name, {})[(at,)] = array
        elif array.ndim == 3:
            first = _first(var)
            found.setdefault(var.name, {}).update({(first + k,): part for k, part in enumerate(array)})
        else:
            raise NoTraining(f"{key} is a family: give {key}[1], {key}[2], ..., or all stacked along a first axis")
    return found


def _declared(program: Program, key: str) -> tuple[Var, int | None]:
    """Return the variable that a name means, and of which member."""
    parts = _MEMBER.match(key)
    family = None if parts is None else program.variables.get(parts["family"])
    var = program.variables.get(key)
    if var is not None and var.declared:
        return var, None
    if parts is not None and family is not None and family.declared and len(family.indices) == 1:
        at = int(parts["plain"] or parts["inside"])
        if abs(at) > MOST_MEMBERS:
            raise NoTraining(f"{key} is a member beyond {MOST_MEMBERS}")
        return family, at
    raise NoTraining(f"{key} is not declared by the network")


def _first(var: Var) -> int:
    lows = [low for box in var.boxes for side in box.sides for low in side.lows]
    if len(var.indices) != 1 or not all(low.is_Integer for low in lows):
        raise NoTraining(f"the members of {var.name} cannot be stacked along one axis")
    return min(int(low) for low in lows)


def sizes_of(model: Model, given: Values) -> dict[str, Any]:
    """Return the sizes that values have; a size that none of them has is 4.

    Raises ``NoTraining`` for a shape that does not fit, and for an input or target without values.
    """
    program = model.program
    sizes: dict[str, Any] = dict(_bounds(program, given))
    for symbol in bound_sizes(program):
        sizes.setdefault(symbol.name, ROUNDS)
    bounds = {s: sizes[s.name] for s in program.sizes if s.is_Symbol and s.name in sizes}
    told: dict[str, dict[int, int]] = {name: {} for name in size_families(program)}
    for name, value in given.items():
        var = program.variables[name]
        for at, array in value.items() if isinstance(value, Mapping) else [((), value)]:
            shown = f"{name}[{at[0]}]" if at else name
            if array.ndim != 2:
                raise NoTraining(f"{shown} has {array.ndim} dimensions, not 2")
            inside = {**dict(zip(var.indices, at, strict=True)), **bounds}
            for size, length in zip(var.shape, array.shape, strict=True):
                known = _known(size.xreplace(inside), length, sizes, told)
                if known != length:
                    raise NoTraining(f"{shown} has the shape {array.shape}, but {size} is {known}")
    for name, lengths in told.items():
        top = max([*lengths, *(v for v in sizes.values() if isinstance(v, int) and v < 1000)], default=0) + 2
        sizes[name] = {k: lengths.get(k, UNKNOWN) for k in range(-1, top + 1)}
    for symbol in program.sizes:
        sizes.setdefault(str(symbol), UNKNOWN)
    for var in program.declared("input", "target"):
        if var.value is None and not var.scalar:
            _complete(var, given.get(var.name), sizes)
    return sizes


def _bounds(program: Program, given: Values) -> dict[str, int]:
    """Return how long loops are, by the last members of the families that are given."""
    found: dict[str, int] = {}
    for name, value in given.items():
        if isinstance(value, Mapping) and value:
            highs = [h for box in program.variables[name].boxes for side in box.sides for h in side.highs]
            for high in highs:
                free = high.free_symbols
                if len(free) == 1 and (high - (symbol := next(iter(free)))).is_Integer:
                    found.setdefault(symbol.name, max(at[0] for at in value) - int(high - symbol))
    return found


def _known(size: sp.Expr, length: int, sizes: dict[str, Any], told: dict[str, dict[int, int]]) -> int:
    """Return what a size is known to be; a length tells one that is not known yet."""
    if size.is_Integer:
        return int(size)
    if isinstance(size, SizeMember) and len(size.indices) == 1 and size.indices[0].is_Integer:
        return told[size.name].setdefault(int(size.indices[0]), length)
    if size.is_Symbol:
        known: int = sizes.setdefault(str(size), length)
        return known
    return length


def _complete(var: Var, value: Any, sizes: Mapping[str, Any]) -> None:
    """Refuse an input without values, or a family of which a member is missing."""
    if value is None:
        raise NoTraining(f"there are no values for {var.name}")
    if var.indices:
        lacking = [at for at in members(var, sizes) if at not in value]
        if lacking:
            raise NoTraining(f"there are no values for {var.name}[{', '.join(map(str, lacking[0]))}]")


def columns_or_rows(model: Model, data: Mapping[str, Array]) -> Values:
    """Return bundled data under the names of the network's input and target, laid out as they are declared.

    Raises ``NoTraining`` where the network has not one input and one target of these sizes.
    """
    found: Values = {}
    wanted: Sequence[tuple[str, Array]] = (("input", data["X"]), ("target", data["Y"]))
    for kind, array in wanted:
        mine = [v for v in model.program.variables.values() if v.kind == kind and not v.scalar]
        if len(mine) != 1:
            raise NoTraining(f"the network has {len(mine)} {kind}s, the bundled data one: give an .npz file by names")
        if mine[0].indices and not _is_one(mine[0]):
            raise NoTraining(f"{mine[0].name} is a family, the bundled {kind} one matrix: give an .npz file by names")
        rows = mine[0].rows
        across = rows == model.program.samples or (rows.is_Integer and int(rows) not in (1, array.shape[0]))
        laid = array.T if across else array
        found[mine[0].name] = {(_first(mine[0]),): laid} if mine[0].indices else laid
    return found


def _is_one(var: Var) -> bool:
    """Tell whether one member of a family is declared: ``A[0]``, whose others are computed."""
    sides = [side for box in var.boxes for side in box.sides]
    return len(sides) == 1 and sides[0].lows == sides[0].highs and all(low.is_Integer for low in sides[0].lows)
