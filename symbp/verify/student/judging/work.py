"""Student code as a work that is judged: its lines, and runs of them with values mended and statements replaced."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

import numpy as np

from symbp.verify.check.work import Array, Failure, Line, Run, Where
from symbp.verify.student.binding.search import Bound
from symbp.verify.student.binding.session import Outcome
from symbp.verify.student.binding.usage import own_nodes, parameters
from symbp.verify.student.judging.truth import Point
from symbp.verify.student.language.errors import Located
from symbp.verify.student.language.reading import Reading, span
from symbp.verify.student.language.trace import Entry

Assigning = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr)
"""Statements that may hold a mistake."""


class CodeWork:
    """The backward pass of a bound task, line by line; it satisfies the protocol ``Work``.

    points: the draws.
    lines:  the statements that are judged: those that ran, and on which the loss does not depend.
    functions: the function that each statement stands in.
    through: the returns that give back what a function was given, as it was: a slope may be missing there.
    """

    def __init__(self, bound: Bound, points: Sequence[Point]) -> None:
        self.bound, self.points = bound, list(points)
        self.reading: Reading = bound.session.reading
        nodes = [n for s in self.reading.module.body for n in ast.walk(s)]
        self.through = {s for n in nodes if isinstance(n, ast.FunctionDef) for s in _handed_through(n)}
        self.statements = _on_trial(bound, self.points[0], set(nodes), self.through)
        self.lines: tuple[Line, ...] = tuple(line_of(s, self.reading) for s in self.statements)
        self.index = {s: k for k, s in enumerate(self.statements)}
        self.functions: dict[ast.stmt, ast.AST] = {
            s: f for f in ast.walk(self.reading.module) if isinstance(f, ast.FunctionDef)
            for s in own_nodes(f) if isinstance(s, ast.stmt)
        }

    def run(
        self, draw: int, mends: Mapping[Where, Array] | None = None, edits: Mapping[int, ast.stmt] | None = None,
        until: Where | None = None,
    ) -> Run:
        """Run the code at a draw."""
        put = {self.entry(w): v for w, v in (mends or {}).items()}
        outcome = self.outcome(draw, put, edits)
        mine = [(e, v) for e, v in outcome.trace.values.items() if e.statement in self.index]
        values = {self.where(e): np.asarray(v, dtype=float) for e, v in mine}
        return Run(values, self._failure(outcome))

    def outcome(
        self, draw: int, mends: Mapping[Entry, Array] | None = None, edits: Mapping[int, ast.stmt] | None = None
    ) -> Outcome:
        """Return all that one run gave."""
        point = self.points[draw]
        replaced = {self.statements[k]: s for k, s in (edits or {}).items()}
        return point.session.run(point.case, mends=mends, edits=replaced)

    def entry(self, where: Where) -> Entry:
        """Return an assignment by its place."""
        return Entry(self.statements[where[0]], where[1][-1] if where[1] else 0, where[2])

    def where(self, entry: Entry) -> Where:
        """Return the place of an assignment: its line, how often it was run before, its target."""
        return self.index[entry.statement], (entry.count,) if entry.count else (), entry.target

    def _failure(self, outcome: Outcome) -> Failure | None:
        if outcome.failure is None:
            return None
        mistake, node = outcome.failure.mistake, outcome.failure.node
        line, column, length = span(node, self.reading.lines)
        found = [k for k, s in enumerate(self.statements) if s.lineno <= line <= (s.end_lineno or s.lineno)]
        return Failure(found[-1] if found else 0, mistake.code, mistake.args[0], mistake.label, None, column, length,
                       mistake.help)


def line_of(statement: ast.stmt, reading: Reading) -> Line:
    """Return a statement as a line that is shown."""
    file, shown = reading.place(statement.lineno)
    _, column, _ = span(statement, reading.lines)
    return Line(file, shown, column, reading.source(statement.lineno), statement, targets_of(statement))


def statement_at(module: ast.Module, line: int) -> ast.stmt:
    """Return the statement that begins at a line, the innermost one; else the first of the file."""
    found = [s for s in ast.walk(module) if isinstance(s, ast.stmt) and s.lineno == line]
    return found[-1] if found else module.body[0]


def targets_of(statement: ast.stmt) -> tuple[str, ...]:
    """Return what a statement assigns, as it is written."""
    if isinstance(statement, ast.Assign):
        targets = [e for t in statement.targets for e in (t.elts if isinstance(t, (ast.Tuple, ast.List)) else [t])]
        return tuple(ast.unparse(t) for t in targets)
    if isinstance(statement, (ast.AugAssign, ast.AnnAssign)):
        return (ast.unparse(statement.target),)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        if isinstance(call.func, ast.Attribute):
            first = call.args[0] if call.func.attr == "at" and call.args else call.func.value
            return (ast.unparse(first),)
    return ("return",) if isinstance(statement, ast.Return) else ("",)


def _on_trial(bound: Bound, point: Point, written: set[ast.AST], through: set[ast.Return]) -> list[ast.stmt]:
    """Return the statements of the backward pass in the order in which they are written."""
    ran = point.ran
    visited = [s for s in ran.trace.visits if isinstance(s, Assigning) and hasattr(s, "lineno")]
    visited = [s for s in visited if s in written and (s in through or not _is_plain(s))]
    if bound.task.backward is not None:
        before = set(ran.before)
        return sorted((s for s in visited if s not in before), key=lambda s: (s.lineno, s.col_offset))
    found = []
    inside = set(own_nodes(bound.task.forward))
    for statement in visited:
        mine = [e for e in ran.trace.order if e.statement is statement]
        if not any(_moves(point, e) for e in mine[:3]) and (mine or statement in inside):
            found.append(statement)
    return sorted(found, key=lambda s: (s.lineno, s.col_offset))


def _moves(point: Point, entry: Entry) -> bool:
    """Tell whether the loss depends on an assignment."""
    try:
        if not point.is_real(entry):
            return False
        direction = np.asarray(np.random.default_rng(7).normal(size=point.value(entry).shape))
        return point.slope(entry, direction) != 0
    except Located:
        return False


def _is_plain(statement: ast.stmt) -> bool:
    """Tell whether a statement cannot hold a mistake: a docstring, a bare return of names, a number of samples."""
    if isinstance(statement, ast.Expr):
        return not any(isinstance(n, ast.Call) for n in ast.walk(statement.value))
    value = statement.value if isinstance(statement, (ast.Return, ast.Assign)) else None
    if isinstance(statement, ast.Return):
        parts = value.elts if isinstance(value, ast.Tuple) else [value]
        return all(p is None or _is_name(p) for p in parts)
    return False


def _handed_through(function: ast.FunctionDef) -> list[ast.Return]:
    """Return where a function gives back what it was given, as it was."""
    nodes = list(own_nodes(function))
    changed = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)} | {
        ast.unparse(n.value) for n in nodes if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Store)
    }
    given = {p for p, _ in parameters(function)} - changed
    return [n for n in nodes if isinstance(n, ast.Return) and isinstance(n.value, ast.Name) and n.value.id in given]


def _is_name(node: ast.expr) -> bool:
    """Tell whether an expression only names something: ``dW``, ``self.dW``; a transpose is more."""
    if isinstance(node, ast.Attribute):
        return node.attr != "T" and _is_name(node.value)
    return isinstance(node, (ast.Name, ast.Constant))
