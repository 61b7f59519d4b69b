"""Variables and expressions that the tests of the printers share."""

from __future__ import annotations

import sympy as sp
from sympy.core.symbol import Str

from symbp.expr import (
    Add, Contraction, Diag, Einsum, Embed, Eye, Function, Hadamard, Kron, LogSumExp, Map, Mask, MatMul, MaxAxis, Node,
    Ones, Ref, Scale, Slice, Softmax, SumOver, T, Zero, constant, index, scaled, size, total, where,
)
from symbp.ops import ELEMENTWISE

n0, n1, n2, m, T_ = (size(s) for s in ("n0", "n1", "n2", "m", "T"))
t = index("t")
X, Y = Ref("X", n0, m), Ref("Y", n2, m)
W1, W2, b1 = Ref("W1", n1, n0), Ref("W2", n2, n1), Ref("b1", n1, 1)
Z1, A1, Z2, P = Ref("Z1", n1, m), Ref("A1", n1, m), Ref("Z2", n2, m), Ref("P", n2, m)
Z1_bar, Z2_bar = Ref("Z1_bar", n1, m), Ref("Z2_bar", n2, m)
s, v = Ref("s", 1, 1), Ref("v", n1, 1)
Z_t, X_t = Ref("Z_bar", n1, m, t), Ref("X", n0, m, t - 1)
free = Function("sigma", (), (0,), Str("free"))


def the(name: str, argument: Node) -> Node:
    """Return an elementwise function of the table, applied."""
    return ELEMENTWISE[name](argument)


TABLE: list[tuple[Node, str, str, str]] = [
    # expression, ASCII, Unicode, LaTeX
    (W1 @ X + b1, "W1 X + b1 1^T", "W₁ X + b₁ 1ᵀ", r"W_{1}\, X + b_{1}\, \mathbf{1}^{\top}"),
    (scaled(1 / m, Z2 - Y), "(Z2 - Y)/m", "(Z₂ - Y)/m", r"\frac{1}{m} (Z_{2} - Y)"),
    (
        Hadamard(T(W2) @ Z2_bar, 1 - A1 * A1), "(W2^T Z2bar) o (1 - A1 o A1)", "(W₂ᵀ Z̄₂) ⊙ (1 - A₁ ⊙ A₁)",
        r"(W_{2}^{\top}\, \bar{Z}_{2}) \odot (1 - A_{1} \odot A_{1})",
    ),
    (Z2_bar @ Ones(m, 1), "Z2bar 1", "Z̄₂ 1", r"\bar{Z}_{2}\, \mathbf{1}"),
    (Ones(n1, m), "1 1^T", "1 1ᵀ", r"\mathbf{1}\, \mathbf{1}^{\top}"),
    (T(Ones(1, m)), "1", "1", r"\mathbf{1}"),
    (constant(1), "1", "1", "1"),
    (1 - A1, "1 - A1", "1 - A₁", "1 - A_{1}"),
    (constant(3, n1, m) + A1, "3 + A1", "3 + A₁", "3 + A_{1}"),
    (
        total((Z2 - Y) ** 2) / (2 * m), "sum((Z2 - Y)^2)/(2m)", "sum((Z₂ - Y)²)/(2m)",
        r"\frac{1}{2 m}\, \mathbf{1}^{\top}\, (Z_{2} - Y)^{\odot 2}\, \mathbf{1}",
    ),
    (scaled(sp.Rational(-2) / m, P - Y), "-2 (P - Y)/m", "-2 (P - Y)/m", r"-\frac{2}{m} (P - Y)"),
    (Y - scaled(2, P), "Y - 2 P", "Y - 2 P", "Y - 2 P"),
    (Y - (P + Z2), "Y - (P + Z2)", "Y - (P + Z₂)", "Y - (P + Z_{2})"),
    (scaled(1 / m, P @ T(Y)), "(1/m) P Y^T", "(1/m) P Yᵀ", r"\frac{1}{m}\, P\, Y^{\top}"),
    (T(A1 @ T(A1)), "(A1 A1^T)^T", "(A₁ A₁ᵀ)ᵀ", r"(A_{1}\, A_{1}^{\top})^{\top}"),
    (MatMul(W1, Hadamard(X, X)), "W1 (X o X)", "W₁ (X ⊙ X)", r"W_{1}\, (X \odot X)"),
    (P / Z2, "P ./ Z2", "P ⊘ Z₂", r"P \oslash Z_{2}"),
    (P * Y / (Z2 * Y), "(P o Y) ./ (Z2 o Y)", "(P ⊙ Y) ⊘ (Z₂ ⊙ Y)", r"(P \odot Y) \oslash (Z_{2} \odot Y)"),
    (the("recip", Z2), "Z2^-1", "Z₂^-1", r"Z_{2}^{\odot -1}"),
    (P / s, "P/s", "P/s", r"\frac{1}{s}\, P"),
    (s * P, "s P", "s P", r"s\, P"),
    (s / (1 + s), "s/(1 + s)", "s/(1 + s)", r"\frac{s}{1 + s}"),
    (s**2, "s^2", "s²", "s^{2}"),
    ((Z2 - Y) ** 2, "(Z2 - Y)^2", "(Z₂ - Y)²", r"(Z_{2} - Y)^{\odot 2}"),
    (Map(Z1, free), "sigma(Z1)", "σ(Z₁)", r"\sigma(Z_{1})"),
    (Map(Z1, free.derivative()), "sigma'(Z1)", "σ'(Z₁)", r"\sigma'(Z_{1})"),
    (Map(Z1, Function("tanh", (), (1,))), "tanh'(Z1)", "tanh'(Z₁)", r"\tanh'(Z_{1})"),
    # A power has no name to put a prime on: its slope is written.
    (Map(Z1, Function("power", (2,), (1,))), "2 Z1", "2 Z₁", "2 Z_{1}"),
    (the("sqrt", Z2), "sqrt(Z2)", "sqrt(Z₂)", r"\sqrt{Z_{2}}"),
    (the("step", Z2), "[Z2 > 0]", "[Z₂ > 0]", "[Z_{2} > 0]"),
    (the("leaky_relu", Z2), "leaky_relu(Z2, 1/100)", "leaky_relu(Z₂, 1/100)", r"\operatorname{lrelu}_{1/100}(Z_{2})"),
    (
        where(Z2 >= 0, P, 0), "where(Z2 >= 0, P, 0)", "where(Z₂ ≥ 0, P, 0)",
        r"\operatorname{where}(Z_{2} \ge 0, P, 0)",
    ),
    ((Z2 > 0) * P, "[Z2 > 0] o P", "[Z₂ > 0] ⊙ P", r"[Z_{2} > 0] \odot P"),
    (
        SumOver(Z_t @ T(X_t), t, 1, T_), "sum(t=1..T) Zbar[t] X[t-1]^T", "∑(t=1..T) Z̄[t] X[t-1]ᵀ",
        r"\sum_{t=1}^{T} \bar{Z}_{t}\, X_{t - 1}^{\top}",
    ),
    (
        Add(SumOver(Z_t, t, 1, T_), Z1), "sum(t=1..T) Zbar[t] + Z1", "∑(t=1..T) Z̄[t] + Z₁",
        r"\sum_{t=1}^{T} \bar{Z}_{t} + Z_{1}",
    ),
    (
        SumOver(Add(Z_t, Z1), t, 1, T_), "sum(t=1..T) (Zbar[t] + Z1)", "∑(t=1..T) (Z̄[t] + Z₁)",
        r"\sum_{t=1}^{T} (\bar{Z}_{t} + Z_{1})",
    ),
    (
        MatMul(SumOver(Z_t, t, 1, T_), T(X)), "(sum(t=1..T) Zbar[t]) X^T", "(∑(t=1..T) Z̄[t]) Xᵀ",
        r"\Bigl(\sum_{t=1}^{T} \bar{Z}_{t}\Bigr)\, X^{\top}",
    ),
    (Softmax(Z2, 0), "softmax(Z2)", "softmax(Z₂)", r"\operatorname{softmax}(Z_{2})"),
    (Softmax(Z2, 1), "softmax_rows(Z2)", "softmax_rows(Z₂)", r"\operatorname{softmax}_{\mathrm{rows}}(Z_{2})"),
    (LogSumExp(Z2, 0), "lse(Z2)", "lse(Z₂)", r"\operatorname{lse}(Z_{2})"),
    (MaxAxis(Z2, 1), "max_rows(Z2)", "max_rows(Z₂)", r"\max_{\mathrm{rows}}(Z_{2})"),
    (Kron(W1, W2), "kron(W1, W2)", "kron(W₁, W₂)", r"W_{1} \otimes W_{2}"),
    (
        Einsum(W1, X, Contraction("ab|c,c|d->a|bd", n1, 1, n0, m)), "[sum(c) W1[ab,c] X[c,d]][a,bd]",
        "[∑(c) W₁[ab,c] X[c,d]][a,bd]", r"\bigl[\sum_{c} [W_{1}]_{ab,c}\, X_{c,d}\bigr]_{a,bd}",
    ),
    (Diag(v), "diag(v)", "diag(v)", r"\operatorname{diag}(v)"),
    (Slice(Z1, 0, 2, 0, m), "Z1[:2, :]", "Z₁[:2, :]", r"Z_{1}[{:}2,\, {:}]"),
    (
        Add(Embed(Ref("B", n1 - 2, m), 2, 0, n1, m), Embed(Ref("A", 2, m), 0, 0, n1, m)), "[A; B]", "[A; B]",
        r"\begin{bmatrix} A \\ B \end{bmatrix}",
    ),
    (Embed(Ref("A", 2, m), 0, 0, n1, m), "embed(A, [:2, :])", "embed(A, [:2, :])",
     r"\operatorname{embed}_{[{:}2,\, {:}]}(A)"),
    (Zero(n1, m), "0", "0", "0"),
    (Eye(n1), "I", "I", "I"),
    (Hadamard(Mask("strict_tril", n1, n1), W1 @ T(W1)), "strict_tril o (W1 W1^T)", "strict_tril ⊙ (W₁ W₁ᵀ)",
     r"M_{\mathrm{strict\_tril}} \odot (W_{1}\, W_{1}^{\top})"),
    (Scale(P, sp.sqrt(2) / sp.sqrt(n1)), "sqrt(2) P/sqrt(n1)", "sqrt(2) P/sqrt(n₁)",
     r"\frac{\sqrt{2}}{\sqrt{n_{1}}}\, P"),
    (Scale(P, 1 - n1), "(1 - n1) P", "(1 - n₁) P", r"(1 - n_{1})\, P"),
]
