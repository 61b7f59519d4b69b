"""Does `symbp check` find every mistake, and none where there is none?  Faults planted in right works, and right works
in other forms.

    python benchmarks/check_faults.py [--networks mlp,rnn] [--faults 180] [--variants 70] [--jobs 2] [--check]

For every bundled network: its backward pass as lines of the declaration's language, with single mistakes from the table
of edits.  A planted change that leaves every gradient as it is is no mistake: it is set aside, counted, and must be called
right.  ``--check`` exits with 1 when a share is below its bound.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from symbp.networks import names, network
from symbp.pipeline import derive, model, program_of
from symbp.render.declaration import backward_lines
from symbp.verify.check.judge import judge
from symbp.verify.check.mine import read_mine
from symbp.verify.check.scope import known_of
from symbp.verify.check.spoiled import changes_a_gradient, examined, spoiled
from symbp.verify.check.truth import truth_of

BOUNDS = {"wrong": 1.0, "line": 0.98, "nature": 0.85}


def faults_of(name: str, limit: int, seconds: float) -> dict[str, Any]:
    """Plant faults in the backward pass of one network, and return what the judge made of them."""
    program = program_of(network(name).text)
    lines = backward_lines(derive(program))
    known_model = model(program)
    truth = truth_of(known_model)
    outputs = {f"d{v}": v for v in truth.outputs}

    def judged(text: str) -> Any:
        mine = read_mine(text, "work", known_model, truth)
        return judge(mine, truth, lambda ex: lambda k: known_of(mine, ex, k))

    start = time.perf_counter()
    rows: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    for fault in spoiled(lines, known_model, truth, random.Random(name)):
        if counts["evaluated"] >= limit or time.perf_counter() - start > seconds:
            break
        changed = changes_a_gradient(fault.text, known_model, truth, outputs)
        kind = "no fault" if changed is False else "shapes" if changed is None else "evaluated"
        if kind == "shapes" and counts["shapes"] >= limit / 4:
            continue
        counts[kind] += 1
        row = {"network": name, "nature": fault.nature, "kind": kind, "line": fault.wrong, "right": fault.right}
        try:
            finding = examined(fault, judged)
        except Exception as error:  # a fault of ours, shown in the report
            rows.append({**row, "error": f"{type(error).__name__}: {error}"[:300]})
            continue
        first = finding.judgement.faults[0] if finding.judgement.faults else None
        facts = {k: getattr(finding, k) for k in ("wrong", "strict", "nature")} | {"named": finding.line}
        said = dataclasses.asdict(first) if first is not None else {}
        rows.append({
            **row, "result": facts, "verdict": finding.judgement.verdict, "said": said.get("nature", ""),
            "mend": said.get("mend", ""), "at": said.get("line"), "planted": fault.line, "title": said.get("title", ""),
        })
    return {"network": name, "rows": rows, "seconds": time.perf_counter() - start}


def share(rows: list[dict[str, Any]], key: str) -> float:
    """Return the share of rows with a property."""
    return sum(r.get("result", {}).get(key, False) for r in rows) / max(1, len(rows))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default="")
    parser.add_argument("--faults", type=int, default=180, help="of each network")
    parser.add_argument("--seconds", type=float, default=240, help="at most for each network")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--show", type=int, default=0, help="print so many of the faults that were not found out")
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args()
    wanted = chosen.networks.split(",") if chosen.networks else list(names())
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(chosen.jobs) as pool:
        running = [pool.submit(faults_of, name, chosen.faults, chosen.seconds) for name in wanted]
        for job in running:
            found = job.result()
            mine = found["rows"]
            rows += mine
            some = [r for r in mine if r["kind"] == "evaluated"]
            print(
                f"{found['network']:14} {len(some):5} faults  wrong {share(some, 'wrong'):6.1%}  line "
                f"{share(some, 'named'):6.1%}  nature {share(some, 'nature'):6.1%}  strict {share(some, 'strict'):6.1%}  "
                f"{sum(r['kind'] == 'shapes' for r in mine):4} of shapes  {sum(r['kind'] == 'no fault' for r in mine):3} "
                f"no fault  {found['seconds']:5.0f} s", flush=True,
            )
    for kind in ("evaluated", "shapes"):
        some = [r for r in rows if r["kind"] == kind]
        print(
            f"\n{kind}: {len(some)} faults; called wrong {share(some, 'wrong'):.2%}, line named {share(some, 'named'):.2%}, "
            f"nature {share(some, 'nature'):.2%} (strict {share(some, 'strict'):.2%})"
        )
        by_nature = sorted({r["nature"] for r in some})
        for nature in by_nature:
            mine = [r for r in some if r["nature"] == nature]
            print(f"  {nature:34} {len(mine):5}  line {share(mine, 'named'):6.1%}  nature {share(mine, 'nature'):6.1%}")
    errors = [r for r in rows if "error" in r]
    innocent = [r for r in rows if r["kind"] == "no fault" and r.get("verdict", "").split()[0] != "right"]
    print(f"\n{sum(r['kind'] == 'no fault' for r in rows)} changes that are no fault, {len(innocent)} called wrong; "
          f"{len(errors)} errors")
    bad = [r for r in rows if r["kind"] != "no fault" and not all(r.get("result", {}).get(k) for k in
                                                                 ("wrong", "named", "nature"))]
    for r in [*errors, *innocent, *random.Random(0).sample(bad, min(len(bad), chosen.show))][: chosen.show]:
        print(f"\n{r['network']} [{r['nature']}] {r['kind']}\n  right {r['right']}\n  wrong {r['line']}\n"
              f"  said  {r.get('verdict', '')} {r.get('error', '')} line {r.get('at')} (planted {r.get('planted')}) "
              f"{r.get('said', '')} {r.get('title', '')}\n  mend  {r.get('mend', '')}")
    some = [r for r in rows if r["kind"] == "evaluated"]
    fine = share(some, "wrong") >= 1 and share(some, "named") >= 0.98 and share(some, "nature") >= 0.85 and not innocent
    return 1 if chosen.check and not fine else 0


if __name__ == "__main__":
    sys.exit(main())
