"""What is known of the names in scope: the only thing that edits need from the network, in the user's own words."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Literal

Shape = tuple[str, str]
"""Rows and columns, each a size as it is written: ``("n1", "m")``."""

Kind = Literal["value", "parameter", "gradient"]


@dataclass(frozen=True)
class Meaning:
    """What a name stands for.

    kind:    the value of a variable, a parameter, or the gradient of a variable.
    of:      the variable of the network; empty for a name that means nothing certain.
    shape:   its shape; None if it is not known.
    indices: the letters in which the shape of a member is written; the members of a family have as many indices.
    is_told: whether the author of the line can know the name: it is declared, or stands in the work.
    """

    kind: Kind
    of: str = ""
    shape: Shape | None = None
    indices: tuple[str, ...] = ()
    is_told: bool = True


@dataclass(frozen=True)
class Applied:
    """A function that the forward pass applied, with the names in scope of what went in and what came out.

    function: its name in the declaration (``tanh``, ``softmax``); with ``axis`` if it works along one.
    variable: the variable that went in, whose gradient has the slope as a factor.
    argument: what went in, as it is written in scope (``Z1``, ``Z[t]``); empty if nothing in scope holds it.
    result:   what came out; empty if nothing in scope holds it.
    slopes:   ways to write the slope that no table knows, best first.
    indices:  the letters of the indices in these texts.
    axis:     the axis along which it works.
    """

    function: str
    variable: str
    argument: str = ""
    result: str = ""
    slopes: tuple[str, ...] = ()
    indices: tuple[str, ...] = ()
    axis: int | None = None


@dataclass(frozen=True)
class Known:
    """The names in scope of a line, whatever language it is written in.

    names:     what each name stands for; the name of a family without its indices (``H``), else as it is written
               (``W1``, ``cache['A1']``, ``params['W' + str(l)]``).
    functions: the functions that the forward pass applied.
    sizes:     the sizes that may stand as numbers, as they are written (``m``, ``X.shape[1]``).
    samples:   the one of them that counts samples; empty if there is none.
    loops:     the indices of the loops around the line, outermost first.
    ranges:    the first and the last value of each index of a loop, of the network's or of the work's.
    terms:     for a variable the letters of its indices and the terms of its gradient in the reference, in names in
               scope.
    written:   the lines of the reference that give what this line should, in names in scope.
    numpy:     whether the line is NumPy, else it is in the language of the declaration.
    """

    names: Mapping[str, Meaning] = field(default_factory=dict)
    functions: tuple[Applied, ...] = ()
    sizes: tuple[str, ...] = ()
    samples: str = ""
    loops: tuple[str, ...] = ()
    ranges: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    terms: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=dict)
    written: tuple[str, ...] = ()
    numpy: bool = False

    def reference(self, node: ast.AST) -> tuple[str, tuple[str, ...]] | None:
        """Return the name that an expression reads and the indices of the member; None if it reads no known name."""
        if isinstance(node, ast.Name):
            return (node.id, ()) if node.id in self.names and not self.names[node.id].indices else None
        if not isinstance(node, (ast.Subscript, ast.Attribute)):
            return None
        if self._spelled:
            written = _text(node)
            if written in self._spelled and not self.names[written].indices:
                return written, ()
        if isinstance(node, ast.Subscript):
            base = node.value.id if isinstance(node.value, ast.Name) else ast.unparse(node.value)
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            meaning = self.names.get(base)
            if meaning is not None and len(meaning.indices) == len(parts):
                return base, tuple(map(_index_text, parts))
        return None

    @cached_property
    def _spelled(self) -> frozenset[str]:
        """The names that are more than a word: ``cache['A1']``, ``self.W1``."""
        return frozenset(name for name in self.names if not name.isidentifier())

    def meaning(self, node: ast.AST) -> Meaning | None:
        """Return what an expression stands for, with its shape at its own indices."""
        found = self.reference(node)
        if found is None:
            return None
        name, indices = found
        meaning = self.names[name]
        if not indices or meaning.shape is None:
            return meaning
        rows, cols = (at(size, meaning.indices, indices) for size in meaning.shape)
        return Meaning(meaning.kind, meaning.of, (rows, cols), meaning.indices)


@lru_cache(maxsize=4096)
def _text(node: ast.expr) -> str:
    return ast.unparse(node)


def _index_text(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return ast.unparse(node)


@lru_cache(maxsize=4096)
def at(text: str, letters: tuple[str, ...], indices: tuple[str, ...]) -> str:
    """Return a text in which letters of indices are replaced: ``n[l - 1]`` at l = l + 1 is ``n[l]``."""
    mapping = {a: b for a, b in zip(letters, indices, strict=True) if a != b}
    if not any(a in text for a in mapping):
        return text
    tree = ast.parse(text, mode="eval").body
    return ast.unparse(_Substitution(mapping).visit(tree)).replace(" ** ", "**")


@lru_cache(maxsize=4096)
def expression(text: str) -> ast.expr:
    """Return the tree of an expression, which may go over several rows; it is shared, so not to be changed."""
    return ast.parse(re.sub(r"(#[^\n]*)?\n\s*", " ", text).strip(), mode="eval").body


class _Substitution(ast.NodeTransformer):
    """Replaces names by texts and adds up integers in sums."""

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self.mapping = {name: expression(text) for name, text in mapping.items()}

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.mapping.get(node.id, node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        node = ast.BinOp(self.visit(node.left), node.op, self.visit(node.right))
        return shifted(node.left, _integer(node), node) if _integer(node) is not None else node


def _integer(node: ast.BinOp) -> int | None:
    """Return what a sum adds to its left side, if that is an integer."""
    right = node.right
    if isinstance(right, ast.Constant) and isinstance(right.value, int):
        return right.value if isinstance(node.op, ast.Add) else -right.value if isinstance(node.op, ast.Sub) else None
    return None


def shifted(node: ast.expr, by: int | None, otherwise: ast.expr | None = None) -> ast.expr:
    """Return an index moved by an integer: ``t + 1`` moved by -1 is ``t``."""
    if by is None:
        return otherwise or node
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return ast.Constant(node.value + by)
    if isinstance(node, ast.BinOp) and _integer(node) is not None:
        return shifted(node.left, (_integer(node) or 0) + by)
    if by == 0:
        return node
    return ast.BinOp(node, ast.Add() if by > 0 else ast.Sub(), ast.Constant(abs(by)))


def moved(index: str, by: int) -> str:
    """Return the text of an index moved by an integer, without blanks: ``t+1``."""
    return ast.unparse(shifted(expression(index), by)).replace(" ", "")
