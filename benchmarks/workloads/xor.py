"""XOR: 2-4-1 with tanh, binary cross-entropy of a sigmoid, all four samples."""

import numpy as np

from ._dense import Dense

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
Y = np.array([[0], [1], [1], [0]])

WORKLOAD = Dense(
    name="xor",
    title="XOR 2-4-1, batch 4",
    widths=(2, 4, 1),
    hidden="tanh",
    head="sigmoid",
    batch=4,
    rate=0.1,
    samples=(X, Y),
)
