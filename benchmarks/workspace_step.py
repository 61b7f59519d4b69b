"""A training step of the generated NumPy workspace against careful NumPy by hand, with bounds.

    python benchmarks/workspace_step.py [--workloads xor,iris] [--seconds 2] [--readable] [--check]

The hand-written step is the peer of ``training_step.py``; both run in one process, in float32 and on one thread.  After
one and after six steps every parameter of both is compared with the float64 reference; then they run in turns of about
5 ms, and medians count.  ``--readable`` shows the step of the readable module as well; ``--check`` exits with 1 when a
ratio is above its bound.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any

# Whoever set these tuned OpenBLAS for something else; a comparison lets it choose its kernel.
os.environ.pop("OPENBLAS_CORETYPE", None)
os.environ.pop("OPENBLAS_L2_SIZE", None)
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

import workloads
from peers import _symbp, hand_numpy, symbp_numpy

BOUNDS = {"xor": 0.5, "iris": 0.7, "mlp_1": 0.8, "mlp_32": 1.0, "mlp_256": 1.0, "wide": 1.0, "deep": 1.0}
"""The largest accepted ratio of the workspace to the hand-written step."""

TURN = 5e-3
"""Seconds of a turn."""

NORM = 1e-3
"""How far an update may be from the reference, relative to it, in norm."""


class InWorkspace:
    """The generated module's workspace, which is made once."""

    LABEL = "workspace"

    def __init__(self, workload: Any, parameters: Any, data: Any, threads: int) -> None:
        made = _symbp.NumPyModule(workload, parameters, data, workspace=True)
        self.workspace, self.rate = made.module.Workspace(made.values, made.inputs), made.rate

    setup = classmethod(lambda cls, *arguments: cls(*arguments))

    def run(self, steps: int) -> float:
        """Take the steps."""
        return float(self.workspace.train(self.rate, steps))

    def parameters(self) -> list[Any]:
        """Return the present parameters."""
        return [np.array(value) for value in self.workspace.params]


def checked(peer: Any, workload: Any) -> Any:
    """Return a fresh peer whose parameters after some steps are those of the reference; raise where they are not."""
    start = workload.parameters()
    made = peer.setup(workload, workload.parameters(), workload.data(), 1)
    done = 0
    for steps in (1, 6):
        made.run(steps - done)
        done = steps
        wanted = workload.trained(start, workload.data(), steps)
        for name, before, true, mine in zip(workload.names(), start, wanted, made.parameters(), strict=True):
            moved = np.linalg.norm(true - before)
            error = np.linalg.norm(mine.reshape(true.shape) - true)
            if not error <= NORM * moved:
                raise AssertionError(f"{peer.LABEL}: {name} is wrong after {steps} steps, by {error / moved:.1e}")
    return made


def turn(peer: Any, steps: int) -> float:
    """Return the seconds of a step, of the processor: what other programs take on a busy machine does not count."""
    start = time.thread_time()
    peer.run(steps)
    return (time.thread_time() - start) / steps


def measured(peers: dict[str, Any], seconds: float) -> dict[str, float]:
    """Return the median of the time of a step of each peer, over turns that go round."""
    steps = {}
    for name, peer in peers.items():
        turn(peer, 3)
        steps[name] = max(1, int(TURN / turn(peer, 3)))
    times: dict[str, list[float]] = {name: [] for name in peers}
    end, rng = time.perf_counter() + seconds, np.random.default_rng(0)
    while time.perf_counter() < end or len(times[name]) < 11:
        for name in rng.permutation(list(peers)):
            times[name].append(turn(peers[name], steps[name]))
    return {name: float(np.median(values)) for name, values in times.items()}


def main() -> int:
    """Print the table; return 1 if asked to check and a bound is broken."""
    parser = argparse.ArgumentParser(description="The generated workspace against NumPy by hand.")
    parser.add_argument("--workloads", default=",".join(BOUNDS), help="names, separated by commas")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each network is measured")
    parser.add_argument("--readable", action="store_true", help="the readable module too")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a ratio is above its bound")
    options = parser.parse_args()
    more = "   readable" if options.readable else ""
    print(f"{'network':<34} {'workspace':>11} {'by hand':>11} {'ratio':>6}  bound{more}")
    broken = False
    for name in options.workloads.split(","):
        workload = workloads.workload(name)
        chosen: dict[str, Any] = {"workspace": InWorkspace, "hand": hand_numpy}
        chosen |= {"readable": symbp_numpy} if options.readable else {}
        found = measured({key: checked(peer, workload) for key, peer in chosen.items()}, options.seconds)
        ratio, bound = found["workspace"] / found["hand"], BOUNDS.get(name)
        broken |= bound is not None and ratio > bound
        more = f"  {found['readable'] * 1e6:>8.1f} us" if options.readable else ""
        print(
            f"{workload.title:<34} {found['workspace'] * 1e6:>8.1f} us {found['hand'] * 1e6:>8.1f} us {ratio:>6.2f}"
            f"  {bound or '':<5}{more}"
        )
    return 1 if broken and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
