"""Arithmetic of matrices and exact scalars together: NumPy's meaning, coefficients in front."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sympy as sp

from symbp.expr import (
    ArgmaxMask,
    Compare,
    Eye,
    Function,
    Hadamard,
    Mask,
    MatMul,
    Node,
    Ones,
    Ref,
    Scale,
    T,
    Take,
    Zero,
    apply,
    broadcast,
    common_shape,
    is_one,
    plus,
    power,
    scaled,
    shape_text,
    times,
)
from symbp.language.diagnostics import Mistake
from symbp.language.scalars import Value, raise_scalar


def split_coefficient(value: Node) -> tuple[sp.Expr, Node]:
    """Return ``(c, body)`` with value = c * body."""
    if isinstance(value, Scale):
        return value.coefficient, value.body
    return sp.S.One, value


def add_values(*values: Value) -> Value:
    """Return a sum of numbers, sizes and matrices, with NumPy's broadcasting."""
    if not any(isinstance(v, Node) for v in values):
        return sp.Add(*values)
    return plus(*values)


def multiply_values(a: Value, b: Value) -> Value:
    """Return an entrywise product with its exact coefficient in front."""
    if not isinstance(a, Node) and not isinstance(b, Node):
        return a * b
    (c, a), (d, b) = split_coefficient(a), split_coefficient(b)
    result = times(a, b)
    return scaled(c * d, result)


def multiply_all(values: Sequence[Value]) -> Value:
    """Return the entrywise product of many values, matrices of one shape as one operation."""
    if len(values) < 3 or not all(isinstance(v, Node) and not v.is_scalar_shape for v in values):
        result = values[0]
        for value in values[1:]:
            result = multiply_values(result, value)
        return result
    coefficient: sp.Expr = sp.S.One
    bodies: list[Node] = []
    for value in values:
        assert isinstance(value, Node)
        c, body = split_coefficient(value)
        coefficient, bodies = coefficient * c, [*bodies, body]
    shape = common_shape(*bodies)
    return scaled(coefficient, Hadamard(*(broadcast(body, *shape) for body in bodies)))


def divide_values(a: Value, b: Value) -> Value:
    """Return an entrywise quotient with its exact coefficient in front; a division by the number 0 is a mistake."""
    if not isinstance(b, Node):
        if b.is_zero:
            raise Mistake("O011", "a division by zero")
        return scaled(1 / b, a) if isinstance(a, Node) else a / b
    d, b = split_coefficient(b)
    c, a = split_coefficient(a)
    assert isinstance(b, Node)
    return scaled(c / d, a / b if isinstance(a, Node) else times(a, apply(Function("recip"), b)))


def to_power(base: Value, exponent: Value) -> Value:
    """Return the entrywise power of matrices and exact scalars."""
    if isinstance(exponent, Node) or not isinstance(base, Node):
        if not isinstance(base, Node) and not isinstance(exponent, Node):
            return raise_scalar(base, exponent)
        return apply(Function("pow", (), (0, 0)), base, exponent)
    if not exponent.is_number:
        return apply(Function("pow", (), (0, 0)), base, exponent)
    return power(base, exponent)


def product(factors: Sequence[Node]) -> Node:
    """Return the matrix product with the coefficients of its factors in front."""
    coefficient: sp.Expr = sp.S.One
    bodies: list[Node] = []
    for factor in factors:
        c, body = split_coefficient(factor)
        assert isinstance(body, Node)
        coefficient, bodies = coefficient * c, [*bodies, body]
    return scaled(coefficient, MatMul(*bodies))


def column(x: Node, what: str) -> Node:
    """Return a column as it is, a row as a column."""
    if is_one(x.cols):
        return x
    if is_one(x.rows):
        return T(x)
    raise Mistake("S004", f"{what} wants columns, not {shape_text(x.shape)}")


def is_mask(node: Node, known: Callable[[Ref], bool]) -> bool:
    """Tell whether an expression has entries 0 and 1 only; ``known`` answers for variables."""
    if isinstance(node, (Compare, ArgmaxMask, Eye, Ones, Zero)):
        return True
    if isinstance(node, Take):
        return is_mask(node.operands[0], known)
    if isinstance(node, Mask):
        return node.kind != "half_lower"
    if isinstance(node, Ref):
        return known(node)
    if isinstance(node, Hadamard):
        return all(is_mask(o, known) for o in node.operands)
    if isinstance(node, MatMul):
        # A broadcast mask is a mask: the inner sizes are 1, so nothing is added up.
        return all(is_one(o.cols) for o in node.operands[:-1]) and all(is_mask(o, known) for o in node.operands)
    return False
