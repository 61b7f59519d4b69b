"""What a module with running statistics has besides: the first state, its shapes, how a training step moves it."""

from __future__ import annotations

from symbp.render.numpy import training
from symbp.render.numpy.doors import shape_lines
from symbp.render.numpy.layout import Field, Layout
from symbp.render.numpy.pieces import FunctionText, call, indented
from symbp.render.numpy.scalars import TIMES, GenerateError
from symbp.render.numpy.scope import FunctionScope, Kernels


def init_state(layout: Layout, kernels: Kernels) -> FunctionText:
    """Return ``init_state``; its arguments are the sizes of the states."""
    return training.first_values("init_state", "State", layout, kernels, layout.states)


def check_state(layout: Layout, kernels: Kernels) -> FunctionText:
    """Return ``_check_state``, which compares the shapes of a state with those of parameters and inputs."""
    known = [f for f in layout.fields if not f.target]
    scope = FunctionScope(layout, kernels, [*known, *layout.states])
    lines = [line for field in layout.states for line in shape_lines(scope, field)]
    return FunctionText(
        "_check_state(params: Params, state: State, inputs: Inputs) -> None:",
        "Raise ValueError, naming the field, unless each array of the state has the shape of what it follows.",
        indented(scope.prologue() + lines),
    )


def update_state(layout: Layout, kernels: Kernels) -> FunctionText:
    """Return ``update_state``: each state moves towards the statistic that the forward pass has left in ``cache``."""
    scope = FunctionScope(layout, kernels)
    values, document = [], []
    for running in layout.program.running:
        keep, take = scope.size(1 - running.momentum, TIMES), scope.size(running.momentum, TIMES)
        document.append(f"{running.state} becomes {keep} * {running.state} + {take} * {running.statistic}.")
        for field in layout.fields_of(running.state):
            values.append(f"{field.name}={_moved(field, keep, take, running.statistic)}")
    return FunctionText(
        "update_state(state: State, cache: Cache) -> State:",
        "Return the state after a training step; ``cache`` is what ``forward`` returned.",
        call("State", values), document,
    )


def _moved(field: Field, keep: str, take: str, statistic: str) -> str:
    old, new = field.access, f"cache.{statistic}"
    if field.depth > 1:
        raise GenerateError(f"the shape of {field.name} depends on two indices, which is not laid out")
    if field.depth:
        return f"tuple({keep} * a + {take} * b for a, b in zip({old}, {new}, strict=True))"
    return f"{keep} * {old} + {take} * {new}"
