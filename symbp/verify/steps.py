"""Witness 6: every printed step is numerically true.

``rewrite``, ``recognise``, ``name``, ``collect``: before = after.  ``differential``: complex step of before = after.
``transpose``: ``<cotangent, before(tangents)>`` is the sum of ``<message, d ref>``.  Names have the values that the
program gives them; adjoints and tangents are random, since a step holds for each of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import sympy as sp

from symbp.derivation import Derivation, Step
from symbp.expr import Node, Ref, SumOver, refs, walk
from symbp.program import Loop, Program, reads_of
from symbp.verify.draws import choose_sizes, draw, tangent_matrix
from symbp.verify.evaluate import Array, Evaluator, evaluate
from symbp.verify.normal_form import Budget, Proof, context_of, definitions_of, facts_of, prove_in, with_signs
from symbp.verify.witnesses import INNER, SLOPE, STEP, Finding, difference, magnitude, measured

EQUAL = 1e-12
"""Tolerance of before = after, relative to the largest entry of what is compared."""


Span = tuple[sp.Symbol, sp.Expr, sp.Expr]
"""An index with its first and last value."""


@dataclass
class Bench(Evaluator):
    """Evaluates the expressions of steps: names have their values, everything else is drawn when it is first read."""

    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    known: Mapping[str, Any] = field(default_factory=dict)
    drawn: dict[tuple[Any, ...], Array] = field(default_factory=dict)
    moves: Mapping[str, Any] = field(default_factory=dict)
    zero_outside: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.dtype = np.dtype(complex)
        self.domain = type(self.domain)(self.dtype)  # type: ignore[call-arg]

    def read(self, ref: Ref, at: Mapping[str, int]) -> Array:
        where = tuple(self.integer(i, at) for i in ref.indices)
        found = self.known.get(ref.name)
        if found is not None and (not ref.indices or where in found):
            value = found[where] if ref.indices else found
        elif found is not None and ref.name in self.zero_outside:
            return self.zeros(self.integer(ref.rows, at), self.integer(ref.cols, at))
        else:
            value = self.random(ref.name, where, self.integer(ref.rows, at), self.integer(ref.cols, at))
        if ref.name in self.moves:
            step = self.random(f"d_{ref.name}", where, *value.shape)
            return value + 1j * STEP * step
        return value.astype(complex)

    def random(self, name: str, where: tuple[int, ...], rows: int, cols: int) -> Array:
        """Return the random matrix that belongs to a name."""
        key = (name, where)
        if key not in self.drawn:
            self.drawn[key] = tangent_matrix((), rows, cols, self.rng)
        return self.drawn[key]

    def of(self, node: Node, at: Mapping[str, int], moving: Iterable[str] = ()) -> Array:
        """Return the value of an expression; the names ``moving`` are moved by an imaginary step along ``d_<name>``."""
        self.moves = dict.fromkeys(moving)
        with np.errstate(all="ignore"):
            return self.expression(node, at)


def check_steps(
    derivation: Derivation, rng: np.random.Generator, *, sizes: Sequence[Mapping[str, Any]] | None = None,
    steps: Sequence[Step] | None = None,
) -> list[Finding]:
    """Check every step of a derivation, at all values of the loop indices around it.

    Arguments
    ---------
    sizes: assignments of sizes; by default two with small loops.
    steps: the steps to check; by default all of the derivation.
    """
    program, given = derivation.named, derivation.steps if steps is None else steps
    chosen = list(sizes) if sizes is not None else choose_sizes(program, steps=(3, 1), layers=(3, 1), limit=2)
    active, spans = _active(derivation), _spans(derivation)
    silent = frozenset(v.name for v in derivation.program.variables.values() if v.zero_outside)
    benches = []
    for assignment in chosen:
        values = evaluate(program, draw(program, assignment, rng), assignment)
        true = evaluate(derivation.program, {v.name: values[v.name] for v in program.declared()}, assignment)
        benches.append((Bench(program, {}, assignment, rng=rng, known=values, zero_outside=silent), true))
    return [
        _check(step, number, benches, active, _loops_of(step, program, spans)) for number, step in enumerate(given, 1)
    ]


def prove_steps(derivation: Derivation, budget: Budget | None = None) -> list[tuple[Step, Proof]]:
    """Try to prove before = after for all sizes, of each step that is an equality of two expressions.

    Names stand for what the final program says of them, else for what the named one does.
    """
    program, named = derivation.program, derivation.named
    facts = with_signs(facts_of(program), named, budget)
    known = {**definitions_of(named), **definitions_of(program)}
    context = context_of(program, budget=budget, facts=facts)
    found = []
    for step in derivation.steps:
        if step.kind in ("rewrite", "recognise"):
            mine = {n: d for n, d in known.items() if n != step.target.name}
            loops = tuple((loop.index, loop.lo, loop.hi) for loop in step.loops)
            found.append((step, prove_in(replace(context, definitions=mine, loops=loops), step.before, step.after)))
    return found


def _active(derivation: Derivation) -> set[str]:
    """Return the names that depend on what the gradients are taken of, by a search of our own."""
    readers: dict[str, set[str]] = {}
    for site in derivation.named.sites:
        for ref in refs(site.equation.value):
            readers.setdefault(ref.name, set()).add(site.target.name)
    found, stack = set(derivation.gradients), list(derivation.gradients)
    while stack:
        for name in readers.get(stack.pop(), set()) - found:
            found.add(name)
            stack.append(name)
    return found


def step_name(step: Step, number: int) -> str:
    """Return what a step is called in a report."""
    return f"step {number}: {step.kind}, {step.rule}, {step.target.label}"


def _check(
    step: Step, number: int, benches: Sequence[tuple[Bench, Mapping[str, Any]]], active: set[str],
    loops: Sequence[Span],
) -> Finding:
    subject = step_name(step, number)
    worst: Finding | None = None
    for bench, true in benches:
        for at in _iterations(bench, loops):
            error, tolerance, detail = _error(step, bench, at, active)
            if not error <= tolerance:
                # A name may stand for an adjoint: then its true value decides.
                told = replace(bench, known={**true, **bench.known})
                again = _error(step, told, at, active)
                if again[0] <= tolerance:
                    error = again[0]
            finding = measured("step", subject, error, tolerance, bench.sizes, detail)
            if worst is None or finding.error > worst.error:
                worst = finding
    return worst or Finding("step", subject, "not checked", detail="its loops do not run at the chosen sizes")


def _spans(derivation: Derivation) -> dict[sp.Symbol, Span]:
    """Return the ranges of the indices that sums bind anywhere: a step may take place inside a sum."""
    spans: dict[sp.Symbol, Span] = {}
    nodes = [s.equation.value for p in (derivation.named, derivation.program) for s in p.sites]
    for step in derivation.steps:
        nodes += [step.before, step.after, *(t.message for t in step.terms)]
    for node in nodes:
        for part in walk(node):
            if isinstance(part, SumOver):
                spans.setdefault(part.bound, (part.bound, *part.ends))
    return spans


def _loops_of(step: Step, program: Program, spans: Mapping[sp.Symbol, Span]) -> list[Span]:
    """Return the ranges of all indices that are free in a step, outermost first."""
    around: Sequence[Loop] = step.loops
    if not around and step.target.indices:
        around = next((site.loops for site in program.sites if site.target is step.target), ())
    found = [(loop.index, loop.lo, loop.hi) for loop in around]
    known = {index for index, _, _ in found}
    read = {s for node in (step.before, step.after) for ref, sums in reads_of(node) for s in _free(ref, sums)}
    return found + [spans[s] for s in sorted(read - known, key=str) if s in spans]


def _free(ref: Ref, sums: Sequence[SumOver]) -> set[sp.Symbol]:
    used = {s for i in ref.indices for s in i.free_symbols}
    return used - {s.bound for s in sums}


def _iterations(bench: Bench, loops: Sequence[Span], at: Mapping[str, int] | None = None) -> Iterator[dict[str, int]]:
    here = dict(at or {})
    if not loops:
        yield here
        return
    index, lo, hi = loops[0]
    for k in range(bench.integer(lo, here), bench.integer(hi, here) + 1):
        yield from _iterations(bench, loops[1:], {**here, index.name: k})


def _error(step: Step, bench: Bench, at: Mapping[str, int], active: set[str]) -> tuple[float, float, str]:
    """Return the relative error of a step in one iteration, the tolerance, and what differs."""
    if step.kind == "differential":
        moving = {r.name for r in refs(step.before)} & active
        slope = np.imag(bench.of(step.before, at, moving)) / STEP
        stated = np.real(bench.of(step.after, at))
        return difference(slope, stated), SLOPE, "the differential is not the derivative of the right side"
    if step.kind == "transpose":
        assert step.cotangent is not None
        cotangent, image = np.real(bench.of(step.cotangent, at)), np.real(bench.of(step.before, at))
        left, scale = float(np.sum(cotangent * image)), magnitude(cotangent, image)
        right, more = _messages(step, bench, at)
        total = scale + more
        detail = f"<cotangent, differential> = {left:.9g} but the messages give {right:.9g}"
        return (abs(left - right) / total if total else 0.0), INNER, detail
    before = np.real(bench.of(step.before, at))
    if step.kind == "collect" and step.after is step.target:
        return (0.0 if before.shape == _shape(bench, step.target, at) else math.inf), EQUAL, "the shapes differ"
    after = np.real(bench.of(step.after, at))
    error = difference(before, after)
    if error > EQUAL and _is_symmetric(step.target, bench.program):
        # A projection on the tangent space: the same along symmetric increments, and itself symmetric.
        move = bench.random("symmetric", (), *before.shape)
        move = move + move.T
        scale = magnitude(before, move) + magnitude(after, move)
        error = max(abs(float(np.sum((before - after) * move))) / scale, difference(after, after.T))
    return error, EQUAL, "before and after differ"


def _is_symmetric(target: Ref, program: Program) -> bool:
    """Tell whether ``target`` is the adjoint of a variable that is declared symmetric."""
    return any(
        target.name.startswith(f"{name}_bar") and "symmetric" in v.facts for name, v in program.variables.items()
    )


def _shape(bench: Bench, ref: Ref, at: Mapping[str, int]) -> tuple[int, int]:
    return bench.integer(ref.rows, at), bench.integer(ref.cols, at)


def _messages(step: Step, bench: Bench, at: Mapping[str, int]) -> tuple[float, float]:
    """Return the sum of <message, d ref> over the terms, and of its absolute terms.

    A message to a read inside a sum over an index is sent once for each value of the index.
    """
    around: dict[Ref, list[tuple[SumOver, ...]]] = {}
    for ref, sums in reads_of(step.before):
        around.setdefault(ref, []).append(sums)
    total = scale = 0.0
    for term in step.terms:
        ref = term.ref
        tangent = Ref(f"d_{ref.name}", ref.rows, ref.cols, *ref.indices)
        places = around.get(tangent, [])
        sums = places.pop(0) if places else ()
        for here in _iterations(bench, [(s.bound, *s.ends) for s in sums], at):
            message, move = np.real(bench.of(term.message, here)), np.real(bench.of(tangent, here))
            if message.shape != move.shape:
                return math.inf, 1.0
            total += float(np.sum(message * move))
            scale += magnitude(message, move)
    return total, scale
