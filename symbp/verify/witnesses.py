"""The witnesses: independent ways in which a derivation can be seen to be right or wrong.

Each returns ``Finding``s.  A witness first asks whether the check could fail at all: at zero data, with square sizes
only, with a cotangent that a normalisation annihilates or at a saturated point it refuses, with the reason.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from symbp.expr import Zero
from symbp.program import Program, Var
from symbp.verify.draws import (
    DISCRETE, NoDraw, arrays, choose_sizes, draw, each, inner, members, shape_of, sizes_text, tangent_matrix, tangents,
)
from symbp.verify.evaluate import Array, evaluate, value_of
from symbp.verify.prime_field import (
    Dual, FieldRun, Oracles, P, Redraw, field_draw, field_inner, field_tangent, moved,
)

Outcome = Literal["holds", "fails", "refused", "not checked", "skipped"]
"""What a check says; skipped: it was not asked for, because an optional tool or an artifact is not there."""

STEP = 1e-30
"""The imaginary step of witness 3: no subtraction takes place, so it may be as small as one likes."""

INNER, SLOPE, VALUE = 1e-13, 1e-12, 1e-13
"""Tolerances of the inner product, of gradients against complex step, of values."""

FLOOR = 1e-2
"""Rounding is relative to the terms of a sum, and to this part of the output if the terms are smaller still."""

EXACT_SIZES = (3, 2, 5, 4, 7, 6, 8, 9)
"""Sizes of the exact witness: an identity of sizes is seen at small ones as well, and plain loops stay short."""

TINY_SIZES = (2, 1, 3, 1, 2, 1, 3)
"""Sizes at which few square roots are asked for, so that a point where all exist is soon found."""

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
    return Finding(
        witness, subject, "holds" if good else "fails", error, tolerance, sizes_text(sizes), "" if good else detail
    )


def difference(a: Any, b: Any, floor: float = 0.0) -> float:
    """Return the largest difference of two variables, relative to their largest entry (or to ``floor``)."""
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
    scale = max(scale, floor)
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
    return (
        len(shapes - {1}) == 1 and len({x for v in program.variables.values() for x in v.shape if not x.is_Integer}) > 1
    )


CANCELS = "the derivative cancels to rounding (such as a cotangent of ones after a normalisation)"
VANISHES = "the derivative vanishes at this point (saturated, or a dead unit)"
ZERO = "the derivative is zero along a random direction"
"""Reasons why two derivatives that agree say nothing."""


def vanishing(error_scale: float, slope: float, value: float) -> str:
    """Return why a comparison of directional derivatives that are both nothing but rounding says nothing."""
    if error_scale > 0 and abs(slope) <= 1e-10 * error_scale:
        return CANCELS
    if error_scale <= 1e-9 * max(abs(value), 1e-3):
        return VANISHES
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
    floor = FLOOR * magnitude(cotangent, pushed[output])
    if scale <= 1e-10 * floor:
        return Finding(
            "inner product", output, "refused", sizes=sizes_text(sizes), detail="both sides are nothing but rounding"
        )
    error = abs(left - right) / max(scale, floor)
    detail = f"<Zbar, dZ> = {left:.12g} but <Xbar, dX> = {right:.12g}"
    return measured("inner product", output, error, INNER, sizes, detail)


# ---------------------------------------------------------------------------------------------------------
# Witness 3: complex step through the evaluator


def scaled_by(direction: Any, factor: complex) -> Any:
    """Return a multiple of an increment of a variable or of a family."""
    if isinstance(direction, Mapping):
        return {k: factor * d for k, d in direction.items()}
    return factor * direction


def complex_step(
    program: Program, values: Mapping[str, Any], sizes: Mapping[str, Any], directions: Mapping[str, Any], output: str
) -> Array:
    """Return the derivative of an output along increments of variables, declared or computed."""
    nudges = {name: scaled_by(d, 1j * STEP) for name, d in directions.items()}
    moved_to = evaluate(program, values, sizes, nudges=nudges)[output]
    return np.asarray(np.imag(moved_to) / STEP)


def only_declared(program: Program, name: str) -> bool:
    """Tell whether all members of a variable come from outside (a family may also be declared in part)."""
    return program.variables[name].declared and all(piece.site is None for piece in program.pieces[name])


def _direction(
    program: Program, name: str, adjoint: Any, sizes: Mapping[str, Any], rng: np.random.Generator
) -> Any:
    """Draw an increment: of a declared variable in the tangent space of its facts, of a computed one freely."""
    if only_declared(program, name):
        return tangents(program, sizes, rng, [name])[name]
    if isinstance(adjoint, Mapping):
        return {k: tangent_matrix((), a.shape[0], a.shape[1], rng) for k, a in adjoint.items()}
    return tangent_matrix((), adjoint.shape[0], adjoint.shape[1], rng)


def adjoints_by_complex_step(
    truth: Program, derived: Program, adjoints: Mapping[str, str], output: str = "loss", *,
    sizes: Mapping[str, Any], rng: np.random.Generator, values: Mapping[str, Any] | None = None,
    all_sizes: Sequence[Mapping[str, Any]] = (),
) -> list[Finding]:
    """Compare each adjoint along a random direction with complex step through a program.

    Arguments
    ---------
    truth:    the program whose output is differentiated: as it was declared, for declared variables.
    derived:  forward and backward pass; defines the adjoints.
    adjoints: variable -> its adjoint; a computed variable is moved where it gets its value.
    values:   data to use instead of a draw.

    An adjoint that fails is looked at entry by entry, and the first wrong entry is named.
    """
    given = dict(values) if values is not None else draw(truth, sizes, rng)
    reason = refusal(truth, given, all_sizes or [sizes])
    if reason:
        return [
            Finding("complex step", bar, "refused", sizes=sizes_text(sizes), detail=reason) for bar in adjoints.values()
        ]
    results = evaluate(derived, given, sizes)
    loss = float(value_of(results, output))
    findings = []
    for name, bar in adjoints.items():
        if truth.variables[name].facts & DISCRETE:
            findings.append(
                Finding("complex step", bar, "refused", detail=f"{name} takes separate values: nothing to move")
            )
            continue
        move = _direction(truth, name, results.get(bar, {}), sizes, rng)
        slope = float(complex_step(truth, given, sizes, {name: move}, output).sum())
        predicted = inner(results.get(bar, {}), move)
        scale = magnitude(results.get(bar, {}), move) + abs(slope)
        if _is_zero(derived, bar):
            # Zero by construction is a claim like any other: the slope must be nothing but rounding.
            error = abs(slope) / max(abs(loss), 1.0)
            findings.append(measured("complex step", bar, error, SLOPE, sizes, f"the slope is {slope:.9g}, not 0"))
            continue
        blind = vanishing(scale, max(abs(slope), abs(predicted)), loss)
        if blind and abs(slope - predicted) <= SLOPE * max(scale, abs(loss)):
            findings.append(Finding("complex step", bar, "refused", sizes=sizes_text(sizes), detail=blind))
            continue
        error = abs(slope - predicted) / scale if math.isfinite(predicted) else math.inf
        detail = "" if error <= SLOPE else _first_wrong(truth, given, sizes, name, results.get(bar, {}), output)
        findings.append(
            measured("complex step", bar, error, SLOPE, sizes, detail or f"{predicted:.12g}, not {slope:.12g}")
        )
    return findings


def _is_zero(derived: Program, bar: str) -> bool:
    """Tell whether an adjoint is zero by construction: nothing to check beyond the zero slope that was seen."""
    sites = [s for s in derived.sites if s.target.name == bar]
    return bool(sites) and all(isinstance(s.equation.value, Zero) for s in sites)


def _units(gradient: Any, dtype: type, most: int) -> Iterable[tuple[str, Any, tuple[int, ...], tuple[int, ...]]]:
    """Yield for the first entries: a label of the member, the unit direction, the member, the entry."""
    blocks = gradient if isinstance(gradient, Mapping) else {(): gradient}
    entries = ((where, entry) for where, block in blocks.items() for entry in np.ndindex(*block.shape))
    for where, entry in itertools.islice(entries, most):
        unit = {k: np.zeros(b.shape, dtype=dtype) for k, b in blocks.items()}
        unit[where][entry] = 1
        yield str(list(where)) if where else "", unit if isinstance(gradient, Mapping) else unit[()], where, entry


def _first_wrong(
    truth: Program, values: Mapping[str, Any], sizes: Mapping[str, Any], name: str, gradient: Any, output: str,
    most: int = 120,
) -> str:
    """Return which entry of an adjoint is the first wrong one, and by which factor."""
    for label, unit, where, entry in _units(gradient, float, most):
        true = float(complex_step(truth, values, sizes, {name: unit}, output).sum())
        said = float((gradient[where] if where else gradient)[entry])
        if not abs(true - said) <= SLOPE * (abs(true) + abs(said)):
            ratio = f" ({said / true:.6g} times)" if true else ""
            return f"the derivative by entry {entry} of {name}{label} is {true:.9g}, not {said:.9g}{ratio}"
    return ""


# ---------------------------------------------------------------------------------------------------------
# Witness 4: exact


STRICT, LOOSE = 100, 10
"""How many points are tried at which roots are roots, and then with loose roots."""


def exact_sizes(
    program: Program, limit: int = 3, turn: int = 0, among: Sequence[int] = EXACT_SIZES
) -> list[dict[str, Any]]:
    """Return small sizes for the exact witness."""
    return choose_sizes(program, steps=(1, 2, 3), layers=(1, 2, 3), primes=among, limit=limit, turn=turn)


def adjoints_exactly(
    truth: Program, derived: Program, adjoints: Mapping[str, str], output: str = "loss", *,
    sizes: Mapping[str, Any], seed: int = 0, tries: int = STRICT + LOOSE,
) -> list[Finding]:
    """Compare adjoints with the derivative of a program over dual numbers in the prime field: EQUAL or not.

    All variables move at once along random directions: ``sum <Xbar, dX> = dL`` holds by chance with probability
    below 1e-16.  If it fails, each variable moves alone, and what differs is looked at entry by entry.

    Where no point is found at which every square root exists, roots are loose (see ``prime_field``).  Raises ``NoDraw``
    when adjoints do not agree then: nothing is known.
    """
    moving = {n: bar for n, bar in adjoints.items() if not truth.variables[n].facts & DISCRETE}
    rng, findings = random.Random(seed), None
    for attempt in range(tries):
        loose = attempt >= STRICT and findings is None
        try:
            found = _exactly(truth, derived, moving, output, sizes, rng, loose)
        except Redraw:
            continue
        if loose:
            if any(f.outcome == "fails" for f in found):
                break
            return found
        findings = found
        # A dead unit or a mask may hide a variable at one point; a few other points tell.
        if attempt >= 8 or all(f.outcome != "refused" for f in findings):
            return findings
    if findings is not None:
        return findings
    raise NoDraw(f"no point of the prime field was found at which every root in {truth.name} exists")


def _exactly(
    truth: Program, derived: Program, moving: Mapping[str, str], output: str, sizes: Mapping[str, Any],
    rng: random.Random, loose: bool = False,
) -> list[Finding]:
    oracles = Oracles(rng, loose)
    values = field_draw(truth, sizes, rng, oracles)
    found = FieldRun(derived, values, sizes, oracles=oracles).run()
    moves: dict[str, Any] = {}
    for name, bar in moving.items():
        var, adjoint = truth.variables[name], found.get(bar, {})
        if only_declared(truth, name):
            moves[name] = _field_direction(var, sizes, rng)
        elif isinstance(adjoint, Mapping):
            moves[name] = {k: field_tangent((), *_shape(a), rng=rng) for k, a in adjoint.items()}
        else:
            moves[name] = field_tangent((), *_shape(adjoint), rng=rng)

    def along(directions: Mapping[str, Any]) -> int:
        nudges = {name: moved(d) for name, d in directions.items()}
        return slope_of(FieldRun(truth, values, sizes, nudges=nudges, oracles=oracles).run()[output])

    predicted = {name: field_inner(found.get(bar, {}), moves[name]) for name, bar in moving.items()}
    equal = along(moves) == sum(predicted.values()) % P
    text, findings = sizes_text(sizes), []
    for name, bar in moving.items():
        slope = predicted[name] if equal else along({name: moves[name]})
        if slope != predicted[name]:
            reason = _first_unequal(name, found.get(bar, {}), along) or "UNEQUAL"
            findings.append(Finding("exact", bar, "fails", math.inf, 0.0, text, reason))
        elif slope == 0 and not _is_zero(derived, bar):
            findings.append(
                Finding("exact", bar, "refused", sizes=text, detail=ZERO)
            )
        else:
            findings.append(Finding("exact", bar, "holds", sizes=text))
    return findings


def _field_direction(var: Var, sizes: Mapping[str, Any], rng: random.Random) -> Any:
    """Draw an increment of a declared variable that keeps its facts."""
    return each(var, sizes, lambda r, c: field_tangent(var.facts, r, c, rng))


def _shape(a: Dual) -> tuple[int, int]:
    rows, cols = a.value.shape
    return rows, cols


def slope_of(result: Dual) -> int:
    """Return the derivative of the sum of a result along its first direction."""
    if any(x != x for x in result.value.ravel()):
        raise Redraw("an undefined value")
    if result.slope is None:
        return 0
    entries = result.slope[0].ravel()
    if any(x != x for x in entries):
        raise Redraw("an undefined slope")
    return int(entries.sum()) % P


def _first_unequal(name: str, gradient: Any, along: Callable[[Mapping[str, Any]], int], most: int = 60) -> str:
    """Return the first entry in which an adjoint differs, and the factor if it is a simple one."""
    blocks = {k: d.value for k, d in gradient.items()} if isinstance(gradient, Mapping) else gradient.value
    for label, unit, where, entry in _units(blocks, object, most):
        true, said = along({name: unit}), int((blocks[where] if where else blocks)[entry])
        if true != said:
            ratio = _simple(said * pow(true, -1, P) % P) if true else ""
            return f"UNEQUAL at entry {entry} of {name}{label}" + (f": {ratio} times the derivative" if ratio else "")
    return ""


def _simple(x: int, largest: int = 400) -> str:
    """Return a field element as a simple fraction, if it is one."""
    for q in range(1, largest):
        n = x * q % P
        n = n - P if n > P // 2 else n
        if abs(n) <= largest:
            return str(n) if q == 1 else f"{n}/{q}"
    return ""


def hessian_exactly(
    truth: Program, derived: Program, gradients: Mapping[str, str], *, sizes: Mapping[str, Any], seed: int = 0,
    tries: int = STRICT + LOOSE,
) -> list[Finding]:
    """Differentiate a derived program once more over dual numbers: ``<u, H v> = <v, H u>`` for random u and v.

    Roots that are not found are loose, as for ``adjoints_exactly``.
    """
    moving = {n: bar for n, bar in gradients.items() if not truth.variables[n].facts & DISCRETE}
    rng = random.Random(seed)
    for attempt in range(tries):
        oracles = Oracles(rng, loose=attempt >= STRICT)
        values = field_draw(truth, sizes, rng, oracles)
        u, v = ({n: _field_direction(truth.variables[n], sizes, rng) for n in moving} for _ in range(2))
        try:
            sides = []
            for along, against in ((u, v), (v, u)):
                nudges = {n: moved(d) for n, d in along.items()}
                found = FieldRun(derived, values, sizes, nudges=nudges, oracles=oracles).run()
                sides.append(sum(_slope_inner(found[bar], against[n]) for n, bar in moving.items()) % P)
        except Redraw:
            continue
        same = sides[0] == sides[1]
        if oracles.loose and not same:
            break
        detail = "" if same else "the Hessian is not symmetric"
        return [
            Finding(
                "exact, second order",
                "all gradients",
                "holds" if same else "fails",
                0.0 if same else math.inf,
                0.0,
                sizes_text(sizes),
                detail,
            )
        ]
    raise NoDraw(f"no point of the prime field was found at which every root in {truth.name} exists")


def _slope_inner(a: Any, direction: Any) -> int:
    if isinstance(direction, Mapping):
        return sum(_slope_inner(a[k], direction[k]) for k in direction if k in a)
    if a.slope is None:
        return 0
    total = (a.slope[0] * direction).sum()
    if total != total:
        raise Redraw("an undefined slope")
    return int(total)


def all_hold(findings: Iterable[Finding]) -> bool:
    """Tell whether there are findings and every one of them holds."""
    seen = list(findings)
    return bool(seen) and all(f.outcome == "holds" for f in seen)
