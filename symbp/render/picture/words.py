"""What an equation does, in a few words: ``product + bias``, ``tanh``, ``difference, square, sum over t``.

The words of an operation are those of its rule; nothing is known here of single operations beyond sums and products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import takewhile
from math import prod

from symbp.expr import (
    Add, Constant, Hadamard, Map, MatMul, Node, Ones, Ref, Scale, SMul, StaticMap, SumOver, is_one, same_size,
)
from symbp.ops import called, rule
from symbp.program import Program
from symbp.render.printer import Printer, clean


def words(value: Node, program: Program, printer: Printer) -> list[str]:
    """Return the operations of an expression in the order in which they are done, each once."""
    known = {v.name for v in program.declared("param")}

    def biased(term: Node) -> bool:
        bare = _spread(term)
        return isinstance(bare, Ref) and bare.name in known and any(is_one(size) for size in bare.shape)

    def visit(node: Node) -> list[str]:
        if isinstance(node, (Ref, Constant)):
            return []
        if isinstance(node, SumOver):
            return [*visit(node.operands[0]), f"sum over {printer.size(node.bound)}"]
        if (bare := _spread(node)) is not node:
            return visit(bare)
        inside = [word for operand in node.operands for word in visit(operand)]
        if isinstance(node, Add):
            return _added(node, inside, biased)
        if isinstance(node, Scale):
            return [*inside[:-1], "mean"] if _is_mean(node) else inside
        if isinstance(node, MatMul):
            return [*inside, *_multiplied(node)]
        if isinstance(node, Hadamard) and any(_is_reciprocal(_spread(o)) for o in node.operands):
            return [*(word for word in inside if word != "reciprocal"), "quotient"]
        if isinstance(node, Map):
            f = node.function
            said = "reciprocal" if _is_reciprocal(node) else printer.function_name(f) if f.is_free else called(f)
            return [*inside, said]
        if any(isinstance(parameter, StaticMap) for parameter in node.parameters):
            # What moves entries is called as it is printed.
            return [*inside, clean(printer.value(node)).partition("(")[0]]
        entry = rule(node)
        return inside if entry.quiet else [*inside, entry.reason or entry.name]

    found = dict.fromkeys(visit(value)) or [_plain(value)]
    return [word for word in found if f"{word} + bias" not in found]


def _plain(value: Node) -> str:
    """Return a word for an equation in which nothing is done that is worth one elsewhere."""
    if isinstance(value, Ref):
        return "copy"
    if isinstance(value, Constant):
        return "constant"
    if _spread(value) is not value:
        return "repeated"
    if isinstance(value, Add):
        return "difference" if any(map(_is_negative, value.operands)) else "sum"
    return rule(value).reason


def _spread(term: Node) -> Node:
    """Return what a product with ones repeats: in each row, in each column, or everywhere."""
    if isinstance(term, SMul) and isinstance(term.operands[1], Ones):
        return term.operands[0]
    if isinstance(term, MatMul) and not _summed(term):
        rest = [f for f in term.operands if not isinstance(f, Ones)]
        if len(rest) == 1:
            return rest[0]
    return term


def _is_negative(term: Node) -> bool:
    bare = _spread(term)
    return isinstance(bare, Scale) and bool(bare.coefficient.could_extract_minus_sign())


def _is_reciprocal(node: Node) -> bool:
    return isinstance(node, Map) and called(node.function) == "recip"


def _added(node: Add, inside: list[str], biased: Callable[[Node], bool]) -> list[str]:
    """Return the words of a sum: a bias is said with the product, products that are added are one word."""
    if any(biased(t) for t in node.operands):
        if not inside:
            return ["bias"]
        said = "product" if "product" in inside else inside[-1]
        inside = [f"{word} + bias" if word == said else word for word in inside]
    data = [t for t in node.operands if not biased(t) and not isinstance(_bare(t), Constant)]
    if len(data) > 1 and not all("product" in _multiplied(_bare(t)) for t in data):
        return [*inside, "difference" if any(map(_is_negative, data)) else "sum"]
    return inside


def _bare(term: Node) -> Node:
    return term.body if isinstance(term, Scale) else term


def _multiplied(node: Node) -> list[str]:
    """Return what a product is: a product of matrices, or a sum of entries."""
    if not isinstance(node, MatMul):
        return []
    factors = [f for f in node.operands if not isinstance(f, Ones)]
    return (["product"] if len(factors) > 1 else []) + (["sum"] if factors and _summed(node) else [])


def _summed(node: MatMul) -> list[Ones]:
    """Return the ones that add up entries: rows in front, columns behind."""

    def leading(factors: Iterable[Node]) -> list[Ones]:
        return [f for f in takewhile(lambda f: isinstance(f, Ones), factors) if isinstance(f, Ones)]

    rows = [f for f in leading(node.operands) if is_one(f.rows) and not is_one(f.cols)]
    return rows + [f for f in leading(reversed(node.operands)) if is_one(f.cols) and not is_one(f.rows)]


def _is_mean(node: Scale) -> bool:
    """Tell whether a sum is divided by the number of its terms."""
    if not isinstance(node.body, MatMul) or not _summed(node.body):
        return False
    count = prod(ones.rows * ones.cols for ones in _summed(node.body))
    return any(same_size(sign / node.coefficient, count) for sign in (1, -1))
