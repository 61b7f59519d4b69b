"""Anchors: what a name of somebody's work means - by its comment, by its spelling, by its value, by its shape.

A gradient has many spellings: ``dW1``, ``dL_dW1``, ``grad_W1``, ``W1_grad``, ``nabla_W1``, ``delta2``,
``grads['W1']``.  What fits nothing has no anchor: it is not judged by itself.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from symbp.program import Var
from symbp.verify.check.spelling import without_fractions

_LOSS = r"(?:L|J|E|C|[Ll]oss|[Cc]ost)"
_GRADIENT = (
    rf"d{_LOSS}_*d_?(?P<of>\w+)",
    r"d_?(?P<of>\w+)",
    r"(?:grads?|gradient|nabla|adj|bar)_?(?P<of>\w+)",
    r"g_?(?P<of>\w+)",
    r"(?P<of>\w+?)_?(?:grad|gradient|bar|adj)",
    r"delta_(?P<of>[A-Za-z]\w*)",
)
"""The spellings of a gradient, in the order in which they are tried."""

_PATTERNS = tuple(re.compile(pattern + r"\Z") for pattern in _GRADIENT)
_DELTA = re.compile(r"(?:delta|err|error)_?(?P<number>\w*)\Z")
_HOLDERS = re.compile(r"d|g|grads?|gradients?|derivatives?|d_?params?|d_?cache|nabla\w*|deltas?", re.IGNORECASE)
"""Dictionaries that hold gradients by the name of what they are gradients of."""

Meaning = tuple[Literal["value", "gradient"], str]
"""Whether a name means a value or a gradient, and of which variable."""


@dataclass(frozen=True)
class Target:
    """A target taken apart: ``grads['W1'][2]`` has the holder ``grads``, the word ``W1`` and the index 2.

    holder: what holds it by a key; else nothing.
    word:   its name, or the key.
    at:     its whole-number indices.
    part:   whether it is a part of an array (``dZ[Z <= 0]``, ``dW[:, 0]``), so that the whole is what counts.
    """

    holder: str
    word: str
    at: tuple[int, ...] = ()
    part: bool = False


def target_of(text: str) -> Target:
    """Take apart what a line assigns, as it is written or as it is when it runs."""
    try:
        node: ast.expr = ast.parse(without_fractions(text).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Target("", text)
    at: list[int] = []
    part = False
    while True:
        if isinstance(node, ast.Subscript):
            key = node.slice
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                return Target(_word(node.value), key.value, tuple(at), part)
            inside = key.elts if isinstance(key, ast.Tuple) else [key]
            numbers = [_integer(k) for k in inside]
            if all(n is not None for n in numbers):
                at[:0] = [n for n in numbers if n is not None]
            else:
                part = True
            node = node.value
        elif isinstance(node, ast.Attribute):
            return Target(_word(node.value), node.attr, tuple(at), part)
        else:
            return Target("", _word(node), tuple(at), part)


def _integer(node: ast.expr) -> int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _integer(node.operand)
        return None if inner is None else -inner
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else None


def _word(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


class Names:
    """What the names of a work may mean, among the variables of a network."""

    def __init__(self, variables: Mapping[str, Var] | Iterable[str]) -> None:
        self.variables = tuple(variables)
        known = variables if isinstance(variables, Mapping) else {}
        self.states = {name for name, var in known.items() if var.kind == "state"}
        self.folded: dict[str, str] = {}
        for name in self.variables:
            self.folded.setdefault(name.lower(), name)

    def meaning(self, target: Target) -> Meaning | None:
        """Return what a target means by its spelling, or None."""
        word = target.word
        if target.holder and _HOLDERS.fullmatch(target.holder):
            of = self.variable(word)
            if of is not None:
                return "gradient", of
        if word in self.variables:
            return "value", word
        return self.gradient(word)

    def gradient(self, word: str) -> Meaning | None:
        """Return of what a word is the gradient, or None."""
        for pattern in _PATTERNS:
            match = pattern.match(word)
            of = self.variable(match.group("of")) if match else None
            if of is not None:
                return "gradient", of
        delta = _DELTA.match(word)
        if delta:
            of = self.variable("Z" + delta.group("number")) or self.variable("z" + delta.group("number"))
            if of is not None:
                return "gradient", of
        return None

    def variable(self, word: str) -> str | None:
        """Return the variable that a word names, in spite of an underscore or of small letters."""
        if word in self.variables:
            return word
        bare = word.replace("_", "")
        found = next((name for name in self.variables if name.replace("_", "") == bare), None)
        if found is None and not word[-1:].isdigit():
            # The parts of layers are called after what they belong to: v_N1, gamma_N1.
            parts = [n for n in self.variables if n.rpartition("_")[0] == word and n not in self.states]
            found = parts[0] if len(parts) == 1 else None
        return found

    def stated(self, comment: str) -> Meaning | None:
        """Return what ``of: Z1`` says: the gradient of a variable."""
        kind, _, name = comment.partition(":")
        if kind.strip() != "of":
            return None
        of = self.variable(target_of(name).word)
        return ("gradient", of) if of is not None else None
