"""Elementwise functions as the verifier knows them: scalar laws, their derivatives by SymPy, and their evaluation.

The rule book states slopes; this module states none.  A function is its *law*, a SymPy expression in real symbols,
and every derivative of it comes from SymPy's scalar calculus.  A law is evaluated by a small interpreter of scalar
trees over a *domain* (NumPy arrays, mpmath numbers, a prime field), never by ``lambdify``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial, cache
from typing import Any, Protocol

import sympy as sp
from sympy.core.function import AppliedUndef

from symbp.expr import Function


class EvaluationError(ValueError):
    """A program that cannot be evaluated on the given values; the message names the variable or the node."""


class UnknownOperation(EvaluationError):
    """A node, a mask, a static map or a scalar function that the evaluator does not know: never guessed."""


def _relu(z: sp.Expr) -> sp.Expr:
    return sp.Piecewise((z, z > 0), (sp.S.Zero, True))


def _sign(z: sp.Expr) -> sp.Expr:
    return sp.Piecewise((sp.S.One, z > 0), (sp.S.NegativeOne, z < 0), (sp.S.Zero, True))


def _abs(z: sp.Expr) -> sp.Expr:
    return sp.Piecewise((z, z > 0), (-z, z < 0), (sp.S.Zero, True))


def _logistic(z: sp.Expr) -> sp.Expr:
    return 1 / (1 + sp.exp(-z))


LAWS: dict[str, Callable[..., sp.Expr]] = {
    "recip": lambda z: 1 / z,
    "recip0": lambda z: sp.Piecewise((1 / z, sp.Ne(z, 0)), (sp.S.Zero, True)),
    "power": lambda z, p: z**p,
    "pow": lambda a, b: a**b,
    "exp": sp.exp,
    "log": sp.log,
    "sqrt": sp.sqrt,
    "tanh": sp.tanh,
    "sigmoid": _logistic,
    "softplus": lambda z: sp.log(1 + sp.exp(z)),
    "sin": sp.sin,
    "cos": sp.cos,
    "erf": sp.erf,
    "abs": _abs,
    "sign": _sign,
    "step": lambda z: sp.Piecewise((sp.S.One, z > 0), (sp.S.Zero, True)),
    "relu": _relu,
    "leaky_relu": lambda z, alpha: sp.Piecewise((z, z > 0), (alpha * z, True)),
    "elu": lambda z, alpha: sp.Piecewise((z, z > 0), (alpha * (sp.exp(z) - 1), True)),
    "silu": lambda z: z * _logistic(z),
    "mish": lambda z: z * sp.tanh(sp.log(1 + sp.exp(z))),
    "gelu": lambda z: z * (1 + sp.erf(z / sp.sqrt(2))) / 2,
    "arctan": sp.atan,
    "softsign": lambda z: sp.Piecewise((z / (1 + z), z > 0), (z / (1 - z), True)),
    "hard_tanh": lambda z: sp.Piecewise((sp.S.One, z > 1), (sp.S.NegativeOne, z < -1), (z, True)),
    "stop_gradient": lambda z: z,
}
"""The scalar law of each function of the elementwise table: arguments first, parameters after them."""

HELD = frozenset({"stop_gradient"})
"""Functions whose derivative is zero by definition, whatever their law says: see design note 10."""


@cache
def arguments(count: int) -> tuple[sp.Symbol, ...]:
    """Return the real symbols in which laws of ``count`` arguments are written."""
    return tuple(sp.Symbol(f"z_{k}", real=True) for k in range(count))


def free_law(name: str, count: int) -> sp.Expr:
    """Return a smooth stand-in for a function that was left unspecified, another one for each name.

    It is ``sum_k c_k z_k + sin(sum_k a_k z_k + phase)``, so no derivative of it vanishes and none repeats.
    """
    seed = sum((k + 1) * ord(ch) for k, ch in enumerate(name))
    phase = sp.Rational(seed % 97 + 1, 41)
    inside, linear = phase, sp.S.Zero
    for k, z in enumerate(arguments(count)):
        inside += sp.Rational(seed % 7 + 9 + 4 * k, 11) * z
        linear += sp.Rational(seed % 5 + 3 + k, 13) * z
    return linear + sp.sin(inside)


def _own_form(law: sp.Expr) -> sp.Expr:
    """Write kinks as selections and named table functions by their laws, so that SymPy's ``diff`` is exact."""

    def piece(expr: sp.Expr) -> sp.Expr:
        args = expr.args
        if isinstance(expr, sp.Abs):
            return _abs(args[0])
        if isinstance(expr, sp.sign):
            return _sign(args[0])
        if isinstance(expr, sp.Heaviside):
            return LAWS["step"](args[0])
        if isinstance(expr, sp.Max | sp.Min):
            best = args[0]
            for other in args[1:]:
                ahead = best >= other if isinstance(expr, sp.Max) else best <= other
                best = sp.Piecewise((best, ahead), (other, True))
            return best
        if isinstance(expr, AppliedUndef) and expr.func.__name__ in LAWS:
            return LAWS[expr.func.__name__](*args)
        return expr

    memo: dict[sp.Basic, Any] = {}
    for node in sp.postorder_traversal(law):
        if node not in memo:
            children = [memo[a] for a in node.args]
            rebuilt = node if all(a is b for a, b in zip(children, node.args, strict=True)) else node.func(*children)
            memo[node] = piece(rebuilt) if isinstance(rebuilt, sp.Expr) else rebuilt
    return memo[law]


def is_held(function: Function) -> bool:
    """Tell whether the derivative of a function is zero by definition."""
    return function.law is None and function.name in HELD


@lru_cache(maxsize=4096)
def scalar_law(function: Function) -> sp.Expr:
    """Return the law of a function with its derivatives taken, in the symbols ``arguments(k)``.

    Raises ``UnknownOperation`` for a name without a law.
    """
    symbols = arguments(len(function.orders))
    if is_held(function) and any(function.orders):
        return sp.S.Zero
    if function.law is not None:
        law = _own_form(function.law(*symbols))
    elif function.is_free:
        law = free_law(function.name, len(symbols))
    elif function.name in LAWS:
        law = LAWS[function.name](*symbols, *function.parameters)
    else:
        raise UnknownOperation(f"the elementwise function {function.name} has no scalar law")
    for symbol, order in zip(symbols, function.orders, strict=True):
        if order:
            law = sp.diff(law, symbol, order)
    return law


@lru_cache(maxsize=4096)
def kinks(function: Function) -> tuple[sp.Expr, ...]:
    """Return expressions whose zeros are the points at which the law of a function changes."""
    relations = scalar_law(function.base).atoms(sp.core.relational.Relational)
    return tuple(r.args[0] - r.args[1] for r in sorted(relations, key=str))


class Domain(Protocol):
    """What the interpreter of scalar trees needs of a set of numbers."""

    def number(self, value: sp.Expr) -> Any:
        """Return an exact number (rational, pi, a root) in the domain."""

    def add(self, values: Sequence[Any]) -> Any:
        """Return the sum."""

    def mul(self, values: Sequence[Any]) -> Any:
        """Return the product."""

    def power(self, base: Any, exponent: sp.Expr) -> Any:
        """Return the power with an exact rational exponent."""

    def power2(self, base: Any, exponent: Any) -> Any:
        """Return the power with an exponent of the domain."""

    def call(self, name: str, value: Any) -> Any:
        """Return exp, log, tanh, sin, cos, erf or atan."""

    def relation(self, op: str, a: Any, b: Any) -> Any:
        """Return where the relation holds."""

    def select(self, cases: Sequence[tuple[Any, Callable[[], Any]]]) -> Any:
        """Return the value of the first case whose condition holds; values are computed on demand."""


def _joined(conditions: Sequence[Any], every: bool) -> Any:
    """Return the conjunction (or the disjunction) of conditions, which may be arrays."""
    result = conditions[0]
    for condition in conditions[1:]:
        result = (result & condition) if every else (result | condition)
    return result


CALLS = {
    sp.exp: "exp", sp.log: "log", sp.tanh: "tanh", sp.sinh: "sinh", sp.cosh: "cosh", sp.sin: "sin", sp.cos: "cos",
    sp.tan: "tan", sp.erf: "erf", sp.atan: "atan",
}


def interpret(law: sp.Expr, values: dict[sp.Symbol, Any], domain: Domain) -> Any:
    """Evaluate a scalar tree over a domain.

    Raises ``UnknownOperation`` for anything that is not a number, a known symbol, a sum, a product, a power, one of
    ``CALLS`` or a selection.
    """
    memo: dict[sp.Basic, Any] = dict(values)

    def visit(node: sp.Basic) -> Any:
        if node in memo:
            return memo[node]
        result: Any
        if isinstance(node, sp.Expr) and not node.free_symbols and not node.has(sp.Piecewise):
            result = domain.number(node)
        elif isinstance(node, sp.Add):
            result = domain.add([visit(a) for a in node.args])
        elif isinstance(node, sp.Mul):
            result = domain.mul([visit(a) for a in node.args])
        elif isinstance(node, sp.Pow):
            base, exponent = node.args
            rational = isinstance(exponent, sp.Rational)
            result = domain.power(visit(base), exponent) if rational else domain.power2(visit(base), visit(exponent))
        elif type(node) in CALLS:
            result = domain.call(CALLS[type(node)], visit(node.args[0]))
        elif isinstance(node, sp.Piecewise):
            result = domain.select([(visit(c), partial(visit, v)) for v, c in node.args])
        elif node in (sp.true, sp.false):
            result = bool(node)
        elif isinstance(node, sp.And | sp.Or):
            result = _joined([visit(a) for a in node.args], isinstance(node, sp.And))
        elif isinstance(node, sp.core.relational.Relational):
            result = domain.relation(node.rel_op, visit(node.args[0]), visit(node.args[1]))
        else:
            raise UnknownOperation(f"the scalar law {law} uses {node}, which the verifier cannot evaluate")
        memo[node] = result
        return result

    return visit(law)
