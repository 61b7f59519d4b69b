"""The index normal form: equality of matrix expressions for all sizes, proved entry by entry (witness 5)."""

from symbp.verify.normal_form.adjoint import AdjointProof, prove_adjoint
from symbp.verify.normal_form.proof import Context, Proof, prove, prove_in, prove_statement
from symbp.verify.normal_form.terms import Budget

__all__ = ["AdjointProof", "Budget", "Context", "Proof", "prove", "prove_adjoint", "prove_in", "prove_statement"]
