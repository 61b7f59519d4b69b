"""Spellings: the table, adjoints by notation, collisions, sizes and coefficients."""

from __future__ import annotations

import dataclasses
import unicodedata

import pytest
import sympy as sp
from symbp.expr import MatMul, Ref, SizeMember, add, index, size
from symbp.program import Equation, Origin, Program, Var
from symbp.render import Notation
from symbp.render.latex import Latex
from symbp.render.names import Names, barred, scalar, spelling
from symbp.render.text import Ascii

n, k, m = size("n"), size("k"), size("m")


@pytest.mark.parametrize(
    ("name", "unicode", "latex"),
    [
        ("W1", "W₁", "W_{1}"),
        ("Z_A1", "Z_A₁", "Z_{A_{1}}"),
        ("lam", "λ", r"\lambda"),
        ("sigma", "σ", r"\sigma"),
        ("sigma2", "σ₂", r"\sigma_{2}"),
        ("b1", "b₁", "b_{1}"),
        ("x", "x", "x"),
        ("Wxh", "Wxh", "W_{xh}"),
        ("Xc", "Xc", "X_{c}"),
        ("bh", "bh", "b_{h}"),
        ("Out", "Out", r"\mathrm{Out}"),
        ("W_out", "W_out", r"W_{\mathrm{out}}"),
        ("Xhat", "X̂", r"\hat{X}"),
        ("y_hat", "ŷ", r"\hat{y}"),
        ("eps", "ε", r"\varepsilon"),
        ("loss", "loss", r"\mathcal{L}"),
        ("a_b_c", "a_b_c", "a_{b,c}"),
    ],
)
def test_spelling(name: str, unicode: str, latex: str) -> None:
    found = spelling(name)
    assert (found.ascii, found.unicode, found.latex()) == (name, unicode, latex)


def test_one_bar_stands_over_a_letter_that_has_a_hat() -> None:
    assert barred(spelling("Xhat")).unicode == "X\u0302\u0304"
    assert barred(spelling("Xc")).unicode == "X\u0305c\u0305"


def test_members_add_their_indices_to_the_subscripts() -> None:
    t, l = index("t"), index("l")
    p, plain = Latex(), Ascii()
    assert p(Ref("H", n, m, t - 1)) == "H_{t - 1}"
    assert p(Ref("W1", n, m, l, t)) == "W_{1,l,t}"
    assert plain(Ref("H", n, m, l, t - 1)) == "H[l,t-1]"
    assert p(Ref("H_bar", n, m, t)) == r"\bar{H}_{t}"


def network(**more: Var) -> Program:
    """Return a program with one layer, its adjoints, and more variables."""
    W, X, Z1 = Var("W1", n, k, kind="param"), Var("X", k, m, kind="input"), Var("Z1", n, m)
    bars = {
        f"{v}_bar": Var(f"{v}_bar", n, m, kind="adjoint", origin=Origin("adjoint", v))
        for v in ("Z1", "W1", "loss", "Z1_bar")
    }
    loss = Var("loss", sp.S.One, sp.S.One)
    variables = {v.name: v for v in (W, X, Z1, loss)} | bars | more
    return Program(variables, (Equation(Z1(), MatMul(W(), X())),))


@pytest.mark.parametrize(
    ("adjoints", "name", "ascii", "unicode", "latex"),
    [
        ("bar", "W1_bar", "W1bar", "W̄₁", r"\bar{W}_{1}"),
        ("partial", "W1_bar", "dL/dW1", "∂L/∂W₁", r"\frac{\partial \mathcal{L}}{\partial W_{1}}"),
        ("delta", "W1_bar", "dL/dW1", "∂L/∂W₁", r"\frac{\partial \mathcal{L}}{\partial W_{1}}"),
        ("delta", "Z1_bar", "delta1", "δ₁", r"\delta_{1}"),
        ("dvar", "W1_bar", "dW1", "dW₁", r"\mathrm{d}W_{1}"),
        ("bar", "d_W1", "dW1", "dW₁", r"\mathrm{d}W_{1}"),
        # In code, dW is the gradient: the differential has to give way.
        ("dvar", "d_W1", "W1dot", "Ẇ₁", r"\dot{W}_{1}"),
        ("bar", "d_W1_bar", "dW1bar", "dW̄₁", r"\mathrm{d}\bar{W}_{1}"),
        ("bar", "Z1_bar_bar", "Z1barbar", "Z\u0305\u0304₁", r"\bar{\bar{Z}}_{1}"),
        ("partial", "Z1_bar_bar", "dL/dZ1bar", None, r"\overline{\frac{\partial \mathcal{L}}{\partial Z_{1}}}"),
        ("partial", "loss_bar", "dL/dL", "∂L/∂L", r"\frac{\partial \mathcal{L}}{\partial \mathcal{L}}"),
    ],
)
def test_adjoints_by_notation(adjoints: str, name: str, ascii: str, unicode: str | None, latex: str) -> None:
    names = Names(network(), Notation(adjoints))  # type: ignore[arg-type]
    assert names.ascii(name).text == ascii
    assert names.latex(name).text == latex
    assert unicode is None or names.unicode(name).text == unicodedata.normalize("NFC", unicode)


def test_the_origin_decides_not_the_ending() -> None:
    program = network(mean_bar=Var("mean_bar", n, m, kind="input"))
    assert Names(program)["mean_bar"].latex() == r"\mathrm{mean}_{\mathrm{bar}}"


def test_an_error_of_a_value_that_is_not_called_z_keeps_its_letter() -> None:
    W, X, O = Var("V", n, k, kind="param"), Var("X", k, m, kind="input"), Var("O", n, m)
    bar = Var("O_bar", n, m, kind="adjoint", origin=Origin("adjoint", "O"))
    program = Program({v.name: v for v in (W, X, O, bar)}, (Equation(O(), MatMul(W(), X())),))
    names = Names(program, Notation("delta"))
    assert names["O_bar"].latex() == r"\delta^{O}"
    assert names["O_bar"].ascii == "delta_O"


def test_two_names_never_share_a_form() -> None:
    program = network(W_1=Var("W_1", n, m), W1bar=Var("W1bar", n, m))
    names = Names(program)
    for form in ("ascii", "unicode"):
        shown = [getattr(names[v], form) for v in program.variables]
        assert len(set(shown)) == len(shown), shown
    shown = [names[v].latex() for v in program.variables]
    assert len(set(shown)) == len(shown), shown
    # Of two written names the later one is spelled out; an adjoint gives way to a written name.
    assert names["W1bar"].ascii == "W1bar"
    assert names["W1_bar"].ascii == "W1_bar"
    assert names["W1"].latex() == "W_{1}"
    assert names["W_1"].latex() == r"\mathtt{W\_1}"


def test_the_loss_is_called_l_only_where_l_is_free() -> None:
    assert Names(network(), Notation("partial")).ascii("W1_bar").text == "dL/dW1"
    taken = network(L=Var("L", n, m))
    assert Names(taken, Notation("partial")).ascii("W1_bar").text == "dloss/dW1"


@pytest.mark.parametrize(
    ("value", "text", "latex"),
    [
        (n + 1, "n + 1", "n + 1"),
        (n - 1, "n - 1", "n - 1"),
        (1 - n, "1 - n", "1 - n"),
        (2 * n, "2n", "2 n"),
        (2 * n * k, "2k*n", "2 k n"),
        (n / (2 * m), "n/(2m)", r"\frac{n}{2 m}"),
        (1 / m, "1/m", r"\frac{1}{m}"),
        (-3 * n, "-3n", "-3 n"),
        (n * (k + 1), "n*(k + 1)", "n (k + 1)"),
        (n**2, "n^2", "n^{2}"),
        (1 / sp.sqrt(n), "1/sqrt(n)", r"\frac{1}{\sqrt{n}}"),
        (sp.sqrt(2) * n, "sqrt(2)*n", r"\sqrt{2} n"),
        (sp.Rational(3, 4), "3/4", r"\frac{3}{4}"),
        (SizeMember("n", index("l") - 1), "n[l - 1]", "n_{l - 1}"),
    ],
)
def test_scalars(value: sp.Expr, text: str, latex: str) -> None:
    def spell(symbol: sp.Basic) -> str:
        if isinstance(symbol, SizeMember):
            inside = scalar(symbol.indices[0], spell, tex).text
            return f"n_{{{inside}}}" if tex else f"n[{inside}]"
        return str(symbol)

    tex = False
    assert sorted(scalar(value, spell, False).text) == sorted(text)
    tex = True
    assert sorted(scalar(value, spell, True).text) == sorted(latex)


def test_notation_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Notation().adjoints = "delta"  # type: ignore[misc]


def test_a_message_is_an_adjoint_to_the_printers() -> None:
    program = network(M_Z1=Var("M_Z1", n, m, kind="message", origin=Origin("message", "Z1")))
    names = Names(program)
    Z1, message = Ref("Z1", n, m), Ref("M_Z1", n, m)
    assert names.adjoint_inside(add(Z1, message))
    assert not names.adjoint_inside(Z1)
