"""``derive``: from a declared program to its numbered backward equations, every move a Step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import sympy as sp

from symbp.calculus.adjoint import Adjoint, adjoint
from symbp.calculus.identities import Context, Identity, Phase
from symbp.calculus.naming import definitions, name_parts
from symbp.calculus.readable import (
    Editor,
    drop_dead,
    forget_names,
    pattern_of,
    peel,
    place_adjoints,
    place_messages,
    tidy_changed,
)
from symbp.calculus.rewriting import rewrite, tidy
from symbp.derivation import Derivation, Range, Result, Step
from symbp.expr import Node, Ref, SumOver, at_most, expanded, refs, shift, transform, uncovered, walk
from symbp.program import (
    Equation,
    Loop,
    Origin,
    Program,
    Site,
    check,
    index_box,
    index_step,
    map_equations,
    reads_of,
    site_ranges,
)


def facts_of(program: Program) -> dict[str, frozenset[str]]:
    """Return the declared facts by variable."""
    return {name: var.facts for name, var in program.variables.items() if var.facts}


def recognise(program: Program) -> tuple[Program, list[Step]]:
    """Apply the forward identities (logarithms of softmax and sigmoid) before anything is differentiated."""
    context = Context(facts_of(program), {}, {s.target: s.equation.value for s in program.sites})
    steps: list[Step] = []
    around = {id(site.equation): site.loops for site in program.sites}

    def change(equation: Equation) -> list[Equation]:
        uses: list[Step] = []

        def record(entry: Identity, before: Node, after: Node) -> None:
            uses.append(
                Step(
                    "recognise",
                    entry.name,
                    equation.target,
                    before,
                    after,
                    condition=entry.condition,
                    source=entry.source,
                    loops=around[id(equation)],
                )
            )

        value = rewrite(equation.value, "forward", context, record)
        steps.extend(uses)
        if value is equation.value:
            return [equation]
        return [Equation(equation.target, value, equation.line, equation.note)]

    return program.replace(body=map_equations(program.body, change)), steps


def prepare(program: Program) -> tuple[Program, list[Step]]:
    """Return the program that is differentiated: forward identities applied, non-linear parts named, checked."""
    # Names first: the logarithm of a softmax is recognised by the name of its argument, which P = softmax(Z) shares.
    named, steps = name_parts(program)
    recognised, uses = recognise(named)
    if uses:
        recognised, more = name_parts(recognised)
        uses += more
    return check(recognised), [*steps, *uses]


class NoOutput(ValueError):
    """A program without an output that can be differentiated."""


def derive(program: Program, wrt: Iterable[str] | None = None, output: str | None = None) -> Derivation:
    """Derive the backward pass of a program.

    program: a checked program.
    wrt:     the declared variables whose adjoints are wanted; by default the parameters.
    output:  the output that is differentiated; by default ``loss``, or the only output.

    Returns a Derivation whose ``results`` are the numbered equations, for all sizes.
    Raises ``KeyError`` for a name that the program does not declare, ``NoOutput`` where nothing can be differentiated.
    """
    if output is None and not program.outputs:
        raise NoOutput("there is nothing to differentiate: every variable is read again; write `loss = ...`")
    chosen = output or ("loss" if "loss" in program.outputs else program.outputs[0])
    wanted = [v.name for v in program.parameters] if wrt is None else list(wrt)
    for name in (*wanted, chosen):
        if name not in program.variables:
            raise KeyError(name)
    if program.variables[chosen].indices:
        raise NoOutput(
            f"the output {chosen} is a family, with a member for each step or layer; one matrix is differentiated: "
            f"write a loss, the sum of what its members cost"
        )
    named, steps = prepare(program)
    raw = adjoint(named, chosen, wanted)
    steps += raw.steps
    first = len(named.body)
    readable = _readable(raw, named, first, {raw.names[n] for n in wanted if n in raw.names}, steps)
    forward_length = _forward_length(readable)
    forward = readable.replace(
        body=readable.body[:forward_length],
        variables={n: v for n, v in readable.variables.items() if n in named.variables},
    )
    check(readable)
    gradients = {n: raw.names[n] for n in wanted}
    results = number(readable, forward_length, raw)
    return Derivation(program, named, forward, readable, results, tuple(steps), gradients, chosen)


def _forward_length(program: Program) -> int:
    """Return the number of top-level statements before the backward pass."""
    for k, statement in enumerate(program.body):
        inner = statement
        while isinstance(inner, Loop):
            inner = inner.body[0]
        if program.variables[inner.target.name].kind in ("adjoint", "message"):
            return k
    return len(program.body)


def _readable(raw: Adjoint, named: Program, first: int, wanted: set[str], steps: list[Step]) -> Program:
    known = Context(facts_of(named), definitions(named), {s.target: s.equation.value for s in named.sites})

    def at(site: Site) -> Context:
        return replace(known, covers=lambda ref: _covers(named, site, ref)) if site.loops else known

    editor = Editor(raw.program)
    for path, site in editor.sites.items():
        if path[0] >= first:
            phases: tuple[Phase, ...] = ("contract", "facts", "fold", "contract")
            editor.values[path] = tidy(site.equation.value, at(site), site.target, site.loops, steps, phases)
    program = place_messages(peel(editor.result(), first))

    def settle(site: Site, value: Node) -> Node:
        return tidy(value, at(site), site.target, site.loops, steps, ("contract", "facts", "contract"))

    editor = Editor(program, settle)
    place_adjoints(editor, wanted)
    tidy_changed(editor, [p for p in editor.sites if p[0] >= first], at, steps)
    editor = Editor(editor.result())
    forget_names(editor, first, steps)
    tidy_changed(editor, [p for p in editor.changed if p[0] >= first], at, steps)
    unused = [n for n, v in program.variables.items() if v.origin is not None]
    program = editor.result(unused)
    return drop_dead(program, _forward_length(program), wanted)


def _covers(program: Program, site: Site, ref: Ref) -> bool:
    """Tell whether a member is defined for every value of the indices around a site."""
    ranges = site_ranges(site)
    for part in walk(site.equation.value):
        if isinstance(part, SumOver):
            ranges.setdefault(part.bound, part.ends)
    box = index_box(ref.indices, ranges)
    return box is not None and not uncovered(box, [p.box for p in program.pieces[ref.name]], program.bounds)


# ---------------------------------------------------------------------------------------------------------
# The numbered equations


def number(program: Program, first: int, raw: Adjoint) -> tuple[Result, ...]:
    """Return the equations of the backward pass as they are printed: messages in place, with range and boundary.

    An iteration that stands apart is printed where it differs from the other ones.
    """
    results: list[Result] = []
    own = {ref.name for site in program.sites for ref, _ in _messages(program, site) if _said(program, ref) is None}
    for site in program.sites:
        var = program.variables[site.target.name]
        if site.path[0] < first or (var.kind == "message" and var.name not in own):
            continue
        value, notes = _spoken(program, site)
        origin = var.origin or Origin("adjoint", site.target.name)
        reason = "message to one member" if var.kind == "message" else _reason(_heard(raw, origin.of))
        results.append(
            Result(0, site.target, value, reason, _ranges(site.loops), notes)
        )
    return tuple(replace(r, number=k) for k, r in enumerate(_rejoined(results), 1))


def _rejoined(results: Sequence[Result]) -> list[Result]:
    """Return the equations without those of a first iteration that a later one with its range would repeat."""
    found = list(results)
    for alone in results:
        for k, general in enumerate(found):
            joined = _extended(general, alone)
            if joined is not None:
                found[k] = joined
                found.remove(alone)
                break
    return found


def _extended(general: Result, alone: Result) -> Result | None:
    """Return an equation over a range that begins one iteration earlier, if ``alone`` says the same of that one."""
    if general.target.name != alone.target.name or not general.ranges or general.notes != alone.notes:
        return None
    inner = general.ranges[-1]
    for before in (expanded(inner.first + 1), expanded(inner.first - 1)):
        mapping: dict[sp.Expr, sp.Expr] = {inner.index: before}
        same = shift(general.target, mapping) is alone.target and shift(general.value, mapping) is alone.value
        if same and general.ranges[:-1] == alone.ranges:
            return replace(general, ranges=(*general.ranges[:-1], replace(inner, first=before)))
    return None


def _messages(program: Program, site: Site) -> list[tuple[Ref, tuple[SumOver, ...]]]:
    """Return the messages that an equation reads, with the sums around each."""
    reads = reads_of(site.equation.value)
    return [(ref, sums) for ref, sums in reads if program.variables[ref.name].kind == "message"]


def _said(program: Program, ref: Ref) -> Node | None:
    """Return what a message says wherever it is read; None if it reaches only some of the members that are read."""
    return pattern_of(program.pieces[ref.name], ref)


def _heard(raw: Adjoint, name: str) -> list[str]:
    """Return the reasons of the messages to a variable; a part without a name of its own hands on what it heard."""
    found: list[str] = []
    for reason, reader in raw.reasons.get(name, ()):
        origin = raw.program.variables[reader].origin
        part = origin is not None and origin.role in ("argument", "result")
        found += [reason] if reason else (_heard(raw, reader) if part else ["sum"])
    return found


def _reason(reasons: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(reasons))
    if not distinct:
        return "no influence on the output"
    return "; ".join(distinct) if len(distinct) < 3 else f"sum of {len(reasons)} messages"


def _ranges(loops: Sequence[Loop]) -> tuple[Range, ...]:
    return tuple(Range(lp.index, *((lp.hi, lp.lo) if lp.down else (lp.lo, lp.hi))) for lp in loops)


def _spoken(program: Program, site: Site) -> tuple[Node, tuple[tuple[Ref, sp.Symbol, str, sp.Expr], ...]]:
    """Return the right side with each message replaced by what it says, and where it says nothing."""
    value = site.equation.value
    replacement: dict[Node, Node] = {}
    notes: list[tuple[Ref, sp.Symbol, str, sp.Expr]] = []
    for ref, sums in _messages(program, site):
        said = _said(program, ref)
        ranges = {**site_ranges(site), **{s.bound: s.ends for s in sums}}
        if said is None:
            notes += _boundaries(program, ref, ranges)
            continue
        replacement[ref] = said
        for spoken in refs(said):
            if program.variables[spoken.name].kind == "adjoint":
                notes += _boundaries(program, spoken, ranges)
    if replacement:
        value = transform(value, lambda n: replacement.get(n, n))
    return value, tuple(dict.fromkeys(notes))


def _boundaries(
    program: Program, ref: Ref, ranges: Mapping[sp.Symbol, tuple[sp.Expr, sp.Expr]]
) -> list[tuple[Ref, sp.Symbol, str, sp.Expr]]:
    """Return where an adjoint that stands in place of a message is zero by definition."""
    box, pieces, bounds = index_box(ref.indices, ranges), program.pieces[ref.name], program.bounds
    if box is None or not uncovered(box, [p.box for p in pieces], bounds):
        return []
    steps = [index_step(i, ranges) for i in ref.indices]
    formal = program.variables[ref.name](
        *(s[0] if s and s[0] is not None else i for s, i in zip(steps, ref.indices, strict=True))
    )
    found = []
    for k, step in enumerate(steps):
        if step is None or step[0] is None:
            continue
        side, theirs = box.sides[k], [p.box.sides[k] for p in pieces]
        high = next((a.highs[0] for a in theirs if all(at_most(b.highs[0], a.highs[0], bounds) for b in theirs)), None)
        low = next((a.lows[0] for a in theirs if all(at_most(a.lows[0], b.lows[0], bounds) for b in theirs)), None)
        if high is not None and not at_most(side.highs[0], high, bounds):
            found.append((formal, step[0], ">", high))
        if low is not None and not at_most(low, side.lows[0], bounds):
            found.append((formal, step[0], "<", low))
    return found
