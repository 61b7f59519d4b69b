"""Saved or recomputed: a cheap entrywise value is written into the expressions that read it, instead of being kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symbp.expr import same_size
from symbp.plan.dependence import writers
from symbp.plan.ir import (
    Apply, Expr, Gemm, Kernel, Loop, Nest, Pick, Plan, Position, Put, Read, Shape, View, map_leaves, puts, turned, views, walk,
    writes,
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
    """Write cheap values into the one statement that reads them, or into all of them if the value costs next to nothing.

    The value must be a function of operands that do not change until it is read; products read matrices, so what a
    product reads stays saved.
    """
    for _ in range(len(plan.buffers)):
        found = _candidate(plan)
        if found is None:
            return plan
        put, kernel = found
        plan = _inlined(plan, kernel, put)
    return plan


def _candidate(plan: Plan) -> tuple[Put, Kernel] | None:
    count = writers(plan)
    changing = {n for n, c in count.items() if c > 1 or plan.buffers[n].role == "param"}
    readers: dict[str, int] = {}
    kept: set[str] = set(plan.outputs)
    for kernel in walk(plan.body):
        if isinstance(kernel, Gemm):
            kept |= {kernel.left.buffer, kernel.right.buffer, kernel.out.buffer}
        if not isinstance(kernel, (Gemm, Nest)):
            kept |= {v.buffer for v in writes(kernel)}
        for put in puts(kernel):
            for name in _read_plainly(put.value, kept):
                readers[name] = readers.get(name, 0) + 1
    for kernel in walk(plan.body):
        if not (isinstance(kernel, Nest) and len(kernel.puts) == 1):
            continue
        (put,) = kernel.puts
        name = put.target.buffer
        buffer = plan.buffers[name]
        if (
            name in kept or put.over or put.accumulate or count[name] != 1 or buffer.role != "scratch"
            or buffer.indices or not put.target.same_place(buffer.whole()) or readers.get(name, 0) == 0
            or not all(same_size(a, b) for a, b in zip(put.target.shape, put.value.shape, strict=True))
        ):
            continue
        cost = operations(put.value)
        if cost > LIMIT or (readers[name] > 1 and cost > 1):
            continue
        if _operands(put.value) & changing or _placed(put.value):
            continue
        return put, kernel
    return None


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


def _inlined(plan: Plan, gone: Kernel, put: Put) -> Plan:
    name, whole = put.target.buffer, put.target

    def leaf(e: Expr) -> Expr:
        if not (isinstance(e, Read) and e.view.buffer == name):
            return e
        value = turned(put.value) if whole.turned else put.value
        value = _block(value, e.view, (whole.cols, whole.rows) if whole.turned else whole.shape)
        return turned(value) if e.view.turned else value

    def change(kernel: Kernel) -> Sequence[Kernel]:
        if kernel is gone:
            return ()
        if isinstance(kernel, Nest):
            return (replace(kernel, puts=tuple(replace(p, value=map_leaves(p.value, leaf)) for p in kernel.puts)),)
        return (kernel,)

    def visit(body: Sequence[Kernel]) -> tuple[Kernel, ...]:
        out: list[Kernel] = []
        for kernel in body:
            if isinstance(kernel, Loop):
                inner = visit(kernel.body)
                if inner:
                    out.append(replace(kernel, body=inner))
            else:
                out.extend(change(kernel))
        return tuple(out)

    return plan.with_body(visit(plan.body)).used()


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
