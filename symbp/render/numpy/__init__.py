"""The NumPy target: one module that trains, from a derivation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from symbp.calculus import Context, derive, differential, tidy
from symbp.calculus.derive import facts_of
from symbp.calculus.naming import definitions
from symbp.derivation import Derivation
from symbp.program import Equation, Program, map_equations
from symbp.render.numpy.laws import with_functions
from symbp.render.numpy.module import check_module_name, module_text
from symbp.render.numpy.parts import split
from symbp.render.numpy.scalars import GenerateError


def readable_differential(derivation: Derivation) -> Program:
    """Return the forward pass with the tangent of each value beside it, slopes through values, as ``jvp`` runs it."""
    forward = derivation.forward
    program, _ = differential(forward, list(derivation.gradients))
    context = Context(facts_of(forward), definitions(forward), {s.target: s.equation.value for s in forward.sites})

    def readable(equation: Equation) -> list[Equation]:
        value = tidy(equation.value, context, equation.target)
        return [replace(equation, value=value)]

    before = {site.target for site in forward.sites}
    return program.replace(
        body=map_equations(program.body, lambda e: [e] if e.target in before else readable(e))
    )


def generate(
    derivation: Derivation, *, name: str = "network", sizes: Mapping[str, int] | None = None, dtype: str = "float64",
    templates: Path | None = None, declaration: str = "", functions: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the NumPy module of a derivation, as ``{file name: text}``.

    name:        the name of the module.
    sizes:       sizes as numbers: defaults of ``init_params``, and used where no shape gives a size.
    dtype:       ``float64`` or ``float32``.
    templates:   a folder whose templates take the place of symbp's own.
    declaration: the text of the declaration; its hash stands in the header.
    functions:   what functions are that the declaration leaves unspecified, e.g. ``{"sigma": "tanh"}``.

    Raises ``GenerateError`` where a derivation cannot be written as a module.
    """
    check_module_name(name)
    if functions:
        derivation = derive(
            with_functions(derivation.source, functions), wrt=list(derivation.gradients), output=derivation.output
        )
    tangent = readable_differential(derivation)
    text = module_text(
        derivation, tangent, split(derivation), sizes=sizes or {}, dtype=dtype, templates=templates,
        declaration=declaration,
    )
    return {f"{name}.py": text}


__all__ = ["GenerateError", "generate"]
