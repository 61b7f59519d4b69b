"""The equations of the book: what ``derive`` prints for networks that everybody knows."""

import pytest

from symbp.calculus import derive
from symbp.calculus.identities import IDENTITIES
from symbp.derivation import Derivation
from symbp.expr import Add, Hadamard, Map, Ones, Ref, Scale, SizeMember, SumOver, T, index, refs, size
from symbp.language import read_text
from symbp.networks import names, network
from symbp.program import check

m, t, l = size("m"), index("t"), index("l")
L, TT = size("L"), size("T")


def derivation(name: str) -> Derivation:
    return derive(read_text(network(name).text))


def rows(d: Derivation) -> dict[str, object]:
    return {r.target.label: r.value for r in d.results}


def test_two_layers() -> None:
    n0, n1, n2 = (size(s) for s in ("n0", "n1", "n2"))
    d = derivation("mlp")
    X, Y, A1 = Ref("X", n0, m), Ref("Y", n2, m), Ref("A1", n1, m)
    Z2, W2, D1, D2 = Ref("Z2", n2, m), Ref("W2", n2, n1), Ref("Z1_bar", n1, m), Ref("Z2_bar", n2, m)
    assert [r.target.name for r in d.results] == ["Z2_bar", "W2_bar", "b2_bar", "Z1_bar", "W1_bar", "b1_bar"]
    assert rows(d) == {
        "Z2_bar": Scale(Add(Z2, Scale(Y, -1)), 1 / m),
        "W2_bar": D2 @ T(A1),
        "b2_bar": D2 @ Ones(m, 1),
        "Z1_bar": Hadamard(T(W2) @ D2, 1 - A1**2),
        "W1_bar": D1 @ T(X),
        "b1_bar": D1 @ Ones(m, 1),
    }


def test_general_depth_gives_the_four_classical_equations() -> None:
    d = derivation("deep")
    n = lambda k: SizeMember("n", k)  # noqa: E731
    Z = lambda k: Ref("Z", n(k), m, k)  # noqa: E731
    A = lambda k: Ref("A", n(k), m, k)  # noqa: E731
    W = lambda k: Ref("W", n(k), n(k - 1), k)  # noqa: E731
    bar = lambda k: Ref("Z_bar", n(k), m, k)  # noqa: E731
    slope = next(iter(d.program.functions.values())).derivative()
    error, recursion, weights, biases = d.results
    assert error.target is bar(L) and recursion.target is bar(l)
    assert error.value is Scale(Hadamard(A(L) - Ref("Y", n(L), m), Map(Z(L), slope)), 1 / m)
    assert recursion.value is Hadamard(T(W(l + 1)) @ bar(l + 1), Map(Z(l), slope))
    assert weights.value is bar(l) @ T(A(l - 1)) and biases.value is bar(l) @ Ones(m, 1)
    assert [(r.first, r.last) for r in recursion.ranges] == [(L - 1, 1)]


def test_one_sample_is_the_same_with_columns() -> None:
    d = derivation("nielsen")
    assert len(d.results) == 4
    biases, error = d.results[3], Ref("z_bar", SizeMember("n", l), 1, l)
    assert biases.target is Ref("b_bar", SizeMember("n", l), 1, l)
    assert biases.value is error


def test_recurrence_through_time_for_symbolic_length() -> None:
    d = derivation("rnn")
    h, p, n = size("h"), size("p"), size("n")
    bar = lambda k: Ref("Z_bar", h, m, k)  # noqa: E731
    out = Ref("O_bar", p, m, t)
    H = lambda k: Ref("H", h, m, k)  # noqa: E731
    found = rows(d)
    assert found["Z_bar[t]"] is Hadamard(Add(T(Ref("V", p, h)) @ out, T(Ref("W", h, h)) @ bar(t + 1)), 1 - H(t) ** 2)
    assert found["W_bar"] is SumOver(bar(t) @ T(H(t - 1)), t, 1, TT)
    assert found["U_bar"] is SumOver(bar(t) @ T(Ref("X", n, m, t)), t, 1, TT)
    assert found["b_bar"] is SumOver(bar(t) @ Ones(m, 1), t, 1, TT)
    (recursion,) = [r for r in d.results if r.target is bar(t)]
    assert recursion.notes == ((bar(t), t, ">", TT),)
    assert [(r.first, r.last) for r in recursion.ranges] == [(TT, 1)]


def test_a_message_to_one_member_is_stated_where_its_loop_stays_whole() -> None:
    d = derive(read_text(network("decoder").text))
    L, l, s = size("L"), index("l"), index("s")
    (stated,) = [r for r in d.results if r.target.name.startswith("M_X")]
    assert stated.target.indices == (s, L) and stated.reason == "message to one member"
    (heard,) = [r for r in d.results if stated.target.name in {x.name for x in refs(r.value)}]
    assert heard.target.indices == (s, l)
    assert (heard.target.name, l, "<", L) in [(heard.target.name, *note[1:]) for note in heard.notes]


def test_delays_one_and_three() -> None:
    d = derivation("delayed")
    (recursion,) = [r for r in d.results if r.target.name == "Z_bar"]
    read = {x.label for x in recursion.value.atoms(Ref) if x.name == "Z_bar"}
    assert read == {"Z_bar[t + 1]", "Z_bar[t + 3]"}


@pytest.mark.parametrize("name", names())
def test_derivations_are_whole(name: str) -> None:
    d = derivation(name)
    check(d.program)
    assert d.program.body[: len(d.forward.body)] == d.forward.body
    assert set(d.gradients) == {v.name for v in d.source.parameters}
    defined = {s.target.name for s in d.program.sites}
    assert set(d.gradients.values()) <= defined
    assert [r.number for r in d.results] == list(range(1, len(d.results) + 1))
    told = {r.target.name for r in d.results}
    for r in d.results:
        backward = {x.name for x in refs(r.value) if d.program.variables[x.name].kind in ("adjoint", "message")}
        assert backward <= told, "an equation reads what no equation states"
    for site in d.program.sites:
        assert not isinstance(site.equation.value, Ref) or site.target.name in d.gradients.values(), "name = name"
    known = {i.name for i in IDENTITIES}
    for step in d.steps:
        if step.kind in ("rewrite", "recognise"):
            assert step.rule in known or step.condition, step
            assert step.before.shape == step.after.shape


def test_the_same_derivation_twice_is_the_same() -> None:
    assert derivation("lstm") == derivation("lstm")


def test_other_variables_and_outputs() -> None:
    program = read_text("X: input[n, m]\nW: param[k, n]\nA = tanh(W @ X)\nloss = sum(A**2)\n")
    d = derive(program, wrt=["X", "W"])
    assert set(d.gradients) == {"X", "W"}
    assert rows(d)["X_bar"] is T(Ref("W", size("k"), size("n"))) @ Ref("Z_A_bar", size("k"), m)
    with pytest.raises(KeyError):
        derive(program, wrt=["Q"])


def test_a_product_is_pulled_from_both_sides() -> None:
    d = derive(read_text("A: param[n, k]\nB: param[k, m]\nC: input[m, n]\nloss = trace(A @ B @ C)\n"))
    A, B, C = Ref("A", size("n"), size("k")), Ref("B", size("k"), m), Ref("C", m, size("n"))
    assert rows(d) == {"A_bar": T(C) @ T(B), "B_bar": T(A) @ T(C)}


def test_p_minus_y_inside_a_loop() -> None:
    """The softmax's argument has no name of its own in the declaration, and the sum stands outside its loop."""
    d = derive(
        read_text(
            "samples: m\nV: param[c, n]\nfor t in range(1, T+1):\n    X[t]: input[n, m]\n"
            "    Y[t]: target[c, m] & one_hot_columns\n    P[t] = softmax(V @ X[t], axis=0)\n"
            "loss = -sum(sum(Y[t] * log(P[t])) for t in range(1, T+1)) / m\n"
        )
    )
    c, n = size("c"), size("n")
    error = Ref("P", c, m, t) - Ref("Y", c, m, t)
    (gradient,) = d.results
    assert gradient.value is Scale(SumOver(error @ T(Ref("X", n, m, t)), t, 1, TT), 1 / m)
