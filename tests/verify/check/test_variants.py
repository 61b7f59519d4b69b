"""Right works in other forms are never called wrong."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from symbp.networks import names
from symbp.verify.check.spoiled import changes_a_gradient
from symbp.verify.check.variants import FORMS, Variant, disguised, line_variants, work_variants


Benches = Callable[[str], Any]


def variants(case: Any) -> list[Variant]:
    """Return one work of every form for a network."""
    rng = random.Random(0)
    whole = list(work_variants(case.lines, list(case.outputs), case.truth.draws[0].sizes, rng))
    forms: dict[str, list[Variant]] = defaultdict(list)
    for variant in [*whole, *line_variants(case.lines, case.known)]:
        forms[variant.form].append(variant)
    return [rng.choice(mine) for mine in forms.values()]


def accused(case: Any) -> list[str]:
    said = [(v, case.judged(v.text)) for v in variants(case)]
    return [f"{v.form}: {j.verdict}\n{v.text}" for v, j in said if not j.verdict.startswith("right") or not j.good]


@pytest.mark.parametrize("name", ["mlp", "batch_norm", "rnn"])
def test_right_work_is_never_called_wrong(name: str, bench: Benches) -> None:
    assert not accused(bench(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in names() if n not in ("decoder", "transformer")])
def test_right_work_of_every_network_is_never_called_wrong(name: str, bench: Benches) -> None:
    assert not accused(bench(name))


def test_every_form_is_used(bench: Benches) -> None:
    case = bench("mlp")
    assert {v.form for v in line_variants(case.lines, case.known)} >= set(FORMS) - {"other brackets"}


def test_forms_keep_every_gradient(bench: Benches) -> None:
    case = bench("mlp")
    for variant in list(line_variants(case.lines, case.known))[::4]:
        assert changes_a_gradient(variant.text, case.model, case.truth, case.outputs) is False, variant.text


def test_a_disguised_work_has_no_name_that_says_anything(bench: Benches) -> None:
    case = bench("mlp")
    lines = disguised(case.lines, list(case.outputs), random.Random(0))
    assert len(lines) < len(case.lines)
    assert {line.target for line in lines if line.target not in case.outputs} <= {"step_1", "q2"}
