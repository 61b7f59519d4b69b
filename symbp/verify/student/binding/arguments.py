"""What the parameters of a function are given when nobody says it: told from their names and from how they are used."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from symbp.verify.student.binding.draws import Draws, Drawn, Role
from symbp.verify.student.binding.usage import Usage, parameters, usage
from symbp.verify.student.language import names as nm

LAYERS = 3
"""How many layers are drawn where the code takes any number."""
STEPS = 3
"""How many steps of time, or members of a list of inputs."""


Form = tuple[Role, int, str]
"""What an array is for, how many axes it has, and if it holds kernels a key of ``KERNELS``."""
KERNELS: dict[str, tuple[int | None, ...]] = {
    "last": (2, None, 3, 2), "square": (2, None, 3, 3), "first": (3, 3, None, 2),
}
"""The sizes of kernels whose rows and columns are the last or the first two axes."""


@dataclass
class Choices:
    """What is left open by the text: the number of axes of arrays, tried in this order.

    forms: for the path of an array.
    words: for a name that is compared with strings.
    """

    forms: dict[str, list[Form]] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=dict)


class Arguments:
    """Chooses what is drawn for the parameters of functions.

    draws:     what has been chosen.
    choices:   what is left open.
    functions: the functions whose text is looked at.
    """

    def __init__(self, functions: Sequence[ast.AST], kinds: dict[str, str] | None = None) -> None:
        self.draws, self.choices = Draws(), Choices()
        self.functions = list(functions)
        self.kinds = kinds or {}
        self.has_logarithm = any(
            isinstance(n, ast.Attribute) and n.attr in ("log", "log1p", "logaddexp", "log2")
            for f in functions for n in ast.walk(f)
        )
        # Where something is summed along an axis, a sample is not alone.
        self.has_axes = any(
            isinstance(n, ast.keyword) and n.arg in ("axis", "keepdims") for f in functions for n in ast.walk(f)
        )
        self.is_signed = any(_is_hinge(n) for f in functions for n in ast.walk(f))

    def call(self, function: ast.FunctionDef, callee: str, given: dict[str, str] | None = None) -> str:
        """Return the call of a function as text, with everything that its parameters need drawn.

        given: what some parameters are bound to.
        """
        parts = []
        by_name = False
        for name, default in parameters(function):
            bound = (given or {}).get(name)
            if bound is None:
                is_size = isinstance(default, ast.Constant) and type(default.value) is int and (
                    name not in nm.COUNTS and self._is_size(name, usage(name, self.functions))
                )
                if default is not None and not is_size and not _is_wanted(name, default, self.kinds):
                    by_name = True  # what follows is given by name
                    continue
                self.give(name)
                bound = name
            parts.append(f"{name}={bound}" if by_name else bound)
        return f"{callee}({', '.join(parts)})"

    def give(self, name: str, role: Role = "data") -> None:
        """Draw what a parameter needs, unless it is drawn already."""
        if self.is_given(name):
            return
        use = usage(name, self.functions)
        constant = self._constant(name, use)
        if constant is not None:
            self.draws.names[name] = constant
        elif use.keys or use.patterns:
            self._dict(name, use)
        elif nm.SIZES.fullmatch(name) and not use.least and "shape" not in use.members and not (
            name.startswith("n_") and not use.is_list and not use.members and self._is_size(name, use)
        ):
            axes = [self.draws.axis() for _ in range(LAYERS)]
            self.draws.size_lists[name] = axes
        elif name in nm.COUNTS:
            self.draws.names[name] = nm.COUNTS[name]
        elif self._is_size(name, use):
            self.draws.sizes[name] = self.draws.axis()
        elif self._is_list(name, use):
            self._list(name, use)
        else:
            given = {p for f in self.functions if isinstance(f, ast.FunctionDef) for p, _ in parameters(f)}
            is_table = bool(use.indices & given) and role == "data"  # its rows are taken by numbers that are given
            self.array(name, use, "parameter" if is_table else self.role(name, role))

    def is_given(self, name: str) -> bool:
        """Tell whether a name has been drawn."""
        known = self.draws
        return name in known.arrays or name in known.names or name in known.sizes or name in known.size_lists

    def role(self, name: str, otherwise: Role = "data") -> Role:
        """Return what an array is for, by its name."""
        word = nm.tail(name)
        if nm.TARGET.fullmatch(word):
            return "target"
        if nm.BIAS.fullmatch(word):
            return "bias"
        if word[:1] in "WwUVKTtE" or word.lower().startswith(("kernel", "filter", "emb")):
            return "parameter"
        return otherwise

    def array(self, path: str, use: Usage, role: Role) -> None:
        """Draw an array."""
        word = nm.tail(path)
        ranks = [use.rank] if use.rank else [r for r in _ranks(role) if r >= use.least] or [use.least]
        if not use.rank and nm.VECTOR.search(word):
            ranks.sort(key=lambda r: r != 1)
        elif not use.rank and nm.MATRIX.search(word) and 2 in ranks:
            ranks = [2]
        if role == "data" and self.has_axes and len(ranks) > 1 and not use.is_index:
            ranks = ranks[:1]
        kind = self.kinds.get(path, "")
        drawn = Drawn([], role)
        if kind:
            drawn.fill = kind  # type: ignore[assignment]
        elif use.is_index or (nm.LABELS.fullmatch(word) and role != "target" and not use.is_factor
                              and word not in ("inputs", "xs")):
            drawn.fill = "labels"
        elif role == "target":
            drawn.fill = "one-hot" if self.has_logarithm else "signs" if self.is_signed else "real"
        elif word.lower() in ("mask", "m_mask"):
            drawn.fill = "mask"
        elif word.startswith(("running_var", "moving_var", "gamma")):
            drawn.fill = "positive"
        if drawn.fill in ("labels", "index") and not use.rank:
            ranks = [r for r in (1, 2, 0) if r >= use.least] or ranks
        roles: list[Role] = ["bias", "data"] if role == "data" and len(word) == 1 and word not in "xXaAhH" else [role]
        forms: list[Form] = [
            (r, n, kernel) for n in ranks for r in roles
            for kernel in (_kernels(use) if n == 4 and r == "parameter" else ("",))
        ]
        self.draws.arrays[path] = drawn
        self.form(path, forms[0])
        if len(forms) > 1:
            self.choices.forms[path] = forms

    def form(self, path: str, form: Form) -> None:
        """Give an array its role and new axes."""
        role, rank, kernel = form
        drawn = self.draws.arrays[path]
        drawn.role = role
        drawn.axes = [self.draws.axis() for _ in range(rank)]
        # Kernels and images are small, and no two axes of one are alike.
        small: tuple[int | None, ...] = KERNELS.get(kernel, ())
        if rank == 4 and role == "data":
            small = (2, 3, 4, 5)
        if rank == 3 and role in ("data", "target") and not kernel:
            small = (None, STEPS, None)  # a loop over time need not be long
        for axis, size in zip(drawn.axes, small, strict=False):
            if size is not None:
                self.draws.fix(axis, size)

    def _constant(self, name: str, use: Usage) -> Any:
        if self.kinds.get(name):
            return None
        if nm.RATE.fullmatch(name) and not use.keys and not use.rank:
            return 0.25
        if nm.SMALL.fullmatch(name):
            return 1e-5
        if nm.STEPS.fullmatch(name):
            return 1
        if use.words:
            self.choices.words[name] = list(dict.fromkeys(use.words))
            return use.words[0]
        if use.rank or use.least or use.keys or use.is_index:
            return None
        if nm.FRACTION.fullmatch(name):
            return 0.75
        if nm.PENALTY.fullmatch(name):
            return 0.3
        return None

    def _is_size(self, name: str, use: Usage) -> bool:
        if use.rank or use.least or use.is_list or use.is_index:
            return False
        return bool(nm.SIZE.fullmatch(name)) and _is_in_a_shape(name, self.functions)

    def _is_list(self, name: str, use: Usage) -> bool:
        plural = name in ("weights", "biases", "parameters", "params", "Ws", "bs", "layers", "kernels")
        is_looped = use.is_list and bool(use.members & {"len", "enumerate", "zip", "for"})
        steps = name in ("inputs", "targets", "xs") and is_looped
        return (plural or steps) and not use.rank and not use.least

    def _list(self, name: str, use: Usage) -> None:
        if name in ("inputs", "targets", "xs"):
            drawn = Drawn([self.draws.axis()], "target" if name == "targets" else "data", "labels")
            self.draws.fix(drawn.axes[0], STEPS)
            self.draws.arrays[name] = drawn
            return
        self.draws.names[name] = [None] * LAYERS
        for k in range(LAYERS):
            role: Role = "bias" if name.lower().startswith("b") else "parameter"
            self.array(f"{name}[{k}]", Usage(), role)

    def _dict(self, name: str, use: Usage) -> None:
        constants: dict[str, Any] = {}
        keys = [*use.keys, *(f"{p}{k}" for p in use.patterns for k in range(1, LAYERS + 1))]
        for key in dict.fromkeys(keys):
            value = nm.COUNTS.get(key, self._constant(key, Usage()))
            if value is not None:
                constants[key] = value
                continue
            path = f"{name}[{key!r}]"
            self.array(path, usage(path, self.functions), self.role(path, "parameter"))
        self.draws.names[name] = constants


def _kernels(use: Usage) -> tuple[str, ...]:
    """Return where the rows and columns of kernels may stand; only where the text takes them to be alike they are."""
    return ("square", "first") if use.is_square else ("last", "first")


def _ranks(role: Role) -> list[int]:
    """Return the numbers of axes that an array may have if its use does not tell, the likeliest first."""
    return [2, 1, 0] if role == "bias" else [2, 1]


def _is_wanted(name: str, default: ast.expr, kinds: dict[str, str]) -> bool:
    """Tell whether a parameter with a default is given something all the same: targets and penalties, left out or 0."""
    value = default.value if isinstance(default, ast.Constant) else ""
    is_penalty = isinstance(value, (int, float)) and bool(nm.PENALTY.fullmatch(name))
    return name in kinds or (value is None and bool(nm.TARGET.fullmatch(name))) or is_penalty


def _is_hinge(node: ast.AST) -> bool:
    """Tell whether an expression is ``1 - y * s``, the margin of targets that are -1 or 1."""
    return (
        isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and isinstance(node.left, ast.Constant)
        and node.left.value == 1 and isinstance(node.right, ast.BinOp) and isinstance(node.right.op, ast.Mult)
        and any(isinstance(n, ast.Name) and nm.TARGET.fullmatch(n.id) for n in (node.right.left, node.right.right))
        and not any(isinstance(n, ast.Name) and n.id in ("A", "a") for n in (node.right.left, node.right.right))
    )


def _is_in_a_shape(name: str, functions: Sequence[ast.AST]) -> bool:
    """Tell whether a name stands where an array is made, in a range, or in a size that is computed."""
    makers = ("zeros", "ones", "empty", "randn", "rand", "normal", "uniform", "eye", "range", "reshape", "full",
              "standard_normal", "random", "arange", "xavier", "he_init", "init", "one_hot", "sqrt")
    for function in functions:
        for node in ast.walk(function):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            is_class = called[:1].isupper()
            if called in makers or is_class or "init" in called.lower():
                for part in ast.walk(node):
                    if isinstance(part, ast.Name) and part.id == name:
                        return True
    return False
