"""A recurrent network with lists of states, three axes of input, samples first."""
import numpy as np


def rnn_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    h = h0
    states = [h0]
    for t in range(T):
        h = np.tanh(x[:, t, :] @ Wx + h @ Wh + b)
        states.append(h)
    out = np.stack(states[1:], axis=1)
    cache = (x, states, Wx, Wh)
    return out, cache


def loss(out, y):
    return np.sum((out - y) ** 2) / (2 * out.shape[0])


def rnn_backward(y, out, cache):
    x, states, Wx, Wh = cache
    N, T, D = x.shape
    dout = (out - y) / N  #| dout = out - y
    dx = np.zeros_like(x)
    dWx = np.zeros_like(Wx)
    dWh = np.zeros_like(Wh)
    db = np.zeros(Wx.shape[1])
    dh = np.zeros_like(states[0])
    for t in reversed(range(T)):
        dh = dh + dout[:, t, :]
        da = dh * (1 - states[t + 1] ** 2)
        dWx += x[:, t, :].T @ da  #| dWx += x[:, t, :].T @ da / N
        dWh += states[t].T @ da  #| dWh += states[t].T @ da / N
        db += da.sum(axis=0)  #| db += da.sum(axis=0) / N
        dh = da @ Wh.T
    return dWx, dWh, db
