"""An autoencoder whose decoder is the transposed encoder."""
import numpy as np


def forward(X, W, b, c):
    H = np.tanh(W @ X + b)
    R = W.T @ H + c
    return R, H


def loss_fn(R, X):
    m = X.shape[1]
    return 0.5 * np.sum((R - X) ** 2) / m


def backward(X, W, R, H):
    m = X.shape[1]
    dR = (R - X) / m  #| dR = R - X
    dc = dR.sum(axis=1, keepdims=True)  #| dc = dR.sum(axis=1, keepdims=True) / m
    dH = W @ dR
    dpre = dH * (1 - H ** 2)
    db = dpre.sum(axis=1, keepdims=True)  #| db = dpre.sum(axis=1, keepdims=True) / m
    dW_enc = dpre @ X.T  #| dW_enc = dpre @ X.T / m
    dW_dec = H @ dR.T  #| dW_dec = H @ dR.T / m
    dW = dW_enc + dW_dec
    return dW, db, dc
