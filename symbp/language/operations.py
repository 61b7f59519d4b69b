"""What an operation of the language is: a signature, a sentence, and a function that builds the expression.

The table itself is in ``catalogue``; the elementwise functions come from the rule book.  The kind of an argument
follows from the name of its parameter (``KINDS_OF_PARAMETERS``), so a signature is one line of text that the
reader, the documentation and the messages share.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from symbp.expr import Node, Ref
from symbp.language.diagnostics import Mistake, did_you_mean
from symbp.language.lines import Statement
from symbp.language.forms import extent
from symbp.language.scope import Scope

KINDS_OF_PARAMETERS = {
    "A": "matrix",
    "B": "matrix",
    "X": "matrix",
    "x": "matrix",
    "y": "matrix",
    "Y": "matrix",
    "Z": "matrix",
    "P": "matrix",
    "Q": "matrix",
    "H": "matrix",
    "C": "matrix",
    "M": "matrix",
    "K": "matrix",
    "E": "matrix",
    "U": "value",
    "V": "value",
    "lo": "value",
    "hi": "value",
    "scale": "value",
    "s": "value",
    "exponent": "value",
    "alpha": "scalar",
    "factor": "scalar",
    "p": "scalar",
    "delta": "scalar",
    "margin": "scalar",
    "gamma": "scalar",
    "smoothing": "scalar",
    "axis": "axis",
    "keepdims": "flag",
    "ddof": "integer",
    "k": "integer",
    "ord": "order",
    "order": "order",
    "shape": "shape",
    "n": "size",
    "groups": "size",
    "eps": "value",
    "momentum": "scalar",
    "units": "size",
    "heads": "size",
    "hidden": "size",
    "key": "size",
    "c": "size",
    "h": "size",
    "w": "size",
    "filters": "size",
    "kernel": "size",
    "size": "size",
    "stride": "size",
    "dilation": "size",
    "padding": "scalar",
    "scan": "order",
    "arrays": "matrices",
    "activation": "activation",
    "bias": "order",
    "kind": "order",
    "gates": "order",
    "reset": "order",
    "peepholes": "flag",
    "shared": "order",
    "weights": "matrices",
    "spec": "order",
    "sizes": "sizes",
    "mask": "mask",
    "memory": "matrix",
    "norm": "order",
}
"""The kind of argument by the name of its parameter.

matrix: a matrix expression; value: a matrix or a number; scalar: an exact number, made of sizes too; axis: 0, 1 (or
-1, -2) or None; flag: True or False; integer: a whole number; order: a quoted word; shape: two sizes; size: a size;
matrices: a list of matrices; sizes: further arguments by name, each a size; activation: the name of an elementwise
function or of softmax; mask: a matrix of 0 and 1, or one of the words none and causal.
"""

REQUIRED = object()


@dataclass(frozen=True)
class Parameter:
    """One parameter of an operation; ``many`` takes all remaining positional arguments, ``named`` those by name."""

    name: str
    kind: str
    default: object = REQUIRED
    many: bool = False
    named: bool = False

    def __str__(self) -> str:
        default = "" if self.default is REQUIRED else f"={self.default}"
        return f"{'**' if self.named else '*' if self.many else ''}{self.name}{default}"


@dataclass(frozen=True)
class Call:
    """An operation in its place, as its builder sees it."""

    scope: Scope
    statement: Statement
    node: ast.Call

    def with_argument(self, argument: str) -> str:
        """Return the line of the statement with one more argument in this call."""
        _, _, last, end = extent(self.node)
        row, at = self.statement.rows[last - 1], end - 1
        comma = "" if row[:at].rstrip().endswith(("(", ",")) else ", "
        return (row[:at] + comma + argument + row[at:]).strip()

    def is_mask(self, ref: Ref) -> bool:
        """Tell whether a variable is known to have entries 0 and 1 only."""
        return self.scope.is_mask(ref)


@dataclass(frozen=True)
class Operation:
    """One operation of the language.

    name:       the name under which it is written.
    signature:  its parameters with defaults, as text.
    meaning:    one sentence for the reference.
    build:      a function of the call and the arguments that returns the expression.
    parameters: the parameters that the signature states.
    aliases:    other names for it.
    method:     whether it may be written ``A.name(...)``.
    """

    name: str
    signature: str
    meaning: str
    build: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    aliases: tuple[str, ...] = ()
    method: bool = False


OPERATIONS: dict[str, Operation] = {}
"""Every operation by every name that it has."""


def parse_signature(signature: str) -> tuple[Parameter, ...]:
    """Return the parameters of ``name(A, axis=None, *arrays)``."""
    match = re.fullmatch(r"\w+\((.*)\)", signature)
    assert match, signature
    found = []
    for part in filter(None, (p.strip() for p in match.group(1).split(","))):
        name, _, default = part.partition("=")
        named = name.startswith("**")
        many = name.startswith("*") and not named
        name = name.lstrip("*")
        value: object = REQUIRED
        if default:
            value = (
                ast.literal_eval(default) if default in ("None", "True", "False", "0", "1") else default.strip("'\"")
            )
        found.append(Parameter(name, KINDS_OF_PARAMETERS[name], value, many, named))
    return tuple(found)


def operation(
    signature: str, meaning: str, *aliases: str, method: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as the operation of that signature."""

    def register(build: Callable[..., Any]) -> Callable[..., Any]:
        name = signature.partition("(")[0]
        entry = Operation(name, signature, meaning, build, parse_signature(signature), aliases, method)
        for key in (name, *aliases):
            assert key not in OPERATIONS, key
            OPERATIONS[key] = entry
        return build

    return register


LATER: dict[str, str] = {
    name: group
    for group, names in {
        "the linear algebra of a later version": """inv pinv det slogdet logdet logabsdet solve lstsq cholesky chol eig
            eigh eigvals eigvalsh svd qr lu expm sqrtm logm sylvester solve_sylvester matrix_power cond matrix_rank
            solve_triangular null_space multi_dot""",
        "the tensor operations of a later version": "tensordot matvec vecmat stack block tile repeat roll flip "
        "pad swapaxes moveaxis expand_dims squeeze broadcast_to split array_split",
        "the gathers of a later version": "gather scatter scatter_add take_along_axis choose compress select",
        "the layers of a later version": "conv3d",
        "a later version": """prod cumprod sort argsort argmax argmin median percentile quantile floor ceil round rint
            mod fmod gamma gammaln lgamma digamma beta betainc erfinv erfc fft ifft rfft logcumsumexp cross searchsorted
            unique nonzero any all isnan isfinite arcsin arccos arctan2 arcsinh arccosh arctanh sinc hypot ldexp""",
    }.items()
    for name in names.split()
}
"""Operations that are known and not there yet, with what they wait for."""

NEVER: dict[str, str] = {
    "array": "a matrix of numbers is declared: `M: const[2, 2] = [[1, 2], [3, 4]]`",
    "asarray": "a matrix of numbers is declared: `M: const[2, 2] = [[1, 2], [3, 4]]`",
    "random": "draws come from outside: declare an input",
    "rand": "draws come from outside: declare an input",
    "randn": "draws come from outside: declare an input",
    "normal": "draws come from outside: declare an input",
    "take": "columns are taken by number in a subscript, `E[:, ids]`, with `ids: input[1, T] & index[v]`",
    "embedding": "declare `E: param[d, v]` and `ids: input[1, T] & index[v]`, and write `E[:, ids]`",
    "one_hot": "write `eye(v)[:, ids]`, with `ids: input[1, T] & index[v]`",
    "print": "results are printed by `symbp derive`",
    "eval": "nothing is executed",
    "exec": "nothing is executed",
    "open": "nothing is executed",
    "compile": "nothing is executed",
    "getattr": "nothing is executed",
    "setattr": "nothing is executed",
    "globals": "nothing is executed",
    "locals": "nothing is executed",
    "vars": "nothing is executed",
    "input": "a declaration is written `name: input[n, m]`",
    "len": "a size has a name: use the one in the shape",
    "ravel": "1-D arrays are not part of the language; `vec(A)` is a column",
    "range": "a range stands in `for t in range(1, T+1)`",
    "float": "numbers need no conversion",
    "int": "numbers need no conversion",
    "grad": "symbp derives gradients: `symbp derive FILE`",
    "inner": "write `sum(x*y)`, or `x @ y.T`",
    "atleast_2d": "every matrix has rows and columns already",
}
"""Names that are no operations, with what to write instead."""


def unknown_operation(name: str, others: Iterable[str]) -> Mistake:
    """Return the mistake of calling something that is no operation."""
    if name in LATER:
        return Mistake("O002", f"`{name}` is not part of this version: it comes with {LATER[name]}")
    if name in NEVER or name.startswith("__"):
        return Mistake("O001", f"`{name}` is no operation of the language", NEVER.get(name, "nothing is executed"))
    help = did_you_mean(name, [*OPERATIONS, *others])
    return Mistake(
        "O001",
        f"`{name}` is no operation of the language",
        help
        or f"a function of your own is written `def {name}(x): return ...`, an unspecified one `{name}: elementwise`",
    )


def bind(name: str, parameters: tuple[Parameter, ...], node: ast.Call, first: tuple[Any, ...] = ()) -> dict[str, Any]:
    """Return which argument goes to which parameter: a syntax node, a list of them for ``shape`` and ``*``, or a value.

    ``first`` holds values that stand before the written arguments (the matrix of a method).
    """
    given: list[Any] = [*first, *node.args]
    if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
        raise Mistake("O003", f"{name}: arguments are written out, without `*`")
    bound: dict[str, Any] = {}
    rest = list(given)
    others: dict[str, Any] | None = None
    for parameter in parameters:
        if parameter.named:
            others = bound[parameter.name] = {}
        elif parameter.many:
            bound[parameter.name] = rest
            rest = []
        elif rest:
            argument = rest.pop(0)
            # ones(r, c) and reshape(A, r, c) are as good as ones((r, c)).
            if parameter.kind == "shape" and not isinstance(argument, (ast.Tuple, ast.List)) and rest:
                bound[parameter.name] = [argument, rest.pop(0)]
            else:
                bound[parameter.name] = argument
    names = [p.name for p in parameters]
    signature = f"{name}({', '.join(map(str, parameters))})"
    if rest:
        raise Mistake("O003", f"{name} has too many arguments", f"it is written `{signature}`")
    for keyword in node.keywords:
        assert keyword.arg is not None
        if others is not None and keyword.arg not in names:
            if keyword.arg in others:
                raise Mistake("O003", f"{name}: the argument `{keyword.arg}` is given twice")
            others[keyword.arg] = keyword.value
            continue
        if keyword.arg not in names:
            raise Mistake(
                "O003",
                f"{name} has no argument `{keyword.arg}`",
                did_you_mean(keyword.arg, names) or f"it is written `{signature}`",
            )
        if keyword.arg in bound:
            raise Mistake("O003", f"{name}: the argument `{keyword.arg}` is given twice")
        bound[keyword.arg] = keyword.value
    lacking = [p.name for p in parameters if p.name not in bound and p.default is REQUIRED and not p.many]
    if lacking:
        raise Mistake("O003", f"{name} lacks the argument `{lacking[0]}`", f"it is written `{signature}`")
    return bound


def matrix_only(value: Any, what: str) -> Node:
    """Return the value if it is a matrix; refuse a number."""
    if isinstance(value, Node):
        return value
    raise Mistake("O004", f"{what} wants a matrix, not the number {value}")
