"""Arrays of shapes (m,) or (1, m), and (m, 1), that made (m, m): blamed where mending them makes all right.
A table of pairwise differences is made in the same way, so that right work only gets a remark.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from symbp.verify.check.natures import NATURES
from symbp.verify.check.verdict import GOOD, Fault, Judgement
from symbp.verify.student.binding.draws import DRAWS
from symbp.verify.student.binding.search import Bound, share_right
from symbp.verify.student.judging.work import line_of
from symbp.verify.student.language.reading import Reading, span
from symbp.verify.student.language.trace import Square

NATURE = NATURES["silent broadcast"]
SIMPLE = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr)
"""Statements that a mend is written for."""
Tree = TypeVar("Tree", bound=ast.AST)


def told(bound: Bound, judgement: Judgement) -> Judgement:
    """Return a judgement that names silent broadcasts, as a remark or as the mistake."""
    reading = bound.session.reading
    if judgement.verdict == "not checked":
        return judgement
    squares = bound.session.run(bound.case(0), keeps=False).squares
    found = {n: s for n, s in squares.items() if is_written(n, reading.module)}
    if not found:
        return judgement
    mends = None if judgement.verdict in GOOD else _mends(bound, found)
    if mends is not None:
        return blamed(reading, found, judgement, mends)
    # Of a row and a column a table is made on purpose.
    remarks = tuple(f"{reading.at(n)}: {s}; is that meant?" for n, s in found.items() if len(s.shape) == 1)
    return replace(judgement, remarks=(*judgement.remarks, *remarks))


def blamed(
    reading: Reading, squares: Mapping[ast.expr, Square], judgement: Judgement,
    mends: Mapping[ast.expr, ast.expr] | None = None,
) -> Judgement:
    """Return the judgement that the first of these expressions that is mended, else the first, is the mistake."""
    mends = mends or {}
    node = next((n for n in squares if n in mends), next(iter(squares)))
    statement = statement_of(reading.module, node)
    row, column, length = span(node, reading.lines)
    others = [reading.at(n) for n in mends if statement_of(reading.module, n) is not statement]
    count = len(judgement.outputs)
    then = f"then all {count} gradients are right" if count > 1 else "then the gradient is right"
    fault = Fault(
        0, (0,), of="", nature="silent broadcast", code=NATURE.code, title=NATURE.title, label=str(squares[node]),
        row=reading.place(row)[1], column=column, length=length, question=NATURE.question,
        mend=ast.unparse(_with(statement, mends)) if mends and isinstance(statement, SIMPLE) else "",
        then=then if mends and not others else "",
        help=f"then the same in {', '.join(others)}" if others else "", affected=judgement.affected,
    )
    return replace(judgement, verdict="wrong", constant="", lines=(line_of(statement, reading),), faults=(fault,))


def is_written(node: ast.expr, module: ast.Module) -> bool:
    """Tell whether an expression stands in the file, and not in how its functions are called."""
    return any(n is node for n in ast.walk(module))


def statement_of(module: ast.Module, node: ast.expr) -> ast.stmt:
    """Return the innermost statement that an expression stands in."""
    return [s for s in ast.walk(module) if isinstance(s, ast.stmt) and any(n is node for n in ast.walk(s))][-1]


def _mends(bound: Bound, squares: Mapping[ast.expr, Square]) -> dict[ast.expr, ast.expr] | None:
    """Return changes of expressions after which every gradient is right: of one of them, else of all; or None."""
    for nodes in [*([n] for n in squares), list(squares)]:
        for shape in ("column", "row"):
            mends = {n: _mended(n, squares[n], shape) for n in nodes}
            session = bound.session
            changed = replace(session.reading, module=_with(session.reading.module, mends))
            other = Bound(bound.task, replace(session, reading=changed), bound.draws)
            if all(share_right(other, turn) == 1 for turn in range(DRAWS)):
                return mends
    return None


def _mended(node: ast.expr, square: Square, shape: str) -> ast.expr:
    """Return an expression with its row made a column, or with its column made like the row."""
    found = copy.deepcopy(node)
    parts = [found.left, found.right] if isinstance(found, ast.BinOp) else found.args  # type: ignore[attr-defined]
    at = square.row if shape == "column" else 1 - square.row
    method = "ravel()" if at != square.row and len(square.shape) == 1 else (
        "T" if len(square.shape) == 2 else "reshape(-1, 1)")
    part = ast.parse(f"({ast.unparse(parts[at])}).{method}", mode="eval").body
    for inner in ast.walk(part):
        ast.copy_location(inner, node)
    if isinstance(found, ast.BinOp):
        found.left, found.right = (part, found.right) if at == 0 else (found.left, part)
    else:
        parts[at] = part
    return found


def _with(tree: Tree, mends: Mapping[ast.expr, ast.expr]) -> Tree:
    """Return a copy of a tree in which some expressions are others."""
    return copy.deepcopy(tree, {id(n): m for n, m in mends.items()})
