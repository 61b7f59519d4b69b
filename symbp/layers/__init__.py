"""Layers and losses: functions that write equations in primitives.  No rules are here.

A layer takes a *writer* and its arguments, writes equations for its parts and returns the expression of its value.
Its parameters are named after the left side of the equation in which it stands: ``A1 = dense(X, n1, tanh)`` has
``W_A1`` and ``b_A1``.
"""

from symbp.layers.registry import LAYERS, Layer, Writer
from symbp.layers import attention, convolution, dense, gates, losses, normalisation, recurrent

__all__ = ["LAYERS", "Layer", "Writer"]
