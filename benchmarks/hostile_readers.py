"""What reads hostile inputs: for each language the way that a user's text takes through symbp."""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import json
import os
import pkgutil
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hostile_child import ROOM
from hostile_inputs import HOMEWORK, command
from hostile_texts import MINE

import symbp
from symbp import pipeline
from symbp.cli import main
from symbp.language import DeclarationError, read_text
from symbp.language.diagnostics import Mistake
from symbp.networks import names, network
from symbp.verify.check.text import text_of
from symbp.verify.student.check import check_reading
from symbp.verify.student.language.errors import Located
from symbp.verify.student.language.interpreter import Interpreter, module_names
from symbp.verify.student.language.reading import Reading
from symbp.verify.student.language.reading import read_text as read_code

MLP = network("mlp").text


def read_declaration(text: str) -> str:
    """Read a declaration."""
    try:
        read_text(text)
    except DeclarationError as error:
        return _refused(error)
    return "read"


def _refused(error: DeclarationError) -> str:
    if not error.diagnostics:
        return "failed: an error without a diagnostic"
    json.dumps(error.json())
    return "refused" if error.render() else "failed: an empty message"


def read_equations(text: str) -> str:
    """Check equations against mlp.net and say what is wrong with them."""
    try:
        text_of(pipeline.check(MLP, text), hint=False, reveal=True)
    except DeclarationError as error:
        return _refused(error)
    return "read"


def read_student(text: str) -> str:
    """Check a file of student code; before, run every function of it, called or not."""
    try:
        reading = read_code(text)
    except DeclarationError as error:
        return _refused(error)
    _run_all(reading)
    try:
        for checked in check_reading(reading):
            text_of(checked.judgement)
    except DeclarationError as error:
        return _refused(error)
    except (MemoryError, RecursionError):
        return "refused"  # what the child in which code is checked says of them
    return "read"


def _run_all(reading: Reading) -> None:
    run = Interpreter(reading.module)
    for name in module_names(reading.module):
        with contextlib.suppress(Mistake, Located):
            run.name(name)
    for node in reading.module.body:
        if isinstance(node, ast.FunctionDef):
            arguments = tuple(np.full((5, 5), k + 1.0) for k in range(len(node.args.args)))
            with contextlib.suppress(Mistake, Located):
                Interpreter(reading.module).run(node.name, arguments)


def run_command(text: str) -> str:
    """Run a command line where mlp.net and the given file lie; what it writes must be below ``out``."""
    given = json.loads(text)
    room = Path(ROOM).resolve()
    before = os.getcwd()
    os.chdir(room)
    try:
        (room / "mlp.net").write_text(MLP, encoding="utf-8")
        _place(room / "x.net", given)
        there = set(os.listdir(room))
        code, said = _ended(given)
        more = set(os.listdir(room)) - there
    finally:
        os.chdir(before)
        for folder, _, files in os.walk(room, topdown=False):
            for name in files:
                os.unlink(os.path.join(folder, name))
            if Path(folder) != room:
                os.rmdir(folder)
    if code not in (0, 1, 2) or "Traceback" in said or "internal error" in said:
        return f"failed: exit {code}: {said[:100]!r}"
    if code == 2 and more:
        return f"failed: refused, and yet wrote {' '.join(sorted(more))[:60]}"
    if code == 2 and not said.strip():
        return "failed: refused without a message"
    return "refused" if code == 2 else "read"


def _place(path: Path, given: dict[str, Any]) -> None:
    """Put there what ``x.net`` is said to be."""
    kind = given.get("kind")
    if "bytes" in given:
        path.write_bytes(given["bytes"].encode("latin-1"))
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "zero":
        path.symlink_to("/dev/zero")
    elif kind == "closed":
        path.touch()
        path.chmod(stat.S_IWUSR)


def _ended(given: dict[str, Any]) -> tuple[int, str]:
    """Return the exit code of a command line, and what it said on both streams."""
    streams = sys.stdin, sys.stdout, sys.stderr
    data = given.get("stdin", "").encode("latin-1")
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict", write_through=True)
    errors = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace", write_through=True)
    sys.stdin, sys.stdout, sys.stderr = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"), out, errors
    code = 0
    try:
        main(given["words"])
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams
    return code, "".join(s.buffer.getvalue().decode("utf-8", "replace") for s in (out,
    errors))  # type: ignore[attr-defined]


READERS: dict[str, Callable[[str], str]] = {
    "declaration": read_declaration, "equations": read_equations, "student": read_student, "command": run_command,
}
"""What reads texts of a language: it returns ``read``, ``refused`` or ``failed`` with a reason."""


RIGHT: dict[str, Callable[[], list[str]]] = {
    "declaration": lambda: [network(name).text for name in names()],
    "equations": lambda: list(MINE),
    "student": lambda: [path.read_text(encoding="utf-8") for path in HOMEWORK[:3]],
    "command": lambda: [
        command("derive", "mlp.net"), command("derive", "x.net"), command("verify", "mlp.net"), command("check",
        "mlp.net", "dW1 = X"),
        command("derive", "mlp.net", "-o", "out/x.tex"), command("derive", "mlp.net", "--size", "m=a"),
        command("--help"),
        *(command("generate", "mlp.net", "-o", "out", "--target", t, "--size", "n0=3", "n1=5", "n2=2",
        "m=7") for t in ("numpy", "c")),
    ],
}
"""Right texts of each language."""


def ready(language: str) -> None:
    """Import everything and read right texts once: what is imported late would be taken for something executed."""
    for module in pkgutil.walk_packages(symbp.__path__, "symbp."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            Path(ROOM).mkdir()
            for text in RIGHT[language]():
                READERS[language](text)
        finally:
            os.chdir(before)
