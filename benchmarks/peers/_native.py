"""C peers: compiling to a shared library that is kept by its content, and calling the interface of a generated net."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from . import Unavailable

FLAGS = ("-O3", "-march=native")
"""No -std=c11: it would forbid gcc to contract products and sums into FMA, which its default allows."""


def library(files: dict[str, str], flags: list[str], libraries: list[str]) -> tuple[ctypes.CDLL, str, float]:
    """Compile the C files of ``files``; return the library, the command without its paths, and its seconds."""
    compiler = os.environ.get("CC", "gcc")
    if shutil.which(compiler) is None:
        raise Unavailable(f"there is no {compiler}")
    version = subprocess.run([compiler, "-dumpfullversion"], capture_output=True, text=True).stdout.strip()
    said = " ".join([compiler, version, *flags, *libraries])
    key = hashlib.sha256(repr((said, sorted(files.items()))).encode()).hexdigest()[:20]
    kept = Path(tempfile.gettempdir()) / f"training-step-{os.getuid()}"
    kept.mkdir(mode=0o700, exist_ok=True)
    if kept.stat().st_uid != os.getuid():
        raise RuntimeError("the folder of compiled peers belongs to somebody else")
    folder = kept / key
    target = folder / "net.so"
    if not target.exists():
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        sources = [name for name in files if name.endswith(".c")]
        command = [compiler, *flags, "-shared", "-fPIC", "-o", "new.so", *sources, *libraries, "-lm"]
        start = time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError("it does not compile: " + " ".join(done.stderr.split())[:300])
        (folder / "seconds").write_text(f"{time.perf_counter() - start:.2f}")
        os.replace(folder / "new.so", target)
    return ctypes.CDLL(str(target)), said, float((folder / "seconds").read_text())


def floats(array: Any) -> Any:
    """Return the pointer of a float32 array."""
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


class Net:
    """A net behind ``net_train`` and its doors: parameters and inputs flat, in declared order, row by row."""

    def __init__(
        self, files: dict[str, str], flags: list[str], libraries: list[str], workload: Any, parameters: Any, data: Any
    ) -> None:
        self.net, self.note, self.compile_seconds = library(files, [*FLAGS, *flags], libraries)
        net, pointer = self.net, ctypes.c_void_p
        net.net_train.restype = ctypes.c_float
        net.net_train.argtypes = [pointer, pointer, ctypes.c_float, ctypes.c_size_t]
        self.rate, self.shapes = workload.rate, [p.shape for p in parameters]
        self.memory = [aligned(size_of(net, files, what)) for what in ("params", "inputs")]
        self.params, self.inputs = (pointer(block.ctypes.data) for block in self.memory)
        self.flat = np.concatenate([p.ravel() for p in parameters])
        net.net_params_from_flat(self.params, floats(self.flat))
        net.net_inputs_from_flat(self.inputs, floats(np.concatenate([array.ravel() for array in data])))

    def run(self, steps: int) -> float:
        """Take the steps."""
        return float(self.net.net_train(self.params, self.inputs, self.rate, steps))

    def parameters(self) -> list[Any]:
        """Return the present parameters."""
        self.net.net_params_to_flat(self.params, floats(self.flat))
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])
        parts = np.split(self.flat, ends[:-1])
        return [part.reshape(shape).copy() for part, shape in zip(parts, self.shapes, strict=True)]


def size_of(net: ctypes.CDLL, files: dict[str, str], what: str) -> int:
    """Return the size of a struct: a function of the net says it, or its header."""
    if hasattr(net, f"net_{what}_bytes"):
        size = getattr(net, f"net_{what}_bytes")
        size.restype = ctypes.c_size_t
        return int(size())
    name = {"params": "NET_PARAM_BYTES", "inputs": "NET_INPUT_BYTES"}[what]
    found = re.search(rf"#define {name} (\d+)u", files.get("net.h", ""))
    if found is None:
        raise RuntimeError(f"the header states no {name}")
    return int(found[1])


def aligned(count: int) -> Any:
    """Return zeroed memory of so many bytes that begins at a multiple of 64."""
    block = np.zeros(count + 64, np.uint8)
    start = -block.ctypes.data % 64
    return block[start : start + count]
