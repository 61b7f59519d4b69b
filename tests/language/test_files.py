"""What is read as a file: ordinary ones, as UTF-8 text; everything else is refused at once, and never waited for."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from symbp.language import DeclarationError, read_file
from symbp.language.files import MOST_BYTES, file_text, input_text

RIGHT = "X: input[n, m]\nloss = sum(X)\n"


def code_of(path: Path) -> tuple[str, str]:
    with pytest.raises(DeclarationError) as caught:
        file_text(path)
    found = caught.value.diagnostics[0]
    return found.code, found.message


def test_what_is_no_ordinary_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "endless").symlink_to("/dev/zero")
    assert code_of(tmp_path) == ("L006", "the file cannot be read: it is a folder")
    assert code_of(tmp_path / "pipe") == ("L006", "the file cannot be read: it is no ordinary file")
    assert code_of(tmp_path / "endless") == ("L006", "the file cannot be read: it is no ordinary file")
    for name in ("loop", "missing", "a" * 5_000, "a\0b"):
        assert code_of(tmp_path / name)[0] == "L006"


@pytest.mark.parametrize("data", [RIGHT.encode("utf-16"), "# größe\n".encode("latin-1"), b"# \xed\xa0\x80\n",
b"\xc0\xaf"])
def test_what_is_no_utf_8_is_refused(data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.net").write_bytes(data)
    assert code_of(tmp_path / "x.net")[0] == "P001"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with pytest.raises(DeclarationError, match="no text in UTF-8"):
        input_text()


@pytest.mark.parametrize("text", [RIGHT, "\ufeff" + RIGHT, RIGHT.replace("\n", "\r\n"), RIGHT.replace("\n", "\r")])
def test_marks_and_line_ends_of_other_systems_are_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.net").write_bytes(text.encode())
    assert [v.name for v in read_file(tmp_path / "x.net").declared()] == ["X"]


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "x.net"
    path.write_bytes(b"#" * MOST_BYTES)
    assert len(file_text(path)) == MOST_BYTES
    path.write_bytes(b"#" * (MOST_BYTES + 1))
    assert code_of(path)[0] == "L001"
