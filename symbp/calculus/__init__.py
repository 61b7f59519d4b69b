"""Naming, differential, transposition, adjoint, identities: from a program to its derivative, as equations."""

from symbp.calculus.adjoint import Adjoint, adjoint
from symbp.calculus.batch import ConversionError, conversion, convert, sample_size, samples_axis, turn
from symbp.calculus.derive import derive, prepare
from symbp.calculus.differential import differential, differential_of
from symbp.calculus.identities import IDENTITIES, Context, Identity
from symbp.calculus.inference import inference
from symbp.calculus.naming import name_parts
from symbp.calculus.passes import Passes, UnspecifiedFunction, passes, with_functions
from symbp.calculus.rewriting import DoesNotEnd, rewrite, tidy
from symbp.calculus.sensitivity import jacobian_of, sensitivities
from symbp.calculus.split import Split, part_program, split_loss
from symbp.calculus.transposition import Pulled, transpose

__all__ = [
    "Adjoint",
    "Context",
    "ConversionError",
    "DoesNotEnd",
    "IDENTITIES",
    "Identity",
    "Passes",
    "Pulled",
    "Split",
    "UnspecifiedFunction",
    "adjoint",
    "conversion",
    "convert",
    "derive",
    "differential",
    "differential_of",
    "inference",
    "name_parts",
    "part_program",
    "passes",
    "prepare",
    "rewrite",
    "sensitivities",
    "sample_size",
    "samples_axis",
    "split_loss",
    "tidy",
    "transpose",
    "turn",
    "with_functions",
]
