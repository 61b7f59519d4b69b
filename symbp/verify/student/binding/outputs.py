"""What the setup of a plan makes and what its backward pass gives: arrays by path, and of what each is the gradient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from symbp.verify.student.binding.draws import Drawn, filled
from symbp.verify.student.binding.session import Case, Outcome, Session
from symbp.verify.student.language import names as nm
from symbp.verify.student.language.values import Array, attributes_of


def with_parameters(session: Session, case: Case, turn: int, seed: int = 0) -> Case:
    """Return a case with new values for every array that the setup makes: start values hide mistakes."""
    if not session.plan.setup and not session.plan.module:
        return case
    made = session.made(case)
    rng = np.random.default_rng((17 + seed, turn))
    sources: dict[str, Any] = {}
    given = [v for v in case.names.values() if isinstance(v, np.ndarray)]
    for name, value in made.items():
        for path, array in leaves(name, value):
            if any(np.array_equal(array, v) for v in given):
                continue  # data that the object was given, and keeps
            if array.dtype.kind != "f" or not array.size or is_buffer(path, {p for p, _ in leaves(name, value)}):
                continue
            word = nm.tail(path)
            is_positive = bool((array > 0).all()) and array.size > 1
            drawn = Drawn([], "bias" if nm.BIAS.fullmatch(word) else "parameter", "positive" if is_positive else "real")
            # Zeros and ones are a choice: of classes, of what is kept.
            is_chosen = array.size > 1 and array.min() != array.max() and bool(np.isin(array, (0, 1)).all())
            sources[path] = array.copy() if is_chosen else filled(drawn, array.shape, rng)
    return replace(case, sources={**sources, **case.sources})


def is_buffer(path: str, paths: set[str]) -> bool:
    """Tell whether a path is that of a gradient or of a moment: ``net.dW1`` beside ``net.W1``."""
    word = nm.tail(path)
    stem = path[: len(path) - len(word)]
    others = {f"{stem}{of}" for of in (*nm.gradient_of(word), word[1:], word[2:], word.split("_", 1)[-1])} - {path}
    return bool(others & paths)


def leaves(path: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Array]]:
    """Go through the arrays and real numbers that a value holds, each with its path."""
    if depth > 6:
        return
    if isinstance(value, np.ndarray):
        yield path, value
    elif isinstance(value, (float, np.floating)):
        yield path, np.asarray(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, (str, int)):
                yield from leaves(f"{path}[{key!r}]", item, depth + 1)
    elif isinstance(value, (list, tuple)):
        for k, item in enumerate(value):
            yield from leaves(f"{path}[{k}]", item, depth + 1)
    else:
        for name, item in attributes_of(value).items():
            yield from leaves(f"{path}.{name}", item, depth + 1)


def find_outputs(ran: Outcome, case: Case, names: Sequence[str], receiver: str) -> Iterator[tuple[str, str]]:
    """Find what a backward pass gives: each array that is called like the gradient of something drawn."""
    taken: set[str] = set()
    sources = {p: v for p, v in case.sources.items() if np.asarray(v).dtype.kind == "f"}
    for name in [*names, *([receiver] if receiver else [])]:
        for path, _ in leaves(name, ran.scope.get(name)):
            if path in sources:
                continue
            of = source_of(path, sources)
            if of is not None and of not in taken:
                taken.add(of)
                yield path, of


def source_of(path: str, sources: Mapping[str, Any]) -> str | None:
    """Return the drawn array of which a path is the gradient by its name."""
    word = nm.tail(path)
    is_object = "." in path
    stem = path[: len(path) - len(word)] if is_object else ""
    for of in [*nm.gradient_of(word), *([] if is_object else [word])]:
        for known in sources:
            if is_object and known in (f"{stem}{of}", of):
                return known  # the attribute of the object, or an argument: ``self.dinputs``
        if is_object:
            continue
        for known in sources:
            if nm.bare(nm.tail(known)) == nm.bare(of):
                return known
    base, bracket, index = word.partition("[")
    if bracket:
        for of in nm.gradient_of(base):
            for known in sources:
                if known.endswith(f"[{index}") and nm.tail(known).lower().startswith(of.lower()[:1]):
                    return known
    return None


def is_laid(shape: tuple[int, ...], like: tuple[int, ...]) -> bool:
    """Tell whether a shape is another one as broadcasting has it: ``(n,)`` is ``(1, n)``, not ``(n, 1)``."""
    return without_ones(shape) == without_ones(like)


def without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without the axes of length 1 that it begins with."""
    while shape[:1] == (1,):
        shape = shape[1:]
    return shape
