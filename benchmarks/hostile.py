"""Hostile and malformed inputs: none is executed, writes, opens a connection or ends in a traceback, each ends soon.

    python benchmarks/hostile.py --inputs 10000
    python benchmarks/hostile.py --inputs 500 --seed 7 --language student

Inputs are declarations, equations to be checked, student code, and whole command lines (``hostile_inputs.py``).  A
child that was forked beforehand reads them, one after the other, and is watched (``hostile_child.py``).  The exit
status is 1 if anything was seen.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice

from hostile_child import Child
from hostile_inputs import LANGUAGES, inputs
from hostile_readers import READERS, ready


@dataclass
class Seen:
    """How so many inputs ended.

    ends:     how many were read, refused, failed.
    failures: why, and the text.
    slowest:  the longest time of the processor, and the text.
    """

    ends: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str]] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")


SHARES = {"declaration": 0.6, "student": 0.25, "command": 0.12, "equations": 0.03}
"""The part of all inputs that each language has; to judge equations takes longest."""


def run(language: str, count: int, seed: int = 0, every: int = 1) -> Seen:
    """Give the reader of a language so many texts, or every so many-th of those that are yielded."""
    ready(language)
    seen = Seen()
    with Child(READERS[language], reads=language == "command") as child:
        for _, text in zip(range(count), islice(inputs(language, seed), 0, None, every), strict=False):
            outcome = child.ask(text)
            seen.ends[outcome.what.partition(":")[0]] += 1
            seen.slowest = max(seen.slowest, (outcome.seconds, text))
            if outcome.failed:
                seen.failures.append((outcome.what, text))
    return seen


def main() -> int:
    """Run what the options say; return the exit status."""
    parser = argparse.ArgumentParser(description="Hostile and malformed inputs.")
    parser.add_argument("--inputs", type=int, default=10_000, help="of all languages together, or of the chosen one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--language", choices=sorted(LANGUAGES))
    parser.add_argument("--show", type=int, default=5, help="so many failures are printed with their texts")
    chosen = parser.parse_args()
    bad = 0
    for language in [chosen.language] if chosen.language else LANGUAGES:
        count = chosen.inputs if chosen.language else round(SHARES[language] * chosen.inputs)
        start = time.perf_counter()
        seen = run(language, count, chosen.seed)
        ends = ", ".join(f"{count:,} {end}" for end, count in sorted(seen.ends.items()))
        print(f"{language}: {ends}; {time.perf_counter() - start:.0f} s in all", flush=True)
        print(f"  the slowest took {seen.slowest[0]:.2f} s of the processor: {seen.slowest[1][-60:]!r}")
        for what, text in seen.failures[: chosen.show]:
            print(f"  {what}\n    {text[:300]!r}{' ... ' + repr(text[-100:]) if len(text) > 400 else ''}")
        for what, count in Counter(what[:90] for what, _ in seen.failures).most_common(20):
            print(f"  {count:>6}  {what}")
        bad += len(seen.failures)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
