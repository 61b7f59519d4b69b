"""The shape of a family, found from the shapes of its pieces.

A piece such as ``A[0]: input[n[0], m]`` says what the member 0 looks like; the family is the pattern in its formal
indices, here ``A[l]`` with ``n[l]`` rows.  A size index that equals the piece's constant plus c becomes index plus
c; what can be read in two ways is decided by the other pieces, or must be stated.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp

from symbp.expr import SizeMember
from symbp.language.diagnostics import Mistake
from symbp.program import index_step

Pattern = tuple[sp.Expr, sp.Expr]
MOST_READINGS = 256


@dataclass(frozen=True)
class PieceShape:
    """The shape of one piece of a family: its subscripts, rows and columns."""

    subscripts: tuple[sp.Expr, ...]
    shape: Pattern


def readings(piece: PieceShape, formals: Sequence[sp.Symbol], loops: Sequence[sp.Symbol]) -> dict[Pattern, int]:
    """Return the patterns of which the piece may be a member, each with the number of sizes that it generalises."""
    inverse: dict[sp.Expr, sp.Expr] = {}
    constants: list[tuple[sp.Symbol, sp.Expr]] = []
    for formal, subscript in zip(formals, piece.subscripts, strict=True):
        step = index_step(subscript, loops)
        if step is None:
            raise Mistake(
                "B004", f"{subscript}: an index must be a loop index plus or minus a constant, or free of loop indices"
            )
        symbol, sign, offset = step
        if symbol is None:
            constants.append((formal, subscript))
        else:
            inverse[symbol] = sign * (formal - offset)
    members = sorted({m for s in piece.shape for m in s.atoms(SizeMember)}, key=str)
    choices: list[list[tuple[SizeMember, int]]] = []
    for member in members:
        options: list[list[tuple[sp.Expr, int]]] = []
        for at in member.indices:
            moved = at.xreplace(inverse)
            option = [(moved, 0)]
            if not at.free_symbols & set(loops):
                option += [(formal + (at - c), 1) for formal, c in constants if (at - c).is_Integer]
            options.append(option)
        choices.append(
            [
                (SizeMember(member.name, *(value for value, _ in pick)), sum(n for _, n in pick))
                for pick in itertools.product(*options)
            ]
        )
    found: dict[Pattern, int] = {}
    for picks in itertools.islice(itertools.product(*choices), MOST_READINGS):
        mapping: dict[sp.Expr, sp.Expr] = {m: new for m, (new, _) in zip(members, picks, strict=True)}
        rows, cols = (s.xreplace(mapping) for s in piece.shape)
        for end in (rows, cols):
            stray = end.free_symbols & (set(loops) - set(formals))
            if stray:
                raise Mistake(
                    "B003", f"its shape depends on {sorted(map(str, stray))[0]}, which is not among its indices"
                )
        found.setdefault((rows, cols), sum(n for _, n in picks))
    return found


def pattern(
    name: str, pieces: Sequence[tuple[PieceShape, Sequence[sp.Symbol]]], formals: Sequence[sp.Symbol]
) -> Pattern:
    """Return the one shape of a family that fits all pieces; raise ``Mistake`` if there is none, or several."""
    common: dict[Pattern, int] | None = None
    for piece, loops in pieces:
        mine = readings(piece, formals, loops)
        common = mine if common is None else {p: max(n, mine[p]) for p, n in common.items() if p in mine}
    assert common is not None
    index = ", ".join(map(str, formals))
    if not common:
        raise Mistake(
            "S027",
            f"the pieces of {name} differ in shape",
            f"every piece must be a member of one pattern `{name}[{index}]: [.., ..]`",
        )
    most = max(common.values())
    best = [p for p, n in common.items() if n == most]
    if len(best) > 1:
        ways = " or ".join([*(f"[{r}, {c}]" for r, c in best[:3]), *(["..."] if len(best) > 3 else [])])
        raise Mistake(
            "S028",
            f"the shape of {name}[{index}] can be read in {len(best)} ways: {ways}",
            f"state it on an equation: `{name}[{index}]: [{best[0][0]}, {best[0][1]}] = ...`",
        )
    return best[0]
