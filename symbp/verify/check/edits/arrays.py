"""Edits of what only arrays do: flipped kernels, repeated indices, copies, masks, entrywise factors."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from symbp.verify.check.edits.line import EditedLine, Level, member
from symbp.verify.check.edits.products import chain
from symbp.verify.check.edits.shapes import called

TURNED = {ast.Gt: "<", ast.Lt: ">", ast.GtE: "<=", ast.LtE: ">=", ast.Eq: "!=", ast.NotEq: "=="}
NEAR = {ast.Gt: ">=", ast.Lt: "<=", ast.GtE: ">", ast.LtE: "<"}


def rotated(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``K`` -> ``K[::-1, ::-1]``, also ``np.rot90(K, 2)`` and ``np.flip``."""
    if line.known.numpy and (line.known.reference(node) or isinstance(node, ast.Name)):
        base = line.fit(node, Level.ATOM)
        yield from (f"{base}[::-1, ::-1]", f"np.rot90({base}, 2)", f"{base}[::-1]", f"{base}[..., ::-1, ::-1]")


def not_rotated(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``K[::-1, ::-1]``, ``np.rot90(K, 2)``, ``np.flip(K)`` -> ``K``."""
    if isinstance(node, ast.Call) and called(node)[0] in ("rot90", "flip", "flipud", "fliplr"):
        yield line.of(called(node)[1][0])
    if isinstance(node, ast.Subscript) and any(
        isinstance(s, ast.Slice) and s.step is not None and ast.unparse(s.step) == "-1" for s in ast.walk(node.slice)
    ):
        yield line.of(node.value)


def added_at(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``dE[ids] += d`` -> ``np.add.at(dE, ids, d)``, and for ``=``."""
    if not line.known.numpy or not isinstance(node, (ast.AugAssign, ast.Assign)):
        return
    target = line.target
    if isinstance(target, ast.Subscript) and (isinstance(node, ast.Assign) or isinstance(node.op, ast.Add)):
        index = line.of(target.slice)
        if isinstance(target.slice, ast.Tuple) and not index.startswith("("):
            index = f"({index})"
        yield f"np.add.at({line.of(target.value)}, {index}, {line.of(node.value)})"


def overwritten(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``np.add.at(dE, ids, d)`` -> ``dE[ids] += d`` and ``dE[ids] = d``."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call) or len(node.value.args) != 3:
        return
    if ast.unparse(node.value.func) in ("np.add.at", "numpy.add.at"):
        array, ids, values = map(line.of, node.value.args)
        yield f"{array}[{ids}] += {values}"
        yield f"{array}[{ids}] = {values}"


def copied(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``dZ = dA`` -> ``dZ = dA.copy()``."""
    if line.known.numpy and node is line.value and isinstance(node, (ast.Name, ast.Subscript, ast.Attribute)):
        yield f"{line.of(node)}.copy()"


def not_copied(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``dA.copy()`` -> ``dA``, also ``np.array(dA, copy=True)``."""
    if line.known.numpy and isinstance(node, ast.Call) and called(node)[0] in ("copy", "array") and called(node)[1]:
        yield line.of(called(node)[1][0])


def other_condition(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``Z > 0`` -> ``Z < 0`` and ``Z >= 0``; the branches of ``where`` exchanged."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, right = line.of(node.left), line.of(node.comparators[0])
        for table in (TURNED, NEAR):
            if type(node.ops[0]) in table:
                yield f"{left} {table[type(node.ops[0])]} {right}"
    if isinstance(node, ast.Call) and called(node)[0] == "where" and len(called(node)[1]) == 3:
        test, first, second = map(line.of, called(node)[1])
        yield f"{line.of(node.func)}({test}, {second}, {first})"


def complement(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``A * z`` -> ``A * (1 - z)``, and the reverse."""
    parent = line.parents.get(node)
    if not isinstance(parent, ast.BinOp) or not isinstance(parent.op, ast.Mult):
        return
    meaning = line.known.meaning(node)
    if meaning is not None and meaning.kind == "value" and line.shape(node) != ("1", "1"):
        yield f"1 - {line.of(node)}"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and ast.unparse(node.left) in ("1", "1.0"):
        meaning = line.known.meaning(node.right)
        if meaning is not None and meaning.kind == "value":
            yield line.of(node.right)


def without_factor(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """An entrywise product without one of its factors."""
    parent = line.parents.get(node)
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Mult):
        return
    if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Mult):
        return
    factors = chain(node, ast.Mult)
    for k, factor in enumerate(factors):
        meaning = line.known.meaning(factor)
        if meaning is not None and meaning.kind != "gradient" and line.shape(factor) != ("1", "1"):
            rest = factors[:k] + factors[k + 1 :]
            yield " * ".join(line.factor(f, ast.Mult) for f in rest) if len(rest) > 1 else line.of(rest[0])


def with_factor(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``X`` -> ``X * F`` for every value in scope that has its shape or is broadcast to it."""
    if not isinstance(node, ast.expr) or isinstance(node, (ast.Constant, ast.UnaryOp, ast.GeneratorExp)):
        return
    parent = line.parents.get(node)
    inner = isinstance(parent, ast.BinOp) and (
        isinstance(parent.op, (ast.Mult, ast.Pow)) or (isinstance(parent.op, ast.Div) and node is parent.right)
    )
    if inner or not (node is line.value or isinstance(parent, (ast.BinOp, ast.Call, ast.GeneratorExp))):
        return
    shape, here = line.shape(node), line.known.reference(node)
    for name, meaning in line.known.names.items():
        if meaning.kind == "gradient":
            continue
        mine = [here[1]] if here is not None and len(here[1]) == len(meaning.indices) else []
        for indices in dict.fromkeys([*line.members(meaning)[:1], *mine]):
            text = member(name, indices)
            theirs = line.shape_of_text(text)
            if theirs == ("1", "1") and shape != theirs:
                continue
            pairs = zip(shape, theirs, strict=True) if shape is not None and theirs is not None else ()
            if all(a == b or "1" in (a, b) for a, b in pairs):
                yield f"{line.factor(node, ast.Mult)} * {text}"

