"""The LaTeX form of matrix expressions: amsmath and amssymb are enough.

Brackets are of a fixed size (``\\bigl(``), so that a line may be broken inside them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

import sympy as sp

from symbp.expr import Function, Mask, Node, Ones, Scale, Sides, SumOver, Where
from symbp.ops import ELEMENTWISE, RULES
from symbp.render.names import Level, Names, Piece, spelling
from symbp.render.printer import HADAMARD_MARK, SUM_MARK, Printer, clean

TALL = ("\\frac", "\\sum", "\\begin", "\\sqrt")


class Latex(Printer):
    """The LaTeX form."""

    latex = True
    PLUS, MINUS = f" {SUM_MARK}+ ", f" {SUM_MARK}- "
    HADAMARD, DIVIDE, PRODUCT = f" {HADAMARD_MARK}\\odot ", f" {HADAMARD_MARK}\\oslash ", "\\, "
    ONE = "\\mathbf{1}"
    INNER = ("\\langle ", "\\rangle")
    TRACE = "\\operatorname{tr}"
    DOTS = ", \\dots, "
    DEFINES = ":="
    LIST = ",\\allowbreak\\ "
    RELATIONS: ClassVar[dict[str, str]] = {">=": "\\ge", "<=": "\\le", "!=": "\\ne", "==": "="}

    def member(self, name: str, indices: Sequence[sp.Expr]) -> Piece:
        return self.names.latex(name, tuple(self.size(i) for i in indices))

    def words(self, text: str) -> str:
        return f"\\text{{ {text} }}"

    def shape(self, node: Node) -> str:
        return " \\times ".join(self.size(s) for s in node.shape)

    def bracketed(self, text: str) -> str:
        if "\\begin" in text:
            return f"\\left({clean(text)}\\right)"
        if any(t in text for t in TALL):
            return f"\\Bigl({text}\\Bigr)"
        if "(" in text:
            return f"\\bigl({text}\\bigr)"
        return f"({text})"

    def transposed(self, base: str) -> str:
        return f"{base}^{{\\top}}"

    def raised(self, base: str, exponent: str) -> str:
        return f"{base}^{{{exponent}}}"

    def coefficient_space(self, front: Piece, body: str) -> str:
        # A number stands close to a letter; two symbols need a little space.
        return " " if body.startswith(("(", "\\bigl", "\\Bigl", "\\left")) or front.text.isdigit() else "\\, "

    def quotient_factor(self, divisor: Node, body: Node) -> Piece:
        below = clean(self.value(divisor))
        return Piece(f"\\frac{{1}}{{{below}}}\\, {self.within(body, 'last matrix factor')}", Level.PRODUCT)

    def scalar_quotient(self, above: Sequence[Node], below: Sequence[Node]) -> Piece:
        if not below:
            return self.product([self.within(f, "matrix factor") for f in above])
        top = self.PRODUCT.join(self.value(f) if len(above) == 1 else self.within(f, "matrix factor") for f in above)
        bottom = self.PRODUCT.join(self.value(f) if len(below) == 1 else self.within(f, "matrix factor") for f in below)
        return Piece(f"\\frac{{{clean(top) or '1'}}}{{{clean(bottom)}}}", Level.PRODUCT)

    def sum_sign(self, node: SumOver) -> str:
        lo, hi = (self.size(e) for e in node.ends)
        return f"\\sum_{{{self.size(node.bound)}={lo}}}^{{{hi}}} "

    def letter_sum(self, letters: str) -> str:
        return f"\\sum_{{{letters}}} "

    def indexed(self, base: str, sides: Sides) -> str:
        inside = ",".join(s for s in sides if s)
        if base.startswith("["):
            base = f"\\bigl{base[:-1]}\\bigr]"
        elif "_" in base:
            base = f"[{base}]"
        return f"{base}_{{{inside}}}" if inside else base

    def block(self, base: str, ranges: Sequence[str]) -> str:
        # A colon between sizes is no relation: braces take its space away.
        inside = ",\\, ".join(r.replace(":", "{:}") for r in ranges)
        return f"{base}[{inside}]"

    def embedded(self, block: Piece, ranges: Sequence[str], op: str = "embed") -> Piece:
        place = ",\\, ".join(r.replace(":", "{:}") for r in ranges)
        place = place.replace("{", "{{").replace("}", "}}")
        name = self.rule_notation(op).replace("({A})", f"_{{{{[{place}]}}}}({{A}})")
        return self.call(name, {"A": block})

    def blocks(self, parts: Sequence[str], axis: int) -> Piece:
        inside = (" \\\\ ", " & ")[axis].join(clean(p) for p in parts)
        return Piece(f"\\begin{{bmatrix}} {inside} \\end{{bmatrix}}", Level.ATOM)

    def by_map(self, name: str, inside: str, detail: str) -> Piece:
        shown = ",\\, ".join(map(_detail, detail.split(", ")))
        inside += f";\\, {shown}" if detail else ""
        return Piece(f"\\operatorname{{{name}}}{self.bracketed(inside)}", Level.ATOM)

    def mask(self, node: Mask) -> str:
        kind = node.kind.replace("_", "\\_")
        return f"M_{{\\mathrm{{{kind}}}}}"

    def rule_notation(self, op: str) -> str:
        found = RULES.get(op)
        return found.latex if found else f"\\operatorname{{{{{op}}}}}({{A}})"

    def function_notation(self, function: Function) -> str | None:
        if function.law is not None or function.is_free:
            return None
        entry = ELEMENTWISE.get(function.name)
        return entry.latex if entry else None

    def function_name(self, function: Function) -> str:
        name = spelling(function.name).latex()
        return name.replace("\\mathrm", "\\operatorname") if name.startswith("\\mathrm") else name

    def subscripted(self, name: str, subscript: str) -> str:
        shown = subscript if subscript.isdigit() else f"\\mathrm{{{subscript}}}"
        return f"{name}_{{{shown}}}"

    def equation(self, target: Node, value: Node) -> str:
        return f"{self.value(target)}{self.EQUALS}{self.cases(value) or self.value(value)}"

    def _parameters(self, function: Function) -> str:
        # A fraction in a subscript or an exponent is written on the line.
        return ", ".join(str(p) if p.is_Rational else self.size(p) for p in function.parameters)

    def cases(self, node: Node) -> str | None:
        """Return a selection that is the whole right side as cases."""
        c, body = sp.S.One, node
        if isinstance(node, Scale):
            c, body = node.coefficient, node.body
        if not isinstance(body, Where):
            return None
        M, A, B = body.operands
        front = "" if c is sp.S.One else self.scaled(c, Ones(1, 1)).text + "\\, "
        rows = f"{self.number(A)} & \\text{{where }} {self.condition(M)} \\\\ {self.number(B)} & \\text{{elsewhere}}"
        return f"{front}\\begin{{cases}} {clean(rows)} \\end{{cases}}"


@lru_cache(maxsize=1)
def _plain_names() -> Names:
    return Names()


def _detail(part: str) -> str:
    """Return a detail of a map such as ``stride 2 x 1`` or ``by columns``: words as text, sizes as mathematics."""
    word, _, rest = part.partition(" ")
    if rest.startswith("x "):
        word, rest = "", part
    if rest.isalpha():
        return f"\\text{{{part}}}"
    sizes = re.sub(r"_(\w+)", r"_{\1}", rest).replace(" x ", "{\\times}").replace("*", "\\, ")
    return f"\\text{{{word} }}{sizes}" if word else sizes


def latex(node: Node) -> str:
    """Return an expression by itself in LaTeX."""
    return clean(Latex(_plain_names()).value(node))
