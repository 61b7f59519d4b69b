import numpy as np


def bend(t, slope=False):
    if slope:
        return t * (1 - t)
    return 1 / (1 + np.exp(-t))


inputs = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 1], [0, 0, 1]])
wanted = np.array([[1, 1, 0, 0]]).T
first = np.random.rand(3, 5) - 0.5
second = np.random.rand(5, 1) - 0.5
for turn in range(5000):
    hidden = bend(inputs @ first)
    out = bend(hidden @ second)
    miss = wanted - out
    if turn % 1000 == 0:
        print(turn, np.abs(miss).mean())
    out_delta = miss * bend(out, slope=True)
    hidden_delta = out_delta @ second.T * bend(hidden, slope=True)
    second += hidden.T @ out_delta
    first += inputs.T @ hidden_delta
