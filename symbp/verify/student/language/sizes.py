"""How large the result of a NumPy function will be, told from its arguments before it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from symbp.language.diagnostics import Mistake

Bound = Mapping[str, Any]
Size = Callable[[Bound], int]
"""The number of entries of the result, of its arguments by name."""


MOST_DIGITS = 400
"""Digits to which is rounded."""
MOST_SUBSCRIPTS = 200
"""Characters of the subscripts of ``einsum``."""


def count(value: Any) -> int:
    """Return the number of entries of an array, a number or a nested list."""
    if isinstance(value, np.ndarray):
        return value.size
    if isinstance(value, (list, tuple)):
        return sum(count(v) for v in value)
    return len(value) if isinstance(value, range) else 1


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape of an array, a number or a nested list."""
    if isinstance(value, (list, tuple)):
        return (len(value), *(shape_of(value[0]) if value else ()))
    return (len(value),) if isinstance(value, range) else np.shape(value)


def one(bound: Bound) -> int:
    """Return the size of a number."""
    return 1


def all_of(bound: Bound) -> int:
    """Return the entries of all arguments: no reduction, rearrangement or join makes more."""
    return sum(count(v) for v in bound.values() if not isinstance(v, (str, bool)) and v is not None)


def broadcast(bound: Bound) -> int:
    """Return the size of arguments that are broadcast."""
    shapes = [shape_of(v) for name, v in bound.items() if name != "out" and isinstance(v, (np.ndarray, list, tuple))]
    return math.prod(together(*shapes))


def parts(bound: Bound) -> int:
    """Return the size of ``split``: each part, even an empty one, costs as much as some entries."""
    sections = bound.get("indices_or_sections", 1)
    number = int(sections) if isinstance(sections, (int, np.integer)) else count(sections)
    return count(bound["ary"]) + 200 * max(number, 0)


def rounded(bound: Bound) -> int:
    """Return the size of ``round``, which takes ten to the power of the decimals."""
    few_digits(bound.get("decimals", 0))
    return count(bound["a"])


def few_digits(digits: Any) -> None:
    """Refuse to round to very many digits."""
    if digits is not None and abs(digits) > MOST_DIGITS:
        raise Mistake("C124", f"rounding to more than {MOST_DIGITS} digits")


def together(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape to which shapes are broadcast."""
    if len(shapes) == 1:
        return shapes[0]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        shown = " ".join(str(s).replace(" ", "") for s in shapes)
        raise ValueError(f"operands could not be broadcast together with shapes {shown}") from None


def indexed(shape: tuple[int, ...], at: tuple[Any, ...]) -> int:
    """Return how many entries an index with arrays takes; 0 for a view, and where NumPy itself will find a mistake."""
    arrays = [p for p in at if isinstance(p, np.ndarray) and p.ndim]
    if not arrays:
        return 0
    named = [p for p in at if p is not None and p is not ...]
    given = sum(p.ndim if isinstance(p, np.ndarray) and p.dtype.kind == "b" else 1 for p in named)
    left, kept, together_with = list(shape), 1, []
    for part in at:
        if part is None:
            continue
        if part is ...:
            skipped = max(len(shape) - given, 0)
            kept *= math.prod(left[:skipped])
            left = left[skipped:]
        elif isinstance(part, np.ndarray) and part.dtype.kind == "b":
            together_with.append((int(np.count_nonzero(part)),))
            left = left[part.ndim :]
        elif not left:
            return 0
        else:
            if isinstance(part, slice):
                kept *= len(range(*part.indices(left[0])))
            elif isinstance(part, np.ndarray):
                together_with.append(part.shape)
            left = left[1:]
    return kept * math.prod(left) * math.prod(together(*together_with))


def outer(bound: Bound) -> int:
    """Return the product of the sizes of all arguments."""
    return math.prod(count(v) for v in bound.values() if isinstance(v, (np.ndarray, list, tuple, range)))


def inner(bound: Bound) -> int:
    """Return the size of ``inner``, which sums over the last axis of both."""
    a, b = (shape_of(bound[k]) for k in ("a", "b"))
    return math.prod(a) * math.prod(b) if not a or not b else math.prod(a[:-1]) * math.prod(b[:-1])


def product(bound: Bound) -> int:
    """Return the size of a matrix product; NumPy itself finds shapes that do not fit."""
    a, b = (shape_of(bound[k]) for k in list(bound)[:2])
    if len(a) == 0 or len(b) == 0:
        return math.prod(a) * math.prod(b)
    left = a[:-1]
    right = b[-1:] if len(b) > 1 else ()
    return math.prod(left) * math.prod(right) * math.prod(b[:-2])


def filled(name: str) -> Size:
    """Return the size of a function that makes an array of the shape given as ``name``."""

    def size(bound: Bound) -> int:
        shape = bound.get(name, ())
        return entries(() if shape is None else shape)

    return size


def entries(shape: Any) -> int:
    """Return the number of entries of a shape that was given as a number or a sequence."""
    given = tuple(shape) if isinstance(shape, (tuple, list, np.ndarray)) else (shape,)
    if not all(isinstance(k, (int, np.integer)) and not isinstance(k, bool) for k in given):
        raise Mistake("C110", "a shape is made of integers", "sizes come from `X.shape` or `len(X)`; `//` divides them")
    return math.prod(max(int(k), 0) for k in given)


def identity(bound: Bound) -> int:
    """Return the size of ``eye``."""
    rows = int(bound["N"])
    columns = bound.get("M")
    return max(rows, 0) * max(rows if columns is None else int(columns), 0)


def counted(bound: Bound) -> int:
    """Return the size of ``arange``."""
    given = [float(bound[k]) for k in ("start", "stop", "step") if bound.get(k) is not None]
    start, stop, step = {1: (0.0, *given, 1.0), 2: (*given, 1.0), 3: tuple(given)}[len(given)]
    if step == 0 or not math.isfinite(start + stop + step):
        raise Mistake("C110", "the step of a range is not zero and its ends are finite")
    return max(0, math.ceil((stop - start) / step))


def spaced(bound: Bound) -> int:
    """Return the size of ``linspace``."""
    return int(bound.get("num", 50))


def tiled(bound: Bound) -> int:
    """Return the size of ``tile``."""
    return count(bound["A"]) * entries(bound["reps"])


def repeated(bound: Bound) -> int:
    """Return the size of ``repeat``."""
    times = bound["repeats"]
    return count(bound["a"]) * max(int(np.max(times)), 0)


def padded(bound: Bound) -> int:
    """Return the size of ``pad``."""
    shape = shape_of(bound["array"])
    widths = np.broadcast_to(np.asarray(bound["pad_width"]), (len(shape), 2))
    return math.prod(n + max(int(a), 0) + max(int(b), 0) for n, (a, b) in zip(shape, widths, strict=True))


def squared(bound: Bound) -> int:
    """Return the size of ``diag``: a vector gives a square matrix."""
    n = count(bound["v"])
    return n if len(shape_of(bound["v"])) > 1 else (n + abs(int(bound.get("k", 0)))) ** 2


def contracted(bound: Bound) -> int:
    """Return the size of ``tensordot``."""
    a, b = shape_of(bound["a"]), shape_of(bound["b"])
    axes = bound.get("axes", 2)
    if isinstance(axes, (int, np.integer)):
        return math.prod(a[: len(a) - int(axes)]) * math.prod(b[int(axes):])
    first, second = ((k,) if isinstance(k, (int, np.integer)) else tuple(k) for k in axes)
    return (
        math.prod(n for i, n in enumerate(a) if i not in {k % len(a) for k in first})
        * math.prod(n for i, n in enumerate(b) if i not in {k % len(b) for k in second})
    )


def contraction(bound: Bound) -> int:
    """Return the multiplications of ``tensordot``."""
    a = shape_of(bound["a"])
    axes = bound.get("axes", 2)
    if isinstance(axes, (int, np.integer)):
        return contracted(bound) * math.prod(a[len(a) - int(axes):])
    summed = (axes[0],) if isinstance(axes[0], (int, np.integer)) else tuple(axes[0])
    return contracted(bound) * math.prod(a[k % len(a)] for k in summed)


def powers(bound: Bound) -> int:
    """Return the multiplications of what works through a square matrix, a row for each of its rows."""
    shape = shape_of(bound["a"] if "a" in bound else bound["x"])
    return math.prod(shape) * (shape[-1] if shape else 1)


def matrix_norm(bound: Bound) -> int:
    """Return the work of ``norm``: the largest singular value of a matrix needs all of them."""
    return 20 * powers(bound) if bound.get("ord") == 2 else count(bound["x"])


def reached(bound: Bound) -> int:
    """Return the size of ``broadcast_to``."""
    return entries(bound["shape"])


def einsum(subscripts: str, operands: tuple[Any, ...]) -> tuple[int, int]:
    """Return the size of the result of ``einsum``, and the number of products that are summed."""
    if "." in subscripts:
        raise Mistake("C111", "an einsum with an ellipsis", "name every axis by a letter")
    if len(subscripts) > MOST_SUBSCRIPTS:
        raise Mistake("C111", f"subscripts of more than {MOST_SUBSCRIPTS} characters")
    left, _, right = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(operands):
        raise Mistake("C110", f"the subscripts name {len(inputs)} operands, given are {len(operands)}")
    lengths: dict[str, int] = {}
    for letters, operand in zip(inputs, operands, strict=True):
        shape = shape_of(operand)
        if len(letters) != len(shape):
            raise Mistake("C110", f"`{letters}` names {len(letters)} axes of an array of shape {shape}")
        for letter, length in zip(letters, shape, strict=True):
            if lengths.setdefault(letter, length) != length:
                raise Mistake("C110", f"the axes called `{letter}` have lengths {lengths[letter]} and {length}")
    if "->" not in subscripts:
        right = "".join(sorted(k for k in lengths if left.count(k) == 1))
    return math.prod(lengths.get(k, 1) for k in right), math.prod(lengths.values())
