"""What generated C takes on a small machine: Cortex-M4 with a single-precision unit, gcc -Os.

    python benchmarks/embedded_size.py [--check]

RAM is what a program that trains needs: the parameters, the inputs of a step, the temporaries of a step (no gradient is
stored), and the stack of the deepest chain of calls below train_step, without libm's.  Flash is code and constants that
train_step, predict and init need when the linker leaves out the rest.  ``--check`` exits with 1 if something does not
compile, or takes more than its bound.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from symbp.networks import network
from symbp.pipeline import derive, generate
from symbp.render.files import write_files

COMPILER = "arm-none-eabi-gcc"
MACHINE = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-Os", "-std=c99")
STRICT = ("-Wall", "-Wextra", "-Wdouble-promotion", "-Werror")

USE = """
#include "{p}.h"

static {p}_params params;
static {p}_inputs inputs;
static {p}_predictions predictions;
volatile float seen;

int main(void);
void _start(void);
int main(void)
{{
    {p}_init(&params, 1u);
    seen = {p}_train_step(&params, &inputs, 0.1f);
    {p}_predict(&params, &inputs, &predictions);
    return 0;
}}
void _start(void)
{{
    for (;;) {{
        (void)main();
    }}
}}
"""


@dataclass(frozen=True)
class Machine:
    """One network at fixed sizes, with the most bytes of RAM that it may take."""

    label: str
    name: str
    sizes: Mapping[str, int]
    most: int


MACHINES = (
    Machine("2-3-1, one sample", "mlp", {"n0": 2, "n1": 3, "n2": 1, "m": 1}, 160),
    Machine("xor 2-4-1, one sample", "xor", {"m": 1}, 200),
    Machine("iris 4-16-3, one sample", "iris", {"m": 1}, 1100),
    Machine("rnn, 4 units, 8 steps", "rnn", {"n": 2, "h": 4, "p": 1, "T": 8, "m": 1}, 1100),
    Machine("digits 64-64-10, one sample", "digits", {"m": 1}, 22000),
)


@dataclass(frozen=True)
class Figures:
    """What was measured, in bytes; the first four are the module's own numbers."""

    parameters: int
    gradients: int
    inputs: int
    scratch: int
    text: int
    stack: int
    flash: int

    @property
    def ram(self) -> int:
        """What training needs in all."""
        return self.parameters + self.inputs + self.scratch + self.stack


def run(*command: str | Path) -> str:
    """Run a program; end with what it says if it fails."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def deepest(graph: str, start: str) -> int:
    """Return the bytes of stack of the deepest chain of calls below a function, from gcc's call graph."""
    own = {t: int(n) for t, n in re.findall(r'node: \{ title: "([^"]*)" label: "[^"]*\\n(\d+) bytes', graph)}
    calls: dict[str, set[str]] = {}
    for a, b in re.findall(r'edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"', graph):
        calls.setdefault(a, set()).add(b)

    def depth(name: str) -> int:
        return own.get(name, 0) + max((depth(other) for other in calls.get(name, ())), default=0)

    return depth(start)


def measured(machine: Machine, folder: Path) -> Figures:
    """Generate, compile and measure one module."""
    text, p = network(machine.name).text, machine.name
    files = generate(derive(text), "c", name=p, sizes=machine.sizes, dtype="float32", declaration=text)
    write_files(folder, files)
    source, module = folder / f"{p}.c", folder / "module.o"
    run(COMPILER, *MACHINE, *STRICT, "-fstack-usage", "-fcallgraph-info=su", "-c", source, "-o", module)
    dynamic = [line for line in (folder / "module.su").read_text().splitlines() if not line.endswith("\tstatic")]
    if dynamic:
        raise SystemExit("a frame whose size is not fixed: " + dynamic[0])
    known = {k: int(v) for k, v in re.findall(rf"#define {p.upper()}_(\w+) (\d+)u", files[f"{p}.h"])}
    (folder / "use.c").write_text(USE.format(p=p))
    linked = ("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-nostartfiles", "--specs=nosys.specs")
    run(COMPILER, *MACHINE, *linked, source, folder / "use.c", "-lm", "-o", folder / "use.elf")
    size = COMPILER.replace("gcc", "size")
    flash = run(size, folder / "use.elf").splitlines()[1].split()
    return Figures(
        known["PARAM_BYTES"], known["GRADIENT_BYTES"], known["INPUT_BYTES"], known["STEP_BYTES"],
        int(run(size, module).splitlines()[1].split()[0]),
        deepest((folder / "module.ci").read_text(), f"{p}_train_step"), int(flash[0]) + int(flash[1]),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    if shutil.which(COMPILER) is None:
        print(f"there is no {COMPILER}")
        return 1 if check else 0
    print(run(COMPILER, "--version").splitlines()[0], " ".join(MACHINE))
    print(
        f"{'float32, bytes':28} {'params':>7} {'inputs':>7} {'scratch':>8} {'stack':>6} {'RAM':>7}   "
        f"{'(gradients)':>11} {'text':>7} {'flash':>7}"
    )
    fine = True
    for machine in MACHINES:
        with tempfile.TemporaryDirectory() as place:
            f = measured(machine, Path(place))
        fine &= f.ram <= machine.most
        print(
            f"{machine.label:28} {f.parameters:7,} {f.inputs:7,} {f.scratch:8,} {f.stack:6,} {f.ram:7,}   "
            f"{f.gradients:11,} {f.text:7,} {f.flash:7,}"
            + (f"   RAM is more than {machine.most:,}" if f.ram > machine.most else "")
        )
    print("RAM: params + inputs + scratch of a step + stack; gradients only where they are asked for")
    print("text: the whole module; flash: what training and prediction need, with libm")
    return 1 if check and not fine else 0


if __name__ == "__main__":
    sys.exit(main())
