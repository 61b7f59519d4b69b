"""Edits of constants: a size or a number as a factor, the sign, the exponent."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence

from symbp.verify.check.edits.known import expression
from symbp.verify.check.edits.line import EditedLine, Level, level
from symbp.verify.check.edits.products import chain


def divided_by_samples(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``X`` -> ``X / m``, for the whole and for each term."""
    if line.known.samples and _is_term(node, line):
        yield _divided(node, line, line.known.samples)


def multiplied_by_samples(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``X`` -> ``m * X``; ``X / m`` -> ``X``."""
    m = line.known.samples
    if m and isinstance(node, ast.expr):
        yield from _without_factor(node, line, lambda f: ast.unparse(f) == m, divisor=True)
        if _is_term(node, line):
            yield _multiplied(node, line, m)


def without_division_by_samples(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``X / m`` -> ``X``, also ``X / (2*m)`` -> ``X / 2``."""
    m = line.known.samples
    if m and isinstance(node, ast.expr):
        yield from _without_factor(node, line, lambda f: ast.unparse(f) == m, divisor=True)


def other_factor(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """The whole, or a term, times or divided by a size or a 2; a number or a size of it left out or exchanged.

    What a mask assigns may be 0 as well.
    """
    if not isinstance(node, ast.expr):
        return
    sizes = line.known.sizes
    for divisor in (True, False):
        yield from _without_factor(node, line, lambda f: _is_number(f) or _is_size(f, sizes), divisor)
    if isinstance(node, ast.Constant) and _is_number(node) and not _is_exponent(node, line):
        parent = line.parents.get(node)
        if isinstance(parent, ast.Compare):
            return
        factor = isinstance(parent, ast.BinOp) and isinstance(parent.op, (ast.Mult, ast.Div))
        yield from (str(k) for k in (1, 2, 3) if k != node.value and not (k == 1 and factor))
        if node is line.value and node.value != 0:
            yield "0"
    if ast.unparse(node) in sizes and not _inside_call(node, line):
        yield from (size for size in sizes if size != ast.unparse(node))
    if _is_term(node, line):
        for size in ("2", *(s for s in sizes if s != line.known.samples), line.known.samples):
            if size:
                yield _multiplied(node, line, size)
                yield _divided(node, line, size)


def other_sign(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``X`` -> ``-X``, ``A - B`` -> ``A + B``, ``dW += X`` -> ``dW -= X``, and the reverse."""
    if isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Add, ast.Sub)):
        end, start = line.span(node.target)[1], line.span(node.value)[0]
        old, sign = ("+=", "-=") if isinstance(node.op, ast.Add) else ("-=", "+=")
        yield line.text[:end] + line.text[end:start].replace(old, sign, 1) + line.text[start:]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield line.of(node.operand)
    elif node is line.value or (isinstance(node, ast.expr) and isinstance(line.parents.get(node), ast.GeneratorExp)):
        yield f"-{line.fit(node, Level.SIGN)}"
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        sign = "-" if isinstance(node.op, ast.Add) else "+"
        # The sign of the user's text is replaced in place, so that blanks stay as they are.
        start, end = line.span(node)
        middle = line.text[line.span(node.left)[1] : line.span(node.right)[0]]
        old = "+" if sign == "-" else "-"
        cut = line.span(node.left)[1]
        new = middle.replace(old, sign, 1)
        yield line.text[start:cut] + new + line.text[line.span(node.right)[0] : end]


def exchanged_difference(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``A - B`` -> ``B - A``."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        yield f"{line.of(node.right)} - {line.fit(node.left, Level.PRODUCT)}"


def other_exponent(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``X**3`` -> ``X**2`` and the like."""
    if isinstance(node, ast.Constant) and _is_exponent(node, line) and isinstance(node.value, int):
        yield from (str(k) for k in (1, 2, 3, 4) if k != node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        yield line.of(node.left)


def with_exponent(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``X`` -> ``X**2`` and ``X**3``; an exponent is exchanged."""
    yield from other_exponent(node, line)
    if line.known.reference(node) and not isinstance(line.parents.get(node), ast.Attribute):
        meaning = line.known.meaning(node)
        if meaning is not None and meaning.kind == "value":
            yield from (f"{line.fit(node, Level.ATOM)}**{k}" for k in (2, 3))


def _is_term(node: ast.AST, line: EditedLine) -> bool:
    """Tell whether a part is the whole right side, the body of a sum over a loop, or a term of a sum."""
    if not isinstance(node, ast.expr) or isinstance(node, (ast.GeneratorExp, ast.Constant)):
        return False
    if isinstance(node, ast.UnaryOp) or line.shape(node) == ("1", "1"):
        return node is line.value
    parent = line.parents.get(node)
    if node is line.value or isinstance(parent, ast.GeneratorExp):
        return True
    return isinstance(parent, ast.BinOp) and isinstance(parent.op, (ast.Add, ast.Sub))


def _divided(node: ast.expr | ast.AST, line: EditedLine, by: str) -> str:
    divisor = by if level(expression(by)) >= Level.POWER else f"({by})"
    return f"{_whole(node, line)} / {divisor}"


def _multiplied(node: ast.expr | ast.AST, line: EditedLine, by: str) -> str:
    return f"{by} * {_whole(node, line)}"


def _whole(node: ast.AST, line: EditedLine) -> str:
    return f"({line.of(node)})" if isinstance(node, ast.BinOp) else line.fit(node, Level.POWER)


def _without_factor(
    node: ast.expr, line: EditedLine, wanted: Callable[[ast.expr], bool], divisor: bool
) -> Iterator[str]:
    """Leave out one factor, or one divisor, of a product."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, (ast.Mult, ast.Div)):
        return
    if isinstance(node.op, ast.Div):
        if divisor and wanted(node.right):
            yield line.of(node.left)
        elif divisor and isinstance(node.right, ast.BinOp) and isinstance(node.right.op, ast.Mult):
            factors = chain(node.right, ast.Mult)
            for k, factor in enumerate(factors):
                if wanted(factor):
                    rest = " * ".join(line.factor(f, ast.Mult) for f in factors[:k] + factors[k + 1 :])
                    yield f"{line.fit(node.left, Level.PRODUCT)} / {rest if len(factors) == 2 else f'({rest})'}"
        elif divisor and isinstance(node.left, ast.Constant) and node.left.value == 1:
            return
    elif not divisor:
        if wanted(node.left):
            yield line.of(node.right)
        if wanted(node.right):
            yield line.of(node.left)
    elif _is_unit_fraction(node.left, wanted):
        yield line.of(node.right)
    elif _is_unit_fraction(node.right, wanted):
        yield line.of(node.left)


def _is_unit_fraction(node: ast.expr, wanted: Callable[[ast.expr], bool]) -> bool:
    return (
        isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.left, ast.Constant)
        and node.left.value in (1, 1.0) and wanted(node.right)
    )


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool)


def _is_size(node: ast.AST, sizes: Sequence[str]) -> bool:
    """Tell whether a part is a size: by its name, or as an axis of a shape."""
    is_axis = isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "shape"
    return is_axis or ast.unparse(node) in sizes


def _is_exponent(node: ast.AST, line: EditedLine) -> bool:
    parent = line.parents.get(node)
    return isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Pow) and node is parent.right


def _inside_call(node: ast.AST, line: EditedLine) -> bool:
    parent = line.parents.get(node)
    return isinstance(parent, (ast.Call, ast.Tuple, ast.Subscript, ast.Slice, ast.keyword, ast.comprehension))
