import numpy as np

class Linear:
    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_in, n_out) * np.sqrt(2 / n_in)
        self.b = np.zeros(n_out)

    def __call__(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad):
        self.dW = self.x.T @ grad
        self.db = grad.sum(axis=0)
        return grad @ self.W.T

class ReLU:
    def __call__(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, grad):
        return grad * self.mask

class CrossEntropy:
    def __call__(self, logits, y):
        z = logits - logits.max(axis=1, keepdims=True)
        self.p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        self.y = y
        return -np.log(self.p[np.arange(len(y)), y]).mean()

    def backward(self):
        g = self.p.copy()
        g[np.arange(len(self.y)), self.y] -= 1
        return g / len(self.y)

class MLP:
    def __init__(self, n_in, n_hidden, n_out):
        self.l1 = Linear(n_in, n_hidden)
        self.act = ReLU()
        self.l2 = Linear(n_hidden, n_out)
        self.criterion = CrossEntropy()

    def forward(self, x, y):
        h = self.act(self.l1(x))
        logits = self.l2(h)
        return self.criterion(logits, y)

    def backward(self):
        g = self.criterion.backward()
        g = self.l2.backward(g)
        g = self.act.backward(g)
        self.l1.backward(g)
