"""Peak memory of each C module against the liveness bound: the largest sum of temporaries that are alive at once.

    python benchmarks/memory.py [--all]

Prints, for the networks of the showroom and for the workloads of the training step, bytes of temporaries of a training
step (float32), the bound of its plan by its own cost report, and their ratio, which is to be at most 1.05.
``--all`` prints every function of every bundled network at several sizes.  Exit code 1 if a ratio is larger.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from symbp.calculus import derive
from symbp.derivation import Derivation
from symbp.networks import names, network
from symbp.pipeline import program_of
from symbp.plan.entries import predictions
from symbp.plan.liveness import bound
from symbp.plan.module import module_plans
from symbp.plan.sweeps import registers
from symbp.verify.draws import choose_sizes
from symbp.verify.programs import specified

LIMIT = 1.05
WORKLOADS = ("xor", "iris", "mlp_1", "mlp_32", "mlp_256", "wide", "deep")


def cases() -> Iterator[tuple[str, Derivation, dict[str, Any]]]:
    """Yield each network with sizes: the workloads, then the bundled networks."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    for name in WORKLOADS:
        workload = import_module(f"workloads.{name}").WORKLOAD
        yield f"workload {name}", derive(program_of(workload.declaration)), workload.sizes
    for name in names():
        derivation = derive(specified(program_of(network(name).text)))
        for sizes in choose_sizes(derivation.source):
            yield name, derivation, sizes


def main(arguments: list[str]) -> int:
    """Print the table."""
    worst = 0.0
    print(f"{'network':<18} {'function':<20} {'bytes':>12} {'alive at once':>14} {'ratio':>6}")
    for name, derivation, sizes in cases():
        plans = module_plans(derivation, sizes, predicted=predictions(derivation)).plans
        for function, plan in plans.items():
            least = bound(plan, registers(plan))
            ratio = plan.block / least if least else 1.0
            worst = max(worst, ratio)
            if "--all" in arguments or (function == "train_step" and name.startswith("workload")) or ratio > LIMIT:
                print(f"{name:<18} {function:<20} {4 * plan.block:>12,} {4 * least:>14,} {ratio:>6.3f}")
    print(f"largest ratio {worst:.3f} over all functions of all networks, at most {LIMIT}")
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
