"""Losses by name, for ``from symbp.losses import softmax_cross_entropy``: see ``symbp.layers.losses``."""

from symbp.layers.losses import (
    cross_entropy,
    hinge,
    huber,
    kl_divergence,
    l2,
    log_cosh,
    mean_squared_error,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
    sum_of_squares,
)

__all__ = [
    "cross_entropy",
    "hinge",
    "huber",
    "kl_divergence",
    "l2",
    "log_cosh",
    "mean_squared_error",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "sum_of_squares",
]
