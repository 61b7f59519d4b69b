"""Generated C modules, compiled, against the evaluator; a module with one wrong line is caught."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from symbp.calculus import derive
from symbp.derivation import Derivation
from symbp.language import read_text
from symbp.networks import network
from symbp.pipeline import generate
from symbp.plan import shards, strips
from symbp.verify import compiled as c
from symbp.verify.draws import choose_sizes
from symbp.verify.module import load_module
from symbp.verify.programs import check_generated, specified
from symbp.verify.report import all_ok, as_junit, summary, text_table
from symbp.verify.witnesses import Finding

needs_compiler = pytest.mark.skipif(c.compiler() is None, reason="there is no C compiler")

COMPARED = {f"module {what}" for what in ("loss", "backward", "gradients", "train step", "loss of steps", "train")}


def derivation_of(name: str) -> Derivation:
    return derive(specified(read_text(network(name).text, f"{name}.net", name=name)))


def compared(
    case: c.Case, derivation: Derivation, seed: int = 0, flags: Sequence[str] = c.FLAGS
) -> list[Finding]:
    with c.compiled([case], flags) as library:
        return c.Comparison(derivation, library, case, np.random.default_rng(seed), [case.sizes]).findings()


def failed(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(f.witness, f.detail) for f in findings if f.outcome != "holds"]


# ---------------------------------------------------------------------------------------------------------
# What is right holds


@needs_compiler
@pytest.mark.parametrize("name", ["mlp", "delayed", "digits"])
def test_every_variant_in_both_precisions(name: str) -> None:
    derivation = derivation_of(name)
    sizes = choose_sizes(derivation.source)[-1:]
    rng = np.random.default_rng(1)
    found = c.check_compiled(derivation, rng, sizes=sizes, dtypes=("float64", "float32"), variants=c.VARIANTS)
    for dtype, findings in found.items():
        assert failed(findings) == []
        assert {f.witness for f in findings} >= COMPARED
        assert c.worst_of(findings) < (1e-13 if dtype == "float64" else 2e-5)
    # Four variants: none of them was left out.
    assert len([f for f in found["float64"] if f.witness == "module train"]) == 4


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("level", ["-O0", "-O2", "-O3"])
@pytest.mark.parametrize("name", ["bidirectional", "iris", "lstm", "stacked", "xor"])
def test_levels_of_optimisation(name: str, level: str) -> None:
    derivation = derivation_of(name)
    found = c.check_compiled(
        derivation, np.random.default_rng(2), sizes=choose_sizes(derivation.source), dtypes=("float64", "float32"),
        flags=(*c.FLAGS, level), variants=c.VARIANTS,
    )
    assert all(failed(findings) == [] for findings in found.values())


@needs_compiler
@pytest.mark.parametrize("batch", [1, 2, 5, 8])
def test_a_batch_that_is_known_at_run_time_only(batch: int) -> None:
    derivation = derivation_of("mlp")
    sizes = {"n0": 3, "n1": 4, "n2": 2}
    made = c.planned(c.passes(derivation), name="late", sizes=sizes, largest={"m": 8})
    case = c.Case(made, c.files(made), {**sizes, "m": batch})
    found = compared(case, derivation)
    assert failed(found) == []
    assert {f.witness for f in found} >= COMPARED


@needs_compiler
@pytest.mark.parametrize(("name", "entries"), [("digits", 9_800), ("lenet", 9_100)])
def test_samples_in_shards_and_windows_by_sample(name: str, entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache so small that a step goes through its samples in shards, and the other functions take windows apart."""
    monkeypatch.setattr(shards, "CACHE", entries)
    monkeypatch.setattr(shards, "GAIN", 2)
    monkeypatch.setattr(strips, "CACHE", 500)
    derivation = derivation_of(name)
    sizes = {**choose_sizes(derivation.source)[-1], "m": 6}
    variants = [v for v in c.VARIANTS if not v.batch]
    cases = c.cases(derivation, [sizes], "float64", variants)
    chosen = [case.module.entries.choice for case in cases]
    assert all(choice is not None and choice.size < choice.samples == 6 for choice in chosen)
    assert all(failed(compared(case, derivation)) == [] for case in cases)


@needs_compiler
def test_families_constants_and_numbers() -> None:
    text = """
A[0]: input[n[0], m]
Y: target[n[L], m]
S: param[k, 1]
g: input
K: const[k, m]
c = [[1, 2], [3, -1/2]]
Q: input[2, 2]
for l in range(1, L+1):
    W[l]: param[n[l], n[l-1]]
    A[l] = sin(W[l] @ A[l-1])
for t in range(1, T+1):
    B[t]: param[k, 1]
loss = sum((A[L] - Y)**2) + g*sum(K * sum(B[t]**2 * S for t in range(1, T+1)))
"""
    text = "\n".join(line for line in text.splitlines() if not line.startswith(("c =", "Q:")))
    derivation = derive(read_text(text))
    found = c.check_compiled(derivation, np.random.default_rng(0), sizes=choose_sizes(derivation.source))
    assert failed(found["float64"]) == []


@needs_compiler
def test_places_that_are_divided_by_a_batch_of_run_time() -> None:
    """``i / (2u * m)``: without brackets it would be ``i / 2u * m``."""
    text = """
samples: m
X: input[6, m]
W: param[2, 3]
U: param[2, 6]
Z = W @ reshape(X, (3, 2*m))
Y = sin(reshape(sin(Z), (4*m, 1)))
V = einsum("(a c) m, a (c e) -> (a e) m", X, U)
loss = sum(Y**2)/m + sum(V**2)/m
"""
    derivation = derive(read_text(text))
    found = c.check_compiled(derivation, np.random.default_rng(0), sizes=[{"m": 5}], variants=c.VARIANTS)
    assert failed(found["float64"]) == []


@needs_compiler
def test_parameters_of_which_some_members_are_computed() -> None:
    text = """
X: input[n, m]
H[0]: param[n, m]
W: param[n, n]
for t in range(1, T+1):
    H[t] = tanh(W @ H[t-1] + X)
loss = sum(sum(H[t]**2) for t in range(1, T+1))
"""
    derivation = derive(read_text(text))
    found = c.check_compiled(derivation, np.random.default_rng(0), sizes=choose_sizes(derivation.source))
    assert failed(found["float64"]) == []


@needs_compiler
def test_the_numpy_module_has_the_same_parameters_after_a_step(tmp_path: Path) -> None:
    derivation = derivation_of("mlp")
    path = tmp_path / "net.py"
    path.write_text(generate(derivation, name="net")["net.py"], encoding="utf-8")
    module = load_module(path, "net")
    sizes = choose_sizes(derivation.source)

    def found() -> list[Finding]:
        return c.check_compiled(
            derivation, np.random.default_rng(0), sizes=sizes, modules={"float64": module}, variants=(c.Variant(),)
        )["float64"]

    assert [f.outcome for f in found() if f.witness == "module like NumPy"] == ["holds"]
    right = module.train_step
    module.train_step = lambda params, inputs, rate: right(params, inputs, 1.001 * rate)
    assert {f.witness for f in found() if f.outcome == "fails"} == {"module like NumPy"}


# ---------------------------------------------------------------------------------------------------------
# What is wrong is caught


def spoiled(case: c.Case, function: str, old: str, new: str) -> c.Case:
    """Return the case with a pattern replaced once in the body of one function."""
    name = f"{case.module.p}.c"
    text = case.texts[name]
    head = re.search(rf"^[a-z].* \**{case.module.p}_{function}\([^;]*\)\n{{", text, re.MULTILINE)
    assert head, function
    end = text.index("\n}\n", head.end())
    body, count = re.subn(old, new, text[head.end() : end], count=1)
    assert count, f"{old} is not in {function}"
    return replace(case, texts={**case.texts, name: text[: head.end()] + body + text[end:]})


MLP_SIZES = {"n0": 3, "n1": 5, "n2": 2, "m": 7}


@pytest.fixture(scope="module")
def mlp() -> Derivation:
    return derivation_of("mlp")


def case_of(derivation: Derivation, variant: c.Variant) -> c.Case:
    (case,) = c.cases(derivation, [MLP_SIZES], "float64", (variant,))
    return case


SGD, MOMENTUM, ADAM = c.Variant(), c.Variant("block", "momentum"), c.Variant("static", "adam")
CLIP, CLIPPED_MOMENTUM = c.Variant(clip=True), c.Variant("block", "momentum", clip=True)


@needs_compiler
@pytest.mark.parametrize(
    ("variant", "function", "old", "new", "witness"),
    [
        (SGD, "forward", r"return loss;", "return loss * (1 + 1e-10);", "module loss"),
        (SGD, "forward", r"(A1\[\S.*?\] = )", r"\1 2 * ", "module backward"),
        (SGD, "backward", r"(Z2\[\S.*?\]) - (Y\[)", r"\1 + \2", "module backward"),
        (SGD, "loss_and_gradients", r"b2_bar = gradients->b2;", "b2_bar = gradients->b1;", "module gradients"),
        (SGD, "loss_and_gradients", r"(\* \(Z2\[\S.*?\]) - (Y\[)", r"\1 + \2", "module gradients"),
        (SGD, "train_step", r"- (\d\S* \* \()?rate", r"+ \1rate", "module train step"),
        (SGD, "train_step", r"return loss;", "return 0;", "module loss of steps"),
        (SGD, "train", r"step < steps", "step + 1u < steps", "module train"),
        (SGD, "predict", r"b2\[", "0 * b2[", "module predict"),
        (SGD, "params_to_flat", r"params->b1", "params->b2", "module train step"),
        (MOMENTUM, "train_step", r"momentum = 0\.9\d*", "momentum = 0.8", "module train step"),
        (CLIP, "train_step", r"> max_norm", "< max_norm", "module train step"),
        (CLIP, "train_step", r"max_norm / ", "2 * max_norm / ", "module train step"),
        (CLIP, "train_step", r"(norm\[0u\] \+= )", r"\1 2 * ", "module train step"),
        (CLIPPED_MOMENTUM, "train_step", r"shrink\[0u\] \* ", "", "module train step"),
        (ADAM, "train_step", r"decay = 0\.99\d*", "decay = 0.99", "module train step"),
        (ADAM, "train_step", r"optimizer->step \+= 1u", "optimizer->step += 0u", "module train step"),
        (ADAM, "optimizer_reset", r"\*optimizer = zero", "optimizer->step = zero.step", "module train"),
    ],
)
def test_one_wrong_line_is_caught(
    mlp: Derivation, variant: c.Variant, function: str, old: str, new: str, witness: str
) -> None:
    case = spoiled(case_of(mlp, variant), function, old, new)
    # What a wrong place in memory does not let the compiler accept would be no test of ours.
    found = compared(case, mlp, flags=(*c.FLAGS, "-w"))
    assert witness in {f.witness for f in found if f.outcome == "fails"}


@needs_compiler
@pytest.mark.parametrize("name", ["deep", "delayed"])
def test_gradients_of_families_are_clipped_together(name: str) -> None:
    derivation = derivation_of(name)
    sizes = choose_sizes(derivation.source)[-1:]
    rng = np.random.default_rng(3)
    variants = (CLIP, CLIPPED_MOMENTUM, c.Variant("block", "adam", clip=True))
    found = c.check_compiled(derivation, rng, sizes=sizes, dtypes=("float64", "float32"), variants=variants)
    assert all(failed(findings) == [] for findings in found.values())


@needs_compiler
def test_a_lost_alias_is_caught(mlp: Derivation) -> None:
    """A temporary that lies where a value is still alive: the loss is right, and parameters are not."""
    case = case_of(mlp, SGD)
    text = case.texts["m0.c"]
    step = text[text.index("m0_train_step(m0_params *params") :]
    kept = re.search(r"A1 = (&?m0_memory\S*);", step)
    late = re.search(r"Z2_bar = (&?m0_memory\S*);", step)
    assert kept
    assert late
    wrong_place = spoiled(case, "train_step", rf"(restrict const Z2_bar) = {re.escape(late[1])}", rf"\1 = {kept[1]}")
    found = compared(wrong_place, mlp)
    wrong = {f.witness for f in found if f.outcome == "fails"}
    assert "module train step" in wrong
    assert "module loss" not in wrong


def test_a_module_that_does_not_compile_fails(mlp: Derivation, monkeypatch: pytest.MonkeyPatch) -> None:
    if c.compiler() is None:
        pytest.skip("there is no C compiler")
    case = spoiled(case_of(mlp, SGD), "predict", r"b2\[", "b3[")
    with pytest.raises(c.CompileError, match=r"m0\.c.*b3"):
        compared(case, mlp)
    right = c.files
    monkeypatch.setattr(c, "files", lambda module: {**right(module), f"{module.p}.c": "int wrong"})
    verdicts = {v.checked: v for v in check_generated(mlp, generate)}
    assert verdicts["C module"].verdict == "fails"
    assert not all_ok(verdicts.values())


def test_without_a_compiler_nothing_fails_and_it_is_said(mlp: Derivation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c, "compiler", lambda: None)
    verdicts = check_generated(mlp, generate)
    last = verdicts[-1]
    assert (last.checked, last.verdict, last.ok, last.bad) == ("C module", "skipped", False, False)
    assert "compiler" in last.detail
    assert all_ok(verdicts)
    assert "not checked: C module (there is no C compiler" in summary(verdicts)
    assert "skipped" in text_table(verdicts)
    report = as_junit({"mlp": verdicts})
    assert 'skipped="1"' in report
    assert "<skipped" in report
    assert not all_ok([last]), "nothing at all was checked"


def test_a_compiler_that_makes_nothing_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in c.COMPILERS:
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    c.compiler.cache_clear()
    assert c.compiler() is None
    c.compiler.cache_clear()


# ---------------------------------------------------------------------------------------------------------
# The plain optimizers


def test_the_optimizers_move_as_their_papers_say() -> None:
    g = np.array([[2.0, -1.0]])
    value = np.zeros((1, 2))
    momentum = c.Optimization("momentum")
    for step in (1, 2):
        momentum.step = step
        value = momentum.moved("W", (), value, g, 0.1)
    assert np.allclose(value, -0.1 * (1 + 1.9) * g)
    adam = c.Optimization("adam", step=1)
    # Adam's first step is rate times the sign of the gradient.
    assert np.allclose(adam.moved("W", (), np.zeros((1, 2)), g, 0.1), -0.1 * np.sign(g), atol=1e-8)
