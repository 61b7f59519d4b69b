"""What the cross-checks share: one draw for symbp and for a peer, and the worst difference of each peer at the end.

symbp's side is the derived program in the reference evaluator; the peer's side is an independent statement of the loss,
differentiated by the peer.  Data are symbp's draws, at all small bounds of loops; samples are columns and rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from symbp.calculus.batch import ConversionError, conversion, samples_axis, turn
from symbp.networks import network
from symbp.pipeline import derive, program_of
from symbp.program import Program
from symbp.verify.draws import choose_sizes, draw
from symbp.verify.evaluate import evaluate
from symbp.verify.programs import specified

Gradient = Callable[[Mapping[str, Any], Mapping[str, Any], SimpleNamespace], tuple[float, Mapping[str, Any]]]
"""A peer: (values to differentiate by, other values, sizes) -> (loss, gradient of each value of the first kind)."""

FREE = frozenset({"positive"})
"""Facts that leave every entry of an input free, so that its gradient has one meaning."""

SMALL = 1e-3
"""A gradient that is smaller than this part of the largest one is compared in units of this part."""


def differentiated(program: Program) -> list[str]:
    """Return the variables whose gradients are compared: parameters, and inputs whose entries are free."""
    return [v.name for v in program.declared("param", "input") if v.kind == "param" or v.facts <= FREE]


def conventions(program: Program) -> list[tuple[Program, set[str]]]:
    """Return the program as declared and with its samples turned, each with the names that are stored transposed."""
    try:
        turned = conversion(program, "rows" if samples_axis(program) == "columns" else "columns")
    except ConversionError:
        return [(program, set())]  # a network of one sample
    return [(program, set()), (turn(program, turned), turned)]


def stored(value: Any, transposed: bool) -> Any:
    """Return a variable as a convention stores it."""
    if not transposed:
        return value
    return {where: member.T for where, member in value.items()} if isinstance(value, Mapping) else value.T


def plain(value: Any) -> Any:
    """Return a family with single indices as keys where it has one index."""
    if not isinstance(value, Mapping):
        return value
    return {where[0] if len(where) == 1 else where: member for where, member in value.items()}


def members(value: Any) -> Mapping[Any, Any]:
    """Return the matrices of a variable by index; a variable that is no family has one."""
    return value if isinstance(value, Mapping) else {(): value}


def difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> float:
    """Return the largest difference of two gradients, relative to the largest entry of each variable's."""
    sizes = {name: max(np.abs(m).max() for m in members(theirs[name]).values()) for name in theirs}
    largest = max(sizes.values())
    assert largest > 0, "a gradient that vanishes everywhere proves nothing"
    assert ours.keys() == theirs.keys()
    worst = 0.0
    for name, size in sizes.items():
        mine = members(ours[name])
        for where, member in members(theirs[name]).items():
            # A member that gets no gradient has no adjoint.
            found = mine.get(where, np.zeros(np.shape(member)))
            assert found.shape == np.shape(member)
            worst = max(worst, float(np.abs(found - member).max() / max(size, SMALL * largest)))
    return worst


@pytest.fixture
def worst_difference() -> Callable[[str, Gradient], float]:
    """Return ``worst(network, peer)``: how far gradients are from the peer's, at all draws, in both conventions."""

    def compare(name: str, gradient: Gradient) -> float:
        program = specified(program_of(network(name).text))
        wanted = differentiated(program)
        derived = [(derive(turned, wanted), names) for turned, names in conventions(program)]
        rng = np.random.default_rng(2026)
        worst = 0.0
        for sizes in choose_sizes(program, limit=3):
            values = draw(program, sizes, rng)
            by = {v: plain(values[v]) for v in wanted}
            rest = {v: plain(a) for v, a in values.items() if v not in wanted}
            loss, theirs = gradient(by, rest, SimpleNamespace(**sizes))
            for found, names in derived:
                given = {v: stored(a, v in names) for v, a in values.items()}
                results = evaluate(found.program, given, sizes)
                assert loss == pytest.approx(float(results[found.output][0, 0]), rel=1e-12)
                ours = {v: plain(stored(results[bar], v in names)) for v, bar in found.gradients.items()}
                worst = max(worst, difference(ours, theirs))
        return worst

    return compare


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the worst difference of each peer."""
    found: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for reports in terminalreporter.stats.values():
        for report in reports:
            # What a test recorded is in the report of its teardown, too.
            if getattr(report, "when", "") == "call":
                for peer, outcome in report.user_properties:
                    found[peer].append(tuple(outcome))
    for peer, outcomes in sorted(found.items()):
        name, worst = max(outcomes, key=lambda outcome: outcome[1])
        terminalreporter.write_line(f"{peer}: {len(outcomes)} networks, worst relative difference {worst:.1e} ({name})")
