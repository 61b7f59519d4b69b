"""The NumPy target: one module that trains, written from the passes of a derivation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from symbp.calculus.passes import Passes
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
) -> dict[str, str]:
    """Return the NumPy module of a derivation, as ``{file name: text}``.

    passes:      the forward and the backward pass, tangents, and the parts of the loss.
    name:        the name of the module.
    sizes:       sizes as numbers: defaults of ``init_params``, and used where no shape gives a size.
    dtype:       ``float64`` or ``float32``.
    templates:   a folder whose templates take the place of symbp's own.
    declaration: the text of the declaration; its hash stands in the header.
    workspace:   whether the arrays of a training step are made once and filled again in each step.

    Raises ``GenerateError`` where a derivation cannot be written as a module.
    """
    check_module_name(name)
    written = workspace_text if workspace else module_text
    text = written(
        passes.derivation,
        passes.tangent,
        passes.parts,
        sizes=sizes or {},
        dtype=dtype,
        templates=templates,
        declaration=declaration,
    )
    return {f"{name}.py": text}


__all__ = ["GenerateError", "write"]
