"""Kernels of a plan as C statements: blocks of local pointers, loops, products."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import sympy as sp

from symbp.expr import Contraction, Digit, Function, Size, StaticMap, is_one
from symbp.plan import letters
from symbp.plan.fusion import SHARED, multiplications, slow_axis
from symbp.plan.ir import (
    Apply, Buffer, Call, Expr, Gemm, Kernel, Loop, Nest, Number, Pick, Plan, Position, Put, Read, Source, View, reads,
    sources, walk, writes,
)
from symbp.plan.products import Oriented, oriented
from symbp.plan.sweeps import Steps, Sweep, registers, steps_of, used_in
from symbp.render.c.functions import Functions
from symbp.render.c.products import Products
from symbp.render.c.scalars import (
    ATOM, CHOICE, COMPARE, PLUS, TIMES, UNARY, GenerateError, Linear, Real, ScalarPrinter, added, linear, place_text,
    times, wrap,
)

SHORT = (4, 16)
"""Loops of so few steps gcc unrolls too early to run several steps at once; they are marked so that it does not."""

LIBRARY = 10_000_000
"""From so many multiplications on a product is left to a BLAS library, where the user wants one."""

LINE = 16
"""What belongs to one thread begins so many entries behind one another's: on a line of a cache of its own."""

WIDTH = 116


@dataclass
class Names:
    """The local names of a function: none is a word of C, a name of libm, or taken twice."""

    reserved: frozenset[str]
    given: dict[str, str] = field(default_factory=dict)

    def __call__(self, name: str) -> str:
        """Return the local name of a buffer, a size or an index."""
        if name not in self.given:
            local = name
            while local in self.reserved or local in self.given.values():
                local += "_"
            self.given[name] = local
        return self.given[name]


@dataclass
class Writer:
    """Writes the kernels of one plan.

    plan:      the plan.
    real:      the type of numbers.
    functions: the elementwise functions of the module.
    products:  the products of the module.
    base:      the text of the place where a buffer begins, and whether it may only be read.
    note:      what stands beside a statement: its equation.
    capacity:  the largest value of a size that is known at run time only, by symbol.
    """

    plan: Plan
    real: Real
    functions: Functions
    products: Products
    names: Names
    base: Callable[[Buffer], tuple[str, bool]]
    note: Callable[[Source], str]
    capacity: Mapping[sp.Symbol, int]
    prefix: str

    def __post_init__(self) -> None:
        self.uses = used_in(self.plan)
        self.numbers: set[str] = {
            n for n, b in self.plan.buffers.items() if n in self.plan.outputs and b.role == "value" and self._single(b)
            and self.base(b)[0] == ""
        }
        self.inside = registers(self.plan)
        self.sums = self.windows = 0
        self.private: set[str] = set()
        self.libraries = self.short = False
        self.lows: dict[str, int] = {}
        self.start = ""

    @staticmethod
    def _single(buffer: Buffer) -> bool:
        return is_one(buffer.rows) and is_one(buffer.cols) and not buffer.indices

    # -- bodies ---------------------------------------------------------------------------------------------------
    def lines(self) -> list[str]:
        """Return the statements of the plan."""
        return list(self._body(self.plan.body))

    def _body(self, body: Sequence[Kernel]) -> Iterator[str]:
        for kernel in body:
            if isinstance(kernel, Loop):
                yield from self._loop(kernel)
            else:
                yield from self._block(kernel)

    def _loop(self, loop: Loop) -> Iterator[str]:
        index = self.names(str(loop.index))
        low, high = int(loop.low), int(loop.high)
        # A family's index may be negative: it counts from 0 here, and places in memory are set off accordingly.
        count = high - low + 1
        if loop.down:
            back = self.names(f"{loop.index}_back")
            yield f"for (size_t {back} = 0u; {back} < {count}u; ++{back}) {{   /* {loop.index} = {high}, ..., {low} */"
            yield f"    const size_t {index} = {count - 1}u - {back};"
        else:
            head = f"for (size_t {index} = 0u; {index} < {count}u; ++{index}) {{"
            yield f"{head}   /* {loop.index} = {low}, ..., {high} */"
        self.lows[str(loop.index)] = low
        yield from _indented(list(self._body(loop.body)))
        yield "}"

    def _block(self, kernel: Kernel) -> Iterator[str]:
        """Return a kernel in a block of its own: its equations, the places that it works on, the loops."""
        yield from self._comment(kernel)
        self.private = set()
        inner = list(self._kernel(kernel))
        yield "{"
        yield from _indented(list(self._pointers(kernel, inner)))
        yield from _indented(inner)
        yield "}"

    def _comment(self, kernel: Kernel) -> Iterator[str]:
        notes = []
        for source in sources(kernel):
            text = self.note(source)
            if text and text not in notes:
                notes.append(text)
        if isinstance(kernel, Call) and kernel.routine == "pack":
            notes.append(f"{kernel.writes[0].buffer}: {kernel.reads[0].buffer} in panels")
        elif not notes:
            targets = dict.fromkeys(self.plan.buffers[v.buffer].of or v.buffer for v in writes(kernel))
            notes.append(", ".join(targets))
        for k, text in enumerate(notes):
            yield ("/* " if k == 0 else "   ") + text.replace("*/", "* /") + (" */" if k == len(notes) - 1 else "")

    def _pointers(self, kernel: Kernel, inner: Sequence[str]) -> Iterator[str]:
        written = {v.buffer for v in writes(kernel)}
        places = list(dict.fromkeys(v.buffer for v in (*writes(kernel), *reads(kernel))))
        if isinstance(kernel, Gemm) and kernel.form is not None and kernel.form.panel:
            places.append(kernel.form.panel)
        always, library, plain = (_words(part) for part in self._parts(inner))
        shared = self._shared(places)
        for name in places:
            buffer, local = self.plan.buffers[name], self.names(name)
            if name in self.numbers | self.inside | self.private or buffer.scalar:
                continue
            if local not in always | library | plain:
                continue
            const = "" if name in written else "const "
            alone = "" if name in shared else "restrict "
            pointer = f"{const}{self.real.name} *{alone}const {local} = {self.base(buffer)[0]};"
            if local in always or local in library & plain:
                yield pointer
            else:
                # What only the library reads, or only our own product, is unused where the other one is compiled.
                unless = "" if local in library else "!"
                yield from (f"#if {unless}defined({self.prefix.upper()}_USE_CBLAS)", pointer, "#endif")

    def _parts(self, lines: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
        """Return the lines that are always compiled, those with a BLAS library, and those without."""
        parts: tuple[list[str], list[str], list[str]] = [], [], []
        begin, now = f"defined({self.prefix.upper()}_USE_CBLAS)", 0
        opened = False
        for line in lines:
            text = line.strip()
            if text in (f"#if {begin}", f"#if !{begin}"):
                now, opened = (1 if "!" not in text else 2), True
            elif opened and text == "#else":
                now = 3 - now
            elif opened and text == "#endif":
                now, opened = 0, False
            else:
                parts[now].append(line)
        return parts

    def _shared(self, names: Sequence[str]) -> set[str]:
        """Return the buffers of a kernel that lie where another one of it does: those that work in place."""
        found: set[str] = set()
        storage = self.plan.storage
        known = [(storage[n], storage[n] + self.entries(self.plan.buffers[n]), n) for n in names if n in storage]
        for a, b, n in known:
            for c, d, o in known:
                if n != o and a < d and c < b:
                    found.add(n)
        return found

    def entries(self, buffer: Buffer) -> int:
        """Return how many entries a buffer holds."""
        return int(buffer.entries.xreplace(dict(self.capacity)))

    # -- sizes, places --------------------------------------------------------------------------------------------
    def size(self, value: Size) -> str:
        """Return a size as text."""
        value = sp.expand(value)
        if value.is_Integer:
            return f"{int(value)}u"
        return place_text(linear(value, lambda s: self.names(str(s))))

    def _strides(self, buffer: Buffer) -> tuple[tuple[int, ...], int, int]:
        """Return the distances in memory between members along each index, between rows, and between columns."""
        rows, cols = (int(sp.expand(n).xreplace(dict(self.capacity))) for n in buffer.held)
        row, col = (cols, 1) if buffer.order == "C" else (1, rows)
        member, out = rows * cols, []
        for extent in reversed(buffer.extents):
            out.append(member)
            member *= int(sp.expand(extent).xreplace(dict(self.capacity)))
        return tuple(reversed(out)), row, col

    def origin(self, view: View) -> dict[str, int]:
        """Return where a view begins in its buffer."""
        buffer = self.plan.buffers[view.buffer]
        members, row, col = self._strides(buffer)
        parts: list[Linear] = []
        for where, low, stride in zip(view.where, buffer.lows, members, strict=True):
            parts.append(times(self._index(where - low), stride))
        parts += [times(self._index(view.row), row), times(self._index(view.col), col)]
        return added(*parts)

    def _index(self, value: sp.Expr) -> dict[str, int]:
        found = linear(value, lambda s: str(s))
        out: dict[str, int] = {}
        for name, coefficient in found.items():
            out[self.names(name) if name else ""] = out.get(self.names(name) if name else "", 0) + coefficient
            if name in self.lows:
                out[""] = out.get("", 0) + coefficient * self.lows[name]
        return out

    def steps(self, view: View) -> tuple[int, int]:
        """Return the distances in memory from row to row and from column to column of a view."""
        _, row, col = self._strides(self.plan.buffers[view.buffer])
        return (col, row) if view.turned else (row, col)

    def element(self, view: View, i: Linear, j: Linear) -> str:
        """Return the text of entry (i, j) of a view."""
        name, buffer = view.buffer, self.plan.buffers[view.buffer]
        local = self.names(name)
        if buffer.scalar and buffer.role == "input":
            return f"inputs->{buffer.name}"
        if name in self.numbers:
            return local
        row, col = self.steps(view)
        i = {} if is_one(view.rows) else i
        j = {} if is_one(view.cols) else j
        if buffer.window and self.start:
            # The window holds the present block of steps.
            slow = slow_axis(view, buffer.order)
            if slow == 0:
                i = added(i, {self.start: -1})
            else:
                j = added(j, {self.start: -1})
        return f"{local}[{place_text(added(self.origin(view), times(i, row), times(j, col)))}]"

    # -- kernels --------------------------------------------------------------------------------------------------
    def _kernel(self, kernel: Kernel) -> Iterator[str]:
        if isinstance(kernel, Gemm):
            yield from self._gemm(kernel)
        elif isinstance(kernel, Nest):
            yield from self._nest(kernel)
        elif isinstance(kernel, Call) and kernel.routine == "pack":
            yield from self._pack(kernel)
        elif isinstance(kernel, Call):
            yield from self._numbered(kernel) if kernel.map is None else self._move(kernel, kernel.map)
        else:
            raise GenerateError(f"{type(kernel).__name__} has no C form")

    def _pack(self, kernel: Call) -> Iterator[str]:
        (source,), (target,) = kernel.reads, kernel.writes
        depth, column = self.steps(source)
        name = self.products.pack(int(source.cols), int(source.rows), depth, column)
        call = f"{name}({self._pointer(source)}, {self.names(target.buffer)});"
        users = [k for k in walk(self.plan.body) if isinstance(k, Gemm) and k.form and k.form.panel == target.buffer]
        if all(multiplications(k, self.plan) >= LIBRARY for k in users):
            # A library packs for itself.
            yield from (f"#if !defined({self.prefix.upper()}_USE_CBLAS)", call, "#endif")
        else:
            yield call

    def _numbered(self, kernel: Call) -> Iterator[str]:
        """Take columns by number, or add them up: neighbours in memory in the inner loop."""
        source, ids = kernel.reads[:2]
        (target,) = kernel.writes
        rows, count = self.size(target.rows), self.size(ids.cols)
        i, j = {"i": 1}, {"j": 1}
        # A number out of range would be an address out of bounds: it counts as 0.
        zero = self.real.literal(sp.S.Zero)
        last = self.real.literal(source.cols if kernel.routine == "take" else target.cols)
        taken, given = (source, target) if kernel.routine == "take" else (target, source)
        there, here = self._element_at(taken, "i", "place"), self.element(given, i, j)
        yield f"for (size_t j = 0u; j < {count}; ++j) {{"
        yield f"    const {self.real.name} number = {self.element(ids, {}, j)};"
        yield f"    const size_t place = number > {zero} && number < {last} ? (size_t)number : 0u;"
        yield f"    for (size_t i = 0u; i < {rows}; ++i) {{"
        yield f"        {here} = {there};" if kernel.routine == "take" else f"        {there} += {here};"
        yield from ("    }", "}")
    def _move(self, kernel: Call, rule: StaticMap) -> Iterator[str]:
        """Gather or scatter entries by a static map: a loop for each digit, bounds where the map leaves the source."""
        rule = rule.proper
        gather = kernel.routine == "gather"
        (read,), (write,) = kernel.reads, kernel.writes
        result, source = (write, read) if gather else (read, write)
        steps = self._digit_steps(result, rule.rows, rule.cols)
        weights = self._digit_steps(
            source, [d.size for d in rule.source_rows], [d.size for d in rule.source_cols]
        )
        names = [self.names(f"at_{k}") for k in range(len(rule.sizes))]
        values = [
            {"": int(d.offset), **{names[k]: int(d.coefficients[k]) for k in d.moving}} for d in rule.digits
        ]
        guards = [(d, v) for d, v in zip(rule.digits, values, strict=True) if _leaves(d, rule.sizes)]
        here = added(self.origin(result), *({n: s} for n, s in zip(names, steps, strict=True)))
        there = added(self.origin(source), *(times(v, w) for v, w in zip(values, weights, strict=True)))
        entry, other = (
            f"{self.names(view.buffer)}[{place_text(place)}]" for view, place in ((result, here), (source, there))
        )
        if guards or not gather:
            yield from self._zeroed(write)
        loops = [(names[k], rule.sizes[k]) for k in sorted(range(len(names)), key=lambda k: -steps[k])]
        yield from self._digit_loops(loops, guards, f"{entry} = {other};" if gather else f"{other} += {entry};")

    def _digit_steps(self, view: View, rows: Sequence[Size], cols: Sequence[Size]) -> list[int]:
        """Return the distances in memory between neighbours along each digit of the rows, then of the columns."""
        found: list[int] = []
        for step, sizes in zip(self.steps(view), (rows, cols), strict=True):
            for k in range(len(sizes)):
                weight = sp.expand(step * sp.Mul(*sizes[k + 1 :]))
                if not weight.is_Integer:
                    raise GenerateError(
                        f"the places in {view.buffer} depend on {weight}, which is known at run time only: give it a "
                        "number with --size, in place of --largest"
                    )
                found.append(int(weight))
        return found

    def _zeroed(self, view: View) -> Iterator[str]:
        """Return what sets the entries of a view to zero, in the order of memory."""
        down, right = self.steps(view)
        loops = [("i", view.rows, down), ("j", view.cols, right)]
        (outer, rows, _), (inner, cols, _) = sorted(loops, key=lambda loop: -loop[2])
        text, zero = self.element(view, {"i": 1}, {"j": 1}), self.real.literal(sp.S.Zero)
        yield f"for (size_t {outer} = 0u; {outer} < {self.size(rows)}; ++{outer}) {{"
        yield f"    for (size_t {inner} = 0u; {inner} < {self.size(cols)}; ++{inner}) {{ {text} = {zero}; }}"
        yield "}"

    def _digit_loops(
        self, loops: Sequence[tuple[str, Size]], guards: Sequence[tuple[Digit, Linear]], statement: str
    ) -> Iterator[str]:
        """Return nested loops over digits; each guard stands in the outermost loop that knows the digit's value."""
        if not loops:
            yield statement
            return
        (name, size), inner = loops[0], loops[1:]
        later = {n for n, _ in inner}
        known = [(d, v) for d, v in guards if not later & v.keys()]
        rest = [g for g in guards if g not in known]
        lines: list[str] = []
        first, stop = "0u", self.size(size)
        rising = all(c > 0 for _, v in known for n, c in v.items() if n)
        if len(known) == 1 and known[0][1].get(name) == 1 and not inner and rising:
            # The innermost loop runs over those entries only that are inside: nothing is tested in it.
            digit, value = known[0]
            begin = added(value, {name: -1})
            before = max(-begin.get("", 0), 0)
            outside = place_text(added(begin, {"": before}))
            end = place_text(added(self._index(digit.size), {"": before}))
            first, stop, left = (self.names(word) for word in ("first_in", "stop_in", "left_in"))
            yield f"const size_t {first} = {outside} < {before}u ? {before}u - ({outside}) : 0u;" if before else (
                f"const size_t {first} = 0u;"
            )
            yield f"const size_t {left} = {outside} < {end} ? {end} - ({outside}) : 0u;"
            yield f"const size_t {stop} = {left} < {self.size(size)} ? {left} : {self.size(size)};"
        else:
            # Below zero is beyond the end, too: numbers without a sign wrap around.
            lines += [f"if ({place_text(v)} >= {self.size(d.size)}) {{ continue; }}" for d, v in known]
        lines += list(self._digit_loops(inner, rest, statement))
        yield f"for (size_t {name} = {first}; {name} < {stop}; ++{name}) {{"
        yield from _indented(lines)
        yield "}"

    def _pointer(self, view: View, extra: Linear | None = None) -> str:
        place = added(self.origin(view), extra or {})
        local = self.names(view.buffer)
        return local if not place else f"&{local}[{place_text(place)}]"

    def _gemm(self, kernel: Gemm) -> Iterator[str]:
        buffer = self.plan.buffers[kernel.out.buffer]
        o = oriented(kernel, buffer.order)
        nest, form = kernel.epilogue, kernel.form
        assert form is not None
        block, rows = form.block, o.rows
        shared = self._shares(kernel)
        if (nest is None and not shared) or (rows.is_Integer and int(rows) <= block):
            yield from self._product(kernel, o, self.size(rows), {})
            if nest is not None:
                yield from self._nest(nest)
            return
        if nest is not None:
            yield from self._cleared(self._of(nest))
        end = self.size(rows)
        inner = [f"const size_t count = {end} - first < {block}u ? {end} - first : {block}u;"]
        own = [buffer] if buffer.window else []
        if shared and nest is not None:
            own += self._of_a_step(nest)
        self.private |= {b.name for b in own}
        inplace = self._shared([v.buffer for v in (*writes(kernel), *reads(kernel))])
        inner = [*self._windows(own, shared, inplace), *inner]
        inner += self._product(kernel, o, "count", {"first": 1})
        if nest is not None:
            before, self.start = self.start, "first"
            inner += list(self._nest(nest, ("first", "first + count")))
            self.start = before
        if shared:
            yield from (f"#if defined({self.prefix.upper()}_USE_OPENMP)", "#pragma omp parallel for schedule(static) "
                        f"num_threads({self.prefix.upper()}_THREADS)", "#endif")
        yield f"for (size_t first = 0u; first < {end}; first += {block}u) {{"
        yield from _indented(inner)
        yield "}"

    def _shares(self, kernel: Gemm) -> bool:
        """Tell whether threads may share the rows of a product: it is large, and nothing is summed over its rows."""
        nest = kernel.epilogue
        sums = nest is not None and any(nest.axis in p.over for p in nest.puts)
        large = multiplications(kernel, self.plan) >= SHARED
        return large and not sums and oriented(kernel, self.plan.buffers[kernel.out.buffer].order).rows.is_Integer

    def _of_a_step(self, nest: Nest) -> list[Buffer]:
        """Return the buffers that hold the values of one step of a nest, and of the next step after it."""
        assert nest.axis is not None
        names = dict.fromkeys(
            p.target.buffer for p in nest.puts if is_one(p.target.shape[nest.axis]) and nest.axis not in p.over
        )
        silent = self.numbers | self.inside
        return [b for b in map(self.plan.buffers.__getitem__, names) if b.role == "scratch" and b.name not in silent]

    def _windows(self, buffers: Sequence[Buffer], shared: bool, inplace: set[str]) -> list[str]:
        """Return where the block of rows lies that is made at once, and what belongs to one of its rows: each thread
        has its own."""
        P, total, own, offsets = self.prefix.upper(), 0, [], []
        for buffer in buffers:
            alone = "" if buffer.name in inplace else "restrict "
            own.append(f"{self.real.name} *{alone}const {self.names(buffer.name)} = {self.base(buffer)[0]};")
            offsets.append(f" + {total}u" if total else "")
            total += -(-self.entries(buffer) // LINE) * LINE
        if not shared or not own:
            return own
        self.windows = max(self.windows, total)
        thread = f"&{self.prefix}_windows[(size_t)omp_get_thread_num() * {total}u"
        mine = [
            f"{self.real.name} *restrict const {self.names(buffer.name)} = {thread}{offset}];"
            for buffer, offset in zip(buffers, offsets, strict=True)
        ]
        return [f"#if defined({P}_USE_OPENMP)", *mine, "#else", *own, "#endif"]

    def _product(self, kernel: Gemm, o: Oriented, count: str, first: Linear) -> list[str]:
        """Return the lines that make some rows of a product, from a first one on."""
        form = kernel.form
        assert form is not None
        a_row, a_depth = self.steps(o.left)
        b_depth, b_column = self.steps(o.right)
        c_row, _ = self.steps(o.out)
        if is_one(o.left.cols):
            a_depth = 1
        depth: Size = o.depth
        left, right = o.left, o.right
        if kernel.stacked:
            ((index, low, high),) = kernel.stacked
            depth = sp.expand(depth * (high - low + 1))
            at: dict[sp.Expr, sp.Expr] = {index: low}
            left, right = left.at(at), right.at(at)
        fixed = int(depth) if depth.is_Integer else None
        if not o.cols.is_Integer:
            raise GenerateError(
                f"a product has {o.cols} columns side by side, and their number is known at run time only: give a "
                f"number, --size {o.cols}=32, in place of --largest"
            )
        columns = int(o.cols)
        name = self.products.product(
            form.kind, columns, fixed, a_row, a_depth, b_depth, b_column, c_row, kernel.accumulate
        )
        b = self.names(form.panel) if form.kind == "packed" else self._pointer(right)
        a = self._pointer(left, times(first, a_row))
        window = bool(self.plan.buffers[kernel.out.buffer].window)
        c = self.names(o.out.buffer) if window else self._pointer(o.out, times(first, c_row))
        middle = "" if fixed is not None else f"{self.size(depth)}, "
        own = f"{name}({count}, {middle}{a}, {b}, {c});"
        if multiplications(kernel, self.plan) < LIBRARY:
            return [own]
        self.libraries = True
        turns = []
        for row, column in ((a_row, a_depth), (b_depth, b_column)):
            turns.append(("CblasNoTrans", row) if column == 1 else ("CblasTrans", column))
        (turn_a, step_a), (turn_b, step_b) = turns
        real = self.real
        beta = real.literal(sp.S.One if kernel.accumulate else sp.S.Zero)
        call = [
            f"cblas_{'s' if real.suffix else 'd'}gemm(",
            f"    CblasRowMajor, {turn_a}, {turn_b}, (int){count}, {columns}, (int)({self.size(depth)}),",
            f"    {real.literal(sp.S.One)}, {a}, {step_a}, {self._pointer(right)}, {step_b}, {beta}, {c}, {c_row});",
        ]
        return [f"#if defined({self.prefix.upper()}_USE_CBLAS)", *call, "#else", own, "#endif"]

    # -- nests ----------------------------------------------------------------------------------------------------
    def _of(self, nest: Nest) -> Steps:
        return steps_of(self.plan, nest, self.uses)

    def _nest(self, nest: Nest, span: tuple[str, str] | None = None) -> Iterator[str]:
        if nest.axis is None and len(nest.puts) > 1:
            for put in nest.puts:
                yield from self._nest(Nest((put,)))
            return
        steps = self._of(nest)
        added_numbers = steps.held - self.numbers
        self.numbers |= steps.held
        outer, inner = ("i", "j") if steps.axis == 0 else ("j", "i")
        if span is None:
            yield from self._cleared(steps)
        body: list[str] = [f"{self.real.name} {self.names(n)};" for n in sorted(added_numbers)]
        for sweep in steps.sweeps:
            body += list(self._sweep(steps, sweep, outer, inner))
        self.numbers -= added_numbers
        if is_one(steps.extent):
            yield from body
            return
        first, last = span if span is not None else ("0u", self.size(steps.extent))
        yield f"for (size_t {outer} = {first}; {outer} < {last}; ++{outer}) {{"
        yield from _indented(body)
        yield "}"

    def _cleared(self, steps: Steps) -> Iterator[str]:
        """Return what makes the targets empty that are summed up over the steps."""
        inner = "i" if steps.axis == 1 else "j"
        for put in steps.cleared:
            extent = put.target.shape[1 - steps.axis]
            place: Linear = {inner: 1}
            text = self.element(put.target, place, place)
            zero = self.real.literal(sp.S.Zero) if put.op == "sum" else self._least()
            if is_one(extent):
                yield f"{text} = {zero};"
            else:
                yield f"for (size_t {inner} = 0u; {inner} < {self.size(extent)}; ++{inner}) {{ {text} = {zero}; }}"

    def _sweep(self, steps: Steps, sweep: Sweep, outer: str, inner: str) -> Iterator[str]:
        along = 1 - steps.axis
        i, j = ({"i": 1}, {"j": 1})
        if is_one(steps.extent):
            i, j = ({}, j) if steps.axis == 0 else (i, {})
        single = is_one(sweep.extent)
        if single:
            i, j = (i, {}) if along == 1 else ({}, j)
        before: list[str] = []
        body: list[str] = []
        after: list[str] = []
        self.numbers |= sweep.single
        fresh = set(sweep.single)
        for put in sweep.puts:
            value = self.expression(put.value, i, j)
            target = self.element(put.target, i, j)
            across = steps.axis in put.over
            if along in put.over and not single:
                self._reduction(put, value, target, across, inner, before, body, after)
                continue
            if put.op == "argmax" and (across or along in put.over):
                body.append(f"{target} = {self.real.literal(sp.S.Zero)};")
                continue
            if across and put.op == "max":
                body.append(f"{target} = {value} > {target} ? {value} : {target};")
                continue
            sign = "+=" if put.accumulate or across else "="
            name = put.target.buffer
            if name in fresh:
                fresh.discard(name)
                once = sum(p.target.buffer == name for p in sweep.puts) == 1
                body.append(f"{'const ' if once else ''}{self.real.name} {target} = {value};")
            else:
                body.append(f"{target} {sign} {value};")
        self.numbers -= sweep.single
        yield from before
        if single:
            yield from body
        else:
            head = f"for (size_t {inner} = 0u; {inner} < {self.size(sweep.extent)}; ++{inner})"
            if sweep.extent.is_Integer and SHORT[0] <= int(sweep.extent) <= SHORT[1] and not before:
                self.short = True
                yield f"{self.prefix.upper()}_SHORT"
            if len(body) == 1 and len(head) + len(body[0]) < WIDTH - 20:
                yield f"{head} {{ {body[0]} }}"
            else:
                yield head + " {"
                yield from _indented(body)
                yield "}"
        yield from after

    def _least(self) -> str:
        return "-HUGE_VALF" if self.real.suffix else "-HUGE_VAL"

    def _reduction(
        self, put: Put, value: str, target: str, across: bool, inner: str, before: list[str], body: list[str],
        after: list[str],
    ) -> None:
        """Add the lines of a sum, a maximum or the place of a maximum along the inner axis."""
        real = self.real.name
        if put.op == "sum":
            self.sums += 1
            name = self.names(f"sum_{self.sums}")
            before.append(f"{real} {name} = {self.real.literal(sp.S.Zero)};")
            body.append(f"{name} += {value};")
            after.append(f"{target} {'+=' if put.accumulate or across else '='} {name};")
            return
        if (across and put.op == "argmax") or put.accumulate:
            raise GenerateError("the place of a maximum over both axes has no C form")
        self.sums += 1
        top, place = self.names(f"top_{self.sums}"), self.names(f"place_{self.sums}")
        before.append(f"{real} {top} = {self._least()};")
        if put.op == "max":
            body.append(f"{top} = {value} > {top} ? {value} : {top};")
            after.append(f"{target} = {top} > {target} ? {top} : {target};" if across else f"{target} = {top};")
            return
        before.append(f"size_t {place} = 0u;")
        body.append(f"if ({value} > {top}) {{ {top} = {value}; {place} = {inner}; }}")
        after.append(f"{target} = ({real}){place};")

    # -- expressions ----------------------------------------------------------------------------------------------
    def expression(self, e: Expr, i: Linear, j: Linear, least: int = CHOICE) -> str:
        """Return the text of an entrywise expression at entry (i, j)."""
        return wrap(*self._print(e, i, j), least)

    def _print(self, e: Expr, i: Linear, j: Linear) -> tuple[str, int]:
        if isinstance(e, Read):
            return self.element(e.view, i, j), ATOM
        if isinstance(e, Number):
            return self._number(e.value)
        if isinstance(e, Position):
            return f"({self.real.name})({place_text((i, j)[e.axis])})", UNARY
        if isinstance(e, Pick):
            return self._pick(e, i, j), ATOM
        assert isinstance(e, Apply)
        if e.op == "+":
            return self._sum(e, i, j), PLUS
        if e.op == "*":
            return self._times(e, i, j)
        if e.op == "where":
            zero = self.real.literal(sp.S.Zero)
            mask, a, b = e.args
            texts = [self.expression(x, i, j, COMPARE) for x in (a, b)]
            return f"{self._test(mask, i, j, zero)} ? {' : '.join(texts)}", CHOICE
        if isinstance(e.op, Function):
            args = ", ".join(self.expression(a, i, j) for a in e.args)
            return f"{self.functions(e.op)}({args})", ATOM
        one, zero = self.real.literal(sp.S.One), self.real.literal(sp.S.Zero)
        return f"{self._test(e, i, j, zero)} ? {one} : {zero}", CHOICE

    def _test(self, e: Expr, i: Linear, j: Linear, zero: str) -> str:
        """Return a 0/1 expression as a condition."""
        if isinstance(e, Apply) and isinstance(e.op, str) and e.op in (">", ">=", "<", "<=", "==", "!="):
            a, b = (self.expression(x, i, j, PLUS) for x in e.args)
            return f"{a} {e.op} {b}"
        return f"{self.expression(e, i, j, PLUS)} != {zero}"

    def _sum(self, e: Apply, i: Linear, j: Linear) -> str:
        out = ""
        for term in e.args:
            negative, positive = _sign(term)
            text = self.expression(positive, i, j, TIMES)
            out += (" - " if negative else " + ") + text if out else ("-" if negative else "") + text
        return out

    def _times(self, e: Apply, i: Linear, j: Linear) -> tuple[str, int]:
        negative, positive = _sign(e)
        if negative:
            return f"-{self.expression(positive, i, j, UNARY)}", UNARY
        above, below = [], []
        for factor in e.args:
            if isinstance(factor, Apply) and isinstance(factor.op, Function) and factor.op.name == "recip" and (
                not any(factor.op.orders)
            ):
                below.append(self.expression(factor.args[0], i, j, UNARY))
            else:
                above.append(self.expression(factor, i, j, UNARY))
        text = " * ".join(above) or self.real.literal(sp.S.One)
        return text + "".join(f" / {b}" for b in below), TIMES

    def _number(self, value: sp.Expr) -> tuple[str, int]:
        printer = ScalarPrinter(self.real, self._symbol, lambda name: self.functions.named(name))
        text = printer.text(value)
        return text, ATOM if (value.is_number and not text.startswith("-")) or value.is_Symbol else PLUS

    def _symbol(self, symbol: sp.Symbol) -> str:
        if symbol in self.capacity:
            return f"({self.real.name}){self.names(str(symbol))}"
        if str(symbol) in self.lows:
            low = self.lows[str(symbol)]
            local = self.names(str(symbol))
            return f"({self.real.name})({local} + {low}u)" if low >= 0 else f"(({self.real.name}){local} - {-low})"
        return str(symbol)

    def _pick(self, e: Pick, i: Linear, j: Linear) -> str:
        kind = e.kind.removesuffix(".T")
        # A single row or column is spread over the others, as a view is.
        i, j = ({} if is_one(n) else place for n, place in zip(e.shape, (i, j), strict=True))
        if e.kind.endswith(".T"):
            i, j = j, i
        shape = e.shape[::-1] if e.kind.endswith(".T") else e.shape
        row, col = place_text(i), place_text(j)
        sizes = [self._factor(p) for p in e.parameters if isinstance(p, sp.Expr)]
        if kind == "diagonal":
            at = (i, i)
            return self.element(e.view, *at)
        if kind == "reshape":
            order, rows, cols = str(e.parameters[0]), self._factor(e.view.rows), self._factor(e.view.cols)
            if order == "C":
                flat = f"(({row}) * {self._factor(shape[1])} + ({col}))"
                places = f"{flat} / {cols}", f"{flat} % {cols}"
            else:
                flat = f"(({col}) * {self._factor(shape[0])} + ({row}))"
                places = f"{flat} % {rows}", f"{flat} / {rows}"
        elif kind == "letters":
            (spec,) = e.parameters
            assert isinstance(spec, Contraction)
            down, right = letters.digits(spec)
            places = self._digits(down, (row, col)), self._digits(right, (row, col))
        else:
            p, q = sizes[:2]
            places = {
                "kron_left": lambda: (f"({row}) / {p}", f"({col}) / {q}"),
                "kron_right": lambda: (f"({row}) % {p}", f"({col}) % {q}"),
            }[kind]()
        return self._element_at(e.view, *places)

    def _digits(self, side: Sequence[letters.Digit], at: tuple[str, str]) -> str:
        """Return the text of a place that is made of letters."""
        parts = []
        for d in side:
            text = f"({at[d.axis]})"
            text += "" if is_one(d.below) else f" / {self._factor(d.below)}"
            text += "" if d.extent is None else f" % {self._factor(d.extent)}"
            parts.append(text if is_one(d.stride) else f"{text} * {self._factor(d.stride)}")
        return " + ".join(parts) or "0u"

    def _factor(self, value: Size) -> str:
        """Return a size as text that may stand on either side of a multiplication or a division."""
        text = self.size(value)
        return text if text.isalnum() else f"({text})"

    def _element_at(self, view: View, row: str, col: str) -> str:
        """Return the text of an entry whose place is computed."""
        down, right = self.steps(view)
        if view.buffer in self.numbers:
            return self.names(view.buffer)
        start = place_text(self.origin(view))
        parts = [] if start == "0u" else [start]
        if not is_one(view.rows):
            parts.append(f"({row}) * {down}u")
        if not is_one(view.cols):
            parts.append(f"({col}) * {right}u")
        return f"{self.names(view.buffer)}[{' + '.join(parts) or '0u'}]"


def _leaves(digit: Digit, sizes: Sequence[Size]) -> bool:
    """Tell whether a digit of a source may be out of its range."""
    moving = digit.moving
    if digit.offset == 0 and len(moving) == 1 and digit.coefficients[moving[0]] == 1 and digit.size == sizes[moving[0]]:
        return False
    reach = [digit.coefficients[k] * (sizes[k] - 1) for k in moving]
    if not all(r.is_Integer for r in (*reach, digit.size)):
        return True
    low, high = (digit.offset + sum(r for r in reach if (r > 0) == up) for up in (False, True))
    return bool(low < 0 or high >= digit.size)


def _sign(e: Expr) -> tuple[bool, Expr]:
    """Return whether an expression begins with a minus sign, and the expression without it."""
    if isinstance(e, Number) and e.value.could_extract_minus_sign():
        return True, Number(-e.value)
    if isinstance(e, Apply) and e.op == "*" and isinstance(e.args[0], Number):
        number = e.args[0].value
        if number.could_extract_minus_sign():
            rest = e.args[1:]
            if number == -1:
                return True, rest[0] if len(rest) == 1 else replace(e, args=rest)
            return True, replace(e, args=(Number(-number), *rest))
    return False, e


def _indented(lines: Sequence[str]) -> list[str]:
    """Return lines a step further in; lines of the preprocessor stay where they are."""
    return [line if line.startswith("#") else f"    {line}" for line in lines]



def _words(lines: Sequence[str]) -> set[str]:
    """Return the names in lines of C, members of structs left out."""
    return set(re.findall(r"(?<![\w>])\w+", "\n".join(lines)))


__all__ = ["Names", "Writer"]
