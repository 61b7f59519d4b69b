"""Witness 8 for the judge of student code: planted mistakes must be called wrong, at their line."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

CAMPAIGN = Path(__file__).parents[3] / "benchmarks" / "check_code.py"


@pytest.fixture(scope="module")
def campaign() -> Any:
    spec = importlib.util.spec_from_file_location("check_code", CAMPAIGN)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_code"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tuple_cache", "dict_params", "softmax_rows", "class_model"])
@pytest.mark.parametrize("convention", ["first", "second"])
def test_planted_faults_are_found(campaign: Any, name: str, convention: str) -> None:
    planted = campaign.chosen(campaign.HOMEWORK / f"{name}.py", convention, 12, 1)
    assert len(planted) >= 10
    results = [campaign.judged(p) for p in planted]
    assert all(r.verdict in ("wrong", "right up to a constant") for r in results), results
    assert sum(r.is_named for r in results) >= 0.9 * len(results), [r for r in results if not r.is_named]
