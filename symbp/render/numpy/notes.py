"""What stands beside a line of code: the number of its equation and its text, as the terminal prints it."""

from __future__ import annotations

from symbp.derivation import Derivation
from symbp.program import Equation, Program
from symbp.render.names import Names
from symbp.render.notation import Notation
from symbp.render.text import Ascii


class Notes:
    """The notes of a module: F1, F2, ... forward, the derivation's own numbers backward, T1, T2, ... for tangents."""

    def __init__(self, derivation: Derivation, tangent: Program) -> None:
        notation = Notation(charset="ascii")
        self._derivation = derivation
        self._printer = Ascii(Names(derivation.program, notation, derivation.output))
        self._tangent_printer = Ascii(Names(tangent, notation, derivation.output))
        forward = [site.target for site in derivation.forward.sites]
        self._forward = {target: k for k, target in enumerate(forward, 1)}
        moved = [site.target for site in tangent.sites if site.target not in self._forward]
        self._tangent = {target: k for k, target in enumerate(moved, 1)}
        self._backward = {r.target: r.number for r in reversed(derivation.results)}
        self._by_name = {r.target.name: r.number for r in reversed(derivation.results)}

    def forward(self, equation: Equation) -> str:
        """Return the note of an equation of the forward pass."""
        return f"(F{self._forward[equation.target]}) {_text(self._printer, equation)}"

    def backward(self, equation: Equation) -> str:
        """Return the note of an equation of the backward pass; a message has the number of its adjoint."""
        target = equation.target
        number = self._backward.get(target, self._by_name.get(target.name))
        if number is None:
            origin = self._derivation.program.variables[target.name].origin
            number = self._by_name.get(f"{origin.of}_bar") if origin else None
        return f"({number}) {_text(self._printer, equation)}" if number else _text(self._printer, equation)

    def tangent(self, equation: Equation) -> str:
        """Return the note of an equation of the differential."""
        return f"(T{self._tangent[equation.target]}) {_text(self._tangent_printer, equation)}"


def _text(printer: Ascii, equation: Equation) -> str:
    return f"{printer(equation.target)} = {printer(equation.value)}"
