"""The words between which a user may choose; light, so that ``symbp --help`` can name them."""

from __future__ import annotations

from typing import Literal

Samples = Literal["rows", "columns"]
Weights = Literal["in_out", "out_in"]
Adjoints = Literal["bar", "partial", "delta", "dvar"]
Products = Literal["hadamard", "diag"]
Form = Literal["matrix", "index"]
Target = Literal["numpy", "c"]
Dtype = Literal["float32", "float64"]
Memory = Literal["static", "block"]
Mode = Literal["training", "inference"]
Optimizer = Literal["sgd", "momentum", "adam"]
