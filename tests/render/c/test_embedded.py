"""Generated C on a small machine: Cortex-M4 compiles it without a warning, and computes what it should.

The self-check is cross-compiled for Cortex-M4 and run by qemu's user mode, as a machine that has its instructions.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest


def _shared() -> Any:
    place = Path(__file__).with_name("building.py")
    if "c_building" not in sys.modules:
        spec = importlib.util.spec_from_file_location("c_building", place)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["c_building"] = module
        spec.loader.exec_module(module)
    return sys.modules["c_building"]


b = _shared()
Case = b.Case

COMPILER = "arm-none-eabi-gcc"
MACHINE = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-Os")
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wdouble-promotion", "-Wvla", "-Werror", "-fstack-usage")
MOST_STACK = 512
"""Bytes of the largest frame."""

CASES = (
    Case("xor", "float32", sizes=(("m", 1),)), Case("mlp", "float32", "adam", sizes=(("m", 1),)),
    Case("iris", "float32", "momentum", "block"), Case("rnn", "float32"), Case("lstm", "float32"),
    Case("digits", "float32", sizes=(("m", 1),)), Case("logistic", "float32"), Case("dropout", "float32"),
)


@pytest.mark.parametrize("case", [
    CASES[0], *(pytest.param(c, marks=pytest.mark.slow) for c in CASES[1:])
], ids=str)
def test_cortex_m4(case: Any, tmp_path: Path) -> None:
    place, compiler = b.placed(case, tmp_path), b.tool(COMPILER)
    module = place / "module.o"
    b.run([compiler, *MACHINE, *FLAGS, "-c", place / f"{case.name}.c", "-o", module])
    frames = [line.split("\t") for line in module.with_suffix(".su").read_text().splitlines()]
    assert frames and {kind for _, _, kind in frames} == {"static"}
    largest = max(frames, key=lambda f: int(f[1]))
    assert int(largest[1]) <= MOST_STACK, largest
    # Nothing is asked of the system, and of the libraries only mathematics and memory.
    needed = re.findall(r" U (\w+)", b.run([b.tool("arm-none-eabi-nm"), module]))
    assert [n for n in needed if not re.fullmatch(r"memcpy|memset|(fma|sqrt|exp|log|pow|expm1|log1p)f", n)] == []
    check, host = place / f"{case.name}_test.c", Path(__file__).with_name("arm_host.c")
    b.run([compiler, *MACHINE, "-std=gnu99", "-nostartfiles", module, check, host, "-lm", "-o", place / "check"])
    said = b.run([b.tool("qemu-arm"), "-cpu", "cortex-a15", place / "check"])
    assert said.rstrip().endswith("all checks hold")
