"""The truth: value and gradient of every variable of a network at a few draws, confirmed by a second witness."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
    error:     the worst difference between the witnesses.
    refused:   why a check at these draws could not fail; empty if it could.
    assigned:  the variables that equations give values, all members or some.
    inside:    for the value of a function that is applied to a name, that name: Z1 for A1 = tanh(Z1).
    """

    variables: Mapping[str, Var]
    outputs: tuple[str, ...]
    draws: tuple[Draw, ...]
    witnesses: tuple[str, ...] = ("adjoint", "complex step")
    error: float = 0.0
    refused: str = ""
    assigned: frozenset[str] = frozenset()
    inside: Mapping[str, str] = field(default_factory=dict)

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
    worst, refused = 0.0, ""
    for assignment in sizes:
        values = _tempered(model.program, draw(model.named, assignment, rng))
        refused = refused or refusal(model.program, values, sizes)
        results = evaluate(model.backward, values, assignment)
        gradients = {n: results[bar] for n, bar in model.adjoints.items() if bar in results}
        worst = max(worst, _confirmed(model, values, assignment, results, gradients, rng))
        known = {n: results[n] for n in model.named.variables if n in results}
        made.append(Draw(assignment, known, gradients, dict(_table(known, gradients))))
    outputs = tuple(v.name for v in model.program.parameters)
    inside = {s.target.name: s.equation.value.operands[0].name for s in model.named.sites if _is_applied(s)}
    computed = frozenset(site.target.name for site in model.named.sites)
    return Truth(
        model.named.variables, outputs, tuple(made), error=worst, refused=refused, assigned=computed, inside=inside
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
    """Return the values with weights as small as their layers are wide: a saturated unit hides a wrong slope."""
    made = dict(values)
    for var in program.parameters:
        for array in arrays(values[var.name]):
            if min(array.shape) > 1 and not var.facts:
                array /= math.sqrt(max(array.shape))
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
    gradients: Mapping[str, Any], rng: np.random.Generator,
) -> float:
    """Return the worst difference between the adjoints and complex step, each along a random direction.

    A computed variable is moved where it gets its value, a declared one everywhere.
    """
    worst = 0.0
    scale = abs(float(results[model.output][0, 0])) or 1.0
    for name, gradient in gradients.items():
        var = model.named.variables[name]
        if name == model.output or var.facts & DISCRETE:
            continue

        def move(r: int, c: int, facts: frozenset[str] = var.facts) -> Array:
            return tangent_matrix(facts, r, c, rng)

        value = results[name]
        direction = (
            {at: move(*a.shape) for at, a in value.items()} if isinstance(value, Mapping) else move(*value.shape)
        )
        nudges = {name: _scaled(direction)}
        slope = float(np.imag(evaluate(model.named, values, sizes, nudges=nudges)[model.output][0, 0])) / STEP
        floor = 1e-6 * scale
        worst = max(worst, abs(slope - inner(gradient, direction)) / max(magnitude(gradient, direction), floor))
    return worst


def _scaled(direction: Any) -> Any:
    if isinstance(direction, Mapping):
        return {k: 1j * STEP * a for k, a in direction.items()}
    return 1j * STEP * direction
