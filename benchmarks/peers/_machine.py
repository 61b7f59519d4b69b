"""What the machine can do, measured: the rate of sgemm and the bandwidth of each level of its memory; and its names."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

SOURCE = """
#define _GNU_SOURCE
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <omp.h>
typedef float vec __attribute__((vector_size(64)));
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }

/* Each thread walks over its own bytes; kind 0 reads, kind 1 reads and writes. Returns bytes per second, the best. */
double bandwidth(size_t bytes, int kind, int threads, int repeats) {
    size_t count = bytes / 64 / 8 * 8;
    size_t rounds = 1 + (size_t)(kind ? 2e8 : 4e8) / bytes;
    double best = 0;
    vec *all[64];
    #pragma omp parallel num_threads(threads)
    {
        int me = omp_get_thread_num();
        vec *p = all[me] = aligned_alloc(64, count * 64);
        for (size_t i = 0; i < count; i++) p[i] = (vec){0} + 1.0f;
    }
    for (int r = 0; r < repeats; r++) {
        double start = now();
        #pragma omp parallel num_threads(threads)
        {
            vec *p = all[omp_get_thread_num()];
            for (size_t k = 0; k < rounds; k++) {
                vec s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, s4 = {0}, s5 = {0}, s6 = {0}, s7 = {0};
                if (kind)
                    for (size_t i = 0; i < count; i += 4) {
                        p[i] *= 1.0000001f, p[i + 1] *= 1.0000001f, p[i + 2] *= 1.0000001f, p[i + 3] *= 1.0000001f;
                    }
                else
                    for (size_t i = 0; i < count; i += 8) {
                        s0 += p[i], s1 += p[i + 1], s2 += p[i + 2], s3 += p[i + 3];
                        s4 += p[i + 4], s5 += p[i + 5], s6 += p[i + 6], s7 += p[i + 7];
                    }
                vec s = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7));
                __asm__ volatile("" : : "x"(s[0]) : "memory");
            }
        }
        double took = now() - start;
        double rate = (double)threads * count * 64 * rounds * (kind ? 2 : 1) / took;
        if (rate > best) best = rate;
    }
    for (int t = 0; t < threads; t++) free(all[t]);
    return best;
}

#ifdef __AVX512F__
enum { LANES = 16, ROWS = 8 };
#else
enum { LANES = 8, ROWS = 6 };
#endif
enum { K = 128 };
typedef float lane __attribute__((vector_size(4 * LANES)));

/* A small sgemm, all of it in the first cache and its result in registers. Returns FLOP per second, the best. */
double small_sgemm(int threads, int repeats) {
    const int rounds = 20000;
    double best = 0;
    for (int r = 0; r < repeats; r++) {
        double start = now();
        #pragma omp parallel num_threads(threads)
        {
            float A[K][ROWS];
            lane B[K][2], C[ROWS][2];
            for (int k = 0; k < K; k++) {
                for (int i = 0; i < ROWS; i++) A[k][i] = 1.0f;
                B[k][0] = B[k][1] = (lane){0} + 1.0f;
            }
            for (int n = 0; n < rounds; n++) {
                __asm__ volatile("" : : "r"(A), "r"(B) : "memory");
                lane c[ROWS][2] = {0};
                for (int k = 0; k < K; k++) {
                    lane b0 = B[k][0], b1 = B[k][1];
                    _Pragma("GCC unroll 8") for (int i = 0; i < ROWS; i++) {
                        c[i][0] += A[k][i] * b0;
                        c[i][1] += A[k][i] * b1;
                    }
                }
                for (int i = 0; i < ROWS; i++) C[i][0] = c[i][0], C[i][1] = c[i][1];
                __asm__ volatile("" : : "r"(C) : "memory");
            }
        }
        double rate = 2.0 * threads * rounds * K * ROWS * 2 * LANES / (now() - start);
        if (rate > best) best = rate;
    }
    return best;
}
"""

REPEATS = 20
"""Measurements of a rate; the best counts."""


def caches() -> list[tuple[str, int, bool]]:
    """Return level, bytes, and whether cores share it, for each data cache."""
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind, level, size = ((index / name).read_text().strip() for name in ("type", "level", "size"))
        if kind != "Instruction":
            scale = {"K": 1 << 10, "M": 1 << 20}[size[-1]]
            shared = (index / "shared_cpu_list").read_text().strip() != "0"
            found[f"L{level}"] = (int(size[:-1]) * scale, shared)
    return [(level, *what) for level, what in sorted(found.items())]


def probe() -> Any:
    """Return the compiled source."""
    import ctypes

    from . import _native

    net, _, _ = _native.library({"probe.c": SOURCE}, ["-O3", "-march=native", "-fopenmp"], [])
    net.bandwidth.restype = net.small_sgemm.restype = ctypes.c_double
    net.bandwidth.argtypes = [ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int]
    net.small_sgemm.argtypes = [ctypes.c_int, ctypes.c_int]
    return net


def bandwidths(threads: int) -> dict[str, dict[str, Any]]:
    """Return, by level, what fits into it (for all threads together) and its bandwidth in bytes per second."""
    net = probe()
    result: dict[str, dict[str, Any]] = {}
    largest = 1 << 22
    for level, size, shared in caches():
        each = size // 2 // (threads if shared else 1)
        best = max(net.bandwidth(each, kind, threads, REPEATS) for kind in (0, 1))
        result[level] = {"bytes": size if shared else size * threads, "rate": best}
        largest = max(largest, size)
    each = min(4 * largest, 1 << 29) // threads
    best = max(net.bandwidth(each, kind, threads, REPEATS) for kind in (0, 1))
    result["DRAM"] = {"bytes": float("inf"), "rate": best}
    return result


def sgemm(threads: int) -> dict[str, float]:
    """Return the best rate of sgemm in FLOP per second: square ones of NumPy and PyTorch, a small one in C."""
    import numpy as np

    rates = {"C kernel": probe().small_sgemm(threads, REPEATS)}

    def best(name: str, product: Any, count: int) -> None:
        product()
        took = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            product()
            took.append(time.perf_counter() - start)
        rates[name] = max(rates.get(name, 0.0), 2 * count**3 / min(took))

    for count in (256, 512, 1024, 1536):
        A, B = (np.random.default_rng(k).standard_normal((count, count), np.float32) for k in (0, 1))
        C = np.empty_like(A)
        best("NumPy", lambda A=A, B=B, C=C: np.matmul(A, B, out=C), count)
    try:
        import torch
    except ImportError:
        return rates
    torch.set_num_threads(threads)
    for count in (256, 512, 1024, 1536):
        A, B, C = (torch.rand(count, count) for _ in range(3))
        best("PyTorch", lambda A=A, B=B, C=C: torch.matmul(A, B, out=C), count)
    return rates


def blas_note() -> str:
    """Return which BLAS NumPy runs, and which kernel it chose."""
    import numpy as np

    note = f"numpy {np.__version__}"
    try:
        import threadpoolctl
    except ImportError:
        return note
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    kernels = [f"{p['internal_api']} {p['version']} kernel {p.get('architecture')}" for p in pools]
    return ", ".join([note, *kernels])


def describe() -> dict[str, Any]:
    """Return what the machine and the programs on it are called."""
    model = ""
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        fields = dict(tuple(part.strip() for part in line.split(":", 1)) for line in lines if ":" in line)
        known = ("avx2", "fma", "avx512f")
        vectors = [flag for flag in known if flag in fields.get("flags", "").split()]
        name = fields.get("model name", "").strip()
        model = f"{name} (family {fields.get('cpu family')}, model {fields.get('model')}), {', '.join(vectors)}"
    compiler = subprocess.run([os.environ.get("CC", "gcc"), "--version"], capture_output=True, text=True).stdout
    return {
        "processor": model or platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "caches": {level: size for level, size, _ in caches()},
        "system": f"{platform.system()} {platform.machine()}",
        "compiler": compiler.splitlines()[0] if compiler else "none",
        "python": platform.python_version(),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that take part."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("numpy", "torch", "jax", "jaxlib", "symbp"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "-"
    return found
