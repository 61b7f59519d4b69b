"""Where everything in a picture stands: rows by longest path, order by barycentres, columns by least squares.

Each plate is laid out by itself, from its inside outwards; its parent sees a box with ports.  A value runs downwards: a
line leaves its vertex at the bottom, passes the rows between in columns of its own, and branches where it is read.  A
line into a plate enters through its upper edge; what one iteration leaves to a later one goes out at the bottom and
comes in at the top again, by a lane at the right side.

All is plain arithmetic in a fixed order, so that the same network always gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from symbp.render.picture.graph import Edge, Graph, Plate, Vertex
from symbp.render.picture.wiring import Key, Wiring, wire

GAP = 22
"""The space between neighbours in a row."""
THIN = 14
"""The space between two lines in a row."""
ROW = 36
"""The space between rows, where lines bend."""
HEADER = 26
"""The strip below the upper edge of a plate, for its title and for lanes that come in."""
FOOTER = 12
"""The strip above the lower edge of a plate, for lanes that go out."""
WORDS = 14
"""The straight piece of a line with words beside it."""
LANE = 16
"""The space between lanes."""
PAD = 14
"""The space between a plate's edge and what it holds."""
PORT = 16
"""The space between two lines that enter a vertex."""
WEAK = 0.001
"""How much a spot insists on its place that has no neighbour above it (on the way up: below it)."""
SWEEPS = 12
"""How often rows are sorted, and columns are evened out."""

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Extent:
    """How large a vertex is with what stands at its side; its box stands at the right, in the middle of the height."""

    width: float
    height: float
    box: float
    box_height: float

    @property
    def inset(self) -> float:
        """The space above the box."""
        return (self.height - self.box_height) / 2

    @property
    def axis(self) -> float:
        """Where lines leave, from the left: the middle of the box."""
        return self.width - self.box / 2


@dataclass(frozen=True)
class Measures:
    """How large things are: vertices, titles of plates, and the words at lines."""

    vertex: Callable[[Vertex], Extent]
    title: Callable[[Plate], float]
    words: Callable[[str], float]


@dataclass(frozen=True)
class Line:
    """A line through points.

    course: ``straight``; a ``bend`` from row to row, between its second point and its third; a ``lane`` around a plate.
    head:   whether it ends as an arrow.
    """

    points: tuple[Point, ...]
    course: Literal["straight", "bend", "lane"]
    head: bool = False


@dataclass
class Layout:
    """A picture in numbers.

    vertices: each with the left upper corner of its extent.
    plates:   each with its left upper corner, width and height.
    words:    words at lines: the text, where it starts, and the course of its line.
    arrows:   where the head of each edge stands.
    """

    width: float = 0
    height: float = 0
    vertices: list[tuple[Vertex, float, float]] = field(default_factory=list)
    plates: list[tuple[Plate, float, float, float, float]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    words: list[tuple[str, Point, str]] = field(default_factory=list)
    arrows: list[tuple[Edge, Point]] = field(default_factory=list)


# ---------------------------------------------------------------------------------------------------------
# One plate


@dataclass(eq=False)
class _Spot:
    """A place in a row: an item, the title, or (without either) a line that passes.

    tops, bottoms: where lines enter and leave, from the left, by key.
    """

    item: Vertex | Plate | None
    width: float = 0
    height: float = 0
    tops: dict[Key, float] = field(default_factory=dict)
    bottoms: dict[Key, float] = field(default_factory=dict)
    title: bool = False
    x: float = 0
    y: float = 0

    def top(self, key: Key) -> float:
        """Return where a line enters, from the left."""
        return self.tops.get(key, self.tops.get(None, 0))

    def bottom(self, key: Key) -> float:
        """Return where a line leaves, from the left."""
        return self.bottoms.get(key, self.bottoms.get(None, 0))


@dataclass(frozen=True)
class _Link:
    """A piece of a line between two neighbouring rows."""

    upper: _Spot
    lower: _Spot
    out: Key
    into: Key


class _Inside:
    """The layout of what one plate holds."""

    def __init__(
        self, plate: Plate, wiring: Mapping[Plate, Wiring], ends: Mapping[Key, list[Edge]], measures: Measures,
        says: Callable[[Edge], str],
    ) -> None:
        self.plate, self.ends, self.measures, self.says = plate, ends, measures, says
        self.wires = wiring.get(plate, Wiring())
        self.inner = {
            item: _Inside(item, wiring, ends, measures, says) for item in plate.items if isinstance(item, Plate)
        }
        self.spots = {item: self._spot(item) for item in plate.items}
        self.entries: dict[Key, _Spot] = {}
        self.exits: dict[Key, _Spot] = {}
        self.rows, self.links = self._rows()
        self._sort()
        self._align()
        self._spread_ports()
        self._stand()

    def _spot(self, item: Vertex | Plate) -> _Spot:
        if isinstance(item, Plate):
            inside = self.inner[item]
            tops = {key: spot.x for key, spot in inside.entries.items()}
            bottoms = {key: spot.x for key, spot in inside.exits.items()}
            return _Spot(item, inside.width, inside.height, tops, bottoms)
        extent = self.measures.vertex(item)
        return _Spot(item, extent.width, extent.height, {None: extent.axis}, {None: extent.axis})

    # -- rows --------------------------------------------------------------------------------------------------
    def _levels(self) -> dict[Vertex | Plate, int]:
        """Return the row of each item: below all that it reads; what is only declared stands close to its readers."""
        level: dict[Vertex | Plate, int] = {}
        sources: dict[Vertex | Plate, set[Vertex | Plate]] = {item: set() for item in self.plate.items}
        for (start, _), targets in self.wires.lines.items():
            for end, _ in targets:
                if start is not None and end is not None:
                    sources[end].add(start)
        for item in self.plate.items:
            level[item] = max((level[s] + 1 for s in sources[item]), default=0)
        for item in self.plate.items:
            readers = [level[reader] for reader, of in sources.items() if item in of]
            if not sources[item] and readers and isinstance(item, Vertex) and item.site is None:
                level[item] = min(readers) - 1
        used = sorted(set(level.values()))
        return {item: used.index(k) for item, k in level.items()}

    def _rows(self) -> tuple[list[list[_Spot]], list[_Link]]:
        """Return the rows from the upper to the lower edge, and the links between neighbouring ones."""
        level = {item: k + 1 for item, k in self._levels().items()}
        last = max(level.values(), default=0) + 1
        rows: list[list[_Spot]] = [[] for _ in range(last + 1)]
        if self.plate.loop is not None:
            rows[0].append(_Spot(None, self.measures.title(self.plate), title=True))
        for item in self.plate.items:
            rows[level[item]].append(self.spots[item])
        links: list[_Link] = []
        for (start, out), targets in self.wires.lines.items():
            if start is None:
                spot = self.entries[out] = _Spot(None)
                rows[0].append(spot)
            else:
                spot = self.spots[start]
            at = level[start] if start is not None else 0
            rest = [(level[end] if end is not None else last, end, into) for end, into in targets]
            while rest:
                at += 1
                for k, end, into in rest:
                    if k == at and end is not None:
                        links.append(_Link(spot, self.spots[end], out, into))
                    elif k == at:
                        self.exits[into] = _Spot(None)
                        rows[last].append(self.exits[into])
                        links.append(_Link(spot, self.exits[into], out, into))
                rest = [r for r in rest if r[0] > at]
                if rest:
                    passing = _Spot(None)
                    rows[at].append(passing)
                    links.append(_Link(spot, passing, out, out))
                    spot = passing
        return rows, links

    # -- order -------------------------------------------------------------------------------------------------
    def _sort(self) -> None:
        """Order each row by the mean place of its neighbours; keep the order with the fewest crossings."""
        best, fewest = [list(row) for row in self.rows], self._crossings()
        for sweep in range(SWEEPS):
            down = sweep % 2 == 0
            for row in self.rows if down else reversed(self.rows):
                place = self._places()
                wanted: dict[_Spot, list[float]] = {spot: [] for spot in row}
                for link in self.links:
                    mine, other = (link.lower, link.upper) if down else (link.upper, link.lower)
                    if mine in wanted:
                        shift = other.bottom(link.out) if down else other.top(link.into)
                        wanted[mine].append(place[other] + shift / (other.width + 1))
                means = {s: sum(w) / len(w) if w else place[s] for s, w in wanted.items()}
                row.sort(key=lambda s: (not s.title, means[s]))
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(row) for row in self.rows], crossings
        self.rows = best

    def _places(self) -> dict[_Spot, float]:
        return {spot: k for row in self.rows for k, spot in enumerate(row)}

    def _crossings(self) -> int:
        place, row_of = self._places(), self._row_of
        ends = [
            (
                row_of[link.upper], place[link.upper] + link.upper.bottom(link.out) / (link.upper.width + 1),
                place[link.lower] + link.lower.top(link.into) / (link.lower.width + 1),
            )
            for link in self.links
        ]
        return sum(
            1 for k, (row, a, b) in enumerate(ends) for other, c, d in ends[:k]
            if row == other and (a - c) * (b - d) < 0
        )

    @property
    def _row_of(self) -> dict[_Spot, int]:
        return {spot: k for k, row in enumerate(self.rows) for spot in row}

    # -- columns -----------------------------------------------------------------------------------------------
    def _align(self) -> None:
        """Put every spot near the mean of what it is linked to, without overlaps."""
        for row in self.rows:
            _place_row(row, [0.0] * len(row), [1.0] * len(row))
        # The last sweep runs down: what reads one value stands straight below it.
        for sweep in range(2 * SWEEPS + 1):
            down = sweep % 2 == 0
            for row in self.rows if down else reversed(self.rows):
                above: dict[_Spot, list[float]] = {spot: [] for spot in row}
                below: dict[_Spot, list[float]] = {spot: [] for spot in row}
                for link in self.links:
                    shift = link.upper.bottom(link.out) - link.lower.top(link.into)
                    if link.lower in above:
                        above[link.lower].append(link.upper.x + shift)
                    if link.upper in below:
                        below[link.upper].append(link.lower.x - shift)
                first, second = (above, below) if down else (below, above)
                near = [first[s] or second[s] for s in row]
                wanted = [sum(w) / len(w) if w else s.x for s, w in zip(row, near, strict=True)]
                _place_row(row, wanted, [1.0 if first[s] else WEAK for s in row])
        spots = [spot for row in self.rows for spot in row if not spot.title]
        left = min((spot.x for spot in spots), default=0)
        for row in self.rows:
            if row and row[0].title:
                free = row[1].x - THIN - row[0].width if len(row) > 1 else left
                left = min(left, free)
                row[0].x = left
        edge = PAD if self.plate.loop is not None else 0
        for row in self.rows:
            for spot in row:
                spot.x = spot.x - left + edge
        content = max((spot.x + spot.width for row in self.rows for spot in row), default=0)
        self.lanes: list[tuple[Key, Key, str, float]] = []
        self.width = content + edge
        for (out, into), said in self.wires.lanes.items():
            at = content + LANE
            self.lanes.append((out, into, said, at))
            content = at + self.measures.words(said) + 6
            self.width = content + 8

    def _spread_ports(self) -> None:
        """Let the lines into a vertex enter beside each other, in the order in which they come."""
        coming: dict[_Spot, dict[Key, float]] = {}
        for link in self.links:
            if isinstance(link.lower.item, Vertex):
                place = link.upper.x + link.upper.bottom(link.out)
                coming.setdefault(link.lower, {}).setdefault(link.into, place)
        for spot, places in coming.items():
            keys = sorted(places, key=lambda key: places[key])
            widths = [PORT + self.measures.words(self._said(spot.item, key)) for key in keys]
            at = spot.top(None) - sum(widths[:-1]) / 2
            for key, width in zip(keys, widths, strict=True):
                spot.tops[key] = at
                at += width

    def _said(self, reader: Vertex | Plate | None, key: Key) -> str:
        """Return the words at the end of a line; a lane has its words beside it."""
        edges = self.ends.get((reader, key), ())
        return next((self.says(e) for e in edges if not any(x.carrier for x in edges)), "")

    # -- heights -----------------------------------------------------------------------------------------------
    def _stand(self) -> None:
        """Put the rows below each other."""
        inside = self.plate.loop is not None
        lanes = len(self.lanes)
        y: float = HEADER + max(0, lanes - 1) * 8 if inside else 0
        for spot in self.rows[0]:
            spot.y = 0
        self.levels: list[tuple[float, float]] = [(0, y)]
        entering = {link.upper for link in self.links} & set(self.rows[0])
        y += ROW * 3 / 4 if entering else 6 if inside else 0
        for row in self.rows[1:-1]:
            height = max((spot.height for spot in row), default=0)
            # Words at an arrow stand beside a straight piece of its line.
            told = any(self._said(spot.item, link.into) for spot in row for link in self.links if link.lower is spot)
            above = WORDS if told else 0
            self.levels.append((y, y + above + height))
            for spot in row:
                # What is only declared stands close to its readers.
                declared = isinstance(spot.item, Vertex) and spot.item.site is None
                spot.y = y + above + (height - spot.height) / (1 if declared else 2)
            y += above + height + ROW
        y -= ROW
        y += ROW / 2 if self.rows[-1] else PAD if inside else 0
        self.levels.append((y, y))
        self.height = y + (FOOTER + max(0, lanes - 1) * 8 if self.rows[-1] else 0)
        for spot in self.rows[-1]:
            spot.y = y

    # -- what is drawn -----------------------------------------------------------------------------------------
    def _inset(self, spot: _Spot) -> float:
        return self.measures.vertex(spot.item).inset if isinstance(spot.item, Vertex) else 0

    def draw(self, layout: Layout, x: float, y: float, coming: Iterable[Key], leaving: Iterable[Key]) -> None:
        """Add everything to a layout, at a place; the keys say which lines come in from outside and go out again."""
        row_of = self._row_of
        tips: dict[tuple[Vertex, Key], Point] = {}
        for link in self.links:
            upper, lower = link.upper, link.lower
            x0, x1 = x + upper.x + upper.bottom(link.out), x + lower.x + lower.top(link.into)
            bend0, bend1 = self.levels[row_of[upper]][1], self.levels[row_of[lower]][0]
            top = bend0 if upper.item is None else upper.y + upper.height - self._inset(upper)
            end = bend1 if lower.item is None else lower.y + self._inset(lower)
            points = ((x0, y + top), (x0, y + bend0), (x1, y + bend1), (x1, y + end))
            layout.lines.append(Line(points, "bend", isinstance(lower.item, Vertex)))
            if lower.item is None:
                # On through the row, up to its lower end.
                below = self.levels[row_of[lower]][1]
                if below > bend1:
                    layout.lines.append(Line(((x1, y + bend1), (x1, y + below)), "straight"))
            elif isinstance(lower.item, Vertex):
                tips.setdefault((lower.item, link.into), (x1, y + end))
        # Several lines may end in one arrow: a read that one of several vertices answers.
        for (reader, into), tip in tips.items():
            layout.arrows += [(edge, tip) for edge in self.ends[reader, into]]
            said = self._said(reader, into)
            if said:
                layout.words.append((said, (tip[0] + 5, tip[1] - 9), "bend"))
        self._draw_edges(layout, x, y, set(coming), set(leaving))
        for row in self.rows:
            for spot in row:
                if isinstance(spot.item, Plate):
                    inside = self.inner[spot.item]
                    layout.plates.append((spot.item, x + spot.x, y + spot.y, inside.width, inside.height))
                    enter = [link.into for link in self.links if link.lower is spot]
                    leave = [link.out for link in self.links if link.upper is spot]
                    inside.draw(layout, x + spot.x, y + spot.y, enter, leave)
                elif isinstance(spot.item, Vertex):
                    layout.vertices.append((spot.item, x + spot.x, y + spot.y))

    def _draw_edges(self, layout: Layout, x: float, y: float, coming: set[Key], leaving: set[Key]) -> None:
        """Add what happens at the edges of the plate: lines that come in and go out, and lanes."""
        start, foot = self.levels[0][1], self.levels[-1][0]
        for key, spot in self.entries.items():
            if key in coming:
                layout.lines.append(Line(((x + spot.x, y), (x + spot.x, y + start)), "straight"))
        for k, (out, into, said, at) in enumerate(self.lanes):
            high, low = y + start - 8 * k, y + foot + 6 + 8 * k
            leaves, enters = x + self.exits[out].x, x + self.entries[into].x
            points = (
                (leaves, y + foot), (leaves, low), (x + at, low), (x + at, high), (enters, high), (enters, y + start),
            )
            layout.lines.append(Line(points, "lane"))
            layout.words.append((said, (x + at + 5, (high + low) / 2 + 4), "lane"))
        for key, spot in self.exits.items():
            if key in leaving:
                layout.lines.append(Line(((x + spot.x, y + foot), (x + spot.x, y + self.height)), "straight"))


def _place_row(row: Sequence[_Spot], wanted: Sequence[float], weights: Sequence[float]) -> None:
    """Put the spots of a row as close to where they are wanted as their order and their widths allow.

    Least squares under order: neighbours that would overlap are pooled, a pool stands at its weighted mean.
    """
    shifts, at = [], 0.0
    for k, spot in enumerate(row):
        if k:
            before = row[k - 1]
            at += before.width + (THIN if before.item is None and spot.item is None else GAP)
        shifts.append(at)
    pools: list[tuple[float, float, int]] = []
    for target, shift, weight in zip(wanted, shifts, weights, strict=True):
        pools.append((target - shift, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, v, m), (b, w, n) = pools[-2:]
            pools[-2:] = [((a * v + b * w) / (v + w), v + w, m + n)]
    places = [mean for mean, _, count in pools for _ in range(count)]
    for spot, place, shift in zip(row, places, shifts, strict=True):
        spot.x = float(round(place + shift))


def layout(graph: Graph, measures: Measures, says: Callable[[Edge], str]) -> Layout:
    """Return where everything stands.

    says: the words at an edge.
    """
    wiring, ends = wire(graph, says)
    inside = _Inside(graph.root, wiring, ends, measures, says)
    found = Layout(inside.width, inside.height)
    inside.draw(found, 0, 0, (), ())
    return found
