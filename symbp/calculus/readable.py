"""From the raw mirror image to the equations of the book.

Messages that are covered everywhere take their place in the adjoint; an adjoint that is used once stands where it is
used; names that the naming pass made and nobody needs go away; the first iteration of a loop stands apart where only
it hears from outside.  Every pass keeps the meaning: it replaces names by what they stand for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import sympy as sp

from symbp.calculus.identities import Context
from symbp.calculus.naming import is_light
from symbp.calculus.rewriting import tidy
from symbp.derivation import Step
from symbp.expr import (
    Add,
    Hadamard,
    Node,
    Ref,
    Scale,
    SMul,
    Transpose,
    Where,
    Zero,
    at_most,
    expanded,
    refs,
    shift,
    transform,
    uncovered,
    walk,
)
from symbp.program import (
    Equation,
    Loop,
    Piece,
    Program,
    Site,
    Statement,
    index_box,
    index_step,
    reads_of,
    shifted,
    site_ranges,
)

Path = tuple[int, ...]


def resolve(
    program: Program,
    ref: Ref,
    ranges: Mapping[sp.Symbol, tuple[sp.Expr, sp.Expr]],
    values: Mapping[Path, Node] | None = None,
) -> Node | None:
    """Return what a member stands for, as one expression for all index values in ``ranges``; None if there is none.

    A member of a family that is zero outside and is defined nowhere in the range stands for zero.
    """
    box = index_box(ref.indices, ranges)
    if box is None:
        return None
    bounds, var = program.bounds, program.variables[ref.name]
    pieces = [p for p in program.pieces[ref.name] if not (box.sides and p.box.meet(box).empty(bounds))]
    if not pieces:
        return Zero(*ref.shape) if var.zero_outside else None
    if uncovered(box, [p.box for p in pieces], bounds):
        return None
    return pattern_of(pieces, ref, values)


def pattern_of(pieces: Sequence[Piece], ref: Ref, values: Mapping[Path, Node] | None = None) -> Node | None:
    """Return the one expression that all pieces give for a member; None if they differ or are declared."""
    if any(p.site is None for p in pieces):
        return None

    def value(piece: Piece) -> Node:
        assert piece.site is not None
        return values[piece.site.path] if values is not None else piece.site.equation.value

    general = max(pieces, key=lambda p: len(p.site.loops) if p.site is not None else 0)
    pattern = _at(general, ref.indices, value(general))
    if pattern is None:
        return None
    for piece in pieces:
        assert piece.site is not None
        if piece is general:
            continue
        theirs = _at(general, piece.site.target.indices, value(general))
        if theirs is None or theirs is not value(piece):
            return None
    return pattern


def _at(piece: Piece, indices: Sequence[sp.Expr], value: Node) -> Node | None:
    """Return the value of a piece at a member, by solving its index pattern for the loop indices."""
    assert piece.site is not None
    mapping: dict[sp.Expr, sp.Expr] = {}
    for mine, theirs in zip(piece.site.target.indices, indices, strict=True):
        step = index_step(mine, site_ranges(piece.site))
        if step is None:
            return None
        symbol, sign, offset = step
        if symbol is None:
            if expanded(mine - theirs) != 0:
                return None
        else:
            solved = expanded(sign * (theirs - offset))
            if mapping.setdefault(symbol, solved) != solved:
                return None
    mapping = {k: v for k, v in mapping.items() if k != v}
    return shift(value, mapping)


Settle = Callable[[Site, Node], Node]
"""Brings the right side of an equation to normal form after a replacement."""


class Editor:
    """The equations of a program while names are replaced by what they stand for."""

    def __init__(self, program: Program, settle: Settle | None = None) -> None:
        self.program = program
        self.settle = settle
        self.sites: dict[Path, Site] = {s.path: s for s in program.sites}
        self.values: dict[Path, Node] = {s.path: s.equation.value for s in program.sites}
        self.gone: set[Path] = set()
        self.changed: set[Path] = set()
        self.readers: dict[str, dict[Path, None]] = {}
        for path, value in self.values.items():
            for name in _names(value):
                self.readers.setdefault(name, {})[path] = None

    def reads(self, name: str) -> list[tuple[Path, Ref, Mapping[sp.Symbol, tuple[sp.Expr, sp.Expr]]]]:
        """Return the distinct reads of a name, with the ranges of the indices around each."""
        found: list[tuple[Path, Ref, Mapping[sp.Symbol, tuple[sp.Expr, sp.Expr]]]] = []
        for path in self.readers.get(name, ()):
            if path in self.gone:
                continue
            for ref, sums in reads_of(self.values[path]):
                if ref.name == name:
                    found.append((path, ref, {**site_ranges(self.sites[path]), **{s.bound: s.ends for s in sums}}))
        return found

    def put(self, path: Path, replacement: Mapping[Ref, Node]) -> None:
        """Replace reads in one equation."""
        before = self.values[path]
        after = transform(before, lambda n: replacement.get(n, n) if isinstance(n, Ref) else n)
        if self.settle is not None:
            after = self.settle(self.sites[path], after)
        self.values[path] = after
        self.changed.add(path)
        for name in _names(after):
            self.readers.setdefault(name, {})[path] = None
        for name in _names(before) - _names(after):
            self.readers[name].pop(path, None)

    def drop(self, name: str) -> None:
        """Remove the equations that define a name."""
        for piece in self.program.pieces[name]:
            if piece.site is not None:
                self.gone.add(piece.site.path)

    def inline(self, name: str) -> bool:
        """Replace every read of a name by what it stands for, if each read has one; tell whether that was done."""
        reads = self.reads(name)
        found = []
        for path, ref, ranges in reads:
            value = resolve(self.program, ref, ranges, self.values)
            if value is None:
                return False
            found.append((path, ref, value))
        for path, ref, value in found:
            self.put(path, {ref: value})
        self.drop(name)
        return True

    def result(self, drop_unused: Iterable[str] = ()) -> Program:
        """Return the edited program without removed equations and without variables that nothing mentions."""
        body = self._build(self.program.body, ())
        kept = self.program.replace(body=body)
        named = {s.target.name for s in kept.sites} | {n for s in kept.sites for n in _names(s.equation.value)}
        unused = {n for n in drop_unused if n not in named}
        return kept.replace(variables={n: v for n, v in self.program.variables.items() if n not in unused})

    def _build(self, body: Sequence[Statement], path: Path) -> tuple[Statement, ...]:
        out: list[Statement] = []
        for k, statement in enumerate(body):
            here = (*path, k)
            if isinstance(statement, Loop):
                inner = self._build(statement.body, here)
                if inner:
                    out.append(statement if inner == statement.body else statement.with_body(inner))
            elif here not in self.gone:
                value = self.values[here]
                out.append(statement if value is statement.value else replace(statement, value=value))
        return tuple(out)


def _names(node: Node) -> set[str]:
    return {r.name for r in refs(node)}


def _open_uses(value: Node) -> Counter[Ref]:
    """Count the reads that stand where a sum or an entrywise product may take their place without brackets of depth."""
    found: Counter[Ref] = Counter()
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, Ref):
            found[node] += 1
        elif isinstance(node, (Add, Hadamard, Scale, SMul, Where, Transpose)):
            stack.extend(node.operands)
    return found


def _uses(value: Node, ref: Ref) -> int:
    """Count how often a read is written in an expression."""
    counts: dict[Node, int] = {}
    for node in walk(value):
        counts[node] = 1 if node is ref else sum(counts[o] for o in node.operands)
    return counts[value]


def peel(program: Program, first: int) -> Program:
    """Let an iteration stand apart when a message reaches only that member: ``Abar[L]`` before ``Abar[l]``.

    first: the top-level statement at which the backward pass begins.  Of nested loops the innermost is peeled.
    """
    return program.replace(body=(*program.body[:first], *_peeled(program, program.body[first:])))


def _peeled(program: Program, body: Sequence[Statement]) -> list[Statement]:
    out: list[Statement] = []
    for statement in body:
        if not isinstance(statement, Loop):
            out.append(statement)
            continue
        if any(isinstance(s, Loop) for s in statement.body):
            out.append(statement.with_body(_peeled(program, statement.body)))
            continue
        at, lo, hi = _lonely(program, statement), statement.lo, statement.hi
        if at is None or not at_most(lo, hi, program.bounds):
            out.append(statement)
            continue
        alone = [shifted(s, {statement.index: at}) for s in statement.body]
        last = expanded(at - hi) == 0
        rest = replace(statement, hi=expanded(hi - 1)) if last else replace(statement, lo=expanded(lo + 1))
        out += [*alone, rest] if last == statement.down else [rest, *alone]
    return out


def _lonely(program: Program, loop: Loop) -> sp.Expr | None:
    """Return the first or last value of a loop if a message reaches only the member of that iteration."""
    for statement in loop.body:
        assert isinstance(statement, Equation)
        for ref in refs(statement.value):
            pieces = program.pieces[ref.name]
            if not program.variables[ref.name].zero_outside or len(pieces) != 1:
                continue
            for value, side in zip(ref.indices, pieces[0].box.sides, strict=True):
                step = index_step(value, [loop.index])
                if step is None or step[0] is None or side.lows != side.highs:
                    continue
                at = expanded(step[1] * (side.lows[0] - step[2]))
                if any(expanded(at - end) == 0 for end in (loop.lo, loop.hi)):
                    return at
    return None


def place_messages(program: Program) -> Program:
    """Replace messages by what they stand for wherever they are covered everywhere that they are read."""
    editor = Editor(program)
    for name, var in program.variables.items():
        if not var.zero_outside or var.origin is None or var.origin.role != "message":
            continue
        left = False
        for path, ref, ranges in editor.reads(name):
            value = resolve(program, ref, ranges, editor.values)
            if value is None:
                left = True
            else:
                editor.put(path, {ref: value})
        if not left:
            editor.drop(name)
    return editor.result([n for n, v in program.variables.items() if v.kind == "message"])


def place_adjoints(editor: Editor, wanted: set[str]) -> None:
    """Let each adjoint that is used once stand where it is used, unless it would become a factor of a product."""
    program = editor.program
    for name in _in_order(program):
        var = program.variables[name]
        if var.kind not in ("adjoint", "message") or name in wanted or var.zero_outside:
            continue
        reads = editor.reads(name)
        sites = [p.site for p in program.pieces[name] if p.site is not None]
        if not reads:
            editor.drop(name)
            continue
        light = all(_may_move(program, name, editor.values[s.path]) for s in sites)
        if not light:
            if len(reads) > len(sites):
                continue
            if any(
                _open_uses(editor.values[path])[ref] != 1 or _uses(editor.values[path], ref) != 1
                for path, ref, _ in reads
            ):
                continue
        editor.inline(name)


def _may_move(program: Program, name: str, value: Node) -> bool:
    """Tell whether an adjoint may be written out wherever it is read: a part's, if it is short; else a mere alias."""
    origin = program.variables[name].origin
    if origin is not None and program.variables[origin.of].origin is not None:
        return is_light(value)
    return is_light(value, leaves=1) and all(program.variables[r.name].kind == "adjoint" for r in refs(value))


def _in_order(program: Program) -> list[str]:
    seen: dict[str, None] = {}
    for site in program.sites:
        seen.setdefault(site.target.name)
    return list(seen)


def tidy_changed(editor: Editor, paths: Iterable[Path], at: Callable[[Site], Context], steps: list[Step]) -> None:
    """Bring equations to their readable form and record the identities used."""
    for path in paths:
        if path in editor.gone:
            continue
        site = editor.sites[path]
        value = editor.values[path]
        result = tidy(value, at(site), site.target, site.loops, steps)
        if result is not value:
            editor.values[path] = result
            for name in _names(result):
                editor.readers.setdefault(name, {})[path] = None
            for name in _names(value) - _names(result):
                editor.readers[name].pop(path, None)


def forget_names(editor: Editor, first: int, steps: list[Step]) -> None:
    """Undo the names of the naming pass that neither help the reader nor save work.

    A name goes when it is a light sum of other names, or when only one forward equation reads it; it stays when
    its adjoint has an equation.
    """
    program = editor.program
    spoken = {
        program.variables[editor.sites[p].target.name].origin.of  # type: ignore[union-attr]
        for p in editor.sites
        if p not in editor.gone and program.variables[editor.sites[p].target.name].kind == "adjoint"
    }
    for name in _in_order(program):
        var = program.variables[name]
        if var.origin is None or var.origin.role not in ("argument", "result") or name in spoken:
            continue
        reads = editor.reads(name)
        sites = [p.site for p in program.pieces[name] if p.site is not None]
        light = all(is_light(editor.values[s.path]) for s in sites)
        once = len(reads) == 1 and reads[0][0][0] < first and _uses(editor.values[reads[0][0]], reads[0][1]) == 1
        if not (light or once or not reads):
            continue
        before = {path: editor.values[path] for path, _, _ in reads if path[0] >= first}
        if editor.inline(name):
            for path, old in before.items():
                site = editor.sites[path]
                steps.append(
                    Step(
                        "rewrite",
                        "definition",
                        site.target,
                        old,
                        editor.values[path],
                        condition=f"the definition of {name}",
                        loops=site.loops,
                        detail=True,
                    )
                )


def drop_dead(program: Program, first: int, wanted: set[str]) -> Program:
    """Remove equations of the backward pass that no wanted adjoint needs."""
    needed, stack = set(wanted), list(wanted)
    feeds: dict[str, set[str]] = {}
    for site in program.sites:
        if site.path[0] >= first:
            feeds.setdefault(site.target.name, set()).update(_names(site.equation.value))
    while stack:
        for name in feeds.get(stack.pop(), ()):
            if name not in needed:
                needed.add(name)
                stack.append(name)
    editor = Editor(program)
    for site in program.sites:
        if site.path[0] >= first and site.target.name not in needed:
            editor.gone.add(site.path)
    return editor.result([n for n, v in program.variables.items() if v.kind in ("adjoint", "message")])


__all__ = [
    "Editor",
    "drop_dead",
    "forget_names",
    "pattern_of",
    "peel",
    "place_adjoints",
    "place_messages",
    "resolve",
    "tidy_changed",
]
