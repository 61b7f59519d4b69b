"""Gradients of parameters that are computed and given to nobody: neither returned nor read by anything."""

from __future__ import annotations

import ast

from symbp.language.diagnostics import Mistake
from symbp.verify.student.binding.outputs import source_of
from symbp.verify.student.binding.search import Bound
from symbp.verify.student.binding.usage import own_nodes
from symbp.verify.student.language.errors import Located


def dropped(bound: Bound) -> Located | None:
    """Return the first gradient of a parameter that is given a name and dropped, with the return that has it not."""
    function = bound.task.backward or bound.task.forward
    given = {of for _, of in bound.session.plan.outputs}
    sources = {
        path: value for path, value in bound.case(0).sources.items()
        if path not in bound.draws.arrays or bound.draws.arrays[path].role in ("parameter", "bias")
    }
    statements = [n for n in own_nodes(function) if isinstance(n, ast.stmt)]
    returned = [s for s in statements if isinstance(s, ast.Return) and s.value is not None]
    for statement in statements if returned else ():
        for name in _assigned(statement):
            of = source_of(name, sources)
            if of is not None and of not in given and not any(_reads(s, name) for s in statements):
                help = f"line {statement.lineno} makes it; is it meant here?"
                return Located(Mistake("C119", f"`{name}` is computed and given to nobody", help), returned[-1])
    return None


def _assigned(statement: ast.stmt) -> list[str]:
    """Return the plain names that a statement assigns."""
    targets = statement.targets if isinstance(statement, ast.Assign) else (
        [statement.target] if isinstance(statement, (ast.AugAssign, ast.AnnAssign)) else [])
    parts = [e for t in targets for e in (t.elts if isinstance(t, (ast.Tuple, ast.List)) else [t])]
    return [p.id for p in parts if isinstance(p, ast.Name)]


def _reads(statement: ast.stmt, name: str) -> bool:
    """Tell whether a statement reads a name, and not only to make it anew."""
    if _assigned(statement) == [name]:
        return False
    blocks = {n for b in ("body", "orelse") for s in getattr(statement, b, []) for n in ast.walk(s)}
    return any(
        isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)
        for n in ast.walk(statement) if n not in blocks
    )
