"""Losses by name, for ``from symbp.losses import softmax_cross_entropy``: see ``symbp.layers.losses``."""

from symbp.layers.losses import (
    cosine_similarity_loss,
    cross_entropy,
    hinge,
    huber,
    kl_divergence,
    l2,
    log_cosh,
    mean_squared_error,
    sigmoid_cross_entropy,
    sigmoid_focal,
    softmax_cross_entropy,
    softmax_focal,
    sum_of_squares,
    triplet,
)

__all__ = [
    "cosine_similarity_loss",
    "cross_entropy",
    "hinge",
    "huber",
    "kl_divergence",
    "l2",
    "log_cosh",
    "mean_squared_error",
    "sigmoid_cross_entropy",
    "sigmoid_focal",
    "softmax_cross_entropy",
    "softmax_focal",
    "sum_of_squares",
    "triplet",
]
