"""Programs as explicit SymPy matrices: every entry a scalar expression, to be differentiated by SymPy itself.

This is the dearest and plainest of all checks: at tiny sizes the loss is one scalar expression of the entries of the
parameters, SymPy's scalar calculus gives its derivatives, and 50 digits tell whether the derived gradients agree.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import sympy as sp

from symbp.expr import (
    AddAt, ArgmaxMask, Compare, Diag, DiagOf, Einsum, Embed, Eye, Function, Gather, Hadamard, Kron, LogSumExp, Map,
    Mask, MatMul, MaxAxis, Node, Ones, Reshape, Scale, Scatter, Slice, SMul, Softmax, Take, Transpose, Where, Zero,
)
from symbp.program import Program
from symbp.verify.evaluate import Runner, contracted, mask_pattern, static_places, whole_numbers
from symbp.verify.scalars import UnknownOperation, arguments, is_held, scalar_law
from symbp.verify.witnesses import Finding, measured

Matrix = sp.ImmutableDenseMatrix
DIGITS = 50


class Held(sp.Function):
    """A scalar through which SymPy does not differentiate."""

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Return the derivative, which is zero by definition."""
        return sp.S.Zero

    def _eval_evalf(self, prec: int) -> sp.Expr:
        return self.args[0]._evalf(prec)



def to_sympy(program: Program, values: Mapping[str, Any], sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Return every variable of a program as an explicit SymPy matrix (a family: as a dict of them by index tuple).

    Arguments
    ---------
    values: explicit matrices of symbols or exact numbers by name.
    sizes:  integers by size name.

    Raises ``UnknownOperation`` for an operation without a counterpart.
    """
    return Explicit(program, values, sizes).run()


def symbols_for(name: str, rows: int, cols: int) -> Any:
    """Return a matrix of real symbols ``name_i_j``."""
    return Matrix(rows, cols, lambda i, j: sp.Symbol(f"{name}_{i}_{j}", real=True))


def exact(array: np.ndarray[Any, Any], digits: int = 6) -> Any:
    """Return numbers as exact fractions with few digits, so that nothing is lost on the way to 50."""
    return Matrix(*array.shape, [sp.Rational(round(float(x) * 10**digits), 10**digits) for x in array.ravel()])


@dataclass
class Explicit(Runner):
    """A program on explicit matrices of SymPy scalars."""

    def entry(self, given: Any) -> Any:
        return Matrix(given)

    def literal(self, rows: Sequence[Sequence[sp.Expr]]) -> Any:
        return Matrix(rows)

    def shape(self, value: Any) -> tuple[int, ...]:
        return tuple(value.shape)

    def zeros(self, rows: int, cols: int) -> Any:
        return Matrix.zeros(rows, cols)

    def _size(self, node: Node, at: Mapping[str, int]) -> tuple[int, int]:
        return self.integer(node.rows, at), self.integer(node.cols, at)

    def _pattern(self, kind: str, rows: int, cols: int) -> Any:
        return Matrix(rows, cols, [sp.Rational(x) for x in mask_pattern(kind, rows, cols).ravel().tolist()])

    # Leaves
    def on_Ones(self, node: Ones, _: list[Any], at: Mapping[str, int]) -> Any:
        return Matrix.ones(*self._size(node, at))

    def on_Zero(self, node: Zero, _: list[Any], at: Mapping[str, int]) -> Any:
        return Matrix.zeros(*self._size(node, at))

    def on_Eye(self, node: Eye, _: list[Any], at: Mapping[str, int]) -> Any:
        return Matrix.eye(self.integer(node.rows, at))

    def on_Mask(self, node: Mask, _: list[Any], at: Mapping[str, int]) -> Any:
        return self._pattern(node.kind, *self._size(node, at))

    # Linear and multilinear operations
    def on_Add(self, node: Node, terms: list[Any], at: Mapping[str, int]) -> Any:
        return reduce(lambda a, b: a + b, terms)

    def on_Scale(self, node: Scale, args: list[Any], at: Mapping[str, int]) -> Any:
        return args[0] * self.scalar(node.coefficient, at)

    def on_SMul(self, node: SMul, args: list[Any], at: Mapping[str, int]) -> Any:
        return args[1] * args[0][0, 0]

    def on_MatMul(self, node: MatMul, args: list[Any], at: Mapping[str, int]) -> Any:
        return reduce(lambda a, b: a * b, args)

    def on_Hadamard(self, node: Hadamard, args: list[Any], at: Mapping[str, int]) -> Any:
        return reduce(lambda a, b: a.multiply_elementwise(b), args)

    def on_Transpose(self, node: Transpose, args: list[Any], at: Mapping[str, int]) -> Any:
        return args[0].T

    def on_Diag(self, node: Diag, args: list[Any], at: Mapping[str, int]) -> Any:
        return Matrix(len(args[0]), len(args[0]), lambda i, j: args[0][i, 0] if i == j else 0)

    def on_DiagOf(self, node: DiagOf, args: list[Any], at: Mapping[str, int]) -> Any:
        return Matrix([[args[0][k, k]] for k in range(args[0].rows)])

    def on_Slice(self, node: Slice, args: list[Any], at: Mapping[str, int]) -> Any:
        r0, r1, c0, c1 = (self.integer(p, at) for p in node.args[1:])
        return args[0][r0:r1, c0:c1]

    def on_Embed(self, node: Embed, args: list[Any], at: Mapping[str, int]) -> Any:
        r0, c0 = self.integer(node.args[1], at), self.integer(node.args[2], at)
        a, (rows, cols) = args[0], self._size(node, at)
        inside = {(i + r0, j + c0): a[i, j] for i, j in itertools.product(range(a.rows), range(a.cols))}
        return Matrix(rows, cols, lambda i, j: inside.get((int(i), int(j)), sp.S.Zero))

    def on_Reshape(self, node: Reshape, args: list[Any], at: Mapping[str, int]) -> Any:
        rows, cols = self._size(node, at)
        if node.order == "C":
            return args[0].reshape(rows, cols)
        return args[0].T.reshape(cols, rows).T

    def on_Kron(self, node: Kron, args: list[Any], at: Mapping[str, int]) -> Any:
        a, b = args
        return Matrix(
            a.rows * b.rows, a.cols * b.cols, lambda i, j: a[i // b.rows, j // b.cols] * b[i % b.rows, j % b.cols]
        )

    def on_Einsum(self, node: Einsum, args: list[Any], at: Mapping[str, int]) -> Any:
        sizes = {letter: self.integer(n, at) for letter, n in node.spec.sizes.items()}
        arrays = [np.array(a.tolist(), dtype=object).reshape(a.shape) for a in args]
        return Matrix(contracted(node.spec.operands, node.spec.out, sizes, arrays).tolist())

    def on_Gather(self, node: Gather, args: list[Any], at: Mapping[str, int]) -> Any:
        places = static_places(node.map, lambda p: self.integer(p, at))
        found = dict(places.pairs)
        return Matrix(
            *places.shape, lambda r, c: args[0][found[int(r), int(c)]] if (int(r), int(c)) in found else sp.S.Zero
        )

    def on_Scatter(self, node: Scatter, args: list[Any], at: Mapping[str, int]) -> Any:
        places = static_places(node.map, lambda p: self.integer(p, at))
        out = sp.zeros(*places.source)
        for here, there in places.pairs:
            out[there] += args[0][here]
        return Matrix(out)

    def on_Take(self, node: Take, args: list[Any], at: Mapping[str, int]) -> Any:
        found = whole_numbers(args[1].flat(), args[0].shape[node.axis])
        return args[0].extract(list(range(args[0].rows)), found) if node.axis == 1 else args[0].extract(
            found, list(range(args[0].cols))
        )

    def on_AddAt(self, node: AddAt, args: list[Any], at: Mapping[str, int]) -> Any:
        rows, cols = self._size(node, at)
        found = whole_numbers(args[1].flat(), (rows, cols)[node.axis])

        def entry(i: int, j: int) -> Any:
            here = [k for k, place in enumerate(found) if place == (i, j)[node.axis]]
            return sp.Add(*(args[0][i, k] if node.axis == 1 else args[0][k, j] for k in here))

        return Matrix(rows, cols, lambda i, j: entry(int(i), int(j)))

    # Non-linear operations
    def on_Map(self, node: Map, args: list[Any], at: Mapping[str, int]) -> Any:
        return self.mapped(node.function, *args)

    def mapped(self, function: Function, *args: Any) -> Any:
        """Return the law of a function at each entry."""
        law, symbols = scalar_law(function), arguments(len(args))
        if is_held(function) and not any(function.orders):
            law = Held(law)
        entries = [
            law.xreplace(dict(zip(symbols, values, strict=True)))
            for values in zip(*(a.flat() for a in args), strict=True)
        ]
        return Matrix(*args[0].shape, entries)

    def on_Where(self, node: Where, args: list[Any], at: Mapping[str, int]) -> Any:
        pairs = zip(*(a.flat() for a in args), strict=True)
        return Matrix(*args[0].shape, [sp.Piecewise((a, sp.Ne(m, 0)), (b, True)) for m, a, b in pairs])

    def on_Compare(self, node: Compare, args: list[Any], at: Mapping[str, int]) -> Any:
        table: dict[str, Callable[[Any, Any], Any]] = {
            ">": sp.Gt, ">=": sp.Ge, "<": sp.Lt, "<=": sp.Le, "==": sp.Eq, "!=": sp.Ne,
        }
        if node.relation not in table:
            raise UnknownOperation(f"no counterpart of the relation {node.relation}")
        holds = [table[node.relation](a, b) for a, b in zip(args[0].flat(), args[1].flat(), strict=True)]
        return Matrix(*args[0].shape, [sp.Piecewise((1, h), (0, True)) for h in holds])

    def _lines(self, a: Any, axis: int) -> list[list[sp.Expr]]:
        m = a.T if axis == 0 else a
        return [list(m.row(k)) for k in range(m.rows)]

    def _from_lines(self, lines: list[list[sp.Expr]], axis: int) -> Any:
        return Matrix(lines).T if axis == 0 else Matrix(lines)

    def on_Softmax(self, node: Softmax, args: list[Any], at: Mapping[str, int]) -> Any:
        lines = [[sp.exp(x) / sum(sp.exp(y) for y in line) for x in line] for line in self._lines(args[0], node.axis)]
        return self._from_lines(lines, node.axis)

    def on_LogSumExp(self, node: LogSumExp, args: list[Any], at: Mapping[str, int]) -> Any:
        lines = [[sp.log(sum(sp.exp(y) for y in line))] for line in self._lines(args[0], node.axis)]
        return self._from_lines(lines, node.axis)

    def _first_largest(self, line: list[sp.Expr]) -> list[sp.Expr]:
        """Return for each entry the condition that it is the first largest one."""
        return [
            sp.And(*(x > y for y in line[:k]), *(x >= y for y in line[k + 1 :])) for k, x in enumerate(line)
        ]

    def on_MaxAxis(self, node: MaxAxis, args: list[Any], at: Mapping[str, int]) -> Any:
        lines = []
        for line in self._lines(args[0], node.axis):
            cases = list(zip(line, self._first_largest(line), strict=True))
            lines.append([sp.Piecewise(*cases[:-1], (line[-1], True))])
        return self._from_lines(lines, node.axis)

    def on_ArgmaxMask(self, node: ArgmaxMask, args: list[Any], at: Mapping[str, int]) -> Any:
        lines = [
            [sp.Piecewise((1, holds), (0, True)) for holds in self._first_largest(line)]
            for line in self._lines(args[0], node.axis)
        ]
        return self._from_lines(lines, node.axis)



def gradients_by_sympy(
    source: Program,
    derived: Program,
    gradients: Mapping[str, str],
    values: Mapping[str, Any],
    sizes: Mapping[str, Any],
    output: str = "loss",
    digits: int = DIGITS,
    most: int = 12,
) -> list[Finding]:
    """Compare derived gradients with SymPy's scalar derivatives of the explicit loss, at many digits.

    Arguments
    ---------
    values: arrays of the declared variables (rounded to six digits, then exact).
    sizes:  tiny ones: the loss becomes one scalar expression per entry of a parameter.
    most:   how many entries of each matrix are looked at, evenly spread.
    """
    point = {n: {k: exact(a) for k, a in v.items()} if isinstance(v, Mapping) else exact(v) for n, v in values.items()}
    stated = to_sympy(derived, point, sizes)
    findings = []
    unknown = sp.Symbol("w", real=True)
    for name, bar in gradients.items():
        worst, where = sp.S.Zero, ""
        blocks: Mapping[Any, Any] = point[name] if isinstance(point[name], Mapping) else {(): point[name]}
        for member, block in blocks.items():
            said = stated[bar][member] if member else stated[bar]
            entries = list(itertools.product(range(block.rows), range(block.cols)))
            for i, j in entries[:: max(1, -(-len(entries) // most))]:
                moved = block.as_mutable()
                moved[i, j] = unknown
                given = {**point, name: {**blocks, member: Matrix(moved)} if member else Matrix(moved)}
                loss = to_sympy(source, given, sizes)[output][0, 0]
                slope = sp.diff(loss, unknown).xreplace({unknown: block[i, j]})
                a, b = sp.N(slope, digits + 5), sp.N(said[i, j], digits + 5)
                error = abs(a - b) / (abs(a) + abs(b) + sp.Rational(1, 10**6))
                if error > worst:
                    worst, where = error, f"entry {(i, j)} of {name}{list(member) if member else ''}: {b}, not {a}"
        findings.append(measured("SymPy's scalar derivatives", bar, float(worst), 10.0 ** (5 - digits), sizes, where))
    return findings
