"""Exact arithmetic of numbers, sizes and indices, with limits: a hostile power is refused, not computed."""

from __future__ import annotations

import re
from functools import lru_cache

import sympy as sp

from symbp.expr import Node, SizeMember
from symbp.language.diagnostics import Mistake
from symbp.ops.elementwise import ELEMENTWISE

Value = Node | sp.Expr
"""What an expression of the language is: a matrix, or an exact scalar made of numbers, sizes and indices."""

MOST_BITS = 4096
MOST_DIGITS = 400
MOST_TERMS = 1_000

_DECIMAL = re.compile(r"(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?\Z")
_HUGE = "the language is exact; numbers of this size are written as a declared scalar"

SCALAR_FUNCTIONS = ("exp", "log", "sqrt", "sin", "cos", "tanh", "arctan", "erf", "abs", "sign", "sigmoid")
"""Elementwise functions that may be applied to numbers and sizes."""


def number(text: str) -> sp.Expr:
    """Return the exact number that a decimal text means: ``0.1`` is 1/10."""
    match = _DECIMAL.match(text.replace("_", ""))
    if match is None or not (match.group(1) or match.group(2)):
        raise Mistake("O010", f"`{text[:30]}` is not a decimal number", "write 12, 0.5 or 1e-3")
    whole, fraction, exponent = match.group(1), match.group(2), int((match.group(3) or "0")[:8])
    if len(whole) + len(fraction) > MOST_DIGITS or abs(exponent) > MOST_DIGITS:
        raise Mistake("L005", f"a number of more than {MOST_DIGITS} digits", _HUGE)
    power = exponent - len(fraction)
    digits = sp.Integer(int(whole + fraction or "0"))
    return digits * sp.Integer(10) ** power


@lru_cache(maxsize=65536)
def _terms(value: sp.Expr) -> int:
    """Return a bound of the number of terms of the expanded form."""
    if isinstance(value, sp.Rational):
        if max(abs(value.p).bit_length(), value.q.bit_length()) > MOST_BITS:
            raise Mistake("L005", "a number with too many digits", _HUGE)
        return 1
    if value.is_Atom or isinstance(value, SizeMember):
        return 1
    inner = [_terms(a) for a in value.args if isinstance(a, sp.Expr)]
    if value.is_Add:
        result = sum(inner)
    elif value.is_Mul:
        result = 1
        for k in inner:
            result *= k
    elif value.is_Pow and value.exp.is_Integer and inner[0] > 1:
        result = inner[0] ** min(abs(int(value.exp)), 64)
    else:
        result = sum(inner)
    if result > MOST_TERMS:
        raise Mistake(
            "L005", f"a scalar with more than {MOST_TERMS} terms", "give a part of it a name, as a declared scalar"
        )
    return result


def checked(value: sp.Expr) -> sp.Expr:
    """Return the scalar if it is finite, real and small enough; raise ``Mistake`` otherwise."""
    if value.has(sp.zoo, sp.nan, sp.oo, -sp.oo):
        raise Mistake("O011", "a scalar that is not finite", "is there a division by zero, or log(0)?")
    if value.has(sp.I):
        raise Mistake("O011", "a scalar that is not real", "is there a root or logarithm of a negative number?")
    _terms(value)
    return value


def add_scalars(a: sp.Expr, b: sp.Expr) -> sp.Expr:
    """Return a + b."""
    return checked(a + b)


def multiply_scalars(a: sp.Expr, b: sp.Expr) -> sp.Expr:
    """Return a * b."""
    return checked(a * b)


def divide_scalars(a: sp.Expr, b: sp.Expr) -> sp.Expr:
    """Return a / b."""
    if b.is_zero:
        raise Mistake("O011", "a division by zero")
    return checked(a / b)


def raise_scalar(base: sp.Expr, exponent: sp.Expr) -> sp.Expr:
    """Return base ** exponent, refusing powers that would not fit on a page."""
    if isinstance(base, sp.Rational) and isinstance(exponent, sp.Rational):
        bits = max(abs(base.p).bit_length(), base.q.bit_length())
        if bits > 1 and abs(exponent) * bits > MOST_BITS:
            raise Mistake("L005", f"the power {_short(base)}**{_short(exponent)} has too many digits", _HUGE)
        if not exponent.is_Integer and bits > 256:
            raise Mistake("L005", "a root of a number with too many digits", _HUGE)
        if base.is_zero and exponent.is_negative:
            raise Mistake("O011", "a division by zero")
    elif isinstance(exponent, sp.Integer) and _terms(base) ** min(abs(int(exponent)), 64) > MOST_TERMS:
        raise Mistake(
            "L005", f"a power with more than {MOST_TERMS} terms", "give the base a name, as a declared scalar"
        )
    if isinstance(exponent, sp.Integer) and abs(exponent) > MOST_BITS:
        raise Mistake("L005", f"the exponent {_short(exponent)} is too large", _HUGE)
    return checked(base**exponent)


def apply_scalar(name: str, value: sp.Expr) -> sp.Expr:
    """Return an elementwise function of the table applied to a scalar."""
    if name not in SCALAR_FUNCTIONS:
        raise Mistake(
            "O012",
            f"`{name}` of a number or a size is not part of the language",
            "compute the number and write it down",
        )
    return checked(sp.sympify(ELEMENTWISE[name].law(value), strict=True))


def _short(value: sp.Expr) -> str:
    # A huge integer may not even be converted to text.
    if isinstance(value, sp.Rational) and max(abs(value.p).bit_length(), value.q.bit_length()) > 100:
        return "(a long number)"
    return str(value)
