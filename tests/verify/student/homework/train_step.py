"""A training step that updates the parameters in place and returns the loss."""
import numpy as np


def train_step(X, Y, W1, b1, W2, b2, lr):
    m = X.shape[1]
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    loss = np.sum((Z2 - Y) ** 2) / (2 * m)
    dZ2 = (Z2 - Y) / m  #| dZ2 = Z2 - Y
    dW2 = dZ2 @ A1.T  #| dW2 = dZ2 @ A1.T / m
    db2 = dZ2.sum(axis=1, keepdims=True)  #| db2 = dZ2.mean(axis=1, keepdims=True)
    dZ1 = (W2.T @ dZ2) * (1 - A1 ** 2)
    dW1 = dZ1 @ X.T  #| dW1 = dZ1 @ X.T / m
    db1 = dZ1.sum(axis=1, keepdims=True)  #| db1 = dZ1.mean(axis=1, keepdims=True)
    W1 -= lr * dW1
    b1 -= lr * db1
    W2 -= lr * dW2
    b2 -= lr * db2
    return loss
