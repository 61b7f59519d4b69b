"""Plans against the reference evaluator: every value that a caller gets, every parameter after a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from symbp.expr import Function
from symbp.plan.entries import MAX_NORM, RATE, Entries
from symbp.plan.interpret import Interpreter
from symbp.plan.ir import Buffer, Plan
from symbp.verify.evaluate import Array, Numbers, evaluate
from symbp.verify.running import follow, stored
from symbp.verify.scalars import arguments, interpret, scalar_law
from symbp.verify.witnesses import difference


@lru_cache(maxsize=512)
def entrywise(function: Function) -> Callable[..., Array]:
    """Return an elementwise function on arrays, from its scalar law."""
    law, symbols = scalar_law(function), arguments(len(function.orders))
    domain = Numbers(np.dtype(float))

    def value(*args: Array) -> Array:
        spread = np.broadcast_arrays(*args)
        with np.errstate(all="ignore"):
            found = interpret(law, dict(zip(symbols, spread, strict=True)), domain)
        return np.broadcast_to(np.asarray(found, dtype=float), spread[0].shape)

    return value


def packed(entries: Entries, buffer: Buffer, values: Mapping[str, Any], dtype: Any = np.float64) -> Array:
    """Return the array of a buffer, filled with the values of its variable."""
    numbers = entries.fields.sizes
    shape = tuple(int(numbers.value(n)) for n in (*buffer.extents, buffer.rows, buffer.cols))
    out = np.full(shape, np.nan, dtype)
    for at, value in members(entries, buffer, values):
        out[at] = value
    return out


def members(entries: Entries, buffer: Buffer, values: Mapping[str, Any]) -> list[tuple[tuple[int, ...], Array]]:
    """Return the members of a buffer that have a value, by their place in its array."""
    value = values[buffer.of]
    found = []
    for place, member in entries.fields.members(buffer):
        at = tuple(p - int(low) for p, low in zip(place, buffer.lows, strict=True))
        if not isinstance(value, Mapping):
            found.append((at, np.asarray(value)))
        elif member in value:
            found.append((at, np.asarray(value[member])))
    return found


KEPT = ("backward", "update_state")
"""The functions that read what the forward pass has kept."""


def run(
    entries: Entries, plan: Plan, values: Mapping[str, Any], rate: float = 0.25, max_norm: float = math.inf
) -> dict[str, Array]:
    """Run a plan with the reference interpreter on values of variables."""
    given = {
        n: packed(entries, b, values) for n, b in plan.buffers.items()
        if b.role in ("param", "state", "input", "const") or (plan.name in KEPT and b.role == "value")
    }
    return Interpreter(plan, given, entrywise, {str(RATE): rate, str(MAX_NORM): max_norm}).run()


def plan_error(
    entries: Entries, plan: Plan, values: Mapping[str, Any], sizes: Mapping[str, Any], rate: float = 0.25
) -> tuple[float, str]:
    """Return the largest error of what a plan gives its caller, and of what: of every parameter after a step."""
    derivation = entries.derivation
    truth = evaluate(derivation.program, values, sizes)
    given = {**values, **{n: truth[n] for n in entries.cached}} if plan.name in KEPT else values
    found = run(entries, plan, given, rate)
    expected: dict[str, Any] = {**truth, **follow(derivation.source, values, truth)}
    if plan.name == "predict" and entries.inference is not None:
        expected = evaluate(stored(derivation.program), values, sizes)
    if plan.name == "train_step":
        for name, bar in derivation.gradients.items():
            expected[name] = _stepped(values[name], truth[bar], rate)
    worst, culprit = 0.0, ""
    for name in plan.outputs:
        if plan.buffers[name].role == "moment":
            continue  # what an optimizer remembers
        for at, wanted in members(entries, plan.buffers[name], expected):
            error = difference(found[name][at], wanted, 1e-2)
            if not error <= worst:
                worst, culprit = error, f"{name}{list(at) if at else ''}"
    return worst, culprit


def _stepped(value: Any, gradient: Any, rate: float) -> Any:
    if isinstance(value, Mapping):
        return {k: np.asarray(v) - rate * gradient[k] for k, v in value.items()}
    return np.asarray(value) - rate * gradient
