"""Malformed and hostile inputs without end: first all that were written by hand, then such as are made.

Made are right texts in which tokens are lost, doubled, swapped or put in; right texts with a harmful line; statements
that grow from a grammar; characters that are no language; something small very often; and for command lines hostile
files, options and words.
"""

from __future__ import annotations

import io
import json
import random
import tokenize
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import hostile_texts as by_hand

from symbp.language.codes import CODES
from symbp.networks import names, network

HOMEWORK = sorted((Path(__file__).resolve().parents[1] / "tests/verify/student/homework").glob("*.py"))
Maker = Callable[[random.Random, Sequence[str]], str]


def inputs(language: str, seed: int) -> Iterator[str]:
    """Yield texts of a language without end, no text twice."""
    rng = random.Random(seed)
    hand, make = LANGUAGES[language]
    seen: set[str] = set()
    for text in hand():
        if text not in seen:
            seen.add(text)
            yield text
    while True:
        text = make(rng)
        if text not in seen:
            seen.add(text)
            yield text


# ---------------------------------------------------------------------------------------------------------
# By hand


def declarations() -> Iterator[str]:
    """Yield declarations by hand: harmful lines, forged characters, large ones, every example of a wrong one."""
    yield from by_hand.DECLARATIONS
    for harm in by_hand.HARM:
        yield f"{by_hand.HEAD}Z = {harm}\nloss = sum(Z)\n"
        yield f"{by_hand.HEAD}{harm}\n"
        yield f"X: input[{harm}, m]\nloss = sum(X)\n"
    for statement in by_hand.STATEMENTS:
        yield f"{by_hand.HEAD}{statement}\n"
    yield from (code.wrong for code in CODES.values() if code.wrong)


def equations() -> Iterator[str]:
    """Yield equations to be checked against mlp.net."""
    yield from by_hand.MINE_BY_HAND
    for harm in by_hand.HARM:
        yield f"dW1 = {harm}\n"
        yield f"A = X # of: {harm}\n"
    for statement in by_hand.STATEMENTS:
        yield f"{statement}\n"


def student() -> Iterator[str]:
    """Yield files of student code."""
    yield from by_hand.STUDENT_BY_HAND
    for harm in by_hand.STUDENT_HARM:
        for frame in by_hand.FRAMES:
            yield framed(harm, frame)
    for harm in by_hand.HARM:
        yield framed(f"Z = {harm}", by_hand.FRAMES[0])
    for statement in by_hand.STATEMENTS:
        yield framed(statement, by_hand.FRAMES[0])
        yield f"{statement}\n"


def framed(body: str, frame: str) -> str:
    """Return a file of student code with a body in one of its functions."""
    indent = next(line for line in frame.split("\n") if "{body}" in line).removesuffix("{body}")
    return frame.replace("{body}", f"\n{indent}".join(body.split("\n")))


def commands() -> Iterator[str]:
    """Yield command lines with the files that they need, as JSON: words, standard input, files by name."""
    verbs = (("derive", "x.net"), ("generate", "x.net", "-o", "out"), ("check", "mlp.net", "--mine", "x.net"),
    ("verify", "x.net"))
    for verb in verbs:
        for data in by_hand.BYTES.values():
            yield command(*verb, bytes=data)
        for kind in by_hand.SPECIAL:
            yield command(*verb, kind=kind)
    for data in by_hand.BYTES.values():
        yield command("derive", "-", stdin=data)
        yield command("check", "mlp.net", "-", stdin=data)
    for size in by_hand.SIZES:
        for target in ("numpy", "c"):
            yield command("generate", "mlp.net", "-o", "out", "--target", target, "--size", *size.split(" "))
        yield command("derive", "mlp.net", "--plan", "--size", *size.split(" "))
        yield command("generate", "mlp.net", "-o", "out", "--target", "c", "--size", "n0=3", "n1=5", "n2=2",
        "--largest", size)
    for word in by_hand.WORDS:
        yield from (command(*words) for words in (
            ("derive", word), ("derive", "mlp.net", "--why", word), ("derive", "mlp.net", "--wrt", word), ("explain",
            word), ("show", word),
            ("derive", "mlp.net", "-o", word), ("derive", "--expr", word, "--shapes", "X[n,m]", "--wrt", "X"), ("new",
            word), (word,),
            ("derive", "--expr", "X", "--shapes", word, "--wrt", "X"), ("derive", "mlp.net", "--jacobian", word),
            ("check", "mlp.net", word),
            ("generate", "mlp.net", "-o", "out", "--name", word), ("generate", "mlp.net", "-o", word, "--check"),
            ("verify", word),
            ("generate", "mlp.net", "-o", "out", "--function", word), ("generate", "mlp.net", "-o", "out",
            "--templates", word),
            ("derive", "mlp.net", "--seed", word), ("verify", "mlp.net", "--draws", word), ("check", "mlp.net",
            "--mine", word),
        ))


def command(*words: str, **given: Any) -> str:
    """Return a command line as text; ``bytes`` or ``kind`` say what x.net is, ``stdin`` what standard input gives."""
    return json.dumps({"words": words, **{k: v.decode("latin-1") if isinstance(v, bytes) else v for k,
    v in given.items()}})


# ---------------------------------------------------------------------------------------------------------
# Made


def of_declarations() -> Callable[[random.Random], str]:
    """Return what makes declarations out of the bundled networks."""
    right = [network(name).text for name in names()]
    return lambda rng: rng.choice(MAKERS)(rng, right)


def of_equations() -> Callable[[random.Random], str]:
    """Return what makes equations."""
    return lambda rng: rng.choice(MAKERS)(rng, by_hand.MINE)


def of_student() -> Callable[[random.Random], str]:
    """Return what makes files of student code."""
    right = [path.read_text(encoding="utf-8") for path in HOMEWORK]
    return lambda rng: rng.choice(MAKERS)(rng, right)


def of_commands() -> Callable[[random.Random], str]:
    """Return what makes command lines: with a broken file, or with one hostile word among right ones."""
    small = [network(name).text for name in ("mlp", "logistic", "xor", "rnn", "regression")]

    def make(rng: random.Random) -> str:
        text = rng.choice(MAKERS)(rng, small)
        data = text.encode("utf-8", "surrogatepass")
        if rng.random() < 0.1:
            at = rng.randrange(len(data) + 1)
            data = data[:at] + rng.randbytes(rng.randrange(1, 9)) + data[at:]
        more = rng.choice(((), ("--json",), ("--quiet",), ("--size", rng.choice(by_hand.SIZES)), ("--wrt",
        rng.choice(by_hand.WORDS))))
        return rng.choice((
            command("derive", "x.net", *more, bytes=data), command("derive", "-", stdin=data), command("derive",
            "x.net", "-o", "out/x.tex", bytes=data),
            command("generate", "x.net", "-o", "out", *more, bytes=data), command("generate", "x.net", "-o", "out",
            "--target", "c", *more, bytes=data),
            command("check", "mlp.net", "--mine", "x.net", bytes=data), command("check", "x.net", "dW1 = X",
            bytes=data),
        ))

    return make


def _tokens(text: str) -> list[str]:
    """Return a text as pieces that make it up again."""
    found, last = [], 0
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        begin, end = (
            starts[line - 1] + column if line <= len(starts) else len(text) for line, column in (token.start, token.end)
        )
        if end > begin:
            found += [text[last:begin], text[begin:end]]
            last = end
    return [piece for piece in (*found, text[last:]) if piece]


def _piece(rng: random.Random) -> str:
    return rng.choice(rng.choice((by_hand.NAMES, by_hand.SPELLED, by_hand.NUMBERS, by_hand.HARM)))


def broken(rng: random.Random, right: Sequence[str]) -> str:
    """Return a right text with some tokens lost, doubled, swapped, put in."""
    pieces = _tokens(rng.choice(right))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if not pieces:
            break
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
    return "".join(pieces)


def planted(rng: random.Random, right: Sequence[str]) -> str:
    """Return a right text with a harmful expression or statement in it."""
    lines = rng.choice(right).splitlines()
    k = rng.randrange(len(lines))
    space = lines[k][: len(lines[k]) - len(lines[k].lstrip())]
    if rng.random() < 0.5:
        new = rng.choice((*by_hand.STATEMENTS, *by_hand.STUDENT_HARM))
    else:
        new = f"{rng.choice(by_hand.NAMES)} = {rng.choice(by_hand.HARM)}"
    lines[k:k] = [space + line for line in new.splitlines()]
    return "\n".join(lines) + "\n"


def grown(rng: random.Random, right: Sequence[str]) -> str:
    """Return statements that grow from a grammar, behind the beginning of a right text."""

    def expression(depth: int) -> str:
        if depth <= 0 or rng.random() < 0.2:
            return rng.choice(rng.choice((by_hand.NAMES, by_hand.NUMBERS)))
        a, b = expression(depth - 1), expression(depth - 1)
        return rng.choice((
            f"{a} + {b}", f"{a} @ {b}", f"{a} * {b}", f"{a} / {b}", f"({a})**{b}", f"-{a}", f"{a}.T", f"{a}[{b}]",
            f"{a}({b})", f"{a}[{b}:{a}]", f"sum({a}, axis={b})", f"[{a}, {b}]", f"({a}, {b})", f"np.dot({a}, {b})",
            f"sum({a} for t in range({b}, {a}))", f"{a} if {b} else {a}", f"lambda t: {a}", f"'{a}'", f"{{{a}: {b}}}",
            f"{a}.{rng.choice(by_hand.NAMES)}", f"{a} > {b}", f"not {a}", f"{a} % {b}", f"{a} // {b}", f"{a} << {b}",
        ))

    lines = rng.choice(right).splitlines()[: rng.randrange(1, 8)]
    for _ in range(rng.randrange(1, 6)):
        name, space = rng.choice(by_hand.NAMES), rng.choice(("", "", "    "))
        value = expression(rng.randrange(1, 7))
        lines.append(space + rng.choice((
            f"{name} = {value}", f"{name}[{value}] = {value}", f"for {name} in {value}: {name} = {value}", value,
            f"{name}: input[{value}]", f"def {name}({name}): return {value}", f"{name} += {value}", f"assert {value}",
        )))
    return "\n".join(lines) + "\n"


def noise(rng: random.Random, right: Sequence[str]) -> str:
    """Return characters that are no language."""
    pieces = (lambda: _piece(rng), lambda: chr(rng.randrange(1, 0xD7FF)), lambda: rng.choice(right)[:20])
    return "".join(rng.choice(pieces)() for _ in range(rng.randrange(1, 60)))


def long(rng: random.Random, right: Sequence[str]) -> str:
    """Return something small very often."""
    piece = rng.choice((
        "X + ", "(", "[", "{", "-", "X @ ", "f(", "if 1:\n", "Z = X\n", "for t in range(1, T+1):\n", "X.T", ",", "#",
        "\n",
        " ", "X[0]", "lambda: ", "'", "Z", "9", "a, ", "X: input[n, m]\n", "not ", "X.", "X;", "\\\n", "(\n",
    ))
    middle = rng.choice(("Z = ", "", "    Z = ", "dW1 = "))
    return rng.choice(right) + middle + piece * rng.choice((65, 1_001, 20_000)) + rng.choice(("X", "", "\n"))


MAKERS: tuple[Maker, ...] = (broken, broken, broken, planted, grown, noise, long)

LANGUAGES: dict[str, tuple[Callable[[], Iterator[str]], Callable[[random.Random], str]]] = {
    "declaration": (declarations, of_declarations()),
    "equations": (equations, of_equations()),
    "student": (student, of_student()),
    "command": (commands, of_commands()),
}
"""For each language what is written by hand, and what makes more."""
