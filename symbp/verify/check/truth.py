"""The truth: value and gradient of every variable of a network at a few draws, confirmed by a second witness."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Literal, NamedTuple

import numpy as np

from symbp.expr import Map, Ref, Softmax
from symbp.program import Program, Site, Var
from symbp.verify.check.work import Array
from symbp.verify.draws import (
    DISCRETE, arrays, bound_sizes, choose_sizes, draw, inner, sizes_text, tangent_matrix,
)
from symbp.verify.evaluate import evaluate
from symbp.verify.witnesses import STEP, magnitude, refusal

STEPS = (2, 3, 4)
"""How often loops run: often enough that first, middle and last iterations differ."""

CONFIRMED = 1e-10
"""The largest difference between the adjoint equations and complex step at which the truth is taken to be known."""

MOST_STEPS = 40
"""So many complex steps are taken at most at one draw."""


class Quantity(NamedTuple):
    """Something that a line may compute: the value or the gradient of a variable, or of a member of a family."""

    kind: Literal["value", "gradient"]
    of: str
    at: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """How it is called in messages: ``A1``, ``dW1``, ``dH[3]``."""
        inside = f"[{', '.join(map(str, self.at))}]" if self.at else ""
        return f"{'d' if self.kind == 'gradient' else ''}{self.of}{inside}"


@dataclass(frozen=True)
class Draw:
    """One draw: sizes, values of what is declared, and every quantity that follows from them.

    sizes:     an integer by size name; of a family of sizes a mapping.
    results:   every variable of the network by name; of a family a mapping from index tuple.
    gradients: the gradient of every variable that has one, likewise.
    table:     the same by quantity.
    """

    sizes: Mapping[str, Any]
    results: Mapping[str, Any]
    gradients: Mapping[str, Any]
    table: Mapping[Quantity, Array] = field(repr=False)


@dataclass(frozen=True)
class Truth:
    """What is known of a network at every draw.

    variables: what has a value, by name.
    outputs:   the variables whose gradients are asked for: the parameters.
    draws:     the draws; each has sizes of its own.
    witnesses: how the gradients are known.
    confirm:   measures the worst difference between the witnesses.
    refused:   why a check at these draws could not fail; empty if it could.
    assigned:  the variables that equations give values, all members or some.
    inside:    for the value of a function that is applied to a name, that name: Z1 for A1 = tanh(Z1).
    """

    variables: Mapping[str, Var]
    outputs: tuple[str, ...]
    draws: tuple[Draw, ...]
    witnesses: tuple[str, ...] = ("adjoint", "complex step")
    confirm: Callable[[], float] = lambda: 0.0
    refused: str = ""
    assigned: frozenset[str] = frozenset()
    inside: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def error(self) -> float:
        """The worst difference between the witnesses."""
        return self.confirm()

    def computed(self, name: str) -> bool:
        """Tell whether an equation gives a variable, or a member of it, its value."""
        return name in self.assigned

    @property
    def sizes(self) -> tuple[str, ...]:
        """The sizes of the draws, as text."""
        return tuple(sizes_text(d.sizes) for d in self.draws)


@dataclass(frozen=True)
class Model:
    """A network as it is handed to the judge: its equations, and those of its backward pass.

    program:  the network as it was declared.
    named:    the network with a name for every part that has a gradient.
    backward: ``named`` followed by the adjoint of every variable.
    adjoints: the name of the adjoint by variable.
    output:   what is differentiated.
    layout:   what to call its layout where it is not the declared one.
    terms:    gives, for variables, the letters of their indices and the terms of which their gradients are made, as
              text in which ``dZ1`` is the gradient of ``Z1``.
    lines:    gives the backward pass of the reference as text, each line as its left and its right side.
    why:      gives the differential from which the gradient of a variable follows, as text; empty if it is not known.
    """

    program: Program
    named: Program
    backward: Program
    adjoints: Mapping[str, str]
    output: str = "loss"
    layout: str = ""
    why: Callable[[str], str] = lambda name: ""
    terms: Callable[[], Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = dict
    lines: Callable[[], Sequence[tuple[str, str]]] = tuple


def truth_of(model: Model, seed: int = 0, draws: int = 3) -> Truth:
    """Return values and gradients of every variable of a network at draws whose sizes are distinct primes.

    Raises ``NoDraw`` where no sizes or values fit the declarations.
    """
    rng = np.random.default_rng(seed)
    sizes = sizes_of(model.program, draws)
    made: list[Draw] = []
    refused = ""
    checks: list[Callable[[], float]] = []
    for assignment in sizes:
        values = _tempered(model.program, draw(model.named, assignment, rng))
        refused = refused or refusal(model.program, values, sizes)
        results = evaluate(model.backward, values, assignment)
        gradients = {n: results[bar] for n, bar in model.adjoints.items() if bar in results}
        checks.append(partial(_confirmed, model, values, assignment, results, gradients, seed))
        known = {n: results[n] for n in model.named.variables if n in results}
        made.append(Draw(assignment, known, gradients, dict(_table(known, gradients))))
    outputs = tuple(v.name for v in model.program.parameters)
    inside = {s.target.name: s.equation.value.operands[0].name for s in model.named.sites if _is_applied(s)}
    computed = frozenset(site.target.name for site in model.named.sites)
    return Truth(
        model.named.variables, outputs, tuple(made), confirm=lambda: max(check() for check in checks),
        refused=refused, assigned=computed, inside=inside,
    )


def sizes_of(program: Program, draws: int) -> list[Mapping[str, Any]]:
    """Return the sizes of every draw: other primes at each, and numbers of iterations that differ where they can."""
    found: list[Mapping[str, Any]] = []
    bounds = [s.name for s in bound_sizes(program)]
    for turn in range(draws):
        pool = choose_sizes(program, steps=STEPS, layers=STEPS, limit=64, turn=turn)

        def rank(sizes: Mapping[str, Any]) -> tuple[int, int, int]:
            # Every size differs from that of other draws, the bounds from each other; loops run about three times.
            again = sum(sizes[n] == other[n] for other in found for n in sizes)
            mine = [sizes[b] for b in bounds]
            return again, -len(set(mine)), abs(sum(mine) - 3 * len(mine))

        found.append(min(pool, key=rank))
    return found


def _is_applied(site: Site) -> bool:
    value = site.equation.value
    return isinstance(value, (Map, Softmax)) and isinstance(value.operands[0], Ref) and len(value.operands) == 1


def _tempered(program: Program, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with weights as small as their layers are wide.

    A saturated unit hides a wrong slope, and behind many layers whose weights are too small nothing is left to judge.
    """
    made = dict(values)
    for var in program.parameters:
        for array in arrays(values[var.name]):
            if min(array.shape) > 1 and not var.facts:
                array /= math.sqrt(np.mean(array**2) * max(array.shape))
    return made


def _table(values: Mapping[str, Any], gradients: Mapping[str, Any]) -> Iterator[tuple[Quantity, Array]]:
    kinds: Sequence[tuple[Literal["value", "gradient"], Mapping[str, Any]]] = (
        ("gradient", gradients), ("value", values),
    )
    for kind, known in kinds:
        for name, value in known.items():
            for at, array in value.items() if isinstance(value, Mapping) else [((), value)]:
                yield Quantity(kind, name, at), array


def _confirmed(
    model: Model, values: Mapping[str, Any], sizes: Mapping[str, Any], results: Mapping[str, Any],
    gradients: Mapping[str, Any], seed: int,
) -> float:
    """Return the worst difference between the adjoints and complex step, each along a random direction.

    A computed variable is moved where it gets its value, a declared one everywhere.  Of a long program some variables
    that stand beside one another are moved together.
    """
    rng = np.random.default_rng([seed, 1])
    loss = abs(float(results[model.output][0, 0])) or 1.0
    known = [n for n in gradients if n != model.output and not model.named.variables[n].facts & DISCRETE]
    together = 1 + (len(known) - 1) // MOST_STEPS
    worst = 0.0
    for k in range(0, len(known), together):
        moves = {n: _direction(model.named.variables[n].facts, results[n], rng) for n in known[k : k + together]}
        nudges = {n: _scaled(d) for n, d in moves.items()}
        slope = float(np.imag(evaluate(model.named, values, sizes, nudges=nudges)[model.output][0, 0])) / STEP
        wanted = sum(inner(gradients[n], d) for n, d in moves.items())
        largest = max(magnitude(gradients[n], d) for n, d in moves.items())
        worst = max(worst, abs(slope - wanted) / max(largest, 1e-6 * loss))
    return worst


def _direction(facts: frozenset[str], value: Any, rng: np.random.Generator) -> Any:
    """Return a random direction in which a value, or every member of a family, may be moved."""
    if isinstance(value, Mapping):
        return {at: tangent_matrix(facts, a.shape[0], a.shape[1], rng) for at, a in value.items()}
    return tangent_matrix(facts, value.shape[0], value.shape[1], rng)


def _scaled(direction: Any) -> Any:
    if isinstance(direction, Mapping):
        return {k: 1j * STEP * a for k, a in direction.items()}
    return 1j * STEP * direction
