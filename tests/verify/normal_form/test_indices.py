"""Index arithmetic against numbers: every operation at random values, every bound against all values in range."""

from __future__ import annotations

import itertools
import random

import pytest

from symbp.verify.normal_form.indices import (
    ZERO, Index, Range, Symbol, at_least_zero, divided, linear_in, minus, number, of, plus, product, scaled,
    single_variable, solved_for, substitute, variables,
)

I, J, K = (("", 0, k) for k in range(3))
N, M = ("n",), ("m",)


def value(index: Index, at: dict[Symbol, int]) -> int:
    total = 0
    for monomial, c in index:
        part = c
        for symbol in monomial:
            part *= at[symbol] if len(symbol) == 1 or symbol[0] == "" else member(symbol, at)
        total += part
    return total


def member(symbol: Symbol, at: dict[Symbol, int]) -> int:
    """``n[i]`` is 10 i + 3."""
    return 10 * value(symbol[1], at) + 3


def drawn(chance: random.Random, degree: int = 2) -> Index:
    terms = []
    for _ in range(chance.randint(0, 4)):
        symbols = [chance.choice([I, J, K, N, M]) for _ in range(chance.randint(0, degree))]
        terms.append(scaled(_times(symbols), chance.randint(-3, 3)))
    return plus(*terms) if terms else ZERO


def _times(symbols: list[Symbol]) -> Index:
    result = number(1)
    for s in symbols:
        result = product(result, of(s))
    return result


@pytest.mark.parametrize("seed", range(16))
def test_arithmetic_agrees_with_numbers(seed: int) -> None:
    chance = random.Random(seed)
    a, b = drawn(chance), drawn(chance)
    at = {s: chance.randint(-4, 5) for s in (I, J, K, N, M)}
    x, y = value(a, at), value(b, at)
    assert value(plus(a, b), at) == x + y
    assert value(minus(a, b), at) == x - y
    assert value(product(a, b), at) == x * y
    assert value(scaled(a, 3), at) == 3 * x and scaled(a, 0) == ZERO
    assert minus(a, a) == ZERO and plus(a, b) == plus(b, a)
    assert value(substitute(a, {I: b, J: of(K)}), at) == value(a, {**at, I: y, J: at[K]})
    assert variables(a) == {s for m, _ in a for s in m if s[0] == ""}


@pytest.mark.parametrize("seed", range(16))
def test_indices_are_taken_apart_as_they_are_put_together(seed: int) -> None:
    chance = random.Random(seed)
    a = drawn(chance)
    split = linear_in(a, I)
    highest = max((m.count(I) for m, _ in a), default=0)
    assert (split is None) == (highest > 1)
    if split is not None:
        assert plus(product(split[0], of(I)), split[1]) == a
        assert all(I not in variables(part) for part in split)
    high, low = divided(a, N)
    assert plus(product(high, of(N)), low) == a and not any(N in m for m, _ in low)
    solved = solved_for(a, I)
    alone = [c for m, c in a if m == (I,)]
    mixed = any(I in m and m != (I,) for m, _ in a)
    assert (solved is not None) == (len(alone) == 1 and abs(alone[0]) == 1 and not mixed)
    if solved is not None:
        assert substitute(a, {I: solved}) == ZERO


def test_members_of_sizes_are_read_and_replaced() -> None:
    size = of(("n", of(I)))
    assert variables(size) == {I} and single_variable(size) is None
    assert substitute(size, {I: plus(of(J), number(1))}) == of(("n", plus(of(J), number(1))))
    assert linear_in(plus(size, of(I)), I) is not None
    assert solved_for(plus(size, of(I)), I) is None
    assert value(size, {I: 2}) == 23


def test_a_single_variable() -> None:
    assert single_variable(of(I)) == I
    for other in (ZERO, number(1), of(N), scaled(of(I), 2), plus(of(I), number(1)), product(of(I), of(J))):
        assert single_variable(other) is None


def smallest(index: Index, ranges: dict[Symbol, Range], sizes: dict[Symbol, int]) -> int | None:
    """Return the smallest value over all values in range; None if there are none."""
    found = []
    for i, j, k in itertools.product(range(-1, 7), repeat=3):
        at = {I: i, J: j, K: k, **sizes}
        inside = all(value(lo, at) <= at[s] <= value(hi, at) for s, (lo, hi) in ranges.items())
        if inside:
            found.append(value(index, at))
    return min(found) if found else None


@pytest.mark.parametrize("seed", range(8))
def test_what_is_said_to_be_at_least_zero_is(seed: int) -> None:
    chance = random.Random(seed)
    last = minus(of(N), number(1))
    ranges = {
        I: (ZERO, last), J: (ZERO, chance.choice([last, minus(of(M), number(1)), of(I)])),
        K: (chance.choice([ZERO, number(1), of(I)]), chance.choice([last, plus(of(I), of(J))])),
    }
    least = {N: chance.randint(1, 2)}
    for _ in range(12):
        index = plus(drawn(chance), number(chance.randint(0, 6)))
        if at_least_zero(index, ranges, least):
            for n, m in itertools.product(range(least[N], least[N] + 2), range(1, 3)):
                low = smallest(index, ranges, {N: n, M: m})
                assert low is None or low >= 0


BOUNDS: dict[str, tuple[Index, bool]] = {
    "0": (ZERO, True),
    "1": (number(1), True),
    "-1": (number(-1), False),
    "n": (of(N), True),
    "n - 1": (minus(of(N), number(1)), True),
    "n - 2": (minus(of(N), number(2)), False),
    "m - 2, where m is at least 2": (minus(of(M), number(2)), True),
    "m - 3, where m is at least 2": (minus(of(M), number(3)), False),
    "n m - n": (minus(product(of(N), of(M)), of(N)), True),
    "n - m": (minus(of(N), of(M)), False),
    "i": (of(I), True),
    "i - 1": (minus(of(I), number(1)), False),
    "-i": (scaled(of(I), -1), False),
    "n - 1 - i": (minus(minus(of(N), number(1)), of(I)), True),
    "n - 2 - i": (minus(minus(of(N), number(2)), of(I)), False),
    "i - j, where j runs to i": (minus(of(I), of(J)), True),
    "j - i, where j runs to i": (minus(of(J), of(I)), False),
    "n - 1 - j, where j runs to i": (minus(minus(of(N), number(1)), of(J)), True),
    "i j": (product(of(I), of(J)), True),
    "i i": (product(of(I), of(I)), False),
    "k, of which no range is known": (of(K), False),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_bounds(name: str) -> None:
    index, wanted = BOUNDS[name]
    ranges = {I: (ZERO, minus(of(N), number(1))), J: (ZERO, of(I))}
    assert at_least_zero(index, ranges, {M: 2}) is wanted
