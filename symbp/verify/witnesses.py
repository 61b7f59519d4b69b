"""The witnesses: independent ways in which a derivation can be seen to be right or wrong.

Each returns ``Finding``s.  A witness first asks whether the check could fail at all: at zero data, with square sizes
only, with a cotangent that a normalisation annihilates or at a saturated point it refuses, with the reason.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from symbp.program import Program
from symbp.verify.draws import (
    DISCRETE, NoDraw, arrays, choose_sizes, draw, each, inner, members, shape_of, sizes_text, tangents,
)
from symbp.verify.evaluate import Array, evaluate, value_of
from symbp.verify.prime_field import (
    FieldRun, Oracles, P, Redraw, field_draw, field_inner, field_tangent, with_directions,
)

Outcome = Literal["holds", "fails", "refused", "not checked"]

STEP = 1e-30
"""The imaginary step of witness 3: no subtraction takes place, so it may be as small as one likes."""

INNER, SLOPE, VALUE = 1e-13, 1e-12, 1e-13
"""Tolerances of the inner product, of gradients against complex step, of values."""

EXACT_SIZES = (3, 2, 5, 4, 7, 6, 8, 9)
"""Sizes of the exact witness: an identity of sizes is seen at small ones as well, and plain loops stay short."""

ROOT_PRIMES = (2, 5, 13, 19)
"""Primes that have a square root in the field: sizes for programs in which the root of a size occurs."""


@dataclass(frozen=True)
class Finding:
    """What one witness saw of one subject.

    witness:   the name of the witness.
    subject:   what was looked at, e.g. ``W1_bar``.
    outcome:   holds, fails, refused (the check could not have failed) or not checked (it could not be made).
    error:     the measured relative error; 0 for an exact witness that holds, inf for one that fails.
    tolerance: the largest error that is accepted; 0 for an exact witness.
    sizes:     the sizes of the draw.
    detail:    the reason of a refusal, or where the first difference is.
    """

    witness: str
    subject: str
    outcome: Outcome
    error: float = 0.0
    tolerance: float = 0.0
    sizes: str = ""
    detail: str = ""


def measured(
    witness: str, subject: str, error: float, tolerance: float, sizes: Mapping[str, Any], detail: str = ""
) -> Finding:
    """Return what a measurement says."""
    good = error <= tolerance
    return Finding(witness, subject, "holds" if good else "fails", error, tolerance, sizes_text(sizes), "" if good else detail)


def difference(a: Any, b: Any) -> float:
    """Return the largest difference of two variables, relative to their largest entry."""
    if isinstance(a, Mapping) or isinstance(b, Mapping):
        keys = set(a) | set(b)
        if keys - (set(a) & set(b)):
            return math.inf
        pairs = [(np.asarray(a[k]), np.asarray(b[k])) for k in keys]
    else:
        pairs = [(np.asarray(a), np.asarray(b))]
    if any(x.shape != y.shape for x, y in pairs):
        return math.inf
    scale = max((float(np.max(np.abs(z), initial=0.0)) for pair in pairs for z in pair), default=0.0)
    worst = max((float(np.max(np.abs(x - y), initial=0.0)) for x, y in pairs), default=0.0)
    if not math.isfinite(scale) or not math.isfinite(worst):
        return math.inf
    return worst / scale if scale else 0.0


def magnitude(a: Any, b: Any) -> float:
    """Return the sum of the absolute values of the terms of an inner product: what rounding is relative to."""
    if isinstance(a, Mapping):
        return math.fsum(magnitude(a[k], b[k]) for k in a if k in b)
    return float(np.sum(np.abs(np.asarray(a) * np.asarray(b))))


# ---------------------------------------------------------------------------------------------------------
# Checks that cannot fail


def refusal(program: Program, values: Mapping[str, Any], sizes: Sequence[Mapping[str, Any]]) -> str:
    """Return why a check on these values and sizes could not fail; empty if it could.

    Arguments
    ---------
    values: the values of one draw.
    sizes:  all assignments of sizes that will be tried.
    """
    for var in program.declared("input", "target", "param"):
        given = arrays(values.get(var.name))
        if given and not var.facts & DISCRETE and not any(np.asarray(a).any() for a in given):
            return f"zero data: every entry of {var.name} is 0, so a lost factor cannot show"
    if sizes and all(_square(program, s) for s in sizes):
        return "only square sizes: a lost transpose would still have the right shape"
    return ""


def _square(program: Program, sizes: Mapping[str, Any]) -> bool:
    shapes = {s for var in program.variables.values() if not var.indices for s in shape_of(var, sizes)}
    for var in program.declared():
        for where in members(var, sizes) if var.indices else []:
            shapes |= set(shape_of(var, sizes, where))
    return len(shapes - {1}) == 1 and len({x for v in program.variables.values() for x in v.shape if not x.is_Integer}) > 1


def vanishing(error_scale: float, slope: float, value: float) -> str:
    """Return why a comparison of directional derivatives that are both nothing but rounding says nothing."""
    if error_scale > 0 and abs(slope) <= 1e-10 * error_scale:
        return "the derivative cancels to rounding (such as a cotangent of ones after a normalisation)"
    if error_scale <= 1e-9 * max(abs(value), 1e-3):
        return "the derivative vanishes at this point (saturated, or a dead unit)"
    return ""


# ---------------------------------------------------------------------------------------------------------
# Witness 2: the inner product


def inner_product(
    forward: Program, tangent: Program, adjoint: Program, pairs: Mapping[str, tuple[str, str]], output: str,
    d_output: str, seed: str | None = None, *, sizes: Mapping[str, Any], rng: np.random.Generator,
) -> Finding:
    """Compare ``<Zbar, dZ>`` of the differential program with the sum of ``<Xbar, dX>`` of the adjoint program.

    Arguments
    ---------
    tangent: the differential program; reads the tangents named in ``pairs`` and defines ``d_output``.
    adjoint: the adjoint program; defines the adjoints named in ``pairs``.
    pairs:   variable -> (its tangent, its adjoint).
    seed:    the input of the adjoint program that holds the cotangent of the output; None: it is 1.
    """
    values = draw(forward, sizes, rng)
    moves = tangents(forward, sizes, rng, pairs)
    pushed = evaluate(tangent, {**values, **{pairs[name][0]: move for name, move in moves.items()}}, sizes)
    if seed is None:
        cotangent: Any = np.ones_like(pushed[output])
    else:
        cotangent = rng.uniform(0.2, 1.0, pushed[output].shape) * rng.choice([-1.0, 1.0], pushed[output].shape)
    pulled = evaluate(adjoint, values if seed is None else {**values, seed: cotangent}, sizes)
    d_out = pushed.get(d_output, np.zeros_like(cotangent))
    left = inner(cotangent, d_out)
    right = math.fsum(inner(pulled[bar], moves[name]) for name, (_, bar) in pairs.items())
    scale = magnitude(cotangent, d_out) + math.fsum(
        magnitude(pulled[bar], moves[name]) for name, (_, bar) in pairs.items()
    )
    error = abs(left - right) / scale if scale else 0.0
    detail = f"<Zbar, dZ> = {left:.12g} but <Xbar, dX> = {right:.12g}"
    return measured("inner product", output, error, INNER, sizes, detail)


# ---------------------------------------------------------------------------------------------------------
# Witness 3: complex step through the evaluator


def shifted(values: Mapping[str, Any], name: str, direction: Any, step: complex) -> dict[str, Any]:
    """Return the values with one variable moved along a direction."""
    value = values[name]
    if isinstance(value, Mapping):
        moved: Any = {k: value[k] + step * direction[k] for k in value}
    else:
        moved = value + step * direction
    return {**values, name: moved}


def complex_step(
    program: Program, values: Mapping[str, Any], sizes: Mapping[str, Any], name: str, direction: Any, output: str
) -> Array:
    """Return the derivative of an output along a direction of one variable."""
    moved = evaluate(program, shifted(values, name, direction, 1j * STEP), sizes)[output]
    return np.asarray(np.imag(moved) / STEP)


def gradients_by_complex_step(
    source: Program, derived: Program, gradients: Mapping[str, str], output: str = "loss", *,
    sizes: Mapping[str, Any], rng: np.random.Generator, values: Mapping[str, Any] | None = None,
    all_sizes: Sequence[Mapping[str, Any]] = (),
) -> list[Finding]:
    """Compare each gradient along a random direction with complex step through the source program.

    Arguments
    ---------
    source:    the program as it was declared; the truth.
    derived:   forward and backward pass; defines the adjoints.
    gradients: variable -> its adjoint.
    values:    data to use instead of a draw.

    A gradient that fails is looked at entry by entry, and the first wrong entry is named.
    """
    given = dict(values) if values is not None else draw(source, sizes, rng)
    reason = refusal(source, given, all_sizes or [sizes])
    if reason:
        return [Finding("complex step", bar, "refused", sizes=sizes_text(sizes), detail=reason) for bar in gradients.values()]
    results = evaluate(derived, given, sizes)
    loss = float(np.real(value_of(results, output)))
    findings = []
    for name, bar in gradients.items():
        if source.variables[name].facts & DISCRETE:
            findings.append(Finding("complex step", bar, "refused", detail=f"{name} takes separate values: nothing to move"))
            continue
        (move,) = tangents(source, sizes, rng, [name]).values()
        slope = float(complex_step(source, given, sizes, name, move, output).sum())
        predicted = inner(results[bar], move)
        scale = magnitude(results[bar], move) + abs(slope)
        if scale == 0.0 and _is_zero(derived, bar):
            findings.append(measured("complex step", bar, 0.0, SLOPE, sizes))
            continue
        blind = vanishing(scale, max(abs(slope), abs(predicted)), loss)
        if blind and abs(slope - predicted) <= SLOPE * max(scale, abs(loss)):
            findings.append(Finding("complex step", bar, "refused", sizes=sizes_text(sizes), detail=blind))
            continue
        error = abs(slope - predicted) / scale
        detail = _first_wrong(source, given, sizes, name, results[bar], output) if error > SLOPE else ""
        findings.append(measured("complex step", bar, error, SLOPE, sizes, detail or f"{predicted:.12g}, not {slope:.12g}"))
    return findings


def _is_zero(derived: Program, bar: str) -> bool:
    """Tell whether an adjoint is zero by construction: nothing to check beyond the zero slope that was seen."""
    from symbp.expr import Zero

    sites = [s for s in derived.sites if s.target.name == bar]
    return bool(sites) and all(isinstance(s.equation.value, Zero) for s in sites)


def _first_wrong(
    source: Program, values: Mapping[str, Any], sizes: Mapping[str, Any], name: str, gradient: Any, output: str,
    most: int = 120,
) -> str:
    """Return which entry of a gradient is the first wrong one, and by which factor."""
    blocks = gradient if isinstance(gradient, Mapping) else {(): gradient}
    looked = 0
    for where, block in blocks.items():
        for entry in np.ndindex(*block.shape):
            looked += 1
            if looked > most:
                return ""
            one = {k: np.zeros_like(b) for k, b in blocks.items()}
            one[where][entry] = 1.0
            direction = one if isinstance(gradient, Mapping) else one[()]
            true = float(complex_step(source, values, sizes, name, direction, output).sum())
            if abs(true - block[entry]) > SLOPE * (abs(true) + abs(block[entry])):
                label = f"{name}{list(where) if where else ''}"
                ratio = f", {block[entry] / true:.6g} times too large" if true else ""
                return f"the derivative by entry {entry} of {label} is {true:.9g}, not {block[entry]:.9g}{ratio}"
    return ""


# ---------------------------------------------------------------------------------------------------------
# Witness 4: exact


def exact_sizes(program: Program, limit: int = 3, roots: bool = False, turn: int = 0) -> list[dict[str, Any]]:
    """Return tiny sizes for the exact witness."""
    return choose_sizes(
        program, steps=(1, 2, 3), layers=(1, 2, 3), primes=ROOT_PRIMES if roots else EXACT_SIZES, limit=limit, turn=turn
    )


def gradients_exactly(
    source: Program, derived: Program, gradients: Mapping[str, str], output: str = "loss", *,
    sizes: Mapping[str, Any], seed: int = 0, tries: int = 40, second_order: bool = False,
) -> list[Finding]:
    """Compare each gradient with the derivative of the source program over dual numbers in the prime field.

    One random direction per variable decides; a gradient that differs is looked at entry by entry.
    With ``second_order`` the derived program runs over dual numbers as well, and its Hessian must be symmetric:
    ``<u, H v> = <v, H u>``.

    Raises ``NoDraw`` when no point is found at which every square root exists.
    """
    moving = {n: bar for n, bar in gradients.items() if not source.variables[n].facts & DISCRETE}
    rng = random.Random(seed)
    for _ in range(tries):
        oracles = Oracles(rng)
        values = field_draw(source, sizes, rng, oracles)
        moves = {
            n: each(source.variables[n], sizes, lambda r, c, n=n: field_tangent(source.variables[n].facts, r, c, rng))  # type: ignore[misc]
            for n in moving
        }
        lifted = with_directions(values, moves)
        try:
            truth = FieldRun(source, lifted, sizes, oracles=oracles).run()[output]
            slopes = [0] * len(moves) if truth.slope is None else [int(s.sum()) % P for s in _defined(truth.slope)]
            found = FieldRun(derived, lifted if second_order else values, sizes, oracles=oracles).run()
            predicted = [field_inner(found[bar], moves[n]) for n, bar in moving.items()]
            findings = []
            for (name, bar), slope, guess in zip(moving.items(), slopes, predicted, strict=True):
                if slope == guess:
                    zero = slope == 0 and not _is_zero(derived, bar)
                    outcome: Outcome = "refused" if zero else "holds"
                    reason = "the derivative is zero along a random direction" if zero else ""
                    findings.append(Finding("exact", bar, outcome, sizes=sizes_text(sizes), detail=reason))
                else:
                    reason = _first_unequal(source, values, sizes, oracles, name, found[bar], output)
                    findings.append(Finding("exact", bar, "fails", math.inf, 0.0, sizes_text(sizes), reason or "UNEQUAL"))
            if second_order:
                findings += _symmetric(moving, moves, found, sizes)
            return findings
        except Redraw:
            continue
    raise NoDraw(f"no point of the prime field was found at which every root in {source.name} exists")


def _defined(a: Array) -> Array:
    if any(x != x for x in a.ravel()):
        raise Redraw("an undefined value")
    return a


def _symmetric(
    moving: Mapping[str, str], moves: Mapping[str, Any], found: Mapping[str, Any], sizes: Mapping[str, Any]
) -> list[Finding]:
    """Compare <u, H v> with <v, H u> for the directions of each pair of variables."""

    def second(bar: str, along: int, direction: Any) -> int:
        value = found[bar]
        pairs = [(value[k], direction[k]) for k in direction] if isinstance(direction, Mapping) else [(value, direction)]
        return sum(int((_defined(v.slope[along]) * d).sum()) for v, d in pairs if v.slope is not None) % P

    findings = []
    names = list(moving)
    for (i, a), (j, b) in itertools.combinations(enumerate(names), 2):
        same = second(moving[a], j, moves[a]) == second(moving[b], i, moves[b])
        findings.append(
            Finding("exact, second order", f"{moving[a]}, {moving[b]}", "holds" if same else "fails",
                    0.0 if same else math.inf, 0.0, sizes_text(sizes), "" if same else "the Hessian is not symmetric")
        )
    return findings


def _first_unequal(
    source: Program, values: Mapping[str, Any], sizes: Mapping[str, Any], oracles: Oracles, name: str, gradient: Any,
    output: str, most: int = 60,
) -> str:
    """Return the first entry in which a gradient differs, and the factor if it is a simple one."""
    blocks = gradient if isinstance(gradient, Mapping) else {(): gradient}
    looked = 0
    for where, block in blocks.items():
        for entry in np.ndindex(*block.value.shape):
            looked += 1
            if looked > most:
                return ""
            one = {k: np.zeros(b.value.shape, dtype=object) for k, b in blocks.items()}
            one[where][entry] = 1
            direction = one if isinstance(gradient, Mapping) else one[()]
            truth = FieldRun(source, with_directions(values, {name: direction}), sizes, oracles=oracles).run()[output]
            true = 0 if truth.slope is None else int(truth.slope[0].sum()) % P
            if true != block.value[entry]:
                label = f"{name}{list(where) if where else ''}"
                ratio = _simple(int(block.value[entry]) * pow(true, -1, P) % P) if true else ""
                return f"UNEQUAL at entry {entry} of {label}" + (f": {ratio} times the derivative" if ratio else "")
    return ""


def _simple(x: int, largest: int = 400) -> str:
    """Return a field element as a simple fraction, if it is one."""
    for q in range(1, largest):
        n = x * q % P
        n = n - P if n > P // 2 else n
        if abs(n) <= largest:
            return str(n) if q == 1 else f"{n}/{q}"
    return ""


def all_hold(findings: Iterable[Finding]) -> bool:
    """Tell whether there are findings and every one of them holds."""
    seen = list(findings)
    return bool(seen) and all(f.outcome == "holds" for f in seen)
