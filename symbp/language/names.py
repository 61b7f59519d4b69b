"""Which names a declaration may use: one table for all targets, so that a name never has to change on its way."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

from symbp.language.diagnostics import Mistake

MOST_LETTERS = 24

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")

_WORDS = {
    "C": """auto break case char const continue default do double else enum extern float for goto if inline int long
        register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while""",
    "C++": """alignas alignof and and_eq asm bitand bitor bool catch char8_t char16_t char32_t class compl concept
        consteval constexpr constinit const_cast co_await co_return co_yield decltype delete dynamic_cast explicit
        export false friend mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public
        reinterpret_cast requires static_assert static_cast template this thread_local throw true try typeid typename
        using virtual wchar_t xor xor_eq""",
    "Julia": """baremodule begin end elseif export false finally function global import let local macro module quote
        struct true try using where mutable abstract""",
    "Rust": """as async await box crate dyn enum extern fn impl in let loop match mod move mut priv pub ref self static
        super trait type unsafe unsized use yield""",
    "JavaScript": """arguments await debugger delete eval export extends function implements import in instanceof
        interface let new null package protected public super this throw typeof undefined var void with yield""",
    "MATLAB": "classdef endfunction otherwise parfor persistent spmd",
    "NumPy": "np numpy",
}
KEYWORDS: dict[str, str] = {word: language for language, words in reversed(_WORDS.items()) for word in words.split()}
KEYWORDS |= dict.fromkeys((*keyword.kwlist, "match", "print"), "Python")
"""Reserved words of all targets, each with a language that reserves it."""

TUPLE_METHODS = ("index", "count")
"""Fields of a NamedTuple may not be called like its methods."""

KINDS = ("input", "target", "param", "const")
LANGUAGE_WORDS = (*KINDS, "elementwise", "samples", "range", "reversed", "pi")

_ADVICE = {
    "lambda": "write `lam`; it prints as the Greek letter",
    "in": "write `inp` or `x_in`",
    "is": "write `is_`... or another name",
    "as": "write `a_s`",
}


def check_name(name: str, reserved: Iterable[str] = ()) -> None:
    """Raise ``Mistake`` unless ``name`` can be the name of a variable, size, index or function in every target.

    ``reserved`` holds the names of operations, which cannot be given away.
    """
    if name in KEYWORDS:
        raise Mistake(
            "N004",
            f"`{name}` is a reserved word of {KEYWORDS[name]}",
            _ADVICE.get(name, f"write another name, for example `{name}1` or `{name[:1].upper()}`"),
        )
    if name in TUPLE_METHODS:
        raise Mistake(
            "N004",
            f"`{name}` is the name of a method of Python's tuples, which hold the generated fields",
            f"write another name, for example `{name}s`",
        )
    if name in LANGUAGE_WORDS or name in reserved:
        raise Mistake("N005", f"`{name}` is a word of the language", f"write another name, for example `{name}1`")
    if name.startswith("_"):
        raise Mistake("N006", f"`{name}` begins with an underscore", "begin a name with a letter")
    if not _IDENTIFIER.match(name):
        raise Mistake(
            "N006", f"`{name}` is no name", "a name has letters, digits and underscores and begins with a letter"
        )
    if len(name) > MOST_LETTERS:
        raise Mistake(
            "N007",
            f"`{name[:MOST_LETTERS]}...` has {len(name)} letters; at most {MOST_LETTERS} are allowed",
            "C compilers tell apart 31 letters, and `_bar` and other suffixes need room",
        )
    if name.endswith("_bar"):
        raise Mistake("N008", f"`{name}` ends in `_bar`, the ending of adjoints", "choose another ending")


def derived_from(name: str) -> str | None:
    """Return the name whose tangent (``d_X``) or message (``M_X``) would be called ``name``, or None."""
    return name[2:] if name[:2] in ("d_", "M_") and len(name) > 2 else None
