"""The rules that a derivation used, each stated once with plain letters: its notation, its adjoints, its source."""

from __future__ import annotations

from dataclasses import dataclass, replace

from symbp.derivation import Derivation
from symbp.expr import Constant, Hadamard, Map, Node, Ones, Ref, SumOver, is_one, walk
from symbp.ops import ELEMENTWISE, RULES, rule, slope
from symbp.render.names import Names
from symbp.render.notation import Notation
from symbp.render.printer import Printer
from symbp.render.steps import rule_words, says_something, step_line


@dataclass(frozen=True)
class RuleRow:
    """A rule with plain letters: what it is called, ``Y = A B``, what it says (marked equations), its source."""

    words: str
    forward: str
    says: tuple[str, ...]
    source: str
    domain: str = ""


@dataclass(frozen=True)
class IdentityRow:
    """An identity that was used: its name, an example, how often, its condition and its source."""

    name: str
    example: str
    uses: int
    condition: str
    source: str


def rule_rows(derivation: Derivation, printer: type[Printer], notation: Notation) -> list[RuleRow]:
    """Return the rules of the operations that were differentiated, in order of first use.

    The rules are asked for what they say about plain letters A, B, ..., exactly as the engine asks them.
    """
    p = printer(Names(None, notation))
    rows: dict[str, RuleRow] = {}
    for step in derivation.steps:
        if step.kind != "differential":
            continue
        for node in walk(step.before):
            if isinstance(node, (Ref, Constant, SumOver)) or all(_constant(o) for o in node.operands):
                continue
            row = _row(_plain(node), p)
            if row is not None:
                rows.setdefault(row.forward, row)
    return list(rows.values())


def _constant(node: Node) -> bool:
    return not any(isinstance(n, Ref) for n in walk(node))


def _plain(node: Node) -> Node:
    """Return an operation with letters as operands; constants stay."""
    letters = iter("XE" if isinstance(node, Map) else "ABCDFGHKMN")
    return node.rebuild(*(o if _constant(o) else Ref(next(letters, "A"), *o.shape) for o in node.operands))


def _row(node: Node, p: Printer) -> RuleRow | None:
    Y, G = Ref("Y", *node.shape), Ref("Y_bar", *node.shape)
    op = rule(node)
    says: list[str] = []
    source, domain, words = op.source, op.domain, rule_words(op.name)
    if isinstance(node, Map):
        entry = ELEMENTWISE.get(node.function.name)
        terms = []
        for k, operand in enumerate(node.operands):
            change = slope(node, Y, k)
            if change is not None:
                terms.append(p.value(Hadamard(change, Ref(f"d_{operand.name}", *operand.shape))))
        says = [p.value(Ref("d_Y", *Y.shape)) + p.EQUALS + p.PLUS.join(terms)] if terms else []
        if entry is not None:
            source, domain, words = entry.source or source, entry.kinks or entry.domain, entry.name
        else:
            words = node.function.name
    else:
        moving = [k for k, o in enumerate(node.operands) if isinstance(o, Ref)]
        if op.name in ("add", "scale", "transpose"):
            return None
        if op.pull is not None:
            says = [
                p.equation(Ref(f"{node.operands[k].name}_bar", *node.operands[k].shape), op.pull(G, node, k))
                for k in moving if op.is_linear(k)
            ]
            if any(isinstance(o, Ones) for o in node.operands):
                # 1^T from the left and 1 from the right add up; the others copy.
                first, last = node.operands[0], node.operands[-1]
                down = isinstance(first, Ones) and is_one(first.rows)
                along = isinstance(last, Ones) and is_one(last.cols)
                words = "sum of entries" if down or along else "broadcast"
        elif op.differential is not None:
            moved = [Ref(f"d_{o.name}", *o.shape) if isinstance(o, Ref) else None for o in node.operands]
            change = op.differential(node, Y, moved)
            says = [p.equation(Ref("d_Y", *Y.shape), change)] if change is not None else []
    return RuleRow(words, p.equation(Y, node), tuple(says), source, domain) if says else None


def identity_rows(derivation: Derivation, p: Printer, detail: bool = False) -> list[IdentityRow]:
    """Return the identities that were used, in order of first use, each with its first use as an example."""
    found: dict[str, IdentityRow] = {}
    for step in derivation.steps:
        if step.kind in ("rewrite", "recognise") and (detail or not step.detail):
            line = step_line(step, p)
            if not says_something(line):
                continue
            known = found.get(step.rule)
            if known is None:
                example = f"{line.left} = {line.right}"
                found[step.rule] = IdentityRow(step.rule, example, 1, step.condition, step.source)
            else:
                found[step.rule] = replace(known, uses=known.uses + 1)
    return list(found.values())


def kinks(derivation: Derivation) -> list[tuple[str, str]]:
    """Return what holds at the kinks of the functions and operations that occur, as (name, words)."""
    found: dict[str, str] = {}
    for site in derivation.forward.sites:
        for node in walk(site.equation.value):
            if isinstance(node, Map):
                entry = ELEMENTWISE.get(node.function.name)
                if entry is not None and entry.kinks:
                    found[entry.name] = entry.kinks
            elif node.op in RULES and RULES[node.op].domain.startswith(("at ties", "a single")):
                found[node.op] = RULES[node.op].domain
    return list(found.items())
