"""Verdicts: two witnesses are needed, one failure decides; tables, JSON and JUnit XML say the same."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from xml.etree import ElementTree

from symbp.verify.report import all_ok, as_json, as_junit, judge, rows, summary, text_table
from symbp.verify.witnesses import Finding

NUMERIC = Finding("complex step", "W_bar", "holds", 3e-16, 1e-12, "m=7")
EXACT = Finding("exact", "W_bar", "holds", 0.0, 0.0, "m=2")
BAD = Finding("exact", "W_bar", "fails", math.inf, 0.0, "m=2", "UNEQUAL at entry (0, 1) of W")
BLIND = Finding("complex step", "W_bar", "refused", sizes="m=7", detail="zero data: every entry of X is 0")


def test_two_different_witnesses_are_needed() -> None:
    assert judge("W_bar", "equation", [NUMERIC, EXACT]).verdict == "holds"
    alone = judge("W_bar", "equation", [NUMERIC, NUMERIC])
    assert alone.verdict == "not checked"
    assert "only 1 of the 2" in alone.detail
    assert judge("W_bar", "equation", [NUMERIC], proved=True).verdict == "holds"
    assert judge("W_bar", "equation", []).verdict == "not checked"


def test_one_failure_decides() -> None:
    verdict = judge("W_bar", "equation", [NUMERIC, EXACT, BAD], proved=True)
    assert (verdict.verdict, verdict.detail) == ("fails", "UNEQUAL at entry (0, 1) of W")


def test_a_refused_check_is_not_passed() -> None:
    verdict = judge("W_bar", "equation", [BLIND])
    assert verdict.verdict == "refused"
    assert "zero data" in verdict.detail
    assert judge("W_bar", "equation", [BLIND, EXACT]).verdict == "not checked"
    assert judge("W_bar", "equation", [BLIND, NUMERIC, EXACT]).verdict == "holds"


def test_what_a_verdict_names() -> None:
    verdict = judge("W_bar", "equation", [NUMERIC, EXACT], proved=True)
    assert verdict.witnesses == ("complex step", "exact", "all sizes")
    assert (verdict.draws, verdict.sizes, verdict.error, verdict.tolerance) == (2, ("m=7", "m=2"), 3e-16, 1e-12)


def test_table_json_and_junit_agree() -> None:
    verdicts = [judge("W_bar", "equation", [NUMERIC, EXACT], proved=True), judge("b_bar", "equation", [NUMERIC, BAD])]
    assert not all_ok(verdicts)
    assert not all_ok([])
    assert [row[0] for row in rows(verdicts)] == ["W_bar", "b_bar"]
    assert "UNEQUAL" in text_table(verdicts).splitlines()[2]
    assert (
        summary(verdicts)
        == "1 of 2 hold; 1 of 1 equations proved for all sizes; exact at sampled sizes; measured 3e-16"
    )
    data = json.loads(as_json({"mlp": verdicts}))
    assert [v["verdict"] for v in data["mlp"]] == ["holds", "fails"]
    assert data["mlp"][1]["error"] is None or data["mlp"][1]["error"] >= 0
    root = ElementTree.fromstring(as_junit({"mlp": verdicts}, {"mlp": 0.25}))
    (suite,) = root.findall("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("time")) == ("2", "1", "0.250")
    (failure,) = suite.findall("testcase/failure")
    assert failure.get("type") == "fails"
    assert "UNEQUAL" in str(failure.get("message"))


def test_a_gradient_that_is_zero_everywhere_holds_with_a_word() -> None:
    zero = [replace(NUMERIC, detail="the derivative is zero at every draw"), EXACT]
    assert rows([judge("b_bar", "equation", zero)])[0][-1] == (
        "holds, exact at sampled sizes; the derivative is zero at every draw"
    )


def test_the_words_for_how_much_is_known() -> None:
    proved = judge("W_bar", "equation", [NUMERIC, EXACT], proved=True, where=("s > 0", "Y is symmetric"))
    unproved = judge("W_bar", "equation", [NUMERIC, EXACT], proved=False, residual="1/m * X[i,j]")
    measured = judge("W_bar", "equation", [NUMERIC, replace(NUMERIC, witness="inner product")])
    assert [v.evidence for v in (proved, unproved, measured)] == [
        "proved for all sizes", "exact at sampled sizes", "measured",
    ]
    assert [row[-1] for row in rows([proved, unproved, measured])] == [
        "holds, proved for all sizes; where s > 0; Y is symmetric",
        "holds, exact at sampled sizes; unproved for all sizes: 1/m * X[i,j]",
        "holds, measured",
    ]
    data = json.loads(as_json({"net": [proved, unproved]}))["net"]
    assert data[0]["evidence"] == "proved for all sizes" and data[0]["where"] == ["s > 0", "Y is symmetric"]
    assert data[1]["proved"] is False and data[1]["residual"] == "1/m * X[i,j]"
    assert "0 of 1 equations proved for all sizes" in summary([unproved])


def test_comparisons_of_a_module_share_a_word() -> None:
    found = [replace(NUMERIC, witness="module gradients"), replace(NUMERIC, witness="module jvp")]
    assert rows([judge("net.py", "module", found)])[0][2] == "against the evaluator: gradients, jvp"


def test_junit_escapes_what_is_not_xml() -> None:
    bad = judge("A<B & C", "equation", [Finding("exact", "A", "fails", math.inf, detail="<Zbar, dZ> & more")])
    assert ElementTree.fromstring(as_junit({"a<b": [bad]})).find("testsuite/testcase/failure") is not None
