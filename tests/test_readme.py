"""The README shows what symbp prints: its commands are run and compared.

``python tests/test_readme.py`` writes the blocks anew; look at the difference before you commit it.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCK = re.compile(r"^```\n(\$ symbp .*?)^```$", re.MULTILINE | re.DOTALL)


def printed(command: str, folder: Path) -> str:
    """Run ``symbp ...`` or ``symbp ... > file`` in a folder and return what it prints."""
    words = shlex.split(command)
    assert words[0] == "symbp"
    target = folder / words[words.index(">") + 1] if ">" in words else None
    arguments = words[1 : words.index(">")] if target else words[1:]
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-m", "symbp", *arguments], cwd=folder, stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL, encoding="utf-8", check=True,
    )
    if target is None:
        return done.stdout
    target.write_text(done.stdout, encoding="utf-8")
    return ""


def renewed(text: str) -> str:
    """Return the README with the output of its commands as it is now."""
    with tempfile.TemporaryDirectory() as folder:

        def block(found: re.Match[str]) -> str:
            commands = re.findall(r"^\$ (.+)$", found[1], re.MULTILINE)
            return "```\n" + "".join(f"$ {c}\n{printed(c, Path(folder))}" for c in commands) + "```"

        return BLOCK.sub(block, text)


def without_rounding(text: str) -> str:
    """Rounding errors are those of a machine."""
    return re.sub(r"\d+e-\d+", "#", text)


def test_the_readme_shows_what_is_printed() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(BLOCK.findall(text)) >= 3
    assert without_rounding(renewed(text)) == without_rounding(text)


if __name__ == "__main__":
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
