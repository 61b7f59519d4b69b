"""The language reference says what the reader does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from symbp.language import read_text
from symbp.language.reference import facts_table, layers_table, operations_table

PAGE = Path(__file__).parents[2] / "docs" / "language.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the documents are not installed")


@pytest.mark.parametrize("table", [facts_table, operations_table, layers_table], ids=["facts", "operations", "layers"])
def test_a_table_has_every_row_and_no_other(table: object) -> None:
    text = PAGE.read_text()
    rows = table()  # type: ignore[operator]
    assert "\n".join(rows) in text, "write the rows of symbp.language.reference into docs/language.md"
    after = text.split("\n".join(rows))[1]
    assert after.startswith("\n\n")


def test_the_declarations_of_the_page_are_read() -> None:
    blocks = re.findall(r"\n```\n(.*?)```", PAGE.read_text(), re.S)
    declarations = [block for block in blocks if "loss" in block]
    assert len(declarations) == 2
    for block in declarations:
        assert read_text(block).outputs == ("loss",)


def test_the_python_of_the_page_runs() -> None:
    (block,) = re.findall(r"\n```python\n(.*?)```", PAGE.read_text(), re.S)
    namespace: dict[str, object] = {}
    exec(block, namespace)  # noqa: S102  (our own page)
    assert namespace["program"].outputs == ("loss",)  # type: ignore[attr-defined]
