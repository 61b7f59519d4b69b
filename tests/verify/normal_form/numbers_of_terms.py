"""Products and polynomials of the normal form as numbers, by their meaning: what a rewrite must leave as it was."""

from __future__ import annotations

import cmath
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from symbp.verify.normal_form.algebra import Algebra
from symbp.verify.normal_form.indices import Index, Symbol, is_variable, variables
from symbp.verify.normal_form.reduction import ONE_HOT, SUM_FACTS
from symbp.verify.normal_form.terms import Atom, Exponent, Poly, Product

At = Mapping[Symbol, int]
KINDS = ("negative", "positive", "any sign", "whole", "complex")
"""The kinds of points at which rewrites are tried."""


class Undefined(ArithmeticError):
    """The value does not exist at this point."""


@dataclass
class Point:
    """Values of everything that is opaque: entries, sizes, free indices, drawn when they are first read.

    kind: entries are negative, positive, of any sign, whole (they meet kinks and ties), or complex (close enough
          to the real line that no branch of a logarithm is left); what a declared fact says holds in each.
    """

    algebra: Algebra
    kind: str
    seed: int
    sizes: dict[Any, int] = field(default_factory=dict)
    free: dict[Symbol, int] = field(default_factory=dict)
    entries: dict[Any, complex] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(f"{self.kind} {self.seed}")

    # -- indices -------------------------------------------------------------------------------------------
    def index(self, index: Index, at: At) -> int:
        """Return the value of an index expression."""
        total: Any = 0
        for monomial, c in index:
            part: Any = c
            for symbol in monomial:
                part *= self.symbol(symbol, at)
            total += part
        return int(total) if total == int(total) else total  # type: ignore[no-any-return]

    def symbol(self, symbol: Symbol, at: At) -> int:
        """Return the value of an index variable or of a size."""
        if is_variable(symbol):
            if symbol in at:
                return at[symbol]
            if symbol not in self.free:
                lo, hi = self.algebra.ranges.get(symbol, ((), (((), 2),)))
                first, last = self.index(lo, at), self.index(hi, at)
                if last < first:
                    raise Undefined(f"no value between {first} and {last}")
                self.free[symbol] = self.random.randint(first, min(last, first + 3))
            return self.free[symbol]
        key = (symbol[0], *(self.index(a, at) for a in symbol[1:]))
        if key not in self.sizes:
            least = max([2, *(bound for s, bound in self.algebra.least.items() if s[0] == symbol[0])])
            self.sizes[key] = self.random.randint(least, least + 1)
        return self.sizes[key]

    def runs(self, bound: Mapping[Symbol, Index], at: At) -> Iterator[At]:
        """Yield every choice of bound indices; a range may read other bound indices."""
        if not bound:
            yield at
            return
        ready = next(s for s, last in bound.items() if variables(last).isdisjoint(bound))
        rest = {s: last for s, last in bound.items() if s != ready}
        for value in range(self.index(bound[ready], at) + 1):
            yield from self.runs(rest, {**at, ready: value})

    # -- sums of products -----------------------------------------------------------------------------------
    def products(self, products: list[Product], at: At | None = None) -> tuple[complex, float]:
        """Return the value of open products, and the largest magnitude of a summand."""
        total: complex = 0.0
        largest = 0.0
        for p in products:
            for here in self.runs(p.bound, at or {}):
                part = self.product(p.factors, here) * complex(p.coefficient)
                total += part
                largest = max(largest, abs(part))
        return total, largest

    def poly(self, poly: Poly, at: At | None = None) -> complex:
        """Return the value of a closed polynomial."""
        return self.products([Product(c, dict(t.bound), dict(t.factors)) for t, c in poly.terms.items()], at)[0]

    def product(self, factors: Mapping[Atom, Exponent], at: At) -> complex:
        """Return a product; where a delta, an inequality or a mask is 0 the other factors need not be defined."""
        masks = [a for a in factors if a.head in ("delta", "ge", "hot", "map", "gt", "eq", "argmax")]
        if any(self.atom(a, at) == 0 for a in masks):
            if any(factors[a] < 0 and self.atom(a, at) == 0 for a in masks):
                raise Undefined("a mask that is 0 below a line")
            return 0.0
        result: complex = 1.0
        for atom, e in factors.items():
            if atom not in masks:
                result *= self.raised(self.atom(atom, at), e)
        return result

    def raised(self, value: complex, e: Exponent) -> complex:
        """Return a power, by its principal value at complex points."""
        if value == 0:
            if e < 0:
                raise Undefined("a negative power of zero")
            return 0.0
        if isinstance(e, int) or e.denominator == 1:
            return value ** int(e)
        if self.kind != "complex" and value.real < 0:
            raise Undefined("a root of a negative number")
        return cmath.exp(float(e) * cmath.log(value))

    # -- atoms ---------------------------------------------------------------------------------------------
    def atom(self, atom: Atom, at: At) -> complex:
        """Return the value of a factor."""
        head = atom.head
        if head == "ref":
            return self.entry(atom.name, [self.index(a, at) for a in atom.args])
        if head in ("size", "ix"):
            return self.symbol((atom.name, *atom.args), at) if head == "size" else self.index(atom.args[0], at)
        if head == "prime":
            return int(atom.name)
        if head == "const":
            return {"pi": math.pi, "E": math.e}[atom.name]
        if head == "delta":
            return float(self.index(atom.args[0], at) == 0)
        if head == "ge":
            return float(self.index(atom.args[0], at) >= 0)
        if head == "hot":
            *where, place, size = (self.index(a, at) for a in atom.args)
            key = ("hot", atom.name, *where, size)
            if key not in self.entries:
                self.entries[key] = self.random.randrange(size)
            return float(self.entries[key] == place)
        if head == "map":
            key = ("map", atom.name, *(self.index(a, at) for a in atom.args))
            return self.entries.setdefault(key, float(self.random.random() < 0.5))
        if atom.binder is not None:
            return self.along_axis(atom, at)
        values = [self.poly(p, at) for p in atom.inner]
        if head == "free":
            name, _, orders = atom.name.partition(":")
            return self.free_function(name, [int(k) for k in orders.split(",")], values)
        (value,) = values
        if head in ("gt", "eq"):
            if abs(value) < 1e-9 * max(1.0, abs(value)) and value != 0:
                raise Undefined("too close to a tie")
            return float(value == 0) if head == "eq" else float(self.real(value) > 0)
        return self.function(head, atom.name, value)

    def function(self, head: str, name: str, value: complex) -> complex:
        """Return an elementwise function."""
        if head == "pow":
            return value
        if head == "exp":
            if abs(value) > 50:
                raise Undefined("too large")
            return cmath.exp(value)
        if head == "log":
            if value == 0 or (self.kind != "complex" and value.real < 0):
                raise Undefined("the logarithm of a number that is not positive")
            return cmath.log(value)
        if name == "erf":
            return math.erf(self.real(value))
        if abs(value) > 50:
            raise Undefined("too large")
        return {"tanh": cmath.tanh, "sin": cmath.sin, "cos": cmath.cos, "atan": cmath.atan}[name](value)

    def real(self, value: complex) -> float:
        """Return a number that must be real, since it is compared."""
        if abs(value.imag) > 1e-12:
            raise Undefined("complex numbers have no order")
        return value.real

    def free_function(self, name: str, orders: list[int], values: list[complex]) -> complex:
        """Return a smooth function of its own for each name, differentiated."""
        slopes = [0.4 + 0.1 * ((len(name) + 3 * k) % 5) for k in range(len(values))]
        inside = sum(s * v for s, v in zip(slopes, values, strict=True)) + 0.3
        factor = math.prod(s**k for s, k in zip(slopes, orders, strict=True))
        return factor * cmath.sin(inside + sum(orders) * math.pi / 2)

    def along_axis(self, atom: Atom, at: At) -> complex:
        """Return softmax, log-sum-exp or the argmax mask, by the definition."""
        assert atom.binder is not None
        symbol, last = atom.binder
        values = [self.poly(atom.inner[0], {**at, symbol: k}) for k in range(self.index(last, at) + 1)]
        if atom.head == "argmax":
            reals = [self.real(v) for v in values]
            return float(reals.index(max(reals)) == self.index(atom.args[0], at))
        total = sum(self.function("exp", "", v) for v in values)
        if atom.head == "lse":
            return self.function("log", "", total)
        return self.function("exp", "", values[self.index(atom.args[0], at)]) / total

    # -- entries -------------------------------------------------------------------------------------------
    def entry(self, name: str, args: list[int]) -> complex:
        """Return an entry of a variable, as its facts want it."""
        facts = self.algebra.facts.get(name, frozenset())
        sums = [axis for axis, names in enumerate(SUM_FACTS) if not facts.isdisjoint(names)]
        if sums:
            self.fill(name, args, sums[0], ONE_HOT[sums[0]] in facts)
        key = (name, *args[2 if sums else 0:])
        if "symmetric" in facts:
            key = (*key[:-2], *sorted(key[-2:]))
        if key not in self.entries:
            self.entries[key] = self.number(facts)
        return self.entries[key]

    def number(self, facts: frozenset[str]) -> complex:
        """Return a number of the wanted kind."""
        value = self.random.uniform(0.3, 1.7)
        if facts & {"mask", "binary"}:
            return float(value > 1)
        if "signs" in facts:
            return 1.0 if value > 1 else -1.0
        if self.kind == "complex":
            value += self.random.uniform(-0.05, 0.05) * 1j
        if facts & {"positive", "not_negative"} or self.kind == "positive":
            return value
        if self.kind == "negative":
            return -value
        if self.kind == "whole":
            return float(self.random.randint(-1, 1))
        return self.random.choice([value, -value])

    def fill(self, name: str, args: list[int], axis: int, hot: bool) -> None:
        """Draw a matrix whose columns (axis 0) or rows sum to one."""
        rows, cols, *member = args[:-2]
        if (name, *member, 0, 0) in self.entries:
            return
        for line in range(cols if axis == 0 else rows):
            count = rows if axis == 0 else cols
            values: list[complex] = [self.number(frozenset()) for _ in range(count - 1)]
            values.append(1 - sum(values))
            if hot:
                chosen = self.random.randrange(count)
                values = [float(k == chosen) for k in range(count)]
            for k, value in enumerate(values):
                self.entries[(name, *member, *((k, line) if axis == 0 else (line, k)))] = value
