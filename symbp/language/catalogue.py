"""The operations of the language under their NumPy names, each a composition of primitives.

In scope: matrix expressions with NumPy's operators.  Axis 0 runs down the rows, axis 1 along the columns; reductions
keep their axis.  Elementwise functions are taken from the rule book, so a new one needs no line here.
"""

# mypy: disable-error-code="no-any-return"
# Expressions are interned: their constructors return what is there already, which the type checker cannot see.

from __future__ import annotations

from typing import Any

import sympy as sp

from symbp.expr import (
    ArgmaxMask,
    Diag,
    DiagOf,
    Embed,
    Eye,
    Function,
    Hadamard,
    Kron,
    LogSumExp,
    Mask,
    MatMul,
    MaxAxis,
    Node,
    Ones,
    Ref,
    Reshape,
    Slice,
    Softmax,
    SumOver,
    T,
    Zero,
    add,
    apply,
    compare,
    constant,
    expanded,
    index,
    is_one,
    plus,
    power,
    same_size,
    scaled,
    shape_text,
    sum_axis,
    total,
    where,
)
from symbp.language.arithmetic import (
    add_values,
    column,
    divide_values,
    is_mask,
    multiply_values,
    product,
    split_coefficient,
    to_power,
)
from symbp.language.contractions import WRITTEN, contraction
from symbp.language.diagnostics import Mistake
from symbp.language.operations import OPERATIONS, Call, Operation, Parameter, operation
from symbp.language.scalars import Value, apply_scalar
from symbp.ops.elementwise import ELEMENTWISE
from symbp.program import fresh_name

HALF = sp.Rational(1, 2)

# ---------------------------------------------------------------------------------------------------------
# Elementwise functions of the rule book

INTERNAL = ("recip", "recip0", "power", "pow")


def elementwise(name: str, *values: Value, parameters: tuple[Any, ...] = ()) -> Value:
    """Return an elementwise function of the table, of matrices or of numbers."""
    entry = ELEMENTWISE[name]
    if not any(isinstance(v, Node) for v in values) and len(values) == 1 and not entry.parameters:
        return apply_scalar(name, values[0])
    return apply(entry.function(*parameters), *values)


def _register_elementwise() -> None:
    for name, entry in ELEMENTWISE.items():
        if name in INTERNAL:
            continue
        defaults = entry.defaults or (None,) * len(entry.parameters)
        parameters = tuple(
            Parameter(p, "scalar", *(() if d is None else (d,)))
            for p, d in zip(entry.parameters, defaults, strict=True)
        )
        inside = ", ".join(
            [
                "U",
                *(
                    p.name if len(p.name) and d is None else f"{p.name}={d}"
                    for p, d in zip(parameters, defaults, strict=True)
                ),
            ]
        )

        def build(call: Call, U: Value, _name: str = name, **given: Any) -> Value:
            return elementwise(_name, U, parameters=tuple(given.values()))

        where_said = "; ".join(filter(None, (entry.domain, entry.kinks)))
        meaning = f"{name} of each entry" + (f" ({where_said})" if where_said else "")
        found = Operation(
            name, f"{name}({inside})", meaning, build, (Parameter("U", "value"), *parameters), entry.aliases
        )
        for key in (name, *entry.aliases):
            OPERATIONS[key] = found


_register_elementwise()
for _alias, _name in {
    "absolute": "abs",
    "fabs": "abs",
    "atan": "arctan",
    "logistic": "sigmoid",
    "expit": "sigmoid",
    "swish": "silu",
}.items():
    if _alias not in OPERATIONS:
        _old = OPERATIONS[_name]
        _new = Operation(_old.name, _old.signature, _old.meaning, _old.build, _old.parameters, (*_old.aliases, _alias))
        for _key in (_new.name, *_new.aliases):
            OPERATIONS[_key] = _new


@operation("log1p(U)", "log(1 + U)")
def log1p(call: Call, U: Value) -> Value:
    return elementwise("log", add_values(sp.S.One, U))


@operation("expm1(U)", "exp(U) - 1")
def expm1(call: Call, U: Value) -> Value:
    return add_values(elementwise("exp", U), sp.S.NegativeOne)


@operation("log2(U)", "log(U)/log(2)")
def log2(call: Call, U: Value) -> Value:
    return multiply_values(1 / sp.log(2), elementwise("log", U))


@operation("log10(U)", "log(U)/log(10)")
def log10(call: Call, U: Value) -> Value:
    return multiply_values(1 / sp.log(10), elementwise("log", U))


@operation("tan(U)", "sin(U)/cos(U)")
def tan(call: Call, U: Value) -> Value:
    return divide_values(elementwise("sin", U), elementwise("cos", U))


@operation("sinh(U)", "(exp(U) - exp(-U))/2")
def sinh(call: Call, U: Value) -> Value:
    return multiply_values(
        HALF,
        add_values(
            elementwise("exp", U), multiply_values(sp.S.NegativeOne, elementwise("exp", multiply_values(-sp.S.One, U)))
        ),
    )


@operation("cosh(U)", "(exp(U) + exp(-U))/2")
def cosh(call: Call, U: Value) -> Value:
    return multiply_values(
        HALF, add_values(elementwise("exp", U), elementwise("exp", multiply_values(sp.S.NegativeOne, U)))
    )


@operation("square(U)", "U**2")
def square(call: Call, U: Value) -> Value:
    return to_power(U, sp.Integer(2))


@operation("reciprocal(U)", "1/U")
def reciprocal(call: Call, U: Value) -> Value:
    return divide_values(sp.S.One, U)


@operation("power(U, exponent)", "U**exponent, entry by entry", "pow")
def power_(call: Call, U: Value, exponent: Value) -> Value:
    return to_power(U, exponent)


@operation("maximum(U, V)", "the larger of two entries; at ties the first", "fmax")
def maximum(call: Call, U: Value, V: Value) -> Node:
    return where(compare(">=", U, V), U, V)


@operation("minimum(U, V)", "the smaller of two entries; at ties the first", "fmin")
def minimum(call: Call, U: Value, V: Value) -> Node:
    return where(compare("<=", U, V), U, V)


@operation("clip(A, lo, hi)", "the entries brought into lo..hi", method=True)
def clip(call: Call, A: Node, lo: Value, hi: Value) -> Node:
    return minimum(call, maximum(call, A, lo), hi)


@operation("logaddexp(U, V)", "log(exp(U) + exp(V)), without overflow")
def logaddexp(call: Call, U: Value, V: Value) -> Node:
    return plus(U, apply(Function("softplus"), plus(V, multiply_values(sp.S.NegativeOne, U))))


@operation("where(M, U, V)", "U where M is 1, V where it is 0; M is a comparison or a 0/1 matrix")
def where_(call: Call, M: Node, U: Value, V: Value) -> Node:
    if not is_mask(M, call.is_mask):
        raise Mistake(
            "O006",
            "where wants a comparison, or a name with the fact mask or binary",
            f"write a comparison, for example `where({M} != 0, ...)`" if isinstance(M, Ref) else "",
        )
    return where(M, U, V)


# -- activations that are compositions


@operation("relu6(U)", "relu up to 6: 3*hard_tanh(U/3 - 1) + 3")
def relu6(call: Call, U: Value) -> Value:
    inside = add_values(multiply_values(sp.Rational(1, 3), U), sp.S.NegativeOne)
    return add_values(multiply_values(sp.Integer(3), elementwise("hard_tanh", inside)), sp.Integer(3))


@operation("hard_sigmoid(U)", "hard_tanh(U/3)/2 + 1/2: 0 below -3, 1 above 3", "hardsigmoid")
def hard_sigmoid(call: Call, U: Value) -> Value:
    inside = elementwise("hard_tanh", multiply_values(sp.Rational(1, 3), U))
    return add_values(multiply_values(HALF, inside), HALF)


@operation("hard_swish(U)", "U * hard_sigmoid(U)", "hardswish")
def hard_swish(call: Call, U: Value) -> Value:
    return multiply_values(U, hard_sigmoid(call, U))


@operation("selu(U)", "lam * elu(U, alpha) with the numbers at which mean 0 and variance 1 are a fixed point")
def selu(call: Call, U: Value) -> Value:
    # Klambauer et al. 2017, as exact decimals.
    lam, alpha = sp.Rational("1.0507009873554805"), sp.Rational("1.6732632423543772")
    return multiply_values(lam, elementwise("elu", U, parameters=(alpha,)))


@operation("log_sigmoid(U)", "log(sigmoid(U)), without overflow: -softplus(-U)", "logsigmoid")
def log_sigmoid(call: Call, U: Value) -> Value:
    return multiply_values(sp.S.NegativeOne, elementwise("softplus", multiply_values(sp.S.NegativeOne, U)))


# -- arithmetic under its NumPy names


@operation("add(U, V)", "U + V")
def add_(call: Call, U: Value, V: Value) -> Value:
    return add_values(U, V)


@operation("subtract(U, V)", "U - V")
def subtract(call: Call, U: Value, V: Value) -> Value:
    return add_values(U, multiply_values(sp.S.NegativeOne, V))


@operation("multiply(U, V)", "U * V, entry by entry")
def multiply(call: Call, U: Value, V: Value) -> Value:
    return multiply_values(U, V)


@operation("divide(U, V)", "U / V, entry by entry", "true_divide")
def divide(call: Call, U: Value, V: Value) -> Value:
    return divide_values(U, V)


@operation("negative(U)", "-U")
def negative(call: Call, U: Value) -> Value:
    return multiply_values(sp.S.NegativeOne, U)


@operation("matmul(A, B)", "A @ B")
def matmul_(call: Call, A: Node, B: Node) -> Node:
    return product([A, B])


@operation("dot(A, B)", "A @ B; of two columns of one size the number x.T @ y", method=True)
def dot(call: Call, A: Node, B: Node) -> Node:
    # Two columns can only mean the inner product of two vectors: their matrix product has no shape.
    if is_one(A.cols) and is_one(B.cols) and same_size(A.rows, B.rows) and not is_one(A.rows):
        return MatMul(T(A), B)
    return product([A, B])


@operation("vdot(A, B)", "sum(A * B)")
def vdot(call: Call, A: Node, B: Node) -> Node:
    return total(Hadamard(A, B))


@operation("outer(x, y)", "x @ y.T of two columns (rows are taken as columns)")
def outer(call: Call, x: Node, y: Node) -> Node:
    return MatMul(column(x, "outer"), T(column(y, "outer")))


@operation("kron(A, B)", "the Kronecker product")
def kron(call: Call, A: Node, B: Node) -> Node:
    return Kron(A, B)


@operation("transpose(A)", "A.T", method=True)
def transpose(call: Call, A: Node) -> Node:
    return T(A)


@operation(
    "einsum(spec, *arrays, **sizes)",
    "a contraction such as 'ij,jk->ik'; names in brackets count one side together: '(b k) i, k (i j) -> (b k) j'",
)
def einsum(call: Call, spec: object, arrays: list[Node], sizes: dict[str, sp.Expr]) -> Node:
    if not isinstance(spec, str):
        raise Mistake("O005", f"einsum: the first argument is a text in quotes, not {spec}", f"write {WRITTEN}")
    if not arrays:
        raise Mistake("O003", "einsum wants at least one matrix", f"write {WRITTEN}")
    return contraction(spec, arrays, sizes)


# -- reductions: each keeps its axis


def _axis(call: Call, axis: int | None, keepdims: bool) -> None:
    if axis is not None and not keepdims:
        raise Mistake(
            "S025",
            "a reduction along an axis gives a 1-D array, which is not part of the language",
            f"write `{call.with_argument('keepdims=True')}`",
        )


def _count(A: Node, axis: int | None) -> sp.Expr:
    return expanded(A.rows * A.cols) if axis is None else A.shape[axis]


def reduce_sum(A: Node, axis: int | None) -> Node:
    """Return the sum of all entries, or the sums along an axis, with coefficients in front."""
    c, body = split_coefficient(A)
    return scaled(c, total(body) if axis is None else sum_axis(body, axis))


def reduce_max(A: Node, axis: int | None) -> Node:
    """Return the largest entry, or the largest entries along an axis."""
    if axis is not None:
        return MaxAxis(A, sp.Integer(axis))
    if is_one(A.rows):
        return MaxAxis(A, sp.S.One)
    return MaxAxis(A if is_one(A.cols) else Reshape(A, expanded(A.rows * A.cols), 1, "F"), sp.S.Zero)


@operation("sum(A, axis=None, keepdims=False)", "the sum of all entries, or along an axis", method=True)
def sum_(call: Call, A: Node, axis: int | None, keepdims: bool) -> Node:
    _axis(call, axis, keepdims)
    return reduce_sum(A, axis)


@operation("mean(A, axis=None, keepdims=False)", "the mean of all entries, or along an axis", "average", method=True)
def mean(call: Call, A: Node, axis: int | None, keepdims: bool) -> Node:
    _axis(call, axis, keepdims)
    return scaled(1 / _count(A, axis), reduce_sum(A, axis))


@operation("max(A, axis=None, keepdims=False)", "the largest entry, or along an axis", "amax", method=True)
def max_(call: Call, A: Node, axis: int | None, keepdims: bool) -> Node:
    _axis(call, axis, keepdims)
    return reduce_max(A, axis)


@operation("min(A, axis=None, keepdims=False)", "the smallest entry, or along an axis", "amin", method=True)
def min_(call: Call, A: Node, axis: int | None, keepdims: bool) -> Node:
    _axis(call, axis, keepdims)
    return scaled(-1, reduce_max(scaled(-1, A), axis))


@operation(
    "var(A, axis=None, keepdims=False, ddof=0)",
    "the mean square distance from the mean, divided by count - ddof",
    method=True,
)
def var(call: Call, A: Node, axis: int | None, keepdims: bool, ddof: int) -> Node:
    _axis(call, axis, keepdims)
    centred = plus(A, scaled(-1, scaled(1 / _count(A, axis), reduce_sum(A, axis))))
    divisor = _count(A, axis) - ddof
    if divisor == 0:
        raise Mistake("O011", "a division by zero: count - ddof is 0")
    return scaled(1 / divisor, reduce_sum(power(centred, 2), axis))


@operation("std(A, axis=None, keepdims=False, ddof=0)", "the square root of var", method=True)
def std(call: Call, A: Node, axis: int | None, keepdims: bool, ddof: int) -> Node:
    return power(var(call, A, axis, keepdims, ddof), HALF)


@operation(
    "norm(A, ord=None, axis=None, keepdims=False)",
    "the root of the sum of squares (Frobenius); for a column, a row or along an axis also ord 1 and 2",
)
def norm(call: Call, A: Node, ord: object, axis: int | None, keepdims: bool) -> Node:
    _axis(call, axis, keepdims)
    vector = axis is not None or is_one(A.rows) or is_one(A.cols)
    if ord in (None, "fro") or (vector and ord == 2):
        return power(reduce_sum(power(A, 2), axis), HALF)
    if vector and ord == 1:
        return reduce_sum(apply(Function("abs"), A), axis)
    if ord in (1, 2, "nuc", "inf"):
        raise Mistake(
            "O002", f"the matrix norm of order {ord} comes with a later version", "the Frobenius norm is `norm(A)`"
        )
    raise Mistake("O005", f"norm has no order {ord}", "write `norm(A)`, `norm(A, 1)` or `norm(A, 2)`")


@operation("trace(A)", "the sum of the diagonal", method=True)
def trace(call: Call, A: Node) -> Node:
    return total(DiagOf(A))


@operation("cumsum(A, axis)", "running sums along an axis", method=True)
def cumsum(call: Call, A: Node, axis: int | None) -> Node:
    if axis is None:
        raise Mistake("S025", "cumsum without an axis gives a 1-D array", "write `cumsum(A, axis=0)` or `axis=1`")
    return MatMul(Mask("tril", A.rows, A.rows), A) if axis == 0 else MatMul(A, Mask("triu", A.cols, A.cols))


# -- softmax


def _need_axis(call: Call, axis: int | None, name: str) -> sp.Integer:
    if axis is None:
        raise Mistake("O005", f"{name} needs an axis", "axis=0 works on each column, axis=1 on each row")
    return sp.Integer(axis)


@operation("softmax(A, axis)", "exp(A) divided by its sums along the axis")
def softmax(call: Call, A: Node, axis: int | None) -> Node:
    return Softmax(A, _need_axis(call, axis, "softmax"))


@operation("log_softmax(A, axis)", "A minus its logsumexp along the axis", "logsoftmax")
def log_softmax(call: Call, A: Node, axis: int | None) -> Node:
    return plus(A, scaled(-1, LogSumExp(A, _need_axis(call, axis, "log_softmax"))))


@operation("logsumexp(A, axis=None, keepdims=False)", "the logarithm of the sum of exp(A)")
def logsumexp(call: Call, A: Node, axis: int | None, keepdims: bool) -> Node:
    _axis(call, axis, keepdims)
    if axis is not None:
        return LogSumExp(A, sp.Integer(axis))
    if is_one(A.rows):
        return LogSumExp(A, sp.S.One)
    return LogSumExp(A if is_one(A.cols) else Reshape(A, expanded(A.rows * A.cols), 1, "F"), sp.S.Zero)


@operation("argmax_mask(A, axis)", "1 at the first largest entry along the axis, 0 elsewhere")
def argmax_mask(call: Call, A: Node, axis: int | None) -> Node:
    return ArgmaxMask(A, _need_axis(call, axis, "argmax_mask"))


# -- constants and shapes


@operation("ones(shape)", "a matrix of ones")
def ones(call: Call, shape: tuple[sp.Expr, sp.Expr]) -> Node:
    return Ones(*shape)


@operation("zeros(shape)", "a matrix of zeros")
def zeros(call: Call, shape: tuple[sp.Expr, sp.Expr]) -> Node:
    return Zero(*shape)


@operation("full(shape, alpha)", "a matrix with one number in each entry")
def full(call: Call, shape: tuple[sp.Expr, sp.Expr], alpha: sp.Expr) -> Node:
    return constant(alpha, *shape)


@operation("ones_like(A)", "ones in the shape of A")
def ones_like(call: Call, A: Node) -> Node:
    return Ones(*A.shape)


@operation("zeros_like(A)", "zeros in the shape of A")
def zeros_like(call: Call, A: Node) -> Node:
    return Zero(*A.shape)


@operation("eye(n)", "the identity", "identity")
def eye(call: Call, n: sp.Expr) -> Node:
    return Eye(n)


@operation("diag(A)", "a column as a diagonal matrix; the diagonal of a square matrix as a column")
def diag(call: Call, A: Node) -> Node:
    if A.is_scalar_shape:
        return A
    return Diag(A) if is_one(A.cols) else DiagOf(A)


@operation(
    "sinusoidal(shape, axis=1)",
    "the sine and the cosine of t/10000**(i/k) for the positions t = 0, 1, ... along an axis and i = 0..k-1, for 2k "
    "features (Vaswani et al. 2017)",
)
def sinusoidal(call: Call, shape: tuple[sp.Expr, sp.Expr], axis: int | None) -> Node:
    along = 1 if axis is None else axis
    half = sp.expand(shape[1 - along] / 2)
    if any(not c.is_Integer for c in half.as_coefficients_dict().values()):
        raise Mistake("O005", f"{shape[1 - along]} features are no pairs", "write an even number, such as `2*k`")
    slowness = apply(Function("exp"), scaled(-sp.log(10000) / half, _counted(half)))
    angles = MatMul(slowness, T(_counted(shape[along])))
    waves = stacked([apply(Function(wave), angles) for wave in ("sin", "cos")], 0)
    return waves if along == 1 else T(waves)


def _counted(n: sp.Expr) -> Node:
    """Return 0, 1, ..., n-1 as a column."""
    return plus(MatMul(Mask("tril", n, n), Ones(n, 1)), -1)


@operation("diagflat(x)", "a column (or a row) as a diagonal matrix")
def diagflat(call: Call, x: Node) -> Node:
    return Diag(column(x, "diagflat"))


@operation("diagonal(A)", "the diagonal of a square matrix as a column", method=True)
def diagonal(call: Call, A: Node) -> Node:
    return DiagOf(A)


@operation("tril(A, k=0)", "the lower triangle, k = 0 with and k = -1 without the diagonal")
def tril(call: Call, A: Node, k: int) -> Node:
    return Hadamard(Mask(_triangle(k, {0: "tril", -1: "strict_tril"}, "tril"), *A.shape), A)


@operation("triu(A, k=0)", "the upper triangle, k = 0 with and k = 1 without the diagonal")
def triu(call: Call, A: Node, k: int) -> Node:
    return Hadamard(Mask(_triangle(k, {0: "triu", 1: "strict_triu"}, "triu"), *A.shape), A)


def _triangle(k: int, kinds: dict[int, str], name: str) -> str:
    if k not in kinds:
        raise Mistake("O005", f"{name} has k = {' or '.join(map(str, kinds))}, not {k}")
    return kinds[k]


@operation("symmetric(A)", "the symmetric matrix with the lower triangle of A; nothing above the diagonal is read")
def symmetric(call: Call, A: Node) -> Node:
    _square(A, "symmetric")
    below = Hadamard(Mask("strict_tril", *A.shape), A)
    return add(Hadamard(Mask("tril", *A.shape), A), T(below))


@operation("skew(A)", "the skew-symmetric matrix with the strict lower triangle of A: its transpose is its negative")
def skew(call: Call, A: Node) -> Node:
    _square(A, "skew")
    below = Hadamard(Mask("strict_tril", *A.shape), A)
    return add(below, scaled(-1, T(below)))


@operation("spd(A)", "A @ A.T, positive definite where the rows of A are independent")
def spd(call: Call, A: Node) -> Node:
    return MatMul(A, T(A))


@operation(
    "toeplitz(x, shape)",
    "the matrix of a shape that is constant along its diagonals: entry (i, j) is entry i - j + columns - 1 of x",
)
def toeplitz(call: Call, x: Node, shape: tuple[sp.Expr, sp.Expr]) -> Node:
    rows, cols = shape
    t = column(x, "toeplitz")
    if not same_size(t.rows, rows + cols - 1):
        wanted = f"{expanded(rows + cols - 1)} diagonals"
        raise Mistake("S002", f"toeplitz: a {shape_text(shape)} matrix has {wanted}, and x has {t.rows} entries")
    # Column j is a part of x, which begins one entry higher with each column.
    scope, one = call.scope, sp.S.One
    taken = {s.name for part in (t, rows, cols) for s in part.free_symbols} | {h.name for h in scope.heads}
    j = index(fresh_name("j", taken | scope.sizes.keys() | scope.variables.keys()))
    part = Slice(t, cols - 1 - j, cols - 1 - j + rows, 0, one)
    return SumOver(Embed(part, 0, j, rows, cols), j, sp.S.Zero, cols - 1)


def _square(A: Node, name: str) -> None:
    if not same_size(A.rows, A.cols):
        raise Mistake("S002", f"{name} wants a square matrix, not {shape_text(A.shape)}")


@operation("vstack(arrays)", "matrices below each other", "row_stack")
def vstack(call: Call, arrays: list[Node]) -> Node:
    return stacked(arrays, 0)


@operation("hstack(arrays)", "matrices beside each other", "column_stack")
def hstack(call: Call, arrays: list[Node]) -> Node:
    return stacked(arrays, 1)


@operation("concatenate(arrays, axis=0)", "vstack for axis 0, hstack for axis 1", "concat")
def concatenate(call: Call, arrays: list[Node], axis: int | None) -> Node:
    if axis is None:
        raise Mistake("O005", "concatenate along no axis gives a 1-D array", "write axis=0 or axis=1")
    return stacked(arrays, axis)


def stacked(arrays: list[Node], axis: int) -> Node:
    """Return the blocks in one matrix: a sum of blocks in zeros."""
    if len(arrays) == 1:
        return arrays[0]
    across = 1 - axis
    for other in arrays[1:]:
        if not same_size(other.shape[across], arrays[0].shape[across]):
            raise Mistake(
                "S002",
                f"blocks {'below' if axis == 0 else 'beside'} each other have the same number of "
                f"{'columns' if axis == 0 else 'rows'}: {shape_text(arrays[0].shape)} and {shape_text(other.shape)}",
            )
    length = expanded(sum((a.shape[axis] for a in arrays), sp.S.Zero))
    shape = (length, arrays[0].cols) if axis == 0 else (arrays[0].rows, length)
    parts, start = [], sp.S.Zero
    for a in arrays:
        corner = (start, sp.S.Zero) if axis == 0 else (sp.S.Zero, start)
        parts.append(Embed(a, *corner, *shape))
        start = expanded(start + a.shape[axis])
    return add(*parts)


@operation(
    "reshape(A, shape, order='C')", "the same entries in another shape; order 'C' by rows, 'F' by columns", method=True
)
def reshape(call: Call, A: Node, shape: tuple[sp.Expr | None, sp.Expr | None], order: str) -> Node:
    if order not in ("C", "F"):
        raise Mistake("O005", f"reshape has no order {order!r}", "write order='C' (by rows) or order='F' (by columns)")
    rows, cols = shape
    count = expanded(A.rows * A.cols)
    if rows is None and cols is None:
        raise Mistake("O005", "only one size of a reshape can be -1")
    if rows is None or cols is None:
        known = cols if rows is None else rows
        assert known is not None
        quotient = sp.cancel(count / known)
        if sp.denom(quotient) != 1:
            raise Mistake("S006", f"{count} entries cannot be shown to fill rows of {known}", "write both sizes")
        rows, cols = (quotient, cols) if rows is None else (rows, quotient)
    return Reshape(A, rows, cols, order)


@operation("vec(A)", "the columns of A below each other")
def vec(call: Call, A: Node) -> Node:
    return Reshape(A, expanded(A.rows * A.cols), 1, "F")
