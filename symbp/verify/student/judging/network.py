"""The forward pass of student code beside a network: the loss, and every value that is called like a variable of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from symbp.program import Program
from symbp.verify.check.constants import TOLERANCE
from symbp.verify.check.verdict import Fault, Judgement
from symbp.verify.draws import choose_sizes, draw, sizes_text
from symbp.verify.evaluate import evaluate
from symbp.verify.student.binding.search import Bound
from symbp.verify.student.binding.session import Case, Outcome
from symbp.verify.student.judging import broadcasts
from symbp.verify.student.judging.work import line_of
from symbp.verify.student.language import names as nm
from symbp.verify.student.language.reading import span
from symbp.verify.student.language.values import Array

DRAWS = 3


def compared(bound: Bound, network: Program) -> Judgement | None:
    """Return None if the forward pass computes the loss of the network at every draw, else what is wrong with it.

    The network's values are given to the arguments that are called like its variables, in either layout.
    """
    rng = np.random.default_rng(3 + bound.draws.seed)
    sizes = choose_sizes(network, limit=1, turn=0)[0]
    found: Judgement | None = None
    for turned in (False, True):
        first: Judgement | None = None
        for _ in range(DRAWS):
            values = draw(network, sizes, rng)
            results = evaluate(network, values, sizes)
            case, lacking = _case(bound, values, turned)
            if lacking:
                return Judgement("not checked", reason=(
                    f"the forward pass takes {', '.join(lacking)}, which no variable of the network is called like"))
            outcome = bound.session.run(case, upto="loss" if bound.session.plan.backward else "outputs")
            first = first or _difference(bound, outcome, results, turned, sizes_text(sizes))
        if first is None:
            return None
        if found is None or (found.verdict == "not checked" and first.verdict == "wrong"):
            found = first
    return found


def _case(bound: Bound, values: Mapping[str, Any], turned: bool) -> tuple[Case, list[str]]:
    """Return a case with the values of the network, and the arguments for which it has none."""
    own = bound.case(0)
    by_name = {nm.bare(name): v for name, v in values.items() if isinstance(v, np.ndarray)}
    sources: dict[str, Any] = {}
    lacking = []
    for path, mine in own.sources.items():
        value = by_name.get(nm.bare(nm.tail(path)))
        if value is None:
            lacking.append(path)
            continue
        value = value.T if turned else value
        sources[path] = _laid(value, np.asarray(mine))
    return replace(own, sources=sources), lacking


def _laid(value: Array, like: Array) -> Array:
    """Return a matrix with the number of axes that the code has."""
    if like.ndim == 1 and like.dtype.kind == "i":
        return np.asarray(value.argmax(axis=0 if value.shape[1] >= value.shape[0] else 1))
    while value.ndim > like.ndim and 1 in value.shape:
        value = value.reshape([n for k, n in enumerate(value.shape) if k != value.shape.index(1)])
    return value


def _difference(
    bound: Bound, outcome: Outcome, results: Mapping[str, Any], turned: bool, sizes: str
) -> Judgement | None:
    """Return what is wrong with a forward pass beside the values of the network, or None."""
    if outcome.failure is not None and outcome.loss is None:
        why = f"the forward pass does not run on the network's values: {outcome.failure}"
        return Judgement("not checked", reason=why)
    wanted = results.get("loss")
    if wanted is None:
        return Judgement("not checked", reason="the network has no loss")
    if _close(np.asarray(outcome.loss, dtype=float).reshape(1, 1), wanted):
        return None
    order = {s: k for k, s in enumerate(outcome.trace.visits)}
    before = set(outcome.before) or set(order)
    reading = bound.session.reading
    squares = {
        n: s for n, s in outcome.squares.items()
        if broadcasts.is_written(n, reading.module) and broadcasts.statement_of(reading.module, n) in before
    }
    widened = min((order[broadcasts.statement_of(reading.module, n)] for n in squares), default=len(order))
    for entry in outcome.trace.order:
        truth = results.get(nm.tail(entry.target))
        if entry.statement not in before or not isinstance(truth, np.ndarray):
            continue
        value = np.asarray(outcome.trace.values[entry], dtype=float)
        if not _close(value, truth.T if turned else truth) and order[entry.statement] < widened:
            row, column, length = span(getattr(entry.statement, "value", entry.statement), reading.lines)
            fault = Fault(
                0, (0,), of=entry.target, nature="", code="C132", title="the forward pass differs from the network",
                label=f"this is not {nm.tail(entry.target)} of the network", row=reading.place(row)[1], column=column,
                length=length,
            )
            return Judgement("wrong", (line_of(entry.statement, reading),), (fault,), sizes=(sizes,),
                             witnesses=("values of the network",))
    if squares:
        plain = Judgement("wrong", sizes=(sizes,), witnesses=("values of the network",))
        return broadcasts.blamed(reading, squares, plain)
    return Judgement("not checked", reason=(
        f"the loss of the code is {float(np.asarray(outcome.loss).reshape(())):.6g}, that of the network "
        f"{float(wanted[0, 0]):.6g}, and no value on the way is called like one of the network that differs"))


def _close(value: Array, truth: Array) -> bool:
    if value.size != truth.size:
        return False
    size = max(float(np.abs(truth).max(initial=0.0)), 1e-300)
    return bool(np.abs(value.reshape(truth.shape) - truth).max(initial=0.0) <= TOLERANCE * size)
