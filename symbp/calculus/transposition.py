"""Transposition: from a differential, linear in tangents, to the cotangent of each variable.

    <Zbar, dZ> = <Zbar, dW A + W dA> = <Zbar A^T, dW> + <W^T Zbar, dA>

One reverse sweep over the linear part of the expression: a part that is used twice collects its cotangents before
they are passed on, so the adjoint has the form of the book.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from symbp.expr import Node, Ones, Ref, SumOver, add, is_one, walk
from symbp.ops import rule


@dataclass(frozen=True)
class Pulled:
    """One cotangent that arrives at a tangent: ``<cotangent, linear(dX)> = <message, dX>``.

    tangent: the tangent, as it is read.
    message: the cotangent of the variable.
    sums:    the sums over an index around the read, outermost first.
    reason:  what the last rule on the way is called, and the slot.
    """

    tangent: Ref
    message: Node
    sums: tuple[SumOver, ...] = ()
    reason: str = ""


def transpose(linear: Node, cotangent: Node, is_tangent: Callable[[Ref], bool]) -> list[Pulled]:
    """Return the messages of a linear expression, one per tangent that it reads.

    linear:     the differential, linear in tangents.
    cotangent:  the cotangent of its value, of the same shape.
    is_tangent: tells which variables are tangents.
    """
    active: set[Node] = set()
    order = list(walk(linear))
    for part in order:
        if isinstance(part, Ref):
            if is_tangent(part):
                active.add(part)
        elif any(o in active for o in part.operands):
            active.add(part)
    arriving: dict[Node, list[Node]] = {linear: [cotangent]}
    reasons: dict[Node, str] = {linear: ""}
    found: list[Pulled] = []
    for part in _top_down(linear, active):
        G = add(*arriving[part])
        if isinstance(part, Ref):
            found.append(Pulled(part, G, reason=reasons[part]))
            continue
        if isinstance(part, SumOver):
            found += [
                Pulled(p.tangent, p.message, (part, *p.sums), p.reason or reasons[part])
                for p in transpose(part.operands[0], G, is_tangent)
            ]
            continue
        op = rule(part)
        for slot, operand in enumerate(part.operands):
            if operand in active:
                if op.pull is None or not op.is_linear(slot):
                    raise ArithmeticError(f"{op.name} is not linear in slot {slot}: {part}")
                arriving.setdefault(operand, []).append(op.pull(G, part, slot))
                reasons[operand] = _reason(part, slot) or reasons[part]
    return found


def _top_down(linear: Node, active: set[Node]) -> list[Node]:
    """Return the active parts, each after everything that uses it, without going inside sums over an index."""
    order: list[Node] = []
    seen: set[Node] = set()

    def visit(part: Node) -> None:
        if part in seen or part not in active:
            return
        seen.add(part)
        if not isinstance(part, SumOver):
            for operand in reversed(part.operands):
                visit(operand)
        order.append(part)

    visit(linear)
    order.reverse()
    return order


def _reason(node: Node, slot: int) -> str:
    op = rule(node)
    if op.quiet:
        return ""
    others = [o for k, o in enumerate(node.operands) if k != slot]
    if others and all(isinstance(o, Ones) for o in others):
        spreads = op.batch != "reversed" or (
            len(others) == 1 and is_one(others[0].rows if slot == 0 else others[0].cols)
        )
        return "broadcast \N{RIGHTWARDS ARROW} sum" if spreads else "sum \N{RIGHTWARDS ARROW} broadcast"
    if len(node.operands) == 2 and op.batch == "reversed":
        return f"{op.reason}, {'left' if slot == 0 else 'right'} factor"
    return op.reason
