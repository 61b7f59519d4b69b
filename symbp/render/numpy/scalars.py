"""Scalar expressions as Python text: sizes, index arithmetic, exact coefficients, laws of elementwise functions.

A text comes with the level of its outermost operator, so that parentheses stand only where they are needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from symbp.expr import whole_fraction

CHOICE, COMPARE, PLUS, PRODUCT, TIMES, UNARY, POWER, ATOM = range(8)
"""Levels, weakest first.  ``@`` stands below ``*``, so that a product of matrices among factors gets parentheses."""


class GenerateError(ValueError):
    """A derivation that cannot be written as a NumPy module; the message says what is in the way and the way out."""


def wrap(text: str, level: int, least: int) -> str:
    """Return a text in parentheses if its operator binds less tightly than ``least``."""
    return text if level >= least else f"({text})"


def number_text(value: sp.Rational) -> tuple[str, int]:
    """Return an exact number, as a decimal where a short one is exact."""
    if value < 0:
        text, level = number_text(-value)
        return f"-{wrap(text, level, UNARY)}", UNARY
    if value.q == 1:
        return str(value.p), ATOM
    decimal = repr(float(value))
    if len(decimal) <= 8 and "e" not in decimal and Fraction(decimal) == Fraction(int(value.p), int(value.q)):
        return decimal, ATOM
    return f"{value.p} / {value.q}", TIMES


def raised(base: str, exponent: str) -> str:
    """Return a power, with spaces unless both sides are plain words."""
    tight = base.replace(".", "_").isidentifier() and exponent.replace(".", "").isalnum()
    return f"{base}**{exponent}" if tight else f"{base} ** {exponent}"


@dataclass(frozen=True)
class ScalarPrinter:
    """Prints scalar expressions.

    name:  the text of a symbol or of a member of a family of sizes, and its level.
    array: whether symbols are arrays: functions are NumPy's, and a branch of a selection gets safe arguments.
    need:  is told the name of each kernel that a text calls.
    """

    name: Callable[[sp.Expr], tuple[str, int]]
    array: bool = False
    need: Callable[[str], str] = lambda kernel: kernel

    def text(self, value: sp.Expr, least: int = CHOICE, guard: str = "") -> str:
        """Return the text of ``value``, in parentheses if its level is below ``least``."""
        return wrap(*self._print(value, guard), least)

    def _print(self, value: sp.Expr, guard: str) -> tuple[str, int]:
        if isinstance(value, sp.Rational):
            return number_text(value)
        if isinstance(value, sp.NumberSymbol):
            return {"pi": "np.pi", "E": "np.e"}.get(str(value), repr(float(value))), ATOM
        if isinstance(value, sp.Float):
            return repr(float(value)), ATOM
        if value.is_Symbol or not value.args or type(value).__name__ == "SizeMember":
            return self.name(value)
        if isinstance(value, sp.Add):
            return self._sum(value, guard), PLUS
        if isinstance(value, sp.Mul):
            return self._product(value, guard)
        if isinstance(value, sp.Pow) and value.base != sp.E:
            return self._power(value.base, value.exp, guard)
        return self._call(value, guard)

    def _sum(self, value: sp.Add, guard: str) -> str:
        # Symbols first, in SymPy's fixed order, then the number: `t - 1`.
        terms = sorted(value.args, key=lambda term: (term.is_number, term.could_extract_minus_sign()))
        out = ""
        for term in terms:
            negative = term.could_extract_minus_sign()
            text = self.text(-term if negative else term, PRODUCT, guard)
            out += (" - " if negative else " + ") + text if out else ("-" if negative else "") + text
        return out

    def _product(self, value: sp.Mul, guard: str) -> tuple[str, int]:
        if value.could_extract_minus_sign():
            return f"-{self.text(-value, TIMES, guard)}", TIMES
        above, below = sp.fraction(value)
        if below == 1:
            factors = sorted(above.as_ordered_factors(), key=lambda f: not f.is_number)
            return " * ".join(self.text(f, UNARY if k else TIMES, guard) for k, f in enumerate(factors)), TIMES
        return f"{self.text(above, TIMES, guard)} / {self._denominator(below, guard)}", TIMES

    def _denominator(self, value: sp.Expr, guard: str) -> str:
        text = self.text(value, UNARY, guard)
        return f"np.where({guard}, {text}, 1.0)" if guard and not value.is_number else text

    def _power(self, base: sp.Expr, exponent: sp.Expr, guard: str) -> tuple[str, int]:
        if exponent.could_extract_minus_sign():
            return f"1 / {self._denominator(base ** (-exponent), guard)}", TIMES
        if exponent == sp.Rational(1, 2) and self.array:
            return self._safe_call("np.sqrt", base, guard), ATOM
        if exponent.is_Integer or not guard:
            return raised(self.text(base, ATOM, guard), self.text(exponent, ATOM, guard)), POWER
        inside = f"np.where({guard}, {self.text(base, CHOICE, guard)}, 1.0)"
        return raised(inside, self.text(exponent, ATOM, guard)), POWER

    def _safe_call(self, function: str, argument: sp.Expr, guard: str) -> str:
        text = self.text(argument, CHOICE, guard)
        return f"{function}(np.where({guard}, {text}, 1.0))" if guard else f"{function}({text})"

    def _call(self, value: sp.Expr, guard: str) -> tuple[str, int]:
        if isinstance(value, sp.Piecewise):
            return self._choice(list(value.args), guard), ATOM
        if isinstance(value, (sp.Max, sp.Min)):
            function = "np.maximum" if isinstance(value, sp.Max) else "np.minimum"
            texts = [self.text(a, CHOICE, guard) for a in sorted(value.args, key=lambda a: a.is_number)]
            out = texts[0]
            for text in texts[1:]:
                out = f"{function}({out}, {text})"
            return out, ATOM
        if isinstance(value, sp.Heaviside):
            return f"np.heaviside({self.text(value.args[0], CHOICE, guard)}, 0.0)", ATOM
        if isinstance(value, sp.DiracDelta) or (isinstance(value, sp.Derivative) and value.expr.has(sp.sign)):
            return "0.0", ATOM
        if isinstance(value, sp.log):
            return self._safe_call("np.log", value.args[0], guard), ATOM
        if isinstance(value, sp.erf):
            return f"{self.need('erf')}({self.text(value.args[0], CHOICE, guard)})", ATOM
        if isinstance(value, sp.exp) or (isinstance(value, sp.Pow) and value.base == sp.E):
            return f"np.exp({self.text(value.exp, CHOICE, guard)})", ATOM
        if isinstance(value, sp.floor) and not self.array:
            # Of sizes: they stay integers.
            above, below = whole_fraction(value.args[0])
            return f"{self.text(above, TIMES, guard)} // {self.text(below, UNARY, guard)}", TIMES
        known = SCALAR_FUNCTIONS.get(type(value))
        if known is None:
            raise GenerateError(f"the scalar function {type(value).__name__} has no NumPy form")
        return f"{known}({self.text(value.args[0], CHOICE, guard)})", ATOM

    def _choice(self, branches: list[tuple[sp.Expr, sp.Basic]], guard: str) -> str:
        (value, condition), rest = branches[0], branches[1:]
        if condition == True or not rest:  # noqa: E712 - a SymPy truth value
            return self.text(value, CHOICE, guard)
        test = self.condition(condition)
        inside, outside = (f"{guard} & ({test})", f"{guard} & ~({test})") if guard else (test, f"~({test})")
        return f"np.where({test}, {self.text(value, CHOICE, inside)}, {self._choice(rest, outside)})"

    def condition(self, value: sp.Basic) -> str:
        """Return the text of a condition on arrays."""
        if isinstance(value, (sp.And, sp.Or)):
            sign = " & " if isinstance(value, sp.And) else " | "
            return sign.join(f"({self.condition(a)})" for a in value.args)
        if isinstance(value, sp.Not):
            return f"~({self.condition(value.args[0])})"
        relation = RELATIONS.get(type(value))
        if relation is None:
            raise GenerateError(f"the condition {value} has no NumPy form")
        left, right = value.args
        return f"{self.text(left, PLUS)} {relation} {self.text(right, PLUS)}"


SCALAR_FUNCTIONS: dict[type[sp.Basic], str] = {
    sp.tanh: "np.tanh", sp.sin: "np.sin", sp.cos: "np.cos", sp.tan: "np.tan", sp.sinh: "np.sinh", sp.cosh: "np.cosh",
    sp.atan: "np.arctan", sp.asin: "np.arcsin", sp.acos: "np.arccos", sp.asinh: "np.arcsinh", sp.atanh: "np.arctanh",
    sp.Abs: "np.abs", sp.sign: "np.sign", sp.floor: "np.floor", sp.ceiling: "np.ceil",
}
"""Scalar functions of one argument with a NumPy function of their own."""

RELATIONS: dict[type[sp.Basic], str] = {
    sp.StrictGreaterThan: ">", sp.GreaterThan: ">=", sp.StrictLessThan: "<", sp.LessThan: "<=", sp.Equality: "==",
    sp.Unequality: "!=",
}
"""Relations of SymPy, as Python writes them."""
