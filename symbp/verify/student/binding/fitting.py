"""Which sizes of arguments are equal and which are 1: found by running the forward pass and reading where shapes clash.

Every open size is another prime, so a clash says which sizes meet.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from symbp.verify.student.binding.draws import Draws
from symbp.verify.student.binding.session import Outcome, Session

MOST_ROUNDS = 60

_SHAPE = re.compile(r"\(([\d, ]*)\)")
_REMAPPED = re.compile(r"\([\d, ]*\)->\(")
_PAIR = (
    re.compile(r"\(size (\d+) is different from (\d+)\)"),
    re.compile(r"not aligned: (\d+) \(dim \d+\) != (\d+)"),
    re.compile(r"have lengths (\d+) and (\d+)"),
    re.compile(r"size of axis is (\d+) but size of corresponding boolean axis is (\d+)"),
    re.compile(r"index 0 has size (\d+) and the array at index 1 has size (\d+)"),
    re.compile(r"cannot reshape array of size (\d+) into shape \((\d+),?\)"),
    re.compile(r"does not hold: (\d+) == (\d+)"),
)
_LABEL = re.compile(r"index (\d+) is out of bounds for axis \d+ with size (\d+)")


@dataclass(frozen=True)
class Clash(Exception):
    """Shapes that cannot be made to fit."""

    outcome: Outcome


def fit(session: Session, draws: Draws, turn: int = 0, upto: str = "loss") -> Outcome:
    """Join and fix sizes until the forward pass runs; return its outcome.

    Raises ``Clash`` where that is not possible.
    """
    for _ in range(MOST_ROUNDS):
        outcome = session.run(draws.case(turn), upto=upto)
        if outcome.failure is None:
            if not session.plan.loss or _narrow(draws, outcome, turn):
                return outcome
            continue
        if draws.gradients_from and getattr(outcome.failure.node, "lineno", 0) >= draws.gradients_from:
            return outcome  # what a backward pass says of shapes may be its mistake
        if not _learn(draws, outcome.failure.mistake.args[0], turn):
            raise Clash(outcome)
    raise Clash(outcome)


def _learn(draws: Draws, message: str, turn: int) -> bool:
    """Learn from one message which sizes are equal; tell whether something was learned."""
    for pattern in _PAIR:
        match = pattern.search(message)
        if match:
            return _meet(draws, int(match[1]), int(match[2]), turn)
    match = _LABEL.search(message)
    if match and int(match[2]) < draws.below:
        draws.below = int(match[2])
        return True
    if match:
        # As many labels as samples are looked up.
        axis = draws.of_value(int(match[2]), turn)
        targets = [d.axes[0] for d in draws.arrays.values() if d.role == "target" and d.fill == "labels" and d.axes]
        if axis is not None and targets and draws.root(targets[0]) != draws.root(axis):
            draws.join(targets[0], axis)
            return True
    # NumPy's einsum tells of each operand how its axes are laid: (5,7)->(5,newaxis,7).
    message = _REMAPPED.sub("(", message).replace("newaxis", "1")
    shapes = [tuple(int(n) for n in s.replace(",", " ").split()) for s in _SHAPE.findall(message)]
    if len(shapes) >= 2 and ("broadcast" in message or "assertion" in message or "do not fit" in message):
        exact = "assertion" in message or "input array" in message
        return _broadcast(draws, shapes[0], shapes[1], turn, exact) or _stacked(draws, shapes[:2], turn)
    return False


def _stacked(draws: Draws, shapes: list[tuple[int, ...]], turn: int) -> bool:
    """Take parameters to hold several gates side by side, where a slice of them meets a size that they should have."""
    numbers = [n for pair in zip(*(reversed(s) for s in shapes), strict=False) if pair[0] != pair[1] for n in pair]
    whole = [draws.of_value(n, turn) for n in numbers]
    wide = [r for r in draws.open_parameters() if r not in whole]
    for root in whole:
        if root is not None and wide and draws.multiples:
            draws.tie(wide[0], draws.multiples[0], root)
            return True
    return False


def _narrow(draws: Draws, outcome: Outcome, turn: int) -> bool:
    """Tell whether the loss is one number; if not, the axes that it has are taken to be 1."""
    open_ones = [draws.of_value(n, turn) for n in np.shape(outcome.loss) if n > 1]
    if any(axis is None for axis in open_ones):
        raise Clash(outcome)
    for axis in open_ones:
        draws.fix(axis or 0, 1)
    return not open_ones


def _meet(draws: Draws, a: int, b: int, turn: int) -> bool:
    """Two numbers of entries must be equal."""
    first, second = draws.of_value(a, turn), draws.of_value(b, turn)
    if first is not None and second is not None:
        draws.join(first, second)
        return True
    if first is None and second is None:
        return _part(draws, a, b, turn)
    open_one, other = (first, b) if first is not None else (second, a)
    if open_one is None or other == 0:
        return False
    draws.fix(open_one, other)
    return True


def _part(draws: Draws, a: int, b: int, turn: int) -> bool:
    """Two products of sizes must be equal, channels times the entries of a kernel: one open size in them follows."""
    found = {
        (root, other // (product // value))
        for product, other in ((a, b), (b, a))
        for root, value in draws.values(turn).items()
        if draws.is_open(root) and value > 1 and product % value == 0 and other % (product // value) == 0
    }
    if len(found) != 1:
        return False
    ((root, size),) = found
    draws.fix(root, size)
    return size > 0


def _broadcast(draws: Draws, left: tuple[int, ...], right: tuple[int, ...], turn: int, exact: bool) -> bool:
    """Two shapes are broadcast: axes that differ are one size, or a bias is 1 along the samples."""
    if exact and len(left) != len(right):
        return False
    for back, (a, b) in enumerate(zip(reversed(left), reversed(right), strict=False)):
        if a == b or (not exact and 1 in (a, b)):
            continue
        first, second = draws.of_value(a, turn), draws.of_value(b, turn)
        if not exact:
            for mine, other in ((first, second), (second, first)):
                if mine is not None and _is_of_a_bias(draws, mine):
                    draws.asked.add("alignment")
                    is_first = back == max(len(left), len(right)) - 1
                    keeps = (
                        back == 0 if draws.align == "last" else is_first if draws.align == "first"
                        else other is not None and not _is_of_samples(draws, other)
                    )
                    if not keeps:
                        draws.fix(mine, 1)
                        return True
        if first is None and second is None:
            return False
        if None in (first, second) and draws.multiples and (first or second) is not None:
            return False
        return _meet(draws, a, b, turn)
    return False


def _is_of_a_bias(draws: Draws, axis: int) -> bool:
    return draws.roles(axis) == {"bias"}


def _is_of_samples(draws: Draws, axis: int) -> bool:
    return not draws.roles(axis) & {"parameter", "bias"}


def loose_axes(draws: Draws, held: Collection[str] = ()) -> list[int]:
    """Return the open sizes that one axis of a target alone has, or of data that are not the first: a state.

    Nothing but broadcasting lets them be.
    """
    data = [d for d in draws.arrays.values() if d.role == "data"]
    return [
        a for p, d in draws.arrays.items()
        if p not in held and (d.role == "target" or d in data[1:]) and len(d.axes) > 1
        for a in d.axes if draws.is_open(a) and draws.occurrences(a) == 1
    ]


def unsampled(draws: Draws, held: Collection[str] = ()) -> list[tuple[int, int]]:
    """Return an axis of each target that has no size in common with anything, and the axis of samples of the data.

    Nothing but broadcasting lets it be, and a target has an entry for each sample.
    """
    data = next((d for d in draws.arrays.values() if d.role == "data"), None)
    if data is None or len(data.axes) != 2:
        return []
    samples = [k for k, a in enumerate(data.axes) if draws.is_open(a) and draws.roles(a) == {"data"}]
    loose = [
        d for p, d in draws.arrays.items()
        if p not in held and d.role == "target" and d.axes
        and all(draws.is_open(a) and draws.occurrences(a) == 1 for a in d.axes)
    ]
    return [(d.axes[0 if samples[0] == 0 else -1], data.axes[samples[0]]) for d in loose] if len(samples) == 1 else []


def fitted(session: Session, draws: Draws, turn: int = 0) -> Outcome:
    """Fit the forward pass; a size that only a target or a state has is that of the samples, or else 1.

    Raises ``Clash``.
    """
    outcome = fit(session, draws, turn)
    # What a target meets that an object holds is seen in the loss only.
    held = set() if session.plan.loss else draws.early
    for axis, samples in unsampled(draws, held):
        joined = draws.copy()
        joined.join(axis, samples)
        try:
            fit(session, joined, turn)
        except Clash:
            continue
        draws.join(axis, samples)
        outcome = fit(session, draws, turn)
    loose = loose_axes(draws, held)
    for axis in loose:
        narrower = draws.copy()
        narrower.fix(axis, 1)
        try:
            outcome = fit(session, narrower, turn)
        except Clash:
            continue
        draws.fix(axis, 1)
    if draws.align == "single":
        for drawn in draws.arrays.values():
            for axis in drawn.axes if drawn.role == "target" else ():
                if draws.is_open(axis) and draws.roles(axis) & {"parameter", "bias"}:
                    draws.fix(axis, 1)
                    loose.append(axis)
    if draws.align == "alone":
        for axis in samples_of(draws):
            draws.fix(axis, 1)
            loose.append(axis)
    return fit(session, draws, turn) if loose else outcome


def samples_of(draws: Draws) -> list[int]:
    """Return the open sizes that data have and no parameter: those of samples."""
    matrices = [d for d in draws.arrays.values() if d.role == "data" and len(d.axes) == 2]
    return [a for d in matrices for a in d.axes if draws.is_open(a) and not draws.roles(a) & {"parameter", "bias"}]
