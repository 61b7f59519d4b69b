"""Matrix expressions as NumPy text: one line of a table per primitive and per elementwise function.

The equations hold explicit products with ones; NumPy broadcasts.  So every text says how much of its matrix it
really holds: ``b 1^T`` is the text ``b``, a column that stands for a matrix, and a constant is a bare number.  Where
the consumer broadcasts (sums, Hadamard products, elementwise functions) that is enough; elsewhere ``full`` spreads it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import sympy as sp

from symbp.expr import (
    Add, AddAt, ArgmaxMask, AxisNode, Compare, Diag, DiagOf, Einsum, Embed, Eye, Function, Gather, Hadamard, Kron,
    LogSumExp, Map, Mask, MatMul, MaxAxis, Node, Ones, Ref, Reshape, SMul, Scale, Scatter, Slice, Softmax,
    SumOver, T, Take, Transpose, Where, Zero, is_one, same_size, scaled,
)
from symbp.render.numpy.guards import Pick, zero_outside
from symbp.render.numpy.maps import gathered, scattered
from symbp.render.numpy.scalars import (
    ATOM, CHOICE, COMPARE, PLUS, POWER, PRODUCT, TIMES, UNARY, GenerateError, raised, wrap,
)


@dataclass(frozen=True)
class Code:
    """A NumPy expression.

    text, level: the text and the level of its outermost operator.
    rows, cols:  whether it holds all rows and columns of the matrix; if not, it is broadcast along them.
    flat:        whether it is a number, not an array with two axes.
    boolean:     whether its entries are truth values.
    """

    text: str
    level: int = ATOM
    rows: bool = True
    cols: bool = True
    flat: bool = False
    boolean: bool = False

    @property
    def full(self) -> bool:
        """Tell whether it is an array that holds the whole matrix."""
        return self.rows and self.cols and not self.flat

    def at(self, least: int) -> str:
        """Return the text, in parentheses if its level is below ``least``."""
        return wrap(self.text, self.level, least)


class Scope(Protocol):
    """What an expression may refer to, in the function that is being written."""

    def read(self, ref: Ref) -> Code:
        """Return the text that reads a variable or a member of a family."""

    def scalar(self, value: sp.Expr) -> tuple[str, int]:
        """Return the text of a size, a coefficient or an index expression, and its level."""

    def kernel(self, name: str) -> str:
        """Return the name of a small function that the module must hold."""

    def function(self, function: Function) -> str:
        """Return the name of the module's own function for a scalar law of the user, or for a derivative."""

    def steps(self, index: sp.Symbol, lo: sp.Expr, hi: sp.Expr) -> str:
        """Return ``t in range(lo, hi + 1)`` and remember what its index is called."""

    def leave(self, index: sp.Symbol) -> None:
        """Forget an index at the end of its range."""


class Printer:
    """Prints matrix expressions in one scope.

    guards: the selections around the place that is being printed: nothing else is looked at.
    used:   which entries of the value that is being printed are used, as a condition; empty: all.
    zero:   outside of which entries named values are zero.
    known:  expressions that have a text already, because a line of code holds their value.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.guards: tuple[str, ...] = ()
        self.used = ""
        self.zero: dict[Ref, Pick] = {}
        self.known: dict[Node, Code] = {}

    def code(self, node: Node) -> Code:
        """Return the text of an expression, by the line of the table for its outermost operation."""
        if node in self.known:
            return self.known[node]
        line = PRIMITIVES.get(type(node))
        if line is None:
            raise GenerateError(f"the operation {type(node).__name__} has no NumPy form")
        return line(self, node)

    def size(self, value: sp.Expr, least: int = CHOICE) -> str:
        """Return the text of a size or a coefficient, in parentheses if its level is below ``least``."""
        return wrap(*self.scope.scalar(value), least)

    def number(self, node: Node) -> Code:
        """Return the text of an expression with numbers as entries (a truth value is converted)."""
        return numeric(self.code(node))

    def full(self, node: Node) -> Code:
        """Return the text of an array that holds the whole matrix."""
        return self.spread(self.number(node), node)

    def spread(self, code: Code, node: Node) -> Code:
        """Return ``code`` as an array that holds the whole matrix of the shape of ``node``."""
        if code.full:
            return code
        shape = self.shape(node)
        if not code.flat:
            return Code(f"np.broadcast_to({code.text}, {shape})")
        if node.is_scalar_shape and code.text.endswith(".sum()") and code.level == ATOM:
            return Code(f"{code.text.removesuffix(')')}keepdims=True)")
        if code.text in ("1", "0"):
            return Code(f"np.{'ones' if code.text == '1' else 'zeros'}({shape}, DTYPE)")
        return Code(f"np.full({shape}, {code.text}, DTYPE)")

    def shape(self, node: Node) -> str:
        """Return the text of a shape."""
        return f"({self.size(node.rows)}, {self.size(node.cols)})"

    def safe(self, argument: Code, domain: str = "> 0") -> Code:
        """Return an argument with 1 in place of the entries at which nobody needs the function's value.

        domain: where the function and its derivatives are finite; there the entry is left as it is, if it is named.
        """
        if self.guards:
            picked = " & ".join(self.guards) if len(self.guards) > 1 else self.guards[0]
            if len(self.guards) == 1 and picked.startswith("("):
                picked = picked[1:-1]
        elif self.used:
            test = f"({argument.at(PLUS)} {domain})"
            picked = test[1:-1] if self.used == test else f"{self.used} | {test}"
        else:
            return argument
        return Code(f"np.where({picked}, {argument.text}, 1.0)")

    def pick(self, mask: Node, wanted: bool) -> str:
        """Return the condition that a mask has the wanted value, in parentheses."""
        code = self.code(mask)
        text = code.text if code.boolean else f"{code.at(PLUS)} != 0"
        return f"({text})" if wanted else f"~({text})"

    def under(self, guard: str, node: Node) -> Code:
        """Return the text of a branch of a selection."""
        before = self.guards
        self.guards = (*before, guard)
        try:
            return self.number(node)
        finally:
            self.guards = before


def numeric(code: Code) -> Code:
    """Return truth values as numbers."""
    return replace(code, text=f"({code.text}).astype(DTYPE)", level=ATOM, boolean=False) if code.boolean else code


def joined(operator: str, level: int, codes: Sequence[Code]) -> Code:
    """Return texts joined by an operator; together they hold what any of them holds."""
    text = operator.join(c.at(level if k == 0 else level + 1) for k, c in enumerate(codes))
    return replace(together(codes), text=text, level=level if len(codes) > 1 else codes[0].level)


def together(codes: Sequence[Code]) -> Code:
    """Return the extent that NumPy's broadcasting gives several texts."""
    return Code("", rows=any(c.rows for c in codes), cols=any(c.cols for c in codes), flat=all(c.flat for c in codes))


# -- leaves ---------------------------------------------------------------------------------------------------


def _constant(text: str, node: Node) -> Code:
    return Code(text, rows=is_one(node.rows), cols=is_one(node.cols), flat=True)


def _ref(p: Printer, node: Node) -> Code:
    assert isinstance(node, Ref)
    return p.scope.read(node)


def _eye(p: Printer, node: Node) -> Code:
    return Code(f"np.eye({p.size(node.rows)}, dtype=DTYPE)")


PATTERNS = {
    "tril": "np.tril({0})", "triu": "np.triu({0})", "strict_tril": "np.tril({0}, -1)", "strict_triu": "np.triu({0}, 1)",
    "diagonal": "np.tril(np.triu({0}))", "off_diagonal": "({0} - np.tril(np.triu({0})))",
    "half_lower": "0.5 * (np.tril({0}) + np.tril({0}, -1))",
}
"""The entries of a matrix that a pattern keeps."""


def _pattern(p: Printer, kind: str, inside: Code) -> Code:
    text = PATTERNS[kind].format(inside.text)
    return Code(text, TIMES if kind == "half_lower" else ATOM)


def _mask(p: Printer, node: Node) -> Code:
    assert isinstance(node, Mask)
    return _pattern(p, node.kind, Code(f"np.ones({p.shape(node)}, DTYPE)"))


# -- sums and coefficients ------------------------------------------------------------------------------------


def scaled_code(p: Printer, coefficient: sp.Expr, code: Code) -> Code:
    """Return an exact coefficient times a text."""
    if coefficient == 1:
        return code
    if coefficient == -1:
        return replace(code, text=f"-{code.at(UNARY)}", level=UNARY)
    if code.flat and code.text == "1":
        text, level = p.scope.scalar(coefficient)
        return replace(code, text=text, level=level)
    if code.flat and coefficient.could_extract_minus_sign():
        positive = scaled_code(p, -coefficient, code)
        return replace(positive, text=f"-{positive.at(TIMES)}", level=min(positive.level, UNARY))
    above, below = sp.fraction(coefficient)
    if coefficient.is_Rational and " " not in p.size(coefficient):
        above, below = coefficient, sp.S.One
    if below == 1:
        return replace(code, text=f"{p.size(above, TIMES)} * {code.at(TIMES)}", level=TIMES)
    if above == 1:
        return replace(code, text=f"{code.at(TIMES)} / {p.size(below, UNARY)}", level=TIMES)
    # One pass over the entries: the numbers are divided first.
    if code.flat:
        return replace(code, text=f"{p.size(above, TIMES)} * {code.at(TIMES)} / {p.size(below, UNARY)}", level=TIMES)
    return replace(code, text=f"({p.size(coefficient)}) * {code.at(TIMES)}", level=TIMES)


def split_sign(node: Node) -> tuple[bool, Node]:
    """Return whether a term is subtracted, and what is added or subtracted."""
    if isinstance(node, Scale):
        negative, body = split_sign(node.body)
        sign = node.coefficient.could_extract_minus_sign()
        positive = -node.coefficient if sign else node.coefficient
        return sign != negative, scaled(positive, body)
    if isinstance(node, (Hadamard, MatMul, SMul)):
        signs = [split_sign(factor) for factor in node.operands]
        if any(negative for negative, _ in signs):
            return sum(negative for negative, _ in signs) % 2 == 1, node.rebuild(*(factor for _, factor in signs))
    return False, node


def _scale(p: Printer, node: Node) -> Code:
    assert isinstance(node, Scale)
    return scaled_code(p, node.coefficient, p.number(node.body))


def _add(p: Printer, node: Node) -> Code:
    blocks = _blocks(p, node)
    if blocks is not None:
        return blocks
    codes, text = [], ""
    for term in node.args:
        negative, body = split_sign(term)
        code = p.number(body)
        codes.append(code)
        if text:
            text += (" - " if negative else " + ") + code.at(PRODUCT)
        else:
            text = f"-{code.at(TIMES)}" if negative else code.at(PLUS)
    return replace(together(codes), text=text, level=PLUS)


def _blocks(p: Printer, node: Node) -> Code | None:
    """Return a sum of blocks that tile a matrix as a stack of the blocks, if it is one."""
    if not all(isinstance(t, Embed) for t in node.args):
        return None
    for axis in (0, 1):
        whole = node.shape[axis]
        if not all(same_size(t.operands[0].shape[1 - axis], t.shape[1 - axis]) for t in node.args):
            continue
        left, at, order = list(node.args), sp.S.Zero, []
        while left:
            found = next((t for t in left if same_size(t.parameters[axis], at)), None)
            if found is None:
                break
            left.remove(found)
            order.append(found)
            at = at + found.operands[0].shape[axis]
        if not left and same_size(at, whole):
            texts = ", ".join(p.full(t.operands[0]).text for t in order)
            return Code(f"np.{'vstack' if axis == 0 else 'hstack'}(({texts}))")
    return None


def _sum_over(p: Printer, node: Node) -> Code:
    assert isinstance(node, SumOver)
    steps, body = p.scope.steps(node.bound, *node.ends), node.operands[0]
    code = p.number(body)
    p.scope.leave(node.bound)
    if code.flat:
        return replace(code, text=f"sum({code.text} for {steps})", level=ATOM)
    return Code(f"sum(({p.spread(code, body).text} for {steps}), start=np.zeros({p.shape(node)}, DTYPE))")


# -- products -------------------------------------------------------------------------------------------------


def _factors(node: Node) -> tuple[sp.Expr, list[Node]]:
    """Return the factors of a product with its coefficient in front, and matrices of ones as column times row."""
    coefficient: sp.Expr = sp.S.One
    out: list[Node] = []
    for factor in node.args if isinstance(node, MatMul) else (node,):
        if isinstance(factor, Scale):
            coefficient, factor = coefficient * factor.coefficient, factor.body
        if isinstance(factor, Transpose) and isinstance(factor.operands[0], Ones):
            factor = Ones(*factor.shape)
        if isinstance(factor, MatMul):
            c, inner = _factors(factor)
            coefficient *= c
            out += inner
        elif isinstance(factor, Ones) and not is_one(factor.rows) and not is_one(factor.cols):
            out += [Ones(factor.rows, 1), Ones(1, factor.cols)]
        else:
            out.append(factor)
    return coefficient, out


def _matmul(p: Printer, node: Node) -> Code:
    """Print a product: a row of ones on the left and a column of ones on the right are sums, the others broadcast."""
    coefficient, factors = _factors(node)
    groups: list[Code] = []
    inner: list[Node] = []
    sum_rows = rows = cols = False

    def close(sum_cols: bool) -> None:
        nonlocal inner, sum_rows
        if inner:
            groups.append(_chain(p, inner, sum_rows, sum_cols))
        elif sum_rows:
            assert sum_cols
        inner, sum_rows = [], False

    for k, factor in enumerate(factors):
        first, last = k == 0, k == len(factors) - 1
        if not isinstance(factor, Ones):
            inner.append(factor)
        elif is_one(factor.cols) and not (is_one(factor.rows) and first):
            if first:
                rows = True
            elif not inner and sum_rows:
                coefficient, sum_rows = coefficient * factor.rows, False
            else:
                close(sum_cols=True)
        elif is_one(factor.rows):
            if inner:
                close(sum_cols=False)
            if last:
                cols = True
            else:
                sum_rows = True
    close(sum_cols=False)
    if not groups:
        return scaled_code(p, coefficient, _constant("1", node))
    code = groups[0] if len(groups) == 1 else joined(" * ", TIMES, groups)
    code = replace(
        code, rows=code.rows if not rows else is_one(node.rows), cols=code.cols if not cols else is_one(node.cols)
    )
    return scaled_code(p, coefficient, code)


def _chain(p: Printer, factors: list[Node], sum_rows: bool, sum_cols: bool) -> Code:
    """Print a product of matrices that are not ones, summed over its rows and columns where asked."""
    factors = _without_diagonals(factors)
    if len(factors) == 1:
        return _summed(p, factors[0], sum_rows, sum_cols)
    codes = []
    for k, factor in enumerate(factors):
        rows, cols = sum_rows and k == 0, sum_cols and k == len(factors) - 1
        codes.append(_summed(p, factor, rows, cols) if rows or cols else p.number(factor))
    for k, (factor, code) in enumerate(zip(factors, codes, strict=True)):
        need_rows, need_cols = k > 0, k < len(factors) - 1
        if code.flat or (need_rows and not code.rows) or (need_cols and not code.cols):
            codes[k] = p.spread(code, factor)
    out = Code("", rows=codes[0].rows, cols=codes[-1].cols)
    if is_one(factors[-1].cols) or sum_cols:
        # A column on the right: multiply from the right, so that every product is a column.
        text = codes[-1].at(POWER)
        for code in reversed(codes[1:-1]):
            text = f"({code.at(POWER)} @ {text})"
        return replace(out, text=f"{codes[0].at(POWER)} @ {text}", level=PRODUCT)
    return replace(out, text=" @ ".join(c.at(POWER) for c in codes), level=PRODUCT)


def _without_diagonals(factors: list[Node]) -> list[Node]:
    """Return the factors with ``diag(v) A`` as ``(v 1^T) o A``: rows or columns are scaled, not multiplied."""
    out: list[Node] = []
    for factor in factors:
        if out and isinstance(out[-1], Diag):
            column = out.pop().operands[0]
            out.append(Hadamard(MatMul(column, Ones(1, factor.cols)), factor))
        elif out and isinstance(factor, Diag):
            left = out.pop()
            out.append(Hadamard(left, MatMul(Ones(left.rows, 1), T(factor.operands[0]))))
        else:
            out.append(factor)
    return out


def _summed(p: Printer, node: Node, rows: bool, cols: bool) -> Code:
    """Print the sum over the rows, the columns, or all entries of a matrix."""
    rows, cols = rows and not is_one(node.rows), cols and not is_one(node.cols)
    if not (rows or cols):
        return p.number(node)
    if (rows or is_one(node.rows)) and (cols or is_one(node.cols)):
        return _total(p, node)
    code = p.number(node)
    axis, holds, count = (0, code.rows, node.rows) if rows else (1, code.cols, node.cols)
    if code.flat or not holds:
        # It is broadcast along the axis: the sum is a multiple.
        return scaled_code(p, count, replace(code, rows=code.rows or rows, cols=code.cols or cols))
    return replace(code, text=f"{code.at(ATOM)}.sum(axis={axis}, keepdims=True)", level=ATOM)


def _total(p: Printer, node: Node) -> Code:
    scalar = Code("", flat=True)
    if isinstance(node, Scale):
        return scaled_code(p, node.coefficient, _total(p, node.body))
    square = isinstance(node, Map) and node.function == SQUARE and isinstance(node.operands[0], Ref)
    pair = (node.operands[0],) * 2 if square else node.operands
    if square or (isinstance(node, Hadamard) and len(pair) == 2):
        left, right = (p.code(a) for a in pair)
        if left.full and right.full and not (left.boolean or right.boolean):
            return replace(scalar, text=f"np.vdot({left.text}, {right.text})")
    code = p.full(node)
    return replace(scalar, text=f"{code.at(ATOM)}.sum()")


def _hadamard(p: Printer, node: Node) -> Code:
    pattern = next((f for f in node.args if isinstance(f, Mask) and f.kind != "half_lower"), None)
    if pattern is not None and len(node.args) == 2:
        other = next(f for f in node.args if f is not pattern)
        return _pattern(p, pattern.kind, p.full(other))
    # Where one factor is zero, the others are not looked at.
    zero = zero_outside(node, p.zero)
    if zero is None or not any(domain_of(f) for f in node.operands):
        return _multiplied(p, list(node.args), node)
    before = p.guards
    p.guards = (*before, p.pick(*zero))
    try:
        return _multiplied(p, list(node.args), node)
    finally:
        p.guards = before


def _smul(p: Printer, node: Node) -> Code:
    s, a = node.args
    left, right = p.number(s), p.number(a)
    if right.flat and right.text == "1":
        return replace(left, rows=left.rows and is_one(node.rows), cols=left.cols and is_one(node.cols))
    # The scalar is 1 x 1, so the extent is that of the matrix.
    text = f"{left.at(TIMES)} * {right.at(TIMES)}"
    return Code(text, TIMES, rows=right.rows, cols=right.cols, flat=left.flat and right.flat)


def _multiplied(p: Printer, factors: list[Node], node: Node) -> Code:
    """Print an entrywise product; reciprocals are divisors, truth values select."""
    coefficient: sp.Expr = sp.S.One
    above: list[Code] = []
    below: list[Code] = []
    for factor in factors:
        if isinstance(factor, Scale):
            coefficient, factor = coefficient * factor.coefficient, factor.body
        divisor = _divisor(p, factor)
        if divisor is not None:
            below.append(divisor)
        elif not isinstance(factor, Ones):
            above.append(p.code(factor))
    if any(c.boolean for c in above) and not any(not c.boolean and not c.flat for c in above):
        above = [numeric(c) for c in above]
    if not above and not below:
        return scaled_code(p, coefficient, _constant("1", node))
    code = joined(" * ", TIMES, above) if above else _constant("1", node)
    for divisor in below:
        code = replace(together([code, divisor]), text=f"{code.at(TIMES)} / {divisor.at(UNARY)}", level=TIMES)
    return scaled_code(p, coefficient, code)


def _divisor(p: Printer, node: Node) -> Code | None:
    """Return what a factor divides by, if it is a reciprocal."""
    if not isinstance(node, Map):
        return None
    f = node.function
    if f.name == "recip" and not any(f.orders):
        return p.safe(p.number(node.operands[0]), "!= 0")
    if f.name == "power" and not any(f.orders) and f.parameters[0].could_extract_minus_sign():
        domain = "!= 0" if f.parameters[0].is_Integer else "> 0"
        return _powered(p, p.safe(p.number(node.operands[0]), domain), -f.parameters[0])
    return None


def domain_of(node: Node) -> str:
    """Return where an elementwise function is finite, as ``> 0`` or ``!= 0``; empty if it is everywhere."""
    if not isinstance(node, Map) or any(node.function.orders):
        return ""
    name, parameters = node.function.name, node.function.parameters
    if name == "power":
        exponent = parameters[0]
        return "" if exponent.is_Integer and exponent > 0 else "!= 0" if exponent.is_Integer else "> 0"
    return {"recip": "!= 0", "log": "> 0", "sqrt": "> 0", "pow": "> 0"}.get(name, "")


# -- shapes ---------------------------------------------------------------------------------------------------


def _transpose(p: Printer, node: Node) -> Code:
    code = p.number(node.args[0])
    if code.flat:
        return replace(code, rows=code.cols, cols=code.rows)
    return replace(code, text=f"{code.at(ATOM)}.T", level=ATOM, rows=code.cols, cols=code.rows)


def _call(text: str) -> Callable[[Printer, Node], Code]:
    """Make the line of a primitive whose text is a call: ``{0}`` and ``{1}`` are the operands as full arrays."""

    def line(p: Printer, node: Node) -> Code:
        return Code(text.format(*(p.full(a).text for a in node.operands)))

    return line


def _diagonal(p: Printer, node: Node) -> Code:
    return Code(f"np.diagonal({p.full(node.operands[0]).text})[:, np.newaxis]")


def _slice(p: Printer, node: Node) -> Code:
    inner = node.operands[0]
    r0, r1, c0, c1 = node.parameters
    rows, cols = (_span(p, *ends) for ends in ((r0, r1, inner.rows), (c0, c1, inner.cols)))
    subscript = rows if cols == ":" else f"{rows}, {cols}"
    return Code(f"{p.full(inner).at(ATOM)}[{subscript}]")


def _span(p: Printer, start: sp.Expr, stop: sp.Expr, whole: sp.Expr) -> str:
    first = "" if start == 0 else p.size(start, PLUS)
    last = "" if same_size(stop, whole) else p.size(stop, PLUS)
    return f"{first} : {last}" if " " in first + last and first and last else f"{first}:{last}"


def _embed(p: Printer, node: Node) -> Code:
    r0, c0, rows, cols = (p.size(x) for x in node.parameters)
    return Code(f"{p.scope.kernel('embed')}({p.full(node.operands[0]).text}, {r0}, {c0}, ({rows}, {cols}))")


def _reshape(p: Printer, node: Node) -> Code:
    assert isinstance(node, Reshape)
    order = "" if node.order == "C" else ', order="F"'
    return Code(f"{p.full(node.operands[0]).at(ATOM)}.reshape({p.shape(node)}{order})")


def _einsum(p: Printer, node: Node) -> Code:
    """Return a contraction: one axis for each letter, and the sides of the result put together again."""
    assert isinstance(node, Einsum)
    spec, texts = node.spec, []
    for (rows, cols), A in zip(spec.operands, node.operands, strict=True):
        inside = p.full(A)
        axes = ", ".join(p.size(spec.sizes[letter]) for letter in rows + cols)
        if len(rows) == len(cols) == 1:
            texts.append(inside.text)
        else:
            texts.append(f"{inside.at(ATOM)}.reshape({axes}{',' if len(rows + cols) == 1 else ''})")
    words = ["".join(sides) for sides in spec.operands]
    for letter in "".join(spec.out):
        if not any(letter in word for word in words):
            words.append(letter)
            texts.append(f"np.ones({p.size(spec.sizes[letter])}, DTYPE)")
    kept = "".join(spec.out)
    quick = ", optimize=True" if len(texts) > 2 else ""
    text = f'np.einsum("{",".join(words)}->{kept}", {", ".join(texts)}{quick})'
    text = f"np.asarray({text})"  # einsum itself has no type
    if not kept:
        text = f"{text}.reshape(1, 1)"
    elif not (len(spec.out[0]) == len(spec.out[1]) == 1):
        text = f"{text}.reshape({p.size(node.rows)}, {p.size(node.cols)})"
    return Code(text)


def _gather(p: Printer, node: Node) -> Code:
    assert isinstance(node, Gather)
    return Code(gathered(node.map, p.full(node.operands[0]).at(ATOM), p.size, p.scope.kernel))


def _scatter(p: Printer, node: Node) -> Code:
    assert isinstance(node, Scatter)
    return Code(scattered(node.map, p.full(node.operands[0]).at(ATOM), p.size, p.scope.kernel))


def _take(p: Printer, node: Node) -> Code:
    assert isinstance(node, Take)
    numbers = f"{p.scope.kernel('numbers')}({p.full(node.operands[1]).text})"
    subscript = f":, {numbers}" if node.axis == 1 else numbers
    return Code(f"{p.full(node.operands[0]).at(ATOM)}[{subscript}]")


def _add_at(p: Printer, node: Node) -> Code:
    assert isinstance(node, AddAt)
    p.scope.kernel("numbers")
    values, numbers = (p.full(o).text for o in node.operands)
    return Code(f"{p.scope.kernel('add_at')}({values}, {numbers}, {p.size(node.parameters[0])}, axis={node.axis})")


# -- selections, reductions -----------------------------------------------------------------------------------


def _compare(p: Printer, node: Node) -> Code:
    assert isinstance(node, Compare)
    a, b = (p.number(x) for x in node.operands)
    text = f"{a.at(PLUS)} {node.relation} {b.at(PLUS)}"
    return replace(together([a, b]), text=text, level=COMPARE, boolean=True)


def _where(p: Printer, node: Node) -> Code:
    m, a, b = node.operands
    mask, picked = p.code(m), p.pick(m, True)[1:-1]
    left, right = p.under(p.pick(m, True), a), p.under(p.pick(m, False), b)
    text = f"np.where({picked}, {left.text}, {right.text})"
    # Two bare numbers would make integers or doubles.
    return replace(together([mask, left, right]), text=f"{text}.astype(DTYPE)" if left.flat and right.flat else text)


def _axis(text: str) -> Callable[[Printer, Node], Code]:
    """Make the line of an operation along an axis: ``{0}`` is the operand; a leading underscore calls a kernel."""
    kernel = text.split("(")[0].removeprefix("_") if text.startswith("_") else None

    def line(p: Printer, node: Node) -> Code:
        assert isinstance(node, AxisNode)
        if kernel:
            p.scope.kernel(kernel)
        inside = p.full(node.operands[0])
        return Code(text.format(inside.at(CHOICE if kernel else ATOM), axis=node.axis))

    return line


# -- elementwise functions ------------------------------------------------------------------------------------

SQUARE = Function("power", (2,))


def _map(p: Printer, node: Node) -> Code:
    assert isinstance(node, Map)
    f = node.function
    arguments = [p.number(a) for a in node.operands]
    if f.law is not None or f.is_free or any(f.orders):
        name = p.scope.function(f)
        texts = [_array(p, a, x) for a, x in zip(arguments, node.operands, strict=True)]
        return replace(together(arguments), text=f"{name}({', '.join(texts)})")
    line = ELEMENTWISE.get(f.name)
    if line is None:
        raise GenerateError(f"the elementwise function {f.name} has no NumPy form")
    return line(p, f, arguments)


def _array(p: Printer, code: Code, node: Node) -> str:
    """Return an argument of one of the module's own functions, which take arrays."""
    return p.spread(code, node).text if code.flat else code.text


Line = Callable[[Printer, Function, list[Code]], Code]


def _entry(
    text: str, level: int = ATOM, *, inside: int = CHOICE, domain: str = "", boolean: bool = False
) -> Line:
    """Make the line of an elementwise function.

    text:    ``{0}``, ``{1}`` are the arguments, ``{p}`` the parameter; a leading underscore calls a kernel.
    level:   the level of the text's outermost operator.
    inside:  the least level of the arguments in it.
    domain:  where its first argument must lie, if not anywhere: it gets safe arguments in a selection.
    """
    kernel = text.split("(")[0].removeprefix("_") if text.startswith("_") else None

    def line(p: Printer, f: Function, arguments: list[Code]) -> Code:
        if kernel:
            p.scope.kernel(kernel)
        given = [p.safe(a, domain) if domain and k == 0 else a for k, a in enumerate(arguments)]
        parameter = p.size(f.parameters[0], inside) if f.parameters else ""
        filled = text.format(*(a.at(inside) for a in given), p=parameter)
        return replace(together(given), text=filled, level=level, boolean=boolean)

    return line


def _power(p: Printer, f: Function, arguments: list[Code]) -> Code:
    exponent = f.parameters[0]
    natural = exponent.is_Integer and exponent > 0
    base = arguments[0] if natural else p.safe(arguments[0], "!= 0" if exponent.is_Integer else "> 0")
    if not exponent.could_extract_minus_sign():
        return _powered(p, base, exponent)
    return replace(base, text=f"1 / {_powered(p, base, -exponent).at(UNARY)}", level=TIMES)


def _powered(p: Printer, base: Code, exponent: sp.Expr) -> Code:
    """Return a positive power; NumPy is quick for squares and roots, slow for other exponents."""
    if exponent == 1:
        return base
    if exponent == sp.Rational(1, 2):
        return replace(base, text=f"np.sqrt({base.text})", level=ATOM)
    word = base.text.isidentifier()
    if exponent in (3, 4) and word:
        return replace(base, text=f"{base.text}**2 * {base.text}{'**2' if exponent == 4 else ''}", level=TIMES)
    if exponent == sp.Rational(3, 2) and word:
        return replace(base, text=f"{base.text} * np.sqrt({base.text})", level=TIMES)
    return replace(base, text=raised(base.at(ATOM), p.size(exponent, ATOM)), level=POWER)


ELEMENTWISE: dict[str, Line] = {
    "recip": _entry("1 / {0}", TIMES, inside=UNARY, domain="!= 0"),
    "recip0": _entry("_recip0({0})"),
    "power": _power,
    "pow": _entry("np.power({0}, {1})", domain="> 0"),
    "exp": _entry("np.exp({0})"),
    "log": _entry("np.log({0})", domain="> 0"),
    "sqrt": _entry("np.sqrt({0})", domain="> 0"),
    "tanh": _entry("np.tanh({0})"),
    "sigmoid": _entry("_sigmoid({0})"),
    "softplus": _entry("np.logaddexp(0, {0})"),
    "sin": _entry("np.sin({0})"),
    "cos": _entry("np.cos({0})"),
    "erf": _entry("_erf({0})"),
    "abs": _entry("np.abs({0})"),
    "sign": _entry("np.sign({0})"),
    "step": _entry("{0} > 0", COMPARE, inside=PLUS, boolean=True),
    "relu": _entry("np.maximum({0}, 0)"),
    "leaky_relu": _entry("_leaky_relu({0}, {p})"),
    "elu": _entry("_elu({0}, {p})"),
    "silu": _entry("_silu({0})"),
    "mish": _entry("_mish({0})"),
    "gelu": _entry("_gelu({0})"),
    "arctan": _entry("np.arctan({0})"),
    "softsign": _entry("_softsign({0})"),
    "hard_tanh": _entry("np.clip({0}, -1, 1)"),
    "stop_gradient": _entry("{0}"),
}
"""The NumPy text of each elementwise function of the rule book."""

PRIMITIVES: dict[type[Node], Callable[[Printer, Node], Code]] = {
    Ref: _ref,
    Ones: lambda p, node: _constant("1", node),
    Zero: lambda p, node: _constant("0", node),
    Eye: _eye,
    Mask: _mask,
    Add: _add,
    Scale: _scale,
    SMul: _smul,
    MatMul: _matmul,
    Hadamard: _hadamard,
    Transpose: _transpose,
    Diag: _call("np.diagflat({0})"),
    DiagOf: _diagonal,
    Slice: _slice,
    Embed: _embed,
    Reshape: _reshape,
    Kron: _call("np.kron({0}, {1})"),
    Einsum: _einsum,
    Gather: _gather,
    Scatter: _scatter,
    Take: _take,
    AddAt: _add_at,
    SumOver: _sum_over,
    Map: _map,
    Where: _where,
    Compare: _compare,
    Softmax: _axis("_softmax({0}, {axis})"),
    LogSumExp: _axis("_logsumexp({0}, {axis})"),
    MaxAxis: _axis("{0}.max(axis={axis}, keepdims=True)"),
    ArgmaxMask: _axis("_argmax_mask({0}, {axis})"),
}
"""The NumPy text of each primitive."""
