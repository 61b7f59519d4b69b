"""Numbers and strings in a plain format: what f-strings, ``format`` and ``%`` may write."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from symbp.language.diagnostics import Mistake
from symbp.verify.student.language.values import kind_of

_SPECIFICATION = re.compile(r"[<>^]?[+ ]?0?\d{0,2}(?:\.\d{1,2})?[dfegs%]?")
_PERCENT = re.compile(r"%[-+ 0]?\d{0,2}(?:\.\d{1,2})?[dfegs]|%%")


def formatted(value: Any, specification: str = "") -> str:
    """Return a number or a string in a plain format; other values are named by what they are."""
    if not isinstance(value, (str, int, float, np.generic)) or isinstance(value, np.complexfloating):
        return kind_of(value)
    if not _SPECIFICATION.fullmatch(specification):
        raise Mistake("C115", f"the format `{specification[:20]}` is not read", "a plain format is `.3f` or `d`")
    plainly = value.item() if isinstance(value, np.generic) else value
    return format(plainly, specification)


def percent(text: str, values: Any) -> str:
    """Return ``text % values`` for plain formats."""
    given = values if isinstance(values, tuple) else (values,)
    if _PERCENT.sub("", text).count("%") or not all(isinstance(v, (str, int, float, np.generic)) for v in given):
        raise Mistake("C115", "this use of `%` is not read", "write `'W' + str(l)`")
    return text % tuple(v.item() if isinstance(v, np.generic) else v for v in given)
