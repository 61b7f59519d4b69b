"""The demo, and that what it generates trains."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symbp import demo, showroom
from symbp.cli import main
from symbp.render.files import compare_files
from symbp.verify.compiled import compiler

ROOT = Path(__file__).resolve().parents[1]


def test_the_demo_from_declaration_to_accuracy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "-o", str(tmp_path / "out"), "--seed", "1"])
    shown = capsys.readouterr().out
    assert ended.value.code in (0, None), shown
    written = {p.name for p in (tmp_path / "out").iterdir()}
    kept = {f"{name}{end}" for name in ("iris", "digits") for end in (".net", ".tex", ".py", "_cost.txt")}
    assert written == {*kept, "c"}
    assert {"iris.c", "iris.h", "CMakeLists.txt"} <= {p.name for p in (tmp_path / "out" / "c").iterdir()}
    for part in ("(P - Y)/m", "proved for all sizes", "mean loss of an epoch", "Written, and yours:", "Next:"):
        assert part in shown
    accuracies = [float(line.split()[2]) for line in shown.splitlines() if " accuracy" in line]
    assert len(accuracies) == 3
    assert accuracies[0] >= 0.97, "iris"
    assert accuracies[2] >= 0.95, "digits that it has not seen"
    if compiler() is None:
        assert "there is no C compiler" in shown
    else:
        (line,) = [line for line in shown.splitlines() if "accuracy in C" in line]
        assert float(line.split()[3]) == accuracies[0]
        assert float(line.split()[-1]) < 1e-9, "both took the same course"
    assert len(shown[shown.index("Next:") :].strip().splitlines()) == 4


def test_the_demo_without_a_compiler_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "compiler", lambda: None)
    (course,) = [course for course in demo.COURSES if course.in_c]
    derivation = demo.pipeline.derive(demo.network(course.name).text)
    result = demo.train_in_c(course, derivation, None, demo.data(course.name), tmp_path / "c", 0, "")
    assert result.params is None
    lines, agrees = demo._told(result, None, None, demo.data(course.name))
    assert agrees
    assert "no C compiler" in lines[0]
    assert (tmp_path / "c" / "iris.c").exists()


def test_the_split_is_stratified_and_depends_on_the_seed() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    first = demo.stratified(labels, 41, np.random.default_rng(0))
    assert len(set(first)) == 41
    assert sorted(np.bincount(labels[first])) == [8, 12, 21]
    assert not np.array_equal(first, demo.stratified(labels, 41, np.random.default_rng(1)))
    assert np.array_equal(first, demo.stratified(labels, 41, np.random.default_rng(0)))


def test_digits_are_split_without_overlap() -> None:
    samples = demo.data("digits", seed=3)
    assert samples.X.shape == (64, 1500)
    assert samples.X_test.shape == (64, 297)
    assert np.all(samples.Y.sum(axis=0) == 1)
    assert (samples.X.min(), samples.X.max()) == (0, 1)


def test_the_curve_falls_from_left_to_right() -> None:
    lines = demo.curve([2.0 * 0.9**k for k in range(120)], width=40, height=5)
    assert len(lines) == 6
    assert "2.0" in lines[0] or "1.8" in lines[0]
    heights = [sum(line.ljust(60)[11 + k] != " " for line in lines[:5]) for k in range(40)]
    assert heights[0] == 5
    assert heights == sorted(heights, reverse=True)


@pytest.mark.parametrize("exhibit", showroom.EXHIBITS, ids=lambda e: e.name)
def test_the_showroom_is_current(exhibit: showroom.Exhibit) -> None:
    """If this fails after a change that is meant: python -m symbp.showroom, and look at the difference."""
    assert not compare_files(ROOT / "generated", showroom.files(exhibit))


def test_the_showroom_check_sees_a_stale_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(showroom, "EXHIBITS", showroom.EXHIBITS[:2])
    assert showroom.main([str(tmp_path)]) == 0
    assert showroom.main([str(tmp_path), "--check"]) == 0
    (tmp_path / "xor/numpy/xor.py").write_text("# stale\n")
    assert showroom.main([str(tmp_path), "--check"]) == 1
    assert "xor/numpy/xor.py" in capsys.readouterr().err


def benchmark(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"), [("training", ["--check"]), ("derive_scaling", ["--layers", "10", "100"])]
)
def test_the_figures_hold(name: str, options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, *options])
    assert benchmark(name).main() == 0
