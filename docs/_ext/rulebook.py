"""Writes the pages of the rule book from symbp's own tables before the documentation is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from symbp.calculus import IDENTITIES
from symbp.ops import ELEMENTWISE, RULES
from symbp.render.rulebook import Face, entry
from symbp.verify.rules import proof_words

PAGES: tuple[tuple[str, str, str, list[str]], ...] = (
    (
        "primitives", "Primitives",
        "The closed list of operations that have a rule. An operation that is linear in an operand states the "
        "cotangent that it sends there; any other states its differential, from which the adjoint is derived. "
        "`transposed` is what batch conversion uses. Everything else in the language is a composition of these.",
        list(RULES),
    ),
    (
        "elementwise", "Elementwise functions",
        "One scalar function for each entry, with its law and its slope, written through the value $Y$ where that is "
        "shorter.",
        list(ELEMENTWISE),
    ),
    (
        "identities", "Identities",
        "The named identities in the order of their phases. Each use of one is a step of the derivation, with its "
        "condition.",
        list(dict.fromkeys(i.name for i in IDENTITIES)),
    ),
)


def _line(face: Face) -> str:
    if face.kind == "formula":
        return f"| {face.label} | ${face.says}$ |"
    if face.kind == "code":
        return f"| {face.label} | {'<br>'.join(f'`{line}`' for line in face.says.splitlines())} |".replace("`|", "`\\|")
    return f"| {face.label} | {face.says} |"


def page(title: str, text: str, names: list[str]) -> str:
    """Return one page of the rule book in Markdown."""
    parts = [f"# {title}", text]
    for name in names:
        found = entry(name, "latex").saying("proof", proof_words(name))
        parts.append(f"## {name}\n\n| | |\n| --- | --- |\n" + "\n".join(_line(face) for face in found.faces))
    return "\n\n".join(parts) + "\n"


def write(app: Any) -> None:
    folder = Path(app.srcdir) / "rules"
    folder.mkdir(exist_ok=True)
    for stem, title, text, names in PAGES:
        path, content = folder / f"{stem}.md", page(title, text, names)
        # An unchanged page keeps its time, so that it is not read again.
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    app.connect("builder-inited", write)
    return {"version": "1", "parallel_read_safe": True}
