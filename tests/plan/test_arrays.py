"""Plans in array operations: what each pass gives, one operation at a time, temporaries that share places, the rate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sympy as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_cases import TOLERANCE, Case, bundled, case, declared, derivation_of, matrix, plan_of
from random_programs import declarations, graphs, loop_programs

from symbp.calculus import derive
from symbp.expr import Function
from symbp.language import read_text
from symbp.networks import names
from symbp.plan.arrays import (
    COMPARISONS, MINUS, RECIP, lower, masks, merged, numbers, places, signals, stages, step_plan, with_members,
)
from symbp.plan.entries import RATE, entries
from symbp.plan.fields import PlanError
from symbp.plan.ir import Apply, Call, Gemm, Loop, Nest, Number, Plan, Position, Put, Read, puts, walk
from symbp.plan.rate import fold_rate
from symbp.plan.text import plan_text
from symbp.program import Program
from symbp.verify.draws import choose_sizes
from symbp.verify.plans import plan_error
from symbp.verify.programs import specified


def error(given: Case, plan: Plan) -> float:
    """Return how far off a plan is: gradients at the rate 1, the parameters after a step at another rate as well."""
    steps = tuple(n for n in plan.outputs if plan.buffers[n].role != "gradient")
    return max(
        plan_error(given.found, plan, given.values, given.sizes, 1.0)[0],
        plan_error(given.found, replace(plan, outputs=steps), given.values, given.sizes, 0.25)[0],
    )


def wrong(given: Case) -> list[str]:
    """Return the first pass after which something is off."""
    plan = step_plan(given.found)
    for name, plan in stages(given.found):
        if not error(given, plan) < TOLERANCE:
            return [name]
    shared = merged(plan, places(plan))
    return [] if error(given, shared) < TOLERANCE else ["places"]


def lowered(text: str, sizes: dict[str, int]) -> Plan:
    """Return the step of a declaration in array operations."""
    *_, (_, plan) = stages(case(declared(text), sizes).found)
    return plan


def lines(plan: Plan) -> list[str]:
    """Return the statements of a plan as text."""
    return [line.strip() for line in plan_text(plan).split("buffers")[0].splitlines()[1:]]


# ---------------------------------------------------------------------------------------------------------
# The same values


@pytest.mark.parametrize("name", names())
def test_every_pass_keeps_every_parameter_after_a_step(name: str) -> None:
    assert not wrong(bundled(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", names()[1::2])
def test_every_pass_at_more_sizes(name: str) -> None:
    derivation = derivation_of(name)
    for turn in range(2):
        for sizes in choose_sizes(derivation.source, turn=turn):
            assert not wrong(case(derivation, sizes, turn))


QUICK = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def assert_right(program: Program) -> None:
    derivation = derive(specified(program))
    assert not wrong(case(derivation, choose_sizes(derivation.source)[0]))


@settings(QUICK, max_examples=8)
@given(graphs())
def test_random_graphs(program: Program) -> None:
    assert_right(program)


@settings(QUICK, max_examples=5)
@given(loop_programs())
def test_random_loops(program: Program) -> None:
    assert_right(program)


@pytest.mark.slow
@settings(QUICK, max_examples=150)
@given(st.one_of(graphs(), loop_programs(), declarations().map(read_text)))
def test_many_random_programs(program: Program) -> None:
    assert_right(program)


# ---------------------------------------------------------------------------------------------------------
# One operation at a time


def is_leaf(e: Any) -> bool:
    return isinstance(e, (Read, Number, Position))


def is_single(put: Put) -> bool:
    """Tell whether a statement is one operation."""
    e = put.value
    if put.over and isinstance(e, Apply):
        return e.op == "*" and len(put.over) == 2 and len(e.args) == 2 and all(isinstance(a, Read) for a in e.args)
    if not isinstance(e, Apply):
        return True
    if e.op in ("+", "*"):
        if len(e.args) != 2:
            return False
        first, second = e.args
        if isinstance(second, Apply):
            divided = e.op == "*" and second.op == RECIP
            negative = e.op == "+" and second.op == "*" and second.args[0] == MINUS
            return is_leaf(first) and (divided or negative) and all(map(is_leaf, second.args))
    elif not (e.op in (*COMPARISONS, "where") or isinstance(e.op, Function)):
        return False
    return all(map(is_leaf, e.args))


@pytest.mark.parametrize("name", names())
def test_statements_are_single_operations(name: str) -> None:
    *_, (_, plan) = stages(bundled(name).found)
    known = numbers(plan)
    for kernel in walk(plan.body):
        if isinstance(kernel, Gemm):
            assert kernel.alpha == 1
            assert not kernel.accumulate
            assert kernel.epilogue is None
            assert not kernel.out.turned
        elif isinstance(kernel, Call):
            assert kernel.routine in ("take", "add_at", "gather", "scatter")
        else:
            assert isinstance(kernel, Nest | Call)
            if isinstance(kernel, Call):
                assert kernel.routine in ("gather", "scatter")
                continue
            assert kernel.axis is None
            assert all(p.target.buffer in known or is_single(p) for p in kernel.puts), plan_text(plan)


def test_what_runs_step_by_step_is_refused() -> None:
    A, out = matrix("A", 3, 4, "input"), matrix("out", 3, 4)
    stepwise = Nest((Put(out.whole(), Read(A.whole())),), 0, sp.Integer(3))
    with pytest.raises(PlanError, match="whole arrays"):
        lower(plan_of([A, out], stepwise))
    with pytest.raises(PlanError, match="no coefficient"):
        lower(plan_of([A, out], Gemm(out.whole(), A.whole(), A.whole(), sp.Integer(2))))


def put_lowered(value: Any, *shared: Nest) -> list[str]:
    """Return the operations of ``out = value``, behind other statements."""
    buffers = [matrix(n, 3, 4, "input") for n in "ABC"]
    buffers += [matrix("u", 3, 1, "input"), matrix("v", 1, 4, "input"), matrix("out", 3, 4), matrix("D", 3, 4)]
    last = Nest((Put(matrix("out", 3, 4).whole(), value),))
    return lines(lower(plan_of(buffers, *shared, last, outputs=("out", "D"))))


A, B, C, D = (Read(matrix(n, 3, 4).whole()) for n in "ABCD")
u, v = Read(matrix("u", 3, 1).whole()), Read(matrix("v", 1, 4).whole())


def times(*factors: Any) -> Apply:
    return Apply("*", tuple(Number(sp.sympify(f)) if isinstance(f, int) else f for f in factors))


def plus(*terms: Any) -> Apply:
    return Apply("+", tuple(Number(sp.sympify(t)) if isinstance(t, int) else t for t in terms))


def test_parts_stand_in_the_target_where_that_is_free() -> None:
    assert put_lowered(plus(A, B, times(-1, C))) == ["nest out = A + B", "nest out = out - C"]


def test_small_arrays_are_multiplied_first() -> None:
    made = put_lowered(times(2, A, Apply(RECIP, (u,)), B))
    assert len(made) == 3
    assert made[-1].startswith("nest out = out * ")
    assert any("2 * recip(u)" in line for line in made)


def test_a_column_times_a_row_is_a_product_of_matrices() -> None:
    assert put_lowered(times(u, v)) == ["gemm out = u @ v"]


def test_what_is_known_is_not_computed_again() -> None:
    first = Nest((Put(D.view, plus(A, times(-1, v))),))
    assert put_lowered(plus(A, times(-1, plus(u, v))), first)[1:] == ["nest out = D - u"]
    # The same after something else was written there.
    again = Nest((Put(D.view, B),))
    assert all("out = D" not in line for line in put_lowered(plus(A, times(-1, plus(u, v))), first, again))


def test_sigmoid_goes_through_tanh_or_through_softplus() -> None:
    sigmoid, softplus = Apply(Function("sigmoid"), (A,)), Apply(Function("softplus"), (A,))
    assert any("tanh" in line for line in put_lowered(sigmoid))
    made = put_lowered(sigmoid, Nest((Put(D.view, softplus),)))
    assert made[1:] == ["nest x_1 = A - D", "nest out = exp(x_1)"]


def test_a_block_of_columns_is_no_place_for_a_product() -> None:
    buffers = [matrix("A", 3, 5, "input"), matrix("B", 5, 2, "input"), matrix("out", 3, 4)]
    block = buffers[2].whole().block(sp.S.Zero, sp.S.One, sp.Integer(3), sp.Integer(2))
    made = lines(lower(plan_of(buffers, Gemm(block, buffers[0].whole(), buffers[1].whole()))))
    assert len(made) == 2
    assert made[0].startswith("gemm")
    assert made[1].startswith("nest out(from 0, 1) = ")


# ---------------------------------------------------------------------------------------------------------
# Numbers: sums of all entries


def test_sums_of_all_entries_are_inner_products_where_that_is_cheapest() -> None:
    text = "W: param[2, 3]; X: input[3, m]; Y: target[2, m]\nZ = W @ X\nloss = sum(softplus(Z) - Y*Z)/m"
    plan = lowered(text, {"m": 5})
    sums = [p for k in walk(plan.body) for p in puts(k) if p.over and p.target.buffer in numbers(plan)]
    assert len(sums) == 2
    assert sum(isinstance(p.value, Apply) for p in sums) == 1
    assert not wrong(case(declared(text), {"m": 5}))


def test_what_is_spread_counts_as_often_as_it_is() -> None:
    text = "W: param[2, 3]; X: input[3, m]; b: param[2, 1]\nZ = W @ X\nloss = sum(Z*(Z + b + 2))/m + sum(3*Z + b)"
    assert not wrong(case(declared(text), {"m": 5}))


def test_a_number_that_an_array_operation_makes_is_an_array() -> None:
    text = "W: param[2, 3]; X: input[3, m]\nZ = W @ X\nloss = sqrt(sum(Z**2) + 1)"
    plan = lowered(text, {"m": 5})
    assert "loss" not in numbers(plan)
    assert not wrong(case(declared(text), {"m": 5}))


# ---------------------------------------------------------------------------------------------------------
# Places


def test_temporaries_take_the_place_of_what_they_are_made_of() -> None:
    text = "W: param[2, 3]; X: input[3, m]; Y: target[2, m]\nA = tanh(W @ X)\nloss = sum((A - Y)**2)/m"
    plan = lowered(text, {"m": 5})
    shared = places(plan)
    assert shared
    assert all(plan.buffers[a].shape == plan.buffers[b].shape for a, b in shared.items())
    assert all(b not in shared for b in shared.values())


def test_a_place_is_not_taken_while_it_is_needed() -> None:
    buffers = [matrix("A", 3, 3, "input"), *(matrix(n, 3, 3) for n in "PQR"), matrix("out", 3, 3)]
    a, p, q, r, out = (b.whole() for b in buffers)
    body = [
        Nest((Put(p, times(Read(a), Read(a))),)), Nest((Put(q, plus(Read(p), 1)),)),
        Gemm(r, q, q), Nest((Put(out, plus(Read(r), Read(p))),)),
    ]
    # q may not stand at p, which is read later; r not at q, which the product reads.
    assert places(plan_of(buffers, *body)) == {}
    assert places(plan_of(buffers, *body[:3], Nest((Put(out, Read(r)),)))) == {"Q": "P"}


def test_a_turned_operand_keeps_its_place() -> None:
    buffers = [matrix("A", 3, 3, "input"), *(matrix(n, 3, 3) for n in "PQ"), matrix("out", 3, 3)]
    a, p, q, out = (b.whole() for b in buffers)
    body = [Nest((Put(p, times(Read(a), Read(a))),)), Nest((Put(q, plus(Read(p.T), 1)),)), Gemm(out, q, q)]
    assert places(plan_of(buffers, *body)) == {}


def test_masks_are_comparisons_that_are_factors_or_select() -> None:
    for last, found in (
        (times(C, Read(D.view)), {"D"}), (plus(C, Read(D.view)), set()), (times(2, Read(D.view)), set()),
        (Apply("where", (Read(D.view), A, B)), {"D"}), (Apply("where", (A, Read(D.view), B)), set()),
    ):
        buffers = [matrix(n, 3, 4, "input") for n in "ABC"] + [matrix("D", 3, 4), matrix("out", 3, 4)]
        body = [Nest((Put(D.view, Apply(">", (A, B))),)), Nest((Put(matrix("out", 3, 4).whole(), last),))]
        assert masks(plan_of(buffers, *body)) == found


def test_temporaries_of_ragged_shape_are_families() -> None:
    *_, (_, plan) = stages(entries(derivation_of("stacked"), {}))
    made = with_members(plan)
    ragged = [b for b in made.buffers.values() if b.of == "" and b.levels]
    assert ragged
    for kernel in made.body:
        indices = {kernel.index} if isinstance(kernel, Loop) else set()
        assert all(not any(s.has(i) for s in b.shape for i in indices) for b in made.buffers.values() if not b.indices)


# ---------------------------------------------------------------------------------------------------------
# The rate


def folded(text: str) -> Plan:
    found = case(declared(text), {"m": 5}).found
    return fold_rate(step_plan(found), signals(found))


def updates(plan: Plan) -> list[str]:
    return [line for line in lines(plan) if any(line.startswith(f"nest {n} = {n} ") for n in "WbV")]


def test_the_rate_stands_where_error_signals_begin() -> None:
    head = "W: param[2, 3]; b: param[2, 1]; X: input[3, m]; Y: target[2, m]\n"
    plan = folded(head + "Z = W @ X + b\nloss = sum((Z - Y)**2)/(2*m)")
    assert [line for line in lines(plan) if "rate" in line] == ["nest Z_bar = (rate/5) * (Z - Y)"] or sum(
        "rate" in line for line in lines(plan)
    ) == 1
    assert all("rate" not in line for line in updates(plan))


def test_a_penalty_has_the_rate_too() -> None:
    text = "W: param[2, 3]; X: input[3, m]; Y: target[2, m]\nloss = sum((W @ X - Y)**2)/m + sum(W**2)/2"
    plan = folded(text)
    assert sum(line.count("rate") for line in lines(plan)) == 2
    assert not wrong(case(declared(text), {"m": 5}))


def test_of_two_factors_the_error_signal_has_the_rate() -> None:
    text = "W: param[2, 3]; V: param[2, 2]; X: input[3, m]\nA = tanh(W @ X)\nloss = sum((V @ A)**2)/m"
    plan = folded(text)
    # The error signal has no name here: both products that begin with it have the rate.
    assert [line.split(" = ")[0] for line in lines(plan) if "rate" in line] == ["gemm V_bar", "gemm Z_A_bar"]
    assert not wrong(case(declared(text), {"m": 5}))


def test_an_update_keeps_the_rate_where_its_gradient_cannot_have_it() -> None:
    W, G = matrix("W", 2, 2, "param"), matrix("G", 2, 2)
    update = Nest((Put(W.whole(), plus(Read(W.whole()), times(Number(-RATE), Read(G.whole())))),))
    made = Nest((Put(G.whole(), Read(W.whole())),))
    plan = plan_of([W, G], made, update, outputs=("W",))
    assert fold_rate(plan, set()) == plan
    no_update = plan_of([W, G], made, outputs=("W",))
    assert fold_rate(no_update, {"G"}) == no_update
