"""Any number of layers: keys made of text and a number, a list of caches, a reversed loop."""
import numpy as np


def init_params(layer_dims):
    params = {}
    for l in range(1, len(layer_dims)):
        params['W' + str(l)] = np.random.randn(layer_dims[l], layer_dims[l - 1]) * 0.1
        params['b' + str(l)] = np.zeros((layer_dims[l], 1))
    return params


def relu(Z):
    return np.maximum(0, Z)


def forward(X, params):
    L = len(params) // 2
    A = X
    caches = []
    for l in range(1, L + 1):
        A_prev = A
        W, b = params['W' + str(l)], params['b' + str(l)]
        Z = W @ A_prev + b
        if l < L:
            A = relu(Z)
        else:
            A = Z
        caches.append((A_prev, W, Z))
    return A, caches


def cost(A, Y):
    m = Y.shape[1]
    return 0.5 / m * np.sum(np.square(A - Y))


def backward(A, Y, caches):
    grads = {}
    L = len(caches)
    m = Y.shape[1]
    dA = (A - Y) / m  #| dA = A - Y
    for l in reversed(range(1, L + 1)):
        A_prev, W, Z = caches[l - 1]
        if l == L:
            dZ = dA
        else:
            dZ = dA * (Z > 0)
        grads['dW' + str(l)] = dZ @ A_prev.T  #| grads['dW' + str(l)] = dZ @ A_prev.T / m
        grads['db' + str(l)] = np.sum(dZ, axis=1, keepdims=True)  #| grads['db' + str(l)] = np.sum(dZ, axis=1, keepdims=True) / m
        dA = W.T @ dZ
    return grads
