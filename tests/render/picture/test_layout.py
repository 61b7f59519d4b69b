"""Where everything stands: nothing on top of anything else, every arrow at its reader."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_programs import declarations, graphs, loop_programs

from symbp.language import read
from symbp.program import Program
from symbp.render.picture import Drawing
from symbp.render.picture.graph import Plate, Vertex
from symbp.render.picture.layout import Line, Point
from symbp.render.picture.svg import WORD
from symbp.render.picture.widths import width

Rectangle = tuple[float, float, float, float]


def rectangles(drawing: Drawing) -> dict[Vertex | Plate, Rectangle]:
    """Return left, top, right and bottom of every vertex with its side, and of every plate."""
    placed = drawing.placed
    found: dict[Vertex | Plate, Rectangle] = {
        v: (x, y, x + drawing.extent(v).width, y + drawing.extent(v).height) for v, x, y in placed.vertices
    }
    return found | {p: (x, y, x + w, y + h) for p, x, y, w, h in placed.plates}


def boxes(drawing: Drawing) -> dict[Vertex, Rectangle]:
    """Return left, top, right and bottom of the boxes of vertices."""
    found = {}
    for v, x, y in drawing.placed.vertices:
        e = drawing.extent(v)
        found[v] = (x + e.width - e.box, y + e.inset, x + e.width, y + e.inset + e.box_height)
    return found


def solids(drawing: Drawing) -> list[Rectangle]:
    """Return what nothing may run through: the boxes of vertices, and what stands at their side."""
    placed = [(drawing.extent(v), x, y) for v, x, y in drawing.placed.vertices]
    sides = [(x, y, x + e.width - e.box, y + e.height) for e, x, y in placed if e.width > e.box]
    return [*boxes(drawing).values(), *sides]


def apart(a: Rectangle, b: Rectangle) -> bool:
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def within(a: Rectangle, b: Rectangle) -> bool:
    return b[0] <= a[0] and b[1] <= a[1] and a[2] <= b[2] and a[3] <= b[3]


def points(line: Line) -> Iterator[Point]:
    """Yield points of a line as it is drawn, close to each other."""
    corners = line.points
    if line.course == "bend" and corners[0][0] != corners[3][0]:
        (x0, y0), (_, y1), (x2, y2), (_, y3) = corners
        middle = (y1 + y2) / 2
        for k in range(21):
            s = k / 20
            a, b, c, d = (1 - s) ** 3, 3 * s * (1 - s) ** 2, 3 * s**2 * (1 - s), s**3
            yield x0 * (a + b) + x2 * (c + d), y1 * a + middle * (b + c) + y2 * d
        corners = ((x0, y0), (x0, y1), (x2, y2), (x2, y3))
        pairs = [corners[:2], corners[2:]]
    else:
        pairs = list(pairwise(corners))
    for (xa, ya), (xb, yb) in pairs:
        for k in range(41):
            yield xa + (xb - xa) * k / 40, ya + (yb - ya) * k / 40


def test_no_two_vertices_overlap(draw: Any, any_name: str) -> None:
    found = rectangles(draw(any_name))
    vertices = [r for item, r in found.items() if isinstance(item, Vertex)]
    assert all(apart(a, b) for a, b in combinations(vertices, 2))


def test_plates_hold_what_is_theirs_and_nothing_else(draw: Any, any_name: str) -> None:
    drawing = draw(any_name)
    found = rectangles(drawing)
    whole = (0, 0, drawing.placed.width, drawing.placed.height)
    assert all(within(r, whole) for r in found.values())
    for plate, frame in found.items():
        if isinstance(plate, Plate):
            for v, plates in drawing.graph.around.items():
                assert within(found[v], frame) if plate in plates else apart(found[v], frame)
    plates = [p for p in found if isinstance(p, Plate)]
    for a, b in combinations(plates, 2):
        mine, theirs = set(a.vertices()), set(b.vertices())
        assert mine <= theirs or theirs <= mine or apart(found[a], found[b])


def test_words_stand_free(draw: Any, any_name: str) -> None:
    drawing = draw(any_name)
    said = [(x, y - WORD, x + width(text, WORD), y + 2) for text, (x, y), _ in drawing.placed.words]
    said += [
        (x + 10, y + 17 - WORD, x + 10 + width(drawing.title(p), WORD), y + 19)
        for p, x, y, _, _ in drawing.placed.plates
    ]
    assert all(apart(a, b) for a in said for b in solids(drawing))
    assert all(apart(a, b) for a, b in combinations(said, 2))


def test_every_edge_ends_as_an_arrow_at_the_upper_edge_of_its_reader(draw: Any, any_name: str) -> None:
    drawing = draw(any_name)
    arrows, found = drawing.placed.arrows, boxes(drawing)
    assert {e for e, _ in arrows} == set(drawing.graph.edges)
    heads = {line.points[-1] for line in drawing.placed.lines if line.head}
    for edge, (x, y) in arrows:
        left, top, right, _ = found[edge.reader]
        assert (x, y) in heads
        assert left < x < right
        assert y == top


def test_lines_start_where_something_ends(draw: Any, any_name: str) -> None:
    drawing = draw(any_name)
    bottoms = {((r[0] + r[2]) / 2, r[3]) for r in boxes(drawing).values()}
    ends = {line.points[-1] for line in drawing.placed.lines}
    lanes = [line for line in drawing.placed.lines if line.course == "lane"]
    for line in drawing.placed.lines:
        assert line.points[0] in bottoms | ends
    carried = {(e.source, e.ref) for e in drawing.graph.edges if e.carrier is not None}
    assert len(lanes) == len(carried)


def test_no_line_runs_through_a_vertex(draw: Any, any_name: str) -> None:
    drawing = draw(any_name)
    hard = solids(drawing)
    for line in drawing.placed.lines:
        for x, y in points(line):
            assert not [r for r in hard if r[0] < x < r[2] and r[1] < y < r[3]], line


def test_a_value_runs_downwards(draw: Any, any_name: str) -> None:
    drawing = draw(any_name)
    found = boxes(drawing)
    for edge in drawing.graph.edges:
        if edge.carrier is None:
            assert found[edge.source][3] < found[edge.reader][1]


@pytest.mark.parametrize("name", ["mlp", "xor"])
def test_a_chain_is_straight(draw: Any, name: str) -> None:
    found = {v.ref.name: (r[0] + r[2]) / 2 for v, r in boxes(draw(name)).items()}
    assert max(abs(found[v] - found["X"]) for v in ("Z1", "A1", "Z2")) <= 2


INVARIANTS = (
    test_no_two_vertices_overlap, test_plates_hold_what_is_theirs_and_nothing_else, test_words_stand_free,
    test_every_edge_ends_as_an_arrow_at_the_upper_edge_of_its_reader, test_lines_start_where_something_ends,
    test_no_line_runs_through_a_vertex, test_a_value_runs_downwards,
)


@given(program=st.one_of(graphs(), loop_programs(), declarations().map(read)))
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_random_programs_can_be_drawn(program: Program) -> None:
    drawing = Drawing(program)
    for holds in INVARIANTS:
        holds(lambda _: drawing, "")
    ET.fromstring(drawing.svg())
