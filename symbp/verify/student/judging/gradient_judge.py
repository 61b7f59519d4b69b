"""The judge of code that CPython ran: gradients are judged, lines are not, because a run leaves no trace of them."""

from __future__ import annotations

from dataclasses import replace

from symbp.verify.check.constants import Standing
from symbp.verify.check.verdict import Judgement
from symbp.verify.student.judging.judge import Judge


class GradientJudge(Judge):
    """One task beside the gradient of its own loss, its gradients alone."""

    def _wrong(self, plain: Judgement, found: list[list[Standing | None]]) -> Judgement:
        off = [not all((s := one[k]) is not None and s.same for one in found) for k in range(len(found[0]))]
        affected = tuple(n for n, bad in zip(plain.outputs, off, strict=True) if bad)
        constant = self._common(found)
        if constant is not None:
            return replace(plain, verdict="right up to a constant", constant=constant, affected=affected)
        return replace(plain, verdict="wrong", affected=affected)
