"""The gradients that were asked for: which they are, and how each stands to the truth at all draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from symbp.verify.check.constants import difference, equal
from symbp.verify.check.examine import Examination, Seen, Trial


@dataclass(frozen=True)
class Output:
    """A gradient that was asked for, over all draws and members.

    name:       the variable.
    state:      right, multiple (of the truth, or of its transpose), wrong, or missing: no line gives it.
    constants:  the constant at every draw, if it is the same for all members.
    transposed: whether it is the transpose.
    missing:    a member that no line gives.
    worst:      the largest relative error.
    """

    name: str
    state: str
    constants: tuple[float, ...] = ()
    transposed: bool = False
    missing: str = ""
    worst: float = 0.0

    @property
    def right(self) -> bool:
        """Tell whether it is the truth."""
        return self.state == "right"


def asked(examination: Examination, trial: Trial) -> tuple[str, ...]:
    """Return the variables whose gradients are judged: parameters that have a line, and inputs that the work names.

    Where no line is of these, the gradients that are computed and not read by another line.
    """
    truth = examination.truth
    mine: dict[str, set[int]] = {}
    texts: dict[int, set[str]] = {}
    for k, line in enumerate(examination.lines):
        texts.setdefault(k, set()).update(line.targets)
    for seen in trial.seen:
        for one in seen:
            texts[one.where[0]].add(one.where[2])
    for k, written in texts.items():
        for text in written:
            meaning = examination.meaning(k, text)
            if meaning is not None and meaning[0] == "gradient":
                mine.setdefault(meaning[1], set()).add(k)
    wanted = [n for n in truth.outputs if n in mine]
    wanted += [
        n for n, v in truth.variables.items()
        if v.declared and not truth.computed(n) and n in mine and n not in wanted
    ]
    if wanted:
        return tuple(wanted)
    return tuple(n for n, lines in mine.items() if any(not examination.reads.is_read(k) for k in lines))


def states(examination: Examination, trial: Trial, names: Iterable[str]) -> dict[str, Output]:
    """Return how each gradient stands to the truth."""
    of: list[dict[str, list[Seen]]] = []
    for seen in trial.seen:
        of.append({})
        for s in seen:
            if s.quantity is not None and s.quantity.kind == "gradient":
                of[-1].setdefault(s.quantity.of, []).append(s)
    return {name: _state(examination, [seen.get(name, []) for seen in of], name) for name in names}


def _state(examination: Examination, assignments: Sequence[Sequence[Seen]], name: str) -> Output:
    """Return how a gradient stands to the truth, by the assignments at every draw that are of it."""
    constants: list[float] = []
    uniform, worst = True, 0.0
    every: list[Seen] = []
    for d, seen in enumerate(assignments):
        draw = examination.truth.draws[d]
        mine = _given(examination, seen)
        if not mine:
            return Output(name, "missing")
        wanted = draw.gradients[name]
        if isinstance(wanted, Mapping):
            lacking = [at for at in wanted if not any(s.quantity is not None and s.quantity.at == at for s in mine)]
            lacking = [at for at in lacking if wanted[at].any() and not _outside(examination, name, at, d)]
            if lacking:
                return Output(name, "missing", missing=f"{name}[{', '.join(map(str, lacking[-1]))}]")
        every += mine
        if any(s.standing is None for s in mine):
            continue
        moving = [s for s in mine if s.quantity is not None and draw.table[s.quantity].any()]
        found = [s.standing.constant for s in moving or mine if s.standing is not None]
        uniform = uniform and all(equal(c, found[0]) for c in found)
        constants.append(found[0])
        for s in mine:
            assert s.quantity is not None
            if s.standing is not None and s.standing.same and draw.table[s.quantity].any():
                worst = max(worst, difference(s.value, draw.table[s.quantity]))
    if any(s.standing is None for s in every):
        return Output(name, "wrong")
    if all(s.standing is not None and s.standing.same for s in every):
        return Output(name, "right", tuple(constants), worst=worst)
    transposed = any(s.standing is not None and s.standing.transposed for s in every)
    return Output(name, "multiple", tuple(constants) if uniform else (), transposed)


def _given(examination: Examination, seen: Sequence[Seen]) -> list[Seen]:
    """Return which assignments of a gradient give it, one for each member: a name that says so before one whose value
    tells, a result before a part, the last one."""
    best: dict[object, tuple[tuple[bool, bool, int], Seen]] = {}
    for k, s in enumerate(seen):
        line = s.where[0]
        rank = not examination.is_guess(line, s.where[2]), not examination.reads.is_read(line), k
        if s.quantity not in best or rank > best[s.quantity][0]:
            best[s.quantity] = rank, s
    return [s for _, s in best.values()]


def _outside(examination: Examination, name: str, at: tuple[int, ...], draw: int) -> bool:
    """Tell whether a member was given from outside, not computed: of an input's family nobody asks for all."""
    var = examination.truth.variables[name]
    return var.kind not in ("param",)


def common(outputs: Sequence[Output]) -> tuple[float, ...] | None:
    """Return the constant that all outputs carry at every draw, or None."""
    if not outputs or any(o.state not in ("right", "multiple") or not o.constants for o in outputs):
        return None
    first = outputs[0].constants
    for o in outputs:
        if len(o.constants) != len(first) or not all(equal(a, b) for a, b in zip(o.constants, first, strict=True)):
            return None
    return first
