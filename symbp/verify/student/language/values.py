"""What student code may hold beside plain data: functions, classes, modules, each an instance of a type of our own.

Plain data are numbers, strings, None, lists, tuples, dicts, ranges, slices and arrays of float, int and bool.  Whatever
can be called or has members is an ``Opaque``; no tuple, string or dict of the student's can pass for one.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Opaque:
    """A value that is ours; it has no operators, and only the members that its type states."""

    __slots__ = ()
    kind = "a value"


@dataclass(eq=False, slots=True)
class Module(Opaque):
    """A module: ``np``, ``np.random``, ``math``."""

    name: str
    members: Mapping[str, Any]
    kind = "a module"


@dataclass(eq=False, slots=True)
class Absent(Opaque):
    """A module that is not there for the check: ``matplotlib``; to use it is an error, unless for its effect alone."""

    name: str
    kind = "a module that is not read"


@dataclass(eq=False, slots=True)
class Builtin(Opaque):
    """A function of ours: it is given the interpreter, the arguments as a tuple and the keywords as a dict."""

    name: str
    call: Callable[..., Any]
    members: Mapping[str, Any] = field(default_factory=dict)
    kind = "a function"


@dataclass(eq=False, slots=True)
class Dtype(Opaque):
    """A type of entries: ``float``, ``int`` or ``bool``; called, it converts."""

    name: str
    kind = "a type"


FLOAT, INT, BOOL = Dtype("float"), Dtype("int"), Dtype("bool")
"""The types of entries that there are."""


@dataclass(eq=False, slots=True)
class Type(Opaque):
    """A type that ``isinstance`` knows: ``list``, ``np.ndarray``; called, it converts."""

    name: str
    types: tuple[type, ...]
    convert: Builtin | None = None
    kind = "a type"


@dataclass(eq=False, slots=True)
class Scope:
    """Names of one function, and the scope around it."""

    names: dict[str, Any]
    parent: Scope | None = None


@dataclass(eq=False, slots=True)
class Function(Opaque):
    """A function of the student's: ``def`` or ``lambda``."""

    name: str
    node: ast.FunctionDef | ast.Lambda
    scope: Scope
    defaults: tuple[Any, ...] = ()
    keyword_defaults: Mapping[str, Any] = field(default_factory=dict)
    owner: Class | None = None
    is_static: bool = False
    kind = "a function"


@dataclass(eq=False, slots=True)
class Class(Opaque):
    """A class of the student's."""

    name: str
    base: Class | None
    members: dict[str, Any]
    kind = "a class"

    def find(self, name: str) -> Any:
        """Return a member, looked for in the base classes too; else None."""
        at: Class | None = self
        while at is not None:
            if name in at.members:
                return at.members[name]
            at = at.base
        return None

    def is_below(self, other: Class) -> bool:
        """Tell whether this is ``other`` or derived from it."""
        at: Class | None = self
        while at is not None:
            if at is other:
                return True
            at = at.base
        return False


@dataclass(eq=False, slots=True)
class Instance(Opaque):
    """An object of a class of the student's."""

    of: Class
    attributes: dict[str, Any]
    kind = "an object"


@dataclass(eq=False, slots=True)
class Method(Opaque):
    """A function of the student's, bound to an object."""

    function: Function
    receiver: Instance
    kind = "a method"


@dataclass(eq=False, slots=True)
class Super(Opaque):
    """``super()``: an object, looked at from the base of a class."""

    receiver: Instance
    above: Class | None
    kind = "super()"


@dataclass(eq=False, slots=True)
class RandomGenerator(Opaque):
    """``np.random.default_rng(seed)``; its draws are ours."""

    rng: np.random.Generator
    kind = "a generator of random numbers"


STUDENTS = "students_code"
"""The name of the module that student code is to CPython (``--run``)."""


def attributes_of(value: Any) -> Mapping[str, Any]:
    """Return the attributes of an object of a class of the student's; of anything else nothing."""
    if isinstance(value, Instance):
        return value.attributes
    found = getattr(value, "__dict__", None) if type(value).__module__ == STUDENTS else None
    return found if isinstance(found, dict) else {}


def kind_of(value: Any) -> str:
    """Return in words what a value is: ``array of shape (5, 7)``, ``list``, ``a function``."""
    if isinstance(value, Opaque):
        name = getattr(value, "name", "") or getattr(getattr(value, "of", None), "name", "")
        return f"{value.kind} `{name}`" if name else value.kind
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape}"
    if isinstance(value, (np.generic, int, float, complex)):
        return "number"
    if value is None:
        return "None"
    return {str: "string"}.get(type(value), type(value).__name__)
