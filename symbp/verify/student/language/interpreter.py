"""Statements and functions of student code: an interpreter over ``ast`` that records every assignment."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from symbp.language.diagnostics import Mistake, did_you_mean
from symbp.verify.student.language import arithmetic as ar
from symbp.verify.student.language import sizes
from symbp.verify.student.language.builtins_table import MATH
from symbp.verify.student.language.errors import PYTHON_ERRORS, Located, from_python
from symbp.verify.student.language.expressions import Expressions, builtin
from symbp.verify.student.language.numpy_table import numpy_module
from symbp.verify.student.language.random_draws import random_module
from symbp.verify.student.language.trace import Trace
from symbp.verify.student.language.values import Absent, Class, Function, Instance, Module, Scope, Super, kind_of

NUMPY = numpy_module(random_module())
MODULES: dict[str, Module] = {
    "numpy": NUMPY, "math": MATH, "numpy.random": NUMPY.members["random"], "numpy.linalg": NUMPY.members["linalg"],
}


@dataclass(frozen=True)
class Returned:
    """A ``return`` on its way out of a function."""

    value: Any


BREAK, CONTINUE = Returned("break"), Returned("continue")


class Interpreter(Expressions):
    """Runs functions of one file.

    module:     the statements of the file.
    is_complex: run in complex128.
    trace:      what records the assignments.
    edits:      statements that stand in place of others.
    """

    def __init__(
        self, module: ast.Module, *, is_complex: bool = False, seed: int = 0, trace: Trace | None = None,
        edits: Mapping[ast.stmt, ast.stmt] | None = None,
    ) -> None:
        super().__init__(is_complex, seed)
        self.trace = trace
        self.edits = edits or {}
        self.globals = self.scope
        self.owner: Class | None = None
        self.module, self._called = module, set[ast.AST]()
        self._pending = dict(module_names(module))
        self._opening: set[str] = set()

    # -- the module: its names get their values when they are read

    def global_name(self, name: str) -> Any:
        """Return a name of the module; what the module does beside giving names their values is not run."""
        if name in self._pending and name not in self._opening:
            self._opening.add(name)
            scope, self.scope = self.scope, self.globals
            trace, self.trace = self.trace, None
            try:
                for statement in self._pending[name]:
                    self.statement(statement)
            finally:
                self.scope, self.trace = scope, trace
                self._opening.discard(name)
            del self._pending[name]
            if name in self.globals.names:
                return self.globals.names[name]
        if name in self.globals.names:
            return self.globals.names[name]
        try:
            return builtin(name)
        except Mistake as mistake:
            if mistake.code == "C104":
                mistake.help = did_you_mean(name, self._in_scope()) or mistake.help
                if name in self._opening:
                    mistake.help = "its value depends on itself"
            raise

    def _in_scope(self) -> list[str]:
        found, scope = [*self._pending], self.scope
        while scope is not None:
            found += scope.names
            scope = scope.parent  # type: ignore[assignment]
        return found

    # -- functions

    def run(self, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any] | None = None) -> Any:
        """Call a function of the file by name."""
        with np.errstate(all="ignore"):
            return self.call(self.name(name), arguments, keywords or {})

    def call_function(self, function: Function, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Call a function of the student's."""
        names = _bound(function, arguments, keywords)
        self.budget.enter()
        self._called.add(function.node)
        scope, owner = self.scope, self.owner
        self.scope, self.owner = Scope(names, function.scope), function.owner
        try:
            if isinstance(function.node, ast.Lambda):
                return self.expression(function.node.body)
            signal = self.block(function.node.body)
            return signal.value if signal is not None else None
        finally:
            self.scope, self.owner = scope, owner
            self.budget.leave()

    def is_given_elsewhere(self, attribute: str) -> bool:
        """Tell whether a function of the file that did not run gives objects an attribute."""
        return any(f not in self._called for f in _givers(self.module, attribute))

    def _super(self, node: ast.Call) -> Super:
        if self.owner is None or node.args or not self.scope.names:
            raise Mistake("C102", "`super()` is read within a method only, without arguments")
        receiver = next(iter(self.scope.names.values()))
        if not isinstance(receiver, Instance):
            raise Mistake("C102", "`super()` is read within a method only")
        return Super(receiver, self.owner.base)

    # -- statements

    def block(self, body: list[ast.stmt]) -> Returned | None:
        """Run statements; return what ends them early."""
        for statement in body:
            signal = self.statement(statement)
            if signal is not None:
                return signal
        return None

    def statement(self, statement: ast.stmt) -> Returned | None:
        """Run one statement, or the one that stands in its place."""
        written = self.edits.get(statement, statement)
        try:
            self.budget.node()
            if self.trace is not None and self.trace.keeps:
                self.trace.visit(statement, self.scope)
            return STATEMENTS[type(written)](self, written, statement)
        except Located as located:
            located.scope = located.scope or self.scope.names
            located.through.append(statement)
            raise
        except Mistake as mistake:
            raise self._located(mistake, written, statement) from None
        except KeyError as error:
            if type(written) not in STATEMENTS:
                unread = Mistake("C102", f"`{type(written).__name__}` is not read")
                raise self._located(unread, written, statement) from None
            raise self._located(from_python(error), written, statement) from None
        except PYTHON_ERRORS as error:
            if self.is_complex and isinstance(error, TypeError):
                raise ar.NotAnalytic from None
            raise self._located(from_python(error), written, statement) from None

    def _located(self, mistake: Mistake, node: ast.AST, statement: ast.stmt) -> Located:
        located = Located(mistake, node)
        located.through.append(statement)
        located.scope = self.scope.names
        return located

    def record(self, statement: ast.stmt, target: str | ast.expr, value: Any, key: Any = None) -> Any:
        """Note an assignment to a target, or to its item; return the value that holds from here on."""
        trace = self.trace
        if trace is None or not trace.looks_at(statement):
            return value
        name = target if isinstance(target, str) else written(target)
        return trace.assigned(statement, name if key is None else f"{name}[{_shown(key)}]", value, self.scope)

    def _assign(self, written: ast.Assign, original: ast.stmt) -> None:
        value = self.expression(written.value)
        for target in written.targets:
            self.assign(target, value, original)

    def _annotated(self, written: ast.AnnAssign, original: ast.stmt) -> None:
        if written.value is not None:
            self.assign(written.target, self.expression(written.value), original)

    def assign(self, target: ast.expr, value: Any, statement: ast.stmt) -> None:
        """Give a target its value."""
        if isinstance(target, ast.Name):
            self.scope.names[target.id] = self.record(statement, target.id, value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for part, item in zip(target.elts, self.unpacked(value, len(target.elts)), strict=True):
                self.assign(part, item, statement)
        elif isinstance(target, ast.Attribute):
            owner = self.expression(target.value)
            if not isinstance(owner, Instance) or target.attr.startswith("__"):
                raise Mistake("C113", f"{kind_of(owner)} takes no attribute `{target.attr}`")
            self.budget.container(1)
            owner.attributes[target.attr] = self.record(statement, target, value)
        elif isinstance(target, ast.Subscript):
            self._set_item(target, self.expression(target.value), self.expression(target.slice), value, statement)
        else:
            raise Mistake("C102", "a target of this form is not read", "star targets are written out")

    def _set_item(self, target: ast.Subscript, base: Any, key: Any, value: Any, statement: ast.stmt) -> None:
        if isinstance(base, np.ndarray):
            if not isinstance(value, (np.ndarray, np.generic, int, float, complex, list, tuple)):
                raise Mistake("C110", f"{kind_of(value)} into an array")
            if self.is_complex and ar.is_complex(value) and base.dtype.kind != "c":
                raise ar.NotAnalytic
            base[self.place(base, key)] = value
            self.record(statement, target.value, base)
        elif isinstance(base, (dict, list)):
            if isinstance(base, dict):
                self.budget.container(1)
                self.key(key)
            elif isinstance(key, slice):
                raise Mistake("C102", "a slice of a list as a target is not read")
            shown = key + len(base) if isinstance(base, list) and key < 0 else key
            base[key] = self.record(statement, target.value, value, shown)
        else:
            raise Mistake("C110", f"{kind_of(base)} takes no items")

    def _augmented(self, written: ast.AugAssign, original: ast.stmt) -> None:
        name = type(written.op).__name__
        target = written.target
        if isinstance(target, ast.Subscript):
            base, key = self.expression(target.value), self.expression(target.slice)
            value = self.changed(name, self.item(base, key), self.expression(written.value))
            self._set_item(target, base, key, value, original)
            return
        old = self.expression(target)
        self.assign(target, self.changed(name, old, self.expression(written.value)), original)

    def changed(self, name: str, old: Any, by: Any) -> Any:
        """Return ``old op= by``: an array or a list is changed in place, as Python does."""
        if isinstance(old, np.ndarray) and name in ar.OPERATORS_IN_PLACE:
            if not isinstance(by, (int, float, complex, np.ndarray, np.generic, list, tuple)):
                raise Mistake("C110", f"an array changed by {kind_of(by)}")
            self.budget.array(sizes.broadcast({"a": old, "b": np.asarray(by)}))
            return ar.OPERATORS_IN_PLACE[name](old, by)
        if isinstance(old, list) and name == "Add":
            old.extend(self.items(by))
            return old
        return self.binary(name, old, by)

    def _expression(self, written: ast.Expr, original: ast.stmt) -> None:
        call = written.value
        if not isinstance(call, ast.Call):
            if not isinstance(call, ast.Constant):
                self.expression(call)
            return
        if self._is_for_effect(call):
            return
        self.expression(call)
        if isinstance(call.func, ast.Attribute):
            self._record_change(call.func, call, original)

    def _is_for_effect(self, call: ast.Call) -> bool:
        """Tell whether a call belongs to a module that is not read, such as ``plt.plot(...)``."""
        root: ast.expr = call.func
        while isinstance(root, (ast.Attribute, ast.Call, ast.Subscript)):
            root = root.func if isinstance(root, ast.Call) else root.value
        if not isinstance(root, ast.Name):
            return False
        try:
            return isinstance(self.name(root.id), Absent)
        except (Mistake, Located):
            return False

    def _record_change(self, method: ast.Attribute, call: ast.Call, original: ast.stmt) -> None:
        """Note what ``np.add.at(...)``, ``x.fill(...)`` and ``x.append(...)`` changed."""
        if method.attr == "at" and call.args:
            self.record(original, call.args[0], self.expression(call.args[0]))
        elif method.attr in ("append", "insert", "fill") and self.trace is not None:
            base = self.expression(method.value)
            if isinstance(base, np.ndarray):
                self.record(original, method.value, base)
            elif isinstance(base, list) and base:
                at = len(base) - 1 if method.attr == "append" else 0
                base[at] = self.record(original, method.value, base[at], at)

    def _return(self, written: ast.Return, original: ast.stmt) -> Returned:
        value = None if written.value is None else self.expression(written.value)
        if isinstance(value, tuple):
            return Returned(tuple(self.record(original, f"return[{k}]", v) for k, v in enumerate(value)))
        return Returned(self.record(original, "return", value))

    def _for(self, written: ast.For, original: ast.stmt) -> Returned | None:
        for value in self.items(self.expression(written.iter)):
            self.budget.node()
            self.bind_names(written.target, value)
            signal = self.block(written.body)
            if signal is BREAK:
                return None
            if signal is not None and signal is not CONTINUE:
                return signal
        return self.block(written.orelse)

    def _while(self, written: ast.While, original: ast.stmt) -> Returned | None:
        while self.truth(self.expression(written.test)):
            self.budget.node()
            signal = self.block(written.body)
            if signal is BREAK:
                return None
            if signal is not None and signal is not CONTINUE:
                return signal
        return self.block(written.orelse)

    def _if(self, written: ast.If, original: ast.stmt) -> Returned | None:
        return self.block(written.body if self.truth(self.expression(written.test)) else written.orelse)

    def _assert(self, written: ast.Assert, original: ast.stmt) -> None:
        if self.truth(self.expression(written.test)):
            return
        seen = ""
        if isinstance(written.test, ast.Compare) and len(written.test.ops) == 1:
            sides = [self.expression(s) for s in (written.test.left, written.test.comparators[0])]
            if all(isinstance(v, (int, tuple)) for v in sides):
                sign = {"Eq": "==", "NotEq": "!="}.get(type(written.test.ops[0]).__name__, "and")
                seen = f": {sides[0]} {sign} {sides[1]}"[:200]
        raise Mistake("C116", f"an assertion of the code does not hold{seen}")

    def _raise(self, written: ast.Raise, original: ast.stmt) -> None:
        raise Mistake("C116", "the code raises an error of its own")

    def _define(self, written: ast.FunctionDef, original: ast.stmt) -> None:
        self.scope.names[written.name] = self.function(written, written.name)

    def _class(self, written: ast.ClassDef, original: ast.stmt) -> None:
        base = None
        if written.bases:
            found = None if ast.unparse(written.bases[0]) == "object" else self.expression(written.bases[0])
            if found is not None and not isinstance(found, Class):
                raise Mistake("C102", "a class is derived from a class of the same file only")
            base = found
        outer = self.scope
        inner = Scope({}, outer)
        self.scope = inner
        try:
            self.block([s for s in written.body if not isinstance(s, ast.Expr)])
        finally:
            self.scope = outer
        made = Class(written.name, base, inner.names)
        for statement in written.body:
            if isinstance(statement, ast.FunctionDef):
                method = inner.names[statement.name]
                # Names of a class are not seen from its methods.
                method.scope, method.owner = outer, made
                method.is_static = any(ast.unparse(d) == "staticmethod" for d in statement.decorator_list)
        outer.names[written.name] = made

    def _import(self, written: ast.Import, original: ast.stmt) -> None:
        for alias in written.names:
            found: Any = MODULES.get(alias.name) or Absent(alias.name)
            if alias.asname is None and "." in alias.name:
                root = alias.name.split(".")[0]
                self.scope.names[root] = MODULES.get(root) or Absent(root)
            else:
                self.scope.names[alias.asname or alias.name] = found

    def _import_from(self, written: ast.ImportFrom, original: ast.stmt) -> None:
        module = MODULES.get(written.module or "")
        for alias in written.names:
            if module is None or written.level:
                self.scope.names[alias.asname or alias.name] = Absent(f"{written.module}.{alias.name}")
            elif alias.name == "*":
                self.scope.names.update(module.members)
            else:
                self.scope.names[alias.asname or alias.name] = self.attribute(module, alias.name)


def _nothing(self: Interpreter, written: ast.stmt, original: ast.stmt) -> None:
    return None


STATEMENTS: dict[type[ast.AST], Callable[[Interpreter, Any, ast.stmt], Returned | None]] = {
    ast.Assign: Interpreter._assign, ast.AnnAssign: Interpreter._annotated, ast.AugAssign: Interpreter._augmented,
    ast.Expr: Interpreter._expression, ast.Return: Interpreter._return, ast.For: Interpreter._for,
    ast.While: Interpreter._while, ast.If: Interpreter._if, ast.Assert: Interpreter._assert,
    ast.Raise: Interpreter._raise, ast.FunctionDef: Interpreter._define, ast.ClassDef: Interpreter._class,
    ast.Import: Interpreter._import, ast.ImportFrom: Interpreter._import_from, ast.Pass: _nothing,
    ast.Break: lambda self, written, original: BREAK, ast.Continue: lambda self, written, original: CONTINUE,
}
"""What runs each kind of statement."""


@lru_cache(maxsize=512)
def _givers(module: ast.Module, attribute: str) -> tuple[ast.AST, ...]:
    """Return the functions that give objects an attribute, or any: what calls ``setattr``."""
    def gives(node: ast.AST) -> bool:
        if isinstance(node, ast.Attribute):
            return node.attr == attribute and isinstance(node.ctx, ast.Store)
        return isinstance(node, ast.Name) and node.id in ("setattr", "vars")

    return tuple(f for f in ast.walk(module) if isinstance(f, ast.FunctionDef) and any(map(gives, ast.walk(f))))


@lru_cache(maxsize=4096)
def written(target: ast.expr) -> str:
    """Return a target as text."""
    return ast.unparse(target)


@lru_cache(maxsize=16)
def module_names(module: ast.Module) -> dict[str, list[ast.stmt]]:
    """Return the statements of a file that give each of its names a value; loops and calls of the file are not run."""
    found: dict[str, list[ast.stmt]] = {}
    for statement in module.body:
        for name in _given_names(statement):
            found.setdefault(name, []).append(statement)
    return found


def _given_names(statement: ast.stmt) -> list[str]:
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        names = [a.asname or a.name.split(".")[0] for a in statement.names]
        if names == ["*"] and isinstance(statement, ast.ImportFrom):
            return list(MODULES[statement.module].members) if statement.module in MODULES else []
        return names
    if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
    return []


def _bound(function: Function, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
    """Return the names of a function's parameters with what they are given."""
    spec = function.node.args
    if spec.vararg or spec.kwarg:
        raise Mistake("C102", f"`*` and `**` in parameters of `{function.name}` are not read", "name the parameters")
    positional = [a.arg for a in (*spec.posonlyargs, *spec.args)]
    if len(arguments) > len(positional):
        raise Mistake(
            "C110", f"`{function.name}` takes {len(positional)} arguments, given are {len(arguments)}",
        )
    names = dict(zip(positional, arguments, strict=False))
    known = {*positional, *(a.arg for a in spec.kwonlyargs)}
    for key, value in keywords.items():
        if key not in known:
            raise Mistake("C110", f"`{function.name}` has no parameter `{key}`", did_you_mean(key, known))
        if key in names:
            raise Mistake("C110", f"`{function.name}` is given `{key}` twice")
        names[key] = value
    late = dict(zip(positional[len(positional) - len(function.defaults):], function.defaults, strict=True))
    names = {**late, **function.keyword_defaults, **names}
    missing = [p for p in (*positional, *(a.arg for a in spec.kwonlyargs)) if p not in names]
    if missing:
        raise Mistake("C110", f"`{function.name}` is not given `{missing[0]}`")
    # In the order of the parameters: the first is the receiver of a method.
    return {p: names[p] for p in (*positional, *(a.arg for a in spec.kwonlyargs))}


def _shown(key: Any) -> str:
    return repr(key.item() if isinstance(key, np.generic) else key)[:60]
