"""Running statistics, for the judge: what a network answers after training, and what a step makes of its states.

Neither looks at how the engine makes a network of inference: here a statistic keeps its name and is *given* by its
state, and a state is moved by the formula of its definition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from symbp.program import Equation, Program, map_equations
from symbp.verify.draws import draw
from symbp.verify.evaluate import evaluate
from symbp.verify.witnesses import VALUE, Finding, difference, measured


def stored(program: Program) -> Program:
    """Return the program in which the equation of each statistic says that it is the state that follows it."""
    states = {r.statistic: program.variables[r.state] for r in program.running}

    def change(equation: Equation) -> list[Equation]:
        state = states.get(equation.target.name)
        return [equation if state is None else replace(equation, value=state(*equation.target.indices))]

    return program.replace(body=map_equations(program.body, change), running=()) if states else program


def follow(program: Program, values: Mapping[str, Any], truth: Mapping[str, Any]) -> dict[str, Any]:
    """Return every state after a step: ``(1 - momentum) * state + momentum * statistic``.

    values: the states before, by name.
    truth:  the statistics, by name, as the reference evaluator gives them.
    """
    found: dict[str, Any] = {}
    for running in program.running:
        share, old, new = float(running.momentum), values[running.state], truth[running.statistic]
        if isinstance(old, Mapping):
            found[running.state] = {k: old[k] + share * (np.asarray(new[k]) - old[k]) for k in old}
        else:
            found[running.state] = old + share * (np.asarray(new) - old)
    return found


def same_values(
    trained: Program, answers: Program, rng: np.random.Generator, sizes: Sequence[Mapping[str, Any]]
) -> list[Finding]:
    """Compare the values of a network of inference with those of the network that is trained.

    Two witnesses: at any state they are the values where a statistic is given by its state (``stored``); at the state
    that holds the statistics of the samples themselves they are the values of training.
    """
    found = []
    for assignment in sizes:
        values = draw(trained, assignment, rng)
        truth = evaluate(trained, values, assignment)
        own = values | {r.state: truth[r.statistic] for r in trained.running}
        for witness, given, wanted in (
            ("stored statistics", values, evaluate(stored(trained), values, assignment)),
            ("statistics of the batch", own, truth),
        ):
            mine = evaluate(answers, given, assignment)
            names = {site.target.name for site in answers.sites}
            errors = {name: difference(mine[name], wanted[name]) for name in names}
            worst = max(errors, key=lambda name: (errors[name], name))
            found.append(measured(witness, "inference", errors[worst], VALUE, assignment, f"{worst} differs"))
    return found
