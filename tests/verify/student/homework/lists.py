"""Lists of weights and biases, one sample at a time in the manner of a well-known book, sums of gradients."""
import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))


def feedforward(x, weights, biases):
    activations = [x]
    zs = []
    a = x
    for w, b in zip(weights, biases):
        z = np.dot(w, a) + b
        zs.append(z)
        a = sigmoid(z)
        activations.append(a)
    return a, zs, activations


def cost(a, y):
    return 0.5 * np.sum((a - y) ** 2)  #| return 0.5 * np.sum((a - y) ** 2) / y.shape[1]


def backprop(y, zs, activations, weights):
    nabla_b = [None] * len(weights)
    nabla_w = [None] * len(weights)
    m = y.shape[1]
    delta = (activations[-1] - y) * sigmoid_prime(zs[-1])
    delta = delta * 1.0  #| delta = delta / m
    nabla_b[-1] = delta.sum(axis=1, keepdims=True)
    nabla_w[-1] = np.dot(delta, activations[-2].transpose())
    for l in range(2, len(weights) + 1):
        z = zs[-l]
        sp = sigmoid_prime(z)
        delta = np.dot(weights[-l + 1].transpose(), delta) * sp
        nabla_b[-l] = delta.sum(axis=1, keepdims=True)
        nabla_w[-l] = np.dot(delta, activations[-l - 1].transpose())
    return nabla_b, nabla_w
