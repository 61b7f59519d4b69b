"""Right works, written by hand in several forms, and mistakes that are made in them."""

from __future__ import annotations

MLP = """dZ2 = (Z2 - Y) / m
dW2 = dZ2 @ A1.T
db2 = sum(dZ2, axis=1)
dZ1 = (W2.T @ dZ2) * (1 - A1**2)
dW1 = dZ1 @ X.T
db1 = sum(dZ1, axis=1)
"""

DEEP = """dZ[L] = (A[L] - Y)/m * dsigma(Z[L])
for l in range(L-1, 0, -1):
    dZ[l] = (W[l+1].T @ dZ[l+1]) * dsigma(Z[l])
for l in range(1, L+1):
    dW[l] = dZ[l] @ A[l-1].T
    db[l] = sum(dZ[l], axis=1)
"""

RNN = """for t in range(T, 0, -1):
    dO[t] = (O[t] - Y[t])/m
    dH[t] = V.T @ dO[t] + W.T @ dZ[t+1]
    dZ[t] = dH[t] * (1 - H[t]**2)
dV = sum(dO[t] @ H[t].T for t in range(1, T+1))
dc = sum(sum(dO[t], axis=1) for t in range(1, T+1))
dW = sum(dZ[t] @ H[t-1].T for t in range(1, T+1))
dU = sum(dZ[t] @ X[t].T for t in range(1, T+1))
db = sum(dZ[t] @ ones(m, 1) for t in range(1, T+1))
"""

LSTM = """for t in range(T, 0, -1):
    dE = (V @ H[t] - Y[t])/m
    dH[t] = V.T @ dE + U.T @ dS[t+1]
    dC[t] = dH[t]*O[t]*(1 - tanh(C[t])**2) + dC[t+1]*F[t+1]
    dG = dC[t]*I[t]*(1 - G[t]**2)
    dO = dH[t]*tanh(C[t])*O[t]*(1 - O[t])
    dF = dC[t]*C[t-1]*F[t]*(1 - F[t])
    dI = dC[t]*G[t]*I[t]*(1 - I[t])
    dS[t] = vstack([dI, dF, dO, dG])
dV = sum((V @ H[t] - Y[t]) @ H[t].T for t in range(1, T+1)) / m
dW = sum(dS[t] @ X[t].T for t in range(1, T+1))
dU = sum(dS[t] @ H[t-1].T for t in range(1, T+1))
db = sum(sum(dS[t], axis=1) for t in range(1, T+1))
"""

DIGITS = """dP = -Y/P/m
dZ2 = P*(dP - sum(P*dP, axis=0))
dW2 = dZ2 @ A1.T
db2 = sum(dZ2, axis=1)
dZ1 = (W_Z2.T @ dZ2) * (A1 > 0)
dW1 = dZ1 @ X.T
db1 = sum(dZ1, axis=1)
"""

BATCH_NORM = """dZ2 = (P - Y)/m
dW_Z2 = dZ2 @ A1.T
db_Z2 = sum(dZ2, axis=1)
dN1 = (W_Z2.T @ dZ2) * (N1 > 0)
dgamma = sum(dN1 * Xhat_N1, axis=1)
dbeta = sum(dN1, axis=1)
dXhat = dN1 * gamma_N1
s = sqrt(v_N1 + 1e-5)
dv = sum(dXhat * Xc_N1, axis=1) * (-1/2) / s**3
dmu = -sum(dXhat / s, axis=1) - 2*dv * mean(Xc_N1, axis=1)
dZ1 = dXhat / s + dv * 2 * Xc_N1 / m + dmu / m
dW_Z1 = dZ1 @ X.T
"""

COMPACT = BATCH_NORM[: BATCH_NORM.index("dv =")] + (
    "dZ1 = (dXhat - mean(dXhat, axis=1) - Xhat_N1 * mean(dXhat*Xhat_N1, axis=1)) / s\ndW_Z1 = dZ1 @ X.T\n"
)

ATTENTION = """for s in range(1, m+1):
    dA[s] = (A[s] - Y[s])/(m*T)
    dB = W_O.T @ dA[s]
    dV[s] = dB @ P[s].T
    dP = V[s].T @ dB
    dS = P[s]*(dP - sum(P[s]*dP, axis=0))
    dK[s] = Q[s] @ dS.T / sqrt(k)
    dQ[s] = K[s] @ dS / sqrt(k)
dW_Q = sum(dQ[s] @ X[s].T for s in range(1, m+1))
dW_K = sum(dK[s] @ X[s].T for s in range(1, m+1))
dW_V = sum(dV[s] @ X[s].T for s in range(1, m+1))
dW_O = sum(dA[s] @ (V[s] @ P[s]).T for s in range(1, m+1))
"""

RIGHT: dict[str, tuple[str, str]] = {
    "mlp": ("mlp", MLP),
    "own names": ("mlp", MLP.replace("dZ2", "e").replace("dZ1", "g")),
    "fractions and dictionaries": ("mlp", MLP.replace("dW1", "dL/dW1").replace("db1", "grads['b1']")),
    "deltas": ("mlp", MLP.replace("dZ2", "delta2").replace("dZ1", "delta1")),
    "constants in the gradients": (
        "mlp", MLP.replace(" / m", "").replace("A1.T", "A1.T / m").replace("X.T", "X.T / m").replace("=1)", "=1) / m"),
    ),
    "products with ones": ("mlp", MLP.replace("sum(dZ2, axis=1)", "dZ2 @ ones(m, 1)")),
    "einsum": ("mlp", MLP.replace("dZ1 @ X.T", "einsum('im,jm->ij', dZ1, X)")),
    "fused": ("mlp", MLP.replace("dZ1 @ X.T", "((W2.T @ (Z2 - Y) / m) * (1 - A1*A1)) @ X.T")),
    "a part that is a multiple of the result": (
        "mlp", MLP.replace("dW1 = dZ1 @ X.T", "part = (m * dZ1) @ X.T\ndW1 = part / m"),
    ),
    "with its own forward pass": ("mlp", "Z1 = W1 @ X + b1\nA1 = tanh(Z1)\nZ2 = W2 @ A1 + b2\n" + MLP),
    "deep": ("deep", DEEP),
    "rnn": ("rnn", RNN),
    "rnn, own names": ("rnn", RNN.replace("dZ", "e").replace("dH", "g").replace("dO", "r")),
    "lstm": ("lstm", LSTM),
    "lstm, own names": ("lstm", LSTM.replace("dS", "q").replace("dH", "r").replace("dC", "u").replace("dE", "e")),
    "digits": ("digits", DIGITS),
    "batch norm": ("batch_norm", BATCH_NORM),
    "batch norm, a path that is zero": ("batch_norm", BATCH_NORM.replace(" - 2*dv * mean(Xc_N1, axis=1)", "")),
    "batch norm, compact": ("batch_norm", COMPACT),
    "attention": ("attention", ATTENTION),
}
"""Networks and right works on them."""

MISTAKES: list[tuple[str, str, str, str, int, str]] = [
    ("mlp", MLP, " * (1 - A1**2)", "", 4, "slope missing"),
    ("mlp", MLP, "(1 - A1**2)", "(1 - Z1**2)", 4, "slope at the wrong argument"),
    ("mlp", MLP, "A1.T", "A1", 2, "transpose missing"),
    ("mlp", MLP, "X.T", "X.T / m", 5, "1/m extra"),
    ("mlp", MLP, "Z2 - Y", "Y - Z2", 1, "sign"),
    ("mlp", MLP, "sum(dZ2", "mean(dZ2", 3, "mean for sum"),
    ("mlp", MLP, "dZ1 @ X.T", "dZ1 @ A1.T", 5, "own output"),
    ("deep", DEEP, "W[l+1].T", "W[l].T", 3, "time index"),
    ("rnn", RNN, "W.T @ dZ", "W @ dZ", 3, "recurrent not transposed"),
    ("rnn", RNN, " + W.T @ dZ[t+1]", "", 3, "path dropped"),
    ("rnn", RNN, "H[t-1].T", "H[t].T", 7, "time index"),
    ("lstm", LSTM, "F[t+1]", "F[t]", 4, "time index"),
    ("digits", DIGITS, "P*(dP - sum(P*dP, axis=0))", "P*(1-P)*dP", 2, "softmax as diagonal"),
    ("batch_norm", COMPACT, " - mean(dXhat, axis=1)", "", 9, "path dropped"),
]
"""Network, right work, what is replaced by what, the line of the mistake and its nature."""
