"""Expressions of student code: a method for each kind of node, over real arrays and plain data.

Nothing is executed but what a method here does.  An error is a ``Mistake`` where it is found; the node at which it
happened is added on the way up, as ``Located``.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from symbp.language.diagnostics import Mistake, did_you_mean
from symbp.verify.student import arithmetic as ar
from symbp.verify.student import budgets, methods, sizes
from symbp.verify.student.builtins_table import BUILTINS, convert
from symbp.verify.student.numpy_table import BOOL, FLOAT, INT, plain
from symbp.verify.student.random_draws import of_generator
from symbp.verify.student.values import (
    Absent, Builtin, Class, Dtype, Function, Instance, Method, Module, Opaque, RandomGenerator, Scope, Super, Type,
    kind_of,
)

PYTHON_ERRORS = (
    ArithmeticError, LookupError, ValueError, TypeError, AttributeError, MemoryError, RecursionError, RuntimeError,
    BufferError,
)
"""What NumPy and Python raise when values do not fit; each becomes a diagnostic."""


class Located(Exception):
    """A mistake with the node at which it happened."""

    def __init__(self, mistake: Mistake, node: ast.AST) -> None:
        super().__init__(str(mistake))
        self.mistake, self.node = mistake, node

    def __reduce__(self) -> tuple[type[Exception], tuple[str]]:
        return RuntimeError, (str(self),)  # the node stays in its process


def is_limit(error: Exception | None) -> bool:
    """Tell whether a run ended at a budget: other shapes would not help."""
    return isinstance(error, Located) and "C120" <= error.mistake.code <= "C124"


def from_python(error: Exception) -> Mistake:
    """Return the diagnostic for an error that NumPy or Python raised."""
    text = str(error).splitlines()[0][:160] if str(error) else ""
    if isinstance(error, RecursionError):
        return Mistake("C123", "the code is nested too deeply")
    if isinstance(error, MemoryError):
        return Mistake("C121", "the code needs too much memory")
    if isinstance(error, ZeroDivisionError):
        return Mistake("C114", "division by zero")
    if isinstance(error, KeyError):
        return Mistake("C114", f"there is no key {text}")
    if isinstance(error, IndexError):
        return Mistake("C114", f"an index is out of range: {text}")
    if "not aligned" in text or "broadcast" in text or "mismatch in its core dimension" in text:
        return Mistake("C117", f"shapes do not fit: {text}")
    return Mistake("C110", f"NumPy says: {text}" if text else type(error).__name__)


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add, "Sub": operator.sub, "Mult": operator.mul, "Div": operator.truediv, "Pow": operator.pow,
    "FloorDiv": operator.floordiv, "Mod": operator.mod, "MatMult": operator.matmul, "BitAnd": operator.and_,
    "BitOr": operator.or_, "BitXor": operator.xor, "LShift": budgets.bounded_shift, "RShift": operator.rshift,
}
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "Eq": operator.eq, "NotEq": operator.ne, "Lt": operator.lt, "LtE": operator.le, "Gt": operator.gt,
    "GtE": operator.ge,
}
SIGNS = {"Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "Pow": "**", "FloorDiv": "//", "Mod": "%", "MatMult": "@",
         "BitAnd": "&", "BitOr": "|", "BitXor": "^", "LShift": "<<", "RShift": ">>"}

ENTRYWISE = ("add", "subtract", "multiply", "divide", "power", "maximum", "minimum")
"""Functions of NumPy that do what operators do."""

NUMERIC = (int, float, complex, np.ndarray, np.generic)


@dataclass(frozen=True)
class Square:
    """An array of shape (m, m) that shapes (m,) or (1, m), and (m, 1) made.

    size:  m.
    row:   which of the two operands lies along a row.
    shape: the shape of that one.
    """

    size: int
    row: int
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"shapes {self.shape} and ({self.size}, 1) make ({self.size}, {self.size})"


class Expressions:
    """Evaluates expressions in a scope."""

    def __init__(self, is_complex: bool = False, seed: int = 0) -> None:
        self.is_complex = is_complex
        self.budget = budgets.Budget()
        self.seed = seed
        self.has_drawn = False
        self.squares: dict[ast.expr, Square] = {}
        self.scope = Scope({})

    @cached_property
    def rng(self) -> np.random.Generator:
        """The generator of random numbers: its draws are the same in every run."""
        return np.random.default_rng(self.seed)

    # -- what a subclass adds: names of the module, and functions

    def global_name(self, name: str) -> Any:
        """Return a name of the module."""
        raise NotImplementedError

    def call_function(self, function: Function, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Call a function of the student's."""
        raise NotImplementedError

    # -- numbers

    def dtype(self, kind: Dtype) -> Any:
        """Return the type of entries as NumPy has it, in the present arithmetic."""
        if kind is FLOAT:
            return np.complex128 if self.is_complex else np.float64
        return {INT: np.int64, BOOL: np.bool_}[kind]

    def builtins_to_dtype(self, kind: Any) -> Dtype:
        """Return a type of entries that was given as ``float``, ``np.float64`` or a string."""
        if isinstance(kind, str):
            kind = {"f": FLOAT, "i": INT, "b": BOOL, "u": INT}.get(kind[:1])
        if not isinstance(kind, Dtype):
            raise Mistake("C110", "a type of entries is float, int or bool")
        return kind

    def number(self, value: Any) -> Any:
        """Return what NumPy gave, with entries of float64, int64 or bool (complex128 in complex mode)."""
        if isinstance(value, (list, tuple)):
            return type(value)(self.number(v) for v in value)
        if not isinstance(value, (np.ndarray, np.generic)):
            if isinstance(value, complex) and not self.is_complex:
                raise Mistake("C110", "a root of a negative number")
            return value
        kind = value.dtype.kind
        if kind == "f":
            return value.astype(np.complex128) if self.is_complex else (
                value if value.dtype.itemsize == 8 else value.astype(np.float64))
        if kind in "iu":
            return value if value.dtype == np.int64 else value.astype(np.int64)
        if kind == "b" or (kind == "c" and self.is_complex):
            return value
        raise Mistake("C110", "an array whose entries are no numbers", "rows of a nested list have one length")

    def truth(self, value: Any) -> bool:
        """Return whether a value counts as true."""
        if isinstance(value, np.ndarray) and value.size != 1:
            raise Mistake("C110", "an array is neither true nor false", "entry by entry is `np.where`, or a mask")
        return bool(ar.real(value)) if not isinstance(value, Opaque) else True

    def items(self, value: Any) -> list[Any]:
        """Return the items that a loop over a value takes."""
        if (isinstance(value, np.ndarray) and value.ndim == 0) or not isinstance(
            value, (list, tuple, dict, str, range, np.ndarray)
        ):
            raise Mistake("C110", f"a loop over {kind_of(value)}")
        self.budget.container(len(value))
        return list(value)

    def binary(self, name: str, left: Any, right: Any) -> Any:
        """Return ``left op right``, whose size is counted before."""
        if isinstance(left, NUMERIC) and isinstance(right, NUMERIC):
            return self.number(self._arithmetic(name, left, right))
        if name == "Add" and type(left) is type(right) and isinstance(left, (list, tuple, str)):
            size = len(left) + len(right)
            self.budget.text(size) if isinstance(left, str) else self.budget.container(size)
            return left + right
        if name == "Mult":
            for times, what in ((left, right), (right, left)):
                if isinstance(times, (int, np.integer)) and isinstance(what, (list, tuple, str)):
                    size = max(int(times), 0) * len(what)
                    self.budget.text(size) if isinstance(what, str) else self.budget.container(size)
                    return what * int(times)
        if name == "Mod" and isinstance(left, str):
            return methods.percent(left, right)
        if (isinstance(left, (list, tuple)) and isinstance(right, (np.ndarray, np.generic))) or (
            isinstance(right, (list, tuple)) and isinstance(left, (np.ndarray, np.generic))
        ):
            return self.binary(name, np.asarray(plain(left, self)), np.asarray(plain(right, self)))  # type: ignore[arg-type]
        raise Mistake("C110", f"`{SIGNS[name]}` between {kind_of(left)} and {kind_of(right)}")

    def _arithmetic(self, name: str, left: Any, right: Any) -> Any:
        arrays = isinstance(left, np.ndarray) or isinstance(right, np.ndarray)
        if not arrays:
            if isinstance(left, int) and isinstance(right, int):
                if name == "Pow":
                    return budgets.bounded_power(left, right)
                if name == "Mult":
                    return budgets.bounded_product(left, right)
            if name in ("LShift", "RShift", "BitAnd", "BitOr", "BitXor"):
                return BINARY[name](_integer(left), _integer(right))
            if name in ("FloorDiv", "Mod"):
                return BINARY[name](ar.real(left), ar.real(right))
            return BINARY[name](left, right)
        if name == "MatMult":
            elements = sizes.product({"a": left, "b": right})
            self.budget.array(elements)
            self.budget.work(elements * (np.shape(left) or (1,))[-1])
            return left @ right
        a, b = getattr(left, "shape", ()), getattr(right, "shape", ())
        self.budget.array(math.prod(a if a == b or not b else sizes.together(a, b)))
        if name == "LShift":
            raise Mistake("C110", "a shift of an array")
        if name in ("FloorDiv", "Mod") and self.is_complex:
            return BINARY[name](ar.real(left), ar.real(right))
        return BINARY[name](left, right)

    def index(self, value: Any) -> Any:
        """Return an index of an array: integers, slices, None, Ellipsis, arrays of integers or of truth values."""
        if type(value) is int:
            return value
        if isinstance(value, tuple):
            return tuple(self.index(v) for v in value)
        if isinstance(value, list):
            value = np.asarray(plain(value, self)) if value else np.zeros(0, np.int64)  # type: ignore[arg-type]
        if isinstance(value, slice):
            return slice(*(None if v is None else _integer(v) for v in (value.start, value.stop, value.step)))
        if value is None or value is Ellipsis or isinstance(value, (bool, np.bool_)):
            return value
        if isinstance(value, np.ndarray):
            if value.dtype.kind not in "ib":
                raise Mistake("C110", "an index is made of integers or truth values", "convert by `.astype(int)`")
            return value
        if isinstance(value, range):
            return np.asarray(value)
        return _integer(value)

    def key(self, value: Any) -> Any:
        """Return a key of a dict, which Python will go through for its hash."""
        self.budget.walk(value)
        return value

    def place(self, base: Any, key: Any) -> Any:
        """Return an index of an array; how many entries lie there is counted."""
        at = self.index(key)
        self.budget.array(sizes.indexed(np.shape(base), at if isinstance(at, tuple) else (at,)))
        return at

    def item(self, base: Any, key: Any) -> Any:
        """Return ``base[key]``."""
        if isinstance(base, (np.ndarray, np.generic)):
            return base[self.place(base, key)]  # type: ignore[index]
        if isinstance(base, dict):
            if self.key(key) not in base:
                known = [k for k in base if isinstance(k, str)]
                help = did_you_mean(key, known) if isinstance(key, str) else ""
                raise Mistake("C114", f"there is no key {key!r}"[:80], help)
            return base[key]
        if isinstance(base, (list, tuple, str, range)):
            if isinstance(key, slice):
                found = base[self.index(key)]
                self.budget.container(len(found))
                return found
            if isinstance(key, tuple):
                raise Mistake("C110", f"a {kind_of(base)} has one index", "an array is made by `np.array`")
            return base[_integer(key)]
        raise Mistake("C110", f"{kind_of(base)} has no items")

    # -- calls

    def call(self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Call anything that can be called."""
        if isinstance(function, Builtin):
            return function.call(self, arguments, keywords)  # type: ignore[arg-type]
        if isinstance(function, Function):
            return self.call_function(function, arguments, keywords)
        if isinstance(function, Method):
            return self.call_function(function.function, (function.receiver, *arguments), keywords)
        if isinstance(function, (Dtype, Type)):
            return convert(self, function, arguments, keywords)  # type: ignore[arg-type]
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
        return methods.attribute(self, value, name)  # type: ignore[arg-type]

    def _member(self, instance: Instance, owner: Class | None, name: str) -> Any:
        found = owner.find(name) if owner is not None else None
        if found is None:
            raise Mistake(
                "C113", f"the object of class `{instance.of.name}` has no attribute `{name}`",
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
            found = _integer(left) in right if isinstance(right, range) else left in right
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
        return methods.formatted(self.expression(node.value), specification)

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
        arguments = tuple([self.expression(a) for a in node.args])
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


def _integer(value: Any) -> int:
    if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "ib":
        return int(value)
    if not isinstance(value, (int, np.integer, np.bool_)):
        raise Mistake("C110", f"{kind_of(value)} where an integer is wanted", "`//` divides integers")
    return int(value)
