"""The showroom: what symbp writes for a few networks, checked in under ``generated/`` and compared in CI.

    python -m symbp.showroom            write generated/
    python -m symbp.showroom --check    write nothing, exit 1 if anything there is not what would be written
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from symbp.choices import Dtype, Memory
from symbp.language import read_text
from symbp.networks import network
from symbp.pipeline import derive, generate
from symbp.readings import with_readings
from symbp.render.document import latex_document
from symbp.render.files import compare_files, write_files
from symbp.render.notation import Adjoints, Notation


@dataclass(frozen=True)
class InC:
    """How a network of the showroom is written in C.

    sizes:   its sizes.
    name:    its name, if that of the network is too long.
    dtype:   the type of its numbers.
    memory:  where temporaries lie.
    largest: sizes that are known at run time only.
    """

    sizes: Mapping[str, int | tuple[int, ...]]
    name: str = ""
    dtype: Dtype = "float64"
    memory: Memory = "static"
    largest: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Exhibit:
    """One network of the showroom.

    name:      the bundled network.
    c:         how it is written in C.
    adjoints:  how the document writes gradients.
    functions: what the functions are that the declaration leaves open, for the modules.
    brief:     whether its document leaves the single steps out.
    """

    name: str
    c: InC
    adjoints: Adjoints = "bar"
    functions: Mapping[str, str] = field(default_factory=dict)
    brief: bool = False


STEPS_IN_TIME = {"T": 6, "m": 4, "n": 3, "h": 8, "p": 2}

EXHIBITS: tuple[Exhibit, ...] = (
    Exhibit("xor", InC({"m": 4}, dtype="float32")),
    Exhibit("iris", InC({"m": 25})),
    Exhibit("digits", InC({}, dtype="float32", largest={"m": 50})),
    Exhibit("deep", InC({"L": 3, "n": (5, 8, 6, 3), "m": 16}), "delta", {"sigma": "tanh"}),
    Exhibit("tied", InC({"n": 8, "k": 3, "m": 16})),
    Exhibit("gated", InC({"n0": 4, "n1": 8, "n2": 6, "m": 16}, dtype="float32")),
    Exhibit("heads", InC({"k": 2, "p": 3, "q": 4, "m": 16})),
    Exhibit("rnn", InC(STEPS_IN_TIME)),
    Exhibit("delayed", InC(STEPS_IN_TIME, memory="block")),
    Exhibit("conv", InC({"m": 4, "c": 3, "f": 2, "k": 3})),
    Exhibit("lenet", InC({"m": 32}, dtype="float32")),
    Exhibit("signals", InC({"m": 16, "c": 2, "f": 3, "k": 4}, dtype="float32")),
    Exhibit("branches", InC({"m": 8, "c": 2, "f": 3, "g": 2, "k": 4}, dtype="float32")),
    Exhibit("upsampling", InC({"m": 8, "f": 4}, dtype="float32")),
    Exhibit("bidirectional", InC(STEPS_IN_TIME, name="bidir")),
    Exhibit("batch_norm", InC({"n0": 4, "n1": 8, "n2": 3, "m": 16})),
    Exhibit("layer_norm", InC({"n0": 4, "n1": 8, "n2": 3, "m": 16}, dtype="float32")),
    Exhibit("rms_norm", InC({"p": 4, "n": 6, "h": 8, "m": 16}, dtype="float32")),
    Exhibit("group_norm", InC({"n0": 4, "g": 2, "k": 4, "n2": 3, "m": 16})),
    Exhibit("highway", InC({"L": 2, "n": 4, "h": 6, "k": 3, "m": 16})),
    Exhibit("triplet", InC({"n": 6, "h": 8, "k": 3, "m": 16})),
    Exhibit("losses", InC({"n": 6, "h": 8, "k": 3, "m": 16})),
    Exhibit("bilinear", InC({"h": 8, "w": 6, "p": 4, "q": 3, "k": 5}, dtype="float32")),
    Exhibit("attention", InC({"m": 4, "T": 8, "d": 12, "k": 6})),
    Exhibit("cross_attention", InC({"m": 4, "T": 5, "n": 7, "d": 8, "e": 6, "heads": 2, "k": 4}, name="crossattn")),
    Exhibit("transformer", InC({"m": 4, "T": 8, "d": 12, "heads": 3, "k": 4, "h": 24}, dtype="float32"), brief=True),
    Exhibit(
        "decoder",
        InC({"m": 4, "T": 6, "d": 8, "heads": 2, "k": 4, "h": 16, "L": 2, "v": 7}, dtype="float32"),
        brief=True,
    ),
    Exhibit("lstm", InC(STEPS_IN_TIME)),
    Exhibit("cells", InC({"T": 5, "m": 4, "n": 3, "q": 4, "h": 6, "p": 2})),
    Exhibit("gru", InC({"T": 6, "m": 4, "n": 3, "h": 8, "k": 2})),
    Exhibit("truncated", InC({"c": 2, "k": 3, "m": 4, "n": 3, "h": 8, "p": 2})),
)


def files(exhibit: Exhibit) -> dict[str, str]:
    """Return the files of one exhibit: a document in LaTeX, a NumPy module and a C module."""
    text = network(exhibit.name).text
    derivation = with_readings(derive(read_text(text, f"{exhibit.name}.net", name=exhibit.name)))
    document = latex_document(
        derivation, Notation(exhibit.adjoints), text=text, title=f"{exhibit.name}.net", steps=not exhibit.brief
    )
    module = generate(derivation, name=exhibit.name, declaration=text, functions=exhibit.functions)
    c = exhibit.c
    in_c = generate(
        derivation, "c", name=c.name or exhibit.name, sizes=c.sizes, dtype=c.dtype, memory=c.memory, largest=c.largest,
        declaration=text, functions=exhibit.functions,
    )
    return {
        f"{exhibit.name}/latex/{exhibit.name}.tex": document,
        **{f"{exhibit.name}/numpy/{name}": content for name, content in module.items()},
        **{f"{exhibit.name}/c/{name}": content for name, content in in_c.items()},
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
