"""Does a generated GRU remember?  The first symbol of a random sequence is to be named after the last one.

    python benchmarks/sequence.py [--steps 20] [--check]

Every symbol is drawn from the same alphabet, so the state must take in the first one and let no later one in.  The
module is written by ``symbp generate`` from the bundled ``gru.net`` and trains by itself, with its own Adam.
``--check`` exits with 1 below the bound.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from symbp.language import read_text
from symbp.networks import network
from symbp.pipeline import derive, generate
from symbp.render.files import write_files
from symbp.verify.module import load_module

SYMBOLS, UNITS, TRAINED, TESTED = 4, 16, 2000, 1000
EPOCHS, BATCH, RATE, BOUND = 40, 50, 0.01, 0.99


def module(folder: Path) -> Any:
    """Generate and load the module of ``gru.net``."""
    text = network("gru").text
    write_files(folder, generate(derive(read_text(text, "gru.net", name="gru")), name="gru", declaration=text))
    return load_module(folder / "gru.py")


def sequences(gru: Any, steps: int, count: int, rng: np.random.Generator) -> Any:
    """Return random sequences of symbols, one-hot, with the first symbol as the class."""
    drawn = rng.integers(SYMBOLS, size=(steps, count))
    X = np.eye(SYMBOLS)[drawn].transpose(0, 2, 1)
    return gru.Inputs(X=X, Y=X[0].copy())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        gru = module(Path(folder))
        written = time.perf_counter() - start
    train, test = (sequences(gru, chosen.steps, count, rng) for count in (TRAINED, TESTED))
    params = gru.init_params(rng, h=UNITS, k=SYMBOLS, n=SYMBOLS)
    start = time.perf_counter()
    params, losses = gru.fit(
        params, train, epochs=EPOCHS, batch_size=BATCH, learning_rate=RATE, optimizer="adam", rng=rng
    )
    seconds = time.perf_counter() - start
    right = [np.mean(gru.predict(params, s).argmax(axis=0) == s.Y.argmax(axis=0)) for s in (train, test)]
    print(f"gru.net, {chosen.steps} steps, {SYMBOLS} symbols, {UNITS} units; written in {written:.1f} s")
    print(f"loss {losses[0]:.4f} -> {losses[-1]:.2e} in {EPOCHS} epochs of {TRAINED} sequences, {seconds:.1f} s")
    print(f"accuracy: {right[0]:.4f} on what it was trained on, {right[1]:.4f} on {TESTED} new sequences")
    return 1 if chosen.check and right[1] < BOUND else 0


if __name__ == "__main__":
    sys.exit(main())
