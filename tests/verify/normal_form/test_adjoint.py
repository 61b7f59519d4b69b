"""Adjoints follow from their definition for all sizes; spoiled ones stay unproved."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from identity_cases import A, f

from symbp.calculus import derive
from symbp.expr import Add, Hadamard, Node, Ref, Scale, SumOver, scaled, shift, transform, walk
from symbp.language import read_text
from symbp.networks import names, network
from symbp.program import Equation, map_equations
from symbp.verify.normal_form import Budget, prove_adjoint
from symbp.verify.normal_form.algebra import Algebra
from symbp.verify.normal_form.differentials import Differential
from symbp.verify.normal_form.entries import Entries
from symbp.verify.normal_form.indices import of
from symbp.verify.normal_form.terms import Poly

# ---------------------------------------------------------------------------------------------------------
# Adjoints from their definition

WRITTEN = {
    "softmax without a fact": """
X: input[n0, m]; Y: target[n2, m]
W: param[n2, n0]; b: param[n2, 1]
loss = softmax_cross_entropy(W @ X + b, Y)
""",
    "batch normalisation": """
X: input[n0, m]; Y: target[n1, m]
W: param[n1, n0]; g: param[n1, 1]; b: param[n1, 1]
Z = W @ X
Xc = Z - mean(Z, axis=1, keepdims=True)
v = mean(Xc**2, axis=1, keepdims=True)
loss = sum((Xc / sqrt(v + 1e-5) * g + b - Y)**2) / (2*m)
""",
    "attention": """
X: input[d, s]; Y: target[d, s]
WQ: param[d, d]; WK: param[d, d]; WV: param[d, d]
P = softmax((WK @ X).T @ (WQ @ X) / sqrt(d), axis=0)
loss = sum((WV @ X @ P - Y)**2) / 2
""",
    "gated unit with a free function": """
H[0]: input[h, m]
W: param[h, h]; V: param[h, h]; U: param[h, n]
f: elementwise
for t in range(1, T+1):
    X[t]: input[n, m]; Y[t]: target[h, m]
    Z[t] = sigmoid(W @ H[t-1] + U @ X[t])
    H[t] = (1 - Z[t])*H[t-1] + Z[t]*f(V @ (Z[t]*H[t-1]))
loss = sum(sum((H[t] - Y[t])**2) for t in range(1, T+1))
""",
    "kinks": """
X: input[n0, m]; Y: target[n1, m]
W: param[n1, n0]
Z = W @ X
loss = sum(abs(Z) + relu(Z)*elu(Z) + softsign(Z) + leaky_relu(Z) + maximum(Z, Y)) + sum(max(Z, axis=0, keepdims=True))
""",
    "blocks": """
X: input[n, m]; Y: target[n+k, m]
W: param[n, n]; U: param[k, n]
A = vstack([tanh(W @ X), U @ X])
loss = sum((A - Y)**2) + sum(A[0:n, :]*X) + sum(tril(W)) + trace(W @ W) + sum(kron(U, W)**2)
""",
    "group normalisation": """
X: input[n0, m]; Y: target[n1, m]
W: param[n1, n0]
assert n1 == 3*k
A = group_norm(W @ X, groups=3)
loss = sum((A - Y)**2) / (2*m)
""",
    "root mean square": """
X: input[n0, m]; Y: target[n1, m]
W: param[n1, n0]
loss = sum((rms_norm(W @ X) - Y)**2) / (2*m)
""",
    "two delays": """
H[0]: input[h, m]; H[-1]: input[h, m]; H[-2]: input[h, m]
W1: param[h, h]; W3: param[h, h]; V: param[k, h]
for t in range(1, T+1):
    Y[t]: target[k, m]
    H[t] = tanh(W1 @ H[t-1] + W3 @ H[t-3])
loss = sum(sum((V @ H[t] - Y[t])**2) for t in range(1, T+1)) / m
""",
    "letters": """
X: input[n, m]; Y: target[k, m]
W: param[k, n]; V: param[k, k]
Z = einsum('ij,js->is', W, X)
loss = sum((einsum('ij,js,js->is', V, Z, Z) - Y)**2) / (2*m)
""",
    "symmetric parameter": """
Q: param[n, n] & symmetric
X: input[n, m]
loss = sum(X * (Q @ Q @ X)) / m + sum(tanh(Q))
""",
}


SECONDS = 0.15
"""The processor time that the proof of one equation may take on average."""


@pytest.mark.parametrize("name", [*names(), *WRITTEN])
def test_every_adjoint_equation_is_proved_for_all_sizes(name: str) -> None:
    derivation = derive(read_text(WRITTEN[name] if name in WRITTEN else network(name).text))
    start = time.process_time()
    proofs = prove_adjoint(derivation.forward, derivation.program, derivation.output)
    took = time.process_time() - start
    unproved = {p.target.label: p.proof.residual for p in proofs if not p.proof}
    assert proofs and not unproved
    assert took < SECONDS * len(proofs)


def spoiled(node: Node) -> Iterator[Node]:
    """Yield wrong versions of the right side of an adjoint equation."""
    yield scaled(2, node)
    yield scaled(-1, node)
    for part in walk(node):
        wrong: list[Node] = []
        if isinstance(part, Add | Hadamard) and len(part.operands) > 1:
            wrong.append(part.operands[0])
        if isinstance(part, Scale):
            wrong.append(part.body)
        if isinstance(part, SumOver):
            body, loop, lo, hi = part.args
            wrong += [SumOver(body, loop, lo, hi - 1), SumOver(body, loop, lo + 1, hi)]
        if isinstance(part, Ref) and part.indices:
            wrong.append(shift(part, {i: i + 1 for i in part.indices[-1].free_symbols}))  # type: ignore[dict-item]
        if isinstance(part, Ref) and part.rows == part.cols and not part.is_scalar_shape:
            wrong.append(part.T)
        for other in wrong:
            if other is not part and other.shape == part.shape:
                changed = transform(node, lambda x, part=part, other=other: other if x is part else x)  # type: ignore[misc]
                if changed is not node:
                    yield changed


@pytest.mark.parametrize(
    "name", ["mlp", "residual", "logistic", *(pytest.param(x, marks=pytest.mark.slow) for x in ("rnn", "stacked"))]
)
def test_spoiled_adjoint_equations_stay_unproved(name: str) -> None:
    derivation = derive(read_text(network(name).text))
    adjoints = {v.name for v in derivation.program.variables.values() if v.kind == "adjoint"}
    count = 0
    for site in derivation.program.sites:
        if site.target.name not in adjoints:
            continue
        for wrong in spoiled(site.equation.value):
            def change(equation: Equation, mine: Equation = site.equation, wrong: Node = wrong) -> list[Equation]:
                return [replace(equation, value=wrong) if equation is mine else equation]

            program = derivation.program.replace(body=map_equations(derivation.program.body, change))
            proofs = prove_adjoint(derivation.forward, program, derivation.output, only=site.target.name)
            assert any(not p.proof for p in proofs), f"{site.target.label} = {wrong} was proved"
            count += 1
    assert count >= 5


def test_a_lost_message_is_found() -> None:
    derivation = derive(read_text(network("rnn").text))
    messages = {v.name for v in derivation.program.variables.values() if v.kind == "message"}
    assert messages

    def drop(equation: Equation) -> list[Equation]:
        return [] if equation.target.name in messages else [equation]

    program = derivation.program.replace(body=map_equations(derivation.program.body, drop))
    assert any(not p.proof for p in prove_adjoint(derivation.forward, program, derivation.output))


def test_an_adjoint_that_lacks_a_member_is_found() -> None:
    derivation = derive(read_text(network("deep").text))
    last = next(s for s in derivation.program.sites if s.target.name == "Z_bar" and not s.loops)
    body = map_equations(derivation.program.body, lambda e: [] if e is last.equation else [e])
    proofs = prove_adjoint(derivation.forward, derivation.program.replace(body=body), derivation.output)
    assert any(p.proof.residual.startswith("no equation for Z_bar[") for p in proofs)


def test_the_differential_of_a_product_of_functions_holds_their_values() -> None:
    """``d(exp(A) exp(A))`` is ``d exp(2 A)``: what a function is called while it moves is put back."""
    algebra = Algebra({}, Budget())
    i, j = (algebra.fresh(of((size,))) for size in "mn")

    def moved(node: Node) -> Poly:
        row, col, poly = Differential(Entries(algebra), "A").template(node)
        return algebra.close(algebra.open(poly, {row: of(i), col: of(j)}))

    assert moved(Hadamard(f("exp", A), f("exp", A))) is moved(f("exp", 2 * A)) is not moved(f("exp", A))
    assert moved(Hadamard(f("tanh", A), A)) is moved(Hadamard(A, f("tanh", A))) is not moved(f("tanh", A))
