import numpy as np

def forward(x, params, mode='train', seed=None):
    np.random.seed(seed)
    W1, b1, g, be, W2, b2 = (params[k] for k in ['W1', 'b1', 'g', 'be', 'W2', 'b2'])
    a = x.dot(W1) + b1
    mu = a.mean(0)
    xc = a - mu
    var = (xc ** 2).mean(0)
    istd = 1 / np.sqrt(var + 1e-5)
    xn = xc * istd
    bn = g * xn + be
    r = np.maximum(bn, 0)
    if mode == 'train':
        mask = (np.random.rand(*r.shape) < 0.8) / 0.8
        d = r * mask
    else:
        mask = None
        d = r
    out = d.dot(W2) + b2
    return out, (x, W1, xc, istd, xn, g, bn, mask, d, W2)

def loss_fn(out, y):
    z = out - out.max(1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(1, keepdims=True))
    return -logp[range(len(y)), y].mean()

def backward(out, y, cache):
    x, W1, xc, istd, xn, g, bn, mask, d, W2 = cache
    n = len(y)
    z = out - out.max(1, keepdims=True)
    p = np.exp(z)
    p /= p.sum(1, keepdims=True)
    p[range(n), y] -= 1
    dout = p / n
    grads = {}
    grads['W2'] = d.T.dot(dout)
    grads['b2'] = dout.sum(0)
    dd = dout.dot(W2.T)
    dr = dd * mask
    dbn = dr * (bn > 0)
    grads['g'] = (dbn * xn).sum(0)
    grads['be'] = dbn.sum(0)
    dxn = dbn * g
    da = istd * (dxn - dxn.mean(0) - xn * (dxn * xn).mean(0))
    grads['W1'] = x.T.dot(da)
    grads['b1'] = da.sum(0)
    return grads
