"""The members of arrays, lists, dicts and strings that student code may use: a closed list, none with an underscore."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from symbp.language.diagnostics import Mistake
from symbp.verify.student.language import arithmetic as ar
from symbp.verify.student.language.numpy_table import ROWS, bind
from symbp.verify.student.language.operations import Operations, plain
from symbp.verify.student.language.texts import formatted
from symbp.verify.student.language.values import BOOL, FLOAT, INT, Builtin, Dtype, Type, kind_of

Call = Callable[[Operations, Any, tuple[Any, ...], dict[str, Any]], Any]
"""What a method does: interpreter, receiver, arguments, keywords."""

OF_THE_TABLE = (
    "dot", "sum", "mean", "max", "min", "argmax", "argmin", "clip", "var", "std", "squeeze", "ravel", "any", "all",
    "cumsum", "prod", "swapaxes", "diagonal", "trace", "repeat", "round", "take", "argsort", "cumprod", "nonzero",
)
"""Methods of arrays that are functions of the table with the array as their first argument."""


def attribute(interpreter: Operations, value: Any, name: str) -> Any:
    """Return a member of plain data.

    Raises ``Mistake`` for anything that is not listed.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        if name in PROPERTIES:
            return PROPERTIES[name](interpreter, value)
        if name in OF_THE_TABLE:
            row = _BY_NAME[name]
            return Builtin(name, lambda i, a, k: row.call(i, (value, *a), k))
    if name == "dtype" and isinstance(value, float):
        return FLOAT
    for kind, table in METHODS:
        if isinstance(value, kind) and name in table:
            return _bound(name, table[name], value)
    is_none = isinstance(value, (list, dict, tuple, str, np.ndarray)) and not hasattr(type(value), name)
    raise Mistake(
        "C118" if is_none else "C113", f"{kind_of(value)} has no attribute `{name}`{'' if is_none else ' here'}",
        "there are .T .shape .size .ndim, .sum .mean .dot .reshape .copy .astype ..., .append .items .keys .values",
    )


def _bound(name: str, call: Call, value: Any) -> Builtin:
    return Builtin(name, lambda i, a, k: call(i, value, a, k))


# ---------------------------------------------------------------------------------------------------------
# Arrays


def _dtype(interpreter: Operations, value: Any) -> Dtype:
    return {"i": INT, "b": BOOL}.get(value.dtype.kind, FLOAT)


PROPERTIES: dict[str, Callable[[Operations, Any], Any]] = {
    "T": lambda i, x: x.T,
    "shape": lambda i, x: x.shape,
    "size": lambda i, x: int(x.size),
    "ndim": lambda i, x: int(x.ndim),
    "dtype": _dtype,
}


def _shape(interpreter: Operations, arguments: tuple[Any, ...]) -> Any:
    given = arguments[0] if len(arguments) == 1 else arguments
    return plain(given, interpreter)


def _reshape(interpreter: Operations, x: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    _only(keywords, "reshape", "order")
    order = plain(keywords.get("order", "C"), interpreter, "order")
    interpreter.budget.array(x.size)
    return x.reshape(_shape(interpreter, arguments), order=order)


def _transpose(interpreter: Operations, x: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    _only(keywords, "transpose")
    return x.transpose(*plain(arguments, interpreter))


def _copy(interpreter: Operations, x: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    _none(arguments, keywords, "copy")
    interpreter.budget.array(x.size)
    return x.copy()


def _astype(interpreter: Operations, x: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    bound = bind("astype", ("dtype", "copy"), arguments, keywords)
    kind = interpreter.builtins_to_dtype(bound["dtype"])
    interpreter.budget.array(x.size)
    if kind is not FLOAT:
        x = ar.real(x)
    return x.astype(interpreter.dtype(kind))


def _fill(interpreter: Operations, x: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    x.fill(bind("fill", ("value",), arguments, keywords)["value"])


def _item(interpreter: Operations, x: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    _only(keywords, "item")
    return x.item(*plain(arguments, interpreter))


def _tolist(interpreter: Operations, x: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    _none(arguments, keywords, "tolist")
    interpreter.budget.container(x.size)
    return x.tolist()


ARRAY: dict[str, Call] = {
    "reshape": _reshape, "transpose": _transpose, "copy": _copy, "flatten": lambda i, x, a, k: _copy(
        i, x, (), {}).ravel(), "astype": _astype, "fill": _fill, "item": _item, "tolist": _tolist,
}

# ---------------------------------------------------------------------------------------------------------
# Lists, tuples, dicts


def _append(interpreter: Operations, x: list[Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    interpreter.budget.container(1)
    x.append(_one(arguments, keywords, "append"))


def _extend(interpreter: Operations, x: list[Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    x.extend(interpreter.items(_one(arguments, keywords, "extend")))


def _insert(interpreter: Operations, x: list[Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    bound = bind("insert", ("index", "value"), arguments, keywords)
    interpreter.budget.container(1)
    x.insert(bound["index"], bound["value"])


def _list_copy(interpreter: Operations, x: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    _none(arguments, keywords, "copy")
    interpreter.budget.container(len(x))
    return x.copy()


def _reverse(interpreter: Operations, x: list[Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    _none(arguments, keywords, "reverse")
    x.reverse()


def _index(interpreter: Operations, x: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    wanted = _one(arguments, keywords, "index")
    for k, item in enumerate(x):
        if item is wanted or (isinstance(item, (str, int)) and item == wanted):
            return k
    raise Mistake("C114", "the list has no such item")


LIST: dict[str, Call] = {
    "append": _append, "extend": _extend, "insert": _insert, "copy": _list_copy, "reverse": _reverse,
    "pop": lambda i, x, a, k: x.pop(*a), "index": _index, "clear": lambda i, x, a, k: x.clear(),
}


def _update(interpreter: Operations, x: dict[Any, Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    for given in (*arguments, keywords):
        if not isinstance(given, dict):
            raise Mistake("C110", "`update` takes a dict")
        interpreter.budget.container(len(given))
        x.update(given)


def _get(interpreter: Operations, x: dict[Any, Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    bound = bind("get", ("key", "default"), arguments, keywords)
    return x.get(interpreter.key(bound["key"]), bound.get("default"))


DICT: dict[str, Call] = {
    "keys": lambda i, x, a, k: list(x), "values": lambda i, x, a, k: list(x.values()),
    "items": lambda i, x, a, k: list(x.items()), "get": _get, "update": _update, "copy": _list_copy,
    "pop": lambda i, x, a, k: x.pop(*map(i.key, a)), "setdefault": lambda i, x, a, k: x.setdefault(*map(i.key, a)),
    "clear": lambda i, x, a, k: x.clear(),
}

# ---------------------------------------------------------------------------------------------------------
# Strings

_FIELD = re.compile(r"\{(\d?)(?::([^{}]*))?\}")


def _format(interpreter: Operations, x: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    _only(keywords, "format")
    rest = _FIELD.sub("", x)
    if "{" in rest or "}" in rest:
        raise Mistake("C115", "only plain fields `{}` and `{0}` are read in a format", "write `'W' + str(l)`")
    numbers = iter(range(len(arguments)))
    parts = _FIELD.sub(
        lambda m: formatted(arguments[int(m[1]) if m[1] else next(numbers, len(arguments))], m[2] or ""), x
    )
    interpreter.budget.text(len(parts))
    return parts


def _join(interpreter: Operations, x: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    parts = interpreter.items(_one(arguments, keywords, "join"))
    if not all(isinstance(p, str) for p in parts):
        raise Mistake("C110", "`join` takes strings")
    interpreter.budget.text(sum(len(p) + len(x) for p in parts))
    return x.join(parts)


def _replace(interpreter: Operations, x: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    old, new = _texts(arguments, 2, "replace")
    interpreter.budget.text(len(x) * max(len(new), 1))
    return x.replace(old, new)


def _split(interpreter: Operations, x: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> list[str]:
    parts = x.split(_texts(arguments, 1, "split")[0]) if arguments else x.split()
    interpreter.budget.container(len(parts))
    return parts


TEXT: dict[str, Call] = {
    "lower": lambda i, x, a, k: x.lower(), "upper": lambda i, x, a, k: x.upper(),
    "strip": lambda i, x, a, k: x.strip(*_texts(a, len(a), "strip")),
    "startswith": lambda i, x, a, k: x.startswith(_texts(a, 1, "startswith")[0]),
    "endswith": lambda i, x, a, k: x.endswith(_texts(a, 1, "endswith")[0]),
    "split": _split,
    "format": _format, "join": _join, "replace": _replace, "isdigit": lambda i, x, a, k: x.isdigit(),
}

METHODS: tuple[tuple[Any, dict[str, Call]], ...] = (
    ((np.ndarray, np.generic), ARRAY), (list, LIST), (dict, DICT), (str, TEXT), (tuple, {"index": _index}),
)

_BY_NAME = {row.name: row.builtin() for row in ROWS if row.name in OF_THE_TABLE}


# ---------------------------------------------------------------------------------------------------------
# Arguments of methods


def _only(keywords: dict[str, Any], name: str, *known: str) -> None:
    unknown = sorted(set(keywords) - set(known))
    if unknown:
        raise Mistake("C112", f"`{name}` has no keyword `{unknown[0]}` here")


def _none(arguments: tuple[Any, ...], keywords: dict[str, Any], name: str) -> None:
    if arguments or keywords:
        raise Mistake("C110", f"`{name}` takes no arguments here")


def _one(arguments: tuple[Any, ...], keywords: dict[str, Any], name: str) -> Any:
    if keywords or len(arguments) != 1:
        raise Mistake("C110", f"`{name}` takes one argument")
    return arguments[0]


def _texts(arguments: tuple[Any, ...], number: int, name: str) -> tuple[str, ...]:
    if len(arguments) != number or not all(isinstance(a, str) for a in arguments):
        raise Mistake("C110", f"`{name}` takes {number} strings")
    return arguments


TYPES_OF_PYTHON: dict[str, Any] = {
    "list": Type("list", (list,)), "tuple": Type("tuple", (tuple,)), "dict": Type("dict", (dict,)),
    "str": Type("str", (str,)),
}
