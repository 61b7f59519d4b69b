"""Layer normalisation in its compact form, samples as rows."""
import numpy as np


def forward(x, gamma, beta):
    mu = x.mean(axis=1, keepdims=True)
    v = ((x - mu) ** 2).mean(axis=1, keepdims=True)
    rstd = 1 / np.sqrt(v + 1e-5)
    norm = (x - mu) * rstd
    out = norm * gamma + beta
    cache = {"norm": norm, "rstd": rstd, "gamma": gamma}
    return out, cache


def backward(dout, cache):
    norm, rstd, gamma = cache["norm"], cache["rstd"], cache["gamma"]
    dgamma = (dout * norm).sum(axis=0)
    dbeta = dout.sum(axis=0)
    dnorm = dout * gamma
    dx = dnorm - dnorm.mean(axis=1, keepdims=True) - norm * (dnorm * norm).mean(axis=1, keepdims=True)
    dx = dx * rstd  #| dx *= rstd
    return dx, dgamma, dbeta
