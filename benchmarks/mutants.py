"""Mutation testing: does the suite see that a line of the verifier, the rule book or the reader was changed?

    python benchmarks/mutants.py --count 400 --seed 1 --json mutants.json

A mutant is a module with one place changed (`mutations.py`).  A sample is drawn from each room in proportion to its
places, and each mutant meets the tests that reach its statement (`mutant_runs.py`).  With --json each outcome is kept
at once, and a run that was broken off goes on.  Survivors that give the same result whatever is asked are listed with
their reasons in `equivalent_mutants.toml`; they do not count as mutants, and both shares are printed.  The mutator is
our own since tools such as mutmut run the whole suite through a configuration of the project: here a mutant costs what
its first failing test costs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mutant_runs import Reach, preload, run, watch
from mutations import ROOT, Key, Mutant, modules, sample

ROOMS: dict[str, tuple[str, ...]] = {
    "normal form": ("symbp/verify/normal_form",),
    "evaluator": ("symbp/verify/evaluate.py", "symbp/verify/scalars.py", "symbp/verify/plans.py"),
    "prime field": ("symbp/verify/prime_field.py",),
    "witnesses": ("symbp/verify/witnesses.py", "symbp/verify/report.py", "symbp/verify/draws.py"),
    "references": tuple(f"symbp/verify/{x}.py" for x in ("reference", "explicit", "claims")),
    "rules and steps": tuple(f"symbp/verify/{x}.py" for x in ("rules", "steps")),
    "programs": tuple(f"symbp/verify/{x}.py" for x in ("programs", "module", "compiled", "running", "child")),
    "rule book": ("symbp/ops",),
    "reader": ("symbp/language",),
}
"""Rooms and their modules: the verifier, the rule book, the reader.

Not the rooms that judge other people's work, and not ``spoil.py``: what is wrong on purpose is no better otherwise.
"""

TESTS = (
    "tests/verify/normal_form", "tests/ops", "tests/language", "tests/calculus", "tests/layers",
    *(str(x.relative_to(ROOT)) for x in sorted((ROOT / "tests/verify").glob("test_*.py"))),
    "tests/test_readings.py", "tests/test_program.py",
)
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.toml")


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: killed by a failing test or by the time limit, or survived."""

    mutant: Mutant
    verdict: str
    by: str
    seconds: float
    reason: str = ""

    def __str__(self) -> str:
        m = self.mutant
        why = f"    ({self.reason or self.by})" if self.reason or self.by else ""
        return f"{self.verdict}  {m.path}:{m.line}  {m.kind}: {m.before}  ->  {m.after}    in: {m.statement}{why}"


def settled(mutant: Mutant, verdict: str, by: str, seconds: float, reasons: dict[Key, str]) -> Outcome:
    """Return an outcome, where a survivor with a reason is called equivalent."""
    reason = reasons.get(mutant.key, "")
    if verdict == "survived" and reason:
        verdict = "equivalent"
    return Outcome(mutant, verdict, by, seconds, reason)


def equivalents() -> dict[Key, str]:
    """Return the mutants that give the same result, each with the reason."""
    listed = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")).get("mutant", [])
    return {(m["path"], m["statement"], m["before"], m["after"], m.get("nth", 0)): m["reason"] for m in listed}


def read(path: Path | None) -> dict[Key, tuple[str, str, float]]:
    """Return the verdict, the killer and the seconds of each mutant that a file holds."""
    found = json.loads(path.read_text()) if path and path.exists() else []
    return {(*o["key"][:4], int(o["key"][4])): (o["verdict"], o["by"], o["seconds"]) for o in found}


def write(path: Path | None, outcomes: Sequence[Outcome]) -> None:
    """Write outcomes to a file, for `read`."""
    if path is not None:
        found = [
            {"key": o.mutant.key, "line": o.mutant.line, "room": o.mutant.room, "kind": o.mutant.kind,
             "verdict": o.verdict, "by": o.by, "seconds": round(o.seconds, 2), "reason": o.reason}
            for o in outcomes
        ]
        path.write_text(json.dumps(found, indent=1))


def reach_of(path: Path | None, files: Sequence[str], paths: Sequence[str]) -> Reach:
    """Return which tests reach which statements: from a file if it is there, else by running them."""
    if path is not None and path.exists():
        return Reach.read(path)
    reach = watch(files, paths)
    if path is not None:
        reach.write(path)
    return reach


def summary(outcomes: Sequence[Outcome], seconds: float) -> list[str]:
    """Return the lines that count what became of the mutants: of each room, and together."""
    lines = []
    for room in (*dict.fromkeys(o.mutant.room for o in outcomes), "together"):
        mine = [o.verdict for o in outcomes if room in (o.mutant.room, "together")]
        same, lived = mine.count("equivalent"), mine.count("survived")
        killed = len(mine) - same - lived
        lines.append(
            f"{room:16s} {killed} of {len(mine) - same} killed, {killed / max(1, len(mine) - same):.1%}; "
            f"with {same} equivalent ones {killed / len(mine):.1%}"
        )
    return [*lines, f"{seconds / 60:.0f} minutes"]


def main() -> int:
    """Print what became of a sample of mutants."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=400, help="how many mutants in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rooms", default=",".join(ROOMS), help="some rooms only, by name")
    parser.add_argument(
        "--seconds", type=float, default=1e9, help="meet the quickest tests only, which take so long without a change"
    )
    parser.add_argument("--json", type=Path, help="write all outcomes to a file, and go on from it")
    parser.add_argument("--only-survivors", type=Path, help="run what survived in such a file again, and write it anew")
    parser.add_argument("--reach", type=Path, help="keep in a file which test reaches what, and take it from there")
    given = parser.parse_args()
    start = time.perf_counter()
    rooms = {room.strip(): ROOMS[room.strip()] for room in given.rooms.split(",")}
    paths = [str(path.relative_to(ROOT)) for path in modules([x for starts in ROOMS.values() for x in starts])]
    files = [str(path.relative_to(ROOT)) for path in modules(TESTS) if path.name.startswith("test_")]
    preload(paths)
    reach = reach_of(given.reach, files, paths)
    print(f"{len(reach.seconds)} tests take {sum(reach.seconds.values()):.0f} s", flush=True)
    for test in reach.left_out:
        print(f"left out, since it fails without any change: {test}", flush=True)
    kept, old, reasons = given.only_survivors or given.json, read(given.only_survivors or given.json), equivalents()
    again = ("survived", "equivalent") if given.only_survivors else ()
    outcomes: list[Outcome] = []
    chosen = sample(rooms, given.count, given.seed)
    chosen.sort(key=lambda m: m.key not in old or old[m.key][0] in again)
    for mutant in chosen:
        verdict = old.get(mutant.key)
        if verdict is None or verdict[0] in again:
            if verdict is None and given.only_survivors:
                continue
            tests = reach.within(reach.of(mutant), given.seconds)
            verdict = run(mutant, tests, reach, files)
            outcomes.append(settled(mutant, *verdict, reasons))
            if outcomes[-1].verdict in ("survived", "equivalent"):
                print(outcomes[-1], flush=True)
            write(kept, outcomes)
        else:
            was = "survived" if verdict[0] == "equivalent" else verdict[0]
            outcomes.append(settled(mutant, was, *verdict[1:], reasons))
    write(kept, outcomes)
    print("\n".join(summary(outcomes, time.perf_counter() - start)))
    shares = [o.verdict for o in outcomes if o.verdict != "equivalent"]
    return 0 if shares.count("survived") <= 0.05 * len(shares) else 1


if __name__ == "__main__":
    sys.exit(main())
