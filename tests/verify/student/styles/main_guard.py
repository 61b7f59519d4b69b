import numpy as np

np.random.seed(0)

def relu(z): return np.maximum(z, 0)

def forward(X, W1, b1, W2, b2):
    Z1 = X @ W1 + b1
    H = relu(Z1)
    yhat = H @ W2 + b2
    return yhat, H, Z1

def mse(yhat, y):
    return ((yhat - y) ** 2).mean()

def backward(X, y, yhat, H, Z1, W2):
    n = y.size
    d = 2 * (yhat - y) / n
    dW2 = H.T @ d
    db2 = d.sum(0)
    dH = d @ W2.T
    dH[Z1 < 0] = 0
    dW1 = X.T @ dH
    db1 = dH.sum(0)
    return dW1, db1, dW2, db2

if __name__ == "__main__":
    X = np.random.randn(20, 4)
    y = np.random.randn(20, 1)
    W1 = np.random.randn(4, 8); b1 = np.zeros(8)
    W2 = np.random.randn(8, 1); b2 = np.zeros(1)
    for epoch in range(100):
        yhat, H, Z1 = forward(X, W1, b1, W2, b2)
        loss = mse(yhat, y)
        dW1, db1, dW2, db2 = backward(X, y, yhat, H, Z1, W2)
        W1 -= 0.1 * dW1; b1 -= 0.1 * db1
        W2 -= 0.1 * dW2; b2 -= 0.1 * db2
        print(f"{epoch}: {loss:.4f}")
