"""Student code run by CPython (``--run``), for what the interpreter does not read: in a confined child process only.

This is no sandbox: the code can do whatever the limits of the child let it do, and what it says is taken at its word.
A run leaves no trace of its lines, so that gradients are judged and lines are not.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import random
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

import numpy as np

from symbp.language.diagnostics import Mistake
from symbp.verify import child
from symbp.verify.student.binding.session import DIFFERENCE, STEPS, Case, Plan, Session
from symbp.verify.student.language import arithmetic as ar
from symbp.verify.student.language.budgets import Budget
from symbp.verify.student.language.errors import PYTHON_ERRORS, Located, from_python
from symbp.verify.student.language.reading import Reading
from symbp.verify.student.language.trace import Entry, Square, Trace
from symbp.verify.student.language.values import STUDENTS, Array, Scope

LOADED = (
    "abc", "collections", "collections.abc", "contextlib", "copy", "dataclasses", "enum", "functools", "itertools",
    "math", "numbers", "numpy", "numpy.linalg", "numpy.random", "operator", "random", "re", "statistics", "string",
    "time", "types", "typing", "warnings",
)
"""Modules that student code may import: a confined process opens no file, so they are loaded before."""
for _name in LOADED:
    importlib.import_module(_name)

CODE = "<student's code>"
"""The file that CPython is told, so that its lines are found in a traceback."""

BARRED = (
    "open", "os.", "socket.", "subprocess.", "shutil.", "tempfile.", "ctypes.", "fcntl.", "mmap.", "pty.", "signal.",
)
"""The beginnings of audit events that are refused: files, processes, the network, foreign functions."""

AGREES = 1e-6
"""The largest relative difference from differences of order 6 at which a complex step is taken to be analytic."""


class Unconfined(Exception):
    """Student code would run in a process that is not confined: a mistake of ours, never of the student's."""


@dataclass
class Execution(Session):
    """A file, a plan, and runs of it by CPython."""

    def runner(self, trace: Trace, *, is_complex: bool, edits: Mapping[ast.stmt, ast.stmt] | None) -> Namespace:
        """Return the namespace of a module in which one run is carried out.

        Raises ``Unconfined`` outside a confined child.
        """
        return Namespace(self.reading, needed(self.reading.module, self.plan), is_complex)

    def slope(
        self, case: Case, at: str | Entry, direction: Array, *, complex_step: bool = True, step: float = DIFFERENCE,
    ) -> float:
        """Return the derivative of the loss along a direction.

        Raises ``NotAnalytic`` where a complex step is not that of an analytic function: CPython does not continue
        ``abs`` or ``np.var``, so that each complex step is confirmed by differences.
        """
        found = super().slope(case, at, direction, complex_step=complex_step, step=step)
        if complex_step and not any(
            abs(super(Execution, self).slope(case, at, direction, complex_step=False, step=h) - found)
            <= AGREES * max(abs(found), 1e-12) for h in STEPS
        ):
            raise ar.NotAnalytic
        return found


class Namespace:
    """The names of a module, in which CPython runs statements; it satisfies the protocol ``Runner``."""

    def __init__(self, reading: Reading, needed: Iterable[ast.stmt], is_complex: bool) -> None:
        close()
        self.reading, self.is_complex = reading, is_complex
        self.scope = Scope({"__name__": STUDENTS, "__builtins__": builtins})
        self.trace: Trace | None = None
        self.budget = Budget()
        self.squares: dict[ast.expr, Square] = {}
        self.lacking: dict[str, str] = {}
        random.seed(0)
        np.random.seed(0)
        self._numbers = _state()
        for statement in needed:
            try:
                self._run(_compiled(statement, CODE), statement)
            except (Located, ar.NotAnalytic) as error:
                # A name that is not needed after all may stay without a value: `import matplotlib`.
                why = f"line {statement.lineno}, which gives it its value, fails: {error or 'not analytic'}"
                self.lacking |= dict.fromkeys(given(statement), why)

    @property
    def has_drawn(self) -> bool:
        """Tell whether random numbers were drawn."""
        return self._numbers != _state()

    def statement(self, statement: ast.stmt) -> None:
        """Run one statement of a plan."""
        self._run(_compiled(statement), statement)

    def expression(self, node: ast.expr) -> Any:
        """Return the value of an expression of a plan."""
        return self._run(_compiled(node), node)

    def assign(self, target: ast.expr, value: Any, statement: ast.stmt) -> None:
        """Give a target its value."""
        self.scope.names["__value"] = value
        self._run(_compiled(_assignment(ast.unparse(target))), target)
        del self.scope.names["__value"]

    def _run(self, code: CodeType, node: ast.AST) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if self.is_complex:
                    warnings.simplefilter("error", np.exceptions.ComplexWarning)
                return _carried_out(code, self.scope.names)
        except BaseException as error:  # whatever the code raises, SystemExit too, is told
            if self.is_complex:
                raise ar.NotAnalytic from None
            at, frame = _innermost(error, self.reading.module)
            raise Located(self._told(error, at, frame), at or node) from None

    def _told(self, error: BaseException, at: ast.stmt | None, frame: FrameType | None) -> Mistake:
        """Return the diagnostic for what the code raised."""
        text = (str(error).splitlines() or [""])[0][:160]
        if isinstance(error, NameError):
            name = str(getattr(error, "name", "") or "")
            return Mistake("C104", f"there is no name `{name}`" if name else text, self.lacking.get(name, ""))
        if isinstance(error, AssertionError):
            return Mistake("C116", f"an assertion of the code does not hold{_sides(at, frame)}")
        if isinstance(error, PermissionError):
            return Mistake("C105", text)
        if isinstance(error, PYTHON_ERRORS) and type(error).__module__.startswith(("builtins", "numpy")):
            return from_python(error)
        return Mistake("C116", f"the code stops with {type(error).__name__}{': ' if text else ''}{text}")


def close() -> None:
    """Close files, processes and the network to this process, as far as CPython announces their use.

    Raises ``Unconfined`` in a process that is not confined.
    """
    if not child.is_confined():
        raise Unconfined("student code runs in a confined child only")
    _bar()


@lru_cache(maxsize=1)
def _bar() -> None:
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(BARRED):
        raise PermissionError(f"`{event}` is closed to code that is checked")


def _state() -> tuple[Any, ...]:
    numbers = np.random.get_state(legacy=True)
    return numbers[1].tobytes(), numbers[2], random.getstate()[1]  # type: ignore[index]


def _carried_out(code: CodeType, names: dict[str, Any]) -> Any:
    """Let CPython run student code: the only place, and in a confined process only; ``tests/test_architecture.py``."""
    close()
    return eval(code, names)  # noqa: S307


@lru_cache(maxsize=4096)
def _compiled(node: ast.stmt | ast.expr, file: str = "<plan>") -> CodeType:
    if isinstance(node, ast.expr):
        return compile(ast.Expression(node), file, "eval", dont_inherit=True)
    return compile(ast.Module([node], []), file, "exec", dont_inherit=True)


@lru_cache(maxsize=4096)
def _assignment(target: str) -> ast.stmt:
    return ast.parse(f"{target} = __value").body[0]


def _innermost(error: BaseException, module: ast.Module) -> tuple[ast.stmt | None, FrameType | None]:
    """Return the innermost statement of the file that was running, and its frame; nothing if there was none."""
    line, frame, at = 0, None, error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename == CODE:
            line, frame = at.tb_lineno, at.tb_frame
        at = at.tb_next
    found = [
        n for n in ast.walk(module) if isinstance(n, ast.stmt) and n.lineno <= line <= (n.end_lineno or n.lineno)
    ]
    return max(found, key=lambda n: n.lineno, default=None), frame


def _sides(at: ast.stmt | None, frame: FrameType | None) -> str:
    """Return the two numbers or shapes that an assertion compares, as the interpreter tells them."""
    test = at.test if isinstance(at, ast.Assert) else None
    if frame is None or not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return ""
    try:
        names = {**frame.f_globals, **frame.f_locals}
        sides = [_carried_out(_compiled(s), names) for s in (test.left, test.comparators[0])]
    except Exception:  # a side that has no value twice
        return ""
    sign = {"Eq": "==", "NotEq": "!="}.get(type(test.ops[0]).__name__, "and")
    return f": {sides[0]} {sign} {sides[1]}"[:200] if all(isinstance(v, (int, tuple)) for v in sides) else ""


# ---------------------------------------------------------------------------------------------------------
# What of a file is run


@lru_cache(maxsize=64)
def needed(module: ast.Module, plan: Plan) -> tuple[ast.stmt, ...]:
    """Return the statements of a file that give their values to the names that a plan uses, and to those that they use.

    Calls and loops of the file itself, its training say, are not run.
    """
    lines = "\n".join((*plan.setup, *plan.forward, plan.loss, *plan.backward))
    todo = [n.id for n in ast.walk(ast.parse(lines)) if isinstance(n, ast.Name)]
    givers: dict[str, list[ast.stmt]] = {}
    for statement in module.body:
        for name in given(statement):
            givers.setdefault(name, []).append(statement)
    seen: set[str] = set()
    found: set[ast.stmt] = set()
    while todo:
        name = todo.pop()
        for statement in givers.get(name, []) if name not in seen else []:
            if statement not in found:
                found.add(statement)
                todo += [n.id for n in ast.walk(statement) if isinstance(n, ast.Name)]
        seen.add(name)
    every = [s for s in module.body if s in found or "*" in given(s)]
    return tuple(every)


def given(statement: ast.stmt) -> list[str]:
    """Return the names that a statement of a file gives a value; ``*`` for those that nobody can tell."""
    if isinstance(statement, (ast.Expr, ast.For, ast.While)):
        return []
    found: list[str] = []
    for node in ast.walk(statement):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.append(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found += [(a.asname or a.name).split(".")[0] for a in node.names]
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.append(node.id)
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", statement)]
    if isinstance(statement, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
        found += [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
    return found
