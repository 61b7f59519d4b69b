"""A training step of the code that symbp generates against its peers: PyTorch, JAX, NumPy and C by hand.

    python benchmarks/training_step.py [--workloads xor,iris] [--peers torch_eager,symbp_c] [--threads 1,2]
                                       [--rounds 31] [--json FILE] [--page docs]

A step is forward, backward and SGD update of all parameters in float32 on a fixed batch.  Each peer lives in a process
of its own.  Gradients, and parameters after 1 and 6 steps, are compared with a float64 reference; who fails is not
timed.  Then peers run in turns of about 30 ms, shuffled in each round, never two at once, and stopped in between; the
time of a step is the median over the rounds.  ``--page`` writes ``benchmarks.md``, the plot and the numbers into a
folder.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

# Whoever set these tuned OpenBLAS for something else; a comparison lets it choose its kernel.
os.environ.pop("OPENBLAS_CORETYPE", None)
os.environ.pop("OPENBLAS_L2_SIZE", None)

import numpy as np

import peers
import workloads
from peers import _machine, _page

HERE = Path(__file__).parent
TURN = 0.03
"""Seconds of a turn."""
ROUNDS = 31
"""Turns of each peer."""
CHECKED = (1, 6)
"""After so many steps the parameters are compared."""
NORM, LARGEST = 1e-3, 5e-2
"""How far a gradient or an update may be from the reference, in norm and in its worst entry, relative to the reference.

A unit of relu that is within rounding of 0 may fall on the other side, so the worst entry has the wider bound.
"""


class Dead(Exception):
    """A peer whose process ended or did not answer."""


class Process:
    """A peer in its own process, stopped unless it was asked something."""

    def __init__(self, name: str, threads: int, extra: dict[str, str]) -> None:
        self.name = name
        ours, theirs = Pipe()
        cpus = available()[:threads]
        command = [sys.executable, str(HERE / "peers" / "_worker.py"), str(theirs.fileno()), name, str(threads)]
        self.process = subprocess.Popen(
            [*command, ",".join(map(str, cpus))], env=environment(threads) | extra, pass_fds=[theirs.fileno()]
        )
        theirs.close()
        self.pipe = ours
        self.stopped = False

    def ask(self, method: str, *arguments: Any, patience: float = 600) -> Any:
        """Return the answer; raise ``Dead`` where there is none, ``RuntimeError`` where it is an error."""
        self.signal(signal.SIGCONT)
        try:
            self.pipe.send((method, *arguments))
            if not self.pipe.poll(patience):
                raise Dead(f"no answer within {patience:.0f} s")
            kind, answer = self.pipe.recv()
        except (EOFError, OSError) as error:
            raise Dead("its process ended") from error
        finally:
            self.signal(signal.SIGSTOP)
        if kind == "error":
            raise RuntimeError(answer)
        return answer

    def signal(self, number: int) -> None:
        """Stop the process or let it go on: threads that wait by spinning would disturb the next peer."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def end(self) -> None:
        """End the process."""
        self.pipe.close()
        self.process.kill()
        self.process.wait()


def available() -> list[int]:
    """Return the processors that may be used."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def environment(threads: int) -> dict[str, str]:
    """Return the environment in which everything runs so many threads."""
    variables = dict(os.environ)
    for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM"):
        variables[f"{name}_NUM_THREADS"] = str(threads)
    variables["JAX_PLATFORMS"] = "cpu"
    if threads == 1:
        variables["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return variables


# ---------------------------------------------------------------------------------------------------------
# Before anything is timed


def distances(found: list[Any], wanted: list[Any], start: list[Any] | None = None) -> tuple[float, float]:
    """Return how far arrays are from the reference, in norm and in the worst entry; relative to their change, if any.

    What cannot be expressed in float32, a rounding of the parameter per step, is no distance.
    """
    norm = worst = 0.0
    for k, (a, b) in enumerate(zip(found, wanted, strict=True)):
        if a.shape != b.shape or not np.isfinite(a).all():
            return float("inf"), float("inf")
        off = np.abs(a.astype(np.float64) - b)
        change = b
        if start is not None:
            change = b - start[k]
            off = np.maximum(off - 6 * np.spacing(np.float32(np.abs(b).max())), 0)
        norm = max(norm, float(np.linalg.norm(off) / np.linalg.norm(change)))
        worst = max(worst, float(off.max() / np.abs(change).max()))
    return norm, worst


def check(process: Process, workload: Any) -> dict[str, Any]:
    """Compare a peer with the reference; raise ``AssertionError`` where it is wrong."""
    start, data = workload.parameters(), workload.data()
    said: dict[str, Any] = {}

    def compare(what: str, found: tuple[float, float]) -> None:
        said[what] = found[0]
        assert found[0] <= NORM and found[1] <= LARGEST, f"{what} off by {found[0]:.1e} in norm, {found[1]:.1e} at most"

    gradients = process.ask("gradients")
    if gradients is not None:
        compare("gradients", distances(gradients, workload.gradients(start, data)[1]))
    done = 0
    for steps in CHECKED:
        process.ask("run", steps - done)
        done = steps
        wanted = workload.trained(start, data, steps)
        plural = "" if steps == 1 else "s"
        compare(f"update after {steps} step{plural}", distances(process.ask("parameters"), wanted, start))
    return said


def prepare(process: Process, workload: Any) -> dict[str, Any]:
    """Set a peer up, check it, and find out how many steps fill a turn."""
    try:
        state, note, compiled = process.ask("prepare", workload.name)
        if state != "ok":
            return {"status": state, "reason": note}
        result: dict[str, Any] = {"status": "timed", "note": note, "compile_seconds": compiled, "times": []}
        result["off"] = check(process, workload)
        steps = 1
        while (each := process.ask("time", steps)) * steps < TURN / 2:
            steps *= 2
        result["steps"] = max(1, round(TURN / each))
        return result
    except AssertionError as reason:
        return {"status": "wrong", "reason": str(reason)}
    except (RuntimeError, Dead) as reason:
        return {"status": "failed", "reason": str(reason)}


# ---------------------------------------------------------------------------------------------------------
# The floor


def floor(workload: Any, measured: dict[str, Any]) -> dict[str, Any]:
    """Return the least time that a step can take on this machine, and what sets it."""
    rate = max(measured["sgemm"].values())
    products = workload.flop() / rate
    level = next(name for name, what in measured["bandwidths"].items() if workload.bytes_held() <= what["bytes"])
    moving = workload.bytes_moved() / measured["bandwidths"][level]["rate"]
    return {
        "seconds": max(products, moving),
        "by": "products" if products >= moving else f"bytes through {level}",
        "products": products,
        "moving": moving,
        "level": level,
    }


def raise_to(measured: dict[str, Any], again: dict[str, Any]) -> None:
    """Let the better of two measurements of the machine count: it is what it can do when it is not disturbed."""
    for name, rate in again["sgemm"].items():
        measured["sgemm"][name] = max(measured["sgemm"][name], rate)
    for level, what in again["bandwidths"].items():
        measured["bandwidths"][level]["rate"] = max(measured["bandwidths"][level]["rate"], what["rate"])


# ---------------------------------------------------------------------------------------------------------
# The run


def timed(processes: dict[str, Process], results: dict[str, Any], rounds: int, order: random.Random) -> None:
    """Run the peers in turns and fill in the times."""
    running = [name for name, result in results.items() if result["status"] == "timed"]
    for _ in range(rounds):
        order.shuffle(running)
        for name in list(running):
            result = results[name]
            try:
                before = max(1, result["steps"] // 10)
                result["times"].append(processes[name].ask("time", result["steps"], before))
            except (RuntimeError, Dead) as reason:
                results[name] = {"status": "failed", "reason": str(reason)}
                running.remove(name)
    for name in running:
        times = results[name].pop("times")
        results[name]["seconds"] = statistics.median(times)
        results[name]["quartiles"] = [float(q) for q in np.quantile(times, [0.25, 0.75])]
        try:
            finite = all(np.isfinite(p).all() for p in processes[name].ask("parameters"))
        except (RuntimeError, Dead):
            finite = False
        if not finite:
            results[name] = {"status": "wrong", "reason": "parameters are not finite after the timing"}


def progress(text: str) -> None:
    """Show what is being done, where somebody looks."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def run(threads: int, chosen: list[str], given: list[str], rounds: int) -> dict[str, Any]:
    """Measure with so many threads."""
    probe = Process("-", threads, {})
    measured = probe.ask("measure")
    print(_page.measured_text(threads, measured), flush=True)
    report: dict[str, Any] = {"measured": measured, "workloads": {}}
    processes: dict[str, Process] = {"-": probe}
    order = random.Random(0)
    for workload in map(workloads.workload, chosen):
        results: dict[str, Any] = {}
        for name in given:
            module = peers.peer(name)
            if threads == 1 and getattr(module, "PARALLEL", False):
                results[name] = {"status": "unavailable", "reason": "needs more than one thread"}
                continue
            if name not in processes or processes[name].process.poll() is not None:
                processes[name] = Process(name, threads, getattr(module, "ENVIRONMENT", {}))
            progress(f"{workload.name}: {name}")
            results[name] = prepare(processes[name], workload)
        progress(f"{workload.name}: timing")
        timed(processes, results, rounds, order)
        raise_to(measured, probe.ask("measure"))
        progress("")
        report["workloads"][workload.name] = one = {
            "title": workload.title,
            "floor": floor(workload, measured),
            "peers": results,
        }
        print(_page.workload_text(one), flush=True)
    for process in processes.values():
        process.end()
    for name, one in report["workloads"].items():
        one["floor"] = floor(workloads.workload(name), measured)
    return report


def names(text: str | None, known: list[str], what: str) -> list[str]:
    """Return the names in a comma-separated list; all, if there is none."""
    if text is None:
        return known
    chosen = text.split(",")
    unknown = [name for name in chosen if name not in known]
    if unknown:
        sys.exit(f"no such {what}: {', '.join(unknown)}; there are {', '.join(known)}")
    return chosen


def command(options: argparse.Namespace) -> str:
    """Return the command that gives the page again."""
    said = ["python", "benchmarks/training_step.py"]
    for name in ("workloads", "peers", "threads"):
        said += [f"--{name}", getattr(options, name)] if getattr(options, name) else []
    if options.rounds != ROUNDS:
        said += ["--rounds", str(options.rounds)]
    return " ".join([*said, "--page", "docs"] if options.page else said)


def main() -> int:
    """Measure, print, write; return 1 if a peer that could be set up failed or was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", help=f"some of {','.join(workloads.names())}")
    parser.add_argument("--peers", help=f"some of {','.join(peers.names())}")
    parser.add_argument("--threads", help="numbers of threads, one run each (default 1; 1,2 with --page)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each peer")
    parser.add_argument("--json", type=Path, help="write all numbers into this file")
    parser.add_argument("--page", type=Path, help="write benchmarks.md, the plot and the numbers into this folder")
    parser.add_argument("--read", type=Path, help="read the numbers from a file written by --json instead of measuring")
    options = parser.parse_args()
    if options.read:
        report = json.loads(options.read.read_text(encoding="utf-8"))
        for threads, part in report["threads"].items():
            print(_page.measured_text(int(threads), part["measured"]))
            print(*(_page.workload_text(one) for one in part["workloads"].values()), sep="\n")
    else:
        chosen = names(options.workloads, workloads.names(), "workload")
        given = names(options.peers, peers.names(), "peer")
        counts = [int(count) for count in (options.threads or ("1,2" if options.page else "1")).split(",")]
        if max(counts) > len(available()):
            sys.exit(f"there are {len(available())} processors")
        report = {
            "when": time.strftime("%Y-%m-%d"),
            "command": command(options),
            "rounds": options.rounds,
            "machine": _machine.describe(),
            "labels": {name: peers.peer(name).LABEL for name in given},
            "frameworks": [name for name in given if getattr(peers.peer(name), "FRAMEWORK", False)],
            "threads": {str(count): run(count, chosen, given, options.rounds) for count in counts},
        }
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if options.page:
        _page.write(report, options.page)
    bad = [
        result
        for part in report["threads"].values()
        for one in part["workloads"].values()
        for result in one["peers"].values()
        if result["status"] in ("failed", "wrong")
    ]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
