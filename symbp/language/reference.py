"""The tables of the language reference, made from what the reader itself uses."""

from __future__ import annotations

from symbp.language.catalogue import OPERATIONS
from symbp.language.forms import FACTS
from symbp.layers import LAYERS


def facts_table() -> list[str]:
    """Return one row for each fact."""
    return [f"| `{name}` | {meaning} |" for name, meaning in FACTS.items()]


def operations_table() -> list[str]:
    """Return one row for each operation: signature, meaning, other names."""
    rows = []
    for entry in sorted({id(e): e for e in OPERATIONS.values()}.values(), key=lambda e: e.name):
        also = [f"`{alias}`" for alias in entry.aliases] + (["method"] if entry.method else [])
        rows.append(f"| `{entry.signature}` | {_cell(entry.meaning)} | {', '.join(also)} |")
    return rows


def layers_table() -> list[str]:
    """Return one row for each layer and loss."""
    return [f"| `{entry.signature}` | {_cell(entry.meaning)} |" for entry in LAYERS.values()]


def _cell(text: str) -> str:
    """Return a text for a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("*", "\\*")
