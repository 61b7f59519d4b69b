"""The NumPy target: one module that trains, written from the passes of a derivation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from symbp.calculus.passes import Passes
from symbp.plan.entries import entries
from symbp.plan.fields import PlanError
from symbp.plan.ir import Source
from symbp.plan.passes import run
from symbp.render.cost import cost_text
from symbp.render.notes import Notes
from symbp.render.numpy.module import check_module_name, module_text
from symbp.render.numpy.scalars import GenerateError
from symbp.render.numpy.workspace import workspace_text


def write(
    passes: Passes,
    *,
    name: str = "network",
    sizes: Mapping[str, int] | None = None,
    dtype: str = "float64",
    templates: Path | None = None,
    declaration: str = "",
    workspace: bool = False,
    clip: bool = False,
) -> dict[str, str]:
    """Return the NumPy module of a derivation, as ``{file name: text}``.

    passes:      the forward and the backward pass, tangents, and the parts of the loss.
    name:        the name of the module.
    sizes:       sizes as numbers: defaults of ``init_params``, and used where no shape gives a size.
    dtype:       ``float64`` or ``float32``.
    templates:   a folder whose templates take the place of symbp's own.
    declaration: the text of the declaration; its hash stands in the header.
    workspace:   whether the arrays of a training step are made once and filled again in each step.
    clip:        whether a training step scales the gradients down to a largest norm, an argument of it.

    Raises ``GenerateError`` where a derivation cannot be written as a module.
    """
    check_module_name(name)
    written = workspace_text if workspace else module_text
    text = written(
        passes,
        sizes=sizes or {},
        dtype=dtype,
        templates=templates,
        declaration=declaration,
        clip=clip,
    )
    return {f"{name}.py": text, f"{name}_cost.txt": _cost(passes, name, dtype)}


def _cost(passes: Passes, name: str, dtype: str) -> str:
    """Return the cost report of the module: for all sizes, before the choices of a target."""
    derivation = passes.derivation
    forward = {s.equation for s in derivation.forward.sites}
    notes = Notes(derivation, passes.tangent, passes.parts.factor)

    def note(source: Source) -> str:
        known = source.equation in forward
        return notes.forward(source.equation) if known else notes.backward(source.equation)

    itemsize = 4 if dtype == "float32" else 8
    title = f"Cost of {name}.py, numbers of {itemsize} bytes"
    try:
        planned = entries(derivation)
    except PlanError as error:
        return f"{title}\n\nnot known: {error}\n"
    shared = {n: run(plan, SYMBOLIC) for n, plan in planned.plans.items()}
    return cost_text(replace(planned, plans=shared), note, title=title, itemsize=itemsize)


SYMBOLIC = ("copy propagation", "common subexpressions", "dead equations", "recompute")
"""The passes after which the cost is counted: those that need no numbers of sizes and know no target."""


__all__ = ["GenerateError", "write"]
