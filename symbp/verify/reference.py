"""Reference numbers for the self-check of a generated module: values from a small generator, and what they should give.

Everything is computed by the reference evaluator in double precision.  The values are exact in single precision too, so
that a module of either type is given the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from symbp.derivation import Derivation
from symbp.expr import evaluate_scalar, evaluate_size
from symbp.plan.entries import MOMENTS, Optimizer
from symbp.program import Loop, Program, Statement, Var, elementwise_functions
from symbp.render.c.module import Module
from symbp.render.c.selfcheck import NEXT_MEMBER, WORD, Difference, Member, Recipe, Reference
from symbp.verify.draws import DISCRETE, NoDraw, arrays, members, shape_of
from symbp.verify.evaluate import Array, EvaluationError, Margins, evaluate
from symbp.verify.running import follow, stored
from symbp.verify.scalars import is_held

STYLES: tuple[tuple[int, int, bool], ...] = ((160, 961, True), (307, 1127, False), (123, 778, False), (10, 42, False))
"""Numbers of both signs, positive ones, fractions, small ones: the least one and how many there are, in 1024ths."""

NEXT_VARIABLE, NEXT_ATTEMPT = 0x85EBCA6B, 0xC2B2AE35
ATTEMPTS = 60
CLEARANCE = 1e-3
"""The distance from kinks that is looked for."""

STENCIL = ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))
"""The symmetric difference quotient of order six: distances in steps and their weights."""

STEPS = {"float64": range(7, 19), "float32": range(3, 11)}
"""Steps of difference quotients, as negative powers of two, the first that is precise enough is taken."""

PRECISE = {"float64": 1e-8, "float32": 1e-3}
MOST_DIFFERENCES, MOST_STATEMENTS = 48, 12_000
"""How many difference quotients there are, and how many statements are run to look for them, more or less."""


def reference_of(module: Module) -> Reference:
    """Return the reference numbers of a C module, at its sizes."""
    dtype = "float32" if module.real.suffix else "float64"
    largest = {s.name: n for s, n in module.capacity.items()}
    return reference_numbers(module.derivation, module.sizes, dtype, module.optimizer, largest, module.clip)


def reference_numbers(
    derivation: Derivation, sizes: Mapping[str, Any], dtype: str = "float64", optimizer: Optimizer = "sgd",
    largest: Mapping[str, int] | None = None, clip: bool = False,
) -> Reference:
    """Return values for every declared variable of a network, and what a module should compute from them.

    derivation: the forward and the backward pass.
    sizes:      all sizes as numbers; a family of sizes as a mapping from index to number.
    dtype:      the type of the module's numbers: how far the steps of difference quotients go.
    optimizer:  how the module moves its parameters.
    largest:    sizes that the module takes at run time; the largest value is used.
    clip:       whether its steps scale gradients down; the first ones of the two steps are.

    Raises ``NoDraw`` when no values are found at which the loss and its gradients are finite.
    """
    known = {**sizes, **(largest or {})}
    recipes, values = _values(derivation, known)
    first, truth, rate, after, second, states, most = _two_steps(derivation, values, known, optimizer, clip)
    answers = evaluate(stored(derivation.program), values, known) if derivation.source.running else truth
    gradients = {name: _declared(truth[bar], values[name]) for name, bar in derivation.gradients.items()}
    predictions = {site.target.name: answers[site.target.name] for site in derivation.forward.sites}
    differences = tuple(_differences(derivation.source, derivation.output, values, known, gradients, dtype))
    return Reference(recipes, (first, second), gradients, after, predictions, rate, most, differences, states)


def _largest(*values: Any) -> float:
    """Return the largest entry, without its sign."""
    return max((float(np.max(np.abs(a), initial=0.0)) for v in values for a in arrays(v)), default=0.0)


def _declared(bar: Any, value: Any) -> Any:
    # Of a family that is declared in part, the backward pass knows the computed members' adjoints too.
    return {k: v for k, v in bar.items() if k in value} if isinstance(bar, Mapping) else bar


# ---------------------------------------------------------------------------------------------------------
# Values


Made = tuple[dict[tuple[str, Member], Recipe], dict[str, Any]]
"""Recipes by name and member, and the values that they make."""


def _values(derivation: Derivation, sizes: Mapping[str, Any]) -> Made:
    program = derivation.source
    best: tuple[float, dict[tuple[str, Member], Recipe], dict[str, Any]] | None = None
    close = 0
    for attempt in range(ATTEMPTS):
        recipes, values = _attempt(program, sizes, attempt)
        margins = Margins()
        with np.errstate(all="ignore"):
            found = evaluate(derivation.program, values, sizes, margins)
        wanted = (derivation.output, *derivation.gradients.values())
        if not all(np.isfinite(a).all() for name in wanted for a in arrays(found[name])):
            continue
        close += 1
        if best is None or margins.kink > best[0]:
            best = margins.kink, recipes, values
        if best[0] >= CLEARANCE or close >= 4:
            break
    if best is None:
        raise NoDraw(f"none of {ATTEMPTS} attempts keeps {derivation.output} and its gradients finite")
    return best[1], best[2]


def _attempt(program: Program, sizes: Mapping[str, Any], attempt: int) -> Made:
    recipes: dict[tuple[str, Member], Recipe] = {}
    values: dict[str, Any] = {}
    for number, var in enumerate(program.declared()):
        if var.value is not None and not var.indices:
            values[var.name] = np.array([[float(evaluate_scalar(x, sizes)) for x in row] for row in var.value])
            continue
        seed = 1 + NEXT_VARIABLE * (number + 1) + NEXT_ATTEMPT * attempt
        style = attempt if attempt < len(STYLES) else (attempt * 7 + number * 3) % len(STYLES)
        found: dict[Member, Array] = {}
        for rank, member in enumerate(members(var, sizes) if var.indices else [()]):
            rows, cols = shape_of(var, sizes, member)
            below = 2 if var.size is None else evaluate_size(var.size, sizes)
            recipe = _recipe(var, (seed + NEXT_MEMBER * rank) % WORD, rows, cols, style, below)
            recipes[var.name, member] = recipe
            found[member] = recipe.matrix(rows, cols)
        values[var.name] = found if var.indices else found[()]
    return recipes, values


def _recipe(var: Var, seed: int, rows: int, cols: int, style: int, below: int) -> Recipe:
    facts = var.facts
    for fact in ("one_hot_columns", "one_hot_rows", "signs", "columns_sum_to_one", "rows_sum_to_one"):
        if fact in facts:
            return Recipe(fact, seed)
    if facts & {"binary", "mask"}:
        recipe = Recipe("bits", seed)
        # Both values occur, if there is room for them.
        for _ in range(64):
            made = recipe.matrix(rows, cols)
            if made.size == 1 or made.min() < made.max():
                break
            recipe = replace(recipe, seed=(recipe.seed + 0x51ED2705) % WORD)
        return recipe
    if "index" in facts:
        return Recipe("whole_numbers", seed, spread=below)
    unknown = facts - {"positive", "symmetric"}
    if unknown:
        raise EvaluationError(f"no values are known for the fact {sorted(unknown)[0]}")
    if "positive" in facts and style == 0:
        style = 1
    low, spread, signed = STYLES[style]
    # Weights of wide layers are small, so that sums stay where activations bend.
    wide = var.kind == "param" and min(rows, cols) > 1
    shift = int(math.log2(max(rows, cols)) / 2) if wide else 0
    return Recipe("symmetric" if "symmetric" in facts else "numbers", seed, low, spread, shift, signed)


# ---------------------------------------------------------------------------------------------------------
# Two steps


def _two_steps(
    derivation: Derivation, values: Mapping[str, Any], sizes: Mapping[str, Any], optimizer: Optimizer, clip: bool,
) -> tuple[float, dict[str, Any], float, dict[str, Any], float, tuple[dict[str, Any], dict[str, Any]], float]:
    program, output = derivation.program, derivation.output
    moved = [n for n in derivation.gradients if program.variables[n].kind == "param"]
    truth = evaluate(program, values, sizes)
    first = float(truth[output][0, 0])
    steepest = _largest(*(truth[derivation.gradients[n]] for n in moved))
    norm = _norm(_declared(truth[derivation.gradients[n]], values[n]) for n in moved)
    # A power of two between a quarter of the norm and half of it: exact in every format.
    most = 2.0 ** (math.frexp(norm)[1] - 2) if clip and norm else math.inf
    power = -5 if optimizer == "adam" or not steepest else math.floor(math.log2(0.06 / steepest))
    for exponent in range(power, power - 30, -1):
        rate = 2.0**exponent
        state = {n: {w: _like(values[n], 0.0) for w in MOMENTS[optimizer]} for n in moved}
        now, at, second = dict(values), truth, math.nan
        followed: list[dict[str, Any]] = []
        with np.errstate(all="ignore"):
            for step in (1, 2):
                if step == 2:
                    at = evaluate(program, now, sizes)
                    second = float(at[output][0, 0])
                followed.append(follow(program, now, at))
                now |= followed[-1]
                slopes = {n: _declared(at[derivation.gradients[n]], values[n]) for n in moved}
                factor = min(1.0, most / (_norm(slopes.values()) or 1.0))
                for name in moved:
                    gradient = _times(factor, slopes[name])
                    now[name] = _moved(optimizer, step, rate, now[name], gradient, state[name])
        if math.isfinite(second) and all(np.isfinite(a).all() for n in moved for a in arrays(now[n])):
            moved_to = {n: now[n] for n in moved}
            return first, dict(truth), rate, moved_to, second, (followed[0], followed[1]), most
    raise NoDraw(f"no step keeps {output} finite")


def _norm(values: Iterable[Any]) -> float:
    """Return the root of the sum of the squares of all entries."""
    return math.sqrt(sum(float(np.sum(np.square(a))) for v in values for a in arrays(v)))


def _times(factor: float, value: Any) -> Any:
    return {k: factor * a for k, a in value.items()} if isinstance(value, Mapping) else factor * value


def _like(value: Any, number: float) -> Any:
    if isinstance(value, Mapping):
        return {k: np.full(v.shape, number) for k, v in value.items()}
    return np.full(value.shape, number)


def _moved(optimizer: Optimizer, step: int, rate: float, value: Any, gradient: Any, state: dict[str, Any]) -> Any:
    """Return a parameter after a step, from the textbook formulas; ``state`` is changed in place."""
    if isinstance(value, Mapping):
        out = {}
        for k in value:
            own = {w: s[k] for w, s in state.items()}
            out[k] = _moved(optimizer, step, rate, value[k], gradient[k], own)
            for w, s in own.items():
                state[w][k] = s
        return out
    if optimizer == "sgd":
        return value - rate * gradient
    if optimizer == "momentum":
        state["mean"] = 0.9 * state["mean"] + gradient
        return value - rate * state["mean"]
    state["mean"] = 0.9 * state["mean"] + 0.1 * gradient
    state["square"] = 0.999 * state["square"] + 0.001 * gradient**2
    mean, square = state["mean"] / (1 - 0.9**step), state["square"] / (1 - 0.999**step)
    return value - rate * mean / (np.sqrt(square) + 1e-8)


# ---------------------------------------------------------------------------------------------------------
# Difference quotients


def _differences(
    program: Program, output: str, values: Mapping[str, Any], sizes: Mapping[str, Any], gradients: Mapping[str, Any],
    dtype: str,
) -> Iterator[Difference]:
    """Yield some entries of every gradient, each with a step at which the difference quotient is precise.

    There are none where a gradient is stopped: the quotient sees what the gradient leaves out by definition.
    """
    if any(is_held(f) for f in elementwise_functions(program)):
        return
    found, first = 0, STEPS[dtype][0]
    largest = _largest(*gradients.values())
    most = min(MOST_DIFFERENCES, MOST_STATEMENTS // (2 * len(STENCIL) * _statements(program.body, sizes)))
    per_variable = max(min(3, most // max(len(gradients), 1)), 1)
    for name, gradient in gradients.items():
        if program.variables[name].facts & (DISCRETE | {"symmetric", "columns_sum_to_one", "rows_sum_to_one"}):
            continue
        own = 0
        for member, row, col in _candidates(gradient):
            if own >= per_variable or found >= MOST_DIFFERENCES:
                break
            matrix = gradient[member] if isinstance(gradient, Mapping) else gradient
            scale, where = max(_largest(matrix), 1e-2 * largest), (name, member, row, col)
            step = _step(program, output, values, sizes, where, float(matrix[row, col]), scale, dtype, first)
            if step is not None:
                # What suits one entry suits others, too, or a shorter one does.
                first = max(first, round(-math.log2(step)) - 1)
                yield Difference(name, member, row, col, step)
                own, found = own + 1, found + 1


def _statements(body: Sequence[Statement], sizes: Mapping[str, Any]) -> int:
    """Return how many statements an evaluation runs."""
    count = 0
    for statement in body:
        if isinstance(statement, Loop):
            steps = evaluate_size(statement.hi, sizes) - evaluate_size(statement.lo, sizes) + 1
            count += max(steps, 0) * _statements(statement.body, sizes)
        else:
            count += 1
    return max(count, 1)


def _candidates(gradient: Any) -> list[tuple[Member, int, int]]:
    """Return entries worth a look: of some members the largest one, the last, and some between."""
    if isinstance(gradient, Mapping):
        keys = list(gradient)
        some = [keys[k] for k in dict.fromkeys((0, len(keys) - 1, len(keys) // 2))]
    else:
        some = [()]
    found: list[tuple[Member, int, int]] = []
    for turn in range(4):
        for member in some:
            matrix = gradient[member] if isinstance(gradient, Mapping) else gradient
            order = np.argsort(-np.abs(matrix), axis=None, kind="stable")
            at = int(order[turn * (order.size - 1) // 6]) if turn < 3 else int(order.size // 2)
            row, col = divmod(at, matrix.shape[1])
            if (member, row, col) not in found:
                found.append((member, row, col))
    return found


def _step(
    program: Program, output: str, values: Mapping[str, Any], sizes: Mapping[str, Any],
    where: tuple[str, Member, int, int], slope: float, scale: float, dtype: str, first: int,
) -> float | None:
    """Return the largest step at which the difference quotient of the evaluator is precise; None if there is none.

    first: the power of two with which the search begins.
    """
    name, member, row, col = where

    def loss(move: float) -> float:
        value = values[name]
        matrix = np.array(value[member] if isinstance(value, Mapping) else value)
        matrix[row, col] += move
        changed = {**value, member: matrix} if isinstance(value, Mapping) else matrix
        return float(evaluate(program, {**values, name: changed}, sizes)[output][0, 0])

    for power in range(first, STEPS[dtype][-1] + 1):
        h = 2.0**-power
        with np.errstate(all="ignore"):
            quotient = sum(weight * (loss(k * h) - loss(-k * h)) for k, weight in STENCIL) / h
        if abs(quotient - slope) <= PRECISE[dtype] * scale:
            return h
    return None
