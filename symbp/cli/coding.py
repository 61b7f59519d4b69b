"""``symbp check --code``: student code that is judged by its own forward pass, a file or a folder of submissions."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from symbp.cli.outcome import BadInput, is_folder, shown
from symbp.program import Program
from symbp.verify.check.text import table
from symbp.verify.student.binding.draws import Fill
from symbp.verify.student.binding.search import Wishes
from symbp.verify.student.check import SECONDS_OF_MANY, check_file

KINDS = (".py", ".ipynb")


@dataclass(frozen=True)
class Told:
    """What is printed, as text and as plain data, and the exit code."""

    text: str
    data: Any
    code: int


def told(
    code: str, binds: Sequence[str], draws: Sequence[str], loss: str, network: Program | None, hint: bool,
    runs: bool = False, seed: int = 0,
) -> Told:
    """Judge a file, ``hw.py`` or ``hw.py:forward,backward``, or every file of a folder.

    runs: CPython runs the code, in place of the interpreter.
    """
    wishes = Wishes(_pairs(binds, "bind"), _kinds(draws), _expression(loss, "--loss") if loss else "", runs, seed)
    file, _, functions = code.partition(":")
    named = tuple(n.strip() for n in functions.split(",") if n.strip())
    path = Path(file)
    if is_folder(path):
        return _folder(path, named, wishes, network)
    answer = check_file(path, named, wishes, network=network, hint=hint)
    return Told(answer.text, answer.data, answer.code)


def _folder(folder: Path, named: Sequence[str], wishes: Wishes, network: Program | None) -> Told:
    """Judge every submission of a folder: one table, one child for each file, identical wrong lines counted."""
    files = sorted(p for p in folder.rglob("*") if p.suffix in KINDS and p.is_file())
    if not files:
        raise BadInput(f"{shown(folder)} holds no {' or '.join(KINDS)} file")
    rows: list[dict[str, Any]] = []
    code = 0
    for path in files:
        answer = check_file(path, named, wishes, network=network, seconds=SECONDS_OF_MANY)
        code = max(code, min(answer.code, 1))
        rows += [{"file": path.relative_to(folder).as_posix(), **row} for row in answer.rows]
    wrong = Counter(r["source"] for r in rows if r["source"])
    lines = [("file", "function", "verdict", "line", "code"), *(
        (r["file"], r["name"], r["verdict"], r["line"] or "", r["code"]) for r in rows
    )]
    text = table(lines)
    again = [f"{n:4} times  {line}" for line, n in wrong.most_common() if n > 1]
    if again:
        text += "\n\nthe same wrong line\n" + "\n".join(again)
    return Told(text + "\n", {"submissions": rows, "same": dict(wrong)}, code)


def _pairs(given: Sequence[str], option: str) -> dict[str, str]:
    found = {}
    for word in given:
        name, sign, value = word.partition("=")
        if not sign or not name.isidentifier():
            raise BadInput(f"--{option} {word}: write it as --{option} name=value")
        found[name] = _expression(value, f"--{option} {name}")
    return found


def _kinds(given: Sequence[str]) -> dict[str, str]:
    known = get_args(Fill)
    found = {}
    for word in given:
        name, _, kind = word.partition("=")
        if kind not in known:
            raise BadInput(f"--draw {word}: the kinds are {', '.join(known)}")
        found[name] = kind
    return found


def _expression(text: str, option: str) -> str:
    try:
        ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise BadInput(f"{option}: `{text[:60]}` is no expression") from None
    if len(text) > 1000:
        raise BadInput(f"{option}: the expression is too long")
    return text
