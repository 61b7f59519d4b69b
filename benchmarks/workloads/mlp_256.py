"""A small MLP on images of 28 x 28: 784-128-10 with relu, batch 256."""

from ._dense import Dense

WORKLOAD = Dense(
    name="mlp_256",
    title="MLP 784-128-10, batch 256",
    widths=(784, 128, 10),
    hidden="relu",
    head="softmax",
    batch=256,
    rate=0.02,
)
