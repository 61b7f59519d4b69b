"""Normalisation: entries are centred and divided by their spread, over the samples or over the features of a sample.

With ``v`` the mean square of the centred entries, ``V = 1/sqrt(v + eps)`` is their inverse spread and ``Xhat`` what is
normalised; ``gamma`` starts at 1 and ``beta`` at 0, one of each for every feature.
"""

from __future__ import annotations

import sympy as sp

from symbp.expr import Node, Reshape, broadcast, expanded, plus, power, scaled, sum_axis, times
from symbp.layers.registry import Writer, layer
from symbp.ops.claims import Claim


def _claims(name: str, source: str, **forms: tuple[str, str]) -> tuple[Claim, ...]:
    """Return closed forms of the adjoints of ``Y = name(X, eps)``; C is the adjoint of Y, of any entries.

    forms: by what each is called, the variable whose adjoint it is, and the form.
    """
    declared = "samples: m\nX: param[n, m]\nC: input[n, m]\neps: input & positive\n"
    network = f"{declared}Y = {name}(X, eps)\nloss = sum(C * Y)\n"
    said = {title.replace("_", " "): form for title, form in forms.items()}
    return tuple(Claim(f"{name}: {title}", network, of, form, source=source) for title, (of, form) in said.items())


SCALE_AND_SHIFT = {
    "scale": ("gamma_Y", "sum(C * Xhat_Y, axis=1, keepdims=True)"),
    "shift": ("beta_Y", "sum(C, axis=1, keepdims=True)"),
}
BATCH_CLAIMS = _claims(
    "batch_norm", "F2",
    **SCALE_AND_SHIFT,
    # gamma/s (H - xhat xhat^T / m) of each feature, with the centring matrix H.
    projector_form=(
        "X",
        "gamma_Y * V_Y * (C @ (eye(m) - ones(m, 1) @ ones(1, m) / m)"
        " - Xhat_Y * sum(C * Xhat_Y, axis=1, keepdims=True) / m)",
    ),
    compact_form=(
        "X",
        "gamma_Y * (V_Y * (m*C - sum(C, axis=1, keepdims=True) - Xhat_Y * sum(C * Xhat_Y, axis=1, keepdims=True))) / m",
    ),
)
LAYER_CLAIMS = _claims(
    "layer_norm", "J. L. Ba, J. R. Kiros and G. E. Hinton, Layer Normalization, 2016",
    **SCALE_AND_SHIFT,
    projector_form=(
        "X",
        "V_Y * ((eye(n) - ones(n, 1) @ ones(1, n) / n) @ (gamma_Y * C)"
        " - Xhat_Y * mean(gamma_Y * C * Xhat_Y, axis=0, keepdims=True))",
    ),
    compact_form=(
        "X",
        "V_Y / n * (n*gamma_Y*C - sum(gamma_Y * C, axis=0, keepdims=True)"
        " - Xhat_Y * sum(gamma_Y * C * Xhat_Y, axis=0, keepdims=True))",
    ),
)
RMS_CLAIMS = _claims(
    "rms_norm", "B. Zhang and R. Sennrich, Root Mean Square Layer Normalization, 2019",
    scale=SCALE_AND_SHIFT["scale"],
    compact_form=("X", "V_Y / n * (n*gamma_Y*C - Xhat_Y * sum(gamma_Y * C * Xhat_Y, axis=0, keepdims=True))"),
)


@layer(
    "batch_norm(X, eps=1/100000, momentum=1/10)",
    "gamma * (X - mu) / sqrt(v + eps) + beta, with mean mu and variance v of each feature over the samples",
    BATCH_CLAIMS,
)
def batch_norm(writer: Writer, X: Node, eps: Node | sp.Expr, momentum: sp.Expr) -> Node:
    """Return each feature normalised over the samples, with a scale and a shift of its own.

    X:        features x samples (or samples x features).
    eps:      what is added to the variance.
    momentum: the weight of a new batch in the running mean and variance, which take the place of ``mu`` and ``v`` in
              inference: ``v_run <- (1 - momentum) v_run + momentum v``, with the variance that normalises (over m).

    Source: Ioffe and Szegedy 2015, formula F2.
    """
    _check_eps(eps)
    if not (momentum.is_Rational and 0 < momentum <= 1):
        raise ValueError(f"the momentum of a running mean is above 0 and at most 1, not {momentum}")
    axis = writer.sample_axis(X)
    mu = writer.equation("mu", _mean(X, axis))
    Xc = writer.equation("Xc", _centred(X, mu))
    v = writer.equation("v", _mean(power(Xc, 2), axis))
    Xhat = _divided(writer, Xc, v, eps)
    value = _scaled_and_shifted(writer, Xhat, axis)
    writer.running("mu_run", mu, momentum, start=sp.S.Zero)
    writer.running("v_run", v, momentum, "positive", start=sp.S.One)
    return value


@layer(
    "layer_norm(X, eps=1/100000)",
    "gamma * (X - mu) / sqrt(v + eps) + beta, with mean mu and variance v of each sample over its features",
    LAYER_CLAIMS,
)
def layer_norm(writer: Writer, X: Node, eps: Node | sp.Expr) -> Node:
    """Return each sample normalised over its features; each feature has a scale and a shift.

    X:   features x samples (or samples x features).
    eps: what is added to the variance.

    Source: Ba, Kiros and Hinton 2016.
    """
    _check_eps(eps)
    axis = writer.sample_axis(X)
    mu = writer.equation("mu", _mean(X, 1 - axis))
    Xc = writer.equation("Xc", _centred(X, mu))
    v = writer.equation("v", _mean(power(Xc, 2), 1 - axis))
    return _scaled_and_shifted(writer, _divided(writer, Xc, v, eps), axis)


@layer(
    "rms_norm(X, eps=1/100000)",
    "gamma * X / sqrt(q + eps), with the mean square q of each sample's features",
    RMS_CLAIMS,
)
def rms_norm(writer: Writer, X: Node, eps: Node | sp.Expr) -> Node:
    """Return each sample divided by the root of its mean square; each feature has a scale.

    X:   features x samples (or samples x features).
    eps: what is added to the mean square.

    Source: Zhang and Sennrich 2019.
    """
    _check_eps(eps)
    axis = writer.sample_axis(X)
    q = writer.equation("q", _mean(power(X, 2), 1 - axis))
    return times(_parameter(writer, "gamma", X, axis, 1), _divided(writer, X, q, eps))


@layer(
    "group_norm(X, groups, eps=1/100000)",
    "layer_norm over each group of neighbouring features by itself; gamma and beta for each feature",
)
def group_norm(writer: Writer, X: Node, groups: sp.Expr, eps: Node | sp.Expr) -> Node:
    """Return each group of neighbouring features of a sample normalised by itself.

    X:      features x samples (or samples x features); the number of features is a multiple of ``groups``.
    groups: how many groups there are; 1 gives ``layer_norm``.
    eps:    what is added to the variance.

    One column (or row) for each group of each sample: ``G = reshape(X, features/groups, groups*samples)``.

    Source: Wu and He 2018.
    """
    _check_eps(eps)
    axis = writer.sample_axis(X)
    features, samples = X.shape[1 - axis], X.shape[axis]
    size, many = sp.cancel(features / groups), expanded(groups * samples)
    if not sp.denom(size) == 1:
        raise ValueError(
            f"the number of features, {features}, is no multiple of {groups} for all sizes; "
            f"declare it as one: `assert {features} == {groups}*k`"
        )
    # Groups follow each other in a sample: down a column, or along a row.
    if axis == 1:
        G = writer.equation("G", Reshape(X, expanded(size), many, "F"))
    else:
        G = writer.equation("G", Reshape(X, many, expanded(size), "C"))
    mu = writer.equation("mu", _mean(G, 1 - axis))
    Gc = writer.equation("Gc", _centred(G, mu))
    v = writer.equation("v", _mean(power(Gc, 2), 1 - axis))
    Ghat = _divided(writer, Gc, v, eps, "Ghat")
    Xhat = writer.equation("Xhat", Reshape(Ghat, X.rows, X.cols, "F" if axis == 1 else "C"))
    return _scaled_and_shifted(writer, Xhat, axis)


def _check_eps(eps: Node | sp.Expr) -> None:
    if isinstance(eps, Node):
        if not eps.is_scalar_shape:
            raise ValueError("eps is a number: declare it as a scalar, `eps: input & positive`")
    elif not (eps.is_number and eps >= 0):
        raise ValueError(f"eps is a number that is not below 0, not {eps}")


def _mean(A: Node, axis: int) -> Node:
    return scaled(1 / A.shape[axis], sum_axis(A, axis))


def _centred(A: Node, mu: Node) -> Node:
    return plus(A, scaled(-1, broadcast(mu, *A.shape)))


def _divided(writer: Writer, Xc: Node, v: Node, eps: Node | sp.Expr, name: str = "Xhat") -> Node:
    """Write the inverse spread V and what is normalised."""
    V = writer.equation("V", power(power(v if eps == 0 else plus(v, eps), sp.S.Half), -1))
    return writer.equation(name, times(Xc, V))


def _scaled_and_shifted(writer: Writer, Xhat: Node, axis: int) -> Node:
    gamma = _parameter(writer, "gamma", Xhat, axis, 1)
    return plus(times(gamma, Xhat), _parameter(writer, "beta", Xhat, axis, 0))


def _parameter(writer: Writer, prefix: str, X: Node, axis: int, start: int) -> Node:
    """Declare one number for each feature."""
    shape = (X.rows, sp.S.One) if axis == 1 else (sp.S.One, X.cols)
    return writer.parameter(prefix, *shape, start=sp.Integer(start))
