"""From which kernel to which a temporary is alive, and that no two share memory while both are."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import sympy as sp
from plan_cases import bundled, case, declared, family, finished, loop, matrix, plan_of, put, t, workload, workloads

from symbp.expr import Function
from symbp.networks import names
from symbp.plan.ir import Apply, Gemm, Kernel, Loop, Nest, Plan, Put, Read, puts, reads, views, writes
from symbp.plan.liveness import LINE, bound, entries_of, in_place, lives, share
from symbp.plan.passes import run
from symbp.plan.sweeps import registers

A, out = matrix("A", 5, 7, "input"), matrix("out", 5, 7, "value")
S, R, Q = matrix("S", 5, 7), matrix("R", 5, 7), matrix("Q", 5, 7)


def life(plan: Plan, name: str) -> tuple[int, int]:
    found = lives(plan)[name]
    return found.first, found.last


# -- lives ----------------------------------------------------------------------------------------------------


def test_from_the_first_write_to_the_last_read() -> None:
    plan = plan_of([A, S, R, out], put(S.whole(), A.whole()), put(R.whole(), S.whole()), put(out.whole(), R.whole()),
                   put(out.whole(), A.whole(), add=True))
    assert life(plan, "S") == (1, 2)
    assert life(plan, "R") == (2, 3)
    assert set(lives(plan)) == {"S", "R"}


def test_a_value_of_one_iteration_lives_in_the_body() -> None:
    plan = plan_of([A, S, R, out], put(out.whole(), 0),
                   loop(1, 3, put(S.whole(), A.whole()), put(R.whole(), S.whole()),
                        put(out.whole(), R.whole(), add=True)))
    assert life(plan, "S") == (2, 3)
    assert life(plan, "R") == (3, 4)


def test_what_goes_on_to_the_next_iteration_lives_as_long_as_the_loop() -> None:
    plan = plan_of([A, S, R, out], put(S.whole(), 0), put(out.whole(), 0),
                   loop(1, 3, put(R.whole(), S.whole()), put(out.whole(), R.whole(), add=True),
                        put(S.whole(), A.whole())))
    assert life(plan, "S") == (1, 5)


def test_sums_and_members_live_as_long_as_the_loop() -> None:
    H = family("H", 5, 7, 1, 3)
    plan = plan_of([A, S, R, H, out], put(S.whole(), 0),
                   loop(1, 3, put(R.whole(), A.whole()), put(H.whole(t), R.whole()),
                        put(S.whole(), H.whole(t), add=True)),
                   put(out.whole(), S.whole()))
    assert life(plan, "S") == (1, 5)
    assert life(plan, "H") == (2, 4)
    assert life(plan, "R") == (2, 3)


def test_a_block_is_not_the_whole() -> None:
    """The other half goes on from one iteration to the next: half a write begins no new life."""
    top = S.whole().block(sp.S.Zero, sp.S.Zero, sp.Integer(2), sp.Integer(7))
    above = A.whole().block(sp.S.Zero, sp.S.Zero, sp.Integer(2), sp.Integer(7))
    plan = plan_of([A, S, R, out], put(S.whole(), 1), put(out.whole(), 0),
                   loop(1, 3, put(top, above), put(out.whole(), S.whole(), add=True), put(R.whole(), A.whole()),
                        put(out.whole(), R.whole(), add=True)))
    shared = share(plan)
    assert not overlaps(shared)


# -- in place -------------------------------------------------------------------------------------------------


def tanh(e: Any) -> Apply:
    return Apply(Function("tanh"), (Read(e),))


def after(*statements: Put, axis: int = 0, more: Sequence[Any] = ()) -> Plan:
    """Return a plan in which S is made first, then the statements run together, then R is read."""
    known = {b.name: b for b in (A, S, R, Q, out, *more)}
    return plan_of(list(known.values()), put(S.whole(), A.whole()),
                   Nest(statements, axis, known["S"].shape[axis]), put(out.whole(), known["R"].whole()))


def heirs(plan: Plan) -> dict[str, str]:
    return in_place(plan, lives(plan))


def test_step_by_step_a_result_takes_the_place_of_its_operand() -> None:
    plan = after(Put(R.whole(), tanh(S.whole())))
    assert heirs(plan) == {"R": "S"}
    assert share(plan).block == 35


def test_not_before_the_last_read() -> None:
    plan = after(Put(R.whole(), tanh(S.whole())), Put(Q.whole(), Read(S.whole())))
    assert "R" not in heirs(plan)
    later = after(Put(Q.whole(), Read(S.whole())), Put(R.whole(), tanh(S.whole())))
    assert heirs(later).get("R") == "S"


def test_not_across_steps() -> None:
    square, other = matrix("S", 5, 5), matrix("R", 5, 5)
    B, target = matrix("A", 5, 5, "input"), matrix("out", 5, 5, "value")
    for read in (square.whole().T, square.whole()):
        plan = plan_of([B, square, other, target], put(square.whole(), B.whole()),
                       Nest((Put(other.whole(), tanh(read)),), 0, sp.Integer(5)), put(target.whole(), other.whole()))
        assert bool(heirs(plan)) == (not read.turned)


def test_not_in_another_order() -> None:
    turned = matrix("R", 5, 7, order="F")
    assert heirs(after(Put(turned.whole(), tanh(S.whole())), more=(turned,))) == {}


def test_heir_and_giver_lie_at_one_place_or_apart() -> None:
    """A softmax in rows with four samples' numbers beside each other: the error signal once lay 3 entries into the
    exponentials from which it was made, and the bias was off by 0.08 with the loss right."""
    text = (
        "samples: m\nX: input[m, 6]\nY: target[m, 3] & one_hot_rows\nW: param[6, 3]; b: param[1, 3]\n"
        "Z = X @ W + b\nloss = softmax_cross_entropy(Z, Y)\n"
    )
    given = case(declared(text), {"m": 5})
    plan = run(given.found.plans["train_step"])
    assert heirs(plan)
    assert not overlaps(plan)
    assert given.error(plan) < 1e-12


# -- shared memory --------------------------------------------------------------------------------------------


def trace(body: Iterable[Kernel]) -> list[tuple[int, Kernel]]:
    """Return the kernels in the order in which they run (loops unrolled to three iterations), each with its number."""
    counted: dict[int, int] = {}

    def visit(kernels: Iterable[Kernel]) -> list[Kernel]:
        found: list[Kernel] = []
        for kernel in kernels:
            if isinstance(kernel, Loop):
                times = kernel.high - kernel.low + 1
                for _ in range(min(3, int(times)) if times.is_Integer else 3):
                    found += visit(kernel.body)
            else:
                found.append(kernel)
        return found

    return [(counted.setdefault(id(k), len(counted)), k) for k in visit(body)]


def used(kernel: Kernel) -> tuple[set[str], set[str]]:
    """Return what a kernel needs from before, and what it touches."""
    needed, written = set[str](), set[str]()
    if isinstance(kernel, Gemm):
        needed |= {kernel.left.buffer, kernel.right.buffer}
        needed |= {kernel.out.buffer} if kernel.accumulate else set()
        if kernel.form is not None and kernel.form.panel:
            needed.add(kernel.form.panel)
        written.add(kernel.out.buffer)
    elif not isinstance(kernel, Nest):
        needed |= {v.buffer for v in reads(kernel)}
    for p in puts(kernel):
        needed |= {v.buffer for v in views(p.value)} - written
        needed |= {p.target.buffer} - written if p.accumulate else set()
        written.add(p.target.buffer)
    return needed, needed | {v.buffer for v in writes(kernel)}


def whole_write(plan: Plan, kernel: Kernel, name: str) -> bool:
    """Tell whether a kernel begins with writing all of a buffer."""
    needed, _ = used(kernel)
    buffer = plan.buffers[name]
    if name in needed or buffer.indices:
        return False
    first = [v for v in writes(kernel) if v.buffer == name]
    return bool(first) and {first[0].rows, first[0].cols} == {buffer.rows, buffer.cols}


def overlaps(plan: Plan) -> list[str]:
    """Return the pairs of temporaries that share entries while both are alive: by following what runs.

    A value lives from the write that begins it to the last read before the next one.  Where one ends in the kernel in
    which another begins, they may share one place from its first entry on.
    """
    steps = [k for _, k in trace(plan.body)]
    alive: dict[str, set[int]] = {n: set() for n in plan.storage}
    for name in alive:
        begin = None
        last = None
        for k, kernel in enumerate(steps):
            needed, touched_ = used(kernel)
            if name not in touched_:
                continue
            if begin is None or whole_write(plan, kernel, name):
                begin = k
            if name in needed or begin == k or not whole_write(plan, kernel, name):
                last = k
                alive[name] |= set(range(begin, last + 1))
    found = []
    for a, b in itertools.combinations(sorted(alive), 2):
        lo, hi = plan.storage[a], plan.storage[b]
        apart = lo + entries_of(plan, a) <= hi or hi + entries_of(plan, b) <= lo
        both = alive[a] & alive[b]
        if apart or not both:
            continue
        one_place = lo == hi and entries_of(plan, a) == entries_of(plan, b)
        if one_place and all(_hands_over(alive, a, b, k) for k in both):
            continue
        found.append(f"{a} and {b} share memory in {sorted(both)}")
    return found


def _hands_over(alive: dict[str, set[int]], a: str, b: str, k: int) -> bool:
    """Tell whether one of two ends and the other begins in a kernel."""
    return any(k + 1 not in alive[x] and k - 1 not in alive[y] for x, y in ((a, b), (b, a)))


def assert_memory(plans: Iterable[Plan]) -> None:
    for plan in plans:
        silent = registers(plan)
        assert overlaps(plan) == []
        needed = {n for n, b in plan.buffers.items() if b.role == "scratch"} - silent
        assert set(plan.storage) == needed
        assert all(p >= 0 and p + entries_of(plan, n) <= plan.block for n, p in plan.storage.items())
        least = bound(plan, silent)
        assert least <= plan.block <= 1.05 * least, (plan.name, plan.block, least)


@pytest.mark.parametrize("name", names())
def test_no_two_living_temporaries_overlap(name: str) -> None:
    assert_memory(finished(name).plans.values())


@pytest.mark.parametrize("name", workloads())
def test_no_two_living_temporaries_of_a_workload_overlap(name: str) -> None:
    assert_memory(workload(name).plans.values())


def test_the_check_sees_an_overlap() -> None:
    """The brute force is not blind: each pair of neighbours moved together is found."""
    for name in ("digits", "rnn", "lstm"):
        plan = finished(name).plans["train_step"]
        found = lives(plan)
        pairs = [
            (a, b) for a, b in itertools.permutations(plan.storage, 2)
            if found[a].first < found[b].first < found[a].last and not plan.buffers[b].indices
        ]
        assert pairs
        for a, b in pairs:
            assert overlaps(replace(plan, storage={**plan.storage, b: plan.storage[a]}))


def test_one_after_the_other_they_lie_at_one_place() -> None:
    plan = plan_of([A, S, R, out], put(S.whole(), A.whole()), put(out.whole(), S.whole()), put(R.whole(), out.whole()),
                   put(out.whole(), R.whole()))
    assert share(plan).storage == {"S": 0, "R": 0}
    assert share(plan, frozenset({"S"})).storage == {"R": 0}


def test_large_ones_begin_at_a_line() -> None:
    big = [matrix(n, 40, 41) for n in ("S", "R", "Q")]
    small = matrix("s", 3, 1)
    source, target = matrix("A", 40, 41, "input"), matrix("out", 40, 41, "value")
    body = [put(b.whole(), source.whole()) for b in big]
    column = source.whole().block(sp.S.Zero, sp.S.Zero, sp.Integer(3), sp.S.One)
    plan = plan_of([source, *big, small, target], put(small.whole(), column), *body,
                   put(target.whole(), *(b.whole() for b in big)), put(target.whole().block(
                       sp.S.Zero, sp.S.Zero, sp.Integer(3), sp.S.One), small.whole(), add=True))
    shared = share(plan)
    assert all(shared.storage[b.name] % LINE == 0 for b in big)
    assert not overlaps(shared)


def test_the_bound_is_met_by_a_chain() -> None:
    plan = plan_of([A, S, R, Q, out], Nest((Put(S.whole(), tanh(A.whole())),), 0, sp.Integer(5)),
                   Nest((Put(R.whole(), tanh(S.whole())),), 0, sp.Integer(5)),
                   Nest((Put(Q.whole(), tanh(R.whole())),), 0, sp.Integer(5)), put(out.whole(), Q.whole()))
    assert share(plan).block == bound(plan) == 35


def test_a_whole_step_in_shared_memory() -> None:
    """Values that overlap would be overwritten: the interpreter runs on one block."""
    for name in ("xor", "deep", "delayed"):
        given = bundled(name)
        assert given.error(run(given.found.plans["train_step"])) < 1e-12
