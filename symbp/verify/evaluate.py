"""The reference evaluator: a straight interpretation of a Program on numbers.

It imports the language of programs and nothing else of symbp: no rule, no printer, no pass.  It works on arrays of
``float64``, ``longdouble``, ``complex128`` (complex step: functions continue analytically, every decision is taken on
the real part) and ``object`` (mpmath numbers, for many digits).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from symbp.expr import (
    AddAt, ArgmaxMask, AxisNode, Compare, Diag, DiagOf, Einsum, Embed, Eye, Function, Gather, Hadamard, Kron,
    LogSumExp, Map, Mask, MatMul, MaxAxis, Node, Ones, Ref, Reshape, SMul, Scale, Scatter, Slice, Softmax,
    StaticMap, SumOver, Take, Transpose, Where, Zero, evaluate_scalar, evaluate_size, size_atoms, walk,
)
from symbp.program import Equation, Loop, Program, Statement, Var
from symbp.verify.scalars import EvaluationError, UnknownOperation, arguments, interpret, is_held, kinks, scalar_law

Array = np.ndarray[Any, np.dtype[Any]]
Values = Mapping[str, Any]
"""An array by variable name; for a family a mapping from index tuple (or single index) to array."""
Sizes = Mapping[str, Any]
"""An integer by size name; for a family of sizes a mapping from index to integer."""


class UndefinedRead(EvaluationError):
    """A variable or a member that is read and was neither given nor computed."""


class ShapeMismatch(EvaluationError):
    """An array whose shape is not the declared one."""


class TooLarge(EvaluationError):
    """A matrix with more entries than one that is computed for a check may have."""


@dataclass
class Margins:
    """How far an evaluation stayed from points where something is not differentiable.

    kink:  the smallest distance of an argument from a kink, or between the sides of a comparison or a maximum.
    where: what came closest.
    """

    kink: float = math.inf
    where: str = ""

    def note(self, distance: Array, what: str) -> None:
        """Record the distances of one operation."""
        if distance.size:
            smallest = float(np.min(distance))
            if smallest < self.kink:
                self.kink, self.where = smallest, what


MOST_ENTRIES = 10_000_000
"""A matrix with more entries is neither drawn nor computed for a check."""


def affordable(value: Node, sizes: Mapping[str, Any], at: Mapping[str, int]) -> None:
    """Raise ``TooLarge`` for an expression in which a matrix is too large to be computed."""
    for rows, cols in _large(value):
        refuse_large(evaluate_size(rows, sizes, at), evaluate_size(cols, sizes, at))


def refuse_large(rows: int, cols: int) -> None:
    """Raise ``TooLarge`` for a matrix with too many entries."""
    if rows * cols > MOST_ENTRIES:
        raise TooLarge(
            f"a matrix of {rows} x {cols} is too large to be checked with numbers: at most {MOST_ENTRIES:,} entries"
        )


@lru_cache(maxsize=8192)
def _large(value: Node) -> tuple[tuple[sp.Expr, sp.Expr], ...]:
    """Return the shapes in an expression that may have too many entries where each size is below 100."""
    shapes = {node.shape for node in walk(value)}
    hundred = {atom: sp.Integer(100) for atom in size_atoms(size for shape in shapes for size in shape)}
    return tuple(s for s in shapes if s[0].xreplace(hundred) * s[1].xreplace(hundred) > MOST_ENTRIES)


def evaluate(
    program: Program, values: Values, sizes: Sizes, margins: Margins | None = None, nudges: Values | None = None
) -> dict[str, Any]:
    """Compute every variable of a program.

    Arguments
    ---------
    values:  arrays of the declared variables (and of tangents, where the program reads them): (rows, cols) each;
             a family is a dict from index tuple, or from the index if there is one, to array.
    sizes:   integers by size name; ``n[l]`` is a dict from index to integer under ``n``.
    margins: if given, records the distance from kinks.
    nudges:  increments of variables, declared or computed: each is added where the variable gets its value.

    Returns a dict from name to array, or to a dict from index tuple to array.
    Raises ``EvaluationError``: a missing value, a wrong shape, an unknown operation.
    """
    return Evaluator(program, values, sizes, nudges=nudges or {}, margins=margins).run()


@lru_cache(maxsize=65536)
def names_in(value: sp.Expr) -> tuple[str, ...]:
    """Return the names of the symbols in a size or an index: what its value depends on, beside the sizes."""
    return tuple(sorted(s.name for s in value.free_symbols))


def value_of(results: Mapping[str, Any], name: str) -> Any:
    """Return the single entry of a 1 x 1 result, such as the loss."""
    return results[name][0, 0]


# ---------------------------------------------------------------------------------------------------------
# Running statements: shared by every arithmetic


@dataclass
class Runner:
    """Runs the statements of a program; a subclass says what the operations do in its arithmetic."""

    program: Program
    values: Values
    sizes: Sizes
    nudges: Values = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    _numbers: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    def run(self) -> dict[str, Any]:
        """Run the program and return every variable."""
        for var in self.program.variables.values():
            if var.name in self.values:
                self._take(var, self.values[var.name])
            elif var.kind == "const" and var.value is not None and not var.indices:
                self.results[var.name] = self.literal(var.value)
            elif var.indices:
                self.results[var.name] = {}
            elif var.declared and var.kind != "state":  # a state is read in inference only
                raise UndefinedRead(f"no value is given for {var.name}")
        self._body(self.program.body, {})
        return self.results

    def _take(self, var: Var, given: Any) -> None:
        if not var.indices:
            array = self.entry(given)
            self._expect(var.name, array, var.shape, {})
            self.results[var.name] = self._nudged(var.name, (), array)
            return
        family = {}
        for key, member in dict(given).items():
            where = key if isinstance(key, tuple) else (key,)
            array = self.entry(member)
            at = {i.name: k for i, k in zip(var.indices, where, strict=True)}
            self._expect(f"{var.name}{list(where)}", array, var.shape, at)
            family[where] = self._nudged(var.name, where, array)
        self.results[var.name] = family

    def _expect(self, what: str | Ref, value: Any, shape: tuple[sp.Expr, sp.Expr], at: Mapping[str, int]) -> None:
        wanted = (self.integer(shape[0], at), self.integer(shape[1], at))
        if self.shape(value) != wanted:
            label = what.label if isinstance(what, Ref) else what
            raise ShapeMismatch(f"{label} has shape {self.shape(value)}, but is declared {wanted}")

    def _body(self, body: Sequence[Statement], at: dict[str, int]) -> None:
        for statement in body:
            if isinstance(statement, Loop):
                steps = range(self.integer(statement.lo, at), self.integer(statement.hi, at) + 1)
                for k in reversed(steps) if statement.down else steps:
                    self._body(statement.body, {**at, statement.index.name: k})
            else:
                self._equation(statement, at)

    def _equation(self, equation: Equation, at: dict[str, int]) -> None:
        target = equation.target
        value = self.expression(equation.value, at)
        where = tuple(self.integer(i, at) for i in target.indices)
        self._expect(target, value, (target.rows, target.cols), at)
        value = self._nudged(target.name, where, value)
        if target.indices:
            self.results.setdefault(target.name, {})[where] = value
        else:
            self.results[target.name] = value

    def _nudged(self, name: str, where: tuple[int, ...], value: Any) -> Any:
        if name not in self.nudges:
            return value
        nudge = self.nudges[name]
        if isinstance(nudge, Mapping):
            if where not in nudge:
                return value
            nudge = nudge[where]
        return self.on_Add(Zero(1, 1), [value, self.entry(nudge)], {})

    def expression(self, node: Node, at: Mapping[str, int]) -> Any:
        """Return the value of an expression at the given loop indices."""
        return self._visit(node, at, {})

    # A method and no inner function: one that calls itself would keep all values alive until a collection of garbage.
    def _visit(self, node: Node, at: Mapping[str, int], memo: dict[Node, Any]) -> Any:
        found = memo.get(node)
        if found is None:
            if isinstance(node, Ref):
                found = self.read(node, at)
            elif isinstance(node, SumOver):
                found = self.sum_over(node, at)
            else:
                rule = getattr(self, f"on_{type(node).__name__}", None)
                if rule is None:
                    raise UnknownOperation(f"the evaluator does not know the operation {type(node).__name__}")
                found = rule(node, [self._visit(o, at, memo) for o in node.operands], at)
            memo[node] = found
        return found

    def read(self, ref: Ref, at: Mapping[str, int]) -> Any:
        """Return a variable or a member; outside its pieces a message is zero."""
        if not ref.indices:
            if ref.name not in self.results:
                raise UndefinedRead(f"{ref.name} is read before it is assigned")
            return self.results[ref.name]
        where = tuple(self.integer(i, at) for i in ref.indices)
        family = self.results.get(ref.name, {})
        if where not in family:
            var = self.program.variables.get(ref.name)
            if var is None or not var.zero_outside:
                raise UndefinedRead(f"{ref.name}{list(where)} is read as {ref.label} but is not defined")
            return self.zeros(self.integer(ref.rows, at), self.integer(ref.cols, at))
        return family[where]

    def sum_over(self, node: SumOver, at: Mapping[str, int]) -> Any:
        """Return the sum over a bound index; an empty sum is zero."""
        lo, hi = (self.integer(e, at) for e in node.ends)
        body = node.args[0]
        terms = [self.expression(body, {**at, node.bound.name: k}) for k in range(lo, hi + 1)]
        if not terms:
            return self.zeros(self.integer(node.rows, at), self.integer(node.cols, at))
        return self.on_Add(node, terms, at)

    def scalar(self, value: sp.Expr, at: Mapping[str, int]) -> sp.Expr:
        """Return an exact number made of sizes and indices."""
        key = (value, *map(at.get, names_in(value)))
        found = self._numbers.get(key)
        if found is None:
            try:
                found = evaluate_scalar(value, self.sizes, dict(at))
            except KeyError as missing:
                raise EvaluationError(f"the size {missing.args[0]} has no value") from None
            self._numbers[key] = found
        return found

    def integer(self, value: sp.Expr, at: Mapping[str, int]) -> int:
        """Return a size or an index as an integer."""
        if value.is_Integer:
            return int(value)
        key = ("integer", value, *map(at.get, names_in(value)))
        found = self._numbers.get(key)
        if found is None:
            number = self.scalar(value, at)
            if not number.is_Integer:
                raise EvaluationError(f"{value} is {number}, not an integer")
            found = self._numbers[key] = int(number)
        return int(found)

    # What an arithmetic provides.
    def literal(self, rows: Sequence[Sequence[sp.Expr]]) -> Any:
        """Return exact entries as a matrix."""
        raise NotImplementedError

    def entry(self, given: Any) -> Any:
        """Return a given value in the arithmetic."""
        raise NotImplementedError

    def shape(self, value: Any) -> tuple[int, ...]:
        """Return the shape of a value."""
        raise NotImplementedError

    def zeros(self, rows: int, cols: int) -> Any:
        """Return a matrix of zeros."""
        raise NotImplementedError

    def on_Add(self, node: Node, terms: list[Any], at: Mapping[str, int]) -> Any:
        """Return the sum of matrices."""
        raise NotImplementedError


# ---------------------------------------------------------------------------------------------------------
# Numbers


@dataclass
class Evaluator(Runner):
    """A program on arrays of real, complex or mpmath numbers."""

    margins: Margins | None = None
    dtype: np.dtype[Any] = field(default=np.dtype(float), init=False)

    def __post_init__(self) -> None:
        arrays = []
        for given in (*self.values.values(), *self.nudges.values()):
            arrays += list(given.values()) if isinstance(given, Mapping) else [given]
        kinds = [np.asarray(a).dtype for a in arrays]
        self.dtype = np.dtype(object) if any(k.kind == "O" for k in kinds) else np.result_type(np.float64, *kinds)
        self.domain = Objects() if self.dtype == object else Numbers(self.dtype)

    def run(self) -> dict[str, Any]:
        with np.errstate(all="ignore"):
            return super().run()

    def _equation(self, equation: Equation, at: dict[str, int]) -> None:
        affordable(equation.value, self.sizes, at)
        super()._equation(equation, at)

    def entry(self, given: Any) -> Array:
        array = np.asarray(given)
        if array.dtype != object and self.dtype == object:
            return self.domain.convert(array)
        return array.astype(self.dtype)

    def literal(self, rows: Sequence[Sequence[sp.Expr]]) -> Array:
        return np.array([[self.domain.number(x) for x in row] for row in rows], dtype=self.dtype)

    def shape(self, value: Any) -> tuple[int, ...]:
        return tuple(value.shape)

    def zeros(self, rows: int, cols: int) -> Array:
        return self.filled(rows, cols, sp.S.Zero)

    def filled(self, rows: int, cols: int, number: sp.Expr) -> Array:
        """Return a matrix with one number in each entry."""
        return np.full((rows, cols), self.domain.number(number), dtype=self.dtype)

    def number(self, value: sp.Expr, at: Mapping[str, int]) -> Any:
        """Return a coefficient made of sizes as a number of the arithmetic."""
        exact = self.scalar(value, at)
        key = ("number", exact)
        if key not in self._numbers:
            self._numbers[key] = self.domain.number(exact)
        return self._numbers[key]

    # Leaves
    def on_Ones(self, node: Ones, _: list[Array], at: Mapping[str, int]) -> Array:
        return self.filled(self.integer(node.rows, at), self.integer(node.cols, at), sp.S.One)

    def on_Zero(self, node: Zero, _: list[Array], at: Mapping[str, int]) -> Array:
        return self.zeros(self.integer(node.rows, at), self.integer(node.cols, at))

    def on_Eye(self, node: Eye, _: list[Array], at: Mapping[str, int]) -> Array:
        n = self.integer(node.rows, at)
        return self.pattern(np.eye(n, dtype=int))

    def on_Mask(self, node: Mask, _: list[Array], at: Mapping[str, int]) -> Array:
        return self.pattern(mask_pattern(node.kind, self.integer(node.rows, at), self.integer(node.cols, at)))

    def pattern(self, array: Array) -> Array:
        """Return small exact entries (0, 1/2, 1) in the arithmetic."""
        out = self.zeros(*array.shape)
        out[array == 1] = self.domain.number(sp.S.One)
        out[array == 0.5] = self.domain.number(sp.S.Half)
        return out

    # Linear and multilinear operations
    def on_Add(self, node: Node, terms: list[Array], at: Mapping[str, int]) -> Array:
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def on_Scale(self, node: Scale, args: list[Array], at: Mapping[str, int]) -> Array:
        return args[0] * self.number(node.coefficient, at)

    def on_SMul(self, node: SMul, args: list[Array], at: Mapping[str, int]) -> Array:
        return args[0][0, 0] * args[1]

    def on_MatMul(self, node: MatMul, args: list[Array], at: Mapping[str, int]) -> Array:
        product = args[0]
        for factor in args[1:]:
            if product.shape[1] != factor.shape[0]:
                raise ShapeMismatch(f"a product of shapes {product.shape} and {factor.shape}")
            product = product @ factor
        return product

    def on_Hadamard(self, node: Hadamard, args: list[Array], at: Mapping[str, int]) -> Array:
        product = args[0]
        for factor in args[1:]:
            product = product * factor
        return product

    def on_Transpose(self, node: Transpose, args: list[Array], at: Mapping[str, int]) -> Array:
        return args[0].T

    def on_Diag(self, node: Diag, args: list[Array], at: Mapping[str, int]) -> Array:
        n = args[0].shape[0]
        out = self.zeros(n, n)
        out[np.arange(n), np.arange(n)] = args[0][:, 0]
        return out

    def on_DiagOf(self, node: DiagOf, args: list[Array], at: Mapping[str, int]) -> Array:
        return args[0][np.arange(args[0].shape[0]), np.arange(args[0].shape[1])][:, None]

    def on_Slice(self, node: Slice, args: list[Array], at: Mapping[str, int]) -> Array:
        r0, r1, c0, c1 = (self.integer(p, at) for p in node.args[1:])
        if not (0 <= r0 <= r1 <= args[0].shape[0] and 0 <= c0 <= c1 <= args[0].shape[1]):
            raise ShapeMismatch(f"the block [{r0}:{r1}, {c0}:{c1}] is not inside a matrix of shape {args[0].shape}")
        return args[0][r0:r1, c0:c1]

    def on_Embed(self, node: Embed, args: list[Array], at: Mapping[str, int]) -> Array:
        r0, c0, rows, cols = (self.integer(p, at) for p in node.args[1:])
        r, c = args[0].shape
        if not (r0 >= 0 and r0 + r <= rows and c0 >= 0 and c0 + c <= cols):
            raise ShapeMismatch(f"a block of shape {args[0].shape} at ({r0}, {c0}) is not inside {rows} x {cols}")
        out = self.zeros(rows, cols)
        out[r0 : r0 + r, c0 : c0 + c] = args[0]
        return out

    def on_Reshape(self, node: Reshape, args: list[Array], at: Mapping[str, int]) -> Array:
        shape = (self.integer(node.rows, at), self.integer(node.cols, at))
        return args[0].reshape(shape, order="C" if node.order == "C" else "F")

    def on_Kron(self, node: Kron, args: list[Array], at: Mapping[str, int]) -> Array:
        a, b = args
        grid = a[:, None, :, None] * b[None, :, None, :]
        return grid.reshape(a.shape[0] * b.shape[0], a.shape[1] * b.shape[1])

    def on_Einsum(self, node: Einsum, args: list[Array], at: Mapping[str, int]) -> Array:
        sizes = {letter: self.integer(n, at) for letter, n in node.spec.sizes.items()}
        return contracted(node.spec.operands, node.spec.out, sizes, args)

    def on_Gather(self, node: Gather, args: list[Array], at: Mapping[str, int]) -> Array:
        places = static_places(node.map, lambda p: self.integer(p, at), args[0].shape)
        out = self.zeros(*places.shape)
        out[places.here] = args[0][places.there]
        return out

    def on_Scatter(self, node: Scatter, args: list[Array], at: Mapping[str, int]) -> Array:
        places = static_places(node.map, lambda p: self.integer(p, at))
        if places.shape != args[0].shape:
            raise ShapeMismatch(f"{node.map.back} wants {places.shape}, not {args[0].shape}")
        out = self.zeros(*places.source)
        np.add.at(out, places.there, args[0][places.here])
        return out

    def on_Take(self, node: Take, args: list[Array], at: Mapping[str, int]) -> Array:
        found = whole_numbers(args[1].ravel(), args[0].shape[node.axis])
        return args[0][:, found] if node.axis == 1 else args[0][found, :]

    def on_AddAt(self, node: AddAt, args: list[Array], at: Mapping[str, int]) -> Array:
        out = self.zeros(self.integer(node.rows, at), self.integer(node.cols, at))
        for k, place in enumerate(whole_numbers(args[1].ravel(), out.shape[node.axis])):
            if node.axis == 1:
                out[:, place] += args[0][:, k]
            else:
                out[place, :] += args[0][k, :]
        return out

    # Non-linear operations
    def on_Map(self, node: Map, args: list[Array], at: Mapping[str, int]) -> Array:
        if self.margins is not None and not node.function.is_free:
            given = dict(zip(arguments(len(args)), args, strict=True))
            for distance in kinks(node.function):
                self.margins.note(
                    np.abs(real(np.asarray(interpret(distance, given, self.domain)))), f"a kink of {node.function.name}"
                )
        return self.domain.function(node.function, args)

    def on_Where(self, node: Where, args: list[Array], at: Mapping[str, int]) -> Array:
        return np.where(real(args[0]) != 0, args[1], args[2])

    def on_Compare(self, node: Compare, args: list[Array], at: Mapping[str, int]) -> Array:
        a, b = real(args[0]), real(args[1])
        if self.margins is not None and node.relation not in ("==", "!="):
            self.margins.note(np.abs(a - b), "a tie in a comparison")
        return self.pattern(compared(node.relation, a, b).astype(int))

    def on_Softmax(self, node: Softmax, args: list[Array], at: Mapping[str, int]) -> Array:
        e = self.domain.call("exp", args[0] - largest(args[0], node.axis))
        return e / e.sum(axis=node.axis, keepdims=True)

    def on_LogSumExp(self, node: LogSumExp, args: list[Array], at: Mapping[str, int]) -> Array:
        top = largest(args[0], node.axis)
        e = self.domain.call("exp", args[0] - top)
        return top + self.domain.call("log", e.sum(axis=node.axis, keepdims=True))

    def on_MaxAxis(self, node: MaxAxis, args: list[Array], at: Mapping[str, int]) -> Array:
        first = self.first_largest(args[0], node)
        return np.take_along_axis(args[0], first, axis=node.axis)

    def on_ArgmaxMask(self, node: ArgmaxMask, args: list[Array], at: Mapping[str, int]) -> Array:
        out = np.zeros(args[0].shape, dtype=int)
        np.put_along_axis(out, self.first_largest(args[0], node), 1, axis=node.axis)
        return self.pattern(out)

    def first_largest(self, a: Array, node: AxisNode) -> Array:
        """Return the position of the first largest entry along the axis."""
        numbers = real(a)
        if self.margins is not None and a.shape[node.axis] > 1:
            ordered = np.sort(numbers, axis=node.axis)
            top = np.take(ordered, [-2, -1], axis=node.axis)
            self.margins.note(np.diff(top, axis=node.axis), "a tie in a maximum")
        return np.expand_dims(np.argmax(numbers, axis=node.axis), node.axis)


def real(a: Array) -> Array:
    """Return the real part, on which decisions are taken."""
    if a.dtype == object:
        return np.frompyfunc(lambda x: x.real, 1, 1)(a)
    return np.real(a)


def largest(a: Array, axis: int) -> Array:
    """Return the largest real parts along an axis: a shift that leaves softmax and log-sum-exp analytic."""
    return real(a).max(axis=axis, keepdims=True)


def compared(relation: str, a: Any, b: Any) -> Any:
    """Return where a relation, written as in Python, holds."""
    table: dict[str, Callable[[Any, Any], Any]] = {
        ">": lambda x, y: x > y, ">=": lambda x, y: x >= y, "<": lambda x, y: x < y, "<=": lambda x, y: x <= y,
        "==": lambda x, y: x == y, "!=": lambda x, y: x != y,
    }
    if relation not in table:
        raise UnknownOperation(f"the evaluator does not know the relation {relation}")
    return table[relation](a, b)


def contracted(
    operands: Sequence[tuple[str, str]], out: tuple[str, str], sizes: Mapping[str, int], arrays: Sequence[Array]
) -> Array:
    """Return a contraction: one axis for each letter, everything multiplied, sums over what the result lacks.

    A letter that only the result has is spread; the arithmetic is that of the arrays.
    """
    letters = list(sizes)
    product: Any = None
    for sides, a in zip(operands, arrays, strict=True):
        own = "".join(sides)
        split = a.reshape([sizes[x] for x in own]).transpose([own.index(x) for x in letters if x in own])
        spread = split.reshape([sizes[x] if x in own else 1 for x in letters])
        product = spread if product is None else product * spread
    product = np.broadcast_to(product, [sizes[x] for x in letters])
    kept = "".join(out)
    product = product.sum(axis=tuple(k for k, x in enumerate(letters) if x not in kept))
    left = [x for x in letters if x in kept]
    shape = [math.prod(sizes[x] for x in side) for side in out]
    return np.asarray(product).transpose([left.index(x) for x in kept]).reshape(shape)


def mask_pattern(kind: str, rows: int, cols: int) -> Array:
    """Return a mask of zeros, halves and ones."""
    i, j = np.indices((rows, cols))
    table = {
        "tril": i >= j, "triu": i <= j, "strict_tril": i > j, "strict_triu": i < j, "diagonal": i == j,
        "off_diagonal": i != j, "half_lower": (i > j) + 0.5 * (i == j),
    }
    if kind not in table:
        raise UnknownOperation(f"the evaluator does not know the mask {kind}")
    return np.asarray(table[kind], dtype=float)


def whole_numbers(entries: Iterable[Any], below: int) -> list[int]:
    """Return entries as integers that count from 0 below a size; raise ``EvaluationError`` for any other entry."""
    found = []
    for entry in entries:
        real = sp.re(entry) if isinstance(entry, sp.Basic) else np.real(entry)
        number = int(real) if real == real and 0 <= real < below else -1
        if number < 0 or number != entry:
            raise EvaluationError(f"{entry} is no whole number from 0 to {below - 1}")
        found.append(number)
    return found


@dataclass(frozen=True)
class Places:
    """A static map at given sizes: the shapes of the result and of the source, and where its entries are in both.

    here, there: rows and columns in the result and, in the same order, in the source.
    """

    shape: tuple[int, int]
    source: tuple[int, int]
    here: tuple[Array, Array]
    there: tuple[Array, Array]

    @property
    def pairs(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """The places one by one: in the result and in the source."""
        here, there = (zip(*(a.tolist() for a in side), strict=True) for side in (self.here, self.there))
        return list(zip(here, there, strict=True))


def static_places(
    rule: StaticMap, integer: Callable[[sp.Expr], int], source: tuple[int, ...] | None = None
) -> Places:
    """Return the pairs of places of a static map, as plainly as it is defined: by a loop over all digits."""
    found = _places(
        tuple(integer(s) for s in rule.rows), tuple(integer(s) for s in rule.cols),
        tuple(tuple(integer(a) for a in d.args) for d in rule.source_rows),
        tuple(tuple(integer(a) for a in d.args) for d in rule.source_cols),
    )
    if source is not None and source != found.source:
        raise ShapeMismatch(f"{rule.name} wants {found.source}, not {source}")
    return found


@lru_cache(maxsize=256)
def _places(
    rows: tuple[int, ...], cols: tuple[int, ...], source_rows: tuple[tuple[int, ...], ...],
    source_cols: tuple[tuple[int, ...], ...],
) -> Places:
    pairs: list[tuple[int, int, int, int]] = []
    for at in itertools.product(*map(range, (*rows, *cols))):
        here: list[int] = []
        for values, sizes in ((at[: len(rows)], rows), (at[len(rows) :], cols)):
            place = 0
            for value, size in zip(values, sizes, strict=True):
                place = place * size + value
            here.append(place)
        there: list[int] = []
        inside = True
        for digits in (source_rows, source_cols):
            place = 0
            for size, offset, *coefficients in digits:
                value = offset + sum(c * d for c, d in zip(coefficients, at, strict=True))
                inside = inside and 0 <= value < size
                place = place * size + value
            there.append(place)
        if inside:
            pairs.append((here[0], here[1], there[0], there[1]))
    sides = [math.prod(x) for x in (rows, cols, [d[0] for d in source_rows], [d[0] for d in source_cols])]
    r, c, i, j = np.array(pairs, dtype=int).reshape(-1, 4).T
    return Places((sides[0], sides[1]), (sides[2], sides[3]), (r, c), (i, j))


# ---------------------------------------------------------------------------------------------------------
# Scalar functions on arrays of machine numbers


class Numbers:
    """NumPy's real and complex numbers: a domain for scalar laws, with closed stable forms of table functions."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.complex = dtype.kind == "c"
        self.real_type = (
            np.dtype(np.longdouble) if dtype in (np.dtype(np.longdouble), np.dtype(np.clongdouble)) else np.dtype(float)
        )

    def number(self, value: sp.Expr) -> Any:
        if value.is_Integer:
            return self.real_type.type(int(value))
        if self.real_type == np.float64:
            return np.float64(float(value))
        return self.real_type.type(str(sp.N(value, 30)))

    def convert(self, array: Array) -> Array:
        return array.astype(self.dtype)

    def function(self, function: Function, args: list[Array]) -> Array:
        """Return an elementwise function of arrays, by its closed form where there is one, else by its law.

        A complex step is not seen through a function whose derivative is zero by definition.
        """
        if is_held(function):
            args = [self.convert(real(a)) for a in args]
        if function.law is None and not function.is_free and len(args) == 1:
            closed = closed_form(self, function, args[0])
            if closed is not None:
                return closed
        law = scalar_law(function)
        out = interpret(law, dict(zip(arguments(len(args)), args, strict=True)), self)
        return np.broadcast_to(np.asarray(out, dtype=self.dtype), args[0].shape)

    def add(self, values: Sequence[Any]) -> Any:
        total = values[0]
        for v in values[1:]:
            total = total + v
        return total

    def mul(self, values: Sequence[Any]) -> Any:
        product = values[0]
        for v in values[1:]:
            product = product * v
        return product

    def power(self, base: Any, exponent: sp.Expr) -> Any:
        if exponent.is_Integer:
            n = int(exponent)
            return base**n if n >= 0 else 1 / base ** (-n)
        if exponent.q == 2:
            return self.power(np.sqrt(base), sp.Integer(exponent.p))
        return np.power(base, self.number(exponent))

    def power2(self, base: Any, exponent: Any) -> Any:
        return np.power(base, exponent)

    def call(self, name: str, value: Any) -> Any:
        if name == "erf":
            return erf(np.asarray(value))
        return getattr(np, {"atan": "arctan"}.get(name, name))(value)

    def relation(self, op: str, a: Any, b: Any) -> Any:
        return compared(op, np.real(a), np.real(b))

    def select(self, cases: Sequence[tuple[Any, Callable[[], Any]]]) -> Any:
        if cases[-1][0] is not True:
            raise EvaluationError("a selection without a last case that always holds")
        out = cases[-1][1]()
        for condition, value in reversed(cases[:-1]):
            out = np.where(condition, value(), out)
        return out


def _logistic(z: Array) -> Array:
    """Return the logistic function without overflow."""
    small = np.exp(np.where(np.real(z) > 0, -z, z))
    return np.where(np.real(z) > 0, 1, small) / (1 + small)


def _log1p(z: Array) -> Array:
    """Return log(1 + z); NumPy's loses the real part of a small complex number."""
    if z.dtype.kind != "c":
        return np.log1p(z)
    x, y = z.real, z.imag
    return np.log1p(x * (2 + x) + y * y) / 2 + 1j * np.arctan2(y, 1 + x)


def _softplus(z: Array) -> Array:
    """Return log(1 + exp(z)) without overflow."""
    re = np.real(z)
    return np.where(re > 0, z, 0 * z) + _log1p(np.exp(np.where(re > 0, -z, z)))


def _logistic_derivative(z: Array, order: int) -> Array:
    """Return a derivative of the logistic function, as s(z) s(-z) times a polynomial in s."""
    s = _logistic(z)
    if order == 0:
        return s
    # s' = u = s (1 - s), u' = u (1 - 2 s): u q(s) differentiates to u ((1 - 2 s) q + s (1 - s) q').
    x = np.polynomial.Polynomial([0.0, 1.0])
    q = np.polynomial.Polynomial([1.0])
    for _ in range(order - 1):
        q = (1 - 2 * x) * q + (x - x * x) * q.deriv()
    return s * _logistic(-z) * q(s)


def _gate_derivative(z: Array, order: int) -> Array:
    """Return a derivative of tanh(softplus(z)) = (1 - q^2) / (1 + q^2), q = s(-z)."""
    if order == 0:
        return np.tanh(_softplus(z))
    # The first is 4 q^2 (1 - q) / (1 + q^2)^2; q' = -q (1 - q) keeps the form q^2 (1 - q) n(q) / (1 + q^2)^k.
    x = np.polynomial.Polynomial([0.0, 1.0])
    n = np.polynomial.Polynomial([4.0])
    for k in range(2, order + 1):
        n = 2 * k * x * x * (1 - x) * n - (1 + x * x) * ((2 - 3 * x) * n + (x - x * x) * n.deriv())
    q = _logistic(-z)
    return q * q * _logistic(z) * n(q) / (1 + q * q) ** (order + 1)


def _gauss_derivative(z: Array, order: int) -> Array:
    """Return a derivative of exp(-z^2), by Hermite's polynomials."""
    h = np.polynomial.Hermite.basis(order)
    return (-1) ** order * h(z) * np.exp(-z * z)


def _erf_derivative(numbers: Numbers, z: Array, order: int) -> Array:
    if order == 0:
        return erf(z)
    return _gauss_derivative(z, order - 1) * numbers.number(2 / sp.sqrt(sp.pi))


def _factorial_power(z: Array, p: sp.Expr, order: int, numbers: Numbers) -> Array:
    """Return the derivative of z**p: a falling factorial times a power."""
    factor = sp.S.One
    for k in range(order):
        factor *= p - k
    return z * 0 if factor == 0 else numbers.power(z, p - order) * numbers.number(factor)


def closed_form(numbers: Numbers, function: Function, z: Array) -> Array | None:
    """Return a table function or one of its derivatives by a stable closed form; None if the law will do.

    The tests compare every closed form with the law at 50 digits.
    """
    name, order, p = function.name, function.orders[0], function.parameters
    re, one = np.real(z), np.ones_like(z)
    below = np.where(re > 0, 0 * z, z)  # the exponential of an argument that is not selected must not overflow
    if name in ("recip", "recip0"):
        safe = np.where(re == 0, one, z) if name == "recip0" else z
        value = (-1) ** order * math.factorial(order) / safe ** (order + 1)
        return np.where(re == 0, 0 * one, value) if name == "recip0" else value
    if name == "power":
        return _factorial_power(z, p[0], order, numbers)
    if name == "sqrt":
        return _factorial_power(z, sp.S.Half, order, numbers)
    if name == "exp":
        return np.exp(z)
    if name == "log":
        return np.log(z) if order == 0 else (-1) ** (order - 1) * math.factorial(order - 1) / z**order
    if name == "sigmoid":
        return _logistic_derivative(z, order)
    if name == "softplus":
        return _logistic_derivative(z, order - 1) if order else _softplus(z)
    if name == "tanh" and order:
        return 2 ** (order + 1) * _logistic_derivative(2 * z, order)
    if name == "silu":
        return z * _logistic_derivative(z, order) + (order * _logistic_derivative(z, order - 1) if order else 0)
    if name == "mish":
        return z * _gate_derivative(z, order) + (order * _gate_derivative(z, order - 1) if order else 0)
    if name == "erf":
        return _erf_derivative(numbers, z, order)
    if name == "gelu":
        root = numbers.number(sp.sqrt(sp.Integer(2)))

        def normal(k: int) -> Array:
            return (one * (k == 0) + _erf_derivative(numbers, z / root, k) / root**k) / 2

        return z * normal(order) + (order * normal(order - 1) if order else 0)
    if name == "abs":
        return np.sign(re) * (z, one)[order] if order < 2 else 0 * z
    if name == "sign":
        return np.sign(re) * one if order == 0 else 0 * z
    if name == "step":
        return np.where(re > 0, one, 0 * one) if order == 0 else 0 * z
    if name in ("relu", "leaky_relu"):
        low = numbers.number(p[0]) if p else 0
        return np.where(re > 0, (z, one)[order], low * (z, one)[order]) if order < 2 else 0 * z
    if name == "elu":
        high = (z, one, 0 * one)[min(order, 2)]
        return np.where(re > 0, high, numbers.number(p[0]) * (np.expm1(below) if order == 0 else np.exp(below)))
    if name == "softsign":
        away = np.sign(re) * z
        if order == 0:
            return z / (1 + away)
        side = np.where(re > 0, -one, one) ** (order + 1)
        return side * math.factorial(order) / (1 + away) ** (order + 1)
    return None


_erf_real = np.frompyfunc(math.erf, 1, 1)


def erf(z: Array) -> Array:
    """Return the error function of a real or complex array.

    Real: the C library.  Complex: Salzer's series (Abramowitz & Stegun 7.1.29), relative error about 1e-15 for
    |z| < 6, relative also in a small imaginary part.  Extended precision: mpmath.
    """
    if z.dtype.kind == "c" and z.dtype == np.complex128:
        return _erf_complex(z)
    if z.dtype == np.longdouble:
        with mpmath.workdps(30):
            flat = [np.longdouble(mpmath.nstr(mpmath.erf(mpmath.mpf(str(x))), 25)) for x in z.ravel()]
        return np.array(flat, dtype=np.longdouble).reshape(z.shape)
    if z.dtype.kind == "f":
        return np.asarray(_erf_real(z), dtype=float)
    raise UnknownOperation(f"erf of an array of type {z.dtype}")


def _erf_complex(z: Array) -> Array:
    x, y = z.real, z.imag
    wave, half = 2 * x * y, x == 0
    safe = np.where(half, 1.0, x)
    gauss = np.exp(-x * x)
    # 1 - cos(w) = 2 sin(w/2)^2 keeps its digits for small w.
    re = np.where(half, 0.0, 2 * np.sin(wave / 2) ** 2 / (2 * np.pi * safe))
    im = np.where(half, y / np.pi, np.sin(wave) / (2 * np.pi * safe))
    cos, sin = np.cos(wave), np.sin(wave)
    reach = int(2 * np.max(np.abs(y), initial=0.0)) + 14
    for n in range(1, reach + 1):
        weight = 2 / np.pi * math.exp(-n * n / 4) / (n * n + 4 * x * x)
        ch, sh = np.cosh(n * y), np.sinh(n * y)
        # 2x (1 - cosh cos) written without cancellation.
        lost = 2 * np.sin(wave / 2) ** 2 * ch - 2 * np.sinh(n * y / 2) ** 2
        re = re + weight * (2 * x * lost + n * sh * sin)
        im = im + weight * (2 * x * ch * sin + n * sh * cos)
    return np.asarray(_erf_real(x), dtype=float) + gauss * (re + 1j * im)


# ---------------------------------------------------------------------------------------------------------
# Scalar functions on mpmath numbers


class Objects:
    """Arrays of mpmath numbers, at the working precision of mpmath: everything by the law."""

    complex = True

    def number(self, value: sp.Expr) -> Any:
        if value.is_Rational:
            return mpmath.mpf(int(value.p)) / int(value.q)
        return mpmath.mpf(sp.N(value, mpmath.mp.dps + 10)._mpf_)

    def convert(self, array: Array) -> Array:
        make = (lambda x: mpmath.mpc(complex(x))) if array.dtype.kind == "c" else (lambda x: mpmath.mpf(float(x)))
        return np.frompyfunc(make, 1, 1)(array)

    def function(self, function: Function, args: list[Array]) -> Array:
        law, symbols = scalar_law(function), arguments(len(args))
        args = [real(a) for a in args] if is_held(function) else args
        out = np.empty(args[0].shape, dtype=object)
        for where in np.ndindex(*out.shape):
            out[where] = interpret(law, {s: a[where] for s, a in zip(symbols, args, strict=True)}, self)
        return out

    def add(self, values: Sequence[Any]) -> Any:
        return sum(values[1:], values[0])

    def mul(self, values: Sequence[Any]) -> Any:
        product = values[0]
        for v in values[1:]:
            product = product * v
        return product

    def power(self, base: Any, exponent: sp.Expr) -> Any:
        return base ** int(exponent) if exponent.is_Integer else mpmath.power(base, self.number(exponent))

    def power2(self, base: Any, exponent: Any) -> Any:
        return mpmath.power(base, exponent)

    def call(self, name: str, value: Any) -> Any:
        one = getattr(mpmath, name)
        return np.frompyfunc(one, 1, 1)(value) if isinstance(value, np.ndarray) else one(value)

    def relation(self, op: str, a: Any, b: Any) -> Any:
        return bool(compared(op, a.real, b.real))

    def select(self, cases: Sequence[tuple[Any, Callable[[], Any]]]) -> Any:
        return next(value for condition, value in cases if condition)()
