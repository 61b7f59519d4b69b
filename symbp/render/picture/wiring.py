"""Which lines run through each plate: a network's edges, cut where plates end, joined where they are one value.

A value that is read outside its plate leaves it at the lower edge and enters another at the upper edge.  What is read
together (a first state, and the states that follow) enters as one line; what is carried to a later iteration has a lane
from the lower edge to the upper edge of the plate that carries it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from symbp.render.picture.graph import Edge, Graph, Plate, Vertex

Key: TypeAlias = Hashable
"""What tells the lines of one place apart."""
End: TypeAlias = tuple[Vertex | Plate | None, Key]
"""An item of a plate, or None for the plate's own edge; with the key of the line there."""


@dataclass
class Wiring:
    """The lines within one plate.

    lines: from an end (an item, or None for the upper edge) to ends (None: the lower edge), each with its key there.
    lanes: from a key at the lower edge to a key at the upper edge, with the words at the lane.
    """

    lines: dict[End, dict[End, None]] = field(default_factory=dict)
    lanes: dict[tuple[Key, Key], str] = field(default_factory=dict)

    def add(self, start: End, end: End) -> None:
        """Add a line; lines from one start are one line that branches."""
        self.lines.setdefault(start, {})[end] = None


def wire(graph: Graph, says: Callable[[Edge], str]) -> tuple[dict[Plate, Wiring], dict[Key, list[Edge]]]:
    """Return the lines of every plate, and the edges of every key at a reader."""
    wiring: dict[Plate, Wiring] = {}
    ends: dict[Key, list[Edge]] = {}
    for edge in graph.edges:
        above, below = graph.around[edge.source], graph.around[edge.reader]
        out: Key = edge.source
        into: Key = edge.ref if edge.shared or edge.carrier else (edge.source, says(edge))
        # The plate in which the line turns from upwards (out of plates) to downwards, and how far it goes on each side.
        depth = sum(1 for a, b in zip(above, below, strict=False) if a is b)
        turn = above.index(edge.carrier) if edge.carrier else depth - 1
        left, entered = (above[turn:], below[turn:]) if edge.carrier else (above[turn + 1 :], below[turn + 1 :])
        for plate in reversed(left):
            wiring.setdefault(plate, Wiring()).add((_item(above, plate, edge.source), out), (None, out))
        for plate in entered:
            wiring.setdefault(plate, Wiring()).add((None, into), (_item(below, plate, edge.reader), into))
        here = wiring.setdefault(above[turn], Wiring())
        if edge.carrier:
            here.lanes[out, into] = says(edge)
        else:
            here.add((_item(above, above[turn], edge.source), out), (_item(below, above[turn], edge.reader), into))
        ends.setdefault((edge.reader, into), []).append(edge)
    return wiring, ends


def _item(plates: Sequence[Plate], plate: Plate, vertex: Vertex) -> Vertex | Plate:
    """Return what holds a vertex in one of the plates around it: the next plate, or the vertex itself."""
    k = plates.index(plate) + 1
    return plates[k] if k < len(plates) else vertex
