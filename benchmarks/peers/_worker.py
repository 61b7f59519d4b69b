"""The process of one peer: does what the coordinator asks through a pipe, and nothing in between.

python _worker.py DESCRIPTOR PEER THREADS CPUS
"""

from __future__ import annotations

import gc
import os
import sys
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


class Worker:
    """A peer with at most one workload set up."""

    def __init__(self, name: str, threads: int) -> None:
        self.name, self.threads, self.peer = name, threads, None

    def measure(self) -> dict[str, Any]:
        """Return what the machine does with these threads."""
        from peers import _machine

        return {"sgemm": _machine.sgemm(self.threads), "bandwidths": _machine.bandwidths(self.threads)}

    def prepare(self, workload_name: str) -> tuple[str, str, float | None]:
        """Set a workload up: ``ok`` with note and seconds of the C compiler, or ``unavailable`` with the reason."""
        import peers
        import workloads

        self.peer = None
        gc.collect()
        workload = workloads.workload(workload_name)
        try:
            module = peers.peer(self.name)
            self.peer = module.setup(workload, workload.parameters(), workload.data(), self.threads)
        except peers.Unavailable as reason:
            return "unavailable", str(reason), None
        return "ok", getattr(self.peer, "note", ""), getattr(self.peer, "compile_seconds", None)

    def gradients(self) -> Any:
        """Return the gradients at the present parameters, or None."""
        return self.peer.gradients() if hasattr(self.peer, "gradients") else None

    def run(self, steps: int) -> float | None:
        """Take steps and return the last loss."""
        return self.peer.run(steps)

    def parameters(self) -> Any:
        """Return the present parameters."""
        return self.peer.parameters()

    def time(self, steps: int, before: int = 0) -> float:
        """Return the seconds that a step takes, after some that are not counted."""
        if before:
            self.peer.run(before)
        start = time.perf_counter()
        self.peer.run(steps)
        return (time.perf_counter() - start) / steps


def main() -> None:
    """Answer until the pipe is closed."""
    descriptor, name, threads, cpus = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
    sys.path[0] = str(Path(__file__).parents[1])
    os.dup2(2, 1)  # what a library prints does not mix with the report
    pipe = Connection(int(descriptor))
    worker = Worker(name, int(threads))
    while True:
        try:
            method, *arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = ("answer", getattr(worker, method)(*arguments))
        except Exception as error:
            traceback.print_exc()
            answer = ("error", f"{type(error).__name__}: {' '.join(str(error).split())[:500]}")
        pipe.send(answer)


if __name__ == "__main__":
    main()
