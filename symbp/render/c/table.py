"""How C spells entrywise operations: a line per primitive.  ``{x}`` and ``{y}`` are the arguments, ``{p}`` a parameter.

A line is the body of a small function, or the name of a kernel: a function of its own that compilers can run on several
numbers at a time.
"""

from __future__ import annotations

FUNCTIONS: dict[str, str] = {
    "recip": "1 / x",
    "recip0": "x != 0 ? 1 / x : 0",
    "power": "kernel",
    "pow": "pow(x, y)",
    "exp": "kernel",
    "log": "kernel",
    "sqrt": "sqrt(x)",
    "tanh": "kernel",
    "sigmoid": "kernel",
    "softplus": "kernel",
    "sin": "sin(x)",
    "cos": "cos(x)",
    "erf": "kernel",
    "abs": "fabs(x)",
    "sign": "x > 0 ? 1 : x < 0 ? -1 : 0",
    "step": "x > 0 ? 1 : 0",
    "relu": "x > 0 ? x : 0",
    "leaky_relu": "x > 0 ? x : {p} * x",
    "elu": "x > 0 ? x : {p} * expm1(x)",
    "silu": "x * sigmoid(x)",
    "mish": "x * tanh(softplus(x))",
    "gelu": "x * (1 + erf(x * {sqrt_half})) / 2",
    "arctan": "atan(x)",
    "softsign": "x / (1 + fabs(x))",
    "hard_tanh": "x > 1 ? 1 : x < -1 ? -1 : x",
    "stop_gradient": "x",
}

CALLS: dict[str, tuple[str, ...]] = {
    "silu": ("sigmoid",), "mish": ("tanh", "softplus"), "gelu": ("erf",), "sigmoid": ("exp",), "softplus": ("exp",),
    "erf": ("exp",),
}
"""Functions that call others of the table."""

KERNEL_PARTS: dict[str, tuple[str, ...]] = {"exp": ("exp_parts",), "tanh": ("exp_parts",)}
"""What kernels share with others, by template."""
