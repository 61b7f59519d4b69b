"""Right works in other forms: what a judge must never call wrong.

Each form is a rewrite of lines that keeps every gradient: sums in another order, products with other brackets, a mean
for a sum and a division, a constant or a sign that one line leaves to others, names of one's own, the other layout.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from symbp.render.declaration import WrittenLine, laid_out
from symbp.verify.check.edits.known import Known
from symbp.verify.check.edits.line import EditedLine, Level
from symbp.verify.check.edits.products import chain
from symbp.verify.check.edits.shapes import axis_of, called

Rewrite = Callable[[ast.AST, EditedLine], Iterator[str]]
"""Gives texts that say the same as a part of a line."""


@dataclass(frozen=True)
class Variant:
    """A right work in another form: what was done to it, and its text.

    moved: whether constants or signs are moved between lines, or names are the author's own.
    """

    form: str
    text: str
    moved: bool = False


# ---------------------------------------------------------------------------------------------------------
# Forms of one line


def _sums_turned(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``A + B`` -> ``B + A``, ``A - B`` -> ``-(B - A)``."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield f"{line.of(node.right)} + {line.of(node.left)}"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        yield f"-({line.of(node.right)} - {line.fit(node.left, Level.PRODUCT)})"


def _factors_turned(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``A * B`` -> ``B * A`` and ``multiply(A, B)``."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        a, b = node.left, node.right
        yield f"{line.factor(b, ast.Mult)} * {line.factor(a, ast.Mult)}"
        if line.shape(a) == line.shape(b):
            yield f"multiply({line.of(a)}, {line.of(b)})"


def _other_brackets(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``(A @ B) @ C`` -> ``A @ (B @ C)``."""
    factors = chain(node, ast.MatMult)
    if len(factors) == 3:
        a, b, c = (line.fit(f, Level.POWER) for f in factors)
        yield f"{a} @ ({b} @ {c})"


def _transposed(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``A @ B`` -> ``(B.T @ A.T).T``."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        a, b = (line.of(f)[:-2] if line.of(f).endswith(".T") and isinstance(f, ast.Attribute) else
                f"{line.fit(f, Level.ATOM)}.T" for f in (node.left, node.right))
        yield f"({b} @ {a}).T"


def _contracted(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``A @ B`` -> ``einsum("ij,jk->ik", A, B)``, also with a factor that is transposed."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        letters, operands = [], []
        for factor, plain in ((node.left, "ij"), (node.right, "jk")):
            turned = isinstance(factor, ast.Attribute) and factor.attr == "T"
            letters.append(plain[::-1] if turned else plain)
            operands.append(line.of(factor.value) if isinstance(factor, ast.Attribute) and turned else line.of(factor))
        yield f'einsum("{letters[0]},{letters[1]}->ik", {operands[0]}, {operands[1]})'
        yield f"matmul({line.of(node.left)}, {line.of(node.right)})"


def _ones_for_sum(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``sum(X, axis=1, keepdims=True)`` -> ``X @ ones(m, 1)``, ``m * mean(X, ...)``, ``sum(X, axis=1)``."""
    if not isinstance(node, ast.Call) or called(node)[0] != "sum":
        return
    axis, inner = axis_of(node), called(node)[1][0]
    shape = line.shape(inner)
    if axis is None or shape is None or isinstance(inner, ast.GeneratorExp):
        return
    count = shape[axis]
    if axis == 1:
        yield f"{line.fit(inner, Level.POWER)} @ ones({count}, 1)"
    else:
        yield f"ones(1, {count}) @ {line.fit(inner, Level.POWER)}"
    yield f"{count if count.isidentifier() else f'({count})'} * mean({line.of(inner)}, axis={axis}, keepdims=True)"
    yield f"sum({line.of(inner)}, axis={axis})"


def _distributed(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``(A - B) / m`` -> ``A / m - B / m``; ``X / m`` -> ``1/m * X``."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Div):
        return
    top, bottom = node.left, line.fit(node.right, Level.POWER)
    if isinstance(top, ast.BinOp) and isinstance(top.op, (ast.Add, ast.Sub)):
        sign = "+" if isinstance(top.op, ast.Add) else "-"
        yield f"{line.fit(top.left, Level.PRODUCT)} / {bottom} {sign} {line.fit(top.right, Level.PRODUCT)} / {bottom}"
    if not isinstance(top, ast.Constant):
        yield f"1 / {bottom} * {line.factor(top, ast.Mult)}"


def _slopes_rewritten(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``1 - A**2`` -> ``(1 - A) * (1 + A)``, ``A**2`` -> ``A * A``, ``(A > 0)`` -> ``where(A > 0, 1, 0)``."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and ast.unparse(node.right) == "2":
        base = line.fit(node.left, Level.ATOM)
        yield f"{base} * {base}"
        yield f"square({line.of(node.left)})"
        parent = line.parents.get(node)
        if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Sub) and ast.unparse(parent.left) == "1":
            return
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and ast.unparse(node.left) == "1":
        power = node.right
        if isinstance(power, ast.BinOp) and isinstance(power.op, ast.Pow) and ast.unparse(power.right) == "2":
            base = line.of(power.left)
            yield f"(1 - {base}) * (1 + {base})"
    parent = line.parents.get(node)
    is_condition = isinstance(parent, ast.Call) and called(parent)[0] == "where" and node is parent.args[0]
    if isinstance(node, ast.Compare) and not is_condition:
        yield f"where({line.of(node)}, 1, 0)"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and isinstance(node.right, ast.Compare):
        yield f"where({line.of(node.right)}, {line.of(node.left)}, 0)"


def _twice_negated(node: ast.AST, line: EditedLine) -> Iterator[str]:
    """``X`` -> ``-(-X)``, ``2 * X / 2``, ``X + 0 * X``."""
    if node is line.value:
        whole = f"({line.of(node)})"
        yield f"-(-{whole})"
        yield f"2 * {whole} / 2"
        yield f"{whole} + 0 * {whole}"


FORMS: dict[str, Rewrite] = {
    "sum turned": _sums_turned,
    "factors turned": _factors_turned,
    "other brackets": _other_brackets,
    "transposed product": _transposed,
    "contraction": _contracted,
    "sum as a product with ones": _ones_for_sum,
    "fraction distributed": _distributed,
    "slope rewritten": _slopes_rewritten,
    "undone again": _twice_negated,
}
"""Ways to write one line otherwise."""


# ---------------------------------------------------------------------------------------------------------
# Forms of a whole work


def line_variants(lines: Sequence[WrittenLine], known: Callable[[int], Known]) -> Iterator[Variant]:
    """Yield works in which one part of one line is written otherwise."""
    for form, rewrite in FORMS.items():
        for k, line in enumerate(lines):
            edited = EditedLine(ast.parse(line.text).body[0], known(k), line.text)
            for part in edited.expressions():
                for new in rewrite(part, edited) if not _is_number(part, edited) else ():
                    text, _, _ = edited.replaced(part, new)
                    yield Variant(form, laid_out(_with(lines, k, text.partition(" = ")[2])))


def _is_number(part: ast.AST, line: EditedLine) -> bool:
    """Tell whether a part is a size or a number, which may stand where no matrix may."""
    return part is not line.value and line.shape(part) == ("1", "1")


def work_variants(
    lines: Sequence[WrittenLine], outputs: Sequence[str], sizes: Iterable[str], rng: random.Random
) -> Iterator[Variant]:
    """Yield works in which lines are joined, split, renamed, or leave constants and signs to each other.

    outputs: the names of the gradients that are asked for.
    sizes:   the names of sizes: m, or else the first, is a constant that is left to later lines.
    """
    size = min(sizes, key=lambda n: n != "m")
    inner = [k for k, line in enumerate(lines) if _base(line) not in outputs and _alone(lines, k)]
    for k in inner:
        joined = _joined(lines, k)
        if joined is not None:
            yield Variant("line joined", laid_out(joined))
    for k in range(len(lines)):
        yield from (Variant("line split", laid_out(parts)) for parts in _split(lines, k))
    for k in inner:
        for factor, undone in ((size, f"/ {size}"), ("2", "/ 2"), ("-1", "")):
            moved = _moved(lines, k, factor, undone)
            yield Variant(f"constant {factor} left to later lines", laid_out(moved), moved=True)
    own = [_base(line) for line in lines if _base(line) not in outputs]
    own = list(dict.fromkeys(own))
    everything = list(dict.fromkeys(_base(line) for line in lines))
    for count in (1, 2, len(own)):
        some = rng.sample(own, min(count, len(own)))
        yield Variant("names of one's own", laid_out(_renamed(lines, _own(some))), moved=True)
    yield Variant("own names throughout", laid_out(_renamed(lines, _own(everything))), moved=True)
    if inner:
        moved = _moved(lines, rng.choice(inner), "-1", "")
        yield Variant("signs and names", laid_out(_renamed(moved, _own(own))), moved=True)
    renamed = _renamed(lines, {n: f"dL_d{n[1:]}" if n.startswith("d") else n for n in everything})
    yield Variant("longer names", laid_out(renamed))
    yield Variant("transposed throughout", laid_out([_turned(line, everything) for line in lines]))


def disguised(lines: Sequence[WrittenLine], outputs: Sequence[str], rng: random.Random) -> list[WrittenLine]:
    """Return a right work in which two lines are joined, and every line that is no output has a name that says nothing.

    outputs: the names of the gradients that are asked for.
    """
    found = list(lines)
    for _ in range(2):
        inner = [k for k, line in enumerate(found) if _base(line) not in outputs and _alone(found, k)]
        some = [joined for joined in (_joined(found, k) for k in inner) if joined is not None]
        found = rng.choice(some) if some else found
    return _renamed(found, _own([n for n in dict.fromkeys(map(_base, found)) if n not in outputs]))


def _with(lines: Sequence[WrittenLine], k: int, value: str) -> list[WrittenLine]:
    return [*lines[:k], replace(lines[k], value=value), *lines[k + 1 :]]


def _base(line: WrittenLine) -> str:
    return line.target.partition("[")[0]


def _alone(lines: Sequence[WrittenLine], k: int) -> bool:
    """Tell whether a quantity has one line only, and this line does not read it."""
    name = _base(lines[k])
    return sum(_base(line) == name for line in lines) == 1


def _reads(text: str, name: str) -> list[ast.expr]:
    """Return the reads of a name in an expression, the last one first."""
    tree = ast.parse(text, mode="eval").body
    members = {id(n.value): n for n in ast.walk(tree) if isinstance(n, ast.Subscript)}
    found = [members.get(id(n), n) for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == name]
    return sorted(found, key=lambda n: -n.col_offset)


def _replaced(text: str, name: str, write: Callable[[str], str]) -> str:
    """Replace every read of a name, with its indices if it has some."""
    for node in _reads(text, name):
        start, end = node.col_offset, node.end_col_offset or 0
        text = text[:start] + write(text[start:end]) + text[end:]
    return text


def _joined(lines: Sequence[WrittenLine], k: int) -> list[WrittenLine] | None:
    """Put a line in the place of its name in the lines that read it; None where indices are in the way."""
    line = lines[k]
    if _reads(line.value, _base(line)):
        return None
    found = []
    for j, other in enumerate(lines):
        if j == k:
            continue
        reads = [ast.unparse(n) for n in _reads(other.value, _base(line))]
        if any(r.replace(" ", "") != line.target.replace(" ", "") for r in reads):
            return None
        found.append(replace(other, value=_replaced(other.value, _base(line), lambda _: f"({line.value})")))
    return found


def _split(lines: Sequence[WrittenLine], k: int) -> Iterator[list[WrittenLine]]:
    """Give a part of a line, one side of its outermost operation, a name of its own."""
    line = lines[k]
    tree = ast.parse(line.value, mode="eval").body
    if not isinstance(tree, ast.BinOp):
        return
    name = f"part{k + 1}"
    target = name + line.target[len(_base(line)) :]
    for side in (tree.left, tree.right):
        if isinstance(side, (ast.Name, ast.Constant, ast.Attribute)) or not _is_matrix(side):
            continue
        start, end = side.col_offset, side.end_col_offset or 0
        part, rest = line.value[start:end], line.value[:start] + target + line.value[end:]
        yield [*lines[:k], WrittenLine(line.loops, target, part), replace(line, value=rest), *lines[k + 1 :]]


def _is_matrix(node: ast.expr) -> bool:
    """Tell whether a part is surely a matrix: it reads a name that begins with a capital or a d."""
    return any(isinstance(n, ast.Name) and re.match(r"d[A-Za-z]|[A-Z]", n.id) and n.id != "T" for n in ast.walk(node))


def _moved(lines: Sequence[WrittenLine], k: int, factor: str, undone: str) -> list[WrittenLine]:
    """Multiply a line by a factor and let every line that reads it divide by it."""
    name = _base(lines[k])
    found = []
    for j, line in enumerate(lines):
        value = _replaced(line.value, name, lambda read: f"(-{read})" if factor == "-1" else f"({read} {undone})")
        if j == k:
            value = f"-({value})" if factor == "-1" else f"{factor} * ({value})"
        found.append(replace(line, value=value))
    return found


def _renamed(lines: Sequence[WrittenLine], names: dict[str, str]) -> list[WrittenLine]:
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b") if names else re.compile("(?!)")

    def new(text: str) -> str:
        return pattern.sub(lambda m: names[m.group(1)], text)

    return [WrittenLine(line.loops, new(line.target), new(line.value)) for line in lines]


def _own(names: Sequence[str]) -> dict[str, str]:
    """Return names that say nothing."""
    return {name: f"q{k + 1}" if k % 2 else f"step_{k + 1}" for k, name in enumerate(names)}


def _turned(line: WrittenLine, names: Sequence[str]) -> WrittenLine:
    """Return a line in which every gradient is the transpose of what it was."""
    value = line.value
    for name in names:
        value = _replaced(value, name, lambda read: f"{read}.T")
    return replace(line, value=f"({value}).T")


__all__ = ["FORMS", "Variant", "disguised", "line_variants", "work_variants"]
