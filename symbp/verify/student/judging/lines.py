"""What a line of student code reads and assigns, and small changes of it that the table of edits does not have."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator

from symbp.verify.check.edits import Edit
from symbp.verify.student.language.names import gradient_of


def is_plain_read(statement: ast.stmt) -> bool:
    """Tell whether a statement only gives a name to something that is there: ``W2 = params['W2']``."""
    if not isinstance(statement, ast.Assign):
        return False
    values = statement.value.elts if isinstance(statement.value, ast.Tuple) else [statement.value]
    plain = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant)
    computes = any(isinstance(n, (ast.BinOp, ast.Call)) for n in ast.walk(statement.value))
    is_transposed = any(isinstance(n, ast.Attribute) and n.attr == "T" for n in ast.walk(statement.value))
    is_gradient = any(isinstance(t, ast.Name) and gradient_of(t.id) for t in statement.targets)
    return all(isinstance(v, plain) for v in values) and not computes and not is_transposed and not is_gradient and all(
        isinstance(t, (ast.Name, ast.Tuple)) for t in statement.targets
    )


def is_copied(statement: ast.stmt) -> bool:
    """Tell whether a statement gives a second name to something: ``dZ = dA``."""
    return isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Name)


def changes_nothing(statement: ast.stmt) -> bool:
    """Tell whether a statement assigns a name to itself: ``dW = dW``."""
    return isinstance(statement, ast.Assign) and len(statement.targets) == 1 and (
        ast.unparse(statement.targets[0]) == ast.unparse(statement.value))


def reads_another(statement: ast.stmt, keys: Collection[str]) -> bool:
    """Tell whether a name is given to another entry of a dict though there is one that is called so.

    ``W2 = cache['A1']`` where there is a ``'W2'``.
    """
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Subscript):
        return False
    target, key = statement.targets[0], statement.value.slice
    return (
        isinstance(target, ast.Name) and isinstance(key, ast.Constant) and key.value != target.id
        and target.id in keys
    )


def is_empty_start(statement: ast.stmt) -> bool:
    """Tell whether a statement only makes what is filled later: ``dW = np.zeros_like(W)``, ``hs, ps = {}, {}``."""
    if not isinstance(statement, ast.Assign):
        return False
    values = statement.value.elts if isinstance(statement.value, ast.Tuple) else [statement.value]

    def is_empty(value: ast.expr) -> bool:
        if isinstance(value, ast.Call):
            return ast.unparse(value.func) in ("np.zeros", "np.zeros_like", "np.empty", "np.empty_like", "dict", "list")
        return (isinstance(value, ast.Dict) and not value.keys) or (isinstance(value, ast.List) and not value.elts)

    return all(map(is_empty, values))


def reads(statement: ast.stmt) -> set[str]:
    """Return the names that a statement reads."""
    found = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    target = getattr(statement, "target", None)
    return found | ({n.id for n in ast.walk(target) if isinstance(n, ast.Name)} if target is not None else set())


def assigns(statement: ast.stmt) -> set[str]:
    """Return the names of which a statement assigns the whole or a part."""
    targets: list[ast.expr | None] = [getattr(statement, "target", None)]
    if isinstance(statement, ast.Assign):
        targets = list(statement.targets)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        targets = [statement.value]
    return {n.id for t in targets if t is not None for n in ast.walk(t) if isinstance(n, ast.Name)}


def other_axes(statement: ast.stmt, source: str) -> Iterator[Edit]:
    """Yield a line that counts samples with another axis of the shape: ``X.shape[0]`` for ``X.shape[1]``."""
    text = source or ast.unparse(statement)
    for match in re.finditer(r"\.shape\[(-?\d)\]", text):
        for axis in "01":
            if axis != match[1]:
                new = text[: match.start(1)] + axis + text[match.end(1):]
                place = match.start() + 1, match.end() - match.start()
                yield Edit("wrong axis", ast.parse(new).body[0], new, 0, *place, 1)
