"""Breaking of long lines, and the estimate of LaTeX widths against what TeX measured."""

from __future__ import annotations

import pytest
from symbp.expr import Add, Hadamard, Ref, T, size
from symbp.render.latex import Latex
from symbp.render.lines import broken, latex_width, pad, text_width
from symbp.render.printer import clean
from symbp.render.text import Ascii

n, m = size("n"), size("m")


def long_sum(terms: int) -> Add:
    """Return a sum of products of a matrix, a bracketed sum and another matrix."""
    made = []
    for k in range(1, terms + 1):
        W, A, B = Ref(f"W{k}", n, n), Ref(f"A{k}", n, m), Ref(f"B{k}", n, m)
        made.append(Hadamard(T(W) @ A, Add(A, B)))
    return Add(*made)


@pytest.mark.parametrize("limit", [24, 40, 72])
def test_text_lines_fit_and_nothing_is_lost(limit: int) -> None:
    marked = Ascii().value(long_sum(6))
    lines = broken(marked, limit)
    assert len(lines) > 1
    assert max(text_width(line) for line in lines) <= limit
    assert "".join("".join(lines).split()) == "".join(clean(marked).split())


@pytest.mark.parametrize("limit", [15.0, 30.0])
def test_latex_lines_fit_and_nothing_is_lost(limit: float) -> None:
    marked = Latex().value(long_sum(6))
    lines = broken(marked, limit, latex_width)
    assert len(lines) > 1
    assert max(latex_width(line) for line in lines) <= limit
    assert "".join("".join(lines).split()) == "".join(clean(marked).split())


def test_a_sum_is_broken_before_its_terms() -> None:
    marked = Ascii().value(long_sum(2))
    first, second = broken(marked, 40)
    assert first.strip() == "(W1^T A1) o (A1 + B1)"
    assert second.strip() == "+ (W2^T A2) o (A2 + B2)"


def test_the_first_line_may_be_used_already() -> None:
    marked = Ascii().value(long_sum(2))
    assert len(broken(marked, 50)) == 1
    assert len(broken(marked, 50, first=10)) == 2


def test_nothing_is_broken_inside_latex_braces() -> None:
    lines = broken("\\frac{a \x1d+ b}{c} \x1d+ d", 1.0, latex_width)
    assert lines == ["\\frac{a + b}{c} ", "+ d"]


def test_combining_marks_take_no_column() -> None:
    assert text_width("W\u0304") == 1
    assert pad("W\u0304", 3) == "W\u0304  "


@pytest.mark.parametrize(
    ("formula", "em"),
    [
        # The width that TeX gives, in em of Computer Modern at 10pt.
        (r"W_{1}\, X + b_{1}\, \mathbf{1}^{\top}", 5.98),
        (r"\frac{1}{m} (Z_{2} - Y)", 5.05),
        (r"(W_{2}^{\top}\, \bar{Z}_{2}) \odot (1 - A_{1} \odot A_{1})", 11.18),
        (r"\frac{1}{2 m}\, \mathbf{1}^{\top}\, (Z_{2} - Y)^{\odot 2}\, \mathbf{1}", 8.95),
        (r"\sum_{t=1}^{T} \bar{Z}_{t}\, X_{t - 1}^{\top}", 5.02),
        (r"\operatorname{softmax}_{\mathrm{rows}}(Z_{2})", 6.99),
        (r"\begin{bmatrix} A \\ B \end{bmatrix}", 1.86),
        (r"\sqrt{Z_{2}}", 2.13),
        (r"\tanh'(Z_{1})", 4.19),
        (r"M_{\mathrm{tril}} \odot (W_{1}\, W_{1}^{\top})", 7.42),
    ],
)
def test_estimated_width(formula: str, em: float) -> None:
    assert latex_width(formula) == pytest.approx(em, rel=0.1)
