"""What stands beside a line of code: the number of its equation and its text, as the terminal prints it."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from symbp.calculus.passes import Parts
from symbp.derivation import Derivation
from symbp.expr import Node, refs
from symbp.program import Equation, Program
from symbp.render.names import Names
from symbp.render.notation import Notation
from symbp.render.parts import with_factor
from symbp.render.text import Ascii


class Notes:
    """The notes of a module: F1, F2, ... forward, the derivation's own numbers backward, T1, T2, ... for tangents.

    numbered: whose equations the forward numbers count, if not those of the derivation's forward pass.
    """

    def __init__(
        self, derivation: Derivation, tangent: Program, factor: sp.Expr, numbered: Program | None = None
    ) -> None:
        notation = Notation(charset="ascii")
        self._factor = factor
        self._values = {site.target: site.equation.value for site in derivation.program.sites}
        self._printer = Ascii(Names(derivation.program, notation, derivation.output))
        self._tangent_printer = Ascii(Names(tangent, notation, derivation.output))
        forward = [site.target for site in (numbered or derivation.forward).sites]
        self._forward = {target: k for k, target in enumerate(forward, 1)}
        moved = [site.target for site in tangent.sites if site.target not in self._forward]
        self._tangent = {target: k for k, target in enumerate(moved, 1)}
        self._backward = {r.target: r.number for r in reversed(derivation.results)}
        self._by_name = {r.target.name: r.number for r in reversed(derivation.results)}
        # A message is a part of the equation that reads it.
        self._readers = {
            ref.name: self._by_name[site.target.name]
            for site in reversed(derivation.program.sites)
            for ref in refs(site.equation.value)
            if site.target.name in self._by_name
        }

    def forward(self, equation: Equation) -> str:
        """Return the note of an equation of the forward pass."""
        number = self._forward.get(equation.target)
        return f"(F{number}) {_text(self._printer, equation)}" if number else _text(self._printer, equation)

    def backward(self, equation: Equation) -> str:
        """Return the note of an equation of the backward pass; a message has the number of its adjoint."""
        target = equation.target
        number = self._backward.get(target, self._by_name.get(target.name))
        number = self._readers.get(target.name) if number is None else number
        return f"({number}) {_text(self._printer, equation)}" if number else _text(self._printer, equation)

    def sample(self, equation: Equation) -> str:
        """Return the note of an equation of the backward pass of ``c S``: with c itself, where that is the same."""
        given = replace(equation, value=with_factor(equation.value, self._factor))
        return self.backward(given if self._values.get(equation.target) == given.value else equation)

    def shown(self, node: Node) -> str:
        """Return the text of an expression."""
        return self._printer(node)

    def parts(self, parts: Parts) -> list[str]:
        """Return what c, S and R are."""
        sample, rest = parts.values
        lines = [f"c = {self._printer.size(parts.factor)}"]
        lines += [f"S = {self._printer(sample)}"] if sample is not None else []
        lines += [f"R = {self._printer(rest) if rest is not None else 0}"]
        return lines

    def tangent(self, equation: Equation) -> str:
        """Return the note of an equation of the differential."""
        return f"(T{self._tangent[equation.target]}) {_text(self._tangent_printer, equation)}"


def _text(printer: Ascii, equation: Equation) -> str:
    return f"{printer(equation.target)} = {printer(equation.value)}"
