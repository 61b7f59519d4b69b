"""An MLP with two wide hidden layers: 784-1024-1024-10 with relu, batch 256."""

from ._dense import Dense

WORKLOAD = Dense(
    name="wide",
    title="MLP 784-1024-1024-10, batch 256",
    widths=(784, 1024, 1024, 10),
    hidden="relu",
    head="softmax",
    batch=256,
    rate=0.02,
)
