"""Reading a declaration: text in, a checked ``Program`` out, or every error of the text at once.

The text is split into statements, each is parsed by itself, declarations are read first and equations in order.
Nothing of the text is executed.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sympy as sp

from symbp.expr import Node, Ref, Zero, as_node, broadcast, refs, same_size, shape_text
from symbp.language.arithmetic import is_mask
from symbp.language.declarations import Declarations
from symbp.language.diagnostics import DeclarationError, Diagnostic, Mistake, Report, Span, Stop
from symbp.language.expressions import Expressions
from symbp.language.files import file_text
from symbp.language.families import PieceShape, pattern
from symbp.language.lines import MOST_CHARACTERS, split_lines, statements
from symbp.language.operations import parse_signature
from symbp.language.forms import Assign, For, Parsed, Unpack, place, source
from symbp.language.parsing import Parser
from symbp.language.scalars import Value
from symbp.language.scope import Axes, Head, Private, Scope
from symbp.language.writing import EquationWriter, LayerEntry, LeftSide
from symbp.layers import LAYERS
from symbp.program import Equation, Loop, Problem, Program, ProgramError, Statement, Var, check, fresh_name, index_box

LAYER_TABLE: dict[str, LayerEntry] = {
    name: LayerEntry(name, parse_signature(entry.signature), entry.write, entry.plain, entry.results)
    for name, entry in LAYERS.items()
}
"""The layers with their parsed signatures."""


def read(text_or_path: str | Path, filename: str | None = None) -> Program:
    """Return the program that a declaration states.

    A ``Path`` is read as a file.  A ``str`` is the text of a declaration, unless it is a single line that ends in
    ``.net`` or names an existing file.  Raises ``DeclarationError`` with every error of the declaration.
    """
    if isinstance(text_or_path, Path):
        return read_file(text_or_path, filename)
    single = "\n" not in text_or_path and len(text_or_path) < 1000 and text_or_path.strip()
    if single and (text_or_path.endswith(".net") or _is_file(text_or_path)):
        return read_file(Path(text_or_path), filename)
    return read_text(text_or_path, filename or "<text>")


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def read_file(path: str | Path, filename: str | None = None) -> Program:
    """Return the program that a file declares; raise ``DeclarationError`` if it cannot be read."""
    path = Path(path)
    shown = filename or str(path)
    text = file_text(path, shown)
    name = path.stem if path.stem.isidentifier() else "network"
    return read_text(text, shown, name=name)


def read_text(text: str, filename: str = "<text>", name: str = "network") -> Program:
    """Return the program that a text declares; raise ``DeclarationError`` with every error of the text."""
    if len(text) > MOST_CHARACTERS:
        raise DeclarationError(
            [Diagnostic("L001", f"a declaration of more than {MOST_CHARACTERS} characters", filename, 1, 1)]
        )
    report = Report(filename, split_lines(text))
    with warnings.catch_warnings():
        # Python's parser warns about `2if`, "\d" and the like; here they are errors.
        warnings.simplefilter("error")
        parsed = Parser(report).all(statements(report))
    return Reader(report, parsed, name).program()


@dataclass(frozen=True)
class Written:
    """A statement of the program in the making; ``real`` is False for a stand-in of an equation with an error."""

    statement: Equation
    parsed: Parsed
    real: bool


class Reader:
    """Makes a ``Program`` of parsed statements."""

    def __init__(self, report: Report, parsed: Sequence[Parsed], name: str) -> None:
        self.report, self.parsed, self.name = report, parsed, name
        self.scope = Scope(report)
        parameters = {n: entry.parameters for n, entry in LAYER_TABLE.items()}
        self.declarations = Declarations(self.scope, parsed, parameters)
        self.written: dict[int, Written] = {}

    def program(self) -> Program:
        """Return the checked program; raise ``DeclarationError`` with everything found."""
        self.declarations.read()
        body = self.block(self.parsed, ())
        program = self.assemble(body)
        self.finish(program)
        self.report.raise_if_any()
        return program

    # -- equations ---------------------------------------------------------------------------------------
    def block(self, parsed: Sequence[Parsed], loops: tuple[Head, ...]) -> tuple[Statement, ...]:
        """Read the equations of a block, in order."""
        out: list[Statement] = []
        for p in parsed:
            if isinstance(p, For):
                head = self.declarations.heads.get(id(p))
                if head is None:
                    continue
                inner = self.block(p.body, (*loops, head))
                if inner:
                    out.append(Loop(head.symbol, head.lo, head.hi, inner, head.down, p.statement.line))
            elif isinstance(p, (Assign, Unpack)):
                parts = p.parts if isinstance(p, Unpack) else (p,)
                self.scope.loops = loops
                try:
                    out += self.assignment(p, parts, loops)
                except Stop:
                    out += [s for part in parts for s in self.stand_in(part, loops)]
                except RecursionError:
                    self.report.add(
                        "L002", "the expression is nested too deep", p.statement.span(), "give a part of it a name"
                    )
                    out += [s for part in parts for s in self.stand_in(part, loops)]
                for part in parts:
                    self.scope.later.pop(part.name, None)
        return tuple(out)

    def assignment(self, p: Assign | Unpack, parts: Sequence[Assign], loops: tuple[Head, ...]) -> list[Statement]:
        """Read one equation, with those that its layers write before it; ``parts`` are its left sides."""
        scope = self.scope
        whole = p.value
        if whole is None:
            return []
        if any(part.name in scope.poisoned for part in parts):
            # What is wrong with the name was said; the right side may have errors of its own.
            Expressions(scope, p.statement, LAYER_TABLE, _unwritten).value(whole)
            raise Stop
        reader = Expressions(scope, p.statement)
        failed = False
        left: list[LeftSide] = []
        for part in parts:
            try:
                left.append(self.left_side(part, reader, loops))
            except Stop:
                failed = True
                left.append(LeftSide(part, ()))
        written: dict[int, Equation] = {}

        def assign(k: int, value: Node) -> Equation:
            if failed:
                raise Stop
            written[k] = self.equation(left[k], reader, whole, value, loops)
            return written[k]

        writer = EquationWriter(scope, left, whole, loops, assign)
        reader = Expressions(scope, p.statement, LAYER_TABLE, writer.write)
        read: Value | None = None
        try:
            read = reader.value(whole)
        except Stop:
            failed = True
        if failed or read is None:
            raise Stop
        stated = left[0].stated
        value = as_node(read)
        if stated is not None and value.is_scalar_shape and not isinstance(read, Node):
            value = broadcast(read, *stated)
        values = writer.results or (value,)
        if len(values) != len(parts):
            raise reader.fail(
                whole,
                "O014",
                f"one result for {len(parts)} names",
                "only a layer has several results, for example `H[t], C[t] = lstm(X[t], H[t-1], C[t-1])`",
            )
        statements = [*writer.equations, *(assign(k, v) for k, v in enumerate(values) if k not in written)]
        scope.layers += writer.uses(written[0].target, values[0])
        return statements

    def left_side(self, p: Assign, reader: Expressions, loops: tuple[Head, ...]) -> LeftSide:
        """Read a left side: the stated shape, the subscripts, whether it may be assigned."""
        stated = reader.shapes.shape(p.shape, p.target, f"{p.name}: ") if p.shape is not None else None
        subscripts = tuple(reader.shapes.index(s) for s in p.subscripts)
        self.may_assign(p, reader, subscripts, loops)
        return LeftSide(p, subscripts, stated)

    def equation(
        self, left: LeftSide, reader: Expressions, at: ast.expr, value: Node, loops: tuple[Head, ...]
    ) -> Equation:
        """Return the equation that gives a left side its value, if the shapes agree."""
        scope, p, stated = self.scope, left.p, left.stated
        if stated is not None and not (same_size(stated[0], value.rows) and same_size(stated[1], value.cols)):
            raise reader.fail(
                at,
                "S010",
                f"{p.name} is stated as {shape_text(stated)} but its right side is {shape_text(value.shape)}",
            )
        if p.name == "loss" and not value.is_scalar_shape:
            raise reader.fail(
                at,
                "S026",
                f"the loss is 1 x 1, but its right side is {shape_text(value.shape)}",
                "add up the entries: `loss = sum(...)`",
            )
        target = self.target(p, reader, left.subscripts, stated or value.shape, loops)
        if not (same_size(target.rows, value.rows) and same_size(target.cols, value.cols)):
            var = scope.variables[target.name]
            inside = ", ".join(map(str, var.indices))
            raise reader.fail(
                at,
                "S010",
                f"{target.label} is {shape_text(target.shape)} but its right side is {shape_text(value.shape)}",
                f"by its other pieces, {target.name}[{inside}] is {shape_text(var.shape)}",
                shape_text(value.shape),
            )
        if is_mask(value, scope.is_mask):
            scope.masks.add(target.name)
        scope.note_maps(target.name, value)
        return self.keep(p, target, value, True)

    def keep(self, p: Assign, target: Ref, value: Node, real: bool) -> Equation:
        """Return the equation, remembering from where it comes."""
        equation = Equation(target, value, p.statement.line)
        self.written[id(equation)] = Written(equation, p, real)
        return equation

    def stand_in(self, p: Assign, loops: tuple[Head, ...]) -> list[Statement]:
        """Return zeros for an equation with an error if its shape is known; else nobody may read the name."""
        scope = self.scope
        reader = Expressions(Scope(Report("", ()), scope.sizes, scope.size_families, loops=loops), p.statement)
        try:
            subscripts = tuple(reader.shapes.index(s) for s in p.subscripts)
            if p.name not in scope.poisoned and p.subscripts and p.name in scope.variables:
                target = scope.member(p.name, subscripts)
                return [self.keep(p, target, Zero(*target.shape), False)]
            if p.shape is not None and p.name not in scope.poisoned:
                shape = reader.shapes.shape(p.shape, p.target)
                target = self.target(p, reader, subscripts, shape, loops)
                return [self.keep(p, target, Zero(*shape), False)]
        except (Stop, ValueError):
            pass
        scope.poisoned.add(p.name)
        return []

    def may_assign(
        self, p: Assign, reader: Expressions, subscripts: tuple[sp.Expr, ...], loops: tuple[Head, ...]
    ) -> None:
        """Refuse a second value, an equation for a declared name, an index that is lacking."""
        scope, name = self.scope, p.name
        at = p.target or p.value
        assert at is not None
        if name in scope.sizes or name in scope.size_families:
            raise reader.fail(at, "N011", f"{name} is a size, it has no equation", "sizes are known from the data")
        if name in scope.functions:
            raise reader.fail(at, "N002", f"{name} is a function of this file")
        if name == "loss" and loops:
            raise reader.fail(
                at,
                "B003",
                f"the loss is assigned once for every {loops[-1].name}",
                f"name the terms `E[{loops[-1].name}] = ...`; behind the loop write "
                f"`loss = sum(E[{loops[-1].name}] for {loops[-1].name} in range(...))`",
            )
        var = scope.variables.get(name)
        if not p.subscripts and not loops and var is not None and name not in scope.private:
            how = "declared" if var.declared else "assigned"
            raise reader.fail(at, "B002", f"{name} is {how} already", "a name has one equation: choose another name")
        if not p.subscripts and loops and var is not None and name not in scope.private:
            raise reader.fail(
                at, "B002", f"{name} is {'declared' if var.declared else 'assigned'} already, outside of the loop"
            )
        if not p.subscripts and loops and scope.private_here(name) is not None:
            raise reader.fail(
                at,
                "B002",
                f"{name} is assigned already in this iteration",
                "a name has one equation: choose another name",
            )
        if subscripts and index_box(subscripts, {h.symbol: (h.lo, h.hi) for h in loops}) is None:
            raise reader.fail(
                at,
                "B004",
                f"{source(p.statement, at)}: an index must be a loop index plus or minus a constant, or free of loop "
                "indices",
            )
        used = {s for i in subscripts for s in i.free_symbols}
        lacking = [h.name for h in loops if p.subscripts and h.symbol not in used]
        if lacking:
            inside = ", ".join([*map(str, subscripts), *lacking])
            raise reader.fail(
                at,
                "B003",
                f"{name} is assigned once for every {lacking[0]}",
                f"write `{name}[{inside}] = ...`, or move it out of the loop",
            )

    def target(
        self,
        p: Assign,
        reader: Expressions,
        subscripts: tuple[sp.Expr, ...],
        shape: tuple[sp.Expr, sp.Expr],
        loops: tuple[Head, ...],
    ) -> Ref:
        """Return the left side, making the variable if it is new."""
        scope, name = self.scope, p.name
        if p.subscripts:
            if name not in scope.variables:
                formals = self.declarations.names[name].formals
                piece = PieceShape(subscripts, shape)
                try:
                    rows, cols = pattern(name, [(piece, [h.symbol for h in loops])], formals)
                except Mistake as mistake:
                    self.report.add_mistake(mistake, place(p.statement, p.target))
                    raise Stop from None
                scope.define(Var(name, rows, cols, formals))
            return scope.member(name, subscripts)
        if loops:
            return private_name(scope, name, shape, loops)
        scope.define(Var(name, *shape))
        return scope.member(name, ())

    # -- the whole -----------------------------------------------------------------------------------------
    def assemble(self, body: tuple[Statement, ...]) -> Program:
        """Return the program of what was read."""
        scope = self.scope
        declared = {n: v for n, v in scope.variables.items() if v.declared}
        computed = {n: v for n, v in scope.variables.items() if not v.declared}
        samples = scope.samples if scope.samples is not None else Axes(declared.values()).samples()
        return Program(
            {**declared, **computed},
            body,
            outputs_of({**declared, **computed}, body),
            samples,
            tuple(scope.bounds.items()),
            (*self.declarations.definitions, *scope.definitions),
            dict(scope.functions),
            self.name,
            tuple(scope.running),
            tuple(scope.layers),
        )

    def finish(self, program: Program) -> None:
        """Check the program and translate what is wrong with it."""
        if not self.report.found and not program.body:
            self.report.add(
                "P016", "nothing is computed", Span(1, 1), "write an equation, for example `loss = sum(X**2)`"
            )
            return
        try:
            check(program)
        except ProgramError as error:
            for problem in error.problems:
                self.problem(problem)

    def problem(self, problem: Problem) -> None:
        """Turn a problem of the program into a diagnostic in its place."""
        written = self.written.get(id(problem.equation)) if problem.equation is not None else None
        if written is not None and not written.real:
            return
        if problem.equation is None:
            self.report.add(problem.code, problem.message, Span(1, 1), problem.help)
            return
        line = problem.equation.line or 1
        span = self.scope.positions.get((line, problem.read)) if problem.read is not None else None
        if span is None:
            span = place(written.parsed.statement, written.parsed.target) if written is not None else Span(line, 1)
        help = problem.help or _HELP.get(problem.code, "")
        self.report.add(problem.code, problem.message, span, help)


def _unwritten(*_: object) -> Value:
    """Write nothing: the left side has an error that was reported."""
    raise Stop


_HELP = {
    "B001": "a member is read after it is defined; declare the first members, for example `H[0]: input[h, m]`",
    "B002": "each member has one equation",
}


def private_name(scope: Scope, name: str, shape: tuple[sp.Expr, sp.Expr], loops: tuple[Head, ...]) -> Ref:
    """Make a variable that is private to the iteration of the loops around, and return this iteration's member."""
    symbols = tuple(h.symbol for h in loops)
    known = scope.variables.keys() | scope.later.keys() | scope.sizes.keys()
    chosen = name if name not in scope.variables else fresh_name(name, known)
    scope.define(Var(chosen, *shape, indices=symbols))
    scope.private.setdefault(name, []).append(Private(chosen, loops))
    return scope.member(chosen, symbols)


def outputs_of(variables: Mapping[str, Var], body: Sequence[Statement]) -> tuple[str, ...]:
    """Return the results of a program: the loss, and every assigned name that no equation reads."""
    equations = _equations(body)
    read = {ref.name for equation in equations for ref in refs(equation.value)}
    assigned = {equation.target.name for equation in equations}
    outputs = [name for name in variables if name in assigned and name not in read and name != "loss"]
    return (*(["loss"] if "loss" in assigned else []), *outputs)


def _equations(body: Sequence[Statement]) -> list[Equation]:
    found: list[Equation] = []
    for statement in body:
        found += _equations(statement.body) if isinstance(statement, Loop) else [statement]
    return found
