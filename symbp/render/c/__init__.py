"""The C target: one header and one source that train, with a self-check, an example and their build files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symbp.calculus.passes import Passes
from symbp.plan.entries import Optimizer
from symbp.render.c.module import Memory, Module, check_name
from symbp.render.c.scalars import REALS, GenerateError
from symbp.render.templates import rendered


def write(
    passes: Passes, *, name: str = "network", sizes: Mapping[str, Any] | None = None, dtype: str = "float64",
    templates: Path | None = None, declaration: str = "", memory: Memory = "static", optimizer: Optimizer = "sgd",
    largest: Mapping[str, int] | None = None,
) -> dict[str, str]:
    """Return the C module of a derivation, as ``{file name: text}``.

    passes:      the forward and the backward pass.
    name:        the name of the module, at most 11 characters: every name of it begins so.
    sizes:       all sizes as numbers; a family of sizes as a mapping from index to number.
    dtype:       ``float64`` or ``float32``.
    templates:   a folder whose templates take the place of symbp's own.
    declaration: the text of the declaration; its hash stands in the header.
    memory:      ``static``: temporaries in static memory; ``block``: in a block that the caller brings.
    optimizer:   ``sgd``, ``momentum`` or ``adam``.
    largest:     sizes that are known at run time only, with their largest value.

    Raises ``GenerateError`` where a derivation cannot be written in C, or a size is missing.
    """
    if dtype not in REALS:
        raise GenerateError(f"dtype must be one of {', '.join(REALS)}, not {dtype}")
    module = Module(
        passes, name=check_name(name), sizes=sizes or {}, dtype=dtype, memory=memory, optimizer=optimizer,
        largest=largest or {}, declaration=declaration, templates=templates,
    )
    values = module.values()
    files = {f"{module.p}.h": "module.h.jinja", f"{module.p}.c": "module.c.jinja"}
    return {
        file: rendered("c", template, values, templates).rstrip("\n") + "\n" for file, template in files.items()
    }


__all__ = ["GenerateError", "write"]
