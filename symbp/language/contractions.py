"""The text of a contraction: ``"ij,jk->ik"``, or with names and groups ``"(b k) i, k (i j) -> (b k) j"``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import sympy as sp

from symbp.expr import Contraction, DiagOf, Node, contract, expanded, is_one, same_size, shape_text
from symbp.language.diagnostics import Mistake, did_you_mean

Group: TypeAlias = tuple[str, ...]
"""The names along one side."""

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
WRITTEN = "`einsum('ij,jk->ik', A, B)`, or with names and groups `einsum('(b k) i, k (i j) -> (b k) j', X, W)`"


def contraction(text: str, operands: Sequence[Node], given: Mapping[str, sp.Expr]) -> Node:
    """Return the contraction that a text describes, as products of matrices where it is one.

    text:     the names along the rows and columns of each operand and of the result; a single one stands for the side
              that is not 1.
    operands: the matrices.
    given:    sizes of names that cannot be told from the operands, because they stand in groups.

    Raises ``Mistake``.
    """
    left, arrow, right = text.partition("->")
    if not arrow:
        raise Mistake("O005", "einsum: the text lacks the result", f"write {WRITTEN}")
    words = re.fullmatch(r"[A-Za-z0-9_,() ]*", left + right)
    if words is None:
        raise Mistake("O005", f"einsum: {_shown(text)} has other signs than letters, commas, brackets", WRITTEN)
    parts = [part.strip() for part in left.split(",")]
    named = any(" " in part or "(" in part for part in (*parts, right.strip()))
    if len(parts) != len(operands):
        raise Mistake("O005", f"einsum: the text has {len(parts)} operand(s), and {len(operands)} are given", WRITTEN)
    sides, matrices = [], []
    for part, A in zip(parts, operands, strict=True):
        rows, cols = _placed(_groups(part, named), A)
        if rows and rows == cols:
            if not same_size(A.rows, A.cols):
                raise Mistake("S002", f"einsum: {_shown(part)} is a diagonal, and {shape_text(A.shape)} is not square")
            A, cols = DiagOf(A), ()
        sides.append((rows, cols))
        matrices.append(A)
    out = _placed(_groups(right.strip(), named), None)
    for (rows, cols), part in zip((*sides, out), (*parts, right.strip()), strict=True):
        twice = next((name for name in (*rows, *cols) if (*rows, *cols).count(name) > 1), None)
        if twice is not None:
            raise Mistake(
                "O005", f"einsum: {_shown(twice)} stands twice in {_shown(part)}",
                "the diagonal of a whole matrix is `ii`; other diagonals are not there: use `diag`",
            )
    sizes = _sizes(sides, matrices, given)
    for name in (*out[0], *out[1]):
        if name not in sizes:
            way = "multiply by ones to spread a matrix"
            raise Mistake("O005", f"einsum: {_shown(name)} stands in the result only", way)
    letter = _letters(list(sizes))

    def short(side: tuple[Group, Group]) -> tuple[str, str]:
        return "".join(letter[n] for n in side[0]), "".join(letter[n] for n in side[1])

    spec = Contraction.of([short(s) for s in sides], short(out), {letter[n]: size for n, size in sizes.items()})
    return contract(spec, matrices)


def _shown(text: str) -> str:
    """Return a text as a message quotes it."""
    return f"`{text}`" if len(text) <= 40 else f"`{text[:37]}...`"


def _groups(part: str, named: bool) -> list[Group]:
    """Return the groups of names of one operand."""
    if not named:
        if re.search(r"[^A-Za-z]", part):
            raise Mistake("O005", f"einsum: {_shown(part)} is no sequence of letters", f"write {WRITTEN}")
        return [(letter,) for letter in part]
    found: list[Group] = []
    for match in re.finditer(r"\(([^()]*)\)|([A-Za-z]\w*)|(\S)", part):
        inside, name, wrong = match.groups()
        names = tuple(inside.split()) if inside is not None else (name,)
        if wrong or not all(re.fullmatch(r"[A-Za-z]\w*", n) for n in names):
            raise Mistake("O005", f"einsum: {_shown(part)} is not made of names and their groups", f"write {WRITTEN}")
        found.append(names)
    return found


def _placed(groups: list[Group], A: Node | None) -> tuple[Group, Group]:
    """Return the names of rows and columns: of a vector there is one group, of a number none."""
    if len(groups) > 2:
        raise Mistake(
            "O005", f"einsum: a matrix has rows and columns, and there are {len(groups)} names",
            "put those that count the rows in brackets, and those that count the columns: `(b k) i`",
        )
    if len(groups) == 2:
        return groups[0], groups[1]
    if not groups:
        return (), ()
    return ((), groups[0]) if A is not None and is_one(A.rows) and not is_one(A.cols) else (groups[0], ())


def _sizes(
    sides: Sequence[tuple[Group, Group]], operands: Sequence[Node], given: Mapping[str, sp.Expr]
) -> dict[str, sp.Expr]:
    """Return the size of each name, in the order in which the names stand."""
    every = dict.fromkeys(name for side in sides for group in side for name in group)
    for name in given:
        if name not in every:
            raise Mistake("O003", f"einsum has no argument `{name}`", did_you_mean(name, every) or f"write {WRITTEN}")
    known: dict[str, sp.Expr] = dict(given)
    pairs = [pair for side, A in zip(sides, operands, strict=True) for pair in zip(side, A.shape, strict=True)]
    while True:
        new = False
        for group, size in pairs:
            open_ = [name for name in group if name not in known]
            if len(open_) == 1:
                rest = sp.cancel(size / sp.Mul(*(known[name] for name in group if name in known)))
                if sp.denom(rest) != 1:
                    names = _shown(" ".join(group))
                    raise Mistake("S006", f"einsum: {size} cannot be shown to be what {names} count together")
                known[open_[0]], new = expanded(rest), True
        if not new:
            break
    for group, size in pairs:
        lacking = next((name for name in group if name not in known), None)
        if lacking is not None:
            way = f"say it: `{lacking[:24]}=...`"
            raise Mistake("O005", f"einsum: the size of {_shown(lacking)} is not known", way)
        wanted = expanded(sp.Mul(*(known[name] for name in group)))
        if not same_size(wanted, size):
            names = _shown(" ".join(group)) if group else "a side without a name"
            raise Mistake("S002", f"einsum: the size of {names} is {wanted} and {size}")
    return {name: known[name] for name in every}


def _letters(names: Sequence[str]) -> dict[str, str]:
    """Return one letter for each name: its own first one if that is free."""
    if len(names) > len(LETTERS):
        raise Mistake("O005", f"einsum has at most {len(LETTERS)} names")
    taken: set[str] = {n for n in names if len(n) == 1}
    found: dict[str, str] = {}
    for name in names:
        wanted = name if len(name) == 1 else next(c for c in name[0] + LETTERS if c.isalpha() and c not in taken)
        taken.add(wanted)
        found[name] = wanted
    return found
