"""The facts of a variable in words."""

from __future__ import annotations

from symbp.program import Var


def stated_facts(var: Var) -> list[str]:
    """Return the facts of a variable without those that another one implies."""
    implied = {other for fact in var.facts for other in IMPLIED.get(fact, ())}
    return sorted(var.facts - implied)


IMPLIED = {
    "one_hot_columns": ("columns_sum_to_one", "binary"), "one_hot_rows": ("rows_sum_to_one", "binary"),
    "mask": ("binary",),
}
"""Facts that hold when another one does."""


def in_words(var: Var, fact: str) -> str:
    """Return one fact of a variable in words."""
    return f"whole numbers from 0 below {var.size}" if fact == "index" else fact.replace("_", " ")


def facts_text(var: Var) -> str:
    """Return the facts of a variable in words."""
    return ", ".join(in_words(var, fact) for fact in stated_facts(var))
