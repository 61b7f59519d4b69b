"""Works of lines: a run that is made out of another one is the run from the beginning; long works."""

from __future__ import annotations

import ast
import random
from collections.abc import Mapping

import numpy as np
import pytest

from symbp.pipeline import check, program_of
from symbp.render.declaration import laid_out
from symbp.verify.check.faults import MOST_NAMED
from symbp.verify.check.mine import Mine, read_mine
from symbp.verify.check.work import Run
from tests.verify.check.conftest import Benches

LAYERS = 30


def chain(layers: int) -> tuple[str, list[str]]:
    """Return a network of many layers of one width, and its backward pass."""
    net = ["X: input[n, m]", "Y: target[n, m]", *(f"W{k}: param[n, n]" for k in range(1, layers + 1)), "A0 = X"]
    for k in range(1, layers + 1):
        net += [f"Z{k} = W{k} @ A{k - 1}", f"A{k} = tanh(Z{k})"]
    net.append(f"loss = sum((A{layers} - Y)**2) / (2*m)")
    work = [f"dA{layers} = (A{layers} - Y) / m"]
    for k in range(layers, 0, -1):
        work += [f"dZ{k} = dA{k} * (1 - A{k}**2)", f"dW{k} = dZ{k} @ A{k - 1}.T"]
        work += [f"dA{k - 1} = W{k}.T @ dZ{k}"] if k > 1 else []
    return "\n".join(net) + "\n", work


def same(a: Run, b: Run) -> bool:
    if a.values.keys() != b.values.keys() or (a.failure is None) != (b.failure is None):
        return False
    return all(np.array_equal(v, b.values[k]) for k, v in a.values.items())


@pytest.mark.parametrize("name", ["mlp", "rnn", "deep", "batch_norm"])
def test_a_run_made_out_of_another_is_the_run_from_the_beginning(bench: Benches, name: str) -> None:
    one, rng = bench(name), random.Random(7)
    text = laid_out(one.lines)

    def fresh() -> Mine:
        return read_mine(text, "work", one.model, one.truth)

    mine = fresh()
    whole = mine.run(0).values
    wheres = list(whole)
    mends: dict[object, np.ndarray] = {}
    for turn in range(24):
        if turn % 3 == 0:
            mends = {w: rng.uniform(0.5, 2) * whole[w] for w in rng.sample(wheres, rng.randrange(3))}
        edits: Mapping[int, ast.stmt] = {}
        if turn % 2:
            k = rng.randrange(len(mine.lines))
            statement = mine.lines[k].statement
            assert isinstance(statement, ast.Assign)
            doubled = ast.BinOp(ast.Constant(2), ast.Mult(), statement.value)
            edits = {k: ast.fix_missing_locations(ast.Assign(statement.targets, doubled, lineno=1))}
        assert same(mine.run(0, mends, edits), fresh().run(0, mends, edits))  # type: ignore[arg-type]


def test_behind_many_layers_a_mistake_is_still_seen() -> None:
    net, work = chain(LAYERS)
    program = program_of(net)
    assert check(program, "\n".join(work)).verdict == "right"
    assert work[-1] == "dW1 = dZ1 @ A0.T"
    found = check(program, "\n".join([*work[:-1], "dW1 = -dZ1 @ A0.T"]))
    assert (found.verdict, found.affected) == ("wrong", ("W1",))
    assert [f.line for f in found.faults] == [len(work) - 1]


def test_of_many_mistakes_all_lines_are_told_and_some_are_named() -> None:
    net, work = chain(MOST_NAMED + 4)
    spoiled = [line.replace("1 - A", "1 + A") for line in work]
    found = check(program_of(net), "\n".join(spoiled))
    lines = [k for k, (a, b) in enumerate(zip(work, spoiled, strict=True)) if a != b]
    assert sorted(f.line for f in found.faults) == lines
    assert sum(bool(f.nature) for f in found.faults) == MOST_NAMED
