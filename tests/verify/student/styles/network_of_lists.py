import numpy as np


def squash(t):
    return 1 / (1 + np.exp(-t))


class Net:
    def __init__(self, sizes):
        self.sizes = sizes
        self.weights = [np.random.randn(n, m) for m, n in zip(sizes[:-1], sizes[1:])]
        self.biases = [np.random.randn(n, 1) for n in sizes[1:]]

    def feedforward(self, a):
        for W, b in zip(self.weights, self.biases):
            a = squash(W @ a + b)
        return a

    def backprop(self, x, y):
        outs, sums = [x], []
        for W, b in zip(self.weights, self.biases):
            sums.append(W @ outs[-1] + b)
            outs.append(squash(sums[-1]))
        nabla_w = [None] * len(self.weights)
        nabla_b = [None] * len(self.biases)
        s = squash(sums[-1])
        delta = (outs[-1] - y) * s * (1 - s)
        for k in range(1, len(self.sizes)):
            if k > 1:
                s = squash(sums[-k])
                delta = self.weights[-k + 1].T @ delta * s * (1 - s)
            nabla_b[-k] = delta
            nabla_w[-k] = delta @ outs[-k - 1].T
        return nabla_b, nabla_w
