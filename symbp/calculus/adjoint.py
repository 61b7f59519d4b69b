"""The adjoint of a program: the mirror image, in which each read sends a message.

Every read ``x[r]`` of an equation sends one message, written in the mirror image of the reader's iteration; outside
those iterations it is zero by definition.  The adjoint of a variable is the sum of the messages to it, written where
the variable was defined, with all loops reversed.  A read that lacks an index of its loop sends a sum over that index.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import sympy as sp

from symbp.calculus.differential import differential_of, influencing, moving, rule_name
from symbp.calculus.transposition import transpose
from symbp.derivation import Step, Term
from symbp.expr import Map, Node, Ones, Ref, SumOver, Zero, add, refs, scaled
from symbp.ops import called, has_rule, rule, slope
from symbp.program import (
    Equation,
    Loop,
    Origin,
    Program,
    Site,
    Statement,
    Var,
    fresh_name,
)


@dataclass
class _Message:
    """What one read sends: an expression in the reader's loops, for the member ``ref``."""

    ref: Ref
    value: Node
    site: Site
    sums: tuple[SumOver, ...]
    reason: str
    family: Var | None = None


@dataclass
class Adjoint:
    """The result of ``adjoint``.

    program:  the given program followed by the backward pass.
    names:    the adjoint variable of each variable that has one.
    steps:    what was done.
    reasons:  for each variable, the reason of each message to it (empty: handed on unchanged), and what sent it.
    """

    program: Program
    names: dict[str, str]
    steps: list[Step]
    reasons: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


def adjoint(
    program: Program,
    output: str = "loss",
    wrt: Iterable[str] | None = None,
    seed: Node | None = None,
) -> Adjoint:
    """Return the program followed by the adjoints of the variables ``wrt`` depends through.

    output: the name that is differentiated, a plain variable.
    wrt:    the declared variables whose adjoints are wanted; by default the parameters.
    seed:   the cotangent of the output; by default 1 for a 1 x 1 output, else the adjoint of the output is an input.

    The program's non-linear parts must be named.  Variables without influence on the output get a zero adjoint.
    """
    return _Mirror(program, output, wrt, seed).run()


class _Mirror:
    def __init__(self, program: Program, output: str, wrt: Iterable[str] | None, seed: Node | None) -> None:
        self.program = program
        self.output = output
        self.wrt = [v.name for v in program.parameters] if wrt is None else list(wrt)
        self.variables: dict[str, Var] = dict(program.variables)
        self.active = moving(program, self.wrt) & influencing(program, [output])
        self.steps: list[Step] = []
        self.messages: dict[str, list[_Message]] = {}
        self.reasons: dict[str, list[tuple[str, str]]] = {}
        self.bars: dict[str, Var] = {}
        self.after: dict[tuple[int, ...], list[Statement]] = {}
        self.direct: dict[tuple[str, tuple[int, ...]], list[_Message]] = {}
        for name in program.variables:
            if name in self.active or name in self.wrt:
                var = program.variables[name]
                bar = Var(
                    fresh_name(f"{name}_bar", self.variables),
                    var.rows,
                    var.cols,
                    var.indices,
                    "adjoint",
                    origin=Origin("adjoint", name),
                )
                self.bars[name] = self.variables[bar.name] = bar
        # A tangent must not be taken for a variable: a program that was differentiated before has its own d_W.
        self.tangents = {name: fresh_name(f"d_{name}", self.variables) for name in self.active}
        self.seed = self._seed(seed)

    def _seed(self, seed: Node | None) -> Node | None:
        var = self.program.variables[self.output]
        if var.indices:
            raise ValueError(f"the differentiated output {self.output} must be one matrix, not a family")
        if seed is not None or self.output not in self.bars:
            return seed
        if var.rows == 1 and var.cols == 1:
            return Ones(1, 1)
        bar = self.bars[self.output]
        if not any(self.output in (r.name for r in refs(s.equation.value)) for s in self.program.sites):
            # Nothing else reads the output: its adjoint is what is given.
            self.bars[self.output] = self.variables[bar.name] = replace(bar, kind="input")
            return None
        given = Var(fresh_name(f"{self.output}_seed", self.variables), var.rows, var.cols, kind="input")
        self.variables[given.name] = given
        return given()

    # -- messages ------------------------------------------------------------------------------------------
    def run(self) -> Adjoint:
        sites = {site.path: site for site in self.program.sites}
        for site in self.program.sites:
            if site.target.name in self.active:
                self._differentiate(site)
        self._prune()
        for name, messages in self.messages.items():
            self._deliver(name, messages)
        backward = self._mirror(self.program.body, (), sites)
        program = self.program.replace(variables=self.variables, body=(*self.program.body, *backward))
        return Adjoint(program, {n: b.name for n, b in self.bars.items()}, self.steps, self.reasons)

    def _differentiate(self, site: Site) -> None:
        equation, tangents = site.equation, {}

        def tangent(ref: Ref) -> Node | None:
            if ref.name not in self.active:
                return None
            moved = Ref(self.tangents[ref.name], ref.rows, ref.cols, *ref.indices)
            tangents[moved] = ref
            return moved

        change = differential_of(equation.value, equation.target, tangent)
        if change is None:
            return
        bar = self.bars[site.target.name](*site.target.indices)
        said = _said(equation.value, equation.target)
        pulled = transpose(change, bar, lambda ref: ref in tangents)
        terms = []
        for p in pulled:
            ref = tangents[p.tangent]
            reason = said or p.reason
            self.messages.setdefault(ref.name, []).append(_Message(ref, p.message, site, p.sums, reason))
            terms.append(Term(ref, p.message))
        name = rule_name(equation.value)
        source = "" if isinstance(equation.value, (Ref, SumOver)) else rule(equation.value).source
        self.steps.append(
            Step("differential", name, equation.target, equation.value, change, source=source, loops=site.loops)
        )
        self.steps.append(
            Step("transpose", name, equation.target, change, bar, tuple(terms), bar, source=source, loops=site.loops)
        )

    def _prune(self) -> None:
        """Drop what does not reach the output after all: a variable without messages has a zero adjoint."""
        while True:
            idle = {n for n in self.bars if n != self.output and not self.messages.get(n)}
            dropped = False
            for messages in self.messages.values():
                kept = [m for m in messages if m.site.target.name not in idle]
                dropped = dropped or len(kept) < len(messages)
                messages[:] = kept
            if not dropped:
                break
        for name in [n for n in self.bars if n != self.output and not self.messages.get(n)]:
            if name not in self.wrt:
                self.variables.pop(self.bars.pop(name).name)
        self.messages = {n: m for n, m in self.messages.items() if m}

    def _deliver(self, name: str, messages: list[_Message]) -> None:
        """Decide how each message reaches the adjoint: in place where that is possible, else through a family."""
        var = self.program.variables[name]
        definitions = [p.site for p in self.program.pieces[name] if p.site is not None]
        groups: dict[tuple[object, ...], list[_Message]] = {}
        for message in messages:
            self.reasons.setdefault(name, []).append((message.reason, message.site.target.name))
            used = {s for i in message.ref.indices for s in i.free_symbols}
            message.value = _summed(message, used)
            here = [d for d in definitions if d.target is message.ref and _same_loops(d, message.site)]
            if not var.indices:
                key = definitions[0].path if definitions else (-1,)
                self.direct.setdefault((name, key), []).append(message)
            elif here:
                self.direct.setdefault((name, here[0].path), []).append(message)
            else:
                groups.setdefault((message.ref, _loop_ids(message.site), _sum_ids(message)), []).append(message)
        for group in groups.values():
            self._family(var, group)

    def _family(self, var: Var, group: list[_Message]) -> None:
        """Write the messages of one read (in several equations of one iteration) into a family."""
        first = group[0]
        family = Var(
            fresh_name(f"M_{var.name}", self.variables),
            var.rows,
            var.cols,
            var.indices,
            "message",
            origin=Origin("message", var.name),
            zero_outside=True,
        )
        self.variables[family.name] = family
        for message in group:
            message.family = family
        used = {s for i in first.ref.indices for s in i.free_symbols}
        value = add(*(m.value for m in group))
        statement: Statement = Equation(family(*first.ref.indices), value, note="message")
        for total in reversed(first.sums):
            if total.bound in used:
                statement = Loop(total.bound, *total.ends, body=(statement,))
        loops, path = first.site.loops, min(m.site.path for m in group)
        lacking = [k for k, loop in enumerate(loops) if loop.index not in used]
        if lacking:
            # The sum over a lacking index is complete after the outermost lacking loop.
            for loop in reversed(loops[lacking[0] :]):
                if loop.index in used:
                    statement = Loop(loop.index, loop.lo, loop.hi, body=(statement,))
            path = first.site.path[: lacking[0] + 1]
        self.after.setdefault(path, []).append(statement)

    # -- the mirror image ------------------------------------------------------------------------------------
    def _mirror(
        self, body: tuple[Statement, ...], path: tuple[int, ...], sites: Mapping[tuple[int, ...], Site]
    ) -> tuple[Statement, ...]:
        out: list[Statement] = []
        top = not path
        due = self._declared_due() if top else {}
        for k in range(len(body) - 1, -1, -1):
            statement, here = body[k], (*path, k)
            if isinstance(statement, Loop):
                inner = self._mirror(statement.body, here, sites)
                if inner:
                    out.append(Loop(statement.index, statement.lo, statement.hi, inner, not statement.down))
            else:
                out += self._bar(sites[here])
            out += self.after.get(here, ())
            if top:
                out += due.get(k, ())
        if top:
            out += due.get(-1, ())
        return tuple(out)

    def _bar(self, site: Site) -> list[Statement]:
        """Return the equation of the adjoint of the variable that ``site`` defines."""
        name = site.target.name
        if name not in self.bars or self.bars[name].declared:
            return []
        terms = self._terms(name, site.path, site.target.indices)
        if name == self.output and self.seed is not None:
            terms.insert(0, self.seed)
        if not terms:
            return []
        return [self._collect(site.target, terms, site.loops)]

    def _terms(self, name: str, path: tuple[int, ...], indices: tuple[sp.Expr, ...]) -> list[Node]:
        """Return the messages to a member, in the order of the backward pass (to a declared one: as written)."""
        heard: dict[Node, tuple[int, ...]] = {m.value: m.site.path for m in self.direct.get((name, path), ())}
        if len(heard) < len(self.direct.get((name, path), ())):
            # Two readers send the same expression: both count.
            return [m.value for m in self.direct[name, path]] + [f(*indices) for f in self._families(name)]
        for message in self.messages.get(name, ()):
            if message.family is not None:
                heard.setdefault(message.family(*indices), message.site.path)
        return sorted(heard, key=heard.__getitem__, reverse=bool(path) and path != (-1,))

    def _families(self, name: str) -> list[Var]:
        return list({m.family.name: m.family for m in self.messages.get(name, ()) if m.family is not None}.values())

    def _collect(self, ref: Ref, terms: list[Node], around: tuple[Loop, ...]) -> Equation:
        target = self.bars[ref.name](*ref.indices)
        value = add(*terms)
        if "symmetric" in self.program.variables[ref.name].facts:
            projected = scaled(sp.Rational(1, 2), add(value, value.T))
            self.steps.append(
                Step(
                    "rewrite",
                    "projection on symmetric matrices",
                    target,
                    value,
                    projected,
                    condition=f"{ref.name} is symmetric",
                    source="F0.5",
                    loops=around,
                )
            )
            value = projected
        self.steps.append(Step("collect", "sum of messages", target, value, target, loops=around))
        return Equation(target, value, note="adjoint")

    def _declared_due(self) -> dict[int, list[Statement]]:
        """Return the adjoints of declared variables, by the top-level statement whose mirror image completes them."""
        due: dict[int, list[Statement]] = {}
        for name in self.program.variables:
            var = self.program.variables[name]
            if name not in self.bars or not var.declared or name not in self.wrt:
                if name in self.bars and not any(p.site for p in self.program.pieces[name]):
                    self.variables.pop(self.bars.pop(name).name)
                continue
            messages = self.messages.get(name, [])
            when = min((m.site.path[0] for m in messages), default=-1)
            if not var.indices:
                terms = self._terms(name, (-1,), ())
                due.setdefault(when, []).append(self._declared(var(), terms, ()))
                continue
            for box in var.boxes:
                around, members = [], []
                for symbol, side in zip(var.indices, box.sides, strict=True):
                    low, high = side.lows[0], side.highs[0]
                    members.append(low if low == high else symbol)
                    if low != high:
                        around.append(Loop(symbol, low, high, body=()))
                ref = var(*members)
                statement: Statement = self._declared(ref, self._terms(name, (), tuple(members)), tuple(around))
                for loop in reversed(around):
                    statement = loop.with_body((statement,))
                _join(due.setdefault(when, []), statement)
        return due

    def _declared(self, ref: Ref, terms: list[Node], around: tuple[Loop, ...]) -> Statement:
        if not terms:
            return Equation(self.bars[ref.name](*ref.indices), Zero(*ref.shape), note="adjoint")
        return self._collect(ref, terms, around)


def _said(value: Node, name: Node) -> str:
    """Return what the adjoint of a non-linear operation is called in a derivation; empty for a linear one."""
    if not isinstance(value, Map):
        return rule(value).reason if has_rule(value) and not rule(value).linear else ""
    said = called(value.function)
    through = any(name in refs(s) for k in range(len(value.operands)) if (s := slope(value, name, k)) is not None)
    return f"{said}, slope through its value" if through else f"slope of {said}"


def _join(statements: list[Statement], new: Statement) -> None:
    """Append a statement, into the loop before it when both loops are the same."""
    last = statements[-1] if statements else None
    if (
        isinstance(last, Loop)
        and isinstance(new, Loop)
        and (last.index, last.lo, last.hi, last.down) == (new.index, new.lo, new.hi, new.down)
    ):
        statements[-1] = last.with_body((*last.body, *new.body))
    else:
        statements.append(new)


def _same_loops(a: Site, b: Site) -> bool:
    return len(a.loops) == len(b.loops) and a.path[:-1] == b.path[:-1]


def _loop_ids(site: Site) -> tuple[int, ...]:
    return site.path[:-1]


def _sum_ids(message: _Message) -> tuple[object, ...]:
    return tuple((s.bound, *s.ends) for s in message.sums)


def _summed(message: _Message, used: set[sp.Basic]) -> Node:
    """Return the message summed over every index around the read that the read lacks."""
    value = message.value
    around = [(loop.index, loop.lo, loop.hi) for loop in message.site.loops] + [
        (s.bound, *s.ends) for s in message.sums
    ]
    for symbol, low, high in reversed(around):
        if symbol not in used:
            value = SumOver(value, symbol, low, high)
    return value
