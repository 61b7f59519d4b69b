"""The NumPy functions that student code may call: a line each, with its keywords and the size of its result.

The functions are NumPy's own, so results, aliases and errors are NumPy's.  A row says how the parameters are called,
how many entries the result has (counted before the function runs), and how the function continues to complex numbers
where NumPy's own does not do so analytically.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.ma  # np.unique loads it when it is first called, and a confined process opens no file

from symbp.language.diagnostics import Mistake, did_you_mean
from symbp.verify.student.language import arithmetic as ar
from symbp.verify.student.language import sizes
from symbp.verify.student.language.operations import Operations, plain
from symbp.verify.student.language.values import BOOL, FLOAT, INT, Builtin, Module, Type

IN_PYTHON = frozenset((
    "pad", "roll", "rot90", "unique", "kron", "tensordot", "cross", "insert", "delete", "meshgrid", "take_along_axis",
    "select", "average", "var", "std", "allclose", "nan_to_num",
))
"""Functions that NumPy has in Python: a call costs as much as some twenty nodes, others as three."""


@dataclass(frozen=True)
class Row:
    """One function.

    name:       as it is called.
    parameters: in their order; ``*arrays`` takes all that are given by position.
    call:       the function.
    size:       the number of entries of the result.
    continued:  the function for complex arguments, where it is not NumPy's own.
    is_product: whether the work is more than a step for each entry; or how much it is.
    """

    name: str
    parameters: tuple[str, ...]
    call: Callable[..., Any]
    size: sizes.Size
    continued: Callable[..., Any] | None = None
    is_product: bool | sizes.Size = False

    def builtin(self) -> Builtin:
        """Return the function as student code sees it."""
        return Builtin(f"np.{self.name}", self._apply)

    def _apply(self, interpreter: Operations, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        bound = bind(self.name, self.parameters, arguments, keywords)
        bound = {k: plain(v, interpreter, k) for k, v in bound.items()}
        interpreter.budget.nodes += 25 if self.name in IN_PYTHON else 3
        elements = self.size(bound)
        interpreter.budget.array(elements)
        if callable(self.is_product):
            interpreter.budget.work(self.is_product(bound))
        elif self.is_product:
            interpreter.budget.work(elements * max((sizes.shape_of(v) or (1,))[-1] for v in bound.values()))
        out = bound.pop("out", None)
        call = self.call
        if interpreter.is_complex and ar.is_complex(*_flat(bound.values())):
            call = self.continued or call
        result = call(*bound.values()) if self._in_order(bound) else call(**bound)
        if out is not None:
            out[...] = result
            return out
        return interpreter.number(result)

    def _in_order(self, bound: Mapping[str, Any]) -> bool:
        # Many of NumPy's functions take their first arguments by position only.
        return tuple(bound) == self.parameters[: len(bound)]


def bind(
    name: str, parameters: tuple[str, ...], arguments: tuple[Any, ...], keywords: Mapping[str, Any]
) -> dict[str, Any]:
    """Return arguments by the name of their parameter, in the order of the parameters."""
    if len(arguments) > len(parameters):
        raise Mistake("C110", f"`{name}` takes {len(parameters)} arguments, given are {len(arguments)}")
    given = dict(zip(parameters, arguments, strict=False))
    for key, value in keywords.items():
        if key not in parameters:
            raise Mistake(
                "C112", f"`{name}` has no keyword `{key}` here",
                did_you_mean(key, parameters) or f"its keywords are {', '.join(parameters)}",
            )
        if key in given:
            raise Mistake("C110", f"`{name}` is given `{key}` twice")
        given[key] = value
    if parameters and parameters[0] not in given:
        raise Mistake("C110", f"`{name}` needs `{parameters[0]}`")
    return {p: given[p] for p in parameters if p in given}


def _flat(values: Any) -> list[Any]:
    found = []
    for v in values:
        found += _flat(v) if isinstance(v, (list, tuple)) else [v]
    return found


# ---------------------------------------------------------------------------------------------------------
# Rows


def _row(
    name: str, parameters: str, size: sizes.Size, continued: Callable[..., Any] | None = None,
    call: Callable[..., Any] | None = None, is_product: bool | sizes.Size = False,
) -> Row:
    found: Any = call or np
    for part in () if call else name.split("."):
        found = getattr(found, part)
    return Row(name, tuple(parameters.split()), found, size, continued, is_product)


def _at(name: str) -> Builtin:
    """Return ``np.add.at``: in place, repeated indices add up."""
    ufunc = getattr(np, name)

    def call(interpreter: Operations, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        bound = bind(f"{name}.at", ("a", "indices", "b"), arguments, keywords)
        if not isinstance(bound["a"], np.ndarray) or "b" not in bound:
            raise Mistake("C110", f"`np.{name}.at(array, indices, values)` changes an array")
        ufunc.at(bound["a"], interpreter.place(bound["a"], bound["indices"]), plain(bound["b"], interpreter))
        return None

    return Builtin(f"np.{name}.at", call)


UNARY = ("exp", "log", "tanh", "sqrt", "square", "negative", "positive", "sinh", "cosh", "sin", "cos", "tan", "log1p",
         "expm1", "log2", "log10", "exp2", "reciprocal", "arctan", "arcsin", "arccos", "arcsinh", "arctanh")
BINARY = ("add", "subtract", "multiply", "divide", "true_divide", "power", "float_power")
COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
REAL_ONLY = ("floor", "ceil", "rint", "fix", "trunc", "isinf", "isfinite")
LOGICAL = ("logical_and", "logical_or", "logical_xor", "floor_divide", "mod", "remainder", "fmod")


def _of_real(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments, **keywords: function(*(ar.real(a) for a in arguments), **keywords)


def _close(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8) -> Any:
    return np.allclose(ar.real(a), ar.real(b), rtol, atol)


REDUCE = "a axis keepdims"

ROWS: tuple[Row, ...] = (
    # -- entry by entry
    *(_row(n, "x out", sizes.broadcast) for n in UNARY),
    *(_row(n, "x1 x2 out", sizes.broadcast) for n in BINARY),
    *(_row(n, "x1 x2", sizes.broadcast, _of_real(getattr(np, n))) for n in (*COMPARISONS, *LOGICAL)),
    *(_row(n, "x", sizes.broadcast, _of_real(getattr(np, n))) for n in REAL_ONLY),
    _row("isnan", "x", sizes.broadcast),
    _row("sign", "x out", sizes.broadcast, _of_real(np.sign)),
    _row("heaviside", "x1 x2", sizes.broadcast, _of_real(np.heaviside)),
    _row("logical_not", "x", sizes.broadcast, _of_real(np.logical_not)),
    *(_row(n, "x out", sizes.broadcast, ar.absolute) for n in ("abs", "absolute", "fabs")),
    *(_row(n, "x1 x2 out", sizes.broadcast, ar.larger) for n in ("maximum", "fmax")),
    *(_row(n, "x1 x2 out", sizes.broadcast, ar.smaller) for n in ("minimum", "fmin")),
    _row("logaddexp", "x1 x2", sizes.broadcast, ar.log_add),
    _row("hypot", "x1 x2", sizes.broadcast, lambda a, b: np.sqrt(a * a + b * b)),
    _row("arctan2", "x1 x2", sizes.broadcast, ar.refuse),
    _row("clip", "a a_min a_max out", sizes.broadcast, ar.clipped),
    _row("where", "condition x y", lambda b: sizes.broadcast(b) * max(1, 4 - len(b)),
         lambda c, *xy: np.where(ar.real(c), *xy)),
    _row("select", "condlist choicelist default", sizes.all_of, ar.refuse),
    _row("nan_to_num", "x", sizes.broadcast),
    *(_row(n, "a decimals", sizes.rounded, _of_real(np.round)) for n in ("round", "around")),
    # -- products
    *(_row(n, "a b out", sizes.product, is_product=True) for n in ("dot",)),
    _row("matmul", "x1 x2 out", sizes.product, is_product=True),
    _row("inner", "a b", sizes.inner, is_product=True),
    _row("vdot", "a b", sizes.one, ar.refuse),
    _row("outer", "a b out", sizes.outer),
    _row("kron", "a b", sizes.outer),
    _row("tensordot", "a b axes", sizes.contracted, is_product=sizes.contraction),
    _row("cross", "a b", sizes.all_of),
    _row("linalg.inv", "a", sizes.all_of, is_product=sizes.powers),
    _row("linalg.det", "a", sizes.all_of, is_product=sizes.powers),
    _row("linalg.solve", "a b", sizes.all_of, is_product=True),
    _row("linalg.norm", "x ord axis keepdims", sizes.all_of, ar.norm, is_product=sizes.matrix_norm),
    _row("trace", "a offset", sizes.all_of),
    # -- reductions
    *(_row(n, f"{REDUCE} dtype out", sizes.all_of, call=call) for n, call in (
        ("sum", lambda a, axis=None, keepdims=False, dtype=None: np.sum(a, axis=axis, keepdims=keepdims)),
        ("mean", lambda a, axis=None, keepdims=False, dtype=None: np.mean(a, axis=axis, keepdims=keepdims)),
        ("prod", lambda a, axis=None, keepdims=False, dtype=None: np.prod(a, axis=axis, keepdims=keepdims)),
    )),
    _row("average", "a axis weights", sizes.all_of),
    *(_row(n, REDUCE, sizes.all_of, ar.picked(np.argmax), lambda a, axis=None, keepdims=False: np.max(
        a, axis=axis, keepdims=keepdims)) for n in ("max", "amax", "nanmax")),
    *(_row(n, REDUCE, sizes.all_of, ar.picked(np.argmin), lambda a, axis=None, keepdims=False: np.min(
        a, axis=axis, keepdims=keepdims)) for n in ("min", "amin", "nanmin")),
    _row("var", "a axis ddof keepdims", sizes.all_of, ar.variance, lambda a, axis=None, ddof=0, keepdims=False: np.var(
        a, axis=axis, ddof=ddof, keepdims=keepdims)),
    _row("std", "a axis ddof keepdims", sizes.all_of, ar.deviation, lambda a, axis=None, ddof=0, keepdims=False: np.std(
        a, axis=axis, ddof=ddof, keepdims=keepdims)),
    _row("any", REDUCE, sizes.all_of, call=lambda a, axis=None, keepdims=False: np.any(
        a, axis=axis, keepdims=keepdims)),
    _row("all", REDUCE, sizes.all_of, call=lambda a, axis=None, keepdims=False: np.all(
        a, axis=axis, keepdims=keepdims)),
    _row("argmax", "a axis", sizes.all_of, _of_real(np.argmax)),
    _row("argmin", "a axis", sizes.all_of, _of_real(np.argmin)),
    _row("argsort", "a axis", sizes.all_of, _of_real(np.argsort)),
    _row("sort", "a axis", sizes.all_of, ar.refuse),
    _row("count_nonzero", "a axis", sizes.all_of, _of_real(np.count_nonzero)),
    _row("cumsum", "a axis", sizes.all_of),
    _row("cumprod", "a axis", sizes.all_of),
    _row("diff", "a n axis", lambda b: sizes.all_of(b) * max(1, int(b.get("n", 1)))),
    _row("allclose", "a b rtol atol", sizes.one, _close),
    _row("array_equal", "a1 a2", sizes.one),
    _row("unique", "ar", sizes.all_of, ar.refuse),
    _row("nonzero", "a", lambda b: sizes.all_of(b) * 4, _of_real(np.nonzero)),
    _row("bincount", "x weights minlength", lambda b: sizes.all_of(b) + int(np.max(b["x"], initial=0)) + int(
        b.get("minlength", 0))),
    # -- making
    _row("zeros", "shape dtype", sizes.filled("shape")),
    _row("ones", "shape dtype", sizes.filled("shape")),
    _row("empty", "shape dtype", sizes.filled("shape"), call=np.zeros),
    _row("full", "shape fill_value dtype", sizes.filled("shape")),
    _row("zeros_like", "a dtype", sizes.all_of),
    _row("ones_like", "a dtype", sizes.all_of),
    _row("empty_like", "a dtype", sizes.all_of, call=np.zeros_like),
    _row("full_like", "a fill_value dtype", sizes.all_of),
    _row("eye", "N M k dtype", sizes.identity),
    _row("identity", "N dtype", sizes.identity, call=np.eye),
    _row("arange", "start stop step dtype", sizes.counted),
    _row("linspace", "start stop num", sizes.spaced),
    _row("array", "object dtype copy ndmin", sizes.all_of),
    _row("asarray", "a dtype", sizes.all_of),
    _row("ascontiguousarray", "a", sizes.all_of),
    _row("copy", "a", sizes.all_of),
    _row("meshgrid", "x y indexing", lambda b: 2 * sizes.outer(b)),
    _row("tri", "N M k", sizes.identity),
    # -- rearranging
    _row("reshape", "a shape order", sizes.all_of),
    _row("ravel", "a", sizes.all_of),
    _row("transpose", "a axes", sizes.all_of),
    _row("swapaxes", "a axis1 axis2", sizes.all_of),
    _row("moveaxis", "a source destination", sizes.all_of),
    _row("rollaxis", "a axis start", sizes.all_of),
    _row("squeeze", "a axis", sizes.all_of),
    _row("expand_dims", "a axis", sizes.all_of),
    _row("atleast_1d", "a", sizes.all_of),
    _row("atleast_2d", "a", sizes.all_of),
    *(_row(n, "arrays axis", sizes.all_of) for n in ("concatenate", "stack")),
    *(_row(n, "arrays", sizes.all_of) for n in ("hstack", "vstack", "dstack", "column_stack")),
    *(_row(n, "ary indices_or_sections axis", sizes.parts) for n in ("split", "array_split")),
    *(_row(n, "ary indices_or_sections", sizes.parts) for n in ("hsplit", "vsplit")),
    _row("append", "arr values axis", sizes.all_of),
    _row("delete", "arr obj axis", sizes.all_of),
    _row("insert", "arr obj values axis", lambda b: 2 * sizes.all_of(b)),
    _row("flip", "m axis", sizes.all_of),
    _row("fliplr", "m", sizes.all_of),
    _row("flipud", "m", sizes.all_of),
    _row("rot90", "m k axes", sizes.all_of),
    _row("roll", "a shift axis", sizes.all_of),
    _row("tile", "A reps", sizes.tiled),
    _row("repeat", "a repeats axis", sizes.repeated),
    _row("pad", "array pad_width mode constant_values", sizes.padded),
    _row("broadcast_to", "array shape", sizes.reached),
    _row("take", "a indices axis", lambda b: sizes.all_of(b) * max(1, sizes.count(b["indices"]))),
    _row("take_along_axis", "arr indices axis", sizes.all_of),
    _row("diag", "v k", sizes.squared),
    _row("diagflat", "v k", lambda b: (sizes.count(b["v"]) + abs(int(b.get("k", 0)))) ** 2),
    _row("diagonal", "a offset axis1 axis2", sizes.all_of),
    _row("triu", "m k", sizes.all_of),
    _row("tril", "m k", sizes.all_of),
    _row("ndim", "a", sizes.one),
    _row("shape", "a", sizes.one),
    _row("size", "a", sizes.one),
)


def _einsum(interpreter: Operations, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    if keywords.keys() - {"optimize"}:
        raise Mistake("C112", f"`einsum` has no keyword `{min(keywords.keys() - {'optimize'})}` here")
    if not arguments or not isinstance(arguments[0], str):
        raise Mistake("C110", "the first argument of `einsum` is a string such as 'ij,jk->ik'")
    operands = tuple(np.asarray(plain(v, interpreter)) for v in arguments[1:])
    elements, work = sizes.einsum(arguments[0], operands)
    interpreter.budget.array(elements)
    interpreter.budget.work(work)
    return interpreter.number(np.einsum(arguments[0], *operands))


def _inner_indices(interpreter: Operations, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    if keywords or not arguments or not all(isinstance(v, (np.ndarray, list, tuple)) for v in arguments):
        raise Mistake("C110", "`np.ix_` takes index arrays")
    return np.ix_(*(np.asarray(plain(v, interpreter)) for v in arguments))


def _chain(interpreter: Operations, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    if keywords or len(arguments) != 1 or not isinstance(arguments[0], (list, tuple)) or not arguments[0]:
        raise Mistake("C110", "`np.linalg.multi_dot` takes a list of arrays")
    found = arguments[0][0]
    for factor in arguments[0][1:]:
        found = _TABLE["dot"].call(interpreter, (found, factor), {})
    return found


def _ignore(interpreter: Operations, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    return None


_TABLE: dict[str, Builtin] = {row.name: row.builtin() for row in ROWS}
_TABLE["einsum"] = Builtin("np.einsum", _einsum)
_TABLE["ix_"] = Builtin("np.ix_", _inner_indices)

TYPES: dict[str, Any] = {
    **dict.fromkeys(("float64", "float32", "float16", "double", "float_"), FLOAT),
    **dict.fromkeys(("int64", "int32", "int16", "int8", "uint8", "intp", "int_"), INT),
    **dict.fromkeys(("bool_",), BOOL),
    "ndarray": Type("np.ndarray", (np.ndarray,)),
    "generic": Type("np.generic", (np.generic,)),
    "floating": Type("np.floating", (np.floating, float)),
    "integer": Type("np.integer", (np.integer,)),
}

CONSTANTS: dict[str, Any] = {
    "pi": math.pi, "e": math.e, "inf": math.inf, "nan": math.nan, "newaxis": None, "Inf": math.inf, "NaN": math.nan,
}


def numpy_module(random: Module) -> Module:
    """Return the module ``np``, with ``np.random`` as given."""
    members: dict[str, Any] = {n: b for n, b in _TABLE.items() if "." not in n}
    for name in ("add", "subtract", "multiply", "maximum", "minimum"):
        members[name] = Builtin(members[name].name, members[name].call, {"at": _at(name)})
    algebra = {n.removeprefix("linalg."): b for n, b in _TABLE.items() if n.startswith("linalg.")}
    members["linalg"] = Module("np.linalg", {**algebra, "multi_dot": Builtin("np.linalg.multi_dot", _chain)})
    members |= {n: Builtin(f"np.{n}", _ignore) for n in ("set_printoptions", "seterr")}
    return Module("np", {**members, **TYPES, **CONSTANTS, "random": random})
