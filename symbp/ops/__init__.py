"""The rule book: one entry per primitive, and the table of elementwise functions.

``RULES`` has every primitive by name; ``rule(node)`` finds the one of an expression.  Variables, constants and sums
over an index are part of the language of programs and have no entry.
"""

from __future__ import annotations

from symbp.expr import Constant, Function, Node, Ref, SumOver
from symbp.ops.elementwise import ELEMENTWISE
from symbp.ops.linear import LINEAR
from symbp.ops.nonlinear import NONLINEAR, slope
from symbp.ops.rule import Elementwise, Op

RULES: dict[str, Op] = {op.name: op for op in (*LINEAR, *NONLINEAR)}
"""Every primitive by name."""

_BY_NODE: dict[type[Node], Op] = {op.node: op for op in RULES.values()}


class NoRule(LookupError):
    """An operation without an entry in the rule book: an error with a name, never a zero."""


def rule(node: Node) -> Op:
    """Return the rule of the operation at the top of an expression; raise ``NoRule`` if there is none."""
    found = _BY_NODE.get(type(node))
    if found is None:
        raise NoRule(f"no rule for the operation {type(node).__name__}")
    return found


def has_rule(node: Node) -> bool:
    """Tell whether the operation at the top has operands and a rule (leaves and index sums have none)."""
    return not isinstance(node, (Ref, Constant, SumOver))


def called(function: Function) -> str:
    """Return what a reader calls an elementwise function: ``tanh``, ``square``, ``power 3``."""
    entry = ELEMENTWISE.get(function.name)
    if entry is None or function.law is not None or function.is_free or any(function.orders):
        return str(function)
    return entry.called(*function.parameters)


__all__ = ["ELEMENTWISE", "RULES", "Elementwise", "NoRule", "Op", "called", "has_rule", "rule", "slope"]
