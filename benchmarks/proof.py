"""What the normal form proves for all sizes, and how long that takes: the rule book and the bundled networks.

    python benchmarks/proof.py

The exit status is 1 if anything is unproved, or if the whole run takes more than two minutes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import symbp.ops as ops
from symbp.calculus import derive
from symbp.language import read_text
from symbp.networks import names, network
from symbp.verify.claims import claims, examine
from symbp.verify.normal_form import Proof, prove_adjoint
from symbp.verify.rules import elementwise_cases, primitive_cases, prove_case
from symbp.verify.steps import prove_steps

LONGEST = 120.0
"""Seconds that the whole run may take."""


def rules() -> Iterator[tuple[str, Proof]]:
    """Yield the adjoint of each rule, and the adjoint of that adjoint."""
    for case in [*primitive_cases(ops.RULES), *elementwise_cases(ops.ELEMENTWISE)]:
        for proof in prove_case(case):
            yield case.name, proof


def statements() -> Iterator[tuple[str, Proof]]:
    """Yield every adjoint equation of the bundled networks."""
    for name in names():
        derivation = derive(read_text(network(name).text))
        for found in prove_adjoint(derivation.forward, derivation.program, derivation.output):
            yield f"{name}: {found.target.label}", found.proof


def steps() -> Iterator[tuple[str, Proof]]:
    """Yield every printed step of the bundled networks that says before = after."""
    for name in names():
        for step, proof in prove_steps(derive(read_text(network(name).text))):
            yield f"{name}: {step.rule} in {step.target.label}", proof


def closed_forms() -> Iterator[tuple[str, Proof]]:
    """Yield the closed forms that rules and layers claim."""
    for claim in claims():
        yield claim.name, examine(claim).proof


GROUPS = {
    "rules, first and second order": rules, "adjoint equations": statements, "steps before = after": steps,
    "closed forms": closed_forms,
}


def main() -> int:
    """Print a line for each group, and what is unproved."""
    begin, total, good = time.perf_counter(), 0, 0
    print(f"{'':32s} {'proved':>12s} {'share':>7s} {'seconds':>8s} {'slowest':>9s}")
    for title, group in GROUPS.items():
        start = time.perf_counter()
        found = list(group())
        seconds = time.perf_counter() - start
        proved = sum(bool(proof) for _, proof in found)
        slowest = max(proof.seconds for _, proof in found)
        counts = f"{proved} of {len(found)}"
        print(f"{title:32s} {counts:>12s} {proved / len(found):7.1%} {seconds:8.1f} {slowest * 1e3:6.0f} ms")
        for name, proof in found:
            if not proof:
                print(f"  unproved  {name}: {proof.residual}")
        total, good = total + len(found), good + proved
    seconds = time.perf_counter() - begin
    print(f"{'together':32s} {f'{good} of {total}':>12s} {good / total:7.1%} {seconds:8.1f}")
    return 0 if good == total and seconds <= LONGEST else 1


if __name__ == "__main__":
    sys.exit(main())
