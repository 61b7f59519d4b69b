"""The cell magic ``%%shell``: runs its lines in bash and prints what they print, once and in order.

``%%shell`` raises if a line fails, so that a page with a broken command does not build; ``%%shell anyway`` does not.
"""

from __future__ import annotations

import subprocess
from typing import Any


def shell(line: str, cell: str) -> None:
    done = subprocess.run(
        ["bash", "-c" if line == "anyway" else "-ec", cell], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL, text=True, check=False,
    )
    print(done.stdout, end="")
    if done.returncode and line != "anyway":
        raise RuntimeError(f"exit code {done.returncode}")


def load_ipython_extension(ipython: Any) -> None:
    ipython.register_magic_function(shell, "cell", "shell")
