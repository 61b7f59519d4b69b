"""What a C module takes, in one line: memory, functions of the library, operations."""

from __future__ import annotations

import re
from collections.abc import Mapping

LIBRARY = frozenset({
    "acos", "asin", "atan", "atan2", "cos", "sin", "tan", "cosh", "sinh", "tanh", "acosh", "asinh", "atanh", "exp",
    "exp2", "expm1", "log", "log2", "log10", "log1p", "pow", "sqrt", "cbrt", "ceil", "floor", "fabs", "fmod", "fmax",
    "fmin", "fma", "erf", "erfc", "frexp", "ldexp", "modf", "round", "trunc", "rint", "nearbyint", "copysign",
    "hypot", "tgamma", "lgamma",
})
"""Functions of C's mathematical library, each with a second form that ends in f."""


def library(text: str) -> list[str]:
    """Return the functions of the mathematical library that a source calls, in alphabetical order."""
    code = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    called = set(re.findall(r"\b([a-z]\w*)\(", code))
    return sorted(name for name in called if name in LIBRARY or (name.endswith("f") and name[:-1] in LIBRARY))


def summary(needs: Mapping[str, int], text: str) -> str:
    """Return what a module takes.

    needs: its figures.
    text:  its source.
    """
    held = {
        "parameters": needs["parameter_bytes"], "gradients": needs["gradient_bytes"], "state": needs["state_bytes"],
        "optimizer": needs["optimizer_bytes"], "inputs": needs["input_bytes"], "scratch": needs["scratch_bytes"],
    }
    parts = ", ".join(f"{name} {number:,}" for name, number in held.items() if number or name == "scratch")
    called = ", ".join(library(text)) or "nothing"
    return "    ".join([
        f"RAM {sum(held.values()):,} B: {parts}", "heap 0   recursion 0   libm: " + called,
        f"FLOP {needs['step_flop']:,} a step",
    ])


__all__ = ["library", "summary"]
