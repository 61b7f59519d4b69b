"""The gradients that a task is asked for, beside the truth: in a run of the code, and in runs with changed lines."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from symbp.verify.check.constants import TOLERANCE, Standing
from symbp.verify.student.binding.outputs import find_outputs, is_laid, leaves
from symbp.verify.student.binding.search import Bound
from symbp.verify.student.binding.session import Outcome
from symbp.verify.student.judging.truth import Point
from symbp.verify.student.language.arithmetic import NotAnalytic
from symbp.verify.student.language.errors import Located
from symbp.verify.student.language.trace import Entry
from symbp.verify.student.language.values import Array


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
        point = self.points[draw]
        values = self._given(outcome)
        try:
            standings = [point.stand(value, of) for of, value in values.items()]
        except Located:  # the budget of the file is spent
            return False
        return bool(values) and all(s is not None and s.same for s in standings)

    def are_confirmed(self, draw: int, outcome: Outcome) -> bool:
        """Tell the same at a draw more, from the slope of the loss along one direction of all values at once."""
        point, values = self.points[draw], self._given(outcome)
        rng = np.random.default_rng(draw)
        directions: dict[str | Entry, Array] = {
            of: np.asarray(rng.normal(size=point.value(of).shape)) for of in values
        }
        if not values or not all(is_laid(value.shape, point.value(of).shape) for of, value in values.items()):
            return False
        try:
            slope = point.session.slope_along(point.case, directions)
        except NotAnalytic:
            return self.are_right(draw, outcome)
        except Located:
            return False
        terms = np.concatenate([(directions[of].ravel() * value.ravel()) for of, value in values.items()])
        return abs(terms.sum() - slope) <= TOLERANCE * max(float(np.abs(terms).sum()), abs(slope))

    def _given(self, outcome: Outcome) -> dict[str, Array]:
        """Return what a run gave by that of which it is the gradient; nothing if something is missing."""
        if outcome.failure is not None:
            return {}
        found: dict[str, Array] = {
            of: np.asarray(outcome.outputs[p], dtype=float) for p, of in self.paths if p in outcome.outputs
        }
        is_whole = len(found) == len(self.paths) and all(np.isfinite(v).all() for v in found.values())
        return found if is_whole else {}

    def are_multiples(self, outcome: Outcome) -> bool:
        """Tell whether every gradient that a run at the first draw gives is a multiple of what it should be."""
        try:
            standings = self.standings(0, outcome)
        except Located:  # the budget of the file is spent
            return False
        return outcome.failure is None and all(s is not None and not s.transposed for s in standings)

    def worst(self, points: Sequence[Point]) -> float:
        """Return the largest relative difference of a gradient from the truth, along the directions looked at."""
        worst = 0.0
        for point in points:
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
        session = replace(self.bound.session, plan=replace(plan, outputs=self.paths))
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
