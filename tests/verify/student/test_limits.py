"""Every limit of student code: what lies at it is read, what lies one past it is refused; the docs say so.

A case gives for a number the code that spends exactly so much; how much it spent is asserted too, so that a case which
misses its limit is seen.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from symbp.language.diagnostics import DeclarationError
from symbp.verify import child
from symbp.verify.student import check
from symbp.verify.student.binding.session import Case, Plan, Session
from symbp.verify.student.check import check_file
from symbp.verify.student.language import budgets, notebook, reading, sizes
from symbp.verify.student.language.expressions import Located
from symbp.verify.student.language.interpreter import Interpreter
from symbp.verify.student.language.notebook import cells

PAGE = Path(__file__).resolve().parents[3] / "docs" / "limits.md"


def ran(body: str) -> Interpreter:
    """Run a function with a body; return the interpreter."""
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    head = "import numpy as np\ndef f(n):\n    return 0 if n == 0 else f(n - 1)\n"
    run = Interpreter(ast.parse(f"{head}def g():\n{lines}"))
    run.run("g", ())
    return run


def steps(k: int) -> str:
    rounds = k // 4
    body = f"for i in range({rounds}):\n    pass\n"
    return body + "\n".join(["pass"] * (k - ran_nodes(rounds)))


def ran_nodes(rounds: int) -> int:
    # What the loop spends grows by the same in each round.
    one, two = (ran(f"for i in range({k}):\n    pass\n").budget.nodes for k in (1, 2))
    return one + (rounds - 1) * (two - one)


def lists(k: int) -> str:
    return f"x = [0.0]\nfor i in range({k - 1}):\n    x = [x]\nnp.sum(x)"


def arrays(k: int) -> str:
    whole, rest = divmod(k, budgets.MOST_ELEMENTS)
    return f"for i in range({whole}):\n    x = np.zeros({budgets.MOST_ELEMENTS})\nx = np.zeros({rest})"


class Limit(NamedTuple):
    """A limit of one run: how it stands in the docs, its number, its code, the code that spends it, what was spent."""

    what: str
    most: int
    code: str
    body: Callable[[int], str]
    spent: Callable[[Interpreter], int] | None = None


RUNS = {
    "budgets.MOST_NODES": Limit("steps of a run", budgets.MOST_NODES, "C120", steps, lambda r: r.budget.nodes),
    "budgets.MOST_ELEMENTS": Limit("entries of an array", budgets.MOST_ELEMENTS, "C121", lambda k: f"np.zeros({k})",
                                   lambda r: r.budget.allocated),
    "budgets.MOST_ALLOCATED": Limit("entries of all arrays of a run", budgets.MOST_ALLOCATED, "C121", arrays,
                                    lambda r: r.budget.allocated),
    "budgets.MOST_ITEMS": Limit("items of all lists of a run", budgets.MOST_ITEMS, "C122",
                                lambda k: f"x = [0] * {k - 1}", lambda r: r.budget.items),
    "budgets.MOST_TEXT": Limit("characters of a string", budgets.MOST_TEXT, "C122", lambda k: f"x = 'a' * {k}"),
    "budgets.MOST_DEPTH": Limit("calls within one another", budgets.MOST_DEPTH, "C123", lambda k: f"f({k - 2})"),
    "budgets.MOST_NESTED": Limit("lists within one another", budgets.MOST_NESTED, "C123", lists),
    "budgets.MOST_BITS": Limit("bits of an integer", budgets.MOST_BITS, "C124", lambda k: f"1 << {k - 1}"),
    "sizes.MOST_DIGITS": Limit("digits to which is rounded", sizes.MOST_DIGITS, "C124", lambda k: f"round(1.5, {k})"),
    "sizes.MOST_SUBSCRIPTS": Limit(
        "characters of the subscripts of `einsum`", sizes.MOST_SUBSCRIPTS, "C111",
        lambda k: f"np.einsum('{'i->i'.ljust(k)}', np.ones(3))"),
}


def code_of(body: str) -> str:
    try:
        ran(body)
    except Located as located:
        return located.mistake.code
    return "read"


@pytest.mark.parametrize("name", RUNS)
def test_a_run_at_the_limit_and_one_past_it(name: str) -> None:
    limit = RUNS[name]
    run = ran(limit.body(limit.most))
    if limit.spent is not None:
        assert limit.spent(run) == limit.most
    assert code_of(limit.body(limit.most + 1)) == limit.code


def file_code(text: str) -> str:
    try:
        reading.read_text(text)
    except DeclarationError as error:
        return error.diagnostics[0].code
    return "read"


def nodes(k: int) -> str:
    text = "x = 1\n" * (k // 5)
    return text + "pass\n" * (k - reading.measured(ast.parse(text))[0])


FILES = {
    "reading.MOST_CHARACTERS": Limit(
        "characters of a file of code", reading.MOST_CHARACTERS, "C106", lambda k: "pass #".ljust(k, "x")),
    "reading.MOST_NODES": Limit("nodes of its syntax tree", reading.MOST_NODES, "C106", nodes),
    "reading.MOST_NESTING": Limit(
        "levels of its syntax tree", reading.MOST_NESTING, "C106", lambda k: f"{'not ' * (k - 4)}x\n"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_at_the_limit_and_one_past_it(name: str) -> None:
    limit = FILES[name]
    assert file_code(limit.body(limit.most)) == "read"
    assert file_code(limit.body(limit.most + 1)) == limit.code
    if name != "reading.MOST_CHARACTERS":
        assert limit.most in reading.measured(ast.parse(limit.body(limit.most)))


def test_all_runs_of_a_file_together() -> None:
    """Each run costs what it spends and a little more; the first that begins past the limit is refused."""
    session = Session(reading.read_text("def f(): pass\n"), Plan((), ("f()",), "1.0", ()))
    for spent, code in ((budgets.MOST_TOGETHER, None), (budgets.MOST_TOGETHER + 1, "C120")):
        session.reading.spent = spent
        failure = session.run(Case({}, {})).failure
        assert (failure and failure.mistake.code) == code


def test_work_counts_as_nodes() -> None:
    for operations, counted in ((budgets.WORK_OF_A_NODE - 1, 1), (budgets.WORK_OF_A_NODE, 2)):
        budget = budgets.Budget()
        budget.work(operations)
        assert budget.nodes == counted


def test_an_array_costs_nodes() -> None:
    budget = budgets.Budget()
    budget.array(1)
    assert budget.nodes == budgets.ARRAY


def test_inner_is_charged_by_its_result() -> None:
    """Vectors give a number, however long they are; two matrices as many as they have rows."""
    assert ran("np.inner(np.ones(1000), np.ones(1000))").budget.allocated == 2001
    assert ran("np.inner(np.ones((30, 7)), np.ones((20, 7)))").budget.allocated == 210 + 140 + 600
    assert code_of("np.inner(np.ones((2000, 2)), np.ones((1001, 2)))") == "C121"


def test_the_size_of_a_notebook(tmp_path: Path) -> None:
    text = json.dumps({"cells": [{"cell_type": "code", "source": "x = 1"}]}).encode()
    at = text.ljust(notebook.MOST_BYTES)
    assert cells(at, "hw.ipynb")[0] == "x = 1"
    with pytest.raises(DeclarationError, match="C101"):
        cells(at + b" ", "hw.ipynb")
    assert check.MOST_BYTES == notebook.MOST_BYTES  # more is not read


def test_the_text_of_a_notebook() -> None:
    for size, code in ((notebook.MOST_CHARACTERS, "read"), (notebook.MOST_CHARACTERS + 1, "C106")):
        text = json.dumps({"cells": [{"cell_type": "code", "source": "pass #".ljust(size, "x")}]})
        assert file_code(cells(text.encode(), "hw.ipynb")[0]) == code


def test_the_answer_of_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = len(json.dumps({"kind": "answer", "value": ""}))
    monkeypatch.setattr(child, "MOST_ANSWER", 5_000)
    assert len(child.run(lambda: "x" * (5_000 - frame))) == 5_000 - frame
    with pytest.raises(child.Exceeded):
        child.run(lambda: "x" * (5_001 - frame))


def test_the_memory_of_a_child() -> None:
    limits = child.Limits(memory=64 * 2**20)
    assert child.run(lambda: len(bytearray(limits.memory // 2)), limits) == limits.memory // 2
    with pytest.raises(child.Exceeded, match="memory"):
        child.run(lambda: len(bytearray(limits.memory * 3 // 2)), limits)  # a process counts its memory in large parts


@pytest.mark.slow
def test_the_time_of_a_child() -> None:
    """Processor time ends it, and on the wall five times as much."""
    import time

    def works(seconds: float) -> float:
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass
        return seconds

    assert child.run(lambda: works(0.3), child.Limits(seconds=1)) == 0.3
    with pytest.raises(child.Exceeded, match="longer than 1 s"):
        child.run(lambda: works(3), child.Limits(seconds=1))
    assert child.run(lambda: time.sleep(0.1), child.Limits(seconds=0.1)) is None
    with pytest.raises(child.Exceeded, match=r"longer than 0\.1 s"):
        child.run(lambda: time.sleep(3), child.Limits(seconds=0.1))


def test_the_check_of_a_file_has_these_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[child.Limits] = []

    def run(function: object, limits: child.Limits) -> object:
        seen.append(limits)
        raise child.Exceeded("too long")

    monkeypatch.setattr(child, "run", run)
    (tmp_path / "hw.py").write_text("x = 1\n")
    assert check_file(tmp_path / "hw.py").rows[0]["code"] == "C125"
    assert seen == [child.Limits(512 * 2**20, check.SECONDS)]


CHECKED_BY_OTHERS = {
    "budgets.MOST_TOGETHER": test_all_runs_of_a_file_together, "budgets.WORK_OF_A_NODE": test_work_counts_as_nodes,
    "notebook.MOST_BYTES": test_the_size_of_a_notebook, "check.MOST_BYTES": test_the_size_of_a_notebook,
    "notebook.MOST_CHARACTERS": test_the_text_of_a_notebook, "child.MOST_ANSWER": test_the_answer_of_a_child,
    "check.SECONDS": test_the_check_of_a_file_has_these_limits, "budgets.RUN": test_all_runs_of_a_file_together,
    "budgets.ARRAY": test_an_array_costs_nodes,
}
"""Limits that are not those of one run or of one file."""

ROOMS: tuple[ModuleType, ...] = (budgets, reading, sizes, notebook, check, child)


def test_every_limit_has_a_case() -> None:
    """A new constant in a module of limits needs one."""
    found = {
        f"{room.__name__.rpartition('.')[2]}.{node.target.id if isinstance(node, ast.AnnAssign) else target.id}"
        for room in ROOMS for node in ast.parse(Path(str(room.__file__)).read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, (int, float)) and not isinstance(node.value.value, bool)
        for target in node.targets if isinstance(target, ast.Name)
    }
    assert found == {*RUNS, *FILES, *CHECKED_BY_OTHERS, "check.SECONDS_OF_MANY"}


TOGETHER = {
    "steps of all runs of a file": (budgets.MOST_TOGETHER, "C120"),
    "bytes of a notebook": (notebook.MOST_BYTES, "C101"),
    "seconds of the processor for a file": (int(check.SECONDS), "C125"),
    "seconds of the processor for each file of a folder": (int(check.SECONDS_OF_MANY), "C125"),
    "MB of memory for a file": (child.Limits().memory // 2**20, "C125"),
}


def test_the_docs_say_so() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = [(x.what, x.most, x.code) for x in (*RUNS.values(), *FILES.values())]
    for what, most, code in [*rows, *((w, m, c) for w, (m, c) in TOGETHER.items())]:
        assert f"| {what} | {most:,} | {code} |" in page
