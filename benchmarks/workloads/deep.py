"""A deep network: 20 layers of 256 units, tanh between them, square loss, batch 64."""

from ._dense import Dense

WORKLOAD = Dense(
    name="deep",
    title="20 x 256 tanh, batch 64",
    widths=(256,) * 21,
    hidden="tanh",
    head="square",
    batch=64,
    rate=0.01,
)
