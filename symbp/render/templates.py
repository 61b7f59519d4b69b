"""Where templates are: a folder of the user's, else those inside the installed package, else those of the checkout."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

import jinja2


class TemplateError(ValueError):
    """A template that is missing or that does not render; the message names its file."""


def template_roots(folder: Path | None = None) -> list[Path | Traversable]:
    """Return the folders in which templates are looked for, the first one first.

    folder: a folder that overrides single files; it may hold ``numpy/module.py.jinja`` or just ``module.py.jinja``.
    """
    roots: list[Path | Traversable] = []
    if folder is not None:
        if not os.path.isdir(folder):  # unlike the method, this says no to a name that is too long
            raise TemplateError(f"{folder} is no folder of templates")
        roots.append(folder)
    # A wheel carries them inside the package, a checkout beside it.
    for inside in (resources.files("symbp") / "_templates", Path(__file__).resolve().parents[2] / "templates"):
        if inside.is_dir():
            roots.append(inside)
            break
    return roots


def environment(target: str, folder: Path | None = None) -> jinja2.Environment:
    """Return the Jinja environment of a target's templates: strict about names, byte-stable.

    One without a folder is kept, so that a template which is filled many times is parsed once.
    """
    return _kept(target, tuple(map(str, template_roots()))) if folder is None else _made(target, folder)


@lru_cache(maxsize=16)
def _kept(target: str, roots: tuple[str, ...]) -> jinja2.Environment:
    del roots  # where templates are found is a part of the key
    return _made(target, None)


def _made(target: str, folder: Path | None) -> jinja2.Environment:
    roots = template_roots(folder)

    def load(name: str) -> str | None:
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts:
            return None
        for root in roots:
            for place in (root / target, root) if root is folder else (root / target,):
                file = place.joinpath(*parts)
                if file.is_file():
                    return file.read_text(encoding="utf-8")
        return None

    def source(name: str) -> tuple[str, str | None, Callable[[], bool]] | None:
        text = load(name)
        # A template that was changed since is parsed anew.
        return None if text is None else (text, None, lambda: load(name) == text)

    return jinja2.Environment(
        loader=jinja2.FunctionLoader(source), undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True, newline_sequence="\n",
    )


def rendered(target: str, name: str, values: dict[str, object], folder: Path | None = None) -> str:
    """Return a template of a target filled with values; raise ``TemplateError`` where it does not render."""
    try:
        return environment(target, folder).get_template(name).render(values)
    except jinja2.TemplateNotFound as error:
        raise TemplateError(f"there is no template {target}/{error.name}") from error
    except jinja2.TemplateError as error:
        line = getattr(error, "lineno", None)
        where = f", line {line}" if line else ""
        raise TemplateError(f"the template {target}/{name}{where} does not render: {error}") from error
