"""What is known at a line of a work in the declaration's language, as the table of edits wants it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from symbp.expr import Map, Ref, Softmax
from symbp.program import Program, Var
from symbp.verify.check.edits import Applied, Known, Meaning
from symbp.verify.check.edits.known import at
from symbp.verify.check.examine import Examination
from symbp.verify.check.mine import Mine
from symbp.verify.check.truth import Model

_WORD = re.compile(r"[A-Za-z_]\w*")


def known_of(mine: Mine, examination: Examination, line: int) -> Known:
    """Return what is known at a line: the network's names, the work's own, the functions that were applied."""
    entry = mine.reading.entries[line]
    program = mine.model.named
    loops = tuple(h.name for h in entry.heads)
    sizes = tuple(n for n, s in mine.reading.scope.sizes.items() if s.is_Symbol)
    names = dict(_names(mine, examination, line))
    return Known(
        names=names,
        functions=tuple(_applied(program, mine.reading.scope.functions)),
        sizes=sizes,
        samples=str(program.samples) if program.samples is not None else "",
        loops=loops,
        ranges={h.name: (str(h.lo), str(h.hi)) for e in mine.reading.entries for h in e.heads} | _ranges(program),
        terms=dict(_terms(mine.model, names)),
        written=tuple(_written(mine, examination, line)),
    )


def _terms(
    model: Model, names: Mapping[str, Meaning]
) -> Iterator[tuple[str, tuple[tuple[str, ...], tuple[str, ...]]]]:
    """Yield the terms of the reference in the names of the work; those for which it has no name are left out."""
    called = {f"d{m.of}": name for name, m in names.items() if m.kind == "gradient"}
    for of, (letters, texts) in model.terms().items():
        told = []
        for text in texts:
            words = set(_WORD.findall(text))
            gradients = {w for w in words if w.startswith("d") and w[1:] in model.named.variables}
            if gradients <= called.keys():
                told.append(_WORD.sub(lambda m: called.get(m.group(), m.group()), text))
        yield of, (letters, tuple(told))


def _gradients(mine: Mine, examination: Examination, line: int) -> dict[str, str]:
    """Return how the work calls gradients; the values tell where names do not."""
    called = {f"d{of}": name for name, of in mine.reading.given.items()}
    for k, entry in enumerate(mine.reading.entries):
        word = examination.lines[k].targets[0]
        meaning = examination.meaning(k, word)
        if k != line and meaning is not None and meaning[0] == "gradient":
            called[f"d{meaning[1]}"] = entry.parsed.name
        elif k == line and meaning is not None and entry.subscripts:
            called.setdefault(f"d{meaning[1]}", entry.parsed.name)
    return called


def _written(mine: Mine, examination: Examination, line: int) -> Iterator[str]:
    """Yield what the reference has for a line, in names of the work; nothing where the work has no name for a part."""
    entry, word = mine.reading.entries[line], examination.lines[line].targets[0]
    meaning = examination.meaning(line, word)
    inside = ", ".join(map(ast.unparse, entry.parsed.subscripts))
    target = f"{entry.parsed.name}[{inside}]" if inside else entry.parsed.name
    if meaning is None or meaning[0] != "gradient":
        return
    called = _gradients(mine, examination, line)
    here: tuple[str, ...] = tuple(ast.unparse(s) for s in entry.parsed.subscripts)
    here = here or tuple(h.name for h in entry.heads)
    for left, right in mine.model.lines():
        node: ast.expr = ast.parse(left, mode="eval").body
        parts: list[ast.expr] = []
        if isinstance(node, ast.Subscript):
            parts = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        base = ast.unparse(node.value) if isinstance(node, ast.Subscript) else left
        if base != f"d{meaning[1]}" or len(parts) != len(here):
            continue
        letters = tuple(ast.unparse(p) for p in parts)
        if any(not isinstance(p, ast.Name) and a != b for p, a, b in zip(parts, letters, here, strict=True)):
            continue
        plain = [(a, b) for p, a, b in zip(parts, letters, here, strict=True) if isinstance(p, ast.Name)]
        text = at(right, tuple(a for a, _ in plain), tuple(b for _, b in plain))
        gradients = {w for w in _WORD.findall(text) if w.startswith("d") and w[1:] in mine.model.named.variables}
        if gradients <= called.keys():
            yield f"{target} = {_WORD.sub(lambda m: called.get(m.group(), m.group()), text)}"


def _names(mine: Mine, examination: Examination, line: int) -> Iterator[tuple[str, Meaning]]:
    for name, var in mine.truth.variables.items():
        if not var.scalar:
            yield name, _meaning(var, "parameter" if var.kind == "param" else "value", name)
    for name, of in mine.reading.given.items():
        yield name, _meaning(mine.reading.scope.variables[name], "gradient", of)
    here = mine.reading.entries[line].heads
    for k, entry in enumerate(mine.reading.entries):
        if entry.variable not in mine.reading.scope.variables:
            continue
        var = mine.reading.scope.variables[entry.variable]
        word = examination.lines[k].targets[0]
        name = entry.parsed.name
        meaning = examination.meaning(k, word)
        kind = meaning[0] if meaning is not None else "value"
        # What was told by its value alone may be what is wrong with it.
        of = meaning[1] if meaning is not None and not examination.is_guess(k, word) else ""
        if kind == "gradient" and of in mine.truth.outputs:
            var = replace(var, rows=mine.truth.variables[of].rows, cols=mine.truth.variables[of].cols)
        if not entry.subscripts and entry.heads:
            if here[: len(entry.heads)] == entry.heads:
                letters = dict(zip(var.indices, (h.symbol for h in entry.heads), strict=True))
                shape = (str(var.rows.xreplace(letters)), str(var.cols.xreplace(letters)))
                yield name, Meaning(kind, of, shape)
            continue
        yield name, _meaning(_as_it_should_be(var, mine.truth.variables.get(of)), kind, of)


def _as_it_should_be(var: Var, of: Var | None) -> Var:
    """Return a name with the shape of what it means, if a wrong line gave it another one than that or its transpose."""
    if of is None or len(of.indices) != len(var.indices):
        return var
    letters = dict(zip(of.indices, var.indices, strict=True))
    rows, cols = (size.xreplace(letters) for size in of.shape)
    return var if var.shape in ((rows, cols), (cols, rows)) else Var(var.name, rows, cols, var.indices)


def _meaning(var: Var, kind: str, of: str) -> Meaning:
    letters = tuple(map(str, var.indices))
    return Meaning(kind, of, (str(var.rows), str(var.cols)), letters)  # type: ignore[arg-type]


def _applied(program: Program, functions: Mapping[str, object]) -> Iterator[Applied]:
    """Yield the functions that the network applies to a name."""
    for site in program.sites:
        value, target = site.equation.value, site.target
        inside = value.operands[0] if value.operands else None
        if not isinstance(inside, Ref) or len(value.operands) != 1 or not _one_index(inside, target):
            continue
        letters = tuple(str(i) for i in inside.indices)
        if isinstance(value, Map) and not any(value.function.orders):
            name = value.function.name
            slopes = (f"d{name}({_text(inside)})",) if f"d{name}" in functions else ()
            yield Applied(name, inside.name, _text(inside), _text(target), slopes, letters)
        elif isinstance(value, Softmax):
            yield Applied("softmax", inside.name, _text(inside), _text(target), (), letters, axis=value.axis)


def _one_index(inside: Ref, target: Ref) -> bool:
    return all(i.is_Symbol for i in inside.indices) and inside.indices == target.indices


def _text(ref: Ref) -> str:
    return f"{ref.name}[{', '.join(map(str, ref.indices))}]" if ref.indices else ref.name


def _ranges(program: Program) -> dict[str, tuple[str, str]]:
    found = {}
    for site in program.sites:
        for loop in site.loops:
            found[loop.index.name] = str(loop.lo), str(loop.hi)
    return found


__all__ = ["known_of"]
