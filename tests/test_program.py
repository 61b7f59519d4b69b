"""``check``: coverage, order, single assignment and shapes, each with the reason."""

from dataclasses import replace

import pytest

from symbp.language import read_text
from symbp.language.diagnostics import DeclarationError
from symbp.program import Equation, Loop, ProgramError, check, counterexample

RNN = """
H[0]: input[h, m]
W: param[h, h]
U: param[h, n]
for t in range(1, T+1):
    X[t]: input[n, m]
    H[t] = tanh(W @ H[t-1] + U @ X[t])
loss = sum(H[T])
"""


def codes(text: str) -> list[str]:
    with pytest.raises(DeclarationError) as seen:
        read_text(text)
    return [d.code for d in seen.value.diagnostics]


def test_a_good_program_passes() -> None:
    program = read_text(RNN)
    assert check(program) is program


def test_a_read_outside_is_told_with_its_place() -> None:
    with pytest.raises(DeclarationError) as seen:
        read_text(RNN.replace("H[t-1]", "H[t-2]"))
    (found,) = seen.value.diagnostics
    assert found.code == "B001" and "H[" in found.message and found.line == 7


def test_the_sentence_of_the_design() -> None:
    with pytest.raises(DeclarationError) as seen:
        read_text(RNN + "G = sum(H[t+1] for t in range(1, T+1))\n")
    assert any("H[T + 1] is read" in d.message and "0" in d.message for d in seen.value.diagnostics)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("H[t-1]", "H[t]", "B001"),
        ("H[t-1]", "H[t+1]", "B001"),
        ("H[T]", "H[T+1]", "B001"),
        ("H[0]: input", "H[1]: input", "B002"),
        ("range(1, T+1):", "range(0, T+1):", "B002"),
    ],
)
def test_bad_orders_and_boxes(old: str, new: str, code: str) -> None:
    assert code in codes(RNN.replace(old, new, 1))


def test_a_bound_of_a_size_makes_a_read_possible() -> None:
    text = RNN.replace("sum(H[T])", "sum(H[2])")
    assert codes(text) == ["B001"]
    read_text("assert T >= 2\n" + text)


def test_downward_loops_run_downward() -> None:
    down = "H[T+1]: input[h, m]\nW: param[h, h]\nfor t in range(T, 0, -1):\n    H[t] = W @ H[t+1]\nloss = sum(H[1])\n"
    program = read_text(down)
    assert isinstance(program.body[0], Loop) and program.body[0].down
    assert codes(down.replace("H[t+1]", "H[t-1]")) == ["B001"]


def test_programs_are_checked_after_surgery() -> None:
    program = read_text("X: input[n, m]\nA = tanh(X)\nB = exp(A)\nloss = sum(B)\n")
    first, second, third = program.body
    with pytest.raises(ProgramError) as seen:
        check(program.replace(body=(second, first, third)))
    assert seen.value.problems[0].code == "B001"
    with pytest.raises(ProgramError) as seen:
        check(program.replace(body=(first, first, second, third)))
    assert seen.value.problems[0].code == "B002"
    assert isinstance(first, Equation)
    with pytest.raises(ProgramError) as seen:
        check(program.replace(body=(Equation(first.target, first.value.T), second, third)))
    assert seen.value.problems[0].code == "S010"


def test_counterexamples_are_the_smallest() -> None:
    program = read_text("assert T >= 3\n" + RNN.replace("sum(H[T])", "sum(H[3])"))
    loose = program.replace(assumptions=())
    site = loose.sites[-1]
    found = counterexample(loose, site, next(iter(site.equation.value.atoms(type(site.target)))))
    assert found is not None and found[0]["T"] == 1


def test_a_state_follows_a_computed_variable_of_its_shape() -> None:
    program = read_text("samples: m\nX: input[n, m]\nY = batch_norm(X)\nloss = sum(Y**2)\n")
    first, second = program.running
    assert check(program) is program
    for wrong, code in (
        (replace(first, statistic="X"), "N001"), (replace(first, statistic="nobody"), "N001"),
        (replace(first, state="mu_Y"), "N001"), (replace(first, statistic="Xc_Y"), "S010"),
    ):
        with pytest.raises(ProgramError) as caught:
            check(program.replace(running=(wrong, second)))
        assert [p.code for p in caught.value.problems] == [code]
