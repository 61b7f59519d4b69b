"""True identities are proved for all sizes, false ones never are; numbers agree with both."""

from __future__ import annotations

import time

import pytest
from identity_cases import FALSE, TRUE, UNDER_FACTS, differ

from symbp.verify.normal_form import Proof, prove

SECONDS = 0.15
"""The processor time that a proof may take."""


def proof_of(case: tuple[object, ...]) -> Proof:
    before, after, *facts = case
    return prove(before, after, facts=facts[0] if facts else {})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TRUE)
def test_true_identities_are_proved(name: str) -> None:
    start = time.process_time()
    proof = proof_of(TRUE[name])
    assert proof.status == "proved", proof.residual
    assert proof.residual == "" and proof.seconds > 0
    assert time.process_time() - start < SECONDS


@pytest.mark.parametrize("name", FALSE)
def test_false_identities_stay_unproved(name: str) -> None:
    proof = proof_of(FALSE[name])
    assert proof.status == "unproved" and proof.residual
    assert not proof


@pytest.mark.parametrize("name", UNDER_FACTS)
def test_what_needs_a_fact_is_proved_with_it_alone_and_says_so(name: str) -> None:
    before, after, facts = UNDER_FACTS[name]
    proof = prove(before, after, facts=facts)
    assert proof and proof.facts and not proof.conditions
    assert all(any(name in sentence for name in facts) for sentence in proof.facts)
    assert not prove(before, after)
    assert differ(before, after, facts) is False


def test_there_are_enough_identities() -> None:
    assert len(TRUE) >= 80 and len(FALSE) >= 80 and len(UNDER_FACTS) >= 12


@pytest.mark.parametrize("name", TRUE)
def test_true_identities_are_numerically_true(name: str) -> None:
    before, after, *facts = TRUE[name]
    assert differ(before, after, facts[0] if facts else {}) is False


@pytest.mark.parametrize("name", FALSE)
def test_false_identities_are_numerically_false(name: str) -> None:
    before, after, *facts = FALSE[name]
    assert differ(before, after, facts[0] if facts else {}) is True
