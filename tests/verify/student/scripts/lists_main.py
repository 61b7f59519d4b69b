"""Any number of layers, in a function without parameters."""
import numpy as np


def main():
    sizes = [4, 6, 5, 2]
    L = len(sizes) - 1
    X = np.random.rand(4, 9)
    Y = np.random.rand(2, 9)
    W = [np.random.randn(sizes[i + 1], sizes[i]) for i in range(L)]
    b = [np.zeros((sizes[i + 1], 1)) for i in range(L)]
    for it in range(1000):
        A = [X]
        for l in range(L):
            A.append(np.tanh(W[l] @ A[-1] + b[l]))
        cost = np.mean((A[-1] - Y)**2)
        dW, db = [None] * L, [None] * L
        dA = 2 * (A[-1] - Y) / Y.size
        for l in reversed(range(L)):
            dZ = dA * (1 - A[l + 1]**2)
            dW[l] = dZ @ A[l].T
            db[l] = dZ.sum(axis=1, keepdims=True)
            dA = W[l].T @ dZ
        for l in range(L):
            W[l] -= 0.1 * dW[l]
            b[l] -= 0.1 * db[l]
        if it % 100 == 0:
            print(it, cost)


if __name__ == "__main__":
    main()
