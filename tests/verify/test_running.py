"""Spoiled modules with running statistics are seen: by comparisons of NumPy, plans and C, and by C's own check."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from symbp.calculus import derive
from symbp.calculus.passes import passes
from symbp.language import read_text
from symbp.networks import network
from symbp.pipeline import generate
from symbp.plan.entries import entries, predictions
from symbp.program import Running
from symbp.verify import check_module, choose_sizes, draw, load_module
from symbp.verify.compiled import FLAGS, Case, Comparison, Variant, cases, compiled, compiler
from symbp.verify.plans import plan_error
from symbp.verify.running import follow, stored

DERIVATION = derive(read_text(network("batch_norm").text))
SIZES = choose_sizes(DERIVATION.source)[:1]


def outcomes(text: str, folder: Path) -> dict[str, str]:
    path = folder / "net.py"
    path.write_text(text)
    found = check_module(DERIVATION, load_module(path), np.random.default_rng(0), sizes=SIZES)
    return {f.witness.removeprefix("module "): f.outcome for f in found}


NUMPY = [
    ("0.9 * state.mu_run_N1 + 0.1 * cache.mu_N1", "0.1 * state.mu_run_N1 + 0.9 * cache.mu_N1", "state"),
    ("0.1 * cache.v_N1", "0.1 * cache.mu_N1", "state"),
    ("v_run_N1=0.9 * state.v_run_N1", "v_run_N1=0.9 * state.mu_run_N1", "state"),
    ("Xc_N1 = Z1 - mu_run_N1  ", "Xc_N1 = Z1 - Z1.mean(axis=1, keepdims=True)  ", "predict"),
    ("np.sqrt(v_run_N1 + 1 / 100000)", "np.sqrt(v_run_N1)", "predict"),
]


@pytest.mark.parametrize(("old", "new", "seen"), NUMPY, ids=range(len(NUMPY)))
def test_a_spoiled_module_is_seen(old: str, new: str, seen: str, tmp_path: Path) -> None:
    text = generate(DERIVATION, name="net")["net.py"]
    assert set(outcomes(text, tmp_path).values()) == {"holds"}
    assert text.count(old) == 1
    spoiled = outcomes(text.replace(old, new), tmp_path)
    assert spoiled[seen] == "fails"
    assert [k for k, v in spoiled.items() if v == "fails"] == [seen]


def test_a_family_of_states_follows_member_by_member() -> None:
    program, rng = DERIVATION.program, np.random.default_rng(0)
    states, statistics = (
        [{name: rng.normal(size=(3, 1)) for name in names} for _ in range(2)]
        for names in ([r.state for r in program.running], [r.statistic for r in program.running])
    )
    one_by_one = [follow(program, *pair) for pair in zip(states, statistics, strict=True)]
    families = ({name: {(t,): given[t][name] for t in range(2)} for name in given[0]} for given in (states, statistics))
    for name, members in follow(program, *families).items():
        assert all(np.array_equal(members[t,], one_by_one[t][name]) for t in range(2))
    for r in program.running:
        moved = one_by_one[0][r.state] - states[0][r.state]
        assert np.allclose(moved, float(r.momentum) * (statistics[0][r.statistic] - states[0][r.state]))


@pytest.mark.parametrize("spoil", ["momentum", "statistic", "nothing moves"])
@pytest.mark.parametrize("entry", ["train_step", "update_state"])
def test_a_spoiled_plan_is_seen(spoil: str, entry: str) -> None:
    (sizes,) = SIZES
    made = passes(DERIVATION)
    values = draw(DERIVATION.source, sizes, np.random.default_rng(0))
    found = entries(DERIVATION, sizes, predictions(made.inference or DERIVATION), inference=made.inference)
    assert all(plan_error(found, plan, values, sizes)[0] < 1e-12 for plan in found.plans.values())
    first, second = DERIVATION.source.running
    wrong: tuple[Running, ...] = {
        "momentum": (replace(first, momentum=1 - first.momentum), second),
        "statistic": (first, replace(second, statistic=first.statistic)),
        "nothing moves": (replace(first, momentum=first.momentum * 0), second),
    }[spoil]
    other = entries(replace(DERIVATION, program=DERIVATION.program.replace(running=wrong)), sizes)
    error, culprit = plan_error(found, other.plans[entry], values, sizes)
    assert error > 1e-3
    assert culprit in ("mu_run_N1", "v_run_N1")


def test_the_formula_of_the_judge() -> None:
    program = DERIVATION.source
    moved = follow(program, {"mu_run_N1": np.array([[2.0]]), "v_run_N1": np.array([[4.0]])}, {
        "mu_N1": np.array([[1.0]]), "v_N1": np.array([[14.0]]),
    })
    assert float(moved["mu_run_N1"][0, 0]) == pytest.approx(1.9, rel=1e-15)
    assert float(moved["v_run_N1"][0, 0]) == pytest.approx(5.0, rel=1e-15)
    assert stored(stored(program)) == stored(program) != program


MOVED = "0.90000000000000002 * {0}[i] + 0.10000000000000001 * {1}[i]"


@pytest.mark.skipif(compiler() is None, reason="there is no C compiler")
def test_a_spoiled_c_module_is_seen(tmp_path: Path) -> None:
    (case,) = cases(DERIVATION, SIZES, "float64", (Variant(),))
    source, old = case.texts["m0.c"], MOVED.format("mu_run_N1", "mu_N1")
    assert source.count(old) == 2  # by itself, and in a step
    spoiled = Case(case.module, {**case.texts, "m0.c": source.replace(old, "mu_N1[i]")}, case.sizes)
    with compiled([spoiled]) as library:
        found = Comparison(DERIVATION, library, spoiled, np.random.default_rng(0), SIZES).findings()
    assert {f.witness for f in found if f.outcome == "fails"} >= {"module state", "module state of steps"}


@pytest.mark.skipif(compiler() is None, reason="there is no C compiler")
@pytest.mark.parametrize(("old", "new", "said"), [
    (MOVED.format("v_run_N1", "v_N1"), "v_N1[i]", "state  "),
    ("= state->mu_run_N1;", "= state->v_run_N1;", "prediction"),
])
def test_a_spoiled_c_module_fails_its_own_check(old: str, new: str, said: str, tmp_path: Path) -> None:
    files = generate(DERIVATION, "c", name="m0", sizes=dict(SIZES[0]))
    assert old in files["m0.c"]
    code, text = _self_check({**files, "m0.c": files["m0.c"].replace(old, new)}, tmp_path)
    failed = [line for line in text.splitlines() if line.startswith("FAIL")]
    assert code == 1
    assert any(f"FAIL  {said}" in line for line in failed)


def _self_check(files: Mapping[str, str], folder: Path) -> tuple[int, str]:
    for name in ("m0.h", "m0.c", "m0_test.c"):
        (folder / name).write_text(files[name])
    sources, program = [str(folder / "m0.c"), str(folder / "m0_test.c")], compiler()
    assert program is not None
    subprocess.run([program, *FLAGS, *sources, "-o", str(folder / "check"), "-lm"], check=True, capture_output=True)
    ran = subprocess.run([str(folder / "check")], check=False, capture_output=True, text=True)
    return ran.returncode, ran.stdout
