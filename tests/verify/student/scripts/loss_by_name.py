"""The loss has another name, and is told by --loss."""
import numpy as np

X = np.random.randn(7, 30)
Y = np.random.randn(2, 30)
W = np.random.randn(2, 7)
for k in range(100):
    A = np.tanh(W @ X)
    delta = 2 * (A - Y)
    dW = (delta * (1 - A**2)) @ X.T
    W -= 0.01 * dW
