"""Running statistics, for the judge: what a network answers after training, and what a step makes of its states.

Neither looks at how the engine makes a network of inference: here a statistic keeps its name and is *given* by its
state, and a state is moved by the formula of its definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from symbp.program import Equation, Program, map_equations


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
