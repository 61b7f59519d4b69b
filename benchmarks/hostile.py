"""Hostile and malformed inputs: none is executed, writes, opens a connection or ends in a traceback, each ends soon.

    python benchmarks/hostile.py --inputs 10000
    python benchmarks/hostile.py --inputs 500 --seed 7 --language student

Inputs are declarations and student code: lines by hand that would do harm if anything evaluated them, put into right
texts; right texts with tokens lost, doubled, swapped, put in; statements from a grammar of Python with names, numbers
and strings that break things; bytes that are no text.  A child that was forked beforehand reads them, one after the
other, within 512 MB and 2 s each; an audit hook in it reports whatever would touch files, processes, the network, or run
code that is no file of an installed package.  The exit status is 1 if anything was seen.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import os
import random
import resource
import select
import signal
import sys
import tokenize
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from symbp.language import DeclarationError, read_text
from symbp.networks import names, network

SECONDS = 2.0
"""So long one input may take."""
MEMORY = 512 * 2**20
"""So much memory reading may take, above what the child has mapped when it begins."""

# ---------------------------------------------------------------------------------------------------------
# Inputs

HARM = (
    "__import__('os').system('touch CANARY')", "open('CANARY', 'w')", "eval('1')", "exec('x = 1')", "compile('1', '', 'eval')",
    "(1).__class__.__bases__[0].__subclasses__()", "().__class__.__mro__", "getattr(X, '__class__')", "globals()",
    "'{0.__class__}'.format(X)", "'%s' % X", "f'{X.__class__}'", "(lambda: open('CANARY', 'w'))()", "X.tofile('CANARY')",
    "np.save('CANARY', X)", "np.load('CANARY')", "np.fromfile('CANARY')", "np.ctypeslib", "np.lib.npyio", "X.__array__()",
    "breakpoint()", "input()", "help()", "vars()", "dir()", "type('A', (), {})", "super()", "memoryview(b'')", "print(X, file=1)",
    "10**10**10", "2**(2**30)", "1 << (1 << 40)", "'a' * 10**9", "[0] * 10**9", "[[0]*10**5]*10**5", "range(10**18)",
    "np.zeros((10**6, 10**6))", "np.ones(10**12)", "np.eye(10**7)", "np.arange(10**13)", "np.outer(np.ones(10**5), np.ones(10**5))",
    "list(range(10**9))", "sum(range(10**10))", "factorial(10**6)", "X @ X @ X @ X", "(" * 500 + "X" + ")" * 500,
    "-" * 5000 + "X", "X" + ".T" * 5000, "[" * 300 + "]" * 300, "X if X else X", "X and X", "not X", "X == X", "X in X", "X is X",
    "yield X", "await X", "*X", "**X", "X := 1", "lambda: X", "{**X}", "{X: X}", "[x for x in X for y in X for z in X]", "...",
    "b'x'", "1j", "1e400", "-1e-400", "0x" + "f" * 400, "9" * 5000, "0.1" + "0" * 3000, "1_000", "None", "True", "__debug__", "nan",
    "X[::0]", "X[10**20]", "X[-10**20:]", "X[X[X]]", "X[:, :, :]", "X[None]", "X.T.T.T.T", "X.real", "X.data", "X.base", "X.flags",
)
STATEMENTS = (
    "import os", "from os import *", "del X", "global X", "nonlocal X", "raise X", "assert X", "assert 1 == 1", "pass", "break", "continue",
    "return X", "while True: pass", "while 1:\n    X = X", "for x in iter(int, 1): pass", "try:\n    X\nexcept:\n    X", "with X as Y: pass",
    "class A(metaclass=X): pass", "class A:\n    def __getattr__(self, n): return open", "@X\ndef f(): pass", "def f(): return f()",
    "def f(*a, **k): return a", "def f(x=open('CANARY', 'w')): return x", "async def f(): await X", "match X:\n    case _: pass", "X: int = 1",
    "X, *Y = Z", "(X) = 1", "X.y = 1", "X['a'] = 1", "X += 1", "X @= X", "X = Y = Z = 1", "f(x)(y)(z)", "lambda: 0", "if X:\n    X = 1",
    "for t in range(1, 10**12): X = 1", "for i in range(10**9):\n    pass", "x = [x]", "a = []; a.append(a)", "type X = int", "print(X)", ";;;", ":",
)
NAMES = (
    "X", "Y", "W", "Z", "b", "m", "n", "T", "t", "loss", "sum", "np", "self", "__class__", "__import__", "os", "sys", "open", "eval", "exec", "len",
    "range", "tanh", "softmax", "reshape", "conv2d", "lstm", "einsum", "param", "input", "target", "index", "count", "lambda", "class", "a" * 25, "a" * 5000,
    "double", "for", "if", "in", "is", "e", "E", "pi", "inf", "None",
)
SPELLED = (
    "\t", "\r", "\x00", "\x0c", "\x1b[31m", "\u202e", "\ufb01", "\u2212", "\u00d7", "\ufeff", "\u03c3", "\U0001d54f", "\ud7ff", "\\", "'", '"', "'''", "#", ";", "$", "?", "!", "`",
    "(", ")", "[", "]", "{", "}", ":", ",", ".", "@", "**", "->", ":=", "==", "...", "\n", "\n    ", "\n\n\n", "\\\n",
)
NUMBERS = ("0", "-1", "1", "2", "1/0", "0.1", "1e308", "1e-320", "10**30", "9" * 400, "1j", "0b1", "1.", ".5", "007")

STUDENT = (
    """import numpy as np

def forward(X, W1, b1, W2, b2):
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    return Z2, (X, Z1, A1)

def loss(Z2, Y):
    return np.sum((Z2 - Y)**2) / (2 * Y.shape[1])

def backward(Z2, Y, W1, b1, W2, b2, cache):
    X, Z1, A1 = cache
    m = Y.shape[1]
    dZ2 = (Z2 - Y) / m
    dW2 = dZ2 @ A1.T
    db2 = np.sum(dZ2, axis=1, keepdims=True)
    dZ1 = W2.T @ dZ2 * (1 - A1**2)
    return {'W1': dZ1 @ X.T, 'b1': dZ1.sum(axis=1, keepdims=True), 'W2': dW2, 'b2': db2}
""",
    """import numpy as np

class Layer:
    def __init__(self, n, p):
        self.W = np.random.randn(n, p) * 0.1
        self.b = np.zeros((n, 1))

    def forward(self, A):
        self.A = A
        self.Z = self.W @ A + self.b
        return np.maximum(self.Z, 0)

    def backward(self, dA):
        dZ = dA * (self.Z > 0)
        self.dW = dZ @ self.A.T
        self.db = np.sum(dZ, axis=1, keepdims=True)
        return self.W.T @ dZ

def forward(X, layers):
    for layer in layers:
        X = layer.forward(X)
    return X

def backward(dA, layers):
    for layer in reversed(layers):
        dA = layer.backward(dA)
    return dA
""",
    """import numpy as np

def forward(params, X, L):
    caches = []
    A = X
    for l in range(1, L + 1):
        Z = params['W' + str(l)] @ A + params['b' + str(l)]
        caches.append((A, Z))
        A = 1 / (1 + np.exp(-Z))
    return A, caches

def backward(AL, Y, params, caches):
    grads = {}
    m = Y.shape[1]
    dA = -(np.divide(Y, AL) - np.divide(1 - Y, 1 - AL)) / m
    for l in reversed(range(1, len(caches) + 1)):
        A, Z = caches[l - 1]
        s = 1 / (1 + np.exp(-Z))
        dZ = dA * s * (1 - s)
        grads['dW' + str(l)] = np.dot(dZ, A.T)
        grads['db' + str(l)] = np.sum(dZ, axis=1, keepdims=True)
        dA = np.dot(params['W' + str(l)].T, dZ)
    return grads
""",
)


def inputs(language: str, seed: int) -> Iterator[str]:
    """Yield texts without end, those by hand first."""
    rng = random.Random(seed)
    right = [network(name).text for name in names()] if language == "declaration" else list(STUDENT)
    head = "X: input[n, m]\nY: target[n, m]\nW: param[n, n]\n" if language == "declaration" else "import numpy as np\ndef forward(X, W):\n"
    indent = "" if language == "declaration" else "    "
    for harm in HARM:
        yield f"{head}{indent}Z = {harm}\n{indent}loss = sum(Z)\n"
        yield f"{head}{indent}{harm}\n"
    for statement in STATEMENTS:
        yield head + "".join(f"{indent}{line}\n" for line in statement.splitlines())
        yield statement + "\n"
    makers: list[Callable[[random.Random, list[str]], str]] = [_broken, _broken, _planted, _grown, _noise, _long]
    while True:
        yield rng.choice(makers)(rng, right)


def _tokens(text: str) -> list[str]:
    """Return a text as pieces that make it up again."""
    found, last = [], 0
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        begin, end = (starts[line - 1] + column if line <= len(starts) else len(text) for line, column in (token.start, token.end))
        if end > begin:
            found += [text[last:begin], text[begin:end]]
            last = end
    return [piece for piece in (*found, text[last:]) if piece]


def _piece(rng: random.Random) -> str:
    return rng.choice(rng.choice((NAMES, SPELLED, NUMBERS, HARM)))


def _broken(rng: random.Random, right: list[str]) -> str:
    """Return a right text with some tokens lost, doubled, swapped, put in."""
    pieces = _tokens(rng.choice(right))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        k, j = rng.randrange(len(pieces)), rng.randrange(len(pieces))
        change = rng.randrange(6)
        if change == 0:
            pieces[k] = ""
        elif change == 1:
            pieces[k] = pieces[k] * rng.choice((2, 2, 3, 200))
        elif change == 2:
            pieces[k], pieces[j] = pieces[j], pieces[k]
        elif change == 3:
            pieces[k] = _piece(rng)
        elif change == 4:
            pieces.insert(k, _piece(rng))
        else:
            del pieces[k:]
            break
        if not pieces:
            break
    return "".join(pieces)


def _planted(rng: random.Random, right: list[str]) -> str:
    """Return a right text with a harmful expression or statement in it."""
    lines = rng.choice(right).splitlines()
    k = rng.randrange(len(lines))
    space = lines[k][: len(lines[k]) - len(lines[k].lstrip())]
    if rng.random() < 0.5:
        new = rng.choice(STATEMENTS)
    else:
        name = rng.choice(NAMES)
        new = f"{name} = {rng.choice(HARM)}"
    lines[k:k] = [space + line for line in new.splitlines()]
    return "\n".join(lines) + "\n"


def _grown(rng: random.Random, right: list[str]) -> str:
    """Return statements that grow from a grammar, behind the beginning of a right text."""
    def expression(depth: int) -> str:
        if depth <= 0 or rng.random() < 0.2:
            return rng.choice(rng.choice((NAMES, NUMBERS)))
        a, b = expression(depth - 1), expression(depth - 1)
        return rng.choice((
            f"{a} + {b}", f"{a} @ {b}", f"{a} * {b}", f"{a} / {b}", f"({a})**{b}", f"-{a}", f"{a}.T", f"{a}[{b}]", f"{a}({b})", f"{a}[{b}:{a}]",
            f"sum({a}, axis={b})", f"[{a}, {b}]", f"({a}, {b})", f"sum({a} for t in range({b}, {a}))", f"{a} if {b} else {a}", f"lambda t: {a}",
            f"np.dot({a}, {b})", f"{a}.{rng.choice(NAMES)}", f"'{a}'", f"{{{a}: {b}}}", f"{a} > {b}", f"not {a}", f"{a} % {b}", f"{a} // {b}", f"{a} << {b}",
        ))

    lines = rng.choice(right).splitlines()[: rng.randrange(1, 8)]
    for _ in range(rng.randrange(1, 6)):
        name, space = rng.choice(NAMES), rng.choice(("", "", "    "))
        value = expression(rng.randrange(1, 7))
        lines.append(space + rng.choice((f"{name} = {value}", f"{name}[{value}] = {value}", f"for {name} in {value}: {name} = {value}", f"{name}: input[{value}]",
                                         f"def {name}({name}): return {value}", value, f"{name} += {value}", f"assert {value}")))
    return "\n".join(lines) + "\n"


def _noise(rng: random.Random, right: list[str]) -> str:
    """Return characters that are no language."""
    return "".join(rng.choice((_piece(rng), chr(rng.randrange(1, 0xD7FF)), rng.choice(right)[:20])) for _ in range(rng.randrange(1, 60)))


def _long(rng: random.Random, right: list[str]) -> str:
    """Return something small very often."""
    count = rng.choice((65, 1_001, 20_000))
    piece = rng.choice(("X + ", "(", "[", "{", "-", "X @ ", "f(", "if 1:\n", "Z = X\n", "for t in range(1, T+1):\n", "X.T", ",", "#", "\n", " ", "X[0]", "lambda: ", "'"))
    return rng.choice(right) + rng.choice(("Z = ", "", "    Z = ")) + piece * count + rng.choice(("X", "", "\n"))


# ---------------------------------------------------------------------------------------------------------
# What must not happen


FORBIDDEN = (
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "subprocess.Popen", "pty.spawn", "socket.", "urllib.Request", "ftplib.", "smtplib.",
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown", "os.kill", "os.putenv", "shutil.",
    "tempfile.", "ctypes.dlopen", "marshal.loads", "pickle.find_class", "builtins.input", "builtins.breakpoint", "code.__new__", "sys.settrace",
)


def _watch(seen: list[str]) -> None:
    """Note every event that a reader of texts has no business with."""
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(FORBIDDEN):
            seen.append(f"{event} {arguments!r:.80}")
        elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
            seen.append(f"open {arguments!r:.80}")
        elif event == "exec":
            file = getattr(arguments[0], "co_filename", "")
            if not (os.path.isabs(file) or file.startswith("<frozen")):
                seen.append(f"exec of code from {file!r}")

    sys.addaudithook(hook)


def read_declaration(text: str) -> str:
    """Read a declaration and return what became of it."""
    try:
        read_text(text)
    except DeclarationError as error:
        if not error.diagnostics:
            return "failed: an error without a diagnostic"
        error.render()
        return "refused"
    return "read"


@dataclass
class Outcome:
    """What became of one input: read, refused, or failed with a reason; and how long it took."""

    what: str
    seconds: float


class Child:
    """A forked process that reads texts, one after the other."""

    def __init__(self, reader: Callable[[str], str]) -> None:
        ask, self.asks = os.pipe()
        self.answers, answer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.asks)
            os.close(self.answers)
            _serve(reader, ask, answer)
        os.close(ask)
        os.close(answer)

    def ask(self, text: str) -> Outcome:
        """Return what became of a text; a child that does not answer in time is ended."""
        start = time.perf_counter()
        data = text.encode("utf-8", "surrogatepass")
        try:
            os.write(self.asks, len(data).to_bytes(8, "little"))
            view = memoryview(data)
            while view:
                view = view[os.write(self.asks, view[:65536]) :]
            left = SECONDS
            answer = b""
            while not answer.endswith(b"\n"):
                ready, _, _ = select.select([self.answers], [], [], max(0.0, left))
                if not ready:
                    return Outcome(f"failed: no answer within {SECONDS:.0f} s", time.perf_counter() - start)
                part = os.read(self.answers, 65536)
                if not part:
                    return Outcome("failed: the child ended", time.perf_counter() - start)
                answer += part
                left = SECONDS - (time.perf_counter() - start)
        except BrokenPipeError:
            return Outcome("failed: the child ended", time.perf_counter() - start)
        return Outcome(json.loads(answer), time.perf_counter() - start)

    def end(self) -> None:
        """End the child."""
        os.close(self.asks)
        os.close(self.answers)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def _serve(reader: Callable[[str], str], ask: int, answer: int) -> None:
    mapped = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()  # noqa: SIM115
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
    seen: list[str] = []
    _watch(seen)

    def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = os.read(ask, count - len(data))
            if not part:
                os._exit(0)
            data += part
        return data

    while True:
        text = exactly(int.from_bytes(exactly(8), "little")).decode("utf-8", "surrogatepass")
        seen.clear()
        try:
            what = reader(text)
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            what = f"failed: {type(error).__name__} {error!s:.60} at {os.path.basename(last.filename)}:{last.lineno}"
        if seen:
            what = f"failed: {seen[0]}"
        os.write(answer, json.dumps(what).encode() + b"\n")


READERS: dict[str, Callable[[str], str]] = {"declaration": read_declaration}
"""What reads texts of a language."""


def run(language: str, count: int, seed: int) -> tuple[Counter[str], list[tuple[str, str]], float]:
    """Give a reader so many texts; return how they ended, the failures with their texts, and the longest time."""
    reader = READERS[language]
    for text in (*STUDENT, *(network(name).text for name in names())):
        try:
            reader(text)  # whatever is imported late is imported now
        except Exception:
            pass
    child = Child(reader)
    ends: Counter[str] = Counter()
    failures: list[tuple[str, str]] = []
    longest = 0.0
    for _, text in zip(range(count), inputs(language, seed), strict=False):
        outcome = child.ask(text)
        longest = max(longest, outcome.seconds)
        ends[outcome.what.partition(":")[0]] += 1
        if outcome.what.startswith("failed"):
            failures.append((outcome.what, text))
            child.end()
            child = Child(reader)
    child.end()
    return ends, failures, longest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000, help="of each language")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--language", choices=sorted(READERS))
    parser.add_argument("--show", type=int, default=5, help="so many failures are printed with their texts")
    chosen = parser.parse_args()
    bad = 0
    for language in [chosen.language] if chosen.language else sorted(READERS):
        start = time.perf_counter()
        ends, failures, longest = run(language, chosen.inputs, chosen.seed)
        said = ", ".join(f"{count:,} {end}" for end, count in sorted(ends.items()))
        print(f"{language}: {said}; the slowest took {longest:.2f} s; {time.perf_counter() - start:.0f} s in all")
        for what, text in failures[: chosen.show]:
            print(f"  {what}\n    {text[-300:]!r}")
        print(Counter(what[:90] for what, _ in failures).most_common(20) if failures else "  nothing was seen")
        bad += len(failures)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
