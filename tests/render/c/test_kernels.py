"""The C kernels: products against exact ones, functions against longer arithmetic, both as plain C and as vectors."""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

from symbp.render.templates import rendered

COMPILER = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")

STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
INCLUDES = "#include <math.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n"
PARTS = ("exp_parts", "exp", "tanh", "sigmoid", "log", "softplus", "erf")
FUNCTIONS = PARTS[1:]
REALS = ("float", "double")

# Units in the last place, in float and in double, as the templates state them.
BOUNDS = {
    "exp": (1.1, 1.1), "tanh": (2.7, 2.7), "sigmoid": (2.5, 2.5), "log": (1.0, 1.0), "softplus": (2.2, 2.2),
    "erf": (2.6, 4.5),
}


@dataclass(frozen=True)
class Product:
    """One product, as the templates are asked for it; a transposed factor is stored as columns."""

    form: str
    columns: int
    depth: int
    open_depth: bool = False
    accumulate: bool = False
    a_transposed: bool = False
    b_transposed: bool = False
    spare: int = 0  # columns of C that belong to somebody else
    rows: int = 20

    def counts(self) -> tuple[int, ...]:
        """Return the numbers of rows to try."""
        return tuple(range(1, 21)) if self.rows == 20 else (self.rows // 2, self.rows)

    def values(self, name: str) -> dict[str, object]:
        """The parameters of the templates."""
        return {
            "name": name, "columns": self.columns, "depth": None if self.open_depth else self.depth,
            "a_row": 1 if self.a_transposed else self.depth, "a_depth": self.rows if self.a_transposed else 1,
            "b_depth": 1 if self.b_transposed else self.columns, "b_column": self.depth if self.b_transposed else 1,
            "c_row": self.columns + self.spare, "accumulate": self.accumulate, "form": self.form,
        }


def products() -> Iterator[Product]:
    """All forms, with the sizes at which something changes and some drawn ones."""
    rng = np.random.default_rng(1)
    for columns, depth in ((1, 1), (4, 2), (3, 16), (16, 4), (8, 8)):
        yield Product("small", columns, depth)
    yield Product("small", 5, 3, accumulate=True, a_transposed=True, spare=2)
    special = {"tiled": ((3, 7), (8, 9), (10, 40), (16, 5), (32, 33), (64, 1)), "packed": ((3, 7), (48, 3))}
    for form, sizes in special.items():
        drawn = [(int(rng.integers(1, 71)), int(rng.integers(1, 41))) for _ in range(4)]
        for columns, depth in (*sizes, *drawn):
            yield Product(form, columns, depth, spare=int(rng.integers(0, 3)))
        yield Product(form, 37, 300)
        yield Product(form, 70, 300, a_transposed=True, accumulate=form == "tiled", rows=107)
        yield Product(form, 37, 530, accumulate=True, a_transposed=True)
        yield Product(form, 50, 70, accumulate=True, spare=1)
        yield Product(form, 29, 20, a_transposed=True)
    yield Product("tiled", 45, 67, open_depth=True)
    yield Product("tiled", 10, 300, open_depth=True, accumulate=True, a_transposed=True)
    yield Product("packed", 20, 530, rows=107, spare=1)
    yield Product("packed", 70, 37, b_transposed=True)
    yield Product("packed", 5, 300, b_transposed=True, a_transposed=True)
    for columns, depth in ((1, 1), (1, 50), (4, 16), (10, 37), (7, 64), (3, 5), (33, 100)):
        yield Product("dot", columns, depth, b_transposed=True, spare=columns % 2 * (columns > 1))
        yield Product("dot", columns, depth, b_transposed=True, accumulate=True)
    yield Product("dot", 6, 45, open_depth=True, b_transposed=True)


PRODUCTS = tuple(products())


def common(real: str) -> dict[str, object]:
    """What all templates are told."""
    suffix = "f" if real == "float" else ""
    forms = ["small", "tiled", "packed", "dot"]
    return {"p": "net", "real": real, "suffix": suffix, "macro": "NET_USE_VECTOR", "forms": forms}


def template(name: str, values: dict[str, object]) -> str:
    """Return a rendered kernel."""
    return rendered("c", f"kernels/{name}.c.jinja", values)


def source(real: str) -> str:
    """All kernels, with a door to each of them."""
    values = common(real)
    lines = [INCLUDES, template("prelude", values), *(template(name, values) for name in PARTS)]
    for name in FUNCTIONS:
        head = f"void {name}_door(size_t n, const {real} *restrict x, {real} *restrict y)"
        lines.append(f"{head};\n{head}\n{{\n    for (size_t i = 0; i < n; ++i) {{ y[i] = net_{name}(x[i]); }}\n}}\n")
    for i, product in enumerate(PRODUCTS):
        asked = values | product.values(f"net_product_{i}")
        lines.append(template("matmul_dot" if product.form == "dot" else "matmul", asked))
        depth = f"{product.depth}, " if product.open_depth else ""
        call = f"net_product_{i}(rows, {depth}a, b, c);"
        if product.form == "packed":
            lines.append(template("pack", asked | {"name": f"net_pack_{i}"}))
            call = (f"static {real} packed[{product.depth * (product.columns + 31)}];\n    net_pack_{i}(b, packed);\n"
                    f"    {call.replace(' b,', ' packed,')}")
        head = f"void product_{i}(size_t rows, const {real} *a, const {real} *b, {real} *c)"
        lines.append(f"{head};\n{head}\n{{\n    {call}\n}}\n")
    return "\n".join(lines)


def compiled(folder: Path, text: str, *options: str) -> Path:
    """Compile a source, without a warning."""
    (folder / "kernels.c").write_text(text)
    target = folder / "kernels.out"
    command = [str(COMPILER), *STRICT, *options, "-o", str(target), str(folder / "kernels.c"), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return target


OPTIONS = {
    "plain": ["-O3", "-march=native"],
    "vector": ["-O2", "-march=native", "-DNET_USE_VECTOR"],
    "narrow": ["-O2", "-march=native", *(["-mno-avx512f"] if platform.machine() == "x86_64" else [])],
    "portable": ["-O1", "-ffp-contract=off"],
}


BUILDS = [(real, kind) for real in REALS for kind in OPTIONS if (real, kind) != ("double", "narrow")]


@pytest.fixture(scope="module", params=BUILDS, ids="-".join)
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[ctypes.CDLL, Any]:
    """All kernels as a shared library, and the type of their numbers."""
    real, kind = request.param
    target = compiled(tmp_path_factory.mktemp("kernels"), source(real), *OPTIONS[kind], "-fPIC", "-shared")
    return ctypes.CDLL(str(target)), np.float32 if real == "float" else np.float64


def pointer(array: np.ndarray[Any, Any]) -> ctypes.c_void_p:
    """Return the address of an array."""
    return ctypes.c_void_p(array.ctypes.data)


def test_products_are_exact_on_small_integers(library: tuple[ctypes.CDLL, Any]) -> None:
    kernels, dtype = library
    rng = np.random.default_rng(2)
    for i, product in enumerate(PRODUCTS):
        a = rng.integers(-8, 9, (product.rows, product.depth)).astype(dtype)
        b = rng.integers(-8, 9, (product.depth, product.columns)).astype(dtype)
        stored_a = np.ascontiguousarray(a.T if product.a_transposed else a)
        stored_b = np.ascontiguousarray(b.T if product.b_transposed else b)
        for rows in product.counts():
            before = rng.integers(-8, 9, (product.rows + 1, product.columns + product.spare)).astype(dtype)
            c = before.copy()
            kernels[f"product_{i}"](ctypes.c_size_t(rows), pointer(stored_a), pointer(stored_b), pointer(c))
            wanted = before.copy()
            wanted[:rows, : product.columns] *= product.accumulate
            wanted[:rows, : product.columns] += a[:rows] @ b
            assert np.array_equal(c, wanted), (product, rows)


def exact(name: str, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return a function in longer arithmetic."""
    long = x.astype(np.longdouble)
    small = np.exp(-np.abs(long))
    functions: dict[str, Callable[[], np.ndarray[Any, Any]]] = {
        "exp": lambda: np.exp(long),
        "tanh": lambda: np.tanh(long),
        "sigmoid": lambda: np.where(long < 0, small, 1) / (1 + small),
        "log": lambda: np.log(long),
        "softplus": lambda: np.maximum(long, 0) + np.log1p(small),
    }
    if name == "erf":
        with mpmath.workdps(25):
            return np.array([np.longdouble(mpmath.nstr(mpmath.erf(float(value)), 22)) for value in x])
    return functions[name]()


def arguments(name: str, dtype: Any) -> np.ndarray[Any, Any]:
    """Numbers of every size at which a function is not constant."""
    rng = np.random.default_rng(3)
    info = np.finfo(dtype)
    if name == "erf":
        return np.concatenate([rng.uniform(-7, 7, 1500), rng.uniform(-1.1, 1.1, 1500), [1e-30, -1e-5]]).astype(dtype)
    if name == "log":
        powers = np.exp2(rng.uniform(info.minexp - 10, info.maxexp - 0.01, 50000))
        return np.concatenate([powers, rng.uniform(0.5, 2, 50000), 1 + rng.normal(size=9000) * 1e-4]).astype(dtype)
    widths = [float(np.log(info.max)), 30.0, 5.0, 1.0, 0.1, 1e-4]
    return np.concatenate([rng.uniform(-width, width, 20000) for width in widths]).astype(dtype)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_keep_their_bounds(library: tuple[ctypes.CDLL, Any], name: str) -> None:
    kernels, dtype = library
    x = arguments(name, dtype)
    y = np.empty_like(x)
    kernels[f"{name}_door"](ctypes.c_size_t(x.size), pointer(x), pointer(y))
    wanted = exact(name, x)
    unit = np.spacing(np.abs(wanted).astype(dtype)).astype(np.longdouble)
    error = np.abs(y.astype(np.longdouble) - wanted) / unit
    assert np.max(error) <= BOUNDS[name][dtype == np.float64], x[np.argmax(error)]
    assert np.max(error) > 0.4, "a rounded result is not exact: nothing was compared"


SPECIAL: dict[str, list[float | None]] = {
    "exp": [np.inf, 0, np.nan, 1, 1, np.inf, 0],
    "tanh": [1, -1, np.nan, 0, -0.0, 1, -1],
    "sigmoid": [1, 0, np.nan, 0.5, 0.5, 1, 0],
    "log": [np.inf, np.nan, np.nan, -np.inf, -np.inf, None, np.nan],
    "softplus": [np.inf, 0, np.nan, None, None, 1e30, 0],
    "erf": [1, -1, np.nan, 0, -0.0, 1, -1],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_at_the_ends(library: tuple[ctypes.CDLL, Any], name: str) -> None:
    kernels, dtype = library
    x = np.array([np.inf, -np.inf, np.nan, 0, -0.0, 1e30, -1e30], dtype)
    y = np.empty_like(x)
    kernels[f"{name}_door"](ctypes.c_size_t(x.size), pointer(x), pointer(y))
    for value, wanted in zip(y, SPECIAL[name], strict=True):
        if wanted is not None:
            assert np.array_equal(value, dtype(wanted), equal_nan=True), (name, x, y)
            assert np.isnan(wanted) or np.signbit(value) == np.signbit(wanted), (name, x, y)


def test_small_arguments_lose_nothing(library: tuple[ctypes.CDLL, Any]) -> None:
    kernels, dtype = library
    x = np.array([1e-30, -1e-20, 1e-10, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).tiny], dtype)
    y = np.empty_like(x)
    kernels["tanh_door"](ctypes.c_size_t(x.size), pointer(x), pointer(y))
    assert np.array_equal(x, y)
    kernels["log_door"](ctypes.c_size_t(1), pointer(x[3:]), pointer(y))
    assert np.isclose(y[0], np.log(np.longdouble(x[3])), rtol=1e-6)


def test_nothing_outside_of_the_matrices_is_touched(tmp_path: Path) -> None:
    """Matrices that end where their memory ends, under the sanitizers."""
    lines = [source("float"), "#include <stdlib.h>\nint main(void)\n{"]
    for i, product in enumerate(PRODUCTS):
        depth, width = product.depth, product.columns + product.spare
        for rows in (1, 3, 13, product.rows):
            # A is narrower in memory where fewer of its rows are used: only then is a read beyond them seen.
            size_a = (depth - 1) * product.rows + rows if product.a_transposed else rows * depth
            size_c = (rows - 1) * width + product.columns
            lines.append(
                f"    {{ float *a = calloc({size_a}, 4), *b = calloc({depth * product.columns}, 4), "
                f"*c = calloc({size_c}, 4);\n    product_{i}({rows}, a, b, c); free(a); free(b); free(c); }}"
            )
    for name in FUNCTIONS:
        values = "0, -0.0f, 1e38f, -1e38f, HUGE_VALF, -HUGE_VALF, NAN, 1e-40f, 88.8f, -103.9f, 3"
        lines.append(f"    {{ const float x[] = {{{values}}}; float y[11]; {name}_door(11, x, y); }}")
    lines.append("    return 0;\n}\n")
    options = ["-g", "-O1", "-march=native", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    target = compiled(tmp_path, "\n".join(lines), *options, "-DNET_USE_VECTOR")
    done = subprocess.run([str(target)], capture_output=True, text=True, env={"ASAN_OPTIONS": "detect_leaks=0"})
    assert done.returncode == 0, done.stderr


def test_a_machine_without_vectors_compiles_them(tmp_path: Path) -> None:
    compiler = shutil.which("arm-none-eabi-gcc")
    if compiler is None:
        pytest.skip("there is no compiler for Cortex-M")
    (tmp_path / "kernels.c").write_text(source("float"))
    machine = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-O2", "-Wdouble-promotion"]
    command = [compiler, *STRICT, *machine, "-c", str(tmp_path / "kernels.c"), "-o", str(tmp_path / "kernels.o")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_names_are_short_and_carry_the_prefix() -> None:
    long = replace(PRODUCTS[0], form="tiled", columns=10)
    values = common("float") | {"p": "p" * 11} | long.values("p" * 11 + "_x")
    text = template("prelude", values) + "".join(template(name, values) for name in (*PARTS, "matmul", "matmul_dot"))
    names = {word for line in text.splitlines() if "define" in line or "static" in line
             for word in line.replace("(", " ").replace("*", " ").split() if word.lower().startswith("p" * 11)}
    assert len(names) > 30
    assert max(map(len, names)) <= 31
    assert all(len(line) <= 140 for line in text.splitlines())
