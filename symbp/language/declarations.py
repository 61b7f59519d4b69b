"""What a file declares: its names, sizes, loops, bounds, variables and families; equations come afterwards.

Declarations hold before any equation, wherever they stand, so everything here looks at the whole file.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import sympy as sp

from symbp.expr import Box, Function, affine, expanded
from symbp.language.collecting import Names
from symbp.language.diagnostics import Mistake, Stop, did_you_mean
from symbp.language.families import PieceShape, pattern
from symbp.language.forms import FACTS, Assert, Assign, Declare, Define, For, Free, Parsed, Samples, place, source
from symbp.language.laws import Law
from symbp.language.names import check_name
from symbp.language.scalars import number
from symbp.language.scope import Head
from symbp.language.shapes import Shapes
from symbp.program import Kind, Var, index_box

_IMPLIED = {"one_hot_columns": "columns_sum_to_one", "one_hot_rows": "rows_sum_to_one"}
_EXCLUSIVE = (
    ("binary", "signs"),
    ("mask", "signs"),
    ("one_hot_columns", "signs"),
    ("one_hot_rows", "signs"),
    ("index", "signs"),
)

LARGEST_START = 10**30
"""The largest start value: single precision goes little further."""

_START_FITS: dict[str, Callable[[sp.Expr], bool]] = {
    **dict.fromkeys(FACTS, lambda start: False),  # sums of one, one-hot columns, indices are no single number
    "positive": lambda start: bool(start > 0),
    "symmetric": lambda start: True,
    "binary": lambda start: start in (0, 1),
    "mask": lambda start: start in (0, 1),
    "signs": lambda start: abs(start) == 1,
}
"""Whether a matrix whose entries are all one number has a fact."""


class Declarations(Names):
    """Fills a ``Scope`` from the parsed statements of a file."""

    def read(self) -> None:
        """Read everything but the equations."""
        self.collect_names()
        self.collect_sizes()
        self.read_asserts()
        self.read_loops(self.parsed, ())
        self.read_functions()
        self.read_declarations()
        self.read_stated_shapes()

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
        gap = {ast.GtE: left - right, ast.Gt: left - right - 1, ast.LtE: right - left, ast.Lt: right - left - 1}.get(
            relation
        )
        form = None if gap is None else affine(expanded(gap))
        if form is None or len(form[0]) != 1 or form[0][0][1] != 1:
            self.error(
                "F003",
                "a bound says that one size is at least a number",
                p,
                test,
                "write `assert T >= 3`, with an integer",
            )
            return
        symbol, least_value = form[0][0][0], -form[1]
        self.scope.bounds[symbol] = max(self.scope.bounds.get(symbol, 1), least_value)

    def define_size(self, p: Assert, left: sp.Expr, right: sp.Expr) -> None:
        """Take ``d == k*heads`` as the definition of d: it is replaced wherever it stands."""
        if not left.is_Symbol:
            left, right = right, left
        if not left.is_Symbol or right.has(left):
            self.error(
                "F003", "an equation of sizes has one size on one side", p, p.test, "write `assert d == k*heads`"
            )
            return
        name = left.name
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
        self,
        parsed: Sequence[Parsed],
        loops: tuple[Head, ...],
        pieces: dict[str, list[tuple[Declare, tuple[Head, ...], Piece]]],
    ) -> None:
        """Read the declarations of a block."""
        for p in parsed:
            if isinstance(p, For):
                head = self.heads.get(id(p))
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
                p.target,
                "P011",
                "the shape stands behind the kind",
                f"write `{p.name}: {p.kind}[{', '.join(source(p.statement, s) for s in p.subscripts)}]`",
            )
        try:
            if p.shape is not None:
                shape = shapes.shape(
                    p.shape, _annotation(p), f"{source(p.statement, p.target) if p.target else p.name}: {p.kind}"
                )
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
        start: sp.Expr | None = None
        try:
            if p.value is not None and p.kind == "param":
                start = self.start(p, p.value, facts[0], shapes)
            elif p.value is not None:
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
                p.target,
                "B003",
                f"{p.name} is declared once for every {lacking[0]}",
                f"write `{p.name}[{inside}]: {p.kind}...`, or declare it outside of the loop",
            )
        if "symmetric" in facts[0] and expanded(shape[0] - shape[1]) != 0:
            raise shapes.fail(_annotation(p), "F002", f"a symmetric matrix is square, not {shape[0]} x {shape[1]}")
        box = None
        if subscripts:
            box = index_box(subscripts, {h.symbol: (h.lo, h.hi) for h in loops})
            if box is None:
                raise shapes.fail(
                    p.target, "B004", "an index must be a loop index plus or minus a constant, or free of loop indices"
                )
        return Piece(subscripts, shape, facts[0], facts[1], box, value, start)

    def facts(self, p: Declare, shapes: Shapes) -> tuple[frozenset[str], sp.Expr | None]:
        """Read the facts of a declaration and the size of the fact ``index``."""
        found: list[str] = []
        below: sp.Expr | None = None
        for node in p.facts:
            base = node.value if isinstance(node, ast.Subscript) else node.func if isinstance(node, ast.Call) else node
            name = base.id if isinstance(base, ast.Name) else ""
            if name not in FACTS:
                text = source(p.statement, node)
                raise shapes.fail(
                    node, "F001", f"`{text}` is no fact", did_you_mean(text, FACTS) or f"facts are {', '.join(FACTS)}"
                )
            if name == "index":
                inside = (
                    [node.slice] if isinstance(node, ast.Subscript) else node.args if isinstance(node, ast.Call) else []
                )
                if len(inside) != 1:
                    raise shapes.fail(
                        node, "F001", "the fact index has a size", "write `& index[v]`: entries from 0 to v-1"
                    )
                below = shapes.size(inside[0])
            elif base is not node:
                raise shapes.fail(node, "F001", f"the fact {name} stands alone", f"write `& {name}`")
            found.append(name)
        for a, b in _EXCLUSIVE:
            if a in found and b in found:
                raise shapes.fail(p.facts[0], "F002", f"the facts {a} and {b} exclude each other")
        return frozenset(found) | {_IMPLIED[f] for f in found if f in _IMPLIED}, below

    def start(self, p: Declare, written: ast.expr, facts: frozenset[str], shapes: Shapes) -> sp.Expr:
        """Read the number at which every entry of a parameter starts."""
        if isinstance(written, (ast.List, ast.Tuple)):
            raise shapes.fail(
                written, "P011", "a parameter starts at one number, the same for all entries", "g: param[n, 1] = 1"
            )
        found = self.entry(p, written, shapes, "a start value")
        if abs(found) > LARGEST_START:
            raise shapes.fail(written, "O010", "a start value lies between -1e30 and 1e30")
        for fact in sorted(facts):
            if not _START_FITS[fact](found):
                raise shapes.fail(written, "F002", f"entries that are all {found} do not have the fact {fact}")
        return found

    def values(
        self, p: Declare, shapes: Shapes, shape: tuple[sp.Expr, sp.Expr]
    ) -> tuple[tuple[tuple[sp.Expr, ...], ...], tuple[sp.Expr, sp.Expr]]:
        """Read the entries of a const, row by row."""
        written = p.value
        assert written is not None
        if p.subscripts:
            raise shapes.fail(
                written, "P011", "a member of a family has no value in the file", "write an equation with its value"
            )
        if not isinstance(written, ast.List):
            if p.shape is not None:
                raise shapes.fail(
                    written, "P011", "the entries are written row by row", "M: const[2, 2] = [[1, 2], [3, 4]]"
                )
            return ((self.entry(p, written, shapes),),), (sp.S.One, sp.S.One)
        rows: list[tuple[sp.Expr, ...]] = []
        for row in written.elts:
            if not isinstance(row, ast.List) or not row.elts:
                raise shapes.fail(row, "P011", "a row is a list of numbers", "M: const[2, 2] = [[1, 2], [3, 4]]")
            rows.append(tuple(self.entry(p, entry, shapes) for entry in row.elts))
        if not rows or len({len(r) for r in rows}) != 1:
            raise shapes.fail(
                written, "S002", "the rows of a const have different lengths" if rows else "a const without rows"
            )
        found = (sp.Integer(len(rows)), sp.Integer(len(rows[0])))
        if p.shape is not None and found != shape:
            raise shapes.fail(
                written, "S010", f"{p.name} is {shape[0]} x {shape[1]} but its value is {found[0]} x {found[1]}"
            )
        return tuple(rows), found

    def entry(self, p: Declare, node: ast.expr, shapes: Shapes, what: str = "the value of a const") -> sp.Expr:
        """Read one exact number."""
        sign, inner = _signed(node)
        parts = [inner]
        if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Div):
            # -1/2 is (-1)/2 to Python's grammar.
            (above, left), (below, right) = _signed(inner.left), _signed(inner.right)
            sign, parts = sign * above * below, [left, right]
        if all(isinstance(x, ast.Constant) and type(x.value) in (int, float) for x in parts):
            try:
                values = [number(source(p.statement, x, longest=2000)) for x in parts]
                if len(values) == 2 and values[1] == 0:
                    raise Mistake("O011", "a division by zero")
                return sp.Integer(sign) * values[0] / (values[1] if len(values) == 2 else 1)
            except Mistake as mistake:
                self.scope.report.add_mistake(mistake, place(p.statement, node))
                raise Stop from None
        raise shapes.fail(
            node,
            "O010",
            f"`{source(p.statement, node)}` is not a number",
            f"{what} is made of numbers such as 2, -0.5, 1/3",
        )

    def variable(self, name: str, pieces: list[tuple[Declare, tuple[Head, ...], Piece]]) -> Var:
        """Make a variable, or a family of all its pieces."""
        first, _, piece = pieces[0]
        kind: Kind = first.kind  # type: ignore[assignment]
        scalar = first.shape is None and not isinstance(first.value, ast.List)
        if piece.box is None:
            if len(pieces) > 1:
                raise Mistake(
                    "N002",
                    f"{name} is declared twice, in lines {first.statement.line} and {pieces[1][0].statement.line}",
                )
            assigned = self.names[name].assigned
            if assigned:
                raise Mistake(
                    "B002",
                    f"{name} is declared here and assigned in line {assigned[0].statement.line}",
                    "delete one of the two lines",
                )
            rows, cols = piece.shape
            return Var(
                name, rows, cols, (), kind, piece.facts, (), scalar=scalar, value=piece.value, size=piece.below,
                start=piece.start,
            )
        if len({p.kind for p, _, _ in pieces}) > 1:
            raise Mistake(
                "S027", f"the pieces of {name} differ in kind: {' and '.join(sorted({p.kind for p, _, _ in pieces}))}"
            )
        if len({one.facts for _, _, one in pieces}) > 1:
            raise Mistake("S027", f"the pieces of {name} differ in facts")
        if len({one.start for _, _, one in pieces}) > 1:
            raise Mistake("S027", f"the pieces of {name} start at different numbers")
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
        return Var(
            name, rows, cols, formals, kind, piece.facts, boxes, scalar=scalar, size=piece.below, start=piece.start
        )

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
            shape = shapes.shape(p.shape or (), p.target)
            subscripts = tuple(shapes.index(s) for s in p.subscripts)
        except Stop:
            raise Mistake("S028", f"the shape of {name} is not known") from None
        finally:
            self.scope.loops = ()
        return pattern(name, [(PieceShape(subscripts, shape), [h.symbol for h in loops])], formals)

    def loops_of(
        self, wanted: Parsed, parsed: Sequence[Parsed], around: tuple[Head, ...]
    ) -> Iterator[tuple[Head, ...]]:
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
    start: sp.Expr | None


def _signed(node: ast.expr) -> tuple[int, ast.expr]:
    """Return the sign before an expression, and what follows it."""
    sign = 1
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        sign = -sign if isinstance(node.op, ast.USub) else sign
        node = node.operand
    return sign, node


def _annotation(p: Declare) -> ast.AST | None:
    """Return a node that covers the shape of a declaration."""
    if not p.shape:
        return p.target
    first, last = p.shape[0], p.shape[-1]
    cover = ast.Name("shape", ast.Load())
    cover.lineno, cover.col_offset = first.lineno, first.col_offset
    cover.end_lineno, cover.end_col_offset = last.end_lineno, last.end_col_offset
    return cover
