"""Do the generated modules train?  Iris, handwritten digits, and the exclusive or from 40 starting points.

    python benchmarks/training.py [--check]

The modules are those of the showroom (``generated/``), written anew.  ``--check`` exits with 1 below the bounds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from symbp import demo, showroom
from symbp.render.files import write_files
from symbp.verify.module import load_module

LENET = demo.Course(
    "lenet", "the digits by two convolutions",
    {"epochs": 60, "batch_size": 25, "learning_rate": 0.002, "optimizer": "adam"},
)

XOR_SEEDS, XOR_STEPS, XOR_RATE = 40, 5000, 1.0


def module(name: str, folder: Path) -> Any:
    """Generate and load the module of one exhibit."""
    exhibit = next(e for e in showroom.EXHIBITS if e.name == name)
    write_files(folder, showroom.files(exhibit))
    return load_module(folder / name / "numpy" / f"{name}.py")


def xor_learns(network: Any, seed: int) -> bool:
    """Train from a standard normal start on the full batch and tell whether all four answers are right."""
    rng = np.random.default_rng(seed)
    params = network.Params(*(rng.standard_normal(p.shape) for p in network.init_params(rng)))
    X = np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]])
    inputs = network.Inputs(X=X, Y=np.array([[0.0, 1.0, 1.0, 0.0]]))
    for _ in range(XOR_STEPS):
        _, params = network.train_step(params, inputs, XOR_RATE)
    return bool(np.array_equal(network.predict(params, inputs) > 0.5, inputs.Y > 0.5))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args()
    low = []

    def report(what: str, value: float, bound: float, start: float) -> None:
        print(f"{what:58} {value:8.4f}   at least {bound}   {time.perf_counter() - start:5.1f} s")
        if value < bound:
            low.append(what)

    with tempfile.TemporaryDirectory() as folder:
        for course, bound in zip(demo.COURSES, (0.97, 0.96), strict=True):
            start = time.perf_counter()
            samples = demo.data(course.name, seed=0)
            network = module(course.name, Path(folder))
            params, _ = demo.train(network, course, samples, seed=0)
            if samples.X_test.size:
                share = demo.accuracy(network, params, samples.X_test, samples.Y_test)
                report(f"{course.name}: test accuracy, stratified split and start of seed 0", share, bound, start)
            else:
                share = demo.accuracy(network, params, samples.X, samples.Y)
                report(f"{course.name}: training accuracy, start of seed 0", share, bound, start)
        start = time.perf_counter()
        samples = demo.data("digits", seed=0)
        network = module("lenet", Path(folder))
        params, _ = demo.train(network, LENET, samples, seed=0)
        share = demo.accuracy(network, params, samples.X_test, samples.Y_test)
        report("lenet: test accuracy on the digits, same split and start", share, 0.97, start)
        start = time.perf_counter()
        network = module("xor", Path(folder))
        learned = sum(xor_learns(network, seed) for seed in range(XOR_SEEDS))
        report(f"xor: seeds of {XOR_SEEDS} that learn", learned, 36, start)
    return 1 if chosen.check and low else 0


if __name__ == "__main__":
    sys.exit(main())
