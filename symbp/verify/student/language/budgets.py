"""Budgets: how much a run of student code may cost, counted before it is spent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from symbp.language.diagnostics import Mistake

MOST_NODES = 200_000
"""Nodes of the syntax tree that one run evaluates; heavy operations count as many."""
MOST_TOGETHER = 1_200_000
"""Nodes of all runs of a file together: each gradient takes some runs, each change of a line that is tried one."""
RUN = 50
"""Nodes that it costs to prepare a run."""
MOST_ELEMENTS = 2_000_000
"""Entries of one array."""
MOST_ALLOCATED = 20_000_000
"""Entries of all arrays that one run makes."""
MOST_ITEMS = 200_000
"""Items of all lists, tuples and dicts that one run makes."""
MOST_TEXT = 10_000
"""Characters of one string."""
MOST_DEPTH = 40
"""Calls of functions within one another."""
MOST_BITS = 1024
"""Bits of one integer."""

MOST_NESTED = 50
"""Lists within one another, where something looks at all of their items."""

ARRAY = 2
"""Nodes that it costs to make an array, however small it is."""
WORK_OF_A_NODE = 4_000
"""Multiplications and additions that cost as much as one node."""


@dataclass
class Budget:
    """What one run has spent.

    most: nodes that it may spend; for a run with a change of a line fewer than for the code itself.
    """

    nodes: int = 0
    most: int = MOST_NODES
    allocated: int = 0
    items: int = 0
    depth: int = 0

    def node(self) -> None:
        """Count one node."""
        self.nodes += 1
        if self.nodes > self.most:
            raise Mistake(
                "C120", f"the code runs too long: more than {self.most:,} steps",
                "give fewer rounds; what is checked is one forward and one backward pass",
            )

    def work(self, operations: int) -> None:
        """Count multiplications and additions."""
        self.nodes += operations // WORK_OF_A_NODE
        self.node()

    def array(self, elements: int) -> None:
        """Count an array before it is made."""
        self.allocated += elements
        self.nodes += ARRAY
        if elements > MOST_ELEMENTS:
            raise Mistake("C121", f"an array of {_about(elements)} entries; at most {MOST_ELEMENTS:,} are allowed")
        if self.allocated > MOST_ALLOCATED:
            raise Mistake("C121", f"all arrays together have more than {MOST_ALLOCATED:,} entries")
        if elements > WORK_OF_A_NODE:
            self.work(elements)

    def container(self, items: int) -> None:
        """Count the items of a list, tuple or dict before it is made."""
        self.items += items
        if self.items > MOST_ITEMS:
            raise Mistake("C122", f"lists with more than {MOST_ITEMS:,} items in total")

    def walk(self, *values: Any) -> None:
        """Count the items of lists within lists, each as often as it is reached, before something looks at all of them.

        Lists that hold one list twice have twice as many items at each level, in no more memory.
        """
        todo = [(v, 1) for v in values]
        count = 0
        while todo:
            value, depth = todo.pop()
            if not isinstance(value, (list, tuple, dict)):
                continue
            count += len(value)
            if count > MOST_ITEMS:
                raise Mistake("C122", f"lists with more than {MOST_ITEMS:,} items in total")
            if depth > MOST_NESTED:
                raise Mistake("C123", f"lists are nested deeper than {MOST_NESTED}")
            todo += [(v, depth + 1) for v in (value.values() if isinstance(value, dict) else value)]
        self.nodes += count // 10

    def text(self, characters: int) -> None:
        """Count the characters of a string before it is made."""
        self.items += characters // 100
        if characters > MOST_TEXT:
            raise Mistake("C122", f"a string of {_about(characters)} characters; at most {MOST_TEXT:,} are allowed")

    def enter(self) -> None:
        """Count a call."""
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise Mistake("C123", f"calls are nested deeper than {MOST_DEPTH}: does the function call itself?")

    def leave(self) -> None:
        """Count the end of a call."""
        self.depth -= 1


def _about(number: int) -> str:
    return f"{number:,}" if number.bit_length() < 64 else f"about 2**{number.bit_length()}"


def bounded_power(base: int, exponent: int) -> int:
    """Return ``base**exponent`` of integers, if it has few bits."""
    if exponent > 0 and base.bit_length() * exponent > MOST_BITS + 64:
        raise Mistake("C124", "a power of integers that is too large", "write the base as a float: `10.0**n`")
    return base**exponent


def bounded_shift(value: int, by: int) -> int:
    """Return ``value << by``, if it has few bits."""
    if by > MOST_BITS or value.bit_length() + by > MOST_BITS:
        raise Mistake("C124", "a shift that makes a number too large")
    return value << by


def bounded_product(a: int, b: int) -> int:
    """Return ``a * b`` of integers, if it has few bits."""
    if a.bit_length() + b.bit_length() > 2 * MOST_BITS:
        raise Mistake("C124", "a product of integers that is too large")
    return a * b
