"""The bundled declarations."""

from __future__ import annotations

from pathlib import Path

import pytest

import symbp.networks
from symbp.language import read_file
from symbp.program import check

PATHS = sorted(Path(symbp.networks.__file__).parent.glob("*.net"))


def test_the_networks_that_the_documents_name_are_there() -> None:
    names = {path.stem for path in PATHS}
    assert names >= {
        "xor",
        "iris",
        "digits",
        "mlp",
        "deep",
        "rnn",
        "delayed",
        "bidirectional",
        "stacked",
        "last_step",
        "logistic",
        "regression",
        "residual",
        "lstm",
        "dag",
        "dropout",
        "gated",
        "heads",
        "tied",
    }


@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_a_bundled_network_is_right(path: Path) -> None:
    program = read_file(path)
    assert check(program) is program
    assert program.outputs[0] == "loss"
    assert program.parameters
    first = path.read_text().split("\n")[0]
    assert first.startswith(f"# {path.name}: ")
    assert all(len(line) <= 120 for line in path.read_text().split("\n"))
