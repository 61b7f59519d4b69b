"""What a picture of a network shows, read from its Program: vertices, plates around them, and edges.

A *vertex* is a declared variable or an equation.  A *plate* is a loop: what it holds exists once for each value of its
index.  An *edge* is a read; one from an earlier iteration is carried by the plate of the loop that runs.
Parameters that no equation defines are no vertices: each reader has them at its side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import sympy as sp

from symbp.expr import Bounds, Box, Ref
from symbp.program import (
    Kind, Loop, Piece, Program, Site, Statement, Var, index_box, index_step, reads_of, site_ranges,
)

Ends: TypeAlias = tuple[sp.Expr, sp.Expr]


@dataclass(eq=False)
class Vertex:
    """A declared variable, or an equation.

    ref:    what it holds.
    kind:   as the program has it; ``output`` for a result of the program.
    site:   the equation; None for a declared variable.
    spans:  the indices of a declared family that no plate around it runs, with their ends.
    side:   the parameters and constants that the equation reads, in written order.
    """

    ref: Ref
    kind: Kind | str
    site: Site | None = None
    spans: tuple[tuple[sp.Symbol, sp.Expr, sp.Expr], ...] = ()
    side: tuple[Ref, ...] = ()


@dataclass(eq=False)
class Plate:
    """What stands in a loop; the outermost plate is the program and has none."""

    loop: Loop | None = None
    items: list[Vertex | Plate] = field(default_factory=list)

    def vertices(self) -> Iterator[Vertex]:
        """Yield every vertex, those of inner plates included, from top to bottom."""
        for item in self.items:
            if isinstance(item, Plate):
                yield from item.vertices()
            else:
                yield item


@dataclass(frozen=True, eq=False)
class Edge:
    """A read of a vertex.

    source, reader: the vertices.
    ref:     what is read.
    marks:   the indices that differ from the source's own: ``(index, what it is read at)``.
    carrier: the plate whose earlier iteration wrote what is read; None if it was written in this one, or outside.
    shared:  other vertices supply other members of the same read (a first state, and the states that follow).
    """

    source: Vertex
    reader: Vertex
    ref: Ref
    marks: tuple[tuple[sp.Symbol, sp.Expr], ...] = ()
    carrier: Plate | None = None
    shared: bool = False


@dataclass(frozen=True)
class Graph:
    """A network as a picture shows it; ``around`` has the plates of each vertex, the outermost first."""

    root: Plate
    edges: tuple[Edge, ...]
    around: Mapping[Vertex, tuple[Plate, ...]]


@dataclass(frozen=True)
class _Read:
    """A read of one piece of a variable by an equation."""

    reader: Vertex
    ref: Ref
    ranges: Mapping[sp.Symbol, Ends]
    piece: Piece
    shared: bool


def graph(program: Program) -> Graph:
    """Return the graph of a program."""
    root = Plate()
    around: dict[Vertex, tuple[Plate, ...]] = {}
    written: dict[tuple[int, ...], Vertex] = {}
    sites = {site.path: site for site in program.sites}

    def hold(body: Sequence[Statement], plates: tuple[Plate, ...], path: tuple[int, ...]) -> None:
        for k, statement in enumerate(body):
            if isinstance(statement, Loop):
                inner = Plate(statement)
                hold(statement.body, (*plates, inner), (*path, k))
                if inner.items:
                    plates[-1].items.append(inner)
            else:
                site = sites[*path, k]
                kind = "output" if statement.target.name in program.outputs else "value"
                vertex = written[site.path] = Vertex(statement.target, kind, site)
                plates[-1].items.append(vertex)
                around[vertex] = plates

    hold(program.body, (root,), ())
    reads = [read for vertex in written.values() for read in _reads(program, vertex)]
    declared: dict[tuple[str, Box], Vertex] = {}
    for name, piece in _supplied(program):
        readers = [r for r in reads if r.piece is piece]
        if readers or program.variables[name].kind in ("input", "target"):
            vertex, plates = _declared(program.variables[name], piece, readers, around, root)
            declared[name, piece.box] = vertex
            around[vertex] = plates
            plates[-1].items.insert(0, vertex)
    edges = []
    for read in reads:
        site = read.piece.site
        source = written[site.path] if site is not None else declared[read.ref.name, read.piece.box]
        edges.append(_edge(source, read, around))
    return Graph(root, tuple(edges), around)


def _is_aside(program: Program, var: Var) -> bool:
    """Tell whether a variable stands at the side of its readers: what is declared and is no data, and a scalar."""
    if any(piece.site is not None for piece in program.pieces[var.name]):
        return False
    return var.scalar or var.kind not in ("input", "target")


def _supplied(program: Program) -> list[tuple[str, Piece]]:
    """Return the declared pieces that are vertices, the last first, as they are put in front of what is there."""
    return [
        (var.name, piece) for var in reversed(program.declared()) if not _is_aside(program, var)
        for piece in reversed(program.pieces[var.name]) if piece.site is None
    ]


def _reads(program: Program, vertex: Vertex) -> list[_Read]:
    """Return the reads of an equation, one for each piece that it may find; note what it reads from the side."""
    assert vertex.site is not None
    found: list[_Read] = []
    for ref, sums in reads_of(vertex.site.equation.value):
        if _is_aside(program, program.variables[ref.name]):
            if ref not in vertex.side:
                vertex.side = (*vertex.side, ref)
            continue
        ranges = {**site_ranges(vertex.site), **{s.bound: s.ends for s in sums}}
        met = _met(ref, ranges, program.pieces[ref.name], program.bounds)
        found += [_Read(vertex, ref, ranges, piece, len(met) > 1) for piece in met]
    return found


def _met(ref: Ref, ranges: Mapping[sp.Symbol, Ends], pieces: Sequence[Piece], bounds: Bounds) -> list[Piece]:
    box = index_box(ref.indices, ranges)
    assert box is not None
    return [p for p in pieces if not box.sides or not p.box.meet(box).empty(bounds)]


def _single(piece: Piece, k: int) -> bool:
    """Tell whether a piece has one value of its index ``k``."""
    side = piece.box.sides[k]
    return side.lows == side.highs


def _declared(
    var: Var, piece: Piece, readers: Sequence[_Read], around: Mapping[Vertex, tuple[Plate, ...]], root: Plate
) -> tuple[Vertex, tuple[Plate, ...]]:
    """Return the vertex of a declared piece and the plates around it: the loops of all readers that run its indices."""
    plates: tuple[Plate, ...] = (root,)
    at = list(var.indices)
    inside: set[int] = set()
    common = _common([around[r.reader] for r in readers])
    for plate in common[1:]:
        assert plate.loop is not None
        places = {_place(r.ref, plate.loop.index, r.ranges) for r in readers}
        k = places.pop() if len(places) == 1 else None
        # What is read at an earlier index, too, does not belong to one iteration.
        if k is None or _single(piece, k) or any(r.ref.indices[k] != plate.loop.index for r in readers):
            break
        plates, at[k] = (*plates, plate), plate.loop.index
        inside.add(k)
    spans = []
    for k, side in enumerate(piece.box.sides):
        if _single(piece, k):
            at[k] = side.lows[0]
        elif k not in inside:
            spans.append((var.indices[k], side.lows[0], side.highs[0]))
    return Vertex(var(*at), var.kind, spans=tuple(spans)), plates


def _common(chains: Sequence[tuple[Plate, ...]]) -> tuple[Plate, ...]:
    """Return the plates that stand around all."""
    shared: list[Plate] = []
    for level in zip(*chains, strict=False):
        if any(plate is not level[0] for plate in level):
            break
        shared.append(level[0])
    return tuple(shared)


def _place(ref: Ref, index: sp.Symbol, ranges: Mapping[sp.Symbol, Ends]) -> int | None:
    """Return which index of a read runs with a loop."""
    for k, value in enumerate(ref.indices):
        step = index_step(value, ranges)
        if step is not None and step[0] == index:
            return k
    return None


def _edge(source: Vertex, read: _Read, around: Mapping[Vertex, tuple[Plate, ...]]) -> Edge:
    carrier = None
    for plate in _common([around[source], around[read.reader]])[1:]:
        assert plate.loop is not None
        k = _place(read.ref, plate.loop.index, read.ranges)
        own = _place(source.ref, plate.loop.index, {plate.loop.index: (plate.loop.lo, plate.loop.hi)})
        if source.site is not None and k is not None and k == own and read.ref.indices[k] != source.ref.indices[k]:
            carrier = plate
            break
    return Edge(source, read.reader, read.ref, tuple(_marks(source, read)), carrier, read.shared)


def _marks(source: Vertex, read: _Read) -> Iterator[tuple[sp.Symbol, sp.Expr]]:
    """Yield the indices at which a read differs from the source: by a delay, or because it is of one member."""
    bound = source.ref.indices if source.site is None else tuple(site_ranges(source.site))
    for k, (own, value) in enumerate(zip(source.ref.indices, read.ref.indices, strict=True)):
        mine, theirs = index_step(own, bound), index_step(value, read.ranges)
        if _single(read.piece, k) or mine is None or theirs is None or mine[0] is None:
            continue
        if theirs[0] is None or mine[1:] != theirs[1:]:
            yield mine[0], value
