"""In which numbers student code runs: float64 as NumPy has it, or complex128 for a complex step.

In complex mode every decision is taken on the real part and every function continues analytically; what cannot be
continued raises ``NotAnalytic``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from symbp.verify.student.language.values import Array


class NotAnalytic(Exception):
    """An operation that has no analytic continuation here; differences take the place of the complex step."""


def real(value: Any) -> Any:
    """Return the real part of a number or an array, and anything else as it is."""
    if isinstance(value, complex) or (isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind == "c"):
        return value.real
    return value


def is_complex(*values: Any) -> bool:
    """Tell whether one of the values is complex."""
    return any(
        isinstance(v, complex) or (isinstance(v, (np.ndarray, np.generic)) and v.dtype.kind == "c") for v in values
    )


def compared(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return a comparison that looks at real parts."""
    return lambda a, b: compare(real(a), real(b))


def larger(a: Any, b: Any) -> Any:
    """Continue ``maximum``."""
    return np.where(real(a) >= real(b), a, b)


def smaller(a: Any, b: Any) -> Any:
    """Continue ``minimum``."""
    return np.where(real(a) <= real(b), a, b)


def absolute(a: Any) -> Any:
    """Continue ``abs``."""
    return np.where(real(a) < 0, -np.asarray(a), a)[()]


def picked(choose: Callable[..., Any]) -> Callable[..., Any]:
    """Continue ``max`` or ``min``: the entry whose real part is chosen by ``argmax`` or ``argmin``."""

    def pick(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
        a = np.asarray(a)
        if isinstance(axis, tuple):
            raise NotAnalytic
        if axis is None:
            found = a.ravel()[choose(a.real)]
            return np.full((1,) * a.ndim, found) if keepdims else found
        at = np.expand_dims(choose(a.real, axis=axis), axis)
        found = np.take_along_axis(a, at, axis)
        return found if keepdims else np.squeeze(found, axis)

    return pick


def variance(a: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """Continue ``var``, which takes absolute values of complex numbers."""
    a = np.asarray(a)
    away = a - a.mean(axis=axis, keepdims=True)
    count = a.size // max((away**2).mean(axis=axis).size, 1)
    return (away * away).sum(axis=axis, keepdims=keepdims) / (count - ddof)


def deviation(a: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """Continue ``std``."""
    return np.sqrt(variance(a, axis, ddof, keepdims))


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Continue the Euclidean norm."""
    if ord not in (None, 2, "fro") or (ord == 2 and axis is None and np.ndim(x) > 1):
        raise NotAnalytic
    return np.sqrt(np.sum(np.asarray(x) ** 2, axis=axis, keepdims=keepdims))


def clipped(a: Any, a_min: Any = None, a_max: Any = None) -> Any:
    """Continue ``clip``."""
    a = np.asarray(a)
    low = a if a_min is None else larger(a, a_min)
    return low if a_max is None else smaller(low, a_max)


def log_add(a: Any, b: Any) -> Any:
    """Continue ``logaddexp``."""
    top = np.maximum(real(a), real(b))
    return top + np.log(np.exp(a - top) + np.exp(b - top))


def refuse(*arguments: Any, **keywords: Any) -> Any:
    """Refuse to continue a function."""
    raise NotAnalytic


OPERATORS_IN_PLACE: dict[str, Callable[[Array, Any], Any]] = {
    "Add": operator.iadd, "Sub": operator.isub, "Mult": operator.imul, "Div": operator.itruediv,
    "Pow": operator.ipow, "FloorDiv": operator.ifloordiv, "Mod": operator.imod,
    "BitAnd": operator.iand, "BitOr": operator.ior, "BitXor": operator.ixor,
}
"""Operators that change an array; ``@=`` is not among them, since NumPy makes a new array where shapes differ."""
