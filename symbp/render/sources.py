"""Where a rule can be found: the short references of the rule book, spelled out."""

from __future__ import annotations

SOURCES: dict[str, str] = {
    "F0": "Magnus & Neudecker, Matrix Differential Calculus; Giles 2008",
    "F1": "Rumelhart, Hinton & Williams 1986; Bishop, PRML, ch. 5",
    "F2": "Goodfellow, Bengio & Courville, Deep Learning, ch. 9",
    "F4": "Werbos 1990; Goodfellow, Bengio & Courville, Deep Learning, ch. 10",
}
"""Literature by chapter of the formula sheet."""


def cited(source: str) -> str:
    """Return a source in words; a number of the formula sheet (``F1.5``) becomes the literature behind it."""
    parts = []
    for part in (p.strip() for p in source.split(";")):
        chapter = part.partition(".")[0]
        parts.append(SOURCES.get(chapter, part) if chapter[:1] == "F" and chapter[1:].isdigit() else part)
    return "; ".join(dict.fromkeys(p for p in parts if p))
