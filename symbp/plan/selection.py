"""From equations to kernels: products become ``Gemm``, everything else entrywise statements and reductions.

The first form of a plan: one equation after the other, each value in a buffer of its own.  The passes do the rest.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import sympy as sp

from symbp.expr import (
    Add, AddAt, ArgmaxMask, AxisNode, Compare, Contraction, Diag, DiagOf, Einsum, Embed, Eye, Function, Gather,
    Hadamard, Kron, LogSumExp, Map, Mask, MatMul, MaxAxis, Node, Ones, Ref, Reshape, SMul, Scale, Scatter, Sides,
    SizeMember, Slice, Softmax, SumOver, Take, Transpose, Where, Zero, is_one, refs, same_size, walk,
)
from symbp.ops import ELEMENTWISE, slope
from symbp.plan.fields import Field, Fields, PlanError, Sizes
from symbp.plan.ir import (
    ONE, ZERO, Apply, Buffer, Call, Expr, Gemm, Kernel, Loop, Nest, Number, Pick, Plan, Position, Put, Read, Source,
    View, product, total, turned,
)
from symbp.program import Equation, Program, Statement, fresh_name
from symbp.program import Loop as ProgramLoop

HALF = Number(sp.Rational(1, 2))
EXP, LOG, RECIP = Function("exp"), Function("log"), Function("recip")


def select(
    name: str, program: Program, body: Sequence[Statement], outputs: Sequence[str], fields: Fields, *,
    given: Sequence[str] = (),
) -> Plan:
    """Return the first plan of some statements of a program.

    name:    the plan's name.
    body:    the statements, in order.
    outputs: the variables that the caller gets.
    fields:  the buffers of the program's variables.
    given:   computed variables whose values the caller brings.

    Raises ``PlanError`` where a statement cannot be planned.
    """
    selection = _Selection(program, fields, set(given))
    selection.statements(body)
    wanted = []
    for output in outputs:
        wanted += selection.whole_buffers(output)
    return Plan(name, selection.buffers, tuple(selection.kernels), tuple(wanted), ("selection",)).used()


def _is_product(spec: Contraction) -> bool:
    """Tell whether each letter of a contraction of two factors is that of one of them, or summed and that of both."""
    a, b = (set("".join(sides)) for sides in spec.operands)
    return a & b == set(spec.summed) and a ^ b == set("".join(spec.out))


@dataclass
class _Selection:
    program: Program
    fields: Fields
    given: set[str]

    def __post_init__(self) -> None:
        self.buffers: dict[str, Buffer] = {}
        self.kernels: list[Kernel] = []
        self.at: dict[sp.Expr, sp.Expr] = {}
        self.source: Source | None = None
        self.spare: View | None = None
        self.known: list[dict[object, View]] = [{}]
        self.copied: set[str] = set()
        self.counter = itertools.count(1)

    # -- sizes, buffers -----------------------------------------------------------------------------------------
    @property
    def sizes(self) -> Sizes:
        return self.fields.sizes

    def size(self, value: sp.Expr) -> sp.Expr:
        return self.sizes.value(value, self.at)

    def shape(self, node: Node) -> tuple[sp.Expr, sp.Expr]:
        return self.size(node.rows), self.size(node.cols)

    def view(self, ref: Ref) -> View:
        where = tuple(self.size(i) for i in ref.indices)
        buffer, view = self.fields.view(ref.name, where)
        self.buffers.setdefault(buffer.name, buffer)
        return view

    def whole_buffers(self, name: str) -> list[str]:
        """Return the buffers that hold a computed variable, all members of it."""
        var = self.program.variables[name]
        return [b.name for b in self.buffers.values() if b.of == var.name]

    def temporary(self, rows: sp.Expr, cols: sp.Expr, said: str = "") -> View:
        """Return a new matrix, named after what it is, or after the variable that it is computed for."""
        taken = self.buffers.keys() | self.program.variables.keys()
        base = self.source.equation.target.name if self.source else "x"
        name = fresh_name(said or f"{base}_{next(self.counter)}", taken)
        self.buffers[name] = Buffer(name, rows, cols)
        return self.buffers[name].whole()

    # -- statements ---------------------------------------------------------------------------------------------
    def statements(self, body: Sequence[Statement]) -> None:
        for statement in body:
            if isinstance(statement, ProgramLoop):
                self.loop(statement)
            else:
                self.equation(statement)

    def loop(self, loop: ProgramLoop) -> None:
        low, high = self.size(loop.lo), self.size(loop.hi)
        self._copy_declared(loop.body)
        if self.sizes.given and _shapes_depend(loop.body, loop.index):
            steps = list(range(int(low), int(high) + 1))
            for k in reversed(steps) if loop.down else steps:
                with self._index(loop.index, sp.Integer(k)):
                    self.statements(loop.body)
            return
        if (high - low).is_negative:
            return
        with self._inside():
            self.statements(loop.body)
            inner = self.kernels
        self.kernels.append(Loop(loop.index, low, high, tuple(inner), loop.down))

    @contextmanager
    def _index(self, index: sp.Symbol, value: sp.Expr) -> Iterator[None]:
        before = self.at
        self.at = {**before, index: value}
        yield
        self.at = before

    @contextmanager
    def _inside(self) -> Iterator[None]:
        """Collect the kernels of a loop's body; what is known inside is not known outside."""
        outer, self.kernels = self.kernels, []
        self.known.append({})
        yield
        self.known.pop()
        self.kernels = outer

    def equation(self, equation: Equation) -> None:
        self._copy_declared([equation])
        target = self.view(equation.target)
        number = tuple((k, v) for k, v in self.at.items())
        self.source = Source(equation, number)
        self.assign(target, equation.value)
        self.source = None

    def _copy_declared(self, body: Sequence[Statement]) -> None:
        """Copy declared members of families that are also computed into the buffer of the whole family."""
        for equation in _equations(body):
            for ref in (equation.target, *refs(equation.value)):
                var = self.program.variables[ref.name]
                if ref.name in self.copied:
                    continue
                self.copied.add(ref.name)
                if var.zero_outside:
                    self._clear(var.name)
                if not var.declared or self.fields.direct(ref.name) or ref.name in self.given:
                    continue
                for field in self.fields.fields_of(ref.name):
                    for where, buffer in field.buffers.items():
                        self.buffers.setdefault(buffer.name, buffer)
                        self._copy_members(field, where, buffer)

    def _copy_members(self, field: Field, where: tuple[sp.Expr, ...], buffer: Buffer) -> None:
        split = dict(zip(field.free, where, strict=False))
        indices = {i: i for i in buffer.indices}
        member = [
            split.get(k, lo if k not in field.free else indices.get(i, i))
            for k, (i, (lo, _)) in enumerate(zip(field.var.indices, field.ends, strict=True))
        ]
        whole, target = self.fields.view(field.var.name, tuple(member))
        if whole.name == buffer.name:
            return  # a family of single matrices has no other place for it
        self.buffers.setdefault(whole.name, whole)
        kernel: Kernel = Nest((Put(target, Read(buffer.whole(*buffer.indices))),))
        for index, low, high in reversed(list(zip(buffer.indices, buffer.lows, buffer.highs, strict=True))):
            kernel = Loop(index, low, high, (kernel,))
        self.kernels.append(kernel)

    def _clear(self, name: str) -> None:
        """Set all members of a family to zero: those that no equation defines are read as zero."""
        var = self.program.variables[name]
        depth = self.fields.whole_levels(var) if self.sizes.given else 0
        prefixes: list[tuple[sp.Expr, ...]] = [()]
        if depth:
            ends = self.fields._hull(var)[:depth]
            prefixes = [()]
            for lo, hi in ends:
                prefixes = [(*p, sp.Integer(k)) for p in prefixes for k in range(int(lo), int(hi) + 1)]
        for prefix in prefixes:
            buffer = self.fields.whole(var, prefix)
            self.buffers.setdefault(buffer.name, buffer)
            kernel: Kernel = Nest((Put(buffer.whole(*buffer.indices), ZERO),))
            for index, low, high in reversed(list(zip(buffer.indices, buffer.lows, buffer.highs, strict=True))):
                kernel = Loop(index, low, high, (kernel,))
            self.kernels.append(kernel)

    # -- assignments --------------------------------------------------------------------------------------------
    def emit(self, kernel: Kernel) -> None:
        self.kernels.append(kernel)

    def put(self, target: View, value: Expr, over: tuple[int, ...] = (), op: str = "sum", add: bool = False) -> None:
        self.emit(Nest((Put(target, value, over, op, add, self.source),)))  # type: ignore[arg-type]

    def assign(self, target: View, node: Node, add: bool = False) -> None:
        """Write ``target = node``, or ``target += node``."""
        coefficient, inner = _coefficient(node)
        c = self.size(coefficient)
        if isinstance(inner, SumOver):
            self._sum_over(target, inner, c, add)
            return
        if isinstance(inner, MatMul) and self._product_into(target, inner, c, add):
            return
        if isinstance(inner, (Add, Embed)) and not add and coefficient == 1 and self._blocks(target, inner):
            return
        if isinstance(inner, AddAt) and add and coefficient == 1 and not self._touches(target, node):
            self._add_at_into(target, inner)
            return
        free = not add and not self._touches(target, node)
        before, self.spare = self.spare, target if free else None
        value = self.expression(node)
        self.spare = before
        if not (isinstance(value, Read) and value.view.same_place(target) and not add):
            self.put(target, value, add=add)

    def _touches(self, target: View, node: Node) -> bool:
        """Tell whether an expression may read the place that it is written to."""
        of = self.buffers[target.buffer].of
        return any(r.name == of for r in refs(node)) and not all(
            self._elsewhere(target, r) for r in refs(node) if r.name == of
        )

    def _elsewhere(self, target: View, ref: Ref) -> bool:
        """Tell whether a reference is to another member than the target, whatever the sizes."""
        variable = self.program.variables[ref.name]
        assert self.source is not None
        mine = self.source.equation.target
        if mine.name != variable.name or not ref.indices:
            return False
        gaps = [self.size(a) - self.size(b) for a, b in zip(mine.indices, ref.indices, strict=True)]
        return any(g.is_Integer and g != 0 for g in gaps)

    def _sum_over(self, target: View, node: SumOver, c: sp.Expr, add: bool) -> None:
        lo, hi = self.size(node.ends[0]), self.size(node.ends[1])
        body = node.operands[0]
        if self.sizes.given and _depends(body, node.bound):
            if not add:
                self.put(target, ZERO)
            for k in range(int(lo), int(hi) + 1):
                with self._index(node.bound, sp.Integer(k)):
                    self.assign(target, Scale(body, c) if c != 1 else body, add=True)
            return
        inner_c, inner = _coefficient(body)
        plain = isinstance(inner, MatMul) and not inner_c.has(node.bound)
        found = self._pair(inner) if plain else None
        if found is not None and not (hi - lo).is_negative:
            left, right = found
            alpha = self.size(inner_c) * c
            kernel = Gemm(target, left, right, alpha, add, ((node.bound, lo, hi),), source=self.source)
            self.emit(kernel)
            return
        if not add:
            self.put(target, ZERO)
        if (hi - lo).is_negative:
            return
        inside = target if c == 1 or not add else self.temporary(*target.shape)
        if inside is not target:
            self.put(inside, ZERO)
        with self._inside():
            self.assign(inside, body, add=True)
            kernels = self.kernels
        self.emit(Loop(node.bound, lo, hi, tuple(kernels)))
        if inside is not target:
            self.put(target, product(Number(c), Read(inside)), add=True)
        elif c != 1:
            self.put(target, product(Number(c), Read(target)))

    def _pair(self, node: MatMul) -> tuple[View, View] | None:
        """Return the operands of a product of two plain matrices over a long inner side; None for any other product."""
        if len(node.operands) != 2 or is_one(self.size(node.operands[0].cols)):
            return None
        found = [self._plain(a) for a in node.operands]
        return (found[0], found[1]) if found[0] is not None and found[1] is not None else None

    def _plain(self, node: Node) -> View | None:
        if isinstance(node, Ref):
            return self.view(node)
        if isinstance(node, Transpose):
            inner = self._plain(node.operands[0])
            return None if inner is None else inner.T
        return None

    def _blocks(self, target: View, node: Node) -> bool:
        """Write a sum of blocks in zeros block by block; tell whether the node is one."""
        terms = node.operands if isinstance(node, Add) else (node,)
        if not all(isinstance(t, Embed) for t in terms):
            return False
        places = []
        for term in terms:
            r0, c0, _, _ = (self.size(p) for p in term.parameters)
            rows, cols = self.shape(term.operands[0])
            places.append((r0, c0, rows, cols))
        if not _disjoint(places, target.shape):
            return False
        covered = sp.expand(sum(r * c for _, _, r, c in places) - target.rows * target.cols) == 0
        if not covered:
            self.put(target, ZERO)
        for term, (r0, c0, rows, cols) in zip(terms, places, strict=True):
            self.assign(target.block(r0, c0, rows, cols), term.operands[0])
        return True

    # -- products -----------------------------------------------------------------------------------------------
    def _product_into(self, target: View, node: MatMul, c: sp.Expr, add: bool) -> bool:
        """Write ``target (+)= c node`` for a product; reductions and spread vectors too.  Tell whether it was done."""
        reduction = self._reduction(node)
        if reduction is not None:
            inner, axes = reduction
            value = self.expression(inner)
            value, axes = self._shortened(value, inner, axes)
            if not axes:
                return False
            if c == 1:
                self.put(target, value, axes, add=add)
            elif add:
                sums = self.temporary(*target.shape)
                self.put(sums, value, axes)
                self.put(target, product(Number(c), Read(sums)), add=True)
            else:
                self.put(target, value, axes)
                self.put(target, product(Number(c), Read(target)))
            return True
        factors = self._factors(node)
        if factors is None or self._touches(target, node):
            return False
        left, right = factors
        if is_one(left.cols):
            return False
        self.emit(Gemm(target, left, right, c, add, source=self.source))
        return True

    def _reduction(self, node: MatMul) -> tuple[Node, tuple[int, ...]] | None:
        """Return (A, axes) for ``1^T A``, ``A 1`` and ``1^T A 1`` with a single row or column of ones; else None."""
        factors = list(node.operands)
        axes: list[int] = []
        if isinstance(factors[0], Ones) and is_one(self.size(factors[0].rows)) and len(factors) > 1:
            axes.append(0)
            factors = factors[1:]
        if isinstance(factors[-1], Ones) and is_one(self.size(factors[-1].cols)) and len(factors) > 1:
            axes.append(1)
            factors = factors[:-1]
        if not axes:
            return None
        return (factors[0] if len(factors) == 1 else MatMul(*factors)), tuple(axes)

    def _shortened(self, value: Expr, node: Node, axes: tuple[int, ...]) -> tuple[Expr, tuple[int, ...]]:
        """Drop axes along which a value is constant or has one entry: their sum is a multiple."""
        left = []
        for axis in axes:
            n = self.size(node.rows if axis == 0 else node.cols)
            if is_one(n):
                continue
            if is_one(value.shape[axis]):
                value = product(Number(n), value)
            else:
                left.append(axis)
        return value, tuple(left)

    def _factors(self, node: MatMul) -> tuple[View, View] | None:
        """Return the two views of the last product of a chain whose ones are gone; None if it is no product."""
        if any(isinstance(f, (Ones, Diag, Eye)) for f in node.operands):
            return None
        split = self._split(node.operands)
        return self.place(_chain(node.operands[:split])), self.place(_chain(node.operands[split:]))

    def _split(self, factors: Sequence[Node]) -> int:
        """Return where a chain of products is cut last: by the number of operations where sizes are numbers."""
        if len(factors) == 2:
            return 1
        sides = [self.size(factors[0].rows), *(self.size(f.cols) for f in factors)]
        if all(s.is_Integer for s in sides):
            return _cheapest([int(s) for s in sides], 0, len(factors))[1]
        return 1 if is_one(sides[-1]) else len(factors) - 1

    def place(self, node: Node) -> View:
        """Return the view of a matrix; what is no plain matrix is computed into a temporary."""
        before, self.spare = self.spare, None
        value = self.expression(node)
        self.spare = before
        rows, cols = self.shape(node)
        if isinstance(value, Read) and same_size(value.view.rows, rows) and same_size(value.view.cols, cols):
            return value.view
        target = self.temporary(rows, cols)
        self.put(target, value)
        return target

    def _result(self, node: Node) -> View:
        """Return where a product goes: the equation's own place if it is free and fits, else a temporary."""
        rows, cols = self.shape(node)
        spare = self.spare
        if spare is not None and same_size(spare.rows, rows) and same_size(spare.cols, cols):
            self.spare = None
            return spare
        return self.temporary(rows, cols)

    # -- expressions --------------------------------------------------------------------------------------------
    def expression(self, node: Node) -> Expr:
        """Return the entrywise expression of a node, after the kernels for what is not entrywise."""
        for kind, visit in _VISITS.items():
            if isinstance(node, kind):
                return visit(self, node)
        raise PlanError(f"{type(node).__name__} has no kernel")

    def _ref(self, node: Ref) -> Expr:
        view = self.view(node)
        return Read(view)

    def _ones(self, node: Ones) -> Expr:
        return ONE

    def _zero(self, node: Zero) -> Expr:
        return ZERO

    def _eye(self, node: Eye) -> Expr:
        return self._pattern("diagonal", *self.shape(node))

    def _mask(self, node: Mask) -> Expr:
        return self._pattern(node.kind, *self.shape(node))

    @staticmethod
    def _pattern(kind: str, rows: sp.Expr, cols: sp.Expr) -> Expr:
        i, j = Position(0, rows), Position(1, cols)
        relation = {
            "tril": ">=", "triu": "<=", "strict_tril": ">", "strict_triu": "<", "diagonal": "==", "off_diagonal": "!=",
        }
        if kind == "half_lower":
            return Apply("where", (Apply(">", (i, j)), ONE, Apply("where", (Apply("==", (i, j)), HALF, ZERO))))
        return Apply(relation[kind], (i, j))

    def _add(self, node: Add) -> Expr:
        # Products are added up in one place; the rest is entrywise.
        rest: list[Expr] = []
        into: View | None = None
        products = [t for t in node.operands if self._is_product(t)]
        for term in products:
            coefficient, inner = _coefficient(term)
            assert isinstance(inner, MatMul)
            before, self.spare = self.spare, None
            factors = self._factors(inner)
            self.spare = before
            assert factors is not None
            fresh = into is None
            if into is None:
                into = self._result(term)
            self.emit(Gemm(into, *factors, self.size(coefficient), not fresh, source=self.source))
        if into is not None:
            rest.append(Read(into))
        rest += [self.expression(t) for t in node.operands if t not in products]
        return total(*rest)

    def _is_product(self, node: Node) -> bool:
        _, inner = _coefficient(node)
        return (
            isinstance(inner, MatMul) and not any(isinstance(f, (Ones, Diag, Eye)) for f in inner.operands)
            and not is_one(self.size(self._inner_side(inner)))
        )

    def _inner_side(self, node: MatMul) -> sp.Expr:
        split = self._split(node.operands)
        return node.operands[split].rows

    def _scale(self, node: Scale) -> Expr:
        if self._is_product(node):
            return self._add(Add(node, Zero(*node.shape)))
        return product(Number(self.size(node.coefficient)), self.expression(node.body))

    def _multiply(self, node: Node) -> Expr:
        return product(*(self.expression(o) for o in node.operands))

    def _transpose(self, node: Transpose) -> Expr:
        before, self.spare = self.spare, None
        value = turned(self.expression(node.operands[0]))
        self.spare = before
        return value

    def _matmul(self, node: MatMul) -> Expr:
        reduction = self._reduction(node)
        if reduction is not None:
            inner, axes = reduction
            return self.reduced(inner, axes, "sum")
        factors = list(node.operands)
        for k, f in enumerate(factors):
            if isinstance(f, Eye):
                left = factors[:k] + factors[k + 1 :]
                return self.expression(_chain(left)) if left else self._eye(f)
        # A matrix of ones in the middle or at an end: sums on one side of it, spread on the other.
        for k, f in enumerate(factors):
            if isinstance(f, Ones):
                before = self.reduced(_chain(factors[:k]), (1,), "sum") if k else ONE
                after = self.reduced(_chain(factors[k + 1 :]), (0,), "sum") if k + 1 < len(factors) else ONE
                return product(before, after)
        for k, f in enumerate(factors):
            if isinstance(f, Diag):
                value = self.expression(f.operands[0])
                parts = []
                if k:
                    parts.append(self.expression(_chain(factors[:k])))
                if k + 1 < len(factors):
                    tail = _chain(factors[k + 1 :])
                    scaled = product(value, self.expression(tail))
                    if not parts:
                        return scaled
                    return self._product_of(_chain(factors[:k]), Hadamard(_spread(f.operands[0], tail), tail), node)
                return product(parts[0], turned(value))
        split = self._split(factors)
        left, right = _chain(factors[:split]), _chain(factors[split:])
        return self._product_of(left, right, node)

    def _product_of(self, left: Node, right: Node, node: Node) -> Expr:
        if is_one(self.size(left.cols)):
            before, self.spare = self.spare, None
            value = product(self.expression(left), self.expression(right))
            self.spare = before
            return value
        a, b = self.place(left), self.place(right)
        out = self._result(node)
        self.emit(Gemm(out, a, b, source=self.source))
        return Read(out)

    def reduced(self, node: Node, axes: tuple[int, ...], op: str) -> Expr:
        """Return the reduction of a node over axes, kept with sides of 1."""
        before, self.spare = self.spare, None
        value = self.expression(node)
        self.spare = before
        rows, cols = self.shape(node)
        if op == "sum":
            value, axes = self._shortened(value, node, axes)
        else:
            axes = tuple(a for a in axes if not is_one((rows, cols)[a]) and not is_one(value.shape[a]))
        if not axes:
            return ZERO if op == "argmax" else value
        key = (value, axes, op)
        known = self._recall(key)
        if known is None:
            shape = (sp.S.One if 0 in axes else value.shape[0], sp.S.One if 1 in axes else value.shape[1])
            read = value.view.buffer if isinstance(value, Read) else ""
            known = self.temporary(*shape, f"{read}_{op}" if read else "")
            self.put(known, value, axes, op)
            self._remember(key, known)
        return Read(known)

    def _recall(self, key: object) -> View | None:
        return next((scope[key] for scope in reversed(self.known) if key in scope), None)

    def _remember(self, key: object, view: View) -> None:
        self.known[-1][key] = view

    def _diag(self, node: Diag) -> Expr:
        rows, cols = self.shape(node)
        return Apply("where", (self._pattern("diagonal", rows, cols), self.expression(node.operands[0]), ZERO))

    def _diagof(self, node: DiagOf) -> Expr:
        return Pick(self.place(node.operands[0]), "diagonal", (), (self.size(node.rows), sp.S.One))

    def _slice(self, node: Slice) -> Expr:
        r0, _, c0, _ = (self.size(p) for p in node.parameters)
        return Read(self.place(node.operands[0]).block(r0, c0, *self.shape(node)))

    def _embed(self, node: Embed) -> Expr:
        target = self.temporary(*self.shape(node))
        self._blocks(target, node)
        return Read(target)

    def _reshape(self, node: Reshape) -> Expr:
        inner = self.place(node.operands[0])
        return Pick(inner, "reshape", (sp.core.symbol.Str(node.order), *inner.shape), self.shape(node))

    def _kron(self, node: Kron) -> Expr:
        a, b = (self.place(o) for o in node.operands)
        shape = self.shape(node)
        return product(Pick(a, "kron_left", b.shape, shape), Pick(b, "kron_right", b.shape, shape))

    def _gather(self, node: Gather | Scatter) -> Expr:
        source = self.place(node.operands[0])
        rule = node.map.with_sizes(self.size)
        routine: Literal["gather", "scatter"] = "gather" if isinstance(node, Gather) else "scatter"
        key = (routine, source, rule)
        known = self._recall(key)
        if known is None:
            known = self._result(node)
            self.emit(Call(routine, (source,), (known,), self.source, rule))
            self._remember(key, known)
        return Read(known)

    def _einsum(self, node: Einsum) -> Expr:
        """Return a contraction: a product of matrices where it is one by letters, else a nest over all letters.

        The nest runs over all entries of the result in a column, and along each row over the letters that are summed.
        """
        spec = node.spec
        spec = Contraction.of(spec.operands, spec.out, {x: self.size(n) for x, n in spec.sizes.items()})
        places = [self.place(A) for A in node.operands]
        kept, summed = "".join(spec.out), spec.summed
        if len(places) == 2 and summed and _is_product(spec):
            return self._letter_product(spec, places)

        def picked(view: View, sides: Sides, out: Sides) -> Expr:
            return Pick(view, "letters", (Contraction.of([sides], out, spec.sizes),), spec.shape(out))

        flat = (kept, summed) if summed else spec.out
        pairs = zip(places, spec.operands, strict=True)
        value = product(*(picked(view, sides, flat) for view, sides in pairs))
        if not summed:
            return value
        rows, terms = spec.shape(flat)
        target = self.temporary(rows, sp.S.One)
        self.put(target, value, () if is_one(terms) else (1,))
        return self._put_together(target, rows, spec)

    def _letter_product(self, spec: Contraction, places: Sequence[View]) -> Expr:
        """Return a contraction of two factors as a product, their letters put in order: summed ones inside."""
        first, second = ("".join(x for x in "".join(spec.out) if x in "".join(own)) for own in spec.operands)
        inner = spec.summed

        def placed(view: View, sides: Sides, wanted: Sides) -> View:
            if sides == wanted:
                return view
            target = self.temporary(*spec.shape(wanted))
            only = Contraction.of([sides], wanted, spec.sizes)
            self.put(target, Pick(view, "letters", (only,), spec.shape(wanted)))
            return target

        left = placed(places[0], spec.operands[0], (first, inner))
        right = placed(places[1], spec.operands[1], (inner, second))
        made = self.temporary(left.rows, right.cols)
        self.emit(Gemm(made, left, right, source=self.source))
        if (first, second) == spec.out:
            return Read(made)
        return Pick(made, "letters", (Contraction.of([(first, second)], spec.out, spec.sizes),), spec.shape(spec.out))

    def _put_together(self, column: View, rows: sp.Expr, spec: Contraction) -> Expr:
        """Return a column with the entries of the result, row by row, in its shape."""
        shape = spec.shape(spec.out)
        if is_one(shape[1]):
            return Read(column)
        return Pick(column, "reshape", (sp.core.symbol.Str("C"), rows, sp.S.One), shape)
    def _take(self, node: Take) -> Expr:
        target = self._result(node)
        before, self.spare = self.spare, None
        a, ids = (self.place(o) for o in node.operands)
        self.spare = before
        views = (target, a, ids) if node.axis == 1 else (target.T, a.T, ids.T)
        self.emit(Call("take", views[1:], views[:1], self.source))
        return Read(target)

    def _add_at(self, node: AddAt) -> Expr:
        target = self._result(node)
        before, self.spare = self.spare, None
        self.put(target, ZERO)
        self._add_at_into(target, node)
        self.spare = before
        return Read(target)

    def _add_at_into(self, target: View, node: AddAt) -> None:
        """Add the columns (rows) of a matrix to those of the target that have their numbers."""
        g, ids = (self.place(o) for o in node.operands)
        if node.axis == 0:
            target, g, ids = target.T, g.T, ids.T
        self.emit(Call("add_at", (g, ids, target), (target,), self.source))

    def _sum_node(self, node: SumOver) -> Expr:
        target = self._result(node)
        before, self.spare = self.spare, None
        self._sum_over(target, node, sp.S.One, False)
        self.spare = before
        return Read(target)

    def _map(self, node: Map) -> Expr:
        function = node.function
        entry = ELEMENTWISE.get(function.name)
        if entry is not None and function.law is None and not function.is_free and sum(function.orders) == 1:
            base = Map(*node.operands, function.base)
            written = slope(base, base, function.orders.index(1))
            return ZERO if written is None else self.expression(written)
        if function.is_free:
            raise PlanError(
                f"the function {function.name} is left open: say what it is, "
                f"for example --function {function.name}=tanh"
            )
        before, self.spare = self.spare, None
        args = tuple(self.expression(o) for o in node.operands)
        self.spare = before
        return Apply(function, args)

    def _where(self, node: Where) -> Expr:
        return Apply("where", tuple(self.expression(o) for o in node.operands))

    def _compare(self, node: Compare) -> Expr:
        return Apply(node.relation, tuple(self.expression(o) for o in node.operands))

    def _exponentials(self, node: AxisNode) -> tuple[View, Expr, Expr]:
        """Return exp(A - top) with its largest entries and its sums: computed once for one argument."""
        inner = node.operands[0]
        rows, cols = self.shape(inner)
        argument = Read(self.place(inner))
        key = ("exponentials", argument, node.axis)
        top = self.reduced(inner, (node.axis,), "max")
        found = self._recall(key)
        if found is None:
            found = self.temporary(rows, cols, f"{argument.view.buffer}_exp")
            self.put(found, Apply(EXP, (total(argument, product(Number(sp.S.NegativeOne), top)),)))
            self._remember(key, found)
        sums_key = (Read(found), (node.axis,), "sum")
        sums = self._recall(sums_key)
        if sums is None:
            shape = (sp.S.One, cols) if node.axis == 0 else (rows, sp.S.One)
            sums = self.temporary(*shape, f"{argument.view.buffer}_sum")
            self.put(sums, Read(found), (node.axis,))
            self._remember(sums_key, sums)
        return found, top, Read(sums)

    def _softmax(self, node: Softmax) -> Expr:
        before, self.spare = self.spare, None
        exponentials, _, sums = self._exponentials(node)
        self.spare = before
        return product(Read(exponentials), Apply(RECIP, (sums,)))

    def _logsumexp(self, node: LogSumExp) -> Expr:
        before, self.spare = self.spare, None
        _, top, sums = self._exponentials(node)
        self.spare = before
        return total(Apply(LOG, (sums,)), top)

    def _maximum(self, node: MaxAxis) -> Expr:
        return self.reduced(node.operands[0], (node.axis,), "max")

    def _argmax(self, node: ArgmaxMask) -> Expr:
        place = self.reduced(node.operands[0], (node.axis,), "argmax")
        rows, cols = self.shape(node)
        return Apply("==", (Position(node.axis, (rows, cols)[node.axis]), place))


_VISITS: dict[type[Node], Callable[[_Selection, Any], Expr]] = {
    Ref: _Selection._ref, Ones: _Selection._ones, Zero: _Selection._zero, Eye: _Selection._eye, Mask: _Selection._mask,
    Add: _Selection._add, Scale: _Selection._scale, SMul: _Selection._multiply, Hadamard: _Selection._multiply,
    Transpose: _Selection._transpose, MatMul: _Selection._matmul, Diag: _Selection._diag, DiagOf: _Selection._diagof,
    Slice: _Selection._slice, Embed: _Selection._embed, Reshape: _Selection._reshape, Kron: _Selection._kron,
    Take: _Selection._take, AddAt: _Selection._add_at, Einsum: _Selection._einsum, Gather: _Selection._gather,
    Scatter: _Selection._gather, SumOver: _Selection._sum_node, Map: _Selection._map, Where: _Selection._where,
    Compare: _Selection._compare, Softmax: _Selection._softmax,
    LogSumExp: _Selection._logsumexp, MaxAxis: _Selection._maximum, ArgmaxMask: _Selection._argmax,
}


# ---------------------------------------------------------------------------------------------------------


def _equations(body: Sequence[Statement]) -> Iterator[Equation]:
    for statement in body:
        if isinstance(statement, ProgramLoop):
            yield from _equations(statement.body)
        else:
            yield statement


def _coefficient(node: Node) -> tuple[sp.Expr, Node]:
    return (node.coefficient, node.body) if isinstance(node, Scale) else (sp.S.One, node)


def _chain(factors: Sequence[Node]) -> Node:
    return factors[0] if len(factors) == 1 else MatMul(*factors)


def _spread(column: Node, like: Node) -> Node:
    return column if is_one(like.cols) else MatMul(column, Ones(1, like.cols))


def _depends(node: Node, index: sp.Symbol) -> bool:
    """Tell whether the size of something in a node depends on an index."""
    return any(
        index in m.free_symbols
        for part in walk(node) for a in part.args if isinstance(a, sp.Expr) and not isinstance(a, Node)
        for m in a.atoms(SizeMember)
    )


def _shapes_depend(body: Sequence[Statement], index: sp.Symbol) -> bool:
    return any(_depends(e.value, index) or _depends(e.target, index) for e in _equations(body))


def _disjoint(places: Sequence[tuple[sp.Expr, ...]], shape: tuple[sp.Expr, sp.Expr]) -> bool:
    """Tell whether blocks of full rows, or of full columns, are known not to overlap."""
    if len(places) == 1:
        return True
    for along, across in ((0, 1), (1, 0)):
        if not all(same_size(p[2 + across], shape[across]) and p[across] == 0 for p in places):
            continue
        ordered = sorted(places, key=lambda p: str(p[along]))
        for chain in (sorted(places, key=lambda p: _key(p[along])), ordered):
            if all(sp.expand(b[along] - a[along] - a[2 + along]).is_nonnegative for a, b in itertools.pairwise(chain)):
                return True
    return False


def _key(value: sp.Expr) -> tuple[int, str]:
    number = value.as_coeff_Mul()[0]
    return (int(number) if number.is_Integer else 0, str(value))


def _cheapest(sides: Sequence[int], first: int, last: int) -> tuple[int, int]:
    """Return the least number of multiplications of a chain and where it is cut last."""
    if last - first == 1:
        return 0, first
    found = []
    for cut in range(first + 1, last):
        inner = _cheapest(sides, first, cut)[0] + _cheapest(sides, cut, last)[0]
        found.append((inner + sides[first] * sides[cut] * sides[last], cut))
    return min(found)
