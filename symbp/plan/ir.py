"""What a plan is made of: buffers, views of them, entrywise expressions over views, and kernels.

A plan says what is computed where and in which order; it knows no language.  Kernels are of four kinds: ``Gemm`` (a
matrix product), ``Nest`` (entrywise statements and reductions), ``Loop`` (a family's index) and ``Call`` (a named
routine).  Operands are views, so that blocks, members and transposes are never copies.  Sizes are numbers or symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import sympy as sp

from symbp.expr import Function, Size, StaticMap, is_one, same_size
from symbp.program import Equation

Role = Literal["param", "state", "input", "const", "value", "gradient", "moment", "scratch"]
"""What a buffer is to the outside: declared ones come from the caller, values and gradients may go to the caller."""

Order = Literal["C", "F"]
"""Which entries are neighbours in memory: those of a row (C) or those of a column (F)."""

Shape: TypeAlias = tuple[Size, Size]


@dataclass(frozen=True)
class Buffer:
    """A place in memory for a matrix, or for the members of a family.

    name:        unique in its plan.
    rows, cols:  the shape of a member, a pattern in ``indices``.
    role:        what it is to the outside.
    indices:     the formal indices of a family, () for a single matrix.
    lows, highs: the first and the last value of each index.
    order:       how a member lies in memory.
    window:      if not 0, only so many steps along the slow axis are kept; step k lies at k modulo window.
    levels:      how many leading indices must be levels of lists, because the shape depends on them.
    scalar:      a number that is passed by value.
    of:          the variable that it holds.
    """

    name: str
    rows: Size
    cols: Size
    role: Role = "scratch"
    indices: tuple[sp.Symbol, ...] = ()
    lows: tuple[Size, ...] = ()
    highs: tuple[Size, ...] = ()
    order: Order = "C"
    levels: int = 0
    scalar: bool = False
    of: str = ""
    window: int = 0

    @property
    def shape(self) -> Shape:
        """Rows and columns of a member."""
        return self.rows, self.cols

    @property
    def extents(self) -> tuple[Size, ...]:
        """The number of members along each index."""
        return tuple(sp.expand(high - low + 1) for low, high in zip(self.lows, self.highs, strict=True))

    @property
    def entries(self) -> Size:
        """The number of its entries; only for a family whose members have one shape."""
        rows, cols = self.held
        return sp.expand(sp.Mul(rows, cols, *self.extents))

    @property
    def held(self) -> Shape:
        """Rows and columns that are in memory: fewer than the shape if there is a window."""
        if not self.window:
            return self.rows, self.cols
        window = sp.Integer(self.window)
        return (window, self.cols) if self.order == "C" else (self.rows, window)

    def whole(self, *where: Size) -> View:
        """Return the view of the matrix, or of the member at ``where``."""
        at = dict(zip(self.indices, where, strict=True))
        return View(self.name, self.rows.xreplace(at), self.cols.xreplace(at), where)


@dataclass(frozen=True)
class View:
    """A block of a buffer, or the transpose of one: entry (i, j) is entry (row + i, col + j) of the member.

    buffer:     the buffer's name.
    rows, cols: the shape of the view (after turning).
    where:      the member of a family.
    row, col:   where the block begins in the member.
    turned:     entry (i, j) of the view is entry (row + j, col + i) of the member.
    """

    buffer: str
    rows: Size
    cols: Size
    where: tuple[Size, ...] = ()
    row: Size = sp.S.Zero
    col: Size = sp.S.Zero
    turned: bool = False

    @property
    def shape(self) -> Shape:
        """Rows and columns of the view."""
        return self.rows, self.cols

    @property
    def T(self) -> View:
        """The transposed view."""
        return replace(self, rows=self.cols, cols=self.rows, turned=not self.turned)

    def block(self, row: Size, col: Size, rows: Size, cols: Size) -> View:
        """Return the view of a block that begins at (row, col)."""
        down, right = (col, row) if self.turned else (row, col)
        return replace(self, rows=rows, cols=cols, row=sp.expand(self.row + down), col=sp.expand(self.col + right))

    def at(self, mapping: Mapping[sp.Expr, sp.Expr]) -> View:
        """Return the view with loop indices replaced."""
        if not mapping or not self.moving:
            return self
        change = dict(mapping)
        where = tuple(w.xreplace(change) for w in self.where)
        return replace(self, where=where, row=self.row.xreplace(change), col=self.col.xreplace(change))

    @property
    def moving(self) -> bool:
        """Tell whether it is a member, or a block that begins at a place with a name in it: it may move with a loop."""
        return bool(self.where or self.row.free_symbols or self.col.free_symbols)

    def same_place(self, other: View) -> bool:
        """Tell whether both are the same entries of the same member, in the same order."""
        return self == other or (
            self.buffer == other.buffer and self.turned == other.turned
            and all(same_size(a, b) for a, b in zip(self._place, other._place, strict=True))
        )

    @property
    def _place(self) -> tuple[Size, ...]:
        return (*self.where, self.row, self.col, self.rows, self.cols)


# ---------------------------------------------------------------------------------------------------------
# Entrywise expressions.  A side of 1 is spread over the other operands' side, as in NumPy.


@dataclass(frozen=True)
class Read:
    """The entries of a view."""

    view: View

    @property
    def shape(self) -> Shape:
        """The shape of the view."""
        return self.view.shape

    @property
    def args(self) -> tuple[Expr, ...]:
        """No operands."""
        return ()


@dataclass(frozen=True)
class Pick:
    """Entries of a view taken from other places: entry (i, j) is entry ``place(i, j)`` of the view.

    kind: ``reshape`` (C or F order in ``parameters``), ``diagonal``, ``kron_left``, ``kron_right``; with the sizes
          that it needs as parameters; ``letters``, with the contraction that says which letters count which sides.
    """

    view: View
    kind: str
    parameters: tuple[sp.Basic, ...]
    shape: Shape

    @property
    def args(self) -> tuple[Expr, ...]:
        """No operands."""
        return ()


@dataclass(frozen=True)
class Number:
    """An exact number made of numbers and sizes, or an argument that the caller gives (``rate``)."""

    value: sp.Expr

    @property
    def shape(self) -> Shape:
        """It is spread over everything."""
        return sp.S.One, sp.S.One

    @property
    def args(self) -> tuple[Expr, ...]:
        """No operands."""
        return ()


@dataclass(frozen=True)
class Position:
    """The row (axis 0) or the column (axis 1) of an entry, counted from 0."""

    axis: int
    extent: Size

    @property
    def shape(self) -> Shape:
        """A column of row numbers, or a row of column numbers."""
        return (self.extent, sp.S.One) if self.axis == 0 else (sp.S.One, self.extent)

    @property
    def args(self) -> tuple[Expr, ...]:
        """No operands."""
        return ()


@dataclass(frozen=True)
class Apply:
    """An entrywise operation.

    op: ``+`` (n-ary), ``*`` (n-ary), ``where`` (mask, a, b), a comparison (``>``, ``>=``, ``<``, ``<=``, ``==``,
        ``!=``), or a ``Function`` of the elementwise table.
    """

    op: str | Function
    args: tuple[Expr, ...]

    @property
    def shape(self) -> Shape:
        """The shape to which the operands are spread."""
        rows: Size = sp.S.One
        cols: Size = sp.S.One
        for a in self.args:
            r, c = a.shape
            rows, cols = (r if is_one(rows) else rows), (c if is_one(cols) else cols)
        return rows, cols


Expr: TypeAlias = Read | Pick | Number | Position | Apply

ZERO, ONE = Number(sp.S.Zero), Number(sp.S.One)


def total(*terms: Expr) -> Expr:
    """Return a sum in written order; sums inside are flat, zeros go."""
    flat = [t for e in terms for t in (e.args if isinstance(e, Apply) and e.op == "+" else (e,)) if t != ZERO]
    return flat[0] if len(flat) == 1 else Apply("+", tuple(flat)) if flat else ZERO


def product(*factors: Expr) -> Expr:
    """Return an entrywise product in written order: numbers together in front, products inside flat, ones go."""
    flat = [f for e in factors for f in (e.args if isinstance(e, Apply) and e.op == "*" else (e,))]
    number = sp.Mul(*(f.value for f in flat if isinstance(f, Number)))
    rest = [f for f in flat if not isinstance(f, Number)]
    if number == 0:
        return ZERO
    every: list[Expr] = [Number(number), *rest] if number != 1 or not rest else [*rest]
    return every[0] if len(every) == 1 else Apply("*", tuple(every))


def turned(e: Expr) -> Expr:
    """Return the transpose of an entrywise expression: transposed leaves."""
    if isinstance(e, Read):
        return Read(e.view.T)
    if isinstance(e, Position):
        return Position(1 - e.axis, e.extent)
    if isinstance(e, Apply):
        return Apply(e.op, tuple(turned(a) for a in e.args))
    if isinstance(e, Pick):
        return Pick(e.view, f"{e.kind}.T" if not e.kind.endswith(".T") else e.kind[:-2], e.parameters, e.shape[::-1])
    return e


def views(e: Expr) -> Iterator[View]:
    """Yield the views that an expression reads, in order."""
    if isinstance(e, (Read, Pick)):
        yield e.view
    for a in e.args:
        yield from views(a)


def map_leaves(e: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """Return the expression with ``change`` applied to every leaf."""
    if isinstance(e, Apply):
        args = tuple(map_leaves(a, change) for a in e.args)
        if all(a is b for a, b in zip(args, e.args, strict=True)):
            return e
        return total(*args) if e.op == "+" else product(*args) if e.op == "*" else Apply(e.op, args)
    return change(e)


def map_reads(e: Expr, change: Callable[[View], View]) -> Expr:
    """Return the expression with every view changed."""
    def leaf(x: Expr) -> Expr:
        if isinstance(x, (Read, Pick)):
            view = change(x.view)
            return x if view is x.view else replace(x, view=view)
        return x
    return map_leaves(e, leaf)


# ---------------------------------------------------------------------------------------------------------
# Kernels


@dataclass(frozen=True)
class Put:
    """An entrywise statement: ``target = value``, or a reduction of the value over axes that the target lacks.

    over:       the axes that are reduced, () for none.
    op:         ``sum``, ``max``, or ``argmax`` (the place of the first largest entry).
    accumulate: the result is added to what the target holds.
    """

    target: View
    value: Expr
    over: tuple[int, ...] = ()
    op: Literal["sum", "max", "argmax"] = "sum"
    accumulate: bool = False
    source: Source | None = None

    @property
    def domain(self) -> Shape:
        """The shape over which the value runs."""
        rows, cols = self.value.shape
        if 0 not in self.over and not is_one(self.target.rows):
            rows = self.target.rows
        if 1 not in self.over and not is_one(self.target.cols):
            cols = self.target.cols
        return rows, cols


@dataclass(frozen=True)
class Source:
    """Where a statement comes from: an equation, and the numbers of indices of loops that were unrolled."""

    equation: Equation
    at: tuple[tuple[sp.Symbol, sp.Expr], ...] = ()
    part: str = ""


@dataclass(frozen=True)
class Nest:
    """Entrywise statements that run together.

    axis:   None: each statement runs over all its entries before the next begins.  0 or 1: the nest runs once over
            that axis of the statements' common domain, and at each step executes all statements for it.  A target
            with a side of 1 along the axis that is not reduced holds the value of the present step.
    extent: the length of the axis.
    """

    puts: tuple[Put, ...]
    axis: int | None = None
    extent: Size = sp.S.One


@dataclass(frozen=True)
class Form:
    """How a product is done by a target that has its own: in terms of memory, rows are the slow axis of the result.

    kind:  ``direct`` (the right factor is read along its rows), ``packed`` (from panels), ``dot`` (inner products),
           ``small`` (a right factor of few entries, in any order).
    block: how many rows are made at once, before the epilogue runs over them.
    panel: the buffer of the packed right factor.
    """

    kind: Literal["direct", "packed", "dot", "small"]
    block: int
    panel: str = ""


@dataclass(frozen=True)
class Gemm:
    """A matrix product: ``out = alpha left @ right``, added to what ``out`` holds if ``accumulate``.

    stacked:  indices over whose range the products are summed, each as (index, low, high): one product over stacked
              data where storage allows it.
    epilogue: entrywise statements that run on each block of rows (axis 0) or columns (axis 1) of the result while
              it is at hand.
    """

    out: View
    left: View
    right: View
    alpha: sp.Expr = sp.S.One
    accumulate: bool = False
    stacked: tuple[tuple[sp.Symbol, Size, Size], ...] = ()
    epilogue: Nest | None = None
    source: Source | None = None
    form: Form | None = None


@dataclass(frozen=True)
class Loop:
    """A loop over an index of families, both ends included."""

    index: sp.Symbol
    low: Size
    high: Size
    body: tuple[Kernel, ...]
    down: bool = False


@dataclass(frozen=True)
class Call:
    """A named routine: what it reads, what it writes.

    routine: ``gather``: entries picked by a static map; ``scatter``: entries added up where the map says that they
             came from, what is written is set to zero before; ``take``: column j of what is written is column
             ``ids[0, j]`` of A, reads A and ids, a row of whole numbers; ``add_at``: column ``ids[0, j]`` of what is
             written gets column j of G added, reads G, ids and what is written; ``pack``: the right factor of a
             product in panels.
    map:     the static map of ``gather`` and ``scatter``.
    """

    routine: Literal["gather", "scatter", "take", "add_at", "pack"]
    reads: tuple[View, ...]
    writes: tuple[View, ...]
    source: Source | None = None
    map: StaticMap | None = None


Kernel: TypeAlias = Gemm | Nest | Loop | Call


@dataclass(frozen=True)
class Plan:
    """One function of a generated module: kernels over buffers.

    name:     the function's name.
    buffers:  by name.
    body:     kernels in order.
    outputs:  the buffers that the caller gets.
    sizes:    the numbers of sizes, where they are given.
    history:  the passes that made it, in order, with what each changed.
    capacity: the largest value of each size that is known at run time only.
    storage:  the place of each shared buffer, in entries from the beginning of the block; after liveness only.
    """

    name: str
    buffers: Mapping[str, Buffer]
    body: tuple[Kernel, ...]
    outputs: tuple[str, ...]
    history: tuple[str, ...] = ()
    storage: Mapping[str, int] = field(default_factory=dict)
    block: int = 0
    capacity: Mapping[sp.Symbol, int] = field(default_factory=dict)

    def with_body(self, body: Sequence[Kernel]) -> Plan:
        """Return the plan with another body."""
        return replace(self, body=tuple(body))

    def with_buffers(self, *new: Buffer) -> Plan:
        """Return the plan with buffers added or replaced."""
        return replace(self, buffers={**self.buffers, **{b.name: b for b in new}})

    def used(self) -> Plan:
        """Return the plan without buffers that nothing reads or writes."""
        names = {v.buffer for k in walk(self.body) for v in (*reads(k), *writes(k))} | set(self.outputs)
        return replace(self, buffers={n: b for n, b in self.buffers.items() if n in names})


# ---------------------------------------------------------------------------------------------------------
# Walking


def walk(body: Sequence[Kernel]) -> Iterator[Kernel]:
    """Yield every kernel that is no loop, in order."""
    for kernel in body:
        if isinstance(kernel, Loop):
            yield from walk(kernel.body)
        else:
            yield kernel


def puts(kernel: Kernel) -> tuple[Put, ...]:
    """Return the entrywise statements of a kernel."""
    if isinstance(kernel, Nest):
        return kernel.puts
    if isinstance(kernel, Gemm) and kernel.epilogue is not None:
        return kernel.epilogue.puts
    return ()


def reads(kernel: Kernel) -> list[View]:
    """Return the views that a kernel reads (those of a loop's body included), also what it adds to."""
    found: list[View] = []
    if isinstance(kernel, Loop):
        return [v for k in kernel.body for v in reads(k)]
    if isinstance(kernel, Gemm):
        found += [kernel.left, kernel.right]
        if kernel.accumulate:
            found.append(kernel.out)
    if isinstance(kernel, Call):
        found += kernel.reads
    for put in puts(kernel):
        found += views(put.value)
        if put.accumulate:
            found.append(put.target)
    return found


def writes(kernel: Kernel) -> list[View]:
    """Return the views that a kernel writes (those of a loop's body included)."""
    if isinstance(kernel, Loop):
        return [v for k in kernel.body for v in writes(k)]
    if isinstance(kernel, Call):
        return list(kernel.writes)
    found = [kernel.out] if isinstance(kernel, Gemm) else []
    return found + [put.target for put in puts(kernel)]


def sources(kernel: Kernel) -> list[Source]:
    """Return where the statements of a kernel come from, each once."""
    if isinstance(kernel, Loop):
        return []
    own = [] if isinstance(kernel, Nest) else [kernel.source]
    return list(dict.fromkeys(s for s in (*own, *(p.source for p in puts(kernel))) if s is not None))


def map_kernels(body: Sequence[Kernel], change: Callable[[Kernel], Sequence[Kernel]]) -> tuple[Kernel, ...]:
    """Return the body with each kernel that is no loop replaced by the kernels that ``change`` gives."""
    out: list[Kernel] = []
    for kernel in body:
        if isinstance(kernel, Loop):
            inner = map_kernels(kernel.body, change)
            if inner:
                out.append(replace(kernel, body=inner))
        else:
            out.extend(change(kernel))
    return tuple(out)


def map_views(kernel: Kernel, change: Callable[[View], View]) -> Kernel:
    """Return a kernel with every view changed, read or written."""
    def put(p: Put) -> Put:
        return replace(p, target=change(p.target), value=map_reads(p.value, change))
    if isinstance(kernel, Loop):
        return replace(kernel, body=tuple(map_views(k, change) for k in kernel.body))
    if isinstance(kernel, Nest):
        return replace(kernel, puts=tuple(map(put, kernel.puts)))
    if isinstance(kernel, Call):
        return replace(kernel, reads=tuple(map(change, kernel.reads)), writes=tuple(map(change, kernel.writes)))
    epilogue = kernel.epilogue and replace(kernel.epilogue, puts=tuple(map(put, kernel.epilogue.puts)))
    return replace(
        kernel, out=change(kernel.out), left=change(kernel.left), right=change(kernel.right), epilogue=epilogue
    )
