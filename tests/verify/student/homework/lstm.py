"""A long short-term memory with one matrix for all gates, lists of caches, a gradient that comes from above."""
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_forward(x, h0, c0, Wx, Wh, b):
    N, T, D = x.shape
    H = h0.shape[1]
    h, c = h0, c0
    hs, caches = [], []
    for t in range(T):
        a = x[:, t] @ Wx + h @ Wh + b
        i = sigmoid(a[:, :H])
        f = sigmoid(a[:, H:2 * H])
        o = sigmoid(a[:, 2 * H:3 * H])
        g = np.tanh(a[:, 3 * H:4 * H])
        c_prev, h_prev = c, h
        c = f * c_prev + i * g
        tc = np.tanh(c)
        h = o * tc
        hs.append(h)
        caches.append((x[:, t], h_prev, c_prev, i, f, o, g, tc))
    return np.stack(hs, axis=1), (caches, Wx, Wh)


def lstm_backward(dout, cache):
    caches, Wx, Wh = cache
    T = len(caches)
    N, H = caches[0][1].shape
    D = caches[0][0].shape[1]
    dx = np.zeros((N, T, D))
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(4 * H)
    dh_next = np.zeros((N, H))
    dc_next = np.zeros((N, H))
    for t in range(T - 1, -1, -1):
        xt, h_prev, c_prev, i, f, o, g, tc = caches[t]
        dh = dout[:, t] + dh_next
        do = dh * tc
        dc = dc_next + dh * o * (1 - tc ** 2)  #| dc = np.multiply(dh, o) * (1 - np.square(tc)) + dc_next
        di = dc * g
        df = dc * c_prev
        dg = dc * i
        dc_next = dc * f
        da = np.hstack((di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g ** 2)))
        dx[:, t] = da @ Wx.T
        dWx += xt.T @ da
        dWh += h_prev.T @ da
        db += da.sum(axis=0)
        dh_next = da @ Wh.T
    dh0 = dh_next
    dc0 = dc_next
    return dx, dh0, dc0, dWx, dWh, db
