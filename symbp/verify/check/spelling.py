"""Spelling: gradients that are written as fractions or as entries of dictionaries become names, column by column."""

from __future__ import annotations

import re

_FRACTION = re.compile(r"(?<![\w.])[d∂](L|J|E|C|[Ll]oss|[Cc]ost)(\s*/\s*)[d∂](?=[A-Za-z])")
_ENTRY = re.compile(r"""(?<![\w.])([A-Za-z_]\w*)\[\s*(['"])([A-Za-z_]\w*)\2\s*\]""")
_COMMENT = re.compile(r"#\s*((?:of|is)\s*:.*)$")


def respelled(line: str) -> str:
    """Return a line of the same length in which every gradient is a name of the language.

    ``dL/dW1`` becomes ``dL_dW1`` and ``grads['W1']`` becomes ``grads_W1`` with blanks behind it, so that every column
    stays what it is.
    """
    code, sign, comment = line.partition("#")
    code = without_fractions(code)
    code = _ENTRY.sub(lambda m: f"{m.group(1)}_{m.group(3)}".ljust(len(m.group())), code)
    return code + sign + comment


def without_fractions(code: str) -> str:
    """Return code of the same length with ``dL_dW1`` for ``dL/dW1``."""
    return _FRACTION.sub(_as_name, code)


def _as_name(match: re.Match[str]) -> str:
    return f"d{match.group(1)}{'_' * len(match.group(2))}d"


def stated(line: str) -> str:
    """Return what a comment says that the line is: ``of: Z1`` or ``is: W2.T @ dZ2``; else nothing."""
    found = _COMMENT.search(line)
    return found.group(1).strip() if found else ""
