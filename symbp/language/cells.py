"""Recurrent cells: along which loops a state is handed on, and what the parts of a cell are called."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

import sympy as sp

from symbp.expr import Node, expanded, refs
from symbp.language.diagnostics import Mistake


def handed_on(
    states: Sequence[Node], target: Sequence[sp.Expr], loops: Sequence[sp.Symbol], shared: object
) -> frozenset[sp.Symbol]:
    """Return the loop indices along which states are handed on: their members differ there from the target's.

    ``H[l, t]`` from ``H[l, t-1]`` is handed on along t: a cell has its parameters once for each l.  ``shared`` names
    more loops whose iterations share them, such as chunks of a long sequence.
    Raises ``Mistake`` if there are loops and the states are handed on along none.
    """
    more = re.findall(r"[^\s,]+", shared) if isinstance(shared, str) else [] if shared is None else [str(shared)]
    unknown = [name for name in more if name not in map(str, loops)]
    if unknown:
        raise Mistake("O005", f"shared: {unknown[0]} is the index of no loop around", "write for example shared='i'")
    mine = {s: next((i for i in target if i.has(s)), s) for s in loops}
    read = [i for state in states for ref in refs(state) for i in ref.indices]
    found = frozenset(s for s in loops if any(i.has(s) and expanded(i - mine[s]) != 0 for i in read))
    if loops and not found:
        at = loops[-1]
        raise Mistake(
            "B009",
            "the state of a cell comes from another iteration of a loop around it",
            f"write the member of the iteration before, for example `H[{at}-1]`",
        )
    return found | {s for s in loops if str(s) in more}


def cell_part(prefix: str, left: str, taken: Container[str]) -> str:
    """Return the name of a part of the cell ``left``: as in the literature, with the number of the left side.

    The gate I of ``H`` is ``I``, its weight ``W_i``; of ``H2`` they are ``I2`` and ``W_i2``.  Of a longer name, or
    where that is taken, the left side follows: ``I_H``.
    """
    found = re.fullmatch(r"[A-Za-z](\d*)", left)
    if found is not None and prefix + found.group(1) not in taken:
        return prefix + found.group(1)
    return f"{prefix}_{left}"
