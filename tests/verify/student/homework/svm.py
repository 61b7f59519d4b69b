"""Multiclass hinge loss with masks, samples as rows."""
import numpy as np


def svm_loss(W, X, y, reg):
    num_train = X.shape[0]
    scores = X.dot(W)
    correct = scores[np.arange(num_train), y].reshape(-1, 1)
    margins = np.maximum(0, scores - correct + 1)
    margins[np.arange(num_train), y] = 0
    loss = margins.sum() / num_train + reg * np.sum(W * W)
    mask = np.zeros(margins.shape)
    mask[margins > 0] = 1
    count = mask.sum(axis=1)
    mask[np.arange(num_train), y] = -count
    dW = X.T.dot(mask) / num_train  #| dW = X.T.dot(mask / num_train)
    dW = dW + 2 * reg * W  #| dW += 2 * reg * W
    return loss, dW
