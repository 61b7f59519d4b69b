"""A Program: equations ``name = expression`` and loops over them, single assignment, shapes checked in symbols.

Every transformation takes a Program and gives a Program, and ``check`` proves after each one that every entry is
assigned once and that every read is covered by what was defined strictly earlier, for all sizes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import sympy as sp

from symbp.expr import (
    Bounds,
    Box,
    Displayed,
    Function,
    Interval,
    Map,
    Node,
    Ref,
    SizeMember,
    SumOver,
    affine,
    at_most,
    binds,
    evaluate_size,
    refs,
    same_size,
    shape_text,
    shift,
    size_atoms,
    uncovered,
    walk,
)

Kind = Literal["input", "target", "param", "const", "state", "value", "adjoint", "tangent", "message"]
DECLARED: tuple[Kind, ...] = ("input", "target", "param", "const", "state")


@dataclass(frozen=True)
class Origin:
    """What a derived variable is: the adjoint, the tangent or a message of ``of``, or a name given to a part of it."""

    role: Literal["adjoint", "tangent", "message", "argument", "result"]
    of: str


@dataclass(frozen=True)
class Var:
    """A variable or a family of variables.

    name:         unique in its program; ASCII.
    rows, cols:   the shape, a pattern in ``indices`` for a family.
    indices:      the formal indices of a family, () for a plain variable.
    kind:         declared (input, target, param, const, state) or computed (value, adjoint, tangent, message).
    facts:        declared facts, e.g. ``columns_sum_to_one``.
    boxes:        the boxes on which a declared family exists, one per declaration; () for a plain variable.
    origin:       for derived variables, of what.
    zero_outside: members that no equation defines are zero (messages).
    scalar:       declared without brackets: prints as a scalar, is no operand of ``@``.
    value:        a ``const`` whose entries the file gives, row by row, exact.
    size:         for the fact ``index``: the size below which its entries lie.
    start:        a parameter or a state whose entries all begin as this number; None: as is usual for its shape.
    """

    name: str
    rows: sp.Expr
    cols: sp.Expr
    indices: tuple[sp.Symbol, ...] = ()
    kind: Kind = "value"
    facts: frozenset[str] = frozenset()
    boxes: tuple[Box, ...] = ()
    origin: Origin | None = None
    zero_outside: bool = False
    scalar: bool = False
    value: tuple[tuple[sp.Expr, ...], ...] | None = None
    size: sp.Expr | None = None
    start: sp.Expr | None = None

    @property
    def declared(self) -> bool:
        """Tell whether its entries come from outside."""
        return self.kind in DECLARED

    @property
    def shape(self) -> tuple[sp.Expr, sp.Expr]:
        """The shape (of a family: the pattern in ``indices``)."""
        return self.rows, self.cols

    def __call__(self, *where: sp.Expr | int) -> Ref:
        """Return a reference to the variable, or to the member at ``where``."""
        if len(where) != len(self.indices):
            raise ValueError(f"{self.name} has {len(self.indices)} indices, not {len(where)}")
        at = tuple(sp.sympify(w, strict=True) for w in where)
        mapping = dict(zip(self.indices, at, strict=True))
        return Ref(self.name, substitute(self.rows, mapping), substitute(self.cols, mapping), *at)


def substitute(value: sp.Expr, mapping: Mapping[sp.Expr, sp.Expr]) -> sp.Expr:
    """Return a size or an index expression with indices replaced simultaneously."""
    return value.xreplace(dict(mapping)) if mapping else value


@dataclass(frozen=True)
class Equation:
    """``target = value``; ``line`` is the line of the declaration, ``note`` a word on where it comes from."""

    target: Ref
    value: Node
    line: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Loop:
    """``for index in lo..hi`` (both included), downward from ``hi`` to ``lo`` when ``down``."""

    index: sp.Symbol
    lo: sp.Expr
    hi: sp.Expr
    body: tuple[Statement, ...]
    down: bool = False
    line: int | None = None

    def with_body(self, body: Iterable[Statement]) -> Loop:
        """Return the same loop over another body."""
        return replace(self, body=tuple(body))


Statement = Equation | Loop


@dataclass(frozen=True)
class Site:
    """An equation in its place: the loops around it (outermost first) and its position path."""

    equation: Equation
    loops: tuple[Loop, ...]
    path: tuple[int, ...]

    @property
    def target(self) -> Ref:
        """The member that the equation assigns."""
        return self.equation.target

    def ends(self, symbol: sp.Symbol) -> tuple[sp.Expr, sp.Expr]:
        """Return the first and the last value of a loop index around the site."""
        for loop in self.loops:
            if loop.index == symbol:
                return loop.lo, loop.hi
        raise KeyError(symbol)


@dataclass(frozen=True)
class Piece:
    """A part of a family: the box on which one declaration or one equation defines it."""

    box: Box
    site: Site | None


@dataclass(frozen=True)
class Problem:
    """Something that makes a program ill-formed: a diagnostic code, a sentence, the equation's line."""

    code: str
    message: str
    equation: Equation | None = None
    read: Ref | None = None
    help: str = ""


class ProgramError(ValueError):
    """A program that violates single assignment, coverage, order or shapes; ``problems`` lists all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(f"{p.code}: {p.message}" for p in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Running:
    """A state that follows a statistic of the data: each training step makes it ``(1 - momentum) * state + momentum *
    statistic``, and in inference it takes the statistic's place.

    state:     the name of the state.
    statistic: the name of the computed variable that it follows, of the same shape.
    momentum:  the weight of what is new, an exact number.
    """

    state: str
    statistic: str
    momentum: sp.Expr


Place = tuple[str, tuple[sp.Expr, ...]]
"""A variable or the member of a family, by name and indices."""


@dataclass(frozen=True)
class LayerUse:
    """A layer as it stands in a program, for what is known of it beside its equations.

    layer:    its name.
    value:    the left side, if the layer is all of the right side; else None.
    argument: what it is applied to, if that has a name; else None.
    parts:    the parameters and values that it wrote, by prefix.
    """

    layer: str
    value: Place | None
    argument: Place | None
    parts: tuple[tuple[str, Place], ...]


@dataclass(frozen=True)
class Program(Displayed):
    """Equations and loops in order, with the variables that they read and define.

    variables:   by name, declared ones first, in order of appearance.
    body:        equations and loops.
    outputs:     names of results; a loss is called ``loss``.
    samples:     the size that counts samples, if known.
    assumptions: lower bounds of sizes (``assert T >= 3``).
    definitions: sizes that are defined by an equation (``assert d == k*heads`` gives heads: d/k), as (size, value).
    functions:   scalar functions that the user defined or left free, by name.
    running:     the states that training moves, with what they follow.
    layers:      the layers that stand in it.
    """

    variables: Mapping[str, Var]
    body: tuple[Statement, ...]
    outputs: tuple[str, ...] = ("loss",)
    samples: sp.Symbol | None = None
    assumptions: tuple[tuple[sp.Expr, int], ...] = ()
    definitions: tuple[tuple[sp.Expr, sp.Expr], ...] = ()
    functions: Mapping[str, Function] = field(default_factory=dict)
    name: str = "network"
    running: tuple[Running, ...] = ()
    layers: tuple[LayerUse, ...] = ()

    @property
    def bounds(self) -> Bounds:
        """The known lower bounds of sizes."""
        return dict(self.assumptions)

    def declared(self, *kinds: Kind) -> list[Var]:
        """Return the variables of the given declared kinds (all declared ones by default)."""
        wanted = kinds or DECLARED
        return [v for v in self.variables.values() if v.kind in wanted]

    @property
    def parameters(self) -> list[Var]:
        """The trainable variables."""
        return self.declared("param")

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """Every equation with the loops around it, in program order."""
        return tuple(_sites(self.body))

    @cached_property
    def pieces(self) -> Mapping[str, tuple[Piece, ...]]:
        """The pieces of every variable: declarations first, then equations in order."""
        found: dict[str, list[Piece]] = {name: [] for name in self.variables}
        for var in self.variables.values():
            if var.declared:
                found[var.name] += [Piece(box, None) for box in (var.boxes or (Box(()),))]
        for site in self.sites:
            found.setdefault(site.target.name, []).append(Piece(target_box(site), site))
        return {name: tuple(pieces) for name, pieces in found.items()}

    def replace(self, **changes: object) -> Program:
        """Return a program with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def with_variables(self, *new: Var) -> Program:
        """Return a program that also has the given variables."""
        return replace(self, variables={**self.variables, **{v.name: v for v in new}})

    @cached_property
    def sizes(self) -> tuple[sp.Expr, ...]:
        """The size symbols (members of families by their family) in order of appearance in the declarations."""
        seen: dict[sp.Expr, None] = {}
        bound = {loop.index for loop in loops(self.body)} | {i for v in self.variables.values() for i in v.indices}
        for var in self.variables.values():
            ends = [e for box in var.boxes for s in box.sides for e in (*s.lows, *s.highs)]
            for value in (*var.shape, *ends):
                for atom in sorted(value.atoms(sp.Symbol, SizeMember), key=str):
                    if atom.is_Symbol and atom not in bound:
                        seen.setdefault(atom)
        for loop in loops(self.body):
            for value in (loop.lo, loop.hi):
                for atom in sorted(value.free_symbols, key=str):
                    if atom not in bound:
                        seen.setdefault(atom)
        for defined, _ in self.definitions:
            seen.setdefault(defined)
        return tuple(seen)


def _sites(body: Sequence[Statement], around: tuple[Loop, ...] = (), path: tuple[int, ...] = ()) -> Iterator[Site]:
    for k, statement in enumerate(body):
        if isinstance(statement, Loop):
            yield from _sites(statement.body, (*around, statement), (*path, k))
        else:
            yield Site(statement, around, (*path, k))


def loops(body: Sequence[Statement]) -> Iterator[Loop]:
    """Yield every loop, outer before inner, in program order."""
    for statement in body:
        if isinstance(statement, Loop):
            yield statement
            yield from loops(statement.body)


def map_equations(
    body: Sequence[Statement], change: Callable[[Equation], Sequence[Statement]]
) -> tuple[Statement, ...]:
    """Return the body with each equation replaced by the statements that ``change`` gives; empty loops vanish."""
    out: list[Statement] = []
    for statement in body:
        if isinstance(statement, Loop):
            inner = map_equations(statement.body, change)
            if inner:
                out.append(statement.with_body(inner))
        else:
            out.extend(change(statement))
    return tuple(out)


# ---------------------------------------------------------------------------------------------------------
# Boxes of reads and definitions


def index_step(value: sp.Expr, bound: Iterable[sp.Symbol]) -> tuple[sp.Symbol | None, int, sp.Expr] | None:
    """Split an index expression into ``(loop index or None, +1 or -1, offset)``; None if it has another form."""
    form = affine(value)
    if form is None:
        return None
    mine = set(bound)
    used = [(s, c) for s, c in form[0] if s in mine]
    if not used:
        return None, 1, value
    if len(used) > 1 or abs(used[0][1]) != 1:
        return None
    symbol, sign = used[0]
    return symbol, sign, value - sign * symbol


def index_box(indices: Sequence[sp.Expr], ranges: Mapping[sp.Symbol, tuple[sp.Expr, sp.Expr]]) -> Box | None:
    """Return the box that index expressions run through while the loop indices run through ``ranges``."""
    sides = []
    for value in indices:
        step = index_step(value, ranges)
        if step is None:
            return None
        symbol, sign, offset = step
        if symbol is None:
            sides.append(Interval((value,), (value,)))
        else:
            lo, hi = ranges[symbol]
            low, high = (lo + offset, hi + offset) if sign > 0 else (offset - hi, offset - lo)
            sides.append(Interval((low,), (high,)))
    return Box(tuple(sides))


def site_ranges(site: Site) -> dict[sp.Symbol, tuple[sp.Expr, sp.Expr]]:
    """Return the ranges of the loop indices around a site."""
    return {loop.index: (loop.lo, loop.hi) for loop in site.loops}


def target_box(site: Site) -> Box:
    """Return the box of members that the equation at ``site`` defines."""
    box = index_box(site.target.indices, site_ranges(site))
    if box is None:
        raise ProgramError([Problem("B004", f"{site.target.label} is no single index plus a constant", site.equation)])
    return box


def reads_of(value: Node) -> list[tuple[Ref, tuple[SumOver, ...]]]:
    """Return the distinct reads of an expression, each with the sums that bind indices around it, outermost first."""
    found: dict[tuple[Ref, tuple[SumOver, ...]], None] = {}

    if not binds(value):
        return [(ref, ()) for ref in refs(value)]

    def visit(node: Node, around: tuple[SumOver, ...]) -> None:
        if not binds(node):
            for ref in refs(node):
                found.setdefault((ref, around))
            return
        if isinstance(node, SumOver):
            visit(node.args[0], (*around, node))
            return
        if isinstance(node, Ref):
            found.setdefault((node, around))
        for operand in node.operands:
            visit(operand, around)

    visit(value, ())
    return list(found)


# ---------------------------------------------------------------------------------------------------------
# check


def check(program: Program) -> Program:
    """Prove that a program is well-formed for all sizes and return it.

    Checked: every name is a variable; shapes of both sides agree; indices are ``+-index + c``; the pieces of a
    family do not overlap; every read lies in the union of the pieces and is defined strictly earlier.
    Raises ``ProgramError`` with every problem found, with a counterexample where one exists.
    """
    problems: list[Problem] = []
    bounds = program.bounds
    for site in program.sites:
        problems += _shape_problems(program, site)
    problems += _running_problems(program)
    if problems:
        raise ProgramError(problems)
    for name, pieces in program.pieces.items():
        problems += _overlaps(program, name, pieces, bounds)
    if problems:
        raise ProgramError(problems)
    for site in program.sites:
        problems += _read_problems(program, site, bounds)
    if problems:
        raise ProgramError(problems)
    return program


def _running_problems(program: Program) -> list[Problem]:
    """Return what is wrong with states: each follows a computed variable of its own shape."""
    problems = []
    for running in program.running:
        state, statistic = program.variables.get(running.state), program.variables.get(running.statistic)
        if state is None or state.kind != "state" or statistic is None or statistic.declared:
            message = f"the state {running.state} follows no computed variable {running.statistic}"
            problems.append(Problem("N001", message))
            continue
        to = dict(zip(statistic.indices, state.indices, strict=False))
        pairs = zip(state.shape, (substitute(s, to) for s in statistic.shape), strict=True)
        if len(state.indices) != len(statistic.indices) or not all(same_size(a, b) for a, b in pairs):
            shapes = shape_text(state.shape), shape_text(statistic.shape)
            problems.append(Problem("S010", f"{state.name} is {shapes[0]}, but {statistic.name} is {shapes[1]}"))
    return problems


def _shape_problems(program: Program, site: Site) -> list[Problem]:
    equation, target = site.equation, site.target
    problems = []
    var = program.variables.get(target.name)
    if var is None:
        return [Problem("N001", f"{target.name} is not a variable of the program", equation)]
    if not (same_size(target.rows, equation.value.rows) and same_size(target.cols, equation.value.cols)):
        problems.append(
            Problem(
                "S010",
                f"{target.label} is {shape_text(target.shape)} but is given {shape_text(equation.value.shape)}",
                equation,
            )
        )
    ranges = site_ranges(site)
    if len(ranges) != len(site.loops):
        problems.append(Problem("B006", "a loop inside a loop needs an index of its own", equation))
    for ref, around in [(target, ()), *reads_of(equation.value)]:
        bound = {**ranges, **{s.bound: s.ends for s in around}}
        known = program.variables.get(ref.name)
        if known is None:
            problems.append(Problem("N001", f"{ref.name} is read but is not a variable of the program", equation, ref))
        elif len(known.indices) != len(ref.indices):
            problems.append(
                Problem("B005", f"{ref.name} has {len(known.indices)} indices, not {len(ref.indices)}", equation, ref)
            )
        elif index_box(ref.indices, bound) is None:
            problems.append(
                Problem(
                    "B004",
                    f"{ref.label}: an index must be a loop index plus or minus a constant, or free of loop indices",
                    equation,
                    ref,
                )
            )
        else:
            expected = known(*ref.indices)
            if expected is not ref and not (same_size(expected.rows, ref.rows) and same_size(expected.cols, ref.cols)):
                problems.append(
                    Problem(
                        "S010",
                        f"{ref.label} is used as {shape_text(ref.shape)} but is {shape_text(expected.shape)}",
                        equation,
                        ref,
                    )
                )
    return problems


def _overlaps(program: Program, name: str, pieces: Sequence[Piece], bounds: Bounds) -> list[Problem]:
    problems = []
    by_key: dict[object, Piece] = {}
    for piece in pieces:
        if piece.site is not None:
            used = {s for i in piece.site.target.indices for s in i.free_symbols}
            lacking = [loop.index for loop in piece.site.loops if loop.index not in used]
            if lacking:
                problems.append(
                    Problem(
                        "B003",
                        f"{piece.site.target.label} is assigned once for every {lacking[0]}: give it the index",
                        piece.site.equation,
                    )
                )
        if not piece.box.sides:
            if by_key:
                problems.append(
                    Problem("B002", f"{name} is assigned twice", piece.site.equation if piece.site else None)
                )
            by_key[()] = piece
    if pieces and pieces[0].box.sides:
        for a, b in itertools.combinations(pieces, 2):
            if not a.box.meet(b.box).empty(bounds):
                later = b.site or a.site
                problems.append(
                    Problem(
                        "B002",
                        f"two pieces of {name} overlap: {box_text(a.box)} and {box_text(b.box)}",
                        later.equation if later else None,
                    )
                )
    return problems


def box_text(box: Box) -> str:
    """Return a box as ``0..T`` (several indices: ``1..L, 0..T``)."""
    sides = []
    for side in box.sides:
        low, high = ", ".join(map(str, side.lows)), ", ".join(map(str, side.highs))
        sides.append(low if low == high else f"{low}..{high}")
    return ", ".join(sides)


def boxes_text(boxes: Sequence[Box]) -> str:
    """Return boxes as text, with neighbours of one index joined: ``0`` and ``1..T`` are ``0..T``."""
    if not all(len(b.sides) == 1 and len(b.sides[0].lows) == len(b.sides[0].highs) == 1 for b in boxes):
        return "; ".join(box_text(b) for b in boxes)
    spans = [(b.sides[0].lows[0], b.sides[0].highs[0]) for b in boxes]
    joined = True
    while joined:
        joined = False
        for (a, b), (c, d) in itertools.permutations(spans, 2):
            if sp.expand(b + 1 - c) == 0:
                spans = [x for x in spans if x not in ((a, b), (c, d))] + [(a, d)]
                joined = True
                break
    return "; ".join(box_text(Box.of(span)) for span in spans)


def _earlier(definition: Site, reader: Site, ref: Ref, bounds: Bounds) -> bool | None:
    """Tell whether each member that ``ref`` reads was defined earlier by ``definition``; None: not proved."""
    common = 0
    for outer, other in zip(definition.loops, reader.loops, strict=False):
        if outer is not other or definition.path[: common + 1] != reader.path[: common + 1]:
            break
        common += 1
    ranges = site_ranges(reader)
    for loop in definition.loops[:common]:
        offset: sp.Expr | None = None
        for mine, theirs in zip(definition.target.indices, ref.indices, strict=True):
            a, b = index_step(mine, site_ranges(definition)), index_step(theirs, ranges)
            if a and b and a[0] == loop.index and b[0] == loop.index and a[1] == b[1]:
                # The member read in iteration t was defined in iteration t + offset.
                offset = (b[2] - a[2]) * a[1]
                break
        if offset is None:
            return None
        if offset == 0:
            continue
        ahead, behind = at_most(sp.S.One, offset, bounds), at_most(offset, sp.S.NegativeOne, bounds)
        if not (ahead or behind):
            return None
        return behind if not loop.down else ahead
    return definition.path[common:] < reader.path[common:]


def _read_problems(program: Program, site: Site, bounds: Bounds) -> list[Problem]:
    problems = []
    for ref, around in reads_of(site.equation.value):
        var = program.variables[ref.name]
        ranges = {**site_ranges(site), **{s.bound: s.ends for s in around}}
        box = index_box(ref.indices, ranges)
        assert box is not None
        empty_context = any(at_most(hi + 1, lo, bounds) for lo, hi in ranges.values())
        if empty_context:
            continue
        pieces = program.pieces[ref.name]
        late = []
        for piece in pieces:
            if piece.site is None or (box.sides and piece.box.meet(box).empty(bounds)):
                continue
            if not _earlier(piece.site, site, ref, bounds):
                late.append(piece)
        left = [] if var.zero_outside else _left(box, pieces, bounds)
        if late or left:
            problems.append(_explain(program, site, ref, around, box, pieces, late))
    return problems


def _left(box: Box, pieces: Sequence[Piece], bounds: Bounds) -> list[Box]:
    if not box.sides:
        return [] if pieces else [box]
    return uncovered(box, [p.box for p in pieces], bounds)


def _explain(
    program: Program,
    site: Site,
    ref: Ref,
    around: tuple[SumOver, ...],
    box: Box,
    pieces: Sequence[Piece],
    late: Sequence[Piece],
) -> Problem:
    """Say what is wrong with a read, with the smallest counterexample that a search of small sizes finds."""
    where = boxes_text([p.box for p in pieces]) or "nowhere"
    example = counterexample(program, site, ref, around)
    if not box.sides:
        what = "before it is assigned" if pieces else "but never assigned"
        return Problem("B001", f"{ref.name} is read {what}", site.equation, ref)
    if example is None:
        return Problem(
            "B007",
            f"{ref.label} cannot be shown to be defined earlier for all sizes (it is defined for {where})",
            site.equation,
            ref,
            help="state a bound such as `assert T >= 3`",
        )
    sizes, at, member = example
    when = ", ".join(f"{k} = {v}" for k, v in {**sizes, **at}.items())
    # A counterexample at the loop's end is said in symbols: "t = T".
    said = []
    for symbol, (lo, hi) in {**site_ranges(site), **{s.bound: s.ends for s in around}}.items():
        value = at.get(symbol.name)
        for end in (hi, lo):
            if value is not None and end.free_symbols and evaluate_size(end, sizes, at) == value:
                said.append((symbol, end))
                break
    if said and not late:
        symbolic = tuple(sp.expand(i.xreplace(dict(said))) for i in ref.indices)
        label = f"{ref.name}[{', '.join(map(str, symbolic))}]"
        where_said = ", ".join(f"{i} = {e}" for i, e in said)
        return Problem(
            "B001",
            f"{label} is read ({where_said}) but {ref.name} is defined only for "
            f"{', '.join(map(str, ref_index_names(program, ref)))} = {where}",
            site.equation,
            ref,
            help=f"for example with {when}",
        )
    reason = "is defined later" if late else f"is defined only for {where}"
    return Problem(
        "B001", f"{ref.name}[{', '.join(map(str, member))}] is read at {when} but {reason}", site.equation, ref
    )


def ref_index_names(program: Program, ref: Ref) -> tuple[sp.Symbol, ...]:
    """Return the formal indices of the family that ``ref`` reads."""
    return program.variables[ref.name].indices


ITERATIONS = 20_000
"""How many iterations of loops a search for a counterexample may run at one choice of sizes."""


def _iterations(program: Program, sizes: Mapping[str, int]) -> int:
    total = 0
    for site in program.sites:
        count, at = 1, dict(sizes)
        for loop in site.loops:
            # Ends are affine in sizes, never in another index.
            count *= max(0, evaluate_size(loop.hi, at) - evaluate_size(loop.lo, at) + 1)
        total += count
    return total


def counterexample(
    program: Program, site: Site, ref: Ref, around: tuple[SumOver, ...] = (), largest: int = 5
) -> tuple[dict[str, int], dict[str, int], tuple[int, ...]] | None:
    """Run the loops at small sizes and return (sizes, loop indices, member) of the first bad read at ``site``."""
    needed: set[sp.Expr] = set()
    for loop in loops(program.body):
        needed |= size_atoms((loop.lo, loop.hi))
    for s in program.sites:
        needed |= size_atoms(s.target.indices) | {a for r in refs(s.equation.value) for a in size_atoms(r.indices)}
    for v in program.variables.values():
        needed |= size_atoms(e for b in v.boxes for side in b.sides for e in (*side.lows, *side.highs))
    needed |= size_atoms(end for s in around for end in s.ends)
    names = sorted((s for s in needed if s.is_Symbol and s.is_positive), key=str)
    if len(names) > 4:
        return None
    starts = [program.bounds.get(s, 1) for s in names]
    for values in itertools.product(*(range(a, a + largest) for a in starts)):
        sizes = {s.name: v for s, v in zip(names, values, strict=True)}
        if _iterations(program, sizes) > ITERATIONS:
            return None
        bad = _run(program, sizes, site, ref, around)
        if bad is not None:
            return sizes, *bad
    return None


def _run(
    program: Program, sizes: Mapping[str, int], site: Site, ref: Ref, around: tuple[SumOver, ...]
) -> tuple[dict[str, int], tuple[int, ...]] | None:
    defined: dict[str, set[tuple[int, ...]]] = {}
    for var in program.variables.values():
        if var.declared:
            members: set[tuple[int, ...]] = set()
            for box in var.boxes:
                sides = [
                    range(
                        max(evaluate_size(x, sizes) for x in s.lows), min(evaluate_size(x, sizes) for x in s.highs) + 1
                    )
                    for s in box.sides
                ]
                members |= set(itertools.product(*sides))
            defined[var.name] = members if var.boxes else {()}

    def visit(body: Sequence[Statement], at: dict[str, int]) -> tuple[dict[str, int], tuple[int, ...]] | None:
        for statement in body:
            if isinstance(statement, Loop):
                steps: Iterable[int] = range(
                    evaluate_size(statement.lo, sizes, at), evaluate_size(statement.hi, sizes, at) + 1
                )
                for value in reversed(list(steps)) if statement.down else steps:
                    bad = visit(statement.body, {**at, statement.index.name: value})
                    if bad is not None:
                        return bad
                continue
            if statement is site.equation:
                spans = [
                    [
                        (s.bound.name, v)
                        for v in range(evaluate_size(s.ends[0], sizes, at), evaluate_size(s.ends[1], sizes, at) + 1)
                    ]
                    for s in around
                ]
                for choice in itertools.product(*spans):
                    here = {**at, **dict(choice)}
                    member = tuple(evaluate_size(i, sizes, here) for i in ref.indices)
                    if member not in defined.get(ref.name, set()):
                        return here, member
            member = tuple(evaluate_size(i, sizes, at) for i in statement.target.indices)
            defined.setdefault(statement.target.name, set()).add(member)
        return None

    return visit(program.body, {})


# ---------------------------------------------------------------------------------------------------------
# Names


def fresh_name(wanted: str, taken: Iterable[str]) -> str:
    """Return ``wanted``, or the first of ``wanted_2``, ``wanted_3`` ... that is not taken."""
    names = taken if isinstance(taken, (set, frozenset, dict)) else set(taken)
    if wanted not in names:
        return wanted
    return next(f"{wanted}_{k}" for k in itertools.count(2) if f"{wanted}_{k}" not in names)


def elementwise_functions(program: Program) -> list[Function]:
    """Return the distinct elementwise functions that the program's equations apply."""
    found: dict[Function, None] = {}
    for site in program.sites:
        for node in walk(site.equation.value):
            if isinstance(node, Map):
                found.setdefault(node.function)
    return list(found)


def shifted(statement: Statement, mapping: dict[sp.Expr, sp.Expr]) -> Statement:
    """Return a statement with loop indices replaced everywhere."""
    if isinstance(statement, Loop):
        inner = {k: v for k, v in mapping.items() if k != statement.index}
        return replace(
            statement,
            lo=substitute(statement.lo, mapping),
            hi=substitute(statement.hi, mapping),
            body=tuple(shifted(s, inner) for s in statement.body),
        )
    target = shift(statement.target, mapping)
    assert isinstance(target, Ref)
    return replace(statement, target=target, value=shift(statement.value, mapping))
