"""What a file declares: its names, sizes, loops, bounds, variables and families; equations come afterwards.

Declarations hold before any equation, wherever they stand, so everything here looks at the whole file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import sympy as sp

from symbp.expr import Box, Function, affine, expanded, index
from symbp.expr.sizes import size
from symbp.language.diagnostics import Mistake, Stop, did_you_mean
from symbp.language.families import PieceShape, pattern
from symbp.language.laws import Law
from symbp.language.names import check_name, derived_from
from symbp.language.operations import OPERATIONS, Parameter
from symbp.language.parsing import (
    FACTS, Assert, Assign, Broken, Declare, Define, For, Free, Parsed, Samples, place, source,
)
from symbp.language.scalars import number
from symbp.language.scope import Head, Scope
from symbp.language.shapes import Shapes, size_names
from symbp.program import Kind, Var, index_box

_IMPLIED = {"one_hot_columns": "columns_sum_to_one", "one_hot_rows": "rows_sum_to_one"}
_EXCLUSIVE = (("binary", "signs"), ("mask", "signs"), ("one_hot_columns", "signs"), ("one_hot_rows", "signs"), ("index", "signs"))
MOST_EQUATIONS = 5_000


@dataclass
class Named:
    """What the file says about one name, before anything is read in detail."""

    declared: list[Declare] = field(default_factory=list)
    assigned: list[Assign] = field(default_factory=list)
    formals: tuple[sp.Symbol, ...] = ()


class Declarations:
    """Fills a ``Scope`` from the parsed statements of a file."""

    def __init__(self, scope: Scope, parsed: Sequence[Parsed], layers: dict[str, tuple[Parameter, ...]]) -> None:
        self.scope, self.parsed, self.layers = scope, parsed, layers
        self.names: dict[str, Named] = {}
        self.heads: dict[int, Head | None] = {}
        self.definitions: list[tuple[sp.Expr, sp.Expr]] = []
        self.samples_stated = False

    def read(self) -> None:
        """Read everything but the equations."""
        self.collect_names()
        self.collect_sizes()
        self.read_asserts()
        self.read_loops(self.parsed, ())
        self.read_functions()
        self.read_declarations()
        self.read_stated_shapes()

    # -- walking -----------------------------------------------------------------------------------------
    def walk(self, parsed: Sequence[Parsed] | None = None, loops: tuple[str, ...] = ()) -> Iterator[tuple[Parsed, tuple[str, ...]]]:
        """Yield every statement with the indices of the loops around it."""
        for p in self.parsed if parsed is None else parsed:
            yield p, loops
            if isinstance(p, For):
                yield from self.walk(p.body, (*loops, p.name))
            elif isinstance(p, Broken):
                self.scope.poisoned |= {q.name for q, _ in self.walk(p.body) if q.name}

    def error(self, code: str, message: str, p: Parsed, node: ast.AST | None = None, help: str = "") -> None:
        """Report an error at a node of a statement."""
        self.scope.report.add(code, message, place(p.statement, node), help)

    def fine(self, p: Parsed, name: str, node: ast.AST | None) -> bool:
        """Tell whether a name may be used; report why not."""
        try:
            check_name(name, OPERATIONS.keys() | self.layers.keys() | {"loss"} - {name if name == "loss" else ""})
        except Mistake as mistake:
            self.scope.report.add_mistake(mistake, place(p.statement, node))
            return False
        return True

    # -- names -------------------------------------------------------------------------------------------
    def collect_names(self) -> None:
        """Collect every name that is declared or assigned, with its formal indices."""
        scope = self.scope
        formals: dict[str, list[str | None]] = {}
        equations = 0
        for p, loops in self.walk():
            equations += isinstance(p, Assign)
            if equations > MOST_EQUATIONS:
                self.error("L004", f"more than {MOST_EQUATIONS} equations", p, None, "families and loops say more with less")
                scope.report.raise_if_any()
            if isinstance(p, Broken) and p.name:
                scope.poisoned.add(p.name)
            if isinstance(p, For):
                self.fine(p, p.name, p.target)
            if isinstance(p, (Define, Free)):
                self.fine(p, p.name, p.target)
            if not isinstance(p, (Declare, Assign)):
                continue
            if p.name not in self.names and not self.fine(p, p.name, p.target):
                scope.poisoned.add(p.name)
            known = self.names.setdefault(p.name, Named())
            if isinstance(p, Declare):
                known.declared.append(p)
                scope.declared.add(p.name)
                if p.name == "loss":
                    self.error("N005", "loss is the name of a result", p, p.target, "write `loss = ...`")
            else:
                known.assigned.append(p)
                scope.later.setdefault(p.name, p.statement.line)
            mine = formals.setdefault(p.name, [None] * len(p.subscripts))
            if len(mine) != len(p.subscripts):
                self.error("B005", f"{p.name} has {len(mine)} indices elsewhere, not {len(p.subscripts)}", p, p.target)
                scope.poisoned.add(p.name)
                continue
            for k, subscript in enumerate(p.subscripts):
                inside = [n.id for n in ast.walk(subscript) if isinstance(n, ast.Name) and n.id in loops]
                if mine[k] is None and inside and inside[0] not in mine:
                    mine[k] = inside[0]
        for name, mine in formals.items():
            spare = iter(x for x in "ijklpqrsuvw" if x not in mine)
            self.names[name].formals = tuple(index(given or next(spare)) for given in mine)
            if mine:
                scope.families[name] = ", ".join(map(str, self.names[name].formals))
        for name in self.names:
            base = derived_from(name)
            if base in self.names:
                first = [*self.names[name].declared, *self.names[name].assigned][0]
                self.error(
                    "N008", f"`{name}` is what the {'tangent' if name[0] == 'd' else 'message'} of {base} is called", first,
                    first.target, "choose another beginning",
                )

    # -- sizes -------------------------------------------------------------------------------------------
    def collect_sizes(self) -> None:
        """Sizes are the names that occur in shapes and bounds."""
        for p, loops in self.walk():
            written: list[ast.AST] = []
            if isinstance(p, Declare):
                written += [*(p.shape or ()), *p.subscripts]
                written += [f.slice for f in p.facts if isinstance(f, ast.Subscript)]
                written += [a for f in p.facts if isinstance(f, ast.Call) for a in f.args]
            elif isinstance(p, Assign):
                written += [*(p.shape or ()), *p.subscripts]
                written += self.sizes_of_layers(p.value)
            elif isinstance(p, For):
                written.append(p.bounds)
            elif isinstance(p, Assert) and any(isinstance(n, ast.Eq) for n in ast.walk(p.test)):
                written.append(p.test)
            for node in written:
                for name, count, at in size_names(node, frozenset(loops)):
                    self.add_size(p, name, count, at)
            if isinstance(p, Assign) and p.value is not None:
                self.sizes_of_sums(p, loops)
        for name in self.scope.sizes:
            if derived_from(name) in self.names:
                self.scope.report.add("N008", f"the size `{name}` is what a derived variable is called", place(self.parsed[0].statement, None))

    def sizes_of_layers(self, value: ast.expr | None) -> Iterator[ast.AST]:
        """Yield the sizes that are written as arguments of layers."""
        if value is None:
            return
        for node in ast.walk(value):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self.layers:
                parameters = self.layers[node.func.id]
                for parameter, argument in zip(parameters, node.args, strict=False):
                    if parameter.kind == "size":
                        yield argument
                for keyword in node.keywords:
                    if any(p.name == keyword.arg and p.kind == "size" for p in parameters):
                        yield keyword.value

    def sizes_of_sums(self, p: Assign, loops: tuple[str, ...]) -> None:
        """The bounds of sums over an index name sizes too."""
        assert p.value is not None
        for node in ast.walk(p.value):
            if isinstance(node, (ast.GeneratorExp, ast.ListComp)):
                bound = {g.target.id for g in node.generators if isinstance(g.target, ast.Name)}
                for generator in node.generators:
                    for name, count, at in size_names(generator.iter, frozenset(loops) | bound):
                        self.add_size(p, name, count, at)

    def add_size(self, p: Parsed, name: str, count: int, at: ast.AST) -> None:
        """Note one size; a name is a size with or without an index, never both, and no variable."""
        scope = self.scope
        if name in ("range", "reversed") or name in scope.poisoned:
            return
        known = self.names.get(name)
        if known is not None and (known.declared or any(a.subscripts for a in known.assigned)):
            return  # a variable in a shape is reported where the shape is read
        if name in scope.sizes or name in scope.size_families:
            before = scope.size_families.get(name, 0)
            if before != count:
                self.error(
                    "N010", f"the size {name} has {before or 'no'} {'index' if before < 2 else 'indices'} elsewhere", p, at,
                    f"write {name} or {name}[l], not both",
                )
            return
        if not self.fine(p, name, at):
            scope.poisoned.add(name)
            return
        if count:
            scope.size_families[name] = count
        else:
            scope.sizes[name] = size(name)

    # -- bounds of sizes, samples ----------------------------------------------------------------------------
    def read_asserts(self) -> None:
        """Read ``assert T >= 3``, ``assert d == k*heads`` and ``samples: m``."""
        for p, _ in self.walk():
            try:
                if isinstance(p, Assert):
                    self.read_assert(p)
                elif isinstance(p, Samples):
                    if self.samples_stated:
                        self.error("N002", "the samples are stated twice", p)
                    self.samples_stated = True
                    value = Shapes(self.scope, p.statement).size(p.size)
                    if not value.is_Symbol:
                        self.error("S029", "samples are counted by a size with a name", p, p.size, "write `samples: m`")
                    else:
                        self.scope.samples = value
            except Stop:
                continue

    def read_assert(self, p: Assert) -> None:
        """Read one statement about sizes."""
        test = p.test
        shapes = Shapes(self.scope, p.statement)
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            for part in test.values:
                self.read_assert(Assert(p.statement, "", (), None, part))
            return
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            self.error("F003", "an assertion compares sizes", p, test, "write `assert T >= 3` or `assert d == k*heads`")
            return
        left, right = shapes.scalar(test.left, False), shapes.scalar(test.comparators[0], False)
        relation = type(test.ops[0])
        if relation is ast.Eq:
            self.define_size(p, left, right)
            return
        gap = {ast.GtE: left - right, ast.Gt: left - right - 1, ast.LtE: right - left, ast.Lt: right - left - 1}.get(relation)
        form = None if gap is None else affine(expanded(gap))
        if form is None or len(form[0]) != 1 or form[0][0][1] != 1:
            self.error(
                "F003", "a bound says that one size is at least a number", p, test, "write `assert T >= 3`, with an integer"
            )
            return
        symbol, least_value = form[0][0][0], -form[1]
        self.scope.bounds[symbol] = max(self.scope.bounds.get(symbol, 1), least_value)

    def define_size(self, p: Assert, left: sp.Expr, right: sp.Expr) -> None:
        """Take ``d == k*heads`` as the definition of d: it is replaced wherever it stands."""
        if not left.is_Symbol:
            left, right = right, left
        if not left.is_Symbol or right.has(left):
            self.error("F003", "an equation of sizes has one size on one side", p, p.test, "write `assert d == k*heads`")
            return
        name = left.name  # type: ignore[attr-defined]
        if self.scope.sizes.get(name) != left:
            self.error("F003", f"{name} is defined twice", p, p.test)
            return
        for other, value in list(self.scope.sizes.items()):
            self.scope.sizes[other] = expanded(value.xreplace({left: right}))
        self.definitions = [(a, expanded(b.xreplace({left: right}))) for a, b in self.definitions]
        self.definitions.append((left, right))

    # -- loops and functions -----------------------------------------------------------------------------------
    def read_loops(self, parsed: Sequence[Parsed], around: tuple[Head, ...]) -> None:
        """Read the range of every loop."""
        for p in parsed:
            if not isinstance(p, For):
                continue
            self.scope.loops = around
            try:
                head = Shapes(self.scope, p.statement).range(p.bounds, p.name, p.statement.line, len(self.heads))
            except Stop:
                self.heads[id(p)] = None
                self.scope.poisoned |= {q.name for q, _ in self.walk(p.body) if isinstance(q, (Declare, Assign))}
            else:
                self.heads[id(p)] = head
                self.read_loops(p.body, (*around, head))
        self.scope.loops = ()

    def read_functions(self) -> None:
        """Read ``def f(x): return ...`` and ``f: elementwise``, in order."""
        scope = self.scope
        for p, loops in self.walk():
            if not isinstance(p, (Define, Free)):
                continue
            if loops:
                self.error("P014", f"{p.name} is defined in a loop", p, None, "define functions outside of loops")
            if p.name in scope.functions or p.name in self.names:
                self.error("N002", f"{p.name} is defined twice", p, p.target)
                continue
            if isinstance(p, Free):
                scope.functions[p.name] = Function(p.name, (), (0,), sp.core.symbol.Str("free"))
                continue
            try:
                for argument in p.arguments:
                    check_name(argument)
                scope.functions[p.name] = Law(scope, p).function()
            except Mistake as mistake:
                scope.report.add_mistake(mistake, place(p.statement, None))
                scope.poisoned.add(p.name)
            except Stop:
                scope.poisoned.add(p.name)

    # -- variables ---------------------------------------------------------------------------------------------
    def read_declarations(self) -> None:
        """Read all declarations; a family is made of all its pieces."""
        pieces: dict[str, list[tuple[Declare, tuple[Head, ...], Piece]]] = {}
        self.declarations_in(self.parsed, (), pieces)
        for name, mine in pieces.items():
            if name in self.scope.poisoned:
                continue
            try:
                self.scope.define(self.variable(name, mine))
            except Mistake as mistake:
                first = mine[0][0]
                self.scope.report.add_mistake(mistake, place(first.statement, first.target))
                self.scope.poisoned.add(name)

    def declarations_in(
        self, parsed: Sequence[Parsed], loops: tuple[Head, ...], pieces: dict[str, list[tuple[Declare, tuple[Head, ...], Piece]]]
    ) -> None:
        """Read the declarations of a block."""
        for p in parsed:
            if isinstance(p, For):
                head = self.heads[id(p)] if id(p) in self.heads else None
                if head is not None:
                    self.declarations_in(p.body, (*loops, head), pieces)
            elif isinstance(p, Declare):
                self.scope.loops = loops
                try:
                    pieces.setdefault(p.name, []).append((p, loops, self.piece(p, loops)))
                except Stop:
                    self.scope.poisoned.add(p.name)
        self.scope.loops = ()

    def piece(self, p: Declare, loops: tuple[Head, ...]) -> Piece:
        """Read one declaration."""
        shapes = Shapes(self.scope, p.statement)
        failed = False
        shape, facts, subscripts, value = (sp.S.One, sp.S.One), (frozenset[str](), None), tuple[sp.Expr, ...](), None
        names_sizes = len(p.subscripts) == 2 and all(
            isinstance(s, ast.Name) and s.id in self.scope.sizes for s in p.subscripts
        )
        if p.shape is None and names_sizes:
            raise shapes.fail(
                p.target or p.subscripts[0], "P011", "the shape stands behind the kind",
                f"write `{p.name}: {p.kind}[{', '.join(source(p.statement, s) for s in p.subscripts)}]`",
            )
        try:
            if p.shape is not None:
                shape = shapes.shape(p.shape, _annotation(p), f"{source(p.statement, p.target) if p.target else p.name}: {p.kind}")
        except Stop:
            failed = True
        try:
            facts = self.facts(p, shapes)
        except Stop:
            failed = True
        try:
            subscripts = tuple(shapes.index(s) for s in p.subscripts)
        except Stop:
            failed = True
        try:
            if p.value is not None:
                value, shape = self.values(p, shapes, shape)
        except Stop:
            failed = True
        if failed:
            raise Stop
        used = {s for i in subscripts for s in i.free_symbols}
        lacking = [h.name for h in loops if h.symbol not in used]
        if lacking:
            inside = ", ".join([*(str(s) for s in subscripts), *lacking])
            raise shapes.fail(
                p.target or p.shape[0] if p.shape else p.target, "B003",  # type: ignore[arg-type]
                f"{p.name} is declared once for every {lacking[0]}", f"write `{p.name}[{inside}]: {p.kind}...`, or declare it outside of the loop",
            )
        if "symmetric" in facts[0] and expanded(shape[0] - shape[1]) != 0:
            raise shapes.fail(_annotation(p), "F002", f"a symmetric matrix is square, not {shape[0]} x {shape[1]}")
        box = None
        if subscripts:
            box = index_box(subscripts, {h.symbol: (h.lo, h.hi) for h in loops})
            if box is None:
                raise shapes.fail(
                    p.target or p.subscripts[0], "B004", "an index must be a loop index plus or minus a constant, or free of loop indices"
                )
        return Piece(subscripts, shape, facts[0], facts[1], box, value)

    def facts(self, p: Declare, shapes: Shapes) -> tuple[frozenset[str], sp.Expr | None]:
        """Read the facts of a declaration and the size of the fact ``index``."""
        found: list[str] = []
        below: sp.Expr | None = None
        for node in p.facts:
            base = node.value if isinstance(node, ast.Subscript) else node.func if isinstance(node, ast.Call) else node
            name = base.id if isinstance(base, ast.Name) else ""
            if name not in FACTS:
                text = source(p.statement, node)
                raise shapes.fail(node, "F001", f"`{text}` is no fact", did_you_mean(text, FACTS) or f"facts are {', '.join(FACTS)}")
            if name == "index":
                inside = [node.slice] if isinstance(node, ast.Subscript) else node.args if isinstance(node, ast.Call) else []
                if len(inside) != 1:
                    raise shapes.fail(node, "F001", "the fact index has a size", "write `& index[v]`: entries from 0 to v-1")
                below = shapes.size(inside[0])
            elif base is not node:
                raise shapes.fail(node, "F001", f"the fact {name} stands alone", f"write `& {name}`")
            found.append(name)
        for a, b in _EXCLUSIVE:
            if a in found and b in found:
                raise shapes.fail(p.facts[0], "F002", f"the facts {a} and {b} exclude each other")
        return frozenset(found) | {_IMPLIED[f] for f in found if f in _IMPLIED}, below

    def values(
        self, p: Declare, shapes: Shapes, shape: tuple[sp.Expr, sp.Expr]
    ) -> tuple[tuple[tuple[sp.Expr, ...], ...], tuple[sp.Expr, sp.Expr]]:
        """Read the entries of a const, row by row."""
        written = p.value
        assert written is not None
        if p.subscripts:
            raise shapes.fail(written, "P011", "a member of a family has no value in the file", "write an equation with its value")
        if not isinstance(written, ast.List):
            if p.shape is not None:
                raise shapes.fail(written, "P011", "the entries are written row by row", "M: const[2, 2] = [[1, 2], [3, 4]]")
            return ((self.entry(p, written, shapes),),), (sp.S.One, sp.S.One)
        rows: list[tuple[sp.Expr, ...]] = []
        for row in written.elts:
            if not isinstance(row, ast.List) or not row.elts:
                raise shapes.fail(row, "P011", "a row is a list of numbers", "M: const[2, 2] = [[1, 2], [3, 4]]")
            rows.append(tuple(self.entry(p, entry, shapes) for entry in row.elts))
        if not rows or len({len(r) for r in rows}) != 1:
            raise shapes.fail(written, "S002", "the rows of a const have different lengths" if rows else "a const without rows")
        found = (sp.Integer(len(rows)), sp.Integer(len(rows[0])))
        if p.shape is not None and found != shape:
            raise shapes.fail(written, "S010", f"{p.name} is {shape[0]} x {shape[1]} but its value is {found[0]} x {found[1]}")
        return tuple(rows), found

    def entry(self, p: Declare, node: ast.expr, shapes: Shapes) -> sp.Expr:
        """Read one exact number."""
        sign = 1
        inner = node
        while isinstance(inner, ast.UnaryOp) and isinstance(inner.op, (ast.USub, ast.UAdd)):
            sign = -sign if isinstance(inner.op, ast.USub) else sign
            inner = inner.operand
        parts = [inner.left, inner.right] if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Div) else [inner]
        if all(isinstance(x, ast.Constant) and type(x.value) in (int, float) for x in parts):
            try:
                values = [number(source(p.statement, x, longest=2000)) for x in parts]
                if len(values) == 2 and values[1] == 0:
                    raise Mistake("O011", "a division by zero")
                return sp.Integer(sign) * values[0] / (values[1] if len(values) == 2 else 1)
            except Mistake as mistake:
                self.scope.report.add_mistake(mistake, place(p.statement, node))
                raise Stop from None
        raise shapes.fail(node, "O010", f"`{source(p.statement, node)}` is not a number", "the value of a const is made of numbers such as 2, -0.5, 1/3")

    def variable(self, name: str, pieces: list[tuple[Declare, tuple[Head, ...], Piece]]) -> Var:
        """Make a variable, or a family of all its pieces."""
        first, _, piece = pieces[0]
        kind: Kind = first.kind  # type: ignore[assignment]
        scalar = first.shape is None and first.value is None or isinstance(first.value, ast.expr) and not isinstance(first.value, ast.List)
        if piece.box is None:
            if len(pieces) > 1:
                raise Mistake("N002", f"{name} is declared twice, in lines {first.statement.line} and {pieces[1][0].statement.line}")
            assigned = self.names[name].assigned
            if assigned:
                raise Mistake(
                    "B002", f"{name} is declared here and assigned in line {assigned[0].statement.line}", "delete one of the two lines"
                )
            rows, cols = piece.shape
            return Var(name, rows, cols, (), kind, piece.facts, (), scalar=scalar, value=piece.value, size=piece.below)
        if len({p.kind for p, _, _ in pieces}) > 1:
            raise Mistake("S027", f"the pieces of {name} differ in kind: {' and '.join(sorted({p.kind for p, _, _ in pieces}))}")
        if len({one.facts for _, _, one in pieces}) > 1:
            raise Mistake("S027", f"the pieces of {name} differ in facts")
        formals = self.names[name].formals
        shapes = [(PieceShape(one.subscripts, one.shape), [h.symbol for h in loops]) for _, loops, one in pieces]
        stated = [a for a in self.names[name].assigned if a.shape is not None]
        try:
            rows, cols = pattern(name, shapes, formals)
        except Mistake as mistake:
            if mistake.code != "S028" or not stated:
                raise
            rows, cols = self.stated(name, stated[0], formals)
        boxes = tuple(one.box for _, _, one in pieces if one.box is not None)
        return Var(name, rows, cols, formals, kind, piece.facts, boxes, scalar=scalar, size=piece.below)

    def read_stated_shapes(self) -> None:
        """A stated shape of a family is a declaration: it holds before any equation."""
        for name, named in self.names.items():
            stated = [p for p in named.assigned if p.shape is not None and p.subscripts]
            if not stated or name in self.scope.variables or name in self.scope.poisoned:
                continue
            try:
                rows, cols = self.stated(name, stated[0], named.formals)
                self.scope.define(Var(name, rows, cols, named.formals))
            except Mistake as mistake:
                if mistake.code != "S028" or "known" not in str(mistake):
                    self.scope.report.add_mistake(mistake, place(stated[0].statement, stated[0].target))
                self.scope.poisoned.add(name)

    def stated(self, name: str, p: Assign, formals: tuple[sp.Symbol, ...]) -> tuple[sp.Expr, sp.Expr]:
        """Return the pattern that a stated shape ``A[l]: [n[l], m]`` gives."""
        loops = next(self.loops_of(p, self.parsed, ()), ())
        self.scope.loops = loops
        shapes = Shapes(self.scope, p.statement)
        try:
            shape = shapes.shape(p.shape or (), p.target or p.statement)  # type: ignore[arg-type]
            subscripts = tuple(shapes.index(s) for s in p.subscripts)
        except Stop:
            raise Mistake("S028", f"the shape of {name} is not known") from None
        finally:
            self.scope.loops = ()
        return pattern(name, [(PieceShape(subscripts, shape), [h.symbol for h in loops])], formals)

    def loops_of(self, wanted: Parsed, parsed: Sequence[Parsed], around: tuple[Head, ...]) -> Iterator[tuple[Head, ...]]:
        """Yield the loops around a statement."""
        for p in parsed:
            if p is wanted:
                yield around
            elif isinstance(p, For):
                head = self.heads.get(id(p))
                if head is not None:
                    yield from self.loops_of(wanted, p.body, (*around, head))


@dataclass(frozen=True)
class Piece:
    """What one declaration says."""

    subscripts: tuple[sp.Expr, ...]
    shape: tuple[sp.Expr, sp.Expr]
    facts: frozenset[str]
    below: sp.Expr | None
    box: Box | None
    value: tuple[tuple[sp.Expr, ...], ...] | None


def _annotation(p: Declare) -> ast.AST:
    """Return a node that covers the shape of a declaration."""
    if not p.shape:
        return p.target  # type: ignore[return-value]
    first, last = p.shape[0], p.shape[-1]
    cover = ast.Name("shape", ast.Load())
    cover.lineno, cover.col_offset = first.lineno, first.col_offset
    cover.end_lineno, cover.end_col_offset = last.end_lineno, last.end_col_offset  # type: ignore[assignment]
    return cover
