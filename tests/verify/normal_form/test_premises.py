"""The premises of the theorem that joins statements: each is broken on purpose, and ``check()`` is red.

A statement that is proved is not enough: where only the order or the range of a loop is wrong, every equation of the
backward pass is still proved from its definition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from symbp.calculus import derive
from symbp.derivation import Derivation
from symbp.expr import T, index, scaled, shift
from symbp.language import read_text
from symbp.networks import names, network
from symbp.program import Equation, Loop, Program, ProgramError, Statement, check, map_equations
from symbp.verify.normal_form import prove_adjoint


def derivation_of(name: str = "delayed") -> Derivation:
    return derive(read_text(network(name).text))


def with_body(program: Program, change: Callable[[tuple[Statement, ...]], list[Statement]]) -> Program:
    return program.replace(body=tuple(change(program.body)))


def backward_loop(program: Program) -> Loop:
    return next(s for s in reversed(program.body) if isinstance(s, Loop) and s.down)


def assigned_twice(program: Program) -> Program:
    return with_body(program, lambda body: [*body, body[-1]])


def lost(program: Program) -> Program:
    """Lose the first statement that others read."""
    return with_body(program, lambda body: list(body[1:]))


def exchanged(program: Program) -> Program:
    """Put the last of the forward pass behind the backward pass."""
    return with_body(program, lambda body: [*body[1:], body[0]])


def turned(program: Program) -> Program:
    """Run the backward loop forwards."""
    loop = backward_loop(program)
    return with_body(program, lambda body: [replace(s, down=False) if s is loop else s for s in body])


def shorter(program: Program) -> Program:
    """Let the backward loop leave out its last iteration."""
    loop = backward_loop(program)
    return with_body(program, lambda body: [replace(s, lo=s.lo + 1) if s is loop else s for s in body])


def upside_down(program: Program) -> Program:
    """Turn the lines inside the backward loop around."""
    loop = backward_loop(program)
    return with_body(
        program, lambda body: [s.with_body(tuple(reversed(s.body))) if s is loop else s for s in body]
    )


def read_too_far(program: Program) -> Program:
    """Let the last read of a family go one step further."""
    loop = next(s for s in program.body if isinstance(s, Loop))

    def change(equation: Equation) -> list[Equation]:
        return [replace(equation, value=shift(equation.value, {loop.index: loop.index + 1}))]

    inner = map_equations(loop.body, change)
    return with_body(program, lambda body: [loop.with_body(inner) if s is loop else s for s in body])


def doubled_index(program: Program) -> Program:
    """Read every second member."""
    loop = next(s for s in program.body if isinstance(s, Loop))

    def change(equation: Equation) -> list[Equation]:
        return [replace(equation, value=shift(equation.value, {loop.index: 2 * loop.index}))]

    inner = map_equations(loop.body, change)
    return with_body(program, lambda body: [loop.with_body(inner) if s is loop else s for s in body])


def wrong_shape(program: Program) -> Program:
    last = program.body[-1]
    assert isinstance(last, Equation)
    return with_body(program, lambda body: [*body[:-1], replace(last, value=T(last.value))])


def unknown_name(program: Program) -> Program:
    last = program.body[-1]
    assert isinstance(last, Equation)
    return program.replace(variables={n: v for n, v in program.variables.items() if n != last.target.name})


def index_lost(program: Program) -> Program:
    """Assign what has no index in a loop."""
    loop, last = index("i"), program.body[-1]
    return with_body(program, lambda body: [*body[:-1], Loop(loop, 1, 3, (last,))])  # type: ignore[arg-type]


def index_used_twice(program: Program) -> Program:
    loop = backward_loop(program)
    inner = replace(loop, body=(loop.with_body(loop.body),))
    return with_body(program, lambda body: [inner if s is loop else s for s in body])


BROKEN: dict[str, tuple[Callable[[Program], Program], set[str]]] = {
    "a program as it is": (lambda program: program, set()),
    "assigned twice": (assigned_twice, {"B002"}),
    "never assigned": (lost, {"B001"}),
    "assigned behind its reader": (exchanged, {"B001"}),
    "a loop in the wrong direction": (turned, {"B001", "B007"}),
    "a member that is left out": (shorter, {"B001", "B007"}),
    "lines of a loop in the wrong order": (upside_down, {"B001", "B007"}),
    "a read past the end": (read_too_far, {"B001", "B007"}),
    "an index that is no index plus a constant": (doubled_index, {"B004"}),
    "another shape": (wrong_shape, {"S010"}),
    "a name that is no variable": (unknown_name, {"N001"}),
    "assigned once for every index": (index_lost, {"B003"}),
    "two loops with one index": (index_used_twice, {"B006"}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_premise_is_checked(name: str) -> None:
    spoil, codes = BROKEN[name]
    program = spoil(derivation_of().program)
    if not codes:
        assert check(program) is program
        return
    with pytest.raises(ProgramError) as caught:
        check(program)
    assert {problem.code for problem in caught.value.problems} & codes


@pytest.mark.parametrize("spoil", [turned, upside_down, exchanged])
def test_proved_statements_need_the_premises(spoil: Callable[[Program], Program]) -> None:
    derivation = derivation_of("stacked" if spoil is turned else "delayed")
    program = spoil(derivation.program)
    assert all(found.proof for found in prove_adjoint(derivation.forward, program))
    with pytest.raises(ProgramError):
        check(program)


@pytest.mark.parametrize("name", names())
def test_the_backward_pass_of_every_network_meets_the_premises(name: str) -> None:
    derivation = derivation_of(name)
    assert check(derivation.forward) is derivation.forward
    assert check(derivation.program) is derivation.program


def test_a_gathered_sum_that_lacks_a_reader_is_unproved() -> None:
    derivation = derivation_of("mlp")
    without = derivation.forward.replace(body=derivation.forward.body[:-1])
    assert not all(found.proof for found in prove_adjoint(without, derivation.program))


def test_the_adjoint_of_the_output_is_one() -> None:
    derivation = derive(read_text("x: param[1, 1]\nz = x * x\nloss = z\n"), ["x"])
    found = prove_adjoint(derivation.forward, derivation.program)
    assert found and all(p.proof for p in found)

    def change(equation: Equation) -> list[Equation]:
        return [replace(equation, value=scaled(2, equation.value))] if "bar" in equation.target.name else [equation]

    doubled = derivation.program.replace(body=map_equations(derivation.program.body, change))
    assert not all(p.proof for p in prove_adjoint(derivation.forward, doubled))
