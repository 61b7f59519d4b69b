"""Operations that state their differential: elementwise maps, softmax, log-sum-exp, maxima."""

from __future__ import annotations

from collections.abc import Sequence

from symbp.expr import (
    ArgmaxMask,
    AxisNode,
    Compare,
    LogSumExp,
    Map,
    MaxAxis,
    Node,
    Ones,
    Softmax,
    T,
    add,
    had,
    is_one,
    matmul,
    scaled,
    sum_axis,
)
from symbp.ops.elementwise import ELEMENTWISE
from symbp.ops.rule import Op, flat, nonlinear


def _spread_sum(U: Node, axis: int) -> Node:
    """Return the sums along the axis, spread over it: ``1 1^T U`` (axis 0) or ``U 1 1^T`` (axis 1)."""
    n = U.rows if axis == 0 else U.cols
    if is_one(n):
        return U
    return matmul(Ones(n, 1), Ones(1, n), U) if axis == 0 else matmul(U, Ones(n, 1), Ones(1, n))


def slope(node: Map, Y: Node, slot: int) -> Node | None:
    """Return the slope of an elementwise function in one argument, through its value ``Y``; None if it is zero.

    The slope of a function that the user defined or left free is its derivative, by name.
    """
    function = node.function
    entry = ELEMENTWISE.get(function.name)
    if entry is None or function.law is not None or function.is_free or any(function.orders):
        return Map(*node.operands, function.derivative(slot))
    rule = entry.slopes[slot]
    return None if rule is None else rule(*node.operands, Y, *function.parameters)


def _d_map(node: Node, Y: Node, dA: Sequence[Node | None]) -> Node | None:
    assert isinstance(node, Map)
    entry = ELEMENTWISE.get(node.function.name)
    terms = [
        had(Map(*node.operands, node.function.derivative(k)), tangent)
        for k, tangent in enumerate(dA)
        if tangent is not None and not (entry and not any(node.function.orders) and entry.slopes[k] is None)
    ]
    return add(*terms) if terms else None


def _d_softmax(node: Node, P: Node, dA: Sequence[Node | None]) -> Node | None:
    assert isinstance(node, AxisNode)
    (dZ,) = dA
    if dZ is None:
        return None
    U = had(P, dZ)
    return add(U, scaled(-1, had(P, _spread_sum(U, node.axis))))


def _d_logsumexp(node: Node, Y: Node, dA: Sequence[Node | None]) -> Node | None:
    assert isinstance(node, AxisNode)
    (dZ,) = dA
    return None if dZ is None else sum_axis(had(Softmax(node.operands[0], node.axis), dZ), node.axis)


def _d_max(node: Node, Y: Node, dA: Sequence[Node | None]) -> Node | None:
    assert isinstance(node, AxisNode)
    (dZ,) = dA
    return None if dZ is None else sum_axis(had(ArgmaxMask(node.operands[0], node.axis), dZ), node.axis)


def _turn_axis(node: Node) -> Node:
    assert isinstance(node, AxisNode)
    return type(node)(T(node.operands[0]), 1 - node.axis)


map_ = nonlinear(
    "map",
    Map,
    "f({A})",
    "(r,c),...->(r,c)",
    differential=_d_map,
    reason="elementwise function",
    source="F0.4",
)
compare = flat("compare", Compare, "[{A} {relation} {B}]", "(r,c),(r,c)->(r,c)", reason="comparison")
softmax = nonlinear(
    "softmax",
    Softmax,
    "\\operatorname{{softmax}}({A})",
    "(r,c)->(r,c)",
    differential=_d_softmax,
    batch="own",
    turned=_turn_axis,
    reason="softmax",
    source="F1.4",
)
logsumexp = nonlinear(
    "logsumexp",
    LogSumExp,
    "\\operatorname{{lse}}({A})",
    "(r,c)->(1,c)",
    differential=_d_logsumexp,
    batch="own",
    turned=_turn_axis,
    reason="log-sum-exp",
)
max_ = nonlinear(
    "max",
    MaxAxis,
    "\\max({A})",
    "(r,c)->(1,c)",
    differential=_d_max,
    batch="own",
    turned=_turn_axis,
    reason="maximum",
    domain="a single largest entry; at ties the first one wins",
)
argmax_mask = flat(
    "argmax_mask",
    ArgmaxMask,
    "\\operatorname{{argmax}}({A})",
    "(r,c)->(r,c)",
    batch="own",
    turned=_turn_axis,
    reason="argmax",
    domain="at ties the first entry wins",
)

NONLINEAR: tuple[Op, ...] = tuple(entry for entry in list(globals().values()) if isinstance(entry, Op))
