"""The buffers of a program's variables: one for each declaration, one for each computed variable or family.

A family whose members have different shapes is split into one buffer per member where sizes are numbers; otherwise it
is a list of arrays (``Buffer.levels``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import sympy as sp

from symbp.expr import Bounds, Box, SizeMember, at_most, same_size
from symbp.plan.ir import Buffer, Role, View
from symbp.program import Program, Var, fresh_name, index_box, reads_of, site_ranges

Ends: TypeAlias = tuple[sp.Expr, sp.Expr]


class PlanError(ValueError):
    """A program that cannot be planned; the message says what is in the way and the way out."""


def index_name(value: sp.Expr) -> str:
    """Return an index value as a part of a name: ``m1`` for -1, ``Tp1`` for T + 1."""
    return str(value).replace(" ", "").replace("+", "p").replace("-", "m").replace("*", "")


def field_name(var: Var, ends: Sequence[Ends]) -> str:
    """Return the field of one declaration: the family's name, with what its fixed indices are (``H_0``, ``H_m1``)."""
    if all(not same_size(lo, hi) for lo, hi in ends):
        return var.name
    parts = []
    for index, (lo, hi) in zip(var.indices, ends, strict=True):
        parts.append(index_name(lo) if same_size(lo, hi) else str(index))
    return f"{var.name}_{'_'.join(parts)}"


def hull(ends: Sequence[Ends], bounds: Bounds) -> Ends | None:
    """Return the smallest interval that holds all given ones; None if sizes leave open which it is."""
    low = next((a for a, _ in ends if all(at_most(a, b, bounds) for b, _ in ends)), None)
    high = next((b for _, b in ends if all(at_most(a, b, bounds) for _, a in ends)), None)
    return None if low is None or high is None else (low, high)


@dataclass(frozen=True)
class Sizes:
    """What is known of sizes: numbers by name (a family: a mapping from index to number); the rest stay symbols."""

    numbers: Mapping[str, Any] = field(default_factory=dict)

    def value(self, size: sp.Expr, at: Mapping[sp.Expr, sp.Expr] | None = None) -> sp.Expr:
        """Return a size or an index with loop indices replaced and known sizes as numbers."""
        if size.is_Integer:
            return size
        mapping = dict(at or {})
        out = size.xreplace(mapping) if mapping else size
        plain = {
            s: sp.Integer(self.numbers[s.name]) for s in out.free_symbols
            if s.name in self.numbers and not isinstance(self.numbers[s.name], Mapping)
        }
        if plain:
            out = out.xreplace(plain)
        members = out.atoms(SizeMember)
        if members:
            known = {m: self._member(m) for m in members}
            out = out.xreplace({m: v for m, v in known.items() if v is not None})
        return sp.expand(out)

    def _member(self, member: SizeMember) -> sp.Expr | None:
        family = self.numbers.get(member.name)
        where = tuple(self.value(i) for i in member.indices)
        if family is None or not all(i.is_Integer for i in where):
            return None
        key = tuple(int(i) for i in where)
        found = family.get(key, family.get(key[0]) if len(key) == 1 else None)
        if found is None:
            way = f"--size {member.name}=4,8,3"
            raise PlanError(f"no number is given for {member}: give {member.name} as a list, {way}")
        return sp.Integer(found)

    @property
    def given(self) -> bool:
        """Tell whether any size is a number."""
        return bool(self.numbers)


@dataclass(frozen=True)
class Field:
    """A declared variable, or the part of a family that one declaration gives, with its buffers.

    ends:    the first and the last value of each index.
    free:    the indices that run in the declaration; the others are fixed.
    buffers: one, or one for each member of a family that is split, by the indices that are split off.
    """

    name: str
    var: Var
    ends: tuple[Ends, ...]
    free: tuple[int, ...]
    buffers: Mapping[tuple[sp.Expr, ...], Buffer]


class Fields:
    """The buffers of a program.

    program: whose variables they hold.
    sizes:   what is known of sizes.
    roles:   the roles of computed variables that the caller gets; others are scratch.
    """

    def __init__(self, program: Program, sizes: Sizes, roles: Mapping[str, Role]) -> None:
        self.program, self.sizes, self.roles = program, sizes, roles
        self.bounds = program.bounds
        self.names: set[str] = set(program.variables)

    # -- declared ---------------------------------------------------------------------------------------------
    @cached_property
    def declared(self) -> tuple[Field, ...]:
        """The fields of all declared variables: parameters, states, inputs and constants, targets."""
        order = ("param", "state", "input", "const", "target")
        known = [v for k in order for v in self.program.declared(k)]  # type: ignore[arg-type]
        inputs = [v for v in known if v.kind in ("input", "const")]
        ordered = [v for v in known if v.kind in ("param", "state")]
        ordered += [v for v in self.program.variables.values() if v in inputs]
        ordered += [v for v in known if v.kind == "target"]
        taken: set[str] = set()
        found: list[Field] = []
        for var in ordered:
            for box in var.boxes or (None,):
                found += self._field(var, box, taken)
        return tuple(found)

    def _field(self, var: Var, box: Box | None, taken: set[str]) -> list[Field]:
        ends = () if box is None else tuple((s.lows[0], s.highs[0]) for s in box.sides)
        name = fresh_name(field_name(var, ends), taken)
        taken.add(name)
        numbers = tuple((self.sizes.value(lo), self.sizes.value(hi)) for lo, hi in ends)
        if any((hi - lo).is_negative for lo, hi in numbers):
            return []
        own: dict[str, Role] = {"param": "param", "state": "state"}
        role: Role = "const" if var.value is not None else own.get(var.kind, "input")
        free = [k for k, (lo, hi) in enumerate(ends) if not same_size(lo, hi)]
        fixed = {i: lo for k, (i, (lo, _)) in enumerate(zip(var.indices, numbers, strict=True)) if k not in free}
        depth = self._levels(var, free)
        split = free[:depth] if self.sizes.given else []
        rest = [k for k in free if k not in split]
        buffers = {}
        for where in _product([numbers[k] for k in split]):
            at = {**fixed, **{var.indices[k]: w for k, w in zip(split, where, strict=True)}}
            label = self._split_name(name, var, ends, split, where)
            if label == var.name and self.computed(var.name):
                label = fresh_name(f"{label}_given", self.names)  # the plain name is the whole family's
            buffers[where] = Buffer(
                label, self.sizes.value(var.rows, at), self.sizes.value(var.cols, at), role,
                tuple(var.indices[k] for k in rest), tuple(numbers[k][0] for k in rest),
                tuple(numbers[k][1] for k in rest), levels=0 if self.sizes.given else depth,
                scalar=var.scalar and role == "input", of=var.name,
            )
        return [Field(name, var, numbers, tuple(free), buffers)]

    @staticmethod
    def _split_name(
        name: str, var: Var, ends: Sequence[Ends], split: Sequence[int], where: Sequence[sp.Expr]
    ) -> str:
        if not split:
            return name
        number = dict(zip(split, where, strict=True))
        parts = [
            index_name(number[k]) if k in number else index_name(lo)
            for k, (lo, hi) in enumerate(ends) if k in number or same_size(lo, hi)
        ]
        return f"{var.name}_{'_'.join(parts)}"

    @staticmethod
    def _levels(var: Var, free: Sequence[int]) -> int:
        """Return how many of the running indices the shape of a member depends on, and those before."""
        depends = [n + 1 for n, k in enumerate(free) if any(s.has(var.indices[k]) for s in var.shape)]
        return max(depends, default=0)

    def fields_of(self, name: str) -> list[Field]:
        """Return the fields that hold a declared variable."""
        return [f for f in self.declared if f.var.name == name]

    def computed(self, name: str) -> bool:
        """Tell whether an equation of the program defines the variable or members of it."""
        return any(piece.site is not None for piece in self.program.pieces[name])

    # -- whole variables ----------------------------------------------------------------------------------------
    def whole_levels(self, var: Var) -> int:
        """Return how many leading indices of a whole family its shape depends on."""
        depends = [k + 1 for k, i in enumerate(var.indices) if any(s.has(i) for s in var.shape)]
        return max(depends, default=0)

    def whole(self, var: Var, prefix: tuple[sp.Expr, ...] = ()) -> Buffer:
        """Return the buffer of a computed variable, or of its members at ``prefix`` if the family is split."""
        ends = self._hull(var)
        at = dict(zip(var.indices, prefix, strict=False))
        rest = range(len(prefix), len(var.indices))
        name = f"{var.name}_{'_'.join(map(index_name, prefix))}" if prefix else var.name
        role = "scratch" if var.declared else self.roles.get(var.name, "scratch")
        levels = 0 if self.sizes.given else self.whole_levels(var)
        if var.name in self.roles:
            role = self.roles[var.name]
        return Buffer(
            name, self.sizes.value(var.rows, at), self.sizes.value(var.cols, at), role,
            tuple(var.indices[k] for k in rest), tuple(ends[k][0] for k in rest), tuple(ends[k][1] for k in rest),
            levels=levels, of=var.name,
        )

    def _hull(self, var: Var) -> tuple[Ends, ...]:
        boxes = [piece.box for piece in self.program.pieces[var.name]]
        if var.zero_outside:
            boxes += self._read_boxes(var.name)
        out = []
        for k in range(len(var.indices)):
            every = [(self.sizes.value(b.sides[k].lows[0]), self.sizes.value(b.sides[k].highs[0])) for b in boxes]
            nonempty = [(lo, hi) for lo, hi in every if not (hi - lo).is_negative] or every[:1]
            found = hull(nonempty, self.bounds)
            if found is None:
                shown = ", ".join(f"{a}..{b}" for a, b in every)
                raise PlanError(
                    f"{var.name} lives on {shown}: which comes first depends on sizes; state a bound such as "
                    "`assert T >= 3`"
                )
            out.append(found)
        return tuple(out)

    def _read_boxes(self, name: str) -> list[Box]:
        """Return the boxes on which a variable is read: members that no equation defines are zero there."""
        found = []
        for site in self.program.sites:
            for ref, around in reads_of(site.equation.value):
                if ref.name == name:
                    ranges = {**site_ranges(site), **{s.bound: s.ends for s in around}}
                    box = index_box(ref.indices, ranges)
                    assert box is not None
                    found.append(box)
        return found

    def members(self, buffer: Buffer) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Yield for each member of a buffer its place and the indices of the variable's member; sizes are numbers."""
        var = self.program.variables[buffer.of]
        places = _product(list(zip(buffer.lows, buffer.highs, strict=True)))
        for field_ in self.fields_of(buffer.of) if var.declared else ():
            for where, own in field_.buffers.items():
                if own.name != buffer.name or own.role != buffer.role:
                    continue
                split = dict(zip(field_.free, where, strict=False))
                for place in places:
                    at = dict(zip(own.indices, place, strict=True))
                    member = [
                        split.get(k, at.get(i, lo))
                        for k, (i, (lo, _)) in enumerate(zip(var.indices, field_.ends, strict=True))
                    ]
                    yield _ints(place), _ints(member)
                return
        ends = self._hull(var)[: len(var.indices) - len(buffer.indices)]
        prefix = next(p for p in _product(ends) if self.whole(var, p).name == buffer.name)
        for place in places:
            yield _ints(place), (*_ints(prefix), *_ints(place))

    def view(self, name: str, where: tuple[sp.Expr, ...]) -> tuple[Buffer, View]:
        """Return the buffer and the view of a variable, or of the member at ``where`` (numbers where sizes are)."""
        var = self.program.variables[name]
        if self.direct(name):
            field_ = self.fields_of(name)[0]
            free = [k for k in range(len(var.indices)) if k in field_.free]
            depth = self._levels(var, free) if self.sizes.given else 0
            buffer = field_.buffers[tuple(where[k] for k in free[:depth])]
            ends = enumerate(zip(var.indices, field_.ends, strict=True))
            fixed = {i: lo for k, (i, (lo, _)) in ends if k not in free}
            at = {**fixed, **dict(zip(var.indices, where, strict=True))}
            rest = tuple(where[k] for k in free[depth:])
            shape = (self.sizes.value(var.rows, at), self.sizes.value(var.cols, at))
            return buffer, View(buffer.name, *shape, rest)
        depth = self.whole_levels(var) if self.sizes.given else 0
        own = self.given_member(name, where) if var.declared and depth == len(var.indices) else None
        if own is not None:
            return own, View(own.name, own.rows, own.cols)
        buffer = self.whole(var, where[:depth])
        at = dict(zip(var.indices, where, strict=True))
        return buffer, View(buffer.name, self.sizes.value(var.rows, at), self.sizes.value(var.cols, at), where[depth:])

    def given_member(self, name: str, where: tuple[sp.Expr, ...]) -> Buffer | None:
        """Return the buffer of a declared member of a family that is split into single matrices; None for others."""
        for field_ in self.fields_of(name):
            fixed = all(k in field_.free or where[k] == lo for k, (lo, _) in enumerate(field_.ends))
            found = field_.buffers.get(tuple(where[k] for k in field_.free)) if fixed else None
            if found is not None and not found.indices:
                return found
        return None

    def direct(self, name: str) -> bool:
        """Tell whether one declaration holds everything of a variable."""
        var = self.program.variables[name]
        return var.declared and not self.computed(name) and len(self.fields_of(name)) == 1


def _ints(values: Sequence[sp.Expr]) -> tuple[int, ...]:
    return tuple(int(v) for v in values)


def _product(ends: Sequence[Ends]) -> list[tuple[sp.Expr, ...]]:
    found: list[tuple[sp.Expr, ...]] = [()]
    for lo, hi in ends:
        found = [(*w, sp.Integer(k)) for w in found for k in range(int(lo), int(hi) + 1)]
    return found
