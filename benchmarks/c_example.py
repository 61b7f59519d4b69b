"""Does the generated C example train as the generated NumPy module does?  Exclusive or and iris, in double precision.

    python benchmarks/c_example.py [--check]

For each network: the C module is written with ``m`` samples in a step, its example is built with its own CMake file and
run on a CSV file, without Python; the NumPy module takes the same steps from the same first parameters.  Printed are
both losses and both shares of right answers after the last epoch.  ``--check`` exits with 1 where they are more than
1e-5 apart, or where a network has not learned.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from symbp.networks import network
from symbp.pipeline import derive, generate
from symbp.render.files import write_files
from symbp.verify.module import load_module

APART = 1e-5


@dataclass(frozen=True)
class Run:
    """One network: samples in a step, epochs, rate, and the share of right answers that it reaches at least."""

    name: str
    samples: int
    epochs: int
    rate: float
    share: float


RUNS = (Run("xor", 4, 3000, 1.0, 1.0), Run("iris", 30, 200, 0.1, 0.97))


def data(name: str) -> tuple[Any, Any]:
    """Return inputs and targets, samples as columns, in the order in which they are used."""
    if name == "xor":
        return np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), np.array([[0.0, 1.0, 1.0, 0.0]])
    from sklearn.datasets import load_iris  # type: ignore[import-untyped]

    iris = load_iris()
    X = (iris.data - iris.data.mean(axis=0)) / iris.data.std(axis=0)
    order = np.random.default_rng(0).permutation(len(X))
    return X[order].T, np.eye(3)[:, iris.target[order]]


def by_c(run: Run, folder: Path, X: Any, Y: Any, start: Any) -> tuple[float, float, Any]:
    """Build and run the example; return the last loss, the share of right answers, and the last parameters."""
    text = network(run.name).text
    files = generate(derive(text), "c", name=run.name, sizes={"m": run.samples}, declaration=text)
    write_files(folder, files)
    np.savetxt(folder / "data.csv", np.vstack([X, Y]).T, fmt="%.17g", delimiter=",")
    start.astype("<f8").tofile(folder / "start.bin")
    commands: tuple[list[str], ...] = (
        ["cmake", "-S", str(folder), "-B", str(folder / "build")], ["cmake", "--build", str(folder / "build")],
        ["ctest", "--test-dir", str(folder / "build")],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    example = [str(folder / "build" / f"{run.name}_example"), "data.csv", str(run.epochs), str(run.rate)]
    done = subprocess.run([*example, "start.bin", "end.bin"], capture_output=True, text=True, check=True, cwd=folder)
    loss = re.search(r"at the end .* ([-+.e0-9]+)$", done.stdout, re.MULTILINE)
    right = re.search(r"right +(\d+) of (\d+)", done.stdout)
    assert loss and right, done.stdout
    return float(loss[1]), int(right[1]) / int(right[2]), np.fromfile(folder / "end.bin", "<f8")


def by_numpy(run: Run, module: Any, X: Any, Y: Any, params: Any) -> tuple[float, float, Any]:
    """Take the same steps with the NumPy module."""
    m = run.samples
    batches = [module.Inputs(X=X[:, k : k + m], Y=Y[:, k : k + m]) for k in range(0, X.shape[1] - m + 1, m)]
    for _ in range(run.epochs):
        for batch in batches:
            _, params = module.train_step(params, batch, run.rate)
    loss = float(np.mean([module.loss_and_gradients(params, batch)[0] for batch in batches]))
    answers = np.hstack([module.predict(params, batch) for batch in batches])
    wanted = Y[:, : answers.shape[1]]
    right = answers.argmax(axis=0) == wanted.argmax(axis=0) if len(Y) > 1 else (answers > 0.5) == (wanted > 0.5)
    return loss, float(np.mean(right)), np.concatenate([np.ravel(p) for p in params])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    fine = True
    for run in RUNS:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            write_files(folder / "numpy", generate(derive(network(run.name).text), name=run.name))
            module = load_module(folder / "numpy" / f"{run.name}.py")
            X, Y = data(run.name)
            params = module.init_params(np.random.default_rng(1))
            start = np.concatenate([np.ravel(p) for p in params])
            c_loss, c_share, c_params = by_c(run, folder / "c", X, Y, start)
            loss, share, after = by_numpy(run, module, X, Y, params)
        steps = run.epochs * (X.shape[1] // run.samples)
        print(f"{run.name}: {X.shape[1]} samples, {run.epochs} epochs, {steps:,} steps of {run.samples}")
        print(f"  C example      loss {c_loss:.10f}   right {100 * c_share:6.2f} %")
        print(f"  NumPy module   loss {loss:.10f}   right {100 * share:6.2f} %")
        apart = np.max(np.abs(c_params - after))
        print(f"  apart          loss {abs(c_loss - loss):.1e}        parameters {apart:.1e}")
        fine &= abs(c_loss - loss) <= APART and c_share == share >= run.share
    return 1 if check and not fine else 0


if __name__ == "__main__":
    sys.exit(main())
