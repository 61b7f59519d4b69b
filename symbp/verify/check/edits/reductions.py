"""Edits of reductions: sum and mean, the axis, a sum that is missing, dimensions that are lost."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from symbp.verify.check.edits.line import EditedLine, Level
from symbp.verify.check.edits.shapes import axis_node, axis_of, called


def to_mean(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``sum(X, ...)`` -> ``mean(X, ...)``."""
    yield from _renamed(node, line, "sum", "mean")


def to_sum(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``mean(X, ...)`` -> ``sum(X, ...)``."""
    yield from _renamed(node, line, "mean", "sum")


def other_axis(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``axis=0`` -> ``axis=1`` and the reverse."""
    if not isinstance(node, ast.Call):
        return
    found, axis = axis_node(node), axis_of(node)
    if found is not None and axis in (0, 1):
        start, end = line.span(found)
        begin, stop = line.span(node)
        yield line.text[begin:start] + str(1 - axis) + line.text[end:stop]


def along_axis(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``sum(X)`` -> ``sum(X, axis=1, keepdims=True)``."""
    if not _is_reduction(node) or not isinstance(node, ast.Call) or node.keywords or len(called(node)[1]) != 1:
        return
    if isinstance(called(node)[1][0], ast.GeneratorExp):
        return
    wanted = line.meaning.shape if line.meaning and node is line.value else None
    start = line.of(node)[:-1].rstrip()
    inside = "" if start.endswith("(") else ", "
    for axis in (k for k in (1, 0) if wanted is None or wanted[k] == "1"):
        yield f"{start}{inside}axis={axis}, keepdims=True)"
        if line.known.numpy:
            yield f"{start}{inside}axis={axis})"


def over_all(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``sum(X, axis=1, keepdims=True)`` -> ``sum(X)``."""
    if _is_reduction(node) and isinstance(node, ast.Call) and axis_of(node) is not None:
        parts = [a for a in node.args if a is not axis_node(node)]
        yield f"{line.of(node.func)}({', '.join(map(line.of, parts))})"


def summed(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``X`` -> ``sum(X, axis=1, keepdims=True)``."""
    shape = line.shape(node)
    if _is_reduction(node) or isinstance(node, (ast.Constant, ast.UnaryOp)) or shape == ("1", "1"):
        return
    if not (node is line.value or isinstance(line.parents.get(node), (ast.BinOp, ast.GeneratorExp))):
        return
    np = "np." if line.known.numpy else ""
    wanted = line.meaning.shape if line.meaning and node is line.value else None
    axes = [k for k in (1, 0) if wanted is None or wanted[k] == "1"]
    for axis in axes:
        if shape is None or shape[axis] != "1":
            yield f"{np}sum({line.of(node)}, axis={axis}, keepdims=True)"
    if line.known.numpy:
        yield from (f"np.sum({line.of(node)}, axis={axis})" for axis in axes)


def not_summed(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``sum(X, axis=1, keepdims=True)`` -> ``X``, also ``X @ ones((m, 1))``."""
    if isinstance(node, ast.Call) and called(node)[0] in ("sum", "mean") and axis_of(node) is not None:
        inner = called(node)[1][0]
        if not isinstance(inner, ast.GeneratorExp):
            yield line.of(inner)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult) and _is_ones(node.right):
        yield line.of(node.left)


def with_dimension(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``y`` -> ``y.reshape(-1, 1)``, ``y[:, None]``; ``np.sum(x, axis=1)`` -> with ``keepdims=True``."""
    if not line.known.numpy:
        return
    reduces = isinstance(node, ast.Call) and called(node)[0] in ("sum", "mean", "max", "min")
    if isinstance(node, ast.Call) and reduces and axis_of(node) is not None:
        if any(k.arg == "keepdims" for k in node.keywords):
            return
        yield f"{line.of(node)[:-1].rstrip()}, keepdims=True)"
    if line.known.reference(node) or isinstance(node, ast.Name):
        base = line.fit(node, Level.ATOM)
        yield from (f"{base}.reshape(-1, 1)", f"{base}.reshape(1, -1)", f"{base}.ravel()")


def without_dimension(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``y.reshape(-1, 1)`` and ``y[:, None]`` -> ``y``; a reduction loses its ``keepdims=True``."""
    if not line.known.numpy:
        return
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg == "keepdims":
                start, end = line.span(node)
                first, last = line.span(keyword.value)
                head = line.text[start:first].rstrip().removesuffix("keepdims=").rstrip().removesuffix(",")
                yield head + line.text[last:end]
        if called(node)[0] == "reshape" and "-1" in [ast.unparse(a) for a in called(node)[1][1:]]:
            yield line.of(called(node)[1][0])
    if isinstance(node, ast.Subscript) and any(
        ast.unparse(e) in ("None", "np.newaxis") for e in ast.walk(node.slice) if isinstance(e, ast.expr)
    ):
        yield line.of(node.value)


def _renamed(node: ast.AST, line: EditedLine, old: str, new: str) -> Iterator[str]:
    if not isinstance(node, ast.Call) or called(node)[0] != old:
        return
    arguments = called(node)[1]
    if arguments and isinstance(arguments[0], ast.GeneratorExp):
        return  # a sum over a loop, which has no mean
    start, end = line.span(node.func)
    stop = line.span(node)[1]
    yield line.text[start : end - len(old)] + new + line.text[end:stop]


def _is_reduction(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and called(node)[0] in ("sum", "mean")


def _is_ones(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and called(node)[0] == "ones"
