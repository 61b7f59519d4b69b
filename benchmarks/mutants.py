"""Mutation testing: does the suite see that a line of the verifier, the rule book or the reader was changed?

    python benchmarks/mutants.py --count 400 --seed 1 --json mutants.json

A mutant is a module with one place changed (`mutations.py`).  A sample is drawn from each room in proportion to its
places, and each mutant meets the tests that reach its statement (`mutant_runs.py`).  With --json each outcome is kept
at once, and a run that was broken off goes on.  Survivors are listed with their reasons in `surviving_mutants.toml`;
those that give the same result whatever is asked do not count as mutants, and both shares are printed.  The mutator is
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
from typing import Any

from mutant_runs import Reach, Verdict, judged, preload, watch
from mutations import MOST_CHARACTERS, ROOT, Key, Mutant, modules, sample

ROOMS: dict[str, tuple[str, ...]] = {
    "normal form": ("symbp/verify/normal_form",),
    "evaluator": ("symbp/verify/evaluate.py", "symbp/verify/scalars.py", "symbp/verify/plans.py"),
    "prime field": ("symbp/verify/prime_field.py",),
    "witnesses": ("symbp/verify/witnesses.py", "symbp/verify/report.py", "symbp/verify/draws.py"),
    "references": tuple(f"symbp/verify/{x}.py" for x in ("reference", "explicit", "claims")),
    "rules and steps": tuple(f"symbp/verify/{x}.py" for x in ("rules", "steps")),
    "programs": tuple(f"symbp/verify/{x}.py" for x in ("programs", "module", "compiled", "running")),
    "rule book": ("symbp/ops",),
    "reader": ("symbp/language",),
}
"""Rooms and their modules: the verifier, the rule book, the reader.

Not what judges other people's work (``check``, ``student``, ``child.py``), and not ``spoil.py``: what is wrong on
purpose is as wrong otherwise.
"""

TESTS = (
    "tests/verify/normal_form", "tests/ops", "tests/language", "tests/calculus", "tests/layers",
    *(str(x.relative_to(ROOT)) for x in sorted((ROOT / "tests/verify").glob("test_*.py"))),
    "tests/render/picture/test_words.py", "tests/render/test_rulebook.py", "tests/render/test_why.py",
    "tests/test_readings.py", "tests/test_program.py",
)
"""The tests that cover them."""
LISTED = Path(__file__).with_name("surviving_mutants.toml")


Listed = Sequence[tuple[dict[str, Any], str]]
KILLED, SURVIVED, EQUIVALENT = "killed", "survived", "equivalent"


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: killed by a failing test or by the time limit, survived, or equivalent; and why."""

    mutant: Mutant
    kind: str
    reason: str

    def __str__(self) -> str:
        m = self.mutant
        why = f"\n    {self.reason}" if self.reason else ""
        return f"{self.kind}  {m.path}:{m.line}  {m.kind}: {m.before}  ->  {m.after}    in: {m.statement}{why}"


def settled(mutant: Mutant, verdict: Verdict, listed: Listed) -> Outcome:
    """Return what became of a mutant; one that survived may be listed, as equivalent or with another reason."""
    kind, reason = next(((kind, entry["reason"]) for entry, kind in listed if _means(entry, mutant)), ("", ""))
    if verdict[0] != SURVIVED:
        return Outcome(mutant, KILLED, f"listed, but killed: {reason}" if kind == EQUIVALENT and reason else "")
    return Outcome(mutant, kind or SURVIVED, reason or verdict[1])


def _means(entry: dict[str, Any], mutant: Mutant) -> bool:
    """Tell whether an entry of the list means a mutant; one without ``before`` means all of a statement."""
    if entry["path"] != mutant.path or not mutant.statement.startswith(entry["statement"][:MOST_CHARACTERS]):
        return False
    told = ("before", "after", "nth")
    return all(entry.get(x, getattr(mutant, x)) == getattr(mutant, x) for x in told)


def listed_survivors() -> Listed:
    """Return the survivors that are listed, and what they are called: what tells them, and the reason."""
    found = tomllib.loads(LISTED.read_text(encoding="utf-8"))
    kinds = {EQUIVALENT: "equivalent", SURVIVED: "survivor"}
    return [(entry, kind) for kind, name in kinds.items() for entry in found.get(name, [])]


def read(path: Path | None) -> dict[Key, Verdict]:
    """Return what a file holds of each mutant."""
    found = json.loads(path.read_text()) if path and path.exists() else []
    return {tuple(key): tuple(verdict) for key, verdict in found}  # type: ignore[misc]


def write(path: Path | None, verdicts: dict[Key, Verdict]) -> None:
    """Write what became of each mutant to a file, for `read`."""
    if path is not None:
        whole = path.with_name(f"{path.name}.part")
        whole.write_text(json.dumps(list(verdicts.items()), indent=1))
        whole.replace(path)


def reach_of(path: Path | None, files: Sequence[str], paths: Sequence[str]) -> Reach:
    """Return which tests reach which statements: from a file if it is there, else by running them."""
    if path is not None and path.exists():
        return Reach.read(path)
    reach = watch(files, paths)
    if path is not None:
        reach.write(path)
    return reach


def summary(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the lines that count what became of the mutants: of each room, and together."""
    lines = []
    for room in (*dict.fromkeys(o.mutant.room for o in outcomes), "together"):
        kinds = [o.kind for o in outcomes if room in (o.mutant.room, "together")]
        killed, same = kinds.count(KILLED), kinds.count(EQUIVALENT)
        lines.append(
            f"{room:16s} {killed} of {len(kinds) - same} killed, {killed / max(1, len(kinds) - same):.1%}; "
            f"with {same} equivalent ones {killed / len(kinds):.1%}"
        )
    return lines


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
    kept, chosen = given.only_survivors or given.json, sample(rooms, given.count, given.seed)
    verdicts, listed = read(kept), listed_survivors()
    for mutant in chosen:
        known = verdicts.get(mutant.key)
        wanted = known is None if given.only_survivors is None else known is not None and known[0] == SURVIVED
        if wanted:
            verdicts[mutant.key] = judged(mutant, given.seconds, reach, files)
            write(kept, verdicts)
            if verdicts[mutant.key][0] == SURVIVED:
                print(settled(mutant, verdicts[mutant.key], listed), flush=True)
    outcomes = [settled(mutant, verdicts[mutant.key], listed) for mutant in chosen if mutant.key in verdicts]
    outcomes.sort(key=lambda o: (o.kind, o.mutant.path, o.mutant.line))
    print(*(o for o in outcomes if o.reason or o.kind == SURVIVED), *summary(outcomes), sep="\n")
    print(f"{(time.perf_counter() - start) / 60:.0f} minutes")
    kinds = [o.kind for o in outcomes if o.kind != EQUIVALENT]
    return 0 if kinds.count(SURVIVED) <= 0.05 * len(kinds) else 1


if __name__ == "__main__":
    sys.exit(main())
