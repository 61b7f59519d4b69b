"""Random programs as C modules against the evaluator: some plainly, many under sanitizers."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from symbp.verify import compiled as c

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(c.compiler() is None, reason="there is no C compiler")


@pytest.fixture(scope="module")
def random_c() -> ModuleType:
    spec = importlib.util.spec_from_file_location("random_c", ROOT / "benchmarks" / "random_c.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["random_c"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_random_programs(random_c: ModuleType) -> None:
    programs = random_c.batch(0, 6)
    found = list(random_c.outcomes(programs, 0))
    bad = [(random_c.text_of(programs[o.program]), o.failures) for o in found if o.failures]
    assert not bad
    assert sum(not o.refused for o in found) >= 10
    assert max(o.worst for o in found if o.dtype == "float64") < 1e-12


def test_the_same_seed_gives_the_same_programs(random_c: ModuleType) -> None:
    texts = [[random_c.text_of(p) for p in random_c.batch(3, 4, start)] for start in (5, 5, 6)]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.slow
def test_many_random_programs_under_sanitizers(random_c: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    if random_c.sanitizer() is None:
        pytest.skip("there is no sanitizer")
    results = [r for number in range(5) for r in random_c.examined(number, 2, True)]
    failed = random_c.report(results, 2)
    assert not failed, capsys.readouterr().out
    assert len(results) >= 80


@pytest.mark.slow
def test_sanitizers_stop_a_module_that_writes_behind_its_memory(random_c: ModuleType) -> None:
    """The harness must be able to fail: a wrong place in memory ends the process, and is told."""
    if random_c.sanitizer() is None:
        pytest.skip("there is no sanitizer")
    program = f"""
import re, sys
sys.path.insert(0, {str(ROOT / "benchmarks")!r})
import random_c
right = random_c.c.files
def short_of_memory(module):
    half = lambda found: found[1] + str(int(found[2]) // 2) + "]"
    return {{n: re.sub(r"(^static .*_memory\\[)(\\d+)\\]", half, t, flags=re.M) for n, t in right(module).items()}}
random_c.c.files = short_of_memory
random_c.work(0, 0, 1, True)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False,
        env={**os.environ, "LD_PRELOAD": random_c.sanitizer(), "ASAN_OPTIONS": "detect_leaks=0"},
    )
    assert done.returncode != 0
    assert "global-buffer-overflow" in done.stderr or "out of bounds" in done.stderr, done.stderr
