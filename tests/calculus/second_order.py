"""Gradients and Hessian-vector products of a program, three ways, for tests of closure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy as sp

from symbp.calculus import derive, differential, prepare
from symbp.derivation import Derivation
from symbp.expr import Node, SumOver, add, total
from symbp.program import Equation, Program, Var, check
from symbp.verify.draws import draw
from symbp.verify.evaluate import evaluate


def random_like(value: Any, rng: np.random.Generator, facts: frozenset[str] = frozenset()) -> Any:
    """A direction in the tangent space of the declared facts."""
    if isinstance(value, Mapping):
        return {k: random_like(x, rng, facts) for k, x in value.items()}
    x = rng.standard_normal(np.shape(value))
    return (x + x.T) / 2 if "symmetric" in facts else x


def inner(a: Any, b: Any) -> float:
    """<a, b>, over the members that ``b`` has."""
    if isinstance(b, Mapping):
        return float(sum(np.sum(a[k] * b[k]) for k in b))
    return float(np.sum(a * b))


def stepped(values: Mapping[str, Any], tangents: Mapping[str, Any]) -> dict[str, Any]:
    moved = dict(values)
    for name, change in tangents.items():
        v = values[name]
        moved[name] = {k: v[k] + 1e-30j * change[k] for k in v} if isinstance(v, Mapping) else v + 1e-30j * change
    return moved


def slope(program: Program, output: str, values: Mapping[str, Any], tangents: Mapping[str, Any], sizes: Any) -> float:
    """The derivative along ``tangents`` by complex step."""
    return float(np.sum(evaluate(program, stepped(values, tangents), sizes)[output].imag) / 1e-30)


def gradient_error(derivation: Derivation, sizes: Any, seed: int = 0) -> float:
    """The relative difference of <gradient, direction> and the complex step along it."""
    rng = np.random.default_rng(seed)
    values = draw(derivation.source, sizes, rng)
    tangents = {n: random_like(values[n], rng, derivation.source.variables[n].facts) for n in derivation.gradients}
    expected = slope(derivation.source, derivation.output, values, tangents, sizes)
    found = evaluate(derivation.program, values, sizes)
    seen = sum(inner(found[bar], tangents[n]) for n, bar in derivation.gradients.items())
    return abs(seen - expected) / max(1.0, abs(expected))


def directional(derivation: Derivation) -> Program:
    """The program of ``q = <u, gradient>`` for fresh inputs ``u``."""
    program = derivation.program
    variables, terms = dict(program.variables), []
    for name, bar in derivation.gradients.items():
        var = variables[name]
        u = Var(f"u_{name}", var.rows, var.cols, var.indices, "input", boxes=var.boxes)
        variables[u.name] = u
        for box in var.boxes or [None]:
            at = var.indices
            ends = [] if box is None else [(s.lows[0], s.highs[0]) for s in box.sides]
            where = [lo if lo == hi else i for i, (lo, hi) in zip(at, ends, strict=True)]
            term: Node = total(u(*where) * variables[bar](*where))
            for symbol, (lo, hi) in zip(at, ends, strict=True):
                if lo != hi:
                    term = SumOver(term, symbol, lo, hi)
            terms.append(term)
    q = Var("q", sp.S.One, sp.S.One)
    variables["q"] = q
    return check(program.replace(variables=variables, body=(*program.body, Equation(q(), add(*terms))), outputs=("q",)))


def second_order_errors(derivation: Derivation, sizes: Any, seed: int = 0) -> tuple[float, float]:
    """Relative errors of the adjoint of the adjoint and of the differential of the adjoint, against complex step."""
    rng = np.random.default_rng(seed)
    program = directional(derivation)
    wrt = list(derivation.gradients)
    values = draw(derivation.source, sizes, rng)
    facts = {n: program.variables[n].facts for n in wrt}
    values |= {f"u_{n}": random_like(values[n], rng, facts[n]) for n in wrt}
    tangents = {n: random_like(values[n], rng, facts[n]) for n in wrt}
    expected = slope(program, "q", values, tangents, sizes)
    twice = derive(program, wrt, "q")
    found = evaluate(twice.program, values, sizes)
    backward = sum(inner(found[bar], tangents[n]) for n, bar in twice.gradients.items())
    tangent_program, _ = differential(prepare(program)[0], wrt)
    check(tangent_program)
    along = evaluate(tangent_program, {**values, **{f"d_{n}": x for n, x in tangents.items()}}, sizes)
    forward = float(np.sum(along["d_q"]).real) if "d_q" in along else 0.0
    scale = max(1.0, abs(expected))
    return abs(backward - expected) / scale, abs(forward - expected) / scale
