"""Recurrent cells: their equations, values, shared parameters, names, gradients, and everything that is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

from symbp.calculus import derive, prepare
from symbp.expr import Ref, size, transform
from symbp.expr.nodes import plain
from symbp.language import DeclarationError, read_text
from symbp.language.builder import Model
from symbp.language.functions import sum as sum_
from symbp.networks import network
from symbp.program import Program
from symbp.verify import check_derivation
from symbp.verify.evaluate import evaluate

h, m, n, L, T_, q = (size(x) for x in ("h", "m", "n", "L", "T", "q"))


def net(cell: str, head: str = "", columns: bool = True, output: str = "V @ H[t]") -> str:
    """Return a declaration with one cell and an output at each step."""

    def shape(a: str, b: str) -> str:
        return f"[{a}, {b}]" if columns else f"[{b}, {a}]"

    return f"""
samples: m
H[0]: input{shape("h", "m")}{head}
V: param{shape("p", "h")}
for t in range(1, T+1):
    X[t]: input{shape("n", "m")}
    Y[t]: target{shape("p", "m")}
    {cell}
loss = sum(sum(({output if columns else "H[t] @ V"} - Y[t])**2) for t in range(1, T+1)) / (2*m)
"""


C0 = "; C[0]: input[h, m]"
CELLS = {
    "rnn": net("H[t] = rnn(X[t], H[t-1])"),
    "lstm": net("H[t], C[t] = lstm(X[t], H[t-1], C[t-1])", C0),
    "stacked": net("H[t], C[t] = lstm(X[t], H[t-1], C[t-1], gates='stacked')", C0),
    "peepholes": net("H[t], C[t] = lstm(X[t], H[t-1], C[t-1], peepholes=True)", C0),
    "both": net("H[t], C[t] = lstm(X[t], H[t-1], C[t-1], True, 'stacked')", C0),
    "gru": net("H[t] = gru(X[t], H[t-1])"),
    "gru after": net("H[t] = gru(X[t], H[t-1], reset='after')"),
}
SIZES = {"h": 3, "m": 2, "n": 5, "p": 7, "T": 4}


def equations(program: Program) -> dict[str, str]:
    return {site.target.label: plain(site.equation.value) for site in program.sites}


def draw(program: Program, sizes: dict[str, int], seed: int = 0) -> dict[str, Any]:
    """Return values for all declared variables; families by their boxes."""
    rng = np.random.default_rng(seed)
    at = {size(k): v for k, v in sizes.items()}
    found: dict[str, Any] = {}
    for var in program.declared():
        shape = tuple(int(e.xreplace(at)) for e in var.shape)
        if not var.boxes:
            found[var.name] = 0.5 * rng.normal(size=shape)
            continue
        members: dict[tuple[int, ...], Any] = {}
        for box in var.boxes:
            sides = [range(int(sp.sympify(s.lows[0]).xreplace(at)), int(sp.sympify(s.highs[0]).xreplace(at)) + 1)
                     for s in box.sides]
            for where in np.ndindex(*(len(s) for s in sides)):
                members[tuple(s[k] for s, k in zip(sides, where, strict=True))] = 0.5 * rng.normal(size=shape)
        found[var.name] = members
    return found


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


# ---------------------------------------------------------------------------------------------------------
# Values


def reference(cell: str, v: dict[str, Any], steps: int) -> dict[tuple[int, ...], Any]:
    """Run a cell of ``CELLS`` by hand."""
    H, C = v["H"][(0,)], v.get("C", {}).get((0,))
    found = {(0,): H}

    def S(gate: str, H: Any, X: Any) -> Any:
        if "W" in v:
            k = "ifog".index(gate)
            return (v["W"] @ X + v["U"] @ H + v["b"])[3 * k : 3 * k + 3]
        return v[f"W_{gate}"] @ X + v[f"U_{gate}"] @ H + v[f"b_{gate}"]

    def p(gate: str) -> Any:
        return v.get(f"p_{gate}", 0)

    for t in range(1, steps + 1):
        X = v["X"][(t,)]
        if cell == "rnn":
            H = np.tanh(S("h", H, X))
        elif cell.startswith("gru"):
            R, Z = sigmoid(S("r", H, X)), sigmoid(S("z", H, X))
            if cell == "gru":
                N = np.tanh(v["W_n"] @ X + v["U_n"] @ (R * H) + v["b_n"])
            else:
                N = np.tanh(v["W_n"] @ X + v["b_n"] + R * (v["U_n"] @ H + v["c_n"]))
            H = (1 - Z) * N + Z * H
        else:
            new = sigmoid(S("f", H, X) + p("f") * C) * C + sigmoid(S("i", H, X) + p("i") * C) * np.tanh(S("g", H, X))
            H, C = sigmoid(S("o", H, X) + p("o") * new) * np.tanh(new), new
        found[(t,)] = H
    return found


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_has_the_values_of_its_formulas(cell: str) -> None:
    program = read_text(CELLS[cell])
    values = draw(program, SIZES)
    found = evaluate(program, values, SIZES)["H"]
    for where, wanted in reference(cell, values, SIZES["T"]).items():
        np.testing.assert_allclose(found[where], wanted, rtol=1e-13)


@pytest.mark.parametrize("cell", ["rnn(X[t], H[t-1])", "gru(X[t], H[t-1])", "gru(X[t], H[t-1], reset='after')"])
def test_samples_in_rows_are_the_transpose(cell: str) -> None:
    columns, rows = read_text(net(f"H[t] = {cell}")), read_text(net(f"H[t] = {cell}", columns=False))
    values = draw(columns, SIZES)
    turned = {k: {i: a.T for i, a in v.items()} if isinstance(v, dict) else v.T for k, v in values.items()}
    a, b = evaluate(columns, values, SIZES), evaluate(rows, turned, SIZES)
    np.testing.assert_allclose(a["H"][(4,)], b["H"][(4,)].T, rtol=1e-13)
    np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-13)


@pytest.mark.parametrize("given", ["", ", gates='stacked'", ", peepholes=True", ", True, 'stacked'"])
def test_an_lstm_with_samples_in_rows_is_the_transpose(given: str) -> None:
    line = f"H[t], C[t] = lstm(X[t], H[t-1], C[t-1]{given})"
    columns, rows = read_text(net(line, C0)), read_text(net(line, "; C[0]: input[m, h]", columns=False))
    values = draw(columns, SIZES)
    turned = {k: {i: a.T for i, a in v.items()} if isinstance(v, dict) else v.T for k, v in values.items()}
    a, b = evaluate(columns, values, SIZES), evaluate(rows, turned, SIZES)
    np.testing.assert_allclose(a["C"][(4,)], b["C"][(4,)].T, rtol=1e-13)
    np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-13)


def test_any_activation_of_a_simple_cell() -> None:
    for activation in ("relu", "sigmoid", "linear", "softmax", "np.tanh"):
        assert read_text(net(f"H[t] = rnn(X[t], H[t-1], {activation})")).variables["H"].shape == (h, m)
    assert "Z_h" not in read_text(net("H[t] = rnn(X[t], H[t-1], linear)")).variables


# ---------------------------------------------------------------------------------------------------------
# Names and shared parameters


def test_parts_are_named_as_in_the_literature() -> None:
    program = read_text(CELLS["peepholes"])
    names = [v.name for v in program.parameters]
    assert names == ["V", *(f"{kind}_{gate}" for gate in "if" for kind in "WUbp"), "W_g", "U_g", "b_g",
                     *(f"{kind}_o" for kind in "WUbp")]
    assert equations(program)["C[t]"] == "Add(Hadamard(F[t], C[t - 1]), Hadamard(I[t], G[t]))"
    assert equations(program)["O[t]"] == "Map(S_o[t], sigmoid)"
    assert list(equations(program)).index("C[t]") < list(equations(program)).index("S_o[t]")  # O sees the new state
    plain_order = [site.target.name for site in read_text(CELLS["lstm"]).sites]
    assert plain_order == ["S_i", "I", "S_f", "F", "S_o", "O", "S_g", "G", "C", "H", "loss"]


def test_the_number_of_the_left_side_is_the_number_of_the_parts() -> None:
    text = """
H1[0]: input[h, m]; H2[0]: input[k, m]; C2[0]: input[k, m]; State[0]: input[h, m]; W_r: param[h, h]
for t in range(1, T+1):
    X[t]: input[n, m]
    H1[t] = gru(X[t], H1[t-1])
    H2[t], C2[t] = lstm(H1[t], H2[t-1], C2[t-1])
    State[t] = gru(X[t], State[t-1])
loss = sum(W_r @ H1[T]) + sum(H2[T]) + sum(State[T])
"""
    program = read_text(text)
    names = {v.name for v in program.parameters}
    assert {"W_r", "W_r1", "U_z1", "b_n1", "W_i2", "b_o2", "W_r_State"} <= names
    assert {"R1", "N1", "I2", "G2", "S_o2", "R_State", "S_n_State"} <= program.variables.keys()
    assert program.variables["W_i2"].shape == (size("k"), h)


def test_a_name_that_is_taken_gets_the_left_side() -> None:
    program = read_text(net("H[t], C[t] = lstm(X[t], H[t-1], C[t-1])", C0 + "; W_i: param[p, h]; O: const[h, h]",
                            output="(V + W_i @ O) @ H[t]"))
    assert program.variables["W_i_H"].shape == (h, n)
    assert "O_H" in program.variables
    assert "W_f" in program.variables


def test_a_cell_shares_its_parameters_along_the_state_only() -> None:
    text = """
for l in range(1, L+1):
    H[l, 0]: input[q[l], m]
for t in range(1, T+1):
    H[0, t]: input[q[0], m]
for l in range(1, L+1):
    for t in range(1, T+1):
        H[l, t] = gru(H[l-1, t], H[l, t-1])
loss = sum(sum(H[L, t]) for t in range(1, T+1))
"""
    program = read_text(text)
    W = program.variables["W_r"]
    assert [str(i) for i in W.indices] == ["l"]
    assert str(W.shape) == "(q[l], q[l - 1])"
    assert [(s.lows, s.highs) for s in W.boxes[0].sides] == [((1,), (L,))]
    swapped = read_text(text.replace("for l in range(1, L+1):\n    for t in range(1, T+1):",
                                     "for t in range(1, T+1):\n    for l in range(1, L+1):"))
    assert [str(i) for i in swapped.variables["U_n"].indices] == ["l"]
    assert not read_text(CELLS["gru"]).variables["W_r"].indices


CHUNKS = """
H[0, k]: input[h, m]
for i in range(1, c+1):
    H[i, 0] = stop_gradient(H[i-1, k])
    for j in range(1, k+1):
        X[i, j]: input[n, m]
        H[i, j] = gru(X[i, j], H[i, j-1]{shared})
loss = sum(H[c, k]**2)
"""


def test_chunks_may_share_the_parameters() -> None:
    assert [str(i) for i in read_text(CHUNKS.format(shared="")).variables["W_r"].indices] == ["i"]
    program = read_text(CHUNKS.format(shared=", shared='i'"))
    assert all(not v.indices for v in program.parameters)
    sizes = {"h": 3, "m": 2, "n": 5, "c": 3, "k": 2}
    values, found = draw(program, sizes), derive(program)
    assert evaluate(found.program, values, sizes)["W_r_bar"].any()
    with pytest.raises(DeclarationError) as caught:
        read_text(CHUNKS.format(shared=", shared='l'"))
    assert [d.code for d in caught.value.diagnostics] == ["O005"]
    with pytest.raises(DeclarationError):
        read_text(CHUNKS.format(shared=", shared=3"))


def test_a_cell_outside_of_a_loop_is_one_step() -> None:
    program = read_text("X: input[n, m]\nH0: input[h, m]\nC0: input[h, m]\nH, C = lstm(X, H0, C0)\nloss = sum(H*C)\n")
    assert not program.variables["W_i"].indices
    assert program.outputs == ("loss",)


def test_a_backward_cell_and_a_delayed_cell() -> None:
    program = read_text("""
Hf[0]: input[h, m]; Hb[T+1]: input[h, m]
for k in range(-1, 1):
    D[k]: input[h, m]
for t in range(1, T+1):
    X[t]: input[n, m]
    Hf[t] = gru(X[t], Hf[t-1])
    D[t] = rnn(X[t], D[t-2], tanh)
for t in range(T, 0, -1):
    Hb[t] = gru(X[t], Hb[t+1])
loss = sum(sum(Hf[t]*Hb[t]*D[t]) for t in range(1, T+1))
""")
    assert {"W_r_Hf", "W_r_Hb", "W_h"} <= {v.name for v in program.parameters}
    assert all(not v.indices for v in program.parameters)


# ---------------------------------------------------------------------------------------------------------
# The same as plain mathematics


def test_the_stacked_layer_is_the_bundled_network_up_to_names() -> None:
    layer = read_text(CELLS["stacked"])
    written = network("lstm").text
    a, _ = prepare(layer)
    b, _ = prepare(read_text(written))
    rename = {f"Z_{g.upper()}": f"S_{g}" for g in "ifog"}

    def renamed(node: Any) -> Any:
        return transform(node, lambda x: Ref(rename.get(x.name, x.name), *x.shape, *x.indices)
                         if isinstance(x, Ref) else x)

    mine = {(site.target, site.equation.value) for site in a.sites}
    theirs = {(renamed(site.target), renamed(site.equation.value)) for site in b.sites}
    assert mine == theirs


def test_a_model_writes_what_the_text_writes() -> None:
    text = net("H[t], C[t] = lstm(X[t], H[t-1], C[t-1], peepholes=True)", C0).replace("samples: m\n", "")
    made = Model(samples="m")
    made.input("H", "h", "m", at=(0,))
    made.input("C", "h", "m", at=(0,))
    V = made.param("V", "p", "h")
    with made.loop("t", 1, "T") as t:
        X, Y = made.input("X", "n", "m", at=(t,)), made.target("Y", "p", "m", at=(t,))
        H, C = made.write(("H", "C"), "lstm", X, made["H", t - 1], made["C", t - 1], peepholes=True)
        assert (H.label, C.label) == ("H[t]", "C[t]")
    made["loss"] = made.sum(sum_((V @ made["H", t] - made["Y", t]) ** 2), t, 1, "T") / (2 * m)
    assert Y.label == "Y[t]"
    a, b = made.program(), read_text(text)
    assert equations(a) == equations(b)
    assert {v.name: (v.shape, v.kind, v.indices) for v in a.variables.values()} == {
        v.name: (v.shape, v.kind, v.indices) for v in b.variables.values()
    }


def test_a_model_refuses_another_number_of_results() -> None:
    made = Model()
    X, H = made.input("X", "n", "m"), made.input("H0", "h", "m")
    for left, layer, given in (("H", "lstm", (X, H, H)), (("H", "C", "D"), "lstm", (X, H, H)), (("H",), "gru", (X, H))):
        with pytest.raises(ValueError, match="O014"):
            made.write(left, layer, *given)
    with pytest.raises(ValueError, match="B009"), made.loop("t", 1, "T"):
        made.write("H", "gru", X, H)
    assert set(made.variables) == {"X", "H0"}


# ---------------------------------------------------------------------------------------------------------
# The backward pass


def test_the_backward_pass_of_an_lstm_reads_like_the_formulas() -> None:
    """Formula 4.3, equation by equation."""
    found = derive(read_text(CELLS["stacked"]))
    said = {r.target.label: plain(r.value) for r in found.results}
    assert said["S_o_bar[t]"] == "Hadamard(H_bar[t], tanh_C[t], O[t], Add(Ones(h, m), Scale(O[t], -1)))"
    assert said["S_i_bar[t]"] == "Hadamard(C_bar[t], G[t], I[t], Add(Ones(h, m), Scale(I[t], -1)))"
    assert said["S_f_bar[t]"] == "Hadamard(C_bar[t], C[t - 1], F[t], Add(Ones(h, m), Scale(F[t], -1)))"
    assert said["S_g_bar[t]"].startswith("Hadamard(C_bar[t], I[t], Add(Ones(h, m), Scale(Map(G[t], power(2)), -1))")
    assert said["W_bar"] == "SumOver(MatMul(S_bar[t], Transpose(X[t])), t, 1, T)"
    assert said["U_bar"] == "SumOver(MatMul(S_bar[t], Transpose(H[t - 1])), t, 1, T)"
    assert len(found.results) == 11


def test_an_iteration_that_stands_apart_is_printed_where_it_differs() -> None:
    found = derive(read_text(network("gru").text))
    labels = [r.target.label for r in found.results]
    assert "H_bar[T]" in labels and "H_bar[t]" in labels
    assert [x for x in labels if x.startswith("S_n_bar")] == ["S_n_bar[t]"]
    (gate,) = (r for r in found.results if r.target.name == "S_n_bar")
    assert [(str(x.first), str(x.last)) for x in gate.ranges] == [("T", "1")]


# ---------------------------------------------------------------------------------------------------------
# What is refused

X0 = "X: input[n, m]\nA: input[h, m]\n"
LOOP = "H[0]: input[h, m]\nC[0]: input[h, m]\nfor t in range(1, T+1):\n    X[t]: input[n, m]\n    "


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (X0 + "H = lstm(X, A, A)", "O014"),
        (X0 + "H, C, D = lstm(X, A, A)", "O014"),
        (X0 + "H, C = gru(X, A)", "O014"),
        (X0 + "H, C = tanh(lstm(X, A, A))", "O014"),
        (X0 + "H, C = lstm(X, A, A) + A", "P012"),
        (X0 + "H, C = tanh(X)", "O014"),
        (X0 + "H, C = X, A", "P012"),
        (X0 + "H, H = lstm(X, A, A)", "B002"),
        (X0 + "H, 3 = lstm(X, A, A)", "P012"),
        (X0 + "H, C[0:2, :] = lstm(X, A, A)", "P012"),
        (X0 + "H, A = lstm(X, A, A)", "B002"),
        (X0 + "H, input = lstm(X, A, A)", "N005"),
        (X0 + "loss, C = lstm(X, A, A)", "S026"),
        (X0 + "H, n = lstm(X, A, A)", "N011"),
        (X0 + "H, C = lstm(X, A)", "O003"),
        (X0 + "H, C = lstm(X, A, X)", "S002"),
        (X0 + "H, C = lstm(X, A, A, gates='joined')", "O005"),
        (X0 + "H, C = lstm(X, A, A, peepholes=2)", "O005"),
        (X0 + "H = gru(X, A, reset='never')", "O005"),
        (X0 + "H = gru(X.T, A)", "S002"),
        (X0 + "H = gru(2, A)", "O004"),
        (X0 + "H = rnn(X, A, foo)", "O005"),
        (X0 + "H, C = (lstm)(X, A, A)(2)", "O001"),
        ("H, C: input[n, m]\nloss = sum(H)", "P011"),
        ("H, C = input[n, m]\nloss = sum(H)", "P012"),
        (LOOP + "H[t] = gru(X[t], H[0])", "B009"),
        (LOOP + "H[t], C[t] = lstm(X[t], H[t], C[t-1])", "B001"),
        (LOOP + "H[t], C = lstm(X[t], H[t-1], C[t-1])", "B005"),
        (LOOP + "H[t], C[0] = lstm(X[t], H[t-1], C[t-1])", "B003"),
        (LOOP + "H[t], C[2*t] = lstm(X[t], H[t-1], C[t-1])", "B004"),
        (LOOP + "H[t], C[t] = lstm(X[t], H[t-1], C[t-1], units=3)", "O003"),
    ],
)
def test_errors_have_a_place(text: str, code: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        read_text(text + "\n")
    assert caught.value.diagnostics[0].code == code
    assert "Traceback" not in caught.value.render()
    assert all(re.match(r"[A-Z]\d{3}$", d.code) for d in caught.value.diagnostics)


def test_a_layer_behind_a_wrong_name_is_no_second_error() -> None:
    for text, codes in (
        ("H: foo[h, m]\nH, C = lstm(X, A, A)", ["P011"]),
        ("H: foo[h, m]\nH = gru(X, A)", ["P011"]),
        ("H: foo[h, m]\nH = gru(X, Q)", ["P011", "N001"]),
    ):
        with pytest.raises(DeclarationError) as caught:
            read_text(X0 + text + "\nloss = sum(X)\n")
        assert [d.code for d in caught.value.diagnostics] == codes


# ---------------------------------------------------------------------------------------------------------
# Truncated back-propagation through time


def truncated(values: dict[str, Any], chunks: int, steps: int) -> dict[str, Any]:
    """Return the gradients of ``truncated.net`` by hand: each chunk by itself, from the state that it was given."""
    v, m_ = values, values["H"][0, steps].shape[1]
    found = {name: np.zeros_like(v[name]) for name in "WUbV"}
    state = v["H"][0, steps]
    for i in range(1, chunks + 1):
        states = [state]
        for j in range(1, steps + 1):
            states.append(np.tanh(v["W"] @ states[-1] + v["U"] @ v["X"][i, j] + v["b"]))
        message = np.zeros_like(state)
        for j in range(steps, 0, -1):
            error = (v["V"] @ states[j] - v["Y"][i, j]) / m_
            delta = (v["V"].T @ error + message) * (1 - states[j] ** 2)
            found["V"] += error @ states[j].T
            found["W"] += delta @ states[j - 1].T
            found["U"] += delta @ v["X"][i, j].T
            found["b"] += delta.sum(axis=1, keepdims=True)
            message = v["W"].T @ delta
        state = states[-1]
    return found


@pytest.mark.parametrize(("chunks", "steps"), [(1, 1), (1, 6), (2, 3), (3, 2), (6, 1)])
def test_truncated_gradients_are_those_of_each_chunk(chunks: int, steps: int) -> None:
    derivation = derive(read_text(network("truncated").text))
    sizes = {"h": 3, "m": 2, "n": 5, "p": 7, "c": chunks, "k": steps}
    values = draw(derivation.source, sizes)
    found = evaluate(derivation.program, values, sizes)
    for name, wanted in truncated(values, chunks, steps).items():
        np.testing.assert_allclose(found[derivation.gradients[name]], wanted, rtol=1e-12, atol=1e-14)


def test_one_chunk_is_not_truncated_and_two_are() -> None:
    """With k at least T nothing is cut; with less, the gradient differs from the full one and the loss does not."""
    rnn = derive(read_text(network("rnn").text.replace(" + c\n", "\n").replace("; c: param[p, 1]", "")))
    cut = derive(read_text(network("truncated").text))
    base = {"h": 3, "m": 2, "n": 5, "p": 7}
    values = draw(rnn.source, {**base, "T": 6})
    full = evaluate(rnn.program, values, {**base, "T": 6})
    for chunks, steps in ((1, 6), (2, 3)):
        split = {name: {((t - 1) // steps + 1, (t - 1) % steps + 1): a for (t,), a in values[name].items()}
                 for name in "XY"}
        given = {**values, **split, "H": {(0, steps): values["H"][(0,)]}}
        found = evaluate(cut.program, given, {**base, "c": chunks, "k": steps})
        np.testing.assert_allclose(found["loss"], full["loss"], rtol=1e-13)
        assert np.allclose(found["W_bar"], full["W_bar"], rtol=1e-12) == (chunks == 1)


def test_a_stopped_gradient_has_no_influence() -> None:
    text = "X: input[n, m]\nW: param[k, n]\nV: param[k, n]\nloss = sum(tanh(W @ X) * stop_gradient(V @ X))\n"
    derivation = derive(read_text(text))
    sizes = {"k": 3, "n": 2, "m": 5}
    values = draw(derivation.source, sizes)
    found = evaluate(derivation.program, values, sizes)
    assert not found["V_bar"].any()
    assert found["W_bar"].any()
    alias = derive(read_text(text.replace("stop_gradient", "stop")))
    assert [plain(r.value) for r in alias.results] == [plain(r.value) for r in derivation.results]
    none = derive(read_text("X: input[n, m]\nV: param[k, n]\nloss = sum(stop_gradient(V @ X)**2)\n"))
    assert not evaluate(none.program, values, sizes)["V_bar"].any()


# ---------------------------------------------------------------------------------------------------------
# Networks of cells, by the witnesses

DEEP = """
samples: m
for l in range(1, L+1):
    H[l, 0]: input[q[l], m]{more}
for t in range(1, T+1):
    H[0, t]: input[q[0], m]
for l in range(1, L+1):
    for t in range(1, T+1):
        {cell}
loss = sum(sum(H[L, t]**2) for t in range(1, T+1)) / (2*m)
"""
BOTH_WAYS = """
samples: m
F[0]: {kind}[h, m]; B[T+1]: {kind}[h, m]{more}
V: param[p, 2*h]
for t in range(1, T+1):
    X[t]: input[n, m]
    Y[t]: target[p, m]
    {forward}
for t in range(T, 0, -1):
    {backward}
loss = sum(sum((V @ vstack([F[t], B[t]]) - Y[t])**2) for t in range(1, T+1)) / (2*m)
"""
NETWORKS = {
    "stacked gru": DEEP.format(more="", cell="H[l, t] = gru(H[l-1, t], H[l, t-1])"),
    "stacked lstm": DEEP.format(
        more="\n    C[l, 0]: input[q[l], m]", cell="H[l, t], C[l, t] = lstm(H[l-1, t], H[l, t-1], C[l, t-1])"
    ),
    "bidirectional gru": BOTH_WAYS.format(
        kind="param", more="", forward="F[t] = gru(X[t], F[t-1])", backward="B[t] = gru(X[t], B[t+1])"
    ),
    "bidirectional lstm": BOTH_WAYS.format(
        kind="input", more="\nCf[0]: input[h, m]; Cb[T+1]: input[h, m]",
        forward="F[t], Cf[t] = lstm(X[t], F[t-1], Cf[t-1])", backward="B[t], Cb[t] = lstm(X[t], B[t+1], Cb[t+1])",
    ),
    "two layers": """
samples: m
H1[0]: param[h, m]; H2[0]: param[k, m]; C2[0]: param[k, m]
Y: target[k, m]
for t in range(1, T+1):
    X[t]: input[n, m]
    H1[t] = gru(X[t], H1[t-1], reset='after')
    H2[t], C2[t] = lstm(H1[t], H2[t-1], C2[t-1], peepholes=True, gates='stacked')
loss = sum((H2[T] - Y)**2) / (2*m)
""",
}


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS if name != "two layers"]


@pytest.mark.parametrize("name", ["two layers", *SLOW])
def test_networks_of_cells_hold(name: str) -> None:
    """First states are parameters in some of them; everything is proved, exact, and right by complex step."""
    found = list(check_derivation(derive(read_text(NETWORKS[name])), draws=1))
    assert found
    assert {v.verdict for v in found} == {"holds"}
    assert all(v.proved for v in found if v.checked == "adjoint equation"), [v.subject for v in found if not v.proved]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two layers", "bidirectional gru"])
def test_networks_of_cells_run_in_both_targets(name: str, tmp_path: Path) -> None:
    (tmp_path / "net.net").write_text(NETWORKS[name])
    for rows in ([], ["--samples", "rows"]):
        derived = subprocess.run(
            [sys.executable, "-m", "symbp", "derive", str(tmp_path / "net.net"), *rows], capture_output=True, text=True,
            check=False,
        )
        assert derived.returncode == 0, derived.stderr
    done = subprocess.run(
        [sys.executable, "-m", "symbp", "verify", str(tmp_path / "net.net"), "--json"], capture_output=True, text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "network.c" in done.stdout or "C module" in done.stdout
