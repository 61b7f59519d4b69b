"""``np.random`` for student code: a fixed draw, the same in every run, whatever the seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symbp.language.diagnostics import Mistake
from symbp.verify.student.language import sizes
from symbp.verify.student.language.numpy_table import bind
from symbp.verify.student.language.operations import Operations, plain
from symbp.verify.student.language.values import Builtin, Module, RandomGenerator

Draw = Callable[[np.random.Generator, dict[str, Any]], Any]


def _size(bound: dict[str, Any]) -> Any:
    given = bound.get("size")
    return tuple(given) if isinstance(given, (list, tuple, np.ndarray)) else given


def _uniform(rng: np.random.Generator, b: dict[str, Any]) -> Any:
    return rng.uniform(b.get("low", 0.0), b.get("high", 1.0), _size(b))


def _normal(rng: np.random.Generator, b: dict[str, Any]) -> Any:
    return rng.normal(b.get("loc", 0.0), b.get("scale", 1.0), _size(b))


def _integers(rng: np.random.Generator, b: dict[str, Any]) -> Any:
    low, high = b["low"], b.get("high")
    first, last = (0, low) if high is None else (low, high)
    return rng.integers(first, last, _size(b))


def _permutation(rng: np.random.Generator, b: dict[str, Any]) -> Any:
    return rng.permutation(b["x"])


def _choice(rng: np.random.Generator, b: dict[str, Any]) -> Any:
    return rng.choice(b["a"], _size(b), b.get("replace", True), b.get("p"))


def _binomial(rng: np.random.Generator, b: dict[str, Any]) -> Any:
    return rng.binomial(b.get("n", 1), b.get("p", 0.5), _size(b))


def _shuffle(rng: np.random.Generator, b: dict[str, Any]) -> Any:
    if not isinstance(b["x"], (np.ndarray, list)):
        raise Mistake("C110", "`shuffle` takes an array or a list")
    rng.shuffle(b["x"])
    return None


def _nothing(rng: np.random.Generator, b: dict[str, Any]) -> Any:
    return None


DRAWS: dict[str, tuple[str, Draw]] = {
    "uniform": ("low high size", _uniform), "normal": ("loc scale size", _normal),
    "standard_normal": ("size", _normal), "random": ("size", _uniform), "random_sample": ("size", _uniform),
    "integers": ("low high size", _integers), "randint": ("low high size", _integers),
    "permutation": ("x", _permutation), "shuffle": ("x", _shuffle), "choice": ("a size replace p", _choice),
    "binomial": ("n p size", _binomial), "seed": ("seed", _nothing),
}
"""The functions of ``np.random`` and of a generator: parameters, and how they draw."""

OF_MODULE = tuple(DRAWS)
OF_GENERATOR = ("uniform", "normal", "standard_normal", "random", "integers", "permutation", "shuffle", "choice",
                "binomial")


def _drawn(name: str, interpreter: Operations, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    parameters, draw = DRAWS[name]
    keywords = {k: v for k, v in keywords.items() if k != "dtype"}
    bound = bind(name, tuple(parameters.split()), arguments, keywords) if arguments or keywords else {}
    bound = {k: v if k == "seed" else plain(v, interpreter, k) for k, v in bound.items()}
    elements = sizes.entries(bound["size"]) if bound.get("size") is not None else 1
    for key in ("x", "a"):
        value = bound.get(key)
        elements = max(elements, int(value) if isinstance(value, (int, np.integer)) else sizes.count(value))
    elements = max([elements, *(sizes.count(v) for k, v in bound.items() if k not in ("x", "a", "size"))])
    interpreter.budget.array(elements)
    interpreter.has_drawn = interpreter.has_drawn or name != "seed"
    if name in ("integers", "randint", "permutation", "shuffle", "choice") and not bound:
        raise Mistake("C110", f"`{name}` needs an argument")
    return interpreter.number(draw(interpreter.rng, bound))


def _module_function(name: str) -> Builtin:
    return Builtin(f"np.random.{name}", lambda i, a, k: _drawn(name, i, a, k))


def _of_shape(name: str, draw: str) -> Builtin:
    def call(interpreter: Operations, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        return _drawn(draw, interpreter, (), {"size": tuple(arguments), **keywords} if arguments else keywords)

    return Builtin(f"np.random.{name}", call)


def _generator(interpreter: Operations, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> RandomGenerator:
    return RandomGenerator(interpreter.rng)


def random_module() -> Module:
    """Return the module ``np.random``."""
    return Module("np.random", {
        **{n: _module_function(n) for n in OF_MODULE},
        "randn": _of_shape("randn", "standard_normal"), "rand": _of_shape("rand", "random"),
        "default_rng": Builtin("np.random.default_rng", _generator),
        "RandomState": Builtin("np.random.RandomState", _generator),
    })


def of_generator(name: str) -> Builtin | None:
    """Return a method of a generator, or None."""
    if name in ("randn", "rand", "randint", "seed"):
        return random_module().members[name]
    return _module_function(name) if name in OF_GENERATOR else None
