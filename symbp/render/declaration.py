"""A derivation as lines of the declaration's own language: ``dZ1 = (W2.T @ dZ2) * (1 - A1**2)``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbp.derivation import Derivation
from symbp.expr import (
    Add, AddAt, ArgmaxMask, Compare, Diag, DiagOf, Einsum, Embed, Eye, Hadamard, Kron, LogSumExp, Map, Mask, MatMul,
    MaxAxis, Node, Ones, Ref, Reshape, SMul, Scale, Slice, Softmax, SumOver, Take, Transpose, Where, Zero, expanded,
    is_one, same_size, scaled, walk,
)
from symbp.program import Equation, Loop, Statement
from symbp.render.names import Level

INDENT = "    "

FUNCTIONS = {"recip": "1 / {X}", "square": "{X}**2", "step": "({X} > 0)"}
"""Elementwise functions that are not written ``name(X)``."""

MASKS = {"tril": "tril({A})", "triu": "triu({A})", "strict_tril": "tril({A}, k=-1)", "strict_triu": "triu({A}, k=1)"}
"""A matrix times a pattern."""


class NotWritten(ValueError):
    """An expression for which the language of the declaration has no words."""


@dataclass(frozen=True)
class WrittenLine:
    """One line of a backward pass: the loops around it as they are written, its left and its right side."""

    loops: tuple[str, ...]
    target: str
    value: str

    @property
    def text(self) -> str:
        """The line without its loops."""
        return f"{self.target} = {self.value}"


def backward_lines(derivation: Derivation) -> list[WrittenLine]:
    """Return the backward pass in the language of the declaration, ``dZ1`` for the gradient of ``Z1``.

    An equation that the language has no words for (a gather, a scatter) is left out: its gradient is taken as given.
    """
    names = {bar: f"d{name}" for name, bar in _adjoints(derivation).items()}
    values = {str(result.target): result.value for result in derivation.results}
    writer = Writer(names)
    found: list[WrittenLine] = []

    def visit(body: Sequence[Statement], loops: tuple[str, ...]) -> None:
        for statement in body:
            if isinstance(statement, Loop):
                visit(statement.body, (*loops, writer.loop(statement)))
            elif isinstance(statement, Equation):
                value = values.get(str(statement.target))
                if value is None and statement.target.name not in names:
                    continue  # a message, which stands in place where it is read
                try:
                    text = writer(statement.value if value is None else value)
                except NotWritten:
                    continue
                found.append(WrittenLine(loops, writer(statement.target), text))

    visit(derivation.backward, ())
    return found


Terms = tuple[tuple[str, ...], tuple[str, ...]]
"""The letters of a variable's indices, and terms in which they stand."""


def gradient_terms(derivation: Derivation) -> dict[str, Terms]:
    """Return the terms of sums from which the gradient of each variable is made, with the letters of its indices.

    ``{"Z": (("t",), ("V.T @ dO[t]", "W.T @ dZ[t+1]"))}``
    """
    adjoints = {bar: name for name, bar in _adjoints(derivation).items()}
    writer = Writer({bar: f"d{name}" for bar, name in adjoints.items()})
    found: dict[str, Terms] = {}
    for result in derivation.results:
        of = adjoints.get(result.target.name)
        if of is None:
            continue
        texts = []
        for part in walk(result.value):
            for term in part.operands if isinstance(part, Add) else ():
                try:
                    texts.append(writer(term))
                except NotWritten:
                    continue
        letters = tuple(str(i) for i in result.target.indices)
        known = found.get(of, (letters, ()))
        found[of] = letters, tuple(dict.fromkeys([*known[1], *texts]))
    return found


def laid_out(lines: Sequence[WrittenLine]) -> str:
    """Return lines as one text, those with the same loops around them in one block."""
    rows: list[str] = []
    open_: tuple[str, ...] = ()
    for line in lines:
        shared = 0
        while shared < min(len(open_), len(line.loops)) and open_[shared] == line.loops[shared]:
            shared += 1
        rows += [INDENT * k + line.loops[k] for k in range(shared, len(line.loops))]
        rows.append(INDENT * len(line.loops) + line.text)
        open_ = line.loops
    return "\n".join(rows) + "\n"


def _adjoints(derivation: Derivation) -> Mapping[str, str]:
    """Return the adjoint of every variable that has one, by name."""
    taken = derivation.program.variables
    return {**{n: f"{n}_bar" for n in derivation.forward.variables if f"{n}_bar" in taken}, **derivation.gradients}


class Writer:
    """Writes matrix expressions in the language of the declaration.

    names: what variables are called in place of their own names.
    """

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self.names = names or {}

    def __call__(self, node: Node) -> str:
        """Return an expression; raise ``NotWritten`` where the language has no words for it."""
        return self.piece(node)[0]

    def loop(self, loop: Loop) -> str:
        """Return the head of a loop."""
        lo, hi = loop.lo, loop.hi
        inside = f"{_size(hi)}, {_size(lo - 1)}, -1" if loop.down else f"{_size(lo)}, {_size(hi + 1)}"
        return f"for {loop.index.name} in range({inside}):"

    def fit(self, node: Node, wanted: Level, spread: bool = False) -> str:
        """Return an operand, in brackets if it binds less tightly than wanted; ``spread`` where it is broadcast."""
        text, level = self.piece(_narrow(node) if spread else node)
        return text if level >= wanted else f"({text})"

    def piece(self, node: Node) -> tuple[str, Level]:
        """Return an expression and how tightly it binds."""
        method = _METHODS.get(type(node))
        if method is None:
            raise NotWritten(type(node).__name__)
        return method(self, node)

    # -- leaves
    def ref(self, node: Ref) -> tuple[str, Level]:
        name = self.names.get(node.name, node.name)
        return (f"{name}[{', '.join(map(_size, node.indices))}]" if node.indices else name), Level.ATOM

    def constant(self, node: Node) -> tuple[str, Level]:
        if isinstance(node, Eye):
            return f"eye({_size(node.rows)})", Level.ATOM
        if isinstance(node, Mask):
            return self._masked(node.kind, f"ones({_size(node.rows)}, {_size(node.cols)})")
        word = "ones" if isinstance(node, Ones) else "zeros"
        if node.is_scalar_shape:
            return ("1" if word == "ones" else "0"), Level.ATOM
        return f"{word}({_size(node.rows)}, {_size(node.cols)})", Level.ATOM

    def _masked(self, kind: str, text: str) -> tuple[str, Level]:
        if kind not in MASKS:
            raise NotWritten(kind)
        return MASKS[kind].format(A=text), Level.ATOM

    # -- sums and products
    def add(self, node: Add) -> tuple[str, Level]:
        blocks = _stacked(node)
        if blocks is not None:
            axis, parts = blocks
            return f"{'hstack' if axis else 'vstack'}([{', '.join(map(self, parts))}])", Level.ATOM
        text = ""
        spread = _spreads(node)
        for k, term in enumerate(node.operands):
            negative = isinstance(term, Scale) and bool(term.coefficient.could_extract_minus_sign())
            body = scaled(-term.coefficient, term.body) if negative and isinstance(term, Scale) else term
            if isinstance(body, Scale) and body.coefficient is sp.S.One:
                body = body.body
            narrow = spread[k]
            if isinstance(body, Scale) and narrow:
                body, narrow = scaled(body.coefficient, _narrow(body.body)), False
            text += (" - " if negative else " + ") if k else "-" if negative else ""
            text += self._number(body) or self.fit(body, Level.PRODUCT, narrow)
        return text, Level.SUM

    def _number(self, node: Node) -> str:
        """Return a matrix with one number in each entry as the number, where a sum spreads it."""
        if isinstance(node, Ones):
            return "1"
        if isinstance(node, Scale) and isinstance(node.body, Ones):
            return _scalar(node.coefficient, Level.PRODUCT)
        return ""

    def scale(self, node: Scale) -> tuple[str, Level]:
        c, body = node.coefficient, node.body
        if c.could_extract_minus_sign():
            inner = scaled(-c, body)
            return f"-{self.fit(inner, Level.PRODUCT)}", Level.SUM
        top, bottom = sp.fraction(c)
        text = self.fit(body, Level.PRODUCT)
        if top != 1:
            text = f"{_scalar(top, Level.PRODUCT)} * {text if isinstance(body, Hadamard) else self._factor(body)}"
        return (text if bottom == 1 else f"{text} / {_scalar(bottom, Level.POWER)}"), Level.PRODUCT

    def smul(self, node: SMul) -> tuple[str, Level]:
        s, body = node.operands
        return f"{self._factor(s)} * {self._factor(body)}", Level.PRODUCT

    def _factor(self, node: Node, spread: bool = False) -> str:
        """Return a factor of an entrywise product: sums and matrix products stand in brackets."""
        text, level = self.piece(_narrow(node) if spread else node)
        return text if level >= Level.POWER else f"({text})"

    def matmul(self, node: MatMul) -> tuple[str, Level]:
        factors = list(node.operands)
        if len(factors) > 1 and isinstance(factors[-1], Ones) and is_one(factors[-1].cols):
            inner = factors[:-1]
            if isinstance(inner[0], Ones) and is_one(inner[0].rows) and len(inner) > 1:
                return f"sum({self._product(inner[1:])})", Level.ATOM
            return f"sum({self._product(inner)}, axis=1, keepdims=True)", Level.ATOM
        if len(factors) > 1 and isinstance(factors[0], Ones) and is_one(factors[0].rows):
            return f"sum({self._product(factors[1:])}, axis=0, keepdims=True)", Level.ATOM
        for k in range(1, len(factors) - 1):
            # 1 1^T in the middle or at the end: a sum that is spread again.
            if isinstance(factors[k], Ones) and is_one(factors[k].cols):
                left, right = MatMul(*factors[: k + 1]), factors[k + 1 :]
                return f"{self.fit(left, Level.POWER)} @ {self._product(right, Level.POWER)}", Level.PRODUCT
        for k in range(1, len(factors) - 1):
            if isinstance(factors[k], Ones) and is_one(factors[k].rows):
                text = f"{self._product(factors[:k], Level.POWER)} @ {self(MatMul(*factors[k:]))}"
                return text, Level.PRODUCT
        return self._product(factors), Level.PRODUCT

    def _product(self, factors: Sequence[Node], wanted: Level = Level.SUM) -> str:
        if len(factors) == 1:
            return self.fit(factors[0], wanted)
        return " @ ".join(self.fit(f, Level.POWER) for f in factors)

    def hadamard(self, node: Hadamard) -> tuple[str, Level]:
        masks = [f for f in node.operands if isinstance(f, Mask)]
        if masks:
            rest = [f for f in node.operands if f is not masks[0]]
            return self._masked(masks[0].kind, self(rest[0] if len(rest) == 1 else Hadamard(*rest)))
        spread = _spreads(node)
        above = [k for k, f in enumerate(node.operands) if not _is_reciprocal(f)]
        text = " * ".join(self._factor(node.operands[k], spread[k]) for k in above) or "1"
        for k, f in enumerate(node.operands):
            if k not in above:
                text += f" / {self._factor(f.operands[0], spread[k])}"
        return text, Level.PRODUCT

    def transpose(self, node: Transpose) -> tuple[str, Level]:
        return f"{self.fit(node.operands[0], Level.ATOM)}.T", Level.ATOM

    def sum_over(self, node: SumOver) -> tuple[str, Level]:
        lo, hi = node.ends
        body = self(node.operands[0])
        return f"sum({body} for {node.bound.name} in range({_size(lo)}, {_size(hi + 1)}))", Level.ATOM

    # -- functions
    def map(self, node: Map) -> tuple[str, Level]:
        function, arguments = node.function, node.operands
        if any(function.orders):
            if not function.is_free or function.orders != (1,):
                raise NotWritten(str(function))
            return f"d{function.name}({self(arguments[0])})", Level.ATOM
        if function.name == "power":
            return f"{self.fit(arguments[0], Level.ATOM)}**{_scalar(function.parameters[0], Level.ATOM)}", Level.POWER
        if function.name in FUNCTIONS:
            form = FUNCTIONS[function.name]
            level = Level.POWER if "**" in form else Level.PRODUCT if "/" in form else Level.ATOM
            return form.format(X=self.fit(arguments[0], Level.POWER if "/" in form else Level.ATOM)), level
        inside = ", ".join([*map(self, arguments), *(_scalar(p, Level.SUM) for p in function.parameters)])
        return f"{function.name}({inside})", Level.ATOM

    def along(self, node: Any) -> tuple[str, Level]:
        word = {Softmax: "softmax", LogSumExp: "logsumexp", MaxAxis: "max", ArgmaxMask: "argmax_mask"}[type(node)]
        keep = ", keepdims=True" if isinstance(node, (LogSumExp, MaxAxis)) else ""
        return f"{word}({self(node.operands[0])}, axis={node.axis}{keep})", Level.ATOM

    def where(self, node: Where) -> tuple[str, Level]:
        test, first, second = node.operands
        if isinstance(test, Mask) and isinstance(second, Zero):
            return self._masked(test.kind, self(first))
        parts = [self._condition(test), *(self._number(o) or self(o) for o in (first, second))]
        shown = ["0" if isinstance(o, Zero) else p for o, p in zip(node.operands, parts, strict=True)]
        return f"where({', '.join(shown)})", Level.ATOM

    def compare(self, node: Compare) -> tuple[str, Level]:
        return f"({self._condition(node)})", Level.ATOM

    def _condition(self, node: Node) -> str:
        if not isinstance(node, Compare):
            return self(node)
        a, b = ("0" if isinstance(o, Zero) else self._number(o) or self.fit(o, Level.SUM) for o in node.operands)
        return f"{a} {node.relation} {b}"

    # -- blocks
    def slice(self, node: Slice) -> tuple[str, Level]:
        r0, r1, c0, c1 = node.parameters
        A = node.operands[0]
        inside = f"{_range(r0, r1, A.rows)}, {_range(c0, c1, A.cols)}"
        return f"{self.fit(A, Level.ATOM)}[{inside}]", Level.ATOM

    def embed(self, node: Embed) -> tuple[str, Level]:
        A, (r0, c0, rows, cols) = node.operands[0], node.parameters
        rows_of = [(r0, A.cols), (rows - r0 - A.rows, A.cols)]
        above, below = (f"zeros({_size(n)}, {_size(k)})" if expanded(n) != 0 else "" for n, k in rows_of)
        column = [t for t in (above, self(A), below) if t]
        text = f"vstack([{', '.join(column)}])" if len(column) > 1 else column[0]
        left, right = (
            f"zeros({_size(rows)}, {_size(n)})" if expanded(n) != 0 else "" for n in (c0, cols - c0 - A.cols)
        )
        row = [t for t in (left, text, right) if t]
        return (f"hstack([{', '.join(row)}])" if len(row) > 1 else row[0]), Level.ATOM

    def take(self, node: Take) -> tuple[str, Level]:
        A, ids = node.operands
        inside = f":, {self(ids)}" if node.axis == 1 else f"{self(ids)}, :"
        return f"{self.fit(A, Level.ATOM)}[{inside}]", Level.ATOM

    def add_at(self, node: AddAt) -> tuple[str, Level]:
        G, ids = node.operands
        # Columns are added up by the transpose of the matrix that picks them.
        if node.axis == 1:
            return f"{self.fit(G, Level.POWER)} @ eye({_size(node.cols)})[:, {self(ids)}].T", Level.PRODUCT
        return f"eye({_size(node.rows)})[:, {self(ids)}] @ {self.fit(G, Level.POWER)}", Level.PRODUCT

    def einsum(self, node: Einsum) -> tuple[str, Level]:
        def side(letters: str) -> str:
            return "1" if not letters else letters if len(letters) == 1 else f"({' '.join(letters)})"

        spec = node.spec
        inputs = ", ".join(f"{side(r)} {side(c)}" for r, c in spec.operands)
        text = f'"{inputs} -> {side(spec.out[0])} {side(spec.out[1])}"'
        if '1' in text:
            raise NotWritten("a contraction with a side of 1")
        inside = "".join(spec_side for o in spec.operands for spec_side in o)
        sizes = {x: s for x, s in spec.sizes.items() if not any(o == x for p in spec.operands for o in p)}
        named = "".join(f", {x}={_size(s)}" for x, s in sizes.items() if x in inside)
        return f"einsum({text}, {', '.join(map(self, node.operands))}{named})", Level.ATOM

    def reshape(self, node: Reshape) -> tuple[str, Level]:
        shape = f"({_size(node.rows)}, {_size(node.cols)})"
        return f"reshape({self(node.operands[0])}, {shape}, order='{node.order}')", Level.ATOM

    def called(self, node: Node) -> tuple[str, Level]:
        word = {Diag: "diagflat", DiagOf: "diagonal", Kron: "kron"}[type(node)]
        return f"{word}({', '.join(map(self, node.operands))})", Level.ATOM


def _range(lo: Any, hi: Any, full: sp.Expr) -> str:
    return ":" if lo == 0 and same_size(hi, full) else f"{_size(lo)}:{_size(hi)}"


def _size(value: Any) -> str:
    return str(expanded(value)).replace(" ", "")


def _scalar(value: sp.Expr, wanted: Level) -> str:
    """Return a coefficient as it stands in a place."""
    text = str(value)
    if value.is_Add:
        level = Level.SUM
    elif value.is_Symbol or value.is_Integer or (value.is_Pow and text.startswith("sqrt(")):
        level = Level.ATOM
    else:
        level = Level.POWER if value.is_Pow and "/" not in text else Level.PRODUCT
    return text if level >= wanted else f"({text})"


def _is_reciprocal(node: Node) -> bool:
    return isinstance(node, Map) and node.function.name == "recip" and not any(node.function.orders)


def _narrow(node: Node) -> Node:
    """Return a matrix whose rows (or columns) are all equal as one row (or column), which a sum or product spreads."""
    if isinstance(node, MatMul) and len(node.operands) > 1:
        first, last = node.operands[0], node.operands[-1]
        if isinstance(last, Ones) and is_one(last.rows):
            rest = node.operands[:-1]
            return rest[0] if len(rest) == 1 else MatMul(*rest)
        if isinstance(first, Ones) and is_one(first.cols):
            rest = node.operands[1:]
            return rest[0] if len(rest) == 1 else MatMul(*rest)
    return node


def _spreads(node: Node) -> list[bool]:
    """Tell of each operand whether it may be written as one row or column: not if nothing else has the full shape."""
    bodies = [t.body if isinstance(t, Scale) else t for t in node.operands]
    narrow = [_narrow(b) is not b for b in bodies]
    full = any(not n and not isinstance(b, Ones) for n, b in zip(narrow, bodies, strict=True))
    return [n and full for n in narrow]


def _stacked(node: Add) -> tuple[int, list[Node]] | None:
    """Return the blocks of a matrix that lie below (axis 0) or beside (axis 1) each other and cover it."""
    terms = node.operands
    if not all(isinstance(t, Embed) for t in terms):
        return None
    for axis, full in ((0, node.rows), (1, node.cols)):
        end: sp.Expr = sp.S.Zero
        order: list[Node] = []
        for _ in terms:
            following = [t for t in terms if same_size(t.parameters[axis], end) and t.parameters[1 - axis] == 0]
            if len(following) != 1:
                break
            order.append(following[0].operands[0])
            end = end + order[-1].shape[axis]
        if len(order) == len(terms) and same_size(end, full):
            return axis, order
    return None


_METHODS: dict[type[Node], Callable[[Any, Any], tuple[str, Level]]] = {
    Ref: Writer.ref, Ones: Writer.constant, Zero: Writer.constant, Eye: Writer.constant, Mask: Writer.constant,
    Add: Writer.add, Scale: Writer.scale, SMul: Writer.smul, MatMul: Writer.matmul, Hadamard: Writer.hadamard,
    Transpose: Writer.transpose, SumOver: Writer.sum_over, Map: Writer.map, Softmax: Writer.along,
    LogSumExp: Writer.along, MaxAxis: Writer.along, ArgmaxMask: Writer.along, Where: Writer.where,
    Compare: Writer.compare, Slice: Writer.slice, Embed: Writer.embed, Take: Writer.take, AddAt: Writer.add_at,
    Einsum: Writer.einsum, Reshape: Writer.reshape, Diag: Writer.called, DiagOf: Writer.called, Kron: Writer.called,
}  # fmt: skip
