import numpy as np


def squash(t):
    return 1 / (1 + np.exp(-t))


def loss_and_gradients(center_vec, word_idx, vectors, noise_indices):
    near, far = vectors[word_idx], vectors[noise_indices]
    hit = squash(near @ center_vec)
    spared = squash(-far @ center_vec)
    loss = -np.log(hit) - np.log(spared).sum()
    grad_center_vec = (hit - 1) * near + (1 - spared) @ far
    grad_vectors = np.zeros_like(vectors)
    grad_vectors[word_idx] += (hit - 1) * center_vec
    np.add.at(grad_vectors, noise_indices, np.outer(1 - spared, center_vec))
    return loss, grad_center_vec, grad_vectors
