import numpy as np

def sigmoid(x):
    return 1 / (1 + np.exp(-x))

def gru_forward(x, h_prev, Wz, Uz, Wr, Ur, Wh, Uh):
    z = sigmoid(x @ Wz + h_prev @ Uz)
    r = sigmoid(x @ Wr + h_prev @ Ur)
    g = np.tanh(x @ Wh + (r * h_prev) @ Uh)
    h = (1 - z) * h_prev + z * g
    cache = (x, h_prev, z, r, g, Wz, Uz, Wr, Ur, Wh, Uh)
    return h, cache

def gru_backward(dh, cache):
    x, h_prev, z, r, g, Wz, Uz, Wr, Ur, Wh, Uh = cache
    dz = dh * (g - h_prev)
    dg = dh * z
    dh_prev = dh * (1 - z)
    dag = dg * (1 - g ** 2)
    dWh = x.T @ dag
    dUh = (r * h_prev).T @ dag
    drh = dag @ Uh.T
    dr = drh * h_prev
    dh_prev += drh * r
    daz = dz * z * (1 - z)
    dar = dr * r * (1 - r)
    dWz = x.T @ daz
    dUz = h_prev.T @ daz
    dWr = x.T @ dar
    dUr = h_prev.T @ dar
    dh_prev += daz @ Uz.T + dar @ Ur.T
    dx = dag @ Wh.T + daz @ Wz.T + dar @ Wr.T
    return dx, dh_prev, dWz, dUz, dWr, dUr, dWh, dUh
