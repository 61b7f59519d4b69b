"""The operations of the language as Python functions of matrix expressions.

They are imported by name, ``from symbp.language.functions import tanh``.  Every name of the reference is here, for
example ``tanh(Z)``, ``sum(A)``, ``softmax(Z, axis=0)``; they do what they do in a declaration.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import sympy as sp

from symbp.expr import Node, Ref, as_node, size
from symbp.language.diagnostics import Mistake, Report
from symbp.language.lines import Statement
from symbp.language.operations import OPERATIONS, REQUIRED, Call, Operation, Parameter
from symbp.language.scope import Scope


class PythonCall(Call):
    """A call from Python: there is no text to quote, and a name is taken for a mask where a mask is wanted."""

    def __init__(self) -> None:
        super().__init__(Scope(Report("", ())), Statement("", 1, 1), ast.Call(ast.Name("", ast.Load()), [], []))

    def with_argument(self, argument: str) -> str:
        """Return the argument that is missing."""
        return f"...({argument})"

    def is_mask(self, ref: Ref) -> bool:
        """Names are not looked up: the caller knows."""
        return True


def exact(value: Any) -> Any:
    """Return a Python number as an exact scalar (a float by its shortest decimal); a size's name as the size."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction, str)):
        return value
    if isinstance(value, float):
        return sp.Rational(repr(value))
    if isinstance(value, str):
        return size(value)
    return sp.Rational(value)


def convert(parameter: Parameter, value: Any) -> Any:
    """Return an argument as a builder of the table wants it."""
    kind = parameter.kind
    if kind == "matrix":
        return value if isinstance(value, Node) else as_node(exact(value))
    if kind == "value":
        return value if isinstance(value, Node) else exact(value)
    if kind in ("scalar", "size"):
        return exact(value)
    if kind == "shape":
        return tuple(None if v == -1 else exact(v) for v in value)
    if kind == "matrices":
        return [v if isinstance(v, Node) else as_node(exact(v)) for v in value]
    if kind == "axis":
        return None if value is None else int(value) % 2
    return value


def bind_values(
    name: str, parameters: Sequence[Parameter], given: tuple[Any, ...], named: dict[str, Any]
) -> dict[str, Any]:
    """Return Python arguments by parameter."""
    rest = list(given)
    bound: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.named:
            bound[parameter.name], named = {key: exact(value) for key, value in named.items()}, {}
        elif parameter.many:
            bound[parameter.name], rest = convert(parameter, rest), []
        elif rest:
            bound[parameter.name] = convert(parameter, rest.pop(0))
        elif parameter.name in named:
            bound[parameter.name] = convert(parameter, named.pop(parameter.name))
        elif parameter.default is REQUIRED:
            raise TypeError(f"{name} lacks the argument {parameter.name!r}: {name}({', '.join(map(str, parameters))})")
        else:
            bound[parameter.name] = parameter.default
    if rest or named:
        raise TypeError(f"{name} has too many arguments: {name}({', '.join(map(str, parameters))})")
    return bound


def _function(entry: Operation) -> Callable[..., Node]:
    def apply(*given: Any, **named: Any) -> Node:
        arguments = bind_values(entry.name, entry.parameters, given, named)
        try:
            return as_node(entry.build(PythonCall(), **arguments))
        except Mistake as mistake:
            raise ValueError(f"{mistake.code}: {mistake}" + (f" ({mistake.help})" if mistake.help else "")) from None

    apply.__name__ = apply.__qualname__ = entry.name
    apply.__doc__ = f"``{entry.signature}``: {entry.meaning}."
    return apply


_FUNCTIONS: dict[str, Callable[..., Node]] = {}


def __getattr__(name: str) -> Callable[..., Node]:
    if name not in OPERATIONS:
        raise AttributeError(f"{name} is no operation of the language")
    if name not in _FUNCTIONS:
        _FUNCTIONS[name] = _function(OPERATIONS[name])
    return _FUNCTIONS[name]


def __dir__() -> list[str]:
    return sorted(OPERATIONS)
