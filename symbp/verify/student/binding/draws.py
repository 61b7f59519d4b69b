"""What arguments are drawn: arrays whose axes are open sizes, integers, constants, and containers of them.

An axis is a number in a table of sizes; axes that must be equal are joined, axes along which something is broadcast
are set to 1.  A draw gives every open size a prime of its own, of at least 5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from symbp.language.diagnostics import Mistake
from symbp.verify.student.binding.session import Case
from symbp.verify.student.language.values import Array

Fill = Literal["real", "one-hot", "labels", "binary", "signs", "positive", "probabilities", "mask", "index"]
Align = Literal["features", "last", "first", "single", "alone"]
Role = Literal["parameter", "bias", "data", "target", "upstream"]
DRAWS = 3
"""How many draws are looked at; each has primes of its own."""
PRIMES = (5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97)


@dataclass
class Drawn:
    """An array that is drawn.

    axes: the sizes of its axes, as numbers in the table.
    role: what it is for.
    fill: of what kind its entries are.
    """

    axes: list[int]
    role: Role
    fill: Fill = "real"


@dataclass
class Draws:
    """What the arguments of a plan are: arrays by path, and everything else by name.

    arrays:     by path.
    names:      constants and empty containers by name.
    sizes:      integers by name, each an axis.
    size_lists: lists of integers by name, each a list of axes.
    below:      labels and indices are smaller than this.
    align:      along which axis a bias has entries where the text leaves it open: that of the features, which a
                parameter shares, or simply the last or the first; ``single`` takes the network to have one output,
                ``alone`` a call to have one sample.
    multiples:  the whole numbers by which sizes are multiplied in the text: 4 where the gates of a cell stand together.
    gradients_from: the line of the file from which a function that does both computes gradients; 0 if there is none.
    seed:           of the values; the sizes are the same whatever it is.
    asked:          what was asked for while sizes were fitted: the alignment of a bias; shared by copies.
    early:          arrays that are given to what is set up, and held by it.
    """

    arrays: dict[str, Drawn] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    size_lists: dict[str, list[int]] = field(default_factory=dict)
    below: int = 5
    align: Align = "features"
    multiples: tuple[int, ...] = ()
    gradients_from: int = 0
    seed: int = 0
    asked: set[str] = field(default_factory=set)
    early: set[str] = field(default_factory=set)
    _parent: list[int] = field(default_factory=list)
    _fixed: dict[int, int] = field(default_factory=dict)
    _tied: dict[int, tuple[int, int]] = field(default_factory=dict)

    # -- sizes

    def axis(self) -> int:
        """Return a new open size."""
        self._parent.append(len(self._parent))
        return len(self._parent) - 1

    def root(self, axis: int) -> int:
        """Return the size that stands for all that are joined with one."""
        while self._parent[axis] != axis:
            axis = self._parent[axis]
        return axis

    def join(self, a: int, b: int) -> None:
        """Make two sizes one."""
        a, b = self.root(a), self.root(b)
        if a != b:
            first, second = min(a, b), max(a, b)
            self._parent[second] = first
            if second in self._fixed:
                self._fixed[first] = self._fixed.pop(second)
            if second in self._tied:
                self._tied[first] = self._tied.pop(second)

    def fix(self, axis: int, value: int) -> None:
        """Give a size a value."""
        self._fixed[self.root(axis)] = value

    def tie(self, axis: int, times: int, other: int) -> None:
        """Make a size a multiple of another: the gates of a cell side by side."""
        self._tied[self.root(axis)] = (times, other)

    def is_open(self, axis: int) -> bool:
        """Tell whether a size may be any prime."""
        return self.root(axis) not in self._fixed and self.root(axis) not in self._tied

    def values(self, turn: int) -> dict[int, int]:
        """Return the value of every size, by its root: distinct primes, other ones at each turn."""
        roots = list(dict.fromkeys(self.root(a) for a in sorted(self._every())))
        count = max(4, sum(r not in self._fixed for r in roots))
        supply = list(PRIMES[:count])
        supply = supply[turn % count:] + supply[: turn % count]
        if turn % 2:
            supply.reverse()
        if count > len(PRIMES):
            raise Mistake("C106", f"more than {len(PRIMES)} sizes are to be drawn")
        numbers = iter([*supply, *PRIMES[count:]])
        found = {r: self._fixed[r] if r in self._fixed else next(numbers) for r in roots if r not in self._tied}
        for r in roots:
            if r in self._tied:
                times, other = self._tied[r]
                found[r] = times * found.get(self.root(other), 1)
        return found

    def _every(self) -> list[int]:
        every = [a for d in self.arrays.values() for a in d.axes]
        return [*every, *self.sizes.values(), *(a for axes in self.size_lists.values() for a in axes)]

    def open_parameters(self) -> list[int]:
        """Return the open sizes that parameters and biases alone have, the commonest first."""
        roots = dict.fromkeys(self.root(a) for a in self._every() if self.is_open(a))
        inner = [r for r in roots if self.roles(r) <= {"parameter", "bias"}]
        return sorted(inner, key=lambda r: -self.occurrences(r))

    def roles(self, axis: int) -> set[Role]:
        """Return the roles of the arrays that have a size."""
        root = self.root(axis)
        found = {d.role for d in self.arrays.values() if any(self.root(a) == root for a in d.axes)}
        inner: set[Role] = {"parameter"}
        made = [*self.sizes.values(), *(a for axes in self.size_lists.values() for a in axes)]
        return found | (inner if any(self.root(a) == root for a in made) else set())

    def occurrences(self, axis: int) -> int:
        """Return how many axes and arguments have a size."""
        root = self.root(axis)
        return sum(self.root(a) == root for a in self._every())

    def of_value(self, number: int, turn: int) -> int | None:
        """Return the open size that has a value at a turn."""
        return next((r for r, v in self.values(turn).items() if v == number and self.is_open(r)), None)

    def copy(self) -> Draws:
        """Return a copy whose sizes may be joined further."""
        return Draws(
            {p: Drawn(list(d.axes), d.role, d.fill) for p, d in self.arrays.items()}, dict(self.names),
            dict(self.sizes), {n: list(a) for n, a in self.size_lists.items()}, self.below, self.align, self.multiples,
            self.gradients_from, self.seed, self.asked, self.early,
            list(self._parent), dict(self._fixed), dict(self._tied),
        )

    # -- values

    def case(self, turn: int) -> Case:
        """Return the values of one draw."""
        rng = np.random.default_rng((self.seed, turn))
        values = self.values(turn)

        def size(axis: int) -> int:
            return values[self.root(axis)]

        names = dict(self.names)
        names |= {n: size(a) for n, a in self.sizes.items()}
        names |= {n: [size(a) for a in axes] for n, axes in self.size_lists.items()}
        sources: dict[str, Any] = {}
        for path, drawn in self.arrays.items():
            shape = tuple(size(a) for a in drawn.axes)
            samples = [
                k for k, a in enumerate(drawn.axes) if "data" in self.roles(a) and "parameter" not in self.roles(a)
            ]
            place = names if path in self.early else sources
            place[path] = filled(drawn, shape, rng, samples, self.below)
        return Case(names, sources, {self.label(r): v for r, v in values.items() if v > 1})

    def label(self, root: int) -> str:
        """Return what a size is called in messages: an argument, or an axis such as ``X.shape[0]``."""
        for name, axis in self.sizes.items():
            if self.root(axis) == root:
                return name
        for path, drawn in sorted(self.arrays.items(), key=lambda kv: kv[1].role not in ("data", "target")):
            for k, axis in enumerate(drawn.axes):
                if self.root(axis) == root:
                    return f"{path}.shape[{k}]" if len(drawn.axes) > 1 else f"len({path})"
        for name, axes in self.size_lists.items():
            for k, axis in enumerate(axes):
                if self.root(axis) == root:
                    return f"{name}[{k}]"
        return f"size{root}"


def filled(
    drawn: Drawn, shape: tuple[int, ...], rng: np.random.Generator, samples: Iterable[int] = (), below: int = 5
) -> Array:
    """Draw an array: numbers of both signs away from 0, or what its kind asks for."""
    fill = drawn.fill
    if fill in ("labels", "index"):
        found = rng.integers(0, max(below, 1), shape)
        if found.size > 2:
            found.flat[-1] = found.flat[0]  # an index that is repeated, always
        return found
    if fill in ("binary", "mask"):
        return _both(rng.integers(0, 2, shape).astype(float))
    if fill == "signs":
        return 2 * _both(rng.integers(0, 2, shape).astype(float)) - 1
    if fill == "one-hot":
        return one_hot(shape, rng, list(samples))
    if fill == "positive":
        return rng.uniform(0.3, 1.4, shape)
    if fill == "probabilities":
        return rng.uniform(0.12, 0.88, shape)
    scale = 1.0
    if drawn.role == "parameter" and len(shape) > 1:
        scale = min(1.0, 3 / math.sqrt(max(shape)))
    found = scale * rng.uniform(0.15, 1.1, shape) * rng.choice([-1.0, 1.0], shape)
    return np.asarray(found)


def _both(found: Array) -> Array:
    if found.size > 1 and found.min() == found.max():
        found.flat[0] = 1 - found.flat[0]
    return found


def one_hot(shape: tuple[int, ...], rng: np.random.Generator, samples: list[int]) -> Array:
    """Draw a class for each sample; classes lie along the last axis that is none of samples and is longer than 1."""
    classes = [k for k in range(len(shape)) if k not in samples and shape[k] > 1]
    if not classes or len(shape) < 2:
        return _both(rng.integers(0, 2, shape).astype(float))
    axis = classes[-1]
    found = np.zeros(shape)
    rest = tuple(n for k, n in enumerate(shape) if k != axis)
    chosen = np.expand_dims(rng.integers(0, shape[axis], rest), axis)
    np.put_along_axis(found, chosen, 1.0, axis)
    return found
