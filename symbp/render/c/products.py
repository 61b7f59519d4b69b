"""The products of a C module: one function for each distinct shape, from the templates of kernels."""

from __future__ import annotations

from pathlib import Path

from symbp.render.c.scalars import Real
from symbp.render.templates import rendered

SMALL = 64
"""A right factor of at most so many entries is no matter of tiles."""


class Products:
    """Collects the products and packings that a module calls, each shape once.

    prefix: what the names of the module begin with.
    """

    def __init__(self, prefix: str, real: Real, templates: Path | None = None) -> None:
        self.prefix, self.real, self.templates = prefix, real, templates
        self.texts: dict[str, str] = {}
        self.forms: dict[str, None] = {}
        self._known: dict[tuple[object, ...], str] = {}

    def product(
        self, kind: str, columns: int, depth: int | None, a_row: int, a_depth: int, b_depth: int, b_column: int,
        c_row: int, accumulate: bool,
    ) -> str:
        """Return the name of the function of a product, and have it defined."""
        form = "tiled" if kind == "direct" else kind
        if form == "tiled" and depth is not None and columns * depth <= SMALL:
            form = "small"
        values: dict[str, object] = {
            "columns": columns, "depth": depth, "a_row": a_row, "a_depth": a_depth, "b_depth": b_depth,
            "b_column": b_column, "c_row": c_row, "accumulate": accumulate, "form": form,
        }
        template = {"dot": "matmul_dot", "small": "matmul_small"}.get(form, "matmul")
        self.forms.setdefault(form)
        return self._function(template, "dots" if form == "dot" else "small" if form == "small" else "product", values)

    def pack(self, columns: int, depth: int, b_depth: int, b_column: int) -> str:
        """Return the name of the function that packs a right factor, and have it defined."""
        values: dict[str, object] = {"columns": columns, "depth": depth, "b_depth": b_depth, "b_column": b_column}
        return self._function("pack", "pack", values)

    def _function(self, template: str, word: str, values: dict[str, object]) -> str:
        key = (template, *values.items())
        if key not in self._known:
            name = f"{self.prefix}_{word}_{sum(k[0] == template for k in self._known) + 1}"
            self._known[key] = name
            own = {"name": name, "p": self.prefix, "real": self.real.name, "suffix": self.real.suffix}
            text = rendered("c", f"kernels/{template}.c.jinja", {**own, **values}, self.templates)
            self.texts[name] = text.strip("\n")
        return self._known[key]

    def prelude(self) -> str:
        """Return what the products share."""
        values: dict[str, object] = {
            "p": self.prefix, "real": self.real.name, "suffix": self.real.suffix,
            "macro": f"{self.prefix.upper()}_USE_VECTOR", "forms": list(self.forms),
        }
        return rendered("c", "kernels/prelude.c.jinja", values, self.templates).strip("\n")
