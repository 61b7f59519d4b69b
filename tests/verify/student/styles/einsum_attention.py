import numpy as np

def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)

def attention_forward(X, Wq, Wk, Wv):
    Q = np.einsum('btd,dk->btk', X, Wq)
    K = np.einsum('btd,dk->btk', X, Wk)
    V = np.einsum('btd,dv->btv', X, Wv)
    S = np.einsum('btk,bsk->bts', Q, K) / np.sqrt(Q.shape[-1])
    P = softmax(S)
    O = np.einsum('bts,bsv->btv', P, V)
    return O, (X, Wq, Wk, Wv, Q, K, V, P)

def attention_backward(dO, cache):
    X, Wq, Wk, Wv, Q, K, V, P = cache
    dV = np.einsum('bts,btv->bsv', P, dO)
    dP = np.einsum('btv,bsv->bts', dO, V)
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
    dS = dS / np.sqrt(Q.shape[-1])
    dQ = np.einsum('bts,bsk->btk', dS, K)
    dK = np.einsum('bts,btk->bsk', dS, Q)
    dWq = np.einsum('btd,btk->dk', X, dQ)
    dWk = np.einsum('btd,btk->dk', X, dK)
    dWv = np.einsum('btd,btv->dv', X, dV)
    dX = dQ @ Wq.T + dK @ Wk.T + dV @ Wv.T
    return dX, dWq, dWk, dWv
