"""Each rewrite of the normal form leaves the value as it is, at negative, positive and complex points.

The rewrites are those of three registries: rules of reduction, constructions of functions, second thoughts.  They are
watched while identities and adjoints are proved, and what goes in is compared with what comes out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import pytest
from identity_cases import FALSE, TRUE, UNDER_FACTS
from numbers_of_terms import KINDS, Point, Undefined

from symbp.calculus import derive
from symbp.language import read_text
from symbp.networks import network
from symbp.verify.normal_form import (
    differentials, entries, functions, prove, prove_adjoint, reduction, settling,
)
from symbp.verify.normal_form.algebra import Algebra
from symbp.verify.normal_form.terms import Atom, Poly, Product, Products, whole

REAL_ONLY = {"positive_mask", "absolute"}
"""Rewrites of what has no meaning at complex points: comparisons."""
FEWEST = 3
"""Each rewrite is seen at least so often at each kind of points."""
MOST = 3
"""A rewrite is watched so often in one proof; then it is left alone."""


class Wrong(AssertionError):
    """A rewrite changed the value."""


class Watch:
    """Compares what rewrites return with what they are given, at points of each kind."""

    def __init__(self) -> None:
        self.seen: Counter[tuple[str, str]] = Counter()
        self.met: Counter[tuple[Algebra, str]] = Counter()

    def compare(
        self, name: str, algebra: Algebra, known: set[Atom], before: Callable[[Point], Any],
        after: Callable[[Point], Any],
    ) -> None:
        self.met[algebra, name] += 1
        if self.met[algebra, name] > MOST:
            return
        fresh = {a: what for a, what in algebra.assumed.items() if a not in known}
        for kind in KINDS:
            point = Point(algebra, kind, self.met[algebra, name])
            try:
                (x, size_x), (y, size_y) = before(point), after(point)
                if not all(holds(point, atom, what) for atom, what in fresh.items()):
                    continue
            except (Undefined, OverflowError):
                continue
            self.seen[name, kind] += 1
            if abs(x - y) > 1e-7 * (1e-3 + size_x + size_y):
                raise Wrong(f"{name} at a {kind} point: {x} became {y}")


def holds(point: Point, atom: Atom, what: str) -> bool:
    """Tell whether a condition that was recorded holds; its free indices are those of the point."""
    value = point.poly(atom.inner[0]) if atom.head in ("pow", "log") else point.atom(atom, {})
    if what == "!= 0":
        return abs(value) > 1e-9
    return point.kind != "complex" and value.real > (-1e-12 if what == ">= 0" else 0)


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Watch every rewrite of the registries."""
    watch = Watch()

    def rule(inner: reduction.Rule) -> reduction.Rule:
        def run(algebra: Algebra, p: Any) -> Products | None:
            known = set(algebra.assumed)
            found = inner(algebra, p)
            if found is not None:
                watch.compare(
                    inner.__name__, algebra, known, lambda point: point.products([p]),
                    lambda point: point.products(found),
                )
            return found
        return run

    def thought(inner: Any) -> Any:
        def run(algebra: Algebra, rest: Poly) -> Iterator[Poly]:
            for found in inner(algebra, rest):
                watch.compare(
                    inner.__name__, algebra, set(algebra.assumed),
                    lambda point: vanishing(inner, point.products(algebra.open(rest))),
                    lambda point, found=found: vanishing(inner, point.products(algebra.open(found))),  # type: ignore[misc]
                )
                yield found
        return run

    def construction(inner: Any) -> Any:
        def run(algebra: Algebra, *args: Any, **options: Any) -> Products:
            known = set(algebra.assumed)
            found: Products = inner(algebra, *args, **options)
            watch.compare(
                inner.__name__, algebra, known, lambda point: (meaning(inner.__name__, point, *args), 1.0),
                lambda point: point.products(found),
            )
            return found
        return run

    rules = tuple((needed, rule(inner)) for needed, inner in reduction.RULES)
    monkeypatch.setattr(reduction, "RULES", rules)
    monkeypatch.setattr(settling, "SECOND_THOUGHTS", tuple(map(thought, settling.SECOND_THOUGHTS)))
    for inner in functions.CONSTRUCTIONS:
        name = inner.__name__
        for module in (functions, entries, differentials):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, construction(inner))
    monkeypatch.setattr(Algebra, "power", functions.power)
    yield watch


def vanishing(thought: Any, value: tuple[complex, float]) -> tuple[complex, float]:
    """Return a value; where denominators are cleared only whether it vanishes is kept."""
    if thought.__name__ == "cleared":
        return float(abs(value[0]) > 1e-9 * value[1]), 1.0
    return value


def meaning(name: str, point: Point, *args: Any) -> complex:
    """Return what a construction stands for."""
    if name == "special":
        function, poly = args
        return point.function("fn", function, point.poly(poly))
    if name == "along_axis":
        head, argument, (symbol, last), at = args
        canonical = ("", 99, 0)
        algebra = point.algebra
        atom = Atom(head, "", at, (algebra.rename(argument, {symbol: canonical}),), (canonical, last))
        return point.along_axis(atom, {})
    value = point.poly(args[0])
    if name == "power":
        return point.raised(value, args[1])
    if name in ("exponential", "logarithm"):
        return point.function(name[:3], "", value)
    if name == "zero_mask":
        if 0 < abs(value) < 1e-9:
            raise Undefined("too close to a tie")
        return float(value == 0)
    real = point.real(value)
    if 0 < abs(real) < 1e-9:
        raise Undefined("too close to a tie")
    return float(real > 0) if name == "positive_mask" else abs(real)


def prove_everything() -> None:
    for before, after, *facts in [*TRUE.values(), *FALSE.values(), *UNDER_FACTS.values()]:
        prove(before, after, facts=facts[0] if facts else {})
    for name in ("batch_norm", "delayed", "heads"):
        derivation = derive(read_text(network(name).text))
        prove_adjoint(derivation.forward, derivation.program, derivation.output)


def test_rewrites_leave_the_value_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [inner.__name__ for _, inner in reduction.RULES]
    names += [inner.__name__ for inner in (*functions.CONSTRUCTIONS, *settling.SECOND_THOUGHTS)]
    with watched(monkeypatch) as watch:
        prove_everything()
    rare = [
        f"{name} at {kind} points: {watch.seen[name, kind]}"
        for name in names for kind in KINDS
        if watch.seen[name, kind] < FEWEST and not (kind == "complex" and name in REAL_ONLY)
    ]
    assert not rare, "\n".join(rare)


# ---------------------------------------------------------------------------------------------------------
# The check sees a rewrite that is wrong


def absolute(algebra: Algebra, poly: Poly) -> Products:
    """``|x|`` is x: wrong where x is negative."""
    return algebra.open(poly)


def power(algebra: Algebra, poly: Poly, exponent: Any) -> Products:
    """``(x^2)^(1/2)`` is x: wrong where x is negative, right to the right of the imaginary axis."""
    monomial = functions.monomial_of(poly)
    if monomial is None or monomial[0] != 1:
        return RIGHT["power"](algebra, poly, exponent)  # type: ignore[no-any-return]
    return [Product(Fraction(1), {}, {a: whole(Fraction(e) * exponent) for a, e in monomial[1].factors})]


def logarithm(algebra: Algebra, poly: Poly) -> Products:
    """The logarithm of a sum is the sum of logarithms."""
    return [q for p in algebra.open(poly) for q in RIGHT["logarithm"](algebra, algebra.close([p]))]


def positive_mask(algebra: Algebra, poly: Poly) -> Products:
    """``[-x > 0]`` is 1 - ``[x > 0]``: wrong at ties."""
    if functions.orientation(poly) < 0:
        return algebra.complement(RIGHT["positive_mask"](algebra, algebra.negated(poly)))
    return RIGHT["positive_mask"](algebra, poly)  # type: ignore[no-any-return]


def along_axis(algebra: Algebra, head: str, argument: Poly, binder: Any, at: Any) -> Products:
    """Log-sum-exp does not see a shift either."""
    return RIGHT["along_axis"](algebra, head, argument, binder, at)[:1]  # type: ignore[no-any-return]


RIGHT: dict[str, Any] = {inner.__name__: inner for inner in functions.CONSTRUCTIONS}
SPOILED = {wrong.__name__: wrong for wrong in (absolute, power, logarithm, positive_mask, along_axis)}


@pytest.mark.slow
@pytest.mark.parametrize("name", SPOILED)
def test_a_wrong_construction_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "CONSTRUCTIONS", tuple({**RIGHT, name: SPOILED[name]}.values()))
    with watched(monkeypatch), pytest.raises(Wrong, match=f"{name} at"):
        prove_everything()


def lost_factor(rule: reduction.Rule) -> reduction.Rule:
    def run(algebra: Algebra, p: Product) -> Products | None:
        found = rule(algebra, p)
        return None if found is None else [Product(2 * q.coefficient, q.bound, q.factors) for q in found]

    run.__name__ = rule.__name__
    return run


@pytest.mark.slow
@pytest.mark.parametrize("rule", [inner for _, inner in reduction.RULES], ids=lambda inner: inner.__name__)
def test_a_rule_of_reduction_that_loses_a_factor_is_seen(rule: reduction.Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = tuple((heads, lost_factor(inner) if inner is rule else inner) for heads, inner in reduction.RULES)
    monkeypatch.setattr(reduction, "RULES", rules)
    with watched(monkeypatch), pytest.raises(Wrong, match=f"{rule.__name__} at"):
        prove_everything()
