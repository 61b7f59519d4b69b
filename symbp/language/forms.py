"""What a statement may say, and where its parts stand in the file."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from symbp.language.diagnostics import Span
from symbp.language.lines import Statement

FACTS = {
    "columns_sum_to_one": "the entries of each column add up to 1",
    "rows_sum_to_one": "the entries of each row add up to 1",
    "one_hot_columns": "entries 0 or 1, a single 1 in each column; implies columns_sum_to_one",
    "one_hot_rows": "entries 0 or 1, a single 1 in each row; implies rows_sum_to_one",
    "binary": "entries 0 or 1",
    "signs": "entries 1 or -1",
    "mask": "a pattern of 0 and 1",
    "index": "integers from 0 below a size, written `index[size]`",
    "positive": "entries above 0",
    "symmetric": "equal to its transpose",
}
"""The facts that a declaration may state, with what they mean."""


@dataclass(frozen=True)
class Parsed:
    """What a statement says; ``name`` is the name that it is about, ``subscripts`` its indices."""

    statement: Statement
    name: str
    subscripts: tuple[ast.expr, ...]
    target: ast.expr | None


@dataclass(frozen=True)
class Declare(Parsed):
    """``name: kind[shape] & facts = value``."""

    kind: str
    shape: tuple[ast.expr, ...] | None
    facts: tuple[ast.expr, ...]
    value: ast.expr | None


@dataclass(frozen=True)
class Assign(Parsed):
    """``name = value``, or with a stated shape ``name: [r, c] = value`` (then ``value`` may be missing)."""

    value: ast.expr | None
    shape: tuple[ast.expr, ...] | None = None


@dataclass(frozen=True)
class Unpack(Parsed):
    """``name, name = value``: the several results of a layer; ``parts`` are the left sides, without a value."""

    value: ast.expr
    parts: tuple[Assign, ...]


@dataclass(frozen=True)
class For(Parsed):
    """``for name in bounds:`` over a body."""

    bounds: ast.expr
    body: list[Parsed] = field(default_factory=list)


@dataclass(frozen=True)
class Define(Parsed):
    """``def name(arguments): return value``."""

    arguments: tuple[str, ...]
    value: ast.expr


@dataclass(frozen=True)
class Free(Parsed):
    """``name: elementwise``."""


@dataclass(frozen=True)
class Assert(Parsed):
    """``assert test``."""

    test: ast.expr


@dataclass(frozen=True)
class Samples(Parsed):
    """``samples: m``."""

    size: ast.expr


@dataclass(frozen=True)
class Broken(Parsed):
    """A statement with an error that has been reported; ``name`` is what it probably assigns, or empty."""

    body: list[Parsed] = field(default_factory=list)


def place(statement: Statement, node: ast.AST | None) -> Span:
    """Return the place of a syntax node in its file."""
    if node is None or not hasattr(node, "lineno"):
        return statement.span()
    row, start, last, end = extent(node)
    return statement.span(row, start, end if last == row else None)


def extent(node: Any) -> tuple[int, int, int, int]:
    """Return first row, first column, last row and end of a syntax node, as ``ast`` counts them."""
    return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset


def source(statement: Statement, node: ast.AST, longest: int = 60) -> str:
    """Return the text of a syntax node, in one line, shortened if it is long."""
    rows = statement.rows
    first, start, last, end = extent(node)
    if last > len(rows):
        return "..."
    if first == last:
        text = rows[first - 1][start:end]
    else:
        text = " ".join(" ".join([rows[first - 1][start:], *rows[first : last - 1], rows[last - 1][:end]]).split())
    return text if len(text) <= longest else text[: longest - 3] + "..."
