"""Breaking long lines: at the shallowest mark first, sums before Hadamard products before matrix products.

The printers leave a mark wherever an expression may be broken; brackets have fixed sizes, so that a break inside
brackets is allowed as a last resort.  Widths of LaTeX are estimated from the widths of Computer Modern in em.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from symbp.render.printer import CLOSE, MARKS, OPEN, clean

Width = Callable[[str], float]
OPENING, CLOSING = "([" + OPEN, ")]" + CLOSE


def text_width(text: str) -> float:
    """Return the number of columns that a text takes in a terminal."""
    return sum(not unicodedata.combining(c) for c in clean(text))


def pad(text: str, width: int) -> str:
    """Return a text filled with blanks to a number of columns."""
    return text + " " * int(width - text_width(text))


def _places(text: str) -> list[tuple[int, int, int]]:
    """Return the marks as (depth of brackets, kind of mark, position); inside LaTeX braces nothing can be broken."""
    depth, braces, found = 0, 0, []
    for k, c in enumerate(text):
        if c in MARKS and not braces:
            found.append((depth, MARKS.index(c), k))
        braces += (c == "{") - (c == "}")
        depth += (c in OPENING) - (c in CLOSING)
    return found


def broken(text: str, limit: float, width: Width = text_width, first: float = 0.0) -> list[str]:
    """Return the lines of a marked text, each within ``limit`` where the marks allow it.

    text:  a printed expression with marks.
    limit: the width of a line.
    width: measures a text.
    first: what is already used of the first line.
    """
    if first + width(text) <= limit:
        return [clean(text)]
    places = _places(text)
    if not places:
        return [clean(text)]
    best = min((d, kind) for d, kind, _ in places)
    cuts = [k for d, kind, k in places if (d, kind) == best]
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    lines: list[str] = []
    current, used = parts[0], first
    for part in parts[1:]:
        if used + width(current + part) <= limit:
            current += part
            continue
        lines += _finish(current, limit, width, used)
        current, used = part, 0.0
    return lines + _finish(current, limit, width, used)


def _finish(text: str, limit: float, width: Width, used: float) -> list[str]:
    # The mark in front of a part is no place to break: nothing stands before it.
    return broken(text[1:] if text[:1] in MARKS else text, limit, width, used)


# ---------------------------------------------------------------------------------------------------------
# LaTeX

_TOKEN = re.compile(
    r"\\operatorname\{[^{}]*\}|\\math(?:rm|bf|tt)\{[^{}]*\}|\\text\{[^{}]*\}|\\[A-Za-z]+|\\.|[{}_^&]|.", re.DOTALL
)
_WIDE = {"\\odot": 1.25, "\\oslash": 1.25, "\\otimes": 1.25, "\\times": 1.25, "\\cdot": 0.75, "=": 1.35, "+": 1.25,
         "-": 1.25, ">": 1.35, "<": 1.35, "\\ge": 1.35, "\\le": 1.35, "\\ne": 1.35, "\\,": 0.17,
         "\\;": 0.28, "\\quad": 1.0, "\\qquad": 2.0, "\\top": 0.78, "\\partial": 0.57, "\\mathcal": 0.0, "\\bar": 0.0,
         "\\overline": 0.0, "\\hat": 0.0, "\\tilde": 0.0, "\\dot": 0.0, "\\sqrt": 0.85, "\\langle": 0.4,
         "\\rangle": 0.4, "\\lvert": 0.3, "\\rvert": 0.3, "\\bigl": 0.1, "\\bigr": 0.1, "\\Bigl": 0.25, "\\Bigr": 0.25,
         "\\left": 0.3, "\\right": 0.3, "\\frac": 0.25, "\\tfrac": 0.25, "(": 0.39, ")": 0.39, "[": 0.28, "]": 0.28,
         ",": 0.45, ":": 0.28, ".": 0.28, "'": 0.28, "m": 0.88, "W": 0.95, "M": 0.97, "w": 0.72,
         "\\sumspace": 0.0, "\\fracspace": 0.0, "\\dots": 1.2, "\\cdots": 1.2}  # fmt: skip
_WORDS = {"\\tanh": 2.2, "\\exp": 1.5, "\\log": 1.3, "\\sin": 1.2, "\\cos": 1.35, "\\max": 1.75, "\\arctan": 3.0}


@lru_cache(maxsize=65536)
def latex_width(text: str) -> float:
    """Estimate the width of a formula in em."""
    return _measure(_TOKEN.findall(clean(text)))


def _measure(tokens: list[str]) -> float:
    total, k = 0.0, 0
    while k < len(tokens):
        token = tokens[k]
        k += 1
        if token in ("_", "^"):
            inside, k = _group(tokens, k)
            below = 0.72 * _tight(inside)
            if k < len(tokens) and tokens[k] in ("_", "^") and tokens[k] != token:
                inside, k = _group(tokens, k + 1)
                below = max(below, 0.72 * _tight(inside))
            total += below + 0.05
        elif token == "\\sum":
            widest = 1.45
            while k < len(tokens) and tokens[k] in ("_", "^"):
                inside, k = _group(tokens, k + 1)
                widest = max(widest, 0.72 * _tight(inside))
            total += widest + 0.17
        elif token in ("\\frac", "\\tfrac"):
            top, k = _group(tokens, k)
            bottom, k = _group(tokens, k)
            total += max(_measure(top), _measure(bottom)) + 0.25
        elif token == "\\begin":
            _, k = _group(tokens, k)
            end = _matching(tokens, k)
            rows = _split(tokens[k:end], "\\\\")
            total += max(_measure(r) + 1.0 * r.count("&") for r in rows) + 1.2
            k = end
            _, k = _group(tokens, k + 1)
        elif token == "{":
            inside, k = _group(tokens, k - 1)
            total += _measure(inside)
        else:
            total += _token(token)
    return total


def _token(token: str) -> float:
    if token in _WIDE:
        return _WIDE[token]
    if token in _WORDS:
        return _WORDS[token]
    if token.startswith(("\\operatorname", "\\math", "\\text")) and "{" in token:
        return 0.53 * (len(token) - token.index("{") - 2) + (0.17 if token.startswith("\\operatorname") else 0.08)
    if token.isspace() or token in "{}&" or token == "\\\\":
        return 0.0
    if token.startswith("\\"):
        return 0.6
    return 0.78 if token.isupper() else 0.52


def _tight(tokens: list[str]) -> float:
    """The width of a script: operators have no space around them there."""
    return _measure(tokens) - 0.47 * sum(t in "+-=<>" for t in tokens)


def _group(tokens: list[str], k: int) -> tuple[list[str], int]:
    """Return the argument that starts at position ``k`` and the position after it."""
    while k < len(tokens) and tokens[k].isspace():
        k += 1
    if k >= len(tokens):
        return [], k
    if tokens[k] != "{":
        return [tokens[k]], k + 1
    depth, start = 0, k
    while k < len(tokens):
        depth += (tokens[k] == "{") - (tokens[k] == "}")
        k += 1
        if depth == 0:
            break
    return tokens[start + 1 : k - 1], k


def _matching(tokens: list[str], k: int) -> int:
    depth = 1
    while k < len(tokens):
        depth += (tokens[k] == "\\begin") - (tokens[k] == "\\end")
        if depth == 0:
            return k
        k += 1
    return k


def _split(tokens: list[str], at: str) -> list[list[str]]:
    out: list[list[str]] = [[]]
    for token in tokens:
        if token == at:
            out.append([])
        else:
            out[-1].append(token)
    return out
