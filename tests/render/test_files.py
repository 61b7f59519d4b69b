"""Writing generated files: inside a folder, at once or not at all; and the comparison behind ``--check``."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from symbp.render import files
from symbp.render.files import Difference, OutputError, compare_files, inside, write_files


def test_files_are_written_as_they_are(tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    paths = write_files(out, {"a.py": "x = 1\n", "sub/b.txt": "é\r\n"})
    assert paths == [out / "a.py", out / "sub" / "b.txt"]
    assert (out / "a.py").read_bytes() == b"x = 1\n"
    assert (out / "sub" / "b.txt").read_bytes() == "é\r\n".encode()
    assert sorted(p.name for p in out.iterdir()) == ["a.py", "sub"]


def test_files_have_ordinary_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        (path,) = write_files(tmp_path, {"a.py": ""})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["../up.py", "a/../../up.py", "/etc/passwd", "", ".", "a\0b", "sub/.."])
def test_no_name_leads_out(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(OutputError):
        write_files(out, {"good.py": "", name: ""})
    # Names are judged before anything is written.
    assert not out.exists()


def test_no_link_leads_out(tmp_path: Path) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    out.mkdir()
    other.mkdir()
    (out / "link").symlink_to(other)
    with pytest.raises(OutputError, match="leads out"):
        write_files(out, {"link/a.py": ""})
    assert not any(other.iterdir())
    assert inside(out, "a.py") == out / "a.py"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, {"a.py": "old\n"})

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device", "a.py")

    monkeypatch.setattr(files.os, "replace", broken)
    with pytest.raises(OutputError, match=r"a\.py: No space left on device"):
        write_files(tmp_path, {"a.py": "new\n"})
    assert (tmp_path / "a.py").read_text() == "old\n"
    assert [p.name for p in tmp_path.iterdir()] == ["a.py"]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError):
        write_files(tmp_path / "out", {"a.py": ""})


def test_comparison(tmp_path: Path) -> None:
    wanted = {"a.py": "1\n2\n3\n", "b.py": "x\n", "c.py": "same\n", "d.py": "1\n2\n"}
    write_files(tmp_path, {"a.py": "1\ntwo\n3\n", "c.py": "same\n", "d.py": "1\n2\n3\n"})
    found = compare_files(tmp_path, wanted)
    different = [Difference("a.py", "different", 2), Difference("d.py", "different", 3)]
    assert found == [different[0], Difference("b.py", "missing"), different[1]]
    words = ["a.py is different from line 2 on", "b.py is missing", "d.py is different from line 3 on"]
    assert [str(d) for d in found] == words
    write_files(tmp_path, wanted)
    assert compare_files(tmp_path, wanted) == []
    (tmp_path / "c.py").write_bytes(b"\xff\xfe")
    assert compare_files(tmp_path, wanted) == [Difference("c.py", "unreadable")]
