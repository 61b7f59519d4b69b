"""The reference interpreter: runs a plan on numbers, kernel by kernel, as plainly as its definition reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp

from symbp.expr import Contraction, Function, StaticMap, radix
from symbp.plan.fields import PlanError
from symbp.plan.fusion import slow_axis
from symbp.plan.letters import Digit, digits
from symbp.plan.ir import (
    Apply, Buffer, Call, Expr, Gemm, Kernel, Loop, Nest, Number, Pick, Plan, Position, Put, Read, View,
)

Array = np.ndarray[Any, np.dtype[Any]]
Scalar = Callable[[Function], Callable[..., Array]]
"""Gives an elementwise function on arrays."""


@dataclass
class Interpreter:
    """Runs plans whose sizes are numbers.

    plan:     the plan.
    given:    arrays by buffer name, each of shape (members..., rows, cols); they are written in place.
    function: gives elementwise functions.
    symbols:  numbers for symbols that are left in the plan (a batch, a rate).
    """

    plan: Plan
    given: Mapping[str, Array]
    function: Scalar
    symbols: Mapping[str, float] = field(default_factory=dict)
    dtype: Any = np.float64

    def run(self) -> dict[str, Array]:
        """Run the plan and return every buffer."""
        block = np.full(self.plan.block, np.nan, self.dtype)
        self.arrays = {n: self._place(b, block) for n, b in self.plan.buffers.items()}
        self._run(self.plan.body, {})
        return self.arrays

    def _place(self, buffer: Buffer, block: Array) -> Array:
        if buffer.name in self.given:
            return self.given[buffer.name]
        shape = tuple(self._int(x, {}) for x in (*buffer.extents, *buffer.held))
        offset = self.plan.storage.get(buffer.name)
        if offset is None:
            return np.full(shape, np.nan, self.dtype)
        # Shared memory: what another buffer wrote there is overwritten, as in the generated code.
        flat = block[offset : offset + int(np.prod(shape, dtype=int))]
        if buffer.order == "F":
            return flat.reshape((*shape[:-2], shape[-1], shape[-2])).swapaxes(-1, -2)
        return flat.reshape(shape)

    def _int(self, value: sp.Expr, at: Mapping[sp.Symbol, int]) -> int:
        number = value if value.is_Integer else value.xreplace(self._known(value, at))
        if not number.is_Integer:
            raise PlanError(f"{value} is no number: give its sizes")
        return int(number)

    def _known(self, value: sp.Expr, at: Mapping[sp.Symbol, int]) -> dict[sp.Expr, sp.Expr]:
        known: dict[sp.Expr, sp.Expr] = {s: sp.Integer(k) for s, k in at.items()}
        for s in value.free_symbols - known.keys():
            if s.name in self.symbols:
                known[s] = sp.sympify(self.symbols[s.name], strict=True)
        return known

    def view(self, view: View, at: Mapping[sp.Symbol, int]) -> Array:
        """Return the entries of a view as an array that shares its memory."""
        buffer = self.plan.buffers[view.buffer]
        member = self.arrays[view.buffer]
        for index, low, high in zip(view.where, buffer.lows, buffer.highs, strict=True):
            place, end = self._int(index, at) - self._int(low, at), self._int(high, at) - self._int(low, at)
            if not 0 <= place <= end:
                raise PlanError(f"{view.buffer} has no member {view.where} at {dict(at)}")
            member = member[place]
        rows, cols = self._int(view.rows, at), self._int(view.cols, at)
        r, c = self._int(view.row, at), self._int(view.col, at)
        down, right = (cols, rows) if view.turned else (rows, cols)
        window = buffer.window
        if window:
            down, right = (min(down, window), right) if buffer.order == "C" else (down, min(right, window))
        block = member[r : r + down, c : c + right]
        if block.shape != (down, right):
            raise PlanError(f"the block {view} lies outside its buffer of shape {member.shape}")
        return block.T if view.turned else block

    # -- kernels --------------------------------------------------------------------------------------------------
    def _run(self, body: tuple[Kernel, ...], at: dict[sp.Symbol, int]) -> None:
        for kernel in body:
            if isinstance(kernel, Loop):
                steps = range(self._int(kernel.low, at), self._int(kernel.high, at) + 1)
                for k in reversed(steps) if kernel.down else steps:
                    self._run(kernel.body, {**at, kernel.index: k})
            elif isinstance(kernel, Gemm):
                self._gemm(kernel, at)
            elif isinstance(kernel, Nest):
                self._nest(kernel, at)
            else:
                self._call(kernel, at)

    def _gemm(self, kernel: Gemm, at: dict[sp.Symbol, int]) -> None:
        if self.plan.buffers[kernel.out.buffer].window:
            self._gemm_by_blocks(kernel, at)
            return
        out = self.view(kernel.out, at)
        result = np.zeros(out.shape, out.dtype)
        for inner in self._stack(kernel, at):
            left, right = self._factors(kernel, inner)
            result = result + left @ right
        result = self.number(kernel.alpha, at) * result
        out[...] = out + result if kernel.accumulate else result
        if kernel.epilogue is not None:
            self._nest(kernel.epilogue, at)

    def _factors(self, kernel: Gemm, at: dict[sp.Symbol, int]) -> tuple[Array, Array]:
        """Return the operands; a packed one comes from its panels."""
        left, right = self.view(kernel.left, at), self.view(kernel.right, at)
        if kernel.form is None or not kernel.form.panel:
            return left, right
        panels = self.arrays[kernel.form.panel]
        if slow_axis(kernel.out, self.plan.buffers[kernel.out.buffer].order) == 0:
            return left, panels[: right.shape[0], : right.shape[1]]
        return panels[: left.shape[1], : left.shape[0]].T, right

    def _gemm_by_blocks(self, kernel: Gemm, at: dict[sp.Symbol, int]) -> None:
        """Make a block of the result and run the epilogue over it, before the next block takes its memory."""
        buffer, nest = self.plan.buffers[kernel.out.buffer], kernel.epilogue
        assert nest is not None and nest.axis is not None
        factors = [self._factors(kernel, inner) for inner in self._stack(kernel, at)]
        held = self.view(kernel.out, at)
        extent = self._int(nest.extent, at)
        for start in range(0, extent, buffer.window):
            stop = min(start + buffer.window, extent)
            if nest.axis == 0:
                held[: stop - start] = sum(left[start:stop] @ right for left, right in factors)
            else:
                held[:, : stop - start] = sum(left @ right[:, start:stop] for left, right in factors)
            for step in range(start, stop):
                for put in nest.puts:
                    self._put(put, at, nest.axis, step)

    def _steps(self, view: View, box: tuple[slice, slice], shape: tuple[int, ...]) -> tuple[slice, ...]:
        """Return the part of a view that belongs to a box: a side of 1 is spread, a window holds a few steps."""
        window = self.plan.buffers[view.buffer].window
        out = []
        for s, n in zip(box, shape, strict=True):
            if n == 1:
                out.append(slice(0, 1))
            elif window and n == window and s.stop - s.start == 1:
                out.append(slice(s.start % window, s.start % window + 1))
            else:
                out.append(s)
        return tuple(out)

    def _stack(self, kernel: Gemm, at: dict[sp.Symbol, int]) -> list[dict[sp.Symbol, int]]:
        found = [at]
        for index, low, high in kernel.stacked:
            found = [{**a, index: k} for a in found for k in range(self._int(low, a), self._int(high, a) + 1)]
        return found

    def _nest(self, nest: Nest, at: dict[sp.Symbol, int]) -> None:
        if nest.axis is None:
            for put in nest.puts:
                self._put(put, at, None, 0)
            return
        extent = self._int(nest.extent, at)
        for step in range(extent):
            for put in nest.puts:
                self._put(put, at, nest.axis, step)

    def _put(self, put: Put, at: dict[sp.Symbol, int], axis: int | None, step: int) -> None:
        """Execute a statement, or its part at one step along an axis."""
        target = self.view(put.target, at)
        rows, cols = (self._int(n, at) for n in put.domain)
        if axis is None:
            box = (slice(0, rows), slice(0, cols))
        else:
            box = (slice(step, step + 1), slice(0, cols)) if axis == 0 else (slice(0, rows), slice(step, step + 1))
        value = self._value(put.value, at, box)
        shape = tuple(s.stop - s.start for s in box)
        held = tuple(n == 1 for n in target.shape)
        value = np.broadcast_to(value, shape)
        over = tuple(a for a in put.over if a != axis)
        if over:
            if put.op == "argmax":
                value = np.argmax(value, axis=over[0], keepdims=True)
            else:
                value = np.add.reduce(value, axis=over, keepdims=True) if put.op == "sum" else np.max(
                    value, axis=over, keepdims=True
                )
        spread = self._steps(put.target, box, target.shape)
        place = tuple(slice(0, 1) if a in put.over or held[a] else spread[a] for a in (0, 1))
        across = axis is not None and axis in put.over
        first = step == 0 and not put.accumulate
        if put.op == "max" and across and not first:
            target[place] = np.maximum(target[place], value)
        elif put.accumulate or (across and not first):
            target[place] = target[place] + value
        else:
            target[place] = value

    def _call(self, kernel: Call, at: dict[sp.Symbol, int]) -> None:
        if kernel.map is not None:
            self._moved(kernel, kernel.map, at)
        elif kernel.routine in ("take", "add_at"):
            self._numbered(kernel, at)
        elif kernel.routine == "pack":
            self._packed(kernel, at)
        else:
            raise PlanError(f"there is no routine {kernel.routine}")

    def _numbered(self, kernel: Call, at: dict[sp.Symbol, int]) -> None:
        """Take columns by number, or add to them."""
        found, (out,) = [self.view(v, at) for v in kernel.reads], [self.view(v, at) for v in kernel.writes]
        places = found[1][0].astype(int)
        if kernel.routine == "take":
            out[...] = found[0][:, places]
        else:
            np.add.at(out.T, places, found[0].T)

    def _packed(self, kernel: Call, at: dict[sp.Symbol, int]) -> None:
        # The order of the entries in panels is the target's affair; here they stand as they are.
        for source, target in zip(kernel.reads, kernel.writes, strict=True):
            array = self.view(source, at)
            panels = self.view(target, at)
            panels[...] = 0
            panels[: array.shape[0], : array.shape[1]] = array

    def _moved(self, kernel: Call, rule: StaticMap, at: dict[sp.Symbol, int]) -> None:
        """Gather or scatter entries by a static map: the places of all entries, then one move of them."""
        (inside,), (target,) = ([self.view(v, at) for v in views] for views in (kernel.reads, kernel.writes))
        sizes = [self._int(s, at) for s in rule.sizes]
        values = np.indices(sizes).reshape(len(sizes), -1)
        held = np.ones(values.shape[1], bool)
        there, here = [], []
        for side in (rule.source_rows, rule.source_cols):
            place = np.zeros(values.shape[1], int)
            for digit in side:
                size, offset, *coefficients = (self._int(a, at) for a in digit.args)
                value = offset + np.array(coefficients) @ values
                held &= (value >= 0) & (value < size)
                place = place * size + value
            there.append(place)
        first = len(rule.rows)
        for part, extents in ((values[:first], sizes[:first]), (values[first:], sizes[first:])):
            here.append(radix(list(part), extents) + np.zeros(values.shape[1], int))
        source, result = (tuple(p[held] for p in side) for side in (there, here))
        target[...] = 0
        if kernel.routine == "gather":
            target[result] = inside[source]
        else:
            np.add.at(target, source, inside[result])

    # -- expressions ------------------------------------------------------------------------------------------------
    def number(self, value: sp.Expr, at: Mapping[sp.Symbol, int]) -> float:
        """Return an exact number."""
        known = value.xreplace(self._known(value, at))
        return float(known)

    def _value(self, e: Expr, at: dict[sp.Symbol, int], box: tuple[slice, slice]) -> Array:
        """Return an expression on a box of its domain; sides of 1 are spread later."""
        if isinstance(e, Number):
            return np.full((1, 1), self.number(e.value, at), self.dtype)
        if isinstance(e, Read):
            array = self.view(e.view, at)
            return array[self._steps(e.view, box, array.shape)]
        if isinstance(e, Position):
            column = np.arange(self._int(e.extent, at), dtype=self.dtype)
            return column[box[0], None] if e.axis == 0 else column[None, box[1]]
        if isinstance(e, Pick):
            array = self._pick(e, at)
            return array[tuple(s if n > 1 else slice(0, 1) for s, n in zip(box, array.shape, strict=True))]
        args = [self._value(a, at, box) for a in e.args]
        return self._apply(e, args)

    def _apply(self, e: Apply, args: list[Array]) -> Array:
        if e.op == "+":
            return sum(args[1:], args[0])
        if e.op == "*":
            out = args[0]
            for a in args[1:]:
                out = out * a
            return out
        if e.op == "where":
            return np.where(args[0] != 0, args[1], args[2])
        if isinstance(e.op, str):
            compare = {
                ">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal, "==": np.equal,
                "!=": np.not_equal,
            }[e.op]
            return compare(*args).astype(self.dtype)
        return np.asarray(self.function(e.op)(*args), dtype=self.dtype)

    def _pick(self, e: Pick, at: dict[sp.Symbol, int]) -> Array:
        kind, back = e.kind.removesuffix(".T"), e.kind.endswith(".T")
        shape = tuple(self._int(n, at) for n in (e.shape[::-1] if back else e.shape))
        source = self.view(e.view, at)
        sizes = [self._int(p, at) for p in e.parameters if isinstance(p, sp.Expr)]
        i, j = np.indices(shape)
        places: dict[str, Callable[[], tuple[Array, Array]]] = {
            "diagonal": lambda: (i, i),
            "reshape": lambda: _reshaped(i, j, shape, source.shape, str(e.parameters[0])),
            "letters": lambda: self._lettered(e, i, j, at),
            "kron_left": lambda: (i // sizes[0], j // sizes[1]),
            "kron_right": lambda: (i % sizes[0], j % sizes[1]),
        }
        out = source[places[kind]()]
        return out.T if back else out


    def _lettered(self, e: Pick, i: Array, j: Array, at: dict[sp.Symbol, int]) -> tuple[Array, Array]:
        (spec,) = e.parameters
        assert isinstance(spec, Contraction)

        def place(side: Sequence[Digit]) -> Array:
            found = np.zeros_like(i)
            for d in side:
                digit = (i, j)[d.axis] // self._int(d.below, at)
                digit = digit if d.extent is None else digit % self._int(d.extent, at)
                found = found + digit * self._int(d.stride, at)
            return found

        rows, cols = digits(spec)
        return place(rows), place(cols)


def _reshaped(i: Array, j: Array, shape: tuple[int, ...], source: tuple[int, ...], order: str) -> tuple[Array, Array]:
    """Return where the entries of a reshaped matrix stand in the matrix that it is made of."""
    if order == "C":
        flat = i * shape[1] + j
        return flat // source[1], flat % source[1]
    flat = j * shape[0] + i
    return flat % source[0], flat // source[0]
