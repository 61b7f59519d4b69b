"""The judge: right work in many forms is right, one mistake is one mistake, told at its line under its name."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from symbp import networks, pipeline
from symbp.verify.check.judge import judge
from symbp.verify.check.layouts import judge_mine
from symbp.verify.check.mine import read_mine
from symbp.verify.check.scope import known_of
from symbp.verify.check.truth import CONFIRMED, Model, Truth, truth_of
from symbp.verify.check.verdict import Judgement
from tests.verify.check.works import MISTAKES, MLP, RIGHT, RNN


@cache
def model(name: str) -> Model:
    return pipeline.model(pipeline.program_of(networks.network(name).text))


@cache
def truth(name: str) -> Truth:
    return truth_of(model(name))


def judged(name: str, text: str) -> Judgement:
    mine = read_mine(text, "hw.txt", model(name), truth(name))
    return judge(mine, truth(name), lambda ex: lambda k: known_of(mine, ex, k), model(name).why)


def rows(judgement: Judgement) -> list[int]:
    return [judgement.lines[f.line].line for f in judgement.faults]


@pytest.mark.parametrize("name", ["mlp", "deep", "rnn", "batch_norm", "attention", "digits"])
def test_the_truth_is_confirmed_by_a_second_witness(name: str) -> None:
    found = truth(name)
    assert found.error <= CONFIRMED
    assert len({d.sizes["m"] for d in found.draws}) == len(found.draws)
    assert not found.refused


@pytest.mark.parametrize("form", RIGHT)
def test_right_work_is_right_in_every_form(form: str) -> None:
    name, text = RIGHT[form]
    found = judged(name, text)
    assert (found.verdict, found.faults) == ("right", ())
    assert set(found.outputs) == set(truth(name).outputs)
    assert len(found.witnesses) == 2 and len(found.sizes) == 3


@pytest.mark.parametrize(("name", "text", "old", "new", "line", "nature"), MISTAKES)
def test_a_mistake_is_told_at_its_line(name: str, text: str, old: str, new: str, line: int, nature: str) -> None:
    assert text.count(old) >= 1
    found = judged(name, text.replace(old, new, 1))
    assert found.verdict in ("wrong", "right up to a constant")
    assert rows(found) == [line]
    assert found.faults[0].nature == nature
    # The mend, put in its place, makes the work right.
    mended = text.replace(old, new, 1).split("\n")
    indent = len(mended[line - 1]) - len(mended[line - 1].lstrip())
    mended[line - 1] = " " * indent + found.faults[0].mend
    assert judged(name, "\n".join(mended)).verdict == "right"


def test_lines_that_are_wrong_only_because_of_another_are_no_mistakes() -> None:
    found = judged("mlp", MLP.replace(" * (1 - A1**2)", ""))
    assert [found.lines[k].line for k in found.faults[0].caused] == [5, 6]
    assert found.affected == ("W1", "b1")
    assert found.faults[0].label == "gradient of A1; Z1 lies before it"
    assert "dA1" in found.faults[0].why


def test_two_mistakes_are_two() -> None:
    found = judged("mlp", MLP.replace(" * (1 - A1**2)", "").replace("sum(dZ2", "mean(dZ2"))
    assert sorted(rows(found)) == [3, 4]
    assert {f.nature for f in found.faults} == {"slope missing", "mean for sum"}


def test_a_constant_that_all_carry_is_named_by_sizes() -> None:
    found = judged("mlp", MLP.replace(" / m", ""))
    assert (found.verdict, found.constant, rows(found)) == ("right up to a constant", "m", [1])
    assert found.faults[0].nature == "1/m missing"
    twice = judged("mlp", MLP.replace("/ m", "* 2 / m"))
    assert (twice.verdict, twice.constant) == ("right up to a constant", "2")


def test_an_intermediate_with_a_constant_is_a_remark() -> None:
    found = judged(*RIGHT["constants in the gradients"])
    assert found.verdict == "right"
    assert any("your dZ2 is m times the gradient of Z2" in r for r in found.remarks)


def test_a_mistake_in_lines_without_a_meaning_is_narrowed_by_mending() -> None:
    text = MLP.replace("dZ2", "e").replace("dZ1", "g").replace(" * (1 - A1**2)", "")
    found = judged("mlp", text)
    assert rows(found) == [4]
    assert found.faults[0].mend == "g = (W2.T @ e) * (1 - A1**2)"


def test_what_is_not_narrowed_is_told_as_a_slice() -> None:
    text = MLP.replace("dZ1", "g").replace("(1 - A1**2)", "sin(A1)**3 * cos(Z1)")
    found = judged("mlp", text)
    assert found.verdict == "wrong"
    assert all(f.nature == "" for f in found.faults)
    assert any(4 in [found.lines[k].line for k in f.slice] for f in found.faults)


def test_a_gradient_that_lies_the_other_way_among_others_is_named() -> None:
    found = judged("mlp", MLP.replace("dZ1 @ X.T", "X @ dZ1.T"))
    assert (found.verdict, rows(found), found.affected) == ("wrong", [5], ("W1",))


def test_all_gradients_transposed_are_the_other_layout() -> None:
    turned = (
        MLP.replace("dZ2 @ A1.T", "A1 @ dZ2.T").replace("dZ1 @ X.T", "X @ dZ1.T")
        .replace("sum(dZ2, axis=1)", "ones(1, m) @ dZ2.T").replace("sum(dZ1, axis=1)", "ones(1, m) @ dZ1.T")
    )
    assert judged("mlp", turned).verdict == "right (other layout)"


ROWS = """dZ2 = (Z2 - Y) / m
dW2 = A1.T @ dZ2
db2 = sum(dZ2, axis=0)
dZ1 = (dZ2 @ W2.T) * (1 - A1**2)
dW1 = X.T @ dZ1
db1 = sum(dZ1, axis=0)
"""


def of_layouts(text: str) -> Judgement:
    return judge_mine(text, "hw.txt", pipeline.models(model("mlp").program))


def test_samples_as_rows_are_the_other_layout() -> None:
    found = of_layouts(ROWS)
    assert found.verdict == "right (other layout)"
    assert found.remarks[0] == "you write samples as rows"
    wrong = of_layouts(ROWS.replace(" * (1 - A1**2)", ""))
    assert (wrong.verdict, rows(wrong), wrong.faults[0].nature) == ("wrong", [4], "slope missing")


def test_weights_kept_while_samples_are_rows() -> None:
    text = ROWS.replace("A1.T @ dZ2", "dZ2.T @ A1").replace("dZ2 @ W2.T", "dZ2 @ W2").replace("X.T @ dZ1", "dZ1.T @ X")
    assert of_layouts(text).verdict == "right (other layout)"


def test_a_line_that_does_not_fit_is_a_mistake_and_judging_goes_on() -> None:
    found = judged("mlp", MLP.replace("A1.T", "A1").replace(" * (1 - A1**2)", ""))
    assert [f.nature for f in found.faults] == ["transpose missing", "slope missing"]
    assert sorted(found.affected) == ["W1", "W2", "b1"]


def test_members_that_are_never_computed_are_told() -> None:
    text = RIGHT["deep"][1].replace("range(1, L+1)", "range(1, L)")
    found = judged("deep", text)
    assert (found.verdict, {f.code for f in found.faults}) == ("wrong", {"C005"})


def test_a_loop_that_runs_the_wrong_way_is_told() -> None:
    found = judged("rnn", RNN.replace("range(T, 0, -1)", "range(1, T+1)"))
    assert found.faults[0].code == "B001"
    assert "before it is assigned" in found.faults[0].title


def test_one_line_is_judged_with_gradients_that_are_given() -> None:
    assert judged("mlp", "dW1 = dZ1 @ X.T").verdict == "right"
    assert judged("mlp", "dW1 = dZ1 @ X").faults[0].nature == "transpose missing"


def test_a_comment_says_what_a_line_is() -> None:
    text = "u = (Z2 - Y)/m   # of: Z2\nh = W2.T @ u   # is: W2.T @ dZ2\nk = h * (1 - A1**2)\ndW1 = k @ X.T\n"
    assert judged("mlp", text).verdict == "right"
    found = judged("mlp", text.replace("h = W2.T @ u", "h = W2.T @ u * cos(A1)"))
    assert rows(found) == [2]


def test_what_no_line_says_to_be_a_gradient_is_not_checked() -> None:
    found = judged("mlp", "q = A1 * 3\nr = q + 1\n")
    assert (found.verdict, found.good) == ("not checked", False)
    assert "# of: W1" in found.reason


def test_a_truth_that_is_not_confirmed_judges_nothing() -> None:
    doubtful = replace(truth("mlp"), confirm=lambda: 1e-3)
    mine = read_mine(MLP, "hw.txt", model("mlp"), doubtful)
    assert judge(mine, doubtful).verdict == "not checked"
    blind = replace(truth("mlp"), refused="zero data")
    assert judge(mine, blind).reason == "zero data"


def test_a_line_that_is_far_from_any_mend_gets_that_of_the_reference() -> None:
    text = MLP.replace("(W2.T @ dZ2) * (1 - A1**2)", "W2.T @ dZ2 / cosh(Z1)").replace("dZ2", "e")
    found = judged("mlp", text)
    (fault,) = found.faults
    assert (rows(found), fault.code, fault.mend) == ([4], "C001", "dZ1 = W2.T @ e * (1 - A1**2)")
    assert judged("mlp", text.replace("dZ1 = W2.T @ e / cosh(Z1)", fault.mend)).verdict == "right"


def test_a_mend_writes_names_as_the_work_does() -> None:
    text = MLP.replace("dW1 = dZ1 @ X.T", "dL/dW1 = dZ1 @ X").replace("db1 = sum", "grads['b1'] = mean")
    found = of_layouts(text)
    assert [f.mend for f in found.faults] == ["dL/dW1 = dZ1 @ X.T", "grads['b1'] = sum(dZ1, axis=1)"]
    assert [f.column for f in found.faults] == [16, 15]


def test_several_changes_with_the_same_numbers_are_told() -> None:
    found = judged("mlp", MLP.replace("sum(dZ2", "mean(dZ2"))
    assert found.faults[0].nature == "mean for sum"
    assert any("m * mean(dZ2, axis=1)" in other for other in found.faults[0].equivalently)
