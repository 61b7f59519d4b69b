"""A few lines run again, one of them changed, from what they saw when they first ran: most changes fail here."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

from symbp.language.diagnostics import Mistake
from symbp.verify.student.anchors import is_array
from symbp.verify.student.errors import Located
from symbp.verify.student.interpreter import Interpreter
from symbp.verify.student.trace import Entry, Trace, kept
from symbp.verify.student.values import Array, Scope

MOST_NODES = 5_000
"""Nodes that a few lines may cost."""


class Replay:
    """Runs lines of one function of a file again.

    visits: what each statement saw when it first ran.
    """

    def __init__(self, module: ast.Module, visits: Mapping[ast.stmt, Mapping[str, Any]]) -> None:
        self.module, self.visits = module, visits
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
        block = self._blocks.get(first, [])
        is_near = last.count == 0 and last.statement in block
        start: ast.AST = first
        while not is_near and isinstance(self._parents.get(start), ast.stmt) and not isinstance(
            self._parents[start], (ast.FunctionDef, ast.ClassDef)
        ):
            start = self._parents[start]
        assert isinstance(start, ast.stmt)
        after = self._blocks.get(start, [])
        after = after[after.index(start):] if start in after else []
        holds = any(last.statement is n for s in after for n in ast.walk(s))
        return start if holds and self.visits.get(start) else None

    def value(self, start: ast.stmt, edits: Mapping[ast.stmt, ast.stmt], last: Entry) -> tuple[Array | None, int]:
        """Return what an assignment gives when lines before it are changed, and the nodes that it cost.

        The value is None where the lines cannot be run, give no array, or the assignment is not reached.
        """
        trace = _Until(last)
        run = Interpreter(self.module, trace=trace, edits=edits)
        run.scope = Scope({n: kept(v) for n, v in self.visits[start].items()}, run.globals)
        run.budget.most = MOST_NODES
        block = self._blocks[start]
        try:
            with np.errstate(all="ignore"):
                run.block(block[block.index(start):])
        except _Reached as reached:
            value = reached.value
            return (np.asarray(value, dtype=float) if is_array(value) else None), run.budget.nodes
        except (Located, Mistake):
            pass
        return None, run.budget.nodes


class _Reached(Exception):
    """The assignment that was waited for, with its value."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class _Until(Trace):
    """A trace that ends the run at an assignment."""

    def __init__(self, last: Entry) -> None:
        super().__init__()
        self.last = last

    def assigned(self, statement: ast.stmt, target: str, value: Any, scope: Scope) -> Any:
        """Count one assignment, and end the run if it is the one that is waited for."""
        count = self.counts.get((statement, target), 0)
        self.counts[statement, target] = count + 1
        if statement is self.last.statement and target == self.last.target and count == self.last.count:
            raise _Reached(value)
        return value

    def visit(self, statement: ast.stmt, scope: Scope) -> None:
        """Note nothing."""
