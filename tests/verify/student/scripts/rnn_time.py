"""A recurrent network: loops over time stay as they are, of the loop that trains one round is taken."""
import numpy as np

T, n, h, k = 6, 3, 5, 2
xs = np.random.randn(T, n, 1)
ys = np.random.randn(T, k, 1)
Wx = np.random.randn(h, n) * 0.1
Wh = np.random.randn(h, h) * 0.1
Wy = np.random.randn(k, h) * 0.1
bh = np.zeros((h, 1))
step = 0
while step < 100:
    hs = {-1: np.zeros((h, 1))}
    os = {}
    loss = 0
    for t in range(T):
        hs[t] = np.tanh(Wx @ xs[t] + Wh @ hs[t - 1] + bh)
        os[t] = Wy @ hs[t]
        loss += 0.5 * np.sum((os[t] - ys[t])**2)
    dWx, dWh, dWy = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(Wy)
    dbh = np.zeros_like(bh)
    dhnext = np.zeros((h, 1))
    for t in reversed(range(T)):
        do = os[t] - ys[t]
        dWy += do @ hs[t].T
        dh = Wy.T @ do + dhnext
        draw = (1 - hs[t] * hs[t]) * dh
        dbh += draw
        dWx += draw @ xs[t].T
        dWh += draw @ hs[t - 1].T
        dhnext = Wh.T @ draw
    for param, dparam in zip([Wx, Wh, Wy, bh], [dWx, dWh, dWy, dbh]):
        param += -0.1 * dparam
    step += 1
