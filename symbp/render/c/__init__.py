"""The C target: one header and one source that train, with a self-check, an example and their build files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from symbp.calculus.passes import Passes
from symbp.plan.entries import Optimizer
from symbp.render.c.example import example
from symbp.render.c.module import Memory, Module, check_name
from symbp.render.c.scalars import REALS, GenerateError
from symbp.render.c.selfcheck import Reference, selfcheck
from symbp.render.c.summary import summary
from symbp.render.files import Files
from symbp.render.sizes import Given, fixed_sizes
from symbp.render.cost import cost_text
from symbp.render.templates import rendered

MOST_BYTES = 2**31 - 1
"""The largest module: compilers for small machines count no further."""


def write(
    passes: Passes, *, name: str = "network", sizes: Given | None = None, dtype: str = "float64",
    templates: Path | None = None, declaration: str = "", memory: Memory = "static", optimizer: Optimizer = "sgd",
    clip: bool = False, largest: Mapping[str, int] | None = None,
    reference: Callable[[Module], Reference] | None = None,
) -> Files:
    """Return the C module of a derivation, as ``{file name: text}`` with a summary of what it takes.

    passes:      the forward and the backward pass.
    name:        the name of the module, at most 11 characters: every name of it begins so.
    sizes:       all sizes as numbers; a family of sizes as a list from index 0 on, or as a mapping from index to
                 number.
    dtype:       ``float64`` or ``float32``.
    templates:   a folder whose templates take the place of symbp's own.
    declaration: the text of the declaration; its hash stands in the header.
    memory:      ``static``: temporaries in static memory; ``block``: in a block that the caller brings.
    optimizer:   ``sgd``, ``momentum`` or ``adam``.
    clip:        whether a training step scales the gradients down to a largest norm, an argument of it.
    largest:     sizes that are known at run time only, with their largest value.
    reference:   what computes the numbers of the self-check; without it there is none.

    Raises ``GenerateError`` where a derivation cannot be written in C, ``SizeError`` for sizes that do not fit it.
    """
    module = planned(
        passes, name=name, sizes=sizes, dtype=dtype, templates=templates, declaration=declaration, memory=memory,
        optimizer=optimizer, clip=clip, largest=largest,
    )
    return files(module, reference)


def planned(
    passes: Passes, *, name: str = "network", sizes: Given | None = None, dtype: str = "float64",
    templates: Path | None = None, declaration: str = "", memory: Memory = "static", optimizer: Optimizer = "sgd",
    clip: bool = False, largest: Mapping[str, int] | None = None,
) -> Module:
    """Return the C module of a derivation before it is written; the arguments are those of ``write``."""
    if dtype not in REALS:
        raise GenerateError(f"dtype must be one of {', '.join(REALS)}, not {dtype}")
    name = check_name(name)
    known = fixed_sizes(passes.derivation.source, sizes or {}, largest or {})
    return Module(
        passes, name=name, sizes=known, dtype=dtype, memory=memory, optimizer=optimizer, clip=clip,
        largest=largest or {}, declaration=declaration, templates=templates,
    )


def files(module: Module, reference: Callable[[Module], Reference] | None = None) -> Files:
    """Return the files of a module; ``reference`` computes the numbers of its self-check."""
    needs = module.figures()
    held = ("parameter", "gradient", "optimizer", "state", "input", "cache", "scratch")
    bytes_in_all = sum(needs[f"{name}_bytes"] for name in held)
    if bytes_in_all > MOST_BYTES:
        raise GenerateError(
            f"at these sizes the module takes {bytes_in_all:,} bytes, and {MOST_BYTES:,} is the most: "
            "give smaller sizes"
        )
    values = module.values()
    names = {f"{module.p}.h": "module.h.jinja", f"{module.p}.c": "module.c.jinja"}
    values |= {"tested": reference is not None}
    if reference is not None:
        names[f"{module.p}_test.c"] = "selfcheck.c.jinja"
        values |= selfcheck(module, reference(module))
    if module.trained:
        names[f"{module.p}_example.c"] = "example.c.jinja"
        values |= example(module)
    names |= {"CMakeLists.txt": "CMakeLists.txt.jinja", f"{module.p}.pc": "module.pc.jinja"}
    texts = {
        file: rendered("c", template, values, module.templates).rstrip("\n") + "\n" for file, template in names.items()
    }
    size = 4 if module.real.suffix else 8
    texts[f"{module.p}_cost.txt"] = cost_text(
        module.entries, module.note("train_step"), title=f"Cost of {module.p}.c, numbers of {size} bytes", itemsize=size
    )
    return Files(texts, summary(needs, texts[f"{module.p}.c"]))


__all__ = ["GenerateError", "Module", "files", "planned", "write"]
