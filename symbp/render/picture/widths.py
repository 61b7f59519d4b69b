"""How wide a text is at most: the widest letters of the fonts that a picture's text may fall back to."""

from __future__ import annotations

import unicodedata

WIDTHS: dict[int, str] = {
    32: "' j,.il·", 38: "-/:;\\|", 40: "f()[]ι!It²³₀₁₂₃₄₅₆₇₈₉", 46: '"', 50: "r*_`ᵀ", 54: "szεζ?", 60: "cvxyξγτ",
    62: "aekoδθνυχ", 64: "bdghnpqu0123456789${}βηλρ", 68: "LPTYακμπσ", 72: "ADFSVXZΓΔΛΞΣφ∑", 75: "BEKR", 78: "Cψ",
    84: "DGOQU#+<=>^~×−Θ≥≤⊙→ΘΦΩω", 88: "HNwΠΨ&", 100: "mM@…%W",
}
"""Letters by their width in hundredths of the font size: of DejaVu Sans and DejaVu Serif Italic the wider one."""

_OF = {letter: width for width, letters in sorted(WIDTHS.items()) for letter in letters}
_ELSE = 100


def width(text: str, size: float) -> float:
    """Return the width of a text in a font of a size; a letter that the table lacks is as wide as it is high."""
    return sum(_OF.get(c, _ELSE) for c in text if not unicodedata.combining(c)) * size / 100
