"""The choices of notation: how adjoints are called, how products are written, which characters may be used.

A ``Notation`` is read where a derivation leaves the system, never inside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from symbp.calculus.batch import known_axis
from symbp.expr import has_size
from symbp.program import Program

Adjoints = Literal["bar", "partial", "delta", "dvar"]
Products = Literal["hadamard", "diag"]
Charset = Literal["ascii", "unicode"]


@dataclass(frozen=True)
class Notation:
    """How a derivation is written.

    adjoints: ``bar`` (W-bar), ``partial`` (dL/dW), ``delta`` (as in Nielsen: the adjoint of a pre-activation is
              a delta, BP1 to BP4 are marked; other adjoints as in ``partial``), ``dvar`` (dW, as in code).
    products: ``hadamard`` (entrywise products), ``diag`` (diagonal matrices where a factor is a vector).
    charset:  the characters of the terminal form.
    """

    adjoints: Adjoints = "bar"
    products: Products = "hadamard"
    charset: Charset = "unicode"


ADJOINT_LEGEND: dict[Adjoints, str] = {
    "bar": "an adjoint is written with a bar",
    "partial": "an adjoint is written as a partial derivative, in the shape of its variable",
    "delta": "the adjoint of a pre-activation is written as delta (Nielsen), others as partial derivatives",
    "dvar": "the adjoint of W is written dW, as in code; a differential carries a dot",
}
"""What a header says about the names of adjoints."""


def sample_axis(program: Program) -> Literal["columns", "rows"] | None:
    """Return the axis along which the samples of the program lie, or their positions; None if it is not known."""
    return None if program.samples is None else known_axis(program)


def mode_text(program: Program) -> str:
    """Return ``in inference`` for a program that reads running statistics, else an empty text."""
    stored = any(var.kind == "state" for var in program.variables.values()) and not program.running
    return "in inference" if stored else ""


def samples_text(program: Program) -> str:
    """Return ``samples are columns``, or an empty text when the program does not say which size counts samples."""
    axis = sample_axis(program)
    return f"{counted(program)} are {axis}" if axis else ""


def counted(program: Program) -> str:
    """Return what lies side by side in a matrix: samples, or positions where the samples are members of a family."""
    m = program.samples
    shapes = [end for var in program.declared("input", "target") for end in var.shape]
    return "samples" if m is not None and any(has_size(end, m) for end in shapes) else "positions"
