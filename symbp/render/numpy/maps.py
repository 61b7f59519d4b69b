"""Static maps as NumPy text: axes in another order, windows along an axis, or entries picked one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sympy as sp

from symbp.expr import Digit, Size, StaticMap

Text = Callable[[Size], str]
"""Gives the text of a size."""

Kernel = Callable[[str], str]
"""Gives the name of a small function that the module must hold."""


def gathered(rule: StaticMap, inside: str, size: Text, kernel: Kernel) -> str:
    """Return the text of the entries of an array picked by a map.

    inside: the text of the array, something that takes a method.
    """
    plan = _axes(rule)
    if plan is None:
        # No axis of the result belongs to one axis of the source: the places of all entries are written down.
        held = _reshaped(inside, [d.size for d in rule.digits], size, 2)
        picked = f"{kernel('gather')}({held}, {_tuple(rule.sizes, size)}, {_table(rule, size)})"
        return _reshaped(picked, rule.shape, size)
    text = _reshaped(inside, plan.source, size, plan.source_sides)
    for axis, digit, near, far in plan.windows:
        extents = f"{size(rule.proper.sizes[near])}, {'1' if far < 0 else size(rule.proper.sizes[far])}"
        text = f"{kernel('windows')}({text}, {axis}, {extents}{_options(digit, near, far, size)})"
    text = _transposed(text, plan.order)
    return _reshaped(text, rule.shape, size, 2 if plan.flat else 0)


def scattered(rule: StaticMap, inside: str, size: Text, kernel: Kernel) -> str:
    """Return the text of the entries of an array added up where a map says that they came from."""
    plan = _axes(rule)
    if plan is None:
        held = _reshaped(inside, rule.sizes, size, 2)
        source = [d.size for d in rule.digits]
        added = f"{kernel('scatter')}({held}, {_tuple(source, size)}, {_table(rule, size)})"
        return _reshaped(added, rule.source_shape, size)
    back = [plan.order.index(k) for k in range(len(plan.order))]
    sides = 2 if plan.flat else 0
    text = _transposed(_reshaped(inside, [plan.sizes[k] for k in plan.order], size, sides), back)
    for axis, digit, near, far in reversed(plan.windows):
        text = f"{kernel('overlap')}({text}, {axis}, {size(digit.size)}{_options(digit, near, far, size)})"
    return _reshaped(text, rule.source_shape, size, plan.source_sides)


@dataclass(frozen=True)
class _Axes:
    """How the axes of the source become those of the result.

    source:       the sizes of the source's axes.
    source_sides: 2 if the source has these axes as it is, else 0.
    windows:      (axis, digit, digit of the result that stays on the axis, digit that goes on a new last axis or -1).
    sizes:        the sizes of the axes after that.
    order:        which of them are the axes of the result, in order.
    flat:         whether the result has one axis for its rows and one for its columns already.
    """

    source: tuple[Size, ...]
    source_sides: int
    windows: tuple[tuple[int, Digit, int, int], ...]
    sizes: tuple[Size, ...]
    order: tuple[int, ...]
    flat: bool


def _axes(rule: StaticMap) -> _Axes | None:
    """Return the axes of a map whose digits each come from one digit of the source; None for any other map."""
    rule = rule.proper
    digits, sizes = rule.digits, rule.sizes
    used = [k for d in digits for k in d.moving]
    if len(used) != len(set(used)) or len(used) < len(sizes) or any(len(d.moving) not in (1, 2) for d in digits):
        return None
    if any(not d.coefficients[k].is_positive for d in digits for k in d.moving):
        return None
    windows: list[tuple[int, Digit, int, int]] = []
    axes: list[int] = []
    last: list[int] = []
    for axis, digit in enumerate(digits):
        near, far = _near_and_far(digit, sizes)
        plain = far < 0 and digit.coefficients[near] == 1 and digit.offset == 0 and digit.size == sizes[near]
        axes.append(near)
        if not plain:
            windows.append((axis, digit, near, far))
            last.append(far)
    every = [*axes, *last]
    # An axis of one window that is only cut or thinned out has one entry; it stands behind the others.
    shown = [sp.S.One if k < 0 else sizes[k] for k in every]
    order = [every.index(k) for k in range(len(sizes))] + [p for p, k in enumerate(every) if k < 0]
    flat = len(rule.rows) == len(rule.cols) == 1 and len(order) == 2
    sides = 2 if len(rule.source_rows) == len(rule.source_cols) == 1 else 0
    return _Axes(tuple(d.size for d in digits), sides, tuple(windows), tuple(shown), tuple(order), flat)


def _near_and_far(digit: Digit, sizes: Sequence[Size]) -> tuple[int, int]:
    """Return which digit of the result stays on the axis of a source digit, and which goes on a new one (or -1)."""
    if len(digit.moving) == 1:
        return digit.moving[0], -1
    first, second = digit.moving
    small = sizes[first].is_Integer and not (sizes[second].is_Integer and sizes[second] < sizes[first])
    return (second, first) if small else (first, second)


def _options(digit: Digit, near: int, far: int, size: Text) -> str:
    """Return the arguments of windows that are not those of a window of neighbours from the first entry on."""
    step, gap = digit.coefficients[near], sp.S.One if far < 0 else digit.coefficients[far]
    options = [("step", step, 1), ("gap", gap, 1), ("padding", -digit.offset, 0)]
    return "".join(f", {name}={size(value)}" for name, value, usual in options if value != usual)


def _reshaped(text: str, sizes: Sequence[Size], size: Text, sides: int = 0) -> str:
    """Return an array in another shape; ``sides`` is 2 if an array of two axes has it already."""
    return text if sides == len(sizes) == 2 else f"{text}.reshape({', '.join(map(size, sizes))})"


def _transposed(text: str, order: Sequence[int]) -> str:
    if list(order) == list(range(len(order))):
        return text
    return f"{text}.T" if len(order) == 2 else f"{text}.transpose({', '.join(map(str, order))})"


def _tuple(values: Sequence[Size], size: Text) -> str:
    return f"({', '.join(map(size, values))}{',' if len(values) == 1 else ''})"


def _table(rule: StaticMap, size: Text) -> str:
    """Return the digits of the source: an offset and a coefficient for each digit of the result."""
    return f"[{', '.join(f'({size(d.offset)}, {_tuple(d.coefficients, size)})' for d in rule.digits)}]"


__all__ = ["gathered", "scattered"]
