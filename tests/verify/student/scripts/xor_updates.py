"""Exclusive or; the gradients have no names of their own, the weights are changed by them."""
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
y = np.array([[0, 1, 1, 0]]).T
W1 = 2 * np.random.random((3, 4)) - 1
W2 = 2 * np.random.random((4, 1)) - 1
for j in range(60000):
    l1 = sigmoid(X @ W1)
    l2 = sigmoid(l1 @ W2)
    loss = 0.5 * np.sum((y - l2)**2)
    if j % 10000 == 0:
        print(loss)
    l2_delta = (y - l2) * (l2 * (1 - l2))
    l1_delta = l2_delta.dot(W2.T) * (l1 * (1 - l1))
    W2 += l1.T.dot(l2_delta)
    W1 += X.T.dot(l1_delta)
