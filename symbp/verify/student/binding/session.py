"""A session: how the functions of a file are called, as a few lines of their own language, and runs of it.

A plan says what is called with what; a case gives the values that are drawn.  Each run starts anew: arguments are
copied, objects are made again, random numbers are the same.  Assignments can be mended and statements replaced, and any
value that was drawn or assigned can be moved along a direction, from which gradients follow.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from symbp.language.diagnostics import Mistake
from symbp.verify.student.binding.halves import Half
from symbp.verify.student.language import arithmetic as ar
from symbp.verify.student.language.budgets import MOST_NODES, MOST_TOGETHER, RUN, Budget
from symbp.verify.student.language.errors import Located
from symbp.verify.student.language.interpreter import Interpreter
from symbp.verify.student.language.reading import Reading
from symbp.verify.student.language.trace import Entry, Square, Trace
from symbp.verify.student.language.values import Array, Instance, Scope, kind_of

STEP = 1e-30
"""The imaginary step of the complex step; nothing is subtracted, so it may be as small as one likes."""
DIFFERENCE = 2e-3
"""The step of the differences of order 6."""
STEPS = (DIFFERENCE, 1e-4, 1e-5)
"""Steps of the differences; where a kink is near, only a small one stays on its side."""
ORDER_6 = ((1, 45.0), (2, -9.0), (3, 1.0))
"""Weights of the differences f(x + kh) - f(x - kh), divided by 60 h."""


@dataclass(frozen=True)
class Plan:
    """How functions are called, in their own language.

    setup:    lines before anything is drawn into place: ``net = Net(5, 7, 3)``.
    forward:  the forward pass: ``A2, cache = forward(X, params)``.
    loss:     the expression that is differentiated: ``cost(A2, Y)``.
    backward: the backward pass: ``grads = backward(params, cache, X, Y)``.
    outputs:  what the backward pass gives, and of what it is the gradient: ``grads['dW1']``, ``params['W1']``.
    rate:     of a training step that gives no gradients the rate: what it takes away over the rate is the gradient.
    half:     of a forward pass that gives the gradients as well, where it ends if only the loss is wanted.
    module:   names of the file that its functions read and that hold parameters.
    """

    setup: tuple[str, ...]
    forward: tuple[str, ...]
    loss: str
    backward: tuple[str, ...]
    outputs: tuple[tuple[str, str], ...] = ()
    rate: str = ""
    half: Half | None = None
    module: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """The values of one draw.

    names:   arguments by name, as they are before the first line.
    sources: arrays that are put in place after the setup, by path: ``X``, ``params['W1']``, ``net.W1``.
    sizes:   what the sizes are called, for messages: ``{"m": 7}``.
    """

    names: Mapping[str, Any]
    sources: Mapping[str, Any]
    sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Nudge:
    """Small moves of values that were drawn, by path, or of one that was assigned (an entry)."""

    moves: Mapping[str | Entry, Array]

    @property
    def is_complex(self) -> bool:
        """Whether the run is in complex numbers."""
        return any(np.iscomplexobj(by) for by in self.moves.values())


@dataclass
class Outcome:
    """What one run gave.

    loss:     the loss.
    outputs:  what the backward pass gave, by path.
    trace:    every assignment.
    split:    how many assignments there were when the backward pass began.
    before:   the statements that ran before it.
    failure:  the error that ended the run, if one did.
    nodes:    how much it cost.
    squares:  the expressions in which shapes (m,) or (1, m), and (m, 1), made (m, m).
    phase:    how far it came: setup, forward, loss, backward, outputs, done.
    """

    loss: Any = None
    outputs: dict[str, Array] = field(default_factory=dict)
    trace: Trace = field(default_factory=Trace)
    split: int = 0
    before: tuple[ast.stmt, ...] = ()
    failure: Located | None = None
    phase: str = "setup"
    scope: dict[str, Any] = field(default_factory=dict)
    has_drawn: bool = False
    nodes: int = 0
    squares: dict[ast.expr, Square] = field(default_factory=dict)


@lru_cache(maxsize=4096)
def statement(line: str) -> ast.stmt:
    """Return one line of a plan as a statement."""
    return ast.parse(line).body[0]


@lru_cache(maxsize=4096)
def expression(text: str) -> ast.expr:
    """Return a text of a plan as an expression."""
    return ast.parse(text, mode="eval").body


class Runner(Protocol):
    """What carries out the lines of a plan: the interpreter, or CPython in a child process."""

    scope: Scope
    trace: Trace | None
    budget: Budget
    is_complex: bool
    squares: dict[ast.expr, Square]

    @property
    def has_drawn(self) -> bool:
        """Tell whether random numbers were drawn."""

    def statement(self, statement: ast.stmt) -> Any:
        """Run one statement; raises ``Located``."""

    def expression(self, node: ast.expr) -> Any:
        """Return a value; raises ``Located``."""

    def assign(self, target: ast.expr, value: Any, statement: ast.stmt) -> None:
        """Give a target its value; raises ``Located``."""


@dataclass
class Session:
    """A file, a plan, and runs of it at given values."""

    reading: Reading
    plan: Plan

    def runner(self, trace: Trace, *, is_complex: bool, edits: Mapping[ast.stmt, ast.stmt] | None) -> Runner:
        """Return what carries out one run."""
        return Interpreter(self.reading.module, is_complex=is_complex, trace=trace, edits=edits)

    def run(
        self, case: Case, *, mends: Mapping[Entry, Any] | None = None, edits: Mapping[ast.stmt, ast.stmt] | None = None,
        nudge: Nudge | None = None, keeps: bool = True, upto: str = "outputs", looks: bool = False,
        most: int = MOST_NODES, watched: ast.stmt | None = None,
    ) -> Outcome:
        """Run the plan once.

        mends: values in place of what was assigned.
        edits: statements in place of others.
        nudge: a move of one value; if it is complex the run is in complex numbers.
        keeps: whether assignments are recorded.
        looks: whether the names that each statement sees are kept.
        watched: a statement of which they are kept each time.
        upto:  ``loss`` stops before the backward pass.
        most:  nodes that the run may cost; none begins when all runs of the file have cost too many.

        Raises ``NotAnalytic`` where a complex run is not possible; other errors end the run and stand in the outcome.
        """
        is_complex = nudge is not None and nudge.is_complex
        moves = nudge.moves if nudge is not None else {}
        moved = next(((at, by) for at, by in moves.items() if isinstance(at, Entry)), None)
        trace = Trace(dict(mends or {}), keeps, moved, looks=looks, watched=watched)
        half = self.plan.half
        if upto == "loss" and half is not None:
            edits = {**(edits or {}), half.first: half.end}
        run = self.runner(trace, is_complex=is_complex, edits=edits)
        outcome = Outcome(trace=trace, scope=run.scope.names, squares=run.squares)
        run.scope.names.update({k: fresh(v, is_complex) for k, v in case.names.items()})
        run.budget.most = most
        if self.reading.spent > MOST_TOGETHER:
            said = Mistake(
                "C120", f"the code runs too long: all runs together took more than {MOST_TOGETHER:,} steps",
                "give fewer rounds, or fewer functions at once: --code FILE:NAME",
            )
            outcome.failure = Located(said, self.reading.module.body[-1])
            return outcome
        try:
            with np.errstate(all="ignore"):
                self._phases(run, case, nudge, outcome, upto)
        except Located as located:
            outcome.failure = located
            if half is not None and not half.rest.isdisjoint(located.through):
                outcome.phase = "backward"
            if run.squares and located.mistake.code in ("C116", "C117"):
                at, square = next(iter(run.squares.items()))
                located.mistake.help = located.mistake.help or f"in {self.reading.at(at)} {square}; is that meant?"
        outcome.has_drawn = run.has_drawn
        outcome.nodes = run.budget.nodes
        self.reading.spent += outcome.nodes + RUN
        return outcome

    def made(self, case: Case) -> dict[str, Any]:
        """Return what the setup of the plan makes, by name; raises ``Located``."""
        run = self.runner(Trace(keeps=False), is_complex=False, edits=None)
        run.scope.names.update(case.names)
        found: dict[str, Any] = {}
        with np.errstate(all="ignore"):
            for name in self.plan.module:
                found[name] = run.expression(expression(name))
            for line in self.plan.setup:
                written = statement(line)
                run.statement(written)
                targets = [n.id for n in ast.walk(written) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
                found |= {n: run.scope.names[n] for n in targets}
        return found

    def value(self, outcome: Outcome, text: str) -> Any:
        """Return the value of an expression in the names that a run left behind; raises ``Located``."""
        run = self.runner(Trace(keeps=False), is_complex=False, edits=None)
        run.scope.names.update(outcome.scope)
        return run.expression(expression(text))

    def _phases(self, run: Runner, case: Case, nudge: Nudge | None, outcome: Outcome, upto: str) -> None:
        trace, run.trace = run.trace, None
        for line in self.plan.setup:
            run.statement(statement(line))
        for path, value in case.sources.items():
            value = fresh(value, run.is_complex)
            if nudge is not None and path in nudge.moves:
                value = value + nudge.moves[path]
            run.assign(expression(path), value, statement("pass"))
        run.trace = trace
        outcome.phase = "forward"
        for line in self.plan.forward:
            run.statement(statement(line))
        outcome.phase = "loss"
        if self.plan.loss:
            outcome.loss = run.expression(expression(self.plan.loss))
        outcome.split = len(outcome.trace.order)
        outcome.before = tuple(outcome.trace.visits)
        if upto == "loss":
            return
        outcome.phase = "backward"
        for line in self.plan.backward:
            run.statement(statement(line))
        outcome.phase = "outputs"
        run.trace = None
        for path, of in self.plan.outputs:
            found = run.expression(expression(path))
            if not isinstance(found, (np.ndarray, np.generic, float, complex, int)):
                raise Located(Mistake("C110", f"`{path}` is no array, it is {kind_of(found)}"), expression(path))
            found = np.array(found, dtype=None if run.is_complex else float)
            if self.plan.rate:
                found = (case.sources[of] - found) / run.expression(expression(self.plan.rate))
            outcome.outputs[path] = found
        outcome.phase = "done"

    # -- gradients

    def slope(
        self, case: Case, at: str | Entry, direction: Array, *, complex_step: bool = True, step: float = DIFFERENCE,
    ) -> float:
        """Return the derivative of the loss along a direction of one value.

        Raises ``NotAnalytic`` where a complex step is not possible, and ``Located`` where the forward pass fails.
        """
        if complex_step:
            return self.slope_along(case, {at: direction})
        total = 0.0
        for k, weight in ORDER_6:
            move = k * step * direction
            total += weight * (float(self._loss(case, {at: move})) - float(self._loss(case, {at: -move})))
        return total / (60 * step)

    def slope_along(self, case: Case, directions: Mapping[str | Entry, Array]) -> float:
        """Return the derivative of the loss along one direction of several values at once, by a complex step.

        Raises ``NotAnalytic`` where a complex step is not possible, and ``Located`` where the forward pass fails.
        """
        moves = {at: 1j * STEP * direction for at, direction in directions.items()}
        return float(np.imag(self._loss(case, moves)) / STEP)

    def _loss(self, case: Case, moves: Mapping[str | Entry, Array]) -> Any:
        upto = "loss" if self.plan.backward or self.plan.half is not None else "outputs"
        outcome = self.run(case, nudge=Nudge(moves), keeps=False, upto=upto)
        if outcome.loss is None:
            said = Mistake(
                "C131", "no loss is found whose gradient this would be",
                "write a function `loss(...)`, or give it: --loss 'np.sum((A2 - Y)**2) / 2'",
            )
            raise outcome.failure or Located(said, self.reading.module.body[-1])
        return np.asarray(outcome.loss).reshape(())

    def is_analytic(self, case: Case, at: str | Entry, direction: Array) -> bool:
        """Tell whether a complex step from one value is possible."""
        try:
            self.slope(case, at, direction)
        except (ar.NotAnalytic, Located):
            return False
        return True


def fresh(value: Any, is_complex: bool) -> Any:
    """Return a deep copy of plain data, with real arrays as complex ones in a complex run."""
    if isinstance(value, np.ndarray):
        return value.astype(np.complex128) if is_complex and value.dtype.kind == "f" else value.copy()
    if isinstance(value, dict):
        return {k: fresh(v, is_complex) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(fresh(v, is_complex) for v in value)
    if isinstance(value, Instance):
        raise TypeError("objects are made by the setup of a plan")
    return copy.copy(value)
