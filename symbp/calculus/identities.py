"""The named identities, by phase.  Each is one small function from an expression to its replacement, or None.

Phases (each runs once, in this order; *contract* again after *facts* and *fold*):

    forward   before differentiation: the logarithm of a softmax or a sigmoid
    contract  unit factors, ones, transposes, like terms: every rule makes the expression smaller or flatter
    facts     what the declaration promises about a variable
    fold      values that have a name; slopes through the value
    collect   common factors, signs, blocks: for reading, last

An identity sees one node whose operands are already in normal form, and the facts and names of its program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Literal

import sympy as sp

from symbp.expr import (
    Add,
    AddAt,
    Constant,
    Diag,
    DiagOf,
    Einsum,
    Embed,
    Eye,
    Function,
    Hadamard,
    LogSumExp,
    Map,
    Mask,
    MatMul,
    Node,
    Ones,
    Ref,
    Reshape,
    Scale,
    Slice,
    SMul,
    Softmax,
    SumOver,
    T,
    Take,
    Transpose,
    Where,
    Zero,
    add,
    contract,
    expanded,
    had,
    is_one,
    matmul,
    same_size,
    scaled,
    sum_axis,
)
from symbp.ops import has_rule, rule, slope

Phase = Literal["forward", "contract", "facts", "fold", "collect"]


@dataclass
class Context:
    """What an identity may know: declared facts by variable, names of values, definitions of names.

    covers tells whether a name exists for every value of the indices around the place (its loops may run further
    than the loop that defines the name); None: it does.
    """

    facts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    names: Mapping[Node, Ref] = field(default_factory=dict)
    definitions: Mapping[Ref, Node] = field(default_factory=dict)
    covers: Callable[[Ref], bool] | None = None

    def name(self, value: Node) -> Ref | None:
        """Return the name that holds a value everywhere at the place, if there is one."""
        found = self.names.get(value)
        return found if found is not None and (self.covers is None or self.covers(found)) else None


@dataclass(frozen=True)
class Identity:
    """A named identity.

    name:      what a student reads in the derivation.
    phase:     when it runs.
    nodes:     the operations at whose top it is tried.
    change:    the replacement of a node, or None where it does not apply.
    says:      left and right side, in words or symbols.
    condition: what must hold, in words.
    source:    where it can be found.
    detail:    arithmetic that needs no word in a summary.
    """

    name: str
    phase: Phase
    nodes: tuple[type[Node], ...]
    change: Callable[[Node, Context], Node | None]
    says: str
    condition: str = ""
    source: str = ""
    detail: bool = False


IDENTITIES: list[Identity] = []
"""Every identity; within a phase, tried in this order."""


def identity(
    name: str, phase: Phase, *nodes: type[Node], says: str, condition: str = "", source: str = "", detail: bool = False
) -> Callable[[Callable[[Node, Context], Node | None]], Callable[[Node, Context], Node | None]]:
    """Register the decorated function as an identity."""

    def register(change: Callable[[Node, Context], Node | None]) -> Callable[[Node, Context], Node | None]:
        IDENTITIES.append(Identity(name, phase, nodes, change, says, condition, source, detail))
        return change

    return register


# ---------------------------------------------------------------------------------------------------------
# forward


def _function(node: Node, name: str) -> Node | None:
    """Return the argument if ``node`` is the elementwise function ``name``."""
    if isinstance(node, Map) and node.function == Function(name) and len(node.operands) == 1:
        return node.operands[0]
    return None


def _definition(node: Node, context: Context) -> Node:
    return context.definitions.get(node, node) if isinstance(node, Ref) else node


@identity(
    "log of softmax",
    "forward",
    Map,
    says="log(softmax Z) -> Z - 1 lse(Z)",
    source="F1.4",
)
def _log_softmax(node: Node, context: Context) -> Node | None:
    inner = _function(node, "log")
    value = _definition(inner, context) if inner is not None else None
    if not isinstance(value, Softmax):
        return None
    Z = value.operands[0]
    lse = LogSumExp(Z, value.axis)
    spread = matmul(Ones(Z.rows, 1), lse) if value.axis == 0 else matmul(lse, Ones(1, Z.cols))
    return add(Z, scaled(-1, spread))


@identity(
    "log of sigmoid",
    "forward",
    Map,
    says="log sigmoid(Z) -> Z - softplus(Z);  log(1 - sigmoid(Z)) -> -softplus(Z)",
    source="F1.4",
)
def _log_sigmoid(node: Node, context: Context) -> Node | None:
    inner = _function(node, "log")
    if inner is None:
        return None
    Z = _function(_definition(inner, context), "sigmoid")
    if Z is not None:
        return add(Z, scaled(-1, Map(Z, Function("softplus"))))
    value = _definition(inner, context)
    if isinstance(value, Add) and len(value.operands) == 2 and isinstance(value.operands[0], Ones):
        rest = value.operands[1]
        if isinstance(rest, Scale) and rest.coefficient == -1:
            Z = _function(_definition(rest.body, context), "sigmoid")
            if Z is not None:
                return scaled(-1, Map(Z, Function("softplus")))
    return None


# ---------------------------------------------------------------------------------------------------------
# contract


@identity("coefficient", "contract", Scale, says="c (d A) -> (cd) A; 1 A -> A; 0 A -> 0", detail=True)
def _scale(node: Node, context: Context) -> Node | None:
    assert isinstance(node, Scale)
    c, A = node.coefficient, node.body
    if c == 0 or isinstance(A, Zero):
        return Zero(*node.shape)
    if c == 1:
        return A
    return scaled(c, A) if isinstance(A, Scale) else None


def _numbers_out(node: Node) -> tuple[sp.Expr, list[Node]] | None:
    """Return the product of the coefficients of the factors, and the factors without them."""
    if not any(isinstance(f, Scale) for f in node.operands):
        return None
    c: sp.Expr = sp.S.One
    bare = []
    for f in node.operands:
        if isinstance(f, Scale):
            c, f = c * f.coefficient, f.body
        bare.append(f)
    return c, bare


@identity(
    "coefficient in front",
    "contract",
    MatMul,
    Hadamard,
    SMul,
    Transpose,
    Diag,
    DiagOf,
    Slice,
    Embed,
    Reshape,
    Take,
    AddAt,
    SumOver,
    says="(cA)B -> c(AB)",
    detail=True,
)
def _coefficient_out(node: Node, context: Context) -> Node | None:
    found = _numbers_out(node)
    if found is None:
        return None
    c, bare = found
    if isinstance(node, SumOver) and node.bound in c.free_symbols:
        return None
    return scaled(c, node.rebuild(*bare))


@identity("scalar in front", "contract", MatMul, Hadamard, SMul, Transpose, says="(sA)B -> s(AB)", detail=True)
def _scalar_out(node: Node, context: Context) -> Node | None:
    if isinstance(node, SMul):
        s, A = node.operands
        if isinstance(s, Ones):
            return A
        if isinstance(A, Ones) and A.is_scalar_shape:
            return s
        return None
    if isinstance(node, MatMul) and len(node.operands) > 1:
        for k, f in enumerate(node.operands):
            if f.is_scalar_shape and not isinstance(f, Constant):
                return SMul(f, matmul(*node.operands[:k], *node.operands[k + 1 :]))
    for k, f in enumerate(node.operands):
        if isinstance(f, SMul) and not f.is_scalar_shape:
            rest = [*node.operands[:k], f.operands[1], *node.operands[k + 1 :]]
            return SMul(f.operands[0], node.rebuild(*rest))
    return None


@identity(
    "zero",
    "contract",
    Add,
    MatMul,
    Hadamard,
    SMul,
    Transpose,
    Where,
    Diag,
    DiagOf,
    Slice,
    Embed,
    Reshape,
    Take,
    AddAt,
    SumOver,
    says="0 A -> 0; A + 0 -> A",
    detail=True,
)
def _zero(node: Node, context: Context) -> Node | None:
    if isinstance(node, Add):
        kept = [t for t in node.operands if not isinstance(t, Zero)]
        if len(kept) == len(node.operands):
            return None
        return add(*kept) if kept else Zero(*node.shape)
    if isinstance(node, Where):
        return Zero(*node.shape) if all(isinstance(o, Zero) for o in node.operands[1:]) else None
    return Zero(*node.shape) if any(isinstance(o, Zero) for o in node.operands) else None


@identity("one factor", "contract", Add, MatMul, Hadamard, says="a product or sum of one is that one", detail=True)
def _single(node: Node, context: Context) -> Node | None:
    return node.operands[0] if len(node.operands) == 1 else None


MIRRORED = {
    "tril": "triu", "triu": "tril", "strict_tril": "strict_triu", "strict_triu": "strict_tril",
    "diagonal": "diagonal", "off_diagonal": "off_diagonal",
}
"""The kind of a pattern's transpose."""


@identity(
    "transpose of a product",
    "contract",
    Transpose,
    says="(AB)^T -> B^T A^T; (A + B)^T -> A^T + B^T; A^TT -> A; tril^T -> triu",
    detail=True,
)
def _transpose(node: Node, context: Context) -> Node | None:
    A = node.operands[0]
    if A.is_scalar_shape:
        return A
    if isinstance(A, Ones):
        return Ones(A.cols, A.rows)
    if isinstance(A, (Eye, Zero)):
        return A if isinstance(A, Eye) else Zero(A.cols, A.rows)
    if isinstance(A, Mask):
        return Mask(MIRRORED[A.kind], A.cols, A.rows) if A.kind in MIRRORED else None
    if isinstance(A, Ref) and "symmetric" in context.facts.get(A.name, ()):
        return A
    if isinstance(A, SumOver):
        return A.rebuild(T(A.operands[0]))
    if not has_rule(A) or isinstance(A, Map):
        return None if not isinstance(A, Map) else Map(*(T(o) for o in A.operands), A.function)
    turned = rule(A).transposed(A)
    return None if turned is node else turned


@identity("identity matrix", "contract", MatMul, says="I A -> A", detail=True)
def _eye(node: Node, context: Context) -> Node | None:
    kept = [f for f in node.operands if not isinstance(f, Eye)]
    if len(kept) == len(node.operands):
        return None
    return matmul(*kept) if kept else node.operands[0]


@identity("ones", "contract", MatMul, says="1^T 1 -> n; 1 1 1^T -> ones")
def _ones_product(node: Node, context: Context) -> Node | None:
    factors = list(node.operands)
    for k, (a, b) in enumerate(pairwise(factors)):
        if isinstance(a, Ones) and isinstance(b, Ones):
            inner = a.cols
            merged = Ones(a.rows, b.cols)
            if is_one(inner) and len(factors) > 2 and not is_one(a.rows) and not is_one(b.cols):
                continue  # the column and the row of 1 1^T stand apart beside another factor
            return scaled(inner, matmul(*factors[:k], merged, *factors[k + 2 :]))
    if len(factors) > 1:
        for k, f in enumerate(factors):
            if isinstance(f, Ones) and f.is_scalar_shape:
                return matmul(*factors[:k], *factors[k + 1 :])
        for k, f in enumerate(factors):
            if isinstance(f, Ones) and not is_one(f.rows) and not is_one(f.cols):
                return matmul(*factors[:k], Ones(f.rows, 1), Ones(1, f.cols), *factors[k + 1 :])
    return None


@identity("unit factor", "contract", Hadamard, says="A o 1 -> A", detail=True)
def _unit_hadamard(node: Node, context: Context) -> Node | None:
    kept = [f for f in node.operands if not isinstance(f, Ones)]
    if len(kept) == len(node.operands):
        return None
    return had(*kept) if kept else Ones(*node.shape)


@identity("guard", "contract", Hadamard, says="where(M, G, 0) o S -> where(M, G o S, 0)")
def _guard(node: Node, context: Context) -> Node | None:
    for k, f in enumerate(node.operands):
        if isinstance(f, Where) and any(isinstance(o, Zero) for o in f.operands[1:]):
            others = [*node.operands[:k], *node.operands[k + 1 :]]
            M, A, B = f.operands
            return Where(M, *(o if isinstance(o, Zero) else had(o, *others) for o in (A, B)))
    return None


@identity("one selection", "contract", Add, says="where(M, A, 0) + where(M, 0, B) -> where(M, A, B)")
def _one_selection(node: Node, context: Context) -> Node | None:
    for (i, a), (k, b) in combinations(enumerate(node.operands), 2):
        if isinstance(a, Where) and isinstance(b, Where) and a.operands[0] is b.operands[0]:
            cases = list(zip(a.operands[1:], b.operands[1:], strict=True))
            if all(isinstance(x, Zero) or isinstance(y, Zero) for x, y in cases):
                both = Where(a.operands[0], *(y if isinstance(x, Zero) else x for x, y in cases))
                rest = list(node.operands)
                rest[i] = both
                return add(*rest[:k], *rest[k + 1 :])
    return None


def _exponent(node: Node) -> tuple[Node, sp.Expr]:
    """Return an entrywise power as (base, exponent)."""
    if isinstance(node, Map) and len(node.operands) == 1 and not any(node.function.orders):
        if node.function.name == "recip":
            return node.operands[0], sp.S.NegativeOne
        if node.function.name == "power":
            return node.operands[0], node.function.parameters[0]
    return node, sp.S.One


@identity(
    "powers",
    "contract",
    Hadamard,
    says="A o recip(A) -> 1; A^2 o A -> A^3",
    condition="no zero entry where an exponent is negative",
)
def _powers(node: Node, context: Context) -> Node | None:
    parts = [_exponent(f) for f in node.operands]
    for k, (base, p) in enumerate(parts):
        for j in range(k):
            if parts[j][0] is base and (p != 1 or parts[j][1] != 1):
                merged = base ** (p + parts[j][1])
                rest = [f for i, f in enumerate(node.operands) if i not in (j, k)]
                return had(*rest[:j], merged, *rest[j:])
    return None


@identity(
    "cancel under a sum",
    "contract",
    Hadamard,
    says="A o (B + recip(A) o C) -> A o B + C",
    condition="no zero entry",
)
def _cancel(node: Node, context: Context) -> Node | None:
    for k, f in enumerate(node.operands):
        if not isinstance(f, Add):
            continue
        others = [*node.operands[:k], *node.operands[k + 1 :]]
        for A in others:
            base, p = _exponent(A)
            for term in f.operands:
                body = term.body if isinstance(term, Scale) else term
                for g in body.operands if isinstance(body, Hadamard) else (body,):
                    other, q = _exponent(g)
                    if other is base and p * q < 0:
                        return add(*(had(*node.operands[:k], t, *node.operands[k + 1 :]) for t in f.operands))
    return None


@identity("diagonal matrix", "contract", MatMul, DiagOf, says="diag(v) A -> (v 1^T) o A; A diag(v) -> A o (1 v^T)")
def _diagonal(node: Node, context: Context) -> Node | None:
    if isinstance(node, DiagOf):
        return node.operands[0].operands[0] if isinstance(node.operands[0], Diag) else None
    factors = node.operands
    for k, f in enumerate(factors):
        if isinstance(f, Diag) and len(factors) > 1:
            v = f.operands[0]
            if k + 1 < len(factors):
                right = matmul(*factors[k + 1 :])
                return matmul(*factors[:k], had(v if is_one(right.cols) else matmul(v, Ones(1, right.cols)), right))
            left = matmul(*factors[:k])
            return had(left, T(v) if is_one(left.rows) else matmul(Ones(left.rows, 1), T(v)))
    return None


@identity(
    "block of a block",
    "contract",
    Slice,
    Embed,
    Reshape,
    says="a block that is everything; a reshape to the same shape",
    detail=True,
)
def _whole(node: Node, context: Context) -> Node | None:
    A = node.operands[0]
    same = same_size(node.rows, A.rows) and same_size(node.cols, A.cols)
    if isinstance(node, Slice) and isinstance(A, Embed):
        r0, r1, c0, c1 = node.parameters
        e0, f0 = A.parameters[:2]
        B = A.operands[0]
        if same_size(r0, e0) and same_size(c0, f0) and same_size(r1 - r0, B.rows) and same_size(c1 - c0, B.cols):
            return B
        apart = [(r1, e0), (e0 + B.rows, r0), (c1, f0), (f0 + B.cols, c0)]
        if any(expanded(later - sooner).is_nonnegative for sooner, later in apart):
            return Zero(*node.shape)
    if not same:
        return None
    if isinstance(node, Reshape) and not (is_one(A.rows) or is_one(A.cols)):
        return A
    return A


def _term(node: Node) -> tuple[sp.Expr, Node]:
    return (node.coefficient, node.body) if isinstance(node, Scale) else (sp.S.One, node)


def term_key(node: Node) -> object:
    """Return a key under which terms are like: entrywise products in any order."""
    if isinstance(node, Hadamard):
        return ("hadamard", frozenset((f, node.operands.count(f)) for f in node.operands))
    return node


@identity(
    "einsum in matrix form",
    "contract",
    Einsum,
    says="ij,jk->ik -> A B; coefficients and transposes out of an einsum",
)
def _einsum(node: Node, context: Context) -> Node | None:
    assert isinstance(node, Einsum)
    found = contract(node.spec, node.operands)
    return None if found is node else found


@identity("like terms", "contract", Add, says="A + 2A -> 3A; c(A + B) + D -> cA + cB + D", detail=True)
def _like_terms(node: Node, context: Context) -> Node | None:
    if any(isinstance(t, Scale) and isinstance(t.body, Add) for t in node.operands):
        spread: list[Node] = []
        for t in node.operands:
            c, body = _term(t)
            spread += [scaled(c, u) for u in body.operands] if isinstance(body, Add) else [t]
        # A bracket is opened only when something in it meets its like outside.
        if len({term_key(_term(t)[1]) for t in spread}) < len(spread):
            return Add(*spread)
    totals: dict[object, tuple[sp.Expr, Node]] = {}
    for t in node.operands:
        c, body = _term(t)
        key = term_key(body)
        if key in totals:
            totals[key] = (totals[key][0] + c, totals[key][1])
        else:
            totals[key] = (c, body)
    if len(totals) == len(node.operands):
        return None
    kept = [scaled(sp.expand(c), body) for c, body in totals.values() if sp.expand(c) != 0]
    return add(*kept) if kept else Zero(*node.shape)


# ---------------------------------------------------------------------------------------------------------
# facts

COLUMN_SUMS = frozenset({"columns_sum_to_one", "one_hot_columns"})
ROW_SUMS = frozenset({"rows_sum_to_one", "one_hot_rows"})


def _known_sum(node: Node, axis: int, context: Context) -> sp.Expr | None:
    """Return the number to which each column (axis 0) or row of a matrix sums, if facts tell; None if they do not."""
    if isinstance(node, Transpose):
        return _known_sum(node.operands[0], 1 - axis, context)
    if isinstance(node, Scale):
        inside = _known_sum(node.body, axis, context)
        return None if inside is None else node.coefficient * inside
    if isinstance(node, Add):
        parts = [t.shape[axis] * c for c, t in map(_term, node.operands) if isinstance(t, Ones)]
        others = [_known_sum(t, axis, context) for t in node.operands if not isinstance(_term(t)[1], Ones)]
        return expanded(sum((*parts, *others), sp.S.Zero)) if others and None not in others else None
    value = _definition(node, context)
    if isinstance(value, Softmax):
        return sp.S.One if value.axis == axis else None
    if isinstance(value, Take) and isinstance(value.operands[0], Eye):
        return sp.S.One if value.axis != axis else None
    wanted = COLUMN_SUMS if axis == 0 else ROW_SUMS
    known = isinstance(node, Ref) and wanted & context.facts.get(node.name, frozenset())
    return sp.S.One if known else None


@identity(
    "column sums",
    "facts",
    MatMul,
    says="1^T Y -> 1^T; Y 1 -> 1; 1^T (aY + b 1 1^T) -> (a + nb) 1^T",
    condition="the columns (rows) of Y sum to one",
)
def _column_sums(node: Node, context: Context) -> Node | None:
    factors = node.operands
    for k, (a, b) in enumerate(pairwise(factors)):
        found = _known_sum(b, 0, context) if isinstance(a, Ones) else None
        if found is None and isinstance(b, Ones):
            found = _known_sum(a, 1, context)
        if found is not None:
            return scaled(found, matmul(*factors[:k], Ones(a.rows, b.cols), *factors[k + 2 :]))
    return None


@identity("entries 0 or 1", "facts", Hadamard, says="M o M -> M", condition="M is a 0/1 pattern")
def _idempotent(node: Node, context: Context) -> Node | None:
    binary = {"mask", "binary", "one_hot_columns", "one_hot_rows"}
    for k, f in enumerate(node.operands):
        name = f.name if isinstance(f, Ref) else ""
        if f in node.operands[:k] and binary & context.facts.get(name, frozenset()):
            return had(*node.operands[:k], *node.operands[k + 1 :])
    return None


@identity("entries 1 or -1", "facts", Hadamard, says="S o S -> 1", condition="the entries of S are 1 or -1")
def _signs(node: Node, context: Context) -> Node | None:
    for k, f in enumerate(node.operands):
        if f in node.operands[:k] and isinstance(f, Ref) and "signs" in context.facts.get(f.name, ()):
            j = node.operands.index(f)
            rest = [o for i, o in enumerate(node.operands) if i not in (j, k)]
            return had(*rest) if rest else Ones(*node.shape)
    return None


# ---------------------------------------------------------------------------------------------------------
# fold


@identity("named value", "fold", Map, Softmax, LogSumExp, says="f(Z) -> A, where A = f(Z)")
def _named(node: Node, context: Context) -> Node | None:
    return context.name(node)


@identity("slope through the value", "fold", Map, says="f'(Z) -> s(A), where A = f(Z)", source="F1.5")
def _slope(node: Node, context: Context) -> Node | None:
    assert isinstance(node, Map)
    orders = node.function.orders
    if sum(orders) != 1:
        return None
    base = Map(*node.operands, node.function.base)
    slot = orders.index(1)
    result = slope(base, context.name(base) or base, slot)
    if result is None:
        return Zero(*node.shape)
    return None if result is node else result


# ---------------------------------------------------------------------------------------------------------
# collect


def _is_spread(node: Node) -> tuple[Node, int] | None:
    """Return (row, 0) for ``1 row`` and (column, 1) for ``column 1^T``."""
    if isinstance(node, MatMul):
        if isinstance(node.operands[0], Ones) and is_one(node.operands[0].cols):
            return matmul(*node.operands[1:]), 0
        if isinstance(node.operands[-1], Ones) and is_one(node.operands[-1].rows):
            return matmul(*node.operands[:-1]), 1
    return None


@identity("broadcast through a sum", "collect", MatMul, says="1^T (A o 1v) -> (1^T A) o v")
def _broadcast_sum(node: Node, context: Context) -> Node | None:
    factors = node.operands
    for k, (a, b) in enumerate(pairwise(factors)):
        for ones_, body, axis in ((a, b, 0), (b, a, 1)):
            if not (isinstance(ones_, Ones) and isinstance(body, Hadamard)):
                continue
            if not is_one(ones_.rows if axis == 0 else ones_.cols):
                continue
            for j, f in enumerate(body.operands):
                spread = _is_spread(f)
                if spread is not None and spread[1] == axis:
                    rest = had(*body.operands[:j], *body.operands[j + 1 :])
                    reduced = had(sum_axis(rest, axis), spread[0])
                    return matmul(*factors[:k], reduced, *factors[k + 2 :])
    return None


@identity("common coefficient", "collect", Add, says="cA + cB -> c(A + B); the positive term first", detail=True)
def _common_coefficient(node: Node, context: Context) -> Node | None:
    terms = [_term(t) for t in node.operands]
    first = next((c for c, _ in terms if not c.could_extract_minus_sign()), -terms[0][0])
    ratios = [sp.cancel(c / first) if c != first else sp.S.One for c, _ in terms]
    common = sp.S.One
    if first != 1 and all(r.is_Integer for r in ratios):
        common = first
    elif all(c.could_extract_minus_sign() for c, _ in terms):
        common, ratios = sp.S.NegativeOne, [-c for c, _ in terms]
    else:
        ratios = [c for c, _ in terms]
    order = sorted(
        range(len(terms)),
        key=lambda k: bool(ratios[0].could_extract_minus_sign() and ratios[k].could_extract_minus_sign()),
    )
    if common == 1 and order == list(range(len(terms))):
        return None
    return scaled(common, Add(*(scaled(ratios[k], terms[k][1]) for k in order)))


@identity("common factor", "collect", Add, says="A o B + A o C -> A o (B + C); AB + AC -> A(B + C)")
def _common_factor(node: Node, context: Context) -> Node | None:
    terms = [_term(t) for t in node.operands]
    if len(terms) < 2:
        return None
    bodies = [b for _, b in terms]
    if all(isinstance(b, Hadamard) for b in bodies):
        for f in bodies[0].operands:
            if all(f in b.operands for b in bodies):
                rest = []
                for c, b in terms:
                    k = b.operands.index(f)
                    rest.append(scaled(c, had(*b.operands[:k], *b.operands[k + 1 :])))
                inner = add(*rest)
                return had(f, _like_terms(inner, context) or inner)
    if all(isinstance(b, MatMul) for b in bodies):
        for side in (0, -1):
            f = bodies[0].operands[side]
            if not isinstance(f, Constant) and all(b.operands[side] is f and len(b.operands) > 1 for b in bodies):
                rest = [scaled(c, matmul(*(b.operands[1:] if side == 0 else b.operands[:-1]))) for c, b in terms]
                inner = add(*rest)
                inner = _like_terms(inner, context) or inner
                return matmul(f, inner) if side == 0 else matmul(inner, f)
    return None


@identity(
    "transpose of a sum", "collect", Add, Hadamard, says="A^T + B^T -> (A + B)^T; A^T o B^T -> (A o B)^T", detail=True
)
def _transposes_out(node: Node, context: Context) -> Node | None:
    terms = [_term(t) for t in node.operands] if isinstance(node, Add) else [(sp.S.One, o) for o in node.operands]
    if not all(isinstance(body, Transpose) for _, body in terms):
        return None
    return T(node.rebuild(*(scaled(c, body.operands[0]) for c, body in terms)))


# A common factor may free a coefficient.
identity("coefficient", "collect", Scale, says="c (d A) -> (cd) A", detail=True)(_scale)
identity("coefficient in front", "collect", MatMul, Hadamard, SumOver, says="(cA)B -> c(AB)", detail=True)(
    _coefficient_out
)


def identities(phase: Phase) -> list[Identity]:
    """Return the identities of a phase, in order."""
    return [i for i in IDENTITIES if i.phase == phase]
