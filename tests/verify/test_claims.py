"""Claims are proved; spoiled claims are refused with the term that differs."""

from dataclasses import replace

import pytest

from symbp.ops.claims import Claim
from symbp.verify.claims import claims, examine

BY_NAME = {c.name: c for c in claims()}


@pytest.mark.parametrize("claim", claims(), ids=lambda c: c.name)
def test_every_claim_is_proved(claim: Claim) -> None:
    found = examine(claim)
    assert found.accepted, found.proof.residual


@pytest.mark.parametrize("claim", [c for c in claims() if c.network.startswith("samples")], ids=lambda c: c.name)
def test_claims_of_layers_are_proved_for_samples_as_rows_too(claim: Claim) -> None:
    found = examine(claim, "rows")
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
    *(("batch_norm: compact form", "form", f"gamma_Y * V_Y / m * ({inner})") for inner in (
        "m*C - sum(C, axis=1, keepdims=True) + Xhat_Y * sum(C * Xhat_Y, axis=1, keepdims=True)",
        "m*C - sum(C, axis=1, keepdims=True)",
        "C - sum(C, axis=1, keepdims=True) - Xhat_Y * sum(C * Xhat_Y, axis=1, keepdims=True)",
        "m*C - Xhat_Y * sum(C * Xhat_Y, axis=1, keepdims=True)",
        "m*C - sum(C, axis=1, keepdims=True) - Xc_Y * sum(C * Xhat_Y, axis=1, keepdims=True)",
    )),
    ("batch_norm: projector form", "form", "V_Y * (C @ (eye(m) - ones(m, m)/m))"),
    ("batch_norm: projector form", "form", "gamma_Y * V_Y * C @ (eye(m) - ones(m, m)/m)"),
    ("batch_norm: scale", "form", "sum(C * Xc_Y, axis=1, keepdims=True)"),
    ("batch_norm: shift", "form", "sum(C, axis=1, keepdims=True) / m"),
    ("layer_norm: compact form", "form", "V_Y * (gamma_Y * C - mean(gamma_Y * C, axis=0, keepdims=True))"),
    ("layer_norm: projector form", "form", "V_Y * ((eye(n) - ones(n, n)/n) @ (gamma_Y * C))"),
    ("rms_norm: compact form", "form", "V_Y * gamma_Y * C"),
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
