"""Every limit of equations that are checked: what lies at it is judged, what lies one past it is refused."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from symbp import pipeline
from symbp.language import DeclarationError, lines, read_text, scalars
from symbp.verify.check import mine

ROOT = Path(__file__).resolve().parents[3]
NET = "X: input[n, m]\nY: target[k, m]\nW: param[k, n]\nloss = sum((W @ X - Y)**2) / 2\n"
HEAD = "dZ = W @ X - Y\n"

LIMITS: dict[str, tuple[int, str, Callable[[int], str]]] = {
    "lines": (
        mine.MOST_LINES, "L004",
        lambda k: f"{HEAD}dW = dZ @ X.T\n" + "".join(f"A{j} = dZ\n" for j in range(k - 2))),
    "characters": (lines.MOST_CHARACTERS, "L001", lambda k: (HEAD + "dW = dZ @ X.T #").ljust(k, "x")),
    "characters of a line": (lines.MOST_STATEMENT, "L003", lambda k: HEAD + "dW = (dZ @ X.T".ljust(k - 1) + ")"),
    "brackets": (lines.MOST_NESTING, "L002", lambda k: f"{HEAD}dW = {'(' * k}dZ @ X.T{')' * k}\n"),
    "statements of a line": (lines.MOST_IN_A_LINE, "L004", lambda k: f"{HEAD}dW = dZ @ X.T{';' * k}\n"),
    "digits": (scalars.MOST_DIGITS, "L005", lambda k: f"{HEAD}dW = dZ @ X.T * {'9' * k} / {'9' * k}\n"),
    "bits": (scalars.MOST_BITS, "L005", lambda k: f"{HEAD}dW = dZ @ X.T * 2**{k // 2} / 2**{k // 2}\n"),
}


KEPT = {("mine", "MOST_KEPT")}
"""How much is kept for later; nothing is refused because of it."""


def code_of(text: str) -> str:
    try:
        return pipeline.check(read_text(NET), text).verdict
    except DeclarationError as error:
        return error.diagnostics[0].code


@pytest.mark.parametrize("name", LIMITS)
def test_at_the_limit_and_one_past_it(name: str) -> None:
    most, code, text = LIMITS[name]
    step = 2 if name == "bits" else 1  # 2 has two bits
    assert code_of(text(most)) == "right"
    assert code_of(text(most + step)) == code


def test_every_limit_of_the_reader_has_a_case() -> None:
    """A new constant in a module that reads works needs one; the language's are in ``tests/language``."""
    rooms = [p for p in (ROOT / "symbp" / "verify" / "check").glob("*.py")
             if p.stem in ("mine", "scope", "vocabulary") or "reading" in p.stem or "evaluator" in p.stem]
    assert len(rooms) > 3
    found = {
        (path.stem, target.id) for path in rooms for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, int)
        for target in node.targets if isinstance(target, ast.Name)
    }
    assert found == {("mine", "MOST_LINES"), *KEPT}


def test_the_docs_say_so() -> None:
    page = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
    assert f"| lines of equations that are checked | {mine.MOST_LINES:,} | L004 |" in page
