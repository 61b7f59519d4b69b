"""Claims are proved before they are believed: the closed form equals the derived adjoint, for all sizes."""

from __future__ import annotations

from dataclasses import dataclass

from symbp.calculus import convert, derive
from symbp.calculus.batch import Samples
from symbp.language import read_text
from symbp.layers import LAYERS
from symbp.ops.claims import CLAIMS, Claim
from symbp.program import Program, map_equations
from symbp.verify.normal_form import Proof, prove_in
from symbp.verify.normal_form.proof import context_of

CLAIMED = "claimed_form"


@dataclass(frozen=True)
class Examined:
    """What came of a claim: the proof, or the term in which it differs from the derived form."""

    claim: Claim
    proof: Proof

    @property
    def accepted(self) -> bool:
        """Tell whether the claim is proved for all sizes."""
        return self.proof.status == "proved"


def claims() -> list[Claim]:
    """Return every claim: those beside the rules, and those of layers."""
    return [*CLAIMS, *(claim for layer in LAYERS.values() for claim in layer.claims)]


def examine(claim: Claim, samples: Samples | None = None) -> Examined:
    """Prove a claim, or find the term that differs.

    samples: where the samples are to stand; by default as the claim says.

    The derived adjoint of the claim's network and the claimed form are compared entry by entry in index normal form,
    with the facts that the network declares.
    """
    whole = stated(claim, samples)
    (claimed,) = [s.equation.value for s in whole.sites if s.target.name == CLAIMED]
    network = _without(whole)
    derivation = derive(network, wrt=[claim.of])
    bar = derivation.gradients[claim.of]
    (site,) = [s for s in derivation.program.sites if s.target.name == bar]
    return Examined(claim, prove_in(context_of(derivation.program, site), site.equation.value, claimed))


def stated(claim: Claim, samples: Samples | None = None) -> Program:
    """Return the network of a claim with one more equation, the closed form."""
    return convert(read_text(f"{claim.network}{CLAIMED} = {claim.form}\n"), samples)


def _without(program: Program) -> Program:
    body = map_equations(program.body, lambda e: [] if e.target.name == CLAIMED else [e])
    variables = {n: v for n, v in program.variables.items() if n != CLAIMED}
    return program.replace(body=body, variables=variables, outputs=("loss",))
