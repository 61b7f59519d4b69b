import numpy as np


def softmax_loss(W, X, y, reg):
    grad = np.zeros(W.shape)
    total = 0.0
    samples, classes = X.shape[0], W.shape[1]
    for i in range(samples):
        s = np.dot(X[i], W)
        p = np.exp(s - np.max(s))
        p = p / p.sum()
        total -= np.log(p[y[i]])
        for c in range(classes):
            hit = 1.0 if c == y[i] else 0.0
            grad[:, c] += (p[c] - hit) * X[i]
    loss = total / samples + 0.5 * reg * np.sum(W ** 2)
    dW = grad / samples + reg * W
    return loss, dW
