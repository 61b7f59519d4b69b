"""The judge: outputs decide; then where the first mistake is, what it is, and what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from symbp.verify.check.anchors import Names
from symbp.verify.check.constants import equal, name_of, text_of
from symbp.verify.check.examine import Examination, Trial
from symbp.verify.check.faults import Faults
from symbp.verify.check.outputs import Output, asked, common, states
from symbp.verify.check.repair import KnownOf, Repairer
from symbp.verify.check.truth import CONFIRMED, Truth
from symbp.verify.check.verdict import Judgement
from symbp.verify.check.walk import Blame, Walk
from symbp.verify.check.work import Work

Why = Callable[[str], str]
"""For a variable, why its gradient is what it is: ``dL = <A1bar, dA1> and dA1 = (1 - A1**2) * dZ1``."""


def judge(
    work: Work, truth: Truth, known: Callable[[Examination], KnownOf] | None = None, why: Why = lambda of: "",
) -> Judgement:
    """Judge a work.

    work:    somebody's lines.
    truth:   values and gradients at draws.
    known:   what is known of the names in scope, for the search of mends; without it mistakes have no nature.
    why:     says for a variable why its gradient is what it is.
    """
    reason = truth.refused
    if not reason and (truth.error > CONFIRMED or len(truth.witnesses) < 2):
        reason = f"the witnesses of the truth differ by {truth.error:.1g}"
    if reason:
        return Judgement("not checked", work.lines, reason=reason, sizes=truth.sizes)
    return Judge(work, truth, known, why).judgement()


class Judge:
    """One work beside the truth."""

    def __init__(
        self, work: Work, truth: Truth, known: Callable[[Examination], KnownOf] | None, why: Why
    ) -> None:
        self.truth, self.why = truth, why
        self.examination = Examination(work, truth, Names(truth.variables))
        self.known = None if known is None else known(self.examination)
        self.first = self.examination.trial()
        self.outputs = asked(self.examination, self.first)

    def judgement(self) -> Judgement:
        """Return the judgement, with the mistakes where there are any."""
        found = states(self.examination, self.first, self.outputs)
        worst = max((o.worst for o in found.values()), default=0.0)
        plain = Judgement(
            "right", self.examination.lines, outputs=self.outputs, witnesses=self.truth.witnesses,
            sizes=self.truth.sizes, worst=worst,
        )
        if not self.outputs and not self.first.failed:
            return replace(
                plain, verdict="not checked",
                reason="no line is known to be a gradient: name it as one (dW1), or say so (# of: W1)",
            )
        if found and all(o.right for o in found.values()):
            return replace(plain, remarks=self._remarks(self.first))
        if found and self._other_layout(list(found.values())):
            said = "every gradient is the transpose of the one in the layout of the declaration"
            return replace(plain, verdict="right (other layout)", remarks=(said, *self._remarks(self.first)))
        return self._wrong(plain, found)

    def _other_layout(self, found: Sequence[Output]) -> bool:
        """Tell whether all gradients are transposed; one that is its own transpose is both."""
        turned = [o for o in found if o.transposed and o.state == "multiple" and self._ones(o)]
        return bool(turned) and all(o in turned or (o.right and self._symmetric(o.name)) for o in found)

    def _ones(self, output: Output) -> bool:
        return bool(output.constants) and all(equal(c, 1.0) for c in output.constants)

    def _symmetric(self, name: str) -> bool:
        truth = self.truth.draws[0].gradients[name]
        every = list(truth.values()) if isinstance(truth, Mapping) else [truth]
        return all(a.shape == a.T.shape and (a == a.T).all() for a in every)

    def _wrong(self, plain: Judgement, found: Mapping[str, Output]) -> Judgement:
        walk = Walk(self.examination, self.outputs)
        walk.run()
        repairer = Repairer(self.examination, self.known) if self.known is not None else None
        blames, faults = Faults(self, walk, repairer).found()
        spoiled = {n for f in faults for n in f.affected} or {n for n, o in found.items() if not o.right}
        affected = tuple(n for n in self.outputs if n in spoiled)
        constants = common(list(found.values()))
        positive = constants is not None and all(c > 0 for c in constants)
        alone = len(blames) <= 1 and all(b.kind == "constant" for b in blames)
        if constants is not None and positive and alone and not any(o.transposed for o in found.values()):
            said = text_of(constants, [d.sizes for d in self.truth.draws])
            return replace(
                plain, verdict="right up to a constant", constant=said, faults=faults, affected=affected,
                remarks=self._missing(self.first),
            )
        return replace(plain, verdict="wrong", faults=faults, affected=affected, remarks=self._missing(self.first))

    # -- remarks ---------------------------------------------------------------------------------------------
    def _remarks(self, trial: Trial) -> tuple[str, ...]:
        """Return what intermediate lines carry though the gradients are right."""
        remarks: list[str] = []
        seen_names: set[str] = set()
        for one in trial.seen[0]:
            quantity = one.quantity
            if quantity is None or quantity.kind != "gradient" or quantity.of in self.outputs:
                continue
            line = self.examination.lines[one.where[0]]
            name = line.targets[0].partition("[")[0] if "'" not in line.targets[0] else line.targets[0]
            if name in seen_names:
                continue
            seen_names.add(name)
            if one.standing is None:
                looks = self.examination.looks_like(trial, one.where[0])
                if looks is not None and looks[0][0] == "gradient":
                    remarks.append(f"your {name} is the gradient of {looks[0][1]}, not of {quantity.of}")
                continue
            constants = self._constants(trial, one.where[0])
            if constants is not None and not all(equal(c, 1.0) for c in constants):
                said = name_of(constants, [d.sizes for d in self.truth.draws])
                if said is not None:
                    what = f"{said} times the gradient of {quantity.of}"
                    remarks.append(f"your {name} is {what}; later lines make up for it")
            elif one.standing.transposed:
                remarks.append(f"your {name} is the transpose of the gradient of {quantity.of}; later lines know it")
        return (*remarks, *self._missing(trial))

    def _missing(self, trial: Trial) -> tuple[str, ...]:
        lacking = [n for n in self.truth.outputs if n not in self.outputs]
        zero = [
            n for n in self.outputs if all(not a.any() for d in self.truth.draws for a in _arrays(d.gradients[n]))
        ]
        said = []
        if lacking and len(lacking) < len(self.truth.outputs):
            said.append(f"no line gives the gradient of {', '.join(lacking)}: not judged")
        if zero:
            said.append(f"the gradient of {', '.join(zero)} is zero at every draw, whatever the values are")
        return tuple(said)

    def _constants(self, trial: Trial, line: int) -> tuple[float, ...] | None:
        """Return the constant of a line at every draw, if it is the same for all its assignments."""
        found = []
        for seen in trial.seen:
            here = [s for s in seen if s.where[0] == line and s.value.any()]
            mine = [s.standing.constant for s in here if s.standing is not None]
            if not mine or not all(equal(c, mine[0]) for c in mine):
                return None
            found.append(mine[0])
        return tuple(found)


def _arrays(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, Mapping) else [value]


__all__ = ["Blame", "Judge", "judge"]
