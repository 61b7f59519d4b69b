"""Rendering: a finished Program or Derivation as text, LaTeX, Markdown, JSON or code.  Nothing is computed here.

Importing this package gives matrix expressions their readable ``str`` and their LaTeX.
"""

from __future__ import annotations

from typing import Any

from symbp.expr import Displayed, Node
from symbp.render.latex import latex
from symbp.render.names import Names
from symbp.render.notation import Notation, sample_axis, samples_text
from symbp.render.text import text


def _show(value: Any) -> dict[str, str]:
    # Typeset display loads the MathML converter: only when a notebook asks.
    from symbp.render.notebook import mimebundle

    return mimebundle(value)


Displayed.show = staticmethod(_show)
Node.text_printer = staticmethod(text)
Node.latex_printer = staticmethod(latex)

__all__ = ["Names", "Notation", "latex", "sample_axis", "samples_text", "text"]
