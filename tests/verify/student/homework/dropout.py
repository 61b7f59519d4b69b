"""Inverted dropout with masks that are drawn in the forward pass."""
import numpy as np


def forward(X, params, keep_prob=0.8):
    np.random.seed(1)
    W1, b1, W2, b2 = params['W1'], params['b1'], params['W2'], params['b2']
    Z1 = W1 @ X + b1
    A1 = np.maximum(0.1 * Z1, Z1)
    D1 = np.random.rand(A1.shape[0], A1.shape[1]) < keep_prob
    A1 = A1 * D1
    A1 = A1 / keep_prob
    Z2 = W2 @ A1 + b2
    cache = (Z1, D1, A1, W1, W2, Z2)
    return Z2, cache


def loss(Z2, Y):
    return np.mean((Z2 - Y) ** 2)


def backward(X, Y, cache, keep_prob=0.8):
    Z1, D1, A1, W1, W2, Z2 = cache
    size = Y.size
    dZ2 = 2 * (Z2 - Y) / size  #| dZ2 = Z2 - Y
    dW2 = dZ2 @ A1.T  #| dW2 = 2 / size * dZ2 @ A1.T
    db2 = dZ2.sum(axis=1, keepdims=True)  #| db2 = 2 / size * dZ2.sum(axis=1, keepdims=True)
    dA1 = W2.T @ dZ2
    dA1 = dA1 * D1
    dA1 = dA1 / keep_prob
    dZ1 = np.where(Z1 > 0, dA1, 0.1 * dA1)
    dW1 = dZ1 @ X.T  #| dW1 = dZ1 @ X.T * (2 / size)
    db1 = dZ1.sum(axis=1, keepdims=True)  #| db1 = dZ1.sum(axis=1, keepdims=True) * (2 / size)
    return {'W1': dW1, 'b1': db1, 'W2': dW2, 'b2': db2}
