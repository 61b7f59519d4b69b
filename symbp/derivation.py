"""A derivation is data: what was done, step by step, and what came out.  Rendering computes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import sympy as sp

from symbp.expr import Displayed, Node, Ref
from symbp.program import Loop, Program, Statement

StepKind = Literal["name", "recognise", "differential", "transpose", "collect", "rewrite"]


@dataclass(frozen=True)
class Term:
    """One term of a transposition: the variable ``ref`` whose differential stands alone, and its ``message``."""

    ref: Ref
    message: Node


@dataclass(frozen=True)
class Step(Displayed):
    """One move of a derivation.

    kind:      ``name`` (a part gets a name), ``recognise`` (a forward identity), ``differential`` (``before`` is the
               right side of ``target``, ``after`` its differential), ``transpose`` (``<target_bar, before>`` is the
               sum of ``<message, d ref>`` over ``terms``), ``collect`` (an adjoint is the sum of its messages),
               ``rewrite`` (``before`` equals ``after`` by an identity).
    rule:      the name of the rule or identity.
    target:    the variable whose equation is being worked on.
    before:    the expression before the move.
    after:     the expression after it.
    terms:     for ``transpose``: the messages.
    cotangent: for ``transpose``: the expression of the cotangent that was pulled back.
    condition: what must hold for the move, in words; empty if nothing.
    source:    where the rule can be found (paper, equation).
    loops:     the loops around the equation.
    detail:    arithmetic that a reader would do without a word (unit factors, double transposes).
    """

    kind: StepKind
    rule: str
    target: Ref
    before: Node
    after: Node
    terms: tuple[Term, ...] = ()
    cotangent: Node | None = None
    condition: str = ""
    source: str = ""
    loops: tuple[Loop, ...] = ()
    detail: bool = False


@dataclass(frozen=True)
class Range:
    """An index with its first and last value, in the order in which it runs (``T`` down to 1: first T, last 1)."""

    index: sp.Symbol
    first: sp.Expr
    last: sp.Expr


@dataclass(frozen=True)
class Result(Displayed):
    """A numbered equation of the backward pass, as it is printed.

    Messages that are used once stand in place; ``notes`` say which terms vanish at a boundary
    (``Zbar[t] := 0 for t > T`` as ``(ref, index, relation, end)``).  ``entries`` are the letters of row and column of
    an equation that is written in components.
    """

    number: int
    target: Ref
    value: Node
    reason: str = ""
    ranges: tuple[Range, ...] = ()
    notes: tuple[tuple[Ref, sp.Symbol, str, sp.Expr], ...] = ()
    entries: tuple[Range, ...] = ()


@dataclass(frozen=True)
class Reading(Displayed):
    """A closed form that books know of an adjoint that the derivation reaches in several steps.

    name:      what it is called.
    target:    the adjoint of what a layer is applied to.
    value:     the closed form, in the names of the derivation.
    alone:     whether it is all of the adjoint: nothing but the layer reads what it is applied to.
    condition: what must hold, in words; empty if nothing.
    source:    where it can be found.
    """

    name: str
    target: Ref
    value: Node
    alone: bool = True
    condition: str = ""
    source: str = ""


@dataclass(frozen=True)
class Derivation(Displayed):
    """Everything that ``derive`` found.

    source:   the program as it was declared.
    named:    the program with every argument and result of a non-linear operation named, which the steps refer to.
    forward:  the program as it is printed and run: of the new names only those that the backward pass reads.
    program:  ``forward`` followed by the backward pass.
    results:  the numbered equations of the backward pass, in order.
    steps:    every move, in order.
    gradients: the adjoint of each variable that was asked for, by variable name.
    output:   the name of the differentiated output.
    readings: closed forms, each proved equal for all sizes (``symbp.readings``).
    """

    source: Program
    named: Program
    forward: Program
    program: Program
    results: tuple[Result, ...]
    steps: tuple[Step, ...]
    gradients: Mapping[str, str] = field(default_factory=dict)
    output: str = "loss"
    readings: tuple[Reading, ...] = ()

    @property
    def backward(self) -> tuple[Statement, ...]:
        """The statements of the backward pass."""
        return self.program.body[len(self.forward.body) :]

    def number_of(self, name: str) -> int | None:
        """Return the number of the first equation that defines ``name``."""
        return next((r.number for r in self.results if r.target.name == name), None)
