"""Families: shapes generalised from pieces, boxes, stated shapes."""

from __future__ import annotations

import pytest
import sympy as sp

from symbp.expr.nodes import plain
from symbp.expr import Ref, SizeMember, index, scaled, size
from symbp.language import DeclarationError, read_text
from symbp.language.diagnostics import Mistake
from symbp.language.families import PieceShape, pattern
from symbp.program import Equation, Loop, Var

m, L, T = (size(x) for x in "mLT")
l, t, s = (index(x) for x in "lts")


def n(*at: object) -> SizeMember:
    return SizeMember("n", *at)


def family(text: str, name: str) -> Var:
    return read_text(text).variables[name]


def codes(text: str) -> list[str]:
    with pytest.raises(DeclarationError) as caught:
        read_text(text)
    return [d.code for d in caught.value.diagnostics]


def test_the_first_member_says_what_all_look_like() -> None:
    var = family(
        "A[0]: input[n[0], m]\nW: param[3, 3]\nfor l in range(1, L+1):\n"
        "    V[l]: param[n[l], n[l-1]]\n    A[l] = V[l] @ A[l-1]\nloss = sum(A[L])\n",
        "A",
    )
    assert (var.shape, var.indices) == ((n(l), m), (l,))


def test_a_constant_away_from_the_index_moves_along() -> None:
    assert family("A[2]: input[n[3], n[0]]\nloss = sum(A[2])\n", "A").shape == (n(index("i") + 1), n(index("i") - 2))


def test_a_loop_index_is_turned_around() -> None:
    assert family("for l in range(1, L+1):\n    A[L+1-l]: input[n[l], m]\nloss = sum(A[1])\n", "A").shape == (
        n(L + 1 - l),
        m,
    )
    assert family("for l in range(1, L+1):\n    A[l-1]: input[n[l], m]\nloss = sum(A[0])\n", "A").shape == (n(l + 1), m)


def test_other_pieces_decide_between_readings() -> None:
    text = (
        "for l in range(1, L+1):\n    H[l, 0]: input[n[l], m]\n"
        "for t in range(1, T+1):\n    H[0, t]: input[n[0], m]\nloss = sum(H[1, 0])\n"
    )
    assert family(text, "H").shape == (n(l), m)


def test_the_last_member_may_be_the_declared_one() -> None:
    text = (
        "G[L+1]: input[n[L+1], m]\nfor l in range(L, 0, -1):\n"
        "    V[l]: param[n[l], n[l+1]]\n    G[l] = V[l] @ G[l+1]\nloss = sum(G[1])\n"
    )
    assert family(text, "G").shape == (n(l), m)


def test_a_computed_family_is_generalised_too() -> None:
    text = (
        "for l in range(1, L+1):\n    W[l]: param[n[l], n[l-1]]\n"
        "for l in range(1, L+1):\n    Q[l] = W[l].T\nloss = sum(Q[L])\n"
    )
    assert family(text, "Q").shape == (n(l - 1), n(l))
    assert family(
        "X: input[n[0], m]\nA[0] = X\nfor l in range(1, L+1):\n"
        "    W[l]: param[n[l], n[l-1]]\n    A[l] = W[l] @ A[l-1]\nloss = sum(A[L])\n",
        "A",
    ).shape == (n(l), m)


def test_what_can_be_read_in_two_ways_is_stated() -> None:
    head = "H[0, 0]: input[n[0], m]\n"
    assert codes(head + "loss = sum(H[0, 0])\n") == ["S028"]
    loop = "for s in range(1, T+1):\n    H[s, 0]: [n[s], m] = reshape(H[s-1, 0], (n[s], m))\nloss = sum(H[T, 0])\n"
    # n[s-1]*m entries do not fill n[s] x m: the stated shape is taken, and the mistake that is left is this one.
    assert codes(head + loop) == ["S006"]


@pytest.mark.parametrize(("indices", "ways"), [
    (2, "2 ways: [n[i], m] or [n[j], m]"), (3, "3 ways: [n[i], m] or [n[j], m] or [n[k], m]"),
    (4, "4 ways: [n[i], m] or [n[j], m] or [n[k], m] or ..."),
])
def test_what_can_be_read_in_many_ways_says_some(indices: int, ways: str) -> None:
    member = f"H[{', '.join('0' * indices)}]"
    with pytest.raises(DeclarationError) as caught:
        read_text(f"{member}: input[n[0], m]\nloss = sum({member})\n")
    assert caught.value.diagnostics[0].message.endswith(f"can be read in {ways}")


@pytest.mark.parametrize(("first", "second", "message"), [
    ("n", "n[0]", "the size n has no index elsewhere"),
    ("n[0]", "n", "the size n has 1 index elsewhere"),
    ("n[0, 1]", "n[0]", "the size n has 2 indices elsewhere"),
])
def test_a_size_has_one_number_of_indices(first: str, second: str, message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        read_text(f"X: input[{first}, m]\nY: input[{second}, m]\nloss = sum(X)\n")
    assert (caught.value.diagnostics[0].code, caught.value.diagnostics[0].message) == ("N010", message)


def test_a_stated_shape_is_a_declaration() -> None:
    text = "X: input[h, m]\nW: param[h, h]\nfor t in range(1, T+1):\n    H[t]: [h, m] = W @ H[t-1]\nloss = sum(H[T])\n"
    assert codes(text) == ["B001"]  # the shape is known, the member 0 is not
    fine = (
        "X: input[h, m]\nW: param[h, h]\nH[0] = X\nfor t in range(1, T+1):\n"
        "    H[t]: [h, m] = W @ H[t-1]\nloss = sum(H[T])\n"
    )
    assert family(fine, "H").shape == (size("h"), m)
    assert codes("X: input[h, m]\nfor t in range(1, T+1):\n    H[t]: [m, m] = X\nloss = sum(H[T])\n") == ["S010"]
    alone = "X: input[n, m]\nfor t in range(1, T+1):\n    Z[t]: [n, m]\n    Z[t] = X\nloss = sum(Z[1])\n"
    assert family(alone, "Z").shape == (size("n"), m)


def test_a_piece_that_does_not_fit_names_the_shape_of_the_others() -> None:
    text = "H[0]: input[h, m]\nX: input[k, m]\nfor t in range(1, T+1):\n    H[t] = X\nloss = sum(H[T])\n"
    with pytest.raises(DeclarationError) as caught:
        read_text(text)
    (found,) = caught.value.diagnostics
    assert (found.code, found.line, found.column) == ("S010", 4, 12)
    assert found.help == "by its other pieces, H[t] is h x m"


def test_boxes_of_declarations() -> None:
    var = family(
        "for k in range(-2, 1):\n    H[k]: input[h, m]\nH[1]: input[h, m]\nloss = sum(H[-2]) + sum(H[1])\n", "H"
    )
    assert [[(side.lows, side.highs) for side in box.sides] for box in var.boxes] == [[((-2,), (0,))], [((1,), (1,))]]


def test_a_negative_index_is_a_member_of_a_family_and_an_end_of_a_matrix() -> None:
    head = "for k in range(-2, 1):\n    H[k]: input[h, m]\n"
    assert plain(read_text(head + "Z = H[-1]\n").sites[0].equation.value) == "H[-1]"
    assert plain(read_text("X: input[n, m]\nZ = X[-1:, :]\n").sites[0].equation.value) == "Slice(X, n - 1, n, 0, m)"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("    H[t] = W @ H[t-1]\n", None),
        ("    H[t] = W @ H[t-2]\n", "B001"),
        ("    H[t] = W @ H[t+1]\n", "B001"),
        ("    G[t] = W @ H[t-1]\n    H[t] = G[t]\n", None),
        ("    H[t] = G[t]\n    G[t] = W @ H[t-1]\n", "B001"),
        ("    H[t] = W @ H[T+1-t]\n", "B001"),
        ("    H[t] = W @ H[0]\n", None),
    ],
)
def test_reads_are_proved_to_be_defined_earlier(body: str, code: str | None) -> None:
    text = "H[0]: input[h, m]\nW: param[h, h]\nfor t in range(1, T+1):\n" + body + "loss = sum(H[T])\n"
    if code is None:
        read_text(text)
    else:
        assert codes(text) == [code]


def test_a_bound_makes_a_read_provable() -> None:
    text = "for t in range(1, T+1):\n    X[t]: input[n, m]\nloss = sum(X[3])\n"
    assert codes(text) == ["B001"]
    read_text("assert T >= 3\n" + text)


def test_two_loops_may_define_one_family() -> None:
    text = (
        "H[0]: input[h, m]\nW: param[h, h]; V: param[h, h]\n"
        "for t in range(1, T+1):\n    H[t] = W @ H[t-1]\n"
        "for t in range(T+1, T+S+1):\n    H[t] = V @ H[t-1]\nloss = sum(H[T+S])\n"
    )
    assert len(read_text(text).pieces["H"]) == 3


def test_pattern_refuses_what_it_cannot_read() -> None:
    with pytest.raises(Mistake) as caught:
        pattern("A", [(PieceShape((2 * l,), (m, m)), [l])], [l])
    assert caught.value.code == "B004"
    with pytest.raises(Mistake) as caught:
        pattern("A", [(PieceShape((sp.Integer(0),), (n(l), m)), [l])], [t])
    assert caught.value.code == "B003"
    with pytest.raises(Mistake) as caught:
        pattern("A", [(PieceShape((sp.Integer(0),), (m, m)), []), (PieceShape((sp.Integer(1),), (T, m)), [])], [t])
    assert caught.value.code == "S027"


def test_a_sum_beyond_the_family_has_a_size_of_its_own() -> None:
    text = "for t in range(1, T+1):\n    X[t]: input[n, m]\nloss = sum(sum(X[t]) for t in range(1, S+1))\n"
    assert codes(text) == ["B001"]


def test_a_member_of_a_size_is_a_number_of_an_equation() -> None:
    text = (
        "for l in range(0, L+1):\n    A[l]: input[n[l], m]\n"
        "for l in range(1, L+1):\n    B[l] = n[l-1] * A[l] / n[0]\nloss = sum(B[L])\n"
    )
    loop = read_text(text).body[0]
    assert isinstance(loop, Loop)
    (equation,) = loop.body
    assert isinstance(equation, Equation)
    assert equation.value == scaled(n(l - 1) / n(0), Ref("A", n(l), m, l))
