"""Where the variables of a program live in the module, and from which shape a size is read.

A family whose shape does not depend on its indices is one array with the indices in front (*stacked*); otherwise the
outer indices, up to the last one on which the shape depends, are levels of tuples.
"""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import sympy as sp

from symbp.expr import Bounds, SizeMember, at_most, expanded, is_one, same_size
from symbp.plan.fields import field_name
from symbp.plan.fields import hull as smallest
from symbp.program import Program, Var, fresh_name, substitute
from symbp.render.numpy.scalars import GenerateError

Group = Literal["params", "inputs", "state"]

Ends = tuple[sp.Expr, sp.Expr]

_MODULE_NAMES = """
    np NamedTuple Any Literal NDArray Array DTYPE TypeAlias Params Inputs Cache Gradients Predictions annotations
    params inputs cache tangents targets rng forward backward loss_and_gradients backward_parts predict check_inputs
    train_step fit jvp save load init_params learning_rate max_norm Workspace train run gradients partial Callable
"""
RESERVED = frozenset(keyword.kwlist) | frozenset(dir(builtins)) | frozenset(_MODULE_NAMES.split())
"""Names that the module uses itself; a local variable of that name gets an underscore."""

STATEFUL = frozenset({"State", "state", "init_state", "update_state"})
"""The same in a module with running statistics."""


class Identifiers:
    """Hands out the local name of each variable, size and index; no two share one."""

    def __init__(self, reserved: Iterable[str] = RESERVED) -> None:
        self._given: dict[str, str] = {}
        self._taken = set(reserved)

    def __call__(self, name: str) -> str:
        """Return the local name of something that the declaration calls ``name``."""
        if name not in self._given:
            local = name
            while local in self._taken:
                local += "_"
            self._taken.add(local)
            self._given[name] = local
        return self._given[name]

    def fresh(self, wanted: str) -> str:
        """Return a name that nothing else has."""
        local = fresh_name(wanted, self._taken)
        self._taken.add(local)
        return local

    def free(self, name: str) -> bool:
        """Tell whether nothing has a name."""
        return name not in self._taken

    @property
    def ambiguous(self) -> bool:
        """Tell whether a name is one that linters find hard to read (``l``, ``O``, ``I``)."""
        return any(name in self._taken for name in "lOI")


@dataclass(frozen=True)
class Store:
    """How the members of a family are kept: ``lows`` is the first value of each index (None: not an axis).

    depth: how many of the leading indices are levels of tuples; the rest are axes of arrays.
    """

    name: str
    lows: tuple[sp.Expr | None, ...] = ()
    highs: tuple[sp.Expr | None, ...] = ()
    depth: int = 0
    scalar: bool = False

    @property
    def ends(self) -> tuple[Ends, ...]:
        """The first and the last value of each index; every index must be an axis."""
        if any(low is None for low in self.lows):
            raise GenerateError(f"{self.name} is not kept as a whole family")
        return tuple(zip(self.lows, self.highs, strict=True))

    @property
    def stacked(self) -> tuple[int, ...]:
        """The indices that are axes of arrays."""
        return tuple(k for k, low in enumerate(self.lows) if low is not None and k >= self.depth)


@dataclass(frozen=True)
class Field:
    """A field of ``Params``, ``State`` or ``Inputs``: a declared variable, or the part of a family in one line."""

    name: str
    var: Var
    group: Group
    ends: tuple[Ends, ...] = ()

    @property
    def target(self) -> bool:
        """Tell whether it is a target."""
        return self.var.kind == "target"

    @property
    def free(self) -> tuple[int, ...]:
        """The indices that run; the others are fixed."""
        return tuple(k for k, (lo, hi) in enumerate(self.ends) if not same_size(lo, hi))

    @property
    def shape(self) -> tuple[sp.Expr, sp.Expr]:
        """Rows and columns, with fixed indices filled in."""
        ends = zip(self.var.indices, self.ends, strict=True)
        fixed = {i: lo for k, (i, (lo, _)) in enumerate(ends) if k not in self.free}
        return substitute(self.var.rows, fixed), substitute(self.var.cols, fixed)

    @property
    def depth(self) -> int:
        """The number of levels of tuples."""
        depends = [
            n for n, k in enumerate(self.free) if any(s.has(self.var.indices[k]) for s in self.shape)
        ]
        return depends[-1] + 1 if depends else 0

    @property
    def access(self) -> str:
        """The text that reads it from its NamedTuple."""
        return f"{self.group}.{self.name}"

    @property
    def lengths(self) -> tuple[sp.Expr, ...]:
        """The number of members along each running index."""
        return tuple(expanded(self.ends[k][1] - self.ends[k][0] + 1) for k in self.free)

    @property
    def annotation(self) -> str:
        """Its type."""
        return "float" if self.var.scalar and self.group == "inputs" else annotation(self.depth)

    def member_label(self) -> str:
        """Return the member that it holds, as in the declaration: ``X[t]``."""
        if not self.ends:
            return self.var.name
        at = [i if k in self.free else self.ends[k][0] for k, i in enumerate(self.var.indices)]
        return f"{self.var.name}[{', '.join(map(str, at))}]"


def annotation(depth: int) -> str:
    """Return the type of an array under ``depth`` levels of tuples."""
    return "Array" if depth == 0 else f"tuple[{annotation(depth - 1)}, ...]"


def hull(ends: Sequence[Ends], bounds: Bounds, name: str) -> Ends:
    """Return the smallest interval that holds all given ones; raise ``GenerateError`` if sizes leave it open."""
    found = smallest(ends, bounds)
    if found is None:
        shown = ", ".join(f"{a}..{b}" for a, b in ends)
        raise GenerateError(
            f"{name} lives on {shown}: which comes first depends on sizes; state a bound such as `assert T >= 3`"
        )
    return found


@dataclass(frozen=True)
class Axis:
    """One axis of a field: its length is ``value`` in the declaration and ``accessor`` in the module."""

    field: Field
    value: sp.Expr
    accessor: str


@dataclass(frozen=True)
class MemberAxis:
    """Axes whose lengths are the members ``lo``..``hi`` of a family of sizes; ``accessor`` lists them."""

    field: Field
    lo: sp.Expr
    hi: sp.Expr
    accessor: str


class Layout:
    """The fields of a program and the names of its variables."""

    def __init__(self, program: Program, sizes: Mapping[str, int]) -> None:
        self.program = program
        self.bounds = program.bounds
        self.given = sizes
        self.identifiers = Identifiers(RESERVED | STATEFUL if program.declared("state") else RESERVED)
        self.indices: set[sp.Expr] = {i for v in program.variables.values() for i in v.indices}

    # -- fields ------------------------------------------------------------------------------------------------
    @cached_property
    def params(self) -> tuple[Field, ...]:
        """The fields of ``Params``."""
        return self._fields("params", self.program.declared("param"))

    @cached_property
    def inputs(self) -> tuple[Field, ...]:
        """The fields of ``Inputs``: inputs and constants, then targets (they have a default)."""
        known = self.program.declared("input", "const")
        return self._fields("inputs", [v for v in known if v.value is None] + self.program.declared("target"))

    @cached_property
    def states(self) -> tuple[Field, ...]:
        """The fields of ``State``: running statistics."""
        return self._fields("state", self.program.declared("state"))

    @property
    def fields(self) -> tuple[Field, ...]:
        """All fields but those of ``State``, in the order in which their shapes are looked at."""
        early = [f for f in self.inputs if not f.target]
        return (*early, *self.params, *(f for f in self.inputs if f.target))

    @property
    def constants(self) -> list[Var]:
        """The constants whose entries the declaration gives."""
        return [v for v in self.program.declared("const") if v.value is not None]

    def _fields(self, group: Group, variables: Sequence[Var]) -> tuple[Field, ...]:
        names: set[str] = set()
        out: list[Field] = []
        for var in variables:
            for box in var.boxes or (None,):
                ends = () if box is None else tuple((side.lows[0], side.highs[0]) for side in box.sides)
                name = fresh_name(field_name(var, ends), names)
                names.add(name)
                out.append(Field(name, var, group, ends))
        return tuple(out)

    def fields_of(self, name: str) -> list[Field]:
        """Return the fields that hold a declared variable."""
        return [f for f in (*self.params, *self.states, *self.inputs) if f.var.name == name]

    # -- families ------------------------------------------------------------------------------------------------
    def computed(self, name: str) -> bool:
        """Tell whether an equation of the program defines members of the variable."""
        return any(piece.site is not None for piece in self.program.pieces[name])

    def depth_of(self, var: Var) -> int:
        """Return how many leading indices of a whole family are levels of tuples."""
        depends = [k for k, i in enumerate(var.indices) if any(s.has(i) for s in var.shape)]
        return depends[-1] + 1 if depends else 0

    def whole(self, var: Var) -> Store:
        """Return the store of all members of a family, declared and computed."""
        boxes = [piece.box for piece in self.program.pieces[var.name]]
        ends = [
            hull([(box.sides[k].lows[0], box.sides[k].highs[0]) for box in boxes], self.bounds, var.name)
            for k in range(len(var.indices))
        ]
        lows, highs = tuple(lo for lo, _ in ends), tuple(hi for _, hi in ends)
        return Store(self.identifiers(var.name), lows, highs, self.depth_of(var), var.scalar)

    def direct(self, field: Field) -> Store:
        """Return the store of a family of which one field holds everything."""
        lows = tuple(lo if k in field.free else None for k, (lo, _) in enumerate(field.ends))
        highs = tuple(hi if k in field.free else None for k, (_, hi) in enumerate(field.ends))
        # The levels of tuples count running indices only; a fixed index is no level.
        depth = field.free[field.depth - 1] + 1 if field.depth else 0
        scalar = field.var.scalar and field.group == "inputs"
        return Store(self.identifiers(field.name), lows, highs, depth, scalar)

    # -- sizes ---------------------------------------------------------------------------------------------------
    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """Every axis of every field whose length is one number, with what it is in the declaration."""
        found: list[Axis] = []
        for field in self.fields:
            if field.annotation == "float":
                continue
            member = "{}"
            for level, length in enumerate(field.lengths):
                if level < field.depth:
                    found.append(Axis(field, length, f"len({member})"))
                    member += "[0]"
                else:
                    found.append(Axis(field, length, f"{member}.shape[{level - field.depth}]"))
            running = [field.var.indices[k] for k in field.free]
            for k, value in enumerate(field.shape):
                if not is_one(value) and not any(value.has(i) for i in running):
                    found.append(Axis(field, value, f"{member}.shape[{len(running) - field.depth + k}]"))
        return tuple(found)

    @cached_property
    def loose(self) -> tuple[sp.Symbol, ...]:
        """The sizes that no shape gives, such as a number of steps that only bounds a loop: fields of ``Inputs``."""
        known: set[sp.Expr] = set(self.members)
        wanted = [s for s in self.program.sizes if s.is_Symbol]
        free: list[sp.Symbol] = []
        while True:
            before = len(known)
            for axis in self.axes:
                unknown = {a for a in axis.value.atoms(sp.Symbol) - self.indices if a not in known}
                if len(unknown) == 1 and sp.Poly(axis.value, *unknown).is_linear:
                    known |= unknown
            known |= {size for size, value in self.program.definitions if value.atoms(sp.Symbol) <= known}
            if len(known) > before:
                continue
            left = [s for s in wanted if s not in known]
            if not left:
                return tuple(free)
            free.append(left[0])
            known.add(left[0])

    @cached_property
    def members(self) -> Mapping[str, tuple[MemberAxis, ...]]:
        """The axes whose lengths are members of a family of sizes, by the family's name."""
        found: dict[str, list[MemberAxis]] = {}
        for axis in self.axes:
            if isinstance(axis.value, SizeMember) and len(axis.value.indices) == 1:
                at = axis.value.indices[0]
                found.setdefault(axis.value.name, []).append(MemberAxis(axis.field, at, at, axis.accessor))
        for field in self.fields:
            if field.depth != 1:
                continue
            index, (lo, hi) = field.var.indices[field.free[0]], field.ends[field.free[0]]
            for k, value in enumerate(field.shape):
                if not (isinstance(value, SizeMember) and len(value.indices) == 1 and value.has(index)):
                    continue
                first, last = (expanded(value.indices[0].xreplace({index: end})) for end in (lo, hi))
                axis_number = len(field.free) - 1 + k
                every = found.setdefault(value.name, [])
                every.append(MemberAxis(field, first, last, f"*(a.shape[{axis_number}] for a in {{}})"))
                every.append(MemberAxis(field, first, first, f"{{}}[0].shape[{axis_number}]"))
                every.append(MemberAxis(field, last, last, f"{{}}[-1].shape[{axis_number}]"))
        return {name: tuple(every) for name, every in found.items()}

    def family_of_sizes(self, name: str, fields: Iterable[Field]) -> list[MemberAxis] | None:
        """Return axes of the given fields that together give every member of a family of sizes, in order."""
        at_hand = set(fields)
        every = [axis for axis in self.members.get(name, ()) if axis.field in at_hand]
        everywhere = self.members.get(name, ())
        if not every:
            return None
        low, high = hull([(a.lo, a.hi) for a in everywhere], self.bounds, name)

        def chain(start: sp.Expr) -> list[MemberAxis] | None:
            for axis in every:
                if same_size(axis.lo, start):
                    if same_size(axis.hi, high):
                        return [axis]
                    if not at_most(axis.lo, axis.hi, self.bounds):
                        continue
                    rest = chain(expanded(axis.hi + 1))
                    if rest is not None:
                        return [axis, *rest]
            return None

        return chain(low)

    def first_member(self, name: str) -> sp.Expr:
        """Return the first index of a family of sizes."""
        return hull([(a.lo, a.hi) for a in self.members.get(name, ())], self.bounds, name)[0]
