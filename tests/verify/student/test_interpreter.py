"""The interpreter: NumPy's own semantics, mends and replaced statements, and what is not read."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest

from symbp.verify.student.language.errors import Located
from symbp.verify.student.language.interpreter import Interpreter
from symbp.verify.student.language.trace import Entry, Trace


def run(body: str, *arguments: Any, is_complex: bool = False, trace: Trace | None = None) -> Any:
    text = "import numpy as np\ndef f(a=None, b=None):\n" + "".join(f"    {line}\n" for line in body.split("\n"))
    return Interpreter(ast.parse(text), is_complex=is_complex, trace=trace).run("f", arguments)


A = np.arange(35.0).reshape(5, 7) - 11
B = np.linspace(-1, 1, 77).reshape(7, 11)

SAME = [
    ("return a @ b", lambda a, b: a @ b),
    ("return np.sum(a, axis=1, keepdims=True)", lambda a, b: a.sum(axis=1, keepdims=True)),
    ("c = a.T\nc[0, :] = 5\nreturn a", lambda a, b: np.where(np.arange(7) == 0, 5.0, a)),
    ("c = a\nc += 1\nreturn a", lambda a, b: a + 1),
    ("c = a.copy()\nc += 1\nreturn a", lambda a, b: a),
    ("a[a <= 0] = 0\nreturn a", lambda a, b: np.maximum(a, 0)),
    ("c = a.reshape(-1)\nc[3] = 100\nreturn a[0, 3]", lambda a, b: 100.0),
    ("c = np.zeros((5, 7))\nnp.add.at(c, np.array([1, 1, 2]), a[:3])\nreturn c[1]", lambda a, b: a[0] + a[1]),
    ("c = np.zeros(5)\nc[np.array([1, 1])] += 1\nreturn c", lambda a, b: np.array([0.0, 1, 0, 0, 0])),
    ("return [x * 2 for x in range(5) if x % 2][-1]", lambda a, b: 6),
    ("d = {f'W{l}': l for l in range(1, 4)}\nreturn d['W' + str(2)] + d['W%d' % 3]", lambda a, b: 5),
    ("g = lambda x, k=2: x ** k\nreturn g(3) + g(2, k=3)", lambda a, b: 17),
    ("n, m = a.shape\nreturn n * m - len(a)", lambda a, b: 30),
    ("t = 0\nfor i, (x, y) in enumerate(zip([1, 2], [3, 4])):\n    t += i * x * y\nreturn t", lambda a, b: 8),
    ("t = 0\nwhile True:\n    t += 1\n    if t > 4:\n        break\nreturn t", lambda a, b: 5),
    ("x = [1]\ny = x\ny.append(2)\nx[0] += 5\nreturn sum(x)", lambda a, b: 8),
    ("return np.einsum('ij,jk->ki', a, b)", lambda a, b: np.einsum('ij,jk->ki', a, b)),
    ("return np.where(a > 0, a, 0.1 * a).mean(axis=0)", lambda a, b: np.where(a > 0, a, 0.1 * a).mean(axis=0)),
    ("return np.eye(7)[np.array([1, 1, 3])]", lambda a, b: np.eye(7)[[1, 1, 3]]),
    ("return isinstance(a, np.ndarray) and not isinstance(3, float)", lambda a, b: True),
    ("return float(np.squeeze(a[2:3, 1:2]))", lambda a, b: float(a[2, 1])),
    ("return np.concatenate([a, a], axis=1)[:, ::-1]", lambda a, b: np.concatenate([a, a], axis=1)[:, ::-1]),
    ("return np.maximum(0, a) * (a > 0).astype(float)", lambda a, b: np.maximum(a, 0)),
    ("return a.dot(b).argmax(axis=1)", lambda a, b: (a @ b).argmax(axis=1)),
]


@pytest.mark.parametrize(("body", "wanted"), SAME, ids=[b[:40] for b, _ in SAME])
def test_semantics_are_those_of_numpy(body: str, wanted: Any) -> None:
    found = run(body, A.copy(), B.copy())
    np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted(A.copy(), B.copy())))


ANALYTIC = [
    "np.maximum(0, a)", "np.abs(a)", "np.max(a, axis=1)", "np.clip(a, -3, 3)", "np.var(a, axis=0)", "np.std(a)",
    "np.linalg.norm(a)", "np.where(a > 1, a, a**2)", "np.exp(a / 9)", "np.tanh(a)", "np.logaddexp(a, 1)", "a**3",
    "np.sqrt(a * a + 1)", "np.minimum(a, 2)", "np.log(np.abs(a) + 1)", "np.cumsum(a, axis=0)", "np.prod(a / 7, axis=0)",
    "np.mean(a, axis=1, keepdims=True) * a", "abs(a)", "np.pad(a, 1)", "np.outer(a[0], a[1])", "np.kron(a[0], a[1])",
]


@pytest.mark.parametrize("text", ANALYTIC)
def test_functions_continue_analytically(text: str) -> None:
    """A complex step along a direction is the difference of real values, and its real part is the real value."""
    a = np.random.default_rng(3).uniform(0.3, 2.5, (5, 7)) * np.random.default_rng(4).choice([-1, 1], (5, 7))
    move = np.random.default_rng(5).normal(size=a.shape)
    stepped = run(f"return {text}", a + 1e-30j * move, is_complex=True)
    h = 1e-4
    plus, minus = (run(f"return {text}", a + s * h * move) for s in (1, -1))
    np.testing.assert_allclose(np.real(stepped), run(f"return {text}", a.copy()), rtol=1e-13)
    np.testing.assert_allclose(np.imag(stepped) / 1e-30, (plus - minus) / (2 * h), rtol=2e-5, atol=2e-6)


def test_an_assignment_is_an_entry_and_can_be_mended() -> None:
    trace = Trace()
    body = "c = a * 2\nfor k in range(2):\n    c[c > 3] = 0\nd = {}\nd['x'] = c\nreturn d['x'] + 1"
    run(body, np.array([1.0, 2.0]), trace=trace)
    assert [(e.target, e.count) for e in trace.order] == [("c", 0), ("c", 0), ("c", 1), ("d['x']", 0), ("return", 0)]
    np.testing.assert_array_equal(trace.values[trace.order[2]], [2.0, 0.0])

    text = "def f(a):\n    c = a * 2\n    e = c\n    c += 1\n    return e\n"
    module = ast.parse(text)
    added = module.body[0].body[2]  # type: ignore[attr-defined]
    mends = {Entry(added, 0, "c"): np.array([7.0, 8.0])}
    found = Interpreter(module, trace=Trace(mends)).run("f", (np.array([1.0, 2.0]),))
    np.testing.assert_array_equal(found, [7.0, 8.0])  # the alias sees it


def test_a_statement_can_be_replaced() -> None:
    module = ast.parse("def f(a):\n    b = a + 1\n    return b\n")
    old = module.body[0].body[0]  # type: ignore[attr-defined]
    edits = {old: ast.parse("b = a - 1").body[0]}
    assert Interpreter(module, edits=edits).run("f", (3,)) == 2


REFUSED = [
    ("return a.nonsense", "C118"), ("return a.__class__", "C113"), ("return np.load('x')", "C111"),
    ("return open('x')", "C105"), ("return nowhere", "C104"), ("return a + 'x'", "C110"), ("return a @ a", "C117"),
    ("return np.sum(a, where=True)", "C112"), ("return {}['x']", "C114"), ("assert False", "C116"),
    ("raise ValueError", "C116"), ("return [1][5]", "C114"), ("return '{0.T}'.format(a)", "C115"),
    ("return 1 / 0", "C114"),
]


@pytest.mark.parametrize(("body", "code"), REFUSED)
def test_what_is_not_read_has_a_code_and_a_place(body: str, code: str) -> None:
    with pytest.raises(Located) as caught:
        run(body, A.copy())
    assert caught.value.mistake.code == code
    assert caught.value.node.lineno == 3  # type: ignore[attr-defined]
