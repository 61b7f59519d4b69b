"""A derivation as a LaTeX document: declaration, forward pass, rules, every step, a frame with the results.

The template frames the page; every formula and every line break comes from here.  Whatever was written by a user (the
declaration, file names) is escaped letter by letter before it reaches LaTeX.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from symbp.derivation import Derivation, Step
from symbp.program import Loop, Program, Statement
from symbp.render.facts import defined_sizes, in_words
from symbp.render.latex import Latex
from symbp.render.lines import broken, latex_width
from symbp.render.names import Names
from symbp.render.notation import ADJOINT_LEGEND, Notation, counted, mode_text, sample_axis
from symbp.render.printer import clean
from symbp.render.rules import identity_rows, kinks, rule_rows
from symbp.render.sources import cited
from symbp.render.steps import (
    Line, declarations, program_of, reading_words, result_notes, result_ranges, result_shape, says_something,
    shown_steps, step_line, tag, tangent,
)
from symbp.render.templates import environment
from symbp.render.terminal import program_text

MM = 2.845 / 10.0
"""Millimetres in em of the 10pt document."""

FORWARD, STEP, RESULT, OPERATION, RULE, IDENTITY, SHAPE = 106.0, 106.0, 90.0, 38.0, 74.0, 74.0, 24.0
VARIABLE, DECLARED_SHAPE = 36.0, 56.0
"""Widths of the columns of formulas, in millimetres."""

LISTING_WIDTH = 92

_SPECIAL = {
    "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "$": "\\$", "&": "\\&", "#": "\\#", "_": "\\_", "%": "\\%",
    "^": "\\textasciicircum{}", "~": "\\textasciitilde{}", "<": "\\textless{}", ">": "\\textgreater{}",
    "|": "\\textbar{}", '"': "\\textquotedbl{}", "→": "$\\to$", "×": "$\\times$", "⊙": "$\\odot$", "·": "$\\cdot$",
    "≥": "$\\ge$", "≤": "$\\le$", "≠": "$\\ne$", "ᵀ": "$^\\top$", "–": "--", "—": "---", "’": "'", "−": "$-$",
}  # fmt: skip


def escape(text: str) -> str:
    """Return a text as LaTeX prints it; a character without a form there loses its accents or becomes a ``?``."""
    out = []
    for c in text:
        if c in _SPECIAL:
            out.append(_SPECIAL[c])
        elif " " <= c <= "~":
            out.append(c)
        else:
            plain = unicodedata.normalize("NFKD", c).encode("ascii", "ignore").decode()
            shown = "".join(_SPECIAL.get(x, x) for x in plain if " " <= x <= "~")
            out.append(shown or ("?" if c.isprintable() else " "))
    return "".join(out)


def listing(text: str) -> list[str]:
    """Return the lines of a declaration, escaped, with their blanks, long ones folded."""
    out = []
    for line in text.rstrip().expandtabs(4).splitlines():
        indent = line[: len(line) - len(line.lstrip())][:24]
        folded = textwrap.wrap(
            line, LISTING_WIDTH, subsequent_indent=indent + "    ", drop_whitespace=True, replace_whitespace=False,
            break_on_hyphens=False,
        )
        # An empty group keeps two hyphens from becoming a dash.
        out += [escape(piece).replace("-", "-{}").replace(" ", "\\ ") or "\\ " for piece in folded or [""]]
    return out


@dataclass(frozen=True)
class Row:
    """A row of a table: a number, a formula, words beside it, a shape or a second formula, a title."""

    number: str
    formula: str
    words: str = ""
    shape: str = ""
    title: str = ""


def formula(text: str, column: float, more: Sequence[str] = ()) -> str:
    """Return a marked formula as one cell: broken below its relation where it is too long, further lines below.

    column: the width of the column in millimetres.
    more:   sentences that stand below the formula.
    """
    limit = column * MM - 0.8
    left, relation, right = text.partition(" = ")
    used = latex_width(left) + 1.4
    if not relation:
        cells = [f"& {x}" for x in broken(text, limit, latex_width)]
    elif used > 0.5 * limit and used + latex_width(right) > limit:
        cells = _lines(left, right, limit)
    else:
        pieces = broken(right, limit - used, latex_width)
        if len(pieces) > 1:
            pieces = broken(right, limit - used - 1.0, latex_width)
        cells = [f"{clean(left)} &= {pieces[0]}", *(f"&\\quad {p}" for p in pieces[1:])]
    cells = [spaced(c) for c in cells]
    widest = max(sum(latex_width(part) for part in c.split("&", 1)) for c in cells)
    if len(cells) == 1:
        shown = "\\displaystyle " + cells[0].replace("&", "", 1)
    else:
        shown = "\\begin{aligned}[t] " + " \\\\ ".join(c.strip() for c in cells) + " \\end{aligned}"
    cell = fitted(shown, widest, limit + 0.8)
    return "\\newline ".join([cell, *(f"{{\\small {line}}}" for line in more)])


def fitted(shown: str, width: float, limit: float) -> str:
    """Return a formula as a cell; what is too wide and cannot be broken is made smaller, so that nothing sticks out."""
    return f"$ {shown} $" if width <= limit else f"\\resizebox{{\\linewidth}}{{!}}{{$ {shown} $}}"


def spaced(cell: str) -> str:
    """Return a line of a formula with room above and below what is taller than a line."""
    room = "\\sumspace" if "\\sum_" in cell else "\\fracspace" if "\\frac" in cell else ""
    return f"{cell} {room}" if room else cell


def shape_cell(shape: str) -> str:
    """Return a shape as one cell, in two lines where it is long."""
    if latex_width(shape) <= SHAPE * MM - 0.3:
        return f"$ {shape} $"
    rows, _, cols = shape.partition(" \\times ")
    both = f"\\begin{{aligned}}[t] & {rows} \\\\ & \\times {cols} \\end{{aligned}}"
    return fitted(both, max(latex_width(rows), latex_width(cols) + 0.9), SHAPE * MM - 0.3)


def _lines(left: str, right: str, limit: float) -> list[str]:
    """A long left side stands on lines of its own, the right side below it."""
    above = [f"& {x}" for x in broken(left, limit, latex_width)]
    below = broken(right, limit - 3.4, latex_width)
    return [*above, f"&\\quad = {below[0]}", *(f"&\\qquad {x}" for x in below[1:])]


class Ranges:
    """Where the ranges of equations stand: below each, or once above those that follow each other in the same ones."""

    def __init__(self, together: bool) -> None:
        self.together, self.last = together, ""

    def title(self, ranges: str) -> str:
        """Return the line above an equation; empty if there is none."""
        before, self.last = self.last, ranges
        if not self.together or ranges == before:
            return ""
        return f"for ${ranges}$:" if ranges else "without an index:"

    def below(self, ranges: str) -> list[str]:
        """Return the lines below an equation."""
        return [f"for ${ranges}$"] if ranges and not self.together else []


def forward_rows(program: Program, p: Latex, together: bool = False) -> list[Row]:
    """Return the equations of the forward pass with shapes, numbered F1, F2, ..."""
    rows: list[Row] = []
    ranges = Ranges(together)

    def block(body: Sequence[Statement], around: tuple[Loop, ...]) -> None:
        for statement in body:
            if isinstance(statement, Loop):
                block(statement.body, (*around, statement))
                continue
            ends = [(lp.index, *((lp.hi, lp.lo) if lp.down else (lp.lo, lp.hi))) for lp in around]
            where = ", ".join(p.range(*e) for e in ends)
            text = p.equation(statement.target, statement.value)
            note = {"argument named": "named", "result named": "named"}.get(statement.note, "")
            shape = shape_cell(p.shape(statement.target))
            title = ranges.title(where)
            rows.append(Row(f"F{len(rows) + 1}", formula(text, FORWARD, ranges.below(where)), note, shape, title))

    block(program.body, ())
    return rows


class Bibliography:
    """The sources of a document, numbered in the order in which they are cited."""

    def __init__(self) -> None:
        self.entries: dict[str, int] = {}

    def __call__(self, source: str) -> str:
        """Return a citation such as ``[1, 2]``; empty for an empty source."""
        numbers = [self.entries.setdefault(s, len(self.entries) + 1) for s in cited(source)]
        return f"[{',~'.join(map(str, numbers))}]" if numbers else ""

    @property
    def rows(self) -> list[Row]:
        """The list of sources."""
        return [Row(str(n), escape(s)) for s, n in self.entries.items()]


def _words(line: Line, cite: Bibliography) -> str:
    """Return what stands beside a step: the reason, the place, the condition, the source."""
    parts = escape(line.reason) + (f" in ${line.place}$" if line.place else "")
    if line.condition:
        parts += f", because {escape(line.condition)}"
    if line.ranges:
        parts += f" (${line.ranges}$)"
    citation = cite(line.source)
    return f"{parts} {citation}" if citation else parts


GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Forms recognised and names given", ("recognise", "name")),
    ("Differentials, and what they send back", ("differential", "transpose")),
    ("Adjoints: the sums of what arrives", ("collect",)),
    ("Simplification, one identity at a time", ("rewrite",)),
)
"""The order in which the steps are told."""

EXPLAINED = {
    "Differentials, and what they send back":
        "Each equation is differentiated; in the inner product with the adjoint of its left side the factors are moved "
        "until each differential stands alone.  What stands opposite is the message to the variable.",
    "Adjoints: the sums of what arrives":
        "A variable that is read several times collects one message from each read.",
}


def step_groups(derivation: Derivation, p: Latex, detail: bool, cite: Bibliography) -> list[tuple[str, str, list[Row]]]:
    """Return the steps as groups (title, explanation, rows), numbered S1, S2, ... through all groups."""
    groups = []
    number = 0
    steps: list[tuple[Step, Line]] = [(s, step_line(s, p)) for s in shown_steps(derivation, detail)]
    steps = [(s, line) for s, line in steps if says_something(line)]
    for title, kinds in GROUPS:
        rows = []
        for step, line in steps:
            if step.kind in kinds:
                number += 1
                text = f"{line.left} = {line.right}"
                rows.append(Row(f"S{number}", formula(text, STEP), _words(line, cite)))
        if rows:
            groups.append((title, EXPLAINED.get(title, ""), rows))
    return groups


def result_rows(derivation: Derivation, p: Latex, together: bool = False) -> list[Row]:
    """Return the final equations with numbers, shapes and reasons."""
    rows = []
    ranges = Ranges(together)
    for r in derivation.results:
        where = result_ranges(r, p)
        more = ranges.below(where) + [f"where ${note}$" for note in result_notes(r, p)]
        text = p.equation(r.target, r.value)
        number, shape = tag(r, p.names) or str(r.number), shape_cell(result_shape(r, p))
        rows.append(Row(number, formula(text, RESULT, more), escape(r.reason), shape, ranges.title(where)))
    return rows


def conventions(derivation: Derivation, p: Latex) -> list[str]:
    """Return the conventions of the page, as sentences in LaTeX."""
    program = derivation.source
    axis = sample_axis(program)
    loss = p.names.result.latex()
    out = []
    if axis and program.samples is not None:
        there = f"there are ${p.size(program.samples)}$"
        one = counted(program) == "samples"
        out.append(f"Samples are {axis}: {there} of them." if one else f"Positions are {axis}; {there} samples.")
    if mode_text(program):
        out.append("Running statistics stand for those of the samples, as after training.")
    example = next(iter(derivation.gradients), None)
    if example is not None:
        var = program.variables[example]
        W = var(*var.indices)
        shown, bar = p(W), p(derivation.program.variables[derivation.gradients[example]](*var.indices))
        out.append(
            f"The adjoint ${bar}$ of ${shown}$ has the shape of ${shown}$ and is defined by "
            f"$\\mathrm{{d}}{loss} = \\langle {bar}, {p(tangent(W))} \\rangle$; "
            f"{escape(ADJOINT_LEGEND[p.names.notation.adjoints])}."
        )
    out.append(
        "Inner product: $\\langle A, B \\rangle = \\operatorname{tr}(A^{\\top} B) = \\sum_{ij} A_{ij} B_{ij}$.  "
        "$\\odot$ and $\\oslash$ are the entrywise product and quotient, $A^{\\odot p}$ is the entrywise power, "
        "$\\mathbf{1}$ is a column of ones; a number in a sum of matrices stands for a matrix of that number."
    )
    for running in program.running:
        state, statistic = (program.variables[name] for name in (running.state, running.statistic))
        out.append(
            f"The running statistic ${p(state(*state.indices))}$ follows ${p(statistic(*statistic.indices))}$ with "
            f"weight ${p.size(running.momentum)}$ in each step of training, and takes its place in inference."
        )
    defined = defined_sizes(program, p)
    if defined:
        out.append(f"Sizes: ${', '.join(defined)}$.")
    for name, words in kinks(derivation):
        out.append(f"\\texttt{{{escape(name)}}}: {escape(words)}.")
    for var in program.variables.values():
        if var.facts:
            shown = ", ".join(sorted(in_words(var, f) for f in var.facts))
            out.append(f"Assumed of ${clean(p.value(var(*var.indices)))}$: {escape(shown)}.")
    return out


KINDS = {
    "input": "input", "target": "target", "param": "parameter", "const": "constant", "state": "running statistic",
}


def declared_rows(program: Program, p: Latex) -> list[Row]:
    """Return the declared variables with kinds and shapes."""
    rows = []
    for d in declarations(program):
        facts = "" if not d.var.facts else ": " + ", ".join(sorted(in_words(d.var, f) for f in d.var.facts))
        start = "" if d.var.start is None else f", starts at {d.var.start}"
        words = escape(KINDS[d.var.kind] + facts + start) + "".join(f", ${p.range(*r)}$" for r in d.ranges)
        shown, shape = p(d.ref), p.shape(d.ref)
        rows.append(Row(
            "", fitted(shown, latex_width(shown), VARIABLE * MM - 0.5), words,
            fitted(shape, latex_width(shape), DECLARED_SHAPE * MM - 0.5),
        ))
    return rows


def latex_document(
    derivation: Derivation, notation: Notation | None = None, *, text: str = "", title: str = "", steps: bool = True,
    detail: bool = False, templates: Path | None = None,
) -> str:
    """Return a complete LaTeX document.

    text:      the declaration as it was written; without it the program is listed.
    title:     what is derived, e.g. the file name.
    steps:     every step with its reason, not only the rules and the result; without them equations that follow each
               other in the same ranges stand together, so that the result of a large network fits on few pages.
    detail:    also the steps that a reader would do without a word (unit factors, double transposes).
    templates: a folder whose ``derivation.tex.j2`` replaces the built-in one.
    """
    chosen = notation or Notation()
    p = Latex(Names(program_of(derivation), chosen, derivation.output))
    name = title or derivation.source.name
    variables = derivation.program.variables
    bars = [variables[n] for n in derivation.gradients.values() if n in variables]
    numbers = {r.target.name: tag(r, p.names) or str(r.number) for r in reversed(derivation.results)}
    cite = Bibliography()
    rules = [
        Row(
            "", formula(r.forward, OPERATION), cite(r.source), stack([formula(x, RULE) for x in r.says]),
            escape(r.words),
        )
        for r in rule_rows(derivation, Latex, chosen)
    ]
    identities = [
        Row(str(r.uses), formula(r.example, IDENTITY), escape(r.condition), cite(r.source), escape(r.name))
        for r in identity_rows(derivation, p, detail)
    ]
    values = {
        "title": escape(name),
        "width": {
            "forward": FORWARD, "step": STEP, "result": RESULT, "operation": OPERATION, "rule": RULE,
            "identity": IDENTITY, "shape": SHAPE, "variable": VARIABLE, "declared": DECLARED_SHAPE,
        },
        "loss": p.names.result.latex(),
        "conventions": conventions(derivation, p),
        "listing": listing(text or program_text(derivation.source, Notation(charset="ascii"))),
        "declared": declared_rows(derivation.source, p),
        "forward": forward_rows(derivation.forward, p, together=not steps),
        "rules": rules,
        "identities": identities,
        "groups": step_groups(derivation, p, detail, cite) if steps else [],
        "detail": detail,
        "brief": not steps,
        "sources": cite,
        "results": result_rows(derivation, p, together=not steps),
        "readings": [
            Row("", formula(p.equation(r.target, r.value), RESULT), escape(reading_words(r)),
                shape_cell(p.shape(r.target)))
            for r in derivation.readings
        ],
        "gradients": [(p(bar(*bar.indices)), numbers.get(bar.name)) for bar in bars],
    }
    frame = environment("latex", templates).overlay(
        block_start_string="<%", block_end_string="%>", variable_start_string="<<", variable_end_string=">>",
        comment_start_string="<#", comment_end_string="#>",
    )
    return frame.get_template("derivation.tex.j2").render(values)


def stack(cells: list[str]) -> str:
    """Return several formulas as one cell, one below the other."""
    return " \\newline ".join(cells)
