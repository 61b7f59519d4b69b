"""Nests as loops over numbers, and which values need no memory."""

from __future__ import annotations

from typing import Any

import pytest
import sympy as sp
from plan_cases import finished, matrix, plan_of, workload, workloads

from symbp.expr import Function
from symbp.networks import names
from symbp.plan.ir import Apply, Expr, Gemm, Nest, Plan, Put, Read, product, puts, reads, total, views, walk, writes
from symbp.plan.sweeps import Steps, registers, steps_of, used_in

A, out = matrix("A", 5, 7, "input"), matrix("out", 5, 7, "value")
one_row, number, column = matrix("v", 1, 7), matrix("n", 1, 1), matrix("c", 5, 1)
a = Read(A.whole())


def f(e: Expr, name: str = "tanh") -> Expr:
    return Apply(Function(name), (e,))


def steps(*statements: Put, axis: int | None = 0, outputs: tuple[str, ...] = ("out",)) -> tuple[Steps, Plan]:
    extent = sp.S.One if axis is None else A.shape[axis]
    nest = Nest(statements, axis, extent)
    plan = plan_of([A, out, one_row, number, column], nest, outputs=outputs)
    return steps_of(plan, nest, used_in(plan)), plan


def test_statements_that_join_are_one_sweep() -> None:
    v = Read(one_row.whole())
    found, plan = steps(Put(one_row.whole(), f(a)), Put(out.whole(), product(v, v)))
    assert [len(s.puts) for s in found.sweeps] == [2]
    assert found.sweeps[0].extent == 7
    assert found.sweeps[0].single == {"v"}
    assert registers(plan) == {"v"}


def test_a_sum_that_is_read_in_the_step_divides_the_sweeps() -> None:
    n = Read(number.whole())
    found, plan = steps(Put(number.whole(), a, (1,)), Put(out.whole(), product(a, n)))
    assert [len(s.puts) for s in found.sweeps] == [1, 1]
    assert found.held == {"n"}
    assert registers(plan) == {"n"}


def test_a_row_that_two_sweeps_use_needs_memory() -> None:
    v, n = Read(one_row.whole()), Read(number.whole())
    found, plan = steps(
        Put(one_row.whole(), f(a)), Put(number.whole(), v, (1,)), Put(out.whole(), product(v, n)),
    )
    assert all(not s.single for s in found.sweeps)
    assert registers(plan) == {"n"}


def test_sums_along_the_entries_run_alone() -> None:
    """One chain of additions: the function beside it would no longer run several at a time."""
    found, _ = steps(Put(out.whole(), f(a)), Put(number.whole(), Read(out.whole()), (1,)))
    assert [len(s.puts) for s in found.sweeps] == [1, 1]
    second = matrix("s", 1, 1)
    nest = Nest((Put(number.whole(), a, (1,)), Put(second.whole(), a, (1,), "max")), 0, sp.Integer(5))
    plan = plan_of([A, number, second, out], nest)
    assert [len(s.puts) for s in steps_of(plan, nest, used_in(plan)).sweeps] == [2]


def test_sums_over_the_steps_begin_empty() -> None:
    sums = matrix("out", 1, 7, "value")
    first = Put(sums.whole(), a, (0,))
    nest = Nest((first,), 0, sp.Integer(5))
    assert steps_of(plan_of([A, sums], nest), nest, {}).cleared == (first,)
    more = Put(sums.whole(), a, (0,), accumulate=True)
    nest = Nest((more,), 0, sp.Integer(5))
    assert steps_of(plan_of([A, sums], nest), nest, {}).cleared == ()


@pytest.mark.parametrize(("over", "expected"), [((0,), 1), ((1,), 0)])
def test_a_place_is_found_along_the_inner_axis(over: Any, expected: int) -> None:
    target = matrix("out", 1 if over == (0,) else 5, 7 if over == (0,) else 1, "value")
    nest = Nest((Put(target.whole(), a, over, "argmax"),))
    assert steps_of(plan_of([A, target], nest), nest, {}).axis == expected


def test_a_nest_without_axis_walks_along_memory() -> None:
    for order, axis in (("C", 0), ("F", 1)):
        target = matrix("out", 5, 7, "value", order=order)
        nest = Nest((Put(target.whole(), total(a, a)),))
        assert steps_of(plan_of([A, target], nest), nest, {}).axis == axis


def test_what_the_caller_gets_is_in_memory() -> None:
    v = Read(one_row.whole())
    _, plan = steps(Put(one_row.whole(), f(a)), Put(out.whole(), v), outputs=("out", "v"))
    assert registers(plan) == frozenset()


@pytest.mark.parametrize("name", names())
def test_registers_live_in_one_kernel(name: str) -> None:
    """Brute force over kernels: written before it is read, in one kernel, no result of a product, no output."""
    assert_registers(finished(name).plans.values())


@pytest.mark.parametrize("name", workloads())
def test_registers_of_workloads(name: str) -> None:
    assert_registers(workload(name).plans.values())


def assert_registers(plans: Any) -> None:
    for plan in plans:
        for name in registers(plan):
            assert plan.buffers[name].role == "scratch"
            assert name not in plan.outputs
            homes = [k for k in walk(plan.body) if any(v.buffer == name for v in (*reads(k), *writes(k)))]
            assert len(homes) == 1
            written = False
            for p in puts(homes[0]):
                assert written or all(v.buffer != name for v in views(p.value))
                written |= p.target.buffer == name
            assert not any(
                isinstance(k, Gemm) and name in (k.out.buffer, k.left.buffer, k.right.buffer) for k in walk(plan.body)
            )
