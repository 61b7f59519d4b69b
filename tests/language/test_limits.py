"""Every limit of a declaration: what lies at it is read, what lies one past it is refused; the docs say so."""

from __future__ import annotations

import ast
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import pytest

from symbp.language import (
    DeclarationError,
    collecting,
    declarations,
    diagnostics,
    expressions,
    files,
    laws,
    lines,
    names,
    parsing,
    read_text,
    scalars,
    shapes,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "limits.md"
V = "X: input[n, m]\nY: target[n, m]\nW: param[n, n]\n"


class Limit(NamedTuple):
    """A row of the table in the docs, and a declaration of any size."""

    what: str
    most: int
    code: str
    declaration: str

    def text(self, size: int) -> str:
        return TEXTS[self.declaration](size)


def choices(count: int) -> str:
    return f"{V}def f(x): return {'maximum(x, ' * count}x*x{')' * count}\nloss = sum(f(X))\n"


def total(text: str) -> int:
    return sum(1 for line in text.splitlines() for _ in ast.walk(ast.parse(line)))


def nodes(count: int) -> str:
    """Return a declaration with so many nodes: long sums, and a short one that fills up."""
    text = V + "loss = sum(X)\n"
    line = "Z{} = " + " + ".join(["X"] * 400) + "\n"
    text += "".join(line.format(j) for j in range((count - total(text)) // total(line.format(0)) - 1))
    text += "assert n >= 1\n" * ((count - total(text)) % 2)
    text += f"A = {'-' * ((count - total(text) - 6) % 4 // 2)}X"
    return text + " + X" * ((count - total(text)) // 4) + "\n"


def size(parts: int) -> str:
    """Return a size with so many parts: a name has 2, ``+ 1`` 3 more, ``+ n`` 4."""
    names = (parts - 2) % 3
    return "n" + " + n" * names + " + 1" * ((parts - 2 - 4 * names) // 3)


def scalar(terms: int) -> str:
    """Return a product of sums that has so many terms once it is multiplied out."""
    factors = {1000: (10, 10, 10), 1001: (7, 11, 13)}[terms]
    return "*".join(f"({' + '.join(list('nmpqrstuvwxyz')[:k])})" for k in factors)


SIZES = "".join(f"{c.upper()}1: input[{c}, m]\n" for c in "pqrstuvwxyz")

TEXTS = {
    "characters": lambda k: (V + "loss = sum(X) #").ljust(k, "x"),
    "statement": lambda k: V + "loss = sum(X".ljust(k - 1) + ")",
    "nesting": lambda k: f"{V}loss = sum{'(' * k}X{')' * k}\n",
    "letters": lambda k: f"{'a' * k}: input[n, m]\nloss = sum({'a' * k})\n",
    "equations": lambda k: V + "".join(f"Z{j} = X\n" for j in range(k - 1)) + "loss = sum(X)\n",
    "statements": lambda k: V + "loss = sum(X)\n" + "".join(f"assert n >= {j}\n" for j in range(1, k - 3)),
    "line": lambda k: V + "loss = sum(X)" + ";" * k,
    "iterations": lambda k: f"for t in range(1, {k + 1}):\n    X[t]: input[n, m]\nloss = sum(X[1])\n",
    "digits": lambda k: f"{V}loss = {'9' * k}*sum(X)\n",
    "bits": lambda k: f"{V}loss = 2**{k // 2}*sum(X)\n",
    "lines": lambda k: V + "loss = sum(X" + "\n" * k + ")\n",
    "nodes": nodes,
    "size": lambda k: f"X: input[{size(k)}, m]\nloss = sum(X)\n",
    "terms": lambda k: f"{V}{SIZES}loss = {scalar(k)}*sum(X)\n",
    "operations": lambda k: f"{V}loss = sum({'-' * (k - 2)}X)\n",
    "parts": lambda k: f"{V}def f(x): return {' + '.join(['exp(x)', *(f'x**{j}' for j in range(2, k // 3))])}\n"
    "loss = sum(f(X))\n",
    "choices": choices,
}

LIMITS = (
    Limit("characters of a file", lines.MOST_CHARACTERS, "L001", "characters"),
    Limit("characters of a statement", lines.MOST_STATEMENT, "L003", "statement"),
    Limit("brackets within one another", lines.MOST_NESTING, "L002", "nesting"),
    Limit("letters of a name", names.MOST_LETTERS, "N007", "letters"),
    Limit("equations", collecting.MOST_EQUATIONS, "L004", "equations"),
    Limit("statements", parsing.MOST_STATEMENTS, "L004", "statements"),
    Limit("statements of one line", lines.MOST_IN_A_LINE, "L004", "line"),
    Limit("iterations of a loop between numbers", shapes.MOST_ITERATIONS, "L007", "iterations"),
    Limit("digits of a number", scalars.MOST_DIGITS, "L005", "digits"),
    Limit("bits of a power of numbers", scalars.MOST_BITS, "L005", "bits"),
    Limit("lines of a statement", lines.MOST_LINES_OF_A_STATEMENT, "P003", "lines"),
    Limit("nodes of all statements", parsing.MOST_NODES, "L003", "nodes"),
    Limit("parts of a size or of an index", shapes.MOST_SIZE_NODES, "L005", "size"),
    Limit("terms of a scalar", scalars.MOST_TERMS, "L005", "terms"),
    Limit("operations within one another", expressions.DEEPEST, "L002", "operations"),
)

TABLE = {
    "lines.MOST_CHARACTERS", "lines.MOST_STATEMENT", "lines.MOST_NESTING", "names.MOST_LETTERS", "lines.MOST_IN_A_LINE",
    "collecting.MOST_EQUATIONS", "parsing.MOST_STATEMENTS", "shapes.MOST_ITERATIONS", "scalars.MOST_DIGITS",
    "scalars.MOST_BITS", "lines.MOST_LINES_OF_A_STATEMENT", "parsing.MOST_NODES", "shapes.MOST_SIZE_NODES",
    "scalars.MOST_TERMS", "expressions.DEEPEST",
}
"""The limits of the table above."""
OTHERS = {
    "laws.MOST_PARTS", "laws.MOST_CHOICES", "declarations.LARGEST_START", "diagnostics.MOST_DIAGNOSTICS",
    "diagnostics.MOST_DROPPED", "laws.DEEPEST", "files.MOST_BYTES",
}
"""Limits that have a test of their own below."""
SEARCHES = {"families.MOST_READINGS"}
"""How far something is looked for; nothing is refused because of it."""


def code_of(text: str) -> str:
    try:
        read_text(text)
    except DeclarationError as error:
        return error.diagnostics[0].code
    return "read"


@pytest.mark.parametrize(
    "limit", [pytest.param(x, marks=[pytest.mark.slow] if x.declaration == "nodes" else []) for x in LIMITS],
    ids=lambda limit: limit.declaration,
)
def test_at_the_limit_and_one_past_it(limit: Limit) -> None:
    step = 2 if limit.declaration == "bits" else 1  # 2 has two bits
    assert code_of(limit.text(limit.most)) == "read"
    assert code_of(limit.text(limit.most + step)) == limit.code


def test_the_parts_of_a_size_are_limited() -> None:
    names = "+".join(["n"] * (shapes.MOST_SIZE_NODES // 4))  # a name and a sign are four nodes of the tree
    assert code_of(f"X: input[-{names}, m]\nloss = sum(X)\n") == "read"
    assert code_of(f"X: input[{names}+1, m]\nloss = sum(X)\n") == "L005"


def test_the_parts_of_a_function_are_limited() -> None:
    assert code_of(TEXTS["parts"](laws.MOST_PARTS // 2)) == "read"
    assert code_of(TEXTS["parts"](2 * laws.MOST_PARTS)) == "L005"


def test_the_choices_within_a_comparison_are_limited() -> None:
    # The outermost choice compares with the others.
    assert code_of(choices(laws.MOST_CHOICES + 1)) == "read"
    assert code_of(choices(laws.MOST_CHOICES + 2)) == "L005"


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.declaration)
def test_the_docs_say_so(limit: Limit) -> None:
    assert f"| {limit.what} | {limit.most:,} | {limit.code} |" in PAGE.read_text(encoding="utf-8")


def test_a_start_value_is_limited() -> None:
    start = V + "b: param[n, 1] = {}\nloss = sum(X) + sum(b)\n"
    assert code_of(start.format(declarations.LARGEST_START)) == "read"
    assert code_of(start.format(declarations.LARGEST_START + 1)) == "O010"


def test_the_depth_of_a_function_is_limited() -> None:
    law = V + "def f(x): return exp({}x)\nloss = sum(f(X))\n"
    assert code_of(law.format("-" * (laws.DEEPEST - 2))) == "read"
    assert code_of(law.format("-" * (laws.DEEPEST - 1))) == "L002"


def test_the_errors_that_are_shown_are_limited() -> None:
    for dropped, ends in ((diagnostics.MOST_DROPPED - 1, False), (diagnostics.MOST_DROPPED, True)):
        report = diagnostics.Report("x.net", [""])
        with pytest.raises(DeclarationError) if ends else nullcontext():
            for k in range(diagnostics.MOST_DIAGNOSTICS + dropped):
                report.add("P009", f"error {k}", diagnostics.Span(1, 1))
        assert len(report.found) == diagnostics.MOST_DIAGNOSTICS


def test_the_bytes_of_a_file_are_limited(tmp_path: Path) -> None:
    """Of a file no more is read than its characters may need; the rest is told as too many characters."""
    assert files.MOST_BYTES == 4 * lines.MOST_CHARACTERS
    file = tmp_path / "long.net"
    file.write_bytes(b"x" * 9)
    assert files.file_bytes(file, most=9) == b"x" * 9
    file.write_bytes(b"x" * 11)
    assert len(files.file_bytes(file, most=9)) == 10


def test_every_limit_has_a_case() -> None:
    """A new constant of this form in the language needs one."""
    room = Path(lines.__file__).parent
    found = {
        f"{path.stem}.{target.id}" for path in room.glob("*.py") for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.Assign) for target in node.targets
        if isinstance(target, ast.Name) and target.id.startswith(("MOST_", "DEEPEST", "LARGEST_"))
    }
    assert len(TABLE) == len(LIMITS)
    assert found == TABLE | OTHERS | SEARCHES


def test_a_thousand_layers_are_read() -> None:
    text = V + "A0 = X\n" + "".join(f"A{k + 1} = dense(A{k}, n, tanh)\n" for k in range(1_000)) + "loss = sum(A1000)\n"
    assert len(read_text(text).variables) > 4_000
