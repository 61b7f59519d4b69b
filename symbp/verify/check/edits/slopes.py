"""Edits of slopes: one that is missing, doubled, of the wrong argument or function; the softmax as a diagonal."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

from symbp.verify.check.edits.known import Applied, at, expression
from symbp.verify.check.edits.line import EditedLine, Level, level
from symbp.verify.check.edits.products import chain
from symbp.verify.check.edits.shapes import called

BY_VALUE: dict[str, tuple[str, ...]] = {
    "tanh": ("1 - {y}**2", "1 - {y}*{y}"),
    "sigmoid": ("{y}*(1 - {y})", "{y} - {y}**2"),
    "relu": ("({y} > 0)",),
    "exp": ("{y}",),
    "sqrt": ("1/(2*{y})",),
    "recip": ("-{y}**2",),
    "softplus": ("1 - exp(-{y})",),
    "tan": ("1 + {y}**2",),
}
"""Slopes written through the value of a function."""

BY_ARGUMENT: dict[str, tuple[str, ...]] = {
    "tanh": ("1 - tanh({x})**2",),
    "sigmoid": ("sigmoid({x})*(1 - sigmoid({x}))",),
    "relu": ("({x} > 0)",),
    "leaky_relu": ("where({x} > 0, 1, 1/100)",),
    "log": ("1/{x}",),
    "square": ("2*{x}",),
    "sin": ("cos({x})",),
    "cos": ("-sin({x})",),
    "exp": ("exp({x})",),
    "sqrt": ("1/(2*sqrt({x}))",),
    "recip": ("-1/{x}**2",),
    "softplus": ("sigmoid({x})",),
    "silu": ("sigmoid({x})*(1 + {x}*(1 - sigmoid({x})))",),
    "arctan": ("1/(1 + {x}**2)",),
    "abs": ("sign({x})",),
    "gelu": ("((1 + erf({x}/sqrt(2)))/2 + {x}*exp(-{x}**2/2)/sqrt(2*pi))",),
}
"""Slopes written through the argument of a function."""

WRONG: dict[str, tuple[str, ...]] = {
    "tanh": ("1 - {y}", "1 - {y}**3", "1 + {y}**2"),
    "sigmoid": ("{y}*(1 + {y})", "1 - {y}", "{y}**2*(1 - {y})"),
}
"""Formulas that are often taken for the slope, beside those of other functions."""

IN_NUMPY: dict[str, str] = {name: f"np.{name}" for name in ("exp", "tanh", "cos", "sin", "sqrt", "sign", "where", "pi")}
"""Functions that NumPy has under the name of the declaration."""


def with_slope(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``X`` -> ``X * (1 - A1**2)``, where a quantity of that shape stands."""
    if not _takes_factor(node, line):
        return
    for function in _near(node, line):
        for slope in slopes_of(function, line):
            yield f"{line.factor(node, ast.Mult)} * {_as_factor(slope)}"


def without_slope(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``X * (1 - A1**2)`` -> ``X``."""
    yield from _without(node, line, 1)


def with_slope_again(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``X * slope`` -> ``X * slope * slope``."""
    factors = _factors(node, line)
    for function in line.known.functions:
        for slope in slopes_of(function, line):
            if _remaining(factors, slope) is not None:
                yield f"{line.factor(node, ast.Mult)} * {_as_factor(slope)}"
                break


def without_slope_again(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``X * slope * slope`` -> ``X * slope``; ``X * slope**2`` as well."""
    yield from _without(node, line, 2)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and ast.unparse(node.right) == "2":
        for function in line.known.functions:
            if any(_same(node.left, slope) for slope in slopes_of(function, line)):
                yield line.of(node.left)
                break


def right_argument(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """A slope at the wrong argument -> the slope."""
    yield from _exchanged(node, line, mend=True, forms=_at_wrong_arguments)


def wrong_argument(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """A slope -> the same formula at the wrong argument."""
    yield from _exchanged(node, line, mend=False, forms=_at_wrong_arguments)


def slope_for_activation(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """The value of a function as a factor -> its slope."""
    yield from _exchanged(node, line, mend=True, forms=_activation)


def activation_for_slope(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """The slope of a function -> its value."""
    yield from _exchanged(node, line, mend=False, forms=_activation)


def right_slope(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """The slope of another function -> that of the function."""
    yield from _exchanged(node, line, mend=True, forms=_of_other_functions)


def wrong_slope(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """The slope of a function -> that of another one."""
    yield from _exchanged(node, line, mend=False, forms=_of_other_functions)


def softmax_whole(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``P * G`` and ``P * (1 - P) * G`` -> ``P * (G - sum(P * G, axis=0, keepdims=True))``."""
    for function in _softmaxes(line):
        factors = _factors(node, line)
        result = _here(function, function.result, line)
        for diagonal in (f"{result}*(1 - {result})", result):
            rest = _remaining(factors, diagonal)
            if rest:
                gradient = _joined(rest, line)
                yield f"{result} * ({gradient} - {_summed(f'{result} * {gradient}', function.axis, line)})"
                break
        else:
            if _takes_factor(node, line):
                gradient = line.factor(node, ast.Mult)
                yield f"{result} * ({line.of(node)} - {_summed(f'{result} * {gradient}', function.axis, line)})"


def softmax_as_diagonal(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``P * (G - sum(P * G, ...))`` -> ``P * G`` and ``P * (1 - P) * G``."""
    for function in _softmaxes(line):
        result = _here(function, function.result, line)
        rest = _remaining(_factors(node, line), result)
        if rest is None or len(rest) != 1 or not isinstance(rest[0], ast.BinOp) or not isinstance(rest[0].op, ast.Sub):
            continue
        gradient = line.factor(rest[0].left, ast.Mult)
        yield f"{gradient} * {result}"
        yield f"{gradient} * {result} * (1 - {result})"


def slopes_of(function: Applied, line: EditedLine) -> list[str]:
    """Return the ways to write a slope at the indices of the line, the shortest and most usual first."""
    if function not in line.slopes:
        y, x = (_here(function, text, line) for text in (function.result, function.argument))
        found = [_here(function, slope, line) for slope in function.slopes]
        found += [form.format(y=y) for form in BY_VALUE.get(function.function, ()) if y]
        found += [form.format(x=x) for form in BY_ARGUMENT.get(function.function, ()) if x]
        line.slopes[function] = [_spelled(form, line) for form in found]
    return line.slopes[function]


# ---------------------------------------------------------------------------------------------------------


def _exchanged(node: ast.AST, line: EditedLine, mend: bool, forms: object) -> Iterator[str]:
    """Exchange a slope and a formula that is taken for it: wrong by right to mend, right by wrong to plant."""
    factors = _factors(node, line)
    parent = line.parents.get(node)
    inner = isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Mult)
    for function in line.known.functions:
        right = slopes_of(function, line)
        wrong = forms(function, right, line)  # type: ignore[operator]
        for old in wrong if mend else right:
            # A formula that is one factor is exchanged where it stands, a product of factors in the product.
            rest = _remaining(factors, old)
            single = len(chain(expression(old), ast.Mult)) == 1
            if rest is None or (rest if single else inner):
                continue
            for new in right if mend else wrong:
                if not _alike(old, new):
                    yield " * ".join([*(line.factor(f, ast.Mult) for f in rest), _as_factor(new)])
            break


def _at_wrong_arguments(function: Applied, right: list[str], line: EditedLine) -> list[str]:
    y, x = (_here(function, text, line) for text in (function.result, function.argument))
    if not x or not y:
        return []
    found = [form.format(y=x) for form in BY_VALUE.get(function.function, ())]
    found += [form.format(x=y) for form in BY_ARGUMENT.get(function.function, ())]
    return [form for form in (_spelled(f, line) for f in found) if not any(_alike(form, r) for r in right)]


def _activation(function: Applied, right: list[str], line: EditedLine) -> list[str]:
    y, x = (_here(function, text, line) for text in (function.result, function.argument))
    found = [y] if y else []
    if x and function.function in BY_ARGUMENT:
        found.append(_spelled(f"{function.function}({x})", line))
    return [form for form in found if not any(_alike(form, r) for r in right)]


def _of_other_functions(function: Applied, right: list[str], line: EditedLine) -> list[str]:
    y = _here(function, function.result, line)
    if not y or function.function not in BY_VALUE or function.axis is not None:
        return []
    others = [BY_VALUE[name][0] for name in ("tanh", "sigmoid", "relu") if name != function.function]
    forms = [_spelled(f.format(y=y), line) for f in (*others, *WRONG.get(function.function, ()))]
    return [form for form in forms if not any(_alike(form, r) for r in right)]


def _without(node: ast.AST, line: EditedLine, least: int) -> Iterator[str]:
    """Leave one slope out of a product that has it at least so often."""
    parent = line.parents.get(node)
    if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Mult):
        return
    factors = _factors(node, line)
    for function in line.known.functions:
        for slope in slopes_of(function, line):
            rest = once = _remaining(factors, slope)
            for _ in range(least - 1):
                rest = None if rest is None else _remaining(rest, slope)
            if rest is not None and once:
                yield _joined(once, line)
                break


def _near(node: ast.AST, line: EditedLine) -> list[Applied]:
    """Return the functions whose slope may be a factor of a part, those of the quantity of the line first."""
    wanted = line.meaning.of if line.meaning is not None else ""
    shape = line.shape(node)

    def fits(function: Applied) -> bool:
        texts = (_here(function, text, line) for text in (function.result, function.argument) if text)
        theirs = [line.shape_of_text(text) for text in texts]
        return shape is None or not theirs or any(s is None or s == shape for s in theirs)

    mine = [f for f in line.known.functions if f.axis is None and fits(f)]
    return sorted(mine, key=lambda f: f.variable != wanted)


def _takes_factor(node: ast.AST, line: EditedLine) -> bool:
    """Tell whether a part may get one more entrywise factor: the whole, a term, a factor of a matrix product."""
    if not isinstance(node, ast.expr) or isinstance(node, (ast.Constant, ast.GeneratorExp, ast.UnaryOp)):
        return False
    if isinstance(node, ast.Attribute) and line.known.reference(node) is None:
        return False
    parent = line.parents.get(node)
    if isinstance(parent, ast.BinOp):
        return not isinstance(parent.op, (ast.Mult, ast.Div, ast.Pow))
    return node is line.value or isinstance(parent, (ast.Call, ast.GeneratorExp))


def _softmaxes(line: EditedLine) -> list[Applied]:
    return [f for f in line.known.functions if f.axis is not None and f.function == "softmax" and f.result]


def _summed(text: str, axis: int | None, line: EditedLine) -> str:
    return f"{'np.' if line.known.numpy else ''}sum({text}, axis={axis}, keepdims=True)"


def _here(function: Applied, text: str, line: EditedLine) -> str:
    """Return a text of a function at the indices of the line, where it has as many."""
    indices = line.around
    if not text or not function.indices or len(indices) != len(function.indices):
        return text
    return at(text, function.indices, indices)


def _spelled(form: str, line: EditedLine) -> str:
    """Return a formula in the dialect of the line."""
    return _in_numpy(form) if line.known.numpy else form


@lru_cache(maxsize=4096)
def _in_numpy(form: str) -> str:
    tree = ast.parse(form, mode="eval").body
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IN_NUMPY:
            node.func.id = IN_NUMPY[node.func.id]
    return ast.unparse(tree)


def _as_factor(form: str) -> str:
    return form if level(expression(form)) >= Level.PRODUCT or form.startswith("(") else f"({form})"


def _factors(node: ast.AST, line: EditedLine) -> list[ast.expr]:
    """Return the entrywise factors of a product; ``np.multiply(a, b)`` is one."""
    if not isinstance(node, ast.expr):
        return []
    if isinstance(node, ast.Call) and called(node)[0] == "multiply" and len(called(node)[1]) == 2:
        return [f for a in called(node)[1] for f in _factors(a, line)]
    return chain(node, ast.Mult)


def _remaining(factors: Iterable[ast.expr], form: str) -> list[ast.expr] | None:
    """Return the factors without those of a formula, None if they are not all there."""
    left = list(factors)
    keys = [_key(f) for f in left]
    for part in chain(expression(form), ast.Mult):
        wanted = _key(part)
        if wanted not in keys:
            return None
        k = keys.index(wanted)
        del left[k], keys[k]
    return left


def _joined(factors: list[ast.expr], line: EditedLine) -> str:
    if len(factors) == 1:
        return line.factor(factors[0], ast.Mult)
    return " * ".join(line.factor(f, ast.Mult) for f in factors)


def _same(node: ast.expr, form: str) -> bool:
    return _key(node) == _key(expression(form))


@lru_cache(maxsize=4096)
def _alike(a: str, b: str) -> bool:
    return _key(expression(a)) == _key(expression(b))


@lru_cache(maxsize=4096)
def _key(node: ast.expr) -> str:
    """Return what a factor is, in one spelling: ``y*y`` is ``y**2``, ``np.square(y)`` too."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        parts = Counter(_key(f) for f in chain(node, ast.Mult))
        return "*".join(f"{k}**{n}" if n > 1 else k for k, n in sorted(parts.items()))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return f"{_key(node.left)}**{_key(node.right)}"
    if isinstance(node, ast.BinOp):
        sign = {ast.Add: "+", ast.Sub: "-", ast.Div: "/", ast.MatMult: "@"}.get(type(node.op), "?")
        return f"({_key(node.left)}{sign}{_key(node.right)})"
    if isinstance(node, ast.Call) and called(node)[0] in ("square", "power") and called(node)[1]:
        arguments = called(node)[1]
        exponent = "2" if len(arguments) == 1 else ast.unparse(arguments[1])
        return f"{_key(arguments[0])}**{exponent}"
    if isinstance(node, ast.Call) and called(node)[0] == "astype":
        return _key(called(node)[1][0])
    return ast.unparse(node)
