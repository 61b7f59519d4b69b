"""Numbers and scalar expressions as C text; sizes and places in memory as sums of indices times constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sympy as sp

CHOICE, COMPARE, PLUS, TIMES, UNARY, ATOM = range(6)
"""Levels of C's operators, weakest first."""


class GenerateError(ValueError):
    """A derivation that cannot be written in C; the message says what is in the way and the way out."""


def wrap(text: str, level: int, least: int) -> str:
    """Return a text in parentheses if its operator binds less tightly than ``least``."""
    return text if level >= least else f"({text})"


@dataclass(frozen=True)
class Real:
    """A type of numbers: its name in C, the ending of its literals and of its functions."""

    name: str
    suffix: str
    digits: int

    def literal(self, value: sp.Expr) -> str:
        """Return a number as a literal, with as many digits as the type needs."""
        number = float(value)
        if number == int(number) and abs(number) < 1e6:
            return f"{int(number)}.0{self.suffix}"
        return f"{number:.{self.digits}g}".replace("e-0", "e-").replace("e+0", "e") + (
            "" if any(c in f"{number:.{self.digits}g}" for c in ".e") else ".0"
        ) + self.suffix

    def call(self, function: str) -> str:
        """Return the name of a function of libm."""
        return f"{function}{self.suffix}"


REALS = {"float32": Real("float", "f", 9), "float64": Real("double", "", 17)}


# ---------------------------------------------------------------------------------------------------------
# Places


Linear = Mapping[str, int]
"""A sum of names times constants; the constant itself under the empty name."""


def linear(value: sp.Expr, name: Callable[[sp.Symbol], str]) -> dict[str, int]:
    """Return an index expression as a sum of names times constants."""
    found: dict[str, int] = {}
    for term, coefficient in sp.expand(value).as_coefficients_dict().items():
        if not coefficient.is_Integer or not (term == 1 or term.is_Symbol):
            raise GenerateError(f"{value} is no sum of indices")
        key = "" if term == 1 else name(term)
        found[key] = found.get(key, 0) + int(coefficient)
    return found


def added(*parts: Linear) -> dict[str, int]:
    """Return the sum of places."""
    found: dict[str, int] = {}
    for part in parts:
        for name, coefficient in part.items():
            found[name] = found.get(name, 0) + coefficient
    return {n: c for n, c in found.items() if c}


def times(part: Linear, factor: int) -> dict[str, int]:
    """Return a place times a constant."""
    return {n: c * factor for n, c in part.items()}


def place_text(place: Linear) -> str:
    """Return a place as C text: the largest steps first, the constant last."""
    terms = sorted(((n, c) for n, c in place.items() if n and c), key=lambda item: -abs(item[1]))
    constant = place.get("", 0)
    parts = [(c < 0, n if abs(c) == 1 else f"{abs(c)}u * {n}") for n, c in terms if c > 0]
    if constant or not terms:
        parts.append((constant < 0, f"{abs(constant)}u"))
    parts += [(True, n if abs(c) == 1 else f"{abs(c)}u * {n}") for n, c in terms if c < 0]
    out = ""
    for negative, text in parts:
        out += (" - " if negative else " + ") + text if out else ("-" if negative else "") + text
    return out


# ---------------------------------------------------------------------------------------------------------
# Scalar laws


@dataclass(frozen=True)
class ScalarPrinter:
    """Prints SymPy's scalar expressions: laws of functions, coefficients with sizes that are known at run time.

    real:     the type of numbers.
    name:     the text of a symbol, a number of that type.
    function: is told the name of an elementwise function and returns the name of its C function.
    """

    real: Real
    name: Callable[[sp.Symbol], str]
    function: Callable[[str], str]

    def text(self, value: sp.Expr, least: int = CHOICE) -> str:
        """Return the text of ``value``, in parentheses if its level is below ``least``."""
        return wrap(*self._print(value), least)

    def _print(self, value: sp.Expr) -> tuple[str, int]:
        if value.is_number and not value.has(sp.Piecewise):
            number = self.real.literal(value)
            return number, UNARY if number.startswith("-") else ATOM
        if value.is_Symbol:
            return self.name(value), ATOM
        if isinstance(value, sp.Add):
            out = ""
            for term in sorted(value.args, key=lambda t: (t.is_number, t.could_extract_minus_sign(), str(t))):
                negative = term.could_extract_minus_sign()
                text = self.text(-term if negative else term, TIMES)
                out += (" - " if negative else " + ") + text if out else ("-" if negative else "") + text
            return out, PLUS
        if isinstance(value, sp.Mul):
            return self._product(value)
        if isinstance(value, sp.Pow) and value.base != sp.E:
            return self._power(value.base, value.exp)
        return self._call(value)

    def _product(self, value: sp.Mul) -> tuple[str, int]:
        if value.could_extract_minus_sign():
            return f"-{self.text(-value, UNARY)}", UNARY
        above, below = sp.fraction(value)
        if below == 1:
            factors = sorted(above.as_ordered_factors(), key=lambda f: not f.is_number)
            return " * ".join(self.text(f, UNARY if k else TIMES) for k, f in enumerate(factors)), TIMES
        return f"{self.text(above, TIMES)} / {self.text(below, UNARY)}", TIMES

    def _power(self, base: sp.Expr, exponent: sp.Expr) -> tuple[str, int]:
        if exponent.could_extract_minus_sign():
            return f"{self.real.literal(sp.S.One)} / {self.text(base ** (-exponent), UNARY)}", TIMES
        if exponent == sp.Rational(1, 2):
            return f"{self.real.call('sqrt')}({self.text(base)})", ATOM
        if exponent.is_Integer and exponent <= 4:
            text = self.text(base, ATOM)
            return " * ".join([text] * int(exponent)), TIMES
        return f"{self.real.call('pow')}({self.text(base)}, {self.text(exponent)})", ATOM

    def _call(self, value: sp.Expr) -> tuple[str, int]:
        if isinstance(value, sp.Piecewise):
            pieces = [(p.expr, p.cond) for p in value.args]
            out = self.text(pieces[-1][0], COMPARE)
            for expr, condition in reversed(pieces[:-1]):
                out = f"{self._condition(condition)} ? {self.text(expr, COMPARE)} : {out}"
            return f"({out})", ATOM
        if isinstance(value, (sp.Max, sp.Min)):
            texts = [self.text(a, COMPARE) for a in sorted(value.args, key=lambda a: (a.is_number, str(a)))]
            sign, out = (">" if isinstance(value, sp.Max) else "<"), texts[0]
            for text in texts[1:]:
                out = f"({out} {sign} {text} ? {out} : {text})"
            return out, ATOM
        if isinstance(value, sp.Heaviside):
            text = self.text(value.args[0], PLUS)
            return f"({text} > {self.real.literal(sp.S.Zero)} ? {self.real.literal(sp.S.One)} : " + (
                f"{self.real.literal(sp.S.Zero)})"
            ), ATOM
        if isinstance(value, sp.DiracDelta) or (isinstance(value, sp.Derivative) and value.expr.has(sp.sign)):
            return self.real.literal(sp.S.Zero), ATOM
        if isinstance(value, sp.exp) or (isinstance(value, sp.Pow) and value.base == sp.E):
            return f"{self.function('exp')}({self.text(value.exp)})", ATOM
        known = {
            sp.log: "log", sp.tanh: "tanh", sp.sin: "sin", sp.cos: "cos", sp.erf: "erf", sp.Abs: "abs",
            sp.sign: "sign", sp.atan: "arctan",
        }
        for kind, name in known.items():
            if isinstance(value, kind):
                return f"{self.function(name)}({self.text(value.args[0])})", ATOM
        library = {sp.sinh: "sinh", sp.cosh: "cosh", sp.tan: "tan", sp.asin: "asin", sp.acos: "acos"}
        for kind, name in library.items():
            if isinstance(value, kind):
                return f"{self.real.call(name)}({self.text(value.args[0])})", ATOM
        raise GenerateError(f"the scalar function {value} has no C form")

    def _condition(self, value: sp.Basic) -> str:
        if isinstance(value, sp.core.relational.Relational):
            relation = {"Eq": "==", "Ne": "!="}.get(type(value).__name__, value.rel_op)
            return f"{self.text(value.args[0], PLUS)} {relation} {self.text(value.args[1], PLUS)}"
        if isinstance(value, (sp.And, sp.Or)):
            sign = " && " if isinstance(value, sp.And) else " || "
            return sign.join(f"({self._condition(a)})" for a in sorted(value.args, key=str))
        if isinstance(value, sp.Not):
            return f"!({self._condition(value.args[0])})"
        if value in (sp.true, sp.false):
            return "1" if value == sp.true else "0"
        raise GenerateError(f"the condition {value} has no C form")
