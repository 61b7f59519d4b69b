"""A file of the user's, or standard input, as text: an ordinary file that is not too long, in UTF-8."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from symbp.language.diagnostics import DeclarationError, Diagnostic
from symbp.language.lines import MOST_CHARACTERS

MOST_BYTES = 4 * MOST_CHARACTERS
"""So long a file is read at all; no text of the most characters is longer."""


def file_bytes(path: str | Path, shown: str = "", most: int = MOST_BYTES) -> bytes:
    """Return what a file holds, at most so many bytes and one more.

    A pipe or a device is not opened as one: it may never end, or never begin.
    Raises ``DeclarationError`` for what cannot be read or is no ordinary file.
    """
    shown = shown or str(path)
    try:
        # Without waiting: to open a pipe that nobody writes to would wait for ever.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        raise _unread(shown, error) from None
    try:
        kind = os.fstat(handle).st_mode
        if not stat.S_ISREG(kind):
            what = "it is a folder" if stat.S_ISDIR(kind) else "it is no ordinary file"
            raise _refused(shown, "L006", f"the file cannot be read: {what}", "`-` reads standard input")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(most + 1)
    except OSError as error:
        raise _unread(shown, error) from None
    finally:
        os.close(handle)


def file_text(path: str | Path, shown: str = "") -> str:
    """Return the text of a file; raise ``DeclarationError`` for what cannot be read, is too long, or no text."""
    return _text(file_bytes(path, shown), shown or str(path))


def input_text(shown: str = "<stdin>") -> str:
    """Return what standard input gives.

    Raises ``DeclarationError`` for what is too long, or no text.
    """
    bytes_of = getattr(sys.stdin, "buffer", None)
    if bytes_of is None:
        return sys.stdin.read(MOST_CHARACTERS + 1)
    return _text(bytes_of.read(MOST_BYTES + 1), shown)


def _text(data: bytes, shown: str) -> str:
    if len(data) > MOST_BYTES:
        raise _refused(shown, "L001", f"a text of more than {MOST_CHARACTERS} characters")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refused(shown, "P001", "the file is no text in UTF-8", "save it as UTF-8 text", line) from None


def _unread(shown: str, error: OSError | ValueError) -> DeclarationError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return _refused(shown, "L006", f"the file cannot be read: {reason}")


def _refused(shown: str, code: str, message: str, help: str = "", line: int = 1) -> DeclarationError:
    return DeclarationError([Diagnostic(code, message, shown, line, 1, help=help)])
