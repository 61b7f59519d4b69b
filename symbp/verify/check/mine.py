"""Lines in the language of the declaration, as a work that can be judged."""

from __future__ import annotations

import ast
import re
import warnings
from collections import deque
from collections.abc import Mapping

import numpy as np
import sympy as sp

from symbp.expr import Node
from symbp.language.diagnostics import DeclarationError, Diagnostic, Report
from symbp.language.lines import MOST_CHARACTERS, split_lines, statements
from symbp.language.parsing import Parser
from symbp.verify.check.line_evaluator import LineEvaluator, NoValue, Timetable
from symbp.verify.check.spelling import respelled
from symbp.verify.check.truth import Model, Truth
from symbp.verify.check.work import CASCADE, Array, Failure, Line, Run, Where
from symbp.verify.check.work_reading import WorkReading, shown

MOST_LINES = 300
"""More lines are not checked at once."""
MOST_KEPT = 8
"""So many runs of each draw are kept, from which others are made."""

_WORD = re.compile(r"[A-Za-z_]\w*")


def read_mine(text: str, filename: str, model: Model, truth: Truth) -> Mine:
    """Return the work that a text in the language of the declaration is.

    Lines whose shapes do not fit are part of it, with their diagnostics.

    Raises ``DeclarationError`` with everything else that is wrong with it.
    """
    if len(text) > MOST_CHARACTERS:
        long = Diagnostic("L001", f"a text of more than {MOST_CHARACTERS} characters", filename, 1, 1)
        raise DeclarationError([long])
    original = split_lines(text)
    report = Report(filename, [respelled(line) for line in original])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parsed = Parser(report).all(statements(report))
    if len(parsed) > MOST_LINES:
        report.add("L004", f"more than {MOST_LINES} lines to be checked", parsed[MOST_LINES].statement.span())
        report.raise_if_any()
    try:
        return Mine(_upright(WorkReading(original, report, parsed, model, truth)))
    except DeclarationError as error:
        raise DeclarationError([shown(d, original) for d in error.diagnostics], error.dropped) from None


def _upright(reading: WorkReading) -> WorkReading:
    """Return the work with one line less that lies transposed, if that one is why other lines do not fit."""
    best = reading
    for entry in reading.entries if reading.wrong else ():
        if entry.value is not None and reading.line.lies_transposed(entry):
            fresh = Report(reading.report.file, reading.report.lines)
            only = frozenset({id(entry.parsed)})
            try:
                other = WorkReading(
                    reading.original, fresh, reading.parsed, reading.model, reading.truth, upright=only
                )
            except DeclarationError:
                continue
            if len(other.wrong) <= len(best.wrong) and len(other.wrong) <= 1:
                best = other
    return best


class Mine:
    """A work of lines in the language of the declaration; see ``Work``."""

    def __init__(self, reading: WorkReading) -> None:
        self.reading, self.model, self.truth = reading, reading.model, reading.truth
        self.timetables = [Timetable(reading, d) for d in self.truth.draws]
        self._variants: dict[tuple[tuple[int, str], ...], Mine | None] = {}
        self._reads = [e.names() for e in reading.entries]
        self._runs: list[deque[tuple[Mapping[Where, Array], Run]]] = [
            deque(maxlen=MOST_KEPT) for _ in self.truth.draws
        ]
        self._stated: dict[int, Node | Diagnostic] = {}

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines in the order in which they were written."""
        return self.reading.lines

    @property
    def wrong(self) -> list[Diagnostic]:
        """What is wrong with the shapes of lines."""
        return self.reading.wrong

    def stated_value(self, line: int, where: Where, draw: int) -> Array | None:
        """Return the value that a comment ``# is: W2.T @ dZ2`` says that an assignment has; names of gradients in it
        mean the truth. None if there is no such comment, or if it cannot be read."""
        reading = self.reading
        kind, _, text = self.lines[line].about.partition(":")
        if kind.strip() != "is":
            return None
        if line not in self._stated:
            for word in set(_WORD.findall(text)):
                reading.give(word)
            name = reading.entries[line].parsed.name
            edited = ast.parse(f"{name} = {text}").body[0] if _is_expression(text) else None
            nothing = Diagnostic("C003", "it cannot be read", reading.report.file, 1, 1)
            self._stated[line] = nothing if edited is None else reading.edited(line, edited)
        node = self._stated[line]
        if isinstance(node, Diagnostic):
            return None
        machine = LineEvaluator(reading, self.timetables[draw])
        known = self.truth.draws[draw]
        for name in machine.program.variables:
            meaning = reading.names.gradient(name)
            if meaning is not None and name not in reading.names.variables and meaning[1] in known.gradients:
                machine.results[name] = known.gradients[meaning[1]]
        entry = reading.entries[line]
        at = {h.symbol.name: k for h, k in zip(entry.heads, where[1], strict=True)}
        try:
            return machine.value(entry, node, at)
        except NoValue:
            return None

    # -- running -------------------------------------------------------------------------------------------
    def run(
        self, draw: int, mends: Mapping[Where, Array] | None = None, edits: Mapping[int, ast.stmt] | None = None,
        until: Where | None = None,
    ) -> Run:
        """Evaluate the lines in order at a draw; see ``Work.run``."""
        fixed = {k: self.reading.edited(k, statement) for k, statement in (edits or {}).items()}
        other = self._reread(fixed, edits or {})
        if other is self:
            k = min(fixed)
            return Run({}, Failure(k, "S010", "it has not the shape that other lines need"))
        if other is not None:
            return other.run(draw, mends, None, until)
        plain = self._plain(draw, mends or {})
        return self._evaluated(draw, mends or {}, fixed, plain, mends or {}, until) if fixed else plain

    def _plain(self, draw: int, mends: Mapping[Where, Array]) -> Run:
        """Return the run without edits, made out of the latest one at this draw with other mends.

        Hundreds of changes of one line are tried, each beside this run.
        """
        known = self._runs[draw]
        for before, run in reversed(known):
            if before.keys() == mends.keys() and all(before[w] is mends[w] for w in before):
                return run
        before, run = known[-1] if known else ({}, Run({}))
        found = self._evaluated(draw, mends, {}, run, before)
        known.append((dict(mends), found))
        return found

    def _evaluated(
        self, draw: int, mends: Mapping[Where, Array], fixed: Mapping[int, Node | Diagnostic], like: Run,
        like_mends: Mapping[Where, Array], until: Where | None = None,
    ) -> Run:
        """Evaluate the lines in order; what is the same as in another run is taken from there.

        fixed: what stands in the place of lines.
        like, like_mends: a run without edits, and the mends in it.
        """
        values: dict[Where, Array] = {}
        changed: set[str] = set()
        machine = LineEvaluator(self.reading, self.timetables[draw])
        with np.errstate(all="ignore"):
            for k, at in self.timetables[draw].steps:
                entry, where = self.reading.entries[k], machine.where(k, at)
                known, mend = like.values.get(where), mends.get(where)
                if mend is not None:
                    value = mend
                elif known is not None and k not in fixed and where not in like_mends and changed.isdisjoint(
                    self._reads[k]
                ):
                    value = known
                else:
                    try:
                        value = machine.value(entry, fixed.get(k, entry.value), at)
                    except NoValue as none:
                        return Run(values, self._failure(k, where, none.diagnostic))
                if value is not known:
                    changed.add(entry.parsed.name)
                machine.keep(k, where, value, at)
                values[where] = value
                if where == until:
                    break
        return Run(values)

    def _failure(self, k: int, where: Where | None, d: Diagnostic) -> Failure:
        """Return why a line has no value; where another line is the reason, with that one's failure."""
        entries = self.reading.entries
        source: Failure | None = None
        if d.code == CASCADE:
            read = entries[k].names()
            for j, e in enumerate(entries):
                if j != k and e.wrong is not None and e.wrong.code != CASCADE and e.parsed.name in read:
                    source = self._failure(j, None, e.wrong)
                    break
        return Failure(k, d.code, d.message, d.label, where, d.column, d.length, d.help, source)

    # -- edits that change shapes --------------------------------------------------------------------------
    def _wanted(self, k: int) -> tuple[sp.Expr, sp.Expr] | None:
        """Return the shape of a line that other lines were read with; None if they could not be read."""
        reading, entry = self.reading, self.reading.entries[k]
        if entry.value is not None:
            return entry.value.shape
        var = reading.scope.variables.get(entry.variable)
        return None if var is None else reading.line.shape_at(var, entry)

    def _reread(self, fixed: Mapping[int, Node | Diagnostic], edits: Mapping[int, ast.stmt]) -> Mine | None:
        """Return the work read again with edits in place, where they change the shape that other lines see.

        This work itself is returned where other lines need the shape that they had.
        """
        reading = self.reading
        changed = [k for k, node in fixed.items() if isinstance(node, Node) and self._wanted(k) != node.shape]
        if not changed:
            return None
        named = any(reading.names.gradient(reading.entries[k].parsed.name) is not None for k in changed)
        if named or not self.wrong:
            # The other lines fit the shape that it has, or that its name states: with this one they do not.
            return self
        key = tuple(sorted((k, ast.unparse(edits[k])) for k in fixed))
        if key not in self._variants:
            rows = list(reading.report.lines)
            for k, text in key:
                statement = reading.entries[k].parsed.statement
                first, last = statement.line - 1, statement.line - 1 + statement.text.count("\n")
                rows[first] = " " * (statement.column - 1) + text
                rows[first + 1 : last + 1] = [""] * (last - first)
            try:
                found: Mine | None = read_mine("\n".join(rows), reading.report.file, self.model, self.truth)
            except DeclarationError:
                found = None
            if found is not None and len(found.lines) != len(self.lines):
                found = None
            self._variants[key] = found
        return self._variants[key]


def _is_expression(text: str) -> bool:
    try:
        ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
