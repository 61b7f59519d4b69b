"""What a rule of the rule book is.

An operation that is linear in a slot states its *pull*: with ``Y = op(.., A, ..)`` linear in A and a cotangent G of
Y, the pull is the cotangent of A, defined by ``<G, op(.., dA, ..)> = <pull, dA>``.  An operation that is not linear
states its *differential*, the line found in every book; its adjoint is derived from that by transposition.
Names in a rule: ``G`` a cotangent, ``node`` the operation with its operands, ``Y`` the name of its value,
``dA`` the tangents of the operands (None where an operand does not move).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import sympy as sp

from symbp.expr import Function, Node, T, apply

Pull = Callable[[Node, Node, int], Node]
Differential = Callable[[Node, Node, Sequence[Node | None]], Node | None]
Batch = Literal["same", "reversed", "own", "opaque"]


@dataclass(frozen=True)
class Op:
    """One primitive: everything that symbp knows about it, except how a target spells it.

    name:         its name in the rule book.
    node:         the expression class.
    latex:        its notation, with ``{A}``, ``{B}`` ... for operands; ``{rest}`` for the operands of an n-ary one.
    signature:    its shapes, e.g. ``(m,n),(n,p)->(m,p)``.
    linear:       the slots in which it is linear: ``all``, or their positions.
    pull:         the transposition rule of the linear slots.
    differential: the differential, for the slots in which it is not linear.
    flat:         the derivative is zero wherever it exists (masks, comparisons).
    batch:        how its transpose is built from transposed operands: ``same`` operation, ``reversed`` order,
                  by its ``own`` rule ``turned``, or ``opaque`` (the transpose stays outside).
    jacobian:     where it is linear in a slot, the Jacobian of its value from that of the operand, both of columns:
                  from ``vec dA = J dw`` to ``vec dY = jacobian(J, node, slot) dw``; None: there is no matrix form.
    turned:       for ``own``: the transpose of the node as an expression of transposed operands.
    reason:       what a pull is called in a derivation.
    quiet:        its pull is not worth a word when the reason of an adjoint is told.
    domain:       where it is differentiable, in words.
    source:       where the rule can be found.
    """

    name: str
    node: type[Node]
    latex: str
    signature: str
    linear: Literal["all"] | tuple[int, ...] = ()
    pull: Pull | None = None
    differential: Differential | None = None
    flat: bool = False
    batch: Batch = "same"
    jacobian: Pull | None = None
    turned: Callable[[Node], Node] | None = None
    reason: str = ""
    quiet: bool = False
    domain: str = ""
    source: str = ""

    def is_linear(self, slot: int) -> bool:
        """Tell whether the operation is linear in a slot."""
        return self.linear == "all" or slot in self.linear

    def transposed(self, node: Node) -> Node:
        """Return the transpose of ``node`` with the transpose pushed to its operands."""
        if self.turned is not None:
            return self.turned(node)
        if self.batch == "opaque":
            return T(node)
        operands = [T(a) for a in node.operands]
        return node.rebuild(*(reversed(operands) if self.batch == "reversed" else operands))


Slope = Callable[..., Any]
"""Gives a Node, or None for a slope of zero; ``1 - Y`` is an int to mypy, which does not see our operators."""


@dataclass(frozen=True)
class Elementwise:
    """One scalar function applied to each entry.

    name:       its name in the language.
    latex:      its notation with ``{X}`` (and ``{E}`` for a second argument, ``{p}`` for a parameter).
    law:        the scalar law, as a function of SymPy scalars (arguments, then parameters).
    slopes:     per argument the slope as a function of the arguments, the value ``y`` and the parameters: written
                through the value where that is shorter; None: the slope is zero wherever it exists.
    parameters: the names of its exact parameters.
    defaults:   their default values.
    domain:     where it is differentiable, in words.
    kinks:      what holds at points where it is not.
    source:     where the slope can be found.
    aliases:    other names in the language.
    spoken:     what it is called with certain parameters, e.g. a power of 2 is a square.
    """

    name: str
    latex: str
    law: Callable[..., sp.Expr]
    slopes: tuple[Slope | None, ...]
    parameters: tuple[str, ...] = ()
    defaults: tuple[sp.Expr, ...] = ()
    domain: str = ""
    kinks: str = ""
    source: str = ""
    aliases: tuple[str, ...] = ()
    spoken: Mapping[tuple[sp.Expr, ...], str] = field(default_factory=dict)

    @property
    def arity(self) -> int:
        """The number of arguments."""
        return len(self.slopes)

    def called(self, *parameters: sp.Expr) -> str:
        """Return what a reader calls the function."""
        return self.spoken.get(parameters) or " ".join([self.name, *map(str, parameters)])

    def function(self, *parameters: object) -> Function:
        """Return the function with its parameters (or their defaults) filled in."""
        values = parameters or self.defaults
        if len(values) != len(self.parameters):
            raise TypeError(f"{self.name} takes the parameter(s) {', '.join(self.parameters) or 'none'}")
        return Function(self.name, values, (0,) * self.arity)

    def __call__(self, *operands: object, parameters: tuple[object, ...] = ()) -> Node:
        """Return the function applied to matrices, with NumPy's broadcasting."""
        return apply(self.function(*parameters), *operands)


def elementwise(
    name: str, latex: str, law: Callable[..., sp.Expr], *, slope: Slope | None, **facets: object
) -> Elementwise:
    """State an elementwise function of one argument: its law and its slope, a function of argument and value."""
    return Elementwise(name, latex, law, (slope,), **facets)  # type: ignore[arg-type]


def linear(name: str, node: type[Node], latex: str, signature: str, *, pull: Pull, **facets: object) -> Op:
    """State an operation that is linear in every slot (jointly, or in each: then it is multilinear)."""
    return Op(name, node, latex, signature, linear="all", pull=pull, **facets)  # type: ignore[arg-type]


def nonlinear(
    name: str, node: type[Node], latex: str, signature: str, *, differential: Differential, **facets: object
) -> Op:
    """State an operation by its differential."""
    return Op(name, node, latex, signature, differential=differential, **facets)  # type: ignore[arg-type]


def flat(name: str, node: type[Node], latex: str, signature: str, **facets: object) -> Op:
    """State an operation whose derivative is zero wherever it exists."""
    return Op(name, node, latex, signature, flat=True, **facets)  # type: ignore[arg-type]
