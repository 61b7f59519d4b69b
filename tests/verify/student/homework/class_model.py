"""A class with attributes, samples as rows."""
import numpy as np


class NeuralNetwork:
    def __init__(self, n_in, n_hidden, n_out):
        self.W1 = np.random.randn(n_in, n_hidden) * 0.01
        self.b1 = np.zeros((1, n_hidden))
        self.W2 = np.random.randn(n_hidden, n_out) * 0.01
        self.b2 = np.zeros((1, n_out))

    def forward(self, X):
        self.X = X
        self.z1 = X @ self.W1 + self.b1
        self.a1 = 1 / (1 + np.exp(-self.z1))
        self.z2 = self.a1 @ self.W2 + self.b2
        return self.z2

    def loss(self, y_hat, y):
        return np.mean(np.sum((y_hat - y) ** 2, axis=1))

    def backward(self, y):
        m = y.shape[0]
        dz2 = 2 * (self.z2 - y) / m  #| dz2 = 2 * (self.z2 - y)
        self.dW2 = self.a1.T @ dz2  #| self.dW2 = self.a1.T @ dz2 / m
        self.db2 = np.sum(dz2, axis=0, keepdims=True)  #| self.db2 = np.mean(dz2, axis=0, keepdims=True)
        da1 = dz2 @ self.W2.T
        dz1 = da1 * self.a1 * (1 - self.a1)
        self.dW1 = self.X.T @ dz1  #| self.dW1 = self.X.T @ dz1 / m
        self.db1 = np.sum(dz1, axis=0, keepdims=True)  #| self.db1 = np.mean(dz1, axis=0, keepdims=True)
