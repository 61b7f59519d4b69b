"""Hostile code: each ends in a named diagnostic or at a limit, soon, and nothing is executed or written."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from homework_files import slowly

from symbp.verify import child
from symbp.verify.student.check import check_file, check_text
from symbp.verify.student.codes import CODES

PAIR = (
    "import numpy as np\ndef forward(X, W):\n    {}\n    return W @ X\ndef loss(A, Y):\n    return np.sum((A - Y)**2)\n"
    "def backward(A, Y, X):\n    dW = 2 * (A - Y) @ X.T\n    return dW\n"
)

HOSTILE = [
    "().__class__.__bases__[0].__subclasses__()", "X.__class__.__mro__", "W.__array_interface__['data']",
    "'{0.__class__}'.format(X)", "f'{X.__class__}'", "'%s' % X.__class__", "np.load('/etc/passwd')",
    "np.save('written', X)", "np.savetxt('written', X)", "np.fromfile('/etc/passwd')", "X.tofile('written')",
    "open('written', 'w')", "__import__('os').system('touch written')", "getattr(X, 'T')", "eval('1')", "exec('1')",
    "10**10**10", "1 << 10**9", "2**(2**100)", "x = 'a' * 10**9", "x = [0] * 10**9", "x = (0,) * 10**9",
    "np.zeros((10**6, 10**6))", "np.ones(10**10)", "np.eye(10**6)", "np.arange(10**12)", "np.tile(X, (10**5, 10**5))",
    "np.repeat(X, 10**9)", "np.outer(np.ones(10**4), np.ones(10**4))", "np.einsum('ab,cd,ef,gh->abcdefgh', X, X, X, X)",
    "np.pad(X, 10**6)", "np.broadcast_to(X, (10**6, 5, 7))", "np.kron(np.ones((999, 999)), np.ones((99, 99)))",
    "np.linspace(0, 1, 10**12)", "np.random.rand(10**6, 10**6)", "np.random.permutation(10**12)",
    "x = []\n    while True:\n        x.append(x)", "while True: pass", "for i in range(10**12): pass",
    "x = 'a'\n    while True:\n        x = x + x", "x = [1]\n    while True:\n        x = x + x",
    "x = X\n    while True:\n        x = np.concatenate([x, x])", "x = 3\n    while True:\n        x = x * x",
    "forward(X, W)", "g = lambda g: g(g)\n    g(g)", "x = np\n    x.os", "np.ctypeslib", "np.lib.npyio",
    "np.add.__self__", "np.sum.__globals__", "(lambda: 0).__code__", "forward.__globals__", "np.__builtins__",
    "x = {}\n    x[X] = 1", "x = []\n    x.append(x)\n    x == x", "X.astype('O')", "np.array([X, [X]], dtype=object)",
    "np.vectorize(print)(X)", "np.apply_along_axis(print, 0, X)", "np.frompyfunc(print, 1, 1)", "X.dump('written')",
    "'{:>999999999}'.format(1)", "f'{1:999999999}'", "'%999999999d' % 1", "'%*d' % (999999999, 1)",
    "np.full((10**9,), 1)", "np.meshgrid(np.ones(10**4), np.ones(10**4))",
    "X[np.zeros(10**6, int)][np.zeros(10**6, int)]",
    "a, b = [0], [0]\n    for i in range(60):\n        a, b = [a, a], [b, b]\n    a == b",
    "a = (0,)\n    for i in range(60):\n        a = (a, a)\n    x = {a: 1}",
    "a = (0,)\n    for i in range(30_000):\n        a = (a,)\n    x = {}\n    x[a] = 1",
    "a = [0.0]\n    for i in range(60):\n        a = [a, a]\n    np.sum(a)",
    "1.5 in range(10**18)", "X in range(10**18)",
    "X[np.ix_(np.zeros(10**5, int), np.zeros(10**5, int))]", "np.diff(X, n=10**9)", "np.round(X, 10**9)",
    "X[np.zeros((10**5, 1), int), np.zeros(10**5, int)] = 1", "round(10**300, -10**9)", "np.array_split(X, 10**7)",
    "np.add.at(X, (np.zeros((10**5, 1), int), np.zeros(10**5, int)), 1)",
    "np.linalg.norm(np.ones((1400, 1400)), ord=2)",
    "for i in range(10**5):\n        np.linalg.det(np.ones((900, 900)))", "'{} {}'.format(1)",
    "x = 1.0\n    x.fromhex('0')", "str(X).__class__", "type(X)", "vars()", "globals()['np']", "sorted([X, W])",
    "range(10**12)[10**13]", "list(range(10**9))", "sum(range(10**9))",
    "np.matmul(np.ones((1400, 1400)), np.ones((1400, 1400)))",
]

FORMS = [
    "def forward(*X): return X\ndef backward(dout): return dout\n",
    "def forward(X): yield X\ndef backward(dout): return dout\n",
    "@np.vectorize\ndef forward(X): return X\ndef backward(dout): return dout\n",
    "def forward(X):\n    global Z\n    return X\ndef backward(dout): return dout\n",
    "def forward(X):\n    if (y := X) is None: pass\n    return y\ndef backward(dout): return dout\n",
    "def forward(X):\n    try: return X\n    finally: pass\ndef backward(dout): return dout\n",
    "def forward(X):\n    with open('written', 'w') as f: pass\n    return X\ndef backward(dout): return dout\n",
    "class Net(metaclass=type):\n    def forward(self, X): return X\n    def backward(self, dout): return dout\n",
    "async def forward(X): return X\ndef backward(dout): return dout\n", "def forward(X:\n", "\x00", "x = " + "(" * 500,
    "x = " + "-" * 5000 + "1\n", "x = " + "+".join(["1"] * 30000), "def f(): pass\n", "",
    "if True:\n\tx = 1\n        y = 2\n",
    "x = '\\ud800'\n", "x = 1_\n", "def forward(X): return X\n" * 3000,
]


@pytest.mark.parametrize("line", slowly(HOSTILE, lambda line: HOSTILE.index(line) % 4))
def test_hostile_lines_end_soon_and_write_nothing(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "hw.py"
    file.write_text(PAIR.format(line))
    start = time.process_time()
    answer = check_file(file, seconds=20)
    assert time.process_time() - start < 2
    assert answer.code in (0, 1, 2)
    assert answer.text and "Traceback" not in answer.text
    if answer.code:
        assert any(code in answer.text + str(answer.rows) for code in CODES), answer.text
    assert [p.name for p in tmp_path.iterdir()] == ["hw.py"]


@pytest.mark.parametrize("text", slowly(FORMS, lambda text: FORMS.index(text) % 3), ids=lambda t: repr(t[:25]))
def test_forms_that_are_not_read_are_named(text: str, tmp_path: Path) -> None:
    file = tmp_path / "hw.py"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    answer = check_file(file, seconds=20)
    assert answer.code == 2, answer.text
    assert "error[C1" in answer.text


def test_every_form_is_reported_at_once() -> None:
    from symbp.language.diagnostics import DeclarationError

    with pytest.raises(DeclarationError) as caught:
        check_text(FORMS[5] + "def loss(A):\n    global x\n    return A\n")
    assert [d.code for d in caught.value.diagnostics] == ["C102", "C102"]


# ---------------------------------------------------------------------------------------------------------
# The child


def test_a_child_answers() -> None:
    assert child.run(lambda: {"a": [1, 2.5, None]}) == {"a": [1, 2.5, None]}


def test_a_child_that_hangs_is_stopped() -> None:
    start = time.monotonic()
    with pytest.raises(child.Exceeded, match="longer"):
        child.run(lambda: [0 for _ in iter(int, 1)], child.Limits(seconds=0.5))
    assert time.monotonic() - start < 4  # a second of the processor, at most two and a half on the wall


def test_a_child_that_wants_too_much_memory_is_stopped() -> None:
    with pytest.raises(child.Exceeded, match="memory"):
        child.run(lambda: len(bytearray(2**31)), child.Limits(memory=2**28, seconds=5))


def test_a_child_opens_no_file_and_starts_no_process(tmp_path: Path) -> None:
    import os
    import subprocess

    target = tmp_path / "written"
    with pytest.raises(child.Exceeded, match=r"Too many open files|OSError"):
        child.run(lambda: target.write_text("x"))
    with pytest.raises(child.Exceeded):
        child.run(lambda: subprocess.run(["touch", str(target)], check=True).returncode)
    with pytest.raises(child.Exceeded):
        child.run(lambda: os.listdir(str(tmp_path)))
    assert not target.exists()


def test_a_child_has_no_socket() -> None:
    import socket

    with pytest.raises(child.Exceeded):
        child.run(lambda: socket.create_connection(("127.0.0.1", 9), 1) and None)


def test_what_a_child_says_is_never_unpickled() -> None:
    with pytest.raises(child.Exceeded):
        child.run(lambda: object())
