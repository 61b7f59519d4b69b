"""Expressions of student code: a method for each kind of node, over real arrays and plain data.

Nothing is executed but what a method here does.  An error is a ``Mistake`` where it is found; the node at which it
happened is added on the way up, as ``Located``.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from symbp.language.diagnostics import Mistake, did_you_mean
from symbp.verify.student.language import arithmetic as ar
from symbp.verify.student.language import methods, sizes
from symbp.verify.student.language.builtins_table import BUILTINS, convert
from symbp.verify.student.language.errors import PYTHON_ERRORS, Located, from_python
from symbp.verify.student.language.operations import COMPARE, NUMERIC, Operations, integer
from symbp.verify.student.language.random_draws import of_generator
from symbp.verify.student.language.texts import formatted
from symbp.verify.student.language.trace import Square
from symbp.verify.student.language.values import (
    Absent, Builtin, Class, Dtype, Function, Instance, Method, Module, Opaque, RandomGenerator, Scope, Super, Type,
    kind_of,
)

ENTRYWISE = ("add", "subtract", "multiply", "divide", "power", "maximum", "minimum")
"""Functions of NumPy that do what operators do."""


class Expressions(Operations):
    """Evaluates expressions in a scope."""

    def __init__(self, is_complex: bool = False, seed: int = 0) -> None:
        super().__init__(is_complex, seed)
        self.squares: dict[ast.expr, Square] = {}
        self.scope = Scope({})

    # -- what a subclass adds: names of the module, and functions

    def global_name(self, name: str) -> Any:
        """Return a name of the module."""
        raise NotImplementedError

    def call_function(self, function: Function, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Call a function of the student's."""
        raise NotImplementedError

    def is_given_elsewhere(self, attribute: str) -> bool:
        """Tell whether a function of the file that did not run gives objects an attribute."""
        raise NotImplementedError

    # -- calls

    def call(self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Call anything that can be called."""
        if isinstance(function, Builtin):
            return function.call(self, arguments, keywords)
        if isinstance(function, Function):
            return self.call_function(function, arguments, keywords)
        if isinstance(function, Method):
            return self.call_function(function.function, (function.receiver, *arguments), keywords)
        if isinstance(function, (Dtype, Type)):
            return convert(self, function, arguments, keywords)
        if isinstance(function, Class):
            instance = Instance(function, {})
            self.budget.container(1)
            start = function.find("__init__")
            if isinstance(start, Function):
                self.call_function(start, (instance, *arguments), keywords)
            elif arguments or keywords:
                raise Mistake("C110", f"class `{function.name}` has no `__init__` that takes arguments")
            return instance
        if isinstance(function, Instance) and isinstance(function.of.find("__call__"), Function):
            return self.call_function(function.of.find("__call__"), (function, *arguments), keywords)
        raise Mistake("C110", f"{kind_of(function)} cannot be called")

    def attribute(self, value: Any, name: str) -> Any:
        """Return a member of a value; names with two underscores are closed."""
        if name.startswith("__") and not (name == "__init__" and isinstance(value, (Class, Super))):
            raise Mistake("C113", f"the attribute `{name}` is closed", "names with two underscores are not read")
        if isinstance(value, Instance):
            if name in value.attributes:
                return value.attributes[name]
            return self._member(value, value.of, name)
        if isinstance(value, Super):
            if value.above is None and name == "__init__":
                return Builtin("super().__init__", lambda i, a, k: None)
            return self._member(value.receiver, value.above, name)
        if isinstance(value, Class):
            found = value.find(name)
            if found is None:
                raise Mistake("C113", f"class `{value.name}` has no `{name}`", did_you_mean(name, value.members))
            return found
        if isinstance(value, Module):
            if name not in value.members:
                raise Mistake(
                    "C111", f"`{value.name}.{name}` is not in the table of functions that are read",
                    did_you_mean(name, value.members) or "write it with functions that are",
                )
            return value.members[name]
        if isinstance(value, Absent):
            raise Mistake("C103", f"`{value.name}` is not read: only NumPy and math are")
        if isinstance(value, RandomGenerator):
            found = of_generator(name)
            if found is None:
                raise Mistake("C111", f"`{name}` of a generator is not in the table of functions that are read")
            return found
        if isinstance(value, Builtin) and name in value.members:
            return value.members[name]
        if isinstance(value, Opaque):
            raise Mistake("C113", f"{kind_of(value)} has no attribute `{name}` here")
        if name.startswith("_"):
            raise Mistake("C113", f"the attribute `{name}` is closed", "names with an underscore are not read")
        return methods.attribute(self, value, name)

    def _member(self, instance: Instance, owner: Class | None, name: str) -> Any:
        found = owner.find(name) if owner is not None else None
        if found is None:
            is_open = self.is_given_elsewhere(name) or instance.of.find("__getattr__") is not None
            raise Mistake(
                "C113" if is_open else "C118", f"the object of class `{instance.of.name}` has no attribute `{name}`",
                did_you_mean(name, [*instance.attributes, *(owner.members if owner else ())]),
            )
        if isinstance(found, Function) and not found.is_static:
            return Method(found, instance)
        return found

    # -- nodes

    def expression(self, node: ast.expr) -> Any:
        """Return the value of an expression."""
        budget = self.budget
        budget.nodes += 1
        try:
            if budget.nodes > budget.most:
                budget.node()
            return NODES[type(node)](self, node)
        except Mistake as mistake:
            raise Located(mistake, node) from None
        except KeyError as error:
            if type(node) not in NODES:
                raise Located(Mistake("C102", f"`{type(node).__name__}` is not read"), node) from None
            raise Located(from_python(error), node) from None
        except PYTHON_ERRORS as error:
            if self.is_complex and isinstance(error, TypeError):
                raise ar.NotAnalytic from None
            raise Located(from_python(error), node) from None

    def _constant(self, node: ast.Constant) -> Any:
        value = node.value
        if value is Ellipsis or value is None or isinstance(value, (str, bool, int, float)):
            return value
        raise Mistake("C102", f"a constant of type {type(value).__name__} is not read")

    def _name(self, node: ast.Name) -> Any:
        return self.name(node.id)

    def name(self, name: str) -> Any:
        """Return what a name stands for: here, around, in the module, built in."""
        scope: Scope | None = self.scope
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return self.global_name(name)

    def _attribute(self, node: ast.Attribute) -> Any:
        return self.attribute(self.expression(node.value), node.attr)

    def _subscript(self, node: ast.Subscript) -> Any:
        return self.item(self.expression(node.value), self.expression(node.slice))

    def _slice(self, node: ast.Slice) -> slice:
        lower = None if node.lower is None else self.expression(node.lower)
        upper = None if node.upper is None else self.expression(node.upper)
        return slice(lower, upper, None if node.step is None else self.expression(node.step))

    def _binary(self, node: ast.BinOp) -> Any:
        left, right = self.expression(node.left), self.expression(node.right)
        if type(node.op).__name__ != "MatMult":
            self._notice(node, (left, right))
        return self.binary(type(node.op).__name__, left, right)

    def _notice(self, node: ast.expr, operands: tuple[Any, ...]) -> None:
        """Note where shapes (m,) or (1, m) meet (m, 1), of which broadcasting makes (m, m)."""
        shapes = [np.shape(v) if isinstance(v, np.ndarray) else () for v in operands[:2]]
        for row in (0, 1) if len(shapes) == 2 else ():
            mine, other = shapes[row], shapes[1 - row]
            if len(other) == 2 and mine in (other[:1], other[::-1]) and other[1] == 1 < other[0]:
                self.squares.setdefault(node, Square(other[0], row, mine))

    def _unary(self, node: ast.UnaryOp) -> Any:
        value = self.expression(node.operand)
        if isinstance(node.op, ast.Not):
            return not self.truth(value)
        if not isinstance(value, NUMERIC):
            raise Mistake("C110", f"a sign before {kind_of(value)}")
        self.budget.array(np.size(value))
        if isinstance(node.op, ast.Invert):
            return self.number(~value)  # type: ignore[operator]
        return self.number(-value if isinstance(node.op, ast.USub) else +value)  # type: ignore[operator]

    def _compare(self, node: ast.Compare) -> Any:
        left = self.expression(node.left)
        result: Any = True
        for op, other in zip(node.ops, node.comparators, strict=True):
            right = self.expression(other)
            result = self._compared(op, left, right)
            if len(node.ops) > 1 and not self.truth(result):
                return result
            left = right
        return result

    def _compared(self, op: ast.cmpop, left: Any, right: Any) -> Any:
        if isinstance(op, (ast.Is, ast.IsNot)):
            same = left is right
            return same if isinstance(op, ast.Is) else not same
        if isinstance(op, (ast.In, ast.NotIn)):
            if not isinstance(right, (list, tuple, dict, str, range, np.ndarray)) or (
                isinstance(right, str) and not isinstance(left, str)
            ):
                raise Mistake("C110", f"`in` {kind_of(right)}")
            self.budget.walk(left, right)
            found = integer(left) in right if isinstance(right, range) else left in right
            return found if isinstance(op, ast.In) else not found
        if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
            if isinstance(left, Opaque) or isinstance(right, Opaque):
                raise Mistake("C110", f"a comparison of {kind_of(left)} with {kind_of(right)}")
            shapes = [np.shape(v) for v in (left, right) if isinstance(v, (np.ndarray, list, tuple))]
            self.budget.array(math.prod(sizes.together(*shapes)))
        self.budget.walk(left, right)
        return COMPARE[type(op).__name__](ar.real(left), ar.real(right))

    def _either(self, node: ast.BoolOp) -> Any:
        value: Any = None
        for part in node.values:
            value = self.expression(part)
            if self.truth(value) == isinstance(node.op, ast.Or):
                break
        return value

    def _choice(self, node: ast.IfExp) -> Any:
        return self.expression(node.body if self.truth(self.expression(node.test)) else node.orelse)

    def _list(self, node: ast.List) -> list[Any]:
        self.budget.container(len(node.elts))
        return [self.expression(e) for e in node.elts]

    def _tuple(self, node: ast.Tuple) -> tuple[Any, ...]:
        self.budget.container(len(node.elts))
        return tuple([self.expression(e) for e in node.elts])

    def _dict(self, node: ast.Dict) -> dict[Any, Any]:
        self.budget.container(len(node.keys))
        if any(key is None for key in node.keys):
            raise Mistake("C102", "`**` in a dict is not read", "write `.update(...)`")
        return {
            self.key(self.expression(k)): self.expression(v) for k, v in zip(node.keys, node.values, strict=True) if k
        }

    def _text(self, node: ast.JoinedStr) -> str:
        parts = [self.expression(part) for part in node.values]
        self.budget.text(sum(len(p) for p in parts))
        return "".join(parts)

    def _field(self, node: ast.FormattedValue) -> str:
        specification = "" if node.format_spec is None else self.expression(node.format_spec)
        return formatted(self.expression(node.value), specification)

    def _lambda(self, node: ast.Lambda) -> Function:
        return self.function(node, "lambda")

    def function(self, node: ast.FunctionDef | ast.Lambda, name: str) -> Function:
        """Return a function of the student's, with the values of its defaults."""
        given = node.args
        defaults = tuple(self.expression(d) for d in given.defaults)
        by_keyword = {
            a.arg: self.expression(d) for a, d in zip(given.kwonlyargs, given.kw_defaults, strict=True) if d is not None
        }
        return Function(name, node, self.scope, defaults, by_keyword)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.DictComp) -> Any:
        found: list[Any] = []
        outer = self.scope
        self.scope = Scope({}, outer)
        try:
            self._rounds(node, list(node.generators), found)
        finally:
            self.scope = outer
        return dict(found) if isinstance(node, ast.DictComp) else found

    def _rounds(self, node: Any, generators: list[ast.comprehension], found: list[Any]) -> None:
        if not generators:
            self.budget.container(1)
            found.append(
                (self.key(self.expression(node.key)), self.expression(node.value)) if isinstance(node, ast.DictComp)
                else self.expression(node.elt)
            )
            return
        first, *rest = generators
        for value in self.items(self.expression(first.iter)):
            self.bind_names(first.target, value)
            if all(self.truth(self.expression(test)) for test in first.ifs):
                self._rounds(node, rest, found)

    def bind_names(self, target: ast.expr, value: Any) -> None:
        """Give names of a loop their values, unpacking tuples."""
        if isinstance(target, ast.Name):
            self.scope.names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            for part, item in zip(target.elts, self.unpacked(value, len(target.elts)), strict=True):
                self.bind_names(part, item)
        else:
            raise Mistake("C102", "the target of a loop is a name")

    def unpacked(self, value: Any, number: int) -> list[Any]:
        """Return as many items as there are targets."""
        found = self.items(value)
        if len(found) != number:
            raise Mistake("C114", f"{len(found)} values for {number} names")
        return found

    def _call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Name):
            if node.func.id == "print":
                return None
            if node.func.id == "super":
                return self._super(node)
        function = self.expression(node.func)
        given: list[Any] = []
        for a in node.args:
            given += self.items(self.expression(a.value)) if isinstance(a, ast.Starred) else [self.expression(a)]
        arguments = tuple(given)
        keywords = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                raise Mistake("C102", "`**` in a call is not read", "name the arguments")
            keywords[keyword.arg] = self.expression(keyword.value)
        if isinstance(function, Builtin) and function.name.removeprefix("np.") in ENTRYWISE:
            self._notice(node, arguments)
        return self.call(function, arguments, keywords)

    def _super(self, node: ast.Call) -> Super:
        raise Mistake("C102", "`super()` outside a class")


NODES: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Constant: Expressions._constant, ast.Name: Expressions._name, ast.Attribute: Expressions._attribute,
    ast.Subscript: Expressions._subscript, ast.Slice: Expressions._slice, ast.BinOp: Expressions._binary,
    ast.UnaryOp: Expressions._unary, ast.Compare: Expressions._compare, ast.BoolOp: Expressions._either,
    ast.IfExp: Expressions._choice, ast.List: Expressions._list, ast.Tuple: Expressions._tuple,
    ast.Dict: Expressions._dict, ast.JoinedStr: Expressions._text, ast.FormattedValue: Expressions._field,
    ast.Lambda: Expressions._lambda, ast.ListComp: Expressions._comprehension,
    ast.GeneratorExp: Expressions._comprehension, ast.DictComp: Expressions._comprehension,
    ast.Call: lambda self, node: self._call(node),
}
"""What evaluates each kind of expression."""


CLOSED = ("open", "eval", "exec", "compile", "__import__", "getattr", "setattr", "globals", "input", "vars", "type",
          "hasattr", "delattr", "locals", "dir", "id", "object", "memoryview", "breakpoint", "help")
"""Built-in names that are there in Python and closed here."""


def builtin(name: str) -> Any:
    """Return a built-in name.

    Raises ``Mistake`` if there is none that is read.
    """
    if name in BUILTINS:
        return BUILTINS[name]
    if name in CLOSED:
        raise Mistake("C105", f"`{name}` is closed to code that is checked")
    raise Mistake("C104", f"there is no name `{name}`", did_you_mean(name, BUILTINS))
