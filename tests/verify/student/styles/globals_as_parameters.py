import numpy as np

W1 = np.random.randn(4, 6) * 0.1
b1 = np.zeros(6)
W2 = np.random.randn(6, 3) * 0.1
b2 = np.zeros(3)

def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)

def forward(X):
    h = np.tanh(X @ W1 + b1)
    p = softmax(h @ W2 + b2)
    return h, p

def loss(p, Y):
    return -np.mean(np.sum(Y * np.log(p), axis=1))

def backward(X, Y, h, p):
    n = X.shape[0]
    d2 = (p - Y) / n
    dW2 = h.T @ d2
    db2 = d2.sum(axis=0)
    d1 = d2 @ W2.T * (1 - h ** 2)
    dW1 = X.T @ d1
    db1 = d1.sum(axis=0)
    return dW1, db1, dW2, db2
