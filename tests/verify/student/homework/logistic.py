"""Logistic regression with vectors of one axis."""
import numpy as np


def forward(w, b, X):
    z = X @ w + b
    return 1 / (1 + np.exp(-z))


def loss(a, y):
    return -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))


def gradient(X, y, a):
    m = X.shape[0]
    dz = (a - y) / m  #| dz = a - y
    dw = X.T @ dz  #| dw = X.T @ dz / m
    db = np.sum(dz)  #| db = np.mean(dz)
    return dw, db
