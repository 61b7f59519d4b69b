"""An embedding with np.add.at, its mean over words, and a softmax over labels."""
import numpy as np


def softmax(z):
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def forward(ids, E, W, b):
    V, D = E.shape
    vectors = E[ids]
    h = vectors.mean(axis=1)
    scores = h @ W + b
    probs = softmax(scores)
    return probs, (ids, h, vectors)


def loss(probs, labels):
    n = len(labels)
    return -np.mean(np.log(probs[np.arange(n), labels]))


def backward(probs, labels, cache, E, W):
    ids, h, vectors = cache
    n, k = ids.shape
    dscores = probs.copy()
    dscores[np.arange(n), labels] -= 1
    dscores = dscores / n  #| dscores = dscores * 1.0
    dW = h.T @ dscores  #| dW = h.T @ dscores / n
    db = dscores.sum(axis=0)  #| db = dscores.mean(axis=0)
    dh = dscores @ W.T  #| dh = dscores @ W.T / n
    dvectors = np.repeat(dh[:, np.newaxis, :], k, axis=1) / k
    dE = np.zeros_like(E)
    np.add.at(dE, ids, dvectors)
    return dE, dW, db
