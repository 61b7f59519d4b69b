"""How programs, derivations and steps show themselves in a notebook: typeset, as LaTeX and as MathML."""

from __future__ import annotations

from functools import singledispatch

import latex2mathml.converter

from symbp.derivation import Derivation, Result, Step
from symbp.expr import Node
from symbp.program import Equation, Loop, Program, Statement
from symbp.render.document import escape
from symbp.render.latex import Latex
from symbp.render.names import Names
from symbp.render.notation import Notation
from symbp.render.printer import clean
from symbp.render.steps import program_of, result_notes, result_ranges, step_line
from symbp.render.terminal import derive_summary, printer_of, program_text
from symbp.render.text import text


@singledispatch
def mimebundle(value: object, notation: Notation | None = None) -> dict[str, str]:
    """Return what a notebook shows of a value: ``text/plain``, ``text/latex`` and ``text/html`` (MathML).

    value:    a matrix expression, a Program, a Derivation, a Step or a Result.
    notation: how adjoints and products are written.
    Raises ``TypeError`` for anything else.
    """
    raise TypeError(f"{type(value).__name__} has no typeset form")


def bundle(plain: str, latex: str) -> dict[str, str]:
    """Return a formula as a bundle."""
    return {"text/plain": plain, "text/latex": f"$\\displaystyle {latex}$", "text/html": mathml(latex)}


def mathml(latex: str) -> str:
    """Return a formula as displayed MathML."""
    # Brackets of a fixed size are LaTeX's own; MathML stretches brackets by itself.
    for command in ("\\bigl", "\\bigr", "\\Bigl", "\\Bigr"):
        latex = latex.replace(command, "")
    converted: str = latex2mathml.converter.convert(latex.replace("\\operatorname", "\\mathrm"), display="block")
    return converted


def aligned(rows: list[str]) -> str:
    """Return formulas one below the other."""
    # A last cell that is empty makes the MathML converter lose the whole last row.
    filled = [row.rstrip().removesuffix("&").rstrip().removesuffix("&") for row in rows]
    return "\\begin{array}{lll} " + " \\\\ ".join(filled) + " \\end{array}"


@mimebundle.register
def _(value: Node, notation: Notation | None = None) -> dict[str, str]:
    return bundle(text(value), Latex(Names(None, notation))(value))


@mimebundle.register
def _(value: Program, notation: Notation | None = None) -> dict[str, str]:
    p = Latex(Names(value, notation))
    rows: list[str] = []

    def block(body: tuple[Statement, ...], ranges: tuple[str, ...]) -> None:
        for statement in body:
            if isinstance(statement, Loop):
                ends = (statement.hi, statement.lo) if statement.down else (statement.lo, statement.hi)
                block(statement.body, (*ranges, p.range(statement.index, *ends)))
            else:
                rows.append(_row(p, statement, ", ".join(ranges)))

    block(value.body, ())
    return bundle(program_text(value, notation), aligned(rows))


def _row(p: Latex, statement: Equation, ranges: str) -> str:
    return f"{clean(p.equation(statement.target, statement.value))} & {p.shape(statement.target)} & {ranges}"


@mimebundle.register
def _(value: Derivation, notation: Notation | None = None) -> dict[str, str]:
    p = Latex(Names(program_of(value), notation, value.output))
    return bundle(derive_summary(value, notation), aligned([_result(p, r) for r in value.results]))


def _result(p: Latex, r: Result) -> str:
    more = ",\\; ".join([x for x in [result_ranges(r, p)] if x] + result_notes(r, p))
    return f"{clean(p.equation(r.target, r.value))} & {p.shape(r.target)} & {more}"


@mimebundle.register
def _(value: Result, notation: Notation | None = None) -> dict[str, str]:
    p, plain = Latex(Names(None, notation)), printer_of(None, notation)
    return bundle(clean(plain.equation(value.target, value.value)), _result(p, value).replace("&", "\\quad"))


@mimebundle.register
def _(value: Step, notation: Notation | None = None) -> dict[str, str]:
    plain, typeset = (step_line(value, p) for p in (printer_of(None, notation), Latex(Names(None, notation))))
    return bundle(
        f"{clean(plain.left)} = {clean(plain.right)}    ({plain.reason})",
        f"{clean(typeset.left)} = {clean(typeset.right)} \\qquad \\text{{({escape(typeset.reason)})}}",
    )
