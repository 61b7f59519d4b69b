"""What deriving costs for repeated blocks: transformer blocks, each written out; an LSTM over T steps; a LeNet.

    python benchmarks/block_scaling.py [--blocks 1 6 24] [--check]

Blocks in a loop cost what one costs, whatever their number; here each is written by itself, so that seconds and
equations must grow in proportion.  ``--check`` exits with 1 when a block costs more than 1.5 times as much among the
most as among the next fewer, or has more equations.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from dataclasses import dataclass

from symbp.calculus import derive
from symbp.cli.app import COLLECTION
from symbp.language import read_text
from symbp.networks import network

SLOWER = 1.5
"""How much more a block may cost among many; what is not in proportion, such as reading a long file, is small."""


@dataclass(frozen=True)
class Cost:
    """Seconds of reading and deriving, and equations of both passes."""

    reading: float
    deriving: float
    equations: int


def written_blocks(count: int) -> str:
    """Return the declaration of a network of transformer blocks, each in a line of its own."""
    lines = ["samples: m", "for s in range(1, m+1):", "    X0[s]: input[d, T]", "    Y[s]: target[d, T]"]
    for k in range(1, count + 1):
        lines.append(f"    X{k}[s] = transformer_block(X{k - 1}[s], heads, h, gelu, mask=causal, key=k)")
    return "\n".join([*lines, f"loss = sum(sum((X{count}[s] - Y[s])**2) for s in range(1, m+1)) / (2*m)"]) + "\n"


def cost(text: str) -> Cost:
    """Return what reading and deriving cost, the best of three."""
    found = []
    for _ in range(3):
        gc.collect()
        start = time.perf_counter()
        program = read_text(text)
        middle = time.perf_counter()
        derivation = derive(program)
        end = time.perf_counter()
        found.append(Cost(middle - start, end - middle, len(derivation.forward.sites) + len(derivation.results)))
    return min(found, key=lambda c: c.reading + c.deriving)


def told(name: str, found: Cost, each: int = 1) -> str:
    """Return one line of the table."""
    seconds = found.reading + found.deriving
    return (
        f"{name:28} {found.reading:7.3f} s {found.deriving:7.3f} s {1000 * seconds / each:8.1f} ms "
        f"{found.equations:5} {found.equations / each:7.1f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, nargs="+", default=[1, 6, 24])
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args()
    if len(set(chosen.blocks)) < 2:
        parser.error("--blocks wants at least two numbers, to be compared")
    gc.set_threshold(*COLLECTION)  # as the command line does
    print(f"{'':28} {'reading':>9} {'deriving':>9} {'a block':>11} {'equations':>9} a block")
    costs = {count: cost(written_blocks(count)) for count in chosen.blocks}
    for count, found in costs.items():
        print(told(f"{count} written block{'s' if count > 1 else ''}", found, count))
    print(told("decoder, L blocks in a loop", cost(network("decoder").text)))
    print(told("lstm, T steps", cost(network("lstm").text)))
    print(told("lenet", cost(network("lenet").text)))
    wrong = []
    (few, less), (many, more) = sorted(costs.items())[-2:]
    ratio = (more.reading + more.deriving) / many / ((less.reading + less.deriving) / few)
    if ratio > SLOWER:
        wrong.append(f"a block costs {ratio:.2f} times as much among {many} as among {few}, more than {SLOWER}")
    if abs(more.equations / many - less.equations / few) > 1:
        wrong.append(f"{more.equations} equations of {many} blocks, {less.equations} of {few}")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if chosen.check and wrong else 0


if __name__ == "__main__":
    sys.exit(main())
