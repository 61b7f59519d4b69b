"""What is known of the names in scope of a line of student code, as the table of edits wants it."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from symbp.verify.check.edits import Applied, Known, Meaning
from symbp.verify.student.binding.outputs import is_laid
from symbp.verify.student.judging.anchors import Anchors
from symbp.verify.student.judging.truth import At
from symbp.verify.student.judging.work import CodeWork, targets_of
from symbp.verify.student.language import names as nm
from symbp.verify.student.language.errors import Located
from symbp.verify.student.language.interpreter import Interpreter
from symbp.verify.student.language.trace import Entry
from symbp.verify.student.language.values import Array, Instance, Scope


def _softmax(axis: int) -> Callable[[Array], Array]:
    def softmax(x: Array) -> Array:
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return np.asarray(e / e.sum(axis=axis, keepdims=True))

    return softmax


FUNCTIONS: tuple[tuple[str, int | None, Callable[[Array], Array]], ...] = (
    ("tanh", None, np.tanh), ("sigmoid", None, lambda x: 1 / (1 + np.exp(-x))), ("relu", None, lambda x: x * (x > 0)),
    ("exp", None, np.exp), ("softmax", 0, _softmax(0)), ("softmax", 1, _softmax(1)),
    ("leaky_relu", None, lambda x: np.where(x > 0, x, x / 100)), ("square", None, np.square),
    ("softplus", None, lambda x: np.log1p(np.exp(x))),
)
"""Functions that are recognised by their values."""
MOST_KEYS = 12
"""Of a dict with more keys not every item may stand in the place of a name."""


@dataclass
class Scopes:
    """Describes the names that each line sees.

    work:    the code.
    anchors: what its assignments are, at the first draw.
    """

    work: CodeWork
    anchors: Anchors
    _known: dict[int, Known] = field(default_factory=dict)

    def __post_init__(self) -> None:
        point = self.anchors.point
        self.forward: list[tuple[Entry, Array]] = [
            (e, np.asarray(point.ran.trace.values[e])) for e in point.ran.trace.order
            if e.statement not in self.work.index and np.asarray(point.ran.trace.values[e]).dtype.kind == "f"
        ][:80]
        self.sizes = {v: n for n, v in point.case.sizes.items()}

    @cached_property
    def applied(self) -> list[tuple[str, int | None, Array, Array]]:
        """The functions that the forward pass applied, with their axis, what went in and what came out."""
        found = []
        arrays = [v for _, v in self.forward if v.size > 1]
        for name, axis, function in FUNCTIONS:
            for x in arrays:
                if axis is not None and x.ndim != 2:
                    continue
                with np.errstate(all="ignore"):
                    y = function(x)
                for z in arrays:
                    is_like = z is not x and z.shape == y.shape and math.isclose(z.flat[0], y.flat[0], rel_tol=1e-8)
                    if is_like and np.allclose(z, y, 1e-9, 1e-12):
                        found.append((name, axis, x, z))
                        break
        return found

    def known(self, line: int) -> Known:
        """Return what is known of the names in scope of a line."""
        if line not in self._known:
            self._known[line] = self._look(line)
        return self._known[line]

    def held(self, line: int) -> set[str]:
        """Return the keys of the dicts that a line sees."""
        scope = self.anchors.point.ran.trace.visits.get(self.work.statements[line], {})
        return {key for value in scope.values() if isinstance(value, dict) for key in value if isinstance(key, str)}

    def _look(self, line: int) -> Known:
        statement = self.work.statements[line]
        scope = self.anchors.point.ran.trace.visits.get(statement, {})
        values = dict(self._values(statement, scope))
        given: dict[str, bool] = {}
        # What the line assigns has the shape that it gets, whatever stood there in the round before.
        for entry, value in self.anchors.point.ran.trace.values.items():
            is_name = not entry.target.startswith("return")
            if is_name and entry.statement is statement and entry.count == 0 and np.ndim(value):
                # A value that is wrong may have a wrong shape, and a name that misleads too.
                seen = self.anchors.see(entry, np.asarray(value, dtype=float))
                values[entry.target] = value
                given[entry.target] = (
                    self.anchors.point.ran.failure is None and not nm.gradient_of(nm.tail(entry.target))
                    if seen.at is None
                    else is_laid(value.shape, self.anchors.point.value(seen.at).shape)
                )
        if not given and self.anchors.point.ran.failure is not None:
            # A line that broke off gave nothing: what its target holds is of the round before.
            given = {text: False for text in targets_of(statement) if text in values}
        numbers = self._numbers(scope, values)
        texts = {v: n for n, v in reversed(list(numbers.items()))}
        names = {text: self._meaning(text, value, texts, given.get(text)) for text, value in values.items()}
        samples = self._samples(numbers)
        return Known(
            names=names, functions=tuple(self._functions(values)), sizes=tuple(numbers), samples=samples,
            loops=_loops(statement, self.work), numpy=True,
        )

    # -- values of texts

    def _values(self, statement: ast.stmt, scope: Mapping[str, Any]) -> Iterator[tuple[str, Array]]:
        """Yield every name, attribute and entry that the function of a line mentions, with the array that it holds."""
        run = Interpreter(self.work.reading.module)
        run.scope = Scope(dict(scope), run.globals)
        texts: dict[str, ast.expr] = {}
        for node in ast.walk(self._function(statement)):
            if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and not any(
                isinstance(n, (ast.Call, ast.Slice)) for n in ast.walk(node)
            ):
                texts.setdefault(ast.unparse(node), node)
        for name, value in scope.items():
            if isinstance(value, np.ndarray):
                texts.setdefault(name, ast.Name(name, ast.Load()))
            if isinstance(value, Instance):
                for attribute in value.attributes:
                    texts.setdefault(f"{name}.{attribute}", ast.parse(f"{name}.{attribute}", mode="eval").body)
            for key in list(value)[:MOST_KEYS] if isinstance(value, dict) else ():
                texts.setdefault(f"{name}[{key!r}]", ast.parse(f"{name}[{key!r}]", mode="eval").body)
        for text, node in texts.items():
            if isinstance(node, ast.Name) and node.id not in scope:
                continue
            try:
                with np.errstate(all="ignore"):
                    value = run.expression(node)
            except Located:
                continue
            if isinstance(value, np.ndarray) and value.dtype.kind in "fb" and not _is_view(node):
                yield text, value

    def _function(self, statement: ast.stmt) -> ast.AST:
        """Return the function that a statement stands in."""
        best: ast.AST = self.work.reading.module
        for node in ast.walk(self.work.reading.module):
            if isinstance(node, ast.FunctionDef) and node.lineno <= statement.lineno <= (node.end_lineno or 0):
                best = node
        return best

    def _numbers(self, scope: Mapping[str, Any], values: Mapping[str, Array]) -> dict[str, int]:
        """Return the sizes by how they are written: whole numbers in scope, axes of arrays."""
        wanted = set(self.anchors.point.case.sizes.values())
        found = {
            n: int(v) for n, v in scope.items()
            if isinstance(v, (int, np.integer)) and not isinstance(v, bool) and int(v) in wanted
        }
        for text, value in values.items():
            for k, n in enumerate(value.shape):
                if n in wanted and n not in found.values():
                    found[f"{text}.shape[{k}]"] = n
        return found

    def _samples(self, numbers: Mapping[str, int]) -> str:
        draws = self.work.bound.draws
        values = draws.values(self.anchors.point.turn)
        for drawn in draws.arrays.values():
            if drawn.role not in ("data", "target"):
                continue
            for axis in drawn.axes:
                if not draws.roles(axis) & {"parameter", "bias"}:
                    number = values[draws.root(axis)]
                    for text, n in numbers.items():
                        if n == number and n > 1:
                            return text
        return ""

    # -- meanings

    def _meaning(self, text: str, value: Array, sizes: Mapping[int, str], given: bool | None) -> Meaning:
        """Return what a text stands for; of what the line assigns it is told whether its shape is certain."""
        shape = tuple("1" if n == 1 else sizes.get(n, str(n)) for n in value.shape)
        pair = (shape[0], shape[1]) if len(shape) == 2 and given is not False else None
        if value.dtype.kind == "b":
            return Meaning("value", "", pair)
        held = [] if given is not None else self.anchors.holding(value)
        if held:
            source = next((h for h in held if isinstance(h, str)), None)
            role = self.work.bound.draws.arrays.get(source) if source is not None else None
            is_parameter = source is not None and (role is None or role.role in ("parameter", "bias"))
            return Meaning("parameter" if is_parameter else "value", nm.tail(_called(held[0])), pair)
        of = next((g for g in nm.gradient_of(nm.tail(text))), "")
        return Meaning("gradient", of, pair)

    def _functions(self, values: Mapping[str, Array]) -> Iterator[Applied]:
        for name, axis, x, y in self.applied:
            argument = _written(values, x)
            result = _written(values, y)
            if argument or result:
                yield Applied(name, self._name_of(x), argument, result, axis=axis)

    def _name_of(self, value: Array) -> str:
        held = self.anchors.holding(value)
        return nm.tail(_called(held[0])) if held else ""


def _called(at: At) -> str:
    return at if isinstance(at, str) else at.target


def _written(values: Mapping[str, Array], wanted: Array) -> str:
    return next((t for t, v in values.items() if v.shape == wanted.shape and np.array_equal(v, wanted)), "")


def _is_view(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "T"


def _loops(statement: ast.stmt, work: CodeWork) -> tuple[str, ...]:
    found = []
    for node in ast.walk(work.reading.module):
        is_around = isinstance(node, ast.For) and node.lineno < statement.lineno <= (node.end_lineno or 0)
        if is_around and isinstance(node.target, ast.Name):  # type: ignore[attr-defined]
            found.append(node.target.id)  # type: ignore[attr-defined]
    return tuple(found)
