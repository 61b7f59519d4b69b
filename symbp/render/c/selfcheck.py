"""The self-check of a C module: values that a small generator makes, and reference numbers to compare with.

The numbers come from outside (``symbp.verify.reference`` computes them without any of this package's code); here they
are laid out as the module's flat arrays are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from symbp.plan.ir import Buffer
from symbp.render.c.module import Module

Array = np.ndarray[Any, np.dtype[Any]]
Member = tuple[int, ...]
Kind = Literal[
    "numbers", "symmetric", "one_hot_columns", "one_hot_rows", "bits", "signs", "whole_numbers", "columns_sum_to_one",
    "rows_sum_to_one",
]
"""What the generator can make; the names of its functions in C."""

WORD = 1 << 32
NEXT_MEMBER = 0x9E3779B9
"""How far the seeds of two members of a family are apart."""

DIRECTION_SEED = 977

ROLES = {"params": "param", "inputs": "input", "state": "state"}
"""The roles of what a struct holds."""

LISTED_ALL, LISTED_SOME, LISTED_AT_MOST = 12, 6, 150
"""Entries that stand in the file: all of a small variable, some of a large one, so many in all."""


def mixed(seed: int, count: int) -> Array:
    """Return ``count`` words of 32 bits: the bits of seed, seed + 1, ... mixed (Wellons 2018, lowbias32)."""
    x = (np.arange(count, dtype=np.uint64) + np.uint64(seed % WORD)).astype(np.uint32)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return x ^ (x >> np.uint32(16))


@dataclass(frozen=True)
class Recipe:
    """How a matrix is made from a seed.  All its entries are exact in single precision.

    kind:   which function of the generator makes it.
    seed:   where its sequence begins.
    low:    for numbers: entries are ``(low + word % spread) / 1024 / 2^shift``, with a sign if ``signed``.
    spread: for numbers as above; for whole numbers they lie below it.
    shift:  for numbers as above.
    signed: for numbers as above.
    """

    kind: Kind
    seed: int
    low: int = 0
    spread: int = 1
    shift: int = 0
    signed: bool = False

    def matrix(self, rows: int, cols: int) -> Array:
        """Return the matrix: what the generator in C makes, bit by bit."""
        count = rows * cols
        if self.kind in ("one_hot_columns", "one_hot_rows"):
            many, which = (cols, rows) if self.kind == "one_hot_columns" else (rows, cols)
            chosen = (mixed(self.seed, many) >> np.uint32(8)) % np.uint32(which)
            out = np.eye(which)[chosen]
            return out.T if self.kind == "one_hot_columns" else out
        if self.kind in ("columns_sum_to_one", "rows_sum_to_one"):
            many, each = (cols, rows) if self.kind == "columns_sum_to_one" else (rows, cols)
            top = np.uint32(max(65536 // each - 1, 1))
            parts = (1 + (mixed(self.seed, count) >> np.uint32(8)) % top).reshape(many, each).astype(float)
            parts[:, -1] = 65536 - parts[:, :-1].sum(axis=1)
            out = parts / 65536
            return out.T if self.kind == "columns_sum_to_one" else out
        words = mixed(self.seed, count)
        if self.kind == "symmetric":
            i, j = np.indices((rows, cols))
            words = words[(np.minimum(i, j) * cols + np.maximum(i, j)).ravel()]
        high = words >> np.uint32(8)
        if self.kind == "bits":
            flat = (high & np.uint32(1)).astype(float)
        elif self.kind == "signs":
            flat = 1 - 2 * (high & np.uint32(1)).astype(float)
        elif self.kind == "whole_numbers":
            flat = (high % np.uint32(self.spread)).astype(float)
        else:
            flat = (self.low + high % np.uint32(self.spread)) / (1024.0 * 2.0**self.shift)
            if self.signed:
                flat = np.where(words & np.uint32(1), -flat, flat)
        return flat.reshape(rows, cols)


def direction(count: int) -> Array:
    """Return the numbers with which the entries of a variable are weighed to make one number of them."""
    return Recipe("numbers", DIRECTION_SEED, 160, 961, 0, True).matrix(count, 1).ravel()


@dataclass(frozen=True)
class Difference:
    """An entry whose gradient is compared with a difference quotient of the loss, and the step that suits it."""

    name: str
    member: Member
    row: int
    col: int
    step: float


@dataclass(frozen=True)
class Reference:
    """What a module should compute.

    A variable's value is a matrix, or a mapping from index tuple to matrix for a family.

    recipes:     how the declared variables are made, by name and member.
    losses:      the loss, and the loss after one step.
    gradients:   by the variable whose gradient it is.
    after:       the parameters after two steps.
    predictions: what can be computed without targets.
    rate:        the length of the steps.
    max_norm:    the norm down to which gradients are scaled.
    differences: the entries that are compared with difference quotients.
    states:      the running statistics after one step, and after two.
    """

    recipes: Mapping[tuple[str, Member], Recipe]
    losses: tuple[float, float]
    gradients: Mapping[str, Any]
    after: Mapping[str, Any]
    predictions: Mapping[str, Any]
    rate: float
    max_norm: float
    differences: Sequence[Difference]
    states: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {})


# ---------------------------------------------------------------------------------------------------------
# Layout


@dataclass(frozen=True)
class Place:
    """Where a member of a variable begins in a flat array."""

    label: str
    start: int
    rows: int
    cols: int

    @property
    def count(self) -> int:
        """How many entries it has."""
        return self.rows * self.cols


def places(module: Module, buffers: Sequence[Buffer]) -> dict[tuple[str, Member], Place]:
    """Return where each member of the variables in ``buffers`` stands in their flat array."""
    found: dict[tuple[str, Member], Place] = {}
    for buffer, part in zip(buffers, module.flat(buffers), strict=True):
        rows, cols, start = int(str(part["rows"])), int(str(part["cols"])), int(str(part["start"]))
        for k, (_, member) in enumerate(module.entries.fields.members(buffer)):
            found[(buffer.of, member)] = Place(str(part["label"]), start + k * rows * cols, rows, cols)
    return found


@dataclass
class Part:
    """A stretch of the flat gradients that belongs to a stretch of the flat parameters or inputs."""

    of: str
    label: str
    source: str
    at: int
    start: int
    rows: int
    cols: int
    members: list[Member]

    @property
    def count(self) -> int:
        """How many entries it has."""
        return self.rows * self.cols * len(self.members)

    def values(self, value: Any) -> Array:
        """Return the entries of the variable that belong to the part."""
        if not isinstance(value, Mapping):
            return np.asarray(value, dtype=float).ravel()
        return np.concatenate([np.asarray(value[m], dtype=float).ravel() for m in self.members])


def predicted_buffers(module: Module) -> list[Buffer]:
    """Return the buffers of what is computed without targets, in the order of their flat array."""
    plan = module.plans["predict"]
    buffers = [plan.buffers[n] for n in plan.outputs]
    return [b for b in buffers if b.of != module.output and b.role == "value"]


def gradient_parts(module: Module, known: Mapping[str, Mapping[tuple[str, Member], Place]]) -> list[Part]:
    """Return how the flat gradients belong to parameters and inputs."""
    bars = [module.buffers[name] for name in module.gradients]
    of_bars = places(module, bars)
    names = {bar: name for name, bar in module.derivation.gradients.items()}
    parts: list[Part] = []
    for (bar, member), place in of_bars.items():
        name = names[bar]
        for source, where in known.items():
            own = where.get((name, member))
            if own is None:
                continue
            last = parts[-1] if parts else None
            if (
                last is not None and (last.of, last.source, last.label) == (name, source, own.label)
                and last.start + last.count == place.start and last.at + last.count == own.start
            ):
                last.members.append(member)
            else:
                parts.append(Part(name, own.label, source, own.start, place.start, own.rows, own.cols, [member]))
    return parts


# ---------------------------------------------------------------------------------------------------------
# What the template is filled with


def calls(module: Module) -> dict[str, str]:
    """Return how a file of its own calls the functions of the module, by entry."""
    def call(entry: str, arguments: Sequence[str]) -> str:
        given = {"rate": "rate", "max_norm": "max_norm", "steps": "steps", "out": "&predictions"}
        return f"{module.p}_{entry}({', '.join(given.get(a, f'&{a}') for a in arguments)})"

    found = {entry: call(entry, module.arguments(entry)) for entry in module.plans}
    if module.trained:
        step = module.arguments("train_step")
        behind = step.index("max_norm" if module.clip else "rate") + 1
        found["train"] = call("train", [*step[:behind], "steps", *step[behind:]])
    return found


def _largest(values: Array) -> float:
    return float(np.max(np.abs(values), initial=0.0))


def _number(value: Any) -> str:
    return f"{float(value):.15g}"


def _fills(module: Module, reference: Reference, kind: str) -> Iterator[dict[str, object]]:
    """Yield the calls of the generator that fill a flat array."""
    last: dict[str, Any] | None = None
    for (name, member), place in places(module, module.held(ROLES[kind])).items():
        recipe = reference.recipes[name, member]
        if last is not None and last["label"] == place.label:
            expected = (last["recipe"].seed + NEXT_MEMBER * last["members"]) % WORD
            end = last["start"] + last["members"] * place.count
            if recipe.seed == expected and end == place.start and _like(recipe, last["recipe"]):
                last["members"] += 1
                continue
        if last is not None:
            yield last
        last = {
            "label": place.label, "start": place.start, "rows": place.rows, "cols": place.cols, "members": 1,
            "recipe": recipe,
        }
    if last is not None:
        yield last


def _like(a: Recipe, b: Recipe) -> bool:
    return (a.kind, a.low, a.spread, a.shift, a.signed) == (b.kind, b.low, b.spread, b.shift, b.signed)


def _listed(values: Array, room: int) -> list[int]:
    """Return the entries that stand in the file: all, or the largest, the first, the last and some between."""
    count = len(values)
    if count <= LISTED_ALL and count <= room:
        return list(range(count))
    some = max(min(room, LISTED_SOME), 1)
    spread = [int(k) for k in np.linspace(0, count - 1, max(some - 1, 1)).round()] if some > 1 else []
    return sorted({int(np.argmax(np.abs(values))), *spread})


def _sums(module: Module, buffers: Sequence[Buffer], values: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    """Yield for each buffer the weighed sum of its entries."""
    where = places(module, buffers)
    for buffer, part in zip(buffers, module.flat(buffers), strict=True):
        members = [m for _, m in module.entries.fields.members(buffer)]
        value = values.get(buffer.of)
        found = [value.get(m) if isinstance(value, Mapping) else value for m in members]
        known = [np.asarray(m, dtype=float).ravel() for m in found if m is not None]
        flat = np.concatenate(known) if known else np.zeros(1)
        yield {
            "label": part["label"], "start": where[buffer.of, members[0]].start, "count": part["entries"],
            "known": len(known) == len(members), "inner": _number(direction(len(flat)) @ flat),
            "scale": f"{_largest(flat) or 1.0:.6g}",
        }


def selfcheck(module: Module, reference: Reference) -> dict[str, object]:
    """Return what the template of the self-check is given."""
    single = bool(module.real.suffix)
    known = {what: places(module, module.held(role)) for what, role in ROLES.items()}
    parts = gradient_parts(module, known)
    everything = max((_largest(p.values(reference.gradients[p.of])) for p in parts), default=0.0)
    room = max(LISTED_AT_MOST // max(len(parts), 1), 1)
    shown: list[dict[str, object]] = []
    entries: list[dict[str, object]] = []
    for part in parts:
        gradient = part.values(reference.gradients[part.of])
        after = part.values(reference.after[part.of]) if part.of in reference.after else None
        weights = direction(part.count)
        listed = _listed(gradient, room)
        if module.optimizer == "adam":
            # A gradient that is small against the largest one says little about its step: the sign decides.
            clear = np.abs(gradient) >= 1e-3 * _largest(gradient)
            steady = [k for k in listed if clear[k]]
        else:
            steady = listed
        scale = max(_largest(gradient), 1e-2 * everything) or 1.0
        whole = len(listed) < part.count
        shown.append({
            "label": part.label, "source": part.source, "at": part.at, "start": part.start, "count": part.count,
            "rows": part.rows, "cols": part.cols, "scale": f"{scale:.6g}", "first": len(entries),
            "entries": len(listed), "whole": whole, "inner": _number(weights @ gradient),
            "after": _number(weights @ after if after is not None and whole and module.optimizer != "adam" else 0.0),
            "weighed_after": after is not None and whole and module.optimizer != "adam",
        })
        entries += [{
            "at": k, "gradient": _number(gradient[k]),
            "after": _number(after[k]) if after is not None and k in steady else "UNKNOWN",
        } for k in listed]
    differences = []
    for wanted in reference.differences:
        for number, part in enumerate(parts):
            if part.of == wanted.name and wanted.member in part.members:
                at = part.members.index(wanted.member) * part.rows * part.cols + wanted.row * part.cols + wanted.col
                differences.append({"part": number, "at": at, "step": _number(wanted.step)})
    fills = {kind: list(_fills(module, reference, kind)) for kind in known}
    kinds = {f["recipe"].kind for calls in fills.values() for f in calls}  # type: ignore[attr-defined]
    predictions: list[dict[str, object]] = []
    if "predict" in module.plans:
        predictions = list(_sums(module, predicted_buffers(module), reference.predictions))
    states = [list(_sums(module, module.held("state"), after)) for after in reference.states]
    return {
        "calls": calls(module), "fills": fills, "kinds": kinds, "parts": shown, "entries": entries,
        "differences": differences,
        "predictions": [x for x in predictions if x["known"]],
        "prediction_count": max(sum(int(str(x["count"])) for x in predictions), 1),
        "losses": [_number(v) for v in reference.losses], "rate": _number(reference.rate),
        "max_norm": _number(reference.max_norm),
        "tolerance": "5e-5" if single else "1e-11", "difference_tolerance": "1e-2" if single else "1e-7",
        "epsilon": "1.2e-7" if single else "2.3e-16", "direction_seed": DIRECTION_SEED, "next_member": NEXT_MEMBER,
        "param_count": max(sum(p.count for p in known["params"].values()), 1),
        "input_count": max(sum(p.count for p in known["inputs"].values()), 1),
        "states": states if module.held("state") else [],
        "state_count": sum(p.count for p in known["state"].values()),
        "gradient_count": max((p.start + p.count for p in parts), default=1),
    }


__all__ = ["Difference", "Recipe", "Reference", "direction", "mixed", "calls", "selfcheck"]
