"""Gather and scatter in C: every static map, read and added back, against the reference evaluator."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from symbp.calculus import derive
from symbp.calculus.batch import Samples, convert
from symbp.expr import Gather, Node, Scatter, T, add, had, size, total
from symbp.language import read_text
from symbp.plan import strips
from symbp.program import Equation, Program, Var, check
from symbp.verify.compiled import Variant, check_compiled, compiler
from symbp.verify.rules import MAPS

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C compiler")

NUMBERS = {size(s): sp.Integer(k) for s, k in {"m": 2, "n": 3, "p": 5, "q": 7, "c": 2}.items()}


def all_maps() -> Program:
    """Return a program whose loss reads a parameter through every map, forth, back and turned, with generic weights."""
    variables: dict[str, Var] = {}
    terms: list[Node] = []

    def declared(name: str, shape: tuple[sp.Expr, sp.Expr], kind: str) -> Node:
        variables[name] = Var(name, *shape, kind=kind)  # type: ignore[arg-type]
        return variables[name]()

    for k, rule in enumerate(MAPS.values()):
        known = rule.with_sizes(lambda s: s.xreplace(NUMBERS))
        A, B = declared(f"A{k}", known.source_shape, "param"), declared(f"B{k}", known.shape, "param")
        G, H = declared(f"G{k}", known.shape, "input"), declared(f"H{k}", known.source_shape, "input")
        terms += [total(had(G, Gather(A, known))), total(had(H, Scatter(B, known)))]
        terms.append(total(had(T(G), Gather(T(A), known.T))))
    variables["loss"] = Var("loss", sp.S.One, sp.S.One)
    return check(Program(variables, (Equation(variables["loss"](), add(*terms)),), ("loss",), name="maps"))


def test_every_map() -> None:
    found = check_compiled(
        derive(all_maps()), np.random.default_rng(5), sizes=[{}], dtypes=("float64",), variants=[Variant()]
    )
    assert all(f.outcome == "holds" for f in found["float64"]), found


def test_a_single_row_from_other_places_is_spread() -> None:
    """A reshaped row that stands in a sum of more rows is read as a row, not as if it had them all."""
    text = "X: input[4, m]\nW: param[3, 4*m]\nv: param[m, 4]\nloss = sum(W * (W + reshape(v * X.T, (1, 4*m))))\n"
    found = check_compiled(
        derive(read_text(text)), np.random.default_rng(6), sizes=[{"m": 5}], dtypes=("float64",),
        variants=[Variant()],
    )
    assert all(f.outcome == "holds" for f in found["float64"]), found


def test_maps_in_loops() -> None:
    text = (
        "X: input[72, m]\nY: target[2, m]\nA[0] = image(X, 2, 6, 6)\nfor l in range(1, L+1):\n"
        "    A[l] = conv2d(A[l-1], 2, 3, padding=1, activation=tanh) + A[l-1]\n"
        "loss = sum_of_squares(global_avg_pool(A[L]), Y)\n"
    )
    found = check_compiled(
        derive(read_text(text)), np.random.default_rng(8), sizes=[{"m": 3, "L": 3}], dtypes=("float64",),
        variants=[Variant()],
    )
    assert all(f.outcome == "holds" for f in found["float64"]), found


@pytest.mark.parametrize("samples", ["columns", "rows"])
def test_windows_by_sample(samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "CACHE", 1)
    text = (
        "samples: m\nX: input[2*36, m]\nY: target[3, m]\n"
        "A = conv2d(image(X, 2, 6, 6), 4, 3, padding=1, activation=tanh)\n"
        "B = conv2d(A, 3, 3, stride=2, activation=tanh)\n"
        "Z = dense(flatten_maps(B), 3)\nloss = sum_of_squares(Z, Y)\n"
    )
    found = check_compiled(
        derive(convert(read_text(text), samples)), np.random.default_rng(7), sizes=[{"m": 5}], dtypes=("float64",),
        variants=[Variant()],
    )
    assert all(f.outcome == "holds" for f in found["float64"]), found
