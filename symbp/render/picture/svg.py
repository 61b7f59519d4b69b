"""A network's layout as SVG: plain shapes and text, no script, no style sheet, readable on white and on black."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from html import escape
from itertools import pairwise
from math import ceil

from symbp.expr import Ref
from symbp.program import Program
from symbp.render.names import Names, implied
from symbp.render.notation import Notation
from symbp.render.picture.graph import Edge, Plate, Vertex, graph
from symbp.render.picture.layout import PORT, Extent, Layout, Line, Measures, Point, layout
from symbp.render.picture.widths import width
from symbp.render.picture.words import words
from symbp.render.printer import clean
from symbp.render.text import Unicode

NAME, WORD, ASIDE_NAME, SMALL = 15, 11, 13, 10
"""Sizes of letters: of names and of words, of the names and the shapes that stand at the side."""
SUB = 0.75
"""The size of a subscript, in that of its name."""
PAD = 10
"""The space around the text of a vertex."""
ASIDE = 22
"""The length of the line from a parameter to its reader, with its head."""
PILL = 20
"""The height of a parameter."""
WIDEST = 170
"""Words of an operation that are wider are broken into lines."""
MARGIN = 12
GAP = 6
"""The space between a name and its shape."""

SERIF = "'Latin Modern Roman','STIX Two Text','Times New Roman',serif"
SANS = "Helvetica,Arial,'Liberation Sans',sans-serif"

INK, FAINT, LINE, CARRIED = "#0f172a", "#475569", "#6b7a90", "#d9480f"
"""Text in a box, its shape, lines and words outside, what is carried through time: the last two on any ground."""

FILLS: dict[str, tuple[str, str]] = {
    "input": ("#dbeafe", "#2563eb"), "target": ("#fef3c7", "#b45309"), "output": ("#dcfce7", "#15803d"),
    "param": ("#ede9fe", "#7c3aed"),
}
"""The ground and the edge of a vertex, by its kind."""
FILL = ("#f8fafc", "#64748b")

KINDS = {"param": "parameter", "const": "constant"}
"""What a declared variable is called, where its kind is no word."""

Run = tuple[str, bool]
"""Some letters, and whether they are a subscript."""

_SUBSCRIPT = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SCRIPTS = re.compile(r"([₀-₉]+)?((?:_[^\W_]+)*)(?:\[([^\[\]]*)\])?")
_NAME = re.compile("(?:[^\\W\\d_₀-₉][\u0300-\u036f]*)+")


def runs(text: str) -> list[Run]:
    """Return a name or a size of the terminal, ``W_A₁`` or ``n[l-1]``, with its subscripts set apart."""
    found: list[Run] = []
    at = 0
    while at < len(text):
        name = _NAME.match(text, at)
        if name is None:
            if found and not found[-1][1]:
                found[-1] = (found[-1][0] + text[at], False)
            else:
                found.append((text[at], False))
            at += 1
            continue
        scripts = _SCRIPTS.match(text, name.end())
        assert scripts is not None
        digits, parts, indices = scripts.groups()
        letter, inner = implied(name.group())
        subs = [*inner, digits.translate(_SUBSCRIPT)] if digits else list(inner)
        subs += [part.translate(_SUBSCRIPT) for part in (parts or "").split("_") if part]
        subs += [indices] if indices else []
        if found and not found[-1][1]:
            letter = found.pop()[0] + letter
        found.append((letter, False))
        if subs:
            found.append((",".join(subs).replace("-", "−"), True))
        at = scripts.end()
    return found


def runs_width(text: str, size: float) -> float:
    """Return the width of a name with its subscripts."""
    return sum(width(letters, size * SUB if sub else size) for letters, sub in runs(text))


def lines_of(parts: Sequence[str]) -> list[str]:
    """Return words of an operation in lines that are not too wide."""
    lines = [""]
    for k, part in enumerate(parts):
        said = part + ("," if k < len(parts) - 1 else "")
        joined = f"{lines[-1]} {said}".strip()
        if lines[-1] and width(joined, WORD) > WIDEST:
            lines.append(said)
        else:
            lines[-1] = joined
    return [line for line in lines if line]


class Drawing:
    """The picture of a program, piece by piece."""

    def __init__(self, program: Program, notation: Notation | None = None) -> None:
        self.program = program
        self.printer = Unicode(Names(program, notation))
        self.graph = graph(program)
        self._extents: dict[Vertex, Extent] = {}
        # A vertex is wide enough for all lines that enter it, with their words.
        self._entries: dict[Vertex, float] = {}
        for edge in self.graph.edges:
            room = PORT + ceil(width(self.says(edge), WORD))
            self._entries[edge.reader] = self._entries.get(edge.reader, 0) + room

    # -- texts -------------------------------------------------------------------------------------------------
    def label(self, ref: Ref) -> str:
        """Return the name of a variable or a member."""
        return clean(self.printer.value(ref))

    def shape(self, ref: Ref) -> str:
        """Return a shape."""
        return self.printer.shape(ref)

    def told(self, vertex: Vertex) -> list[str]:
        """Return the lines below the name: what is done, or what a declared variable is."""
        if vertex.site is not None:
            return lines_of(words(vertex.site.equation.value, self.program, self.printer))
        return [KINDS.get(vertex.kind, vertex.kind)] + [self.printer.range(*span) for span in vertex.spans]

    def title(self, plate: Plate) -> str:
        """Return the range of a loop, in the order in which it runs."""
        assert plate.loop is not None
        ends = (plate.loop.lo, plate.loop.hi)
        return self.printer.range(plate.loop.index, *(reversed(ends) if plate.loop.down else ends))

    def says(self, edge: Edge) -> str:
        """Return the words at an edge: at what its indices are read, where that is not plain."""
        said = []
        for index, value in edge.marks:
            plain = self.printer.size(value).replace(" ", "").replace("-", "−")
            said.append(plain if index in value.free_symbols else f"{self.printer.size(index)} = {plain}")
        return ", ".join(said)

    def equation(self, vertex: Vertex) -> str:
        """Return what a reader is told who rests on a vertex: its equation."""
        if vertex.site is None:
            return f"{self.label(vertex.ref)}: {vertex.kind}, {self.shape(vertex.ref)}"
        return clean(self.printer.equation(vertex.ref, vertex.site.equation.value))

    # -- sizes -------------------------------------------------------------------------------------------------
    def extent(self, vertex: Vertex) -> Extent:
        """Return how large a vertex is, with its parameters."""
        found = self._extents.get(vertex)
        if found is None:
            head = runs_width(self.label(vertex.ref), NAME) + GAP + runs_width(self.shape(vertex.ref), WORD)
            told = self.told(vertex)
            text = max([head, *(width(line, WORD) for line in told)]) + 2 * PAD
            box = 2 * ceil(max(text, self._entries.get(vertex, 0), 60) / 2)
            aside = max((self.pill(ref) for ref in vertex.side), default=-ASIDE) + ASIDE
            height = 28 + 15 * len(told)
            stack = (PILL + 4) * len(vertex.side) - 4
            found = self._extents[vertex] = Extent(aside + box, max(height, stack), box, height)
        return found

    def pill(self, ref: Ref) -> float:
        """Return the width of a parameter at the side."""
        return 2 * ceil((runs_width(self.label(ref), ASIDE_NAME) + GAP + runs_width(self.shape(ref), SMALL) + 14) / 2)

    # -- shapes ------------------------------------------------------------------------------------------------
    @cached_property
    def placed(self) -> Layout:
        """Where everything stands."""
        measures = Measures(
            self.extent, lambda plate: 12 + ceil(width(self.title(plate), WORD)), lambda said: ceil(width(said, WORD))
        )
        return layout(self.graph, measures, self.says)

    def svg(self) -> str:
        """Return the picture."""
        placed = self.placed
        body = [
            *(self._plate(*plate) for plate in placed.plates), *map(_line, placed.lines),
            *(self._vertex(*vertex) for vertex in placed.vertices), *(_words(*said) for said in placed.words),
        ]
        w, h = placed.width + 2 * MARGIN, placed.height + 2 * MARGIN
        named = escape(f"Network {self.program.name}")
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(w)}" height="{_n(h)}" '
            f'viewBox="{-MARGIN} {-MARGIN} {_n(w)} {_n(h)}" role="img" aria-label="{named}">\n'
            + "\n".join(body) + "\n</svg>\n"
        )

    def _plate(self, plate: Plate, x: float, y: float, w: float, h: float) -> str:
        frame = (
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(w)}" height="{_n(h)}" rx="10" fill="{LINE}" '
            f'fill-opacity="0.07" stroke="{LINE}" stroke-opacity="0.6"/>'
        )
        return frame + text(escape(self.title(plate)), x + 10, y + 17, WORD, LINE)

    def _vertex(self, vertex: Vertex, x: float, y: float) -> str:
        extent, told = self.extent(vertex), self.told(vertex)
        left, top, height = x + extent.width - extent.box, y + extent.inset, extent.box_height
        fill, edge = FILLS.get(vertex.kind, FILL)
        parts = [f"<g><title>{escape(self.equation(vertex))}</title>"]
        parts += self._aside(vertex, x, y, left, top, height)
        parts.append(_box(left, top, extent.box, height, 6, fill, edge))
        label, shape = self.label(vertex.ref), self.shape(vertex.ref)
        parts.append(named(label, shape, (left + extent.box / 2, top + 20), NAME, WORD))
        for k, line in enumerate(told):
            parts.append(text(escape(line), left + extent.box / 2, top + 36 + 15 * k, WORD, INK, "middle"))
        return "".join(parts) + "</g>"

    def _aside(self, vertex: Vertex, x: float, y: float, left: float, top: float, height: float) -> Iterable[str]:
        """Yield the parameters of an equation, below each other, each with an arrow."""
        extent = self.extent(vertex)
        stack = (PILL + 4) * len(vertex.side) - 4
        at = y + (extent.height - stack) / 2
        for k, ref in enumerate(vertex.side):
            wide = self.pill(ref)
            start = left - ASIDE - wide
            kind = self.program.variables[ref.name].kind
            middle = at + PILL / 2
            goal = top + height * (k + 1) / (len(vertex.side) + 1)
            yield _path([(left - ASIDE, middle), (left - 6, goal)], LINE)
            yield _head((left, goal), (left - ASIDE, middle), LINE)
            yield _box(start, at, wide, PILL, PILL / 2, *FILLS.get(kind, FILL))
            yield named(self.label(ref), self.shape(ref), (start + wide / 2, at + 14), ASIDE_NAME, SMALL)
            at += PILL + 4


def _n(value: float) -> str:
    return f"{round(value, 1):g}"


def text(inside: str, x: float, y: float, size: float, fill: str, anchor: str = "start") -> str:
    """Return a piece of text; what is inside is already SVG."""
    where = f'x="{_n(x)}" y="{_n(y)}"' + (f' text-anchor="{anchor}"' if anchor != "start" else "")
    return f'<text {where} font-family="{SANS}" font-size="{_n(size)}" fill="{fill}">{inside}</text>'


def named(label: str, shape: str, middle: Point, size: float, smaller: float) -> str:
    """Return a name with its shape behind it, around a point."""
    styles = (f'font-family="{SERIF}" font-style="italic"', f'fill="{FAINT}"')
    inside, low = "", 0.0
    for written, letter_size, style in zip((label, shape), (size, smaller), styles, strict=True):
        for k, (letters, sub) in enumerate(runs(written)):
            drop = round(letter_size * 0.22, 1) if sub else 0.0
            shift = f' dy="{_n(drop - low)}"' if drop != low else ""
            gap = f' dx="{GAP}"' if written is shape and k == 0 else ""
            shown = _n(letter_size * SUB if sub else letter_size)
            inside += f'<tspan{gap}{shift} {style} font-size="{shown}">{escape(letters)}</tspan>'
            low = drop
    return text(inside, *middle, smaller, INK, "middle")


def _box(x: float, y: float, w: float, h: float, round_: float, fill: str, edge: str) -> str:
    return (
        f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(w)}" height="{_n(h)}" rx="{_n(round_)}" fill="{fill}" '
        f'stroke="{edge}"/>'
    )


def _path(points: Sequence[Point], stroke: str) -> str:
    d = "M" + " L".join(f"{_n(x)} {_n(y)}" for x, y in points)
    return f'<path d="{d}" fill="none" stroke="{stroke}" stroke-width="1.3"/>'


def _head(tip: Point, start: Point, fill: str) -> str:
    """Return an arrow's head at ``tip``, for a line from ``start``."""
    dx, dy = tip[0] - start[0], tip[1] - start[1]
    length = (dx * dx + dy * dy) ** 0.5 or 1.0
    dx, dy = dx / length, dy / length
    base = tip[0] - 8 * dx, tip[1] - 8 * dy
    corners = (tip, (base[0] - 3.5 * dy, base[1] + 3.5 * dx), (base[0] + 3.5 * dy, base[1] - 3.5 * dx))
    d = "M" + " L".join(f"{_n(x)} {_n(y)}" for x, y in corners)
    return f'<path d="{d} Z" fill="{fill}"/>'


def _line(line: Line) -> str:
    """Return a line, with its head."""
    if line.course == "straight":
        return _path(line.points, LINE)
    if line.course == "lane":
        return _lane(line.points)
    (x0, y0), (_, y1), (x2, y2), (_, y3) = line.points
    end = y3 - 6 if line.head else y3
    # An S that leaves and arrives straight; it may use the first and the last piece as well.
    middle = (y1 + y2) / 2
    d = f"M{_n(x0)} {_n(y0)} L{_n(x0)} {_n(y1)}"
    if x0 == x2:
        d = f"M{_n(x0)} {_n(y0)} L{_n(x2)} {_n(end)}"
    else:
        stop = min(y2, end)
        d += f" C{_n(x0)} {_n(middle)} {_n(x2)} {_n(middle)} {_n(x2)} {_n(stop)} L{_n(x2)} {_n(end)}"
    head = _head((x2, y3), (x2, y3 - 1), LINE) if line.head else ""
    return f'<path d="{d}" fill="none" stroke="{LINE}" stroke-width="1.3"/>{head}'


def _lane(points: Sequence[Point]) -> str:
    """Return a line around a plate, with rounded corners."""
    d = f"M{_n(points[0][0])} {_n(points[0][1])}"
    for (before, corner), (_, after) in pairwise(pairwise(points)):
        near, far = _toward(corner, before), _toward(corner, after)
        d += f" L{_n(near[0])} {_n(near[1])} Q{_n(corner[0])} {_n(corner[1])} {_n(far[0])} {_n(far[1])}"
    d += f" L{_n(points[-1][0])} {_n(points[-1][1])}"
    # The head stands before the last corner, where the lane comes back.
    head = _head((points[-2][0] + (2 if points[-2][0] < points[-3][0] else -2), points[-2][1]), points[-3], CARRIED)
    return f'<path d="{d}" fill="none" stroke="{CARRIED}" stroke-width="1.5"/>{head}'


def _toward(corner: Point, other: Point) -> Point:
    """Return the point of a rounded corner on the way to another point."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = abs(dx) + abs(dy)
    step = min(6.0, length / 2) / length if length else 0.0
    return corner[0] + dx * step, corner[1] + dy * step


def _words(said: str, at: Point, course: str) -> str:
    return text(escape(said), *at, WORD, CARRIED if course == "lane" else LINE) if said else ""
