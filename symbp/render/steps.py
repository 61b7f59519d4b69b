"""What a step of a derivation says: two sides of an equation and a reason, the same in every output."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from symbp.derivation import Derivation, Reading, Result, Step
from symbp.expr import Add, Box, Hadamard, Kron, Map, MatMul, Node, Ref, Scale, SMul, SumOver, refs, scaled, walk
from symbp.ops import RULES
from symbp.program import Loop, Program, Site, Var
from symbp.render.names import Names
from symbp.render.printer import Printer, clean
from symbp.render.sources import cited


@dataclass(frozen=True)
class Line:
    """A printed step: ``left = right`` (with marks of line breaks), the reason, what it rests on, where it happened.

    place: for an identity, the variable in whose equation it was used.
    """

    left: str
    right: str
    reason: str
    condition: str = ""
    source: str = ""
    ranges: str = ""
    place: str = ""


def tangent(ref: Ref) -> Ref:
    """Return the differential of a variable."""
    return Ref(f"d_{ref.name}", ref.rows, ref.cols, *ref.indices)


def rule_words(name: str) -> str:
    """Return what a rule is called in a sentence."""
    op = RULES.get(name)
    return op.reason or op.name if op else name


def step_line(step: Step, printer: Printer) -> Line:
    """Return what a step says."""
    left, right, reason = _sides(step, printer)
    place = printer(step.target) if step.kind in ("rewrite", "recognise") else ""
    return Line(left, right, reason, step.condition, step.source, loop_ranges(step.loops, printer), place)


def _sides(step: Step, p: Printer) -> tuple[str, str, str]:
    if step.kind == "name":
        return p.value(step.target), p.value(step.before), step.rule
    if step.kind == "differential":
        return p.value(tangent(step.target)), p.value(step.after), f"differential: {_differential_words(step)}"
    if step.kind == "transpose" and step.cotangent is not None:
        right = sum_of_inner_products(step, p)
        return p.inner(step.cotangent, step.before), right, "messages read off"
    if step.kind == "collect":
        reason = "sum of the messages" if isinstance(step.before, Add) else "the only message"
        return p.value(step.target), p.value(step.before), reason
    if step.kind == "recognise":
        return p.value(step.before), p.value(step.after), f"recognised: {step.rule}"
    return p.value(step.before), p.value(step.after), step.rule


def _differential_words(step: Step) -> str:
    if isinstance(step.before, Map):
        return f"slope of {step.rule}"
    if step.rule in RULES and not RULES[step.rule].linear:
        return rule_words(step.rule)
    products = (node for node in walk(step.before) if isinstance(node, (MatMul, Hadamard, SMul, Kron)))
    if any(sum(bool(refs(f)) for f in node.operands) > 1 for node in products):
        return "product rule"
    return "linear"


def sum_of_inner_products(step: Step, p: Printer) -> str:
    """Return ``<Zbar A^T, dW> + <W^T Zbar, dA>``; a message with a minus is subtracted."""
    out = ""
    for term in step.terms:
        message, negative = term.message, False
        if isinstance(message, Scale) and message.coefficient.could_extract_minus_sign() and out:
            message, negative = scaled(-1, message), True
        product = "".join(p.sum_sign(t) for t in _sums_around(step.before, tangent(term.ref)))
        product += p.inner(message, tangent(term.ref))
        out += (p.MINUS if negative else p.PLUS) + product if out else product
    return out


def _sums_around(change: Node, moved: Ref) -> list[SumOver]:
    """Return the sums over an index inside which a differential stands, outermost first."""
    found = [n for n in walk(change) if isinstance(n, SumOver) and moved in refs(n)]
    return found[::-1]


def loop_ranges(loops: tuple[Loop, ...], p: Printer) -> str:
    """Return ``t = 1..T`` for the loops around a statement."""
    ends = [(loop.index, loop.hi, loop.lo) if loop.down else (loop.index, loop.lo, loop.hi) for loop in loops]
    return ", ".join(p.range(i, a, b) for i, a, b in ends)


def result_ranges(result: Result, p: Printer) -> str:
    """Return ``t = T..1`` for a result."""
    return ", ".join(p.range(r.index, r.first, r.last) for r in result.ranges)


def result_shape(result: Result, p: Printer) -> str:
    """Return the shape of a result; of an entry the values of its letters, ``i = 1..n1``."""
    if result.entries:
        return p.LIST.join(p.range(r.index, r.first, r.last) for r in result.entries)
    return p.shape(result.target)


def result_notes(result: Result, p: Printer) -> list[str]:
    """Return what vanishes at a boundary: ``Zbar[t] := 0 for t > T``; what vanishes at one boundary together."""
    found: dict[tuple[sp.Symbol, str, sp.Expr], list[Ref]] = {}
    for ref, *where in result.notes:
        found.setdefault(tuple(where), []).append(ref)
    return [p.boundary(vanishing, *where) for where, vanishing in found.items()]


def tag(result: Result, names: Names) -> str:
    """Return Nielsen's number of an equation in the delta notation: BP1 to BP4, empty for another one.

    BP1: the error of the output; BP2: an error from later errors; BP3: the gradient of a bias, which reads errors
    only; BP4: the gradient of a weight, an error times a value of the forward pass.
    """
    of = names.origin(result.target.name)
    if names.notation.adjoints != "delta" or of is None or of.role != "adjoint" or names.program is None:
        return ""
    reads = [n for n in refs(result.value) if names.is_adjoint(n.name)]
    errors = [n for n in reads if _of(n, names) in names.errors]
    if of.of in names.errors:
        return "BP2" if errors else "BP1"
    var = names.program.variables[of.of]
    if var.kind != "param" or not errors:
        return ""
    return "BP3" if len(reads) == len(refs(result.value)) else "BP4"


def _of(ref: Ref, names: Names) -> str:
    origin = names.origin(ref.name)
    return origin.of if origin else ""


def shown_steps(derivation: Derivation, detail: bool) -> list[Step]:
    """Return the steps that are shown: without ``detail`` those that a reader would not do without a word."""
    return [s for s in derivation.steps if detail or not s.detail]


@dataclass(frozen=True)
class Declared:
    """A declared variable, or one piece of a declared family, with the values of its indices."""

    var: Var
    ref: Ref
    ranges: tuple[tuple[sp.Symbol, sp.Expr, sp.Expr], ...]


def declarations(program: Program) -> list[Declared]:
    """Return the declared variables; of a family each piece: ``H[0]``, ``X[t]`` for t = 1..T."""
    found = []
    for var in program.declared():
        for box in var.boxes or (Box(()),):
            where: list[sp.Expr] = []
            ranges = []
            for symbol, side in zip(var.indices, box.sides, strict=True):
                low, high = side.lows[0], side.highs[0]
                where.append(low if low == high else symbol)
                if low != high:
                    ranges.append((symbol, low, high))
            found.append(Declared(var, var(*where), tuple(ranges)))
    return found


def introduced(derivation: Derivation) -> list[Site]:
    """Return the forward equations that the reader did not write but the results mention.

    A name is introduced by a layer (several equations come from one line) or by the naming of non-linear parts.
    """
    sites = derivation.forward.sites
    last = {s.equation.line: s for s in sites}
    mentioned = {r.name for result in derivation.results for r in (result.target, *refs(result.value))}
    # What introduces a name may mention others.
    parts = {s.target.name: s for s in derivation.forward.sites if derivation.forward.variables[s.target.name].origin}
    while more := {r.name for n in mentioned & parts.keys() for r in refs(parts[n].equation.value)} - mentioned:
        mentioned |= more
    variables = derivation.program.variables
    mentioned |= {origin.of for name in mentioned if name in variables and (origin := variables[name].origin)}
    def is_new(site: Site) -> bool:
        line = site.equation.line
        return variables[site.target.name].origin is not None or (line is not None and site is not last[line])

    return [s for s in sites if s.target.name in mentioned and is_new(s)]


def says_something(line: Line) -> bool:
    """Tell whether the two sides of a step differ in print: the transpose of a vector of ones is written as such."""
    return clean(line.left) != clean(line.right)


def reading_words(reading: Reading) -> str:
    """Return what a closed form is called, of what it is, and where it can be found."""
    said = reading.name if reading.alone else f"{reading.name}, of what comes through the layer"
    said += f", where {reading.condition}" if reading.condition else ""
    return f"{said} ({'; '.join(cited(reading.source))})" if reading.source else said


def program_of(derivation: Derivation) -> Program:
    """Return the program whose names the derivation uses, the names of its steps included."""
    return derivation.program.replace(variables={**derivation.named.variables, **derivation.program.variables})
