"""What operators and indices do to numbers, arrays and lists, whoever wrote them: with budgets, in one arithmetic."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from symbp.language.diagnostics import Mistake, did_you_mean
from symbp.verify.student.language import arithmetic as ar
from symbp.verify.student.language import budgets, sizes
from symbp.verify.student.language.texts import percent
from symbp.verify.student.language.values import BOOL, FLOAT, INT, Dtype, Opaque, kind_of

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

NUMERIC = (int, float, complex, np.ndarray, np.generic)

WORDS = {"order": ("C", "F", "A", "K"), "mode": ("constant", "edge", "reflect", "wrap"), "indexing": ("ij", "xy"),
         "ord": ("fro",)}
"""The strings that parameters take."""


class Operations:
    """Computes with values in real or in complex numbers, and counts what it costs.

    is_complex: whether numbers are complex.
    has_drawn:  whether random numbers were drawn.
    """

    def __init__(self, is_complex: bool, seed: int) -> None:
        self.is_complex = is_complex
        self.budget = budgets.Budget()
        self.seed = seed
        self.has_drawn = False

    @cached_property
    def rng(self) -> np.random.Generator:
        """The generator of random numbers: its draws are the same in every run."""
        return np.random.default_rng(self.seed)

    def call(self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Call anything that can be called."""
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
            return percent(left, right)
        if (isinstance(left, (list, tuple)) and isinstance(right, (np.ndarray, np.generic))) or (
            isinstance(right, (list, tuple)) and isinstance(left, (np.ndarray, np.generic))
        ):
            return self.binary(name, np.asarray(plain(left, self)), np.asarray(plain(right, self)))
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
                return BINARY[name](integer(left), integer(right))
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
            value = np.asarray(plain(value, self)) if value else np.zeros(0, np.int64)
        if isinstance(value, slice):
            return slice(*(None if v is None else integer(v) for v in (value.start, value.stop, value.step)))
        if value is None or value is Ellipsis or isinstance(value, (bool, np.bool_)):
            return value
        if isinstance(value, np.ndarray):
            if value.dtype.kind not in "ib":
                raise Mistake("C110", "an index is made of integers or truth values", "convert by `.astype(int)`")
            return value
        if isinstance(value, range):
            return np.asarray(value)
        return integer(value)

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
            return base[integer(key)]
        raise Mistake("C110", f"{kind_of(base)} has no items")


def plain(value: Any, interpreter: Operations, name: str = "") -> Any:
    """Return a value as NumPy may see it: plain data only, types of entries as NumPy's."""
    if isinstance(value, (list, tuple)):
        interpreter.budget.walk(value)
    return _plain(value, interpreter, name)


def _plain(value: Any, interpreter: Operations, name: str = "") -> Any:
    if isinstance(value, Dtype):
        return interpreter.dtype(value)
    if isinstance(value, str):
        if value not in WORDS.get(name, ()):
            raise Mistake("C110", f"a string where an array or a number is wanted: {value[:20]!r}")
        return value
    if isinstance(value, (list, tuple)):
        return type(value)([_plain(v, interpreter) for v in value])
    if value is None or value is Ellipsis or isinstance(value, (np.ndarray, np.generic, bool, float, complex, range)):
        return value
    if isinstance(value, int):
        if value.bit_length() > 62:
            raise Mistake("C124", "an integer that does not fit into 64 bits")
        return value
    if isinstance(value, Opaque) or not isinstance(value, slice):
        raise Mistake("C110", f"{kind_of(value)} where an array or a number is wanted")
    return value


def integer(value: Any) -> int:
    """Return a whole number as Python has it."""
    if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "ib":
        return int(value)
    if not isinstance(value, (int, np.integer, np.bool_)):
        raise Mistake("C110", f"{kind_of(value)} where an integer is wanted", "`//` divides integers")
    return int(value)
