"""The terminal form of matrix expressions, in ASCII (``W2^T Z2bar``) and in Unicode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import sympy as sp

from symbp.expr import Function, Map, MatMul, Node, Ones, Sides, SumOver, matmul
from symbp.ops import ELEMENTWISE, RULES
from symbp.render.names import Level, Names, Piece
from symbp.render.notation import Notation
from symbp.render.printer import HADAMARD_MARK, SUM_MARK, Printer, clean

FUNCTIONS: dict[str, str] = {
    "recip": "{X}^-1", "power": "{X}^{p}", "pow": "{X}^({E})", "step": "[{X} > 0]", "abs": "|{X}|",
}  # fmt: skip
"""Elementwise functions that are not written ``name(X)``."""

OPERATIONS: dict[str, str] = {
    "where": "where({A}, {B}, {C})", "logsumexp": "lse({A})", "argmax_mask": "argmax({A})",
}  # fmt: skip
"""Operations that are not written ``name(A)``."""


SIGNS: dict[str, str] = {"→": "->", "×": "x", "⊙": "o", "ᵀ": "^T", "≥": ">=", "≤": "<="}
"""Signs in reasons, as they are written in ASCII."""


class Ascii(Printer):
    """The ASCII form: ``o`` is the Hadamard product, ``1`` a vector of ones in a product."""

    PLUS, MINUS = f" {SUM_MARK}+ ", f" {SUM_MARK}- "
    HADAMARD, DIVIDE, PRODUCT = f" {HADAMARD_MARK}o ", f" {HADAMARD_MARK}./ ", " "
    ONE = "1"
    TRANSPOSE = "^T"
    CROSS = " x "
    SIGMA = "sum"

    def member(self, name: str, indices: Sequence[sp.Expr]) -> Piece:
        piece = self.named(name)
        if not indices:
            return piece
        return Piece(f"{piece.text}[{','.join(self._end(i) for i in indices)}]", piece.level)

    def named(self, name: str) -> Piece:
        """Return a name without indices."""
        return self.names.ascii(name)

    def range(self, index: sp.Symbol, first: sp.Expr, last: sp.Expr) -> str:
        return f"{self.size(index)} = {self._end(first)}{self.DOTS}{self._end(last)}"

    def _end(self, value: sp.Expr) -> str:
        return self.size(value).replace(" ", "")

    def plain(self, words: str) -> str:
        """Return words with the characters of the terminal."""
        for sign, ascii in SIGNS.items():
            words = words.replace(sign, ascii)
        return words

    def shape(self, node: Node) -> str:
        return self.CROSS.join(self.size(s) for s in node.shape)

    def transposed(self, base: str) -> str:
        return base + self.TRANSPOSE

    def matmul(self, node: MatMul) -> Piece:
        # The sum of all entries: 1^T A 1.
        factors = list(node.operands)
        if node.is_scalar_shape:
            inner = [f for k, f in enumerate(factors) if not (isinstance(f, Ones) and k in (0, len(factors) - 1))]
            if inner and len(inner) < len(factors):
                return Piece(f"sum({self.value(matmul(*inner))})", Level.ATOM)
        return super().matmul(node)

    def scaled(self, c: sp.Expr, body: Node) -> Piece:
        # A sum or a name is divided at the end, (Z - Y)/m; anything else has its coefficient in front.
        top, bottom = sp.fraction(c)
        if bottom == 1 or (body.is_scalar_shape and self.piece(body).text == "1"):
            return super().scaled(c, body)
        below = self.fit(self._scalar(bottom), "divisor")
        above = self.piece(body)
        if above.level in (Level.SUM, Level.ATOM) or (body.is_scalar_shape and above.level >= Level.PRODUCT):
            inner = super().scaled(top, body)
            return Piece(f"{self.fit(inner, 'last matrix factor')}/{below}", Level.PRODUCT)
        front = self.fit(self._scalar(top), "base")
        return Piece(f"({front}/{below}) {self.fit(above, 'scaled')}", Level.PRODUCT)

    def coefficient_space(self, front: Piece, body: str) -> str:
        return " "

    def quotient_factor(self, divisor: Node, body: Node) -> Piece:
        return Piece(f"{self.within(body, 'last matrix factor')}/{self.within(divisor, 'divisor')}", Level.PRODUCT)

    def scalar_quotient(self, above: Sequence[Node], below: Sequence[Node]) -> Piece:
        top = " ".join(self.within(f, "matrix factor") for f in above) or "1"
        if not below:
            return Piece(top, Level.PRODUCT)
        bottom = " ".join(self.within(f, "matrix factor") for f in below)
        return Piece(f"{top}/{bottom}" if len(below) == 1 else f"{top}/({bottom})", Level.PRODUCT)

    def map(self, node: Map) -> Piece:
        function = node.function
        if function.name == "power" and not any(function.orders):
            return self.scalar_power(node)
        return super().map(node)

    def sum_sign(self, node: SumOver) -> str:
        lo, hi = (self._end(e) for e in node.ends)
        return f"{self.SIGMA}({self.size(node.bound)}={lo}..{hi}) "

    def letter_sum(self, letters: str) -> str:
        return f"{self.SIGMA}({','.join(letters)}) "

    def indexed(self, base: str, sides: Sides) -> str:
        inside = ",".join(s for s in sides if s)
        return f"{base}[{inside}]" if inside else base

    def block(self, base: str, ranges: Sequence[str]) -> str:
        return f"{base}[{', '.join(ranges)}]"

    def embedded(self, block: Piece, ranges: Sequence[str], op: str = "embed") -> Piece:
        return Piece(f"{op}({block.text}, [{', '.join(ranges)}])", Level.ATOM)

    def by_map(self, name: str, inside: str, detail: str) -> Piece:
        shown = f"; {detail.replace(' x ', self.CROSS)}" if detail else ""
        return Piece(f"{name}({inside}{shown})", Level.ATOM)

    def blocks(self, parts: Sequence[str], axis: int) -> Piece:
        return Piece(f"[{('; ', ', ')[axis].join(parts)}]", Level.ATOM)

    def rule_notation(self, op: str) -> str:
        if op in OPERATIONS:
            return OPERATIONS[op]
        slots = RULES[op].signature.split("->")[0].count("(") if op in RULES else 1
        return f"{op}({', '.join('{' + letter + '}' for letter in 'ABCDEF'[:slots])})"

    def function_notation(self, function: Function) -> str | None:
        name = function.name
        if name not in ELEMENTWISE or function.law is not None or function.is_free:
            return None
        return FUNCTIONS.get(name) or (f"{name}({{X}}, {{p}})" if function.parameters else f"{name}({{X}})")

    def function_name(self, function: Function) -> str:
        return self.named(function.name).text

    def subscripted(self, name: str, subscript: str) -> str:
        return f"{name}_{subscript}"

    def raised(self, base: str, exponent: str) -> str:
        return f"{base}^{exponent}" if exponent.isalnum() else f"{base}^({exponent})"


class Unicode(Ascii):
    """The Unicode form."""

    HADAMARD, DIVIDE = f" {HADAMARD_MARK}⊙ ", f" {HADAMARD_MARK}⊘ "
    TRANSPOSE = "ᵀ"
    CROSS = "×"
    SIGMA = "∑"
    INNER = ("⟨", "⟩")
    RELATIONS: ClassVar[dict[str, str]] = {">=": "≥", "<=": "≤", "!=": "≠"}

    def named(self, name: str) -> Piece:
        return self.names.unicode(name)

    def plain(self, words: str) -> str:
        return words

    def raised(self, base: str, exponent: str) -> str:
        return base + "²" if exponent == "2" else base + "³" if exponent == "3" else super().raised(base, exponent)


def terminal(names: Names) -> Ascii:
    """Return the printer of the terminal form that the notation asks for."""
    return Unicode(names) if names.notation.charset == "unicode" else Ascii(names)


_NAMES = Names(None, Notation(charset="ascii"))


def text(node: Node) -> str:
    """Return an expression by itself in ASCII, as ``str`` shows it."""
    return clean(Ascii(_NAMES).value(node))
