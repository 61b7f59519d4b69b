"""Logistic regression without a loop: one forward pass, one backward pass."""
import numpy as np

m = 40
X = np.random.randn(m, 3)
y = (np.random.rand(m, 1) > 0.5).astype(float)
w = np.zeros((3, 1))
b = 0
z = X @ w + b
a = 1 / (1 + np.exp(-z))
J = -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))
dz = (a - y) / m
dw = X.T @ dz
db = np.sum(dz)
print(J, dw, db)
