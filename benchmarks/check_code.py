"""Single faults planted in the backward passes of homework, and what the judge of student code makes of them.

    python benchmarks/check_code.py [--files NAME ...] [--limit N] [--seed S] [--check]

For every file of ``tests/verify/student/homework``, in both of its conventions of scale, faults of the table of edits
are planted one at a time; those that change no gradient, or with which there is no loss, are set aside.  Printed are
the share that is called wrong, the share whose line is named, and the share whose nature is named: the planted one, and
with it those for which another change of the same line has the same numbers.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from symbp.verify.check.edits import plant
from symbp.verify.check.verdict import GOOD
from symbp.verify.student.binding.functions import Task, tasks
from symbp.verify.student.binding.hints import gradients_from
from symbp.verify.student.binding.outputs import is_laid
from symbp.verify.student.binding.search import bind
from symbp.verify.student.check import check_text
from symbp.verify.student.judging.judge import Judge
from symbp.verify.student.judging.truth import Point
from symbp.verify.student.language.errors import Located
from symbp.verify.student.language.reading import read_text

HOMEWORK = Path(__file__).resolve().parents[1] / "tests" / "verify" / "student" / "homework"
CONVENTIONS = ("first", "second")
WANTED = 0.95


@dataclass(frozen=True)
class Planted:
    """One fault: the file as it is with it, the line that has it, and its nature."""

    file: str
    convention: str
    line: int
    nature: str
    old: str
    new: str
    text: str


@dataclass(frozen=True)
class Result:
    """What the judge made of a fault: the verdict, whether the line is named, the nature that is named.

    mends: whether a mend of the line is told, after which every gradient is right: it has the same numbers.
    """

    planted: Planted
    verdict: str
    lines: tuple[int, ...]
    nature: str
    seconds: float
    mends: bool = False

    @property
    def is_named(self) -> bool:
        """Tell whether the first mistake that is told is in the planted line."""
        return self.lines == (self.planted.line,)

    @property
    def is_strict(self) -> bool:
        """Tell whether the nature that is told is the one that was planted."""
        return self.nature == self.planted.nature

    @property
    def fits(self) -> bool:
        """Tell whether the nature is the planted one, or one with the same numbers that fits the text of the line."""
        return self.is_strict or (self.is_named and bool(self.nature) and self.mends)


def text_of(file: Path, convention: str) -> str:
    """Return a file of homework in one of its conventions: behind ``#|`` stands what the second one has instead."""
    out = []
    for line in file.read_text(encoding="utf-8").split("\n"):
        code, bar, other = line.partition("#|")
        indent = re.match(r"\s*", code)
        out.append(f"{indent[0] if indent else ''}{other.strip()}" if bar and convention == "second" else code.rstrip())
    return "\n".join(out)


def faults(file: Path, convention: str) -> Iterator[Planted]:
    """Yield the faults of a file that change a gradient, in a random order."""
    text = text_of(file, convention)
    reading = read_text(text, file.name)
    lines = text.split("\n")
    for task in tasks(reading.module):
        bound = bind(reading, task)
        judge_of = Judge(bound, [Point(bound, 0)])
        point = judge_of.points[0]
        for k, line in enumerate(judge_of.work.lines):
            statement = line.statement
            if statement.lineno != statement.end_lineno or statement in point.ran.trace.integers:
                continue
            source = lines[statement.lineno - 1][statement.col_offset: statement.end_col_offset]
            for edit in plant(statement, judge_of.scopes.known(k), source):
                if "\n" in edit.text:
                    continue
                reading.spent = 0  # the budget is for one check
                ran = point.session.run(point.case, edits={statement: edit.statement}, keeps=False)
                if ran.failure is None and _same(ran.outputs, point.ran.outputs):
                    continue
                if ran.failure is not None and _is_forward(task, ran.failure):
                    continue  # there is no loss whose gradient this would be
                row = lines[statement.lineno - 1]
                spoiled = row[: statement.col_offset] + edit.text + row[statement.end_col_offset:]
                whole = "\n".join([*lines[: statement.lineno - 1], spoiled, *lines[statement.lineno:]])
                yield Planted(file.stem, convention, statement.lineno, edit.nature, source, edit.text, whole)


def _is_forward(task: Task, failure: Located) -> bool:
    """Tell whether a function that does both breaks off before it computes gradients."""
    return task.backward is None and getattr(failure.node, "lineno", 0) < gradients_from(task.forward)


def _same(mine: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> bool:
    return all(
        p in mine and is_laid(mine[p].shape, v.shape) and np.allclose(mine[p].reshape(v.shape), v, 1e-9, 1e-11)
        for p, v in right.items()
    )


def chosen(file: Path, convention: str, count: int, seed: int) -> list[Planted]:
    """Return some faults of a file, spread over its lines and natures."""
    rng = random.Random(f"{file.stem} {convention} {seed}")
    every = list(faults(file, convention))
    rng.shuffle(every)
    groups: dict[tuple[int, str], list[Planted]] = {}
    for fault in every:
        groups.setdefault((fault.line, fault.nature), []).append(fault)
    order = list(groups.values())
    rng.shuffle(order)
    return [group[0] for group in order][:count]


def judged(planted: Planted) -> Result:
    """Return what the judge makes of a fault."""
    start = time.process_time()
    for one in check_text(planted.text, planted.file):
        judgement = one.judgement
        if judgement.verdict not in GOOD:
            fault = judgement.faults[0] if judgement.faults else None
            lines = tuple(judgement.lines[k].line for k in fault.slice) if fault else ()
            nature = fault.nature if fault else ""
            mends = bool(fault and fault.mend and nature and fault.then.startswith("then "))
            return Result(planted, judgement.verdict, lines, nature, time.process_time() - start, mends)
    return Result(planted, "right", (), "", time.process_time() - start)


def safely(planted: Planted) -> Result:
    """Return what the judge makes of a fault; an error of ours is told as such."""
    try:
        return judged(planted)
    except Exception as error:  # a campaign goes on
        return Result(planted, f"{type(error).__name__}: {error}"[:80], (), "", 0.0)


def _told(r: Result) -> str:
    return (
        f"{r.planted.file} ({r.planted.convention}) line {r.planted.line}: {r.planted.nature}\n"
        f"   was  {r.planted.old}\n   is   {r.planted.new}\n   told {r.verdict} {r.lines} {r.nature}"
    )


def main() -> int:
    """Run the campaign and print its shares."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", nargs="*", default=[])
    parser.add_argument("--limit", type=int, default=10, help="faults of each file and convention")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes that work side by side")
    parser.add_argument("--check", action="store_true", help=f"exit with 1 below {WANTED}")
    parser.add_argument("--failures", action="store_true", help="print every fault that is not named")
    options = parser.parse_args()
    files = [f for f in sorted(HOMEWORK.glob("*.py")) if not options.files or f.stem in options.files]
    with multiprocessing.Pool(options.jobs) as pool:
        jobs = [(f, c, options.limit, options.seed) for f in files for c in CONVENTIONS]
        planted = [p for found in pool.starmap(chosen, jobs, chunksize=1) for p in found]
        results = []
        random.Random(options.seed).shuffle(planted)
        for result in pool.imap_unordered(safely, planted):
            results.append(result)
            if options.failures and len(results) % 20 == 0:
                print(f"-- {sum(r.is_named for r in results)} of {len(results)} lines named", flush=True)
            if options.failures and not result.is_named:
                print(_told(result), flush=True)
    results.sort(key=lambda r: (r.planted.file, r.planted.convention, r.planted.line))
    by_file: dict[str, list[Result]] = {}
    for r in results:
        by_file.setdefault(r.planted.file, []).append(r)
    for name, mine in by_file.items():
        named = sum(r.is_named for r in mine)
        slowest = max(r.seconds for r in mine)
        print(f"{name:18} {len(mine):4} faults   line named {named:4}   slowest {slowest:.1f} s")
    count = len(results)
    wrong = sum(r.verdict in ("wrong", "right up to a constant") for r in results)
    named = sum(r.is_named for r in results)
    strict, fitting = sum(r.is_strict for r in results), sum(r.fits for r in results)
    missed = Counter(r.planted.nature for r in results if not r.is_named)
    print(f"{count} single faults in {len(files)} shapes of function, each in 2 conventions of scale")
    print(f"called wrong {wrong / count:.1%}   line named {named / count:.1%}")
    print(f"nature as planted {strict / count:.1%}   as planted or with the same numbers {fitting / count:.1%}")
    print("not named:", ", ".join(f"{n} {k}" for n, k in missed.most_common()) or "none")
    return 1 if options.check and named / count < WANTED else 0


if __name__ == "__main__":
    sys.exit(main())
