"""Training that is measured: does it get stuck though the gradient is right, and what can be seen of why.

Nothing is guessed: a start is trained beside ten starts of our own and at five rates, and what is reported was seen:
losses, the norm of each gradient, saturated units, rows of weights that are equal, a loss that stays where it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from symbp.expr import Function, Map, Ref
from symbp.program import Var
from symbp.verify.check.samples import NoTraining, Values, sizes_of
from symbp.verify.check.truth import Model
from symbp.verify.check.work import Array
from symbp.verify.draws import arrays, each
from symbp.verify.evaluate import EvaluationError, Evaluator, evaluate

SEEDS = 10
"""How many starts of our own are trained."""
RATES = (0.01, 0.1, 1.0, 10.0, 100.0)
"""The rates that are tried, as multiples of the given one."""
SATURATED = 0.01
"""A unit is saturated if its slope is less than this part of the largest one that its function has, at every sample."""
STILL = 0.01
"""A loss that falls by less than this part of itself in the second half of the steps stays where it is."""
BEHIND = 2.0
"""A start is behind if its loss ends above this multiple of the middle one of our own."""


@dataclass(frozen=True)
class Trained:
    """One run: the loss before every step and after the last, the norm of each gradient at both ends, the end."""

    losses: tuple[float, ...]
    first: Mapping[str, float]
    last: Mapping[str, float]
    end: Values

    @property
    def final(self) -> float:
        """The loss after the last step; infinite if it was lost on the way."""
        return self.losses[-1] if math.isfinite(self.losses[-1]) else math.inf

    @property
    def still(self) -> bool:
        """Tell whether the loss stays where it is in the second half."""
        middle = self.losses[len(self.losses) // 2]
        return math.isfinite(self.final) and middle - self.final <= STILL * abs(middle)


@dataclass(frozen=True)
class Measured:
    """What was seen of a training.

    stuck:  whether the loss stays where it is, above what our own starts or another rate reach.
    told:   what was measured, a line each.
    """

    stuck: bool
    told: tuple[str, ...]


def measured(
    model: Model, data: Values, start: Values, rate: float, steps: int, seed: int = 0
) -> Measured:
    """Train a network from a start and report what was seen.

    data:  values of inputs, targets and constants by name.
    start: values of parameters; what is not given is drawn.
    rate:  of plain gradient descent.

    Raises ``NoTraining`` where data or start do not fit the network.
    """
    given = dict(data)
    sizes = sizes_of(model, {**given, **start})
    mine = initial(model, sizes, np.random.default_rng(seed))
    for name, value in start.items():
        mine[name] = {**mine[name], **value} if isinstance(value, Mapping) else value
    run = trained(model, given, mine, sizes, rate, steps)
    ours = [trained(model, given, initial(model, sizes, np.random.default_rng(seed + k + 1)), sizes, rate, steps)
            for k in range(SEEDS)]
    sweep = {f: run if f == 1 else trained(model, given, mine, sizes, f * rate, steps) for f in RATES}
    middle, best = float(np.median([r.final for r in ours])), min(r.final for r in ours)
    quicker = {f: r.final for f, r in sweep.items() if r.final * BEHIND < run.final}
    stuck = (run.still or not math.isfinite(run.final)) and (run.final > BEHIND * middle or bool(quicker))
    state = evaluate(model.backward, {**given, **run.end}, sizes) if math.isfinite(run.final) else {}
    told = [
        f"loss {run.losses[0]:.3g} -> {run.final:.3g} in {steps} steps at rate {rate:g}"
        + ("; it stays where it is in the second half" if run.still else ""),
        f"ten starts of our own end at {best:.3g} to {max(r.final for r in ours):.3g}, in the middle {middle:.3g}",
        "rates " + ", ".join(f"{f * rate:g}: {r.final:.3g}" for f, r in sweep.items()),
        "norm of the gradient at first and at last: "
        + ", ".join(f"{n} {run.first[n]:.2g} -> {run.last[n]:.2g}" for n in run.first),
        *_saturated(model, state, sizes),
        *_symmetric(model, mine, "at the start"),
        *(_symmetric(model, run.end, "at the end") if math.isfinite(run.final) else ()),
    ]
    return Measured(stuck, tuple(told))


# ---------------------------------------------------------------------------------------------------------
# Starts and steps


def initial(model: Model, sizes: Mapping[str, Any], rng: np.random.Generator) -> Values:
    """Draw parameters: uniform weights after Glorot and Bengio (2010), zeros for vectors, what is stated as stated."""

    def made(var: Var, rows: int, cols: int) -> Array:
        if var.start is not None:
            return np.full((rows, cols), float(var.start))
        if min(rows, cols) == 1 and not (rows == 1 and "w" in var.name.lower()):
            return np.zeros((rows, cols))
        bound = math.sqrt(6 / (rows + cols))
        return rng.uniform(-bound, bound, (rows, cols))

    return {v.name: each(v, sizes, partial(made, v)) for v in model.program.parameters}


def trained(
    model: Model, data: Values, start: Values, sizes: Mapping[str, Any], rate: float, steps: int
) -> Trained:
    """Take steps of plain gradient descent; end early where the loss is lost."""
    now = dict(start)
    bars = {v.name: model.adjoints[v.name] for v in model.program.parameters if v.name in model.adjoints}
    losses: list[float] = []
    norms: list[dict[str, float]] = []
    with np.errstate(all="ignore"):
        for step in range(steps + 1):
            try:
                seen = evaluate(model.backward, {**data, **now}, sizes)
            except EvaluationError as error:
                raise NoTraining(str(error)) from None
            losses.append(float(seen[model.output][0, 0]))
            slopes = {n: seen[bar] for n, bar in bars.items()}
            if step in (0, steps) or not math.isfinite(losses[-1]):
                norms.append({n: _norm(g) for n, g in slopes.items()})
            if not math.isfinite(losses[-1]):
                break
            if step < steps:
                now = {n: _stepped(v, slopes[n], rate) if n in slopes else v for n, v in now.items()}
    return Trained(tuple(losses), norms[0], norms[-1], now)


def _norm(value: Any) -> float:
    return math.sqrt(sum(float(np.sum(a**2)) for a in arrays(value)))


def _stepped(value: Any, slope: Any, rate: float) -> Any:
    """Return a parameter, or the members of a family, a step later."""
    if isinstance(value, Mapping):
        return {at: a - rate * slope[at] if at in slope else a for at, a in value.items()}
    return value - rate * slope


# ---------------------------------------------------------------------------------------------------------
# What can be seen


def _saturated(model: Model, state: Mapping[str, Any], sizes: Mapping[str, Any]) -> Iterator[str]:
    """Yield how many units of each function have no slope left at any sample."""
    machine = Evaluator(model.named, {}, sizes)
    machine.results = dict(state)
    for site in model.named.sites:
        value = site.equation.value
        if not isinstance(value, Map) or len(value.operands) != 1 or not isinstance(value.operands[0], Ref):
            continue
        f = value.function
        if site.loops or any(f.orders) or f.name not in ("tanh", "sigmoid", "relu", "softsign", "elu", "selu"):
            continue
        if value.operands[0].name not in state:
            continue
        slope = np.abs(machine.expression(Map(*value.operands, Function(f.name, f.parameters, (1,))), {}))
        axis = 1 if model.program.samples is None or value.cols == model.program.samples else 0
        flat = (slope < SATURATED * (0.25 if f.name == "sigmoid" else 1.0)).all(axis=axis)
        if flat.any():
            name = site.target.name
            yield f"{int(flat.sum())} of {flat.size} units of {name} ({f.name}) are saturated at every sample"


def _symmetric(model: Model, values: Mapping[str, Any], when: str) -> Iterator[str]:
    """Yield the weights of which several rows or columns are equal: such units learn the same."""
    for var in model.program.parameters:
        value = values[var.name]
        for at, array in value.items() if isinstance(value, Mapping) else [((), value)]:
            if array.shape[1] == 1:
                continue  # a bias may well begin with equal entries
            shown = f"{var.name}[{', '.join(map(str, at))}]" if at else var.name
            for lines, word in ((array, "rows"), (array.T, "columns")):
                if lines.shape[0] > 1 and len(np.unique(np.round(lines, 12), axis=0)) == 1:
                    same = "zero" if not lines.any() else "equal"
                    yield f"all {lines.shape[0]} {word} of {shown} are {same} {when}"
                    break
