"""How long the exact witness (prime field) takes per bundled network and draw of sizes.

    python benchmarks/exact_witness.py
"""

from __future__ import annotations

import statistics
import time

from symbp.calculus import derive
from symbp.language import read_text
from symbp.networks import names, network
from symbp.verify.witnesses import adjoints_exactly, all_hold, exact_sizes


def main() -> None:
    """Print a line per network: the median of several draws at the slowest sizes, and the verdict."""
    slowest = 0.0
    for name in names():
        program = read_text(network(name).text)
        derivation = derive(program)
        worst, equal = 0.0, True
        for sizes in exact_sizes(program):
            took = []
            for seed in range(7):
                start = time.perf_counter()
                found = adjoints_exactly(program, derivation.program, derivation.gradients, sizes=sizes, seed=seed)
                took.append(time.perf_counter() - start)
                equal = equal and all_hold(found)
            worst = max(worst, statistics.median(took))
        slowest = max(slowest, worst)
        print(f"{name:15s} {worst * 1e3:6.1f} ms   {'EQUAL' if equal else 'NOT EQUAL'}")
    print(f"{'slowest':15s} {slowest * 1e3:6.1f} ms")


if __name__ == "__main__":
    main()
