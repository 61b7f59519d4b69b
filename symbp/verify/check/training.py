"""Training that is measured: does it get stuck though the gradient is right, and what can be seen of why.

Nothing is guessed: a start is trained beside ten starts of our own and at five rates, and what is reported was seen:
losses, the norm of each gradient, saturated units, rows of weights that are equal, a loss that stays where it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symbp.expr import Function, Map, Ref
from symbp.verify.check.truth import Model
from symbp.verify.check.work import Array
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

XOR = {"X": np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), "Y": np.array([[0.0, 1.0, 1.0, 0.0]])}
"""The four samples of exclusive or, as columns."""

Values = dict[str, Any]


class NoTraining(ValueError):
    """Data or a start that does not fit the network; the message says why."""


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
    model: Model, data: Mapping[str, Array], start: Mapping[str, Array], rate: float, steps: int, seed: int = 0
) -> Measured:
    """Train a network from a start and report what was seen.

    data:  values of inputs, targets and constants by name.
    start: values of parameters; what is not given is drawn.
    rate:  of plain gradient descent.

    Raises ``NoTraining`` where data or start do not fit the network.
    """
    given = dict(data)
    sizes = sizes_of(model, {**given, **start})
    rng = np.random.default_rng(seed)
    mine = {**initial(model, sizes, rng), **{k: np.array(v, float) for k, v in start.items()}}
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
# Sizes and starts


def sizes_of(model: Model, given: Mapping[str, Array]) -> dict[str, Any]:
    """Return the sizes that arrays have; a size that none of them has is 4.

    Raises ``NoTraining`` for a name or a shape that does not fit.
    """
    program = model.program
    sizes: dict[str, Any] = {}
    if any(v.indices for v in program.declared()):
        raise NoTraining("a network with families (loops over layers or steps) is not trained here")
    for name, array in given.items():
        var = program.variables.get(name)
        if var is None or not var.declared:
            raise NoTraining(f"{name} is not declared by the network")
        if np.asarray(array).ndim != 2:
            raise NoTraining(f"{name} has {np.asarray(array).ndim} dimensions, not 2")
        for size, length in zip(var.shape, np.asarray(array).shape, strict=True):
            known = int(size) if size.is_Integer else sizes.setdefault(str(size), length) if size.is_Symbol else length
            if known != length:
                raise NoTraining(f"{name} has the shape {np.asarray(array).shape}, but {size} is {known}")
    for var in program.declared("input", "target"):
        if var.name not in given and var.value is None and not var.scalar:
            raise NoTraining(f"there are no values for {var.name}")
    for symbol in program.sizes:
        sizes.setdefault(str(symbol), 4)
    return sizes


def initial(model: Model, sizes: Mapping[str, Any], rng: np.random.Generator) -> Values:
    """Draw parameters: uniform weights after Glorot and Bengio (2010), zeros for vectors, what is stated as stated."""
    found: Values = {}
    counter = Evaluator(model.program, {}, sizes)
    for var in model.program.parameters:
        rows, cols = counter.integer(var.rows, {}), counter.integer(var.cols, {})
        if var.start is not None:
            found[var.name] = np.full((rows, cols), float(var.start))
        elif min(rows, cols) == 1 and not (rows == 1 and "w" in var.name.lower()):
            found[var.name] = np.zeros((rows, cols))
        else:
            bound = math.sqrt(6 / (rows + cols))
            found[var.name] = rng.uniform(-bound, bound, (rows, cols))
    return found


def trained(
    model: Model, data: Mapping[str, Array], start: Mapping[str, Array], sizes: Mapping[str, Any], rate: float,
    steps: int,
) -> Trained:
    """Take steps of plain gradient descent; end early where the loss is lost."""
    now = {k: np.array(v, float) for k, v in start.items()}
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
            slopes = {n: np.asarray(seen[bar], float) for n, bar in bars.items()}
            if step in (0, steps) or not math.isfinite(losses[-1]):
                norms.append({n: float(np.linalg.norm(g)) for n, g in slopes.items()})
            if not math.isfinite(losses[-1]):
                break
            if step < steps:
                now = {n: v - rate * slopes[n] if n in slopes else v for n, v in now.items()}
    return Trained(tuple(losses), norms[0], norms[-1], now)


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
        array = np.asarray(values[var.name])
        if array.shape[1] == 1:
            continue  # a bias may well begin with equal entries
        for axis, word in ((0, "rows"), (1, "columns")):
            lines = array if axis == 0 else array.T
            if lines.shape[0] > 1 and len(np.unique(np.round(lines, 12), axis=0)) == 1:
                same = "zero" if not lines.any() else "equal"
                yield f"all {lines.shape[0]} {word} of {var.name} are {same} {when}"
                break


def columns_or_rows(model: Model, data: Mapping[str, Array]) -> dict[str, Array]:
    """Return bundled data under the names of the network's input and target, laid out as they are declared.

    Raises ``NoTraining`` where the network has not one input and one target of these sizes.
    """
    found: dict[str, Array] = {}
    wanted: Sequence[tuple[str, Array]] = (("input", data["X"]), ("target", data["Y"]))
    for kind, array in wanted:
        mine = [v for v in model.program.variables.values() if v.kind == kind and not v.scalar]
        if len(mine) != 1:
            raise NoTraining(f"the network has {len(mine)} {kind}s, the data one: give an .npz file by names")
        rows = mine[0].rows
        across = rows == model.program.samples or (rows.is_Integer and int(rows) not in (1, array.shape[0]))
        found[mine[0].name] = array.T if across else array
    return found
