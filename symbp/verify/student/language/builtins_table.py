"""The built-in functions of Python that student code may call, and the modules that it may import."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from symbp.language.diagnostics import Mistake
from symbp.verify.student.language import arithmetic as ar
from symbp.verify.student.language import sizes
from symbp.verify.student.language.methods import TYPES_OF_PYTHON
from symbp.verify.student.language.numpy_table import bind
from symbp.verify.student.language.operations import Operations
from symbp.verify.student.language.texts import formatted
from symbp.verify.student.language.values import (
    BOOL, FLOAT, INT, Builtin, Class, Dtype, Instance, Module, Type, kind_of,
)

Given = tuple[Any, ...]


def _len(interpreter: Operations, value: Any) -> int:
    if isinstance(value, (list, tuple, dict, str, range)) or (isinstance(value, np.ndarray) and value.ndim):
        return len(value)
    raise Mistake("C110", f"{kind_of(value)} has no length")


def _range(interpreter: Operations, *given: Any) -> range:
    if not all(isinstance(v, (int, np.integer)) for v in given):
        raise Mistake("C110", "`range` takes integers", "`//` divides integers")
    return range(*(int(v) for v in given))


def _enumerate(interpreter: Operations, value: Any, start: int = 0) -> list[Any]:
    return list(enumerate(interpreter.items(value), start))


def _zip(interpreter: Operations, *values: Any) -> list[Any]:
    return list(zip(*(interpreter.items(v) for v in values), strict=False))


def _reversed(interpreter: Operations, value: Any) -> Any:
    return value[::-1] if isinstance(value, range) else list(reversed(interpreter.items(value)))


def _sorted(interpreter: Operations, value: Any, reverse: bool = False) -> list[Any]:
    found = interpreter.items(value)
    if not (all(isinstance(v, str) for v in found) or all(isinstance(v, (int, float, np.generic)) for v in found)):
        raise Mistake("C110", "`sorted` takes numbers or strings")
    return sorted(found, key=ar.real, reverse=bool(reverse))


def _sum(interpreter: Operations, value: Any, start: Any = 0) -> Any:
    found = start
    for v in interpreter.items(value):
        found = interpreter.binary("Add", found, v)
    return found


def _extreme(larger: bool) -> Callable[..., Any]:
    def choose(interpreter: Operations, *given: Any) -> Any:
        found = interpreter.items(given[0]) if len(given) == 1 else list(given)
        if not found or not all(isinstance(v, (int, float, complex, np.generic)) for v in found):
            raise Mistake(
                "C110", "`max` and `min` of Python take numbers", "entry by entry is `np.maximum`, of an array `np.max`"
            )
        return (max if larger else min)(found, key=ar.real)

    return choose


def _abs(interpreter: Operations, value: Any) -> Any:
    _number_or_array(value, "abs")
    return interpreter.number(ar.absolute(value) if ar.is_complex(value) else abs(value))


def _round(interpreter: Operations, value: Any, digits: Any = None) -> Any:
    _number_or_array(value, "round")
    sizes.few_digits(digits)
    return round(ar.real(value), digits)


def _pow(interpreter: Operations, a: Any, b: Any) -> Any:
    return interpreter.binary("Pow", a, b)


def _any(interpreter: Operations, value: Any) -> bool:
    return any(interpreter.truth(v) for v in interpreter.items(value))


def _all(interpreter: Operations, value: Any) -> bool:
    return all(interpreter.truth(v) for v in interpreter.items(value))


def _isinstance(interpreter: Operations, value: Any, kinds: Any) -> bool:
    for kind in kinds if isinstance(kinds, tuple) else (kinds,):
        if isinstance(kind, Class):
            if isinstance(value, Instance) and value.of.is_below(kind):
                return True
        elif isinstance(kind, (Type, Dtype)):
            types = kind.types if isinstance(kind, Type) else _PLAIN[kind.name]
            if isinstance(value, types):
                return True
        else:
            raise Mistake("C110", f"`isinstance` takes types, not {kind_of(kind)}")
    return False


_PLAIN: dict[str, tuple[type, ...]] = {"float": (float, complex), "int": (int,), "bool": (bool,)}


def _callable(interpreter: Operations, value: Any) -> bool:
    return not isinstance(value, (np.ndarray, np.generic, int, float, str, list, tuple, dict, type(None)))


def _map(interpreter: Operations, function: Any, *values: Any) -> list[Any]:
    rows = zip(*(interpreter.items(v) for v in values), strict=False)
    return [interpreter.call(function, tuple(row), {}) for row in rows]


def _number_or_array(value: Any, name: str) -> None:
    if not isinstance(value, (int, float, complex, np.ndarray, np.generic)):
        raise Mistake("C110", f"`{name}` takes a number, not {kind_of(value)}")


SIMPLE: dict[str, tuple[str, Callable[..., Any]]] = {
    "len": ("value", _len), "enumerate": ("iterable start", _enumerate), "reversed": ("sequence", _reversed),
    "sorted": ("iterable reverse", _sorted), "sum": ("iterable start", _sum), "abs": ("x", _abs),
    "round": ("number ndigits", _round), "pow": ("base exp", _pow), "any": ("iterable", _any),
    "all": ("iterable", _all), "isinstance": ("object class", _isinstance), "callable": ("object", _callable),
}
"""Built-in functions with their parameters."""

OF_MANY: dict[str, Callable[..., Any]] = {
    "range": _range, "zip": _zip, "max": _extreme(True), "min": _extreme(False), "map": _map,
}
"""Built-in functions of any number of arguments."""


def _simple(name: str, parameters: str, function: Callable[..., Any]) -> Builtin:
    names = tuple(parameters.split())

    def call(interpreter: Operations, arguments: Given, keywords: dict[str, Any]) -> Any:
        bound = bind(name, names, arguments, keywords)
        if tuple(bound) == names[: len(bound)]:
            return function(interpreter, *bound.values())
        first, *rest = bound
        return function(interpreter, bound[first], **{k: bound[k] for k in rest})

    return Builtin(name, call)


def _of_many(name: str, function: Callable[..., Any]) -> Builtin:
    def call(interpreter: Operations, arguments: Given, keywords: dict[str, Any]) -> Any:
        if set(keywords) - {"strict"}:
            raise Mistake("C112", f"`{name}` has no keyword `{min(keywords)}` here")
        return function(interpreter, *arguments)

    return Builtin(name, call)


BUILTINS: dict[str, Any] = {
    **{n: _simple(n, *given) for n, given in SIMPLE.items()},
    **{n: _of_many(n, f) for n, f in OF_MANY.items()},
    "float": FLOAT, "int": INT, "bool": BOOL, **TYPES_OF_PYTHON,
}

# ---------------------------------------------------------------------------------------------------------
# Types that are called


def convert(interpreter: Operations, kind: Dtype | Type, arguments: Given, keywords: dict[str, Any]) -> Any:
    """Return what ``float(x)``, ``int(x)``, ``list(x)``, ``dict(a=1)``, ``np.float64(x)`` give."""
    if kind.name == "dict":
        given = interpreter.items(arguments[0].items() if isinstance(arguments[0], dict) else arguments[0]) if (
            arguments) else []
        interpreter.budget.container(len(given) + len(keywords))
        interpreter.budget.walk(given)
        return {**dict(given), **keywords}
    if keywords or len(arguments) > 1 or (isinstance(kind, Type) and kind.name.startswith("np.")):
        raise Mistake("C110", f"`{kind.name}` takes one argument")
    if not arguments:
        return {"float": 0.0, "int": 0, "bool": False, "list": [], "tuple": (), "str": ""}[kind.name]
    value = arguments[0]
    if kind.name == "str":
        return formatted(value)
    if kind.name in ("list", "tuple"):
        found = interpreter.items(value)
        return found if kind.name == "list" else tuple(found)
    if kind.name == "bool":
        return interpreter.truth(value)
    if isinstance(value, np.ndarray) and value.size != 1:
        raise Mistake("C110", f"`{kind.name}` takes one number, not an array of shape {value.shape}",
                      "an array converts by `.astype`")
    if isinstance(value, str) and len(value) < 40:
        return int(value) if kind.name == "int" else float(value)
    _number_or_array(value, kind.name)
    single = value.item() if isinstance(value, (np.ndarray, np.generic)) else value
    if kind.name == "int":
        return int(ar.real(single))
    return single if isinstance(single, complex) else float(single)


# ---------------------------------------------------------------------------------------------------------
# Modules


def _of_numpy(name: str) -> Builtin:
    """Return a function of ``math``, which takes numbers only."""
    function = getattr(np, name)

    def call(interpreter: Operations, arguments: Given, keywords: dict[str, Any]) -> Any:
        if keywords or not arguments:
            raise Mistake("C110", f"`math.{name}` takes a number")
        for value in arguments:
            _number_or_array(value, f"math.{name}")
            if np.size(value) != 1:
                raise Mistake("C110", f"`math.{name}` takes one number", f"entry by entry is `np.{name}`")
        given = [np.asarray(v).item() for v in arguments]
        if name in ("floor", "ceil"):
            return int(function(ar.real(given[0])))
        return interpreter.number(function(*given))

    return Builtin(f"math.{name}", call)


MATH = Module("math", {
    **{n: _of_numpy(n) for n in ("exp", "log", "sqrt", "tanh", "sinh", "cosh", "sin", "cos", "floor", "ceil", "log2",
                                 "log10", "log1p", "expm1")},
    "pow": Builtin("math.pow", lambda i, a, k: i.binary("Pow", *(float(ar.real(v)) for v in a))),
    "pi": math.pi, "e": math.e, "inf": math.inf, "nan": math.nan,
})
