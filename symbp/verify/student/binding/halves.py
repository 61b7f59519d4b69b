"""The forward half of a function that does both: it ends behind the loss, with a return in place of the rest."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from symbp.verify.student.binding.hints import gradients_from, is_loss_name
from symbp.verify.student.binding.usage import own_nodes, parameters, returns


@dataclass(frozen=True)
class Half:
    """Where a function ends if its loss is all that is wanted.

    first: the first statement of the other half.
    end:   the return in its place, of as many parts as the whole function gives; those that are not known are None.
    rest:  the statements of the other half.
    """

    first: ast.stmt
    end: ast.Return
    rest: frozenset[ast.stmt]


def forward_half(function: ast.FunctionDef) -> Half | None:
    """Return the half of a function that gives its loss; None if its loss is not returned by name, or comes last."""
    begins = gradients_from(function)
    first = next((s for s in function.body if s.lineno >= begins), None) if begins else None
    if first is None or isinstance(first, ast.Return):
        return None
    before = {n for s in function.body[: function.body.index(first)] for n in ast.walk(s)}
    open_ones = _stored(own_nodes(function)) - _stored(before) - {p for p, _ in parameters(function)}
    whole = [n for n in own_nodes(function) if isinstance(n, ast.Return) and n not in before]
    parts = [ast.Constant(None) if _names(p) & open_ones else p for p in returns(function)]
    if len(whole) != 1 or not any(isinstance(p, ast.Name) and is_loss_name(p.id) for p in parts):
        return None
    value = ast.Tuple(parts, ast.Load()) if isinstance(whole[0].value, ast.Tuple) else parts[0]
    end = ast.copy_location(ast.Return(value), first)
    return Half(first, ast.fix_missing_locations(end), frozenset(function.body[function.body.index(first):]))


def _stored(nodes: Iterable[ast.AST]) -> set[str]:
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _names(node: ast.expr) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
