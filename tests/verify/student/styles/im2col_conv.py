import numpy as np


def patches(images, k, step):
    n, c, height, width = images.shape
    rows, cols = (height - k) // step + 1, (width - k) // step + 1
    found = np.empty((n, rows, cols, c, k, k))
    for r in range(rows):
        for q in range(cols):
            found[:, r, q] = images[:, :, r * step:r * step + k, q * step:q * step + k]
    return found.reshape(n * rows * cols, c * k * k)


def unpatched(found, shape, k, step):
    n, c, height, width = shape
    rows, cols = (height - k) // step + 1, (width - k) // step + 1
    found = found.reshape(n, rows, cols, c, k, k)
    images = np.zeros(shape)
    for r in range(rows):
        for q in range(cols):
            images[:, :, r * step:r * step + k, q * step:q * step + k] += found[:, r, q]
    return images


def conv_forward(images, W, b, stride=1):
    count, c, k, _ = W.shape
    n, _, height, width = images.shape
    rows, cols = (height - k) // stride + 1, (width - k) // stride + 1
    columns = patches(images, k, stride)
    flat = columns @ W.reshape(count, -1).T + b
    return flat.reshape(n, rows, cols, count).transpose(0, 3, 1, 2), (images, W, columns, stride)


def conv_backward(dout, cache):
    images, W, columns, stride = cache
    count, c, k, _ = W.shape
    flat = dout.transpose(0, 2, 3, 1).reshape(-1, count)
    db = flat.sum(axis=0)
    dW = (flat.T @ columns).reshape(W.shape)
    dcolumns = flat @ W.reshape(count, -1)
    dimages = unpatched(dcolumns, images.shape, k, stride)
    return dimages, dW, db
