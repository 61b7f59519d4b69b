"""The shape of an expression, in sizes as they are written; what is not certain has none."""

from __future__ import annotations

import ast

from symbp.verify.check.edits.known import Known, Shape

ELEMENTWISE = frozenset({
    "abs", "absolute", "add", "arctan", "astype", "clip", "copy", "cos", "cosh", "divide", "elu", "erf", "exp", "expm1",
    "gelu", "hard_sigmoid", "hard_swish", "hard_tanh", "leaky_relu", "log", "log1p", "log_sigmoid", "log_softmax",
    "maximum", "minimum", "mish", "multiply", "negative", "power", "reciprocal", "relu", "relu6", "selu", "sigmoid",
    "sign", "silu", "sin", "sinh", "softmax", "softplus", "softsign", "sqrt", "square", "step", "subtract", "tan",
    "tanh", "tril", "triu", "where",
})
"""Functions whose result has the shape of their arguments."""

REDUCTIONS = frozenset({"sum", "mean", "max", "min", "logsumexp", "var", "std"})


class Misfit(ValueError):
    """An expression whose shapes certainly do not fit."""


def shape_of(node: ast.AST, known: Known) -> Shape | None:
    """Return the shape of an expression, None if it is not certain.

    Raises ``Misfit`` where two shapes certainly do not fit.
    """
    meaning = known.meaning(node)
    if meaning is not None:
        return meaning.shape
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return "1", "1"
    if isinstance(node, (ast.Name, ast.Subscript)) and ast.unparse(node) in known.sizes:
        return "1", "1"
    if isinstance(node, ast.UnaryOp):
        return shape_of(node.operand, known)
    if isinstance(node, ast.BinOp):
        left, right = shape_of(node.left, known), shape_of(node.right, known)
        if isinstance(node.op, ast.MatMult):
            return product(left, right)
        return together(left, right)
    if isinstance(node, ast.Compare):
        return together(shape_of(node.left, known), *(shape_of(c, known) for c in node.comparators))
    if isinstance(node, ast.Attribute):
        below = shape_of(node.value, known)
        return (below[1], below[0]) if node.attr == "T" and below is not None else None
    if isinstance(node, ast.Call):
        return _of_call(node, known)
    return None


def _of_call(node: ast.Call, known: Known) -> Shape | None:
    name, arguments = called(node)
    if name in ("dot", "matmul") and len(arguments) == 2:
        return product(*(shape_of(a, known) for a in arguments))
    if name in REDUCTIONS and arguments:
        if isinstance(arguments[0], ast.GeneratorExp):
            return shape_of(arguments[0].elt, known)
        below, axis = shape_of(arguments[0], known), axis_of(node)
        if below is None or (known.numpy and not _keeps(node)):
            return None
        return ("1", "1") if axis is None else ("1", below[1]) if axis == 0 else (below[0], "1")
    if name in ELEMENTWISE and arguments:
        return together(*(shape_of(a, known) for a in arguments))
    if name in ("ones", "zeros") and not node.keywords:
        sizes = arguments[0].elts if len(arguments) == 1 and isinstance(arguments[0], ast.Tuple) else arguments
        return (ast.unparse(sizes[0]), ast.unparse(sizes[1])) if len(sizes) == 2 else None
    return None


def called(node: ast.Call) -> tuple[str, list[ast.expr]]:
    """Return the bare name of a function and its arguments; ``A.dot(B)`` has two, ``np.dot(A, B)`` as well."""
    if isinstance(node.func, ast.Attribute):
        if ast.unparse(node.func.value) in ("np", "numpy"):
            return node.func.attr, node.args
        return node.func.attr, [node.func.value, *node.args]
    return (node.func.id if isinstance(node.func, ast.Name) else ""), node.args


def axis_of(node: ast.Call) -> int | None:
    """Return the axis of a reduction, None if it has none that is a number."""
    found = axis_node(node)
    if isinstance(found, ast.UnaryOp) and ast.unparse(found) == "-1":
        return 1
    return found.value if isinstance(found, ast.Constant) and isinstance(found.value, int) else None


def axis_node(node: ast.Call) -> ast.expr | None:
    """Return what stands for the axis of a reduction."""
    for keyword in node.keywords:
        if keyword.arg == "axis":
            return keyword.value
    _, arguments = called(node)
    return arguments[1] if len(arguments) > 1 else None


def _keeps(node: ast.Call) -> bool:
    return any(k.arg == "keepdims" and ast.unparse(k.value) == "True" for k in node.keywords)


def product(left: Shape | None, right: Shape | None) -> Shape | None:
    """Return the shape of a matrix product."""
    if left is None or right is None:
        return None
    if left[1] != right[0]:
        raise Misfit(f"{left} @ {right}")
    return left[0], right[1]


def together(*shapes: Shape | None) -> Shape | None:
    """Return the shape of matrices that are broadcast together."""
    found: Shape | None = ("1", "1")
    for one in shapes:
        if one is None:
            found = None
        elif found is not None:
            found = _joined(found[0], one[0]), _joined(found[1], one[1])
    return found


def _joined(a: str, b: str) -> str:
    if a != b and "1" not in (a, b):
        raise Misfit(f"{a} and {b}")
    return b if a == "1" else a
