"""Bundled networks with their right work and the judge, for tests over many works."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from symbp import pipeline
from symbp.networks import network
from symbp.pipeline import derive, model, program_of
from symbp.render.declaration import backward_lines, laid_out
from symbp.verify.check.anchors import Names
from symbp.verify.check.edits import Known
from symbp.verify.check.examine import Examination
from symbp.verify.check.judge import judge
from symbp.verify.check.mine import read_mine
from symbp.verify.check.scope import known_of
from symbp.verify.check.truth import truth_of
from symbp.verify.check.verdict import Judgement


class Bench:
    """One network: its backward pass as lines, the truth, and what the judge says of a work."""

    def __init__(self, name: str) -> None:
        self.program = program_of(network(name).text)
        self.lines = backward_lines(derive(self.program))
        self.model = model(self.program)
        self.truth = truth_of(self.model)
        self.outputs = {f"d{v}": v for v in self.truth.outputs}

    def judged(self, text: str) -> Judgement:
        """Judge a work in the layout of the declaration; where that does not fit, in all of them."""
        found = self.judged_as_declared(text)
        return found if found.good else pipeline.check(self.program, text)

    def judged_as_declared(self, text: str) -> Judgement:
        mine = read_mine(text, "work", self.model, self.truth)
        return judge(mine, self.truth, lambda ex: lambda k: known_of(mine, ex, k))

    def known(self, line: int) -> Known:
        mine = read_mine(laid_out(self.lines), "work", self.model, self.truth)
        examination = Examination(mine, self.truth, Names(self.truth.variables))
        examination.trial()
        return known_of(mine, examination, line)


Benches = Callable[[str], Bench]


@pytest.fixture(scope="session")
def bench() -> Benches:
    """Give the bench of a network by its name; each is made once."""
    return cache(Bench)
