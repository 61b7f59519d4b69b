"""Claims are proved; spoiled claims are refused with the term that differs."""

from dataclasses import replace

import pytest

from symbp.ops.claims import CLAIMS, Claim
from symbp.verify.claims import examine

BY_NAME = {c.name: c for c in CLAIMS}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.name)
def test_every_claim_is_proved(claim: Claim) -> None:
    found = examine(claim)
    assert found.accepted, found.proof.residual


SPOILED = [
    ("compact softmax", "form", "P * (C - sum(C * P, axis=1, keepdims=True))"),
    ("compact softmax", "form", "P * (C + sum(C * P, axis=0, keepdims=True))"),
    ("compact softmax", "form", "P * (C - sum(C, axis=0, keepdims=True))"),
    ("compact softmax", "form", "C - sum(C * P, axis=0, keepdims=True)"),
    ("compact softmax, samples as rows", "form", "P * (C - sum(C * P, axis=0, keepdims=True))"),
    ("softmax with cross-entropy: P - Y", "form", "(Y - P) / m"),
    ("softmax with cross-entropy: P - Y", "form", "(P - Y) / n"),
    ("softmax with cross-entropy: P - Y", "form", "P - Y"),
    ("softmax with cross-entropy: P - Y", "fact", " & columns_sum_to_one"),
    ("softmax with cross-entropy: P - Y", "other fact", "rows_sum_to_one"),
    ("softmax with cross-entropy, any Y", "form", "(P - Y) / m"),
    ("softmax with cross-entropy, any Y", "form", "(P * sum(Y, axis=1, keepdims=True) - Y) / m"),
    ("sigmoid with cross-entropy: A - Y", "form", "(A - Y) * A / m"),
    ("sigmoid with cross-entropy: A - Y", "form", "(A * Y) / m"),
    ("log-sum-exp", "form", "P"),
    ("log-sum-exp", "form", "P * P * c"),
    ("quadratic form", "form", "2 * A @ x"),
    ("quadratic form", "form", "(A + A) @ x"),
    ("quadratic form", "form", "(A - A.T) @ x"),
    ("least squares", "form", "A.T @ (A @ x - b)"),
    ("least squares", "form", "2 * A.T @ (A @ x + b)"),
    ("least squares", "form", "2 * A.T @ A @ x"),
]


@pytest.mark.parametrize(("name", "what", "text"), SPOILED, ids=[f"{n}-{k}" for k, (n, _, _) in enumerate(SPOILED)])
def test_spoiled_claims_are_refused(name: str, what: str, text: str) -> None:
    claim = BY_NAME[name]
    if what == "form":
        spoiled = replace(claim, form=text)
    elif what == "fact":
        spoiled = replace(claim, network=claim.network.replace(text, ""))
    else:
        spoiled = replace(claim, network=claim.network.replace("columns_sum_to_one", text))
    assert spoiled != claim
    found = examine(spoiled)
    assert not found.accepted
    assert found.proof.residual, "a refusal names the term that differs"
