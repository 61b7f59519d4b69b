"""Right homework of every shape is called right, and runs as Python runs it."""

from __future__ import annotations

import copy
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from homework_files import FILES, every_pair, text_of

from symbp.verify.check.verdict import GOOD
from symbp.verify.student.binding.functions import tasks
from symbp.verify.student.binding.search import bind
from symbp.verify.student.judging.judge import judge
from symbp.verify.student.language.reading import read_text


def test_there_are_at_least_twenty_shapes() -> None:
    assert len(FILES) >= 20
    assert all(text_of(f, "first") != text_of(f, "second") for f in FILES)


@every_pair
def test_right_homework_is_right(file: Path, convention: str) -> None:
    reading = read_text(text_of(file, convention), file.name)
    found = tasks(reading.module)
    assert found
    for task in found:
        judgement = judge(bind(reading, task))
        assert judgement.verdict in GOOD, judgement
        assert judgement.outputs
        assert judgement.worst < 1e-8


@pytest.mark.parametrize("file", [f for f in FILES if f.stem not in ("dropout", "conv_loops")], ids=lambda f: f.stem)
def test_the_interpreter_computes_what_python_computes(file: Path, tmp_path: Path) -> None:
    """The same lines of the plan, run by CPython in a module of their own, give the same loss and gradients."""
    text = text_of(file, "first")
    reading = read_text(text, file.name)
    bound = bind(reading, tasks(reading.module)[0])
    plan, case = bound.session.plan, bound.case(1)
    ran = bound.session.run(case)
    outputs = [p for p, _ in plan.outputs]
    body = [
        *(f"{name} = names[{name!r}]" for name in case.names), *plan.setup,
        *(f"{path} = sources[{path!r}].copy()" for path in case.sources),
        *plan.forward, f"loss_of_plan = {plan.loss}", *plan.backward,
        "return loss_of_plan, [" + ", ".join(outputs) + "]",
    ]
    module = tmp_path / "plan.py"
    module.write_text(text + "\n\ndef run_plan(names, sources):\n" + "".join(f"    {line}\n" for line in body))
    spec = importlib.util.spec_from_file_location(f"homework_{file.stem}", module)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    loss, found = loaded.run_plan(copy.deepcopy(dict(case.names)), dict(case.sources))
    assert float(np.squeeze(ran.loss)) == pytest.approx(float(np.squeeze(loss)), rel=1e-13)
    for path, value in zip(outputs, found, strict=True):
        if plan.rate:
            continue  # what is compared is the change
        np.testing.assert_allclose(ran.outputs[path], value, rtol=1e-11, atol=1e-13)
