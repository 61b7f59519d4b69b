"""Reading a whole work: its lines in their loops, each when the shapes of what it reads are known."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import sympy as sp

from symbp.expr import Node, as_node
from symbp.language.diagnostics import Diagnostic, Mistake, Report, Stop
from symbp.language.expressions import Expressions
from symbp.language.forms import Assign, Broken, Define, For, Parsed, place
from symbp.language.laws import Law
from symbp.language.lines import Statement
from symbp.language.operations import OPERATIONS
from symbp.language.parsing import Parser
from symbp.language.reader import LAYER_TABLE
from symbp.language.scope import Head
from symbp.language.shapes import Shapes
from symbp.program import Var
from symbp.verify.check.anchors import Names
from symbp.verify.check.line_reading import Entry, LineReading, Turned
from symbp.verify.check.spelling import stated
from symbp.verify.check.truth import Model, Truth
from symbp.verify.check.vocabulary import scope_of, with_dimensions
from symbp.verify.check.work import CASCADE, Line

_LETTERS = sp.symbols("i j k", integer=True)


class WorkReading:
    """The lines of a work as they are read in the scope of a network.

    original: the lines as they were written; in ``report`` they stand as they are parsed.
    entries:  the equations, in the order in which they were written.
    order:    the same in their loops.
    given:    names that only a gradient can mean, and that no line computes.
    """

    def __init__(
        self, original: Sequence[str], report: Report, parsed: Sequence[Parsed], model: Model, truth: Truth,
        upright: frozenset[int] = frozenset(),
    ) -> None:
        self.original, self.report, self.parsed = original, report, parsed
        self.model, self.truth = model, truth
        self.entries: list[Entry] = []
        self.given: dict[str, str] = {}
        self.names = Names(truth.variables)
        self.scope = scope_of(model.program, truth, report)
        self.line = LineReading(original, self.scope, self.names, truth, upright)
        self._edited: dict[tuple[int, str], Node | Diagnostic] = {}
        self.order: list[Entry | tuple[Head, list[Any]]] = self._collect(parsed, ())
        self._claim_names()
        self._read_all()
        report.raise_if_any()
        if not self.entries:
            report.add("P016", "nothing is computed", place(Statement("", 1, 1), None), "write a line: `dW1 = ...`")
            report.raise_if_any()
        self.lines = tuple(self.line_of(e) for e in self.entries)

    def _collect(self, parsed: Sequence[Parsed], around: tuple[Head, ...]) -> list[Any]:
        """Return the lines in their loops, and read what else the language has outside of equations."""
        found: list[Any] = []
        for p in parsed:
            self.scope.loops = around
            if isinstance(p, For):
                try:
                    head = Shapes(self.scope, p.statement).range(
                        p.bounds, p.name, p.statement.line, len(self.entries) + len(around) * 1000
                    )
                except Stop:
                    continue
                found.append((head, self._collect(p.body, (*around, head))))
            elif isinstance(p, Assign) and p.value is not None:
                with_dimensions(p.value)
                entry = Entry(p, around)
                self.entries.append(entry)
                found.append(entry)
            elif isinstance(p, Define):
                try:
                    self.scope.functions[p.name] = Law(self.scope, p).function()
                except Mistake as mistake:
                    self.report.add_mistake(mistake, place(p.statement, None))
                except Stop:
                    pass
            elif not isinstance(p, Broken):
                self.report.add(
                    "P010", "a work has equations and loops only", p.statement.span(), "write `name = expression`"
                )
        self.scope.loops = ()
        return found

    def _claim_names(self) -> None:
        """Refuse left sides that mean something else; take names of gradients that no line computes as given."""
        scope = self.scope
        assigned = {e.parsed.name for e in self.entries}
        plain: set[str] = set()
        for e in self.entries:
            name, at = e.parsed.name, place(e.parsed.statement, e.parsed.target)
            var = scope.variables.get(name)
            if name in scope.sizes or name in scope.size_families:
                self.report.add("N011", f"{name} is a size, it has no equation", at)
            elif name in OPERATIONS or name in scope.functions or name in LAYER_TABLE:
                self.report.add("N005", f"`{name}` is a word of the language", at, f"write another name: `{name}1`")
            elif var is not None and var.declared and not e.parsed.subscripts:
                self.report.add("B002", f"{name} is declared by the network", at, "choose another name")
            elif name in plain and not e.parsed.subscripts:
                help = "a name has one equation: choose another name"
                self.report.add("B002", f"{name} is assigned already", at, help)
            if not e.parsed.subscripts and not e.heads:
                plain.add(name)
        for e in self.entries:
            for node in ast.walk(e.parsed.value) if e.parsed.value is not None else ():
                if isinstance(node, ast.Name) and node.id not in assigned:
                    self.give(node.id)

    def give(self, word: str) -> None:
        """Take a name that only a gradient can mean, and that no line computes, as that gradient."""
        scope = self.scope
        known = (scope.variables, scope.sizes, scope.size_families, scope.functions, OPERATIONS, LAYER_TABLE)
        meaning = None if any(word in k for k in known) else self.names.gradient(word)
        if meaning is not None and meaning[1] in self.truth.draws[0].gradients:
            var = self.truth.variables[meaning[1]]
            scope.define(Var(word, var.rows, var.cols, var.indices))
            self.given[word] = meaning[1]

    def _read_all(self) -> None:
        """Read every line; one that reads a family that a later line assigns waits for it."""
        while waiting := [e for e in self.entries if not e.variable and e.wrong is None]:
            ready = [e for e in waiting if self._ready(e, waiting)]
            if not ready:
                # Each waits for another one: the shape of a gradient is known from its name, else it is tried out.
                if any(self._shaped_by_name(e) for e in waiting) or self._shaped_by_trial(waiting):
                    continue
                ready = waiting[:1]
            for e in ready:
                self._read(e)

    def _ready(self, entry: Entry, waiting: Sequence[Entry]) -> bool:
        """Tell whether the names that a line reads have shapes."""
        pending = {e.parsed.name for e in waiting if e is not entry} | {entry.parsed.name}
        known = (self.scope.variables, self.scope.private)
        return not any(n in pending and not any(n in k for k in known) for n in entry.names())

    def _shaped_by_name(self, entry: Entry) -> bool:
        """Give a family the shape of what its name says that it is the gradient of."""
        name = entry.parsed.name
        meaning = self.names.gradient(name)
        if name in self.scope.variables or meaning is None:
            return False
        var = self.truth.variables[meaning[1]]
        if len(var.indices) != len(entry.parsed.subscripts):
            return False
        self.scope.define(Var(name, var.rows, var.cols, var.indices))
        return True

    def _shaped_by_trial(self, waiting: Sequence[Entry]) -> bool:
        """Give a family that lines around it need the one shape, among those of the network, with which they fit."""
        found = next((v for v in self._shapes_to_try(waiting) if self._fits(v, waiting, deeper=True)), None)
        if found is not None:
            self.scope.define(found)
        return found is not None

    def _shapes_to_try(self, waiting: Sequence[Entry]) -> Iterator[Var]:
        """Yield families that have no shape yet, with every shape that a family of the network has."""
        for e in waiting:
            name, count = e.parsed.name, len(e.parsed.subscripts)
            if not count or name in self.scope.variables:
                continue
            shapes: dict[tuple[sp.Expr, ...], Var] = {}
            for var in self.truth.variables.values():
                if len(var.indices) == count:
                    letters = dict(zip(var.indices, _LETTERS, strict=False))
                    shapes.setdefault(tuple(s.xreplace(letters) for s in var.shape), var)
            yield from (Var(name, var.rows, var.cols, var.indices) for var in shapes.values())

    def _fits(self, var: Var, waiting: Sequence[Entry], deeper: bool = False) -> bool:
        """Tell whether lines can be read, and give a family this shape, if it has this shape.

        deeper: whether another family that they need may be tried out as well.
        """
        scope = self.scope
        variables, private = dict(scope.variables), {k: list(v) for k, v in scope.private.items()}
        kept = scope.report
        scope.define(var)
        left = [replace(e) for e in waiting]
        try:
            while True:
                ready = [e for e in left if self._ready(e, left)]
                if not ready:
                    others = self._shapes_to_try(left) if deeper else iter(())
                    other = next((v for v in others if self._fits(v, left)), None)
                    if other is None:
                        return False
                    scope.define(other)
                for e in ready:
                    scope.report = Report("", self.report.lines)
                    scope.loops = e.heads
                    self.line.read(e)
                    assert e.value is not None
                    if e.parsed.name == var.name:
                        at = dict(zip(var.indices, e.subscripts, strict=True))
                        return tuple(s.xreplace(at) for s in var.shape) == e.value.shape
                left = [e for e in left if e not in ready]
        except (Stop, Mistake, Turned):
            return False
        finally:
            scope.variables, scope.private, scope.report, scope.loops = variables, private, kept, ()
            scope._members.clear()

    def _read(self, entry: Entry) -> None:
        """Read one line; keep what is wrong with its shapes, report what else is wrong with it."""
        p, quiet = entry.parsed, Report(self.report.file, self.report.lines)
        self.scope.report = quiet
        self.scope.loops = entry.heads
        try:
            self.line.read(entry)
        except Turned as turned:
            self.line.turned.add(entry.parsed.name)
            self.scope.define(turned.variable)
            entry.value = None
            self._again(entry.parsed.name)
        except Stop:
            if not self._turns(entry):
                self.scope.report = quiet
                self._refuse(entry, quiet)
        except Mistake as mistake:
            quiet.add_mistake(mistake, place(p.statement, p.target))
            self._refuse(entry, quiet)
        finally:
            self.scope.report = self.report
            self.scope.loops = ()

    def _turns(self, entry: Entry) -> bool:
        """Turn families that have their shapes from their names only, if a line that reads them can be read then."""
        scope = self.scope
        read = entry.names()
        pending = {e.parsed.name for e in self.entries if e.value is None and e.parsed.subscripts}
        kept = {n: scope.variables[n] for n in read & pending if n in scope.variables and n not in self.line.turned}
        kept = {n: v for n, v in kept.items() if n not in self.names.variables and v.rows != v.cols}
        for names in [*([n] for n in kept), list(kept)]:
            for name in names:
                v = kept[name]
                scope.define(Var(name, v.cols, v.rows, v.indices))
            scope._members.clear()
            scope.report = Report("", self.report.lines)
            try:
                self.line.read(entry)
            except (Stop, Mistake, Turned):
                for name in names:
                    scope.define(kept[name])
                scope._members.clear()
                continue
            self.line.turned.update(names)
            entry.value, entry.variable = None, ""
            for name in names:
                self._again(name)
            return bool(names)
        entry.value, entry.variable = None, ""
        return False

    def _refuse(self, entry: Entry, quiet: Report) -> None:
        entry.value = None
        shapes = [d for d in quiet.found if d.code.startswith("S")]
        if len(shapes) == len(quiet.found) and shapes:
            entry.wrong = shown(shapes[0], self.original)
            self._stand_in(entry)
            return
        self.report.found += [d for d in quiet.found if d not in shapes]
        entry.wrong = quiet.found[0] if quiet.found else Diagnostic(
            CASCADE, "it reads a line that cannot be read", self.report.file, entry.parsed.statement.line,
            entry.parsed.statement.column, source=self.original[entry.parsed.statement.line - 1],
        )
        self._stand_in(entry)

    def _stand_in(self, entry: Entry) -> None:
        """Give the target of a line that cannot be read the shape that its name says, so that others can read it."""
        name, meaning = entry.parsed.name, self.names.gradient(entry.parsed.name)
        if name in self.scope.variables or name in self.scope.private:
            entry.variable = name if name in self.scope.variables else self.scope.private[name][0].variable
            return
        var = self.truth.variables[meaning[1]] if meaning is not None else None
        if var is not None and len(var.indices) == len(entry.parsed.subscripts):
            self.scope.define(Var(name, var.rows, var.cols, var.indices))
            entry.variable = name
        else:
            self.scope.poisoned.add(name)

    def _again(self, name: str) -> None:
        """Read those lines again that read a name."""
        for e in self.entries:
            if e.value is not None and name in e.names():
                e.value, e.variable = None, ""
                self.scope.private.pop(e.parsed.name, None)
                if not e.parsed.subscripts:
                    self.scope.variables.pop(e.parsed.name, None)
        self.scope._members.clear()

    def edited(self, k: int, statement: ast.stmt) -> Node | Diagnostic:
        """Read a line that is put in place of the k-th."""
        entry = self.entries[k]
        text = ast.unparse(statement)
        key = k, text
        if key not in self._edited:
            at = entry.parsed.statement
            quiet = Report(self.report.file, [""] * (at.line - 1) + text.split("\n"))
            self.scope.report, self.scope.loops = quiet, entry.heads
            found: Node | None = None
            try:
                p = Parser(quiet).one(Statement(text, at.line, 1))
                if isinstance(p, Assign) and p.value is not None:
                    found = as_node(Expressions(self.scope, p.statement, LAYER_TABLE).value(with_dimensions(p.value)))
            except (Stop, Mistake):
                pass
            finally:
                self.scope.report, self.scope.loops = self.report, ()
            broken = Diagnostic("C003", "it cannot be read", self.report.file, at.line, at.column)
            self._edited[key] = found if found is not None else quiet.found[0] if quiet.found else broken
        return self._edited[key]

    def line_of(self, entry: Entry) -> Line:
        p = entry.parsed
        line, column = p.statement.line, p.statement.column
        source = self.original[line - 1]
        tree = placed(p.statement)
        target = self._written(p)
        return Line(
            self.report.file, line, column, source, tree, (target,), stated(source), self.report.lines[line - 1]
        )

    def _written(self, p: Assign) -> str:
        assert p.target is not None
        span = place(p.statement, p.target)
        first, end = span.column - 1, self.report.lines[span.line - 1].find("=", span.column - 1 + span.length)
        return self.original[span.line - 1][first : end if end >= 0 else first + span.length].strip()

    @property
    def spellings(self) -> dict[str, str]:
        """How names are written that are read under another one: ``dL/dW1`` is read as ``dL_dW1``."""
        found = {}
        for entry, line in zip(self.entries, self.lines, strict=True):
            target = line.targets[0]
            written = target.rpartition("[")[0].strip() if entry.subscripts else target
            if written != entry.parsed.name:
                found[entry.parsed.name] = written
        return found

    @property
    def wrong(self) -> list[Diagnostic]:
        """What is wrong with the shapes of lines."""
        return [e.wrong for e in self.entries if e.wrong is not None]


def shown(diagnostic: Diagnostic, original: Sequence[str]) -> Diagnostic:
    """Return a diagnostic with the line as it was written."""
    here = diagnostic.line - 1
    return replace(diagnostic, source=original[here]) if 0 <= here < len(original) else diagnostic


def placed(statement: Statement) -> ast.stmt:
    """Return the syntax tree of a statement, whose positions count lines of the file."""
    tree = ast.parse(statement.text).body[0]
    for node in ast.walk(tree):
        if isinstance(node, (ast.expr, ast.stmt)):
            first, last = node.lineno == 1, node.end_lineno == 1
            node.col_offset += statement.column - 1 if first else 0
            node.end_col_offset = (node.end_col_offset or 0) + (statement.column - 1 if last else 0)
            node.end_lineno = (node.end_lineno or node.lineno) + statement.line - 1
            node.lineno += statement.line - 1
    return tree
