"""Non-linear functions of polynomials: powers, exponentials, masks, softmax, and any scalar law of SymPy.

Each constructor takes closed polynomials and returns open products, in a form that is unique as far as the rules
reach: ``exp(a + b)`` is a product, ``log`` of a product of positive factors is a sum, ``sqrt`` is the power 1/2, a
comparison is a mask over the oriented difference of its sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import gcd, lcm

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational

from symbp.expr import Function, SizeMember
from symbp.verify.normal_form.algebra import Algebra
from symbp.verify.normal_form.indices import ZERO, Index, Symbol
from symbp.verify.normal_form.terms import Atom, Exponent, Poly, Product, Products, Term, Unsupported, whole
from symbp.verify.scalars import UnknownOperation, arguments, is_held, scalar_law

LARGEST_POWER = 8
"""A natural power of a sum is multiplied out up to this exponent."""


# ---------------------------------------------------------------------------------------------------------
# Taking polynomials apart


def orientation(poly: Poly) -> int:
    """Return the sign of the leading coefficient; 0 when no term leads whatever its indices are called."""
    leading = poly.leading()
    return 0 if leading is None else (1 if leading[1] > 0 else -1)


def monomial_of(poly: Poly) -> tuple[Fraction, Term] | None:
    """Return (coefficient, term) of a polynomial of one term without bound indices, or None."""
    if len(poly.terms) != 1:
        return None
    (term, coefficient), = poly.terms.items()
    return None if term.bound else (coefficient, term)


def primitive(
    algebra: Algebra, poly: Poly, positive_only: bool, roots: bool = False
) -> tuple[Fraction, dict[Atom, Exponent], Poly]:
    """Split off the content: ``poly == c * atoms * rest`` with c > 0 and atoms that all terms share.

    With ``positive_only`` just atoms that are known to be positive are taken, with ``roots`` also 0/1 factors and
    fractional powers, which are not negative (but may be 0, so a comparison must keep them).  Exponentials are taken
    so that the largest exponent left is 0, other atoms so that the smallest is.
    """
    coefficients = list(poly.terms.values())
    content = Fraction(
        gcd(*(abs(c.numerator) for c in coefficients)), lcm(*(c.denominator for c in coefficients))
    )
    shared: dict[Atom, Exponent] = {}
    tables = [_free_factors(t) for t in poly.terms]
    for atom in {a for table in tables for a in table}:
        root = roots and len(poly.terms) == 1 and atom.head == "pow" and Fraction(tables[0][atom]).denominator > 1
        if positive_only and not (root or (roots and algebra.is_mask(atom)) or algebra.positive(atom)):
            continue
        exponents = [table.get(atom, 0) for table in tables]
        e = max(exponents) if atom.head == "exp" and len(exponents) > 1 else min(exponents)
        if e:
            shared[atom] = e
    rest: dict[Term, Fraction] = {}
    for term, c in poly.terms.items():
        factors = dict(term.factors)
        for atom, e in shared.items():
            left = whole(factors.get(atom, 0) - e)
            if left:
                factors[atom] = left
            else:
                factors.pop(atom, None)
        rest[algebra.canonical(dict(term.bound), factors)] = c / content
    inside = algebra.poly(rest)
    if any(a.head == "pow" for a in shared):
        # A denominator that came out has left its numerators multiplied out: there may be more to take.
        more, also, inside = primitive(algebra, algebra.close(algebra.open(inside)), positive_only, roots)
        content *= more
        algebra.merge(shared, also)
    return content, shared, inside


def _free_factors(term: Term) -> dict[Atom, Exponent]:
    held = {s for s, _ in term.bound}
    return {a: e for a, e in term.factors if held.isdisjoint(a.variables)}


# ---------------------------------------------------------------------------------------------------------
# Powers, exponentials, logarithms


def power(algebra: Algebra, poly: Poly, exponent: Exponent) -> Products:
    """Return a power; fractional powers keep what may be negative inside: ``(x^2)^(1/2)`` is ``|x|``.

    Raises ``Unsupported`` for a negative power of zero and for a root of a negative number.
    """
    exponent = whole(exponent)
    if exponent == 0:
        return algebra.constant(1)
    if exponent == 1:
        return algebra.open(poly)
    if not poly.terms:
        if exponent > 0:
            return []
        raise Unsupported("a negative power of zero")
    natural = isinstance(exponent, int)
    if natural and exponent > 0 and monomial_of(poly) is None:
        if exponent > LARGEST_POWER:
            raise Unsupported(f"a power {exponent} of a sum")
        return algebra.times(*(algebra.open(poly) for _ in range(int(exponent))))
    content, shared, rest = primitive(algebra, poly, positive_only=not natural, roots=True)
    factors = {a: whole(e * exponent) for a, e in shared.items()}
    for atom, e in shared.items():
        if e < 0 and exponent < 0 and not algebra.nonzero(atom):
            algebra.assume(atom, "!= 0")
    result = algebra.multiply([Product(Fraction(1), {}, factors)], rational_power(algebra, content, exponent))
    constant = rest.constant()
    if constant is not None:
        if constant == 1:
            return result
        if natural:
            return algebra.scaled(result, constant ** int(exponent))
        raise Unsupported("a root of a negative number")
    if natural:
        if orientation(rest) < 0:
            rest = algebra.negated(rest)
            result = algebra.scaled(result, -1 if exponent % 2 else 1)
    else:
        magnitude = _square_root(algebra, rest)
        if magnitude is not None and isinstance(whole(2 * exponent), int):
            size = algebra.close(absolute(algebra, magnitude))
            return algebra.multiply(result, power(algebra, size, whole(2 * exponent)))
    return algebra.multiply(result, algebra.single(algebra.atom("pow", "", (), (rest,)), exponent))


def _square_root(algebra: Algebra, poly: Poly) -> Poly | None:
    """Return x for a polynomial that is one term ``x^2``, or None."""
    single = monomial_of(poly)
    if single is None or single[0] != 1 or any(e % 2 for _, e in single[1].factors):
        return None
    halves = {a: whole(Fraction(e) / 2) for a, e in single[1].factors}
    return algebra.poly({algebra.canonical({}, halves): Fraction(1)})


def rational_power(algebra: Algebra, value: Fraction, exponent: Exponent) -> Products:
    """Return a power of a positive rational number: primes carry the fractional exponents."""
    if isinstance(exponent, int):
        return algebra.constant(value**exponent)
    factors: dict[Atom, Exponent] = {}
    for n, sign in ((value.numerator, 1), (value.denominator, -1)):
        for prime, count in sp.factorint(n).items():
            atom = algebra.atom("prime", str(prime))
            factors[atom] = whole(factors.get(atom, 0) + sign * count * exponent)
    return [Product(Fraction(1), {}, factors)]


def exponential(algebra: Algebra, poly: Poly) -> Products:
    """Return exp: one factor per term, the term's coefficient is the exponent; ``exp(log x)`` is x."""
    result = algebra.constant(1)
    for term, coefficient in poly.terms.items():
        alone = next(iter(term.factors))[0] if len(term.factors) == 1 and not term.bound else None
        if alone is not None and alone.head == "log" and (alone, 1) in term.factors:
            algebra.assume(alone, "defined")
            result = algebra.multiply(result, power(algebra, alone.inner[0], whole(coefficient)))
        else:
            atom = algebra.atom("exp", "", (), (algebra.poly({term: Fraction(1)}),))
            result = algebra.multiply(result, algebra.single(atom, whole(coefficient)))
    return result


def logarithm(algebra: Algebra, poly: Poly) -> Products:
    """Return log: positive factors come out as a sum."""
    if not poly.terms:
        raise Unsupported("the logarithm of zero")
    content, shared, rest = primitive(algebra, poly, positive_only=True, roots=True)
    result: Products = []
    for n, sign in ((content.numerator, 1), (content.denominator, -1)):
        for prime, count in sp.factorint(n).items():
            number = algebra.poly({algebra.canonical({}, {}): Fraction(int(prime))})
            result += algebra.scaled(algebra.single(algebra.atom("log", "", (), (number,))), sign * count)
    for atom, e in shared.items():
        result += algebra.scaled(_log_of_atom(algebra, atom), Fraction(e))
    constant = rest.constant()
    if constant is None:
        result += algebra.single(algebra.atom("log", "", (), (rest,)))
    elif constant != 1:
        raise Unsupported("the logarithm of a negative number")
    return result


def _log_of_atom(algebra: Algebra, atom: Atom) -> Products:
    if algebra.is_mask(atom):
        return []
    if atom.head == "exp":
        return algebra.open(atom.inner[0])
    if atom.head == "pow":
        return logarithm(algebra, atom.inner[0])
    if atom.head == "prime":
        return logarithm(algebra, algebra.poly({algebra.canonical({}, {}): Fraction(int(atom.name))}))
    if atom.head == "softmax":
        assert atom.binder is not None
        argument = algebra.open(atom.inner[0], {atom.binder[0]: atom.args[0]})
        total = algebra.single(algebra.atom("lse", "", (), atom.inner, atom.binder))
        return argument + algebra.scaled(total, -1)
    return algebra.single(algebra.atom("log", "", (), (algebra.poly({algebra.canonical({}, {atom: 1}): Fraction(1)}),)))


# ---------------------------------------------------------------------------------------------------------
# Masks


def positive_mask(algebra: Algebra, poly: Poly) -> Products:
    """Return the mask of ``poly > 0``, over the oriented primitive part: ``[-p > 0] = 1 - [p > 0] - [p = 0]``."""
    if not poly.terms:
        return []
    _, _, rest = primitive(algebra, poly, positive_only=True)
    constant = rest.constant()
    if constant is not None:
        return algebra.constant(1 if constant > 0 else 0)
    cases = _cases(algebra, rest)
    if cases is not None:
        mask, one, zero = cases
        other = algebra.complement(mask)
        chosen = algebra.multiply(mask, positive_mask(algebra, one))
        return chosen + algebra.multiply(other, positive_mask(algebra, zero))
    negated = algebra.negated(rest)
    if algebra.poly_positive(rest) or algebra.poly_positive(negated):
        return algebra.constant(1 if algebra.poly_positive(rest) else 0)
    if algebra.poly_not_negative(rest):
        return algebra.complement(zero_mask(algebra, rest))
    if algebra.poly_not_negative(negated):
        return []
    if orientation(rest) < 0:
        return [
            *algebra.constant(1), *algebra.scaled(algebra.single(algebra.atom("gt", "", (), (negated,))), -1),
            *algebra.scaled(algebra.single(algebra.atom("eq", "", (), (negated,))), -1),
        ]
    return algebra.single(algebra.atom("gt", "", (), (rest,)))


def _cases(algebra: Algebra, poly: Poly) -> tuple[Products, Poly, Poly] | None:
    """Return a 0/1 factor of some term, with the polynomial where it is 1 and where it is 0; None if there is none."""
    tables = {term: _free_factors(term) for term in poly.terms}
    masks = {a for table in tables.values() for a, e in table.items() if e == 1 and algebra.is_mask(a)}
    if not masks or len(masks) > MOST_CASES:
        return None
    mask = min(masks, key=lambda a: a.key)
    zero = {t: c for t, c in poly.terms.items() if mask not in tables[t]}
    products = algebra.open(poly)
    one = [Product(p.coefficient, p.bound, {a: e for a, e in p.factors.items() if a is not mask}) for p in products]
    return algebra.single(mask), algebra.close(one), algebra.poly(zero)


MOST_CASES = 4
"""A comparison is split by the 0/1 factors in its sides up to this many."""


def zero_mask(algebra: Algebra, poly: Poly) -> Products:
    """Return the mask of ``poly == 0``."""
    if not poly.terms:
        return algebra.constant(1)
    _, _, rest = primitive(algebra, poly, positive_only=True)
    cases = _cases(algebra, rest)
    if cases is not None:
        mask, one, zero = cases
        other = algebra.complement(mask)
        return algebra.multiply(mask, zero_mask(algebra, one)) + algebra.multiply(other, zero_mask(algebra, zero))
    negated = algebra.negated(rest)
    if rest.constant() is not None or algebra.poly_positive(rest) or algebra.poly_positive(negated):
        return []
    return algebra.single(algebra.atom("eq", "", (), (negated if orientation(rest) < 0 else rest,)))


def comparison(algebra: Algebra, difference: Poly, relation: str) -> Products:
    """Return the mask of ``a relation b``, given ``a - b``."""
    below = algebra.negated(difference)
    if relation == ">":
        return positive_mask(algebra, difference)
    if relation == "<":
        return positive_mask(algebra, below)
    if relation == ">=":
        return algebra.complement(positive_mask(algebra, below))
    if relation == "<=":
        return algebra.complement(positive_mask(algebra, difference))
    if relation == "==":
        return zero_mask(algebra, difference)
    if relation == "!=":
        return algebra.complement(zero_mask(algebra, difference))
    raise Unsupported(f"the relation {relation}")


def absolute(algebra: Algebra, poly: Poly) -> Products:
    """Return the absolute value ``p [p > 0] - p [-p > 0]``."""
    if algebra.poly_not_negative(poly):
        return algebra.open(poly)
    above = algebra.multiply(algebra.open(poly), positive_mask(algebra, poly))
    below = algebra.multiply(algebra.open(poly), positive_mask(algebra, algebra.negated(poly)))
    return above + algebra.scaled(below, -1)


# ---------------------------------------------------------------------------------------------------------
# Functions along an axis


def along_axis(
    algebra: Algebra, head: str, argument: Poly, binder: tuple[Symbol, Index], at: tuple[Index, ...]
) -> Products:
    """Return softmax, log-sum-exp or the argmax mask of ``argument``, a function of the index ``binder``.

    What does not depend on that index is dropped (softmax, argmax) or comes out (log-sum-exp).
    """
    symbol, last = binder
    if last == ZERO:
        return algebra.open(argument, {symbol: ZERO}) if head == "lse" else algebra.constant(1)
    if algebra.explicit and head in ("softmax", "lse"):
        total = algebra.close(algebra.sum(exponential(algebra, argument), [binder]))
        if head == "lse":
            return logarithm(algebra, total)
        here = algebra.close(algebra.open(argument, {symbol: at[0]}))
        return algebra.multiply(exponential(algebra, here), power(algebra, total, -1))
    inside = {t: c for t, c in argument.terms.items() if symbol in t.variables}
    outside = {t: c for t, c in argument.terms.items() if symbol not in t.variables}
    kept = algebra.poly(inside)
    canonical = ("", 3 + kept.level, 0)
    kept = algebra.rename(kept, {symbol: canonical})
    result = algebra.single(algebra.atom(head, "", at, (kept,), (canonical, last)))
    return result + algebra.open(algebra.poly(outside)) if head == "lse" else result


# ---------------------------------------------------------------------------------------------------------
# Scalar laws


ODD = frozenset({"tanh", "sin", "erf", "atan"})


def special(algebra: Algebra, name: str, poly: Poly) -> Products:
    """Return tanh, sin, cos, erf, atan or an unknown function; odd and even functions of an oriented argument."""
    if name in ODD or name == "cos":
        if not poly.terms:
            return algebra.constant(1 if name == "cos" else 0)
        if orientation(poly) < 0:
            flipped = special(algebra, name, algebra.negated(poly))
            return flipped if name == "cos" else algebra.scaled(flipped, -1)
    if name == "tanh" and algebra.explicit:
        doubled = algebra.poly({t: -2 * c for t, c in poly.terms.items()})
        base = algebra.close(algebra.constant(1) + exponential(algebra, doubled))
        return algebra.scaled(power(algebra, base, -1), 2) + algebra.constant(-1)
    return algebra.single(algebra.atom("fn", name, (), (poly,)))


NAMES = {sp.tanh: "tanh", sp.sin: "sin", sp.cos: "cos", sp.erf: "erf", sp.atan: "atan"}


def applied(algebra: Algebra, function: Function, polys: tuple[Poly, ...]) -> Products:
    """Return an elementwise function of polynomials, by its scalar law.

    Raises ``Unsupported`` for a function without one.
    """
    if function.is_free:
        return free(algebra, function.name, function.orders, polys)
    if is_held(function) and not any(function.orders):
        return algebra.single(algebra.atom("fn", function.name, (), polys))  # opaque: nothing is moved through it
    try:
        law = _softsign(function.orders[0]) if function.name == "softsign" else scalar_law(function)
    except UnknownOperation as problem:
        raise Unsupported(str(problem)) from problem
    return scalar(algebra, law, dict(zip(arguments(len(polys)), polys, strict=True)))


def _softsign(order: int) -> sp.Expr:
    """Return softsign with one denominator, which is visibly positive."""
    (x,) = arguments(1)
    return sp.diff(x / (1 + sp.Abs(x)), x, order)


def free(algebra: Algebra, name: str, orders: tuple[int, ...], polys: tuple[Poly, ...]) -> Products:
    """Return a function that was left unspecified, differentiated ``orders`` times."""
    return algebra.single(algebra.atom("free", f"{name}:{','.join(map(str, orders))}", (), polys))


def scalar(algebra: Algebra, law: sp.Basic, values: Mapping[sp.Symbol, Poly]) -> Products:
    """Return a SymPy scalar expression with polynomials for its symbols; other symbols are sizes.

    Raises ``Unsupported`` for what is not covered.
    """
    close = algebra.close

    def value(e: sp.Basic) -> Poly:
        return close(scalar(algebra, e, values))

    if isinstance(law, sp.Rational):
        return algebra.constant(Fraction(int(law.p), int(law.q)))
    if isinstance(law, sp.Float):
        exact = sp.Rational(law)
        return algebra.constant(Fraction(int(exact.p), int(exact.q)))
    if isinstance(law, sp.Symbol):
        if law in values:
            return algebra.open(values[law])
        return algebra.value(algebra.index(law))
    if isinstance(law, SizeMember):
        return algebra.value(algebra.index(law))
    if law is sp.S.Exp1:
        return exponential(algebra, close(algebra.constant(1)))
    if isinstance(law, sp.NumberSymbol):
        if not law.is_positive:
            raise Unsupported(f"the number {law}")
        return algebra.single(algebra.atom("const", str(law)))
    if isinstance(law, sp.Add):
        return [p for a in law.args for p in scalar(algebra, a, values)]
    if isinstance(law, sp.Mul):
        result = algebra.constant(1)
        for a in law.args:
            result = algebra.multiply(result, scalar(algebra, a, values))
        return algebra.open(close(result))
    if isinstance(law, sp.Pow):
        base, exponent = law.args
        if isinstance(exponent, sp.Rational):
            return power(algebra, value(base), whole(Fraction(int(exponent.p), int(exponent.q))))
        # a^b is exp(b log a); the logarithm carries the condition that a is positive.
        scaled = algebra.multiply(scalar(algebra, exponent, values), logarithm(algebra, value(base)))
        return exponential(algebra, close(scaled))
    if isinstance(law, sp.exp):
        return exponential(algebra, value(law.args[0]))
    if isinstance(law, sp.log):
        return logarithm(algebra, value(law.args[0]))
    if type(law) in NAMES:
        return special(algebra, NAMES[type(law)], value(law.args[0]))
    if isinstance(law, sp.Abs):
        return absolute(algebra, value(law.args[0]))
    if isinstance(law, sp.sign):
        inside = value(law.args[0])
        return positive_mask(algebra, inside) + algebra.scaled(positive_mask(algebra, algebra.negated(inside)), -1)
    if isinstance(law, sp.Piecewise):
        result, left = [], algebra.constant(1)
        for branch, condition in law.args:
            chosen = _truth(algebra, condition, values)
            mask = close(algebra.multiply(algebra.freshened(left), algebra.freshened(chosen)))
            # A branch that is never taken need not be defined.
            if mask.terms:
                result += algebra.multiply(scalar(algebra, branch, values), algebra.open(mask))
            left = algebra.multiply(left, algebra.complement(chosen))
        return algebra.open(close(result))
    if isinstance(law, sp.Function) and len(law.args) == 1 and not isinstance(law, AppliedUndef):
        return special(algebra, type(law).__name__, value(law.args[0]))
    raise Unsupported(f"the scalar expression {law}")


def _truth(algebra: Algebra, condition: sp.Basic, values: Mapping[sp.Symbol, Poly]) -> Products:
    if condition in (sp.true, sp.false):
        return algebra.constant(1 if condition == sp.true else 0)
    if isinstance(condition, Relational):
        left, right = (scalar(algebra, side, values) for side in condition.args)
        return comparison(algebra, algebra.close(left + algebra.scaled(right, -1)), condition.rel_op)
    if isinstance(condition, sp.And | sp.Or):
        # One and the other: their product; one or the other: not, that neither holds.
        either = isinstance(condition, sp.Or)
        result = algebra.constant(1)
        for part in condition.args:
            holds = _truth(algebra, part, values)
            result = algebra.multiply(result, algebra.complement(holds) if either else holds)
        return algebra.complement(result) if either else result
    if isinstance(condition, sp.Not):
        return algebra.complement(_truth(algebra, condition.args[0], values))
    raise Unsupported(f"the condition {condition}")


# ---------------------------------------------------------------------------------------------------------
# Building atoms anew after a substitution

Binder = tuple[Symbol, Index] | None
Args = tuple[Index, ...]


def _axis(algebra: Algebra, atom: Atom, inner: tuple[Poly, ...], args: Args, binder: Binder) -> Products:
    assert binder is not None
    return along_axis(algebra, atom.head, inner[0], binder, args)


Algebra.power = power
Algebra.constructors.update({
    "pow": lambda algebra, atom, inner, args, binder: power(algebra, inner[0], 1),
    "exp": lambda algebra, atom, inner, args, binder: exponential(algebra, inner[0]),
    "log": lambda algebra, atom, inner, args, binder: logarithm(algebra, inner[0]),
    "gt": lambda algebra, atom, inner, args, binder: positive_mask(algebra, inner[0]),
    "eq": lambda algebra, atom, inner, args, binder: zero_mask(algebra, inner[0]),
    "fn": lambda algebra, atom, inner, args, binder: special(algebra, atom.name, inner[0]),
    "free": lambda algebra, atom, inner, args, binder: algebra.single(algebra.atom("free", atom.name, (), inner)),
    "softmax": _axis,
    "lse": _axis,
    "argmax": _axis,
})

CONSTRUCTIONS = (power, exponential, logarithm, positive_mask, zero_mask, absolute, special, along_axis)
"""The functions that rewrite while they construct; ``power`` takes an exponent, ``special`` a name."""
