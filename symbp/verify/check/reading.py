"""Which line reads what: the names of a work and the lines that give them their values."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cached_property

from symbp.verify.check.work import Line


def base(node: ast.AST) -> str | None:
    """Return the name that a target or a read is about: ``dH`` of ``dH[t-1]``, ``grads['W1']``, ``self.W1``."""
    while isinstance(node, (ast.Subscript, ast.Starred)):
        inner = node.value
        if isinstance(node, ast.Subscript) and _is_key(node.slice):
            holder = base(inner)
            return None if holder is None else f"{holder}[{ast.unparse(node.slice)}]"
        node = inner
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        holder = base(node.value)
        return None if holder is None else f"{holder}.{node.attr}"
    return None


def _is_key(node: ast.expr) -> bool:
    """Tell whether a subscript is the key of a dictionary: a text, or one that is put together."""
    texts = [n for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return bool(texts) and isinstance(node, (ast.Constant, ast.BinOp, ast.JoinedStr))


def assigned(statement: ast.stmt) -> set[str]:
    """Return the names that a statement gives values."""
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets += statement.targets
    elif isinstance(statement, (ast.AugAssign, ast.AnnAssign)):
        targets.append(statement.target)
    found = set()
    while targets:
        target = targets.pop()
        if isinstance(target, (ast.Tuple, ast.List)):
            targets += target.elts
        else:
            name = base(target)
            found |= {name} if name is not None else set()
    return found


def read(statement: ast.stmt) -> set[str]:
    """Return the names that a statement reads; with ``holder['key']`` also the holder."""
    value = getattr(statement, "value", None)
    found: set[str] = set()
    if value is not None:
        for node in ast.walk(value):
            if isinstance(node, (ast.Name, ast.Subscript, ast.Attribute)):
                name = base(node)
                found |= {name} if name is not None else set()
    if isinstance(statement, ast.AugAssign):
        found |= assigned(statement)
    return found


class Reads:
    """The lines of a work, and from which lines each takes what it reads."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = lines
        self._before: dict[int, set[int]] = {}
        self.assigned = [assigned(line.statement) for line in lines]
        self.read = [read(line.statement) for line in lines]

    @cached_property
    def sources(self) -> list[tuple[int, ...]]:
        """For every line the lines whose values it may read."""
        return [
            tuple(k for k, names in enumerate(self.assigned) if names & mine) for mine in self.read
        ]

    def before(self, line: int) -> set[int]:
        """Return every line on which a line depends, itself not counted."""
        if line not in self._before:
            self._before[line] = self._above(line)
        return self._before[line]

    def _above(self, line: int) -> set[int]:
        found: set[int] = set()
        todo = list(self.sources[line])
        while todo:
            k = todo.pop()
            if k not in found:
                found.add(k)
                todo += self.sources[k]
        return found - {line}

    def after(self, line: int) -> set[int]:
        """Return every line that depends on a line, itself not counted."""
        return {k for k in range(len(self.lines)) if k != line and line in self.before(k)}

    def is_read(self, line: int) -> bool:
        """Tell whether another line reads what a line assigns."""
        return line in self._used

    @cached_property
    def _used(self) -> set[int]:
        return {j for k, mine in enumerate(self.sources) for j in mine if j != k}

    def upstream(self, line: int) -> Iterator[int]:
        """Yield the lines that a line reads, then those that these read, nearest first."""
        seen, ring = {line}, list(self.sources[line])
        while ring:
            following: list[int] = []
            for k in sorted(ring, reverse=True):
                if k not in seen:
                    seen.add(k)
                    yield k
                    following += self.sources[k]
            ring = following
