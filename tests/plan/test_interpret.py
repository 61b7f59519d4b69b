"""The interpreter itself, against NumPy, on kernels written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from plan_cases import family, loop, matrix, plan_of, put, t

from symbp.expr import Function
from symbp.plan.fields import PlanError
from symbp.plan.interpret import Interpreter
from symbp.plan.ir import (
    Apply, Buffer, Call, Form, Gemm, Kernel, Nest, Number, Plan, Position, Put, Read, product, total,
)
from symbp.verify.plans import entrywise

rng = np.random.default_rng(1)
X, Y = rng.normal(size=(5, 7)), rng.normal(size=(7, 4))
A, B = matrix("A", 5, 7, "input"), matrix("B", 7, 4, "input")
one, two = sp.S.One, sp.Integer(2)


def run(plan: Plan, **given: Any) -> dict[str, Any]:
    return Interpreter(plan, {"A": X.copy(), "B": Y.copy(), **given}, entrywise, {"rate": 0.5}).run()


def value(*body: Any, out: Buffer, more: tuple[Buffer, ...] = ()) -> Any:
    return run(plan_of([A, B, out, *more], *body))[out.name]


def test_products() -> None:
    out = matrix("out", 5, 4, "value")
    plain = Gemm(out.whole(), A.whole(), B.whole(), alpha=sp.Rational(3, 2))
    assert np.allclose(value(plain, out=out), 1.5 * X @ Y)
    again = Gemm(out.whole(), A.whole(), B.whole(), alpha=sp.Symbol("rate"), accumulate=True)
    assert np.allclose(value(plain, again, out=out), 2 * X @ Y)
    back = matrix("out", 4, 5, "value")
    assert np.allclose(value(Gemm(back.whole(), B.whole().T, A.whole().T), out=back), (X @ Y).T)
    turned = Gemm(back.whole().T, A.whole(), B.whole())
    assert np.allclose(value(turned, out=back), (X @ Y).T)


def test_a_sum_of_products() -> None:
    Z, H, W = family("Z", 3, 2, 1, 4, "input"), family("H", 5, 2, 0, 4, "input"), matrix("out", 3, 5, "value")
    z, h = rng.normal(size=(4, 3, 2)), rng.normal(size=(5, 5, 2))
    stacked = Gemm(W.whole(), Z.whole(t), H.whole(t - 1).T, stacked=((t, one, sp.Integer(4)),))
    expected = sum(z[k] @ h[k].T for k in range(4))
    assert np.allclose(Interpreter(plan_of([Z, H, W], stacked), {"Z": z, "H": h}, entrywise).run()["out"], expected)


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("op", ["sum", "max"])
@pytest.mark.parametrize("over", [(0,), (1,), (0, 1)])
def test_reductions(axis: int | None, op: Any, over: tuple[int, ...]) -> None:
    out = matrix("out", 1 if 0 in over else 5, 1 if 1 in over else 7, "value")
    nest = Nest((Put(out.whole(), Read(A.whole()), over, op),), axis, one if axis is None else A.shape[axis])
    expected = getattr(np, op)(X, axis=over, keepdims=True)
    assert np.allclose(value(nest, out=out), expected)
    if op == "sum":
        adding = Nest((Put(out.whole(), Read(A.whole()), over, op, True),), nest.axis, nest.extent)
        assert np.allclose(value(nest, adding, out=out), 2 * expected)


def test_the_first_of_equals_wins() -> None:
    out = matrix("out", 1, 7, "value")
    X2 = np.array(X)
    X2[3] = X2[1] = X2.max() + 1
    plan = plan_of([A, out], put(out.whole(), A.whole(), over=(0,), op="argmax"))
    assert np.array_equal(run(plan, A=X2)["out"], np.full((1, 7), 1.0))


def test_statements_of_a_nest_run_step_by_step() -> None:
    """A value with a side of 1 along the axis is that of the present step."""
    out, now = matrix("out", 5, 7, "value"), matrix("now", 1, 7)
    first = Put(now.whole(), product(Number(two), Read(A.whole())))
    second = Put(out.whole(), total(Read(now.whole()), Number(one)))
    nest = Nest((first, second), 0, sp.Integer(5))
    assert np.allclose(value(nest, out=out, more=(now,)), 2 * X + 1)
    # One after the other the same two statements mean something else: there is no step, so it does not fit.
    with pytest.raises(ValueError):
        value(Nest((first, second)), out=out, more=(now,))


def test_selection_comparison_places_functions() -> None:
    out = matrix("out", 5, 7, "value")
    a, i, j = Read(A.whole()), Position(0, sp.Integer(5)), Position(1, sp.Integer(7))
    e = Apply("where", (Apply(">=", (i, j)), Apply(Function("tanh"), (a,)), Number(sp.Rational(1, 2))))
    rows, cols = np.indices((5, 7))
    assert np.allclose(value(put(out.whole(), e), out=out), np.where(rows >= cols, np.tanh(X), 0.5))


def test_loops_up_and_down() -> None:
    H = family("H", 5, 7, 0, 3, "value")
    steps: list[Kernel] = [put(H.whole(sp.S.Zero), A.whole()), loop(1, 3, put(H.whole(t), H.whole(t - 1), Number(t)))]
    up = run(plan_of([A, H], *steps, outputs=("H",)))["H"]
    assert np.allclose(up, [X, X + 1, X + 3, X + 6])
    step = loop(0, 2, put(H.whole(t), H.whole(t + 1), Number(t)), down=True)
    back: list[Kernel] = [put(H.whole(sp.Integer(3)), A.whole()), step]
    down = run(plan_of([A, H], *back, outputs=("H",)))["H"]
    assert np.allclose(down, [X + 3, X + 3, X + 2, X])


def test_a_window_holds_the_last_steps() -> None:
    """The product is made by blocks of two rows, and its epilogue runs over each before the next."""
    Z, out = matrix("Z", 5, 4, window=2), matrix("out", 5, 4, "value")
    behind = Nest((Put(out.whole(), Apply(Function("tanh"), (Read(Z.whole()),))),), 0, sp.Integer(5))
    gemm = Gemm(Z.whole(), A.whole(), B.whole(), epilogue=behind, form=Form("direct", 2))
    assert np.allclose(value(gemm, out=out, more=(Z,)), np.tanh(X @ Y))
    Zf, outf = matrix("Z", 5, 4, window=3, order="F"), matrix("out", 5, 4, "value", order="F")
    behind = Nest((Put(outf.whole(), Read(Zf.whole())),), 1, sp.Integer(4))
    gemm = Gemm(Zf.whole(), A.whole(), B.whole(), epilogue=behind, form=Form("direct", 3))
    assert np.allclose(value(gemm, out=outf, more=(Zf,)), X @ Y)


def test_panels_hold_what_was_packed() -> None:
    P, out = matrix("P", 7, 32), matrix("out", 5, 4, "value")
    pack = Call("pack", (B.whole(),), (P.whole(),))
    gemm = Gemm(out.whole(), A.whole(), B.whole(), form=Form("packed", 8, "P"))
    assert np.allclose(value(pack, gemm, out=out, more=(P,)), X @ Y)
    # What changes after it was packed is not seen: a plan that packs too early is caught.
    late = Nest((Put(B.whole(), Number(one)),))
    assert np.allclose(value(pack, late, gemm, out=out, more=(P,)), X @ Y)


def test_columns_by_number() -> None:
    ids, out, back = matrix("ids", 1, 3, "input"), matrix("out", 5, 3, "value"), matrix("back", 5, 7, "value")
    numbers = np.array([[6.0, 2.0, 6.0]])
    take = Call("take", (A.whole(), ids.whole()), (out.whole(),))
    add = Call("add_at", (out.whole(), ids.whole(), back.whole()), (back.whole(),))
    found = run(plan_of([A, ids, out, back], take, put(back.whole(), Number(one)), add), ids=numbers)
    assert np.array_equal(found["out"], X[:, [6, 2, 6]])
    assert np.allclose(found["back"], 1 + X[:, [6, 2, 6]] @ np.eye(7)[[6, 2, 6]])


def test_shared_memory_is_shared() -> None:
    """What lies in one place overwrites: storage that overlaps is seen."""
    first, second, out = matrix("first", 5, 7), matrix("second", 5, 7, order="F"), matrix("out", 5, 7, "value")
    body = [put(first.whole(), A.whole()), put(second.whole(), Number(one)), put(out.whole(), first.whole())]
    apart = plan_of([A, first, second, out], *body, storage={"first": 0, "second": 35}, block=70)
    assert np.array_equal(run(apart)["out"], X)
    over = plan_of([A, first, second, out], *body, storage={"first": 0, "second": 30}, block=70)
    assert not np.array_equal(run(over)["out"], X)


def test_memory_begins_empty() -> None:
    first, out = matrix("first", 5, 7), matrix("out", 5, 7, "value")
    found = run(plan_of([A, first, out], put(out.whole(), first.whole())))["out"]
    assert np.isnan(found).all()


def test_places_outside_are_refused() -> None:
    H, out = family("H", 5, 7, 0, 3, "input"), matrix("out", 5, 7, "value")
    with pytest.raises(PlanError, match="no member"):
        run(plan_of([H, out], put(out.whole(), H.whole(sp.Integer(4)))), H=np.zeros((4, 5, 7)))
    with pytest.raises(PlanError, match="outside"):
        value(put(out.whole(), A.whole().block(one, sp.S.Zero, sp.Integer(5), sp.Integer(7))), out=out)
    with pytest.raises(PlanError, match="no number"):
        value(put(out.whole(), H.whole(sp.Symbol("k"))), out=out, more=(H,))
    with pytest.raises(PlanError, match="no routine"):
        value(Call("unheard", (), ()), out=out)
