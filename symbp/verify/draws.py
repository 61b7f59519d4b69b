"""Sizes and values on which programs are tried: distinct primes, and draws that follow what was declared.

Sizes are distinct primes of at least 5, so that a wrong constant factor shows which sizes it is made of; loops run
at small, middle and larger bounds.  Values follow kind and facts and stay in the domain of every function.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from symbp.expr import SizeMember, SumOver, evaluate_scalar, evaluate_size, size_atoms, walk
from symbp.program import Program, Var, loops
from symbp.verify.evaluate import Array, EvaluationError, Margins, evaluate, refuse_large

PRIMES = (5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79)
SMALL_PRIMES = (2, 3, 5, 7, 11, 13)
DISCRETE = frozenset({"one_hot_columns", "one_hot_rows", "binary", "signs", "mask", "index"})
"""Facts of a variable that takes separate values, so that nothing can be differentiated with respect to it."""


class NoDraw(EvaluationError):
    """No values were found on which every output is finite, or no sizes that fit the declarations."""


# ---------------------------------------------------------------------------------------------------------
# Sizes


def bound_sizes(program: Program) -> tuple[sp.Symbol, ...]:
    """Return the size symbols that bound loops, sums and boxes: how many layers, how many steps."""
    found: set[sp.Expr] = set()
    for loop in loops(program.body):
        found |= size_atoms((loop.lo, loop.hi))
    for site in program.sites:
        found |= size_atoms(site.target.indices)
        for node in walk(site.equation.value):
            if isinstance(node, SumOver):
                found |= size_atoms(node.ends)
            if hasattr(node, "indices"):
                found |= size_atoms(node.indices)
    for var in program.variables.values():
        found |= size_atoms(e for box in var.boxes for side in box.sides for e in (*side.lows, *side.highs))
    return tuple(sorted((s for s in found if s.is_Symbol and s.is_positive), key=str))


def size_families(program: Program) -> tuple[str, ...]:
    """Return the names of families of sizes, such as ``n`` for ``n[l]``."""
    names: set[str] = set()
    shapes = [x for var in program.variables.values() for x in var.shape]
    for value in (*shapes, *(d for _, d in program.definitions)):
        names |= {m.name for m in value.atoms(SizeMember)}
    return tuple(sorted(names))


def choose_sizes(
    program: Program, *, steps: Sequence[int] = (1, 2, 5), layers: Sequence[int] = (1, 2, 4),
    primes: Sequence[int] = PRIMES, limit: int = 4, turn: int = 0,
) -> list[dict[str, Any]]:
    """Return several assignments of sizes.

    Plain sizes and members of families are distinct primes; a size that bounds a loop takes the values of ``steps``
    (``layers`` if it bounds the index of a family of sizes), as far as the assertions of the program allow.

    Arguments
    ---------
    limit: the largest number of assignments.
    turn:  shifts which primes go to which sizes.

    Raises ``NoDraw`` when no sizes fit the program's assertions and definitions.
    """
    bounding = bound_sizes(program)
    defined = {s for s, _ in program.definitions}
    plain = [s for s in program.sizes if s not in bounding and s not in defined and s.is_Symbol]
    families = size_families(program)
    least = program.bounds
    choices = []
    for symbol in bounding:
        low = least.get(symbol, 1)
        wanted = layers if _bounds_family(program, symbol) else steps
        fitting = sorted({max(k, low) for k in wanted})
        if symbol in _in_shapes(program) and len(fitting) > 2:
            fitting = fitting[-2:]
        choices.append(fitting)
    longest = max((len(c) for c in choices), default=1)
    # The first assignments vary all bounds together, the next ones mix them.
    mixed = [tuple(c[min(k, len(c) - 1)] for c in choices) for k in range(longest)]
    for combination in itertools.islice(itertools.product(*choices), 64):
        if combination not in mixed:
            mixed.append(combination)
    found: list[dict[str, Any]] = []
    for k, combination in enumerate(mixed[: max(limit, 1)]):
        supply = iter(_rotated([p for p in primes if p not in combination or p < 5], turn + k))
        sizes: dict[str, Any] = {s.name: v for s, v in zip(bounding, combination, strict=True)}
        for symbol in plain:
            sizes[symbol.name] = next(p for p in supply if p >= least.get(symbol, 1))
        for name in families:
            top = max((*combination, 1))
            # The members that are sure to exist get the first primes.
            sizes[name] = {i: next(supply) for i in (*range(top + 1), top + 1, top + 2, -1)}
        fitted = _fit_definitions(program, sizes, plain)
        if fitted is not None:
            found.append(fitted)
    if not found:
        raise NoDraw(f"no sizes fit the assertions of {program.name}")
    return found


def _rotated(values: Sequence[int], by: int) -> list[int]:
    # Only the first few take part, so that matrices stay small; the rest follow if many sizes are needed.
    head, tail = list(values[:4]), list(values[4:])
    by %= max(len(head), 1)
    above = max(values, default=2)
    more = [p for p in range(above + 1, above + 2000) if all(p % q for q in range(2, math.isqrt(p) + 1))]
    return head[by:] + head[:by] + tail + more


def _in_shapes(program: Program) -> set[sp.Expr]:
    return size_atoms(x for var in program.variables.values() for x in var.shape)


def _bounds_family(program: Program, symbol: sp.Symbol) -> bool:
    """Tell whether a loop up to ``symbol`` runs over the index of a family of sizes."""
    names = {i.name for var in program.variables.values() for m in _members(var) for i in m.free_symbols}
    for loop in loops(program.body):
        if symbol in loop.hi.free_symbols | loop.lo.free_symbols and loop.index.name in names:
            return True
    return False


def _members(var: Var) -> set[SizeMember]:
    return {m for x in var.shape for m in x.atoms(SizeMember)}


def _fit_definitions(program: Program, sizes: dict[str, Any], plain: Sequence[sp.Expr]) -> dict[str, Any] | None:
    """Fill in defined sizes; a size that must be divisible becomes a product of primes."""
    if not program.definitions:
        return sizes
    used = {v for v in sizes.values() if isinstance(v, int)}
    spare = [p for p in (2, 3, 5, 7, 11, 13, 17, 19) if p not in used]
    free = sorted({s.name for _, value in program.definitions for s in value.free_symbols}, key=str)
    trials = [
        [sizes[name]] + [sizes[name] * p for p in spare[:2]] + [2, 3, 6, 10, 12] for name in free if name in sizes
    ]
    names = [name for name in free if name in sizes]
    for values in itertools.product(*trials):
        attempt = {**sizes, **dict(zip(names, values, strict=True))}
        try:
            for symbol, value in program.definitions:
                attempt[str(symbol)] = evaluate_size(value, attempt)
                if attempt[str(symbol)] < max(1, program.bounds.get(symbol, 1)):
                    raise ValueError
        except (ValueError, KeyError):
            continue
        return attempt
    return None


def sizes_text(sizes: Mapping[str, Any]) -> str:
    """Return sizes as ``m=7 n=[5, 11]`` for a table."""
    parts = []
    for name, value in sizes.items():
        shown = [value[k] for k in sorted(value) if k >= 0] if isinstance(value, Mapping) else value
        parts.append(f"{name}={shown}".replace(" ", ""))
    return " ".join(parts)


# ---------------------------------------------------------------------------------------------------------
# Values

Sample = Callable[[np.random.Generator, int, int], Array]


def _spread(rng: np.random.Generator, r: int, c: int) -> Array:
    """Return numbers of both signs, none near 0, none so large that an activation saturates."""
    return rng.uniform(0.15, 1.1, (r, c)) * rng.choice([-1.0, 1.0], (r, c))


def _positive(rng: np.random.Generator, r: int, c: int) -> Array:
    return rng.uniform(0.3, 1.4, (r, c))


def _unit(rng: np.random.Generator, r: int, c: int) -> Array:
    return rng.uniform(0.12, 0.88, (r, c))


def _tiny(rng: np.random.Generator, r: int, c: int) -> Array:
    return rng.uniform(0.01, 0.05, (r, c))


SAMPLES: tuple[Sample, ...] = (_spread, _positive, _unit, _tiny)


def draw_matrix(
    facts: Iterable[str], rows: int, cols: int, rng: np.random.Generator, sample: Sample = _spread,
    below: int | None = None,
) -> Array:
    """Draw a matrix with declared facts.

    Raises ``EvaluationError`` for an unknown fact: never a guess.
    """
    known = set(facts)
    unknown = known - {
        "columns_sum_to_one", "rows_sum_to_one", "one_hot_columns", "one_hot_rows", "binary", "signs", "mask", "index",
        "positive", "symmetric",
    }
    if unknown:
        raise EvaluationError(f"no draw is known for the fact {sorted(unknown)[0]}")
    if "one_hot_columns" in known:
        return np.eye(rows)[:, rng.integers(rows, size=cols)]
    if "one_hot_rows" in known:
        return np.eye(cols)[rng.integers(cols, size=rows)]
    if known & {"binary", "mask"}:
        out = rng.integers(0, 2, (rows, cols)).astype(float)
        if out.size > 1 and out.min() == out.max():
            out.flat[rng.integers(out.size)] = 1 - out.flat[0]
        return out
    if "signs" in known:
        return rng.choice([-1.0, 1.0], (rows, cols))
    if "index" in known:
        top = below if below is not None else 2
        out = rng.integers(0, top, (rows, cols)).astype(float)
        if out.size > 1:
            out.flat[-1] = out.flat[0]  # a repeated index, always
        return out
    if known & {"positive", "columns_sum_to_one", "rows_sum_to_one"} and sample is _spread:
        sample = _positive
    out = sample(rng, rows, cols)
    if "symmetric" in known:
        out = (out + out.T) / 2
    if "columns_sum_to_one" in known:
        out = out / out.sum(axis=0, keepdims=True)
    if "rows_sum_to_one" in known:
        out = out / out.sum(axis=1, keepdims=True)
    return out


def tangent_matrix(facts: Iterable[str], rows: int, cols: int, rng: np.random.Generator) -> Array:
    """Draw an increment that keeps the declared facts: the tangent space of the domain."""
    known = set(facts)
    if known & DISCRETE:
        return np.zeros((rows, cols))
    out = rng.uniform(0.2, 1.0, (rows, cols)) * rng.choice([-1.0, 1.0], (rows, cols))
    if "symmetric" in known:
        out = (out + out.T) / 2
    if "columns_sum_to_one" in known:
        out = out - out.mean(axis=0, keepdims=True)
    if "rows_sum_to_one" in known:
        out = out - out.mean(axis=1, keepdims=True)
    return out


def members(var: Var, sizes: Mapping[str, Any]) -> list[tuple[int, ...]]:
    """Return the index tuples at which a declared family exists."""
    found: dict[tuple[int, ...], None] = {}
    for box in var.boxes:
        sides = [
            range(max(evaluate_size(x, sizes) for x in s.lows), min(evaluate_size(x, sizes) for x in s.highs) + 1)
            for s in box.sides
        ]
        found.update(dict.fromkeys(itertools.product(*sides)))
    return list(found)


def shape_of(var: Var, sizes: Mapping[str, Any], where: Sequence[int] = ()) -> tuple[int, int]:
    """Return the shape of a variable, or of a member."""
    at = {i.name: k for i, k in zip(var.indices, where, strict=True)}
    return evaluate_size(var.rows, sizes, at), evaluate_size(var.cols, sizes, at)


def each(var: Var, sizes: Mapping[str, Any], make: Callable[[int, int], Array]) -> Any:
    """Return ``make(rows, cols)`` for a variable, or a dict of it for the members of a family."""
    def made(where: tuple[int, ...] = ()) -> Array:
        shape = shape_of(var, sizes, where)
        refuse_large(*shape)
        return make(*shape)

    return {where: made(where) for where in members(var, sizes)} if var.indices else made()


def draw(
    program: Program, sizes: Mapping[str, Any], rng: np.random.Generator, *, tries: int = 200, clearance: float = 1e-3
) -> dict[str, Any]:
    """Draw values of every declared variable by kind and facts, such that every output is finite.

    If the first draws leave the domain of a logarithm or a root, or come close to a kink, others follow: positive
    numbers, probabilities, small numbers, then each variable in its own way.

    Arguments
    ---------
    tries:     how many draws are made at most.
    clearance: the distance from kinks that is looked for (the best of several draws is taken if none has it).

    Raises ``NoDraw`` when none of the draws gives finite outputs.
    """
    declared = program.declared()
    best: tuple[float, dict[str, Any]] | None = None
    close = 0
    for attempt in range(tries):
        values: dict[str, Any] = {}
        for var in declared:
            if var.value is not None and not var.indices:
                values[var.name] = np.array([[float(evaluate_scalar(x, sizes)) for x in row] for row in var.value])
                continue
            style = SAMPLES[attempt] if attempt < len(SAMPLES) else SAMPLES[rng.integers(len(SAMPLES))]
            below = None if var.size is None else evaluate_size(var.size, sizes)

            def make(r: int, c: int, var: Var = var, style: Sample = style, below: int | None = below) -> Array:
                return draw_matrix(var.facts, r, c, rng, style, below)

            values[var.name] = each(var, sizes, make)
        margins = Margins()
        results = evaluate(program, values, sizes, margins)
        if all(np.isfinite(a).all() for name in program.outputs for a in arrays(results.get(name, ()))):
            if margins.kink >= clearance:
                return values
            close += 1
            if best is None or margins.kink > best[0]:
                best = margins.kink, values
            if close >= 4:
                break
    if best is None:
        raise NoDraw(f"none of {tries} draws keeps the outputs of {program.name} finite")
    return best[1]


def arrays(value: Any) -> list[Array]:
    """Return the matrices of a variable: one, or those of a family."""
    if isinstance(value, Mapping):
        return list(value.values())
    return [value] if isinstance(value, np.ndarray) else []


def tangents(
    program: Program, sizes: Mapping[str, Any], rng: np.random.Generator, names: Iterable[str]
) -> dict[str, Any]:
    """Draw an increment of each named declared variable, in the tangent space of its facts."""
    out: dict[str, Any] = {}
    for name in names:
        var = program.variables[name]
        out[name] = each(var, sizes, lambda r, c, var=var: tangent_matrix(var.facts, r, c, rng))  # type: ignore[misc]
    return out


def inner(a: Any, b: Any) -> float:
    """Return the inner product of two variables, or the sum over the members of two families."""
    if isinstance(a, Mapping):
        return math.fsum(inner(a[k], b[k]) for k in a if k in b)
    return math.fsum((np.asarray(a) * np.asarray(b)).ravel().tolist())
