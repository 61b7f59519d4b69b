"""Softmax regression on one-hot targets in rows, with einsum and means."""
import numpy as np


def forward(X, W, b):
    scores = np.einsum('ij,jk->ik', X, W) + b
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy(P, Y):
    return -np.mean(np.sum(Y * np.log(P), axis=1))


def backward(X, Y, P):
    n = X.shape[0]
    G = (P - Y) / n  #| G = P - Y
    dW = np.einsum('ij,ik->jk', X, G)  #| dW = np.einsum('ij,ik->jk', X, G) / n
    db = G.sum(axis=0, keepdims=True)  #| db = G.mean(axis=0, keepdims=True)
    return dW, db
