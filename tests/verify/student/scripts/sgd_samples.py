"""Stochastic gradient descent, one sample after the other; the loss is summed up for the eye."""
import numpy as np

X = np.random.randn(20, 3)
y = np.random.randn(20)
w = np.zeros(3)
b = 0.0
lr = 0.01
for epoch in range(10):
    loss = 0.0
    for i in range(len(X)):
        p = X[i] @ w + b
        loss += (p - y[i])**2
        dw = 2 * (p - y[i]) * X[i]
        db = 2 * (p - y[i])
        w = w - lr * dw
        b = b - lr * db
    loss /= len(X)
    print(epoch, loss)
