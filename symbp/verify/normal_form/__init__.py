"""The index normal form: equality of matrix expressions for all sizes, proved entry by entry (witness 5).

An entry (i, j) becomes a sum of products of entries with bound indices; deltas are contracted, declared facts are
contractions too, non-linear functions are atoms keyed by the normal form of their argument, and bound indices get
canonical names.  Two expressions are equal if the difference of their normal forms vanishes.

An equality is proved wherever both sides are defined (a selection ``where(M, A, B)`` is defined where the selected
side is) and the stated conditions hold.  What is not proved, though it may be true: identities that need the value of
a size or of a number such as exp(1); products of two triangular patterns in another order; non-linear functions of a
Kronecker delta; identities between different static maps (a map of more than two digits is a tensor of which nothing
is known); a family whose member index is no single index plus a
constant; parity of an argument whose terms differ only in their indices (``tanh(X - X^T)``).
"""

from symbp.verify.normal_form.adjoint import AdjointProof, prove_adjoint
from symbp.verify.normal_form.proof import (
    Context, Proof, context_of, definitions_of, facts_of, prove, prove_in, prove_statement,
)
from symbp.verify.normal_form.signs import with_signs
from symbp.verify.normal_form.terms import Budget

__all__ = [
    "AdjointProof", "Budget", "Context", "Proof", "context_of", "definitions_of", "facts_of", "prove", "prove_adjoint",
    "prove_in", "prove_statement", "with_signs",
]
