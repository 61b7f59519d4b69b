"""Check generated C with cppcheck and its MISRA C:2012 addon; only the deviations that docs/c.md lists may occur.

    python .ci/misra.py

The table in docs/c.md is the list: ``| 8.14 | where | why |``.  What occurs and is not listed ends the run with 1, and
so does everything that cppcheck itself calls an error, a warning or not portable.  What is listed and does not occur
any more is said.  The text of the rules is not needed: findings have the number of their rule.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symbp.networks import network
from symbp.pipeline import derive, generate
from symbp.render.files import write_files

MOST_SHOWN = 4
"""How many places of one rule are shown."""

PAGE = Path(__file__).resolve().parents[1] / "docs" / "c.md"
MODULES: tuple[tuple[str, Mapping[str, int], Mapping[str, Any]], ...] = (
    ("mlp", {"n0": 3, "n1": 8, "n2": 2, "m": 1}, {"dtype": "float32"}),
    ("iris", {"m": 4}, {"dtype": "float32", "memory": "block", "optimizer": "adam"}),
    ("logistic", {"n": 3, "m": 4}, {"optimizer": "momentum"}),
    ("rnn", {"n": 3, "h": 5, "p": 2, "T": 4, "m": 4}, {}),
    ("digits", {"m": 32}, {"dtype": "float32"}),
)


def listed() -> set[str]:
    """Return the rules that the page lists as deviations."""
    return set(re.findall(r"^\| (\d+\.\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def findings(folder: Path, name: str) -> list[tuple[str, str, str]]:
    """Return what cppcheck finds in a module: the severity, the name of the check, and where."""
    done = subprocess.run(
        ["cppcheck", "--addon=misra", "--std=c99", "--quiet", "--enable=warning,style,portability", "-DPLAIN",
         "--template={severity}|{id}|{file}:{line}: {message}", "--suppress=missingIncludeSystem", f"{name}.c"],
        cwd=folder, capture_output=True, text=True,
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    lines = [line.split("|", 2) for line in done.stderr.splitlines() if line.count("|") >= 2]
    return list(dict.fromkeys((severity, check, rest) for severity, check, rest in lines))


def main() -> int:
    allowed, found = listed(), Counter[str]()
    wrong: list[str] = []
    shown_of = Counter[str]()
    for name, sizes, options in MODULES:
        text = network(name).text
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            write_files(folder, generate(derive(text), "c", name=name, sizes=sizes, declaration=text, **options))
            for severity, check, where in findings(folder, name):
                rule = re.fullmatch(r"misra-c2012-(\d+\.\d+)", check)
                if rule:
                    found[rule[1]] += 1
                if rule[1] not in allowed if rule else severity in ("error", "warning", "portability"):
                    shown_of[check] += 1
                    if shown_of[check] > MOST_SHOWN:
                        continue
                    line = re.match(r"(.*?):(\d+): ", where)
                    shown = (folder / line[1]).read_text().splitlines()[int(line[2]) - 1].strip() if line else ""
                    wrong.append(f"{check}  {line[0] if line else where} {shown}")
    print(f"cppcheck, MISRA addon, {len(MODULES)} modules: " + (", ".join(
        f"{n} x {rule}" for rule, n in sorted(found.items(), key=lambda x: -x[1])) or "nothing"
    ))
    for rule in sorted(allowed - set(found)):
        print(f"{rule} is listed in {PAGE.name} and does not occur any more")
    print("\n".join(sorted(wrong)), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
