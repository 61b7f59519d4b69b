"""Convolution with four loops, padding and stride."""
import numpy as np


def conv_forward(x, w, b, conv_param):
    N, C, H, W = x.shape
    F, C2, HH, WW = w.shape
    assert C == C2
    stride, pad = conv_param['stride'], conv_param['pad']
    HO = 1 + (H + 2 * pad - HH) // stride
    WO = 1 + (W + 2 * pad - WW) // stride
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode='constant')
    out = np.zeros((N, F, HO, WO))
    for n in range(N):
        for f in range(F):
            for i in range(HO):
                for j in range(WO):
                    window = xp[n, :, i * stride:i * stride + HH, j * stride:j * stride + WW]
                    out[n, f, i, j] = np.sum(window * w[f]) + b[f]
    cache = (xp, w, conv_param)
    return out, cache


def conv_backward(dout, cache):
    xp, w, conv_param = cache
    stride, pad = conv_param['stride'], conv_param['pad']
    N, F, HO, WO = dout.shape
    HH, WW = w.shape[2], w.shape[3]
    dxp = np.zeros_like(xp)
    dw = np.zeros_like(w)
    db = np.sum(dout, axis=(0, 2, 3))  #| db = dout.sum(axis=(0, 2, 3))
    for n in range(N):
        for f in range(F):
            for i in range(HO):
                for j in range(WO):
                    g = dout[n, f, i, j]
                    window = xp[n, :, i * stride:i * stride + HH, j * stride:j * stride + WW]
                    dw[f] += window * g
                    dxp[n, :, i * stride:i * stride + HH, j * stride:j * stride + WW] += w[f] * g
    dx = dxp[:, :, pad:dxp.shape[2] - pad, pad:dxp.shape[3] - pad]
    return dx, dw, db
