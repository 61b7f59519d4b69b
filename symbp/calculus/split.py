"""Splitting a loss into ``c * S + R``: S a sum over samples, R free of samples, c a factor of sizes.

Gradients of S and of R are then available apart, so that shards of unequal size add up: c is applied once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sympy as sp

from symbp.expr import (
    Add,
    AxisNode,
    Constant,
    Einsum,
    Eye,
    Gather,
    Hadamard,
    Kron,
    Mask,
    MatMul,
    Node,
    Ref,
    Reshape,
    Scale,
    Scatter,
    SMul,
    StaticMap,
    SumOver,
    add,
    has_size,
    same_size,
    scaled,
    walk,
)
from symbp.ops import has_rule, rule
from symbp.program import Equation, Program, Site, map_equations

Way = Literal["free", "each", "sum", "mixed"]
"""How a value depends on the samples: not at all; one column or row per sample; as a sum over them; otherwise."""


@dataclass(frozen=True)
class Split:
    """``loss = factor * sample_sum + rest``.

    factor:     an exact factor of sizes.
    sample_sum: the sum over samples, a 1 x 1 expression, or None.
    rest:       what is free of samples, or None.
    mixed:      why the loss is no such sum; empty if it is. Then ``factor`` is 1 and ``sample_sum`` the whole loss.
    """

    factor: sp.Expr
    sample_sum: Node | None
    rest: Node | None
    mixed: str = ""


@dataclass
class Dependence:
    """How each variable depends on the samples.

    samples: the size that counts samples.
    ways:    by variable.
    indices: the position of the index that counts samples, of a family whose members they are.
    """

    samples: sp.Symbol | None
    ways: dict[str, Way]
    indices: dict[str, int]


def dependence(program: Program) -> Dependence:
    """Return how each variable depends on the samples."""
    m = program.samples
    found = Dependence(m, {}, {})
    for var in program.variables.values():
        if not var.declared:
            continue
        along = [k for box in var.boxes for k, side in enumerate(box.sides) if _runs(side.lows[0], side.highs[0], m)]
        if along:
            found.indices[var.name] = along[0]
        each = along or (m is not None and (has_size(var.rows, m) or has_size(var.cols, m)))
        found.ways[var.name] = "each" if each else "free"
    for site in program.sites:
        inside = _sample_loops(site, m)
        for k, index in enumerate(site.target.indices):
            if index in inside:
                found.indices[site.target.name] = k
    # Families in loops read themselves: start from nothing and repeat until nothing changes (four ways: few rounds).
    for _ in range(4):
        before = dict(found.ways)
        for site in program.sites:
            name = site.target.name
            way = _way(site.equation.value, found, _sample_loops(site, m))
            found.ways[name] = _worse(found.ways[name], way) if name in found.ways else way
        if found.ways == before:
            break
    return found


def _runs(lo: sp.Expr, hi: sp.Expr, m: sp.Symbol | None) -> bool:
    """Tell whether an index runs over the samples."""
    return m is not None and same_size(hi - lo + 1, m)


def _sample_loops(site: Site, m: sp.Symbol | None) -> frozenset[sp.Symbol]:
    """Return the indices of the loops around that run over the samples."""
    return frozenset(loop.index for loop in site.loops if _runs(loop.lo, loop.hi, m))


_ORDER: tuple[Way, ...] = ("free", "each", "sum", "mixed")


def _worse(a: Way, b: Way) -> Way:
    if {a, b} == {"each", "sum"}:
        return "mixed"
    return max(a, b, key=_ORDER.index)


def _way(node: Node, known: Dependence, inside: frozenset[sp.Symbol]) -> Way:
    memo: dict[Node, Way] = {}
    sums = {p.bound for p in walk(node) if isinstance(p, SumOver) and _runs(*p.ends, known.samples)}
    for part in walk(node):
        memo[part] = _step(part, memo, known, inside | sums)
    return memo[node]


def _step(part: Node, memo: dict[Node, Way], known: Dependence, inside: frozenset[sp.Symbol]) -> Way:
    m = known.samples
    if isinstance(part, Ref):
        way = known.ways.get(part.name, "free")
        at = known.indices.get(part.name)
        # A member of another sample than the present one mixes samples.
        return "mixed" if way != "free" and at is not None and part.indices[at] not in inside else way
    if isinstance(part, Constant):
        # Ones are the same for every sample; a pattern over samples says which sample is which.
        ordered = isinstance(part, (Eye, Mask)) and m is not None and any(has_size(s, m) for s in part.shape)
        return "mixed" if ordered else "free"
    inner = [memo[o] for o in part.operands]
    worst = max(inner, key=_ORDER.index)
    if isinstance(part, SumOver) and worst == "free" and any(m is not None and e.has(m) for e in part.ends):
        return "mixed"
    if worst in ("free", "mixed") or m is None:
        return worst
    if isinstance(part, Scale):
        return "mixed" if part.coefficient.has(m) else worst
    if isinstance(part, SumOver):
        if _runs(*part.ends, m):
            return "sum" if worst == "each" else "mixed"
        return worst if not any(e.has(m) for e in part.ends) else "mixed"
    if isinstance(part, MatMul):
        moved = sum(w != "free" for w in inner)
        contracts = any(has_size(a.cols, m) for a in part.operands[:-1])
        if worst == "sum":
            return "sum" if moved == 1 and not contracts else "mixed"
        return "sum" if contracts else "each"
    if isinstance(part, Einsum):
        counted = [letter for letter, n in part.spec.sizes.items() if has_size(n, m)]
        if worst == "sum":
            return "sum" if sum(w != "free" for w in inner) == 1 and not counted else "mixed"
        if len(counted) > 1:
            return "mixed"
        return "sum" if set(counted) & set(part.spec.summed) else "each"
    if isinstance(part, Kron) and inner[0] == "free":
        return "mixed"  # the samples are not slowest
    if isinstance(part, (SMul, Hadamard, Kron)):
        if worst == "sum":
            return "sum" if sum(w != "free" for w in inner) == 1 else "mixed"
        return "each"
    if isinstance(part, Add):
        return "mixed" if "sum" in inner and ("each" in inner or "free" in inner) else worst
    if worst == "sum":
        return "sum" if has_rule(part) and rule(part).linear == "all" else "mixed"
    if isinstance(part, AxisNode):
        along = part.operands[0].rows if part.axis == 0 else part.operands[0].cols
        return "mixed" if has_size(along, m) else "each"
    if isinstance(part, Reshape):
        return worst if _keeps_samples(part, m) else "mixed"
    if isinstance(part, Gather | Scatter):
        return worst if _sample_by_sample(part.map, m) else "mixed"
    return "each"


def _keeps_samples(node: Reshape, m: sp.Symbol) -> bool:
    """Tell whether a reshape goes through the samples one after the other: they are slowest before and after."""
    along = 1 if node.order == "F" else 0
    return all(
        not has_size(A.shape[1 - along], m) and sp.denom(sp.cancel(A.shape[along] / m)) == 1
        for A in (node, node.operands[0])
    )


def _sample_by_sample(rule: StaticMap, m: sp.Symbol) -> bool:
    """Tell whether a map keeps samples apart: one digit counts them, the slowest one in the result and the source."""
    here = [k for k, size in enumerate(rule.sizes) if has_size(size, m)]
    there = [d for d in rule.digits if has_size(d.size, m)]
    if len(here) != 1 or len(there) != 1:
        return False
    (k,), (digit,) = here, there
    slowest = k in (0, len(rule.rows)) and digit in (*rule.source_rows[:1], *rule.source_cols[:1])
    return slowest and digit.moving == (k,) and digit.coefficients[k] == 1 and digit.offset == 0 and (
        digit.size == rule.sizes[k] == m
    )


def split_loss(program: Program, output: str = "loss") -> Split:
    """Split the loss of a program into ``c * S + R``.

    The terms of the loss that sum over samples must have one common factor; anything else (a mean over samples
    inside the network, a product of two sums) mixes samples, and the answer says where.
    """
    site = next(s for s in program.sites if s.target.name == output)
    value, m = site.equation.value, program.samples
    if m is None:
        return Split(sp.S.One, value, None, "the declaration does not say which size counts samples")
    known = dependence(program)
    sums: list[tuple[sp.Expr, Node]] = []
    rest: list[Node] = []
    for coefficient, term in _terms(sp.S.One, value):
        way = _way(term, known, frozenset())
        if way == "free" and not coefficient.has(m) and not _counts(term, m):
            rest.append(scaled(coefficient, term))
        elif way == "sum":
            sums.append((coefficient, term))
        else:
            return Split(
                sp.S.One,
                value,
                None,
                f"the samples are mixed in {output}" if way == "mixed" else "a term of the loss is no sum over samples",
            )
    if not sums:
        return Split(sp.S.One, None, add(*rest) if rest else None)
    factor = sums[0][0]
    ratios = [sp.cancel(c / factor) for c, _ in sums]
    if any(r.has(m) for r in ratios):
        return Split(sp.S.One, value, None, "the terms of the loss have different factors of the number of samples")
    positive = factor.could_extract_minus_sign()
    factor = -factor if positive else factor
    number, sizes = factor.as_coeff_Mul()
    if not sizes.has(m):
        factor, number = sp.S.One, number * sizes
    else:
        factor = sizes
    sign = -number if positive else number
    return Split(
        factor,
        add(*(scaled(sign * r, t) for r, (_, t) in zip(ratios, sums, strict=True))),
        add(*rest) if rest else None,
    )


def _terms(coefficient: sp.Expr, node: Node) -> list[tuple[sp.Expr, Node]]:
    if isinstance(node, Scale):
        return _terms(coefficient * node.coefficient, node.body)
    if isinstance(node, Add):
        return [t for o in node.operands for t in _terms(coefficient, o)]
    return [(coefficient, node)]


def _counts(node: Node, m: sp.Symbol) -> bool:
    """Tell whether an expression that reads no sample still depends on their number."""
    return any(isinstance(part, Scale) and part.coefficient.has(m) for part in walk(node)) or any(
        has_size(part.rows, m) or has_size(part.cols, m) for part in walk(node)
    )


def part_program(program: Program, value: Node, output: str = "loss") -> Program:
    """Return the program with another value for its loss: one part of a split."""

    def change(equation: Equation) -> list[Equation]:
        return (
            [Equation(equation.target, value, equation.line, equation.note)]
            if equation.target.name == output
            else [equation]
        )

    return program.replace(body=map_equations(program.body, change))
