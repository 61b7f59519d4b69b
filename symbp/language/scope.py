"""What is known at a place of a declaration: names, sizes, functions, the loops around."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import sympy as sp

from symbp.expr import Bounds, Function, Node, Ref, affine, least, size
from symbp.language.diagnostics import Mistake, Report, Span, did_you_mean
from symbp.program import LayerUse, Running, Var, fresh_name
from symbp.layers.registry import Maps, maps_of


MASK_FACTS = frozenset({"mask", "binary", "one_hot_columns", "one_hot_rows"})


@dataclass(frozen=True)
class Head:
    """A loop around a statement, or a summation index: ``serial`` tells apart loops with equal indices."""

    name: str
    symbol: sp.Symbol
    lo: sp.Expr
    hi: sp.Expr
    down: bool
    serial: int
    line: int


@dataclass(frozen=True)
class Private:
    """A name without an index that a loop assigns: the variable behind it and the loops to which it belongs."""

    variable: str
    loops: tuple[Head, ...]


class Axes:
    """The sizes of what is declared, from which it is told which of them counts the samples."""

    def __init__(self, declared: Iterable[Var] = ()) -> None:
        self.inputs: set[sp.Expr] = set()
        self.targets: list[set[sp.Expr]] = []
        self.parameters: set[sp.Expr] = set()
        for var in declared:
            self.add(var)

    def add(self, var: Var) -> None:
        """Note the sizes of a variable."""
        if var.kind == "param":
            self.parameters.update(*(end.free_symbols for end in var.shape if end not in self.parameters))
        elif var.kind == "input" and not var.scalar:
            self.inputs.update(var.shape)
        elif var.kind == "target" and not var.scalar:
            self.targets.append(set(var.shape))

    def samples(self) -> sp.Expr | None:
        """Return the one size that every target shares with an input and that no parameter has; None otherwise."""
        return self._shared(self.parameters)

    def positions(self) -> sp.Expr | None:
        """Return the one size that counts positions or times where the samples are members of a family.

        A parameter may have it: what a model learns of each position.
        """
        return self.samples() or self._shared(set())

    def _shared(self, excluded: set[sp.Expr]) -> sp.Expr | None:
        shared = set.intersection(self.inputs, *self.targets) if self.targets else set()
        found = [s for s in shared if s.is_Symbol and s not in excluded]
        return found[0] if len(found) == 1 else None


@dataclass
class Scope:
    """The names of a declaration while it is read."""

    report: Report
    sizes: dict[str, sp.Expr] = field(default_factory=dict)
    size_families: dict[str, int] = field(default_factory=dict)
    variables: dict[str, Var] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    private: dict[str, list[Private]] = field(default_factory=dict)
    poisoned: set[str] = field(default_factory=set)
    later: dict[str, int] = field(default_factory=dict)
    families: dict[str, str] = field(default_factory=dict)
    declared: set[str] = field(default_factory=set)
    masks: set[str] = field(default_factory=set)
    loops: tuple[Head, ...] = ()
    sums: tuple[Head, ...] = ()
    bounds: dict[sp.Expr, int] = field(default_factory=dict)
    samples: sp.Expr | None = None
    definitions: list[tuple[sp.Expr, sp.Expr]] = field(default_factory=list)
    maps: dict[Node, Maps] = field(default_factory=dict)
    named_maps: dict[str, Maps] = field(default_factory=dict)
    positions: dict[tuple[int, Ref], Span] = field(default_factory=dict)
    running: list[Running] = field(default_factory=list)
    layers: list[LayerUse] = field(default_factory=list)
    axes: Axes = field(default_factory=Axes)
    _members: dict[tuple[str, tuple[sp.Expr, ...]], Ref] = field(default_factory=dict)

    @property
    def heads(self) -> tuple[Head, ...]:
        """The loops and sums around, outermost first."""
        return self.loops + self.sums

    def head(self, name: str) -> Head | None:
        """Return the loop or sum around whose index is called ``name``."""
        return next((h for h in reversed(self.heads) if h.name == name), None)

    def member(self, name: str, indices: tuple[sp.Expr, ...]) -> Ref:
        """Return a reference to a variable or to a member of a family."""
        key = name, indices
        found = self._members.get(key)
        if found is None:
            found = self._members[key] = self.variables[name](*indices)
        return found

    def define(self, var: Var) -> None:
        """Add a variable."""
        self.variables[var.name] = var
        self.axes.add(var)

    def is_mask(self, ref: Ref) -> bool:
        """Tell whether a variable has entries 0 and 1 only: by a fact, or because a comparison was assigned to it."""
        return ref.name in self.masks or bool(self.variables[ref.name].facts & MASK_FACTS)

    def private_here(self, name: str) -> Private | None:
        """Return the private name that can be read here, if there is one."""
        for entry in self.private.get(name, ()):
            if self.loops[: len(entry.loops)] == entry.loops:
                return entry
        return None

    def unknown(self, name: str, operations: Iterable[str] = ()) -> Mistake:
        """Return the mistake of reading a name that nobody defines."""
        if name in self.later:
            help = f"it is assigned in line {self.later[name]}"
            if name in self.families:
                help += (
                    f"; declare its first member, or state its shape: `{name}[{self.families[name]}]: [.., ..] = ...`"
                )
            return Mistake("B001", f"{name} is read before it is assigned", help)
        elsewhere = self.private.get(name)
        if elsewhere:
            around = elsewhere[0].loops[-1]
            return Mistake(
                "N009",
                f"{name} is private to the loop over {around.name} in line {around.line}",
                f"give it the index: `{name}[{', '.join(h.name for h in elsewhere[0].loops)}] = ...`",
            )
        known = [*self.variables, *self.sizes, *self.size_families, *self.functions, *self.later, *operations]
        return Mistake("N001", f"{name} is not declared", did_you_mean(name, known) or "declare it, or assign it above")

    def extremes(self, value: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
        """Return the least and the largest value of an affine index expression over the loops around."""
        low = high = value
        for head in reversed(self.heads):
            for end in range(2):
                form = affine(sp.expand((low, high)[end]))
                coefficient = dict(form[0]).get(head.symbol, 0) if form else 0
                first, last = (head.lo, head.hi) if coefficient > 0 else (head.hi, head.lo)
                if end == 0:
                    low = low.xreplace({head.symbol: first})
                else:
                    high = high.xreplace({head.symbol: last})
        return sp.expand(low), sp.expand(high)

    def iterations(self, innermost: Head) -> int:
        """Return the number of iterations that the loops around and one more have at least."""
        count = 1
        for head in (*self.heads, innermost):
            count *= max(1, least(sp.expand(head.hi - head.lo + 1), self.bounds) or 1)
        return count

    def proves_at_least(self, value: sp.Expr, bound: int) -> bool:
        """Tell whether a size is at least ``bound`` for all sizes."""
        return at_least(value, bound, self.bounds)

    def note_maps(self, name: str, value: Node) -> None:
        """Remember which feature maps an assigned name holds: those of its value, if no index changes them."""
        maps = maps_of(value, self.maps, self.named_maps)
        if maps is not None and not any(h.symbol in s.free_symbols for h in self.loops for s in maps.sizes):
            self.named_maps[name] = maps

    def note(self, line: int, node: Node, span: Span) -> None:
        """Remember where a variable is read, for messages about it."""
        if isinstance(node, Ref):
            self.positions.setdefault((line, node), span)


def at_least(value: sp.Expr, bound: int, bounds: Bounds) -> bool:
    """Tell whether a size is at least ``bound`` for all sizes within their bounds."""
    value = sp.expand(value)
    found = least(value, bounds)
    if found is None:
        found = _least_of_polynomial(value, bounds)
    return found is not None and found >= bound


def derived_size(
    word: str, value: sp.Expr, bounds: Bounds, definitions: list[tuple[sp.Expr, sp.Expr]], taken: Iterable[str]
) -> sp.Expr:
    """Return a size that a layer makes: a polynomial as it is, anything else as a new symbol with a definition.

    Raises ``ValueError`` for a polynomial of one size that is not shown to be at least 1: a bound is to be stated.
    """
    symbols = sorted(value.free_symbols, key=str)
    if not value.has(sp.floor):
        if at_least(value, 1, bounds):
            return value
        if len(symbols) < 2:
            name = symbols[0] if symbols else "n"
            raise ValueError(f"the size {value} is not shown to be at least 1: state a bound, `assert {name} >= 3`")
    known = next((s for s, v in definitions if v == value), None)
    if known is None:
        known = size(fresh_name(word, taken))
        definitions.append((known, value))
    return known


def _least_of_polynomial(value: sp.Expr, bounds: Bounds) -> int | None:
    """Return a lower bound of a polynomial whose non-constant coefficients are natural numbers."""
    total = 0
    for term in sp.Add.make_args(value):
        coefficient, rest = term.as_coeff_Mul()
        if not coefficient.is_Integer:
            return None
        if rest == 1:
            total += int(coefficient)
            continue
        if coefficient < 0 or not rest.is_positive:
            return None
        part = int(coefficient)
        for factor in sp.Mul.make_args(rest):
            base, power = factor.as_base_exp()
            part *= bounds.get(base, 1) ** int(power) if power.is_Integer and power > 0 else 1
        total += part
    return total
