"""Softmax regression over batches, with a function of its own and a dictionary of parameters."""
import numpy as np

num, dim, classes, size = 50, 4, 3, 10
scale = 0.01
reg = 1e-3
X = np.random.randn(num, dim)
labels = np.random.randint(0, classes, num)
Y = np.eye(classes)[labels]
params = {'W': scale * np.random.randn(dim, classes), 'b': np.zeros((1, classes))}
mu = X.mean(axis=0)
X = X - mu


def softmax(Z):
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


for epoch in range(20):
    total = 0
    for i in range(0, num, size):
        Xb, Yb = X[i:i + size], Y[i:i + size]
        P = softmax(Xb @ params['W'] + params['b'])
        loss = -np.sum(Yb * np.log(P)) / size + 0.5 * reg * np.sum(params['W']**2)
        total += loss
        dZ = (P - Yb) / size
        grads = {'W': Xb.T @ dZ + reg * params['W'], 'b': dZ.sum(axis=0, keepdims=True)}
        for key in params:
            params[key] -= 0.1 * grads[key]
    print(epoch, total / (num / size))
