"""Does the generated decoder learn?  Each sequence counts by a step of its own, which must be found by looking back.

    python benchmarks/counting.py [--check]

Nothing but generated NumPy code is trained: ``decoder.net`` with two blocks of two heads, words 0 to 5, the sequences
modulo 6, Adam.  From the first word alone nobody can tell the second; from the third on everything is determined.
``--check`` exits with 1 when fewer than 99 of 100 words are right from the third one on.
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

WORDS, LENGTH, BOUND = 6, 8, 0.99


def decoder(folder: Path) -> Any:
    """Generate and load the module."""
    text = network("decoder").text
    write_files(folder, generate(derive(read_text(text, "decoder.net")), name="decoder", declaration=text))
    return load_module(folder / "decoder.py")


def sequences(module: Any, count: int, rng: np.random.Generator) -> Any:
    """Return sequences that count, and what follows each word."""
    first, step = rng.integers(0, WORDS, count), rng.integers(1, WORDS, count)
    words = (first[:, None] + step[:, None] * np.arange(LENGTH + 1)) % WORDS
    return module.Inputs(ids=words[:, None, :-1].astype(float), following=words[:, None, 1:].astype(float))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        module = decoder(Path(folder))
    params = module.init_params(rng, T=LENGTH, d=16, v=WORDS, L=2, heads=2, k=8, h=32)
    start = time.perf_counter()
    trained, losses = module.fit(
        params, sequences(module, 128, rng), epochs=40, batch_size=32, optimizer="adam", learning_rate=0.01
    )
    seconds = time.perf_counter() - start
    test = sequences(module, 500, rng)
    right = (module.predict(trained, test).argmax(axis=1) == test.following[:, 0]).mean(axis=0)
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f} in {seconds:.1f} s, 40 epochs of 128 sequences")
    print("right at each position:", "  ".join(f"{x:.3f}" for x in right))
    return 1 if chosen.check and right[2:].mean() < BOUND else 0


if __name__ == "__main__":
    sys.exit(main())
