import numpy as np


class Affine:
    def __init__(self, n_in, n_units):
        self.weights = np.random.normal(0, 0.1, (n_in, n_units))
        self.biases = np.zeros((1, n_units))

    def forward(self, inputs):
        self.inputs = inputs
        self.output = inputs.dot(self.weights) + self.biases

    def backward(self, dvalues):
        self.dweights = self.inputs.T.dot(dvalues)
        self.dbiases = dvalues.sum(axis=0, keepdims=True)
        self.dinputs = dvalues.dot(self.weights.T)


class Rectifier:
    def forward(self, inputs):
        self.inputs = inputs
        self.output = np.maximum(inputs, 0)

    def backward(self, dvalues):
        self.dinputs = dvalues.copy()
        self.dinputs[self.inputs <= 0] = 0
