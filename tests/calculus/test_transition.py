"""The Jacobian of a state with respect to the state before: its value, its form, its bound, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from symbp.calculus import derive
from symbp.calculus.transition import bound_of, one_sample, transition
from symbp.expr import Diag, Eye, MatMul, Ref, T, expanded, scaled, shift, size
from symbp.expr.nodes import plain
from symbp.language import read_text
from symbp.networks import network
from symbp.program import Equation, Var, check
from symbp.render.notation import Notation
from symbp.render.transition import transition_lines
from symbp.verify.draws import draw
from symbp.verify.evaluate import evaluate

GRU = network("gru").text.replace("h0: param[h, 1]\n", "H[0]: input[h, m]\n").replace("H[0] = h0 @ ones(1, m)\n", "")
LSTM = network("lstm").text


@pytest.mark.parametrize(("text", "state"), [(network("rnn").text, "H"), (GRU, "H"), (LSTM, "C"), (LSTM, "H"),
                                             (GRU.replace("H[t-1])", "H[t-1], reset='after')"), "H")])
def test_it_is_the_jacobian_of_one_step(text: str, state: str) -> None:
    """By complex step through the evaluator: the state before moves, what is held does not."""
    found = transition(read_text(text), state)
    sizes = {"h": 3, "n": 2, "p": 4, "k": 2, "T": 1}
    values = draw(found.program, sizes, np.random.default_rng(2))
    before = found.before.name, found.target.name
    step = shift(found.jacobian, {found.index: size("T") * 0 + 1})
    J = Var("J", *step.shape)
    program = check(found.program.with_variables(J).replace(body=(*found.program.body, Equation(J(), step))))
    stated = evaluate(program, values, sizes)["J"]
    columns = []
    for k in range(3):
        moved = {m: np.array(a, dtype=complex) for m, a in values[before[0]].items()}
        moved[(0,)][k, 0] += 1e-30j
        columns.append(evaluate(found.program, {**values, before[0]: moved}, sizes)[before[1]][(1,)].imag / 1e-30)
    np.testing.assert_allclose(stated, np.hstack(columns), rtol=1e-12, atol=1e-15)


def test_the_product_reads_like_the_sheet() -> None:
    found = transition(read_text(network("rnn").text), "H")
    assert plain(found.jacobian) == "MatMul(Diag(Add(Ones(h, 1), Scale(Map(H[t], power(2)), -1))), W)"
    lines = transition_lines(found)
    assert lines[0] == "∂H[t]/∂H[s] = ∏(r=s+1..t) diag(1 - H[r]²) W"
    assert lines[1] == "‖∂H[t]/∂H[s]‖₂ ≤ ∏(r=s+1..t) max|1 - H[r]²| ‖W‖₂ ≤ q^(t-s)"
    assert transition_lines(found, Notation(charset="ascii"))[1] == (
        "||dH[t]/dH[s]|| <= prod(r=s+1..t) max|1 - H[r]^2| ||W|| <= q^(t-s)"
    )


def test_what_is_held_is_said() -> None:
    found = transition(read_text(LSTM), "C")
    assert plain(found.jacobian) == "Diag(F[t])"
    assert transition_lines(found)[-1] == "along C alone: H[t-1] held fixed"
    assert not transition(read_text(network("rnn").text), "H").held


def test_a_loop_that_runs_down_and_layers() -> None:
    down = """
samples: m
B[T+1]: input[h, m]
W: param[h, h]
for t in range(T, 0, -1):
    B[t] = tanh(W @ B[t+1])
loss = sum(B[1])
"""
    lines = transition_lines(transition(read_text(down), "B"))
    assert lines[0] == "∂B[t]/∂B[s] = ∏(r=s-1..t) diag(1 - B[r]²) W"
    assert lines[1].endswith("≤ q^(s-t)")
    deep = transition(read_text(network("deep").text), "A")
    assert plain(deep.jacobian) == "MatMul(Diag(Map(Z[l], sigma')), W[l])"


def test_bounds_are_bounds() -> None:
    n = size("n")
    A, B, v = Ref("A", n, n), Ref("B", n, n), Ref("v", n, 1)
    bound = bound_of(MatMul(scaled(-3, A), Diag(v), T(B) + Eye(n)))
    assert bound.kind == "product"
    assert [b.kind for b in bound.parts] == ["number", "norm", "largest", "sum"]
    assert [b.kind for b in bound.parts[-1].parts] == ["norm", "number"]
    assert bound.parts[0].number == 3


def test_one_sample_has_one_column() -> None:
    program = one_sample(read_text(network("rnn").text))
    assert program.variables["H"].shape == (size("h"), 1)
    assert check(program) is program
    assert expanded(derive(program).program.variables["W_bar"].rows - size("h")) == 0


@pytest.mark.parametrize(
    ("name", "state", "words"),
    [
        ("rnn", "Q", "no variable"),
        ("rnn", "O", "no state"),
        ("rnn", "X", "no state"),
        ("rnn", "W", "no state"),
        ("mlp", "A1", "no state"),
        ("delayed", "H", "delays"),
    ],
)
def test_what_is_no_state_is_refused(name: str, state: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        transition(read_text(network(name).text), state)
