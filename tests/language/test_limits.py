"""Every limit of a declaration: what lies at it is read, what lies one past it is refused; the docs say so."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from symbp.language import DeclarationError, collecting, laws, lines, names, parsing, read_text, scalars, shapes

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
)


def code_of(text: str) -> str:
    try:
        read_text(text)
    except DeclarationError as error:
        return error.diagnostics[0].code
    return "read"


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.declaration)
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


def test_a_thousand_layers_are_read() -> None:
    text = V + "A0 = X\n" + "".join(f"A{k + 1} = dense(A{k}, n, tanh)\n" for k in range(1_000)) + "loss = sum(A1000)\n"
    assert len(read_text(text).variables) > 4_000
