"""Naming, differential, transposition, adjoint, identities: from a program to its derivative, as equations."""

from symbp.calculus.adjoint import Adjoint, adjoint
from symbp.calculus.derive import derive, prepare
from symbp.calculus.differential import differential, differential_of
from symbp.calculus.identities import IDENTITIES, Context, Identity
from symbp.calculus.naming import name_parts
from symbp.calculus.rewriting import DoesNotEnd, rewrite, tidy
from symbp.calculus.transposition import Pulled, transpose

__all__ = [
    "IDENTITIES", "Adjoint", "Context", "DoesNotEnd", "Identity", "Pulled", "adjoint", "derive", "differential",
    "differential_of", "name_parts", "prepare", "rewrite", "tidy", "transpose",
]
