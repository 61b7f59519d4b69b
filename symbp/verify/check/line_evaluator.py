"""Evaluating a work line by line: in which order its lines run at a draw, and what they come to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from symbp.expr import Node, Ref
from symbp.language.diagnostics import Diagnostic
from symbp.verify.check.line_reading import Entry
from symbp.verify.check.truth import Draw
from symbp.verify.check.work import Array, Where
from symbp.verify.check.work_reading import WorkReading
from symbp.verify.evaluate import EvaluationError, Evaluator, UndefinedRead, affordable

Step = tuple[int, dict[str, int]]
"""A line that runs, with the counts of the loops around it."""


class NoValue(Exception):
    """Thrown where a line has no value; the diagnostic says why."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class Timetable:
    """What is the same in all runs of a work at one draw.

    steps:   every line with the counts of its loops, in the order in which they run.
    members: the members of families that lines assign.
    numbers: what sizes and indices come to.
    """

    def __init__(self, reading: WorkReading, draw: Draw) -> None:
        self.draw = draw
        self._numbered = {id(e): k for k, e in enumerate(reading.entries)}
        self._counter = counter = Evaluator(reading.model.program, {}, draw.sizes)
        self.steps: list[Step] = list(self._steps(reading.order, {}))
        self.numbers: dict[Any, Any] = {}
        self.members = {
            (e.variable, tuple(counter.integer(i, at) for i in e.subscripts))
            for k, at in self.steps if (e := reading.entries[k]).subscripts
        }

    def _steps(self, order: Sequence[Any], at: dict[str, int]) -> Iterator[Step]:
        for one in order:
            if isinstance(one, Entry):
                yield self._numbered[id(one)], at
            else:
                head, inner = one
                rounds = range(self._counter.integer(head.lo, at), self._counter.integer(head.hi, at) + 1)
                for count in reversed(rounds) if head.down else rounds:
                    yield from self._steps(inner, {**at, head.symbol.name: count})


class LineEvaluator(Evaluator):
    """The reference evaluator, one line at a time: it knows the network's values and what the lines assigned."""

    def __init__(
        self, reading: WorkReading, timetable: Timetable, results: Mapping[str, Any] | None = None
    ) -> None:
        known = timetable.draw
        super().__init__(reading.model.program.replace(variables=reading.scope.variables), {}, known.sizes)
        self.reading, self.assigned = reading, timetable.members
        self._numbers = timetable.numbers
        if results is not None:
            self.results = _copied(results)
            return
        mine_alone = {e.variable for e in reading.entries} - set(reading.names.variables)
        self.results = _copied({n: v for n, v in known.results.items() if n not in mine_alone})
        self.results |= _copied({n: known.gradients[of] for n, of in reading.given.items()})

    def read(self, ref: Ref, at: Mapping[str, int]) -> Any:
        """Return a variable or a member; a member that no line assigns lies outside of the loops and is zero."""
        if ref.indices:
            where = tuple(self.integer(i, at) for i in ref.indices)
            family = self.results.get(ref.name, {})
            if where not in family:
                if (ref.name, where) in self.assigned:
                    shown = f"{ref.name}[{', '.join(map(str, where))}]"
                    raise UndefinedRead(f"{shown} is read before it is assigned")
                return self.zeros(self.integer(ref.rows, at), self.integer(ref.cols, at))
            return family[where]
        return super().read(ref, at)

    def where(self, line: int, at: Mapping[str, int]) -> Where:
        """Return which assignment it is that a line makes now."""
        entry = self.reading.entries[line]
        counts = tuple(at[h.symbol.name] for h in entry.heads)
        written = self.reading.lines[line].targets[0]
        if not entry.subscripts:
            return line, counts, written
        inside = ", ".join(str(self.integer(i, at)) for i in entry.subscripts)
        return line, counts, f"{written.rpartition('[')[0]}[{inside}]"

    def value(self, entry: Entry, node: Node | Diagnostic | None, at: Mapping[str, int]) -> Array:
        """Return what a line, or what stands in its place, comes to.

        Raises ``NoValue`` where it comes to nothing.
        """
        if isinstance(node, Diagnostic):
            raise NoValue(node)
        if node is None:
            assert entry.wrong is not None
            raise NoValue(entry.wrong)
        try:
            affordable(node, self.sizes, at)
            value: Array = self.expression(node, at)
            wanted = tuple(self.integer(s, at) for s in node.shape)
            if value.shape == wanted or any(n not in (1, k) for n, k in zip(value.shape, wanted, strict=True)):
                return value  # what was read from a mended line may have another shape than that line says
            return np.broadcast_to(value, wanted).copy()
        except UndefinedRead as error:
            raise NoValue(self._diagnostic(entry, "B001", str(error))) from None
        except (EvaluationError, ValueError, ArithmeticError, KeyError, TypeError) as error:
            raise NoValue(self._diagnostic(entry, "C003", f"it has no value: {error}")) from None

    def _diagnostic(self, entry: Entry, code: str, message: str) -> Diagnostic:
        at = entry.parsed.statement
        source = self.reading.original[at.line - 1]
        return Diagnostic(code, message, self.reading.report.file, at.line, at.column, source=source)

    def keep(self, line: int, where: Where, value: Array, at: Mapping[str, int]) -> None:
        """Remember what a line assigned."""
        entry = self.reading.entries[line]
        if entry.subscripts:
            inside = tuple(self.integer(i, at) for i in entry.subscripts)
            self.results.setdefault(entry.variable, {})[inside] = value
        elif entry.heads:
            self.results.setdefault(entry.variable, {})[where[1]] = value
        elif entry.variable:
            self.results[entry.variable] = value


def _copied(results: Mapping[str, Any]) -> dict[str, Any]:
    return {n: dict(v) if isinstance(v, Mapping) else v for n, v in results.items()}
