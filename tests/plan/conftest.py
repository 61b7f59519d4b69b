"""Makes ``plan_cases``, random programs and the printers' expressions importable for the tests of plans."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).parent
SHARED = {
    "random_programs": HERE.parent / "verify" / "random_programs.py",
    "expressions": HERE.parent / "render" / "expressions.py",
    "plan_cases": HERE / "plan_cases.py",
}

for _name, _path in SHARED.items():
    if _name not in sys.modules:
        _spec = importlib.util.spec_from_file_location(_name, _path)
        assert _spec is not None
        assert _spec.loader is not None
        sys.modules[_name] = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules[_name])
