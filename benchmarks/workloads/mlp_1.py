"""A small MLP on images of 28 x 28: 784-128-10 with relu, one sample."""

from ._dense import Dense

WORKLOAD = Dense(
    name="mlp_1",
    title="MLP 784-128-10, batch 1",
    widths=(784, 128, 10),
    hidden="relu",
    head="softmax",
    batch=1,
    rate=0.01,
)
