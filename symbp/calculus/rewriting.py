"""The engine that applies identities: bottom-up, phase by phase, each use recorded as a Step."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from symbp.calculus.identities import Context, Identity, Phase, identities
from symbp.derivation import Step
from symbp.expr import Node, Ref
from symbp.program import Loop

LIMIT = 10_000
"""How many uses of identities one expression may take; beyond it an identity does not terminate."""

Record = Callable[[Identity, Node, Node], None]


class DoesNotEnd(RuntimeError):
    """A phase that did not come to an end: an identity does not lower its measure."""


@cache
def _by_node(phase: Phase) -> dict[type[Node], tuple[Identity, ...]]:
    table: dict[type[Node], list[Identity]] = {}
    for entry in identities(phase):
        for node in entry.nodes:
            table.setdefault(node, []).append(entry)
    return {node: tuple(entries) for node, entries in table.items()}


def rewrite(node: Node, phase: Phase, context: Context, record: Record | None = None) -> Node:
    """Return the normal form of an expression under the identities of one phase.

    Operands are brought to normal form first; an identity is then tried at the top until none applies.
    Raises ``DoesNotEnd`` after ``LIMIT`` uses.
    """
    table = _by_node(phase)
    memo: dict[Node, Node] = {}
    uses = 0

    def normal(current: Node) -> Node:
        nonlocal uses
        found = memo.get(current)
        if found is not None:
            return found
        operands = current.operands
        changed = [normal(o) for o in operands]
        same = all(a is b for a, b in zip(changed, operands, strict=True))
        result = current if same else current.rebuild(*changed)
        for entry in table.get(type(result), ()):
            replacement = entry.change(result, context)
            if replacement is None or replacement is result:
                continue
            uses += 1
            if uses > LIMIT:
                raise DoesNotEnd(f"phase {phase} does not end: {entry.name} on {result}")
            if record is not None:
                record(entry, result, replacement)
            result = normal(replacement)
            break
        memo[current] = result
        return result

    return normal(node)


PHASES: tuple[Phase, ...] = ("contract", "facts", "fold", "contract", "collect")


def tidy(
    node: Node,
    context: Context,
    target: Ref,
    loops: tuple[Loop, ...] = (),
    steps: list[Step] | None = None,
    phases: tuple[Phase, ...] = PHASES,
) -> Node:
    """Return the readable form of the right side of ``target``; each use of an identity is added to ``steps``."""

    def record(entry: Identity, before: Node, after: Node) -> None:
        if steps is not None:
            steps.append(
                Step(
                    "rewrite",
                    entry.name,
                    target,
                    before,
                    after,
                    condition=entry.condition,
                    source=entry.source,
                    loops=loops,
                    detail=entry.detail,
                )
            )

    for phase in phases:
        node = rewrite(node, phase, context, record)
    return node
