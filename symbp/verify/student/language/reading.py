"""From the text of a Python file to its syntax tree, with every form that is not read reported at once."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from symbp.language.diagnostics import Diagnostic, DeclarationError, Report, Span
from symbp.verify.student.language.notebook import cells

MOST_CHARACTERS = 1_000_000
MOST_NODES = 20_000
MOST_NESTING = 100

UNREAD: dict[type[ast.AST], tuple[str, str]] = {
    ast.Try: ("try", "check the condition with `if`"),
    ast.TryStar: ("try", "check the condition with `if`"),
    ast.With: ("with", "code that is checked reads no files"),
    ast.AsyncWith: ("async with", ""),
    ast.AsyncFor: ("async for", ""),
    ast.AsyncFunctionDef: ("async def", "write `def`"),
    ast.Await: ("await", ""),
    ast.Yield: ("yield", "return a list"),
    ast.YieldFrom: ("yield", "return a list"),
    ast.Global: ("global", "give the value as an argument and return it"),
    ast.Nonlocal: ("nonlocal", "give the value as an argument and return it"),
    ast.NamedExpr: ("a walrus `:=`", "assign on a line of its own"),
    ast.Starred: ("a star `*` outside of a call", "write the items out"),
    ast.Set: ("a set", "write a list"),
    ast.SetComp: ("a set", "write a list"),
    ast.Match: ("match", "write `if`"),
    ast.Delete: ("del", "leave it out"),
}
"""Forms of Python that are not read, and what to write instead."""


@dataclass
class Reading:
    """A file of student code.

    file:    the name to show.
    text:    the whole text; for a notebook all cells as one file.
    module:  its syntax tree.
    places:  for a notebook, the cell and the line in the cell of each line.
    remarks: what was left out.
    spent:   nodes that all runs of the file have cost so far.
    """

    file: str
    text: str
    module: ast.Module
    places: tuple[tuple[str, int], ...] = ()
    remarks: tuple[str, ...] = ()
    lines: list[str] = field(default_factory=list)
    spent: int = 0

    def place(self, line: int) -> tuple[str, int]:
        """Return the file (or cell) to show and the line in it."""
        if self.places and 1 <= line <= len(self.places):
            cell, at = self.places[line - 1]
            return f"{self.file}, {cell}", at
        return self.file, line

    def at(self, node: ast.stmt | ast.expr) -> str:
        """Return the place of a node in words: ``line 7``, ``cell 4, line 7``."""
        if self.places and 1 <= node.lineno <= len(self.places):
            cell, line = self.places[node.lineno - 1]
            return f"{cell}, line {line}"
        return f"line {node.lineno}"

    def source(self, line: int) -> str:
        """Return a line as it was written."""
        return self.lines[line - 1] if 1 <= line <= len(self.lines) else ""

    def diagnostic(self, code: str, message: str, node: ast.AST | None, help: str = "", label: str = "") -> Diagnostic:
        """Return a diagnostic at a node."""
        line, column, length = span(node, self.lines)
        file, shown = self.place(line)
        return Diagnostic(code, message, file, shown, column, length, self.source(line), label, help)


def span(node: ast.AST | None, lines: list[str]) -> tuple[int, int, int]:
    """Return line, column (from 1, in characters) and length of a node; of a block only its first line."""
    if not isinstance(node, (ast.stmt, ast.expr, ast.excepthandler)):
        return 1, 1, 1
    line = node.lineno
    source = lines[line - 1] if line <= len(lines) else ""
    start = len(source.encode()[: node.col_offset].decode(errors="ignore"))
    end = len(source.rstrip())
    if node.end_lineno == line and node.end_col_offset is not None:
        end = len(source.encode()[: node.end_col_offset].decode(errors="ignore"))
    return line, start + 1, max(1, end - start)


def read(data: bytes, name: str) -> Reading:
    """Read the bytes of a file or of a notebook.

    Raises ``DeclarationError`` where it is not Python.
    """
    if name.endswith(".ipynb"):
        text, places, remarks = cells(data, name)
        return read_text(text, name, places, remarks)
    return read_text(data[: MOST_CHARACTERS + 1].decode("utf-8", errors="replace"), name)


def read_text(
    text: str, file: str = "code.py", places: tuple[tuple[str, int], ...] = (), remarks: tuple[str, ...] = ()
) -> Reading:
    """Read the text of a file.

    Raises ``DeclarationError`` where it is not Python, or too large.
    """
    lines = text.split("\n")
    report = Report(file, lines)
    if len(text) > MOST_CHARACTERS:
        report.add("C106", f"more than {MOST_CHARACTERS:,} characters", Span(1, 1))
        report.raise_if_any()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = ast.parse(text)
    except SyntaxError as error:
        line = min(max(error.lineno or 1, 1), len(lines))
        shown = Reading(file, text, ast.Module([], []), places, (), lines).place(line)
        raise DeclarationError([Diagnostic(
            "C101", f"Python does not read this line: {error.msg}", shown[0], shown[1], max(error.offset or 1, 1), 1,
            lines[line - 1],
        )]) from None
    except (ValueError, RecursionError, MemoryError) as error:
        why = str(error)[:80] or "it is nested too deeply"
        report.add("C101", f"Python does not read this file: {why}", Span(1, 1))
        report.raise_if_any()
        raise AssertionError("unreachable") from error
    count, depth = measured(module)
    if count > MOST_NODES or depth > MOST_NESTING:
        what = f"more than {MOST_NODES:,} nodes" if count > MOST_NODES else f"nested deeper than {MOST_NESTING}"
        report.add("C106", f"the file is too large: {what}", Span(1, 1))
        report.raise_if_any()
    return Reading(file, text, module, places, remarks, lines)


def measured(tree: ast.AST) -> tuple[int, int]:
    """Return the number of nodes and the depth of a tree, without recursion."""
    count = deepest = 0
    todo = [(tree, 1)]
    while todo:
        node, depth = todo.pop()
        count += 1
        deepest = max(deepest, depth)
        todo += [(child, depth + 1) for child in ast.iter_child_nodes(node)]
    return count, deepest


def reached(module: ast.Module, names: Iterable[str]) -> list[ast.stmt]:
    """Return the functions and classes of a file that may be run when those called ``names`` are: by names they use."""
    known = {s.name: s for s in module.body if isinstance(s, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
    todo, found = [n for n in names if n in known], {}
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = known[name]
            used = {n.id for n in ast.walk(known[name]) if isinstance(n, ast.Name)}
            todo += [n for n in used if n in known]
    return [s for n, s in known.items() if n in found]


def unread(reading: Reading, names: Iterable[str]) -> list[Diagnostic]:
    """Return a diagnostic for every form that is not read in what the named functions and classes may run."""
    nodes = [n for statement in reached(reading.module, names) for n in ast.walk(statement)]
    spread = {a for n in nodes if isinstance(n, ast.Call) for a in n.args if isinstance(a, ast.Starred)}
    return [
        reading.diagnostic(code, message, node, help)
        for node in nodes if node not in spread for code, message, help in _refused(node)
    ]


def _refused(node: ast.AST) -> Iterator[tuple[str, str, str]]:
    if type(node) in UNREAD:
        what, instead = UNREAD[type(node)]
        yield "C102", f"`{what}` is not read" if " " not in what else f"{what} is not read", instead
    elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        for decorator in node.decorator_list:
            if ast.unparse(decorator) != "staticmethod":
                yield "C102", f"the decorator `@{ast.unparse(decorator)[:30]}` is not read", "leave it out"
    if isinstance(node, ast.ClassDef) and (node.keywords or len(node.bases) > 1):
        yield "C102", "metaclasses and several base classes are not read", "one base class of the same file may stand"
    if isinstance(node, (ast.FunctionDef, ast.Lambda)) and (node.args.vararg or node.args.kwarg):
        yield "C102", "`*` and `**` in parameters are not read", "name the parameters"
    if isinstance(node, ast.Call) and any(k.arg is None for k in node.keywords):
        yield "C102", "`**` in a call is not read", "name the arguments"
