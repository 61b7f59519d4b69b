"""What the tests of built C modules share: cases, compilers, builds of a module with its self-check."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symbp.calculus import derive
from symbp.calculus.passes import passes, with_functions
from symbp.networks import network
from symbp.pipeline import program_of
from symbp.render.c import write
from symbp.render.sizes import size_families, size_names
from symbp.verify.reference import reference_of

COMPILERS = ("gcc", "clang")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wvla", "-Werror")
SANITIZERS = ("-g", "-O1", "-fsanitize=address,undefined,float-divide-by-zero", "-fno-sanitize-recover=all")
SIZES = {
    "n0": 3, "n1": 8, "n2": 2, "m": 4, "n": 3, "p": 2, "h": 5, "T": 4, "L": 2, "d": 6, "k": 3, "heads": 2, "v": 5,
    "c": 2, "f": 3, "q": 4, "g": 2, "e": 3, "w": 3,
}
FAMILY = (3, 5, 2)
OPEN = ("sigma", "f")
"""Functions that bundled declarations leave open; here they are tanh."""


@dataclass(frozen=True)
class Case:
    """A bundled network with options of the C target."""

    network: str
    dtype: str = "float64"
    optimizer: str = "sgd"
    memory: str = "static"
    largest: tuple[tuple[str, int], ...] = ()
    sizes: tuple[tuple[str, int], ...] = ()
    clip: bool = False

    @property
    def name(self) -> str:
        """The name of the module."""
        return self.network[:11]

    def __str__(self) -> str:
        parts = [self.network, self.dtype]
        parts += [x for x in (self.optimizer, self.memory) if x not in ("sgd", "static")]
        parts += ["clip"] if self.clip else []
        parts += [f"{n}={v}" for n, v in self.sizes] + [f"{n}<={v}" for n, v in self.largest]
        return "-".join(parts)


@lru_cache(maxsize=64)
def generated(case: Case) -> Mapping[str, str]:
    """Return the files of a case."""
    text = network(case.network).text
    derivation = derive(program_of(text))
    opened = {name: "tanh" for name in OPEN if f"{name}: elementwise" in text}
    if opened:
        derivation = derive(with_functions(derivation.source, opened))
    largest, known = dict(case.largest), SIZES | dict(case.sizes)
    families = size_families(derivation.source)
    sizes: dict[str, Any] = {
        n: FAMILY if n in families else known[n] for n in size_names(derivation.source) if n not in largest
    }
    return write(
        passes(derivation), name=case.name, sizes=sizes, dtype=case.dtype, declaration=text,
        optimizer=case.optimizer, memory=case.memory, clip=case.clip, largest=largest, reference=reference_of,  # type: ignore[arg-type]
    )


def tool(name: str) -> str:
    """Return the path of a program; skip the test if it is missing, fail it if SYMBP_TOOLS names it."""
    found = shutil.which(name)
    if found is None and name in os.environ.get("SYMBP_TOOLS", "").split():
        pytest.fail(f"{name} is missing")
    if found is None:
        pytest.skip(f"there is no {name}")
    return found


def run(command: Sequence[str | Path], folder: Path | None = None, status: int | None = 0) -> str:
    """Run a program and return what it prints; fail unless it ends with the given status."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=folder, timeout=300)
    if status is not None and done.returncode != status:
        said = done.stdout[-6000:] + done.stderr[-6000:]
        pytest.fail(f"{' '.join(map(str, command))} ended with {done.returncode}\n{said}")
    return done.stdout + done.stderr


def placed(case: Case, folder: Path) -> Path:
    """Write the files of a case, and a program that prints what its functions compute, and return the folder."""
    place = folder / str(case)
    place.mkdir(exist_ok=True)
    for name, text in generated(case).items():
        (place / name).write_text(text)
    (place / "dump.c").write_text(dump(case))
    return place


def dump(case: Case) -> str:
    """Return a program that makes the self-check, or prints every result if it has an argument."""
    p, texts = case.name, generated(case)
    test = texts[f"{p}_test.c"]

    def call(entry: str) -> str:
        start = test.index(f"= (double){p}_{entry}(") + len("= (double)")
        return test[start : test.index(";", start)]

    lines = [
        "#define main self_check", f'#include "{p}_test.c"', "#undef main",
        "static void show(const char *name, const void *at, size_t count, size_t size)",
        "{",
        "    for (size_t i = 0u; i < count; ++i) {",
        "        const double x = size == 4u ? (double)((const float *)at)[i] : ((const double *)at)[i];",
        '        printf("%s %.17g\\n", name, x);',
        "    }",
        "}",
        "#define SHOW(name) show(#name, name, sizeof name / sizeof name[0], sizeof name[0])",
        "int main(int argc, char **argv)",
        "{",
        "    double loss[2];",
        "    (void)argv;",
        "    if (argc < 2) { return self_check(); }",
        "    make_values();",
        f"    loss[0] = (double){call('loss_and_gradients')};",
        f"    {p}_gradients_to_flat(&gradients, flat_gradients);",
    ]
    if f"{p}_optimizer_reset" in test:
        lines.append(f"    {p}_optimizer_reset(&optimizer);")
    lines += [
        f"    loss[1] = (double){call('train_step')};", f"    loss[1] = (double){call('train_step')};",
        f"    {p}_params_to_flat(&params, flat_after);",
        "    SHOW(loss);", "    SHOW(flat_gradients);", "    SHOW(flat_after);", "    return 0;", "}",
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Results:
    """What a build computes, by name."""

    values: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)

    def apart(self, other: Results, dtype: str) -> float:
        """Return the largest difference, in units in the last place of the largest entry of each result."""
        worst = 0.0
        for name, mine in self.values.items():
            scale = np.spacing(np.abs(mine).max().astype(dtype))
            worst = max(worst, float(np.abs(mine - other.values[name]).max() / scale))
        return worst


def built(place: Path, case: Case, compiler: str, *options: str) -> Path:
    """Compile the module and the dump with its self-check, without a warning, and return the program."""
    target = place / f"{compiler}{'_'.join(options)}".replace("=", "").replace(",", "")
    run([tool(compiler), *STRICT, *options, place / f"{case.name}.c", place / "dump.c", "-lm", "-o", target])
    return target


def results(program: Path) -> Results:
    """Run the dump of a build."""
    found: dict[str, list[float]] = {}
    for line in run([program, "all"]).splitlines():
        name, value = line.split()
        found.setdefault(name, []).append(float(value))
    return Results({name: np.array(values) for name, values in found.items()})
