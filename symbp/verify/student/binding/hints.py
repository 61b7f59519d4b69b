"""What the text of functions hints at: where gradients begin, how many gates stand together, what a loss looks like."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import numpy as np

from symbp.verify.student.binding.usage import own_nodes, parameters
from symbp.verify.student.language import names as nm


def gradients_from(function: ast.FunctionDef) -> int:
    """Return the line of a function behind its loss, or the first that assigns what is called like a gradient."""
    statements = sorted((n for n in own_nodes(function) if isinstance(n, ast.stmt)), key=lambda n: n.lineno)
    losses = [
        n.lineno for n in statements for t in (*getattr(n, "targets", []), getattr(n, "target", None))
        if isinstance(t, ast.Name) and is_loss_name(t.id)
    ]
    if losses:
        return min((n.lineno for n in statements if n.lineno > losses[-1]), default=0)
    known = {p for p, _ in parameters(function)}
    for node in statements:
        targets = [
            n for t in getattr(node, "targets", []) for n in ast.walk(t)
            if isinstance(n, (ast.Name, ast.Attribute)) and isinstance(n.ctx, ast.Store)
        ]
        words = [nm.tail(ast.unparse(n)) for n in targets]
        if any(w in ("grads", "gradients", "grad") or any(of in known for of in nm.gradient_of(w)) for w in words):
            return node.lineno
        known |= set(words)
    return 0


def multiples(functions: Sequence[ast.AST]) -> tuple[int, ...]:
    """Return the whole numbers from 2 to 4 by which names are multiplied, or into as many parts something is split."""
    found: set[int] = set()
    for function in functions:
        for node in ast.walk(function):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
                for a, b in ((node.left, node.right), (node.right, node.left)):
                    if isinstance(a, ast.Constant) and isinstance(a.value, int) and isinstance(b, ast.Name):
                        found.add(a.value)
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("split") and len(node.args) > 1:
                parts = node.args[1]
                if isinstance(parts, ast.Constant) and isinstance(parts.value, int):
                    found.add(parts.value)
    return tuple(sorted((n for n in found if 2 <= n <= 4), reverse=True))


def is_binary(functions: Sequence[ast.AST]) -> bool:
    """Tell whether the loss is that of one yes or no: ``1 - y`` stands in it."""
    differences = [
        n for f in functions for n in ast.walk(f) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Sub)
    ]
    return any(
        isinstance(n.left, ast.Constant) and n.left.value == 1
        and isinstance(n.right, ast.Name) and bool(nm.TARGET.fullmatch(n.right.id)) for n in differences
    )


def is_loss_name(name: str) -> bool:
    """Tell whether a name is that of a loss."""
    return name.lower() in ("loss", "cost", "j", "l", "e", "error", "total_loss", "data_loss", "c", "objective")


def is_number(value: Any) -> bool:
    """Tell whether a value is one number that may be a loss."""
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        return False
    return isinstance(value, (float, complex, np.generic)) or (isinstance(value, np.ndarray) and value.size == 1)
