"""The exact witness: programs over dual numbers in the prime field of p = 2^61 - 1.

At a random point of a prime field a rational identity either holds or fails with probability close to one: the
answer is EQUAL or not, without rounding.  Elementwise functions are *consistent oracles*: ``exp`` of a field element
is a random element, the same one whenever it is asked again, with ``exp(-z) = 1/exp(z)`` and ``log(exp(z)) = z``;
``sigmoid``, ``tanh`` and ``softmax`` are rational in it.  Slopes come from the scalar law by SymPy, not from the rule
book.  Signs, comparisons and maxima are oracles too; square roots that do not exist ask for another draw.

Half of the elements have no root, so that a program with many independent roots finds no point.  Then roots may be
*loose*: sqrt(x) is a random element r, the same one for the same x, with the slope 1/(2r), but r*r is not x.  What is
equal for every r is equal for the root; what is not equal may need r*r = x, and nothing is said of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp

from symbp.expr import (
    AddAt, ArgmaxMask, AxisNode, Compare, Diag, DiagOf, Einsum, Embed, Eye, Function, Gather, Hadamard, Kron,
    LogSumExp, Map, Mask, MatMul, MaxAxis, Node, Ones, Reshape, Scale, Scatter, Slice, SMul, Softmax, Take, Transpose,
    Where, Zero, evaluate_size,
)
from symbp.program import Program
from symbp.verify.draws import DISCRETE, draw_matrix, each
from symbp.verify.evaluate import Array, Runner, contracted, mask_pattern, static_places, whole_numbers
from symbp.verify.scalars import UnknownOperation, arguments, interpret, scalar_law

P = 2**61 - 1
UNDEFINED = float("nan")
"""What an operation gives outside its domain; it spreads like a NaN, and a selection may drop it."""

ORBIT = (1, 2, 3, 4, 6, 8, 9, 12, 18, 24, 36, 48)
"""exp is drawn at z/12 and set at these multiples, so that exp(2z) = exp(z)^2, exp(z/2)^2 = exp(z) and so on."""

SIGNS = {
    "exp": "+", "sigmoid": "+", "softplus": "+", "sqrt": "+", "abs": "+", "tanh": "z", "arctan": "z", "erf": "z",
    "softsign": "z",
}
"""Functions whose sign is known: positive, or the sign of the argument."""


class Redraw(Exception):
    """A random point at which a square root does not exist in the field, or a divisor is zero."""


def invert(x: Any) -> Any:
    """Return 1/x in the field; undefined at 0."""
    return pow(x, -1, P) if x == x and x else UNDEFINED


class Oracles:
    """Elementwise functions as random but consistent choices."""

    def __init__(self, rng: random.Random, loose: bool = False) -> None:
        self.rng, self.loose = rng, loose
        self.exps: dict[int, int] = {0: 1}
        self.logs: dict[int, int] = {1: 0}
        self.signs: dict[int, int] = {0: 0}
        self.other: dict[tuple[Any, ...], int] = {}
        self.root_of_pi = self.element()

    def element(self) -> int:
        """Return a random element that is not zero."""
        return self.rng.randrange(1, P)

    def exp(self, z: int) -> int:
        found = self.exps.get(z)
        if found is not None:
            return found
        base, step = self.element(), z * invert(12) % P
        inverse = invert(base)
        for k in ORBIT:
            for key, value in ((k * step % P, pow(base, k, P)), (-k * step % P, pow(inverse, k, P))):
                self.exps.setdefault(key, value)
                self.logs.setdefault(value, key)
        return self.exps[z]

    def log(self, u: int) -> Any:
        if u == 0:
            return UNDEFINED
        found = self.logs.get(u)
        if found is None:
            found = self.element()
            self.logs[u], self.logs[invert(u)] = found, P - found
            for k in range(1, 5):
                self.exps.setdefault(k * found % P, pow(u, k, P))
                self.exps.setdefault(-k * found % P, invert(pow(u, k, P)))
        return found

    def sign(self, z: int) -> int:
        """Return 1, 0 or -1, opposite for -z."""
        if z not in self.signs:
            self.assume_sign(z, self.rng.choice((1, -1)))
        return self.signs[z]

    def assume_sign(self, z: int, sign: int) -> None:
        """Settle the sign of an element that has none yet."""
        if z not in self.signs:
            self.signs[z], self.signs[P - z] = sign, -sign

    def root(self, x: int) -> int:
        """Return the square root, one of the two for good; ask for another draw if there is none.

        A loose root is a random element instead.
        """
        if self.loose and x:
            return self.fraction(x, 2)
        key = ("sqrt", x)
        if key not in self.other:
            r = pow(x, (P + 1) // 4, P)
            if r * r % P != x:
                raise Redraw("a square root")
            self.other[key] = self.rng.choice((r, P - r)) if r else 0
        return self.other[key]

    def fraction(self, x: int, q: int) -> int:
        """Return a stand-in for the q-th root (its q-th power is not asked for)."""
        return self.once("root", x, q)

    def once(self, *key: Any) -> int:
        """Return the random element that belongs to a key."""
        if key not in self.other:
            self.other[key] = self.element()
        return self.other[key]

    def odd(self, name: str, z: int) -> int:
        """Return an odd function: erf, atan."""
        if z == 0:
            return 0
        if (name, z) not in self.other:
            value = self.element()
            self.other[name, z], self.other[name, P - z] = value, P - value
        return self.other[name, z]

    def circle(self, z: int) -> tuple[int, int]:
        """Return (sin z, cos z): a random point on the circle, mirrored for -z."""
        t = self.odd("half tangent", z)
        scale = invert(1 + t * t)
        return 2 * t * scale % P, (1 - t * t) * scale % P

    def power(self, a: int, b: int) -> Any:
        """Return a**b for two elements, consistent under small integer shifts of the exponent."""
        if a == 0:
            return UNDEFINED
        for shift in range(-4, 5):
            known = self.other.get(("pow", a, (b + shift) % P))
            if known is not None:
                return known * pow(a, -shift, P) % P
        return self.once("pow", a, b)

    def argmax(self, entries: tuple[int, ...]) -> int:
        """Return the position of the largest entry, the same one whenever these entries are asked again."""
        key = ("argmax", entries)
        if key not in self.other:
            self.other[key] = entries.index(self.rng.choice(entries))
        return self.other[key]


def _entrywise(one: Callable[..., Any], *arrays: Any) -> Any:
    """Apply a function of field elements to each entry; undefined entries stay undefined."""

    def guarded(*xs: Any) -> Any:
        return UNDEFINED if any(x != x for x in xs) else one(*xs)

    if not any(isinstance(a, np.ndarray) for a in arrays):
        return guarded(*arrays)
    return np.frompyfunc(guarded, len(arrays), 1)(*arrays)


def _truth(holds: Any) -> Any:
    """Return truth values as booleans; an undefined comparison does not hold."""
    return np.asarray(holds, dtype=object) == np.True_


@lru_cache(maxsize=4096)
def _rational(value: sp.Rational) -> int:
    return int(value.p) * pow(int(value.q), -1, P) % P


class Field:
    """Arrays of field elements: a domain for scalar laws."""

    def __init__(self, oracles: Oracles) -> None:
        self.oracles = oracles

    def number(self, value: sp.Expr) -> Any:
        if isinstance(value, sp.Rational):
            return _rational(value)
        if value is sp.pi:
            return self.oracles.root_of_pi**2 % P
        if isinstance(value, sp.Add):
            return self.add([self.number(a) for a in value.args])
        if isinstance(value, sp.Mul):
            return self.mul([self.number(a) for a in value.args])
        if isinstance(value, sp.Pow) and isinstance(value.exp, sp.Rational):
            if value.base is sp.pi and value.exp.q == 2:
                return pow(self.oracles.root_of_pi, int(value.exp.p), P)
            return self.power(self.number(value.base), value.exp)
        if value is sp.E:
            return self.oracles.exp(1)
        if isinstance(value, sp.exp | sp.log):
            return self.call("exp" if isinstance(value, sp.exp) else "log", self.number(value.args[0]))
        raise UnknownOperation(f"the number {value} has no counterpart in a prime field")

    def function(self, function: Function, args: Sequence[Array]) -> Array:
        """Return an elementwise function of arrays by its law; a free function is an oracle of its own."""
        if function.is_free:
            out = _entrywise(lambda *xs: self.oracles.once("free", function, xs), *args)
        else:
            out = interpret(scalar_law(function), dict(zip(arguments(len(args)), args, strict=True)), self)
        out = np.broadcast_to(np.asarray(out, dtype=object), args[0].shape)
        if not any(function.orders) and function.name in SIGNS and function.law is None:
            self._settle(SIGNS[function.name], args[0], out)
        return out

    def _settle(self, how: str, z: Array, value: Array) -> None:
        for x, y in zip(z.ravel(), value.ravel(), strict=True):
            if x == x and y == y:
                self.oracles.assume_sign(y, 1 if how == "+" else self.oracles.sign(x))

    def add(self, values: Sequence[Any]) -> Any:
        return sum(values[1:], values[0]) % P

    def mul(self, values: Sequence[Any]) -> Any:
        product = values[0]
        for v in values[1:]:
            product = product * v % P
        return product

    def power(self, base: Any, exponent: sp.Expr) -> Any:
        n, q = int(exponent.p), int(exponent.q)

        def one(x: int) -> Any:
            if x == 0 and n < 0:
                return UNDEFINED
            root = x if q == 1 else self.oracles.root(x) if q == 2 else self.oracles.fraction(x, q)
            if q <= 2:
                return pow(root, n, P)
            return pow(root, n % q, P) * pow(x, n // q, P) % P

        return _entrywise(one, base)

    def power2(self, base: Any, exponent: Any) -> Any:
        return _entrywise(self.oracles.power, base, exponent)

    def call(self, name: str, value: Any) -> Any:
        oracles = self.oracles
        if name in ("exp", "log"):
            return _entrywise(getattr(oracles, name), value)
        if name in ("tanh", "sinh", "cosh"):
            e = _entrywise(oracles.exp, value)
            i = _entrywise(invert, e)
            difference, total = (e - i) % P, (e + i) % P
            if name == "tanh":
                return difference * _entrywise(invert, total) % P
            return (difference if name == "sinh" else total) * _rational(sp.S.Half) % P
        if name in ("sin", "cos"):
            return _entrywise(lambda z: oracles.circle(z)[name == "cos"], value)
        if name == "tan":
            return self.call("sin", value) * _entrywise(invert, self.call("cos", value)) % P
        if name in ("erf", "atan"):
            return _entrywise(lambda z: oracles.odd(name, z), value)
        raise UnknownOperation(f"no oracle for {name}")

    def relation(self, op: str, a: Any, b: Any) -> Any:
        difference = (a - b) % P
        if op in ("==", "!="):
            return _truth(_entrywise(lambda d: (d == 0) == (op == "=="), difference))
        table = {">": lambda s: s > 0, ">=": lambda s: s >= 0, "<": lambda s: s < 0, "<=": lambda s: s <= 0}
        if op not in table:
            raise UnknownOperation(f"no oracle for the relation {op}")
        return _truth(_entrywise(lambda d: table[op](self.oracles.sign(d)), difference))

    def select(self, cases: Sequence[tuple[Any, Callable[[], Any]]]) -> Any:
        out = cases[-1][1]()
        for condition, value in reversed(cases[:-1]):
            out = np.where(condition, value(), out)
        return out


# ---------------------------------------------------------------------------------------------------------
# Dual numbers: a value and its derivatives along several directions


@dataclass(frozen=True)
class Dual:
    """A matrix of field elements with its derivatives along k directions, an array (k, rows, cols), or None: zero."""

    value: Array
    slope: Array | None = None

    @property
    def T(self) -> Dual:
        """The transpose."""
        return Dual(self.value.T, None if self.slope is None else self.slope.transpose(0, 2, 1))

    def map(self, linear: Callable[[Array], Array]) -> Dual:
        """Apply a function that is linear and acts on the last two axes."""
        if self.slope is None:
            return Dual(linear(self.value))
        return Dual(linear(self.value), np.stack([linear(s) for s in self.slope]))


def _product(a: Dual, b: Dual, multiply: Callable[[Array, Array], Array]) -> Dual:
    terms = []
    if a.slope is not None:
        terms.append(multiply(a.slope, b.value))
    if b.slope is not None:
        terms.append(multiply(a.value, b.slope))
    return Dual(multiply(a.value, b.value) % P, sum(terms[1:], terms[0]) % P if terms else None)


def _hadamard(a: Dual, b: Dual) -> Dual:
    return _product(a, b, lambda x, y: x * y)


def _kron(a: Array, b: Array) -> Array:
    grid = a[..., :, None, :, None] * b[..., None, :, None, :]
    return grid.reshape(*grid.shape[:-4], grid.shape[-4] * grid.shape[-3], grid.shape[-2] * grid.shape[-1])


@dataclass
class FieldRun(Runner):
    """A program over dual numbers of the prime field; values and directions are given, oracles are shared."""

    oracles: Oracles = field(kw_only=True)

    def __post_init__(self) -> None:
        self.field = Field(self.oracles)

    def entry(self, given: Any) -> Dual:
        return given if isinstance(given, Dual) else Dual(np.asarray(given, dtype=object))

    def literal(self, rows: Sequence[Sequence[sp.Expr]]) -> Dual:
        return Dual(np.array([[self.field.number(x) for x in row] for row in rows], dtype=object))

    def shape(self, value: Any) -> tuple[int, ...]:
        return tuple(value.value.shape)

    def filled(self, rows: int, cols: int, number: int) -> Dual:
        """Return a matrix with one element in each entry."""
        return Dual(np.full((rows, cols), number, dtype=object))

    def zeros(self, rows: int, cols: int) -> Dual:
        return self.filled(rows, cols, 0)

    def pattern(self, array: Array) -> Dual:
        """Return entries 0, 1/2, 1 as field elements."""
        half = _rational(sp.S.Half)
        return Dual(
            np.array([[half if x == 0.5 else int(x) for x in row] for row in array], dtype=object).reshape(array.shape)
        )

    # Leaves
    def on_Ones(self, node: Ones, _: list[Dual], at: Mapping[str, int]) -> Dual:
        return self.filled(self.integer(node.rows, at), self.integer(node.cols, at), 1)

    def on_Zero(self, node: Zero, _: list[Dual], at: Mapping[str, int]) -> Dual:
        return self.zeros(self.integer(node.rows, at), self.integer(node.cols, at))

    def on_Eye(self, node: Eye, _: list[Dual], at: Mapping[str, int]) -> Dual:
        return self.pattern(np.eye(self.integer(node.rows, at)))

    def on_Mask(self, node: Mask, _: list[Dual], at: Mapping[str, int]) -> Dual:
        return self.pattern(mask_pattern(node.kind, self.integer(node.rows, at), self.integer(node.cols, at)))

    # Linear and multilinear operations
    def on_Add(self, node: Node, terms: list[Dual], at: Mapping[str, int]) -> Dual:
        slopes = [t.slope for t in terms if t.slope is not None]
        value = sum((t.value for t in terms[1:]), terms[0].value) % P
        return Dual(value, sum(slopes[1:], slopes[0]) % P if slopes else None)

    def on_Scale(self, node: Scale, args: list[Dual], at: Mapping[str, int]) -> Dual:
        c = self.field.number(self.scalar(node.coefficient, at))
        return args[0].map(lambda x: x * c % P)

    def on_SMul(self, node: SMul, args: list[Dual], at: Mapping[str, int]) -> Dual:
        return _hadamard(args[0], args[1])

    def on_MatMul(self, node: MatMul, args: list[Dual], at: Mapping[str, int]) -> Dual:
        product = args[0]
        for factor in args[1:]:
            product = _product(product, factor, np.matmul)
        return product

    def on_Hadamard(self, node: Hadamard, args: list[Dual], at: Mapping[str, int]) -> Dual:
        product = args[0]
        for factor in args[1:]:
            product = _hadamard(product, factor)
        return product

    def on_Transpose(self, node: Transpose, args: list[Dual], at: Mapping[str, int]) -> Dual:
        return args[0].T

    def on_Diag(self, node: Diag, args: list[Dual], at: Mapping[str, int]) -> Dual:
        eye = np.eye(args[0].value.shape[0], dtype=int).astype(object)
        return args[0].map(lambda x: eye * x)

    def on_DiagOf(self, node: DiagOf, args: list[Dual], at: Mapping[str, int]) -> Dual:
        return args[0].map(lambda x: np.array([[x[k, k]] for k in range(len(x))], dtype=object))

    def on_Slice(self, node: Slice, args: list[Dual], at: Mapping[str, int]) -> Dual:
        r0, r1, c0, c1 = (self.integer(p, at) for p in node.args[1:])
        return args[0].map(lambda x: x[r0:r1, c0:c1])

    def on_Embed(self, node: Embed, args: list[Dual], at: Mapping[str, int]) -> Dual:
        r0, c0, rows, cols = (self.integer(p, at) for p in node.args[1:])
        r, c = args[0].value.shape

        def embed(x: Array) -> Array:
            out = np.zeros((rows, cols), dtype=object)
            out[r0 : r0 + r, c0 : c0 + c] = x
            return out

        return args[0].map(embed)

    def on_Reshape(self, node: Reshape, args: list[Dual], at: Mapping[str, int]) -> Dual:
        rows, cols = self.integer(node.rows, at), self.integer(node.cols, at)
        if node.order == "C":
            return args[0].map(lambda x: x.reshape(rows, cols))
        return args[0].map(lambda x: x.T.reshape(cols, rows).T)

    def on_Kron(self, node: Kron, args: list[Dual], at: Mapping[str, int]) -> Dual:
        return _product(args[0], args[1], _kron)

    def on_Einsum(self, node: Einsum, args: list[Dual], at: Mapping[str, int]) -> Dual:
        sizes = {letter: self.integer(n, at) for letter, n in node.spec.sizes.items()}

        def product(*arrays: Array) -> Array:
            return contracted(node.spec.operands, node.spec.out, sizes, arrays) % P

        values = [a.value for a in args]
        slopes = [
            np.stack([product(*values[:k], s, *values[k + 1 :]) for s in a.slope])
            for k, a in enumerate(args) if a.slope is not None
        ]
        return Dual(product(*values), sum(slopes[1:], slopes[0]) % P if slopes else None)

    def on_Gather(self, node: Gather, args: list[Dual], at: Mapping[str, int]) -> Dual:
        places = static_places(node.map, lambda p: self.integer(p, at), args[0].value.shape)

        def gather(x: Array) -> Array:
            out = np.zeros(places.shape, dtype=object)
            out[places.here] = x[places.there]
            return out

        return args[0].map(gather)

    def on_Scatter(self, node: Scatter, args: list[Dual], at: Mapping[str, int]) -> Dual:
        places = static_places(node.map, lambda p: self.integer(p, at))

        def scatter(x: Array) -> Array:
            out = np.zeros(places.source, dtype=object)
            np.add.at(out, places.there, x[places.here])
            return out % P

        return args[0].map(scatter)

    def on_Take(self, node: Take, args: list[Dual], at: Mapping[str, int]) -> Dual:
        found = whole_numbers(args[1].value.ravel(), args[0].value.shape[node.axis])
        return args[0].map(lambda x: x[:, found] if node.axis == 1 else x[found, :])

    def on_AddAt(self, node: AddAt, args: list[Dual], at: Mapping[str, int]) -> Dual:
        shape = (self.integer(node.rows, at), self.integer(node.cols, at))
        found = whole_numbers(args[1].value.ravel(), shape[node.axis])

        def added(x: Array) -> Array:
            out = np.zeros(shape, dtype=object)
            for k, place in enumerate(found):
                if node.axis == 1:
                    out[:, place] += x[:, k]
                else:
                    out[place, :] += x[k, :]
            return out % P

        return args[0].map(added)

    # Non-linear operations
    def on_Map(self, node: Map, args: list[Dual], at: Mapping[str, int]) -> Dual:
        return self.function(node.function, args)

    def function(self, function: Function, args: Sequence[Dual]) -> Dual:
        """Return an elementwise function; its slopes are the derivatives of its law by SymPy."""
        values = [a.value for a in args]
        slopes = [
            self.field.function(function.derivative(k), values) * a.slope
            for k, a in enumerate(args)
            if a.slope is not None
        ]
        return Dual(self.field.function(function, values), sum(slopes[1:], slopes[0]) % P if slopes else None)

    def on_Where(self, node: Where, args: list[Dual], at: Mapping[str, int]) -> Dual:
        chosen, (a, b) = args[0].value != 0, args[1:]
        value = np.where(chosen, a.value, b.value)
        if a.slope is None and b.slope is None:
            return Dual(value)
        return Dual(value, np.where(chosen, 0 if a.slope is None else a.slope, 0 if b.slope is None else b.slope))

    def on_Compare(self, node: Compare, args: list[Dual], at: Mapping[str, int]) -> Dual:
        holds = self.field.relation(node.relation, args[0].value, args[1].value)
        return Dual(_entrywise(int, holds))

    def on_Softmax(self, node: Softmax, args: list[Dual], at: Mapping[str, int]) -> Dual:
        e = self.function(Function("exp"), args)
        return _hadamard(e, self.function(Function("recip"), [self.sums(e, node.axis)]))

    def on_LogSumExp(self, node: LogSumExp, args: list[Dual], at: Mapping[str, int]) -> Dual:
        return self.function(Function("log"), [self.sums(self.function(Function("exp"), args), node.axis)])

    def sums(self, a: Dual, axis: int) -> Dual:
        """Return the sums along an axis, kept as a row or a column."""
        return a.map(lambda x: x.sum(axis=axis, keepdims=True) % P)

    def on_MaxAxis(self, node: MaxAxis, args: list[Dual], at: Mapping[str, int]) -> Dual:
        first = self.argmax(args[0].value, node)
        return args[0].map(lambda x: np.take_along_axis(x, first, axis=node.axis))

    def on_ArgmaxMask(self, node: ArgmaxMask, args: list[Dual], at: Mapping[str, int]) -> Dual:
        out = np.zeros(args[0].value.shape, dtype=object)
        np.put_along_axis(out, self.argmax(args[0].value, node), 1, axis=node.axis)
        return Dual(out)

    def argmax(self, value: Array, node: AxisNode) -> Array:
        """Return the position of the largest entry along an axis, by oracle."""
        lines = value.T if node.axis == 0 else value
        found = np.array([self.oracles.argmax(tuple(line)) for line in lines], dtype=int)
        return np.expand_dims(found, node.axis)


# ---------------------------------------------------------------------------------------------------------
# Draws in the field


def _elements(rng: random.Random, rows: int, cols: int) -> Array:
    return np.array([[rng.randrange(1, P) for _ in range(cols)] for _ in range(rows)], dtype=object).reshape(rows, cols)


def _constrained(facts: Iterable[str], x: Array, total: int) -> Array:
    """Return the matrix with the sums (or the symmetry) that the facts ask for."""
    known = set(facts)
    if "symmetric" in known:
        x = np.tril(x) + np.tril(x, -1).T
    if "columns_sum_to_one" in known:
        x[-1] = (total - x[:-1].sum(axis=0)) % P
    if "rows_sum_to_one" in known:
        x[:, -1] = (total - x[:, :-1].sum(axis=1)) % P
    return x


def field_matrix(facts: Iterable[str], rows: int, cols: int, rng: random.Random, below: int | None = None) -> Array:
    """Draw a matrix of field elements with declared facts."""
    known = set(facts)
    if known & DISCRETE:
        numbers = draw_matrix(known, rows, cols, np.random.default_rng(rng.getrandbits(32)), below=below)
        return np.array([[int(x) % P for x in row] for row in numbers], dtype=object)
    return _constrained(known, _elements(rng, rows, cols), 1)


def field_tangent(facts: Iterable[str], rows: int, cols: int, rng: random.Random) -> Array:
    """Draw an increment that keeps the facts."""
    if set(facts) & DISCRETE:
        return np.zeros((rows, cols), dtype=object)
    return _constrained(facts, _elements(rng, rows, cols), 0)


def field_draw(program: Program, sizes: Mapping[str, Any], rng: random.Random, oracles: Oracles) -> dict[str, Any]:
    """Draw field elements for every declared variable whose value the file does not give."""
    values: dict[str, Any] = {}
    for var in program.declared():
        if var.value is not None and not var.indices:
            continue
        below = None if var.size is None else evaluate_size(var.size, sizes)
        values[var.name] = each(
            var, sizes, lambda r, c, var=var, below=below: field_matrix(var.facts, r, c, rng, below)  # type: ignore[misc]
        )
        if "positive" in var.facts:
            given = values[var.name]
            for x in given.values() if isinstance(given, dict) else [given]:
                for entry in x.ravel():
                    oracles.assume_sign(entry, 1)
    return values


def moved(direction: Any, which: int = 0, count: int = 1) -> Any:
    """Return an increment of a variable (or of a family) along one of ``count`` directions, as a dual number."""
    if isinstance(direction, Mapping):
        return {where: moved(d, which, count) for where, d in direction.items()}
    slope = np.zeros((count, *direction.shape), dtype=object)
    slope[which] = direction
    return Dual(np.zeros(direction.shape, dtype=object), slope)


def field_inner(a: Any, b: Any) -> int:
    """Return the inner product of two variables (matrices or families) in the field."""
    if isinstance(a, Mapping):
        return sum(field_inner(a[k], b[k]) for k in b if k in a) % P
    total = (getattr(a, "value", a) * getattr(b, "value", b)).sum()
    if total != total:
        raise Redraw("an undefined value")
    return int(total) % P
