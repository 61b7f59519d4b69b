"""Lines in the language of the declaration, as a work that can be judged: read in the scope of a network."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import sympy as sp

from symbp.expr import Function, Node, Ref, SizeMember, as_node, index, shape_text, size_atoms
from symbp.language.diagnostics import DeclarationError, Diagnostic, Mistake, Report, Stop
from symbp.language.expressions import Expressions
from symbp.language.families import PieceShape, pattern
from symbp.language.forms import Assign, Broken, Define, For, Parsed, place
from symbp.language.laws import Law
from symbp.language.lines import MOST_CHARACTERS, Statement, split_lines, statements
from symbp.language.operations import OPERATIONS
from symbp.language.parsing import Parser
from symbp.language.reader import LAYER_TABLE
from symbp.language.scope import Head, Private, Scope
from symbp.language.shapes import Shapes
from symbp.program import Program, Var, fresh_name
from symbp.verify.check.anchors import Names
from symbp.verify.check.spelling import respelled, stated
from symbp.verify.check.truth import Model, Quantity, Truth
from symbp.verify.check.work import CASCADE, Array, Failure, Line, Run, Where
from symbp.verify.evaluate import EvaluationError, Evaluator, UndefinedRead, affordable

PRIMES = ("d{f}", "d_{f}", "{f}_prime", "{f}p", "{f}_d")
"""How the derivative of a function that was left unspecified may be called."""


def with_dimensions(value: ast.expr) -> ast.expr:
    """Return an expression in which reductions along an axis keep their dimension, as on paper every sum does.

    ``sum(dZ, axis=1)`` becomes ``sum(dZ, axis=1, keepdims=True)``; the tree is changed in place.
    """
    for node in ast.walk(value):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        entry = OPERATIONS.get(name)
        if entry is None or "keepdims" not in (p.name for p in entry.parameters):
            continue
        words = [k.arg for k in node.keywords]
        along = "axis" in words or len(node.args) == (2 if isinstance(node.func, ast.Name) else 1)
        if along and "keepdims" not in words:
            flag = ast.copy_location(ast.Constant(True), node)
            node.keywords.append(ast.copy_location(ast.keyword("keepdims", flag), node))
    return value


_WORD = re.compile(r"[A-Za-z_]\w*")
_LETTERS = sp.symbols("i j k", integer=True)


MOST_LINES = 300
"""More lines are not checked at once."""


@dataclass
class Entry:
    """A line as it was read: its parts, the loops around it, its value as an expression or what is wrong with it."""

    parsed: Assign
    heads: tuple[Head, ...]
    subscripts: tuple[sp.Expr, ...] = ()
    variable: str = ""
    value: Node | None = None
    wrong: Diagnostic | None = None


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
        return _upright(Mine(original, report, parsed, model, truth), report)
    except DeclarationError as error:
        raise DeclarationError([_shown(d, original) for d in error.diagnostics], error.dropped) from None


def _upright(mine: Mine, report: Report) -> Mine:
    """Return the work with one line less that lies transposed, if that one is why other lines do not fit."""
    if len(mine.wrong) < 1:
        return mine
    best = mine
    for entry in mine.entries:
        if entry.value is not None and mine.lies_transposed(entry):
            fresh = Report(report.file, report.lines)
            only = frozenset({id(entry.parsed)})
            try:
                other = Mine(mine.original, fresh, mine.parsed, mine.model, mine.truth, upright=only)
            except DeclarationError:
                continue
            if len(other.wrong) <= len(best.wrong) and len(other.wrong) <= 1:
                best = other
    return best


def _shown(diagnostic: Diagnostic, original: Sequence[str]) -> Diagnostic:
    """Return a diagnostic with the line as it was written."""
    here = diagnostic.line - 1
    return replace(diagnostic, source=original[here]) if 0 <= here < len(original) else diagnostic


@dataclass
class Mine:
    """A work of lines in the language of the declaration; see ``Work``."""

    original: Sequence[str]
    report: Report
    parsed: Sequence[Parsed]
    model: Model
    truth: Truth
    entries: list[Entry] = field(default_factory=list)
    upright: frozenset[int] = frozenset()
    given: dict[str, str] = field(default_factory=dict)
    turned: set[str] = field(default_factory=set)
    numbers: list[dict[Any, Any]] = field(default_factory=list)
    _variants: dict[tuple[tuple[int, str], ...], Mine | None] = field(default_factory=dict)
    _before: tuple[Any, Any, Any] | None = None
    _edited: dict[tuple[int, str], Node | Diagnostic] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = Names(self.truth.variables)
        self.scope = scope_of(self.model.program, self.truth, self.report)
        self.order: list[Entry | tuple[Head, list[Any]]] = self._collect(self.parsed, ())
        self._claim_names()
        self._read_all()
        self.report.raise_if_any()
        if not self.entries:
            self.report.add("P016", "nothing is computed", place(_nowhere(), None), "write a line such as `dW1 = ...`")
            self.report.raise_if_any()
        self._lines = tuple(self._line(e) for e in self.entries)
        self._schedules = [list(self._schedule(d.sizes)) for d in self.truth.draws]
        self.numbers = [{} for _ in self.truth.draws]
        self._assigned = [self._members(k) for k in range(len(self.truth.draws))]

    # -- reading -------------------------------------------------------------------------------------------
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
                    self._given(node.id)

    def _given(self, word: str) -> None:
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
        assert entry.parsed.value is not None
        read = {n.id for n in ast.walk(entry.parsed.value) if isinstance(n, ast.Name)}
        return not any(n in pending and n not in self.scope.variables and n not in self.scope.private for n in read)

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
                    self._expression(e)
                    assert e.value is not None
                    if e.parsed.name == var.name:
                        at = dict(zip(var.indices, e.subscripts, strict=True))
                        return tuple(s.xreplace(at) for s in var.shape) == e.value.shape
                left = [e for e in left if e not in ready]
        except (Stop, Mistake, _Turned):
            return False
        finally:
            scope.variables, scope.private, scope.report, scope.loops = variables, private, kept, ()
            scope._members.clear()

    def _expression(self, entry: Entry) -> None:
        """Read subscripts, value and target of a line."""
        p = entry.parsed
        assert p.value is not None
        reader = Expressions(self.scope, p.statement, LAYER_TABLE)
        entry.subscripts = tuple(reader.shapes.index(s) for s in p.subscripts)
        entry.value = as_node(reader.value(p.value))
        entry.variable = self._target(entry, entry.value)

    def _read(self, entry: Entry) -> None:
        """Read one line; keep what is wrong with its shapes, report what else is wrong with it."""
        p, quiet = entry.parsed, Report(self.report.file, self.report.lines)
        self.scope.report = quiet
        self.scope.loops = entry.heads
        try:
            self._expression(entry)
        except _Turned as turned:
            self.turned.add(entry.parsed.name)
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
        assert entry.parsed.value is not None
        read = {n.id for n in ast.walk(entry.parsed.value) if isinstance(n, ast.Name)}
        pending = {e.parsed.name for e in self.entries if e.value is None and e.parsed.subscripts}
        kept = {n: scope.variables[n] for n in read & pending if n in scope.variables and n not in self.turned}
        kept = {n: v for n, v in kept.items() if n not in self.names.variables and v.rows != v.cols}
        for names in [*([n] for n in kept), list(kept)]:
            for name in names:
                v = kept[name]
                scope.define(Var(name, v.cols, v.rows, v.indices))
            scope._members.clear()
            scope.report = Report("", self.report.lines)
            try:
                self._expression(entry)
            except (Stop, Mistake, _Turned):
                for name in names:
                    scope.define(kept[name])
                scope._members.clear()
                continue
            self.turned.update(names)
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
            entry.wrong = _shown(shapes[0], self.original)
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

    def _target(self, entry: Entry, value: Node) -> str:
        """Return the variable that a line assigns, making it if it is new or of another shape than the network's."""
        scope, p, shape = self.scope, entry.parsed, value.shape
        name, known = p.name, scope.variables.get(p.name)
        self._fits_its_name(entry, shape)
        if p.subscripts:
            formals = known.indices if known is not None else self._formals(entry)
            if len(formals) != len(p.subscripts):
                raise Mistake("B005", f"{name} has {len(formals)} indices, not {len(p.subscripts)}")
            rows, cols = self._pattern(entry, shape, formals)
            if known is not None and name not in self.names.variables:
                at = dict(zip(formals, entry.subscripts, strict=True))
                wanted = (known.rows.xreplace(at), known.cols.xreplace(at))
                if wanted == shape[::-1] != shape and name not in self.turned:
                    # Its name said how it lies; who read it by that is read again.
                    raise _Turned(Var(name, known.cols, known.rows, formals))
                if wanted != shape:
                    raise Mistake(
                        "S010", f"{name} is {shape_text(wanted)} elsewhere but its right side is {shape_text(shape)}"
                    )
            if known is None or (name in self.names.variables and (rows, cols) != known.shape):
                scope.define(Var(name, rows, cols, formals))
            return name
        if entry.heads:
            symbols = tuple(h.symbol for h in entry.heads)
            chosen = name if known is None else fresh_name(name, scope.variables)
            scope.define(Var(chosen, *shape, indices=symbols))
            scope.private.setdefault(name, []).append(Private(chosen, entry.heads))
            return chosen
        scope.define(Var(name, *shape))
        scope._members.pop((name, ()), None)
        return name

    def _again(self, name: str) -> None:
        """Read those lines again that read a name."""
        for e in self.entries:
            assert e.parsed.value is not None
            if e.value is not None and any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(e.parsed.value)):
                e.value, e.variable = None, ""
                self.scope.private.pop(e.parsed.name, None)
                if not e.parsed.subscripts:
                    self.scope.variables.pop(e.parsed.name, None)
        self.scope._members.clear()

    def _fits_its_name(self, entry: Entry, shape: tuple[sp.Expr, sp.Expr]) -> None:
        """Refuse a gradient that has neither the shape of its variable nor that of its transpose."""
        meaning = self.names.gradient(entry.parsed.name)
        var = self.truth.variables[meaning[1]] if meaning is not None else None
        if meaning is None or var is None or stated(self.original[entry.parsed.statement.line - 1]):
            return
        wanted = self._shape_at(var, entry)
        if wanted is None:
            return
        forced = id(entry.parsed) in self.upright
        if shape != wanted and (forced or shape != wanted[::-1]):
            label = f"({shape_text(shape)}), not ({shape_text(wanted)})"
            raise Mistake("S010", f"the gradient of {meaning[1]} has the shape of {meaning[1]}", label=label)

    def lies_transposed(self, entry: Entry) -> bool:
        """Tell whether a line gives the transpose of the gradient that its name says."""
        meaning = self.names.gradient(entry.parsed.name)
        wanted = self._shape_at(self.truth.variables[meaning[1]], entry) if meaning is not None else None
        return entry.value is not None and wanted is not None and entry.value.shape == wanted[::-1] != wanted

    def _shape_at(self, var: Var, entry: Entry) -> tuple[sp.Expr, sp.Expr] | None:
        """Return the shape of the member of a variable that a line of the same indices is about."""
        if not var.indices:
            return var.shape if not entry.subscripts else None
        inside: tuple[sp.Expr, ...] = entry.subscripts or tuple(h.symbol for h in entry.heads)
        if len(inside) != len(var.indices):
            constant = not any(s.free_symbols & set(var.indices) for s in var.shape)
            return var.shape if constant and not entry.subscripts else None
        at = dict(zip(var.indices, inside, strict=True))
        return var.rows.xreplace(at), var.cols.xreplace(at)

    def _formals(self, entry: Entry) -> tuple[sp.Symbol, ...]:
        spare = iter(x for x in "tlsijkpqruvw" if x not in {h.name for h in entry.heads})
        heads = {h.symbol for h in entry.heads}
        return tuple(
            next((s for s in sorted(i.free_symbols, key=str) if s in heads), None) or index(next(spare))
            for i in entry.subscripts
        )

    def _pattern(
        self, entry: Entry, shape: tuple[sp.Expr, sp.Expr], formals: tuple[sp.Symbol, ...]
    ) -> tuple[sp.Expr, sp.Expr]:
        """Return the shape of a family of which one member's shape is known."""
        meaning = self.names.gradient(entry.parsed.name) or self.names.variable(entry.parsed.name)
        of = meaning if isinstance(meaning, str) else meaning[1] if meaning is not None else None
        var = self.truth.variables.get(of or "")
        if var is not None and len(var.indices) == len(formals):
            at = dict(zip(var.indices, entry.subscripts, strict=True))
            named = tuple(s.xreplace(dict(zip(var.indices, formals, strict=True))) for s in var.shape)
            member = tuple(s.xreplace(at) for s in var.shape)
            if member == shape:
                return named[0], named[1]
            if member[::-1] == shape:
                return named[1], named[0]
        piece = PieceShape(entry.subscripts, shape)
        return pattern(entry.parsed.name, [(piece, [h.symbol for h in entry.heads])], formals)

    def _line(self, entry: Entry) -> Line:
        p = entry.parsed
        line, column = p.statement.line, p.statement.column
        source = self.original[line - 1]
        tree = _placed(p.statement)
        target = self._written(p)
        return Line(
            self.report.file, line, column, source, tree, (target,), stated(source), self.report.lines[line - 1]
        )

    def _written(self, p: Assign) -> str:
        assert p.target is not None
        span = place(p.statement, p.target)
        first, end = span.column - 1, self.report.lines[span.line - 1].find("=", span.column - 1 + span.length)
        return self.original[span.line - 1][first : end if end >= 0 else first + span.length].strip()

    def stated_value(self, line: int, where: Where, draw: int) -> Array | None:
        """Return the value that a comment ``# is: W2.T @ dZ2`` says that an assignment has; names of gradients in it
        mean the truth. None if there is no such comment, or if it cannot be read."""
        kind, _, text = self._lines[line].about.partition(":")
        if kind.strip() != "is":
            return None
        entry = self.entries[line]
        key = line, "is:" + text
        if key not in self._edited:
            for word in set(_WORD.findall(text)):
                self._given(word)
            edited = ast.parse(f"{entry.parsed.name} = {text}").body[0] if _is_expression(text) else None
            nothing = Diagnostic("C003", "it cannot be read", self.report.file, 1, 1)
            self._edited[key] = nothing if edited is None else self._edit(line, edited)
        node = self._edited[key]
        if isinstance(node, Diagnostic):
            return None
        machine = LineEvaluator(self, draw)
        known = self.truth.draws[draw]
        for name in machine.program.variables:
            meaning = self.names.gradient(name)
            if meaning is not None and name not in self.names.variables and meaning[1] in known.gradients:
                machine.results[name] = known.gradients[meaning[1]]
        at = {h.symbol.name: k for h, k in zip(entry.heads, where[1], strict=True)}
        try:
            return self._evaluate(entry, node, machine, at)
        except _Broken:
            return None

    # -- running -------------------------------------------------------------------------------------------
    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines in the order in which they were written."""
        return self._lines

    @property
    def spellings(self) -> dict[str, str]:
        """How names are written that are read under another one: ``dL/dW1`` is read as ``dL_dW1``."""
        found = {}
        for entry, line in zip(self.entries, self._lines, strict=True):
            target = line.targets[0]
            written = target.rpartition("[")[0].strip() if entry.subscripts else target
            if written != entry.parsed.name:
                found[entry.parsed.name] = written
        return found

    @property
    def wrong(self) -> list[Diagnostic]:
        """What is wrong with the shapes of lines."""
        return [e.wrong for e in self.entries if e.wrong is not None]

    def run(
        self, draw: int, mends: Mapping[Where, Array] | None = None, edits: Mapping[int, ast.stmt] | None = None,
        until: Where | None = None,
    ) -> Run:
        """Evaluate the lines in order at a draw; see ``Work.run``."""
        fixed = {k: self._edit(k, statement) for k, statement in (edits or {}).items()}
        other = self._reread(fixed, edits or {})
        if other is self:
            k = min(fixed)
            return Run({}, Failure(k, "S010", "it has not the shape that other lines need"))
        if other is not None:
            return other.run(draw, mends, None, until)
        first = min(fixed, default=None)
        values, machine, schedule = self._start(draw, mends, first)
        with np.errstate(all="ignore"):
            for k, at in schedule:
                entry = self.entries[k]
                where = self._where(k, at, machine)
                try:
                    if mends is not None and where in mends:
                        value = mends[where]
                    else:
                        value = self._evaluate(entry, fixed.get(k, entry.value), machine, at)
                except _Broken as broken:
                    return Run(values, self._failure(k, where, broken.diagnostic))
                values[where] = value
                machine.keep(entry, where, value, at)
                if where == until:
                    break
        return Run(values)

    def _failure(self, k: int, where: Where | None, d: Diagnostic) -> Failure:
        """Return why a line has no value; where another line is the reason, with that one's failure."""
        source: Failure | None = None
        if d.code == CASCADE:
            value = self.entries[k].parsed.value
            assert value is not None
            read = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}
            for j, e in enumerate(self.entries):
                if j != k and e.wrong is not None and e.wrong.code != CASCADE and e.parsed.name in read:
                    source = self._failure(j, None, e.wrong)
                    break
        return Failure(k, d.code, d.message, d.label, where, d.column, d.length, d.help, source)

    def _start(
        self, draw: int, mends: Mapping[Where, Array] | None, line: int | None
    ) -> tuple[dict[Where, Array], LineEvaluator, list[tuple[int, dict[str, int]]]]:
        """Return what was computed before the first assignment of a line, and what is left to do.

        Hundreds of changes of one line are tried, each with the same lines before it.
        """
        schedule = self._schedules[draw]
        if line is None:
            return {}, LineEvaluator(self, draw), schedule
        if self._before is None or self._before[0] != (draw, line) or self._before[1] is not mends:
            end = next(p for p, (k, _) in enumerate(schedule) if k == line)
            machine, values = LineEvaluator(self, draw), dict[Where, Array]()
            with np.errstate(all="ignore"):
                for p, (k, at) in enumerate(schedule[:end]):
                    where = self._where(k, at, machine)
                    try:
                        given = mends is not None and where in mends
                        value = mends[where] if given else self._evaluate(  # type: ignore[index]
                            self.entries[k], self.entries[k].value, machine, at
                        )
                    except _Broken:
                        end = p
                        break
                    values[where] = value
                    machine.keep(self.entries[k], where, value, at)
            self._before = (draw, line), mends, (values, machine.results, end)
        values, results, end = self._before[2]
        machine = LineEvaluator(self, draw, results)
        return dict(values), machine, schedule[end:]

    def _wanted(self, k: int) -> tuple[sp.Expr, sp.Expr] | None:
        """Return the shape of a line that other lines were read with; None if they could not be read."""
        entry = self.entries[k]
        if entry.value is not None:
            return entry.value.shape
        var = self.scope.variables.get(entry.variable)
        return None if var is None else self._shape_at(var, entry)

    def _reread(self, fixed: Mapping[int, Node | Diagnostic], edits: Mapping[int, ast.stmt]) -> Mine | None:
        """Return the work read again with edits in place, where they change the shape that other lines see."""
        changed = [k for k, node in fixed.items() if isinstance(node, Node) and self._wanted(k) != node.shape]
        if not changed:
            return None
        named = any(self.names.gradient(self.entries[k].parsed.name) is not None for k in changed)
        if named or not self.wrong:
            # The other lines fit the shape that it has, or that its name states: with this one they do not.
            return self
        key = tuple(sorted((k, ast.unparse(edits[k])) for k in fixed))
        if key not in self._variants:
            rows = list(self.report.lines)
            for k, text in key:
                statement = self.entries[k].parsed.statement
                first, last = statement.line - 1, statement.line - 1 + statement.text.count("\n")
                rows[first] = " " * (statement.column - 1) + text
                rows[first + 1 : last + 1] = [""] * (last - first)
            try:
                found: Mine | None = read_mine("\n".join(rows), self.report.file, self.model, self.truth)
            except DeclarationError:
                found = None
            if found is not None and len(found.entries) != len(self.entries):
                found = None
            self._variants[key] = found
        return self._variants[key]

    def _evaluate(
        self, entry: Entry, node: Node | Diagnostic | None, machine: LineEvaluator, at: Mapping[str, int]
    ) -> Array:
        if isinstance(node, Diagnostic):
            raise _Broken(node)
        p = entry.parsed.statement
        if node is None:
            assert entry.wrong is not None
            raise _Broken(entry.wrong)
        source = self.original[p.line - 1]
        try:
            affordable(node, machine.sizes, at)
            value: Array = machine.expression(node, at)
            wanted = tuple(machine.integer(s, at) for s in node.shape)
            if value.shape == wanted or any(n not in (1, k) for n, k in zip(value.shape, wanted, strict=True)):
                return value  # what was read from a mended line may have another shape than that line says
            return np.broadcast_to(value, wanted).copy()
        except UndefinedRead as error:
            raise _Broken(
                Diagnostic("B001", str(error), self.report.file, p.line, p.column, source=source)
            ) from None
        except (EvaluationError, ValueError, ArithmeticError, KeyError, TypeError) as error:
            raise _Broken(
                Diagnostic("C003", f"it has no value: {error}", self.report.file, p.line, p.column, source=source)
            ) from None

    def _edit(self, k: int, statement: ast.stmt) -> Node | Diagnostic:
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

    def _schedule(self, sizes: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, int]]]:
        """Yield every line with the indices of its loops, in the order in which they run."""
        numbers = {id(e): k for k, e in enumerate(self.entries)}
        counter = Evaluator(self.model.program, {}, sizes)

        def body(order: Sequence[Any], at: dict[str, int]) -> Iterator[tuple[int, dict[str, int]]]:
            for one in order:
                if isinstance(one, Entry):
                    yield numbers[id(one)], at
                else:
                    head, inner = one
                    steps = range(counter.integer(head.lo, at), counter.integer(head.hi, at) + 1)
                    for step in reversed(steps) if head.down else steps:
                        yield from body(inner, {**at, head.symbol.name: step})

        yield from body(self.order, {})

    def _where(self, k: int, at: Mapping[str, int], machine: Evaluator) -> Where:
        entry = self.entries[k]
        counts = tuple(at[h.symbol.name] for h in entry.heads)
        written = self._lines[k].targets[0]
        if not entry.subscripts:
            return k, counts, written
        inside = ", ".join(str(machine.integer(i, at)) for i in entry.subscripts)
        return k, counts, f"{written.rpartition('[')[0]}[{inside}]"

    def _members(self, draw: int) -> set[tuple[str, tuple[int, ...]]]:
        """Return the members of families that lines assign at a draw."""
        sizes = self.truth.draws[draw].sizes
        counter = Evaluator(self.model.program, {}, sizes)
        return {
            (self.entries[k].variable, tuple(counter.integer(i, at) for i in self.entries[k].subscripts))
            for k, at in self._schedule(sizes) if self.entries[k].subscripts
        }


class _Broken(Exception):
    """Thrown where a line has no value."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class _Turned(Exception):
    """Thrown where a family lies transposed, beside how its name says that it lies."""

    def __init__(self, variable: Var) -> None:
        super().__init__(variable.name)
        self.variable = variable


class LineEvaluator(Evaluator):
    """The reference evaluator, one line at a time: it knows the network's values and what the lines assigned."""

    def __init__(self, mine: Mine, draw: int, results: Mapping[str, Any] | None = None) -> None:
        known = mine.truth.draws[draw]
        super().__init__(mine.model.program.replace(variables=mine.scope.variables), {}, known.sizes)
        self.assigned = mine._assigned[draw]
        self._numbers = mine.numbers[draw]  # what sizes and indices come to, which no run changes
        if results is not None:
            self.results = {n: dict(v) if isinstance(v, dict) else v for n, v in results.items()}
            return
        mine_alone = {e.variable for e in mine.entries}
        for name, value in known.results.items():
            if name in mine_alone and name not in mine.names.variables:
                continue
            self.results[name] = dict(value) if isinstance(value, Mapping) else value
        for name, of in mine.given.items():
            value = known.gradients[of]
            self.results[name] = dict(value) if isinstance(value, Mapping) else value

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

    def keep(self, entry: Entry, where: Where, value: Array, at: Mapping[str, int]) -> None:
        """Remember what a line assigned."""
        if entry.subscripts:
            inside = tuple(self.integer(i, at) for i in entry.subscripts)
            family = self.results.setdefault(entry.variable, {})
            family[inside] = value
        elif entry.heads:
            self.results.setdefault(entry.variable, {})[where[1]] = value
        elif entry.variable:
            self.results[entry.variable] = value


def _is_expression(text: str) -> bool:
    try:
        ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _nowhere() -> Statement:
    return Statement("", 1, 1)


def _placed(statement: Statement) -> ast.stmt:
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


def scope_of(program: Program, truth: Truth, report: Report) -> Scope:
    """Return the scope in which the lines of a work are read: all that the network knows."""
    scope = Scope(report)
    shapes = [s for v in truth.variables.values() for s in v.shape]
    inside = size_atoms(shapes)
    defined = dict(program.definitions)
    for symbol in program.sizes:
        value = defined.get(symbol)
        scope.sizes[symbol.name] = symbol if value is None or symbol in inside else value
    for shape in (*shapes, *defined.values()):
        for member in shape.atoms(SizeMember):
            scope.size_families[member.name] = len(member.indices)
    for symbol in {a for s in (*shapes, *defined.values()) for a in s.free_symbols}:
        bound = {i for v in truth.variables.values() for i in v.indices}
        if symbol not in bound and symbol.name not in scope.size_families:
            scope.sizes.setdefault(symbol.name, symbol)
    scope.bounds = dict(program.assumptions)
    scope.samples = program.samples
    scope.definitions = list(program.definitions)
    scope.variables = dict(truth.variables)
    scope.functions = dict(program.functions)
    for name, function in program.functions.items():
        if function.is_free and len(function.orders) == 1:
            slope = Function(name, function.parameters, (1,), function.args[3])
            for spelling in PRIMES:
                word = spelling.format(f=name)
                if word not in scope.variables and word not in scope.functions:
                    scope.functions[word] = slope
    return scope


__all__ = ["Mine", "Quantity", "read_mine", "scope_of"]
