"""Adjoints of straight lines and loops, to second order, against complex step through the reference evaluator."""

import importlib.util
import re
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from symbp.calculus import convert, derive, differential, prepare
from symbp.expr import Add, transform, walk
from symbp.language import read_text
from symbp.networks import names, network
from symbp.program import Equation, Program, map_equations
from symbp.verify.draws import choose_sizes

_spec = importlib.util.spec_from_file_location("second_order", Path(__file__).with_name("second_order.py"))
assert _spec is not None and _spec.loader is not None
second_order = importlib.util.module_from_spec(_spec)
sys.modules["second_order"] = second_order
_spec.loader.exec_module(second_order)

LOOPS = {
    "read of one member": """
        W: param[n, n]
        A[0]: input[n, m]
        for l in range(1, L+1):
            A[l] = tanh(W @ A[l-1])
        loss = sum(A[L]**2) + sum(A[1]) / 3
        """,
    "two loops define one family": """
        W: param[n, n]
        V: param[n, n]
        H[0]: param[n, m]
        for t in range(1, T+1):
            H[t] = tanh(W @ H[t-1])
        for t in range(T+1, T+D+1):
            H[t] = sigmoid(V @ H[t-1] + W @ H[t-1])
        loss = sum(sum(H[t]**2) for t in range(1, T+D+1))
        """,
    "downward with delays": """
        W: param[n, n]
        U: param[n, n]
        H[T+1]: param[n, m]
        H[T+2]: param[n, m]
        for t in range(T, 0, -1):
            X[t]: input[n, m]
            H[t] = tanh(W @ H[t+1] + U @ H[t+2] + X[t])
        loss = sum(H[1]**2) / 2
        """,
    "reversed read": """
        W: param[n, n]
        for t in range(1, T+1):
            X[t]: param[n, m]
        for t in range(1, T+1):
            Y[t] = tanh(W @ X[T+1-t])
        loss = sum(sum(Y[t]**2) for t in range(1, T+1))
        """,
    "a symbolic delay": """
        assert T >= 2
        W: param[n, n]
        for t in range(1-D, 1):
            H[t]: param[n, m]
        for t in range(1, T+1):
            H[t] = tanh(W @ H[t-D]) + X
        X: input[n, m]
        loss = sum(sum(H[t]**2) for t in range(1, T+1))
        """,
    "a sum over an index inside a loop": """
        for l in range(1, L+1):
            W[l]: param[n, n]
        X: input[n, m]
        H[0]: input[n, m]
        for t in range(1, T+1):
            H[t] = tanh(sum(W[l] @ X for l in range(1, L+1)) + H[t-1])
        loss = sum(H[T]**2)
        """,
    "two indices, shared parameters": """
        for l in range(1, L+1):
            W[l]: param[n, n]
        U: param[n, n]
        for t in range(1, T+1):
            H[0, t]: input[n, m]
        for l in range(1, L+1):
            H[l, 0]: input[n, m]
        for t in range(1, T+1):
            for l in range(1, L+1):
                H[l, t] = tanh(W[l] @ H[l, t-1] + U @ H[l-1, t])
        loss = sum(H[L, T]**2) + sum(sum(H[L, t]) for t in range(1, T+1))
        """,
    "loops that share an index name": """
        W: param[n, n]
        A[0]: input[n, m]
        B[0]: input[n, m]
        for t in range(1, T+1):
            A[t] = tanh(W @ A[t-1])
        for t in range(1, T+1):
            B[t] = sigmoid(W @ B[t-1] + A[t])
        loss = sum(sum(A[t] * B[t]) for t in range(1, T+1))
        """,
    "invariant in the loop": """
        A: param[n, n]
        M: const[n, n] & mask
        u: param[n, 1]
        x[0]: input[n, 1]
        for k in range(1, K+1):
            x[k] = tanh((A * M) @ x[k-1] + u)
        loss = sum(x[K]**2)
        """,
    "a name private to the iteration": """
        W: param[n, n]
        H[0]: input[n, m]
        for t in range(1, T+1):
            Z = W @ H[t-1]
            G = sigmoid(Z)
            H[t] = G * tanh(Z) + (1 - G) * H[t-1]
        loss = sum(H[T]**2)
        """,
    "a fork": """
        X: input[n, m]
        W: param[n, n]
        A = tanh(W @ X)
        B = A * A + sigmoid(A) + A
        loss = sum(B * A) / m
        """,
    "one operation after another": """
        X: input[n, m]
        W: param[n, n]
        Z = W @ X
        P = softmax(Z, axis=0)
        Q = log_softmax(Z.T, axis=1)
        R = Z / (1 + sum(Z**2, axis=1, keepdims=True))
        S = hstack([P, R])
        total = sum(logsumexp(S, axis=1, keepdims=True))
        loss = sum(S[:, m:] * P) + trace(Q @ P) + norm(R) + total + sum(cumsum(R, axis=0)**2)
        """,
    "kron, reshape, diagonals": """
        W: param[n, n]
        v: param[n, 1]
        K = kron(W, v)
        R = reshape(K, (n, n*n))
        loss = sum(R**2) + sum(diag(v) @ W) + trace(tril(W) @ W) + sum(diag(W) * v)
        """,
    "where and max": """
        W: param[n, m]
        Z = where(W > 0, W**2, exp(W))
        loss = sum(max(Z, axis=0, keepdims=True)) + sum(maximum(W, 0) * abs(W)) + min(W)
        """,
    "symmetric parameter": """
        S: param[n, n] & symmetric
        x: param[n, 1]
        loss = sum(x.T @ S @ x) + sum(tanh(S @ S))
        """,
    "scalar parameters": """
        g: param
        X: input[n, m]
        W: param[n, n]
        A = tanh(g * (W @ X) + g)
        loss = g**2 * sum(A**2) / (1 + g**2)
        """,
}


def program(name: str) -> Program:
    text = textwrap.dedent(LOOPS[name]) if name in LOOPS else network(name).text
    # A function that the network leaves unspecified gets a law here, which also tries functions with a law.
    return read_text(re.sub(r"^(\w+): elementwise$", r"def \1(x): return x / (1 + exp(-x))", text, flags=re.M))


NETWORKS = names()


@pytest.mark.parametrize("name", [*LOOPS, *NETWORKS])
def test_gradients(name: str) -> None:
    p = program(name)
    derivation = derive(p)
    for k, sizes in enumerate(choose_sizes(p)):
        assert second_order.gradient_error(derivation, sizes, seed=k) < 1e-12


@pytest.mark.parametrize("name", [*LOOPS, *NETWORKS])
def test_second_order_closure(name: str) -> None:
    """The adjoint of the adjoint and the differential of the adjoint need no further rule."""
    p = program(name)
    derivation = derive(p)
    for k, sizes in enumerate(choose_sizes(p)[:2]):
        assert max(second_order.second_order_errors(derivation, sizes, seed=k)) < 1e-10


@pytest.mark.parametrize("name", ["mlp", "iris", "rnn", "bidirectional", "deep"])
def test_gradients_in_the_other_convention(name: str) -> None:
    p = program(name)
    derivation = derive(convert(p, "rows"))
    assert second_order.gradient_error(derivation, choose_sizes(p)[0]) < 1e-12


def test_a_lost_message_is_seen() -> None:
    """The checks above are able to fail: without one term of an adjoint they do."""
    derivation = derive(program("a fork"))
    assert second_order.gradient_error(derivation, choose_sizes(derivation.source)[0]) < 1e-12
    spoiled = []

    def lose(equation: Equation) -> list[Equation]:
        terms = [n for n in walk(equation.value) if isinstance(n, Add) and len(n.operands) > 2]
        if equation.target.name.endswith("_bar") and terms and not spoiled:
            spoiled.append(equation)
            less = Add(*terms[0].operands[1:])
            return [Equation(equation.target, transform(equation.value, lambda n: less if n is terms[0] else n))]
        return [equation]

    body = map_equations(derivation.program.body, lose)
    broken = replace(derivation, program=derivation.program.replace(body=body))
    if not spoiled:
        pytest.fail("the example has no sum of messages any more")
    assert second_order.gradient_error(broken, choose_sizes(derivation.source)[0]) > 1e-6


def test_no_influence_is_a_zero_with_a_reason() -> None:
    p = read_text("X: input[n, m]\nW: param[n, n]\nV: param[n, n]\nloss = sum(W @ X)\n")
    derivation = derive(p)
    (row,) = [r for r in derivation.results if r.target.name == "V_bar"]
    assert row.reason == "no influence on the output" and row.value.shape == row.target.shape


def test_the_adjoint_of_a_differential() -> None:
    """A program that was differentiated forward has tangents of its own; the adjoint takes none of them for its own."""
    program, _ = differential(prepare(read_text("W: param[n, n]\nloss = sum(tanh(W @ W)**2)\n"))[0])
    derivation = derive(program, wrt=["W"], output="d_loss")
    for k, sizes in enumerate(choose_sizes(program)):
        assert second_order.gradient_error(derivation, sizes, seed=k) < 1e-12
