"""Generated C is built and run: strict flags, both compilers, all levels of optimisation, sanitizers, C++, CMake.

A compiler that is missing is skipped, with a word; the variable SYMBP_TOOLS names those that must be there.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symbp.calculus import derive
from symbp.calculus.passes import passes
from symbp.networks import names, network
from symbp.pipeline import program_of
from symbp.render.c import write
from symbp.verify.draws import draw
from symbp.verify.evaluate import evaluate
from symbp.verify.reference import reference_of


def _shared() -> Any:
    # Tests are no package here: the file beside this one is imported by its place.
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

FEW = (Case("mlp", "float32"), Case("rnn"), Case("xor", "float32", clip=True))
VARIANTS = (
    Case("iris", "float64", "momentum", "block"), Case("rnn", "float32", "momentum", "block", clip=True),
    Case("mlp", "float64", clip=True), Case("iris", "float32", "adam"),
    Case("dropout", "float32", "momentum"), Case("rnn", "float64", "adam", "block"),
    Case("mlp", "float64", largest=(("m", 7),)), Case("xor", "float32", largest=(("m", 6),)),
    Case("rnn", "float32", largest=(("m", 5),)), Case("digits", "float32", sizes=(("m", 32),)),
    Case("mlp", "float32", sizes=(("m", 1),)), Case("rnn", "float64", sizes=(("T", 1),)),
)
ALL = (
    *(Case(name, ("float64", "float32")[k % 2]) for k, name in enumerate(names())), *VARIANTS,
)
"""Every bundled network, the types in turn, and the variants of memory, optimizer and run-time sizes."""

PLAIN = "-ffp-contract=off"
LEVELS = {"gcc": ("-O0", "-O2", "-O3"), "clang": ("-O0", "-O3")}
WITHIN = 4
"""How far results may be apart from build to build, in units in the last place of the largest entry."""


# ---------------------------------------------------------------------------------------------------------
# Compiled and run


@pytest.mark.parametrize("compiler", b.COMPILERS)
@pytest.mark.parametrize("case", FEW, ids=str)
def test_a_module_is_clean_and_right(case: Any, compiler: str, tmp_path: Path) -> None:
    place = b.placed(case, tmp_path)
    b.run([b.tool(compiler), *b.STRICT, "-c", place / f"{case.name}_example.c", "-o", place / "example.o"])
    said = b.run([b.built(place, case, compiler, "-O2")])
    assert said.rstrip().endswith("all checks hold")


@pytest.mark.slow
@pytest.mark.parametrize("case", [*ALL[: len(names()) : 2], *VARIANTS], ids=str)
def test_builds_agree(case: Any, tmp_path: Path) -> None:
    place = b.placed(case, tmp_path)
    first = None
    for compiler in [c for c in b.COMPILERS if b.tool(c)]:
        b.run([b.tool(compiler), *b.STRICT, "-O2", "-c", place / f"{case.name}_example.c", "-o", place / "example.o"])
        for level in LEVELS[compiler]:
            program = b.built(place, case, compiler, level, PLAIN)
            b.run([program])
            found = b.results(program)
            first = first or found
            assert found.apart(first, case.dtype) <= WITHIN, (compiler, level)
        # What contraction of products and sums changes is rounding.
        b.run([b.built(place, case, compiler, "-O3", "-march=native")])
        b.run([b.built(place, case, compiler, "-O3", "-march=native", f"-D{case.name.upper()}_USE_VECTOR")])


# The compilers take turns: what a sanitizer of one does not see in a module, that of the other sees in the next.
SANITIZED = [
    *((FEW[0], compiler) for compiler in b.COMPILERS),
    *(pytest.param(c, b.COMPILERS[k % 2], marks=pytest.mark.slow) for k, c in enumerate(ALL)),
]


@pytest.mark.parametrize(("case", "compiler"), SANITIZED, ids=str)
def test_sanitizers_find_nothing(case: Any, compiler: str, tmp_path: Path) -> None:
    place = b.placed(case, tmp_path)
    probe = place / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    if "cannot find" in b.run([b.tool(compiler), *b.SANITIZERS, probe, "-o", place / "probe"], status=None):
        if compiler in b.os.environ.get("SYMBP_TOOLS", "").split():
            pytest.fail(f"{compiler} has no sanitizers")
        pytest.skip(f"{compiler} has no sanitizers")
    program = b.built(place, case, compiler, *b.SANITIZERS)
    b.run([program])
    b.run([program, "all"])


def test_a_wrong_module_is_found_out(tmp_path: Path) -> None:
    """The self-check can fail: each change of the source below makes it say where."""
    case, compiler = FEW[0], next(c for c in b.COMPILERS if b.shutil.which(c) or b.tool(c))
    place = b.placed(case, tmp_path)
    source = place / f"{case.name}.c"
    right = source.read_text()
    wrong = {
        "gradient": (r"(loss_and_gradients.*?)0\.25f \* \(Z2", r"\1 0.2501f * (Z2"),
        "after two steps": (r"- rate \* W2_bar", "- 1.001f * rate * W2_bar"),
        "prediction": (r"(_predict\(.*)\+ b2\[i\]", r"\1+ 1.001f * b2[i]"),
        "backward": (r"(_backward\(.*?)0\.25f \* \(Z2", r"\1 0.2501f * (Z2"),
    }
    for said, (old, new) in wrong.items():
        changed, count = re.subn(old, new, right, count=1, flags=re.DOTALL)
        assert count == 1, said
        source.write_text(changed)
        text = b.run([b.built(place, case, compiler, "-O1")], status=1)
        assert re.search(rf"^FAIL +{said}", text, re.MULTILINE), text
    assert "at row" in text or "checks FAILED" in text


FACTS = """
X: input[n, m]
S: input[n, n] & symmetric
G: input[n, m] & signs
C: input[n, m] & columns_sum_to_one
R: input[m, n] & rows_sum_to_one
H: input[m, n] & one_hot_rows
O: input[n, m] & one_hot_columns
B: input[n, m] & binary
lam: input & positive
P: param[n, n] & symmetric
W: param[n, n]
loss = sum((W @ X * G + P @ C + S @ R.T * B + H.T * O)**2) / m + lam * sum(W**2)
"""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_generator_keeps_facts(dtype: str, tmp_path: Path) -> None:
    """The generator in C and the one that made the reference numbers agree on every kind of matrix."""
    derivation = derive(program_of(FACTS))
    files = write(
        passes(derivation), name="facts", sizes={"n": 7, "m": 5}, dtype=dtype, reference=reference_of
    )
    test = files["facts_test.c"]
    for kind in ("numbers", "symmetric", "signs", "columns_sum_to_one", "rows_sum_to_one", "one_hot_rows", "bits"):
        assert f"static void {kind}(" in test
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    compiler = b.tool("gcc") if b.shutil.which("gcc") else b.tool("clang")
    sources = [tmp_path / "facts.c", tmp_path / "facts_test.c"]
    b.run([compiler, *b.STRICT, "-O1", *sources, "-lm", "-o", tmp_path / "test"])
    assert b.run([tmp_path / "test"]).rstrip().endswith("all checks hold")


# ---------------------------------------------------------------------------------------------------------
# What the text must not have


def code(text: str) -> str:
    """Return a C text without comments and literals."""
    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'', " ", text, flags=re.DOTALL)


def functions(text: str) -> dict[str, set[str]]:
    """Return for each function of a C text the names that are followed by a parenthesis in its body."""
    found: dict[str, set[str]] = {}
    head = r"^(?:__attribute__\(\(\w+\)\) )?\w[\w *]*?\b(\w+)\([^;{}]*\)\s*\n\{\n(.*?)^\}"
    for name, body in re.findall(head, text, re.MULTILINE | re.DOTALL):
        found[name] = set(re.findall(r"\b([A-Za-z_]\w*)\s*\(", body))
    return found


def circle(calls: dict[str, set[str]]) -> list[str]:
    """Return a way from a function back to itself, or nothing."""
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done or name not in calls:
            return []
        for other in sorted(calls[name]):
            found = visit(other, [*way, name])
            if found:
                return found
        done.add(name)
        return []

    return next((way for way in (visit(name, []) for name in calls) if way), [])


def test_the_search_for_recursion_finds_some() -> None:
    bodies = {"a": "return b(x);", "b": "return x > 0 ? c(x) : 0;", "c": "return a(x - 1);"}
    text = "\n".join(f"static int {name}(int x)\n{{\n    {body}\n}}\n" for name, body in bodies.items())
    assert circle(functions(text)) == ["a", "b", "c", "a"]
    assert not circle(functions(text.replace("return a(x - 1)", "return x")))


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("case", [*FEW, *(pytest.param(c, marks=pytest.mark.slow) for c in ALL)], ids=str)
def test_each_source_is_clean_by_itself(case: Any, compiler: str, tmp_path: Path) -> None:
    """Of what is included compilers do not say everything: the self-check and the example are compiled alone."""
    place, name = b.placed(case, tmp_path), case.name
    for source in (f"{name}.c", f"{name}_test.c", f"{name}_example.c"):
        b.run([b.tool(compiler), *b.STRICT, "-fsyntax-only", place / source])


@pytest.mark.parametrize("case", [*FEW, *(pytest.param(c, marks=pytest.mark.slow) for c in ALL)], ids=str)
def test_the_text_is_fit_for_small_machines(case: Any) -> None:
    files = b.generated(case)
    for name in (f"{case.name}.h", f"{case.name}.c"):
        text = code(files[name])
        assert not re.search(r"\b(malloc|calloc|realloc|free|alloca|goto|setjmp|longjmp|printf|abort|exit)\b", text)
    calls = functions(code(files[f"{case.name}.c"]))
    assert f"{case.name}_train_step" in calls and f"{case.name}_turn" in calls
    assert circle(calls) == []
    for name, text in files.items():
        if name.endswith((".c", ".h")):
            names_ = set(re.findall(r"\b[A-Za-z_]\w*", code(text)))
            assert [n for n in names_ if len(n) > 31] == [], name
    exported = set(re.findall(r"^(?!static)\w[\w *]*?\b(\w+)\(", code(files[f"{case.name}.c"]), re.MULTILINE))
    assert exported and all(n.startswith(f"{case.name}_") for n in exported - {"__attribute__"})
    assert len(files[f"{case.name}_test.c"]) < 24_000


# ---------------------------------------------------------------------------------------------------------
# Around the module


@pytest.mark.parametrize("case", [
    FEW[0], *(pytest.param(c, marks=pytest.mark.slow) for c in (*FEW[1:], *VARIANTS))
], ids=str)
def test_the_header_serves_cxx(case: Any, tmp_path: Path) -> None:
    place = b.placed(case, tmp_path)
    p = case.name
    (place / "use.cpp").write_text(
        f'#include "{p}.h"\n#include <vector>\n\nint main()\n{{\n    static {p}_params params;\n'
        f"    std::vector<{'float' if case.dtype == 'float32' else 'double'}> flat({p.upper()}_PARAMETERS);\n"
        f"    {p}_init(&params, 3u);\n    {p}_params_to_flat(&params, flat.data());\n"
        f"    return flat[0] != 0 && sizeof params == {p.upper()}_PARAM_BYTES ? 0 : 1;\n}}\n"
    )
    b.run([b.tool("gcc"), *b.STRICT, "-c", place / f"{p}.c", "-o", place / "module.o"])
    flags = ["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    b.run([b.tool("g++"), *flags, place / "use.cpp", place / "module.o", "-lm", "-o", place / "use"])
    b.run([place / "use"])


@pytest.mark.parametrize("options", [(), *(
    pytest.param(o, marks=pytest.mark.slow) for o in (
        ("-DBUILD_SHARED_LIBS=ON",), ("-DMLP_USE_OPENMP=ON",), ("-DMLP_USE_CBLAS=ON", "-DBUILD_SHARED_LIBS=ON"),
        ("-DMLP_USE_VECTOR=ON", "-DCMAKE_C_FLAGS=-march=native"), ("-DMLP_USE_CBLAS=ON", "-DMLP_USE_OPENMP=ON"),
    )
)], ids=lambda o: "-".join(x.removeprefix("-D").partition("=")[0] for x in o) or "plain")
def test_cmake_builds_tests_and_installs(options: tuple[str, ...], tmp_path: Path) -> None:
    case = Case("mlp", "float64", sizes=(("n0", 24), ("n1", 40), ("m", 48)))
    place, cmake = b.placed(case, tmp_path), b.tool("cmake")
    build, root = place / "build", tmp_path / "root"
    text = b.run([cmake, "-S", place, "-B", build, *options, f"-DCMAKE_INSTALL_PREFIX={root}"], status=None)
    if "no CBLAS was found" in text and "cblas" not in b.os.environ.get("SYMBP_TOOLS", ""):
        pytest.skip("there is no CBLAS")
    b.run([cmake, "--build", build])
    assert "100% tests passed, 0 tests failed out of 1" in b.run([b.tool("ctest"), "--test-dir", build])
    b.run([cmake, "--install", build])
    assert (root / "include" / "mlp.h").exists()
    found = next(root.rglob("mlp.pc"))
    assert f"prefix={root}\n" in found.read_text()
    # A program finds the installation by pkg-config.
    (tmp_path / "use.c").write_text(
        '#include <mlp.h>\nint main(void)\n{\n    static mlp_params params;\n    mlp_init(&params, 1u);\n'
        "    return params.W1[0] != 0 ? 0 : 1;\n}\n"
    )
    config = [b.tool("pkg-config"), f"--with-path={found.parent}", "--cflags", "--libs", "--static", "mlp"]
    flags = b.run(config).split()
    b.run([b.tool("cc"), tmp_path / "use.c", *flags, f"-Wl,-rpath,{found.parents[1]}", "-o", tmp_path / "use"])
    b.run([tmp_path / "use"])


def test_names_of_complex_numbers_are_free_beside_cblas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenBLAS includes <complex.h>, where ``I`` is the imaginary unit; an LSTM's input gate is called so too."""
    monkeypatch.setattr("symbp.render.c.statements.LIBRARY", 1)  # else only large networks call it
    case = Case("lstm", "float64", sizes=(("n", 19), ("h", 29), ("m", 23)))
    place = b.placed(case, tmp_path)
    (place / "there.c").write_text("#include <cblas.h>\n")
    missing = b.run([b.tool("gcc"), "-fsyntax-only", place / "there.c"], status=None)
    if missing and "cblas" not in b.os.environ.get("SYMBP_TOOLS", ""):
        pytest.skip("there is no CBLAS")
    assert "#include <cblas.h>" in (place / "lstm.c").read_text()
    b.run([b.tool("gcc"), "-std=c99", "-DLSTM_USE_CBLAS", "-c", place / "lstm.c", "-o", place / "module.o"])


# ---------------------------------------------------------------------------------------------------------
# The example

XOR = "x1;x2;y\n# the four cases\n0, 0, 0\n\n0, 1, 1\r\n1 0 1\n1,1,0\n"


def test_the_example_takes_families_and_what_is_left(tmp_path: Path) -> None:
    """Five sequences in steps of three: the parameters after two epochs are those of the evaluator."""
    case = Case("rnn", "float64", memory="block", largest=(("m", 3),))
    place = b.placed(case, tmp_path)
    compiler = b.tool("gcc") if b.shutil.which("gcc") else b.tool("clang")
    b.run([compiler, *b.STRICT, "-O1", place / "rnn.c", place / "rnn_example.c", "-lm", "-o", place / "example"])
    derivation = derive(program_of(network("rnn").text))
    program, sizes = derivation.program, {**{n: b.SIZES[n] for n in "hnpT"}, "m": 5}
    values = draw(derivation.source, sizes, np.random.default_rng(4))
    steps = range(1, sizes["T"] + 1)
    lines = [
        [*values["H"][0,][:, k], *(x for t in steps for x in values["X"][t,][:, k]),
         *(y for t in steps for y in values["Y"][t,][:, k])] for k in range(5)
    ]
    np.savetxt(place / "data.csv", lines, fmt="%.17g", delimiter=";")
    params = [v.name for v in program.declared("param")]
    np.concatenate([values[n].ravel() for n in params]).tofile(place / "start.bin")
    losses = []
    for _ in range(2):
        for part in (slice(0, 3), slice(3, 5)):
            batch = {n: {k: a[:, part] for k, a in values[n].items()} for n in "HXY"}
            known = {**values, **batch}
            truth = evaluate(program, known, {**sizes, "m": part.stop - part.start})
            losses.append(float(truth["loss"][0, 0]))
            values |= {n: values[n] - 0.05 * truth[derivation.gradients[n]] for n in params}
    text = b.run([place / "example", "data.csv", "2", "0.05", "start.bin", "end.bin"], place)
    found = [float(x) for x in re.findall(r"^epoch .* loss (\S+)$", text, re.MULTILINE)]
    assert found == pytest.approx([np.mean(losses[:2]), np.mean(losses[2:])], rel=1e-9)
    wanted = np.concatenate([values[n].ravel() for n in params])
    assert np.fromfile(place / "end.bin") == pytest.approx(wanted, rel=1e-12, abs=1e-12)


@pytest.fixture(scope="module")
def xor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built example of xor."""
    place = b.placed(Case("xor"), tmp_path_factory.mktemp("example"))
    compiler = b.tool("gcc") if b.shutil.which("gcc") else b.tool("clang")
    b.run([compiler, *b.STRICT, "-O1", place / "xor.c", place / "xor_example.c", "-lm", "-o", place / "example"])
    return place


def test_the_example_learns(xor: Path, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(XOR)
    text = b.run([xor / "example", "data.csv", "2000", "1", "-", "end.bin"], tmp_path)
    assert "right          4 of 4, 100.00 %" in text
    assert (tmp_path / "end.bin").stat().st_size == 17 * 8
    # What was learned is read again: no epoch, and nothing is lost.
    again = b.run([xor / "example", "data.csv", "0", "1", "end.bin"], tmp_path)
    assert again == "".join(text.splitlines(keepends=True)[-2:])


@pytest.mark.parametrize(("table", "status", "said"), [
    ("0,0\n", 1, "line 1: 2 numbers, not 3"), ("0,0,0\n0,1,x\n", 1, "line 2: what follows number 2 is no number"),
    ("0,0,0\n0,1,1\n", 1, "fewer lines than the 4 of a step"), ("0,0,0\n0,1,1,1\n", 1, "line 2: 4 numbers, not 3"),
    ("", 1, "fewer lines"), (None, 2, "cannot be read"),
])
def test_the_example_says_what_is_wrong_with_a_table(
    xor: Path, tmp_path: Path, table: str | None, status: int, said: str
) -> None:
    if table is not None:
        (tmp_path / "data.csv").write_text(table)
    assert said in b.run([xor / "example", "data.csv", "1"], tmp_path, status=status)


def test_the_example_refuses_other_files_of_parameters(xor: Path, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(XOR)
    for size in (0, 17 * 8 - 1, 17 * 8 + 1):
        (tmp_path / "start.bin").write_bytes(bytes(size))
        said = b.run([xor / "example", "data.csv", "1", "1", "start.bin"], tmp_path, status=1)
        assert "start.bin: not 17 numbers" in said
    assert "usage" in b.run([xor / "example"], status=2)
