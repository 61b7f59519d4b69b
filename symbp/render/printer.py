"""A printer of matrix expressions: one walk, one table of levels, one set of spellings per output.

Brackets are put by comparing levels (``NEEDS``), never by looking at the text.  A matrix product inside a Hadamard
product is bracketed and the other way round, so that nobody has to know which of the two binds tighter.
What is decided here, for every output: coefficients stand first, a negative term is a subtraction, a factor
``recip(B)`` is a division, ones are vectors in a product and a number in a sum, stacked blocks are a block matrix.
Places where a long line may be broken carry a mark; ``lines.py`` breaks there, ``clean`` removes what is left.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import sympy as sp

from symbp.expr import (
    Add, AddAt, AxisNode, Compare, Constant, Einsum, Embed, Eye, Function, Gather, Hadamard, Map, Mask, MatMul,
    Node, Ones, Ref, SMul, Scale, Scatter, Sides, SizeMember, Slice, SumOver, Take, Transpose, Where, Zero, is_one,
    same_size,
)
from symbp.ops import slope
from symbp.render.names import Level, Names, Piece, scalar
from symbp.render.notation import sample_axis

SUM_MARK, HADAMARD_MARK, PRODUCT_MARK = "\x1d", "\x1e", "\x1f"
MARKS = (SUM_MARK, HADAMARD_MARK, PRODUCT_MARK)
"""Where a line may be broken, the best places first."""

OPEN, CLOSE = "\x0e", "\x0f"
"""Silent brackets: what is between them is broken later than what is outside."""

_NO_MARKS = str.maketrans("", "", "".join((*MARKS, OPEN, CLOSE)))


def clean(text: str) -> str:
    """Return a printed text without the marks of possible line breaks."""
    return text.translate(_NO_MARKS)


NEEDS: dict[str, Level] = {
    "argument": Level.SUM,
    "term": Level.HADAMARD,
    "scaled": Level.HADAMARD,
    "summand": Level.HADAMARD,
    "hadamard factor": Level.POWER,
    "matrix factor": Level.POWER,
    "last matrix factor": Level.PRODUCT,
    "divisor": Level.POWER,
    "base": Level.ATOM,
}
"""The level that an operand must have in a place to stand there without brackets."""


INFIX = ("\\otimes", "\\odot", "\\,")
"""Signs between operands that are factors."""


@lru_cache(maxsize=1024)
def template(text: str) -> tuple[tuple[str, str | None, str], ...]:
    """Split a notation such as ``{X}^{{-1}}`` into (literal text, name of the operand, its place)."""
    parts: list[tuple[str, str | None]] = []
    before = ""
    for literal, field, _, _ in string.Formatter().parse(text):
        before += literal
        # An escaped brace ends a literal of the parser, not one of ours.
        if field is not None:
            parts.append((before, field))
            before = ""
    parts += [(before, None)] if before else []
    out = []
    for k, (literal, field) in enumerate(parts):
        after = parts[k + 1][0] if k + 1 < len(parts) else ""
        place = "argument"
        if after.lstrip().startswith("^"):
            place = "base"
        elif any(mark in beside for mark in INFIX for beside in (literal[-8:], after[:8])):
            place = "argument" if literal.count("{") > literal.count("}") else "hadamard factor"
        out.append((literal, field, place))
    return tuple(out)


@lru_cache(maxsize=1024)
def applied(text: str) -> str | None:
    """Return the function of a notation such as ``\\tanh({X})``, None for one of another form."""
    head, bracket, rest = text.partition("({X}")
    return head.format(p="{p}") if head and bracket and rest in (")", ", {p})") else None


class Printer:
    """What all outputs have in common; a subclass holds the spellings.

    names: the spellings of variables and sizes.
    """

    latex: ClassVar[bool] = False
    # Spellings of structural notation: operators with their marks, ones, zero, brackets.
    PLUS: ClassVar[str]
    MINUS: ClassVar[str]
    HADAMARD: ClassVar[str]
    DIVIDE: ClassVar[str]
    PRODUCT: ClassVar[str]
    EQUALS: ClassVar[str] = " = "
    ONE: ClassVar[str]
    ZERO: ClassVar[str] = "0"
    EYE: ClassVar[str] = "I"
    RELATIONS: ClassVar[dict[str, str]] = {}
    INNER: ClassVar[tuple[str, str]] = ("<", ">")
    TRACE: ClassVar[str] = "tr"
    DOTS: ClassVar[str] = ".."
    DEFINES: ClassVar[str] = ":="
    LIST: ClassVar[str] = ", "

    def __init__(self, names: Names | None = None) -> None:
        self.names = names or Names()
        self._memo: dict[Node, Piece] = {}
        self._scalars: dict[sp.Basic, Piece] = {}
        # An operation along the axis of the features needs no word, one along the samples does.
        self.axis = 1 if self.names.program and sample_axis(self.names.program) == "rows" else 0

    # -- entry points ------------------------------------------------------------------------------------------
    def __call__(self, node: Node) -> str:
        """Return a printed expression."""
        return clean(self.value(node))

    def value(self, node: Node) -> str:
        """Return a printed expression with the marks of possible line breaks."""
        return self.piece(node).text

    def equation(self, target: Node, value: Node) -> str:
        """Return ``target = value`` with the marks of possible line breaks."""
        return f"{self.value(target)}{self.EQUALS}{self.value(value)}"

    def inner(self, a: Node, b: Node) -> str:
        """Return the inner product ``<a, b>``."""
        left, right = self.INNER
        return f"{left}{OPEN}{self.value(a)}, {self.value(b)}{CLOSE}{right}"

    def trace(self, factors: Sequence[Node]) -> str:
        """Return the trace of a product, as it is written."""
        return self.TRACE + self.bracketed(self.product([self.within(f, "matrix factor") for f in factors]).text)

    def range(self, index: sp.Symbol, first: sp.Expr, last: sp.Expr) -> str:
        """Return the values of an index in the order in which it runs: ``t = T..1``."""
        return f"{self.size(index)} = {self.size(first)}{self.DOTS}{self.size(last)}"

    def boundary(self, vanishing: Sequence[Ref], index: sp.Symbol, relation: str, end: sp.Expr) -> str:
        """Return what vanishes outside a range: ``Zbar[t] := 0 for t > T``."""
        names = self.LIST.join(map(self.value, vanishing))
        where = f"{self.size(index)} {self.RELATIONS.get(relation, relation)} {self.size(end)}"
        return f"{names} {self.DEFINES} {self.ZERO} {self.words('for')} {where}"

    def plain(self, words: str) -> str:
        """Return words outside a formula, with the characters that the output knows."""
        raise NotImplementedError

    def words(self, text: str) -> str:
        """Return plain words inside a formula."""
        return text

    def size(self, value: sp.Basic) -> str:
        """Return a printed size, index or coefficient."""
        return self._scalar(value).text

    def shape(self, node: Node) -> str:
        """Return a printed shape."""
        raise NotImplementedError

    # -- the table ---------------------------------------------------------------------------------------------
    def piece(self, node: Node) -> Piece:
        """Return a printed expression and its level."""
        found = self._memo.get(node)
        if found is None:
            method = _METHODS.get(type(node))
            found = self._memo[node] = method(self, node) if method else self.operation(node)
        return found

    def within(self, node: Node, place: str) -> str:
        """Return an operand as it stands in a place, in brackets where the table says so."""
        return self.fit(self.piece(node), place)

    def fit(self, piece: Piece, place: str) -> str:
        """Put a piece in brackets if it binds less tightly than its place needs."""
        return piece.text if piece.level >= NEEDS[place] else self.bracketed(piece.text)

    def bracketed(self, text: str) -> str:
        """Return a text in brackets."""
        return f"({text})"

    def _scalar(self, value: sp.Basic) -> Piece:
        found = self._scalars.get(value)
        if found is None:
            found = self._scalars[value] = scalar(value, self._symbol, self.latex)
        return found

    def _symbol(self, symbol: sp.Basic) -> str:
        if isinstance(symbol, SizeMember):
            return self.member(symbol.name, symbol.indices).text
        return self.member(symbol.name, ()).text

    def member(self, name: str, indices: Sequence[sp.Expr]) -> Piece:
        """Return a name with indices."""
        raise NotImplementedError

    # -- leaves ------------------------------------------------------------------------------------------------
    def ref(self, node: Ref) -> Piece:
        return self.member(node.name, node.indices)

    def constant(self, node: Constant) -> Piece:
        if isinstance(node, Zero):
            return Piece(self.ZERO, Level.ATOM)
        if isinstance(node, Eye):
            return Piece(self.EYE, Level.ATOM)
        if isinstance(node, Mask):
            return Piece(self.mask(node), Level.ATOM)
        rows, cols = node.shape
        if is_one(cols):
            return Piece("1" if is_one(rows) else self.ONE, Level.ATOM)
        row = self.transposed(self.ONE)
        return Piece(row, Level.POWER) if is_one(rows) else Piece(self.ONE + self.PRODUCT + row, Level.PRODUCT)

    def mask(self, node: Mask) -> str:
        """Return the name of a constant pattern."""
        return node.kind

    # -- sums and products -------------------------------------------------------------------------------------
    def add(self, node: Add) -> Piece:
        block = self.stacked(node)
        if block is not None:
            return block
        out = ""
        for k, term in enumerate(node.operands):
            negative, shown = self.signed(term)
            if k:
                out += self.MINUS if negative else self.PLUS
            elif negative:
                out += "-"
            out += shown
        return Piece(out, Level.SUM)

    def signed(self, term: Node) -> tuple[bool, str]:
        """Return whether a term is subtracted, and the term without its sign, as it stands in a sum."""
        if isinstance(term, Ones):
            return False, "1"
        if isinstance(term, Scale):
            c, body = term.coefficient, term.body
            negative = bool(c.could_extract_minus_sign()) and not c.is_Add
            c = -c if negative else c
            if isinstance(body, Ones):
                return negative, self._scalar(c).text if not c.is_Add else self.bracketed(self._scalar(c).text)
            return negative, self.fit(self.scaled(c, body), "term")
        return False, self.within(term, "term")

    def number(self, node: Node) -> str:
        """Return a constant matrix as a number where the shape is clear (comparisons), else the expression."""
        if isinstance(node, (Ones, Scale)):
            negative, shown = self.signed(node)
            return f"-{shown}" if negative else shown
        return self.value(node)

    def scale(self, node: Scale) -> Piece:
        c, body = node.coefficient, node.body
        if c.could_extract_minus_sign() and not c.is_Add:
            return Piece(f"-{self.fit(self.scaled(-c, body), 'scaled')}", Level.SUM)
        return self.scaled(c, body)

    def scaled(self, c: sp.Expr, body: Node) -> Piece:
        """Return a coefficient that is not negative times a matrix."""
        if c is sp.S.One:
            return self.piece(body)
        if body.is_scalar_shape and isinstance(body, Ones):
            return self._scalar(c)
        front = self._scalar(c)
        shown = self.within(body, "scaled")
        return Piece(f"{self.fit(front, 'scaled')}{self.coefficient_space(front, shown)}{shown}", Level.PRODUCT)

    def coefficient_space(self, front: Piece, body: str) -> str:
        """Return what stands between a coefficient and its matrix."""
        return self.PRODUCT

    def smul(self, node: SMul) -> Piece:
        s, a = node.operands
        if isinstance(s, Map) and s.function.name == "recip" and not any(s.function.orders):
            return self.quotient_factor(s.operands[0], a)
        front, body = self.within(s, "matrix factor"), self.within(a, "last matrix factor")
        return Piece(front + self.PRODUCT + body, Level.PRODUCT)

    def quotient_factor(self, divisor: Node, body: Node) -> Piece:
        """Return a matrix divided by a 1 x 1 matrix."""
        raise NotImplementedError

    def matmul(self, node: MatMul) -> Piece:
        return self.product([self.within(f, "matrix factor") for f in node.operands])

    def product(self, factors: Sequence[str]) -> Piece:
        """Return factors side by side."""
        return Piece((self.PRODUCT + PRODUCT_MARK).join(factors), Level.PRODUCT)

    def hadamard(self, node: Hadamard) -> Piece:
        if self.names.notation.products == "diag":
            piece = self.as_diagonals(node)
            if piece is not None:
                return piece
        return self.entrywise(node)

    def entrywise(self, node: Hadamard) -> Piece:
        """Return an entrywise product or quotient."""
        factors = node.operands
        above: list[Node] = []
        below: list[Node] = []
        for f in factors:
            if isinstance(f, Map) and f.function.name == "recip" and not any(f.function.orders):
                below.append(f.operands[0])
            else:
                above.append(f)
        if node.is_scalar_shape:
            return self.scalar_quotient(above, below)
        if not below:
            return Piece(self._factors(factors), Level.HADAMARD)
        top = self._group(above) if above else "1"
        return Piece(f"{top}{self.DIVIDE}{self._group(below)}", Level.HADAMARD)

    def _factors(self, factors: Sequence[Node]) -> str:
        return self.HADAMARD.join(self.within(f, "hadamard factor") for f in factors)

    def _group(self, factors: Sequence[Node]) -> str:
        shown = self._factors(factors)
        return shown if len(factors) == 1 else self.bracketed(shown)

    def scalar_quotient(self, above: Sequence[Node], below: Sequence[Node]) -> Piece:
        """Return a product and quotient of 1 x 1 matrices."""
        raise NotImplementedError

    def as_diagonals(self, node: Hadamard) -> Piece | None:
        """Return ``diag(f'(z)) W^T delta`` for a product of columns, or with a broadcast column."""
        if node.is_scalar_shape:
            return None
        left: list[str] = []
        right: list[str] = []
        rest = list(node.operands)
        if is_one(node.cols) or is_one(node.rows):
            carrier = next((f for f in rest if self.names.adjoint_inside(f)), rest[0])
            side = left if is_one(node.cols) else right
            side += [self.diagonal(f) for f in rest if f is not carrier]
            rest = [carrier]
        else:
            for f in list(rest):
                if len(rest) > 1 and isinstance(f, MatMul) and len(f.operands) == 2:
                    a, b = f.operands
                    if isinstance(b, Ones) and is_one(b.rows):
                        left.append(self.diagonal(a))
                        rest.remove(f)
                    elif isinstance(a, Ones) and is_one(a.cols):
                        right.append(self.diagonal(Transpose(b) if not isinstance(b, Transpose) else b.operands[0]))
                        rest.remove(f)
        if not left and not right:
            return None
        middle = self.within(rest[0], "last matrix factor") if len(rest) == 1 else self.bracketed(self._factors(rest))
        return self.product([*left, middle, *right])

    def diagonal(self, column: Node) -> str:
        """Return a column as a diagonal matrix."""
        entries = self.entrywise(column) if isinstance(column, Hadamard) else self.piece(column)
        return self.filled(self.rule_notation("diag"), {"A": entries})

    def transpose(self, node: Transpose) -> Piece:
        inside = node.operands[0]
        if isinstance(inside, Ones):
            return self.constant(Ones(*node.shape))
        return Piece(self.transposed(self.within(inside, "base")), Level.POWER)

    def transposed(self, base: str) -> str:
        """Return a base with the sign of the transpose."""
        raise NotImplementedError

    def einsum(self, node: Einsum) -> Piece:
        """Return a contraction in index notation, with the letters of the result behind it."""
        spec = node.spec
        sides = zip(node.operands, spec.operands, strict=True)
        factors = [self.indexed(self.within(A, "base"), own) for A, own in sides]
        summed = self.letter_sum(spec.summed) if spec.summed else ""
        inside = summed + self.PRODUCT.join(factors)
        return Piece(self.indexed(f"[{inside}]", spec.out), Level.ATOM)

    def indexed(self, base: str, sides: Sides) -> str:
        """Return a matrix with the letters of its rows and columns."""
        raise NotImplementedError

    def letter_sum(self, letters: str) -> str:
        """Return the sign of a sum over letters."""
        raise NotImplementedError

    # -- the rest ----------------------------------------------------------------------------------------------
    def sum_over(self, node: SumOver) -> Piece:
        return Piece(self.sum_sign(node) + self.within(node.operands[0], "summand"), Level.HADAMARD)

    def sum_sign(self, node: SumOver) -> str:
        """Return the sign of a sum over an index, with its ends."""
        raise NotImplementedError

    def slice(self, node: Slice) -> Piece:
        r0, r1, c0, c1 = node.parameters
        A = node.operands[0]
        ranges = [self._range(r0, r1, A.rows), self._range(c0, c1, A.cols)]
        return Piece(self.block(self.within(A, "base"), ranges), Level.ATOM)

    def embed(self, node: Embed) -> Piece:
        A, (r0, c0, rows, cols) = node.operands[0], node.parameters
        ranges = [self._range(r0, r0 + A.rows, rows), self._range(c0, c0 + A.cols, cols)]
        return self.embedded(self.piece(A), ranges)

    def take(self, node: Take) -> Piece:
        A, ids = node.operands
        return Piece(self.block(self.within(A, "base"), self._numbered(ids, node.axis)), Level.ATOM)

    def add_at(self, node: AddAt) -> Piece:
        G, ids = node.operands
        return self.embedded(self.piece(G), self._numbered(ids, node.axis), "add_at")

    def _numbered(self, ids: Node, axis: int) -> list[str]:
        return [":", self.value(ids)] if axis == 1 else [self.value(ids), ":"]

    def embedded(self, block: Piece, ranges: Sequence[str], op: str = "embed") -> Piece:
        """Return a block in zeros, or columns added to zeros, with the place where they stand."""
        raise NotImplementedError

    def _range(self, lo: sp.Basic, hi: sp.Basic, full: sp.Expr) -> str:
        if lo == 0 and same_size(hi, full):
            return ":"
        return f"{self.size(lo) if lo != 0 else ''}:{'' if same_size(hi, full) else self.size(hi)}"

    def moved(self, node: Gather | Scatter) -> Piece:
        """Return what a static map makes of a matrix: ``im2col(X; 3 x 3, stride 2)``."""
        rule = node.map
        name = rule.name if isinstance(node, Gather) else rule.back
        return self.by_map(name, self.value(node.operands[0]), rule.detail)

    def by_map(self, name: str, inside: str, detail: str) -> Piece:
        """Return the name of a map with its argument and its detail."""
        raise NotImplementedError

    def block(self, base: str, ranges: Sequence[str]) -> str:
        """Return a block of a matrix."""
        raise NotImplementedError

    def stacked(self, node: Add) -> Piece | None:
        """Return a sum of blocks that lie below (beside) each other and cover all as a block matrix."""
        terms = node.operands
        if not all(isinstance(t, Embed) for t in terms):
            return None
        for axis, full in ((0, node.rows), (1, node.cols)):
            end: sp.Expr = sp.S.Zero
            order: list[Node] = []
            while len(order) < len(terms):
                following = [
                    t for t in terms
                    if same_size(t.parameters[axis], end) and t.parameters[1 - axis] == 0
                    and same_size(t.operands[0].shape[1 - axis], node.shape[1 - axis])
                ]
                if len(following) != 1:
                    break
                order.append(following[0].operands[0])
                end = end + order[-1].shape[axis]
            if len(order) == len(terms) and same_size(end, full):
                return self.blocks([self.value(block) for block in order], axis)
        return None

    def blocks(self, parts: Sequence[str], axis: int) -> Piece:
        """Return blocks below (axis 0) or beside (axis 1) each other."""
        raise NotImplementedError

    def where(self, node: Where) -> Piece:
        M, A, B = node.operands
        parts = [self.condition(M), self.number(A), self.number(B)]
        return self.call(self.rule_notation("where"), dict(zip("ABC", parts, strict=True)))

    def condition(self, mask: Node) -> str:
        """Return a mask as a condition: a comparison without brackets."""
        if isinstance(mask, Compare):
            a, b = (self.number(o) for o in mask.operands)
            return f"{a} {self.RELATIONS.get(mask.relation, mask.relation)} {b}"
        return self.value(mask)

    def compare(self, node: Compare) -> Piece:
        return Piece(f"[{self.condition(node)}]", Level.ATOM)

    # -- operations of the rule book ---------------------------------------------------------------------------
    def operation(self, node: Node) -> Piece:
        """Return an operation in the notation of its rule."""
        text = self.rule_notation(node.op)
        if isinstance(node, AxisNode) and node.axis != self.axis:
            along = self.subscripted("", "rows" if node.axis else "columns").replace("{", "{{").replace("}", "}}")
            text = text.replace("({A})", f"{along}({{A}})")
        return self.call(text, dict(zip(string.ascii_uppercase, map(self.piece, node.operands), strict=False)))

    def rule_notation(self, op: str) -> str:
        """Return the notation of a primitive."""
        raise NotImplementedError

    def filled(self, text: str, operands: dict[str, Any]) -> str:
        """Fill a notation with printed operands (pieces are bracketed as their place needs)."""
        out = ""
        for literal, field, place in template(text):
            out += literal
            if field is not None:
                operand = operands[field]
                out += self.fit(operand, place) if isinstance(operand, Piece) else operand
        return out

    def call(self, text: str, operands: dict[str, Any]) -> Piece:
        """Return a filled notation; an infix one binds like a Hadamard product, a power like a power."""
        literal, _, place = template(text)[0]
        level = Level.ATOM if literal else Level.POWER if place == "base" else Level.HADAMARD
        return Piece(self.filled(text, operands), level)

    def map(self, node: Map) -> Piece:
        function = node.function
        if any(function.orders):
            return self.derivative(node)
        text = self.function_notation(function)
        pieces = [self.piece(a) for a in node.operands]
        operands: dict[str, Any] = {"X": pieces[0], "p": self._parameters(function)}
        if len(pieces) == 2:
            operands["E"] = pieces[1]
        if text is None:
            inside = ", ".join(p.text for p in pieces)
            return Piece(self.function_name(function) + self.bracketed(inside), Level.ATOM)
        if len(function.parameters) == 1 and text == self.function_notation(Function("power")) and node.is_scalar_shape:
            return self.scalar_power(node)
        return self.call(text, operands)

    def scalar_power(self, node: Map) -> Piece:
        """Return a power of a 1 x 1 matrix."""
        base = self.within(node.operands[0], "base")
        return Piece(self.raised(base, self._parameters(node.function)), Level.POWER)

    def raised(self, base: str, exponent: str) -> str:
        """Return a base with an exponent."""
        raise NotImplementedError

    def _parameters(self, function: Function) -> str:
        return ", ".join(self.size(p) for p in function.parameters)

    def derivative(self, node: Map) -> Piece:
        """Return a derivative by name; of a function whose notation is no name, the slope that the table states."""
        function = node.function
        text = self.function_notation(function)
        head = None if text is None else applied(text)
        if text is not None and head is None and sum(function.orders) == 1:
            base = Map(*node.operands, function.base)
            written = slope(base, base, function.orders.index(1))
            if written is not None:
                return self.piece(written)
        name = head.replace("{p}", self._parameters(function)) if head else self.function_name(function)
        arguments = ", ".join(self.value(a) for a in node.operands)
        return Piece(f"{self.primed(name, function.orders)}{self.bracketed(arguments)}", Level.ATOM)

    def primed(self, name: str, orders: tuple[int, ...]) -> str:
        """Return the name of a derivative."""
        if len(orders) == 1:
            return name + "'" * orders[0]
        return self.subscripted(name, "".join(str(j + 1) * k for j, k in enumerate(orders)))

    def subscripted(self, name: str, subscript: str) -> str:
        """Return a name with a subscript."""
        raise NotImplementedError

    def function_notation(self, function: Function) -> str | None:
        """Return the notation of an elementwise function of the table, None for a user's function."""
        raise NotImplementedError

    def function_name(self, function: Function) -> str:
        """Return the name of a user's function."""
        raise NotImplementedError


_METHODS: dict[type[Node], Callable[[Any, Any], Piece]] = {
    Ref: lambda p, n: p.ref(n), Ones: lambda p, n: p.constant(n), Zero: lambda p, n: p.constant(n),
    Eye: lambda p, n: p.constant(n), Mask: lambda p, n: p.constant(n), Add: lambda p, n: p.add(n),
    Scale: lambda p, n: p.scale(n), SMul: lambda p, n: p.smul(n), MatMul: lambda p, n: p.matmul(n),
    Hadamard: lambda p, n: p.hadamard(n), Transpose: lambda p, n: p.transpose(n), SumOver: lambda p, n: p.sum_over(n),
    Slice: lambda p, n: p.slice(n), Where: lambda p, n: p.where(n), Compare: lambda p, n: p.compare(n),
    Map: lambda p, n: p.map(n), Einsum: lambda p, n: p.einsum(n), Embed: lambda p, n: p.embed(n),
    Take: lambda p, n: p.take(n), AddAt: lambda p, n: p.add_at(n),
    Gather: lambda p, n: p.moved(n), Scatter: lambda p, n: p.moved(n),
}  # fmt: skip
