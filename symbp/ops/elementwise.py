"""The elementwise functions, one entry each; the table is closed under slope.

``law`` is the scalar function; ``slope`` is its derivative as a function of the argument ``x`` and the value ``y``,
through the value where that is shorter.  In scope: the operators of matrix expressions (``*`` is the Hadamard
product, a number is added to each entry) and the other entries of the table.
Conventions at kinks: step(0) = 0, sign(0) = 0.
"""

from __future__ import annotations

import sympy as sp

from symbp.expr import Node, Ones, Where
from symbp.ops.rule import Elementwise, elementwise

HALF = sp.Rational(1, 2)


def _positive(x: sp.Expr, then: sp.Expr, otherwise: sp.Expr) -> sp.Expr:
    return sp.Piecewise((then, x > 0), (otherwise, True))


def _elu_slope(x: Node, y: Node, alpha: sp.Expr) -> Node:
    return Where(step(x), Ones(*x.shape), y + alpha)


recip: Elementwise = elementwise(
    "recip",
    r"{X}^{{\odot -1}}",
    lambda x: 1 / x,
    slope=lambda x, y: -(y**2),
    domain="no zero entry",
)
recip0 = elementwise(
    "recip0",
    r"{X}^{{\odot +}}",
    lambda x: sp.Piecewise((0, sp.Eq(x, 0)), (1 / x, True)),
    slope=lambda x, y: -(y**2),
    kinks="0 at 0",
)
power: Elementwise = elementwise(
    "power",
    r"{X}^{{\odot {p}}}",
    lambda x, p: x**p,
    slope=lambda x, y, p: p * x ** (p - 1),
    parameters=("p",),
    domain="positive entries unless the exponent is a natural number",
    spoken={(sp.Integer(2),): "square", (sp.Integer(3),): "cube"},
)
pow_ = Elementwise(
    "pow",
    r"{X}^{{\odot {E}}}",
    lambda x, e: x**e,
    (lambda x, e, y: e * x ** (e - 1), lambda x, e, y: y * log(x)),
    domain="positive base",
)
exp: Elementwise = elementwise("exp", r"\exp({X})", sp.exp, slope=lambda x, y: y)
log: Elementwise = elementwise("log", r"\log({X})", sp.log, slope=lambda x, y: recip(x), domain="positive entries")
sqrt = elementwise("sqrt", r"\sqrt{{{X}}}", sp.sqrt, slope=lambda x, y: HALF * recip(y), domain="positive entries")
tanh = elementwise("tanh", r"\tanh({X})", sp.tanh, slope=lambda x, y: 1 - y**2, source="F1.5")
sigmoid: Elementwise = elementwise(
    "sigmoid",
    r"\sigma({X})",
    lambda x: 1 / (1 + sp.exp(-x)),
    slope=lambda x, y: y * (1 - y),
    source="F1.5",
    aliases=("logistic", "expit"),
)
softplus = elementwise(
    "softplus",
    r"\operatorname{{softplus}}({X})",
    lambda x: sp.log(1 + sp.exp(x)),
    slope=lambda x, y: sigmoid(x),
    source="F1.5",
)
sin: Elementwise = elementwise("sin", r"\sin({X})", sp.sin, slope=lambda x, y: cos(x))
cos: Elementwise = elementwise("cos", r"\cos({X})", sp.cos, slope=lambda x, y: -sin(x))
erf: Elementwise = elementwise(
    "erf",
    r"\operatorname{{erf}}({X})",
    sp.erf,
    slope=lambda x, y: 2 / sp.sqrt(sp.pi) * exp(-(x**2)),
)
abs_: Elementwise = elementwise("abs", r"\lvert {X} \rvert", sp.Abs, slope=lambda x, y: sign(x), kinks="slope 0 at 0")
sign: Elementwise = elementwise("sign", r"\operatorname{{sign}}({X})", sp.sign, slope=None, kinks="0 at 0")
step: Elementwise = elementwise(
    "step", r"[{X} > 0]", lambda x: _positive(x, sp.S.One, sp.S.Zero), slope=None, kinks="0 at 0"
)
relu = elementwise(
    "relu",
    r"\operatorname{{relu}}({X})",
    lambda x: _positive(x, x, sp.S.Zero),
    slope=lambda x, y: step(y),
    kinks="slope 0 at 0",
    source="F1.5",
)
leaky_relu = elementwise(
    "leaky_relu",
    r"\operatorname{{lrelu}}_{{{p}}}({X})",
    lambda x, p: _positive(x, x, p * x),
    slope=lambda x, y, p: p + (1 - p) * step(x),
    parameters=("alpha",),
    defaults=(sp.Rational(1, 100),),
    kinks="slope alpha at 0",
)
elu = elementwise(
    "elu",
    r"\operatorname{{elu}}_{{{p}}}({X})",
    lambda x, p: _positive(x, x, p * (sp.exp(x) - 1)),
    slope=_elu_slope,
    parameters=("alpha",),
    defaults=(sp.S.One,),
    kinks="slope alpha at 0",
    source="F1.5",
)
silu = elementwise(
    "silu",
    r"\operatorname{{silu}}({X})",
    lambda x: x / (1 + sp.exp(-x)),
    # The book's y + sigmoid(x) (1 - y) subtracts two large numbers where x is large.
    slope=lambda x, y: sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    source="F1.5",
    aliases=("swish",),
)
mish = elementwise(
    "mish",
    r"\operatorname{{mish}}({X})",
    lambda x: x * sp.tanh(sp.log(1 + sp.exp(x))),
    slope=lambda x, y: tanh(softplus(x)) + x * sigmoid(x) * (1 - tanh(softplus(x)) ** 2),
    source="Misra 2019",
)
gelu = elementwise(
    "gelu",
    r"\operatorname{{gelu}}({X})",
    lambda x: x * (1 + sp.erf(x / sp.sqrt(2))) / 2,
    slope=lambda x, y: HALF * (1 + erf(x / sp.sqrt(2))) + x * exp(-HALF * x**2) / sp.sqrt(2 * sp.pi),
    source="Hendrycks & Gimpel 2016",
)
arctan = elementwise("arctan", r"\arctan({X})", sp.atan, slope=lambda x, y: recip(1 + x**2), source="F1.5")
softsign = elementwise(
    "softsign",
    r"\operatorname{{softsign}}({X})",
    lambda x: x / (1 + sp.Abs(x)),
    slope=lambda x, y: (1 - abs_(y)) ** 2,
    source="F1.5",
)
hard_tanh = elementwise(
    "hard_tanh",
    r"\operatorname{{hardtanh}}({X})",
    lambda x: sp.Piecewise((sp.S.One, x > 1), (sp.S.NegativeOne, x < -1), (x, True)),
    slope=lambda x, y: (1 - step(x - 1)) * (1 - step(-1 - x)),
    kinks="slope 1 at -1 and 1",
    source="Collobert 2004",
)

stop_gradient = elementwise(
    "stop_gradient",
    r"\operatorname{{sg}}({X})",
    lambda x: x,
    slope=None,
    kinks="slope 0 everywhere, by definition",
    aliases=("stop",),
)

ELEMENTWISE: dict[str, Elementwise] = {
    entry.name: entry for entry in list(globals().values()) if isinstance(entry, Elementwise)
}
"""Every elementwise function by name."""
