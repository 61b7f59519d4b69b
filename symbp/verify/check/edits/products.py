"""Edits of products: transposes, the order of factors, entrywise and matrix products."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from symbp.verify.check.edits.line import EditedLine, Level
from symbp.verify.check.edits.shapes import called

PRODUCTS = ("dot", "matmul")
"""Functions that are matrix products."""


def with_transpose(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``X`` -> ``X.T``, for names and for whole products."""
    parent = line.parents.get(node)
    if isinstance(parent, ast.Attribute) or _is_transpose(node):
        return
    if line.known.reference(node) or (isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Pow)):
        shape = line.shape(node)
        if shape != ("1", "1"):
            yield f"{line.fit(node, Level.ATOM)}.T"


def without_transpose(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``X.T`` -> ``X``, also ``np.transpose(X)`` and ``X.transpose()``."""
    inner = _transposed(node)
    if inner is not None:
        yield line.of(inner)


def recurrent_with_transpose(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``W @ dZ[t+1]`` -> ``W.T @ dZ[t+1]``."""
    if _recurrent(node, line):
        yield from with_transpose(node, line)


def recurrent_without_transpose(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``W.T @ dZ[t+1]`` -> ``W @ dZ[t+1]``."""
    if _recurrent(node, line):
        yield from without_transpose(node, line)


def swapped(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``A @ B`` -> ``B @ A``; of a chain any two neighbours."""
    parent = line.parents.get(node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.MatMult) and node is parent.left:
            return
        factors = chain(node, ast.MatMult)
        for k in range(len(factors) - 1):
            order = [*factors[:k], factors[k + 1], factors[k], *factors[k + 2 :]]
            yield " @ ".join(line.factor(f, ast.MatMult) for f in order)
    elif isinstance(node, ast.Call) and called(node)[0] in PRODUCTS:
        arguments = called(node)[1]
        if len(arguments) == 2:
            yield _call_like(node, line, arguments[1], arguments[0])


def to_product_of_some_layout(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``A * B`` -> ``A @ B``, ``A @ B.T``, ``A.T @ B``."""
    yield from to_product(node, line)
    pair = _entrywise(node)
    if pair is None:
        return
    a, b = (line.factor(f, ast.MatMult) for f in pair)
    if not _is_transpose(pair[1]):
        yield f"{a} @ {line.fit(pair[1], Level.ATOM)}.T"
    if not _is_transpose(pair[0]):
        yield f"{line.fit(pair[0], Level.ATOM)}.T @ {b}"


def to_product(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``A * B`` -> ``A @ B``."""
    pair = _entrywise(node)
    if pair is None:
        return
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        yield f"{line.of(node.func.value)}.dot({', '.join(map(line.of, pair))})"
    yield " @ ".join(line.factor(f, ast.MatMult) for f in pair)


def to_entrywise(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``A @ B`` -> ``A * B``."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        yield f"{line.factor(node.left, ast.Mult)} * {line.factor(node.right, ast.Mult)}"
    elif isinstance(node, ast.Call) and called(node)[0] in PRODUCTS and len(called(node)[1]) == 2:
        a, b = called(node)[1]
        yield f"{line.factor(a, ast.Mult)} * {line.factor(b, ast.Mult)}"


def chain(node: ast.AST, operator: type[ast.operator]) -> list[ast.expr]:
    """Return the operands of nested products (or sums) of one kind, in order."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, operator):
        return [*chain(node.left, operator), *chain(node.right, operator)]
    assert isinstance(node, ast.expr)
    return [node]


def _entrywise(node: ast.AST) -> tuple[ast.expr, ast.expr] | None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        if isinstance(node.left, ast.Constant) or isinstance(node.right, ast.Constant):
            return None
        return node.left, node.right
    if _is_call(node, "multiply"):
        arguments = called(node)[1]  # type: ignore[arg-type]
        return (arguments[0], arguments[1]) if len(arguments) == 2 else None
    return None


def _is_call(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and called(node)[0] == name


def _is_transpose(node: ast.AST) -> bool:
    return _transposed(node) is not None


def _transposed(node: ast.AST) -> ast.expr | None:
    """Return what is transposed."""
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return node.value
    if isinstance(node, ast.Call) and called(node)[0] == "transpose" and len(called(node)[1]) == 1:
        return called(node)[1][0]
    return None


def _recurrent(node: ast.AST, line: EditedLine) -> bool:
    """Tell whether a parameter, transposed or not, stands as it is beside the gradient of another step."""
    inner = _transposed(node) or node
    meaning = line.known.meaning(inner)
    if meaning is None or meaning.kind != "parameter" or line.meaning is None or not line.indices:
        return False
    outer = line.parents.get(node)
    whole = outer if isinstance(outer, ast.Attribute) else node
    parent = line.parents.get(whole)
    if not isinstance(parent, (ast.BinOp, ast.Call)):
        return False
    return any(
        other is not None and other.kind == "gradient" and (line.known.reference(n) or ("", ()))[1] != line.indices
        for n in ast.walk(parent) for other in [line.known.meaning(n)]
        if n is not inner
    )


def _call_like(node: ast.Call, line: EditedLine, a: ast.expr, b: ast.expr) -> str:
    """Return a call of the same function in the same form with two other arguments."""
    if isinstance(node.func, ast.Attribute) and len(node.args) == 1:
        return f"{line.fit(a, Level.ATOM)}.{node.func.attr}({line.of(b)})"
    return f"{line.of(node.func)}({line.of(a)}, {line.of(b)})"
