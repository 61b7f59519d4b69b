"""Reduction of open products: deltas are contracted, ranges tightened, declared facts used, powers and masks merged.

Every rule is an equality that holds for all sizes in range (or under a condition that is recorded), so the order in
which rules apply decides only how much is proved.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from symbp.verify.normal_form.algebra import MASKS, Algebra, same_or_less, span
from symbp.verify.normal_form.canonical import components
from symbp.verify.normal_form.indices import (
    ZERO, Index, Symbol, divided, is_variable, linear_in, minus, number, of, plus, product, scaled, solved_for,
    variables,
)
from symbp.verify.normal_form.terms import Atom, Exponent, Product, Products, Term, whole

Rule = Callable[[Algebra, Product], Products | None]


def reduce(algebra: Algebra, p: Product) -> Products | None:
    """Apply the first rule that fits; return None when the product is reduced."""
    heads = {atom.head for atom in p.factors}
    for needed, rule in RULES:
        if needed is None or not heads.isdisjoint(needed):
            found = rule(algebra, p)
            if found is not None:
                return found
    return None


def without(p: Product, *atoms: Atom) -> Product:
    """Return the product without some of its atoms."""
    return Product(p.coefficient, p.bound, {a: e for a, e in p.factors.items() if a not in atoms})


def with_atoms(algebra: Algebra, p: Product, *atoms: Atom) -> Product:
    """Return the product with more atoms."""
    factors = dict(p.factors)
    for atom in atoms:
        algebra.merge(factors, {atom: 1})
    return Product(p.coefficient, p.bound, factors)


# ---------------------------------------------------------------------------------------------------------
# Masks, deltas, ranges


def masks(algebra: Algebra, p: Product) -> Products | None:
    """A 0/1 atom equals its powers; a mask and its complement exclude each other."""
    changed = False
    factors: dict[Atom, Exponent] = {}
    for atom, e in p.factors.items():
        if e not in (1, -1) and algebra.is_mask(atom):
            factors[atom], changed = (1 if e > 0 else -1), True
        elif isinstance(e, int) and e != 1 and atom.head == "ref" and algebra.fact(atom.name, "signs"):
            changed = True
            if e % 2:
                factors[atom] = 1
        else:
            factors[atom] = e
    if changed:
        return [Product(p.coefficient, p.bound, factors)]
    above, at_zero = ({a.inner[0] for a in factors if a.head == head} for head in ("gt", "eq"))
    below = {algebra.negated(poly) for poly in above}
    # Of p > 0, -p > 0 and p = 0 at most one holds.
    return [] if above & below or at_zero & (above | below) else None


def deltas(algebra: Algebra, p: Product) -> Products | None:
    """Contract a Kronecker delta: solve it for a bound index, split it, or use it in the other atoms."""
    for atom in p.factors:
        if atom.head == "delta":
            found = _contract(algebra, without(p, atom), atom)
            if found is not None:
                return found
    return None


def _contract(algebra: Algebra, rest: Product, atom: Atom) -> Products | None:
    (index,) = atom.args
    if not index:
        return [rest]
    if algebra.not_negative(minus(index, number(1))) or algebra.not_negative(minus(scaled(index, -1), number(1))):
        return []
    split = _radix(algebra, index)
    if split is not None:
        return [with_atoms(algebra, rest, *(algebra.delta(i) for i in split))]
    guarded = None
    for symbol in sorted(s for s in variables(index) if s in rest.bound):
        image = solved_for(index, symbol)
        if image is None or symbol in _needed(rest, image):
            continue
        last = rest.bound[symbol]
        low, high = algebra.not_negative(image), same_or_less(algebra, image, last)
        if low and high:
            return algebra.substitute(rest, {symbol: image})
        if guarded is None:
            guards = [i for known, i in ((low, image), (high, minus(last, image))) if not known]
            guarded = symbol, image, guards
    if guarded is not None and all(len(monomial) < 2 for monomial, _ in index):
        symbol, image, guards = guarded
        return algebra.substitute(with_atoms(algebra, rest, *map(algebra.indicator, guards)), {symbol: image})
    # Free indices, or a linear form such as i == p*a + b: use it everywhere else, and keep it.
    for symbol in sorted((s for s in variables(index) if s not in rest.bound), reverse=True):
        image = solved_for(index, symbol)
        if image is None:
            continue
        if any(symbol in a.variables for a in rest.factors) or any(symbol in variables(x) for x in rest.bound.values()):
            return [with_atoms(algebra, q, atom) for q in algebra.substitute(rest, {symbol: image})]
        return None
    return None


def _needed(p: Product, index: Index) -> set[Symbol]:
    """Return the bound symbols that an index expression reads, through the ranges of those that it reads."""
    found: set[Symbol] = set()
    waiting = list(variables(index))
    while waiting:
        s = waiting.pop()
        if s not in found:
            found.add(s)
            waiting += variables(p.bound.get(s, ZERO))
    return found


def _radix(algebra: Algebra, index: Index) -> tuple[Index, Index] | None:
    """Split ``n*a + b == 0`` with ``|b| < n`` into ``a == 0`` and ``b == 0``: digits are unique."""
    sizes = {s for monomial, _ in index if len(monomial) > 1 for s in monomial if not is_variable(s)}
    for size in sorted(sizes):
        a, b = divided(index, size)
        if not variables(a) or any(Fraction(c).denominator > 1 for _, c in a):
            continue
        below = plus(of(size), number(-1))
        if algebra.not_negative(minus(below, b)) and algebra.not_negative(plus(below, b)):
            return a, b
    return None


def digits(algebra: Algebra, p: Product) -> Products | None:
    """Sum over the digits of a free index, ``i = n*a + b``, where nothing else reads them apart: there is one pair."""
    for atom in p.factors:
        if atom.head == "delta":
            found = _recombined(algebra, without(p, atom), atom.args[0])
            if found is not None:
                return [found]
    return None


def _recombined(algebra: Algebra, rest: Product, index: Index) -> Product | None:
    bound = sorted(s for s in variables(index) if s in rest.bound)
    outer = [s for s in variables(index) if s not in rest.bound]
    if len(bound) != 2 or len(outer) != 1:
        return None
    whole_index = solved_for(index, outer[0])
    if whole_index is None:
        return None
    for high, low in (bound, bound[::-1]):
        split = linear_in(whole_index, high)
        if split is None or split[1] != of(low) or span(rest.bound[low]) != split[0]:
            continue
        largest = plus(product(split[0], rest.bound[high]), rest.bound[low])
        if not (algebra.not_negative(of(outer[0])) and same_or_less(algebra, of(outer[0]), largest)):
            continue
        factors: dict[Atom, Exponent] = {}
        for atom, e in rest.factors.items():
            if not atom.variables.isdisjoint(bound):
                if atom.inner or atom.head in ("delta", "ge"):
                    return None
                args = tuple(_with_whole(a, low, whole_index, outer[0]) for a in atom.args)
                atom = algebra.atom(atom.head, atom.name, args)
            algebra.merge(factors, {atom: e})
        left = {s: last for s, last in rest.bound.items() if s not in bound}
        read = {s for a in factors for s in a.variables} | {s for last in left.values() for s in variables(last)}
        if read.isdisjoint(bound):
            return Product(rest.coefficient, left, factors)
    return None


def _with_whole(index: Index, low: Symbol, whole_index: Index, symbol: Symbol) -> Index:
    """Write an index in terms of ``symbol``, which is ``whole_index``, so far as the lowest digit stands in it."""
    factor = next((c for monomial, c in index if monomial == (low,)), 0)
    return plus(index, scaled(minus(of(symbol), whole_index), factor))


def indicators(algebra: Algebra, p: Product) -> Products | None:
    """Drop, decide or absorb the indicator of an inequality between indices."""
    for atom in p.factors:
        if atom.head != "ge":
            continue
        (index,) = atom.args
        rest = without(p, atom)
        if algebra.follows(index, rest.factors):
            return [rest]
        if algebra.follows(minus(number(-1), index), rest.factors):
            return []
        opposite = algebra.indicator(scaled(index, -1))
        if opposite in rest.factors:
            return [with_atoms(algebra, without(rest, opposite), algebra.delta(index))]
        if algebra.not_negative(scaled(index, -1)):
            return [with_atoms(algebra, rest, algebra.delta(index))]
        found = _tightened(algebra, rest, index)
        if found is not None:
            return found
    return None


def _tightened(algebra: Algebra, rest: Product, index: Index) -> Products | None:
    """Absorb ``index >= 0`` into the range of a bound index, where the other end shows that it is a part of it.

    A relation between two indices of entries (``j <= i``) stays what it is: either of them may be bound later.
    """
    entries = [s for s in variables(index) if s[1] == 0]
    if len(entries) != 1 or entries[0] not in rest.bound:
        return None
    (symbol,) = entries
    image = solved_for(index, symbol)
    if image is None:
        return None
    last = rest.bound[symbol]
    if plus(of(symbol), scaled(image, -1)) == index:
        # symbol >= image: count from there.
        if not algebra.not_negative(image):
            return None
        new = algebra.fresh(minus(last, image))
        moved = Product(rest.coefficient, {**rest.bound, new: minus(last, image)}, rest.factors)
        return algebra.substitute(moved, {symbol: plus(of(new), image)})
    if not same_or_less(algebra, image, last):
        return None
    new = algebra.fresh(image)
    moved = Product(rest.coefficient, {**rest.bound, new: image}, rest.factors)
    return algebra.substitute(moved, {symbol: of(new)})


def ranges(algebra: Algebra, p: Product) -> Products | None:
    """Sum over a range of one value, over an empty one, over an index that nothing reads; count in one direction."""
    for symbol, last in p.bound.items():
        if not last:
            return algebra.substitute(p, {symbol: ZERO})
        if algebra.not_negative(minus(number(-1), last)):
            return []
        atoms = [a for a in p.factors if symbol in a.variables]
        if any(symbol in variables(other) for other in p.bound.values()):
            continue
        unbound = Product(p.coefficient, {s: end for s, end in p.bound.items() if s != symbol}, p.factors)
        if not atoms:
            if not algebra.not_negative(span(last)):
                continue
            return algebra.multiply([unbound], algebra.value(span(last)))
        if len(atoms) == 1 and p.factors[atoms[0]] == 1 and sums_to_one(algebra, atoms[0], symbol, last):
            return [without(unbound, atoms[0])]
        up, down = _directions(atoms, symbol)
        if down > up:
            new = algebra.fresh(last)
            turned = Product(p.coefficient, {**p.bound, new: last}, p.factors)
            return algebra.substitute(turned, {symbol: minus(last, of(new))})
    return None


def _directions(atoms: list[Atom], symbol: Symbol) -> tuple[int, int]:
    """Return how often an index is read with a positive and with a negative coefficient."""
    up = down = 0
    waiting = list(atoms)
    while waiting:
        atom = waiting.pop()
        # A delta and an inequality have no direction of their own.
        if atom.head in ("delta", "ge"):
            continue
        for argument in atom.args:
            for monomial, c in argument:
                if symbol in monomial:
                    up, down = (up + 1, down) if c > 0 else (up, down + 1)
        waiting += [a for poly in atom.inner for t in poly.terms for a, _ in t.factors if symbol in a.variables]
    return up, down


# ---------------------------------------------------------------------------------------------------------
# Facts


def sums_to_one(algebra: Algebra, atom: Atom, symbol: Symbol, last: Index) -> bool:
    """Tell whether the sum of an atom over the whole range of an index is 1 by a declared fact."""
    if atom.head in ("softmax", "argmax"):
        assert atom.binder is not None
        inside = any(symbol in poly.variables for poly in atom.inner) or symbol in variables(atom.binder[1])
        return atom.args[0] == of(symbol) and not inside and atom.binder[1] == last
    if atom.head == "hot":
        place, size = atom.args[-2:]
        apart = not any(symbol in variables(a) for a in (*atom.args[:-2], size))
        return place == of(symbol) and span(last) == size and apart
    if atom.head != "ref":
        return False
    facts = algebra.facts.get(atom.name, frozenset())
    for axis, names in enumerate(SUM_FACTS):
        if facts.isdisjoint(names):
            continue
        shape, entry = atom.args[:2], atom.args[-2:]
        others = [a for k, a in enumerate(atom.args[2:-2])] + [entry[1 - axis], shape[0], shape[1]]
        if entry[axis] == of(symbol) and span(last) == shape[axis] and not any(symbol in variables(a) for a in others):
            return algebra.fact(atom.name, *names)
    return False


ONE_HOT = ("one_hot_columns", "one_hot_rows")
"""Facts about columns, and about rows, of which one entry is 1 and the others are 0."""
SUM_FACTS = (("columns_sum_to_one", "one_hot_columns"), ("rows_sum_to_one", "one_hot_rows"))
"""Facts about sums down the columns, and along the rows."""


def one_hot(algebra: Algebra, p: Product) -> Products | None:
    """Two entries of a one-hot column at different places exclude each other: ``Y[i,j] Y[k,j] = [i=k] Y[i,j]``.

    An integer input is such a column for each of its entries: ``[n = i] [n = k] = [i=k] [n = i]``.
    """
    seen: dict[tuple[object, ...], Atom] = {}
    for atom, e in p.factors.items():
        keys: list[tuple[object, ...]] = []
        place = 0
        if atom.head == "argmax":
            keys = [("argmax", atom.inner, atom.binder)]
        elif atom.head == "hot":
            place = len(atom.args) - 2
            keys = [("hot", atom.name, atom.args[:place], atom.args[-1])]
        elif atom.head == "ref":
            facts = algebra.facts.get(atom.name, frozenset())
            for axis, name in enumerate(ONE_HOT):
                if name in facts:
                    place = len(atom.args) - 2 + axis
                    keys.append((atom.name, axis, atom.args[:place], atom.args[place + 1 :]))
        for key in keys:
            other = seen.setdefault(key, atom)
            if other is not atom and e == 1 and p.factors[other] == 1:
                at = place
                if atom.head == "ref":
                    axis = int(str(key[1]))
                    at = len(atom.args) - 2 + axis
                    algebra.fact(atom.name, ONE_HOT[axis])
                return [with_atoms(algebra, without(p, atom), algebra.delta(minus(atom.args[at], other.args[at])))]
    return None


# ---------------------------------------------------------------------------------------------------------
# Powers


def powers(algebra: Algebra, p: Product) -> Products | None:
    """Bring powers of sums, numbers and cosines into their one form."""
    for atom, e in p.factors.items():
        if atom.head == "prime" and (e >= 1 or e <= -1):
            n = int(e)
            rest = without(p, atom)
            if e != n:
                rest.factors[atom] = e - n
            rest.coefficient *= Fraction(int(atom.name)) ** n
            return [rest]
        if atom.head == "fn" and atom.name == "cos" and e >= 2 and Fraction(e).denominator == 1:
            sine = algebra.atom("fn", "sin", (), atom.inner)
            square = [*algebra.constant(1), *algebra.scaled(algebra.single(sine, 2), -1)]
            return algebra.multiply([with_power(algebra, without(p, atom), atom, e - 2)], square)
        if atom.head == "pow" and e > 1 and Fraction(e).denominator > 1:
            # A root is multiplied out as far as it goes: b^(3/2) is b b^(1/2).
            root = with_power(algebra, without(p, atom), atom, e - int(e))
            return algebra.multiply([root], type(algebra).power(algebra, atom.inner[0], int(e)))
        if atom.head == "pow" and Fraction(e).denominator == 1:
            if e > 0 and not algebra.positive(atom):
                algebra.assume(atom, ">= 0")
            built = type(algebra).power(algebra, atom.inner[0], e)
            if not (len(built) == 1 and built[0].coefficient == 1 and built[0].factors == {atom: e}):
                return algebra.multiply([without(p, atom)], built)
    return None


def cancellations(algebra: Algebra, p: Product) -> Products | None:
    """Divide: with ``b = c*x + r``, ``x * b^-k`` is ``(b^(1-k) - r b^-k)/c``; and ``x*[b = 0]`` is ``-r/c*[b = 0]``."""
    for atom, e in p.factors.items():
        if not (atom.head == "eq" or (atom.head == "pow" and e < 0)):
            continue
        poly = atom.inner[0]
        leading = poly.leading()
        if leading is None or poly.constant() is not None:
            continue
        term, coefficient = leading
        if atom.head == "pow" and not algebra.positive(atom) and any(algebra.is_mask(a) for a, _ in term.factors):
            # The mask may guard the point at which the denominator is zero.
            continue
        quotient = divide(algebra, without(p, atom), term)
        if quotient is None:
            continue
        rest = algebra.poly({t: c for t, c in poly.terms.items() if t is not term})
        remainder = algebra.multiply([quotient], algebra.open(rest))
        remainder = [with_power(algebra, q, atom, e) for q in remainder]
        result = algebra.scaled(remainder, -1 / coefficient)
        if atom.head == "pow":
            if not algebra.positive(atom):
                algebra.assume(atom, "!= 0" if Fraction(e).denominator == 1 else "> 0")
            fresh = algebra.freshened([quotient]) if remainder else [quotient]
            result += algebra.scaled([with_power(algebra, q, atom, whole(e + 1)) for q in fresh], 1 / coefficient)
        return result
    return None


def with_power(algebra: Algebra, p: Product, atom: Atom, exponent: Exponent) -> Product:
    """Return the product with a power of an atom."""
    factors = dict(p.factors)
    if exponent:
        algebra.merge(factors, {atom: exponent})
    return Product(p.coefficient, p.bound, factors)


def divide(algebra: Algebra, p: Product, term: Term) -> Product | None:
    """Return the product without one copy of a term, or None if it does not contain it."""
    factors = dict(p.factors)
    bound = dict(p.bound)
    held = {s for s, _ in term.bound}
    for atom, e in term.factors:
        if not held.isdisjoint(atom.variables):
            continue
        have = factors.get(atom, 0)
        if not (have >= e > 0 or have <= e < 0):
            return None
        left = whole(have - e)
        if left:
            factors[atom] = left
        else:
            del factors[atom]
    if not term.bound:
        return Product(p.coefficient, bound, factors)
    wanted = _parts(algebra, dict(term.bound), {a: e for a, e in term.factors if not held.isdisjoint(a.variables)})
    available = _parts(algebra, bound, factors)
    for key, entries in wanted.items():
        have_parts = available.get(key, [])
        if len(have_parts) < len(entries):
            return None
        for symbols, atoms in have_parts[: len(entries)]:
            for s in symbols:
                del bound[s]
            for a in atoms:
                del factors[a]
    return Product(p.coefficient, bound, factors)


def _parts(
    algebra: Algebra, bound: dict[Symbol, Index], factors: dict[Atom, Exponent]
) -> dict[Term, list[tuple[list[Symbol], list[Atom]]]]:
    found: dict[Term, list[tuple[list[Symbol], list[Atom]]]] = {}
    for symbols, atoms in components(bound, factors):
        key = algebra.canonical({s: bound[s] for s in symbols}, {a: factors[a] for a in atoms})
        found.setdefault(key, []).append((symbols, atoms))
    return found


RULES: tuple[tuple[frozenset[str] | None, Rule], ...] = (
    (frozenset({"ref", *MASKS}), masks),
    (frozenset({"delta"}), deltas),
    (frozenset({"delta"}), digits),
    (frozenset({"ge"}), indicators),
    (None, ranges),
    (frozenset({"ref", "argmax", "hot"}), one_hot),
    (frozenset({"prime", "fn", "pow"}), powers),
    (frozenset({"pow", "eq"}), cancellations),
)
"""The rules in the order in which they are tried, each with the heads of which one must occur."""

Algebra.reduce = reduce
