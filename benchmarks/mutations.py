"""Mutants: the places of a module where one thing can be changed, the changed source, and a sample of all changes.

An operator, a comparison, a condition, a constant or a returned value is changed.  Annotations, errors that are raised
and decorators are left alone.
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

MOST_CHARACTERS = 120
"""So much of a statement, and of what stood in it, tells a mutant from others."""

Key = tuple[str, str, str, str, int]


@dataclass(frozen=True)
class Mutant:
    """One change: the statement it is in, what stood there, and what stands there now."""

    room: str
    path: str
    line: int
    kind: str
    statement: str
    before: str
    after: str
    nth: int
    place: int

    @property
    def key(self) -> Key:
        """What tells it from others by its text alone, so that it stays the same when lines move."""
        return self.path, self.statement, self.before, self.after, self.nth


Change = tuple[str, Callable[[], ast.AST]]

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}
def changes(node: ast.AST) -> Iterator[Change]:
    """Yield the changes of one node, each with its kind and a function that makes the new node."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
        other = COMPARISONS[type(node.ops[0])]
        yield "comparison", lambda: ast.Compare(node.left, [other()], node.comparators)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS and not _is_text(node):
        swapped = OPERATORS[type(node.op)]
        yield "operator", lambda: ast.BinOp(node.left, swapped(), node.right)
    if isinstance(node, ast.BoolOp):
        turned = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield "operator", lambda: ast.BoolOp(turned(), node.values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield "operator", lambda: node.operand
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "constant", lambda: ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield "constant", lambda: ast.Constant(int(str(node.value)) + 1)
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        def negated() -> ast.AST:
            fields = {**dict(ast.iter_fields(node)), "test": ast.UnaryOp(ast.Not(), node.test)}
            return type(node)(**fields)

        yield "condition", negated
    if isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield "returned value", lambda: ast.Return(ast.Constant(None))


def _is_text(node: ast.BinOp) -> bool:
    return any(
        isinstance(s, ast.JoinedStr) or (isinstance(s, ast.Constant) and isinstance(s.value, str))
        for s in (node.left, node.right)
    )


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def places(tree: ast.Module) -> Iterator[tuple[ast.stmt, ast.AST, Change]]:
    """Yield every change of a module in a fixed order, each with its node and the innermost statement around it."""
    for top in tree.body:
        for statement, node in _visited(top, top):
            for change in changes(node):
                yield statement, node, change


def _visited(statement: ast.stmt, node: ast.AST) -> Iterator[tuple[ast.stmt, ast.AST]]:
    yield statement, node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list") or (isinstance(node, ast.Raise) and name == "exc"):
            continue
        if isinstance(node, ast.If) and name == "test" and "TYPE_CHECKING" in ast.unparse(value):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _visited(child if isinstance(child, ast.stmt) else statement, child)


class _Put(ast.NodeTransformer):
    """Puts a new node in place of one."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        if node is self.old:
            return ast.copy_location(self.new, node)
        return super().generic_visit(node)


def mutated(source: str, place: int) -> str:
    """Return the source of a module with one place changed."""
    tree = ast.parse(source)
    _, node, (_, make) = next(found for k, found in enumerate(places(tree)) if k == place)
    return ast.unparse(ast.fix_missing_locations(_Put(node, make()).visit(tree)))


def mutants(room: str, starts: Sequence[str]) -> list[Mutant]:
    """Return every mutant of a room, which is some modules and folders of modules."""
    found = []
    for path in modules(starts):
        name = str(path.relative_to(ROOT))
        met: Counter[tuple[str, str, str]] = Counter()
        for k, (statement, node, (kind, make)) in enumerate(places(ast.parse(path.read_text(encoding="utf-8")))):
            text, before, after = (
                ast.unparse(ast.fix_missing_locations(x)).split("\n")[0][:MOST_CHARACTERS]
                for x in (statement, node, make())
            )
            nth = met[text, before, after]
            met[text, before, after] += 1
            found.append(Mutant(room, name, statement.lineno, kind, text, before, after, nth, k))
    return found


def modules(starts: Sequence[str]) -> list[Path]:
    """Return the modules that are named, and those of the folders that are named."""
    return [
        path
        for start in starts
        for path in ([ROOT / start] if start.endswith(".py") else sorted((ROOT / start).rglob("*.py")))
    ]


def sample(rooms: Mapping[str, Sequence[str]], count: int, seed: int) -> list[Mutant]:
    """Return a sample of all mutants: from each room and kind in proportion, at least one.

    Each mutant has a rank of its own that is drawn from its text, so that a change of one line leaves the rest of the
    sample as it was.
    """
    strata: dict[tuple[str, str], list[Mutant]] = {}
    for room, starts in rooms.items():
        for mutant in mutants(room, starts):
            strata.setdefault((room, mutant.kind), []).append(mutant)
    total = sum(map(len, strata.values()))

    def rank(mutant: Mutant) -> bytes:
        return hashlib.sha256(repr((seed, mutant.key)).encode()).digest()

    chosen = [
        mutant
        for group in strata.values()
        for mutant in sorted(group, key=rank)[: max(1, round(count * len(group) / total))]
    ]
    return sorted(chosen, key=rank)
