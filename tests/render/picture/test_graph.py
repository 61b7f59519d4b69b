"""What a picture shows: every equation once, every read as an edge, loops as plates."""

from __future__ import annotations

from typing import Any

import pytest

from symbp.program import reads_of
from symbp.render.picture.graph import Edge, Graph, Plate, Vertex


def vertex(graph: Graph, label: str) -> Vertex:
    (found,) = [v for v in graph.around if v.ref.label == label]
    return found


def inside(graph: Graph, label: str) -> list[str]:
    """Return the indices of the loops around a vertex."""
    return [str(p.loop.index) for p in graph.around[vertex(graph, label)] if p.loop is not None]


def edges(graph: Graph, source: str, reader: str) -> list[Edge]:
    return [e for e in graph.edges if (e.source.ref.label, e.reader.ref.label) == (source, reader)]


def carrier(edge: Edge) -> str | None:
    return None if edge.carrier is None or edge.carrier.loop is None else str(edge.carrier.loop.index)


def test_every_equation_and_every_declared_piece_stands_once(draw: Any, any_name: str) -> None:
    graph, program = draw(any_name).graph, draw(any_name).program
    shown = list(graph.root.vertices())
    assert len(shown) == len(set(shown)) == len(graph.around)
    assert [v.site for v in shown if v.site is not None] == list(program.sites)
    pieces = [
        name for name, found in program.pieces.items() for piece in found
        if piece.site is None and (program.variables[name].kind in ("input", "target") or len(found) > 1)
        and not program.variables[name].scalar
    ]
    assert sorted(v.ref.name for v in shown if v.site is None) == sorted(pieces)


def test_every_read_is_an_edge_or_stands_at_the_side(draw: Any, any_name: str) -> None:
    graph, program = draw(any_name).graph, draw(any_name).program
    seen = {(e.reader, e.ref) for e in graph.edges}
    for v in graph.around:
        read = {ref for ref, _ in reads_of(v.site.equation.value)} if v.site is not None else set()
        assert {ref for reader, ref in seen if reader is v} | set(v.side) == read
        declared = [program.variables[ref.name] for ref in v.side]
        assert all(var.scalar or var.kind not in ("input", "target") for var in declared)
        assert not {e.ref for e in graph.edges if e.reader is v} & set(v.side)


def test_plates_are_the_loops(draw: Any, any_name: str) -> None:
    graph = draw(any_name).graph

    def check(plate: Plate, around: tuple[Plate, ...]) -> None:
        for item in plate.items:
            if isinstance(item, Plate):
                assert item.items
                check(item, (*around, item))
            else:
                assert graph.around[item] == around
                if item.site is not None:
                    assert [p.loop.index for p in around[1:]] == [loop.index for loop in item.site.loops]

    check(graph.root, (graph.root,))


def test_a_first_state_and_the_states_that_follow_are_one_read(draw: Any) -> None:
    graph = draw("rnn").graph
    (first,), (later,) = edges(graph, "H[0]", "Z[t]"), edges(graph, "H[t]", "Z[t]")
    assert first.ref is later.ref
    assert first.shared and later.shared
    assert carrier(first) is None
    assert carrier(later) == "t"
    assert [(str(i), str(value)) for i, value in later.marks] == [("t", "t - 1")]
    assert inside(graph, "H[0]") == []
    (now,) = edges(graph, "H[t]", "O[t]")
    assert carrier(now) is None and not now.marks and not now.shared


def test_each_delay_is_carried_by_itself(draw: Any) -> None:
    found = edges(draw("delayed").graph, "H[t]", "Z[t]")
    assert sorted(str(e.marks[0][1]) for e in found) == ["t - 1", "t - 3"]
    assert {carrier(e) for e in found} == {"t"}


def test_nested_loops_carry_what_is_theirs(draw: Any) -> None:
    found = edges(draw("stacked").graph, "H[l, t]", "Z[l, t]")
    assert {(e.ref.label, carrier(e)) for e in found} == {("H[l, t - 1]", "t"), ("H[l - 1, t]", "l")}


def test_a_loop_that_runs_down_reads_ahead(draw: Any) -> None:
    (found,) = edges(draw("bidirectional").graph, "G[t]", "G[t]")
    assert [str(value) for _, value in found.marks] == ["t + 1"]
    assert carrier(found) == "t"


@pytest.mark.parametrize(
    ("name", "source", "reader", "mark"),
    [("last_step", "H[t]", "O", "t = T"), ("deep", "A[l]", "loss", "l = L"), ("stacked", "H[l, t]", "loss", "l = L")],
)
def test_a_read_of_one_member_says_which(draw: Any, name: str, source: str, reader: str, mark: str) -> None:
    (found,) = edges(draw(name).graph, source, reader)
    assert draw(name).says(found) == mark
    assert found.carrier is None


def test_inputs_stand_in_the_loop_that_alone_reads_them(draw: Any) -> None:
    rnn = draw("rnn").graph
    assert inside(rnn, "X[t]") == ["t"]
    assert inside(rnn, "Y[t]") == []
    assert [str(i) for i, _, _ in vertex(rnn, "Y[t]").spans] == ["t"]
    assert not vertex(rnn, "X[t]").spans
    assert inside(draw("bidirectional").graph, "X[t]") == []  # two loops read it
    assert inside(draw("tapped").graph, "X[t]") == []  # it is read at an earlier time, too
    assert inside(draw("heads").graph, "X") == []
    assert inside(draw("stacked").graph, "H[0, t]") == ["t"]


def test_a_parameter_that_is_a_first_state_is_a_vertex(draw: Any) -> None:
    graph = draw("first state").graph
    assert vertex(graph, "H[0]").kind == "param"
    assert [ref.label for ref in vertex(graph, "H[t]").side] == ["W"]
