"""The sizes of the iris data: 4-16-3 with tanh, cross-entropy of a softmax, batch 32."""

from ._dense import Dense

WORKLOAD = Dense(
    name="iris",
    title="iris 4-16-3, batch 32",
    widths=(4, 16, 3),
    hidden="tanh",
    head="softmax",
    batch=32,
    rate=0.05,
)
