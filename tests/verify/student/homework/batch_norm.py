"""Batch normalisation with a cache, step by step."""
import numpy as np


def batchnorm_forward(x, gamma, beta, eps=1e-5):
    mu = np.mean(x, axis=0)
    var = np.var(x, axis=0)
    std = np.sqrt(var + eps)
    xhat = (x - mu) / std
    out = gamma * xhat + beta
    cache = (x, mu, std, xhat, gamma)
    return out, cache


def batchnorm_backward(dout, cache):
    x, mu, std, xhat, gamma = cache
    N = x.shape[0]
    dbeta = np.sum(dout, axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * gamma
    dvar = np.sum(dxhat * (x - mu), axis=0) * -0.5 * std ** -3
    dmu = -np.sum(dxhat / std, axis=0) + dvar * np.mean(-2 * (x - mu), axis=0)
    dx = dxhat / std + dvar * 2 * (x - mu) / N + dmu / N  #| dx = dxhat / std + (dvar * 2 * (x - mu) + dmu) / N
    return dx, dgamma, dbeta
