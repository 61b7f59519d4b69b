"""Mutation testing: each change changes one thing, marks change nothing, and a sample outlives an edit elsewhere."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"

SOURCE = '''"""A module."""

from __future__ import annotations

FACTOR = 3


def scaled(x: int, half: bool = False) -> int | None:
    """Return a multiple."""
    if x < 0 or not half:
        return x * FACTOR
    while x % 2 == 0:
        x = x // 2
    return -x
'''


@pytest.fixture(scope="module")
def benchmark_modules() -> dict[str, ModuleType]:
    """The modules of the benchmark."""
    for name in ("mutations", "mutant_runs"):
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
    return {name: sys.modules[name] for name in ("mutations", "mutant_runs")}


def test_each_mutant_changes_one_line(benchmark_modules: dict[str, ModuleType]) -> None:
    """As many mutants as places, each valid and unlike the original in one line."""
    mutations = benchmark_modules["mutations"]
    before = ast.unparse(ast.parse(SOURCE)).split("\n")
    places = list(mutations.places(ast.parse(SOURCE)))
    kinds = {kind for _, _, (kind, _) in places}
    assert kinds == {"operator", "comparison", "condition", "constant", "returned value"}
    for k, (_, _, _) in enumerate(places):
        after = mutations.mutated(SOURCE, k).split("\n")
        assert len(after) == len(before)
        assert sum(a != b for a, b in zip(after, before, strict=True)) == 1


def test_a_sample_outlives_an_edit_elsewhere(
    benchmark_modules: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sample stays as it was, but for what the edited line holds and what is drawn in its place."""
    mutations = benchmark_modules["mutations"]
    monkeypatch.setattr(mutations, "ROOT", tmp_path)
    module = tmp_path / "module.py"
    lines = "\n".join(f"def f{k}(x):\n    return x + {k}\n" for k in range(40))
    module.write_text(lines)
    first = {m.key for m in mutations.sample({"room": ["module.py"]}, 30, 1)}
    module.write_text("Y = 2\n\n\n" + lines.replace("x + 7", "x + 70"))
    second = {m.key for m in mutations.sample({"room": ["module.py"]}, 30, 1)}
    assert len(first) == len(second)
    assert len(first & second) >= len(first) - 4
    assert second != {m.key for m in mutations.sample({"room": ["module.py"]}, 30, 2)}


def test_marks_tell_what_is_reached_and_change_nothing(benchmark_modules: dict[str, ModuleType]) -> None:
    """A marked module computes what it did, and marks the statements that run, by path and line."""
    marked = ast.parse(benchmark_modules["mutant_runs"].marked("module.py", SOURCE))
    assert ast.get_docstring(marked) == "A module."
    calls = [x for x in ast.walk(marked) if isinstance(x, ast.Call) and ast.unparse(x.func) == "__reached__"]
    statements = [x for x in ast.walk(ast.parse(SOURCE)) if isinstance(x, ast.stmt)]
    kept = [x for x in statements if not isinstance(x, ast.Expr | ast.ImportFrom)]
    assert sorted(ast.literal_eval(x.args[0]) for x in calls) == sorted(f"module.py:{x.lineno}" for x in kept)

    class Unmarked(ast.NodeTransformer):
        def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
            return None if node.value in calls else node

    assert ast.unparse(Unmarked().visit(marked)) == ast.unparse(ast.parse(SOURCE))
