"""Matrix expressions that keep the form in which they were written, with strict symbolic shapes.

Every class is a subclass of SymPy's ``MatrixExpr`` and computes its shape in ``__new__`` from ``args``, so
``func(*args)``, ``xreplace`` and ``pickle`` rebuild it.  Equal expressions are one object (interned).  Nothing
is evaluated, folded or sorted here: associative sums and products are flat, and that is all.

Layout of ``args``: the matrix operands come first (``node.operands``), the parameters after them
(``node.parameters``).  Operators mean what they mean in NumPy: ``@`` is the matrix product, ``*`` the Hadamard
product, a 1 in a shape is broadcast by an explicit product with ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, ClassVar, TypeAlias
from weakref import WeakValueDictionary

import sympy as sp
from sympy.core.symbol import Str
from sympy.matrices.expressions.matexpr import MatrixExpr

from symbp.expr.display import Displayed
from symbp.expr.maps import StaticMap
from symbp.expr.sizes import Size, expanded, is_one, same_size

Shape: TypeAlias = tuple[Size, Size]


class ShapeError(ValueError):
    """Operands whose symbolic shapes do not fit; ``code`` is a diagnostic code, ``wanted`` says the rule."""

    def __init__(self, code: str, message: str, *operands: Any) -> None:
        super().__init__(message)
        self.code = code
        self.operands = operands


def shape_text(shape: Shape) -> str:
    """Return a shape as ``n1 x m``."""
    return " x ".join(str(s) for s in shape)


_interned: WeakValueDictionary[tuple[Any, ...], Node] = WeakValueDictionary()


class Node(Displayed, MatrixExpr):
    """A matrix expression: an operation, its operands and its parameters.

    ``op`` is the operation's name in the rule book, ``arity`` the number of leading matrix operands
    (None: all of ``args``).
    """

    op: ClassVar[str] = "?"
    arity: ClassVar[int | None] = None
    _op_priority = 100.0

    _shape: Shape
    _reads: tuple[Ref, ...] | None = None
    _binds: bool | None = None

    def __new__(cls, *args: Any) -> Any:
        args = tuple(a if isinstance(a, sp.Basic) else sp.sympify(a, strict=True) for a in args)
        args = cls._arguments(args)
        key = (cls, args)
        found = _interned.get(key)
        if found is not None:
            return found
        shape = cls._infer(*args)
        self = sp.Basic.__new__(cls, *args)
        self._shape = shape
        _interned[key] = self
        return self

    @classmethod
    def _arguments(cls, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Bring ``args`` into the one form in which they are stored."""
        return args

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        """Return the shape of the result; raise ``ShapeError`` when the operands do not fit."""
        raise NotImplementedError(cls.__name__)

    # -- structure ---------------------------------------------------------------------------------------
    @property
    def shape(self) -> Shape:
        """Rows and columns, as symbolic sizes."""
        return self._shape

    @property
    def rows(self) -> Size:
        """The number of rows."""
        return self._shape[0]

    @property
    def cols(self) -> Size:
        """The number of columns."""
        return self._shape[1]

    @property
    def operands(self) -> tuple[Node, ...]:
        """The matrix operands, in order."""
        return self.args if self.arity is None else self.args[: self.arity]

    @property
    def parameters(self) -> tuple[sp.Basic, ...]:
        """What is not a matrix: coefficients, sizes, axes, functions."""
        return () if self.arity is None else self.args[self.arity :]

    def rebuild(self, *operands: Node) -> Node:
        """Return the same operation with other operands."""
        return type(self)(*operands, *self.parameters)

    # SymPy asks these of every matrix expression; ours never evaluate.
    def doit(self, **hints: Any) -> Node:
        """Return the expression as it is: nothing is evaluated behind the reader's back."""
        return self

    def _eval_transpose(self) -> Node:
        return T(self)

    @property
    def is_scalar_shape(self) -> bool:
        """Tell whether the shape is literally 1 x 1."""
        return is_one(self._shape[0]) and is_one(self._shape[1])

    # -- operators: NumPy's meaning ------------------------------------------------------------------------
    @property
    def T(self) -> Node:
        """The transpose."""
        return T(self)

    def __add__(self, other: Any) -> Node:
        return plus(self, other)

    def __radd__(self, other: Any) -> Node:
        return plus(other, self)

    def __sub__(self, other: Any) -> Node:
        return plus(self, scaled(-1, as_node(other)))

    def __rsub__(self, other: Any) -> Node:
        return plus(other, scaled(-1, self))

    def __neg__(self) -> Node:
        return scaled(-1, self)

    def __mul__(self, other: Any) -> Node:
        return times(self, other)

    def __rmul__(self, other: Any) -> Node:
        return times(other, self)

    def __matmul__(self, other: Any) -> Node:
        return MatMul(self, other)

    def __truediv__(self, other: Any) -> Node:
        if isinstance(other, Node):
            return times(self, apply(RECIPROCAL, other))
        return scaled(1 / sp.sympify(other, strict=True), self)

    def __rtruediv__(self, other: Any) -> Node:
        return times(other, apply(RECIPROCAL, self))

    def __pow__(self, exponent: Any) -> Node:
        return power(self, exponent)

    def __gt__(self, other: Any) -> Node:
        return compare(">", self, other)

    def __ge__(self, other: Any) -> Node:
        return compare(">=", self, other)

    def __lt__(self, other: Any) -> Node:
        return compare("<", self, other)

    def __le__(self, other: Any) -> Node:
        return compare("<=", self, other)

    # -- printing: the text form is here, notation and LaTeX are in ``render`` -------------------------------
    latex_printer: ClassVar[Callable[[Node], str] | None] = None
    text_printer: ClassVar[Callable[[Node], str] | None] = None

    def _latex(self, printer: Any) -> str:
        return Node.latex_printer(self) if Node.latex_printer else str(self)

    def _sympystr(self, printer: Any) -> str:
        return Node.text_printer(self) if Node.text_printer else plain(self)

    def __repr__(self) -> str:
        return self._sympystr(None)

    __str__ = __repr__


def plain(node: Node) -> str:
    """Return a functional text form, for debugging and for messages before a printer is loaded."""
    if isinstance(node, Ref):
        return node.label
    inside = ", ".join(plain(a) if isinstance(a, Node) else str(a) for a in node.args)
    return f"{type(node).__name__}({inside})"


def _need(condition: bool, code: str, message: str, *operands: Any) -> None:
    if not condition:
        raise ShapeError(code, message, *operands)


def _equal_shapes(op: str, operands: tuple[Node, ...]) -> Shape:
    first = operands[0]
    for other in operands[1:]:
        if other._shape != first._shape and not (
            same_size(first.rows, other.rows) and same_size(first.cols, other.cols)
        ):
            raise ShapeError(
                "S002", f"shapes differ in {op}: {shape_text(first.shape)} and {shape_text(other.shape)}", first, other
            )
    return first._shape


# ---------------------------------------------------------------------------------------------------------
# Leaves


class Ref(Node):
    """A variable, or the member of a family: ``Ref(name, rows, cols, *indices)``."""

    op = "ref"
    arity = 0

    def __new__(cls, name: str | Str, rows: Any, cols: Any, *indices: Any) -> Ref:
        return super().__new__(cls, name if isinstance(name, Str) else Str(name), rows, cols, *indices)

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        return args[1], args[2]

    @property
    def name(self) -> str:
        """The variable's or the family's name."""
        return self.args[0].name

    @property
    def indices(self) -> tuple[sp.Expr, ...]:
        """The member's indices; empty for a plain variable."""
        return self.args[3:]

    @property
    def label(self) -> str:
        """The name with its indices, as in a declaration."""
        return f"{self.name}[{', '.join(str(i) for i in self.indices)}]" if self.indices else self.name


class Constant(Node):
    """A matrix that is known without data."""

    arity = 0


class Ones(Constant):
    """The matrix of ones: ``Ones(rows, cols)``."""

    op = "ones"

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        return args


class Zero(Constant):
    """The matrix of zeros: ``Zero(rows, cols)``."""

    op = "zero"

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        return args


class Eye(Constant):
    """The identity: ``Eye(n)``."""

    op = "eye"

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        return args[0], args[0]


MASK_KINDS = ("tril", "triu", "strict_tril", "strict_triu", "diagonal", "off_diagonal", "half_lower")


class Mask(Constant):
    """A pattern of ones and zeros (``half_lower`` has 1/2 on its diagonal): ``Mask(kind, rows, cols)``."""

    op = "mask"

    def __new__(cls, kind: str | Str, rows: Any, cols: Any) -> Mask:
        return super().__new__(cls, kind if isinstance(kind, Str) else Str(kind), rows, cols)

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        _need(args[0].name in MASK_KINDS, "E900", f"unknown mask kind {args[0].name}")
        return args[1], args[2]

    @property
    def kind(self) -> str:
        """The pattern's name, one of ``MASK_KINDS``."""
        return self.args[0].name


# ---------------------------------------------------------------------------------------------------------
# Linear and multilinear operations


def _flat(cls: type[Node], args: tuple[Any, ...]) -> tuple[Any, ...]:
    if not any(type(a) is cls for a in args):
        return args
    return tuple(x for a in args for x in (a.args if type(a) is cls else (a,)))


class Add(Node):
    """The sum of matrices of one shape, in written order."""

    op = "add"

    @classmethod
    def _arguments(cls, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return _flat(cls, args)

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        return _equal_shapes("a sum", args)


class Scale(Node):
    """An exact coefficient times a matrix: ``Scale(A, c)``, ``c`` made of numbers and sizes."""

    op = "scale"
    arity = 1

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        return args[0]._shape

    @property
    def coefficient(self) -> sp.Expr:
        """The exact coefficient."""
        return self.args[1]

    @property
    def body(self) -> Node:
        """The matrix that is scaled."""
        return self.args[0]


class SMul(Node):
    """A 1 x 1 matrix times a matrix: ``SMul(s, A)``."""

    op = "smul"

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        s, a = args
        _need(s.is_scalar_shape, "S003", f"a scalar factor must be 1 x 1, not {shape_text(s.shape)}", s)
        return a._shape


class MatMul(Node):
    """The matrix product, in written order."""

    op = "matmul"

    @classmethod
    def _arguments(cls, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return _flat(cls, args)

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        for a, b in pairwise(args):
            if not same_size(a._shape[1], b._shape[0]):
                raise ShapeError("S001", f"inner sizes differ: {a.cols} and {b.rows}", a, b)
        return args[0]._shape[0], args[-1]._shape[1]


class Hadamard(Node):
    """The entrywise product of matrices of one shape, in written order."""

    op = "hadamard"

    @classmethod
    def _arguments(cls, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return _flat(cls, args)

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        return _equal_shapes("a Hadamard product", args)


class Transpose(Node):
    """The transpose; build it with ``T``."""

    op = "transpose"

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        return args[0]._shape[1], args[0]._shape[0]


class Diag(Node):
    """A column as a diagonal matrix: (n, 1) -> (n, n)."""

    op = "diag"

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        _need(is_one(args[0].cols), "S004", f"diag wants a column, not {shape_text(args[0].shape)}", args[0])
        return args[0].rows, args[0].rows


class DiagOf(Node):
    """The diagonal of a square matrix as a column: (n, n) -> (n, 1)."""

    op = "diagof"

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        _need(
            same_size(*args[0].shape),
            "S005",
            f"the diagonal wants a square matrix, not {shape_text(args[0].shape)}",
            args[0],
        )
        return args[0].rows, sp.S.One


class Slice(Node):
    """A block: ``Slice(A, r0, r1, c0, c1)`` is rows r0..r1-1 and columns c0..c1-1, counted from 0."""

    op = "slice"
    arity = 1

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        _, r0, r1, c0, c1 = args
        return expanded(r1 - r0), expanded(c1 - c0)


class Embed(Node):
    """A block in zeros: ``Embed(A, r0, c0, rows, cols)``, the transpose of ``Slice``."""

    op = "embed"
    arity = 1

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        return args[3], args[4]


class Reshape(Node):
    """The same entries in another shape: ``Reshape(A, rows, cols, order)``, order C (rows first) or F."""

    op = "reshape"
    arity = 1

    def __new__(cls, a: Node, rows: Any, cols: Any, order: str | Str = "C") -> Reshape:
        return super().__new__(cls, a, rows, cols, order if isinstance(order, Str) else Str(order))

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        a, rows, cols, _ = args
        _need(
            same_size(a.rows * a.cols, rows * cols),
            "S006",
            f"reshape changes the number of entries: {shape_text(a.shape)} to {rows} x {cols}",
            a,
        )
        return rows, cols

    @property
    def order(self) -> str:
        """``C``: row by row; ``F``: column by column."""
        return self.args[3].name


class Kron(Node):
    """The Kronecker product of two matrices."""

    op = "kron"

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        a, b = args
        return expanded(a.rows * b.rows), expanded(a.cols * b.cols)


class Gather(Node):
    """Entries picked by a static map, zeros where it leaves the matrix: ``Gather(A, map)``."""

    op = "gather"
    arity = 1

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        a, rule = args
        _fits(rule.name, a, rule.source_shape)
        return rule.shape

    @property
    def map(self) -> StaticMap:
        """From where each entry comes."""
        return self.args[1]


class Scatter(Node):
    """Entries added up where a static map says they came from, the transpose of ``Gather``: ``Scatter(A, map)``."""

    op = "scatter_add"
    arity = 1

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        a, rule = args
        _fits(rule.back, a, rule.shape)
        return rule.source_shape

    @property
    def map(self) -> StaticMap:
        """The map of the ``Gather`` whose transpose it is."""
        return self.args[1]


def _fits(name: str, a: Node, shape: Shape) -> None:
    _need(
        same_size(a.rows, shape[0]) and same_size(a.cols, shape[1]),
        "S002",
        f"{name} wants a matrix of shape {shape_text(shape)}, not {shape_text(a.shape)}",
        a,
    )


class Take(Node):
    """Columns (rows) of a matrix, by number: ``Take(A, ids, axis)``.

    axis 1: column j of the result is column ``ids[0, j]`` of A, ``ids`` is a row;
    axis 0: row i of the result is row ``ids[i, 0]`` of A, ``ids`` is a column.
    Numbers count from 0 and may repeat; they are whole, so nothing is differentiated in them.
    """

    op = "take"
    arity = 2

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        a, ids, axis = args
        return (a.rows, _numbers_along(ids, axis)) if axis == 1 else (_numbers_along(ids, axis), a.cols)

    @property
    def axis(self) -> int:
        """0 if rows are taken, 1 if columns are."""
        return int(self.args[2])


class AddAt(Node):
    """Columns (rows) added up by number: ``AddAt(G, ids, size, axis)``, the transpose of ``Take``.

    axis 1: column c of the result, one of ``size``, is the sum of the columns j of G with ``ids[0, j] == c``.
    """

    op = "add_at"
    arity = 2

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        g, ids, size, axis = args
        count = _numbers_along(ids, axis)
        _need(
            same_size(count, g.shape[int(axis)]),
            "S002",
            f"{count} numbers do not go with {g.shape[int(axis)]} {('rows', 'columns')[int(axis)]}",
            g,
            ids,
        )
        return (g.rows, size) if axis == 1 else (size, g.cols)

    @property
    def axis(self) -> int:
        """0 if rows are added up, 1 if columns are."""
        return int(self.args[3])


def _numbers_along(ids: Node, axis: Any) -> Size:
    """Return how many numbers there are; they stand along the axis that they count."""
    _need(axis in (0, 1), "E902", f"axis must be 0 or 1, not {axis}")
    _need(
        is_one(ids.shape[1 - int(axis)]),
        "S032",
        f"the numbers of {('rows', 'columns')[int(axis)]} are a {('column', 'row')[int(axis)]}, "
        f"not {shape_text(ids.shape)}",
        ids,
    )
    return ids.shape[int(axis)]


class SumOver(Node):
    """The sum of a family: ``SumOver(E, t, lo, hi)`` adds ``E`` for t = lo..hi; ``t`` is bound."""

    op = "sum_over"
    arity = 1

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        e, t = args[0], args[1]
        _need(
            not any(s.has(t) for s in e._shape),
            "S007",
            f"the terms of a sum must have one shape; {shape_text(e.shape)} depends on {t}",
            e,
        )
        return e._shape

    @property
    def bound(self) -> sp.Symbol:
        """The summation index."""
        return self.args[1]

    @property
    def ends(self) -> tuple[sp.Expr, sp.Expr]:
        """The first and the last value of the index."""
        return self.args[2], self.args[3]


# ---------------------------------------------------------------------------------------------------------
# Non-linear operations


class Function(sp.Basic):
    """An elementwise function: ``Function(name, parameters, orders, law)``.

    name:       its name in the elementwise table, or the user's.
    parameters: exact numbers, e.g. the exponent of a power.
    orders:     how often it is differentiated in each argument (all 0: the function itself).
    law:        a SymPy ``Lambda`` for a function that the user defined, ``None`` for one of the table,
                ``Str('free')`` for one that is left unspecified.
    """

    def __new__(
        cls, name: str | Str, parameters: Any = (), orders: Any = (0,), law: sp.Basic | None = None
    ) -> Function:
        label = name if isinstance(name, Str) else Str(name)
        rest = (law,) if law is not None else ()
        return sp.Basic.__new__(cls, label, sp.Tuple(*parameters), sp.Tuple(*orders), *rest)

    @property
    def name(self) -> str:
        """The name without primes."""
        return self.args[0].name

    @property
    def parameters(self) -> tuple[sp.Expr, ...]:
        """The exact parameters."""
        return self.args[1].args

    @property
    def orders(self) -> tuple[int, ...]:
        """The order of differentiation in each argument."""
        return tuple(int(k) for k in self.args[2].args)

    @property
    def law(self) -> sp.Lambda | None:
        """The user's scalar law, if there is one."""
        return self.args[3] if len(self.args) > 3 and isinstance(self.args[3], sp.Lambda) else None

    @property
    def is_free(self) -> bool:
        """Tell whether the function is left unspecified."""
        return len(self.args) > 3 and isinstance(self.args[3], Str)

    @property
    def base(self) -> Function:
        """The function before any differentiation."""
        return Function(self.name, self.parameters, (0,) * len(self.orders), *self.args[3:])

    def derivative(self, slot: int = 0) -> Function:
        """Return the partial derivative in one argument, as a function."""
        orders = tuple(k + (j == slot) for j, k in enumerate(self.orders))
        return Function(self.name, self.parameters, orders, *self.args[3:])

    def __repr__(self) -> str:
        inside = f"({', '.join(map(str, self.parameters))})" if self.parameters else ""
        primes = (
            "'" * self.orders[0] if len(self.orders) == 1 else "".join(f"_{j}" * k for j, k in enumerate(self.orders))
        )
        return f"{self.name}{inside}{primes}"

    __str__ = __repr__

    def _sympystr(self, printer: Any) -> str:
        return repr(self)


RECIPROCAL = Function("recip")


class Map(Node):
    """An elementwise function of k >= 1 matrices of one shape: ``Map(A1, ..., Ak, f)``."""

    op = "map"

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        _need(
            len(args[-1].orders) == len(args) - 1,
            "E901",
            f"{args[-1].name} takes {len(args[-1].orders)} argument(s), not {len(args) - 1}",
        )
        return _equal_shapes(f"{args[-1].name}(...)", args[:-1])

    @property
    def operands(self) -> tuple[Node, ...]:
        return self.args[:-1]

    @property
    def parameters(self) -> tuple[sp.Basic, ...]:
        return self.args[-1:]

    @property
    def function(self) -> Function:
        """The scalar function."""
        return self.args[-1]


class Where(Node):
    """A selection: ``Where(M, A, B)`` is A where M is 1 and B where it is 0."""

    op = "where"

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        return _equal_shapes("where", args)


class Compare(Node):
    """A comparison as a 0/1 matrix: ``Compare(A, B, op)``, op one of > >= < <= == !=."""

    op = "compare"
    arity = 2

    def __new__(cls, a: Node, b: Node, relation: str | Str) -> Compare:
        return super().__new__(cls, a, b, relation if isinstance(relation, Str) else Str(relation))

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        return _equal_shapes("a comparison", args[:2])

    @property
    def relation(self) -> str:
        """The relation, as in Python."""
        return self.args[2].name


class AxisNode(Node):
    """An operation along one axis: ``(A, axis)``, axis 0 runs down the rows of each column, axis 1 along each row."""

    arity = 1
    keeps_shape: ClassVar[bool] = False

    @classmethod
    def _infer(cls, *args: Any) -> Shape:
        a, axis = args
        _need(axis in (0, 1), "E902", f"axis must be 0 or 1, not {axis}")
        if cls.keeps_shape:
            return a._shape
        return (sp.S.One, a.cols) if axis == 0 else (a.rows, sp.S.One)

    @property
    def axis(self) -> int:
        """The axis that is normalised or reduced."""
        return int(self.args[1])


class Softmax(AxisNode):
    """exp(A) divided by its sums along the axis."""

    op = "softmax"
    keeps_shape = True


class LogSumExp(AxisNode):
    """The logarithm of the sums of exp(A) along the axis."""

    op = "logsumexp"


class MaxAxis(AxisNode):
    """The largest entries along the axis."""

    op = "max"


class ArgmaxMask(AxisNode):
    """1 at the first largest entry along the axis, 0 elsewhere."""

    op = "argmax_mask"
    keeps_shape = True


# ---------------------------------------------------------------------------------------------------------
# Builders: NumPy's broadcasting made explicit


def T(a: Node) -> Node:
    """Return the transpose as it is written; a double transpose is the matrix itself."""
    return a.args[0] if isinstance(a, Transpose) else Transpose(a)


def scaled(coefficient: Any, a: Node) -> Node:
    """Return ``coefficient * A``; coefficients that meet are multiplied."""
    c = sp.sympify(coefficient, strict=True)
    if isinstance(a, Scale):
        c, a = c * a.coefficient, a.body
    return a if c is sp.S.One else Scale(a, c)


def ones(rows: Any, cols: Any) -> Node:
    """Return a matrix of ones."""
    return Ones(rows, cols)


def constant(value: Any, rows: Any = 1, cols: Any = 1) -> Node:
    """Return a number as a matrix with that number in each entry."""
    return Zero(rows, cols) if value == 0 else scaled(value, Ones(rows, cols))


def as_node(value: Any) -> Node:
    """Return a number as a 1 x 1 matrix; a matrix expression as it is."""
    return value if isinstance(value, Node) else constant(value)


def broadcast(a: Any, rows: Size, cols: Size) -> Node:
    """Return ``a`` in the shape (rows, cols) by NumPy's rule for sizes of 1, as a product with ones."""
    if not isinstance(a, Node):
        return constant(a, rows, cols)
    if same_size(a.rows, rows) and same_size(a.cols, cols):
        return a
    if a.is_scalar_shape:
        if isinstance(a, Scale) and isinstance(a.body, Ones):
            return scaled(a.coefficient, Ones(rows, cols))
        return Ones(rows, cols) if isinstance(a, Ones) else SMul(a, Ones(rows, cols))
    if is_one(a.cols) and same_size(a.rows, rows):
        return MatMul(a, Ones(1, cols))
    if is_one(a.rows) and same_size(a.cols, cols):
        return MatMul(Ones(rows, 1), a)
    raise ShapeError("S002", f"shapes differ: {shape_text(a.shape)} and {rows} x {cols}", a)


def common_shape(*values: Any) -> Shape:
    """Return the shape to which NumPy would broadcast the values."""
    rows: Size = sp.S.One
    cols: Size = sp.S.One
    for value in values:
        if isinstance(value, Node):
            rows = value.rows if is_one(rows) else rows
            cols = value.cols if is_one(cols) else cols
    for value in values:
        if isinstance(value, Node) and not (
            (is_one(value.rows) or same_size(value.rows, rows)) and (is_one(value.cols) or same_size(value.cols, cols))
        ):
            raise ShapeError(
                "S002",
                f"shapes differ: {' and '.join(shape_text(v.shape) for v in values if isinstance(v, Node))}",
                *values,
            )
    return rows, cols


def plus(*values: Any) -> Node:
    """Return the sum with NumPy's broadcasting."""
    rows, cols = common_shape(*values)
    return Add(*(broadcast(v, rows, cols) for v in values))


def times(a: Any, b: Any) -> Node:
    """Return the entrywise product with NumPy's broadcasting; numbers and 1 x 1 matrices are factors."""
    if not isinstance(a, Node):
        return scaled(a, as_node(b))
    if not isinstance(b, Node):
        return scaled(b, a)
    if b.is_scalar_shape and not a.is_scalar_shape:
        return SMul(b, a)
    if a.is_scalar_shape and not b.is_scalar_shape:
        return SMul(a, b)
    rows, cols = common_shape(a, b)
    return Hadamard(broadcast(a, rows, cols), broadcast(b, rows, cols))


def apply(function: Function, *values: Any) -> Node:
    """Return an elementwise function with NumPy's broadcasting of its arguments."""
    rows, cols = common_shape(*values)
    return Map(*(broadcast(v, rows, cols) for v in values), function)


def power(a: Any, exponent: Any) -> Node:
    """Return the entrywise power; a numeric exponent is exact, ``A**1`` is A and ``A**0`` is ones."""
    if isinstance(exponent, Node):
        base = a.coefficient if isinstance(a, Scale) and isinstance(a.body, Ones) else a
        if not isinstance(base, Node) and sp.sympify(base, strict=True).is_positive:
            return apply(Function("exp"), scaled(sp.log(base), exponent))
        return apply(Function("pow", (), (0, 0)), a, exponent)
    p = sp.sympify(exponent, strict=True)
    if p == 1:
        return a
    if p == 0:
        return Ones(*a.shape)
    if p == -1:
        return apply(RECIPROCAL, a)
    if p == sp.Rational(1, 2):
        return apply(Function("sqrt"), a)
    return apply(Function("power", (p,)), a)


def compare(relation: str, a: Any, b: Any) -> Node:
    """Return a comparison as a 0/1 matrix, with NumPy's broadcasting."""
    rows, cols = common_shape(a, b)
    return Compare(broadcast(a, rows, cols), broadcast(b, rows, cols), relation)


def where(mask: Node, a: Any, b: Any) -> Node:
    """Return a selection, with NumPy's broadcasting."""
    rows, cols = common_shape(mask, a, b)
    return Where(broadcast(mask, rows, cols), broadcast(a, rows, cols), broadcast(b, rows, cols))


def matmul(*factors: Node) -> Node:
    """Return the product of one or more matrices."""
    return factors[0] if len(factors) == 1 else MatMul(*factors)


def add(*terms: Node) -> Node:
    """Return the sum of one or more matrices of one shape."""
    return terms[0] if len(terms) == 1 else Add(*terms)


def had(*factors: Node) -> Node:
    """Return the Hadamard product of one or more matrices of one shape."""
    return factors[0] if len(factors) == 1 else Hadamard(*factors)


def total(a: Node) -> Node:
    """Return the sum of all entries as a 1 x 1 matrix: ``1^T A 1``."""
    factors: list[Node] = []
    if not is_one(a.rows):
        factors.append(Ones(1, a.rows))
    factors.append(a)
    if not is_one(a.cols):
        factors.append(Ones(a.cols, 1))
    return matmul(*factors)


def sum_axis(a: Node, axis: int) -> Node:
    """Return the sums along an axis, kept as a row (axis 0) or a column (axis 1)."""
    if axis == 0:
        return a if is_one(a.rows) else MatMul(Ones(1, a.rows), a)
    return a if is_one(a.cols) else MatMul(a, Ones(a.cols, 1))


# ---------------------------------------------------------------------------------------------------------
# Walking and substituting


def walk(node: Node) -> Iterator[Node]:
    """Yield every distinct node below and including ``node``, operands before what uses them."""
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(node, False)]
    while stack:
        current, done = stack.pop()
        if done:
            yield current
            continue
        if current in seen:
            continue
        seen.add(current)
        stack.append((current, True))
        stack.extend((child, False) for child in reversed(current.operands))


def refs(node: Node) -> tuple[Ref, ...]:
    """Return the distinct variables and members read, in order of first appearance."""
    # Expressions never change, so what one reads is found once.
    found: tuple[Ref, ...] | None = node._reads
    if found is None:
        found = (node,) if isinstance(node, Ref) else tuple(dict.fromkeys(r for o in node.operands for r in refs(o)))
        node._reads = found
    return found


def binds(node: Node) -> bool:
    """Tell whether an expression contains a sum over an index."""
    found = node._binds
    if found is None:
        found = isinstance(node, SumOver) or any(binds(o) for o in node.operands)
        node._binds = found
    return found


def transform(node: Node, change: Callable[[Node], Node], memo: dict[Node, Node] | None = None) -> Node:
    """Return the expression with ``change`` applied to every node, operands first."""
    memo = {} if memo is None else memo
    for current in walk(node):
        if current in memo:
            continue
        operands = current.operands
        changed = tuple(memo[o] for o in operands)
        rebuilt = current if all(a is b for a, b in zip(changed, operands, strict=True)) else current.rebuild(*changed)
        memo[current] = change(rebuilt)
    return memo[node]


def fresh_index(like: sp.Symbol) -> sp.Symbol:
    """Return an index symbol that occurs nowhere else, named after ``like``."""
    return sp.Dummy(like.name, integer=True)


def shift(node: Node, mapping: dict[sp.Expr, sp.Expr]) -> Node:
    """Return the expression with loop indices replaced everywhere: members, shapes, ends, coefficients.

    A bound index of a ``SumOver`` is not replaced, and is made fresh when a replacement would capture it.
    """
    if not mapping:
        return node
    memo: dict[Node, Node] = {}
    incoming = {s for value in mapping.values() for s in value.free_symbols}

    def visit(current: Node) -> Node:
        found = memo.get(current)
        if found is not None:
            return found
        if isinstance(current, SumOver):
            t, lo, hi = current.bound, *current.ends
            inner, body = {k: v for k, v in mapping.items() if k != t}, current.args[0]
            if t in incoming:
                renamed = fresh_index(t)
                body, t = shift(body, {t: renamed}), renamed
            result: Node = SumOver(shift(body, inner), t, lo.xreplace(mapping), hi.xreplace(mapping))
        else:
            args = [visit(a) if isinstance(a, Node) else a.xreplace(mapping) for a in current.args]
            unchanged = all(a is b for a, b in zip(args, current.args, strict=True))
            result = current if unchanged else type(current)(*args)
        memo[current] = result
        return result

    return visit(node)
