"""Time to generate the C module by the number of written layers, and what gcc needs for a network of 20 layers.

    python benchmarks/generate_scaling.py [--layers 10 100 1000] [--check]

``--check`` gives exit code 1 if gcc takes more than 5 s for the network of 20 layers of 256 units (batch 64).
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from derive_scaling import network
from workloads import deep

from symbp.cli.app import COLLECTION
from symbp.pipeline import derive, generate

FLAGS = ("-O3", "-march=native")
LIMIT = 5.0


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args()
    gc.set_threshold(*COLLECTION)  # as the command line does
    generate(derive(network(2)), "c", name="net", sizes={"n": 8, "m": 16}, dtype="float32")
    for layers in chosen.layers:
        start = time.perf_counter()
        derivation = derive(network(layers))
        middle = time.perf_counter()
        files = generate(derivation, "c", name="net", sizes={"n": 8, "m": 16}, dtype="float32")
        end = time.perf_counter()
        print(
            f"{layers:5} layers   derive {1000 * (middle - start) / layers:6.2f} ms a layer   "
            f"C {1000 * (end - middle) / layers:6.2f} ms and "
            f"{len(files['net.c']) / layers:,.0f} bytes a layer"
        )
    files = generate(derive(deep.WORKLOAD.declaration), "c", name="net", sizes=deep.WORKLOAD.sizes, dtype="float32")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("net.h", "net.c"):
            (Path(folder) / name).write_text(files[name], encoding="utf-8")
        start = time.perf_counter()
        subprocess.run(["gcc", *FLAGS, "-c", "net.c"], cwd=folder, check=True)
        took = time.perf_counter() - start
    print(f"gcc {' '.join(FLAGS)}: {took:.1f} s for 20 layers of 256, at most {LIMIT:.0f}")
    return 1 if chosen.check and took > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
