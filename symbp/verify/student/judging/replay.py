"""A few lines run again, one of them changed, from what they saw when they first ran: most changes fail here."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symbp.language.diagnostics import Mistake
from symbp.verify.student.judging.anchors import is_array
from symbp.verify.student.language.errors import Located
from symbp.verify.student.language.interpreter import Interpreter
from symbp.verify.student.language.trace import Entry, Trace, kept
from symbp.verify.student.language.values import Array, Scope

MOST_NODES = 5_000
"""Nodes that a few lines may cost."""


class Replay:
    """Runs lines of one function of a file again.

    visits: what each statement saw when it first ran.
    """

    def __init__(self, module: ast.Module, visits: Mapping[ast.stmt, Mapping[str, Any]]) -> None:
        self.module, self.visits = module, visits
        self._starts: dict[tuple[ast.stmt, Entry], ast.stmt | None] = {}
        self._blocks: dict[ast.AST, list[ast.stmt]] = {}
        self._parents: dict[ast.AST, ast.AST] = {}
        for node in ast.walk(module):
            for block in (getattr(node, "body", None), getattr(node, "orelse", None)):
                for statement in block if isinstance(block, list) else ():
                    self._blocks[statement], self._parents[statement] = block, node  # type: ignore[assignment]

    def start(self, first: ast.stmt, last: Entry) -> ast.stmt | None:
        """Return the statement from which lines are run again, so that a change of the first reaches an assignment.

        It is the first itself where both stand in one block and the assignment is the first of its line; else the
        statement of the function's own block that holds the first; None where the assignment does not come after it.
        """
        if (first, last) not in self._starts:
            self._starts[first, last] = self._start(first, last)
        return self._starts[first, last]

    def _start(self, first: ast.stmt, last: Entry) -> ast.stmt | None:
        is_near = last.count == 0 and last.statement in self._blocks.get(first, [])
        start = first if is_near else self.outermost(first)
        holds = any(last.statement is n for s in self._from(start) for n in ast.walk(s))
        return start if holds and self.visits.get(start) else None

    def value(
        self, start: ast.stmt, edits: Mapping[ast.stmt, ast.stmt], last: Entry, right: Mapping[Entry, Array],
    ) -> tuple[Array | None, int]:
        """Return what an assignment gives when lines before it are changed, and the nodes that it cost.

        right: assignments that are right, and stay so.

        The value is None where the lines cannot be run, give no array, the assignment is not reached, or another one
        is no longer right.
        """
        run = self._run(start, edits, trace := _Until(last, right))
        return (np.asarray(trace.value, dtype=float) if is_array(trace.value) else None), run

    def added_up(
        self, rounds: Sequence[Mapping[str, Any]], changed: ast.stmt, target: ast.expr
    ) -> tuple[Array | None, int]:
        """Return what a sum over rounds comes to when the statement that adds to it is changed, and the nodes it cost.

        rounds: what the statement saw in each round.
        target: the sum; its name begins with what holds it.
        """
        run = Interpreter(self.module)
        root = name_of(target)
        held = kept(rounds[0].get(root))
        try:
            with np.errstate(all="ignore"):
                for seen in rounds:
                    run.scope = Scope({n: kept(v) for n, v in seen.items()} | {root: held}, run.globals)
                    run.statement(changed)
                    held = run.scope.names[root]
                value = run.expression(loaded(target))
        except (Located, Mistake):
            return None, run.budget.nodes
        return (np.asarray(value, dtype=float) if is_array(value) else None), run.budget.nodes

    def survives(self, first: ast.stmt, changed: ast.stmt, broken: ast.stmt) -> tuple[bool, int]:
        """Tell whether a statement that broke off does not when a line before it is changed, and the nodes it cost."""
        start = self.outermost(first)
        if not self.visits.get(start):
            return True, 0
        run = self._run(start, {first: changed}, trace := _Past(broken))
        return not trace.failed, run

    def outermost(self, statement: ast.stmt) -> ast.stmt:
        """Return the statement of the function's own block that holds a statement."""
        while True:
            parent = self._parents.get(statement)
            if not isinstance(parent, ast.stmt) or isinstance(parent, (ast.FunctionDef, ast.ClassDef)):
                return statement
            statement = parent

    def _from(self, start: ast.stmt) -> list[ast.stmt]:
        block = self._blocks.get(start, [])
        return block[block.index(start):] if block else []

    def _run(self, start: ast.stmt, edits: Mapping[ast.stmt, ast.stmt], trace: _Part) -> int:
        """Run the rest of a block; return the nodes that it cost."""
        run = Interpreter(self.module, trace=trace, edits=edits)
        run.scope = Scope({n: kept(v) for n, v in self.visits[start].items()}, run.globals)
        run.budget.most = MOST_NODES
        try:
            with np.errstate(all="ignore"):
                run.block(self._from(start))
        except _Reached:
            pass
        except (Located, Mistake):
            trace.failed = True
        return run.budget.nodes


def name_of(target: ast.expr) -> str:
    """Return the name with which a target begins: ``dw`` of ``dw[f]``."""
    return ast.unparse(target).partition("[")[0].partition(".")[0]


def loaded(target: ast.expr) -> ast.expr:
    """Return the whole of which a target is a part, as it is read: of ``dw[f]`` it is ``dw``."""
    at = target
    while isinstance(at, ast.Subscript) and not isinstance(at.slice, ast.Constant):
        at = at.value
    return ast.parse(ast.unparse(at), mode="eval").body


class _Reached(Exception):
    """What was waited for is reached."""


class _Part(Trace):
    """A trace of a part of a function."""

    failed = False

    def assigned(self, statement: ast.stmt, target: str, value: Any, scope: Scope) -> Any:
        """Note nothing."""
        return value

    def visit(self, statement: ast.stmt, scope: Scope) -> None:
        """Note nothing."""


class _Until(_Part):
    """A trace that ends the run at an assignment, and has its value, or where something that was right changes."""

    def __init__(self, last: Entry, right: Mapping[Entry, Array]) -> None:
        super().__init__()
        self.last, self.value, self.right = last, None, right
        self._watched = {e.statement for e in right} | {last.statement}

    def assigned(self, statement: ast.stmt, target: str, value: Any, scope: Scope) -> Any:
        """Count one assignment, and end the run if it is the one that is waited for."""
        if statement not in self._watched:
            return value
        count = self.counts.get((statement, target), 0)
        self.counts[statement, target] = count + 1
        entry = Entry(statement, count, target)
        if entry == self.last:
            self.value = value
            raise _Reached
        wanted = self.right.get(entry)
        if wanted is not None and (
            np.shape(value) != wanted.shape or not np.abs(value - wanted).max() <= 1e-8 * np.abs(wanted).max()
        ):
            raise _Reached
        return value


class _Past(_Part):
    """A trace that ends the run behind a statement."""

    def __init__(self, last: ast.stmt) -> None:
        super().__init__()
        self.last, self.is_reached = last, False

    def visit(self, statement: ast.stmt, scope: Scope) -> None:
        """End the run at the first statement behind the one that is waited for."""
        if self.is_reached:
            raise _Reached
        self.is_reached = statement is self.last
