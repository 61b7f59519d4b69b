"""What the tests of the NumPy target share: generated modules, and the evaluator's values as their arguments."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from symbp.calculus import derive
from symbp.derivation import Derivation
from symbp.expr import evaluate_size
from symbp.language import read_text
from symbp.networks import network
from symbp.program import elementwise_functions
from symbp.pipeline import generate
from symbp.calculus.passes import with_functions
from symbp.render.numpy.layout import Field, Layout


@dataclass(frozen=True)
class Generated:
    """A generated module with the derivation it comes from."""

    derivation: Derivation
    module: Any
    text: str

    @property
    def layout(self) -> Layout:
        """The fields of the module."""
        return Layout(self.derivation.forward, {})

    def arguments(self, values: Mapping[str, Any], sizes: Mapping[str, Any], dtype: Any = np.float64) -> Any:
        """Return ``(params, inputs)`` from values as the evaluator takes them."""
        layout = self.layout
        params = {f.name: packed(f, values[f.var.name], sizes, dtype) for f in layout.params}
        inputs = {f.name: packed(f, values[f.var.name], sizes, dtype) for f in layout.inputs}
        inputs |= {str(size): sizes[str(size)] for size in layout.loose}
        return self.module.Params(**params), self.module.Inputs(**inputs)


def load(text: str, name: str = "generated") -> Any:
    """Return the module that a text defines."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(text, f"{name}.py", "exec"), module.__dict__)  # noqa: S102 - a text that symbp wrote
    return module


@cache
def make(text: str, wrt: tuple[str, ...] | None = None, dtype: str = "float64", name: str = "network") -> Generated:
    """Return the module of a declaration; functions that it leaves open are tanh."""
    program = read_text(text, name=name)
    free = {f.name: "tanh" for f in elementwise_functions(program) if f.is_free}
    derivation = derive(with_functions(program, free), wrt=wrt)
    source = generate(derivation, name=name, dtype=dtype, declaration=text)[f"{name}.py"]
    return Generated(derivation, load(source, f"generated_{name}"), source)


def packed(field: Field, value: Any, sizes: Mapping[str, Any], dtype: Any) -> Any:
    """Return a declared variable of the evaluator as a field of a module holds it."""
    if field.annotation == "float":
        return float(value[0, 0])
    if not field.ends:
        return np.asarray(value, dtype)
    ranges = [range(evaluate_size(lo, sizes), evaluate_size(hi, sizes) + 1) for lo, hi in field.ends]

    def build(level: int, at: tuple[int, ...]) -> Any:
        if level == len(ranges):
            return np.asarray(value[at] if at in value else value[at[0]], dtype)
        parts = [build(level + 1, (*at, i)) for i in ranges[level]]
        if level not in field.free:
            return parts[0]
        if field.free.index(level) < field.depth:
            return tuple(parts)
        empty = [evaluate_size(s, sizes) for s in (*field.lengths[field.free.index(level) + 1 :], *field.shape)]
        return np.stack(parts) if parts else np.zeros((0, *empty), dtype)

    return build(0, ())


def flat(value: Any) -> list[np.ndarray[Any, Any]]:
    """Return the arrays of a field: of an array, a tuple of arrays, a NamedTuple."""
    if isinstance(value, tuple):
        return [a for part in value for a in flat(part)]
    return [np.asarray(value)]


@pytest.fixture(scope="session")
def generated() -> Any:
    """Give ``make``: the module of a declaration."""
    return make


@pytest.fixture(scope="session")
def bundled() -> Any:
    """Give the module of a bundled network by name."""
    return lambda name, **options: make(network(name).text, name=name, **options)
