"""Where shapes do not fit: the first gradient that has not the shape of what it is the gradient of by its name."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from symbp.language.diagnostics import Mistake
from symbp.verify.student.binding.outputs import is_laid
from symbp.verify.student.language.errors import Located
from symbp.verify.student.language.names import gradient_of
from symbp.verify.student.language.values import Array


def origin(module: ast.Module, located: Located) -> Located:
    """Return the mistake at the line that made a gradient of a wrong shape, if what broke off reads such a one.

    module:  the file.
    located: the error with which a run ended, and the names that the failing statement saw.
    """
    failing = getattr(located.node, "lineno", 0)
    if located.mistake.code != "C117":
        return located
    found: list[tuple[int, ast.stmt, str]] = []
    read = {n.id for n in ast.walk(located.node) if isinstance(n, ast.Name)}
    for name, value in located.scope.items():
        if name not in read:
            continue
        of = next((o for o in gradient_of(name) if _called(o, located.scope) is not None), None)
        wanted = None if of is None else _called(of, located.scope)
        if not isinstance(value, np.ndarray) or wanted is None or is_laid(value.shape, wanted.shape):
            continue
        made = list(_assignments(module, failing, name))
        if made and all(s.lineno < failing for s in made):  # in a loop the value may come from behind
            said = f"`{name}` is {_shown(value)}, and `{of}` is {_shown(wanted)}"
            found.append((made[0].lineno, made[0], said))
    if not found:
        return located
    _, statement, said = min(found, key=lambda f: f[0])
    help = f"line {failing} breaks off over it"
    return Located(Mistake("C117", f"a gradient has the shape of its variable: {said}", help), statement)


def _called(name: str, scope: Mapping[str, Any]) -> Array | None:
    """Return the array of real numbers that is called so: a name in scope, or an item of a dict in scope."""
    held = [v.get(name) for v in scope.values() if isinstance(v, dict)]
    for value in (scope.get(name), *held):
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            return value
    return None


def _assignments(module: ast.Module, line: int, name: str) -> Iterator[ast.stmt]:
    """Yield the statements around a line, in its function, that give a name its value."""
    functions = [
        f for f in ast.walk(module) if isinstance(f, ast.FunctionDef) and f.lineno <= line <= (f.end_lineno or 0)
    ]
    for statement in ast.walk(functions[-1]) if functions else ():
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        names = {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        if isinstance(statement, ast.stmt) and name in names:
            yield statement


def _shown(value: Array) -> str:
    return str(value.shape).replace(" ", "")
