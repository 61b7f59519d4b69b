"""The small functions of a C module: elementwise operations by the table, kernels from templates, laws of the user."""

from __future__ import annotations

import re
from pathlib import Path

import sympy as sp

from symbp.expr import Function
from symbp.ops import ELEMENTWISE
from symbp.render.c.scalars import GenerateError, Real, ScalarPrinter
from symbp.render.c.table import CALLS, FUNCTIONS, KERNEL_PARTS
from symbp.render.templates import rendered


class Functions:
    """Collects the functions that a module calls, each once, those that others call first.

    prefix: what the names of the module begin with.
    """

    def __init__(self, prefix: str, real: Real, templates: Path | None = None) -> None:
        self.prefix, self.real, self.templates = prefix, real, templates
        self.texts: dict[str, str] = {}
        self._laws: dict[Function, str] = {}

    def __call__(self, function: Function) -> str:
        """Return the name of the C function of an elementwise function, and have it defined."""
        if function.law is None and not any(function.orders) and function.name in FUNCTIONS:
            return self.named(function.name, function.parameters)
        return self._law(function)

    def named(self, name: str, parameters: tuple[sp.Expr, ...] = ()) -> str:
        """Return the C name of a function of the table, and have it defined."""
        if name == "power":
            return self._power(parameters[0])
        tail = "".join(f"_{self._word(p)}" for p in parameters)
        own = f"{self.prefix}_{name}{tail}"
        if own in self.texts:
            return own
        for called in CALLS.get(name, ()):
            self.named(called)
        body = FUNCTIONS[name]
        if body == "kernel":
            for part in KERNEL_PARTS.get(name, ()):
                self._kernel(part, part)
            self._kernel(own, name)
            return own
        arity = ELEMENTWISE[name].arity
        self._define(own, ("x", "y")[:arity], self._filled(body, parameters), self._said(name, parameters))
        return own

    def _kernel(self, own: str, name: str) -> None:
        """Have a function or what functions share defined by its template."""
        if own not in self.texts:
            values: dict[str, object] = {"p": self.prefix, "real": self.real.name, "suffix": self.real.suffix}
            self.texts[own] = rendered("c", f"kernels/{name}.c.jinja", values, self.templates).strip("\n")

    def _filled(self, body: str, parameters: tuple[sp.Expr, ...]) -> str:
        text = body.replace("{p}", self.real.literal(parameters[0])) if parameters else body
        text = text.replace("{sqrt_half}", self.real.literal(sp.sqrt(sp.Rational(1, 2))))
        # Whole numbers become numbers of the type, functions of libm those of the type, own functions own names.
        text = re.sub(r"(?<![\w.])(\d+)(?![\w.])", lambda m: self.real.literal(sp.Integer(m[1])), text)
        text = re.sub(r"\b(pow|sqrt|sin|cos|fabs|expm1|atan)\(", lambda m: f"{self.real.call(m[1])}(", text)
        return re.sub(r"\b(sigmoid|erf|tanh|softplus)\(", lambda m: f"{self.prefix}_{m[1]}(", text)

    def _power(self, exponent: sp.Expr) -> str:
        own = f"{self.prefix}_power_{self._word(exponent)}"
        if own not in self.texts:
            x = sp.Symbol("x")
            if exponent.is_Integer and 4 < exponent <= 64:
                body = " * ".join(["x"] * int(exponent))
            else:
                body = self._printer().text(x**exponent)
            self._define(own, ("x",), body, f"x to the power {exponent}")
        return own

    def _law(self, function: Function) -> str:
        known = self._laws.get(function)
        if known is not None:
            return known
        arguments = ("x",) if len(function.orders) == 1 else tuple(f"x{k + 1}" for k in range(len(function.orders)))
        symbols = [sp.Symbol(a, real=True) for a in arguments]
        if function.law is not None:
            value = function.law(*symbols)
        elif function.name in ELEMENTWISE:
            value = ELEMENTWISE[function.name].law(*symbols, *function.parameters)
        else:
            raise GenerateError(f"the elementwise function {function.name} has no C form")
        for symbol, order in zip(symbols, function.orders, strict=True):
            value = sp.diff(value, symbol, order)
        # What is infinite at a kink only counts as zero there, as everywhere in symbp.
        value = value.replace(sp.DiracDelta, lambda *_: sp.S.Zero)
        orders = "".join(f"_{o}" for o in function.orders) if any(function.orders) else ""
        own = f"{self.prefix}_{function.name[: 18 - len(self.prefix)]}{orders}_{len(self._laws) + 1}"
        self._laws[function] = own
        unused = [a for a, s in zip(arguments, symbols, strict=True) if s not in value.free_symbols]
        body = self._printer().text(value)
        self._define(own, arguments, body, f"{function}({', '.join(arguments)})", unused)
        return own

    def _printer(self) -> ScalarPrinter:
        return ScalarPrinter(self.real, str, lambda name: self.named(name))

    def _define(
        self, own: str, arguments: tuple[str, ...], body: str, said: str, unused: list[str] | None = None
    ) -> None:
        real = self.real.name
        head = f"static inline {real} {own}({', '.join(f'{real} {a}' for a in arguments)})"
        lines = [f"    (void){a};" for a in unused or ()]
        self.texts[own] = "\n".join([f"/* {said} */", head, "{", *lines, f"    return {body};", "}"])

    @staticmethod
    def _said(name: str, parameters: tuple[sp.Expr, ...]) -> str:
        inside = f" with {', '.join(map(str, parameters))}" if parameters else ""
        return f"{name}{inside}, entry by entry"

    @staticmethod
    def _word(value: sp.Expr) -> str:
        return re.sub(r"\W", lambda m: {"-": "m", "/": "o", ".": "p"}.get(m[0], "_"), str(value))
