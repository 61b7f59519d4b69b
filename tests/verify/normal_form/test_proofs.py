"""What a proof says: conditions, residual, limits; indices that are interchangeable; definitions."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from fractions import Fraction

import pytest
import sympy as sp
from identity_cases import A, B, C, H, HALF, ONE, T_, W, Y, Z, f, k, m, n, t

from symbp.expr import (
    Compare, DiagOf, Function, Gather, Hadamard, MatMul, Node, Ones, Ref, SizeMember, Softmax, SumOver, Zero, apply,
    index, plus, power, scaled, shift, size, static_map, sum_axis, total, where,
)
from symbp.language import read_text
from symbp.networks import network
from symbp.verify.normal_form import Budget, facts_of, prove, prove_statement, with_signs
from symbp.verify.normal_form.algebra import Algebra
from symbp.verify.normal_form.entries import Entries
from symbp.verify.normal_form.functions import orientation
from symbp.verify.normal_form.indices import minus, number, of, plus as plus_index, product as multiplied
from symbp.verify.normal_form.reduction import digits, divide
from symbp.verify.normal_form.terms import Poly, Product

# ---------------------------------------------------------------------------------------------------------
# Conditions, budget, shapes


def test_a_cancellation_states_its_condition() -> None:
    proof = prove(Hadamard(A, f("recip", A)), Ones(m, n))
    assert proof and proof.conditions == ("A != 0",)
    assert prove(Hadamard(A, f("recip", A)), Ones(m, n), facts={"A": frozenset({"positive"})}).conditions == ()
    assert prove(power(f("sqrt", A), 2), A).conditions == ("A[k,l] >= 0",)
    assert prove(A @ B, A @ B + Zero(m, k)).conditions == ()


def test_a_guarded_denominator_is_not_cancelled_by_its_guard() -> None:
    facts = {"Y": frozenset({"mask"})}
    guarded = where(Y, f("recip", Y), 0)
    assert not prove(guarded, Ones(m, n), facts=facts)
    assert prove(guarded, Y, facts=facts)
    whole = where(Compare(A, -C, "!="), Hadamard(A + C, f("recip", A + C)), 0)
    assert not prove(whole, Ones(m, n))
    assert prove(whole, Compare(A, -C, "!="))
    # Where Y and C are both 0 the denominator is 0, but every fraction is guarded: 0 on the left, 1 on the right.
    below = Hadamard(Y, A) + C
    left = where(Y, Hadamard(A, f("recip", below)), 0) + where(Y, Hadamard(C, f("recip", below)), 0)
    right = 1 - where(Y, 0, where(Compare(C, Zero(m, n), "!="), Hadamard(C, f("recip", below)), 0))
    assert not prove(left, right, facts=facts)


def test_the_budget_ends_a_proof() -> None:
    proof = prove(power(A + C, 8) @ B, power(C + A, 8) @ B, budget=Budget(steps=200))
    assert proof.status == "unproved" and "steps" in proof.residual
    many = MatMul(*[W] * 12)
    assert prove(total(many), total(many.T), budget=Budget(seconds=0.0)).status == "unproved"


def test_no_proof_outlasts_its_budget() -> None:
    nested = f("tanh", A)
    for _ in range(400):
        nested = f("tanh", nested)
    assert prove(nested, nested + Zero(m, n)).residual == "the expression is nested too deeply"
    shares: Node = Softmax(W, 0)
    for _ in range(20):
        shares = Softmax(shares @ W + shares, 0)
    start = time.process_time()
    assert not prove(shares, shares + W, budget=Budget(seconds=0.2))
    assert time.process_time() - start < 2


def test_the_number_e_of_a_law_is_the_exponential_of_one() -> None:
    x = sp.Symbol("x", real=True)
    times_e = apply(Function("times_e", (), (0,), sp.Lambda(x, sp.E * x)), A)
    assert prove(times_e, Hadamard(f("exp", Ones(m, n)), A))
    assert not prove(times_e, Hadamard(f("exp", 2 * Ones(m, n)), A))


def test_a_relation_between_names_is_a_definition() -> None:
    """``s^2 = v + eps`` is given as what v stands for."""
    eps = sp.Rational(1, 1000)
    spread, variance = Ref("s", m, n), Ref("v", m, n)
    relation = {variance: plus(spread**2, -eps)}
    assert prove(plus(variance, eps), spread**2, definitions=relation)
    assert not prove(plus(variance, eps), spread**2)
    positive = {"s": frozenset({"positive"})}
    proof = prove(f("sqrt", plus(variance, eps)), spread, definitions=relation, facts=positive)
    assert proof and proof.facts == ("s > 0",)
    assert not prove(f("sqrt", plus(variance, eps)), spread, definitions=relation)


def test_the_definition_of_a_member_holds_for_every_index() -> None:
    s = index("s")
    family = {H(t): Hadamard(Ref("F", n, k, t - 1), Ref("F", n, k, t))}
    assert prove(H(s + 2), Hadamard(Ref("F", n, k, s + 2), Ref("F", n, k, s + 1)), definitions=family)
    assert not prove(H(s + 2), Hadamard(Ref("F", n, k, s + 3), Ref("F", n, k, s + 2)), definitions=family)
    last = {H(T_): Ref("F", n, k, 1)}
    assert prove(H(T_), Ref("F", n, k, 1), definitions=last)
    assert not prove(H(T_ - 1), Ref("F", n, k, 1), definitions=last)


def test_signs_follow_from_equations() -> None:
    program = read_text("""
X: input[n, m]; Y: target[n, m] & positive
A = X**2
B = A + 1/2
C = exp(X) + abs(X)
D = X + A
H[0]: input[n, m]
for t in range(1, T+1):
    H[t] = H[t-1]**2
loss = sum(A + B + C + D + Y) + sum(sum(H[t]) for t in range(1, T+1))
""")
    facts = with_signs(facts_of(program), program)
    signs = {name: found & {"positive", "not_negative"} for name, found in facts.items()}
    assert signs["A"] == {"not_negative"} and signs["B"] == signs["C"] == signs["Y"] == {"positive"}
    assert not signs.get("D") and not signs.get("H") and not signs.get("X")


def test_interchangeable_indices_do_not_explode() -> None:
    column = Ones(1, m) @ A @ Ones(n, 1)
    assert prove(power(column, 6), Hadamard(*[column] * 6))
    assert prove(total(DiagOf(MatMul(*[W] * 6))), total(DiagOf(MatMul(*[W.T] * 6))))


def test_many_indices_are_told_apart_by_their_places() -> None:
    factors = [Ref(f"M{i}", n, n) for i in range(12)]
    assert prove(total(MatMul(*factors)), total(MatMul(*(x.T for x in reversed(factors)))))


PRISM = ((0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5))
BIPARTITE = tuple((x, y) for x in range(3) for y in range(3, 6))
TWISTED = ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 0), (0, 2), (1, 5), (3, 6), (4, 7))


def contracted(algebra: Algebra, edges: tuple[tuple[int, int], ...], order: list[int]) -> Poly:
    """Return the sum over one index per vertex of the product over edges of a symmetric matrix's entries."""
    last = ((("n",),), 1), ((), -1)
    symbols = [algebra.fresh(tuple(sorted(last, key=lambda item: item[0]))) for _ in order]
    factors = {}
    for x, y in edges:
        factors[algebra.atom("ref", "S", (of(symbols[order[x]]), of(symbols[order[y]])))] = 1
    bound = {symbol: algebra.ranges[symbol][1] for symbol in symbols}
    return algebra.close([Product(Fraction(1), bound, factors)])


@pytest.mark.parametrize("edges", [PRISM, BIPARTITE, TWISTED])
def test_interchangeable_indices_have_one_canonical_order(edges: tuple[tuple[int, int], ...]) -> None:
    algebra = Algebra({"S": frozenset({"symmetric"})}, Budget())
    vertices = list(range(1 + max(max(e) for e in edges)))
    first = contracted(algebra, edges, vertices)
    for seed in range(8):
        shuffled = random.Random(seed).sample(vertices, len(vertices))
        assert contracted(algebra, edges, shuffled) is first


def test_regular_patterns_that_differ_are_told_apart() -> None:
    algebra = Algebra({"S": frozenset({"symmetric"})}, Budget())
    assert contracted(algebra, PRISM, list(range(6))) is not contracted(algebra, BIPARTITE, list(range(6)))


def test_a_range_that_reads_another_index_follows_it() -> None:
    """The sum of X[a,b] for a up to b and b up to v, with v + 1 in place of v: whichever index was bound first."""
    algebra = Algebra({}, Budget())
    v = algebra.fresh(of(("n",)))
    b = algebra.fresh(of(v))
    a = algebra.fresh(of(b))
    entry = {algebra.atom("ref", "X", (of(a), of(b))): 1}
    after = {v: plus_index(of(v), number(1))}
    for bound in ({a: of(b), b: of(v)}, {b: of(v), a: of(b)}):
        (moved,) = algebra.substitute(Product(Fraction(1), bound, entry), after)
        (outer,) = (s for s, last in moved.bound.items() if last == plus_index(of(v), number(1)))
        (inner,) = moved.bound.keys() - {outer}
        assert moved.bound[inner] == of(outer)
        assert [atom.args for atom in moved.factors] == [(of(inner), of(outer))]


def test_no_term_leads_where_terms_differ_in_their_indices_only() -> None:
    """An orientation that depended on the names of indices would make one function two atoms."""
    algebra = Algebra({}, Budget())
    entries = Entries(algebra)
    skew, led = (entries.template(x)[2] for x in (W - W.T, W - 2 * Hadamard(W, W.T)))
    assert skew.leading() is None and orientation(skew) == 0
    assert led.leading() is not None and orientation(led) == -1
    assert orientation(algebra.negated(led)) == 1
    assert orientation(algebra.poly({})) == 0
    assert prove(f("tanh", W - W.T).T, f("tanh", W.T - W))


def test_a_product_is_divided_by_a_sum_in_it_and_by_no_other() -> None:
    algebra = Algebra({}, Budget())
    entries = Entries(algebra)
    scalar, squares, mixed, cubes = (
        entries.template(x)[2]
        for x in (Ref("a", 1, 1), total(power(A, 2)), total(Hadamard(A, C)), total(Hadamard(power(A, 2), C)))
    )

    def divided(by: Poly, *factors: Poly) -> Poly | None:
        (product,) = algebra.times(*map(algebra.open, factors))
        found = divide(algebra, product, next(iter(by.terms)))
        return None if found is None else algebra.close([found])

    for by in (scalar, squares, mixed):
        others = [x for x in (scalar, squares, mixed, cubes) if x is not by]
        assert divided(by, by, *others) is algebra.close(algebra.times(*map(algebra.open, others)))
        assert divided(by, by, by, cubes) is algebra.close(algebra.multiply(algebra.open(by), algebra.open(cubes)))
        assert divided(by, *others) is None


@pytest.mark.parametrize(("missing", "found"), [(0, True), (1, False)])
def test_a_number_has_one_pair_of_digits_if_each_digit_runs_through(missing: int, found: bool) -> None:
    """The sum of [i = k a + b] over all a and b is 1 for i below n k, but not where b stops short of k - 1."""
    algebra = Algebra({}, Budget())
    k_, n_k = of(("k",)), multiplied(of(("n",)), of(("k",)))
    low_last, high_last = minus(k_, number(1 + missing)), minus(of(("n",)), number(1))
    i, high, low = (algebra.fresh(x) for x in (minus(n_k, number(1 + missing)), high_last, low_last))
    delta = algebra.atom("delta", "", (minus(of(i), plus_index(multiplied(k_, of(high)), of(low))),))
    left = digits(algebra, Product(Fraction(1), {high: high_last, low: low_last}, {delta: 1}))
    assert (left is not None) == found
    assert left is None or [(p.coefficient, p.bound, p.factors) for p in left] == [(1, {}, {})]


def test_shapes_that_differ_are_said_so() -> None:
    assert prove(A, A.T).residual == "shapes differ: m x n and n x m"
    assert prove(A, Ref("A", m, k)).residual == "shapes differ: m x n and m x k"
    assert prove(A, Ref("A", k, n)).residual == "shapes differ: m x n and k x n"


def test_unknown_operations_stay_unproved() -> None:
    length = SizeMember("n", t)
    every_second = static_map("thin", "spread", {t: m}, {}, [(length, 2 * t)], [])
    strange = Gather(Ref("X", length, 1), every_second)
    proof = prove(strange, strange + Zero(m, 1))
    assert proof.status == "unproved" and "static map" in proof.residual


def test_the_residual_names_the_term() -> None:
    wrong = prove(scaled(1 / m, A @ B), scaled(2 / m, A @ B))
    assert wrong.residual == "-1/m * sum_k A[i,k] B[k,j]"
    missing = prove(SumOver(Z(t) @ H(t - 1).T, t, 1, T_), SumOver(Z(t) @ H(t - 1).T, t, 1, T_ - 1))
    assert missing.residual == "sum_k H[T-1,j,k] Z[T,i,k]"


# ---------------------------------------------------------------------------------------------------------
# Normalisation layers: the compact adjoint is the derived one


def normalised(axis: int) -> tuple[Node, Callable[[object], Node], dict[Ref, Node]]:
    """Return the adjoint of a normalisation by the chain rule, its compact form times a factor, the definitions.

    ``axis`` 0 is batch normalisation of samples in rows (F2), 1 is layer normalisation.
    """
    N, D = size("N"), size("D")
    X, Y_bar = Ref("X", N, D), Ref("Y_bar", N, D)
    row = (ONE, D) if axis == 0 else (N, ONE)
    count = N if axis == 0 else D

    def sums(x: Node) -> Node:
        return sum_axis(x, axis)

    def spread(x: Node) -> Node:
        return Ones(N, 1) @ x if axis == 0 else x @ Ones(1, D)

    gamma = Ref("gamma", ONE, D)
    mean, variance, r = Ref("mu", *row), Ref("v", *row), Ref("r", *row)
    centred, hat = Ref("Xc", N, D), Ref("Xhat", N, D)
    definitions: dict[Ref, Node] = {
        mean: scaled(1 / count, sums(X)), centred: X - spread(mean),
        variance: plus(scaled(1 / count, sums(Hadamard(centred, centred))), sp.Rational(1, 1000)),
        r: power(variance, -HALF), hat: Hadamard(centred, spread(r)),
    }
    hat_bar = Hadamard(Y_bar, Ones(N, 1) @ gamma)
    r_bar = sums(Hadamard(hat_bar, centred))
    v_bar = Hadamard(r_bar, scaled(-HALF, power(variance, sp.Rational(-3, 2))))
    c_bar = Hadamard(hat_bar, spread(r)) + scaled(2 / count, Hadamard(spread(v_bar), centred))
    derived = c_bar - scaled(1 / count, spread(sums(c_bar)))

    def compact(factor: object) -> Node:
        inside = scaled(count, hat_bar) - spread(sums(hat_bar))
        inside = inside - scaled(factor, Hadamard(hat, spread(sums(Hadamard(hat_bar, hat)))))
        return Hadamard(scaled(1 / count, inside), spread(r))

    return derived, compact, definitions


@pytest.mark.parametrize("axis", [0, 1])
def test_the_compact_adjoint_of_a_normalisation_is_proved_for_all_sizes(axis: int) -> None:
    derived, compact, definitions = normalised(axis)
    proof = prove(derived, compact(1), definitions=definitions)
    assert proof, proof.residual
    assert proof.seconds < 1


@pytest.mark.parametrize("axis", [0, 1])
def test_a_wrong_compact_adjoint_is_named(axis: int) -> None:
    derived, compact, definitions = normalised(axis)
    proof = prove(derived, compact(2), definitions=definitions)
    assert not proof
    sums = "sum_k v[0,j]^(-3/2) Xc[i,j] Xc[k,j] Y_bar[k,j] gamma[0,j]"
    if axis == 1:
        sums = "sum_k v[i,0]^(-3/2) Xc[i,j] Xc[i,k] Y_bar[i,k] gamma[0,k]"
    assert sums in proof.residual


def test_a_statement_of_a_program_is_proved_with_its_definitions() -> None:
    program = read_text("X: input[n, m]\nW: param[n, n]\nZ = W @ X\nA = tanh(Z)\nG = A * 2\nloss = sum(G)\n")
    z, value = Ref("Z", n, m), Ref("A", n, m)
    target = Ref("G", n, m)
    assert prove_statement(program, target, f("tanh", z, order=1), 1 - value**2)
    assert not prove_statement(program, target, f("tanh", z, order=1), 1 - value)


def test_a_definition_is_used_only_where_it_holds() -> None:
    program = read_text(network("rnn").text)
    site = next(s for s in program.sites if s.target.name == "H")
    hidden, loop = site.target, site.loops[0].index
    assert prove_statement(program, Ref("other", *hidden.shape), hidden, hidden)
    before = shift(hidden, {loop: loop - 1})
    target = next(s.target for s in program.sites if s.loops and s.target.name != "H")
    # At the first step the member read is an input, which no equation defines.
    assert not prove_statement(program, target, before, shift(site.equation.value, {loop: loop - 1}))
    assert prove_statement(program, target, hidden, site.equation.value)


def test_the_range_of_a_loop_is_known_in_its_statements_alone() -> None:
    program = read_text(
        "X: input[n, m]\nA = X + X\nfor t in range(2, T+1):\n    Z[t] = A\n"
        "loss = sum(sum(Z[t]) for t in range(2, T+1))\n"
    )
    outside, inside = (next(x for x in program.sites if x.target.name == name) for name in ("A", "Z"))
    t, x = inside.loops[0].index, Ref("X", n, m)

    def proved(target: Ref, first: int) -> bool:
        """Whether X summed from ``first`` to t is a multiple of X: a range may lack one step, not two."""
        return bool(prove_statement(program, target, SumOver(x, index("s"), first, t), scaled(t - first + 1, x)))

    assert [proved(inside.target, first) for first in (1, 2, 3, 4)] == [True, True, True, False]
    assert not proved(outside.target, 2)
