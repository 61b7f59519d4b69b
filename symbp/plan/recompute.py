"""Saved or recomputed: a cheap entrywise value is written into the expressions that read it, instead of being kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symbp.expr import same_size
from symbp.plan.dependence import writers
from symbp.plan.ir import (
    Apply, Expr, Gemm, Kernel, Loop, Nest, Pick, Plan, Position, Put, Read, Shape, View, map_leaves, puts, reads,
    turned, views, walk, writes,
)

LIMIT = 4
"""The largest number of arithmetic operations of a value that is computed again where it is read."""


def operations(e: Expr) -> int:
    """Return the number of operations of an entrywise expression; a function counts as many as it costs."""
    if not isinstance(e, Apply):
        return 0
    own = len(e.args) - 1 if e.op in ("+", "*") else 1 if isinstance(e.op, str) else 20
    return own + sum(operations(a) for a in e.args)


def recompute(plan: Plan) -> Plan:
    """Write cheap values into the one statement that reads them, or into all of them if they cost next to nothing.

    The value must be a function of operands that do not change until it is read; products read matrices, so what a
    product reads stays saved.
    """
    inlining = _Inlining(plan)
    return plan.with_body(inlining.body(plan.body)).used()


class _Inlining:
    """Replaces reads of cheap values by the values, in order, so that a value may be made of others."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.count = writers(plan)
        self.changing = {n for n, c in self.count.items() if c > 1 or plan.buffers[n].role in ("param", "state")}
        self.readers: dict[str, int] = {}
        self.kept: set[str] = set(plan.outputs)
        self.values: dict[str, tuple[View, Expr]] = {}
        for kernel in walk(plan.body):
            if isinstance(kernel, Gemm):
                self.kept |= {kernel.left.buffer, kernel.right.buffer, kernel.out.buffer}
            if not isinstance(kernel, (Gemm, Nest)):
                self.kept |= {v.buffer for v in (*reads(kernel), *writes(kernel))}
            for put in puts(kernel):
                for name in _read_plainly(put.value, self.kept):
                    self.readers[name] = self.readers.get(name, 0) + 1

    def body(self, body: Sequence[Kernel]) -> tuple[Kernel, ...]:
        """Return a body whose cheap values are written where they are read."""
        out: list[Kernel] = []
        for kernel in body:
            if isinstance(kernel, Loop):
                inner = self.body(kernel.body)
                if inner:
                    out.append(replace(kernel, body=inner))
            elif isinstance(kernel, Nest):
                changed = tuple(replace(p, value=map_leaves(p.value, self.leaf)) for p in kernel.puts)
                nest = replace(kernel, puts=changed)
                if len(nest.puts) == 1 and self.cheap(nest.puts[0]):
                    self.values[nest.puts[0].target.buffer] = (nest.puts[0].target, nest.puts[0].value)
                else:
                    out.append(nest)
            else:
                out.append(kernel)
        return tuple(out)

    def cheap(self, put: Put) -> bool:
        """Tell whether a statement goes, because what it computes is written where it is read."""
        name = put.target.buffer
        buffer, readers = self.plan.buffers[name], self.readers.get(name, 0)
        if (
            name in self.kept or put.over or put.accumulate or self.count[name] != 1 or buffer.role != "scratch"
            or buffer.indices or not put.target.same_place(buffer.whole()) or readers == 0
            or not all(same_size(a, b) for a, b in zip(put.target.shape, put.value.shape, strict=True))
        ):
            return False
        cost = operations(put.value)
        if cost > LIMIT or (readers > 1 and cost > 1):
            return False
        return not (_operands(put.value) & self.changing or _placed(put.value))

    def leaf(self, e: Expr) -> Expr:
        """Return a leaf, or the value that stands in its place."""
        if not (isinstance(e, Read) and e.view.buffer in self.values):
            return e
        whole, value = self.values[e.view.buffer]
        value = turned(value) if whole.turned else value
        value = _block(value, e.view, (whole.cols, whole.rows) if whole.turned else whole.shape)
        return turned(value) if e.view.turned else value


def _operands(e: Expr) -> set[str]:
    return {v.buffer for v in views(e)}


def _placed(e: Expr) -> bool:
    """Tell whether an expression depends on where an entry stands."""
    return isinstance(e, (Position, Pick)) or any(_placed(a) for a in e.args)


def _read_plainly(e: Expr, kept: set[str]) -> list[str]:
    """Return the buffers that an expression reads entry by entry; what it reads otherwise is added to ``kept``."""
    found: list[str] = []
    if isinstance(e, Pick):
        kept.add(e.view.buffer)
    if isinstance(e, Read):
        found.append(e.view.buffer)
    for a in e.args:
        found += _read_plainly(a, kept)
    return found


def _block(e: Expr, view: View, shape: Shape) -> Expr:
    """Return the part of an expression that belongs to a block of the matrix that it makes."""
    rows, cols = (view.cols, view.rows) if view.turned else (view.rows, view.cols)
    if same_size(rows, shape[0]) and same_size(cols, shape[1]):
        return e

    def leaf(x: Expr) -> Expr:
        if isinstance(x, Read):
            r, c = x.view.shape
            down, across = (view.row, rows) if r != 1 else (0, r), (view.col, cols) if c != 1 else (0, c)
            return Read(x.view.block(down[0], across[0], down[1], across[1]))
        return x

    return map_leaves(e, leaf)
