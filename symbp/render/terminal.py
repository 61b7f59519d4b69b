"""A derivation in the terminal: the numbered equations, and every step."""

from __future__ import annotations

from collections.abc import Sequence

from symbp.derivation import Derivation
from symbp.program import Loop, Program, Statement, Var
from symbp.render.facts import defined_sizes
from symbp.render.lines import broken, pad, text_width
from symbp.render.names import Names
from symbp.render.notation import Notation, mode_text, samples_text
from symbp.render.printer import Printer, clean
from symbp.render.steps import (
    declarations, introduced, program_of, reading_words, result_notes, result_ranges, result_shape, says_something,
    shown_steps, step_line, tag,
)
from symbp.render.text import terminal

EQUATION_WIDTH = 64
STEP_WIDTH = 76


def printer_of(derivation: Derivation | None, notation: Notation | None = None) -> Printer:
    """Return the terminal printer of a derivation (None: of expressions by themselves)."""
    if derivation is None:
        return terminal(Names(None, notation))
    return terminal(Names(program_of(derivation), notation, derivation.output))


def header(derivation: Derivation, printer: Printer, title: str = "") -> str:
    """Return the first line: the file, the sample axis, the output's shape, how much was checked."""
    program = derivation.source
    output = program.variables.get(derivation.output) or derivation.program.variables[derivation.output]
    what = f"{derivation.output} {printer.shape(output(*output.indices)).replace(' ', '')}"
    left = "   ".join(part for part in (title or program.name, samples_text(program), mode_text(program), what) if part)
    right = f"shapes ok: {len(program.variables)} names, {len(program.sizes)} sizes"
    return f"{pad(left, 52)}   {right}"


def derive_summary(
    derivation: Derivation, notation: Notation | None = None, *, title: str = "",
    footer: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the numbered equations with shapes and reasons, in aligned columns.

    title:  the name of the file.
    footer: lines below, each a word and its text (``verified``, ``next``).
    """
    p = printer_of(derivation, notation)
    rows: list[tuple[str, list[str], str, str, str]] = []
    for r in derivation.results:
        name = tag(r, p.names) or str(r.number)
        lines = _equation(p, p.value(r.target), p.value(r.value), EQUATION_WIDTH)
        rows.append((f"({name})", lines, result_ranges(r, p), result_shape(r, p), p.plain(r.reason)))
    widths = [
        max((int(text_width(line)) for cells in column for line in cells), default=0)
        for column in (
            [[number] for number, *_ in rows], [row[1] for row in rows], [[row[2]] for row in rows],
            [[row[3]] for row in rows],
        )
    ]
    out = [header(derivation, p, title)]
    margin = " " * (widths[0] + 4)
    for k, equation in enumerate(defined_sizes(derivation.source, p)):
        out.append(f"  {'size' if k == 0 else '':<{widths[0]}}  {equation}")
    for site in introduced(derivation):
        lines = _equation(p, p.value(site.target), p.value(site.equation.value), EQUATION_WIDTH)
        out += [f"  {'with' if k == 0 else '':<{widths[0]}}  {line}" for k, line in enumerate(lines)]
    for r, (number, lines, ranges, shape, reason) in zip(derivation.results, rows, strict=True):
        cells = [f"  {number:>{widths[0]}}  {pad(lines[0], widths[1])}"]
        cells += [pad(ranges, widths[2])] if widths[2] else []
        cells += [pad(shape, widths[3]), reason]
        out.append("  ".join(cells).rstrip())
        out += [margin + line for line in lines[1:]]
        notes = result_notes(r, p)
        if notes:
            out.append(f"{margin}  where {', '.join(notes)}")
    if derivation.readings:
        out.append("equivalently, proved for all sizes:")
    for reading in derivation.readings:
        lines = _equation(p, p.value(reading.target), p.value(reading.value), STEP_WIDTH)
        out += [f"{margin}{line}" for line in lines]
        out.append(f"{margin}  {p.plain(reading_words(reading))}")
    out += [f"{word:<10} {text}" for word, text in footer]
    return "\n".join(out) + "\n"


def _equation(p: Printer, left: str, right: str, width: int) -> list[str]:
    """Return ``left = right`` in lines; a continued line stands below the right side, or below a long left side."""
    start = f"{left}{p.EQUALS}"
    used = text_width(start)
    indent = int(used) if used <= 16 else 6
    if used > 16 and used + text_width(right) > width:
        lines = broken(left, width)
        lines += [" " * 4 + p.EQUALS.strip() + " " + x if k == 0 else " " * indent + x.strip()
                  for k, x in enumerate(broken(right, width - indent))]
        return [x.rstrip() for x in lines]
    lines = broken(right, width - indent, first=used - indent)
    return [clean(start) + lines[0].rstrip(), *(" " * indent + x.strip() for x in lines[1:])]


def steps_text(
    derivation: Derivation, notation: Notation | None = None, *, title: str = "", detail: bool = True
) -> str:
    """Return every step with its rule, its condition and its source.

    detail: also the arithmetic that a reader would do without a word.
    """
    p = printer_of(derivation, notation)
    out = [header(derivation, p, title)]
    steps = [s for s in shown_steps(derivation, detail) if says_something(step_line(s, p))]
    number_width = len(str(len(steps)))
    margin = " " * (number_width + 4)
    for k, step in enumerate(steps, 1):
        line = step_line(step, p)
        lines = _equation(p, line.left, line.right, STEP_WIDTH)
        where = (f", in {line.place}" if line.place else "") + (f"   ({line.ranges})" if line.ranges else "")
        out.append(f"  {k:>{number_width}}  {p.plain(line.reason)}{where}")
        out += [f"{margin}    {text}" for text in lines]
        if line.condition:
            out.append(f"{margin}    because {p.plain(line.condition)}")
        if line.source:
            out.append(f"{margin}    source: {line.source}")
    return "\n".join(out) + "\n"


def stated(var: Var, fact: str) -> str:
    """Return a fact as a declaration states it."""
    return f"index[{var.size}]" if fact == "index" else fact


def program_text(program: Program, notation: Notation | None = None) -> str:
    """Return the equations of a program, loops indented, with shapes."""
    p = terminal(Names(program, notation))
    lines: list[tuple[str, str]] = []

    def block(body: tuple[Statement, ...], depth: int) -> None:
        for statement in body:
            indent = "  " * depth
            if isinstance(statement, Loop):
                first, last = (statement.hi, statement.lo) if statement.down else (statement.lo, statement.hi)
                lines.append((f"{indent}for {p.range(statement.index, first, last)}:", ""))
                block(statement.body, depth + 1)
            else:
                lines.append((indent + p(statement.target) + p.EQUALS + p(statement.value), p.shape(statement.target)))

    for d in declarations(program):
        facts = f" & {' & '.join(stated(d.var, f) for f in sorted(d.var.facts))}" if d.var.facts else ""
        ranges = "".join(f", {p.range(*r)}" for r in d.ranges)
        start = "" if d.var.start is None else f" = {d.var.start}"
        lines.append((f"{p(d.ref)}: {d.var.kind}{facts}{start}{ranges}", p.shape(d.ref)))
    block(program.body, 0)
    width = min(max((int(text_width(a)) for a, _ in lines), default=0), EQUATION_WIDTH)
    return "\n".join(f"{pad(a, width)}  {b}".rstrip() for a, b in lines) + "\n"
