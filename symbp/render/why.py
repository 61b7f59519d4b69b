"""Why an adjoint is what it is: its differential, the way through the inner product, the transposes, the order."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from symbp.derivation import Derivation, Step, Term
from symbp.expr import Add, Hadamard, MatMul, Node, Ones, Ref, Slice, SumOver, T, Transpose, add, is_one, matmul, refs
from symbp.ops import rule
from symbp.render.lines import broken, pad
from symbp.render.notation import Notation
from symbp.render.printer import PRODUCT_MARK, SUM_MARK, Printer, clean
from symbp.render.steps import loop_ranges, says_something, step_line, tangent
from symbp.render.terminal import printer_of

LABEL = 22
WIDTH = 100


class UnknownName(LookupError):
    """A name that has no adjoint in the derivation; the message lists those that have."""


def adjoint_of(derivation: Derivation, name: str) -> str:
    """Return the variable whose adjoint is asked for by ``W1``, ``W1_bar`` or ``W1bar``.

    Raises ``UnknownName`` where there is none.
    """
    known: dict[str, None] = {}
    for step in derivation.steps:
        for term in step.terms:
            known.setdefault(term.ref.name)
    known.setdefault(derivation.output)
    for of in known:
        if name in (of, f"{of}bar", f"{of}_bar"):
            return of
    choice = ", ".join(n for n in derivation.named.variables if n in known)
    raise UnknownName(f"{name} has no adjoint here; ask for one of {choice}")


@dataclass(frozen=True)
class Reason:
    """One read of a variable: the step that pulled its cotangent back, and the chain of inner products."""

    step: Step
    term: Term
    change: Node
    chain: tuple[tuple[Node, Node], ...]


def reasons(derivation: Derivation, of: str) -> list[Reason]:
    """Return a reason for each read of a variable that sends a message to its adjoint."""
    out = []
    for step in derivation.steps:
        if step.kind != "transpose" or step.cotangent is None:
            continue
        for term in step.terms:
            if term.ref.name == of:
                moved = tangent(term.ref)
                change = _part(step.before, moved)
                out.append(Reason(step, term, change, tuple(_chain(step.cotangent, change, moved))))
    return out


def _part(change: Node, moved: Ref) -> Node:
    """Return the terms of a differential that contain one tangent."""
    if not isinstance(change, Add):
        return change
    terms = [t for t in change.operands if moved in refs(t)]
    return add(*terms) if terms else change


def _chain(G: Node, E: Node, moved: Ref) -> list[tuple[Node, Node]]:
    """Return the pairs ``<G, E>`` on the way from the cotangent of the value to that of the variable."""
    out = [(G, E)]
    while E is not moved:
        if isinstance(E, SumOver):
            E = E.operands[0]
            out.append((G, E))
            continue
        slots = [k for k, operand in enumerate(E.operands) if moved in refs(operand)]
        op = rule(E)
        if len(slots) != 1 or op.pull is None:
            break
        G, E = op.pull(G, E, slots[0]), E.operands[slots[0]]
        out.append((G, E))
    return out


def why(derivation: Derivation, name: str, notation: Notation | None = None) -> str:
    """Return the explanation of an adjoint: where each factor comes from, why it is transposed, why it stands there.

    name: the variable (``W1``) or its adjoint.
    Raises ``UnknownName`` where the derivation has no such adjoint.
    """
    of = adjoint_of(derivation, name)
    p = printer_of(derivation, notation)
    out: list[str] = []
    found = reasons(derivation, of)
    for result in derivation.results:
        origin = p.names.origin(result.target.name)
        if origin is not None and origin.of == of:
            out.append(clean(p.equation(result.target, result.value)))
    many = len(found) > 1
    if not out:
        # The adjoint was put in the place of its reads: it is told as it was before.
        for step in derivation.steps:
            origin = p.names.origin(step.target.name)
            if step.kind == "collect" and origin is not None and origin.of == of:
                out.append(f"{clean(p.equation(step.target, step.before))}   (put in the place where it is used)")
    if of == derivation.output and not found:
        out += _row("because", ["the adjoint of the output itself is 1"])
    for k, reason in enumerate(found, 1):
        out += _row(f"because{f', read {k}' if many else ''}", _because(reason, p))
        out += _row("the transpose", _transposes(reason, p))
        out += _row("the order", _order(reason, p))
    for index in dict.fromkeys(lp.index for r in found for lp in r.step.loops if not _depends(r.term.ref, lp.index)):
        each = f"{p.names.ascii(of).text} is read for each {p.size(index)}"
        out += _row("the sum", [f"{each}: its adjoint is the sum over {p.size(index)}"])
    if many:
        times = f"{p.names.ascii(of).text} is read {len(found)} times"
        out += _row("the sum", [f"{times}: its adjoint is the sum of the messages"])
    out += _rewrites(derivation, of, p)
    return "\n".join(out) + "\n"


def because(derivation: Derivation, name: str, notation: Notation | None = None) -> str:
    """Return in one line the differential from which an adjoint follows: ``dL = <A1bar, dA1> and dA1 = ...``.

    Raises ``UnknownName`` where the derivation has no such adjoint.
    """
    p = printer_of(derivation, notation)
    found = reasons(derivation, adjoint_of(derivation, name))
    return "; ".join(dict.fromkeys(_because(reason, p)[0] for reason in found))


def _depends(ref: Ref, index: sp.Symbol) -> bool:
    return any(index in i.free_symbols for i in ref.indices)


def _row(label: str, lines: list[str]) -> list[str]:
    """Return lines behind a label, the continuations below each other."""
    shown = [piece for line in lines for piece in broken(line, WIDTH - LABEL)]
    return [(pad(label if k == 0 else "", LABEL) + line.rstrip()).rstrip() for k, line in enumerate(shown)]


def _because(reason: Reason, p: Printer) -> list[str]:
    step = reason.step
    assert step.cotangent is not None
    output = "dL" if p.names.result.ascii == "L" else f"d{p.names.result.ascii}"
    dots = " + ..." if reason.change is not step.before else ""
    moved = p.value(tangent(step.target))
    where = loop_ranges(step.loops, p)
    others = "... + " if where else ""
    head = f"{output} = {others}{p.inner(step.cotangent, tangent(step.target))} {SUM_MARK}and {moved} = "
    head += p.value(reason.change) + dots + (f"   {SUM_MARK}({where})" if where else "")
    states: list[str] = []
    for (G, E), (_, after) in zip(reason.chain, reason.chain[1:], strict=False):
        states.append(p.inner(G, E))
        if isinstance(E, MatMul) and not E.is_scalar_shape:
            states += _traces(G, E, after, p)
    states.append(p.inner(*reason.chain[-1]))
    final = p.inner(reason.term.message, tangent(reason.term.ref))
    if clean(final) != clean(states[-1]):
        states.append(final)
    # A chain is broken at its equality signs.
    return [head, (PRODUCT_MARK + "= ").join(clean(s) + " " for s in states).rstrip()]


def _traces(G: Node, E: MatMul, moved: Node, p: Printer) -> list[str]:
    """Return the steps ``tr(G^T A X B) = tr(B G^T A X)``: factors move around the trace."""
    factors = list(E.operands)
    k = factors.index(moved)
    left, right = factors[:k], factors[k + 1 :]
    first = p.trace([T(G), *factors])
    if right:
        return [first, p.trace([*right, T(G), *left, moved])]
    return [first, p.trace([T(matmul(*(T(A) for A in reversed(left)), G)), moved])]


def _transposes(reason: Reason, p: Printer) -> list[str]:
    """Say of each factor why it is transposed or not."""
    out = []
    for (_, E), (_, after) in zip(reason.chain, reason.chain[1:], strict=False):
        inside = clean(p.value(after))
        if isinstance(E, MatMul):
            k = list(E.operands).index(after)
            for side, group in (("left", E.operands[:k]), ("right", E.operands[k + 1 :])):
                for factor in group:
                    shown = clean(p.value(factor))
                    if isinstance(factor, Ones):
                        spread = is_one(factor.rows) if side == "right" else is_one(factor.cols)
                        what = "spread out by" if spread else "summed up by"
                        turned = "a sum" if spread else "a copy for each entry"
                        there = "on the other side of the inner product that is"
                        out.append(f"{inside} is {what} {shown}; {there} {turned}")
                    else:
                        out.append(f"moving {shown} from the {side} of {inside} to the other side of the inner product")
        elif isinstance(E, Hadamard):
            others = ", ".join(clean(p.value(f)) for f in E.operands if f is not after)
            out.append(f"none for {others}: an entrywise factor moves over as it is")
        elif isinstance(E, Transpose):
            out.append(f"{inside} is read transposed: so is its cotangent")
        elif isinstance(E, Slice):
            out.append(f"a block of {inside} is read: the cotangent goes back to the place of the block")
    return out or ["none: the cotangent is passed on as it is"]


def _order(reason: Reason, p: Printer) -> list[str]:
    """Say by sizes why the factors stand where they stand."""
    ref, message = reason.term.ref, reason.term.message
    name, (rows, cols) = clean(p.value(ref)), (p.size(s) for s in ref.shape)
    if isinstance(message, MatMul):
        first, last = (clean(p.value(message.operands[k])) for k in (0, -1))
        sizes = " times ".join(p.shape(f) for f in message.operands)
        return [f"rows of {name} are {rows}, as in {first}; its columns are {cols}, as in {last}: {sizes}"]
    return [f"the message has the shape of {name}: {rows} by {cols}"]


def _rewrites(derivation: Derivation, of: str, p: Printer) -> list[str]:
    out: list[str] = []
    for step in derivation.steps:
        origin = p.names.origin(step.target.name)
        if step.kind != "rewrite" or step.detail or origin is None or (origin.role, origin.of) != ("adjoint", of):
            continue
        line = step_line(step, p)
        if says_something(line):
            condition = f", because {p.plain(step.condition)}" if step.condition else ""
            out += _row("" if out else "then", [f"{line.left} = {line.right}", f"    by {step.rule}{condition}"])
    return out
