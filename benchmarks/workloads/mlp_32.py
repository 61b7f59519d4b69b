"""A small MLP on images of 28 x 28: 784-128-10 with relu, batch 32."""

from ._dense import Dense

WORKLOAD = Dense(
    name="mlp_32",
    title="MLP 784-128-10, batch 32",
    widths=(784, 128, 10),
    hidden="relu",
    head="softmax",
    batch=32,
    rate=0.02,
)
