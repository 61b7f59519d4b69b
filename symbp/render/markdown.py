"""A derivation as Markdown, with formulas between dollar signs."""

from __future__ import annotations

import re

from symbp.derivation import Derivation
from symbp.program import Loop
from symbp.render.document import GROUPS
from symbp.render.facts import defined_sizes
from symbp.render.latex import Latex
from symbp.render.lines import broken, latex_width
from symbp.render.names import Names
from symbp.render.notation import Notation, samples_text
from symbp.render.printer import clean
from symbp.render.sources import cited
from symbp.render.steps import (
    program_of, reading_words, result_notes, result_ranges, result_shape, says_something, shown_steps, step_line, tag,
)
from symbp.render.terminal import program_text

WIDTH = 52.0
"""Width of a displayed formula in em."""

_ESCAPED = re.compile(r"([\\`*_{}\[\]<>#|~])")


def words(text: str) -> str:
    """Return words with the signs of Markdown escaped."""
    return _ESCAPED.sub(r"\\\1", text)


def display(left: str, right: str, more: list[str], tag_text: str = "") -> str:
    """Return a displayed formula, in several lines where it is long; ``more`` stands behind it or on lines below."""
    after = "".join(f" \\qquad {m}" for m in more)
    label = f" \\tag{{{tag_text}}}" if tag_text else ""
    used = latex_width(left) + 1.4
    if used + latex_width(right) + latex_width(after) <= WIDTH:
        return f"$$\n{clean(left)} = {clean(right)}{after}{label}\n$$"
    lines = broken(right, WIDTH - 3.0, latex_width, first=used)
    body = [f"{clean(left)} &= {lines[0]}", *(f"&\\quad {x}" for x in lines[1:]), *(f"&\\qquad {m}" for m in more)]
    inside = " \\\\\n".join(body)
    return f"$$\n\\begin{{aligned}}\n{inside}\n\\end{{aligned}}{label}\n$$"


def markdown(
    derivation: Derivation, notation: Notation | None = None, *, text: str = "", title: str = "", steps: bool = True,
    detail: bool = False,
) -> str:
    """Return a derivation as Markdown: declaration, forward pass, results, and the steps.

    The arguments are those of ``latex_document``.
    """
    p = Latex(Names(program_of(derivation), notation, derivation.output))
    out = [f"# Backpropagation in matrix form: {words(title or derivation.source.name)}"]
    axis = samples_text(derivation.source)
    if axis:
        out.append(f"{axis[0].upper()}{axis[1:]}.")
    defined = defined_sizes(derivation.source, p)
    if defined:
        out.append(f"Sizes: ${', '.join(defined)}$.")
    out.append("## Declaration")
    listing = (text or program_text(derivation.source, Notation(charset="ascii"))).rstrip()
    fence = "```" if "```" not in listing else "~" * 3 + "~" * max(map(len, re.findall("~+", listing)), default=0)
    out.append(f"{fence}\n{listing}\n{fence}")
    out.append("## Forward pass")
    for site in derivation.forward.sites:
        ranges = _ranges(site.loops, p)
        shape = f"({p.shape(site.target)})"
        value = p.cases(site.equation.value) or p.value(site.equation.value)
        out.append(display(p.value(site.target), value, [*ranges, shape]))
    out.append("## Result")
    for r in derivation.results:
        ranges = [p.words("for") + x for x in [result_ranges(r, p)] if x]
        notes = [p.words("where") + note for note in result_notes(r, p)]
        value = p.cases(r.value) or p.value(r.value)
        out.append(display(p.value(r.target), value, [*ranges, *notes], tag(r, p.names) or str(r.number)))
        shape = result_shape(r, p)
        out.append(f"{words(r.reason)}; ${shape}$" if r.reason else f"${shape}$")
    if derivation.readings:
        out.append("Equivalently, proved for all sizes:")
    for reading in derivation.readings:
        out.append(display(p.value(reading.target), p.value(reading.value), []))
        out.append(words(reading_words(reading)))
    if steps:
        out.append("## Step by step")
        lines = [(s, step_line(s, p)) for s in shown_steps(derivation, detail)]
        for name, kinds in GROUPS:
            mine = [(s, line) for s, line in lines if s.kind in kinds and says_something(line)]
            if not mine:
                continue
            out.append(f"### {name}")
            for _, line in mine:
                said = words(line.reason) + (f" in ${line.place}$" if line.place else "")
                said += f", because {words(line.condition)}" if line.condition else ""
                said += f" (${line.ranges}$)" if line.ranges else ""
                sources = "; ".join(cited(line.source))
                said += f" [{words(sources)}]" if sources else ""
                out.append(f"- {said}\n\n" + display(line.left, line.right, []))
    return "\n\n".join(out) + "\n"


def _ranges(loops: tuple[Loop, ...], p: Latex) -> list[str]:
    ends = [(lp.index, *((lp.hi, lp.lo) if lp.down else (lp.lo, lp.hi))) for lp in loops]
    return [p.words("for") + ", ".join(p.range(*e) for e in ends)] if ends else []
