"""What is assumed, for a reader: the facts of variables in words, sizes that others define."""

from __future__ import annotations

from symbp.expr import size_atoms
from symbp.program import Program, Var
from symbp.render.printer import Printer


def defined_sizes(program: Program, p: Printer) -> list[str]:
    """Return the equations of the sizes that stand in shapes and are defined by others, such as those of windows."""
    used = size_atoms(s for var in program.variables.values() for s in var.shape)
    return [f"{p.size(s)} = {p.size(value)}" for s, value in program.definitions if s in used]


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
