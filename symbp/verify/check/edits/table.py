"""The one table of edits: each nature of a mistake with the edit that mends it and the edit that makes it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from symbp.verify.check.edits import arrays, constants, names, paths, products, reductions, slopes
from symbp.verify.check.edits.known import Known
from symbp.verify.check.edits.line import EditedLine
from symbp.verify.check.edits.shapes import Misfit, shape_of

Rewrite = Callable[[ast.AST, EditedLine], Iterator[str]]
"""Gives the texts that may stand in place of a part of a line, or of the whole statement."""

MOST_EDITS = 900
"""More edits of one line are not tried."""


@dataclass(frozen=True)
class Row:
    """A nature of mistakes, with the edits that mend it and those that make it."""

    nature: str
    mend: Rewrite
    plant: Rewrite


@dataclass(frozen=True)
class Edit:
    """One change of a line.

    nature:    a key of ``NATURES``: the mistake that it mends or makes.
    statement: the line after it.
    text:      the same in the user's own words and blanks.
    line:      the row of the statement's text that has the changed part, counted from 0.
    column:    where that part begins in its row, counted from 1; in the first row as far as the file has it.
    length:    how many characters of that row it has.
    distance:  how many words of the text it changes.
    """

    nature: str
    statement: ast.stmt
    text: str
    line: int
    column: int
    length: int
    distance: int


ROWS: tuple[Row, ...] = (
    Row("sum for mean", reductions.to_mean, reductions.to_sum),
    Row("mean for sum", reductions.to_sum, reductions.to_mean),
    Row("wrong axis", reductions.other_axis, reductions.other_axis),
    Row("recurrent not transposed", products.recurrent_with_transpose, products.recurrent_without_transpose),
    Row("transpose extra", products.without_transpose, products.with_transpose),
    Row("transpose missing", products.with_transpose, products.without_transpose),
    Row("elementwise for product", products.to_product_of_some_layout, products.to_entrywise),
    Row("product for elementwise", products.to_entrywise, products.to_product),
    Row("order swapped", products.swapped, products.swapped),
    Row("sign", constants.other_sign, constants.other_sign),
    Row("sign", constants.exchanged_difference, constants.exchanged_difference),
    Row("slope at the wrong argument", slopes.right_argument, slopes.wrong_argument),
    Row("activation in place of the slope", slopes.slope_for_activation, slopes.activation_for_slope),
    Row("slope of another function", slopes.right_slope, slopes.wrong_slope),
    Row("slope doubled", slopes.without_slope_again, slopes.with_slope_again),
    Row("slope missing", slopes.with_slope, slopes.without_slope),
    Row("softmax as diagonal", slopes.softmax_whole, slopes.softmax_as_diagonal),
    Row("paths averaged", paths.not_averaged, paths.averaged),
    Row("1/m missing", constants.divided_by_samples, constants.without_division_by_samples),
    Row("1/m extra", constants.multiplied_by_samples, constants.divided_by_samples),
    Row("time index", names.other_index, names.other_index),
    Row("updated weights", names.updated_parameter, names.updated_parameter),
    Row("stale cache", names.other_value_of_the_same, names.other_value_of_the_same),
    Row("own output", names.other_input, names.other_input),
    Row("another quantity", names.other_quantity, names.other_quantity),
    Row("wrong exponent", constants.with_exponent, constants.with_exponent),
    Row("wrong constant", constants.other_factor, constants.other_factor),
    Row("summed over everything", reductions.along_axis, reductions.over_all),
    Row("not summed", reductions.summed, reductions.not_summed),
    Row("silent broadcast", reductions.with_dimension, reductions.without_dimension),
    Row("only the last step", paths.all_steps, paths.one_step),
    Row("path dropped", paths.with_term, paths.without_term),
    Row("path dropped", paths.with_mean, paths.without_mean),
    Row("path extra", paths.without_term, paths.with_term),
    Row("factor missing", arrays.with_factor, arrays.without_factor),
    Row("factor extra", arrays.without_factor, arrays.with_factor),
    Row("kernel not rotated", arrays.rotated, arrays.not_rotated),
    Row("repeated indices overwritten", arrays.added_at, arrays.overwritten),
    Row("changed in place", arrays.copied, arrays.not_copied),
    Row("wrong condition", arrays.other_condition, arrays.other_condition),
    Row("complement", arrays.complement, arrays.complement),
    Row("another quantity", names.other_kind, names.other_kind),
)
"""Every nature with its edits; of two at the same distance the earlier one is the likelier."""


_ORDER = {row.nature: k for k, row in reversed(list(enumerate(ROWS)))}


def edits(statement: ast.stmt, known: Known, source: str = "", simple: int | None = None) -> Iterator[Edit]:
    """Yield every change of a line by one edit that may mend it, the nearest to its text first.

    statement: the line; positions do not matter.
    known:     the names in scope.
    source:    the text of the statement, so that the user's own words and blanks are kept.
    simple:    the distance of a change that takes words away or turns a sign, however many words there are;
               without it each of them counts.

    Nothing is evaluated; results whose shapes certainly do not fit, or are not those of the left side, are left out.
    """
    line = EditedLine(statement, known, source)
    changes = _texts(line, mend=True)
    if simple is not None:
        changes = (c._replace(distance=simple) if _is_simple(line.text, c) else c for c in changes)
    found = sorted(changes, key=lambda c: (c.distance, _ORDER[c.nature], len(c.text)))
    for change in found[:MOST_EDITS]:
        edited = _parsed(change.text)
        if edited is not None and _fits(edited, known):
            yield _edit(change, edited, line)


def plant(statement: ast.stmt, known: Known, source: str = "") -> Iterator[Edit]:
    """Yield every change of a right line that makes one mistake, in the order of the table.

    Shapes need not fit: many mistakes are found by them.
    """
    line = EditedLine(statement, known, source)
    for change in _texts(line, mend=False):
        edited = _parsed(change.text)
        if edited is not None and _is_closed(edited, known.loops):
            yield _edit(change, edited, line)


class _Change(NamedTuple):
    """A text in place of a line, and where the part that differs was."""

    nature: str
    text: str
    start: int
    end: int
    distance: int


def _texts(line: EditedLine, mend: bool) -> Iterator[_Change]:
    """Yield the changes in the order of the table; of two that give the same text the first."""
    seen = {line.text}
    parts: list[ast.AST] = [line.statement, *line.expressions()]
    for row in ROWS:
        rewrite = row.mend if mend else row.plant
        for part in parts:
            for new in rewrite(part, line):
                try:
                    text, start, end = line.replaced(part, new)
                except SyntaxError:
                    continue
                if text not in seen:
                    seen.add(text)
                    yield _Change(row.nature, text, start, end, distance(line.text, text))


def _is_simple(old: str, change: _Change) -> bool:
    return change.nature == "sign" or len(words(old)) == len(words(change.text)) + change.distance


def _parsed(text: str) -> ast.stmt | None:
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return None
    return body[0] if len(body) == 1 else None


def _is_closed(statement: ast.stmt, loops: Sequence[str]) -> bool:
    """Tell whether the letters of sums, ``k`` of ``sum(A[k] for k in ...)``, stand inside of them only."""
    inside = {n for g in ast.walk(statement) if isinstance(g, ast.GeneratorExp) for n in ast.walk(g)}
    letters = {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    outside = (n for n in ast.walk(statement) if isinstance(n, ast.Name) and n not in inside)
    return not any(n.id in letters and n.id not in loops for n in outside)


def _edit(change: _Change, edited: ast.stmt, line: EditedLine) -> Edit:
    start, end = change.start, change.end
    row = line.text.count("\n", 0, start)
    first = line.text.rfind("\n", 0, start) + 1
    stop = line.text.find("\n", start)
    length = min(end, stop if stop >= 0 else end) - start
    return Edit(change.nature, edited, change.text, row, start - first + 1, max(1, length), change.distance)


def distance(old: str, new: str) -> int:
    """Return how many words and signs differ between two texts, outside what they begin and end with alike.

    Brackets count nothing.
    """
    a, b = words(old), words(new)
    first = 0
    while first < min(len(a), len(b)) and a[first] == b[first]:
        first += 1
    last = 0
    while last < min(len(a), len(b)) - first and a[-1 - last] == b[-1 - last]:
        last += 1
    return max(len(a), len(b)) - first - last


@lru_cache(maxsize=4096)
def words(text: str) -> list[str]:
    """Return the words and signs of a text; brackets are none."""
    return re.findall(r"\w+|\*\*|[^\s()]", text)


def _fits(statement: ast.stmt, known: Known) -> bool:
    """Tell whether the shapes of a line may fit: the right side by itself, and with the left side."""
    value = getattr(statement, "value", None)
    if value is None:
        return True
    try:
        shape = shape_of(value, known)
    except Misfit:
        return False
    target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
    wanted = known.meaning(target) if target is not None else None
    if isinstance(statement, ast.AugAssign) and not isinstance(statement.op, (ast.Add, ast.Sub)):
        return True  # `dx *= rstd` is broadcast
    # In the other layout the line gives the transpose.
    return shape is None or wanted is None or wanted.shape is None or shape in (wanted.shape, wanted.shape[::-1])
