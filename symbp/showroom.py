"""The showroom: what symbp writes for a few networks, checked in under ``generated/`` and compared in CI.

    python -m symbp.showroom            write generated/
    python -m symbp.showroom --check    write nothing, exit 1 if anything there is not what would be written
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from symbp.language import read_text
from symbp.networks import network
from symbp.pipeline import derive, generate
from symbp.render.document import latex_document
from symbp.render.files import compare_files, write_files
from symbp.render.notation import Adjoints, Notation


@dataclass(frozen=True)
class Exhibit:
    """One network of the showroom.

    name:      the bundled network.
    adjoints:  how the document writes gradients.
    functions: what the functions are that the declaration leaves open, for the module.
    """

    name: str
    adjoints: Adjoints = "bar"
    functions: Mapping[str, str] = field(default_factory=dict)


EXHIBITS: tuple[Exhibit, ...] = (
    Exhibit("xor"),
    Exhibit("iris"),
    Exhibit("digits"),
    Exhibit("deep", "delta", {"sigma": "tanh"}),
    Exhibit("rnn"),
    Exhibit("delayed"),
    Exhibit("bidirectional"),
)


def files(exhibit: Exhibit) -> dict[str, str]:
    """Return the files of one exhibit: a document in LaTeX and a NumPy module."""
    text = network(exhibit.name).text
    derivation = derive(read_text(text, f"{exhibit.name}.net", name=exhibit.name))
    document = latex_document(derivation, Notation(exhibit.adjoints), text=text, title=f"{exhibit.name}.net")
    module = generate(derivation, name=exhibit.name, declaration=text, functions=exhibit.functions)
    return {
        f"{exhibit.name}/latex/{exhibit.name}.tex": document,
        **{f"{exhibit.name}/numpy/{name}": content for name, content in module.items()},
    }


def main(arguments: Sequence[str]) -> int:
    """Write the showroom, or compare it with what is there."""
    check = "--check" in arguments
    folder = next((Path(a) for a in arguments if not a.startswith("-")), Path("generated"))
    stale = 0
    for exhibit in EXHIBITS:
        wanted = files(exhibit)
        if check:
            differences = compare_files(folder, wanted)
            stale += len(differences)
            for difference in differences:
                sys.stderr.write(f"{folder}/{difference}\n")
        else:
            write_files(folder, wanted)
    if stale:
        sys.stderr.write("python -m symbp.showroom writes them anew; look at the difference before you commit it\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
