"""What is left of an unproved equality, in words."""

from __future__ import annotations

import pytest
import sympy as sp
from identity_cases import ARGMAX, A, B, C, P, T_, Z, f, free, ids, k, m, n, t

from symbp.expr import (
    Compare, Eye, LogSumExp, Mask, Node, Ones, Ref, SizeMember, Slice, SumOver, Take, Zero, scaled, total,
)
from symbp.verify.normal_form import prove

SPELLED: dict[str, Node] = {
    "A[i,j]": A,
    "3 * A[i,j]": scaled(3, A),
    "2/(3*m) * A[i,j]": scaled(sp.Rational(2, 3) / m, A),
    "-A[i,j]": scaled(-1, A),
    "m*n^2 * A[i,j]": scaled(m * n**2, A),
    "2^(1/2) * A[i,j]": scaled(sp.sqrt(2), A),
    "1/pi^(1/2) * A[i,j]": scaled(1 / sp.sqrt(sp.pi), A),
    "sum_k A[i,k] B[k,j]": A @ B,
    "sum_k sum_l sum_p A[l,p] B[p,k]": total(A @ B),
    "sum_k sum_l sum_p A[i,l] D[l,k] E[k,p] F[p,j]": A @ Ref("D", n, k) @ Ref("E", k, n) @ Ref("F", n, k),
    "A[i,j] - 2 * C[i,j]": A - scaled(2, C),
    "A[i,j]^2": A**2,
    "A[i,j]^(-1)": f("recip", A),
    "A[i,j]^(1/2)": f("sqrt", A),
    "(A[i,j] + C[i,j])^(-1)": f("recip", A + C),
    "tanh(A[i,j])": f("tanh", A),
    "erf(A[i,j])": f("erf", A),
    "exp(A[i,j])": f("exp", A),
    "exp(2*A[i,j])": f("exp", scaled(2, A)),
    "log(A[i,j])": f("log", A),
    "g(A[i,j])": free(A),
    "g'(A[i,j])": free(A, 1),
    "g''(A[i,j])": free(A, 2),
    "[A[i,j] > 0]": f("step", A),
    "[-A[i,j] + C[i,j] = 0]": Compare(A, C, "=="),
    "[j-i = 0]": Eye(n),
    "[i-j-1 >= 0]": Mask("strict_tril", n, n),
    "softmax(A[k,j])[i]": P,
    "argmax(A[k,j])[i]": ARGMAX,
    "lse(A[k,j])": LogSumExp(A, 0),
    "Z[k-1,i,j]": Z(t - 1),
    "Z[T-k,i,j]": Z(T_ - t),
    "sum_k Z[k+1,i,j]": SumOver(Z(t), t, 1, T_),
    "[ids[j] = i]": Take(Eye(n), ids, 1),
    "n[k] * u[i,0]": scaled(SizeMember("n", t), Ref("u", m, 1)),
    "A[i+1,j]": Slice(A, 1, m, 0, n),
    "1": Ones(m, n),
    "5/7": scaled(sp.Rational(5, 7), Ones(m, n)),
    "m": scaled(m, Ones(1, n)),
}


@pytest.mark.parametrize("text", SPELLED)
def test_a_residual_is_spelled(text: str) -> None:
    node = SPELLED[text]
    assert prove(node, Zero(*node.shape)).residual == text


def test_a_loop_index_keeps_its_name() -> None:
    residual = prove(Z(t), Zero(m, k), loops=[(t, sp.S.One, T_)]).residual
    assert residual == "Z[t,i,j]"


def test_sums_that_are_declared_do_not_show_their_shape() -> None:
    facts = {"A": frozenset({"columns_sum_to_one"})}
    assert prove(A @ B, Zero(m, k), facts=facts).residual == "sum_k A[i,k] B[k,j]"


def test_two_terms_are_shown_and_that_there_are_more() -> None:
    assert prove(A + C + A * C, Zero(m, n)).residual == "A[i,j] + C[i,j] + ..."
