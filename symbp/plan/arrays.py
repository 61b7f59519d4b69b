"""Lowering to a target of array operations: one operation at a time on whole arrays, each result into a given array.

The result is a plan of ``Gemm`` without coefficient, sum or epilogue, and of statements that are one operation each:

- ``a + b``, ``a - b`` (written ``a + (-1) * b``), ``a * b``, ``a / b`` (``a * recip(b)``), ``-a`` (``(-1) * a``),
- a comparison, a function of the table, ``where``, a copy,
- the sum, the largest entry or its place along an axis of ``a``; the sum of ``a`` or of ``a * b`` over all entries,
- ``target += a`` and ``target -= a``.

Numbers (1 x 1 temporaries that only sums of all entries and arithmetic make) are an exception: their statements are
arithmetic of numbers, which costs a target next to nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import sympy as sp

from symbp.expr import Function, Size, is_one, same_size
from symbp.plan.entries import Entries
from symbp.plan.fields import PlanError
from symbp.plan.ir import (
    ONE, ZERO, Apply, Buffer, Call, Expr, Gemm, Kernel, Loop, Nest, Number, Pick, Plan, Position, Put, Read, Source,
    View, map_views, product, puts, reads, total, turned, views, walk, writes,
)
from symbp.plan.liveness import lives
from symbp.plan.passes import step
from symbp.plan.products import split_coefficients, split_sums
from symbp.plan.rate import fold_rate
from symbp.program import fresh_name

MINUS = Number(sp.S.NegativeOne)
HALF = Number(sp.Rational(1, 2))
RECIP, TANH = Function("recip"), Function("tanh")

COMPARISONS = (">", ">=", "<", "<=", "==", "!=")


PASSES = (
    "copy propagation", "common subexpressions", "dead equations", "recompute", "stack products", "fuse loops", "carry",
)
"""The shared passes that come before, in order; then the rate moves, coefficients are split off, and it is lowered."""


def step_plan(entries: Entries) -> Plan:
    """Return the first plan of a training step that gives its caller the gradients as well."""
    plan = entries.plans["train_step"]
    gradients = [n for n in entries.gradients.values() if n in plan.buffers]
    roles = [replace(plan.buffers[n], role="gradient") for n in gradients]
    return replace(plan.with_buffers(*roles), outputs=(*plan.outputs, *gradients))


def signals(entries: Entries) -> frozenset[str]:
    """Return the variables that are adjoints or messages."""
    known = entries.derivation.program.variables.values()
    return frozenset(v.name for v in known if v.origin is not None and v.origin.role in ("adjoint", "message"))


def stages(entries: Entries) -> Iterator[tuple[str, Plan]]:
    """Yield the plan of a training step after each pass, by the pass's name; the last one is in array operations."""
    plan = step_plan(entries)
    lowering: dict[str, Callable[[Plan], Plan]] = {
        "fold the rate": lambda p: fold_rate(p, signals(entries)),
        "split coefficients": split_coefficients,
        "split sums": split_sums,
        "array operations": lower,
    }
    for name in PASSES:
        plan = step(plan, name)
        yield name, plan
    for name, change in lowering.items():
        plan = replace(change(plan), history=(*plan.history, name))
        yield name, plan


def lower(plan: Plan) -> Plan:
    """Return the plan in single array operations; temporaries have names of their own, see ``places``.

    Raises ``PlanError`` for a plan whose statements run step by step.
    """
    return _Lowering(plan).lowered()


# ---------------------------------------------------------------------------------------------------------
# Numbers


def numbers(plan: Plan) -> frozenset[str]:
    """Return the 1 x 1 temporaries that are numbers: sums of all entries, and arithmetic of numbers."""
    found = {
        n for n, b in plan.buffers.items()
        if b.role in ("scratch", "value") and is_one(b.rows) and is_one(b.cols) and not b.indices
    }
    while True:
        wrong = set()
        for kernel in walk(plan.body):
            if not isinstance(kernel, Nest):
                wrong |= {v.buffer for v in (*reads(kernel), *writes(kernel))} & found
            for put in puts(kernel):
                if put.target.buffer in found and not put.over and not _arithmetic(plan, put.value, found):
                    wrong.add(put.target.buffer)
                if put.over and put.op == "argmax":
                    wrong.add(put.target.buffer)
        if not wrong & found:
            return frozenset(found)
        found -= wrong


def _arithmetic(plan: Plan, e: Expr, found: set[str]) -> bool:
    if isinstance(e, Read):
        return e.view.buffer in found or plan.buffers[e.view.buffer].scalar
    return isinstance(e, Number) or (isinstance(e, Apply) and e.op in ("+", "*") and all(
        _arithmetic(plan, a, found) for a in e.args
    ))


# ---------------------------------------------------------------------------------------------------------
# What functions are made of


def _sigmoid(x: Expr) -> Expr:
    return total(product(HALF, Apply(TANH, (product(HALF, x),))), HALF)


def _power(f: Function, x: Expr) -> Expr | None:
    """Return a power through squares, roots and reciprocals; None for one that stays."""
    exponent = f.parameters[0]
    if exponent.could_extract_minus_sign():
        positive = x if exponent == -1 else Apply(Function("power", (-exponent,)), (x,))
        return Apply(RECIP, (positive,))
    if exponent == sp.Rational(1, 2):
        return Apply(Function("sqrt"), (x,))
    if exponent in (3, 4):
        square = Apply(Function("power", (sp.Integer(2),)), (x,))
        return product(square, x if exponent == 3 else square)
    return None


def made_of(e: Apply) -> Expr | None:
    """Return a function written with functions that array operations have; None for one that they have, or have not."""
    f = e.op
    if not isinstance(f, Function) or f.law is not None or f.is_free or any(f.orders):
        return None
    x = e.args[0]
    if f.name == "power":
        return _power(f, x)
    if f.name == "sigmoid":
        return _sigmoid(x)
    if f.name == "silu":
        return product(x, _sigmoid(x))
    if f.name == "mish":
        return product(x, Apply(TANH, (Apply(Function("softplus"), (x,)),)))
    if f.name == "softsign":
        return product(x, Apply(RECIP, (total(ONE, Apply(Function("abs"), (x,))),)))
    if f.name == "step":
        return Apply(">", (x, ZERO))
    return None


# ---------------------------------------------------------------------------------------------------------
# Lowering


@dataclass
class _Lowering:
    plan: Plan

    def __post_init__(self) -> None:
        self.numbers = set(numbers(self.plan))
        self.buffers: dict[str, Buffer] = dict(self.plan.buffers)
        self.out: list[Kernel] = []
        self.known: list[dict[Expr, View]] = [{}]
        self.source: Source | None = None

    def lowered(self) -> Plan:
        body = self.body(self.plan.body)
        return replace(self.plan, buffers=self.buffers, body=body).used()

    def body(self, body: Sequence[Kernel]) -> tuple[Kernel, ...]:
        outer, self.out = self.out, []
        self.known.append({})
        for kernel in body:
            if isinstance(kernel, Loop):
                for view in writes(kernel):
                    self.forget(view.buffer)
                self.out.append(replace(kernel, body=self.body(kernel.body)))
            elif isinstance(kernel, Gemm):
                self.gemm(kernel)
            elif isinstance(kernel, Call):
                for view in kernel.writes:
                    self.forget(view.buffer)
                self.out.append(kernel)
            elif isinstance(kernel, Nest) and kernel.axis is None:
                for put in kernel.puts:
                    self.put(put)
            elif isinstance(kernel, Call):
                for view in kernel.writes:
                    self.forget(view.buffer)
                self.out.append(kernel)
            else:
                raise PlanError("array operations run over whole arrays, not step by step")
        self.known.pop()
        found, self.out = tuple(self.out), outer
        return found

    # -- what is there already -------------------------------------------------------------------------------------
    def forget(self, buffer: str) -> None:
        """Forget the values that a write makes old."""
        for scope in self.known:
            for key in [k for k, v in scope.items() if v.buffer == buffer or any(r.buffer == buffer for r in views(k))]:
                del scope[key]

    def recall(self, key: Expr) -> View | None:
        return next((scope[key] for scope in reversed(self.known) if key in scope), None)

    def emit(self, target: View, value: Expr, over: tuple[int, ...] = (), op: str = "sum", add: bool = False) -> None:
        self.forget(target.buffer)
        self.out.append(Nest((Put(target, value, over, op, add, self.source),)))  # type: ignore[arg-type]
        if not over and not add and isinstance(value, Apply) and all(v.buffer != target.buffer for v in views(value)):
            self.known[-1][value] = target

    def temporary(self, shape: tuple[Size, Size], number: bool = False) -> View:
        base = self.source.equation.target.name if self.source else "x"
        name = fresh_name(f"{base}_1", self.buffers)
        if number:
            self.numbers.add(name)
        self.buffers[name] = Buffer(name, *shape)
        return self.buffers[name].whole()

    # -- products ------------------------------------------------------------------------------------------------
    def gemm(self, kernel: Gemm) -> None:
        """Write a product into rows that follow each other in memory: as it is, turned, or by way of a temporary."""
        if kernel.accumulate or kernel.alpha != 1 or kernel.epilogue is not None:
            raise PlanError("a product of arrays has no coefficient, no sum and no epilogue")
        self.source = kernel.source
        self.forget(kernel.out.buffer)
        if kernel.out.turned:
            kernel = replace(kernel, out=kernel.out.T, left=kernel.right.T, right=kernel.left.T)
        if self.in_one_piece(kernel.out):
            self.out.append(kernel)
            return
        made = self.temporary(kernel.out.shape)
        self.out.append(replace(kernel, out=made))
        self.emit(kernel.out, Read(made))

    def in_one_piece(self, view: View) -> bool:
        """Tell whether the entries of a view follow each other in memory, row by row."""
        buffer = self.buffers[view.buffer]
        cols = view.rows if view.turned else view.cols
        return not view.turned and view.col == 0 and same_size(cols, self.member(buffer, view)[1])

    @staticmethod
    def member(buffer: Buffer, view: View) -> tuple[Size, Size]:
        whole = buffer.whole(*view.where)
        return whole.rows, whole.cols

    def is_whole(self, view: View) -> bool:
        """Tell whether a view holds all entries of its member."""
        rows, cols = self.member(self.buffers[view.buffer], view)
        shape = (view.cols, view.rows) if view.turned else view.shape
        return view.row == 0 and view.col == 0 and same_size(shape[0], rows) and same_size(shape[1], cols)

    # -- statements ----------------------------------------------------------------------------------------------
    def put(self, put: Put) -> None:
        self.source = put.source
        target, value, over = put.target, put.value, put.over
        if target.buffer in self.numbers:
            self.number(put)
            return
        if target.turned:
            target, value, over = target.T, turned(value), tuple(1 - a for a in over)
        if over:
            self.reduce(target, value, over, put.op, put.accumulate)
        elif put.accumulate:
            terms = value.args if isinstance(value, Apply) and value.op == "+" else (value,)
            for term in terms:
                negative, inner = _sign(term)
                added = self.operand(inner)
                self.emit(target, product(MINUS, added) if negative else added, add=True)
        else:
            self.into(target, value)

    def reduce(self, target: View, value: Expr, over: tuple[int, ...], op: str, add: bool) -> None:
        read = self.operand(value)
        if not isinstance(read, Read):
            raise PlanError("a number has no axis to reduce over")
        # Sums are products with ones, whose results lie in one piece.
        through = add or not self.in_one_piece(target)
        made = self.temporary(target.shape) if through else target
        self.emit(made, read, over, op)
        if through:
            self.emit(target, Read(made), add=add)

    def number(self, put: Put) -> None:
        """Write a number: sums of all entries are one operation each, the rest is arithmetic of numbers."""
        target = put.target
        if not put.over:
            self.emit(target, put.value, add=put.accumulate)
            return
        if put.op != "sum":
            self.emit(target, self.operand(put.value), put.over, put.op)
            return
        terms = self.terms(put.value, put.domain)
        if len(terms) == 1 and terms[0][0] == 1 and terms[0][1] and not put.accumulate:
            self.emit(target, self.summed(terms[0][1]), put.over)
            return
        parts: list[Expr] = []
        for coefficient, factors in terms:
            if not factors:
                parts.append(Number(coefficient))
                continue
            made = self.temporary(target.shape, number=True)
            self.emit(made, self.summed(factors), (0, 1))
            parts.append(product(Number(coefficient), Read(made)))
        self.emit(target, total(*parts), add=put.accumulate)

    def summed(self, factors: tuple[Expr, ...]) -> Expr:
        """Return what is summed in one operation: an array, or a product of two whole ones."""
        operands = tuple(map(self.operand, factors))
        return operands[0] if len(operands) == 1 else Apply("*", operands)

    def terms(self, value: Expr, domain: tuple[Size, Size]) -> list[tuple[sp.Expr, tuple[Expr, ...]]]:
        """Return the terms of a sum over all entries in the form that costs least.

        Each is a coefficient and one array, or two of which it is the inner product, or none for a number.
        """
        forms = [_terms(value), _terms(_multiplied_out(value))]
        prepared = [[self.counted(c, t, domain) for c, t in form] for form in forms]
        return min(prepared, key=lambda form: sum(self.cost(factors) for _, factors in form))

    def counted(
        self, coefficient: sp.Expr, term: Expr, domain: tuple[Size, Size]
    ) -> tuple[sp.Expr, tuple[Expr, ...]]:
        """Return a term with its coefficient times the number of entries over which it is spread."""
        for own, side in zip(term.shape, domain, strict=True):
            if is_one(own) and not is_one(side):
                coefficient = coefficient * side
        return coefficient, () if term == ONE else self.paired(term)

    def paired(self, term: Expr) -> tuple[Expr, ...]:
        """Return the two whole arrays of which a term is the product, or its one value."""
        if isinstance(term, Apply) and isinstance(term.op, Function) and term.op == Function("power", (sp.Integer(2),)):
            term = Apply("*", (term.args[0], term.args[0]))
        if isinstance(term, Apply) and term.op == "*" and len(term.args) > 1:
            first, rest = term.args[0], term.args[1:]
            pair = (first, rest[0] if len(rest) == 1 else Apply("*", rest))
            if all(self.pairs_up(a, term.shape) for a in pair) and len({self.is_turned(a) for a in pair} - {None}) < 2:
                return pair
        return (term,)

    def pairs_up(self, e: Expr, domain: tuple[Size, Size]) -> bool:
        """Tell whether an expression is a whole array of numbers of the given shape, or will be one."""
        if not all(map(same_size, e.shape, domain)) or isinstance(e, (Number, Position)):
            return False
        if isinstance(e, Read):
            return self.is_whole(e.view)
        return not (isinstance(e, Apply) and (e.op in COMPARISONS or e.op == Function("step")))

    @staticmethod
    def is_turned(e: Expr) -> bool | None:
        """Tell whether an array is read turned; None for a temporary, which is not, and for one row or column."""
        if isinstance(e, Read):
            return None if is_one(e.view.rows) or is_one(e.view.cols) else e.view.turned
        return False

    def cost(self, factors: tuple[Expr, ...]) -> int:
        """Return the number of operations of a sum over all entries of a term."""
        return (1 if factors else 0) + sum(self.operations(a) for a in factors)

    def operations(self, e: Expr) -> int:
        if not isinstance(e, Apply) or self.recall(e) is not None:
            return 0
        if e.op in ("+", "*"):
            signs = [_sign(a)[1] if e.op == "+" else a for a in e.args]
            return len(e.args) - 1 + sum(self.operations(a) for a in signs)
        return 1 + sum(self.operations(a) for a in e.args)

    # -- expressions ---------------------------------------------------------------------------------------------
    def operand(self, e: Expr) -> Expr:
        """Return a number or an array that holds the value."""
        if isinstance(e, (Read, Number, Position)):
            return e
        target = self.temporary(e.shape)
        return self.into(target, e, fresh=True)

    def into(self, target: View, e: Expr, fresh: bool = False) -> Expr:
        """Write a value into a place, the last operation at least; return where it is.

        fresh: the place is a new temporary, and another place that holds the value already will do.
        """
        if isinstance(e, Apply):
            form = self.through_softplus(e) or made_of(e)
            if form is not None:
                return self.into(target, form, fresh)
            if e.op == "+":
                return self.sum(target, e, fresh)
            if e.op == "*":
                return self.product(target, e, fresh)
            if e.op == "where":
                return self.where(target, e, fresh)
            return self.done(target, Apply(e.op, tuple(self.operand(a) for a in e.args)), fresh)
        self.emit(target, e)
        return Read(target)

    def through_softplus(self, e: Apply) -> Expr | None:
        """Return the logistic function of what softplus is known of as ``exp(x - softplus(x))``."""
        if e.op != Function("sigmoid"):
            return None
        known = self.recall(Apply(Function("softplus"), e.args))
        return None if known is None else Apply(Function("exp"), (total(e.args[0], product(MINUS, Read(known))),))

    def done(self, target: View, value: Expr, fresh: bool) -> Expr:
        """Write one operation; return where its value is."""
        known = self.recall(value) if fresh else None
        if known is not None:
            if not any(target.buffer == v.buffer for k in self.out for v in writes(k)):
                self.buffers.pop(target.buffer)
            return Read(known)
        self.emit(target, value)
        return Read(target)

    def where(self, target: View, e: Apply, fresh: bool) -> Expr:
        mask, *branches = e.args
        if not (isinstance(mask, Apply) and mask.op in COMPARISONS):
            mask = Apply("!=", (mask, ZERO))
        return self.done(target, Apply("where", (self.operand(mask), *map(self.operand, branches))), fresh)

    def place(self, target: View, shape: tuple[Size, Size], later: Iterable[Expr]) -> View:
        """Return where a part of a value may stand: in its own place if that is free and fits, else in a temporary."""
        taken = any(v.buffer == target.buffer for e in later for v in views(e))
        fits = all(map(same_size, shape, target.shape))
        return target if fits and not taken else self.temporary(shape)

    def sum(self, target: View, e: Apply, fresh: bool) -> Expr:
        terms = [_sign(t) for t in e.args]
        flat = [_sign(t) for t in _flat(e)]
        if len(flat) > len(terms) and len(self.shared(flat)) < len(flat):
            terms = flat
        terms = self.shared(terms)
        # A number first, else a positive term: nothing needs to be negated.
        terms.sort(key=lambda term: term[0])
        if all(negative for negative, _ in terms):
            positive = total(*(t for _, t in terms))
            return self.done(target, Apply("*", (MINUS, self.operand(positive))), fresh)
        (_, first), *rest = terms
        if not rest:
            return self.alone(target, first, fresh)
        # What reads the place itself comes before the place is written.
        value = self.part(target, first, [t for _, t in rest])
        for k, (negative, term) in enumerate(rest):
            later = [t for _, t in rest[k + 1 :]]
            other = self.part(None, term, ())
            step = Apply("+", (value, Apply("*", (MINUS, other)) if negative else other))
            last = k == len(rest) - 1
            place = target if last else self.place(target, step.shape, later)
            value = self.done(place, step, fresh and last)
        return value

    def part(self, target: View | None, e: Expr, later: Iterable[Expr]) -> Expr:
        """Return an operand; a value that is computed for it may stand in the target if that is free."""
        if isinstance(e, (Read, Number, Position)):
            return e
        place = None if target is None else self.place(target, e.shape, later)
        if place is None or place != target:
            if place is not None:
                self.buffers.pop(place.buffer)
            return self.operand(e)
        return self.into(place, e)

    def outer(self, target: View, factors: Sequence[View]) -> Expr | None:
        """Write a column times a row as a product of matrices, which is quicker; None for other factors."""
        columns = [v for v in factors if is_one(v.cols) and not is_one(v.rows)]
        rows = [v for v in factors if is_one(v.rows) and not is_one(v.cols)]
        if len(columns) != 1 or len(rows) != 1 or any(self.buffers[v.buffer].scalar for v in factors):
            return None
        if any(v.buffer == target.buffer for v in factors):
            return None
        self.gemm(Gemm(target, columns[0], rows[0], source=self.source))
        return Read(target)

    def alone(self, target: View, e: Expr, fresh: bool) -> Expr:
        """Write a sum of one term or a product of one factor; nothing is copied for a new temporary."""
        if fresh and isinstance(e, (Read, Number, Position)):
            self.buffers.pop(target.buffer)
            return e
        return self.into(target, e, fresh)

    def shared(self, terms: list[tuple[bool, Expr]]) -> list[tuple[bool, Expr]]:
        """Return the terms of a sum with pairs that are known already in one term."""
        found = list(terms)
        for i, j in itertools.permutations(range(len(terms)), 2):
            (minus_a, a), (minus_b, b) = terms[i], terms[j]
            if not all(isinstance(x, (Read, Number)) for x in (a, b)):
                continue
            known = self.recall(Apply("+", (a, Apply("*", (MINUS, b)) if minus_a != minus_b else b)))
            if known is not None and (minus_a, a) in found and (minus_b, b) in found:
                found.remove((minus_a, a))
                found.remove((minus_b, b))
                found.insert(0, (minus_a, Read(known)))
        return found

    def product(self, target: View, e: Apply, fresh: bool) -> Expr:
        coefficient: sp.Expr = sp.S.One
        factors: list[Expr] = []
        divisors: list[Expr] = []
        for factor in _factors(e):
            if isinstance(factor, Number):
                coefficient = coefficient * factor.value
            elif isinstance(factor, Apply) and factor.op == RECIP:
                divisors.append(factor.args[0])
            else:
                factors.append(factor)
        # Small arrays first, which are then spread once; truth values last.
        groups: list[list[tuple[bool, Expr]]] = []
        items = [(False, f) for f in factors if not _is_mask(f)] + [(True, d) for d in divisors]
        for full in (False, True):
            groups.append([i for i in items if _is_full(i[1], e.shape) is full])
        masks = [(False, f) for f in factors if _is_mask(f)]
        small, large = groups[0], groups[1]
        steps: list[tuple[bool, Expr]]
        number: list[tuple[bool, Expr]] = [(False, Number(coefficient))] if coefficient != 1 else []
        if len(small) + len(number) > 1 and large and small:
            inner = [Apply(RECIP, (x,)) if below else x for below, x in (*number, *small)]
            steps = [*large, (False, Apply("*", tuple(inner)))]
        else:
            steps = [*large, *small, *number] if large or small else number
        steps += masks
        steps.sort(key=lambda step: step[0] and not _is_full(step[1], e.shape))
        if len(steps) == 2 and all(not below and isinstance(x, Read) for below, x in steps):
            outer = self.outer(target, [x.view for _, x in steps if isinstance(x, Read)])
            if outer is not None:
                return outer
        above = next((k for k, (below, _) in enumerate(steps) if not below), None)
        if above is None:
            (_, first), *rest = steps
            value = self.done(
                target if not rest else self.place(target, first.shape, [x for _, x in rest]),
                Apply(RECIP, (self.operand(first),)), fresh and not rest,
            )
        else:
            first = steps.pop(above)[1]
            rest = steps
            if not rest:
                return self.alone(target, first, fresh)
            value = self.part(target, first, [x for _, x in rest])
        for k, (below, factor) in enumerate(rest):
            later = [x for _, x in rest[k + 1 :]]
            other = self.part(None, factor, ())
            step = Apply("*", (value, Apply(RECIP, (other,)) if below else other))
            if isinstance(other, Number) and not below:
                step = Apply("*", (other, value))
            last = k == len(rest) - 1
            place = target if last else self.place(target, step.shape, later)
            value = self.done(place, step, fresh and last)
        return value


def _sign(term: Expr) -> tuple[bool, Expr]:
    """Return whether a term is subtracted, and what is added or subtracted."""
    if isinstance(term, Number) and term.value.could_extract_minus_sign():
        return True, Number(-term.value)
    if isinstance(term, Apply) and term.op == "*":
        number = next((f for f in term.args if isinstance(f, Number)), None)
        if number is not None and number.value.could_extract_minus_sign():
            rest = [f for f in term.args if f is not number]
            return True, product(Number(-number.value), *rest)
    return False, term


def _flat(e: Expr) -> Iterator[Expr]:
    """Yield the terms of a sum, those of sums inside too."""
    if isinstance(e, Apply) and e.op == "+":
        for a in e.args:
            yield from _flat(a)
        return
    negative, inner = _sign(e)
    if negative and isinstance(inner, Apply) and inner.op == "+":
        for a in _flat(inner):
            yield product(MINUS, a)
        return
    yield e


def _factors(e: Expr) -> Iterator[Expr]:
    """Yield the factors of a product, those of products and of powers inside too."""
    if isinstance(e, Apply) and e.op == "*":
        for a in e.args:
            yield from _factors(a)
        return
    form = made_of(e) if isinstance(e, Apply) else None
    if isinstance(form, Apply) and form.op in ("*", RECIP):
        yield from _factors(form)
    else:
        yield e


def _is_full(e: Expr, shape: tuple[Size, Size]) -> bool:
    return all(map(same_size, e.shape, shape))


def _is_mask(e: Expr) -> bool:
    return isinstance(e, Apply) and (e.op in COMPARISONS or (isinstance(e.op, Function) and e.op.name == "step"))


def _terms(e: Expr) -> list[tuple[sp.Expr, Expr]]:
    """Return the terms of a sum, each with its coefficient."""
    found = []
    for term in _flat(e):
        factors = term.args if isinstance(term, Apply) and term.op == "*" else (term,)
        number = sp.Mul(*(f.value for f in factors if isinstance(f, Number)))
        rest = [f for f in factors if not isinstance(f, Number)]
        found.append((number, product(*rest) if rest else ONE))
    return found


def _multiplied_out(e: Expr) -> Expr:
    """Return a sum with products of sums multiplied out; equal terms are joined."""
    collected: dict[Expr, sp.Expr] = {}
    for coefficient, factors in _monomials(e):
        key = product(*sorted(factors, key=repr)) if factors else ONE
        collected[key] = collected.get(key, sp.S.Zero) + coefficient
    terms = [product(Number(sp.expand(c)), t) for t, c in collected.items() if sp.expand(c) != 0]
    return total(*terms)


def _monomials(e: Expr) -> list[tuple[sp.Expr, tuple[Expr, ...]]]:
    if isinstance(e, Number):
        return [(e.value, ())]
    if isinstance(e, Apply) and e.op == "+":
        return [m for a in e.args for m in _monomials(a)]
    if isinstance(e, Apply) and e.op == "*":
        found: list[tuple[sp.Expr, tuple[Expr, ...]]] = [(sp.S.One, ())]
        for a in e.args:
            found = [(c * d, (*x, *y)) for c, x in found for d, y in _monomials(a)]
        return found
    return [(sp.S.One, (e,))]


# ---------------------------------------------------------------------------------------------------------
# Where temporaries live


def with_members(plan: Plan) -> Plan:
    """Return the plan with each temporary whose shape depends on an index of a loop as a family over that index."""
    around = dict(_around(plan.body, ()))
    changed: dict[str, tuple[sp.Symbol, ...]] = {}
    new: list[Buffer] = []
    for name, buffer in plan.buffers.items():
        loops = around.get(name, ())
        inside = [loop for loop in loops if any(s.has(loop.index) for s in buffer.shape)]
        if buffer.indices or not inside:
            continue
        formal = tuple(loop.index for loop in inside)
        new.append(replace(
            buffer, indices=formal, lows=tuple(loop.low for loop in inside),
            highs=tuple(loop.high for loop in inside), levels=len(inside),
        ))
        changed[name] = formal

    def change(view: View) -> View:
        return replace(view, where=changed[view.buffer]) if view.buffer in changed else view

    return plan.with_buffers(*new).with_body(tuple(map_views(k, change) for k in plan.body)) if new else plan


def _around(body: Sequence[Kernel], loops: tuple[Loop, ...]) -> Iterator[tuple[str, tuple[Loop, ...]]]:
    """Yield the loops around the uses of each buffer."""
    for kernel in body:
        if isinstance(kernel, Loop):
            yield from _around(kernel.body, (*loops, kernel))
        else:
            for view in (*reads(kernel), *writes(kernel)):
                yield view.buffer, loops


def masks(plan: Plan) -> frozenset[str]:
    """Return the temporaries of truth values: comparisons, which select or are factors beside numbers."""
    found = {
        n for n, b in plan.buffers.items() if b.role == "scratch" and n not in plan.outputs and not b.indices
    }
    found &= {p.target.buffer for k in walk(plan.body) for p in puts(k)}
    for kernel in walk(plan.body):
        if isinstance(kernel, Gemm):
            found -= {kernel.left.buffer, kernel.right.buffer, kernel.out.buffer}
        for put in puts(kernel):
            e = put.value
            if not (isinstance(e, Apply) and e.op in COMPARISONS) or put.over or put.accumulate:
                found.discard(put.target.buffer)
            taken = {v.buffer for v in views(e)} & found
            if isinstance(e, Apply) and e.op == "where":
                taken -= {v.buffer for v in views(e.args[0])} - {v.buffer for a in e.args[1:] for v in views(a)}
            elif isinstance(e, Apply) and e.op == "*" and not put.over:
                first, second = e.args
                if isinstance(first, Read) and isinstance(second, Read) and first.view.buffer not in found:
                    taken.discard(second.view.buffer)
            found -= taken
    return frozenset(found)


def places(plan: Plan, kept: Iterable[str] = ()) -> dict[str, str]:
    """Return the temporaries that live where another one lived before, by name, with the first one there.

    kept: temporaries that have a place of their own.

    Only temporaries of one shape share; one may take the place of an operand of the operation that makes it.
    """
    apart = set(kept) | numbers(plan) | masks(plan) | set(plan.outputs)
    known = {
        n: life for n, life in lives(plan).items() if n not in apart and not plan.buffers[n].indices
    }
    kernels = list(walk(plan.body))
    found: dict[str, str] = {}
    ends: dict[str, int] = {}
    for name in sorted(known, key=lambda n: (known[n].first, n)):
        buffer, life = plan.buffers[name], known[name]
        free = [
            first for first, end in ends.items()
            if plan.buffers[first].shape == buffer.shape and plan.buffers[first].order == buffer.order and (
                end < life.first or (end == life.first and _entry_by_entry(kernels[end - 1], name, found, first))
            )
        ]
        # The place that was used last is the warmest.
        host = max(free, key=lambda first: ends[first], default=name)
        if host != name:
            found[name] = host
        ends[host] = life.last
    return found


def _entry_by_entry(kernel: Kernel, name: str, found: Mapping[str, str], host: str) -> bool:
    """Tell whether a kernel writes each entry of a temporary from the same entry of what lives at a place."""
    if not isinstance(kernel, Nest) or len(kernel.puts) != 1:
        return False
    (put,) = kernel.puts
    if put.over or put.accumulate or put.target.buffer != name or not isinstance(put.value, Apply):
        return False
    if put.value.op == "where" or any(isinstance(a, Pick) for a in put.value.args):
        return False
    same = [v for v in views(put.value) if found.get(v.buffer, v.buffer) == host]
    return bool(same) and all(replace(v, buffer=name) == put.target for v in same)


def merged(plan: Plan, shared: Mapping[str, str]) -> Plan:
    """Return the plan with temporaries that share a place under one name."""
    def change(view: View) -> View:
        return replace(view, buffer=shared[view.buffer]) if view.buffer in shared else view

    return plan.with_body(tuple(map_views(k, change) for k in plan.body)).used()


__all__ = ["lower", "made_of", "masks", "merged", "numbers", "places", "signals", "stages", "step_plan", "with_members"]
