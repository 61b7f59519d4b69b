"""The networks that come with symbp: ``symbp new NAME`` prints one of them."""

from __future__ import annotations

from importlib import resources
from typing import NamedTuple


class Network(NamedTuple):
    """A bundled declaration: its name, one line on what it shows, and its text."""

    name: str
    title: str
    text: str


def names() -> list[str]:
    """Return the names of the bundled networks, in alphabetical order."""
    files = resources.files(__name__).iterdir()
    return sorted(file.name.removesuffix(".net") for file in files if file.name.endswith(".net"))


def network(name: str) -> Network:
    """Return a bundled network; raise ``KeyError`` if there is none of that name."""
    if name not in names():
        raise KeyError(name)
    text = (resources.files(__name__) / f"{name}.net").read_text(encoding="utf-8")
    # The first line of each file is a comment that says what the network is: "# mlp.net: two layers ...".
    return Network(name, text.partition("\n")[0].partition(": ")[2], text)
