"""Edits of names: one quantity in the place of another, an index moved by one."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from symbp.verify.check.edits.known import Meaning, moved
from symbp.verify.check.edits.line import EditedLine, member

Fits = Callable[[Meaning, Meaning, str, str, EditedLine], bool]
"""``fits(old meaning, new meaning, old text, new text, line)``."""


def other_index(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``H[t]`` -> ``H[t-1]`` and ``H[t+1]``."""
    found = line.known.reference(node)
    if found is None or not found[1] or not isinstance(node, ast.Subscript):
        return
    name, indices = found
    letters = set(line.around)
    for k, index in enumerate(indices):
        if letters.isdisjoint(n.id for n in ast.walk(ast.parse(index)) if isinstance(n, ast.Name)) and letters:
            continue
        for by in (-1, 1):
            yield member(name, (*indices[:k], moved(index, by), *indices[k + 1 :]))


def updated_parameter(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """A parameter after its update -> before it, and the reverse."""
    yield from _others(node, line, lambda old, new, a, b, _: old.kind == new.kind == "parameter" and old.of == new.of)


def other_value_of_the_same(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """A value -> the value of the same quantity under another name."""
    yield from _others(
        node, line, lambda old, new, a, b, _: old.kind == new.kind == "value" and bool(old.of) and old.of == new.of
    )


def other_input(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """In the gradient of a parameter: one value -> another."""
    of_parameter = line.meaning is not None and any(
        m.kind == "parameter" and m.of == line.meaning.of for m in line.known.names.values()
    )
    if of_parameter:
        yield from _others(node, line, lambda old, new, a, b, _: old.kind == new.kind == "value" and old.of != new.of)


def other_quantity(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """A name -> another one of the same kind."""
    yield from _others(node, line, lambda old, new, a, b, _: old.kind == new.kind)


def other_kind(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """A gradient -> a value or a parameter and the reverse."""
    yield from _others(node, line, lambda old, new, a, b, _: old.kind != new.kind)


def _others(node: ast.AST, line: EditedLine, fits: Fits) -> Iterator[str]:
    """Put every name that fits in the place of one, at the same indices and at those near the line."""
    found = line.known.reference(node)
    if found is None:
        return
    old = line.known.names[found[0]]
    # In NumPy a name may be made anew out of what it was.
    target = line.known.reference(line.target) if line.target is not None and not line.known.numpy else None
    for name, new in line.known.names.items():
        if name == found[0] or not new.is_told or not fits(old, new, found[0], name, line):
            continue
        mine = [found[1]] if len(found[1]) == len(new.indices) else []
        yield from (member(name, i) for i in dict.fromkeys([*mine, *line.members(new)]) if (name, i) != target)
