"""Where a rule can be found: the short references of the rule book, spelled out."""

from __future__ import annotations

FORMULAS: dict[str, tuple[str, ...]] = {
    "F0": ("J. R. Magnus and H. Neudecker, Matrix Differential Calculus, Wiley",),
    "F1": (
        "D. E. Rumelhart, G. E. Hinton and R. J. Williams, Learning representations by back-propagating errors, 1986",
        "C. M. Bishop, Pattern Recognition and Machine Learning, Springer 2006, chapter 5",
    ),
    "F2": ("S. Ioffe and C. Szegedy, Batch Normalization, ICML 2015",),
}
"""Literature behind a chapter of the formula sheet (``F1.5`` is in chapter 1)."""

SHORT: dict[str, str] = {
    "Magnus & Neudecker": FORMULAS["F0"][0],
    "Laue et al. 2018": (
        "S. Laue, M. Mitterreiter and J. Giesen, Computing Higher Order Derivatives of Matrix and Tensor Expressions, "
        "NeurIPS 2018"
    ),
}
"""References that rules give by authors."""


def cited(source: str) -> list[str]:
    """Return the sources of a rule in full; a number of the formula sheet becomes the literature behind it."""
    found: dict[str, None] = {}
    for part in (p.strip() for p in source.split(";")):
        for entry in FORMULAS.get(part.partition(".")[0], (SHORT.get(part, part),)):
            if entry:
                found.setdefault(entry)
    return list(found)
