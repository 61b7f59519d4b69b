"""Layouts: a work is read against the network as it was declared, else with its data or its weights the other way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from symbp.language.diagnostics import DeclarationError
from symbp.verify.check.anchors import Names
from symbp.verify.check.examine import Examination
from symbp.verify.check.judge import judge
from symbp.verify.check.mine import Mine, read_mine
from symbp.verify.check.outputs import asked, states
from symbp.verify.check.repair import KnownOf
from symbp.verify.check.scope import known_of
from symbp.verify.check.truth import Model, Truth, truth_of
from symbp.verify.check.verdict import Judgement

_WORD = re.compile(r"([A-Za-z_]\w*)( *)")


@dataclass(frozen=True)
class Attempt:
    """A work read against one layout: how many gradients are right, and how many lines do not fit in their shapes."""

    model: Model
    truth: Truth
    mine: Mine
    right: bool
    count: int
    misfits: int


def judge_mine(text: str, filename: str, models: Iterable[Callable[[], Model]], seed: int = 0) -> Judgement:
    """Judge lines in the language of the declaration.

    models: make the network as it was declared, then in the other layouts; those are tried where lines do not fit.

    The layout is decided for the whole work: that in which all is right, else in which fewest lines do not fit.

    Raises ``DeclarationError`` for a text that is no work in any layout.
    """
    attempts: list[Attempt] = []
    errors: list[DeclarationError] = []
    for make in models:
        model = make()
        truth = truth_of(model, seed)
        try:
            attempts.append(_attempt(text, filename, model, truth))
        except DeclarationError as error:
            errors.append(error)
            continue
        if attempts[-1].right or truth.refused:
            break
    if not attempts:
        raise errors[0]
    chosen = max(attempts, key=lambda a: (a.right, -a.misfits, a.count))
    found = judge(chosen.mine, chosen.truth, lambda ex: _known(chosen.mine, ex), chosen.model.why)
    found = _in_own_words(found, chosen.mine.reading.spellings)
    layout = chosen.model.layout
    if not layout:
        return found
    if found.verdict == "right":
        return replace(found, verdict="right (other layout)", remarks=(f"you write {layout}", *found.remarks))
    return replace(found, remarks=(f"read with {layout}, where most lines fit", *found.remarks))


def _in_own_words(judgement: Judgement, spellings: Mapping[str, str]) -> Judgement:
    """Return the judgement with mends in which names are written as their author writes them."""

    def own(text: str) -> str:
        return _WORD.sub(lambda m: _own(m.group(1), m.group(2), spellings), text)

    faults = tuple(
        replace(f, mend=own(f.mend), equivalently=tuple(map(own, f.equivalently))) for f in judgement.faults
    )
    return replace(judgement, faults=faults)


def _own(name: str, blanks: str, spellings: Mapping[str, str]) -> str:
    """Return a name as its author writes it; the blanks behind it that made up for its length go."""
    written = spellings.get(name)
    return name + blanks if written is None else written + blanks[len(written) - len(name) :]


def _known(mine: Mine, examination: Examination) -> KnownOf:
    return lambda line: known_of(mine, examination, line)


def _attempt(text: str, filename: str, model: Model, truth: Truth) -> Attempt:
    mine = read_mine(text, filename, model, truth)
    examination = Examination(mine, truth, Names(truth.variables))
    trial = examination.trial()
    outputs = states(examination, trial, asked(examination, trial))
    right = sum(o.right for o in outputs.values())
    return Attempt(model, truth, mine, bool(outputs) and right == len(outputs), right, len(mine.wrong))
