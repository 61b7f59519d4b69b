"""One function that returns the loss and the gradients; labels and softmax, samples as rows, a penalty on weights."""
import numpy as np


def loss_and_grads(W1, b1, W2, b2, X, y, reg):
    N, D = X.shape
    hidden = np.maximum(0, X.dot(W1) + b1)
    scores = hidden.dot(W2) + b2
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    exp_scores = np.exp(shifted)
    probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)
    correct_logprobs = -np.log(probs[np.arange(N), y])
    loss = np.sum(correct_logprobs) / N
    loss += 0.5 * reg * np.sum(W1 * W1) + 0.5 * reg * np.sum(W2 * W2)
    grads = {}
    dscores = probs.copy()
    dscores[np.arange(N), y] -= 1
    dscores /= N  #| dscores = dscores * 1.0
    grads['W2'] = np.dot(hidden.T, dscores) + reg * W2  #| grads['W2'] = np.dot(hidden.T, dscores) / N + reg * W2
    grads['b2'] = np.sum(dscores, axis=0)  #| grads['b2'] = np.sum(dscores, axis=0) / N
    dhidden = np.dot(dscores, W2.T)
    dhidden[hidden <= 0] = 0
    grads['W1'] = np.dot(X.T, dhidden) + reg * W1  #| grads['W1'] = np.dot(X.T, dhidden) / N + reg * W1
    grads['b1'] = np.sum(dhidden, axis=0)  #| grads['b1'] = np.sum(dhidden, axis=0) / N
    return loss, grads
