"""Expressions in ASCII, Unicode and LaTeX: one table; brackets; diagonal products; cases; a foreign operation."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from symbp.expr import Diag, Hadamard, Map, MatMul, Node, Ones, Ref, T, scaled, where
from symbp.render import Notation, latex, text
from symbp.render.latex import Latex
from symbp.render.names import Names
from symbp.render.printer import clean, template
from symbp.render.text import Ascii, Unicode

_spec = importlib.util.spec_from_file_location("expressions", Path(__file__).with_name("expressions.py"))
assert _spec is not None
assert _spec.loader is not None
e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(e)


@pytest.mark.parametrize(("node", "ascii", "unicode", "tex"), e.TABLE, ids=[row[1] for row in e.TABLE])
def test_table(node: Node, ascii: str, unicode: str, tex: str) -> None:
    assert text(node) == ascii
    assert Unicode(Names())(node) == unicode
    assert latex(node) == tex


def test_expressions_print_themselves() -> None:
    assert str(e.W1 @ e.X) == "W1 X"
    assert (e.W1 @ e.X)._latex(None) == r"W_{1}\, X"


@pytest.mark.parametrize("node", [row[0] for row in e.TABLE], ids=[row[1] for row in e.TABLE])
def test_latex_braces_and_brackets_match(node: Node) -> None:
    shown = latex(node)
    assert shown.count("{") == shown.count("}")
    assert shown.count("(") == shown.count(")")
    assert shown.count(r"\Bigl") == shown.count(r"\Bigr")
    assert shown.count(r"\bigl") == shown.count(r"\bigr")


def test_no_two_expressions_of_the_table_look_alike() -> None:
    # Vectors of ones are the exception: a number 1, a column and a row (transposed) share their sign on purpose.
    shown = [latex(row[0]) for row in e.TABLE]
    assert len(set(shown)) == len(shown)


def diag_form(node: Node) -> str:
    return Ascii(Names(None, Notation(products="diag")))(node)


def test_products_with_diagonals() -> None:
    slope = Map(Ref("z", e.n1, 1), e.free.derivative())
    delta, w = Ref("d_bar", e.n2, 1), Ref("w", e.n2, e.n1)
    assert diag_form(Hadamard(T(w) @ delta, slope)) == "diag(sigma'(z)) w^T dbar"
    assert diag_form(Hadamard(slope, Ref("a", e.n1, 1))) == "diag(a) sigma'(z)"
    assert diag_form(Hadamard(T(delta) @ w, T(slope))) == "dbar^T w diag(sigma'(z)^T)"
    # A broadcast column scales rows, a broadcast row scales columns.
    spread = MatMul(e.v, Ones(1, e.m))
    assert diag_form(Hadamard(e.Z1, spread)) == "diag(v) Z1"
    assert diag_form(Hadamard(e.Z1, MatMul(Ones(e.n1, 1), Ref("r", 1, e.m)))) == "Z1 diag(r^T)"
    # Two full matrices have no diagonal form.
    assert diag_form(Hadamard(e.Z1, e.A1)) == "Z1 o A1"
    assert text(Hadamard(e.Z1, spread)) == "Z1 o (v 1^T)"
    assert Latex(Names(None, Notation(products="diag")))(Diag(e.v) @ e.Z1) == latex(Diag(e.v) @ e.Z1)


def test_a_selection_that_is_the_right_side_becomes_cases() -> None:
    p = Latex()
    shown = clean(p.equation(e.Y, scaled(2, where(e.Z2 > 0, e.P, 0))))
    assert shown == r"Y = 2\, \begin{cases} P & \text{where } Z_{2} > 0 \\ 0 & \text{elsewhere} \end{cases}"
    assert r"\operatorname{where}" in clean(p.equation(e.Y, e.P + where(e.Z2 > 0, e.P, 0)))


def test_template_of_a_notation() -> None:
    parts = template(r"{X}^{{\odot {p}}}")
    assert "".join(literal + (f"<{field}>" if field else "") for literal, field, _ in parts) == r"<X>^{\odot <p>}"
    assert [(field, place) for _, field, place in parts if field] == [("X", "base"), ("p", "argument")]
    assert [place for _, field, place in template(r"{A} \otimes {B}") if field] == ["hadamard factor"] * 2


def test_printing_twice_gives_the_same_bytes() -> None:
    for node, *_ in e.TABLE:
        assert latex(node) == latex(node)
        assert Ascii()(node) == Ascii()(node)
