"""Edits of sums: a term that is missing or too many, an average, a sum over the steps of which one is kept."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import partial

from symbp.verify.check.edits.known import Meaning, at, expression, moved
from symbp.verify.check.edits.line import EditedLine, Level, member
from symbp.verify.check.edits.shapes import called

MOST_MESSAGES = 160
"""So many terms are tried at most that a sum may lack."""


def with_term(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``X`` -> ``X + message``: a term of the reference, a gradient, or one that comes through a product."""
    if not isinstance(node, ast.expr) or not _is_sum(node, line):
        return
    shape = line.shape(node) or (line.meaning.shape if line.meaning else None)
    here = {ast.unparse(term) for _, term in _terms(node)}
    for term in _messages(line):
        if ast.unparse(expression(term)) in here:
            continue
        theirs = line.shape_of_text(term)
        if shape is None or theirs is None or theirs == shape:
            minus = term.startswith("-")
            yield f"{line.of(node)} {'-' if minus else '+'} {term[1:] if minus else term}"


def without_mean(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``X - mean(X, ...)`` -> ``X``."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Sub):
        return
    if isinstance(node.right, ast.Call) and called(node.right)[0] == "mean":
        yield line.of(node.left)


def with_mean(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``X`` -> ``X - mean(X, axis=1, keepdims=True)``: what goes back through a mean that is subtracted."""
    if not isinstance(node, ast.expr) or isinstance(node, (ast.Constant, ast.UnaryOp, ast.GeneratorExp)):
        return
    parent, shape = line.parents.get(node), line.shape(node)
    if isinstance(parent, (ast.Call, ast.keyword)) or not _is_sum(node, line):
        return
    np = "np." if line.known.numpy else ""
    for axis in (1, 0):
        if shape is None or shape[axis] != "1":
            yield f"{line.of(node)} - {np}mean({line.of(node)}, axis={axis}, keepdims=True)"


def without_term(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``A + B - C`` without one of its terms."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, (ast.Add, ast.Sub)) or _inside_sum(node, line):
        return
    if line.shape(node) == ("1", "1"):
        return
    terms = _terms(node)
    if isinstance(terms[0][1], ast.Constant) or (line.has_gradients(line.value) and not line.has_gradients(node)):
        return  # 1 - A**2 is a slope, no sum of paths
    for k in range(len(terms)):
        rest = terms[:k] + terms[k + 1 :]
        text = "".join(
            f"{(' - ' if minus else ' + ') if j else '-' if minus else ''}{line.fit(term, Level.PRODUCT)}"
            for j, (minus, term) in enumerate(rest)
        )
        yield text


def averaged(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``A + B`` -> ``(A + B) / 2``."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and not _inside_sum(node, line):
        count = len(_terms(node))
        yield f"({line.of(node)}) / {count}"


def not_averaged(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``(A + B) / 2`` -> ``A + B``, also ``0.5 * (A + B)``."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, (ast.Div, ast.Mult)):
        return
    for inner, number in ((node.left, node.right), (node.right, node.left)):
        if isinstance(number, ast.Constant) and isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Add):
            count = len(_terms(inner))
            if number.value in (count, 1 / count):
                yield line.of(inner)


def all_steps(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``dZ[T] @ X[T].T`` -> ``sum(dZ[t] @ X[t].T for t in range(1, T+1))``; ``+=`` for ``=``."""
    if isinstance(node, ast.Assign) and line.known.numpy and line.known.loops and line.target is not None:
        yield f"{line.of(line.target)} += {line.of(node.value)}"
    if node is not line.value or line.known.numpy:
        return
    for letter, first, last in _ranges(line):
        for step in (last, first):
            new = line.reindexed(node, partial(_in_loop, step=step, letter=letter))
            if new != line.of(node):
                yield f"sum({new} for {letter} in range({first}, {moved(last, 1)}))"


def one_step(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``sum(E[t] for t in range(1, T+1))`` -> ``E[T]``; ``=`` for ``+=``."""
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and line.known.loops:
        assert line.value is not None
        yield f"{line.of(node.target)} = {line.of(line.value)}"
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.GeneratorExp):
        generator = node.args[0]
        ends = _ends(generator.generators[0])
        if ends is not None and len(generator.generators) == 1:
            letter, first, last = ends
            for step in (last, first):
                yield line.reindexed(generator.elt, partial(_at_step, step=step, letter=letter))


def _messages(line: EditedLine) -> list[str]:
    """Return what may be added: terms of the reference, gradients in scope, and gradients through a parameter."""
    found: dict[str, None] = {}
    for text in _every_message(line):
        found[text] = None
        if len(found) == MOST_MESSAGES:
            break
    return list(found)


def _every_message(line: EditedLine) -> Iterator[str]:
    known, meaning = line.known, line.meaning
    letters, terms = known.terms.get(meaning.of, ((), ())) if meaning is not None else ((), ())
    yield from (at(t, letters, line.around) if len(letters) == len(line.around) else t for t in terms)
    of_kind: dict[str, list[tuple[Meaning, list[str]]]] = {"value": [], "gradient": [], "parameter": []}
    for name, other in known.names.items():
        if other.kind in of_kind:
            of_kind[other.kind].append((other, [member(name, i) for i in line.members(other)]))
    if not line.has_gradients(line.value):
        # An error signal is made of values: P - Y.
        for _, texts in of_kind["value"]:
            yield from (sign + text for text in texts[:1] for sign in ("", "-"))
    target = line.of(line.target) if line.target is not None else ""
    gradients = [g for _, texts in of_kind["gradient"] for g in texts if g.replace(" ", "") != target.replace(" ", "")]
    yield from gradients
    wanted = meaning.shape if meaning is not None else None
    if wanted is None:
        return
    shapes = {g: line.shape_of_text(g) for g in gradients}
    weights = [(w, line.shape_of_text(w)) for other, texts in of_kind["parameter"] if other.shape for w in texts]
    for gradient, shape in shapes.items():
        for weight, theirs in weights:
            if theirs and shape and theirs[0] == shape[0] and (theirs[1], shape[1]) == wanted:
                yield f"{weight}.T @ {gradient}"
    # Variables that have a value in scope are signals: their gradients are no products with values.
    is_signal = line.meaning is not None and any(line.meaning.of == other.of for other, _ in of_kind["value"])
    for gradient, shape in shapes.items():
        for other, values in of_kind["value"]:
            if other.shape == wanted == shape:
                yield from (f"{gradient} * {value}" for value in values)
            elif not is_signal:
                yield from (p for v in values[:1] for p in _products(gradient, v) if line.shape_of_text(p) == wanted)


def _products(gradient: str, value: str) -> tuple[str, ...]:
    return f"{gradient} @ {value}.T", f"{value} @ {gradient}.T", f"{value}.T @ {gradient}", f"{gradient}.T @ {value}"


def _is_sum(node: ast.AST, line: EditedLine) -> bool:
    """Tell whether one more term may stand here: the whole, the body of a sum, a sum inside a product."""
    if not isinstance(node, ast.expr) or isinstance(node, (ast.Constant, ast.GeneratorExp)):
        return False
    parent = line.parents.get(node)
    if node is line.value or isinstance(parent, ast.GeneratorExp):
        return True
    if isinstance(parent, ast.BinOp) and isinstance(parent.op, (ast.Mult, ast.MatMult, ast.Div)):
        if isinstance(node, ast.BinOp):
            if isinstance(_terms(node)[0][1], ast.Constant):
                return False  # 1 - A**2 is a slope, no sum of paths
            return not (isinstance(node.op, ast.Mult) and isinstance(parent.op, ast.Mult))
        inner = node.operand if isinstance(node, ast.UnaryOp) else node
        # An error signal is a difference of values, anything else that is passed on a sum of gradients.
        return line.known.reference(inner) is not None and line.has_gradients(inner) == line.has_gradients(line.value)
    return False


def _terms(node: ast.expr, minus: bool = False) -> list[tuple[bool, ast.expr]]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        return [*_terms(node.left, minus), *_terms(node.right, minus ^ isinstance(node.op, ast.Sub))]
    return [(minus, node)]


def _inside_sum(node: ast.AST, line: EditedLine) -> bool:
    parent = line.parents.get(node)
    return isinstance(parent, ast.BinOp) and isinstance(parent.op, (ast.Add, ast.Sub))


def _ranges(line: EditedLine) -> list[tuple[str, str, str]]:
    """Return the loops that a sum over all steps could have: those that the steps of the line are ends of."""
    return [(letter, first, last) for letter, (first, last) in line.known.ranges.items() if letter not in line.around]


def _ends(node: ast.comprehension) -> tuple[str, str, str] | None:
    """Return the index of ``for t in range(1, T+1)`` with its first and last value."""
    call = node.iter
    if not isinstance(call, ast.Call) or ast.unparse(call.func) != "range" or len(call.args) != 2:
        return None
    return ast.unparse(node.target), ast.unparse(call.args[0]), moved(ast.unparse(call.args[1]), -1)


def _at_step(index: str, step: str, letter: str) -> str:
    """Return an index inside a loop as it is at one of its ends."""
    return at(index, (letter,), (step,)).replace(" ", "")


def _in_loop(index: str, step: str, letter: str) -> str:
    """Return an index at an end of a loop as it stands inside: ``T-1`` is ``t-1``."""
    return next((moved(letter, by) for by in (0, -1, 1) if index == moved(step, by)), index)
