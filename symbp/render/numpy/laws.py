"""Scalar laws as functions of the module: what a user defined, and derivatives that are left by name."""

from __future__ import annotations


import sympy as sp

from symbp.expr import Function, Map, Node, Ref
from symbp.ops import ELEMENTWISE, slope
from symbp.render.numpy.expressions import Code, Printer
from symbp.render.numpy.scalars import ATOM, GenerateError, ScalarPrinter
from symbp.render.numpy.scope import Kernels


def law_text(function: Function, name: str, kernels: Kernels) -> str:
    """Return the definition of a scalar law, or of a derivative, as a function of the module."""
    arguments = ["x"] if len(function.orders) == 1 else [f"x{k + 1}" for k in range(len(function.orders))]
    shown = f"{function}({', '.join(arguments)})"
    if function.law is None and sum(function.orders) == 1:
        lines = _slope_lines(function, arguments, kernels)
    else:
        lines = [f"value: Array = {_law_body(function, arguments, kernels)}"]
    head = f"def {name}({', '.join(f'{a}: Array' for a in arguments)}) -> Array:"
    return "\n".join([head, f'    """{shown}."""', *(f"    {line}" for line in lines), "    return value"])


def _law_body(function: Function, arguments: list[str], kernels: Kernels) -> str:
    symbols = [sp.Symbol(a, real=True) for a in arguments]
    if function.law is not None:
        value = function.law(*symbols)
    elif function.name in ELEMENTWISE:
        value = ELEMENTWISE[function.name].law(*symbols, *function.parameters)
    else:
        raise GenerateError(f"the elementwise function {function.name} has no NumPy form")
    for symbol, order in zip(symbols, function.orders, strict=True):
        value = sp.diff(value, symbol, order)
    # What is infinite at a kink only counts as zero there, as everywhere in symbp.
    value = value.replace(sp.DiracDelta, lambda *_: sp.S.Zero)
    printer = ScalarPrinter(lambda symbol: (str(symbol), ATOM), array=True, need=kernels.kernel)
    text = printer.text(value)
    return text if value.free_symbols else f"np.full_like({arguments[0]}, {text})"


def _slope_lines(function: Function, arguments: list[str], kernels: Kernels) -> list[str]:
    """Return the slope of a function of the table as the rule book writes it, through the value where it is shorter."""
    scope = _Arguments(kernels)
    n = sp.Symbol("n", integer=True, positive=True)
    operands: list[Node] = [Ref(a, n, n) for a in arguments]
    base = Map(*operands, function.base)
    written = slope(base, Ref("y", n, n), function.orders.index(1))
    if written is None:
        return [f"value: Array = np.zeros_like({arguments[0]})"]
    code = Printer(scope).number(written)
    text = f"np.full_like({arguments[0]}, {code.text})" if code.flat else code.text
    first = [f"y: Array = {Printer(scope).number(base).text}"] if "y" in scope.read_names else []
    return [*first, f"value: Array = {text}"]


class _Arguments:
    """The scope of a scalar law: its arguments, and ``y`` for its value."""

    def __init__(self, kernels: Kernels) -> None:
        self.kernels = kernels
        self.read_names: set[str] = set()

    def read(self, ref: Ref) -> Code:
        self.read_names.add(ref.name)
        return Code(ref.name)

    def scalar(self, value: sp.Expr) -> tuple[str, int]:
        return ScalarPrinter(lambda symbol: (str(symbol), ATOM))._print(value, "")

    def kernel(self, name: str) -> str:
        return self.kernels.kernel(name)

    def function(self, function: Function) -> str:
        return self.kernels.function(function)

    def steps(self, index: sp.Symbol, lo: sp.Expr, hi: sp.Expr) -> str:
        raise GenerateError("a slope holds no sum over an index")

    def leave(self, index: sp.Symbol) -> None:
        raise GenerateError("a slope holds no sum over an index")
