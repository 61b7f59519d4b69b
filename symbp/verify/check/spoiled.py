"""Witness 8 for the judge: right works with one mistake planted in them, and what the judge makes of each.

A judge who never misses anything, and who never finds anything that is not there, has to be shown.
"""

from __future__ import annotations

import ast
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from symbp.language.diagnostics import DeclarationError
from symbp.render.declaration import WrittenLine, laid_out
from symbp.verify.check.anchors import Names
from symbp.verify.check.edits import plant
from symbp.verify.check.edits.table import distance
from symbp.verify.check.examine import Examination
from symbp.verify.check.mine import read_mine
from symbp.verify.check.scope import known_of
from symbp.verify.check.truth import Model, Truth
from symbp.verify.check.verdict import GOOD, Judgement
from symbp.verify.check.work import Array, Where

SAME = 1e-9
"""Gradients that differ by less, relative to their largest entry, are the same."""


@dataclass(frozen=True)
class Spoiled:
    """A work with one mistake.

    nature: what was planted, a key of ``NATURES``.
    line:   the index of the line that has it.
    right:  this line as it was.
    wrong:  this line as it is.
    text:   the whole work.
    """

    nature: str
    line: int
    right: str
    wrong: str
    text: str


@dataclass(frozen=True)
class Finding:
    """What the judge made of a spoiled work.

    wrong:  whether it was called wrong.
    line:   whether the first mistake that is named is in the planted line, or in lines of which it is one.
    strict: whether the nature is the planted one.
    nature: whether it is, or another one with the same numbers whose mend is as near to the text as the right line.
    """

    spoiled: Spoiled
    judgement: Judgement
    wrong: bool
    line: bool
    strict: bool
    nature: bool


def spoiled(
    lines: Sequence[WrittenLine], model: Model, truth: Truth, rng: random.Random | None = None
) -> Iterator[Spoiled]:
    """Yield works with one mistake each, one of every nature in turn.

    lines: a right work.
    rng:   chooses among the mistakes of one nature; without it they come in the order of the lines.
    """
    mine = read_mine(laid_out(lines), "right", model, truth)
    examination = Examination(mine, truth, Names(truth.variables))
    examination.trial()
    found: dict[str, list[Spoiled]] = defaultdict(list)
    for k, line in enumerate(lines):
        for edit in plant(ast.parse(line.text).body[0], known_of(mine, examination, k), line.text):
            target, _, value = edit.text.partition(" = ")
            changed = [*lines[:k], WrittenLine(line.loops, target, value), *lines[k + 1 :]]
            found[edit.nature].append(Spoiled(edit.nature, k, line.text, edit.text, laid_out(changed)))
    for faults in found.values():
        if rng is not None:
            rng.shuffle(faults)
    while any(found.values()):
        for faults in found.values():
            if faults:
                yield faults.pop(0)


def changes_a_gradient(text: str, model: Model, truth: Truth, outputs: Mapping[str, str]) -> bool | None:
    """Tell whether a work gives another gradient than the truth at some draw; None if it cannot be evaluated.

    Where every gradient is transposed, the work is right in the other layout.

    outputs: for the name of a line the variable whose gradient it gives.
    """
    try:
        mine = read_mine(text, "spoiled", model, truth)
    except DeclarationError:
        return None
    if mine.wrong:
        return None
    runs = [mine.run(d) for d in range(len(truth.draws))]
    if any(run.failure is not None for run in runs):
        return None
    return not any(
        all(_same(run.values, d.gradients, outputs, turned) for run, d in zip(runs, truth.draws, strict=True))
        for turned in (False, True)
    )


def _same(
    values: Mapping[Where, Array], gradients: Mapping[str, object], outputs: Mapping[str, str], turned: bool
) -> bool:
    """Tell whether every gradient that a work gives is the true one, or its transpose."""
    for (_, _, text), value in values.items():
        value = value.T if turned else value
        name, _, inside = text.partition("[")
        wanted = gradients.get(outputs.get(name, ""))
        if wanted is None:
            continue
        if isinstance(wanted, Mapping):
            wanted = wanted.get(tuple(int(i) for i in inside.rstrip("]").split(",")))
            if wanted is None:
                continue
        assert isinstance(wanted, np.ndarray)
        if value.shape != wanted.shape or np.abs(value - wanted).max() > SAME * max(np.abs(wanted).max(), 1e-300):
            return False
    return True


def examined(fault: Spoiled, judge: Callable[[str], Judgement]) -> Finding:
    """Let the judge look at a spoiled work, and say what came of it."""
    said = judge(fault.text)
    first = said.faults[0] if said.faults else None
    at = first is not None and (first.line == fault.line or fault.line in first.slice)
    strict = first is not None and at and first.nature == fault.nature
    fits = first is not None and at and bool(first.nature) and bool(first.mend) and (
        distance(fault.wrong, first.mend) <= distance(fault.wrong, fault.right)
    )
    return Finding(fault, said, said.verdict not in GOOD and said.verdict != "not checked", at, strict, strict or fits)
