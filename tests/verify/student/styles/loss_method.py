from builtins import range

import matplotlib.pyplot as plt
import numpy as np


class Classifier(object):
    def __init__(self, n_in, n_hidden, n_out, spread=1e-3):
        self.params = {
            'W1': spread * np.random.randn(n_in, n_hidden), 'b1': np.zeros(n_hidden),
            'W2': spread * np.random.randn(n_hidden, n_out), 'b2': np.zeros(n_out),
        }

    def loss(self, X, y=None, reg=0.0):
        W1, b1, W2, b2 = (self.params[k] for k in ('W1', 'b1', 'W2', 'b2'))
        count = X.shape[0]
        before = X @ W1 + b1
        hidden = before * (before > 0)
        scores = hidden @ W2 + b2
        if y is None:
            return scores
        scores = scores - scores.max(axis=1, keepdims=True)
        p = np.exp(scores)
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.mean(np.log(p[np.arange(count), y]))
        loss += reg * (np.sum(W1 ** 2) + np.sum(W2 ** 2))
        dscores = p.copy()
        dscores[np.arange(count), y] -= 1
        dscores /= count
        dW2 = hidden.T @ dscores + 2 * reg * W2
        db2 = dscores.sum(axis=0)
        dhidden = dscores @ W2.T
        dbefore = dhidden * (before > 0)
        dW1 = X.T @ dbefore + 2 * reg * W1
        db1 = dbefore.sum(axis=0)
        return loss, {'W1': dW1, 'b1': db1, 'W2': dW2, 'b2': db2}
