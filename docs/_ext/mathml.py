"""A renderer of mathematics for Sphinx that writes MathML: pages need no script and no network."""

from __future__ import annotations

import re
from typing import Any

import latex2mathml.converter
from docutils import nodes


def _mathml(latex: str, display: str) -> str:
    for command in ("\\bigl", "\\bigr", "\\Bigl", "\\Bigr"):
        latex = latex.replace(command, "")
    latex = latex.replace("\\operatorname", "\\mathrm").replace("{aligned}[t]", "{aligned}")
    # The number of an equation stands behind it: MathML has no place for it at the margin.
    latex = re.sub(r"\\tag\{([^}]*)\}", r"\\qquad\\text{(\1)}", latex)
    return str(latex2mathml.converter.convert(latex, display=display))


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(_mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math">{_mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"version": "1", "parallel_read_safe": True}
