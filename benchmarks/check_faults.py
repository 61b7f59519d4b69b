"""Does `symbp check` find every mistake, and none where there is none?

    python benchmarks/check_faults.py [--networks mlp,rnn] [--faults 200] [--own 30] [--variants 110] [--check]

For every bundled network: its backward pass as lines of the declaration's language, with single mistakes from the
table of edits, and in other forms that are right.  A planted change that leaves every gradient as it is is no mistake:
it is set aside, counted, and must be called right.  ``--check`` exits with 1 when a share is below its bound.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from symbp.language.diagnostics import DeclarationError
from symbp.networks import names, network
from symbp.pipeline import check, derive, model, program_of
from symbp.render.declaration import backward_lines, laid_out
from symbp.verify.check.anchors import Names
from symbp.verify.check.examine import Examination
from symbp.verify.check.judge import judge
from symbp.verify.check.mine import read_mine
from symbp.verify.check.scope import known_of
from symbp.verify.check.spoiled import changes_a_gradient, examined, spoiled
from symbp.verify.check.truth import truth_of
from symbp.verify.check.variants import Variant, disguised, line_variants, work_variants
from symbp.verify.check.verdict import Judgement

LINE, NATURE, OWN = 0.98, 0.85, 0.90
"""The least share of faults whose line is to be named, whose nature is, and whose line with own names; all are to be
called wrong."""


@dataclass
class Bench:
    """One network: its right work, and the judge."""

    name: str
    own: bool = False

    def __post_init__(self) -> None:
        self.program = program_of(network(self.name).text)
        self.lines = backward_lines(derive(self.program))
        self.model = model(self.program)
        self.truth = truth_of(self.model)
        if self.own:
            self.lines = disguised(self.lines, [f"d{v}" for v in self.truth.outputs], random.Random(self.name))

    def judged(self, text: str) -> Judgement:
        """Judge a work in the layout of the declaration."""
        mine = read_mine(text, "work", self.model, self.truth)
        return judge(mine, self.truth, lambda ex: lambda k: known_of(mine, ex, k))


@dataclass
class Row:
    """One work: of which network, what was done to it, and what was said of it."""

    network: str
    what: str
    kind: str
    text: str
    verdict: str = ""
    said: str = ""
    wrong: bool = False
    line: bool = False
    nature: bool = False
    strict: bool = False
    error: str = ""


@dataclass
class Report:
    """What came of one network."""

    network: str
    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0


def faults_of(name: str, limit: int, seconds: float, own: bool = False) -> Report:
    """Plant faults in the backward pass of one network, and return what the judge made of them.

    own: in one with names of its author's own, and with lines joined.
    """
    bench, report, start = Bench(name, own), Report(name), time.process_time()
    outputs = {f"d{v}": v for v in bench.truth.outputs}
    counts: Counter[str] = Counter()
    try:
        read_mine(laid_out(bench.lines), "work", bench.model, bench.truth)
    except DeclarationError:
        return report
    for fault in spoiled(bench.lines, bench.model, bench.truth, random.Random(name)):
        if counts["fault"] >= limit or time.process_time() - start > seconds:
            break
        changed = changes_a_gradient(fault.text, bench.model, bench.truth, outputs)
        kind = "no fault" if changed is False else "shapes" if changed is None else "fault"
        if kind == "shapes" and counts["shapes"] >= limit / 8:
            continue
        counts[kind] += 1
        row = Row(name, fault.nature, f"own {kind}" if own else kind, f"right {fault.right}\n  wrong {fault.wrong}")
        report.rows.append(row)
        try:
            found = examined(fault, bench.judged)
        except Exception as error:  # a fault of ours, which the report shows
            row.error = f"{type(error).__name__}: {error}"[:300]
            continue
        row.verdict, row.wrong, row.line = found.judgement.verdict, found.wrong, found.line
        row.nature, row.strict = found.nature, found.strict
        if found.judgement.faults:
            first = found.judgement.faults[0]
            row.said = f"line {first.line} (planted {fault.line}): {first.nature or first.title}; mend {first.mend}"
    report.seconds = time.process_time() - start
    return report


def variants_of(name: str, limit: int, seconds: float) -> Report:
    """Write the backward pass of one network in other forms, and return what the judge made of them."""
    bench, report, rng, start = Bench(name), Report(name), random.Random(name), time.process_time()
    mine = read_mine(laid_out(bench.lines), "work", bench.model, bench.truth)
    examination = Examination(mine, bench.truth, Names(bench.truth.variables))
    examination.trial()
    outputs = [f"d{v}" for v in bench.truth.outputs]
    whole = in_turn(work_variants(bench.lines, outputs, bench.truth.draws[0].sizes, rng), rng)
    single = in_turn(line_variants(bench.lines, lambda k: known_of(mine, examination, k)), rng)
    half = max(limit - len(single), limit // 2)
    for variant in [*whole[:half], *single][:limit]:
        if time.process_time() - start > seconds:
            break
        row = Row(name, variant.form, "moved" if variant.moved else "form", variant.text)
        report.rows.append(row)
        try:
            found = bench.judged(variant.text)
            if not found.good:
                found = check(bench.program, variant.text)
        except Exception as error:  # a fault of ours, which the report shows
            row.error = f"{type(error).__name__}: {error}"[:400]
            continue
        row.verdict, row.wrong = found.verdict, found.verdict not in ("not checked", "right", "right (other layout)")
        row.said = "; ".join(f"line {f.line}: {f.title}; {f.mend}" for f in found.faults)[:300] + found.reason
    report.seconds = time.process_time() - start
    return report


def in_turn(variants: Iterable[Variant], rng: random.Random) -> list[Variant]:
    """Return variants so that all forms have their turn."""
    forms: dict[str, list[Variant]] = defaultdict(list)
    for variant in variants:
        forms[variant.form].append(variant)
    found: list[Variant] = []
    for mine in forms.values():
        rng.shuffle(mine)
    while any(forms.values()):
        found += [mine.pop() for mine in forms.values() if mine]
    return found


def share(rows: list[Row], key: str) -> float:
    """Return the share of rows with a property."""
    return sum(getattr(r, key) for r in rows) / max(1, len(rows))


def told(rows: list[Row]) -> str:
    """Return the four shares of a set of faults."""
    return "  ".join(f"{key} {share(rows, key):6.1%}" for key in ("wrong", "line", "nature", "strict"))


def table(rows: list[Row]) -> None:
    """Print the shares by what was planted."""
    for what in sorted({r.what for r in rows}):
        mine = [r for r in rows if r.what == what]
        print(f"  {what:36} {len(mine):5}  {told(mine)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default="", help="some of the bundled ones, with commas")
    parser.add_argument("--faults", type=int, default=200, help="of each network")
    parser.add_argument("--own", type=int, default=30, help="faults of each network with own names and joined lines")
    parser.add_argument("--variants", type=int, default=110, help="right works of each network")
    parser.add_argument("--seconds", type=float, default=240, help="of processor time for each network and kind")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--show", type=int, default=0, help="print so many works of which the wrong thing was said")
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args()
    wanted = chosen.networks.split(",") if chosen.networks else list(names())
    faults: list[Row] = []
    variants: list[Row] = []

    def run(pool: ProcessPoolExecutor, job: Callable[..., Report], limit: int) -> Iterable[Report]:
        running = [pool.submit(job, name, limit, chosen.seconds) for name in wanted if limit]
        return (job.result() for job in running)

    with ProcessPoolExecutor(chosen.jobs) as pool:
        for report in run(pool, faults_of, chosen.faults):
            faults += report.rows
            mine = [r for r in report.rows if r.kind == "fault"]
            others = Counter(r.kind for r in report.rows)
            print(f"{report.network:14} {len(mine):5} faults  {told(mine)}  {others['shapes']:4} of shapes  "
                  f"{others['no fault']:3} no fault  {report.seconds:5.0f} s", flush=True)
        for report in run(pool, partial(faults_of, own=True), chosen.own):
            faults += report.rows
            mine = [r for r in report.rows if r.kind == "own fault"]
            print(f"{report.network:14} {len(mine):5} faults, own names, joined lines  {told(mine)}  "
                  f"{report.seconds:5.0f} s", flush=True)
        for report in run(pool, variants_of, chosen.variants):
            variants += report.rows
            accused = sum(r.wrong for r in report.rows)
            print(f"{report.network:14} {len(report.rows):5} right works  {accused} called wrong  "
                  f"{report.seconds:5.0f} s", flush=True)
    kinds = {
        "fault": "faults that change a gradient", "shapes": "faults by which shapes do not fit",
        "own fault": "faults that change a gradient, in works with own names and joined lines",
    }
    for kind, said in kinds.items():
        some = [r for r in faults if r.kind == kind]
        print(f"\n{len(some)} {said}: {told(some)}")
        table(some)
    innocent = [r for r in faults if r.kind.endswith("no fault")]
    accused = [r for r in innocent if r.wrong]
    print(f"\n{len(innocent)} planted changes that change no gradient, {len(accused)} of them called wrong")
    moved = [r for r in variants if r.kind == "moved"]
    blamed = [r for r in variants if r.wrong]
    unsure = [r for r in variants if not r.wrong and not r.verdict.startswith("right")]
    print(f"{len(variants)} right works in other forms ({len(moved)} with constants or signs moved or with own names), "
          f"{len(blamed)} called wrong, {len(unsure)} not checked")
    errors = [r for r in (*faults, *variants) if r.error]
    print(f"{len(errors)} works broke the judge")
    real = [r for r in faults if r.kind == "fault"]
    planted = [r for r in faults if not r.kind.endswith("no fault") and not r.error]
    missed = [r for r in planted if not (r.wrong and r.line and r.nature)]
    random.Random(0).shuffle(missed)
    for r in [*errors, *accused, *blamed, *unsure, *missed][: chosen.show]:
        print(f"\n{r.network} [{r.what}] {r.kind}: {r.verdict} {r.error}\n  {r.text}\n  said  {r.said}")
    mine = [r for r in faults if r.kind == "own fault"]
    fine = (
        share(real, "wrong") >= 1 and share(real, "line") >= LINE and share(real, "nature") >= NATURE
        and (share(mine, "line") >= OWN or not mine) and not accused and not blamed and not errors
    )
    return 1 if chosen.check and not fine else 0


if __name__ == "__main__":
    sys.exit(main())
