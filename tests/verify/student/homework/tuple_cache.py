"""Two functions, a cache that is a tuple, samples as columns."""
import numpy as np


def forward(X, W1, b1, W2, b2):
    Z1 = np.dot(W1, X) + b1
    A1 = np.tanh(Z1)
    Z2 = np.dot(W2, A1) + b2
    cache = (X, Z1, A1, Z2, W2)
    return Z2, cache


def compute_loss(Z2, Y):
    m = Y.shape[1]
    return np.sum((Z2 - Y) ** 2) / (2 * m)


def backward(cache, Y):
    X, Z1, A1, Z2, W2 = cache
    m = Y.shape[1]
    dZ2 = (Z2 - Y) / m  #| dZ2 = Z2 - Y
    dW2 = np.dot(dZ2, A1.T)  #| dW2 = np.dot(dZ2, A1.T) / m
    db2 = np.sum(dZ2, axis=1, keepdims=True)  #| db2 = np.sum(dZ2, axis=1, keepdims=True) / m
    dA1 = np.dot(W2.T, dZ2)
    dZ1 = dA1 * (1 - A1 ** 2)
    dW1 = np.dot(dZ1, X.T)  #| dW1 = np.dot(dZ1, X.T) / m
    db1 = np.sum(dZ1, axis=1, keepdims=True)  #| db1 = np.sum(dZ1, axis=1, keepdims=True) / m
    return dW1, db1, dW2, db2
