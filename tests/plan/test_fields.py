"""The buffers of variables: one for each declaration, one for each computed variable, or for its members."""

from __future__ import annotations

import pytest
import sympy as sp
from plan_cases import bundled, derivation_of

from symbp.expr import SizeMember, size
from symbp.networks import names
from symbp.plan.fields import Fields, PlanError, Sizes, hull, index_name

T, m = size("T"), size("m")


def fields(name: str, **sizes: object) -> Fields:
    return Fields(derivation_of(name).program, Sizes(sizes), {})


def test_sizes() -> None:
    known = Sizes({"m": 7, "n": {0: 3, 1: 5}})
    l = sp.Symbol("l", integer=True)
    assert known.value(2 * m + T) == T + 14
    assert known.value(l - 1, {l: sp.Integer(4)}) == 3
    assert known.value(SizeMember("n", l), {l: sp.S.One}) == 5
    assert known.value(SizeMember("n", l)) == SizeMember("n", l)
    with pytest.raises(PlanError, match="give n as a list"):
        known.value(SizeMember("n", sp.Integer(2)))
    assert known.given
    assert not Sizes().given


def test_names_of_indices() -> None:
    assert [index_name(v) for v in (sp.Integer(-1), T + 1, T - 2)] == ["m1", "Tp1", "Tm2"]


def test_the_smallest_interval() -> None:
    one, two, five = (sp.Integer(k) for k in (1, 2, 5))
    assert hull([(one, two), (two, five)], {}) == (1, 5)
    assert hull([(one, T)], {}) == (1, T)
    assert hull([(one, two), (T, T)], {}) is None
    assert hull([(one, two), (T, T)], {T: 3}) == (1, T)


def test_declarations_of_a_recurrence() -> None:
    found = fields("rnn", T=5, m=3, h=4, n=2, p=6)
    assert [b.name for f in found.declared for b in f.buffers.values()][:2] == ["W", "U"]
    by_name = {f.name: f for f in found.declared}
    assert by_name["H_0"].buffers[()].shape == (4, 3)
    assert by_name["H_0"].buffers[()].indices == ()
    assert by_name["X"].buffers[()].extents == (5,)
    assert found.direct("X")
    assert not found.direct("H")
    buffer, view = found.view("H", (sp.Integer(0),))
    assert (buffer.name, buffer.lows, buffer.highs) == ("H", (0,), (5,))
    assert view.where == (0,)


def test_delays_reach_back() -> None:
    buffer, _ = fields("delayed", T=5, m=3, h=4, n=2, p=6).view("H", (sp.Integer(1),))
    assert (buffer.lows, buffer.highs) == ((-2,), (5,))


def test_members_of_other_shapes_are_split() -> None:
    found = fields("deep", n={0: 3, 1: 5, 2: 7, 3: 2}, L=2, m=4)
    weights = next(f for f in found.declared if f.var.name == "W")
    assert {b.name: b.shape for b in weights.buffers.values()} == {"W_1": (5, 3), "W_2": (7, 5)}
    buffer, view = found.view("A", (sp.Integer(2),))
    assert buffer.name == "A_2"
    assert view.where == ()


def test_without_numbers_they_are_levels_of_a_list() -> None:
    found = fields("deep")
    weights = next(f for f in found.declared if f.var.name == "W")
    assert weights.buffers[()].levels == 1


@pytest.mark.parametrize("name", names())
def test_every_member_has_one_place(name: str) -> None:
    """Members of buffers and members of variables are one to one."""
    found = bundled(name).found
    for plan in found.plans.values():
        for buffer in plan.buffers.values():
            if not buffer.of or buffer.role in ("scratch", "moment"):
                continue
            pairs = list(found.fields.members(buffer))
            places = [p for p, _ in pairs]
            assert len(set(places)) == len(places) == int(sp.Mul(*buffer.extents))
            assert len({member for _, member in pairs}) == len(pairs)
            var = found.fields.program.variables[buffer.of]
            for place, member in pairs:
                at = dict(zip(var.indices, map(sp.Integer, member), strict=True))
                shape = tuple(found.fields.sizes.value(s, at) for s in var.shape)
                held = buffer.whole(*map(sp.Integer, place))
                assert held.shape == shape


def test_names_of_buffers_are_new() -> None:
    """A family that is given in part and computed in part: the plain name is the whole family's."""
    plan = bundled("delayed").found.plans["train_step"]
    assert {"H", "H_given"} <= set(plan.buffers)
