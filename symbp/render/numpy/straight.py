"""A plan in array operations as straight-line NumPy: one call for each operation, everything it touches bound before.

The text has two parts: what is bound once (arrays, their members and views, numbers, NumPy's functions), and the
function that runs.  Where NumPy is slow in small things the text goes around it: products by the method ``dot``, sums
as products with ones, numbers as arrays without axes, masks of relu by ``sign`` as long as they are small.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from symbp.expr import Contraction, Function, Size, expanded, same_size
from symbp.plan.arrays import COMPARISONS, MINUS, RECIP, masks, numbers
from symbp.plan.entries import RATE
from symbp.plan.letters import axes
from symbp.plan.ir import (
    ZERO, Apply, Buffer, Call, Expr, Gemm, Kernel, Loop, Nest, Number, Pick, Plan, Position, Put, Read, Source, View,
    puts, walk,
)
from symbp.program import Equation
from symbp.render.numpy.expressions import ELEMENTWISE, Code, Printer
from symbp.render.numpy.maps import gathered, scattered
from symbp.render.numpy.scalars import ATOM, CHOICE, PLUS, TIMES, GenerateError, wrap
from symbp.render.numpy.scope import FunctionScope, bindings
from symbp.render.numpy.statements import MARGIN, Line, broken

LETTERS = ("a", "b", "c", "d", "e")
"""Names of what nested lists of members run over, from the inside."""

INDENT = 12
"""Where the lines of a step begin: in a function in a method of a class."""

SMALL = 2000
"""Up to so many entries a mask of numbers by ``sign`` is quicker than one of truth values by ``greater``."""

TOGETHER = 6
"""So many names of one place are bound in one line."""

UNARY = {
    "exp": "exp", "log": "log", "sqrt": "sqrt", "tanh": "tanh", "sin": "sin", "cos": "cos", "abs": "absolute",
    "sign": "sign", "arctan": "arctan",
}
"""NumPy's function of one array for a function of the rule book."""

RELATIONS = {
    ">": "greater", ">=": "greater_equal", "<": "less", "<=": "less_equal", "==": "equal", "!=": "not_equal",
}


@dataclass(frozen=True)
class Given:
    """Where the arrays of a buffer come from: ``params.W``; a single matrix, stacked members, or tuples of members."""

    text: str


class Straight:
    """Writes a plan as what is bound once and the body of the function that runs.

    plan:   in array operations.
    given:  the buffers that are there before, by name.
    shared: temporaries that live where another one lived before, by name.
    scope:  the names of the function.
    note:   gives the number and the text of an equation.
    rate:   the text of the learning rate.
    output: the number that the function returns.
    """

    def __init__(
        self, plan: Plan, given: Mapping[str, Given], shared: Mapping[str, str], scope: FunctionScope,
        note: Callable[[Equation], str], rate: str,
        output: str,
    ) -> None:
        self.plan, self.given, self.shared, self.scope = plan, given, shared, scope
        self.note, self.rate, self.output = note, rate, output
        self.numbers, self.masks = numbers(plan), masks(plan)
        self.names = scope.layout.identifiers
        scope.arguments[RATE] = rate
        self.local: dict[str, str] = {}
        self.functions: dict[str, str] = {}
        self.views: dict[object, str] = {}
        self.bound: list[str] = []
        self.constants: dict[sp.Expr, str] = {}
        self.constant_lines: list[str] = []
        self.rate_lines: list[str] = []
        self.late: set[str] = set()
        self.assigned: set[str] = set(self.numbers) - {output}
        self.loops: list[Loop] = []
        self.lines: list[Line] = []
        self.never_negative = {
            p.target.buffer for k in walk(plan.body) for p in puts(k)
            if isinstance(p.value, Apply) and p.value.op == Function("relu")
        }

    # -- the two parts -------------------------------------------------------------------------------------------
    def write(self) -> tuple[list[str], list[str]]:
        """Return the lines that bind, and those of the function; not indented."""
        for name in self.plan.buffers:
            self.name(name)
        self.body(self.plan.body, 0)
        output = self.output
        result = self.name(output) if output in self.numbers else f"float({self.name(output)}.item())"
        lines = [
            4 * line.depth * " " + text
            for line in self.lines
            for text in self.lines_of(line)
        ]
        run = [*self.rate_lines, *lines, f"return {result}"]
        top = [*self.arrays(), *self.constant_lines, *self.bound]
        functions = bindings({name: f"np.{known}" for known, name in self.functions.items()})
        sizes = self.scope.sizes(self.scope.size_lines)
        return [*sizes, *functions, *top], run

    @staticmethod
    def lines_of(line: Line) -> list[str]:
        """Return a line, broken if it is too long; comments are broken already."""
        return [line.code] if line.code.startswith("#") else broken(line.code, MARGIN - INDENT - 4 * line.depth)

    def arrays(self) -> list[str]:
        """Return the lines that bind the arrays of all buffers."""
        lines = []
        plain = {self.name(n): g.text for n, g in self.given.items() if n in self.plan.buffers and self.is_plain(n)}
        lines += bindings({local: text for local, text in plain.items() if local != text})
        for name, buffer in self.plan.buffers.items():
            if name in self.numbers or (name in self.given and self.is_plain(name)):
                continue
            if name in self.given:
                lines += self.members(buffer, self.given[name].text)
            elif name not in self.shared and name not in self.late:
                lines += self.allocated(buffer)
        heirs: dict[str, list[str]] = {}
        for name, host in self.shared.items():
            heirs.setdefault(host, []).append(self.name(name))
        # What lives one after the other has one place.
        for host, names in heirs.items():
            for start in range(0, len(names), TOGETHER):
                lines.append(" = ".join((*names[start : start + TOGETHER], self.name(host))))
        return lines

    def is_plain(self, name: str) -> bool:
        return not self.plan.buffers[name].indices

    def members(self, buffer: Buffer, text: str) -> list[str]:
        """Return the line that lists the members of a family that is there."""
        local, depth = self.name(buffer.name), len(buffer.indices)
        if buffer.levels == depth:
            return [f"{local} = {text}"]
        return [f"{local}: {_listed(depth)} = {_members(text, depth)}"]

    def allocated(self, buffer: Buffer) -> list[str]:
        """Return the lines that make the array of a temporary, or the arrays of its members."""
        local = self.name(buffer.name)
        if not buffer.indices:
            kind = "np.bool_" if buffer.name in self.masks else "DTYPE"
            return [f"{local} = np.empty({self.shape(buffer.shape)}, {kind})"]
        lengths = [self.size(n, PLUS) for n in buffer.extents]
        whole, depth = self.views.get(("whole", buffer.name)), len(buffer.indices)
        if not buffer.levels:
            text = f"np.empty(({', '.join(lengths)}, {self.sides(buffer.shape)}), DTYPE)"
            if whole is not None:
                return [f"{whole} = {text}", *self.members(buffer, whole)]
            return self.members(buffer, text) if depth == 1 else [
                f"{local}: {_listed(depth)} = {_members(text, depth)}"
            ]
        # The shape depends on an index: arrays in lists.
        ends = list(zip(buffer.indices, buffer.lows, buffer.highs, strict=True))
        steps = [self.scope.steps(*end) for end in ends[: buffer.levels]]
        inner = ", ".join((*lengths[buffer.levels :], self.sides(buffer.shape)))
        text = f"np.empty(({inner}), DTYPE)"
        if buffer.levels < depth:
            text = _members(text, depth - buffer.levels)
        for step in reversed(steps):
            text = f"[{text} for {step}]"
        for index in buffer.indices[: buffer.levels]:
            self.scope.leave(index)
        return [f"{local}: {_listed(depth)} = {text}"]

    # -- names -----------------------------------------------------------------------------------------------------
    def name(self, buffer: str) -> str:
        """Return the local name of a buffer."""
        if buffer not in self.local:
            self.local[buffer] = self.names(buffer)
        return self.local[buffer]

    def function(self, name: str) -> str:
        """Return the local name of one of NumPy's functions."""
        if name not in self.functions:
            self.functions[name] = self.names.fresh(name.split(".")[0] if "." not in name else name.replace(".", "_"))
        return self.functions[name]

    def bind(self, key: object, wanted: str, text: str) -> str:
        """Bind an expression to a name before the function runs, once."""
        if key not in self.views:
            self.views[key] = self.names.fresh(wanted)
            self.bound.append(f"{self.views[key]} = {text}")
        return self.views[key]

    def size(self, value: Size, least: int = CHOICE) -> str:
        return self.scope.size(expanded(value), least)

    def sides(self, shape: tuple[Size, Size]) -> str:
        return f"{self.size(shape[0])}, {self.size(shape[1])}"

    def shape(self, shape: tuple[Size, Size]) -> str:
        return f"({self.sides(shape)})"

    def position(self, view: View) -> str:
        """Return the subscripts of a member."""
        buffer = self.plan.buffers[view.buffer]
        return "".join(
            f"[{self.size(w - low)}]" for w, low in zip(view.where, buffer.lows, strict=True)
        )

    def derived(self, buffer: Buffer, kind: str, each: str) -> str:
        """Return the name of something made of an array, or of each member: ``X_T``, ``[a.T for a in H]``."""
        local, depth = self.name(buffer.name), len(buffer.indices)
        text = each.format(local if depth == 0 else LETTERS[0])
        for letter, inside in zip(LETTERS[:depth], [*LETTERS[1:depth], local], strict=False):
            text = f"[{text} for {letter} in {inside}]"
        return self.bind((buffer.name, kind, each), f"{local}_{kind}", text)

    def view(self, view: View) -> str:
        """Return the text of an array: a name, or a member of a list."""
        buffer = self.plan.buffers[view.buffer]
        if buffer.scalar:
            local = self.name(buffer.name)
            return self.bind((buffer.name, "scalar"), f"{local}_0", f"np.array({local}, DTYPE)")
        if view.buffer in self.numbers:
            return self.name(view.buffer)
        member = buffer.whole(*view.where)
        rows, cols = (view.cols, view.rows) if view.turned else view.shape
        whole = view.row == 0 and view.col == 0 and same_size(rows, member.rows) and same_size(cols, member.cols)
        at = self.position(view)
        if whole and not view.turned:
            return f"{self.name(buffer.name)}{at}"
        turn = ".T" if view.turned else ""
        if whole:
            return f"{self.derived(buffer, 'T', '{}.T')}{at}"
        block = self.block(view, member, rows, cols)
        running = {i.index for i in self.loops} | set(buffer.indices)
        if any(s.has(i) for s in (view.row, view.col, rows, cols) for i in running):
            return f"{self.name(buffer.name)}{at}{block}{turn}"
        return f"{self.derived(buffer, 'part', '{}' + block + turn)}{at}"

    def block(self, view: View, member: View, rows: Size, cols: Size) -> str:
        spans = []
        for start, length, whole in ((view.row, rows, member.rows), (view.col, cols, member.cols)):
            stop = expanded(start + length)
            first = "" if start == 0 else self.size(start, PLUS)
            last = "" if same_size(stop, whole) else self.size(stop, PLUS)
            spans.append(f"{first} : {last}" if " " in first + last and first and last else f"{first}:{last}")
        return f"[{spans[0]}]" if spans[1] == ":" else f"[{', '.join(spans)}]"

    def flat(self, view: View) -> str:
        """Return the text of an array with one axis."""
        return f"{self.derived(self.plan.buffers[view.buffer], 'flat', '{}.reshape(-1)')}{self.position(view)}"

    def stacked(self, view: View, index: sp.Symbol, low: Size, high: Size, inner: int) -> str:
        """Return the members of a family behind each other along the inner side of a product."""
        buffer = self.plan.buffers[view.buffer]
        given = self.given.get(buffer.name)
        if ("whole", buffer.name) not in self.views:
            name = given.text if given else self.names.fresh(f"{self.name(buffer.name)}_all")
            self.views["whole", buffer.name] = name
        whole = self.views["whole", buffer.name]
        first, stop = (
            expanded(view.where[-1].xreplace({index: end}) - buffer.lows[-1] + k) for end, k in ((low, 0), (high, 1))
        )
        at = "".join(f"{self.size(w - lo)}, " for w, lo in zip(view.where[:-1], buffer.lows, strict=False))
        along = inner ^ view.turned
        shape = f"(-1, {self.size(buffer.cols)})" if along == 0 else f"({self.size(buffer.rows)}, -1)"
        span = f"{self.size(first) if first != 0 else ''}:{self.size(stop)}"
        text = f"{whole}[{at}{span}].reshape{shape}{'.T' if view.turned else ''}"
        if any(w.has(loop.index) for loop in self.loops for w in view.where[:-1]):
            return text
        return self.bind(text, f"{self.name(buffer.name)}_stack{'_T' if view.turned else ''}", text)

    def number(self, value: sp.Expr) -> str:
        """Return the name of a number, as an array without axes."""
        if value not in self.constants:
            plain = {sp.S.One: "one", sp.S.Zero: "zero", sp.Rational(1, 2): "half", sp.Integer(2): "two"}.get(value)
            name = self.names.fresh(plain or "c")
            self.constants[value] = name
            text = self.scope.scalar(value)[0]
            if value.has(RATE):
                self.constant_lines.append(f"{name} = np.empty((), DTYPE)")
                self.rate_lines.append(f"{name}[()] = {text}")
            elif any(value.has(loop.index) for loop in self.loops):
                self.constants.pop(value)
                return text
            else:
                self.constant_lines.append(f"{name} = np.array({text}, DTYPE)")
        return self.constants[value]

    def operand(self, e: Expr) -> str:
        """Return the text of an operand."""
        if isinstance(e, Read):
            return self.view(e.view)
        if isinstance(e, Number):
            return self.number(e.value)
        if isinstance(e, Position):
            axis = "[:, np.newaxis]" if e.axis == 0 else "[np.newaxis, :]"
            text = f"np.arange({self.size(e.extent)}, dtype=DTYPE){axis}"
            if any(e.extent.has(loop.index) for loop in self.loops):
                return text
            return self.bind(e, "rows" if e.axis == 0 else "columns", text)
        if isinstance(e, Pick):
            return self.picked(e)
        raise GenerateError("an operation stands where an array should be")

    def ones(self, rows: Size, cols: Size) -> str:
        """Return the name of a matrix of ones."""
        return self.bind(("ones", rows, cols), "ones", f"np.ones({self.shape((rows, cols))}, DTYPE)")

    def zeros(self, shape: tuple[Size, Size]) -> str:
        """Return the name of a matrix of zeros; of a zero if the shape depends on an index."""
        if any(s.has(loop.index) for s in shape for loop in self.loops):
            return self.number(sp.S.Zero)
        return self.bind(("zeros", *shape), "zeros", f"np.zeros({self.shape(shape)}, DTYPE)")

    # -- statements ------------------------------------------------------------------------------------------------
    def body(self, body: Sequence[Kernel], depth: int, last: Equation | None = None) -> None:
        for kernel in body:
            if isinstance(kernel, Loop):
                self.lines.append(
                    Line(depth, f"for {self.scope.steps(kernel.index, kernel.low, kernel.high, kernel.down)}:")
                )
                self.loops.append(kernel)
                self.body(kernel.body, depth + 1, last)
                self.loops.pop()
                self.scope.leave(kernel.index)
                last = None
                continue
            source = _source(kernel)
            if source is not None and source.equation is not last:
                last = source.equation
                self.lines += [Line(depth, text) for text in self.comment(last, depth)]
            for text in self.statement(kernel):
                self.lines.append(Line(depth, text))

    def comment(self, equation: Equation, depth: int) -> list[str]:
        """Return an equation as comments; the lines that follow are indented."""
        return textwrap.wrap(
            " ".join(self.note(equation).split()), MARGIN - INDENT - 4 * depth, initial_indent="# ",
            subsequent_indent="#     ", break_long_words=False, break_on_hyphens=False,
        )

    def statement(self, kernel: Kernel) -> Iterator[str]:
        """Yield the lines of one operation."""
        if isinstance(kernel, Gemm):
            if kernel.stacked:
                ((index, low, high),) = kernel.stacked
                left = self.stacked(kernel.left, index, low, high, 1)
                right = self.stacked(kernel.right, index, low, high, 0)
            else:
                left, right = self.view(kernel.left), self.view(kernel.right)
            yield f"{left}.dot({right}, {self.view(kernel.out)})"
            return
        if isinstance(kernel, Call):
            yield from self.moved(kernel) if kernel.map is not None else (self.numbered(kernel),)
            return
        assert isinstance(kernel, Nest)
        for put in kernel.puts:
            if put.target.buffer in self.numbers:
                yield self.arithmetic(put)
            elif put.over:
                yield self.reduction(put)
            elif put.accumulate:
                yield self.gain(put)
            else:
                yield from self.operation(self.view(put.target), put)

    def numbered(self, kernel: Call) -> str:
        """Return the line that takes columns by number, or adds them up."""
        first, ids = (self.view(v) for v in kernel.reads[:2])
        out = self.view(kernel.writes[0])
        numbers = f"{self.scope.kernel('numbers')}({ids})"
        if kernel.routine == "take":
            return f"{self.function('copyto')}({out}, {first}[:, {numbers}])"
        return f"{self.function('add.at')}({out}.T, {numbers}, {first}.T)"
    def moved(self, kernel: Call) -> Iterator[str]:
        """Yield the lines that gather or scatter entries by a static map."""
        assert kernel.map is not None
        write = gathered if kernel.routine == "gather" else scattered
        text = write(kernel.map, self.view(kernel.reads[0]), self.size, self.scope.kernel)
        copy, out = self.function("copyto"), self.view(kernel.writes[0])
        if len(f"{copy}({out}, {text})") < MARGIN - 8 - 4 * len(self.loops):
            yield f"{copy}({out}, {text})"
        else:
            moved = self.names("moved")
            yield f"{moved} = {text}"
            yield f"{copy}({out}, {moved})"

    def gain(self, put: Put) -> str:
        out, value = self.view(put.target), put.value
        if isinstance(value, Apply):
            return f"{self.function('subtract')}({out}, {self.operand(value.args[1])}, {out})"
        return f"{self.function('add')}({out}, {self.operand(value)}, {out})"

    def arithmetic(self, put: Put) -> str:
        """Return the line that computes a number."""
        target, sign = self.name(put.target.buffer), "+=" if put.accumulate else "="
        if put.target.buffer not in self.assigned and not put.accumulate:
            target += ": float"
        self.assigned.add(put.target.buffer)
        if not put.over:
            return f"{target} {sign} {self.scalar(put.value)[0]}"
        return f"{target} {sign} float({self.total(put)})"

    def total(self, put: Put) -> str:
        """Return the text of the sum, or of the largest, of all entries."""
        value = put.value
        if isinstance(value, Apply):
            left, right = (a.view for a in value.args if isinstance(a, Read))
            return f"{self.flat(left)}.dot({self.flat(right)})"
        assert isinstance(value, Read)
        view = value.view
        if put.op == "max":
            return f"{self.function('maximum.reduce')}({self.view(view)}, None)"
        member = self.plan.buffers[view.buffer].whole(*view.where)
        rows, cols = (view.cols, view.rows) if view.turned else view.shape
        running = [loop.index for loop in self.loops]
        if (
            not (same_size(rows, member.rows) and same_size(cols, member.cols)) or view.buffer in self.masks
            or any(s.has(i) for s in view.shape for i in running)
        ):
            return f"{self.function('add.reduce')}({self.view(view)}, None)"
        count = expanded(rows * cols)
        ones = self.bind(("ones", count), "ones", f"np.ones({self.size(count)}, DTYPE)")
        return f"{ones}.dot({self.flat(view)})"

    def scalar(self, e: Expr) -> tuple[str, int]:
        """Return arithmetic of numbers as text, with the level of its outermost operator."""
        if isinstance(e, Number):
            return ("0.0", ATOM) if e == ZERO else self.scope.scalar(e.value)
        if isinstance(e, Read):
            return self.name(e.view.buffer), ATOM
        assert isinstance(e, Apply)
        if e.op == "*":
            return self.scaled(e)
        text = ""
        for k, term in enumerate(e.args):
            shown = wrap(*self.scalar(term), TIMES)
            negative = k > 0 and shown.startswith("-")
            text += f" - {shown[1:]}" if negative else f" + {shown}" if k else shown
        return text, PLUS

    def scaled(self, e: Apply) -> tuple[str, int]:
        number = sp.Mul(*(f.value for f in e.args if isinstance(f, Number)))
        rest = " * ".join(wrap(*self.scalar(f), TIMES) for f in e.args if not isinstance(f, Number))
        sign = "-" if number.could_extract_minus_sign() else ""
        above, below = sp.fraction(-number if sign else number)
        text = rest if above == 1 else f"{wrap(*self.scope.scalar(above), TIMES)} * {rest}"
        return sign + (text if below == 1 else f"{text} / {wrap(*self.scope.scalar(below), ATOM)}"), TIMES

    def reduction(self, put: Put) -> str:
        out, value = self.view(put.target), put.value
        assert isinstance(value, Read)
        inside = self.view(value.view)
        axes = put.over
        if put.op == "argmax":
            return f"{self.function('copyto')}({out}, {inside}.argmax(axis={axes[0]}, keepdims=True))"
        ragged = any(s.has(loop.index) for s in value.view.shape for loop in self.loops)
        if put.op == "max" or len(axes) > 1 or value.view.buffer in self.masks or ragged:
            name = self.function("maximum.reduce" if put.op == "max" else "add.reduce")
            return f"{name}({inside}, {axes[0] if len(axes) == 1 else '(0, 1)'}, None, {out}, keepdims=True)"
        if axes == (0,):
            return f"{self.ones(sp.S.One, value.view.rows)}.dot({inside}, {out})"
        return f"{inside}.dot({self.ones(value.view.cols, sp.S.One)}, {out})"

    def operation(self, out: str, put: Put) -> Iterator[str]:
        """Yield the lines of an operation on whole arrays."""
        e = put.value
        if isinstance(e, Number):
            yield f"{out}.fill({self.scope.scalar(e.value)[0] if e != ZERO else '0.0'})"
        elif not isinstance(e, Apply):
            yield f"{self.function('copyto')}({out}, {self.operand(e)})"
        elif e.op == "where":
            mask, left, right = (self.operand(a) for a in e.args)
            read = e.args[0]
            condition = mask if isinstance(read, Read) and read.view.buffer in self.masks else f"{mask} != 0"
            if left == out:
                yield f"{self.function('copyto')}({out}, {right}, where=np.logical_not({condition}))"
            else:
                yield f"{self.function('copyto')}({out}, {right})"
                yield f"{self.function('copyto')}({out}, {left}, where={condition})"
        elif e.op == ">" and self.by_sign(put):
            yield f"{self.step_of(put)}()"
        else:
            yield self.call(out, e)

    def by_sign(self, put: Put) -> bool:
        """Tell whether a mask is that of an array without negative entries, which may be made by ``sign``."""
        assert isinstance(put.value, Apply)
        read, bound = put.value.args
        return (
            put.target.buffer in self.masks and bound == ZERO and isinstance(read, Read) and not self.loops
            and read.view.buffer in self.never_negative and not read.view.turned and not read.view.where
        )

    def step_of(self, put: Put) -> str:
        """Return the name of the function that makes a mask: by ``sign`` or by ``greater``, as its size is."""
        assert isinstance(put.value, Apply) and isinstance(put.value.args[0], Read)
        inside, mask = self.view(put.value.args[0].view), self.view(put.target)
        small = f"{inside}.size <= {SMALL}"
        if put.target.buffer not in self.late:
            self.late.add(put.target.buffer)
            self.bound.append(f"{mask}: NDArray[Any] = np.empty({inside}.shape, DTYPE if {small} else np.bool_)")
        sign, greater, zero = self.function("sign"), self.function("greater"), self.number(sp.S.Zero)
        few, many = f"partial({sign}, {inside}, {mask})", f"partial({greater}, {inside}, {zero}, {mask})"
        name = f"step_{inside}"
        text = f"{few} if {small} else {many}"
        if len(name) + len(text) > MARGIN - 2 * INDENT:
            text = f"(\n        {few} if {small}\n        else {many}\n    )"
        return self.bind((mask, "step"), name, text)

    def call(self, out: str, e: Apply) -> str:
        """Return the call of NumPy's function for an operation."""
        if e.op == "+":
            a, b = e.args
            if isinstance(b, Apply):
                return self.ufunc("subtract", out, a, b.args[1])
            return self.ufunc("add", out, a, b)
        if e.op == "*":
            a, b = e.args
            if a == MINUS:
                return self.ufunc("negative", out, b)
            if isinstance(b, Apply):
                return self.ufunc("divide", out, a, b.args[0])
            return self.ufunc("multiply", out, a, b)
        if e.op in COMPARISONS:
            return self.ufunc(RELATIONS[str(e.op)], out, *e.args)
        assert isinstance(e.op, Function)
        return self.elementwise(out, e.op, e.args)

    def ufunc(self, name: str, out: str, *args: Expr) -> str:
        return f"{self.function(name)}({', '.join(map(self.operand, args))}, {out})"

    def elementwise(self, out: str, f: Function, args: Sequence[Expr]) -> str:
        own = f.law is None and not f.is_free and not any(f.orders)
        if own and f.name in UNARY:
            return self.ufunc(UNARY[f.name], out, *args)
        if own and f == RECIP:
            return self.ufunc("divide", out, Number(sp.S.One), *args)
        if own and f.name == "power" and f.parameters[0] == 2:
            return self.ufunc("square", out, *args)
        if own and f.name == "power":
            return self.ufunc("power", out, *args, Number(f.parameters[0]))
        if own and f.name == "pow":
            return self.ufunc("power", out, *args)
        if own and f.name == "softplus":
            return self.ufunc("logaddexp", out, Number(sp.S.Zero), *args)
        if own and f.name == "relu":
            # NumPy wants this one by keyword, and is quicker with an array of zeros than with a single one.
            return f"{self.function('maximum')}({self.operand(args[0])}, {self.zeros(args[0].shape)}, out={out})"
        texts = [self.operand(a) for a in args]
        if not own:
            text = f"{self.scope.function(f)}({', '.join(texts)})"
        else:
            line = ELEMENTWISE.get(f.name)
            if line is None:
                raise GenerateError(f"the elementwise function {f.name} has no NumPy form")
            text = line(Printer(self.scope), f, [Code(t) for t in texts]).text
        return f"{self.function('copyto')}({out}, {text})"

    def picked(self, e: Pick) -> str:
        """Return the text of entries taken from other places."""
        turn = e.kind.endswith(".T")
        inside, sizes = self.view(e.view), [p for p in e.parameters if isinstance(p, sp.Expr)]
        texts = [self.size(s, ATOM) for s in sizes]
        kind = e.kind.removesuffix(".T")
        shape = self.shape(e.shape[::-1] if turn else e.shape)
        if kind == "reshape":
            order = "" if str(e.parameters[0]) == "C" else ', order="F"'
            text = f"{inside}.reshape({shape}{order})"
        elif kind == "diagonal":
            text = f"np.diagonal({inside})[:, np.newaxis]"
        elif kind == "letters":
            text = f"{self.lettered(e)}.reshape({shape})"
        elif kind == "kron_left":
            text = f"np.repeat(np.repeat({inside}, {texts[0]}, 0), {texts[1]}, 1)"
        else:
            assert kind == "kron_right", kind
            (rows, cols), (r, c) = (e.shape[::-1] if turn else e.shape), e.view.shape
            times = ", ".join(self.scope.scalar(sp.cancel(n / k))[0] for n, k in ((rows, r), (cols, c)))
            text = f"np.tile({inside}, ({times}))"
        return f"{text}.T" if turn else text


    def lettered(self, e: Pick) -> str:
        """Return a matrix with one axis for each letter, in the order of the result: a view, made once if it may be."""
        (spec,) = e.parameters
        assert isinstance(spec, Contraction)
        order, kept = axes(spec)
        own = "".join(spec.operands[0])

        def listed(letters: str) -> str:
            return ", ".join(self.size(spec.sizes[x], ATOM) if x in own else "1" for x in letters) or "()"

        text = f"{{}}.reshape({listed(own)})"
        if order != sorted(order):
            text += f".transpose({', '.join(map(str, order))})"
        if set(kept) - set(own):
            sizes = ", ".join(self.size(spec.sizes[x], ATOM) for x in kept)
            text = f"np.broadcast_to({text}.reshape({listed(kept)}), ({sizes}{',' if len(kept) == 1 else ''}))"
        buffer = self.plan.buffers[e.view.buffer]
        member = buffer.whole(*e.view.where)
        running = {i.index for i in self.loops} | set(buffer.indices)
        fixed = not any(n.has(i) for n in spec.sizes.values() for i in running)
        if fixed and e.view == member and not buffer.scalar and buffer.name not in self.numbers:
            return f"{self.derived(buffer, f'by_{kept}', text)}{self.position(e.view)}"
        return text.format(self.view(e.view))


def _source(kernel: Kernel) -> Source | None:
    if isinstance(kernel, Gemm | Call):
        return kernel.source
    return next((p.source for p in puts(kernel) if p.source is not None), None)


def _members(text: str, depth: int) -> str:
    """Return the text that lists the members of an array along its leading axes: ``[list(a) for a in X]``."""
    letters = LETTERS[: depth - 1]
    listed = f"list({letters[-1] if letters else text})"
    for letter, inside in zip(reversed(letters), [*reversed(letters[:-1]), text], strict=False):
        listed = f"[{listed} for {letter} in {inside}]"
    return listed


def _listed(depth: int) -> str:
    return "Array" if depth == 0 else f"list[{_listed(depth - 1)}]"


