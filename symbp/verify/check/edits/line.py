"""A line under edit: its text, its tree, and how a part of the text is replaced without touching the rest."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from enum import IntEnum
from functools import cached_property

from symbp.verify.check.edits.known import Applied, Known, Meaning, Shape, expression, moved
from symbp.verify.check.edits.shapes import Misfit, shape_of


class Level(IntEnum):
    """How tightly an expression binds."""

    ANY = 0
    SUM = 1
    PRODUCT = 2
    SIGN = 3
    POWER = 4
    ATOM = 5


def level(node: ast.AST) -> Level:
    """Return how tightly an expression binds."""
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, (ast.Add, ast.Sub)):
            return Level.SUM
        return Level.POWER if isinstance(node.op, ast.Pow) else Level.PRODUCT
    if isinstance(node, ast.UnaryOp):
        return Level.SIGN if isinstance(node.op, ast.USub) else Level.ANY
    atoms = (ast.Name, ast.Constant, ast.Call, ast.Attribute, ast.Subscript, ast.Tuple, ast.List)
    return Level.ATOM if isinstance(node, atoms) else Level.ANY


def needed(parent: ast.AST, node: ast.AST) -> Level:
    """Return how tightly an operand must bind to stand in its parent without brackets."""
    if isinstance(parent, ast.BinOp):
        mine = level(parent)
        if mine is Level.POWER:
            return Level.ATOM if node is parent.left else Level.SIGN
        return mine if node is parent.left else Level(mine + 1)
    if isinstance(parent, ast.UnaryOp):
        return Level.SIGN
    if isinstance(parent, ast.Attribute) or (isinstance(parent, ast.Subscript) and node is parent.value):
        return Level.ATOM
    return Level.SUM if isinstance(parent, ast.Compare) else Level.ANY


def bare(text: str) -> str:
    """Return an expression without brackets around the whole of it."""
    if text.startswith("(") and text.endswith(")"):
        try:
            inner = expression(text[1:-1])
        except SyntaxError:
            return text
        if ast.dump(inner) == ast.dump(expression(text)):
            return bare(text[1:-1])
    return text


def member(name: str, indices: tuple[str, ...]) -> str:
    """Return a member of a family as it is written; a name without indices as it is."""
    return f"{name}[{', '.join(indices)}]" if indices else name


class EditedLine:
    """One statement with its text.

    text:      the statement as it is written; its first character is column 0 of row 1.
    statement: its tree, with places in ``text``.
    known:     the names in scope.
    """

    def __init__(self, statement: ast.stmt, known: Known, source: str = "") -> None:
        self.known = known
        self.text, self.statement = _read(statement, source)
        self._starts = [0]
        for row in self.text.split("\n"):
            self._starts.append(self._starts[-1] + len(row) + 1)
        self.parents = {
            child: parent for parent in ast.walk(self.statement) for child in ast.iter_child_nodes(parent)
        }
        self._shapes: dict[ast.AST, Shape | None] = {}
        self.slopes: dict[Applied, list[str]] = {}

    # -- parts
    @property
    def value(self) -> ast.expr | None:
        """The right side."""
        found = getattr(self.statement, "value", None)
        return found if isinstance(found, ast.expr) else None

    @property
    def target(self) -> ast.expr | None:
        """The left side, if there is one only."""
        statement = self.statement
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            return statement.targets[0]
        return statement.target if isinstance(statement, (ast.AugAssign, ast.AnnAssign)) else None

    @property
    def meaning(self) -> Meaning | None:
        """What the left side stands for."""
        return self.known.meaning(self.target) if self.target is not None else None

    @property
    def indices(self) -> tuple[str, ...]:
        """The indices of the left side as they are written."""
        found = self.known.reference(self.target) if self.target is not None else None
        return found[1] if found else ()

    @cached_property
    def around(self) -> tuple[str, ...]:
        """The indices of the quantity of the line: those of the left side, else of the loops around and inside."""
        inside = [ast.unparse(n.target) for n in ast.walk(self.statement) if isinstance(n, ast.comprehension)]
        return self.indices or (*self.known.loops, *inside)

    def members(self, meaning: Meaning) -> list[tuple[str, ...]]:
        """Return the indices of the members near the line: its own, and each of them moved by one."""
        around = self.around
        if len(around) != len(meaning.indices):
            return [] if meaning.indices else [()]
        moves = [(k, by) for k in range(len(around)) for by in (1, -1)]
        return [around, *((*around[:k], moved(around[k], by), *around[k + 1 :]) for k, by in moves)]

    def expressions(self) -> Iterator[ast.expr]:
        """Yield the parts of the right side, the whole first; then the conditions of a mask on the left."""
        todo: list[ast.AST] = [self.value] if self.value is not None else []
        if isinstance(self.target, ast.Subscript) and self.known.numpy:
            todo += [n for n in ast.walk(self.target.slice) if isinstance(n, ast.Compare)]
        while todo:
            node = todo.pop(0)
            if isinstance(node, ast.expr):
                yield node
            # The name and the indices of a member belong together.
            if self.known.reference(node) is None:
                todo += _parts(node)

    def has_gradients(self, node: ast.AST | None) -> bool:
        """Tell whether a part reads a gradient."""
        meanings = [] if node is None else [self.known.meaning(n) for n in ast.walk(node)]
        return any(m is not None and m.kind == "gradient" for m in meanings)

    def shape(self, node: ast.AST) -> Shape | None:
        """Return the shape of a part, None if it is not certain."""
        if node not in self._shapes:
            try:
                self._shapes[node] = shape_of(node, self.known)
            except Misfit:
                self._shapes[node] = None
        return self._shapes[node]

    def shape_of_text(self, text: str) -> Shape | None:
        """Return the shape of an expression that does not stand in the line."""
        try:
            return shape_of(expression(text), self.known)
        except Misfit:
            return None

    # -- text
    def span(self, node: ast.AST) -> tuple[int, int]:
        """Return where a part begins and ends in the text."""
        assert isinstance(node, (ast.expr, ast.stmt))
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self._starts[node.lineno - 1] + node.col_offset, self._starts[node.end_lineno - 1] + node.end_col_offset

    def of(self, node: ast.AST) -> str:
        """Return the text of a part, without brackets around it."""
        start, end = self.span(node)
        return self.text[start:end]

    def fit(self, node: ast.AST, wanted: Level) -> str:
        """Return the text of a part, in brackets if it binds less tightly than wanted."""
        return self.of(node) if level(node) >= wanted else f"({self.of(node)})"

    def reindexed(self, node: ast.AST, change: Callable[[str], str]) -> str:
        """Return the text of a part in which every index of a member is changed."""
        (start, _), text = self.span(node), self.of(node)
        found = [(n, self.known.reference(n)) for n in ast.walk(node) if isinstance(n, ast.Subscript)]
        for n, reference in sorted(found, key=lambda pair: -self.span(pair[0])[0]):
            if reference is not None and reference[1]:
                first, last = (k - start for k in self.span(n))
                indices = ", ".join(change(i.replace(" ", "")) for i in reference[1])
                text = f"{text[:first]}{reference[0]}[{indices}]{text[last:]}"
        return text

    def factor(self, node: ast.AST, operator: type[ast.operator]) -> str:
        """Return the text of a part as a factor: products of another kind stand in brackets too, for the reader."""
        if isinstance(node, ast.BinOp) and not isinstance(node.op, (operator, ast.Pow)):
            return f"({self.of(node)})"
        return self.fit(node, Level.PRODUCT)

    def replaced(self, node: ast.AST, new: str) -> tuple[str, int, int]:
        """Return the whole text with a part replaced, and where that part begins and ends in the old one."""
        start, end = self.span(node)
        parent = self.parents.get(node)
        if parent is not None and not isinstance(node, ast.stmt):
            new = bare(new)
            binds = level(expression(new))
            bracketed = self._bracketed(parent, start, end)
            if bracketed and binds >= needed(parent, node):
                start, end = bracketed
            elif not bracketed and binds < needed(parent, node):
                new = f"({new})"
        return self.text[:start] + new + self.text[end:], start, end

    def _bracketed(self, parent: ast.AST, start: int, end: int) -> tuple[int, int] | None:
        """Return where the brackets around a part stand that belong to nothing else."""
        if isinstance(parent, (ast.Call, ast.Tuple, ast.keyword, ast.GeneratorExp, ast.comprehension)):
            return None
        before, after = self.text[:start].rstrip(), self.text[end:]
        behind = after.lstrip()
        if not before.endswith("(") or not behind.startswith(")"):
            return None
        return len(before) - 1, end + len(after) - len(behind) + 1


def _parts(node: ast.AST) -> list[ast.AST]:
    """Return the parts of an expression that are quantities: no index, no name of a function, no range."""
    if isinstance(node, ast.Subscript):
        return [node.value]
    if isinstance(node, ast.Call):
        owner = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        given = [a.value if isinstance(a, ast.Starred) else a for a in node.args]
        return [*(o for o in owner if ast.unparse(o) not in ("np", "numpy")), *given]
    if isinstance(node, ast.GeneratorExp):
        return [node.elt]
    return [c for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr)]


def _read(statement: ast.stmt, source: str) -> tuple[str, ast.stmt]:
    """Return the text of a statement, the user's own if it is that, and its tree with places in the text."""
    for text in (source.strip(), ast.unparse(statement)):
        try:
            body = ast.parse(text).body
        except (SyntaxError, ValueError):
            continue
        if len(body) == 1 and text.isascii() and ast.dump(body[0]) == ast.dump(statement):
            return text, body[0]
    raise ValueError("a statement that does not survive being written and read")
