"""Writing generated files: inside one folder, each at once or not at all; and comparing them with what is there."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal


class Files(dict[str, str]):
    """The texts of files by name.

    summary: what is said of them in a line, such as how much memory the code takes.
    """

    def __init__(self, texts: Mapping[str, str], summary: str = "") -> None:
        super().__init__(texts)
        self.summary = summary


class OutputError(ValueError):
    """A file that may not or cannot be written; the message names it."""


def inside(folder: Path, name: str) -> Path:
    """Return the path of a file inside a folder; raise ``OutputError`` for a name that leads out of it.

    A link is followed before it is judged, so that a link inside the folder does not lead out either.
    """
    pure = PurePath(name)
    if not name or pure.is_absolute() or ".." in pure.parts or "\0" in name:
        raise OutputError(f"{name!r} is no file name inside {folder}")
    root = folder.resolve()
    path = (root / pure).resolve()
    if not path.is_relative_to(root) or path == root:
        raise OutputError(f"{name!r} leads out of {folder}")
    return path


def write_files(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write files into a folder, which is made if it is missing, and return their paths.

    Every name is judged before anything is written.  Each file is written beside its place and then moved there, so
    that nobody sees half of one.  Raises ``OutputError``.
    """
    paths = {name: inside(folder, name) for name in files}
    try:
        for name, path in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, files[name])
    except OSError as error:
        raise OutputError(f"{error.filename or folder}: {error.strerror or error}") from error
    return list(paths.values())


def replace_file(path: Path, text: str) -> None:
    """Write one file so that it holds the old or the new text at any time; line ends are written as they are."""
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only the owner reads; give them what an ordinary file would get.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(beside, 0o666 & ~mask)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


@dataclass(frozen=True)
class Difference:
    """A file that is not what would be written: missing, or different from a line on."""

    name: str
    nature: Literal["missing", "different", "unreadable"]
    line: int | None = None

    def __str__(self) -> str:
        where = f" from line {self.line} on" if self.line else ""
        return f"{self.name} is {self.nature}{where}"


def compare_files(folder: Path, files: Mapping[str, str]) -> list[Difference]:
    """Return how the files of a folder differ from what would be written; an empty list means that they are fresh."""
    found: list[Difference] = []
    for name, text in files.items():
        path = inside(folder, name)
        try:
            there = path.read_bytes().decode("utf-8")
        except FileNotFoundError:
            found.append(Difference(name, "missing"))
            continue
        except (OSError, UnicodeDecodeError):
            found.append(Difference(name, "unreadable"))
            continue
        if there != text:
            found.append(Difference(name, "different", _first_difference(there, text)))
    return found


def _first_difference(a: str, b: str) -> int:
    left, right = a.split("\n"), b.split("\n")
    same = sum(1 for _ in _common(left, right))
    return same + 1


def _common(left: list[str], right: list[str]) -> list[str]:
    out = []
    for x, y in zip(left, right, strict=False):
        if x != y:
            break
        out.append(x)
    return out
