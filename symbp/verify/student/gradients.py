"""The gradients that a task is asked for, beside the truth: in a run of the code, and in runs with changed lines."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from symbp.verify.check.constants import Standing
from symbp.verify.student.binding import Bound
from symbp.verify.student.outputs import find_outputs, leaves
from symbp.verify.student.session import Outcome, Session
from symbp.verify.student.truth import Point
from symbp.verify.student.values import Array


class Gradients:
    """What the backward pass of a task is to give, and whether a run gives it.

    points: the draws.
    paths:  each array that is given, and that of which it is the gradient.
    """

    def __init__(self, bound: Bound, points: Sequence[Point]) -> None:
        self.bound, self.points = bound, list(points)
        self.paths = bound.session.plan.outputs

    def standings(self, draw: int, outcome: Outcome) -> list[Standing | None]:
        """Return how each gradient that a run gives stands to the truth."""
        point, given = self.points[draw], outcome.outputs
        return [
            point.stand(np.asarray(given[path], dtype=float), of) if path in given else None for path, of in self.paths
        ]

    def are_right(self, draw: int, outcome: Outcome) -> bool:
        """Tell whether a run gives every gradient as it should be."""
        if outcome.failure is not None or not self.paths:
            return False
        point = self.points[draw]
        for path, of in self.paths:
            value = outcome.outputs.get(path)
            if value is None or not np.isfinite(value).all():
                return False
            standing = point.stand(np.asarray(value, dtype=float), of)
            if standing is None or not standing.same:
                return False
        return True

    def are_multiples(self, outcome: Outcome) -> bool:
        """Tell whether every gradient that a run at the first draw gives is a multiple of what it should be."""
        return outcome.failure is None and all(
            s is not None and not s.transposed for s in self.standings(0, outcome))

    def worst(self) -> float:
        """Return the largest relative difference of a gradient from the truth, along the directions looked at."""
        worst = 0.0
        for point in self.points:
            for path, of in self.paths:
                value = point.ran.outputs.get(path)
                directions, wanted = point.slopes(of)
                if value is not None and value.shape == directions.shape[1:]:
                    mine = (directions * value).reshape(len(wanted), -1).sum(axis=1)
                    worst = max(worst, float(np.abs(mine - wanted).max() / max(np.abs(wanted).max(), 1e-300)))
        return worst

    def find(self, outcome: Outcome) -> None:
        """Find the gradients in a run that did not break off as the code itself did."""
        if outcome.failure is not None:
            return
        plan = self.bound.session.plan
        names = [n.id for text in plan.backward or plan.forward for n in ast.walk(ast.parse(text))
                 if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        receiver = "net" if self.bound.task.owner is not None else ""
        self.paths = tuple(find_outputs(outcome, self.points[0].case, names, receiver))
        session = Session(self.bound.session.reading, replace(plan, outputs=self.paths))
        for point in self.points:
            point.session = session
        for path, _ in self.paths:
            outcome.outputs[path] = _leaf(outcome, path)


def _leaf(outcome: Outcome, path: str) -> Array:
    for name, value in outcome.scope.items():
        for here, array in leaves(name, value):
            if here == path:
                return array
    raise KeyError(path)
